/*
 * What a handler sees: one request that has passed routing, negotiation, token, rate limit and
 * validation, and its answer. All memory belongs to the exchange's arena.
 *
 * A handler is `int handle_<x-handler>(struct exchange *x)`: 0 when the answer is complete (a problem
 * too), or a negative errno, which is answered 503 where the database was not to be had, else 500.
 */
#ifndef TIENDO_HANDLER_H
#define TIENDO_HANDLER_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "contract.h"
#include "db.h"
#include "header.h"
#include "json.h"
#include "problem.h"
#include "routes.h" /* declares every handler */
#include "text.h"
#include "token.h"
#include "util.h"

#define TRACE_ID_TEXT     33
#define REPLY_HEADERS_MAX 12

struct upload;  /* upload.h */
struct service; /* service.h: configuration, pools, keys and counters of this process */

/*
 * A streamed body: `next` adds a piece to out and returns 1, or 0 at the end, or a negative errno (the
 * connection is cut then, so that nobody takes a part for the whole). `done` runs once at the very end.
 */
struct stream {
    int (*next)(void *userdata, struct buf *out);
    void (*done)(void *userdata);
    void *userdata; /* must outlive the exchange */
    uint64_t size;  /* of all pieces together where it is known, else 0 */
};

struct reply {
    unsigned status;
    const char *type;         /* content type; NULL with a body is JSON */
    struct str body;          /* borrowed: arena or static memory, or kept alive by result */
    struct db_result *result; /* freed when the answer is sent */
    struct stream stream;
    const char *version; /* becomes ETag "<version>" */
    const char *location;
    struct header headers[REPLY_HEADERS_MAX];
    size_t n_headers;
};

struct exchange {
    struct service *service;
    struct arena *arena;
    const struct operation *op;
    enum http_method method; /* HEAD where op->method is GET: the answer is the same, its body is not sent */
    const char *path;        /* raw, without the query */
    const char **params;     /* values parallel to op->parameters; NULL where absent without a fallback */
    const struct header *headers;
    size_t n_headers;
    struct str body;                 /* raw bytes, inflated; NUL-terminated */
    struct upload *upload;           /* the body of an operation that takes it in a stream; NULL without one */
    struct json_document json;       /* of a JSON or form body: NFC text and tree; tree is NULL without one */
    const struct media *accepts;     /* which of op->accepts the body is, or NULL */
    const struct media *produces;    /* which of op->produces the caller wants */
    enum lane lane;                  /* the operation's, or that of the media type */
    const struct identity *identity; /* NULL for a public operation */
    enum language language;
    const char *client; /* the caller's address, from the proxy where one is trusted */
    char trace_id[TRACE_ID_TEXT];
    char new_id[37]; /* made at first use: exchange_new_id() */
    struct faults faults;
    struct reply reply;
    bool secret_answer; /* the answer holds a secret: an idempotency record keeps no copy */
};

/* A request header's value, or NULL. */
const char *exchange_header(const struct exchange *x, const char *name);
/* A parameter's value by its name in the contract, or NULL. */
const char *exchange_param(const struct exchange *x, const char *name);
/* The id for what this request makes, the same at each call. */
const char *exchange_new_id(struct exchange *x);

/* Adds a header to the answer; name and value are borrowed. */
void reply_header(struct exchange *x, const char *name, const char *value);
/* Answers with finished JSON text (borrowed). Always 0. */
int reply_text(struct exchange *x, unsigned status, struct str json);
/* Answers with a Jansson value, whose reference it takes. 0 or -ENOMEM. */
MUST_CHECK int reply_json(struct exchange *x, unsigned status, json_t *value);
/* 204. Always 0. */
int reply_none(struct exchange *x);
/* With reply.version set on a read: answers 304 when the caller has it already. */
bool reply_unchanged(struct exchange *x);

/* Answers with a problem and the faults collected so far. Always 0, so that a handler returns it. */
int fail(struct exchange *x, enum problem_code code);
/* The same with a sentence instead of the code's own. */
int fail_detail(struct exchange *x, enum problem_code code, const char *detail);
/* The same after adding one fault (arg as in fault_add). */
int fail_at(struct exchange *x, enum problem_code code, enum fault_where where, const char *name, enum fault_code fault,
    const char *arg);

/*
 * Runs [enter, the query, Sync] in one round trip on the operation's lane and hands its rows out.
 * values: one for each of the query's parameters, NULL values are SQL NULL; a NULL array takes them
 * from the request by op->sources (the query must be op->query then). `enter` is left out for a public
 * operation. An Idempotency-Key is claimed and the answer stored in the same transaction.
 * 0 and the rows; 1 when the exchange already holds its answer (a problem, or a replay); negative errno.
 */
MUST_CHECK int query_fetch(
    struct exchange *x, const struct named_query *query, const char *const *values, struct db_result **ret_rows);
/* query_fetch, and the answer made of its row: columns status, version, location, body. No row is 404. */
MUST_CHECK int query_reply(struct exchange *x, const struct named_query *query, const char *const *values);

#endif
