/*
 * Statements composed at run time, kept prepared on each connection. The name of a prepared statement is a number
 * that is never used twice on a connection, so a DEALLOCATE that did not run can do no harm but use memory.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "db_internal.h"

#define SHAPES_DEFAULT 256
/* Names to be deallocated along with one new statement, so that leftovers go away. */
#define DEALLOCATE_AT_ONCE 4

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* 128 bits of the text. Texts are put together from the program's own fragments: nobody can aim at a collision. */
static void shape_hash(const char *sql, int n_params, uint64_t ret_hash[2])
{
    size_t n = strlen(sql), left = n;
    uint64_t a = 0x9e3779b97f4a7c15u ^ n, b = 0xc2b2ae3d27d4eb4fu + (uint64_t)n_params, word;

    for (; left >= sizeof(word); left -= sizeof(word), sql += sizeof(word)) {
        memcpy(&word, sql, sizeof(word));
        a = mix(a ^ word, 0xa0761d6478bd642fu);
        b = mix(b + word, 0xe7037ed1a0b428dbu);
    }
    word = 0;
    memcpy(&word, sql, left);
    a = mix(a ^ word, 0x8ebc6af09c88c6e3u);
    b = mix(b + word, 0x589965cc75374cc3u);
    ret_hash[0] = mix(a ^ b, 0x1d8e4e27c47d124fu);
    ret_hash[1] = mix(b + ret_hash[0], 0xeb44accab455d165u);
}

static void shape_name(uint32_t number, char name[32])
{
    (void)snprintf(name, 32, "shape %u", number);
}

static int shapes_init(struct db_conn *conn)
{
    struct shapes *s = &conn->shapes;

    if (s->slots)
        return 0;
    s->n = conn->options->shapes ? conn->options->shapes : SHAPES_DEFAULT;
    s->slots = calloc(s->n, sizeof(*s->slots));
    return s->slots ? 0 : -ENOMEM;
}

/* The slot of this statement, or NULL with the slot to put it in (a free one or the longest unused one). */
static struct shape *shape_find(struct shapes *s, const uint64_t hash[2], int n_params, struct shape **ret_victim)
{
    struct shape *victim = NULL;

    for (struct shape *i = s->slots; i < s->slots + s->n; i++) {
        if (i->state == SHAPE_FREE) {
            if (!victim || victim->state != SHAPE_FREE)
                victim = i;
            continue;
        }
        if (i->hash[0] == hash[0] && i->hash[1] == hash[1] && i->n_params == n_params)
            return i;
        if (i->state == SHAPE_READY && (!victim || (victim->state == SHAPE_READY && i->used < victim->used)))
            victim = i;
    }
    *ret_victim = victim;
    return NULL;
}

static void stale_add(struct db_conn *conn, uint32_t number)
{
    struct shapes *s = &conn->shapes;

    if (s->n_stale == STALE_MAX)
        conn->retire = true;
    else
        s->stale[s->n_stale++] = number;
}

static int shapes_deallocate(struct db_conn *conn)
{
    struct shapes *s = &conn->shapes;
    char sql[64], name[32];
    int r;

    for (int i = 0; i < DEALLOCATE_AT_ONCE && s->n_stale > 0; i++) {
        uint32_t number = s->stale[s->n_stale - 1];

        shape_name(number, name);
        (void)snprintf(sql, sizeof(sql), "DEALLOCATE \"%s\"", name);
        r = expects_push(&conn->expects, EXPECT_DEALLOCATE, number);
        if (r < 0)
            return r;
        s->n_stale--;
        if (!PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 0))
            return conn_lost(conn);
    }
    return 0;
}

int shape_prepare(struct db_conn *conn, const char *sql, int n_params, char name[32])
{
    struct shape *shape, *slot = NULL;
    uint64_t hash[2];
    int r;

    name[0] = '\0';
    r = shapes_init(conn);
    if (r < 0)
        return r;
    shape_hash(sql, n_params, hash);
    shape = shape_find(&conn->shapes, hash, n_params, &slot);
    if (shape) {
        shape->used = ++conn->shapes.tick;
        /* Whether an earlier pipeline managed to prepare it is known only when that has been read. */
        if (shape->state == SHAPE_READY || shape->sync == conn->syncs)
            shape_name(shape->number, name);
        return 0;
    }
    if (!slot)
        return 0;

    r = expects_push(&conn->expects, EXPECT_PREPARE, (uint32_t)(slot - conn->shapes.slots));
    if (r < 0)
        return r;
    if (slot->state == SHAPE_READY)
        stale_add(conn, slot->number);
    *slot = (struct shape){ .hash = { hash[0], hash[1] },
        .n_params = n_params,
        .state = SHAPE_PENDING,
        .number = ++conn->shapes.last_number,
        .sync = conn->syncs,
        .used = ++conn->shapes.tick };
    shape_name(slot->number, name);
    if (!PQsendPrepare(conn->pg, name, sql, 0, NULL))
        return conn_lost(conn);
    return shapes_deallocate(conn);
}

void shape_answered(struct db_conn *conn, struct expect e, ExecStatusType status)
{
    struct shape *slot;

    if (e.kind == EXPECT_DEALLOCATE) {
        if (status != PGRES_COMMAND_OK)
            stale_add(conn, e.number);
        return;
    }
    slot = conn->shapes.slots + e.number;
    slot->state = status == PGRES_COMMAND_OK ? SHAPE_READY : SHAPE_FREE;
}

void shapes_free(struct shapes *shapes)
{
    free(shapes->slots);
    *shapes = (struct shapes){ 0 };
}
