#include "arenas.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define KEPT 64U

struct arena_pool {
    pthread_mutex_t lock;
    size_t max, n;
    struct arena *idle[KEPT];
};

int arena_pool_new(size_t max, struct arena_pool **ret)
{
    struct arena_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return -ENOMEM;
    pool->max = max;
    pthread_mutex_init(&pool->lock, NULL);
    *ret = pool;
    return 0;
}

struct arena_pool *arena_pool_free(struct arena_pool *pool)
{
    if (pool == NULL)
        return NULL;
    for (size_t i = 0; i < pool->n; i++)
        arena_free(pool->idle[i]);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    return NULL;
}

struct arena *arena_pool_take(struct arena_pool *pool)
{
    struct arena *arena = NULL;

    pthread_mutex_lock(&pool->lock);
    if (pool->n > 0)
        arena = pool->idle[--pool->n];
    pthread_mutex_unlock(&pool->lock);
    return arena != NULL ? arena : arena_new(pool->max);
}

void arena_pool_give(struct arena_pool *pool, struct arena *arena)
{
    arena_reset(arena);
    pthread_mutex_lock(&pool->lock);
    if (pool->n < KEPT) {
        pool->idle[pool->n++] = arena;
        arena = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    arena_free(arena);
}
