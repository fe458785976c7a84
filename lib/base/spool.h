/* Files without a name, which are gone when they are closed, however the process ends. */
#ifndef TIENDO_SPOOL_H
#define TIENDO_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "util.h"

/*
 * A new one in the directory, to be written from its beginning; with room for that many bytes where the file system can promise it (it may be
 * as long as that at once). -ENOSPC, -EDQUOT, -EFBIG, or another negative errno.
 */
MUST_CHECK int spool_open(const char *directory, int64_t size, int *ret_fd);
/* Appends all of it. -ENOSPC, -EDQUOT, -EFBIG, or another negative errno. */
MUST_CHECK int spool_write(int fd, const void *p, size_t n);
/* Up to n bytes from there on; fewer at the end alone. Their number, or a negative errno. */
MUST_CHECK ssize_t spool_read(int fd, int64_t at, void *p, size_t n);

#endif
