#include "csv.h"

#include <errno.h>

#include "arena.h"
#include "formula.h"

#define DEFAULT_FIELD   (64u * 1024u)
#define DEFAULT_ROW     (1024u * 1024u)
#define DEFAULT_COLUMNS 256u

struct csv_reader {
    const char *p, *end; /* what is left */
    struct csv_options options;
    size_t line, row;             /* the line at p; records so far, without the header */
    struct arena *kept, *scratch; /* names and fields; unescaped texts of this record */
    struct str *field, *name;
    size_t fields, columns;
};

static const struct csv_fault faults[] = {
    { 0, "csv_quote", "A quotation mark stands inside a field, or something follows the closing one." },
    { 0, "csv_quote_open", "A quoted field is not closed before the end of the file." },
    { 0, "csv_line_end", "A carriage return stands without a line feed outside of quotation marks." },
    { 0, "csv_field_too_long", "A field is longer than is allowed." },
    { 0, "csv_row_too_long", "A record is longer than is allowed." },
    { 0, "csv_too_many_columns", "A record has more fields than is allowed." },
    { 0, "csv_column_count", "The record does not have as many fields as the header." },
    { 0, "csv_encoding", "The file is not UTF-8 text; save it as \"CSV UTF-8\"." },
    { 0, "csv_empty", "The file has no header." },
    { 0, "csv_header_unnamed", "A column of the header has no name." },
    { 0, "csv_header_duplicate", "Two columns of the header have the same name." },
    { 0, "csv_delimiter",
        "The header has one column and another delimiter in it: name the file's delimiter with delimiter=." },
    { 0, "csv_sep_line", "The first line is Excel's sep=: take it out and name the delimiter with delimiter=." },
};

enum fault {
    QUOTE,
    QUOTE_OPEN,
    LINE_END,
    FIELD_TOO_LONG,
    ROW_TOO_LONG,
    TOO_MANY_COLUMNS,
    COLUMN_COUNT,
    ENCODING,
    EMPTY,
    HEADER_UNNAMED,
    HEADER_DUPLICATE,
    DELIMITER,
    SEP_LINE,
    FINE = -1,
    NO_MEMORY = -2,
};

static int set_fault(struct csv_fault *f, enum fault which, size_t line)
{
    *f = faults[which];
    f->line = line;
    return -EINVAL;
}

/* Give up this record: go on after the next line feed. */
static void skip_line(struct csv_reader *r)
{
    const char *feed = memchr(r->p, '\n', (size_t)(r->end - r->p));

    r->p = feed ? feed + 1 : r->end;
    r->line++;
}

/* Is P at a line's end? Its length, 0 when it is not (a lone carriage return neither). */
static size_t line_end(const char *p, const char *end)
{
    if (*p == '\n')
        return 1;
    return *p == '\r' && p + 1 < end && p[1] == '\n' ? 2 : 0;
}

static size_t count_lines(const char *p, const char *end)
{
    size_t n = 0;

    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        n++;
        p++;
    }
    return n;
}

/* The text between quotes with "" made ". */
static bool unescape(struct csv_reader *r, struct str raw, struct str *ret)
{
    char *text = arena_alloc(r->scratch, raw.n + 1);
    size_t n = 0;

    if (!text)
        return false;
    for (size_t i = 0; i < raw.n; i++) {
        text[n++] = raw.p[i];
        i += raw.p[i] == '"';
    }
    *ret = (struct str){ text, n };
    return true;
}

/* A quoted field that begins at r->p, up to and with its closing mark. */
static enum fault take_quoted(struct csv_reader *r, struct str *ret)
{
    const char *from = r->p + 1, *p = from;
    bool doubled = false;
    struct str raw;

    for (;;) {
        p = memchr(p, '"', (size_t)(r->end - p));
        if (!p) {
            r->p = r->end;
            return QUOTE_OPEN;
        }
        if (p + 1 == r->end || p[1] != '"')
            break;
        doubled = true;
        p += 2;
    }
    raw = (struct str){ from, (size_t)(p - from) };
    r->line += count_lines(from, p);
    r->p = p + 1;
    if (raw.n > r->options.max_field)
        return FIELD_TOO_LONG;
    if (r->p < r->end && *r->p != r->options.delimiter && line_end(r->p, r->end) == 0)
        return *r->p == '\r' ? LINE_END : QUOTE;
    *ret = raw;
    return doubled && !unescape(r, raw, ret) ? NO_MEMORY : FINE;
}

/* A field without quotes, up to its delimiter or the line's end. */
static enum fault take_bare(struct csv_reader *r, struct str *ret)
{
    const char *from = r->p, *p = from;

    for (; p < r->end && *p != r->options.delimiter && *p != '\n'; p++) {
        if (*p == '"')
            return QUOTE;
        if (*p == '\r') {
            if (line_end(p, r->end) == 0)
                return LINE_END;
            break;
        }
    }
    if ((size_t)(p - from) > r->options.max_field)
        return FIELD_TOO_LONG;
    r->p = p;
    *ret = (struct str){ from, (size_t)(p - from) };
    return FINE;
}

/* One record into r->field, r->p after its line end. */
static enum fault take_record(struct csv_reader *r)
{
    const char *from = r->p;

    arena_reset(r->scratch);
    r->fields = 0;
    for (;;) {
        struct str *field = r->field + r->fields;
        enum fault f;

        if (r->fields == r->options.max_columns)
            return TOO_MANY_COLUMNS;
        f = r->p < r->end && *r->p == '"' ? take_quoted(r, field) : take_bare(r, field);
        if (f != FINE)
            return f;
        if ((size_t)(r->p - from) > r->options.max_row)
            return ROW_TOO_LONG;
        if (formula_is_guarded(field->p, field->n))
            *field = (struct str){ field->p + 1, field->n - 1 };
        r->fields++;
        if (r->p == r->end || *r->p != r->options.delimiter)
            break;
        r->p++;
    }
    if (r->p < r->end) {
        r->p += line_end(r->p, r->end);
        r->line++;
    }
    return FINE;
}

static void skip_blank_lines(struct csv_reader *r)
{
    size_t n;

    while (r->p < r->end && (n = line_end(r->p, r->end)) > 0) {
        r->p += n;
        r->line++;
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int r = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return r != 0 ? r : (x->n > y->n) - (x->n < y->n);
}

static bool has_duplicates(const struct csv_reader *r)
{
    struct str *sorted = r->field;

    qsort(sorted, r->columns, sizeof(*sorted), compare_names);
    for (size_t i = 1; i < r->columns; i++)
        if (str_eq(sorted[i - 1], sorted[i]))
            return true;
    return false;
}

/* Does the only column look like several? */
static bool wrong_delimiter(const struct csv_reader *r)
{
    struct str only = r->name[0];

    if (r->columns != 1)
        return false;
    return memchr(only.p, ',', only.n) || memchr(only.p, ';', only.n) || memchr(only.p, '\t', only.n);
}

static int keep_names(struct csv_reader *r)
{
    r->columns = r->fields;
    r->name = arena_array(r->kept, r->columns, sizeof(*r->name));
    if (!r->name)
        return -ENOMEM;
    for (size_t i = 0; i < r->columns; i++) {
        const char *p = arena_strndup(r->kept, r->field[i].p, r->field[i].n);

        if (!p)
            return -ENOMEM;
        r->name[i] = (struct str){ p, r->field[i].n };
    }
    return 0;
}

static int read_header(struct csv_reader *r, struct csv_fault *ret_fault)
{
    size_t line;
    enum fault f;

    if (memchr(r->p, '\0', (size_t)(r->end - r->p)) || !utf8_valid(r->p, (size_t)(r->end - r->p)))
        return set_fault(ret_fault, ENCODING, 1);
    if (r->end - r->p >= 3 && memcmp(r->p, "\xef\xbb\xbf", 3) == 0)
        r->p += 3;
    skip_blank_lines(r);
    line = r->line;
    if (r->p == r->end)
        return set_fault(ret_fault, EMPTY, line);
    f = take_record(r);
    if (f == NO_MEMORY || (f == FINE && keep_names(r) < 0))
        return -ENOMEM;
    if (f != FINE)
        return set_fault(ret_fault, f, line);
    if (r->name[0].n >= 4 && memcmp(r->name[0].p, "sep=", 4) == 0)
        return set_fault(ret_fault, SEP_LINE, line);
    if (wrong_delimiter(r))
        return set_fault(ret_fault, DELIMITER, line);
    for (size_t i = 0; i < r->columns; i++)
        if (r->name[i].n == 0)
            return set_fault(ret_fault, HEADER_UNNAMED, line);
    return has_duplicates(r) ? set_fault(ret_fault, HEADER_DUPLICATE, line) : 0;
}

static struct csv_reader *allocate(const struct csv_options *options)
{
    _cleanup_(csv_reader_freep) struct csv_reader *r = calloc(1, sizeof(*r));
    struct csv_options o = options ? *options : (struct csv_options){ 0 };

    if (!r)
        return NULL;
    o.delimiter = o.delimiter ? o.delimiter : ',';
    o.max_field = o.max_field ? o.max_field : DEFAULT_FIELD;
    o.max_row = o.max_row ? o.max_row : DEFAULT_ROW;
    o.max_columns = o.max_columns ? o.max_columns : DEFAULT_COLUMNS;
    r->options = o;
    r->line = 1;
    r->kept = arena_new(SIZE_MAX / 4);
    r->scratch = arena_new(SIZE_MAX / 4);
    if (!r->kept || !r->scratch)
        return NULL;
    r->field = arena_array(r->kept, o.max_columns, sizeof(*r->field));
    return r->field ? TAKE_PTR(r) : NULL;
}

int csv_reader_new(
    const char *p, size_t n, const struct csv_options *options, struct csv_reader **ret, struct csv_fault *ret_fault)
{
    _cleanup_(csv_reader_freep) struct csv_reader *r = allocate(options);
    int error;

    if (!r)
        return -ENOMEM;
    r->p = n > 0 ? p : "";
    r->end = r->p + n;
    error = read_header(r, ret_fault);
    if (error < 0)
        return error;
    *ret = TAKE_PTR(r);
    return 0;
}

void csv_reader_free(struct csv_reader *r)
{
    if (!r)
        return;
    arena_free(r->kept);
    arena_free(r->scratch);
    free(r);
}

size_t csv_columns(const struct csv_reader *r, const struct str **ret_names)
{
    *ret_names = r->name;
    return r->columns;
}

int csv_column(const struct csv_reader *r, const char *name)
{
    for (size_t i = 0; i < r->columns; i++)
        if (str_is(r->name[i], name))
            return (int)i;
    return -ENOENT;
}

int csv_next(struct csv_reader *r, struct csv_row *ret)
{
    struct csv_row row = { 0 };
    enum fault f;

    skip_blank_lines(r);
    if (r->p == r->end)
        return 0;
    row.line = r->line;
    f = take_record(r);
    if (f == NO_MEMORY)
        return -ENOMEM;
    if (f != FINE)
        skip_line(r);
    else if (r->fields != r->columns)
        f = COLUMN_COUNT;
    row.row = ++r->row;
    row.n = r->fields;
    row.field = r->field;
    if (f != FINE)
        (void)set_fault(&row.fault, f, row.line);
    *ret = row;
    return 1;
}
