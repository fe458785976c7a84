/* Sealed blobs and the key file that opens them. */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    key_chars = SECRET_BASE64URL_CHARS(SECRET_KEY_BYTES) - 1,
};

static_assert(nonce_bytes + tag_bytes == SECRET_SEAL_OVERHEAD, "overhead is nonce and tag");
static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == SECRET_KEY_BYTES, "the key fits");

int secret_key_parse(const char *p, size_t n, struct secret_key *ret_key)
{
    char text[key_chars];
    struct secret_key key;
    size_t size;
    int r;

    if (n > 0 && p[n - 1] == '\n')
        n--;
    if (n == key_chars + 1 && p[key_chars] == '=')
        n--;
    if (n != key_chars)
        return -EBADMSG;
    for (size_t i = 0; i < key_chars; i++)
        text[i] = p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i];
    r = secret_base64url_decode(text, key_chars, key.bytes, sizeof key.bytes, &size);
    sodium_memzero(text, sizeof text);
    if (r < 0)
        return r;
    *ret_key = key;
    sodium_memzero(&key, sizeof key);
    return 0;
}

static int key_read(int fd, struct secret_key *ret_key)
{
    char text[key_chars + 3];
    struct stat st;
    ssize_t got;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return -EPERM;
    got = read(fd, text, sizeof text);
    if (got < 0)
        return -errno;
    r = secret_key_parse(text, (size_t)got, ret_key);
    sodium_memzero(text, sizeof text);
    return r;
}

int secret_key_load(const char *path, struct secret_key *ret_key)
{
    int fd, r;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = key_read(fd, ret_key);
    close(fd);
    return r;
}

int secret_key_create(const char *path)
{
    char text[SECRET_TOKEN_CHARS];
    int fd, r = 0;

    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    secret_token(text);
    text[key_chars] = '\n';
    if (write(fd, text, sizeof text) != (ssize_t)sizeof text || fsync(fd) < 0)
        r = errno ? -errno : -EIO;
    sodium_memzero(text, sizeof text);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r < 0)
        (void)unlink(path);
    return r;
}

int secret_seal(const struct secret_key *key, const char *label, const void *p, size_t n, uint8_t *ret_blob)
{
    randombytes_buf(ret_blob, nonce_bytes);
    if (crypto_aead_xchacha20poly1305_ietf_encrypt(
            ret_blob + nonce_bytes, NULL, p, n, (const uint8_t *)label, strlen(label), NULL, ret_blob, key->bytes) != 0)
        return -EIO;
    return 0;
}

int secret_open(const struct secret_key *key, const char *label, const void *blob, size_t n, uint8_t *ret_plain)
{
    const uint8_t *nonce = blob;

    if (n < SECRET_SEAL_OVERHEAD)
        return -EBADMSG;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(ret_plain, NULL, NULL, nonce + nonce_bytes, n - nonce_bytes,
            (const uint8_t *)label, strlen(label), nonce, key->bytes) != 0)
        return -EBADMSG;
    return 0;
}

void secret_key_derive(const struct secret_key *key, const char *label, struct secret_key *ret_key)
{
    crypto_generichash(
        ret_key->bytes, sizeof ret_key->bytes, (const uint8_t *)label, strlen(label), key->bytes, sizeof key->bytes);
}

void secret_mac(const struct secret_key *key, const void *p, size_t n, uint8_t ret[SECRET_MAC_BYTES])
{
    crypto_generichash(ret, SECRET_MAC_BYTES, p, n, key->bytes, sizeof key->bytes);
}
