-- The stored sums against a recomputation, through a thousand random writes, imports, withdrawals, changes of assignments and folds.
BEGIN;
SELECT setseed(0.464) \g /dev/null
DO $$
DECLARE
  step int; i text; o text; p text; v value; body text; a assignment; answer jsonb;
BEGIN
  FOR step IN 1..1000 LOOP
    i := (ARRAY['DN-06B', 'DN-02', 'DN-01'])[1 + floor(random() * 3)];
    p := (ARRAY['2026-Q1', '2026-Q2'])[1 + floor(random() * 2)];
    o := 'DN-W' || (1 + floor(random() * 4))::int || CASE WHEN i = 'DN-06B' OR (i = 'DN-02' AND random() < 0.5) THEN '-CB' || lpad((1 + floor(random() * 20))::int::text, 2, '0') ELSE '' END;
    body := CASE WHEN random() < 0.1 THEN '{"state":"not_applicable"}' WHEN i = 'DN-01' THEN CASE WHEN random() < 0.5 THEN '{"done":false}' ELSE '{"done_on":"2026-01-15"}' END
      ELSE format('{"numerator":%s,"denominator":%s}', floor(random() * 1000) / 10, 1 + floor(random() * 100)) END;
    PERFORM test_enter('DN-TU', 'connector', 'values:write');
    IF random() < 0.08 THEN
      DELETE FROM value x WHERE x.id = (SELECT y.id FROM value y ORDER BY y.id LIMIT 1 OFFSET floor(random() * 20));
    ELSIF random() < 0.1 THEN
      SELECT test_import(jsonb_agg(jsonb_build_object('indicator', 'DN-06B', 'organization', 'DN-W2-CB' || lpad(n::text, 2, '0'), 'period', p,
        'numerator', floor(random() * 30), 'denominator', 30))::text, 'partial') INTO answer FROM generate_series(1, 20) n;
    ELSIF random() < 0.05 THEN
      PERFORM test_enter('DN-TU', 'manager', 'indicators:write');
      SELECT * INTO a FROM assignment x WHERE x.mode = 'total' AND x.organization_id IS NOT NULL ORDER BY x.id LIMIT 1;
      IF a.id IS NOT NULL AND random() < 0.6 THEN
        PERFORM assignment_update(a.indicator_id::text, a.id::text,
          jsonb_build_object('valid_to', CASE WHEN random() < 0.5 THEN '2026-04-15' WHEN random() < 0.5 THEN '2026-12-31' END), '*', NULL);
      ELSE
        PERFORM test_try(format($q$SELECT assignment_create('DN-06B', test_id(), '{"organization":"DN-W%s%s","mode":"total","valid_from":"%s"}', NULL)$q$,
          1 + floor(random() * 4), CASE WHEN random() < 0.5 THEN '-DB1' ELSE '' END, CASE WHEN random() < 0.5 THEN '2026-01-01' ELSE '2026-04-01' END));
      END IF;
    ELSE
      PERFORM test_try(format('SELECT test_put(%L, %L, %L, %L, %L)', i, o, p, body, CASE WHEN EXISTS (SELECT FROM value_at(i, o, p, NULL)) THEN '*' END));
    END IF;
    IF step % 37 = 0 THEN PERFORM rollup_fold(1 + floor(random() * 60)::int); END IF;
    IF step % 100 = 0 AND test_rollup() <> '0 sums, 0 marks' THEN RAISE EXCEPTION 'after step %: %', step, test_rollup(); END IF;
  END LOOP;
END $$;
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test('random: there is something to compare', (count(*) > 100)::text, 'true') FROM value;
SELECT test('random: with deltas', test_rollup(), '0 sums, 0 marks');
CREATE TEMP TABLE shown AS SELECT o.code, p, progress(o.code, p, NULL, NULL, 'children') AS json FROM organization o, unnest(ARRAY['2026-Q1', '2026-Q2', '2026-S1']) p WHERE length(o.scope_key) <= 18;
SELECT test('random: everything folds', (rollup_fold(1000000) > 0)::text, 'true');
SELECT test('random: nothing is left', count(*)::text, '0') FROM rollup_delta;
SELECT test('random: folded', test_rollup(), '0 sums, 0 marks');
SELECT test('random: figures are the same before and after folding', count(*)::text, '0') FROM shown s WHERE s.json <> progress(s.code, s.p, NULL, NULL, 'children');
SELECT test('random: a child''s figures are the same by itself', count(*)::text, '0')
FROM shown s, jsonb_array_elements(s.json::jsonb -> 'children') c, jsonb_array_elements(c -> 'items') x
WHERE s.p <> '2026-S1' AND x NOT IN (SELECT jsonb_array_elements(progress(c -> 'organization' ->> 'code', s.p, NULL, NULL, NULL)::jsonb -> 'items'));
ROLLBACK;
