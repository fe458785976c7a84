/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "util.h"

/* What shows nothing, breaks a line or turns the direction of what follows: two names that look alike must be alike. */
static const struct {
    uint32_t first, last;
} hidden[] = {
    { 0x0000, 0x001f }, { 0x007f, 0x009f },     /* controls, tab and line ends among them */
    { 0x00ad, 0x00ad }, { 0x034f, 0x034f },     /* soft hyphen, combining grapheme joiner */
    { 0x061c, 0x061c },                         /* Arabic letter mark */
    { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 },     /* fillers and vowels without a form */
    { 0x180b, 0x180f },                         /* Mongolian selectors */
    { 0x200b, 0x200f },                         /* zero width, direction marks */
    { 0x2028, 0x202e },                         /* line and paragraph ends, embeddings and overrides */
    { 0x2060, 0x206f },                         /* joiners, isolates */
    { 0x3164, 0x3164 },                         /* Hangul filler */
    { 0xfe00, 0xfe0f },                         /* variation selectors */
    { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },     /* byte order mark, half-width filler */
    { 0xfff0, 0xfffb },                         /* interlinear annotation */
    { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, /* shorthand and musical controls */
    { 0xe0000, 0xe0fff },                       /* tags */
};

static bool is_hidden(uint32_t c)
{
    for (size_t i = 0; i < ARRAY_SIZE(hidden) && hidden[i].first <= c; i++)
        if (c <= hidden[i].last)
            return true;
    return false;
}

/* The character at P of valid UTF-8 and how many bytes it has. */
static uint32_t decode(const unsigned char *p, size_t *ret_n)
{
    size_t n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
    uint32_t c = n == 1 ? *p : *p & (0xffU >> (n + 1));

    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fU);
    *ret_n = n;
    return c;
}

static bool is_space(uint32_t c)
{
    return c == 0x20 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f ||
        c == 0x2800 || c == 0x3000;
}

bool text_shows(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + n;
    size_t step;

    for (; p < end; p += step) {
        uint32_t c = decode(p, &step);

        if (!is_hidden(c) && !is_space(c))
            return true;
    }
    return false;
}

/* A line's end, as line feed or with a carriage return before it, and a tab. */
static bool is_layout(uint32_t c, const unsigned char *next, const unsigned char *end)
{
    return c == '\n' || c == '\t' || (c == '\r' && next < end && *next == '\n');
}

bool line_holds(const char *s, size_t n, bool lines, uint32_t *ret_character)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + n;
    size_t step;

    for (; p < end; p += step) {
        uint32_t c = decode(p, &step);

        if (step > (size_t)(end - p) || (is_hidden(c) && !(lines && is_layout(c, p + step, end)))) {
            *ret_character = c;
            return false;
        }
    }
    return true;
}
