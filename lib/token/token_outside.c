/* Tokens of outside issuers: the form and the signature as for our own, the claims by configuration. */
#include "token_outside.h"
#include "clock.h"
#include "internal.h"
#include "secret.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELOAD_BURST 2
#define PATH_MAX_N   256

struct token_outside {
    struct token_outside_options options;
    bool algs[TOKEN_N_ALGS];
    struct token_cache *cache;
    struct key_ring ring;
};

struct token_said {
    json_t *payload;
    int64_t expires_us;
    uint64_t generation;
    uint8_t digest[TOKEN_DIGEST_BYTES];
};

struct token_outside *token_outside_free(struct token_outside *o)
{
    if (!o)
        return NULL;
    key_ring_done(&o->ring);
    token_cache_free(o->cache);
    free(o);
    return NULL;
}

int token_outside_new(const struct token_outside_options *options, struct token_outside **ret_outside)
{
    struct token_outside *o = calloc(1, sizeof *o);
    enum token_alg alg;

    if (!o)
        return -ENOMEM;
    o->options = *options;
    if (key_ring_init(&o->ring, options->reload, options->userdata, options->reload_interval, RELOAD_BURST) < 0)
        goto no_memory;
    o->cache = token_cache_new(options->cache_max);
    if (!o->cache)
        goto no_memory;
    for (size_t i = 0; i < options->n_algorithms; i++) {
        if (token_alg_parse(options->algorithms[i], &alg) < 0) {
            token_outside_free(o);
            return -EINVAL;
        }
        o->algs[alg] = true;
    }
    *ret_outside = o;
    return 0;

no_memory:
    token_outside_free(o);
    return -ENOMEM;
}

int token_outside_set_keys(struct token_outside *o, const char *p, size_t n, struct token_jwks_report *ret_report)
{
    struct token_jwks_report report = { 0 };
    struct key_set *set;
    int r;

    r = token_jwks_read(p, n, o->algs, &set, &report.skipped, report.reason, sizeof report.reason);
    if (r == 0) {
        report.keys = set->n;
        report.changed = key_ring_replace(&o->ring, set);
    }
    *ret_report = report;
    return r;
}

void token_outside_drop_keys(struct token_outside *o)
{
    struct key_set *none = key_set_new(0);

    if (none)
        (void)key_ring_replace(&o->ring, none);
}

/* ---- claims ---- */

struct token_said *token_said_free(struct token_said *said)
{
    if (!said)
        return NULL;
    json_decref(said->payload);
    free(said);
    return NULL;
}

void token_said_freep(struct token_said **said)
{
    token_said_free(*said);
}

int64_t token_said_expires_us(const struct token_said *said)
{
    return said->expires_us;
}

/* The next name of a path; false at its end. */
static bool next_name(const char **p, char ret[PATH_MAX_N])
{
    size_t n = 0;

    if (!*p)
        return false;
    for (;; (*p)++) {
        if (**p == '\\' && (*p)[1])
            (*p)++;
        else if (**p == '.' || !**p)
            break;
        if (n + 1 < PATH_MAX_N)
            ret[n++] = **p;
    }
    ret[n] = '\0';
    *p = **p ? *p + 1 : NULL;
    return true;
}

static const json_t *claim(const json_t *payload, const char *path)
{
    char name[PATH_MAX_N];

    for (const char *p = path; payload && next_name(&p, name);)
        payload = json_object_get(payload, name);
    return payload;
}

static bool scalar_is(const json_t *value, const char *wanted)
{
    char digits[24];

    if (json_is_boolean(value))
        return strcmp(json_is_true(value) ? "true" : "false", wanted) == 0;
    if (!json_is_integer(value))
        return token_text_is(value, wanted);
    (void)snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(value));
    return strcmp(digits, wanted) == 0;
}

static bool claim_is(const json_t *payload, const char *path, const char *wanted)
{
    const json_t *value = claim(payload, path), *entry;
    size_t i;

    if (!json_is_array(value))
        return scalar_is(value, wanted);
    json_array_foreach(value, i, entry)
    {
        if (scalar_is(entry, wanted))
            return true;
    }
    return false;
}

int token_said_text(const struct token_said *said, const char *path, const char **ret)
{
    const json_t *value = path[0] ? claim(said->payload, path) : NULL;

    if (value && !json_is_null(value) && !json_is_string(value))
        return -EKEYREJECTED;
    *ret = json_string_value(value);
    return 0;
}

bool token_said_is(const struct token_said *said, const char *path, const char *value)
{
    return claim_is(said->payload, path, value);
}

/* "claim=value" */
static bool requirement_holds(const json_t *payload, const char *requirement)
{
    const char *equals = strchr(requirement, '=');
    char path[PATH_MAX_N];

    if (!equals || (size_t)(equals - requirement) >= sizeof path)
        return false;
    memcpy(path, requirement, (size_t)(equals - requirement));
    path[equals - requirement] = '\0';
    return claim_is(payload, path, equals + 1);
}

static int claims_check(
    const struct token_outside_options *options, const json_t *payload, int64_t now_us, int64_t *ret_expires_us)
{
    const json_t *audience = json_object_get(payload, "aud");
    int64_t issued_us, expires_us, last_us;
    bool ours = false;
    int r;

    if (!token_text_is(json_object_get(payload, "iss"), options->issuer))
        return -EKEYREJECTED;
    for (size_t i = 0; i < options->n_audiences; i++)
        ours = ours || token_audience_has(audience, options->audiences[i]);
    if (!ours)
        return -EKEYREJECTED;
    for (size_t i = 0; i < options->n_required; i++)
        if (!requirement_holds(payload, options->required[i]))
            return -EKEYREJECTED;
    r = token_dates_check(payload, options->leeway, now_us, &issued_us, &expires_us);
    if (r < 0)
        return r;
    last_us = issued_us + options->max_age * 1000000;
    if (last_us <= now_us)
        return -EKEYEXPIRED;
    *ret_expires_us = expires_us < last_us ? expires_us : last_us;
    return 0;
}

/* ---- tokens ---- */

static bool digest_of(const char *p, size_t n, uint8_t ret[TOKEN_DIGEST_BYTES])
{
    if (n == 0 || n > TOKEN_MAX)
        return false;
    secret_sha256(p, n, ret);
    return true;
}

int token_issuer(const char *p, size_t n, char *ret, size_t size)
{
    struct token_parts parts = { 0 };
    const char *issuer;
    int r;

    r = n == 0 ? -EBADMSG : token_parse(p, n, &parts);
    if (r < 0)
        return -EBADMSG;
    issuer = json_string_value(json_object_get(parts.payload, "iss"));
    if (!issuer || strlen(issuer) >= size)
        r = -EBADMSG;
    else
        memcpy(ret, issuer, strlen(issuer) + 1);
    token_parts_clear(&parts);
    return r;
}

/* The key's algorithm is the one that counts; the header has to name it. */
static int signature_check(
    struct token_outside *o, const char *p, const struct token_parts *parts, int64_t now_us, uint64_t *ret_generation)
{
    struct key_set *set;
    const struct token_key *key;
    enum token_alg alg;
    int r;

    if (token_alg_parse(parts->alg, &alg) < 0 || !o->algs[alg])
        return -EKEYREJECTED;
    r = key_ring_find(&o->ring, parts->kid, alg, now_us, &set, &key);
    if (r < 0)
        return r;
    r = token_signature_check(key->pkey, key->alg, p, parts->signed_n, parts->signature, parts->signature_n);
    *ret_generation = set->generation;
    key_set_unref(set);
    return r;
}

int token_outside_verify(struct token_outside *o, const char *p, size_t n, struct token_said **ret_said)
{
    _cleanup_(token_parts_clear) struct token_parts parts = { 0 };
    const int64_t now_us = clock_now_us();
    struct token_said said = { 0 }, *copy;
    int r;

    if (!digest_of(p, n, said.digest))
        return -EBADMSG;
    r = token_parse(p, n, &parts);
    if (r == 0)
        r = signature_check(o, p, &parts, now_us, &said.generation);
    if (r == 0)
        r = claims_check(&o->options, parts.payload, now_us, &said.expires_us);
    if (r < 0)
        return r;
    copy = malloc(sizeof *copy);
    if (!copy)
        return -ENOMEM;
    said.payload = TAKE_PTR(parts.payload);
    *copy = said;
    *ret_said = copy;
    return 0;
}

bool token_outside_recall(struct token_outside *o, const char *p, size_t n, struct identity *ret_identity)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];

    return digest_of(p, n, digest) &&
        token_cache_get(o->cache, digest, atomic_load_explicit(&o->ring.generation, memory_order_acquire),
            clock_now_us(), ret_identity);
}

void token_outside_remember(struct token_outside *o, const struct token_said *said, const struct identity *identity)
{
    token_cache_put(o->cache, said->digest, said->generation, clock_now_us(), identity);
}

void token_outside_forget(struct token_outside *o, const char *p, size_t n)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];

    if (digest_of(p, n, digest))
        token_cache_drop(o->cache, digest);
}
