/* Content negotiation: Accept, Content-Type, Content-Encoding, Prefer. */
#ifndef TIENDO_NEGOTIATE_H
#define TIENDO_NEGOTIATE_H

#include "contract.h"

/* The offered type the Accept header likes best, the first of several; NULL when it takes none. */
const struct media *negotiate_accept(const char *accept, const struct media *offers, size_t n);
/* The taken type a Content-Type names, or NULL. Text in another charset than UTF-8 is not taken. */
const struct media *negotiate_content(const char *content_type, const struct media *taken, size_t n);

enum content_encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_OTHER };
enum content_encoding negotiate_encoding(const char *content_encoding);

/* Whether a Prefer header holds this preference, e.g. "count=exact". */
bool negotiate_prefers(const char *prefer, const char *preference);

#endif
