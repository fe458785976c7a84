/* Signed checkpoints of the journal's hash chain, kept in files outside the database. */
#ifndef TIENDO_CHECKPOINT_H
#define TIENDO_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
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
/*
 * Writes cut-<position>.json, signed likewise over "cut position hash at": the service cut the chain off there, or was about to.
 * 0, one that is there already stays; negative errno.
 */
MUST_CHECK int checkpoint_write_cut(
    const char *directory, const struct secret_key *key, int64_t position, const char *hash);

/* A hash as it is written, 64 digits of [0-9a-f]; false for anything else. */
bool checkpoint_parse_hash(const char *text, uint8_t ret[SECRET_SHA256_BYTES]);

struct checkpoint {
    int64_t position, at_us;
    uint8_t hash[SECRET_SHA256_BYTES];
    bool valid; /* signed with this key, and named as it says; else only the name is known */
    bool cut;
    char name[64];
};

/* Every checkpoint of a directory, sorted by position, in memory the caller frees. Negative errno. */
MUST_CHECK int checkpoint_list(
    const char *directory, const struct secret_key *key, struct checkpoint **ret_list, size_t *ret_n);
/*
 * The newest valid checkpoint behind a position whose signature is older than an instant, into *ret: 1; 0 when there is
 * none; negative errno.
 */
MUST_CHECK int checkpoint_choose(
    const char *directory, const struct secret_key *key, int64_t behind, int64_t before_us, struct checkpoint *ret);

#endif
