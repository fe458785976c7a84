/* A report laid out as a paper, to read or to print: made of exactly the JSON that the caller would get, in a process apart (renderer.h). */
#include <errno.h>
#include <string.h>

#include "handler.h"
#include "places.h"
#include "renderer.h"
#include "service.h"

#define DOCUMENT_MAX (64U * 1024U * 1024U)
#define HTML_POLICY \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
    "sandbox"

static const char *format_of(const struct exchange *x)
{
    return strcmp(x->produces->type, "application/pdf") == 0 ? "pdf" : "html";
}

/* What went wrong, in words. */
static int refuse(struct exchange *x, int r)
{
    switch (r) {
    case -EFBIG:
        return fail_detail(x, P_DOCUMENT_TOO_LARGE,
            "The report holds more than is laid out as a document of this kind. Its JSON has it whole.");
    case -ENOENT:
        reply_header(x, "Retry-After", "300");
        return fail_detail(x, P_DOCUMENT_UNAVAILABLE,
            "This installation makes no documents: the renderer or one of its libraries is not there. All else works "
            "as usual.");
    case -EAGAIN:
        reply_header(x, "Retry-After", "5");
        return fail_detail(x, P_DOCUMENT_UNAVAILABLE,
            "As many documents are being made as this service makes at once. Try again later.");
    case -ETIME:
        reply_header(x, "Retry-After", "60");
        return fail_detail(
            x, P_DOCUMENT_UNAVAILABLE, "The document was given up: making it took longer than a document may take.");
    case -EPIPE:
        reply_header(x, "Retry-After", "10");
        return fail_detail(
            x, P_DOCUMENT_UNAVAILABLE, "The document was not finished: the process that was making it ended.");
    default: return r;
    }
}

static int answer(struct exchange *x, const char *format, const struct buf *made)
{
    const char *id = x->op->n_path > 0 ? x->params[0] : "report";
    char *body = arena_alloc(x->arena, made->n);

    if (body == NULL)
        return -ENOMEM;
    memcpy(body, made->p, made->n);
    x->reply.status = 200;
    x->reply.type = strcmp(format, "pdf") == 0 ? "application/pdf" : "text/html; charset=utf-8";
    x->reply.body = (struct str){ body, made->n };
    reply_header(x, "Content-Language", "vi");
    if (strcmp(format, "pdf") == 0)
        reply_header(x, "Content-Disposition", arena_printf(x->arena, "inline; filename=\"%s.pdf\"", id));
    else
        reply_header(x, "Content-Security-Policy", HTML_POLICY);
    return arena_failed(x->arena) ? -ENOMEM : 0;
}

static int render(struct exchange *x, const struct db_result *rows, const char *format)
{
    int col = db_col(rows, "body");
    struct str json = { db_value(rows, 0, col), db_len(rows, 0, col) };
    _cleanup_(buf_free) struct buf made = { 0 };
    int r;

    buf_init(&made, DOCUMENT_MAX);
    r = renderer_make(x->service->renderer, format,
        places_holder(x->identity != NULL ? x->identity->subject : x->client), json, &made);
    return r < 0 ? refuse(x, r) : answer(x, format, &made);
}

/* The tag is the JSON's with the format after it; without one there, none here. */
int handle_document(struct exchange *x)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    const char *format = format_of(x), *version;
    int r;

    r = query_fetch(x, x->op->query, NULL, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    if (db_rows(rows) == 0)
        return fail(x, P_NOT_FOUND);
    version = db_text(rows, "version");
    if (version != NULL)
        x->reply.version = arena_printf(x->arena, "%s;%s", version, format);
    if (reply_unchanged(x))
        return 0;
    return render(x, rows, format);
}
