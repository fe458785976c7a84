/* The settings of outside issuers: a table as config.c's, one set of rows for each issuer that is named. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "settings.h"

#define AT(member) offsetof(struct config_issuer, member)
#define TEXT_MAX   1024
#define LIST_MAX   4096

/* clang-format off */
const struct config_setting config_issuer_settings[] = {
    { "iss", CONFIG_TEXT, AT(iss), "", 0, TEXT_MAX,
        "The iss of its tokens, letter by letter (https://sso.example.vn/realms/tinh).", false, "Tokens of outside issuers, one set for each: issuer.<name>.…, the name of small letters and digits" },
    { "audience", CONFIG_LIST, AT(audience), "tiendo", 1, LIST_MAX, "One of these must be in aud.", false, NULL },
    { "jwks_url", CONFIG_TEXT, AT(jwks_url), "", 0, TEXT_MAX,
        "Where its JWK set is published: https, or http on this machine. Either this or jwks_file.", false, NULL },
    { "jwks_file", CONFIG_TEXT, AT(jwks_file), "", 0, TEXT_MAX, "A file with its JWK set, looked at again as a URL is.", false, NULL },
    { "ca_file", CONFIG_TEXT, AT(ca_file), "", 0, TEXT_MAX,
        "Certificates (PEM) that jwks_url is believed by; empty for the system's.", false, NULL },
    { "algorithms", CONFIG_LIST, AT(algorithms), "RS256, ES256", 1, LIST_MAX,
        "Algorithms of its signatures: RS256, PS256, ES256, EdDSA. Each key is for one alone.", false, NULL },
    { "required", CONFIG_LIST, AT(required), "", 0, LIST_MAX,
        "Claims that must hold, such as typ=Bearer, azp=tiendo-web.", false, NULL },
    { "root", CONFIG_TEXT, AT(root), "", 0, TEXT_MAX,
        "Code of the root unit whose accounts and clients its tokens may speak for; empty for all.", false, NULL },
    { "account_claim", CONFIG_TEXT, AT(account_claim), "preferred_username", 0, TEXT_MAX,
        "Claim with the username of an account; empty for none. Dots lead inside (a.b), a dot of a name is \\. .", false, NULL },
    { "client_claim", CONFIG_TEXT, AT(client_claim), "sub", 0, TEXT_MAX,
        "Claim with the subject that a client's external.subject names; empty for none.", false, NULL },
    { "grant_claim", CONFIG_TEXT, AT(grant_claim), "", 0, TEXT_MAX,
        "Claim with the id of the grant to act under; empty, or not in the token: the oldest that fits.", false, NULL },
    { "unit_claim", CONFIG_TEXT, AT(unit_claim), "", 0, TEXT_MAX,
        "Claim with the code of the unit to act for, among those where a grant is held.", false, NULL },
    { "roles_claim", CONFIG_TEXT, AT(roles_claim), "", 0, TEXT_MAX,
        "Claim with a list of roles (realm_access.roles); with it only grants of a role the token carries are acted under.", false, NULL },
    { "roles", CONFIG_LIST, AT(roles), "", 0, LIST_MAX,
        "What the roles of that claim mean here, such as can-bo:reporter, quan-tri:administrator.", false, NULL },
    { "leeway_s", CONFIG_INT, AT(leeway_s), "30", 0, 300, "Seconds by which nbf and iat may lie ahead.", false, NULL },
    { "max_age_s", CONFIG_INT, AT(max_age_s), "86400", 60, 604800,
        "Seconds after iat when a token ends, whatever its exp says.", false, NULL },
    { "refresh_s", CONFIG_INT, AT(refresh_s), "300", 1, 86400,
        "How often the JWK set is read: so soon is a removed key obeyed.", false, NULL },
    { "stale_s", CONFIG_INT, AT(stale_s), "86400", 1, 2592000,
        "How long keys are kept that could not be read again.", false, NULL },
};
/* clang-format on */

const size_t config_issuer_settings_count = ARRAY_SIZE(config_issuer_settings);

/* ---- what no single row can say ---- */

struct checking {
    void (*tell)(void *userdata, const char *where, const char *what);
    void *userdata;
    const struct config_issuer *issuer;
};

static void tell(const struct checking *c, const char *setting, const char *what)
{
    char where[80];

    (void)snprintf(where, sizeof(where), "issuer.%s.%s", c->issuer->name, setting);
    c->tell(c->userdata, where, what);
}

static bool is_set(const char *text)
{
    return text[0] != '\0';
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* https, or http to this very machine. */
static bool url_holds(const char *url)
{
    static const char *const hosts[] = { "127.0.0.1", "[::1]", "localhost" };

    if (strpbrk(url, " \t@#") != NULL)
        return false;
    if (begins(url, "https://"))
        return is_set(url + 8) && url[8] != '/';
    if (!begins(url, "http://"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
        if (begins(url + 7, hosts[i]) && strchr(":/", url[7 + strlen(hosts[i])]) != NULL)
            return true;
    return false;
}

static void check_source(const struct checking *c)
{
    const struct config_issuer *i = c->issuer;

    if (is_set(i->jwks_url) == is_set(i->jwks_file))
        tell(c, "jwks_url", "or jwks_file must be set, and not both");
    if (is_set(i->jwks_url) && !url_holds(i->jwks_url))
        tell(c, "jwks_url", "must be an https URL, or an http one on this machine");
    if (is_set(i->ca_file) && !begins(i->jwks_url, "https://"))
        tell(c, "ca_file", "is of no use without an https jwks_url");
    if (i->stale_s < i->refresh_s)
        tell(c, "stale_s", "must not be less than refresh_s");
}

static void check_algorithms(const struct checking *c)
{
    static const char *const known[] = { "RS256", "PS256", "ES256", "EdDSA" };
    const struct config_list *list = &c->issuer->algorithms;

    for (size_t i = 0; i < list->n; i++) {
        bool found = false;

        for (size_t k = 0; k < ARRAY_SIZE(known); k++)
            found = found || strcmp(known[k], list->item[i]) == 0;
        if (!found)
            tell(c, "algorithms", "are RS256, PS256, ES256 and EdDSA alone");
    }
    if (list->n == 0)
        tell(c, "algorithms", "must name one");
}

/* "left SEPARATOR right" in each item. */
static bool pairs_hold(const struct config_list *list, char separator)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *at = strrchr(list->item[i], separator);

        if (at == NULL || at == list->item[i] || at[1] == '\0')
            return false;
    }
    return true;
}

static void check_claims(const struct checking *c)
{
    static const char *const roles[] = { ":viewer", ":reporter", ":approver", ":manager", ":administrator",
        ":inspector", ":connector" };
    const struct config_issuer *i = c->issuer;

    if (!is_set(i->account_claim) && !is_set(i->client_claim))
        tell(c, "account_claim", "or client_claim must be set");
    if (is_set(i->roles_claim) != (i->roles.n > 0))
        tell(c, "roles", "and roles_claim go together");
    if (!pairs_hold(&i->required, '='))
        tell(c, "required", "are written claim=value");
    for (size_t n = 0; n < i->roles.n; n++) {
        const char *colon = strrchr(i->roles.item[n], ':');
        bool known = false;

        for (size_t k = 0; colon != NULL && k < ARRAY_SIZE(roles); k++)
            known = known || strcmp(roles[k], colon) == 0;
        if (!known || colon == i->roles.item[n])
            tell(c, "roles",
                "are written theirs:ours, ours being viewer, reporter, approver, manager, administrator, "
                "inspector or connector");
    }
}

void config_issuers_check(const struct config *config,
    void (*tell_fault)(void *userdata, const char *where, const char *what), void *userdata)
{
    for (size_t n = 0; n < config->n_issuers; n++) {
        const struct checking c = { tell_fault, userdata, &config->issuers[n] };

        if (!is_set(c.issuer->iss))
            tell(&c, "iss", "must be set");
        else if (strcmp(c.issuer->iss, config->issuer) == 0)
            tell(&c, "iss", "is the service's own issuer");
        for (size_t k = 0; k < n; k++)
            if (is_set(c.issuer->iss) && strcmp(c.issuer->iss, config->issuers[k].iss) == 0)
                tell(&c, "iss", "is another issuer's too");
        if (c.issuer->audience.n == 0)
            tell(&c, "audience", "must name one");
        check_source(&c);
        check_algorithms(&c);
        check_claims(&c);
    }
}
