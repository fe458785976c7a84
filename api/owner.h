/* Single statements as the owner of the schema, for the subcommands that the service itself has no right to. */
#ifndef TIENDO_OWNER_H
#define TIENDO_OWNER_H

#include "config.h"
#include "db.h"

/* Connects as the migrating role and becomes the owner. The reason of a failure is printed. */
MUST_CHECK int owner_open(const struct config *config, struct db_conn **ret_conn);
/* Runs one statement in a transaction of its own; values as in db_send. The reason of a failure is printed. */
MUST_CHECK int owner_run(
    struct db_conn *conn, const char *sql, int n, const char *const *values, struct db_result **ret_rows);

#endif
