/*
 * Attachments on their way out: chunk by chunk, each a statement of its own that enters the caller anew, so that no connection waits
 * for a slow reader. Chunks are never changed, so they are of one moment; where one cannot be had any more, the answer breaks off.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attachment.h"
#include "lane.h"
#include "log.h"
#include "negotiate.h"
#include "places.h"
#include "routes.h"
#include "service.h"
#include "trouble.h"

#define CHUNK_WAIT_MS 10000 /* for a connection, in the middle of a file */
#define ATTEMPTS      2

/* Outlives its exchange: freed when the last byte is sent or the caller has gone. */
struct download {
    struct service *service;
    struct identity identity;
    const char *permission;
    char attachment[TOKEN_ID_CHARS];
    int64_t size, sent;
    int next;
    struct db_result *chunk; /* read ahead, to answer an early error as a problem */
    uint64_t holder;
    char trace_id[TRACE_ID_TEXT];
};

static void download_done(void *userdata)
{
    struct download *d = userdata;

    db_result_free(d->chunk);
    places_give(d->service->downloads, d->holder);
    free(d);
}

static int fetch_once(const struct download *d, unsigned wait_ms, struct db_result **ret, struct db_result **ret_error)
{
    const char *const entering[] = { d->identity.grant, d->identity.session, d->identity.kid, d->permission };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    _cleanup_(db_result_freep) struct db_result *entered = NULL;
    char n[16];
    const char *const values[] = { d->attachment, n };
    int r;

    snprintf(n, sizeof(n), "%d", d->next);
    r = db_pool_take(d->service->slow, wait_ms, &conn);
    if (r == 0)
        r = db_send(conn, query_enter.index, entering);
    if (r == 0)
        r = db_send(conn, query_attachment_chunk.index, values);
    if (r == 0)
        r = db_sync(conn);
    if (r == 0)
        r = db_take(conn, &entered, ret_error);
    if (r == 0)
        r = db_take(conn, ret, ret_error);
    return r < 0 ? db_give_up(conn, r) : db_drain(conn, ret_error);
}

/* The next chunk: 0; -ENOENT when it is there no more, or the caller may not read it any more. */
static int fetch(struct download *d, unsigned wait_ms, struct db_result **ret_error)
{
    for (unsigned attempt = 1;; attempt++) {
        _cleanup_(db_result_freep) struct db_result *chunk = NULL;
        int r;

        r = fetch_once(d, wait_ms, &chunk, ret_error);
        if (r == -ECONNRESET && attempt < ATTEMPTS)
            continue;
        if (r < 0)
            return r;
        if (db_rows(chunk) == 0)
            return -ENOENT;
        d->chunk = TAKE_PTR(chunk);
        d->next++;
        return 0;
    }
}

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The database's text of bytes: \x and two digits each. */
static int write_chunk(struct download *d, struct buf *out)
{
    const char *hex = db_value(d->chunk, 0, 0);
    size_t n = db_len(d->chunk, 0, 0) / 2;
    char *p;

    n = n > 0 ? n - 1 : 0;
    if (n == 0 || n > ATTACHMENT_CHUNK || d->sent + (int64_t)n > d->size)
        return -EIO;
    p = buf_reserve(out, n);
    if (p == NULL)
        return -ENOMEM;
    hex += 2;
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    out->n += n;
    d->sent += (int64_t)n;
    d->chunk = db_result_free(d->chunk);
    return 0;
}

static int download_next(void *userdata, struct buf *out)
{
    struct download *d = userdata;
    _cleanup_(db_result_freep) struct db_result *error = NULL;
    int r = 0;

    if (d->sent == d->size)
        return 0;
    if (d->chunk == NULL)
        r = fetch(d, CHUNK_WAIT_MS, &error);
    if (r == 0)
        r = write_chunk(d, out);
    if (r == 0)
        return 1;
    log_error("download_cut", "trace_id=%s error=%s", d->trace_id, strerrordesc_np(-r));
    return -EIO;
}

/* ---- the answer ---- */

/* RFC 6266: what old clients read, and the name itself (RFC 8187). */
static const char *disposition(struct exchange *x, const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *dot = strrchr(name, '.');
    _cleanup_(buf_free) struct buf b = { 0 };

    buf_init(&b, 4096);
    buf_addf(&b, "attachment; filename=\"attachment%s\"; filename*=UTF-8''", dot != NULL ? dot : "");
    for (const char *p = name; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c) != NULL) {
            buf_addc(&b, (char)c);
        } else {
            buf_addc(&b, '%');
            buf_addc(&b, digits[c >> 4]);
            buf_addc(&b, digits[c & 15]);
        }
    }
    return b.failed ? NULL : arena_strndup(x->arena, buf_cstr(&b), b.n);
}

static int headers(struct exchange *x, const struct db_result *row)
{
    const struct media type = { .type = arena_strdup(x->arena, db_text(row, "type")) };

    if (type.type == NULL)
        return -ENOMEM;
    x->reply.version = arena_strdup(x->arena, db_text(row, "version"));
    reply_header(x, "Content-Disposition", disposition(x, db_text(row, "name")));
    reply_header(x, "Repr-Digest", arena_printf(x->arena, "sha-256=:%s:", db_text(row, "sha256")));
    /* Kept, not shown: whatever a reader makes of it, it is of no origin and runs nothing. */
    reply_header(x, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox");
    if (arena_failed(x->arena))
        return -ENOMEM;
    if (reply_unchanged(x))
        return 1;
    if (negotiate_accept(exchange_header(x, "Accept"), &type, 1) == NULL) {
        fail(x, P_NOT_ACCEPTABLE);
        return 1;
    }
    x->reply.status = 200;
    x->reply.type = type.type;
    return 0;
}

static struct download *download_new(struct exchange *x, const struct db_result *row)
{
    uint64_t holder = places_holder(x->identity->subject);
    struct download *d;

    if (!places_take(x->service->downloads, holder))
        return NULL;
    d = calloc(1, sizeof(*d));
    if (d == NULL) {
        places_give(x->service->downloads, holder);
        return NULL;
    }
    d->service = x->service;
    d->identity = *x->identity;
    d->permission = x->op->permission;
    d->holder = holder;
    d->size = strtoll(db_text(row, "size"), NULL, 10);
    snprintf(d->attachment, sizeof(d->attachment), "%s", db_text(row, "id"));
    memcpy(d->trace_id, x->trace_id, sizeof(d->trace_id));
    return d;
}

static int begin(struct exchange *x, const struct db_result *row)
{
    _cleanup_(db_result_freep) struct db_result *error = NULL;
    struct download *d = download_new(x, row);
    int r = 0;

    if (d == NULL) {
        reply_header(x, "Retry-After", "5");
        return fail(x, P_UPLOADS_BUSY);
    }
    if (x->method != METHOD_HEAD)
        r = fetch(d, (unsigned)x->service->config->pool_wait_ms, &error);
    if (r < 0) {
        download_done(d);
        if (r == -EBADMSG && error != NULL)
            return trouble_answer(x, query_attachment_chunk.name, error);
        return r == -ENOENT ? fail(x, P_NOT_FOUND) : r;
    }
    x->reply.stream =
        (struct stream){ .next = download_next, .done = download_done, .userdata = d, .size = (uint64_t)d->size };
    return 0;
}

int handle_attachment_read(struct exchange *x)
{
    const struct attachment_owner *owner = attachment_owner(x);
    const char *const values[] = { exchange_param(x, owner->parameter), exchange_param(x, "attachment") };
    _cleanup_(db_result_freep) struct db_result *row = NULL;
    int r;

    r = query_fetch(x, owner->read, values, &row);
    if (r != 0)
        return r < 0 ? r : 0;
    if (db_rows(row) == 0)
        return fail(x, P_NOT_FOUND);
    r = headers(x, row);
    if (r != 0)
        return r < 0 ? r : 0;
    return begin(x, row);
}
