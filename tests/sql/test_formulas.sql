-- The formulas, case by case.
SELECT test('achievement: from a baseline', achievement('increase', 60, 20, 100)::numeric(9, 4)::text, '0.5000');
SELECT test('achievement: downwards from a baseline', achievement('decrease', 6, 10, 2)::numeric(9, 4)::text, '0.5000');
SELECT test('achievement: without a baseline, to increase', achievement('increase', 73, NULL, 100)::numeric(9, 4)::text, '0.7300');
SELECT test('achievement: without a baseline, to decrease', achievement('decrease', 20, NULL, 10)::numeric(9, 4)::text, '0.5000');
SELECT test('achievement: nowhere to go', achievement('increase', 5, 10, 10)::text, NULL);
SELECT test('achievement: nothing to divide by', achievement('decrease', 0, NULL, 10)::text, NULL);
SELECT test('range: below', range_distance(1, 3, 5)::text, '2');
SELECT test('range: within', range_distance(4, 3, 5)::text, '0');
SELECT test('range: above', range_distance(9, 3, 5)::text, '4');
SELECT test('met: ge at the figure', target_met('ge', 'ratio', 70, 70, NULL)::text, 'true');
SELECT test('met: ge below', target_met('ge', 'ratio', 69.9999999, 70, NULL)::text, 'false');
SELECT test('met: le', target_met('le', 'number', 3, 3, NULL)::text, 'true');
SELECT test('met: a rank by le', target_met('le', 'rank', 10, 10, NULL)::text, 'true');
SELECT test('met: a worse rank', target_met('rank', 'rank', 11, 10, NULL)::text, 'false');
SELECT test('met: range', target_met('range', 'number', 4, 3, 5)::text, 'true');
SELECT test('elapsed: half', elapsed('2026-01-01', '2026-01-11', '2026-01-06')::numeric(9, 4)::text, '0.5000');
SELECT test('elapsed: after the due date', elapsed('2026-01-01', '2026-01-11', '2027-01-06')::text, '1');
SELECT test('elapsed: before the start', elapsed('2026-01-01', '2026-01-11', '2025-01-06')::text, NULL);
SELECT test('elapsed: no start', elapsed(NULL, '2026-01-11', '2025-01-06')::text, NULL);
SELECT test('elapsed: no due date', elapsed('2026-01-01', NULL, '2026-06-06')::text, NULL);
SELECT test('required: from a baseline', required_path('increase', 20, 100, 0.5)::numeric(9, 2)::text, '60.00');
SELECT test('required: downwards', required_path('decrease', 10, 2, 0.5)::numeric(9, 2)::text, '6.00');
SELECT test('required: without a baseline', required_path('increase', NULL, 100, 0.25)::numeric(9, 2)::text, '25.00');
SELECT test('deteriorating: two points', deteriorating('increase', true, 48, 50, 100)::text, 'true');
SELECT test('deteriorating: less than two points', deteriorating('increase', true, 48.1, 50, 100)::text, 'false');
SELECT test('deteriorating: downwards', deteriorating('decrease', true, 52, 50, 10)::text, 'true');
SELECT test('deteriorating: two hundredths of the target', deteriorating('increase', false, 800, 1000, 10000)::text, 'true');
SELECT test('status: ' || name, progress_status(stepwise, maintain, target, reporting, met, due, '2026-06-30', today, worse, pace), wanted)
FROM (VALUES
  ('no data', false, false, true, false, NULL, date '2028-12-31', date '2026-07-10', false, NULL::numeric, 'no_data'),
  ('no target', false, false, false, true, NULL, NULL, '2026-07-10', false, NULL, 'not_assessable'),
  ('achieved before the due date', false, false, true, true, true, '2028-12-31', '2026-07-10', false, 2, 'achieved'),
  ('achieved after the due date', false, false, true, true, true, '2025-12-31', '2026-07-10', false, 2, 'achieved'),
  ('missed', false, false, true, true, false, '2025-12-31', '2026-07-10', false, 0.99, 'missed'),
  ('missed at the end of the last period', false, false, true, true, false, '2026-06-30', '2026-07-10', false, 0.99, 'missed'),
  ('not missed on the due date', false, false, true, true, false, '2026-06-30', '2026-06-30', false, 0.99, 'on_track'),
  ('on track from 0.95', false, false, true, true, false, '2028-12-31', '2026-07-10', false, 0.95, 'on_track'),
  ('at risk below 0.95', false, false, true, true, false, '2028-12-31', '2026-07-10', false, 0.9499, 'at_risk'),
  ('at risk from 0.60', false, false, true, true, false, '2028-12-31', '2026-07-10', false, 0.60, 'at_risk'),
  ('off track', false, false, true, true, false, '2028-12-31', '2026-07-10', false, 0.5999, 'off_track'),
  ('deteriorating', false, false, true, true, false, '2028-12-31', '2026-07-10', true, 0.99, 'deteriorating'),
  ('no path', false, false, true, true, false, NULL, '2026-07-10', false, NULL, 'not_assessable'),
  ('not maintained', false, true, true, true, false, '2028-12-31', '2026-07-10', false, NULL, 'off_track'),
  ('stepwise, not yet', true, false, true, true, false, '2028-12-31', '2026-07-10', false, NULL, 'not_achieved'),
  ('stepwise, too late', true, false, true, true, false, '2025-12-31', '2026-07-10', false, NULL, 'missed')
) x(name, stepwise, maintain, target, reporting, met, due, today, worse, pace, wanted);
SELECT test('number: ' || t, number_ok(t)::text, ok::text) FROM (VALUES ('0', true), ('27', true), ('-3.5', true), ('0.1', true), ('123456789012345', true),
  ('1234567890123456', false), ('0.123456789012345', true), ('12345678.12345678', false), ('1e3', true), ('1e400', false), ('1e15', false),
  ('007', false), ('+5', false), ('1,5', false), ('', false), ('NaN', false), ('1.', false), ('100000.00', true)) x(t, ok);
SELECT test('day: ' || t, day_ok(t)::text, ok::text) FROM (VALUES ('2026-02-28', true), ('2026-02-29', false), ('2024-02-29', true), ('2026-04-31', false),
  ('2026-13-01', false), ('26-01-01', false), ('2026-1-1', false), ('2026-12-31', true)) x(t, ok);
SELECT test('percent: rounded to four decimals', percent(2, 3)::text, '66.6667');
SELECT test('percent: of nothing', percent(0, 0)::text, NULL);
SELECT test('vi: number', vi_number(1234567.891) || ' ' || vi_number(-0.5) || ' ' || vi_number(100), '1.234.567,89 -0,5 100');
SELECT test('vi: ' || p.code, vi_period(p), w) FROM period p JOIN (VALUES ('2026-M05', 'Tháng 5/2026'), ('2026-Q2', 'Quý II/2026'),
  ('2026-S2', '6 tháng cuối năm 2026'), ('2026-W05', 'Tuần 5/2026'), ('2026-9M', '9 tháng đầu năm 2026'), ('2026-A1', 'Năm 2026')) x(c, w) ON p.code = x.c;
