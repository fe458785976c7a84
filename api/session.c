/*
 * POST /v1/sessions: a person logs in. The database counts failures; a fitting password is worth nothing once there are
 * too many.
 */
#include <errno.h>
#include <ctype.h>
#include <string.h>

#include "issue.h"
#include "log.h"
#include "password.h"
#include "routes.h"
#include "service.h"
#include "uuid.h"

struct login {
    const char *username, *password, *grant;
    const char *account, *hash; /* NULL: nobody of that name */
    const char *most, *window;
};

static const char *member(const struct exchange *x, const char *name)
{
    return json_string_value(json_object_get(x->json.tree, name));
}

static char *lower(struct arena *a, const char *s)
{
    char *copy = arena_strdup(a, s);

    for (char *p = copy; p != NULL && *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
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

static int tell_wait(struct exchange *x, const char *seconds)
{
    reply_header(x, "Retry-After", seconds);
    return fail(x, P_TOO_MANY_LOGINS);
}

/* 0: the try may go on; 1: the exchange holds the answer. */
static int begin(struct exchange *x, struct login *login)
{
    const char *const values[] = { login->username, x->client, login->most, login->window };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_login_begin, values, &rows);
    if (r != 0)
        return r;
    if (strcmp(row_text(rows, "wait_s"), "0") != 0) {
        tell_wait(x, copied(x, rows, "wait_s"));
        return 1;
    }
    login->account = copied(x, rows, "account_id");
    login->hash = copied(x, rows, "password_hash");
    return 0;
}

/* Counts the failure first: an answer that was not counted is not given. */
static int refuse(struct exchange *x, const struct login *login)
{
    const char *const values[] = { login->username, x->client, login->most, login->window };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_login_fail, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    log_info("login_failed", "trace_id=%s account=%s client=%s", x->trace_id, login->account, x->client);
    if (strcmp(row_text(rows, "throttled"), "t") == 0)
        return tell_wait(x, login->window);
    return fail(x, P_INVALID_CREDENTIALS);
}

static int answer(struct exchange *x, const struct login *login, const struct db_result *rows, const char *session,
    const struct refresh *refresh)
{
    const char *result = row_text(rows, "result"), *more;

    if (strcmp(result, "throttled") == 0)
        return tell_wait(x, login->window);
    if (strcmp(result, "inactive") == 0)
        return refuse(x, login);
    if (strcmp(result, "no_grant") == 0)
        return fail_detail(
            x, P_FORBIDDEN, "The account holds no grant today. An administrator of its unit can give one.");
    if (strcmp(result, "unknown_grant") == 0) {
        fault_add_text(&x->faults, AT_POINTER, "#/grant", "unknown_reference", "no such grant of this account today");
        return fail(x, P_INVALID);
    }
    more = arena_printf(x->arena, ",\"refresh_expires_in\":%lld,\"grants\":%s",
        (long long)x->service->config->refresh_lifetime_s, row_text(rows, "grants"));
    if (more == NULL)
        return -ENOMEM;
    log_info("login", "trace_id=%s account=%s session=%s client=%s", x->trace_id, login->account, session, x->client);
    return issue_reply(x, rows, login->account, FIRST_PARTY, session, refresh->token, more, 201);
}

static int finish(struct exchange *x, const struct login *login)
{
    char session[UUID_TEXT];
    struct refresh refresh;
    const char *const values[] = { login->username, x->client, login->most, login->window, login->account, login->grant,
        session, refresh.hash, number(x, x->service->config->refresh_lifetime_s) };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    uuid_v7(session);
    refresh_make(&refresh);
    r = query_fetch(x, &query_login_finish, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    return answer(x, login, rows, session, &refresh);
}

int handle_session_create(struct exchange *x)
{
    struct login login = { .password = member(x, "password"), .grant = member(x, "grant") };
    int r;

    login.username = lower(x->arena, member(x, "username"));
    login.most = number(x, x->service->config->login_failures);
    login.window = number(x, x->service->config->login_window_s);
    if (login.username == NULL || login.most == NULL || login.window == NULL)
        return -ENOMEM;
    r = begin(x, &login);
    if (r != 0)
        return r < 0 ? r : 0;
    r = password_check(x->service, login.hash, login.password);
    if (r == -EACCES)
        return refuse(x, &login);
    if (r < 0)
        return r;
    return finish(x, &login);
}
