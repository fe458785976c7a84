#include "clock.h"

#include <errno.h>
#include <time.h>

#define SECOND  INT64_C(1000000)
#define DAY_S   INT64_C(86400)
#define HANOI_S (INT64_C(7) * 3600) /* Asia/Ho_Chi_Minh has kept UTC+7 since 1975 */

#ifdef TIENDO_TEST_CLOCK

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static _Atomic int64_t *shared_offset;

/* A test whose clock cannot be moved must not pass by accident. */
static void open_offset(void)
{
    const char *name = getenv("TIENDO_TEST_CLOCK");
    _cleanup_(closep) int fd = -1;
    struct stat st;
    void *map;

    if (!name || !*name)
        return;
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(int64_t)) {
        (void)fprintf(stderr, "TIENDO_TEST_CLOCK: %s is no file of eight bytes\n", name);
        abort();
    }
    map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    shared_offset = map;
}

static int64_t test_offset(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, open_offset);
    return shared_offset ? atomic_load_explicit(shared_offset, memory_order_relaxed) : 0;
}

#else

static int64_t test_offset(void)
{
    return 0;
}

#endif

static int64_t read_clock(clockid_t id)
{
    struct timespec t;

    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return read_clock(CLOCK_REALTIME) + test_offset();
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Division towards minus infinity. */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970-01-01 to the proleptic Gregorian calendar and back, in eras of 400 years that begin in March. */
static void civil_from_days(int64_t days, int *ret_y, int *ret_m, int *ret_d)
{
    int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

    *ret_d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *ret_m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *ret_y = (int)(yoe + era * 400 + (*ret_m <= 2));
}

static int64_t days_from_civil(int64_t y, int m, int d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = floor_div(y, 400);
    yoe = y - era * 400;
    doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* WIDTH digits of V, without a NUL. */
static char *put(char *out, int v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        out[i] = (char)('0' + v % 10);
    return out + width;
}

static char *put_date(char *out, int64_t days)
{
    int y, m, d;

    civil_from_days(days, &y, &m, &d);
    out = put(out, y > 0 ? y : 0, 4);
    *out++ = '-';
    out = put(out, m, 2);
    *out++ = '-';
    return put(out, d, 2);
}

void clock_format_rfc3339(int64_t us, char ret[CLOCK_TEXT])
{
    int64_t seconds = floor_div(us, SECOND), days = floor_div(seconds, DAY_S);
    int fraction = (int)(us - seconds * SECOND), rest = (int)(seconds - days * DAY_S);
    char *out = put_date(ret, days);

    *out++ = 'T';
    out = put(out, rest / 3600, 2);
    *out++ = ':';
    out = put(out, rest / 60 % 60, 2);
    *out++ = ':';
    out = put(out, rest % 60, 2);
    if (fraction) {
        *out++ = '.';
        out = put(out, fraction, 6);
    }
    *out++ = 'Z';
    *out = '\0';
}

void clock_format_date(int64_t us, char ret[DATE_TEXT])
{
    *put_date(ret, floor_div(floor_div(us, SECOND) + HANOI_S, DAY_S)) = '\0';
}

/* N digits at P as a number, -1 when something else stands there. */
static int digits(const char *p, int n)
{
    int v = 0;

    for (int i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static int parse_date(const char *p, int *ret_y, int *ret_m, int *ret_d)
{
    static const int length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int y = digits(p, 4), m = digits(p + 5, 2), d = digits(p + 8, 2);
    bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);

    if (p[4] != '-' || p[7] != '-' || y < 1 || m < 1 || m > 12 || d < 1)
        return -EINVAL;
    if (d > length[m - 1] + (m == 2 && leap))
        return -EINVAL;
    *ret_y = y;
    *ret_m = m;
    *ret_d = d;
    return 0;
}

bool date_valid(const char *p, size_t n)
{
    int y, m, d;

    return n == DATE_TEXT - 1 && parse_date(p, &y, &m, &d) == 0;
}

/* Z or ±hh:mm to the end, in seconds. */
static int parse_offset(const char *p, size_t n, int64_t *ret)
{
    int h, m;

    if (n == 1 && (*p == 'Z' || *p == 'z')) {
        *ret = 0;
        return 0;
    }
    if (n != 6 || (*p != '+' && *p != '-') || p[3] != ':')
        return -EINVAL;
    h = digits(p + 1, 2);
    m = digits(p + 4, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59)
        return -EINVAL;
    *ret = (*p == '-' ? -1 : 1) * (int64_t)(h * 3600 + m * 60);
    return 0;
}

int clock_parse_rfc3339(const char *p, size_t n, int64_t *ret_us)
{
    int64_t offset, fraction = 0, unit = SECOND / 10;
    int y, mon, d, h, min, s, r;
    size_t i = 19;

    if (n < 20 || parse_date(p, &y, &mon, &d) < 0 || (p[10] | 0x20) != 't' || p[13] != ':' || p[16] != ':')
        return -EINVAL;
    h = digits(p + 11, 2);
    min = digits(p + 14, 2);
    s = digits(p + 17, 2);
    if (h < 0 || h > 23 || min < 0 || min > 59 || s < 0 || s > 59)
        return -EINVAL;
    if (p[i] == '.') {
        for (i++; i < n && p[i] >= '0' && p[i] <= '9'; i++, unit /= 10)
            fraction += unit * (p[i] - '0');
        if (i == 20)
            return -EINVAL;
    }
    r = parse_offset(p + i, n - i, &offset);
    if (r < 0)
        return r;
    *ret_us = (days_from_civil(y, mon, d) * DAY_S + h * 3600 + min * 60 + s - offset) * SECOND + fraction;
    return 0;
}
