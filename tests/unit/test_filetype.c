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

START_TEST(a_pdf_says_what_it_carries)
{
    static const struct {
        const char *body;
        bool taken;
    } rows[] = {
        { "trailer<</Root 1 0 R/Encrypt 4 0 R>>", false },
        { "trailer<</Root 1 0 R/#45ncr#79pt 4 0 R>>", false },
        { "5 0 obj<</Type/XRef/Encrypt 4 0 R/Length 2>>stream\nxx\nendstream endobj", false },
        { "1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>endobj", false },
        { "1 0 obj<</S/J#61vaScript>>endobj", false },
        { "1 0 obj<</S /Launch /F(cmd.exe)>>endobj", false },
        { "1 0 obj<</OpenAction <</S/URI/URI(http://x/)>>>>endobj", false },
        { "1 0 obj<</Names<</EmbeddedFiles 2 0 R>>>>endobj", false },
        { "2 0 obj<</Type/EmbeddedFile/Length 1>>stream\nx\nendstream endobj", false },
        { "% 1 0 obj<</S/JavaScript>>endobj", false },
        { "( \n1 0 obj<</S/Launch>>endobj )", false },
        { "(\n1 0 obj<</S/Launch>>endobj", false },
        { "stream\n1 0 obj<</S/Launch>>endobj endstream", false },
        { "<</Length 1>>stream\n1 0 obj<</S/Launch>>endobj", false },
        { "1 0 obj<</OpenAction[3 0 R/Fit]>>endobj", true },
        { "1 0 obj<</OpenAction<</S/GoTo/D[3 0 R/Fit]>>>>endobj", true },
        { "1 0 obj<</OpenAction 5 0 R/A<</S/URI/URI(http://x/JS/a.js)>>>>endobj", true },
        { "1 0 obj<</Title(On /JavaScript \\( and /Encrypt)>>endobj", true },
        { "1 0 obj<</JSx 1/Encrypted true>>endobj % /JS", true },
        { "1 0 obj<</Length 12>>stream\n(/JS /Encrypt)\nendstream endobj", true },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[256];
        enum filetype type;
        const char *why;
        int n = snprintf(text, sizeof(text), "%%PDF-1.7\n%s\n%%%%EOF\n", rows[i].body), r;

        r = detect(text, (size_t)n, &type, &why);
        ck_assert_msg(r == (rows[i].taken ? 0 : -EBADMSG), "%s: %d %s", rows[i].body, r, why);
    }
}
END_TEST

/* Strings, comments and streams without an end cost no more than the file's length, so to say. */
START_TEST(a_pdf_is_read_in_one_go)
{
    static const char *const pieces[] = { "(", "%", "(obj", "%obj", ">>stream\n" };

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        _cleanup_(buf_free) struct buf b;
        enum filetype type;
        const char *why;

        buf_init(&b, 4 << 20);
        buf_adds(&b, "%PDF-1.7\n");
        while (b.n < 3 << 20)
            buf_adds(&b, pieces[i]);
        buf_adds(&b, "\n/Encrypt \n%%EOF");
        ck_assert_int_eq(detect(b.p, b.n, &type, &why), -EBADMSG);
    }
}
END_TEST

#define RELATION(inner) "<Relationships><Relationship Id=\"a\" " inner "/></Relationships>"

START_TEST(a_documents_parts_are_looked_at)
{
    static const struct {
        struct part part;
        bool taken;
    } rows[] = {
        { { "word/embeddings/a.docm", "x", 0 }, false },
        { { "word/embeddings/a.exe", "x", 0 }, false },
        { { "word/embeddings/a.bin", "MZ\x90", 0 }, false },
        { { "word/media/image1.png",
              "\x7f"
              "ELF\2",
              0 },
            false },
        { { "word/embeddings/oleObject1.bin", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0 }, false },
        { { "word/embeddings/a.docx", "PK\3\4 word/vbaProject.bin", 0 }, false },
        { { "word/embeddings/a.docx", "PK\3\4 word/embeddings/b.docx", 0 }, false },
        { { "word/embeddings/chart.xlsx", "PK\3\4 xl/workbook.xml", 0 }, true },
        { { "word/media/a.emf", "x", 101U << 20 }, false },
        { { "word/media/a.emf", "x", 11U << 20 }, false },
        { { "word/media/a.emf", "x", 9U << 20 }, true },
        { { "word/_rels/settings.xml.rels",
              RELATION("Type=\"http://s/attachedTemplate\" Target=\"http://evil/x.dotm\" TargetMode=\"External\""), 0 },
            false },
        { { "word/_rels/settings.xml.RELS",
              RELATION("TargetMode='External' Target='\\\\h\\x.dotm' Type='x/attachedtemplate'"), 0 },
            false },
        { { "word/_rels/a.rels", RELATION("Q='>' TargetMode='External' Type='x/attached&#84;emplate' Target='//h/x'"),
              0 },
            false },
        { { "word/_rels/a.rels",
              RELATION("Q='Target=\"file:///C:/x\"' TargetMode='External' Type='x/oleObject' Target='http://h/x'"), 0 },
            false },
        { { "word/_rels/settings.xml.rels",
              RELATION(
                  "Type=\"http://s/attachedTemplate\" Target=\"file:///C:\\Users\\a.dotx\" TargetMode=\"External\""),
              0 },
            true },
        { { "word/_rels/document.xml.rels",
              RELATION("Type=\"http://s/hyperlink\" Target=\"http://x/?a=1&amp;b=2\" TargetMode=\"External\""), 0 },
            true },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct part parts[] = { { "[Content_Types].xml", text_types, 0 }, { "word/document.xml", "<x/>", 0 },
            rows[i].part };
        _cleanup_(buf_free) struct buf b;
        enum filetype type;
        const char *why;
        int r;

        archive(&b, parts, ARRAY_SIZE(parts));
        r = detect(b.p, b.n, &type, &why);
        ck_assert_msg(
            r == (rows[i].taken ? 0 : -EBADMSG), "%s %s: %d %s", rows[i].part.name, rows[i].part.contents, r, why);
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
    a_pdf_says_what_it_carries, a_pdf_is_read_in_one_go, a_documents_parts_are_looked_at,
    broken_archives_are_never_believed, names_end_as_their_type_does)
