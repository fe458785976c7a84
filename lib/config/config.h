/* The configuration: one table (config.c) read from defaults, a file and the environment. */
#ifndef TIENDO_CONFIG_H
#define TIENDO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util.h"

struct arena;
struct buf;

struct config_list {
    const char **item;
    size_t n;
};

#define CONFIG_ISSUERS_MAX 8

/* An outside issuer whose tokens are taken: settings issuer.<name>.<setting>. */
struct config_issuer {
    const char *name; /* small letters and digits */
    const char *iss;
    struct config_list audience, algorithms, required, roles;
    const char *jwks_file, *jwks_url, *ca_file;
    const char *root;
    const char *account_claim, *client_claim, *grant_claim, *unit_claim, *roles_claim;
    int64_t leeway_s, max_age_s, refresh_s, stale_s;
};

/* Texts and lists live in the arena given to config_load; an unset text is "". */
struct config {
    /* addresses */
    const char *listen_address, *metrics_address;
    int64_t port, metrics_port;
    const char *issuer, *audience;
    struct config_list trusted_proxies, cors_origins;
    bool hsts;
    /* database */
    const char *database, *migrate_database;
    int64_t quick_pool, long_pool, pool_wait_ms;
    int64_t quick_lock_timeout_ms, quick_statement_timeout_ms;
    int64_t long_lock_timeout_ms, long_statement_timeout_ms;
    /* connections and bodies */
    int64_t connection_limit, connection_timeout_s, thread_stack_kb;
    int64_t max_body_bytes, max_import_bytes, max_inflated_bytes, max_import_rows;
    int64_t max_attachment_bytes, max_uploads, upload_timeout_s;
    const char *spool_dir;
    /* documents */
    const char *document_renderer;
    int64_t document_workers, document_wait_ms, document_timeout_s, document_memory;
    /* tokens and passwords */
    int64_t token_lifetime_s, refresh_lifetime_s;
    const char *key_file, *master_key;
    int64_t client_secret_overlap_hours;
    int64_t password_workers;
    int64_t login_failures, login_network_failures, login_window_s, activation_hours;
    struct config_issuer issuers[CONFIG_ISSUERS_MAX];
    size_t n_issuers;
    /* limits */
    int64_t rate_limit_per_s, rate_limit_burst;
    int64_t idempotency_hours;
    /* background work */
    int64_t seal_interval_ms;
    const char *checkpoint_dir;
    int64_t checkpoint_interval_s;
    int64_t audit_retention_days;
    int64_t change_waiters;
    /* running */
    int64_t log_level; /* enum log_level */
    const char *log_file;
    int64_t drain_timeout_s;
};

/*
 * Defaults, then FILE (NULL for none), then ENV (as environ: TIENDO_<NAME>). -EINVAL: faults holds every fault, a line
 * each, without any secret; -ENOMEM. ret is untouched then.
 */
MUST_CHECK int config_load(struct arena *a, const char *file, char *const *env, struct config *ret, struct buf *faults);

/* Every setting with type, default, bounds and help, for --help. */
void config_help(FILE *out);

/* A file with every setting commented out at its default. */
void config_example(FILE *out);

/* The settings in force as a file would give them; secrets are shown as set or unset only. */
void config_print(const struct config *c, FILE *out);

#endif
