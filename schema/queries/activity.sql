-- Activities of campaigns.

-- name: activity_get :one
SELECT a.version::text AS version, activity_json(a) AS body
FROM activity a WHERE a.id = :activity::uuid

-- name: activity_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM activity_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: activity_update :one
SELECT u.status, u.version, u.body_out AS body
FROM activity_update(:activity, :body::jsonb, :if_match, :request_id) u

-- name: activity_delete :none
SELECT activity_delete(:activity, :if_match, :request_id)

-- name: activity_proposal_confirm :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM activity_proposal_confirm(:activity, :new_id::uuid, :if_match, :request_id) c

-- name: activity_proposal_decline :one
SELECT d.status, d.version, d.location, d.body_out AS body
FROM activity_proposal_decline(:activity, :body::jsonb, :if_match, :request_id) d

-- name: activity_list :list
-- id: a.id
-- sort tree: a.scope_key
-- sort starts_on: a.starts_on
-- sort updated_at: a.updated_at
-- filter campaign: a.campaign_id = (SELECT filter_campaign($, 'campaign'))
-- filter phase: a.phase_id = ANY ((SELECT filter_phases($))::uuid[])
-- filter organization: a.scope_key = (SELECT filter_key($, 'organization'))
-- filter under: a.scope_key >= (SELECT filter_key($, 'under')) AND a.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter code: a.code = $
-- filter kind: a.kind = $
-- filter topic: a.topic = $
-- filter status: a.status = $
-- filter status[in]: a.status = ANY ($::text[])
-- filter late: (a.status IN ('planned', 'under_way', 'postponed') AND a.ends_on < (SELECT today())) = $::boolean
-- filter starts_on[gte]: a.starts_on >= $::date
-- filter starts_on[lte]: a.starts_on <= $::date
-- filter ends_on[gte]: a.ends_on >= $::date
-- filter ends_on[lte]: a.ends_on <= $::date
-- filter updated_at[gte]: a.updated_at >= $::timestamptz
-- filter on_behalf: a.on_behalf = $::boolean
-- filter proposed: EXISTS (SELECT FROM activity_proposal p WHERE p.activity_id = a.id AND p.state = 'proposed') = $::boolean
-- filter q: a.id = ANY (((SELECT filter_activities($))).ids) OTHERWISE cardinality(((SELECT filter_activities($))).patterns) > 0 AND coalesce(a.search LIKE ALL (((SELECT filter_activities($))).patterns), false)
SELECT a.id, coalesce((SELECT c.code FROM campaign c WHERE c.id = a.campaign_id), campaign_code_kept(a.campaign_id)) AS campaign,
  coalesce((SELECT f.code FROM campaign_phase f WHERE f.id = a.phase_id), campaign_phase_code_kept(a.phase_id)) AS phase, a.organization_code AS organization,
  (SELECT o.name FROM organization o WHERE o.id = a.organization_id) AS organization_name, a.code, a.kind, a.topic, a.title, a.starts_on, a.ends_on,
  a.done_on, a.planned, a.done, a.contacts_planned, a.contacts_reached, to_json(a.channels) AS channels, a.status, a.reason,
  activity_late(a.status, a.ends_on) AS late, a.evidence_url, a.attachments, a.note, a.classification, a.on_behalf, a.entered_by,
  activity_proposal_json(a.id) AS proposal, a.version, tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at
FROM activity a
WHERE true
