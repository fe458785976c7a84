/*
 * What a handler sees: a request that has passed routing, negotiation, token, rate limit and
 * validation, and a response it fills in. All memory belongs to the request's arena.
 */
#ifndef TIENDO_HANDLER_H
#define TIENDO_HANDLER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "contract.h"
#include "db.h"
#include "problem.h"
#include "text.h"
#include "token.h"

#define REQUEST_PATH_MAX 4
#define TRACE_ID_CHARS 33

struct service; /* service.h: configuration, pools, keys, counters of this process */

struct header {
    const char *name; /* as sent; compare with strcasecmp */
    const char *value;
};

/* One query parameter of the operation as it was sent: `name` or `name[op]`, decoded. */
struct query_value {
    const struct parameter *spec;
    const char *name;
    struct str value; /* NUL-terminated too */
};

struct request {
    struct service *service;
    struct arena *arena;
    const struct operation *op;
    const char *method;                /* upper case; HEAD has become GET here */
    const char *path;                  /* raw, without the query */
    struct str path_args[REQUEST_PATH_MAX]; /* decoded, in the template's order */
    struct query_value *query;
    size_t n_query;
    const struct header *headers;
    size_t n_headers;
    struct str body;                   /* the raw bytes, inflated */
    json_t *json;                      /* the parsed JSON body, or NULL */
    struct str body_text;              /* the JSON body as text, strings in NFC; p is NULL without one */
    const struct identity *identity;   /* NULL for a public operation */
    const char *language;              /* "en" or "vi" */
    const char *client_address;        /* text form */
    char trace_id[TRACE_ID_CHARS];
    struct problem_faults *faults;     /* what is wrong so far; fail() sends them along */
    struct db_conn *conn;              /* the lane's connection while one is held */
    char new_id[37];                   /* :new_id, made at first use */
};

/*
 * Streams a body: called until it returns 0 (the end) or a negative errno (the connection is cut, so
 * that nobody takes the part for the whole). `done` runs once at the very end, also after a failure.
 */
struct response_stream {
    int (*next)(void *userdata, struct buf *out);
    void (*done)(void *userdata);
    void *userdata;
};

struct response {
    unsigned status;
    const char *content_type; /* NULL with a body: application/json; charset follows for text */
    struct str body;          /* borrowed until the answer is sent: arena or static memory */
    struct response_stream stream;
    const char *etag;     /* bare version; quoted when sent */
    const char *location;
    struct header headers[12];
    size_t n_headers;
};

/* 0: the response is complete (a problem too). Negative errno: answered 500, or 503 when the database was not to be had. */
typedef int (*handler_fn)(struct request *req, struct response *resp);

/* The value of a request header or NULL. */
const char *request_header(const struct request *req, const char *name);
/* The value of a query parameter or NULL. */
const char *request_query(const struct request *req, const char *name);
/* The value of a path parameter or NULL. */
const char *request_path(const struct request *req, const char *name);

/* Adds a header; name and value are borrowed until the answer is sent. */
void response_header(struct response *resp, const char *name, const char *value);
/* Answers with finished JSON. */
int reply_text(struct response *resp, unsigned status, const char *json, size_t n);
/* Serialises a Jansson value into the arena and answers with it; steals the reference. */
int reply_json(struct request *req, struct response *resp, unsigned status, json_t *value);
int reply_none(struct response *resp);

/* Answers with a problem and the faults collected so far. Always 0, so that handlers can return it. */
int fail(struct request *req, struct response *resp, enum problem_code code);
/* The same with a sentence of its own instead of the code's. */
int fail_detail(struct request *req, struct response *resp, enum problem_code code, const char *detail);
/* Adds a fault first: where is "#/pointer", "?parameter" or "Header-Name:". */
int fail_at(struct request *req, struct response *resp, enum problem_code code, const char *where, enum problem_code fault,
            const char *detail);

/* A placeholder's value given by a handler; wins over the request's own. NULL value is SQL NULL. */
struct bind {
    const char *name; /* without the colon */
    const char *value;
};

/*
 * Runs [enter, the named query, Sync] in one round trip on the operation's lane and answers with its
 * row as the conventions say. `enter` is left out for a public operation. Errors of the database become
 * the problem they stand for.
 */
MUST_CHECK int run_query(struct request *req, int query, struct response *resp);
MUST_CHECK int run_query_bind(struct request *req, int query, const struct bind *binds, size_t n, struct response *resp);
/*
 * The same, but hands the rows to the handler. 0 and the rows (owned by the caller), or 1 when the
 * response already holds a problem, or negative errno. Placeholders with no bind come from the request.
 */
MUST_CHECK int query_fetch(struct request *req, int query, const struct bind *binds, size_t n, struct response *resp,
                           struct db_result **ret);
/* Gives the lane's connection back early, before work that takes long without the database (a password hash). */
void request_release(struct request *req);

#endif
