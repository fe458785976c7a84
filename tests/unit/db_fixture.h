/* What the database tests share. Each test runs in a process of its own and opens its connections there. */
#ifndef TIENDO_DB_FIXTURE_H
#define TIENDO_DB_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "db.h"
#include "log.h"

#define VALUES(...) ((const char *const[]){ __VA_ARGS__ })

enum { Q_ECHO, Q_ADD, Q_SLEEP, Q_SERIES, Q_PID, Q_LAST };

static const struct db_query fixture_queries[Q_LAST] = {
    { "echo", "SELECT $1::text AS a, $2::text AS b", 2 },
    { "add", "INSERT INTO note (id, body) VALUES ($1::int, $2)", 2 },
    { "sleep", "SELECT pg_sleep($1::float8)", 1 },
    { "series", "SELECT i, repeat('x', 100) FROM generate_series(1, $1::int) i", 1 },
    { "pid", "SELECT pg_backend_pid()", 0 },
};

static const struct db_setting fixture_settings[] = {
    { "jit", "off" },
    { "plan_cache_mode", "force_generic_plan" },
    { "search_path", "public" },
};

static inline struct db_pool_options fixture_options(unsigned size)
{
    return (struct db_pool_options){ .name = "test",
        .conninfo = "",
        .size = size,
        .queries = fixture_queries,
        .n_queries = Q_LAST,
        .settings = fixture_settings,
        .n_settings = ARRAY_SIZE(fixture_settings) };
}

/* A connection outside pools. */
static inline struct db_conn *fixture_open(void)
{
    static struct db_pool_options options;
    struct db_conn *conn = NULL;
    char error[512];

    options = fixture_options(1);
    ck_assert_msg(db_open(&options, error, sizeof(error), &conn) == 0, "%s", error);
    return conn;
}

/* Statements in the simple protocol on a connection of their own. */
static inline void fixture_run(const char *sql)
{
    struct db_pool_options options = { .name = "fixture", .conninfo = "", .size = 1 };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    _cleanup_(db_result_freep) struct db_result *result = NULL;
    struct db_error e;
    char error[512];
    int r;

    ck_assert_msg(db_open(&options, error, sizeof(error), &conn) == 0, "%s", error);
    ck_assert_int_eq(db_pipeline_off(conn), 0);
    r = db_exec(conn, sql, &result);
    if (r == -EBADMSG) {
        db_error(result, &e);
        ck_abort_msg("%s: %s", sql, e.message);
    }
    ck_assert_int_eq(r, 0);
}

static inline void fixture_tables(void)
{
    log_init(2, LOG_LEVEL_ERROR);
    fixture_run("SET client_min_messages = warning;"
                "DROP TABLE IF EXISTS note;"
                "CREATE TABLE note (id int CONSTRAINT note_key PRIMARY KEY DEFERRABLE INITIALLY DEFERRED,"
                " body text CONSTRAINT note_body CHECK (body <> 'bad'))");
}

static inline void fixture_ctl(const char *what)
{
    char command[512];

    (void)snprintf(command, sizeof(command), "\"$TEST_POSTGRES\" --ctl %s", what);
    ck_assert_int_eq(system(command), 0);
}

/* The next result, which must be of this kind. */
static inline struct db_result *fixture_next(struct db_conn *conn, enum db_kind kind)
{
    struct db_result *result = NULL;
    struct db_error e;

    ck_assert_int_eq(db_next(conn, &result), 1);
    db_error(result, &e);
    ck_assert_msg(
        db_kind(result) == kind, "kind %d, not %d: %s %s", (int)db_kind(result), (int)kind, e.sqlstate, e.message);
    return result;
}

static inline void fixture_expect(struct db_conn *conn, enum db_kind kind)
{
    (void)db_result_free(fixture_next(conn, kind));
}

/* One whole number by an unprepared statement in a pipeline of its own. */
static inline long fixture_number(struct db_conn *conn, const char *sql)
{
    _cleanup_(db_result_freep) struct db_result *result = NULL;

    ck_assert_int_eq(db_send_sql(conn, sql, 0, NULL), 0);
    ck_assert_int_eq(db_sync(conn), 0);
    result = fixture_next(conn, DB_ROWS);
    ck_assert_int_eq(db_rows(result), 1);
    ck_assert_int_eq(db_drain(conn, NULL), 0);
    return strtol(db_value(result, 0, 0), NULL, 10);
}

static inline int fixture_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    if (!getenv("TEST_POSTGRES")) {
        (void)fprintf(stderr, "run it through tests/unit/with_postgres.sh\n");
        return EXIT_FAILURE;
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
