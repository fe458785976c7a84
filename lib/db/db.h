/*
 * PostgreSQL for the rest of the house: pools of connections that are kept in pipeline mode with every named
 * query prepared. Only lib/db includes libpq-fe.h.
 *
 * A quick request is one lease and one round trip:
 *
 *     _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
 *     _cleanup_(db_result_freep) struct db_result *entered = NULL, *rows = NULL;
 *
 *     r = db_pool_take(pool, 50, &conn);                       -EAGAIN, -ENOTCONN: 503
 *     r = db_send(conn, Q_ENTER, enter_values);                queued only
 *     r = db_send(conn, Q_ORGANIZATION_GET, values);           queued only
 *     r = db_sync(conn);                                       one write(2)
 *     r = db_next(conn, &entered);                             1: a result, in the order of sending
 *     r = db_next(conn, &rows);
 *     r = db_drain(conn, &failure);                            to the sync point: committed only now
 *
 * Results outlive the lease: give the connection back before the answer is written.
 *
 * Functions return 0 (or a positive count) or a negative errno; ret_ outputs are untouched on failure:
 *     -EAGAIN      every connection stayed busy for the whole wait
 *     -ENOTCONN    the database is not to be had now; the pool keeps trying by itself
 *     -ECONNRESET  the connection was lost during the lease (see db_retryable)
 *     -ETIMEDOUT   the deadline passed; the query is cancelled and the connection replaced
 *     -EBADMSG     db_drain, db_exec, db_copy_*: the server reported an error
 *     -EINVAL      not possible in this state (a mistake of the caller)
 * After any negative value but -EBADMSG the connection is of no more use: give it back.
 *
 * A pool may be used by any number of threads, a leased connection by one at a time.
 */
#ifndef TIENDO_DB_H
#define TIENDO_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct db_pool;
struct db_conn;
struct db_result;

/* One row of the generated table of named queries; prepared under its name on every connection. */
struct db_query {
    const char *name;
    const char *sql;
    int n_params;
};

/* A session setting, made on every connection with set_config(). */
struct db_setting {
    const char *name;
    const char *value;
};

/* Everything in it is borrowed for the life of the pool or connection. */
struct db_pool_options {
    const char *name;     /* in logs, and the application_name */
    const char *conninfo; /* as libpq takes it, a URI too */
    unsigned size;        /* connections held, at least 1 */

    const struct db_query *queries;
    size_t n_queries;
    const struct db_setting *settings; /* search_path, lock_timeout, jit, plan_cache_mode … */
    size_t n_settings;

    unsigned statement_timeout_ms;    /* the server's; 0: none */
    unsigned wait_ms;                 /* longest wait for a result; 0: statement_timeout_ms + 2 s, or 60 s */
    unsigned connect_timeout_s;       /* for each host; 0: 3 s */
    unsigned tcp_user_timeout_ms;     /* 0: 10 s */
    const char *target_session_attrs; /* NULL: what conninfo says */
    unsigned shapes;                  /* composed statements kept prepared on each connection; 0: 256 */
    unsigned shared;                  /* connections, of size, that db_pool_call may share at most; 0: none */
};

struct db_pool_stats {
    unsigned size;      /* connections wanted */
    unsigned open;      /* connections there are */
    unsigned idle;      /* of them not leased */
    unsigned waiting;   /* threads in db_pool_take */
    bool down;          /* the last attempt to connect failed and none is open */
    uint64_t takes;     /* leases given */
    uint64_t exhausted; /* -EAGAIN */
    uint64_t refused;   /* -ENOTCONN */
    uint64_t connects;  /* connections opened */
    uint64_t failures;  /* attempts to connect that failed */
    uint64_t lost;      /* connections found or gone dead */
    uint64_t timeouts;  /* -ETIMEDOUT */
};

/* ---- pool ---- */

/* Starts the pool and its keeper thread, which opens and replaces connections; does not wait for the database. */
MUST_CHECK int db_pool_new(const struct db_pool_options *options, struct db_pool **ret_pool);
/* Closes everything; every lease must have been given back and nobody may be waiting. Takes NULL. */
struct db_pool *db_pool_free(struct db_pool *pool);
/* Waits until a connection is open: 0, or -ENOTCONN after wait_ms (the reason: db_pool_last_error). */
MUST_CHECK int db_pool_ready(struct db_pool *pool, unsigned wait_ms);
/* Copies the reason of the last failure to connect, "" if there was none. */
void db_pool_last_error(struct db_pool *pool, char *buf, size_t size);
void db_pool_stats(struct db_pool *pool, struct db_pool_stats *ret_stats);

/* Leases a live connection, first come first served. -EAGAIN, -ENOTCONN (at once while the database is away). */
MUST_CHECK int db_pool_take(struct db_pool *pool, unsigned wait_ms, struct db_conn **ret_conn);
/* Ends the lease. A connection that is broken, in a transaction or has results unread is closed and replaced;
 * one opened by db_open is closed. Takes NULL. */
struct db_conn *db_pool_give(struct db_conn *conn);

/* One connection outside any pool, for migrations and other single work. size and name are as in a pool.
 * Fills error (may be NULL) with the reason of a failure. */
MUST_CHECK int db_open(
    const struct db_pool_options *options, char *error, size_t error_size, struct db_conn **ret_conn);

/* ---- pipelines ---- */

/* Queues a named query by its index in the table. values: n_params texts, NULL is SQL's NULL. Outside pipeline mode it
 * is sent at once, and one at a time. */
MUST_CHECK int db_send(struct db_conn *conn, unsigned query, const char *const *values);
/* Queues a statement composed at run time from fixed fragments, prepared once on each connection. */
MUST_CHECK int db_send_shape(struct db_conn *conn, const char *sql, int n_params, const char *const *values);
/* Queues a statement not worth preparing (BEGIN, COMMIT, SET …). ROLLBACK undoes the implicit transaction too. */
MUST_CHECK int db_send_sql(struct db_conn *conn, const char *sql, int n_params, const char *const *values);
/* Ends the pipeline and sends it: the implicit transaction commits, or is rolled back after an error. */
MUST_CHECK int db_sync(struct db_conn *conn);
/* Sends what is queued and asks for its results; the implicit transaction stays open until db_sync. */
MUST_CHECK int db_flush_request(struct db_conn *conn);

/* The next result in the order of sending: 1; or 0 at a sync point, or when nothing more is to come.
 * After an error the rest up to the sync point is DB_ABORTED. */
MUST_CHECK int db_next(struct db_conn *conn, struct db_result **ret_result);
/* Reads on past the last sync point: 0, or -EBADMSG when one of the results passed over, or the commit itself,
 * was an error, which then is handed out (ret_error may be NULL). Never answer success before it returned 0. */
MUST_CHECK int db_drain(struct db_conn *conn, struct db_result **ret_error);
/* The next result (ret_result may be NULL), which has to come: 0; or -EBADMSG, where the error is handed out unless *ret_error
 * holds one already. Reading on is the caller's. */
MUST_CHECK int db_take(struct db_conn *conn, struct db_result **ret_result, struct db_result **ret_error);
/* The rest of a pipeline that failed with r, up to a sync point that is under way: r, or what broke the connection. */
MUST_CHECK int db_give_up(struct db_conn *conn, int r);
/* One named query in a transaction of its own: 0 and its rows, or -EBADMSG and the error handed out. */
MUST_CHECK int db_run(struct db_conn *conn, unsigned query, const char *const *values, struct db_result **ret_rows,
    struct db_result **ret_error);
/* db_next for exports: rows arrive in pieces, each a DB_ROW result of one row, the last a DB_ROWS of none.
 * To be used from the first piece of a query to its last. */
MUST_CHECK int db_stream_next(struct db_conn *conn, struct db_result **ret_result);

/* The longest wait for one result, for the rest of this lease; 0: the pool's own. */
void db_set_wait(struct db_conn *conn, unsigned wait_ms);
/* After a failure: whether nothing sent in this lease can have been committed, so that even a write may be tried
 * again on another connection. (A read may be tried again after any -ECONNRESET.) */
bool db_retryable(const struct db_conn *conn);

/* ---- calls on shared connections ---- */

/* A statement of a call. */
struct db_statement {
    const char *sql; /* a composed one, or NULL: */
    unsigned query;  /* a named one */
    int n_params;    /* of a composed one */
    const char *const *values;
};

#define DB_CALL_MAX 8 /* statements */

/*
 * Runs statements and a sync point, like a lease of its own would, but while every connection is busy it is queued at
 * the server behind other calls instead of waiting here, which halves the cost of a short read. For reads that are
 * short and alike: a slow one delays those behind it, a lost connection takes them along (-ECONNRESET: try again).
 * 0 and n results (of every kind, DB_ERROR and DB_ABORTED too); or a negative errno and none, -EBADMSG when the commit
 * failed. wait_ms as in db_pool_take.
 */
MUST_CHECK int db_pool_call(struct db_pool *pool, unsigned wait_ms, const struct db_statement *statements, size_t n,
    struct db_result **ret_results);

/* ---- COPY, and statements in the simple protocol ---- */

/* Leaves and re-enters pipeline mode; everything must have been drained. An explicit transaction stays open. */
MUST_CHECK int db_pipeline_off(struct db_conn *conn);
MUST_CHECK int db_pipeline_on(struct db_conn *conn);

/* Runs one or several statements, outside pipeline mode. ret_result (may be NULL) is the last or the failed one. */
MUST_CHECK int db_exec(struct db_conn *conn, const char *sql, struct db_result **ret_result);
/* Starts COPY … FROM STDIN, outside pipeline mode. */
MUST_CHECK int db_copy_begin(struct db_conn *conn, const char *sql, struct db_result **ret_error);
MUST_CHECK int db_copy_put(struct db_conn *conn, const char *p, size_t n);
/* Ends it; with abort_reason the server is told to fail the COPY. ret_rows may be NULL. */
MUST_CHECK int db_copy_end(
    struct db_conn *conn, const char *abort_reason, int64_t *ret_rows, struct db_result **ret_error);

/* ---- results ---- */

enum db_kind {
    DB_DONE,    /* a command without rows */
    DB_ROWS,    /* rows, perhaps none */
    DB_ROW,     /* one row of a stream */
    DB_ERROR,   /* the server refused it: db_error */
    DB_ABORTED, /* not run, because something before it in the pipeline failed */
};

/* Texts are borrowed from the result, never NULL ("" where the server sent none). */
struct db_error {
    const char *sqlstate;
    const char *message;
    const char *detail;
    const char *hint;
    const char *constraint;
    const char *table;
    const char *context;
};

struct db_result *db_result_free(struct db_result *result);

enum db_kind db_kind(const struct db_result *result);
int db_rows(const struct db_result *result);
int db_cols(const struct db_result *result);
/* Borrowed text, "" for NULL; rows and columns out of range are NULL too. */
const char *db_value(const struct db_result *result, int row, int col);
size_t db_len(const struct db_result *result, int row, int col);
bool db_is_null(const struct db_result *result, int row, int col);
/* The column of that name, or -1 (which the accessors above read as NULL). */
int db_col(const struct db_result *result, const char *name);
/* The first row's text in the column of that name; NULL for SQL's NULL and where there is no such column or row. */
const char *db_text(const struct db_result *result, const char *name);
const char *db_col_name(const struct db_result *result, int col);

enum db_type {
    DB_TEXT, /* whatever is neither of these */
    DB_NUMBER,
    DB_BOOLEAN, /* values t and f */
};

enum db_type db_col_type(const struct db_result *result, int col);
/* Rows changed by the command. */
int64_t db_affected(const struct db_result *result);
/* What the server said; all texts "" for a result that is no error. */
void db_error(const struct db_result *result, struct db_error *ret_error);
/* Whether the result is an error of this SQLSTATE. */
bool db_is_error(const struct db_result *result, const char *sqlstate);

static inline void db_pool_freep(struct db_pool **pool)
{
    (void)db_pool_free(*pool);
}

static inline void db_pool_givep(struct db_conn **conn)
{
    (void)db_pool_give(*conn);
}

static inline void db_result_freep(struct db_result **result)
{
    (void)db_result_free(*result);
}

#endif
