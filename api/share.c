#include "share.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct share {
    pthread_mutex_t lock;
    pthread_cond_t given;
    unsigned most;  /* of one caller */
    unsigned slots; /* more than connections: some wait for theirs */
    const char *holders[];
};

#define SLOTS_A_CONNECTION 64

int share_new(unsigned connections, struct share **ret)
{
    unsigned slots = connections * SLOTS_A_CONNECTION;
    struct share *share = calloc(1, sizeof(*share) + slots * sizeof(share->holders[0]));

    if (share == NULL)
        return -ENOMEM;
    pthread_mutex_init(&share->lock, NULL);
    pthread_cond_init(&share->given, NULL);
    share->slots = slots;
    share->most = connections - connections / 3;
    *ret = share;
    return 0;
}

struct share *share_free(struct share *share)
{
    if (share != NULL) {
        pthread_cond_destroy(&share->given);
        pthread_mutex_destroy(&share->lock);
    }
    free(share);
    return NULL;
}

/* The place for one more of the caller's, or NULL. */
static const char **find_place(struct share *share, const char *caller)
{
    const char **spare = NULL;
    unsigned held = 0;

    for (unsigned i = 0; i < share->slots; i++) {
        if (share->holders[i] == NULL)
            spare = spare != NULL ? spare : &share->holders[i];
        else if (strcmp(share->holders[i], caller) == 0)
            held++;
    }
    return held < share->most ? spare : NULL;
}

bool share_take(struct share *share, const char *caller, unsigned wait_ms)
{
    const char **place;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&share->lock);
    while ((place = find_place(share, caller)) == NULL)
        if (pthread_cond_clockwait(&share->given, &share->lock, CLOCK_MONOTONIC, &until) != 0)
            break;
    if (place != NULL)
        *place = caller;
    pthread_mutex_unlock(&share->lock);
    return place != NULL;
}

void share_give(struct share *share, const char *caller)
{
    pthread_mutex_lock(&share->lock);
    for (unsigned i = 0; i < share->slots; i++)
        if (share->holders[i] == caller) {
            share->holders[i] = NULL;
            break;
        }
    pthread_cond_broadcast(&share->given);
    pthread_mutex_unlock(&share->lock);
}
