/* What accounts and clients share: a row is made, and a secret that nobody sees again goes with the answer. */
#ifndef TIENDO_STAFF_H
#define TIENDO_STAFF_H

#include "handler.h"

/* Asks enter() alone, before work that costs. 0; 1 when the exchange holds its answer. */
MUST_CHECK int staff_permitted(struct exchange *x);
/* Runs the query and answers with its row, with a member for the secret where there is one. */
MUST_CHECK int staff_create(struct exchange *x, const struct named_query *query, const char *const *values,
    const char *member, const char *secret);

#endif
