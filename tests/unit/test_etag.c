#include "suite.h"

#include <string.h>

#include "arena.h"
#include "etag.h"

static struct arena *arena;

static void set_up(void)
{
    arena = arena_new(1 << 20);
    ck_assert_ptr_nonnull(arena);
}

static void tear_down(void)
{
    arena_free(arena);
}

START_TEST(reads_versions)
{
    static const struct {
        const char *header, *versions; /* NULL: no tags */
    } rows[] = {
        { "*", "*" },
        { "\"7\"", "7" },
        { "\"7;gzip\"", "7" },
        { "\"1\", \"2\"", "1,2" },
        { "\"1\",\"2;fields\" , \"3\"\t", "1,2,3" },
        { ", \"1\",,\"2\",", "1,2" },
        { "W/\"1\", \"2\"", "2" },
        { "W/\"1\"", "-1" },
        { "\"\"", "-1" },
        { "\"zz\"", "-1" },
        { "\"7a\"", "-1" },
        { "\"-7\"", "-1" },
        { "\"a,b\", \"4\"", "4" },
        { "\"1,2\"", "-1" },
        { "\"1234567890123456789\"", "-1" },
        { "", NULL },
        { ",", NULL },
        { "1", NULL },
        { "zz", NULL },
        { "W/*", NULL },
        { "w/\"1\"", NULL },
        { "*, \"1\"", NULL },
        { "\"1\", *", NULL },
        { "\"1", NULL },
        { "\"1\" \"2\"", NULL },
        { "\"1\"x", NULL },
        { "\"1 2\"", NULL },
        { "W/ \"1\"", NULL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ck_assert_msg(etag_valid(rows[i].header) == (rows[i].versions != NULL), "%s", rows[i].header);
        if (rows[i].versions != NULL)
            ck_assert_str_eq(etag_versions(arena, rows[i].header), rows[i].versions);
    }
    ck_assert_ptr_null(etag_versions(arena, NULL));
}
END_TEST

START_TEST(compares_weakly_for_reads)
{
    ck_assert(etag_names("*", "7"));
    ck_assert(etag_names("\"6\", W/\"7\"", "7"));
    ck_assert(etag_names("\"1.2-3f;gzip\"", "1.2-3f;gzip"));
    ck_assert(!etag_names("\"77\"", "7"));
    ck_assert(!etag_names("\"7;gzip\"", "7"));
    ck_assert(!etag_names("7", "7"));
}
END_TEST

RUN_TESTS_WITH("etag", set_up, tear_down, reads_versions, compares_weakly_for_reads)
