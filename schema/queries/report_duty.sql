-- Report duties.

-- name: report_duty_get :one
SELECT d.version::text AS version, report_duty_json(d) AS body
FROM report_duty d WHERE d.id = (SELECT report_duty_id(:duty))

-- name: report_duty_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM report_duty_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: report_duty_update :one
SELECT u.status, u.version, u.body_out AS body
FROM report_duty_update(:duty, :body::jsonb, :if_match, :request_id) u

-- name: report_duty_list :list
-- id: d.id
-- sort code: d.code COLLATE "C"
-- sort created_at: d.created_at
-- filter code: d.code = $
-- filter code[in]: d.code = ANY($::text[])
-- filter code[prefix]: d.code COLLATE "C" >= $ AND d.code COLLATE "C" < $ || '~'
-- filter programme: d.programme_id = (SELECT filter_programme($, 'programme'))
-- filter to: d.to_id = (SELECT filter_organization($, 'to'))
-- filter cadence: d.cadence = $
-- filter cadence[in]: d.cadence = ANY($::text[])
-- filter acceptance: d.acceptance = $
-- filter campaign: d.campaign = $
-- filter indicator: EXISTS (SELECT FROM report_duty_indicator x WHERE x.duty_id = d.id AND x.indicator_id = (SELECT filter_indicator($, 'indicator')))
-- filter valid_on: d.validity @> $::date
-- filter under: d.scope_key >= (SELECT filter_key($, 'under')) AND d.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter q: strpos(fold(d.title || ' ' || d.code), fold($)) > 0
SELECT d.id, d.code, d.title, (SELECT p.code FROM programme p WHERE p.id = d.programme_id) AS programme, unit_code(d.under_id) AS under,
  to_json(d.kinds) AS kinds, unit_code(d.to_id) AS "to", d.to_parent, d.acceptance, d.cadence, d.due_on, d.campaign, lower(d.validity) AS valid_from,
  upper(d.validity) - 1 AS valid_to, d.version
FROM report_duty d
WHERE true

-- Names and kinds as of the day by whose tree the duty is owed.
-- name: report_duty_unit_list :list
-- id: o.id
-- sort tree: o.scope_key
-- filter under: o.scope_key >= (SELECT filter_key($, 'under')) AND o.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter kind: s.kind = $
SELECT o.code AS organization, s.name AS organization_name, s.kind, u.period_code AS period,
  CASE WHEN d.to_parent THEN organization_ref_on(s.parent_id, u.on_day) ->> 'code' ELSE unit_code(d.to_id) END AS recipient,
  u.data_from, u.data_to, u.due_on, d.entered_by, x.code AS stood_for_by, y.code AS stood_for_period
FROM report_duty d
  CROSS JOIN report_duty_units((SELECT path_report_duty(:duty)), :period) u
  JOIN organization o ON o.id = u.organization_id
  JOIN organization_span s ON s.organization_id = o.id AND s.validity @> u.on_day
  LEFT JOIN report_duty x ON x.id = u.by_duty
  LEFT JOIN period y ON y.id = u.by_period
WHERE d.id = (SELECT path_report_duty(:duty))
