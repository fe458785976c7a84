/* What came back: a db_result is libpq's PGresult under a name that needs no libpq-fe.h. */

#include <string.h>

#include "db_internal.h"

static const PGresult *pg(const struct db_result *result)
{
    return (const PGresult *)result;
}

static bool has_cell(const struct db_result *result, int row, int col)
{
    return result && row >= 0 && col >= 0 && row < PQntuples(pg(result)) && col < PQnfields(pg(result));
}

struct db_result *db_result_free(struct db_result *result)
{
    PQclear((PGresult *)result);
    return NULL;
}

enum db_kind db_kind(const struct db_result *result)
{
    switch (PQresultStatus(pg(result))) {
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_IN: return DB_DONE;
    case PGRES_TUPLES_OK: return DB_ROWS;
    case PGRES_SINGLE_TUPLE: return DB_ROW;
    case PGRES_PIPELINE_ABORTED: return DB_ABORTED;
    default: return DB_ERROR;
    }
}

int db_rows(const struct db_result *result)
{
    return PQntuples(pg(result));
}

int db_cols(const struct db_result *result)
{
    return PQnfields(pg(result));
}

const char *db_value(const struct db_result *result, int row, int col)
{
    return has_cell(result, row, col) ? PQgetvalue(pg(result), row, col) : "";
}

size_t db_len(const struct db_result *result, int row, int col)
{
    return has_cell(result, row, col) ? (size_t)PQgetlength(pg(result), row, col) : 0;
}

bool db_is_null(const struct db_result *result, int row, int col)
{
    return !has_cell(result, row, col) || PQgetisnull(pg(result), row, col);
}

int db_col(const struct db_result *result, const char *name)
{
    int n = PQnfields(pg(result));

    /* PQfnumber would fold case and allocate. */
    for (int i = 0; i < n; i++)
        if (strcmp(PQfname(pg(result), i), name) == 0)
            return i;
    return -1;
}

const char *db_text(const struct db_result *result, const char *name)
{
    int col = db_col(result, name);

    return db_is_null(result, 0, col) ? NULL : db_value(result, 0, col);
}

const char *db_col_name(const struct db_result *result, int col)
{
    const char *name = col >= 0 && col < PQnfields(pg(result)) ? PQfname(pg(result), col) : NULL;

    return name ? name : "";
}

/* Type ids of pg_type.dat, which never change. */
enum db_type db_col_type(const struct db_result *result, int col)
{
    switch (col >= 0 && col < PQnfields(pg(result)) ? PQftype(pg(result), col) : 0) {
    case 16: return DB_BOOLEAN;
    case 20:                     /* bigint */
    case 21:                     /* smallint */
    case 23:                     /* integer */
    case 700:                    /* real */
    case 701:                    /* double precision */
    case 1700: return DB_NUMBER; /* numeric */
    default: return DB_TEXT;
    }
}

int64_t db_affected(const struct db_result *result)
{
    return strtoll(PQcmdTuples((PGresult *)result), NULL, 10);
}

void db_error(const struct db_result *result, struct db_error *ret_error)
{
    const PGresult *r = pg(result);

    *ret_error = (struct db_error){
        .sqlstate = result_field(r, PG_DIAG_SQLSTATE),
        .message = result_field(r, PG_DIAG_MESSAGE_PRIMARY),
        .detail = result_field(r, PG_DIAG_MESSAGE_DETAIL),
        .hint = result_field(r, PG_DIAG_MESSAGE_HINT),
        .constraint = result_field(r, PG_DIAG_CONSTRAINT_NAME),
        .table = result_field(r, PG_DIAG_TABLE_NAME),
        .context = result_field(r, PG_DIAG_CONTEXT),
    };
}

bool db_is_error(const struct db_result *result, const char *sqlstate)
{
    return result && db_kind(result) == DB_ERROR && strcmp(result_field(pg(result), PG_DIAG_SQLSTATE), sqlstate) == 0;
}
