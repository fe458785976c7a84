/* What a signature is checked with: the algorithm belongs to the key, never to the token's own word for it. */
#include "internal.h"
#include "util.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <string.h>

enum { ecdsa_bytes = 64 };

static const char *const names[TOKEN_N_ALGS] = {
    [TOKEN_ES256] = "ES256",
    [TOKEN_RS256] = "RS256",
    [TOKEN_PS256] = "PS256",
    [TOKEN_EDDSA] = "EdDSA",
};

int token_alg_parse(const char *name, enum token_alg *ret_alg)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0) {
            *ret_alg = (enum token_alg)i;
            return 0;
        }
    return -EINVAL;
}

const char *token_alg_name(enum token_alg alg)
{
    return names[alg];
}

/* r || s, each as wide as the curve, becomes the DER that OpenSSL reads. */
static int ecdsa_der(const uint8_t *signature, uint8_t **ret_der, size_t *ret_n)
{
    const int half = ecdsa_bytes / 2;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, half, NULL), *s = BN_bin2bn(signature + half, half, NULL);
    uint8_t *der = NULL;
    int n;

    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(sig);
        return -ENOMEM;
    }
    n = i2d_ECDSA_SIG(sig, &der);
    ECDSA_SIG_free(sig);
    if (n <= 0)
        return -ENOMEM;
    *ret_der = der;
    *ret_n = (size_t)n;
    return 0;
}

static int digest_verify(
    EVP_PKEY *pkey, enum token_alg alg, const void *p, size_t n, const uint8_t *signature, size_t signature_n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;
    int r = -ENOMEM;

    if (ctx && EVP_DigestVerifyInit(ctx, &padding, alg == TOKEN_EDDSA ? NULL : EVP_sha256(), NULL, pkey) == 1 &&
        (alg != TOKEN_PS256 ||
            (EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) == 1)))
        r = EVP_DigestVerify(ctx, signature, signature_n, p, n) == 1 ? 0 : -EKEYREJECTED;
    EVP_MD_CTX_free(ctx);
    return r;
}

int token_signature_check(
    EVP_PKEY *pkey, enum token_alg alg, const void *p, size_t n, const uint8_t *signature, size_t signature_n)
{
    uint8_t *der;
    size_t der_n;
    int r;

    if (alg != TOKEN_ES256)
        return digest_verify(pkey, alg, p, n, signature, signature_n);
    if (signature_n != ecdsa_bytes)
        return -EKEYREJECTED;
    r = ecdsa_der(signature, &der, &der_n);
    if (r < 0)
        return r;
    r = digest_verify(pkey, alg, p, n, der, der_n);
    OPENSSL_free(der);
    return r;
}
