#include "suite.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "nfc.h"

#define TONE_GRAVE "\xcc\x80"
#define TONE_DOT   "\xcc\xa3"
#define HOOK       "\xcc\x89"
#define CIRCUMFLEX "\xcc\x82"
#define HORN       "\xcc\x9b"

START_TEST(normal_text_is_borrowed)
{
    static const char *const texts[] = { "", "Tien do", "Tiến độ chuyển đổi số", "ĐẢNG BỘ PHƯỜNG TRẤN BIÊN",
        "“70 – 80%” … ‘a’", "ÀÁẢÃẠ ĂẰẮẲẴẶ ÂẦẤẨẪẬ ƠỜỚỞỠỢ ƯỪỨỬỮỰ Đđ", "100 ₫", "😀", "日本語", "한국어" };
    _cleanup_(arena_freep) struct arena *a = arena_new(10000);

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct str s;

        ck_assert_int_eq(nfc_normalize(a, texts[i], strlen(texts[i]), &s), 0);
        ck_assert_ptr_eq(s.p, texts[i]);
        ck_assert_uint_eq(s.n, strlen(texts[i]));
    }
    ck_assert(nfc_quick(texts[2], strlen(texts[2])));
    ck_assert(!nfc_quick(texts[8], strlen(texts[8])));
}
END_TEST

START_TEST(taken_apart_text_is_put_together)
{
    static const char *const rows[][2] = {
        { "hoa" TONE_GRAVE, "hoà" },
        { "Tie" CIRCUMFLEX "\xcc\x81n d", "Tiến d" },
        { "ê" TONE_DOT, "ệ" },
        { "e" TONE_DOT CIRCUMFLEX, "ệ" },
        { "U" HORN HOOK, "Ử" },
        { "\xe2\x84\xab", "Å" },
        { "\xcd\x80", "\xcc\x80" },
        { "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "한" },
    };
    _cleanup_(arena_freep) struct arena *a = arena_new(10000);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str s;

        ck_assert(!nfc_quick(rows[i][0], strlen(rows[i][0])));
        ck_assert_int_eq(nfc_normalize(a, rows[i][0], strlen(rows[i][0]), &s), 0);
        ck_assert_str_eq(s.p, rows[i][1]);
        ck_assert_uint_eq(s.n, strlen(rows[i][1]));
    }
}
END_TEST

START_TEST(broken_text_is_refused)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(10000);
    struct str s = STR("untouched");

    ck_assert_int_eq(nfc_normalize(a, "a\xff", 2, &s), -EILSEQ);
    ck_assert_int_eq(nfc_normalize(a, "\xed\xa0\x80", 3, &s), -EILSEQ);
    ck_assert_int_eq(nfc_normalize(a, "\xe1\xba", 2, &s), -EILSEQ);
    ck_assert_str_eq(s.p, "untouched");
    ck_assert_int_eq(nfc_normalize(a, "a\0b", 3, &s), 0);
    ck_assert_uint_eq(s.n, 3);
}
END_TEST

START_TEST(a_full_arena_is_told)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct str s;

    ck_assert_int_eq(nfc_normalize(a, "a" TONE_GRAVE, 3, &s), -ENOMEM);
}
END_TEST

/* The quick look says yes only where the library changes nothing, for every character and every pair with a mark. */
START_TEST(the_quick_look_never_errs)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);

    for (unsigned c = 0x80; c < 0x10000; c++) {
        char text[8];
        size_t n = 0;
        struct str s;

        if (c >= 0xd800 && c < 0xe000)
            continue;
        if (c < 0x800) {
            text[n++] = (char)(0xc0 | c >> 6);
        } else {
            text[n++] = (char)(0xe0 | c >> 12);
            text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        }
        text[n++] = (char)(0x80 | (c & 0x3f));
        if (!nfc_quick(text, n))
            continue;
        /* A combining mark after it makes the quick look give way to the library. */
        memcpy(text + n, TONE_DOT, 2);
        ck_assert(!nfc_quick(text, n + 2));
        ck_assert_int_eq(nfc_normalize_fully(a, text, n, &s), 0);
        ck_assert_msg(s.n == n && memcmp(s.p, text, n) == 0, "U+%04X", c);
        arena_reset(a);
    }
}
END_TEST

RUN_TESTS("nfc", normal_text_is_borrowed, taken_apart_text_is_put_together, broken_text_is_refused,
    a_full_arena_is_told, the_quick_look_never_errs)
