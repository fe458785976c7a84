/* P-256 keys: made, written as JWK, read from JWK, checked with. */
#include "internal.h"
#include "secret.h"
#include "util.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    coordinate_bytes = TOKEN_COORDINATE_BYTES,
    coordinate_chars = SECRET_BASE64URL_CHARS(coordinate_bytes),
    point_bytes = TOKEN_POINT_BYTES,
};

static void pkey_freep(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
}

static void json_freep(json_t **json)
{
    json_decref(*json);
}

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

/* The members in the order that a thumbprint wants, so that both come from one place. */
static int thumbprint(const char *x, const char *y, char ret_kid[TOKEN_KID_CHARS])
{
    char text[160];
    uint8_t digest[SECRET_SHA256_BYTES];
    int n;

    n = snprintf(text, sizeof text, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
    if (n < 0 || (size_t)n >= sizeof text)
        return -EINVAL;
    secret_sha256(text, (size_t)n, digest);
    secret_base64url_encode(digest, sizeof digest, ret_kid);
    return 0;
}

static char *jwk_text(const char *x, const char *y, const char *kid)
{
    char *text = NULL;

    if (asprintf(&text,
            "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\",\"kid\":\"%s\",\"use\":\"sig\","
            "\"alg\":\"ES256\"}",
            x, y, kid) < 0)
        return NULL;
    return text;
}

static int pkey_point(EVP_PKEY *pkey, char ret_x[coordinate_chars], char ret_y[coordinate_chars])
{
    uint8_t point[point_bytes];
    size_t n;

    if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) != 1)
        return -EIO;
    if (n != point_bytes || point[0] != 4)
        return -EIO;
    secret_base64url_encode(point + 1, coordinate_bytes, ret_x);
    secret_base64url_encode(point + 1 + coordinate_bytes, coordinate_bytes, ret_y);
    return 0;
}

static int pkey_pem(EVP_PKEY *pkey, char **ret_pem)
{
    _cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_secmem());
    char *data, *pem;
    long n;

    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return -ENOMEM;
    n = BIO_get_mem_data(bio, &data);
    if (n <= 0)
        return -EIO;
    pem = strndup(data, (size_t)n);
    if (!pem)
        return -ENOMEM;
    *ret_pem = pem;
    return 0;
}

int token_pair_generate(struct token_pair *ret_pair)
{
    _cleanup_(pkey_freep) EVP_PKEY *pkey = EVP_EC_gen("P-256");
    _cleanup_(token_pair_clear) struct token_pair pair = { 0 };
    char x[coordinate_chars], y[coordinate_chars];
    int r;

    if (!pkey)
        return -EIO;
    r = pkey_point(pkey, x, y);
    if (r < 0)
        return r;
    r = thumbprint(x, y, pair.kid);
    if (r < 0)
        return r;
    r = pkey_pem(pkey, &pair.pem);
    if (r < 0)
        return r;
    pair.jwk = jwk_text(x, y, pair.kid);
    if (!pair.jwk)
        return -ENOMEM;
    *ret_pair = pair;
    memset(&pair, 0, sizeof(pair));
    return 0;
}

void token_pair_clear(struct token_pair *pair)
{
    if (pair->pem)
        secret_wipe(pair->pem, strlen(pair->pem));
    free(pair->pem);
    free(pair->jwk);
    *pair = (struct token_pair){ 0 };
}

static const char *member(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name));
}

static bool member_is(const json_t *jwk, const char *name, const char *wanted, bool needed)
{
    const json_t *value = json_object_get(jwk, name);

    if (!value)
        return !needed;
    return json_is_string(value) && strcmp(json_string_value(value), wanted) == 0;
}

static int coordinate(const char *text, uint8_t *ret)
{
    size_t n;
    int r;

    if (!text)
        return -EINVAL;
    r = secret_base64url_decode(text, strlen(text), ret, coordinate_bytes, &n);
    return r < 0 || n != coordinate_bytes ? -EINVAL : 0;
}

int token_pkey_make(const char *type, OSSL_PARAM *params, EVP_PKEY **ret_pkey)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    int r = -EINVAL;

    if (!ctx)
        return -ENOMEM;
    if (EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1)
        r = 0;
    EVP_PKEY_CTX_free(ctx);
    if (r == 0)
        *ret_pkey = pkey;
    return r;
}

/* OpenSSL refuses a point that is not on the curve. */
int token_pkey_from_point(uint8_t *point, EVP_PKEY **ret_pkey)
{
    char group[] = "prime256v1";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, point_bytes),
        OSSL_PARAM_construct_end(),
    };

    return token_pkey_make("EC", params, ret_pkey);
}

int token_key_read(const char *jwk, struct token_key *ret_key)
{
    _cleanup_(json_freep) json_t *json = json_loads(jwk, JSON_REJECT_DUPLICATES, NULL);
    struct token_key key = { 0 };
    uint8_t point[point_bytes] = { 4 };
    const char *kid = member(json, "kid"), *x = member(json, "x"), *y = member(json, "y");
    int r;

    if (!member_is(json, "kty", "EC", true) || !member_is(json, "crv", "P-256", true) ||
        !member_is(json, "alg", "ES256", false) || !member_is(json, "use", "sig", false) || json_object_get(json, "d"))
        return -EINVAL;
    if (!kid || !*kid || strlen(kid) >= TOKEN_KID_CHARS || strspn(kid, TOKEN_KID_ALPHABET) != strlen(kid))
        return -EINVAL;
    if (coordinate(x, point + 1) < 0 || coordinate(y, point + 1 + coordinate_bytes) < 0)
        return -EINVAL;
    memcpy(key.kid, kid, strlen(kid) + 1);
    key.jwk = jwk_text(x, y, kid);
    if (!key.jwk)
        return -ENOMEM;
    r = token_pkey_from_point(point, &key.pkey);
    if (r < 0) {
        free(key.jwk);
        return r;
    }
    *ret_key = key;
    return 0;
}

void token_key_clear(struct token_key *key)
{
    EVP_PKEY_free(key->pkey);
    free(key->jwk);
    *key = (struct token_key){ 0 };
}
