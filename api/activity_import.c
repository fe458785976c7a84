/* POST /v1/activities/imports: set-based, see activity_import() in the migrations. */
#include "import.h"
#include "routes.h"

static const char *const columns[] = {
    "campaign",
    "organization",
    "code",
    "phase",
    "kind",
    "topic",
    "title",
    "starts_on",
    "ends_on",
    "done_on",
    "planned",
    "done",
    "contacts_planned",
    "contacts_reached",
    "channels",
    "status",
    "reason",
    "evidence_url",
    "note",
    "version",
    "id",
};

static const char *const parameters[] = { "mode", "strategy", "dry_run", "organization_scheme", "request_id" };

/* The row's own id, which only some have, is the column known: id is what a new activity gets. */
int handle_activity_import(struct exchange *x)
{
    static const struct import_kind kind = {
        .copy = "COPY import_row (row, line, id, campaign, organization, code, phase, kind, topic, title, starts_on, "
                "ends_on, done_on, planned, done, contacts_planned, contacts_reached, channels, status, reason, "
                "evidence_url, note, version, known, faults) FROM STDIN",
        .columns = columns,
        .n_columns = ARRAY_SIZE(columns),
        .n_names = 6,
        .max_rows = SIZE_MAX,
        .begin = &query_activity_import_begin,
        .run = &query_activity_import,
        .parameters = parameters,
    };

    return import_run(x, &kind);
}
