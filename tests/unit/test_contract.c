#include "suite.h"

#include <errno.h>
#include <string.h>

#include "contract.h"
#include "routes.h"
#include "util.h"

/* The fixture's handlers; the tables alone are looked at here. */
struct exchange {
    int unused;
};

int handle_livez(struct exchange *x);
int handle_list(struct exchange *x);
int handle_query(struct exchange *x);
int handle_thing_blank(struct exchange *x);

int handle_livez(struct exchange *x)
{
    return x->unused;
}

int handle_list(struct exchange *x)
{
    return x->unused;
}

int handle_query(struct exchange *x)
{
    return x->unused;
}

int handle_thing_blank(struct exchange *x)
{
    return x->unused;
}

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

/* The operation's id, or "-" with the methods allowed. */
static const char *route(enum http_method method, const char *path)
{
    struct str segments[16];
    const struct operation *o;
    char *copy = arena_strdup(arena, path + 1), *piece;
    unsigned allow = 99;
    size_t n = 0;

    while ((piece = strsep(&copy, "/")))
        segments[n++] = str_from(piece);
    o = route_match(method, segments, n, &allow);
    return o ? o->id : arena_printf(arena, "-%u", allow);
}

START_TEST(finds_operations)
{
    ck_assert_str_eq(route(METHOD_GET, "/livez"), "livez");
    ck_assert_str_eq(route(METHOD_HEAD, "/livez"), "livez");
    ck_assert_str_eq(route(METHOD_GET, "/v1/things"), "thing_list");
    ck_assert_str_eq(route(METHOD_POST, "/v1/things"), "thing_create");
    ck_assert_str_eq(route(METHOD_GET, "/v1/things/new"), "thing_blank");
    ck_assert_str_eq(route(METHOD_PATCH, "/v1/things/old"), "thing_update");
    ck_assert_str_eq(route(METHOD_GET, "/v1/things/new/parts/7"), "part_get");
    ck_assert_str_eq(route(METHOD_GET, "/v1/things/x/parts/7"), "part_get");
}
END_TEST

START_TEST(tells_wrong_methods_from_wrong_paths)
{
    ck_assert_str_eq(route(METHOD_DELETE, "/v1/things"),
        arena_printf(arena, "-%u", 1U << METHOD_GET | 1U << METHOD_HEAD | 1U << METHOD_POST));
    ck_assert_str_eq(route(METHOD_GET, "/v1/things/old"), arena_printf(arena, "-%u", 1U << METHOD_PATCH));
    ck_assert_str_eq(route(METHOD_GET, "/"), "-0");
    ck_assert_str_eq(route(METHOD_GET, "/v1"), "-0");
    ck_assert_str_eq(route(METHOD_GET, "/v1/thing"), "-0");
    ck_assert_str_eq(route(METHOD_GET, "/v1/thingss"), "-0");
    ck_assert_str_eq(route(METHOD_GET, "/V1/things"), "-0");
    ck_assert_str_eq(route(METHOD_GET, "/v1/things/"), "-0");
    ck_assert_str_eq(route(METHOD_GET, "/v1//things"), "-0");
    ck_assert_str_eq(route(METHOD_GET, "/v1/things//parts/7"), "-0");
    ck_assert_str_eq(route(METHOD_GET, "/v1/things/x/parts/7/8"), "-0");
}
END_TEST

START_TEST(describes_operations)
{
    const struct operation *list = &contract_operations[OP_thing_list], *update = &contract_operations[OP_thing_update];

    ck_assert_uint_eq(n_contract_operations, N_OPERATIONS);
    ck_assert_str_eq(list->permission, "things:read");
    ck_assert_int_eq(list->lane, LANE_QUICK);
    ck_assert_ptr_eq(list->handler, handle_list);
    ck_assert_uint_eq(list->n_produces, 2);
    ck_assert_int_eq(list->produces[1].kind, MEDIA_CSV);
    ck_assert_str_eq(list->parameters[list->limit].fallback, "50");
    ck_assert_uint_eq(list->if_match, NO_PARAMETER);
    ck_assert_ptr_null(contract_operations[OP_livez].permission);
    ck_assert_int_eq(contract_operations[OP_livez].lane, LANE_NONE);
    ck_assert_int_eq(contract_operations[OP_thing_blank].lane, LANE_LONG);
    ck_assert_ptr_eq(contract_operations[OP_thing_blank].query, &query_thing_help);
    ck_assert_str_eq(update->parameters[update->if_match].name, "If-Match");
    ck_assert_int_eq(update->accepts[0].kind, MEDIA_MERGE_PATCH);
    ck_assert_uint_eq(contract_operations[OP_part_get].parameters[1].segment, 4);
    ck_assert_uint_eq(contract_operations[OP_part_get].n_path, 2);
    ck_assert_uint_eq(n_contract_permissions, 2);
    ck_assert_str_eq(contract_permissions[1], "things:write");
}
END_TEST

START_TEST(numbers_placeholders)
{
    const struct operation *update = &contract_operations[OP_thing_update];

    ck_assert_str_eq(query_thing_update.sql, "SELECT status, version, body FROM thing_update($1, $2::jsonb, $3, $2)");
    ck_assert_uint_eq(query_thing_update.n_params, 3);
    ck_assert_int_eq(update->sources[0].kind, FROM_PARAMETER);
    ck_assert_uint_eq(update->sources[0].index, 0);
    ck_assert_int_eq(update->sources[1].kind, FROM_BODY);
    ck_assert_int_eq(update->sources[2].kind, FROM_IF_MATCH);
    ck_assert_str_eq(
        query_thing_create.sql, "SELECT status, version, body FROM thing_create($1::uuid, $2::jsonb, '12:30 :no', $3)");
    ck_assert_str_eq(query_thing_help.sql, "SELECT help($2, $1::int)");
    for (size_t i = 0; i < n_contract_statements; i++) {
        ck_assert_uint_eq(contract_queries[i]->index, i);
        ck_assert_str_eq(contract_statements[i].name, contract_queries[i]->name);
        ck_assert_int_eq(contract_statements[i].n_params, contract_queries[i]->n_params);
    }
}
END_TEST

START_TEST(cuts_lists_into_fragments)
{
    const struct operation *o = &contract_operations[OP_thing_list];
    const struct list_query *list = o->list;

    ck_assert_str_eq(list->from, "FROM thing t\nWHERE true");
    ck_assert_uint_eq(list->n_columns, 4);
    ck_assert_str_eq(list->columns[0].name, "id");
    ck_assert_str_eq(list->columns[2].name, "name");
    ck_assert_str_eq(list->columns[2].sql, "coalesce(t.name, 'a, b')");
    ck_assert_str_eq(list->columns[3].sql, "CASE WHEN t.kind IS DISTINCT FROM 'x' THEN t.kind END");
    ck_assert(list->sorts[0].ascending_only && !list->sorts[1].ascending_only);
    ck_assert_uint_eq(list->n_filters, 4);
    ck_assert_str_eq(o->parameters[list->filters[1].parameter].name, "kind[in]");
    ck_assert_uint_eq(list->filters[2].n_pieces, 3);
    ck_assert_str_eq(list->filters[2].pieces[2], "::boolean OR t.code <> '$;:no, FROM')");
    ck_assert_str_eq(list->embeds[0].column, "owner");
}
END_TEST

START_TEST(maps_constraints)
{
    ck_assert_int_eq(constraint_find("thing_code")->code, P_CODE_TAKEN);
    ck_assert_str_eq(constraint_find("thing_code")->pointer, "#/code");
    ck_assert_int_eq(constraint_find("thing_span")->code, P_INVALID);
    ck_assert_str_eq(constraint_find("thing_span")->fault, "spans_overlap");
    ck_assert_ptr_null(constraint_find("thing_idle"));
    ck_assert_ptr_null(constraint_find(""));
}
END_TEST

START_TEST(serves_the_document)
{
    _cleanup_(json_decrefp) json_t *j = json_loadb(contract_document, contract_document_size, 0, NULL);
    json_t *get = json_object_get(json_object_get(json_object_get(j, "paths"), "/livez"), "get");

    ck_assert_ptr_nonnull(get);
    ck_assert_str_eq(json_string_value(json_object_get(get, "x-permission")), "public");
    ck_assert_ptr_null(json_object_get(get, "x-handler"));
}
END_TEST

/* The faults of a body under the schema of thing_create. */
static const char *faults_of(const char *text)
{
    struct json_document d = { 0 };
    char *out = arena_strdup(arena, "");
    struct faults f;

    faults_init(&f, arena, LANGUAGE_EN);
    if (json_read(arena, text, strlen(text), &d, &f) == 0)
        (void)schema_check(contract_operations[OP_thing_create].accepts[0].schema, d.tree, SCHEMA_WHOLE, &f);
    json_document_done(&d);
    for (size_t i = 0; i < f.n; i++)
        out = arena_printf(arena, "%s%s%s@%s", out, i > 0 ? " " : "", f.items[i].code, f.items[i].name);
    return out;
}

START_TEST(validates_bodies)
{
    static const struct {
        const char *text, *faults;
    } rows[] = {
        { "{\"code\":\"A1\",\"name\":\"Anh\"}", "" },
        { "{\"code\":\"a\",\"name\":\"Anh\"}", "pattern@#/code" },
        { "{\"code\":\"\",\"name\":\"Anh\"}", "too_short@#/code pattern@#/code" },
        { "{\"code\":\"A\\n\",\"name\":\"Anh\"}", "pattern@#/code" },
        { "{\"code\":\"A\",\"name\":\"An\",\"a/b~c\":\"xx\",\"part\":{\"low\":1}}",
            "too_long@#/a~1b~0c required@#/part/high" },
        { "{\"code\":\"A\",\"name\":\"An\",\"below\":[{\"code\":\"B\",\"name\":\"An\",\"below\":[{}]}]}",
            "too_few@#/below/0/below/0 required@#/below/0/below/0/code required@#/below/0/below/0/name" },
        { "{\"code\":\"A\",\"name\":\"An\",\"link\":\"x\",\"mail\":\"x\",\"ref\":\"x\",\"at\":\"x\",\"since\":\"x\"}",
            "format@#/link format@#/mail format@#/ref format@#/at format@#/since" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(
            strcmp(faults_of(rows[i].text), rows[i].faults) == 0, "%s: %s", rows[i].text, faults_of(rows[i].text));
}
END_TEST

RUN_TESTS_WITH("contract", set_up, tear_down, finds_operations, tells_wrong_methods_from_wrong_paths,
    describes_operations, numbers_placeholders, cuts_lists_into_fragments, maps_constraints, serves_the_document,
    validates_bodies)
