/* POST /v1/clients and …/secrets: the secret is made here, shown once, and kept as a digest (it is random: that needs no slow hash). */
#include <errno.h>
#include <string.h>

#include "issue.h"
#include "routes.h"
#include "service.h"
#include "staff.h"

int handle_client_create(struct exchange *x)
{
    char secret[SECRET_TOKEN_CHARS], hash[2 + SECRET_SHA256_HEX];
    const char *const values[] = { exchange_new_id(x), x->json.text.p, hash, x->trace_id };
    int r;

    secret_token(secret);
    secret_literal(secret, strlen(secret), hash);
    r = staff_create(x, &query_client_create, values, "client_secret", secret);
    secret_wipe(secret, sizeof(secret));
    return r;
}

int handle_client_secret_create(struct exchange *x)
{
    char secret[SECRET_TOKEN_CHARS], hash[2 + SECRET_SHA256_HEX];
    const char *hours = arena_printf(x->arena, "%lld", (long long)x->service->config->client_secret_overlap_hours);
    const char *const values[] = { exchange_param(x, "client"), exchange_new_id(x), x->json.text.p, hash, hours,
        x->trace_id };
    int r;

    if (hours == NULL)
        return -ENOMEM;
    secret_token(secret);
    secret_literal(secret, strlen(secret), hash);
    r = staff_create(x, &query_client_secret_create, values, "client_secret", secret);
    secret_wipe(secret, sizeof(secret));
    return r;
}
