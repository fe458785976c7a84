#include "places.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "secret.h"

struct places {
    pthread_mutex_t lock;
    unsigned most, most_of_one;
    uint64_t holders[]; /* 0: free */
};

int places_new(unsigned most, struct places **ret)
{
    struct places *places = calloc(1, sizeof(*places) + most * sizeof(places->holders[0]));

    if (places == NULL)
        return -ENOMEM;
    pthread_mutex_init(&places->lock, NULL);
    places->most = most;
    places->most_of_one = most - most / 4;
    *ret = places;
    return 0;
}

struct places *places_free(struct places *places)
{
    if (places != NULL)
        pthread_mutex_destroy(&places->lock);
    free(places);
    return NULL;
}

uint64_t places_holder(const char *text)
{
    uint8_t digest[SECRET_SHA256_BYTES];
    uint64_t holder;

    secret_sha256(text, strlen(text), digest);
    memcpy(&holder, digest, sizeof(holder));
    return holder != 0 ? holder : 1;
}

bool places_take(struct places *places, uint64_t holder)
{
    uint64_t *spare = NULL;
    unsigned held = 0;

    pthread_mutex_lock(&places->lock);
    for (unsigned i = 0; i < places->most; i++) {
        if (places->holders[i] == 0)
            spare = &places->holders[i];
        else if (places->holders[i] == holder)
            held++;
    }
    if (held >= places->most_of_one)
        spare = NULL;
    if (spare != NULL)
        *spare = holder;
    pthread_mutex_unlock(&places->lock);
    return spare != NULL;
}

void places_give(struct places *places, uint64_t holder)
{
    pthread_mutex_lock(&places->lock);
    for (unsigned i = 0; i < places->most; i++)
        if (places->holders[i] == holder) {
            places->holders[i] = 0;
            break;
        }
    pthread_mutex_unlock(&places->lock);
}
