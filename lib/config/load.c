/* From defaults, file and environment to struct config, with every fault told. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arena.h"
#include "log.h"
#include "settings.h"
#include "text.h"

#define FILE_MAX (64u * 1024u)
#define PREFIX   "TIENDO_"

/* Variables of that prefix which are no settings. */
static const char *const not_settings[] = { "TIENDO_TEST_CLOCK" };

#define ISSUER_NAME_MAX 16

struct load {
    struct arena *arena;
    struct config config;
    struct buf *faults;
    bool any, no_memory;
    bool *seen; /* by setting, in the file */
    bool *seen_of_issuer[CONFIG_ISSUERS_MAX];
};

/* Where a value goes. */
struct slot {
    const struct config_setting *setting;
    void *base;
    bool *seen;
};

/* "WHERE: TEXT" as a line. */
static void fault(struct load *l, const char *where, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void fault(struct load *l, const char *where, const char *fmt, ...)
{
    va_list ap;

    l->any = true;
    buf_adds(l->faults, where);
    buf_adds(l->faults, ": ");
    va_start(ap, fmt);
    buf_vaddf(l->faults, fmt, ap);
    va_end(ap);
    buf_addc(l->faults, '\n');
}

static int parse_bytes(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    static const char units[] = "KMG";
    size_t n = strlen(text);
    const char *unit = n > 0 && text[n - 1] ? strchr(units, text[n - 1]) : NULL;
    char digits[24];
    int64_t v, factor = 1;
    int r;

    if (!unit)
        return str_to_i64(text, min, max, ret);
    for (const char *u = units; u <= unit; u++)
        factor *= 1024;
    if (n - 1 >= sizeof(digits))
        return -ERANGE;
    memcpy(digits, text, n - 1);
    digits[n - 1] = '\0';
    r = str_to_i64(digits, 0, INT64_MAX / factor, &v);
    if (r < 0)
        return r;
    if (v * factor < min || v * factor > max)
        return -ERANGE;
    *ret = v * factor;
    return 0;
}

static int parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *ret = strcmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return -EINVAL;
}

/* The next item between commas without the spaces around it; false at the end. */
static bool next_item(const char **p, struct str *ret)
{
    while (isspace((unsigned char)**p) || **p == ',')
        (*p)++;
    ret->p = *p;
    ret->n = strcspn(*p, ",");
    *p += ret->n;
    while (ret->n > 0 && isspace((unsigned char)ret->p[ret->n - 1]))
        ret->n--;
    return ret->n > 0;
}

static int parse_list(struct arena *a, const char *text, struct config_list *ret)
{
    struct config_list list = { 0 };
    const char *p = text;
    struct str item;

    while (next_item(&p, &item))
        list.n++;
    if (list.n > 0) {
        list.item = arena_array(a, list.n, sizeof(*list.item));
        if (!list.item)
            return -ENOMEM;
    }
    p = text;
    for (size_t i = 0; i < list.n && next_item(&p, &item); i++) {
        list.item[i] = arena_strndup(a, item.p, item.n);
        if (!list.item[i])
            return -ENOMEM;
    }
    *ret = list;
    return 0;
}

/* base: the struct that the row's offset is in. */
static int parse_value(struct load *l, const struct config_setting *s, void *base, const char *text)
{
    void *at = (char *)base + s->offset;
    enum log_level level;
    size_t n = strlen(text);
    char *copy;
    int r;

    switch (s->type) {
    case CONFIG_INT: return str_to_i64(text, s->min, s->max, at);
    case CONFIG_BYTES: return parse_bytes(text, s->min, s->max, at);
    case CONFIG_BOOL: return parse_bool(text, at);
    case CONFIG_LEVEL:
        r = log_level_parse(text, &level);
        if (r < 0)
            return r;
        *(int64_t *)at = (int64_t)level;
        return 0;
    case CONFIG_LIST:
    case CONFIG_TEXT: break;
    }
    if ((int64_t)n < s->min || (int64_t)n > s->max)
        return -ERANGE;
    if (s->type == CONFIG_LIST)
        return parse_list(l->arena, text, at);
    copy = arena_strdup(l->arena, text);
    if (!copy)
        return -ENOMEM;
    *(const char **)at = copy;
    return 0;
}

/* What would have been right. */
static void expected(const struct config_setting *s, char *ret, size_t n)
{
    switch (s->type) {
    case CONFIG_INT: (void)snprintf(ret, n, "a whole number from %" PRId64 " to %" PRId64, s->min, s->max); break;
    case CONFIG_BYTES:
        (void)snprintf(ret, n, "bytes from %" PRId64 " to %" PRId64 ", K, M or G allowed", s->min, s->max);
        break;
    case CONFIG_BOOL: (void)snprintf(ret, n, "yes or no"); break;
    case CONFIG_LEVEL: (void)snprintf(ret, n, "debug, info, warn or error"); break;
    case CONFIG_LIST:
    case CONFIG_TEXT: (void)snprintf(ret, n, "a text of %" PRId64 " to %" PRId64 " bytes", s->min, s->max); break;
    }
}

static void set(struct load *l, const struct slot *slot, const char *where, const char *text)
{
    const struct config_setting *s = slot->setting;
    char wanted[96];
    int r = parse_value(l, s, slot->base, text);

    if (r == -ENOMEM)
        l->no_memory = true;
    if (r == 0 || r == -ENOMEM)
        return;
    expected(s, wanted, sizeof(wanted));
    if (s->secret || strlen(text) > 80)
        fault(l, where, "%s must be %s", s->name, wanted);
    else
        fault(l, where, "%s must be %s, not \"%s\"", s->name, wanted, text);
}

static void load_defaults(struct load *l)
{
    for (size_t i = 0; i < config_settings_count; i++)
        set(l, &(struct slot){ &config_settings[i], &l->config, NULL }, "default", config_settings[i].fallback);
}

static const struct config_setting *find_row(const struct config_setting *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* The issuer of that name, new at its first setting; NULL when the name is none, or one too many. */
static struct config_issuer *find_issuer(struct load *l, const char *name, size_t n, size_t *ret_index)
{
    struct config *c = &l->config;
    struct config_issuer *issuer;

    if (n == 0 || n > ISSUER_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") < n)
        return NULL;
    for (*ret_index = 0; *ret_index < c->n_issuers; (*ret_index)++) {
        issuer = &c->issuers[*ret_index];
        if (strlen(issuer->name) == n && memcmp(issuer->name, name, n) == 0)
            return issuer;
    }
    if (c->n_issuers == CONFIG_ISSUERS_MAX)
        return NULL;
    issuer = &c->issuers[c->n_issuers];
    issuer->name = arena_strndup(l->arena, name, n);
    l->seen_of_issuer[c->n_issuers] = arena_array(l->arena, config_issuer_settings_count, sizeof(bool));
    if (!issuer->name || !l->seen_of_issuer[c->n_issuers]) {
        l->no_memory = true;
        return NULL;
    }
    c->n_issuers++;
    for (size_t i = 0; i < config_issuer_settings_count; i++) {
        const struct config_setting *s = &config_issuer_settings[i];

        set(l, &(struct slot){ s, issuer, NULL }, "default", s->fallback);
    }
    return issuer;
}

/* issuer.<name>.<setting> */
static bool find_of_issuer(struct load *l, const char *name, struct slot *ret)
{
    const char *of = name + strlen("issuer."), *dot = strchr(of, '.');
    const struct config_setting *s;
    size_t index;

    s = dot ? find_row(config_issuer_settings, config_issuer_settings_count, dot + 1) : NULL;
    if (!s)
        return false;
    ret->setting = s;
    ret->base = find_issuer(l, of, (size_t)(dot - of), &index);
    if (!ret->base)
        return false;
    ret->seen = &l->seen_of_issuer[index][s - config_issuer_settings];
    return true;
}

static bool find(struct load *l, const char *name, struct slot *ret)
{
    const struct config_setting *s;

    if (strncmp(name, "issuer.", strlen("issuer.")) == 0)
        return find_of_issuer(l, name, ret);
    s = find_row(config_settings, config_settings_count, name);
    if (!s)
        return false;
    *ret = (struct slot){ s, &l->config, &l->seen[s - config_settings] };
    return true;
}

/* Cut the spaces around, in place. */
static char *trim(char *p)
{
    size_t n;

    while (isspace((unsigned char)*p))
        p++;
    n = strlen(p);
    while (n > 0 && isspace((unsigned char)p[n - 1]))
        n--;
    p[n] = '\0';
    return p;
}

static void load_line(struct load *l, const char *where, char *line)
{
    char *name = trim(line), *equals;
    struct slot slot;

    if (!*name || *name == '#')
        return;
    equals = strchr(name, '=');
    if (!equals) {
        fault(l, where, "neither \"name = value\" nor a comment");
        return;
    }
    *equals = '\0';
    name = trim(name);
    if (!find(l, name, &slot)) {
        fault(l, where, "unknown setting \"%.64s\"", name);
        return;
    }
    if (*slot.seen) {
        fault(l, where, "%s is set twice", name);
        return;
    }
    *slot.seen = true;
    set(l, &slot, where, trim(equals + 1));
}

/* The whole file as text (owned); NULL after a fault. */
static char *read_file(struct load *l, const char *name)
{
    _cleanup_(freep) char *text = malloc(FILE_MAX + 2);
    FILE *f = text ? fopen(name, "re") : NULL;
    size_t n;
    bool broken;

    if (!f) {
        l->no_memory |= !text;
        fault(l, name, "%s", strerror(errno));
        return NULL;
    }
    n = fread(text, 1, FILE_MAX + 1, f);
    broken = ferror(f) != 0;
    (void)fclose(f);
    if (broken || n > FILE_MAX || memchr(text, '\0', n) || !utf8_valid(text, n)) {
        fault(l, name, broken ? "cannot be read" : n > FILE_MAX ? "is too large" : "is not UTF-8 text");
        return NULL;
    }
    text[n] = '\0';
    return TAKE_PTR(text);
}

static void load_file(struct load *l, const char *name)
{
    _cleanup_(freep) char *text = read_file(l, name);
    unsigned number = 0;

    for (char *line = text; line && *line;) {
        size_t n = strcspn(line, "\n");
        char *next = line + n + (line[n] == '\n');
        char where[256];

        line[n] = '\0';
        (void)snprintf(where, sizeof(where), "%.200s:%u", name, ++number);
        load_line(l, where, line);
        line = next;
    }
}

static bool is_setting(const char *variable, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_settings); i++)
        if (strlen(not_settings[i]) == n && memcmp(not_settings[i], variable, n) == 0)
            return false;
    return true;
}

/* The setting's name in small letters; two underlines stand for the dot in issuer.<name>.<setting>. */
static void variable_name(const char *variable, size_t n, char *ret)
{
    for (size_t i = 0; i < n; i++) {
        /* Lower case in the variable's name would be a second spelling. */
        bool lower = islower((unsigned char)variable[i]);
        bool dot = i + 1 < n && variable[i] == '_' && variable[i + 1] == '_';

        *ret++ = lower ? '?' : dot ? '.' : (char)tolower((unsigned char)variable[i]);
        i += dot;
    }
    *ret = '\0';
}

static void load_variable(struct load *l, const char *variable)
{
    size_t n = strcspn(variable, "="), prefix = strlen(PREFIX);
    char name[64], where[96];
    struct slot slot;

    if (strncmp(variable, PREFIX, prefix) != 0 || !is_setting(variable, n))
        return;
    (void)snprintf(where, sizeof(where), "%.*s", (int)(n < 80 ? n : 80), variable);
    if (n - prefix >= sizeof(name) || variable[n] != '=') {
        fault(l, where, "unknown setting");
        return;
    }
    variable_name(variable + prefix, n - prefix, name);
    if (!find(l, name, &slot)) {
        fault(l, where, "unknown setting");
        return;
    }
    set(l, &slot, where, variable + n + 1);
}

static bool is_set(const char *text)
{
    return text && text[0];
}

static void tell_issuer(void *userdata, const char *where, const char *what)
{
    fault(userdata, where, "%s", what);
}

/* What no single row can say. */
static void check_together(struct load *l)
{
    const struct config *c = &l->config;

    if (c->metrics_port && c->metrics_port == c->port)
        fault(l, "metrics_port", "must differ from port");
    if (is_set(c->key_file) && is_set(c->master_key))
        fault(l, "key_file", "and master_key are both set; one is enough");
    if (c->max_inflated_bytes < c->max_import_bytes)
        fault(l, "max_inflated_bytes", "must not be less than max_import_bytes");
    for (size_t i = 0; i < c->cors_origins.n; i++)
        if (strcmp(c->cors_origins.item[i], "*") == 0)
            fault(l, "cors_origins", "names origins one by one; * is not taken");
    config_issuers_check(c, tell_issuer, l);
}

int config_load(struct arena *a, const char *file, char *const *env, struct config *ret, struct buf *faults)
{
    struct load l = { .arena = a, .faults = faults };

    l.seen = arena_array(a, config_settings_count, sizeof(*l.seen));
    if (!l.seen)
        return -ENOMEM;
    load_defaults(&l);
    if (file)
        load_file(&l, file);
    for (; env && *env; env++)
        load_variable(&l, *env);
    if (l.no_memory || arena_failed(a) || faults->failed)
        return -ENOMEM;
    check_together(&l);
    if (l.any)
        return -EINVAL;
    *ret = l.config;
    return 0;
}
