#include "send.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "service.h"

#define PIECE_MAX      (1024U * 1024U)
#define LINE_MAX_BYTES 1024U

/* ---- the log's line ---- */

static void put(struct buf *line, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The line stands on the stack; what does not fit is left away. */
static void put(struct buf *line, const char *fmt, ...)
{
    size_t room = line->cap - line->n;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line->p + line->n, room, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < room)
        line->n += (size_t)n;
}

/* Every text in it is ours or was checked: templates, hexadecimal ids, UUIDs, addresses. */
static void log_request(const struct exchange *x, const struct outcome *outcome, unsigned status, int64_t us)
{
    char text[LINE_MAX_BYTES], now[CLOCK_TEXT];
    struct buf line = { .p = text, .cap = sizeof(text), .max = sizeof(text) };

    if (!log_enabled(LOG_LEVEL_INFO))
        return;
    clock_format_rfc3339(clock_now_us(), now);
    put(&line,
        "{\"time\":\"%s\",\"level\":\"info\",\"event\":\"request\",\"method\":\"%s\",\"route\":\"%s\",\"status\":%u,"
        "\"duration_ms\":%lld.%03lld",
        now, outcome->method, x->op != NULL ? x->op->path : "", status, (long long)(us / 1000), (long long)(us % 1000));
    put(&line, ",\"trace_id\":\"%s\",\"client\":\"%s\"", x->trace_id, x->client);
    if (x->identity != NULL)
        put(&line, ",\"grant\":\"%s\"", x->identity->grant);
    put(&line, "}\n");
    log_line(&line);
}

/* ---- streams ---- */

struct sender {
    struct stream stream;
    struct buf piece;
    size_t sent; /* of the piece */
};

static ssize_t send_piece(void *userdata, char *p, size_t max)
{
    struct sender *sender = userdata;
    size_t n;

    while (sender->sent == sender->piece.n) {
        int r;

        buf_reset(&sender->piece);
        sender->sent = 0;
        r = sender->stream.next(sender->stream.userdata, &sender->piece);
        if (r <= 0)
            return r;
        if (sender->piece.failed)
            return -ENOMEM;
    }
    n = sender->piece.n - sender->sent;
    if (n > max)
        n = max;
    memcpy(p, sender->piece.p + sender->sent, n);
    sender->sent += n;
    return (ssize_t)n;
}

static void send_done(void *userdata)
{
    struct sender *sender = userdata;

    if (sender->stream.done != NULL)
        sender->stream.done(sender->stream.userdata);
    buf_free(&sender->piece);
    free(sender);
}

static int attach_stream(struct exchange *x, struct bridge_reply *reply)
{
    struct sender *sender = calloc(1, sizeof(*sender));

    if (sender == NULL)
        return -ENOMEM;
    sender->stream = x->reply.stream;
    buf_init(&sender->piece, PIECE_MAX);
    reply->stream = send_piece;
    reply->done = send_done;
    reply->stream_n = x->reply.stream.size;
    reply->userdata = sender;
    return 0;
}

/* ---- headers ---- */

static void add(struct bridge_reply *reply, const char *name, const char *value)
{
    if (value != NULL && reply->n_headers < ARRAY_SIZE(reply->headers))
        reply->headers[reply->n_headers++] = (struct header){ name, value };
}

static bool has(const struct exchange *x, const char *name)
{
    return header_find(x->reply.headers, x->reply.n_headers, name) != NULL;
}

/* A caller's text must not end a header early; nothing else in a header of ours can. */
static bool header_safe(const char *value)
{
    return strpbrk(value, "\r\n") == NULL;
}

static void add_headers(struct exchange *x, const struct outcome *outcome, struct bridge_reply *reply)
{
    add(reply, "Content-Type", x->reply.type);
    if (x->reply.version != NULL)
        add(reply, "ETag", arena_printf(x->arena, "\"%s\"", x->reply.version));
    add(reply, "Location", x->reply.location);
    for (size_t i = 0; i < x->reply.n_headers; i++)
        if (header_safe(x->reply.headers[i].value))
            add(reply, x->reply.headers[i].name, x->reply.headers[i].value);
    if (!has(x, "Cache-Control"))
        add(reply, "Cache-Control", "no-store");
    if (!has(x, "Content-Security-Policy"))
        add(reply, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    add(reply, "X-Content-Type-Options", "nosniff");
    if (x->service->config->hsts)
        add(reply, "Strict-Transport-Security", "max-age=31536000");
    add(reply, "traceparent", outcome->traceparent);
    if (outcome->close || atomic_load_explicit(&x->service->draining, memory_order_relaxed))
        add(reply, "Connection", "close");
}

static int attach_body(struct exchange *x, struct bridge_reply *reply)
{
    if (x->reply.stream.next != NULL)
        return attach_stream(x, reply);
    if (x->reply.body.n == 0)
        return 0;
    reply->body = bridge_alloc(x->reply.body.n);
    if (reply->body == NULL)
        return -ENOMEM;
    memcpy(reply->body, x->reply.body.p, x->reply.body.n);
    reply->body_n = x->reply.body.n;
    return 0;
}

void send_reply(struct exchange *x, const struct outcome *outcome, struct bridge_reply *reply)
{
    int64_t us;

    if (x->reply.status == 0 || attach_body(x, reply) < 0) {
        if (x->reply.stream.done != NULL)
            x->reply.stream.done(x->reply.stream.userdata);
        x->reply.stream = (struct stream){ 0 };
        fail(x, P_INTERNAL);
        if (attach_body(x, reply) < 0)
            reply->body = NULL;
    }
    reply->status = x->reply.status;
    add_headers(x, outcome, reply);
    us = clock_mono_us() - outcome->began_us;
    metrics_observe(x->service->metrics, x->op, outcome->head, x->reply.status, us);
    log_request(x, outcome, x->reply.status, us);
}
