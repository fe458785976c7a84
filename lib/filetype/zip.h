/* Office Open XML documents: a zip archive with a list of its contents. */
#ifndef TIENDO_ZIP_H
#define TIENDO_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define ZIP_END_MAX (22 + 65535) /* the end record with the longest comment */

/* Whether the file's last bytes close a zip archive. */
bool zip_ends(const unsigned char *tail, size_t n);
/* 0 and whether it is a workbook rather than a text; -EMEDIUMTYPE or -EBADMSG, and what is wrong; -ENOMEM; or a negative errno of reading. */
MUST_CHECK int zip_office(
    int fd, int64_t size, const unsigned char *tail, size_t n, bool *ret_workbook, const char **ret_why);

#endif
