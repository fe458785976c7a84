/* Pages of a collection. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lane.h"
#include "listing.h"
#include "service.h"

#define SQL_MAX (64U * 1024U)
#define URL_MAX (16U * 1024U)

/* The rows of a page in reading order; one row more than the limit only tells that there is more. */
struct page {
    struct exchange *x;
    const struct listing *listing;
    const struct db_result *rows;
    int n;     /* rows shown */
    bool more; /* there are more in the direction of the query */
    const char *next, *prev, *total;
};

static int row_at(const struct page *page, int i)
{
    return page->listing->shape.cursor.backward ? page->n - 1 - i : i;
}

static const char *cursor_at(const struct page *page, int i, bool backward)
{
    struct cursor cursor = { .backward = backward, .n = page->listing->shape.n_keys + 1 };
    int row = row_at(page, i);

    for (size_t k = 0; k < cursor.n; k++)
        cursor.values[k] = db_value(page->rows, row, (int)k + 1);
    return cursor_write(page->x->arena, &page->x->service->cursor_key, page->listing->context, &cursor);
}

static void make_cursors(struct page *page)
{
    const struct shape *shape = &page->listing->shape;
    bool backward = shape->has_cursor && shape->cursor.backward;

    if (page->n == 0)
        return;
    if (backward || page->more)
        page->next = cursor_at(page, page->n - 1, false);
    if (backward ? page->more : shape->has_cursor)
        page->prev = cursor_at(page, 0, true);
}

/* ---- the body ---- */

struct writer {
    char *p;
    size_t n, cap;
};

static void put(struct writer *w, const char *p, size_t n)
{
    if (w->p != NULL && n <= w->cap - w->n)
        memcpy(w->p + w->n, p, n);
    w->n += n;
}

static void put_member(struct writer *w, const char *name, const char *value, bool quoted)
{
    put(w, name, strlen(name));
    if (value == NULL) {
        put(w, "null", 4);
        return;
    }
    if (quoted)
        put(w, "\"", 1);
    put(w, value, strlen(value));
    if (quoted)
        put(w, "\"", 1);
}

static void put_page(struct writer *w, const struct page *page)
{
    char limit[16];

    put(w, "{\"items\":[", 10);
    for (int i = 0; i < page->n; i++) {
        int row = row_at(page, i);

        if (i > 0)
            put(w, ",", 1);
        put(w, db_value(page->rows, row, 0), db_len(page->rows, row, 0));
    }
    snprintf(limit, sizeof(limit), "%u", page->listing->limit);
    put_member(w, "],\"page\":{\"limit\":", limit, false);
    put_member(w, ",\"next\":", page->next, true);
    put_member(w, ",\"prev\":", page->prev, true);
    if (page->total != NULL)
        put_member(w, ",\"total\":", page->total, false);
    put(w, "}}", 2);
}

/* Once to measure, once to write. */
static int write_body(struct page *page)
{
    struct writer measure = { 0 }, w = { 0 };

    put_page(&measure, page);
    w.cap = measure.n;
    w.p = arena_alloc(page->x->arena, measure.n);
    if (w.p == NULL)
        return -ENOMEM;
    put_page(&w, page);
    return reply_text(page->x, 200, (struct str){ w.p, w.n });
}

/* ---- the Link header ---- */

static void add_escaped(struct buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || memchr("-._~", c, 4) != NULL)
            buf_addc(b, (char)c);
        else
            buf_addf(b, "%%%02X", c);
    }
}

static void add_link(struct buf *b, const struct page *page, const char *cursor, const char *rel)
{
    const struct operation *op = page->x->op;

    if (cursor == NULL)
        return;
    buf_addf(b, "%s<%s?", b->n > 0 ? ", " : "", page->x->path);
    for (size_t i = 0; i < op->n_parameters; i++) {
        if (op->parameters[i].in != IN_QUERY || i == op->cursor || page->x->params[i] == NULL)
            continue;
        add_escaped(b, op->parameters[i].name);
        buf_addc(b, '=');
        add_escaped(b, page->x->params[i]);
        buf_addc(b, '&');
    }
    buf_addf(b, "cursor=%s>; rel=\"%s\"", cursor, rel);
}

static void write_links(struct page *page)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    const char *text;

    buf_init(&b, URL_MAX);
    add_link(&b, page, page->next, "next");
    add_link(&b, page, page->prev, "prev");
    if (b.n == 0 || b.failed)
        return;
    text = arena_strndup(page->x->arena, b.p, b.n);
    if (text != NULL)
        reply_header(page->x, "Link", text);
}

/* ---- the query ---- */

static int answer(
    struct exchange *x, const struct listing *listing, const struct db_result *rows, const struct db_result *count)
{
    struct page page = { .x = x, .listing = listing, .rows = rows, .n = db_rows(rows) };

    if (page.n > (int)listing->limit) {
        page.n = (int)listing->limit;
        page.more = true;
    }
    make_cursors(&page);
    if (count != NULL) {
        page.total = db_value(count, 0, 0);
        reply_header(x, "Preference-Applied", "count=exact");
    }
    write_links(&page);
    return write_body(&page);
}

int list_answer(struct exchange *x, const struct listing *listing, const struct db_result *rows)
{
    struct page page = { .x = x, .listing = listing, .rows = rows, .n = db_rows(rows) - 1 };
    const char *reached = db_is_null(rows, page.n, 1) ? NULL : db_value(rows, page.n, 1);
    const bool backward = listing->shape.has_cursor && listing->shape.cursor.backward;
    struct cursor cursor = { .backward = backward, .n = listing->shape.n_keys + 1 };

    if (page.n > (int)listing->limit) {
        page.n = (int)listing->limit;
        page.more = true;
    }
    make_cursors(&page);
    if (reached != NULL && !page.more) {
        for (size_t k = 0; k < cursor.n; k++)
            cursor.values[k] = reached;
        *(backward ? &page.prev : &page.next) =
            cursor_write(x->arena, &x->service->cursor_key, listing->context, &cursor);
    }
    write_links(&page);
    return write_body(&page);
}

static int compose(
    struct exchange *x, struct shape *shape, enum shape_form form, struct buf *sql, struct statement *ret)
{
    int r;

    buf_init(sql, SQL_MAX);
    r = shape_compose(x->arena, shape, form, x->params, sql);
    if (r < 0)
        return r;
    *ret = (struct statement){ .sql = buf_cstr(sql), .n_values = shape->n_values, .values = shape->values };
    return 0;
}

static int page_run(struct exchange *x, struct listing *listing)
{
    _cleanup_(buf_free) struct buf sql = { 0 }, count_sql = { 0 };
    struct db_result *results[2] = { NULL, NULL };
    struct shape count_shape = listing->shape;
    struct statement statements[2];
    int r;

    listing->shape.limit = listing->limit;
    r = compose(x, &listing->shape, SHAPE_PAGE, &sql, &statements[0]);
    if (r == 0 && listing->count)
        r = compose(x, &count_shape, SHAPE_COUNT, &count_sql, &statements[1]);
    if (r < 0)
        return r;
    r = lane_run(x, statements, listing->count ? 2 : 1, results);
    if (r != 0)
        return r < 0 ? r : 0;
    r = answer(x, listing, results[0], results[1]);
    db_result_free(results[0]);
    db_result_free(results[1]);
    return r;
}

/* HEAD of an export: its first row, for the status, and its type. */
static int export_head(struct exchange *x, struct listing *listing)
{
    int r;

    listing->limit = 1;
    r = page_run(x, listing);
    if (r == 0 && x->reply.status == 200) {
        x->reply.type = x->produces->type;
        x->reply.body = (struct str){ NULL, 0 };
    }
    return r;
}

int handle_list(struct exchange *x)
{
    struct listing listing;
    int r;

    r = listing_read(x, &listing);
    if (r != 0)
        return r < 0 ? r : 0;
    if (x->produces != NULL && (x->produces->kind == MEDIA_CSV || x->produces->kind == MEDIA_NDJSON))
        return x->method == METHOD_HEAD ? export_head(x, &listing) : export_run(x, &listing);
    return page_run(x, &listing);
}
