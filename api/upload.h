/*
 * Bodies that are files: taken as they come into a file without a name, so that none is kept in memory, no database connection
 * waits for a sender, and nothing is left of one that hangs up. For operations with `x-body: stream`.
 */
#ifndef TIENDO_UPLOAD_H
#define TIENDO_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge.h"
#include "secret.h"
#include "util.h"

struct exchange;
struct upload;

/* What the listener hands such bodies to. */
extern const struct bridge_sink upload_sink;

/* Whether it is, or says it is, larger than such a body may be. */
bool upload_too_large(const struct upload *upload);
/* What was found against the body before it was whole (too many at once, no room) is the answer. 0; 1 when the exchange holds it. */
MUST_CHECK int upload_check(struct exchange *x);

/* Lets go of the file and its place, before the answer is sent: whoever has it may send the next. */
void upload_end(struct upload *upload);

/* The whole body: its size, its digest, and any part of it. */
int64_t upload_size(const struct upload *upload);
void upload_sha256_hex(const struct upload *upload, char ret[SECRET_SHA256_HEX]);
int upload_fd(const struct upload *upload);

#endif
