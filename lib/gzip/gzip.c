#include "gzip.h"

#include <errno.h>
#include <limits.h>
#include <zlib.h>

#include "text.h"

#define WINDOW_GZIP (15 + 16) /* the largest window, gzip's header and checksum demanded */
#define WINDOW_RAW  (-15)     /* the same without either */
#define STEP        (64u * 1024u)
#define SMALL_STEP  1024u

static void end_inflate(z_stream *const *z)
{
    if (*z)
        (void)inflateEnd(*z);
}

static void end_deflate(z_stream *const *z)
{
    if (*z)
        (void)deflateEnd(*z);
}

/* Input in pieces that zlib's 32 bits hold. */
static void feed(z_stream *z, const unsigned char **p, size_t *n)
{
    size_t piece = *n < UINT_MAX / 2 ? *n : UINT_MAX / 2;

    if (z->avail_in > 0)
        return;
    z->next_in = (z_const Bytef *)(uintptr_t)*p;
    z->avail_in = (uInt)piece;
    *p += piece;
    *n -= piece;
}

/* What a failure leaves: the buffer as it was. */
static int take_back(struct buf *out, size_t was, int error)
{
    out->n = was;
    out->failed = false;
    if (out->p)
        out->p[was] = '\0';
    return error;
}

/* Room for the next output, one byte more than LEFT at most, so that an overflow is seen. */
static int room(struct buf *out, size_t left, z_stream *z)
{
    size_t step = out->cap - out->n > SMALL_STEP ? out->cap - out->n - 1 : STEP;
    char *p;

    if (step > left + 1)
        step = left + 1;
    if (step > STEP)
        step = STEP;
    p = buf_reserve(out, step);
    if (!p)
        return -ENOMEM;
    z->next_out = (Bytef *)p;
    z->avail_out = (uInt)step;
    return 0;
}

static int inflate_all(z_stream *z, const unsigned char *p, size_t n, size_t max, bool members, struct buf *out)
{
    size_t total = 0;
    int r, state = Z_OK;

    for (;;) {
        uInt before;

        feed(z, &p, &n);
        r = room(out, max - total, z);
        if (r < 0)
            return r;
        before = z->avail_out;
        state = inflate(z, Z_NO_FLUSH);
        out->n += before - z->avail_out;
        total += before - z->avail_out;
        if (total > max)
            return -EFBIG;
        if (state == Z_STREAM_END) {
            feed(z, &p, &n);
            if (z->avail_in == 0)
                return 0;
            /* Another member, or rubbish: the magic decides. */
            if (!members || *z->next_in != 0x1f || inflateReset(z) != Z_OK)
                return -ENOTUNIQ;
            continue;
        }
        if (state == Z_MEM_ERROR)
            return -ENOMEM;
        if (state == Z_BUF_ERROR && before == z->avail_out && z->avail_in == 0 && n == 0)
            return -EBADMSG;
        if (state != Z_OK && state != Z_BUF_ERROR)
            return -EBADMSG;
    }
}

static int inflate_into(const void *p, size_t n, size_t max, int window, struct buf *out)
{
    z_stream stream = { 0 };
    _cleanup_(end_inflate) z_stream *z = NULL;
    size_t was = out->n, was_max = out->max;
    int r;

    if (out->failed)
        return -ENOMEM;
    if (max > SIZE_MAX / 4)
        max = SIZE_MAX / 4;
    if (max > out->max - was)
        max = out->max - was;
    if (inflateInit2(&stream, window) != Z_OK)
        return -ENOMEM;
    z = &stream;
    out->max += 1; /* the byte too many */
    r = inflate_all(z, p, n, max, window == WINDOW_GZIP, out);
    out->max = was_max;
    if (r < 0)
        return take_back(out, was, r);
    out->p[out->n] = '\0';
    return 0;
}

int gzip_inflate(const void *p, size_t n, size_t max, struct buf *out)
{
    return inflate_into(p, n, max, WINDOW_GZIP, out);
}

int gzip_inflate_raw(const void *p, size_t n, size_t max, struct buf *out)
{
    return inflate_into(p, n, max, WINDOW_RAW, out);
}

int gzip_inflate_head(const void *p, size_t n, void *out, size_t max, size_t *ret_n)
{
    z_stream stream = { 0 };

    if (inflateInit2(&stream, WINDOW_RAW) != Z_OK)
        return -ENOMEM;
    stream.next_in = (z_const Bytef *)(uintptr_t)p;
    stream.avail_in = (uInt)(n < UINT_MAX / 2 ? n : UINT_MAX / 2);
    stream.next_out = out;
    stream.avail_out = (uInt)(max < UINT_MAX / 2 ? max : UINT_MAX / 2);
    (void)inflate(&stream, Z_SYNC_FLUSH);
    *ret_n = stream.total_out;
    (void)inflateEnd(&stream);
    return 0;
}

int gzip_deflate(const void *data, size_t n, int level, struct buf *out)
{
    z_stream stream = { 0 };
    _cleanup_(end_deflate) z_stream *z = NULL;
    const unsigned char *p = data;
    size_t was = out->n;
    int state = Z_OK;

    if (out->failed)
        return -ENOMEM;
    if (deflateInit2(&stream, level, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    z = &stream;
    while (state != Z_STREAM_END) {
        char piece[4096];

        feed(z, &p, &n);
        z->next_out = (Bytef *)piece;
        z->avail_out = sizeof(piece);
        state = deflate(z, n > 0 ? Z_NO_FLUSH : Z_FINISH);
        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
            return take_back(out, was, -ENOMEM);
        if (sizeof(piece) - z->avail_out > out->max - out->n)
            return take_back(out, was, -EFBIG);
        buf_add(out, piece, sizeof(piece) - z->avail_out);
        if (out->failed)
            return take_back(out, was, -ENOMEM);
    }
    return 0;
}
