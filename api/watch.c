#include "watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t head;
    bool closed;
    unsigned places, most; /* of all, of one caller */
    const char *holders[];
};

int watch_new(unsigned places, struct watch **ret)
{
    struct watch *watch = calloc(1, sizeof(*watch) + places * sizeof(watch->holders[0]));
    pthread_condattr_t attributes;

    if (watch == NULL)
        return -ENOMEM;
    watch->places = places;
    watch->most = places / 4 > 0 ? places / 4 : 1;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->moved, &attributes);
    pthread_condattr_destroy(&attributes);
    *ret = watch;
    return 0;
}

struct watch *watch_free(struct watch *watch)
{
    if (watch != NULL) {
        pthread_cond_destroy(&watch->moved);
        pthread_mutex_destroy(&watch->lock);
    }
    free(watch);
    return NULL;
}

void watch_tell(struct watch *watch, int64_t head)
{
    pthread_mutex_lock(&watch->lock);
    if (watch->head != head) {
        watch->head = head;
        pthread_cond_broadcast(&watch->moved);
    }
    pthread_mutex_unlock(&watch->lock);
}

void watch_close(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->closed = true;
    pthread_cond_broadcast(&watch->moved);
    pthread_mutex_unlock(&watch->lock);
}

bool watch_closed(struct watch *watch)
{
    bool closed;

    pthread_mutex_lock(&watch->lock);
    closed = watch->closed;
    pthread_mutex_unlock(&watch->lock);
    return closed;
}

static int take_place(struct watch *watch, const char *caller)
{
    const char **spare = NULL;
    unsigned held = 0;

    for (unsigned i = 0; i < watch->places; i++) {
        if (watch->holders[i] == NULL)
            spare = spare != NULL ? spare : &watch->holders[i];
        else if (strcmp(watch->holders[i], caller) == 0)
            held++;
    }
    if (held >= watch->most)
        return -EDQUOT;
    if (spare == NULL)
        return -EAGAIN;
    *spare = caller;
    return 0;
}

int watch_enter(struct watch *watch, const char *caller)
{
    int r;

    pthread_mutex_lock(&watch->lock);
    r = take_place(watch, caller);
    pthread_mutex_unlock(&watch->lock);
    return r;
}

void watch_leave(struct watch *watch, const char *caller)
{
    pthread_mutex_lock(&watch->lock);
    for (unsigned i = 0; i < watch->places; i++)
        if (watch->holders[i] == caller) {
            watch->holders[i] = NULL;
            break;
        }
    pthread_mutex_unlock(&watch->lock);
}

bool watch_wait(struct watch *watch, int64_t beyond, int64_t until_us)
{
    const struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    bool moved;

    pthread_mutex_lock(&watch->lock);
    while (!watch->closed && watch->head <= beyond && pthread_cond_timedwait(&watch->moved, &watch->lock, &until) == 0)
        ;
    moved = !watch->closed && watch->head > beyond;
    pthread_mutex_unlock(&watch->lock);
    return moved;
}
