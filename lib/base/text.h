/* Text: borrowed slices, a growing buffer with a maximum, and strict parsing. */
#ifndef TIENDO_TEXT_H
#define TIENDO_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

struct arena;

/* A borrowed slice; not necessarily closed by a NUL. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

static inline struct str str_from(const char *s)
{
    return (struct str){ s, s ? strlen(s) : 0 };
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *s)
{
    return str_eq(a, str_from(s));
}

/*
 * A growing buffer. P is closed by a NUL that N does not count (P is NULL until something was added). Adding past
 * MAX or without memory sets FAILED and changes nothing more: add freely, look at FAILED once at the end.
 */
struct buf {
    char *p;
    size_t n, cap, max;
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empty it and forget a failure, keep the memory. */
void buf_reset(struct buf *b);
/* Room for N more bytes at p + n (the caller then raises n); NULL and FAILED when there is none. */
MUST_CHECK char *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_add_str(struct buf *b, struct str s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void buf_add_i64(struct buf *b, int64_t v);
/* P as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_json_string(struct buf *b, const char *p, size_t n);
/* The same for a C string; NULL becomes null. */
void buf_json_cstr(struct buf *b, const char *s);
/* The contents as a C string, never NULL. */
const char *buf_cstr(const struct buf *b);

/* A whole decimal integer in [min, max]: -EINVAL when it is none, -ERANGE outside the bounds. */
MUST_CHECK int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret);

/*
 * Decode %XX (and + as a space when FORM) into the arena, closed by a NUL. -EINVAL for a broken escape, a raw
 * control character or an encoded NUL, -EILSEQ when the result is no UTF-8, -ENOMEM.
 */
MUST_CHECK int percent_decode(struct arena *a, const char *p, size_t n, bool form, struct str *ret);

/* Strict UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF. NUL is allowed. */
bool utf8_valid(const char *p, size_t n);
/* The length in characters of valid UTF-8. */
size_t utf8_length(const char *p, size_t n);

#endif
