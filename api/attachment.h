/* What both ways of an attachment share. */
#ifndef TIENDO_ATTACHMENT_H
#define TIENDO_ATTACHMENT_H

#define ATTACHMENT_CHUNK ((size_t)256 << 10) /* bytes of a row */

#endif
