/* Who calls: the bearer token, the address, the rate limit. */
#ifndef TIENDO_CALLER_H
#define TIENDO_CALLER_H

#include "handler.h"

/* The caller's address: the peer's, or what a configured proxy says of it. Arena or borrowed. */
const char *caller_address(const struct service *service, struct arena *a, const char *peer, const char *forwarded_for);
/* Verifies the bearer token into *ret. 0; 1 when the exchange holds its 401, 403 or 503. */
MUST_CHECK int caller_identify(struct exchange *x, struct identity *ret);
/* Whether an Authorization header (NULL without one) has a token that a larger body may be read for. Asks no database. */
bool caller_admitted(struct service *service, const char *authorization);
/* After a 401 that the database gave: who a token of an outside issuer stands for is asked anew at its next request. */
void caller_refused(struct exchange *x);
/* Takes one request from the caller's bucket. 0; 1 when the exchange holds its 429. */
MUST_CHECK int caller_limit(struct exchange *x);

#endif
