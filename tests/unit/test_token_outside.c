#include "suite.h"

#include <errno.h>
#include <openssl/rsa.h>
#include <string.h>

#include "forge.h"
#include "token_outside.h"

#define ISS   "https://sso.example.vn/realms/tinh"
#define GOOD  "\"iss\":\"" ISS "\",\"aud\":[\"account\",\"tiendo\"],\"typ\":\"Bearer\",\"azp\":\"web\""
#define DATES "\"iat\":%ld,\"exp\":%ld"

static struct token_outside *outside;
static int reloads, reload_result;

static int reload(void *userdata)
{
    (void)userdata;
    reloads++;
    return reload_result;
}

static void set_up(void)
{
    static const char *const algorithms[] = { "ES256", "EdDSA", "PS256", "RS256" };
    static const char *const audiences[] = { "tiendo", "tiendo-cu" };
    static const char *const required[] = { "typ=Bearer", "realm_access.roles=can-bo" };
    const struct token_outside_options options = { .issuer = ISS,
        .audiences = audiences,
        .n_audiences = 2,
        .algorithms = algorithms,
        .n_algorithms = 4,
        .required = required,
        .n_required = 1,
        .cache_max = 4096,
        .leeway = 30,
        .max_age = 3600,
        .reload = reload,
        .reload_interval = 3600 };
    struct token_jwks_report report;
    char *set;

    setup();
    reloads = reload_result = 0;
    ck_assert_int_eq(token_outside_new(&options, &outside), 0);
    ck_assert_int_gt(asprintf(&set, "{\"keys\":[%s]}", pair.jwk), 0);
    ck_assert_int_eq(token_outside_set_keys(outside, set, strlen(set), &report), 0);
    free(set);
}

static void tear_down(void)
{
    outside = token_outside_free(outside);
    teardown();
}

static int verify_outside(const char *token, struct token_said **ret_said)
{
    struct token_said *said = NULL;
    int r = token_outside_verify(outside, token, strlen(token), &said);

    if (ret_said)
        *ret_said = said;
    else
        token_said_free(said);
    return r;
}

/* A token with these claims, the dates in seconds from now. */
static char *forged(const char *claims, long iat, long exp)
{
    char *header = header_with(""), *payload = payload_at(claims, now_s() + iat, now_s() + exp);
    char *token = forge_n(header, payload, strlen(payload));

    free(header);
    free(payload);
    return token;
}

static const struct {
    const char *name, *claims;
    long iat, exp;
    int r;
} rows[] = {
    { "good", "{" GOOD "," DATES "}", 0, 300, 0 },
    { "the other audience", "{\"iss\":\"" ISS "\",\"aud\":\"tiendo-cu\",\"typ\":\"Bearer\"," DATES "}", 0, 300, 0 },
    { "no audience of ours", "{\"iss\":\"" ISS "\",\"aud\":[\"account\"],\"typ\":\"Bearer\"," DATES "}", 0, 300,
        -EKEYREJECTED },
    { "no audience", "{\"iss\":\"" ISS "\",\"typ\":\"Bearer\"," DATES "}", 0, 300, -EKEYREJECTED },
    { "audience with a number", "{\"iss\":\"" ISS "\",\"aud\":[1,\"tiendo\"],\"typ\":\"Bearer\"," DATES "}", 0, 300,
        -EKEYREJECTED },
    { "another issuer", "{\"iss\":\"" ISS "2\",\"aud\":\"tiendo\",\"typ\":\"Bearer\"," DATES "}", 0, 300,
        -EKEYREJECTED },
    { "our own issuer", "{\"iss\":\"" ISSUER "\",\"aud\":\"tiendo\",\"typ\":\"Bearer\"," DATES "}", 0, 300,
        -EKEYREJECTED },
    { "another typ", "{\"iss\":\"" ISS "\",\"aud\":\"tiendo\",\"typ\":\"ID\"," DATES "}", 0, 300, -EKEYREJECTED },
    { "no typ", "{\"iss\":\"" ISS "\",\"aud\":\"tiendo\"," DATES "}", 0, 300, -EKEYREJECTED },
    { "expired", "{" GOOD "," DATES "}", -300, 0, -EKEYEXPIRED },
    { "issued in a while", "{" GOOD "," DATES "}", 40, 300, -EKEYREJECTED },
    { "issued just now by another clock", "{" GOOD "," DATES "}", 20, 300, 0 },
    { "old, and good for a day", "{" GOOD "," DATES "}", -3601, 86400, -EKEYEXPIRED },
    { "not so old", "{" GOOD "," DATES "}", -3500, 86400, 0 },
    { "no exp", "{" GOOD ",\"iat\":%ld,\"x\":%ld}", 0, 300, -EKEYREJECTED },
    { "no iat", "{" GOOD ",\"x\":%ld,\"exp\":%ld}", 0, 300, -EKEYREJECTED },
    { "exp a text", "{" GOOD ",\"iat\":%ld,\"exp\":\"%ld\"}", 0, 300, -EKEYREJECTED },
    { "nbf far", "{" GOOD "," DATES ",\"nbf\":9999999999}", 0, 300, -EKEYREJECTED },
};

START_TEST(claims_are_checked)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *token = forged(rows[i].claims, rows[i].iat, rows[i].exp);
        int r = verify_outside(token, NULL);

        ck_assert_msg(r == rows[i].r, "%s gave %d", rows[i].name, r);
        free(token);
    }
}
END_TEST

START_TEST(an_age_ends_a_token_before_its_exp)
{
    struct token_said *said;
    char *token = forged("{" GOOD "," DATES "}", -3500, 86400);

    ck_assert_int_eq(verify_outside(token, &said), 0);
    ck_assert_int_le(token_said_expires_us(said), (int64_t)(now_s() + 101) * 1000000);
    token_said_free(said);
    free(token);
}
END_TEST

START_TEST(claims_are_found_by_path)
{
    struct token_said *said;
    const char *text = "x";
    char *token = forged("{" GOOD "," DATES
                         ",\"sid\":\"s\",\"a\":{\"b.c\":{\"d\":\"tìm thấy\",\"n\":7,\"t\":true}},\"none\":null,"
                         "\"realm_access\":{\"roles\":[\"x\",\"can-bo\",3]}}",
        0, 300);

    ck_assert_int_eq(verify_outside(token, &said), 0);
    ck_assert_int_eq(token_said_text(said, "sid", &text), 0);
    ck_assert_str_eq(text, "s");
    ck_assert_int_eq(token_said_text(said, "a.b\\.c.d", &text), 0);
    ck_assert_str_eq(text, "tìm thấy");
    static const char *const absent[] = { "", "a.b.c.d", "none", "nothing", "sid.more", "realm_access.roles.0", "." };
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        ck_assert_int_eq(token_said_text(said, absent[i], &text), 0);
        ck_assert_msg(text == NULL, "%s is %s", absent[i], text);
    }
    ck_assert_int_eq(token_said_text(said, "a", &text), -EKEYREJECTED);
    ck_assert_int_eq(token_said_text(said, "a.b\\.c.n", &text), -EKEYREJECTED);
    ck_assert(token_said_is(said, "realm_access.roles", "can-bo"));
    ck_assert(token_said_is(said, "realm_access.roles", "3"));
    ck_assert(!token_said_is(said, "realm_access.roles", "can"));
    ck_assert(!token_said_is(said, "realm_access", "can-bo"));
    ck_assert(token_said_is(said, "a.b\\.c.t", "true"));
    ck_assert(token_said_is(said, "a.b\\.c.n", "7"));
    ck_assert(!token_said_is(said, "none", ""));
    token_said_free(said);
    free(token);
}
END_TEST

START_TEST(whom_it_stands_for_is_remembered_and_forgotten)
{
    struct identity id = { .scopes = 3 }, seen;
    struct token_said *said;
    struct token_jwks_report report;
    struct token_pair other = { 0 };
    char *token = forged("{" GOOD "," DATES "}", 0, 300), *set;
    size_t n = strlen(token);

    ck_assert(!token_outside_recall(outside, token, n, &seen));
    ck_assert_int_eq(verify_outside(token, &said), 0);
    id.expires_us = token_said_expires_us(said);
    strcpy(id.grant, UUID);
    token_outside_remember(outside, said, &id);
    ck_assert(token_outside_recall(outside, token, n, &seen));
    ck_assert_str_eq(seen.grant, UUID);
    ck_assert(!token_outside_recall(outside, token, n - 1, &seen));
    ck_assert(!token_recall(verifier, token, n, &seen));
    token_outside_forget(outside, token, n);
    ck_assert(!token_outside_recall(outside, token, n, &seen));
    /* Other keys make it void, remembered or not. */
    token_outside_remember(outside, said, &id);
    ck_assert_int_eq(token_pair_generate(&other), 0);
    ck_assert_int_gt(asprintf(&set, "{\"keys\":[%s]}", other.jwk), 0);
    ck_assert_int_eq(token_outside_set_keys(outside, set, strlen(set), &report), 0);
    ck_assert(!token_outside_recall(outside, token, n, &seen));
    ck_assert_int_eq(verify_outside(token, NULL), -ENOKEY);
    token_pair_clear(&other);
    token_said_free(said);
    free(set);
    free(token);
}
END_TEST

START_TEST(unknown_keys_ask_for_a_reading_but_seldom)
{
    char *payload = payload_at("{" GOOD "," DATES "}", now_s(), now_s() + 300);
    char *token = forge_n("{\"alg\":\"ES256\",\"kid\":\"nobody\"}", payload, strlen(payload));

    reload_result = -EIO;
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(verify_outside(token, NULL), -EAGAIN);
    ck_assert_int_eq(reloads, 2);
    free(token);
    free(payload);
}
END_TEST

/* A signature with a key of another type; header and set name its algorithm. */
static char *signed_by(EVP_PKEY *pkey, const char *alg, bool pss)
{
    char header[64], *payload = payload_at("{" GOOD "," DATES "}", now_s(), now_s() + 300), *text, *token;
    char encoded[SECRET_BASE64URL_CHARS(512)];
    uint8_t signature[512];
    size_t n = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding;

    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"k\"}", alg);
    text = signed_part(header, payload, strlen(payload));
    ck_assert_int_eq(
        EVP_DigestSignInit(ctx, &padding, EVP_PKEY_is_a(pkey, "ED25519") ? NULL : EVP_sha256(), NULL, pkey), 1);
    if (pss)
        ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING), 1);
    if (pss)
        ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST), 1);
    ck_assert_int_eq(EVP_DigestSign(ctx, signature, &n, (const uint8_t *)text, strlen(text)), 1);
    secret_base64url_encode(signature, n, encoded);
    ck_assert_int_gt(asprintf(&token, "%s.%s", text, encoded), 0);
    EVP_MD_CTX_free(ctx);
    free(payload);
    free(text);
    return token;
}

static void accept_rsa(EVP_PKEY *pkey, const char *alg)
{
    struct token_jwks_report report;
    BIGNUM *n = NULL;
    uint8_t bytes[256];
    char encoded[SECRET_BASE64URL_CHARS(256)], set[1024];

    ck_assert_int_eq(EVP_PKEY_get_bn_param(pkey, "n", &n), 1);
    ck_assert_int_eq(BN_bn2binpad(n, bytes, sizeof bytes), sizeof bytes);
    secret_base64url_encode(bytes, sizeof bytes, encoded);
    snprintf(set, sizeof set, "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k\",\"e\":\"AQAB\",\"n\":\"%s\"%s%s%s}]}", encoded,
        alg ? ",\"alg\":\"" : "", alg ? alg : "", alg ? "\"" : "");
    ck_assert_int_eq(token_outside_set_keys(outside, set, strlen(set), &report), 0);
    BN_free(n);
}

START_TEST(an_rsa_key_is_for_one_padding)
{
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    char *plain = signed_by(pkey, "RS256", false), *pss = signed_by(pkey, "PS256", true);
    char *mixed = signed_by(pkey, "PS256", false);

    accept_rsa(pkey, NULL);
    ck_assert_int_eq(verify_outside(plain, NULL), 0);
    ck_assert_int_eq(verify_outside(pss, NULL), -ENOKEY);
    accept_rsa(pkey, "PS256");
    ck_assert_int_eq(verify_outside(plain, NULL), -ENOKEY);
    ck_assert_int_eq(verify_outside(pss, NULL), 0);
    ck_assert_int_eq(verify_outside(mixed, NULL), -EKEYREJECTED);
    free(plain);
    free(pss);
    free(mixed);
    EVP_PKEY_free(pkey);
}
END_TEST

START_TEST(ed25519_is_taken)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    char *token = signed_by(pkey, "EdDSA", false), set[256], encoded[SECRET_BASE64URL_CHARS(32)];
    struct token_jwks_report report;
    uint8_t x[32];
    size_t n = sizeof x;

    ck_assert_int_eq(EVP_PKEY_get_raw_public_key(pkey, x, &n), 1);
    secret_base64url_encode(x, n, encoded);
    snprintf(set, sizeof set, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"%s\"}]}", encoded);
    ck_assert_int_eq(token_outside_set_keys(outside, set, strlen(set), &report), 0);
    ck_assert_int_eq(verify_outside(token, NULL), 0);
    token[strlen(token) - 10] ^= 1;
    ck_assert_int_eq(verify_outside(token, NULL), -EKEYREJECTED);
    free(token);
    EVP_PKEY_free(pkey);
}
END_TEST

/* The same key accepted on both sides: what the claims say keeps them apart. */
START_TEST(a_token_of_ours_is_none_of_theirs)
{
    char *ours = issue_with(&pair, 300), *theirs = forged("{" GOOD "," DATES "}", 0, 300), iss[64];

    ck_assert_int_eq(verify(ours), 0);
    ck_assert_int_eq(verify_outside(ours, NULL), -EKEYREJECTED);
    ck_assert_int_eq(verify_outside(theirs, NULL), 0);
    ck_assert_int_eq(verify(theirs), -EKEYREJECTED);
    ck_assert_int_eq(token_issuer(ours, strlen(ours), iss, sizeof iss), 0);
    ck_assert_str_eq(iss, ISSUER);
    free(ours);
    free(theirs);
}
END_TEST

RUN_TESTS_WITH("token_outside", set_up, tear_down, claims_are_checked, an_age_ends_a_token_before_its_exp,
    claims_are_found_by_path, whom_it_stands_for_is_remembered_and_forgotten, unknown_keys_ask_for_a_reading_but_seldom,
    an_rsa_key_is_for_one_padding, ed25519_is_taken, a_token_of_ours_is_none_of_theirs)
