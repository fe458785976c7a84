/* Imports: many rows of one kind in one request. */
#ifndef TIENDO_IMPORT_H
#define TIENDO_IMPORT_H

#include "import_rows.h"

/*
 * The handler of an import: the rows are read and checked for form first, without a connection; then one explicit
 * transaction takes them in: enter, the idempotency claim, kind->begin, COPY into the temporary table it makes, and
 * kind->run. A dry run, and a status other than 2xx, does all of it and rolls back.
 */
MUST_CHECK int import_run(struct exchange *x, const struct import_kind *kind);

#endif
