/* Sleeping on a word in memory, for threads that another thread wakes one by one. */

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "db_internal.h"

void futex_sleep(_Atomic uint32_t *word, uint32_t value, int64_t us)
{
    struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, us < 0 ? NULL : &t, NULL, 0);
}

void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
