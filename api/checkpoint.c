#include "checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

#define MODE      0640
#define CUT_SIGN  "cut "
#define CUT_NAME  "cut-"
#define NAME      "journal-"
#define HASH_TEXT (2 * SECRET_SHA256_BYTES)

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

/* prefix: what stands before the position in the line that is signed. */
static int write_signed(const char *directory, const char *path, const struct secret_key *key, const char *prefix,
    int64_t position, const char *hash)
{
    char draft[PATH_MAX], line[192], text[512], at[32], mac[2 * SECRET_MAC_BYTES + 1];
    int r;

    if (snprintf(draft, sizeof(draft), "%s/.journal-%020lld.%ld", directory, (long long)position, (long)getpid()) >=
        (int)sizeof(draft))
        return -ENAMETOOLONG;
    clock_format_rfc3339(clock_now_us(), at);
    if (snprintf(line, sizeof(line), "%s%lld %s %s", prefix, (long long)position, hash, at) >= (int)sizeof(line))
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
        return write_signed(directory, path, key, "", position, hash);
    if (r != 0)
        return r < 0 ? r : 0;
    if (snprintf(path, sizeof(path), "%s/journal-%020lld-%.16s.json", directory, (long long)position, hash) >=
        (int)sizeof(path))
        return -ENAMETOOLONG;
    if (access(path, F_OK) == 0)
        return 0;
    r = write_signed(directory, path, key, "", position, hash);
    return r < 0 ? r : -EEXIST;
}

int checkpoint_write_cut(const char *directory, const struct secret_key *key, int64_t position, const char *hash)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/" CUT_NAME "%020lld.json", directory, (long long)position) >=
        (int)sizeof(path))
        return -ENAMETOOLONG;
    if (access(path, F_OK) == 0)
        return 0;
    return write_signed(directory, path, key, CUT_SIGN, position, hash);
}

/* ---- reading them ---- */

static int read_file(int dir, const char *name, char *text, size_t size)
{
    ssize_t n;
    int fd;

    fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    n = read(fd, text, size - 1);
    close(fd);
    if (n < 0)
        return -EIO;
    text[n] = '\0';
    return 0;
}

bool checkpoint_parse_hash(const char *text, uint8_t ret[SECRET_SHA256_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    if (strlen(text) != HASH_TEXT || strspn(text, digits) != HASH_TEXT)
        return false;
    for (size_t i = 0; i < SECRET_SHA256_BYTES; i++)
        ret[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 | (strchr(digits, text[2 * i + 1]) - digits));
    return true;
}

/* The text between BEFORE, at *p, and the next quotation mark or comma; *p goes on behind it. */
static bool take(const char **p, const char *before, char *ret, size_t size)
{
    size_t n;

    if (strncmp(*p, before, strlen(before)) != 0)
        return false;
    *p += strlen(before);
    n = strcspn(*p, "\",");
    if (n == 0 || n >= size)
        return false;
    memcpy(ret, *p, n);
    ret[n] = '\0';
    *p += n;
    return true;
}

/* Valid is what this key has signed and what stands in the file of its position. */
static void judge(struct checkpoint *c, const struct secret_key *key, const char *text)
{
    char position[24], hash[HASH_TEXT + 1], at[32], mac[2 * SECRET_MAC_BYTES + 1], line[192];
    char expected[2 * SECRET_MAC_BYTES + 1], name[64];
    int64_t number;

    if (!take(&text, "{\"position\":", position, sizeof(position)) ||
        !take(&text, ",\"hash\":\"", hash, sizeof(hash)) || !take(&text, "\",\"at\":\"", at, sizeof(at)) ||
        !take(&text, "\",\"mac\":\"", mac, sizeof(mac)) || str_to_i64(position, 0, INT64_MAX, &number) < 0)
        return;
    snprintf(line, sizeof(line), "%s%s %s %s", c->cut ? CUT_SIGN : "", position, hash, at);
    sign(key, line, expected);
    snprintf(name, sizeof(name), "%s%020lld", c->cut ? CUT_NAME : NAME, (long long)number);
    c->valid = secret_equal(mac, strlen(mac), expected, strlen(expected)) &&
        strncmp(c->name, name, strlen(name)) == 0 && checkpoint_parse_hash(hash, c->hash) &&
        clock_parse_rfc3339(at, strlen(at), &c->at_us) == 0;
    if (c->valid)
        c->position = number;
}

static int by_position(const void *a, const void *b)
{
    const struct checkpoint *x = a, *y = b;

    return x->position < y->position ? -1 : x->position > y->position ? 1 : strcmp(x->name, y->name);
}

static bool is_checkpoint(const char *name)
{
    const char *end = strrchr(name, '.');

    return (strncmp(name, NAME, strlen(NAME)) == 0 || strncmp(name, CUT_NAME, strlen(CUT_NAME)) == 0) && end != NULL &&
        strcmp(end, ".json") == 0;
}

static int read_one(int dir, const char *name, const struct secret_key *key, struct checkpoint *ret)
{
    char text[512];
    int r;

    memset(ret, 0, sizeof(*ret));
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    ret->cut = strncmp(name, CUT_NAME, strlen(CUT_NAME)) == 0;
    r = read_file(dir, name, text, sizeof(text));
    if (r == 0)
        judge(ret, key, text);
    return r;
}

int checkpoint_choose(
    const char *directory, const struct secret_key *key, int64_t behind, int64_t before_us, struct checkpoint *ret)
{
    struct checkpoint *list = NULL;
    size_t n = 0;
    int r;

    r = checkpoint_list(directory, key, &list, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        const struct checkpoint *c = &list[i];

        if (!c->valid || c->cut || c->position <= behind || c->at_us >= before_us)
            continue;
        *ret = *c;
        r = 1;
    }
    free(list);
    return r;
}

int checkpoint_list(const char *directory, const struct secret_key *key, struct checkpoint **ret_list, size_t *ret_n)
{
    struct checkpoint *list = NULL;
    size_t n = 0, room = 0;
    struct dirent *entry;
    DIR *dir;
    int r = 0;

    dir = opendir(directory);
    if (dir == NULL)
        return -errno;
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        if (!is_checkpoint(entry->d_name))
            continue;
        if (n == room) {
            struct checkpoint *more = realloc(list, (room = room > 0 ? 2 * room : 64) * sizeof(*list));

            if (more == NULL) {
                r = -ENOMEM;
                break;
            }
            list = more;
        }
        r = read_one(dirfd(dir), entry->d_name, key, &list[n++]);
    }
    closedir(dir);
    if (r < 0) {
        free(list);
        return r;
    }
    if (n > 0)
        qsort(list, n, sizeof(*list), by_position);
    *ret_list = list;
    *ret_n = n;
    return 0;
}
