/*
 * The door to Ulfius and libmicrohttpd: listeners, raw requests in, finished answers out. Knows
 * nothing of routes or resources.
 */
#ifndef TIENDO_BRIDGE_H
#define TIENDO_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "header.h"

#define BRIDGE_HEADERS_MAX       64
#define BRIDGE_REPLY_HEADERS_MAX 24

struct bridge_request {
    const char *method;  /* as sent */
    const char *target;  /* the raw request target with its query */
    const char *version; /* "HTTP/1.1" */
    struct header headers[BRIDGE_HEADERS_MAX];
    size_t n_headers;
    bool too_many_headers;
    const char *body;
    size_t body_n;   /* body_max + 1 when more was sent than the listener takes */
    void *taken;     /* the body's sink instead, or NULL */
    char client[46]; /* the peer's address as text */
};

struct bridge_reply {
    unsigned status;
    struct header headers[BRIDGE_REPLY_HEADERS_MAX];
    size_t n_headers;
    void (*release)(void *lease); /* ends the headers' lifetime; called once they are taken over; may be NULL */
    void *lease;
    char *body; /* from bridge_alloc(); the bridge frees it */
    size_t body_n;
    /*
     * A streamed body instead: fills p with up to max bytes and returns how many; 0 is the end, a
     * negative errno cuts the connection. `done` runs once when the answer is over, however it ended.
     */
    ssize_t (*stream)(void *userdata, char *p, size_t max);
    uint64_t stream_n; /* its length where it is known, else 0 */
    void (*done)(void *userdata);
    void *userdata;
};

/*
 * Bodies that are taken piece by piece as they come, and never kept in memory. `open` is asked when the headers of a request with a body are
 * there, and before any of it is: NULL leaves the body to the bridge, anything else takes it and is bridge_request.taken when the request is
 * handled. With *ret_answer set no body is waited for: the request is handled at once, and its connection closed (a client that expects
 * 100 Continue never sends it then). `take` answers 0, or a negative errno to cut the connection. `close` runs once at the very end.
 */
struct bridge_sink {
    void *(*open)(void *userdata, const struct bridge_request *head, bool *ret_answer);
    int (*take)(void *taken, const char *p, size_t n);
    void (*close)(void *taken);
};

typedef void (*bridge_fn)(void *userdata, struct bridge_request *req, struct bridge_reply *reply);

struct bridge_options {
    const char *address; /* numeric, v4 or v6 */
    uint16_t port;       /* 0: any; see bridge_port */
    unsigned connections;
    unsigned timeout_s;
    size_t memory_limit; /* bytes for a request line and headers */
    size_t stack_size;
    size_t body_max;
    /*
     * A body grows beyond body_free only for whom admit says yes, asked once with the Authorization header (NULL without one);
     * the connection of any other is closed. NULL: for all.
     */
    size_t body_free;
    bool (*admit)(void *userdata, const char *authorization);
    const struct bridge_sink *sink; /* NULL: none */
    bridge_fn fn;
    void *userdata;
};

struct bridge;

/* Listens and serves, a thread a connection. 0, -EADDRINUSE, -EINVAL (address), -ENOMEM, -EIO. */
int bridge_start(const struct bridge_options *options, struct bridge **ret);
uint16_t bridge_port(const struct bridge *bridge);
unsigned bridge_connections(const struct bridge *bridge);
/* Answers being worked on or sent. */
unsigned bridge_in_flight(const struct bridge *bridge);
/* Closes the listener and lets what is in flight finish, at most grace_ms; then closes all. Takes NULL. */
void bridge_stop(struct bridge *bridge, unsigned grace_ms);

void *bridge_alloc(size_t n);

#endif
