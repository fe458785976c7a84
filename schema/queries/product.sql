-- Products and their use by other units.

-- name: product_get :one
SELECT g.version, g.body FROM product_get(:product::uuid) g

-- name: product_create :one
SELECT c.status, c.version, c.location, c.body_out AS body FROM product_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: product_update :one
SELECT u.status, u.version, u.body_out AS body FROM product_update(:product::uuid, :body::jsonb, :if_match, :request_id) u

-- name: product_delete :none
SELECT product_delete(:product::uuid, :if_match, :request_id)

-- name: product_publish :one
SELECT s.status, s.version, s.body_out AS body FROM product_step(:product::uuid, 'publish', '{}', :if_match, :request_id) s

-- name: product_withdraw :one
SELECT s.status, s.version, s.body_out AS body FROM product_step(:product::uuid, 'withdraw', :body::jsonb, :if_match, :request_id) s

-- name: product_list :list
-- id: p.id
-- sort tree: p.scope_key
-- sort published_at: p.published_at
-- sort updated_at: p.updated_at
-- filter campaign: p.campaign_id = (SELECT filter_campaign($, 'campaign'))
-- filter phase: p.phase_id = ANY ((SELECT filter_phases($))::uuid[])
-- filter organization: p.scope_key = (SELECT filter_key($, 'organization'))
-- filter under: p.scope_key >= (SELECT filter_key($, 'under')) AND p.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter kind: p.kind = $
-- filter topic: p.topic = $
-- filter channel: $ = ANY (p.channels)
-- filter state: p.state = $
-- filter activity: p.activity_id = $::uuid
-- filter updated_at[gte]: p.updated_at >= $::timestamptz
-- filter q: strpos(p.search, fold($)) > 0
SELECT p.id, coalesce((SELECT c.code FROM campaign c WHERE c.id = p.campaign_id), campaign_code_kept(p.campaign_id)) AS campaign,
  coalesce((SELECT f.code FROM campaign_phase f WHERE f.id = p.phase_id), campaign_phase_code_kept(p.phase_id)) AS phase,
  p.organization_code AS organization, directory_name(p.organization_id) AS organization_name, p.activity_id AS activity, p.kind, p.title, p.summary,
  p.topic, p.duration_s, p.link, p.sha256, p.published_on, to_json(p.channels) AS channels,
  (SELECT sum(x.total) FROM product_reach x WHERE x.product_id = p.id) AS reach_total, p.state, tstz(p.published_at) AS published_at,
  (SELECT count(*) FROM product_reuse u WHERE u.product_id = p.id) AS reuses, p.version, tstz(p.updated_at) AS updated_at
FROM product p
WHERE true

-- name: product_reuse_get :one
SELECT u.version::text AS version, product_reuse_json(u) AS body FROM product_reuse u WHERE u.id = :reuse::uuid AND u.product_id = :product::uuid

-- name: product_reuse_create :one
SELECT c.status, c.version, c.location, c.body_out AS body FROM product_reuse_create(:product::uuid, :new_id::uuid, :body::jsonb, :request_id) c

-- name: product_reuse_update :one
SELECT u.status, u.version, u.body_out AS body FROM product_reuse_update(:product::uuid, :reuse::uuid, :body::jsonb, :if_match, :request_id) u

-- name: product_reuse_delete :none
SELECT product_reuse_delete(:product::uuid, :reuse::uuid, :if_match, :request_id)

-- name: product_reuse_list :list
-- id: u.id
-- sort tree: u.scope_key
SELECT u.id, u.product_id AS product, (SELECT p.title FROM product p WHERE p.id = u.product_id) AS product_title, u.organization_code AS organization,
  directory_name(u.organization_id) AS organization_name, u.used_on, to_json(u.channels) AS channels, u.reach, u.link, u.note, u.on_behalf,
  u.entered_by, u.version, tstz(u.updated_at) AS updated_at
FROM product_reuse u
WHERE u.product_id = (SELECT path_product_id(:product::uuid))

-- name: product_reuse_list_all :list
-- id: u.id
-- sort tree: u.scope_key
-- filter campaign: u.campaign_id = (SELECT filter_campaign($, 'campaign'))
-- filter product: u.product_id = $::uuid
-- filter organization: u.scope_key = (SELECT filter_key($, 'organization'))
-- filter under: u.scope_key >= (SELECT filter_key($, 'under')) AND u.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter used_on[gte]: u.used_on >= $::date
-- filter used_on[lte]: u.used_on <= $::date
SELECT u.id, u.product_id AS product, (SELECT p.title FROM product p WHERE p.id = u.product_id) AS product_title, u.organization_code AS organization,
  directory_name(u.organization_id) AS organization_name, u.used_on, to_json(u.channels) AS channels, u.reach, u.link, u.note, u.on_behalf,
  u.entered_by, u.version, tstz(u.updated_at) AS updated_at
FROM product_reuse u
WHERE true
