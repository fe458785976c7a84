/* The raw request target: a path split before it is decoded, and its query. */
#ifndef TIENDO_TARGET_H
#define TIENDO_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "schema.h"
#include "text.h"
#include "util.h"

#define TARGET_SEGMENTS_MAX 16
#define TARGET_QUERY_MAX    64

struct target {
    struct str path; /* raw, without the query; for logs and problems */
    struct str segments[TARGET_SEGMENTS_MAX];
    size_t n_segments;
    struct pair query[TARGET_QUERY_MAX];
    size_t n_query;
    bool asterisk; /* OPTIONS * */
};

/*
 * 0; -EINVAL: no well-formed path (broken escapes, %00, bad UTF-8, raw control characters); -EBADMSG: no
 * well-formed query (the same, an empty name, too many parameters); -ENOENT: well-formed, but a path that no
 * resource has (//, a trailing slash, dots, too deep); -ENOMEM. ret->path is set in all but the last.
 */
MUST_CHECK int target_parse(struct arena *a, const char *raw, struct target *ret);

/* The path as problems and links name it: what is no UTF-8 stands in it escaped, and of a calendar's address not its secret. NULL without memory. */
MUST_CHECK const char *target_path(struct arena *a, const char *raw);

/* name=value pairs after the rules of the query (also the body of a form). At most max: -E2BIG. */
MUST_CHECK int target_pairs(struct arena *a, struct str text, struct pair *pairs, size_t max, size_t *ret_n);

#endif
