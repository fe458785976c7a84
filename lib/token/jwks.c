/*
 * JWK sets of outside issuers (RFC 7517), read with suspicion. A key that cannot be used is passed over, as the standard wants
 * it; a set that is broken, ambiguous or without any usable key is refused as a whole.
 */
#include "internal.h"
#include "secret.h"
#include "util.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    keys_max = 64,
    rsa_bits_min = 2048,
    rsa_bytes_max = TOKEN_SIGNATURE_MAX,
    exponent_bytes_max = 8,
    exponent_min = 65537,
    ed25519_bytes = 32,
};

/* How one key is read; *ret_why says what is wrong with it (-EINVAL). */
struct reading {
    const json_t *jwk;
    const bool *algs;
    const char *why;
};

static int refuse(struct reading *reading, const char *why)
{
    reading->why = why;
    return -EINVAL;
}

static const char *member(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name));
}

static bool text_of(const json_t *jwk, const char *name, uint8_t *ret, size_t max, size_t *ret_n)
{
    const char *text = member(jwk, name);

    return text && secret_base64url_decode(text, strlen(text), ret, max, ret_n) == 0 && *ret_n > 0;
}

/* ---- by type ---- */

static int rsa_build(BIGNUM *n, BIGNUM *e, EVP_PKEY **ret_pkey)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    int r = -ENOMEM;

    if (builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(builder);
    if (params)
        r = token_pkey_make("RSA", params, ret_pkey);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return r;
}

static int rsa_read(struct reading *reading, EVP_PKEY **ret_pkey)
{
    uint8_t n_bytes[rsa_bytes_max], e_bytes[exponent_bytes_max];
    size_t n_size, e_size;
    BIGNUM *n, *e;
    int r = -ENOMEM;

    if (!text_of(reading->jwk, "n", n_bytes, sizeof n_bytes, &n_size))
        return refuse(reading, "n is no number of at most 8192 bits");
    if (!text_of(reading->jwk, "e", e_bytes, sizeof e_bytes, &e_size))
        return refuse(reading, "e is no number of at most 64 bits");
    n = BN_bin2bn(n_bytes, (int)n_size, NULL);
    e = BN_bin2bn(e_bytes, (int)e_size, NULL);
    if (n && e) {
        if (BN_num_bits(n) < rsa_bits_min || !BN_is_odd(n))
            r = refuse(reading, "n is even or has fewer than 2048 bits");
        else if (BN_get_word(e) < exponent_min || !BN_is_odd(e))
            r = refuse(reading, "e is even or less than 65537");
        else
            r = rsa_build(n, e, ret_pkey);
    }
    BN_free(n);
    BN_free(e);
    return r == -EINVAL && !reading->why ? refuse(reading, "OpenSSL takes no such RSA key") : r;
}

static int ec_read(struct reading *reading, EVP_PKEY **ret_pkey)
{
    uint8_t point[TOKEN_POINT_BYTES] = { 4 };
    const char *crv = member(reading->jwk, "crv");
    size_t x, y;
    int r;

    if (!crv || strcmp(crv, "P-256") != 0)
        return refuse(reading, "the curve is not P-256");
    if (!text_of(reading->jwk, "x", point + 1, TOKEN_COORDINATE_BYTES, &x) || x != TOKEN_COORDINATE_BYTES ||
        !text_of(reading->jwk, "y", point + 1 + TOKEN_COORDINATE_BYTES, TOKEN_COORDINATE_BYTES, &y) ||
        y != TOKEN_COORDINATE_BYTES)
        return refuse(reading, "x and y are not 32 bytes each");
    r = token_pkey_from_point(point, ret_pkey);
    return r == -EINVAL ? refuse(reading, "the point is not on the curve") : r;
}

static int okp_read(struct reading *reading, EVP_PKEY **ret_pkey)
{
    uint8_t x[ed25519_bytes];
    const char *crv = member(reading->jwk, "crv");
    size_t n;

    if (!crv || strcmp(crv, "Ed25519") != 0)
        return refuse(reading, "the curve is not Ed25519");
    if (!text_of(reading->jwk, "x", x, sizeof x, &n) || n != sizeof x)
        return refuse(reading, "x is not 32 bytes");
    *ret_pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, sizeof x);
    return *ret_pkey ? 0 : refuse(reading, "OpenSSL takes no such Ed25519 key");
}

static const struct type {
    const char *kty;
    int (*read)(struct reading *, EVP_PKEY **);
    enum token_alg algs[2]; /* the first that the issuer may use is the key's, unless it names one */
} types[] = {
    { "RSA", rsa_read, { TOKEN_RS256, TOKEN_PS256 } },
    { "EC", ec_read, { TOKEN_ES256, TOKEN_ES256 } },
    { "OKP", okp_read, { TOKEN_EDDSA, TOKEN_EDDSA } },
};

/* ---- one key ---- */

static int alg_of(struct reading *reading, const struct type *type, enum token_alg *ret_alg)
{
    const json_t *named = json_object_get(reading->jwk, "alg");
    enum token_alg alg;

    if (named && (!json_is_string(named) || token_alg_parse(json_string_value(named), &alg) < 0))
        return refuse(reading, "alg is none that is taken");
    for (size_t i = 0; i < ARRAY_SIZE(type->algs); i++)
        if (reading->algs[type->algs[i]] && (!named || alg == type->algs[i])) {
            *ret_alg = type->algs[i];
            return 0;
        }
    return refuse(reading, "alg does not fit the key, or the configuration does not name it");
}

/* use and key_ops, where they are there, must allow to verify. */
static bool may_verify(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops"), *op;
    bool verify = false;
    size_t i;

    if (use && !token_text_is(use, "sig"))
        return false;
    if (!ops)
        return true;
    json_array_foreach(ops, i, op)
    {
        if (!json_is_string(op))
            return false;
        verify = verify || token_text_is(op, "verify");
    }
    return verify;
}

static int kid_of(struct reading *reading, char ret[TOKEN_ANY_KID_CHARS])
{
    const json_t *value = json_object_get(reading->jwk, "kid");
    const char *kid = json_string_value(value);

    ret[0] = '\0';
    if (!value)
        return 0;
    if (!kid || !*kid || strlen(kid) >= TOKEN_ANY_KID_CHARS)
        return refuse(reading, "kid is no text of 1 to 255 bytes");
    memcpy(ret, kid, strlen(kid) + 1);
    return 0;
}

/* What tells the key from any other. */
static char *spell(const json_t *jwk, const char *kty, enum token_alg alg)
{
    static const char *const names[] = { "n", "e", "crv", "x", "y" };
    const char *values[ARRAY_SIZE(names)];
    char *text = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = member(jwk, names[i]);

        values[i] = value ? value : "";
    }
    if (asprintf(&text, "%s %s %s.%s.%s.%s.%s", kty, token_alg_name(alg), values[0], values[1], values[2], values[3],
            values[4]) < 0)
        return NULL;
    return text;
}

static int key_read(struct reading *reading, struct token_key *ret_key)
{
    const char *kty = member(reading->jwk, "kty");
    const struct type *type = NULL;
    int r;

    for (size_t i = 0; kty && i < ARRAY_SIZE(types); i++)
        if (strcmp(types[i].kty, kty) == 0)
            type = &types[i];
    if (!type)
        return refuse(reading, "kty is none that is taken");
    if (json_object_get(reading->jwk, "d"))
        return refuse(reading, "its private half is published with it");
    if (!may_verify(reading->jwk))
        return refuse(reading, "it is not for signatures");
    r = alg_of(reading, type, &ret_key->alg);
    if (r == 0)
        r = kid_of(reading, ret_key->kid);
    if (r == 0)
        r = type->read(reading, &ret_key->pkey);
    if (r < 0)
        return r;
    ret_key->jwk = spell(reading->jwk, kty, ret_key->alg);
    return ret_key->jwk ? 0 : -ENOMEM;
}

/* ---- the set ---- */

static void json_freep(json_t **json)
{
    json_decref(*json);
}

static bool has_twin(const struct key_set *set)
{
    const struct token_key *last = &set->keys[set->n - 1];

    for (size_t i = 0; i + 1 < set->n; i++)
        if (set->keys[i].alg == last->alg && strcmp(set->keys[i].kid, last->kid) == 0)
            return true;
    return false;
}

static int set_read(const json_t *list, const bool *algs, struct key_set *set, char *reason, size_t reason_n)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry)
    {
        struct reading reading = { .jwk = entry, .algs = algs };
        struct token_key *key = &set->keys[set->n];
        int r = json_is_object(entry) ? key_read(&reading, key) : refuse(&reading, "it is no object");

        if (r == -ENOMEM) {
            token_key_clear(key);
            return r;
        }
        if (r < 0) {
            token_key_clear(key);
            if (!reason[0])
                (void)snprintf(reason, reason_n, "key %zu is passed over: %s", i + 1, reading.why ? reading.why : "");
            continue;
        }
        set->n++;
        if (has_twin(set)) {
            (void)snprintf(reason, reason_n, "key %zu has the kid of another", i + 1);
            return -EBADMSG;
        }
    }
    return 0;
}

int token_jwks_read(const char *p, size_t n, const bool *algs, struct key_set **ret_set, size_t *ret_skipped,
    char *reason, size_t reason_n)
{
    _cleanup_(json_freep) json_t *json = n > TOKEN_JWKS_MAX ? NULL : json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL);
    _cleanup_(key_set_unrefp) struct key_set *set = NULL;
    const json_t *list = json_object_get(json, "keys");
    int r;

    reason[0] = '\0';
    if (!json_is_array(list) || json_array_size(list) > keys_max) {
        (void)snprintf(reason, reason_n, "%s",
            n > TOKEN_JWKS_MAX         ? "it is too large"
                : json_is_array(list)  ? "it has more than 64 keys"
                : json_is_object(json) ? "it has no list of keys"
                                       : "it is no JSON object");
        return -EBADMSG;
    }
    set = key_set_new(json_array_size(list));
    if (!set)
        return -ENOMEM;
    r = set_read(list, algs, set, reason, reason_n);
    if (r < 0)
        return r;
    if (set->n == 0) {
        if (!reason[0])
            (void)snprintf(reason, reason_n, "it has no key");
        return -EBADMSG;
    }
    *ret_skipped = json_array_size(list) - set->n;
    *ret_set = TAKE_PTR(set);
    return 0;
}
