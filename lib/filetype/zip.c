#include "zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gzip.h"
#include "spool.h"
#include "text.h"

#define END_SIZE      22
#define ENTRY_SIZE    46
#define LOCAL_SIZE    30
#define DIRECTORY_MAX (512U * 1024U)
#define ENTRIES_MAX   5000
#define UNPACKED_MAX  (512LL << 20) /* of all parts together, as the archive says */
#define TYPES_SENT    (128U * 1024U)
#define TYPES_MAX     (512U * 1024U)
#define TYPES_NAME    "[Content_Types].xml"

static const char damaged[] = "The archive is damaged, or more than an Office document needs.";

/* An entry of the directory. */
struct entry {
    const char *name; /* without a NUL */
    size_t name_n;
    unsigned flags, method;
    int64_t packed, unpacked, at;
};

struct archive {
    int fd;
    int64_t size;
    int64_t directory; /* where it begins: what lies before is the parts' */
    struct entry types;
    int64_t packed, unpacked, first;
    bool has_types, word, workbook;
    const char **ret_why;
};

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

static int no_office(const char **ret_why)
{
    *ret_why = "The archive is no Word or Excel document.";
    return -EMEDIUMTYPE;
}

/* The end record, whose comment must reach to the last byte; NULL without one. */
static const unsigned char *find_end(const unsigned char *tail, size_t n)
{
    for (size_t i = n; i >= END_SIZE; i--) {
        const unsigned char *p = tail + i - END_SIZE;

        if (memcmp(p, "PK\5\6", 4) == 0 && u16(p + 20) == n - i)
            return p;
    }
    return NULL;
}

bool zip_ends(const unsigned char *tail, size_t n)
{
    return find_end(tail, n) != NULL;
}

/* Whether the text holds the word, in any case. */
static bool holds(const char *p, size_t n, const char *word)
{
    size_t k = strlen(word);

    for (size_t i = 0; i + k <= n; i++)
        if (strncasecmp(p + i, word, k) == 0)
            return true;
    return false;
}

static bool begins(const struct entry *e, const char *prefix)
{
    return e->name_n > strlen(prefix) && memcmp(e->name, prefix, strlen(prefix)) == 0;
}

static bool is_types(const struct entry *e)
{
    return e->name_n == sizeof(TYPES_NAME) - 1 && strncasecmp(e->name, TYPES_NAME, e->name_n) == 0;
}

/* A name that leaves the folder it is unpacked into, or could be read in two ways. */
static bool name_escapes(const struct entry *e)
{
    return e->name_n == 0 || e->name[0] == '/' || memchr(e->name, '\\', e->name_n) != NULL ||
        memchr(e->name, '\0', e->name_n) != NULL || holds(e->name, e->name_n, "../");
}

static int take_entry(struct archive *a, const struct entry *e)
{
    if ((e->flags & 1) != 0)
        return refuse(a->ret_why, "The document is encrypted.");
    if ((e->method != 0 && e->method != 8) || name_escapes(e) || e->at + LOCAL_SIZE + e->packed > a->directory)
        return refuse(a->ret_why, damaged);
    if (holds(e->name, e->name_n, "vbaproject"))
        return refuse(a->ret_why, "The document holds macros.");
    a->packed += e->packed + LOCAL_SIZE + (int64_t)e->name_n;
    a->unpacked += e->unpacked;
    if (a->packed > a->directory || a->unpacked > UNPACKED_MAX)
        return refuse(a->ret_why, "The document would unpack to far more than it holds.");
    if (e->at < a->first)
        a->first = e->at;
    if (is_types(e)) {
        if (a->has_types)
            return refuse(a->ret_why, damaged);
        a->has_types = true;
        a->types = *e;
    }
    a->word = a->word || begins(e, "word/");
    a->workbook = a->workbook || begins(e, "xl/");
    return 0;
}

static int walk(struct archive *a, const unsigned char *p, size_t n, unsigned entries)
{
    for (; entries > 0; entries--) {
        size_t rest;
        struct entry e;
        int r;

        if (n < ENTRY_SIZE || memcmp(p, "PK\1\2", 4) != 0)
            return refuse(a->ret_why, damaged);
        e = (struct entry){
            .name = (const char *)p + ENTRY_SIZE,
            .name_n = u16(p + 28),
            .flags = u16(p + 8),
            .method = u16(p + 10),
            .packed = u32(p + 20),
            .unpacked = u32(p + 24),
            .at = u32(p + 42),
        };
        rest = (size_t)u16(p + 28) + u16(p + 30) + u16(p + 32);
        if (n - ENTRY_SIZE < rest)
            return refuse(a->ret_why, damaged);
        r = take_entry(a, &e);
        if (r < 0)
            return r;
        p += ENTRY_SIZE + rest;
        n -= ENTRY_SIZE + rest;
    }
    /* With nothing before the first part, between the parts' end and the directory, or behind it, there is room for no second kind. */
    return n == 0 && a->first == 0 ? 0 : refuse(a->ret_why, damaged);
}

/* The list of contents as text. */
static int read_types(const struct archive *a, struct buf *sent, struct buf *out)
{
    const struct entry *e = &a->types;
    unsigned char local[LOCAL_SIZE];
    int64_t at;
    char *p;
    int r;

    if (e->packed > TYPES_SENT)
        return refuse(a->ret_why, damaged);
    if (spool_read(a->fd, e->at, local, sizeof(local)) != (ssize_t)sizeof(local))
        return -EIO;
    at = e->at + LOCAL_SIZE + u16(local + 26) + u16(local + 28);
    if (memcmp(local, "PK\3\4", 4) != 0 || u16(local + 8) != e->method || at + e->packed > a->directory)
        return refuse(a->ret_why, damaged);
    p = buf_reserve(sent, (size_t)e->packed);
    if (p == NULL)
        return -ENOMEM;
    if (spool_read(a->fd, at, p, (size_t)e->packed) != (ssize_t)e->packed)
        return -EIO;
    sent->n += (size_t)e->packed;
    if (e->method == 0) {
        buf_add(out, sent->p, sent->n);
        return out->failed ? -ENOMEM : 0;
    }
    r = gzip_inflate_raw(sent->p, sent->n, TYPES_MAX, out);
    return r == -ENOMEM || r == 0 ? r : refuse(a->ret_why, damaged);
}

static int check_types(const struct archive *a)
{
    static const char text[] = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
    static const char workbook[] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml";
    _cleanup_(buf_free) struct buf sent, types;
    int r;

    buf_init(&sent, TYPES_SENT + 1);
    buf_init(&types, TYPES_MAX + 1);
    r = read_types(a, &sent, &types);
    if (r < 0)
        return r;
    if (holds(buf_cstr(&types), types.n, "vbaproject") || holds(buf_cstr(&types), types.n, "macroenabled"))
        return refuse(a->ret_why, "The document holds macros.");
    if (!holds(buf_cstr(&types), types.n, a->workbook ? workbook : text))
        return no_office(a->ret_why);
    return 0;
}

static int read_directory(struct archive *a, const unsigned char *end, int64_t end_at)
{
    _cleanup_(freep) unsigned char *directory = NULL;
    unsigned entries = u16(end + 10);
    size_t n = u32(end + 12);
    int r;

    a->directory = u32(end + 16);
    if (u16(end + 4) != 0 || u16(end + 6) != 0 || u16(end + 8) != entries || entries > ENTRIES_MAX ||
        n > DIRECTORY_MAX || a->directory + (int64_t)n != end_at)
        return refuse(a->ret_why, damaged);
    directory = malloc(n + 1);
    if (directory == NULL)
        return -ENOMEM;
    if (spool_read(a->fd, a->directory, directory, n) != (ssize_t)n)
        return -EIO;
    r = walk(a, directory, n, entries);
    if (r < 0)
        return r;
    if (!a->has_types || a->word == a->workbook)
        return no_office(a->ret_why);
    return check_types(a);
}

int zip_office(int fd, int64_t size, const unsigned char *tail, size_t n, bool *ret_workbook, const char **ret_why)
{
    struct archive a = { .fd = fd, .size = size, .first = INT64_MAX, .ret_why = ret_why };
    const unsigned char *end = find_end(tail, n);
    int r;

    if (end == NULL)
        return refuse(ret_why, damaged);
    r = read_directory(&a, end, size - (int64_t)n + (end - tail));
    if (r == 0)
        *ret_workbook = a.workbook;
    return r;
}
