#include "keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "routes.h"
#include "service.h"

#define PEM_MAX  1024
#define KEYS_MAX 32

int keys_issuer(const struct config *config, char ret[KEYS_ISSUER_MAX])
{
    bool v6 = strchr(config->listen_address, ':') != NULL;
    int n;

    if (config->issuer[0] != '\0')
        n = snprintf(ret, KEYS_ISSUER_MAX, "%s", config->issuer);
    else
        n = snprintf(ret, KEYS_ISSUER_MAX, v6 ? "http://[%s]:%lld" : "http://%s:%lld", config->listen_address,
            (long long)config->port);
    return n < 0 || n >= KEYS_ISSUER_MAX ? -EINVAL : 0;
}

int keys_master(const struct config *config, struct secret_key *ret_key)
{
    int r;

    if (config->master_key[0] != '\0')
        r = secret_key_parse(config->master_key, strlen(config->master_key), ret_key);
    else if (config->key_file[0] != '\0')
        r = secret_key_load(config->key_file, ret_key);
    else
        r = -ENOKEY;
    if (r == -ENOKEY)
        log_error("master_key", "reason=%s", "set key_file or master_key");
    else if (r == -EPERM)
        log_error("master_key", "file=%s reason=%s", config->key_file, "others may read or write the file");
    else if (r == -EBADMSG)
        log_error("master_key", "reason=%s", "not 32 bytes in base64");
    else if (r < 0)
        log_error("master_key", "file=%s reason=%s", config->key_file, strerrordesc_np(-r));
    return r;
}

/* ---- loading ---- */

static int fetch_keys(struct service *service, struct db_result **ret_rows)
{
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    _cleanup_(db_result_freep) struct db_result *error = NULL;
    int r;

    r = db_pool_take(service->quick, (unsigned)service->config->pool_wait_ms, &conn);
    return r < 0 ? r : db_run(conn, query_signing_keys.index, NULL, ret_rows, &error);
}

int keys_reload(void *userdata)
{
    struct service *service = userdata;
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    const char *jwks[KEYS_MAX];
    size_t n = 0;
    int r;

    r = fetch_keys(service, &rows);
    if (r < 0) {
        log_warn("keys_not_loaded", "reason=%s", strerrordesc_np(-r));
        return r;
    }
    for (int i = 0; i < db_rows(rows) && n < KEYS_MAX; i++)
        jwks[n++] = db_value(rows, i, db_col(rows, "public_jwk"));
    r = token_verifier_set_keys(service->verifier, jwks, n);
    if (r < 0)
        log_error("keys_not_loaded", "reason=%s", strerrordesc_np(-r));
    return r;
}

/* ---- signing ---- */

int keys_make(const struct secret_key *master, struct token_pair *ret_pair, char **ret_sealed)
{
    _cleanup_(token_pair_clear) struct token_pair pair = { 0 };
    uint8_t blob[PEM_MAX + SECRET_SEAL_OVERHEAD];
    char *sealed;
    size_t n;
    int r;

    r = token_pair_generate(&pair);
    if (r < 0)
        return r;
    n = strlen(pair.pem);
    if (n > PEM_MAX)
        return -EIO;
    r = secret_seal(master, pair.kid, pair.pem, n, blob);
    if (r < 0)
        return r;
    n += SECRET_SEAL_OVERHEAD;
    sealed = malloc(2 + 2 * n + 1);
    if (sealed == NULL)
        return -ENOMEM;
    memcpy(sealed, "\\x", 2);
    for (size_t i = 0; i < n; i++)
        snprintf(sealed + 2 + 2 * i, 3, "%02x", blob[i]);
    *ret_sealed = sealed;
    *ret_pair = pair;
    pair = (struct token_pair){ 0 };
    return 0;
}

static int unhex(const char *hex, uint8_t *ret, size_t max, size_t *ret_n)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(hex) / 2;

    if (strlen(hex) % 2 != 0 || n > max)
        return -EBADMSG;
    for (size_t i = 0; i < n; i++) {
        const char *high = memchr(digits, hex[2 * i], 16), *low = memchr(digits, hex[2 * i + 1], 16);

        if (high == NULL || low == NULL)
            return -EBADMSG;
        ret[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    *ret_n = n;
    return 0;
}

int keys_sign(
    struct service *service, const char *kid, const char *sealed, const struct token_claims *claims, char **ret_token)
{
    uint8_t blob[PEM_MAX + SECRET_SEAL_OVERHEAD];
    char pem[PEM_MAX + 1];
    size_t n;
    int r;

    if (kid[0] == '\0') {
        log_error("no_signing_key", "hint=%s", "tiendo bootstrap makes the first one");
        return -ENOKEY;
    }
    r = unhex(sealed, blob, sizeof(blob), &n);
    if (r == 0)
        r = secret_open(&service->master, kid, blob, n, (uint8_t *)pem);
    if (r < 0) {
        log_error("signing_key_closed", "kid=%s reason=%s", kid, "it was sealed with another master key");
        return -ENOKEY;
    }
    pem[n - SECRET_SEAL_OVERHEAD] = '\0';
    r = token_issue(kid, pem, claims, ret_token);
    secret_wipe(pem, sizeof(pem));
    if (r == 0 && !token_verifier_knows(service->verifier, kid))
        (void)keys_reload(service);
    return r;
}

/* ---- publishing ---- */

/* From the database, so that a key is seen here as soon as it signs anywhere; as last known when that is away. */
int handle_jwks(struct exchange *x)
{
    char *json, *text;
    int r;

    (void)keys_reload(x->service);
    r = token_verifier_jwks(x->service->verifier, &json);
    if (r < 0)
        return r;
    text = arena_strdup(x->arena, json);
    free(json);
    return text != NULL ? reply_text(x, 200, str_from(text)) : -ENOMEM;
}
