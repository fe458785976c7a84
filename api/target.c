/* Parsing of request targets; libraries' own parsers join, drop and decode what must be refused. */
#include "target.h"

#include <errno.h>
#include <strings.h>

static bool plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= 0x20 || c >= 0x7f || c == '%' || c == '#' || c == '\\')
            return false;
    }
    return true;
}

/* Bytes that no target may hold raw; raw UTF-8 is taken, as curl sends it. Escapes are percent_decode's matter. */
static bool characters_valid(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if (c <= 0x20 || c == 0x7f || c == '#' || c == '\\')
            return false;
    }
    return true;
}

static bool is_dots(struct str s)
{
    return str_is(s, ".") || str_is(s, "..");
}

static int parse_segments(struct arena *a, struct target *t)
{
    const char *p = t->path.p + 1, *end = t->path.p + t->path.n;
    bool odd = false;

    if (p == end)
        return 0;
    for (;;) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        struct str raw = { p, (size_t)((slash != NULL ? slash : end) - p) }, decoded = raw;
        int r;

        if (!plain(raw)) {
            r = percent_decode(a, raw.p, raw.n, false, &decoded);
            if (r < 0)
                return r == -ENOMEM ? r : -EINVAL;
        } else {
            decoded.p = arena_strndup(a, raw.p, raw.n);
            if (decoded.p == NULL)
                return -ENOMEM;
        }
        /* Broken escapes in a later segment are still a 400, so look at all of them. */
        if (decoded.n == 0 || is_dots(decoded) || t->n_segments == TARGET_SEGMENTS_MAX)
            odd = true;
        else
            t->segments[t->n_segments++] = decoded;
        if (slash == NULL)
            return odd ? -ENOENT : 0;
        p = slash + 1;
    }
}

int target_pairs(struct arena *a, struct str text, struct pair *pairs, size_t max, size_t *ret_n)
{
    const char *p = text.p, *end = text.p + text.n;
    size_t n = 0;

    while (p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p)), *stop = amp != NULL ? amp : end;
        const char *eq = memchr(p, '=', (size_t)(stop - p)), *key_end = eq != NULL ? eq : stop;
        const char *value = eq != NULL ? eq + 1 : stop;
        int r;

        if (key_end == p || amp == end - 1)
            return -EINVAL;
        if (n == max)
            return -E2BIG;
        r = percent_decode(a, p, (size_t)(key_end - p), true, &pairs[n].name);
        if (r == 0)
            r = percent_decode(a, value, (size_t)(stop - value), true, &pairs[n].value);
        if (r < 0)
            return r == -ENOMEM ? r : -EINVAL;
        n++;
        p = stop + (amp != NULL);
    }
    *ret_n = n;
    return 0;
}

/* http://host/path is what a proxy may send; the path is what counts. */
static const char *skip_authority(const char *raw)
{
    const char *slash;

    if (strncasecmp(raw, "http://", 7) != 0 && strncasecmp(raw, "https://", 8) != 0)
        return raw;
    slash = strpbrk(strchr(raw, '/') + 2, "/?");
    return slash != NULL && *slash == '/' ? slash : "/";
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one character, escaped or not, off a path. */
static char take(const char **p, const char *end)
{
    char c = *(*p)++;

    if (c == '%' && end - *p >= 2 && hex_value((*p)[0]) >= 0 && hex_value((*p)[1]) >= 0) {
        c = (char)(hex_value((*p)[0]) << 4 | hex_value((*p)[1]));
        *p += 2;
    }
    return c;
}

/* How much of a path is shown: what stands behind /calendars is a secret, however the rest is written and whether it is there or not. */
static size_t shown(const char *path, size_t n)
{
    static const char before[] = "/calendars";
    const char *end = path + n;

    for (const char *from = path; from < end; from++) {
        const char *p = from;
        size_t same = 0;

        while (p < end && same < sizeof(before) - 1 && (take(&p, end) | 0x20) == (before[same] | 0x20))
            same++;
        if (same == sizeof(before) - 1)
            return (size_t)(p - path);
    }
    return n;
}

const char *target_path(struct arena *a, const char *raw)
{
    struct buf b = { 0 };
    size_t n, seen;
    char *text;

    raw = skip_authority(raw);
    n = strcspn(raw, "?");
    seen = shown(raw, n);
    if (utf8_valid(raw, seen))
        return seen == n ? arena_strndup(a, raw, n) : arena_printf(a, "%.*s/***", (int)seen, raw);
    text = arena_alloc(a, 3 * n + 5);
    if (text == NULL)
        return NULL;
    b = (struct buf){ .p = text, .cap = 3 * n + 5, .max = 3 * n + 5 };
    for (size_t i = 0; i < seen; i++)
        if ((unsigned char)raw[i] < 0x80)
            buf_addc(&b, raw[i]);
        else
            buf_addf(&b, "%%%02X", (unsigned char)raw[i]);
    if (seen < n)
        buf_adds(&b, "/***");
    return text;
}

int target_parse(struct arena *a, const char *raw, struct target *ret)
{
    const char *mark;
    size_t n;
    int r;

    ret->n_segments = ret->n_query = 0;
    ret->asterisk = false;
    raw = skip_authority(raw);
    n = strlen(raw);
    mark = memchr(raw, '?', n);
    ret->path = (struct str){ raw, mark != NULL ? (size_t)(mark - raw) : n };
    if (str_is(ret->path, "*") && mark == NULL) {
        ret->asterisk = true;
        return 0;
    }
    if (raw[0] != '/' || !characters_valid(ret->path.p, ret->path.n))
        return -EINVAL;
    if (mark != NULL) {
        struct str query = { mark + 1, n - ret->path.n - 1 };

        if (!characters_valid(query.p, query.n))
            return -EBADMSG;
        r = target_pairs(a, query, ret->query, ARRAY_SIZE(ret->query), &ret->n_query);
        if (r < 0)
            return r == -ENOMEM ? r : -EBADMSG;
    }
    return parse_segments(a, ret);
}
