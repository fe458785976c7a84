/* SPDX-License-Identifier: MIT */
#include "schema.h"

bool pattern_matches(const struct pattern *p, const char *s, size_t n)
{
    size_t state = 1;

    for (size_t i = 0; i < n; i++) {
        state = p->next[state * p->n_classes + p->classes[(unsigned char)s[i]]];
        if (state == 0)
            return false;
    }
    return p->accepts[state] != 0;
}
