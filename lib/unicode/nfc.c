#include "nfc.h"

#include <errno.h>
#include <stdint.h>
#include <uninorm.h>

#include "arena.h"

/*
 * Vietnamese as keyboards make it is Latin below U+0300 and U+1E00 … U+1EFF, where every character is its own form C
 * and none combines with the one before it; U+2010 … U+2027 are dashes and quotation marks.
 */
bool nfc_quick(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;

    for (size_t i = 0; i < n;) {
        if (p[i] < 0x80)
            i++;
        else if (p[i] >= 0xc2 && p[i] <= 0xcb && n - i >= 2)
            i += 2;
        else if (n - i < 3)
            return false;
        else if (p[i] == 0xe1 && p[i + 1] >= 0xb8 && p[i + 1] <= 0xbb)
            i += 3;
        else if (p[i] == 0xe2 && p[i + 1] == 0x80 && p[i + 2] >= 0x90 && p[i + 2] <= 0xa7)
            i += 3;
        else
            return false;
    }
    return true;
}

int nfc_normalize_fully(struct arena *a, const char *p, size_t n, struct str *ret)
{
    _cleanup_(freep) uint8_t *normal = NULL;
    size_t length = 0;
    char *copy;

    normal = u8_normalize(UNINORM_NFC, (const uint8_t *)p, n, NULL, &length);
    if (!normal)
        return errno == EILSEQ ? -EILSEQ : -ENOMEM;
    if (length == n && memcmp(normal, p, n) == 0) {
        *ret = (struct str){ p, n };
        return 0;
    }
    copy = arena_strndup(a, (const char *)normal, length);
    if (!copy)
        return -ENOMEM;
    *ret = (struct str){ copy, length };
    return 0;
}

int nfc_normalize(struct arena *a, const char *p, size_t n, struct str *ret)
{
    if (!utf8_valid(p, n))
        return -EILSEQ;
    if (!nfc_quick(p, n))
        return nfc_normalize_fully(a, p, n, ret);
    *ret = (struct str){ p, n };
    return 0;
}
