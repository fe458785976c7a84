/* Strict UTF-8, JSON strings and percent-encoding. */
#include "text.h"

#include <errno.h>

#include "arena.h"

/* The length of the valid sequence at P, 0 when there is none (Unicode 15, table 3-7). */
static size_t sequence(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n < length)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool utf8_valid(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;

    while (i < n) {
        uint64_t word;
        size_t length;

        while (n - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if (word & UINT64_C(0x8080808080808080))
                break;
            i += sizeof(word);
        }
        if (i == n)
            break;
        length = sequence(p + i, n - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t utf8_length(const char *p, size_t n)
{
    size_t length = 0;

    for (size_t i = 0; i < n; i++)
        length += ((unsigned char)p[i] & 0xc0) != 0x80;
    return length;
}

static void add_escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
    char short_form = c == '"' ? '"' : c == '\\' ? '\\' : c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : 0;

    if (short_form) {
        text[1] = short_form;
        buf_add(b, text, 2);
        return;
    }
    buf_add(b, text, sizeof(text));
}

void buf_json_string(struct buf *b, const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t from = 0, i = 0;

    buf_addc(b, '"');
    while (i < n) {
        size_t length = sequence(p + i, n - i);

        if (length > 0 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\') {
            i += length;
            continue;
        }
        if (i > from)
            buf_add(b, p + from, i - from);
        if (length == 0)
            buf_adds(b, "\\ufffd");
        else
            add_escape(b, p[i]);
        from = ++i;
    }
    if (i > from)
        buf_add(b, p + from, i - from);
    buf_addc(b, '"');
}

void buf_json_cstr(struct buf *b, const char *s)
{
    if (s)
        buf_json_string(b, s, strlen(s));
    else
        buf_adds(b, "null");
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte written as %XX at P, or a negative errno. */
static int escaped_byte(const char *p, size_t n)
{
    int high, low;

    if (n < 3)
        return -EINVAL;
    high = hex_value(p[1]);
    low = hex_value(p[2]);
    if (high < 0 || low < 0 || high + low == 0)
        return -EINVAL;
    return high * 16 + low;
}

int percent_decode(struct arena *a, const char *p, size_t n, bool form, struct str *ret)
{
    char *text = arena_alloc(a, n + 1);
    size_t length = 0;

    if (!text)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)p[i];

        if (c < 0x20 || c == 0x7f)
            return -EINVAL;
        if (c == '%') {
            c = escaped_byte(p + i, n - i);
            if (c < 0)
                return c;
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        text[length++] = (char)c;
    }
    if (!utf8_valid(text, length))
        return -EILSEQ;
    *ret = (struct str){ text, length };
    return 0;
}
