/* Where the sealed journal ends, as this process last heard, and those who wait for it to go on. */
#ifndef TIENDO_WATCH_H
#define TIENDO_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct watch;

/* So many may wait at once; one caller holds a quarter of the places at most, and at least one. */
MUST_CHECK int watch_new(unsigned places, struct watch **ret);
struct watch *watch_free(struct watch *watch); /* takes NULL */

/* The end is here now; wakes who waits for it. */
void watch_tell(struct watch *watch, int64_t head);
/* Nobody waits from now on. */
void watch_close(struct watch *watch);

/* A place for a caller (an id, borrowed until it is given back): 0, -EAGAIN when all are taken, -EDQUOT when the caller's are. */
MUST_CHECK int watch_enter(struct watch *watch, const char *caller);
void watch_leave(struct watch *watch, const char *caller);
/* Waits for an end beyond this one: true; false after the wait (until, on the monotonic clock) or when all is closing. */
bool watch_wait(struct watch *watch, int64_t beyond, int64_t until_us);
bool watch_closed(struct watch *watch);

#endif
