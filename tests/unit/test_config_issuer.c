#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "config.h"
#include "text.h"

static struct arena *arena;
static struct buf faults;
static char path[] = "/tmp/tiendo-config-XXXXXX";

static void set_up(void)
{
    arena = arena_new(1 << 20);
    ck_assert_ptr_nonnull(arena);
    buf_init(&faults, 1 << 16);
}

static void tear_down(void)
{
    arena_free(arena);
    buf_free(&faults);
    if (!strchr(path, 'X'))
        (void)unlink(path);
}

static int load(const char *text, const char *const *env, struct config *ret)
{
    static const char *const none[] = { NULL };
    _cleanup_(closep) int fd = strchr(path, 'X') ? mkstemp(path) : -1;
    FILE *f = fopen(path, "we");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    buf_reset(&faults);
    return config_load(arena, path, (char *const *)(uintptr_t)(env ? env : none), ret, &faults);
}

START_TEST(issuers_come_from_file_and_environment)
{
    static const char *const env[] = { "TIENDO_ISSUER__SSO__JWKS_URL=https://sso.example.vn/certs",
        "TIENDO_ISSUER__HAI__ISS=https://hai.example.vn", "TIENDO_ISSUER__HAI__JWKS_FILE=/etc/hai.json",
        "TIENDO_ISSUER__SSO__REFRESH_S=60", NULL };
    struct config c;
    int r = load("issuer.sso.iss = https://sso.example.vn/realms/tinh\nissuer.sso.audience = tiendo, account\n"
                 "issuer.sso.jwks_url = https://old.example.vn\nissuer.sso.required = typ=Bearer, azp=tiendo-web\n"
                 "issuer.sso.roles_claim = realm_access.roles\nissuer.sso.roles = can-bo:reporter, sso:x:viewer\n",
        env, &c);

    ck_assert_msg(r == 0, "%s", buf_cstr(&faults));
    ck_assert_uint_eq(c.n_issuers, 2);
    ck_assert_str_eq(c.issuers[0].name, "sso");
    ck_assert_str_eq(c.issuers[0].iss, "https://sso.example.vn/realms/tinh");
    ck_assert_str_eq(c.issuers[0].jwks_url, "https://sso.example.vn/certs");
    ck_assert_str_eq(c.issuers[0].jwks_file, "");
    ck_assert_uint_eq(c.issuers[0].audience.n, 2);
    ck_assert_str_eq(c.issuers[0].required.item[1], "azp=tiendo-web");
    ck_assert_str_eq(c.issuers[0].account_claim, "preferred_username");
    ck_assert_int_eq(c.issuers[0].refresh_s, 60);
    ck_assert_uint_eq(c.issuers[0].algorithms.n, 2);
    ck_assert_str_eq(c.issuers[1].name, "hai");
    ck_assert_str_eq(c.issuers[1].jwks_file, "/etc/hai.json");
    ck_assert_str_eq(c.issuers[1].audience.item[0], "tiendo");
    ck_assert_int_eq(c.issuers[1].refresh_s, 300);
}
END_TEST

static const struct {
    const char *setting, *fault;
} rows[] = {
    { "issuer.sso.jwks_url = http://sso.example.vn/certs", "issuer.sso.jwks_url: must be an https URL" },
    { "issuer.sso.jwks_url = http://127.0.0.1.example.vn/", "issuer.sso.jwks_url: must be an https URL" },
    { "issuer.sso.jwks_url = http://localhost@example.vn/", "issuer.sso.jwks_url: must be an https URL" },
    { "issuer.sso.jwks_url = ftp://localhost/", "issuer.sso.jwks_url: must be an https URL" },
    { "issuer.sso.jwks_url = file:///etc/passwd", "issuer.sso.jwks_url: must be an https URL" },
    { "issuer.sso.jwks_url =", "issuer.sso.jwks_url: or jwks_file must be set" },
    { "issuer.sso.jwks_url = https://a\nissuer.sso.jwks_file = b", "issuer.sso.jwks_url: or jwks_file must be set" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.ca_file = /b", "issuer.sso.ca_file: is of no use" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.audience = ,", "issuer.sso.audience: must name one" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.algorithms = HS256", "issuer.sso.algorithms: are RS256" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.algorithms = none", "issuer.sso.algorithms: are RS256" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.required = azp", "issuer.sso.required: are written claim=value" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.roles = x:viewer", "issuer.sso.roles: and roles_claim go together" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.roles_claim = r\nissuer.sso.roles = x:root",
        "issuer.sso.roles: are written" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.account_claim =\nissuer.sso.client_claim =",
        "issuer.sso.account_claim: or client_claim must be set" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.stale_s = 10", "issuer.sso.stale_s: must not be less than refresh_s" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.leeway_s = -1", "leeway_s must be a whole number from 0 to 300" },
    { "issuer.sso.jwks_file = /a\nissuer.sso.jwks_file = /b", "issuer.sso.jwks_file is set twice" },
    { "issuer.sso.jwks_file = /a\nissuer.hai.iss = https://sso.example.vn\nissuer.hai.jwks_file = /a",
        "issuer.hai.iss: is another issuer's too" },
    { "issuer.sso.jwks_file = /a\nissuer = https://sso.example.vn", "issuer.sso.iss: is the service's own issuer" },
    { "issuer.hai.jwks_file = /a", "issuer.hai.iss: must be set" },
    { "issuer.SSO.jwks_file = /a", "unknown setting \"issuer.SSO.jwks_file\"" },
    { "issuer..jwks_file = /a", "unknown setting" },
    { "issuer.a.b.iss = /a", "unknown setting" },
    { "issuer.sso = /a", "unknown setting" },
    { "issuer.sso.secret = /a", "unknown setting" },
};

START_TEST(a_faulty_issuer_is_told)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config c;
        char text[512];

        (void)snprintf(text, sizeof(text), "issuer.sso.iss = https://sso.example.vn\n%s\n", rows[i].setting);
        ck_assert_int_eq(load(text, NULL, &c), -EINVAL);
        ck_assert_msg(strstr(buf_cstr(&faults), rows[i].fault) != NULL, "%s gave %s", text, buf_cstr(&faults));
    }
}
END_TEST

START_TEST(there_is_a_ninth_no_more)
{
    struct config c;
    char text[2048] = "";

    for (int i = 0; i < 9; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
            "issuer.i%d.iss = https://i%d.example.vn\nissuer.i%d.jwks_file = /a\n", i, i, i);
    ck_assert_int_eq(load(text, NULL, &c), -EINVAL);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&faults), "unknown setting \"issuer.i8.iss\""));
}
END_TEST

RUN_TESTS_WITH("config_issuer", set_up, tear_down, issuers_come_from_file_and_environment, a_faulty_issuer_is_told,
    there_is_a_ninth_no_more)
