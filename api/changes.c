/* GET /v1/changes: the next events of the caller's feed; a caller that waits holds a place, no connection to the database. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cursor.h"
#include "handler.h"
#include "service.h"
#include "watch.h"

#define BATCH      "application/cloudevents-batch+json"
#define LIMIT_MOST 1000
/* While one waits, the feed is looked at no oftener than this, however much happens elsewhere. */
#define LOOK_EVERY_US INT64_C(1000000)

struct feed {
    struct exchange *x;
    struct str context;
    char place[24], mark[24]; /* after which to read; "" for the oldest kept */
    char most[8];
    int64_t until_us; /* how long to wait */
};

static const char *place_text(const struct feed *feed)
{
    return feed->place[0] == '\0' ? NULL : feed->place;
}

/* A place is that of the grant it was given under: another one sees other changes. */
static int read_place(struct feed *feed)
{
    struct exchange *x = feed->x;
    const char *after = exchange_param(x, "after");
    struct cursor cursor;
    char *context;
    int r;

    context = arena_printf(x->arena, "%s\n%s", x->op->id, x->identity->grant);
    if (context == NULL)
        return -ENOMEM;
    feed->context = (struct str){ context, strlen(context) };
    if (after == NULL)
        return 0;
    if (strcmp(after, "now") == 0) {
        snprintf(feed->place, sizeof(feed->place), "-1");
        return 0;
    }
    r = cursor_read(x->arena, &x->service->cursor_key, feed->context, after, &cursor);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || cursor.n != 2) {
        fail_at(x, P_BAD_CURSOR, AT_PARAMETER, "after", FAULT_BAD_CURSOR, NULL);
        return 1;
    }
    snprintf(feed->place, sizeof(feed->place), "%s", cursor.values[0]);
    snprintf(feed->mark, sizeof(feed->mark), "%s", cursor.values[1]);
    return 0;
}

static void read_numbers(struct feed *feed)
{
    const char *limit = exchange_param(feed->x, "limit"), *wait = exchange_param(feed->x, "wait");
    int64_t n = 50, seconds = 0;

    /* the contract has checked them; what is larger than the largest is made so */
    if (limit != NULL && str_to_i64(limit, 1, LIMIT_MOST, &n) < 0)
        n = LIMIT_MOST;
    if (wait != NULL && str_to_i64(wait, 0, 30, &seconds) < 0)
        seconds = 0;
    snprintf(feed->most, sizeof(feed->most), "%lld", (long long)n);
    feed->until_us = clock_mono_us() + seconds * 1000000;
}

/* ---- the answer ---- */

static void add_items(struct buf *b, const struct db_result *rows)
{
    buf_addc(b, '[');
    for (int i = 0; i < db_rows(rows) - 1; i++) {
        if (i > 0)
            buf_addc(b, ',');
        buf_add(b, db_value(rows, i, 0), db_len(rows, i, 0));
    }
    buf_addc(b, ']');
}

static void add_page(const struct feed *feed, struct buf *b, const struct db_result *rows, const char *next, bool more)
{
    buf_adds(b, "{\"items\":");
    add_items(b, rows);
    buf_addf(b, ",\"page\":{\"limit\":%s,\"next\":\"%s\",\"more\":%s}}", feed->most, next, more ? "true" : "false");
}

static int answer(struct feed *feed, const struct db_result *rows)
{
    struct exchange *x = feed->x;
    int last = db_rows(rows) - 1;
    const struct cursor cursor = { .n = 2, .values = { db_value(rows, last, 1), db_value(rows, last, 2) } };
    const char *next = cursor_write(x->arena, &x->service->cursor_key, feed->context, &cursor);
    bool batch = x->produces != NULL && strcmp(x->produces->type, BATCH) == 0;
    _cleanup_(buf_free) struct buf b = { 0 };
    char *text;

    if (next == NULL)
        return -ENOMEM;
    buf_init(&b, SIZE_MAX / 2);
    if (batch)
        add_items(&b, rows);
    else
        add_page(feed, &b, rows, next, db_value(rows, last, 3)[0] == 't');
    text = b.failed ? NULL : arena_strndup(x->arena, b.p, b.n);
    if (text == NULL)
        return -ENOMEM;
    reply_header(x, "Link", arena_printf(x->arena, "<%s?limit=%s&after=%s>; rel=\"next\"", x->path, feed->most, next));
    reply_text(x, 200, (struct str){ text, b.n });
    if (batch)
        x->reply.type = BATCH;
    return 0;
}

/* ---- waiting ---- */

/* One look at the feed. 0 and the rows, 1 with the problem, negative errno. */
static int look(struct feed *feed, struct db_result **ret_rows)
{
    const char *const values[] = { place_text(feed), feed->mark[0] != '\0' ? feed->mark : NULL, feed->most,
        feed->x->service->issuer };

    return query_fetch(feed->x, &query_change_page, values, ret_rows);
}

/* Whether there is nothing to tell yet, and everything was looked at. */
static bool nothing(const struct db_result *rows)
{
    return db_rows(rows) == 1 && db_value(rows, 0, 3)[0] != 't';
}

/* From here on the next look goes on where this one ended. */
static int64_t step_on(struct feed *feed, const struct db_result *rows)
{
    snprintf(feed->place, sizeof(feed->place), "%s", db_value(rows, 0, 1));
    snprintf(feed->mark, sizeof(feed->mark), "%s", db_value(rows, 0, 2));
    return strtoll(feed->place, NULL, 10);
}

static int follow(struct feed *feed)
{
    struct watch *watch = feed->x->service->watch;

    for (;;) {
        _cleanup_(db_result_freep) struct db_result *rows = NULL;
        int64_t looked_us = clock_mono_us(), head;
        int r;

        r = look(feed, &rows);
        if (r != 0)
            return r < 0 ? r : 0;
        if (!nothing(rows) || looked_us >= feed->until_us || watch_closed(watch))
            return answer(feed, rows);
        head = step_on(feed, rows);
        /* Not before a while, so that who waits for little does not look at every change of others; the first look is at once. */
        if (!watch_wait(watch, head, feed->until_us))
            feed->until_us = 0;
        else if (clock_mono_us() - looked_us < LOOK_EVERY_US && feed->until_us - looked_us > LOOK_EVERY_US)
            (void)watch_wait(watch, INT64_MAX, looked_us + LOOK_EVERY_US);
    }
}

static int refuse_wait(struct exchange *x, int r)
{
    reply_header(x, "Retry-After", "1");
    if (r == -EDQUOT)
        return fail_detail(
            x, P_TOO_MANY_REQUESTS, "This caller already waits for changes as often as one may at once.");
    return fail(x, P_UNAVAILABLE);
}

int handle_change_list(struct exchange *x)
{
    struct feed feed = { .x = x };
    int r;

    r = read_place(&feed);
    if (r != 0)
        return r < 0 ? r : 0;
    read_numbers(&feed);
    if (feed.until_us <= clock_mono_us() || x->method == METHOD_HEAD) {
        feed.until_us = 0;
        return follow(&feed);
    }
    r = watch_enter(x->service->watch, x->identity->subject);
    if (r < 0)
        return refuse_wait(x, r);
    r = follow(&feed);
    watch_leave(x->service->watch, x->identity->subject);
    return r;
}
