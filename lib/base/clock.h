/* The one clock. Test builds (-Dtest_clock=true) add the int64 microseconds mapped from the file $TIENDO_TEST_CLOCK. */
#ifndef TIENDO_CLOCK_H
#define TIENDO_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define CLOCK_TEXT 32
#define DATE_TEXT  11

/* Microseconds since 1970-01-01 UTC. */
int64_t clock_now_us(void);

/* A steady clock for durations, untouched by the test clock. */
int64_t clock_mono_us(void);

/* 2026-04-30T17:00:00.123456Z; the fraction is left out when it is zero. */
void clock_format_rfc3339(int64_t us, char ret[CLOCK_TEXT]);

/* An RFC 3339 date-time with an offset; digits past microseconds are cut. -EINVAL when it is none. */
MUST_CHECK int clock_parse_rfc3339(const char *p, size_t n, int64_t *ret_us);

/* The calendar day of US in Asia/Ho_Chi_Minh as yyyy-mm-dd. */
void clock_format_date(int64_t us, char ret[DATE_TEXT]);

/* Is P an existing day, written yyyy-mm-dd (years 0001 to 9999)? */
bool date_valid(const char *p, size_t n);

#endif
