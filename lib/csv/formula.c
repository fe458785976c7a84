/*
 * A text of the form '*F… (any number of apostrophes, then a formula character) that is no plain number is written
 * with one apostrophe more, and one of the form ''*F… is read with one less: every text comes back as it was.
 */
#include "formula.h"

#include <string.h>

static bool begins_formula(const char *p, size_t n)
{
    /* Full-width = + - @, which some spreadsheets fold to the plain ones. */
    static const char wide[][4] = { "\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0" };

    if (n == 0)
        return false;
    if (memchr("=+-@\t\r\n", *p, 7))
        return true;
    for (size_t i = 0; i < 4 && n >= 3; i++)
        if (memcmp(p, wide[i], 3) == 0)
            return true;
    return false;
}

static size_t digits(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && p[i] >= '0' && p[i] <= '9')
        i++;
    return i;
}

/* -5, -5.25 or -5,25: no spreadsheet runs it. */
static bool plain_number(const char *p, size_t n)
{
    size_t whole, fraction;

    if (n == 0 || *p != '-')
        return false;
    p++;
    n--;
    whole = digits(p, n);
    if (whole == 0 || whole == n)
        return whole > 0;
    if (p[whole] != '.' && p[whole] != ',')
        return false;
    fraction = digits(p + whole + 1, n - whole - 1);
    return fraction > 0 && whole + 1 + fraction == n;
}

static bool guarded_formula(const char *p, size_t n)
{
    while (n > 0 && *p == '\'') {
        p++;
        n--;
    }
    return begins_formula(p, n);
}

bool formula_needs_guard(const char *p, size_t n)
{
    return guarded_formula(p, n) && !plain_number(p, n);
}

bool formula_is_guarded(const char *p, size_t n)
{
    return n > 0 && *p == '\'' && guarded_formula(p, n);
}
