/* Arenas that take turns: a request borrows one, so that idle connections hold no memory. */
#ifndef TIENDO_ARENAS_H
#define TIENDO_ARENAS_H

#include "arena.h"

struct arena_pool;

/* Each arena hands out at most max bytes. */
MUST_CHECK int arena_pool_new(size_t max, struct arena_pool **ret);
struct arena_pool *arena_pool_free(struct arena_pool *pool); /* takes NULL */
struct arena *arena_pool_take(struct arena_pool *pool);      /* NULL without memory */
void arena_pool_give(struct arena_pool *pool, struct arena *arena);

#endif
