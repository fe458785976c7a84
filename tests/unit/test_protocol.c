#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "protocol.h"

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

static int check(struct bridge_request *req, const char *version, const struct header *headers, size_t n)
{
    const char *header = NULL;

    memset(req, 0, sizeof(*req));
    req->version = version;
    memcpy(req->headers, headers, n * sizeof(*headers));
    req->n_headers = n;
    return protocol_check(arena, req, &header);
}

START_TEST(judges_headers)
{
    static const struct {
        const char *what, *version;
        struct header headers[4];
        int problem;
    } rows[] = {
        { "a plain request", "HTTP/1.1", { { "Host", "x" } }, 0 },
        { "no Host", "HTTP/1.1", { { "Accept", "x" } }, P_BAD_HEADER },
        { "no Host in HTTP/1.0", "HTTP/1.0", { { "Accept", "x" } }, 0 },
        { "an empty Host", "HTTP/1.1", { { "Host", "" } }, P_BAD_HEADER },
        { "two Hosts", "HTTP/1.1", { { "Host", "x" }, { "host", "x" } }, P_BAD_HEADER },
        { "two lengths", "HTTP/1.1", { { "Host", "x" }, { "Content-Length", "1" }, { "Content-Length", "1" } },
            P_BAD_HEADER },
        { "length and chunks", "HTTP/1.1",
            { { "Host", "x" }, { "Content-Length", "1" }, { "Transfer-Encoding", "chunked" } }, P_BAD_HEADER },
        { "two tokens", "HTTP/1.1", { { "Host", "x" }, { "Authorization", "a" }, { "authorization", "b" } },
            P_BAD_HEADER },
        { "two preconditions", "HTTP/1.1", { { "Host", "x" }, { "If-Match", "a" }, { "If-Match", "b" } },
            P_BAD_HEADER },
        { "a space before the colon", "HTTP/1.1", { { "Host", "x" }, { "Accept ", "b" } }, P_BAD_HEADER },
        { "a name that is none", "HTTP/1.1", { { "Host", "x" }, { "", "b" } }, P_BAD_HEADER },
        { "a control character", "HTTP/1.1", { { "Host", "x" }, { "X-A", "b\x01" } }, P_BAD_HEADER },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bridge_request req;
        size_t n = 0;
        int r;

        while (n < 4 && rows[i].headers[n].name != NULL)
            n++;
        r = check(&req, rows[i].version, rows[i].headers, n);
        ck_assert_msg(r == rows[i].problem, "%s: %d", rows[i].what, r);
    }
}
END_TEST

START_TEST(joins_lists)
{
    static const struct header headers[] = { { "Host", "x" }, { "Accept", "a" }, { "accept", "b" }, { "X-A", "1" },
        { "ACCEPT", "c" } };
    struct bridge_request req;

    ck_assert_int_eq(check(&req, "HTTP/1.1", headers, ARRAY_SIZE(headers)), 0);
    ck_assert_uint_eq(req.n_headers, 3);
    ck_assert_str_eq(header_find(req.headers, req.n_headers, "Accept"), "a, b, c");
    ck_assert_str_eq(header_find(req.headers, req.n_headers, "x-a"), "1");
}
END_TEST

START_TEST(names_methods)
{
    ck_assert_int_eq(protocol_method("GET"), METHOD_GET);
    ck_assert_int_eq(protocol_method("get"), -1);
    ck_assert_int_eq(protocol_method("TRACE"), -1);
    ck_assert_str_eq(protocol_allow(arena, 1U << METHOD_GET | 1U << METHOD_PATCH), "GET, PATCH");
}
END_TEST

RUN_TESTS_WITH("protocol", set_up, tear_down, judges_headers, joins_lists, names_methods)
