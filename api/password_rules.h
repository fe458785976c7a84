/*
 * What a new password may not be (after NIST SP 800-63B): too short or too long (the contract says so), made of the names its
 * holder goes by, or of what everybody takes. No kinds of characters are asked for.
 */
#ifndef TIENDO_PASSWORD_RULES_H
#define TIENDO_PASSWORD_RULES_H

#include "handler.h"

#define PASSWORD_MIN 12 /* characters of a new password */
#define PASSWORD_MAX 256

enum {
    PASSWORD_SHORT = 1U << 0,
    PASSWORD_LONG = 1U << 1,
    PASSWORD_NAMED = 1U << 2, /* holds a name of its holder's */
    PASSWORD_COMMON =
        1U << 3, /* is but common words, sequences and repetitions, whatever digits and punctuation there are */
};

/* Names a password must not hold; NULL where there is none. */
struct person {
    const char *username, *display_name, *unit;
};

/* What is wrong with a new password, the flags above: 0 for nothing. -EINVAL when it is no UTF-8, -ENOMEM. */
MUST_CHECK int password_faults(struct arena *a, const char *password, const struct person *person);
/* Adds the faults of a password at the pointer. 0, 1 when there are any, -ENOMEM. */
MUST_CHECK int password_rules(
    struct exchange *x, const char *pointer, const char *password, const struct person *person);

#endif
