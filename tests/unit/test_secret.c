#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret.h"

static void setup(void)
{
    ck_assert_int_eq(secret_init(), 0);
}

START_TEST(password_fits_its_own_hash_alone)
{
    char hash[SECRET_HASH_MAX];

    ck_assert_int_eq(secret_password_hash("mật khẩu dài", strlen("mật khẩu dài"), hash), 0);
    ck_assert_ptr_nonnull(strstr(hash, "$argon2id$"));
    ck_assert_ptr_nonnull(strstr(hash, "m=19456,t=2,"));
    ck_assert_int_eq(secret_password_verify(hash, "mật khẩu dài", strlen("mật khẩu dài")), 0);
    ck_assert_int_eq(secret_password_verify(hash, "mật khẩu dàj", strlen("mật khẩu dàj")), -EACCES);
    ck_assert_int_eq(secret_password_verify(hash, "", 0), -EACCES);
    ck_assert_int_eq(secret_password_verify("rubbish", "rubbish", 7), -EACCES);
}
END_TEST

START_TEST(unknown_account_is_refused_at_the_same_cost)
{
    ck_assert_int_eq(secret_password_verify(NULL, "anything", 8), -EACCES);
    ck_assert_int_eq(secret_password_verify(NULL, "", 0), -EACCES);
}
END_TEST

START_TEST(random_tokens_differ)
{
    char a[SECRET_TOKEN_CHARS], b[SECRET_TOKEN_CHARS], password[25];

    secret_token(a);
    secret_token(b);
    ck_assert_uint_eq(strlen(a), 43);
    ck_assert_str_ne(a, b);
    secret_password_generate(password, 24);
    ck_assert_uint_eq(strlen(password), 24);
    ck_assert_ptr_null(strpbrk(password, "0O1lI"));
}
END_TEST

START_TEST(sha256_of_abc)
{
    char hex[SECRET_SHA256_HEX];

    secret_sha256_hex("abc", 3, hex);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(equal_compares_length_and_bytes)
{
    ck_assert(secret_equal("abc", 3, "abc", 3));
    ck_assert(!secret_equal("abc", 3, "abd", 3));
    ck_assert(!secret_equal("abc", 3, "abcd", 4));
    ck_assert(secret_equal("", 0, "", 0));
}
END_TEST

static const struct {
    const char *text;
    int r;
} base64url_rows[] = {
    { "", 0 },
    { "AA", 0 },
    { "-_8", 0 },
    { "YWJj", 0 },
    { "A", -EBADMSG },
    { "AAAAA", -EBADMSG },
    { "AB", -EBADMSG },   /* spare bits */
    { "AAB", -EBADMSG },  /* spare bits */
    { "AA==", -EBADMSG }, /* padding */
    { "YWJj=", -EBADMSG },
    { "+/8A", -EBADMSG }, /* the other alphabet */
    { "YW Jj", -EBADMSG },
    { "YWJj\n", -EBADMSG },
    { "YW!!", -EBADMSG },
};

START_TEST(base64url_is_strict)
{
    uint8_t bytes[64];
    size_t n = 99;
    int r = secret_base64url_decode(base64url_rows[_i].text, strlen(base64url_rows[_i].text), bytes, sizeof bytes, &n);

    ck_assert_msg(r == base64url_rows[_i].r, "\"%s\" gave %d", base64url_rows[_i].text, r);
    if (r < 0)
        ck_assert_uint_eq(n, 99);
}
END_TEST

START_TEST(base64url_there_and_back)
{
    uint8_t bytes[48], back[48];
    char text[SECRET_BASE64URL_CHARS(sizeof bytes)];
    size_t n;

    for (size_t size = 0; size <= sizeof bytes; size++) {
        secret_random(bytes, size);
        secret_base64url_encode(bytes, size, text);
        ck_assert_uint_eq(strlen(text) + 1, SECRET_BASE64URL_CHARS(size));
        ck_assert_int_eq(secret_base64url_decode(text, strlen(text), back, size, &n), 0);
        ck_assert_uint_eq(n, size);
        ck_assert_mem_eq(bytes, back, size);
        if (size > 0)
            ck_assert_int_eq(secret_base64url_decode(text, strlen(text), back, size - 1, &n), -EOVERFLOW);
    }
    ck_assert_int_eq(secret_base64url_decode("AA\0A", 4, back, sizeof back, &n), -EBADMSG);
}
END_TEST

START_TEST(sealed_blob_opens_with_its_key_and_label_alone)
{
    struct secret_key key = { { 1 } }, other = { { 2 } };
    uint8_t blob[5 + SECRET_SEAL_OVERHEAD], plain[5];

    ck_assert_int_eq(secret_seal(&key, "kid-1", "hello", 5, blob), 0);
    ck_assert_int_eq(secret_open(&key, "kid-1", blob, sizeof blob, plain), 0);
    ck_assert_mem_eq(plain, "hello", 5);
    ck_assert_int_eq(secret_open(&key, "kid-2", blob, sizeof blob, plain), -EBADMSG);
    ck_assert_int_eq(secret_open(&other, "kid-1", blob, sizeof blob, plain), -EBADMSG);
    ck_assert_int_eq(secret_open(&key, "kid-1", blob, SECRET_SEAL_OVERHEAD - 1, plain), -EBADMSG);
    blob[30] ^= 1;
    ck_assert_int_eq(secret_open(&key, "kid-1", blob, sizeof blob, plain), -EBADMSG);
}
END_TEST

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(chmod(path, mode), 0);
}

START_TEST(key_file_is_private_and_never_replaced)
{
    char dir[] = "/tmp/tiendo-secret-XXXXXX", path[64];
    struct secret_key a, b;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    ck_assert_int_eq(secret_key_load(path, &a), -ENOENT);
    ck_assert_int_eq(secret_key_create(path), 0);
    ck_assert_int_eq(secret_key_create(path), -EEXIST);
    ck_assert_int_eq(secret_key_load(path, &a), 0);
    ck_assert_int_eq(secret_key_load(path, &b), 0);
    ck_assert_mem_eq(a.bytes, b.bytes, sizeof a.bytes);
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(secret_key_load(path, &a), -EPERM);
    write_file(path, "too short\n", 0600);
    ck_assert_int_eq(secret_key_load(path, &a), -EBADMSG);
    write_file(path, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAx", 0600);
    ck_assert_int_eq(secret_key_load(path, &a), -EBADMSG);
    unlink(path);
    rmdir(dir);
}
END_TEST

START_TEST(plain_base64_needs_its_padding)
{
    char text[8];
    size_t n;

    ck_assert_int_eq(secret_base64_decode("YTpiYw==", 8, text, sizeof text, &n), 0);
    ck_assert_uint_eq(n, 4);
    ck_assert_mem_eq(text, "a:bc", 4);
    ck_assert_int_eq(secret_base64_decode("YTpiYw", 6, text, sizeof text, &n), -EBADMSG);
    ck_assert_int_eq(secret_base64_decode("YTpiYw=!", 8, text, sizeof text, &n), -EBADMSG);
    ck_assert_int_eq(secret_base64_decode("YTpiY2RlZmdoaWpr", 16, text, sizeof text, &n), -EOVERFLOW);
}
END_TEST

START_TEST(key_text_in_any_base64)
{
    static const char *const good[] = { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaG_z9_v8",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaG/z9/v8=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaG_z9_v8=\n" };
    struct secret_key keys[3], other;

    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(secret_key_parse(good[i], strlen(good[i]), &keys[i]), 0);
        ck_assert_mem_eq(keys[i].bytes, keys[0].bytes, SECRET_KEY_BYTES);
    }
    ck_assert_int_eq(secret_key_parse("", 0, &other), -EBADMSG);
    ck_assert_int_eq(secret_key_parse(good[0], 42, &other), -EBADMSG);
}
END_TEST

START_TEST(derived_keys_and_digests_differ_by_key_and_label)
{
    struct secret_key master = { { 7 } }, a, b;
    uint8_t x[SECRET_MAC_BYTES], y[SECRET_MAC_BYTES];

    secret_key_derive(&master, "cursor", &a);
    secret_key_derive(&master, "other", &b);
    ck_assert_mem_ne(a.bytes, b.bytes, sizeof a.bytes);
    secret_mac(&a, "text", 4, x);
    secret_mac(&b, "text", 4, y);
    ck_assert_mem_ne(x, y, sizeof x);
    secret_mac(&a, "text", 4, y);
    ck_assert_mem_eq(x, y, sizeof x);
}
END_TEST

START_TEST(a_digest_of_pieces_is_that_of_the_whole)
{
    static const char text[] = "tiến độ chuyển đổi số";
    uint8_t whole[SECRET_SHA256_BYTES], pieces[SECRET_SHA256_BYTES];
    char hex[SECRET_SHA256_HEX], expected[SECRET_SHA256_HEX];
    struct secret_digest digest;

    secret_sha256(text, sizeof text - 1, whole);
    secret_digest_begin(&digest);
    for (size_t i = 0; i < sizeof text - 1; i++)
        secret_digest_add(&digest, text + i, 1);
    secret_digest_end(&digest, pieces);
    ck_assert_mem_eq(whole, pieces, sizeof whole);
    secret_hex(pieces, sizeof pieces, hex);
    secret_sha256_hex(text, sizeof text - 1, expected);
    ck_assert_str_eq(hex, expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("secret");
    TCase *tc = tcase_create("secret");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, password_fits_its_own_hash_alone);
    tcase_add_test(tc, unknown_account_is_refused_at_the_same_cost);
    tcase_add_test(tc, random_tokens_differ);
    tcase_add_test(tc, sha256_of_abc);
    tcase_add_test(tc, equal_compares_length_and_bytes);
    tcase_add_loop_test(tc, base64url_is_strict, 0, sizeof base64url_rows / sizeof base64url_rows[0]);
    tcase_add_test(tc, base64url_there_and_back);
    tcase_add_test(tc, sealed_blob_opens_with_its_key_and_label_alone);
    tcase_add_test(tc, key_file_is_private_and_never_replaced);
    tcase_add_test(tc, a_digest_of_pieces_is_that_of_the_whole);
    tcase_add_test(tc, plain_base64_needs_its_padding);
    tcase_add_test(tc, key_text_in_any_base64);
    tcase_add_test(tc, derived_keys_and_digests_differ_by_key_and_label);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
