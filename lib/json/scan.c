/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "number.h"
#include "util.h"

/* Integers of more digits overflow the parser's 64 bits. */
#define INTEGER_DIGITS 18

struct scan {
    const char *start, *p, *end;
    struct faults *f;
    unsigned depth;
    bool inexact; /* a number could not be kept */
};

static int scan_value(struct scan *s, const struct json_place *at);

/* The key of a place is raw text here: write its escapes out before it becomes part of a pointer. */
static const char *raw_pointer(struct scan *s, const struct json_place *at)
{
    struct json_place chain[JSON_DEPTH + 2];
    json_t *keys[JSON_DEPTH + 2] = { NULL };
    const struct json_place *place = at;
    const char *pointer;
    size_t n = 0;

    for (; place && n < ARRAY_SIZE(chain); place = place->up, n++) {
        chain[n] = *place;
        if (n > 0)
            chain[n - 1].up = &chain[n];
        if (!place->key || !memchr(place->key, '\\', place->n))
            continue;
        keys[n] = json_loadb(place->key - 1, place->n + 2, JSON_DECODE_ANY, NULL);
        if (keys[n]) {
            chain[n].key = json_string_value(keys[n]);
            chain[n].n = json_string_length(keys[n]);
        }
    }
    pointer = json_pointer(s->f->arena, n > 0 ? &chain[0] : NULL);
    for (size_t i = 0; i < n; i++)
        json_decref(keys[i]);
    return pointer;
}

static int refuse(struct scan *s, const struct json_place *at, enum fault_code code, const char *arg)
{
    fault_add(s->f, AT_POINTER, raw_pointer(s, at), code, arg);
    return -EBADMSG;
}

/* Broken grammar where the scan stands, or at a position before it. */
static int broken(struct scan *s, const struct json_place *at, const char *p)
{
    size_t line = 1, column = 1;
    char text[96];

    for (const char *q = s->start; q < p; q++) {
        if (*q == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*q & 0xc0) != 0x80) {
            column++;
        }
    }
    (void)snprintf(
        text, sizeof(text), s->f->language == LANGUAGE_VI ? "dòng %zu, cột %zu" : "line %zu, column %zu", line, column);
    return refuse(s, at, FAULT_SYNTAX, text);
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool next_is(struct scan *s, char c)
{
    skip_space(s);
    return s->p < s->end && *s->p == c;
}

static bool take(struct scan *s, char c)
{
    if (!next_is(s, c))
        return false;
    s->p++;
    return true;
}

/* Four hexadecimal digits at P, or -1. */
static int hex4(const char *p, const char *end)
{
    int v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)p[i];

        if (c >= '0' && c <= '9')
            v = v * 16 + c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v * 16 + (c | 0x20) - 'a' + 10;
        else
            return -1;
    }
    return v;
}

/* After a backslash and its u. */
static int scan_unicode(struct scan *s, const struct json_place *at)
{
    int first = hex4(s->p, s->end), second;

    if (first < 0)
        return broken(s, at, s->p);
    if (first == 0)
        return refuse(s, at, FAULT_NUL, NULL);
    s->p += 4;
    if (first < 0xd800 || first > 0xdfff)
        return 0;
    if (first > 0xdbff || s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u')
        return refuse(s, at, FAULT_LONE_SURROGATE, NULL);
    second = hex4(s->p + 2, s->end);
    if (second < 0xdc00 || second > 0xdfff)
        return refuse(s, at, FAULT_LONE_SURROGATE, NULL);
    s->p += 6;
    return 0;
}

/* A string, the scan standing behind its opening quote; ends behind the closing one. */
static int scan_string(struct scan *s, const struct json_place *at)
{
    while (s->p < s->end) {
        unsigned char c = (unsigned char)*s->p++;
        int r;

        if (c == '"')
            return 0;
        if (c == '\0')
            return refuse(s, at, FAULT_NUL, NULL);
        if (c < 0x20)
            return broken(s, at, s->p - 1);
        if (c != '\\')
            continue;
        if (s->p == s->end)
            break;
        c = (unsigned char)*s->p++;
        if (c == '\0' || !strchr("\"\\/bfnrtu", c))
            return broken(s, at, s->p - 1);
        if (c != 'u')
            continue;
        r = scan_unicode(s, at);
        if (r < 0)
            return r;
    }
    return broken(s, at, s->p);
}

/* An integer as written, without point and exponent, of more digits than the parser takes? */
static bool too_wide(const char *p, size_t n)
{
    size_t digits = 0;

    for (size_t i = *p == '-'; i < n; i++, digits++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return digits > INTEGER_DIGITS;
}

static int scan_number(struct scan *s, const struct json_place *at)
{
    const char *begin = s->p;
    size_t n;
    int r;

    while (s->p < s->end && *s->p != '\0' && strchr("+-.0123456789eE", *s->p))
        s->p++;
    n = (size_t)(s->p - begin);
    r = number_check(begin, n, NULL);
    if (r == -EINVAL)
        return broken(s, at, begin);
    if (r == 0 && too_wide(begin, n))
        r = -ERANGE;
    if (r == 0)
        return 0;
    s->inexact = true;
    (void)refuse(s, at, r == -EOVERFLOW ? FAULT_TOO_PRECISE : FAULT_OUT_OF_RANGE, "15");
    return 0;
}

static int scan_word(struct scan *s, const struct json_place *at, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return broken(s, at, s->p);
    s->p += n;
    return 0;
}

/* A member: key, colon, value. */
static int scan_member(struct scan *s, const struct json_place *at)
{
    struct json_place place = { .up = at };
    int r;

    if (!take(s, '"'))
        return broken(s, at, s->p);
    place.key = s->p;
    r = scan_string(s, at);
    if (r < 0)
        return r;
    place.n = (size_t)(s->p - 1 - place.key);
    if (!take(s, ':'))
        return broken(s, &place, s->p);
    return scan_value(s, &place);
}

/* What stands between the brackets of an array or the braces of an object. */
static int scan_container(struct scan *s, const struct json_place *at, char close)
{
    int r;

    if (take(s, close))
        return 0;
    for (size_t i = 0;; i++) {
        struct json_place place = { .up = at, .n = i };

        r = close == '}' ? scan_member(s, at) : scan_value(s, &place);
        if (r < 0)
            return r;
        if (take(s, close))
            return 0;
        if (!take(s, ','))
            return broken(s, at, s->p);
    }
}

static int scan_value(struct scan *s, const struct json_place *at)
{
    char c;
    int r;

    skip_space(s);
    if (s->p == s->end)
        return broken(s, at, s->p);
    c = *s->p;
    if (c == '"') {
        s->p++;
        return scan_string(s, at);
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(s, at);
    if (c != '{' && c != '[')
        return scan_word(s, at, c == 't' ? "true" : c == 'f' ? "false" : "null");
    if (s->depth == JSON_DEPTH)
        return refuse(s, at, FAULT_TOO_DEEP, "32");
    s->p++;
    s->depth++;
    r = scan_container(s, at, c == '{' ? '}' : ']');
    s->depth--;
    return r;
}

int json_text_check(const char *p, size_t n, struct faults *f)
{
    const struct json_place root = { 0 };
    struct scan s = { .start = p, .p = p, .end = p + n, .f = f };
    int r;

    if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        return refuse(&s, &root, FAULT_BOM, NULL);
    if (!utf8_valid(p, n))
        return refuse(&s, &root, FAULT_BAD_UTF8, NULL);
    skip_space(&s);
    if (s.p == s.end)
        return refuse(&s, &root, FAULT_EMPTY_BODY, NULL);
    r = scan_value(&s, &root);
    if (r < 0)
        return r;
    skip_space(&s);
    if (s.p < s.end)
        return *s.p == '\0' ? refuse(&s, &root, FAULT_NUL, NULL) : broken(&s, &root, s.p);
    return s.inexact ? -EDOM : 0;
}
