#include "listing.h"

#include <errno.h>
#include <string.h>

#include "lane.h"
#include "negotiate.h"
#include "service.h"

#define CONTEXT_MAX (64U * 1024U)

static const char *param_at(const struct exchange *x, uint16_t at)
{
    return at == NO_PARAMETER ? NULL : x->params[at];
}

/* The next of a list separated by commas. */
static bool next_word(const char **p, struct str *ret)
{
    size_t n;

    if (*p == NULL)
        return false;
    n = strcspn(*p, ",");
    *ret = (struct str){ *p, n };
    *p = (*p)[n] == ',' ? *p + n + 1 : NULL;
    return true;
}

static int refuse(struct exchange *x, const char *parameter, struct str word)
{
    const char *text = arena_strndup(x->arena, word.p, word.n);

    fault_add(&x->faults, AT_PARAMETER, parameter, FAULT_BAD_PARAMETER, text);
    fail(x, P_BAD_PARAMETER);
    return 1;
}

static const struct list_sort *find_sort(const struct list_query *list, struct str name)
{
    for (size_t i = 0; i < list->n_sorts; i++)
        if (str_is(name, list->sorts[i].name))
            return &list->sorts[i];
    return NULL;
}

static int read_sort(struct exchange *x, struct shape *shape)
{
    const struct list_query *list = x->op->list;
    const char *p = param_at(x, x->op->sort);
    struct str word;

    while (next_word(&p, &word)) {
        struct shape_key key = { .descending = word.n > 0 && word.p[0] == '-' };

        key.sort = find_sort(list, (struct str){ word.p + key.descending, word.n - key.descending });
        if (key.sort == NULL || (key.descending && key.sort->ascending_only) || shape->n_keys == SHAPE_KEYS_MAX)
            return refuse(x, "sort", word);
        shape->keys[shape->n_keys++] = key;
    }
    if (shape->n_keys == 0)
        shape->keys[shape->n_keys++] = (struct shape_key){ &list->sorts[0], list->descending };
    return 0;
}

static int read_fields(struct exchange *x, struct shape *shape)
{
    const struct list_query *list = x->op->list;
    bool exported = x->produces != NULL && x->produces->kind != MEDIA_JSON;
    const char *p = param_at(x, x->op->fields);
    struct str word;

    for (size_t i = 0; i < list->n_columns; i++)
        shape->columns[i] = p == NULL ? exported || !list->columns[i].extra : strcmp(list->columns[i].name, "id") == 0;
    while (next_word(&p, &word)) {
        bool found = false;

        for (size_t i = 0; i < list->n_columns; i++)
            if (str_is(word, list->columns[i].name))
                found = shape->columns[i] = true;
        if (!found)
            return refuse(x, "fields", word);
    }
    return 0;
}

static int read_embed(struct exchange *x, struct shape *shape)
{
    const struct list_query *list = x->op->list;
    const char *p = param_at(x, x->op->embed);
    struct str word;

    while (next_word(&p, &word)) {
        bool found = false;

        for (size_t i = 0; i < list->n_embeds; i++)
            if (str_is(word, list->embeds[i].name))
                found = shape->embeds[i] = true;
        if (!found)
            return refuse(x, "embed", word);
    }
    return 0;
}

/* Larger pages than the largest are made so; the contract has checked that it is a whole number of at least 1. */
static unsigned read_limit(const struct exchange *x)
{
    const char *text = param_at(x, x->op->limit);
    int64_t limit = 50;

    if (text != NULL && str_to_i64(text, 1, SHAPE_LIMIT_MAX, &limit) < 0)
        limit = SHAPE_LIMIT_MAX;
    return (unsigned)limit;
}

/* Operation, caller, sort and filters: all that must be the same for a cursor to mean the same place. */
static int make_context(struct exchange *x, struct str *ret)
{
    const struct operation *op = x->op;
    _cleanup_(buf_free) struct buf b = { 0 };
    char *text;

    buf_init(&b, CONTEXT_MAX);
    buf_adds(&b, op->id);
    buf_addc(&b, '\n');
    buf_adds(&b, x->identity != NULL ? x->identity->grant : "");
    for (size_t i = 0; i < op->n_parameters; i++) {
        if (x->params[i] == NULL || op->parameters[i].in == IN_HEADER || i == op->limit || i == op->cursor ||
            i == op->fields || i == op->embed)
            continue;
        buf_addc(&b, '\n');
        buf_adds(&b, op->parameters[i].name);
        buf_addc(&b, '=');
        buf_adds(&b, x->params[i]);
    }
    text = b.failed ? NULL : arena_strndup(x->arena, b.p, b.n);
    if (text == NULL)
        return -ENOMEM;
    *ret = (struct str){ text, b.n };
    return 0;
}

static int read_cursor(struct exchange *x, struct listing *listing)
{
    const char *text = param_at(x, x->op->cursor);
    struct shape *shape = &listing->shape;
    int r;

    if (text == NULL)
        return 0;
    r = cursor_read(x->arena, &x->service->cursor_key, listing->context, text, &shape->cursor);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || shape->cursor.n != shape->n_keys + 1) {
        fail_at(x, P_BAD_CURSOR, AT_PARAMETER, "cursor", FAULT_BAD_CURSOR, NULL);
        return 1;
    }
    shape->has_cursor = true;
    return 0;
}

static int read_fixed(struct exchange *x, struct shape *shape)
{
    const char **values = lane_values(x);

    if (values == NULL)
        return -ENOMEM;
    if (x->op->query->n_params > ARRAY_SIZE(shape->values))
        return -E2BIG;
    memcpy(shape->values, values, x->op->query->n_params * sizeof(*values));
    return 0;
}

int listing_read(struct exchange *x, struct listing *ret)
{
    struct shape *shape = &ret->shape;
    int r;

    memset(ret, 0, sizeof(*ret));
    shape->op = x->op;
    r = read_sort(x, shape);
    if (r == 0)
        r = read_fields(x, shape);
    if (r == 0)
        r = read_embed(x, shape);
    if (r == 0)
        r = make_context(x, &ret->context);
    if (r == 0)
        r = read_cursor(x, ret);
    if (r == 0)
        r = read_fixed(x, shape);
    ret->limit = read_limit(x);
    ret->count = negotiate_prefers(param_at(x, x->op->prefer), "count=exact");
    return r;
}
