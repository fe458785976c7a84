#include "issue.h"

#include <errno.h>
#include <string.h>

#include "keys.h"
#include "service.h"

void secret_literal(const char *secret, size_t n, char ret[2 + SECRET_SHA256_HEX])
{
    memcpy(ret, "\\x", 2);
    secret_sha256_hex(secret, n, ret + 2);
}

void refresh_make(struct refresh *ret)
{
    secret_token(ret->token);
    secret_literal(ret->token, strlen(ret->token), ret->hash);
}

static int sign(struct exchange *x, const struct db_result *row, const char *subject, const char *client,
    const char *session, char **ret_token)
{
    const struct token_claims claims = {
        .issuer = x->service->issuer,
        .audience = x->service->config->audience,
        .subject = subject,
        .client_id = client,
        .session = session,
        .grant = row_text(row, "grant_id"),
        .scope = row_text(row, "scope"),
        .lifetime = x->service->config->token_lifetime_s,
    };

    return keys_sign(x->service, row_text(row, "kid"), row_text(row, "sealed"), &claims, ret_token);
}

int issue_reply(struct exchange *x, const struct db_result *row, const char *subject, const char *client,
    const char *session, const char *refresh, const char *more, unsigned status)
{
    _cleanup_(freep) char *token = NULL;
    const char *refresh_member = "", *body;
    int r;

    r = sign(x, row, subject, client, session, &token);
    if (r == -ENOKEY)
        return fail(x, P_UNAVAILABLE);
    if (r < 0)
        return r;
    if (refresh != NULL)
        refresh_member = arena_printf(x->arena, ",\"refresh_token\":\"%s\"", refresh);
    /* Nothing here needs escaping: base64url, UUIDs and permission names. */
    body = arena_printf(x->arena,
        "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%lld,\"scope\":\"%s\",\"grant\":\"%s\"%s%s}",
        token, (long long)x->service->config->token_lifetime_s, row_text(row, "scope"), row_text(row, "grant_id"),
        refresh_member, more);
    if (body == NULL || refresh_member == NULL)
        return -ENOMEM;
    reply_header(x, "Pragma", "no-cache");
    return reply_text(x, status, str_from(body));
}
