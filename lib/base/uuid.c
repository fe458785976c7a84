/* RFC 9562, version 7: 48 bits of milliseconds, 12 bits of their fraction, 62 random bits. */
#include "uuid.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#include "clock.h"

#define BACKWARDS_US INT64_C(1000000)

/* The time in 1/4096 ms, one more than the thread's last id where the clock has not moved on. */
static uint64_t ascending_ticks(void)
{
    static _Thread_local uint64_t last;
    static _Thread_local int64_t last_us;
    int64_t us = clock_now_us();
    uint64_t ticks = (uint64_t)(us / 1000) << 12 | (uint64_t)(us % 1000 * 4096 / 1000);

    /* A clock that was set back further than a stutter is believed. */
    if (ticks <= last && last_us - us < BACKWARDS_US) {
        last++;
        return last;
    }
    last = ticks;
    last_us = us;
    return ticks;
}

void uuid_v7(char ret[UUID_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    uint64_t ticks = ascending_ticks();
    unsigned char id[16];
    char *out = ret;

    if (getrandom(id + 8, 8, 0) != 8)
        abort();
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(ticks >> (52 - 8 * i));
    id[6] = (unsigned char)(0x70 | ((ticks >> 8) & 0x0f));
    id[7] = (unsigned char)ticks;
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3f));
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = hex[id[i] >> 4];
        *out++ = hex[id[i] & 15];
    }
    *out = '\0';
}

bool uuid_valid(const char *s, size_t n)
{
    if (n != UUID_TEXT - 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = s[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

        if (dash ? c != '-' : !hex)
            return false;
    }
    return true;
}
