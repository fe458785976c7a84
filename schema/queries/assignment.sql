-- Assignments: who reports an indicator.

-- name: assignment_list :list
-- id: a.id
-- sort created_at: a.created_at
SELECT a.id, (SELECT i.code FROM indicator i WHERE i.id = a.indicator_id) AS indicator,
  CASE WHEN a.kind IS NULL THEN a.unit_code END AS organization, a.kind, CASE WHEN a.kind IS NOT NULL THEN a.unit_code END AS under,
  a.mode, a.entered_by, a.source, a.client_id AS client, lower(a.validity) AS valid_from, upper(a.validity) - 1 AS valid_to,
  a.version, tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at
FROM assignment a
WHERE a.indicator_id = (SELECT path_indicator(:indicator))

-- name: assignment_get :one
SELECT a.version::text AS version, assignment_json(a) AS body
FROM assignment a WHERE a.id = :assignment::uuid AND a.indicator_id = (SELECT indicator_id(:indicator))

-- name: assignment_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM assignment_create(:indicator, :new_id::uuid, :body::jsonb, :request_id) c

-- name: assignment_update :one
SELECT u.status, u.version, u.body_out AS body
FROM assignment_update(:indicator, :assignment, :body::jsonb, :if_match, :request_id) u
