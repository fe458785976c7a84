/* tiendo keys rotate: a new key signs from now on, the old one is accepted until its tokens have expired. */
#include "rotate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "keys.h"
#include "owner.h"

#define OVERLAP_S 60 /* beyond a token's life: clocks differ */

static const char usage[] =
    "Usage: tiendo keys rotate\n"
    "Makes a new signing key. The one before it is accepted until its last token has expired.\n";

int keys_rotate(const struct config *config, struct db_conn *conn)
{
    _cleanup_(token_pair_clear) struct token_pair pair = { 0 };
    _cleanup_(freep) char *sealed = NULL;
    struct secret_key master;
    char overlap[24];
    int r;

    r = keys_master(config, &master);
    if (r < 0)
        return r;
    r = keys_make(&master, &pair, &sealed);
    secret_wipe(&master, sizeof(master));
    if (r < 0)
        return r;
    snprintf(overlap, sizeof(overlap), "%lld", (long long)config->token_lifetime_s + OVERLAP_S);
    r = owner_run(conn, "SELECT signing_key_rotate($1, $2, $3::bytea, $4::int)", 4,
        (const char *const[]){ pair.kid, pair.jwk, sealed, overlap }, NULL);
    if (r < 0)
        return r;
    printf("signing key %s\n", pair.kid);
    return 0;
}

int command_keys(const struct config *config, int argc, char **argv)
{
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc != 1 || strcmp(argv[0], "rotate") != 0) {
        fputs(usage, stderr);
        return 2;
    }
    if (secret_init() < 0 || owner_open(config, &conn) < 0 || keys_rotate(config, conn) < 0)
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
