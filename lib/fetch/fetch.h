/* Small documents by HTTPS, for background threads. The only room that knows libcurl. */
#ifndef TIENDO_FETCH_H
#define TIENDO_FETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "text.h"

struct fetch_options {
    const char *url;
    bool plain;          /* http is taken too; the address is this machine's own then, and no proxy is asked */
    const char *ca_file; /* certificates (PEM) to believe; NULL or "" for the system's */
    const char *accept;  /* media types wanted */
    const char *agent;   /* User-Agent */
    unsigned connect_ms, total_ms;
    const atomic_bool *stop; /* ends the transfer within a second once it is true */
};

/* Once in the process, before any thread. 0 or -EIO. */
MUST_CHECK int fetch_init(void);

/*
 * The body of a 200; redirects are not followed, and nothing but HTTPS (or HTTP, where it is plain) is spoken. -EIO with a reason:
 * not reached, not trusted, too slow, too large for ret's maximum, another status. -ENOMEM.
 */
MUST_CHECK int fetch_get(const struct fetch_options *options, struct buf *ret, char *reason, size_t reason_n);

#endif
