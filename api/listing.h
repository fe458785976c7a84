/* What a request asks of a list, read from its parameters; shared by pages and exports. */
#ifndef TIENDO_LISTING_H
#define TIENDO_LISTING_H

#include "handler.h"
#include "shape.h"

struct listing {
    struct shape shape;
    struct str context; /* what cursors are bound to */
    unsigned limit;     /* of a page */
    bool count;         /* Prefer: count=exact */
};

/* 0; 1 when the exchange holds the problem; negative errno. */
MUST_CHECK int listing_read(struct exchange *x, struct listing *ret);
/*
 * Answers with a page whose rows a query of its own has found: item, the sort keys, the id, as many as the limit and one
 * more at most. The last row has no item; its first key, where there is one, says how far was looked without finding more.
 */
MUST_CHECK int list_answer(struct exchange *x, const struct listing *listing, const struct db_result *rows);
/* Streams the whole list as CSV or NDJSON. */
int export_run(struct exchange *x, struct listing *listing);

#endif
