#include "suite.h"

#include <errno.h>
#include <string.h>

#include "cursor.h"

static struct arena *arena;
static struct secret_key key;
static const struct cursor place = {
    .backward = true, .n = 2, .values = { "000001", "0198c5a2-7d10-7c3e-9a41-5b8e0f6a1c01" }
};

static void set_up(void)
{
    arena = arena_new(1 << 20);
    ck_assert_ptr_nonnull(arena);
    ck_assert_int_eq(secret_init(), 0);
    memset(key.bytes, 7, sizeof(key.bytes));
}

static void tear_down(void)
{
    arena_free(arena);
}

START_TEST(comes_back)
{
    const char *text = cursor_write(arena, &key, STR("list\ngrant\nsort=code"), &place);
    struct cursor read;

    ck_assert_ptr_nonnull(text);
    ck_assert_uint_lt(strlen(text), CURSOR_TEXT_MAX);
    ck_assert_int_eq(cursor_read(arena, &key, STR("list\ngrant\nsort=code"), text, &read), 0);
    ck_assert(read.backward);
    ck_assert_uint_eq(read.n, 2);
    ck_assert_str_eq(read.values[0], place.values[0]);
    ck_assert_str_eq(read.values[1], place.values[1]);
}
END_TEST

START_TEST(hides_its_place)
{
    const char *text = cursor_write(arena, &key, STR("x"), &place);

    ck_assert_ptr_null(strstr(text, "000001"));
    ck_assert_str_ne(text, cursor_write(arena, &key, STR("x"), &place));
}
END_TEST

START_TEST(is_bound)
{
    const char *text = cursor_write(arena, &key, STR("list\ngrant-a\nkind=x"), &place);
    struct secret_key other = key;
    struct cursor read;

    other.bytes[0] ^= 1;
    ck_assert_int_eq(cursor_read(arena, &key, STR("list\ngrant-a\nkind=y"), text, &read), -EBADMSG);
    ck_assert_int_eq(cursor_read(arena, &key, STR("list\ngrant-b\nkind=x"), text, &read), -EBADMSG);
    ck_assert_int_eq(cursor_read(arena, &other, STR("list\ngrant-a\nkind=x"), text, &read), -EBADMSG);
}
END_TEST

START_TEST(refuses_any_change)
{
    const char *text = cursor_write(arena, &key, STR("x"), &place);
    struct cursor read;

    for (size_t i = 0; i < strlen(text); i++) {
        char *changed = arena_strdup(arena, text);

        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        ck_assert_msg(cursor_read(arena, &key, STR("x"), changed, &read) == -EBADMSG, "byte %zu", i);
        changed[i] = '\0';
        ck_assert_int_eq(cursor_read(arena, &key, STR("x"), changed, &read), -EBADMSG);
    }
    ck_assert_int_eq(cursor_read(arena, &key, STR("x"), "no cursor", &read), -EBADMSG);
}
END_TEST

START_TEST(bounds_its_length)
{
    char *large = arena_alloc(arena, 2000);
    struct cursor cursor = { .n = 1 };

    memset(large, 'a', 1999);
    cursor.values[0] = large;
    ck_assert_ptr_null(cursor_write(arena, &key, STR("x"), &cursor));
}
END_TEST

RUN_TESTS_WITH(
    "cursor", set_up, tear_down, comes_back, hides_its_place, is_bound, refuses_any_change, bounds_its_length)
