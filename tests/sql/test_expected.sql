-- Reports made ahead, on 10 July 2026: of whom, for which periods, to whom and until when; the service's role makes none by itself.
BEGIN;
SET client_min_messages = warning;
SELECT test_enter('DN-TU', 'manager', 'duties:write') \g /dev/null
CREATE FUNCTION pg_temp.duty(code text, more jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT c.status::text FROM report_duty_create(test_id(), jsonb_build_object('code', code, 'title', code, 'programme', 'DN-464', 'acceptance', 'receipt',
    'cadence', 'quarter', 'valid_from', '2026-01-01') || more, NULL) c $$;
CREATE FUNCTION pg_temp.periods(p_code text, unit text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(r.period_code, ' ' ORDER BY r.data_to) FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = p_code AND r.organization_code = unit $$;

SELECT test('expected: a duty of the wards', pg_temp.duty('X-WARDS', '{"from":{"under":"DN-TU","kinds":["directly_subordinate_party_committee"]},"to":"DN-BTGDV"}'), '201');
SELECT test('expected: what has begun or begins within 45 days', concat_ws(' ', count(*), count(DISTINCT r.organization_id), pg_temp.periods('X-WARDS', 'DN-W1'), min(r.state), max(r.state)),
  '12 4 2026-Q1 2026-Q2 2026-Q3 expected expected') FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = 'X-WARDS';
SELECT test('expected: data by Decree 09/2019', concat_ws(' ', r.data_from, r.data_to, r.first_due_on = r.due_on), '2026-03-15 2026-06-14 t')
  FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = 'X-WARDS' AND r.organization_code = 'DN-W1' AND r.period_code = '2026-Q2';
-- (the day is another than that of the installation: all duties are looked at once)
SELECT report_expect(), report_expect(), report_expect() \g /dev/null
SELECT test('expected: nothing is left to do', concat_ws(' ', report_expect(), (SELECT max(r.version) FROM report r)), '0 1');

SELECT test('expected: to the parent', pg_temp.duty('X-LINE', '{"from":{"under":"DN-TU","kinds":["party_cell"]},"to_parent":true,"cadence":"half_year"}'), '201');
SELECT test('expected: each to its own', concat_ws(' ', count(*), count(*) FILTER (WHERE r.recipient_id = o.parent_id)), '160 160')
  FROM report r JOIN report_duty d ON d.id = r.duty_id JOIN organization o ON o.id = r.organization_id WHERE d.code = 'X-LINE';
SELECT test('expected: bodies that are attached where they are named', concat_ws(' ', pg_temp.duty('X-ALL', '{"from":{"under":"DN-TU"},"to":"DN-BTGDV","valid_from":"2026-07-01","valid_to":"2026-09-30"}'),
  pg_temp.duty('X-FRONT', '{"from":{"organizations":["DN-MTTQ"]},"to":"DN-BTGDV"}')), '201 201');
SELECT test('expected: and only there', concat_ws(' ', pg_temp.periods('X-ALL', 'DN-MTTQ'), pg_temp.periods('X-ALL', 'DN-BTGDV'), pg_temp.periods('X-ALL', 'DN-VPTU'), pg_temp.periods('X-FRONT', 'DN-MTTQ')),
  '2026-Q3 2026-Q1 2026-Q2 2026-Q3');
SELECT test('expected: of one time alone, without a deadline yet', pg_temp.duty('X-ONCE', '{"from":{"organizations":["DN-W1"]},"to":"DN-BTGDV","cadence":"once"}'), '201');
SELECT test('expected: once', concat_ws(' ', count(*), count(r.period_id), count(r.due_on)), '1 0 0') FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = 'X-ONCE';

-- A ward that goes on in another one from September on, to come back in the end.
SELECT test_reorganize('2026-09-01', '[{"kind":"merge","organizations":["DN-W2"],"into":"DN-W1"}]') \g /dev/null
SELECT test_enter('DN-TU', 'viewer', 'reports:read') \g /dev/null
SELECT test('expected: later periods go when it is decided', concat_ws(', ', pg_temp.periods('X-WARDS', 'DN-W2'), pg_temp.periods('X-WARDS', 'DN-W1')), '2026-Q1 2026-Q2, 2026-Q1 2026-Q2 2026-Q3');
SELECT test('expected: and what was below it goes to the other from then on', string_agg(DISTINCT concat_ws(' ', r.period_code, q.code), ', '), '2026-S1 DN-W2-DB1, 2026-S2 DN-W2-DB1')
  FROM report r JOIN report_duty d ON d.id = r.duty_id JOIN organization q ON q.id = r.recipient_id WHERE d.code = 'X-LINE' AND r.organization_code = 'DN-W2-CB02';

SELECT test('expected: the service makes none by itself', test_try($$INSERT INTO report SELECT * FROM report LIMIT 1$$), '42501 permission denied for table report');
SELECT test('expected: nor marks what is to be made', test_try($$DELETE FROM report_mark$$), '42501 permission denied for table report_mark');
SELECT test('expected: nor sees to it out of turn', test_try($$SELECT report_settle_duty(NULL, NULL, NULL, NULL)$$), '42501 permission denied for function report_settle_duty');
ROLLBACK;
