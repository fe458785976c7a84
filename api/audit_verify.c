/* tiendo audit verify: recomputes the chain of the journal and holds it against the signed checkpoints. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_chain.h"
#include "checkpoint.h"
#include "clock.h"
#include "commands.h"
#include "keys.h"
#include "owner.h"

#define WAIT_MS     (6U * 3600U * 1000U) /* for a row: the first may wait for a sort */
#define TELL_EVERY  INT64_C(5000000)
#define FAULTS_TOLD 100

static const char usage[] =
    "Usage: tiendo audit verify [--checkpoints DIR]\n"
    "Recomputes the journal's hash chain from where it was last cut off to its end, compares what it covers, and\n"
    "holds it against the signed checkpoints in DIR (checkpoint_dir where not given). Exit status: 0 when all\n"
    "is as it was written, 1 when not, 2 when it could not be looked at.\n";

/* The rows as they were sealed, every text made here and not by functions that stand in the database. */
static const char walk_sql[] =
    "SELECT s.position, encode(s.hash, 'hex'), "
    "jsonb_build_array(j.seq, extract(epoch FROM j.at), j.account_id, j.client_id, j.grant_id, j.session_id, j.action, "
    "j.resource_type, j.resource_id, j.version, j.scope_key, j.programme_id, j.request_id, j.before, j.after)::text, "
    "CASE WHEN j.resource_type = 'value' AND s.position >= $2::bigint THEN CASE WHEN r.value_id IS NULL THEN '' ELSE "
    "jsonb_build_array(r.value_id, r.version, extract(epoch FROM r.at), r.indicator_id, r.period_id, r.programme_id, "
    "r.category, "
    "r.organization_code, r.period_code, r.state, r.done, r.done_on, r.numerator, r.denominator, r.number, r.note, "
    "r.evidence_url, "
    "r.source, r.reason, r.on_behalf, r.entered_by, r.seat_id, r.account_id, r.client_id, r.grant_id, "
    "r.session_id)::text END END, "
    "j.seq IS NULL, (s.at, s.action, s.resource_type, s.resource_id, s.version, s.scope_key, s.unit, s.programme_id, "
    "s.account_id, "
    "s.client_id) IS NOT DISTINCT FROM (j.at, j.action, j.resource_type, j.resource_id, j.version, j.scope_key, "
    "right(j.scope_key, 6), "
    "j.programme_id, j.account_id, j.client_id) "
    "FROM journal_seal s LEFT JOIN journal j ON j.xid = s.xid AND j.seq = s.seq "
    "LEFT JOIN value_revision r ON j.resource_type = 'value' AND r.value_id = j.resource_id AND r.version = j.version "
    "WHERE s.position > $1::bigint ORDER BY s.position";

struct verify {
    struct db_conn *conn;
    struct checkpoint *list;
    size_t n, at; /* the first checkpoint at or behind the row */
    const char *directory;
    int64_t start, head, covers, rows, faults, told_us, attested;
    uint8_t start_hash[SECRET_SHA256_BYTES];
    char head_hash[SECRET_SHA256_HEX];
    struct chain chain;
};

#define FAULT(v, ...) \
    do { \
        if ((v)->faults++ < FAULTS_TOLD) \
            printf(__VA_ARGS__); \
    } while (0)

static void tell_chain(void *userdata, enum chain_fault fault, int64_t from, int64_t to)
{
    struct verify *v = userdata;

    switch (fault) {
    case CHAIN_MISSING:
        FAULT(v, "FAULT positions %" PRId64 " to %" PRId64 ": taken out, row and seal\n", from, to);
        break;
    case CHAIN_ROW_GONE: FAULT(v, "FAULT position %" PRId64 ": its row was taken out\n", from); break;
    case CHAIN_ROW_CHANGED:
        FAULT(v,
            "FAULT position %" PRId64
            ": the row, or the revision of a value that it tells of, is not what was sealed here\n",
            from);
        break;
    case CHAIN_SEAL_CHANGED:
        FAULT(v, "FAULT position %" PRId64 ": the seal was changed, its row was not\n", from);
        break;
    }
}

/* What is no hash is one that fits nothing. */
static void from_hex(const char *text, uint8_t ret[SECRET_SHA256_BYTES])
{
    if (!checkpoint_parse_hash(text, ret))
        memset(ret, 0, SECRET_SHA256_BYTES);
}

/* ---- checkpoints ---- */

static void look_at_checkpoints(struct verify *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (!v->list[i].valid)
            FAULT(v, "FAULT checkpoint %s: forged or damaged: its signature is not this installation's\n",
                v->list[i].name);
}

/* Checkpoints of this position; those before it were passed over. */
static void compare_checkpoints(struct verify *v, int64_t position, const uint8_t hash[SECRET_SHA256_BYTES])
{
    for (; v->at < v->n && v->list[v->at].position <= position; v->at++) {
        const struct checkpoint *c = &v->list[v->at];

        if (!c->valid || c->cut || c->position != position)
            continue;
        if (memcmp(c->hash, hash, SECRET_SHA256_BYTES) != 0)
            FAULT(v,
                "FAULT position %" PRId64
                ": checkpoint %s was signed over another chain: what lies before was written anew\n",
                position, c->name);
        else
            v->attested = position;
    }
}

static bool attested_cut(const struct verify *v, bool cut)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->list[i].valid && v->list[i].cut == cut && v->list[i].position == v->start &&
            memcmp(v->list[i].hash, v->start_hash, SECRET_SHA256_BYTES) == 0)
            return true;
    return false;
}

static void check_start(struct verify *v)
{
    if (v->start == 0)
        return;
    printf("The chain begins behind position %" PRId64 ": what was older was cut off.\n", v->start);
    if (!attested_cut(v, false))
        FAULT(v, "FAULT position %" PRId64 ": cut off, but no signed checkpoint says what the chain was there\n",
            v->start);
    else if (!attested_cut(v, true))
        FAULT(
            v, "FAULT position %" PRId64 ": cut off, but not by the service: no signed cut-*.json says so\n", v->start);
}

static void check_tail(struct verify *v)
{
    for (size_t i = v->n; i > 0; i--) {
        const struct checkpoint *c = &v->list[i - 1];

        if (!c->valid || c->cut || c->position <= v->chain.position)
            continue;
        FAULT(v,
            "FAULT the end is missing: checkpoint %s was signed at position %" PRId64 ", the chain ends at %" PRId64
            "\n",
            c->name, c->position, v->chain.position);
        return;
    }
}

/* ---- the database ---- */

static int read_state(struct verify *v)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = owner_run(v->conn,
        "SELECT s.position, encode(s.hash, 'hex'), s.covers_from, coalesce(c.position, 0), "
        "encode(coalesce(c.hash, sha256('tiendo journal')), 'hex') FROM seal_state s LEFT JOIN "
        "(SELECT * FROM journal_cut ORDER BY position DESC LIMIT 1) c ON true",
        0, NULL, &rows);
    if (r < 0)
        return r;
    v->head = strtoll(db_value(rows, 0, 0), NULL, 10);
    snprintf(v->head_hash, sizeof(v->head_hash), "%s", db_value(rows, 0, 1));
    v->covers = strtoll(db_value(rows, 0, 2), NULL, 10);
    v->start = strtoll(db_value(rows, 0, 3), NULL, 10);
    from_hex(db_value(rows, 0, 4), v->start_hash);
    return 0;
}

static int walk_row(struct verify *v, const struct db_result *row)
{
    uint8_t hash[SECRET_SHA256_BYTES];
    struct chain_row link = { .position = strtoll(db_value(row, 0, 0), NULL, 10), .hash = hash };
    int r;

    from_hex(db_value(row, 0, 1), hash);
    if (db_value(row, 0, 4)[0] == 'f') {
        link.text = (struct str){ db_value(row, 0, 2), db_len(row, 0, 2) };
        if (!db_is_null(row, 0, 3))
            link.more = (struct str){ db_value(row, 0, 3), db_len(row, 0, 3) };
        if (db_value(row, 0, 5)[0] == 'f')
            FAULT(v, "FAULT position %" PRId64 ": the seal says of its row what the row does not say\n", link.position);
    }
    r = chain_add(&v->chain, &link);
    compare_checkpoints(v, link.position, hash);
    v->rows++;
    if (v->rows % 4096 == 0 && clock_mono_us() - v->told_us > TELL_EVERY) {
        v->told_us = clock_mono_us();
        fprintf(stderr, "… position %" PRId64 " of %" PRId64 "\n", link.position, v->head);
    }
    return r;
}

static int lost(int r)
{
    fprintf(stderr, "tiendo: database: %s\n", strerror(-r));
    return r;
}

static int walk(struct verify *v)
{
    char start[24], covers[24];
    const char *const values[] = { start, covers };
    int r;

    snprintf(start, sizeof(start), "%" PRId64, v->start);
    snprintf(covers, sizeof(covers), "%" PRId64, v->covers);
    v->told_us = clock_mono_us();
    r = db_send_sql(v->conn, walk_sql, 2, values);
    if (r == 0)
        r = db_sync(v->conn);
    while (r == 0) {
        _cleanup_(db_result_freep) struct db_result *row = NULL;

        r = db_stream_next(v->conn, &row);
        if (r <= 0)
            return lost(r < 0 ? r : -EIO);
        if (db_kind(row) == DB_ROWS) {
            r = db_drain(v->conn, NULL);
            break;
        }
        if (db_kind(row) != DB_ROW) {
            struct db_error e;

            db_error(row, &e);
            fprintf(stderr, "tiendo: database: %s\n", e.message);
            return -EIO;
        }
        r = walk_row(v, row);
    }
    chain_end(&v->chain);
    return r;
}

static void check_head(struct verify *v)
{
    uint8_t head[SECRET_SHA256_BYTES];

    from_hex(v->head_hash, head);
    if (v->chain.position != v->head)
        FAULT(v, "FAULT the end is missing: the sealer stands at position %" PRId64 ", the chain ends at %" PRId64 "\n",
            v->head, v->chain.position);
    else if (memcmp(head, v->chain.stored, sizeof(head)) != 0)
        FAULT(v, "FAULT position %" PRId64 ": the sealer's own mark is another hash\n", v->head);
}

/* What the chain alone does not show, each as a query of (place, fault). */
static const char *const beside[] = {
    "SELECT 'row ' || j.seq, 'put in behind the sealer: it has no seal, though its transaction is long over' FROM "
    "journal j, seal_state s "
    "WHERE j.xid < s.horizon AND NOT s.moving AND NOT EXISTS (SELECT FROM journal_seal x WHERE x.seq = j.seq) LIMIT 20",
    "SELECT format('value %s/%s/%s', v.indicator_code, v.organization_code, v.period_code), 'is not what its last "
    "revision says' FROM value v "
    "LEFT JOIN value_revision r ON r.value_id = v.id AND r.version = v.version WHERE (r.state, r.done, r.done_on, "
    "r.numerator, r.denominator, "
    "r.number, r.note, r.evidence_url, r.source, r.entered_by, r.on_behalf) IS DISTINCT FROM (v.state, v.done, "
    "v.done_on, v.numerator, "
    "v.denominator, v.number, v.note, v.evidence_url, v.source, v.entered_by, v.on_behalf) LIMIT 20",
    "SELECT format('value %s/%s/%s', r.value_id, r.organization_code, r.period_code), 'is gone, though no revision "
    "withdrew it' FROM "
    "(SELECT DISTINCT ON (value_id) * FROM value_revision ORDER BY value_id, version DESC) r WHERE r.state <> "
    "'deleted' "
    "AND NOT EXISTS (SELECT FROM value v WHERE v.id = r.value_id) LIMIT 20",
};

static int look_beside(struct verify *v)
{
    for (size_t i = 0; i < ARRAY_SIZE(beside); i++) {
        _cleanup_(db_result_freep) struct db_result *rows = NULL;
        int r;

        r = owner_run(v->conn, beside[i], 0, NULL, &rows);
        if (r < 0)
            return r;
        for (int k = 0; k < db_rows(rows); k++)
            FAULT(v, "FAULT %s: %s\n", db_value(rows, k, 0), db_value(rows, k, 1));
    }
    return 0;
}

/* Without them rows come in the order of the index, one after the other: nothing is gathered first. */
static int plan_sorts(struct verify *v, const char *on)
{
    return owner_run(v->conn,
        "SELECT set_config(n, $1, true) FROM unnest('{enable_sort,enable_hashjoin,enable_mergejoin}'::text[]) n", 1,
        (const char *const[]){ on }, NULL);
}

/* One snapshot, and nothing can be written. */
static int look(struct verify *v)
{
    int r;

    db_set_wait(v->conn, WAIT_MS);
    r = owner_run(v->conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, NULL);
    if (r == 0)
        r = read_state(v);
    if (r < 0)
        return r;
    check_start(v);
    chain_begin(&v->chain, v->start, v->start_hash);
    compare_checkpoints(v, v->start, v->start_hash);
    r = plan_sorts(v, "off");
    if (r == 0)
        r = walk(v);
    if (r == 0)
        r = plan_sorts(v, "on");
    if (r < 0)
        return r;
    check_head(v);
    check_tail(v);
    return look_beside(v);
}

static void sum_up(const struct verify *v, int64_t began_us)
{
    double seconds = (double)(clock_mono_us() - began_us) / 1e6;

    if (v->faults > FAULTS_TOLD)
        printf("… and %" PRId64 " more.\n", v->faults - FAULTS_TOLD);
    printf("%" PRId64 " rows, positions %" PRId64 " to %" PRId64 ", in %.1f s (%.0f rows a second).\n", v->rows,
        v->start + 1, v->chain.position, seconds, (double)v->rows / (seconds > 0 ? seconds : 1));
    if (v->n == 0)
        puts("No checkpoint was looked at: a chain that was written anew from beginning to end, or has lost its end, "
             "looks sound.");
    else
        printf("Checkpoints in %s: %zu; the newest that fits is of position %" PRId64 ", rows after it: %" PRId64 ".\n",
            v->directory, v->n, v->attested, v->chain.position - v->attested);
    if (v->covers > v->start + 1)
        printf("Before position %" PRId64 " the chain covers that a value was changed, not its figures.\n", v->covers);
    puts(v->faults == 0 ? "All is as it was written." : "NOT as it was written: see above.");
}

/* The checkpoints are read first: whoever seals meanwhile is ahead of them then, not behind. */
static int verify(const struct config *config, struct verify *v)
{
    struct secret_key master, key;
    int r;

    if (v->directory[0] != '\0') {
        r = keys_master(config, &master);
        if (r < 0)
            return r;
        checkpoint_key(&master, &key);
        secret_wipe(&master, sizeof(master));
        r = checkpoint_list(v->directory, &key, &v->list, &v->n);
        secret_wipe(&key, sizeof(key));
        if (r < 0) {
            fprintf(stderr, "tiendo: %s: %s\n", v->directory, strerror(-r));
            return r;
        }
    }
    look_at_checkpoints(v);
    r = owner_open(config, &v->conn);
    return r < 0 ? r : look(v);
}

int command_audit(const struct config *config, int argc, char **argv)
{
    struct verify v = { .directory = config->checkpoint_dir, .chain = { .report = tell_chain } };
    int64_t began_us = clock_mono_us();
    int r;

    if (argc >= 1 && strcmp(argv[argc - 1], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 3 && strcmp(argv[1], "--checkpoints") == 0)
        v.directory = argv[2];
    else if (argc != 1)
        argc = 0;
    if (argc == 0 || strcmp(argv[0], "verify") != 0) {
        fputs(usage, stderr);
        return 2;
    }
    v.chain.userdata = &v;
    r = secret_init() < 0 ? -EIO : verify(config, &v);
    if (r == 0)
        sum_up(&v, began_us);
    else
        fputs("tiendo: the audit trail could not be looked at\n", stderr); /* the reason is told where it arises */
    db_pool_give(v.conn);
    buf_free(&v.chain.buf);
    free(v.list);
    return r < 0 ? 2 : v.faults > 0 ? 1 : 0;
}
