/* Signing keys: sealed in the database, opened to sign, published to check. */
#ifndef TIENDO_KEYS_H
#define TIENDO_KEYS_H

#include "config.h"
#include "handler.h"
#include "secret.h"
#include "token.h"

#define KEYS_ISSUER_MAX 512

/* The issuer of the tokens: as configured, else http://listen_address:port. -EINVAL when it is too long. */
MUST_CHECK int keys_issuer(const struct config *config, char ret[KEYS_ISSUER_MAX]);
/* The master key, as text or from its file. -ENOKEY without one; what is wrong is logged. */
MUST_CHECK int keys_master(const struct config *config, struct secret_key *ret_key);
/* Loads the accepted keys into the verifier; takes a struct service, as token_options.reload wants it. */
int keys_reload(void *service);

/* A new pair and its private part, sealed, as a bytea literal for free(). */
MUST_CHECK int keys_make(const struct secret_key *master, struct token_pair *ret_pair, char **ret_sealed);
/* Signs with a key as the database gives it (kid, sealed in hexadecimal). -ENOKEY without one. */
MUST_CHECK int keys_sign(
    struct service *service, const char *kid, const char *sealed, const struct token_claims *claims, char **ret_token);

#endif
