-- Reminders.

-- name: reminder_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM reminder_create(:body::jsonb, :request_id) c

-- name: reminder_get :one
SELECT CASE WHEN reminder_read(m.id) THEN '2' ELSE '1' END AS version, reminder_json(m.id) AS body
FROM reminder m WHERE m.id = :reminder::uuid

-- Few are found by their units, many by when they were sent.
-- name: reminder_list :list
-- id: m.id
-- sort sent_at desc: m.sent_at
-- filter report: m.report_id = $::uuid
-- filter duty: m.duty_id = (SELECT filter_report_duty($, 'duty'))
-- filter period: m.period_id = (SELECT filter_period($, 'period'))
-- filter organization: m.organization_id = (SELECT filter_organization($, 'organization'))
-- filter kind: m.kind = $
-- filter to: m.to_id = (SELECT filter_organization($, 'to'))
-- filter unread: m.id = ANY (((SELECT filter_unread($::boolean))).ids) OTHERWISE (((SELECT filter_unread($::boolean))).rest) AND NOT (m.to_id = ANY ((SELECT me_seats())::uuid[]) AND NOT reminder_read(m.id))
-- filter sent_at[gte]: m.sent_at >= $::timestamptz
SELECT m.id, m.kind, m.report_id AS report, (SELECT d.code FROM report_duty d WHERE d.id = m.duty_id) AS duty,
  (SELECT g.code FROM programme g WHERE g.id = m.programme_id) AS programme, m.organization_code AS organization, m.to_code AS "to",
  m.period_code AS period, m.due_on, m.days, m.message, m.seat_code AS "by", tstz(m.sent_at) AS sent_at, reminder_read(m.id) AS read
FROM (
    SELECT true AS every, x.id, x.kind, x.report_id, x.duty_id, x.programme_id, x.period_id, x.organization_id, x.organization_code, x.to_id, x.to_code,
      x.period_code, x.due_on, x.days, x.message, x.seat_code, x.sent_at
    FROM reminder x
    UNION ALL
    SELECT false, x.id, x.kind, x.report_id, x.duty_id, x.programme_id, x.period_id, x.organization_id, x.organization_code, x.to_id, x.to_code,
      x.period_code, x.due_on, x.days, x.message, x.seat_code, x.sent_at
    FROM reminder_few_rows() x) m
WHERE m.every = (SELECT reminder_few() IS NULL)

-- What falls due by itself; called by the background thread.
-- name: reminder_turn :call
-- takes: most
SELECT reminder_turn(:most::int)
