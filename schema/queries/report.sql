-- Reports, and what is done to them.

-- name: report_get :one
SELECT g.version, g.body FROM report_get(:report, :version::int, :view) g

-- name: report_edit :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('edit', :report, :body::jsonb, :if_match, :request_id) a

-- name: report_submit :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('submit', :report, NULL, :if_match, :request_id) a

-- name: report_recall :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('recall', :report, NULL, :if_match, :request_id) a

-- name: report_request_return :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('request_return', :report, :body::jsonb, :if_match, :request_id) a

-- name: report_receive :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('receive', :report, NULL, :if_match, :request_id) a

-- name: report_return :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('return', :report, :body::jsonb, :if_match, :request_id) a

-- name: report_approve :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('approve', :report, NULL, :if_match, :request_id) a

-- name: report_amend :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('amend', :report, :body::jsonb, :if_match, :request_id) a

-- name: report_extend :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('extend', :report, :body::jsonb, :if_match, :request_id) a

-- name: report_waive :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('waive', :report, :body::jsonb, :if_match, :request_id) a

-- name: report_reinstate :one
SELECT a.status, a.version, a.body_out AS body FROM report_act('reinstate', :report, NULL, :if_match, :request_id) a

-- (The bounds say nothing that the policy does not say: they are there for the plan, see 0057.)
-- name: report_list :list
-- id: r.id
-- sort tree: r.scope_key
-- sort due_on: r.due_on
-- sort updated_at: r.updated_at
-- filter duty: r.duty_id = (SELECT filter_report_duty($, 'duty'))
-- filter duty[in]: r.duty_id = ANY ((SELECT filter_report_duties($::text[], 'duty[in]'))::uuid[])
-- filter programme: r.programme_id = (SELECT filter_programme($, 'programme'))
-- filter organization: r.organization_id = (SELECT filter_organization($, 'organization'))
-- filter recipient: r.recipient_id = (SELECT filter_organization($, 'recipient'))
-- filter to_me: $::boolean = (r.recipient_id = ANY ((SELECT me_seats())::uuid[]))
-- filter period: r.period_id = (SELECT filter_period($, 'period'))
-- filter period[in]: r.period_id = ANY ((SELECT filter_periods($::text[], 'period[in]'))::uuid[])
-- filter state: r.state = $
-- filter state[in]: r.state = ANY ($::text[])
-- filter overdue: $::boolean = report_late(r.state, r.due_on)
-- filter due_on[gte]: r.due_on >= $::date
-- filter due_on[lte]: r.due_on <= $::date
-- filter updated_at[gte]: r.updated_at >= $::timestamptz
-- filter return_requested: $::boolean = (r.return_requested IS NOT NULL)
-- filter under: r.scope_key >= (SELECT filter_key($, 'under')) AND r.scope_key < (SELECT filter_key($, 'under') || '~')
SELECT r.id, (SELECT d.code FROM report_duty d WHERE d.id = r.duty_id) AS duty, r.organization_code AS organization, r.period_code AS period, r.state,
  report_late(r.state, r.due_on) AS late, r.acceptance, r.data_to, r.due_on, r.due_on IS DISTINCT FROM r.first_due_on AS extended,
  (SELECT v.number FROM report_version v WHERE v.report_id = r.id AND v.n = r.shown) AS number,
  (SELECT v.issued_on FROM report_version v WHERE v.report_id = r.id AND v.n = r.shown) AS issued_on,
  r.submissions, tstz(r.submitted_at) AS submitted_at, report_on_time(r.first_submitted_at, r.due_on) AS on_time, tstz(r.received_at) AS received_at,
  tstz(r.approved_at) AS approved_at, r.return_requested IS NOT NULL AS return_requested, r.version, tstz(r.updated_at) AS updated_at
FROM report r
WHERE r.scope_key >= (SELECT report_lo()) AND r.scope_key < (SELECT report_hi())

-- name: report_version_list :list
-- id: v.report_id || ' ' || v.n
-- sort n: v.n
SELECT v.n, tstz(v.submitted_at) AS submitted_at, report_seat(v.report_id, v.seat_id) AS submitted_by, v.on_behalf, v.on_time, v.number, v.issued_on,
  tstz(v.accepted_at) AS accepted_at, v.accepted_as, tstz(v.withdrawn_at) AS recalled_at
FROM report_version v
WHERE v.report_id = (SELECT path_report(:report))

-- name: report_event_list :list
-- id: e.report_id || ' ' || e.seq
-- sort seq: e.seq
SELECT e.seq, tstz(e.at) AS at, e.action, e.from_state, e.to_state, e.n, e.reason, e.reasons, e.due_on, report_seat(e.report_id, e.seat_id) AS by
FROM report_event e
WHERE e.report_id = (SELECT path_report(:report))
