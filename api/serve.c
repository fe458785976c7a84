/* tiendo serve: listeners up, wait for a signal, drain, down. */
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background.h"
#include "bridge.h"
#include "caller.h"
#include "commands.h"
#include "dispatch.h"
#include "health.h"
#include "log.h"
#include "metrics.h"
#include "service.h"
#include "upload.h"
#include "watch.h"

#define MEMORY_LIMIT    (16U * 1024U) /* request line and headers */
#define STACK_SANITIZED (1024U * 1024U)
#define FIGURES_MAX     (4U * 1024U * 1024U)
#define FIGURES_CALLERS 16

static size_t stack_size(const struct config *config)
{
    size_t size = (size_t)config->thread_stack_kb * 1024;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    if (size < STACK_SANITIZED)
        size = STACK_SANITIZED;
#endif
    return size;
}

/* The listener of /metrics: nothing else is there. */
static void answer_figures(void *userdata, struct bridge_request *req, struct bridge_reply *reply)
{
    struct buf out;

    if (strcmp(req->target, "/metrics") != 0) {
        reply->status = 404;
        return;
    }
    buf_init(&out, FIGURES_MAX);
    metrics_render(userdata, &out);
    reply->status = out.failed ? 500 : 200;
    reply->headers[reply->n_headers++] = (struct header){ "Content-Type", "text/plain; version=0.0.4; charset=utf-8" };
    reply->body = out.p;
    reply->body_n = out.n;
}

static size_t largest_body(const struct config *config)
{
    return (
        size_t)(config->max_import_bytes > config->max_body_bytes ? config->max_import_bytes : config->max_body_bytes);
}

static bool admit_body(void *userdata, const char *authorization)
{
    return caller_admitted(userdata, authorization);
}

static int open_listeners(struct service *service)
{
    const struct config *config = service->config;
    struct bridge_options front = {
        .address = config->listen_address,
        .port = (uint16_t)config->port,
        .connections = (unsigned)config->connection_limit,
        .timeout_s = (unsigned)config->connection_timeout_s,
        .memory_limit = MEMORY_LIMIT,
        .stack_size = stack_size(config),
        .body_max = largest_body(config),
        .body_free = 2 * (size_t)config->max_body_bytes, /* so far that what is a little too large is told so */
        .admit = admit_body,
        .sink = &upload_sink,
        .fn = dispatch,
        .userdata = service,
    };
    struct bridge_options figures = front;
    int r;

    r = bridge_start(&front, &service->front);
    if (r < 0 || config->metrics_port == 0)
        return r;
    figures.address = config->metrics_address;
    figures.port = (uint16_t)config->metrics_port;
    figures.connections = FIGURES_CALLERS;
    figures.body_max = 0;
    figures.admit = NULL;
    figures.sink = NULL;
    figures.fn = answer_figures;
    return bridge_start(&figures, &service->figures);
}

static void wait_for_end(const sigset_t *signals)
{
    int signal = 0;

    while (sigwait(signals, &signal) != 0 || (signal != SIGTERM && signal != SIGINT))
        ;
    log_info("draining", "signal=%d", signal);
}

static int run(struct service *service, const sigset_t *signals)
{
    struct background *background = NULL;
    int r;

    r = open_listeners(service);
    if (r < 0) {
        log_error("listen", "address=%s port=%lld error=%s", service->config->listen_address,
            (long long)service->config->port, strerrordesc_np(-r));
        return r;
    }
    r = background_start(service->config, service->watch, &background);
    if (r == 0) {
        log_info("serving", "address=%s port=%u", service->config->listen_address, bridge_port(service->front));
        wait_for_end(signals);
    }
    atomic_store(&service->draining, true);
    watch_close(service->watch);
    bridge_stop(service->figures, 0); /* it looks at the other listener */
    bridge_stop(service->front, (unsigned)service->config->drain_timeout_s * 1000);
    background_stop(background);
    return r;
}

/* Threads come and go with connections: few heaps, and large blocks given back at once, keep memory small. */
static void tame_memory(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

/*
 * Threads woken by an answer do not push aside the database's processes on the same cores, so that answers are read several
 * at a time (measured with shared calls: a third more requests). Needs no privilege; where it is refused, all works as well.
 */
static void wake_politely(void)
{
    const struct sched_param none = { 0 };

    if (sched_setscheduler(0, SCHED_BATCH, &none) < 0)
        log_info("sched_batch_refused", "error=%s", strerrordesc_np(errno));
}

int command_serve(const struct config *config, int argc, char **argv)
{
    struct service *service = NULL;
    sigset_t signals;
    int r;

    (void)argv;
    if (argc > 0) {
        fputs("tiendo serve takes no arguments\n", stderr);
        return 2;
    }
    tame_memory();
    wake_politely();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is told by write() */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    /* Before any thread, so that all of them inherit it. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    r = health_check_role(config);
    if (r == -EPERM)
        return 1;
    r = service_new(config, &service);
    if (r == 0)
        r = run(service, &signals);
    service_free(service);
    log_info("stopped", "clean=%d", r == 0);
    return r < 0 ? 1 : 0;
}
