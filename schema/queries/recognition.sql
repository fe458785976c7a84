-- Recognitions.

-- name: recognition_get :one
SELECT g.version, g.body FROM recognition_get(:recognition::uuid) g

-- name: recognition_create :one
SELECT c.status, c.version, c.location, c.body_out AS body FROM recognition_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: recognition_update :one
SELECT s.status, s.version, s.body_out AS body FROM recognition_act(:recognition::uuid, 'edit', :body::jsonb, :if_match, :request_id) s

-- name: recognition_delete :none
SELECT recognition_delete(:recognition::uuid, :if_match, :request_id)

-- name: recognition_confirm :one
SELECT s.status, s.version, s.body_out AS body FROM recognition_act(:recognition::uuid, 'confirm', :body::jsonb, :if_match, :request_id) s

-- name: recognition_return :one
SELECT s.status, s.version, s.body_out AS body FROM recognition_act(:recognition::uuid, 'return', :body::jsonb, :if_match, :request_id) s

-- name: recognition_publish :one
SELECT s.status, s.version, s.body_out AS body FROM recognition_act(:recognition::uuid, 'publish', NULL, :if_match, :request_id) s

-- name: recognition_withdraw :one
SELECT s.status, s.version, s.body_out AS body FROM recognition_act(:recognition::uuid, 'withdraw', :body::jsonb, :if_match, :request_id) s

-- name: recognition_list :list
-- id: r.id
-- sort tree: r.scope_key
-- sort published_at: r.published_at
-- sort updated_at: r.updated_at
-- filter campaign: r.campaign_id = (SELECT filter_campaign($, 'campaign'))
-- filter phase: r.phase_id = ANY ((SELECT filter_phases($))::uuid[])
-- filter organization: r.scope_key = (SELECT filter_key($, 'organization'))
-- filter under: r.scope_key >= (SELECT filter_key($, 'under')) AND r.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter kind: r.kind = $
-- filter state: r.state = $
-- filter to_me: $::boolean = recognition_is_for_me(r.campaign_id, r.programme_id, r.organization_id, r.scope_key)
-- filter updated_at[gte]: r.updated_at >= $::timestamptz
SELECT r.id, coalesce((SELECT c.code FROM campaign c WHERE c.id = r.campaign_id), campaign_code_kept(r.campaign_id)) AS campaign,
  coalesce((SELECT f.code FROM campaign_phase f WHERE f.id = r.phase_id), campaign_phase_code_kept(r.phase_id)) AS phase,
  r.organization_code AS organization, directory_name(r.organization_id) AS organization_name, r.kind, r.title, r.summary,
  r.decision_number, r.decision_on, r.decided_by AS decision_by, r.state, unit_code(r.proposed_seat_id) AS proposed_by,
  unit_code(r.decided_seat_id) AS decided_by, tstz(r.published_at) AS published_at, r.version, tstz(r.updated_at) AS updated_at
FROM recognition r
WHERE true
