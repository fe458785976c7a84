/* GET /v1/me and /v1/me/permissions: what the caller is and may do under this token, and why. */
#include <errno.h>
#include <string.h>

#include "issue.h"
#include "protocol.h"
#include "routes.h"
#include "service.h"

#define SEGMENTS_MAX 16

static bool in_token(const struct exchange *x, const char *permission)
{
    const uint64_t needed = token_scope_bits(x->service->verifier, permission);

    return (x->identity->scopes & needed) == needed;
}

/* The permissions that the token carries, spaces between. */
static const char *token_scopes(struct exchange *x)
{
    _cleanup_(buf_free) struct buf b = { 0 };

    buf_init(&b, 8192);
    for (size_t i = 0; i < n_contract_permissions; i++)
        if (in_token(x, contract_permissions[i]))
            buf_addf(&b, "%s%s", b.n > 0 ? " " : "", contract_permissions[i]);
    return b.failed ? NULL : arena_strndup(x->arena, b.n > 0 ? b.p : "", b.n);
}

int handle_me_get(struct exchange *x)
{
    const char *const values[] = { token_scopes(x) };

    return values[0] != NULL ? query_reply(x, &query_me_get, values) : -ENOMEM;
}

/* ---- what is asked for ---- */

/* "PUT /v1/values/a/b/c": the operation that such a request reaches, or NULL. */
static const struct operation *operation_of_request(const char *action)
{
    struct str segments[SEGMENTS_MAX];
    const char *path = strchr(action, ' ') + 1;
    const size_t verb = (size_t)(path - 1 - action);
    unsigned ignored;
    size_t n = 0;

    while (*path == '/' && n < SEGMENTS_MAX) {
        const size_t length = strcspn(path + 1, "/");

        segments[n++] = (struct str){ path + 1, length };
        path += 1 + length;
    }
    if (*path != '\0' || n == 0)
        return NULL;
    for (int method = 0; method < N_METHODS; method++) {
        const char *name = protocol_method_name((enum http_method)method);

        if (strlen(name) == verb && strncmp(name, action, verb) == 0)
            return route_match((enum http_method)method, segments, n, &ignored);
    }
    return NULL;
}

static const struct operation *operation_of_name(const char *name)
{
    for (size_t i = 0; i < n_contract_operations; i++)
        if (strcmp(contract_operations[i].id, name) == 0)
            return &contract_operations[i];
    return NULL;
}

/* 0, the permission (NULL for a public operation) and the operation, if one is named; -ENOENT when the action names none. */
static int permission_of(const char *action, const char **ret, const char **ret_operation)
{
    const struct operation *op;

    if (strchr(action, ' ') == NULL && strchr(action, ':') != NULL) {
        for (size_t i = 0; i < n_contract_permissions; i++)
            if (strcmp(contract_permissions[i], action) == 0) {
                *ret = contract_permissions[i];
                return 0;
            }
        return -ENOENT;
    }
    op = strchr(action, ' ') != NULL ? operation_of_request(action) : operation_of_name(action);
    if (op == NULL)
        return -ENOENT;
    *ret = op->permission;
    *ret_operation = op->id;
    return 0;
}

/* ---- the answer ---- */

static void add_text(struct buf *b, const char *name, const char *value)
{
    buf_addf(b, ",\"%s\":", name);
    if (value != NULL)
        buf_json_cstr(b, value);
    else
        buf_adds(b, "null");
}

struct verdict {
    const char *permission, *reason, *detail, *because, *who;
    bool allowed;
};

static int answer(struct exchange *x, const struct verdict *v)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    const char *text;

    buf_init(&b, 65536);
    buf_adds(&b, "{\"action\":");
    buf_json_cstr(&b, exchange_param(x, "action"));
    add_text(&b, "permission", v->permission);
    add_text(&b, "resource", exchange_param(x, "resource"));
    buf_addf(&b, ",\"allowed\":%s", v->allowed ? "true" : "false");
    add_text(&b, "reason", v->reason);
    add_text(&b, "detail", sentence_in(x->arena, x->language, v->detail));
    buf_addf(&b, ",\"because\":%s,\"who\":%s}", v->because, v->who);
    text = b.failed ? NULL : arena_strndup(x->arena, b.p, b.n);
    return text != NULL ? reply_text(x, 200, (struct str){ text, b.n }) : -ENOMEM;
}

int handle_me_permissions(struct exchange *x)
{
    struct verdict v = { .reason = "public", .because = "[]", .who = "[]", .allowed = true };
    const char *values[] = { x->identity->kid, NULL, NULL, exchange_param(x, "resource"), NULL };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    if (permission_of(exchange_param(x, "action"), &v.permission, &values[2]) < 0) {
        fault_add_text(&x->faults, AT_PARAMETER, "action", "unknown_reference",
            "no such permission, operation or request of this contract");
        return fail(x, P_INVALID);
    }
    if (v.permission == NULL)
        return answer(x, &v);
    values[1] = v.permission;
    values[4] = in_token(x, v.permission) ? "true" : "false";
    r = query_fetch(x, &query_me_permissions, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    v.allowed = strcmp(row_text(rows, "allowed"), "t") == 0;
    v.reason = row_text(rows, "reason");
    v.detail = row_text(rows, "detail")[0] != '\0' ? row_text(rows, "detail") : NULL;
    v.because = row_text(rows, "because");
    v.who = row_text(rows, "who");
    return answer(x, &v);
}
