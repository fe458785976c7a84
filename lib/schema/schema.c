/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static const char *const format_names[] = {
    [FORMAT_NONE] = "text",
    [FORMAT_DATE] = "date (YYYY-MM-DD)",
    [FORMAT_DATE_TIME] = "date-time (RFC 3339)",
    [FORMAT_UUID] = "UUID",
    [FORMAT_URI] = "URI",
    [FORMAT_EMAIL] = "email",
    [FORMAT_LINE] = "line",
    [FORMAT_PASSWORD] = "password",
};

static void check_value(
    const struct schema *s, const json_t *j, enum schema_mode mode, const struct json_place *place, struct faults *f);

void spot_fault(struct faults *f, const struct spot *at, enum fault_code code, const char *arg)
{
    if (at->place)
        fault_add(f, AT_POINTER, json_pointer(f->arena, at->place), code, arg);
    else
        fault_add(f, at->where, at->name, code, arg);
}

static void count_fault(struct faults *f, const struct spot *at, enum fault_code code, uint32_t count)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", count);
    spot_fault(f, at, code, text);
}

void check_count(size_t n, uint32_t least, uint32_t most, const struct spot *at, struct faults *f)
{
    if (n < least)
        count_fault(f, at, FAULT_TOO_FEW, least);
    if (most > 0 && n > most)
        count_fault(f, at, FAULT_TOO_MANY, most);
}

void type_fault(const struct schema *s, const struct spot *at, struct faults *f)
{
    static const char *const names[] = { "null", "boolean", "integer", "number", "string", "array", "object" };
    char text[80] = "";
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (s->types & 1U << i)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "", names[i]);
    spot_fault(f, at, FAULT_TYPE, text);
}

static int compare_value(const void *key, const void *row)
{
    const struct str *text = key;
    const char *value = *(const char *const *)row;
    int r = strncmp(text->p, value, text->n);

    return r != 0 ? r : value[text->n] == '\0' ? 0 : -1;
}

static void check_enum(const struct schema *s, const char *p, size_t n, const struct spot *at, struct faults *f)
{
    _cleanup_(buf_free) struct buf list = { 0 };
    const struct str text = { p, n };

    if (!memchr(p, '\0', n) && bsearch(&text, s->values, s->n_values, sizeof(*s->values), compare_value))
        return;
    buf_init(&list, 600);
    for (size_t i = 0; i < s->n_values; i++) {
        buf_adds(&list, i > 0 ? ", " : "");
        buf_adds(&list, s->values[i]);
    }
    spot_fault(f, at, FAULT_ENUM, buf_cstr(&list));
}

static void pattern_fault(const struct schema *s, const struct spot *at, struct faults *f)
{
    const char *words = s->words[f->language];

    if (words == NULL)
        spot_fault(f, at, FAULT_PATTERN, s->pattern->text);
    else
        fault_add_text(f, at->place ? AT_POINTER : at->where, at->place ? json_pointer(f->arena, at->place) : at->name,
            fault_name(FAULT_PATTERN), words);
}

static bool check_line(const char *p, size_t n, bool lines, const struct spot *at, struct faults *f)
{
    uint32_t character;
    char text[16];

    if (line_holds(p, n, lines, &character))
        return true;
    (void)snprintf(text, sizeof(text), "U+%04X", (unsigned)character);
    spot_fault(f, at, FAULT_INVISIBLE, text);
    return false;
}

void check_text(const struct schema *s, const char *p, size_t n, const struct spot *at, struct faults *f)
{
    bool body = at->place != NULL || at->where == AT_POINTER;
    /* written freely, in lines; names and addresses are one line */
    bool lines = body && s->format == FORMAT_NONE && !s->pattern && !s->values;
    size_t length;

    if (s->min_length > 0 || s->max_length > 0) {
        length = utf8_length(p, n);
        /* in a body a text that is asked for is one that can be seen */
        if (s->min_length > 0 && length >= s->min_length && body && !text_shows(p, n)) {
            length = 0;
            lines = false;
        }
        if (length < s->min_length)
            count_fault(f, at, FAULT_TOO_SHORT, s->min_length);
        if (s->max_length > 0 && length > s->max_length)
            count_fault(f, at, FAULT_TOO_LONG, s->max_length);
    }
    if (s->values)
        check_enum(s, p, n, at, f);
    if (s->pattern && !pattern_matches(s->pattern, p, n))
        pattern_fault(s, at, f);
    if ((lines || s->format == FORMAT_LINE || s->format == FORMAT_URI) && !check_line(p, n, lines, at, f))
        return;
    if (s->format != FORMAT_LINE && !format_holds(s->format, p, n))
        spot_fault(f, at, FAULT_FORMAT, format_names[s->format]);
}

static void bound_fault(struct faults *f, const struct spot *at, enum fault_code code, const char *sign, double bound)
{
    char text[48];

    (void)snprintf(text, sizeof(text), "%s %.15g", sign, bound);
    spot_fault(f, at, code, text);
}

void check_bounds(const struct schema *s, double v, const struct spot *at, struct faults *f)
{
    bool open_below = s->bounds & EXCLUSIVE_MINIMUM, open_above = s->bounds & EXCLUSIVE_MAXIMUM;

    if ((s->bounds & HAS_MINIMUM) && (open_below ? v <= s->minimum : v < s->minimum))
        bound_fault(f, at, FAULT_TOO_SMALL, open_below ? ">" : "≥", s->minimum);
    if ((s->bounds & HAS_MAXIMUM) && (open_above ? v >= s->maximum : v > s->maximum))
        bound_fault(f, at, FAULT_TOO_LARGE, open_above ? "<" : "≤", s->maximum);
}

static unsigned type_of(const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_NULL: return TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return TYPE_BOOLEAN;
    case JSON_INTEGER: return TYPE_INTEGER | TYPE_NUMBER;
    case JSON_REAL: return TYPE_NUMBER;
    case JSON_STRING: return TYPE_STRING;
    case JSON_ARRAY: return TYPE_ARRAY;
    case JSON_OBJECT: return TYPE_OBJECT;
    }
    return 0;
}

static bool takes_null(const struct schema *s)
{
    for (size_t i = 0; i < s->n_one_of; i++)
        if (takes_null(s->one_of[i]))
            return true;
    return s->n_one_of == 0 && (s->types == 0 || (s->types & TYPE_NULL));
}

static int compare_property(const void *key, const void *row)
{
    return strcmp(key, ((const struct property *)row)->name);
}

static const struct property *find_property(const struct schema *s, const char *key)
{
    if (s->n_properties == 0)
        return NULL;
    return bsearch(key, s->properties, s->n_properties, sizeof(*s->properties), compare_property);
}

/* One member that came in. */
static void check_member(const struct schema *s, const char *key, const json_t *j, enum schema_mode mode,
    const struct json_place *up, struct faults *f)
{
    const struct json_place place = { .up = up, .key = key, .n = strlen(key) };
    const struct spot at = { .place = &place };
    const struct property *p = find_property(s, key);

    if (!p)
        spot_fault(f, &at, FAULT_UNKNOWN_FIELD, NULL);
    else if (p->read_only)
        spot_fault(f, &at, FAULT_READ_ONLY, NULL);
    else if (mode == SCHEMA_MERGE_PATCH && json_is_null(j) && p->required && !takes_null(p->schema))
        spot_fault(f, &at, FAULT_REQUIRED, NULL);
    else
        check_value(p->schema, j, mode, &place, f);
}

static void check_object(
    const struct schema *s, const json_t *j, enum schema_mode mode, const struct json_place *place, struct faults *f)
{
    const struct spot at = { .place = place };
    const char *key;
    json_t *member;

    check_count(json_object_size(j), s->min_properties, 0, &at, f);
    json_object_foreach((json_t *)j, key, member) check_member(s, key, member, mode, place, f);
    for (size_t i = 0; mode == SCHEMA_WHOLE && i < s->n_properties; i++) {
        const struct property *p = &s->properties[i];
        const struct json_place missing = { .up = place, .key = p->name, .n = strlen(p->name) };
        const struct spot there = { .place = &missing };

        if (p->required && !p->read_only && !json_object_get(j, p->name))
            spot_fault(f, &there, FAULT_REQUIRED, NULL);
    }
}

static bool has_twins(const json_t *j)
{
    size_t n = json_array_size(j);

    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(j, i), json_array_get(j, k)))
                return true;
    return false;
}

static void check_array(const struct schema *s, const json_t *j, const struct json_place *place, struct faults *f)
{
    const struct spot at = { .place = place };
    size_t n = json_array_size(j), total = f->total;

    check_count(n, s->min_items, s->max_items, &at, f);
    if (f->total > total)
        return;
    if (s->unique_items && has_twins(j))
        spot_fault(f, &at, FAULT_NOT_UNIQUE, NULL);
    for (size_t i = 0; s->items && i < n; i++) {
        const struct json_place element = { .up = place, .n = i };

        check_value(s->items, json_array_get(j, i), SCHEMA_WHOLE, &element, f);
    }
}

/* Exactly one form holds; where none does, the faults are those of the form that comes nearest. */
static void check_one_of(
    const struct schema *s, const json_t *j, enum schema_mode mode, const struct json_place *place, struct faults *f)
{
    const struct spot at = { .place = place };
    const struct schema *nearest = NULL;
    size_t least = SIZE_MAX, fit = 0;

    for (size_t i = 0; i < s->n_one_of; i++) {
        struct faults trial;

        faults_init(&trial, f->arena, f->language);
        check_value(s->one_of[i], j, mode, place, &trial);
        fit += trial.total == 0;
        /* a form of the value's own type is nearer than one of another */
        if (s->one_of[i]->types && !(s->one_of[i]->types & type_of(j)))
            trial.total += FAULTS_MAX;
        if (trial.total < least) {
            least = trial.total;
            nearest = s->one_of[i];
        }
    }
    if (fit == 1 || (fit > 1 && mode == SCHEMA_MERGE_PATCH))
        return;
    if (fit > 1)
        spot_fault(f, &at, FAULT_AMBIGUOUS, NULL);
    else if (nearest && least < FAULTS_MAX)
        check_value(nearest, j, mode, place, f);
    else
        spot_fault(f, &at, FAULT_ONE_OF, NULL);
}

static void check_value(
    const struct schema *s, const json_t *j, enum schema_mode mode, const struct json_place *place, struct faults *f)
{
    const struct spot at = { .place = place };

    if (s->types && !(s->types & type_of(j))) {
        type_fault(s, &at, f);
        return;
    }
    if (json_is_string(j))
        check_text(s, json_string_value(j), json_string_length(j), &at, f);
    else if (json_is_number(j))
        check_bounds(s, json_number_value(j), &at, f);
    else if (json_is_array(j))
        check_array(s, j, place, f);
    else if (json_is_object(j) && s->types)
        check_object(s, j, mode, place, f);
    if (s->n_one_of > 0)
        check_one_of(s, j, mode, place, f);
}

int schema_check(const struct schema *s, const json_t *j, enum schema_mode mode, struct faults *f)
{
    const struct json_place root = { 0 };
    size_t before = f->total;

    check_value(s, j, mode, &root, f);
    return f->total > before ? -EINVAL : 0;
}
