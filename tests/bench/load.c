/*
 * A closed-loop HTTP client for the benchmark: one thread, keep-alive connections, each with a list of requests that it
 * sends in turn, waiting for every answer. Reads its job from standard input and writes one JSON line of what it measured.
 *
 *   port N                  on 127.0.0.1
 *   warm SECONDS            not counted
 *   seconds SECONDS         counted; SIGTERM ends it earlier
 *   header NAME: VALUE      on every request
 *   group CONNECTIONS RATE  connections of one kind; RATE bytes a second are read of each, 0 for all there is
 *   request LABEL METHOD TARGET <tab> HEADER <tab> … <tab> =BODY
 *                           what the group's connections send in turn; headers and body may be left out
 *
 * In a request @r:LOW:HIGH@ is a random number, @o:LOW:HIGH@ one that no other connection of the group takes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "job.h"

#define INPUT_MAX 262144

enum state { IN_HEAD, IN_BODY, IN_SIZE, IN_CHUNK, IN_TRAILER };

struct connection {
    int fd;
    const struct group *group;
    unsigned index; /* in its group */
    size_t turn;
    const struct request *now;
    int64_t began, resume; /* resume: when to read on, 0 for now */
    char out[OUT_MAX];
    size_t out_n, out_sent;
    enum state state;
    char head[HEAD_MAX];
    size_t head_n;
    uint64_t left;
    size_t line; /* characters of the present line of sizes or trailers */
    int status;
    bool close;
};

static int poller;
static int64_t from, until;
static uint64_t broken;
static uint64_t seed = 0x9e3779b97f4a7c15u;
static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint64_t random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- sending ---- */

static size_t expand(const struct template *t, const struct connection *c, char *p, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct piece *x = &t->pieces[i];
        uint64_t number, span = x->high - x->low + 1, share = c->group->connections;

        if (x->kind == 0) {
            if (x->n > max - n)
                die("too long a request");
            memcpy(p + n, x->text, x->n);
            n += x->n;
            continue;
        }
        if (x->kind == 'o' && span >= share)
            number = x->low + c->index + random_next() % (span / share) * share;
        else
            number = x->low + random_next() % span;
        n += (size_t)snprintf(p + n, max - n, "%lu", number);
    }
    return n;
}

static void watch(struct connection *c, int op, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = c };

    if (epoll_ctl(poller, op, c->fd, &e) < 0)
        die("epoll_ctl");
}

static void open_connection(struct connection *c)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)job.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void flush(struct connection *c)
{
    while (c->out_sent < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_n - c->out_sent, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return; /* what is wrong shows when reading */
        if (n > 0)
            c->out_sent += (size_t)n;
    }
}

static void send_next(struct connection *c)
{
    static char body[OUT_MAX];
    size_t n_body = 0;

    c->now = &c->group->requests[c->turn++ % c->group->n];
    c->out_n = expand(&c->now->head, c, c->out, sizeof(c->out));
    if (c->now->has_body) {
        n_body = expand(&c->now->body, c, body, sizeof(body));
        c->out_n += (size_t)snprintf(c->out + c->out_n, sizeof(c->out) - c->out_n, "Content-Length: %zu\r\n", n_body);
    }
    if (c->out_n + n_body + 2 > sizeof(c->out))
        die("too long a request");
    memcpy(c->out + c->out_n, "\r\n", 2);
    memcpy(c->out + c->out_n + 2, body, n_body);
    c->out_n += 2 + n_body;
    c->out_sent = 0;
    c->state = IN_HEAD;
    c->head_n = 0;
    c->began = now_us();
    flush(c);
}

/* ---- receiving ---- */

static bool counts(int64_t t)
{
    return t >= from && t < until;
}

static void ended(struct connection *c)
{
    struct label *l = &job.labels[c->now->label];
    int64_t t = now_us();

    if (counts(t)) {
        if (l->n == l->cap) {
            l->cap = l->cap > 0 ? 2 * l->cap : 65536;
            l->latencies = realloc(l->latencies, l->cap * sizeof(*l->latencies));
            if (l->latencies == NULL)
                die("memory");
        }
        l->latencies[l->n++] = (uint32_t)(t - c->began);
        if (c->status >= 200 && c->status < 400) {
            l->good++;
        } else if (c->status == 503 || c->status == 429) {
            l->refused++;
        } else {
            l->bad++;
            l->last_bad = c->status;
        }
    }
    if (c->close) {
        close(c->fd);
        c->close = false;
        open_connection(c);
    }
    send_next(c);
}

static void read_head(struct connection *c)
{
    const char *length = strcasestr(c->head, "\r\ncontent-length:");

    c->status = atoi(c->head + 9);
    c->close = strcasestr(c->head, "\r\nconnection: close") != NULL;
    c->line = 0;
    c->left = 0;
    if (strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL) {
        c->state = IN_SIZE;
        return;
    }
    if (length != NULL)
        c->left = strtoull(length + 17, NULL, 10);
    c->state = IN_BODY;
}

/* What is left of the input after a head was completed, or 0. */
static size_t take_head(struct connection *c, const char *p, size_t n)
{
    size_t before = c->head_n > 3 ? c->head_n - 3 : 0,
           take = n < HEAD_MAX - 1 - c->head_n ? n : HEAD_MAX - 1 - c->head_n;
    const char *end;
    size_t head;

    memcpy(c->head + c->head_n, p, take);
    end = memmem(c->head + before, c->head_n + take - before, "\r\n\r\n", 4);
    if (end == NULL) {
        c->head_n += take;
        if (c->head_n == HEAD_MAX - 1)
            die("too long a head");
        return 0;
    }
    head = (size_t)(end - c->head) + 4;
    c->head[head] = '\0';
    take = head - c->head_n;
    read_head(c);
    return n - take;
}

/* One character of a chunk's size or of the trailer; whether the answer is whole. */
static bool take_character(struct connection *c, char byte)
{
    if (c->state == IN_SIZE) {
        if (byte == '\n') {
            c->state = c->left > 0 ? IN_CHUNK : IN_TRAILER;
            c->left += c->left > 0 ? 2 : 0;
            c->line = 0;
        } else if (byte != '\r') {
            c->left = c->left * 16 + (uint64_t)(byte <= '9' ? byte - '0' : (byte | 32) - 'a' + 10);
        }
        return false;
    }
    if (byte == '\n' && c->line == 0)
        return true;
    c->line = byte == '\n' ? 0 : c->line + (byte != '\r');
    return false;
}

static void feed(struct connection *c, const char *p, size_t n)
{
    if (counts(now_us()))
        job.labels[c->now->label].bytes += n;
    while (n > 0 || (c->state == IN_BODY && c->left == 0)) {
        size_t rest, take;

        switch (c->state) {
        case IN_HEAD:
            rest = take_head(c, p, n);
            p += n - rest;
            n = rest;
            if (c->state == IN_HEAD)
                return;
            break;
        case IN_BODY:
        case IN_CHUNK:
            take = n < c->left ? n : c->left;
            p += take;
            n -= take;
            c->left -= take;
            if (c->left > 0)
                return;
            if (c->state == IN_CHUNK) {
                c->state = IN_SIZE;
                break;
            }
            ended(c);
            return;
        case IN_SIZE:
        case IN_TRAILER:
            n--;
            if (take_character(c, *p++)) {
                ended(c);
                return;
            }
            break;
        }
    }
}

static void receive(struct connection *c)
{
    static char input[INPUT_MAX];
    size_t most = c->group->rate > 0 ? c->group->rate / 50 + 1 : sizeof(input);
    ssize_t n;

    n = recv(c->fd, input, most < sizeof(input) ? most : sizeof(input), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        broken++;
        close(c->fd);
        open_connection(c);
        send_next(c);
        return;
    }
    if (c->group->rate > 0) {
        c->resume = now_us() + n * 1000000 / (int64_t)c->group->rate;
        watch(c, EPOLL_CTL_MOD, 0);
    }
    feed(c, input, (size_t)n);
}

static void resume(struct connection *connections, size_t n)
{
    int64_t t = now_us();

    for (size_t i = 0; i < n; i++)
        if (connections[i].resume != 0 && connections[i].resume <= t) {
            connections[i].resume = 0;
            watch(&connections[i], EPOLL_CTL_MOD, EPOLLIN);
        }
}

/* ---- the report ---- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(double measured)
{
    printf("{\"seconds\":%.3f,\"broken\":%lu,\"labels\":{", measured, broken);
    for (size_t i = 0; i < job.n_labels; i++) {
        struct label *l = &job.labels[i];

        qsort(l->latencies, l->n, sizeof(*l->latencies), compare);
        printf("%s\"%s\":{\"n\":%zu,\"good\":%lu,\"refused\":%lu,\"bad\":%lu,\"last_bad\":%d,\"bytes\":%lu",
            i > 0 ? "," : "", l->name, l->n, l->good, l->refused, l->bad, l->last_bad, l->bytes);
        printf(",\"p50\":%u,\"p99\":%u,\"max\":%u}", l->n ? l->latencies[l->n / 2] : 0,
            l->n ? l->latencies[(size_t)((double)l->n * 0.99)] : 0, l->n ? l->latencies[l->n - 1] : 0);
    }
    printf("}}\n");
}

int main(void)
{
    struct connection *connections;
    size_t n = 0, total = 0;
    int64_t t;

    signal(SIGTERM, on_stop);
    job_read();
    for (size_t g = 0; g < job.n_groups; g++)
        total += job.groups[g].connections;
    connections = calloc(total, sizeof(*connections));
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (total == 0 || connections == NULL || poller < 0)
        die("start");
    t = now_us();
    from = t + (int64_t)(job.warm * 1e6);
    until = from + (int64_t)(job.seconds * 1e6);
    for (size_t g = 0; g < job.n_groups; g++)
        for (unsigned i = 0; i < job.groups[g].connections; i++, n++) {
            connections[n] = (struct connection){
                .group = &job.groups[g], .index = i, .turn = i % (job.groups[g].n > 0 ? job.groups[g].n : 1)
            };
            open_connection(&connections[n]);
            send_next(&connections[n]);
        }
    while (!stop && (t = now_us()) < until) {
        struct epoll_event events[64];
        int ready = epoll_wait(poller, events, 64, 2);

        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
        resume(connections, total);
    }
    t = now_us();
    report(t > from ? (double)((t < until ? t : until) - from) / 1e6 : 0);
    return 0;
}
