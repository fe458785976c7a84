/* SPDX-License-Identifier: MIT */
#pragma once

/* What openapi.yaml and schema/queries say, as tables: routes.py writes them at build time (routes.c).
 * Everything here is constant. routes.h, also generated, names each query (query_<name>) and operation (OP_<id>). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db.h"
#include "problem.h"
#include "schema.h"
#include "text.h"

enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    N_METHODS,
};

enum lane {
    LANE_NONE, /* no database */
    LANE_QUICK,
    LANE_LONG,
};

/* Where a query's $n comes from. */
enum source_kind {
    FROM_PARAMETER, /* operation->parameters[index], whichever its place */
    FROM_BODY,      /* the normalised JSON text; NULL if absent */
    FROM_NEW_ID,    /* a fresh UUIDv7 */
    FROM_IF_MATCH,  /* version, "*", or NULL */
    FROM_IF_NONE_MATCH,
    FROM_REQUEST_ID, /* the trace id */
    FROM_LANGUAGE,   /* "vi" or "en", after Accept-Language */
};

struct source {
    enum source_kind kind;
    uint16_t index;
};

enum query_kind {
    QUERY_ONE,  /* one row of status, version, location, body */
    QUERY_NONE, /* 204 */
    QUERY_LIST, /* a list_query: composed by shape */
    QUERY_CALL, /* called from C with parameters in the order of its "-- takes:" line */
};

/* A statement of schema/queries, its :name placeholders numbered. */
struct named_query {
    const char *name;
    const char *sql;           /* NULL for QUERY_LIST */
    const char *const *params; /* names, [n_params] */
    uint16_t n_params;
    uint16_t index; /* in contract_statements, where kind is not QUERY_LIST */
    enum query_kind kind;
};

struct list_column {
    const char *name; /* of the JSON member and the CSV column */
    const char *sql;  /* the expression alone */
    bool extra;       /* answered by exports, and where fields= names it */
};

struct list_sort {
    const char *name;
    const char *sql;
    bool ascending_only;
};

/*
 * A condition with holes: pieces[0] $k pieces[1] $k … pieces[n_pieces - 1], every hole the same parameter. One that looks
 * its value up, lookup[0] $k lookup[1] …, has k alone in its holes: the number of the look-up's name. Where a condition can
 * be met in two ways that exclude each other, each with a plan of its own, otherwise[] is the other.
 */
struct list_filter {
    const char *name;   /* "kind[in]" */
    uint16_t parameter; /* in operation->parameters; list → pass parameter_array() */
    const char *const *pieces;
    uint16_t n_pieces;
    const char *const *lookup; /* NULL: none */
    uint16_t n_lookup;
    const char *const *otherwise; /* NULL: none */
    uint16_t n_otherwise;
};

struct list_embed {
    const char *name;   /* a value of embed= */
    const char *column; /* the JSON member */
    const char *sql;    /* the expression alone */
};

/* A collection. Fixed parameters (from the path) are $1 … $n of its named_query, in operation->sources; filters and the
 * cursor take the numbers after them. */
struct list_query {
    const char *name;
    const char *id;      /* tie-breaker expression */
    const char *lookups; /* what stands in WITH always, or NULL */
    const char *from;    /* "FROM … WHERE …", conditions can be appended with AND */
    const struct list_column *columns;
    size_t n_columns;
    const struct list_sort *sorts; /* the first is the default */
    size_t n_sorts;
    bool descending; /* that default begins at its end */
    const struct list_filter *filters;
    size_t n_filters;
    const struct list_embed *embeds;
    size_t n_embeds;
};

enum media_kind {
    MEDIA_JSON,        /* application/json */
    MEDIA_MERGE_PATCH, /* application/merge-patch+json */
    MEDIA_FORM,        /* application/x-www-form-urlencoded */
    MEDIA_NDJSON,      /* application/x-ndjson */
    MEDIA_CSV,         /* text/csv */
    MEDIA_OTHER,
};

struct exchange; /* one request and its answer: the dispatcher's */

typedef int (*operation_handler)(struct exchange *x);

struct media {
    const char *type; /* without parameters */
    enum media_kind kind;
    const struct schema *schema; /* of a request body; NULL in answers */
    /* what makes an answer of this type, and on which lane; NULL: the operation's own */
    operation_handler handler;
    enum lane lane;
};

#define NO_PARAMETER UINT16_MAX

struct operation {
    const char *id;   /* operationId */
    const char *path; /* template: the route of metrics and logs */
    enum http_method method;
    uint16_t index;         /* in contract_operations, OP_<id> */
    const char *permission; /* NULL: public */
    enum lane lane;
    operation_handler handler;       /* handle_<x-handler>, else handle_query or handle_list */
    const struct named_query *query; /* x-query, or NULL */
    const struct source *sources;    /* [query->n_params] */
    const struct list_query *list;   /* where query->kind is QUERY_LIST */
    const struct operation *with;    /* the operation when with_parameter is given: another query; NULL: the same */
    uint16_t with_parameter;
    const struct parameter *parameters;
    uint16_t n_parameters; /* path first, in order, then query, then headers */
    uint16_t n_path;
    /* places of the usual parameters in parameters[], or NO_PARAMETER */
    uint16_t limit, cursor, sort, fields, embed;
    uint16_t if_match, if_none_match, idempotency_key, prefer;
    const struct media *accepts; /* request bodies; none: the operation takes no body */
    size_t n_accepts;
    bool body_required;
    bool stream;                  /* x-body: stream: its body is taken into a file as it comes, see upload.h */
    const struct media *produces; /* of 2xx answers */
    size_t n_produces;
    const uint16_t *statuses; /* every status the contract lists, ascending */
    size_t n_statuses;
};

extern const struct operation contract_operations[];
extern const size_t n_contract_operations;

/* Every named query, lists included. */
extern const struct named_query *const contract_queries[];
extern const size_t n_contract_queries;

/* Those with a text of their own, as a pool prepares them: the place is the named_query's index. */
extern const struct db_query contract_statements[];
extern const size_t n_contract_statements;

/* The permissions that operations name, sorted. */
extern const char *const contract_permissions[];
extern const size_t n_contract_permissions;

/* openapi.json as it is served. */
extern const char contract_document[];
extern const size_t contract_document_size;

/* The tree of the paths' segments; the first node is the root. */
struct route_node {
    const char *text;
    uint16_t first, n_literals;     /* literal children, sorted */
    uint16_t variable;              /* the child that takes any segment, 0: none */
    uint16_t operations[N_METHODS]; /* index + 1, 0: none */
};

extern const struct route_node contract_nodes[];

/* The operation for a method and a path split at its slashes, each segment decoded (GET serves HEAD). NULL with the
 * methods that the path does take in ret_allow (bits 1 << METHOD_…; 0: no such path). A literal segment wins over a
 * parameter. */
const struct operation *route_match(
    enum http_method method, const struct str *segments, size_t n_segments, unsigned *ret_allow);

/* What a violated constraint means to the caller. */
struct constraint_problem {
    const char *constraint;
    enum problem_code code;
    const char *fault;   /* "code_taken": the fault's own code; a 422 of any is P_INVALID */
    const char *pointer; /* "#/code", or NULL */
};

extern const struct constraint_problem contract_constraints[]; /* sorted by name */
extern const size_t n_contract_constraints;

/* The row of a constraint, or NULL: then its violation is a 500. */
const struct constraint_problem *constraint_find(const char *constraint);
