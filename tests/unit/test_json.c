#include "suite.h"

#include <errno.h>
#include <string.h>

#include "json.h"
#include "util.h"

static struct arena *arena;

static void set_up(void)
{
    arena = arena_new(64 << 20);
    ck_assert_ptr_nonnull(arena);
}

static void tear_down(void)
{
    arena_free(arena);
}

/* Every fault as "code@pointer " in a row. */
static const char *told(const struct faults *f)
{
    char *text = arena_strdup(arena, "");

    for (size_t i = 0; i < f->n; i++)
        text = arena_printf(arena, "%s%s%s@%s", text, i > 0 ? " " : "", f->items[i].code, f->items[i].name);
    return text;
}

START_TEST(checks_raw_text)
{
    static const struct {
        struct str in;
        int r;
        const char *faults;
    } rows[] = {
        { STR("{}"), 0, "" },
        { STR(" [1, -0, 2.5e3, \"x\", true, false, null] \r\n\t"), 0, "" },
        { STR("\"text\""), 0, "" },
        { STR("{\"a\":0.1,\"b\":123456789012345,\"c\":1e30}"), 0, "" },
        { STR(""), -EBADMSG, "empty_body@#" },
        { STR(" \n"), -EBADMSG, "empty_body@#" },
        { STR("\xef\xbb\xbf{}"), -EBADMSG, "bom@#" },
        { STR("{\"a\":\"\xff\"}"), -EBADMSG, "bad_utf8@#" },
        { STR("{\"a\":\"\xed\xa0\x80\"}"), -EBADMSG, "bad_utf8@#" },
        { STR("{\"a\":\"x\0y\"}"), -EBADMSG, "nul@#/a" },
        { STR("{}\0"), -EBADMSG, "nul@#" },
        { STR("[-0\0]"), -EBADMSG, "syntax@#" }, /* Jansson passes over this one */
        { STR("{\"a\":[0,\"\\u0000\"]}"), -EBADMSG, "nul@#/a/1" },
        { STR("{\"a\":\"\\ud800\"}"), -EBADMSG, "lone_surrogate@#/a" },
        { STR("{\"a\":\"\\udc00\"}"), -EBADMSG, "lone_surrogate@#/a" },
        { STR("{\"a\":\"\\ud800\\u0041\"}"), -EBADMSG, "lone_surrogate@#/a" },
        { STR("{\"a\":\"\\ud83d\\ude00\"}"), 0, "" },
        { STR("{\"a\":1e400}"), -EDOM, "out_of_range@#/a" },
        { STR("{\"a\":1e31,\"b\":[1,1e-31]}"), -EDOM, "out_of_range@#/a out_of_range@#/b/1" },
        { STR("{\"a\":0.12345678901234567}"), -EDOM, "too_precise@#/a" },
        { STR("{\"a\":1234567890123456}"), -EDOM, "too_precise@#/a" },
        { STR("[100000000000000000000]"), -EDOM, "out_of_range@#/0" },
        { STR("[-100000000000000000]"), 0, "" },
        { STR("{\"x/y~z\\n\":{\"\\u0111\":12345678901234567}}"), -EDOM, "too_precise@#/x~1y~0z%0A/%C4%91" },
        { STR("{"), -EBADMSG, "syntax@#" },
        { STR("{\"a\"}"), -EBADMSG, "syntax@#/a" },
        { STR("{\"a\":1,}"), -EBADMSG, "syntax@#" },
        { STR("{a:1}"), -EBADMSG, "syntax@#" },
        { STR("[1,]"), -EBADMSG, "syntax@#/1" },
        { STR("[1 2]"), -EBADMSG, "syntax@#" },
        { STR("[01]"), -EBADMSG, "syntax@#/0" },
        { STR("[+1]"), -EBADMSG, "syntax@#/0" },
        { STR("[1.]"), -EBADMSG, "syntax@#/0" },
        { STR("[.5]"), -EBADMSG, "syntax@#/0" },
        { STR("[NaN]"), -EBADMSG, "syntax@#/0" },
        { STR("[Infinity]"), -EBADMSG, "syntax@#/0" },
        { STR("[tru]"), -EBADMSG, "syntax@#/0" },
        { STR("['a']"), -EBADMSG, "syntax@#/0" },
        { STR("[\"a\n\"]"), -EBADMSG, "syntax@#/0" },
        { STR("[\"\\x\"]"), -EBADMSG, "syntax@#/0" },
        { STR("[\"\\u12\"]"), -EBADMSG, "syntax@#/0" },
        { STR("[\"abc"), -EBADMSG, "syntax@#/0" },
        { STR("[\"abc\\"), -EBADMSG, "syntax@#/0" },
        { STR("{} {}"), -EBADMSG, "syntax@#" },
        { STR("// no\n{}"), -EBADMSG, "syntax@#" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct faults f;
        int r;

        faults_init(&f, arena, LANGUAGE_EN);
        r = json_text_check(rows[i].in.p, rows[i].in.n, &f);
        ck_assert_msg(r == rows[i].r, "%s: %d", rows[i].in.p, r);
        ck_assert_msg(strcmp(told(&f), rows[i].faults) == 0, "%s: %s", rows[i].in.p, told(&f));
    }
}
END_TEST

START_TEST(says_where_syntax_breaks)
{
    struct faults f;

    faults_init(&f, arena, LANGUAGE_VI);
    ck_assert_int_eq(json_text_check("{\n \"đ\": ?}", 11, &f), -EBADMSG);
    ck_assert_str_eq(f.items[0].detail, "Không phải JSON: dòng 2, cột 7");
}
END_TEST

START_TEST(refuses_depth)
{
    static char deep[6001];
    struct faults f;

    memset(deep, '[', 3000);
    memset(deep + 3000, ']', 3000);
    faults_init(&f, arena, LANGUAGE_EN);
    ck_assert_int_eq(json_text_check(deep, 6000, &f), -EBADMSG);
    ck_assert_str_eq(f.items[0].code, "too_deep");
    faults_init(&f, arena, LANGUAGE_EN);
    ck_assert_int_eq(json_text_check(deep + 3000 - 32, 64, &f), 0);
    ck_assert_int_eq(json_text_check(deep + 3000 - 33, 66, &f), -EBADMSG);
}
END_TEST

START_TEST(normalises_to_form_c)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "{\"a\":\"plain\"}", "{\"a\":\"plain\"}" },
        { "[\"\\u0041\"]", "[\"A\"]" },
        { "[\"\\u0111\\u1ea1\"]", "[\"đạ\"]" },
        { "[\"a\\u0301\"]", "[\"á\"]" },
        { "[\"\\u0061\xcc\x81\"]", "[\"á\"]" },
        { "[\"a\xcc\x81\"]", "[\"á\"]" },
        { "[\"\\n\xcc\x83\"]", "[\"\\n\xcc\x83\"]" },
        { "[\"\\u0022\\u005c\\u000a\\u001f\"]", "[\"\\\"\\\\\\u000a\\u001f\"]" },
        { "[\"\\\\u0041\"]", "[\"\\\\u0041\"]" },
        { "[\"\\ud83d\\ude00\"]", "[\"\xf0\x9f\x98\x80\"]" },
        { "[\"\\u2126\"]", "[\"Ω\"]" },
        { "[1.50, 0.1, 1e2]", "[1.50, 0.1, 1e2]" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str out;

        ck_assert_int_eq(json_text_normalise(arena, rows[i].in, strlen(rows[i].in), &out), 0);
        ck_assert_msg(str_is(out, rows[i].out), "%s -> %s", rows[i].in, out.p);
        ck_assert_int_eq(out.p[out.n], '\0');
        if (strcmp(rows[i].in, rows[i].out) == 0 && !strstr(rows[i].in, "\\u"))
            ck_assert_ptr_eq(out.p, rows[i].in);
    }
}
END_TEST

START_TEST(reads_documents)
{
    const char *text = "{\"a\":0.10,\"t\\u00ean\":\"Hoa\xcc\x80\"}";
    struct json_document d = { 0 };
    struct faults f;

    faults_init(&f, arena, LANGUAGE_EN);
    ck_assert_int_eq(json_read(arena, text, strlen(text), &d, &f), 0);
    ck_assert_str_eq(d.text.p, "{\"a\":0.10,\"tên\":\"Hoà\"}");
    ck_assert_str_eq(json_string_value(json_object_get(d.tree, "tên")), "Hoà");
    json_document_done(&d);
    ck_assert_ptr_null(d.tree);
}
END_TEST

START_TEST(refuses_keys_given_twice)
{
    static const char *const rows[] = { "{\"a\":1,\"a\":1}", "{\"x\":[{\"b\":1,\"b\":2}]}", "{\"\\u0061\":1,\"a\":1}",
        "{\"\xc3\xa1\":1,\"a\xcc\x81\":1}" };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json_document d = { 0 };
        struct faults f;

        faults_init(&f, arena, LANGUAGE_EN);
        ck_assert_int_eq(json_read(arena, rows[i], strlen(rows[i]), &d, &f), -EBADMSG);
        ck_assert_str_eq(told(&f), "duplicate_key@#");
        ck_assert_ptr_null(d.tree);
    }
}
END_TEST

/* Elements as text@line, a broken end as "!". */
static const char *elements(const char *text)
{
    struct json_elements it;
    struct str element;
    char *out = arena_strdup(arena, "");
    int r;

    json_elements_init(&it, text, strlen(text));
    while ((r = json_elements_next(&it, &element)) > 0)
        out = arena_printf(arena, "%s%zu:%.*s@%zu ", out, it.index, (int)element.n, element.p, it.line);
    return r < 0 ? arena_printf(arena, "%s!", out) : out;
}

START_TEST(walks_elements)
{
    ck_assert_str_eq(elements("[]"), "");
    ck_assert_str_eq(elements(" [ ] "), "");
    ck_assert_str_eq(elements("[1]"), "0:1@1 ");
    ck_assert_str_eq(elements("[1, {\"a\":[1,2]} ,\n \"],\\\"\" ]\n"), "0:1@1 1:{\"a\":[1,2]}@1 2:\"],\\\"\"@2 ");
    ck_assert_str_eq(elements("[{\n\n},\n{\n}]"), "0:{\n\n}@1 1:{\n}@4 ");
    ck_assert_str_eq(elements("{}"), "!");
    ck_assert_str_eq(elements(""), "!");
    ck_assert_str_eq(elements("[1"), "!");
    ck_assert_str_eq(elements("[1,]"), "0:1@1 !");
    ck_assert_str_eq(elements("[,1]"), "!");
    ck_assert_str_eq(elements("[1] x"), "0:1@1 !");
    ck_assert_str_eq(elements("[\"a"), "!");
    ck_assert_str_eq(elements("[1}"), "0:1@1 !");
}
END_TEST

START_TEST(writes_trees)
{
    _cleanup_(json_decrefp) json_t *j = json_pack("{s:f,s:[i,n]}", "a", 0.1, "b", 3);

    ck_assert_str_eq(json_text_of(arena, j), "{\"a\":0.1,\"b\":[3,null]}");
}
END_TEST

RUN_TESTS_WITH("json", set_up, tear_down, checks_raw_text, says_where_syntax_breaks, refuses_depth,
    normalises_to_form_c, reads_documents, refuses_keys_given_twice, walks_elements, writes_trees)
