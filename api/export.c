/* Collections as CSV or NDJSON: streamed row by row from one statement, so from one snapshot. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "csv_form.h"
#include "lane.h"
#include "listing.h"
#include "log.h"
#include "service.h"
#include "share.h"
#include "trouble.h"

#define SQL_MAX     (64U * 1024U)
#define NUMBER_ROOM 400           /* the longest text of a double precision number fits */
#define PIECE_BYTES (24U * 1024U) /* a piece is sent once it has grown to this */

/* Outlives its exchange: freed when the last byte is sent or the caller has gone. */
struct export
{
    struct db_conn *conn;
    struct db_result *row; /* read ahead, to answer an early error as a problem */
    bool csv, begun, ended;
    const struct list_query *list;
    struct csv_form form;
    struct share *share;         /* NULL: nothing of it held */
    char caller[TOKEN_ID_CHARS]; /* who holds it */
    char trace_id[TRACE_ID_TEXT];
};

/* Before the last byte is sent, so that whoever has read one export to its end may ask for the next. */
static void give_back(struct export *e)
{
    e->conn = db_pool_give(e->conn);
    if (e->share != NULL)
        share_give(e->share, e->caller);
    e->share = NULL;
}

static void export_done(void *userdata)
{
    struct export *e = userdata;

    db_result_free(e->row);
    give_back(e);
    free(e);
}

static void write_head(const struct export *e, struct buf *out)
{
    struct csv_writer w;

    csv_writer_init(&w, out, e->form.delimiter);
    csv_write_bom(&w);
    for (int i = 0; i < db_cols(e->row); i++)
        csv_write_cstr(&w, db_col_name(e->row, i));
    csv_end(&w);
}

/* Numbers with the decimal mark that was asked for; the database's own text has a point. */
static void write_number(const struct export *e, struct csv_writer *w, const char *text, size_t n)
{
    char number[NUMBER_ROOM];
    char *point;

    if (e->form.decimal == '.' || n >= sizeof(number)) {
        csv_write(w, text, n);
        return;
    }
    memcpy(number, text, n + 1);
    point = strchr(number, '.');
    if (point != NULL)
        *point = e->form.decimal;
    csv_write(w, number, n);
}

static void write_cell(const struct export *e, struct csv_writer *w, const struct db_result *row, int col)
{
    const char *text = db_value(row, 0, col);

    if (db_is_null(row, 0, col)) {
        csv_write(w, NULL, 0);
        return;
    }
    switch (db_col_type(row, col)) {
    case DB_NUMBER: write_number(e, w, text, db_len(row, 0, col)); break;
    case DB_BOOLEAN: csv_write_cstr(w, text[0] == 't' ? "true" : "false"); break;
    case DB_TEXT: csv_write(w, text, db_len(row, 0, col));
    }
}

static void write_row(const struct export *e, const struct db_result *row, struct buf *out)
{
    struct csv_writer w;

    if (!e->csv) {
        buf_add(out, db_value(row, 0, 0), db_len(row, 0, 0));
        buf_addc(out, '\n');
        return;
    }
    csv_writer_init(&w, out, e->form.delimiter);
    for (int i = 0; i < db_cols(row); i++)
        write_cell(e, &w, row, i);
    csv_end(&w);
}

static int end(struct export *e)
{
    int r;

    e->ended = true;
    r = db_drain(e->conn, NULL);
    give_back(e);
    return r;
}

/* A failure in mid-stream can only be told by cutting it: the log says why. */
static int cut(const struct export *e, const struct db_result *row)
{
    struct db_error error = { .sqlstate = "" };

    if (row != NULL)
        db_error(row, &error);
    log_error("export_cut", "trace_id=%s sqlstate=%s", e->trace_id, error.sqlstate);
    return -EIO;
}

static int export_next(void *userdata, struct buf *out)
{
    struct export *e = userdata;
    int r;

    if (e->ended)
        return 0;
    if (e->csv && !e->begun)
        write_head(e, out);
    e->begun = true;
    while (out->n < PIECE_BYTES) {
        if (e->row == NULL) {
            r = db_stream_next(e->conn, &e->row);
            if (r <= 0)
                return cut(e, NULL);
        }
        if (db_kind(e->row) == DB_ROW) {
            write_row(e, e->row, out);
        } else if (db_kind(e->row) == DB_ROWS) {
            if (end(e) < 0)
                return cut(e, NULL);
            break;
        } else {
            return cut(e, e->row);
        }
        e->row = db_result_free(e->row);
    }
    return out->n > 0 ? 1 : 0;
}

static int compose(struct exchange *x, struct listing *listing, bool csv, struct buf *sql)
{
    const struct operation *op = x->op;

    /* Everything, unless the caller named a limit. */
    if (op->limit != NO_PARAMETER && x->params[op->limit] != op->parameters[op->limit].fallback)
        listing->shape.limit = listing->limit;
    buf_init(sql, SQL_MAX);
    return shape_compose(x->arena, &listing->shape, csv ? SHAPE_CELLS : SHAPE_ITEMS, x->params, sql);
}

/* The connection is read to its end, so that the pool need not replace it. */
static int refused(struct export *e, struct db_result *error, struct db_result **ret_error)
{
    int r;

    *ret_error = error;
    r = db_drain(e->conn, NULL);
    return r < 0 ? r : -EBADMSG;
}

/* Up to the first row, so that what fails at once is still a problem. -EBADMSG and the error. */
static int start(struct exchange *x, struct export *e, const struct statement *statement, struct db_result **ret_error)
{
    int r;

    r = db_pool_take(x->service->slow, (unsigned)x->service->config->pool_wait_ms, &e->conn);
    if (r < 0)
        return r;
    r = x->identity != NULL ? lane_enter(x, e->conn) : 0;
    if (r == 0)
        r = lane_send(e->conn, statement);
    if (r == 0)
        r = db_sync(e->conn);
    if (r == 0 && x->identity != NULL) {
        _cleanup_(db_result_freep) struct db_result *entered = NULL;

        r = db_next(e->conn, &entered);
        if (r > 0 && db_kind(entered) == DB_ERROR)
            return refused(e, TAKE_PTR(entered), ret_error);
    }
    if (r >= 0)
        r = db_stream_next(e->conn, &e->row);
    if (r == 0)
        return -EINVAL;
    if (r > 0 && db_kind(e->row) != DB_ROW && db_kind(e->row) != DB_ROWS)
        return refused(e, TAKE_PTR(e->row), ret_error);
    return r < 0 ? r : 0;
}

static struct export *export_new(const struct exchange *x)
{
    struct export *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return NULL;
    e->csv = x->produces->kind == MEDIA_CSV;
    e->list = x->op->list;
    e->form = csv_form_of(x);
    memcpy(e->trace_id, x->trace_id, sizeof(e->trace_id));
    return e;
}

/* 0, or 1 when the caller's other exports hold as much as it may. */
static int take_share(struct exchange *x, struct export *e)
{
    if (x->identity == NULL)
        return 0;
    memcpy(e->caller, x->identity->subject, sizeof(e->caller));
    if (!share_take(x->service->share, e->caller, (unsigned)x->service->config->pool_wait_ms)) {
        reply_header(x, "Retry-After", "1");
        fail_detail(x, P_TOO_MANY_REQUESTS, "This caller is still reading as many exports as one may at once.");
        return 1;
    }
    e->share = x->service->share;
    return 0;
}

int export_run(struct exchange *x, struct listing *listing)
{
    _cleanup_(db_result_freep) struct db_result *error = NULL;
    _cleanup_(buf_free) struct buf sql = { 0 };
    struct statement statement;
    struct export *e;
    int r;

    e = export_new(x);
    if (e == NULL)
        return -ENOMEM;
    if (take_share(x, e) != 0) {
        export_done(e);
        return 0;
    }
    r = compose(x, listing, e->csv, &sql);
    if (r == 0) {
        statement = (struct statement){
            .sql = buf_cstr(&sql), .n_values = listing->shape.n_values, .values = listing->shape.values
        };
        r = start(x, e, &statement, &error);
    }
    if (r < 0) {
        export_done(e);
        if (r == -EBADMSG && error != NULL)
            return trouble_answer(x, x->op->id, error);
        return r;
    }
    x->reply.status = 200;
    x->reply.type = e->csv ? "text/csv; charset=utf-8; header=present" : "application/x-ndjson";
    if (e->csv)
        reply_header(x, "Content-Disposition", arena_printf(x->arena, "attachment; filename=\"%s.csv\"", x->op->id));
    x->reply.stream = (struct stream){ .next = export_next, .done = export_done, .userdata = e };
    return 0;
}
