/* The verifier: the accepted keys, the remembered tokens, and the order in which a token is believed. */
#include "internal.h"
#include "clock.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RELOAD_BURST 4

/* One immutable set of keys; readers hold a reference while they check. */
struct key_set {
    atomic_size_t refs;
    uint64_t generation;
    size_t n;
    struct token_key keys[];
};

struct token_verifier {
    struct token_options options;
    char *issuer, *audience;
    struct token_cache *cache;
    EVP_MD *sha256;

    pthread_rwlock_t keys_lock;
    struct key_set *keys;
    _Atomic uint64_t generation; /* of the current set; remembered tokens of another are void */

    pthread_mutex_t reload_lock;
    int64_t reload_refilled_us;
    int reloads_left;
    int reload_result;
};

static struct key_set *key_set_new(size_t n)
{
    struct key_set *set = calloc(1, sizeof *set + n * sizeof set->keys[0]);

    if (set)
        atomic_init(&set->refs, 1);
    return set;
}

static void key_set_unref(struct key_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->n; i++)
        token_key_clear(&set->keys[i]);
    free(set);
}

static void key_set_unrefp(struct key_set **set)
{
    key_set_unref(*set);
}

static struct key_set *key_set_acquire(struct token_verifier *v)
{
    struct key_set *set;

    pthread_rwlock_rdlock(&v->keys_lock);
    set = v->keys;
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    pthread_rwlock_unlock(&v->keys_lock);
    return set;
}

static const struct token_key *key_set_find(const struct key_set *set, const char *kid)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->keys[i].kid, kid) == 0)
            return &set->keys[i];
    return NULL;
}

static bool key_set_same(const struct key_set *a, const struct key_set *b)
{
    const struct token_key *other;

    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        other = key_set_find(b, a->keys[i].kid);
        if (!other || strcmp(other->jwk, a->keys[i].jwk) != 0)
            return false;
    }
    return true;
}

struct token_verifier *token_verifier_free(struct token_verifier *v)
{
    if (!v)
        return NULL;
    key_set_unref(v->keys);
    token_cache_free(v->cache);
    EVP_MD_free(v->sha256);
    pthread_rwlock_destroy(&v->keys_lock);
    pthread_mutex_destroy(&v->reload_lock);
    free(v->issuer);
    free(v->audience);
    free(v);
    return NULL;
}

void token_verifier_freep(struct token_verifier **verifier)
{
    token_verifier_free(*verifier);
}

int token_verifier_new(const struct token_options *options, struct token_verifier **ret_verifier)
{
    _cleanup_(token_verifier_freep) struct token_verifier *v = NULL;
    size_t words = 0;

    while (options->scopes && options->scopes[words])
        words++;
    if (!options->issuer || !options->audience || words > TOKEN_SCOPES_MAX)
        return -EINVAL;
    v = calloc(1, sizeof *v);
    if (!v)
        return -ENOMEM;
    pthread_rwlock_init(&v->keys_lock, NULL);
    pthread_mutex_init(&v->reload_lock, NULL);
    v->issuer = strdup(options->issuer);
    v->audience = strdup(options->audience);
    v->keys = key_set_new(0);
    v->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (options->cache_max > 0)
        v->cache = token_cache_new(options->cache_max);
    if (!v->issuer || !v->audience || !v->keys || !v->sha256 || (options->cache_max > 0 && !v->cache))
        return -ENOMEM;
    v->options = *options;
    if (v->options.reload_interval < 1)
        v->options.reload_interval = 1;
    v->options.issuer = v->issuer;
    v->options.audience = v->audience;
    v->keys->generation = 1;
    atomic_init(&v->generation, 1);
    *ret_verifier = TAKE_PTR(v);
    return 0;
}

static int key_set_read(const char *const *jwks, size_t n, struct key_set **ret_set)
{
    _cleanup_(key_set_unrefp) struct key_set *set = key_set_new(n);
    int r;

    if (!set)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        r = token_key_read(jwks[i], &set->keys[i]);
        if (r < 0)
            return r;
        set->n++;
    }
    *ret_set = TAKE_PTR(set);
    return 0;
}

int token_verifier_set_keys(struct token_verifier *v, const char *const *jwks, size_t n)
{
    struct key_set *set, *unused;
    int r;

    r = key_set_read(jwks, n, &set);
    if (r < 0)
        return r;
    unused = set;
    pthread_rwlock_wrlock(&v->keys_lock);
    if (!key_set_same(set, v->keys)) {
        set->generation = v->keys->generation + 1;
        atomic_store_explicit(&v->generation, set->generation, memory_order_release);
        unused = v->keys;
        v->keys = set;
    }
    pthread_rwlock_unlock(&v->keys_lock);
    key_set_unref(unused);
    return 0;
}

int token_verifier_jwks(struct token_verifier *v, char **ret_json)
{
    _cleanup_(key_set_unrefp) struct key_set *set = key_set_acquire(v);
    size_t size = sizeof "{\"keys\":[]}";
    char *json, *at;

    for (size_t i = 0; i < set->n; i++)
        size += strlen(set->keys[i].jwk) + 1;
    json = malloc(size);
    if (!json)
        return -ENOMEM;
    at = stpcpy(json, "{\"keys\":[");
    for (size_t i = 0; i < set->n; i++) {
        if (i > 0)
            at = stpcpy(at, ",");
        at = stpcpy(at, set->keys[i].jwk);
    }
    stpcpy(at, "]}");
    *ret_json = json;
    return 0;
}

bool token_verifier_knows(struct token_verifier *v, const char *kid)
{
    _cleanup_(key_set_unrefp) struct key_set *set = key_set_acquire(v);

    return key_set_find(set, kid) != NULL;
}

uint64_t token_scope_bits(const struct token_verifier *v, const char *scope)
{
    const char *const *words = v->options.scopes;
    uint64_t bits = 0;

    for (const char *p = scope; words && *p;) {
        size_t n = strcspn(p, " ");

        for (size_t i = 0; n > 0 && words[i]; i++)
            if (strlen(words[i]) == n && memcmp(words[i], p, n) == 0)
                bits |= UINT64_C(1) << i;
        p += n + (p[n] == ' ');
    }
    return bits;
}

/* A few reloads at once, then one in each interval: a flood of made-up kids costs next to nothing. */
static bool may_reload(struct token_verifier *v, int64_t now_us)
{
    const int64_t interval_us = v->options.reload_interval * 1000000;
    int64_t since = now_us - v->reload_refilled_us;

    if (since < 0 || since >= interval_us * RELOAD_BURST) {
        v->reloads_left = RELOAD_BURST;
        v->reload_refilled_us = now_us;
    } else if (since >= interval_us) {
        v->reloads_left += (int)(since / interval_us);
        if (v->reloads_left > RELOAD_BURST)
            v->reloads_left = RELOAD_BURST;
        v->reload_refilled_us += since / interval_us * interval_us;
    }
    if (v->reloads_left == 0)
        return false;
    v->reloads_left--;
    return true;
}

static int reload(struct token_verifier *v, const char *kid, int64_t now_us)
{
    _cleanup_(key_set_unrefp) struct key_set *set = NULL;
    int r = 0;

    if (!v->options.reload)
        return 0;
    pthread_mutex_lock(&v->reload_lock);
    set = key_set_acquire(v);
    if (!key_set_find(set, kid)) {
        if (may_reload(v, now_us))
            v->reload_result = v->options.reload(v->options.userdata);
        r = v->reload_result;
    }
    pthread_mutex_unlock(&v->reload_lock);
    return r;
}

/* Parse, find the key, check the signature, then the claims; remember what held. */
static int verify_anew(struct token_verifier *v, const char *p, size_t n, const uint8_t *digest, int64_t now_us,
    struct identity *ret_identity)
{
    _cleanup_(token_parts_clear) struct token_parts parts = { 0 };
    _cleanup_(key_set_unrefp) struct key_set *set = NULL;
    const struct token_key *key;
    struct identity id;
    int r;

    r = token_parse(p, n, &parts);
    if (r < 0)
        return r;
    set = key_set_acquire(v);
    key = key_set_find(set, parts.kid);
    if (!key) {
        r = reload(v, parts.kid, now_us);
        if (r < 0)
            return -EAGAIN;
        key_set_unref(set);
        set = key_set_acquire(v);
        key = key_set_find(set, parts.kid);
    }
    if (!key)
        return -ENOKEY;
    r = token_key_check(key, p, parts.signed_n, parts.signature);
    if (r < 0)
        return r;
    r = token_claims_check(v, &v->options, parts.payload, now_us, &id);
    if (r < 0)
        return r;
    memcpy(id.kid, key->kid, sizeof id.kid);
    if (v->cache)
        token_cache_put(v->cache, digest, set->generation, now_us, &id);
    *ret_identity = id;
    return 0;
}

int token_verify(struct token_verifier *v, const char *p, size_t n, struct identity *ret_identity)
{
    const int64_t now_us = clock_now_us();
    uint8_t digest[TOKEN_DIGEST_BYTES];

    if (n == 0 || n > TOKEN_MAX)
        return -EBADMSG;
    if (!v->cache)
        return verify_anew(v, p, n, digest, now_us, ret_identity);
    if (EVP_Digest(p, n, digest, NULL, v->sha256, NULL) != 1)
        return -ENOMEM;
    if (token_cache_get(
            v->cache, digest, atomic_load_explicit(&v->generation, memory_order_acquire), now_us, ret_identity))
        return 0;
    return verify_anew(v, p, n, digest, now_us, ret_identity);
}
