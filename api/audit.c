/* GET /v1/audit-events: pages are found by audit_page(), which looks in few steps for what is rare; exports are lists like others. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "listing.h"
#include "service.h"

/* Parameters by which is filtered, and what audit_page() calls them. */
static const struct {
    const char *parameter, *name;
} filters[] = {
    { "resource_type", "resource_type" },
    { "resource", "resource" },
    { "organization", "organization" },
    { "under", "under" },
    { "account", "account" },
    { "client", "client" },
    { "action", "action" },
    { "at[gte]", "at_gte" },
    { "at[lt]", "at_lt" },
    { "position[gte]", "position_gte" },
    { "position[lt]", "position_lt" },
};

static int write_filter(struct exchange *x, const char **ret_text)
{
    json_t *filter = json_object();
    char *dump;
    int r = filter == NULL ? -ENOMEM : 0;

    for (size_t i = 0; i < ARRAY_SIZE(filters) && r == 0; i++) {
        const char *value = exchange_param(x, filters[i].parameter);

        if (value != NULL && json_object_set_new(filter, filters[i].name, json_string(value)) < 0)
            r = -ENOMEM;
    }
    dump = r == 0 ? json_dumps(filter, JSON_COMPACT) : NULL;
    json_decref(filter);
    if (dump == NULL)
        return -ENOMEM;
    *ret_text = arena_strndup(x->arena, dump, strlen(dump));
    free(dump);
    return *ret_text == NULL ? -ENOMEM : 0;
}

static const char *embeds(const struct exchange *x, const struct shape *shape)
{
    bool before = false, after = false;

    for (size_t i = 0; i < x->op->list->n_embeds; i++) {
        before = before || (shape->embeds[i] && strcmp(x->op->list->embeds[i].name, "before") == 0);
        after = after || (shape->embeds[i] && strcmp(x->op->list->embeds[i].name, "after") == 0);
    }
    return before && after ? "{before,after}" : before ? "{before}" : after ? "{after}" : "{}";
}

static int find_page(struct exchange *x, struct listing *listing)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    const struct shape *shape = &listing->shape;
    bool down = shape->keys[0].descending != (shape->has_cursor && shape->cursor.backward);
    const char *values[] = { NULL, shape->has_cursor ? shape->cursor.values[0] : NULL, down ? "t" : "f", NULL,
        embeds(x, shape) };
    char most[16];
    int r;

    r = write_filter(x, &values[0]);
    if (r < 0)
        return r;
    snprintf(most, sizeof(most), "%u", listing->limit + 1);
    values[3] = most;
    r = query_fetch(x, &query_audit_page, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    return list_answer(x, listing, rows);
}

int handle_audit_event_list(struct exchange *x)
{
    struct listing listing;
    int r;

    if (x->produces != NULL && (x->produces->kind == MEDIA_CSV || x->produces->kind == MEDIA_NDJSON))
        return handle_list(x);
    r = listing_read(x, &listing);
    if (r != 0)
        return r < 0 ? r : 0;
    return find_page(x, &listing);
}
