#include "suite.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"

#define HASH "3ea668eaff4686ef3c735c80ea0dad0f3d2828937c81913bb77c069fd1a1ef41"

static char directory[] = "/tmp/tiendo-checkpoint-XXXXXX";
static struct secret_key key;

static void set_up(void)
{
    struct secret_key master;

    ck_assert_int_eq(secret_init(), 0);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    memset(master.bytes, 7, sizeof(master.bytes));
    checkpoint_key(&master, &key);
}

static void tear_down(void)
{
    char pattern[128];
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s/{.journal,journal,cut,another}*", directory);
    if (glob(pattern, GLOB_BRACE, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    rmdir(directory);
}

static void read_file(int64_t position, char *ret, size_t size)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/journal-%020" PRId64 ".json", directory, position);
    f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ret[fread(ret, 1, size - 1, f)] = '\0';
    fclose(f);
}

START_TEST(signs_the_head)
{
    char text[512], at[64], mac[128], line[256], expected[2 * SECRET_MAC_BYTES + 1];
    uint8_t digest[SECRET_MAC_BYTES];

    ck_assert_int_eq(checkpoint_write(directory, &key, 42, HASH), 0);
    read_file(42, text, sizeof(text));
    ck_assert_int_eq(
        sscanf(text, "{\"position\":42,\"hash\":\"" HASH "\",\"at\":\"%63[^\"]\",\"mac\":\"%127[0-9a-f]\"}", at, mac),
        2);
    snprintf(line, sizeof(line), "42 " HASH " %s", at);
    secret_mac(&key, line, strlen(line), digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(expected + 2 * i, 3, "%02x", digest[i]);
    ck_assert_str_eq(mac, expected);
}
END_TEST

START_TEST(keeps_the_first_of_a_position)
{
    char before[512], after[512];

    ck_assert_int_eq(checkpoint_write(directory, &key, 7, HASH), 0);
    read_file(7, before, sizeof(before));
    ck_assert_int_eq(checkpoint_write(directory, &key, 7, HASH), 0);
    ck_assert_int_eq(checkpoint_write(directory, &key, 7, "00"), -EEXIST);
    ck_assert_int_eq(checkpoint_write(directory, &key, 7, "00"), 0);
    read_file(7, after, sizeof(after));
    ck_assert_str_eq(before, after);
    snprintf(after, sizeof(after), "%s/journal-%020d-00.json", directory, 7);
    ck_assert_int_eq(access(after, R_OK), 0);
}
END_TEST

START_TEST(says_what_is_wrong_with_the_directory)
{
    ck_assert_int_eq(checkpoint_write("/nonexistent/here", &key, 1, HASH), -ENOENT);
    ck_assert_int_eq(checkpoint_write("/dev/null", &key, 1, HASH), -ENOTDIR);
}
END_TEST

static void spoil(const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(lists_them_in_order_and_knows_its_own_signature)
{
    char text[512];
    struct checkpoint *list;
    size_t n;

    ck_assert_int_eq(checkpoint_write(directory, &key, 12, HASH), 0);
    ck_assert_int_eq(checkpoint_write(directory, &key, 3, HASH), 0);
    ck_assert_int_eq(checkpoint_write_cut(directory, &key, 3, HASH), 0);
    read_file(12, text, sizeof(text));
    spoil("journal-00000000000000000013.json", text);
    spoil("cut-00000000000000000012.json", text);
    text[30] = text[30] == '0' ? '1' : '0';
    spoil("journal-00000000000000000012-aa.json", text);
    spoil("journal-00000000000000000009.json", "{}");
    spoil("another.json", "{}");
    ck_assert_int_eq(checkpoint_list(directory, &key, &list, &n), 0);
    ck_assert_uint_eq(n, 7);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(list[i].valid, i >= 4);
    ck_assert_str_eq(list[4].name, "cut-00000000000000000003.json");
    ck_assert(list[4].cut && list[4].position == 3);
    ck_assert_int_eq(list[5].position, 3);
    ck_assert_int_eq(list[6].position, 12);
    ck_assert_int_eq(list[6].hash[0], 0x3e);
    free(list);
    ck_assert_int_eq(checkpoint_list("/nonexistent/here", &key, &list, &n), -ENOENT);
}
END_TEST

START_TEST(chooses_the_newest_that_is_old_enough)
{
    struct checkpoint c;

    ck_assert_int_eq(checkpoint_write(directory, &key, 3, HASH), 0);
    ck_assert_int_eq(checkpoint_write(directory, &key, 12, HASH), 0);
    ck_assert_int_eq(checkpoint_write_cut(directory, &key, 20, HASH), 0);
    spoil("journal-00000000000000000030.json",
        "{\"position\":30,\"hash\":\"" HASH "\",\"at\":\"2000-01-01T00:00:00.000Z\",\"mac\":\"00\"}");
    ck_assert_int_eq(checkpoint_choose(directory, &key, 0, INT64_MAX, &c), 1);
    ck_assert_int_eq(c.position, 12);
    ck_assert_int_eq(checkpoint_choose(directory, &key, 12, INT64_MAX, &c), 0);
    ck_assert_int_eq(checkpoint_choose(directory, &key, 0, 0, &c), 0);
}
END_TEST

RUN_TESTS_WITH("checkpoint", set_up, tear_down, signs_the_head, keeps_the_first_of_a_position,
    says_what_is_wrong_with_the_directory, lists_them_in_order_and_knows_its_own_signature,
    chooses_the_newest_that_is_old_enough)
