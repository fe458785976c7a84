/*
 * Any bytes as a JWK set, as a token, and as the claims of a token that is truly signed: nothing is read amiss, a set that is
 * refused changes nothing, and no token holds but the signed one with the claims it needs.
 */
#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "secret.h"
#include "token_outside.h"

#define ISS      "https://sso.example.vn"
#define TEXT_MAX 6000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(const int *argc, char ***argv);

static struct token_outside *outside;
static struct token_pair pair;
static EVP_PKEY *private_key;

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "not so: %s\n", what);
    abort();
}

static void accept_our_key(void)
{
    struct token_jwks_report report;
    char set[512];

    (void)snprintf(set, sizeof(set), "{\"keys\":[%s]}", pair.jwk);
    expect(token_outside_set_keys(outside, set, strlen(set), &report) == 0, "a good set is taken");
}

int LLVMFuzzerInitialize(const int *argc, char ***argv)
{
    static const char *const algorithms[] = { "ES256", "RS256", "PS256", "EdDSA" }, *const audiences[] = { "tiendo" };
    const struct token_outside_options options = { .issuer = ISS,
        .audiences = audiences,
        .n_audiences = 1,
        .algorithms = algorithms,
        .n_algorithms = 4,
        .cache_max = 64,
        .leeway = 30,
        .max_age = 3600 };
    BIO *bio;

    (void)argc;
    (void)argv;
    expect(
        secret_init() == 0 && token_pair_generate(&pair) == 0 && token_outside_new(&options, &outside) == 0, "set up");
    bio = BIO_new_mem_buf(pair.pem, -1);
    private_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    accept_our_key();
    return 0;
}

static void try_set(const char *p, size_t n)
{
    struct token_jwks_report report;
    int r = token_outside_set_keys(outside, p, n, &report);

    expect(r == 0 || r == -EBADMSG, "a set is taken or refused");
    expect(r == 0 ? report.keys > 0 : !report.changed && report.reason[0] != '\0', "and the report says which");
    if (r == 0)
        accept_our_key();
}

static void try_token(const char *p, size_t n)
{
    struct token_said *said = NULL;
    char iss[64];

    (void)token_issuer(p, n, iss, sizeof(iss));
    expect(token_outside_verify(outside, p, n, &said) < 0, "an unsigned token is refused");
}

static void sign(const char *text, uint8_t ret[64])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[128];
    const uint8_t *at = der;
    size_t n = sizeof(der);
    ECDSA_SIG *signature;

    expect(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, private_key) == 1 &&
            EVP_DigestSign(ctx, der, &n, (const uint8_t *)text, strlen(text)) == 1,
        "signed");
    signature = d2i_ECDSA_SIG(NULL, &at, (long)n);
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret + 32, 32);
    ECDSA_SIG_free(signature);
    EVP_MD_CTX_free(ctx);
}

/* The input's first line is a path, the rest further claims. */
static void try_claims(const char *p, size_t n)
{
    char header[128], claims[TEXT_MAX], path[64], token[TOKEN_MAX + 1], encoded[SECRET_BASE64URL_CHARS(64)];
    const char *line = memchr(p, '\n', n), *text;
    struct token_said *said = NULL;
    long now = (long)(clock_now_us() / 1000000);
    uint8_t signature[64];
    size_t path_n = line ? (size_t)(line - p) : 0, at;

    if (!line || path_n >= sizeof(path) || n > TEXT_MAX / 2 || memchr(p, '\0', n))
        return;
    memcpy(path, p, path_n);
    path[path_n] = '\0';
    (void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", pair.kid);
    (void)snprintf(claims, sizeof(claims), "{\"iss\":\"" ISS "\",\"aud\":\"tiendo\",\"iat\":%ld,\"exp\":%ld%.*s}", now,
        now + 60, (int)(n - path_n - 1), line + 1);
    secret_base64url_encode(header, strlen(header), token);
    at = strlen(token);
    token[at++] = '.';
    secret_base64url_encode(claims, strlen(claims), token + at);
    sign(token, signature);
    secret_base64url_encode(signature, sizeof(signature), encoded);
    at = strlen(token);
    (void)snprintf(token + at, sizeof(token) - at, ".%s", encoded);
    if (token_outside_verify(outside, token, strlen(token), &said) < 0)
        return;
    expect(token_said_text(said, "iss", &text) == 0 && strcmp(text, ISS) == 0, "the issuer is the one it has to be");
    expect(token_said_expires_us(said) <= (int64_t)(now + 3601) * 1000000, "no token outlives its age");
    if (token_said_text(said, path, &text) == 0 && text)
        expect(token_said_is(said, path, text), "what a claim says, it is");
    token_said_free(said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;

    if (size == 0)
        return 0;
    copy = malloc(size);
    expect(copy != NULL, "memory");
    memcpy(copy, data + 1, size - 1);
    switch (data[0] % 3) {
    case 0: try_set(copy, size - 1); break;
    case 1: try_token(copy, size - 1); break;
    default: try_claims(copy, size - 1); break;
    }
    free(copy);
    return 0;
}
