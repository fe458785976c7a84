#include "suite.h"

#include <errno.h>
#include <string.h>

#include "csv.h"
#include "text.h"
#include "util.h"

static struct csv_reader *open_csv(struct str text, char delimiter)
{
    struct csv_options o = { .delimiter = delimiter };
    struct csv_reader *r = NULL;
    struct csv_fault f = { 0 };

    ck_assert_msg(csv_reader_new(text.p, text.n, &o, &r, &f) == 0, "%s", f.code);
    return r;
}

/* All records as [field|field]line, faults as !code@line. */
static void dump(struct csv_reader *r, struct buf *out)
{
    struct csv_row row;

    while (csv_next(r, &row) == 1) {
        if (row.fault.code) {
            ck_assert_uint_eq(row.fault.line, row.line);
            buf_addf(out, "!%s@%zu ", row.fault.code, row.line);
            continue;
        }
        for (size_t i = 0; i < row.n; i++)
            buf_addf(out, "%s%.*s", i > 0 ? "|" : "[", (int)row.field[i].n, row.field[i].p);
        buf_addf(out, "]%zu ", row.line);
    }
}

START_TEST(reads_records)
{
    static const struct {
        const char *what;
        struct str in;
        char delimiter;
        const char *out;
    } rows[] = {
        { "plain", STR("a,b\r\n1,2\r\n3,4\r\n"), ',', "[1|2]2 [3|4]3 " },
        { "line feeds, no last one", STR("a,b\n1,2\n3,4"), ',', "[1|2]2 [3|4]3 " },
        { "byte order mark",
            STR("\xef\xbb\xbf"
                "a,b\n1,2"),
            ',', "[1|2]2 " },
        { "semicolons", STR("a;b\n1,5;2\n"), ';', "[1,5|2]2 " },
        { "tabs", STR("a\tb\n1\t2\n"), '\t', "[1|2]2 " },
        { "empty fields", STR("a,b\n,\n\"\",x\n"), ',', "[|]2 [|x]3 " },
        { "quotes", STR("a,b\n\"x,y\",\"he said \"\"hi\"\"\"\n"), ',', "[x,y|he said \"hi\"]2 " },
        { "only quotes", STR("a\n\"\"\"\"\n"), ',', "[\"]2 " },
        { "line feeds inside", STR("a,b\n\"1\r\n2\n3\",x\ny,z\n"), ',', "[1\r\n2\n3|x]2 [y|z]5 " },
        { "blank lines", STR("\n\r\na,b\n\n1,2\r\n\r\n\n3,4\n\n"), ',', "[1|2]5 [3|4]8 " },
        { "quoted to the end", STR("a,b\n1,\"2\""), ',', "[1|2]2 " },
        { "field count", STR("a,b\n1\n1,2,3\n1,2\n"), ',', "!csv_column_count@2 !csv_column_count@3 [1|2]4 " },
        { "stray quote", STR("a,b\n1,x\"y\n\"x\"y,2\n1,2\n"), ',', "!csv_quote@2 !csv_quote@3 [1|2]4 " },
        { "open quote", STR("a,b\n1,2\n\"1,2\n3,4\n"), ',', "[1|2]2 !csv_quote_open@3 " },
        { "lone carriage return", STR("a,b\n1\r,2\n\"1\"\r,2\n3,4\n"), ',', "!csv_line_end@2 !csv_line_end@3 [3|4]4 " },
        { "guarded formulas", STR("a,b,c\n'=1+1,'-5,'-x\n''=1,'hoa,-5\n"), ',', "[=1+1|-5|-x]2 ['=1|'hoa|-5]3 " },
        { "Vietnamese", STR("mã,tên\nTB,Phường Trấn Biên\n"), ',', "[TB|Phường Trấn Biên]2 " },
        { "header alone", STR("a,b"), ',', "" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(csv_reader_freep) struct csv_reader *r = open_csv(rows[i].in, rows[i].delimiter);
        _cleanup_(buf_free) struct buf out;

        buf_init(&out, 10000);
        dump(r, &out);
        ck_assert_msg(strcmp(buf_cstr(&out), rows[i].out) == 0, "%s: %s", rows[i].what, buf_cstr(&out));
    }
}
END_TEST

START_TEST(refuses_headers)
{
    static const struct {
        struct str in;
        char delimiter;
        const char *code;
        size_t line;
    } rows[] = {
        { STR(""), ',', "csv_empty", 1 },
        { STR("\n\r\n"), ',', "csv_empty", 3 },
        { STR("\xef\xbb\xbf"), ',', "csv_empty", 1 },
        { STR("a,,c\n"), ',', "csv_header_unnamed", 1 },
        { STR("\na,b,a\n"), ',', "csv_header_duplicate", 2 },
        { STR("a;b;c\n1;2;3\n"), ',', "csv_delimiter", 1 },
        { STR("a\tb\n"), ';', "csv_delimiter", 1 },
        { STR("sep=;\na;b\n"), ';', "csv_sep_line", 1 },
        { STR("sep=;\na;b\n"), ',', "csv_sep_line", 1 },
        { STR("a,b\n1,\xff\n"), ',', "csv_encoding", 1 },
        { STR("a,b\n1,\0\n"), ',', "csv_encoding", 1 },
        { STR("\xff\xfe"
              "a\0,\0b\0"),
            ',', "csv_encoding", 1 },
        { STR("a,\"b\n"), ',', "csv_quote_open", 1 },
        { STR("a\rb\r"), ',', "csv_line_end", 1 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct csv_options o = { .delimiter = rows[i].delimiter };
        struct csv_reader *r = NULL;
        struct csv_fault f = { 0 };

        ck_assert_int_eq(csv_reader_new(rows[i].in.p, rows[i].in.n, &o, &r, &f), -EINVAL);
        ck_assert_ptr_null(r);
        ck_assert_msg(strcmp(f.code, rows[i].code) == 0, "row %zu: %s", i, f.code);
        ck_assert_uint_eq(f.line, rows[i].line);
        ck_assert_ptr_nonnull(f.detail);
    }
}
END_TEST

START_TEST(keeps_its_bounds)
{
    static const struct str text =
        STR("a,b\n12345,1\n123456,1\n1234,1234\n\"123456\",1\n1,2,3,4\n1,\"12\"\"45\"\nx,y\n");
    struct csv_options o = { .max_field = 5, .max_row = 8, .max_columns = 3 };
    _cleanup_(csv_reader_freep) struct csv_reader *r = NULL;
    _cleanup_(buf_free) struct buf out;
    struct csv_fault f;

    buf_init(&out, 10000);
    ck_assert_int_eq(csv_reader_new(text.p, text.n, &o, &r, &f), 0);
    dump(r, &out);
    ck_assert_str_eq(out.p,
        "[12345|1]2 !csv_field_too_long@3 !csv_row_too_long@4 !csv_field_too_long@5 !csv_too_many_columns@6 "
        "!csv_field_too_long@7 [x|y]8 ");
}
END_TEST

START_TEST(finds_columns)
{
    _cleanup_(csv_reader_freep) struct csv_reader *r = open_csv(STR("\xef\xbb\xbf\"đơn vị\",b\r\n"), ',');
    const struct str *names;

    ck_assert_uint_eq(csv_columns(r, &names), 2);
    ck_assert(str_is(names[0], "đơn vị"));
    ck_assert_int_eq(csv_column(r, "đơn vị"), 0);
    ck_assert_int_eq(csv_column(r, "b"), 1);
    ck_assert_int_eq(csv_column(r, "c"), -ENOENT);
}
END_TEST

START_TEST(numbers_records_and_lines)
{
    _cleanup_(csv_reader_freep) struct csv_reader *r = open_csv(STR("a,b\n\"1\n\n\",2\nx\n\n3,4\n"), ',');
    struct csv_row row;

    ck_assert_int_eq(csv_next(r, &row), 1);
    ck_assert_uint_eq(row.row, 1);
    ck_assert_uint_eq(row.line, 2);
    ck_assert_int_eq(csv_next(r, &row), 1);
    ck_assert_uint_eq(row.row, 2);
    ck_assert_uint_eq(row.line, 5);
    ck_assert_int_eq(csv_next(r, &row), 1);
    ck_assert_uint_eq(row.row, 3);
    ck_assert_uint_eq(row.line, 7);
    ck_assert_int_eq(csv_next(r, &row), 0);
    ck_assert_int_eq(csv_next(r, &row), 0);
}
END_TEST

START_TEST(writes_records)
{
    static const struct {
        const char *in;
        const char *out;
    } rows[] = {
        { "plain", "plain\r\n" },
        { "", "\"\"\r\n" },
        { "a,b", "\"a,b\"\r\n" },
        { "a;b", "a;b\r\n" },
        { "say \"hi\"", "\"say \"\"hi\"\"\"\r\n" },
        { "two\nlines", "\"two\nlines\"\r\n" },
        { "=1+1", "'=1+1\r\n" },
        { "+84", "'+84\r\n" },
        { "-1+cmd", "'-1+cmd\r\n" },
        { "-", "'-\r\n" },
        { "--5", "'--5\r\n" },
        { "-5", "-5\r\n" },
        { "-5.25", "-5.25\r\n" },
        { "-5,25", "\"-5,25\"\r\n" },
        { "-5.", "'-5.\r\n" },
        { "-5.2.1", "'-5.2.1\r\n" },
        { "@SUM(A1)", "'@SUM(A1)\r\n" },
        { "\tx", "'\tx\r\n" },
        { "\rx", "\"'\rx\"\r\n" },
        { "=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"\r\n" },
        { "＝1", "'＝1\r\n" },
        { "'=1", "''=1\r\n" },
        { "'hoa", "'hoa\r\n" },
        { "12-BC/ĐU", "12-BC/ĐU\r\n" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(buf_free) struct buf out;
        struct csv_writer w;

        buf_init(&out, 1000);
        csv_writer_init(&w, &out, 0);
        csv_write_cstr(&w, rows[i].in);
        csv_end(&w);
        ck_assert_str_eq(out.p, rows[i].out);
    }
}
END_TEST

/* A text of awkward characters, from a fixed sequence. */
static size_t awkward(unsigned *seed, char *ret)
{
    static const char *const parts[] = { "'", "=", "+", "-", "@", "\t", "\r", "\n", "\"", ",", ";", "5", ".", "ă", "x",
        "＝", " " };
    size_t n = 0, count;

    *seed = *seed * 1103515245u + 12345u;
    count = *seed >> 16 & 7;
    for (size_t i = 0; i < count; i++) {
        const char *part;

        *seed = *seed * 1103515245u + 12345u;
        part = parts[(*seed >> 16) % ARRAY_SIZE(parts)];
        memcpy(ret + n, part, strlen(part));
        n += strlen(part);
    }
    return n;
}

START_TEST(what_is_written_is_read_back)
{
    static const char delimiters[] = { ',', ';', '\t' };
    enum { COLUMNS = 4, ROWS = 2000 };
    static char kept[ROWS][COLUMNS][40];
    static size_t length[ROWS][COLUMNS];

    for (size_t d = 0; d < ARRAY_SIZE(delimiters); d++) {
        _cleanup_(csv_reader_freep) struct csv_reader *r = NULL;
        _cleanup_(buf_free) struct buf out;
        struct csv_writer w;
        struct csv_row row;
        unsigned seed = 42;

        buf_init(&out, 1 << 20);
        csv_writer_init(&w, &out, delimiters[d]);
        csv_write_bom(&w);
        for (size_t i = 0; i < COLUMNS; i++)
            csv_write(&w, &"abcd"[i], 1);
        csv_end(&w);
        for (size_t i = 0; i < ROWS; i++) {
            for (size_t j = 0; j < COLUMNS; j++) {
                length[i][j] = awkward(&seed, kept[i][j]);
                csv_write(&w, kept[i][j], length[i][j]);
            }
            csv_end(&w);
        }
        ck_assert(!out.failed);
        r = open_csv((struct str){ out.p, out.n }, delimiters[d]);
        for (size_t i = 0; i < ROWS; i++) {
            ck_assert_int_eq(csv_next(r, &row), 1);
            ck_assert_ptr_null(row.fault.code);
            for (size_t j = 0; j < COLUMNS; j++)
                if (!str_eq(row.field[j], (struct str){ kept[i][j], length[i][j] }))
                    ck_abort_msg("\"%.*s\" came back as \"%.*s\"", (int)length[i][j], kept[i][j], (int)row.field[j].n,
                        row.field[j].p);
        }
        ck_assert_int_eq(csv_next(r, &row), 0);
    }
}
END_TEST

START_TEST(dates_follow_their_format)
{
    static const struct {
        const char *in;
        enum csv_date_format format;
        const char *out;
    } rows[] = {
        { "2025-07-01", CSV_DATE_ISO, "2025-07-01" },
        { "01/07/2025", CSV_DATE_DMY, "2025-07-01" },
        { "1/7/2025", CSV_DATE_DMY, "2025-07-01" },
        { "29/02/2024", CSV_DATE_DMY, "2024-02-29" },
        { "29/02/2025", CSV_DATE_DMY, NULL },
        { "07/13/2025", CSV_DATE_DMY, NULL },
        { "01/07/25", CSV_DATE_DMY, NULL },
        { "001/07/2025", CSV_DATE_DMY, NULL },
        { "01-07-2025", CSV_DATE_DMY, NULL },
        { "2025-07-01", CSV_DATE_DMY, NULL },
        { "1/7/2025 ", CSV_DATE_DMY, NULL },
        { "/7/2025", CSV_DATE_DMY, NULL },
        { "1//2025", CSV_DATE_DMY, NULL },
        { "1", CSV_DATE_DMY, NULL },
        { "1/", CSV_DATE_DMY, NULL },
        { "1/7", CSV_DATE_DMY, NULL },
        { "", CSV_DATE_DMY, NULL },
        { "01/07/2025", CSV_DATE_ISO, NULL },
        { "", CSV_DATE_ISO, NULL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char day[11] = "untouched";
        int r = csv_date(rows[i].in, strlen(rows[i].in), rows[i].format, day);

        ck_assert_msg(r == (rows[i].out ? 0 : -EINVAL), "%s", rows[i].in);
        ck_assert_str_eq(day, rows[i].out ? rows[i].out : "untouched");
    }
}
END_TEST

START_TEST(options_are_named)
{
    enum csv_date_format f;
    char d;

    ck_assert_int_eq(csv_delimiter_parse(";", &d), 0);
    ck_assert_int_eq(d, ';');
    ck_assert_int_eq(csv_delimiter_parse("tab", &d), 0);
    ck_assert_int_eq(d, '\t');
    ck_assert_int_eq(csv_delimiter_parse("|", &d), -EINVAL);
    ck_assert_int_eq(csv_date_format_parse("dd/mm/yyyy", &f), 0);
    ck_assert_int_eq(f, CSV_DATE_DMY);
    ck_assert_int_eq(csv_date_format_parse("mm/dd/yyyy", &f), -EINVAL);
}
END_TEST

RUN_TESTS("csv", reads_records, refuses_headers, keeps_its_bounds, finds_columns, numbers_records_and_lines,
    writes_records, what_is_written_is_read_back, dates_follow_their_format, options_are_named)
