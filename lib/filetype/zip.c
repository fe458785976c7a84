#include "zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gzip.h"
#include "part.h"
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
#define PART_MAX      (100LL << 20) /* of one part */
#define RATIO_FROM    (10LL << 20)  /* of larger ones, the most that a byte unpacks to: */
#define RATIO_MAX     200
#define RELATIONS_MAX (1U << 20)
#define INNER_MAX     (16U << 20)  /* of a document within the document */
#define LOOKED_MAX    (48LL << 20) /* of all parts that are read whole */
#define HEAD_SENT     4096U
#define TYPES_NAME    "[Content_Types].xml"

static const char damaged[] = "The archive is damaged, or more than an Office document needs.";
static const char far_more[] = "The document would unpack to far more than it holds.";

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
    int64_t packed, unpacked, first, looked;
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
        memchr(e->name, '\0', e->name_n) != NULL || part_holds(e->name, e->name_n, "../");
}

static int take_entry(struct archive *a, const struct entry *e)
{
    const char *why;

    if ((e->flags & 1) != 0)
        return refuse(a->ret_why, "The document is encrypted.");
    if ((e->method != 0 && e->method != 8) || name_escapes(e) || e->at + LOCAL_SIZE + e->packed > a->directory)
        return refuse(a->ret_why, damaged);
    why = part_name_wrong(e->name, e->name_n);
    if (why != NULL)
        return refuse(a->ret_why, why);
    a->packed += e->packed + LOCAL_SIZE + (int64_t)e->name_n;
    a->unpacked += e->unpacked;
    if (a->packed > a->directory || a->unpacked > UNPACKED_MAX || e->unpacked > PART_MAX ||
        (e->unpacked > RATIO_FROM && e->unpacked / RATIO_MAX > e->packed))
        return refuse(a->ret_why, far_more);
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

/* Where a part's bytes begin. */
static int find_part(const struct archive *a, const struct entry *e, int64_t *ret_at)
{
    unsigned char local[LOCAL_SIZE];

    if (spool_read(a->fd, e->at, local, sizeof(local)) != (ssize_t)sizeof(local))
        return -EIO;
    *ret_at = e->at + LOCAL_SIZE + u16(local + 26) + u16(local + 28);
    if (memcmp(local, "PK\3\4", 4) != 0 || u16(local + 8) != e->method || *ret_at + e->packed > a->directory)
        return refuse(a->ret_why, damaged);
    return 0;
}

/* A whole part, of at most that many bytes as it is sent and as it is. */
static int read_part(const struct archive *a, const struct entry *e, size_t sent_max, size_t max, struct buf *out)
{
    _cleanup_(buf_free) struct buf sent;
    int64_t at;
    char *p;
    int r;

    buf_init(&sent, sent_max + 1);
    buf_init(out, max + 1);
    if (e->packed > (int64_t)sent_max)
        return refuse(a->ret_why, damaged);
    r = find_part(a, e, &at);
    if (r < 0)
        return r;
    p = buf_reserve(&sent, (size_t)e->packed);
    if (p == NULL)
        return -ENOMEM;
    if (spool_read(a->fd, at, p, (size_t)e->packed) != (ssize_t)e->packed)
        return -EIO;
    sent.n += (size_t)e->packed;
    if (e->method == 0) {
        buf_add(out, sent.p, sent.n);
        return out->failed ? -ENOMEM : 0;
    }
    r = gzip_inflate_raw(sent.p, sent.n, max, out);
    return r == -ENOMEM || r == 0 ? r : refuse(a->ret_why, damaged);
}

/* A part's first bytes; fewer than PART_HEAD only of one that has no more. */
static int read_head(const struct archive *a, const struct entry *e, unsigned char *head, size_t *ret_n)
{
    unsigned char sent[HEAD_SENT];
    size_t n = e->packed < HEAD_SENT ? (size_t)e->packed : HEAD_SENT;
    int64_t at;
    int r;

    r = find_part(a, e, &at);
    if (r < 0)
        return r;
    if (spool_read(a->fd, at, sent, n) != (ssize_t)n)
        return -EIO;
    if (e->method == 0) {
        *ret_n = n < PART_HEAD ? n : PART_HEAD;
        memcpy(head, sent, *ret_n);
        return 0;
    }
    r = gzip_inflate_head(sent, n, head, PART_HEAD, ret_n);
    return r < 0 || *ret_n == PART_HEAD || (int64_t)*ret_n >= e->unpacked ? r : refuse(a->ret_why, damaged);
}

static int check_whole(struct archive *a, const struct entry *e, size_t max, const char *(*wrong)(const char *, size_t))
{
    _cleanup_(buf_free) struct buf whole = { 0 };
    const char *why;
    int r;

    r = read_part(a, e, max, max, &whole);
    if (r < 0)
        return r;
    a->looked += (int64_t)whole.n;
    if (a->looked > LOOKED_MAX)
        return refuse(a->ret_why, far_more);
    why = wrong(buf_cstr(&whole), whole.n);
    return why == NULL ? 0 : refuse(a->ret_why, why);
}

/* What a part is, by its first bytes; and the whole of it where it leads elsewhere or is a document itself. */
static int check_part(struct archive *a, const struct entry *e)
{
    unsigned char head[PART_HEAD];
    const char *why;
    size_t n = 0;
    int r;

    r = read_head(a, e, head, &n);
    if (r < 0)
        return r;
    why = part_head_wrong(head, n);
    if (why != NULL)
        return refuse(a->ret_why, why);
    if (e->name_n > 5 && strncasecmp(e->name + e->name_n - 5, ".rels", 5) == 0)
        return check_whole(a, e, RELATIONS_MAX, part_relations_wrong);
    return part_is_archive(head, n) ? check_whole(a, e, INNER_MAX, part_inner_wrong) : 0;
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
        if (r == 0)
            r = check_part(a, &e);
        if (r < 0)
            return r;
        p += ENTRY_SIZE + rest;
        n -= ENTRY_SIZE + rest;
    }
    /* With nothing before the first part, between the parts' end and the directory, or behind it, there is room for no second kind. */
    return n == 0 && a->first == 0 ? 0 : refuse(a->ret_why, damaged);
}

static int check_types(const struct archive *a)
{
    static const char text[] = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
    static const char workbook[] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml";
    _cleanup_(buf_free) struct buf types = { 0 };
    int r;

    r = read_part(a, &a->types, TYPES_SENT, TYPES_MAX, &types);
    if (r < 0)
        return r;
    if (part_holds(buf_cstr(&types), types.n, "vbaproject") || part_holds(buf_cstr(&types), types.n, "macroenabled"))
        return refuse(a->ret_why, "The document holds macros.");
    if (!part_holds(buf_cstr(&types), types.n, a->workbook ? workbook : text))
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
