#include "metrics.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge.h"
#include "service.h"
#include "log.h"
#include "protocol.h"

#define STATUSES 20U /* different ones kept for a route; the last takes the rest */

static const int64_t bounds_us[] = { 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,
    2500000, 10000000 };
static const char *const bounds_text[] = { "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
    "0.5", "1", "2.5", "10" };

#define BUCKETS ARRAY_SIZE(bounds_us)

struct series {
    atomic_uint status; /* 0: free */
    atomic_uint_fast64_t count, sum_us;
    atomic_uint_fast64_t bucket[BUCKETS];
};

struct route {
    struct series series[STATUSES];
};

/* Rows: each operation, each operation's HEAD, and requests without a route. */
struct metrics {
    size_t n_routes;
    struct route routes[];
};

int metrics_new(struct metrics **ret)
{
    size_t n = 2 * n_contract_operations + 1;
    struct metrics *metrics;

    /* calloc's fresh pages cost nothing until a route is used. */
    metrics = calloc(1, sizeof(*metrics) + n * sizeof(struct route));
    if (metrics == NULL)
        return -ENOMEM;
    metrics->n_routes = n;
    *ret = metrics;
    return 0;
}

struct metrics *metrics_free(struct metrics *metrics)
{
    free(metrics);
    return NULL;
}

static struct series *find_series(struct route *route, unsigned status)
{
    for (size_t i = 0; i < STATUSES - 1; i++) {
        unsigned have = atomic_load_explicit(&route->series[i].status, memory_order_relaxed);

        if (have == status)
            return &route->series[i];
        if (have == 0 && (atomic_compare_exchange_strong(&route->series[i].status, &have, status) || have == status))
            return &route->series[i];
    }
    return &route->series[STATUSES - 1];
}

void metrics_observe(struct metrics *metrics, const struct operation *op, bool head, unsigned status, int64_t us)
{
    size_t row = op == NULL ? metrics->n_routes - 1 : op->index * 2U + (head ? 1U : 0U);
    struct series *s = find_series(&metrics->routes[row], status);

    atomic_fetch_add_explicit(&s->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->sum_us, (uint64_t)us, memory_order_relaxed);
    for (size_t i = 0; i < BUCKETS; i++)
        if (us <= bounds_us[i]) {
            atomic_fetch_add_explicit(&s->bucket[i], 1, memory_order_relaxed);
            return;
        }
}

static void render_series(struct buf *out, const char *method, const char *path, struct series *s)
{
    static const char name[] = "http_server_request_duration_seconds";
    unsigned status = atomic_load(&s->status);
    uint64_t count = atomic_load(&s->count), below = 0;
    char labels[256];

    if (count == 0)
        return;
    snprintf(labels, sizeof(labels), "method=\"%s\",route=\"%s\",status_code=\"%u\"", method, path, status);
    for (size_t i = 0; i < BUCKETS; i++) {
        below += atomic_load(&s->bucket[i]);
        buf_addf(out, "%s_bucket{%s,le=\"%s\"} %llu\n", name, labels, bounds_text[i], (unsigned long long)below);
    }
    buf_addf(
        out, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, labels, (unsigned long long)(count > below ? count : below));
    buf_addf(out, "%s_sum{%s} %.6f\n", name, labels, (double)atomic_load(&s->sum_us) / 1e6);
    buf_addf(out, "%s_count{%s} %llu\n", name, labels, (unsigned long long)(count > below ? count : below));
}

static void render_routes(struct metrics *metrics, struct buf *out)
{
    buf_adds(out,
        "# HELP http_server_request_duration_seconds Time from a request's last byte to its answer.\n"
        "# TYPE http_server_request_duration_seconds histogram\n");
    for (size_t row = 0; row < metrics->n_routes; row++) {
        bool routed = row + 1 < metrics->n_routes;
        const struct operation *op = routed ? &contract_operations[row / 2] : NULL;
        const char *method = op == NULL ? "_OTHER" : row % 2 == 1 ? "HEAD" : protocol_method_name(op->method);

        for (size_t i = 0; i < STATUSES; i++)
            render_series(out, method, op != NULL ? op->path : "", &metrics->routes[row].series[i]);
    }
}

static void gauge(struct buf *out, const char *name, const char *help, unsigned long long value)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %llu\n", name, help, name, name, value);
}

/* One family of figures for both lanes. */
static void pool_family(
    struct buf *out, const struct db_pool_stats stats[2], const char *name, const char *type, size_t offset, bool wide)
{
    static const char *const lanes[2] = { "quick", "long" };

    buf_addf(out, "# TYPE %s %s\n", name, type);
    for (size_t i = 0; i < 2; i++) {
        const char *at = (const char *)&stats[i] + offset;
        unsigned long long value = wide ? *(const uint64_t *)(const void *)at : *(const unsigned *)(const void *)at;

        buf_addf(out, "%s{lane=\"%s\"} %llu\n", name, lanes[i], value);
    }
}

static void render_pools(struct buf *out, struct service *service)
{
    static const struct {
        const char *name;
        const char *type;
        size_t offset;
        bool wide;
    } rows[] = {
        { "db_pool_size", "gauge", offsetof(struct db_pool_stats, size), false },
        { "db_pool_open", "gauge", offsetof(struct db_pool_stats, open), false },
        { "db_pool_idle", "gauge", offsetof(struct db_pool_stats, idle), false },
        { "db_pool_waiting", "gauge", offsetof(struct db_pool_stats, waiting), false },
        { "db_pool_takes_total", "counter", offsetof(struct db_pool_stats, takes), true },
        { "db_pool_exhausted_total", "counter", offsetof(struct db_pool_stats, exhausted), true },
        { "db_pool_refused_total", "counter", offsetof(struct db_pool_stats, refused), true },
        { "db_pool_connects_total", "counter", offsetof(struct db_pool_stats, connects), true },
        { "db_pool_lost_total", "counter", offsetof(struct db_pool_stats, lost), true },
        { "db_pool_timeouts_total", "counter", offsetof(struct db_pool_stats, timeouts), true },
    };
    struct db_pool_stats stats[2];

    db_pool_stats(service->quick, &stats[0]);
    db_pool_stats(service->slow, &stats[1]);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        pool_family(out, stats, rows[i].name, rows[i].type, rows[i].offset, rows[i].wide);
}

/* The second number of statm, in pages. */
static unsigned long long resident_bytes(void)
{
    char line[128] = "", *resident = line;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL)
        return 0;
    if (fgets(line, sizeof(line), f) != NULL)
        (void)strtoull(line, &resident, 10);
    fclose(f);
    return strtoull(resident, NULL, 10) * (unsigned long long)sysconf(_SC_PAGESIZE);
}

void metrics_render(struct service *service, struct buf *out)
{
    render_routes(service->metrics, out);
    render_pools(out, service);
    gauge(out, "http_server_connections", "Open connections.", bridge_connections(service->front));
    gauge(out, "http_server_active_requests", "Requests being answered.", bridge_in_flight(service->front));
    gauge(out, "process_resident_memory_bytes", "Resident memory.", resident_bytes());
    gauge(out, "log_lines_dropped", "Log lines that could not be written.", log_dropped());
}
