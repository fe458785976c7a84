/* Files attached to what a path names (reports, activities): what both ways of one share. */
#ifndef TIENDO_ATTACHMENT_H
#define TIENDO_ATTACHMENT_H

#include "handler.h"

#define ATTACHMENT_CHUNK ((size_t)256 << 10) /* bytes of a row */

/*
 * What takes attachments: its parameter in the path, and the queries that ask it. They are the same in what they take and answer, whatever it is,
 * and alone know who may and how much there is room for.
 */
struct attachment_owner {
    const char *parameter;
    const struct named_query *admit, *create, *read;
};

/* That of the operation. */
const struct attachment_owner *attachment_owner(const struct exchange *x);

#endif
