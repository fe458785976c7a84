/* What the files of this room share. */
#ifndef TIENDO_TOKEN_INTERNAL_H
#define TIENDO_TOKEN_INTERNAL_H

#include "token_outside.h"
#include "token.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#define TOKEN_DIGEST_BYTES  32
#define TOKEN_SIGNATURE_MAX 1024 /* RSA of 8192 bits */
#define TOKEN_ANY_KID_CHARS 256  /* a kid of somebody else's, with its NUL */
#define TOKEN_KID_ALPHABET  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* The algorithms of signatures: each key is for one of them. None with a shared secret, and no "none". */
enum token_alg { TOKEN_ES256, TOKEN_RS256, TOKEN_PS256, TOKEN_EDDSA, TOKEN_N_ALGS };

/* alg.c: names as in RFC 7518 and 8037; -EINVAL for any other. */
int token_alg_parse(const char *name, enum token_alg *ret_alg);
const char *token_alg_name(enum token_alg alg);
/* Checks a signature over the signed part: 0, -EKEYREJECTED, -ENOMEM. */
int token_signature_check(
    EVP_PKEY *pkey, enum token_alg alg, const void *p, size_t n, const uint8_t *signature, size_t signature_n);

/* key.c: a public key that tokens are checked with */
struct token_key {
    char kid[TOKEN_ANY_KID_CHARS];
    enum token_alg alg;
    char *jwk; /* ours: public members alone, in a fixed order; others': what tells the key from any other */
    EVP_PKEY *pkey;
};
int token_key_read(const char *jwk, struct token_key *ret_key);
void token_key_clear(struct token_key *key);
/* A public key from its parameters. 0, -EINVAL (no such key), -ENOMEM. */
int token_pkey_make(const char *type, OSSL_PARAM *params, EVP_PKEY **ret_pkey);
/* An uncompressed point (4, x, y) of P-256; one that is not on the curve is refused. */
#define TOKEN_COORDINATE_BYTES 32
#define TOKEN_POINT_BYTES      (1 + 2 * TOKEN_COORDINATE_BYTES)
int token_pkey_from_point(uint8_t *point, EVP_PKEY **ret_pkey);

/* jwks.c: the usable keys of a set of somebody else's */
struct key_set;
int token_jwks_read(const char *p, size_t n, const bool *algs, struct key_set **ret_set, size_t *ret_skipped,
    char *reason, size_t reason_n);

/* ring.c: one immutable set of keys after the other; readers hold a reference while they check */
struct key_set {
    atomic_size_t refs;
    uint64_t generation;
    size_t n;
    struct token_key keys[];
};
struct key_ring {
    pthread_rwlock_t lock;
    struct key_set *set;
    _Atomic uint64_t generation; /* of the current set; remembered tokens of another are void */
    int (*reload)(void *userdata);
    void *userdata;
    int64_t reload_interval; /* seconds */
    int reload_burst;
    pthread_mutex_t reload_lock;
    int64_t reload_refilled_us;
    int reloads_left;
    int reload_result;
};
struct key_set *key_set_new(size_t n); /* n counts up as its keys are filled in */
void key_set_unref(struct key_set *set);
void key_set_unrefp(struct key_set **set);
int key_ring_init(
    struct key_ring *ring, int (*reload)(void *), void *userdata, int64_t reload_interval, int reload_burst);
void key_ring_done(struct key_ring *ring);
struct key_set *key_ring_acquire(struct key_ring *ring);
/* Takes the set over; whether it says anything new. */
bool key_ring_replace(struct key_ring *ring, struct key_set *set);
const struct token_key *key_set_find(const struct key_set *set, const char *kid, enum token_alg alg);
/* The key, loading the keys anew where it is unknown: 0, -ENOKEY, -EAGAIN when they were not to be had. */
int key_ring_find(struct key_ring *ring, const char *kid, enum token_alg alg, int64_t now_us, struct key_set **ret_set,
    const struct token_key **ret_key);

/* parse.c: the compact form, before anything in it is believed */
struct token_parts {
    char alg[16];
    char kid[TOKEN_ANY_KID_CHARS]; /* "" without one */
    size_t signed_n;               /* header and payload with the dot between */
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    size_t signature_n;
    json_t *payload;
};
int token_parse(const char *p, size_t n, struct token_parts *ret_parts);
void token_parts_clear(struct token_parts *parts);

/* claims.c: what the payload says, once the signature held */
bool token_text_is(const json_t *value, const char *wanted);
bool token_audience_has(const json_t *value, const char *wanted);
/* exp and iat needed, nbf if there: 0, -EKEYEXPIRED, -EKEYREJECTED. */
int token_dates_check(
    const json_t *payload, int64_t leeway, int64_t now_us, int64_t *ret_issued_us, int64_t *ret_expires_us);
int token_claims_check(const struct token_verifier *verifier, const struct token_options *options,
    const json_t *payload, int64_t now_us, struct identity *ret_identity);

/* cache.c: verified tokens by digest; each entry belongs to one generation of the key set */
struct token_cache;
struct token_cache *token_cache_new(size_t max);
void token_cache_free(struct token_cache *cache);
bool token_cache_get(struct token_cache *cache, const uint8_t *digest, uint64_t generation, int64_t now_us,
    struct identity *ret_identity);
void token_cache_put(struct token_cache *cache, const uint8_t *digest, uint64_t generation, int64_t now_us,
    const struct identity *identity);
void token_cache_drop(struct token_cache *cache, const uint8_t *digest);

#endif
