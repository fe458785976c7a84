-- What api/account_import.c runs in one explicit transaction, as schema/queries/organization_import.sql has it.

-- name: account_import_begin :call
-- takes:
SELECT account_import_begin()

-- name: account_import :call
-- takes: mode dry_run hours request_id
SELECT i.status, i.body
FROM account_import(:mode, :dry_run::boolean, :hours::int, :request_id) i
