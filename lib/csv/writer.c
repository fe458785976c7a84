#include "csv.h"

#include "formula.h"

void csv_writer_init(struct csv_writer *w, struct buf *out, char delimiter)
{
    *w = (struct csv_writer){ .out = out, .delimiter = delimiter ? delimiter : ',' };
}

void csv_write_bom(struct csv_writer *w)
{
    buf_adds(w->out, "\xef\xbb\xbf");
}

static bool needs_quotes(const char *p, size_t n, char delimiter)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == delimiter || p[i] == '"' || p[i] == '\n' || p[i] == '\r')
            return true;
    return false;
}

static void add_quoted(struct buf *b, const char *p, size_t n, bool guard)
{
    const char *end = p + n;

    buf_adds(b, guard ? "\"'" : "\"");
    while (p < end) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        const char *until = quote ? quote + 1 : end;

        buf_add(b, p, (size_t)(until - p));
        if (quote)
            buf_addc(b, '"');
        p = until;
    }
    buf_addc(b, '"');
}

void csv_write(struct csv_writer *w, const char *p, size_t n)
{
    bool guard = n > 0 && formula_needs_guard(p, n);

    if (w->fields++ > 0)
        buf_addc(w->out, w->delimiter);
    else
        w->from = w->out->n;
    if (needs_quotes(p, n, w->delimiter)) {
        add_quoted(w->out, p, n, guard);
        return;
    }
    if (guard)
        buf_addc(w->out, '\'');
    buf_add(w->out, p, n);
}

void csv_write_cstr(struct csv_writer *w, const char *s)
{
    csv_write(w, s, s ? strlen(s) : 0);
}

void csv_end(struct csv_writer *w)
{
    /* A single empty field would be a blank line, which readers skip. */
    if (w->fields == 1 && w->out->n == w->from)
        buf_adds(w->out, "\"\"");
    buf_adds(w->out, "\r\n");
    w->fields = 0;
}
