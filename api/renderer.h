/*
 * The process that lays reports out as papers (api/document/render.py): started when it is first needed, kept ready, and asked for one
 * document at a time by any thread. It makes a copy of itself for each, which can neither open a file nor a connection and has
 * bounded memory and time. What becomes of it is of no consequence to the service.
 */
#ifndef TIENDO_RENDERER_H
#define TIENDO_RENDERER_H

#include <stdint.h>

#include "config.h"
#include "text.h"

struct renderer;

/* Starts nothing yet. The configuration outlives it. */
MUST_CHECK int renderer_new(const struct config *config, struct renderer **ret);
struct renderer *renderer_free(struct renderer *renderer); /* takes NULL; ends the process */

/*
 * A report's JSON as a document of this format ("html", "pdf"). holder: who asks, as places_holder() says.
 * -ENOENT: it is not installed; -EAGAIN: too many are waiting, or it took too long to come to it; -EFBIG: more than it lays out;
 * -ETIME: its time was over; -EPIPE: it ended without an answer; -EBADMSG: it cannot make one of this report; -ENOMEM.
 */
MUST_CHECK int renderer_make(
    struct renderer *renderer, const char *format, uint64_t holder, struct str json, struct buf *ret);

#endif
