/* A unit's calendar: what the database lists as entries, written as iCalendar; and the secret addresses under which it is subscribed to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "calendar.h"
#include "issue.h"
#include "service.h"
#include "staff.h"

#define CALENDAR_MAX (32U * 1024U * 1024U)
#define TAG_CHARS    32 /* of the digest */

static const char *text_at(const struct db_result *rows, int row, const char *column)
{
    int col = db_col(rows, column);

    return db_is_null(rows, row, col) ? NULL : db_value(rows, row, col);
}

/* What is put off may yet be moved; all else is certain until it is cancelled. */
static enum calendar_status status_of(const char *status)
{
    if (status != NULL && strcmp(status, "cancelled") == 0)
        return CALENDAR_CANCELLED;
    return status != NULL && strcmp(status, "postponed") == 0 ? CALENDAR_TENTATIVE : CALENDAR_CONFIRMED;
}

static int add(struct buf *out, const struct db_result *rows, int row)
{
    char uid[64];
    struct calendar_entry entry = {
        .uid = uid,
        .title = text_at(rows, row, "title"),
        .detail = text_at(rows, row, "detail"),
        .category = text_at(rows, row, "category"),
        .starts_on = text_at(rows, row, "starts_on"),
        .ends_on = text_at(rows, row, "ends_on"),
        .status = status_of(text_at(rows, row, "status")),
        .busy = strcmp(text_at(rows, row, "part"), "activity") == 0,
        .version = strtoll(text_at(rows, row, "version"), NULL, 10),
        .changed_at = text_at(rows, row, "changed_at"),
    };

    snprintf(uid, sizeof(uid), "%s@tiendo", text_at(rows, row, "id"));
    return calendar_add(out, &entry);
}

/* The first row names the calendar, the others are its entries. */
static int write_calendar(struct buf *out, const struct db_result *rows)
{
    int r;

    r = calendar_begin(out, text_at(rows, 0, "title"));
    for (int row = 1; r == 0 && row < db_rows(rows); row++)
        r = add(out, rows, row);
    return r == 0 ? calendar_end(out) : r;
}

/* The tag is of the text, so that whoever looks again and again is sent it only when it is another. */
static int answer(struct exchange *x, const struct buf *made)
{
    char digest[SECRET_SHA256_HEX];

    secret_sha256_hex(made->p, made->n, digest);
    x->reply.version = arena_strndup(x->arena, digest, TAG_CHARS);
    reply_header(x, "Content-Language", "vi");
    reply_header(x, "Content-Disposition", "attachment; filename=\"calendar.ics\"");
    reply_header(x, "Cache-Control", "private, no-store");
    if (x->reply.version == NULL)
        return -ENOMEM;
    if (reply_unchanged(x))
        return 0;
    x->reply.status = 200;
    x->reply.type = "text/calendar; charset=utf-8";
    x->reply.body = (struct str){ arena_strndup(x->arena, made->p, made->n), made->n };
    return x->reply.body.p != NULL ? 0 : -ENOMEM;
}

static int reply_calendar(struct exchange *x, const struct named_query *query, const char *const *values)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    _cleanup_(buf_free) struct buf made = { 0 };
    int r;

    r = query_fetch(x, query, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    if (db_rows(rows) == 0)
        return fail(x, P_NOT_FOUND);
    buf_init(&made, CALENDAR_MAX);
    r = write_calendar(&made, rows);
    return r == 0 ? answer(x, &made) : r;
}

int handle_calendar(struct exchange *x)
{
    const char *const values[] = { exchange_param(x, "campaign"), exchange_param(x, "organization") };

    return reply_calendar(x, &query_calendar, values);
}

/* GET /v1/calendars/{secret}: the secret is all there is, and goes no further than here. */
int handle_calendar_shared(struct exchange *x)
{
    const char *secret = exchange_param(x, "secret");
    char hash[2 + SECRET_SHA256_HEX];
    const char *const values[] = { hash };

    secret_literal(secret, strlen(secret), hash);
    return reply_calendar(x, &query_calendar_shared, values);
}

int handle_calendar_subscription_create(struct exchange *x)
{
    char secret[SECRET_TOKEN_CHARS], hash[2 + SECRET_SHA256_HEX];
    const char *const values[] = { exchange_new_id(x), x->json.text.p, hash, x->trace_id };
    const char *address;

    secret_token(secret);
    secret_literal(secret, strlen(secret), hash);
    address = arena_printf(x->arena, "%s/v1/calendars/%s", x->service->issuer, secret);
    secret_wipe(secret, sizeof(secret));
    if (address == NULL)
        return -ENOMEM;
    return staff_create(x, &query_calendar_subscription_create, values, "address", address);
}
