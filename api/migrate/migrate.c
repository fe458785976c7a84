/* Applying the migrations built into the program, and telling how a database stands to them. */
#include "migrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db.h"
#include "text.h"

/* Long enough for an index on the largest table. */
#define STATEMENT_WAIT_MS (6 * 3600 * 1000)
/* Between attempts to become the only process that migrates. */
#define LOCK_RETRY_MS 500
#define SQL_MAX       (16 * 1024 * 1024)

#define LOCK_SQL    "SELECT pg_try_advisory_lock(hashtextextended('tiendo_migration', 0))"
#define APPLIED_SQL "SELECT version, name, sha256 FROM tiendo_migration.migration ORDER BY version"

static const struct db_setting settings[] = {
    /* A migration that waits for a lock makes everybody else wait behind it. */
    { "lock_timeout", "30s" },
    { "client_min_messages", "warning" },
    { "idle_in_transaction_session_timeout", "0" },
    { "row_security", "on" },
};

/* Who owns everything, and the record of what was applied. */
static const char prepare_sql[] = "SET ROLE tiendo_owner;"
                                  "CREATE SCHEMA IF NOT EXISTS tiendo_migration;"
                                  "CREATE TABLE IF NOT EXISTS tiendo_migration.migration ("
                                  " version int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
                                  " applied_at timestamptz NOT NULL DEFAULT clock_timestamp());"
                                  "GRANT USAGE ON SCHEMA tiendo_migration TO tiendo_service;"
                                  "GRANT SELECT ON tiendo_migration.migration TO tiendo_service";

/* ---- comparing ---- */

struct comparison {
    enum migrate_state state;
    size_t pending;
    int version; /* the one that forbids going on */
    const char *name;
};

static void differ(struct comparison *c, enum migrate_state state, int version, const char *name)
{
    if (c->state > MIGRATE_PENDING)
        return;
    c->state = state;
    c->version = version;
    c->name = name;
}

/* Walks both lists in the order of versions. Names are borrowed from either. */
static struct comparison compare(const struct migration *table, size_t n, const struct db_result *applied)
{
    struct comparison c = { .state = MIGRATE_CURRENT };
    int rows = db_rows(applied), row = 0;
    size_t i = 0;

    while (i < n || row < rows) {
        int there = row < rows ? (int)strtol(db_value(applied, row, 0), NULL, 10) : 0;
        const char *name = db_value(applied, row, 1);

        if (row == rows) {
            c.pending++;
            i++;
        } else if (i == n || there < table[i].version) {
            differ(&c, MIGRATE_NEWER, there, name);
            row++;
        } else if (there > table[i].version) {
            differ(&c, MIGRATE_GAP, table[i].version, table[i].name);
            i++;
        } else {
            if (strcmp(table[i].sha256, db_value(applied, row, 2)) != 0)
                differ(&c, MIGRATE_CHANGED, there, table[i].name);
            i++;
            row++;
        }
    }
    if (c.state == MIGRATE_CURRENT && c.pending > 0)
        c.state = MIGRATE_PENDING;
    return c;
}

static int explain(const struct comparison *c, FILE *out)
{
    const char *why = "";

    switch (c->state) {
    case MIGRATE_CURRENT:
    case MIGRATE_PENDING: return 0;
    case MIGRATE_NEWER: why = "is in the database but not in this program: it is newer, or not its own"; break;
    case MIGRATE_CHANGED: why = "was changed after it was applied: restore its text and write a new migration"; break;
    case MIGRATE_GAP: why = "was not applied, but a later one was: give it a number after all that were"; break;
    }
    (void)fprintf(out, "migrate: %04d_%s %s\n", c->version, c->name, why);
    return -EPERM;
}

/* ---- the database ---- */

static void tell_error(FILE *out, const char *what, const struct db_result *error)
{
    struct db_error e;

    db_error(error, &e);
    (void)fprintf(out, "migrate: %s: %s (%s)\n", what, e.message, e.sqlstate);
    if (e.detail[0])
        (void)fprintf(out, "migrate:   detail: %s\n", e.detail);
    if (e.hint[0])
        (void)fprintf(out, "migrate:   hint: %s\n", e.hint);
    if (e.context[0])
        (void)fprintf(out, "migrate:   context: %s\n", e.context);
}

/* Runs statements; an error is told. ret_result may be NULL. */
static int run(struct db_conn *conn, const char *what, const char *sql, FILE *out, struct db_result **ret_result)
{
    _cleanup_(db_result_freep) struct db_result *result = NULL;
    int r;

    r = db_exec(conn, sql, &result);
    if (r == -EBADMSG)
        tell_error(out, what, result);
    else if (r < 0)
        (void)fprintf(out, "migrate: %s: %s\n", what, strerror(-r));
    else if (ret_result)
        *ret_result = TAKE_PTR(result);
    return r;
}

static int lock(struct db_conn *conn, FILE *out)
{
    const struct timespec pause = { .tv_nsec = LOCK_RETRY_MS * 1000000L };
    bool told = false;

    for (;;) {
        _cleanup_(db_result_freep) struct db_result *result = NULL;
        int r = run(conn, "lock", LOCK_SQL, out, &result);

        if (r < 0)
            return r;
        if (strcmp(db_value(result, 0, 0), "t") == 0)
            return 0;
        if (!told)
            (void)fprintf(out, "migrate: waiting for another process that migrates\n");
        (void)fflush(out);
        told = true;
        (void)nanosleep(&pause, NULL);
    }
}

/* The migration and its record, or neither. */
static int apply(struct db_conn *conn, const struct migration *m, FILE *out)
{
    _cleanup_(buf_free) struct buf sql = { 0 };
    char what[160];
    int r;

    (void)snprintf(what, sizeof(what), "%04d_%s", m->version, m->name);
    (void)fprintf(out, "migrate: %s\n", what);
    (void)fflush(out);
    buf_init(&sql, SQL_MAX);
    buf_adds(&sql, "RESET ALL; SET lock_timeout = '30s'; SET client_min_messages = warning; BEGIN;\n");
    buf_adds(&sql, m->sql);
    /* Names and checksums hold nothing to be quoted: the generator and the build see to that. */
    buf_addf(&sql, "\n;INSERT INTO tiendo_migration.migration (version, name, sha256) VALUES (%d, '%s', '%s');\nCOMMIT",
        m->version, m->name, m->sha256);
    if (sql.failed)
        return -ENOMEM;
    r = run(conn, what, buf_cstr(&sql), out, NULL);
    if (r == -EBADMSG)
        (void)run(conn, what, "ROLLBACK", out, NULL);
    return r;
}

static int read_applied(struct db_conn *conn, const struct migration *table, size_t n, FILE *out, size_t *ret_pending)
{
    _cleanup_(db_result_freep) struct db_result *applied = NULL;
    struct comparison c;
    int r;

    r = run(conn, "applied migrations", APPLIED_SQL, out, &applied);
    if (r < 0)
        return r;
    c = compare(table, n, applied);
    r = explain(&c, out);
    if (r < 0)
        return r;
    *ret_pending = c.pending;
    return 0;
}

int migrate_run_table(const char *conninfo, const struct migration *table, size_t n, FILE *out)
{
    const struct db_pool_options options = { .name = "tiendo-migrate",
        .conninfo = conninfo,
        .size = 1,
        .settings = settings,
        .n_settings = ARRAY_SIZE(settings),
        .wait_ms = STATEMENT_WAIT_MS,
        .target_session_attrs = "read-write" };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    char error[512];
    size_t pending = 0;
    int r;

    r = db_open(&options, error, sizeof(error), &conn);
    if (r < 0) {
        (void)fprintf(out, "migrate: %s\n", error);
        return r;
    }
    r = db_pipeline_off(conn);
    if (r == 0)
        r = lock(conn, out);
    if (r == 0)
        r = run(conn, "preparation (are the roles of deploy/roles.sql there?)", prepare_sql, out, NULL);
    if (r == 0)
        r = read_applied(conn, table, n, out, &pending);
    if (r < 0)
        return r;

    for (size_t i = n - pending; i < n; i++) {
        r = apply(conn, &table[i], out);
        if (r < 0)
            return r;
    }
    (void)fprintf(
        out, "migrate: %zu applied, the database is at %04d_%s\n", pending, table[n - 1].version, table[n - 1].name);
    return 0;
}

int migrate_run(const char *conninfo, FILE *out)
{
    return migrate_run_table(conninfo, migrations, n_migrations, out);
}

int migrate_status(struct db_conn *conn, enum migrate_state *ret_state, size_t *ret_pending)
{
    _cleanup_(db_result_freep) struct db_result *applied = NULL;
    struct comparison c;
    int r;

    r = db_send_sql(conn, APPLIED_SQL, 0, NULL);
    if (r == 0)
        r = db_sync(conn);
    if (r == 0)
        r = db_next(conn, &applied);
    if (r < 0)
        return r;
    r = db_drain(conn, NULL);
    if (r < 0)
        return r;
    if (db_kind(applied) != DB_ROWS)
        return -EBADMSG;
    c = compare(migrations, n_migrations, applied);
    *ret_state = c.state;
    *ret_pending = c.pending;
    return 0;
}
