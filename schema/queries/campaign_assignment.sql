-- What units are to do in a campaign.

-- name: campaign_assignment_list :list
-- id: a.id
-- sort tree: a.scope_key
-- sort due_on: a.due_on
-- filter organization: a.organization_id = (SELECT filter_organization($, 'organization'))
-- filter under: a.scope_key >= (SELECT filter_key($, 'under')) AND a.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter phase: a.phase_id = (SELECT filter_assignment_phase(:campaign, $, 'phase'))
-- filter kind: a.kind = $
-- filter kind[in]: a.kind = ANY($::text[])
-- filter due_on: a.due_on = $::date
-- filter due_on[gte]: a.due_on >= $::date
-- filter due_on[lte]: a.due_on <= $::date
-- filter late: (a.id IN (SELECT l FROM campaign_assignments_late((SELECT campaign_id(:campaign))) l)) = $::boolean
-- filter set_by: a.setter_id = (SELECT filter_organization($, 'set_by'))
-- filter own: (a.setter_id = a.organization_id) = $::boolean
SELECT a.id, c.code AS campaign, f.code AS phase, a.organization_code AS organization, (SELECT o.name FROM organization o WHERE o.id = a.organization_id) AS organization_name,
  a.kind, campaign_term_name('activity_kind', a.kind) AS kind_name, a.every, a.starts_on, a.quantity, a.due_on, a.set_quantity, a.set_due_on, a.reason, a.note,
  unit_code(a.setter_id) AS set_by, a.setter_id = a.organization_id AS own, w.done, campaign_assignment_late(a, w.done) AS late, a.version
FROM campaign_assignment a
  JOIN campaign c ON c.id = a.campaign_id
  JOIN campaign_phase f ON f.id = a.phase_id
  CROSS JOIN LATERAL campaign_assignment_done(a) w(done)
WHERE a.campaign_id = (SELECT path_campaign(:campaign))

-- name: campaign_assignment_get :one
SELECT r.version, r.body
FROM campaign_assignment a CROSS JOIN LATERAL campaign_assignment_answer(a) r
WHERE a.campaign_id = (SELECT campaign_id(:campaign)) AND a.id = :assignment::uuid

-- name: campaign_assignment_set :one
SELECT s.status, s.body_out AS body FROM campaign_assignments_set(:campaign, :body::jsonb, :request_id) s

-- name: campaign_assignment_own :one
SELECT s.status, s.body_out AS body FROM campaign_assignments_own(:campaign, :body::jsonb, :request_id) s

-- name: campaign_assignment_copy_down :one
SELECT s.status, s.body_out AS body FROM campaign_assignments_copy_down(:campaign, :body::jsonb, :request_id) s

-- name: campaign_assignment_adjust :one
SELECT s.status, s.version, s.body_out AS body FROM campaign_assignment_adjust(:campaign, :assignment, :body::jsonb, :if_match, :request_id) s

-- name: campaign_assignment_reset :one
SELECT s.status, s.version, s.body_out AS body FROM campaign_assignment_reset(:campaign, :assignment, :body::jsonb, :if_match, :request_id) s

-- name: campaign_assignment_delete :none
SELECT campaign_assignment_delete(:campaign, :assignment, false, :if_match, :request_id)

-- name: campaign_assignment_own_delete :none
SELECT campaign_assignment_delete(:campaign, :assignment, true, :if_match, :request_id)
