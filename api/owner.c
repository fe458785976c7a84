#include "owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int print_error(const struct db_result *result)
{
    struct db_error e;

    db_error(result, &e);
    fprintf(stderr, "tiendo: database: %s\n", e.message);
    return -EIO;
}

int owner_run(struct db_conn *conn, const char *sql, int n, const char *const *values, struct db_result **ret_rows)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL, *error = NULL;
    int r;

    r = db_send_sql(conn, sql, n, values);
    if (r == 0)
        r = db_sync(conn);
    if (r == 0)
        r = db_next(conn, &rows);
    if (r > 0 && db_kind(rows) == DB_ERROR) {
        (void)!db_drain(conn, NULL);
        return print_error(rows);
    }
    if (r >= 0)
        r = db_drain(conn, &error);
    if (r == -EBADMSG)
        return print_error(error);
    if (r < 0) {
        fprintf(stderr, "tiendo: database: %s\n", strerrordesc_np(-r));
        return r;
    }
    if (ret_rows)
        *ret_rows = TAKE_PTR(rows);
    return 0;
}

int owner_open(const struct config *config, struct db_conn **ret_conn)
{
    static const struct db_setting settings[] = { { "search_path", "tiendo, public" } };
    const struct db_pool_options options = {
        .name = "tiendo-owner", .conninfo = config->migrate_database, .size = 1, .settings = settings, .n_settings = 1
    };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    char reason[256] = "";
    int r;

    if (config->migrate_database[0] == '\0') {
        fprintf(stderr, "tiendo: migrate_database is not set\n");
        return -EINVAL;
    }
    r = db_open(&options, reason, sizeof(reason), &conn);
    if (r < 0) {
        fprintf(stderr, "tiendo: no connection to the database: %s\n", reason);
        return r;
    }
    r = owner_run(conn, "SET ROLE tiendo_owner", 0, NULL, NULL);
    if (r < 0)
        return r;
    *ret_conn = TAKE_PTR(conn);
    return 0;
}
