/* POST /v1/values/imports: set-based, see value_import() in the migrations. */
#include "import.h"
#include "routes.h"

static const char *const columns[] = {
    "indicator",
    "organization",
    "period",
    "category",
    "numerator",
    "denominator",
    "number",
    "done_on",
    "done",
    "state",
    "note",
    "evidence_url",
    "source",
    "reason",
    "version",
};

static const char *const parameters[] = { "mode", "strategy", "dry_run", "organization_scheme", "request_id" };

int handle_value_import(struct exchange *x)
{
    static const struct import_kind kind = {
        .copy = "COPY import_row (row, line, id, indicator, organization, period, category, numerator, denominator, "
                "number, done_on, done, state, note, evidence_url, source, reason, version, faults) FROM STDIN",
        .columns = columns,
        .n_columns = ARRAY_SIZE(columns),
        .n_names = 4,
        .max_rows = SIZE_MAX,
        .begin = &query_value_import_begin,
        .run = &query_value_import,
        .parameters = parameters,
    };

    return import_run(x, &kind);
}
