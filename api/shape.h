/* The SQL of a list, put together from the contract's static fragments. */
#ifndef TIENDO_SHAPE_H
#define TIENDO_SHAPE_H

#include "contract.h"
#include "cursor.h"

#define SHAPE_KEYS_MAX    (CURSOR_VALUES_MAX - 1)
#define SHAPE_COLUMNS_MAX 64
#define SHAPE_VALUES_MAX  64
#define SHAPE_LIMIT_MAX   1000

struct shape_key {
    const struct list_sort *sort;
    bool descending;
};

enum shape_form {
    SHAPE_PAGE,  /* item (JSON), the keys, the id: a page and one row more */
    SHAPE_ITEMS, /* item (JSON): everything, for NDJSON */
    SHAPE_CELLS, /* a cell each column: everything, for CSV */
    SHAPE_COUNT, /* count(*) */
};

/* What a request wants of a list. Texts are fragments of the contract; what the caller sent goes into values alone. */
struct shape {
    const struct operation *op;
    struct shape_key keys[SHAPE_KEYS_MAX];
    size_t n_keys;
    bool columns[SHAPE_COLUMNS_MAX]; /* which of list->columns */
    bool embeds[SHAPE_COLUMNS_MAX];  /* which of list->embeds */
    bool has_cursor;
    struct cursor cursor;
    unsigned limit;                       /* 0: none */
    const char *values[SHAPE_VALUES_MAX]; /* begins with the fixed ones, [op->query->n_params] */
    size_t n_values;
};

/*
 * Composes the statement into out and its values into shape->values. params runs parallel to op->parameters.
 * 0, -ENOMEM, -E2BIG (too many values).
 */
MUST_CHECK int shape_compose(
    struct arena *a, struct shape *shape, enum shape_form form, const char *const *params, struct buf *out);
/* Rows a page of this limit asks for: at least limit + 1, in few sizes, so that few statements are prepared. */
unsigned shape_rows(unsigned limit);

#endif
