/* The journal's hash chain, checked row after row: what was changed, taken out, put in or put elsewhere. */
#ifndef TIENDO_AUDIT_CHAIN_H
#define TIENDO_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "secret.h"
#include "text.h"

enum chain_fault {
    CHAIN_MISSING,      /* positions from … to are not there */
    CHAIN_ROW_GONE,     /* the seal is there, its row is not */
    CHAIN_ROW_CHANGED,  /* the row, or the revision it tells of, is not what was sealed; or it stands elsewhere */
    CHAIN_SEAL_CHANGED, /* the row is what was sealed, its seal is not */
};

struct chain_row {
    int64_t position;
    const uint8_t *hash; /* SECRET_SHA256_BYTES, as stored */
    struct str text;     /* of the row; p is NULL where it is gone */
    struct str more;     /* what else is covered; p is NULL for nothing */
};

struct chain {
    void (*report)(void *userdata, enum chain_fault fault, int64_t from, int64_t to);
    void *userdata;
    int64_t position, faults;
    uint8_t stored[SECRET_SHA256_BYTES], computed[SECRET_SHA256_BYTES]; /* of that position */
    bool linked;                                                        /* stored is known */
    bool pending; /* computed differs from stored: the next row tells which of the two was changed */
    struct buf buf;
};

/* Begins behind a position whose hash is this. */
void chain_begin(struct chain *chain, int64_t position, const uint8_t hash[SECRET_SHA256_BYTES]);
/* The next row, in the order of positions. 0 or -ENOMEM. */
int chain_add(struct chain *chain, const struct chain_row *row);
/* After the last one. */
void chain_end(struct chain *chain);

#endif
