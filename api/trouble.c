/*
 * Errors of the database and what they mean: SQLSTATE TDnnn is a problem that SQL decided, a violated
 * constraint has its row in the table made from the migrations, time-outs and lost connections are 503.
 */
#include "trouble.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

static bool begins(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool trouble_transient(const struct db_result *error)
{
    return db_is_error(error, "40001") || db_is_error(error, "40P01");
}

static void add_fault(struct exchange *x, const json_t *entry)
{
    static const struct {
        const char *member;
        enum fault_where where;
    } places[] = { { "pointer", AT_POINTER }, { "parameter", AT_PARAMETER }, { "header", AT_HEADER } };
    const char *code = json_string_value(json_object_get(entry, "code"));
    const char *detail = json_string_value(json_object_get(entry, "detail"));

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const char *name = json_string_value(json_object_get(entry, places[i].member));

        if (name != NULL) {
            fault_add_text(&x->faults, places[i].where, name, code != NULL ? code : "invalid", detail);
            return;
        }
    }
}

static void add_faults(struct exchange *x, const char *text)
{
    json_t *list, *entry;
    size_t i;

    if (text[0] != '[')
        return;
    list = json_loads(text, 0, NULL);
    json_array_foreach(list, i, entry) add_fault(x, entry);
    json_decref(list);
}

static int problem_of_status(const char *sqlstate)
{
    static const struct {
        const char *sqlstate;
        enum problem_code code;
    } rows[] = {
        { "TD400", P_BAD_REQUEST },
        { "TD401", P_INVALID_TOKEN },
        { "TD403", P_FORBIDDEN },
        { "TD404", P_NOT_FOUND },
        { "TD409", P_CONFLICT },
        { "TD410", P_GONE },
        { "TD412", P_PRECONDITION_FAILED },
        { "TD422", P_INVALID },
        { "TD428", P_PRECONDITION_REQUIRED },
        { "TD429", P_TOO_MANY_REQUESTS },
        { "TD503", P_UNAVAILABLE },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].sqlstate, sqlstate) == 0)
            return (int)rows[i].code;
    return P_INTERNAL;
}

/* RAISE with one of our SQLSTATEs: the message is the problem's code, the detail its faults, the hint a sentence. */
static int answer_own(struct exchange *x, const struct db_error *e)
{
    int code;

    code = problem_find(e->message);
    if (code < 0)
        code = problem_of_status(e->sqlstate);
    add_faults(x, e->detail);
    return fail_detail(x, (enum problem_code)code, e->hint[0] != '\0' ? arena_strdup(x->arena, e->hint) : NULL);
}

/* Texts of unforeseen errors may quote the caller's data; those that speak of the schema do not. */
static void log_unforeseen(const struct exchange *x, const char *query, const struct db_error *e)
{
    bool safe = begins(e->sqlstate, "42") || begins(e->sqlstate, "0A") || begins(e->sqlstate, "XX") ||
        begins(e->sqlstate, "26");

    log_error("database_error", "trace_id=%s query=%s sqlstate=%s constraint=%s table=%s message=%s", x->trace_id,
        query, e->sqlstate, e->constraint, e->table, safe ? e->message : "");
}

/* What a constraint's fault says: a sentence of its own where there is one, else the title of the conflict it is. */
static const char *constraint_says(const struct exchange *x, const struct constraint_problem *row)
{
    static const struct {
        const char *fault, *says;
    } rows[] = {
        { "ends_before_start", "it would end before it starts" },
        { "too_long", "too long" },
        { "repeated", "two of them overlap" },
        { "spans_overlap", "two of them overlap" },
        { "enum", "not one of the values this takes" },
        { "required", "this is needed here" },
        { "one_line", "one line, trimmed, of visible characters" },
        { "outside_limits",
            "the service keeps nothing about members of the public, what they say or what they complain of" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].fault, row->fault) == 0)
            return rows[i].says;
    return problem_kinds[row->code].title[x->language];
}

static int answer_constraint(struct exchange *x, const char *query, const struct db_error *e)
{
    const struct constraint_problem *row = constraint_find(e->constraint);

    if (row == NULL) {
        log_unforeseen(x, query, e);
        return fail(x, P_INTERNAL);
    }
    if (row->pointer != NULL)
        fault_add_text(&x->faults, AT_POINTER, row->pointer, row->fault, constraint_says(x, row));
    return fail(x, row->code);
}

int trouble_answer(struct exchange *x, const char *query, const struct db_result *error)
{
    static const char *const unavailable[] = { "08", "53", "57P", "25006", "25P03" };
    struct db_error e;

    db_error(error, &e);
    if (begins(e.sqlstate, "TD"))
        return answer_own(x, &e);
    if (begins(e.sqlstate, "23"))
        return answer_constraint(x, query, &e);
    if (strcmp(e.sqlstate, "57014") == 0 || strcmp(e.sqlstate, "55P03") == 0 || trouble_transient(error))
        return fail(x, P_TIMED_OUT);
    for (size_t i = 0; i < ARRAY_SIZE(unavailable); i++)
        if (begins(e.sqlstate, unavailable[i]))
            return fail(x, P_UNAVAILABLE);
    log_unforeseen(x, query, &e);
    return fail(x, P_INTERNAL);
}

int trouble_errno(struct exchange *x, int r)
{
    switch (r) {
    case -EAGAIN:
    case -ENOTCONN:
    case -ECONNRESET: return fail(x, P_UNAVAILABLE);
    case -ETIMEDOUT: return fail(x, P_TIMED_OUT);
    default:
        log_error("request_failed", "trace_id=%s operation=%s error=%s", x->trace_id, x->op != NULL ? x->op->id : "",
            strerrordesc_np(-r));
        return fail(x, P_INTERNAL);
    }
}
