#include "suite.h"

#include <errno.h>
#include <string.h>

#include "schema.h"
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

static const char *const kinds[] = { "large", "small" };
static const struct schema kind = { .types = TYPE_STRING, .values = kinds, .n_values = 2 };
static const struct schema name = { .types = TYPE_STRING, .min_length = 2, .max_length = 5 };
static const struct schema note = { .types = TYPE_STRING | TYPE_NULL, .max_length = 5 };
static const struct schema count = {
    .types = TYPE_INTEGER,
    .bounds = HAS_MINIMUM | HAS_MAXIMUM,
    .minimum = 1,
    .maximum = 9,
};
static const struct schema weight = {
    .types = TYPE_NUMBER,
    .bounds = HAS_MINIMUM | HAS_MAXIMUM | EXCLUSIVE_MINIMUM | EXCLUSIVE_MAXIMUM,
    .minimum = 0,
    .maximum = 2.5,
};
static const struct schema tag = { .types = TYPE_STRING };
static const struct schema tags = {
    .types = TYPE_ARRAY,
    .min_items = 1,
    .max_items = 3,
    .unique_items = true,
    .items = &tag,
};
static const struct schema day = { .types = TYPE_STRING, .format = FORMAT_DATE };
static const struct schema truth = { .types = TYPE_BOOLEAN };
static const struct property done_properties[] = { { .name = "done", .schema = &truth, .required = true } };
static const struct schema done = { .types = TYPE_OBJECT, .properties = done_properties, .n_properties = 1 };
static const struct property pair_properties[] = {
    { .name = "high", .schema = &weight, .required = true },
    { .name = "low", .schema = &weight, .required = true },
};
static const struct schema pair = { .types = TYPE_OBJECT, .properties = pair_properties, .n_properties = 2 };
static const struct schema nothing = { .types = TYPE_NULL };
static const struct schema *const forms[] = { &done, &pair, &nothing };
static const struct schema form = { .one_of = forms, .n_one_of = 3 };
static const struct property properties[] = {
    { .name = "a/b~", .schema = &count },
    { .name = "count", .schema = &count },
    { .name = "day", .schema = &day },
    { .name = "form", .schema = &form },
    { .name = "id", .schema = &tag, .read_only = true },
    { .name = "kind", .schema = &kind, .required = true },
    { .name = "name", .schema = &name, .required = true },
    { .name = "note", .schema = &note },
    { .name = "tags", .schema = &tags },
    { .name = "weight", .schema = &weight },
};
static const struct schema thing = {
    .types = TYPE_OBJECT,
    .min_properties = 1,
    .properties = properties,
    .n_properties = ARRAY_SIZE(properties),
};
static const struct schema things = { .types = TYPE_ARRAY, .max_items = 9, .items = &thing };

/* The faults of a text under a schema as "code@pointer" in a row. */
static const char *faults_of(const struct schema *s, const char *text, enum schema_mode mode)
{
    _cleanup_(json_decrefp) json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
    char *out = arena_strdup(arena, "");
    struct faults f;
    int r;

    ck_assert_msg(j != NULL, "%s", text);
    faults_init(&f, arena, LANGUAGE_EN);
    r = schema_check(s, j, mode, &f);
    ck_assert_int_eq(r, f.total > 0 ? -EINVAL : 0);
    for (size_t i = 0; i < f.n; i++)
        out = arena_printf(arena, "%s%s%s@%s", out, i > 0 ? " " : "", f.items[i].code, f.items[i].name);
    return out;
}

struct row {
    const char *text, *faults;
};

static void check_rows(const struct schema *s, enum schema_mode mode, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *faults = faults_of(s, rows[i].text, mode);

        ck_assert_msg(strcmp(faults, rows[i].faults) == 0, "%s: %s", rows[i].text, faults);
    }
}

START_TEST(checks_a_whole_body)
{
    static const struct row rows[] = {
        { "{\"kind\":\"small\",\"name\":\"abc\"}", "" },
        { "{\"kind\":\"small\",\"name\":\"được\",\"note\":null,\"count\":9,\"weight\":0.1,\"day\":\"2024-02-29\"}",
            "" },
        { "[]", "type@#" },
        { "\"x\"", "type@#" },
        { "null", "type@#" },
        { "{}", "too_few@# required@#/kind required@#/name" },
        { "{\"kind\":\"big\",\"name\":\"a\",\"zz\":1}", "enum@#/kind too_short@#/name unknown_field@#/zz" },
        { "{\"kind\":7,\"name\":\"abcdef\"}", "type@#/kind too_long@#/name" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"name \":1,\"t\\u00ean\":1}",
            "unknown_field@#/name%20 "
            "unknown_field@#/t%C3%AAn" },
        { "{\"kind\":\"small\",\"name\":null}", "type@#/name" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"id\":\"x\"}", "read_only@#/id" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"a/b~\":0}", "too_small@#/a~1b~0" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"count\":10,\"weight\":2.5}", "too_large@#/count too_large@#/weight" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"count\":1.0,\"weight\":0}", "type@#/count too_small@#/weight" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"count\":\"1\",\"weight\":true}", "type@#/count type@#/weight" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"day\":\"2025-02-29\"}", "format@#/day" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"tags\":[]}", "too_few@#/tags" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"tags\":[\"a\",\"a\",1,2]}", "too_many@#/tags" },
        { "{\"kind\":\"small\",\"name\":\"ab\",\"tags\":[\"a\",1,\"a\"]}", "not_unique@#/tags type@#/tags/1" },
    };

    check_rows(&thing, SCHEMA_WHOLE, rows, ARRAY_SIZE(rows));
}
END_TEST

START_TEST(checks_elements)
{
    static const struct row rows[] = {
        { "[]", "" },
        { "[{\"kind\":\"small\",\"name\":\"ab\"},{\"kind\":1}]", "type@#/1/kind required@#/1/name" },
        { "[1,null]", "type@#/0 type@#/1" },
    };

    check_rows(&things, SCHEMA_WHOLE, rows, ARRAY_SIZE(rows));
}
END_TEST

START_TEST(takes_one_of_several_forms)
{
    static const struct row rows[] = {
        { "null", "" },
        { "{\"done\":true}", "" },
        { "{\"low\":1,\"high\":2}", "" },
        { "{\"low\":1}", "required@#/high" },
        { "{\"done\":1}", "type@#/done" },
        { "[]", "one_of@#" },
        { "3", "one_of@#" },
    };

    check_rows(&form, SCHEMA_WHOLE, rows, ARRAY_SIZE(rows));
}
END_TEST

START_TEST(refuses_what_fits_two_forms)
{
    static const struct schema *const twice[] = { &tag, &name };
    static const struct schema both = { .one_of = twice, .n_one_of = 2 };

    ck_assert_str_eq(faults_of(&both, "\"abc\"", SCHEMA_WHOLE), "ambiguous@#");
    ck_assert_str_eq(faults_of(&both, "\"a\"", SCHEMA_WHOLE), "");
}
END_TEST

START_TEST(checks_a_merge_patch)
{
    static const struct row rows[] = {
        { "{\"name\":\"abc\"}", "" },
        { "{\"note\":null,\"form\":null}", "" },
        { "{}", "too_few@#" },
        { "{\"name\":null}", "required@#/name" },
        { "{\"count\":null}", "type@#/count" },
        { "{\"zz\":null}", "unknown_field@#/zz" },
        { "{\"id\":null}", "read_only@#/id" },
        { "{\"name\":\"\",\"kind\":\"x\"}", "too_short@#/name enum@#/kind" },
        { "{\"form\":{\"low\":1}}", "" },
        { "{\"tags\":[1]}", "type@#/tags/0" },
        { "[]", "type@#" },
    };

    check_rows(&thing, SCHEMA_MERGE_PATCH, rows, ARRAY_SIZE(rows));
}
END_TEST

START_TEST(says_what_is_expected)
{
    _cleanup_(json_decrefp) json_t *j =
        json_loads("{\"kind\":\"x\",\"name\":1,\"count\":0,\"weight\":0,\"note\":1}", 0, NULL);
    struct faults f;

    faults_init(&f, arena, LANGUAGE_EN);
    ck_assert_int_eq(schema_check(&thing, j, SCHEMA_WHOLE, &f), -EINVAL);
    ck_assert_uint_eq(f.n, 5);
    ck_assert_str_eq(f.items[0].detail, "Must be one of: large, small");
    ck_assert_str_eq(f.items[1].detail, "Must be of type string");
    ck_assert_str_eq(f.items[2].detail, "Must be ≥ 1");
    ck_assert_str_eq(f.items[3].detail, "Must be > 0");
    ck_assert_str_eq(f.items[4].detail, "Must be of type null, string");
}
END_TEST

START_TEST(collects_a_hundred)
{
    _cleanup_(json_decrefp) json_t *j = json_array();
    static const struct schema many = { .types = TYPE_ARRAY, .items = &tag };
    struct faults f;

    for (int i = 0; i < 150; i++)
        json_array_append_new(j, json_integer(i));
    faults_init(&f, arena, LANGUAGE_EN);
    ck_assert_int_eq(schema_check(&many, j, SCHEMA_WHOLE, &f), -EINVAL);
    ck_assert_uint_eq(f.n, FAULTS_MAX);
    ck_assert_uint_eq(f.total, 150);
    ck_assert_str_eq(f.items[99].name, "#/99");
}
END_TEST

START_TEST(knows_formats)
{
    static const struct {
        enum schema_format format;
        const char *text;
        bool holds;
    } rows[] = {
        { FORMAT_DATE, "2024-02-29", true },
        { FORMAT_DATE, "1900-02-29", false },
        { FORMAT_DATE, "2000-02-29", true },
        { FORMAT_DATE, "2025-13-01", false },
        { FORMAT_DATE, "2025-00-10", false },
        { FORMAT_DATE, "2025-04-31", false },
        { FORMAT_DATE, "0000-01-01", false },
        { FORMAT_DATE, "2025-1-1", false },
        { FORMAT_DATE, "2025-01-01T00:00:00Z", false },
        { FORMAT_DATE, "31/12/2025", false },
        { FORMAT_DATE_TIME, "2025-01-01T00:00:00Z", true },
        { FORMAT_DATE_TIME, "2025-01-01T00:00:00.123456+07:00", true },
        { FORMAT_DATE_TIME, "2025-01-01T00:00:00", false },
        { FORMAT_DATE_TIME, "2025-01-01 00:00:00Z", false },
        { FORMAT_DATE_TIME, "2025-01-01T24:00:00Z", false },
        { FORMAT_DATE_TIME, "2025-01-01T00:00:00.Z", false },
        { FORMAT_DATE_TIME, "2025-01-01T00:00:00+0700", false },
        { FORMAT_DATE_TIME, "2025-01-01T00:00:00.1234567890Z", false },
        { FORMAT_DATE_TIME, "2025-02-30T00:00:00Z", false },
        { FORMAT_UUID, "01890a5d-ac96-774b-bcce-b302099a8057", true },
        { FORMAT_UUID, "01890a5dac96774bbcceb302099a8057", false },
        { FORMAT_URI, "https://example.vn/a?b=%20#c", true },
        { FORMAT_URI, "urn:x:y", true },
        { FORMAT_URI, "/a/b", false },
        { FORMAT_URI, "https:", false },
        { FORMAT_URI, "https://a b", false },
        { FORMAT_URI, "1http://a", false },
        { FORMAT_EMAIL, "van.thu@dongnai.gov.vn", true },
        { FORMAT_EMAIL, "a@b", false },
        { FORMAT_EMAIL, "@b.vn", false },
        { FORMAT_EMAIL, "a@-b.vn", false },
        { FORMAT_EMAIL, "a..b@c.vn", false },
        { FORMAT_EMAIL, "a b@c.vn", false },
        { FORMAT_EMAIL, "a@b.", false },
        { FORMAT_EMAIL, "", false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(
            format_holds(rows[i].format, rows[i].text, strlen(rows[i].text)) == rows[i].holds, "%s", rows[i].text);
}
END_TEST

static const struct schema page = { .types = TYPE_INTEGER, .bounds = HAS_MINIMUM, .minimum = 1 };
static const struct schema code = { .types = TYPE_STRING, .min_length = 1, .max_length = 3 };
static const struct parameter parameters[] = {
    { .name = "thing", .in = IN_PATH, .required = true, .schema = &code },
    { .name = "limit", .in = IN_QUERY, .schema = &page, .fallback = "50" },
    { .name = "kind[in]", .in = IN_QUERY, .list = true, .max_items = 2, .schema = &kind },
    { .name = "live", .in = IN_QUERY, .schema = &truth },
    { .name = "weight", .in = IN_QUERY, .schema = &weight },
    { .name = "on", .in = IN_QUERY, .required = true, .schema = &day },
    { .name = "If-Match", .in = IN_HEADER, .schema = &code },
};

/* Checks "a=1&b=2" without any decoding; the answer is the faults, or the values in a row. */
static const char *query_of(const char *text, enum parameter_in in)
{
    struct pair given[8];
    const char *values[ARRAY_SIZE(parameters)] = { NULL };
    char *copy = arena_strdup(arena, text), *out = arena_strdup(arena, ""), *piece;
    struct faults f;
    size_t n = 0;

    while ((piece = strsep(&copy, "&")) && *piece) {
        char *value = strchr(piece, '=');

        *value++ = '\0';
        given[n++] = (struct pair){ str_from(piece), str_from(value) };
    }
    faults_init(&f, arena, LANGUAGE_EN);
    if (parameters_check(parameters, ARRAY_SIZE(parameters), in, given, n, values, &f) == 0)
        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
            out = arena_printf(arena, "%s%s|", out, values[i] ? values[i] : "");
    for (size_t i = 0; i < f.n; i++)
        out = arena_printf(arena, "%s%s%s@%s", out, i > 0 ? " " : "", f.items[i].code, f.items[i].name);
    return out;
}

START_TEST(knows_what_cannot_be_seen)
{
    static const struct schema line = { .types = TYPE_STRING, .format = FORMAT_LINE };
    static const char *const seen[] = { "\"Đảng ủy phường Trấn Biên\"", "\"“a” – 日本 ₫\"", "\"🏛\"", "\"\"" };
    static const char *const hidden[] = { "\"a\\nb\"", "\"a\\tb\"", "\"a\\u0085\"", "\"a\u200bb\"", "\"\u202etxt\"",
        "\"\u2066\"", "\"a\ufeff\"", "\"\U000e0041\"", "\"\u00ad\"", "\"a\ufe0f\"" };

    static const struct schema some = { .types = TYPE_STRING, .min_length = 1 };
    static const char *const blank[] = { "\" \"", "\"\u00a0\"", "\" \u3000\\n\"", "\"\u200b\u2800\"", "\"\"" };

    for (size_t i = 0; i < ARRAY_SIZE(blank); i++)
        ck_assert_msg(strcmp(faults_of(&some, blank[i], SCHEMA_WHOLE), "too_short@#") == 0, "%s", blank[i]);
    ck_assert_str_eq(faults_of(&some, "\" a\"", SCHEMA_WHOLE), "");
    static const struct schema lines = { .types = TYPE_STRING },
                               secret = { .types = TYPE_STRING, .format = FORMAT_PASSWORD };
    static const char *const broken[] = { "\"a\\rb\"", "\"a\\r\"", "\"a\\nb\\u0007\"" };

    ck_assert_str_eq(faults_of(&lines, "\"a\\nb\\tc\\r\\nĐảng ủy\"", SCHEMA_WHOLE), "");
    for (size_t i = 3; i < ARRAY_SIZE(hidden); i++) {
        ck_assert_msg(
            strcmp(faults_of(&lines, hidden[i], SCHEMA_WHOLE), "invisible_character@#") == 0, "%s", hidden[i]);
        ck_assert_str_eq(faults_of(&secret, hidden[i], SCHEMA_WHOLE), "");
    }
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        ck_assert_msg(
            strcmp(faults_of(&lines, broken[i], SCHEMA_WHOLE), "invisible_character@#") == 0, "%s", broken[i]);
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
        ck_assert_msg(strcmp(faults_of(&line, seen[i], SCHEMA_WHOLE), "") == 0, "%s", seen[i]);
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
        ck_assert_msg(strcmp(faults_of(&line, hidden[i], SCHEMA_WHOLE), "invisible_character@#") == 0, "%s", hidden[i]);
}
END_TEST

START_TEST(checks_parameters)
{
    static const struct row rows[] = {
        { "on=2025-01-01", "|50||||2025-01-01||" },
        { "on=2025-01-01&limit=7&kind[in]=small,large&live=true&weight=1.5", "|7|small,large|true|1.5|2025-01-01||" },
        { "", "required@on" },
        { "on=x&limit=0", "format@on too_small@limit" },
        { "on=2025-01-01&limit=ten", "type@limit" },
        { "on=2025-01-01&limit=1.5", "type@limit" },
        { "on=2025-01-01&limit= 1", "type@limit" },
        { "on=2025-01-01&limit=", "type@limit" },
        { "on=2025-01-01&limit=-99999999999999999999", "too_small@limit" },
        { "on=2025-01-01&live=yes&weight=1e400", "type@live type@weight" },
        { "on=2025-01-01&weight=0x1", "type@weight" },
        { "on=2025-01-01&zz=1&kinds=small", "unknown_parameter@zz unknown_parameter@kinds" },
        { "on=2025-01-01&on=2025-01-01", "repeated_parameter@on" },
        { "on=x&on=y", "format@on repeated_parameter@on" },
        { "on=2025-01-01&kind[in]=small,,large", "too_short@kind[in]" },
        { "on=2025-01-01&kind[in]=small,tiny", "enum@kind[in]" },
        { "on=2025-01-01&kind[in]=small,large,small", "too_many@kind[in]" },
        { "on=2025-01-01&If-Match=1", "unknown_parameter@If-Match" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(strcmp(query_of(rows[i].text, IN_QUERY), rows[i].faults) == 0, "%s: %s", rows[i].text,
            query_of(rows[i].text, IN_QUERY));
    ck_assert_str_eq(query_of("Accept=x&IF-match=abc", IN_HEADER), "||||||abc|");
    ck_assert_str_eq(query_of("if-match=abcd", IN_HEADER), "too_long@If-Match");
    ck_assert_str_eq(query_of("if-match=\xf3"
                              "a",
                         IN_HEADER),
        "bad_utf8@If-Match");
    ck_assert_str_eq(query_of("thing=abcd", IN_PATH), "too_long@thing");
}
END_TEST

START_TEST(writes_arrays)
{
    ck_assert_str_eq(parameter_array(arena, ""), "{}");
    ck_assert_str_eq(parameter_array(arena, "a"), "{\"a\"}");
    ck_assert_str_eq(parameter_array(arena, "a,b c,NULL"), "{\"a\",\"b c\",\"NULL\"}");
    ck_assert_str_eq(parameter_array(arena, "a\"\\,{}"), "{\"a\\\"\\\\\",\"{}\"}");
    ck_assert_str_eq(parameter_array(arena, ",,"), "{\"\",\"\",\"\"}");
}
END_TEST

START_TEST(reads_forms)
{
    const struct pair good[] = { { STR("a"), STR("1") }, { STR("b"), STR("x y") } };
    const struct pair twice[] = { { STR("a"), STR("1") }, { STR("a"), STR("2") } };
    _cleanup_(json_decrefp) json_t *tree = NULL;
    struct faults f;

    faults_init(&f, arena, LANGUAGE_EN);
    ck_assert_int_eq(form_tree(NULL, good, 2, &tree, &f), 0);
    ck_assert_str_eq(json_string_value(json_object_get(tree, "b")), "x y");
    json_decref(tree);
    tree = NULL;
    ck_assert_int_eq(form_tree(NULL, twice, 2, &tree, &f), -EINVAL);
    ck_assert_ptr_null(tree);
    ck_assert_str_eq(f.items[0].name, "#/a");
}
END_TEST

RUN_TESTS_WITH("schema", set_up, tear_down, checks_a_whole_body, checks_elements, takes_one_of_several_forms,
    refuses_what_fits_two_forms, checks_a_merge_patch, says_what_is_expected, collects_a_hundred, knows_formats,
    knows_what_cannot_be_seen, checks_parameters, writes_arrays, reads_forms)
