/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "util.h"

const struct problem_kind problem_kinds[N_PROBLEMS] = {
#define PROBLEM(id, code, status, en, vi, why_en, why_vi) [P_##id] = { code, status, { en, vi }, { why_en, why_vi } },
#include "problems.def"
#undef PROBLEM
};

static const struct {
    const char *code;
    const char *text[2]; /* by language */
} fault_kinds[N_FAULTS] = {
#define FAULT(id, code, en, vi) [FAULT_##id] = { code, { en, vi } },
#include "faults.def"
#undef FAULT
};

int problem_find(const char *code)
{
    for (int i = 0; i < N_PROBLEMS; i++)
        if (strcmp(problem_kinds[i].code, code) == 0)
            return i;
    return -ENOENT;
}

int problem_status(enum problem_code code)
{
    return problem_kinds[code].status;
}

const char *fault_name(enum fault_code code)
{
    return fault_kinds[code].code;
}

void faults_init(struct faults *f, struct arena *a, enum language language)
{
    *f = (struct faults){ .arena = a, .language = language };
}

/* The next free entry, or NULL past the cap or without memory: the fault is counted all the same. */
static struct fault *next_fault(struct faults *f)
{
    f->total++;
    if (f->n >= FAULTS_MAX)
        return NULL;
    if (!f->items)
        f->items = arena_array(f->arena, FAULTS_MAX, sizeof(*f->items));
    if (!f->items)
        return NULL;
    return &f->items[f->n];
}

/* The table's text with ARG in the place of its %s. */
static const char *fault_text(struct arena *a, const char *text, const char *arg)
{
    const char *hole = strstr(text, "%s");

    if (!hole)
        return text;
    return arena_printf(a, "%.*s%s%s", (int)(hole - text), text, arg ? arg : "", hole + 2);
}

void fault_add(struct faults *f, enum fault_where where, const char *name, enum fault_code code, const char *arg)
{
    struct fault *slot = next_fault(f);

    if (!slot)
        return;
    *slot = (struct fault){
        .where = where,
        .name = arena_strdup(f->arena, name),
        .code = fault_kinds[code].code,
        .detail = fault_text(f->arena, fault_kinds[code].text[f->language], sentence_in(f->arena, f->language, arg)),
    };
    if (slot->name)
        f->n++;
}

void fault_add_text(struct faults *f, enum fault_where where, const char *name, const char *code, const char *detail)
{
    struct fault *slot = next_fault(f);

    if (!slot)
        return;
    *slot = (struct fault){
        .where = where,
        .name = arena_strdup(f->arena, name),
        .code = arena_strdup(f->arena, code),
        .detail = detail ? sentence_in(f->arena, f->language, arena_strdup(f->arena, detail)) : NULL,
    };
    if (slot->name && slot->code)
        f->n++;
}

enum problem_code faults_problem(const struct faults *f)
{
    int code;

    for (size_t i = 1; i < f->n; i++)
        if (strcmp(f->items[i].code, f->items[0].code) != 0)
            return P_BAD_PARAMETER;
    code = f->n > 0 ? problem_find(f->items[0].code) : -ENOENT;
    return code >= 0 && problem_kinds[code].status == 400 ? (enum problem_code)code : P_BAD_PARAMETER;
}

static void add_member(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf_addf(b, ",\"%s\":", name);
    buf_json_cstr(b, value);
}

static void add_fault(struct buf *b, const struct fault *fault)
{
    static const char *const places[] = {
        [AT_POINTER] = "pointer",
        [AT_PARAMETER] = "parameter",
        [AT_HEADER] = "header",
    };

    buf_addf(b, "{\"%s\":", places[fault->where]);
    buf_json_cstr(b, fault->name);
    add_member(b, "code", fault->code);
    add_member(b, "detail", fault->detail);
    buf_addc(b, '}');
}

void problem_open(struct buf *b, const struct problem *p)
{
    const struct problem_kind *kind = &problem_kinds[p->code];

    buf_addf(b, "{\"type\":\"/problems/%s\",\"title\":", kind->code);
    buf_json_cstr(b, kind->title[p->language]);
    buf_addf(b, ",\"status\":%d", kind->status);
    add_member(b, "detail", p->detail ? p->detail : kind->explanation[p->language]);
    add_member(b, "instance", p->instance);
    add_member(b, "code", kind->code);
    add_member(b, "trace_id", p->trace_id);
}

int problem_render(struct buf *b, const struct problem *p)
{
    problem_open(b, p);
    buf_adds(b, ",\"errors\":[");
    for (size_t i = 0; p->faults && i < p->faults->n; i++) {
        if (i > 0)
            buf_addc(b, ',');
        add_fault(b, &p->faults->items[i]);
    }
    buf_adds(b, "]}");
    return b->failed ? -ENOMEM : 0;
}

/* The weight in thousandths of a range's parameters ("; q=0.7"), 1000 without one, 0 for a broken one. */
static int quality(const char *p, size_t n)
{
    int q = 0, scale = 1000;

    while (n > 0 && (*p == ' ' || *p == '\t' || *p == ';'))
        p++, n--;
    if (n == 0)
        return 1000;
    if (n < 3 || strncasecmp(p, "q=", 2) != 0)
        return 0;
    p += 2, n -= 2;
    for (; n > 0 && scale > 0; p++, n--) {
        if (*p == '.')
            continue;
        if (*p < '0' || *p > '9')
            break;
        q += (*p - '0') * scale;
        scale /= 10;
    }
    return q > 1000 ? 0 : q;
}

/* Is the range of N bytes this language, with a region or without? */
static bool range_is(const char *p, size_t n, const char *tag)
{
    return n >= 2 && strncasecmp(p, tag, 2) == 0 && (n == 2 || p[2] == '-');
}

enum language language_of(const char *accept_language)
{
    int best[2] = { -1, -1 };
    const char *p = accept_language;

    while (p && *p) {
        size_t n = strcspn(p, ","), name;
        int q;

        while (n > 0 && (*p == ' ' || *p == '\t'))
            p++, n--;
        for (name = 0; name < n && p[name] != ';' && p[name] != ' '; name++)
            ;
        q = quality(p + name, n - name);
        if (range_is(p, name, "vi") && q > best[LANGUAGE_VI])
            best[LANGUAGE_VI] = q;
        if (range_is(p, name, "en") && q > best[LANGUAGE_EN])
            best[LANGUAGE_EN] = q;
        p += n;
        if (*p == ',')
            p++;
    }
    return best[LANGUAGE_VI] > 0 && best[LANGUAGE_VI] > best[LANGUAGE_EN] ? LANGUAGE_VI : LANGUAGE_EN;
}
