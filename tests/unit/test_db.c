/* Pipelines, composed statements, streams, deadlines and COPY on one connection. */

#include "db_fixture.h"

static struct db_conn *conn;

static void setup(void)
{
    fixture_tables();
    conn = fixture_open();
}

static void teardown(void)
{
    conn = db_pool_give(conn);
}

START_TEST(results_come_in_order_and_outlive_the_connection)
{
    _cleanup_(db_result_freep) struct db_result *first = NULL, *second = NULL, *none = NULL;

    ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES("tiến độ", NULL)), 0);
    ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES("2", "")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    first = fixture_next(conn, DB_ROWS);
    second = fixture_next(conn, DB_ROWS);
    ck_assert_int_eq(db_next(conn, &none), 0);
    ck_assert_int_eq(db_next(conn, &none), 0);
    ck_assert_ptr_null(none);
    conn = db_pool_give(conn);

    ck_assert_int_eq(db_rows(first), 1);
    ck_assert_int_eq(db_cols(first), 2);
    ck_assert_int_eq(db_col(first, "b"), 1);
    ck_assert_int_eq(db_col(first, "B"), -1);
    ck_assert_str_eq(db_col_name(first, 0), "a");
    ck_assert_str_eq(db_value(first, 0, 0), "tiến độ");
    ck_assert_uint_eq(db_len(first, 0, 0), strlen("tiến độ"));
    ck_assert(db_is_null(first, 0, 1));
    ck_assert_str_eq(db_value(first, 0, 1), "");
    ck_assert(!db_is_null(second, 0, 1));
    /* Out of range reads as NULL. */
    ck_assert(db_is_null(first, 1, 0) && db_is_null(first, 0, -1) && db_is_null(NULL, 0, 0));
    ck_assert_str_eq(db_value(first, 0, 2), "");
}
END_TEST

START_TEST(several_pipelines_may_be_under_way)
{
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES("x", NULL)), 0);
        ck_assert_int_eq(db_sync(conn), 0);
    }
    for (int i = 0; i < 40; i++) {
        struct db_result *result = NULL;

        fixture_expect(conn, DB_ROWS);
        ck_assert_int_eq(db_next(conn, &result), 0);
    }
    ck_assert_int_eq(db_drain(conn, NULL), 0);
}
END_TEST

START_TEST(an_error_aborts_the_rest_and_the_connection_recovers)
{
    _cleanup_(db_result_freep) struct db_result *error = NULL;
    struct db_error e;

    ck_assert_int_eq(db_send(conn, Q_ADD, VALUES("1", "good")), 0);
    ck_assert_int_eq(db_send(conn, Q_ADD, VALUES("2", "bad")), 0);
    ck_assert_int_eq(db_send(conn, Q_ADD, VALUES("3", "good")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    fixture_expect(conn, DB_DONE);
    error = fixture_next(conn, DB_ERROR);
    fixture_expect(conn, DB_ABORTED);
    ck_assert_int_eq(db_drain(conn, NULL), 0);

    db_error(error, &e);
    ck_assert_str_eq(e.sqlstate, "23514");
    ck_assert_str_eq(e.constraint, "note_body");
    ck_assert_str_eq(e.table, "note");
    ck_assert(strlen(e.message) > 0 && strlen(e.detail) > 0 && strlen(e.hint) == 0);
    ck_assert(db_is_error(error, "23514") && !db_is_error(error, "23505") && !db_is_error(NULL, "23505"));

    ck_assert_int_eq(fixture_number(conn, "SELECT count(*) FROM note"), 0);
    ck_assert_int_eq(db_send(conn, Q_ADD, VALUES("1", "good")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    {
        _cleanup_(db_result_freep) struct db_result *added = fixture_next(conn, DB_DONE);

        ck_assert_int_eq(db_affected(added), 1);
    }
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT count(*) FROM note"), 1);
    ck_assert(!db_retryable(conn));
}
END_TEST

START_TEST(errors_raised_by_functions_carry_all_their_texts)
{
    _cleanup_(db_result_freep) struct db_result *error = NULL;
    struct db_error e;

    ck_assert_int_eq(db_send_sql(conn,
                         "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'TD422', MESSAGE = 'invalid', DETAIL = '[]',"
                         " HINT = 'because'; END $$",
                         0, NULL),
        0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_drain(conn, &error), -EBADMSG);
    db_error(error, &e);
    ck_assert_str_eq(e.sqlstate, "TD422");
    ck_assert_str_eq(e.message, "invalid");
    ck_assert_str_eq(e.detail, "[]");
    ck_assert_str_eq(e.hint, "because");
}
END_TEST

START_TEST(a_commit_that_fails_is_told_by_drain)
{
    _cleanup_(db_result_freep) struct db_result *error = NULL;

    ck_assert_int_eq(db_send(conn, Q_ADD, VALUES("1", "a")), 0);
    ck_assert_int_eq(db_send(conn, Q_ADD, VALUES("1", "b")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    fixture_expect(conn, DB_DONE);
    fixture_expect(conn, DB_DONE);
    ck_assert_int_eq(db_drain(conn, &error), -EBADMSG);
    ck_assert(db_is_error(error, "23505"));
    ck_assert_int_eq(fixture_number(conn, "SELECT count(*) FROM note"), 0);
}
END_TEST

START_TEST(a_flush_keeps_the_transaction_open)
{
    ck_assert_int_eq(db_send(conn, Q_ADD, VALUES("1", "a")), 0);
    ck_assert_int_eq(db_flush_request(conn), 0);
    fixture_expect(conn, DB_DONE);
    ck_assert_int_eq(db_drain(conn, NULL), -EINVAL);
    ck_assert_int_eq(db_send_sql(conn, "SELECT count(*) FROM note", 0, NULL), 0);
    ck_assert_int_eq(db_send_sql(conn, "ROLLBACK", 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    {
        _cleanup_(db_result_freep) struct db_result *count = fixture_next(conn, DB_ROWS);

        ck_assert_str_eq(db_value(count, 0, 0), "1");
    }
    fixture_expect(conn, DB_DONE);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT count(*) FROM note"), 0);
}
END_TEST

START_TEST(local_settings_hold_to_the_sync_point)
{
    ck_assert_int_eq(db_send_sql(conn, "SELECT set_config('app.x', '7', true)", 0, NULL), 0);
    ck_assert_int_eq(db_send_sql(conn, "SELECT current_setting('app.x')", 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    fixture_expect(conn, DB_ROWS);
    {
        _cleanup_(db_result_freep) struct db_result *x = fixture_next(conn, DB_ROWS);

        ck_assert_str_eq(db_value(x, 0, 0), "7");
    }
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT length(current_setting('app.x', true))"), 0);
}
END_TEST

START_TEST(large_values_go_both_ways)
{
    size_t n = 3 * 1024 * 1024;
    _cleanup_(freep) char *text = malloc(n + 1);

    ck_assert_ptr_nonnull(text);
    memset(text, 'v', n);
    text[n] = '\0';
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES(text, text)), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    for (int i = 0; i < 4; i++) {
        _cleanup_(db_result_freep) struct db_result *result = fixture_next(conn, DB_ROWS);

        ck_assert_uint_eq(db_len(result, 0, 1), n);
    }
    ck_assert_int_eq(db_drain(conn, NULL), 0);
}
END_TEST

static void send_shape(const char *sql, const char *value)
{
    ck_assert_int_eq(db_send_shape(conn, sql, 1, VALUES(value)), 0);
}

#define PREPARED "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'shape%'"

START_TEST(a_composed_statement_is_prepared_once)
{
    for (int i = 0; i < 3; i++) {
        send_shape("SELECT $1::int + 1", "41");
        send_shape("SELECT $1::int + 1", "42");
        send_shape("SELECT $1::int + 2", "43");
        ck_assert_int_eq(db_sync(conn), 0);
        for (int k = 0; k < 3; k++) {
            static const char *const sums[] = { "42", "43", "45" };
            _cleanup_(db_result_freep) struct db_result *sum = fixture_next(conn, DB_ROWS);

            ck_assert_str_eq(db_value(sum, 0, 0), sums[k]);
        }
        ck_assert_int_eq(db_drain(conn, NULL), 0);
    }
    ck_assert_int_eq(fixture_number(conn, PREPARED), 2);
    ck_assert_int_eq(fixture_number(conn,
                         "SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements"
                         " WHERE name LIKE 'shape%'"),
        9);
}
END_TEST

START_TEST(composed_statements_are_kept_within_their_limit)
{
    struct db_pool_options options = fixture_options(1);
    char sql[64];

    options.shapes = 8;
    conn = db_pool_give(conn);
    ck_assert_int_eq(db_open(&options, NULL, 0, &conn), 0);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(sql, sizeof(sql), "SELECT $1::int + %d", i % 30);
        send_shape(sql, "1");
        ck_assert_int_eq(db_sync(conn), 0);
        fixture_expect(conn, DB_ROWS);
        ck_assert_int_eq(db_drain(conn, NULL), 0);
        ck_assert_int_le(fixture_number(conn, PREPARED), 8);
    }
    /* More at once than there is room for: the rest goes unprepared. */
    for (int i = 100; i < 120; i++) {
        (void)snprintf(sql, sizeof(sql), "SELECT $1::int + %d", i);
        send_shape(sql, "1");
    }
    ck_assert_int_eq(db_sync(conn), 0);
    for (int i = 100; i < 120; i++)
        fixture_expect(conn, DB_ROWS);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_le(fixture_number(conn, PREPARED), 8);
    conn = db_pool_give(conn);
}
END_TEST

START_TEST(a_composed_statement_in_an_aborted_pipeline_is_prepared_again)
{
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES("a", "b")), 0);
        if (i == 0)
            ck_assert_int_eq(db_send_sql(conn, "SELECT 1/0", 0, NULL), 0);
        send_shape("SELECT $1::int + 1", "41");
        ck_assert_int_eq(db_sync(conn), 0);
        /* Not yet known whether that got prepared: goes unprepared. */
        send_shape("SELECT $1::int + 1", "41");
        ck_assert_int_eq(db_sync(conn), 0);
        fixture_expect(conn, DB_ROWS);
        if (i == 0)
            fixture_expect(conn, DB_ERROR);
        fixture_expect(conn, i == 0 ? DB_ABORTED : DB_ROWS);
        ck_assert_int_eq(db_next(conn, NULL), 0);
        fixture_expect(conn, DB_ROWS);
        ck_assert_int_eq(db_drain(conn, NULL), 0);
    }
    ck_assert_int_eq(fixture_number(conn, PREPARED), 1);
}
END_TEST

START_TEST(a_composed_statement_that_cannot_be_prepared_is_one_error)
{
    send_shape("SELECT $1::int + 1", "1");
    send_shape("SELEC $1", "1");
    send_shape("SELECT $1::int + 2", "1");
    ck_assert_int_eq(db_sync(conn), 0);
    fixture_expect(conn, DB_ROWS);
    {
        _cleanup_(db_result_freep) struct db_result *error = fixture_next(conn, DB_ERROR);

        ck_assert(db_is_error(error, "42601"));
    }
    fixture_expect(conn, DB_ABORTED);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT 5"), 5);
}
END_TEST

static int stream_rows(int until_error)
{
    int rows = 0;

    for (;;) {
        _cleanup_(db_result_freep) struct db_result *row = NULL;

        ck_assert_int_eq(db_stream_next(conn, &row), 1);
        if (db_kind(row) != DB_ROW) {
            ck_assert_int_eq(db_kind(row), until_error ? DB_ERROR : DB_ROWS);
            ck_assert_int_eq(db_rows(row), 0);
            return rows;
        }
        ck_assert_int_eq(db_rows(row), 1);
        ck_assert_int_eq(strtol(db_value(row, 0, 0), NULL, 10), ++rows);
    }
}

START_TEST(rows_are_streamed_one_by_one)
{
    ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES("a", "b")), 0);
    ck_assert_int_eq(db_send(conn, Q_SERIES, VALUES("20000")), 0);
    send_shape("SELECT generate_series(1, $1::int)", "500");
    ck_assert_int_eq(db_send(conn, Q_SERIES, VALUES("3")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    fixture_expect(conn, DB_ROWS);
    ck_assert_int_eq(stream_rows(false), 20000);
    ck_assert_int_eq(stream_rows(false), 500);
    {
        _cleanup_(db_result_freep) struct db_result *whole = fixture_next(conn, DB_ROWS);

        ck_assert_int_eq(db_rows(whole), 3);
    }
    ck_assert_int_eq(db_drain(conn, NULL), 0);
}
END_TEST

START_TEST(a_stream_may_end_in_an_error)
{
    send_shape("SELECT i, 1 / (i - $1::int) FROM generate_series(1, 1000) i", "700");
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(stream_rows(true), 699);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT 5"), 5);
}
END_TEST

START_TEST(a_stream_left_early_can_be_drained)
{
    _cleanup_(db_result_freep) struct db_result *row = NULL;

    ck_assert_int_eq(db_send(conn, Q_SERIES, VALUES("20000")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_stream_next(conn, &row), 1);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT 5"), 5);
}
END_TEST

START_TEST(a_query_past_its_deadline_is_cancelled)
{
    int64_t start = clock_mono_us();
    struct db_conn *other = fixture_open();
    struct db_result *result = NULL;
    long running = -1;

    db_set_wait(conn, 100);
    ck_assert_int_eq(db_send(conn, Q_SLEEP, VALUES("30")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_next(conn, &result), -ETIMEDOUT);
    ck_assert_int_lt(clock_mono_us() - start, 20000000);
    ck_assert_int_eq(db_next(conn, &result), -ECONNRESET);
    ck_assert_int_eq(db_send(conn, Q_SLEEP, VALUES("30")), -EINVAL);
    ck_assert(!db_retryable(conn));
    conn = db_pool_give(conn);
    for (int i = 0; i < 3000 && running != 0; i++) {
        (void)usleep(20000);
        running = fixture_number(other, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'");
    }
    ck_assert_int_eq(running, 0);
    (void)db_pool_give(other);
}
END_TEST

START_TEST(the_servers_own_timeout_is_an_error_like_others)
{
    struct db_pool_options options = fixture_options(1);

    options.statement_timeout_ms = 50;
    conn = db_pool_give(conn);
    ck_assert_int_eq(db_open(&options, NULL, 0, &conn), 0);
    ck_assert_int_eq(db_send(conn, Q_SLEEP, VALUES("30")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    {
        _cleanup_(db_result_freep) struct db_result *error = fixture_next(conn, DB_ERROR);

        ck_assert(db_is_error(error, "57014"));
    }
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT 5"), 5);
    conn = db_pool_give(conn);
}
END_TEST

START_TEST(the_end_of_a_session_before_its_first_answer_is_retryable)
{
    struct db_result *result = NULL;
    char sql[64];

    (void)snprintf(
        sql, sizeof(sql), "SELECT pg_terminate_backend(%ld)", fixture_number(conn, "SELECT pg_backend_pid()"));
    ck_assert_int_eq(db_send(conn, Q_SLEEP, VALUES("30")), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    fixture_run(sql);
    ck_assert_int_eq(db_next(conn, &result), -ECONNRESET);
    /* This lease has read an answer before. */
    ck_assert(!db_retryable(conn));
    conn = db_pool_give(conn);

    conn = fixture_open();
    ck_assert_int_eq(db_send_sql(conn, "SELECT pg_terminate_backend(pg_backend_pid())", 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_next(conn, &result), -ECONNRESET);
    ck_assert(db_retryable(conn));
}
END_TEST

START_TEST(copy_brings_rows_in_within_a_transaction)
{
    int64_t rows = 0;
    char line[64];

    ck_assert_int_eq(db_send_sql(conn, "BEGIN", 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(db_pipeline_off(conn), 0);
    ck_assert_int_eq(db_exec(conn, "CREATE TEMPORARY TABLE t (id int, body text) ON COMMIT DROP; SELECT 1", NULL), 0);
    ck_assert_int_eq(db_copy_begin(conn, "COPY t FROM STDIN", NULL), 0);
    for (int i = 0; i < 100000; i++) {
        int n = snprintf(line, sizeof(line), "%d\tline %d\n", i, i);

        ck_assert_int_eq(db_copy_put(conn, line, (size_t)n), 0);
    }
    ck_assert_int_eq(db_copy_end(conn, NULL, &rows, NULL), 0);
    ck_assert_int_eq(rows, 100000);
    /* Named queries work here as well, one at a time. */
    ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES("a", "b")), 0);
    ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES("a", "b")), -EINVAL);
    fixture_expect(conn, DB_ROWS);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(db_pipeline_on(conn), 0);
    ck_assert_int_eq(db_send_sql(conn, "INSERT INTO note SELECT id, body FROM t", 0, NULL), 0);
    ck_assert_int_eq(db_send_sql(conn, "COMMIT", 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT count(*) FROM note"), 100000);
}
END_TEST

START_TEST(copy_that_fails_or_is_given_up_leaves_a_usable_connection)
{
    _cleanup_(db_result_freep) struct db_result *error = NULL, *given_up = NULL, *wrong = NULL;

    ck_assert_int_eq(db_pipeline_off(conn), 0);
    ck_assert_int_eq(db_copy_begin(conn, "COPY note FROM STDIN", NULL), 0);
    ck_assert_int_eq(db_copy_put(conn, "1\tgood\nx\tno number\n", 19), 0);
    ck_assert_int_eq(db_copy_end(conn, NULL, NULL, &error), -EBADMSG);
    ck_assert(db_is_error(error, "22P02"));

    ck_assert_int_eq(db_copy_begin(conn, "COPY note FROM STDIN", NULL), 0);
    ck_assert_int_eq(db_copy_put(conn, "1\tgood\n", 7), 0);
    ck_assert_int_eq(db_exec(conn, "SELECT 1", NULL), -EINVAL);
    ck_assert_int_eq(db_copy_end(conn, "given up", NULL, &given_up), -EBADMSG);
    ck_assert(db_is_error(given_up, "57014"));

    ck_assert_int_eq(db_copy_begin(conn, "COPY nothing FROM STDIN", &wrong), -EBADMSG);
    ck_assert(db_is_error(wrong, "42P01"));
    ck_assert_int_eq(db_pipeline_on(conn), 0);
    ck_assert_int_eq(fixture_number(conn, "SELECT count(*) FROM note"), 0);
}
END_TEST

START_TEST(what_is_not_possible_is_refused)
{
    ck_assert_int_eq(db_send(conn, Q_LAST, NULL), -EINVAL);
    ck_assert_int_eq(db_exec(conn, "SELECT 1", NULL), -EINVAL);
    ck_assert_int_eq(db_copy_begin(conn, "COPY note FROM STDIN", NULL), -EINVAL);
    ck_assert_int_eq(db_copy_put(conn, "x", 1), -EINVAL);
    ck_assert_int_eq(db_copy_end(conn, NULL, NULL, NULL), -EINVAL);
    ck_assert_int_eq(db_send(conn, Q_ECHO, VALUES("a", "b")), 0);
    ck_assert_int_eq(db_pipeline_off(conn), -EINVAL);
    ck_assert_int_eq(db_sync(conn), 0);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    ck_assert_int_eq(db_pipeline_off(conn), 0);
    ck_assert_int_eq(db_sync(conn), -EINVAL);
    ck_assert_int_eq(db_flush_request(conn), -EINVAL);
    ck_assert_ptr_null(db_pool_give(NULL));
    ck_assert_ptr_null(db_pool_free(NULL));
    ck_assert_ptr_null(db_result_free(NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db");
    TCase *tc = tcase_create("connection");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, results_come_in_order_and_outlive_the_connection);
    tcase_add_test(tc, several_pipelines_may_be_under_way);
    tcase_add_test(tc, an_error_aborts_the_rest_and_the_connection_recovers);
    tcase_add_test(tc, errors_raised_by_functions_carry_all_their_texts);
    tcase_add_test(tc, a_commit_that_fails_is_told_by_drain);
    tcase_add_test(tc, a_flush_keeps_the_transaction_open);
    tcase_add_test(tc, local_settings_hold_to_the_sync_point);
    tcase_add_test(tc, large_values_go_both_ways);
    tcase_add_test(tc, a_composed_statement_is_prepared_once);
    tcase_add_test(tc, composed_statements_are_kept_within_their_limit);
    tcase_add_test(tc, a_composed_statement_in_an_aborted_pipeline_is_prepared_again);
    tcase_add_test(tc, a_composed_statement_that_cannot_be_prepared_is_one_error);
    tcase_add_test(tc, rows_are_streamed_one_by_one);
    tcase_add_test(tc, a_stream_may_end_in_an_error);
    tcase_add_test(tc, a_stream_left_early_can_be_drained);
    tcase_add_test(tc, a_query_past_its_deadline_is_cancelled);
    tcase_add_test(tc, the_servers_own_timeout_is_an_error_like_others);
    tcase_add_test(tc, the_end_of_a_session_before_its_first_answer_is_retryable);
    tcase_add_test(tc, copy_brings_rows_in_within_a_transaction);
    tcase_add_test(tc, copy_that_fails_or_is_given_up_leaves_a_usable_connection);
    tcase_add_test(tc, what_is_not_possible_is_refused);
    suite_add_tcase(suite, tc);
    return fixture_main(suite);
}
