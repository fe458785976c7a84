#include "cursor.h"

#include <errno.h>
#include <string.h>

/* A byte of direction, then each value with its NUL: the longest are of a sheet, a code and a category of 200 characters. */
#define PLAIN_MAX  1400
#define SEALED_MAX (PLAIN_MAX + SECRET_SEAL_OVERHEAD)

static void label_of(struct str context, char ret_label[SECRET_SHA256_HEX])
{
    secret_sha256_hex(context.p, context.n, ret_label);
}

const char *cursor_write(struct arena *a, const struct secret_key *key, struct str context, const struct cursor *cursor)
{
    char label[SECRET_SHA256_HEX], plain[PLAIN_MAX], *text;
    uint8_t sealed[SEALED_MAX];
    size_t n = 0;

    plain[n++] = cursor->backward ? 'b' : 'f';
    for (size_t i = 0; i < cursor->n; i++) {
        size_t length = strlen(cursor->values[i]) + 1;

        if (length > PLAIN_MAX - n)
            return NULL;
        memcpy(plain + n, cursor->values[i], length);
        n += length;
    }
    label_of(context, label);
    if (secret_seal(key, label, plain, n, sealed) < 0)
        return NULL;
    n += SECRET_SEAL_OVERHEAD;
    text = arena_alloc(a, SECRET_BASE64URL_CHARS(n));
    if (text != NULL)
        secret_base64url_encode(sealed, n, text);
    return text;
}

static int unpack(char *plain, size_t n, struct cursor *cursor)
{
    size_t at = 1;

    if (plain[0] != 'f' && plain[0] != 'b')
        return -EBADMSG;
    cursor->backward = plain[0] == 'b';
    cursor->n = 0;
    while (at < n) {
        const char *end = memchr(plain + at, '\0', n - at);

        if (end == NULL || cursor->n == CURSOR_VALUES_MAX)
            return -EBADMSG;
        cursor->values[cursor->n++] = plain + at;
        at = (size_t)(end - plain) + 1;
    }
    return 0;
}

int cursor_read(struct arena *a, const struct secret_key *key, struct str context, const char *text, struct cursor *ret)
{
    char label[SECRET_SHA256_HEX], *plain;
    uint8_t sealed[SEALED_MAX];
    struct cursor cursor;
    size_t n = 0;
    int r;

    if (secret_base64url_decode(text, strlen(text), sealed, sizeof(sealed), &n) < 0 || n <= SECRET_SEAL_OVERHEAD)
        return -EBADMSG;
    plain = arena_alloc(a, n);
    if (plain == NULL)
        return -ENOMEM;
    label_of(context, label);
    if (secret_open(key, label, sealed, n, (uint8_t *)plain) < 0)
        return -EBADMSG;
    r = unpack(plain, n - SECRET_SEAL_OVERHEAD, &cursor);
    if (r < 0)
        return r;
    *ret = cursor;
    return 0;
}
