/*
 * Where somebody who proves themselves comes from, and what the database counts their failures by (schema: the throttle).
 * A network is an IPv4 address or an IPv6 /64. A device is what a former log-in was given for the next: it says that this name
 * logged in there, opens nothing by itself, and keeps its own count, so that nobody elsewhere can close its way.
 */
#ifndef TIENDO_THROTTLE_H
#define TIENDO_THROTTLE_H

#include "handler.h"
#include "turns.h"

struct throttle {
    const char *network;
    const char *device;                       /* NULL where none was proved */
    const char *most, *most_network, *window; /* the configuration's, as text */
};

/* 0 or -ENOMEM. username and proof may be NULL: no device then. */
MUST_CHECK int throttle_of(struct exchange *x, const char *username, const char *proof, struct throttle *ret);
/* Whose turn hashing is: the name at its place where that is known, else the network's. NULL key: no memory. */
struct turn throttle_turn(struct exchange *x, const struct throttle *t, const char *username, bool known);
/* What the next log-in of this name on this device shows. Arena, or NULL. */
const char *throttle_device_proof(struct exchange *x, const struct throttle *t, const char *username);
/* 429, and for how long. Always 0. */
int throttle_refuse(struct exchange *x, const char *seconds);
/* The network of an address, as text: the address itself where it is none. Arena, borrowed, or NULL. */
const char *throttle_network(struct arena *a, const char *address);

#endif
