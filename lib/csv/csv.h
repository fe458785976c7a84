/* RFC 4180, with what a Vietnamese spreadsheet does only where the caller names it. */
#ifndef TIENDO_CSV_H
#define TIENDO_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

struct csv_reader;

struct csv_options {
    char delimiter;                         /* ',' (also for 0), ';' or '\t' */
    size_t max_field, max_row, max_columns; /* bytes, bytes, fields; 0 for the defaults 64 KiB, 1 MiB, 256 */
};

/* What is wrong: CODE is a stable snake_case word, DETAIL a sentence; both static text. */
struct csv_fault {
    size_t line;      /* 1-based, of the record's first line */
    const char *code; /* NULL: nothing */
    const char *detail;
};

struct csv_row {
    size_t row;              /* 1-based number of the record after the header */
    size_t line;             /* 1-based line in the file where it begins */
    size_t n;                /* as many as the header has, unless there is a fault */
    const struct str *field; /* until the next csv_next */
    struct csv_fault fault;  /* this record is broken, the next may be read */
};

/*
 * Read P (borrowed, not changed) and its header. -EINVAL: fault says why (wrong encoding, empty, duplicate or unnamed
 * columns, another delimiter); -ENOMEM.
 */
MUST_CHECK int csv_reader_new(
    const char *p, size_t n, const struct csv_options *options, struct csv_reader **ret, struct csv_fault *ret_fault);
void csv_reader_free(struct csv_reader *r);

static inline void csv_reader_freep(struct csv_reader **r)
{
    csv_reader_free(*r);
}

/* The header's names. */
size_t csv_columns(const struct csv_reader *r, const struct str **ret_names);

/* The column of that name, -ENOENT. */
MUST_CHECK int csv_column(const struct csv_reader *r, const char *name);

/* 1: ret is the next record (look at its fault first); 0: no more; -ENOMEM. Blank lines are skipped. */
MUST_CHECK int csv_next(struct csv_reader *r, struct csv_row *ret);

/* A writer of records into a buffer: csv_write for each field, then csv_end. */
struct csv_writer {
    struct buf *out;
    char delimiter;
    size_t fields; /* of this record so far */
    size_t from;   /* where this record begins in out */
};

void csv_writer_init(struct csv_writer *w, struct buf *out, char delimiter);

/* The byte order mark by which Excel knows UTF-8. */
void csv_write_bom(struct csv_writer *w);

/*
 * One field (P NULL: empty), quoted where needed. Text that a spreadsheet would take for a formula gets an apostrophe
 * in front, plain numbers do not; the reader takes that apostrophe off again.
 */
void csv_write(struct csv_writer *w, const char *p, size_t n);
void csv_write_cstr(struct csv_writer *w, const char *s);
void csv_end(struct csv_writer *w);

/* The delimiter named by a parameter: "," ";" tab, or comma, semicolon, tab. -EINVAL. */
MUST_CHECK int csv_delimiter_parse(const char *name, char *ret);

enum csv_date_format { CSV_DATE_ISO, CSV_DATE_DMY };

/* "yyyy-mm-dd" or "dd/mm/yyyy"; -EINVAL. */
MUST_CHECK int csv_date_format_parse(const char *name, enum csv_date_format *ret);

/* An existing day in that format, as yyyy-mm-dd; day and month of dd/mm/yyyy may have one digit. -EINVAL. */
MUST_CHECK int csv_date(const char *p, size_t n, enum csv_date_format format, char ret[11]);

#endif
