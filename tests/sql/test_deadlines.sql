-- Working days, what a report's data run from and to, when it is due, who owes it, and what stands for what.
CREATE FUNCTION pg_temp.due(cadence text, code text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', r.data_from, r.data_to, r.due_on) FROM tiendo.period p, tiendo.report_dates(jsonb_populate_record(NULL::tiendo.report_duty,
    '{"cut_off_rule":"decree_09_2019","cut_off_day":14,"deadline_days":2,"deadline_kind":"working"}' || $3 || jsonb_build_object('cadence', $1)),
    p.starts_on, p.ends_on, p.kind) r WHERE p.code = $2 $$;
CREATE FUNCTION pg_temp.make(body jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT test_try(format('SELECT report_duty_create(test_id(), %L, NULL)',
    '{"title":"Báo cáo","programme":"DN-464","acceptance":"receipt","valid_from":"2025-07-01","to":"DN-BTGDV"}' || body)) $$;
CREATE FUNCTION pg_temp.owes(code text, day date) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(o.code, ' ' ORDER BY o.code) FROM tiendo.report_duty x, tiendo.report_duty_owes(x, $2) w JOIN tiendo.organization o ON o.id = w.organization_id
  WHERE x.code = $1 $$;
BEGIN;
SELECT test_enter('DN-TU', 'manager', 'duties:write') \g /dev/null
-- the calendar
SELECT test('a day off: Saturday, Sunday, a holiday', concat_ws(' ', working_day(NULL, '2026-09-12'), working_day(NULL, '2026-09-13'), working_day(NULL, '2026-09-02'), working_day(NULL, '2026-09-03')), 'f f f t');
SELECT test('a Saturday worked in exchange', concat_ws(' ', working_day(NULL, '2026-08-22'), working_day(NULL, '2026-08-31')), 't f');
SELECT test('two working days over Tết 2026', add_working_days(NULL, '2026-02-13', 2)::text, '2026-02-24');
SELECT test('two working days over 2 September 2026: the exchange counts', add_working_days(NULL, '2026-08-28', 2)::text, '2026-09-04');
SELECT test('one working day before a Saturday that is worked', add_working_days(NULL, '2026-08-21', 1)::text, '2026-08-22');
SELECT test('no days: the day itself, or the next that is worked', concat_ws(' ', add_working_days(NULL, '2026-09-14', 0), add_working_days(NULL, '2026-02-14', 0)), '2026-09-14 2026-02-23');
SELECT test('a year of working days', add_working_days(NULL, '2026-01-01', 248)::text, (SELECT day::date::text FROM
  (SELECT day, count(*) FILTER (WHERE working_day(NULL, day::date)) OVER (ORDER BY day) AS n FROM generate_series('2026-01-02'::timestamp, '2027-03-01', '1 day') day) x WHERE n = 248 ORDER BY day LIMIT 1));
-- Decree 09/2019/NĐ-CP, article 12
SELECT test('a month: from the 15th to the 14th', pg_temp.due('month', '2026-M09'), '2026-08-15 2026-09-14 2026-09-16');
SELECT test('the first quarter', pg_temp.due('quarter', '2026-Q1'), '2025-12-15 2026-03-14 2026-03-17');
SELECT test('half a year', pg_temp.due('half_year', '2026-S1'), '2025-12-15 2026-06-14 2026-06-16');
SELECT test('nine months', pg_temp.due('nine_months', '2026-9M'), '2025-12-15 2026-09-14 2026-09-16');
SELECT test('the year', pg_temp.due('year', '2026-A1'), '2025-12-15 2026-12-14 2026-12-16');
SELECT test('a week is taken whole', pg_temp.due('week', '2026-W05'), '2026-01-26 2026-02-01 2026-02-03');
SELECT test('another day of the month', pg_temp.due('month', '2026-M03', '{"cut_off_day":20}'), '2026-02-21 2026-03-20 2026-03-24');
SELECT test('to the end of the period', pg_temp.due('quarter', '2026-Q3', '{"cut_off_rule":"period_end","deadline_days":5}'), '2026-07-01 2026-09-30 2026-10-07');
SELECT test('calendar days', pg_temp.due('month', '2026-M09', '{"deadline_kind":"calendar","deadline_days":3}'), '2026-08-15 2026-09-14 2026-09-17');
SELECT test('calendar days that end on a day off: the next working day', pg_temp.due('month', '2026-M09', '{"deadline_kind":"calendar","deadline_days":5}'), '2026-08-15 2026-09-14 2026-09-21');
SELECT test('no days: never before the data are in', pg_temp.due('month', '2026-M03', '{"deadline_days":0}'), '2026-02-15 2026-03-14 2026-03-16');
SELECT test('once: the day decided, be it a Sunday', pg_temp.due('once', '2026-A1', '{"due_on":"2026-12-20"}'), '2025-12-15 2026-12-14 2026-12-20');
SELECT test('once, without a period or a day: none yet', concat_ws(' ', 'none', r.data_from, r.data_to, r.due_on), 'none') FROM report_dates(jsonb_populate_record(NULL::report_duty,
  '{"cadence":"once","cut_off_rule":"decree_09_2019","cut_off_day":14,"deadline_days":2,"deadline_kind":"working"}'), NULL, NULL, NULL) r;
-- a root's own calendar goes before the country's, and is its own
SELECT test('own day off', test_try($$SELECT holiday_put('2026-09-15', '{"name":"Ngày truyền thống"}', NULL, '*', test_id(), NULL)$$), 'ok');
SELECT test('own day off: it counts', add_working_days(me_root(), '2026-09-14', 1)::text, '2026-09-16');
SELECT test('own day off: for nobody else', add_working_days(NULL, '2026-09-14', 1)::text, '2026-09-15');
SELECT test('own day worked', test_try($$SELECT holiday_put('2026-09-02', '{"name":"Trực","working":true}', NULL, '*', test_id(), NULL)$$), 'ok');
SELECT test('own day worked: against the country''s', concat_ws(' ', working_day(me_root(), '2026-09-02'), working_day(NULL, '2026-09-02')), 't f');
SELECT holiday_delete('2026-09-02', '*', NULL) \g /dev/null
SELECT test('taken away: the country''s holds again', working_day(me_root(), '2026-09-02')::text, 'false');
-- who owes it
SELECT test('by kind', pg_temp.make('{"code":"QUY","cadence":"quarter","from":{"under":"DN-TU","kinds":["directly_subordinate_party_committee","advisory_support_agency"]}}'), 'ok');
SELECT test('by kind: not whom it is addressed to', pg_temp.owes('QUY', '2026-09-30'), 'DN-VPTU DN-W1 DN-W2 DN-W3 DN-W4');
SELECT test('by kind: not before it holds', pg_temp.owes('QUY', '2025-06-30'), NULL);
SELECT test('excepted and named', pg_temp.make('{"code":"NEU","cadence":"quarter","from":{"under":"DN-TU","kinds":["directly_subordinate_party_committee"],"organizations":["DN-MTTQ","DN-VPTU"],"except":["DN-W2"]}}'), 'ok');
SELECT test('excepted and named: the attached where named', pg_temp.owes('NEU', '2026-09-30'), 'DN-MTTQ DN-VPTU DN-W1 DN-W3 DN-W4');
SELECT test('of any kind', pg_temp.make('{"code":"MOI","cadence":"year","from":{"under":"DN-TU"}}'), 'ok');
SELECT test('of any kind: not the attached, nor the unit itself', concat_ws(' ', position('DN-MTTQ' IN x), position('DN-TU' IN x), array_length(string_to_array(x, ' '), 1)), '0 0 ' || (SELECT count(*) - 3 FROM organization)) FROM pg_temp.owes('MOI', '2026-12-31') x;
SELECT test('attached by kind', pg_temp.make('{"code":"MT","cadence":"year","from":{"under":"DN-TU","kinds":["fatherland_front_committee"]}}'), 'ok');
SELECT test('attached by kind: it owes', pg_temp.owes('MT', '2026-12-31'), 'DN-MTTQ');
SELECT test('to the parent', pg_temp.make('{"code":"CB","cadence":"month","from":{"under":"DN-W1","kinds":["party_cell"]},"to":null,"to_parent":true}'), 'ok');
SELECT test('to the parent: the cells of one ward', array_length(string_to_array(pg_temp.owes('CB', '2026-09-30'), ' '), 1)::text, '20');
-- decisions of other days
SELECT test_enter('DN-TU', 'manager', 'reorganizations:write') \g /dev/null
SELECT reorganization_create(test_id(), '{"decision":"9-QĐ/TU","effective_on":"2026-10-15","steps":[{"kind":"establish","code":"DN-W9","name":"Đảng ủy phường Chín","unit_kind":"directly_subordinate_party_committee","parent":"DN-TU"},
  {"kind":"merge","organizations":["DN-W3"],"into":"DN-W9"}]}', false, NULL) \g /dev/null
SELECT test_enter('DN-TU', 'manager', 'duties:write') \g /dev/null
SELECT test('a decision to come: not yet', pg_temp.owes('QUY', '2026-09-30'), 'DN-VPTU DN-W1 DN-W2 DN-W3 DN-W4');
SELECT test('a decision to come: from its day on', pg_temp.owes('QUY', '2026-12-31'), 'DN-VPTU DN-W1 DN-W2 DN-W4 DN-W9');
-- what stands for what
SELECT test('the half-year stands for Q2', pg_temp.make('{"code":"6T","cadence":"half_year","from":{"under":"DN-TU","kinds":["directly_subordinate_party_committee"]},"stands_for":[{"duty":"QUY","periods":["Q2"]}]}'), 'ok');
SELECT test('the year stands for S2, too', pg_temp.make('{"code":"NAM","cadence":"year","from":{"under":"DN-TU","kinds":["directly_subordinate_party_committee"],"except":["DN-W1"]},"stands_for":[{"duty":"6T","periods":["S2"]}]}'), 'ok');
CREATE FUNCTION pg_temp.stood(code text, p_code text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(o.code || ' ' || b.code || ' ' || y.code, ', ' ORDER BY o.code) FROM tiendo.report_duty x, tiendo.period p, tiendo.report_stood_for(x, p) s
    JOIN tiendo.organization o ON o.id = s.organization_id JOIN tiendo.report_duty b ON b.id = s.by_duty JOIN tiendo.period y ON y.id = s.by_period
  WHERE x.code = $1 AND p.code = $2 $$;
SELECT test('stood for: who owes both', pg_temp.stood('QUY', '2026-Q2'), 'DN-W1 6T 2026-S1, DN-W2 6T 2026-S1, DN-W3 6T 2026-S1, DN-W4 6T 2026-S1');
SELECT test('stood for: not in other quarters', pg_temp.stood('QUY', '2026-Q3'), NULL);
SELECT test('stood for: a chain ends with the last', (report_duty_update('6T', '{"stands_for":[{"duty":"QUY","periods":["Q2","Q4"]}]}', '*', NULL)).status || ' ' || pg_temp.stood('QUY', '2026-Q4'),
  '200 DN-W1 6T 2026-S2, DN-W2 NAM 2026-A1, DN-W4 NAM 2026-A1, DN-W9 NAM 2026-A1');
SELECT test('stands for: all of it', (SELECT string_agg(x.code || ' ' || y.code, ', ' ORDER BY x.code) FROM report_stands_for((SELECT a FROM report_duty a WHERE a.code = 'NAM'), (SELECT p FROM period p WHERE p.code = '2026-A1'), organization_id('DN-W2')) s
  JOIN report_duty x ON x.id = s.duty_id JOIN period y ON y.id = s.period_id), '6T 2026-S2, QUY 2026-Q4');
SELECT test('beside one that excepts a ward', pg_temp.make('{"code":"6N","cadence":"half_year","from":{"under":"DN-TU","kinds":["directly_subordinate_party_committee"]},"stands_for":[{"duty":"NEU","periods":["Q2"]}]}'), 'ok');
SELECT test('stands for: nothing where the unit does not owe the other', (SELECT string_agg(w || ' ' || (SELECT count(*) FROM report_stands_for((SELECT a FROM report_duty a WHERE a.code = '6N'),
  (SELECT p FROM period p WHERE p.code = '2026-S1'), organization_id(w)) s), ', ') FROM unnest('{DN-W1,DN-W2}'::text[]) w), 'DN-W1 1, DN-W2 0');
SELECT test('no circle', test_try($$SELECT report_duty_update('QUY', '{"stands_for":[{"duty":"NAM","periods":["A1"]}]}', '*', NULL)$$), 'TD422 invalid #/stands_for:cycle,#/stands_for:wrong_period_kind');
SELECT test('the same recipient', test_try($$SELECT report_duty_update('QUY', '{"to":"DN-VPTU"}', '*', NULL)$$), 'TD422 invalid #/stands_for:other_recipient');
SELECT test('a part that ends together', test_try($$SELECT report_duty_update('6T', '{"stands_for":[{"duty":"QUY","periods":["Q3"]}]}', '*', NULL)$$), 'TD422 invalid #/stands_for:wrong_period_kind');
-- who defines
SELECT test_enter('DN-W1', 'manager', 'duties:write') \g /dev/null
SELECT test('a ward''s manager: over its own', pg_temp.make('{"code":"W1","cadence":"month","to":"DN-W1","from":{"under":"DN-W1","kinds":["party_cell"]}}'), 'ok');
SELECT test('a ward''s manager: not over the province', test_try($$SELECT report_duty_update('QUY', '{"title":"Khác"}', '*', NULL)$$), 'TD403 forbidden');
SELECT test('a ward''s manager: sees what holds for it', (SELECT string_agg(code, ' ' ORDER BY code) FROM report_duty), '6N 6T CB MOI MT NAM NEU QUY W1');
SELECT test('a ward''s manager: no calendar', test_try($$SELECT holiday_put('2026-09-16', '{"name":"Nghỉ"}', NULL, '*', test_id(), NULL)$$), 'TD403 forbidden');
SELECT test_enter('DN-W2', 'viewer', 'duties:read') \g /dev/null
SELECT test('another ward: not that one''s own', (SELECT string_agg(code, ' ' ORDER BY code) FROM report_duty), '6N 6T MOI MT NAM NEU QUY');
SELECT test('another ward: it alone of those that owe', pg_temp.owes('QUY', '2026-09-30'), 'DN-W2');
ROLLBACK;
