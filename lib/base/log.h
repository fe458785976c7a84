/*
 * The log: one JSON object a line, one write a line, from any thread. It never blocks: a line that cannot be written
 * at once (full pipe, full disk) is dropped and counted. The program ignores SIGPIPE.
 */
#ifndef TIENDO_LOG_H
#define TIENDO_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct buf;

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Write to FD from now on (borrowed; 2 until called), lines of LEVEL and above. */
void log_init(int fd, enum log_level level);

/* "debug", "info", "warn", "error"; -EINVAL for another name. */
MUST_CHECK int log_level_parse(const char *name, enum log_level *ret);
const char *log_level_name(enum log_level level);

bool log_enabled(enum log_level level);

/*
 * {"time":…,"level":…,"event":EVENT, fields}. FMT names the fields: "address=%s port=%d seconds=%.3f"; between the
 * names only single spaces, each value one of %s %.*s %c %d %i %u %x %f %g with l, ll, z, j, h. Strings become JSON
 * strings (NULL null), numbers JSON numbers. "" for no fields.
 */
void log_event(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, __VA_ARGS__)

/* A finished line (one JSON object), written whatever the level; a newline is added if it has none. */
void log_line(const struct buf *line);

/* Lines lost since the start. */
uint64_t log_dropped(void);

#endif
