/* How CSV is written, as the parameters delimiter= and decimal= name it: the same for what goes out and what comes in. */
#ifndef TIENDO_CSV_FORM_H
#define TIENDO_CSV_FORM_H

#include "handler.h"

struct csv_form {
    char delimiter, decimal;
};

/* Where no delimiter is named it is a comma, or a semicolon beside a decimal comma, as spreadsheets have it. */
struct csv_form csv_form_of(const struct exchange *x);

#endif
