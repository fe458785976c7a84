#include "trace.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "secret.h"

#define STOCK 240

static void hex(const uint8_t *p, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[p[i] >> 4];
        ret[2 * i + 1] = digits[p[i] & 15];
    }
    ret[2 * n] = '\0';
}

static bool is_hex(const char *p, size_t n)
{
    return strspn(p, "0123456789abcdef") >= n;
}

/* version-traceid-parentid-flags; ids of nothing but zeros are none. */
static bool well_formed(const char *given)
{
    if (given == NULL || strlen(given) < 55 || !is_hex(given, 2) || strncmp(given, "ff", 2) == 0)
        return false;
    if (given[2] != '-' || !is_hex(given + 3, 32) || given[35] != '-' || !is_hex(given + 36, 16) || given[52] != '-' ||
        !is_hex(given + 53, 2))
        return false;
    if (strspn(given + 3, "0") >= 32 || strspn(given + 36, "0") >= 16)
        return false;
    return given[55] == '\0' || (given[55] == '-' && strncmp(given, "00", 2) != 0);
}

/* Random bytes out of a stock of the thread's own: one system call serves several requests. */
static void take_random(uint8_t *p, size_t n)
{
    static _Thread_local uint8_t stock[STOCK];
    static _Thread_local size_t left;

    if (left < n) {
        secret_random(stock, sizeof(stock));
        left = sizeof(stock);
    }
    left -= n;
    memcpy(p, stock + left, n);
}

void trace_begin(const char *given, char ret_id[33], char ret_parent[TRACE_PARENT_TEXT])
{
    uint8_t random[24];
    char span[17];
    const char *flags = "00";

    take_random(random, sizeof(random));
    hex(random, 8, span);
    if (well_formed(given)) {
        memcpy(ret_id, given + 3, 32);
        ret_id[32] = '\0';
        flags = given + 53;
    } else {
        hex(random + 8, 16, ret_id);
    }
    snprintf(ret_parent, TRACE_PARENT_TEXT, "00-%s-%s-%.2s", ret_id, span, flags);
}
