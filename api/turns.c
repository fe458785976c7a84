#include "turns.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define SERVED        1024U /* keys whose last turn is remembered; two that share a place share their turn */
#define STRANGE_EVERY 4U    /* one turn of so many is a stranger's */

struct waiter {
    struct waiter *next;
    pthread_cond_t called_out;
    uint64_t key;
    bool known, called;
};

/* One for the process: the memory and the cores it guards are the process's. */
static struct {
    pthread_mutex_t lock;
    struct waiter *first;
    int64_t working;
    uint64_t turn; /* counts those that were served */
    uint64_t served[SERVED];
} room = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t hash(const char *text)
{
    uint64_t h = 14695981039346656037U;

    for (; *text != '\0'; text++)
        h = (h ^ (uint8_t)*text) * 1099511628211U;
    return h ^ (h >> 29);
}

static uint64_t *last_turn(uint64_t key)
{
    return &room.served[key % SERVED];
}

static void serve(uint64_t key)
{
    room.working++;
    room.turn++;
    *last_turn(key) = room.turn;
}

/* The first in line of those that were served longest ago; NULL when nobody of that kind waits. */
static struct waiter *longest_unserved(bool known)
{
    struct waiter *found = NULL;

    for (struct waiter *w = room.first; w != NULL; w = w->next)
        if (w->known == known && (found == NULL || *last_turn(w->key) < *last_turn(found->key)))
            found = w;
    return found;
}

static void leave_line(const struct waiter *gone)
{
    for (struct waiter **at = &room.first; *at != NULL; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            return;
        }
}

static void call_next(int64_t places)
{
    while (room.working < places && room.first != NULL) {
        bool known = (room.turn + 1) % STRANGE_EVERY != 0;
        struct waiter *next = longest_unserved(known);

        if (next == NULL)
            next = longest_unserved(!known);
        leave_line(next);
        next->called = true;
        serve(next->key);
        pthread_cond_signal(&next->called_out);
    }
}

static bool has_room(const struct waiter *newcomer)
{
    size_t of_key = 0, of_kind = 0;

    for (const struct waiter *w = room.first; w != NULL; w = w->next) {
        of_key += w->key == newcomer->key;
        of_kind += w->known == newcomer->known;
    }
    return of_key < TURNS_PER_KEY_MAX && of_kind < (newcomer->known ? TURNS_KNOWN_MAX : TURNS_STRANGE_MAX);
}

static void wait_in_line(struct waiter *me, int wait_s)
{
    struct waiter **last = &room.first;
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_s;
    while (*last != NULL)
        last = &(*last)->next;
    *last = me;
    while (!me->called && r == 0)
        r = pthread_cond_timedwait(&me->called_out, &room.lock, &until);
    if (!me->called)
        leave_line(me);
}

int turns_enter(int64_t places, const struct turn *turn, int wait_s)
{
    struct waiter me = { .key = hash(turn->key), .known = turn->known };
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&me.called_out, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_lock(&room.lock);
    if (room.working < places && room.first == NULL) {
        serve(me.key);
        me.called = true;
    } else if (has_room(&me)) {
        wait_in_line(&me, wait_s);
    }
    pthread_mutex_unlock(&room.lock);
    pthread_cond_destroy(&me.called_out);
    return me.called ? 0 : -EAGAIN;
}

void turns_leave(int64_t places)
{
    pthread_mutex_lock(&room.lock);
    room.working--;
    call_next(places);
    pthread_mutex_unlock(&room.lock);
}
