/* Whether the database is such that the service may run on it. */
#ifndef TIENDO_HEALTH_H
#define TIENDO_HEALTH_H

#include "config.h"
#include "util.h"

/*
 * Connects with the serving role and looks: 0; -EPERM when the role may do more than it must (superuser,
 * BYPASSRLS, owner of tables); -ENOTCONN. What is wrong is logged.
 */
MUST_CHECK int health_check_role(const struct config *config);

#endif
