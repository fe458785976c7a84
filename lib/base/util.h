/* Small macros that every room uses. */
#ifndef TIENDO_UTIL_H
#define TIENDO_UTIL_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* Run FN on the variable's address when it leaves its scope; FN takes NULL contents. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* A result that must be looked at. */
#define MUST_CHECK __attribute__((warn_unused_result))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Hand an owned pointer over: its value is the result, the variable becomes NULL. */
#define TAKE_PTR(p) \
    __extension__({ \
        __typeof__(p) *take_ptr_at_ = &(p); \
        __typeof__(p) take_ptr_was_ = *take_ptr_at_; \
        *take_ptr_at_ = NULL; \
        take_ptr_was_; \
    })

/* _cleanup_(freep) char *p = NULL; */
static inline void freep(void *p)
{
    free(*(void **)p);
}

/* _cleanup_(closep) int fd = -1; */
static inline void closep(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

#endif
