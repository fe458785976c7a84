-- A year of monthly reports of the 95 wards, and one of all units below the province, each in a state of its own: for the matrix and the rates.
\set ON_ERROR_STOP on
SET ROLE tiendo_owner;
SET search_path = tiendo, public;
BEGIN;
INSERT INTO report_duty (id, programme_id, code, title, under_id, kinds, to_id, acceptance, cadence, validity)
SELECT ('01900000-0000-7000-8000-' || x.n)::uuid, '01900000-0000-7000-8000-200000000000', x.code, 'Báo cáo tháng', o.id, x.kinds, r.id, 'receipt', 'month',
  daterange('2025-01-01', '2026-01-01')
FROM (VALUES (240000000001, 'BN-BC-PHUONG', '{directly_subordinate_party_committee}'::text[]), (240000000002, 'BN-BC-DONVI', NULL)) x(n, code, kinds)
  JOIN organization o ON o.code = 'BN-TU' JOIN organization r ON r.code = 'BN-TU';
INSERT INTO report (id, duty_id, programme_id, organization_id, organization_code, scope_key, recipient_id, period_id, period_code, state, acceptance, entered_by,
  due_on, first_due_on, submissions, shown, submitted_at, first_submitted_at, received_at, waived_reason)
SELECT ('01900000-0000-7000-8000-' || 250000000000 + row_number() OVER (ORDER BY d.code, p.code, o.scope_key))::uuid, d.id, d.programme_id, o.id, o.code, o.scope_key,
  d.to_id, p.id, p.code, x.state, 'receipt', 'self', p.ends_on + 3, p.ends_on + 3, y.n, nullif(y.n, 0), y.at, y.at, CASE x.state WHEN 'received' THEN y.at END,
  CASE x.state WHEN 'waived' THEN 'Được miễn' END
FROM report_duty d JOIN period p ON p.kind = 'month' AND p.ends_on BETWEEN '2025-01-01' AND '2025-12-31' CROSS JOIN LATERAL report_duty_owes(d, p.ends_on) w
  JOIN organization o ON o.id = w.organization_id
  CROSS JOIN LATERAL (SELECT (ARRAY['received', 'received', 'received', 'submitted', 'draft', 'returned', 'expected', 'waived'])
    [1 + abs(hashtext(o.code || p.code)) % 8]) x(state)
  CROSS JOIN LATERAL (SELECT CASE WHEN x.state IN ('received', 'submitted', 'returned') THEN 1 ELSE 0 END,
    CASE WHEN x.state IN ('received', 'submitted', 'returned') THEN (p.ends_on + abs(hashtext(p.code || o.code)) % 5)::timestamptz END) y(n, at)
WHERE d.code IN ('BN-BC-PHUONG', 'BN-BC-DONVI')
ON CONFLICT (duty_id, organization_id, period_id) DO UPDATE SET state = excluded.state, due_on = excluded.due_on, submissions = excluded.submissions,
  shown = excluded.shown, submitted_at = excluded.submitted_at, first_submitted_at = excluded.first_submitted_at, received_at = excluded.received_at,
  waived_reason = excluded.waived_reason;
COMMIT;
ANALYZE report;
