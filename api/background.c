#include "background.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checkpoint.h"
#include "clock.h"
#include "keys.h"
#include "log.h"
#include "routes.h"
#include "service.h"
#include "watch.h"

#define ROWS_A_STEP          5000
#define REMINDERS_A_STEP     500 /* few, for whoever submits one of those reports waits */
#define RETRY_MS             2000
#define HOUSEKEEPING_US      (INT64_C(600) * 1000000)
#define EXPECT_US            INT64_C(1000000)
#define RETENTION_LEAST_DAYS 30 /* as journal_cut_at() has it */

struct background {
    const struct config *config;
    struct watch *watch;
    struct lane_settings settings;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    struct db_conn *conn;
    int64_t kept_house_us;
    struct secret_key checkpoint_key;
    int64_t checked_us, checked_position;
    int64_t cut_us;
    bool complained;
};

/* Waits unless it is time to stop; true then. */
static bool pause_ms(struct background *b, int64_t ms)
{
    struct timespec until;
    bool stopping;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&b->lock);
    while (!b->stopping && pthread_cond_timedwait(&b->wake, &b->lock, &until) == 0)
        ;
    stopping = b->stopping;
    pthread_mutex_unlock(&b->lock);
    return stopping;
}

/* One statement in a transaction of its own, and its rows. */
static int fetch(
    struct background *b, const struct named_query *query, const char *const *values, struct db_result **ret_rows)
{
    _cleanup_(db_result_freep) struct db_result *error = NULL;
    int r;

    r = db_run(b->conn, query->index, values, ret_rows, &error);
    if (r == -EBADMSG && error != NULL) {
        struct db_error e;

        db_error(error, &e);
        log_error("background_failed", "query=%s sqlstate=%s message=%s", query->name, e.sqlstate, e.message);
    }
    return r;
}

/* A statement of one number; the number in its first column goes to *ret_count. */
static int run(struct background *b, const struct named_query *query, int64_t argument, int64_t *ret_count)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    char text[24];
    const char *const values[] = { text };
    int r;

    snprintf(text, sizeof(text), "%lld", (long long)argument);
    r = fetch(b, query, values, &rows);
    if (r == 0)
        *ret_count = strtoll(db_value(rows, 0, 0), NULL, 10);
    return r;
}

/* Brings the tree of today in line after a midnight: decisions of the day take effect. */
static int turn_tree(struct background *b)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int64_t changed;
    int r;

    r = fetch(b, &query_tree_turn, NULL, &rows);
    if (r < 0)
        return r;
    changed = strtoll(db_value(rows, 0, 0), NULL, 10);
    if (changed > 0)
        log_info("tree_turned", "units=%lld", (long long)changed);
    return 0;
}

/* Brings reports in line with the duties: batches follow each other for a second, then the rest of the work has its turn. */
static int expect_reports(struct background *b)
{
    int64_t until = clock_mono_us() + EXPECT_US, more = 0;
    int r;

    do {
        r = run(b, &query_report_expect, ROWS_A_STEP, &more);
    } while (r == 0 && more > 0 && clock_mono_us() < until && !pause_ms(b, 0));
    return r;
}

/* The same for a statement without one. */
static int run_plain(struct background *b, const struct named_query *query, int64_t *ret_count)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = fetch(b, query, NULL, &rows);
    if (r == 0)
        *ret_count = strtoll(db_value(rows, 0, 0), NULL, 10);
    return r;
}

/* Signs the chain's head into a file, once an interval. A directory that cannot be written is told and does not stop the rest. */
static int keep_checkpoint(struct background *b)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int64_t now = clock_mono_us(), position;
    int r;

    if (b->config->checkpoint_dir[0] == '\0' ||
        (b->checked_us != 0 && now - b->checked_us < b->config->checkpoint_interval_s * 1000000))
        return 0;
    r = fetch(b, &query_seal_head, NULL, &rows);
    if (r < 0)
        return r;
    position = strtoll(db_value(rows, 0, 0), NULL, 10);
    if (position == b->checked_position)
        return 0;
    b->checked_us = now;
    r = checkpoint_write(b->config->checkpoint_dir, &b->checkpoint_key, position, db_value(rows, 0, 1));
    if (r == -EEXIST)
        log_error("checkpoint_differs", "position=%lld hash=%s", (long long)position, db_value(rows, 0, 1));
    else if (r < 0)
        log_error("checkpoint_failed", "position=%lld error=%s", (long long)position, strerror(-r));
    else
        b->checked_position = position;
    return 0;
}

static int cut_at(struct background *b, const struct checkpoint *c)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    char position[24], days[24], hash[2 * SECRET_SHA256_BYTES + 1];
    const char *const values[] = { position, hash, c->name, days };
    int r;

    snprintf(position, sizeof(position), "%lld", (long long)c->position);
    snprintf(days, sizeof(days), "%lld", (long long)b->config->audit_retention_days);
    for (size_t i = 0; i < sizeof(c->hash); i++)
        snprintf(hash + 2 * i, 3, "%02x", c->hash[i]);
    /* Signed before it is done: a cut that no file tells of was not made by the service. */
    r = checkpoint_write_cut(b->config->checkpoint_dir, &b->checkpoint_key, c->position, hash);
    if (r < 0) {
        log_error("retention_failed", "position=%s error=%s", position, strerror(-r));
        return 0;
    }
    r = fetch(b, &query_journal_cut_at, values, &rows);
    if (r == 0 && db_value(rows, 0, 0)[0] == '1')
        log_info("journal_cut", "position=%s checkpoint=%s", position, c->name);
    return r;
}

/* Cuts the journal off at a signed checkpoint that is old enough, then takes away what lies before. */
static int keep_retention(struct background *b)
{
    int64_t now = clock_mono_us(), days = b->config->audit_retention_days, start = 0, done = 0;
    struct checkpoint c;
    int r;

    if (days == 0 || b->config->checkpoint_dir[0] == '\0' ||
        (b->cut_us != 0 && now - b->cut_us < b->config->checkpoint_interval_s * 1000000))
        return 0;
    b->cut_us = now;
    if (days < RETENTION_LEAST_DAYS)
        days = RETENTION_LEAST_DAYS;
    r = run_plain(b, &query_journal_start, &start);
    if (r < 0)
        return r;
    r = checkpoint_choose(
        b->config->checkpoint_dir, &b->checkpoint_key, start, clock_now_us() - days * INT64_C(86400000000), &c);
    if (r < 0)
        log_error("retention_failed", "error=%s", strerror(-r));
    else if (r > 0)
        r = cut_at(b, &c);
    if (r < 0)
        return r == -ENOENT || r == -EACCES ? 0 : r;
    do {
        r = run(b, &query_journal_cut_step, ROWS_A_STEP, &done);
    } while (r == 0 && done > 0 && !pause_ms(b, 0));
    return r;
}

static int keep_house(struct background *b)
{
    int64_t now = clock_mono_us(), unused;

    if (now - b->kept_house_us < HOUSEKEEPING_US)
        return 0;
    b->kept_house_us = now;
    return run(b, &query_housekeeping, b->config->idempotency_hours, &unused);
}

static int connect_again(struct background *b)
{
    struct db_pool_options options;
    char reason[256] = "";
    int r;

    service_pool_options(b->config, true, &b->settings, &options);
    options.name = "tiendo-sealer";
    r = db_open(&options, reason, sizeof(reason), &b->conn);
    if (r < 0 && !b->complained)
        log_warn("sealer_waits", "reason=%s", reason);
    b->complained = r < 0;
    return r;
}

/* Steps follow each other while there is much to do. */
static int run_steps(struct background *b, const struct named_query *query, int64_t most)
{
    int64_t done = 0;
    int r;

    do {
        r = run(b, query, most, &done);
    } while (r == 0 && done == most && !pause_ms(b, 0));
    return r;
}

/* Whoever seals, everybody is told where the end is now. */
static int seal(struct background *b)
{
    int64_t done;

    do {
        _cleanup_(db_result_freep) struct db_result *rows = NULL;
        char most[24];
        const char *const values[] = { most };
        int r;

        snprintf(most, sizeof(most), "%d", ROWS_A_STEP);
        r = fetch(b, &query_seal_step, values, &rows);
        if (r < 0)
            return r;
        done = strtoll(db_value(rows, 0, 0), NULL, 10);
        watch_tell(b->watch, strtoll(db_value(rows, 0, 1), NULL, 10));
    } while (done == ROWS_A_STEP && !pause_ms(b, 0));
    return 0;
}

static int work(struct background *b)
{
    int r;

    r = turn_tree(b);
    if (r == 0 || r == -EBADMSG) /* the database refused: told already, and no reason to leave the rest undone */
        r = expect_reports(b);
    if (r == 0 || r == -EBADMSG)
        r = run_steps(b, &query_reminder_turn, REMINDERS_A_STEP);
    if (r == 0 || r == -EBADMSG)
        r = seal(b);
    if (r == 0)
        r = run_steps(b, &query_rollup_fold, ROWS_A_STEP);
    if (r == 0)
        r = run_steps(b, &query_activity_fold, ROWS_A_STEP);
    if (r == 0)
        r = run_steps(b, &query_campaign_standing_fold, ROWS_A_STEP);
    if (r == 0)
        r = keep_checkpoint(b);
    if (r == 0)
        r = keep_retention(b);
    return r < 0 ? r : keep_house(b);
}

static void *thread_main(void *userdata)
{
    struct background *b = userdata;
    int64_t wait_ms = 0;

    while (!pause_ms(b, wait_ms)) {
        int r = b->conn != NULL ? 0 : connect_again(b);

        if (r == 0)
            r = work(b);
        if (r < 0)
            b->conn = db_pool_give(b->conn);
        wait_ms = r < 0 ? RETRY_MS : b->config->seal_interval_ms;
    }
    b->conn = db_pool_give(b->conn);
    return NULL;
}

int background_start(const struct config *config, struct watch *watch, struct background **ret)
{
    struct background *b = calloc(1, sizeof(*b));
    struct secret_key master;
    pthread_condattr_t attributes;
    int r;

    if (b == NULL)
        return -ENOMEM;
    b->config = config;
    b->watch = watch;
    r = keys_master(config, &master);
    if (r < 0) {
        free(b);
        return r;
    }
    checkpoint_key(&master, &b->checkpoint_key);
    secret_wipe(&master, sizeof(master));
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&b->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    r = pthread_create(&b->thread, NULL, thread_main, b);
    if (r != 0) {
        free(b);
        return -r;
    }
    *ret = b;
    return 0;
}

void background_stop(struct background *b)
{
    if (b == NULL)
        return;
    pthread_mutex_lock(&b->lock);
    b->stopping = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->wake);
    pthread_mutex_destroy(&b->lock);
    secret_wipe(&b->checkpoint_key, sizeof(b->checkpoint_key));
    free(b);
}
