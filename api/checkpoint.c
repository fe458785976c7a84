#include "checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define MODE 0640

void checkpoint_key(const struct secret_key *master, struct secret_key *ret_key)
{
    secret_key_derive(master, "checkpoint", ret_key);
}

static void sign(const struct secret_key *key, const char *line, char ret[2 * SECRET_MAC_BYTES + 1])
{
    uint8_t mac[SECRET_MAC_BYTES];

    secret_mac(key, line, strlen(line), mac);
    for (size_t i = 0; i < sizeof(mac); i++)
        snprintf(ret + 2 * i, 3, "%02x", mac[i]);
}

static int write_file(const char *path, const char *text)
{
    size_t n = strlen(text);
    ssize_t written;
    int fd, r = 0;

    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, MODE);
    if (fd < 0)
        return -errno;
    written = write(fd, text, n);
    if (written < 0)
        r = -errno;
    else if ((size_t)written != n)
        r = -ENOSPC;
    else if (fsync(fd) < 0)
        r = -errno;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

static int sync_directory(const char *directory)
{
    int fd, r;

    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

/* Whether the file holds this hash: 1, 0; -ENOENT without a file. */
static int holds(const char *path, const char *hash)
{
    char text[512], wanted[192];
    ssize_t n;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n < 0)
        return -EIO;
    text[n] = '\0';
    snprintf(wanted, sizeof(wanted), "\"hash\":\"%s\"", hash);
    return strstr(text, wanted) != NULL;
}

static int write_signed(
    const char *directory, const char *path, const struct secret_key *key, int64_t position, const char *hash)
{
    char draft[PATH_MAX], line[192], text[512], at[32], mac[2 * SECRET_MAC_BYTES + 1];
    int r;

    if (snprintf(draft, sizeof(draft), "%s/.journal-%020lld.%ld", directory, (long long)position, (long)getpid()) >=
        (int)sizeof(draft))
        return -ENAMETOOLONG;
    clock_format_rfc3339(clock_now_us(), at);
    if (snprintf(line, sizeof(line), "%lld %s %s", (long long)position, hash, at) >= (int)sizeof(line))
        return -EINVAL;
    sign(key, line, mac);
    snprintf(text, sizeof(text), "{\"position\":%lld,\"hash\":\"%s\",\"at\":\"%s\",\"mac\":\"%s\"}\n",
        (long long)position, hash, at, mac);
    r = write_file(draft, text);
    if (r == 0 && rename(draft, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(draft);
        return r;
    }
    return sync_directory(directory);
}

int checkpoint_write(const char *directory, const struct secret_key *key, int64_t position, const char *hash)
{
    char path[PATH_MAX];
    int r;

    if (snprintf(path, sizeof(path), "%s/journal-%020lld.json", directory, (long long)position) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    r = holds(path, hash);
    if (r == -ENOENT)
        return write_signed(directory, path, key, position, hash);
    if (r != 0)
        return r < 0 ? r : 0;
    if (snprintf(path, sizeof(path), "%s/journal-%020lld-%.16s.json", directory, (long long)position, hash) >=
        (int)sizeof(path))
        return -ENAMETOOLONG;
    if (access(path, F_OK) == 0)
        return 0;
    r = write_signed(directory, path, key, position, hash);
    return r < 0 ? r : -EEXIST;
}
