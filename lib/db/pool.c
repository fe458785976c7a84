/*
 * The pool: connections are handed out first come first served and taken back last in first out, so that few are kept
 * busy and warm. A connection given back while somebody waits goes to the longest waiting thread directly. Everything
 * that may take time (connecting, cancelling, closing) is the keeper thread's.
 */

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "db_internal.h"

/* ---- waiting threads ---- */

static void waiter_queue(struct db_pool *pool, struct waiter *w)
{
    w->prev = pool->last;
    if (pool->last)
        pool->last->next = w;
    else
        pool->first = w;
    pool->last = w;
    pool->stats.waiting++;
}

static void waiter_unqueue(struct db_pool *pool, struct waiter *w)
{
    *(w->prev ? &w->prev->next : &pool->first) = w->next;
    *(w->next ? &w->next->prev : &pool->last) = w->prev;
    pool->stats.waiting--;
}

static void waiter_settle(struct db_pool *pool, struct waiter *w, enum waiter_state state)
{
    waiter_unqueue(pool, w);
    atomic_store_explicit(&w->state, state, memory_order_release);
}

void pool_refuse_all(struct db_pool *pool)
{
    while (pool->first) {
        struct waiter *w = pool->first;

        pool->stats.refused++;
        waiter_settle(pool, w, WAITER_REFUSED);
        futex_wake(&w->state);
    }
}

/* ---- connections ---- */

static bool pool_is_down(const struct db_pool *pool)
{
    return pool->failing && pool->stats.open == 0;
}

/* A good connection: to the longest waiting thread, which then is to be woken, or to the idle ones. */
static struct waiter *pool_put(struct db_pool *pool, struct db_conn *conn)
{
    struct waiter *w = pool->first;

    if (w) {
        w->conn = conn;
        pool->stats.takes++;
        waiter_settle(pool, w, WAITER_SERVED);
        return w;
    }
    conn->next = pool->idle;
    pool->idle = conn;
    pool->stats.idle++;
    return NULL;
}

void pool_serve(struct db_pool *pool, struct db_conn *conn)
{
    struct waiter *w = pool_put(pool, conn);

    if (w)
        futex_wake(&w->state);
}

void pool_discard(struct db_pool *pool, struct db_conn *conn)
{
    pool->stats.open--;
    if (conn->lost)
        pool->stats.lost++;
    conn->next = pool->discarded;
    pool->discarded = conn;
    if (pool_is_down(pool))
        pool_refuse_all(pool);
    pthread_cond_signal(&pool->keeper_wake);
}

/* With the lock held, and again on return: an idle connection that is alive, or NULL. */
static struct db_conn *pool_pop(struct db_pool *pool)
{
    struct db_conn *conn;

    while ((conn = pool->idle)) {
        pool->idle = conn->next;
        pool->stats.idle--;
        pthread_mutex_unlock(&pool->lock);
        if (!conn_is_alive(conn))
            conn->lost = true;
        pthread_mutex_lock(&pool->lock);
        if (!conn->lost) {
            pool->stats.takes++;
            return conn;
        }
        pool_discard(pool, conn);
    }
    return NULL;
}

static int pool_wait(struct db_pool *pool, struct waiter *w, unsigned wait_ms)
{
    int64_t now = clock_mono_us(), deadline = now + (int64_t)wait_ms * 1000;
    uint32_t state;
    int r = 0;

    while ((state = atomic_load_explicit(&w->state, memory_order_acquire)) == WAITER_WAITING && now < deadline) {
        futex_sleep(&w->state, WAITER_WAITING, deadline - now);
        now = clock_mono_us();
    }
    if (state == WAITER_WAITING) {
        pthread_mutex_lock(&pool->lock);
        state = atomic_load_explicit(&w->state, memory_order_acquire);
        if (state == WAITER_WAITING) {
            waiter_unqueue(pool, w);
            r = pool->stats.open > 0 ? -EAGAIN : -ENOTCONN;
            *(r == -EAGAIN ? &pool->stats.exhausted : &pool->stats.refused) += 1;
        }
        pthread_mutex_unlock(&pool->lock);
    }
    return state == WAITER_REFUSED ? -ENOTCONN : r;
}

int pool_try(struct db_pool *pool, struct db_conn **ret_conn)
{
    struct db_conn *conn;

    pthread_mutex_lock(&pool->lock);
    conn = pool->first ? NULL : pool_pop(pool);
    pthread_mutex_unlock(&pool->lock);
    if (!conn)
        return -EAGAIN;
    conn_lease(conn);
    *ret_conn = conn;
    return 0;
}

int db_pool_take(struct db_pool *pool, unsigned wait_ms, struct db_conn **ret_conn)
{
    struct waiter w = { .state = WAITER_WAITING };
    struct db_conn *conn;
    int r;

    pthread_mutex_lock(&pool->lock);
    conn = pool->first ? NULL : pool_pop(pool);
    if (!conn && pool_is_down(pool)) {
        pool->stats.refused++;
        pthread_mutex_unlock(&pool->lock);
        return -ENOTCONN;
    }
    if (!conn)
        waiter_queue(pool, &w);
    pthread_mutex_unlock(&pool->lock);

    if (!conn) {
        r = pool_wait(pool, &w, wait_ms);
        if (r < 0)
            return r;
        conn = w.conn;
    }
    conn_lease(conn);
    *ret_conn = conn;
    return 0;
}

struct db_conn *db_pool_give(struct db_conn *conn)
{
    struct waiter *w = NULL;
    struct db_pool *pool;
    bool clean;

    if (!conn)
        return NULL;
    pool = conn->pool;
    if (!pool) {
        conn_close(conn);
        return NULL;
    }
    clean = conn_is_clean(conn);
    pthread_mutex_lock(&pool->lock);
    if (clean)
        w = pool_put(pool, conn);
    else
        pool_discard(pool, conn);
    pthread_mutex_unlock(&pool->lock);
    if (w)
        futex_wake(&w->state);
    return NULL;
}

/* ---- the pool itself ---- */

/* The keeper takes no signals: they belong to the threads that wait for them. */
static int keeper_start(struct db_pool *pool)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&pool->keeper, NULL, keeper_run, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int db_pool_new(const struct db_pool_options *options, struct db_pool **ret_pool)
{
    pthread_condattr_t attr;
    struct db_pool *pool;
    int r;

    if (options->size == 0)
        return -EINVAL;
    pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->options = *options;
    pool->stats.size = options->size;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->keeper_wake, &attr);
    pthread_cond_init(&pool->opened, &attr);
    pthread_condattr_destroy(&attr);
    r = calls_new(options->shared, &pool->shared);
    if (r == 0)
        r = keeper_start(pool);
    if (r < 0) {
        calls_free(pool->shared, options->shared);
        free(pool);
        return r;
    }
    *ret_pool = pool;
    return 0;
}

struct db_pool *db_pool_free(struct db_pool *pool)
{
    if (!pool)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_signal(&pool->keeper_wake);
    pthread_mutex_unlock(&pool->lock);
    pthread_join(pool->keeper, NULL);

    assert(pool->stats.idle == pool->stats.open && pool->stats.waiting == 0);
    while (pool->idle) {
        struct db_conn *conn = pool->idle;

        pool->idle = conn->next;
        conn_close(conn);
    }
    calls_free(pool->shared, pool->options.shared);
    pthread_cond_destroy(&pool->opened);
    pthread_cond_destroy(&pool->keeper_wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    return NULL;
}

int db_pool_ready(struct db_pool *pool, unsigned wait_ms)
{
    int64_t until = clock_mono_us() + (int64_t)wait_ms * 1000;
    struct timespec t = { .tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000 };
    int r = 0;

    pthread_mutex_lock(&pool->lock);
    while (pool->stats.open == 0 && r == 0)
        r = pthread_cond_timedwait(&pool->opened, &pool->lock, &t);
    r = pool->stats.open > 0 ? 0 : -ENOTCONN;
    pthread_mutex_unlock(&pool->lock);
    return r;
}

void db_pool_last_error(struct db_pool *pool, char *buf, size_t size)
{
    pthread_mutex_lock(&pool->lock);
    (void)snprintf(buf, size, "%s", pool->last_error);
    pthread_mutex_unlock(&pool->lock);
}

void db_pool_stats(struct db_pool *pool, struct db_pool_stats *ret_stats)
{
    pthread_mutex_lock(&pool->lock);
    *ret_stats = pool->stats;
    ret_stats->down = pool_is_down(pool);
    pthread_mutex_unlock(&pool->lock);
}
