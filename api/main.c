/* tiendo: one program, its subcommands and its configuration. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "commands.h"
#include "fetch.h"
#include "health.h"
#include "key_source.h"
#include "log.h"
#include "migrate.h"
#include "secret.h"
#include "text.h"

#define CONFIG_ARENA_MAX (1024U * 1024U)
#define FAULTS_TEXT_MAX  (64U * 1024U)

extern char **environ;

struct command {
    const char *name;
    int (*run)(const struct config *config, int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    { "migrate", command_migrate, "bring the database's schema up to date, with the migrating role" },
    { "bootstrap", command_bootstrap, "make a root organization and its first administrator" },
    { "account", command_account, "account reset: a new activation code for somebody above whom there is nobody" },
    { "reorganize", command_reorganize, "record a decision that changes the tree, in any root" },
    { "serve", command_serve, "answer requests until SIGTERM" },
    { "check", command_check, "read the configuration and look at the database, then say what is wrong" },
    { "audit", command_audit,
        "audit verify: recompute the chain of changes and hold it against the signed checkpoints" },
    { "keys", command_keys, "keys rotate: make a new signing key; the old ones stay good for their tokens" },
};

static void print_help(FILE *out)
{
    fputs("usage: tiendo COMMAND [--config FILE] [ARGUMENT…]\n\ncommands:\n", out);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].help);
    fputs("  config      print an example of a configuration file\n"
          "\nsettings (in FILE as name = value, in the environment as TIENDO_<NAME>):\n",
        out);
    config_help(out);
}

/* Takes --config FILE out of the arguments. */
static int take_config(int *argc, char **argv, const char **ret_file)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--config") != 0)
            continue;
        if (i + 1 == *argc)
            return -EINVAL;
        *ret_file = argv[i + 1];
        memmove(&argv[i], &argv[i + 2], (size_t)(*argc - i - 2) * sizeof(*argv));
        *argc -= 2;
        return 0;
    }
    return 0;
}

static int open_log(const struct config *config)
{
    int fd = STDOUT_FILENO;

    if (strcmp(config->log_file, "-") != 0) {
        fd = open(config->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
            return -errno;
    }
    log_init(fd, (enum log_level)config->log_level);
    return 0;
}

int command_check(const struct config *config, int argc, char **argv)
{
    int r = 0;

    (void)argv;
    if (argc > 0) {
        fputs("tiendo check takes no arguments\n", stderr);
        return 2;
    }
    config_print(config, stdout);
    if (fetch_init() < 0)
        return 1;
    for (size_t i = 0; i < config->n_issuers; i++)
        r |= key_source_check(&config->issuers[i], stdout);
    return (r | health_check_role(config)) == 0 ? 0 : 1;
}

int command_migrate(const struct config *config, int argc, char **argv)
{
    (void)argv;
    if (argc > 0) {
        fputs("tiendo migrate takes no arguments\n", stderr);
        return 2;
    }
    if (config->migrate_database[0] == '\0') {
        fputs("migrate_database is not set\n", stderr);
        return 2;
    }
    return migrate_run(config->migrate_database, stdout) == 0 ? 0 : 1;
}

static int run(const struct command *command, int argc, char **argv)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new(CONFIG_ARENA_MAX);
    _cleanup_(buf_free) struct buf faults = { 0 };
    const char *file = NULL;
    struct config config;
    int r;

    buf_init(&faults, FAULTS_TEXT_MAX);
    if (arena == NULL || secret_init() < 0)
        return 1;
    if (take_config(&argc, argv, &file) < 0) {
        fputs("--config needs a file\n", stderr);
        return 2;
    }
    r = config_load(arena, file, environ, &config, &faults);
    if (r < 0) {
        fputs(buf_cstr(&faults), stderr);
        return 2;
    }
    r = open_log(&config);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", config.log_file, strerror(-r));
        return 1;
    }
    return command->run(&config, argc, argv);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tiendo " TIENDO_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "config") == 0) {
        config_example(stdout);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run(&commands[i], argc - 2, argv + 2);
    fprintf(stderr, "tiendo: no command %s; see tiendo --help\n", argv[1]);
    return 2;
}
