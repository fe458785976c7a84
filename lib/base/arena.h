/* Memory with one lifetime: many small allocations, freed together. Not for use by two threads at once. */
#ifndef TIENDO_ARENA_H
#define TIENDO_ARENA_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>

#include "util.h"

struct arena;

/* A new arena that hands out at most MAX bytes; NULL without memory. */
MUST_CHECK struct arena *arena_new(size_t max);

void arena_free(struct arena *a);

/* Forget every allocation but keep the first block for the next round. */
void arena_reset(struct arena *a);

/* Zeroed and aligned for any type; NULL past the maximum or without memory. */
MUST_CHECK void *arena_alloc(struct arena *a, size_t n);

/* COUNT elements of SIZE bytes, zeroed; NULL on overflow too. */
MUST_CHECK void *arena_array(struct arena *a, size_t count, size_t size);

MUST_CHECK char *arena_strdup(struct arena *a, const char *s);

/* N bytes of P (which may hold anything) and a closing NUL. */
MUST_CHECK char *arena_strndup(struct arena *a, const char *p, size_t n);

MUST_CHECK char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
MUST_CHECK char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* Bytes handed out since the last reset, and whether an allocation has failed since. */
size_t arena_used(const struct arena *a);
bool arena_failed(const struct arena *a);

/* _cleanup_(arena_freep) struct arena *a = NULL; */
static inline void arena_freep(struct arena **a)
{
    arena_free(*a);
}

#endif
