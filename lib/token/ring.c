/* Sets of keys, one after the other: whoever checks with one keeps it while it does, whatever is loaded meanwhile. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct key_set *key_set_new(size_t n)
{
    struct key_set *set = calloc(1, sizeof *set + n * sizeof set->keys[0]);

    if (set)
        atomic_init(&set->refs, 1);
    return set;
}

void key_set_unref(struct key_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->n; i++)
        token_key_clear(&set->keys[i]);
    free(set);
}

void key_set_unrefp(struct key_set **set)
{
    key_set_unref(*set);
}

/* Without a kid, the one key that there is. */
const struct token_key *key_set_find(const struct key_set *set, const char *kid, enum token_alg alg)
{
    if (!*kid)
        return set->n == 1 && set->keys[0].alg == alg ? &set->keys[0] : NULL;
    for (size_t i = 0; i < set->n; i++)
        if (set->keys[i].alg == alg && strcmp(set->keys[i].kid, kid) == 0)
            return &set->keys[i];
    return NULL;
}

static bool set_has(const struct key_set *set, const struct token_key *key)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->keys[i].alg == key->alg && strcmp(set->keys[i].kid, key->kid) == 0)
            return strcmp(set->keys[i].jwk, key->jwk) == 0;
    return false;
}

static bool set_same(const struct key_set *a, const struct key_set *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!set_has(b, &a->keys[i]))
            return false;
    return true;
}

int key_ring_init(
    struct key_ring *ring, int (*reload)(void *), void *userdata, int64_t reload_interval, int reload_burst)
{
    pthread_rwlock_init(&ring->lock, NULL);
    pthread_mutex_init(&ring->reload_lock, NULL);
    ring->reload = reload;
    ring->userdata = userdata;
    ring->reload_interval = reload_interval < 1 ? 1 : reload_interval;
    ring->reload_burst = reload_burst;
    ring->set = key_set_new(0);
    if (!ring->set)
        return -ENOMEM;
    ring->set->generation = 1;
    atomic_init(&ring->generation, 1);
    return 0;
}

void key_ring_done(struct key_ring *ring)
{
    key_set_unref(ring->set);
    pthread_rwlock_destroy(&ring->lock);
    pthread_mutex_destroy(&ring->reload_lock);
}

struct key_set *key_ring_acquire(struct key_ring *ring)
{
    struct key_set *set;

    pthread_rwlock_rdlock(&ring->lock);
    set = ring->set;
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    pthread_rwlock_unlock(&ring->lock);
    return set;
}

bool key_ring_replace(struct key_ring *ring, struct key_set *set)
{
    struct key_set *unused = set;
    bool new;

    pthread_rwlock_wrlock(&ring->lock);
    new = !set_same(set, ring->set);
    if (new) {
        set->generation = ring->set->generation + 1;
        atomic_store_explicit(&ring->generation, set->generation, memory_order_release);
        unused = ring->set;
        ring->set = set;
    }
    pthread_rwlock_unlock(&ring->lock);
    key_set_unref(unused);
    return new;
}

/* A few reloads at once, then one in each interval: a flood of made-up kids costs next to nothing. */
static bool may_reload(struct key_ring *ring, int64_t now_us)
{
    const int64_t interval_us = ring->reload_interval * 1000000;
    int64_t since = now_us - ring->reload_refilled_us;

    if (since < 0 || since >= interval_us * ring->reload_burst) {
        ring->reloads_left = ring->reload_burst;
        ring->reload_refilled_us = now_us;
    } else if (since >= interval_us) {
        ring->reloads_left += (int)(since / interval_us);
        if (ring->reloads_left > ring->reload_burst)
            ring->reloads_left = ring->reload_burst;
        ring->reload_refilled_us += since / interval_us * interval_us;
    }
    if (ring->reloads_left == 0)
        return false;
    ring->reloads_left--;
    return true;
}

static int reload(struct key_ring *ring, const char *kid, enum token_alg alg, int64_t now_us)
{
    struct key_set *set;
    int r = 0;

    if (!ring->reload)
        return 0;
    pthread_mutex_lock(&ring->reload_lock);
    set = key_ring_acquire(ring);
    if (!key_set_find(set, kid, alg)) {
        if (may_reload(ring, now_us))
            ring->reload_result = ring->reload(ring->userdata);
        r = ring->reload_result;
    }
    pthread_mutex_unlock(&ring->reload_lock);
    key_set_unref(set);
    return r;
}

int key_ring_find(struct key_ring *ring, const char *kid, enum token_alg alg, int64_t now_us, struct key_set **ret_set,
    const struct token_key **ret_key)
{
    struct key_set *set = key_ring_acquire(ring);
    const struct token_key *key = key_set_find(set, kid, alg);
    int r = 0;

    if (!key) {
        r = reload(ring, kid, alg, now_us);
        key_set_unref(set);
        set = key_ring_acquire(ring);
        key = key_set_find(set, kid, alg);
    }
    if (!key) {
        key_set_unref(set);
        return r < 0 ? -EAGAIN : -ENOKEY;
    }
    *ret_set = set;
    *ret_key = key;
    return 0;
}
