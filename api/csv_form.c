#include "csv_form.h"

#include <string.h>

#include "csv.h"

struct csv_form csv_form_of(const struct exchange *x)
{
    const char *delimiter = exchange_param(x, "delimiter"), *decimal = exchange_param(x, "decimal");
    bool comma = decimal != NULL && (strcmp(decimal, ",") == 0 || strcmp(decimal, "comma") == 0);
    struct csv_form form = { .delimiter = comma ? ';' : ',', .decimal = comma ? ',' : '.' };
    char named;

    if (delimiter != NULL && csv_delimiter_parse(delimiter, &named) == 0)
        form.delimiter = named;
    return form;
}
