-- People reached as declared, and how a campaign advances.

-- name: campaign_reach_get :one
SELECT r.version::text AS version, campaign_reach_json(r) AS body
FROM campaign_reach_at(:campaign, :phase, :organization, :of) r

-- name: campaign_reach_put :one
SELECT p.status, p.version, p.location, p.body_out AS body
FROM campaign_reach_put(:campaign, :phase, :organization, :of, :body::jsonb, :if_match, :if_none_match, :new_id::uuid, :request_id) p

-- name: campaign_reach_delete :none
SELECT campaign_reach_delete(:campaign, :phase, :organization, :of, :if_match, :request_id)

-- name: campaign_reach_list :list
-- id: r.id
-- sort tree: r.scope_key
-- filter phase: r.phase_id = (SELECT filter_assignment_phase(:campaign, $, 'phase'))
-- filter organization: r.scope_key = (SELECT filter_key($, 'organization'))
-- filter under: r.scope_key >= (SELECT filter_key($, 'under')) AND r.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter of: r.of = $
-- filter covers: r.covers = $
-- filter on_behalf: r.on_behalf = $::boolean
-- embed below: campaign_reach_below(r) AS below
SELECT (SELECT c.code FROM campaign c WHERE c.id = r.campaign_id) AS campaign, (SELECT f.code FROM campaign_phase f WHERE f.id = r.phase_id) AS phase,
  r.organization_code AS organization, (SELECT o.name FROM organization o WHERE o.id = r.organization_id) AS organization_name, r.of, r.covers, r.reached,
  r.base, percent(r.reached, r.base) AS percent, r.base_source, r.base_on, r.counted_on, r.note, r.on_behalf, r.entered_by, r.version,
  tstz(r.created_at) AS created_at, tstz(r.updated_at) AS updated_at
FROM campaign_reach r
WHERE r.campaign_id = (SELECT path_campaign(:campaign))

-- name: campaign_progress :list
-- id: u.place
-- sort place asc: u.place
SELECT u.phase, u.organization, u.organization_name, u.organization_kind, x.kind,
  (SELECT t.name FROM campaign_term t WHERE t.list = 'activity_kind' AND t.code = x.kind ORDER BY t.root_id NULLS LAST LIMIT 1) AS kind_name,
  x.assignments, x.assignments_late, x.assigned, x.due, x.fulfilled, x.due_fulfilled,
  percent(x.fulfilled, nullif(x.assigned, 0)) AS percent, percent(x.due_fulfilled, nullif(x.due, 0)) AS due_percent,
  x.planned, x.done, x.n_planned AS activities_planned, x.n_under_way AS activities_under_way,
  x.n_done AS activities_done, x.n_postponed AS activities_postponed, x.n_cancelled AS activities_cancelled,
  x.activities_late, x.contacts_planned, x.contacts_reached, x.units_expected, x.units_reached,
  x.products
FROM campaign_progress(:campaign, :phase, :organization, :by) u CROSS JOIN LATERAL (SELECT (u.figures).*) x
WHERE true

-- name: campaign_progress_explain :list
-- id: u.place
-- sort place asc: u.place
-- filter kind: x.kind = $
-- filter late: (x.assignments_late + x.activities_late > 0) = $::boolean
SELECT u.phase, u.organization, u.organization_name, u.organization_kind, u.expected, x.kind, x.assignments, x.assignments_late,
  x.assigned, x.due, x.fulfilled, x.due_fulfilled, x.planned, x.done,
  x.n_planned AS activities_planned, x.n_under_way AS activities_under_way, x.n_done AS activities_done,
  x.n_postponed AS activities_postponed, x.n_cancelled AS activities_cancelled, x.activities_late,
  x.contacts_planned, x.contacts_reached
FROM campaign_progress_explain(:campaign, :phase, :organization) u CROSS JOIN LATERAL (SELECT (u.figures).*) x
WHERE true

-- name: campaign_coverage :list
-- id: u.place
-- sort place asc: u.place
-- filter of: x.of = $
SELECT u.phase, u.organization, u.organization_name, u.organization_kind, x.of, x.reached, x.base,
  percent(x.reached, nullif(x.base, 0)) AS percent, g.percent AS target,
  CASE WHEN coalesce(x.declared, x.expected) >= x.expected THEN 100 * x.reached >= g.percent * nullif(x.base, 0) END AS met, x.expected, x.declared,
  x.expected - x.declared AS missing, x.beneath_units, x.beneath_reached, x.beneath_base,
  x.difference, r.covers, r.base_source, r.base_on, r.counted_on, x.contacts_planned, x.contacts_reached
FROM campaign_coverage(:campaign, :phase, :organization, :by) u CROSS JOIN LATERAL (SELECT (u.figures).*) x
  LEFT JOIN campaign_reach_target g ON g.phase_id = u.phase_id AND g.of = x.of
  LEFT JOIN campaign_reach r ON r.phase_id = u.phase_id AND r.organization_id = u.organization_id AND r.of = x.of
WHERE true

-- name: campaign_coverage_explain :list
-- id: u.place
-- sort place asc: u.place
-- filter state: u.state = $
SELECT u.phase, u.organization, u.organization_name, u.organization_kind, u.expected, u.state, u.done, u.reached, u.base, u.covers, u.base_source, u.base_on,
  u.counted_on, u.beneath
FROM campaign_coverage_explain(:campaign, :phase, :organization, :of) u
WHERE true

-- name: campaign_ranking :list
-- id: u.place
-- sort place asc: u.place
SELECT u.phase, u.rank, u.peers, u.organization, u.organization_name, u.organization_kind, u.score, u.numerator, u.denominator, u.expected, u.declared, u.unranked
FROM campaign_ranking(:campaign, :phase, :kind, :under, :by, :of, :minimum::numeric) u
WHERE true
