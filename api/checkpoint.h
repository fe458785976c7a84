/* Signed checkpoints of the journal's hash chain, kept in files outside the database. */
#ifndef TIENDO_CHECKPOINT_H
#define TIENDO_CHECKPOINT_H

#include <stdint.h>

#include "secret.h"
#include "util.h"

/* The key checkpoints are signed with, out of the installation's master key. */
void checkpoint_key(const struct secret_key *master, struct secret_key *ret_key);
/*
 * Writes journal-<position>.json into the directory: {"position","hash","at","mac"}, the mac (in hex) keyed over the
 * line "position hash at". Whole or not at all, and on disk when it returns 0; one that is there already stays. One that is there with another hash
 * stays too, the new one is written beside it as journal-<position>-<hash's beginning>.json, and -EEXIST tells that the
 * chain has gone another way (a restore, or worse). Other negative errno.
 */
MUST_CHECK int checkpoint_write(
    const char *directory, const struct secret_key *key, int64_t position, const char *hash);

#endif
