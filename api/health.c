/* /livez and /readyz, and what must hold before the service serves at all. */
#include "health.h"

#include <errno.h>
#include <string.h>

#include "handler.h"
#include "log.h"
#include "migrate.h"
#include "service.h"

static const char role_sql[] =
    "SELECT r.rolsuper, r.rolbypassrls, EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'tiendo' AND pg_has_role(r.oid, c.relowner, 'MEMBER'))"
    " FROM pg_roles r WHERE r.rolname = current_user";

static bool is_true(const struct db_result *rows, int col)
{
    return strcmp(db_value(rows, 0, col), "t") == 0;
}

static int judge_role(const struct db_result *rows)
{
    const char *reason = NULL;

    if (db_rows(rows) != 1)
        return -ENOTCONN;
    if (is_true(rows, 0))
        reason = "it is a superuser";
    else if (is_true(rows, 1))
        reason = "it has BYPASSRLS";
    else if (is_true(rows, 2))
        reason = "it owns tables, or may become their owner";
    if (reason == NULL)
        return 0;
    log_error("database_role_refused", "reason=%s", reason);
    return -EPERM;
}

int health_check_role(const struct config *config)
{
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    _cleanup_(db_result_freep) struct db_result *rows = NULL, *error = NULL;
    struct lane_settings settings;
    struct db_pool_options options;
    char reason[256] = "";
    int r;

    service_pool_options(config, false, &settings, &options);
    options.queries = NULL; /* before the first migration nothing can be prepared */
    options.n_queries = 0;
    r = db_open(&options, reason, sizeof(reason), &conn);
    if (r == 0)
        r = db_send_sql(conn, role_sql, 0, NULL);
    if (r == 0)
        r = db_sync(conn);
    if (r == 0)
        r = db_next(conn, &rows);
    if (r >= 0)
        r = db_drain(conn, &error);
    if (r < 0) {
        log_error("database_unreachable", "reason=%s", reason);
        return -ENOTCONN;
    }
    return judge_role(rows);
}

static const struct str ok = { "{\"status\":\"ok\"}", 15 };

int handle_livez(struct exchange *x)
{
    return reply_text(x, 200, ok);
}

static int migrations_current(struct exchange *x)
{
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    enum migrate_state state = MIGRATE_PENDING;
    size_t pending = 0;
    int r;

    r = db_pool_take(x->service->quick, (unsigned)x->service->config->pool_wait_ms, &conn);
    if (r == 0)
        r = migrate_status(conn, &state, &pending);
    return r < 0 ? r : state == MIGRATE_CURRENT;
}

int handle_readyz(struct exchange *x)
{
    int r;

    if (atomic_load(&x->service->draining))
        return fail(x, P_DRAINING);
    r = migrations_current(x);
    if (r <= 0)
        return fail_detail(x, P_UNAVAILABLE, r == 0 ? "The database's schema is not this program's." : NULL);
    return reply_text(x, 200, ok);
}
