/*
 * Verified tokens, remembered by the digest of the whole token. Sharded, so that threads seldom meet; each shard is
 * a table of small sets, so that it never grows: a full set gives up the entry that expires first.
 */
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { shard_count = 64, ways = 8 };

struct entry {
    uint8_t digest[TOKEN_DIGEST_BYTES];
    uint64_t generation; /* 0: empty */
    struct identity identity;
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct entry *entries; /* made on the first put: an idle service pays nothing */
};

struct token_cache {
    size_t sets; /* in each shard, a power of two */
    struct shard shards[shard_count];
};

struct token_cache *token_cache_new(size_t max)
{
    struct token_cache *cache = aligned_alloc(_Alignof(struct token_cache), sizeof *cache);
    size_t sets = 1;

    if (!cache)
        return NULL;
    memset(cache, 0, sizeof *cache);
    while (sets * 2 * ways * shard_count <= max)
        sets *= 2;
    cache->sets = sets;
    for (size_t i = 0; i < shard_count; i++)
        pthread_mutex_init(&cache->shards[i].lock, NULL);
    return cache;
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < shard_count; i++) {
        pthread_mutex_destroy(&cache->shards[i].lock);
        free(cache->shards[i].entries);
    }
    free(cache);
}

static struct shard *shard_of(struct token_cache *cache, const uint8_t *digest)
{
    return &cache->shards[digest[0] % shard_count];
}

static struct entry *set_of(const struct token_cache *cache, const struct shard *shard, const uint8_t *digest)
{
    size_t n = (size_t)digest[1] | (size_t)digest[2] << 8 | (size_t)digest[3] << 16;

    return shard->entries + (n & (cache->sets - 1)) * ways;
}

bool token_cache_get(struct token_cache *cache, const uint8_t *digest, uint64_t generation, int64_t now_us,
    struct identity *ret_identity)
{
    struct shard *shard = shard_of(cache, digest);
    bool found = false;

    pthread_mutex_lock(&shard->lock);
    if (shard->entries) {
        const struct entry *set = set_of(cache, shard, digest);

        for (size_t i = 0; i < ways && !found; i++)
            if (set[i].generation == generation && memcmp(set[i].digest, digest, TOKEN_DIGEST_BYTES) == 0 &&
                set[i].identity.expires_us > now_us) {
                *ret_identity = set[i].identity;
                found = true;
            }
    }
    pthread_mutex_unlock(&shard->lock);
    return found;
}

/* An entry of its own, else one that is worth nothing any more, else the one that expires first. */
static struct entry *place(struct entry *set, const uint8_t *digest, uint64_t generation, int64_t now_us)
{
    struct entry *best = NULL;
    int64_t best_expires = INT64_MAX;

    for (size_t i = 0; i < ways; i++) {
        bool dead = set[i].generation != generation || set[i].identity.expires_us <= now_us;
        int64_t expires = dead ? INT64_MIN : set[i].identity.expires_us;

        if (!dead && memcmp(set[i].digest, digest, TOKEN_DIGEST_BYTES) == 0)
            return &set[i];
        if (!best || expires < best_expires) {
            best = &set[i];
            best_expires = expires;
        }
    }
    return best;
}

void token_cache_put(struct token_cache *cache, const uint8_t *digest, uint64_t generation, int64_t now_us,
    const struct identity *identity)
{
    struct shard *shard = shard_of(cache, digest);

    pthread_mutex_lock(&shard->lock);
    if (!shard->entries)
        shard->entries = calloc(cache->sets * ways, sizeof *shard->entries);
    if (shard->entries) {
        struct entry *entry = place(set_of(cache, shard, digest), digest, generation, now_us);

        memcpy(entry->digest, digest, TOKEN_DIGEST_BYTES);
        entry->generation = generation;
        entry->identity = *identity;
    }
    pthread_mutex_unlock(&shard->lock);
}

void token_cache_drop(struct token_cache *cache, const uint8_t *digest)
{
    struct shard *shard = shard_of(cache, digest);

    pthread_mutex_lock(&shard->lock);
    if (shard->entries) {
        struct entry *set = set_of(cache, shard, digest);

        for (size_t i = 0; i < ways; i++)
            if (memcmp(set[i].digest, digest, TOKEN_DIGEST_BYTES) == 0)
                set[i].generation = 0;
    }
    pthread_mutex_unlock(&shard->lock);
}
