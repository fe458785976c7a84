#include "suite.h"

#include <pthread.h>
#include <string.h>

#include "clock.h"
#include "util.h"
#include "uuid.h"

#define PER_THREAD 5000
#define THREADS    4

static char ids[THREADS][PER_THREAD][UUID_TEXT];

static void *make(void *arg)
{
    char(*mine)[UUID_TEXT] = arg;

    for (int i = 0; i < PER_THREAD; i++)
        uuid_v7(mine[i]);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

START_TEST(ids_are_version_7_and_ascend)
{
    char last[UUID_TEXT] = "", id[UUID_TEXT];

    for (int i = 0; i < 20000; i++) {
        uuid_v7(id);
        ck_assert(uuid_valid(id, strlen(id)));
        ck_assert_int_eq(id[14], '7');
        ck_assert_ptr_nonnull(strchr("89ab", id[19]));
        ck_assert_int_gt(strcmp(id, last), 0);
        memcpy(last, id, sizeof(last));
    }
}
END_TEST

START_TEST(ids_carry_the_time)
{
    char id[UUID_TEXT], head[13] = "";
    int64_t before = clock_now_us() / 1000, ms;

    uuid_v7(id);
    memcpy(head, id, 8);
    memcpy(head + 8, id + 9, 4);
    ms = (int64_t)strtoll(head, NULL, 16);
    ck_assert_int_ge(ms, before);
    ck_assert_int_le(ms, clock_now_us() / 1000);
}
END_TEST

START_TEST(threads_never_share_an_id)
{
    pthread_t thread[THREADS];

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, make, ids[i]), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    qsort(ids, THREADS * PER_THREAD, UUID_TEXT, compare);
    for (int i = 1; i < THREADS * PER_THREAD; i++)
        ck_assert_str_ne(((char(*)[UUID_TEXT])ids)[i - 1], ((char(*)[UUID_TEXT])ids)[i]);
}
END_TEST

START_TEST(recognises_ids)
{
    static const char *const bad[] = { "", "DN-TU", "0190163d-8694-739b-aea5-966c26f8ad9",
        "0190163d-8694-739b-aea5-966c26f8ad911", "0190163d08694-739b-aea5-966c26f8ad91",
        "0190163d-8694-739b-aea5-966c26f8ad9g", "{190163d-8694-739b-aea5-966c26f8ad9}" };

    ck_assert(uuid_valid("0190163d-8694-739b-aea5-966c26f8ad91", 36));
    ck_assert(uuid_valid("0190163D-8694-439B-AEA5-966C26F8AD91", 36));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(!uuid_valid(bad[i], strlen(bad[i])), "%s", bad[i]);
}
END_TEST

RUN_TESTS("uuid", ids_are_version_7_and_ascend, ids_carry_the_time, threads_never_share_an_id, recognises_ids)
