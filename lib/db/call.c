/*
 * Calls: one pipeline each, on connections that are shared while there is more work than connections. A shared
 * connection is a lease of the pool that lasts as long as calls are under way on it; its lock guards all of libpq's
 * state. The thread of one call leads: it waits for the socket with the lock released, so that others can send
 * meanwhile, reads what came, wakes those whose answers are complete, and hands the lead on when its own is.
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "db_internal.h"

/* More are not queued on one connection. */
#define CALLS_DEPTH 32
/* A connection whose first call has taken so long gets no others behind it. */
#define SLOW_US 5000
/* Parameters larger than this would make others wait for their sending. */
#define CALL_BYTES 4096

int calls_new(unsigned n, struct shared **ret_shared)
{
    struct shared *shared;

    if (n == 0)
        return 0;
    shared = calloc(n, sizeof(*shared));
    if (!shared)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        pthread_mutex_init(&shared[i].lock, NULL);
    *ret_shared = shared;
    return 0;
}

void calls_free(struct shared *shared, unsigned n)
{
    for (unsigned i = 0; shared && i < n; i++)
        pthread_mutex_destroy(&shared[i].lock);
    free(shared);
}

static int statements_send(struct db_conn *conn, const struct db_statement *s, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        if (s[i].sql)
            r = db_send_shape(conn, s[i].sql, s[i].n_params, s[i].values);
        else
            r = db_send(conn, s[i].query, s[i].values);
    }
    return r < 0 ? r : db_sync(conn);
}

static void results_free(struct db_result **results, size_t n)
{
    for (size_t i = 0; i < n; i++)
        results[i] = db_result_free(results[i]);
}

/* ---- with the lock of a shared connection held ---- */

/* Takes the first call off; it is told by calls_wake once the lock is released. */
static void call_end(struct shared *s, int error, struct call **ended)
{
    struct call *c = s->first;

    s->first = c->next;
    if (!s->first)
        s->last = NULL;
    c->error = error;
    c->next = *ended;
    *ended = c;
    atomic_fetch_sub_explicit(&s->load, 1, memory_order_relaxed);
    atomic_store_explicit(&s->since, clock_mono_us(), memory_order_relaxed);
}

/* The connection is of no more use: the first call learns why, those behind it may be tried again. */
static void calls_fail(struct shared *s, int error, struct call **ended)
{
    while (s->first) {
        call_end(s, error, ended);
        error = -ECONNRESET;
    }
}

/* Reads what has come. */
static int calls_read(struct shared *s, struct call **ended)
{
    while (s->first) {
        struct call *c = s->first;
        PGresult *result;
        int r;

        if (s->conn->broken)
            return s->conn->lost ? -ECONNRESET : -ETIMEDOUT;
        r = conn_next(s->conn, false, &result);
        if (r < 0)
            return r == -EAGAIN ? 0 : r;
        if (r == 0) {
            call_end(s, c->got == c->n ? c->error : -EBADMSG, ended);
        } else if (c->got < c->n) {
            c->results[c->got++] = (struct db_result *)result;
        } else {
            PQclear(result);
            c->error = -EBADMSG;
        }
    }
    return 0;
}

/* With nothing more under way the lease ends. */
static struct db_conn *shared_release(struct shared *s)
{
    if (s->first)
        return NULL;
    s->led = false;
    s->conn->shared = false;
    return TAKE_PTR(s->conn);
}

/* ---- without ---- */

static void calls_wake(struct call *ended, const struct call *but)
{
    while (ended) {
        struct call *c = ended;

        ended = c->next;
        if (c == but)
            continue;
        atomic_store_explicit(&c->state, CALL_ENDED, memory_order_release);
        futex_wake(&c->state);
    }
}

/* Waits for the socket until the first call's time is up. */
static int shared_poll(const struct db_conn *conn, int64_t deadline)
{
    struct pollfd p = { .fd = PQsocket(conn->pg), .events = POLLIN };
    int64_t left = (deadline - clock_mono_us() + 999) / 1000;
    int n;

    if (p.fd < 0)
        return -ECONNRESET;
    if (left <= 0)
        return -ETIMEDOUT;
    n = poll(&p, 1, (int)(left < INT_MAX ? left : INT_MAX));
    return n < 0 && errno != EINTR ? -ECONNRESET : n > 0;
}

/* Reads for all until the own call has ended. The lock is held at the beginning, and released at the end. */
static void shared_lead(struct shared *s, struct call *own)
{
    bool mine = false;

    for (;;) {
        struct call *ended = NULL, *heir = NULL;
        struct db_conn *conn = s->conn, *released;
        int64_t deadline;
        int r;

        r = calls_read(s, &ended);
        if (r < 0)
            calls_fail(s, r, &ended);
        for (struct call *c = ended; c && !mine; c = c->next)
            mine = c == own;
        released = shared_release(s);
        deadline = s->since + (int64_t)conn_wait_ms(conn) * 1000;
        if (mine && s->first)
            heir = s->first;
        pthread_mutex_unlock(&s->lock);

        if (heir) {
            atomic_store_explicit(&heir->state, CALL_LEADS, memory_order_release);
            futex_wake(&heir->state);
        }
        calls_wake(ended, own);
        (void)db_pool_give(released);
        if (mine)
            return;

        r = shared_poll(conn, deadline);
        pthread_mutex_lock(&s->lock);
        if (r == -ETIMEDOUT)
            (void)conn_timed_out(conn);
        else if (r < 0 || (r > 0 && !PQconsumeInput(conn->pg)))
            (void)conn_lost(conn);
    }
}

/* ---- a call ---- */

/* Queues and sends the call; the lock is held. A failure is left to the leader, who may sleep on the socket. */
static void call_submit(struct shared *s, struct call *c, const struct db_statement *statements)
{
    struct db_conn *conn = s->conn;
    int r;

    if (!s->first)
        atomic_store_explicit(&s->since, clock_mono_us(), memory_order_relaxed);
    *(s->last ? &s->last->next : &s->first) = c;
    s->last = c;
    atomic_fetch_add_explicit(&s->load, 1, memory_order_relaxed);
    conn->bytes = 0;
    r = statements_send(conn, statements, c->n);
    if (r == 0 && PQflush(conn->pg) == 1)
        r = conn_flush(conn);
    if (r < 0) {
        (void)conn_lost(conn);
        (void)shutdown(PQsocket(conn->pg), SHUT_RDWR);
    }
}

/* Waits for the answer, or leads. The lock is held at the beginning, and released at the end. */
static void call_await(struct shared *s, struct call *c)
{
    uint32_t state;

    if (s->led) {
        pthread_mutex_unlock(&s->lock);
        while ((state = atomic_load_explicit(&c->state, memory_order_acquire)) == CALL_WAITING)
            futex_sleep(&c->state, CALL_WAITING, -1);
        if (state == CALL_ENDED)
            return;
        pthread_mutex_lock(&s->lock);
    }
    s->led = true;
    shared_lead(s, c);
}

/* With the lock held: whether more may be queued on it. */
static bool shared_is_open(const struct shared *s)
{
    return s->conn && !s->conn->broken && !s->conn->retire;
}

/* The least busy connection that others can be queued on; NULL when all that are busy are slow or full. */
static struct shared *shared_choose(struct db_pool *pool)
{
    int64_t now = clock_mono_us();
    struct shared *best = NULL;
    unsigned least = CALLS_DEPTH;

    for (struct shared *s = pool->shared; s < pool->shared + pool->options.shared; s++) {
        unsigned load = atomic_load_explicit(&s->load, memory_order_relaxed);

        if (load == 0 || load >= least || now - atomic_load_explicit(&s->since, memory_order_relaxed) > SLOW_US)
            continue;
        best = s;
        least = load;
    }
    return best;
}

/* Whether one more connection may be shared. */
static bool shared_has_room(const struct db_pool *pool)
{
    for (struct shared *s = pool->shared; s < pool->shared + pool->options.shared; s++)
        if (atomic_load_explicit(&s->load, memory_order_relaxed) == 0)
            return true;
    return false;
}

/* Begins to share a leased connection, with the lock held on return; NULL when no more may be. */
static struct shared *shared_begin(struct db_pool *pool, struct db_conn *conn)
{
    for (struct shared *s = pool->shared; s < pool->shared + pool->options.shared; s++) {
        if (atomic_load_explicit(&s->load, memory_order_relaxed) > 0)
            continue;
        pthread_mutex_lock(&s->lock);
        if (!s->conn) {
            s->conn = conn;
            conn->shared = true;
            return s;
        }
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

/* The call by itself, on a lease. */
static int call_alone(struct db_conn *conn, struct call *c, const struct db_statement *statements)
{
    int r;

    r = statements_send(conn, statements, c->n);
    while (r == 0 && c->got < c->n) {
        r = db_next(conn, &c->results[c->got]);
        if (r > 0)
            c->got++;
        r = r < 0 ? r : 0;
    }
    return r < 0 ? r : db_drain(conn, NULL);
}

/* Finds a connection to be shared for the call: 0 with its lock held, 1 with a lease for the call alone. */
static int call_place(struct db_pool *pool, unsigned wait_ms, struct shared **ret_shared, struct db_conn **ret_conn)
{
    struct db_conn *conn = NULL;
    struct shared *s;
    int r;

    if (pool->shared && (!shared_has_room(pool) || pool_try(pool, &conn) < 0)) {
        s = shared_choose(pool);
        if (s) {
            pthread_mutex_lock(&s->lock);
            if (shared_is_open(s)) {
                *ret_shared = s;
                return 0;
            }
            pthread_mutex_unlock(&s->lock);
        }
    }
    if (!conn) {
        r = db_pool_take(pool, wait_ms, &conn);
        if (r < 0)
            return r;
    }
    s = shared_begin(pool, conn);
    if (s)
        *ret_shared = s;
    else
        *ret_conn = conn;
    return s ? 0 : 1;
}

static size_t statements_size(const struct db_statement *s, size_t n, const struct db_pool *pool)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += values_size(s[i].sql ? s[i].n_params : pool->options.queries[s[i].query].n_params, s[i].values);
    return size;
}

int db_pool_call(struct db_pool *pool, unsigned wait_ms, const struct db_statement *statements, size_t n,
    struct db_result **ret_results)
{
    struct db_result *results[DB_CALL_MAX] = { NULL };
    struct call c = { .state = CALL_WAITING, .n = n, .results = results };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    struct shared *s;
    int r;

    if (n == 0 || n > DB_CALL_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (!statements[i].sql && statements[i].query >= pool->options.n_queries)
            return -EINVAL;
    if (statements_size(statements, n, pool) > CALL_BYTES) {
        r = db_pool_take(pool, wait_ms, &conn);
        if (r == 0)
            r = 1;
    } else {
        r = call_place(pool, wait_ms, &s, &conn);
    }
    if (r == 0) {
        call_submit(s, &c, statements);
        call_await(s, &c);
        r = c.error;
    } else if (r > 0) {
        r = call_alone(conn, &c, statements);
    }
    if (r < 0) {
        results_free(results, n);
        return r;
    }
    for (size_t i = 0; i < n; i++)
        ret_results[i] = results[i];
    return 0;
}
