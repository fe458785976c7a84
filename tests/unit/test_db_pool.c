/* The pool: leases, waiting, replacement of dead connections, loss and return of the database. */

#include <pthread.h>

#include "db_fixture.h"

static struct db_pool_options options;
static struct db_pool *pool;

static void open_pool(unsigned size)
{
    options = fixture_options(size);
    ck_assert_int_eq(db_pool_new(&options, &pool), 0);
    ck_assert_int_eq(db_pool_ready(pool, 10000), 0);
}

static void teardown(void)
{
    pool = db_pool_free(pool);
}

static struct db_conn *take(void)
{
    struct db_conn *conn = NULL;

    ck_assert_int_eq(db_pool_take(pool, 5000, &conn), 0);
    return conn;
}

static struct db_pool_stats stats(void)
{
    struct db_pool_stats s;

    db_pool_stats(pool, &s);
    return s;
}

/* Waits until so many connections stand idle. */
static void await_idle(unsigned n)
{
    for (int i = 0; i < 6000 && stats().idle != n; i++)
        (void)usleep(10000);
    ck_assert_uint_eq(stats().idle, n);
}

static long pid_of(struct db_conn *conn)
{
    return fixture_number(conn, "SELECT pg_backend_pid()");
}

/* They are gone, and their sockets closed, when it returns. */
static void kill_backends(void)
{
    fixture_run("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'test'");
}

START_TEST(a_lease_is_a_working_session_with_the_settings_made)
{
    struct db_conn *conn;

    open_pool(1);
    conn = take();
    ck_assert_int_eq(fixture_number(conn,
                         "SELECT 1 WHERE current_setting('plan_cache_mode') = 'force_generic_plan'"
                         " AND current_setting('application_name') = 'test'"),
        1);
    ck_assert_int_eq(db_send(conn, Q_PID, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    fixture_expect(conn, DB_ROWS);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    (void)db_pool_give(conn);
}
END_TEST

START_TEST(an_exhausted_pool_answers_after_the_wait)
{
    struct db_conn *first, *second, *third = NULL;
    int64_t start;

    open_pool(2);
    first = take();
    second = take();
    ck_assert_int_eq(db_pool_take(pool, 0, &third), -EAGAIN);
    start = clock_mono_us();
    ck_assert_int_eq(db_pool_take(pool, 60, &third), -EAGAIN);
    ck_assert_int_ge(clock_mono_us() - start, 60000);
    ck_assert_ptr_null(third);
    ck_assert_uint_eq(stats().exhausted, 2);
    ck_assert_uint_eq(stats().open, 2);
    ck_assert_uint_eq(stats().idle, 0);
    (void)db_pool_give(first);
    third = take();
    ck_assert_ptr_eq(third, first);
    (void)db_pool_give(second);
    (void)db_pool_give(third);
}
END_TEST

START_TEST(the_connection_used_last_is_used_next)
{
    struct db_conn *first, *second, *again;

    open_pool(2);
    await_idle(2);
    first = take();
    second = take();
    (void)db_pool_give(second);
    (void)db_pool_give(first);
    again = take();
    ck_assert_ptr_eq(again, first);
    (void)db_pool_give(again);
}
END_TEST

struct waiting {
    pthread_t thread;
    int order;
};

static int served;

static void *wait_for_lease(void *arg)
{
    struct waiting *w = arg;
    struct db_conn *conn = NULL;

    if (db_pool_take(pool, 10000, &conn) == 0)
        w->order = served++; /* one connection: one at a time */
    (void)db_pool_give(conn);
    return NULL;
}

START_TEST(waiting_threads_are_served_in_their_order)
{
    struct waiting waiting[5] = { 0 };
    struct db_conn *conn;

    open_pool(1);
    conn = take();
    for (unsigned i = 0; i < ARRAY_SIZE(waiting); i++) {
        waiting[i].order = -1;
        ck_assert_int_eq(pthread_create(&waiting[i].thread, NULL, wait_for_lease, &waiting[i]), 0);
        while (stats().waiting != i + 1)
            (void)usleep(1000);
    }
    (void)db_pool_give(conn);
    for (unsigned i = 0; i < ARRAY_SIZE(waiting); i++) {
        ck_assert_int_eq(pthread_join(waiting[i].thread, NULL), 0);
        ck_assert_int_eq(waiting[i].order, (int)i);
    }
    ck_assert_uint_eq(stats().waiting, 0);
}
END_TEST

START_TEST(connections_killed_while_idle_are_replaced_unnoticed)
{
    open_pool(4);
    for (int round = 0; round < 3; round++) {
        struct db_conn *conn;

        await_idle(4);
        kill_backends();
        (void)usleep(20000);
        conn = take();
        ck_assert_int_eq(fixture_number(conn, "SELECT 5"), 5);
        (void)db_pool_give(conn);
    }
    await_idle(4);
    ck_assert_uint_eq(stats().lost, 12);
    ck_assert_uint_eq(stats().refused, 0);
    ck_assert_uint_eq(stats().failures, 0);
}
END_TEST

START_TEST(a_session_killed_at_work_is_told_and_replaced)
{
    _cleanup_(db_result_freep) struct db_result *result = NULL;
    struct db_conn *conn;

    open_pool(1);
    conn = take();
    ck_assert_int_eq(db_send(conn, Q_SLEEP, VALUES("30")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    kill_backends();
    ck_assert_int_eq(db_next(conn, &result), -ECONNRESET);
    ck_assert(db_retryable(conn));
    (void)db_pool_give(conn);
    conn = take();
    ck_assert_int_eq(fixture_number(conn, "SELECT 5"), 5);
    (void)db_pool_give(conn);
    ck_assert_uint_eq(stats().lost, 1);
}
END_TEST

/* Gives a connection back in some state; the next lease must be another, clean session. */
static void give_unclean(int (*spoil)(struct db_conn *))
{
    struct db_conn *conn = take();
    long pid = pid_of(conn);

    ck_assert_int_eq(spoil(conn), 0);
    (void)db_pool_give(conn);
    conn = take();
    ck_assert_int_ne(pid_of(conn), pid);
    ck_assert_int_eq(fixture_number(conn, "SELECT count(*) FROM note"), 0);
    (void)db_pool_give(conn);
}

static int spoil_unsent(struct db_conn *conn)
{
    return db_send(conn, Q_ADD, VALUES("1", "x"));
}

static int spoil_unsynced(struct db_conn *conn)
{
    int r = db_send(conn, Q_ADD, VALUES("1", "x"));

    return r < 0 ? r : db_flush_request(conn);
}

static int spoil_unread(struct db_conn *conn)
{
    int r = db_send(conn, Q_SLEEP, VALUES("30"));

    return r < 0 ? r : db_sync(conn);
}

static int spoil_in_transaction(struct db_conn *conn)
{
    (void)fixture_number(conn, "SELECT 1");
    if (db_pipeline_off(conn) < 0 || db_exec(conn, "BEGIN; INSERT INTO note VALUES (1, 'x')", NULL) < 0)
        return -1;
    return db_pipeline_on(conn);
}

static int spoil_mode(struct db_conn *conn)
{
    return db_pipeline_off(conn);
}

START_TEST(an_unclean_connection_is_replaced)
{
    struct db_conn *conn;
    long sleeping = -1;

    open_pool(1);
    give_unclean(spoil_unsent);
    give_unclean(spoil_unsynced);
    give_unclean(spoil_unread);
    give_unclean(spoil_in_transaction);
    give_unclean(spoil_mode);
    ck_assert_uint_eq(stats().lost, 0);
    conn = take();
    for (int i = 0; i < 6000 && sleeping != 0; i++) {
        (void)usleep(10000);
        sleeping = fixture_number(conn,
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
            " AND query LIKE 'SELECT pg_sleep%'");
    }
    ck_assert_int_eq(sleeping, 0);
    (void)db_pool_give(conn);
}
END_TEST

START_TEST(a_connection_that_carried_much_is_replaced)
{
    size_t n = 2 * 1024 * 1024;
    _cleanup_(freep) char *text = malloc(n + 1);
    struct db_conn *conn;
    long pid;

    ck_assert_ptr_nonnull(text);
    memset(text, 'v', n);
    text[n] = '\0';
    open_pool(1);
    conn = take();
    pid = pid_of(conn);
    ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES(text, NULL)), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    (void)db_pool_give(conn);
    conn = take();
    ck_assert_int_ne(pid_of(conn), pid);
    (void)db_pool_give(conn);
}
END_TEST

START_TEST(a_plan_outlived_by_a_migration_is_replaced)
{
    static const struct db_query queries[] = { { "all", "SELECT * FROM note", 0 } };
    struct db_conn *conn;

    options = fixture_options(1);
    options.queries = queries;
    options.n_queries = 1;
    ck_assert_int_eq(db_pool_new(&options, &pool), 0);
    conn = take();
    ck_assert_int_eq(db_send(conn, 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    fixture_run("ALTER TABLE note ADD more int");
    ck_assert_int_eq(db_send(conn, 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_drain(conn, NULL), -EBADMSG);
    (void)db_pool_give(conn);
    conn = take();
    ck_assert_int_eq(db_send(conn, 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    (void)db_pool_give(conn);
}
END_TEST

START_TEST(a_stopped_server_is_told_at_once_and_its_return_noticed)
{
    struct db_conn *conn = NULL, *held;
    struct db_result *result = NULL;
    int64_t start;
    char error[256] = "";
    int r = -1;

    open_pool(3);
    await_idle(3);
    held = take();
    log_init(2, LOG_LEVEL_ERROR);
    fixture_ctl("stop");
    ck_assert_int_eq(db_send(held, Q_PID, NULL), 0);
    if (db_sync(held) == 0)
        ck_assert_int_eq(db_next(held, &result), -ECONNRESET);
    (void)db_pool_give(held);
    start = clock_mono_us();
    ck_assert_int_eq(db_pool_take(pool, 20000, &conn), -ENOTCONN);
    ck_assert_int_lt(clock_mono_us() - start, 10000000);
    start = clock_mono_us();
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(db_pool_take(pool, 20000, &conn), -ENOTCONN);
    ck_assert_int_lt(clock_mono_us() - start, 10000000);
    ck_assert(stats().down);
    ck_assert_uint_eq(stats().open, 0);
    /* It does not hammer. */
    ck_assert_uint_lt(stats().failures, 50);
    ck_assert_int_eq(db_pool_ready(pool, 10), -ENOTCONN);
    /* It may have been told first that the server is shutting down. */
    for (int i = 0; i < 6000 && !strstr(error, "No such file"); i++) {
        (void)usleep(10000);
        db_pool_last_error(pool, error, sizeof(error));
    }
    ck_assert_ptr_nonnull(strstr(error, "No such file"));

    fixture_ctl("start");
    for (int i = 0; i < 6000 && r != 0; i++) {
        r = db_pool_take(pool, 100, &conn);
        if (r < 0)
            (void)usleep(10000);
    }
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT 5"), 5);
    (void)db_pool_give(conn);
    await_idle(3);
    ck_assert(!stats().down);
}
END_TEST

START_TEST(a_query_that_cannot_be_prepared_is_named_until_it_can)
{
    static const struct db_query queries[] = { { "ok", "SELECT 1", 0 }, { "later_get", "SELECT * FROM later", 0 } };
    char error[256];
    struct db_conn *conn = NULL;

    fixture_run("DROP TABLE IF EXISTS later");
    options = fixture_options(1);
    options.queries = queries;
    options.n_queries = ARRAY_SIZE(queries);
    ck_assert_int_eq(db_pool_new(&options, &pool), 0);
    ck_assert_int_eq(db_pool_ready(pool, 300), -ENOTCONN);
    ck_assert_int_eq(db_pool_take(pool, 1000, &conn), -ENOTCONN);
    db_pool_last_error(pool, error, sizeof(error));
    ck_assert_str_eq(error, "later_get: relation \"later\" does not exist (42P01)");
    fixture_run("CREATE TABLE later (id int)");
    ck_assert_int_eq(db_pool_ready(pool, 5000), 0);
    (void)db_pool_give(take());
    fixture_run("DROP TABLE later");
}
END_TEST

START_TEST(an_unreachable_server_is_told)
{
    char error[256];
    struct db_conn *conn = NULL;

    options = fixture_options(1);
    options.conninfo = "host=/nowhere";
    ck_assert_int_eq(db_open(&options, error, sizeof(error), &conn), -ENOTCONN);
    ck_assert_ptr_nonnull(strstr(error, "/nowhere"));
    ck_assert_int_eq(db_open(&options, NULL, 0, &conn), -ENOTCONN);
    ck_assert_int_eq(db_pool_new(&options, &pool), 0);
    ck_assert_int_eq(db_pool_take(pool, 1000, &conn), -ENOTCONN);
    ck_assert_ptr_null(conn);
    options.size = 0;
    ck_assert_int_eq(db_pool_new(&options, &pool), -EINVAL);
}
END_TEST

START_TEST(the_connection_string_wins_and_picks_the_server_that_writes)
{
    struct db_conn *conn = NULL;
    char error[256];

    options = fixture_options(1);
    options.conninfo = "application_name=other";
    options.target_session_attrs = "read-write";
    ck_assert_int_eq(db_open(&options, NULL, 0, &conn), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT 1 WHERE current_setting('application_name') = 'other'"), 1);
    (void)db_pool_give(conn);
    options.target_session_attrs = "standby";
    ck_assert_int_eq(db_open(&options, error, sizeof(error), &conn), -ENOTCONN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_pool");
    TCase *tc = tcase_create("pool");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fixture_tables, teardown);
    tcase_add_test(tc, a_lease_is_a_working_session_with_the_settings_made);
    tcase_add_test(tc, an_exhausted_pool_answers_after_the_wait);
    tcase_add_test(tc, the_connection_used_last_is_used_next);
    tcase_add_test(tc, waiting_threads_are_served_in_their_order);
    tcase_add_test(tc, connections_killed_while_idle_are_replaced_unnoticed);
    tcase_add_test(tc, a_session_killed_at_work_is_told_and_replaced);
    tcase_add_test(tc, an_unclean_connection_is_replaced);
    tcase_add_test(tc, a_connection_that_carried_much_is_replaced);
    tcase_add_test(tc, a_plan_outlived_by_a_migration_is_replaced);
    tcase_add_test(tc, a_stopped_server_is_told_at_once_and_its_return_noticed);
    tcase_add_test(tc, a_query_that_cannot_be_prepared_is_named_until_it_can);
    tcase_add_test(tc, an_unreachable_server_is_told);
    tcase_add_test(tc, the_connection_string_wins_and_picks_the_server_that_writes);
    suite_add_tcase(suite, tc);
    return fixture_main(suite);
}
