/* The table of settings, and what is printed from it. A new setting is one member of struct config and one row here. */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "log.h"
#include "settings.h"

#define AT(member) offsetof(struct config, member)
#define DAYS(n)    ((int64_t)(n)*86400)
#define KI         INT64_C(1024)
#define MI         (KI * KI)
#define GI         (KI * MI)
#define TEXT_MAX   1024
#define LIST_MAX   4096

/* clang-format off */
const struct config_setting config_settings[] = {
    { "listen_address", CONFIG_TEXT, AT(listen_address), "127.0.0.1", 1, TEXT_MAX,
        "Address to listen on, IPv4 or IPv6.", false, "Addresses" },
    { "port", CONFIG_INT, AT(port), "8080", 1, 65535, "Port of the API.", false, NULL },
    { "metrics_port", CONFIG_INT, AT(metrics_port), "0", 0, 65535,
        "Port of /metrics, a listener of its own; 0 for none.", false, NULL },
    { "metrics_address", CONFIG_TEXT, AT(metrics_address), "127.0.0.1", 1, TEXT_MAX,
        "Address of /metrics, which asks nobody who they are: IPv4 or IPv6.", false, NULL },
    { "issuer", CONFIG_TEXT, AT(issuer), "", 0, TEXT_MAX,
        "Base URL by which callers know the service, and the issuer of its tokens; empty for http://listen_address:port.", false, NULL },
    { "audience", CONFIG_TEXT, AT(audience), "tiendo", 1, TEXT_MAX, "Audience of the tokens.", false, NULL },
    { "trusted_proxies", CONFIG_LIST, AT(trusted_proxies), "", 0, LIST_MAX,
        "Addresses whose X-Forwarded-For and X-Forwarded-Proto are believed.", false, NULL },
    { "cors_origins", CONFIG_LIST, AT(cors_origins), "", 0, LIST_MAX,
        "Origins whose pages may call the API, exactly as browsers send them (https://example.org).", false, NULL },
    { "hsts", CONFIG_BOOL, AT(hsts), "no", 0, 0,
        "Send Strict-Transport-Security; only where every way to the service is HTTPS.", false, NULL },

    { "database", CONFIG_TEXT, AT(database), "", 0, TEXT_MAX,
        "Connection string of the serving role.", true, "Database" },
    { "migrate_database", CONFIG_TEXT, AT(migrate_database), "", 0, TEXT_MAX,
        "Connection string of the migrating role; needed by migrate and bootstrap alone.", true, NULL },
    { "quick_pool", CONFIG_INT, AT(quick_pool), "16", 1, 256, "Connections for quick work.", false, NULL },
    { "long_pool", CONFIG_INT, AT(long_pool), "6", 1, 256,
        "Connections for long work (imports, exports, heavy reads); one caller's exports hold two thirds at most.", false, NULL },
    { "pool_wait_ms", CONFIG_INT, AT(pool_wait_ms), "1000", 1, 60000,
        "How long a request waits for a connection before it is answered 503.", false, NULL },
    { "quick_lock_timeout_ms", CONFIG_INT, AT(quick_lock_timeout_ms), "100", 1, 60000,
        "lock_timeout of quick work.", false, NULL },
    { "quick_statement_timeout_ms", CONFIG_INT, AT(quick_statement_timeout_ms), "500", 1, 600000,
        "statement_timeout of quick work.", false, NULL },
    { "long_lock_timeout_ms", CONFIG_INT, AT(long_lock_timeout_ms), "10000", 1, 600000,
        "lock_timeout of long work.", false, NULL },
    { "long_statement_timeout_ms", CONFIG_INT, AT(long_statement_timeout_ms), "300000", 1, 86400000,
        "statement_timeout of long work.", false, NULL },

    { "connection_limit", CONFIG_INT, AT(connection_limit), "4096", 1, 65536,
        "Connections held at once; more are closed as they come, and the caller tries again.", false, "Connections and bodies" },
    { "connection_timeout_s", CONFIG_INT, AT(connection_timeout_s), "30", 1, 3600,
        "A connection that is idle for so long is closed.", false, NULL },
    { "thread_stack_kb", CONFIG_INT, AT(thread_stack_kb), "256", 128, 8192,
        "Stack of a connection's thread.", false, NULL },
    { "max_body_bytes", CONFIG_BYTES, AT(max_body_bytes), "1M", KI, 64 * MI,
        "Largest body of a request, imports excepted.", false, NULL },
    { "max_import_bytes", CONFIG_BYTES, AT(max_import_bytes), "64M", KI, 4 * GI,
        "Largest body of an import, as it is sent.", false, NULL },
    { "max_inflated_bytes", CONFIG_BYTES, AT(max_inflated_bytes), "64M", KI, 16 * GI,
        "Largest body of an import after gzip is undone.", false, NULL },
    { "max_import_rows", CONFIG_INT, AT(max_import_rows), "100000", 1, 10000000,
        "Most rows of one import.", false, NULL },
    { "max_attachment_bytes", CONFIG_BYTES, AT(max_attachment_bytes), "20M", KI, 256 * MI,
        "Largest file attached to a report.", false, NULL },
    { "max_uploads", CONFIG_INT, AT(max_uploads), "8", 1, 256,
        "Files that are sent to one process, and read from it, at once; one caller's are three quarters at most.", false, NULL },
    { "upload_timeout_s", CONFIG_INT, AT(upload_timeout_s), "300", 1, 86400,
        "How long a file may take to arrive; then its connection is closed.", false, NULL },
    { "spool_dir", CONFIG_TEXT, AT(spool_dir), "/var/tmp", 1, TEXT_MAX,
        "Directory on a disk in which files that arrive are kept, without a name, until they are whole.", false, NULL },

    { "document_renderer", CONFIG_TEXT, AT(document_renderer), "", 0, TEXT_MAX,
        "Script that lays reports out as HTML and PDF; empty for the one installed with this program.", false, "Documents" },
    { "document_workers", CONFIG_INT, AT(document_workers), "2", 0, 64,
        "Documents made at once, each in a process of its own; 0 for none.", false, NULL },
    { "document_wait_ms", CONFIG_INT, AT(document_wait_ms), "10000", 1, 600000,
        "How long a request waits until its document is begun, before it is answered 503.", false, NULL },
    { "document_timeout_s", CONFIG_INT, AT(document_timeout_s), "60", 1, 3600,
        "How long making a document may take; then it is given up.", false, NULL },
    { "document_memory", CONFIG_BYTES, AT(document_memory), "512M", 16 * MI, 16 * GI,
        "Memory that making a document may take.", false, NULL },

    { "key_file", CONFIG_TEXT, AT(key_file), "", 0, TEXT_MAX,
        "File with the master key (32 bytes in base64) that seals the private signing keys.", false, "Tokens and passwords" },
    { "master_key", CONFIG_TEXT, AT(master_key), "", 0, 128,
        "The master key itself, instead of key_file; better in the environment than in a file.", true, NULL },
    { "token_lifetime_s", CONFIG_INT, AT(token_lifetime_s), "600", 30, 86400,
        "How long an access token is good.", false, NULL },
    { "refresh_lifetime_s", CONFIG_INT, AT(refresh_lifetime_s), "1209600", 60, DAYS(366),
        "How long a refresh token is good.", false, NULL },
    { "client_secret_overlap_hours", CONFIG_INT, AT(client_secret_overlap_hours), "24", 0, 720,
        "How long a client's secrets go on when it is given a new one.", false, NULL },
    { "password_workers", CONFIG_INT, AT(password_workers), "2", 1, 64,
        "Passwords checked at once; each takes a core and 19 MiB.", false, NULL },
    { "login_failures", CONFIG_INT, AT(login_failures), "10", 1, 1000,
        "Failed logins of one account from one place within the window after which it must wait there.", false, NULL },
    { "login_network_failures", CONFIG_INT, AT(login_network_failures), "100", 1, 1000000,
        "Failed logins from one address (IPv6: one /64) within the window after which names new to it must wait.", false,
        NULL },
    { "login_window_s", CONFIG_INT, AT(login_window_s), "900", 1, 86400, "That window.", false, NULL },
    { "activation_hours", CONFIG_INT, AT(activation_hours), "72", 1, 8760,
        "How long a one-time activation code is good.", false, NULL },

    { "rate_limit_per_s", CONFIG_INT, AT(rate_limit_per_s), "500", 0, 10000000,
        "Requests a second of one caller to one process; 0 for no limit.", false, "Limits" },
    { "rate_limit_burst", CONFIG_INT, AT(rate_limit_burst), "1000", 1, 10000000,
        "Requests a caller may save up.", false, NULL },
    { "idempotency_hours", CONFIG_INT, AT(idempotency_hours), "24", 1, 720,
        "How long the answer to an Idempotency-Key is kept.", false, NULL },

    { "seal_interval_ms", CONFIG_INT, AT(seal_interval_ms), "200", 10, 60000,
        "How often audit and change rows get their place and roll-ups are folded.", false, "Background work" },
    { "checkpoint_dir", CONFIG_TEXT, AT(checkpoint_dir), "", 0, TEXT_MAX,
        "Directory for signed checkpoints of the audit chain; empty for none.", false, NULL },
    { "checkpoint_interval_s", CONFIG_INT, AT(checkpoint_interval_s), "3600", 1, DAYS(7),
        "How often a checkpoint is written.", false, NULL },
    { "audit_retention_days", CONFIG_INT, AT(audit_retention_days), "0", 0, 36500,
        "Audit and change rows older than so many days (30 at least) are cut off at a signed checkpoint; 0 keeps them for ever.", false, NULL },
    { "change_waiters", CONFIG_INT, AT(change_waiters), "256", 1, 65536,
        "Callers of /v1/changes that may wait at once; one caller holds a quarter at most.", false, NULL },

    { "log_level", CONFIG_LEVEL, AT(log_level), "info", 0, 0,
        "debug, info, warn or error.", false, "Running" },
    { "log_file", CONFIG_TEXT, AT(log_file), "-", 1, TEXT_MAX, "File of the log; - for standard output.", false, NULL },
    { "drain_timeout_s", CONFIG_INT, AT(drain_timeout_s), "30", 0, 3600,
        "How long SIGTERM waits for requests to end.", false, NULL },
};
/* clang-format on */

const size_t config_settings_count = ARRAY_SIZE(config_settings);

/* The type and bounds as a reader wants them: "number 1 … 65535". */
static void print_type(const struct config_setting *s, FILE *out)
{
    switch (s->type) {
    case CONFIG_TEXT: (void)fputs("text", out); break;
    case CONFIG_LIST: (void)fputs("list, commas between", out); break;
    case CONFIG_BOOL: (void)fputs("yes or no", out); break;
    case CONFIG_LEVEL: (void)fputs("level", out); break;
    case CONFIG_INT: (void)fprintf(out, "number %" PRId64 " to %" PRId64, s->min, s->max); break;
    case CONFIG_BYTES: (void)fprintf(out, "bytes (K, M, G) %" PRId64 " to %" PRId64, s->min, s->max); break;
    }
}

static void print_upper(const char *name, FILE *out)
{
    for (; *name; name++)
        (void)fputc(toupper((unsigned char)*name), out);
}

static void print_help(const struct config_setting *s, const char *before, FILE *out)
{
    if (s->group)
        (void)fprintf(out, "\n%s\n", s->group);
    (void)fprintf(out, "  %s%s (", before, s->name);
    print_type(s, out);
    if (s->fallback[0])
        (void)fprintf(out, "; default %s", s->fallback);
    (void)fprintf(out, "%s)\n      %s\n", s->secret ? "; secret" : "", s->help);
}

void config_help(FILE *out)
{
    (void)fputs(
        "Settings: \"name = value\" in the file, or the variable TIENDO_<NAME>, which goes before the file.\n", out);
    for (size_t i = 0; i < config_settings_count; i++)
        print_help(&config_settings[i], "", out);
    for (size_t i = 0; i < config_issuer_settings_count; i++)
        print_help(&config_issuer_settings[i], "issuer.<name>.", out);
}

static void print_example(const struct config_setting *s, const char *before, const char *variable, FILE *out)
{
    if (s->group)
        (void)fprintf(out, "\n## %s\n", s->group);
    (void)fprintf(out, "\n# %s\n# ", s->help);
    print_type(s, out);
    (void)fprintf(out, "%s or TIENDO_%s", s->secret ? "; secret," : ";", variable);
    print_upper(s->name, out);
    (void)fprintf(out, "\n#%s%s =%s%s\n", before, s->name, s->fallback[0] ? " " : "", s->fallback);
}

void config_example(FILE *out)
{
    (void)fputs(
        "# Every setting of Tiendo at its default. A line that begins with # is a comment; the environment variable\n"
        "# TIENDO_<NAME> goes before the file. An unknown or repeated setting stops the start.\n",
        out);
    for (size_t i = 0; i < config_settings_count; i++)
        print_example(&config_settings[i], "", "", out);
    for (size_t i = 0; i < config_issuer_settings_count; i++)
        print_example(&config_issuer_settings[i], "issuer.sso.", "ISSUER__SSO__", out);
}

static void print_list(const struct config_list *list, FILE *out)
{
    for (size_t i = 0; i < list->n; i++)
        (void)fprintf(out, "%s%s", i > 0 ? ", " : "", list->item[i]);
}

static void print_value(const struct config_setting *s, const void *base, FILE *out)
{
    const void *at = (const char *)base + s->offset;
    const char *text = s->type == CONFIG_TEXT ? *(const char *const *)at : NULL;

    (void)fprintf(out, "%s = ", s->name);
    if (s->secret)
        (void)fputs(text && text[0] ? "(set)" : "(unset)", out);
    else if (text)
        (void)fputs(text, out);
    else if (s->type == CONFIG_LIST)
        print_list(at, out);
    else if (s->type == CONFIG_BOOL)
        (void)fputs(*(const bool *)at ? "yes" : "no", out);
    else if (s->type == CONFIG_LEVEL)
        (void)fputs(log_level_name((enum log_level) * (const int64_t *)at), out);
    else
        (void)fprintf(out, "%" PRId64, *(const int64_t *)at);
    (void)fputc('\n', out);
}

void config_print(const struct config *c, FILE *out)
{
    for (size_t i = 0; i < config_settings_count; i++)
        print_value(&config_settings[i], c, out);
    for (size_t n = 0; n < c->n_issuers; n++)
        for (size_t i = 0; i < config_issuer_settings_count; i++) {
            (void)fprintf(out, "issuer.%s.", c->issuers[n].name);
            print_value(&config_issuer_settings[i], &c->issuers[n], out);
        }
}
