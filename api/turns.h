/*
 * Turns at work that costs (hashing a password): a few at once, the rest wait, and who comes often does not hold up who comes
 * seldom. Those known for the name they use go before strangers, but for every fourth turn; among each the one whose key was
 * served longest ago goes first. Each key has few places to wait in, so nobody fills the room.
 */
#ifndef TIENDO_TURNS_H
#define TIENDO_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define TURNS_KNOWN_MAX   256 /* known ones that may wait */
#define TURNS_STRANGE_MAX 64  /* strangers that may wait */
#define TURNS_PER_KEY_MAX 8   /* of one key */

/* Whose turn it is: known by a name and a place, or a stranger by the network alone. */
struct turn {
    const char *key;
    bool known;
};

/* Waits for one of so many places. 0, or -EAGAIN when there is no room to wait in or it took longer than wait_s. */
MUST_CHECK int turns_enter(int64_t places, const struct turn *turn, int wait_s);
/* Gives the place to the next. */
void turns_leave(int64_t places);

#endif
