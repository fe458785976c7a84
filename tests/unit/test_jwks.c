#include "suite.h"

#include <errno.h>
#include <string.h>

#include "secret.h"
#include "token_outside.h"

/* RFC 7515, appendix A.2: a key and a token that it signed; A.3 the same on P-256. */
#define A2_N \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-" \
    "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-" \
    "UTo7WTBEMa2R2CapHg" \
    "665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FR" \
    "WyuXpoQ"
#define A2_KEY "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"}"
#define A2_TOKEN \
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cn" \
    "VlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9" \
    "CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO" \
    "--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_I" \
    "oypGlUPQGe77Rw"
#define A3_X   "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define A3_Y   "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define A3_KEY "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"}"
#define A3_TOKEN \
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cn" \
    "VlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
/* RFC 7517, appendix A.1: an EC key for encryption and an RSA key. */
#define RFC7517 \
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\",\"y\":" \
    "\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"use\":\"enc\",\"kid\":\"1\"},{\"kty\":\"RSA\",\"n\":" \
    "\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok" \
    "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6" \
    "qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awa" \
    "pJzKnqDKgw\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}]}"
/* RFC 8037, appendix A.2. */
#define ED_KEY    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define EC(more)  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"" more "}"
#define RSA(more) "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"" more "}"
#define SET(keys) "{\"keys\":[" keys "]}"

static struct token_outside *outside;

static void set_up(void)
{
    static const char *const algorithms[] = { "RS256", "ES256", "EdDSA" }, *const audiences[] = { "tiendo" };
    const struct token_outside_options options = { .issuer = "joe",
        .audiences = audiences,
        .n_audiences = 1,
        .algorithms = algorithms,
        .n_algorithms = 3,
        .cache_max = 64,
        .leeway = 30,
        .max_age = 86400 };

    ck_assert_int_eq(secret_init(), 0);
    ck_assert_int_eq(token_outside_new(&options, &outside), 0);
}

static void tear_down(void)
{
    outside = token_outside_free(outside);
}

static int set_keys(const char *text, struct token_jwks_report *ret)
{
    return token_outside_set_keys(outside, text, strlen(text), ret);
}

static int verify(const char *token)
{
    struct token_said *said = NULL;
    int r = token_outside_verify(outside, token, strlen(token), &said);

    token_said_free(said);
    return r;
}

/* The appendices' claims have no aud, so that a right signature is told by what is refused next. */
START_TEST(signatures_of_the_standard_hold)
{
    struct token_jwks_report report;
    char wrong[] = A2_TOKEN;
    char iss[16];

    ck_assert_int_eq(token_issuer(A2_TOKEN, strlen(A2_TOKEN), iss, sizeof iss), 0);
    ck_assert_str_eq(iss, "joe");
    ck_assert_int_eq(token_issuer(A2_TOKEN, strlen(A2_TOKEN), iss, 3), -EBADMSG);
    ck_assert_int_eq(verify(A2_TOKEN), -ENOKEY);
    ck_assert_int_eq(set_keys(SET(A2_KEY), &report), 0);
    ck_assert_uint_eq(report.keys, 1);
    ck_assert_uint_eq(report.skipped, 0);
    ck_assert(report.changed);
    ck_assert_int_eq(verify(A2_TOKEN), -EKEYREJECTED);
    ck_assert_int_eq(verify(A3_TOKEN), -ENOKEY); /* one key, for another algorithm */
    wrong[strlen(wrong) - 20] ^= 1;
    ck_assert_int_eq(verify(wrong), -EKEYREJECTED);
    ck_assert_int_eq(set_keys(SET(A3_KEY), &report), 0);
    ck_assert_int_eq(verify(A2_TOKEN), -ENOKEY);
    ck_assert_int_eq(verify(A3_TOKEN), -EKEYREJECTED);
    ck_assert_int_eq(set_keys(SET(A3_KEY), &report), 0);
    ck_assert(!report.changed);
}
END_TEST

/* Without a kid there must be no choice. */
START_TEST(a_token_without_kid_has_the_only_key)
{
    struct token_jwks_report report;

    ck_assert_int_eq(set_keys(SET(EC(",\"kid\":\"a\"")), &report), 0);
    ck_assert_int_eq(verify(A3_TOKEN), -EKEYREJECTED); /* the key was found: its claims are refused */
    ck_assert_int_eq(set_keys(SET(EC(",\"kid\":\"a\"") "," RSA(",\"kid\":\"b\"")), &report), 0);
    ck_assert_int_eq(verify(A3_TOKEN), -ENOKEY);
    token_outside_drop_keys(outside);
    ck_assert_int_eq(verify(A3_TOKEN), -ENOKEY);
}
END_TEST

static const struct {
    const char *name, *text;
    int r;
    size_t keys, skipped;
} rows[] = {
    { "RFC 7517", RFC7517, 0, 1, 1 },
    { "RFC 8037", SET(ED_KEY), 0, 1, 0 },
    { "use sig", SET(EC(",\"use\":\"sig\"")), 0, 1, 0 },
    { "use enc", SET(EC(",\"use\":\"enc\"")), -EBADMSG, 0, 0 },
    { "use no text", SET(EC(",\"use\":[\"sig\"]")), -EBADMSG, 0, 0 },
    { "key_ops verify", SET(EC(",\"key_ops\":[\"sign\",\"verify\"]")), 0, 1, 0 },
    { "key_ops sign", SET(EC(",\"key_ops\":[\"sign\"]")), -EBADMSG, 0, 0 },
    { "key_ops empty", SET(EC(",\"key_ops\":[]")), -EBADMSG, 0, 0 },
    { "key_ops no list", SET(EC(",\"key_ops\":\"verify\"")), -EBADMSG, 0, 0 },
    { "alg of the key", SET(EC(",\"alg\":\"ES256\"")), 0, 1, 0 },
    { "alg of another type", SET(EC(",\"alg\":\"RS256\"")), -EBADMSG, 0, 0 },
    { "alg that is not configured", SET(RSA(",\"alg\":\"PS256\"")), -EBADMSG, 0, 0 },
    { "alg with a shared secret", SET(RSA(",\"alg\":\"HS256\"")), -EBADMSG, 0, 0 },
    { "alg none", SET(EC(",\"alg\":\"none\"")), -EBADMSG, 0, 0 },
    { "alg no text", SET(EC(",\"alg\":1")), -EBADMSG, 0, 0 },
    { "a private half", SET(EC(",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"")), -EBADMSG, 0, 0 },
    { "a good key beside it", SET(EC(",\"d\":\"AA\"") "," RSA("")), 0, 1, 1 },
    { "certificates are not looked at", SET(EC(",\"x5c\":[\"AA\"],\"x5t\":\"zz\"")), 0, 1, 0 },
    { "the same kid twice", SET(EC(",\"kid\":\"a\"") "," EC(",\"kid\":\"a\"")), -EBADMSG, 0, 0 },
    { "no kid twice", SET(EC("") "," EC("")), -EBADMSG, 0, 0 },
    { "the same kid of two types", SET(EC(",\"kid\":\"a\"") "," RSA(",\"kid\":\"a\"")), 0, 2, 0 },
    { "kid empty", SET(EC(",\"kid\":\"\"")), -EBADMSG, 0, 0 },
    { "kid no text", SET(EC(",\"kid\":7")), -EBADMSG, 0, 0 },
    { "another curve", SET("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"}"), -EBADMSG, 0,
        0 },
    { "off the curve", SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_Y "\",\"y\":\"" A3_X "\"}"), -EBADMSG, 0,
        0 },
    { "a short coordinate", SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"" A3_Y "\"}"), -EBADMSG, 0, 0 },
    { "padded base64", SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "=\",\"y\":\"" A3_Y "\"}"), -EBADMSG, 0,
        0 },
    { "no x", SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":\"" A3_Y "\"}"), -EBADMSG, 0, 0 },
    { "a weak RSA key", SET("{\"kty\":\"RSA\",\"n\":\"" A3_X "\",\"e\":\"AQAB\"}"), -EBADMSG, 0, 0 },
    { "exponent 1", SET("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQ\"}"), -EBADMSG, 0, 0 },
    { "exponent 3", SET("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"Aw\"}"), -EBADMSG, 0, 0 },
    { "an even exponent", SET("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAA\"}"), -EBADMSG, 0, 0 },
    { "a huge exponent", SET("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"" A3_X "\"}"), -EBADMSG, 0, 0 },
    { "an even modulus", SET("{\"kty\":\"RSA\",\"n\":\"" A2_N "AA\",\"e\":\"AQAB\"}"), -EBADMSG, 0, 0 },
    { "no exponent", SET("{\"kty\":\"RSA\",\"n\":\"" A2_N "\"}"), -EBADMSG, 0, 0 },
    { "a shared secret", SET("{\"kty\":\"oct\",\"k\":\"AAAA\"}"), -EBADMSG, 0, 0 },
    { "X25519", SET("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" A3_X "\"}"), -EBADMSG, 0, 0 },
    { "no kty", SET("{\"x\":\"" A3_X "\"}"), -EBADMSG, 0, 0 },
    { "no object among keys", SET("1,null," A3_KEY), 0, 1, 2 },
    { "no keys", SET(""), -EBADMSG, 0, 0 },
    { "keys no list", "{\"keys\":{}}", -EBADMSG, 0, 0 },
    { "keys twice", "{\"keys\":[" A3_KEY "],\"keys\":[]}", -EBADMSG, 0, 0 },
    { "a list", "[" A3_KEY "]", -EBADMSG, 0, 0 },
    { "a bare key", A3_KEY, -EBADMSG, 0, 0 },
    { "empty", "", -EBADMSG, 0, 0 },
    { "cut off", "{\"keys\":[" A3_KEY, -EBADMSG, 0, 0 },
    { "rubbish behind", SET(A3_KEY) "x", -EBADMSG, 0, 0 },
    { "a page", "<html>", -EBADMSG, 0, 0 },
};

START_TEST(sets_are_read_with_suspicion)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct token_jwks_report report = { 0 };
        int r = set_keys(rows[i].text, &report);

        ck_assert_msg(r == rows[i].r && report.keys == rows[i].keys && report.skipped == rows[i].skipped,
            "%s: %d, %zu keys, %zu passed over: %s", rows[i].name, r, report.keys, report.skipped, report.reason);
        ck_assert_msg(
            (r < 0 || report.skipped > 0) == (report.reason[0] != '\0'), "%s: %s", rows[i].name, report.reason);
    }
}
END_TEST

START_TEST(a_refused_set_changes_nothing)
{
    struct token_jwks_report report;

    ck_assert_int_eq(set_keys(SET(A3_KEY), &report), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].r < 0) {
            ck_assert_int_eq(set_keys(rows[i].text, &report), -EBADMSG);
            ck_assert(!report.changed);
            ck_assert_int_eq(verify(A3_TOKEN), -EKEYREJECTED); /* for its claims: the key is there */
        }
}
END_TEST

START_TEST(size_and_number_have_a_limit)
{
    struct token_jwks_report report;
    char *huge = malloc(TOKEN_JWKS_MAX + 100);

    ck_assert_ptr_nonnull(huge);
    memset(huge, ' ', TOKEN_JWKS_MAX + 100);
    memcpy(huge, SET(A3_KEY), strlen(SET(A3_KEY)));
    ck_assert_int_eq(token_outside_set_keys(outside, huge, TOKEN_JWKS_MAX, &report), 0);
    ck_assert_int_eq(token_outside_set_keys(outside, huge, TOKEN_JWKS_MAX + 1, &report), -EBADMSG);
    ck_assert_str_eq(report.reason, "it is too large");
    strcpy(huge, "{\"keys\":[1");
    for (int i = 0; i < 64; i++)
        strcat(huge, ",1");
    strcat(huge, "]}");
    ck_assert_int_eq(set_keys(huge, &report), -EBADMSG);
    ck_assert_str_eq(report.reason, "it has more than 64 keys");
    free(huge);
}
END_TEST

START_TEST(an_unknown_algorithm_is_no_configuration)
{
    static const char *const algorithms[] = { "HS256" };
    const struct token_outside_options options = { .algorithms = algorithms, .n_algorithms = 1, .cache_max = 8 };
    struct token_outside *none = NULL;

    ck_assert_int_eq(token_outside_new(&options, &none), -EINVAL);
    ck_assert_ptr_null(none);
}
END_TEST

RUN_TESTS_WITH("jwks", set_up, tear_down, signatures_of_the_standard_hold, a_token_without_kid_has_the_only_key,
    sets_are_read_with_suspicion, a_refused_set_changes_nothing, size_and_number_have_a_limit,
    an_unknown_algorithm_is_no_configuration)
