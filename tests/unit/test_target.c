#include "suite.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "target.h"

static struct arena *arena;

static void set_up(void)
{
    arena = arena_new(1 << 20);
    ck_assert_ptr_nonnull(arena);
}

static void tear_down(void)
{
    arena_free(arena);
}

/* Segments as <a><b>, parameters as a=b; */
static const char *picture(const struct target *t)
{
    char *text = arena_strdup(arena, "");

    for (size_t i = 0; i < t->n_segments; i++)
        text = arena_printf(arena, "%s<%.*s>", text, (int)t->segments[i].n, t->segments[i].p);
    for (size_t i = 0; i < t->n_query; i++)
        text = arena_printf(arena, "%s%s=%s;", text, t->query[i].name.p, t->query[i].value.p);
    return text;
}

START_TEST(reads_targets)
{
    static const struct {
        const char *what, *raw, *picture;
    } rows[] = {
        { "the root", "/", "" },
        { "segments", "/v1/organizations/DN-TU", "<v1><organizations><DN-TU>" },
        { "an escaped slash stays inside its segment", "/v1/a%2Fb", "<v1><a/b>" },
        { "a plus in the path is a plus", "/v1/a+b", "<v1><a+b>" },
        { "escaped UTF-8", "/v1/%C4%91", "<v1><đ>" },
        { "raw UTF-8", "/v1/đ?q=ồ", "<v1><đ>q=ồ;" },
        { "a plus in the query is a space", "/x?q=a+b%2Bc", "<x>q=a b+c;" },
        { "an empty query", "/x?", "<x>" },
        { "a parameter without a value", "/x?a&b=", "<x>a=;b=;" },
        { "brackets", "/x?kind[in]=a,b&kind%5Bne%5D=c", "<x>kind[in]=a,b;kind[ne]=c;" },
        { "an equals sign in a value", "/x?a=b=c", "<x>a=b=c;" },
        { "a question mark in a value", "/x?a=b?c", "<x>a=b?c;" },
        { "repetitions are kept apart", "/x?a=1&a=2", "<x>a=1;a=2;" },
        { "an absolute target", "http://host:80/x?a=1", "<x>a=1;" },
        { "an absolute target without a path", "http://host", "" },
        { "three dots are a name", "/v1/...", "<v1><...>" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct target t;

        ck_assert_msg(target_parse(arena, rows[i].raw, &t) == 0, "%s", rows[i].what);
        ck_assert_msg(strcmp(picture(&t), rows[i].picture) == 0, "%s: %s", rows[i].what, picture(&t));
    }
}
END_TEST

START_TEST(refuses_targets)
{
    static const struct {
        const char *what, *raw;
        int r;
    } rows[] = {
        { "two slashes", "//v1", -ENOENT },
        { "two slashes inside", "/v1//x", -ENOENT },
        { "a slash at the end", "/v1/", -ENOENT },
        { "a dot segment", "/v1/./x", -ENOENT },
        { "a way up", "/v1/../x", -ENOENT },
        { "an escaped way up", "/v1/%2e%2E/x", -ENOENT },
        { "too deep", "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h", -ENOENT },
        { "a NUL", "/v1/a%00b", -EINVAL },
        { "a NUL after two slashes", "//a%00b", -EINVAL },
        { "a broken escape", "/v1/%zz", -EINVAL },
        { "half an escape", "/v1/a%2", -EINVAL },
        { "bad UTF-8", "/v1/%ff", -EINVAL },
        { "an overlong slash", "/v1/%c0%af", -EINVAL },
        { "a raw space", "/v1/a b", -EINVAL },
        { "a control character", "/v1/a\x01", -EINVAL },
        { "a fragment", "/v1/a#b", -EINVAL },
        { "a backslash", "/v1\\x", -EINVAL },
        { "no slash", "v1", -EINVAL },
        { "nothing", "", -EINVAL },
        { "an empty name", "/x?=x&b=2", -EBADMSG },
        { "nothing between ampersands", "/x?a=1&&b=2", -EBADMSG },
        { "ampersands first", "/x?&&b=2", -EBADMSG },
        { "an ampersand last", "/x?a=1&", -EBADMSG },
        { "a NUL in a value", "/x?a=%00", -EBADMSG },
        { "a broken escape in a value", "/x?a=%zz", -EBADMSG },
        { "bad UTF-8 in a name", "/x?%ff=1", -EBADMSG },
        { "a raw control character in a value", "/x?a=\x02", -EBADMSG },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct target t;
        int r = target_parse(arena, rows[i].raw, &t);

        ck_assert_msg(r == rows[i].r, "%s: %d", rows[i].what, r);
    }
}
END_TEST

START_TEST(bounds_parameters)
{
    char raw[2 * (TARGET_QUERY_MAX + 2) + 4] = "/x?";
    struct target t;

    for (size_t i = 0; i < TARGET_QUERY_MAX; i++)
        strcat(raw, i == 0 ? "a" : "&a");
    ck_assert_int_eq(target_parse(arena, raw, &t), 0);
    ck_assert_uint_eq(t.n_query, TARGET_QUERY_MAX);
    strcat(raw, "&a");
    ck_assert_int_eq(target_parse(arena, raw, &t), -EBADMSG);
}
END_TEST

/* Whatever bytes come: an answer, and nothing read outside the text. */
START_TEST(survives_noise)
{
    static const char alphabet[] = "/?&=%0aF.+#\\ \xc4\x91\xff[]*:hvt";
    unsigned seed = 20261121;

    for (int round = 0; round < 200000; round++) {
        char *raw;
        size_t n;
        struct target t;

        seed = seed * 1664525 + 1013904223;
        n = seed >> 27;
        raw = malloc(n + 1);
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            raw[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        raw[n] = '\0';
        if (target_parse(arena, raw, &t) == 0)
            for (size_t i = 0; i < t.n_segments; i++)
                ck_assert(t.segments[i].n > 0 && strlen(t.segments[i].p) == t.segments[i].n);
        free(raw);
        arena_reset(arena);
    }
}
END_TEST

START_TEST(names_paths)
{
    static const struct {
        const char *raw, *path;
    } rows[] = {
        { "/v1/a?b=c", "/v1/a" },
        { "/v1/đ%C4%91", "/v1/đ%C4%91" },
        { "/a\xff/đ", "/a%FF/%C4%91" },
        { "http://host/x?y", "/x" },
        { "*", "*" },
        { "/v1/calendars/Zk3v0n?x", "/v1/calendars/***" },
        { "/v1/calendars/Zk3v0n/more/", "/v1/calendars/***" },
        { "/v1/calendars%2FZk3v0n", "/v1/calendars/***" },
        { "//v1/%63ALENDAR%53/Zk3v0n", "//v1/%63ALENDAR%53/***" },
        { "/v1/calendars/Zk3\xff%zz", "/v1/calendars/***" },
        { "/\xff/calendars/Zk3", "/%FF/calendars/***" },
        { "https://host/v1/calendarsZk3", "/v1/calendars/***" },
        { "/v1/calendars", "/v1/calendars" },
        { "/v1/calendar-subscriptions/0198", "/v1/calendar-subscriptions/0198" },
        { "/v1/campaigns/A/calendar", "/v1/campaigns/A/calendar" },
        { "/v1/%calenda", "/v1/%calenda" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_str_eq(target_path(arena, rows[i].raw), rows[i].path);
}
END_TEST

RUN_TESTS_WITH(
    "target", set_up, tear_down, names_paths, reads_targets, refuses_targets, bounds_parameters, survives_noise)
