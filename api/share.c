#include "share.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct share {
    pthread_mutex_t lock;
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
    share->slots = slots;
    share->most = connections - connections / 3;
    *ret = share;
    return 0;
}

struct share *share_free(struct share *share)
{
    if (share != NULL)
        pthread_mutex_destroy(&share->lock);
    free(share);
    return NULL;
}

bool share_take(struct share *share, const char *caller)
{
    const char **spare = NULL;
    unsigned held = 0;

    pthread_mutex_lock(&share->lock);
    for (unsigned i = 0; i < share->slots; i++) {
        if (share->holders[i] == NULL)
            spare = spare != NULL ? spare : &share->holders[i];
        else if (strcmp(share->holders[i], caller) == 0)
            held++;
    }
    if (held >= share->most)
        spare = NULL;
    if (spare != NULL)
        *spare = caller;
    pthread_mutex_unlock(&share->lock);
    return spare != NULL;
}

void share_give(struct share *share, const char *caller)
{
    pthread_mutex_lock(&share->lock);
    for (unsigned i = 0; i < share->slots; i++)
        if (share->holders[i] == caller) {
            share->holders[i] = NULL;
            break;
        }
    pthread_mutex_unlock(&share->lock);
}
