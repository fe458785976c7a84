/* What an error of the database means to the caller. */
#ifndef TIENDO_TROUBLE_H
#define TIENDO_TROUBLE_H

#include "handler.h"

/* Worth another try from the start: a serialisation failure or a deadlock. */
bool trouble_transient(const struct db_result *error);
/* Answers with the problem the error stands for; what nobody foresaw is a 500 and a log entry. Always 0. */
int trouble_answer(struct exchange *x, const char *query, const struct db_result *error);
/* The same for a negative errno of lib/db or a handler. Always 0. */
int trouble_errno(struct exchange *x, int r);

#endif
