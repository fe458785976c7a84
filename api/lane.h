/* Named queries of a request: its lane, its values, its one round trip. */
#ifndef TIENDO_LANE_H
#define TIENDO_LANE_H

#include "handler.h"

/* The pool of the operation's lane. */
struct db_pool *lane_pool(const struct exchange *x);
/* Values for op->query's placeholders from the request, in the arena. NULL without memory. */
const char **lane_values(struct exchange *x);
/* Queues enter() for an operation that has a permission. */
MUST_CHECK int lane_enter(struct exchange *x, struct db_conn *conn);

/* A statement of one pipeline: a named query, or text composed from the contract's fragments. */
struct statement {
    const struct named_query *query;
    const char *sql;
    size_t n_values;
    const char *const *values;
};

#define LANE_STATEMENTS_MAX 4

/*
 * Runs [enter, statements, Sync] in one round trip and hands the results out, one a statement. Reads are tried
 * again after a lost connection. 0; 1 when the exchange holds its problem; negative errno.
 */
MUST_CHECK int lane_run(
    struct exchange *x, const struct statement *statements, size_t n, struct db_result **ret_results);
MUST_CHECK int lane_send(struct db_conn *conn, const struct statement *statement);

#endif
