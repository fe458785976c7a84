/* What every pipeline is read with. */
#include "db.h"

#include <errno.h>

int db_take(struct db_conn *conn, struct db_result **ret_result, struct db_result **ret_error)
{
    _cleanup_(db_result_freep) struct db_result *result = NULL;
    int r;

    r = db_next(conn, &result);
    if (r <= 0)
        return r < 0 ? r : -EINVAL;
    if (db_kind(result) == DB_ERROR && *ret_error == NULL)
        *ret_error = TAKE_PTR(result);
    else if (db_kind(result) != DB_ERROR && db_kind(result) != DB_ABORTED) {
        if (ret_result != NULL)
            *ret_result = TAKE_PTR(result);
        return 0;
    }
    return -EBADMSG;
}

int db_give_up(struct db_conn *conn, int r)
{
    int s = r == -EBADMSG ? db_drain(conn, NULL) : 0;

    return s < 0 && s != -EBADMSG ? s : r;
}

int db_run(struct db_conn *conn, unsigned query, const char *const *values, struct db_result **ret_rows,
    struct db_result **ret_error)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = db_send(conn, query, values);
    if (r == 0)
        r = db_sync(conn);
    if (r == 0)
        r = db_take(conn, &rows, ret_error);
    if (r < 0)
        return db_give_up(conn, r);
    r = db_drain(conn, ret_error);
    if (r < 0)
        return r;
    *ret_rows = TAKE_PTR(rows);
    return 0;
}
