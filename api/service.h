/* What one process holds: configuration, pools, keys, limits and counters. Everything that must outlive it is in the database. */
#ifndef TIENDO_SERVICE_H
#define TIENDO_SERVICE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "config.h"
#include "db.h"
#include "secret.h"
#include "token.h"

struct arena_pool;
struct bridge;
struct limiter;
struct metrics;
struct outside;
struct places;
struct renderer;
struct share;
struct watch;

/* Settings of a lane's connections. */
struct lane_settings {
    char lock_timeout[24];
    struct db_setting list[10];
};

struct service {
    const struct config *config;
    struct db_pool *quick, *slow; /* the lanes; slow is LANE_LONG's */
    struct lane_settings quick_settings, slow_settings;
    sem_t writers;       /* places for writes in the quick lane */
    struct share *share; /* of the long lane in streamed answers */
    struct token_verifier *verifier;
    struct outside *outside;  /* issuers beside ourselves; NULL: none */
    char issuer[512];         /* of our tokens */
    struct secret_key master; /* seals signing keys; all else that is keyed derives from it */
    struct secret_key cursor_key, fingerprint_key;
    struct arena_pool *arenas;
    struct limiter *limiter;
    struct metrics *metrics;
    struct places *uploads, *downloads; /* of files */
    struct renderer *renderer;          /* of documents */
    struct watch *watch;                /* of the end of the sealed journal */
    struct bridge *front, *figures;     /* the API's listener and that of /metrics */
    atomic_bool draining;
};

/* Pools, keys and counters, from a configuration that outlives the service; opens no listener. Faults are logged. */
MUST_CHECK int service_new(const struct config *config, struct service **ret);
struct service *service_free(struct service *service);

/* How connections of a lane are made, for single ones too. Borrows from the settings as long as they are used. */
void service_pool_options(
    const struct config *config, bool slow, struct lane_settings *settings, struct db_pool_options *ret);

#endif
