/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <errno.h>
#include <string.h>

void json_elements_init(struct json_elements *it, const char *p, size_t n)
{
    *it = (struct json_elements){ .p = p, .end = p + n, .line = 1, .here = 1 };
}

static void skip_space(struct json_elements *it)
{
    for (; it->p < it->end && *it->p != '\0' && strchr(" \t\r\n", *it->p); it->p++)
        if (*it->p == '\n')
            it->here++;
}

static bool take(struct json_elements *it, char c)
{
    skip_space(it);
    if (it->p == it->end || *it->p != c)
        return false;
    it->p++;
    return true;
}

/* Behind the closing quote of the string that opens at P, or NULL. */
static const char *string_end(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\')
            p++;
    }
    return NULL;
}

/* Behind the value that begins at P: brackets are counted, strings passed over. NULL where it does not end. */
static const char *value_end(const char *p, const char *end)
{
    unsigned depth = 0;

    while (p < end) {
        char c = *p;

        if (c == '"') {
            p = string_end(p, end);
            if (!p)
                return NULL;
            continue;
        }
        if (depth == 0 && (c == ',' || c == ']' || c == '}'))
            return p;
        if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--;
        p++;
    }
    return NULL;
}

/* After the array's end nothing may follow. */
static int array_end(struct json_elements *it)
{
    skip_space(it);
    return it->p == it->end ? 0 : -EBADMSG;
}

int json_elements_next(struct json_elements *it, struct str *ret)
{
    const char *begin, *end;

    if (it->begun) {
        if (take(it, ']'))
            return array_end(it);
        if (!take(it, ','))
            return -EBADMSG;
        it->index++;
    } else {
        if (!take(it, '['))
            return -EBADMSG;
        it->begun = true;
        if (take(it, ']'))
            return array_end(it);
    }
    skip_space(it);
    begin = it->p;
    end = value_end(begin, it->end);
    if (!end || end == begin)
        return -EBADMSG;
    it->p = end;
    it->line = it->here;
    for (const char *p = begin; p < end; p++)
        it->here += *p == '\n';
    while (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n')
        end--;
    *ret = (struct str){ begin, (size_t)(end - begin) };
    return 1;
}
