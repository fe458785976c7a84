#include "part.h"

#include <string.h>
#include <strings.h>

#include "util.h"

static const char macros[] = "The document holds macros.";
static const char program[] = "The document holds a program or an object that may hold one.";
static const char remote[] = "The document takes its template or an object from elsewhere.";

bool part_holds(const char *p, size_t n, const char *word)
{
    size_t k = strlen(word);

    for (size_t i = 0; i + k <= n; i++)
        if (strncasecmp(p + i, word, k) == 0)
            return true;
    return false;
}

static bool ends(const char *name, size_t n, const char *ending)
{
    size_t k = strlen(ending);

    return n > k && strncasecmp(name + n - k, ending, k) == 0;
}

const char *part_name_wrong(const char *name, size_t n)
{
    static const char *const with_macros[] = { ".docm", ".dotm", ".xlsm", ".xltm", ".xlam", ".pptm", ".potm", ".ppsm",
        ".ppam", ".sldm" };
    static const char *const programs[] = { ".exe", ".dll", ".com", ".scr", ".msi", ".bat", ".cmd", ".ps1", ".vbs",
        ".vbe", ".js", ".jse", ".wsf", ".hta", ".jar", ".lnk", ".sh" };

    if (part_holds(name, n, "vbaproject"))
        return macros;
    for (size_t i = 0; i < ARRAY_SIZE(with_macros); i++)
        if (ends(name, n, with_macros[i]))
            return macros;
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        if (ends(name, n, programs[i]))
            return program;
    return NULL;
}

static bool head_is(const unsigned char *head, size_t n, const char *bytes, size_t k)
{
    return n >= k && memcmp(head, bytes, k) == 0;
}

const char *part_head_wrong(const unsigned char *head, size_t n)
{
    return head_is(head, n, "MZ", 2) ||
            head_is(head, n,
                "\x7f"
                "ELF",
                4) ||
            head_is(head, n, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8)
        ? program
        : NULL;
}

bool part_is_archive(const unsigned char *head, size_t n)
{
    return head_is(head, n, "PK", 2);
}

const char *part_inner_wrong(const char *p, size_t n)
{
    if (part_holds(p, n, "vbaproject"))
        return macros;
    return part_holds(p, n, "embeddings/") ? program : NULL;
}

/* ---- relations ---- */

struct text {
    const char *p;
    size_t n;
};

/* The next attribute from there on, as it is written: false at the element's end. */
static bool next_attribute(struct text *rest, struct text *name, struct text *value)
{
    const char *p = rest->p, *end = rest->p + rest->n;
    char quote;

    while (p < end && strchr(" \t\r\n/", *p) != NULL)
        p++;
    for (name->p = p; p < end && strchr(" \t\r\n=>", *p) == NULL; p++)
        ;
    name->n = (size_t)(p - name->p);
    while (p < end && strchr(" \t\r\n=", *p) != NULL)
        p++;
    if (name->n == 0 || p == end || (*p != '"' && *p != '\''))
        return false;
    quote = *p++;
    for (value->p = p; p < end && *p != quote; p++)
        ;
    value->n = (size_t)(p - value->p);
    if (p == end)
        return false;
    *rest = (struct text){ .p = p + 1, .n = (size_t)(end - p - 1) };
    return true;
}

static bool is(struct text t, const char *word)
{
    return t.n == strlen(word) && strncasecmp(t.p, word, t.n) == 0;
}

/* file:///C:…: where it was made, which is no place that a reader fetches from. */
static bool is_local(struct text target)
{
    static const char drive[] = "file:///";
    size_t k = sizeof(drive) - 1;

    return target.n > k + 1 && strncasecmp(target.p, drive, k) == 0 && target.p[k + 1] == ':';
}

static bool takes_from_elsewhere(struct text element)
{
    struct text name, value, type = { 0 }, target = { 0 };
    bool outside = false;

    while (next_attribute(&element, &name, &value))
        if (is(name, "TargetMode"))
            outside = !is(value, "Internal");
        else if (is(name, "Type"))
            type = value;
        else if (is(name, "Target"))
            target = value;
    /* A type written in references is none that an office program writes. */
    return outside && !is_local(target) &&
        (part_holds(type.p, type.n, "attachedTemplate") || part_holds(type.p, type.n, "oleObject") ||
            part_holds(type.p, type.n, "&"));
}

const char *part_relations_wrong(const char *p, size_t n)
{
    const char *end = p + n, *next;

    /* Not in UTF-8: nothing below would see it. */
    if (memchr(p, '\0', n) != NULL || (n > 0 && part_holds(p, n, "<!")))
        return remote;
    for (p = n > 0 ? memchr(p, '<', n) : NULL; p != NULL; p = next) {
        struct text element;

        next = p + 1 < end ? memchr(p + 1, '<', (size_t)(end - p - 1)) : NULL;
        element = (struct text){ .p = p + 1, .n = (size_t)((next != NULL ? next : end) - p - 1) };
        /* Its own name, with or without a prefix. */
        while (element.n > 0 && strchr(" \t\r\n>", *element.p) == NULL)
            element = (struct text){ .p = element.p + 1, .n = element.n - 1 };
        if (takes_from_elsewhere(element))
            return remote;
    }
    return NULL;
}
