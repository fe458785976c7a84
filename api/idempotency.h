/* Idempotency-Key: a write and the record of its answer in one transaction. */
#ifndef TIENDO_IDEMPOTENCY_H
#define TIENDO_IDEMPOTENCY_H

#include "handler.h"

#define IDEMPOTENCY_NOT_KEPT "0" /* the status of an answer that held a secret */

/* Whether this request brought a key that its operation takes. */
bool idempotency_applies(const struct exchange *x);
/*
 * Goes on in a pipeline in which enter() is queued: claims the key, runs the query, stores its answer,
 * commits. 0 and the rows; 1 when a stored answer was replayed; -EBADMSG and the error; negative errno.
 */
MUST_CHECK int idempotency_run(struct exchange *x, struct db_conn *conn, const struct named_query *query,
    const char *const *values, struct db_result **ret_rows, struct db_result **ret_error);

/* What makes two requests the same: method, path, parameters and body, as a bytea literal. NULL without memory. */
const char *idempotency_fingerprint(struct exchange *x);
/* Answers with the row that idempotency_claim() gave, which it takes. Always 1. */
int idempotency_replay(struct exchange *x, struct db_result *seen);

#endif
