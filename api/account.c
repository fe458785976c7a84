/* POST /v1/accounts: the password is hashed here, or made here and shown once; the database never sees its text. */
#include <errno.h>
#include <string.h>

#include "password.h"
#include "routes.h"
#include "service.h"
#include "staff.h"

#define GENERATED_CHARS 20

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

/* 0 and the password to set; 1 when the exchange holds the faults. */
static int choose_password(struct exchange *x, char generated[GENERATED_CHARS + 1], const char **ret)
{
    const char *given = json_string_value(json_object_get(x->json.tree, "password"));
    const char *username = json_string_value(json_object_get(x->json.tree, "username")), *wrong;

    if (given == NULL) {
        secret_password_generate(generated, GENERATED_CHARS);
        *ret = generated;
        return 0;
    }
    wrong = password_fault(username, given);
    if (wrong == NULL) {
        *ret = given;
        return 0;
    }
    fault_add_text(&x->faults, AT_POINTER, "#/password", "weak_password", wrong);
    fail(x, P_INVALID);
    return 1;
}

int handle_account_create(struct exchange *x)
{
    char generated[GENERATED_CHARS + 1] = "", hash[SECRET_HASH_MAX];
    const char *password = NULL;
    const char *values[] = { exchange_new_id(x), NULL, hash, x->trace_id };
    int r;

    r = staff_permitted(x);
    if (r == 0)
        r = choose_password(x, generated, &password);
    if (r != 0)
        return r < 0 ? r : 0;
    values[1] = body_without_password(x);
    if (values[1] == NULL)
        return -ENOMEM;
    r = password_hash(x->service, password, hash);
    if (r < 0)
        return r;
    r = staff_create(x, &query_account_create, values, "password", generated[0] != '\0' ? generated : NULL);
    secret_wipe(generated, sizeof(generated));
    return r;
}
