#include "shape.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int add_value(struct shape *shape, const char *value, size_t *ret_number)
{
    if (shape->n_values == ARRAY_SIZE(shape->values))
        return -E2BIG;
    shape->values[shape->n_values++] = value;
    *ret_number = shape->n_values;
    return 0;
}

unsigned shape_rows(unsigned limit)
{
    static const unsigned steps[] = { 2, 6, 11, 21, 26, 51, 101, 201, 501 };

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        if (limit < steps[i])
            return steps[i];
    return SHAPE_LIMIT_MAX + 1;
}

static void add_column(struct buf *out, bool *first, const char *sql, const char *name)
{
    buf_addf(out, "%s(%s) AS \"%s\"", *first ? "" : ", ", sql, name);
    *first = false;
}

static void add_columns(const struct shape *shape, struct buf *out)
{
    const struct list_query *list = shape->op->list;
    bool first = true;

    for (size_t i = 0; i < list->n_columns; i++)
        if (shape->columns[i])
            add_column(out, &first, list->columns[i].sql, list->columns[i].name);
    for (size_t i = 0; i < list->n_embeds; i++)
        if (shape->embeds[i])
            add_column(out, &first, list->embeds[i].sql, list->embeds[i].column);
}

static void add_item(const struct shape *shape, struct buf *out)
{
    buf_adds(out, "(SELECT row_to_json(r) FROM (SELECT ");
    add_columns(shape, out);
    buf_adds(out, ") r)::text AS item");
}

static void add_select(const struct shape *shape, enum shape_form form, struct buf *out)
{
    buf_adds(out, "SELECT ");
    switch (form) {
    case SHAPE_COUNT: buf_adds(out, "count(*)"); break;
    case SHAPE_CELLS: add_columns(shape, out); break;
    case SHAPE_ITEMS: add_item(shape, out); break;
    case SHAPE_PAGE:
        add_item(shape, out);
        for (size_t i = 0; i < shape->n_keys; i++)
            buf_addf(out, ", (%s)::text", shape->keys[i].sort->sql);
        buf_addf(out, ", (%s)::text", shape->op->list->id);
        break;
    }
    buf_addc(out, '\n');
    buf_adds(out, shape->op->list->from);
}

static void add_pieces(struct buf *out, const char *const *pieces, size_t n, const char *sign, size_t number)
{
    for (size_t k = 0; k < n; k++) {
        if (k > 0)
            buf_addf(out, "%s%zu", sign, number);
        buf_adds(out, pieces[k]);
    }
}

/*
 * What the caller names by a code or an id is looked up under a name of its own (r4 for $4), so that it is done once,
 * and, by the conditions that none of them be NULL, before and whether or not there is a row to compare with.
 */
static void add_lookups(const struct shape *shape, const char *const *params, struct buf *out)
{
    const struct list_query *list = shape->op->list;
    const char *with = "WITH ";
    size_t number = shape->op->query->n_params;

    if (list->lookups != NULL) {
        buf_addf(out, "%s%s", with, list->lookups);
        with = ", ";
    }
    for (size_t i = 0; i < list->n_filters; i++) {
        const struct list_filter *filter = &list->filters[i];

        if (params[filter->parameter] == NULL)
            continue;
        number++;
        if (filter->lookup == NULL)
            continue;
        buf_addf(out, "%sr%zu AS MATERIALIZED (SELECT ", with, number);
        add_pieces(out, filter->lookup, filter->n_lookup, "$", number);
        buf_adds(out, " AS x)");
        with = ", ";
    }
    if (with[0] == ',')
        buf_addc(out, '\n');
}

static int add_filters(struct arena *a, struct shape *shape, const char *const *params, bool otherwise, struct buf *out)
{
    const struct list_query *list = shape->op->list;

    for (size_t i = 0; i < list->n_filters; i++) {
        const struct list_filter *filter = &list->filters[i];
        const char *value = params[filter->parameter];
        size_t number;
        int r;

        if (value == NULL)
            continue;
        if (shape->op->parameters[filter->parameter].list)
            value = parameter_array(a, value);
        if (value == NULL)
            return -ENOMEM;
        r = add_value(shape, value, &number);
        if (r < 0)
            return r;
        if (filter->lookup != NULL)
            buf_addf(out, "\n  AND (SELECT x FROM r%zu) IS NOT NULL", number);
        buf_adds(out, "\n  AND (");
        if (otherwise && filter->otherwise != NULL)
            add_pieces(out, filter->otherwise, filter->n_otherwise, "", number);
        else
            add_pieces(out, filter->pieces, filter->n_pieces, filter->lookup != NULL ? "" : "$", number);
        buf_addc(out, ')');
    }
    return 0;
}

/* The tie-breaker runs in the last key's direction. */
static bool descends(const struct shape *shape, size_t key)
{
    bool descending = shape->keys[key < shape->n_keys ? key : shape->n_keys - 1].descending;

    return descending != (shape->has_cursor && shape->cursor.backward);
}

static const char *key_sql(const struct shape *shape, size_t key)
{
    return key < shape->n_keys ? shape->keys[key].sort->sql : shape->op->list->id;
}

static bool one_direction(const struct shape *shape)
{
    for (size_t i = 1; i < shape->n_keys; i++)
        if (shape->keys[i].descending != shape->keys[0].descending)
            return false;
    return true;
}

/* (a, b, id) > ($1, $2, $3): one comparison that an index serves. */
static void add_row_comparison(const struct shape *shape, size_t first, struct buf *out)
{
    buf_adds(out, "\n  AND (");
    for (size_t i = 0; i <= shape->n_keys; i++)
        buf_addf(out, "%s%s", i > 0 ? ", " : "", key_sql(shape, i));
    buf_addf(out, ") %c (", descends(shape, 0) ? '<' : '>');
    for (size_t i = 0; i <= shape->n_keys; i++)
        buf_addf(out, "%s$%zu", i > 0 ? ", " : "", first + i);
    buf_addc(out, ')');
}

/* a < $1 OR a = $1 AND b > $2 OR …: directions that differ. */
static void add_stepwise_comparison(const struct shape *shape, size_t first, struct buf *out)
{
    buf_adds(out, "\n  AND (");
    for (size_t i = 0; i <= shape->n_keys; i++) {
        buf_adds(out, i > 0 ? " OR (" : "(");
        for (size_t k = 0; k < i; k++)
            buf_addf(out, "%s = $%zu AND ", key_sql(shape, k), first + k);
        buf_addf(out, "%s %c $%zu)", key_sql(shape, i), descends(shape, i) ? '<' : '>', first + i);
    }
    buf_addc(out, ')');
}

static int add_place(struct shape *shape, struct buf *out)
{
    size_t first = 0;

    if (!shape->has_cursor)
        return 0;
    for (size_t i = 0; i <= shape->n_keys; i++) {
        size_t number;
        int r;

        r = add_value(shape, shape->cursor.values[i], &number);
        if (r < 0)
            return r;
        if (i == 0)
            first = number;
    }
    if (one_direction(shape))
        add_row_comparison(shape, first, out);
    else
        add_stepwise_comparison(shape, first, out);
    return 0;
}

static void add_order(const struct shape *shape, struct buf *out)
{
    buf_adds(out, "\nORDER BY ");
    for (size_t i = 0; i <= shape->n_keys; i++)
        buf_addf(out, "%s%s%s", i > 0 ? ", " : "", key_sql(shape, i), descends(shape, i) ? " DESC" : "");
}

/* One statement, its look-ups left out; otherwise: with the other condition of filters that have two. */
static int add_statement(struct arena *a, struct shape *shape, enum shape_form form, const char *const *params,
    bool otherwise, struct buf *out)
{
    int r;

    shape->n_values = shape->op->query->n_params;
    add_select(shape, form, out);
    r = add_filters(a, shape, params, otherwise, out);
    if (r == 0 && form != SHAPE_COUNT) {
        r = add_place(shape, out);
        add_order(shape, out);
        if (form == SHAPE_PAGE)
            buf_addf(out, "\nLIMIT %u", shape_rows(shape->limit));
        else if (shape->limit > 0)
            buf_addf(out, "\nLIMIT %u", shape->limit);
    }
    return r;
}

static bool has_otherwise(const struct shape *shape, const char *const *params)
{
    const struct list_query *list = shape->op->list;

    for (size_t i = 0; i < list->n_filters; i++)
        if (list->filters[i].otherwise != NULL && params[list->filters[i].parameter] != NULL)
            return true;
    return false;
}

/* Of two conditions one holds at most, so that the rows of both statements, one after the other, are in order. */
int shape_compose(
    struct arena *a, struct shape *shape, enum shape_form form, const char *const *params, struct buf *out)
{
    bool twice = has_otherwise(shape, params);
    int r;

    add_lookups(shape, params, out);
    if (twice)
        buf_adds(out, form == SHAPE_COUNT ? "SELECT sum(n.count)::bigint AS count FROM ((" : "(");
    r = add_statement(a, shape, form, params, false, out);
    if (r == 0 && twice) {
        buf_adds(out, ")\nUNION ALL (");
        r = add_statement(a, shape, form, params, true, out);
        buf_adds(out, form == SHAPE_COUNT ? ")) n" : ")");
    }
    if (r == 0 && out->failed)
        r = -ENOMEM;
    return r;
}
