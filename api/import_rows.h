/* The rows of an import: JSON array, NDJSON or CSV in, the text of COPY import_row out. */
#ifndef TIENDO_IMPORT_ROWS_H
#define TIENDO_IMPORT_ROWS_H

#include "csv.h"
#include "handler.h"

struct import_options {
    const struct schema *row; /* of one row */
    char delimiter;           /* of CSV */
    char decimal;             /* of CSV: '.' or ',' */
    enum csv_date_format dates;
    size_t max_rows;
};

/* The columns of COPY import_row, in the order in which import_read() writes them. */
extern const char import_copy[];

/*
 * Reads x->body as x->accepts says and appends a line of COPY text for every row, the faulty ones with their faults.
 * 0 and their number; 1 when the body as a whole cannot be read and the exchange holds its problem; negative errno.
 */
MUST_CHECK int import_read(struct exchange *x, const struct import_options *options, struct buf *out, size_t *ret_rows);

#endif
