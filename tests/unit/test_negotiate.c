#include "suite.h"

#include <string.h>

#include "negotiate.h"
#include "util.h"

static const struct media offers[] = {
    { "application/json", MEDIA_JSON, NULL, NULL, LANE_NONE },
    { "text/csv", MEDIA_CSV, NULL, NULL, LANE_NONE },
    { "application/x-ndjson", MEDIA_NDJSON, NULL, NULL, LANE_NONE },
};

START_TEST(chooses_answers)
{
    static const struct {
        const char *accept, *type;
    } rows[] = {
        { NULL, "application/json" },
        { "", "application/json" },
        { "*/*", "application/json" },
        { "text/csv", "text/csv" },
        { "TEXT/CSV", "text/csv" },
        { "text/*", "text/csv" },
        { "text/html, application/json;q=0.9, */*;q=0.1", "application/json" },
        { "application/json;q=0.1, text/csv;q=0.5", "text/csv" },
        { "application/json;q=0, */*", "text/csv" },
        { "text/html, */*; q=0.2", "application/json" },
        { "application/x-ndjson;v=1", "application/x-ndjson" },
        { "text/html", NULL },
        { "application/problem+json", NULL },
        { "*/*;q=0", NULL },
        { "application/json;q=0", NULL },
        { "nonsense", NULL },
        { ",,;q=,/", NULL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct media *got = negotiate_accept(rows[i].accept, offers, ARRAY_SIZE(offers));

        ck_assert_msg(rows[i].type == NULL ? got == NULL : got != NULL && strcmp(got->type, rows[i].type) == 0, "%s",
            rows[i].accept != NULL ? rows[i].accept : "none");
    }
}
END_TEST

START_TEST(takes_bodies)
{
    static const struct {
        const char *type;
        bool taken;
    } rows[] = {
        { "application/json", true },
        { "Application/JSON", true },
        { "application/json; charset=utf-8", true },
        { "application/json;charset=\"UTF-8\"", true },
        { "application/json ; foo=bar", true },
        { "application/json; charset=iso-8859-1", false },
        { "application/jsonx", false },
        { "application/merge-patch+json", false },
        { "json", false },
        { "", false },
        { NULL, false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg((negotiate_content(rows[i].type, offers, 1) != NULL) == rows[i].taken, "%s",
            rows[i].type != NULL ? rows[i].type : "none");
}
END_TEST

START_TEST(reads_preferences)
{
    ck_assert(negotiate_prefers("count=exact", "count=exact"));
    ck_assert(negotiate_prefers("return=minimal, Count=Exact; x=1", "count=exact"));
    ck_assert(!negotiate_prefers("count=exactly", "count=exact"));
    ck_assert(!negotiate_prefers(NULL, "count=exact"));
    ck_assert_int_eq(negotiate_encoding(NULL), ENCODING_IDENTITY);
    ck_assert_int_eq(negotiate_encoding("GZIP"), ENCODING_GZIP);
    ck_assert_int_eq(negotiate_encoding("gzip, gzip"), ENCODING_OTHER);
}
END_TEST

RUN_TESTS("negotiate", chooses_answers, takes_bodies, reads_preferences)
