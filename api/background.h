/* What runs beside the requests: sealing the journal, throwing away what is past its time. */
#ifndef TIENDO_BACKGROUND_H
#define TIENDO_BACKGROUND_H

#include "config.h"
#include "util.h"

struct background;
struct watch;

/* Starts the thread; it has a connection of its own and comes back after the database was lost. The watch, told of
 * what is sealed, outlives it. */
MUST_CHECK int background_start(const struct config *config, struct watch *watch, struct background **ret);
void background_stop(struct background *background); /* takes NULL */

#endif
