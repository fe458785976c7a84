/* Answers: finished texts, Jansson values and problems. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etag.h"
#include "handler.h"
#include "uuid.h"

#define PROBLEM_MAX (256U * 1024U)
#define REALM       "Bearer realm=\"tiendo\""

const char *exchange_header(const struct exchange *x, const char *name)
{
    return header_find(x->headers, x->n_headers, name);
}

const char *exchange_param(const struct exchange *x, const char *name)
{
    for (size_t i = 0; i < x->op->n_parameters; i++)
        if (strcmp(x->op->parameters[i].name, name) == 0)
            return x->params[i];
    return NULL;
}

const char *exchange_new_id(struct exchange *x)
{
    if (x->new_id[0] == '\0')
        uuid_v7(x->new_id);
    return x->new_id;
}

void reply_header(struct exchange *x, const char *name, const char *value)
{
    if (x->reply.n_headers < ARRAY_SIZE(x->reply.headers))
        x->reply.headers[x->reply.n_headers++] = (struct header){ name, value };
}

int reply_text(struct exchange *x, unsigned status, struct str json)
{
    x->reply.status = status;
    x->reply.type = "application/json";
    x->reply.body = json;
    return 0;
}

int reply_json(struct exchange *x, unsigned status, json_t *value)
{
    const char *text;

    if (value == NULL)
        return -ENOMEM;
    text = json_text_of(x->arena, value);
    json_decref(value);
    if (text == NULL)
        return -ENOMEM;
    return reply_text(x, status, str_from(text));
}

int reply_none(struct exchange *x)
{
    x->reply.status = 204;
    x->reply.type = NULL;
    x->reply.body = (struct str){ NULL, 0 };
    return 0;
}

bool reply_unchanged(struct exchange *x)
{
    const char *tags = exchange_header(x, "If-None-Match");

    if (x->op->method != METHOD_GET || tags == NULL || x->reply.version == NULL || !etag_names(tags, x->reply.version))
        return false;
    x->reply.status = 304;
    return true;
}

/* What a status owes its caller besides the body (RFC 6750, 9110). */
static void add_owed_headers(struct exchange *x, enum problem_code code, int status)
{
    const char *challenge = NULL;

    switch (code) {
    case P_INVALID_TOKEN: challenge = REALM ", error=\"invalid_token\""; break;
    case P_INSUFFICIENT_SCOPE:
        if (x->op == NULL || x->op->permission == NULL)
            challenge = REALM ", error=\"insufficient_scope\"";
        else
            challenge = arena_printf(x->arena, REALM ", error=\"insufficient_scope\", scope=\"%s\"", x->op->permission);
        break;
    default:
        if (status == 401)
            challenge = REALM;
    }
    if (challenge != NULL)
        reply_header(x, "WWW-Authenticate", challenge);
    if ((status == 503 || code == P_IDEMPOTENCY_IN_FLIGHT) &&
        header_find(x->reply.headers, x->reply.n_headers, "Retry-After") == NULL)
        reply_header(x, "Retry-After", "1");
}

int fail(struct exchange *x, enum problem_code code)
{
    return fail_detail(x, code, NULL);
}

int fail_detail(struct exchange *x, enum problem_code code, const char *detail)
{
    struct problem problem = {
        .code = code,
        .language = x->language,
        .detail = sentence_in(x->arena, x->language, detail),
        .instance = x->path,
        .trace_id = x->trace_id,
        .faults = &x->faults,
    };
    _cleanup_(buf_free) struct buf b = { 0 };
    int status = problem_status(code);
    char *text = NULL;

    x->reply.result = db_result_free(x->reply.result);
    x->reply.version = x->reply.location = NULL;
    buf_init(&b, PROBLEM_MAX);
    if (problem_render(&b, &problem) == 0)
        text = arena_strndup(x->arena, b.p, b.n);
    if (text == NULL)
        x->reply.body =
            STR("{\"type\":\"/problems/internal\",\"title\":\"Internal error\",\"status\":500,\"code\":\"internal\"}");
    else
        x->reply.body = (struct str){ text, b.n };
    x->reply.status = text == NULL ? 500 : (unsigned)status;
    x->reply.type = "application/problem+json";
    add_owed_headers(x, code, status);
    return 0;
}

int fail_at(struct exchange *x, enum problem_code code, enum fault_where where, const char *name, enum fault_code fault,
    const char *arg)
{
    fault_add(&x->faults, where, name, fault, arg);
    return fail(x, code);
}
