/*
 * The compact form of a token, read strictly: three parts of canonical base64url, no header that
 * brings its own key or asks to be understood.
 */
#include "internal.h"
#include "secret.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const refused_headers[] = { "crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "enc" };

static void json_freep(json_t **json)
{
    json_decref(*json);
}

static int decode_object(const char *p, size_t n, json_t **ret_object)
{
    uint8_t text[TOKEN_MAX];
    json_t *object;
    size_t size;
    int r;

    r = secret_base64url_decode(p, n, text, sizeof text, &size);
    if (r < 0)
        return -EBADMSG;
    object = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return -EBADMSG;
    }
    *ret_object = object;
    return 0;
}

/* A text of the header, "" when there is none; what is no text, is empty, holds a control character or is too long is refused. */
static int header_text(const json_t *header, const char *name, char *ret, size_t size)
{
    const json_t *value = json_object_get(header, name);
    const char *text = json_string_value(value);

    ret[0] = '\0';
    if (!value)
        return 0;
    if (!text || !*text)
        return -EKEYREJECTED;
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return -EKEYREJECTED;
    if (strlen(text) >= size)
        return -ENOKEY;
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static int header_check(const json_t *header, struct token_parts *parts)
{
    const json_t *typ = json_object_get(header, "typ");

    if (header_text(header, "alg", parts->alg, sizeof parts->alg) < 0)
        return -EKEYREJECTED;
    for (size_t i = 0; i < ARRAY_SIZE(refused_headers); i++)
        if (json_object_get(header, refused_headers[i]))
            return -EKEYREJECTED;
    if (typ &&
        (!json_is_string(typ) ||
            (strcasecmp(json_string_value(typ), "JWT") != 0 && strcasecmp(json_string_value(typ), "at+jwt") != 0)))
        return -EKEYREJECTED;
    return header_text(header, "kid", parts->kid, sizeof parts->kid);
}

int token_parse(const char *p, size_t n, struct token_parts *ret_parts)
{
    _cleanup_(json_freep) json_t *header = NULL;
    struct token_parts parts = { 0 };
    const char *first, *second;
    int r;

    if (n > TOKEN_MAX)
        return -EBADMSG;
    first = memchr(p, '.', n);
    second = first ? memchr(first + 1, '.', n - (size_t)(first + 1 - p)) : NULL;
    if (!second)
        return -EBADMSG;
    r = decode_object(p, (size_t)(first - p), &header);
    if (r < 0)
        return r;
    r = header_check(header, &parts);
    if (r < 0)
        return r;
    parts.signed_n = (size_t)(second - p);
    r = secret_base64url_decode(
        second + 1, n - parts.signed_n - 1, parts.signature, sizeof parts.signature, &parts.signature_n);
    if (r < 0)
        return -EBADMSG;
    r = decode_object(first + 1, (size_t)(second - first - 1), &parts.payload);
    if (r < 0)
        return r;
    *ret_parts = parts;
    return 0;
}

void token_parts_clear(struct token_parts *parts)
{
    json_decref(parts->payload);
    *parts = (struct token_parts){ 0 };
}
