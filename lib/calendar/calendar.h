/* Calendars of whole days (RFC 5545), written entry by entry. The only room that knows libical. */
#ifndef TIENDO_CALENDAR_H
#define TIENDO_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

enum calendar_status { CALENDAR_CONFIRMED, CALENDAR_TENTATIVE, CALENDAR_CANCELLED };

struct calendar_entry {
    const char *uid; /* the same for ever */
    const char *title;
    const char *detail;              /* NULL: none */
    const char *category;            /* NULL: none */
    const char *starts_on, *ends_on; /* yyyy-mm-dd, both inclusive */
    enum calendar_status status;
    bool busy;              /* takes the days it stands on */
    int64_t version;        /* goes up with each change */
    const char *changed_at; /* RFC 3339 */
};

/*
 * A calendar is what begin, any number of adds and end put into one buffer. Nothing in it depends on when it is written, so the same
 * entries are the same text. 0; -ENOMEM (also where the buffer has failed); -EINVAL for a date that is none.
 */
MUST_CHECK int calendar_begin(struct buf *out, const char *name);
MUST_CHECK int calendar_add(struct buf *out, const struct calendar_entry *entry);
MUST_CHECK int calendar_end(struct buf *out);

#endif
