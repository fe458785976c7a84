-- Where a unit stands: for each indicator the aggregate over its subtree, coverage, target, achievement and status; for the unit
-- itself or for it and every direct subordinate. One statement reads the stored sums, the deltas not yet folded into them, the
-- units' own values and who is assigned, all of one snapshot, so a figure is right from the moment its value is committed.
--   An aggregate is the unit's own counted value and those of all below it. Beneath a total nothing counts: such a unit shows its
--   own value alone. Aggregation none shows the unit's own value, or that of the only unit assigned in its subtree.
--   A period coarser than the indicator's takes the values of the periods within it by the indicator's time_aggregation; last is the
--   latest of them in which anything was reported, the same for every unit shown. Nothing is carried into a later period.
--   With categories, every unit owes one figure a category: coverage counts those figures, and they are added up.
SET search_path = tiendo, public;

-- The periods whose values answer for a period, in time order; none where the indicator is reported less often.
CREATE FUNCTION progress_periods(i_id uuid, frequency text, time_aggregation text, programme uuid, p period, key text) RETURNS uuid[]
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  within uuid[];
  q uuid;
BEGIN
  IF p.kind = frequency AND (p.programme_id IS NULL OR p.programme_id = programme) THEN RETURN ARRAY[p.id]; END IF;
  IF time_aggregation = 'none' THEN RETURN '{}'; END IF;
  within := ARRAY(SELECT x.id FROM period x WHERE x.kind = frequency AND x.starts_on BETWEEN p.starts_on AND p.ends_on AND x.ends_on <= p.ends_on
    AND x.starts_on <= today() AND (x.programme_id IS NULL OR x.programme_id = programme) ORDER BY x.starts_on);
  IF time_aggregation <> 'last' OR cardinality(within) < 2 THEN RETURN within; END IF;
  FOR n IN REVERSE cardinality(within) .. 1 LOOP
    q := within[n];
    IF EXISTS (SELECT FROM value v WHERE v.indicator_id = i_id AND v.period_id = q AND v.scope_key >= key AND v.scope_key < key || '~'
        AND v.counted AND v.state = 'reported') THEN
      RETURN ARRAY[q];
    END IF;
  END LOOP;
  RETURN within[cardinality(within):];
END $$;

-- One row for each indicator and unit: the unit with this key and, for children, each one directly below it. cut: how many
-- characters of a key name the unit a figure is shown under.
CREATE FUNCTION progress_rows(unit_key text, p period, indicators uuid[], children boolean)
  RETURNS TABLE (indicator_id uuid, key text, expected bigint, reported bigint, not_applicable bigint, numerator numeric, denominator numeric,
    value numeric, own_value numeric, target_id uuid, baseline numeric, achievement numeric, required numeric, pace numeric,
    status text, periods uuid[])
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  cut int := length(unit_key) + CASE WHEN children THEN 6 ELSE 0 END;
  keys text[] COLLATE "C" := ARRAY[unit_key];
  lines text[] COLLATE "C" := ancestor_keys(unit_key);
  on_day date := today();
BEGIN
  IF children THEN
    keys := keys || ARRAY(SELECT o.scope_key FROM organization o WHERE o.parent_id = (SELECT u.id FROM organization u WHERE u.scope_key = unit_key));
  END IF;
  RETURN QUERY
  WITH play AS MATERIALIZED (
    SELECT i.id, i.kind, i.direction, i.aggregation, i.time_aggregation, in_percent(i.kind, i.unit) AS percentage, i.baseline,
      coalesce(cardinality(i.categories), 1) AS figures, g.document_on,
      progress_periods(i.id, i.frequency, i.time_aggregation, i.programme_id, p, unit_key) AS used
    FROM indicator i JOIN programme g ON g.id = i.programme_id
    WHERE i.id = ANY (indicators)
  ), aim AS MATERIALIZED (
    -- the targets: for each unit its own, or else the nearest above; the next one due, or else the last
    SELECT DISTINCT ON (t.indicator_id, g.key) g.key, t.id, t.indicator_id, t.comparator, t.value AS t, t.upper, t.due_on,
      coalesce(t.baseline, l.baseline) AS b, t.maintain OR t.value = coalesce(t.baseline, l.baseline) AS maintain,
      elapsed(coalesce(t.starts_on, t.baseline_on, l.document_on), t.due_on, p.ends_on) AS share
    FROM play l JOIN target t ON t.indicator_id = l.id AND t.scope_key = ANY (lines || keys),
      LATERAL (SELECT CASE WHEN length(t.scope_key) > length(unit_key) THEN t.scope_key ELSE unit_key END AS key) g
    ORDER BY t.indicator_id, g.key, length(t.scope_key) DESC, CASE WHEN coalesce(t.due_on, 'infinity') >= p.ends_on THEN t.due_on END,
      coalesce(t.due_on, 'infinity') < p.ends_on, t.due_on DESC
  ), pair AS MATERIALIZED (
    -- by_period: what does not add up over units and over time is worked out for each period by itself
    SELECT l.id, q.id AS period_id, q.ends_on, false AS before, l.aggregation, l.figures,
      CASE WHEN cardinality(l.used) > 1 AND (l.time_aggregation IN ('min', 'max', 'average') OR l.aggregation NOT IN ('ratio_of_sums', 'sum'))
        THEN q.id END AS by_period
    FROM play l, unnest(l.used) u JOIN period q ON q.id = u
    UNION ALL
    -- the period before, where only it can tell whether a figure is getting worse
    SELECT l.id, q.id, q.ends_on, true, l.aggregation, l.figures,
      CASE WHEN l.time_aggregation IN ('min', 'max', 'average') AND cardinality(l.used) > 1 THEN f.id END
    FROM play l JOIN period f ON f.id = l.used[1] JOIN period q ON q.kind = f.kind AND q.ends_on = f.starts_on - 1
      AND q.programme_id IS NOT DISTINCT FROM f.programme_id
    WHERE l.kind IN ('ratio', 'number') AND l.aggregation IN ('ratio_of_sums', 'sum', 'average', 'none')
      AND EXISTS (SELECT FROM aim a WHERE a.indicator_id = l.id AND a.b IS NULL AND a.comparator <> 'range'
        AND (a.due_on IS NULL OR a.due_on > p.ends_on OR a.due_on >= on_day))
  ), due AS MATERIALIZED (
    -- who is to report: all of a unit's subtree, and the unit itself
    SELECT x.id, x.period_id, x.by_period, c.scope_key AS key,
      x.figures * CASE WHEN children AND c.scope_key = unit_key THEN c.own ELSE c.units END AS expected, x.figures * c.own AS own_expected
    FROM pair x, unnest(keys) k(key), LATERAL (SELECT * FROM assignment_count y WHERE y.indicator_id = x.id AND y.scope_key = k.key
      AND y.validity @> x.ends_on OFFSET 0) c
    WHERE NOT x.before
  ), source AS MATERIALIZED (
    -- holders: whose own values there can be: of those who are to report, and of all at or beneath a total; holding: below whom
    -- there can be any
    SELECT x.*, CASE WHEN EXISTS (SELECT FROM assignment_unit y WHERE y.indicator_id = x.id AND y.mode = 'total' AND y.scope_key = ANY (lines || unit_key))
      THEN keys ELSE ARRAY(SELECT DISTINCT d.key FROM due d
        WHERE d.id = x.id AND (x.before OR d.period_id = x.period_id) AND d.own_expected > 0) END AS holders,
      CASE WHEN x.before OR NOT children THEN keys ELSE unit_key || ARRAY(SELECT DISTINCT d.key FROM due d
        WHERE d.id = x.id AND d.period_id = x.period_id AND d.expected > d.own_expected) END AS holding
    FROM pair x
  ), goal AS MATERIALIZED (
    SELECT l.*, g.key, a.id AS target_id, a.comparator, a.t, a.upper, a.due_on, coalesce(a.b, l.baseline) AS b, a.maintain, a.share
    FROM play l CROSS JOIN LATERAL (SELECT unit_key UNION SELECT y.key FROM aim y WHERE y.indicator_id = l.id) g(key)
      LEFT JOIN aim a ON a.indicator_id = l.id AND a.key = g.key
  ), part AS (
    -- what is stored of all below
    SELECT x.id, x.by_period, x.before, r.scope_key AS key, r.reported::int, r.not_applicable::int, r.done::int, r.numerator, r.denominator,
      r.number, NULL::numeric AS least, NULL::numeric AS most, NULL::numeric AS latest, 0 AS expected, 0 AS own_expected,
      0 AS own_reported, 0 AS own_na, 0 AS own_done, NULL::numeric AS own_numerator, NULL::numeric AS own_denominator,
      NULL::numeric AS own_number, false AS aimed
    FROM source x, unnest(x.holding) k(key), LATERAL (SELECT * FROM rollup y WHERE y.indicator_id = x.id AND y.period_id = x.period_id
      AND y.scope_key = k.key OFFSET 0) r
    UNION ALL
    -- what is not yet folded into it
    SELECT d.id, d.by_period, d.before, k, d.reported, d.not_applicable, d.done, d.numerator, d.denominator, d.number,
      NULL, NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, false
    FROM (SELECT x.id, x.by_period, x.before, left(y.scope_key, cut) AS key, sum(y.reported)::int AS reported,
        sum(y.not_applicable)::int AS not_applicable, sum(y.done)::int AS done, sum(y.numerator) AS numerator,
        sum(y.denominator) AS denominator, sum(y.number) AS number
      FROM pair x, LATERAL (SELECT * FROM rollup_delta z WHERE z.indicator_id = x.id AND z.period_id = x.period_id
        AND z.scope_key >= unit_key AND z.scope_key < unit_key || '~' OFFSET 0) y
      GROUP BY 1, 2, 3, 4) d, unnest(CASE WHEN d.key = unit_key THEN ARRAY[unit_key] ELSE ARRAY[unit_key, d.key] END) k
    UNION ALL
    -- the units' own
    SELECT x.id, x.by_period, x.before, v.scope_key, (v.counted AND v.state = 'reported')::int, (v.counted AND v.state <> 'reported')::int,
      (v.counted AND v.done IS TRUE)::int, CASE WHEN v.counted THEN v.numerator END, CASE WHEN v.counted THEN v.denominator END,
      CASE WHEN v.counted THEN v.number END, NULL, NULL, NULL, 0, 0, (v.state = 'reported')::int, (v.state <> 'reported')::int,
      (v.done IS TRUE)::int, v.numerator, v.denominator, v.number, false
    FROM source x, unnest(x.holders) k(key), LATERAL (SELECT * FROM value y WHERE y.indicator_id = x.id AND y.period_id = x.period_id
      AND y.scope_key = k.key OFFSET 0) v
    UNION ALL
    -- what is no sum: the least, the most and the latest of all values
    SELECT e.id, e.by_period, false, e.key, 0, 0, 0, NULL, NULL, NULL, e.least, e.most, e.latest, 0, 0, 0, 0, 0, NULL, NULL, NULL, false
    FROM (SELECT x.id, x.by_period, g.key, min(v.number) AS least, max(v.number) AS most,
        (array_agg(v.number ORDER BY v.updated_at DESC, v.id DESC))[1] AS latest
      FROM pair x, LATERAL (SELECT * FROM value y WHERE y.indicator_id = x.id AND y.period_id = x.period_id
          AND y.scope_key >= unit_key AND y.scope_key < unit_key || '~' AND y.counted AND y.number IS NOT NULL OFFSET 0) v,
        unnest(CASE WHEN length(v.scope_key) < cut OR NOT children THEN ARRAY[unit_key] ELSE ARRAY[unit_key, left(v.scope_key, cut)] END) g(key)
      WHERE x.aggregation IN ('min', 'max', 'last')
      GROUP BY 1, 2, 3) e
    UNION ALL
    -- who is to report below, and in all; a row for the unit, whatever there is
    SELECT d.id, d.by_period, false, d.key, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, d.expected, d.own_expected, 0, 0, 0, NULL, NULL, NULL, false
    FROM due d WHERE d.key <> unit_key
    UNION ALL
    SELECT x.id, x.by_period, false, unit_key, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, coalesce(sum(d.expected), 0)::int,
      coalesce(sum(d.own_expected) FILTER (WHERE d.key = unit_key), 0)::int, 0, 0, 0, NULL, NULL, NULL, false
    FROM pair x LEFT JOIN due d ON d.id = x.id AND d.period_id = x.period_id
    WHERE NOT x.before
    GROUP BY x.id, x.by_period, x.period_id
    UNION ALL
    -- who has a target of its own
    SELECT x.id, x.by_period, false, a.key, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, true
    FROM pair x JOIN aim a ON a.indicator_id = x.id AND a.key <> unit_key
    WHERE NOT x.before
  ), summed AS (
    SELECT s.id AS indicator_id, s.by_period, s.before, s.key, sum(s.expected)::int AS expected, sum(s.reported)::int AS reported,
      sum(s.not_applicable)::int AS not_applicable, sum(s.done)::int AS done, sum(s.numerator) AS numerator,
      sum(s.denominator) AS denominator, sum(s.number) AS number, min(s.least) AS least, max(s.most) AS most, max(s.latest) AS latest,
      sum(s.own_expected)::int AS own_expected, sum(s.own_reported)::int AS own_reported, sum(s.own_na)::int AS own_na,
      sum(s.own_done)::int AS own_done, sum(s.own_numerator) AS own_numerator, sum(s.own_denominator) AS own_denominator,
      sum(s.own_number) AS own_number, bool_or(s.aimed) AS aimed
    FROM part s
    GROUP BY 1, 2, 3, 4
  ), figured AS MATERIALIZED (
    SELECT s.indicator_id, s.key, s.by_period, s.before, s.aimed,
      CASE WHEN c.which = 2 THEN s.own_expected ELSE s.expected END AS expected,
      CASE WHEN c.which = 2 THEN s.own_reported ELSE s.reported END AS reported,
      CASE WHEN c.which = 2 THEN s.own_na ELSE s.not_applicable END AS not_applicable,
      CASE c.which WHEN 2 THEN s.own_done WHEN 1 THEN s.done END AS done,
      CASE c.which WHEN 2 THEN s.own_numerator WHEN 1 THEN s.numerator END AS numerator,
      CASE c.which WHEN 2 THEN s.own_denominator WHEN 1 THEN s.denominator END AS denominator,
      -- what is stored of a ratio has a number too: 0
      CASE WHEN l.kind = 'ratio' THEN NULL WHEN c.which = 2 THEN s.own_number WHEN c.which = 0 OR s.reported = 0 THEN NULL
        ELSE CASE l.aggregation WHEN 'min' THEN s.least WHEN 'max' THEN s.most WHEN 'last' THEN s.latest
          WHEN 'average' THEN s.number / s.reported ELSE s.number END END AS number,
      s.own_reported, s.own_done, s.own_numerator, s.own_denominator, s.own_number
    FROM summed s JOIN play l ON l.id = s.indicator_id,
      -- 1: the aggregate, 2: the unit's own value, 0: none, because there are several and they do not add up
      LATERAL (SELECT CASE WHEN s.before THEN CASE WHEN l.aggregation <> 'none' AND s.reported > 0 THEN 1 ELSE 2 END
        WHEN s.expected = 0 AND s.own_reported + s.own_na > 0 THEN 2
        WHEN l.aggregation <> 'none' THEN 1
        WHEN s.own_expected > 0 THEN 2
        WHEN s.expected <= l.figures THEN 1
        ELSE 0 END AS which) c
  ), prior AS MATERIALIZED (
    SELECT f.indicator_id, jsonb_object_agg(f.key, coalesce(f.number, 100 * f.numerator / nullif(f.denominator, 0))) AS figures
    FROM figured f WHERE f.before
    GROUP BY f.indicator_id
  ), timed AS (
    SELECT f.indicator_id, f.key, f.aimed, f.expected, f.reported, f.not_applicable, f.done, f.numerator, f.denominator, f.number,
      NULL::numeric AS least, NULL::numeric AS most, f.own_reported, f.own_done, f.own_numerator, f.own_denominator, f.own_number,
      NULL::numeric AS own_least, NULL::numeric AS own_most
    FROM figured f WHERE f.by_period IS NULL AND NOT f.before
    UNION ALL
    SELECT f.indicator_id, f.key, bool_or(f.aimed), sum(f.expected)::int, sum(f.reported)::int, sum(f.not_applicable)::int, sum(f.done)::int,
      -- the least and the most of several percentages have no numerator and denominator
      CASE WHEN l.time_aggregation NOT IN ('min', 'max') THEN sum(f.numerator) END,
      CASE WHEN l.time_aggregation NOT IN ('min', 'max') THEN sum(f.denominator) END,
      CASE l.time_aggregation WHEN 'average' THEN avg(f.number) ELSE sum(f.number) END,
      min(coalesce(f.number, 100 * f.numerator / nullif(f.denominator, 0))),
      max(coalesce(f.number, 100 * f.numerator / nullif(f.denominator, 0))), sum(f.own_reported)::int, sum(f.own_done)::int, sum(f.own_numerator),
      sum(f.own_denominator), CASE l.time_aggregation WHEN 'average' THEN avg(f.own_number) ELSE sum(f.own_number) END,
      min(coalesce(f.own_number, 100 * f.own_numerator / nullif(f.own_denominator, 0))),
      max(coalesce(f.own_number, 100 * f.own_numerator / nullif(f.own_denominator, 0)))
    FROM figured f JOIN play l ON l.id = f.indicator_id WHERE f.by_period IS NOT NULL AND NOT f.before
    GROUP BY f.indicator_id, f.key, l.time_aggregation
  ), placed AS (
    SELECT c.indicator_id, c.key, c.expected, c.reported, c.not_applicable, c.done, c.numerator, c.denominator,
      l.kind, l.direction, l.percentage, l.used, l.target_id, l.comparator, l.t, l.upper, l.due_on, l.b, l.maintain, l.share,
      (w.figures ->> c.key)::numeric AS was,
      CASE l.kind WHEN 'milestone' THEN CASE WHEN c.reported > 0 THEN c.done END
        ELSE CASE WHEN l.time_aggregation = 'min' AND c.least IS NOT NULL THEN c.least WHEN l.time_aggregation = 'max' AND c.most IS NOT NULL THEN c.most
          WHEN l.kind = 'ratio' THEN 100 * c.numerator / nullif(c.denominator, 0) ELSE c.number END END AS value,
      CASE l.kind WHEN 'milestone' THEN CASE WHEN c.own_reported > 0 THEN c.own_done END
        ELSE trim_scale(round(CASE WHEN l.time_aggregation = 'min' AND c.own_least IS NOT NULL THEN c.own_least
          WHEN l.time_aggregation = 'max' AND c.own_most IS NOT NULL THEN c.own_most
          WHEN l.kind = 'ratio' THEN 100 * c.own_numerator / nullif(c.own_denominator, 0) ELSE c.own_number END, 4)) END AS own_value
    FROM timed c JOIN goal l ON l.id = c.indicator_id AND l.key = CASE WHEN c.aimed THEN c.key ELSE unit_key END
      LEFT JOIN prior w ON w.indicator_id = c.indicator_id
    OFFSET 0
  ), judged AS (
    SELECT d.*,
      CASE WHEN d.kind = 'milestone' THEN d.done::numeric / nullif(d.expected - d.not_applicable, 0)
        WHEN d.kind IN ('ratio', 'number') AND d.comparator <> 'range' THEN achievement(d.direction, d.value, d.b, d.t) END AS way,
      CASE WHEN d.kind = 'milestone' THEN d.done >= greatest(d.expected - d.not_applicable, 1)
        ELSE target_met(d.comparator, d.kind, d.value, d.t, d.upper) END AS met,
      d.kind IN ('milestone', 'rank') OR d.comparator = 'range' AS stepwise
    FROM placed d
    OFFSET 0
  ), paced AS (
    SELECT j.*, CASE WHEN NOT j.stepwise THEN j.way / j.share END AS pace FROM judged j OFFSET 0
  )
  SELECT j.indicator_id, j.key, j.expected::bigint, j.reported::bigint, j.not_applicable::bigint,
    CASE WHEN j.kind = 'ratio' AND j.reported > 0 THEN j.numerator END, CASE WHEN j.kind = 'ratio' AND j.reported > 0 THEN j.denominator END,
    trim_scale(round(j.value, 4)), j.own_value, j.target_id, j.b, trim_scale(round(j.way, 6)),
    CASE WHEN NOT j.stepwise THEN trim_scale(round(required_path(j.direction, j.b, j.t, j.share), 4)) END,
    trim_scale(round(j.pace, 6)),
    progress_status(j.stepwise, coalesce(j.maintain, false), j.target_id IS NOT NULL, j.reported > 0 AND (j.value IS NOT NULL OR j.kind = 'milestone'), j.met,
      j.due_on, p.ends_on, on_day, coalesce(deteriorating(j.direction, j.percentage, j.value, coalesce(j.b, j.was), j.t), false), j.pace),
    j.used
  FROM paced j;
END $$;

CREATE FUNCTION period_json(p period) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('code', p.code, 'kind', p.kind, 'starts_on', p.starts_on, 'ends_on', p.ends_on) $$;
CREATE FUNCTION indicator_brief(i indicator) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('code', i.code, 'name', i.name, 'unit', i.unit, 'kind', i.kind) $$;
CREATE FUNCTION target_brief(t target) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('organization', t.organization_code, 'comparator', t.comparator, 'value', t.value, 'stretch', t.stretch,
    'upper', t.upper, 'maintain', t.maintain, 'starts_on', t.starts_on, 'due_on', t.due_on) $$;
CREATE FUNCTION coverage_json(expected bigint, reporting bigint, not_applicable bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT concat('{"expected":', expected, ',"reporting":', reporting, ',"missing":', greatest(expected - reporting - not_applicable, 0),
    ',"not_applicable":', not_applicable, ',"rate":', coalesce(coverage_rate(expected, reporting, not_applicable)::text, 'null'), '}') $$;

-- The indicators that concern a unit in a period: those assigned in its subtree, and those it lies beneath a total of.
CREATE FUNCTION progress_indicators(unit_key text, p period, programme uuid) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE lines text[] COLLATE "C" := ancestor_keys(unit_key);
BEGIN
  RETURN ARRAY(SELECT i.id FROM indicator i
    WHERE (programme IS NULL OR i.programme_id = programme)
      AND (EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = i.id AND u.scope_key >= unit_key AND u.scope_key < unit_key || '~'
          AND u.validity && daterange(p.starts_on, p.ends_on, '[]'))
        OR EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = i.id AND u.scope_key = ANY (lines) AND u.mode = 'total'
          AND u.validity && daterange(p.starts_on, p.ends_on, '[]'))));
END $$;

-- The items of progress_rows as JSON, one text a unit. A unit below is given no item where it neither reports nor is to.
CREATE FUNCTION progress_items(unit_key text, p period, indicators uuid[], children boolean) RETURNS TABLE (key text, items text)
  LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
  WITH definition AS MATERIALIZED (
    SELECT i.id, i.code, concat('{"indicator":', indicator_brief(i), ',"aggregation":"', i.aggregation, '","value":') AS head,
      concat('","periods":', (SELECT coalesce(json_agg(q.code ORDER BY q.starts_on), '[]') FROM unnest(u.used) x JOIN period q ON q.id = x), '}') AS tail
    FROM indicator i, LATERAL (SELECT progress_periods(i.id, i.frequency, i.time_aggregation, i.programme_id, p, unit_key) AS used OFFSET 0) u
    WHERE i.id = ANY (indicators)
  ), aim AS MATERIALIZED (
    SELECT t.id, concat(',"target":', target_brief(t), ',"achievement":') AS json FROM target t WHERE t.indicator_id = ANY (indicators)
  )
  -- (sorted below: an ORDER BY within string_agg would sort every unit by itself, which costs more than all else here)
  SELECT x.key, string_agg(x.item, ',') FROM (
    SELECT r.key, concat(d.head, coalesce(r.value::text, 'null'),
      ',"numerator":', coalesce(r.numerator::text, 'null'), ',"denominator":', coalesce(r.denominator::text, 'null'),
      ',"coverage":', coverage_json(r.expected, r.reported, r.not_applicable), ',"own_value":', coalesce(r.own_value::text, 'null'),
      ',"baseline":', coalesce(r.baseline::text, 'null'), coalesce(a.json, ',"target":null,"achievement":'),
      coalesce(r.achievement::text, 'null'), ',"required":', coalesce(r.required::text, 'null'),
      ',"pace":', coalesce(r.pace::text, 'null'), ',"status":"', r.status, d.tail) AS item
    FROM progress_rows(unit_key, p, indicators, children) r JOIN definition d ON d.id = r.indicator_id LEFT JOIN aim a ON a.id = r.target_id
    WHERE r.key = unit_key OR r.expected > 0 OR r.reported + r.not_applicable > 0
    ORDER BY r.key, d.code COLLATE "C" OFFSET 0) x
  GROUP BY x.key;
END $$;
-- An indicator reported less often than the period asked for has no figure for it.
CREATE FUNCTION progress_without(indicators uuid[], p period) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT string_agg(concat('{"indicator":', indicator_brief(i), ',"aggregation":"', i.aggregation, '","value":null,"numerator":null,"denominator":null,'
      '"coverage":', coverage_json(0, 0, 0), ',"own_value":null,"baseline":', coalesce(i.baseline::text, 'null'), ',"target":null,"achievement":null,'
      '"required":null,"pace":null,"status":"not_assessable","periods":[]}'), ',' ORDER BY i.code)
    FROM indicator i WHERE i.id = ANY (indicators) AND cardinality(progress_periods(i.id, i.frequency, i.time_aggregation, i.programme_id, p, '')) = 0);
END $$;

CREATE FUNCTION progress(o_ref text, p_ref text, i_ref text, g_ref text, by text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  unit organization;
  p period;
  children boolean := by IS NOT DISTINCT FROM 'children';
  programme uuid := CASE WHEN g_ref IS NOT NULL THEN filter_programme(g_ref, 'programme') END;
  indicators uuid[];
  own text;
  below text := '';
BEGIN
  SELECT * INTO unit FROM organization o WHERE o.id = (SELECT filter_organization(o_ref, 'organization'));
  SELECT * INTO p FROM period q WHERE q.id = (SELECT filter_period(p_ref, 'period'));
  indicators := CASE WHEN i_ref IS NOT NULL THEN ARRAY[filter_indicator(i_ref, 'indicator')]
    ELSE progress_indicators(unit.scope_key, p, programme) END;
  IF i_ref IS NOT NULL AND (SELECT i.programme_id <> programme FROM indicator i WHERE i.id = indicators[1]) THEN
    PERFORM refuse(fault_parameter('programme', 'contradiction', 'the indicator belongs to another programme'));
  END IF;
  IF children THEN
    SELECT max(x.items) FILTER (WHERE x.key = unit.scope_key),
        coalesce(string_agg(concat('{"organization":', jsonb_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind),
          ',"items":[', x.items, ']}'), ',' ORDER BY o.scope_key) FILTER (WHERE x.key <> unit.scope_key), '')
      INTO own, below
      FROM progress_items(unit.scope_key, p, indicators, true) x
        JOIN (SELECT * FROM organization y WHERE y.parent_id = unit.id OR y.id = unit.id) o ON o.scope_key = x.key;
  ELSE
    SELECT x.items INTO own FROM progress_items(unit.scope_key, p, indicators, false) x;
  END IF;
  RETURN concat('{"organization":', jsonb_build_object('id', unit.id, 'code', unit.code, 'name', unit.name, 'kind', unit.kind),
    ',"period":', period_json(p), ',"items":[', concat_ws(',', own, progress_without(indicators, p)), ']',
    CASE WHEN children THEN concat(',"children":[', below, ']') END, '}');
END $$;

GRANT EXECUTE ON FUNCTION progress_periods(uuid, text, text, uuid, period, text), progress_rows(text, period, uuid[], boolean),
  period_json(period), indicator_brief(indicator), target_brief(target), coverage_json(bigint, bigint, bigint),
  progress_indicators(text, period, uuid), progress_items(text, period, uuid[], boolean), progress_without(uuid[], period),
  progress(text, text, text, text, text) TO tiendo_service;
