#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "forge.h"

START_TEST(another_installations_key_is_refused)
{
    struct token_pair other = { 0 };
    char *token;

    ck_assert_int_eq(token_pair_generate(&other), 0);
    token = issue_with(&other, 600);
    ck_assert_int_eq(verify(token), -ENOKEY);
    free(token);
    memcpy(other.kid, pair.kid, sizeof other.kid); /* our kid, their key */
    token = issue_with(&other, 600);
    ck_assert_int_eq(verify(token), -EKEYREJECTED);
    free(token);
    token_pair_clear(&other);
}
END_TEST

START_TEST(remembered_token_expires)
{
    char *token = issue_with(&pair, 4);
    int64_t until = (now_s() + 5) * 1000000;
    int r;

    ck_assert_int_eq(verify(token), 0);
    ck_assert_int_eq(verify(token), 0);
    while (clock_now_us() < until)
        usleep(20000);
    r = verify(token);
    ck_assert_int_eq(r, -EKEYEXPIRED);
    free(token);
}
END_TEST

START_TEST(rotation_keeps_the_old_key_until_it_goes)
{
    struct token_pair next = { 0 };
    char *old_token = issue_with(&pair, 600), *new_token;
    const char *both[2], *one;

    ck_assert_int_eq(token_pair_generate(&next), 0);
    new_token = issue_with(&next, 600);
    ck_assert_int_eq(verify(old_token), 0);
    ck_assert_int_eq(verify(new_token), -ENOKEY);
    both[0] = next.jwk;
    both[1] = pair.jwk;
    ck_assert_int_eq(token_verifier_set_keys(verifier, both, 2), 0);
    ck_assert_int_eq(verify(old_token), 0);
    ck_assert_int_eq(verify(new_token), 0);
    one = next.jwk;
    ck_assert_int_eq(token_verifier_set_keys(verifier, &one, 1), 0);
    ck_assert_int_eq(verify(old_token), -ENOKEY); /* though it was remembered */
    ck_assert_int_eq(verify(new_token), 0);
    free(old_token);
    free(new_token);
    token_pair_clear(&next);
}
END_TEST

struct source {
    struct token_verifier *verifier;
    const char *jwk;
    int calls, result;
};

static int source_reload(void *userdata)
{
    struct source *source = userdata;

    source->calls++;
    if (source->result == 0)
        ck_assert_int_eq(token_verifier_set_keys(source->verifier, &source->jwk, 1), 0);
    return source->result;
}

START_TEST(unknown_kid_reloads_the_keys_but_seldom)
{
    struct source source = { .jwk = pair.jwk };
    const struct token_options options = { .issuer = ISSUER,
        .audience = AUDIENCE,
        .cache_max = 64,
        .reload = source_reload,
        .userdata = &source,
        .reload_interval = 3600 };
    struct token_pair stranger = { 0 };
    char *token = issue_with(&pair, 600), *strange;
    struct identity id;

    ck_assert_int_eq(token_pair_generate(&stranger), 0);
    strange = issue_with(&stranger, 600);
    ck_assert_int_eq(token_verifier_new(&options, &source.verifier), 0);
    ck_assert_int_eq(token_verify(source.verifier, token, strlen(token), &id), 0);
    ck_assert_int_eq(source.calls, 1);
    ck_assert(token_verifier_knows(source.verifier, pair.kid));
    ck_assert(!token_verifier_knows(source.verifier, stranger.kid));
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(token_verify(source.verifier, strange, strlen(strange), &id), -ENOKEY);
    ck_assert_int_eq(source.calls, 4);
    token_verifier_free(source.verifier);

    source = (struct source){ .jwk = pair.jwk, .result = -ENOTCONN };
    ck_assert_int_eq(token_verifier_new(&options, &source.verifier), 0);
    ck_assert_int_eq(token_verify(source.verifier, token, strlen(token), &id), -EAGAIN);
    token_verifier_free(source.verifier);
    token_pair_clear(&stranger);
    free(strange);
    free(token);
}
END_TEST

static const char *const bad_jwks[] = {
    "",
    "[]",
    "{}",
    "{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AA\",\"e\":\"AQAB\"}",
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"AA\",\"y\":\"AA\"}",
    /* no point of the curve */
    ("{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
     "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}"),
};

START_TEST(bad_key_changes_nothing)
{
    char *token = issue_with(&pair, 600);
    const char *keys[] = { pair.jwk, bad_jwks[_i] };

    ck_assert_int_eq(token_verifier_set_keys(verifier, keys, 2), -EINVAL);
    ck_assert_int_eq(verify(token), 0);
    free(token);
}
END_TEST

START_TEST(kid_is_the_thumbprint)
{
    /* RFC 7638: SHA-256 over the required members in lexical order. */
    char x[44], y[44], text[160], kid[44], *json;
    uint8_t digest[32];

    ck_assert_int_eq(
        sscanf(pair.jwk, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%43[^\"]\",\"y\":\"%43[^\"]\"", x, y), 2);
    snprintf(text, sizeof text, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
    secret_sha256(text, strlen(text), digest);
    secret_base64url_encode(digest, sizeof digest, kid);
    ck_assert_str_eq(kid, pair.kid);
    ck_assert_int_eq(token_verifier_jwks(verifier, &json), 0);
    ck_assert_ptr_eq(strstr(json, "{\"keys\":[{\"kty\":\"EC\""), json);
    ck_assert_ptr_nonnull(strstr(json, pair.kid));
    ck_assert_ptr_null(strstr(json, "\"d\""));
    free(json);
}
END_TEST

START_TEST(scope_words_become_bits)
{
    ck_assert_uint_eq(token_scope_bits(verifier, ""), 0);
    ck_assert_uint_eq(token_scope_bits(verifier, "values:write"), 2);
    ck_assert_uint_eq(token_scope_bits(verifier, "  me:read values:read  other"), 5);
    ck_assert_uint_eq(token_scope_bits(verifier, "values:rea values:readx"), 0);
}
END_TEST

START_TEST(a_full_cache_stays_right)
{
    const struct token_options options = {
        .issuer = ISSUER, .audience = AUDIENCE, .scopes = scopes, .cache_max = 1, .leeway = 30
    };
    struct token_verifier *small;
    const char *jwk = pair.jwk;
    struct identity id;
    char *tokens[40];

    ck_assert_int_eq(token_verifier_new(&options, &small), 0);
    ck_assert_int_eq(token_verifier_set_keys(small, &jwk, 1), 0);
    for (size_t i = 0; i < 40; i++)
        tokens[i] = issue_with(&pair, 600);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < 40; i++)
            ck_assert_int_eq(token_verify(small, tokens[i], strlen(tokens[i]), &id), 0);
    for (size_t i = 0; i < 40; i++)
        free(tokens[i]);
    token_verifier_free(small);
}
END_TEST

struct crowd {
    char *tokens[8];
    char *stranger;
    atomic_int wrong;
    atomic_bool stop;
};

static void *crowd_verify(void *userdata)
{
    struct crowd *crowd = userdata;
    struct identity id;

    for (int i = 0; i < 3000; i++) {
        const char *token = crowd->tokens[i % 8];

        if (token_verify(verifier, token, strlen(token), &id) != 0 || strcmp(id.subject, UUID) != 0)
            atomic_fetch_add(&crowd->wrong, 1);
        if (i % 50 == 0 && token_verify(verifier, crowd->stranger, strlen(crowd->stranger), &id) != -ENOKEY)
            atomic_fetch_add(&crowd->wrong, 1);
    }
    return NULL;
}

static void *crowd_rotate(void *userdata)
{
    struct crowd *crowd = userdata;
    struct token_pair extra = { 0 };
    const char *keys[2];
    char *json;

    if (token_pair_generate(&extra) < 0)
        return NULL;
    keys[0] = pair.jwk;
    keys[1] = extra.jwk;
    for (size_t i = 0; !atomic_load(&crowd->stop); i++) {
        if (token_verifier_set_keys(verifier, keys, 1 + i % 2) < 0 || token_verifier_jwks(verifier, &json) < 0)
            atomic_fetch_add(&crowd->wrong, 1);
        else
            free(json);
        usleep(500);
    }
    token_pair_clear(&extra);
    return NULL;
}

START_TEST(threads_verify_while_the_keys_change)
{
    struct crowd crowd = { 0 };
    struct token_pair stranger = { 0 };
    pthread_t threads[4], rotator;

    ck_assert_int_eq(token_pair_generate(&stranger), 0);
    crowd.stranger = issue_with(&stranger, 600);
    for (size_t i = 0; i < 8; i++)
        crowd.tokens[i] = issue_with(&pair, 600);
    pthread_create(&rotator, NULL, crowd_rotate, &crowd);
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, crowd_verify, &crowd);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&crowd.stop, true);
    pthread_join(rotator, NULL);
    ck_assert_int_eq(atomic_load(&crowd.wrong), 0);
    for (size_t i = 0; i < 8; i++)
        free(crowd.tokens[i]);
    free(crowd.stranger);
    token_pair_clear(&stranger);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token_keys");
    TCase *tc = tcase_create("token_keys");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, another_installations_key_is_refused);
    tcase_add_test(tc, remembered_token_expires);
    tcase_add_test(tc, rotation_keeps_the_old_key_until_it_goes);
    tcase_add_test(tc, unknown_kid_reloads_the_keys_but_seldom);
    tcase_add_loop_test(tc, bad_key_changes_nothing, 0, ROW_COUNT(bad_jwks));
    tcase_add_test(tc, kid_is_the_thumbprint);
    tcase_add_test(tc, scope_words_become_bits);
    tcase_add_test(tc, a_full_cache_stays_right);
    tcase_add_test(tc, threads_verify_while_the_keys_change);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
