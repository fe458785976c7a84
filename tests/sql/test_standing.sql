-- Where reports stand: what is late and on time at the edges of a day, the periods asked for, and which other duty's report stands for a period,
-- against report_stood_for() that makes the reports.
BEGIN;
SET client_min_messages = warning;
SELECT setseed(0.53) \g /dev/null
SELECT test_prepare($$UPDATE test_clock SET at = '2026-07-10 23:59:59+07'$$) \g /dev/null
SELECT test('standing: the deadline''s own day is in time', string_agg(report_late(s, '2026-07-10')::text, ' '), 'false false false false false false false false false')
FROM unnest(ARRAY['expected', 'draft', 'submitted', 'returned', 'received', 'approved', 'amending', 'waived', 'withdrawn']) s;
SELECT test_prepare($$UPDATE test_clock SET at = '2026-07-11 00:00:00+07'$$) \g /dev/null
SELECT test('standing: late is what was never sent or taken back', string_agg(s, ' ') FILTER (WHERE report_late(s, '2026-07-10')), 'expected draft')
FROM unnest(ARRAY['expected', 'draft', 'submitted', 'returned', 'received', 'approved', 'amending', 'waived', 'withdrawn']) s;
SELECT test('standing: nothing is late without a deadline', report_late('expected', NULL)::text, 'false');
SELECT test('standing: on time to the last second of the day in Hà Nội', concat_ws(' ', report_on_time('2026-07-10 16:59:59Z', '2026-07-10'),
  report_on_time('2026-07-10 17:00:00Z', '2026-07-10'), report_on_time('2026-07-10 17:00:00Z', NULL), coalesce(report_on_time(NULL, '2026-07-10')::text, 'null')), 't f t null');
SELECT test('standing: received is accepted, or sent where nobody accepts', string_agg(a || ':' || s, ' ' ORDER BY a, s) FILTER (WHERE report_received(s, a)),
  'approval:approved approval:received none:approved none:received none:submitted receipt:approved receipt:received')
FROM unnest(ARRAY['expected', 'draft', 'submitted', 'returned', 'received', 'approved', 'amending', 'waived', 'withdrawn']) s, unnest(ARRAY['receipt', 'approval', 'none']) a;

-- Four duties of wards, of which two, and one through another, stand for quarters; the kinds differ, and some units are named or excepted.
SELECT test_prepare($prepare$
CREATE FUNCTION pg_temp.duty(p_code text, p_kinds text[], p_cadence text) RETURNS uuid LANGUAGE plpgsql AS $f$
DECLARE new_id uuid := test_id();
BEGIN
  INSERT INTO report_duty (id, programme_id, root_id, scope_key, scope_id, code, title, under_id, kinds, to_id, acceptance, cadence, validity)
  SELECT new_id, p.id, u.id, '', u.id, p_code, p_code, u.id, p_kinds, t.id, 'receipt', p_cadence, daterange('2025-01-01', NULL)
  FROM programme p, organization u, organization t WHERE p.code = 'DN-464' AND u.code = 'DN-TU' AND t.code = 'DN-BTGDV';
  RETURN new_id;
END $f$;
DO $do$ BEGIN
PERFORM pg_temp.duty('QUY', '{directly_subordinate_party_committee,grassroots_party_organization}', 'quarter'),
  pg_temp.duty('6T', '{directly_subordinate_party_committee,party_cell}', 'half_year'),
  pg_temp.duty('NAM', '{directly_subordinate_party_committee,grassroots_party_organization,inspection_committee}', 'year'),
  pg_temp.duty('9T', '{directly_subordinate_party_committee}', 'nine_months');
INSERT INTO report_duty_stands_for SELECT a.id, b.id, p FROM (VALUES ('6T', 'QUY', '{Q2,Q4}'::text[]), ('NAM', '6T', '{S2}'), ('9T', 'QUY', '{Q3}')) x(a, b, p)
  JOIN report_duty a ON a.code = x.a JOIN report_duty b ON b.code = x.b;
INSERT INTO report_duty_organization SELECT d.id, o.id, e FROM (VALUES ('QUY', 'DN-W1', true), ('6T', 'DN-W2', true), ('9T', 'DN-VPTU', false), ('QUY', 'DN-VPTU', false),
  ('NAM', 'DN-W3-DB1', true)) x(d, o, e) JOIN report_duty d ON d.code = x.d JOIN organization o ON o.code = x.o;
-- Every unit has reports as the service makes them; a few that are stood for have one of their own all the same; some are withdrawn.
DELETE FROM report;
INSERT INTO report (id, duty_id, programme_id, organization_id, organization_code, scope_key, recipient_id, period_id, period_code, acceptance, entered_by, state)
SELECT test_id(), d.id, d.programme_id, o.id, o.code, o.scope_key, d.to_id, p.id, p.code, 'receipt', 'self', CASE WHEN random() < 0.1 THEN 'withdrawn' ELSE 'expected' END
FROM report_duty d JOIN period p ON p.kind = d.cadence AND p.programme_id IS NULL AND p.ends_on BETWEEN '2025-01-01' AND '2026-12-31'
  CROSS JOIN LATERAL report_duty_owes(d, p.ends_on) w JOIN organization o ON o.id = w.organization_id
WHERE d.code IN ('QUY', '6T', 'NAM', '9T') AND o.id <> d.to_id
  AND (d.code = 'QUY' AND random() < 0.1 OR o.id NOT IN (SELECT s.organization_id FROM report_stood_for(d, p) s));
CREATE TABLE pg_temp.wanted AS
  SELECT DISTINCT d.code AS duty, p.code AS period, r.id AS report
  FROM report_duty d JOIN period p ON p.kind = d.cadence AND p.programme_id IS NULL AND p.ends_on BETWEEN '2025-01-01' AND '2026-12-31'
    CROSS JOIN LATERAL report_stood_for(d, p) s JOIN report r ON r.duty_id = s.by_duty AND r.period_id = s.by_period AND r.organization_id = s.organization_id
  WHERE d.code IN ('QUY', '6T', 'NAM', '9T') AND r.state <> 'withdrawn' AND NOT EXISTS (SELECT FROM report x WHERE x.duty_id = d.id AND x.period_id = p.id
    AND x.organization_id = s.organization_id AND x.state <> 'withdrawn');
GRANT SELECT ON pg_temp.wanted TO tiendo_service;
END $do$;
$prepare$) \g /dev/null
CREATE FUNCTION pg_temp.found() RETURNS TABLE (duty text, period text, report uuid) LANGUAGE sql AS $$
  SELECT d.code::text, s.period_code, s.report_id FROM report_standing_in(ARRAY(SELECT x.id FROM report_duty x), ARRAY(SELECT p.id FROM period p)) s
    JOIN report_duty d ON d.id = s.duty_id $$;
SELECT test_enter('DN-TU', 'viewer', 'reports:read') \g /dev/null
SELECT test('standing: what stands for what, as it was made', concat_ws(' ', count(*) FILTER (WHERE w.report IS NULL), count(*) FILTER (WHERE f.report IS NULL), count(*) > 10,
  count(DISTINCT f.duty || right(f.period, 2)) > 3), '0 0 t t')
FROM (SELECT w.*, true AS made FROM pg_temp.wanted w) w FULL JOIN pg_temp.found() f USING (duty, period, report);
SELECT test('standing: a unit excepted from either duty is not stood for', count(*)::text, '0') FROM pg_temp.found() f JOIN report r ON r.id = f.report
WHERE (f.duty = 'QUY' AND r.organization_code = 'DN-W1') OR (r.organization_code = 'DN-W2' AND r.period_code LIKE '%-S1');
SELECT test_enter('DN-W3', 'viewer', 'reports:read') \g /dev/null
SELECT test('standing: each sees its own', concat_ws(' ', count(*) FILTER (WHERE o.scope_key ^@ me_seat_key()) = count(*), count(*) > 0), 't t')
FROM pg_temp.found() f JOIN report r ON r.id = f.report LEFT JOIN organization o ON o.id = r.organization_id;
SELECT test('standing: of reports out of sight nothing is told', cardinality(report_owing(ARRAY(SELECT w.report FROM pg_temp.wanted w), ARRAY(SELECT d.id FROM report_duty d WHERE d.code = 'QUY'), '2026-06-30'))::text,
  (SELECT count(DISTINCT r.id)::text FROM pg_temp.wanted w JOIN report r ON r.id = w.report CROSS JOIN report_duty d WHERE d.code = 'QUY'
    AND EXISTS (SELECT FROM report_duty_owes(d, '2026-06-30') x WHERE x.organization_id = r.organization_id)));

-- Periods asked for.
SELECT test('standing: the year we are in', string_agg(p.code, ' ' ORDER BY p.code), '2026-9M 2026-A1 2026-Q1 2026-Q2 2026-Q3 2026-Q4 2026-S1 2026-S2')
FROM period p WHERE p.id = ANY (filter_standing_periods(NULL, NULL, NULL, NULL)) AND p.kind NOT IN ('month', 'week', 'phase');
SELECT test('standing: all that is said holds', string_agg(p.code, ' ' ORDER BY p.code), '2026-Q2')
FROM period p WHERE p.id = ANY (filter_standing_periods('2026-Q2', '{2026-Q1,2026-Q2}', '2026-06-30', '2026-06-30'));
SELECT test('standing: nothing is left', cardinality(filter_standing_periods('2026-Q2', '{2026-Q1}', NULL, NULL))::text, '0');
SELECT test('standing: an unknown period is named', test_try($$SELECT filter_standing_periods(NULL, '{2026-Q1,2026-Q7}', NULL, NULL)$$), 'TD422 invalid period[in]:unknown_reference');
ROLLBACK;
