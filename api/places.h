/* A bounded number of places, of which some are always left to others than the one that holds most. */
#ifndef TIENDO_PLACES_H
#define TIENDO_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct places;

/* Of so many, one holder may have three quarters. */
MUST_CHECK int places_new(unsigned most, struct places **ret);
struct places *places_free(struct places *places); /* takes NULL */
/* Who holds a place goes by a text of its own (a token, an id). Never 0. */
uint64_t places_holder(const char *text);
bool places_take(struct places *places, uint64_t holder);
void places_give(struct places *places, uint64_t holder);

#endif
