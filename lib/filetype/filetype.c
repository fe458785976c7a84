#include "filetype.h"

#include <errno.h>
#include <magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "log.h"
#include "pdf.h"
#include "spool.h"
#include "zip.h"

#define HEAD_SIZE 4096

static const struct {
    const char *media;
    const char *ends[2];
} types[N_FILETYPES] = {
    [FILETYPE_PDF] = { "application/pdf", { ".pdf" } },
    [FILETYPE_DOCX] = { "application/vnd.openxmlformats-officedocument.wordprocessingml.document", { ".docx" } },
    [FILETYPE_XLSX] = { "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", { ".xlsx" } },
    [FILETYPE_PNG] = { "image/png", { ".png" } },
    [FILETYPE_JPEG] = { "image/jpeg", { ".jpg", ".jpeg" } },
};

const char *filetype_media(enum filetype type)
{
    return types[type].media;
}

bool filetype_names(enum filetype type, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < ARRAY_SIZE(types[type].ends) && types[type].ends[i] != NULL; i++) {
        size_t k = strlen(types[type].ends[i]);

        if (n > k && strcasecmp(name + n - k, types[type].ends[i]) == 0)
            return true;
    }
    return false;
}

/* ---- libmagic ---- */

/* One list for the process, read at its first use: it may be asked by one thread at a time. */
static pthread_mutex_t magic_lock = PTHREAD_MUTEX_INITIALIZER;
static magic_t magic;

static int magic_begin(void)
{
    /* Its list of signatures alone; it starts no other program and looks into no archive. */
    magic_t made;

    if (magic != NULL)
        return 0;
    made = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_BUILTIN);
    if (made == NULL)
        return -ENOMEM;
    if (magic_load(made, NULL) != 0) {
        log_error("filetype", "message=libmagic's list cannot be read: %s", magic_error(made));
        magic_close(made);
        return -ENOENT;
    }
    magic = made;
    return 0;
}

/* What libmagic takes these first bytes for: 0 and one of the types, or FILETYPE_DOCX for an archive of any kind it may be. */
static int ask_magic(const void *head, size_t n, enum filetype *ret)
{
    static const struct {
        const char *begins;
        enum filetype type;
    } known[] = {
        { "application/pdf", FILETYPE_PDF }, { "image/png", FILETYPE_PNG }, { "image/jpeg", FILETYPE_JPEG },
        { "application/zip", FILETYPE_DOCX }, { "application/vnd.openxmlformats-officedocument.", FILETYPE_DOCX },
        { "application/octet-stream",
            FILETYPE_DOCX }, /* its word for an Office document whose parts stand in another order */
    };
    const char *says;
    int r;

    pthread_mutex_lock(&magic_lock);
    r = magic_begin();
    if (r == 0) {
        says = magic_buffer(magic, head, n);
        r = says == NULL ? -EIO : -EMEDIUMTYPE;
        for (size_t i = 0; says != NULL && i < ARRAY_SIZE(known); i++)
            if (strncmp(says, known[i].begins, strlen(known[i].begins)) == 0) {
                *ret = known[i].type;
                r = 0;
                break;
            }
    }
    pthread_mutex_unlock(&magic_lock);
    return r;
}

/* ---- rules of our own ---- */

struct look {
    int fd;
    int64_t size;
    unsigned char head[HEAD_SIZE];
    size_t head_n;
    unsigned char *tail;
    size_t tail_n;
    const char **ret_why;
};

static int refuse(const struct look *l, const char *why)
{
    *l->ret_why = why;
    return -EBADMSG;
}

static int no_kind(const struct look *l)
{
    *l->ret_why = "The file is no PDF, Word or Excel document, PNG or JPEG.";
    return -EMEDIUMTYPE;
}

static bool head_is(const struct look *l, const char *bytes, size_t n)
{
    return l->head_n >= n && memcmp(l->head, bytes, n) == 0;
}

/* Readers look for a PDF's beginning in the first 1,024 bytes, and for an archive's end in the last. */
static bool second_kind(const struct look *l, enum filetype type)
{
    size_t first = l->head_n < 1024 + 4 ? l->head_n : 1024 + 4;

    return (type != FILETYPE_PDF && memmem(l->head, first, "%PDF-", 5) != NULL) || zip_ends(l->tail, l->tail_n);
}

static int check_plain(const struct look *l, enum filetype type)
{
    static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", png_end[] = "\0\0\0\0IEND\xae\x42\x60\x82";
    size_t last = l->tail_n < 1024 ? l->tail_n : 1024;
    bool whole = false;

    if (second_kind(l, type))
        return refuse(l, "The file reads as two kinds at once.");
    switch (type) {
    case FILETYPE_PDF:
        whole = head_is(l, "%PDF-", 5) && memmem(l->tail + l->tail_n - last, last, "%%EOF", 5) != NULL;
        break;
    case FILETYPE_PNG:
        whole = head_is(l, png, sizeof(png) - 1) && l->tail_n >= sizeof(png_end) - 1 &&
            memcmp(l->tail + l->tail_n - (sizeof(png_end) - 1), png_end, sizeof(png_end) - 1) == 0;
        break;
    case FILETYPE_JPEG:
        whole = head_is(l, "\xff\xd8\xff", 3) && memmem(l->tail, l->tail_n, "\xff\xd9", 2) != NULL;
        break;
    default: break;
    }
    return whole ? 0 : refuse(l, "The file is damaged or cut short.");
}

static int check_pdf(const struct look *l)
{
    void *map = mmap(NULL, (size_t)l->size, PROT_READ, MAP_PRIVATE, l->fd, 0);
    const char *why;

    if (map == MAP_FAILED)
        return -errno;
    why = pdf_wrong(map, (size_t)l->size);
    (void)munmap(map, (size_t)l->size);
    return why == NULL ? 0 : refuse(l, why);
}

static int look(struct look *l, enum filetype *ret_type)
{
    bool workbook = false;
    enum filetype type;
    int r;

    r = ask_magic(l->head, l->head_n, &type);
    if (r == -EMEDIUMTYPE || (r == 0 && type == FILETYPE_DOCX && !head_is(l, "PK\3\4", 4)))
        return no_kind(l);
    if (r < 0)
        return r;
    if (type == FILETYPE_DOCX) {
        r = zip_office(l->fd, l->size, l->tail, l->tail_n, &workbook, l->ret_why);
        if (r == 0 && memmem(l->head, l->head_n < 1028 ? l->head_n : 1028, "%PDF-", 5) != NULL)
            r = refuse(l, "The file reads as two kinds at once.");
        type = workbook ? FILETYPE_XLSX : FILETYPE_DOCX;
    } else {
        r = check_plain(l, type);
        if (r == 0 && type == FILETYPE_PDF)
            r = check_pdf(l);
    }
    if (r == 0)
        *ret_type = type;
    return r;
}

int filetype_detect(int fd, int64_t size, enum filetype *ret_type, const char **ret_why)
{
    size_t tail_n = size < ZIP_END_MAX ? (size_t)size : ZIP_END_MAX;
    _cleanup_(freep) unsigned char *tail = malloc(tail_n + 1);
    struct look l = { .fd = fd, .size = size, .tail = tail, .tail_n = tail_n, .ret_why = ret_why };
    ssize_t n;

    if (tail == NULL)
        return -ENOMEM;
    n = spool_read(fd, 0, l.head, sizeof(l.head));
    if (n < 0)
        return (int)n;
    l.head_n = (size_t)n;
    n = spool_read(fd, size - (int64_t)tail_n, tail, tail_n);
    if (n != (ssize_t)tail_n)
        return n < 0 ? (int)n : -EIO;
    return look(&l, ret_type);
}
