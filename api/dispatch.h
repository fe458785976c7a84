/* The way of a request: match, negotiate, identify, limit, validate, handle, reply. */
#ifndef TIENDO_DISPATCH_H
#define TIENDO_DISPATCH_H

#include "bridge.h"

/* Answers one request; userdata is the struct service. */
void dispatch(void *userdata, struct bridge_request *req, struct bridge_reply *reply);

#endif
