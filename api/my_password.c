/* PUT /v1/me/password: one's own password for a new one; one's other sessions end. */
#include <errno.h>
#include <string.h>

#include "issue.h"
#include "log.h"
#include "password.h"
#include "password_rules.h"
#include "routes.h"
#include "throttle.h"

struct change {
    const char *present, *wanted;
    const char *hash; /* of the present one; NULL: the account has none */
    struct throttle throttle;
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
static int begin(struct exchange *x, struct change *c)
{
    const char *const values[] = { c->throttle.most, c->throttle.window };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_my_password, values, &rows);
    if (r != 0)
        return r;
    if (strcmp(row_text(rows, "wait_s"), "0") != 0) {
        throttle_refuse(x, copied(x, rows, "wait_s"));
        return 1;
    }
    c->hash = copied(x, rows, "password_hash");
    c->person =
        (struct person){ copied(x, rows, "username"), copied(x, rows, "display_name"), copied(x, rows, "unit") };
    return 0;
}

static int refuse(struct exchange *x, const struct change *c)
{
    const char *const values[] = { c->throttle.window };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_my_password_wrong, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    log_info("password_wrong", "trace_id=%s grant=%s client=%s", x->trace_id, x->identity->grant, x->client);
    return fail_at(x, P_INVALID, AT_POINTER, "#/current_password", FAULT_PASSWORD_WRONG, NULL);
}

/* Faults of the wanted one are told only to who knows the present one. */
static int check(struct exchange *x, const struct change *c)
{
    int r;

    r = password_rules(x, "#/new_password", c->wanted, &c->person);
    if (r < 0)
        return r;
    if (strcmp(c->present, c->wanted) == 0)
        fault_add(&x->faults, AT_POINTER, "#/new_password", FAULT_PASSWORD_SAME, NULL);
    if (x->faults.total == 0)
        return 0;
    fail(x, P_INVALID);
    return 1;
}

int handle_my_password_set(struct exchange *x)
{
    struct change c = { .present = member(x, "current_password"), .wanted = member(x, "new_password") };
    const struct turn turn = { x->identity->grant, true };
    char hash[SECRET_HASH_MAX];
    const char *values[] = { NULL, hash, NULL, NULL, x->trace_id };
    int r;

    r = throttle_of(x, NULL, NULL, &c.throttle);
    if (r == 0)
        r = begin(x, &c);
    if (r != 0)
        return r < 0 ? r : 0;
    r = password_check(x->service, &turn, c.hash, c.present);
    if (r == -EACCES)
        return refuse(x, &c);
    if (r == 0)
        r = check(x, &c);
    if (r == 0)
        r = password_hash(x->service, &turn, c.wanted, hash);
    if (r != 0)
        return r < 0 ? r : 0;
    values[0] = c.hash;
    values[2] = c.throttle.most;
    values[3] = c.throttle.window;
    return query_reply(x, &query_my_password_set, values);
}
