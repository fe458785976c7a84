#include "upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "arenas.h"
#include "caller.h"
#include "clock.h"
#include "log.h"
#include "number.h"
#include "places.h"
#include "protocol.h"
#include "service.h"
#include "spool.h"
#include "target.h"
#include "trouble.h"

#define ADMITTED (-1)

struct upload {
    struct service *service;
    int fd;
    int refusal; /* a problem's code, or ADMITTED */
    int64_t size, max;
    int64_t deadline_us;
    uint64_t holder; /* 0: no place is held */
    bool whole;
    struct secret_digest digest;
    uint8_t sha256[SECRET_SHA256_BYTES];
};

/* ---- opening ---- */

/* The operation that takes this request's body in a stream, or NULL. */
static const struct operation *streams(struct service *service, const struct bridge_request *head)
{
    int method = protocol_method(head->method);
    const struct operation *op = NULL;
    struct target target;
    struct arena *arena;
    unsigned allow;

    if (method != METHOD_POST && method != METHOD_PUT)
        return NULL;
    arena = arena_pool_take(service->arenas);
    if (arena == NULL)
        return NULL;
    if (target_parse(arena, head->target, &target) == 0)
        op = route_match((enum http_method)method, target.segments, target.n_segments, &allow);
    arena_pool_give(service->arenas, arena);
    return op != NULL && op->stream ? op : NULL;
}

static int64_t declared_size(const struct bridge_request *head)
{
    const char *text = header_find(head->headers, head->n_headers, "Content-Length");
    int64_t n;

    return text != NULL && str_to_i64(text, 0, INT64_MAX, &n) == 0 ? n : -1;
}

static int refuse_room(int r)
{
    log_error("upload", "error=%s", strerrordesc_np(-r));
    return r == -ENOSPC || r == -EDQUOT || r == -EFBIG ? P_NO_ROOM : P_UNAVAILABLE;
}

/* Before anything of the body has come: who sends it, how large it says it is, and whether there is room. */
static int admit(struct upload *upload, const struct bridge_request *head)
{
    const char *authorization = header_find(head->headers, head->n_headers, "Authorization");
    struct service *service = upload->service;
    int64_t size = declared_size(head);
    int r;

    if (size > upload->max)
        return P_BODY_TOO_LARGE;
    if (!caller_admitted(service, authorization))
        return authorization != NULL ? P_INVALID_TOKEN : P_UNAUTHENTICATED;
    if (!places_take(service->uploads, places_holder(authorization)))
        return P_UPLOADS_BUSY;
    upload->holder = places_holder(authorization);
    r = spool_open(service->config->spool_dir, size > 0 ? size : 0, &upload->fd);
    return r < 0 ? refuse_room(r) : ADMITTED;
}

/* A client that waits for leave to send its body, or would send very much in vain, is answered at once. */
static bool answers_at_once(const struct upload *upload, const struct bridge_request *head)
{
    const char *expect = header_find(head->headers, head->n_headers, "Expect");

    return (expect != NULL && strcasecmp(expect, "100-continue") == 0) || declared_size(head) > 2 * upload->max;
}

static void *upload_open(void *userdata, const struct bridge_request *head, bool *ret_answer)
{
    struct service *service = userdata;
    struct upload *upload;

    if (streams(service, head) == NULL)
        return NULL;
    upload = calloc(1, sizeof(*upload));
    if (upload == NULL)
        return NULL; /* and the listener takes what it may of it */
    upload->service = service;
    upload->fd = -1;
    upload->max = service->config->max_attachment_bytes;
    upload->deadline_us = clock_mono_us() + service->config->upload_timeout_s * 1000000;
    secret_digest_begin(&upload->digest);
    upload->refusal = admit(upload, head);
    *ret_answer = upload->refusal != ADMITTED && answers_at_once(upload, head);
    return upload;
}

/* ---- taking ---- */

/* What is refused is still read to its end, within bounds, so that its sender gets the answer; nothing of it is kept. */
static int upload_take(void *taken, const char *p, size_t n)
{
    struct upload *upload = taken;
    int r;

    upload->size += (int64_t)n;
    if (clock_mono_us() > upload->deadline_us)
        return -ETIMEDOUT;
    if (upload->size > 2 * upload->max)
        return -EFBIG;
    if (upload->size > upload->max && upload->refusal == ADMITTED)
        upload->refusal = P_BODY_TOO_LARGE;
    if (upload->refusal != ADMITTED)
        return 0;
    secret_digest_add(&upload->digest, p, n);
    r = spool_write(upload->fd, p, n);
    if (r < 0)
        upload->refusal = refuse_room(r);
    return 0;
}

void upload_end(struct upload *upload)
{
    if (upload->fd >= 0)
        close(upload->fd);
    upload->fd = -1;
    if (upload->holder != 0)
        places_give(upload->service->uploads, upload->holder);
    upload->holder = 0;
}

static void upload_close(void *taken)
{
    upload_end(taken);
    free(taken);
}

const struct bridge_sink upload_sink = { upload_open, upload_take, upload_close };

/* ---- taken ---- */

bool upload_too_large(const struct upload *upload)
{
    return upload->refusal == P_BODY_TOO_LARGE;
}

int upload_check(struct exchange *x)
{
    struct upload *upload = x->upload;

    if (upload == NULL)
        return 0;
    if (upload->refusal == ADMITTED) {
        if (!upload->whole)
            secret_digest_end(&upload->digest, upload->sha256);
        upload->whole = true;
        return 0;
    }
    if (upload->refusal == P_UPLOADS_BUSY)
        reply_header(x, "Retry-After", "5");
    fail(x, (enum problem_code)upload->refusal);
    return 1;
}

int64_t upload_size(const struct upload *upload)
{
    return upload->size;
}

int upload_fd(const struct upload *upload)
{
    return upload->fd;
}

void upload_sha256_hex(const struct upload *upload, char ret[SECRET_SHA256_HEX])
{
    secret_hex(upload->sha256, sizeof(upload->sha256), ret);
}
