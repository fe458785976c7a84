#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "filetype.h"
#include "spool.h"
#include "text.h"

static const char pdf[] = "%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n";
static const char text_types[] =
    "<Override ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/>";
static const char book_types[] =
    "<Override ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>";

/* What the bytes are; why they are none, or "". */
static int detect(const void *p, size_t n, enum filetype *ret, const char **ret_why)
{
    int fd, r;

    *ret_why = "";
    ck_assert_int_eq(spool_open("/tmp", 0, &fd), 0);
    ck_assert_int_eq(spool_write(fd, p, n), 0);
    r = filetype_detect(fd, (int64_t)n, ret, ret_why);
    close(fd);
    return r;
}

/* ---- archives, their parts stored as they are ---- */

struct part {
    const char *name, *contents;
    uint32_t unpacked; /* as the directory says; 0: the truth */
};

static void put(struct buf *b, uint32_t v, unsigned bytes)
{
    for (; bytes > 0; bytes--, v >>= 8)
        buf_addc(b, (char)(v & 0xff));
}

static void put_common(struct buf *b, const struct part *part)
{
    uint32_t n = (uint32_t)strlen(part->contents);

    put(b, 0, 2); /* flags */
    put(b, 0, 2); /* stored */
    put(b, 0, 8);
    put(b, n, 4);
    put(b, part->unpacked != 0 ? part->unpacked : n, 4);
    put(b, (uint32_t)strlen(part->name), 2);
    put(b, 0, 2);
}

static void archive(struct buf *b, const struct part *parts, size_t n)
{
    uint32_t at[8], directory;

    ck_assert_uint_le(n, ARRAY_SIZE(at));
    buf_init(b, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint32_t)b->n;
        buf_add(b, "PK\3\4\24\0", 6);
        put_common(b, &parts[i]);
        buf_adds(b, parts[i].name);
        buf_adds(b, parts[i].contents);
    }
    directory = (uint32_t)b->n;
    for (size_t i = 0; i < n; i++) {
        buf_add(b, "PK\1\2\24\0\24\0", 8);
        put_common(b, &parts[i]);
        put(b, 0, 10);
        put(b, at[i], 4);
        buf_adds(b, parts[i].name);
    }
    put(b, 0x06054b50, 4);
    put(b, 0, 4);
    put(b, (uint32_t)n, 2);
    put(b, (uint32_t)n, 2);
    put(b, (uint32_t)b->n - directory - 12, 4);
    put(b, directory, 4);
    put(b, 0, 2);
}

START_TEST(knows_the_kinds_that_are_taken)
{
    static const struct part text[] = { { "[Content_Types].xml", text_types, 0 }, { "word/document.xml", "<x/>", 0 } };
    static const struct part book[] = { { "xl/workbook.xml", "<x/>", 0 }, { "[Content_Types].xml", book_types, 0 } };
    _cleanup_(buf_free) struct buf a, b;
    enum filetype type;
    const char *why;

    ck_assert_int_eq(detect(pdf, sizeof(pdf) - 1, &type, &why), 0);
    ck_assert_int_eq(type, FILETYPE_PDF);
    archive(&a, text, ARRAY_SIZE(text));
    ck_assert_msg(detect(a.p, a.n, &type, &why) == 0, "%s", why);
    ck_assert_int_eq(type, FILETYPE_DOCX);
    archive(&b, book, ARRAY_SIZE(book));
    ck_assert_msg(detect(b.p, b.n, &type, &why) == 0, "%s", why);
    ck_assert_int_eq(type, FILETYPE_XLSX);
}
END_TEST

START_TEST(refuses_the_rest)
{
    enum filetype type;
    const char *why;

    ck_assert_int_eq(detect("<html>", 6, &type, &why), -EMEDIUMTYPE);
    ck_assert_int_eq(detect("\0\0\0\0", 4, &type, &why), -EMEDIUMTYPE);
    ck_assert_int_eq(detect(" %PDF-1.7\n%%EOF", 15, &type, &why), -EMEDIUMTYPE);
    ck_assert_int_eq(detect("PK\3\4", 4, &type, &why), -EBADMSG);
    ck_assert_int_eq(detect("", 0, &type, &why), -EMEDIUMTYPE);
}
END_TEST

START_TEST(an_archive_carries_no_more_than_it_says)
{
    static const struct part bomb[] = { { "[Content_Types].xml", text_types, 0 }, { "word/a", "x", 600U << 20 } };
    static const struct part macros[] = { { "[Content_Types].xml", text_types, 0 }, { "word/vbaProject.bin", "x", 0 } };
    static const struct part both[] = { { "[Content_Types].xml", text_types, 0 }, { "word/a", "x", 0 },
        { "xl/a", "x", 0 } };
    static const struct part none[] = { { "word/a", "x", 0 } };
    const struct {
        const struct part *parts;
        size_t n;
        int r;
    } rows[] = { { bomb, ARRAY_SIZE(bomb), -EBADMSG }, { macros, ARRAY_SIZE(macros), -EBADMSG },
        { both, ARRAY_SIZE(both), -EMEDIUMTYPE }, { none, ARRAY_SIZE(none), -EMEDIUMTYPE } };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(buf_free) struct buf b;
        enum filetype type;
        const char *why;

        archive(&b, rows[i].parts, rows[i].n);
        ck_assert_int_eq(detect(b.p, b.n, &type, &why), rows[i].r);
        ck_assert_str_ne(why, "");
    }
}
END_TEST

/* Whatever is cut off or turned around, an answer comes and nothing is read that is not there. */
START_TEST(broken_archives_are_never_believed)
{
    static const struct part text[] = { { "[Content_Types].xml", text_types, 0 }, { "word/document.xml", "<x/>", 0 } };
    _cleanup_(buf_free) struct buf b;
    enum filetype type;
    const char *why;

    archive(&b, text, ARRAY_SIZE(text));
    for (size_t n = 0; n < b.n; n++)
        ck_assert_int_ne(detect(b.p, n, &type, &why), 0);
    for (size_t i = 0; i < b.n; i++)
        for (unsigned bit = 0; bit < 8; bit += 3) {
            int r;

            b.p[i] = (char)(b.p[i] ^ (1 << bit));
            r = detect(b.p, b.n, &type, &why);
            ck_assert(r == 0 || r == -EBADMSG || r == -EMEDIUMTYPE);
            b.p[i] = (char)(b.p[i] ^ (1 << bit));
        }
}
END_TEST

START_TEST(names_end_as_their_type_does)
{
    ck_assert(filetype_names(FILETYPE_PDF, "Báo cáo.PDF"));
    ck_assert(filetype_names(FILETYPE_JPEG, "a.jpg") && filetype_names(FILETYPE_JPEG, "a.jpeg"));
    ck_assert(!filetype_names(FILETYPE_PDF, ".pdf") && !filetype_names(FILETYPE_PDF, "a.pdf.exe"));
    ck_assert(!filetype_names(FILETYPE_DOCX, "a.docm") && !filetype_names(FILETYPE_XLSX, "a.xlsxx"));
    ck_assert_str_eq(filetype_media(FILETYPE_PNG), "image/png");
}
END_TEST

RUN_TESTS("filetype", knows_the_kinds_that_are_taken, refuses_the_rest, an_archive_carries_no_more_than_it_says,
    broken_archives_are_never_believed, names_end_as_their_type_does)
