#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "audit_chain.h"

#define ROWS 6

static struct {
    char text[32], more[32];
    uint8_t hash[SECRET_SHA256_BYTES];
} rows[ROWS];
static uint8_t start[SECRET_SHA256_BYTES];
static char told[256];

static void tell(void *userdata, enum chain_fault fault, int64_t from, int64_t to)
{
    static const char *const words[] = { "missing", "gone", "row", "seal" };
    size_t n = strlen(told);

    (void)userdata;
    snprintf(
        told + n, sizeof(told) - n, "%s%s %lld %lld", n > 0 ? ", " : "", words[fault], (long long)from, (long long)to);
}

/* A sound chain: position n + 1 is row n. */
static void set_up(void)
{
    const uint8_t *previous = start;

    ck_assert_int_eq(secret_init(), 0);
    memset(start, 1, sizeof(start));
    for (int i = 0; i < ROWS; i++) {
        char all[128];
        size_t n;

        snprintf(rows[i].text, sizeof(rows[i].text), "row %d", i);
        snprintf(rows[i].more, sizeof(rows[i].more), i % 2 ? "more %d" : "", i);
        memcpy(all, previous, SECRET_SHA256_BYTES);
        n = SECRET_SHA256_BYTES +
            (size_t)snprintf(all + SECRET_SHA256_BYTES, sizeof(all) - SECRET_SHA256_BYTES, "%s%s%s", rows[i].text,
                rows[i].more[0] ? "\n" : "", rows[i].more);
        secret_sha256(all, n, rows[i].hash);
        previous = rows[i].hash;
    }
    told[0] = '\0';
}

/* Reads rows in the order of positions given, 0 for one left out; a negative one has lost its row. */
static int64_t check(const int *order, size_t n)
{
    struct chain chain = { .report = tell };

    told[0] = '\0';
    chain_begin(&chain, 0, start);
    for (size_t i = 0; i < n; i++) {
        int at = (order[i] < 0 ? -order[i] : order[i]) - 1;
        struct chain_row row = { .position = (int64_t)i + 1, .hash = rows[at < 0 ? 0 : at].hash };

        if (order[i] == 0)
            continue;
        if (order[i] > 0) {
            row.text = (struct str){ rows[at].text, strlen(rows[at].text) };
            if (rows[at].more[0])
                row.more = (struct str){ rows[at].more, strlen(rows[at].more) };
        }
        ck_assert_int_eq(chain_add(&chain, &row), 0);
    }
    chain_end(&chain);
    buf_free(&chain.buf);
    return chain.faults;
}

static const int straight[] = { 1, 2, 3, 4, 5, 6 };

START_TEST(a_sound_chain_has_no_fault)
{
    ck_assert_int_eq(check(straight, ROWS), 0);
}
END_TEST

START_TEST(a_changed_row_is_told_with_its_position_alone)
{
    rows[2].text[0] = 'R';
    ck_assert_int_eq(check(straight, ROWS), 1);
    ck_assert_str_eq(told, "row 3 3");
    rows[2].text[0] = 'r';
    rows[3].more[0] = 'M';
    check(straight, ROWS);
    ck_assert_str_eq(told, "row 4 4");
    rows[4].text[0] = 'R';
    check(straight, ROWS);
    ck_assert_str_eq(told, "row 4 4, row 5 5");
}
END_TEST

START_TEST(the_last_row_is_checked_too)
{
    rows[ROWS - 1].text[0] = 'R';
    check(straight, ROWS);
    ck_assert_str_eq(told, "row 6 6");
}
END_TEST

START_TEST(a_changed_seal_is_no_changed_row)
{
    rows[2].hash[0] ^= 1;
    ck_assert_int_eq(check(straight, ROWS), 1);
    ck_assert_str_eq(told, "seal 3 3");
}
END_TEST

START_TEST(what_is_taken_out_is_told)
{
    ck_assert_int_eq(check((const int[]){ 1, 2, 0, 0, 5, 6 }, ROWS), 1);
    ck_assert_str_eq(told, "missing 3 4");
    ck_assert_int_eq(check((const int[]){ 0, 2, 3, 4, 5, 6 }, ROWS), 1);
    ck_assert_str_eq(told, "missing 1 1");
    ck_assert_int_eq(check((const int[]){ 1, -2, 3, 4, 5, 6 }, ROWS), 1);
    ck_assert_str_eq(told, "gone 2 2");
}
END_TEST

START_TEST(a_closed_gap_and_another_order_do_not_fit)
{
    ck_assert_int_gt(check((const int[]){ 1, 2, 4, 5, 6 }, ROWS - 1), 0);
    ck_assert_int_eq(strncmp(told, "row 3", 5), 0);
    ck_assert_int_gt(check((const int[]){ 1, 3, 2, 4, 5, 6 }, ROWS), 0);
    ck_assert_int_eq(strncmp(told, "row 2", 5), 0);
}
END_TEST

START_TEST(another_beginning_does_not_fit)
{
    start[0] ^= 1;
    check(straight, ROWS);
    ck_assert_str_eq(told, "row 1 1");
}
END_TEST

RUN_TESTS_WITH("audit_chain", set_up, NULL, a_sound_chain_has_no_fault, a_changed_row_is_told_with_its_position_alone,
    the_last_row_is_checked_too, a_changed_seal_is_no_changed_row, what_is_taken_out_is_told,
    a_closed_gap_and_another_order_do_not_fit, another_beginning_does_not_fit)
