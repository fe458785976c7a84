#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "clock.h"
#include "text.h"

#define LINE_MAX_BYTES 4000 /* below PIPE_BUF, so lines of several processes do not mix in a pipe */
#define LINE_TAIL      32

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static int log_fd = STDERR_FILENO;
static bool log_is_socket;
static enum log_level log_lowest = LOG_LEVEL_INFO;
static _Atomic uint64_t dropped;
static atomic_bool torn; /* the last write stopped in the middle of a line */

/*
 * A pipe or terminal is opened anew: O_NONBLOCK on the inherited description would reach whoever shares it. Files do
 * not block and sockets take MSG_DONTWAIT, so both stay as they are.
 */
void log_init(int fd, enum log_level level)
{
    static int opened = -1;
    char name[32];
    struct stat st;

    if (opened >= 0)
        (void)close(opened);
    opened = -1;
    log_fd = fd;
    log_lowest = level;
    log_is_socket = false;
    if (fstat(fd, &st) < 0)
        return;
    log_is_socket = S_ISSOCK(st.st_mode);
    if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
        return;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    opened = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (opened >= 0)
        log_fd = opened;
}

int log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_enabled(enum log_level level)
{
    return level >= log_lowest;
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

void log_line(const struct buf *line)
{
    struct iovec iov[3];
    int n = 0, saved = errno;
    size_t total = 0;
    ssize_t written;

    /* A torn line is ended first, so that this one stays readable. */
    if (atomic_exchange_explicit(&torn, false, memory_order_relaxed))
        iov[n++] = (struct iovec){ (void *)(uintptr_t) "\n", 1 };
    if (line->n > 0)
        iov[n++] = (struct iovec){ line->p, line->n };
    if (line->n == 0 || line->p[line->n - 1] != '\n')
        iov[n++] = (struct iovec){ (void *)(uintptr_t) "\n", 1 };
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    do {
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = (size_t)n };

        written = log_is_socket ? sendmsg(log_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) : writev(log_fd, iov, n);
    } while (written < 0 && errno == EINTR);
    if (written != (ssize_t)total) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
        if (written > 0)
            atomic_store_explicit(&torn, true, memory_order_relaxed);
    }
    errno = saved;
}

/* One conversion of the format: %[.precision][length]letter. */
struct conversion {
    int precision; /* -1: none, -2: an argument */
    char length;   /* 'l', 'L' for ll, 'z', 'j', 'h', 0 */
    char letter;
};

static const char *take_conversion(const char *p, struct conversion *ret)
{
    struct conversion c = { .precision = -1 };

    p++;
    if (*p == '.') {
        p++;
        if (*p == '*') {
            c.precision = -2;
            p++;
        } else {
            for (c.precision = 0; *p >= '0' && *p <= '9'; p++)
                c.precision = c.precision * 10 + (*p - '0');
        }
    }
    for (; *p == 'l' || *p == 'z' || *p == 'j' || *p == 'h'; p++)
        c.length = c.length == 'l' ? 'L' : *p;
    c.letter = *p;
    *ret = c;
    return *p ? p + 1 : p;
}

static void add_signed(struct buf *b, char length, va_list *ap)
{
    switch (length) {
    case 'l': buf_add_i64(b, va_arg(*ap, long)); break;
    case 'L': buf_add_i64(b, va_arg(*ap, long long)); break;
    case 'j': buf_add_i64(b, va_arg(*ap, intmax_t)); break;
    case 'z': buf_add_i64(b, va_arg(*ap, ssize_t)); break;
    default: buf_add_i64(b, va_arg(*ap, int));
    }
}

static void add_unsigned(struct buf *b, char length, bool hex, va_list *ap)
{
    uintmax_t v;

    switch (length) {
    case 'l': v = va_arg(*ap, unsigned long); break;
    case 'L': v = va_arg(*ap, unsigned long long); break;
    case 'j': v = va_arg(*ap, uintmax_t); break;
    case 'z': v = va_arg(*ap, size_t); break;
    default: v = va_arg(*ap, unsigned);
    }
    if (hex)
        buf_addf(b, "\"%jx\"", v);
    else
        buf_addf(b, "%ju", v);
}

static void add_real(struct buf *b, const struct conversion *c, double v)
{
    int precision = c->precision >= 0 ? c->precision : 6;

    if (__builtin_isfinite(v))
        buf_addf(b, c->letter == 'g' ? "%.*g" : "%.*f", precision, v);
    else
        buf_adds(b, "null");
}

static void add_text(struct buf *b, int precision, const char *s)
{
    if (s && precision >= 0)
        buf_json_string(b, s, strnlen(s, (size_t)precision));
    else
        buf_json_cstr(b, s);
}

/* The value of one conversion; false for a letter that is not ours (the rest cannot be read then). */
static bool add_value(struct buf *b, struct conversion c, va_list *ap)
{
    char letter;

    if (c.precision == -2)
        c.precision = va_arg(*ap, int);
    switch (c.letter) {
    case 's': add_text(b, c.precision, va_arg(*ap, const char *)); return true;
    case 'd':
    case 'i': add_signed(b, c.length, ap); return true;
    case 'u': add_unsigned(b, c.length, false, ap); return true;
    case 'x': add_unsigned(b, c.length, true, ap); return true;
    case 'f':
    case 'g': add_real(b, &c, va_arg(*ap, double)); return true;
    case 'c':
        letter = (char)va_arg(*ap, int);
        buf_json_string(b, &letter, 1);
        return true;
    default: return false;
    }
}

/* ,"name":value for each name=%conversion. */
static void add_fields(struct buf *b, const char *fmt, va_list *ap)
{
    while (*fmt) {
        size_t name = strcspn(fmt, "=");
        size_t whole = b->n;
        struct conversion c;

        if (fmt[name] != '=' || fmt[name + 1] != '%')
            return;
        buf_addc(b, ',');
        buf_json_string(b, fmt, name);
        buf_addc(b, ':');
        fmt = take_conversion(fmt + name + 1, &c);
        if (!add_value(b, c, ap) || b->failed) {
            /* Too long, or a format we do not know: the fields so far are worth having. */
            b->n = whole;
            b->failed = false;
            b->max += LINE_TAIL;
            buf_adds(b, ",\"truncated\":true");
            return;
        }
        while (*fmt == ' ')
            fmt++;
    }
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    char now[CLOCK_TEXT];
    struct buf b;
    va_list ap;

    if (!log_enabled(level))
        return;
    buf_init(&b, LINE_MAX_BYTES);
    clock_format_rfc3339(clock_now_us(), now);
    buf_addf(&b, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":", now, level_names[level]);
    buf_json_cstr(&b, event);
    if (fmt) {
        va_start(ap, fmt);
        add_fields(&b, fmt, &ap);
        va_end(ap);
    }
    b.max += LINE_TAIL;
    buf_adds(&b, "}\n");
    if (b.failed)
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    else
        log_line(&b);
    buf_free(&b);
}
