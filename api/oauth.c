/* The token endpoint (RFC 6749), revocation (RFC 7009) and the server's own description (RFC 8414). */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "issue.h"
#include "log.h"
#include "routes.h"
#include "service.h"
#include "uuid.h"

#define CREDENTIAL_MAX 1024

/* How a client proved itself: both NULL when it did not try. */
struct proof {
    const char *client, *secret;
    bool basic;
};

static const char *form_value(const struct exchange *x, const char *name)
{
    const char *value = json_string_value(json_object_get(x->json.tree, name));

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* ---- errors ---- */

static int oauth_error(struct exchange *x, const char *error, const char *description)
{
    const char *body = arena_printf(x->arena, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error, description);
    bool client = strcmp(error, "invalid_client") == 0;

    if (body == NULL)
        return -ENOMEM;
    if (client)
        reply_header(x, "WWW-Authenticate", "Basic realm=\"tiendo\"");
    reply_header(x, "Pragma", "no-cache");
    return reply_text(x, client ? 401 : 400, str_from(body));
}

static const char *describe(const char *error)
{
    static const struct {
        const char *error, *description;
    } rows[] = {
        { "invalid_client", "The client is unknown, not active, or its secret is wrong." },
        { "unauthorized_client", "The client holds no grant today." },
        { "invalid_scope", "The scope names a permission that is not to be had here." },
        { "invalid_grant", "The refresh token is unknown, expired or revoked, or was used before." },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].error, error) == 0)
            return rows[i].description;
    return "The request was refused.";
}

/* ---- who the client is ---- */

/* "Basic" credentials: base64 of two form-encoded texts around a colon. */
static int basic_proof(struct exchange *x, const char *encoded, struct proof *ret)
{
    char text[CREDENTIAL_MAX];
    struct str client, secret;
    const char *colon;
    size_t n;

    if (secret_base64_decode(encoded, strlen(encoded), text, sizeof(text), &n) < 0)
        return -EBADMSG;
    colon = memchr(text, ':', n);
    if (colon == NULL)
        return -EBADMSG;
    if (percent_decode(x->arena, text, (size_t)(colon - text), true, &client) < 0 ||
        percent_decode(x->arena, colon + 1, n - (size_t)(colon + 1 - text), true, &secret) < 0)
        return -EBADMSG;
    *ret = (struct proof){ client.p, secret.p, true };
    return 0;
}

/* 0; -EBADMSG when the header cannot be read, -EINVAL when the client proves itself in two ways. */
static int read_proof(struct exchange *x, struct proof *ret)
{
    const char *authorization = exchange_header(x, "Authorization");
    const char *secret = form_value(x, "client_secret");

    *ret = (struct proof){ NULL, NULL, false };
    if (authorization != NULL) {
        if (strncasecmp(authorization, "Basic ", 6) != 0)
            return -EBADMSG;
        return secret != NULL ? -EINVAL : basic_proof(x, authorization + 6, ret);
    }
    if (secret != NULL)
        *ret = (struct proof){ form_value(x, "client_id"), secret, false };
    return secret != NULL && ret->client == NULL ? -EINVAL : 0;
}

/* 0 and the proof, or 1 when the exchange holds the error. */
static int take_proof(struct exchange *x, struct proof *ret)
{
    int r;

    r = read_proof(x, ret);
    if (r == -EBADMSG)
        r = oauth_error(x, "invalid_client", "The Authorization header holds no client's credentials.");
    else if (r == -EINVAL)
        r = oauth_error(
            x, "invalid_request", "A client proves itself in one way: by header, or by client_id and client_secret.");
    else
        return 0;
    return r < 0 ? r : 1;
}

/* The words of a scope with single spaces; NULL for none asked. -EINVAL for other characters. */
static int read_scope(struct exchange *x, const char **ret)
{
    const char *scope = form_value(x, "scope");
    char *text;
    size_t n = 0;

    *ret = NULL;
    if (scope == NULL)
        return 0;
    text = arena_alloc(x->arena, strlen(scope) + 1);
    if (text == NULL)
        return -ENOMEM;
    for (const char *p = scope; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
            return -EINVAL;
        if (*p != ' ' || (n > 0 && text[n - 1] != ' '))
            text[n++] = *p;
    }
    if (n > 0 && text[n - 1] == ' ')
        text[n - 1] = '\0';
    *ret = text[0] != '\0' ? text : NULL;
    return 0;
}

/* ---- the grants ---- */

static int client_credentials(struct exchange *x, const struct proof *proof, const char *scope)
{
    char session[UUID_TEXT], hash[2 + SECRET_SHA256_HEX];
    const char *lifetime = arena_printf(x->arena, "%lld", (long long)x->service->config->token_lifetime_s);
    const char *const values[] = { proof->client, hash, session, scope, lifetime };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    const char *result, *client;
    int r;

    if (proof->secret == NULL)
        return oauth_error(x, "invalid_client", "A client proves itself with its client_id and client_secret.");
    secret_literal(proof->secret, strlen(proof->secret), hash);
    uuid_v7(session);
    r = query_fetch(x, &query_client_session, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    result = row_text(rows, "result");
    if (strcmp(result, "ok") != 0) {
        log_info("client_refused", "trace_id=%s reason=%s client=%s", x->trace_id, result, x->client);
        return oauth_error(x, arena_strdup(x->arena, result), describe(result));
    }
    client = row_text(rows, "subject");
    return issue_reply(x, rows, client, client, session, NULL, "", 200);
}

/* A client that proves itself must be one; whose token it is, the database compares. 0, or 1 with the error told. */
static int check_client(struct exchange *x, const struct proof *proof, const char **ret_client)
{
    char hash[2 + SECRET_SHA256_HEX];
    const char *const values[] = { proof->client, hash };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    *ret_client = NULL;
    if (proof->secret == NULL)
        return 0;
    secret_literal(proof->secret, strlen(proof->secret), hash);
    r = query_fetch(x, &query_client_check, values, &rows);
    if (r != 0)
        return r;
    if (row_text(rows, "client_id")[0] == '\0') {
        r = oauth_error(x, "invalid_client", describe("invalid_client"));
        return r < 0 ? r : 1;
    }
    *ret_client = arena_strdup(x->arena, row_text(rows, "client_id"));
    return *ret_client != NULL ? 0 : -ENOMEM;
}

static int refresh_token(struct exchange *x, const struct proof *proof, const char *scope)
{
    const char *old = form_value(x, "refresh_token"), *client, *result;
    char hash[2 + SECRET_SHA256_HEX];
    struct refresh next;
    const char *values[] = { hash, next.hash,
        arena_printf(x->arena, "%lld", (long long)x->service->config->refresh_lifetime_s), NULL, scope };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    if (old == NULL)
        return oauth_error(x, "invalid_request", "refresh_token is missing.");
    r = check_client(x, proof, &client);
    if (r != 0)
        return r < 0 ? r : 0;
    values[3] = client;
    secret_literal(old, strlen(old), hash);
    refresh_make(&next);
    r = query_fetch(x, &query_refresh_use, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    result = row_text(rows, "result");
    if (strcmp(result, "reused") == 0) {
        log_warn("refresh_token_reused", "trace_id=%s session=%s client=%s", x->trace_id, row_text(rows, "session_id"),
            x->client);
        return oauth_error(x, "invalid_grant", describe("invalid_grant"));
    }
    if (strcmp(result, "ok") != 0)
        return oauth_error(x, arena_strdup(x->arena, result), describe(result));
    return issue_reply(x, rows, row_text(rows, "subject"), client != NULL ? client : FIRST_PARTY,
        row_text(rows, "session_id"), next.token, "", 200);
}

int handle_token(struct exchange *x)
{
    const char *type = form_value(x, "grant_type"), *scope;
    struct proof proof;
    int r;

    if (type == NULL)
        return oauth_error(x, "invalid_request", "grant_type is missing.");
    r = read_scope(x, &scope);
    if (r == -EINVAL)
        return oauth_error(x, "invalid_scope", describe("invalid_scope"));
    if (r < 0)
        return r;
    r = take_proof(x, &proof);
    if (r != 0)
        return r < 0 ? r : 0;
    if (strcmp(type, "client_credentials") == 0)
        return client_credentials(x, &proof, scope);
    if (strcmp(type, "refresh_token") == 0)
        return refresh_token(x, &proof, scope);
    return oauth_error(x, "unsupported_grant_type", "The grant types are client_credentials and refresh_token.");
}

/* ---- revocation ---- */

/* The token's holder needs no further proof; one that gives a proof must give a right one. */
int handle_revoke(struct exchange *x)
{
    const char *token = form_value(x, "token"), *client;
    char hash[2 + SECRET_SHA256_HEX];
    struct identity id;
    struct proof proof;
    const char *values[] = { NULL, hash, NULL };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    if (token == NULL)
        return oauth_error(x, "invalid_request", "token is missing.");
    r = take_proof(x, &proof);
    if (r == 0)
        r = check_client(x, &proof, &client);
    if (r != 0)
        return r < 0 ? r : 0;
    if (token_verify(x->service->verifier, token, strlen(token), &id) == 0)
        values[0] = id.session;
    secret_literal(token, strlen(token), hash);
    values[2] = client;
    r = query_fetch(x, &query_session_end, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    x->reply.status = 200;
    return 0;
}

/* ---- description ---- */

static void add_scopes(struct buf *b)
{
    for (size_t i = 0; i < n_contract_permissions; i++) {
        if (i > 0)
            buf_addc(b, ',');
        buf_json_cstr(b, contract_permissions[i]);
    }
}

int handle_metadata(struct exchange *x)
{
    static const char methods[] = "[\"client_secret_basic\",\"client_secret_post\",\"none\"]";
    _cleanup_(buf_free) struct buf b;
    const char *issuer = x->service->issuer;

    buf_init(&b, 65536);
    buf_addf(&b, "{\"issuer\":\"%s\",\"token_endpoint\":\"%s/oauth2/token\",", issuer, issuer);
    buf_addf(&b, "\"revocation_endpoint\":\"%s/oauth2/revoke\",", issuer);
    buf_addf(&b, "\"jwks_uri\":\"%s/.well-known/jwks.json\",\"service_documentation\":\"%s/docs\",", issuer, issuer);
    buf_adds(&b, "\"response_types_supported\":[],");
    buf_adds(&b, "\"grant_types_supported\":[\"client_credentials\",\"refresh_token\"],");
    buf_addf(&b, "\"token_endpoint_auth_methods_supported\":%s,", methods);
    buf_addf(&b, "\"revocation_endpoint_auth_methods_supported\":%s,\"scopes_supported\":[", methods);
    add_scopes(&b);
    buf_adds(&b, "]}");
    if (b.failed)
        return -ENOMEM;
    return reply_text(x, 200, (struct str){ arena_strndup(x->arena, b.p, b.n), b.n });
}
