#include "suite.h"

#include "places.h"

START_TEST(leaves_some_to_others)
{
    uint64_t a = places_holder("a"), b = places_holder("b");
    struct places *places;

    ck_assert_int_eq(places_new(8, &places), 0);
    for (int i = 0; i < 6; i++)
        ck_assert(places_take(places, a));
    ck_assert_msg(!places_take(places, a), "three quarters are one's most");
    ck_assert(places_take(places, b));
    ck_assert(places_take(places, b));
    ck_assert_msg(!places_take(places, b), "all are taken");
    places_give(places, a);
    ck_assert(places_take(places, b));
    ck_assert(!places_take(places, a));
    places_free(places);
}
END_TEST

START_TEST(gives_back_only_what_was_taken)
{
    struct places *places;

    ck_assert_int_eq(places_new(1, &places), 0);
    places_give(places, places_holder("a"));
    ck_assert(places_take(places, places_holder("a")));
    places_give(places, places_holder("b"));
    ck_assert(!places_take(places, places_holder("b")));
    places_free(places);
    places_free(NULL);
}
END_TEST

START_TEST(tells_holders_apart)
{
    ck_assert_uint_eq(places_holder("Bearer x"), places_holder("Bearer x"));
    ck_assert_uint_ne(places_holder("Bearer x"), places_holder("Bearer y"));
    ck_assert_uint_ne(places_holder(""), 0);
}
END_TEST

RUN_TESTS("places", leaves_some_to_others, gives_back_only_what_was_taken, tells_holders_apart)
