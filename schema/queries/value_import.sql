-- What api/value_import.c runs in one explicit transaction: BEGIN, enter, idempotency_claim, value_import_table,
-- COPY import_row, value_import, idempotency_store, COMMIT (ROLLBACK for a dry run and for a status that is not 2xx).
-- The rows come typed and checked for form against the contract's ValueRow; what is wrong with a row's form stands in
-- its faults, a JSON array of {pointer, code, detail}, its other columns then are what could be read.

-- name: value_import_table :call
-- takes:
CREATE TEMPORARY TABLE import_row (row int NOT NULL, line int, id uuid NOT NULL, indicator text, organization text, period text,
  category text, numerator numeric, denominator numeric, number numeric, done_on date, done boolean, state text, note text,
  evidence_url text, source text, reason text, version bigint, faults jsonb) ON COMMIT DROP

-- name: value_import_run :call
-- takes: mode strategy dry_run organization_scheme request_id
SELECT i.status, i.body FROM value_import(:mode, :strategy, :dry_run::boolean, :organization_scheme, :request_id) i
