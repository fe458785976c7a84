/*
 * What a file is, by its contents: libmagic's word first, then the rules of the kinds that are taken, so that a file is of one kind
 * alone and carries no program. Nothing of it is run or drawn; a list of contents, the relations between parts, documents within the
 * document and the first bytes of any other part are all that is ever decompressed, within bounds.
 * The only room that knows libmagic.
 */
#ifndef TIENDO_FILETYPE_H
#define TIENDO_FILETYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

enum filetype {
    FILETYPE_PDF,
    FILETYPE_DOCX,
    FILETYPE_XLSX,
    FILETYPE_PNG,
    FILETYPE_JPEG,
    N_FILETYPES,
};

/* Its media type, without parameters. */
const char *filetype_media(enum filetype type);
/* Whether the name ends as a file of this type does, in either case. */
bool filetype_names(enum filetype type, const char *name);

/*
 * Looks at an open file of that many bytes. 0; -EMEDIUMTYPE when it is of no kind that is taken, -EBADMSG when it is damaged, of two kinds or carries
 * what it must not, both with a sentence (static) that says what is wrong; -ENOMEM; or another negative errno when the file, or libmagic's own list, cannot be read.
 */
MUST_CHECK int filetype_detect(int fd, int64_t size, enum filetype *ret_type, const char **ret_why);

#endif
