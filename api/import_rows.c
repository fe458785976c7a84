#include "import_rows.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "json.h"
#include "nfc.h"
#include "number.h"
#include "schema.h"
#include "uuid.h"

#define ROW_ARENA  (4u << 20)
#define ROW_FAULTS 20
#define ROW_TEXT   (64U << 10) /* of JSON; many times the longest row that is any use */

#define COLUMNS_MAX 32

struct import_row {
    size_t row, line;
    struct str values[COLUMNS_MAX]; /* in the order of the kind's columns; p NULL: SQL NULL */
};

struct reader {
    struct exchange *x;
    const struct import_options *options;
    struct arena *arena; /* of one row */
    struct faults faults;
    struct buf *out;
    size_t rows;
};

/* The column of this name, or negative: a row may name other members of the contract's schema, which only inform. */
static int column_of(const struct reader *rd, struct str name)
{
    const struct import_kind *kind = rd->options->kind;

    for (size_t i = 0; i < kind->n_columns && i < COLUMNS_MAX; i++)
        if (str_is(name, kind->columns[i]))
            return (int)i;
    return -ENOENT;
}

/* A version that is there and blank says that there is no value yet; one that is not there says nothing. */
static struct str blank_of(const struct reader *rd, int column)
{
    return str_is(STR("version"), rd->options->kind->columns[column]) ? STR("") : (struct str){ NULL, 0 };
}

static const struct schema *member_schema(const struct schema *row, struct str name)
{
    for (size_t i = 0; i < row->n_properties; i++)
        if (str_is(name, row->properties[i].name))
            return row->properties[i].schema;
    return NULL;
}

/* COPY's text form: tab, newline, carriage return and backslash escaped, NULL as \N. */
static void add_field(struct buf *out, struct str value)
{
    const char *from = value.p;

    buf_addc(out, '\t');
    if (value.p == NULL) {
        buf_adds(out, "\\N");
        return;
    }
    for (const char *p = value.p; p < value.p + value.n; p++) {
        const char *escape = *p == '\t' ? "\\t" : *p == '\n' ? "\\n" : *p == '\r' ? "\\r" : *p == '\\' ? "\\\\" : NULL;

        if (escape == NULL)
            continue;
        buf_add(out, from, (size_t)(p - from));
        buf_adds(out, escape);
        from = p + 1;
    }
    buf_add(out, from, (size_t)(value.p + value.n - from));
}

static struct str faults_text(const struct faults *f)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    struct str text = { NULL, 0 };

    buf_init(&b, 1u << 20);
    if (f->n == 0)
        return text;
    for (size_t i = 0; i < f->n && i < ROW_FAULTS; i++) {
        buf_adds(&b, i == 0 ? "[{\"pointer\":" : ",{\"pointer\":");
        buf_json_cstr(&b, f->items[i].name);
        buf_adds(&b, ",\"code\":");
        buf_json_cstr(&b, f->items[i].code);
        buf_adds(&b, ",\"detail\":");
        buf_json_cstr(&b, f->items[i].detail);
        buf_addc(&b, '}');
    }
    buf_addc(&b, ']');
    if (!b.failed)
        text = (struct str){ arena_strndup(f->arena, b.p, b.n), b.n };
    return text;
}

/* Whether column i is one of the names and nothing is wrong with it itself. */
static bool names_soundly(const struct reader *rd, size_t i)
{
    if (i >= rd->options->kind->n_names)
        return false;
    for (size_t k = 0; k < rd->faults.n; k++) {
        const char *name = rd->faults.items[k].name;

        if (strncmp(name, "#/", 2) == 0 && strcmp(name + 2, rd->options->kind->columns[i]) == 0)
            return false;
    }
    return true;
}

/* Writes the row; of one with faults only what names it, so that no half-read figure reaches the database while names
 * that are wrong too are told along with the rest. */
static int finish_row(struct reader *rd, struct import_row *row)
{
    char id[UUID_TEXT];
    struct str faults = faults_text(&rd->faults);
    bool sound = rd->faults.n == 0;

    uuid_v7(id);
    buf_add_i64(rd->out, (int64_t)row->row);
    buf_addc(rd->out, '\t');
    buf_add_i64(rd->out, (int64_t)row->line);
    add_field(rd->out, str_from(id));
    for (size_t i = 0; i < rd->options->kind->n_columns; i++)
        add_field(rd->out, sound || names_soundly(rd, i) ? row->values[i] : (struct str){ NULL, 0 });
    add_field(rd->out, faults);
    buf_addc(rd->out, '\n');
    rd->rows++;
    return rd->out->failed || arena_failed(rd->arena) ? -ENOMEM : 0;
}

static void begin_row(struct reader *rd, struct import_row *row, size_t number, size_t line)
{
    arena_reset(rd->arena);
    faults_init(&rd->faults, rd->arena, rd->x->language);
    *row = (struct import_row){ .row = number, .line = line };
}

static int too_many(struct reader *rd)
{
    const char *detail = arena_printf(rd->x->arena, "An import takes at most %zu rows.", rd->options->max_rows);

    fail_detail(rd->x, P_BODY_TOO_LARGE, detail);
    return 1;
}

/* ---- JSON and NDJSON ---- */

/* A member's value as COPY takes it. Numbers were checked to have no more digits than a double keeps. */
static struct str member_text(struct arena *a, const json_t *value)
{
    char *text;

    switch (json_typeof(value)) {
    case JSON_STRING: return (struct str){ json_string_value(value), json_string_length(value) };
    case JSON_INTEGER: text = arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: text = arena_printf(a, "%.15g", json_real_value(value)); break;
    case JSON_TRUE: return STR("t");
    case JSON_FALSE: return STR("f");
    case JSON_ARRAY:
    case JSON_OBJECT: text = json_text_of(a, value); break;
    default: return (struct str){ NULL, 0 };
    }
    return text != NULL ? str_from(text) : (struct str){ NULL, 0 };
}

/* A version of 1.0 or 1e3 passes as an integer by value but not as a bigint's text. */
static void collect_members(struct reader *rd, json_t *tree, struct import_row *row)
{
    const char *key;
    json_t *value;

    json_object_foreach(tree, key, value)
    {
        int at = column_of(rd, str_from(key));

        if (at < 0)
            continue;
        if (json_is_real(value) && str_is(str_from(key), "version"))
            row->values[at] = str_from(arena_printf(rd->arena, "%.0f", json_real_value(value)));
        else if (json_is_null(value))
            row->values[at] = blank_of(rd, at);
        else
            row->values[at] = member_text(rd->arena, value);
    }
}

static int add_json_row(struct reader *rd, struct str raw, size_t line)
{
    struct json_document document = { 0 };
    struct import_row row;
    int r;

    if (rd->rows >= rd->options->max_rows)
        return too_many(rd);
    begin_row(rd, &row, rd->rows + 1, line);
    if (raw.n > ROW_TEXT) {
        fault_add_text(&rd->faults, AT_POINTER, "#", "too_long", "The row is longer than 64 KiB.");
        return finish_row(rd, &row);
    }
    r = json_read(rd->arena, raw.p, raw.n, &document, &rd->faults);
    if (r == -ENOMEM)
        return r;
    if (r == 0) {
        (void)schema_check(rd->options->row, document.tree, SCHEMA_WHOLE, &rd->faults);
        collect_members(rd, document.tree, &row);
    }
    r = finish_row(rd, &row);
    json_document_done(&document);
    return r;
}

static int fail_syntax(struct reader *rd, const char *detail)
{
    fault_add(&rd->x->faults, AT_POINTER, "#", FAULT_SYNTAX, detail);
    fail(rd->x, P_BAD_JSON);
    return 1;
}

static int read_array(struct reader *rd)
{
    struct json_elements it;
    struct str raw;
    int r;

    json_elements_init(&it, rd->x->body.p, rd->x->body.n);
    while ((r = json_elements_next(&it, &raw)) == 1) {
        r = add_json_row(rd, raw, it.line);
        if (r != 0)
            return r;
    }
    if (r == -EBADMSG)
        return fail_syntax(rd, arena_printf(rd->x->arena, "an array of rows, near line %zu", it.here));
    return r;
}

static int read_lines(struct reader *rd)
{
    const char *p = rd->x->body.p, *end = p + rd->x->body.n;

    if (rd->x->body.n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    for (size_t line = 1; p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        struct str raw = { p, (size_t)((stop != NULL ? stop : end) - p) };
        int r;

        p = stop != NULL ? stop + 1 : end;
        if (raw.n > 0 && raw.p[raw.n - 1] == '\r')
            raw.n--;
        if (raw.n == 0)
            continue;
        r = add_json_row(rd, raw, line);
        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- CSV ---- */

struct csv_column {
    int at; /* in columns[], or negative for one that only informs */
    const struct schema *schema;
    struct parameter parameter; /* what parameter_check() looks at */
};

static void csv_fault_at(struct reader *rd, const struct csv_column *column, enum fault_code code, const char *arg)
{
    fault_add(&rd->faults, AT_POINTER, arena_printf(rd->arena, "#/%s", column->parameter.name), code, arg);
}

static struct str csv_number(struct reader *rd, const struct csv_column *column, struct str field)
{
    char plain[NUMBER_TEXT];
    int r;

    r = number_parse(field.p, field.n, rd->options->decimal, plain);
    if (r == -EINVAL || r == -ENOTUNIQ) {
        csv_fault_at(rd, column, FAULT_FORMAT,
            arena_printf(rd->arena, "number with the decimal mark %c and no other mark", rd->options->decimal));
        return (struct str){ NULL, 0 };
    }
    if (r < 0) {
        csv_fault_at(rd, column, r == -EOVERFLOW ? FAULT_TOO_PRECISE : FAULT_OUT_OF_RANGE, "15");
        return (struct str){ NULL, 0 };
    }
    return str_from(arena_strdup(rd->arena, plain));
}

static struct str csv_text(struct reader *rd, const struct csv_column *column, struct str field)
{
    struct str text = { NULL, 0 };
    char day[11];

    if (column->schema->format == FORMAT_DATE) {
        if (csv_date(field.p, field.n, rd->options->dates, day) == 0)
            return str_from(arena_strdup(rd->arena, day));
        csv_fault_at(
            rd, column, FAULT_FORMAT, rd->options->dates == CSV_DATE_DMY ? "date dd/mm/yyyy" : "date yyyy-mm-dd");
        return text;
    }
    if (nfc_normalize(rd->arena, field.p, field.n, &text) < 0)
        csv_fault_at(rd, column, FAULT_BAD_UTF8, NULL);
    return text;
}

/* What spreadsheets make of true and false when they save: capitals. */
static struct str csv_truth(struct reader *rd, const struct csv_column *column, struct str field)
{
    if (field.n == 4 && strncasecmp(field.p, "true", 4) == 0)
        return str_from("true");
    if (field.n == 5 && strncasecmp(field.p, "false", 5) == 0)
        return str_from("false");
    csv_fault_at(rd, column, FAULT_ENUM, "true, false");
    return (struct str){ NULL, 0 };
}

static struct str csv_read(struct reader *rd, const struct csv_column *column, struct str field)
{
    if (column->schema->types & (TYPE_NUMBER | TYPE_INTEGER))
        return csv_number(rd, column, field);
    if (column->schema->types & TYPE_BOOLEAN && !(column->schema->types & TYPE_STRING))
        return csv_truth(rd, column, field);
    return csv_text(rd, column, field);
}

/* One field's value, checked against its member's schema. An empty field is no value. */
static struct str csv_value(struct reader *rd, const struct csv_column *column, struct str field)
{
    const char *text;
    size_t before = rd->faults.total;
    struct str value;

    if (field.n == 0)
        return (struct str){ NULL, 0 };
    value = csv_read(rd, column, field);
    if (value.p == NULL)
        return value;
    text = arena_strndup(rd->arena, value.p, value.n);
    if (text == NULL)
        return value;
    /* a list stands in its field as JSON, which the database looks at */
    if (column->schema->types & TYPE_ARRAY)
        return (struct str){ text, value.n };
    if (rd->faults.total == before && parameter_check(&column->parameter, text, &rd->faults) < 0) {
        struct fault *fault = &rd->faults.items[rd->faults.n - 1];

        fault->where = AT_POINTER;
        fault->name = arena_printf(rd->arena, "#/%s", column->parameter.name);
    }
    return (struct str){ text, value.n };
}

/* What the header's names are; unknown and missing ones are faults of the request. */
static struct csv_column *csv_header(struct reader *rd, const struct csv_reader *csv, size_t *ret_n)
{
    const struct schema *row = rd->options->row;
    const struct str *names;
    size_t n = csv_columns(csv, &names);
    struct csv_column *known = arena_array(rd->x->arena, n + 1, sizeof(*known));

    if (known == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        char *name = arena_strndup(rd->x->arena, names[i].p, names[i].n);

        known[i].at = column_of(rd, names[i]);
        known[i].schema = member_schema(row, names[i]);
        known[i].parameter = (struct parameter){ .name = name, .in = IN_QUERY, .schema = known[i].schema };
        if (known[i].schema == NULL && name != NULL)
            fault_add(&rd->x->faults, AT_POINTER, arena_printf(rd->x->arena, "#/%s", name), FAULT_UNKNOWN_FIELD, NULL);
    }
    for (size_t i = 0; i < row->n_properties; i++)
        if (row->properties[i].required && csv_column(csv, row->properties[i].name) < 0)
            fault_add(&rd->x->faults, AT_POINTER, arena_printf(rd->x->arena, "#/%s", row->properties[i].name),
                FAULT_REQUIRED, NULL);
    *ret_n = n;
    return known;
}

/* Spreadsheets leave rows behind in which nothing stands. */
static bool is_blank(const struct csv_row *record)
{
    for (size_t i = 0; i < record->n; i++)
        if (record->field[i].n > 0)
            return false;
    return record->fault.code == NULL;
}

static int add_csv_row(struct reader *rd, const struct csv_row *record, const struct csv_column *header, size_t n)
{
    const struct schema *schema = rd->options->row;
    struct import_row row;

    if (is_blank(record))
        return 0;
    if (rd->rows >= rd->options->max_rows)
        return too_many(rd);
    begin_row(rd, &row, record->row, record->line);
    if (record->fault.code != NULL) {
        fault_add_text(&rd->faults, AT_POINTER, "#", record->fault.code, record->fault.detail);
        return finish_row(rd, &row);
    }
    for (size_t i = 0; i < n && i < record->n; i++)
        if (header[i].at >= 0)
            row.values[header[i].at] =
                record->field[i].n == 0 ? blank_of(rd, header[i].at) : csv_value(rd, &header[i], record->field[i]);
    for (size_t i = 0; i < schema->n_properties; i++) {
        int at = column_of(rd, str_from(schema->properties[i].name));

        if (schema->properties[i].required && at >= 0 && row.values[at].p == NULL)
            fault_add(&rd->faults, AT_POINTER, arena_printf(rd->arena, "#/%s", rd->options->kind->columns[at]),
                FAULT_REQUIRED, NULL);
    }
    return finish_row(rd, &row);
}

static int read_csv(struct reader *rd)
{
    struct csv_options options = { .delimiter = rd->options->delimiter };
    _cleanup_(csv_reader_freep) struct csv_reader *csv = NULL;
    const struct csv_column *header;
    struct csv_row record;
    struct csv_fault fault;
    size_t n = 0;
    int r;

    r = csv_reader_new(rd->x->body.p, rd->x->body.n, &options, &csv, &fault);
    if (r == -EINVAL) {
        fault_add_text(&rd->x->faults, AT_POINTER, "#", fault.code, fault.detail);
        fail(rd->x, P_INVALID);
        return 1;
    }
    if (r < 0)
        return r;
    header = csv_header(rd, csv, &n);
    if (header == NULL)
        return -ENOMEM;
    if (rd->x->faults.total > 0) {
        fail(rd->x, P_INVALID);
        return 1;
    }
    while ((r = csv_next(csv, &record)) == 1) {
        r = add_csv_row(rd, &record, header, n);
        if (r != 0)
            return r;
    }
    return r;
}

int import_read(struct exchange *x, const struct import_options *options, struct buf *out, size_t *ret_rows)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new(ROW_ARENA);
    struct reader rd = { .x = x, .options = options, .arena = arena, .out = out };
    int r;

    if (arena == NULL)
        return -ENOMEM;
    if (x->accepts->kind == MEDIA_CSV)
        r = read_csv(&rd);
    else if (x->accepts->kind == MEDIA_NDJSON)
        r = read_lines(&rd);
    else
        r = read_array(&rd);
    if (r == 0)
        *ret_rows = rd.rows;
    return r;
}
