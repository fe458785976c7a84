/* Cross-origin requests: an exact list of origins, nothing else. */
#ifndef TIENDO_CORS_H
#define TIENDO_CORS_H

#include "handler.h"

/* Adds what the caller's origin may know, where it is on the list. */
void cors_apply(struct exchange *x);
/* Adds the answer to a preflight request (OPTIONS) for these methods. */
void cors_preflight(struct exchange *x, const char *allow);

#endif
