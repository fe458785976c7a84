#include "suite.h"

#include <errno.h>
#include <string.h>

#include "calendar.h"
#include "text.h"
#include "util.h"

static const struct calendar_entry plain = {
    .uid = "0198c5a2-7d1a-7d00-8a01-2b3c4d5e6f81@tiendo",
    .title = "Hội nghị",
    .starts_on = "2026-02-27",
    .ends_on = "2026-02-28",
    .busy = true,
    .version = 3,
    .changed_at = "2026-01-02T02:00:00.123000Z",
};

/* A calendar of one entry, its folds taken back. */
static const char *one(struct buf *b, const char *name, const struct calendar_entry *entry)
{
    char *to;

    buf_init(b, 1 << 20);
    ck_assert_int_eq(calendar_begin(b, name), 0);
    ck_assert_int_eq(calendar_add(b, entry), 0);
    ck_assert_int_eq(calendar_end(b), 0);
    to = b->p;
    for (const char *from = b->p; *from != '\0';) {
        if (strncmp(from, "\r\n ", 3) == 0)
            from += 3;
        else
            *to++ = *from++;
    }
    *to = '\0';
    return b->p;
}

static void has(const char *text, const char *line)
{
    _cleanup_(buf_free) struct buf whole;

    buf_init(&whole, 1 << 20);
    buf_addf(&whole, "\r\n%s\r\n", line);
    ck_assert_msg(strstr(text, buf_cstr(&whole)) != NULL, "%s is not in\n%s", line, text);
}

START_TEST(an_entry_has_its_whole_days)
{
    _cleanup_(buf_free) struct buf b;
    const char *text = one(&b, "Chiến dịch", &plain);

    ck_assert(strncmp(text, "BEGIN:VCALENDAR\r\n", 17) == 0);
    ck_assert_str_eq(strstr(text, "END:VEVENT"), "END:VEVENT\r\nEND:VCALENDAR\r\n");
    has(text, "VERSION:2.0");
    has(text, "X-WR-CALNAME:Chiến dịch");
    has(text, "UID:0198c5a2-7d1a-7d00-8a01-2b3c4d5e6f81@tiendo");
    has(text, "SUMMARY:Hội nghị");
    has(text, "DTSTART;VALUE=DATE:20260227");
    has(text, "DTEND;VALUE=DATE:20260301");
    has(text, "DTSTAMP:20260102T020000Z");
    has(text, "LAST-MODIFIED:20260102T020000Z");
    has(text, "SEQUENCE:3");
    has(text, "STATUS:CONFIRMED");
    has(text, "TRANSP:OPAQUE");
    ck_assert_ptr_null(strstr(text, "DESCRIPTION"));
    ck_assert_ptr_null(strstr(text, "CATEGORIES"));
}
END_TEST

START_TEST(what_divides_texts_is_escaped_and_what_controls_is_left_out)
{
    _cleanup_(buf_free) struct buf b;
    struct calendar_entry entry = plain;
    const char *text;

    entry.title = "a, b; c \\ d \"e\"\r\nf\x01\x7f";
    entry.detail = "END:VEVENT\r\nBEGIN:VALARM";
    entry.category = "x, y; z";
    entry.status = CALENDAR_CANCELLED;
    entry.busy = false;
    text = one(&b, "Tên\r\nATTACH:x", &entry);
    has(text, "SUMMARY:a\\, b\\; c \\\\ d \"e\"\\nf");
    has(text, "DESCRIPTION:END:VEVENT\\nBEGIN:VALARM");
    has(text, "CATEGORIES:x, y, z");
    has(text, "STATUS:CANCELLED");
    has(text, "TRANSP:TRANSPARENT");
    ck_assert_ptr_null(strstr(text, "\nATTACH"));
    ck_assert_ptr_null(strstr(text, "\r\nBEGIN:VALARM"));
}
END_TEST

START_TEST(lines_are_folded_between_characters)
{
    _cleanup_(buf_free) struct buf b, title;
    struct calendar_entry entry = plain;
    const char *line, *end;

    buf_init(&title, 4096);
    for (int i = 0; i < 100; i++)
        buf_adds(&title, i % 3 == 0 ? "độ " : i % 3 == 1 ? "a" : "😀");
    entry.title = buf_cstr(&title);
    buf_init(&b, 1 << 20);
    ck_assert_int_eq(calendar_begin(&b, entry.title), 0);
    ck_assert_int_eq(calendar_add(&b, &entry), 0);
    ck_assert_int_eq(calendar_end(&b), 0);
    for (line = b.p; *line != '\0'; line = end + 2) {
        end = strstr(line, "\r\n");
        ck_assert_ptr_nonnull(end);
        ck_assert_int_le(end - line, 75);
        ck_assert(utf8_valid(line, (size_t)(end - line)));
        ck_assert_ptr_null(memchr(line, '\n', (size_t)(end - line)));
    }
}
END_TEST

START_TEST(the_same_entries_are_the_same_text)
{
    _cleanup_(buf_free) struct buf a, b;

    ck_assert_str_eq(one(&a, "Lịch", &plain), one(&b, "Lịch", &plain));
}
END_TEST

START_TEST(an_entry_at_the_edge_of_time_has_days_that_can_be_written)
{
    _cleanup_(buf_free) struct buf b, long_one, one_day, early;
    struct calendar_entry entry = plain;
    const char *text;

    entry.starts_on = "2999-12-01";
    entry.ends_on = "2999-12-31";
    text = one(&b, "Lịch", &entry);
    has(text, "DTSTART;VALUE=DATE:29991201");
    has(text, "DTEND;VALUE=DATE:30000101");
    entry.ends_on = "9999-12-31";
    has(one(&long_one, "Lịch", &entry), "DTEND;VALUE=DATE:30001231");
    entry.starts_on = "9999-12-31";
    text = one(&one_day, "Lịch", &entry);
    has(text, "DTSTART;VALUE=DATE:30001231");
    ck_assert_ptr_null(strstr(text, "DTEND"));
    entry.starts_on = "0001-01-01";
    entry.ends_on = "2026-02-28";
    text = one(&early, "Lịch", &entry);
    has(text, "DTSTART;VALUE=DATE:10000101");
    has(text, "DTEND;VALUE=DATE:20260301");
}
END_TEST

START_TEST(what_cannot_be_written_is_told)
{
    _cleanup_(buf_free) struct buf b, small;
    struct calendar_entry entry = plain;

    buf_init(&b, 1 << 20);
    entry.ends_on = "2026-02-30";
    ck_assert_int_eq(calendar_add(&b, &entry), -EINVAL);
    entry = plain;
    entry.changed_at = "yesterday";
    ck_assert_int_eq(calendar_add(&b, &entry), -EINVAL);
    entry.changed_at = "0999-12-31T00:00:00Z";
    ck_assert_int_eq(calendar_add(&b, &entry), -EINVAL);
    ck_assert_uint_eq(b.n, 0);
    buf_init(&small, 40);
    ck_assert_int_eq(calendar_begin(&small, "x"), -ENOMEM);
}
END_TEST

RUN_TESTS("calendar", an_entry_has_its_whole_days, what_divides_texts_is_escaped_and_what_controls_is_left_out,
    lines_are_folded_between_characters, the_same_entries_are_the_same_text,
    an_entry_at_the_edge_of_time_has_days_that_can_be_written, what_cannot_be_written_is_told)
