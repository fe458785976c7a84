/* Operations that are one named query: its row is the answer. */
#include <stdlib.h>

#include "handler.h"

static int answer_row(struct exchange *x, struct db_result *rows)
{
    const char *status = db_text(rows, "status");
    int body = db_col(rows, "body");

    x->reply.result = rows;
    x->reply.version = db_text(rows, "version");
    x->reply.location = db_text(rows, "location");
    if (reply_unchanged(x))
        return 0;
    x->reply.status = status != NULL ? (unsigned)strtoul(status, NULL, 10) : 200;
    if (body >= 0 && !db_is_null(rows, 0, body)) {
        x->reply.type = "application/json";
        x->reply.body = (struct str){ db_value(rows, 0, body), db_len(rows, 0, body) };
    }
    return 0;
}

int query_reply(struct exchange *x, const struct named_query *query, const char *const *values)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, query, values, &rows);
    if (r != 0)
        return r < 0 ? r : 0;
    if (query->kind == QUERY_NONE)
        return reply_none(x);
    if (db_rows(rows) == 0)
        return fail(x, P_NOT_FOUND);
    return answer_row(x, TAKE_PTR(rows));
}

int handle_query(struct exchange *x)
{
    return query_reply(x, x->op->query, NULL);
}
