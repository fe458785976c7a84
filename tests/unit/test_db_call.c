/* Calls on shared connections: each thread gets its own answers, whatever happens to those beside it. */

#include <pthread.h>
#include <stdatomic.h>

#include "db_fixture.h"

#define THREADS 32
#define CALLS   300

static struct db_pool_options options;
static struct db_pool *pool;

static void open_pool(unsigned size, unsigned shared)
{
    options = fixture_options(size);
    options.shared = shared;
    options.shapes = 4;
    ck_assert_int_eq(db_pool_new(&options, &pool), 0);
    ck_assert_int_eq(db_pool_ready(pool, 30000), 0);
}

static void teardown(void)
{
    pool = db_pool_free(pool);
}

static struct db_pool_stats stats(void)
{
    struct db_pool_stats s;

    db_pool_stats(pool, &s);
    return s;
}

static int call_one(const struct db_statement *statement, struct db_result **ret_result)
{
    return db_pool_call(pool, 5000, statement, 1, ret_result);
}

#define ECHO(a, b)     ((struct db_statement){ .query = Q_ECHO, .values = VALUES(a, b) })
#define SQL(text, ...) ((struct db_statement){ .sql = (text), .n_params = 1, .values = VALUES(__VA_ARGS__) })

START_TEST(a_call_hands_out_a_result_for_each_statement)
{
    const struct db_statement statements[] = { ECHO("a", NULL), SQL("SELECT $1::int + 1", "1"), ECHO("b", "c") };

    for (unsigned shared = 0; shared < 3; shared++) {
        open_pool(2, shared);
        for (int i = 0; i < 3; i++) {
            struct db_result *results[3] = { NULL };

            ck_assert_int_eq(db_pool_call(pool, 5000, statements, 3, results), 0);
            ck_assert_str_eq(db_value(results[0], 0, 0), "a");
            ck_assert_str_eq(db_value(results[1], 0, 0), "2");
            ck_assert_str_eq(db_value(results[2], 0, 1), "c");
            for (int k = 0; k < 3; k++)
                (void)db_result_free(results[k]);
        }
        for (int i = 0; i < 6000 && stats().idle != 2; i++)
            (void)usleep(10000);
        ck_assert_uint_eq(stats().idle, 2);
        pool = db_pool_free(pool);
    }
}
END_TEST

START_TEST(an_error_is_a_result_and_a_failed_commit_is_not)
{
    const struct db_statement wrong[] = { ECHO("a", NULL), SQL("SELECT 1 / $1::int", "0"), ECHO("b", "c") };
    const struct db_statement twice[] = { { .query = Q_ADD, .values = VALUES("1", "a") },
        { .query = Q_ADD, .values = VALUES("1", "b") } };
    struct db_result *results[3] = { NULL }, *kept[2] = { NULL };

    open_pool(2, 2);
    ck_assert_int_eq(db_pool_call(pool, 5000, wrong, 3, results), 0);
    ck_assert_int_eq(db_kind(results[0]), DB_ROWS);
    ck_assert(db_is_error(results[1], "22012"));
    ck_assert_int_eq(db_kind(results[2]), DB_ABORTED);
    for (int k = 0; k < 3; k++)
        (void)db_result_free(results[k]);
    ck_assert_int_eq(db_pool_call(pool, 5000, twice, 2, kept), -EBADMSG);
    ck_assert_ptr_null(kept[0]);
    ck_assert_int_eq(db_pool_call(pool, 5000, twice, 0, kept), -EINVAL);
    ck_assert_int_eq(db_pool_call(pool, 5000, twice, DB_CALL_MAX + 1, kept), -EINVAL);
    ck_assert_int_eq(call_one(&(struct db_statement){ .query = Q_LAST }, kept), -EINVAL);
}
END_TEST

struct caller {
    pthread_t thread;
    int number, good, away, lost, wrong;
};

static atomic_bool killing, killed;

/* Large parameters, composed statements, errors: all mixed. */
static int call_mixed(int number, int i)
{
    char mine[8192], sql[64];
    struct db_result *results[3] = { NULL };
    bool fails = i % 11 == 0;
    int n = snprintf(mine, sizeof(mine), "%d/%d ", number, i), r;

    memset(mine + n, 'x', i % 20 == 0 ? 6000 : 20);
    mine[n + (i % 20 == 0 ? 6000 : 20)] = '\0';
    (void)snprintf(sql, sizeof(sql), fails ? "SELECT $1::int" : "SELECT $1::text || '%d'", i % 6);
    {
        const struct db_statement statements[] = { ECHO(mine, NULL), SQL(sql, mine), ECHO(NULL, mine) };

        r = db_pool_call(pool, i % 7 == 0 ? 1 : 10000, statements, 3, results);
    }
    if (r < 0)
        return r;
    if (strcmp(db_value(results[0], 0, 0), mine) != 0)
        r = -EPROTO;
    if (fails && (!db_is_error(results[1], "22P02") || db_kind(results[2]) != DB_ABORTED))
        r = -EPROTO;
    if (!fails &&
        (strncmp(db_value(results[1], 0, 0), mine, strlen(mine)) != 0 || strcmp(db_value(results[2], 0, 1), mine) != 0))
        r = -EPROTO;
    for (int k = 0; k < 3; k++)
        (void)db_result_free(results[k]);
    return r;
}

static void *call_many(void *arg)
{
    struct caller *c = arg;

    for (int i = 0; i < CALLS || (killing && !killed); i++) {
        int r = call_mixed(c->number, i);

        if (r == 0)
            c->good++;
        else if (r == -EAGAIN || r == -ENOTCONN)
            c->away++;
        else if (r == -ECONNRESET && killing)
            c->lost++;
        else
            c->wrong++;
    }
    return NULL;
}

/* Leases beside the calls. */
static void *lease_many(void *arg)
{
    struct caller *c = arg;

    for (int i = 0; i < CALLS / 4; i++) {
        struct db_conn *conn = NULL;
        struct db_result *result = NULL;
        int r = db_pool_take(pool, 10000, &conn);

        if (r == 0)
            r = db_send(conn, Q_PID, NULL);
        if (r == 0)
            r = db_sync(conn);
        if (r == 0)
            r = db_drain(conn, &result);
        if (r == 0)
            c->good++;
        else if (killing)
            c->lost++;
        else
            c->wrong++;
        (void)db_result_free(result);
        (void)db_pool_give(conn);
    }
    return NULL;
}

static struct caller run_callers(void)
{
    struct caller callers[THREADS] = { 0 }, sum = { 0 };

    for (int i = 0; i < THREADS; i++) {
        callers[i].number = i;
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, i % 8 == 7 ? lease_many : call_many, &callers[i]), 0);
    }
    for (int i = 0; i < 5 && killing; i++) {
        (void)usleep(100000);
        fixture_run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'");
    }
    killed = true;
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(callers[i].thread, NULL), 0);
        sum.good += callers[i].good;
        sum.away += callers[i].away;
        sum.lost += callers[i].lost;
        sum.wrong += callers[i].wrong;
    }
    return sum;
}

START_TEST(every_thread_gets_its_own_answers)
{
    static const unsigned sizes[][2] = { { 1, 1 }, { 4, 2 }, { 4, 4 } };

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct caller sum;

        open_pool(sizes[i][0], sizes[i][1]);
        sum = run_callers();
        ck_assert_int_eq(sum.wrong, 0);
        ck_assert_int_eq(sum.good + sum.away, THREADS / 8 * 7 * CALLS + THREADS / 8 * (CALLS / 4));
        ck_assert_uint_eq(stats().waiting, 0);
        pool = db_pool_free(pool);
    }
}
END_TEST

START_TEST(sessions_killed_under_the_threads_give_no_wrong_answer)
{
    struct db_result *result = NULL;
    struct caller sum;
    int r = -1;

    killing = true;
    open_pool(4, 3);
    sum = run_callers();
    ck_assert_int_eq(sum.wrong, 0);
    ck_assert_int_gt(sum.good, 0);
    ck_assert_int_gt(sum.lost, 0);
    /* The last kill may have hit a connection that was just being opened. */
    for (int i = 0; i < 6000 && r != 0; i++) {
        (void)usleep(10000);
        r = call_one(&ECHO("a", "b"), &result);
    }
    ck_assert_int_eq(r, 0);
    (void)db_result_free(result);
}
END_TEST

static void *call_sleep(void *ret)
{
    struct db_result *result = NULL;

    atomic_store(
        (atomic_int *)ret, call_one(&(struct db_statement){ .query = Q_SLEEP, .values = VALUES("2") }, &result));
    (void)db_result_free(result);
    return NULL;
}

START_TEST(nothing_is_queued_behind_a_call_that_is_slow)
{
    struct db_result *result = NULL;
    pthread_t thread;
    atomic_int slow = -1;

    open_pool(2, 1);
    for (int i = 0; i < 6000 && stats().idle != 2; i++)
        (void)usleep(10000);
    ck_assert_int_eq(pthread_create(&thread, NULL, call_sleep, &slow), 0);
    while (stats().idle == 2)
        (void)usleep(1000);
    (void)usleep(50000);
    ck_assert_int_eq(call_one(&ECHO("a", "b"), &result), 0);
    ck_assert_int_eq(atomic_load(&slow), -1); /* it sleeps still */
    (void)db_result_free(result);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(atomic_load(&slow), 0);
}
END_TEST

START_TEST(a_call_past_its_deadline_takes_its_connection_along)
{
    struct db_result *result = NULL;

    options = fixture_options(1);
    options.shared = 1;
    options.wait_ms = 100;
    ck_assert_int_eq(db_pool_new(&options, &pool), 0);
    ck_assert_int_eq(call_one(&(struct db_statement){ .query = Q_SLEEP, .values = VALUES("30") }, &result), -ETIMEDOUT);
    ck_assert_uint_eq(stats().timeouts, 1);
    ck_assert_int_eq(call_one(&ECHO("a", "b"), &result), 0);
    (void)db_result_free(result);
}
END_TEST

START_TEST(a_stopped_server_is_told_and_its_return_noticed)
{
    struct db_result *result = NULL;
    int r = -1;

    open_pool(2, 2);
    fixture_ctl("stop");
    ck_assert_int_eq(call_one(&ECHO("a", "b"), &result), -ENOTCONN);
    fixture_ctl("start");
    for (int i = 0; i < 6000 && r != 0; i++) {
        (void)usleep(10000);
        r = call_one(&ECHO("a", "b"), &result);
    }
    ck_assert_int_eq(r, 0);
    (void)db_result_free(result);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_call");
    TCase *tc = tcase_create("call");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, fixture_tables, teardown);
    tcase_add_test(tc, a_call_hands_out_a_result_for_each_statement);
    tcase_add_test(tc, an_error_is_a_result_and_a_failed_commit_is_not);
    tcase_add_test(tc, every_thread_gets_its_own_answers);
    tcase_add_test(tc, sessions_killed_under_the_threads_give_no_wrong_answer);
    tcase_add_test(tc, nothing_is_queued_behind_a_call_that_is_slow);
    tcase_add_test(tc, a_call_past_its_deadline_takes_its_connection_along);
    tcase_add_test(tc, a_stopped_server_is_told_and_its_return_noticed);
    suite_add_tcase(suite, tc);
    return fixture_main(suite);
}
