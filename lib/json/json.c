/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <errno.h>
#include <string.h>

#include "util.h"

void json_document_done(struct json_document *d)
{
    json_decref(d->tree);
    *d = (struct json_document){ 0 };
}

/* Key as a reference token: ~ and / escaped as RFC 6901 says, what a fragment may not hold percent-encoded. */
static void add_token(struct buf *b, const char *key, size_t n)
{
    static const char plain[] = "-._!$&'()*+,;=:@?";

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)key[i];

        if (c == '~')
            buf_adds(b, "~0");
        else if (c == '/')
            buf_adds(b, "~1");
        else if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            (c != '\0' && strchr(plain, c)))
            buf_addc(b, (char)c);
        else
            buf_addf(b, "%%%02X", c);
    }
}

static void add_place(struct buf *b, const struct json_place *place)
{
    if (!place || !place->up) {
        buf_addc(b, '#');
        return;
    }
    add_place(b, place->up);
    buf_addc(b, '/');
    if (place->key)
        add_token(b, place->key, place->n);
    else
        buf_addf(b, "%zu", place->n);
}

const char *json_pointer(struct arena *a, const struct json_place *place)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    char *text;

    buf_init(&b, 4096);
    add_place(&b, place);
    text = arena_strndup(a, buf_cstr(&b), b.n);
    return text ? text : "#";
}

/* Parses normalised text; the scan has left duplicate keys as the only thing that can be wrong. */
static int parse(const struct str *text, json_t **ret, struct faults *f)
{
    json_error_t error;
    json_t *tree = json_loadb(text->p, text->n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    char at[80];

    if (tree) {
        *ret = tree;
        return 0;
    }
    if (json_error_code(&error) == json_error_out_of_memory)
        return -ENOMEM;
    (void)snprintf(at, sizeof(at), f->language == LANGUAGE_VI ? "dòng %d, cột %d" : "line %d, column %d", error.line,
        error.column);
    fault_add(f, AT_POINTER, "#",
        json_error_code(&error) == json_error_duplicate_key ? FAULT_DUPLICATE_KEY : FAULT_SYNTAX, at);
    return -EBADMSG;
}

int json_read(struct arena *a, const char *p, size_t n, struct json_document *ret, struct faults *f)
{
    struct json_document d = { 0 };
    int checked = json_text_check(p, n, f);
    int r = checked;

    if (r < 0 && r != -EDOM)
        return r;
    r = json_text_normalise(a, p, n, &d.text);
    if (r < 0)
        return r;
    if (checked < 0)
        return checked;
    r = parse(&d.text, &d.tree, f);
    if (r < 0)
        return r;
    *ret = d;
    return 0;
}

char *json_text_of(struct arena *a, const json_t *j)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    size_t n = json_dumpb(j, NULL, 0, flags);
    char *text;

    if (n == 0)
        return NULL;
    text = arena_alloc(a, n + 1);
    if (!text || json_dumpb(j, text, n, flags) != n)
        return NULL;
    return text;
}
