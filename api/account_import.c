/*
 * POST /v1/accounts/imports: many accounts with their one-time codes, see account_import() in the migrations. The answer holds
 * secrets, so no copy of it is kept; as CSV it is the list to hand out.
 */
#include <errno.h>

#include "account.h"
#include "csv.h"
#include "csv_form.h"
#include "import.h"
#include "routes.h"
#include "service.h"

#define ROWS_MAX 5000
#define LIST_MAX ((size_t)16 << 20)

static const char *const columns[] = {
    "username",
    "display_name",
    "organization",
    "role",
    "seat",
    "valid_from",
    "valid_to",
};

static const char *const parameters[] = { "mode", "dry_run", "extra", "request_id" };

/* The accounts of the answer as a table, without codes where nothing was kept. */
static int list_accounts(struct exchange *x)
{
    static const char *const members[] = { "row", "username", "display_name", "organization", "activation_code",
        "activation_expires_at" };
    json_t *answer = json_loadb(x->reply.body.p, x->reply.body.n, 0, NULL), *item;
    _cleanup_(buf_free) struct buf out;
    struct csv_writer w;
    size_t i;

    if (answer == NULL)
        return -ENOMEM;
    buf_init(&out, LIST_MAX);
    csv_writer_init(&w, &out, csv_form_of(x).delimiter);
    csv_write_bom(&w);
    for (i = 0; i < ARRAY_SIZE(members); i++)
        csv_write_cstr(&w, members[i]);
    csv_end(&w);
    json_array_foreach(json_object_get(answer, "accounts"), i, item)
    {
        csv_write_cstr(
            &w, arena_printf(x->arena, "%lld", (long long)json_integer_value(json_object_get(item, members[0]))));
        for (size_t k = 1; k < ARRAY_SIZE(members); k++) {
            const char *text = json_string_value(json_object_get(item, members[k]));

            csv_write_cstr(&w, text != NULL ? text : "");
        }
        csv_end(&w);
    }
    json_decref(answer);
    if (out.failed)
        return -ENOMEM;
    x->reply.type = "text/csv; charset=utf-8";
    x->reply.body = (struct str){ arena_strndup(x->arena, out.p, out.n), out.n };
    reply_header(x, "Content-Disposition", "attachment; filename=\"account_import.csv\"");
    return x->reply.body.p != NULL ? 0 : -ENOMEM;
}

int handle_account_import(struct exchange *x)
{
    const struct import_kind kind = {
        .copy =
            "COPY import_row (row, line, id, username, display_name, organization, role, seat, valid_from, valid_to, "
            "faults) FROM STDIN",
        .columns = columns,
        .n_columns = ARRAY_SIZE(columns),
        .n_names = 1,
        .max_rows = ROWS_MAX,
        .begin = &query_account_import_begin,
        .run = &query_account_import,
        .parameters = parameters,
        .extra = arena_printf(x->arena, "%lld", (long long)x->service->config->activation_hours),
    };
    int r;

    if (kind.extra == NULL)
        return -ENOMEM;
    x->secret_answer = true;
    r = import_run(x, &kind);
    if (r < 0 || x->reply.status != 200 || x->produces->kind != MEDIA_CSV)
        return r;
    return list_accounts(x);
}
