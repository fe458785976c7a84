/* What log-in and the token endpoint share: an access token and the answer that carries it. */
#ifndef TIENDO_ISSUE_H
#define TIENDO_ISSUE_H

#include "handler.h"
#include "secret.h"

/* The client_id in the tokens of people, who need no client of their own. */
#define FIRST_PARTY "tiendo"

struct refresh {
    char token[SECRET_TOKEN_CHARS];
    char hash[2 + SECRET_SHA256_HEX]; /* a bytea literal */
};

/* A new refresh token and what the database keeps of it. */
void refresh_make(struct refresh *ret);
/* The bytea literal of a secret's SHA-256. */
void secret_literal(const char *secret, size_t n, char ret[2 + SECRET_SHA256_HEX]);

/*
 * Signs a token for a row of columns grant_id, scope, kid, sealed and answers with the members that RFC 6749 names.
 * refresh may be NULL; more is further members with a leading comma, or "".
 */
MUST_CHECK int issue_reply(struct exchange *x, const struct db_result *row, const char *subject, const char *client,
    const char *session, const char *refresh, const char *more, unsigned status);

/* The text of a column, "" for NULL. */
static inline const char *row_text(const struct db_result *rows, const char *column)
{
    return db_value(rows, 0, db_col(rows, column));
}

#endif
