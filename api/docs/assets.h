/* Files of the reference page, embedded by assets.py. */
#ifndef TIENDO_ASSETS_H
#define TIENDO_ASSETS_H

#include <stddef.h>

struct asset {
    const char *name;
    const char *type;
    const char *tag;                 /* changes with the contents */
    const char *packed, *packed_end; /* gzip */
    size_t size;
};

extern const struct asset assets[];
extern const size_t n_assets;

#endif
