#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arenas.h"
#include "contract.h"
#include "fetch.h"
#include "keys.h"
#include "limiter.h"
#include "log.h"
#include "metrics.h"
#include "outside.h"
#include "places.h"
#include "renderer.h"
#include "share.h"
#include "watch.h"

#define ARENA_MAX         (256U * 1024U * 1024U)
#define TOKENS_KEPT       16384U
#define KEY_LEEWAY_S      30
#define KEY_RELOAD_S      10
#define CURSOR_LABEL      "cursor"
#define FINGERPRINT_LABEL "fingerprint"

void service_pool_options(
    const struct config *config, bool slow, struct lane_settings *settings, struct db_pool_options *ret)
{
    int64_t lock_ms = slow ? config->long_lock_timeout_ms : config->quick_lock_timeout_ms;
    size_t n = 0;

    snprintf(settings->lock_timeout, sizeof(settings->lock_timeout), "%lldms", (long long)lock_ms);
    settings->list[n++] = (struct db_setting){ "search_path", "tiendo, public" };
    settings->list[n++] = (struct db_setting){ "lock_timeout", settings->lock_timeout };
    settings->list[n++] = (struct db_setting){ "idle_in_transaction_session_timeout", "60s" };
    settings->list[n++] = (struct db_setting){ "TimeZone", "UTC" };
    settings->list[n++] = (struct db_setting){ "DateStyle", "ISO, YMD" };
    settings->list[n++] = (struct db_setting){ "jit", "off" };
    /* Statements are planned once; the scope's bounds are never known to the planner anyway. */
    settings->list[n++] = (struct db_setting){ "plan_cache_mode", "force_generic_plan" };
    settings->list[n++] = (struct db_setting){ "random_page_cost", "1.1" };
    *ret = (struct db_pool_options){
        .name = slow ? "tiendo-long" : "tiendo-quick",
        .conninfo = config->database,
        .size = (unsigned)(slow ? config->long_pool : config->quick_pool),
        .queries = contract_statements,
        .n_queries = n_contract_statements,
        .settings = settings->list,
        .n_settings = n,
        /* The rest stays for writes and for reads that found the shared ones slow, so that nobody waits for ever. */
        .shared = slow ? 0 : (unsigned)config->quick_pool / 4,
        .statement_timeout_ms =
            (unsigned)(slow ? config->long_statement_timeout_ms : config->quick_statement_timeout_ms),
    };
}

/* Writes may wait for each other's locks; some connections are always left to reads, which wait for nobody. */
static unsigned writers(const struct config *config)
{
    unsigned size = (unsigned)config->quick_pool, kept = size / 4 > 0 ? size / 4 : 1;

    return size > kept ? size - kept : 1;
}

static int make_pools(struct service *service)
{
    struct db_pool_options options;
    int r;

    if (sem_init(&service->writers, 0, writers(service->config)) < 0)
        return -errno;
    service_pool_options(service->config, false, &service->quick_settings, &options);
    r = db_pool_new(&options, &service->quick);
    if (r < 0)
        return r;
    service_pool_options(service->config, true, &service->slow_settings, &options);
    r = db_pool_new(&options, &service->slow);
    return r < 0 ? r : share_new(options.size, &service->share);
}

static int make_verifier(struct service *service)
{
    static const char *scopes[TOKEN_SCOPES_MAX + 1];
    struct token_options options = {
        .issuer = service->issuer,
        .audience = service->config->audience,
        .scopes = scopes,
        .cache_max = TOKENS_KEPT,
        .leeway = KEY_LEEWAY_S,
        .reload = keys_reload,
        .userdata = service,
        .reload_interval = KEY_RELOAD_S,
    };

    if (n_contract_permissions > TOKEN_SCOPES_MAX)
        return -E2BIG;
    for (size_t i = 0; i < n_contract_permissions; i++)
        scopes[i] = contract_permissions[i];
    return token_verifier_new(&options, &service->verifier);
}

static int fill(struct service *service)
{
    int r;

    r = keys_issuer(service->config, service->issuer);
    if (r == 0)
        r = keys_master(service->config, &service->master);
    if (r < 0)
        return r;
    secret_key_derive(&service->master, CURSOR_LABEL, &service->cursor_key);
    secret_key_derive(&service->master, FINGERPRINT_LABEL, &service->fingerprint_key);
    r = arena_pool_new(ARENA_MAX, &service->arenas);
    if (r == 0)
        r = metrics_new(&service->metrics);
    if (r == 0)
        r = watch_new((unsigned)service->config->change_waiters, &service->watch);
    if (r == 0)
        r = places_new((unsigned)service->config->max_uploads, &service->uploads);
    if (r == 0)
        r = places_new((unsigned)service->config->max_uploads, &service->downloads);
    if (r == 0)
        r = renderer_new(service->config, &service->renderer);
    if (r == 0)
        r = limiter_new((uint32_t)service->config->rate_limit_per_s, (uint32_t)service->config->rate_limit_burst,
            &service->limiter);
    if (r == 0)
        r = make_verifier(service);
    if (r == 0)
        r = make_pools(service);
    if (r == 0)
        r = fetch_init();
    return r < 0 ? r : outside_new(service->config, &service->outside);
}

int service_new(const struct config *config, struct service **ret)
{
    struct service *service = calloc(1, sizeof(*service));
    int r;

    if (service == NULL)
        return -ENOMEM;
    service->config = config;
    r = fill(service);
    if (r < 0) {
        log_error("service", "error=%s", strerrordesc_np(-r));
        service_free(service);
        return r;
    }
    *ret = service;
    return 0;
}

struct service *service_free(struct service *service)
{
    if (service == NULL)
        return NULL;
    service->outside = outside_free(service->outside);
    service->quick = db_pool_free(service->quick);
    service->slow = db_pool_free(service->slow);
    service->share = share_free(service->share);
    service->verifier = token_verifier_free(service->verifier);
    service->limiter = limiter_free(service->limiter);
    service->metrics = metrics_free(service->metrics);
    service->watch = watch_free(service->watch);
    service->uploads = places_free(service->uploads);
    service->renderer = renderer_free(service->renderer);
    service->downloads = places_free(service->downloads);
    service->arenas = arena_pool_free(service->arenas);
    secret_wipe(&service->master, sizeof(service->master));
    secret_wipe(&service->cursor_key, sizeof(service->cursor_key));
    free(service);
    return NULL;
}
