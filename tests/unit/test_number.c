#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "number.h"

START_TEST(json_numbers_are_measured)
{
    static const struct {
        const char *in;
        int r;
        struct number out;
    } rows[] = {
        { "0", 0, { .zero = true, .integer = true, .digits = 1 } },
        { "-0.0e7", 0, { .zero = true, .integer = true, .digits = 1 } },
        { "0e99999999999", 0, { .zero = true, .integer = true, .digits = 1 } },
        { "7", 0, { .integer = true, .digits = 1 } },
        { "-120", 0, { .negative = true, .integer = true, .digits = 2, .exponent = 2 } },
        { "0.10", 0, { .digits = 1, .exponent = -1 } },
        { "1.0", 0, { .integer = true, .digits = 1 } },
        { "1.5e1", 0, { .integer = true, .digits = 2, .exponent = 1 } },
        { "1E-3", 0, { .digits = 1, .exponent = -3 } },
        { "123456789012345", 0, { .integer = true, .digits = 15, .exponent = 14 } },
        { "0.00123456789012345", 0, { .digits = 15, .exponent = -3 } },
        { "100000000000000000000", 0, { .integer = true, .digits = 1, .exponent = 20 } },
        { "1234567890123456", -EOVERFLOW, { 0 } },
        { "0.1234567890123456", -EOVERFLOW, { 0 } },
        { "12345678901234567", -EOVERFLOW, { 0 } },
        { "1e30", 0, { .integer = true, .digits = 1, .exponent = 30 } },
        { "1e31", -ERANGE, { 0 } },
        { "1e400", -ERANGE, { 0 } },
        { "1e-31", -ERANGE, { 0 } },
        { "1e99999999999999999999", -ERANGE, { 0 } },
        { "00000000000000000000000000000000000000000000000000000000000000001", -ERANGE, { 0 } },
        { "", -EINVAL, { 0 } },
        { "-", -EINVAL, { 0 } },
        { "+1", -EINVAL, { 0 } },
        { "01", -EINVAL, { 0 } },
        { ".5", -EINVAL, { 0 } },
        { "5.", -EINVAL, { 0 } },
        { "1e", -EINVAL, { 0 } },
        { "1e+", -EINVAL, { 0 } },
        { "1.2.3", -EINVAL, { 0 } },
        { "1,5", -EINVAL, { 0 } },
        { " 1", -EINVAL, { 0 } },
        { "1 ", -EINVAL, { 0 } },
        { "NaN", -EINVAL, { 0 } },
        { "Infinity", -EINVAL, { 0 } },
        { "0x10", -EINVAL, { 0 } },
        { "1\n", -EINVAL, { 0 } },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct number n = { .digits = -1 };
        int r = number_check(rows[i].in, strlen(rows[i].in), &n);

        ck_assert_msg(r == rows[i].r, "\"%s\": %d", rows[i].in, r);
        if (r < 0) {
            ck_assert_int_eq(n.digits, -1);
            continue;
        }
        ck_assert_msg(n.negative == rows[i].out.negative && n.zero == rows[i].out.zero &&
                n.integer == rows[i].out.integer && n.digits == rows[i].out.digits &&
                n.exponent == rows[i].out.exponent,
            "\"%s\": digits %d exponent %d", rows[i].in, n.digits, n.exponent);
    }
    ck_assert_int_eq(number_check("1\0002", 3, NULL), -EINVAL);
    ck_assert_int_eq(number_check("12", 2, NULL), 0);
}
END_TEST

START_TEST(json_numbers_become_plain)
{
    static const char *const rows[][2] = { { "0", "0" }, { "-0", "0" }, { "-0.00", "0" }, { "0.1", "0.1" },
        { "0.10", "0.1" }, { "1.0", "1" }, { "-12.50", "-12.5" }, { "1e3", "1000" }, { "1.25e1", "12.5" },
        { "1.25e-3", "0.00125" }, { "120", "120" }, { "1e30", "1000000000000000000000000000000" },
        { "-1e-30", "-0.000000000000000000000000000001" },
        { "123456789012345e-44", "0.00000000000000000000000000000123456789012345" }, { "99.9", "99.9" },
        { "100e-2", "1" } };
    char text[NUMBER_TEXT];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(number_plain(rows[i][0], strlen(rows[i][0]), text), 0);
        ck_assert_str_eq(text, rows[i][1]);
    }
    ck_assert_int_eq(number_plain("1e31", 4, text), -ERANGE);
    ck_assert_str_eq(text, rows[15][1]);
}
END_TEST

START_TEST(spreadsheet_numbers_need_their_mark)
{
    static const struct {
        const char *in;
        char decimal;
        int r;
        const char *out;
    } rows[] = {
        { "5", ',', 0, "5" },
        { "-5", ',', 0, "-5" },
        { "12,5", ',', 0, "12.5" },
        { "12.5", '.', 0, "12.5" },
        { "12,50", ',', 0, "12.5" },
        { "007", ',', 0, "7" },
        { "00,5", ',', 0, "0.5" },
        { "-0,0", ',', 0, "0" },
        { "1.234,5", ',', -ENOTUNIQ, NULL },
        { "1.234", ',', -ENOTUNIQ, NULL },
        { "1,234.5", '.', -ENOTUNIQ, NULL },
        { "1,234", '.', -ENOTUNIQ, NULL },
        { "1,234,567", ',', -ENOTUNIQ, NULL },
        { "1 234", ',', -ENOTUNIQ, NULL },
        { "1\xc2\xa0"
          "234",
            ',', -ENOTUNIQ, NULL },
        { "1\xe2\x80\xaf"
          "234",
            ',', -ENOTUNIQ, NULL },
        { "", ',', -EINVAL, NULL },
        { "-", ',', -EINVAL, NULL },
        { "+5", ',', -EINVAL, NULL },
        { "--5", ',', -EINVAL, NULL },
        { ",5", ',', -EINVAL, NULL },
        { "5,", ',', -EINVAL, NULL },
        { " 5", ',', -EINVAL, NULL },
        { "5%", ',', -EINVAL, NULL },
        { "1e5", ',', -EINVAL, NULL },
        { "5a5", ',', -EINVAL, NULL },
        { "1234567890123456", ',', -EOVERFLOW, NULL },
        { "0,1234567890123456", ',', -EOVERFLOW, NULL },
        { "12345678901234567890123456789012345678901234567890123456789012345", ',', -ERANGE, NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[NUMBER_TEXT] = "untouched";
        int r = number_parse(rows[i].in, strlen(rows[i].in), rows[i].decimal, text);

        ck_assert_msg(r == rows[i].r, "\"%s\": %d", rows[i].in, r);
        ck_assert_str_eq(text, r == 0 ? rows[i].out : "untouched");
    }
}
END_TEST

START_TEST(plain_numbers_compare_by_value)
{
    static const char *const ascending[] = { "-1000", "-12.5", "-12", "-2", "-0.1", "0", "0.01", "0.1", "0.12", "2",
        "12", "12.5", "100" };
    const int n = (int)(sizeof(ascending) / sizeof(ascending[0]));

    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int r = number_compare(ascending[i], ascending[j]);

            ck_assert_msg((r > 0) - (r < 0) == (i > j) - (i < j), "%s and %s", ascending[i], ascending[j]);
        }
}
END_TEST

RUN_TESTS("number", json_numbers_are_measured, json_numbers_become_plain, spreadsheet_numbers_need_their_mark,
    plain_numbers_compare_by_value)
