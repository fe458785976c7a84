/* Request bodies: type, size, compression, syntax, schema. */
#ifndef TIENDO_BODY_H
#define TIENDO_BODY_H

#include "handler.h"

/* Is the body of a type the operation takes, and not too large as sent? 0; 1 when the exchange holds the problem. */
MUST_CHECK int body_negotiate(struct exchange *x, struct str raw);
/*
 * Reads and checks the body; what is wrong with its contents goes to the faults. inflated (initialised) must
 * live as long as the exchange. 0; 1 when the exchange holds the problem; otherwise *ret_problem is the problem
 * that faults of the body make, or -1 without any.
 */
MUST_CHECK int body_read(struct exchange *x, struct str raw, struct buf *inflated, int *ret_problem);

/* Whether the operation reads rows itself: its body is neither parsed nor copied here. */
bool body_is_rows(const struct operation *op);

#endif
