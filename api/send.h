/* Finished exchanges: headers every answer has, the body or its stream, the log's line and the metrics. */
#ifndef TIENDO_SEND_H
#define TIENDO_SEND_H

#include "bridge.h"
#include "handler.h"

struct outcome {
    const char *method; /* as sent, of the known ones, else "_OTHER" */
    const char *traceparent;
    int64_t began_us; /* monotonic */
    bool head;
    bool close; /* end the connection with this answer */
};

/* Turns the answer into what the bridge sends and notes it in the log and the metrics. */
void send_reply(struct exchange *x, const struct outcome *outcome, struct bridge_reply *reply);

#endif
