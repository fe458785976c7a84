-- Mandates, clients and grants. client_create is run by its handler, which makes the hash.

-- name: mandate_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM mandate_create(:new_id, :body::jsonb, :request_id) c

-- name: mandate_list :list
-- id: m.id
-- sort tree: m.scope_key
-- filter unit: m.unit_id = (SELECT filter_organization($, 'unit'))
-- filter unit_kind: m.unit_kind = $
-- filter over: m.over_id = (SELECT filter_organization($, 'over'))
-- filter programme: m.programme_id = (SELECT filter_programme($, 'programme'))
-- filter holding: (m.valid_from <= (SELECT today()) AND coalesce(m.valid_to >= (SELECT today()), true)) = $::boolean
SELECT m.id, organization_ref(m.giver_id) AS giver, organization_ref(m.unit_id) AS unit, m.unit_kind,
  organization_ref(m.over_id) AS over, m.over_parent, m.functions,
  (SELECT p.code FROM programme p WHERE p.id = m.programme_id) AS programme, m.document, m.valid_from,
  CASE WHEN m.valid_to < m.valid_from THEN m.valid_from ELSE m.valid_to END AS valid_to,
  tstz(m.ended_at) AS ended_at, ender_json(m.ended_by, m.ended_seat) AS ended_by, m.version, tstz(m.created_at) AS created_at
FROM mandate m
WHERE true

-- name: grant_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM grant_create(:new_id, :body::jsonb, :request_id) c

-- name: grant_list :list
-- id: g.id
-- sort tree: g.scope_key
-- filter account: g.account_id = (SELECT a.id FROM account a WHERE a.username = lower($))
-- filter client: g.client_id = $::uuid
-- filter organization: g.organization_id = (SELECT filter_organization($, 'organization'))
-- filter under: g.scope_key >= (SELECT filter_key($, 'under')) AND g.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter role: g.role = $
-- filter holding: grant_in_force(g.id) = $::boolean
SELECT g.id, (SELECT a.username FROM account a WHERE a.id = g.account_id) AS account, g.client_id AS client,
  organization_ref(g.organization_id) AS organization, g.role, g.valid_from, g.valid_to, g.delegated_from,
  tstz(g.revoked_at) AS revoked_at, ender_json(g.revoked_by, g.revoked_seat) AS revoked_by, g.version, tstz(g.created_at) AS created_at
FROM access_grant g
WHERE true

-- name: client_list :list
-- id: c.id
-- sort tree: c.scope_key
-- filter organization: c.organization_id = (SELECT filter_organization($, 'organization'))
SELECT c.id, c.id AS client_id, c.name, organization_ref(c.organization_id) AS organization, c.scopes, c.status,
  client_external(c.external_issuer, c.external_subject) AS external, c.version, tstz(c.created_at) AS created_at, tstz(c.updated_at) AS updated_at
FROM client c
WHERE true

-- name: mandate_get :one
SELECT m.version::text AS version, mandate_json(m) AS body
FROM mandate m WHERE m.id = :mandate::uuid

-- name: grant_get :one
SELECT g.version::text AS version, grant_json(g)::text AS body
FROM access_grant g WHERE g.id = :grant::uuid

-- name: client_get :one
SELECT c.version::text AS version, client_json(c.id)::text AS body
FROM client c WHERE c.id = :client::uuid

-- name: mandate_update :one
SELECT u.status, u.version, u.body_out AS body
FROM mandate_update(:mandate::uuid, :body::jsonb, :if_match, :request_id) u

-- name: mandate_end :none
SELECT mandate_end(:mandate::uuid, :if_match, :request_id)

-- name: grant_update :one
SELECT u.status, u.version, u.body_out AS body
FROM grant_update(:grant::uuid, :body::jsonb, :if_match, :request_id) u

-- name: grant_end :none
SELECT grant_end(:grant::uuid, :if_match, :request_id)

-- name: client_update :one
SELECT u.status, u.version, u.body_out AS body
FROM client_update(:client::uuid, :body::jsonb, :if_match, :request_id) u

-- name: client_end :none
SELECT client_end(:client::uuid, :if_match, :request_id)

-- name: client_secret_list :list
-- id: s.id
-- sort created_at: s.created_at
SELECT s.id, tstz(s.created_at) AS created_at, tstz(s.expires_at) AS expires_at, s.last_used_on,
  s.expires_at IS NULL OR s.expires_at > clock_now() AS valid
FROM client_secret s
WHERE s.client_id = (SELECT path_client(:client))

-- name: client_secret_create :call
-- takes: client, new_id, body, secret_hash, hours, request_id
SELECT c.status, c.version, c.location, c.body_out AS body
FROM client_secret_create(:client::uuid, :new_id::uuid, :body::jsonb, :secret_hash::bytea, :hours::int, :request_id) c

-- name: client_secret_end :none
SELECT client_secret_end(:client::uuid, :secret::uuid, :request_id)

-- name: delegation_list :list
-- id: g.id
-- sort tree: g.scope_key
-- filter direction: CASE $ WHEN 'given' THEN g.granted_by ELSE g.account_id END = (SELECT me_account())
-- filter holding: grant_in_force(g.id) = $::boolean
SELECT g.id, t.giver, t.account, t.organization, g.role, g.valid_from, g.valid_to, t.holds, tstz(g.revoked_at) AS revoked_at,
  t.revoked_by, g.version, tstz(g.created_at) AS created_at
FROM access_grant g, LATERAL delegation_told(g.id) t
WHERE g.delegated_from IS NOT NULL

-- name: delegation_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM delegation_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: delegation_get :one
SELECT g.version::text AS version, delegation_json(g.id)::text AS body
FROM access_grant g WHERE g.id = :delegation::uuid AND g.delegated_from IS NOT NULL

-- name: delegation_end :none
SELECT delegation_end(:delegation::uuid, :if_match, :request_id)
