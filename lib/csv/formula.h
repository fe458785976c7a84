/* Text that a spreadsheet would run, and the apostrophe that keeps it from doing so. */
#ifndef TIENDO_CSV_FORMULA_H
#define TIENDO_CSV_FORMULA_H

#include <stdbool.h>
#include <stddef.h>

/* Must the writer put an apostrophe in front? (A formula, or a text which the reader would take an apostrophe off.) */
bool formula_needs_guard(const char *p, size_t n);

/* Has the writer put an apostrophe in front? */
bool formula_is_guarded(const char *p, size_t n);

#endif
