/* One request's statements: [enter, query, Sync] sent together, their results read together. */
#include "lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "etag.h"
#include "idempotency.h"
#include "routes.h"
#include "service.h"
#include "trouble.h"

#define ATTEMPTS 2

struct db_pool *lane_pool(const struct exchange *x)
{
    return x->lane == LANE_LONG ? x->service->slow : x->service->quick;
}

static const char *source_value(struct exchange *x, const struct source *source)
{
    const struct operation *op = x->op;
    const char *value;

    switch (source->kind) {
    case FROM_PARAMETER:
        value = x->params[source->index];
        return value != NULL && op->parameters[source->index].list ? parameter_array(x->arena, value) : value;
    case FROM_BODY: return x->json.text.p;
    case FROM_NEW_ID: return exchange_new_id(x);
    case FROM_IF_MATCH: return etag_versions(x->arena, exchange_header(x, "If-Match"));
    case FROM_IF_NONE_MATCH: return etag_versions(x->arena, exchange_header(x, "If-None-Match"));
    case FROM_REQUEST_ID: return x->trace_id;
    case FROM_LANGUAGE: return x->language == LANGUAGE_VI ? "vi" : "en";
    }
    return NULL;
}

const char **lane_values(struct exchange *x)
{
    size_t n = x->op->query->n_params;
    const char **values;

    values = arena_array(x->arena, n + 1, sizeof(*values));
    if (values == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        values[i] = source_value(x, &x->op->sources[i]);
    return arena_failed(x->arena) ? NULL : values;
}

int lane_enter(struct exchange *x, struct db_conn *conn)
{
    const char *const values[] = { x->identity->grant, x->identity->session, x->identity->kid, x->op->permission };

    return db_send(conn, query_enter.index, values);
}

int lane_send(struct db_conn *conn, const struct statement *statement)
{
    if (statement->query != NULL)
        return db_send(conn, statement->query->index, statement->values);
    return db_send_shape(conn, statement->sql, (int)statement->n_values, statement->values);
}

static int read_results(
    struct exchange *x, struct db_conn *conn, size_t n, struct db_result **results, struct db_result **ret_error)
{
    int r = 0;

    if (x->identity != NULL) {
        _cleanup_(db_result_freep) struct db_result *entered = NULL;

        r = db_take(conn, &entered, ret_error);
    }
    for (size_t i = 0; i < n && r == 0; i++)
        r = db_take(conn, &results[i], ret_error);
    return r < 0 ? db_give_up(conn, r) : db_drain(conn, ret_error);
}

static int run_pipeline(struct exchange *x, struct db_conn *conn, const struct statement *statements, size_t n,
    struct db_result **results, struct db_result **ret_error)
{
    int r = 0;

    if (x->identity != NULL)
        r = lane_enter(x, conn);
    if (r == 0 && statements[0].query != NULL && idempotency_applies(x))
        return idempotency_run(x, conn, statements[0].query, statements[0].values, &results[0], ret_error);
    for (size_t i = 0; i < n && r == 0; i++)
        r = lane_send(conn, &statements[i]);
    if (r == 0)
        r = db_sync(conn);
    return r < 0 ? r : read_results(x, conn, n, results, ret_error);
}

/* A read, or a write that the database cannot have kept. */
static bool may_retry(const struct exchange *x, const struct db_conn *conn, int r, const struct db_result *error)
{
    if (r == -EBADMSG)
        return error != NULL && trouble_transient(error);
    return r == -ECONNRESET && (x->op->method == METHOD_GET || db_retryable(conn));
}

/* Short reads share connections; whatever else takes one for itself. */
static bool may_share(const struct exchange *x, size_t n)
{
    return x->op->method == METHOD_GET && x->lane == LANE_QUICK && n < DB_CALL_MAX;
}

static int share_once(struct exchange *x, const struct statement *statements, size_t n, struct db_result **results,
    struct db_result **ret_error, bool *ret_again)
{
    const char *const entering[] = { x->identity != NULL ? x->identity->grant : NULL,
        x->identity != NULL ? x->identity->session : NULL, x->identity != NULL ? x->identity->kid : NULL,
        x->op->permission };
    struct db_statement call[DB_CALL_MAX] = { { .query = query_enter.index, .values = entering } };
    struct db_result *all[DB_CALL_MAX] = { NULL };
    size_t first = x->identity != NULL ? 1 : 0;
    int r;

    for (size_t i = 0; i < n; i++)
        call[first + i] = (struct db_statement){
            .sql = statements[i].query == NULL ? statements[i].sql : NULL,
            .query = statements[i].query != NULL ? statements[i].query->index : 0,
            .n_params = (int)statements[i].n_values,
            .values = statements[i].values,
        };
    r = db_pool_call(lane_pool(x), (unsigned)x->service->config->pool_wait_ms, call, first + n, all);
    for (size_t i = 0; r == 0 && i < first + n; i++)
        if (db_kind(all[i]) == DB_ERROR) {
            *ret_error = TAKE_PTR(all[i]);
            r = -EBADMSG;
        }
    for (size_t i = 0; i < n && r == 0; i++)
        results[i] = TAKE_PTR(all[first + i]);
    for (size_t i = 0; i < first + n; i++)
        db_result_free(all[i]);
    *ret_again = r == -ECONNRESET || (r == -EBADMSG && *ret_error != NULL && trouble_transient(*ret_error));
    return r;
}

/* A place for a write in the quick lane. 0, or -EAGAIN after the wait for a connection. */
static int writer_enter(struct exchange *x)
{
    int64_t wait_ms = x->service->config->pool_wait_ms;
    struct timespec until;

    if (sem_trywait(&x->service->writers) == 0)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000 + (until.tv_nsec + wait_ms % 1000 * 1000000) / 1000000000;
    until.tv_nsec = (until.tv_nsec + wait_ms % 1000 * 1000000) % 1000000000;
    while (sem_clockwait(&x->service->writers, CLOCK_MONOTONIC, &until) < 0)
        if (errno != EINTR)
            return -EAGAIN;
    return 0;
}

/* One lease. *ret_again says whether the same is worth another try. */
static int lease_once(struct exchange *x, const struct statement *statements, size_t n, struct db_result **results,
    struct db_result **ret_error, bool *ret_again)
{
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    int r;

    r = db_pool_take(lane_pool(x), (unsigned)x->service->config->pool_wait_ms, &conn);
    if (r < 0)
        return r;
    r = run_pipeline(x, conn, statements, n, results, ret_error);
    if (r < 0)
        *ret_again = may_retry(x, conn, r, *ret_error);
    return r;
}

static int run_once(struct exchange *x, const struct statement *statements, size_t n, struct db_result **results,
    struct db_result **ret_error, bool *ret_again)
{
    int r;

    if (may_share(x, n))
        return share_once(x, statements, n, results, ret_error, ret_again);
    if (x->lane != LANE_QUICK)
        return lease_once(x, statements, n, results, ret_error, ret_again);
    r = writer_enter(x);
    if (r < 0)
        return r;
    r = lease_once(x, statements, n, results, ret_error, ret_again);
    sem_post(&x->service->writers);
    return r;
}

int lane_run(struct exchange *x, const struct statement *statements, size_t n, struct db_result **ret_results)
{
    for (unsigned attempt = 1;; attempt++) {
        _cleanup_(db_result_freep) struct db_result *error = NULL;
        struct db_result *results[LANE_STATEMENTS_MAX] = { NULL };
        bool again = false;
        int r;

        r = run_once(x, statements, n, results, &error, &again);
        if (r == 0) {
            for (size_t i = 0; i < n; i++)
                ret_results[i] = results[i];
            return 0;
        }
        for (size_t i = 0; i < n; i++)
            db_result_free(results[i]);
        if (r > 0)
            return r;
        if (again && attempt < ATTEMPTS)
            continue;
        if (r == -EBADMSG && error != NULL)
            trouble_answer(x, statements[0].query != NULL ? statements[0].query->name : x->op->id, error);
        else
            trouble_errno(x, r);
        return 1;
    }
}

int query_fetch(
    struct exchange *x, const struct named_query *query, const char *const *values, struct db_result **ret_rows)
{
    struct statement statement = { .query = query, .values = values };

    if (values == NULL)
        statement.values = lane_values(x);
    if (statement.values == NULL)
        return -ENOMEM;
    return lane_run(x, &statement, 1, ret_rows);
}
