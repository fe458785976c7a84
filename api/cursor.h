/* Cursors: a place in a list, sealed so that only the service can read or make one. */
#ifndef TIENDO_CURSOR_H
#define TIENDO_CURSOR_H

#include <stdbool.h>

#include "arena.h"
#include "secret.h"
#include "text.h"

#define CURSOR_VALUES_MAX 4
#define CURSOR_TEXT_MAX   2048

struct cursor {
    bool backward; /* towards the list's beginning */
    size_t n;
    const char *values[CURSOR_VALUES_MAX]; /* the sort keys' and the id's texts of the row it stands at */
};

/*
 * The context is everything the cursor is bound to: operation, caller, sort, filters. NULL without memory, or
 * when the values are too long for a cursor.
 */
const char *cursor_write(
    struct arena *a, const struct secret_key *key, struct str context, const struct cursor *cursor);
/* 0; -EBADMSG for anything but a cursor of this key and context; -ENOMEM. */
MUST_CHECK int cursor_read(
    struct arena *a, const struct secret_key *key, struct str context, const char *text, struct cursor *ret);

#endif
