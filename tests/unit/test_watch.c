#include "suite.h"

#include <errno.h>
#include <pthread.h>

#include "clock.h"
#include "watch.h"

static struct watch *watch;

static void set_up(void)
{
    ck_assert_int_eq(watch_new(8, &watch), 0);
}

static void tear_down(void)
{
    watch = watch_free(watch);
}

static void *tell_later(void *head)
{
    const struct timespec a_little = { .tv_nsec = 30000000 };

    nanosleep(&a_little, NULL);
    if (head == NULL)
        watch_close(watch);
    else
        watch_tell(watch, *(const int64_t *)head);
    return NULL;
}

START_TEST(what_is_there_already_is_not_waited_for)
{
    watch_tell(watch, 5);
    ck_assert(watch_wait(watch, 4, clock_mono_us() + 10000000));
    ck_assert(!watch_wait(watch, 5, clock_mono_us() + 20000));
}
END_TEST

START_TEST(news_wake_and_a_close_wakes_for_good)
{
    int64_t head = 7;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, tell_later, &head), 0);
    ck_assert(watch_wait(watch, 6, clock_mono_us() + 10000000));
    pthread_join(thread, NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, tell_later, NULL), 0);
    ck_assert(!watch_wait(watch, 7, clock_mono_us() + 10000000));
    pthread_join(thread, NULL);
    ck_assert(watch_closed(watch));
    ck_assert(!watch_wait(watch, 0, clock_mono_us() + 10000000));
}
END_TEST

START_TEST(places_are_bounded_and_a_callers_more_so)
{
    const char one[] = "one", two[] = "two", three[] = "three", four[] = "four", five[] = "five";
    const char *const callers[] = { one, two, three, four };

    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(watch_enter(watch, callers[i / 2]), 0);
    ck_assert_int_eq(watch_enter(watch, one), -EDQUOT);
    ck_assert_int_eq(watch_enter(watch, five), -EAGAIN);
    watch_leave(watch, two);
    ck_assert_int_eq(watch_enter(watch, one), -EDQUOT);
    ck_assert_int_eq(watch_enter(watch, five), 0);
    ck_assert_int_eq(watch_enter(watch, two), -EAGAIN);
}
END_TEST

RUN_TESTS_WITH("watch", set_up, tear_down, what_is_there_already_is_not_waited_for,
    news_wake_and_a_close_wakes_for_good, places_are_bounded_and_a_callers_more_so)
