-- Mandates, accounts, clients and grants. account_create and client_create are run by their handlers, which make the hashes.

-- name: mandate_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM mandate_create(:new_id, :body::jsonb, :request_id) c

-- name: mandate_list :list
-- id: m.id
-- sort tree: m.scope_key
-- filter unit: m.unit_id = (SELECT filter_organization($, 'unit'))
-- filter unit_kind: m.unit_kind = $
SELECT m.id, organization_ref(m.giver_id) AS giver, organization_ref(m.unit_id) AS unit, m.unit_kind,
  organization_ref(m.over_id) AS over, m.over_parent, m.functions,
  (SELECT p.code FROM programme p WHERE p.id = m.programme_id) AS programme, m.document, m.valid_from, m.valid_to, m.version,
  tstz(m.created_at) AS created_at
FROM mandate m
WHERE true

-- name: grant_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM grant_create(:new_id, :body::jsonb, :request_id) c

-- name: grant_list :list
-- id: g.id
-- sort tree: g.scope_key
-- filter account: g.account_id = (SELECT a.id FROM account a WHERE a.username = lower($))
-- filter organization: g.organization_id = (SELECT filter_organization($, 'organization'))
-- filter role: g.role = $
SELECT g.id, (SELECT a.username FROM account a WHERE a.id = g.account_id) AS account, g.client_id AS client,
  organization_ref(g.organization_id) AS organization, g.role, g.valid_from, g.valid_to, tstz(g.revoked_at) AS revoked_at,
  g.version, tstz(g.created_at) AS created_at
FROM access_grant g
WHERE true

-- name: account_list :list
-- id: a.id
-- sort tree: a.scope_key
-- filter username: a.username = lower($)
-- filter organization: a.organization_id = (SELECT filter_organization($, 'organization'))
SELECT a.id, a.username, a.display_name, organization_ref(a.organization_id) AS organization, a.status, a.version,
  tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at
FROM account a
WHERE true

-- name: client_list :list
-- id: c.id
-- sort tree: c.scope_key
-- filter organization: c.organization_id = (SELECT filter_organization($, 'organization'))
SELECT c.id, c.id AS client_id, c.name, organization_ref(c.organization_id) AS organization, c.scopes, c.status, c.version,
  tstz(c.created_at) AS created_at
FROM client c
WHERE true

-- name: mandate_get :one
SELECT m.version::text AS version, mandate_json(m) AS body
FROM mandate m WHERE m.id = :mandate::uuid

-- name: grant_get :one
SELECT g.version::text AS version, grant_json(g)::text AS body
FROM access_grant g WHERE g.id = :grant::uuid

-- name: account_get :one
SELECT a.version::text AS version, account_json(a.id)::text AS body
FROM account a WHERE a.id = :account::uuid

-- name: client_get :one
SELECT c.version::text AS version, client_json(c.id)::text AS body
FROM client c WHERE c.id = :client::uuid
