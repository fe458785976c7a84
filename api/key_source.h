/* The keys of an outside issuer, read again and again by a thread of their own. */
#ifndef TIENDO_KEY_SOURCE_H
#define TIENDO_KEY_SOURCE_H

#include <stdio.h>

#include "config.h"
#include "token_outside.h"

struct key_source;

/* Begins to read at once. The configuration outlives it. 0, -ENOMEM, -EAGAIN (no thread to be had), -EINVAL. */
MUST_CHECK int key_source_new(const struct config_issuer *config, struct key_source **ret_source);
/* Within a second, whatever is under way. Takes NULL. */
struct key_source *key_source_free(struct key_source *source);

/* Reads the keys once and says on out what came of it. 0, or -EIO (not to be had, or of no use). */
MUST_CHECK int key_source_check(const struct config_issuer *config, FILE *out);

/* The issuer's tokens under the keys as they are now. */
struct token_outside *key_source_tokens(struct key_source *source);

#endif
