/*
 * Tokens of outside issuers. The token says who its bearer is at the issuer; the database says who that is here (an account of
 * that username, or a client bound to that subject) and lends it a session, once a token and process. After that the token is
 * remembered, and enter() asks after account, grant and session at every request, as for tokens of our own.
 */
#include "outside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "issue.h"
#include "key_source.h"
#include "log.h"
#include "service.h"
#include "trouble.h"
#include "uuid.h"

#define KID_PREFIX "outside:" /* as enter() knows it */
#define ISS_MAX    1025
#define ROLES_MAX  160 /* every role of ours, as an array literal */

struct outside {
    size_t n;
    struct key_source *sources[CONFIG_ISSUERS_MAX];
    const struct config_issuer *issuers;
};

int outside_new(const struct config *config, struct outside **ret_outside)
{
    struct outside *o;
    int r = 0;

    if (config->n_issuers == 0)
        return 0;
    o = calloc(1, sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    o->issuers = config->issuers;
    for (; o->n < config->n_issuers && r == 0; o->n += r == 0)
        r = key_source_new(&config->issuers[o->n], &o->sources[o->n]);
    if (r < 0) {
        outside_free(o);
        return r;
    }
    *ret_outside = o;
    return 0;
}

struct outside *outside_free(struct outside *o)
{
    if (o == NULL)
        return NULL;
    for (size_t i = 0; i < o->n; i++)
        key_source_free(o->sources[i]);
    free(o);
    return NULL;
}

void outside_forget(const struct service *service, const char *token, size_t n)
{
    const struct outside *o = service->outside;

    for (size_t i = 0; o != NULL && i < o->n; i++)
        token_outside_forget(key_source_tokens(o->sources[i]), token, n);
}

/* ---- what the token says, as the database is asked ---- */

struct asking {
    const char *account, *subject, *grant, *unit, *roles, *binding, *expires;
};

/* A username in small letters; what cannot be one (it is ASCII) names nobody. */
static const char *username(struct arena *a, const char *name)
{
    char *copy;

    if (name == NULL || strlen(name) > 64)
        return NULL;
    copy = arena_strdup(a, name);
    for (char *p = copy; p != NULL && *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~')
            return NULL;
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    }
    return copy;
}

/* Roles of ours that the token carries, as an array literal; NULL where it is not asked for them. */
static const char *roles(struct arena *a, const struct config_issuer *config, const struct token_said *said)
{
    struct buf out;
    const char *text;

    if (config->roles_claim[0] == '\0')
        return NULL;
    buf_init(&out, ROLES_MAX);
    buf_addc(&out, '{');
    for (size_t i = 0; i < config->roles.n; i++) {
        const char *colon = strrchr(config->roles.item[i], ':');
        const char *theirs = arena_strndup(a, config->roles.item[i], (size_t)(colon - config->roles.item[i]));

        if (theirs == NULL || !token_said_is(said, config->roles_claim, theirs) ||
            strstr(buf_cstr(&out), colon + 1) != NULL)
            continue;
        if (out.n > 1)
            buf_addc(&out, ',');
        buf_adds(&out, colon + 1);
    }
    buf_addc(&out, '}');
    text = out.failed ? "{}" : arena_strdup(a, buf_cstr(&out));
    buf_free(&out);
    return text;
}

/* The log-in at the issuer that the token belongs to: its sid, else the token alone. */
static const char *binding(
    struct arena *a, const struct config_issuer *config, const struct token_said *said, const char *token, size_t n)
{
    static const char *const claims[] = { "sid", "session_state", "jti" };
    char *literal = arena_alloc(a, 2 + SECRET_SHA256_HEX);
    const char *value = NULL, *text = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(claims) && text == NULL; i++)
        if (token_said_text(said, claims[i], &value) == 0 && value != NULL && value[0] != '\0')
            text = arena_printf(a, "%s\n%s\n%s", config->iss, claims[i], value);
    if (text == NULL)
        text = arena_printf(a, "%s\ntoken\n%.*s", config->iss, (int)n, token);
    if (literal == NULL || text == NULL)
        return NULL;
    secret_literal(text, strlen(text), literal);
    return literal;
}

/* 0, -EKEYREJECTED when a claim that matters is no text, -ENOMEM. */
static int ask(struct arena *a, const struct config_issuer *config, const struct token_said *said, const char *token,
    size_t n, struct asking *ret)
{
    const struct {
        const char *path, **at;
    } texts[] = {
        { config->account_claim, &ret->account },
        { config->client_claim, &ret->subject },
        { config->grant_claim, &ret->grant },
        { config->unit_claim, &ret->unit },
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (token_said_text(said, texts[i].path, texts[i].at) < 0)
            return -EKEYREJECTED;
    ret->account = username(a, ret->account);
    ret->roles = roles(a, config, said);
    ret->binding = binding(a, config, said, token, n);
    ret->expires = arena_printf(a, "%lld", (long long)(token_said_expires_us(said) / 1000000));
    return arena_failed(a) ? -ENOMEM : 0;
}

/* ---- whom it stands for ---- */

static const char *sentence(const char *result)
{
    static const struct {
        const char *result, *text;
    } rows[] = {
        { "unknown", "The issuer's word is good, but nobody here is known by that name or subject." },
        { "suspended", "The account or client that this token names is not active." },
        { "no_grant",
            "The account or client that this token names holds no grant today that fits the unit and the roles of the "
            "token." },
        { "ended", "The session that stands for this log-in was ended here. Log in anew at the issuer." },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].result, result) == 0)
            return rows[i].text;
    return NULL;
}

static int answer_refusal(struct exchange *x, const struct config_issuer *config, const char *result)
{
    log_info(
        "outside_refused", "trace_id=%s issuer=%s reason=%s client=%s", x->trace_id, config->name, result, x->client);
    fail_detail(x, P_INVALID_TOKEN, sentence(result));
    return 1;
}

static int fetch(struct exchange *x, const char *const *values, struct db_result **ret_rows)
{
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    _cleanup_(db_result_freep) struct db_result *error = NULL;
    int r;

    r = db_pool_take(x->service->quick, (unsigned)x->service->config->pool_wait_ms, &conn);
    if (r == 0)
        r = db_run(conn, query_outside_session.index, values, ret_rows, &error);
    if (r == 0)
        return 0;
    if (r == -EBADMSG && error != NULL)
        trouble_answer(x, query_outside_session.name, error);
    else
        trouble_errno(x, r);
    return 1;
}

static void copy_id(char ret[TOKEN_ID_CHARS], const char *id)
{
    snprintf(ret, TOKEN_ID_CHARS, "%s", id);
}

/* Asks the database. 0; 1 when the exchange holds its answer; -EKEYREJECTED, -ENOMEM. */
static int look_up(struct exchange *x, const struct config_issuer *config, const struct token_said *said,
    const char *token, size_t n, struct identity *ret)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    char session[UUID_TEXT];
    struct asking asking = { 0 };
    const char *result;
    int r;

    r = ask(x->arena, config, said, token, n, &asking);
    if (r < 0)
        return r;
    uuid_v7(session);
    const char *const values[] = { config->name, config->iss, config->root[0] != '\0' ? config->root : NULL,
        asking.account, asking.subject, asking.grant, asking.unit, asking.roles, asking.binding, session,
        asking.expires };

    r = fetch(x, values, &rows);
    if (r != 0)
        return r;
    result = row_text(rows, "result");
    if (strcmp(result, "ok") != 0)
        return answer_refusal(x, config, result);
    *ret = (struct identity){ .scopes = UINT64_MAX, .expires_us = token_said_expires_us(said) };
    copy_id(ret->grant, row_text(rows, "grant_id"));
    copy_id(ret->session, row_text(rows, "session_id"));
    copy_id(ret->subject, row_text(rows, "subject"));
    snprintf(ret->kid, sizeof(ret->kid), KID_PREFIX "%s", config->name);
    snprintf(ret->client_id, sizeof(ret->client_id), "%s", config->name);
    log_info("outside_login", "trace_id=%s issuer=%s subject=%s session=%s client=%s", x->trace_id, config->name,
        ret->subject, ret->session, x->client);
    return 0;
}

/* The issuer that the token names; -ENOENT when it is none of those configured. */
static int find_issuer(const struct outside *o, const char *token, size_t n, size_t *ret_index)
{
    char iss[ISS_MAX];

    if (token_issuer(token, n, iss, sizeof(iss)) < 0)
        return -ENOENT;
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->issuers[i].iss, iss) == 0) {
            *ret_index = i;
            return 0;
        }
    return -ENOENT;
}

bool outside_admitted(const struct service *service, const char *token, size_t n)
{
    _cleanup_(token_said_freep) struct token_said *said = NULL;
    const struct outside *o = service->outside;
    size_t index;

    return o != NULL && find_issuer(o, token, n, &index) == 0 &&
        token_outside_verify(key_source_tokens(o->sources[index]), token, n, &said) == 0;
}

/* Who set up the issuer, not who holds the token, finds out here what is amiss. */
static void log_rejected(const struct exchange *x, const struct config_issuer *config, int r)
{
    static const struct {
        int r;
        const char *reason;
    } rows[] = {
        { -EBADMSG, "form" },
        { -EKEYREJECTED, "signature_audience_or_requirement" },
        { -EKEYEXPIRED, "expired" },
        { -ENOKEY, "unknown_key" },
        { -EAGAIN, "no_keys_yet" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].r == r)
            log_info("outside_refused", "trace_id=%s issuer=%s reason=%s client=%s", x->trace_id, config->name,
                rows[i].reason, x->client);
}

int outside_identify(struct exchange *x, const char *token, size_t n, struct identity *ret)
{
    _cleanup_(token_said_freep) struct token_said *said = NULL;
    const struct outside *o = x->service->outside;
    struct token_outside *tokens;
    size_t index;
    int r;

    if (o == NULL)
        return -ENOENT;
    if (token_recall(x->service->verifier, token, n, ret))
        return 0;
    for (size_t i = 0; i < o->n; i++)
        if (token_outside_recall(key_source_tokens(o->sources[i]), token, n, ret))
            return 0;
    r = find_issuer(o, token, n, &index);
    if (r < 0)
        return r;
    tokens = key_source_tokens(o->sources[index]);
    r = token_outside_verify(tokens, token, n, &said);
    if (r < 0)
        log_rejected(x, &o->issuers[index], r);
    if (r == 0)
        r = look_up(x, &o->issuers[index], said, token, n, ret);
    if (r == 0)
        token_outside_remember(tokens, said, ret);
    return r;
}
