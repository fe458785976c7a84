#include "caller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "limiter.h"
#include "outside.h"
#include "service.h"
#include "throttle.h"
#include "trouble.h"

static bool trusted(const struct config_list *proxies, const char *address)
{
    for (size_t i = 0; i < proxies->n; i++)
        if (strcmp(proxies->item[i], address) == 0)
            return true;
    return false;
}

/* The address in its one canonical text; NULL when it is none. */
static const char *canonical(struct arena *a, const char *p, size_t n)
{
    char text[64], out[INET6_ADDRSTRLEN];
    uint8_t raw[16];
    int family;

    while (n > 0 && *p == ' ') {
        p++;
        n--;
    }
    while (n > 0 && p[n - 1] == ' ')
        n--;
    if (n == 0 || n >= sizeof(text))
        return NULL;
    memcpy(text, p, n);
    text[n] = '\0';
    family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, raw) != 1 || inet_ntop(family, raw, out, sizeof(out)) == NULL)
        return NULL;
    return arena_strdup(a, out);
}

/* From the right: each proxy of ours appended the address it saw; the first that is none of ours is the caller. */
const char *caller_address(const struct service *service, struct arena *a, const char *peer, const char *forwarded_for)
{
    const struct config_list *proxies = &service->config->trusted_proxies;
    const char *address = peer, *end;

    if (forwarded_for == NULL || !trusted(proxies, peer))
        return peer;
    end = forwarded_for + strlen(forwarded_for);
    while (end > forwarded_for && trusted(proxies, address)) {
        const char *comma = memrchr(forwarded_for, ',', (size_t)(end - forwarded_for));
        const char *begin = comma != NULL ? comma + 1 : forwarded_for;
        const char *found = canonical(a, begin, (size_t)(end - begin));

        if (found == NULL)
            return address;
        address = found;
        end = comma != NULL ? comma : forwarded_for;
    }
    return address;
}

/* -EAGAIN: the key is not known, and the keys are out of reach with the database. */
static int refuse(struct exchange *x, int r)
{
    if (r == -ENOMEM || r == -EAGAIN)
        trouble_errno(x, r);
    else
        fail(x, P_INVALID_TOKEN);
    return 1;
}

/* The token of an Authorization header; NULL when there is none. */
static const char *bearer(const char *authorization)
{
    const char *token;

    if (authorization == NULL || strncasecmp(authorization, "Bearer", 6) != 0 ||
        (authorization[6] != ' ' && authorization[6] != '\0'))
        return NULL;
    token = authorization + 6;
    while (*token == ' ')
        token++;
    return token;
}

bool caller_admitted(struct service *service, const char *authorization)
{
    const char *token = bearer(authorization);
    struct identity identity;

    return token != NULL &&
        (outside_admitted(service, token, strlen(token)) ||
            token_verify(service->verifier, token, strlen(token), &identity) == 0);
}

void caller_refused(struct exchange *x)
{
    const char *token = x->identity != NULL ? bearer(exchange_header(x, "Authorization")) : NULL;

    if (token != NULL)
        outside_forget(x->service, token, strlen(token));
}

/* A token without the permission. Where the role does not give it either that is the answer, and enter() gives it; else the token is too narrow. */
static int refuse_scope(struct exchange *x)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    if (caller_limit(x) != 0)
        return 1;
    r = query_fetch(x, &query_permitted, (const char *const[]){ NULL }, &rows);
    if (r < 0)
        trouble_errno(x, r);
    else if (r == 0)
        fail_detail(x, P_INSUFFICIENT_SCOPE,
            arena_printf(x->arena, "This token was asked for without %s; the role gives it.", x->op->permission));
    return 1;
}

int caller_identify(struct exchange *x, struct identity *ret)
{
    const char *token = bearer(exchange_header(x, "Authorization"));
    uint64_t needed;
    int r;

    if (token == NULL) {
        fail(x, P_UNAUTHENTICATED);
        return 1;
    }
    r = outside_identify(x, token, strlen(token), ret);
    if (r == -ENOENT)
        r = token_verify(x->service->verifier, token, strlen(token), ret);
    if (r != 0)
        return r > 0 ? r : refuse(x, r);
    x->identity = ret;
    needed = token_scope_bits(x->service->verifier, x->op->permission);
    return (ret->scopes & needed) == needed ? 0 : refuse_scope(x);
}

/* The grant of one that is known; of another its network, for whoever has one IPv6 address has 2^64 of them. */
static const char *counted_by(struct exchange *x)
{
    const char *network;

    if (x->identity != NULL)
        return x->identity->grant;
    network = throttle_network(x->arena, x->client);
    return network != NULL ? network : x->client;
}

int caller_limit(struct exchange *x)
{
    struct limit_state state;
    const char *text;

    if (x->service->limiter == NULL)
        return 0;
    state = limiter_take(x->service->limiter, counted_by(x), clock_mono_us());
    text = arena_printf(x->arena, "\"default\";r=%u;t=%u", state.left, state.reset_s);
    if (text != NULL) {
        reply_header(x, "RateLimit-Policy", limiter_policy(x->service->limiter));
        reply_header(x, "RateLimit", text);
    }
    if (state.allowed)
        return 0;
    text = arena_printf(x->arena, "%u", state.reset_s > 0 ? state.reset_s : 1);
    if (text != NULL)
        reply_header(x, "Retry-After", text);
    fail(x, P_TOO_MANY_REQUESTS);
    return 1;
}
