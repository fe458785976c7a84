/* SPDX-License-Identifier: MIT
 *
 * Sentences that SQL and handlers word in English, in the caller's language. */
#include <string.h>

#include "problem.h"
#include "util.h"

#define HOLES_MAX 9

static const struct {
    const char *text[2]; /* by language */
} sentences[] = {
#define SENTENCE(en, vi) { { en, vi } },
#include "sentences.def"
#undef SENTENCE
};

struct holes {
    struct str part[HOLES_MAX];
    size_t n;
};

/* Whether TEXT is PATTERN with something in each %s; a part ends where what follows it first occurs. */
static bool matches(const char *pattern, const char *text, struct holes *ret)
{
    const char *end;

    ret->n = 0;
    for (;;) {
        const char *hole = strstr(pattern, "%s");
        const size_t n = hole != NULL ? (size_t)(hole - pattern) : strlen(pattern);

        if (strncmp(pattern, text, n) != 0)
            return false;
        text += n;
        if (hole == NULL)
            return *text == '\0';
        pattern = hole + 2;
        if (*pattern == '\0') {
            end = text + strlen(text);
        } else {
            char next[128];
            const char *further = strstr(pattern, "%s");
            const size_t m = further != NULL ? (size_t)(further - pattern) : strlen(pattern);

            if (m == 0 || m >= sizeof(next))
                return false;
            memcpy(next, pattern, m);
            next[m] = '\0';
            end = strstr(text, next);
            while (end != NULL && further == NULL && end[m] != '\0') /* the last one closes the sentence */
                end = strstr(end + 1, next);
        }
        if (end == NULL || ret->n == HOLES_MAX)
            return false;
        ret->part[ret->n++] = (struct str){ text, (size_t)(end - text) };
        text = end;
    }
}

/* A part as it is said: another sentence of the table, or a day, as it is written in Vietnamese. */
static const char *part_in(struct arena *a, enum language language, struct str part)
{
    const char *text = arena_strndup(a, part.p, part.n), *p = part.p;

    if (text != NULL && part.n == 10 && strspn(text, "0123456789-") == 10 && p[4] == '-' && p[7] == '-')
        return arena_printf(a, "%.2s/%.2s/%.4s", p + 8, p + 5, p);
    return sentence_in(a, language, text);
}

static const char *fill(struct arena *a, const char *pattern, const struct holes *holes, enum language language)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    size_t next = 0;

    buf_init(&b, 8192);
    for (const char *p = pattern; *p != '\0'; p++) {
        const bool named = p[0] == '%' && p[1] >= '1' && p[1] <= '9';
        const size_t at = named ? (size_t)(p[1] - '1') : next;

        if (!named && (p[0] != '%' || p[1] != 's')) {
            buf_addc(&b, *p);
            continue;
        }
        if (at < holes->n)
            buf_adds(&b, part_in(a, language, holes->part[at]));
        next = at + 1;
        p++;
    }
    return b.failed ? NULL : arena_strndup(a, b.n > 0 ? b.p : "", b.n);
}

/* Where several sentences fit, the one with most words of its own. */
const char *sentence_in(struct arena *a, enum language language, const char *english)
{
    const char *best = NULL, *said;
    struct holes holes, best_holes = { .n = 0 };
    size_t own = 0;

    if (english == NULL || language == LANGUAGE_EN)
        return english;
    for (size_t i = 0; i < ARRAY_SIZE(sentences); i++) {
        const char *pattern = sentences[i].text[LANGUAGE_EN];

        if (strlen(pattern) <= own || !matches(pattern, english, &holes) || strlen(pattern) - 2 * holes.n <= own)
            continue;
        own = strlen(pattern) - 2 * holes.n;
        best = sentences[i].text[language];
        best_holes = holes;
    }
    said = best != NULL ? fill(a, best, &best_holes, language) : NULL;
    return said != NULL ? said : english;
}

/* The end of the JSON string that begins at p, behind its quote; NULL where it holds an escape, and is no sentence of ours. */
static const char *plain_end(const char *p, const char *end)
{
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p < end && *p == '"' ? p : NULL;
}

struct str sentences_in_json(struct arena *a, enum language language, struct str json)
{
    static const char member[] = "\"detail\"";
    _cleanup_(buf_free) struct buf b = { 0 };
    const char *p = json.p, *end = json.p + json.n, *found;

    if (language == LANGUAGE_EN || json.n == 0)
        return json;
    buf_init(&b, SIZE_MAX / 2);
    while ((found = memmem(p, (size_t)(end - p), member, sizeof(member) - 1)) != NULL) {
        const char *at = found + sizeof(member) - 1, *close;

        while (at < end && (*at == ' ' || *at == ':'))
            at++;
        close = at < end && *at == '"' ? plain_end(at + 1, end) : NULL;
        buf_add(&b, p, (size_t)(at - p));
        p = at;
        if (close == NULL)
            continue;
        buf_json_cstr(&b, sentence_in(a, language, arena_strndup(a, at + 1, (size_t)(close - at - 1))));
        p = close + 1;
    }
    buf_add(&b, p, (size_t)(end - p));
    found = b.failed ? NULL : arena_strndup(a, b.p, b.n);
    return found != NULL ? (struct str){ found, b.n } : json;
}
