/* SPDX-License-Identifier: MIT */
#pragma once

/* What the checks of bodies and of parameters share. */

#include "schema.h"

/* Where a fault is found: a place in the body, or a parameter's name. */
struct spot {
    const struct json_place *place; /* NULL: a parameter */
    enum fault_where where;
    const char *name;
};

/* Adds a fault at the spot. */
void spot_fault(struct faults *f, const struct spot *at, enum fault_code code, const char *arg);

/* Length, values, pattern and format of a text. */
void check_text(const struct schema *s, const char *p, size_t n, const struct spot *at, struct faults *f);

/* Whether a valid UTF-8 text is one line of characters that show, or LINES of them with tabs; else the first that is not. */
bool line_holds(const char *s, size_t n, bool lines, uint32_t *ret_character);

/* Whether anything of a valid UTF-8 text is to be seen. */
bool text_shows(const char *s, size_t n);

/* The bounds of a number. */
void check_bounds(const struct schema *s, double v, const struct spot *at, struct faults *f);

/* A count against its least and most (0: none). */
void check_count(size_t n, uint32_t least, uint32_t most, const struct spot *at, struct faults *f);

/* The fault of a value of the wrong type. */
void type_fault(const struct schema *s, const struct spot *at, struct faults *f);
