#include <check.h>
#include <errno.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "forge.h"

START_TEST(issued_token_says_who_calls)
{
    char *token = issue_with(&pair, 600);
    struct identity id;

    for (int twice = 0; twice < 2; twice++) { /* anew, then remembered */
        memset(&id, 0xff, sizeof id);
        ck_assert_int_eq(token_verify(verifier, token, strlen(token), &id), 0);
        ck_assert_str_eq(id.grant, UUID);
        ck_assert_str_eq(id.session, UUID);
        ck_assert_str_eq(id.subject, UUID);
        ck_assert_str_eq(id.client_id, "tiendo");
        ck_assert_str_eq(id.kid, pair.kid);
        ck_assert_uint_eq(strlen(id.jti), 36);
        ck_assert_uint_eq(id.scopes, 5);
        ck_assert_int_ge(id.expires_us, clock_now_us() + 598000000);
    }
    free(token);
}
END_TEST

static const struct {
    const char *name, *more;
    int r;
} header_rows[] = {
    { "plain", "", 0 },
    { "typ JWT", ",\"typ\":\"JWT\"", 0 },
    { "typ at+jwt", ",\"typ\":\"at+jwt\"", 0 },
    { "typ of something else", ",\"typ\":\"logout+jwt\"", -EKEYREJECTED },
    { "typ no string", ",\"typ\":1", -EKEYREJECTED },
    { "crit", ",\"crit\":[\"exp\"]", -EKEYREJECTED },
    { "empty crit", ",\"crit\":[]", -EKEYREJECTED },
    { "embedded key", ",\"jwk\":{\"kty\":\"EC\"}", -EKEYREJECTED },
    { "key address", ",\"jku\":\"https://evil.example\"", -EKEYREJECTED },
    { "certificate address", ",\"x5u\":\"https://evil.example\"", -EKEYREJECTED },
    { "certificate", ",\"x5c\":[\"AA\"]", -EKEYREJECTED },
    { "unencoded payload", ",\"b64\":false", -EKEYREJECTED },
    { "compressed", ",\"zip\":\"DEF\"", -EKEYREJECTED },
    { "second alg", ",\"alg\":\"ES256\"", -EBADMSG },
    { "second kid", ",\"kid\":\"x\"", -EBADMSG },
};

START_TEST(header_is_read_strictly)
{
    char *header = header_with(header_rows[_i].more), *payload = good_payload();
    int r = verify_forged(header, payload);

    ck_assert_msg(r == header_rows[_i].r, "%s gave %d", header_rows[_i].name, r);
    free(header);
    free(payload);
}
END_TEST

static const struct {
    const char *name, *header;
    int r;
} whole_header_rows[] = {
    { "no kid", "{\"alg\":\"ES256\"}", -EKEYREJECTED },
    { "kid no string", "{\"alg\":\"ES256\",\"kid\":null}", -EKEYREJECTED },
    { "empty kid", "{\"alg\":\"ES256\",\"kid\":\"\"}", -EKEYREJECTED },
    { "unknown kid", "{\"alg\":\"ES256\",\"kid\":\"nobody\"}", -ENOKEY },
    { "long kid", "{\"alg\":\"ES256\",\"kid\":\"0123456789012345678901234567890123456789012345678901234567\"}",
        -ENOKEY },
    { "no alg", "{\"kid\":\"KID\"}", -EKEYREJECTED },
    { "alg ES384", "{\"alg\":\"ES384\",\"kid\":\"KID\"}", -EKEYREJECTED },
    { "alg in small letters", "{\"alg\":\"es256\",\"kid\":\"KID\"}", -EKEYREJECTED },
    { "an array", "[]", -EBADMSG },
    { "rubbish after", "{\"alg\":\"ES256\",\"kid\":\"KID\"}x", -EBADMSG },
    { "no JSON", "ES256", -EBADMSG },
    { "empty", "", -EBADMSG },
};

START_TEST(header_without_a_key_of_ours_is_refused)
{
    const char *row = whole_header_rows[_i].header, *kid = strstr(row, "KID");
    char header[256], *payload = good_payload();
    int r;

    snprintf(
        header, sizeof header, "%.*s%s%s", kid ? (int)(kid - row) : 0, row, kid ? pair.kid : "", kid ? kid + 3 : row);
    r = verify_forged(header, payload);
    ck_assert_msg(r == whole_header_rows[_i].r, "%s gave %d", whole_header_rows[_i].name, r);
    free(payload);
}
END_TEST

START_TEST(alg_none_is_refused)
{
    char *payload = good_payload(), header[128], *text, *token;

    snprintf(header, sizeof header, "{\"alg\":\"none\",\"kid\":\"%s\"}", pair.kid);
    text = signed_part(header, payload, strlen(payload));
    ck_assert_int_gt(asprintf(&token, "%s.", text), 0);
    ck_assert_int_eq(verify(token), -EKEYREJECTED);
    free(token);
    ck_assert_int_eq(verify(text), -EBADMSG); /* two parts */
    free(text);
    free(payload);
}
END_TEST

START_TEST(hs256_with_the_public_key_is_refused)
{
    EVP_PKEY *pkey = private_key(pair.pem);
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem, *payload = good_payload(), header[128], *text, signature[44], *token;
    uint8_t mac[32];
    unsigned int n = sizeof mac;
    long pem_n;

    PEM_write_bio_PUBKEY(bio, pkey);
    pem_n = BIO_get_mem_data(bio, &pem);
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", pair.kid);
    text = signed_part(header, payload, strlen(payload));
    HMAC(EVP_sha256(), pem, (int)pem_n, (const uint8_t *)text, strlen(text), mac, &n);
    secret_base64url_encode(mac, n, signature);
    ck_assert_int_gt(asprintf(&token, "%s.%s", text, signature), 0);
    ck_assert_int_eq(verify(token), -EKEYREJECTED);
    free(token);
    free(text);
    free(payload);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
}
END_TEST

#define N "%ld"
static const struct {
    const char *name, *format; /* iat, exp are put in */
    long iat, exp;             /* seconds from now */
    int r;
} payload_rows[] = {
    { "good", "{" WHO ",\"iat\":" N ",\"exp\":" N "}", 0, 600, 0 },
    { "audience in a list",
        "{\"iss\":\"" ISSUER "\",\"aud\":[\"x\",\"" AUDIENCE "\"]," IDS ",\"iat\":" N ",\"exp\":" N "}", 0, 600, 0 },
    { "expired", "{" WHO ",\"iat\":" N ",\"exp\":" N "}", -600, -1, -EKEYEXPIRED },
    { "expires now", "{" WHO ",\"iat\":" N ",\"exp\":" N "}", -600, 0, -EKEYEXPIRED },
    { "exp a string", "{" WHO ",\"iat\":" N ",\"exp\":\"" N "\"}", 0, 600, -EKEYREJECTED },
    { "exp a real", "{" WHO ",\"iat\":" N ",\"exp\":" N ".5}", 0, 600, -EKEYREJECTED },
    { "exp true", "{" WHO ",\"iat\":" N ",\"exp\":true,\"x\":" N "}", 0, 600, -EKEYREJECTED },
    { "no exp", "{" WHO ",\"iat\":" N ",\"x\":" N "}", 0, 600, -EKEYREJECTED },
    { "huge exp", "{" WHO ",\"iat\":" N ",\"exp\":9223372036854775807,\"x\":" N "}", 0, 600, -EKEYREJECTED },
    { "exp past 64 bits", "{" WHO ",\"iat\":" N ",\"exp\":9223372036854775808,\"x\":" N "}", 0, 600, -EBADMSG },
    { "exp far off", "{" WHO ",\"iat\":" N ",\"exp\":" N "}", 0, 90000, -EKEYREJECTED },
    { "negative exp", "{" WHO ",\"iat\":" N ",\"exp\":-1,\"x\":" N "}", 0, 600, -EKEYREJECTED },
    { "no iat", "{" WHO ",\"x\":" N ",\"exp\":" N "}", 0, 600, -EKEYREJECTED },
    { "iat in the future", "{" WHO ",\"iat\":" N ",\"exp\":" N "}", 120, 600, -EKEYREJECTED },
    { "iat a little ahead", "{" WHO ",\"iat\":" N ",\"exp\":" N "}", 10, 600, 0 },
    { "iat a string", "{" WHO ",\"iat\":\"" N "\",\"exp\":" N "}", 0, 600, -EKEYREJECTED },
    { "nbf in the future", "{" WHO ",\"nbf\":4102444800,\"iat\":" N ",\"exp\":" N "}", 0, 600, -EKEYREJECTED },
    { "nbf a string", "{" WHO ",\"nbf\":\"0\",\"iat\":" N ",\"exp\":" N "}", 0, 600, -EKEYREJECTED },
    { "nbf past", "{" WHO ",\"nbf\":1,\"iat\":" N ",\"exp\":" N "}", 0, 600, 0 },
    { "wrong issuer", "{\"iss\":\"" ISSUER "/\",\"aud\":\"" AUDIENCE "\"," IDS ",\"iat\":" N ",\"exp\":" N "}", 0, 600,
        -EKEYREJECTED },
    { "issuer with a NUL",
        "{\"iss\":\"" ISSUER "\\u0000\",\"aud\":\"" AUDIENCE "\"," IDS ",\"iat\":" N ",\"exp\":" N "}", 0, 600,
        -EBADMSG },
    { "no issuer", "{\"aud\":\"" AUDIENCE "\"," IDS ",\"iat\":" N ",\"exp\":" N "}", 0, 600, -EKEYREJECTED },
    { "wrong audience", "{\"iss\":\"" ISSUER "\",\"aud\":\"other\"," IDS ",\"iat\":" N ",\"exp\":" N "}", 0, 600,
        -EKEYREJECTED },
    { "empty audience", "{\"iss\":\"" ISSUER "\",\"aud\":[]," IDS ",\"iat\":" N ",\"exp\":" N "}", 0, 600,
        -EKEYREJECTED },
    { "audience with a number",
        "{\"iss\":\"" ISSUER "\",\"aud\":[\"" AUDIENCE "\",1]," IDS ",\"iat\":" N ",\"exp\":" N "}", 0, 600,
        -EKEYREJECTED },
    { "claim twice", "{" WHO ",\"iat\":" N ",\"exp\":" N ",\"sub\":\"" UUID "\"}", 0, 600, -EBADMSG },
    { "subject no id",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"admin\",\"sid\":\"" UUID "\",\"grant\":\"" UUID
        "\",\"jti\":\"" UUID "\",\"client_id\":\"x\",\"scope\":\"\",\"iat\":" N ",\"exp\":" N "}",
        0, 600, -EKEYREJECTED },
    { "grant missing",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"" UUID "\",\"sid\":\"" UUID "\",\"jti\":\"" UUID
        "\",\"client_id\":\"x\",\"scope\":\"\",\"iat\":" N ",\"exp\":" N "}",
        0, 600, -EKEYREJECTED },
    { "scope a list",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"" UUID "\",\"sid\":\"" UUID "\",\"grant\":\"" UUID
        "\",\"jti\":\"" UUID "\",\"client_id\":\"x\",\"scope\":[],\"iat\":" N ",\"exp\":" N "}",
        0, 600, -EKEYREJECTED },
    { "rubbish after", "{" WHO ",\"iat\":" N ",\"exp\":" N "}x", 0, 600, -EBADMSG },
    { "an array", "[" N "," N "]", 0, 600, -EBADMSG },
};

START_TEST(payload_is_read_strictly)
{
    char *header = header_with("");
    char *payload = payload_at(payload_rows[_i].format, now_s() + payload_rows[_i].iat, now_s() + payload_rows[_i].exp);
    int r = verify_forged(header, payload);

    ck_assert_msg(r == payload_rows[_i].r, "%s gave %d", payload_rows[_i].name, r);
    free(header);
    free(payload);
}
END_TEST

START_TEST(nul_after_the_payload_is_refused)
{
    char *header = header_with(""), *payload = good_payload(), *token;

    token = forge_n(header, payload, strlen(payload) + 1);
    ck_assert_int_eq(verify(token), -EBADMSG);
    free(token);
    free(header);
    free(payload);
}
END_TEST

/* Changes a good token in its text. */
static void assert_changed(const char *token, size_t drop, const char *add, int wanted)
{
    char *changed;
    int r;

    ck_assert_int_gt(asprintf(&changed, "%.*s%s", (int)(strlen(token) - drop), token, add), 0);
    r = verify(changed);
    ck_assert_msg(r == wanted, "dropping %zu and adding \"%s\" gave %d", drop, add, r);
    free(changed);
}

START_TEST(compact_form_is_read_strictly)
{
    char *token = issue_with(&pair, 600), *oversize;
    struct identity id;

    assert_changed(token, 0, "", 0);
    assert_changed(token, 0, "!!", -EBADMSG);
    assert_changed(token, 2, "!!", -EBADMSG);
    assert_changed(token, 0, "==", -EBADMSG);
    assert_changed(token, 0, ".", -EBADMSG);
    assert_changed(token, 0, ".AAAA", -EBADMSG);
    assert_changed(token, 0, " ", -EBADMSG);
    assert_changed(token, 0, "\n", -EBADMSG);
    assert_changed(token, 4, "", -EBADMSG);
    assert_changed(token, 86, "", -EBADMSG);
    assert_changed(token, 86, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        -EKEYREJECTED);
    ck_assert_int_eq(verify(""), -EBADMSG);
    ck_assert_int_eq(verify("."), -EBADMSG);
    ck_assert_int_eq(verify(".."), -EBADMSG);
    ck_assert_int_eq(verify("a.b.c"), -EBADMSG);
    ck_assert_int_eq(token_verify(verifier, token, strlen(token) + 1, &id), -EBADMSG); /* NUL at the end */
    oversize = malloc(TOKEN_MAX + 1);
    memset(oversize, 'A', TOKEN_MAX + 1);
    ck_assert_int_eq(token_verify(verifier, oversize, TOKEN_MAX + 1, &id), -EBADMSG);
    ck_assert_int_eq(token_verify(verifier, oversize, TOKEN_MAX, &id), -EBADMSG);
    free(oversize);
    free(token);
}
END_TEST

START_TEST(changed_payload_is_refused)
{
    char *token = issue_with(&pair, 600);
    size_t at = strcspn(token, ".") + 20;

    token[at] = token[at] == 'A' ? 'B' : 'A';
    ck_assert_int_lt(verify(token), 0);
    free(token);
}
END_TEST

/* Another library's opinion of our tokens. */
START_TEST(pyjwt_takes_our_token)
{
    static const char script[] =
        "import json,sys\n"
        "try:\n import jwt\nexcept ImportError:\n sys.exit(77)\n"
        "key=jwt.algorithms.ECAlgorithm.from_jwk(sys.argv[1])\n"
        "c=jwt.decode(sys.argv[2],key,algorithms=[\"ES256\"],audience=\"" AUDIENCE "\",issuer=\"" ISSUER "\","
        "options={\"require\":[\"exp\",\"iat\",\"sub\",\"jti\",\"sid\",\"grant\",\"scope\",\"client_id\"],\"verify_"
        "iat\":False,"
        "\"verify_exp\":False})\n"
        "h=jwt.get_unverified_header(sys.argv[2])\n"
        "assert h[\"typ\"]==\"JWT\" and h[\"kid\"]==json.loads(sys.argv[1])[\"kid\"] and h[\"alg\"]==\"ES256\"\n"
        "assert c[\"exp\"]-c[\"iat\"]==600 and c[\"sid\"]==\"" UUID "\"\n";
    char *token = issue_with(&pair, 600), *command;
    int status;

    ck_assert_int_gt(asprintf(&command, "python3 -c '%s' '%s' '%s'", script, pair.jwk, token), 0);
    status = system(command);
    ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77), "status %d", status);
    free(command);
    free(token);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token");
    TCase *tc = tcase_create("token");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, issued_token_says_who_calls);
    tcase_add_loop_test(tc, header_is_read_strictly, 0, ROW_COUNT(header_rows));
    tcase_add_loop_test(tc, header_without_a_key_of_ours_is_refused, 0, ROW_COUNT(whole_header_rows));
    tcase_add_test(tc, alg_none_is_refused);
    tcase_add_test(tc, hs256_with_the_public_key_is_refused);
    tcase_add_loop_test(tc, payload_is_read_strictly, 0, ROW_COUNT(payload_rows));
    tcase_add_test(tc, nul_after_the_payload_is_refused);
    tcase_add_test(tc, compact_form_is_read_strictly);
    tcase_add_test(tc, changed_payload_is_refused);
    tcase_add_test(tc, pyjwt_takes_our_token);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
