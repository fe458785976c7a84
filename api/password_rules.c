#include "password_rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "bare.h"

#define WORDS_MAX 2 /* a password of so many common words or fewer is common */
#define RUN_MIN   3 /* characters that make a sequence (abc, 321) or a repetition (aaa) */
#define NAME_MIN  5 /* shorter names may stand in a password by chance */
#define NEVER     UINT16_MAX

static const char *const words[] = {
#define WORD(w) w,
#include "common_passwords.def"
#undef WORD
};

/* Letters and digits alone, bared of accents and case. */
static int squeeze(struct arena *a, const char *text, struct str *ret)
{
    struct str bare;
    size_t n = 0;
    char *copy;
    int r;

    r = bare_text(a, text, strlen(text), &bare);
    if (r < 0)
        return r == -EILSEQ ? -EINVAL : r;
    copy = arena_strndup(a, bare.p, bare.n);
    if (copy == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < bare.n; i++)
        if (isalnum((unsigned char)bare.p[i]) || (unsigned char)bare.p[i] >= 0x80)
            copy[n++] = bare.p[i];
    copy[n] = '\0';
    *ret = (struct str){ copy, n };
    return 0;
}

/* "abcabcabc" is "abc". */
static size_t root_length(const char *s, size_t n)
{
    for (size_t period = 1; period <= n / 2; period++)
        if (n % period == 0 && memcmp(s, s + period, n - period) == 0)
            return period;
    return n;
}

/* How many characters from here on go up, down or nowhere by one step. */
static size_t run_length(const char *s, size_t n)
{
    int step = n > 1 ? s[1] - s[0] : 0;
    size_t length = 1;

    if (step < -1 || step > 1)
        return 1;
    while (length < n && s[length] - s[length - 1] == step)
        length++;
    return length;
}

static void reach(uint16_t *best, size_t at, unsigned cost)
{
    if (cost < best[at])
        best[at] = (uint16_t)cost;
}

/* The fewest common words and sequences that make up the text, digits free; NEVER when they do not. */
static unsigned fewest_words(uint16_t *best, const char *s, size_t n, bool digits_free)
{
    for (size_t i = 0; i <= n; i++)
        best[i] = i == 0 ? 0 : NEVER;
    for (size_t i = 0; i < n; i++) {
        size_t run = run_length(s + i, n - i);

        if (best[i] == NEVER)
            continue;
        if (digits_free && isdigit((unsigned char)s[i]))
            reach(best, i + 1, best[i]);
        for (size_t length = RUN_MIN; length <= run; length++)
            reach(best, i + length, best[i] + 1U);
        for (size_t w = 0; w < ARRAY_SIZE(words); w++) {
            size_t length = strlen(words[w]);

            if (length <= n - i && memcmp(words[w], s + i, length) == 0)
                reach(best, i + length, best[i] + 1U);
        }
    }
    return best[n];
}

static bool has_letter(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isdigit((unsigned char)s.p[i]))
            return true;
    return false;
}

/* 1 when there is nothing in it that is the holder's own. */
static int common(struct arena *a, const char *password)
{
    struct str text;
    uint16_t *best;
    size_t n;
    int r;

    r = squeeze(a, password, &text);
    if (r < 0)
        return r;
    if (text.n == 0)
        text = str_from(password);
    best = arena_array(a, text.n + 1, sizeof(*best));
    if (best == NULL)
        return -ENOMEM;
    n = root_length(text.p, text.n);
    if (n < RUN_MIN)
        return 1;
    return fewest_words(best, text.p, n, has_letter(text)) <= WORDS_MAX;
}

/* 1 when the squeezed password holds the squeezed name. */
static int holds(struct arena *a, struct str password, const char *name)
{
    struct str text;
    int r;

    if (name == NULL)
        return 0;
    r = squeeze(a, name, &text);
    if (r < 0)
        return r;
    return text.n >= NAME_MIN && strstr(password.p, text.p) != NULL;
}

int password_faults(struct arena *a, const char *password, const struct person *person)
{
    const char *const names[] = { person->username, person->display_name, person->unit };
    size_t length = utf8_length(password, strlen(password));
    unsigned found = 0;
    struct str text;
    int r;

    if (length < PASSWORD_MIN)
        found |= PASSWORD_SHORT;
    if (length > PASSWORD_MAX)
        return PASSWORD_LONG; /* and no more work on it */
    r = squeeze(a, password, &text);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++)
        r = holds(a, text, names[i]);
    if (r < 0)
        return r;
    if (r > 0)
        found |= PASSWORD_NAMED;
    r = common(a, password);
    if (r < 0)
        return r;
    if (r > 0)
        found |= PASSWORD_COMMON;
    return (int)found;
}

int password_rules(struct exchange *x, const char *pointer, const char *password, const struct person *person)
{
    static const struct {
        unsigned flag;
        enum fault_code fault;
        const char *arg;
    } rows[] = {
        { PASSWORD_SHORT, FAULT_TOO_SHORT, "12" },
        { PASSWORD_LONG, FAULT_TOO_LONG, "256" },
        { PASSWORD_NAMED, FAULT_PASSWORD_NAME, NULL },
        { PASSWORD_COMMON, FAULT_PASSWORD_COMMON, NULL },
    };
    int found = password_faults(x->arena, password, person);

    if (found < 0)
        return found;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (((unsigned)found & rows[i].flag) != 0)
            fault_add(&x->faults, AT_POINTER, pointer, rows[i].fault, rows[i].arg);
    return found != 0;
}
