/* What the files of this room share. */
#ifndef TIENDO_TOKEN_INTERNAL_H
#define TIENDO_TOKEN_INTERNAL_H

#include "token.h"

#include <jansson.h>
#include <openssl/evp.h>

#define TOKEN_DIGEST_BYTES    32
#define TOKEN_SIGNATURE_BYTES 64
#define TOKEN_KID_ALPHABET    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* key.c: a public key that tokens are checked with */
struct token_key {
    char kid[TOKEN_KID_CHARS];
    char *jwk; /* public members alone, in a fixed order */
    EVP_PKEY *pkey;
};
int token_key_read(const char *jwk, struct token_key *ret_key);
void token_key_clear(struct token_key *key);
/* Checks r || s over the signed part: 0, -EKEYREJECTED, -ENOMEM. */
int token_key_check(const struct token_key *key, const void *p, size_t n, const uint8_t *signature);

/* parse.c: the compact form, before anything in it is believed */
struct token_parts {
    char kid[TOKEN_KID_CHARS];
    size_t signed_n; /* header and payload with the dot between */
    uint8_t signature[TOKEN_SIGNATURE_BYTES];
    json_t *payload;
};
int token_parse(const char *p, size_t n, struct token_parts *ret_parts);
void token_parts_clear(struct token_parts *parts);

/* claims.c: what the payload says, once the signature held */
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

#endif
