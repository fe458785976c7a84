#include "idempotency.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"
#include "secret.h"
#include "service.h"

bool idempotency_applies(const struct exchange *x)
{
    uint16_t at = x->op->idempotency_key;

    return x->identity != NULL && x->params != NULL && at != NO_PARAMETER && x->params[at] != NULL;
}

/* Keyed, because a body may hold a password that a plain digest would let guess. */
const char *idempotency_fingerprint(struct exchange *x)
{
    uint8_t mac[SECRET_MAC_BYTES];
    _cleanup_(buf_free) struct buf b = { 0 };

    buf_init(&b, SIZE_MAX / 2);
    buf_adds(&b, x->op->id);
    buf_addc(&b, '\n');
    buf_adds(&b, x->identity->grant); /* another grant of the same account sees other things */
    for (size_t i = 0; i < x->op->n_parameters; i++) {
        if (x->op->parameters[i].in == IN_HEADER || x->params[i] == NULL)
            continue;
        buf_addc(&b, '\n');
        buf_adds(&b, x->op->parameters[i].name);
        buf_addc(&b, '=');
        buf_adds(&b, x->params[i]);
    }
    buf_addc(&b, '\0');
    buf_adds(&b, x->accepts != NULL ? x->accepts->type : "");
    buf_addc(&b, '\0');
    buf_add(&b, x->body.p, x->body.n);
    if (b.failed)
        return NULL;
    secret_mac(&x->service->fingerprint_key, b.p, b.n, mac);
    secret_wipe(b.p, b.n);
    buf_reset(&b);
    buf_adds(&b, "\\x");
    for (size_t i = 0; i < sizeof(mac); i++)
        buf_addf(&b, "%02x", mac[i]);
    return b.failed ? NULL : arena_strndup(x->arena, b.p, b.n);
}

/* Ends a pipeline that is still open after a failure. */
static int give_up(struct db_conn *conn, int r)
{
    int s = r == -EBADMSG ? db_sync(conn) : 0;

    return s < 0 ? s : db_give_up(conn, r);
}

static int claim(struct exchange *x, struct db_conn *conn, const char *key, const char *fingerprint,
    struct db_result **ret_seen, struct db_result **ret_error)
{
    _cleanup_(db_result_freep) struct db_result *entered = NULL;
    const char *values[] = { key, fingerprint, NULL };
    int r;

    values[2] = arena_printf(x->arena, "%lld", (long long)x->service->config->idempotency_hours);
    if (values[2] == NULL)
        return -ENOMEM;
    r = db_send(conn, query_idempotency_claim.index, values);
    if (r == 0)
        r = db_flush_request(conn);
    if (r == 0)
        r = db_take(conn, &entered, ret_error);
    if (r == 0)
        r = db_take(conn, ret_seen, ret_error);
    return r < 0 ? give_up(conn, r) : 0;
}

int idempotency_replay(struct exchange *x, struct db_result *seen)
{
    const char *body = db_text(seen, "body");

    x->reply.status = (unsigned)strtoul(db_value(seen, 0, 0), NULL, 10);
    x->reply.type = body != NULL ? "application/json" : NULL;
    x->reply.body = str_from(body);
    x->reply.version = db_text(seen, "version");
    x->reply.location = db_text(seen, "location");
    x->reply.result = seen;
    reply_header(x, "Idempotency-Replayed", "true");
    return 1;
}

/* Queues the record where there is a success to keep. 1 when it did. */
static int queue_store(
    struct exchange *x, struct db_conn *conn, const char *key, const char *fingerprint, const struct db_result *rows)
{
    const char *status = db_text(rows, "status"), *body = db_text(rows, "body");
    const char *values[] = { key, fingerprint, status != NULL ? status : "200", db_text(rows, "version"),
        db_text(rows, "location"), body };
    int r;

    if (db_rows(rows) == 0 || (status != NULL && status[0] != '2'))
        return 0;
    if (x->secret_answer || db_col(rows, "body") < 0) {
        values[2] = IDEMPOTENCY_NOT_KEPT;
        values[5] = NULL;
    }
    r = db_send(conn, query_idempotency_store.index, values);
    return r < 0 ? r : 1;
}

int idempotency_run(struct exchange *x, struct db_conn *conn, const struct named_query *query,
    const char *const *values, struct db_result **ret_rows, struct db_result **ret_error)
{
    _cleanup_(db_result_freep) struct db_result *seen = NULL, *rows = NULL;
    const char *key = x->params[x->op->idempotency_key], *fingerprint;
    int r;

    fingerprint = idempotency_fingerprint(x);
    if (fingerprint == NULL)
        return -ENOMEM;
    r = claim(x, conn, key, fingerprint, &seen, ret_error);
    if (r < 0)
        return r;
    if (db_rows(seen) > 0) {
        r = db_sync(conn);
        if (r == 0)
            r = db_drain(conn, ret_error);
        return r < 0 ? r : idempotency_replay(x, TAKE_PTR(seen));
    }
    r = db_send(conn, query->index, values);
    if (r == 0)
        r = db_flush_request(conn);
    if (r == 0)
        r = db_take(conn, &rows, ret_error);
    if (r < 0)
        return give_up(conn, r);
    r = queue_store(x, conn, key, fingerprint, rows);
    if (r >= 0)
        r = db_sync(conn);
    if (r == 0)
        r = db_drain(conn, ret_error);
    if (r < 0)
        return r;
    *ret_rows = TAKE_PTR(rows);
    return 0;
}
