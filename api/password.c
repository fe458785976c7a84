#include "password.h"

#include <errno.h>
#include <string.h>

#include "service.h"

#define WAIT_S 5

int password_check(const struct service *service, const struct turn *turn, const char *hash, const char *password)
{
    int64_t places = service->config->password_workers;
    int r;

    r = turns_enter(places, turn, WAIT_S);
    if (r < 0)
        return r;
    r = secret_password_verify(hash, password, strlen(password));
    turns_leave(places);
    return r;
}

int password_hash(
    const struct service *service, const struct turn *turn, const char *password, char ret_hash[SECRET_HASH_MAX])
{
    int64_t places = service->config->password_workers;
    int r;

    r = turns_enter(places, turn, WAIT_S);
    if (r < 0)
        return r;
    r = secret_password_hash(password, strlen(password), ret_hash);
    turns_leave(places);
    return r;
}
