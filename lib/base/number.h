/* Exact decimals, handled as text from the caller's own digits to the database's numeric. */
#ifndef TIENDO_NUMBER_H
#define TIENDO_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#include "util.h"

#define NUMBER_DIGITS   15 /* significant digits, without leading and trailing zeros */
#define NUMBER_EXPONENT 30 /* the first digit's place lies in 10^-30 … 10^30 */
#define NUMBER_LENGTH   64 /* characters of a number's text */
#define NUMBER_TEXT     (NUMBER_LENGTH + NUMBER_EXPONENT + 2) /* room for any plain text, with its NUL */

/* Facts about a number's text. */
struct number {
    bool negative; /* and not zero */
    bool zero;
    bool integer; /* by value: 1.0 and 1e3 are integers */
    int digits;   /* significant digits, at least 1 */
    int exponent; /* place of the first significant digit, 0 for 1 … 9 */
};

/*
 * Is P a JSON number that is kept exactly? -EINVAL: no JSON number; -EOVERFLOW: more than NUMBER_DIGITS significant
 * digits; -ERANGE: out of the exponent's bounds or longer than NUMBER_LENGTH. ret may be NULL.
 */
MUST_CHECK int number_check(const char *p, size_t n, struct number *ret);

/* A checked JSON number as plain decimal text: no exponent, no leading or trailing zeros, no -0. */
MUST_CHECK int number_plain(const char *p, size_t n, char ret[NUMBER_TEXT]);

/*
 * A number as a spreadsheet writes it, with DECIMAL ('.' or ',') named by the caller: an optional minus, digits, and
 * at most one decimal mark with digits on both sides. The result is plain decimal text. -EINVAL: no number;
 * -ENOTUNIQ: the other mark, a second mark or a space stands in it, so thousands cannot be told from decimals;
 * -EOVERFLOW and -ERANGE as above.
 */
MUST_CHECK int number_parse(const char *p, size_t n, char decimal, char ret[NUMBER_TEXT]);

/* Compare two plain texts made by this room: < 0, 0, > 0. */
int number_compare(const char *a, const char *b);

#endif
