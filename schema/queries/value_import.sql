-- What api/value_import.c runs in one explicit transaction: BEGIN, enter, idempotency_claim, value_import_begin, COPY
-- import_row, value_import, idempotency_store, COMMIT (ROLLBACK for a dry run and for a status that is not 2xx). The rows
-- come as text; what is wrong with a row's form stands in its faults, a JSON array of {pointer, code, detail}.

-- name: value_import_begin :call
-- takes:
SELECT value_import_begin()

-- name: value_import :call
-- takes: mode strategy dry_run organization_scheme request_id
SELECT i.status, i.body
FROM value_import(:mode, :strategy, :dry_run::boolean, :organization_scheme, :request_id) i
