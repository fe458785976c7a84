#include "bare.h"

#include <errno.h>
#include <stdint.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "arena.h"

static ucs4_t plain(ucs4_t c)
{
    c = uc_tolower(c);
    return c == 0x0111 ? 'd' : c; /* đ does not come apart */
}

int bare_text(struct arena *a, const char *p, size_t n, struct str *ret)
{
    _cleanup_(freep) uint8_t *apart = NULL;
    size_t length = 0, kept = 0;
    char *copy;

    if (!utf8_valid(p, n))
        return -EILSEQ;
    apart = u8_normalize(UNINORM_NFKD, (const uint8_t *)p, n, NULL, &length);
    if (!apart)
        return -ENOMEM;
    copy = arena_alloc(a, 4 * length + 1);
    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < length;) {
        ucs4_t c;
        int step = u8_mbtouc(&c, apart + i, length - i);

        i += (size_t)step;
        if (uc_combining_class(c) != UC_CCC_NR)
            continue;
        step = u8_uctomb((uint8_t *)copy + kept, plain(c), (ptrdiff_t)(4 * length + 1 - kept));
        kept += step > 0 ? (size_t)step : 0;
    }
    copy[kept] = '\0';
    *ret = (struct str){ copy, kept };
    return 0;
}
