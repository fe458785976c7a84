#include "secret.h"

#include <errno.h>
#include <assert.h>
#include <sodium.h>
#include <string.h>

static const unsigned long long password_passes = 2;
static const size_t password_memory = 19u * 1024 * 1024;

static char dummy_hash[SECRET_HASH_MAX]; /* verified for accounts that do not exist */

static_assert(crypto_pwhash_STRBYTES <= SECRET_HASH_MAX, "Argon2id strings fit");
static_assert(crypto_hash_sha256_BYTES == SECRET_SHA256_BYTES, "SHA-256 fits");
static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(struct secret_digest), "its state fits");

int secret_init(void)
{
    char random[SECRET_TOKEN_CHARS];

    if (sodium_init() < 0)
        return -EIO;
    if (dummy_hash[0])
        return 0;
    secret_token(random);
    return secret_password_hash(random, sizeof random - 1, dummy_hash);
}

int secret_password_hash(const char *password, size_t n, char ret_hash[SECRET_HASH_MAX])
{
    char hash[crypto_pwhash_STRBYTES];

    if (crypto_pwhash_str_alg(hash, password, n, password_passes, password_memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return -ENOMEM;
    memcpy(ret_hash, hash, sizeof hash);
    return 0;
}

int secret_password_verify(const char *hash, const char *password, size_t n)
{
    bool known = hash != NULL;
    bool fits;

    errno = 0;
    fits = crypto_pwhash_str_verify(known ? hash : dummy_hash, password, n) == 0;
    if (!fits && errno == ENOMEM)
        return -ENOMEM;
    return known && fits ? 0 : -EACCES;
}

void secret_random(void *p, size_t n)
{
    randombytes_buf(p, n);
}

void secret_token(char ret_token[SECRET_TOKEN_CHARS])
{
    uint8_t bytes[SECRET_TOKEN_BYTES];

    randombytes_buf(bytes, sizeof bytes);
    secret_base64url_encode(bytes, sizeof bytes, ret_token);
    sodium_memzero(bytes, sizeof bytes);
}

void secret_password_generate(char *ret, size_t n)
{
    static const char alphabet[] = "23456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";

    for (size_t i = 0; i < n; i++)
        ret[i] = alphabet[randombytes_uniform(sizeof alphabet - 1)];
    ret[n] = '\0';
}

void secret_sha256(const void *p, size_t n, uint8_t ret[SECRET_SHA256_BYTES])
{
    crypto_hash_sha256(ret, p, n);
}

void secret_sha256_hex(const void *p, size_t n, char ret[SECRET_SHA256_HEX])
{
    uint8_t digest[SECRET_SHA256_BYTES];

    crypto_hash_sha256(digest, p, n);
    sodium_bin2hex(ret, SECRET_SHA256_HEX, digest, sizeof digest);
}

void secret_hex(const void *p, size_t n, char *ret)
{
    sodium_bin2hex(ret, 2 * n + 1, p, n);
}

void secret_digest_begin(struct secret_digest *digest)
{
    crypto_hash_sha256_init((crypto_hash_sha256_state *)(void *)digest->state);
}

void secret_digest_add(struct secret_digest *digest, const void *p, size_t n)
{
    crypto_hash_sha256_update((crypto_hash_sha256_state *)(void *)digest->state, p, n);
}

void secret_digest_end(struct secret_digest *digest, uint8_t ret[SECRET_SHA256_BYTES])
{
    crypto_hash_sha256_final((crypto_hash_sha256_state *)(void *)digest->state, ret);
}

bool secret_equal(const void *a, size_t na, const void *b, size_t nb)
{
    return na == nb && sodium_memcmp(a, b, na) == 0;
}

void secret_wipe(void *p, size_t n)
{
    if (p)
        sodium_memzero(p, n);
}

void secret_base64url_encode(const void *p, size_t n, char *ret)
{
    sodium_bin2base64(ret, SECRET_BASE64URL_CHARS(n), p, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int secret_base64url_decode(const char *p, size_t n, void *ret, size_t max, size_t *ret_n)
{
    size_t size;

    if (n % 4 == 1)
        return -EBADMSG;
    if (n / 4 * 3 + n % 4 * 3 / 4 > max)
        return -EOVERFLOW;
    if (sodium_base642bin(ret, max, p, n, NULL, &size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return -EBADMSG;
    *ret_n = size;
    return 0;
}

int secret_base64_decode(const char *p, size_t n, void *ret, size_t max, size_t *ret_n)
{
    size_t size;

    if (n % 4 != 0)
        return -EBADMSG;
    if (n / 4 * 3 > max + 2)
        return -EOVERFLOW;
    if (sodium_base642bin(ret, max, p, n, NULL, &size, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return -EBADMSG;
    *ret_n = size;
    return 0;
}
