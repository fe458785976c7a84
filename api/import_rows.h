/* The rows of an import: JSON array, NDJSON or CSV in, the text of COPY import_row out. */
#ifndef TIENDO_IMPORT_ROWS_H
#define TIENDO_IMPORT_ROWS_H

#include "csv.h"
#include "handler.h"

/* What one kind of import takes. */
struct import_kind {
    const char *copy;           /* COPY import_row (row, line, id, <columns>, faults) FROM STDIN */
    const char *const *columns; /* members of a row that the database takes, in the order of copy */
    size_t n_columns;
    size_t n_names; /* the first of them tell what is meant: sent even where the row is faulty */
    size_t max_rows;
    const struct named_query *begin; /* makes the table import_row */
    const struct named_query *run;   /* takes the rows in: columns status, body */
    const char *const *parameters;   /* of run, by their names in the contract; "request_id" is the trace id */
    const char *extra;               /* of the one named "extra", which no request brings */
};

struct import_options {
    const struct import_kind *kind;
    const struct schema *row; /* of one row */
    char delimiter;           /* of CSV */
    char decimal;             /* of CSV: '.' or ',' */
    enum csv_date_format dates;
    size_t max_rows;
};

/*
 * Reads x->body as x->accepts says and appends a line of COPY text for every row, the faulty ones with their faults.
 * 0 and their number; 1 when the body as a whole cannot be read and the exchange holds its problem; negative errno.
 */
MUST_CHECK int import_read(struct exchange *x, const struct import_options *options, struct buf *out, size_t *ret_rows);

#endif
