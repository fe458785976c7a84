/*
 * Many threads over few connections, also while sessions are killed under them. Built with -Db_sanitize=thread it is
 * the proof that the pool has no race.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "db_fixture.h"

#define THREADS 32
#define LEASES  150

static struct db_pool_options options;
static struct db_pool *pool;
static atomic_bool killing, killed;
static atomic_int good, away, wrong, lost;

static void setup(void)
{
    fixture_tables();
    options = fixture_options(4);
    options.shapes = 4;
    ck_assert_int_eq(db_pool_new(&options, &pool), 0);
    ck_assert_int_eq(db_pool_ready(pool, 30000), 0);
}

static void teardown(void)
{
    pool = db_pool_free(pool);
}

/* One answer, which must be to the question asked here. */
static int one_lease(struct db_conn *conn, int thread, int i)
{
    _cleanup_(db_result_freep) struct db_result *echo = NULL, *sum = NULL;
    char mine[32], sql[64];
    int r;

    (void)snprintf(mine, sizeof(mine), "%d/%d", thread, i);
    (void)snprintf(sql, sizeof(sql), "SELECT $1::text || '%d'", i % 6);
    r = db_send(conn, Q_ECHO, VALUES(mine, NULL));
    if (r == 0)
        r = db_send_shape(conn, sql, 1, VALUES(mine));
    if (r == 0)
        r = db_sync(conn);
    if (r == 0)
        r = db_next(conn, &echo);
    if (r >= 0)
        r = db_next(conn, &sum);
    if (r >= 0)
        r = db_drain(conn, NULL);
    if (r < 0)
        return r;
    if (strcmp(db_value(echo, 0, 0), mine) != 0 || strncmp(db_value(sum, 0, 0), mine, strlen(mine)) != 0)
        wrong++;
    return 0;
}

static void *work(void *arg)
{
    int thread = *(int *)arg;

    for (int i = 0; i < LEASES || (killing && !killed); i++) {
        struct db_conn *conn = NULL;
        int r = db_pool_take(pool, i % 7 == 0 ? 1 : 10000, &conn);

        if (r == 0)
            r = one_lease(conn, thread, i);
        if (r == 0)
            good++;
        else if (r == -EAGAIN || r == -ENOTCONN)
            away++;
        else if (r == -ECONNRESET && killing)
            lost++;
        else
            wrong++;
        if (i % 50 == 49 && conn && r == 0) {
            /* Now and then one comes back unclean. */
            if (db_send(conn, Q_PID, NULL) < 0 || db_sync(conn) < 0)
                lost++;
        }
        (void)db_pool_give(conn);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
    }
    for (int i = 0; i < 5 && killing; i++) {
        (void)usleep(100000);
        fixture_run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'");
    }
    killed = true;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

START_TEST(every_thread_gets_its_own_answers)
{
    struct db_pool_stats s;

    run_threads();
    db_pool_stats(pool, &s);
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_eq(good + away, THREADS * LEASES);
    /* All but those that would not wait. */
    ck_assert_int_ge(good, THREADS * (LEASES - (LEASES + 6) / 7));
    ck_assert_uint_eq(s.waiting, 0);
    ck_assert_uint_eq(s.takes, (unsigned)good);
    ck_assert_uint_eq(s.exhausted + s.refused, (unsigned)away);
}
END_TEST

START_TEST(sessions_killed_under_the_threads_give_no_wrong_answer)
{
    struct db_conn *conn = NULL;

    killing = true;
    run_threads();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(good, 0);
    ck_assert_int_gt(lost, 0);
    /* The last kill may have hit a connection that was just being opened. */
    for (int i = 0; i < 300 && !conn; i++) {
        (void)usleep(10000);
        if (db_pool_take(pool, 10000, &conn) < 0)
            conn = NULL;
    }
    ck_assert_ptr_nonnull(conn);
    ck_assert_int_eq(fixture_number(conn, "SELECT 5"), 5);
    (void)db_pool_give(conn);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_threads");
    TCase *tc = tcase_create("threads");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_thread_gets_its_own_answers);
    tcase_add_test(tc, sessions_killed_under_the_threads_give_no_wrong_answer);
    suite_add_tcase(suite, tc);
    return fixture_main(suite);
}
