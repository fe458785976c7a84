-- Progress and its explanation.
BEGIN;
CREATE FUNCTION pg_temp.own(unit text, period text, indicator text) RETURNS text LANGUAGE sql AS $$
  SELECT i ->> 'own_value' FROM jsonb_array_elements(tiendo.progress(unit, period, indicator, NULL, NULL)::jsonb -> 'items') i $$;
CREATE FUNCTION pg_temp.item(unit text, period text, indicator text) RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', i ->> 'value', i ->> 'numerator', i ->> 'denominator', '|', i -> 'coverage' ->> 'expected', i -> 'coverage' ->> 'reporting', i -> 'coverage' ->> 'missing',
    i -> 'coverage' ->> 'not_applicable', '|', i ->> 'achievement', i ->> 'required', i ->> 'pace', i ->> 'status', i ->> 'periods')
  FROM jsonb_array_elements(tiendo.progress(unit, period, indicator, NULL, NULL)::jsonb -> 'items') i $$;
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB01","period":"2026-Q2","numerator":"27","denominator":"30"},
 {"indicator":"DN-06B","organization":"DN-W1-CB02","period":"2026-Q2","numerator":"3","denominator":"30"},
 {"indicator":"DN-06B","organization":"DN-W1-CB03","period":"2026-Q2","state":"not_applicable","note":"Chưa có đảng viên"},
 {"indicator":"DN-06B","organization":"DN-W1-CB01","period":"2026-Q1","numerator":"10","denominator":"30"},
 {"indicator":"DN-06B","organization":"DN-W2-CB01","period":"2026-Q2","numerator":"1","denominator":"1"},
 {"indicator":"DN-02","organization":"DN-W1","period":"2026-Q2","numerator":"40","denominator":"100"},
 {"indicator":"DN-02","organization":"DN-W1","period":"2026-Q1","numerator":"43","denominator":"100"},
 {"indicator":"DN-02","organization":"DN-W1-CB01","period":"2026-Q2","numerator":"3","denominator":"4"},
 {"indicator":"DN-01","organization":"DN-W1","period":"2026-Q2","done_on":"2026-05-20"},
 {"indicator":"DN-01","organization":"DN-W2","period":"2026-Q2","done":"false"},
 {"indicator":"DN-04","organization":"DN-MTTQ","period":"2026-Q2","done_on":"2026-05-20"}]') \g /dev/null
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test('ratio: summed, never averaged', pg_temp.item('DN-W1', '2026-Q2', 'DN-06B'), '50 30 60 | 20 2 17 1 | 0.5 100 0.5 missed ["2026-Q2"]');
SELECT test('ratio: of the province', pg_temp.item('DN-TU', '2026-Q2', 'DN-06B'), '50.8197 31 61 | 80 3 76 1 | 0.508197 100 0.508197 missed ["2026-Q2"]');
SELECT test('ratio: of a cell', pg_temp.item('DN-W1-CB01', '2026-Q2', 'DN-06B'), '90 27 30 | 1 1 0 0 | 0.9 100 0.9 missed ["2026-Q2"]');
SELECT test('ratio: nobody reported', pg_temp.item('DN-W3', '2026-Q2', 'DN-06B'), '| 20 0 20 0 | 100 no_data ["2026-Q2"]');
SELECT test('total: alone, nothing beneath is added', pg_temp.item('DN-W1', '2026-Q2', 'DN-02'), '40 40 100 | 1 1 0 0 | 0.4 31.4093 1.273508 deteriorating ["2026-Q2"]');
SELECT test('total: what lies beneath shows its own', pg_temp.item('DN-W1-CB01', '2026-Q2', 'DN-02'), '75 3 4 | 0 1 0 0 | 0.75 31.4093 2.387828 on_track ["2026-Q2"]');
SELECT test('milestone: units done', pg_temp.item('DN-TU', '2026-Q2', 'DN-01'), '1 | 4 2 2 0 | 0.25 not_achieved ["2026-Q2"]');
SELECT test('milestone: done', pg_temp.item('DN-W1', '2026-Q2', 'DN-01'), '1 | 1 1 0 0 | 1 achieved ["2026-Q2"]');
SELECT test('none: the only unit assigned', pg_temp.item('DN-TU', '2026-Q2', 'DN-04'), '1 | 1 1 0 0 | 1 achieved ["2026-Q2"]');
SELECT test('year: the latest period that has anything', pg_temp.item('DN-W1', '2026-A1', 'DN-06B'), '50 30 60 | 20 2 17 1 | 0.5 100 0.5 missed ["2026-Q2"]');
SELECT test('month: a quarterly figure is none', pg_temp.item('DN-W1', '2026-M05', 'DN-06B'), '| 0 0 0 0 | not_assessable []');
SELECT test('children: the wards and the Front', string_agg(c -> 'organization' ->> 'code', ',' ORDER BY n), 'DN-MTTQ,DN-W1,DN-W2,DN-W3,DN-W4')
FROM jsonb_array_elements(progress('DN-TU', '2026-Q2', NULL, NULL, 'children')::jsonb -> 'children') WITH ORDINALITY x(c, n);
SELECT test('progress: an unknown unit', test_try($$SELECT progress('nix', '2026-Q2', NULL, NULL, NULL)$$), 'TD422 invalid organization:unknown_reference');
SELECT progress_explain('DN-W1', '2026-Q2', 'DN-06B', '2026-07-01', NULL)::jsonb AS e \gset
SELECT test('explain: units', jsonb_array_length(e -> 'units') || ' ' || jsonb_array_length(e -> 'missing') || ' ' || jsonb_array_length(e -> 'not_applicable') || ' ' || (e ->> 'units_with_value'), '2 17 1 2')
FROM (SELECT :'e'::jsonb AS e) x;
SELECT test('explain: who pulls it down', (SELECT string_agg(concat_ws(' ', u ->> 'organization', u ->> 'value', u ->> 'without', u ->> 'effect', u ->> 'shortfall'), ';')
  FROM jsonb_array_elements(:'e'::jsonb -> 'pulling_down') u), 'DN-W1-CB02 10 90 -40 27');
SELECT test('explain: what moved it', jsonb_array_length(:'e'::jsonb -> 'moved')::text, '3');
SELECT test('explain: one sentence', :'e'::jsonb ->> 'sentence', 'Quý II/2026, chỉ tiêu “Cán bộ, đảng viên được tuyên truyền” của Đảng ủy phường 1 đạt 50% (30/60); '
  || '2/19 đơn vị đã báo cáo, 1 đơn vị không áp dụng; mục tiêu 100% đến ngày 31/12/2025: quá hạn mà chưa đạt (tạm tính); kéo xuống nhiều nhất là Chi bộ 2 phường 1 (10%).');
SELECT test('explain: the difference beneath a total', (progress_explain('DN-TU', '2026-Q2', 'DN-02', NULL, NULL)::jsonb -> 'beneath' -> 0 -> 'difference')::text, '{"numerator": 37, "denominator": 96}');
-- Figures of several periods, of the aggregate as of the unit alone: a ratio's trend without a baseline, its best month, a sum.
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT c.status FROM (VALUES ('LESS', 'ratio', 'decrease', 'ratio_of_sums', 'last', 'quarter'), ('BEST', 'ratio', 'increase', 'ratio_of_sums', 'max', 'month'),
    ('MEAN', 'number', 'increase', 'average', 'average', 'month'), ('SUM', 'number', 'increase', 'sum', 'sum', 'month')) x(code, kind, direction, aggregation, rule, frequency),
  indicator_create(test_id(), jsonb_build_object('programme', 'DN-464', 'code', x.code, 'name', x.code, 'unit', 'units', 'kind', x.kind,
    'direction', x.direction, 'aggregation', x.aggregation, 'time_aggregation', x.rule, 'frequency', x.frequency), NULL) c \g /dev/null
SELECT c.status FROM unnest(ARRAY['LESS', 'BEST', 'MEAN', 'SUM']) code,
  assignment_create(code, test_id(), '{"kind":"directly_subordinate_party_committee","under":"DN-TU","mode":"own"}', NULL) c \g /dev/null
SELECT status FROM target_create('LESS', test_id(), '{"organization":"DN-TU","comparator":"le","value":10,"starts_on":"2025-05-07","due_on":"2028-12-31"}', NULL) \g /dev/null
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT test_import('[{"indicator":"LESS","organization":"DN-W1","period":"2026-Q1","numerator":"50","denominator":"100"},
 {"indicator":"LESS","organization":"DN-W1","period":"2026-Q2","numerator":"40","denominator":"100"},
 {"indicator":"BEST","organization":"DN-W1","period":"2026-M04","numerator":"10","denominator":"100"},
 {"indicator":"BEST","organization":"DN-W1","period":"2026-M05","numerator":"80","denominator":"100"},
 {"indicator":"MEAN","organization":"DN-W1","period":"2026-M04","number":"10"},
 {"indicator":"MEAN","organization":"DN-W1","period":"2026-M05","number":"10"},
 {"indicator":"MEAN","organization":"DN-W2","period":"2026-M04","number":"30"},
 {"indicator":"MEAN","organization":"DN-W2","period":"2026-M05","number":"20"},
 {"indicator":"MEAN","organization":"DN-W3","period":"2026-M05","number":"3"},
 {"indicator":"SUM","organization":"DN-W1","period":"2026-M04","number":"7"},
 {"indicator":"SUM","organization":"DN-W1","period":"2026-M06","number":"5"}]') \g /dev/null
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test('periods: getting better is not deteriorating, ' || u, (pg_temp.item(u, '2026-Q2', 'LESS') LIKE '40 %at_risk%')::text, 'true') FROM unnest(ARRAY['DN-TU', 'DN-W1']) u;
SELECT test('periods: the best month of a ratio, ' || u, (pg_temp.item(u, '2026-Q2', 'BEST') LIKE '80 %')::text, 'true') FROM unnest(ARRAY['DN-TU', 'DN-W1']) u;
SELECT test('periods: and has no numerator, ' || u, split_part(pg_temp.item(u, '2026-Q2', 'BEST'), '|', 1), '80 ') FROM unnest(ARRAY['DN-TU', 'DN-W1']) u;
SELECT test('explain: the best of several months', concat_ws(' ', e ->> 'numerator', e ->> 'pulling_down', split_part(e ->> 'sentence', ' đạt ', 2)), '[] 80%; 2/12 đơn vị đã báo cáo.')
FROM (SELECT progress_explain('DN-TU', '2026-Q2', 'BEST', NULL, NULL)::jsonb AS e) x;
SELECT test('periods: every value once, of the province', pg_temp.item('DN-TU', '2026-Q2', 'SUM'), '12 | 12 2 10 0 | not_assessable ["2026-M04", "2026-M05", "2026-M06"]');
-- Summed over time is what each period's aggregate is, not the aggregate of all periods at once.
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT c.status FROM (VALUES ('average'), ('min'), ('max'), ('none')) x(rule),
  indicator_create(test_id(), jsonb_build_object('programme', 'DN-464', 'code', 'T-' || rule, 'name', rule, 'unit', 'units', 'kind', 'number',
    'direction', 'increase', 'aggregation', rule, 'time_aggregation', 'sum', 'frequency', 'month'), NULL) c \g /dev/null
SELECT c.status FROM unnest(ARRAY['average', 'min', 'max', 'none']) rule, assignment_create('T-' || rule, test_id(), CASE rule
  WHEN 'none' THEN '{"organization":"DN-W1","mode":"own"}' ELSE '{"kind":"directly_subordinate_party_committee","under":"DN-TU","mode":"own"}' END::jsonb, NULL) c \g /dev/null
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT test_import((SELECT jsonb_agg(jsonb_build_object('indicator', 'T-' || rule, 'organization', o, 'period', p, 'number', n))::text
  FROM unnest(ARRAY['average', 'min', 'max', 'none']) rule, (VALUES ('DN-W1', '2026-M04', '10'), ('DN-W1', '2026-M05', '20'), ('DN-W2', '2026-M04', '30')) v(o, p, n)
  WHERE rule <> 'none' OR o = 'DN-W1')) \g /dev/null
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test('periods: ' || rule || ' over units, summed over time, ' || u, split_part(pg_temp.item(u, '2026-Q2', 'T-' || rule), ' ', 1), wanted)
FROM (VALUES ('average', 'DN-TU', '40'), ('average', 'DN-W1', '30'), ('min', 'DN-TU', '30'), ('min', 'DN-W1', '30'), ('max', 'DN-TU', '50'), ('max', 'DN-W1', '30'),
  ('none', 'DN-TU', '30'), ('none', 'DN-W1', '30')) x(rule, u, wanted);
SELECT test('periods: the unit''s own ' || rule || ' over time, ' || u, pg_temp.own(u, '2026-Q2', rule), wanted)
FROM (VALUES ('BEST', 'DN-W1', '80'), ('MEAN', 'DN-W1', '10'), ('T-average', 'DN-W1', '30'), ('SUM', 'DN-W1', '12')) x(rule, u, wanted);
SELECT test('explain: averages of averages', (SELECT string_agg(concat_ws(' ', u ->> 'organization', u ->> 'value', u ->> 'without', u ->> 'effect'), ';')
  FROM jsonb_array_elements(e -> 'pulling_down') u) || ' ' || (e ->> 'value') || split_part(e ->> 'sentence', ';', 3), 'DN-W1 10 20.75 -5.25;DN-W3 3 17.5 -2 15.5 kéo xuống nhiều nhất là Đảng ủy phường 1 (10 đơn vị).')
FROM (SELECT progress_explain('DN-TU', '2026-Q2', 'MEAN', NULL, NULL)::jsonb AS e) x;
SELECT test('progress: an indicator of another programme', test_try($$SELECT progress('DN-W1', '2026-Q2', 'MEAN', 'nix', NULL)$$), 'TD422 invalid programme:unknown_reference');
SELECT test('progress: an indicator of the programme', test_try($$SELECT progress('DN-W1', '2026-Q2', 'MEAN', 'DN-464', NULL)$$), 'ok');
SELECT test('periods: every value once, of the ward', pg_temp.item('DN-W1', '2026-Q2', 'SUM'), '12 | 3 2 1 0 | not_assessable ["2026-M04", "2026-M05", "2026-M06"]');
SELECT test_enter('DN-W1', 'viewer', 'progress:read') \g /dev/null
SELECT test('progress: the same for the ward itself', pg_temp.item('DN-W1', '2026-Q2', 'DN-06B'), '50 30 60 | 20 2 17 1 | 0.5 100 0.5 missed ["2026-Q2"]');
SELECT test('progress: another ward is unknown', test_try($$SELECT progress('DN-W2', '2026-Q2', NULL, NULL, NULL)$$), 'TD422 invalid organization:unknown_reference');
ROLLBACK;
