-- What api/activity_import.c runs in one explicit transaction, as value_import.sql says of values. The rows come as text, a list of channels as JSON;
-- what is wrong with a row's form stands in its faults, a JSON array of {pointer, code, detail}.

-- name: activity_import_begin :call
-- takes:
SELECT activity_import_begin()

-- name: activity_import :call
-- takes: mode strategy dry_run organization_scheme request_id
SELECT i.status, i.body
FROM activity_import(:mode, :strategy, :dry_run::boolean, :organization_scheme, :request_id) i
