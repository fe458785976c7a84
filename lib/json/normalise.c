/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <errno.h>
#include <string.h>

#include "nfc.h"
#include "util.h"

/* The value of four hexadecimal digits that the scan has passed. */
static unsigned hex(const char *p)
{
    unsigned v = 0;

    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)p[i];

        v = v * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static char *put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

/* One \uXXXX (or a pair) at *p, written out unless it must stay an escape. */
static char *put_escape(char *out, const char **p)
{
    unsigned c = hex(*p + 2);

    if (c < 0x20) {
        memcpy(out, *p, 6);
        *p += 6;
        return out + 6;
    }
    if (c == '"' || c == '\\') {
        *out++ = '\\';
    } else if (c >= 0xd800 && c <= 0xdbff) {
        *p += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (hex(*p + 2) - 0xdc00);
    }
    *p += 6;
    return put_utf8(out, c);
}

/* The text with its \uXXXX written out, which never makes it longer. */
static int unescape(struct arena *a, const char *p, size_t n, struct str *ret)
{
    const char *end = p + n;
    char *text = arena_alloc(a, n + 1), *out = text;

    if (!text)
        return -ENOMEM;
    while (p < end) {
        const char *stop = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((stop ? stop : end) - p);

        memcpy(out, p, plain);
        out += plain;
        p += plain;
        if (p == end)
            break;
        if (p[1] == 'u') {
            out = put_escape(out, &p);
        } else {
            memcpy(out, p, 2);
            out += 2;
            p += 2;
        }
    }
    *ret = (struct str){ text, (size_t)(out - text) };
    return 0;
}

/*
 * Form C, run by run between escapes: in \n and a combining tilde the n is no letter. What an escape stands for
 * here (a control character, a quote, a slash) never composes with what follows it.
 */
static int compose(struct arena *a, struct str text, struct buf *b)
{
    const char *p = text.p, *end = text.p + text.n;

    while (p < end) {
        const char *stop = memchr(p, '\\', (size_t)(end - p));
        struct str run;
        size_t escape;
        int r = nfc_normalize(a, p, (size_t)((stop ? stop : end) - p), &run);

        if (r < 0)
            return r;
        buf_add_str(b, run);
        if (!stop)
            break;
        escape = stop[1] == 'u' ? 6 : 2;
        buf_add(b, stop, escape);
        p = stop + escape;
    }
    return b->failed ? -ENOMEM : 0;
}

int json_text_normalise(struct arena *a, const char *p, size_t n, struct str *ret)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    struct str text = { p, n };
    char *copy;
    int r;

    if (memmem(p, n, "\\u", 2)) {
        r = unescape(a, p, n, &text);
        if (r < 0)
            return r;
    }
    if (nfc_quick(text.p, text.n)) {
        *ret = text;
        return 0;
    }
    buf_init(&b, text.n * 3 + 16); /* form C is at most three times as long in UTF-8 */
    r = compose(a, text, &b);
    if (r < 0)
        return r;
    if (b.n == text.n && memcmp(b.p, text.p, b.n) == 0) {
        *ret = text;
        return 0;
    }
    copy = arena_strndup(a, b.p, b.n);
    if (!copy)
        return -ENOMEM;
    *ret = (struct str){ copy, b.n };
    return 0;
}
