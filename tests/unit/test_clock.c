#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "util.h"

#define SECOND INT64_C(1000000)

START_TEST(formats_utc)
{
    char text[CLOCK_TEXT];

    clock_format_rfc3339(0, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00Z");
    clock_format_rfc3339(1, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00.000001Z");
    clock_format_rfc3339(-1, text);
    ck_assert_str_eq(text, "1969-12-31T23:59:59.999999Z");
    clock_format_rfc3339(INT64_C(1777568400) * SECOND, text);
    ck_assert_str_eq(text, "2026-04-30T17:00:00Z");
}
END_TEST

START_TEST(agrees_with_the_c_library)
{
    for (int64_t t = -4000000000; t < 9000000000; t += 86399 * 7) {
        time_t seconds = (time_t)t;
        char ours[CLOCK_TEXT], theirs[64];
        int64_t back;
        struct tm tm;

        ck_assert_ptr_nonnull(gmtime_r(&seconds, &tm));
        ck_assert_uint_gt(strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &tm), 0);
        clock_format_rfc3339(t * SECOND, ours);
        ck_assert_str_eq(ours, theirs);
        ck_assert_int_eq(clock_parse_rfc3339(ours, strlen(ours), &back), 0);
        ck_assert_int_eq(back, t * SECOND);
    }
}
END_TEST

START_TEST(the_day_turns_in_hanoi)
{
    char day[DATE_TEXT];

    clock_format_date(INT64_C(1777568400) * SECOND - 1, day);
    ck_assert_str_eq(day, "2026-04-30");
    clock_format_date(INT64_C(1777568400) * SECOND, day);
    ck_assert_str_eq(day, "2026-05-01");
}
END_TEST

START_TEST(parses_offsets)
{
    int64_t us;

    ck_assert_int_eq(clock_parse_rfc3339("2026-05-01T00:00:00+07:00", 25, &us), 0);
    ck_assert_int_eq(us, INT64_C(1777568400) * SECOND);
    ck_assert_int_eq(clock_parse_rfc3339("2026-04-30t17:00:00.1234567z", 28, &us), 0);
    ck_assert_int_eq(us, INT64_C(1777568400) * SECOND + 123456);
}
END_TEST

START_TEST(refuses_what_is_no_date_time)
{
    static const char *const bad[] = { "", "2026-05-01", "2026-05-01T00:00:00", "2026-05-01 00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-05-01T24:00:00Z", "2026-05-01T00:60:00Z",
        "2026-05-01T00:00:60Z", "2026-05-01T00:00:00.Z", "2026-05-01T00:00:00+7:00", "2026-05-01T00:00:00+0700",
        "2026-05-01T00:00:00+24:00", "2026-05-01T00:00:00Zx", "0000-05-01T00:00:00Z", "2026-05-01T00:00:00.123" };
    int64_t us = 7;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(clock_parse_rfc3339(bad[i], strlen(bad[i]), &us) == -EINVAL, "%s", bad[i]);
    ck_assert_int_eq(us, 7);
}
END_TEST

START_TEST(knows_the_calendar)
{
    static const char *const good[] = { "2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31", "2026-04-30" };
    static const char *const bad[] = { "2026-02-29", "1900-02-29", "2026-04-31", "2026-00-01", "2026-01-00",
        "0000-01-01", "2026-1-01", "2026/01/01", "26-01-01", "2026-01-011", "2026-01-0x", "" };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        ck_assert_msg(date_valid(good[i], strlen(good[i])), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(!date_valid(bad[i], strlen(bad[i])), "%s", bad[i]);
}
END_TEST

START_TEST(steady_clock_ascends)
{
    int64_t last = clock_mono_us();

    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_mono_us();

        ck_assert_int_ge(now, last);
        last = now;
    }
}
END_TEST

/* The wall clock, moved in test builds and not to be moved in others. */
START_TEST(only_test_builds_move)
{
    char name[] = "/tmp/tiendo-clock-XXXXXX";
    int64_t offset = INT64_C(86400) * SECOND, before, after;
    _cleanup_(closep) int fd = mkstemp(name);
    struct timespec real;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, &offset, sizeof(offset), 0), sizeof(offset));
    ck_assert_int_eq(setenv("TIENDO_TEST_CLOCK", name, 1), 0);
    (void)clock_gettime(CLOCK_REALTIME, &real);
    before = clock_now_us() - ((int64_t)real.tv_sec * SECOND + real.tv_nsec / 1000);
    offset *= 2;
    ck_assert_int_eq(pwrite(fd, &offset, sizeof(offset), 0), sizeof(offset));
    after = clock_now_us() - ((int64_t)real.tv_sec * SECOND + real.tv_nsec / 1000);
    (void)unlink(name);
#ifdef TIENDO_TEST_CLOCK
    ck_assert_int_eq(before / SECOND, 86400);
    ck_assert_int_eq(after / SECOND, 2 * 86400);
#else
    ck_assert_int_eq(before / SECOND, 0);
    ck_assert_int_eq(after / SECOND, 0);
#endif
}
END_TEST

RUN_TESTS("clock", formats_utc, agrees_with_the_c_library, the_day_turns_in_hanoi, parses_offsets,
    refuses_what_is_no_date_time, knows_the_calendar, steady_clock_ascends, only_test_builds_move)
