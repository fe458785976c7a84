/* SPDX-License-Identifier: MIT */
#pragma once

/* Problems (RFC 9457): one table of codes with their status and titles, the list of faults a
 * request collects, and the writer of application/problem+json. */

#include <stddef.h>

#include "arena.h"
#include "text.h"

enum language {
    LANGUAGE_EN,
    LANGUAGE_VI,
};

/* P_NOT_FOUND, P_CODE_TAKEN, …: one for every row of problems.def */
enum problem_code {
#define PROBLEM(id, code, status, en, vi, why_en, why_vi) P_##id,
#include "problems.def"
#undef PROBLEM
    N_PROBLEMS,
};

/* One row of the table of problems. */
struct problem_kind {
    const char *code;     /* "not_found" */
    int status;           /* 404 */
    const char *title[2]; /* by language */
    const char
        *explanation[2]; /* by language: for the page at /problems/<code>, and where nothing closer is to be said */
};

extern const struct problem_kind problem_kinds[N_PROBLEMS];

/* The row of this name: its enum problem_code, or -ENOENT. */
int problem_find(const char *code);

/* Codes of single faults with a text of their own; SQL may use others beside these. */
enum fault_code {
#define FAULT(id, code, en, vi) FAULT_##id,
#include "faults.def"
#undef FAULT
    N_FAULTS,
};

enum fault_where {
    AT_POINTER,   /* "#/period": a place in the body */
    AT_PARAMETER, /* "limit": in the path or the query */
    AT_HEADER,    /* "If-Match" */
};

struct fault {
    enum fault_where where;
    const char *name;
    const char *code;
    const char *detail; /* may be NULL */
};

#define FAULTS_MAX 100

/* All faults of one request; past FAULTS_MAX they are counted only. */
struct faults {
    struct arena *arena;
    enum language language;
    size_t n;     /* kept in items */
    size_t total; /* found */
    struct fault *items;
};

void faults_init(struct faults *f, struct arena *a, enum language language);

/* Adds a fault whose text comes from the table; arg fills its %s and may be NULL where it has none. */
void fault_add(struct faults *f, enum fault_where where, const char *name, enum fault_code code, const char *arg);

/* Adds a fault with a code and a sentence of the caller's own, told in the faults' language; everything is copied. */
void fault_add_text(struct faults *f, enum fault_where where, const char *name, const char *code, const char *detail);

/* A sentence of sentences.def, which SQL or a handler words in English, in the language; one that is not there stays as it is. */
const char *sentence_in(struct arena *a, enum language language, const char *english);
/* A finished JSON text with the sentences of its "detail" members in the language. */
struct str sentences_in_json(struct arena *a, enum language language, struct str json);

/* The text code of a row of the fault table: "too_long". */
const char *fault_name(enum fault_code code);

/* What a 400 for these parameter faults is called: their common code where all share it
 * (unknown_parameter, repeated_parameter), else bad_parameter. */
enum problem_code faults_problem(const struct faults *f);

struct problem {
    enum problem_code code;
    enum language language;
    const char *detail;          /* may be NULL */
    const char *instance;        /* path of the request, may be NULL */
    const char *trace_id;        /* may be NULL */
    const struct faults *faults; /* may be NULL */
};

/* The same without errors[] and the closing brace, for a writer that goes on with members of its own. */
void problem_open(struct buf *b, const struct problem *p);

int problem_status(enum problem_code code);

/* Appends the problem as JSON; -ENOMEM when b has failed. */
int problem_render(struct buf *b, const struct problem *p);

/* "vi" where an Accept-Language prefers Vietnamese to English, else "en"; NULL is English. */
enum language language_of(const char *accept_language);
