/* Tokens are issued by libjwt. */
#include "token.h"
#include "clock.h"
#include "util.h"
#include "uuid.h"

#include <errno.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>

static void jwt_freep(jwt_t **jwt)
{
    jwt_free(*jwt);
}

static int add_claims(jwt_t *jwt, const struct token_claims *c)
{
    const long now = (long)(clock_now_us() / 1000000);
    char jti[TOKEN_ID_CHARS];
    const struct {
        const char *name, *value;
    } texts[] = {
        { "iss", c->issuer },
        { "aud", c->audience },
        { "sub", c->subject },
        { "client_id", c->client_id },
        { "sid", c->session },
        { "grant", c->grant },
        { "scope", c->scope },
        { "jti", jti },
    };

    uuid_v7(jti);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (!texts[i].value || jwt_add_grant(jwt, texts[i].name, texts[i].value) != 0)
            return -EINVAL;
    if (jwt_add_grant_int(jwt, "iat", now) != 0 || jwt_add_grant_int(jwt, "exp", now + (long)c->lifetime) != 0)
        return -EINVAL;
    return 0;
}

int token_issue(const char *kid, const char *pem, const struct token_claims *claims, char **ret_token)
{
    _cleanup_(jwt_freep) jwt_t *jwt = NULL;
    char *token;
    int r;

    if (jwt_new(&jwt) != 0)
        return -ENOMEM;
    r = add_claims(jwt, claims);
    if (r < 0)
        return r;
    if (jwt_add_header(jwt, "kid", kid) != 0 ||
        jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)pem, (int)strlen(pem)) != 0)
        return -EINVAL;
    token = jwt_encode_str(jwt);
    if (!token)
        return errno == ENOMEM ? -ENOMEM : -EINVAL;
    *ret_token = token;
    return 0;
}
