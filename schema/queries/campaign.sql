-- Campaigns, and the lists that they take kinds and channels from.

-- name: campaign_get :one
SELECT c.version::text AS version, campaign_json(c) AS body
FROM campaign c WHERE c.id = (SELECT campaign_id(:campaign))

-- name: campaign_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM campaign_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: campaign_update :one
SELECT u.status, u.version, u.body_out AS body
FROM campaign_update(:campaign, :body::jsonb, :if_match, :request_id) u

-- name: campaign_list :list
-- id: c.id
-- sort code: c.code COLLATE "C"
-- sort created_at: c.created_at
-- filter code: c.code = $
-- filter code[in]: c.code = ANY($::text[])
-- filter code[prefix]: c.code COLLATE "C" >= $ AND c.code COLLATE "C" < $ || '~'
-- filter programme: c.programme_id = (SELECT filter_programme($, 'programme'))
-- filter owner: c.owner_id = (SELECT filter_organization($, 'owner'))
-- filter status: c.status = $
-- filter status[in]: c.status = ANY($::text[])
-- filter under: c.scope_key >= (SELECT filter_key($, 'under')) AND c.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter q: strpos(c.search, fold($)) > 0
SELECT c.id, c.code, c.title, (SELECT p.code FROM programme p WHERE p.id = c.programme_id) AS programme, unit_code(c.owner_id) AS owner,
  unit_code(c.scope_id) AS scope, c.implements, c.document, c.status, c.entered_by,
  (SELECT f.starts_on FROM campaign_phase f WHERE f.campaign_id = c.id ORDER BY f.position LIMIT 1) AS starts_on,
  (SELECT max(f.ends_on) FROM campaign_phase f WHERE f.campaign_id = c.id) AS ends_on, c.version
FROM campaign c
WHERE true

-- name: campaign_term_get :one
SELECT t.version::text AS version, campaign_term_json(t) AS body
FROM campaign_term t WHERE t.id = :term::uuid

-- name: campaign_term_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM campaign_term_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: campaign_term_update :one
SELECT u.status, u.version, u.body_out AS body
FROM campaign_term_update(:term::uuid, :body::jsonb, :if_match, :request_id) u

-- A list is short: sorted as it is read.
-- name: campaign_term_list :list
-- id: t.id
-- sort list: t.list COLLATE "C"
-- sort position: t.position
-- sort code: t.code COLLATE "C"
-- filter list: t.list = $
-- filter code: t.code = $
-- filter active: t.active = $::boolean
-- filter own: (t.root_id IS NOT NULL) = $::boolean
-- filter q: strpos(fold(t.name || ' ' || t.code), fold($)) > 0
SELECT t.id, t.list, t.code, t.name, t.name_en, t.active, t.root_id IS NOT NULL AS own, t.position, t.version, tstz(t.created_at) AS created_at,
  tstz(t.updated_at) AS updated_at
FROM campaign_term t
WHERE true
