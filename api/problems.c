/* /problems: what the codes mean, for programs and for people. */
#include <errno.h>
#include <string.h>

#include "handler.h"

#define PAGE_MAX (512U * 1024U)

static void add_escaped(struct buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        switch (*s) {
        case '<': buf_adds(b, "&lt;"); break;
        case '>': buf_adds(b, "&gt;"); break;
        case '&': buf_adds(b, "&amp;"); break;
        default: buf_addc(b, *s);
        }
    }
}

static void add_json(struct buf *b, const struct problem_kind *kind)
{
    buf_addf(
        b, "{\"code\":\"%s\",\"type\":\"/problems/%s\",\"status\":%d,\"title\":", kind->code, kind->code, kind->status);
    buf_json_cstr(b, kind->title[LANGUAGE_EN]);
    buf_adds(b, ",\"title_vi\":");
    buf_json_cstr(b, kind->title[LANGUAGE_VI]);
    buf_adds(b, ",\"explanation\":");
    buf_json_cstr(b, kind->explanation[LANGUAGE_EN]);
    buf_adds(b, ",\"explanation_vi\":");
    buf_json_cstr(b, kind->explanation[LANGUAGE_VI]);
    buf_addc(b, '}');
}

static const char *const tags[] = { [LANGUAGE_EN] = "en", [LANGUAGE_VI] = "vi" };

/* Both languages, the reader's first. */
static void add_html(struct buf *b, const struct problem_kind *kind, enum language first)
{
    enum language second = first == LANGUAGE_EN ? LANGUAGE_VI : LANGUAGE_EN;

    buf_addf(
        b, "<h2><a href=\"/problems/%s\">%s</a> <small>%d</small></h2>\n<p>", kind->code, kind->code, kind->status);
    add_escaped(b, kind->title[first]);
    buf_addf(b, " · <span lang=\"%s\">", tags[second]);
    add_escaped(b, kind->title[second]);
    buf_adds(b, "</span></p>\n<p>");
    add_escaped(b, kind->explanation[first]);
    buf_addf(b, "</p>\n<p lang=\"%s\">", tags[second]);
    add_escaped(b, kind->explanation[second]);
    buf_adds(b, "</p>\n");
}

static void begin_html(struct buf *b, const char *title, enum language language)
{
    buf_addf(b, "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><title>", tags[language]);
    add_escaped(b, title);
    buf_adds(b, "</title></head>\n<body>\n<h1>");
    add_escaped(b, title);
    buf_adds(b, "</h1>\n");
}

static int finish(struct exchange *x, const struct buf *b, const char *type)
{
    const char *text = b->failed ? NULL : arena_strndup(x->arena, b->p, b->n);

    if (text == NULL)
        return -ENOMEM;
    x->reply.status = 200;
    x->reply.type = type;
    x->reply.body = (struct str){ text, b->n };
    return 0;
}

static bool wants_html(const struct exchange *x)
{
    return x->produces != NULL && strcmp(x->produces->type, "text/html") == 0;
}

int handle_problem_list(struct exchange *x)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    bool html = wants_html(x);

    buf_init(&b, PAGE_MAX);
    if (html)
        begin_html(&b, x->language == LANGUAGE_VI ? "Các lỗi" : "Problems", x->language);
    else
        buf_adds(&b, "{\"items\":[");
    for (size_t i = 0; i < N_PROBLEMS; i++) {
        if (html) {
            add_html(&b, &problem_kinds[i], x->language);
            continue;
        }
        if (i > 0)
            buf_addc(&b, ',');
        add_json(&b, &problem_kinds[i]);
    }
    buf_adds(&b, html ? "</body></html>\n" : "]}");
    return finish(x, &b, html ? "text/html; charset=utf-8" : "application/json");
}

int handle_problem_get(struct exchange *x)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    int code = problem_find(exchange_param(x, "code"));

    if (code < 0)
        return fail(x, P_NOT_FOUND);
    buf_init(&b, PAGE_MAX);
    if (!wants_html(x)) {
        add_json(&b, &problem_kinds[code]);
        return finish(x, &b, "application/json");
    }
    begin_html(&b, problem_kinds[code].title[x->language], x->language);
    add_html(&b, &problem_kinds[code], x->language);
    buf_addf(&b, "<p><a href=\"/problems\">%s</a></p>\n</body></html>\n",
        x->language == LANGUAGE_VI ? "Tất cả các lỗi" : "All problems");
    return finish(x, &b, "text/html; charset=utf-8");
}
