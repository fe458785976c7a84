#include "csv.h"

#include <errno.h>
#include <stdio.h>

#include "clock.h"

int csv_delimiter_parse(const char *name, char *ret)
{
    static const struct {
        const char *name;
        char delimiter;
    } known[] = {
        { ",", ',' },
        { "comma", ',' },
        { ";", ';' },
        { "semicolon", ';' },
        { "\t", '\t' },
        { "tab", '\t' },
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcmp(name, known[i].name) == 0) {
            *ret = known[i].delimiter;
            return 0;
        }
    }
    return -EINVAL;
}

int csv_date_format_parse(const char *name, enum csv_date_format *ret)
{
    if (strcmp(name, "yyyy-mm-dd") == 0)
        *ret = CSV_DATE_ISO;
    else if (strcmp(name, "dd/mm/yyyy") == 0)
        *ret = CSV_DATE_DMY;
    else
        return -EINVAL;
    return 0;
}

/* One or two digits, right-aligned in two places. */
static size_t take_two(const char *p, size_t n, char ret[2])
{
    size_t i = 0;

    while (i < n && i < 2 && p[i] >= '0' && p[i] <= '9')
        i++;
    ret[0] = i == 2 ? p[0] : '0';
    ret[1] = i > 0 ? p[i - 1] : '0';
    return i;
}

int csv_date(const char *p, size_t n, enum csv_date_format format, char ret[11])
{
    char iso[11] = "0000-00-00";
    size_t day, month;

    if (format == CSV_DATE_ISO) {
        if (!date_valid(p, n))
            return -EINVAL;
        memcpy(ret, p, 10);
        ret[10] = '\0';
        return 0;
    }
    day = take_two(p, n, iso + 8);
    if (day == 0 || day == n || p[day] != '/')
        return -EINVAL;
    p += day + 1;
    n -= day + 1;
    month = take_two(p, n, iso + 5);
    if (month == 0 || n - month != 5 || p[month] != '/')
        return -EINVAL;
    memcpy(iso, p + month + 1, 4);
    if (!date_valid(iso, 10))
        return -EINVAL;
    memcpy(ret, iso, sizeof(iso));
    return 0;
}
