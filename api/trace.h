/* W3C trace context: taken where well-formed, made where not, passed back. */
#ifndef TIENDO_TRACE_H
#define TIENDO_TRACE_H

#include <stdbool.h>

#define TRACE_PARENT_TEXT 56

/* The trace id of this request and the traceparent to answer with; given may be NULL. */
void trace_begin(const char *given, char ret_id[33], char ret_parent[TRACE_PARENT_TEXT]);

#endif
