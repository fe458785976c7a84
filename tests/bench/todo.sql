-- What people open with. The ward BN-100001: twelve open reports (three late, two returned, each reminded of twice), two indicators that it
-- enters for its twenty cells and two of its own, none entered. The agency BN-100098, beside the line: ninety-five reports submitted to it.
-- And the other wards have as many, so that nobody reads an empty table.
\set ON_ERROR_STOP on
SET ROLE tiendo_owner;
SET search_path = tiendo, public;
BEGIN;
INSERT INTO indicator (id, programme_id, code, name, unit, kind, direction, aggregation, frequency)
SELECT ('01900000-0000-7000-8000-' || 240000000000 + n)::uuid, '01900000-0000-7000-8000-200000000000', 'BN-W' || n, 'Chỉ tiêu phải nhập ' || n, 'lượt',
  'number', 'increase', 'sum', 'quarter'
FROM generate_series(1, 4) n;
INSERT INTO assignment (id, indicator_id, kind, under_id, mode, entered_by, validity)
SELECT ('01900000-0000-7000-8000-' || 340000000000 + n)::uuid, ('01900000-0000-7000-8000-' || 240000000000 + n)::uuid,
  CASE WHEN n <= 2 THEN 'directly_subordinate_party_committee' ELSE 'party_cell' END, o.id, 'own', CASE WHEN n <= 2 THEN 'self' ELSE 'superior' END,
  daterange('2020-01-01', NULL)
FROM generate_series(1, 4) n, organization o WHERE o.code = 'BN-TU';
INSERT INTO report_duty (id, programme_id, code, title, to_id, acceptance, cadence, due_on, validity)
SELECT ('01900000-0000-7000-8000-' || 250000000000 + n)::uuid, '01900000-0000-7000-8000-200000000000', 'BN-BC-' || n, 'Báo cáo chuyên đề ' || n, o.id, 'approval',
  'once', today() + CASE WHEN n <= 3 THEN -n ELSE n END, daterange('2020-01-01', NULL)
FROM generate_series(1, 13) n, organization o WHERE o.code = 'BN-100098';
INSERT INTO report_duty_organization
SELECT d.id, o.id, false FROM report_duty d, organization o WHERE d.code ~ '^BN-BC-\d+$' AND o.kind = 'directly_subordinate_party_committee';
INSERT INTO report (id, duty_id, programme_id, organization_id, organization_code, scope_key, recipient_id, state, acceptance, entered_by, due_on, first_due_on,
  submissions, shown, submitted_at, first_submitted_at, returned_at)
SELECT uuid_v7(), d.id, d.programme_id, o.id, o.code, o.scope_key, d.to_id, x.state, 'approval', 'self', d.due_on, d.due_on, x.n, nullif(x.n, 0), x.at, x.at,
  CASE x.state WHEN 'returned' THEN x.at END
FROM report_duty d JOIN report_duty_organization u ON u.duty_id = d.id JOIN organization o ON o.id = u.organization_id,
  LATERAL (SELECT CASE WHEN d.code = 'BN-BC-13' THEN 'submitted' WHEN d.code IN ('BN-BC-1', 'BN-BC-2') THEN 'returned' ELSE 'expected' END,
    CASE WHEN d.code IN ('BN-BC-13', 'BN-BC-1', 'BN-BC-2') THEN 1 ELSE 0 END,
    CASE WHEN d.code IN ('BN-BC-13', 'BN-BC-1', 'BN-BC-2') THEN clock_now() END) x(state, n, at)
WHERE d.code ~ '^BN-BC-\d+$'
ON CONFLICT (duty_id, organization_id, period_id) DO UPDATE SET state = excluded.state, submissions = excluded.submissions, shown = excluded.shown,
  submitted_at = excluded.submitted_at, first_submitted_at = excluded.first_submitted_at, returned_at = excluded.returned_at;
INSERT INTO report_version (report_id, n, submitted_at, on_time, sections, on_behalf, seat_id)
SELECT r.id, 1, clock_now(), true, '[]', false, r.organization_id FROM report r JOIN report_duty d ON d.id = r.duty_id
WHERE d.code ~ '^BN-BC-\d+$' AND r.submissions = 1;
INSERT INTO report_event (report_id, seq, action, from_state, to_state, n, reason)
SELECT r.id, 1, 'return', 'submitted', 'returned', 1, 'Số liệu chưa khớp' FROM report r JOIN report_duty d ON d.id = r.duty_id
WHERE d.code ~ '^BN-BC-\d+$' AND r.state = 'returned';
INSERT INTO reminder (id, report_id, duty_id, programme_id, organization_id, organization_code, scope_key, kind, to_id, to_code, days, due_on)
SELECT uuid_v7(), r.id, r.duty_id, r.programme_id, r.organization_id, r.organization_code, r.scope_key, 'before', r.organization_id, r.organization_code, n, r.due_on
FROM report r JOIN report_duty d ON d.id = r.duty_id, generate_series(30, 31) n WHERE d.code ~ '^BN-BC-\d+$' AND report_open(r.state);
COMMIT;
RESET ROLE;
ANALYZE report, report_version, report_event, reminder, assignment_unit, indicator;
