/*
 * The keeper thread of a pool: opens connections until there are enough, replaces those that died, closes those that
 * were discarded. While the database is away it tries again at growing intervals, so it neither hammers nor sleeps
 * through the return.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "db_internal.h"
#include "log.h"

#define RETRY_FIRST_MS 50
#define RETRY_LAST_MS  1000
/* How often idle connections are looked at. */
#define SWEEP_MS 1000

static void keeper_sleep(struct db_pool *pool, unsigned ms)
{
    int64_t until = clock_mono_us() + (int64_t)ms * 1000;
    struct timespec t = { .tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000 };

    (void)pthread_cond_timedwait(&pool->keeper_wake, &pool->lock, &t);
}

/* Takes dead connections out of the idle list. */
static void keeper_sweep(struct db_pool *pool)
{
    struct db_conn **at = &pool->idle, *conn;

    while ((conn = *at)) {
        if (conn_is_alive(conn)) {
            at = &conn->next;
            continue;
        }
        *at = conn->next;
        pool->stats.idle--;
        conn->lost = true;
        pool_discard(pool, conn);
    }
}

/* The lock is not held while connections are closed. */
static void keeper_close(struct db_pool *pool)
{
    struct db_conn *list = TAKE_PTR(pool->discarded), *next;

    if (!list)
        return;
    pthread_mutex_unlock(&pool->lock);
    for (; list; list = next) {
        next = list->next;
        conn_close(list);
    }
    pthread_mutex_lock(&pool->lock);
}

static void keeper_opened(struct db_pool *pool, struct db_conn *conn)
{
    conn->pool = pool;
    if (pool->failing || pool->stats.connects == 0)
        log_info("database_connected", "pool=%s", pool->options.name);
    pool->failing = false;
    pool->stats.connects++;
    pool->stats.open++;
    pool_serve(pool, conn);
    pthread_cond_broadcast(&pool->opened);
}

static void keeper_failed(struct db_pool *pool, const char *error)
{
    size_t n = strcspn(error, "\n");

    if (n >= sizeof(pool->last_error))
        n = sizeof(pool->last_error) - 1;
    /* Once for each loss and each new reason. */
    if (!pool->failing || strlen(pool->last_error) != n || memcmp(pool->last_error, error, n) != 0)
        log_warn("database_unavailable", "pool=%s reason=%.*s", pool->options.name, (int)n, error);
    memcpy(pool->last_error, error, n);
    pool->last_error[n] = '\0';
    pool->failing = true;
    pool->stats.failures++;
    if (pool->stats.open == 0)
        pool_refuse_all(pool);
}

/* Opens one connection, without the lock meanwhile. */
static void keeper_open(struct db_pool *pool)
{
    struct db_conn *conn = NULL;
    char error[512];
    int r;

    pthread_mutex_unlock(&pool->lock);
    r = conn_new(&pool->options, error, sizeof(error), &conn);
    pthread_mutex_lock(&pool->lock);
    if (r < 0)
        keeper_failed(pool, r == -ENOMEM ? "out of memory" : error);
    else
        keeper_opened(pool, conn);
}

void *keeper_run(void *arg)
{
    struct db_pool *pool = arg;
    unsigned retry_ms = RETRY_FIRST_MS;
    int64_t next_try = 0, now;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        keeper_sweep(pool);
        keeper_close(pool);
        now = clock_mono_us();
        if (pool->stats.open >= pool->stats.size) {
            if (!pool->discarded && !pool->stopping)
                keeper_sleep(pool, SWEEP_MS);
            continue;
        }
        if (pool->failing && now < next_try) {
            if (!pool->discarded && !pool->stopping)
                keeper_sleep(pool, (unsigned)((next_try - now) / 1000 + 1));
            continue;
        }
        keeper_open(pool);
        if (!pool->failing) {
            retry_ms = RETRY_FIRST_MS;
            continue;
        }
        next_try = clock_mono_us() + (int64_t)retry_ms * 1000;
        retry_ms = retry_ms * 2 < RETRY_LAST_MS ? retry_ms * 2 : RETRY_LAST_MS;
    }
    keeper_close(pool);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}
