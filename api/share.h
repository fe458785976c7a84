/* What one caller may hold of the long lane with answers that are read slowly, so that others get in beside it. */
#ifndef TIENDO_SHARE_H
#define TIENDO_SHARE_H

#include <stdbool.h>

#include "util.h"

struct share;

/* Of so many connections all but a third, and at least one, may be one caller's. */
MUST_CHECK int share_new(unsigned connections, struct share **ret);
struct share *share_free(struct share *share); /* takes NULL */
/* Whether the caller (an id, borrowed until it is given back) may hold one more, at the latest after the wait. */
bool share_take(struct share *share, const char *caller, unsigned wait_ms);
void share_give(struct share *share, const char *caller);

#endif
