#include "staff.h"

#include <errno.h>

#include "issue.h"
#include "routes.h"

int staff_permitted(struct exchange *x)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;

    return query_fetch(x, &query_permitted, (const char *const[]){ NULL }, &rows);
}

/* The row's object with one member more; the secret's characters need no escaping. */
static int add_member(struct exchange *x, struct str body, const char *member, const char *secret)
{
    const char *text = arena_printf(x->arena, "%.*s,\"%s\":\"%s\"}", (int)(body.n - 1), body.p, member, secret);

    return text != NULL ? reply_text(x, x->reply.status, str_from(text)) : -ENOMEM;
}

int staff_create(struct exchange *x, const struct named_query *query, const char *const *values, const char *member,
    const char *secret)
{
    int r;

    x->secret_answer = secret != NULL;
    r = query_reply(x, query, values);
    if (r < 0 || secret == NULL || x->reply.status >= 300)
        return r;
    return add_member(x, x->reply.body, member, secret);
}
