/* Attachments on their way in: a file that has arrived whole is looked at, and kept in the database chunk by chunk. */
#include "attachment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filetype.h"
#include "idempotency.h"
#include "lane.h"
#include "log.h"
#include "nfc.h"
#include "routes.h"
#include "service.h"
#include "spool.h"
#include "trouble.h"
#include "upload.h"

#define EVIDENCE      "evidence" /* the kind where the operation knows one alone */
#define STORE_WAIT_MS 30000      /* for a connection: the file is here, and to send it again would take longer */

struct storing {
    struct exchange *x;
    struct db_conn *conn;
    struct db_result *error; /* what the database refused with */
    const char *fingerprint, *name, *title, *kind, *type;
    const char *size, *sha256;
};

static const struct attachment_owner owners[] = {
    { "report", &query_attachment_admit, &query_attachment_create, &query_attachment_get },
    { "activity", &query_evidence_admit, &query_evidence_create, &query_evidence_get },
};

const struct attachment_owner *attachment_owner(const struct exchange *x)
{
    const struct attachment_owner *owner = owners;

    while (exchange_param(x, owner->parameter) == NULL)
        owner++;
    return owner;
}

/* ---- what it is ---- */

/* Declared by Content-Type, by the name's ending and by the contents: all three must agree. */
static int check_type(struct exchange *x, const char *name, enum filetype *ret)
{
    const char *why = NULL;
    int r;

    r = filetype_detect(upload_fd(x->upload), upload_size(x->upload), ret, &why);
    if (r == -EMEDIUMTYPE || r == -EBADMSG) {
        fail_detail(x, r == -EBADMSG ? P_FILE_REFUSED : P_UNSUPPORTED_MEDIA_TYPE, why);
        return 1;
    }
    if (r < 0)
        return r;
    if (strcmp(filetype_media(*ret), x->accepts->type) != 0) {
        fail_detail(x, P_UNSUPPORTED_MEDIA_TYPE,
            arena_printf(
                x->arena, "The file is %s by its contents, not what Content-Type says.", filetype_media(*ret)));
        return 1;
    }
    if (!filetype_names(*ret, name))
        fault_add_text(
            &x->faults, AT_PARAMETER, "name", "type_mismatch", "the name does not end as a file of this type does");
    return 0;
}

static void check_rest(struct exchange *x, const struct storing *s, enum filetype type)
{
    const char *classification = exchange_param(x, "classification");

    if (classification != NULL && strcmp(classification, "unclassified") != 0)
        fault_add_text(&x->faults, AT_PARAMETER, "classification", "classified",
            "the service holds no classified documents: only unclassified is accepted");
    if (strcmp(s->kind, "signed_original") == 0 && type != FILETYPE_PDF)
        fault_add_text(&x->faults, AT_PARAMETER, "kind", "type_mismatch", "the signed original is the paper as a PDF");
}

/* A parameter's text in form C; NULL where it is not given. */
static int text_of(struct exchange *x, const char *parameter, const char **ret)
{
    const char *given = exchange_param(x, parameter);
    struct str text;
    int r;

    if (given == NULL)
        return 0;
    r = nfc_normalize(x->arena, given, strlen(given), &text);
    if (r == 0)
        *ret = arena_strndup(x->arena, text.p, text.n);
    return r < 0 || *ret != NULL ? r : -ENOMEM;
}

/* 0; 1 when the exchange holds the problem. */
static int describe(struct exchange *x, struct storing *s)
{
    char hex[SECRET_SHA256_HEX];
    enum filetype type = FILETYPE_PDF;
    int r;

    if (x->upload == NULL || upload_size(x->upload) == 0) {
        fault_add(&x->faults, AT_POINTER, "#", FAULT_EMPTY_BODY, NULL);
        fail_detail(x, P_BAD_REQUEST, "The file is empty.");
        return 1;
    }
    s->kind = exchange_param(x, "kind");
    if (s->kind == NULL)
        s->kind = EVIDENCE;
    r = text_of(x, "name", &s->name);
    if (r == 0)
        r = text_of(x, "title", &s->title);
    if (r == 0)
        r = check_type(x, s->name, &type);
    if (r != 0)
        return r;
    check_rest(x, s, type);
    if (x->faults.total > 0) {
        fail(x, P_INVALID);
        return 1;
    }
    s->type = filetype_media(type);
    s->size = arena_printf(x->arena, "%lld", (long long)upload_size(x->upload));
    upload_sha256_hex(x->upload, hex);
    s->sha256 = arena_strdup(x->arena, hex);
    /* The body's place in the fingerprint of an idempotent request. */
    x->body = str_from(s->sha256);
    s->fingerprint = idempotency_applies(x) ? idempotency_fingerprint(x) : NULL;
    return arena_failed(x->arena) || (idempotency_applies(x) && s->fingerprint == NULL) ? -ENOMEM : 0;
}

/* ---- keeping it ---- */

static int take(struct storing *s, int r, struct db_result **ret)
{
    int t;

    if (r == 0)
        r = db_sync(s->conn);
    if (r == 0)
        r = db_take(s->conn, ret, &s->error);
    if (r < 0 && r != -EBADMSG)
        return r;
    t = db_drain(s->conn, s->error == NULL ? &s->error : NULL);
    return r < 0 ? r : t;
}

static int run(struct storing *s, const struct named_query *query, const char *const *values, struct db_result **ret)
{
    _cleanup_(db_result_freep) struct db_result *unused = NULL;

    return take(s, db_send(s->conn, query->index, values), ret != NULL ? ret : &unused);
}

static int statement(struct storing *s, const char *sql)
{
    _cleanup_(db_result_freep) struct db_result *unused = NULL;

    return take(s, db_send_sql(s->conn, sql, 0, NULL), &unused);
}

/* Enters the caller. */
static int enter(struct storing *s)
{
    _cleanup_(db_result_freep) struct db_result *unused = NULL;

    return take(s, lane_enter(s->x, s->conn), &unused);
}

/* Claims the key, where there is one: 1 when the answer of before is replayed. */
static int claim(struct storing *s)
{
    struct exchange *x = s->x;
    _cleanup_(db_result_freep) struct db_result *seen = NULL;
    const char *values[] = { x->params[x->op->idempotency_key], s->fingerprint,
        arena_printf(x->arena, "%lld", (long long)x->service->config->idempotency_hours) };
    int r;

    if (s->fingerprint == NULL)
        return 0;
    r = run(s, &query_idempotency_claim, values, &seen);
    return r == 0 && db_rows(seen) > 0 ? idempotency_replay(x, TAKE_PTR(seen)) : r;
}

/* One chunk as the database reads it: \x and its digits. */
static void to_hex(const unsigned char *p, size_t n, char *out)
{
    *out++ = '\\';
    *out++ = 'x';
    secret_hex(p, n, out);
}

static int put_chunks(struct storing *s)
{
    struct upload *upload = s->x->upload;
    int64_t size = upload_size(upload), at = 0;
    _cleanup_(freep) unsigned char *chunk = malloc(ATTACHMENT_CHUNK);
    _cleanup_(freep) char *hex = malloc(2 * ATTACHMENT_CHUNK + 3);
    int r = chunk == NULL || hex == NULL ? -ENOMEM : 0;

    for (int n = 0; r == 0 && at < size; n++) {
        size_t left = (size_t)(size - at), want = left < ATTACHMENT_CHUNK ? left : ATTACHMENT_CHUNK;
        char number[16];
        const char *values[] = { exchange_new_id(s->x), number, hex };

        if (spool_read(upload_fd(upload), at, chunk, want) != (ssize_t)want)
            return -EIO;
        snprintf(number, sizeof(number), "%d", n);
        to_hex(chunk, want, hex);
        r = run(s, &query_attachment_put, values, NULL);
        at += (int64_t)want;
    }
    return r;
}

static int create(struct storing *s, struct db_result **ret_row)
{
    struct exchange *x = s->x;
    const struct attachment_owner *owner = attachment_owner(x);
    const char *of = exchange_param(x, owner->parameter);
    const char *admit[] = { of, s->kind, s->size, x->trace_id };
    const char *values[] = { of, exchange_new_id(x), s->kind, s->name, s->title, s->type, s->size, s->sha256,
        x->trace_id };
    int r;

    r = run(s, owner->admit, admit, NULL);
    if (r == 0)
        r = put_chunks(s);
    return r < 0 ? r : run(s, owner->create, values, ret_row);
}

/* Keeps the answer under its key. */
static int keep_answer(struct storing *s, const struct db_result *row)
{
    struct exchange *x = s->x;
    const char *values[] = { x->params[x->op->idempotency_key], s->fingerprint, db_text(row, "status"),
        db_text(row, "version"), db_text(row, "location"), db_text(row, "body") };

    return s->fingerprint == NULL ? 0 : run(s, &query_idempotency_store, values, NULL);
}

static void answer(struct exchange *x, struct db_result *row)
{
    x->reply.status = 201;
    x->reply.type = "application/json";
    x->reply.version = db_text(row, "version");
    x->reply.location = db_text(row, "location");
    x->reply.body = str_from(db_text(row, "body"));
    x->reply.result = row;
}

static int store(struct storing *s)
{
    _cleanup_(db_result_freep) struct db_result *row = NULL;
    int r;

    r = db_pool_take(lane_pool(s->x), STORE_WAIT_MS, &s->conn);
    if (r == 0)
        r = statement(s, "BEGIN");
    if (r == 0)
        r = enter(s);
    if (r == 0)
        r = claim(s);
    if (r == 0)
        r = create(s, &row);
    if (r == 0)
        r = keep_answer(s, row);
    if (r == 0)
        r = statement(s, "COMMIT");
    if (r == 0)
        answer(s->x, TAKE_PTR(row));
    else if (r == 1 || r == -EBADMSG)
        /* After any other failure the connection is of no use: the pool closes it. */
        if (statement(&(struct storing){ .x = s->x, .conn = s->conn }, "ROLLBACK") < 0)
            log_debug("attachment_rollback", "trace_id=%s", s->x->trace_id);
    return r;
}

int handle_attachment_create(struct exchange *x)
{
    struct storing s = { .x = x };
    int r;

    r = describe(x, &s);
    if (r != 0)
        return r < 0 ? r : 0;
    r = store(&s);
    db_pool_give(s.conn);
    if (r == -EBADMSG && s.error != NULL)
        trouble_answer(x, attachment_owner(x)->create->name, s.error);
    else if (r < 0)
        trouble_errno(x, r);
    db_result_free(s.error);
    return 0;
}
