#include "dispatch.h"

#include <errno.h>
#include <string.h>

#include "arenas.h"
#include "body.h"
#include "caller.h"
#include "clock.h"
#include "cors.h"
#include "etag.h"
#include "negotiate.h"
#include "protocol.h"
#include "send.h"
#include "service.h"
#include "target.h"
#include "trace.h"
#include "trouble.h"
#include "upload.h"

/* One request on its way. */
struct turn {
    struct exchange x;
    struct target target;
    struct bridge_request *req;
    struct identity identity;
    struct buf inflated;
    struct outcome outcome;
};

/* The steps below answer 0 to go on, or 1 when the exchange holds the answer. */

static int answered(int ignored)
{
    (void)ignored;
    return 1;
}

static int check_protocol(struct turn *t)
{
    const char *header = NULL;
    int problem, method;

    problem = protocol_check(t->x.arena, t->req, &header);
    t->x.headers = t->req->headers;
    t->x.n_headers = t->req->n_headers;
    if (problem != 0) {
        t->outcome.close = true;
        if (header != NULL)
            fault_add_text(&t->x.faults, AT_HEADER, header, problem_kinds[problem].code, NULL);
        return answered(fail(&t->x, (enum problem_code)problem));
    }
    method = protocol_method(t->req->method);
    if (method < 0)
        return answered(fail(&t->x, P_NOT_IMPLEMENTED));
    t->x.method = (enum http_method)method;
    t->outcome.head = method == METHOD_HEAD;
    t->outcome.method = protocol_method_name(t->x.method);
    return 0;
}

static int parse_target(struct turn *t)
{
    int r;

    r = target_parse(t->x.arena, t->req->target, &t->target);
    if (r == -EINVAL)
        return answered(fail(&t->x, P_BAD_PATH));
    if (r == -EBADMSG)
        return answered(fail_detail(&t->x, P_BAD_PARAMETER,
            "The query cannot be read: a broken escape, a parameter without a name, or too many."));
    if (r == -ENOENT)
        return answered(fail(&t->x, P_NOT_FOUND));
    if (r < 0)
        return answered(trouble_errno(&t->x, r));
    return 0;
}

static int answer_options(struct turn *t, unsigned methods)
{
    const char *allow = protocol_allow(t->x.arena, methods);

    if (allow == NULL)
        return answered(trouble_errno(&t->x, -ENOMEM));
    reply_header(&t->x, "Allow", allow);
    cors_preflight(&t->x, allow);
    return answered(reply_none(&t->x));
}

static int match(struct turn *t)
{
    unsigned allow = 0;

    if (t->target.asterisk) {
        if (t->x.method == METHOD_OPTIONS)
            return answer_options(t, (1U << N_METHODS) - 1);
        return answered(fail(&t->x, P_BAD_PATH));
    }
    t->x.op = route_match(t->x.method, t->target.segments, t->target.n_segments, &allow);
    if (t->x.op != NULL)
        return 0;
    if (allow == 0)
        return answered(fail(&t->x, P_NOT_FOUND));
    allow |= 1U << METHOD_OPTIONS;
    if ((allow & (1U << METHOD_GET)) != 0)
        allow |= 1U << METHOD_HEAD;
    if (t->x.method == METHOD_OPTIONS)
        return answer_options(t, allow);
    reply_header(&t->x, "Allow", protocol_allow(t->x.arena, allow));
    return answered(fail(&t->x, P_METHOD_NOT_ALLOWED));
}

static int refuse_query_token(struct turn *t)
{
    static const char *const names[] = { "access_token", "token", "bearer", "authorization" };

    for (size_t i = 0; i < t->target.n_query; i++)
        for (size_t k = 0; k < ARRAY_SIZE(names); k++)
            if (str_is(t->target.query[i].name, names[k])) {
                fault_add(&t->x.faults, AT_PARAMETER, names[k], FAULT_UNKNOWN_PARAMETER, NULL);
                return answered(fail(&t->x, P_TOKEN_IN_QUERY));
            }
    return 0;
}

static int negotiate(struct turn *t, struct str raw)
{
    const struct operation *op = t->x.op;

    t->x.produces = negotiate_accept(exchange_header(&t->x, "Accept"), op->produces, op->n_produces);
    if (t->x.produces == NULL && op->n_produces > 0)
        return answered(fail(&t->x, P_NOT_ACCEPTABLE));
    return body_negotiate(&t->x, raw);
}

/* Callers without a good token count against their address, so that guessing has a limit too. */
static int identify(struct turn *t)
{
    size_t n_headers = t->x.reply.n_headers;
    struct reply refusal;

    if (t->x.op->permission == NULL || caller_identify(&t->x, &t->identity) == 0)
        return caller_limit(&t->x);
    if (t->x.reply.status != 401)
        return 1;
    refusal = t->x.reply;
    t->x.reply.n_headers = n_headers;
    if (caller_limit(&t->x) == 0)
        t->x.reply = refusal;
    return 1;
}

/* A path parameter that does not have the form of a name names nothing. */
static bool path_parameters_hold(struct turn *t)
{
    const struct operation *op = t->x.op;
    struct faults unused;

    faults_init(&unused, t->x.arena, t->x.language);
    for (size_t i = 0; i < op->n_path; i++) {
        t->x.params[i] = t->target.segments[op->parameters[i].segment].p;
        if (parameter_check(&op->parameters[i], t->x.params[i], &unused) < 0)
            return false;
    }
    return true;
}

/* The form of a precondition: one that cannot be read must not pass for one that holds, or for none. */
static int check_tags(struct turn *t, uint16_t at)
{
    if (at == NO_PARAMETER || t->x.params[at] == NULL || etag_valid(t->x.params[at]))
        return 0;
    fault_add(&t->x.faults, AT_HEADER, t->x.op->parameters[at].name, FAULT_FORMAT, "ETag: \"3\" | *");
    return -EINVAL;
}

static int check_headers(struct turn *t, const struct pair *headers)
{
    const struct operation *op = t->x.op;
    int r, s;

    r = parameters_check(
        op->parameters, op->n_parameters, IN_HEADER, headers, t->x.n_headers, t->x.params, &t->x.faults);
    if (r < 0)
        return r;
    r = check_tags(t, op->if_match);
    s = check_tags(t, op->if_none_match);
    return r < 0 ? r : s;
}

static int check_parameters(struct turn *t, int *ret_problem)
{
    const struct operation *op = t->x.op;
    struct pair headers[BRIDGE_HEADERS_MAX];
    size_t before;

    for (size_t i = 0; i < t->x.n_headers; i++)
        headers[i] = (struct pair){ str_from(t->x.headers[i].name), str_from(t->x.headers[i].value) };
    *ret_problem = -1;
    if (parameters_check(op->parameters, op->n_parameters, IN_QUERY, t->target.query, t->target.n_query, t->x.params,
            &t->x.faults) < 0)
        *ret_problem = (int)faults_problem(&t->x.faults);
    before = t->x.faults.total;
    if (check_headers(t, headers) < 0 && before == 0)
        *ret_problem = op->idempotency_key != NO_PARAMETER && op->parameters[op->idempotency_key].required &&
                exchange_header(&t->x, "Idempotency-Key") == NULL
            ? P_IDEMPOTENCY_KEY_REQUIRED
            : P_BAD_HEADER;
    return 0;
}

/* Everything that is wrong with parameters and body is told at once. */
static int validate(struct turn *t, struct str raw)
{
    int parameters, body;

    t->x.params = arena_array(t->x.arena, (size_t)t->x.op->n_parameters + 1, sizeof(*t->x.params));
    if (t->x.params == NULL)
        return answered(trouble_errno(&t->x, -ENOMEM));
    if (!path_parameters_hold(t))
        return answered(fail(&t->x, P_NOT_FOUND));
    if (check_parameters(t, &parameters) != 0 || upload_check(&t->x) != 0 ||
        body_read(&t->x, raw, &t->inflated, &body) != 0)
        return 1;
    if (parameters >= 0)
        return answered(fail(&t->x, (enum problem_code)parameters));
    if (body >= 0)
        return answered(fail(&t->x, (enum problem_code)body));
    if (t->x.op->with != NULL && t->x.params[t->x.op->with_parameter] != NULL)
        t->x.op = t->x.op->with;
    return 0;
}

/* Some media types are made apart from the rest, on a lane of their own. */
static int run_handler(struct exchange *x)
{
    const struct media *media = x->produces;

    x->lane = x->op->lane;
    if (media == NULL || media->handler == NULL)
        return x->op->handler(x);
    x->lane = media->lane;
    return media->handler(x);
}

static void handle(struct turn *t)
{
    struct str raw = { t->req->body, t->req->body_n };
    int r;

    if (check_protocol(t) != 0 || parse_target(t) != 0)
        return;
    cors_apply(&t->x);
    if (match(t) != 0 || refuse_query_token(t) != 0 || negotiate(t, raw) != 0 || identify(t) != 0 ||
        validate(t, raw) != 0)
        return;
    r = run_handler(&t->x);
    if (r < 0)
        trouble_errno(&t->x, r);
    if (t->x.reply.status == 401)
        caller_refused(&t->x);
}

/* What an answer's headers point to. */
struct lease {
    struct service *service;
    struct arena *arena;
    struct db_result *result;
    char traceparent[TRACE_PARENT_TEXT];
};

static void begin(struct turn *t, struct service *service, struct arena *arena, struct lease *lease)
{
    const struct header *headers = t->req->headers;
    size_t n = t->req->n_headers;

    t->x.service = service;
    t->x.arena = arena;
    t->x.upload = t->req->taken;
    t->x.language = language_of(header_find(headers, n, "Accept-Language"));
    t->x.path = target_path(arena, t->req->target);
    t->x.client = caller_address(service, arena, t->req->client, header_find(headers, n, "X-Forwarded-For"));
    trace_begin(header_find(headers, n, "traceparent"), t->x.trace_id, lease->traceparent);
    faults_init(&t->x.faults, arena, t->x.language);
    buf_init(&t->inflated, (size_t)service->config->max_inflated_bytes + 1);
    t->outcome = (struct outcome){ .method = "_OTHER", .traceparent = lease->traceparent, .began_us = clock_mono_us() };
}

static void release(void *userdata)
{
    struct lease *lease = userdata;

    db_result_free(lease->result);
    arena_pool_give(lease->service->arenas, lease->arena); /* and with it the lease */
}

static void answer_out_of_memory(struct bridge_reply *reply)
{
    reply->status = 503;
    reply->headers[reply->n_headers++] = (struct header){ "Retry-After", "1" };
}

void dispatch(void *userdata, struct bridge_request *req, struct bridge_reply *reply)
{
    struct service *service = userdata;
    struct arena *arena = arena_pool_take(service->arenas);
    struct lease *lease = arena != NULL ? arena_alloc(arena, sizeof(*lease)) : NULL;
    struct turn t;

    if (lease == NULL) {
        arena_free(arena);
        answer_out_of_memory(reply);
        return;
    }
    memset(&t, 0, sizeof(t));
    t.req = req;
    begin(&t, service, arena, lease);
    handle(&t);
    if (t.x.upload != NULL)
        upload_end(t.x.upload);
    send_reply(&t.x, &t.outcome, reply);
    json_document_done(&t.x.json);
    buf_free(&t.inflated);
    lease->service = service;
    lease->arena = arena;
    lease->result = t.x.reply.result;
    reply->release = release;
    reply->lease = lease;
}
