/* POST /v1/organizations/imports: row by row, parents first, see organization_import() in the migrations. */
#include "import.h"
#include "routes.h"

#define ROWS_MAX 20000

static const char *const columns[] = {
    "code",
    "name",
    "kind",
    "parent",
    "attached",
    "made_up",
    "note",
    "area_code",
    "identifiers",
    "former",
    "valid_from",
    "valid_to",
    "version",
};

static const char *const parameters[] = { "mode", "strategy", "dry_run", "request_id" };

int handle_organization_import(struct exchange *x)
{
    static const struct import_kind kind = {
        .copy = "COPY import_row (row, line, id, code, name, kind, parent, attached, made_up, note, area_code, "
                "identifiers, former, valid_from, valid_to, version, faults) FROM STDIN",
        .columns = columns,
        .n_columns = ARRAY_SIZE(columns),
        .n_names = 1,
        .max_rows = ROWS_MAX,
        .begin = &query_organization_import_begin,
        .run = &query_organization_import,
        .parameters = parameters,
    };

    return import_run(x, &kind);
}
