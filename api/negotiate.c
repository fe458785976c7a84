#include "negotiate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct str trim(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* The next piece before the mark, trimmed; quoted marks do not occur in what we look for. */
static bool next_piece(const char **p, const char *end, char mark, struct str *ret)
{
    const char *stop;

    if (*p == NULL || *p > end)
        return false;
    stop = memchr(*p, mark, (size_t)(end - *p));
    if (stop == NULL)
        stop = end;
    *ret = trim((struct str){ *p, (size_t)(stop - *p) });
    *p = stop + 1;
    return true;
}

static bool same(struct str a, const char *b)
{
    return strlen(b) == a.n && strncasecmp(a.p, b, a.n) == 0;
}

/* The weight in thousandths of one entry of Accept; 1000 without one. */
static int quality(const char *p, const char *end)
{
    struct str parameter;

    while (next_piece(&p, end, ';', &parameter)) {
        if (parameter.n > 2 && (parameter.p[0] == 'q' || parameter.p[0] == 'Q') && parameter.p[1] == '=') {
            double q = strtod(parameter.p + 2, NULL);

            return q <= 0 ? 0 : q >= 1 ? 1000 : (int)(q * 1000);
        }
    }
    return 1000;
}

/* How exactly a range names a type: 3 whole, 2 main type, 1 anything, 0 not. */
static int specificity(struct str range, const char *type)
{
    const char *slash = strchr(type, '/');

    if (same(range, type))
        return 3;
    if (str_is(range, "*/*") || str_is(range, "*"))
        return 1;
    if (range.n == (size_t)(slash - type) + 2 && range.p[range.n - 1] == '*' &&
        strncasecmp(range.p, type, range.n - 1) == 0)
        return 2;
    return 0;
}

static int weight_of(const char *accept, const char *type)
{
    const char *p = accept, *end = accept + strlen(accept);
    int best = 0, weight = 0;
    struct str entry;

    while (next_piece(&p, end, ',', &entry)) {
        const char *q = entry.p, *stop = entry.p + entry.n;
        struct str range;
        int exact;

        if (entry.n == 0 || !next_piece(&q, stop, ';', &range))
            continue;
        exact = specificity(range, type);
        if (exact > best) {
            best = exact;
            weight = quality(q, stop);
        }
    }
    return weight;
}

const struct media *negotiate_accept(const char *accept, const struct media *offers, size_t n)
{
    const struct media *best = NULL;
    int best_weight = 0;

    if (n == 0)
        return NULL;
    if (accept == NULL || accept[0] == '\0' || strcmp(accept, "*/*") == 0)
        return &offers[0];
    for (size_t i = 0; i < n; i++) {
        int weight = weight_of(accept, offers[i].type);

        if (weight > best_weight) {
            best = &offers[i];
            best_weight = weight;
        }
    }
    return best;
}

const struct media *negotiate_content(const char *content_type, const struct media *taken, size_t n)
{
    const char *p = content_type, *end;
    struct str type, parameter;

    if (content_type == NULL)
        return NULL;
    end = content_type + strlen(content_type);
    if (!next_piece(&p, end, ';', &type))
        return NULL;
    while (next_piece(&p, end, ';', &parameter))
        if (parameter.n >= 8 && strncasecmp(parameter.p, "charset=", 8) == 0) {
            struct str charset = { parameter.p + 8, parameter.n - 8 };

            if (!same(charset, "utf-8") && !same(charset, "\"utf-8\"") && !same(charset, "utf8"))
                return NULL;
        }
    for (size_t i = 0; i < n; i++)
        if (same(type, taken[i].type))
            return &taken[i];
    return NULL;
}

enum content_encoding negotiate_encoding(const char *content_encoding)
{
    if (content_encoding == NULL || content_encoding[0] == '\0' || strcasecmp(content_encoding, "identity") == 0)
        return ENCODING_IDENTITY;
    if (strcasecmp(content_encoding, "gzip") == 0 || strcasecmp(content_encoding, "x-gzip") == 0)
        return ENCODING_GZIP;
    return ENCODING_OTHER;
}

bool negotiate_prefers(const char *prefer, const char *preference)
{
    const char *p = prefer, *end;
    struct str entry, first;

    if (prefer == NULL)
        return false;
    end = prefer + strlen(prefer);
    while (next_piece(&p, end, ',', &entry)) {
        const char *q = entry.p;

        if (next_piece(&q, entry.p + entry.n, ';', &first) && same(first, preference))
            return true;
    }
    return false;
}
