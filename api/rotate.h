/* A new signing key, made by the owner. */
#ifndef TIENDO_ROTATE_H
#define TIENDO_ROTATE_H

#include "config.h"
#include "db.h"

/* Makes a key that signs from now on; those before it are accepted until their last token has expired. */
MUST_CHECK int keys_rotate(const struct config *config, struct db_conn *conn);

#endif
