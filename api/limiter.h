/* The rate limit of one process: a token bucket a caller, in a table of fixed size. */
#ifndef TIENDO_LIMITER_H
#define TIENDO_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct limiter;

struct limit_state {
    bool allowed;
    uint32_t left;    /* requests that would be taken at once now */
    uint32_t reset_s; /* until the bucket is full again; with !allowed until the next request is taken */
};

/* So many requests a second on average, so many at once. per_second 0: no limit, *ret is NULL. */
MUST_CHECK int limiter_new(uint32_t per_second, uint32_t burst, struct limiter **ret);
struct limiter *limiter_free(struct limiter *limiter); /* takes NULL */

struct limit_state limiter_take(struct limiter *limiter, const char *caller, int64_t now_us);
/* The RateLimit-Policy header's value. */
const char *limiter_policy(const struct limiter *limiter);

#endif
