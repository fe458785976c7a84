#include "key_source.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "clock.h"
#include "fetch.h"
#include "log.h"
#include "text.h"

#define TOKENS_KEPT    16384U
#define ASKED_RELOAD_S 5    /* between two readings that unknown keys ask for */
#define ASKED_WAIT_MS  800  /* so long a request waits for one */
#define CONNECT_MS     3000 /* to a URL */
#define TOTAL_MS       8000
#define RETRY_S        10 /* after a failure, if that is sooner */
#define PLAIN_SCHEME   "http://"
#define SECOND_US      INT64_C(1000000)

struct key_source {
    const struct config_issuer *config;
    struct token_outside *tokens;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    bool wanted;           /* somebody waits for a reading */
    uint64_t begun, ended; /* readings */
    int result;            /* of the last */
    int64_t read_us;       /* when keys were last read; 0: never */
    bool stale, failing;
};

static int make_tokens(struct key_source *s);

/* ---- one reading ---- */

static int read_file(const char *name, struct buf *ret, char *reason, size_t reason_n)
{
    /* Not to hang on what is no file. */
    _cleanup_(closep) int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        (void)snprintf(reason, reason_n, "%s", strerrordesc_np(errno));
        return -EIO;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)ret->max) {
        (void)snprintf(reason, reason_n, "no file of at most %zu bytes", ret->max);
        return -EIO;
    }
    for (;;) {
        char *p = buf_reserve(ret, 4096);
        ssize_t n = p != NULL ? read(fd, p, 4096) : -1;

        if (n <= 0) {
            if (n < 0)
                (void)snprintf(reason, reason_n, "cannot be read, or grows beyond %zu bytes", ret->max);
            return n < 0 ? -EIO : 0;
        }
        ret->n += (size_t)n;
    }
}

static int read_source(struct key_source *s, struct buf *ret, char *reason, size_t reason_n)
{
    const struct config_issuer *config = s->config;
    const struct fetch_options options = {
        .url = config->jwks_url,
        .plain = strncmp(config->jwks_url, PLAIN_SCHEME, strlen(PLAIN_SCHEME)) == 0,
        .ca_file = config->ca_file,
        .accept = "application/jwk-set+json, application/json",
        .agent = "tiendo/" TIENDO_VERSION,
        .connect_ms = CONNECT_MS,
        .total_ms = TOTAL_MS,
        .stop = &s->stop,
    };

    if (config->jwks_file[0] != '\0')
        return read_file(config->jwks_file, ret, reason, reason_n);
    return fetch_get(&options, ret, reason, reason_n);
}

/* The keys read before go on for a time; then there are none. */
static void keep_old(struct key_source *s, const char *reason)
{
    const char *name = s->config->name;

    if (atomic_load(&s->stop))
        return;
    s->failing = true;
    if (s->read_us != 0 && !s->stale && clock_mono_us() - s->read_us > s->config->stale_s * SECOND_US) {
        s->stale = true;
        token_outside_drop_keys(s->tokens);
        log_error("issuer_keys_dropped", "issuer=%s reason=%s", name, reason);
        return;
    }
    log_warn("issuer_keys_not_read", "issuer=%s kept=%d reason=%s", name, s->read_us != 0 && !s->stale, reason);
}

static int load(struct key_source *s)
{
    _cleanup_(buf_free) struct buf text = { 0 };
    struct token_jwks_report report = { 0 };
    char reason[160] = "";
    int r;

    buf_init(&text, TOKEN_JWKS_MAX);
    r = read_source(s, &text, reason, sizeof(reason));
    if (r < 0) {
        keep_old(s, r == -ENOMEM ? "no memory" : reason);
        return r;
    }
    r = token_outside_set_keys(s->tokens, buf_cstr(&text), text.n, &report);
    if (r < 0) {
        keep_old(s, r == -ENOMEM ? "no memory" : report.reason);
        return r;
    }
    s->read_us = clock_mono_us();
    if (report.changed || s->failing)
        log_info("issuer_keys", "issuer=%s keys=%zu passed_over=%zu reason=%s", s->config->name, report.keys,
            report.skipped, report.reason);
    s->stale = s->failing = false;
    return 0;
}

int key_source_check(const struct config_issuer *config, FILE *out)
{
    _cleanup_(buf_free) struct buf text = { 0 };
    struct key_source s = { .config = config };
    struct token_jwks_report report = { 0 };
    char reason[160] = "";
    int r;

    buf_init(&text, TOKEN_JWKS_MAX);
    r = make_tokens(&s);
    if (r == 0)
        r = read_source(&s, &text, reason, sizeof(reason));
    if (r == 0)
        r = token_outside_set_keys(s.tokens, buf_cstr(&text), text.n, &report);
    if (r == 0)
        fprintf(out, "# issuer.%s: %zu keys, %zu passed over%s%s\n", config->name, report.keys, report.skipped,
            report.reason[0] != '\0' ? "; " : "", report.reason);
    else
        fprintf(out, "# issuer.%s: no keys: %s\n", config->name, reason[0] != '\0' ? reason : report.reason);
    token_outside_free(s.tokens);
    return r == 0 ? 0 : -EIO;
}

/* ---- the thread ---- */

static struct timespec after_ms(int64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static void *thread_main(void *userdata)
{
    struct key_source *s = userdata;

    pthread_mutex_lock(&s->lock);
    while (!atomic_load(&s->stop)) {
        int64_t pause_s = s->config->refresh_s;
        struct timespec until;
        int r;

        s->begun++;
        s->wanted = false;
        pthread_mutex_unlock(&s->lock);
        r = load(s);
        pthread_mutex_lock(&s->lock);
        s->result = r;
        s->ended = s->begun;
        pthread_cond_broadcast(&s->done);
        if (r < 0 && pause_s > RETRY_S)
            pause_s = RETRY_S;
        until = after_ms(pause_s * 1000);
        while (!s->wanted && !atomic_load(&s->stop) && pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0)
            ;
    }
    pthread_cond_broadcast(&s->done);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Asks for a reading that begins now and waits for it a little. */
static int reload(void *userdata)
{
    struct key_source *s = userdata;
    struct timespec until = after_ms(ASKED_WAIT_MS);
    uint64_t reading;
    int r;

    pthread_mutex_lock(&s->lock);
    reading = s->begun + 1;
    s->wanted = true;
    pthread_cond_signal(&s->wake);
    while (s->ended < reading && !atomic_load(&s->stop) && pthread_cond_timedwait(&s->done, &s->lock, &until) == 0)
        ;
    r = s->ended < reading ? -EAGAIN : s->result;
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* ---- beginning and end ---- */

struct token_outside *key_source_tokens(struct key_source *source)
{
    return source->tokens;
}

static int make_tokens(struct key_source *s)
{
    const struct config_issuer *config = s->config;
    const struct token_outside_options options = {
        .issuer = config->iss,
        .audiences = config->audience.item,
        .algorithms = config->algorithms.item,
        .required = config->required.item,
        .n_audiences = config->audience.n,
        .n_algorithms = config->algorithms.n,
        .n_required = config->required.n,
        .cache_max = TOKENS_KEPT,
        .leeway = config->leeway_s,
        .max_age = config->max_age_s,
        .reload = reload,
        .userdata = s,
        .reload_interval = ASKED_RELOAD_S,
    };

    return token_outside_new(&options, &s->tokens);
}

int key_source_new(const struct config_issuer *config, struct key_source **ret_source)
{
    struct key_source *s = calloc(1, sizeof(*s));
    pthread_condattr_t attributes;
    int r;

    if (s == NULL)
        return -ENOMEM;
    s->config = config;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attributes);
    pthread_cond_init(&s->done, &attributes);
    pthread_condattr_destroy(&attributes);
    r = make_tokens(s);
    if (r == 0)
        r = -pthread_create(&s->thread, NULL, thread_main, s);
    if (r < 0) {
        key_source_free(s);
        return r;
    }
    s->started = true;
    *ret_source = s;
    return 0;
}

struct key_source *key_source_free(struct key_source *s)
{
    if (s == NULL)
        return NULL;
    atomic_store(&s->stop, true);
    pthread_mutex_lock(&s->lock);
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->started)
        pthread_join(s->thread, NULL);
    token_outside_free(s->tokens);
    pthread_cond_destroy(&s->done);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return NULL;
}
