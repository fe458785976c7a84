/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <string.h>

#include "uuid.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* COUNT digits at P as a number, or -1. */
static int digits(const char *p, size_t count)
{
    int v = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_digit(p[i]))
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static int days_of(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* A day of the calendar, 0001-01-01 to 9999-12-31. */
static bool is_date(const char *p, size_t n)
{
    int year, month, day;

    if (n != 10 || p[4] != '-' || p[7] != '-')
        return false;
    year = digits(p, 4);
    month = digits(p + 5, 2);
    day = digits(p + 8, 2);
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= days_of(year, month);
}

/* Z, or +hh:mm. */
static bool is_offset(const char *p, size_t n)
{
    int hour, minute;

    if (n == 1)
        return *p == 'Z';
    if (n != 6 || (*p != '+' && *p != '-') || p[3] != ':')
        return false;
    hour = digits(p + 1, 2);
    minute = digits(p + 4, 2);
    return hour >= 0 && hour <= 15 && minute >= 0 && minute <= 59;
}

/* RFC 3339, with its offset. */
static bool is_date_time(const char *p, size_t n)
{
    size_t end = 19;
    int hour, minute, second;

    if (n < 20 || !is_date(p, 10) || p[10] != 'T' || p[13] != ':' || p[16] != ':')
        return false;
    hour = digits(p + 11, 2);
    minute = digits(p + 14, 2);
    second = digits(p + 17, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    if (p[end] == '.') {
        for (end++; end < n && is_digit(p[end]); end++)
            ;
        if (end == 20 || end > 29)
            return false;
    }
    return end < n && is_offset(p + end, n - end);
}

/* A scheme, a colon, and nothing that a URI must not hold. */
static bool is_uri(const char *p, size_t n)
{
    size_t i = 0;

    if (n == 0 || !is_letter(*p))
        return false;
    while (i < n && (is_letter(p[i]) || is_digit(p[i]) || p[i] == '+' || p[i] == '.' || p[i] == '-'))
        i++;
    if (i == n || p[i] != ':' || i + 1 == n)
        return false;
    for (i++; i < n; i++)
        if ((unsigned char)p[i] <= 0x20 || p[i] == 0x7f || strchr("<>\"{}|\\^`", p[i]))
            return false;
    return true;
}

/* A domain name of two labels or more. */
static bool is_domain(const char *p, size_t n)
{
    size_t label = 0, dots = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '.') {
            if (label == 0 || p[i - 1] == '-')
                return false;
            label = 0;
            dots++;
        } else if (is_letter(p[i]) || is_digit(p[i]) || (p[i] == '-' && label > 0)) {
            if (++label > 63)
                return false;
        } else {
            return false;
        }
    }
    return dots > 0 && label > 0 && p[n - 1] != '-' && n <= 253;
}

static bool is_email(const char *p, size_t n)
{
    const char *at = memrchr(p, '@', n);
    size_t local = at ? (size_t)(at - p) : 0;

    if (local == 0 || local > 64 || *p == '.' || p[local - 1] == '.')
        return false;
    for (size_t i = 0; i < local; i++)
        if ((unsigned char)p[i] <= 0x20 || p[i] == 0x7f || strchr("()<>[]:;@\\,\"", p[i]) ||
            (p[i] == '.' && p[i + 1] == '.'))
            return false;
    return is_domain(at + 1, n - local - 1);
}

bool format_holds(enum schema_format format, const char *s, size_t n)
{
    uint32_t character;

    switch (format) {
    case FORMAT_NONE:
    case FORMAT_PASSWORD: return true;
    case FORMAT_DATE: return is_date(s, n);
    case FORMAT_DATE_TIME: return is_date_time(s, n);
    case FORMAT_UUID: return uuid_valid(s, n);
    case FORMAT_URI: return is_uri(s, n);
    case FORMAT_EMAIL: return is_email(s, n);
    case FORMAT_LINE: return line_holds(s, n, false, &character);
    }
    return false;
}
