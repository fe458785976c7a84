#include "suite.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "bare.h"

START_TEST(accents_and_case_are_left_out)
{
    static const struct {
        const char *text, *bare;
    } rows[] = {
        { "", "" },
        { "Mật Khẩu", "mat khau" },
        { "ĐƯỜNG đường", "duong duong" },
        { "u\xcc\x9b\xcc\x81", "u" }, /* already apart */
        { "ﬁ ①", "fi 1" },
        { "пароль", "пароль" },
        { "a-b_c 1", "a-b_c 1" },
    };
    struct arena *a = arena_new(1 << 16);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str bare;

        ck_assert_int_eq(bare_text(a, rows[i].text, strlen(rows[i].text), &bare), 0);
        ck_assert_str_eq(bare.p, rows[i].bare);
        ck_assert_uint_eq(bare.n, strlen(rows[i].bare));
    }
    arena_free(a);
}
END_TEST

START_TEST(what_is_no_utf8_is_told)
{
    struct arena *a = arena_new(1 << 16);
    struct str bare;

    ck_assert_int_eq(bare_text(a, "a\xff", 2, &bare), -EILSEQ);
    arena_free(a);
}
END_TEST

RUN_TESTS("bare", accents_and_case_are_left_out, what_is_no_utf8_is_told)
