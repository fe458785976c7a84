/*
 * Password hashes cost memory and time on purpose: few are worked on at once, few more may wait, the rest are turned
 * away.
 */
#ifndef TIENDO_PASSWORD_H
#define TIENDO_PASSWORD_H

#include "handler.h"
#include "secret.h"

#define PASSWORD_MIN 12 /* characters of a new password */
#define PASSWORD_MAX 256

/* 0 when the password fits, -EACCES when not (always for a NULL hash), -EAGAIN when too many are being checked. */
MUST_CHECK int password_check(const struct service *service, const char *hash, const char *password);
/* 0, -EAGAIN, -ENOMEM. */
MUST_CHECK int password_hash(const struct service *service, const char *password, char ret_hash[SECRET_HASH_MAX]);
/* What is wrong with a new password, or NULL. */
const char *password_fault(const char *username, const char *password);

#endif
