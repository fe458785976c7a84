#include "suite.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "shape.h"

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

static const struct schema text_schema = { .types = TYPE_STRING };
static const struct parameter parameters[] = {
    { .name = "parent", .in = IN_PATH, .schema = &text_schema },
    { .name = "kind", .in = IN_QUERY, .schema = &text_schema },
    { .name = "kind[in]", .in = IN_QUERY, .list = true, .schema = &text_schema },
    { .name = "under", .in = IN_QUERY, .schema = &text_schema },
};
static const char *const kind_pieces[] = { "o.kind = ", "" };
static const char *const kind_in_pieces[] = { "o.kind = ANY(", "::text[])" };
static const char *const under_pieces[] = { "o.key >= (SELECT x FROM r", ") AND o.key < hi((SELECT x FROM r", "))" };
static const char *const under_lookup[] = { "filter_key(", ", 'under')" };
static const struct list_filter filters[] = {
    { "kind", 1, kind_pieces, 2, NULL, 0, NULL, 0 },
    { "kind[in]", 2, kind_in_pieces, 2, NULL, 0, NULL, 0 },
    { "under", 3, under_pieces, 3, under_lookup, 2, NULL, 0 },
};
static const struct list_column columns[] = { { "id", "o.id", false }, { "code", "o.code", false },
    { "parent", "p.code", false } };
static const struct list_sort sorts[] = { { "tree", "o.key", false }, { "code", "o.code", false },
    { "on", "o.at", false } };
static const struct list_embed embeds[] = { { "parent", "parent_unit", "ref(o.parent)" } };
static const struct list_query list = {
    .name = "list",
    .id = "o.id",
    .from = "FROM o WHERE o.parent = $1",
    .columns = columns,
    .n_columns = 3,
    .sorts = sorts,
    .n_sorts = 3,
    .filters = filters,
    .n_filters = 3,
    .embeds = embeds,
    .n_embeds = 1,
};
static const struct named_query query = { .name = "list", .n_params = 1, .kind = QUERY_LIST };
static const struct operation op = {
    .id = "list", .query = &query, .list = &list, .parameters = parameters, .n_parameters = 4, .n_path = 1
};

static struct shape plain(void)
{
    struct shape shape = {
        .op = &op, .keys = { { &sorts[0], false } }, .n_keys = 1, .columns = { true, true }, .limit = 50
    };

    shape.values[0] = "DN-TU";
    return shape;
}

static void composes(struct shape *shape, enum shape_form form, const char *const params[4], const char *expected)
{
    _cleanup_(buf_free) struct buf sql = { 0 };

    buf_init(&sql, 65536);
    ck_assert_int_eq(shape_compose(arena, shape, form, params, &sql), 0);
    ck_assert_str_eq(buf_cstr(&sql), expected);
}

static const char *const none[4] = { "DN-TU" };

START_TEST(composes_a_page)
{
    struct shape shape = plain();

    composes(&shape, SHAPE_PAGE, none,
        "SELECT (SELECT row_to_json(r) FROM (SELECT (o.id) AS \"id\", (o.code) AS \"code\") r)::text AS item, "
        "(o.key)::text, (o.id)::text\n"
        "FROM o WHERE o.parent = $1\nORDER BY o.key, o.id\nLIMIT 51");
    ck_assert_uint_eq(shape.n_values, 1);
}
END_TEST

START_TEST(adds_filters_as_parameters)
{
    static const char *const params[4] = { "DN-TU", "x'; DROP TABLE o; --", "a,b\"c", "DN-1" };
    struct shape shape = plain();

    shape.embeds[0] = true;
    composes(&shape, SHAPE_ITEMS, params,
        "WITH r4 AS MATERIALIZED (SELECT filter_key($4, 'under') AS x)\n"
        "SELECT (SELECT row_to_json(r) FROM (SELECT (o.id) AS \"id\", (o.code) AS \"code\", (ref(o.parent)) AS "
        "\"parent_unit\") r)::text AS item\n"
        "FROM o WHERE o.parent = $1\n  AND (o.kind = $2)\n  AND (o.kind = ANY($3::text[]))\n"
        "  AND (SELECT x FROM r4) IS NOT NULL\n  AND (o.key >= (SELECT x FROM r4) AND o.key < hi((SELECT x FROM r4)))\n"
        "ORDER BY o.key, o.id\nLIMIT 50");
    ck_assert_uint_eq(shape.n_values, 4);
    ck_assert_str_eq(shape.values[1], params[1]);
    ck_assert_str_eq(shape.values[3], "DN-1");
}
END_TEST

START_TEST(looks_up_what_every_request_names)
{
    static const char *const params[4] = { "DN-TU", NULL, NULL, "DN-1" };
    struct list_query with = list;
    struct operation other = op;
    struct shape shape = plain();

    with.lookups = "f0 AS MATERIALIZED (SELECT path_unit($1) AS x)";
    with.from = "FROM o WHERE o.parent = (SELECT x FROM f0)";
    other.list = &with;
    shape.op = &other;
    composes(&shape, SHAPE_COUNT, none,
        "WITH f0 AS MATERIALIZED (SELECT path_unit($1) AS x)\nSELECT count(*)\n"
        "FROM o WHERE o.parent = (SELECT x FROM f0)");
    composes(&shape, SHAPE_COUNT, params,
        "WITH f0 AS MATERIALIZED (SELECT path_unit($1) AS x), r2 AS MATERIALIZED (SELECT filter_key($2, 'under') AS "
        "x)\n"
        "SELECT count(*)\nFROM o WHERE o.parent = (SELECT x FROM f0)\n"
        "  AND (SELECT x FROM r2) IS NOT NULL\n  AND (o.key >= (SELECT x FROM r2) AND o.key < hi((SELECT x FROM r2)))");
}
END_TEST

START_TEST(counts_without_place)
{
    static const char *const params[4] = { "DN-TU", "x" };
    struct shape shape = plain();

    shape.has_cursor = true;
    shape.cursor = (struct cursor){ .n = 2, .values = { "k", "i" } };
    composes(&shape, SHAPE_COUNT, params, "SELECT count(*)\nFROM o WHERE o.parent = $1\n  AND (o.kind = $2)");
}
END_TEST

START_TEST(meets_a_condition_in_one_of_two_ways)
{
    static const char *const found_pieces[] = { "o.id = ANY ((SELECT x FROM r", "))" };
    static const char *const found_otherwise[] = { "o.name ~ (SELECT x FROM r", ")" };
    static const char *const found_lookup[] = { "filter_found(", ")" };
    static const struct list_filter found[] = {
        { "q", 1, found_pieces, 2, found_lookup, 2, found_otherwise, 2 },
        { "kind[in]", 2, kind_in_pieces, 2, NULL, 0, NULL, 0 },
    };
    static const char *const params[4] = { "DN-TU", "x", "a" };
    struct list_query with = list;
    struct operation other = op;
    struct shape shape = plain();

    with.filters = found;
    with.n_filters = 2;
    other.list = &with;
    shape.op = &other;
    composes(&shape, SHAPE_CELLS, params,
        "WITH r2 AS MATERIALIZED (SELECT filter_found($2) AS x)\n"
        "(SELECT (o.id) AS \"id\", (o.code) AS \"code\"\nFROM o WHERE o.parent = $1\n"
        "  AND (SELECT x FROM r2) IS NOT NULL\n  AND (o.id = ANY ((SELECT x FROM r2)))\n  AND (o.kind = "
        "ANY($3::text[]))\n"
        "ORDER BY o.key, o.id\nLIMIT 50)\n"
        "UNION ALL (SELECT (o.id) AS \"id\", (o.code) AS \"code\"\nFROM o WHERE o.parent = $1\n"
        "  AND (SELECT x FROM r2) IS NOT NULL\n  AND (o.name ~ (SELECT x FROM r2))\n  AND (o.kind = ANY($3::text[]))\n"
        "ORDER BY o.key, o.id\nLIMIT 50)");
    ck_assert_uint_eq(shape.n_values, 3);
    composes(&shape, SHAPE_COUNT, params,
        "WITH r2 AS MATERIALIZED (SELECT filter_found($2) AS x)\n"
        "SELECT sum(n.count)::bigint AS count FROM ((SELECT count(*)\nFROM o WHERE o.parent = $1\n"
        "  AND (SELECT x FROM r2) IS NOT NULL\n  AND (o.id = ANY ((SELECT x FROM r2)))\n  AND (o.kind = "
        "ANY($3::text[])))\n"
        "UNION ALL (SELECT count(*)\nFROM o WHERE o.parent = $1\n"
        "  AND (SELECT x FROM r2) IS NOT NULL\n  AND (o.name ~ (SELECT x FROM r2))\n  AND (o.kind = ANY($3::text[])))) "
        "n");
}
END_TEST

START_TEST(goes_on_from_a_cursor)
{
    struct shape shape = plain();

    shape.keys[0] = (struct shape_key){ &sorts[1], true };
    shape.has_cursor = true;
    shape.cursor = (struct cursor){ .n = 2, .values = { "k", "i" } };
    composes(&shape, SHAPE_CELLS, none,
        "SELECT (o.id) AS \"id\", (o.code) AS \"code\"\nFROM o WHERE o.parent = $1\n  AND (o.code, o.id) < "
        "($2, $3)\n"
        "ORDER BY o.code DESC, o.id DESC\nLIMIT 50");
    shape.cursor.backward = true;
    composes(&shape, SHAPE_CELLS, none,
        "SELECT (o.id) AS \"id\", (o.code) AS \"code\"\nFROM o WHERE o.parent = $1\n  AND (o.code, o.id) > "
        "($2, $3)\n"
        "ORDER BY o.code, o.id\nLIMIT 50");
}
END_TEST

START_TEST(mixes_directions)
{
    struct shape shape = plain();

    shape.keys[0] = (struct shape_key){ &sorts[2], true };
    shape.keys[1] = (struct shape_key){ &sorts[1], false };
    shape.n_keys = 2;
    shape.limit = 0;
    shape.has_cursor = true;
    shape.cursor = (struct cursor){ .n = 3, .values = { "t", "k", "i" } };
    composes(&shape, SHAPE_CELLS, none,
        "SELECT (o.id) AS \"id\", (o.code) AS \"code\"\nFROM o WHERE o.parent = $1\n"
        "  AND ((o.at < $2) OR (o.at = $2 AND o.code > $3) OR (o.at = $2 AND o.code = $3 AND o.id > $4))\n"
        "ORDER BY o.at DESC, o.code, o.id");
}
END_TEST

START_TEST(asks_for_one_row_more)
{
    for (unsigned limit = 1; limit <= SHAPE_LIMIT_MAX; limit++)
        ck_assert_uint_gt(shape_rows(limit), limit);
    ck_assert_uint_eq(shape_rows(50), 51);
    ck_assert_uint_eq(shape_rows(SHAPE_LIMIT_MAX), SHAPE_LIMIT_MAX + 1);
}
END_TEST

RUN_TESTS_WITH("shape", set_up, tear_down, composes_a_page, adds_filters_as_parameters,
    looks_up_what_every_request_names, counts_without_place, meets_a_condition_in_one_of_two_ways,
    goes_on_from_a_cursor, mixes_directions, asks_for_one_row_more)
