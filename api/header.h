/* Request headers as they came, every repetition kept apart. */
#ifndef TIENDO_HEADER_H
#define TIENDO_HEADER_H

#include <stddef.h>
#include <strings.h>

struct header {
    const char *name;
    const char *value;
};

static inline const char *header_find(const struct header *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(headers[i].name, name) == 0)
            return headers[i].value;
    return NULL;
}

#endif
