/* SPDX-License-Identifier: MIT */
#pragma once

/* Validation against tables made from the contract: a named subset of JSON Schema over a json_t, and
 * typed checks of parameters. Every fault is collected, with its JSON pointer. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "problem.h"

enum schema_type {
    TYPE_NULL = 1 << 0,
    TYPE_BOOLEAN = 1 << 1,
    TYPE_INTEGER = 1 << 2,
    TYPE_NUMBER = 1 << 3, /* takes integers too */
    TYPE_STRING = 1 << 4,
    TYPE_ARRAY = 1 << 5,
    TYPE_OBJECT = 1 << 6,
};

enum schema_format {
    FORMAT_NONE,
    FORMAT_DATE,
    FORMAT_DATE_TIME,
    FORMAT_UUID,
    FORMAT_URI,
    FORMAT_EMAIL,
    FORMAT_LINE,     /* one line, and nothing in it that cannot be seen */
    FORMAT_PASSWORD, /* taken as it is typed */
};

enum schema_bound {
    HAS_MINIMUM = 1 << 0,
    HAS_MAXIMUM = 1 << 1,
    EXCLUSIVE_MINIMUM = 1 << 2,
    EXCLUSIVE_MAXIMUM = 1 << 3,
};

/* A regular expression of the contract as a table over bytes: state 0 is dead, 1 the start. */
struct pattern {
    const char *text;       /* as the contract has it */
    const uint8_t *classes; /* 256: byte to class */
    const uint16_t *next;   /* [state * n_classes + class] */
    const uint8_t *accepts; /* [state] */
    uint16_t n_classes;
};

struct schema;

struct property {
    const char *name;
    const struct schema *schema;
    bool required;
    bool read_only;
};

struct schema {
    unsigned types; /* bits of enum schema_type; 0 is anything */
    enum schema_format format;
    unsigned bounds; /* bits of enum schema_bound */
    double minimum, maximum;
    uint32_t min_length, max_length; /* code points; 0: none */
    uint32_t min_items, max_items;   /* 0: none */
    uint32_t min_properties;
    bool unique_items;
    const struct pattern *pattern;
    const char *words[2];      /* what the pattern asks for, by language; NULL: the pattern itself is told */
    const char *const *values; /* the enum (strings), sorted; NULL: none */
    size_t n_values;
    const struct property *properties; /* sorted by name */
    size_t n_properties;
    const struct schema *items;
    const struct schema *const *one_of; /* exactly one of them holds */
    size_t n_one_of;
};

enum schema_mode {
    SCHEMA_WHOLE,       /* the body is the resource */
    SCHEMA_MERGE_PATCH, /* RFC 7396: nothing is required, null removes and needs a type that has null */
};

/* 0, or -EINVAL with everything that is wrong in f. */
int schema_check(const struct schema *s, const json_t *j, enum schema_mode mode, struct faults *f);

bool pattern_matches(const struct pattern *p, const char *s, size_t n);
bool format_holds(enum schema_format format, const char *s, size_t n);

enum parameter_in {
    IN_PATH,
    IN_QUERY,
    IN_HEADER,
};

struct parameter {
    const char *name; /* "limit", "kind[in]", "If-Match" */
    enum parameter_in in;
    bool required;
    bool list;       /* comma-separated, schema is each element's */
    uint8_t segment; /* IN_PATH: which segment of the path, from 0 */
    uint32_t max_items;
    const struct schema *schema;
    const char *fallback; /* the contract's default as text, or NULL */
};

struct pair {
    struct str name, value; /* decoded, NUL-terminated */
};

/* Checks the given pairs of one place (query or header) against a sorted-by-place table and fills ret_values, which
 * runs parallel to ps (NULL, or the fallback, where absent). Unknown names are faults in the query, ignored among
 * headers; header names match whatever their case. Only entries of this place in ps and ret_values are touched.
 * 0 or -EINVAL. */
int parameters_check(const struct parameter *ps, size_t n_ps, enum parameter_in in, const struct pair *given,
    size_t n_given, const char **ret_values, struct faults *f);

/* One value against one parameter. 0 or -EINVAL. */
int parameter_check(const struct parameter *p, const char *value, struct faults *f);

/* A comma-separated list as the text of a PostgreSQL array: a,b → {"a","b"}. NULL past the arena. */
char *parameter_array(struct arena *a, const char *value);

/* An application/x-www-form-urlencoded body as an object of strings; a repeated name is a fault. Names that the schema
 * (NULL: any) does not have are left out, as RFC 6749 has it. */
int form_tree(const struct schema *s, const struct pair *given, size_t n_given, json_t **ret, struct faults *f);
