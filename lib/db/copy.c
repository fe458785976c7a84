/* COPY and the simple protocol: what pipeline mode cannot do. */

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "db_internal.h"

/* How much of a COPY may wait in libpq's buffer. */
#define COPY_BACKLOG 65536

int db_pipeline_off(struct db_conn *conn)
{
    if (conn->broken || conn->expects.n > 0 || !PQexitPipelineMode(conn->pg))
        return -EINVAL;
    conn->pipelined = false;
    return 0;
}

int db_pipeline_on(struct db_conn *conn)
{
    if (conn->broken || conn->copying || conn->expects.n > 0 || !PQenterPipelineMode(conn->pg))
        return -EINVAL;
    conn->pipelined = true;
    return 0;
}

/* Reads to the end of the command or to the start of a COPY: 0 with the last result, or the first error. */
static int read_results(struct db_conn *conn, PGresult **ret_result)
{
    PGresult *kept = NULL, *result;
    int r;

    for (;;) {
        r = conn_receive(conn);
        if (r < 0) {
            PQclear(kept);
            return r;
        }
        result = PQgetResult(conn->pg);
        if (!result)
            break;
        if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(result);
            continue;
        }
        PQclear(kept);
        kept = result;
        if (PQresultStatus(kept) == PGRES_FATAL_ERROR)
            conn_look_at_error(conn, kept);
        if (PQresultStatus(kept) == PGRES_COPY_IN || PQresultStatus(kept) == PGRES_COPY_OUT)
            break;
    }
    if (conn->broken || !kept) {
        PQclear(kept);
        return conn_lost(conn);
    }
    conn->answered = true;
    *ret_result = kept;
    return 0;
}

static int run(struct db_conn *conn, const char *sql, PGresult **ret_result)
{
    if (conn->broken || conn->pipelined || conn->copying || conn->expects.n > 0)
        return -EINVAL;
    conn->touched = true;
    if (!PQsendQuery(conn->pg, sql))
        return conn_lost(conn);
    return read_results(conn, ret_result);
}

/* Hands a result out, or frees it: 0, or -EBADMSG if it is an error. */
static int hand_out(PGresult *result, struct db_result **ret_result)
{
    int r = db_kind((struct db_result *)result) == DB_ERROR ? -EBADMSG : 0;

    if (ret_result)
        *ret_result = (struct db_result *)result;
    else
        PQclear(result);
    return r;
}

int db_exec(struct db_conn *conn, const char *sql, struct db_result **ret_result)
{
    PGresult *result = NULL;
    int r;

    r = run(conn, sql, &result);
    if (r < 0)
        return r;
    if (PQresultStatus(result) == PGRES_COPY_IN || PQresultStatus(result) == PGRES_COPY_OUT) {
        PQclear(result);
        conn->broken = true;
        return -EINVAL;
    }
    return hand_out(result, ret_result);
}

int db_copy_begin(struct db_conn *conn, const char *sql, struct db_result **ret_error)
{
    PGresult *result = NULL;
    int r;

    r = run(conn, sql, &result);
    if (r < 0)
        return r;
    if (PQresultStatus(result) == PGRES_COPY_IN) {
        PQclear(result);
        conn->copying = true;
        conn->copied = 0;
        return 0;
    }
    if (db_kind((struct db_result *)result) == DB_ERROR)
        return hand_out(result, ret_error);
    PQclear(result);
    conn->broken = true;
    return -EINVAL;
}

int db_copy_put(struct db_conn *conn, const char *p, size_t n)
{
    size_t part;

    if (conn->broken || !conn->copying)
        return -EINVAL;
    for (; n > 0; p += part, n -= part) {
        part = n < COPY_BACKLOG ? n : COPY_BACKLOG;
        if (PQputCopyData(conn->pg, p, (int)part) != 1)
            return conn_lost(conn);
        conn->copied += part;
        if (conn->copied >= COPY_BACKLOG) {
            int r = conn_flush(conn);

            if (r < 0)
                return r;
            conn->copied = 0;
        }
    }
    return 0;
}

int db_copy_end(struct db_conn *conn, const char *abort_reason, int64_t *ret_rows, struct db_result **ret_error)
{
    PGresult *result = NULL;
    int r;

    if (conn->broken || !conn->copying)
        return -EINVAL;
    conn->copying = false;
    if (PQputCopyEnd(conn->pg, abort_reason) != 1)
        return conn_lost(conn);
    r = conn_flush(conn);
    if (r < 0)
        return r;
    r = read_results(conn, &result);
    if (r < 0)
        return r;
    if (db_kind((struct db_result *)result) == DB_ERROR)
        return hand_out(result, ret_error);
    if (ret_rows)
        *ret_rows = db_affected((struct db_result *)result);
    PQclear(result);
    return 0;
}
