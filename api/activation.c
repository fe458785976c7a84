/*
 * POST /v1/activations: whoever was given a one-time code sets the account's password. A wrong code, an unknown name and an account
 * without a code miss the same index and are answered alike, before anything is hashed.
 */
#include <errno.h>
#include <string.h>

#include "account.h"
#include "log.h"
#include "password.h"
#include "password_rules.h"
#include "routes.h"
#include "throttle.h"

struct activation {
    const char *username, *password;
    char proof[2 + SECRET_SHA256_HEX];
    struct throttle throttle;
    const char *account; /* NULL: the code is nobody's */
    struct person person;
};

static const char *member(const struct exchange *x, const char *name)
{
    return json_string_value(json_object_get(x->json.tree, name));
}

static const char *copied(struct exchange *x, const struct db_result *rows, const char *column)
{
    int col = db_col(rows, column);

    return db_is_null(rows, 0, col) ? NULL : arena_strdup(x->arena, db_value(rows, 0, col));
}

/* 0: go on; 1: the exchange holds the answer. */
static int begin(struct exchange *x, struct activation *a)
{
    const struct throttle *t = &a->throttle;
    const char *const values[] = { a->username, t->network, a->proof, t->most, t->most_network, t->window };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_activation_begin, values, &rows);
    if (r != 0)
        return r;
    if (strcmp(row_text(rows, "wait_s"), "0") != 0) {
        throttle_refuse(x, copied(x, rows, "wait_s"));
        return 1;
    }
    a->account = copied(x, rows, "account_id");
    a->person = (struct person){ a->username, copied(x, rows, "display_name"), copied(x, rows, "unit") };
    return 0;
}

static int refuse(struct exchange *x, const struct activation *a)
{
    const char *const values[] = { a->username, a->throttle.network, a->throttle.window };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_activation_fail, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    log_info("activation_failed", "trace_id=%s client=%s", x->trace_id, x->client);
    return fail(x, P_INVALID_ACTIVATION);
}

static int finish(struct exchange *x, const struct activation *a, const char *hash)
{
    const char *const values[] = { a->username, a->throttle.network, a->proof, hash, x->trace_id };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_activation_finish, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    if (strcmp(row_text(rows, "done"), "t") != 0)
        return refuse(x, a);
    log_info("activated", "trace_id=%s account=%s client=%s", x->trace_id, a->account, x->client);
    return reply_none(x);
}

int handle_activation_create(struct exchange *x)
{
    struct activation a = { .username = username_lower(x->arena, member(x, "username")),
        .password = member(x, "password") };
    char hash[SECRET_HASH_MAX];
    struct turn turn;
    int r;

    if (a.username == NULL)
        return -ENOMEM;
    r = activation_proof(x->arena, a.username, member(x, "code"), a.proof);
    if (r == 0)
        r = throttle_of(x, NULL, NULL, &a.throttle);
    if (r == 0)
        r = begin(x, &a);
    if (r != 0)
        return r < 0 ? r : 0;
    if (a.account == NULL)
        return refuse(x, &a);
    r = password_rules(x, "#/password", a.password, &a.person);
    if (r != 0)
        return r < 0 ? r : fail(x, P_INVALID);
    turn = throttle_turn(x, &a.throttle, a.username, true); /* the code has proved who it is */
    r = turn.key != NULL ? password_hash(x->service, &turn, a.password, hash) : -ENOMEM;
    return r < 0 ? r : finish(x, &a, hash);
}
