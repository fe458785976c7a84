/* Opening a connection: log in, enter pipeline mode, make the settings and prepare every named query in one go. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "db_internal.h"

#define CONNECT_TIMEOUT_S   3
#define TCP_USER_TIMEOUT_MS 10000
/* Where queries may run longer than this, the server looks whether its client is still there: a cancellation that comes
 * before its query does is lost. */
#define UNWATCHED_MS 5000
#define WATCH        "2s"
/* For settings and preparation, on a machine however busy. */
#define SETUP_WAIT_MS 15000

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static PGconn *login(const struct db_pool_options *o)
{
    char connect_timeout[16], tcp_user_timeout[16];
    const char *names[8], *values[8];
    int n = 0;

    (void)snprintf(connect_timeout, sizeof(connect_timeout), "%u",
        o->connect_timeout_s ? o->connect_timeout_s : CONNECT_TIMEOUT_S);
    (void)snprintf(tcp_user_timeout, sizeof(tcp_user_timeout), "%u",
        o->tcp_user_timeout_ms ? o->tcp_user_timeout_ms : TCP_USER_TIMEOUT_MS);

#define PARAMETER(name, value) (names[n] = (name), values[n++] = (value))
    /* Later ones win: the connection string over these, these over nothing. */
    PARAMETER("application_name", o->name);
    PARAMETER("connect_timeout", connect_timeout);
    PARAMETER("tcp_user_timeout", tcp_user_timeout);
    PARAMETER("dbname", o->conninfo ? o->conninfo : "");
    PARAMETER("client_encoding", "UTF8");
    if (o->target_session_attrs)
        PARAMETER("target_session_attrs", o->target_session_attrs);
#undef PARAMETER
    names[n] = NULL;
    values[n] = NULL;
    return PQconnectdbParams(names, values, 1);
}

static int send_setting(struct db_conn *conn, const char *name, const char *value)
{
    return db_send_sql(conn, "SELECT pg_catalog.set_config($1, $2, false)", 2, (const char *const[]){ name, value });
}

/* The statement timeout comes last, or it would bound the preparation too. */
static int setup_send(struct db_conn *conn)
{
    const struct db_pool_options *o = conn->options;
    char timeout[16];
    int r;

    for (size_t i = 0; i < o->n_settings; i++) {
        r = send_setting(conn, o->settings[i].name, o->settings[i].value);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < o->n_queries; i++) {
        r = expects_push(&conn->expects, EXPECT_QUERY, 0);
        if (r < 0)
            return r;
        if (!PQsendPrepare(conn->pg, o->queries[i].name, o->queries[i].sql, 0, NULL))
            return conn_lost(conn);
    }
    if (o->statement_timeout_ms == 0 || o->statement_timeout_ms > UNWATCHED_MS) {
        r = send_setting(conn, "client_connection_check_interval", WATCH);
        if (r < 0)
            return r;
    }
    (void)snprintf(timeout, sizeof(timeout), "%u", o->statement_timeout_ms);
    r = send_setting(conn, "statement_timeout", timeout);
    if (r < 0)
        return r;
    return db_sync(conn);
}

/* What the i-th statement of the setup was about. */
static const char *setup_name(const struct db_pool_options *o, size_t i)
{
    if (i < o->n_settings)
        return o->settings[i].name;
    i -= o->n_settings;
    return i < o->n_queries ? o->queries[i].name : "settings of time";
}

static int setup_read(struct db_conn *conn, char *error, size_t error_size)
{
    for (size_t i = 0;; i++) {
        _cleanup_(db_result_freep) struct db_result *result = NULL;
        struct db_error e;
        int r = db_next(conn, &result);

        if (r <= 0)
            return r;
        if (db_kind(result) == DB_ERROR) {
            db_error(result, &e);
            (void)snprintf(error, error_size, "%s: %s (%s)", setup_name(conn->options, i), e.message, e.sqlstate);
            return -ENOTCONN;
        }
    }
}

static int setup(struct db_conn *conn, char *error, size_t error_size)
{
    int r;

    (void)PQsetNoticeReceiver(conn->pg, ignore_notice, NULL);
    if (PQsetnonblocking(conn->pg, 1) != 0 || !PQenterPipelineMode(conn->pg))
        return -ENOTCONN;
    conn->pipelined = true;
    db_set_wait(conn, SETUP_WAIT_MS);
    r = setup_send(conn);
    if (r < 0)
        return r;
    r = setup_read(conn, error, error_size);
    if (r < 0)
        return r;
    /* Not what the preparation took. */
    conn_lease(conn);
    conn->retire = false;
    return 0;
}

int conn_new(const struct db_pool_options *options, char *error, size_t error_size, struct db_conn **ret_conn)
{
    struct db_conn *conn = calloc(1, sizeof(*conn) + sizeof(*options));
    struct db_pool_options *kept;
    int r;

    if (!conn)
        return -ENOMEM;
    /* A copy: the caller's may be gone before the connection is. What it points to stays the caller's. */
    kept = (struct db_pool_options *)(conn + 1);
    *kept = *options;
    conn->options = kept;
    conn->pg = login(options);
    if (!conn->pg) {
        conn_close(conn);
        return -ENOMEM;
    }
    if (error_size > 0)
        error[0] = '\0';
    r = PQstatus(conn->pg) == CONNECTION_OK ? setup(conn, error, error_size) : -ENOTCONN;
    if (r < 0) {
        if (error_size > 0 && error[0] == '\0')
            (void)snprintf(error, error_size, "%s", r == -ETIMEDOUT ? "timeout" : PQerrorMessage(conn->pg));
        conn_close(conn);
        return r == -ENOMEM ? r : -ENOTCONN;
    }
    *ret_conn = conn;
    return 0;
}

int db_open(const struct db_pool_options *options, char *error, size_t error_size, struct db_conn **ret_conn)
{
    return conn_new(options, error, error ? error_size : 0, ret_conn);
}

void conn_close(struct db_conn *conn)
{
    PGcancel *cancel;
    char reason[256];

    if (conn->pg && conn->touched && PQstatus(conn->pg) == CONNECTION_OK &&
        PQtransactionStatus(conn->pg) == PQTRANS_ACTIVE) {
        cancel = PQgetCancel(conn->pg);
        if (cancel)
            (void)PQcancel(cancel, reason, sizeof(reason));
        PQfreeCancel(cancel);
    }
    PQfinish(conn->pg);
    shapes_free(&conn->shapes);
    free(conn->expects.ring);
    free(conn);
}

bool conn_is_clean(const struct db_conn *conn)
{
    return !conn->broken && !conn->retire && conn->pipelined && conn->expects.n == 0 && conn->unsynced == 0 &&
        PQstatus(conn->pg) == CONNECTION_OK && PQpipelineStatus(conn->pg) == PQ_PIPELINE_ON &&
        PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
}

bool conn_is_alive(const struct db_conn *conn)
{
    struct pollfd p = { .fd = PQsocket(conn->pg), .events = POLLIN | POLLRDHUP };

    /* An idle server says nothing but good-bye. */
    return p.fd >= 0 && poll(&p, 1, 0) == 0;
}

void conn_lease(struct db_conn *conn)
{
    conn->wait_ms = 0;
    conn->bytes = 0;
    conn->touched = false;
    conn->answered = false;
    conn->undone = false;
}
