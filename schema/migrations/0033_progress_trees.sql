-- Progress on two trees. current: the figures of any period on the tree of today, which is how keys and stored sums stand: an ended
-- unit that one successor took over adds up below it. reported: the tree as it stood when the figures were reported: every period
-- that is used is added up along the lines of its own last day, and the units named are those of the last day of the period asked
-- for, under the names and kinds of that day.
--   Apart (organization_carry): where a successor does not take over an indicator's history, its own row leaves the predecessor's
--   subtree out, whatever is shown of it: sums, coverage, explanation. All above it still count it, and so does the reported tree,
--   on which the predecessor stands where it stood.
--   What a caller may see goes by today's tree alone. On the reported tree a unit of that day may lie out of its sight: such units are
--   not counted, and coverage says how many they are (hidden).
--   preliminary: something was reported and something is still missing or hidden: the figure and its status may change.
SET search_path = tiendo, public;

-- The period that a filter names, or 422 with the forms that codes have.
CREATE OR REPLACE FUNCTION filter_period(ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := period_id(ref);
BEGIN
  IF found_id IS NULL THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference',
      'no such period; codes are such as 2026-M09, 2026-Q3, 2026-S1, 2026-9M, 2026-A1 (the year), or a phase as PROGRAMME.CODE'));
  END IF;
  RETURN found_id;
END $$;

DROP FUNCTION progress(text, text, text, text, text), progress_items(text, period, uuid[], boolean), progress_without(uuid[], period),
  progress_indicators(text, period, uuid), progress_rows(text, period, uuid[], boolean), progress_periods(uuid, text, text, uuid, period, text),
  coverage_json(bigint, bigint, bigint);
DROP FUNCTION progress_explain(text, text, text, date, int), explain_sentence(organization, period, indicator, record, target, jsonb),
  explain_units(indicator, uuid[], text, text, numeric, int), explain_missing(indicator, uuid[], text, int),
  explain_pulling(indicator, uuid[], text, numeric, int), explain_beneath(indicator, uuid[], text, int),
  explain_moved(indicator, uuid[], text, date, int);

-- The unit's key goes first, as with values: what is looked up here is looked up key by key, and a subtree that moves is one range.
ALTER TABLE rollup DROP CONSTRAINT rollup_pkey, ADD PRIMARY KEY (scope_key, indicator_id, period_id, category);
DROP INDEX rollup_key;

-- The subtree of a day, read from the index alone.
CREATE INDEX organization_closure_below ON organization_closure (ancestor_id) INCLUDE (descendant_id, depth, validity, scope_key);

-- ---- the tree of a day --------------------------------------------------------------------------------------
-- (Written as the owner, because what counts on a day must not depend on who asks; each applies the caller's scope itself, and begins
-- with the unit asked for being in sight.)
-- The units below a unit on the last days of periods that are to report an indicator and do not lie beneath a total on that day.
-- shown: the key of the unit of its own row: the child above it on that day, or the unit itself. A unit that the caller
-- does not see has no key.
CREATE FUNCTION reported_owed(unit uuid, indicators uuid[], periods uuid[], children boolean)
  RETURNS TABLE (indicator_id uuid, period_id uuid, shown text, scope_key text) LANGUAGE plpgsql STABLE ROWS 20000 SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp SET enable_mergejoin = off SET enable_sort = off AS $$
DECLARE
  seen keymultirange := area();
  readable keymultirange := scope();
  lp uuid[] := limited_programmes();
  ls text[] := limited_scopes();
  unit_key text := (SELECT o.scope_key FROM organization o WHERE o.id = unit AND o.scope_key <@ seen);
BEGIN
  IF unit_key IS NULL THEN RETURN; END IF;
  RETURN QUERY
  WITH day AS MATERIALIZED (
    SELECT q.id, q.ends_on FROM period q WHERE q.id = ANY (periods)
  ), kid AS MATERIALIZED (
    SELECT d.id, d.ends_on, c.descendant_id AS unit_id, CASE WHEN c.scope_key <@ seen THEN c.scope_key ELSE unit_key END AS shown
    FROM day d CROSS JOIN LATERAL (SELECT * FROM organization_closure x WHERE x.ancestor_id = unit AND x.depth = 1 OFFSET 0) c
    WHERE children AND c.validity @> d.ends_on
  ), member AS MATERIALIZED (
    SELECT d.id, d.ends_on, c.descendant_id AS unit_id, c.scope_key, unit_key AS shown
    FROM day d CROSS JOIN LATERAL (SELECT * FROM organization_closure x WHERE x.ancestor_id = unit AND (NOT children OR x.depth = 0) OFFSET 0) c
    WHERE c.validity @> d.ends_on
    UNION ALL
    SELECT k.id, k.ends_on, c.descendant_id, c.scope_key, k.shown
    FROM kid k CROSS JOIN LATERAL (SELECT * FROM organization_closure x WHERE x.ancestor_id = k.unit_id OFFSET 0) c
    WHERE c.validity @> k.ends_on
  ), assigned AS MATERIALIZED (
    SELECT m.id, m.ends_on, m.unit_id, m.scope_key, m.shown, a.indicator_id AS i_id, a.programme_id, a.mode
    FROM member m JOIN assignment_unit a ON a.scope_key = m.scope_key AND a.indicator_id = ANY (indicators) AND a.validity @> m.ends_on
  ), total AS (
    SELECT a.id, a.ends_on, a.unit_id, a.i_id FROM assigned a WHERE a.mode = 'total'
    UNION ALL
    SELECT d.id, d.ends_on, c.ancestor_id, a.indicator_id
    FROM day d JOIN organization_closure c ON c.descendant_id = unit AND c.depth > 0 AND c.validity @> d.ends_on
      JOIN organization o ON o.id = c.ancestor_id
      JOIN assignment_unit a ON a.scope_key = o.scope_key AND a.indicator_id = ANY (indicators) AND a.mode = 'total' AND a.validity @> d.ends_on
  ), beneath AS (
    SELECT DISTINCT t.id, t.i_id, c.descendant_id AS unit_id
    FROM total t CROSS JOIN LATERAL (SELECT * FROM organization_closure x WHERE x.ancestor_id = t.unit_id AND x.depth > 0 OFFSET 0) c
    WHERE c.validity @> t.ends_on
  )
  SELECT a.i_id, a.id, a.shown, CASE WHEN a.scope_key <@ readable OR in_limited(a.programme_id, a.scope_key, lp, ls) THEN a.scope_key END
  FROM assigned a LEFT JOIN beneath b ON b.id = a.id AND b.i_id = a.i_id AND b.unit_id = a.unit_id
  WHERE b.unit_id IS NULL;
END $$;

-- The indicators that were assigned in these days below a unit as the tree then was, or at or above it as a total.
CREATE FUNCTION reported_indicators(unit uuid, days daterange) RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM organization o WHERE o.id = unit AND o.scope_key <@ area()) THEN RETURN '{}'; END IF;
  RETURN ARRAY(
    SELECT a.indicator_id FROM organization_closure c JOIN assignment_unit a ON a.scope_key = c.scope_key AND a.validity && (c.validity * days)
    WHERE c.ancestor_id = unit AND c.validity && days
    UNION
    SELECT a.indicator_id FROM organization_closure c JOIN organization o ON o.id = c.ancestor_id
      JOIN assignment_unit a ON a.scope_key = o.scope_key AND a.mode = 'total' AND a.validity && (c.validity * days)
    WHERE c.descendant_id = unit AND c.validity && days);
END $$;

-- Totals of that day in a unit's subtree, and the units beneath them; one beneath a nested total belongs to that one. Only what the
-- caller sees of both.
CREATE FUNCTION reported_totals(unit uuid, i uuid, periods uuid[]) RETURNS TABLE (period_id uuid, total_key text, scope_key text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM organization o WHERE o.id = unit AND o.scope_key <@ area()) THEN RETURN; END IF;
  RETURN QUERY
  SELECT DISTINCT ON (q.id, b.scope_key) q.id, c.scope_key, b.scope_key
  FROM period q JOIN organization_closure c ON c.ancestor_id = unit AND c.validity @> q.ends_on
    JOIN assignment_unit a ON a.indicator_id = i AND a.scope_key = c.scope_key AND a.mode = 'total' AND a.validity @> q.ends_on
    JOIN organization_closure b ON b.ancestor_id = c.descendant_id AND b.depth > 0 AND b.validity @> q.ends_on
  WHERE q.id = ANY (periods) AND c.scope_key <@ area() AND b.scope_key <@ area()
  ORDER BY q.id, b.scope_key, b.depth;
END $$;

-- Whether the lines above and below a unit, with all names on them, are today what they were on a day and nothing is decided that changes
-- them: then the stored sums answer for that day too. (Where very much changed since, anywhere, it is not looked into.)
CREATE INDEX organization_span_changed ON organization_span ((greatest(lower(validity), upper(validity))));
CREATE FUNCTION tree_stands(unit uuid, since date) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE changed uuid[] := ARRAY(SELECT s.organization_id FROM organization_span s WHERE greatest(lower(s.validity), upper(s.validity)) > since LIMIT 101);
BEGIN
  RETURN cardinality(changed) <= 100
    AND NOT EXISTS (SELECT FROM unnest(changed) u JOIN organization_closure c
      ON (c.ancestor_id = unit AND c.descendant_id = u) OR (c.descendant_id = unit AND c.ancestor_id = u))
    -- (what ended and was taken over lies below by its key alone)
    AND NOT EXISTS (SELECT FROM organization o JOIN organization x ON x.id = ANY (changed) AND x.scope_key ^@ o.scope_key WHERE o.id = unit);
END $$;

-- The unit itself and those directly below it: on the tree of today, where those that ended and were taken over lie below the
-- successor, or on that of a day.
CREATE FUNCTION progress_units(place organization, reported boolean, on_day date, children boolean)
  RETURNS TABLE (scope_key text, code text, named jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE cut int := length(place.scope_key) + 6;
BEGIN
  IF reported THEN
    RETURN QUERY SELECT o.scope_key, o.code::text, jsonb_build_object('id', o.id, 'code', o.code, 'name', s.name, 'kind', s.kind)
    FROM organization_closure c JOIN organization o ON o.id = c.descendant_id
      JOIN organization_span s ON s.organization_id = c.descendant_id AND s.validity @> on_day
    WHERE c.ancestor_id = place.id AND c.validity @> on_day AND c.depth <= children::int ORDER BY c.depth, o.scope_key;
    RETURN;
  END IF;
  RETURN QUERY SELECT place.scope_key, place.code::text, jsonb_build_object('id', place.id, 'code', place.code, 'name', place.name, 'kind', place.kind);
  IF children THEN
    RETURN QUERY SELECT o.scope_key, o.code::text, jsonb_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind)
    FROM (SELECT x.id, x.scope_key, x.code, x.name, x.kind FROM organization x WHERE x.parent_id = place.id
      UNION SELECT x.id, x.scope_key, x.code, x.name, x.kind FROM organization_lineage l JOIN organization x ON x.id = l.predecessor_id WHERE l.successor_id = place.id) o
    WHERE length(o.scope_key) = cut AND o.scope_key ^@ place.scope_key
    ORDER BY o.scope_key;
  END IF;
END $$;

-- ---- which periods and indicators ---------------------------------------------------------------------------
-- Predecessors whose subtrees the rows of these units leave out.
CREATE FUNCTION progress_apart(indicators uuid[], keys text[]) RETURNS TABLE (indicator_id uuid, key text, gone text)
  LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM organization_carry c WHERE c.indicator_id = ANY (indicators)) THEN RETURN; END IF;
  RETURN QUERY
  SELECT c.indicator_id, s.scope_key, o.scope_key
  FROM organization_carry c JOIN organization s ON s.id = c.organization_id JOIN organization o ON o.id = c.predecessor_id
  WHERE c.indicator_id = ANY (indicators) AND s.scope_key = ANY (keys) AND o.scope_key ^@ s.scope_key
    -- (one that lies below another of them goes with it)
    AND NOT EXISTS (SELECT FROM organization_carry d JOIN organization p ON p.id = d.predecessor_id
      WHERE d.indicator_id = c.indicator_id AND d.organization_id = c.organization_id AND d.predecessor_id <> c.predecessor_id
        AND o.scope_key ^@ p.scope_key AND p.scope_key ^@ s.scope_key);
END $$;

-- An indicator with the periods whose values answer for the period asked for, in time order; none where it is reported less often.
CREATE TYPE progress_play AS (indicator_id uuid, used uuid[]);
CREATE FUNCTION progress_used(i indicator, p period, place organization, reported boolean) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  within uuid[];
  apart text[];
  q uuid;
BEGIN
  IF p.kind = i.frequency AND (p.programme_id IS NULL OR p.programme_id = i.programme_id) THEN RETURN ARRAY[p.id]; END IF;
  IF i.time_aggregation = 'none' THEN RETURN '{}'; END IF;
  within := ARRAY(SELECT x.id FROM period x WHERE x.kind = i.frequency AND x.starts_on BETWEEN p.starts_on AND p.ends_on AND x.ends_on <= p.ends_on
    AND x.starts_on <= today() AND (x.programme_id IS NULL OR x.programme_id = i.programme_id) ORDER BY x.starts_on);
  IF i.time_aggregation <> 'last' OR cardinality(within) < 2 THEN RETURN within; END IF;
  apart := ARRAY(SELECT a.gone FROM progress_apart(ARRAY[i.id], ARRAY[place.scope_key]) a WHERE NOT reported);
  FOR n IN REVERSE cardinality(within) .. 1 LOOP
    q := within[n];
    IF (CASE WHEN reported THEN EXISTS (SELECT FROM reported_owed(place.id, ARRAY[i.id], ARRAY[q], false) o
        JOIN value v ON v.indicator_id = i.id AND v.period_id = q AND v.scope_key = o.scope_key AND v.state = 'reported')
      ELSE EXISTS (SELECT FROM value v WHERE v.indicator_id = i.id AND v.period_id = q AND v.scope_key >= place.scope_key
        AND v.scope_key < place.scope_key || '~' AND v.counted AND v.state = 'reported'
        AND NOT EXISTS (SELECT FROM unnest(apart) g WHERE v.scope_key ^@ g)) END) THEN
      RETURN ARRAY[q];
    END IF;
  END LOOP;
  RETURN within[cardinality(within):];
END $$;
CREATE FUNCTION progress_plays(indicators uuid[], p period, place organization, reported boolean) RETURNS progress_play[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT (i.id, progress_used(i, p, place, reported))::progress_play FROM indicator i WHERE i.id = ANY (indicators) ORDER BY i.code COLLATE "C");
END $$;

-- The indicators that concern a unit in a period: those assigned in its subtree, and those it lies beneath a total of. A programme that
-- ended before the period concerns nobody any more.
CREATE FUNCTION progress_indicators(place organization, p period, programme uuid, reported boolean) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  lines text[] COLLATE "C" := ancestor_keys(place.scope_key);
  days daterange := daterange(p.starts_on, p.ends_on, '[]');
  then_assigned uuid[] := CASE WHEN reported THEN reported_indicators(place.id, days) END;
BEGIN
  RETURN ARRAY(SELECT i.id FROM indicator i JOIN programme g ON g.id = i.programme_id
    WHERE (programme IS NULL OR i.programme_id = programme) AND (g.ends_on IS NULL OR g.ends_on >= p.starts_on)
      AND CASE WHEN reported THEN i.id = ANY (then_assigned)
        ELSE EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = i.id AND u.scope_key >= place.scope_key AND u.scope_key < place.scope_key || '~'
            AND u.validity && days)
          OR EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = i.id AND u.scope_key = ANY (lines) AND u.mode = 'total'
            AND u.validity && days) END);
END $$;

-- ---- the figures --------------------------------------------------------------------------------------------
-- The target that holds for a unit: t the value asked for, b the baseline, share the part of the time that has passed.
CREATE TYPE progress_aim AS (indicator_id uuid, key text, id uuid, comparator text, t numeric, upper numeric, due_on date, b numeric,
  maintain boolean, share numeric);
-- A period whose values are used for an indicator. before: the period before them, where only it tells whether a figure is getting
-- worse. beneath: there are totals, so that units may have values that do not add up.
CREATE TYPE progress_pair AS (id uuid, period_id uuid, ends_on date, before boolean, aggregation text, figures int, plain boolean, beneath boolean);
-- Who is to report: all of a unit's subtree, and the unit itself.
CREATE TYPE progress_due AS (id uuid, period_id uuid, key text, expected int, own_expected int);

-- The targets of the unit and of each unit below that has one of its own. Above the unit the nearest holds: on the tree of today by key,
-- on that of a day by what stood above it then. Of several, the next one due, or else the last.
CREATE FUNCTION progress_aims(place organization, p period, plays progress_play[], keys text[], reported boolean) RETURNS SETOF progress_aim
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  lines text[] COLLATE "C" := CASE WHEN NOT reported THEN ancestor_keys(place.scope_key) ELSE '{}' END;
  above uuid[] := ARRAY(SELECT c.ancestor_id FROM organization_closure c
    WHERE reported AND c.descendant_id = place.id AND c.depth > 0 AND c.validity @> p.ends_on ORDER BY c.depth DESC);
  indicators uuid[] := ARRAY(SELECT y.indicator_id FROM unnest(plays) y);
BEGIN
  RETURN QUERY
  WITH held AS (
    SELECT t.*, coalesce(array_position(lines, t.scope_key), 100) AS near FROM target t
    WHERE t.indicator_id = ANY (indicators) AND t.scope_key = ANY (lines || keys)
    UNION ALL
    SELECT t.*, array_position(above, t.organization_id) FROM target t
    WHERE t.indicator_id = ANY (indicators) AND t.organization_id = ANY (above)
  )
  SELECT DISTINCT ON (h.indicator_id, g.key) h.indicator_id, g.key, h.id, h.comparator, h.value, h.upper, h.due_on,
    coalesce(h.baseline, i.baseline), h.maintain OR h.value = coalesce(h.baseline, i.baseline),
    elapsed(coalesce(h.starts_on, h.baseline_on, m.document_on), h.due_on, p.ends_on)
  FROM held h JOIN indicator i ON i.id = h.indicator_id JOIN programme m ON m.id = i.programme_id,
    LATERAL (SELECT CASE WHEN h.scope_key = ANY (keys) THEN h.scope_key ELSE place.scope_key END AS key) g
  ORDER BY h.indicator_id, g.key, h.near DESC, CASE WHEN coalesce(h.due_on, 'infinity') >= p.ends_on THEN h.due_on END,
    coalesce(h.due_on, 'infinity') < p.ends_on, h.due_on DESC;
END $$;

CREATE FUNCTION progress_pairs(p period, plays progress_play[], aims progress_aim[]) RETURNS progress_pair[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  on_day date := today();
BEGIN
  RETURN ARRAY(
    WITH play AS (
      SELECT i.*, y.used, coalesce(cardinality(i.categories), 1) AS figures,
        EXISTS (SELECT FROM assignment a WHERE a.indicator_id = i.id AND a.mode = 'total') AS beneath
      FROM unnest(plays) y JOIN indicator i ON i.id = y.indicator_id
    )
    SELECT (l.id, q.id, q.ends_on, false, l.aggregation, l.figures, l.categories IS NULL, l.beneath)::progress_pair
    FROM play l, unnest(l.used) x JOIN period q ON q.id = x
    UNION ALL
    SELECT (l.id, q.id, q.ends_on, true, l.aggregation, l.figures, l.categories IS NULL, l.beneath)::progress_pair
    FROM play l JOIN period f ON f.id = l.used[1] JOIN period q ON q.kind = f.kind AND q.ends_on = f.starts_on - 1
      AND q.programme_id IS NOT DISTINCT FROM f.programme_id
    WHERE l.kind IN ('ratio', 'number') AND l.aggregation IN ('ratio_of_sums', 'sum', 'average', 'none')
      AND EXISTS (SELECT FROM unnest(aims) a WHERE a.indicator_id = l.id AND a.b IS NULL AND a.comparator <> 'range'
        AND (a.due_on IS NULL OR a.due_on > p.ends_on OR a.due_on >= on_day)));
END $$;

-- On the tree of today: what adds to the stored sums of these units in these periods, or stands beside them. One row an indicator,
-- period and unit.
CREATE TYPE progress_sum AS (id uuid, period_id uuid, before boolean, key text, expected int, own_expected int, hidden int, reported int,
  not_applicable int, done int, numerator numeric, denominator numeric, number numeric, least numeric, most numeric, latest numeric,
  own_reported int, own_na int, own_done int, own_numerator numeric, own_denominator numeric, own_number numeric);
-- What a subtree that a unit leaves out had added to it, taken away again.
CREATE FUNCTION progress_less(gone text, x progress_pair) RETURNS TABLE (expected int, reported int, not_applicable int, done int,
    numerator numeric, denominator numeric, number numeric) LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
  SELECT -coalesce(sum(s.expected), 0)::int, -coalesce(sum(s.reported), 0)::int, -coalesce(sum(s.not_applicable), 0)::int,
    -coalesce(sum(s.done), 0)::int, -coalesce(sum(s.numerator), 0), -coalesce(sum(s.denominator), 0), -coalesce(sum(s.number), 0)
  FROM (
    SELECT 0 AS expected, r.reported, r.not_applicable, r.done, r.numerator, r.denominator, r.number
    FROM rollup r WHERE r.indicator_id = x.id AND r.period_id = x.period_id AND r.scope_key = gone
    UNION ALL
    SELECT 0, d.reported, d.not_applicable, d.done, d.numerator, d.denominator, d.number
    FROM rollup_delta d WHERE d.indicator_id = x.id AND d.period_id = x.period_id AND d.scope_key >= gone AND d.scope_key < gone || '~'
    UNION ALL
    SELECT 0, (v.state = 'reported')::int, (v.state <> 'reported')::int, (v.done IS TRUE)::int, v.numerator, v.denominator, v.number
    FROM value v WHERE v.indicator_id = x.id AND v.period_id = x.period_id AND v.scope_key = gone AND v.counted
    UNION ALL
    SELECT x.figures * c.units, 0, 0, 0, 0, 0, 0
    FROM assignment_count c WHERE NOT x.before AND c.indicator_id = x.id AND c.scope_key = gone AND c.validity @> x.ends_on) s;
END $$;
CREATE FUNCTION progress_more(keys text[], children boolean, pairs progress_pair[], dues progress_due[]) RETURNS SETOF progress_sum
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  unit_key text COLLATE "C" := keys[1];
  cut int := length(unit_key) + CASE WHEN children THEN 6 ELSE 0 END;
BEGIN
  RETURN QUERY
  WITH pair AS MATERIALIZED (SELECT * FROM unnest(pairs)
  ), apart AS MATERIALIZED (
    SELECT a.indicator_id, a.key, a.gone FROM progress_apart(ARRAY(SELECT DISTINCT x.id FROM pair x), keys) a
  ), holder AS (
    -- whose own values there can be: of those who are to report, and of all where there are totals
    SELECT x.id, x.period_id, x.before, d.key FROM pair x JOIN unnest(dues) d ON d.id = x.id AND (x.before OR d.period_id = x.period_id)
    WHERE d.own_expected > 0 AND NOT x.beneath
    UNION
    SELECT x.id, x.period_id, x.before, k FROM pair x, unnest(keys) k WHERE x.beneath
  ), part AS (
    -- of what has categories, each has a sum of its own
    SELECT x.id, x.period_id, x.before, r.scope_key AS key, 0 AS expected, r.reported::int, r.not_applicable::int, r.done::int, r.numerator, r.denominator, r.number,
      0 AS own_reported, 0 AS own_na, 0 AS own_done, NULL::numeric AS own_numerator, NULL::numeric AS own_denominator, NULL::numeric AS own_number
    FROM pair x, unnest(keys) k(key), LATERAL (SELECT * FROM rollup y WHERE y.indicator_id = x.id AND y.period_id = x.period_id
      AND y.scope_key = k.key OFFSET 0) r
    WHERE NOT x.plain
    UNION ALL
    -- what is not yet folded into the sums
    SELECT d.id, d.period_id, d.before, k, 0, d.reported, d.not_applicable, d.done, d.numerator, d.denominator, d.number, 0, 0, 0, NULL, NULL, NULL
    FROM (SELECT x.id, x.period_id, x.before, left(y.scope_key, cut) AS key, sum(y.reported)::int AS reported, sum(y.not_applicable)::int AS not_applicable,
        sum(y.done)::int AS done, sum(y.numerator) AS numerator, sum(y.denominator) AS denominator, sum(y.number) AS number
      FROM pair x, LATERAL (SELECT * FROM rollup_delta z WHERE z.indicator_id = x.id AND z.period_id = x.period_id
        AND z.scope_key >= unit_key AND z.scope_key < unit_key || '~' OFFSET 0) y
      GROUP BY 1, 2, 3, 4) d, unnest(CASE WHEN d.key = unit_key THEN ARRAY[unit_key] ELSE ARRAY[unit_key, d.key] END) k
    UNION ALL
    -- the units' own
    SELECT h.id, h.period_id, h.before, v.scope_key, 0, (v.counted AND v.state = 'reported')::int, (v.counted AND v.state <> 'reported')::int,
      (v.counted AND v.done IS TRUE)::int, CASE WHEN v.counted THEN v.numerator END, CASE WHEN v.counted THEN v.denominator END,
      CASE WHEN v.counted THEN v.number END, (v.state = 'reported')::int, (v.state <> 'reported')::int,
      (v.done IS TRUE)::int, v.numerator, v.denominator, v.number
    FROM holder h, LATERAL (SELECT * FROM value y WHERE y.indicator_id = h.id AND y.period_id = h.period_id AND y.scope_key = h.key OFFSET 0) v
    UNION ALL
    -- less what stands apart
    SELECT y.id, y.period_id, y.before, w.key, a.expected, a.reported, a.not_applicable, a.done, a.numerator, a.denominator, a.number, 0, 0, 0, NULL, NULL, NULL
    FROM apart w JOIN pair y ON y.id = w.indicator_id, LATERAL progress_less(w.gone, y) a
  ), extreme AS (
    -- what is no sum: the least, the most and the latest of all values
    SELECT x.id, x.period_id, x.before, g.key, min(v.number) AS least, max(v.number) AS most, (array_agg(v.number ORDER BY v.updated_at DESC, v.id DESC))[1] AS latest
    FROM pair x, LATERAL (SELECT * FROM value y WHERE y.indicator_id = x.id AND y.period_id = x.period_id
        AND y.scope_key >= unit_key AND y.scope_key < unit_key || '~' AND y.counted AND y.number IS NOT NULL OFFSET 0) v,
      unnest(CASE WHEN length(v.scope_key) < cut OR NOT children THEN ARRAY[unit_key] ELSE ARRAY[unit_key, left(v.scope_key, cut)] END) g(key)
    WHERE x.aggregation IN ('min', 'max', 'last') AND NOT x.before
      AND NOT EXISTS (SELECT FROM apart w WHERE w.indicator_id = x.id AND w.key = g.key AND v.scope_key ^@ w.gone)
    GROUP BY 1, 2, 3, 4
  ), summed AS (
    SELECT s.id, s.period_id, s.before, s.key, sum(s.expected) AS expected, sum(s.reported) AS reported, sum(s.not_applicable) AS not_applicable, sum(s.done) AS done,
      sum(s.numerator) AS numerator, sum(s.denominator) AS denominator, sum(s.number) AS number, sum(s.own_reported) AS own_reported,
      sum(s.own_na) AS own_na, sum(s.own_done) AS own_done, sum(s.own_numerator) AS own_numerator, sum(s.own_denominator) AS own_denominator,
      sum(s.own_number) AS own_number
    FROM part s GROUP BY 1, 2, 3, 4
  )
  SELECT coalesce(s.id, e.id), coalesce(s.period_id, e.period_id), coalesce(s.before, e.before), coalesce(s.key, e.key), s.expected::int, 0, 0, s.reported::int,
    s.not_applicable::int, s.done::int, s.numerator, s.denominator, s.number, e.least, e.most, e.latest, s.own_reported::int, s.own_na::int,
    s.own_done::int, s.own_numerator, s.own_denominator, s.own_number
  FROM summed s FULL JOIN extreme e ON e.id = s.id AND e.period_id = s.period_id AND e.before = s.before AND e.key = s.key;
END $$;

-- The same on the trees of the periods' own last days, where nothing is stored: all of it, from the values that were to be reported
-- below each unit.
CREATE FUNCTION progress_then(unit uuid, keys text[], children boolean, pairs progress_pair[]) RETURNS SETOF progress_sum LANGUAGE plpgsql STABLE
  SET enable_nestloop = off SET enable_mergejoin = off SET enable_sort = off AS $$
DECLARE unit_key text COLLATE "C" := keys[1];
BEGIN
  RETURN QUERY
  WITH pair AS MATERIALIZED (SELECT * FROM unnest(pairs)
  ), owed AS MATERIALIZED (
    SELECT o.indicator_id, o.period_id, o.shown, o.scope_key
    FROM reported_owed(unit, ARRAY(SELECT DISTINCT x.id FROM pair x), ARRAY(SELECT DISTINCT x.period_id FROM pair x), children) o
  ), low AS MATERIALIZED (SELECT min(o.scope_key) AS key FROM owed o
  ), high AS MATERIALIZED (SELECT max(o.scope_key) AS key FROM owed o
  ), due AS (
    SELECT x.id, x.period_id, x.before, o.shown, x.figures * count(o.scope_key) AS expected,
      x.figures * count(*) FILTER (WHERE o.scope_key = o.shown) AS own_expected, x.figures * count(*) FILTER (WHERE o.scope_key IS NULL) AS hidden
    FROM pair x JOIN owed o ON o.indicator_id = x.id AND o.period_id = x.period_id
    WHERE NOT x.before
    GROUP BY x.id, x.period_id, x.before, x.figures, o.shown
  ), seen AS MATERIALIZED (
    SELECT x.id, x.period_id, x.before, x.aggregation, v.*
    FROM pair x CROSS JOIN LATERAL (SELECT y.scope_key, y.state, y.done, y.numerator, y.denominator, y.number, y.updated_at, y.id AS value_id FROM value y
        WHERE y.indicator_id = x.id AND y.period_id = x.period_id
          AND y.scope_key >= (SELECT l.key FROM low l) AND y.scope_key <= (SELECT h.key FROM high h) OFFSET 0) v
  ), below AS (
    SELECT g.id, g.period_id, g.before, o.shown, count(*) FILTER (WHERE g.state = 'reported') AS reported, count(*) FILTER (WHERE g.state <> 'reported') AS not_applicable,
      count(*) FILTER (WHERE g.done) AS done, sum(g.numerator) AS numerator, sum(g.denominator) AS denominator, sum(g.number) AS number,
      min(g.number) AS least, max(g.number) AS most,
      -- day and id, 56 characters, and the figure
      max(concat(to_char(g.updated_at, 'YYYYMMDDHH24MISSUS'), g.value_id, g.number) COLLATE "C") FILTER (WHERE g.aggregation = 'last' AND g.number IS NOT NULL) AS latest
    FROM seen g JOIN owed o ON o.indicator_id = g.id AND o.period_id = g.period_id AND o.scope_key = g.scope_key
    GROUP BY 1, 2, 3, 4
  ), part AS (
    -- each under its own key, and all of them in the unit's row
    SELECT d.id, d.period_id, d.before, k.key, d.expected, CASE WHEN k.key = d.shown THEN d.own_expected ELSE 0 END AS own_expected, d.hidden, 0 AS reported,
      0 AS not_applicable, 0 AS done, NULL::numeric AS numerator, NULL::numeric AS denominator, NULL::numeric AS number, NULL::numeric AS least,
      NULL::numeric AS most, NULL AS latest, 0 AS own_reported, 0 AS own_na, 0 AS own_done, NULL::numeric AS own_numerator,
      NULL::numeric AS own_denominator, NULL::numeric AS own_number
    FROM due d, unnest(CASE WHEN d.shown = unit_key THEN ARRAY[unit_key] ELSE ARRAY[unit_key, d.shown] END) k(key)
    UNION ALL
    SELECT b.id, b.period_id, b.before, k.key, 0, 0, 0, b.reported, b.not_applicable, b.done, b.numerator, b.denominator, b.number, b.least, b.most, b.latest,
      0, 0, 0, NULL, NULL, NULL
    FROM below b, unnest(CASE WHEN b.shown = unit_key THEN ARRAY[unit_key] ELSE ARRAY[unit_key, b.shown] END) k(key)
    UNION ALL
    SELECT x.id, x.period_id, x.before, k.key, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, (v.state = 'reported')::int, (v.state <> 'reported')::int,
      (v.done IS TRUE)::int, v.numerator, v.denominator, v.number
    FROM pair x, unnest(keys) k(key), LATERAL (SELECT * FROM value y WHERE y.indicator_id = x.id AND y.period_id = x.period_id
      AND y.scope_key = k.key OFFSET 0) v
  )
  SELECT s.id, s.period_id, s.before, s.key, sum(s.expected)::int, sum(s.own_expected)::int, sum(s.hidden)::int, sum(s.reported)::int, sum(s.not_applicable)::int,
    sum(s.done)::int, sum(s.numerator), sum(s.denominator), sum(s.number), min(s.least), max(s.most),
    substr(max(s.latest COLLATE "C"), 57)::numeric, sum(s.own_reported)::int, sum(s.own_na)::int, sum(s.own_done)::int,
    sum(s.own_numerator), sum(s.own_denominator), sum(s.own_number)
  FROM part s GROUP BY s.id, s.period_id, s.before, s.key;
END $$;

-- One row for each indicator and unit: the unit whose key comes first and, for children, each of the others.
-- (each_key is unnest, but taken by the planner to give many: nested loops over hundreds of units would cost more than all else)
CREATE FUNCTION each_key(keys text[]) RETURNS SETOF text LANGUAGE plpgsql IMMUTABLE ROWS 1000 AS $$ BEGIN RETURN QUERY SELECT unnest(keys); END $$;
CREATE FUNCTION progress_rows(place organization, p period, plays progress_play[], keys text[], children boolean, reported_tree boolean)
  RETURNS TABLE (indicator_id uuid, key text, expected bigint, reported bigint, not_applicable bigint, hidden bigint, numerator numeric,
    denominator numeric, value numeric, own_value numeric, target_id uuid, baseline numeric, achievement numeric, required numeric, pace numeric,
    status text, periods uuid[])
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  unit_key text COLLATE "C" := keys[1];
  on_day date := today();
  aims progress_aim[] := ARRAY(SELECT a FROM progress_aims(place, p, plays, keys, reported_tree) a);
  pairs progress_pair[] := progress_pairs(p, plays, aims);
  dues progress_due[];
  more progress_sum[];
BEGIN
  IF reported_tree THEN
    more := ARRAY(SELECT s FROM progress_then(place.id, keys, children, pairs) s);
  ELSE
    dues := ARRAY(
      SELECT (x.id, x.period_id, k.key, x.figures * c.units, x.figures * c.own)::progress_due
      FROM unnest(pairs) x, each_key(keys) k(key), LATERAL (SELECT sum(y.units)::int AS units, sum(y.own)::int AS own FROM assignment_count y
        WHERE y.indicator_id = x.id AND y.scope_key = k.key AND y.validity @> x.ends_on) c
      WHERE NOT x.before AND c.units IS NOT NULL);
    more := ARRAY(SELECT s FROM progress_more(keys, children, pairs, dues) s);
  END IF;
  RETURN QUERY
  WITH play AS MATERIALIZED (
    SELECT i.id, i.kind, i.direction, i.aggregation, i.time_aggregation, in_percent(i.kind, i.unit) AS percentage, i.baseline,
      coalesce(cardinality(i.categories), 1) AS figures, y.used,
      -- by_period: what does not add up over units and over time is worked out for each period by itself
      cardinality(y.used) > 1 AS many, i.time_aggregation IN ('min', 'max', 'average') OR i.aggregation NOT IN ('ratio_of_sums', 'sum') AS by_period
    FROM unnest(plays) y JOIN indicator i ON i.id = y.indicator_id
  ), goal AS MATERIALIZED (
    SELECT l.*, g.key, a.id AS target_id, a.comparator, a.t, a.upper, a.due_on, coalesce(a.b, l.baseline) AS b, a.maintain, a.share
    FROM play l CROSS JOIN LATERAL (SELECT unit_key UNION SELECT y.key FROM unnest(aims) y WHERE y.indicator_id = l.id) g(key)
      LEFT JOIN unnest(aims) a ON a.indicator_id = l.id AND a.key = g.key
  ), cell AS (
    SELECT x.id, x.period_id, x.before, k.key, coalesce(d.expected, 0) + coalesce(e.expected, 0) AS expected,
      coalesce(d.own_expected, 0) + coalesce(e.own_expected, 0) AS own_expected, coalesce(e.hidden, 0) AS hidden,
      coalesce(r.reported::int, 0) + coalesce(e.reported, 0) AS reported, coalesce(r.not_applicable::int, 0) + coalesce(e.not_applicable, 0) AS not_applicable,
      coalesce(r.done::int, 0) + coalesce(e.done, 0) AS done, coalesce(r.numerator, 0) + coalesce(e.numerator, 0) AS numerator,
      coalesce(r.denominator, 0) + coalesce(e.denominator, 0) AS denominator, coalesce(r.number, 0) + coalesce(e.number, 0) AS number,
      e.least, e.most, e.latest, coalesce(e.own_reported, 0) AS own_reported, coalesce(e.own_na, 0) AS own_na, coalesce(e.own_done, 0) AS own_done,
      e.own_numerator, e.own_denominator, e.own_number
    FROM unnest(pairs) x CROSS JOIN each_key(keys) k(key)
      LEFT JOIN unnest(dues) d ON d.id = x.id AND d.period_id = x.period_id AND d.key = k.key AND NOT x.before
      LEFT JOIN unnest(more) e ON e.id = x.id AND e.period_id = x.period_id AND e.key = k.key AND e.before = x.before
      -- the stored sum of all below, which there can be where somebody below is to report or a delta says so
      LEFT JOIN LATERAL (SELECT * FROM rollup y WHERE x.plain AND NOT reported_tree AND (x.before OR k.key = unit_key OR d.expected > d.own_expected OR e.id IS NOT NULL)
        AND y.indicator_id = x.id AND y.period_id = x.period_id AND y.scope_key = k.key OFFSET 0) r ON true
    WHERE k.key = unit_key OR x.before OR d.id IS NOT NULL OR e.id IS NOT NULL
  ), summed AS (
    SELECT c.*, l.kind, l.aggregation, l.figures, l.many AND l.by_period AND NOT c.before AS by_period
    FROM cell c JOIN play l ON l.id = c.id
    WHERE c.before OR l.by_period OR NOT l.many
    UNION ALL
    SELECT c.id, NULL, false, c.key, sum(c.expected)::int, sum(c.own_expected)::int, sum(c.hidden)::int, sum(c.reported)::int, sum(c.not_applicable)::int,
      sum(c.done)::int, sum(c.numerator), sum(c.denominator), sum(c.number), NULL, NULL, NULL, sum(c.own_reported)::int, sum(c.own_na)::int,
      sum(c.own_done)::int, sum(c.own_numerator), sum(c.own_denominator), sum(c.own_number), l.kind, l.aggregation, l.figures, false
    FROM cell c JOIN play l ON l.id = c.id
    WHERE NOT c.before AND NOT l.by_period AND l.many
    GROUP BY c.id, c.key, l.kind, l.aggregation, l.figures
  ), figured AS MATERIALIZED (
    SELECT s.id, s.key, s.by_period, s.before,
      CASE WHEN c.which = 2 THEN s.own_expected ELSE s.expected END AS expected,
      CASE WHEN c.which = 2 THEN s.own_reported ELSE s.reported END AS reported,
      CASE WHEN c.which = 2 THEN s.own_na ELSE s.not_applicable END AS not_applicable,
      CASE WHEN c.which = 2 THEN 0 ELSE s.hidden END AS hidden,
      CASE c.which WHEN 2 THEN s.own_done WHEN 1 THEN s.done END AS done,
      CASE c.which WHEN 2 THEN s.own_numerator WHEN 1 THEN s.numerator END AS numerator,
      CASE c.which WHEN 2 THEN s.own_denominator WHEN 1 THEN s.denominator END AS denominator,
      -- what is stored of a ratio has a number too: 0
      CASE WHEN s.kind = 'ratio' THEN NULL WHEN c.which = 2 THEN s.own_number WHEN c.which = 0 OR s.reported = 0 THEN NULL
        ELSE CASE s.aggregation WHEN 'min' THEN s.least WHEN 'max' THEN s.most WHEN 'last' THEN s.latest
          WHEN 'average' THEN s.number / s.reported ELSE s.number END END AS number,
      s.own_reported, s.own_done, s.own_numerator, s.own_denominator, s.own_number
    FROM summed s,
      -- 1: the aggregate, 2: the unit's own value, 0: none, because there are several and they do not add up
      LATERAL (SELECT CASE WHEN s.before THEN CASE WHEN s.aggregation <> 'none' AND s.reported > 0 THEN 1 ELSE 2 END
        WHEN s.expected + s.hidden = 0 AND s.own_reported + s.own_na > 0 THEN 2
        WHEN s.aggregation <> 'none' THEN 1
        WHEN s.own_expected > 0 THEN 2
        WHEN s.expected + s.hidden <= s.figures THEN 1
        ELSE 0 END AS which) c
  ), timed AS (
    SELECT f.id, f.key, f.expected, f.reported, f.not_applicable, f.hidden, f.done, f.numerator, f.denominator, f.number,
      NULL::numeric AS least, NULL::numeric AS most, f.own_reported, f.own_done, f.own_numerator, f.own_denominator, f.own_number,
      NULL::numeric AS own_least, NULL::numeric AS own_most
    FROM figured f WHERE NOT f.by_period AND NOT f.before
    UNION ALL
    SELECT f.id, f.key, sum(f.expected)::int, sum(f.reported)::int, sum(f.not_applicable)::int, sum(f.hidden)::int, sum(f.done)::int,
      -- the least and the most of several percentages have no numerator and denominator
      CASE WHEN l.time_aggregation NOT IN ('min', 'max') THEN sum(f.numerator) END,
      CASE WHEN l.time_aggregation NOT IN ('min', 'max') THEN sum(f.denominator) END,
      CASE l.time_aggregation WHEN 'average' THEN avg(f.number) ELSE sum(f.number) END,
      min(coalesce(f.number, 100 * f.numerator / nullif(f.denominator, 0))),
      max(coalesce(f.number, 100 * f.numerator / nullif(f.denominator, 0))), sum(f.own_reported)::int, sum(f.own_done)::int, sum(f.own_numerator),
      sum(f.own_denominator), CASE l.time_aggregation WHEN 'average' THEN avg(f.own_number) ELSE sum(f.own_number) END,
      min(coalesce(f.own_number, 100 * f.own_numerator / nullif(f.own_denominator, 0))),
      max(coalesce(f.own_number, 100 * f.own_numerator / nullif(f.own_denominator, 0)))
    FROM figured f JOIN play l ON l.id = f.id WHERE f.by_period AND NOT f.before
    GROUP BY f.id, f.key, l.time_aggregation
  ), placed AS (
    SELECT c.id, c.key, c.expected, c.reported, c.not_applicable, c.hidden, c.done, c.numerator, c.denominator,
      l.kind, l.direction, l.percentage, l.used, l.target_id, l.comparator, l.t, l.upper, l.due_on, l.b, l.maintain, l.share,
      coalesce(w.number, 100 * w.numerator / nullif(w.denominator, 0)) AS was,
      CASE l.kind WHEN 'milestone' THEN CASE WHEN c.reported > 0 THEN c.done END
        ELSE CASE WHEN l.time_aggregation = 'min' AND c.least IS NOT NULL THEN c.least WHEN l.time_aggregation = 'max' AND c.most IS NOT NULL THEN c.most
          WHEN l.kind = 'ratio' THEN 100 * c.numerator / nullif(c.denominator, 0) ELSE c.number END END AS value,
      CASE l.kind WHEN 'milestone' THEN CASE WHEN c.own_reported > 0 THEN c.own_done END
        ELSE trim_scale(round(CASE WHEN l.time_aggregation = 'min' AND c.own_least IS NOT NULL THEN c.own_least
          WHEN l.time_aggregation = 'max' AND c.own_most IS NOT NULL THEN c.own_most
          WHEN l.kind = 'ratio' THEN 100 * c.own_numerator / nullif(c.own_denominator, 0) ELSE c.own_number END, 4)) END AS own_value
    FROM timed c LEFT JOIN unnest(aims) a ON a.indicator_id = c.id AND a.key = c.key AND a.key <> unit_key
      JOIN goal l ON l.id = c.id AND l.key = coalesce(a.key, unit_key)
      LEFT JOIN figured w ON w.id = c.id AND w.key = c.key AND w.before
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
  SELECT j.id, j.key, j.expected::bigint, j.reported::bigint, j.not_applicable::bigint, j.hidden::bigint,
    CASE WHEN j.kind = 'ratio' AND j.reported > 0 THEN j.numerator END, CASE WHEN j.kind = 'ratio' AND j.reported > 0 THEN j.denominator END,
    trim_scale(round(j.value, 4)), j.own_value, j.target_id, j.b, trim_scale(round(j.way, 6)),
    CASE WHEN NOT j.stepwise THEN trim_scale(round(required_path(j.direction, j.b, j.t, j.share), 4)) END,
    trim_scale(round(j.pace, 6)),
    progress_status(j.stepwise, coalesce(j.maintain, false), j.target_id IS NOT NULL, j.reported > 0 AND (j.value IS NOT NULL OR j.kind = 'milestone'), j.met,
      j.due_on, p.ends_on, on_day, coalesce(deteriorating(j.direction, j.percentage, j.value, coalesce(j.b, j.was), j.t), false), j.pace),
    j.used
  FROM paced j;
END $$;

-- ---- as answered --------------------------------------------------------------------------------------------
-- hidden: NULL on the tree of today, where nothing can be.
CREATE FUNCTION coverage_json(expected bigint, reporting bigint, not_applicable bigint, hidden bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT concat('{"expected":', expected, ',"reporting":', reporting, ',"missing":', greatest(expected - reporting - not_applicable, 0),
    ',"not_applicable":', not_applicable, ',"rate":', coalesce(coverage_rate(expected, reporting, not_applicable)::text, 'null'),
    ',"hidden":' || hidden, '}') $$;
-- Whether something was reported and something is still missing or out of sight.
CREATE FUNCTION preliminary(expected bigint, reporting bigint, not_applicable bigint, hidden bigint) RETURNS boolean LANGUAGE sql IMMUTABLE
  AS $$ SELECT reporting > 0 AND (expected > reporting + not_applicable OR hidden > 0) $$;

-- The items of progress_rows as JSON, one text a unit. A unit below is given no item where it neither reports nor is to.
CREATE FUNCTION progress_items(place organization, p period, plays progress_play[], keys text[], children boolean, reported_tree boolean, tell_hidden boolean)
  RETURNS TABLE (key text, items text) LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
  WITH definition AS MATERIALIZED (
    SELECT i.id, i.code, concat('{"indicator":', indicator_brief(i), ',"aggregation":"', i.aggregation, '","value":') AS head,
      concat(',"periods":', (SELECT coalesce(json_agg(q.code ORDER BY q.starts_on), '[]') FROM unnest(y.used) x JOIN period q ON q.id = x), '}') AS tail
    FROM unnest(plays) y JOIN indicator i ON i.id = y.indicator_id
  ), aim AS MATERIALIZED (
    SELECT t.id, concat(',"target":', target_brief(t), ',"achievement":') AS json FROM target t
    WHERE t.indicator_id = ANY (ARRAY(SELECT y.indicator_id FROM unnest(plays) y))
  )
  -- (sorted below: an ORDER BY within string_agg would sort every unit by itself, which costs more than all else here)
  SELECT x.key, string_agg(x.item, ',') FROM (
    SELECT r.key, concat(d.head, coalesce(r.value::text, 'null'),
      ',"numerator":', coalesce(r.numerator::text, 'null'), ',"denominator":', coalesce(r.denominator::text, 'null'),
      ',"coverage":', coverage_json(r.expected, r.reported, r.not_applicable, CASE WHEN tell_hidden THEN r.hidden END),
      ',"own_value":', coalesce(r.own_value::text, 'null'),
      ',"baseline":', coalesce(r.baseline::text, 'null'), coalesce(a.json, ',"target":null,"achievement":'),
      coalesce(r.achievement::text, 'null'), ',"required":', coalesce(r.required::text, 'null'),
      ',"pace":', coalesce(r.pace::text, 'null'), ',"status":"', r.status, '","preliminary":',
      CASE WHEN preliminary(r.expected, r.reported, r.not_applicable, r.hidden) THEN 'true' ELSE 'false' END, d.tail) AS item
    FROM progress_rows(place, p, plays, keys, children, reported_tree) r JOIN definition d ON d.id = r.indicator_id LEFT JOIN aim a ON a.id = r.target_id
    WHERE r.key = keys[1] OR r.expected > 0 OR r.reported + r.not_applicable > 0 OR r.hidden > 0
    ORDER BY r.key, d.code COLLATE "C" OFFSET 0) x
  GROUP BY x.key;
END $$;
-- An indicator reported less often than the period asked for has no figure for it.
CREATE FUNCTION progress_without(plays progress_play[]) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT string_agg(concat('{"indicator":', indicator_brief(i), ',"aggregation":"', i.aggregation, '","value":null,"numerator":null,"denominator":null,'
      '"coverage":', coverage_json(0, 0, 0, NULL), ',"own_value":null,"baseline":', coalesce(i.baseline::text, 'null'), ',"target":null,"achievement":null,'
      '"required":null,"pace":null,"status":"not_assessable","preliminary":false,"periods":[]}'), ',' ORDER BY i.code)
    FROM unnest(plays) y JOIN indicator i ON i.id = y.indicator_id WHERE cardinality(y.used) = 0);
END $$;

-- The unit a parameter names; on the tree of a period it must have existed on its last day.
CREATE FUNCTION progress_unit(ref text, p period, reported boolean) RETURNS organization LANGUAGE plpgsql STABLE AS $$
DECLARE place organization;
BEGIN
  SELECT * INTO place FROM organization o WHERE o.id = (SELECT filter_organization(ref, 'organization'));
  IF reported AND NOT EXISTS (SELECT FROM organization_span s WHERE s.organization_id = place.id AND s.validity @> p.ends_on) THEN
    PERFORM refuse(fault_parameter('organization', 'did_not_exist',
      format('%s did not exist on %s, the last day of %s; it can be read on the tree of today', place.code, p.ends_on, p.code)));
  END IF;
  RETURN place;
END $$;

CREATE FUNCTION progress(o_ref text, p_ref text, i_ref text, g_ref text, by text, tree text DEFAULT NULL) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  place organization;
  p period;
  children boolean := by IS NOT DISTINCT FROM 'children';
  reported boolean := tree IS NOT DISTINCT FROM 'reported';
  reported_tree boolean;
  programme uuid := CASE WHEN g_ref IS NOT NULL THEN filter_programme(g_ref, 'programme') END;
  plays progress_play[];
  keys text[];
  units jsonb[];
  items text[];
BEGIN
  SELECT * INTO p FROM period q WHERE q.id = (SELECT filter_period(p_ref, 'period'));
  place := progress_unit(o_ref, p, reported);
  reported_tree := reported AND NOT tree_stands(place.id, p.starts_on - 1);
  IF i_ref IS NOT NULL AND (SELECT i.programme_id <> programme FROM indicator i WHERE i.id = (SELECT filter_indicator(i_ref, 'indicator'))) THEN
    PERFORM refuse(fault_parameter('programme', 'contradiction', 'the indicator belongs to another programme'));
  END IF;
  plays := progress_plays(CASE WHEN i_ref IS NOT NULL THEN ARRAY[filter_indicator(i_ref, 'indicator')]
    ELSE progress_indicators(place, p, programme, reported_tree) END, p, place, reported_tree);
  SELECT array_agg(u.scope_key), array_agg(u.named) INTO keys, units FROM progress_units(place, reported_tree, p.ends_on, children) u;
  -- (its items at the place of its key)
  SELECT array_agg(x.items ORDER BY k.n) INTO items
  FROM unnest(keys) WITH ORDINALITY k(key, n) LEFT JOIN progress_items(place, p, plays, keys, children, reported_tree, reported) x ON x.key = k.key;
  RETURN concat('{"organization":', units[1], ',"period":', period_json(p), ',"tree":"', CASE WHEN reported THEN 'reported' ELSE 'current' END,
    '","items":[', concat_ws(',', items[1], progress_without(plays)), ']',
    CASE WHEN children THEN (SELECT concat(',"children":[', string_agg(concat('{"organization":', units[n], ',"items":[', items[n], ']}'), ',' ORDER BY n), ']')
      FROM generate_series(2, cardinality(keys)) n WHERE items[n] IS NOT NULL) END, '}');
END $$;

-- ---- why ----------------------------------------------------------------------------------------------------
-- What is looked at of a period. members: the keys of the units meant. owed: on the tree of a day, those whose values add up; NULL on the
-- tree of today, where the values are marked.
CREATE TYPE progress_view AS (period_id uuid, ends_on date, members keymultirange, owed keymultirange);
CREATE FUNCTION progress_views(place organization, i indicator, periods uuid[], reported boolean) RETURNS progress_view[] LANGUAGE plpgsql STABLE AS $$
DECLARE now_below keymultirange := keymultirange(subtree(place.scope_key))
  - coalesce((SELECT range_agg(subtree(a.gone)) FROM progress_apart(ARRAY[i.id], ARRAY[place.scope_key]) a), '{}');
BEGIN
  IF NOT reported THEN
    RETURN ARRAY(SELECT (q.id, q.ends_on, now_below, NULL)::progress_view FROM period q WHERE q.id = ANY (periods) ORDER BY q.starts_on);
  END IF;
  RETURN ARRAY(SELECT (q.id, q.ends_on,
      coalesce((SELECT range_agg(keyrange(c.scope_key, c.scope_key, '[]')) FROM organization_closure c
        WHERE c.ancestor_id = place.id AND c.validity @> q.ends_on), '{}'),
      coalesce((SELECT range_agg(keyrange(o.scope_key, o.scope_key, '[]')) FROM reported_owed(place.id, ARRAY[i.id], ARRAY[q.id], false) o
        WHERE o.scope_key IS NOT NULL), '{}'))::progress_view
    FROM period q WHERE q.id = ANY (periods) ORDER BY q.starts_on);
END $$;
-- Whether a value adds up in what is looked at.
CREATE FUNCTION progress_counts(w progress_view, key text, counted boolean) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN w.owed IS NULL THEN counted ELSE key <@ w.owed END $$;
-- A unit's name: today's, or that of the period's last day.
CREATE FUNCTION progress_name(unit uuid, w progress_view) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(CASE WHEN w.owed IS NOT NULL THEN
      (SELECT s.name FROM organization_span s WHERE s.organization_id = unit AND s.validity @> w.ends_on) END,
    (SELECT o.name FROM organization o WHERE o.id = unit));
END $$;

-- Units with a value, those furthest behind first.
CREATE FUNCTION explain_units(i indicator, views progress_view[], unit_key text, wanted_state text, aim numeric, most int) RETURNS jsonb
  LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('organization', x.organization_code, 'name', progress_name(x.organization_id, x.w),
      'category', nullif(x.category, ''), 'numerator', x.numerator, 'denominator', x.denominator,
      'value', value_figure(i, x.numerator, x.denominator, x.number, x.done), 'done_on', x.done_on, 'note', x.note, 'revision', x.version,
      'updated_at', tstz(x.updated_at))) ORDER BY x.n), '[]')
    FROM (SELECT v.*, w, row_number() OVER (ORDER BY shortfall(i, v.numerator, v.denominator, v.number, v.done, aim) DESC, v.scope_key, v.category) AS n
      FROM unnest(views) w, LATERAL (SELECT * FROM value y WHERE y.indicator_id = i.id AND y.period_id = w.period_id
        AND y.scope_key >= lower(w.members) AND y.scope_key <= upper(w.members) AND y.scope_key <@ w.members OFFSET 0) v
      WHERE v.state = wanted_state AND (progress_counts(w, v.scope_key, v.counted) OR v.scope_key = unit_key)
      ORDER BY n LIMIT most) x);
END $$;

-- Units that are to report and have not, in tree order; with categories, each category they have not reported.
CREATE FUNCTION explain_missing(i indicator, views progress_view[], most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('organization', o.code, 'name', progress_name(o.id, x.w), 'category', nullif(x.category, '')))
      ORDER BY x.scope_key, x.category), '[]')
    FROM (SELECT u.organization_id, u.scope_key, c.category, w
      FROM unnest(views) w, LATERAL (SELECT * FROM assignment_unit y WHERE y.indicator_id = i.id
          AND y.scope_key >= lower(w.members) AND y.scope_key <= upper(w.members) AND y.scope_key <@ w.members AND y.validity @> w.ends_on OFFSET 0) u,
        unnest(coalesce(i.categories, '{""}')) c(category)
      WHERE progress_counts(w, u.scope_key, u.counted) AND NOT EXISTS (SELECT FROM value v WHERE v.indicator_id = i.id AND v.period_id = w.period_id
        AND v.scope_key = u.scope_key AND v.category = c.category)
      ORDER BY u.scope_key, c.category LIMIT most) x
      LEFT JOIN organization o ON o.id = x.organization_id);
END $$;

-- The units without which a ratio or an average would be better, by how much they weigh on it; of milestones, those not done.
--   without: the figure of all the others, over the periods as the figure itself is; effect: the figure less that. The best or worst
--   of several percentages is one period's alone: nobody pulls it.
CREATE FUNCTION explain_pulling(i indicator, views progress_view[], aim numeric, most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  rule text := i.time_aggregation;
BEGIN
  IF i.aggregation NOT IN ('ratio_of_sums', 'average', 'count_done')
      OR (i.kind = 'ratio' AND rule IN ('min', 'max') AND cardinality(views) > 1) THEN
    RETURN '[]';
  END IF;
  RETURN (
    WITH own AS MATERIALIZED (
      SELECT y.organization_id, y.organization_code, y.scope_key, y.period_id, (array_agg(w))[1] AS w, sum(y.numerator) AS num, sum(y.denominator) AS den,
        sum(y.number) AS number, count(*) AS n, bool_and(y.done) AS done
      FROM unnest(views) w, LATERAL (SELECT * FROM value v WHERE v.indicator_id = i.id AND v.period_id = w.period_id
        AND v.scope_key >= lower(w.members) AND v.scope_key <= upper(w.members) AND v.scope_key <@ w.members AND v.state = 'reported' OFFSET 0) y
      WHERE progress_counts(w, y.scope_key, y.counted)
      GROUP BY 1, 2, 3, 4
    ), everybody AS MATERIALIZED (
      SELECT o.period_id, sum(o.num) AS num, sum(o.den) AS den, sum(o.number) AS number, sum(o.n) AS n FROM own o GROUP BY 1
    ), whole AS MATERIALIZED (
      SELECT CASE i.kind WHEN 'ratio' THEN 100 * sum(t.num) / nullif(sum(t.den), 0)
        ELSE over_time(rule, array_agg(t.number / t.n)) END AS figure FROM everybody t
    ), unit AS MATERIALIZED (
      SELECT o.organization_id, o.organization_code, o.scope_key, (array_agg(o.w))[1] AS w, sum(o.num) AS num, sum(o.den) AS den,
        over_time(rule, array_agg(o.number / o.n)) AS number, bool_and(o.done) AS done
      FROM own o GROUP BY 1, 2, 3
    ), others AS (
      SELECT u.scope_key, CASE i.kind WHEN 'ratio' THEN 100 * (sum(t.num) - sum(coalesce(o.num, 0))) / nullif(sum(t.den) - sum(coalesce(o.den, 0)), 0)
        ELSE over_time(rule, array_agg((t.number - coalesce(o.number, 0)) / nullif(t.n - coalesce(o.n, 0), 0))) END AS figure
      FROM unit u CROSS JOIN everybody t LEFT JOIN own o ON o.scope_key = u.scope_key AND o.period_id = t.period_id
      GROUP BY 1
    ), first AS (
      SELECT u.*, shortfall(i, u.num, u.den, u.number, u.done, aim) AS short, w.figure AS without, a.figure - w.figure AS effect
      FROM unit u JOIN others w ON w.scope_key = u.scope_key, whole a
      WHERE CASE WHEN i.kind = 'milestone' THEN u.done IS FALSE
        WHEN i.direction = 'decrease' THEN a.figure > w.figure ELSE a.figure < w.figure END
      ORDER BY abs(a.figure - w.figure) DESC, u.scope_key LIMIT most
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('organization', x.organization_code, 'name', progress_name(x.organization_id, x.w),
        'value', trim_scale(round(value_figure(i, x.num, x.den, x.number, x.done), 4)), 'without', trim_scale(round(x.without, 4)),
        'effect', trim_scale(round(x.effect, 4)), 'shortfall', trim_scale(round(x.short, 4))) ORDER BY abs(x.effect) DESC, x.scope_key), '[]')
    FROM first x);
END $$;

-- Totals beside the sum of what the units beneath them report; a value beneath a nested total belongs to that one.
CREATE FUNCTION explain_beneath(i indicator, views progress_view[], unit uuid, most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
    WITH beneath AS (
      SELECT w, u.scope_key AS total_key, b.scope_key
      FROM unnest(views) w CROSS JOIN LATERAL (SELECT * FROM assignment_unit y WHERE w.owed IS NULL AND y.indicator_id = i.id AND y.mode = 'total'
          AND y.scope_key >= lower(w.members) AND y.scope_key <= upper(w.members) AND y.scope_key <@ w.members AND y.validity @> w.ends_on OFFSET 0) u
        JOIN value b ON b.indicator_id = i.id AND b.period_id = w.period_id AND b.scope_key > u.scope_key AND b.scope_key < u.scope_key || '~'
      WHERE NOT EXISTS (SELECT FROM assignment_unit z WHERE z.indicator_id = i.id AND z.mode = 'total' AND z.validity @> w.ends_on
        AND z.scope_key > u.scope_key AND z.scope_key = ANY (ancestor_keys(b.scope_key)))
      UNION
      SELECT w, r.total_key, r.scope_key
      FROM unnest(views) w JOIN reported_totals(unit, i.id, ARRAY(SELECT x.period_id FROM unnest(views) x WHERE x.owed IS NOT NULL)) r ON r.period_id = w.period_id
    ), by_period AS (
      SELECT b.w, b.total_key, sum(v.numerator) AS numerator, sum(v.denominator) AS denominator, sum(v.number) AS number
      FROM beneath b JOIN value v ON v.indicator_id = i.id AND v.period_id = (b.w).period_id AND v.scope_key = b.scope_key
          AND v.state = 'reported' AND NOT progress_counts(b.w, v.scope_key, v.counted)
      WHERE i.kind IN ('ratio', 'number')
      GROUP BY b.w, b.total_key
    ), summed AS (
      SELECT b.total_key, (array_agg(b.w))[1] AS w, sum(t.numerator) AS t_numerator, sum(t.denominator) AS t_denominator, sum(t.number) AS t_number,
        sum(b.numerator) AS numerator, sum(b.denominator) AS denominator, sum(b.number) AS number
      FROM by_period b, LATERAL (SELECT sum(y.numerator) AS numerator, sum(y.denominator) AS denominator, sum(y.number) AS number FROM value y
        WHERE y.indicator_id = i.id AND y.period_id = (b.w).period_id AND y.scope_key = b.total_key) t
      GROUP BY b.total_key ORDER BY b.total_key LIMIT most
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('organization', o.code, 'name', progress_name(o.id, x.w),
      'total', figures(NULL, x.t_numerator, x.t_denominator, x.t_number, NULL, NULL, NULL, NULL),
      'sum', figures(NULL, x.numerator, x.denominator, x.number, NULL, NULL, NULL, NULL),
      'difference', figures(NULL, x.t_numerator - x.numerator, x.t_denominator - x.denominator, x.t_number - x.number, NULL, NULL, NULL, NULL))
      ORDER BY x.total_key), '[]')
    FROM summed x JOIN organization o ON o.scope_key = x.total_key);
END $$;

-- The revisions made on a day or later, the latest first.
CREATE FUNCTION explain_moved(i indicator, views progress_view[], unit_key text, since date, most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE start timestamptz := since::timestamp AT TIME ZONE 'Asia/Ho_Chi_Minh';
BEGIN
  IF since IS NULL THEN RETURN '[]'; END IF;
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', x.organization_code, 'period', x.period_code, 'category', nullif(x.category, ''),
      'revision', x.version, 'changed_at', tstz(x.at), 'reason', x.reason, 'old', CASE WHEN o.value_id IS NOT NULL THEN
        figures(o.state, o.numerator, o.denominator, o.number, o.done_on, o.note, o.evidence_url, o.source) END,
      'new', CASE WHEN x.state <> 'deleted' THEN
        figures(x.state, x.numerator, x.denominator, x.number, x.done_on, x.note, x.evidence_url, x.source) END) ORDER BY x.at DESC, x.scope_key, x.version DESC), '[]')
    FROM (SELECT r.* FROM (
        SELECT v.id FROM unnest(views) w, LATERAL (SELECT * FROM value y WHERE y.indicator_id = i.id AND y.period_id = w.period_id
          AND y.scope_key >= lower(w.members) AND y.scope_key <= upper(w.members) AND y.scope_key <@ w.members AND y.updated_at >= start OFFSET 0) v
        WHERE progress_counts(w, v.scope_key, v.counted) OR v.scope_key = unit_key
        UNION ALL
        SELECT d.value_id FROM unnest(views) w, LATERAL (SELECT * FROM value_revision y WHERE y.indicator_id = i.id AND y.period_id = w.period_id
          AND y.scope_key >= lower(w.members) AND y.scope_key <= upper(w.members) AND y.scope_key <@ w.members
          AND y.state = 'deleted' AND y.at >= start OFFSET 0) d) m(id)
        JOIN value_revision r ON r.value_id = m.id AND r.at >= start
      ORDER BY r.at DESC, r.scope_key, r.version DESC LIMIT most) x
      LEFT JOIN value_revision o ON o.value_id = x.value_id AND o.version = x.version - 1);
END $$;

-- What a figure is worked out from.
CREATE FUNCTION explain_formula(i indicator, vi boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE i.aggregation
    WHEN 'ratio_of_sums' THEN CASE WHEN vi THEN '100 × Σ tử số / Σ mẫu số' ELSE '100 × Σ numerator / Σ denominator' END
    WHEN 'sum' THEN CASE WHEN vi THEN 'Σ số liệu' ELSE 'Σ number' END
    WHEN 'average' THEN CASE WHEN vi THEN 'Σ số liệu / số đơn vị' ELSE 'Σ number / units' END
    WHEN 'min' THEN CASE WHEN vi THEN 'số liệu nhỏ nhất' ELSE 'min number' END
    WHEN 'max' THEN CASE WHEN vi THEN 'số liệu lớn nhất' ELSE 'max number' END
    WHEN 'last' THEN CASE WHEN vi THEN 'số liệu mới nhất' ELSE 'latest number' END
    WHEN 'count_done' THEN CASE WHEN vi THEN 'số đơn vị hoàn thành' ELSE 'units done' END
    ELSE CASE WHEN i.kind = 'ratio' THEN CASE WHEN vi THEN '100 × tử số / mẫu số' ELSE '100 × numerator / denominator' END
      WHEN vi THEN 'số liệu của chính đơn vị' ELSE 'own value' END END $$;

-- The figure, and of how many units it is.
CREATE FUNCTION explain_figure(i indicator, r record) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE owed bigint := r.expected - r.not_applicable;
BEGIN
  RETURN CASE
      WHEN cardinality(r.periods) = 0 THEN 'không báo cáo theo kỳ này'
      WHEN r.reported = 0 OR (r.value IS NULL AND i.kind <> 'milestone') THEN 'chưa có số liệu'
      WHEN i.kind = 'ratio' AND r.numerator IS NOT NULL THEN format('đạt %s (%s/%s)', vi_figure(r.value, i), vi_number(r.numerator), vi_number(r.denominator))
      WHEN i.kind = 'rank' THEN 'xếp hạng ' || vi_number(r.value)
      WHEN i.kind = 'milestone' AND r.expected <= 1 THEN CASE WHEN r.value >= 1 THEN 'đã hoàn thành' ELSE 'chưa hoàn thành' END
      WHEN i.kind = 'milestone' THEN format('có %s/%s đơn vị hoàn thành', vi_number(r.value), vi_number(owed))
      ELSE 'đạt ' || vi_figure(r.value, i) END
    || CASE WHEN r.expected > 1 OR (r.reported = 0 AND r.expected > 0) THEN
      format('; %s/%s đơn vị đã báo cáo', vi_number(r.reported), vi_number(owed))
        || CASE WHEN r.not_applicable > 0 THEN format(', %s đơn vị không áp dụng', vi_number(r.not_applicable)) ELSE '' END ELSE '' END
    || CASE WHEN r.hidden > 0 THEN format('; không tính %s đơn vị nằm ngoài phạm vi được xem', vi_number(r.hidden)) ELSE '' END;
END $$;

-- The explanation in one sentence. name: the unit's. assigned: the indicator is given to it or to a unit below it.
CREATE FUNCTION explain_sentence(name text, span text, i indicator, r record, t target, assigned boolean, pulling jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  worst jsonb := pulling -> 0;
  single boolean := i.kind = 'milestone' AND r.expected <= 1;
  s text;
BEGIN
  IF r.expected + r.reported + r.not_applicable + r.hidden = 0 AND NOT assigned THEN
    RETURN format('%s, chỉ tiêu “%s” không được giao cho %s.', span, i.name, name);
  ELSIF r.not_applicable > 0 AND r.reported = 0 AND r.expected <= r.not_applicable AND r.hidden = 0 THEN
    RETURN format('%s, chỉ tiêu “%s” không áp dụng đối với %s%s.', span, i.name, name,
      CASE WHEN r.expected > 1 THEN format('; cả %s đơn vị được giao đều không áp dụng', vi_number(r.expected)) ELSE '' END);
  END IF;
  s := format('%s, chỉ tiêu “%s” của %s %s', span, i.name, name, explain_figure(i, r));
  IF t.id IS NOT NULL THEN
    s := s || '; ' || vi_target(t, i) || CASE WHEN r.status = 'no_data' THEN ''
      WHEN single THEN CASE WHEN r.status = 'missed' THEN ': đã quá hạn' ELSE '' END
      ELSE ': ' || vi_status(r.status) || CASE WHEN preliminary(r.expected, r.reported, r.not_applicable, r.hidden) THEN ' (tạm tính)' ELSE '' END END;
  END IF;
  IF worst IS NOT NULL AND i.kind = 'milestone' THEN
    IF NOT single THEN
      s := s || format('; chưa hoàn thành: %s%s', worst ->> 'name', CASE WHEN jsonb_array_length(pulling) > 1 THEN ' và các đơn vị khác' ELSE '' END);
    END IF;
  ELSIF worst IS NOT NULL THEN
    s := s || format('; %s nhiều nhất là %s (%s)', CASE WHEN i.direction = 'decrease' THEN 'làm tăng' ELSE 'kéo xuống' END, worst ->> 'name',
      vi_figure((worst ->> 'value')::numeric, i));
  END IF;
  RETURN s || '.';
END $$;

CREATE FUNCTION progress_explain(o_ref text, p_ref text, i_ref text, since date, top int, tree text DEFAULT NULL, language text DEFAULT 'en') RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  place organization;
  p period;
  i indicator;
  t target;
  r record;
  aim numeric;
  most int := coalesce(top, 50);
  reported_tree boolean := tree IS NOT DISTINCT FROM 'reported';
  plays progress_play[];
  views progress_view[];
  named jsonb;
  pulling jsonb;
BEGIN
  SELECT * INTO p FROM period q WHERE q.id = (SELECT filter_period(p_ref, 'period'));
  place := progress_unit(o_ref, p, reported_tree);
  SELECT * INTO i FROM indicator x WHERE x.id = (SELECT filter_indicator(i_ref, 'indicator'));
  plays := progress_plays(ARRAY[i.id], p, place, reported_tree);
  named := (SELECT u.named FROM progress_units(place, reported_tree, p.ends_on, false) u);
  SELECT x.* INTO r FROM progress_rows(place, p, plays, ARRAY[place.scope_key], false, reported_tree) x;
  IF NOT FOUND THEN
    SELECT 0::bigint AS expected, 0::bigint AS reported, 0::bigint AS not_applicable, 0::bigint AS hidden, NULL::numeric AS numerator,
      NULL::numeric AS denominator, NULL::numeric AS value, NULL::uuid AS target_id, 'not_assessable' AS status, '{}'::uuid[] AS periods INTO r;
  END IF;
  SELECT * INTO t FROM target x WHERE x.id = r.target_id;
  aim := CASE WHEN t.comparator IN ('ge', 'le') THEN t.value ELSE r.value END;
  views := progress_views(place, i, r.periods, reported_tree);
  pulling := explain_pulling(i, views, aim, most);
  RETURN jsonb_build_object('indicator', indicator_brief(i), 'organization', named, 'period', period_json(p),
    'tree', CASE WHEN reported_tree THEN 'reported' ELSE 'current' END, 'formula', explain_formula(i, language = 'vi'),
    'aggregation', i.aggregation, 'numerator', r.numerator, 'denominator', r.denominator, 'value', r.value,
    'coverage', coverage_json(r.expected, r.reported, r.not_applicable, CASE WHEN reported_tree THEN r.hidden END)::jsonb,
    'target', CASE WHEN t.id IS NOT NULL THEN target_brief(t) END, 'status', r.status,
    'preliminary', preliminary(r.expected, r.reported, r.not_applicable, r.hidden),
    'periods', (SELECT coalesce(jsonb_agg(q.code ORDER BY q.starts_on), '[]') FROM period q WHERE q.id = ANY (r.periods)),
    'units_with_value', r.reported,
    'units', explain_units(i, views, place.scope_key, 'reported', aim, most),
    'missing', explain_missing(i, views, most),
    'not_applicable', explain_units(i, views, place.scope_key, 'not_applicable', aim, most),
    'pulling_down', pulling,
    'beneath', explain_beneath(i, views, place.id, most),
    'moved', explain_moved(i, views, place.scope_key, since, most),
    'sentence', explain_sentence(named ->> 'name',
      vi_period(p) || CASE WHEN reported_tree THEN format(' (theo tổ chức ngày %s)', vi_day(p.ends_on)) ELSE '' END,
      i, r, t, i.id = ANY (progress_indicators(place, p, i.programme_id, reported_tree)), pulling))::text;
END $$;

-- ---- beneath a total ----------------------------------------------------------------------------------------
-- What lies beneath a total is a matter of the day: a figure reported beneath one never adds up, wherever its unit lies now, and one that
-- was reported beside it does, though its unit was taken over meanwhile. So the lines of those days decide, not today's keys.
CREATE OR REPLACE FUNCTION assignment_expand(p_indicator uuid, low text, high text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  totals boolean := EXISTS (SELECT FROM assignment a WHERE a.indicator_id = p_indicator AND a.mode = 'total');
  k text;
BEGIN
  WITH claim AS MATERIALIZED (
    SELECT c.*, a.programme_id, a.mode, a.entered_by, a.source, a.client_id
    FROM assignment_claims(p_indicator, low, high) c JOIN assignment a ON a.id = c.assignment_id
  ), total AS MATERIALIZED (
    SELECT c.organization_id, c.days FROM claim c WHERE totals AND c.mode = 'total'
    UNION ALL
    SELECT u.organization_id, datemultirange(u.validity) FROM assignment_unit u
    WHERE totals AND u.indicator_id = p_indicator AND u.mode = 'total' AND (u.scope_key < low OR u.scope_key >= high)
  ), beneath AS (
    SELECT x.descendant_id AS organization_id, range_agg(t.days * datemultirange(x.validity)) AS days
    FROM total t JOIN organization_closure x ON x.ancestor_id = t.organization_id AND x.depth > 0 AND x.scope_key >= low AND x.scope_key < high
    GROUP BY x.descendant_id
  ), wanted AS MATERIALIZED (
    SELECT c.assignment_id, p_indicator AS indicator_id, c.programme_id, c.organization_id, c.scope_key, c.mode, c.entered_by,
      c.source, c.client_id, d.validity, part.counted
    FROM claim c LEFT JOIN beneath b USING (organization_id),
      LATERAL (VALUES (c.days - coalesce(b.days, '{}'), true), (c.days * coalesce(b.days, '{}'), false)) part(days, counted),
      LATERAL unnest(part.days) d(validity)
  ), gone AS (
    DELETE FROM assignment_unit u WHERE u.indicator_id = p_indicator AND u.scope_key >= low AND u.scope_key < high
      AND NOT EXISTS (SELECT FROM wanted w WHERE w.organization_id = u.organization_id AND w.assignment_id = u.assignment_id
        AND w.validity = u.validity AND w.counted = u.counted AND w.entered_by = u.entered_by
        AND (w.source, w.client_id) IS NOT DISTINCT FROM (u.source, u.client_id))
  )
  INSERT INTO assignment_unit
  SELECT w.* FROM wanted w WHERE NOT EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = p_indicator
    AND u.scope_key >= low AND u.scope_key < high AND w.organization_id = u.organization_id AND w.assignment_id = u.assignment_id
    AND w.validity = u.validity AND w.counted = u.counted AND w.entered_by = u.entered_by
    AND (w.source, w.client_id) IS NOT DISTINCT FROM (u.source, u.client_id));
  PERFORM recount_begin('on');
  UPDATE value v SET counted = NOT v.counted
  FROM period p
  WHERE v.indicator_id = p_indicator AND v.scope_key >= low AND v.scope_key < high AND p.id = v.period_id
    AND v.counted <> EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = v.indicator_id
      AND u.scope_key = v.scope_key AND u.counted AND u.validity @> p.ends_on);
  PERFORM recount_end();
  -- Units that ever stood beneath the totals of this range and lie elsewhere now: each by itself. (A range of one key holds no
  -- total but the unit's own, whose units are looked at from here already.)
  IF totals AND high <> low || '!' THEN
    FOR k IN SELECT DISTINCT x.scope_key FROM organization_closure o JOIN organization_closure x ON x.ancestor_id = o.descendant_id
        WHERE o.depth = 0 AND o.scope_key >= low AND o.scope_key < high AND x.depth > 0 AND (x.scope_key < low OR x.scope_key >= high)
          AND EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = p_indicator AND u.scope_key = x.scope_key)
          AND (EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = p_indicator AND u.scope_key = o.scope_key AND u.mode = 'total')
            OR EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = p_indicator AND u.scope_key = x.scope_key AND NOT u.counted))
        ORDER BY 1 LOOP
      PERFORM assignment_expand(p_indicator, k, k || '!');
    END LOOP;
  END IF;
END $$;

-- ---- entry sheets come back ---------------------------------------------------------------------------------
-- A version that is there and blank says that there was no value when the row was made: if there is one by now, another than
-- the row's, the row is refused like any other that is out of date.
CREATE OR REPLACE FUNCTION value_import_fault(strategy text, seen bigint, version text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN seen IS NULL AND strategy IN ('update', 'delete') THEN '# not_found'
    WHEN seen IS NOT NULL AND strategy = 'create' THEN '# already_exists'
    WHEN coalesce(seen::text, '') <> version THEN '#/version version_conflict' END $$;
CREATE OR REPLACE FUNCTION value_import_outcome(strategy text, faults text[], blank boolean, seen bigint, version text, same boolean) RETURNS text
  LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN faults IS NOT NULL THEN 'failed'
    WHEN blank AND strategy = 'upsert' THEN 'unchanged'
    WHEN version = '' AND same AND strategy IN ('upsert', 'update') THEN 'unchanged'
    WHEN value_import_fault(strategy, seen, version) IS NOT NULL THEN 'failed'
    WHEN strategy = 'delete' THEN 'delete'
    WHEN seen IS NULL THEN 'create'
    WHEN same THEN 'unchanged'
    ELSE 'update' END $$;

-- import_item: every row as it is meant, what is wrong with it (pairs of pointer and code), and what there is of it already.
CREATE OR REPLACE FUNCTION value_import_judge(strategy text, scheme text) RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  by_day boolean := scheme NOT IN ('code', 'id');
  on_day date := today();
  client uuid := me_client();
  programmes uuid[] := limited_write_programmes();
  areas text[] := limited_write_scopes();
  assigned uuid[] := ARRAY(SELECT x.id FROM import_indicator x WHERE x.id IS NOT NULL);
BEGIN
  CREATE TEMP TABLE import_item ON COMMIT DROP AS
  WITH given AS MATERIALIZED (
    SELECT r.row, r.line, r.id, r.indicator, r.organization, r.period, coalesce(r.category, '') AS category,
      nullif(btrim(r.numerator), '') AS numerator, nullif(btrim(r.denominator), '') AS denominator, nullif(btrim(r.number), '') AS number,
      nullif(btrim(r.done_on), '') AS done_on, lower(nullif(btrim(r.done), '')) AS done, coalesce(nullif(btrim(r.state), ''), 'reported') AS state,
      nullif(r.note, '') AS note, nullif(r.evidence_url, '') AS evidence_url, nullif(r.source, '') AS source, nullif(r.reason, '') AS reason,
      btrim(r.version) AS version, nullif(btrim(r.state), '') AS said,
      coalesce(r.numerator, '') || coalesce(r.denominator, '') || coalesce(r.number, '') || coalesce(r.done_on, '') || coalesce(r.done, '')
        || coalesce(r.state, '') = '' AS blank,
      r.faults AS form
    FROM import_row r
  ), meant AS MATERIALIZED (
    SELECT g.*, i.id AS indicator_id, i.code AS indicator_code, i.kind, i.frequency, i.categories, i.source_required, i.programme_id,
      p.id AS period_id, p.code AS period_code, p.kind AS period_kind, p.programme_id AS period_programme, p.starts_on, p.ends_on,
      o.id AS organization_id, o.code AS organization_code, o.scope_key, o.fault AS unit_fault, o.above, o.life,
      o.direct OR (programmes IS NOT NULL AND in_limited(i.programme_id, o.scope_key, programmes, areas)) AS direct, o.behalf,
      u.mode, u.entered_by, u.source AS assigned_source, u.client_id AS assigned_client, coalesce(u.counted, false) AS counted,
      -- without a day it was done on, and without a word on it, a milestone that is reported is not done
      CASE WHEN i.kind = 'milestone' AND g.said = 'reported' AND g.done_on IS NULL THEN coalesce(g.done, 'false') ELSE g.done END AS undone,
      i.id IS NOT NULL AND strategy <> 'delete' AND g.form IS NULL AND NOT (g.blank AND strategy = 'upsert') AS bodily
    FROM given g
      LEFT JOIN import_indicator i ON i.ref = g.indicator
      LEFT JOIN import_period p ON p.ref = g.period
      LEFT JOIN import_unit o ON o.ref = g.organization AND o.day = CASE WHEN by_day THEN p.ends_on ELSE 'infinity' END
      LEFT JOIN (SELECT * FROM assignment_unit x WHERE x.indicator_id = ANY (assigned)) u
        ON u.indicator_id = i.id AND u.scope_key = o.scope_key AND u.validity @> p.ends_on
  ), judged AS (
    SELECT m.*, row_number() OVER (PARTITION BY m.indicator_id, m.period_id, m.scope_key, m.category ORDER BY m.row) AS nth
    FROM meant m
  ), weighed AS (
  SELECT j.row, j.line, j.id, j.category, j.indicator_id, j.indicator_code, j.programme_id,
    j.period_id, j.period_code, j.organization_id, j.organization_code, j.scope_key, j.counted, j.state, j.note, j.evidence_url, j.source,
    j.reason, j.version, j.form, j.blank, j.numerator, j.denominator, j.number, j.done_on, j.undone AS done,
    CASE WHEN coalesce(f.indicator, f.organization, f.period, f.category, f.assigned, f.written, f.repeated, f.state, f.numerator,
        f.denominator, f.number, f.done, f.note, f.evidence_url, f.source, f.version) IS NOT NULL THEN
      array_remove(ARRAY['#/indicator ' || f.indicator, '#/organization ' || f.organization, '#/period ' || f.period, '#/category ' || f.category,
        '#/organization ' || f.assigned, '#/organization ' || f.written, '# ' || f.repeated, '#/state ' || f.state,
        '#/numerator ' || f.numerator, '#/denominator ' || f.denominator, '#/number ' || f.number, '#/done_on ' || f.done,
        '#/note ' || f.note, '#/evidence_url ' || f.evidence_url, '#/source ' || f.source, '#/version ' || f.version], NULL) END AS faults,
    e.id AS value_id, e.version AS seen, e.same
  FROM judged j,
    LATERAL (SELECT
      CASE WHEN j.indicator_id IS NULL AND j.indicator IS NOT NULL THEN 'unknown_reference' END AS indicator,
      CASE WHEN j.organization_id IS NULL AND j.organization IS NOT NULL AND (j.period_id IS NOT NULL OR NOT by_day) THEN coalesce(j.unit_fault, 'unknown_reference') END AS organization,
      CASE WHEN j.period IS NULL THEN NULL WHEN j.period_id IS NULL THEN 'unknown_reference' WHEN j.indicator_id IS NOT NULL
        THEN period_fault(j.frequency, j.programme_id, j.period_kind, j.period_programme, j.starts_on, on_day) END AS period,
      CASE WHEN j.indicator_id IS NOT NULL THEN category_fault(j.categories, j.category) END AS category,
      CASE WHEN j.indicator_id IS NULL OR j.organization_id IS NULL OR j.period_id IS NULL OR j.mode IS NOT NULL OR NOT j.direct THEN NULL
        WHEN NOT j.life @> j.ends_on OR NOT EXISTS (SELECT FROM assignment_unit t WHERE t.indicator_id = j.indicator_id AND t.scope_key = ANY (j.above)
          AND t.mode = 'total' AND t.validity @> j.ends_on) THEN 'not_assigned' END AS assigned,
      CASE WHEN j.indicator_id IS NULL OR j.organization_id IS NULL THEN NULL
        WHEN NOT (j.direct OR (j.behalf AND j.entered_by IS NOT DISTINCT FROM 'superior')) THEN 'forbidden'
        ELSE source_refusal(j.assigned_source, j.assigned_client, client) END AS written,
      CASE WHEN j.nth > 1 AND j.indicator_id IS NOT NULL AND j.organization_id IS NOT NULL AND j.period_id IS NOT NULL THEN 'repeated' END AS repeated,
      CASE WHEN j.bodily THEN state_fault(j.state) END AS state,
      CASE WHEN j.bodily THEN numerator_fault(j.kind, j.state, j.numerator) END AS numerator,
      CASE WHEN j.bodily THEN denominator_fault(j.kind, j.state, j.numerator, j.denominator) END AS denominator,
      CASE WHEN j.bodily THEN number_fault(j.kind, j.state, j.number) END AS number,
      CASE WHEN j.bodily THEN done_fault(j.kind, j.state, j.undone, j.done_on, j.ends_on, on_day) END AS done,
      CASE WHEN length(j.note) > 2000 THEN 'too_long' END AS note,
      CASE WHEN j.bodily THEN evidence_fault(j.evidence_url) END AS evidence_url,
      CASE WHEN j.bodily THEN source_fault(j.source_required, j.state, j.source) END AS source,
      CASE WHEN j.version <> '' AND j.version !~ '^[1-9][0-9]{0,17}$' THEN 'number' END AS version) f
    LEFT JOIN LATERAL (SELECT v.id, v.version,
        v.state = j.state AND (v.note, v.evidence_url, v.source) IS NOT DISTINCT FROM (j.note, j.evidence_url, j.source)
        AND CASE WHEN v.number IS NOT NULL THEN CASE WHEN number_ok(j.number) THEN j.number::numeric = v.number END
          WHEN v.numerator IS NOT NULL THEN CASE WHEN number_ok(j.numerator) AND number_ok(j.denominator)
            THEN j.numerator::numeric = v.numerator AND j.denominator::numeric = v.denominator END
          WHEN v.done THEN j.done_on = v.done_on::text
          WHEN v.done IS NOT NULL THEN j.done_on IS NULL
          ELSE true END AS same
      FROM value v
      WHERE v.indicator_id = j.indicator_id AND v.period_id = j.period_id AND v.scope_key = j.scope_key AND v.category = j.category
      LIMIT 1) e ON true
  OFFSET 0)
  SELECT w.*, CASE WHEN w.form IS NOT NULL THEN 'failed'
    ELSE value_import_outcome(strategy, w.faults, w.blank, w.seen, w.version, w.same) END AS outcome
  FROM weighed w
  ORDER BY w.indicator_id, w.period_id, w.scope_key, w.category, w.row;
END $$;

DO $do$
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tiendo'::regnamespace AND (p.proname LIKE 'progress%'
      OR p.proname IN ('reported_owed', 'reported_indicators', 'reported_totals', 'coverage_json', 'preliminary')
      OR p.proname IN ('explain_units', 'explain_missing', 'explain_pulling', 'explain_beneath', 'explain_moved', 'explain_formula', 'explain_figure',
        'explain_sentence', 'each_key', 'tree_stands')) LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tiendo_service', f);
  END LOOP;
END $do$;
