#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "limiter.h"
#include "secret.h"
#include "trace.h"

#define SECOND INT64_C(1000000)

static struct limiter *limiter;

static void set_up(void)
{
    ck_assert_int_eq(secret_init(), 0);
    ck_assert_int_eq(limiter_new(10, 20, &limiter), 0);
}

static void tear_down(void)
{
    limiter_free(limiter);
}

START_TEST(takes_a_burst_then_a_rate)
{
    int64_t now = 1000 * SECOND;
    struct limit_state state;

    for (unsigned i = 0; i < 20; i++) {
        state = limiter_take(limiter, "a", now);
        ck_assert(state.allowed);
        ck_assert_uint_eq(state.left, 19 - i);
    }
    ck_assert_uint_eq(state.reset_s, 2);
    state = limiter_take(limiter, "a", now);
    ck_assert(!state.allowed);
    ck_assert_uint_ge(state.reset_s, 1);
    ck_assert(limiter_take(limiter, "a", now + SECOND / 10).allowed);
    ck_assert(!limiter_take(limiter, "a", now + SECOND / 10).allowed);
    ck_assert(limiter_take(limiter, "b", now).allowed);
    ck_assert_uint_eq(limiter_take(limiter, "a", now + 60 * SECOND).left, 19);
    ck_assert_str_eq(limiter_policy(limiter), "\"default\";q=20;w=2");
}
END_TEST

START_TEST(may_be_off)
{
    struct limiter *off = limiter;

    ck_assert_int_eq(limiter_new(0, 20, &off), 0);
    ck_assert_ptr_null(off);
}
END_TEST

START_TEST(holds_many_callers)
{
    char caller[32];

    for (int i = 0; i < 100000; i++) {
        snprintf(caller, sizeof(caller), "caller-%d", i);
        ck_assert(limiter_take(limiter, caller, 1000 * SECOND + i).allowed);
    }
}
END_TEST

static void *take_many(void *userdata)
{
    atomic_uint *allowed = userdata;

    for (int i = 0; i < 1000; i++)
        if (limiter_take(limiter, "shared", 1000 * SECOND).allowed)
            atomic_fetch_add(allowed, 1);
    return NULL;
}

START_TEST(counts_over_threads)
{
    atomic_uint allowed = 0;
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_many, &allowed), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&allowed), 20);
}
END_TEST

START_TEST(takes_trace_contexts)
{
    static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    static const char *const bad[] = {
        NULL,
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
    };
    char id[33], parent[TRACE_PARENT_TEXT], other[33];

    trace_begin(good, id, parent);
    ck_assert_str_eq(id, "4bf92f3577b34da6a3ce929d0e0e4736");
    ck_assert_int_eq(strncmp(parent, good, 36), 0);
    ck_assert_int_ne(strncmp(parent + 36, good + 36, 16), 0);
    ck_assert_str_eq(parent + 53, "01");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        trace_begin(bad[i], id, parent);
        ck_assert_uint_eq(strlen(id), 32);
        ck_assert_str_ne(id, "4bf92f3577b34da6a3ce929d0e0e4736");
        trace_begin(bad[i], other, parent);
        ck_assert_str_ne(id, other);
    }
}
END_TEST

RUN_TESTS_WITH("limiter", set_up, tear_down, takes_a_burst_then_a_rate, may_be_off, holds_many_callers,
    counts_over_threads, takes_trace_contexts)
