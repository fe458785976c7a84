#include "audit_chain.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static void report(struct chain *chain, enum chain_fault fault, int64_t from, int64_t to)
{
    chain->faults++;
    chain->report(chain->userdata, fault, from, to);
}

void chain_begin(struct chain *chain, int64_t position, const uint8_t hash[SECRET_SHA256_BYTES])
{
    chain->position = position;
    memcpy(chain->stored, hash, sizeof(chain->stored));
    chain->linked = true;
    chain->pending = false;
    buf_init(&chain->buf, SIZE_MAX / 2);
}

/* The hash that follows PREVIOUS with this row. */
static int hash_after(struct chain *chain, const uint8_t *previous, const struct chain_row *row, uint8_t *ret)
{
    struct buf *b = &chain->buf;

    buf_reset(b);
    buf_add(b, previous, SECRET_SHA256_BYTES);
    buf_add(b, row->text.p, row->text.n);
    if (row->more.p != NULL) {
        buf_addc(b, '\n');
        buf_add(b, row->more.p, row->more.n);
    }
    if (b->failed)
        return -ENOMEM;
    secret_sha256(b->p, b->n, ret);
    return 0;
}

/* The row before did not fit its seal: this one was hashed after the true seal, so it knows which of them is not what it was. */
static int settle(struct chain *chain, const struct chain_row *row, bool *ret_fits)
{
    uint8_t after_row[SECRET_SHA256_BYTES];
    int r;

    chain->pending = false;
    r = hash_after(chain, chain->computed, row, after_row);
    if (r < 0)
        return r;
    *ret_fits = memcmp(after_row, row->hash, sizeof(after_row)) == 0;
    report(chain, *ret_fits ? CHAIN_SEAL_CHANGED : CHAIN_ROW_CHANGED, chain->position, chain->position);
    return 0;
}

/* Whether the row follows the one before, as that is stored or as it must have been. */
static int check_link(struct chain *chain, const struct chain_row *row)
{
    uint8_t computed[SECRET_SHA256_BYTES];
    bool fits;
    int r;

    r = hash_after(chain, chain->stored, row, computed);
    if (r < 0)
        return r;
    fits = memcmp(computed, row->hash, sizeof(computed)) == 0;
    if (chain->pending && fits) {
        chain->pending = false;
        report(chain, CHAIN_ROW_CHANGED, chain->position, chain->position);
    } else if (chain->pending) {
        r = settle(chain, row, &fits);
        if (r < 0)
            return r;
    }
    if (!fits) {
        memcpy(chain->computed, computed, sizeof(computed));
        chain->pending = true;
    }
    return 0;
}

int chain_add(struct chain *chain, const struct chain_row *row)
{
    int r = 0;

    if (row->position != chain->position + 1) {
        chain_end(chain);
        report(chain, CHAIN_MISSING, chain->position + 1, row->position - 1);
        chain->linked = false;
    }
    if (row->text.p == NULL) {
        chain_end(chain);
        report(chain, CHAIN_ROW_GONE, row->position, row->position);
    } else if (chain->linked) {
        r = check_link(chain, row);
    }
    chain->position = row->position;
    memcpy(chain->stored, row->hash, sizeof(chain->stored));
    chain->linked = true;
    return r;
}

void chain_end(struct chain *chain)
{
    if (chain->pending)
        report(chain, CHAIN_ROW_CHANGED, chain->position, chain->position);
    chain->pending = false;
}
