/*
 * tiendo reorganize: a decision by the installation's operator, over any roots: what a manager does with POST
 * /v1/reorganizations inside what it defines. Joining two provinces is this.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "commands.h"
#include "owner.h"
#include "uuid.h"

#define DECISION_MAX (16U << 20)
#define TRIED        "TD999" /* what reorganize() ends a trial with */

static const char usage[] =
    "Usage: tiendo reorganize [--dry-run] FILE\n"
    "Records the decision in FILE (JSON as for POST /v1/reorganizations; - reads standard input), in any root.\n"
    "  --dry-run   go through everything, print the impact and change nothing\n";

static int read_decision(const char *path, struct buf *b)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char chunk[8192];
    size_t n;
    int r = 0;

    if (file == NULL)
        r = -errno;
    while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(b, chunk, n);
    if (r == 0 && ferror(file))
        r = -EIO;
    if (r == 0 && b->failed)
        r = -EFBIG;
    if (file != NULL && file != stdin)
        (void)fclose(file);
    if (r < 0)
        fprintf(stderr, "tiendo: %s: %s\n", path, strerrordesc_np(-r));
    return r;
}

/* A refusal tells every fault, a trial its impact; both stand in the error's detail. */
static int tell_error(const struct db_result *result)
{
    struct db_error e;

    db_error(result, &e);
    if (strcmp(e.sqlstate, TRIED) == 0) {
        printf("%s\n", e.detail);
        return 0;
    }
    fprintf(stderr, "tiendo: %s", e.message);
    if (e.hint != NULL && e.hint[0] != '\0')
        fprintf(stderr, ": %s", e.hint);
    if (e.detail != NULL && e.detail[0] != '\0')
        fprintf(stderr, "\n%s", e.detail);
    fputc('\n', stderr);
    return -EBADMSG;
}

static int record(struct db_conn *conn, const char *decision, bool dry_run)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL, *error = NULL;
    char id[UUID_TEXT];
    int r;

    uuid_v7(id);
    r = db_send_sql(conn, "SELECT reorganize($1::uuid, $2::jsonb, $3::boolean)", 3,
        (const char *const[]){ id, decision, dry_run ? "true" : "false" });
    if (r == 0)
        r = db_sync(conn);
    if (r == 0)
        r = db_next(conn, &rows);
    if (r < 0) {
        fprintf(stderr, "tiendo: database: %s\n", strerrordesc_np(-r));
        return r;
    }
    r = db_drain(conn, &error);
    if (db_kind(rows) == DB_ERROR)
        return tell_error(rows);
    if (r == -EBADMSG)
        return tell_error(error);
    if (r == 0)
        printf("%s\n", db_value(rows, 0, 0));
    return r;
}

int command_reorganize(const struct config *config, int argc, char **argv)
{
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    _cleanup_(buf_free) struct buf decision = { 0 };
    bool dry_run = argc > 0 && strcmp(argv[0], "--dry-run") == 0;

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc != 1 + dry_run) {
        fputs(usage, stderr);
        return 2;
    }
    buf_init(&decision, DECISION_MAX);
    if (read_decision(argv[argc - 1], &decision) < 0 || owner_open(config, &conn) < 0 ||
        record(conn, decision.p != NULL ? decision.p : "", dry_run) < 0)
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
