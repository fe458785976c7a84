/*
 * Forward-only migrations. schema/migrations is built into the program; what was applied is recorded, with checksums,
 * in tiendo_migration.migration, which the serving role may read.
 */
#ifndef TIENDO_MIGRATE_H
#define TIENDO_MIGRATE_H

#include <stddef.h>
#include <stdio.h>

#include "util.h"

struct db_conn;

struct migration {
    int version;
    const char *name;
    const char *sha256;
    const char *sql;
};

/* Generated, in the order of their versions. */
extern const struct migration migrations[];
extern const size_t n_migrations;

/* How the database stands to this program. */
enum migrate_state {
    MIGRATE_CURRENT,
    MIGRATE_PENDING, /* some are to be applied, after all those that were */
    MIGRATE_NEWER,   /* the database has migrations that this program does not know */
    MIGRATE_CHANGED, /* one that was applied reads otherwise now */
    MIGRATE_GAP,     /* one to be applied comes before one that was */
};

/*
 * Applies what is pending, one after the other, each in a transaction of its own as tiendo_owner, while no other
 * process migrates. Progress and the reason of a failure go to OUT, a line each. 0; -ENOTCONN without a database;
 * -EPERM when the database's state forbids it (newer, changed, gap); -EBADMSG when a statement failed, which
 * leaves the migrations before it applied.
 */
MUST_CHECK int migrate_run(const char *conninfo, FILE *out);

/* The same for another table than the program's own. */
MUST_CHECK int migrate_run_table(const char *conninfo, const struct migration *table, size_t n, FILE *out);

/*
 * Looks how the database stands, in one round trip on a leased connection, and how many are pending. 0; -EBADMSG when
 * the record could not be read (nothing was migrated, or the role may not); other errors as in db.h.
 */
MUST_CHECK int migrate_status(struct db_conn *conn, enum migrate_state *ret_state, size_t *ret_pending);

#endif
