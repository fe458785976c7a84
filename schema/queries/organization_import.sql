-- What api/organization_import.c runs in one explicit transaction, as schema/queries/value_import.sql has it.

-- name: organization_import_begin :call
-- takes:
SELECT organization_import_begin()

-- name: organization_import :call
-- takes: mode strategy dry_run request_id
SELECT i.status, i.body
FROM organization_import(:mode, :strategy, :dry_run::boolean, :request_id) i
