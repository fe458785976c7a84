/* Counters of this process, in Prometheus' text format. */
#ifndef TIENDO_METRICS_H
#define TIENDO_METRICS_H

#include <stdint.h>

#include "contract.h"
#include "text.h"

struct metrics;
struct service;

MUST_CHECK int metrics_new(struct metrics **ret);
struct metrics *metrics_free(struct metrics *metrics); /* takes NULL */

/* One answer; op NULL is a request that met no route. */
void metrics_observe(struct metrics *metrics, const struct operation *op, bool head, unsigned status, int64_t us);
void metrics_render(struct service *service, struct buf *out);

#endif
