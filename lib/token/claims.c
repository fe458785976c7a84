/* What a token says of itself, checked by type before by value. */
#include "internal.h"
#include "util.h"
#include "uuid.h"

#include <errno.h>
#include <string.h>

static const int64_t second_us = 1000000;
static const int64_t lifetime_max = 86400;      /* no token of ours lives longer */
static const int64_t date_max = 253402300800LL; /* year 10000; keeps microseconds in range */

/* 0, -ENOENT when absent, -EKEYREJECTED when no whole number that can be a date. */
static int date_claim(const json_t *payload, const char *name, int64_t *ret)
{
    const json_t *value = json_object_get(payload, name);

    if (!value)
        return -ENOENT;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= date_max)
        return -EKEYREJECTED;
    *ret = json_integer_value(value);
    return 0;
}

int token_dates_check(
    const json_t *payload, int64_t leeway, int64_t now_us, int64_t *ret_issued_us, int64_t *ret_expires_us)
{
    const int64_t soon_us = now_us + leeway * second_us;
    int64_t expires, issued, not_before;
    int r;

    if (date_claim(payload, "exp", &expires) < 0 || date_claim(payload, "iat", &issued) < 0)
        return -EKEYREJECTED;
    r = date_claim(payload, "nbf", &not_before);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && not_before * second_us > soon_us)
        return -EKEYREJECTED;
    if (issued * second_us > soon_us)
        return -EKEYREJECTED;
    if (expires * second_us <= now_us)
        return -EKEYEXPIRED;
    *ret_issued_us = issued * second_us;
    *ret_expires_us = expires * second_us;
    return 0;
}

bool token_text_is(const json_t *value, const char *wanted)
{
    return json_is_string(value) && json_string_length(value) == strlen(wanted) &&
        strcmp(json_string_value(value), wanted) == 0;
}

bool token_audience_has(const json_t *value, const char *wanted)
{
    bool found = false;
    const json_t *entry;
    size_t i;

    if (!json_is_array(value))
        return token_text_is(value, wanted);
    json_array_foreach(value, i, entry)
    {
        if (!json_is_string(entry))
            return false;
        found = found || token_text_is(entry, wanted);
    }
    return found;
}

static int id_claim(const json_t *payload, const char *name, char ret[TOKEN_ID_CHARS])
{
    const json_t *value = json_object_get(payload, name);

    if (!json_is_string(value) || !uuid_valid(json_string_value(value), json_string_length(value)))
        return -EKEYREJECTED;
    memcpy(ret, json_string_value(value), TOKEN_ID_CHARS);
    return 0;
}

int token_claims_check(const struct token_verifier *verifier, const struct token_options *options,
    const json_t *payload, int64_t now_us, struct identity *ret_identity)
{
    const json_t *client = json_object_get(payload, "client_id"), *scope = json_object_get(payload, "scope");
    struct identity id = { 0 };
    int64_t issued_us;
    int r;

    if (!token_text_is(json_object_get(payload, "iss"), options->issuer) ||
        !token_audience_has(json_object_get(payload, "aud"), options->audience))
        return -EKEYREJECTED;
    if (id_claim(payload, "sub", id.subject) < 0 || id_claim(payload, "sid", id.session) < 0 ||
        id_claim(payload, "grant", id.grant) < 0 || id_claim(payload, "jti", id.jti) < 0)
        return -EKEYREJECTED;
    if (!json_is_string(client) || json_string_length(client) >= sizeof id.client_id || !json_is_string(scope))
        return -EKEYREJECTED;
    memcpy(id.client_id, json_string_value(client), json_string_length(client) + 1);
    id.scopes = token_scope_bits(verifier, json_string_value(scope));
    r = token_dates_check(payload, options->leeway, now_us, &issued_us, &id.expires_us);
    if (r < 0)
        return r;
    if (id.expires_us - issued_us > lifetime_max * second_us)
        return -EKEYREJECTED;
    *ret_identity = id;
    return 0;
}
