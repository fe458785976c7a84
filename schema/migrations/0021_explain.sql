-- Why a figure is what it is: the units behind it, those that pull it down, what lies beneath totals, the revisions that moved it,
-- and one sentence in Vietnamese.
SET search_path = tiendo, public;

-- ---- Vietnamese ---------------------------------------------------------------------------------------------
-- A number as written in Vietnamese: 12.345,68.
CREATE FUNCTION vi_number(n numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN n < 0 THEN '-' ELSE '' END
    || regexp_replace(split_part(r, '.', 1), '(\d)(?=(\d{3})+$)', '\1.', 'g')
    || CASE WHEN strpos(r, '.') > 0 THEN ',' || split_part(r, '.', 2) ELSE '' END
  FROM (SELECT trim_scale(round(abs(n), 2))::text AS r) x $$;
CREATE FUNCTION vi_day(d date) RETURNS text LANGUAGE sql STABLE AS $$ SELECT to_char(d, 'DD/MM/YYYY') $$;
-- A figure with its unit of measure.
CREATE FUNCTION vi_figure(n numeric, i indicator) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT vi_number(n) || CASE WHEN in_percent(i.kind, i.unit) THEN '%'
    WHEN i.kind = 'rank' THEN '' ELSE ' ' || CASE i.unit WHEN 'people' THEN 'người' WHEN 'enterprises' THEN 'doanh nghiệp'
      WHEN 'organizations' THEN 'tổ chức' WHEN 'units' THEN 'đơn vị' ELSE i.unit END END $$;
CREATE FUNCTION vi_period(p period) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE p.kind
    WHEN 'month' THEN 'Tháng ' || extract(month FROM p.starts_on) || '/' || extract(year FROM p.starts_on)
    WHEN 'quarter' THEN 'Quý ' || (ARRAY['I', 'II', 'III', 'IV'])[extract(quarter FROM p.starts_on)::int] || '/' || extract(year FROM p.starts_on)
    WHEN 'half_year' THEN '6 tháng ' || CASE WHEN extract(month FROM p.starts_on) = 1 THEN 'đầu' ELSE 'cuối' END || ' năm ' || extract(year FROM p.starts_on)
    WHEN 'nine_months' THEN '9 tháng đầu năm ' || extract(year FROM p.starts_on)
    WHEN 'year' THEN 'Năm ' || extract(year FROM p.starts_on)
    WHEN 'week' THEN 'Tuần ' || to_char(p.starts_on, 'FMIW') || '/' || to_char(p.starts_on, 'IYYY')
    ELSE coalesce(p.name, 'Giai đoạn ' || p.code) END $$;
CREATE FUNCTION vi_status(status text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE status
    WHEN 'achieved' THEN 'đã đạt' WHEN 'on_track' THEN 'đúng tiến độ' WHEN 'at_risk' THEN 'có nguy cơ chậm tiến độ'
    WHEN 'off_track' THEN 'chậm tiến độ' WHEN 'missed' THEN 'quá hạn mà chưa đạt' WHEN 'deteriorating' THEN 'đang xấu đi'
    WHEN 'not_achieved' THEN 'chưa đạt' WHEN 'not_assessable' THEN 'chưa đủ căn cứ để đánh giá tiến độ' ELSE 'chưa có số liệu' END $$;
-- What a target asks for.
CREATE FUNCTION vi_target(t target, i indicator) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE t.comparator
    WHEN 'milestone' THEN 'yêu cầu hoàn thành'
    WHEN 'range' THEN 'mục tiêu từ ' || vi_figure(t.value, i) || ' đến ' || vi_figure(t.upper, i)
    ELSE CASE WHEN i.kind = 'rank' THEN 'mục tiêu thuộc nhóm ' || vi_number(t.value) || ' dẫn đầu'
      WHEN t.comparator = 'le' THEN 'mục tiêu không quá ' || vi_figure(t.value, i)
      ELSE 'mục tiêu ' || vi_figure(t.value, i) END END
    || coalesce(CASE WHEN t.comparator = 'milestone' THEN ' chậm nhất ngày ' ELSE ' đến ngày ' END || vi_day(t.due_on), '') $$;

-- ---- the lists ----------------------------------------------------------------------------------------------
-- How much a unit's value falls short: of the target in the unit's own denominator (den · T − num; all of them together are what the
-- aggregate falls short), or else of the aggregate.
CREATE FUNCTION shortfall(i indicator, numerator numeric, denominator numeric, number numeric, done boolean, aim numeric) RETURNS numeric
  LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN i.direction = 'decrease' THEN -1 ELSE 1 END * CASE i.kind
    WHEN 'ratio' THEN denominator * coalesce(aim, 0) / 100 - numerator
    WHEN 'milestone' THEN CASE WHEN done THEN 0 ELSE 1 END
    ELSE coalesce(aim, 0) - number END $$;
CREATE FUNCTION value_figure(i indicator, numerator numeric, denominator numeric, number numeric, done boolean) RETURNS numeric
  LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE i.kind WHEN 'ratio' THEN percent(numerator, denominator) WHEN 'milestone' THEN CASE WHEN done THEN 1 WHEN done IS NOT NULL THEN 0 END
    ELSE number END $$;

-- Units with a value, those furthest behind first.
CREATE FUNCTION explain_units(i indicator, periods uuid[], key text, wanted_state text, aim numeric, most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('organization', x.organization_code, 'name', o.name,
      'category', nullif(x.category, ''), 'numerator', x.numerator, 'denominator', x.denominator,
      'value', value_figure(i, x.numerator, x.denominator, x.number, x.done), 'done_on', x.done_on, 'note', x.note, 'revision', x.version,
      'updated_at', tstz(x.updated_at))) ORDER BY x.n), '[]')
    FROM (SELECT v.*, row_number() OVER (ORDER BY shortfall(i, v.numerator, v.denominator, v.number, v.done, aim) DESC, v.scope_key, v.category) AS n
      FROM value v
      WHERE v.indicator_id = i.id AND v.period_id = ANY (periods) AND v.scope_key >= key AND v.scope_key < key || '~'
        AND v.state = wanted_state AND (v.counted OR v.scope_key = key)
      ORDER BY n LIMIT most) x
      LEFT JOIN organization o ON o.id = x.organization_id);
END $$;

-- Units that are to report and have not, in tree order; with categories, each category they have not reported.
CREATE FUNCTION explain_missing(i indicator, periods uuid[], key text, most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('organization', o.code, 'name', o.name, 'category', nullif(x.category, '')))
      ORDER BY x.scope_key, x.category), '[]')
    FROM (SELECT u.organization_id, u.scope_key, c.category
      FROM period q JOIN assignment_unit u ON u.indicator_id = i.id AND u.scope_key >= key AND u.scope_key < key || '~'
          AND u.counted AND u.validity @> q.ends_on,
        unnest(coalesce(i.categories, '{""}')) c(category)
      WHERE q.id = ANY (periods) AND NOT EXISTS (SELECT FROM value v WHERE v.indicator_id = i.id AND v.period_id = q.id
        AND v.scope_key = u.scope_key AND v.category = c.category)
      ORDER BY u.scope_key, c.category LIMIT most) x
      LEFT JOIN organization o ON o.id = x.organization_id);
END $$;

-- The units without which a ratio or an average would be better, by how much they fall short; of milestones, those not done.
--   without: the figure of all the others, over the periods as the figure itself is; effect: the figure less that. The best or worst
--   of several percentages is one period's alone: nobody pulls it.
CREATE FUNCTION explain_pulling(i indicator, periods uuid[], key text, aim numeric, most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  rule text := i.time_aggregation;
BEGIN
  IF i.aggregation NOT IN ('ratio_of_sums', 'average', 'count_done')
      OR (i.kind = 'ratio' AND rule IN ('min', 'max') AND cardinality(periods) > 1) THEN
    RETURN '[]';
  END IF;
  RETURN (
    WITH own AS MATERIALIZED (
      SELECT y.organization_id, y.organization_code, y.scope_key, y.period_id, sum(y.numerator) AS num, sum(y.denominator) AS den,
        sum(y.number) AS number, count(*) AS n, bool_and(y.done) AS done
      FROM value y
      WHERE y.indicator_id = i.id AND y.period_id = ANY (periods) AND y.scope_key >= key AND y.scope_key < key || '~'
        AND y.state = 'reported' AND y.counted
      GROUP BY 1, 2, 3, 4
    ), everybody AS MATERIALIZED (
      SELECT o.period_id, sum(o.num) AS num, sum(o.den) AS den, sum(o.number) AS number, sum(o.n) AS n FROM own o GROUP BY 1
    ), whole AS MATERIALIZED (
      SELECT CASE i.kind WHEN 'ratio' THEN 100 * sum(t.num) / nullif(sum(t.den), 0)
        ELSE over_time(rule, array_agg(t.number / t.n)) END AS figure FROM everybody t
    ), unit AS MATERIALIZED (
      SELECT o.organization_id, o.organization_code, o.scope_key, sum(o.num) AS num, sum(o.den) AS den,
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
      ORDER BY short DESC, effect, u.scope_key LIMIT most
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('organization', x.organization_code, 'name', o.name,
        'value', trim_scale(round(value_figure(i, x.num, x.den, x.number, x.done), 4)), 'without', trim_scale(round(x.without, 4)),
        'effect', trim_scale(round(x.effect, 4)), 'shortfall', trim_scale(round(x.short, 4))) ORDER BY x.short DESC, x.effect, x.scope_key), '[]')
    FROM first x LEFT JOIN organization o ON o.id = x.organization_id);
END $$;

-- Totals beside the sum of what the units beneath them report; a value beneath a nested total belongs to that one.
CREATE FUNCTION explain_beneath(i indicator, periods uuid[], key text, most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', o.code, 'name', o.name,
      'total', figures(NULL, x.t_numerator, x.t_denominator, x.t_number, NULL, NULL, NULL, NULL),
      'sum', figures(NULL, x.numerator, x.denominator, x.number, NULL, NULL, NULL, NULL),
      'difference', figures(NULL, x.t_numerator - x.numerator, x.t_denominator - x.denominator, x.t_number - x.number, NULL, NULL, NULL, NULL))
      ORDER BY x.scope_key), '[]')
    FROM (SELECT u.organization_id, u.scope_key, max(t.numerator) AS t_numerator, max(t.denominator) AS t_denominator, max(t.number) AS t_number,
        sum(b.numerator) AS numerator, sum(b.denominator) AS denominator, sum(b.number) AS number
      FROM period q
        JOIN assignment_unit u ON u.indicator_id = i.id AND u.scope_key >= key AND u.scope_key < key || '~' AND u.mode = 'total' AND u.validity @> q.ends_on
        JOIN value b ON b.indicator_id = i.id AND b.period_id = q.id AND b.scope_key > u.scope_key AND b.scope_key < u.scope_key || '~'
          AND b.state = 'reported' AND NOT b.counted
        LEFT JOIN LATERAL (SELECT sum(y.numerator) AS numerator, sum(y.denominator) AS denominator, sum(y.number) AS number FROM value y
          WHERE y.indicator_id = i.id AND y.period_id = q.id AND y.scope_key = u.scope_key) t ON true
      WHERE q.id = ANY (periods) AND i.kind IN ('ratio', 'number') AND NOT EXISTS (SELECT FROM assignment_unit z WHERE z.indicator_id = i.id
        AND z.mode = 'total' AND z.validity @> q.ends_on AND z.scope_key > u.scope_key AND z.scope_key = ANY (ancestor_keys(b.scope_key)))
      GROUP BY u.organization_id, u.scope_key
      ORDER BY u.scope_key LIMIT most) x
      JOIN organization o ON o.id = x.organization_id);
END $$;

-- The revisions made on a day or later, the latest first.
CREATE FUNCTION explain_moved(i indicator, periods uuid[], key text, since date, most int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE start timestamptz := since::timestamp AT TIME ZONE 'Asia/Ho_Chi_Minh';
BEGIN
  IF since IS NULL THEN RETURN '[]'; END IF;
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', x.organization_code, 'period', x.period_code, 'category', nullif(x.category, ''),
      'revision', x.version, 'changed_at', tstz(x.at), 'reason', x.reason, 'old', CASE WHEN w.value_id IS NOT NULL THEN
        figures(w.state, w.numerator, w.denominator, w.number, w.done_on, w.note, w.evidence_url, w.source) END,
      'new', CASE WHEN x.state <> 'deleted' THEN
        figures(x.state, x.numerator, x.denominator, x.number, x.done_on, x.note, x.evidence_url, x.source) END) ORDER BY x.at DESC, x.scope_key, x.version DESC), '[]')
    FROM (SELECT r.* FROM (
        SELECT v.id FROM value v WHERE v.indicator_id = i.id AND v.period_id = ANY (periods) AND v.scope_key >= key AND v.scope_key < key || '~'
          AND (v.counted OR v.scope_key = key) AND v.updated_at >= start
        UNION ALL
        SELECT d.value_id FROM value_revision d WHERE d.indicator_id = i.id AND d.period_id = ANY (periods) AND d.scope_key >= key
          AND d.scope_key < key || '~' AND d.state = 'deleted' AND d.at >= start) m(id)
        JOIN value_revision r ON r.value_id = m.id AND r.at >= start
      ORDER BY r.at DESC, r.scope_key, r.version DESC LIMIT most) x
      LEFT JOIN value_revision w ON w.value_id = x.value_id AND w.version = x.version - 1);
END $$;

-- The explanation in one sentence.
CREATE FUNCTION explain_sentence(unit organization, p period, i indicator, r record, t target, pulling jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  owed bigint := r.expected - r.not_applicable;
  worst jsonb := pulling -> 0;
  s text := format('%s, chỉ tiêu “%s” của %s ', vi_period(p), i.name, unit.name);
BEGIN
  s := s || CASE
    WHEN cardinality(r.periods) = 0 THEN 'không báo cáo theo kỳ này'
    WHEN r.reported = 0 OR (r.value IS NULL AND i.kind <> 'milestone') THEN 'chưa có số liệu'
    WHEN i.kind = 'ratio' AND r.numerator IS NOT NULL THEN format('đạt %s (%s/%s)', vi_figure(r.value, i), vi_number(r.numerator), vi_number(r.denominator))
    WHEN i.kind = 'rank' THEN 'xếp hạng ' || vi_number(r.value)
    WHEN i.kind = 'milestone' AND r.expected <= 1 THEN CASE WHEN r.value >= 1 THEN 'đã hoàn thành' ELSE 'chưa hoàn thành' END
    WHEN i.kind = 'milestone' THEN format('có %s/%s đơn vị hoàn thành', vi_number(r.value), vi_number(owed))
    ELSE 'đạt ' || vi_figure(r.value, i) END;
  IF r.expected > 1 OR (r.reported = 0 AND r.expected > 0) THEN
    s := s || format('; %s/%s đơn vị đã báo cáo', vi_number(r.reported), vi_number(owed))
      || CASE WHEN r.not_applicable > 0 THEN format(', %s đơn vị không áp dụng', vi_number(r.not_applicable)) ELSE '' END;
  END IF;
  IF t.id IS NOT NULL THEN
    s := s || '; ' || vi_target(t, i) || CASE WHEN r.status = 'no_data' THEN '' ELSE ': ' || vi_status(r.status) END;
  END IF;
  IF worst IS NOT NULL AND i.kind = 'milestone' THEN
    s := s || format('; chưa hoàn thành: %s%s', worst ->> 'name', CASE WHEN jsonb_array_length(pulling) > 1 THEN ' và các đơn vị khác' ELSE '' END);
  ELSIF worst IS NOT NULL THEN
    s := s || format('; kéo xuống nhiều nhất là %s (%s)', worst ->> 'name', vi_figure((worst ->> 'value')::numeric, i));
  END IF;
  RETURN s || '.';
END $$;

CREATE FUNCTION progress_explain(o_ref text, p_ref text, i_ref text, since date, top int) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  unit organization;
  p period;
  i indicator;
  t target;
  r record;
  aim numeric;
  most int := coalesce(top, 50);
  pulling jsonb;
BEGIN
  SELECT * INTO unit FROM organization o WHERE o.id = (SELECT filter_organization(o_ref, 'organization'));
  SELECT * INTO p FROM period q WHERE q.id = (SELECT filter_period(p_ref, 'period'));
  SELECT * INTO i FROM indicator x WHERE x.id = (SELECT filter_indicator(i_ref, 'indicator'));
  SELECT x.* INTO r FROM progress_rows(unit.scope_key, p, ARRAY[i.id], false) x;
  IF NOT FOUND THEN
    SELECT 0::bigint AS expected, 0::bigint AS reported, 0::bigint AS not_applicable, NULL::numeric AS numerator, NULL::numeric AS denominator,
      NULL::numeric AS value, NULL::uuid AS target_id, 'not_assessable' AS status, '{}'::uuid[] AS periods INTO r;
  END IF;
  SELECT * INTO t FROM target x WHERE x.id = r.target_id;
  aim := CASE WHEN t.comparator IN ('ge', 'le') THEN t.value ELSE r.value END;
  pulling := explain_pulling(i, r.periods, unit.scope_key, aim, most);
  RETURN jsonb_build_object('indicator', indicator_brief(i),
    'organization', jsonb_build_object('id', unit.id, 'code', unit.code, 'name', unit.name, 'kind', unit.kind), 'period', period_json(p),
    'formula', CASE i.aggregation WHEN 'ratio_of_sums' THEN '100 × Σ numerator / Σ denominator' WHEN 'sum' THEN 'Σ number' WHEN 'average' THEN 'Σ number / units'
      WHEN 'min' THEN 'min number' WHEN 'max' THEN 'max number' WHEN 'last' THEN 'latest number' WHEN 'count_done' THEN 'units done'
      ELSE CASE i.kind WHEN 'ratio' THEN '100 × numerator / denominator' ELSE 'own value' END END,
    'aggregation', i.aggregation, 'numerator', r.numerator, 'denominator', r.denominator, 'value', r.value,
    'coverage', coverage_json(r.expected, r.reported, r.not_applicable)::jsonb,
    'target', CASE WHEN t.id IS NOT NULL THEN target_brief(t) END, 'status', r.status,
    'periods', (SELECT coalesce(jsonb_agg(q.code ORDER BY q.starts_on), '[]') FROM period q WHERE q.id = ANY (r.periods)),
    'units_with_value', r.reported,
    'units', explain_units(i, r.periods, unit.scope_key, 'reported', aim, most),
    'missing', explain_missing(i, r.periods, unit.scope_key, most),
    'not_applicable', explain_units(i, r.periods, unit.scope_key, 'not_applicable', aim, most),
    'pulling_down', pulling,
    'beneath', explain_beneath(i, r.periods, unit.scope_key, most),
    'moved', explain_moved(i, r.periods, unit.scope_key, since, most),
    'sentence', explain_sentence(unit, p, i, r, t, pulling))::text;
END $$;

GRANT EXECUTE ON FUNCTION vi_number(numeric), vi_day(date), vi_figure(numeric, indicator), vi_period(period), vi_status(text),
  vi_target(target, indicator), shortfall(indicator, numeric, numeric, numeric, boolean, numeric),
  value_figure(indicator, numeric, numeric, numeric, boolean), explain_units(indicator, uuid[], text, text, numeric, int),
  explain_missing(indicator, uuid[], text, int), explain_pulling(indicator, uuid[], text, numeric, int),
  explain_beneath(indicator, uuid[], text, int), explain_moved(indicator, uuid[], text, date, int),
  explain_sentence(organization, period, indicator, record, target, jsonb), progress_explain(text, text, text, date, int)
  TO tiendo_service;
