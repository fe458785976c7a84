#include "etag.h"

#include <string.h>

#include "text.h"

#define DIGITS_MAX 18

struct tag {
    struct str text; /* between the quotes */
    bool weak;
};

static bool is_any(const char *p)
{
    return strcmp(p, "*") == 0;
}

/* The next of a list in which empty elements may stand. 1, 0 at the end, -1 for what is no tag. */
static int next_tag(const char **p, struct tag *ret)
{
    const char *s = *p + strspn(*p, " \t,"), *end;

    *p = s;
    if (*s == '\0')
        return 0;
    ret->weak = strncmp(s, "W/", 2) == 0;
    s += ret->weak ? 2 : 0;
    end = *s == '"' ? strchr(s + 1, '"') : NULL;
    if (end == NULL)
        return -1;
    ret->text = (struct str){ s + 1, (size_t)(end - s - 1) };
    for (size_t i = 0; i < ret->text.n; i++)
        if ((unsigned char)ret->text.p[i] <= ' ' || ret->text.p[i] == 0x7f)
            return -1;
    *p = end + 1 + strspn(end + 1, " \t");
    return **p == '\0' || **p == ',' ? 1 : -1;
}

bool etag_valid(const char *header)
{
    struct tag tag;
    size_t n = 0;
    int r;

    if (is_any(header))
        return true;
    while ((r = next_tag(&header, &tag)) > 0)
        n++;
    return r == 0 && n > 0;
}

bool etag_names(const char *header, const char *version)
{
    struct tag tag;

    if (is_any(header))
        return true;
    while (next_tag(&header, &tag) > 0)
        if (str_is(tag.text, version))
            return true;
    return false;
}

/* The digits in front: the version's; 0 when the tag is of another kind. */
static size_t version_digits(const struct tag *tag)
{
    size_t n = 0;

    while (n < tag->text.n && tag->text.p[n] >= '0' && tag->text.p[n] <= '9')
        n++;
    return !tag->weak && n <= DIGITS_MAX && (n == tag->text.n || tag->text.p[n] == ';') ? n : 0;
}

const char *etag_versions(struct arena *a, const char *header)
{
    const char *found = NULL;
    struct tag tag;

    if (header == NULL || is_any(header))
        return header;
    while (next_tag(&header, &tag) > 0) {
        int n = (int)version_digits(&tag);

        if (n == 0)
            continue;
        found = arena_printf(a, "%s%s%.*s", found != NULL ? found : "", found != NULL ? "," : "", n, tag.text.p);
        if (found == NULL)
            return NULL;
    }
    return found != NULL ? found : "-1";
}
