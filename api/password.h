/*
 * Password hashes cost memory and time on purpose: few are worked on at once, and those that wait take fair turns (turns.h).
 */
#ifndef TIENDO_PASSWORD_H
#define TIENDO_PASSWORD_H

#include "handler.h"
#include "secret.h"
#include "turns.h"

/* 0 when the password fits, -EACCES when not (always for a NULL hash), -EAGAIN when too many are being checked. */
MUST_CHECK int password_check(
    const struct service *service, const struct turn *turn, const char *hash, const char *password);
/* 0, -EAGAIN, -ENOMEM. */
MUST_CHECK int password_hash(
    const struct service *service, const struct turn *turn, const char *password, char ret_hash[SECRET_HASH_MAX]);

#endif
