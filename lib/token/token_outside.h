/*
 * Tokens of outside issuers (a province's own single sign-on): JWTs signed with keys of its JWK set. Who they speak for is asked
 * of the database; once answered, it is remembered with the token.
 */
#ifndef TIENDO_OUTSIDE_TOKEN_H
#define TIENDO_OUTSIDE_TOKEN_H

#include "token.h"

#define TOKEN_JWKS_MAX ((size_t)256 * 1024)

struct token_outside;

struct token_outside_options {
    const char *issuer;
    const char *const *audiences;  /* any one of them must be named */
    const char *const *algorithms; /* RS256, PS256, ES256, EdDSA */
    const char *const *required;   /* "claim=value": the claim has that value, or holds it in its list */
    size_t n_audiences, n_algorithms, n_required;
    size_t cache_max;
    int64_t leeway;  /* seconds by which nbf and iat may lie ahead */
    int64_t max_age; /* seconds after iat when a token ends, whatever its exp says */
    /* Asked when a kid is unknown; sees to it that the keys are loaded. May be NULL. */
    int (*reload)(void *userdata);
    void *userdata;
    int64_t reload_interval;
};

/* 0, -ENOMEM, -EINVAL (an algorithm that is not known). The options are borrowed. Safe to share by threads. */
int token_outside_new(const struct token_outside_options *options, struct token_outside **ret_outside);
struct token_outside *token_outside_free(struct token_outside *outside); /* takes NULL */

/* What came of a JWK set that was read. */
struct token_jwks_report {
    size_t keys, skipped;
    bool changed;
    char reason[160]; /* why it was refused, or the first key passed over; "" for neither */
};
/* Replaces the accepted keys. 0, -EBADMSG (refused; the old keys stay), -ENOMEM. */
int token_outside_set_keys(
    struct token_outside *outside, const char *p, size_t n, struct token_jwks_report *ret_report);
/* Accepts no key any more. */
void token_outside_drop_keys(struct token_outside *outside);

/* The iss of what looks like a token, not believed yet. 0 or -EBADMSG. */
int token_issuer(const char *p, size_t n, char *ret, size_t size);

/* What a verified token says. Texts are borrowed from it. */
struct token_said;
struct token_said *token_said_free(struct token_said *said); /* takes NULL */
void token_said_freep(struct token_said **said);
/* A claim by its path, dots between ("realm_access.roles"; a dot of a name is written \.). 0, *ret NULL where it says nothing;
 * -EKEYREJECTED when it is there and no text. */
int token_said_text(const struct token_said *said, const char *path, const char **ret);
/* Whether the claim is that text (or number, or boolean), or a list with it. */
bool token_said_is(const struct token_said *said, const char *path, const char *value);
int64_t token_said_expires_us(const struct token_said *said);

/* As token_verify(); -EAGAIN also while no keys could be loaded yet. */
int token_outside_verify(struct token_outside *outside, const char *p, size_t n, struct token_said **ret_said);
/* Whether it is remembered for whom the token speaks. */
bool token_outside_recall(struct token_outside *outside, const char *p, size_t n, struct identity *ret_identity);
void token_outside_remember(
    struct token_outside *outside, const struct token_said *said, const struct identity *identity);
void token_outside_forget(struct token_outside *outside, const char *p, size_t n);

#endif
