#include "number.h"

#include <errno.h>
#include <string.h>

#define FAR 100000 /* beyond every bound, yet safe to add to */

/* A number taken apart: all its digits (point left out) and the place of the first. */
struct parts {
    bool negative;
    const char *whole, *fraction;
    int wholes, fractions; /* digits of each */
    int exponent;
};

static int count_digits(const char *p, const char *end)
{
    const char *from = p;

    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return (int)(p - from);
}

/* e+12 at P to END. */
static int take_exponent(const char *p, const char *end, int *ret)
{
    bool negative = false;
    int v = 0, n;

    p++;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    n = count_digits(p, end);
    if (n == 0 || p + n != end)
        return -EINVAL;
    for (; p < end; p++)
        if (v < FAR)
            v = v * 10 + (*p - '0');
    *ret = negative ? -v : v;
    return 0;
}

/* The grammar of RFC 8259. */
static int take_apart(const char *p, size_t n, struct parts *ret)
{
    const char *end = p + n;
    struct parts t = { .fraction = "" };
    int r;

    if (p < end && *p == '-') {
        t.negative = true;
        p++;
    }
    t.whole = p;
    t.wholes = count_digits(p, end);
    if (t.wholes == 0 || (t.wholes > 1 && *p == '0'))
        return -EINVAL;
    p += t.wholes;
    if (p < end && *p == '.') {
        t.fraction = ++p;
        t.fractions = count_digits(p, end);
        if (t.fractions == 0)
            return -EINVAL;
        p += t.fractions;
    }
    if (p < end) {
        if (*p != 'e' && *p != 'E')
            return -EINVAL;
        r = take_exponent(p, end, &t.exponent);
        if (r < 0)
            return r;
    }
    *ret = t;
    return 0;
}

static char digit_at(const struct parts *t, int i)
{
    return i < t->wholes ? t->whole[i] : t->fraction[i - t->wholes];
}

/* The first and one past the last digit that is not zero; equal for zero. */
static void significant(const struct parts *t, int *ret_first, int *ret_end)
{
    int first = 0, end = t->wholes + t->fractions;

    while (first < end && digit_at(t, first) == '0')
        first++;
    while (end > first && digit_at(t, end - 1) == '0')
        end--;
    *ret_first = first;
    *ret_end = end;
}

static int measure(const char *p, size_t n, struct parts *ret_parts, struct number *ret)
{
    struct parts t;
    struct number m;
    int r, first, end;

    /* A caller's megabyte of digits is no number worth reading; the grammar is not asked. */
    if (n > NUMBER_LENGTH)
        return -ERANGE;
    r = take_apart(p, n, &t);
    if (r < 0)
        return r;
    significant(&t, &first, &end);
    if (first == end) {
        m = (struct number){ .zero = true, .integer = true, .digits = 1 };
    } else {
        int place = t.wholes - 1 - first + t.exponent;

        m = (struct number){ .negative = t.negative, .digits = end - first, .exponent = place };
        m.integer = place - (m.digits - 1) >= 0;
        if (m.digits > NUMBER_DIGITS)
            return -EOVERFLOW;
        if (place > NUMBER_EXPONENT || place < -NUMBER_EXPONENT)
            return -ERANGE;
    }
    *ret_parts = t;
    *ret = m;
    return 0;
}

int number_check(const char *p, size_t n, struct number *ret)
{
    struct number m;
    struct parts t;
    int r;

    r = measure(p, n, &t, &m);
    if (r < 0)
        return r;
    if (ret)
        *ret = m;
    return 0;
}

int number_plain(const char *p, size_t n, char ret[NUMBER_TEXT])
{
    struct number m;
    struct parts t;
    int r, first, end;
    char *out = ret;

    r = measure(p, n, &t, &m);
    if (r < 0)
        return r;
    if (m.zero) {
        memcpy(ret, "0", 2);
        return 0;
    }
    significant(&t, &first, &end);
    if (m.negative)
        *out++ = '-';
    /* From the highest place that is written to the lowest. */
    for (int place = m.exponent > 0 ? m.exponent : 0; place >= 0 || place > m.exponent - m.digits; place--) {
        int i = first + m.exponent - place;

        if (place == -1)
            *out++ = '.';
        *out++ = i >= first && i < end ? digit_at(&t, i) : '0';
    }
    *out = '\0';
    return 0;
}

/* A mark that separates thousands somewhere: the other mark, a space, an apostrophe, a no-break space (two kinds). */
static size_t separator(const char *p, const char *end)
{
    if (*p == '.' || *p == ',' || *p == ' ' || *p == '\'')
        return 1;
    if (end - p >= 2 && memcmp(p, "\xc2\xa0", 2) == 0)
        return 2;
    if (end - p >= 3 && memcmp(p, "\xe2\x80\xaf", 3) == 0)
        return 3;
    return 0;
}

int number_parse(const char *p, size_t n, char decimal, char ret[NUMBER_TEXT])
{
    const char *end = p + n;
    char json[NUMBER_LENGTH + 1];
    size_t length = 0;
    bool marked = false, ambiguous = false, leading = true;

    if (n > NUMBER_LENGTH)
        return -ERANGE;
    if (p < end && *p == '-')
        json[length++] = *p++;
    if (p == end || *p < '0' || *p > '9' || end[-1] < '0' || end[-1] > '9')
        return -EINVAL;
    while (p < end) {
        if (*p >= '0' && *p <= '9') {
            bool padding = leading && *p == '0' && p + 1 < end && p[1] >= '0' && p[1] <= '9';

            leading = padding;
            if (!padding)
                json[length++] = *p;
            p++;
        } else if (*p == decimal && !marked) {
            marked = true;
            leading = false;
            json[length++] = '.';
            p++;
        } else if (separator(p, end) > 0) {
            ambiguous = true;
            p += separator(p, end);
        } else {
            return -EINVAL;
        }
    }
    return ambiguous ? -ENOTUNIQ : number_plain(json, length, ret);
}

static int compare_absolute(const char *a, const char *b)
{
    size_t wholes_a = strcspn(a, "."), wholes_b = strcspn(b, ".");

    if (wholes_a != wholes_b)
        return wholes_a < wholes_b ? -1 : 1;
    /* With as many digits before the point, and no trailing zeros, the texts compare as the numbers do. */
    return strcmp(a, b);
}

int number_compare(const char *a, const char *b)
{
    bool negative_a = *a == '-', negative_b = *b == '-';

    if (negative_a != negative_b)
        return negative_a ? -1 : 1;
    return negative_a ? compare_absolute(b + 1, a + 1) : compare_absolute(a, b);
}
