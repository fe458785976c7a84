#include "cors.h"

#include <string.h>

#include "service.h"

static bool listed(const struct config_list *list, const char *origin)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i], origin) == 0)
            return true;
    return false;
}

void cors_apply(struct exchange *x)
{
    const struct config_list *list = &x->service->config->cors_origins;
    const char *origin;

    if (list->n == 0)
        return;
    reply_header(x, "Vary", "Origin");
    origin = exchange_header(x, "Origin");
    if (origin == NULL || !listed(list, origin))
        return;
    reply_header(x, "Access-Control-Allow-Origin", origin);
    reply_header(x, "Access-Control-Expose-Headers",
        "ETag, Link, Location, Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed, Preference-Applied, "
        "traceparent");
}

void cors_preflight(struct exchange *x, const char *allow)
{
    const char *origin = exchange_header(x, "Origin");

    if (origin == NULL || exchange_header(x, "Access-Control-Request-Method") == NULL ||
        !listed(&x->service->config->cors_origins, origin))
        return;
    reply_header(x, "Access-Control-Allow-Methods", allow);
    reply_header(x, "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Content-Encoding, If-Match, If-None-Match, Idempotency-Key, Prefer, "
        "Accept-Language, traceparent");
    reply_header(x, "Access-Control-Max-Age", "600");
}
