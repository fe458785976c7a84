-- Ninety-five wards' reports to the province's committee for one quarter, received: four sections of 1,500 characters each and eight
-- indicators of which each ward is assigned, entered and submitted its own figure; and the committee's own report, to be put together from them.
-- :period is the quarter's code.
\set ON_ERROR_STOP on
SET ROLE tiendo_owner;
SET search_path = tiendo, public;
BEGIN;
INSERT INTO indicator (id, programme_id, code, name, unit, kind, direction, aggregation, frequency)
SELECT ('01900000-0000-7000-8000-' || 210000000000 + n)::uuid, '01900000-0000-7000-8000-200000000000', 'BN-C' || n, 'Chỉ tiêu cấp phường ' || n,
  CASE WHEN n <= 5 THEN 'percent' ELSE 'lượt' END, CASE WHEN n <= 5 THEN 'ratio' ELSE 'number' END, 'increase',
  CASE WHEN n <= 5 THEN 'ratio_of_sums' WHEN n = 8 THEN 'average' ELSE 'sum' END, 'quarter'
FROM generate_series(1, 8) n;
INSERT INTO assignment (id, indicator_id, kind, under_id, mode, validity)
SELECT ('01900000-0000-7000-8000-' || 310000000000 + n)::uuid, ('01900000-0000-7000-8000-' || 210000000000 + n)::uuid,
  'directly_subordinate_party_committee', o.id, 'total', daterange('2020-01-01', NULL)
FROM generate_series(1, 8) n, organization o WHERE o.code = 'BN-TU';
INSERT INTO report_duty (id, programme_id, code, title, to_id, acceptance, cadence, validity)
SELECT ('01900000-0000-7000-8000-' || x.n)::uuid, '01900000-0000-7000-8000-200000000000', x.code, 'Báo cáo quý', o.id, 'receipt', 'quarter',
  daterange(p.starts_on, p.ends_on, '[]')
FROM (VALUES (220000000001, 'BN-BC-QUY', 'BN-TU'), (220000000002, 'BN-BC-TINH', 'BN-100096')) x(n, code, recipient)
  JOIN organization o ON o.code = x.recipient JOIN period p ON p.code = :'period';
INSERT INTO report_duty_organization
SELECT '01900000-0000-7000-8000-220000000001'::uuid, o.id, false FROM organization o WHERE o.kind = 'directly_subordinate_party_committee'
UNION ALL SELECT '01900000-0000-7000-8000-220000000002'::uuid, o.id, false FROM organization o WHERE o.code = 'BN-TU';
INSERT INTO report_duty_section
SELECT d.id, n, 'S' || n, 'Mục ' || n, true, 20000 FROM report_duty d, generate_series(1, 4) n WHERE d.code IN ('BN-BC-QUY', 'BN-BC-TINH');
INSERT INTO report_duty_indicator
SELECT d.id, ('01900000-0000-7000-8000-' || 210000000000 + n)::uuid, n FROM report_duty d, generate_series(1, 8) n WHERE d.code IN ('BN-BC-QUY', 'BN-BC-TINH');
INSERT INTO report (id, duty_id, programme_id, organization_id, organization_code, scope_key, recipient_id, period_id, period_code, state, acceptance, entered_by,
  due_on, first_due_on, submissions, shown, submitted_at, first_submitted_at, received_at)
SELECT ('01900000-0000-7000-8000-' || 230000000000 + row_number() OVER (ORDER BY d.code, o.scope_key))::uuid, d.id, d.programme_id, o.id, o.code, o.scope_key, d.to_id,
  p.id, p.code, x.state, 'receipt', 'self', p.ends_on, p.ends_on, x.n, nullif(x.n, 0), x.at, x.at, x.at
FROM report_duty d JOIN report_duty_organization u ON u.duty_id = d.id JOIN organization o ON o.id = u.organization_id JOIN period p ON p.code = :'period',
  LATERAL (SELECT CASE d.code WHEN 'BN-BC-QUY' THEN 'received' ELSE 'expected' END, CASE d.code WHEN 'BN-BC-QUY' THEN 1 ELSE 0 END,
    CASE d.code WHEN 'BN-BC-QUY' THEN clock_now() END) x(state, n, at)
WHERE d.code IN ('BN-BC-QUY', 'BN-BC-TINH')
ON CONFLICT (duty_id, organization_id, period_id) DO UPDATE SET state = excluded.state, submissions = excluded.submissions, shown = excluded.shown,
  submitted_at = excluded.submitted_at, first_submitted_at = excluded.first_submitted_at, received_at = excluded.received_at;
INSERT INTO report_version (report_id, n, submitted_at, on_time, sections, on_behalf, seat_id, accepted_at, accepted_as)
SELECT r.id, 1, clock_now(), true, (SELECT jsonb_agg(jsonb_build_object('code', 'S' || n, 'title', 'Mục ' || n, 'required', true, 'max_length', 20000,
    'text', rpad(r.organization_code || ' mục ' || n, 1500, ' đã tổ chức hội nghị quán triệt, tuyên truyền'), 'gathered', '[]'::jsonb) ORDER BY n)
  FROM generate_series(1, 4) n), false, r.organization_id, clock_now(), 'received'
FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = 'BN-BC-QUY';
INSERT INTO report_figure (report_id, n, position, indicator_id, period_id, category, indicator_code, indicator_name, unit, kind, period_code, state, numerator,
  denominator, number, revision)
SELECT r.id, 1, x.position, i.id, r.period_id, '', i.code, i.name, i.unit, i.kind, r.period_code, 'reported', CASE i.kind WHEN 'ratio' THEN x.position * 7 END,
  CASE i.kind WHEN 'ratio' THEN 100 END, CASE i.kind WHEN 'number' THEN 1000 + x.position END, 1
FROM report r JOIN report_duty d ON d.id = r.duty_id JOIN report_duty_indicator x ON x.duty_id = d.id JOIN indicator i ON i.id = x.indicator_id
WHERE d.code = 'BN-BC-QUY';
COMMIT;
RESET ROLE;
ANALYZE report, report_version, report_figure, report_duty_section, assignment_unit;
