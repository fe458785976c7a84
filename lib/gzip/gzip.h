/* gzip bodies, in and out, within bounds. */
#ifndef TIENDO_GZIP_H
#define TIENDO_GZIP_H

#include <stddef.h>

#include "util.h"

struct buf;

/*
 * Add the inflated contents of P (one or more gzip members) to OUT, at most MAX bytes. -EBADMSG: corrupt or cut short;
 * -EFBIG: more than MAX; -ENOTUNIQ: something else follows the last member; -ENOMEM. OUT keeps its length on failure.
 */
MUST_CHECK int gzip_inflate(const void *p, size_t n, size_t max, struct buf *out);

/* The same of one deflate stream without gzip's frame, as archives have them. */
MUST_CHECK int gzip_inflate_raw(const void *p, size_t n, size_t max, struct buf *out);

/* The first bytes alone, at most MAX, of such a stream or its beginning: fewer where it ends, is cut short or is corrupt. -ENOMEM. */
MUST_CHECK int gzip_inflate_head(const void *p, size_t n, void *out, size_t max, size_t *ret_n);

/* Add P as one gzip member (no name, no time: the same bytes every time) at LEVEL 1 to 9. -EFBIG: past out's maximum. */
MUST_CHECK int gzip_deflate(const void *p, size_t n, int level, struct buf *out);

#endif
