-- Figures on the tree of today and on the trees they were reported on, after random decisions: the same as worked out from values and spans.
BEGIN;
SET client_min_messages = warning;
SELECT setseed(0.464) \g /dev/null
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT c.status FROM (VALUES ('X-RATIO', 'ratio', 'ratio_of_sums'), ('X-SUM', 'number', 'sum'), ('X-MIN', 'number', 'min'), ('X-MEAN', 'number', 'average'),
    ('X-TOTAL', 'ratio', 'ratio_of_sums')) x(code, kind, rule),
  indicator_create(test_id(), jsonb_build_object('programme', 'DN-464', 'code', x.code, 'name', x.code, 'unit', 'units', 'kind', x.kind,
    'direction', 'increase', 'aggregation', x.rule, 'frequency', 'quarter'), NULL) c \g /dev/null
SELECT c.status FROM unnest(ARRAY['X-RATIO', 'X-SUM', 'X-MIN', 'X-MEAN', 'X-TOTAL']) code,
  assignment_create(code, test_id(), '{"kind":"party_cell","under":"DN-TU","mode":"own","valid_from":"2025-05-07"}', NULL) c \g /dev/null
SELECT c.status FROM unnest(ARRAY['DN-W1', 'DN-W2', 'DN-W3']) unit, assignment_create('X-TOTAL', test_id(),
  jsonb_build_object('organization', unit, 'mode', 'total', 'valid_from', '2025-05-07'), NULL) c \g /dev/null
-- Values of half the units that are to report or lie beneath a total, for four quarters.
CREATE FUNCTION pg_temp.fill() RETURNS text LANGUAGE sql AS $$
  SELECT test_import((SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('indicator', i.code, 'organization', o.code, 'period', p.code,
      'state', CASE WHEN r < 0.05 THEN 'not_applicable' END,
      'numerator', CASE WHEN r >= 0.05 AND i.kind = 'ratio' THEN (r * 90)::int::text END, 'denominator', CASE WHEN r >= 0.05 AND i.kind = 'ratio' THEN '100' END,
      'number', CASE WHEN r >= 0.05 AND i.kind = 'number' THEN round((r * 1000)::numeric, 2)::text END)))::text
    FROM period p, assignment_unit u JOIN indicator i ON i.id = u.indicator_id JOIN organization o ON o.id = u.organization_id, LATERAL (SELECT random() AS r, u.scope_key) x
    WHERE i.code LIKE 'X-%' AND p.kind = 'quarter' AND p.starts_on BETWEEN '2025-07-01' AND '2026-04-01' AND u.validity @> p.ends_on AND random() < 0.4))
    ->> 'status' $$;
-- How many of the lines shown differ, either way, over every unit, indicator, quarter and tree.
CREATE FUNCTION pg_temp.differences() RETURNS text LANGUAGE sql AS $$
  WITH place AS (
    SELECT o.id, o.code, i, p, t FROM organization o, indicator i, period p, unnest(ARRAY['current', 'reported']) t
    WHERE i.code LIKE 'X-%' AND p.kind = 'quarter' AND p.code IN ('2025-Q3', '2026-Q1') AND (o.kind <> 'party_cell' OR right(o.code, 1) = '1')
      AND o.code NOT IN ('DN-BTV', 'DN-VPTU', 'DN-BTGDV', 'DN-UBKT')
      AND (t = 'current' OR EXISTS (SELECT FROM organization_span s WHERE s.organization_id = o.id AND s.validity @> p.ends_on))
  ), shown AS (SELECT w.code, (w.i).code AS i, (w.p).code AS p, w.t, s FROM place w, test_shown(w.code, w.i, w.p, w.t) s
  ), wanted AS (SELECT w.code, (w.i).code AS i, (w.p).code AS p, w.t, s FROM place w, test_figures(w.id, w.i, w.p, w.t) s
    WHERE s LIKE w.code || ' %' OR split_part(s, ' ', 2) <> '0'
  ), wrong AS (SELECT 'shown' AS side, x.* FROM (SELECT * FROM shown EXCEPT SELECT * FROM wanted) x UNION ALL
    SELECT 'wanted', x.* FROM (SELECT * FROM wanted EXCEPT SELECT * FROM shown) x)
  SELECT concat_ws(' ', count(*), min(side || ' ' || code || ' ' || i || ' ' || p || ' ' || t || ': ' || s), max(side || ' ' || code || ' ' || i || ' ' || p || ' ' || t || ': ' || s)) || ' of ' || CASE WHEN (SELECT count(*) FROM wanted) > 1000 THEN 'many' ELSE 'few' END FROM wrong $$;
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT pg_temp.fill() \g /dev/null
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test_look() \g /dev/null
SELECT test('trees: nothing has changed', pg_temp.differences(), '0 of many');
-- A ward taken over, its total kept apart; a cell that leaves a total, one that comes below one; a split; a unit to come.
SELECT test_reorganize('2025-11-10', '[{"kind":"merge","organizations":["DN-W2"],"into":"DN-W1"}]', '[{"indicator":"X-TOTAL","how":"apart"}]') \g /dev/null
SELECT test_reorganize('2026-02-01', '[{"kind":"move","organization":"DN-W1-CB02","parent":"DN-W4-DB1"},{"kind":"move","organization":"DN-W4-CB03","parent":"DN-W3"},
  {"kind":"rename","organization":"DN-W3","name":"Đảng ủy phường Ba"}]') \g /dev/null
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test_look() \g /dev/null
SELECT test('trees: merged, moved and apart', pg_temp.differences(), '0 of many');
SELECT test('trees: the unit of then, under the name of then', (j -> 'organization' ->> 'name') || (SELECT string_agg(' ' || (c -> 'organization' ->> 'code'), '') FROM jsonb_array_elements(j -> 'children') c),
  'Đảng ủy phường 3 DN-W3-DB1 DN-W3-DB2') FROM (SELECT progress('DN-W3', '2025-Q4', 'X-SUM', NULL, 'children', 'reported')::jsonb AS j) x;
SELECT test('trees: a unit of another time', test_try($$SELECT progress('DN-W2', '2026-Q2', 'X-SUM', NULL, NULL, 'reported')$$), 'TD422 invalid organization:did_not_exist');
SELECT test('trees: and on the tree of today', (progress('DN-W2', '2026-Q2', 'X-SUM', NULL, NULL, 'current')::jsonb ->> 'tree'), 'current');
SELECT test_enter('DN-W1', 'viewer', 'progress:read') \g /dev/null
SELECT test('trees: what went elsewhere is not counted, and said so', concat_ws(' ', x -> 'coverage' ->> 'expected', x -> 'coverage' ->> 'hidden', x ->> 'preliminary'), '19 1 true')
FROM (SELECT progress('DN-W1', '2025-Q3', 'X-SUM', NULL, NULL, 'reported')::jsonb -> 'items' -> 0 AS x) y;
SELECT test('trees: the same in the explanation', concat_ws(' ', e -> 'coverage' ->> 'hidden', strpos(e ->> 'sentence', 'không tính 1 đơn vị nằm ngoài phạm vi được xem') > 0,
  (e ->> 'units_with_value')::int = jsonb_array_length(e -> 'units'), jsonb_array_length(e -> 'units') + jsonb_array_length(e -> 'missing') + jsonb_array_length(e -> 'not_applicable')), '1 t t 19')
FROM (SELECT progress_explain('DN-W1', '2025-Q3', 'X-SUM', NULL, NULL, 'reported')::jsonb AS e) x;
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test('trees: apart is left out of the explanation too', concat_ws(' ', u, i, e -> 'coverage' ->> 'expected', (SELECT count(*) FROM jsonb_array_elements((e -> 'units') || (e -> 'missing')) x
  WHERE x ->> 'organization' = 'DN-W2')), concat_ws(' ', u, i, wanted))
FROM (VALUES ('DN-W1', 'X-TOTAL', '1 0'), ('DN-TU', 'X-TOTAL', '23 1')) x(u, i, wanted), LATERAL (SELECT progress_explain(u, '2025-Q3', i, NULL, 100, 'current')::jsonb AS e) y;
-- Random decisions.
DO $do$
DECLARE day date := '2025-07-05'; alive text[]; n int; kind text;
BEGIN
  FOR n IN 1 .. 40 LOOP
    day := day + (random() * 8)::int;
    alive := ARRAY(SELECT o.code FROM organization o JOIN organization_span s ON s.organization_id = o.id AND s.validity @> day AND upper_inf(s.validity)
      WHERE o.code LIKE 'DN-W%' AND o.kind <> 'party_building_board' ORDER BY random() LIMIT 4);
    kind := (ARRAY['move', 'move', 'merge', 'split', 'dissolve'])[1 + (random() * 4)::int];
    BEGIN
      PERFORM test_reorganize(day, CASE kind
        WHEN 'move' THEN jsonb_build_array(jsonb_build_object('kind', kind, 'organization', alive[1], 'parent', alive[2]))
        WHEN 'merge' THEN jsonb_build_array(jsonb_build_object('kind', kind, 'organizations', jsonb_build_array(alive[1]), 'into', alive[2]))
        WHEN 'split' THEN jsonb_build_array(jsonb_build_object('kind', kind, 'organization', alive[1], 'successors', jsonb_build_array(alive[2], alive[3])))
        ELSE jsonb_build_array(jsonb_build_object('kind', kind, 'organization', alive[1])) END::text,
        CASE WHEN kind = 'merge' THEN '[{"indicator":"X-TOTAL","how":"apart"},{"indicator":"X-MEAN","how":"apart"}]' ELSE '[]' END);
    EXCEPTION WHEN SQLSTATE 'TD422' THEN NULL;
    END;
  END LOOP;
END $do$;
SELECT test('trees: decisions were taken', (count(*) > 6)::text, 'true') FROM (SELECT lower(s.validity) FROM organization_span s GROUP BY 1) x;
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT pg_temp.fill() \g /dev/null
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test_look() \g /dev/null
SELECT test('trees: after random decisions', pg_temp.differences(), '0 of many');
SELECT test('trees: sums and marks after random decisions', split_part(test_rollup(), ',', 1), '0 sums');
ROLLBACK;
