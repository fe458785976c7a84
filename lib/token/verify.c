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

struct token_verifier {
    struct token_options options;
    char *issuer, *audience;
    struct token_cache *cache;
    EVP_MD *sha256;
    struct key_ring ring;
};

struct token_verifier *token_verifier_free(struct token_verifier *v)
{
    if (!v)
        return NULL;
    key_ring_done(&v->ring);
    token_cache_free(v->cache);
    EVP_MD_free(v->sha256);
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
    if (key_ring_init(&v->ring, options->reload, options->userdata, options->reload_interval, RELOAD_BURST) < 0)
        return -ENOMEM;
    v->issuer = strdup(options->issuer);
    v->audience = strdup(options->audience);
    v->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (options->cache_max > 0)
        v->cache = token_cache_new(options->cache_max);
    if (!v->issuer || !v->audience || !v->sha256 || (options->cache_max > 0 && !v->cache))
        return -ENOMEM;
    v->options = *options;
    v->options.issuer = v->issuer;
    v->options.audience = v->audience;
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
    struct key_set *set;
    int r;

    r = key_set_read(jwks, n, &set);
    if (r < 0)
        return r;
    (void)key_ring_replace(&v->ring, set);
    return 0;
}

int token_verifier_jwks(struct token_verifier *v, char **ret_json)
{
    _cleanup_(key_set_unrefp) struct key_set *set = key_ring_acquire(&v->ring);
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
    _cleanup_(key_set_unrefp) struct key_set *set = key_ring_acquire(&v->ring);

    return key_set_find(set, kid, TOKEN_ES256) != NULL;
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

/* What every token of ours has in its header and its signature. */
static int form_check(const struct token_parts *parts)
{
    if (strcmp(parts->alg, token_alg_name(TOKEN_ES256)) != 0 || !parts->kid[0])
        return -EKEYREJECTED;
    if (strlen(parts->kid) >= TOKEN_KID_CHARS)
        return -ENOKEY;
    return parts->signature_n != 64 ? -EBADMSG : 0;
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
    if (r == 0)
        r = form_check(&parts);
    if (r == 0)
        r = key_ring_find(&v->ring, parts.kid, TOKEN_ES256, now_us, &set, &key);
    if (r != 0)
        return r;
    r = token_signature_check(key->pkey, key->alg, p, parts.signed_n, parts.signature, parts.signature_n);
    if (r < 0)
        return r;
    r = token_claims_check(v, &v->options, parts.payload, now_us, &id);
    if (r < 0)
        return r;
    memcpy(id.kid, parts.kid, sizeof id.kid);
    if (v->cache)
        token_cache_put(v->cache, digest, set->generation, now_us, &id);
    *ret_identity = id;
    return 0;
}

bool token_recall(struct token_verifier *v, const char *p, size_t n, struct identity *ret_identity)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];

    return v->cache && n > 0 && n <= TOKEN_MAX && EVP_Digest(p, n, digest, NULL, v->sha256, NULL) == 1 &&
        token_cache_get(v->cache, digest, atomic_load_explicit(&v->ring.generation, memory_order_acquire),
            clock_now_us(), ret_identity);
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
            v->cache, digest, atomic_load_explicit(&v->ring.generation, memory_order_acquire), now_us, ret_identity))
        return 0;
    return verify_anew(v, p, n, digest, now_us, ret_identity);
}
