/*
 * tiendo account reset: the operator's way back in, for an administrator above whom there is nobody. It answers a one-time
 * activation code, as the reset over HTTP does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "commands.h"
#include "owner.h"

#define MEMORY ((size_t)1 << 16)

static const char usage[] =
    "Usage: tiendo account reset USERNAME\n"
    "Voids the account's password, ends its sessions, lifts its suspension, and prints a one-time activation code for\n"
    "POST /v1/activations. A closed account stays closed.\n";

static int reset(const struct config *config, struct db_conn *conn, const char *given)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(MEMORY);
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    char code[CODE_CHARS], proof[2 + SECRET_SHA256_HEX], hours[24];
    const char *username = a != NULL ? username_lower(a, given) : NULL;
    int r;

    if (username == NULL)
        return -ENOMEM;
    activation_code(code);
    r = activation_proof(a, username, code, proof);
    if (r < 0)
        return r;
    snprintf(hours, sizeof(hours), "%lld", (long long)config->activation_hours);
    r = owner_run(conn, "SELECT tstz(operator_reset($1, $2::bytea, $3::int))", 3,
        (const char *const[]){ username, proof, hours }, &rows);
    if (r < 0)
        return r;
    if (db_is_null(rows, 0, 0)) {
        fprintf(stderr, "tiendo: no account %s, or it is closed\n", username);
        return -ENOENT;
    }
    printf("activation code of %s, good until %s: %s\n", username, db_value(rows, 0, 0), code);
    secret_wipe(code, sizeof(code));
    return 0;
}

int command_account(const struct config *config, int argc, char **argv)
{
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc != 2 || strcmp(argv[0], "reset") != 0) {
        fputs(usage, stderr);
        return 2;
    }
    if (secret_init() < 0 || owner_open(config, &conn) < 0 || reset(config, conn, argv[1]) < 0)
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
