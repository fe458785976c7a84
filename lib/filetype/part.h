/* Parts of an Office document: what none of them may be. All answers are static sentences; NULL where nothing is wrong. */
#ifndef TIENDO_PART_H
#define TIENDO_PART_H

#include <stdbool.h>
#include <stddef.h>

#define PART_HEAD 8 /* of its first bytes are enough */

/* Whether the text holds the word, in any case. */
bool part_holds(const char *p, size_t n, const char *word);
/* By its name (without a NUL): macros, programs. */
const char *part_name_wrong(const char *name, size_t n);
/* By its first bytes: programs, and objects in the old format, which may hold anything. */
const char *part_head_wrong(const unsigned char *head, size_t n);
/* Whether its first bytes are an archive's: a document within the document. */
bool part_is_archive(const unsigned char *head, size_t n);
/* A whole document within the document: it may hold neither macros nor another one. */
const char *part_inner_wrong(const char *p, size_t n);
/* The relations of a part: no template and no object may come from elsewhere than a local drive. */
const char *part_relations_wrong(const char *p, size_t n);

#endif
