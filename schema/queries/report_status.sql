-- Where reports stand: the matrix of units and periods, and the rates.

-- A unit's cells are gathered as rows and written as JSON only for the units of the page. Own reports by period, those of one time
-- without a period, and other duties' reports that stand for a period of these where the unit has no report of its own.
-- name: report_status :list
-- id: u.organization_id
-- sort tree: u.scope_key
-- filter kind: coalesce((SELECT o.kind FROM organization o WHERE o.id = u.organization_id), report_unit(u.organization_id) ->> 'kind') = $
-- filter under: u.scope_key >= (SELECT filter_key($, 'under')) AND u.scope_key < (SELECT filter_key($, 'under') || '~')
SELECT u.organization_code AS organization,
  coalesce((SELECT o.name FROM organization o WHERE o.id = u.organization_id), report_unit(u.organization_id) ->> 'name') AS organization_name,
  coalesce((SELECT o.kind FROM organization o WHERE o.id = u.organization_id), report_unit(u.organization_id) ->> 'kind') AS kind,
  (SELECT json_agg(row_to_json(x)) FROM (
    SELECT c.duty_code AS duty, c.period_code AS period, c.state, report_late(c.state, c.due_on) AS late, c.due_on,
      tstz(c.submitted_at) AS submitted_at, report_on_time(c.first_submitted_at, c.due_on) AS on_time, c.report_id AS report, c.version, c.submissions,
      CASE WHEN c.by_duty IS NOT NULL THEN json_build_object('duty', (SELECT b.code FROM report_duty b WHERE b.id = c.by_duty), 'period', c.by_period, 'report', c.report_id) END AS stood_for_by,
      c.return_requested
    FROM unnest(u.cells) c ORDER BY c.duty_code COLLATE "C", c.ends_on, c.period_code) x) AS cells
FROM (
  SELECT c.scope_key, c.organization_id, min(c.organization_code) AS organization_code,
    array_agg(ROW(c.duty_code, c.period_code, c.ends_on, c.state, c.due_on, c.submitted_at, c.first_submitted_at, c.report_id, c.version, c.submissions,
      c.return_requested, c.by_duty, c.by_period)::report_cell) AS cells
  FROM (
    SELECT r.scope_key, r.organization_id, r.organization_code, a.duty_code, r.period_code, a.ends_on, r.state, r.due_on, r.submitted_at, r.first_submitted_at,
      r.id AS report_id, r.version, r.submissions, r.return_requested IS NOT NULL AS return_requested, NULL::uuid AS by_duty, NULL AS by_period
    FROM report_asked((SELECT filter_duty_list(:duty, 'duty')), (SELECT filter_standing_periods(:period, :period_in, :from, :to))) a
      CROSS JOIN LATERAL (SELECT x.* FROM report x WHERE x.duty_id = a.duty_id AND x.period_id = a.period_id AND x.state <> 'withdrawn'
        AND x.scope_key >= (SELECT report_lo()) AND x.scope_key < (SELECT report_hi()) OFFSET 0) r
    UNION ALL
    SELECT r.scope_key, r.organization_id, r.organization_code, d.code, NULL, r.due_on, r.state, r.due_on, r.submitted_at, r.first_submitted_at,
      r.id, r.version, r.submissions, r.return_requested IS NOT NULL, NULL, NULL
    FROM unnest((SELECT filter_duty_list(:duty, 'duty'))) a(duty_id) JOIN report_duty d ON d.id = a.duty_id
      CROSS JOIN LATERAL (SELECT x.* FROM report x WHERE x.duty_id = a.duty_id AND x.period_id IS NULL AND x.state <> 'withdrawn' AND x.scope_key >= (SELECT report_lo()) AND x.scope_key < (SELECT report_hi()) OFFSET 0) r
    WHERE :period::text IS NULL AND :period_in::text[] IS NULL AND coalesce(r.due_on >= :from::date, :from::date IS NULL) AND coalesce(r.due_on <= :to::date, :to::date IS NULL)
    UNION ALL
    SELECT r.scope_key, r.organization_id, r.organization_code, d.code, s.period_code, s.day, r.state, r.due_on, r.submitted_at, r.first_submitted_at,
      r.id, r.version, r.submissions, r.return_requested IS NOT NULL, r.duty_id, r.period_code
    FROM report_standing_in((SELECT filter_duty_list(:duty, 'duty')), (SELECT filter_standing_periods(:period, :period_in, :from, :to))) s
      JOIN report r ON r.id = s.report_id JOIN report_duty d ON d.id = s.duty_id
  ) c
  GROUP BY c.scope_key, c.organization_id
  HAVING (:state::text IS NULL AND :late::boolean IS NULL)
    OR bool_or((:state::text IS NULL OR c.state = :state) AND (:late::boolean IS NULL OR report_late(c.state, c.due_on) = :late::boolean))
) u
WHERE true

-- Every report owed is counted once, at its unit, its duty or its period, or all together.
-- name: report_rates :list
-- id: coalesce(u.key::text, '')
-- sort place asc: u.place
SELECT CASE WHEN u.by = 'unit' THEN u.organization_code END AS organization,
  CASE WHEN u.by = 'unit' THEN coalesce((SELECT o.name FROM organization o WHERE o.id = u.key), report_unit(u.key) ->> 'name') END AS organization_name,
  CASE WHEN u.by = 'unit' THEN coalesce((SELECT o.kind FROM organization o WHERE o.id = u.key), report_unit(u.key) ->> 'kind') END AS kind,
  CASE WHEN u.by = 'duty' THEN u.place END AS duty, CASE WHEN u.by = 'duty' THEN (SELECT d.title FROM report_duty d WHERE d.id = u.key) END AS duty_title,
  CASE WHEN u.by = 'period' THEN u.period_code END AS period,
  u.n - u.in_waived AS expected, u.received, u.received_on_time, percent(u.received, u.n - u.in_waived) AS completeness,
  percent(u.received_on_time, u.n - u.in_waived) AS timeliness, u.late, u.in_expected, u.in_draft, u.in_submitted, u.in_returned, u.in_received, u.in_approved,
  u.in_amending, u.in_waived
FROM (
  SELECT :by::text AS by, CASE :by WHEN 'unit' THEN r.organization_id WHEN 'duty' THEN r.duty_id WHEN 'period' THEN r.period_id END AS key,
    CASE :by WHEN 'unit' THEN r.scope_key WHEN 'duty' THEN r.duty_code WHEN 'period' THEN coalesce(r.ends_on || ' ' || r.period_code, '') ELSE '' END AS place,
    min(r.organization_code) AS organization_code, min(r.period_code) AS period_code, count(*) AS n,
    count(*) FILTER (WHERE report_received(r.state, r.acceptance)) AS received,
    count(*) FILTER (WHERE report_received(r.state, r.acceptance) AND report_on_time(r.first_submitted_at, r.due_on)) AS received_on_time,
    count(*) FILTER (WHERE report_late(r.state, r.due_on)) AS late, count(*) FILTER (WHERE r.state = 'expected') AS in_expected,
    count(*) FILTER (WHERE r.state = 'draft') AS in_draft, count(*) FILTER (WHERE r.state = 'submitted') AS in_submitted,
    count(*) FILTER (WHERE r.state = 'returned') AS in_returned, count(*) FILTER (WHERE r.state = 'received') AS in_received,
    count(*) FILTER (WHERE r.state = 'approved') AS in_approved, count(*) FILTER (WHERE r.state = 'amending') AS in_amending,
    count(*) FILTER (WHERE r.state = 'waived') AS in_waived
  FROM (
    SELECT r.organization_id, r.scope_key, r.organization_code, r.duty_id, a.duty_code, r.period_id, r.period_code, a.ends_on, r.state, r.acceptance, r.due_on, r.first_submitted_at
    FROM report_asked((SELECT filter_duty_list(:duty, 'duty', :programme)), (SELECT filter_standing_periods(:period, :period_in, :from, :to))) a
      CROSS JOIN LATERAL (SELECT x.* FROM report x WHERE x.duty_id = a.duty_id AND x.period_id = a.period_id AND x.state <> 'withdrawn' AND x.scope_key >= (SELECT report_lo()) AND x.scope_key < (SELECT report_hi())
        AND x.scope_key >= (SELECT filter_standing_key(:under)) AND x.scope_key < (SELECT filter_standing_key(:under) || '~') OFFSET 0) r
    UNION ALL
    SELECT r.organization_id, r.scope_key, r.organization_code, r.duty_id, d.code, NULL, NULL, NULL, r.state, r.acceptance, r.due_on, r.first_submitted_at
    FROM unnest((SELECT filter_duty_list(:duty, 'duty', :programme))) a(duty_id) JOIN report_duty d ON d.id = a.duty_id
      CROSS JOIN LATERAL (SELECT x.* FROM report x WHERE x.duty_id = a.duty_id AND x.period_id IS NULL AND x.state <> 'withdrawn' AND x.scope_key >= (SELECT report_lo()) AND x.scope_key < (SELECT report_hi())
        AND x.scope_key >= (SELECT filter_standing_key(:under)) AND x.scope_key < (SELECT filter_standing_key(:under) || '~') OFFSET 0) r
    WHERE :period::text IS NULL AND :period_in::text[] IS NULL AND coalesce(r.due_on >= :from::date, :from::date IS NULL) AND coalesce(r.due_on <= :to::date, :to::date IS NULL)
  ) r
  WHERE :due_on_lte::date IS NULL OR r.due_on <= :due_on_lte::date
  GROUP BY 2, 3
) u
WHERE true
