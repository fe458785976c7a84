/* What a PDF says of itself outside of its streams. */
#ifndef TIENDO_PDF_H
#define TIENDO_PDF_H

#include <stddef.h>

/*
 * Why these bytes are not taken (static): encrypted, with scripts, programs to be started or other files in it; NULL where nothing of
 * the kind is named. Streams are not decompressed.
 */
const char *pdf_wrong(const unsigned char *p, size_t n);

#endif
