/* The contract and its reference page. */
#include <errno.h>
#include <string.h>

#include "docs/assets.h"
#include "gzip.h"
#include "handler.h"

#define PAGE "index.html"

/* The page runs its own files alone; Swagger UI sets styles from its script. */
static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static const struct asset *find_asset(const char *name)
{
    for (size_t i = 0; i < n_assets; i++)
        if (strcmp(assets[i].name, name) == 0)
            return &assets[i];
    return NULL;
}

static int unpack(struct exchange *x, const struct asset *asset, struct str *ret)
{
    _cleanup_(buf_free) struct buf b = { 0 };
    const char *text;
    int r;

    buf_init(&b, asset->size + 1);
    r = gzip_inflate(asset->packed, (size_t)(asset->packed_end - asset->packed), asset->size, &b);
    if (r < 0)
        return r;
    text = arena_strndup(x->arena, b.p, b.n);
    if (text == NULL)
        return -ENOMEM;
    *ret = (struct str){ text, b.n };
    return 0;
}

static int send_asset(struct exchange *x, const struct asset *asset)
{
    const char *encoding = exchange_header(x, "Accept-Encoding");
    bool packed = encoding != NULL && strstr(encoding, "gzip") != NULL && strstr(encoding, "gzip;q=0") == NULL;
    int r;

    reply_header(x, "Cache-Control", "no-cache");
    reply_header(x, "Vary", "Accept-Encoding");
    /* A variant has a tag of its own. */
    x->reply.version = packed ? arena_printf(x->arena, "%s;gzip", asset->tag) : asset->tag;
    if (reply_unchanged(x))
        return 0;
    x->reply.status = 200;
    x->reply.type = asset->type;
    if (!packed) {
        r = unpack(x, asset, &x->reply.body);
        return r;
    }
    reply_header(x, "Content-Encoding", "gzip");
    x->reply.body = (struct str){ asset->packed, (size_t)(asset->packed_end - asset->packed) };
    return 0;
}

int handle_openapi(struct exchange *x)
{
    static const char tag[] = TIENDO_VERSION;

    reply_header(x, "Cache-Control", "no-cache");
    x->reply.version = arena_printf(x->arena, "%s-%zx", tag, contract_document_size);
    if (reply_unchanged(x))
        return 0;
    return reply_text(x, 200, (struct str){ contract_document, contract_document_size });
}

int handle_docs(struct exchange *x)
{
    const struct asset *asset = find_asset(PAGE);

    reply_header(x, "Content-Security-Policy", page_policy);
    return asset != NULL ? send_asset(x, asset) : fail(x, P_NOT_FOUND);
}

int handle_docs_file(struct exchange *x)
{
    const struct asset *asset = find_asset(exchange_param(x, "file"));

    if (asset == NULL || strcmp(asset->name, PAGE) == 0)
        return fail(x, P_NOT_FOUND);
    return send_asset(x, asset);
}
