/*
 * POST /v1/accounts and /v1/accounts/{account}/reset: a given password is hashed here; without one a one-time activation code is
 * made and shown once. The database sees neither text.
 */
#include "account.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "etag.h"
#include "password.h"
#include "password_rules.h"
#include "routes.h"
#include "service.h"
#include "staff.h"

void activation_code(char ret[CODE_CHARS])
{
    static const char letters[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"; /* 32: a byte's low bits are even-handed */
    uint8_t random[CODE_GROUPS * CODE_GROUP];
    char *p = ret;

    secret_random(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        if (i > 0 && i % CODE_GROUP == 0)
            *p++ = '-';
        *p++ = letters[random[i] % (sizeof(letters) - 1)];
    }
    *p = '\0';
    secret_wipe(random, sizeof(random));
}

char *username_lower(struct arena *a, const char *s)
{
    char *copy = arena_strdup(a, s);

    for (char *p = copy; p != NULL && *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

int activation_proof(struct arena *a, const char *username, const char *code, char ret[2 + SECRET_SHA256_HEX])
{
    char *text = arena_printf(a, "activation\n%s\n%s", username, code), *to;

    if (text == NULL)
        return -ENOMEM;
    to = text + strlen(text) - strlen(code);
    for (const char *from = to; *from != '\0'; from++)
        if (*from != '-' && *from != ' ')
            *to++ = (char)toupper((unsigned char)*from);
    secret_literal(text, (size_t)(to - text), ret);
    secret_wipe(text, strlen(text));
    return 0;
}

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* The body without its password. */
static const char *body_without_password(struct exchange *x)
{
    json_t *copy = json_copy(x->json.tree);
    const char *text;

    if (copy == NULL)
        return NULL;
    json_object_del(copy, "password");
    text = json_text_of(x->arena, copy);
    json_decref(copy);
    return text;
}

static const char *hours(struct exchange *x)
{
    return arena_printf(x->arena, "%lld", (long long)x->service->config->activation_hours);
}

/* 0 and the hash of the password that was given; 1 when the exchange holds the faults. */
static int hash_given(struct exchange *x, const char *password, char ret_hash[SECRET_HASH_MAX])
{
    const json_t *grants = json_object_get(x->json.tree, "grants");
    const struct person person = {
        .username = member(x->json.tree, "username"),
        .display_name = member(x->json.tree, "display_name"),
        .unit = json_object_get(x->json.tree, "organization") != NULL
            ? member(x->json.tree, "organization")
            : member(json_array_get(grants, 0), "organization"),
    };
    const struct turn turn = { x->identity->grant, true };
    int r;

    r = password_rules(x, "#/password", password, &person);
    if (r > 0)
        fail(x, P_INVALID);
    if (r != 0)
        return r;
    return password_hash(x->service, &turn, password, ret_hash);
}

int handle_account_create(struct exchange *x)
{
    const char *password = member(x->json.tree, "password");
    char code[CODE_CHARS], proof[2 + SECRET_SHA256_HEX], hash[SECRET_HASH_MAX];
    const char *values[] = { exchange_new_id(x), NULL, NULL, NULL, hours(x), x->trace_id };
    int r;

    r = staff_permitted(x);
    if (r == 0 && password != NULL) {
        values[2] = hash;
        r = hash_given(x, password, hash);
    } else if (r == 0) {
        activation_code(code);
        values[3] = proof;
        r = activation_proof(x->arena, username_lower(x->arena, member(x->json.tree, "username")), code, proof);
    }
    if (r != 0)
        return r < 0 ? r : 0;
    values[1] = body_without_password(x);
    if (values[1] == NULL || values[4] == NULL)
        return -ENOMEM;
    r = staff_create(x, &query_account_create, values, "activation_code", password == NULL ? code : NULL);
    secret_wipe(code, sizeof(code));
    return r;
}

/* 0 and the account's username; 1 when the exchange holds its answer. */
static int find_username(struct exchange *x, const char **ret)
{
    const char *const values[] = { exchange_param(x, "account") };
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = query_fetch(x, &query_account_username, values, &rows);
    if (r != 0)
        return r;
    *ret = arena_strdup(x->arena, row_text(rows, "username"));
    return *ret != NULL ? 0 : -ENOMEM;
}

int handle_account_reset(struct exchange *x)
{
    char code[CODE_CHARS], proof[2 + SECRET_SHA256_HEX];
    const char *values[] = { exchange_param(x, "account"), proof, hours(x),
        etag_versions(x->arena, exchange_header(x, "If-Match")), x->trace_id };
    const char *username;
    int r;

    r = find_username(x, &username);
    if (r != 0)
        return r < 0 ? r : 0;
    activation_code(code);
    r = activation_proof(x->arena, username, code, proof);
    if (r == 0)
        r = staff_create(x, &query_account_reset, values, "activation_code", code);
    secret_wipe(code, sizeof(code));
    return r;
}
