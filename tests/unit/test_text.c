#include "suite.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "text.h"

START_TEST(buffer_grows_and_stays_closed)
{
    _cleanup_(buf_free) struct buf b;

    buf_init(&b, 1 << 20);
    ck_assert_str_eq(buf_cstr(&b), "");
    for (int i = 0; i < 10000; i++) {
        buf_addc(&b, 'x');
        ck_assert_int_eq(b.p[b.n], '\0');
    }
    buf_addf(&b, "%d-%s", 12, "ab");
    buf_add_str(&b, STR("!"));
    ck_assert_uint_eq(b.n, 10006);
    ck_assert_str_eq(b.p + 10000, "12-ab!");
    ck_assert(!b.failed);
    buf_reset(&b);
    ck_assert_str_eq(buf_cstr(&b), "");
}
END_TEST

START_TEST(buffer_fails_past_its_maximum_and_stays_failed)
{
    _cleanup_(buf_free) struct buf b;

    buf_init(&b, 10);
    buf_adds(&b, "0123456789");
    ck_assert(!b.failed);
    buf_addc(&b, 'x');
    ck_assert(b.failed);
    ck_assert_str_eq(b.p, "0123456789");
    buf_reset(&b);
    buf_addf(&b, "%011d", 1);
    ck_assert(b.failed);
    buf_adds(&b, "a");
    ck_assert_uint_eq(b.n, 0);
    ck_assert_ptr_null(buf_reserve(&b, 1));
    buf_reset(&b);
    ck_assert_ptr_nonnull(buf_reserve(&b, 10));
    ck_assert_ptr_null(buf_reserve(&b, 11));
}
END_TEST

START_TEST(buffer_writes_integers)
{
    static const int64_t values[] = { 0, 7, -7, 1000000, INT64_MAX, INT64_MIN };
    static const char *const texts[] = { "0", "7", "-7", "1000000", "9223372036854775807", "-9223372036854775808" };
    _cleanup_(buf_free) struct buf b;

    buf_init(&b, 100);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        buf_reset(&b);
        buf_add_i64(&b, values[i]);
        ck_assert_str_eq(b.p, texts[i]);
    }
}
END_TEST

START_TEST(json_strings_are_escaped)
{
    static const struct {
        const char *what;
        struct str in;
        const char *out;
    } rows[] = {
        { "empty", STR(""), "\"\"" },
        { "plain", STR("Phường Trấn Biên"), "\"Phường Trấn Biên\"" },
        { "quotes", STR("a\"b\\c"), "\"a\\\"b\\\\c\"" },
        { "control", STR("a\n\t\r\x01\0z\x1f"), "\"a\\n\\t\\r\\u0001\\u0000z\\u001f\"" },
        { "delete is allowed", STR("\x7f"), "\"\x7f\"" },
        { "broken byte",
            STR("a\xff"
                "b"),
            "\"a\\ufffdb\"" },
        { "cut sequence", STR("a\xe1\xba"), "\"a\\ufffd\\ufffd\"" },
        { "surrogate", STR("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" },
        { "astral", STR("😀"), "\"😀\"" },
    };
    _cleanup_(buf_free) struct buf b;

    buf_init(&b, 1000);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        buf_json_string(&b, rows[i].in.p, rows[i].in.n);
        ck_assert_msg(strcmp(b.p, rows[i].out) == 0, "%s: %s", rows[i].what, b.p);
    }
    buf_reset(&b);
    buf_json_cstr(&b, NULL);
    ck_assert_str_eq(b.p, "null");
}
END_TEST

START_TEST(integers_are_strict)
{
    static const struct {
        const char *in;
        int r;
        int64_t out;
    } rows[] = {
        { "0", 0, 0 },
        { "200", 0, 200 },
        { "-5", 0, -5 },
        { "007", 0, 7 },
        { "201", -ERANGE, 0 },
        { "-6", -ERANGE, 0 },
        { "", -EINVAL, 0 },
        { "-", -EINVAL, 0 },
        { "+1", -EINVAL, 0 },
        { " 1", -EINVAL, 0 },
        { "1 ", -EINVAL, 0 },
        { "1.0", -EINVAL, 0 },
        { "1e1", -EINVAL, 0 },
        { "0x1", -EINVAL, 0 },
        { "٣", -EINVAL, 0 },
        { "99999999999999999999", -ERANGE, 0 },
    };
    int64_t v = 77;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        v = 77;
        ck_assert_msg(str_to_i64(rows[i].in, -5, 200, &v) == rows[i].r, "\"%s\"", rows[i].in);
        ck_assert_int_eq(v, rows[i].r == 0 ? rows[i].out : 77);
    }
    ck_assert_int_eq(str_to_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v), 0);
    ck_assert_int_eq(v, INT64_MIN);
    ck_assert_int_eq(str_to_i64("9223372036854775807", INT64_MIN, INT64_MAX, &v), 0);
    ck_assert_int_eq(v, INT64_MAX);
    ck_assert_int_eq(str_to_i64("9223372036854775808", INT64_MIN, INT64_MAX, &v), -ERANGE);
    ck_assert_int_eq(str_to_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &v), -ERANGE);
}
END_TEST

START_TEST(percent_escapes_are_strict)
{
    static const struct {
        struct str in;
        bool form;
        int r;
        const char *out;
    } rows[] = {
        { STR(""), false, 0, "" },
        { STR("abc"), false, 0, "abc" },
        { STR("a%20b+c"), false, 0, "a b+c" },
        { STR("a%20b+c"), true, 0, "a b c" },
        { STR("ho%C3%A0"), false, 0, "hoà" },
        { STR("ho%c3%a0"), false, 0, "hoà" },
        { STR("hoà"), false, 0, "hoà" },
        { STR("%2F%25"), false, 0, "/%" },
        { STR("%00"), false, -EINVAL, NULL },
        { STR("a\0b"), false, -EINVAL, NULL },
        { STR("a\nb"), false, -EINVAL, NULL },
        { STR("%"), false, -EINVAL, NULL },
        { STR("%4"), false, -EINVAL, NULL },
        { STR("%zz"), false, -EINVAL, NULL },
        { STR("%4g"), false, -EINVAL, NULL },
        { STR("%ff"), false, -EILSEQ, NULL },
        { STR("%C0%AF"), false, -EILSEQ, NULL },
        { STR("%ED%A0%80"), false, -EILSEQ, NULL },
    };
    _cleanup_(arena_freep) struct arena *a = arena_new(10000);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str s = STR("untouched");
        int r = percent_decode(a, rows[i].in.p, rows[i].in.n, rows[i].form, &s);

        ck_assert_msg(r == rows[i].r, "\"%s\": %d", rows[i].in.p, r);
        ck_assert_str_eq(s.p, r == 0 ? rows[i].out : "untouched");
        ck_assert_uint_eq(s.n, strlen(s.p));
    }
}
END_TEST

START_TEST(utf8_is_strict)
{
    static const struct str good[] = { STR(""), STR("plain ascii, long enough for words"), STR("\0"),
        STR("Ủy ban Nhân dân phường Trấn Biên"), STR("\xc2\x80"), STR("\xe0\xa0\x80"), STR("\xed\x9f\xbf"),
        STR("\xee\x80\x80"), STR("\xf0\x90\x80\x80"), STR("\xf4\x8f\xbf\xbf") };
    static const struct str bad[] = { STR("\x80"), STR("abcdefgh\xff"), STR("\xc0\x80"), STR("\xc1\xbf"), STR("\xc3"),
        STR("\xe0\x9f\xbf"), STR("\xe1\xba"), STR("\xed\xa0\x80"), STR("\xf0\x8f\xbf\xbf"), STR("\xf4\x90\x80\x80"),
        STR("\xf5\x80\x80\x80"), STR("\xe1\x41\x80"), STR("\xf1\x80\x80"), STR("\xf1\x80\x80\x41") };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        ck_assert_msg(utf8_valid(good[i].p, good[i].n), "good %zu", i);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(!utf8_valid(bad[i].p, bad[i].n), "bad %zu", i);
    ck_assert_uint_eq(utf8_length("Ủy ban", strlen("Ủy ban")), 6);
}
END_TEST

START_TEST(slices_compare)
{
    ck_assert(str_eq(STR("a"), str_from("a")));
    ck_assert(!str_eq(STR("a"), STR("ab")));
    ck_assert(str_eq((struct str){ NULL, 0 }, STR("")));
    ck_assert(str_is(STR("code"), "code"));
}
END_TEST

RUN_TESTS("text", buffer_grows_and_stays_closed, buffer_fails_past_its_maximum_and_stays_failed, buffer_writes_integers,
    json_strings_are_escaped, integers_are_strict, percent_escapes_are_strict, utf8_is_strict, slices_compare)
