/*
 * Access tokens: ES256 JWTs. libjwt issues them; on the hot path the signature is checked by OpenSSL
 * with cached keys, and a verified token is remembered until it expires.
 */
#ifndef TIENDO_TOKEN_H
#define TIENDO_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_MAX          8192 /* bytes of a compact token */
#define TOKEN_ID_CHARS     37   /* a UUID with its NUL */
#define TOKEN_KID_CHARS    44   /* an RFC 7638 thumbprint with its NUL */
#define TOKEN_CLIENT_CHARS 65
#define TOKEN_SCOPES_MAX   64

/* Who calls, as a verified token says. What they may do is asked of the database. */
struct identity {
    char grant[TOKEN_ID_CHARS];
    char session[TOKEN_ID_CHARS];
    char subject[TOKEN_ID_CHARS];
    char jti[TOKEN_ID_CHARS];
    char kid[TOKEN_KID_CHARS];
    char client_id[TOKEN_CLIENT_CHARS];
    uint64_t scopes;    /* one bit for each word of the verifier's scope list */
    int64_t expires_us; /* Unix microseconds */
};

/* A key pair; private part as PEM, public part as a JWK of kty, crv, x, y, kid, use, alg. */
struct token_pair {
    char kid[TOKEN_KID_CHARS];
    char *pem;
    char *jwk;
};
/* A new P-256 pair; its kid is the RFC 7638 thumbprint. 0, -ENOMEM or -EIO. */
int token_pair_generate(struct token_pair *ret_pair);
void token_pair_clear(struct token_pair *pair); /* wipes the private part; takes a cleared pair too */

/* What a new token says; lifetime in seconds. */
struct token_claims {
    const char *issuer;
    const char *audience;
    const char *subject;
    const char *client_id;
    const char *session;
    const char *grant;
    const char *scope;
    int64_t lifetime;
};
/* A signed compact token, for free(). 0, -EINVAL (key), -ENOMEM. */
int token_issue(const char *kid, const char *pem, const struct token_claims *claims, char **ret_token);

struct token_verifier;

struct token_options {
    const char *issuer;
    const char *audience;
    const char *const *scopes; /* NULL-terminated, at most TOKEN_SCOPES_MAX words; borrowed */
    size_t cache_max;          /* verified tokens remembered; 0 remembers none */
    int64_t leeway;            /* seconds by which nbf and iat may lie ahead */
    /* Asked when a kid is unknown; loads keys and calls token_verifier_set_keys. May be NULL. */
    int (*reload)(void *userdata);
    void *userdata;
    int64_t reload_interval; /* seconds between two reloads, after a few at once; at least 1 */
};

/* 0, -ENOMEM, -EINVAL. Free of threads and safe to share by them. */
int token_verifier_new(const struct token_options *options, struct token_verifier **ret_verifier);
struct token_verifier *token_verifier_free(struct token_verifier *verifier); /* takes NULL */
void token_verifier_freep(struct token_verifier **verifier);

/* Replaces the accepted keys, each a public JWK (ES256 alone). 0, -EINVAL (nothing changed), -ENOMEM. */
int token_verifier_set_keys(struct token_verifier *verifier, const char *const *jwks, size_t n);
/* Whether tokens of this key are accepted. */
bool token_verifier_knows(struct token_verifier *verifier, const char *kid);
/* The accepted keys as a JWK set, for free(). 0 or -ENOMEM. */
int token_verifier_jwks(struct token_verifier *verifier, char **ret_json);

/*
 * 0 and who calls. Answered 401: -EBADMSG (no token of ours by its form), -EKEYREJECTED (forged, not yet valid, or
 * meant for others), -EKEYEXPIRED, -ENOKEY (unknown kid). Answered 503: -EAGAIN (no keys to be loaded), -ENOMEM.
 */
int token_verify(struct token_verifier *verifier, const char *p, size_t n, struct identity *ret_identity);

/* Whether the token is one of ours that is remembered, and who calls then. Costs a digest. */
bool token_recall(struct token_verifier *verifier, const char *p, size_t n, struct identity *ret_identity);

/* The bits of a space-separated scope; unknown words have none. */
uint64_t token_scope_bits(const struct token_verifier *verifier, const char *scope);

#endif
