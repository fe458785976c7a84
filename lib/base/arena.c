/*
 * Blocks in a list, the newest first; each allocation is cut from the newest block. Under AddressSanitizer whatever is
 * not handed out is poisoned and a gap follows each allocation, so an overrun shows as it would with malloc.
 */
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define GAP            16u
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define GAP            0u
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGNMENT   16u
#define FIRST_BLOCK 4096u
#define LAST_BLOCK  (256u * 1024u)

struct block {
    struct block *older;
    size_t size, used;
    _Alignas(ALIGNMENT) char data[];
};

struct arena {
    struct block *newest;
    size_t max, used, next_size;
    bool failed;
};

struct arena *arena_new(size_t max)
{
    struct arena *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->max = max;
    a->next_size = FIRST_BLOCK;
    return a;
}

static void block_free(struct block *b)
{
    UNPOISON(b->data, b->size);
    free(b);
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    while (a->newest) {
        struct block *b = a->newest;
        a->newest = b->older;
        block_free(b);
    }
    free(a);
}

void arena_reset(struct arena *a)
{
    while (a->newest && a->newest->older) {
        struct block *b = a->newest;
        a->newest = b->older;
        block_free(b);
    }
    /* A first block made for one big allocation is not worth keeping for an idle owner. */
    if (a->newest && a->newest->size > LAST_BLOCK) {
        block_free(a->newest);
        a->newest = NULL;
    }
    if (a->newest) {
        a->newest->used = 0;
        POISON(a->newest->data, a->newest->size);
    }
    a->used = 0;
    a->next_size = FIRST_BLOCK;
    a->failed = false;
}

static struct block *block_add(struct arena *a, size_t need)
{
    size_t size = need > a->next_size ? need : a->next_size;
    struct block *b = malloc(sizeof(*b) + size);

    if (!b)
        return NULL;
    b->size = size;
    b->used = 0;
    b->older = a->newest;
    a->newest = b;
    if (a->next_size < LAST_BLOCK)
        a->next_size *= 2;
    POISON(b->data, b->size);
    return b;
}

static void *refuse(struct arena *a)
{
    a->failed = true;
    return NULL;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct block *b = a->newest;
    size_t need;
    char *p;

    if (n > SIZE_MAX - ALIGNMENT - GAP - sizeof(struct block))
        return refuse(a);
    need = (n + GAP + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (need == 0)
        need = ALIGNMENT;
    if (need > a->max - a->used)
        return refuse(a);
    if (!b || need > b->size - b->used) {
        b = block_add(a, need);
        if (!b)
            return refuse(a);
    }
    p = b->data + b->used;
    b->used += need;
    a->used += need;
    UNPOISON(p, n);
    return memset(p, 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n))
        return refuse(a);
    return arena_alloc(a, n);
}

char *arena_strndup(struct arena *a, const char *p, size_t n)
{
    char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : refuse(a);

    if (copy && n > 0)
        memcpy(copy, p, n);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    char *text;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return refuse(a);
    text = arena_alloc(a, (size_t)n + 1);
    if (text)
        (void)vsnprintf(text, (size_t)n + 1, fmt, ap);
    return text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return text;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

bool arena_failed(const struct arena *a)
{
    return a->failed;
}
