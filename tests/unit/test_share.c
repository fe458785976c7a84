#include "suite.h"

#include <string.h>

#include "share.h"

START_TEST(leaves_room_for_others)
{
    char mine[4][8] = { "a", "a", "a", "a" }, other[] = "b", fifth[] = "a";
    struct share *share;

    ck_assert_int_eq(share_new(6, &share), 0);
    for (size_t i = 0; i < 4; i++)
        ck_assert(share_take(share, mine[i], 1));
    ck_assert(!share_take(share, fifth, 1));
    ck_assert(share_take(share, other, 1));
    share_give(share, mine[2]);
    ck_assert(share_take(share, fifth, 1));
    ck_assert(!share_take(share, mine[2], 1));
    share_give(share, "a");
    ck_assert_msg(!share_take(share, mine[2], 1), "only what was taken is given back");
    share_free(share);
}
END_TEST

START_TEST(gives_everybody_something)
{
    struct share *share;

    ck_assert_int_eq(share_new(1, &share), 0);
    ck_assert(share_take(share, "a", 1));
    ck_assert(share_take(share, "b", 1));
    ck_assert(!share_take(share, "a", 1));
    share_free(share);
    share_free(NULL);
}
END_TEST

RUN_TESTS("share", leaves_room_for_others, gives_everybody_something)
