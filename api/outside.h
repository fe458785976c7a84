/* Callers with a token of an outside issuer. */
#ifndef TIENDO_OUTSIDE_H
#define TIENDO_OUTSIDE_H

#include "config.h"
#include "handler.h"

struct outside;

/* Begins to read the keys of every configured issuer; NULL where there is none. 0 or a negative errno. */
MUST_CHECK int outside_new(const struct config *config, struct outside **ret_outside);
struct outside *outside_free(struct outside *outside); /* takes NULL */

/*
 * 0 and who calls; 1 when the exchange holds its answer; -ENOENT when the token is none of an outside issuer; else as
 * token_verify().
 */
MUST_CHECK int outside_identify(struct exchange *x, const char *token, size_t n, struct identity *ret);
/* Whether the token is an outside issuer's and good, whoever it may stand for. */
bool outside_admitted(const struct service *service, const char *token, size_t n);
/* The database has refused whom a token stood for: the next request with it asks anew. */
void outside_forget(const struct service *service, const char *token, size_t n);

#endif
