/* Makes tokens that another service, or nobody in their right mind, would send. */
#ifndef TIENDO_TEST_FORGE_H
#define TIENDO_TEST_FORGE_H

#include <check.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "secret.h"
#include "token.h"

#define ISSUER   "https://tiendo.example"
#define AUDIENCE "tiendo"
#define UUID     "0190b6a0-7c1e-7000-8000-0123456789ab"
/* What every good payload holds besides its dates. */
#define IDS \
    "\"sub\":\"" UUID "\",\"sid\":\"" UUID "\",\"grant\":\"" UUID "\",\"jti\":\"" UUID \
    "\",\"client_id\":\"tiendo\",\"scope\":\"values:read\""
#define WHO "\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\"," IDS

static const char *const scopes[] = { "values:read", "values:write", "me:read", NULL };
static struct token_pair pair;
static struct token_verifier *verifier;

static inline void setup(void)
{
    const struct token_options options = {
        .issuer = ISSUER, .audience = AUDIENCE, .scopes = scopes, .cache_max = 4096, .leeway = 30, .reload_interval = 1
    };
    const char *jwk;

    ck_assert_int_eq(secret_init(), 0);
    ck_assert_int_eq(token_pair_generate(&pair), 0);
    ck_assert_int_eq(token_verifier_new(&options, &verifier), 0);
    jwk = pair.jwk;
    ck_assert_int_eq(token_verifier_set_keys(verifier, &jwk, 1), 0);
}

static inline void teardown(void)
{
    verifier = token_verifier_free(verifier);
    token_pair_clear(&pair);
}

static inline long now_s(void)
{
    return (long)(clock_now_us() / 1000000);
}

static inline EVP_PKEY *private_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    ck_assert_ptr_nonnull(pkey);
    return pkey;
}

static inline void sign_es256(const char *pem, const char *text, size_t n, uint8_t ret[64])
{
    EVP_PKEY *pkey = private_key(pem);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[128];
    const uint8_t *at = der;
    size_t der_n = sizeof der;
    ECDSA_SIG *sig;

    ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
    ck_assert_int_eq(EVP_DigestSign(ctx, der, &der_n, (const uint8_t *)text, n), 1);
    sig = d2i_ECDSA_SIG(NULL, &at, (long)der_n);
    ck_assert_ptr_nonnull(sig);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + 32, 32);
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
}

static inline char *signed_part(const char *header, const char *payload, size_t payload_n)
{
    char *h = malloc(SECRET_BASE64URL_CHARS(strlen(header))), *p = malloc(SECRET_BASE64URL_CHARS(payload_n)), *text;

    secret_base64url_encode(header, strlen(header), h);
    secret_base64url_encode(payload, payload_n, p);
    ck_assert_int_gt(asprintf(&text, "%s.%s", h, p), 0);
    free(h);
    free(p);
    return text;
}

/* A token with any header and payload, truly signed. */
static inline char *forge_n(const char *header, const char *payload, size_t payload_n)
{
    char *text = signed_part(header, payload, payload_n), signature[87], *token;
    uint8_t raw[64];

    sign_es256(pair.pem, text, strlen(text), raw);
    secret_base64url_encode(raw, sizeof raw, signature);
    ck_assert_int_gt(asprintf(&token, "%s.%s", text, signature), 0);
    free(text);
    return token;
}

static inline char *header_with(const char *more)
{
    char *header;

    ck_assert_int_gt(asprintf(&header, "{\"alg\":\"ES256\",\"kid\":\"%s\"%s}", pair.kid, more), 0);
    return header;
}

/* Puts the two dates where the pattern has %ld. */
static inline char *payload_at(const char *pattern, long iat, long exp)
{
    const long dates[] = { iat, exp };
    char *payload = malloc(strlen(pattern) + 64), *at = payload;
    size_t n = 0;

    ck_assert_ptr_nonnull(payload);
    for (const char *p = pattern; *p;) {
        if (n < 2 && strncmp(p, "%ld", 3) == 0) {
            at += sprintf(at, "%ld", dates[n++]);
            p += 3;
        } else {
            *at++ = *p++;
        }
    }
    *at = '\0';
    return payload;
}

static inline char *good_payload(void)
{
    return payload_at("{" WHO ",\"iat\":%ld,\"exp\":%ld}", now_s(), now_s() + 600);
}

static inline int verify(const char *token)
{
    struct identity id;

    return token_verify(verifier, token, strlen(token), &id);
}

static inline int verify_forged(const char *header, const char *payload)
{
    char *token = forge_n(header, payload, strlen(payload));
    int r = verify(token);

    free(token);
    return r;
}

static inline char *issue_with(const struct token_pair *p, int64_t lifetime)
{
    const struct token_claims claims = { .issuer = ISSUER,
        .audience = AUDIENCE,
        .subject = UUID,
        .client_id = "tiendo",
        .session = UUID,
        .grant = UUID,
        .scope = "values:read me:read unknown:word",
        .lifetime = lifetime };
    char *token = NULL;

    ck_assert_int_eq(token_issue(p->kid, p->pem, &claims, &token), 0);
    return token;
}

#define ROW_COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

#endif
