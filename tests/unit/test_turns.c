#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "turns.h"

#define CROWD 12

struct one {
    pthread_t thread;
    struct turn turn;
    char key[16];
    atomic_int tid;
    int result;
    unsigned place; /* in the order of being served */
};

static atomic_uint served;

static void *take_turn(void *userdata)
{
    struct one *one = userdata;

    atomic_store(&one->tid, gettid());
    one->result = turns_enter(1, &one->turn, 20);
    if (one->result == 0) {
        one->place = atomic_fetch_add(&served, 1);
        turns_leave(1);
    }
    return NULL;
}

/* Whether the thread has gone to sleep: in line, for nobody else runs. */
static bool sleeps(pid_t tid)
{
    char path[64], line[256] = "";
    const char *state;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    file = tid != 0 ? fopen(path, "re") : NULL;
    if (file == NULL)
        return false;
    if (fgets(line, sizeof(line), file) == NULL)
        line[0] = '\0';
    fclose(file);
    state = strrchr(line, ')');
    return state != NULL && state[1] == ' ' && state[2] == 'S';
}

/* In line one after the other, while the only place is taken. */
static void queue(struct one *one, const char *key, bool known)
{
    snprintf(one->key, sizeof(one->key), "%s", key);
    one->turn = (struct turn){ one->key, known };
    atomic_store(&one->tid, 0);
    ck_assert_int_eq(pthread_create(&one->thread, NULL, take_turn, one), 0);
    while (!sleeps(atomic_load(&one->tid)))
        usleep(1000);
}

START_TEST(a_free_place_is_had_at_once)
{
    const struct turn turn = { "a", false };

    ck_assert_int_eq(turns_enter(2, &turn, 0), 0);
    ck_assert_int_eq(turns_enter(2, &turn, 0), 0);
    ck_assert_int_eq(turns_enter(2, &turn, 0), -EAGAIN);
    turns_leave(2);
    ck_assert_int_eq(turns_enter(2, &turn, 0), 0);
    turns_leave(2);
    turns_leave(2);
}
END_TEST

START_TEST(strangers_take_turns_by_key_and_known_ones_go_first)
{
    const struct turn holder = { "holder", false };
    struct one crowd[CROWD];

    atomic_store(&served, 0);
    ck_assert_int_eq(turns_enter(1, &holder, 0), 0);
    for (size_t i = 0; i < 6; i++)
        queue(&crowd[i], "attacker", false);
    queue(&crowd[6], "honest", false);
    for (size_t i = 7; i < CROWD; i++)
        queue(&crowd[i], i % 2 == 0 ? "known-a" : "known-b", true);
    turns_leave(1);
    for (size_t i = 0; i < CROWD; i++) {
        ck_assert_int_eq(pthread_join(crowd[i].thread, NULL), 0);
        ck_assert_int_eq(crowd[i].result, 0);
    }
    /* the newcomer waits for one of the attacker's at most, and for known ones */
    ck_assert_uint_lt(crowd[6].place, crowd[1].place);
    for (size_t i = 7; i < CROWD; i++)
        ck_assert_uint_lt(crowd[i].place, 8);
    /* one turn of four is a stranger's */
    ck_assert(crowd[0].place < 4 || crowd[6].place < 4);
}
END_TEST

START_TEST(one_key_does_not_fill_the_room)
{
    const struct turn holder = { "holder", true }, attacker = { "attacker", false };
    struct one crowd[TURNS_PER_KEY_MAX], other;

    ck_assert_int_eq(turns_enter(1, &holder, 0), 0);
    for (size_t i = 0; i < TURNS_PER_KEY_MAX; i++)
        queue(&crowd[i], "attacker", false);
    ck_assert_int_eq(turns_enter(1, &attacker, 5), -EAGAIN);
    queue(&other, "other", false);
    turns_leave(1);
    for (size_t i = 0; i < TURNS_PER_KEY_MAX; i++)
        ck_assert_int_eq(pthread_join(crowd[i].thread, NULL), 0);
    ck_assert_int_eq(pthread_join(other.thread, NULL), 0);
    ck_assert_int_eq(other.result, 0);
}
END_TEST

START_TEST(waiting_ends)
{
    const struct turn holder = { "holder", true }, late = { "late", true };

    ck_assert_int_eq(turns_enter(1, &holder, 0), 0);
    ck_assert_int_eq(turns_enter(1, &late, 1), -EAGAIN);
    turns_leave(1);
    ck_assert_int_eq(turns_enter(1, &late, 0), 0);
    turns_leave(1);
}
END_TEST

RUN_TESTS("turns", a_free_place_is_had_at_once, strangers_take_turns_by_key_and_known_ones_go_first,
    one_key_does_not_fill_the_room, waiting_ends)
