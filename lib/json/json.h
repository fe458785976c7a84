/* SPDX-License-Identifier: MIT */
#pragma once

/* JSON as it comes in: checked on the raw text first (depth, digits, surrogates), normalised to
 * NFC, then parsed. The normalised text is what goes on to the database, its numbers untouched. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "problem.h"
#include "text.h"

#define JSON_DEPTH 32 /* containers within each other; numbers keep to number_check() */

/* A place within a document, as a chain up to its root: a member where key is not NULL, else an element. */
struct json_place {
    const struct json_place *up; /* NULL: this is the root, which has no name */
    const char *key;
    size_t n; /* length of key, or the element's index */
};

/* The place as a JSON pointer in a URI fragment: #/items/0/a~1b. Never NULL ("#" without memory). */
const char *json_pointer(struct arena *a, const struct json_place *place);

/* A checked body. */
struct json_document {
    struct str text; /* NFC, NUL-terminated, lives in the arena or is the caller's own */
    json_t *tree;    /* owned: json_document_done() */
};

void json_document_done(struct json_document *d);

/* Scans raw text. 0; -EBADMSG: no JSON (a 400); -EDOM: JSON with numbers that cannot be kept exactly (a 422).
 * The faults say where. */
MUST_CHECK int json_text_check(const char *p, size_t n, struct faults *f);

/* Text as json_text_check() passed it, in NFC and with \uXXXX written out where that is no control character,
 * quote or backslash. Text that needs no change is returned as it is, without a copy. -ENOMEM past the arena. */
MUST_CHECK int json_text_normalise(struct arena *a, const char *p, size_t n, struct str *ret);

/* All of it: check, normalise, parse without duplicate keys. Errors as json_text_check(), -ENOMEM.
 * On success ret->text may be p itself. */
MUST_CHECK int json_read(struct arena *a, const char *p, size_t n, struct json_document *ret, struct faults *f);

/* Walks the elements of a top-level array without parsing the whole. */
struct json_elements {
    const char *p, *end;
    size_t index; /* of the element last returned */
    size_t line;  /* on which it began, from 1 */
    size_t here;  /* the line of p */
    bool begun;
};

void json_elements_init(struct json_elements *it, const char *p, size_t n);

/* 1 and the raw text of the next element (not yet checked: it is only bracketed), 0 at the end, -EBADMSG where
 * the array's own syntax is broken. */
MUST_CHECK int json_elements_next(struct json_elements *it, struct str *ret);

/* Text of a json_t in an arena, with 15 digits for reals; NULL on lack of memory. */
char *json_text_of(struct arena *a, const json_t *j);
