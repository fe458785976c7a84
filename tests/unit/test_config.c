#include "suite.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "config.h"
#include "log.h"
#include "text.h"

static struct arena *arena;
static struct buf faults;
static char path[] = "/tmp/tiendo-config-XXXXXX";

static void set_up(void)
{
    arena = arena_new(1 << 20);
    ck_assert_ptr_nonnull(arena);
    buf_init(&faults, 1 << 16);
}

static void tear_down(void)
{
    arena_free(arena);
    buf_free(&faults);
    if (!strchr(path, 'X'))
        (void)unlink(path);
}

/* Load TEXT as the file (NULL: none) beside ENV. */
static int load(const char *text, size_t n, const char *const *env, struct config *ret)
{
    char *none[] = { NULL };

    if (text) {
        _cleanup_(closep) int fd = strchr(path, 'X') ? mkstemp(path) : -1;
        FILE *f = fopen(path, "we");

        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(fwrite(text, 1, n, f), n);
        ck_assert_int_eq(fclose(f), 0);
    }
    buf_reset(&faults);
    return config_load(arena, text ? path : NULL, env ? (char *const *)(uintptr_t)env : none, ret, &faults);
}

#define LOAD(text, env, ret) load((text), strlen(text), (env), (ret))

/* What PRINT writes. */
static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    ck_assert_ptr_nonnull(f);
    print(f);
    ck_assert_int_eq(fclose(f), 0);
    return text;
}

START_TEST(defaults_stand)
{
    struct config c;

    ck_assert_int_eq(load(NULL, 0, NULL, &c), 0);
    ck_assert_str_eq(c.listen_address, "127.0.0.1");
    ck_assert_int_eq(c.port, 8080);
    ck_assert_int_eq(c.quick_lock_timeout_ms, 100);
    ck_assert_int_eq(c.quick_statement_timeout_ms, 500);
    ck_assert_int_eq(c.max_body_bytes, 1 << 20);
    ck_assert_int_eq(c.max_import_bytes, 64 << 20);
    ck_assert_int_eq(c.token_lifetime_s, 600);
    ck_assert_int_eq(c.log_level, LOG_LEVEL_INFO);
    ck_assert_str_eq(c.database, "");
    ck_assert_uint_eq(c.trusted_proxies.n, 0);
    ck_assert(!c.hsts);
}
END_TEST

START_TEST(environment_goes_before_the_file)
{
    static const char *const env[] = { "PATH=/bin", "TIENDO_PORT=9001", "TIENDO_TEST_CLOCK=/x",
        "TIENDO_DATABASE=host=/run user=a password=b", NULL };
    struct config c;

    ck_assert_int_eq(LOAD("# of ours\r\n\n  port = 9000\nquick_pool=8\ntrusted_proxies = 127.0.0.1 , ::1,\n"
                          "hsts = yes\nlog_level = debug\nmax_body_bytes = 2M\ndatabase = dbname=x # not a comment\n"
                          "issuer = https://tiendo.dongnai.gov.vn",
                         env, &c),
        0);
    ck_assert_int_eq(c.port, 9001);
    ck_assert_int_eq(c.quick_pool, 8);
    ck_assert_uint_eq(c.trusted_proxies.n, 2);
    ck_assert_str_eq(c.trusted_proxies.item[0], "127.0.0.1");
    ck_assert_str_eq(c.trusted_proxies.item[1], "::1");
    ck_assert(c.hsts);
    ck_assert_int_eq(c.log_level, LOG_LEVEL_DEBUG);
    ck_assert_int_eq(c.max_body_bytes, 2 << 20);
    ck_assert_str_eq(c.database, "host=/run user=a password=b");
    ck_assert_str_eq(c.issuer, "https://tiendo.dongnai.gov.vn");
}
END_TEST

START_TEST(every_fault_is_told_at_once)
{
    static const char *const env[] = { "TIENDO_PROT=1", "TIENDO_port=1", "TIENDO_LONG_POOL=0", "TIENDO_HSTS=maybe",
        "TIENDO_", NULL };
    static const char *const wanted[] = { ":1: unknown setting \"prot\"\n", ":3: port is set twice\n",
        ":4: neither \"name = value\" nor a comment\n",
        ":5: quick_pool must be a whole number from 1 to 256, not \"many\"\n",
        ":6: log_level must be debug, info, warn", "TIENDO_PROT: unknown setting\n", "TIENDO_port: unknown setting\n",
        "TIENDO_LONG_POOL: long_pool must be a whole number from 1 to 256, not \"0\"\n",
        "TIENDO_HSTS: hsts must be yes or no, not \"maybe\"\n", "TIENDO_: unknown setting\n" };
    struct config c = { .port = 77 };
    size_t lines = 0;

    ck_assert_int_eq(
        LOAD("prot = 1\nport = 80\nport = 81\n[section]\nquick_pool = many\nlog_level = loud\n", env, &c), -EINVAL);
    ck_assert_int_eq(c.port, 77);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        ck_assert_msg(strstr(faults.p, wanted[i]) != NULL, "%s in\n%s", wanted[i], faults.p);
    for (const char *p = faults.p; (p = strchr(p, '\n')); p++)
        lines++;
    ck_assert_uint_eq(lines, ARRAY_SIZE(wanted));
}
END_TEST

START_TEST(numbers_keep_their_bounds)
{
    static const struct {
        const char *line;
        int r;
    } rows[] = {
        { "port = 1", 0 },
        { "port = 65535", 0 },
        { "port = 65536", -EINVAL },
        { "port = 0", -EINVAL },
        { "port = -1", -EINVAL },
        { "port = 80.0", -EINVAL },
        { "port = ", -EINVAL },
        { "port = 8K", -EINVAL },
        { "max_body_bytes = 1024", 0 },
        { "max_body_bytes = 1K", 0 },
        { "max_body_bytes = 1023", -EINVAL },
        { "max_body_bytes = 64M", 0 },
        { "max_body_bytes = 65M", -EINVAL },
        { "max_body_bytes = 99999999999999G", -EINVAL },
        { "max_body_bytes = K", -EINVAL },
        { "max_body_bytes = 1KK", -EINVAL },
        { "max_body_bytes = 99999999999999999999999999999999999999K", -EINVAL },
        { "listen_address =", -EINVAL },
        { "metrics_port = 8080", -EINVAL },
        { "cors_origins = *", -EINVAL },
        { "max_inflated_bytes = 1M", -EINVAL },
        { "= 1", -EINVAL },
    };
    struct config c;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(LOAD(rows[i].line, NULL, &c) == rows[i].r, "%s: %s", rows[i].line, buf_cstr(&faults));
}
END_TEST

START_TEST(files_must_be_text)
{
    char large[70000];
    struct config c;
    char *none[] = { NULL };

    memset(large, '#', sizeof(large));
    ck_assert_int_eq(load(large, sizeof(large), NULL, &c), -EINVAL);
    ck_assert_int_eq(load("port = 1\0", 9, NULL, &c), -EINVAL);
    ck_assert_int_eq(LOAD("# \xff\n", NULL, &c), -EINVAL);
    ck_assert_int_eq(LOAD("", NULL, &c), 0);
    buf_reset(&faults);
    ck_assert_int_eq(config_load(arena, "/nonexistent/tiendo.ini", none, &c, &faults), -EINVAL);
    ck_assert_str_eq(faults.p, "/nonexistent/tiendo.ini: No such file or directory\n");
}
END_TEST

START_TEST(secrets_are_never_printed)
{
    static const char *const good[] = { "TIENDO_MASTER_KEY=c2VjcmV0LWtleQ==", "TIENDO_DATABASE=password=hunter2",
        NULL };
    static char variable[400] = "TIENDO_MASTER_KEY=hunter2";
    const char *const bad[] = { variable, NULL };
    char *text = NULL;
    size_t n = 0;
    struct config c;
    FILE *f;

    ck_assert_int_eq(load(NULL, 0, good, &c), 0);
    f = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(f);
    config_print(&c, f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_ptr_nonnull(strstr(text, "database = (set)\n"));
    ck_assert_ptr_nonnull(strstr(text, "migrate_database = (unset)\n"));
    ck_assert_ptr_nonnull(strstr(text, "master_key = (set)\n"));
    ck_assert_ptr_nonnull(strstr(text, "port = 8080\n"));
    ck_assert_ptr_null(strstr(text, "hunter2"));
    ck_assert_ptr_null(strstr(text, "c2VjcmV0"));
    free(text);
    memset(variable + strlen(variable), 'x', 200);
    ck_assert_int_eq(load(NULL, 0, bad, &c), -EINVAL);
    ck_assert_str_eq(faults.p, "TIENDO_MASTER_KEY: master_key must be a text of 0 to 128 bytes\n");
}
END_TEST

START_TEST(two_keys_are_one_too_many)
{
    static const char *const env[] = { "TIENDO_MASTER_KEY=abc", "TIENDO_KEY_FILE=/etc/key", NULL };
    struct config c;

    ck_assert_int_eq(load(NULL, 0, env, &c), -EINVAL);
    ck_assert_ptr_nonnull(strstr(faults.p, "key_file: "));
}
END_TEST

START_TEST(the_example_loads_as_the_defaults)
{
    char *text = printed(config_example);
    char *uncommented = strdup(text), *out = uncommented;
    struct config c, d;

    ck_assert_ptr_nonnull(uncommented);
    ck_assert_int_eq(LOAD(text, NULL, &c), 0);
    /* "#name = value" is a setting at its default, "# text" a remark. */
    for (const char *p = text; *p; p++) {
        bool setting = p[0] == '#' && islower((unsigned char)p[1]) && (p == text || p[-1] == '\n');

        if (!setting)
            *out++ = *p;
    }
    *out = '\0';
    /* An issuer at its defaults is none yet. */
    out = strstr(uncommented, "\nissuer.sso.iss =\n");
    ck_assert_ptr_nonnull(out);
    *out = '\0';
    ck_assert_ptr_nonnull(strstr(uncommented, "\nport = 8080\n"));
    ck_assert_ptr_nonnull(strstr(uncommented, "\nmaster_key =\n"));
    ck_assert_msg(LOAD(uncommented, NULL, &c) == 0, "%s", buf_cstr(&faults));
    ck_assert_int_eq(load(NULL, 0, NULL, &d), 0);
    ck_assert_int_eq(c.port, d.port);
    ck_assert_int_eq(c.max_inflated_bytes, d.max_inflated_bytes);
    ck_assert_str_eq(c.log_file, d.log_file);
    free(text);
    free(uncommented);
}
END_TEST

START_TEST(help_names_every_setting)
{
    static const char *const names[] = { "port (number 1 to 65535; default 8080)",
        "max_body_bytes (bytes (K, M, G) 1024 to 67108864; default 1M)", "database (text; secret)",
        "cors_origins (list, commas between)", "hsts (yes or no; default no)", "log_level (level; default info)" };
    char *text = printed(config_help);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        ck_assert_msg(strstr(text, names[i]) != NULL, "%s", names[i]);
    free(text);
}
END_TEST

START_TEST(a_full_arena_is_told)
{
    _cleanup_(arena_freep) struct arena *small = arena_new(64);
    char *none[] = { NULL };
    struct config c;

    ck_assert_int_eq(config_load(small, NULL, none, &c, &faults), -ENOMEM);
}
END_TEST

RUN_TESTS_WITH("config", set_up, tear_down, defaults_stand, environment_goes_before_the_file,
    every_fault_is_told_at_once, numbers_keep_their_bounds, files_must_be_text, secrets_are_never_printed,
    two_keys_are_one_too_many, the_example_loads_as_the_defaults, help_names_every_setting, a_full_arena_is_told)
