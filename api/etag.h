/* Entity tags in If-Match and If-None-Match (RFC 9110, 8.8.3 and 13.1). */
#ifndef TIENDO_ETAG_H
#define TIENDO_ETAG_H

#include <stdbool.h>

#include "arena.h"
#include "util.h"

/* Whether the header's value is `*` or a list of at least one entity tag. */
bool etag_valid(const char *header);
/* Whether If-None-Match names the tag `"<version>"`, by weak comparison. */
bool etag_names(const char *header, const char *version);
/*
 * The versions that a valid header names by strong comparison, as SQL takes them: "*", or numbers with commas between
 * them; "-1" where it names none (weak tags, tags that are no versions). Tags of variants carry a suffix after a
 * semicolon: "7;gzip" names version 7 too. NULL for no header, or without memory.
 */
const char *etag_versions(struct arena *a, const char *header);

#endif
