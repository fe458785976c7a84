/*
 * Any bytes as a body: what json_read() takes, Jansson takes alike; its text is in form C already; its elements are
 * those of the tree; and no schema check runs into trouble.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "json.h"
#include "routes.h"
#include "schema.h"
#include "util.h"

struct exchange;

int handle_livez(struct exchange *x);
int handle_list(struct exchange *x);
int handle_query(struct exchange *x);
int handle_thing_blank(struct exchange *x);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int handle_livez(struct exchange *x)
{
    return x ? 1 : 0;
}

int handle_list(struct exchange *x)
{
    return x ? 1 : 0;
}

int handle_query(struct exchange *x)
{
    return x ? 1 : 0;
}

int handle_thing_blank(struct exchange *x)
{
    return x ? 1 : 0;
}

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* The only faults of texts that Jansson takes. */
static bool ours_alone(const struct faults *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->items[i].code, "too_deep") != 0 && strcmp(f->items[i].code, "too_precise") != 0 &&
            strcmp(f->items[i].code, "out_of_range") != 0 && strcmp(f->items[i].code, "duplicate_key") != 0)
            return false;
    return f->n > 0;
}

static void check_taken(struct arena *a, const struct json_document *d)
{
    struct json_elements it;
    struct str again, element;
    struct faults f;
    size_t n = 0;

    faults_init(&f, a, LANGUAGE_VI);
    expect(json_text_check(d->text.p, d->text.n, &f) == 0, "normalised text is JSON");
    expect(json_text_normalise(a, d->text.p, d->text.n, &again) == 0, "normalised text can be normalised");
    expect(str_eq(again, d->text), "normalising once is enough");
    expect(json_text_of(a, d->tree) != NULL, "the tree can be written");
    (void)schema_check(contract_operations[OP_thing_create].accepts[0].schema, d->tree, SCHEMA_WHOLE, &f);
    (void)schema_check(contract_operations[OP_thing_create].accepts[0].schema, d->tree, SCHEMA_MERGE_PATCH, &f);
    if (!json_is_array(d->tree))
        return;
    json_elements_init(&it, d->text.p, d->text.n);
    while (json_elements_next(&it, &element) == 1) {
        faults_init(&f, a, LANGUAGE_EN);
        expect(json_text_check(element.p, element.n, &f) == 0, "an element is JSON");
        n++;
    }
    expect(n == json_array_size(d->tree), "every element is walked");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(16 << 20);
    _cleanup_(json_decrefp) json_t *other = NULL;
    struct json_document d = { 0 };
    struct json_elements it;
    struct str element;
    struct faults f;
    char *text = arena_strndup(a, (const char *)data, size);
    int r;

    faults_init(&f, a, LANGUAGE_EN);
    r = json_read(a, text, size, &d, &f);
    other = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    expect((r == 0) == (d.tree != NULL && f.n == 0), "faults come with errors alone");
    if (r == 0)
        check_taken(a, &d);
    else if (other && !memchr(text, '\0', size)) /* the parser passes over a NUL behind a number */
        expect(ours_alone(&f), "what the parser takes is refused for a reason of ours");
    json_elements_init(&it, text, size);
    while (json_elements_next(&it, &element) == 1)
        ;
    json_document_done(&d);
    return 0;
}
