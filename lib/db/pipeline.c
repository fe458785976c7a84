/*
 * Pipelines: what is queued, what is sent, and the results in their order. libpq is in non-blocking mode, so queued
 * messages leave in one write, and every wait is a poll of ours with a deadline.
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "clock.h"
#include "db_internal.h"

#define GRACE_MS        2000
#define WAIT_DEFAULT_MS 60000
/* libpq never gives the memory of its buffers back: a connection that carried more than this is replaced. */
#define BYTES_KEPT (1024 * 1024)
/* From here on libpq sends by itself before the pipeline's end. */
#define BYTES_UNSENT 8192

/* ---- the results to come ---- */

static struct expect *expects_at(const struct expects *q, size_t i)
{
    return q->ring + ((q->first + i) & (q->cap - 1));
}

static int expects_grow(struct expects *q)
{
    size_t cap = q->cap ? 2 * q->cap : 16;
    struct expect *ring = malloc(cap * sizeof(*ring));

    if (!ring)
        return -ENOMEM;
    for (size_t i = 0; i < q->n; i++)
        ring[i] = *expects_at(q, i);
    free(q->ring);
    *q = (struct expects){ .ring = ring, .n = q->n, .cap = cap };
    return 0;
}

int expects_push(struct expects *q, enum expect_kind kind, uint32_t number)
{
    int r;

    if (q->n == q->cap) {
        r = expects_grow(q);
        if (r < 0)
            return r;
    }
    q->n++;
    *expects_at(q, q->n - 1) = (struct expect){ .kind = (uint8_t)kind, .number = number };
    return 0;
}

static struct expect expects_pop(struct expects *q)
{
    struct expect e = *expects_at(q, 0);

    q->first++;
    q->n--;
    return e;
}

/* A hidden statement failed and its error is shown for the query it was for, whose own result is dropped. */
static void expects_discard_query(struct expects *q)
{
    for (size_t i = 0; i < q->n; i++) {
        struct expect *e = expects_at(q, i);

        if (e->kind == EXPECT_QUERY) {
            e->kind = EXPECT_DISCARD;
            return;
        }
    }
}

/* ---- the socket ---- */

int conn_lost(struct db_conn *conn)
{
    conn->broken = true;
    conn->lost = true;
    return -ECONNRESET;
}

unsigned conn_wait_ms(const struct db_conn *conn)
{
    const struct db_pool_options *o = conn->options;

    if (conn->wait_ms > 0)
        return conn->wait_ms;
    if (o->wait_ms > 0)
        return o->wait_ms;
    return o->statement_timeout_ms > 0 ? o->statement_timeout_ms + GRACE_MS : WAIT_DEFAULT_MS;
}

int conn_timed_out(struct db_conn *conn)
{
    conn->broken = true;
    if (conn->pool) {
        pthread_mutex_lock(&conn->pool->lock);
        conn->pool->stats.timeouts++;
        pthread_mutex_unlock(&conn->pool->lock);
    }
    return -ETIMEDOUT;
}

int conn_poll(struct db_conn *conn, short events, int64_t *deadline)
{
    struct pollfd p = { .fd = PQsocket(conn->pg), .events = events };
    int64_t now = clock_mono_us(), left;
    int n;

    if (p.fd < 0)
        return conn_lost(conn);
    if (*deadline == 0)
        *deadline = now + (int64_t)conn_wait_ms(conn) * 1000;
    do {
        left = (*deadline - now + 999) / 1000;
        if (left <= 0)
            return conn_timed_out(conn);
        n = poll(&p, 1, (int)(left < INT_MAX ? left : INT_MAX));
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return conn_lost(conn);
        now = clock_mono_us();
    } while (true);
}

int conn_receive(struct db_conn *conn)
{
    int64_t deadline = 0;
    int r;

    while (PQisBusy(conn->pg)) {
        if (conn->shared)
            return -EAGAIN;
        r = conn_poll(conn, PQflush(conn->pg) == 1 ? POLLIN | POLLOUT : POLLIN, &deadline);
        if (r < 0)
            return r;
        if (!PQconsumeInput(conn->pg))
            return conn_lost(conn);
    }
    return 0;
}

int conn_flush(struct db_conn *conn)
{
    int64_t deadline = 0;
    int r, left;

    while ((left = PQflush(conn->pg)) == 1) {
        r = conn_poll(conn, POLLIN | POLLOUT, &deadline);
        if (r < 0)
            return r;
        if (!PQconsumeInput(conn->pg))
            return conn_lost(conn);
    }
    return left < 0 ? conn_lost(conn) : 0;
}

/* ---- sending ---- */

size_t values_size(int n, const char *const *values)
{
    size_t size = 0;

    for (int i = 0; i < n; i++)
        size += 4 + (values[i] ? strlen(values[i]) : 0);
    return size;
}

static bool conn_can_send(const struct db_conn *conn)
{
    return !conn->broken && !conn->copying && (conn->pipelined || conn->expects.n == 0);
}

/* Queues a statement: a prepared one by its name, another by its text. */
static int conn_send(struct db_conn *conn, const char *name, const char *sql, int n_params, const char *const *values)
{
    int r, sent;

    r = expects_push(&conn->expects, EXPECT_QUERY, 0);
    if (r < 0)
        return r;
    conn->unsynced++;
    conn->bytes += values_size(n_params, values) + (sql ? strlen(sql) : 0);
    if (!conn->pipelined || conn->bytes >= BYTES_UNSENT / 2)
        conn->touched = true;
    if (conn->bytes > BYTES_KEPT)
        conn->retire = true;
    if (sql)
        sent = PQsendQueryParams(conn->pg, sql, n_params, NULL, values, NULL, NULL, 0);
    else
        sent = PQsendQueryPrepared(conn->pg, name, n_params, values, NULL, NULL, 0);
    return sent ? 0 : conn_lost(conn);
}

int db_send(struct db_conn *conn, unsigned query, const char *const *values)
{
    const struct db_query *q;

    if (!conn_can_send(conn) || query >= conn->options->n_queries)
        return -EINVAL;
    q = conn->options->queries + query;
    return conn_send(conn, q->name, NULL, q->n_params, values);
}

int db_send_sql(struct db_conn *conn, const char *sql, int n_params, const char *const *values)
{
    if (!conn_can_send(conn))
        return -EINVAL;
    return conn_send(conn, NULL, sql, n_params, values);
}

int db_send_shape(struct db_conn *conn, const char *sql, int n_params, const char *const *values)
{
    char name[32] = "";
    int r;

    if (!conn_can_send(conn))
        return -EINVAL;
    if (conn->pipelined) {
        r = shape_prepare(conn, sql, n_params, name);
        if (r < 0)
            return r;
    }
    return conn_send(conn, name, name[0] ? NULL : sql, n_params, values);
}

int db_sync(struct db_conn *conn)
{
    int r;

    if (conn->broken || !conn->pipelined)
        return -EINVAL;
    r = expects_push(&conn->expects, EXPECT_SYNC, 0);
    if (r < 0)
        return r;
    conn->touched = true;
    conn->unsynced = 0;
    conn->syncs++;
    return PQpipelineSync(conn->pg) ? 0 : conn_lost(conn);
}

int db_flush_request(struct db_conn *conn)
{
    if (conn->broken || !conn->pipelined)
        return -EINVAL;
    conn->touched = true;
    if (!PQsendFlushRequest(conn->pg) || PQflush(conn->pg) < 0)
        return conn_lost(conn);
    return 0;
}

/* ---- reading ---- */

void conn_look_at_error(struct db_conn *conn, const PGresult *result)
{
    const char *severity = result_field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = result_field(result, PG_DIAG_SQLSTATE);

    /* libpq's own errors have no SQLSTATE: the connection is gone. */
    if (sqlstate[0] == '\0' || PQstatus(conn->pg) != CONNECTION_OK || strcmp(severity, "FATAL") == 0 ||
        strcmp(severity, "PANIC") == 0) {
        /* Messages keep their order: when the end of the session stands where the first answer should, nothing that
         * came after was run. */
        if (sqlstate[0] != '\0' && !conn->answered)
            conn->undone = true;
        (void)conn_lost(conn);
        return;
    }
    /* A plan that outlived a migration, statements that are gone, a server that became a standby. */
    if (strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "25006") == 0)
        conn->retire = true;
}

/* Takes the NULL that ends a query's results; in a pipeline it is there already, otherwise it comes with the server's
 * readiness. */
static int conn_end_query(struct db_conn *conn)
{
    PGresult *rest;
    int r;

    conn->streaming = false;
    do {
        if (!conn->pipelined) {
            r = conn_receive(conn);
            if (r < 0)
                return r;
        }
        rest = PQgetResult(conn->pg);
        PQclear(rest);
    } while (rest);
    return 0;
}

static int conn_start_stream(struct db_conn *conn)
{
    if (conn->streaming || expects_at(&conn->expects, 0)->kind != EXPECT_QUERY)
        return 0;
    if (!PQsetSingleRowMode(conn->pg))
        return -EINVAL;
    conn->streaming = true;
    return 0;
}

/* Takes a finished result from the queue: 1 when the caller is to see it, 0 when it was a hidden one. */
static int conn_settle(struct db_conn *conn, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    bool failed = status != PGRES_PIPELINE_ABORTED && db_kind((const struct db_result *)result) == DB_ERROR;
    struct expect e;
    int r;

    if (failed)
        conn_look_at_error(conn, result);
    if (conn->broken)
        return -ECONNRESET;
    conn->answered = true;
    r = conn_end_query(conn);
    if (r < 0)
        return r;
    /* The commit itself failed; the sync point is still to come. */
    if (expects_at(&conn->expects, 0)->kind == EXPECT_SYNC)
        return 1;
    e = expects_pop(&conn->expects);
    if (e.kind == EXPECT_QUERY)
        return 1;
    if (e.kind == EXPECT_DISCARD)
        return 0;
    shape_answered(conn, e, status);
    if (!failed)
        return 0;
    expects_discard_query(&conn->expects);
    return 1;
}

int conn_next(struct db_conn *conn, bool stream, PGresult **ret_result)
{
    PGresult *result;
    int r;

    while (conn->expects.n > 0) {
        if (stream) {
            r = conn_start_stream(conn);
            if (r < 0)
                return r;
        }
        r = conn_receive(conn);
        if (r < 0)
            return r;
        result = PQgetResult(conn->pg);
        if (!result)
            return conn_lost(conn);
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            (void)expects_pop(&conn->expects);
            return 0;
        }
        r = PQresultStatus(result) == PGRES_SINGLE_TUPLE ? 1 : conn_settle(conn, result);
        if (r > 0) {
            *ret_result = result;
            return 1;
        }
        PQclear(result);
        if (r < 0)
            return r;
    }
    return 0;
}

int db_next(struct db_conn *conn, struct db_result **ret_result)
{
    PGresult *result;
    int r;

    if (conn->broken)
        return -ECONNRESET;
    r = conn_next(conn, false, &result);
    if (r <= 0)
        return r;
    if (PQresultMemorySize(result) > BYTES_KEPT)
        conn->retire = true;
    *ret_result = (struct db_result *)result;
    return 1;
}

int db_stream_next(struct db_conn *conn, struct db_result **ret_result)
{
    PGresult *result;
    int r;

    if (conn->broken)
        return -ECONNRESET;
    r = conn_next(conn, true, &result);
    if (r <= 0)
        return r;
    *ret_result = (struct db_result *)result;
    return 1;
}

int db_drain(struct db_conn *conn, struct db_result **ret_error)
{
    _cleanup_(db_result_freep) struct db_result *error = NULL;

    if (conn->broken)
        return -ECONNRESET;
    if (conn->pipelined && conn->unsynced > 0)
        return -EINVAL;
    while (conn->expects.n > 0) {
        _cleanup_(db_result_freep) struct db_result *result = NULL;
        int r = db_next(conn, &result);

        if (r < 0)
            return r;
        if (r > 0 && !error && db_kind(result) == DB_ERROR)
            error = TAKE_PTR(result);
    }
    if (!error)
        return 0;
    if (ret_error)
        *ret_error = TAKE_PTR(error);
    return -EBADMSG;
}

void db_set_wait(struct db_conn *conn, unsigned wait_ms)
{
    conn->wait_ms = wait_ms;
}

bool db_retryable(const struct db_conn *conn)
{
    return conn->broken && (!conn->touched || conn->undone);
}
