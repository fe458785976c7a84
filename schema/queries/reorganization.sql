-- Reorganizations.

-- name: reorganization_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM reorganization_create(:new_id, :body::jsonb, :dry_run::boolean, :request_id) c

-- name: reorganization_revert :one
SELECT u.status, u.version, u.body_out AS body
FROM reorganization_revert(:reorganization, :body::jsonb, :if_match, :request_id) u

-- name: reorganization_get :one
SELECT r.version::text AS version, reorganization_json(r.id)::text AS body
FROM reorganization r WHERE r.id = :reorganization::uuid

-- name: reorganization_list :list
-- id: r.id
-- sort effective_on: r.effective_on
-- sort created_at: r.created_at
-- filter organization: r.id IN (SELECT u.reorganization_id FROM reorganization_unit u WHERE u.organization_id = (SELECT filter_organization($, 'organization')))
-- filter decision: r.decision = $
-- filter state: reorganization_state(r.effective_on, r.reverted_at, r.stuck) = $
-- filter effective_on[gte]: r.effective_on >= $::date
-- filter effective_on[lte]: r.effective_on <= $::date
SELECT r.id, r.decision, r.title, r.effective_on, reorganization_state(r.effective_on, r.reverted_at, r.stuck) AS state, r.made_up, r.units, r.version,
  tstz(r.created_at) AS created_at
FROM reorganization r
WHERE true
