#include "calendar.h"

#include <errno.h>
#include <libical/ical.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

#define END       "END:VCALENDAR\r\n"
#define TEXT_MAX  (64U * 1024U)
#define YEAR_MIN  1000   /* the first of four digits */
#define YEAR_MAX  3000   /* the last that libical writes */
#define REFRESHED "PT1H" /* how often readers are asked to look again */

/* libical ends the program over a bad argument unless it is told not to, and makes its UTC at first use. */
static void prepare(void)
{
    icalerror_set_errors_are_fatal(0);
    (void)icaltimezone_get_utc_timezone();
}

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static int add(icalcomponent *component, icalproperty *property)
{
    if (property == NULL)
        return -ENOMEM;
    icalcomponent_add_property(component, property);
    return 0;
}

static int add_x(icalcomponent *component, const char *name, const char *value)
{
    icalproperty *property = icalproperty_new_x(value);

    if (property != NULL)
        icalproperty_set_x_name(property, name);
    return add(component, property);
}

/*
 * A text as a calendar may hold it: of the control characters only tabs and line feeds. As a list libical takes it for several, with commas
 * between them, and lets pass what a value must not hold.
 */
static const char *clean(struct buf *b, const char *text, bool list)
{
    buf_reset(b);
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            continue;
        buf_addc(b, list && c == ';' ? ',' : *p);
    }
    return b->failed ? NULL : buf_cstr(b);
}

static int add_text(
    icalcomponent *component, struct buf *b, icalproperty *(*make)(const char *), const char *text, bool list)
{
    const char *cleaned = text != NULL ? clean(b, text, list) : NULL;

    if (text == NULL || text[0] == '\0')
        return 0;
    return cleaned != NULL ? add(component, make(cleaned)) : -ENOMEM;
}

/* ---- days and instants ---- */

/* So many days later; what lies beyond the days that can be written is the first or the last of them. */
static int day(const char *text, int later, struct icaltimetype *ret)
{
    if (!date_valid(text, strlen(text)))
        return -EINVAL;
    *ret = icaltime_null_date();
    ret->year = (int)strtol(text, NULL, 10);
    ret->month = (int)strtol(text + 5, NULL, 10);
    ret->day = (int)strtol(text + 8, NULL, 10);
    icaltime_adjust(ret, later, 0, 0, 0);
    if (ret->year < YEAR_MIN || ret->year > YEAR_MAX) {
        bool early = ret->year < YEAR_MIN;

        ret->year = early ? YEAR_MIN : YEAR_MAX;
        ret->month = early ? 1 : 12;
        ret->day = early ? 1 : 31;
    }
    return 0;
}

static int instant(const char *text, struct icaltimetype *ret)
{
    char utc[32];
    struct tm tm;
    int64_t us;
    time_t t;
    int r;

    r = clock_parse_rfc3339(text, strlen(text), &us);
    if (r < 0)
        return r;
    t = (time_t)(us / 1000000);
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < YEAR_MIN - 1900 || tm.tm_year > YEAR_MAX - 1900 ||
        strftime(utc, sizeof(utc), "%Y%m%dT%H%M%SZ", &tm) == 0)
        return -EINVAL;
    *ret = icaltime_from_string(utc);
    return 0;
}

/* ---- writing ---- */

/* Puts the component's text into the buffer, less so many bytes at its end. */
static int put(struct buf *out, icalcomponent *component, size_t less)
{
    char *text = icalcomponent_as_ical_string_r(component);
    size_t n;

    if (text == NULL)
        return -ENOMEM;
    n = strlen(text);
    buf_add(out, text, n > less ? n - less : 0);
    icalmemory_free_buffer(text);
    return out->failed ? -ENOMEM : 0;
}

static int head(icalcomponent *calendar, struct buf *b, const char *name)
{
    const char *cleaned = clean(b, name, false);
    int r = cleaned != NULL ? 0 : -ENOMEM;

    if (r == 0)
        r = add(calendar, icalproperty_new_prodid("-//Tiendo//Tiendo " TIENDO_VERSION "//VI"));
    if (r == 0)
        r = add(calendar, icalproperty_new_version("2.0"));
    if (r == 0)
        r = add(calendar, icalproperty_new_calscale("GREGORIAN"));
    if (r == 0)
        r = add(calendar, icalproperty_new_name(cleaned));
    if (r == 0)
        r = add_x(calendar, "X-WR-CALNAME", cleaned);
    if (r == 0)
        r = add_x(calendar, "X-PUBLISHED-TTL", REFRESHED);
    return r;
}

int calendar_begin(struct buf *out, const char *name)
{
    struct buf b;
    icalcomponent *calendar;
    int r;

    pthread_once(&prepared, prepare);
    calendar = icalcomponent_new_vcalendar();
    if (calendar == NULL)
        return -ENOMEM;
    buf_init(&b, TEXT_MAX);
    r = head(calendar, &b, name);
    if (r == 0)
        r = put(out, calendar, strlen(END));
    icalcomponent_free(calendar);
    buf_free(&b);
    return r;
}

/* The days: the end of an entry of whole days is the first that it does not have; without an end it is one day. */
static int add_days(icalcomponent *event, const struct calendar_entry *entry)
{
    struct icaltimetype from, to;
    int r;

    r = day(entry->starts_on, 0, &from);
    if (r == 0)
        r = day(entry->ends_on, 1, &to);
    if (r == 0)
        r = add(event, icalproperty_new_dtstart(from));
    return r == 0 && icaltime_compare(from, to) < 0 ? add(event, icalproperty_new_dtend(to)) : r;
}

/* Which state of it this is. Of a calendar that is nobody's invitation DTSTAMP says when it was changed (RFC 5545, 3.8.7.2). */
static int add_revision(icalcomponent *event, const struct calendar_entry *entry)
{
    struct icaltimetype changed;
    int64_t version = entry->version < INT_MAX ? entry->version : INT_MAX;
    int r;

    r = instant(entry->changed_at, &changed);
    if (r == 0)
        r = add(event, icalproperty_new_dtstamp(changed));
    if (r == 0)
        r = add(event, icalproperty_new_lastmodified(changed));
    return r == 0 ? add(event, icalproperty_new_sequence((int)version)) : r;
}

static int fill(icalcomponent *event, struct buf *b, const struct calendar_entry *entry)
{
    static const icalproperty_status statuses[] = { [CALENDAR_CONFIRMED] = ICAL_STATUS_CONFIRMED,
        [CALENDAR_TENTATIVE] = ICAL_STATUS_TENTATIVE,
        [CALENDAR_CANCELLED] = ICAL_STATUS_CANCELLED };
    int r;

    r = add_text(event, b, icalproperty_new_uid, entry->uid, false);
    if (r == 0)
        r = add_days(event, entry);
    if (r == 0)
        r = add_revision(event, entry);
    if (r == 0)
        r = add_text(event, b, icalproperty_new_summary, entry->title, false);
    if (r == 0)
        r = add_text(event, b, icalproperty_new_description, entry->detail, false);
    if (r == 0)
        r = add_text(event, b, icalproperty_new_categories, entry->category, true);
    if (r == 0)
        r = add(event, icalproperty_new_status(statuses[entry->status]));
    return r == 0 ? add(event, icalproperty_new_transp(entry->busy ? ICAL_TRANSP_OPAQUE : ICAL_TRANSP_TRANSPARENT)) : r;
}

int calendar_add(struct buf *out, const struct calendar_entry *entry)
{
    icalcomponent *event = icalcomponent_new_vevent();
    struct buf b;
    int r;

    if (event == NULL)
        return -ENOMEM;
    buf_init(&b, TEXT_MAX);
    r = fill(event, &b, entry);
    if (r == 0)
        r = put(out, event, 0);
    icalcomponent_free(event);
    buf_free(&b);
    return r;
}

int calendar_end(struct buf *out)
{
    buf_adds(out, END);
    return out->failed ? -ENOMEM : 0;
}
