/*
 * Each bucket is one number: the moment at which it will be full again (GCRA). Callers are kept by a
 * keyed hash, eight to a row; the row's stalest gives way. Rows have locks of their own, so callers
 * rarely meet.
 */
#include "limiter.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secret.h"

#define ROWS 1024U
#define WAYS 8U

struct row {
    pthread_mutex_t lock;
    uint64_t caller[WAYS];
    int64_t full_at[WAYS];
};

struct limiter {
    int64_t cost_us; /* one request */
    int64_t room_us; /* the whole burst */
    uint8_t key[16];
    char policy[48];
    struct row rows[ROWS];
};

int limiter_new(uint32_t per_second, uint32_t burst, struct limiter **ret)
{
    struct limiter *limiter;

    if (per_second == 0) {
        *ret = NULL;
        return 0;
    }
    limiter = calloc(1, sizeof(*limiter));
    if (limiter == NULL)
        return -ENOMEM;
    if (burst == 0)
        burst = per_second;
    limiter->cost_us = 1000000 / per_second;
    if (limiter->cost_us == 0)
        limiter->cost_us = 1;
    limiter->room_us = limiter->cost_us * burst;
    secret_random(limiter->key, sizeof(limiter->key));
    snprintf(limiter->policy, sizeof(limiter->policy), "\"default\";q=%u;w=%u", burst,
        (burst + per_second - 1) / per_second);
    for (size_t i = 0; i < ROWS; i++)
        pthread_mutex_init(&limiter->rows[i].lock, NULL);
    *ret = limiter;
    return 0;
}

struct limiter *limiter_free(struct limiter *limiter)
{
    if (limiter == NULL)
        return NULL;
    for (size_t i = 0; i < ROWS; i++)
        pthread_mutex_destroy(&limiter->rows[i].lock);
    free(limiter);
    return NULL;
}

/* FNV-1a over a secret first: nobody can choose callers that share a bucket. */
static uint64_t hash(const struct limiter *limiter, const char *caller)
{
    uint64_t h = 14695981039346656037U;

    for (size_t i = 0; i < sizeof(limiter->key); i++)
        h = (h ^ limiter->key[i]) * 1099511628211U;
    for (; *caller != '\0'; caller++)
        h = (h ^ (uint8_t)*caller) * 1099511628211U;
    h ^= h >> 32;
    return h != 0 ? h : 1;
}

static int64_t *find_bucket(struct row *row, uint64_t caller)
{
    size_t stalest = 0;

    for (size_t i = 0; i < WAYS; i++) {
        if (row->caller[i] == caller)
            return &row->full_at[i];
        if (row->full_at[i] < row->full_at[stalest])
            stalest = i;
    }
    row->caller[stalest] = caller;
    row->full_at[stalest] = 0;
    return &row->full_at[stalest];
}

static uint32_t seconds(int64_t us)
{
    return us <= 0 ? 0 : (uint32_t)((us + 999999) / 1000000);
}

struct limit_state limiter_take(struct limiter *limiter, const char *caller, int64_t now_us)
{
    uint64_t h = hash(limiter, caller);
    struct row *row = &limiter->rows[h % ROWS];
    struct limit_state state = { 0 };
    int64_t *full_at, debt;

    pthread_mutex_lock(&row->lock);
    full_at = find_bucket(row, h);
    debt = *full_at > now_us ? *full_at - now_us : 0;
    state.allowed = debt + limiter->cost_us <= limiter->room_us;
    if (state.allowed) {
        debt += limiter->cost_us;
        *full_at = now_us + debt;
    }
    pthread_mutex_unlock(&row->lock);
    state.left = (uint32_t)((limiter->room_us - debt) / limiter->cost_us);
    state.reset_s = state.allowed ? seconds(debt) : seconds(debt + limiter->cost_us - limiter->room_us);
    return state;
}

const char *limiter_policy(const struct limiter *limiter)
{
    return limiter->policy;
}
