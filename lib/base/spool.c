#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

/* Where the file system knows no files without a name. */
static int open_and_unlink(const char *directory)
{
    char path[PATH_MAX];
    int fd, n;

    n = snprintf(path, sizeof(path), "%s/tiendo-XXXXXX", directory);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (unlink(path) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}

int spool_open(const char *directory, int64_t size, int *ret_fd)
{
    int fd;

    fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        fd = open_and_unlink(directory);
    else if (fd < 0)
        fd = -errno;
    if (fd < 0)
        return fd;
    if (size > 0 && fallocate(fd, 0, 0, size) < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
        int r = -errno;

        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int spool_write(int fd, const void *p, size_t n)
{
    const char *from = p;

    while (n > 0) {
        ssize_t done = write(fd, from, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        if (done == 0)
            return -ENOSPC;
        from += done;
        n -= (size_t)done;
    }
    return 0;
}

ssize_t spool_read(int fd, int64_t at, void *p, size_t n)
{
    char *to = p;
    size_t have = 0;

    while (have < n) {
        ssize_t done = pread(fd, to + have, n - have, (off_t)at + (off_t)have);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        if (done == 0)
            break;
        have += (size_t)done;
    }
    return (ssize_t)have;
}
