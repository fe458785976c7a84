#include "import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csv_form.h"
#include "idempotency.h"
#include "lane.h"
#include "log.h"
#include "routes.h"
#include "service.h"
#include "trouble.h"

#define COPY_PIECE         ((size_t)256 << 10)
#define RUN_PARAMETERS_MAX 8

struct import {
    struct exchange *x;
    const struct import_kind *kind;
    struct db_conn *conn;
    struct db_result *error;  /* what the database refused with */
    struct db_result *answer; /* the row of kind->run */
    const char *fingerprint;
    bool dry_run;
};

static const struct schema *row_schema(const struct operation *op)
{
    for (size_t i = 0; i < op->n_accepts; i++)
        if (op->accepts[i].kind == MEDIA_JSON)
            return op->accepts[i].schema->items;
    return NULL;
}

static bool param_is(const struct exchange *x, const char *name, const char *value)
{
    const char *given = exchange_param(x, name);

    return given != NULL && strcmp(given, value) == 0;
}

static int read_options(struct exchange *x, const struct import_kind *kind, struct import_options *ret)
{
    size_t most = (size_t)x->service->config->max_import_rows;
    const char *dates = exchange_param(x, "date_format");
    struct csv_form form = csv_form_of(x);

    *ret = (struct import_options){
        .kind = kind,
        .row = row_schema(x->op),
        .delimiter = form.delimiter,
        .decimal = form.decimal,
        .max_rows = kind->max_rows < most ? kind->max_rows : most,
    };
    if (ret->row == NULL || (dates != NULL && csv_date_format_parse(dates, &ret->dates) < 0))
        return -EINVAL;
    return 0;
}

static int take_all(struct import *im, size_t n, struct db_result **results)
{
    int r = 0, s;

    for (size_t i = 0; i < n && (r == 0 || r == -EBADMSG); i++) {
        s = db_take(im->conn, &results[i], &im->error);
        if (r == 0)
            r = s;
    }
    if (r < 0 && r != -EBADMSG)
        return r;
    s = db_drain(im->conn, im->error == NULL ? &im->error : NULL);
    return r < 0 ? r : s;
}

static void free_all(struct db_result **results, size_t n)
{
    for (size_t i = 0; i < n; i++)
        db_result_free(results[i]);
}

/* BEGIN, enter, claim the key, make the table: one round trip. 1 when a stored answer was replayed. */
static int open_import(struct import *im)
{
    struct exchange *x = im->x;
    const char *key = x->params[x->op->idempotency_key];
    const char *claim[] = { key, im->fingerprint, NULL };
    struct db_result *results[4] = { NULL };
    int r;

    claim[2] = arena_printf(x->arena, "%lld", (long long)x->service->config->idempotency_hours);
    r = db_send_sql(im->conn, "BEGIN", 0, NULL);
    if (r == 0)
        r = lane_enter(x, im->conn);
    if (r == 0)
        r = db_send(im->conn, query_idempotency_claim.index, claim);
    if (r == 0)
        r = db_send(im->conn, im->kind->begin->index, NULL);
    if (r == 0)
        r = db_sync(im->conn);
    if (r == 0)
        r = take_all(im, ARRAY_SIZE(results), results);
    if (r == 0 && db_rows(results[2]) > 0)
        r = idempotency_replay(x, TAKE_PTR(results[2]));
    free_all(results, ARRAY_SIZE(results));
    return r;
}

static int copy_rows(struct import *im, const struct buf *rows)
{
    int r;

    r = db_pipeline_off(im->conn);
    if (r == 0)
        r = db_copy_begin(im->conn, im->kind->copy, &im->error);
    for (size_t at = 0; r == 0 && at < rows->n; at += COPY_PIECE) {
        size_t left = rows->n - at;

        r = db_copy_put(im->conn, rows->p + at, left < COPY_PIECE ? left : COPY_PIECE);
    }
    if (r == 0)
        r = db_copy_end(im->conn, NULL, NULL, &im->error);
    if (r == 0 || r == -EBADMSG) {
        int s = db_pipeline_on(im->conn);

        r = r < 0 ? r : s;
    }
    return r;
}

/* The value of a parameter of the query that takes the rows in. */
static const char *run_value(const struct import *im, const char *name)
{
    if (strcmp(name, "request_id") == 0)
        return im->x->trace_id;
    return strcmp(name, "extra") == 0 ? im->kind->extra : exchange_param(im->x, name);
}

static int run_rows(struct import *im)
{
    const struct named_query *run = im->kind->run;
    const char *values[RUN_PARAMETERS_MAX] = { NULL };
    int r;

    if (run->n_params > ARRAY_SIZE(values))
        return -E2BIG;
    for (size_t i = 0; i < run->n_params; i++)
        values[i] = run_value(im, im->kind->parameters[i]);
    r = db_send(im->conn, run->index, values);
    if (r == 0)
        r = db_sync(im->conn);
    return r < 0 ? r : take_all(im, 1, &im->answer);
}

/* Keeps the answer under its key and commits, or rolls back. */
static int close_import(struct import *im, const char *status)
{
    struct exchange *x = im->x;
    const char *store[] = { x->params[x->op->idempotency_key], im->fingerprint,
        x->secret_answer ? IDEMPOTENCY_NOT_KEPT : status, NULL, NULL,
        x->secret_answer ? NULL : db_value(im->answer, 0, 1) };
    bool keep = status[0] == '2' && !im->dry_run;
    struct db_result *results[2] = { NULL };
    int r = 0;

    if (keep)
        r = db_send(im->conn, query_idempotency_store.index, store);
    if (r == 0)
        r = db_send_sql(im->conn, keep ? "COMMIT" : "ROLLBACK", 0, NULL);
    if (r == 0)
        r = db_sync(im->conn);
    if (r == 0)
        r = take_all(im, keep ? 2 : 1, results);
    free_all(results, ARRAY_SIZE(results));
    return r;
}

/* The problem of an import refused: its members, then those of the database's own account. */
static int refuse(struct import *im, const char *status)
{
    struct exchange *x = im->x;
    const char *account = db_value(im->answer, 0, 1);
    const struct problem problem = {
        .code = P_IMPORT_REFUSED, .language = x->language, .instance = x->path, .trace_id = x->trace_id
    };
    _cleanup_(buf_free) struct buf b = { 0 };

    buf_init(&b, SIZE_MAX / 2);
    problem_open(&b, &problem);
    buf_addc(&b, ',');
    buf_adds(&b, account + 1);
    x->reply.status = (unsigned)strtoul(status, NULL, 10);
    x->reply.type = "application/problem+json";
    x->reply.body = (struct str){ arena_strndup(x->arena, buf_cstr(&b), b.n), b.n };
    return b.failed || x->reply.body.p == NULL ? -ENOMEM : 0;
}

static int answer(struct import *im)
{
    const char *status = db_value(im->answer, 0, 0);
    int r;

    r = close_import(im, status);
    if (r < 0)
        return r;
    if (status[0] != '2')
        return refuse(im, status);
    im->x->reply.status = 200;
    im->x->reply.type = "application/json";
    im->x->reply.body = (struct str){ db_value(im->answer, 0, 1), db_len(im->answer, 0, 1) };
    im->x->reply.result = TAKE_PTR(im->answer);
    return 0;
}

/* Nothing of it remains, the claim on the key neither; without that the pool would have to replace the connection. */
static void roll_back(struct import *im)
{
    int r;

    r = db_send_sql(im->conn, "ROLLBACK", 0, NULL);
    if (r == 0)
        r = db_sync(im->conn);
    if (r == 0)
        r = db_drain(im->conn, NULL);
    if (r < 0)
        log_debug("import_rollback", "trace_id=%s error=%d", im->x->trace_id, r);
}

static int import(struct import *im, struct buf *rows)
{
    int r;

    r = db_pool_take(lane_pool(im->x), (unsigned)im->x->service->config->pool_wait_ms, &im->conn);
    if (r == 0)
        r = open_import(im);
    if (r == 0)
        r = copy_rows(im, rows);
    buf_free(rows); /* the database has them now */
    if (r == 0)
        r = run_rows(im);
    if (r == 0)
        r = answer(im);
    /* After any other failure the connection is of no use: the pool closes it. */
    if (r == 1 || r == -EBADMSG)
        roll_back(im);
    return r < 0 ? r : 0;
}

int import_run(struct exchange *x, const struct import_kind *kind)
{
    struct import im = { .x = x, .kind = kind, .dry_run = param_is(x, "dry_run", "true") };
    struct import_options options;
    _cleanup_(buf_free) struct buf rows;
    size_t n = 0;
    int r;

    buf_init(&rows, (size_t)x->service->config->max_inflated_bytes * 4);
    r = read_options(x, kind, &options);
    if (r == 0)
        r = import_read(x, &options, &rows, &n);
    if (r == 0) {
        im.fingerprint = idempotency_fingerprint(x);
        r = im.fingerprint == NULL ? -ENOMEM : import(&im, &rows);
        db_pool_give(im.conn);
        if (r < 0) {
            if (r == -EBADMSG && im.error != NULL)
                trouble_answer(x, kind->run->name, im.error);
            else
                trouble_errno(x, r);
        }
    }
    if (x->reply.body.n > 0 && x->language != LANGUAGE_EN)
        x->reply.body = sentences_in_json(x->arena, x->language, x->reply.body);
    db_result_free(im.error);
    db_result_free(im.answer);
    return r < 0 && x->reply.status == 0 ? r : 0;
}
