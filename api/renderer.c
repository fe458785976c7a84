#include "renderer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "places.h"

#define PYTHON          "/usr/bin/python3"
#define SCRIPT          "document/render.py"
#define START_MS        60000 /* a cold disk and a busy machine; else half a second */
#define GRACE_MS        6000  /* beyond the document's own time, until the whole process is given up */
#define AGAIN_US        (10 * INT64_C(1000000)) /* after a start that failed */
#define WAITING         8                       /* for each place, so many may wait for it */
#define DOCUMENT_MAX    (64U * 1024U * 1024U)
#define LINE_MAX_BYTES  32
#define NUMBER_ROOM     24
#define EXIT_NO_LIBRARY 3

struct renderer {
    const struct config *config;
    sem_t free;            /* documents that may be made now */
    struct places *places; /* those and the ones that wait */
    pthread_mutex_t lock;  /* of all below */
    pid_t pid;             /* 0: none runs */
    int control;           /* the socket on which jobs are handed over */
    uint64_t generation;   /* of processes */
    int64_t again_us;      /* no start before, for the last one failed with */
    int failure;
};

int renderer_new(const struct config *config, struct renderer **ret)
{
    struct renderer *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    if (places_new((unsigned)config->document_workers * WAITING, &r->places) < 0) {
        free(r);
        return -ENOMEM;
    }
    r->config = config;
    r->control = -1;
    sem_init(&r->free, 0, (unsigned)config->document_workers);
    pthread_mutex_init(&r->lock, NULL);
    *ret = r;
    return 0;
}

/* ---- the process ---- */

/* Where the renderer is: as configured, beside an installed binary, or in a build directory. */
static bool find_script(const struct config *config, char path[PATH_MAX])
{
    static const char *const from_bin[] = { "../lib/tiendo/" SCRIPT, SCRIPT };
    char self[PATH_MAX / 2];
    ssize_t n;
    char *slash;

    if (config->document_renderer[0] != '\0')
        return snprintf(path, PATH_MAX, "%s", config->document_renderer) < PATH_MAX && access(path, R_OK) == 0;
    n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return false;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(from_bin); i++)
        if (snprintf(path, PATH_MAX, "%s/%s", self, from_bin[i]) < PATH_MAX && access(path, R_OK) == 0)
            return true;
    return false;
}

/* Nothing of ours goes with it: nothing of the environment, no descriptor but its socket, no blocked signal. */
static int spawn(const char *path, const struct config *config, int socket, pid_t *ret_pid)
{
    char memory[NUMBER_ROOM], seconds[NUMBER_ROOM];
    char *const argv[] = { (char[]){ PYTHON }, (char[]){ "-sPB" }, (char[]){ "-Xutf8" }, (char *)path,
        (char[]){ "--serve" }, (char[]){ "--memory" }, memory, (char[]){ "--seconds" }, seconds, NULL };
    char *const env[] = { (char[]){ "PYTHONHASHSEED=0" }, NULL }; /* the same report is the same bytes */
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int r;

    snprintf(memory, sizeof(memory), "%lld", (long long)config->document_memory);
    snprintf(seconds, sizeof(seconds), "%lld", (long long)config->document_timeout_s);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&files, socket, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawn_file_actions_addchdir_np(&files, "/");
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    r = posix_spawn(ret_pid, PYTHON, &files, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return -r;
}

/* Ends it and takes leave of it. The lock is held. Its exit code, or -1. */
static int put_down(struct renderer *r)
{
    int status = 0;
    pid_t done;

    if (r->pid == 0)
        return -1;
    close(r->control);
    r->control = -1;
    kill(r->pid, SIGKILL);
    do
        done = waitpid(r->pid, &status, 0);
    while (done < 0 && errno == EINTR);
    r->pid = 0;
    return done > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* It says so when it is ready; when it cannot be, it ends, and is left the moment to do so. */
static int await_ready(struct renderer *r)
{
    struct pollfd ready = { .fd = r->control, .events = POLLIN };
    char word[8];
    int code;

    if (poll(&ready, 1, START_MS) == 1 && recv(r->control, word, sizeof(word), 0) == 5 && memcmp(word, "ready", 5) == 0)
        return 0;
    for (int i = 0; i < 100; i++) {
        siginfo_t info = { .si_pid = 0 };

        if (waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0)
            break;
        usleep(10000);
    }
    code = put_down(r);
    log_error("document_renderer", "error=%s code=%d", code == EXIT_NO_LIBRARY ? "library missing" : "not ready", code);
    return code == EXIT_NO_LIBRARY ? -ENOENT : -EPIPE;
}

/* The lock is held. */
static int start(struct renderer *r)
{
    char path[PATH_MAX];
    int pair[2], e;

    if (r->pid != 0)
        return 0;
    if (clock_mono_us() < r->again_us)
        return r->failure;
    e = find_script(r->config, path) ? 0 : -ENOENT;
    if (e == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    if (e == 0) {
        e = spawn(path, r->config, pair[1], &r->pid);
        close(pair[1]);
        if (e < 0) {
            r->pid = 0;
            close(pair[0]);
        } else {
            r->control = pair[0];
            r->generation++;
            e = await_ready(r);
        }
    }
    if (e < 0) {
        r->failure = e;
        r->again_us = clock_mono_us() + AGAIN_US;
        log_error("document_renderer_start", "error=%s", strerrordesc_np(-e));
    }
    return e;
}

static int hand_over(int control, const char *format, int socket)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ancillary = { .room = { 0 } };
    struct iovec text = { .iov_base = (void *)format, .iov_len = strlen(format) };
    struct msghdr message = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = ancillary.room, .msg_controllen = sizeof(ancillary.room)
    };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &socket, sizeof(int));
    return sendmsg(control, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* A socket on which a copy of the process takes the job. One that has ended since is started anew. */
static int open_job(struct renderer *r, const char *format, int *ret_socket, uint64_t *ret_generation)
{
    int pair[2], e = -EPIPE;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pthread_mutex_lock(&r->lock);
    for (int tries = 0; tries < 2; tries++) {
        e = start(r);
        if (e < 0)
            break;
        e = hand_over(r->control, format, pair[1]);
        if (e != -EPIPE && e != -ECONNRESET)
            break;
        put_down(r);
    }
    *ret_generation = r->generation;
    pthread_mutex_unlock(&r->lock);
    close(pair[1]);
    if (e < 0) {
        close(pair[0]);
        return e == -EAGAIN ? -EPIPE : e;
    }
    *ret_socket = pair[0];
    return 0;
}

/* Whether the process itself has ended while it had a job; then it is forgotten. With end: it is ended. */
static bool process_gone(struct renderer *r, uint64_t generation, bool end)
{
    bool gone = false;

    pthread_mutex_lock(&r->lock);
    if (r->generation != generation || r->pid == 0) {
        gone = true;
    } else {
        siginfo_t info = { .si_pid = 0 };

        gone = waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
        if (gone || end)
            put_down(r);
    }
    pthread_mutex_unlock(&r->lock);
    return gone;
}

/* ---- one document ---- */

static int left_ms(int64_t deadline_us)
{
    int64_t left = (deadline_us - clock_mono_us() + 999) / 1000;

    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int await_fd(int fd, short events, int64_t deadline_us)
{
    struct pollfd p = { .fd = fd, .events = events };
    int n;

    do
        n = poll(&p, 1, left_ms(deadline_us));
    while (n < 0 && errno == EINTR);
    return n == 0 ? -ETIME : n < 0 ? -errno : 0;
}

static int send_all(int fd, struct str text, int64_t deadline_us)
{
    while (text.n > 0) {
        ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        int e;

        if (n >= 0) {
            text.p += n;
            text.n -= (size_t)n;
            continue;
        }
        if (errno == EPIPE || errno == ECONNRESET)
            return 0; /* it has said why, or nothing: its answer is read all the same */
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        e = await_fd(fd, POLLOUT, deadline_us);
        if (e < 0)
            return e;
    }
    return shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN ? -errno : 0;
}

static int receive_all(int fd, struct buf *out, int64_t deadline_us)
{
    for (;;) {
        char *room = buf_reserve(out, 64U * 1024U);
        ssize_t n;
        int e;

        if (room == NULL)
            return -ENOMEM;
        e = await_fd(fd, POLLIN, deadline_us);
        if (e < 0)
            return e;
        n = recv(fd, room, 64U * 1024U, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return 0;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        out->n += n > 0 ? (size_t)n : 0;
    }
}

/* «ok 1234» and as many bytes; what is cut short is no answer. */
static int read_answer(const struct buf *answer, struct buf *ret)
{
    const char *end = answer->n > 0 ? memchr(answer->p, '\n', answer->n) : NULL;
    char line[LINE_MAX_BYTES];
    size_t n, rest;
    int64_t size;
    char *space;

    if (end == NULL || (size_t)(end - answer->p) >= sizeof(line))
        return -EPIPE;
    n = (size_t)(end - answer->p);
    memcpy(line, answer->p, n);
    line[n] = '\0';
    rest = answer->n - n - 1;
    space = strchr(line, ' ');
    if (space == NULL || str_to_i64(space + 1, 0, DOCUMENT_MAX, &size) < 0)
        return -EPIPE;
    *space = '\0';
    if (strcmp(line, "large") == 0)
        return -EFBIG;
    if (strcmp(line, "ok") != 0)
        return strcmp(line, "fault") == 0 ? -EBADMSG : -EPIPE;
    if ((size_t)size != rest)
        return -EPIPE;
    buf_add(ret, end + 1, rest);
    return ret->failed ? -ENOMEM : 0;
}

/* One try. *ret_again: nothing came since the process itself had ended, which another try mends. */
static int make_once(struct renderer *r, const char *format, struct str json, struct buf *ret, bool *ret_again)
{
    int64_t time_us = r->config->document_timeout_s * 1000000, began_us, deadline_us;
    _cleanup_(buf_free) struct buf answer = { 0 };
    _cleanup_(closep) int fd = -1;
    uint64_t generation = 0;
    int e;

    *ret_again = false;
    e = open_job(r, format, &fd, &generation);
    if (e < 0)
        return e;
    began_us = clock_mono_us();
    deadline_us = began_us + time_us + GRACE_MS * INT64_C(1000);
    buf_init(&answer, DOCUMENT_MAX + LINE_MAX_BYTES + 64U * 1024U);
    e = send_all(fd, json, deadline_us);
    if (e == 0)
        e = receive_all(fd, &answer, deadline_us);
    if (e == 0)
        e = read_answer(&answer, ret);
    if (e == -ETIME) {
        /* Its copies end by themselves in time: one that does not is not to be trusted with anything more. */
        process_gone(r, generation, true);
        return e;
    }
    if (e == -EPIPE && answer.n == 0)
        *ret_again = process_gone(r, generation, false);
    return e == -EPIPE && clock_mono_us() - began_us >= time_us ? -ETIME : e;
}

static bool take_turn(struct renderer *r)
{
    int64_t wait_ms = r->config->document_wait_ms;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000 + (until.tv_nsec + wait_ms % 1000 * 1000000) / 1000000000;
    until.tv_nsec = (until.tv_nsec + wait_ms % 1000 * 1000000) % 1000000000;
    while (sem_clockwait(&r->free, CLOCK_MONOTONIC, &until) < 0)
        if (errno != EINTR)
            return false;
    return true;
}

int renderer_make(struct renderer *r, const char *format, uint64_t holder, struct str json, struct buf *ret)
{
    bool again = false;
    int e = -EAGAIN;

    if (r->config->document_workers == 0)
        return -ENOENT;
    if (!places_take(r->places, holder))
        return -EAGAIN;
    if (take_turn(r)) {
        e = make_once(r, format, json, ret, &again);
        if (e < 0 && again)
            e = make_once(r, format, json, ret, &again);
        sem_post(&r->free);
    }
    places_give(r->places, holder);
    return e;
}

struct renderer *renderer_free(struct renderer *r)
{
    if (r == NULL)
        return NULL;
    put_down(r);
    places_free(r->places);
    sem_destroy(&r->free);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return NULL;
}
