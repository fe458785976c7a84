/* The innards of lib/db, shared by its own files alone. */
#ifndef TIENDO_DB_INTERNAL_H
#define TIENDO_DB_INTERNAL_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "db.h"

/* What the next result on a connection belongs to. */
enum expect_kind {
    EXPECT_QUERY,
    EXPECT_PREPARE,    /* of a shape: not shown to the caller unless it fails */
    EXPECT_DEALLOCATE, /* of an evicted shape */
    EXPECT_DISCARD,    /* its error was already handed out */
    EXPECT_SYNC,
};

struct expect {
    uint8_t kind;
    uint32_t number; /* PREPARE: the slot; DEALLOCATE: the number in the statement's name */
};

/* The results to come, in order: a ring that grows. */
struct expects {
    struct expect *ring;
    size_t first, n, cap; /* cap is a power of two */
};

enum shape_state { SHAPE_FREE, SHAPE_PENDING, SHAPE_READY };

struct shape {
    uint64_t hash[2];
    uint64_t used; /* the connection's tick of its last use */
    uint64_t sync; /* PENDING: the pipeline that prepares it */
    uint32_t number;
    int n_params;
    enum shape_state state;
};

#define STALE_MAX 64

/* The composed statements prepared on one connection. */
struct shapes {
    struct shape *slots; /* made with the first */
    unsigned n;
    uint32_t last_number;
    uint64_t tick;
    uint32_t stale[STALE_MAX]; /* evicted, but their DEALLOCATE did not run */
    unsigned n_stale;
};

struct db_conn {
    PGconn *pg;
    struct db_pool *pool; /* NULL: made by db_open */
    const struct db_pool_options *options;
    struct db_conn *next; /* in the pool's idle or discarded list */

    struct expects expects;
    struct shapes shapes;
    uint64_t syncs;    /* pipelines ended so far */
    unsigned unsynced; /* statements queued since */
    size_t copied;     /* bytes of COPY since the last look at the backlog */

    unsigned wait_ms; /* this lease's */
    size_t bytes;     /* queued in this lease */
    bool pipelined;
    bool streaming; /* the query being read is in single-row mode */
    bool copying;
    bool touched;  /* something of this lease may have reached the server */
    bool answered; /* a result was read in this lease */
    bool undone;   /* the server ended the session before it answered anything of this lease */
    bool broken;
    bool lost;   /* broken from outside */
    bool retire; /* replace it when it is given back */
    bool shared; /* read by calls: nothing here may wait */
};

/* A thread in db_pool_take. Its state is a futex. */
enum waiter_state { WAITER_WAITING, WAITER_SERVED, WAITER_REFUSED };

struct waiter {
    _Atomic uint32_t state;
    struct db_conn *conn;
    struct waiter *next, *prev;
};

/* A call on a shared connection, on the stack of its thread. Its state is a futex. */
enum call_state { CALL_WAITING, CALL_LEADS, CALL_ENDED };

struct call {
    _Atomic uint32_t state;
    int error;
    size_t n, got;
    struct db_result **results;
    struct call *next;
};

/* A connection on which calls follow one another. One of their threads leads: it waits for the socket and reads for
 * all; the others sleep. */
struct shared {
    pthread_mutex_t lock;
    struct db_conn *conn; /* NULL: nothing under way */
    struct call *first, *last;
    bool led;
    /* For those who choose: calls under way, and since when the first of them is. */
    _Atomic unsigned load;
    _Atomic int64_t since;
};

struct db_pool {
    struct db_pool_options options;
    pthread_mutex_t lock;
    pthread_cond_t keeper_wake; /* work for the keeper */
    pthread_cond_t opened;      /* for db_pool_ready */
    pthread_t keeper;
    struct shared *shared; /* options.shared of them */

    /* All below under the lock. */
    struct db_conn *idle;
    struct db_conn *discarded; /* to be closed by the keeper */
    struct waiter *first, *last;
    struct db_pool_stats stats;
    bool failing; /* the last attempt to connect failed */
    bool stopping;
    char last_error[512];
};

/* connect.c */
MUST_CHECK int conn_new(
    const struct db_pool_options *options, char *error, size_t error_size, struct db_conn **ret_conn);
/* Cancels what still runs, and closes. */
void conn_close(struct db_conn *conn);
/* Clean: nothing running, queued or unread, no transaction open. */
bool conn_is_clean(const struct db_conn *conn);
/* A look at the socket of an idle connection. */
bool conn_is_alive(const struct db_conn *conn);
void conn_lease(struct db_conn *conn);

/* pipeline.c */
MUST_CHECK int expects_push(struct expects *q, enum expect_kind kind, uint32_t number);
/* The connection is of no more use; always -ECONNRESET. */
int conn_lost(struct db_conn *conn);
/* The deadline passed; always -ETIMEDOUT. */
int conn_timed_out(struct db_conn *conn);
/* The longest wait for a result. */
unsigned conn_wait_ms(const struct db_conn *conn);
/* Bytes that values take. */
size_t values_size(int n, const char *const *values);
/* Waits for the socket, not past the deadline, which is set at the first call (0). */
MUST_CHECK int conn_poll(struct db_conn *conn, short events, int64_t *deadline);
/* Waits until PQgetResult will not block; on a shared connection -EAGAIN instead of waiting. */
MUST_CHECK int conn_receive(struct db_conn *conn);
/* The next result, as db_next and db_stream_next hand it out. */
MUST_CHECK int conn_next(struct db_conn *conn, bool stream, PGresult **ret_result);
/* Sends all that is queued. */
MUST_CHECK int conn_flush(struct db_conn *conn);
/* Notes what an error says about its connection. */
void conn_look_at_error(struct db_conn *conn, const PGresult *result);

/* shape.c */
/* Finds or queues the preparation of a statement: its name, or "" when it is to be sent unprepared. */
MUST_CHECK int shape_prepare(struct db_conn *conn, const char *sql, int n_params, char name[32]);
/* A hidden statement of the cache was answered. */
void shape_answered(struct db_conn *conn, struct expect e, ExecStatusType status);
void shapes_free(struct shapes *shapes);

/* call.c */
MUST_CHECK int calls_new(unsigned n, struct shared **ret_shared);
void calls_free(struct shared *shared, unsigned n);

/* futex.c */
/* Sleeps while the word has this value, at most so long (us < 0: without end). */
void futex_sleep(_Atomic uint32_t *word, uint32_t value, int64_t us);
/* Wakes the sleeper. The word may be gone already: waking an address where nobody sleeps does no harm. */
void futex_wake(_Atomic uint32_t *word);

/* keeper.c */
void *keeper_run(void *pool);

/* pool.c */
/* Leases an idle connection if there is one and nobody waits for it. */
MUST_CHECK int pool_try(struct db_pool *pool, struct db_conn **ret_conn);
/* With the lock held. */
void pool_serve(struct db_pool *pool, struct db_conn *conn);
void pool_discard(struct db_pool *pool, struct db_conn *conn);
void pool_refuse_all(struct db_pool *pool);

/* An error that stands for a lost session, not for a failed statement. */
static inline const char *result_field(const PGresult *result, int field)
{
    const char *s = PQresultErrorField(result, field);

    return s ? s : "";
}

#endif
