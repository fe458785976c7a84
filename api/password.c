#include "password.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "service.h"

#define WAITING_MAX 64
#define WAIT_S      5

/* One gate for the process: the memory it guards is the process's. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    int64_t working, waiting;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 };

static int gate_enter(int64_t places)
{
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&gate.lock);
    if (gate.waiting >= WAITING_MAX) {
        r = -EAGAIN;
    } else {
        gate.waiting++;
        while (r == 0 && gate.working >= places)
            r = -pthread_cond_timedwait(&gate.freed, &gate.lock, &until);
        gate.waiting--;
        if (gate.working < places) {
            gate.working++;
            r = 0;
        }
    }
    pthread_mutex_unlock(&gate.lock);
    return r < 0 ? -EAGAIN : 0;
}

static void gate_leave(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.working--;
    pthread_cond_signal(&gate.freed);
    pthread_mutex_unlock(&gate.lock);
}

int password_check(const struct service *service, const char *hash, const char *password)
{
    int r;

    r = gate_enter(service->config->password_workers);
    if (r < 0)
        return r;
    r = secret_password_verify(hash, password, strlen(password));
    gate_leave();
    return r;
}

int password_hash(const struct service *service, const char *password, char ret_hash[SECRET_HASH_MAX])
{
    int r;

    r = gate_enter(service->config->password_workers);
    if (r < 0)
        return r;
    r = secret_password_hash(password, strlen(password), ret_hash);
    gate_leave();
    return r;
}

const char *password_fault(const char *username, const char *password)
{
    size_t length = utf8_length(password, strlen(password));

    if (length < PASSWORD_MIN)
        return "a password has at least 12 characters";
    if (length > PASSWORD_MAX)
        return "a password has at most 256 characters";
    if (strcasestr(password, username) != NULL)
        return "a password does not contain the username";
    if (strspn(password, (const char[]){ password[0], '\0' }) == strlen(password))
        return "a password is more than one character repeated";
    return NULL;
}
