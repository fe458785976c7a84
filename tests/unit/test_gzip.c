#include "suite.h"

#include <errno.h>
#include <string.h>

#include "gzip.h"
#include "text.h"

/* N bytes that do not compress away, in a buffer. */
static void fill(struct buf *b, size_t n)
{
    unsigned seed = 1;

    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        buf_addc(b, (char)('a' + (seed >> 16) % 20));
    }
}

START_TEST(comes_back_as_it_went)
{
    static const size_t sizes[] = { 0, 1, 100, 65535, 65536, 65537, 1000000 };

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        _cleanup_(buf_free) struct buf plain, packed, again;

        buf_init(&plain, 1 << 24);
        buf_init(&packed, 1 << 24);
        buf_init(&again, 1 << 24);
        fill(&plain, sizes[i]);
        buf_adds(&again, "before");
        ck_assert_int_eq(gzip_deflate(plain.p, plain.n, 6, &packed), 0);
        ck_assert_int_eq(gzip_inflate(packed.p, packed.n, sizes[i], &again), 0);
        ck_assert_uint_eq(again.n, 6 + sizes[i]);
        ck_assert_int_eq(memcmp(again.p, "before", 6), 0);
        ck_assert_int_eq(memcmp(again.p + 6, buf_cstr(&plain), sizes[i]), 0);
        ck_assert_int_eq(again.p[again.n], '\0');
    }
}
END_TEST

START_TEST(same_bytes_every_time)
{
    _cleanup_(buf_free) struct buf one, two;

    buf_init(&one, 1000);
    buf_init(&two, 1000);
    ck_assert_int_eq(gzip_deflate("tiến độ", 9, 9, &one), 0);
    ck_assert_int_eq(gzip_deflate("tiến độ", 9, 9, &two), 0);
    ck_assert_uint_eq(one.n, two.n);
    ck_assert_int_eq(memcmp(one.p, two.p, one.n), 0);
    ck_assert_int_eq(memcmp(one.p + 4, "\0\0\0\0", 4), 0);
}
END_TEST

START_TEST(a_bomb_stops_at_the_maximum)
{
    _cleanup_(buf_free) struct buf zeros, packed, out;

    buf_init(&zeros, 1 << 24);
    buf_init(&packed, 1 << 20);
    buf_init(&out, 1 << 24);
    ck_assert_ptr_nonnull(buf_reserve(&zeros, 10000000));
    memset(zeros.p, 0, 10000000);
    ck_assert_int_eq(gzip_deflate(zeros.p, 10000000, 9, &packed), 0);
    buf_adds(&out, "kept");
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 1000, &out), -EFBIG);
    ck_assert_uint_lt(out.cap, 10000);
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 9999999, &out), -EFBIG);
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 0, &out), -EFBIG);
    ck_assert_str_eq(out.p, "kept");
    ck_assert(!out.failed);
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 10000000, &out), 0);
    ck_assert_uint_eq(out.n, 10000004);
}
END_TEST

START_TEST(the_buffers_own_maximum_counts)
{
    _cleanup_(buf_free) struct buf packed, out;
    char text[200];

    memset(text, 'x', sizeof(text));
    buf_init(&packed, 1000);
    buf_init(&out, 100);
    ck_assert_int_eq(gzip_deflate(text, sizeof(text), 9, &packed), 0);
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 1000, &out), -EFBIG);
    ck_assert_uint_eq(out.n, 0);
    buf_reset(&packed);
    packed.max = 10;
    ck_assert_int_eq(gzip_deflate(text, sizeof(text), 9, &packed), -EFBIG);
    ck_assert_uint_eq(packed.n, 0);
}
END_TEST

START_TEST(several_members_are_one_body)
{
    _cleanup_(buf_free) struct buf packed, out;

    buf_init(&packed, 1000);
    buf_init(&out, 1000);
    ck_assert_int_eq(gzip_deflate("một ", 6, 9, &packed), 0);
    ck_assert_int_eq(gzip_deflate("hai", 3, 9, &packed), 0);
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 9, &out), 0);
    ck_assert_str_eq(out.p, "một hai");
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 8, &out), -EFBIG);
    ck_assert_str_eq(out.p, "một hai");
}
END_TEST

START_TEST(broken_bodies_are_told_apart)
{
    _cleanup_(buf_free) struct buf plain, packed, out;

    buf_init(&plain, 1 << 20);
    buf_init(&packed, 1 << 20);
    buf_init(&out, 1 << 20);
    fill(&plain, 10000);
    ck_assert_int_eq(gzip_deflate(plain.p, plain.n, 6, &packed), 0);
    for (size_t n = 0; n < packed.n; n += n < 40 || n + 40 > packed.n ? 1 : 97)
        ck_assert_int_eq(gzip_inflate(packed.p, n, 1 << 20, &out), -EBADMSG);
    ck_assert_int_eq(gzip_inflate("{\"a\":1}", 7, 1000, &out), -EBADMSG);
    packed.p[packed.n - 6] ^= 1;
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 1 << 20, &out), -EBADMSG);
    packed.p[packed.n - 6] ^= 1;
    buf_adds(&packed, "rubbish");
    ck_assert_int_eq(gzip_inflate(packed.p, packed.n, 1 << 20, &out), -ENOTUNIQ);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_str_eq(buf_cstr(&out), "");
}
END_TEST

START_TEST(a_bare_stream_is_taken_alone)
{
    _cleanup_(buf_free) struct buf plain, packed, out;

    buf_init(&plain, 1 << 20);
    buf_init(&packed, 1 << 20);
    buf_init(&out, 1 << 20);
    fill(&plain, 10000);
    ck_assert_int_eq(gzip_deflate(plain.p, plain.n, 6, &packed), 0);
    /* gzip's frame: ten bytes before the stream, eight behind */
    ck_assert_int_eq(gzip_inflate_raw(packed.p + 10, packed.n - 18, 10000, &out), 0);
    ck_assert_uint_eq(out.n, plain.n);
    ck_assert_mem_eq(out.p, plain.p, plain.n);
    ck_assert_int_eq(gzip_inflate_raw(packed.p + 10, packed.n - 18, 9999, &out), -EFBIG);
    ck_assert_int_eq(gzip_inflate_raw(packed.p + 10, packed.n - 17, 10000, &out), -ENOTUNIQ);
    ck_assert_int_eq(gzip_inflate_raw(packed.p + 10, packed.n - 30, 10000, &out), -EBADMSG);
    ck_assert_int_eq(gzip_inflate_raw(packed.p, packed.n, 10000, &out), -EBADMSG);
}
END_TEST

RUN_TESTS("gzip", comes_back_as_it_went, same_bytes_every_time, a_bomb_stops_at_the_maximum,
    the_buffers_own_maximum_counts, several_members_are_one_body, broken_bodies_are_told_apart,
    a_bare_stream_is_taken_alone)
