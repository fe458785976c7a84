/* HTTP as it must be: what the library lets pass and a proxy would refuse. */
#ifndef TIENDO_PROTOCOL_H
#define TIENDO_PROTOCOL_H

#include "bridge.h"
#include "contract.h"

/* The method of that name (case counts), or -1. */
int protocol_method(const char *name);
const char *protocol_method_name(enum http_method method);
/* "GET, HEAD, OPTIONS" for bits of 1 << METHOD_…, in the arena; NULL without memory. */
const char *protocol_allow(struct arena *a, unsigned methods);

/*
 * Looks at the headers as a whole and joins repeated list headers in place. 0, or the problem; names what
 * is wrong in *ret_header. The connection must be closed after a problem: what follows may not be a request.
 */
MUST_CHECK int protocol_check(struct arena *a, struct bridge_request *req, const char **ret_header);

#endif
