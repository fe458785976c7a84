/* Unicode normalisation form C. */
#ifndef TIENDO_NFC_H
#define TIENDO_NFC_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

struct arena;

/* Is this valid UTF-8 text certainly in form C, by a look at its bytes? False means: ask nfc_normalize. */
bool nfc_quick(const char *p, size_t n);

/*
 * Valid UTF-8 text in form C: P itself where nothing changes (borrowed), else a copy in the arena closed by a NUL.
 * -EILSEQ when P is not UTF-8, -ENOMEM.
 */
MUST_CHECK int nfc_normalize(struct arena *a, const char *p, size_t n, struct str *ret);

/* The same of text known to be UTF-8, without the quick look. */
MUST_CHECK int nfc_normalize_fully(struct arena *a, const char *p, size_t n, struct str *ret);

#endif
