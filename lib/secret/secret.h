/*
 * Secrets: password hashes, random tokens, digests, sealed blobs, strict base64url.
 * The only room that knows libsodium.
 */
#ifndef TIENDO_SECRET_H
#define TIENDO_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_KEY_BYTES     32
#define SECRET_MAC_BYTES     32
#define SECRET_SHA256_BYTES  32
#define SECRET_SHA256_HEX    65
#define SECRET_HASH_MAX      128 /* an Argon2id string with its NUL */
#define SECRET_TOKEN_BYTES   32
#define SECRET_TOKEN_CHARS   44 /* a random token in base64url with its NUL */
#define SECRET_SEAL_OVERHEAD 40 /* nonce and tag before and after the plain text */

/* A key that seals small blobs; it comes from a file. */
struct secret_key {
    uint8_t bytes[SECRET_KEY_BYTES];
};

/* Call once before anything else. 0 or -EIO. */
int secret_init(void);

/* Argon2id, 19 MiB, two passes. 0 or -ENOMEM. */
int secret_password_hash(const char *password, size_t n, char ret_hash[SECRET_HASH_MAX]);
/*
 * 0 when the password fits, -EACCES when not, -ENOMEM. A NULL hash (an unknown account)
 * costs the same as a known one and is always -EACCES.
 */
int secret_password_verify(const char *hash, const char *password, size_t n);

void secret_random(void *p, size_t n);
/* 256 random bits as base64url. */
void secret_token(char ret_token[SECRET_TOKEN_CHARS]);
/* A random password that is easy to read out: n characters, none of 0O1lI. */
void secret_password_generate(char *ret, size_t n);

void secret_sha256(const void *p, size_t n, uint8_t ret[SECRET_SHA256_BYTES]);
void secret_sha256_hex(const void *p, size_t n, char ret[SECRET_SHA256_HEX]);
void secret_hex(const void *p, size_t n, char *ret); /* 2 n + 1 characters */

/* A SHA-256 of what comes in pieces. */
struct secret_digest {
    uint64_t state[16];
};
void secret_digest_begin(struct secret_digest *digest);
void secret_digest_add(struct secret_digest *digest, const void *p, size_t n);
void secret_digest_end(struct secret_digest *digest, uint8_t ret[SECRET_SHA256_BYTES]);
/* Compares in constant time; false at once when the lengths differ. */
bool secret_equal(const void *a, size_t na, const void *b, size_t nb);
/* Wipes memory in a way the compiler keeps. */
void secret_wipe(void *p, size_t n);

/* 32 bytes in base64 or base64url, padded or not; one newline at the end is ignored. -EBADMSG for anything else. */
int secret_key_parse(const char *p, size_t n, struct secret_key *ret_key);
/* The same from a file that others may neither read nor write (-EPERM). */
int secret_key_load(const char *path, struct secret_key *ret_key);
/* A new key in a new file, for its owner alone; never replaces one (-EEXIST). */
int secret_key_create(const char *path);
/* A key for one purpose, named by the label. */
void secret_key_derive(const struct secret_key *key, const char *label, struct secret_key *ret_key);
/* A keyed digest (BLAKE2b). */
void secret_mac(const struct secret_key *key, const void *p, size_t n, uint8_t ret[SECRET_MAC_BYTES]);

/*
 * XChaCha20-Poly1305. `label` is bound to the blob (what it is for, e.g. the key id): it opens with
 * the same label alone. Seal writes n + SECRET_SEAL_OVERHEAD bytes; open writes n - SECRET_SEAL_OVERHEAD
 * bytes, or -EBADMSG.
 */
int secret_seal(const struct secret_key *key, const char *label, const void *p, size_t n, uint8_t *ret_blob);
int secret_open(const struct secret_key *key, const char *label, const void *blob, size_t n, uint8_t *ret_plain);

/* Characters that n bytes take in base64url, with the NUL. */
#define SECRET_BASE64URL_CHARS(n) (((n)*4 + 2) / 3 + 1)
void secret_base64url_encode(const void *p, size_t n, char *ret);
/*
 * Strict: no padding, no white space, no other alphabet, no spare bits. 0, -EBADMSG, or
 * -EOVERFLOW when more than max bytes would come out.
 */
int secret_base64url_decode(const char *p, size_t n, void *ret, size_t max, size_t *ret_n);
/* The same for plain base64 with its padding, as HTTP's Basic credentials have it. */
int secret_base64_decode(const char *p, size_t n, void *ret, size_t max, size_t *ret_n);

#endif
