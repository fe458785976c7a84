#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "text.h"
#include "util.h"

#define THREADS 4
#define LINES   1000

static char got[1 << 22];

/* Out of the compiler's sight, which knows that printf dislikes NULL. */
static const char *volatile nothing;

/* What is in FD, closed by a NUL. */
static size_t take(int fd)
{
    size_t n = 0;
    ssize_t r;

    while (n + 1 < sizeof(got) && (r = read(fd, got + n, sizeof(got) - 1 - n)) > 0)
        n += (size_t)r;
    got[n] = '\0';
    return n;
}

/* A pipe whose reading end does not wait; the log writes to the other. */
static void open_pipe(int fd[2])
{
    ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
    ck_assert_int_eq(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    log_init(fd[1], LOG_LEVEL_INFO);
}

/* The text after "event": of the line in the pipe. */
static const char *fields(int fd)
{
    const char *p;

    ck_assert_uint_gt(take(fd), 0);
    ck_assert_int_eq(got[strlen(got) - 1], '\n');
    ck_assert_ptr_eq(strchr(got, '\n'), got + strlen(got) - 1);
    p = strstr(got, "\"event\":");
    ck_assert_ptr_nonnull(p);
    return p + strlen("\"event\":");
}

START_TEST(a_line_names_time_level_and_event)
{
    int fd[2];
    int64_t us;

    open_pipe(fd);
    log_warn("pool_full", "");
    ck_assert_str_eq(fields(fd[0]), "\"pool_full\"}\n");
    ck_assert_int_eq(memcmp(got, "{\"time\":\"", 9), 0);
    ck_assert_int_eq(clock_parse_rfc3339(got + 9, strcspn(got + 9, "\""), &us), 0);
    ck_assert_ptr_nonnull(strstr(got, ",\"level\":\"warn\","));
}
END_TEST

START_TEST(fields_are_json)
{
    int fd[2];

    open_pipe(fd);
    log_info("e", "text=%s none=%s cut=%.*s digit=%.2s", "a \"b\"\n\xff", nothing, 3, "abcdef", "xyz");
    ck_assert_str_eq(
        fields(fd[0]), "\"e\",\"text\":\"a \\\"b\\\"\\n\\ufffd\",\"none\":null,\"cut\":\"abc\",\"digit\":\"xy\"}\n");
    log_info("e", "i=%d u=%u l=%ld ll=%lld ul=%lu z=%zu sz=%zd j=%jd c=%c", -1, 4000000000u, -5L, INT64_MIN + 0LL, 7UL,
        (size_t)8, (ssize_t)-9, (intmax_t)10, 'q');
    ck_assert_str_eq(fields(fd[0]),
        "\"e\",\"i\":-1,\"u\":4000000000,\"l\":-5,\"ll\":-9223372036854775808,\"ul\":7,"
        "\"z\":8,\"sz\":-9,\"j\":10,\"c\":\"q\"}\n");
    log_info("e", "f=%.3f g=%g nan=%f x=%x", 1.5, 0.25, __builtin_nan(""), 255u);
    ck_assert_str_eq(fields(fd[0]), "\"e\",\"f\":1.500,\"g\":0.25,\"nan\":null,\"x\":\"ff\"}\n");
}
END_TEST

START_TEST(long_values_are_cut_not_lost)
{
    char text[10000];
    int fd[2];

    open_pipe(fd);
    memset(text, 'x', sizeof(text));
    log_info("e", "short=%d long=%.*s after=%d", 1, (int)sizeof(text), text, 2);
    ck_assert_str_eq(fields(fd[0]), "\"e\",\"short\":1,\"truncated\":true}\n");
}
END_TEST

START_TEST(levels_are_kept_apart)
{
    enum log_level level;
    int fd[2];

    open_pipe(fd);
    log_debug("quiet", "");
    ck_assert_uint_eq(take(fd[0]), 0);
    ck_assert(log_enabled(LOG_LEVEL_INFO));
    ck_assert(!log_enabled(LOG_LEVEL_DEBUG));
    ck_assert_int_eq(log_level_parse("error", &level), 0);
    ck_assert_int_eq(level, LOG_LEVEL_ERROR);
    ck_assert_str_eq(log_level_name(level), "error");
    ck_assert_int_eq(log_level_parse("ERROR", &level), -EINVAL);
    log_init(fd[1], level);
    log_warn("quiet", "");
    ck_assert_uint_eq(take(fd[0]), 0);
}
END_TEST

START_TEST(a_request_line_is_written_as_it_is)
{
    _cleanup_(buf_free) struct buf b;
    int fd[2];

    open_pipe(fd);
    buf_init(&b, 100);
    buf_adds(&b, "{\"status\":200}");
    log_line(&b);
    buf_addc(&b, '\n');
    log_line(&b);
    (void)take(fd[0]);
    ck_assert_str_eq(got, "{\"status\":200}\n{\"status\":200}\n");
}
END_TEST

START_TEST(a_full_pipe_drops_and_recovers)
{
    uint64_t before = log_dropped(), lost;
    size_t lines = 0;
    int fd[2];

    open_pipe(fd);
    for (int i = 0; i < 5000; i++)
        log_info("filling", "number=%d", i);
    lost = log_dropped() - before;
    ck_assert_uint_gt(lost, 0);
    (void)take(fd[0]);
    for (const char *p = got; (p = strchr(p, '\n')); p++)
        lines++;
    ck_assert_uint_eq(lines + lost, 5000);
    log_info("again", "");
    ck_assert_uint_eq(log_dropped() - before, lost);
    ck_assert_str_eq(fields(fd[0]), "\"again\"}\n");
    /* The description that others share still waits. */
    ck_assert_int_eq(fcntl(fd[1], F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(a_full_socket_drops_and_recovers)
{
    uint64_t before = log_dropped();
    int fd[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    ck_assert_int_eq(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    log_init(fd[1], LOG_LEVEL_INFO);
    for (int i = 0; i < 20000; i++)
        log_info("filling", "number=%d", i);
    ck_assert_uint_gt(log_dropped(), before);
    while (take(fd[0]) > 0)
        ;
    before = log_dropped();
    log_info("again", "");
    ck_assert_uint_eq(log_dropped(), before);
    (void)close(fd[0]);
    log_info("nobody", "");
    ck_assert_uint_eq(log_dropped(), before + 1);
}
END_TEST

START_TEST(a_full_disk_drops)
{
    _cleanup_(closep) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    uint64_t before = log_dropped();

    ck_assert_int_ge(fd, 0);
    log_init(fd, LOG_LEVEL_INFO);
    errno = 42;
    log_info("lost", "");
    ck_assert_int_eq(errno, 42);
    ck_assert_uint_eq(log_dropped(), before + 1);
}
END_TEST

START_TEST(a_reader_gone_drops)
{
    uint64_t before = log_dropped();
    int fd[2];

    (void)signal(SIGPIPE, SIG_IGN);
    open_pipe(fd);
    (void)close(fd[0]);
    log_info("nobody", "");
    ck_assert_uint_eq(log_dropped(), before + 1);
}
END_TEST

START_TEST(a_torn_line_is_ended)
{
    static char long_text[200000];
    _cleanup_(buf_free) struct buf b;
    size_t n;
    int fd[2];

    open_pipe(fd);
    buf_init(&b, sizeof(long_text));
    memset(long_text, 'x', sizeof(long_text));
    buf_add(&b, long_text, sizeof(long_text));
    log_line(&b);
    n = take(fd[0]);
    ck_assert_uint_lt(n, sizeof(long_text));
    log_info("next", "");
    ck_assert_uint_gt(take(fd[0]), 0);
    ck_assert_int_eq(memcmp(got, "\n{\"time\"", 8), 0);
}
END_TEST

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("line", "thread=%d number=%d text=%s", *(const int *)arg, i, "một dòng, một lần ghi");
    return NULL;
}

START_TEST(lines_of_threads_do_not_mix)
{
    char name[] = "/tmp/tiendo-log-XXXXXX";
    _cleanup_(closep) int fd = mkostemp(name, O_APPEND | O_CLOEXEC);
    pthread_t thread[THREADS];
    int number[THREADS], lines = 0;

    ck_assert_int_ge(fd, 0);
    (void)unlink(name);
    log_init(fd, LOG_LEVEL_INFO);
    for (int i = 0; i < THREADS; i++) {
        number[i] = i;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, write_lines, &number[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    (void)take(fd);
    for (char *p = got, *end; (end = strchr(p, '\n')); p = end + 1) {
        static const char tail[] = "\"text\":\"một dòng, một lần ghi\"}";

        *end = '\0';
        ck_assert_int_eq(memcmp(p, "{\"time\":", 8), 0);
        ck_assert_str_eq(end - strlen(tail), tail);
        ck_assert_ptr_null(strstr(p + 1, "{"));
        lines++;
    }
    ck_assert_int_eq(lines, THREADS * LINES);
}
END_TEST

RUN_TESTS("log", a_line_names_time_level_and_event, fields_are_json, long_values_are_cut_not_lost,
    levels_are_kept_apart, a_request_line_is_written_as_it_is, a_full_pipe_drops_and_recovers,
    a_full_socket_drops_and_recovers, a_full_disk_drops, a_reader_gone_drops, a_torn_line_is_ended,
    lines_of_threads_do_not_mix)
