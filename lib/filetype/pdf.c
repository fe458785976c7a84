#include "pdf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

#define NAME_MAX_SIZE 32     /* longer ones are none of those looked for */
#define SKIP_MAX      65536U /* of a string or comment; what is longer is looked through */
#define RETRIES       1000   /* strings and comments that turn out to be none, before all is looked through */

static const char encrypted[] = "The document is encrypted.";
static const char acts[] = "The document runs a script, starts a program or sends something.";
static const char carries[] = "The document holds other files.";

static const struct {
    const char *name, *why;
} names[] = {
    { "Encrypt", encrypted },
    { "JavaScript", acts },
    { "JS", acts },
    { "Launch", acts },
    { "SubmitForm", acts },
    { "ImportData", acts },
    { "RichMedia", acts },
    { "EmbeddedFile", carries },
    { "EmbeddedFiles", carries },
    { "FileAttachment", carries },
};

/* How far an action at opening has been read: /OpenAction, its <<, its /S. */
enum opening { NOT_OPENING, OPENING, OPENING_ACTION, OPENING_KIND };

struct scan {
    const unsigned char *p;
    size_t n, i;
    enum opening opening;
    unsigned retries;
    bool no_more_ends; /* of streams */
};

static bool is_space(unsigned char c)
{
    return c == '\0' || c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == ' ';
}

static bool ends_name(unsigned char c)
{
    return is_space(c) || memchr("()<>[]{}/%", c, 10) != NULL;
}

static int digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool at(const struct scan *s, size_t i, const char *word)
{
    size_t k = strlen(word);

    return s->n - i >= k && memcmp(s->p + i, word, k) == 0;
}

/* Goes on behind these bytes, unless an object hides in them: who reads by the table of offsets would find it. */
static void skip(struct scan *s, size_t end)
{
    if (memmem(s->p + s->i, end - s->i, "obj", 3) == NULL && memmem(s->p + s->i, end - s->i, "trailer", 7) == NULL) {
        s->i = end;
    } else {
        s->i++;
        s->retries++;
    }
}

static size_t skip_limit(const struct scan *s)
{
    if (s->retries >= RETRIES)
        return s->i;
    return s->n - s->i < SKIP_MAX ? s->n : s->i + SKIP_MAX;
}

static void skip_comment(struct scan *s)
{
    size_t end = s->i, last = skip_limit(s);

    while (end < last && s->p[end] != '\r' && s->p[end] != '\n')
        end++;
    skip(s, end > s->i ? end : s->i + 1);
}

/* A string that never ends is none. */
static void skip_string(struct scan *s)
{
    size_t depth = 0, last = skip_limit(s);

    for (size_t i = s->i; i < last; i++) {
        if (s->p[i] == '\\') {
            i++;
        } else if (s->p[i] == '(') {
            depth++;
        } else if (s->p[i] == ')' && --depth == 0) {
            skip(s, i + 1);
            return;
        }
    }
    s->i++;
    s->retries++;
}

/* Behind a stream's word: its contents are skipped where it follows a dictionary and has an end. */
static void skip_stream(struct scan *s)
{
    size_t before = s->i;
    const unsigned char *end;

    s->i += strlen("stream");
    while (before > 0 && is_space(s->p[before - 1]))
        before--;
    if (before < 2 || memcmp(s->p + before - 2, ">>", 2) != 0 || s->i == s->n || !is_space(s->p[s->i]))
        return;
    end = s->no_more_ends ? NULL : memmem(s->p + s->i, s->n - s->i, "endstream", strlen("endstream"));
    s->no_more_ends = end == NULL;
    if (end != NULL)
        s->i = (size_t)(end - s->p) + strlen("endstream");
}

/* A name as it is meant: with its #xx read. */
static void take_name(struct scan *s, char *out)
{
    size_t k = 0;

    for (s->i++; s->i < s->n && !ends_name(s->p[s->i]); s->i++) {
        unsigned char c = s->p[s->i];

        if (c == '#' && s->n - s->i > 2 && digit(s->p[s->i + 1]) >= 0 && digit(s->p[s->i + 2]) >= 0) {
            c = (unsigned char)(digit(s->p[s->i + 1]) << 4 | digit(s->p[s->i + 2]));
            s->i += 2;
        }
        if (k < NAME_MAX_SIZE - 1)
            out[k++] = (char)c;
    }
    out[k] = '\0';
}

static const char *name_wrong(struct scan *s)
{
    char name[NAME_MAX_SIZE];

    take_name(s, name);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i].name) == 0)
            return names[i].why;
    if (s->opening == OPENING_KIND) {
        /* Where it opens, and at which page, is no action of consequence. */
        s->opening = NOT_OPENING;
        return strcmp(name, "GoTo") == 0 || strcmp(name, "Named") == 0 ? NULL : acts;
    }
    if (strcmp(name, "OpenAction") == 0)
        s->opening = OPENING;
    else if (s->opening == OPENING_ACTION && strcmp(name, "S") == 0)
        s->opening = OPENING_KIND;
    return NULL;
}

/* Bytes that are neither name, string, comment nor stream. */
static void pass(struct scan *s)
{
    if (s->opening == OPENING && at(s, s->i, "<<")) {
        s->opening = OPENING_ACTION;
        s->i++;
    } else if (s->opening == OPENING && !is_space(s->p[s->i])) {
        s->opening = NOT_OPENING;
    } else if (at(s, s->i, ">>") || at(s, s->i, "endobj")) {
        s->opening = NOT_OPENING;
    }
    s->i++;
}

const char *pdf_wrong(const unsigned char *p, size_t n)
{
    struct scan s = { .p = p, .n = n };

    while (s.i < n) {
        const char *why = NULL;

        switch (p[s.i]) {
        case '/': why = name_wrong(&s); break;
        case '%': skip_comment(&s); break;
        case '(': skip_string(&s); break;
        case 's':
            if (at(&s, s.i, "stream"))
                skip_stream(&s);
            else
                pass(&s);
            break;
        default: pass(&s); break;
        }
        if (why != NULL)
            return why;
    }
    return NULL;
}
