/* SPDX-License-Identifier: MIT */
#include "contract.h"

#include <stdlib.h>
#include <string.h>

static int compare_segment(struct str segment, const char *text)
{
    int r = strncmp(segment.p, text, segment.n);

    return r != 0 ? r : text[segment.n] == '\0' ? 0 : -1;
}

/* The literal child of this text, or 0. */
static unsigned literal_child(const struct route_node *node, struct str segment)
{
    unsigned low = node->first, high = low + node->n_literals;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int r = compare_segment(segment, contract_nodes[middle].text);

        if (r == 0)
            return middle;
        if (r < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

/* The node at the path's end that has operations, or 0: literals first, then back and the variable. */
static unsigned find_node(unsigned at, const struct str *segments, size_t n)
{
    const struct route_node *node = &contract_nodes[at];
    unsigned child, found;

    if (n == 0) {
        for (size_t i = 0; i < N_METHODS; i++)
            if (node->operations[i] > 0)
                return at;
        return 0;
    }
    child = literal_child(node, segments[0]);
    found = child > 0 ? find_node(child, segments + 1, n - 1) : 0;
    if (found > 0 || node->variable == 0 || segments[0].n == 0)
        return found;
    return find_node(node->variable, segments + 1, n - 1);
}

const struct operation *route_match(
    enum http_method method, const struct str *segments, size_t n_segments, unsigned *ret_allow)
{
    unsigned at = find_node(0, segments, n_segments);
    const struct route_node *node = &contract_nodes[at];
    unsigned allow = 0;

    *ret_allow = 0;
    if (at == 0)
        return NULL;
    if (method == METHOD_HEAD && node->operations[METHOD_HEAD] == 0)
        method = METHOD_GET;
    if (node->operations[method] > 0)
        return &contract_operations[node->operations[method] - 1];
    for (unsigned i = 0; i < N_METHODS; i++)
        if (node->operations[i] > 0)
            allow |= 1U << i;
    if (allow & 1U << METHOD_GET)
        allow |= 1U << METHOD_HEAD;
    *ret_allow = allow;
    return NULL;
}

static int compare_constraint(const void *key, const void *row)
{
    return strcmp(key, ((const struct constraint_problem *)row)->constraint);
}

const struct constraint_problem *constraint_find(const char *constraint)
{
    if (n_contract_constraints == 0)
        return NULL;
    return bsearch(
        constraint, contract_constraints, n_contract_constraints, sizeof(*contract_constraints), compare_constraint);
}
