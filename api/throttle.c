#include "throttle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "secret.h"
#include "service.h"

#define DEVICE_DAYS 180
#define NONCE_BYTES 9
#define NONCE_CHARS 12
#define PROOF_BYTES 16
#define DAY_US      INT64_C(86400000000)
#define V4_IN_V6    12 /* bytes before an IPv4 address in ::ffff:0:0/96 */

const char *throttle_network(struct arena *a, const char *address)
{
    static const uint8_t v4_prefix[V4_IN_V6] = { [10] = 0xff, [11] = 0xff };
    uint8_t raw[16];
    char text[INET6_ADDRSTRLEN];

    if (inet_pton(AF_INET6, address, raw) != 1)
        return address;
    if (memcmp(raw, v4_prefix, sizeof(v4_prefix)) == 0) {
        inet_ntop(AF_INET, raw + V4_IN_V6, text, sizeof(text));
        return arena_strdup(a, text);
    }
    memset(raw + 8, 0, 8);
    inet_ntop(AF_INET6, raw, text, sizeof(text));
    return arena_printf(a, "%s/64", text);
}

/* nonce.day.mac: the digest binds name, nonce and last day together. */
static const char *prove(struct exchange *x, const char *username, const char *nonce, int64_t day)
{
    char mac_text[SECRET_BASE64URL_CHARS(PROOF_BYTES)];
    uint8_t mac[SECRET_MAC_BYTES];
    struct secret_key key;
    const char *text = arena_printf(x->arena, "%s\n%s\n%lld", username, nonce, (long long)day);

    if (text == NULL)
        return NULL;
    secret_key_derive(&x->service->master, "device", &key);
    secret_mac(&key, text, strlen(text), mac);
    secret_wipe(&key, sizeof(key));
    secret_base64url_encode(mac, PROOF_BYTES, mac_text);
    return arena_printf(x->arena, "%s.%lld.%s", nonce, (long long)day, mac_text);
}

/* The nonce of a proof that was made for this name and has not run out, or NULL. */
static const char *read_proof(struct exchange *x, const char *username, const char *proof)
{
    int64_t today = clock_now_us() / DAY_US, day;
    const char *nonce, *right;
    char *end;

    if (strcspn(proof, ".") != NONCE_CHARS || proof[NONCE_CHARS] == '\0')
        return NULL;
    day = strtoll(proof + NONCE_CHARS + 1, &end, 10);
    if (*end != '.' || day < today || day > today + DEVICE_DAYS)
        return NULL;
    nonce = arena_strndup(x->arena, proof, NONCE_CHARS);
    right = nonce != NULL ? prove(x, username, nonce, day) : NULL;
    return right != NULL && secret_equal(right, strlen(right), proof, strlen(proof)) ? nonce : NULL;
}

const char *throttle_device_proof(struct exchange *x, const struct throttle *t, const char *username)
{
    char nonce[SECRET_BASE64URL_CHARS(NONCE_BYTES)];
    uint8_t random[NONCE_BYTES];

    secret_random(random, sizeof(random));
    secret_base64url_encode(random, sizeof(random), nonce);
    return prove(x, username, t->device != NULL ? t->device : nonce, clock_now_us() / DAY_US + DEVICE_DAYS);
}

static const char *number(struct exchange *x, int64_t n)
{
    return arena_printf(x->arena, "%lld", (long long)n);
}

int throttle_of(struct exchange *x, const char *username, const char *proof, struct throttle *ret)
{
    const struct config *config = x->service->config;

    *ret = (struct throttle){
        .network = throttle_network(x->arena, x->client),
        .device = username != NULL && proof != NULL ? read_proof(x, username, proof) : NULL,
        .most = number(x, config->login_failures),
        .most_network = number(x, config->login_network_failures),
        .window = number(x, config->login_window_s),
    };
    return ret->network != NULL && ret->most != NULL && ret->most_network != NULL && ret->window != NULL ? 0 : -ENOMEM;
}

struct turn throttle_turn(struct exchange *x, const struct throttle *t, const char *username, bool known)
{
    const char *place = t->device != NULL ? t->device : t->network;

    return (struct turn){ known ? arena_printf(x->arena, "%s %s", place, username) : t->network, known };
}

int throttle_refuse(struct exchange *x, const char *seconds)
{
    reply_header(x, "Retry-After", seconds);
    return fail(x, P_TOO_MANY_LOGINS);
}
