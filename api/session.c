/*
 * POST /v1/sessions: a person logs in. The database counts failures; a fitting password is worth nothing once there are
 * too many.
 */
#include <errno.h>
#include <string.h>

#include "account.h"
#include "log.h"
#include "password.h"
#include "routes.h"
#include "service.h"
#include "throttle.h"
#include "uuid.h"

struct login {
    const char *username, *password, *grant, *unit, *role;
    const char *account, *hash; /* NULL: nobody of that name */
    bool known;                 /* the name has logged in from there before */
    struct throttle throttle;
};

static const char *member(const struct exchange *x, const char *name)
{
    return json_string_value(json_object_get(x->json.tree, name));
}

static const char *number(struct exchange *x, int64_t n)
{
    return arena_printf(x->arena, "%lld", (long long)n);
}

static const char *copied(struct exchange *x, const struct db_result *rows, const char *column)
{
    int col = db_col(rows, column);

    return db_is_null(rows, 0, col) ? NULL : arena_strdup(x->arena, db_value(rows, 0, col));
}

/* 0: the try may go on; 1: the exchange holds the answer. */
static int begin(struct exchange *x, struct login *login)
{
    const struct throttle *t = &login->throttle;
    const char *const values[] = { login->username, t->network, t->device, t->most, t->most_network, t->window };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_login_begin, values, &rows);
    if (r != 0)
        return r;
    if (strcmp(row_text(rows, "wait_s"), "0") != 0) {
        throttle_refuse(x, copied(x, rows, "wait_s"));
        return 1;
    }
    login->account = copied(x, rows, "account_id");
    login->hash = copied(x, rows, "password_hash");
    login->known = strcmp(row_text(rows, "known"), "t") == 0;
    return 0;
}

/* Counts the failure first: an answer that was not counted is not given. */
static int refuse(struct exchange *x, const struct login *login)
{
    const struct throttle *t = &login->throttle;
    const char *const values[] = { login->username, t->network, t->device, t->most, t->most_network, t->window };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_login_fail, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    log_info("login_failed", "trace_id=%s account=%s client=%s", x->trace_id, login->account, x->client);
    if (strcmp(row_text(rows, "throttled"), "t") == 0)
        return throttle_refuse(x, t->window);
    return fail(x, P_INVALID_CREDENTIALS);
}

/* What was chosen is not to be had: said of each member that was sent. */
static int refuse_choice(struct exchange *x, const struct login *login)
{
    static const char said[] = "no such grant of this account today";
    const char *const given[] = { login->grant, login->unit, login->role };
    static const char *const pointers[] = { "#/grant", "#/organization", "#/role" };

    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        if (given[i] != NULL)
            fault_add_text(&x->faults, AT_POINTER, pointers[i], "unknown_reference", said);
    return fail(x, P_INVALID);
}

static int answer(struct exchange *x, const struct login *login, const struct db_result *rows, const char *session,
    const struct refresh *refresh)
{
    const char *result = row_text(rows, "result"), *device, *more;

    if (strcmp(result, "throttled") == 0)
        return throttle_refuse(x, login->throttle.window);
    if (strcmp(result, "inactive") == 0)
        return refuse(x, login);
    if (strcmp(result, "no_grant") == 0)
        return fail_detail(
            x, P_FORBIDDEN, "The account holds no grant today. An administrator of its unit can give one.");
    if (strcmp(result, "unknown_grant") == 0)
        return refuse_choice(x, login);
    device = throttle_device_proof(x, &login->throttle, login->username);
    if (device == NULL)
        return -ENOMEM;
    more = arena_printf(x->arena, ",\"refresh_expires_in\":%lld,\"device\":\"%s\",\"grants\":%s",
        (long long)x->service->config->refresh_lifetime_s, device, row_text(rows, "grants"));
    if (more == NULL)
        return -ENOMEM;
    log_info("login", "trace_id=%s account=%s session=%s client=%s", x->trace_id, login->account, session, x->client);
    return issue_reply(x, rows, login->account, FIRST_PARTY, session, refresh->token, more, 201);
}

static int finish(struct exchange *x, const struct login *login)
{
    const struct throttle *t = &login->throttle;
    char session[UUID_TEXT];
    struct refresh refresh;
    const char *const values[] = { login->username, t->network, t->device, t->most, t->most_network, t->window,
        login->account, login->hash, login->grant, login->unit, login->role, session, refresh.hash,
        number(x, x->service->config->refresh_lifetime_s) };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    uuid_v7(session);
    refresh_make(&refresh);
    r = query_fetch(x, &query_login_finish, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    return answer(x, login, rows, session, &refresh);
}

static int check(struct exchange *x, const struct login *login)
{
    const struct turn turn = throttle_turn(x, &login->throttle, login->username, login->known);

    if (turn.key == NULL)
        return -ENOMEM;
    return password_check(x->service, &turn, login->hash, login->password);
}

int handle_session_create(struct exchange *x)
{
    struct login login = {
        .username = username_lower(x->arena, member(x, "username")),
        .password = member(x, "password"),
        .grant = member(x, "grant"),
        .unit = member(x, "organization"),
        .role = member(x, "role"),
    };
    int r;

    if (login.username == NULL)
        return -ENOMEM;
    r = throttle_of(x, login.username, member(x, "device"), &login.throttle);
    if (r == 0)
        r = begin(x, &login);
    if (r != 0)
        return r < 0 ? r : 0;
    r = check(x, &login);
    if (r == -EACCES)
        return refuse(x, &login);
    if (r < 0)
        return r;
    return finish(x, &login);
}
