#include "body.h"

#include <errno.h>
#include <string.h>

#include "gzip.h"
#include "negotiate.h"
#include "service.h"
#include "target.h"
#include "trouble.h"
#include "upload.h"

#define FORM_FIELDS_MAX 32

bool body_is_rows(const struct operation *op)
{
    for (size_t i = 0; i < op->n_accepts; i++)
        if (op->accepts[i].kind == MEDIA_NDJSON || op->accepts[i].kind == MEDIA_CSV)
            return true;
    return false;
}

static size_t sent_max(const struct exchange *x)
{
    const struct config *config = x->service->config;

    return (size_t)(body_is_rows(x->op) ? config->max_import_bytes : config->max_body_bytes);
}

static size_t inflated_max(const struct exchange *x)
{
    const struct config *config = x->service->config;

    return (size_t)(body_is_rows(x->op) ? config->max_inflated_bytes : config->max_body_bytes);
}

static int refuse_type(struct exchange *x)
{
    const char *types = NULL;

    for (size_t i = 0; i < x->op->n_accepts; i++) {
        const char *type = x->op->accepts[i].type;

        types = types == NULL ? type : arena_printf(x->arena, "%s, %s", types, type);
    }
    if (types != NULL)
        reply_header(x, x->op->method == METHOD_PATCH ? "Accept-Patch" : "Accept-Post", types);
    fail_detail(x, P_UNSUPPORTED_MEDIA_TYPE,
        types != NULL ? arena_printf(x->arena, "The operation takes a body of Content-Type %s.", types)
                      : "The operation takes no body.");
    return 1;
}

/* It is neither parsed nor decompressed: what is sent is what is kept. */
static int negotiate_stream(struct exchange *x)
{
    if (x->upload != NULL && upload_too_large(x->upload)) {
        fail(x, P_BODY_TOO_LARGE);
        return 1;
    }
    x->accepts = negotiate_content(exchange_header(x, "Content-Type"), x->op->accepts, x->op->n_accepts);
    if (x->accepts == NULL || negotiate_encoding(exchange_header(x, "Content-Encoding")) != ENCODING_IDENTITY)
        return refuse_type(x);
    return 0;
}

int body_negotiate(struct exchange *x, struct str raw)
{
    const char *type = exchange_header(x, "Content-Type");

    if (x->op->stream)
        return negotiate_stream(x);
    if (x->op->n_accepts == 0) {
        if (raw.n == 0)
            return 0;
        return refuse_type(x);
    }
    if (raw.n == 0 && type == NULL && !x->op->body_required)
        return 0;
    if (raw.n > sent_max(x)) {
        fail(x, P_BODY_TOO_LARGE);
        return 1;
    }
    x->accepts = negotiate_content(type, x->op->accepts, x->op->n_accepts);
    if (x->accepts == NULL || negotiate_encoding(exchange_header(x, "Content-Encoding")) == ENCODING_OTHER)
        return refuse_type(x);
    return 0;
}

static bool is_gzip(struct str raw)
{
    return raw.n > 2 && memcmp(raw.p, "\x1f\x8b", 2) == 0;
}

static int inflate_body(struct exchange *x, struct str raw, struct buf *inflated)
{
    int r;

    r = gzip_inflate(raw.p, raw.n, inflated_max(x), inflated);
    if (r == -ENOMEM) {
        trouble_errno(x, r);
        return 1;
    }
    if (r < 0) {
        fail(x, r == -EFBIG ? P_BODY_TOO_LARGE : P_BAD_ENCODING);
        return 1;
    }
    x->body = (struct str){ buf_cstr(inflated), inflated->n };
    return 0;
}

static int read_form(struct exchange *x, int *ret_problem)
{
    struct pair pairs[FORM_FIELDS_MAX];
    size_t n = 0;
    int r;

    r = target_pairs(x->arena, x->body, pairs, ARRAY_SIZE(pairs), &n);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || form_tree(x->accepts->schema, pairs, n, &x->json.tree, &x->faults) < 0) {
        *ret_problem = P_BAD_FORM;
        return 0;
    }
    if (x->accepts->schema != NULL && schema_check(x->accepts->schema, x->json.tree, SCHEMA_WHOLE, &x->faults) < 0)
        *ret_problem = P_BAD_FORM;
    return 0;
}

static int read_json(struct exchange *x, int *ret_problem)
{
    enum schema_mode mode = x->accepts->kind == MEDIA_MERGE_PATCH ? SCHEMA_MERGE_PATCH : SCHEMA_WHOLE;
    int r;

    r = json_read(x->arena, x->body.p, x->body.n, &x->json, &x->faults);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        *ret_problem = r == -EDOM ? P_INVALID : P_BAD_JSON;
        return 0;
    }
    if (x->accepts->schema != NULL && schema_check(x->accepts->schema, x->json.tree, mode, &x->faults) < 0)
        *ret_problem = P_INVALID;
    return 0;
}

int body_read(struct exchange *x, struct str raw, struct buf *inflated, int *ret_problem)
{
    int r = 0;

    *ret_problem = -1;
    x->body = raw;
    if (x->accepts == NULL || x->op->stream)
        return 0;
    if (negotiate_encoding(exchange_header(x, "Content-Encoding")) == ENCODING_GZIP &&
        inflate_body(x, raw, inflated) != 0)
        return 1;
    if (body_is_rows(x->op) && is_gzip(x->body)) {
        fail_at(x, P_BAD_ENCODING, AT_HEADER, "Content-Encoding", FAULT_REQUIRED, NULL);
        return 1;
    }
    if (body_is_rows(x->op))
        return 0;
    /* The text goes on to the database as a parameter, so it needs its NUL. */
    x->body.p = arena_strndup(x->arena, x->body.n > 0 ? x->body.p : "", x->body.n);
    if (x->body.p == NULL)
        r = -ENOMEM;
    else if (x->accepts->kind == MEDIA_FORM)
        r = read_form(x, ret_problem);
    else if (x->accepts->kind == MEDIA_JSON || x->accepts->kind == MEDIA_MERGE_PATCH)
        r = read_json(x, ret_problem);
    if (r < 0) {
        trouble_errno(x, r);
        return 1;
    }
    return 0;
}
