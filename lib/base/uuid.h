/* UUID version 7: time-ordered ids, made by the service. */
#ifndef TIENDO_UUID_H
#define TIENDO_UUID_H

#include <stdbool.h>
#include <stddef.h>

#define UUID_TEXT 37

/* A fresh id in lower case, closed by a NUL; ids of one thread ascend. */
void uuid_v7(char ret[UUID_TEXT]);

/* Is this the text of a UUID (any version, 8-4-4-4-12 hexadecimal digits)? */
bool uuid_valid(const char *s, size_t n);

#endif
