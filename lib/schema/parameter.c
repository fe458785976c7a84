/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "number.h"
#include "util.h"

static enum fault_where where_of(enum parameter_in in)
{
    return in == IN_HEADER ? AT_HEADER : AT_PARAMETER;
}

static bool is_integer(const char *p, size_t n)
{
    size_t sign = n > 0 && p[0] == '-';

    for (size_t i = sign; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return n > sign;
}

/* Whole numbers may be larger than any type of ours: where the contract sets no bound that is for the handler. */
static void check_integer(const struct schema *s, const char *p, size_t n, const struct spot *at, struct faults *f)
{
    char text[32];

    if (!is_integer(p, n)) {
        type_fault(s, at, f);
        return;
    }
    if (n >= sizeof(text)) {
        check_bounds(s, p[0] == '-' ? -HUGE_VAL : HUGE_VAL, at, f);
        return;
    }
    memcpy(text, p, n);
    text[n] = '\0';
    check_bounds(s, strtod(text, NULL), at, f);
}

/* One value, or one element of a list. */
static void check_scalar(const struct schema *s, const char *p, size_t n, const struct spot *at, struct faults *f)
{
    char text[32];

    if (s->types & TYPE_STRING) {
        check_text(s, p, n, at, f);
        return;
    }
    if (s->types & TYPE_BOOLEAN) {
        if (!str_is((struct str){ p, n }, "true") && !str_is((struct str){ p, n }, "false"))
            type_fault(s, at, f);
        return;
    }
    if (s->types & TYPE_INTEGER) {
        check_integer(s, p, n, at, f);
        return;
    }
    if (n >= sizeof(text)) {
        type_fault(s, at, f);
        return;
    }
    memcpy(text, p, n);
    text[n] = '\0';
    if (strlen(text) != n || number_check(text, n, NULL) < 0) {
        type_fault(s, at, f);
        return;
    }
    check_bounds(s, strtod(text, NULL), at, f);
}

int parameter_check(const struct parameter *p, const char *value, struct faults *f)
{
    const struct spot at = { .where = where_of(p->in), .name = p->name };
    size_t before = f->total, n = 0;

    if (p->in == IN_HEADER && !utf8_valid(value, strlen(value))) {
        spot_fault(f, &at, FAULT_BAD_UTF8, NULL);
        return -EINVAL;
    }
    if (!p->list) {
        check_scalar(p->schema, value, strlen(value), &at, f);
        return f->total > before ? -EINVAL : 0;
    }
    for (const char *element = value;; n++) {
        size_t length = strcspn(element, ",");

        if (length == 0)
            spot_fault(f, &at, FAULT_TOO_SHORT, "1");
        else
            check_scalar(p->schema, element, length, &at, f);
        if (f->total > before)
            break;
        element += length;
        if (*element == '\0')
            break;
        element++;
    }
    check_count(n + 1, 1, p->max_items, &at, f);
    return f->total > before ? -EINVAL : 0;
}

static bool same_name(enum parameter_in in, struct str given, const char *name)
{
    if (in == IN_HEADER)
        return strlen(name) == given.n && strncasecmp(given.p, name, given.n) == 0;
    return str_is(given, name);
}

/* The table's row of this name, or NO_ROW. */
#define NO_ROW SIZE_MAX

static size_t find_row(const struct parameter *ps, size_t n_ps, enum parameter_in in, struct str name)
{
    for (size_t i = 0; i < n_ps; i++)
        if (ps[i].in == in && same_name(in, name, ps[i].name))
            return i;
    return NO_ROW;
}

static void take_pair(const struct parameter *ps, size_t n_ps, enum parameter_in in, const struct pair *given,
    const char **values, struct faults *f)
{
    size_t i = find_row(ps, n_ps, in, given->name);

    if (i == NO_ROW) {
        if (in == IN_QUERY)
            fault_add(f, AT_PARAMETER, given->name.p, FAULT_UNKNOWN_PARAMETER, NULL);
        return;
    }
    if (values[i])
        fault_add(f, where_of(in), ps[i].name, FAULT_REPEATED_PARAMETER, NULL);
    else if (parameter_check(&ps[i], given->value.p, f) == 0)
        values[i] = given->value.p;
    else
        values[i] = ""; /* given, though of no use */
}

int parameters_check(const struct parameter *ps, size_t n_ps, enum parameter_in in, const struct pair *given,
    size_t n_given, const char **ret_values, struct faults *f)
{
    size_t before = f->total;

    for (size_t i = 0; i < n_ps; i++)
        if (ps[i].in == in)
            ret_values[i] = NULL;
    for (size_t i = 0; i < n_given; i++)
        take_pair(ps, n_ps, in, &given[i], ret_values, f);
    for (size_t i = 0; i < n_ps; i++) {
        if (ps[i].in != in || ret_values[i])
            continue;
        if (ps[i].required)
            fault_add(f, where_of(in), ps[i].name, FAULT_REQUIRED, NULL);
        ret_values[i] = ps[i].fallback;
    }
    return f->total > before ? -EINVAL : 0;
}

char *parameter_array(struct arena *a, const char *value)
{
    char *text = arena_alloc(a, 3 * strlen(value) + 5), *out = text;

    if (!text)
        return NULL;
    *out++ = '{';
    for (const char *p = value; *value; p++) {
        if (p == value || p[-1] == ',')
            *out++ = '"';
        if (*p == ',' || *p == '\0')
            *out++ = '"';
        if (*p == '\0')
            break;
        if (*p == '"' || *p == '\\')
            *out++ = '\\';
        *out++ = *p;
    }
    *out++ = '}';
    *out = '\0';
    return text;
}

static bool has_property(const struct schema *s, struct str name)
{
    for (size_t i = 0; i < s->n_properties; i++)
        if (str_is(name, s->properties[i].name))
            return true;
    return false;
}

int form_tree(const struct schema *s, const struct pair *given, size_t n_given, json_t **ret, struct faults *f)
{
    _cleanup_(json_decrefp) json_t *tree = json_object();
    const struct json_place root = { 0 };
    size_t before = f->total;

    if (!tree)
        return -ENOMEM;
    for (size_t i = 0; i < n_given; i++) {
        const struct json_place place = { .up = &root, .key = given[i].name.p, .n = given[i].name.n };

        if (s && !has_property(s, given[i].name))
            continue;
        if (json_object_get(tree, given[i].name.p))
            fault_add(f, AT_POINTER, json_pointer(f->arena, &place), FAULT_REPEATED_PARAMETER, NULL);
        else if (json_object_set_new(tree, given[i].name.p, json_stringn(given[i].value.p, given[i].value.n)) < 0)
            fault_add(f, AT_POINTER, json_pointer(f->arena, &place), FAULT_BAD_UTF8, NULL);
    }
    if (f->total > before)
        return -EINVAL;
    *ret = TAKE_PTR(tree);
    return 0;
}
