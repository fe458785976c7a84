/* Activation codes: what accounts, their reset and their import give out once. */
#ifndef TIENDO_ACCOUNT_H
#define TIENDO_ACCOUNT_H

#include "issue.h"

#define CODE_GROUPS 4
#define CODE_GROUP  4
#define CODE_CHARS  (CODE_GROUPS * (CODE_GROUP + 1)) /* with dashes and a NUL */

/* Eighty random bits as four groups of capitals and digits that are not mistaken for one another. */
void activation_code(char ret[CODE_CHARS]);
/* What the database keeps: a digest (a bytea literal) of the name in lower case and the code, read without case and dashes. */
MUST_CHECK int activation_proof(
    struct arena *a, const char *username, const char *code, char ret[2 + SECRET_SHA256_HEX]);
/* Text in lower case (ASCII), as usernames are kept. Arena, or NULL. */
char *username_lower(struct arena *a, const char *s);

#endif
