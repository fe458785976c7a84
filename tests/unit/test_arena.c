#include "suite.h"

#include <stdint.h>
#include <string.h>

#include "arena.h"
#include "util.h"

static const char zeros[1000];

START_TEST(gives_zeroed_aligned_memory)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);

    ck_assert_ptr_nonnull(a);
    for (size_t n = 0; n < 300; n++) {
        char *p = arena_alloc(a, n);

        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 16, 0);
        ck_assert_int_eq(memcmp(p, zeros, n), 0);
        memset(p, 0xaa, n);
    }
}
END_TEST

START_TEST(keeps_neighbours_apart)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1 << 24);
    unsigned char *p[500];

    for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
        p[i] = arena_alloc(a, i * 7);
        ck_assert_ptr_nonnull(p[i]);
        memset(p[i], (int)(i & 0xff), i * 7);
    }
    for (size_t i = 0; i < ARRAY_SIZE(p); i++)
        for (size_t j = 0; j < i * 7; j++)
            if (p[i][j] != (i & 0xff))
                ck_abort_msg("allocation %zu was written over", i);
}
END_TEST

START_TEST(refuses_past_the_maximum)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1000);

    ck_assert_ptr_nonnull(arena_alloc(a, 500));
    ck_assert(!arena_failed(a));
    ck_assert_ptr_null(arena_alloc(a, 600));
    ck_assert(arena_failed(a));
    ck_assert_ptr_nonnull(arena_alloc(a, 100));
    ck_assert_ptr_null(arena_alloc(a, SIZE_MAX));
    ck_assert_ptr_null(arena_array(a, SIZE_MAX / 2, 4));
    ck_assert_ptr_null(arena_strndup(a, "", SIZE_MAX));
    arena_reset(a);
    ck_assert(!arena_failed(a));
    ck_assert_uint_eq(arena_used(a), 0);
    ck_assert_ptr_nonnull(arena_alloc(a, 900));
}
END_TEST

START_TEST(zeroes_what_is_used_again)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
    const char *again;
    char *p = arena_alloc(a, 1000);

    ck_assert_ptr_nonnull(p);
    memset(p, 1, 1000);
    arena_reset(a);
    again = arena_alloc(a, 1000);
    ck_assert_ptr_eq(again, p);
    ck_assert_int_eq(memcmp(again, zeros, 1000), 0);
}
END_TEST

START_TEST(holds_big_allocations_and_survives_resets)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);

    for (int round = 0; round < 3; round++) {
        char *big = arena_alloc(a, 8 << 20);

        ck_assert_ptr_nonnull(big);
        memset(big, 1, 8 << 20);
        ck_assert_ptr_nonnull(arena_alloc(a, 10));
        arena_reset(a);
    }
    arena_free(NULL);
}
END_TEST

START_TEST(copies_and_formats)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);

    ck_assert_str_eq(arena_strdup(a, "Trấn Biên"), "Trấn Biên");
    ck_assert_str_eq(arena_strndup(a, "phường", 2), "ph");
    ck_assert_str_eq(arena_strndup(a, NULL, 0), "");
    ck_assert_str_eq(arena_printf(a, "%s-%03d", "DN", 7), "DN-007");
}
END_TEST

RUN_TESTS("arena", gives_zeroed_aligned_memory, keeps_neighbours_apart, refuses_past_the_maximum,
    zeroes_what_is_used_again, holds_big_allocations_and_survives_resets, copies_and_formats)
