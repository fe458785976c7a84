/* Text bared of what people leave out when they type in haste: accents and case. */
#ifndef TIENDO_BARE_H
#define TIENDO_BARE_H

#include "text.h"

struct arena;

/* UTF-8 text in lower case without accents, đ as d; compatibility forms as their plain ones. -EILSEQ, -ENOMEM. */
MUST_CHECK int bare_text(struct arena *a, const char *p, size_t n, struct str *ret);

#endif
