-- Targets: what a unit is to reach.

-- name: target_list :list
-- id: t.id
-- sort tree: t.scope_key
SELECT t.id, (SELECT i.code FROM indicator i WHERE i.id = t.indicator_id) AS indicator, t.organization_code AS organization,
  t.starts_on, t.baseline, t.baseline_on, t.comparator, t.value, t.stretch, t.upper, t.maintain, t.due_on, t.note,
  t.version, tstz(t.created_at) AS created_at, tstz(t.updated_at) AS updated_at
FROM target t
WHERE t.indicator_id = (SELECT path_indicator(:indicator))

-- name: target_get :one
SELECT t.version::text AS version, target_json(t) AS body
FROM target t WHERE t.id = :target::uuid AND t.indicator_id = (SELECT indicator_id(:indicator))

-- name: target_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM target_create(:indicator, :new_id::uuid, :body::jsonb, :request_id) c

-- name: target_update :one
SELECT u.status, u.version, u.body_out AS body
FROM target_update(:indicator, :target, :body::jsonb, :if_match, :request_id) u
