-- What changed in a report between two of its submissions, or since one of them; and its consolidation: what the reports sent to a unit
-- say together, gathered into that unit's own draft.
SET search_path = tiendo, public;

-- The draft's figures as they stand now, in the shape of a submission's: what the unit entered, and what was consolidated.
CREATE FUNCTION report_figures_now(r report) RETURNS SETOF report_figure LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
    SELECT r.id, 0, c.position, c.indicator_id, c.period_id, c.category, false, c.indicator_code, c.indicator_name, c.unit, c.kind, c.period_code, c.state,
      c.numerator, c.denominator, c.number, c.done, c.done_on, c.note, c.source, c.value_id, c.revision, NULL::int, NULL::int, NULL::jsonb
    FROM report_cells(r.id) c WHERE c.value_id IS NOT NULL
    UNION ALL
    SELECT r.id, 0, 100000 + d.position, i.id, p.id, t.category, true, i.code::text, i.name, i.unit, i.kind, p.code, 'reported', t.numerator, t.denominator,
      t.number, NULL, NULL, NULL, NULL, NULL, NULL, t.reported_units, t.expected_units, t.parts
    FROM report_total t JOIN indicator i ON i.id = t.indicator_id JOIN period p ON p.id = t.period_id
      LEFT JOIN report_duty_indicator d ON d.duty_id = r.duty_id AND d.indicator_id = t.indicator_id
    WHERE t.report_id = r.id;
END $$;

-- ---- what changed ------------------------------------------------------------------------------------------
CREATE FUNCTION change_of(was boolean, now_is boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN was AND now_is THEN 'changed' WHEN was THEN 'removed' ELSE 'added' END $$;
-- One figure of a report, as an image of what was said.
CREATE FUNCTION report_figure_image(f report_figure) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN f.indicator_id IS NOT NULL THEN jsonb_build_object('numerator', f.numerator, 'denominator', f.denominator, 'number', f.number,
    'percent', tiendo.percent(f.numerator, f.denominator), 'done_on', f.done_on, 'state', f.state, 'note', f.note, 'source', f.source,
    'reported_units', f.reported_units, 'expected_units', f.expected_units) END $$;

-- What was gathered into a section: which reports came, went, or were sent anew.
CREATE FUNCTION gathered_changes(was jsonb, now_is jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('report', coalesce(n.g, o.g) ->> 'report', 'organization', coalesce(n.g, o.g) ->> 'organization',
      'name', coalesce(n.g, o.g) ->> 'name', 'change', tiendo.change_of(o.g IS NOT NULL, n.g IS NOT NULL),
      'versions', jsonb_build_array(o.g -> 'version', n.g -> 'version'), 'old', o.g ->> 'text', 'new', n.g ->> 'text')
    ORDER BY coalesce(n.at, o.at)), '[]')
  FROM jsonb_array_elements(coalesce(nullif(was, 'null'), '[]')) WITH ORDINALITY o(g, at)
    FULL JOIN jsonb_array_elements(coalesce(nullif(now_is, 'null'), '[]')) WITH ORDINALITY n(g, at) ON n.g ->> 'report' = o.g ->> 'report'
  WHERE (o.g ->> 'text') IS DISTINCT FROM (n.g ->> 'text') $$;

CREATE FUNCTION section_changes(was jsonb, now_is jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('code', c.code, 'title', c.title, 'change', tiendo.change_of(c.was_there, c.is_there),
    'old', c.old, 'new', c.new, 'gathered', c.gathered) ORDER BY c.at), '[]')
  FROM (SELECT coalesce(n.s, o.s) ->> 'code' AS code, coalesce(n.s, o.s) ->> 'title' AS title, nullif(o.s ->> 'text', '') AS old, nullif(n.s ->> 'text', '') AS new,
      tiendo.gathered_changes(o.s -> 'gathered', n.s -> 'gathered') AS gathered, coalesce(n.at, 1000 + o.at) AS at,
      coalesce(o.s ->> 'text', '') <> '' OR jsonb_array_length(coalesce(nullif(o.s -> 'gathered', 'null'), '[]')) > 0 AS was_there,
      coalesce(n.s ->> 'text', '') <> '' OR jsonb_array_length(coalesce(nullif(n.s -> 'gathered', 'null'), '[]')) > 0 AS is_there
    FROM jsonb_array_elements(was) WITH ORDINALITY o(s, at)
      FULL JOIN jsonb_array_elements(now_is) WITH ORDINALITY n(s, at) ON n.s ->> 'code' = o.s ->> 'code') c
  WHERE c.old IS DISTINCT FROM c.new OR c.gathered <> '[]' $$;

-- The figures that differ; of one that stayed as it was the revision alone tells nothing.
CREATE FUNCTION figure_changes(was report_figure[], now_is report_figure[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('indicator', coalesce((c.n).indicator_code, (c.o).indicator_code),
      'name', coalesce((c.n).indicator_name, (c.o).indicator_name), 'period', coalesce((c.n).period_code, (c.o).period_code),
      'category', nullif(coalesce((c.n).category, (c.o).category), ''), 'consolidated', coalesce((c.n).consolidated, (c.o).consolidated),
      'change', tiendo.change_of((c.o).indicator_id IS NOT NULL, (c.n).indicator_id IS NOT NULL),
      'old', tiendo.report_figure_image(c.o), 'new', tiendo.report_figure_image(c.n),
      'revisions', jsonb_build_array((c.o).revision, (c.n).revision))
    ORDER BY coalesce((c.n).position, (c.o).position), coalesce((c.n).period_code, (c.o).period_code), coalesce((c.n).category, (c.o).category),
      coalesce((c.n).consolidated, (c.o).consolidated)), '[]')
  FROM (SELECT was_f AS o, now_f AS n FROM unnest(was) was_f FULL JOIN unnest(now_is) now_f ON now_f.indicator_id = was_f.indicator_id
      AND now_f.period_id = was_f.period_id AND now_f.category = was_f.category AND now_f.consolidated = was_f.consolidated) c
  WHERE tiendo.report_figure_image(c.o) IS DISTINCT FROM tiendo.report_figure_image(c.n) $$;

-- The submission to compare with; to: the one it is compared with, NULL for the draft. Refuses where there is none.
CREATE FUNCTION report_compared_with(r report, since text, until int) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE n int;
BEGIN
  CASE coalesce(since, 'submission')
    WHEN 'submission' THEN
      n := (SELECT max(v.n) FROM report_version v WHERE v.report_id = r.id AND (until IS NULL OR (v.n < until AND v.withdrawn_at IS NULL)));
      IF n IS NULL THEN
        PERFORM refuse(fault_parameter('since', 'nothing_to_compare', CASE WHEN until IS NULL THEN 'the report has not been submitted yet'
          ELSE 'there is no earlier submission' END));
      END IF;
    WHEN 'approval' THEN
      n := (SELECT max(v.n) FROM report_version v WHERE v.report_id = r.id
        AND v.accepted_as = CASE r.acceptance WHEN 'approval' THEN 'approved' ELSE 'received' END AND (until IS NULL OR v.n <= until));
      IF n IS NULL THEN
        PERFORM refuse(fault_parameter('since', 'nothing_to_compare', 'no submission up to this one has been received or approved'));
      END IF;
    ELSE
      n := (SELECT v.n FROM report_version v WHERE v.report_id = r.id AND v.n = since::int);
      PERFORM refuse(CASE WHEN n IS NULL THEN fault_parameter('since', 'unknown_reference', 'the report has no such submission')
        WHEN n >= until THEN fault_parameter('since', 'nothing_to_compare', 'it must come before the one it is compared with') END);
  END CASE;
  RETURN n;
END $$;

CREATE FUNCTION report_changes(ref text, since text, until text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  r report := (SELECT x FROM report x WHERE x.id = path_report(ref));
  seen text := report_view(r, NULL, NULL);
  last_n int;
  first_n int;
  v report_version;
  w report_version;
BEGIN
  IF until IS NULL THEN
    PERFORM refuse(CASE WHEN seen = 'none' THEN fault_parameter('since', 'nothing_to_compare', 'the report has not been submitted yet') END);
    until := CASE seen WHEN 'draft' THEN 'draft' ELSE r.shown::text END;
  END IF;
  IF until = 'draft' THEN
    -- a draft is not there for anyone but who writes it, nor while the report is out of their hands
    IF seen <> 'draft' THEN PERFORM fail(404, 'not_found'); END IF;
  ELSE
    last_n := until::int;
    SELECT * INTO w FROM report_version x WHERE x.report_id = r.id AND x.n = last_n;
    PERFORM refuse(CASE WHEN w.n IS NULL THEN fault_parameter('to', 'unknown_reference', 'the report has no such submission') END);
  END IF;
  first_n := report_compared_with(r, since, last_n);
  SELECT * INTO v FROM report_version x WHERE x.report_id = r.id AND x.n = first_n;
  IF last_n IS NULL THEN
    w.sections := report_draft_sections(r)::jsonb;
    SELECT d.number, d.issued_on INTO w.number, w.issued_on FROM report_draft d WHERE d.report_id = r.id;
  END IF;
  RETURN json_build_object('from', json_build_object('n', first_n, 'at', tstz(v.submitted_at)),
    'to', json_build_object('draft', last_n IS NULL, 'n', last_n, 'at', tstz(w.submitted_at)),
    'sections', section_changes(v.sections, w.sections),
    'figures', figure_changes(ARRAY(SELECT f FROM report_figure f WHERE f.report_id = r.id AND f.n = first_n),
      CASE WHEN last_n IS NULL THEN ARRAY(SELECT f FROM report_figures_now(r) f)
        ELSE ARRAY(SELECT f FROM report_figure f WHERE f.report_id = r.id AND f.n = last_n) END),
    'number', CASE WHEN v.number IS DISTINCT FROM w.number THEN json_build_object('old', v.number, 'new', w.number) END,
    'issued_on', CASE WHEN v.issued_on IS DISTINCT FROM w.issued_on THEN json_build_object('old', v.issued_on, 'new', w.issued_on) END)::text;
END $$;

-- ---- consolidation -----------------------------------------------------------------------------------------
-- The reports that a unit's report is put together from: those of its programme that are addressed to the unit, of the duties named, for a period
-- within the report's own; without duties named, those whose period ends with it, and those that stand for one that does. Only what the
-- caller sees. taken: it has come in, as far as asked for; where nobody accepts, what was submitted counts as received.
CREATE FUNCTION report_sources(t report, duties uuid[], states text[]) RETURNS TABLE (id uuid, n int, organization_id uuid, code text, scope_key text,
    name text, state text, taken boolean) LANGUAGE plpgsql STABLE AS $$
DECLARE
  tp period := (SELECT p FROM period p WHERE p.id = t.period_id);
  seats uuid[] := CASE WHEN t.organization_id = ANY (me_seats()) THEN me_seats() ELSE ARRAY[t.organization_id] END;
BEGIN
  RETURN QUERY
    SELECT s.id, s.shown, s.organization_id, s.organization_code, s.scope_key, o.name, s.state,
      s.shown IS NOT NULL AND (s.state = ANY (states) OR (s.acceptance = 'none' AND s.state = 'submitted' AND 'received' = ANY (states)))
    FROM report s JOIN organization o ON o.id = s.organization_id LEFT JOIN period p ON p.id = s.period_id
    WHERE s.recipient_id = ANY (seats) AND s.programme_id = t.programme_id AND s.organization_id <> ALL (seats)
      AND s.state NOT IN ('waived', 'withdrawn') AND (duties IS NULL OR s.duty_id = ANY (duties))
      AND CASE WHEN tp.id IS NULL THEN s.period_id IS NULL
        ELSE (p.starts_on >= tp.starts_on AND (p.ends_on = tp.ends_on OR (duties IS NOT NULL AND p.ends_on <= tp.ends_on)))
          OR (p.starts_on <= tp.starts_on AND p.ends_on = tp.ends_on AND EXISTS (SELECT FROM report_duty_stands_for f
            WHERE f.duty_id = s.duty_id AND period_part(tp.code) = ANY (f.periods))) END
      AND report_in_dialogue(s.programme_id, s.scope_key, s.recipient_id)
    ORDER BY s.scope_key, p.starts_on, s.id;
END $$;

-- What the submissions taken say in the sections that the report has too, by section: in tree order, what is empty left out.
CREATE FUNCTION report_gathered(t report, taken uuid[]) RETURNS TABLE (code text, gathered jsonb) LANGUAGE sql STABLE
  SET search_path = tiendo, public, pg_temp AS $$
  SELECT d.code, jsonb_agg(jsonb_build_object('report', s.id, 'organization', s.organization_code, 'name', o.name, 'version', s.shown, 'text', e.value ->> 'text')
    ORDER BY x.at)
  FROM unnest(taken) WITH ORDINALITY x(id, at) JOIN report s ON s.id = x.id JOIN organization o ON o.id = s.organization_id
    JOIN report_version v ON v.report_id = s.id AND v.n = s.shown, jsonb_array_elements(v.sections) e
    JOIN report_duty_section d ON d.duty_id = t.duty_id AND d.code = e.value ->> 'code'
  WHERE coalesce(btrim(e.value ->> 'text', E' \t\r\n'), '') <> ''
  GROUP BY d.code $$;

-- What the figures of the submissions taken come to. Each unit's figure counts once, whichever way it came: in its own report, or through the
-- consolidation of another's, where its part names it; the youngest revision goes. Only units that are assigned the indicator and lie
-- beneath no other's total count, as in every aggregate. Expected are those of them that owe a report, and all below a unit that consolidates
-- for them; whoever reports that the indicator does not apply is not.
CREATE FUNCTION report_aggregate(t report, owing uuid[], taken uuid[]) RETURNS SETOF report_total LANGUAGE sql STABLE
  SET search_path = tiendo, public, pg_temp AS $$
  WITH source AS MATERIALIZED (
    SELECT s.id, s.shown AS n, s.organization_id, s.scope_key, v.submitted_at, s.id = ANY (taken) AS taken
    FROM report s LEFT JOIN report_version v ON v.report_id = s.id AND v.n = s.shown WHERE s.id = ANY (owing)
  ), figure AS MATERIALIZED (
    SELECT f.*, s.organization_id, s.scope_key, s.submitted_at
    FROM source s JOIN report_figure f ON f.report_id = s.id AND f.n = s.n
      JOIN report_duty_indicator d ON d.duty_id = t.duty_id AND d.indicator_id = f.indicator_id
      JOIN indicator i ON i.id = f.indicator_id AND i.aggregation NOT IN ('none', 'last')
      JOIN period q ON q.id = f.period_id LEFT JOIN period tp ON tp.id = t.period_id
    WHERE s.taken AND (tp.id IS NULL OR q.ends_on BETWEEN tp.starts_on AND tp.ends_on)
  ), cell AS MATERIALIZED (
    SELECT DISTINCT f.indicator_id, f.period_id, p.ends_on FROM figure f JOIN period p ON p.id = f.period_id
  ), claim AS (
    SELECT f.indicator_id, f.period_id, f.category, f.report_id, f.n, f.organization_id, f.scope_key, f.state, f.numerator, f.denominator, f.number, f.done,
      f.done_on, f.revision, NULL::uuid AS via, f.submitted_at
    FROM figure f WHERE NOT f.consolidated
    UNION ALL
    SELECT f.indicator_id, f.period_id, f.category, r.id, (p ->> 'version')::int, r.organization_id, r.scope_key, p ->> 'state', (p ->> 'numerator')::numeric,
      (p ->> 'denominator')::numeric, (p ->> 'number')::numeric, (p ->> 'done')::boolean, (p ->> 'done_on')::date, (p ->> 'revision')::bigint,
      f.report_id, f.submitted_at
    FROM figure f, jsonb_array_elements(f.parts) p JOIN report r ON r.id = (p ->> 'report')::uuid
    WHERE f.consolidated
  ), counted AS MATERIALIZED (
    SELECT DISTINCT c.indicator_id, c.period_id, u.scope_key
    FROM cell c JOIN assignment_unit u ON u.indicator_id = c.indicator_id AND u.counted AND u.validity @> c.ends_on
  ), leaf AS MATERIALIZED (
    SELECT DISTINCT ON (c.indicator_id, c.period_id, c.category, c.organization_id) c.*
    FROM claim c JOIN counted u ON u.indicator_id = c.indicator_id AND u.period_id = c.period_id AND u.scope_key = c.scope_key
    ORDER BY c.indicator_id, c.period_id, c.category, c.organization_id, c.revision DESC NULLS LAST, c.submitted_at DESC, c.via IS NULL DESC, c.report_id
  ), wide AS MATERIALIZED (
    -- whose report speaks for all below: it consolidated their figures, or is to, having none of its own where others did
    SELECT f.indicator_id, f.period_id, s.scope_key
    FROM (SELECT DISTINCT x.indicator_id, x.period_id FROM figure x WHERE x.consolidated) f CROSS JOIN source s
    WHERE EXISTS (SELECT FROM figure y WHERE y.consolidated AND y.indicator_id = f.indicator_id AND y.period_id = f.period_id AND y.scope_key = s.scope_key)
      OR NOT EXISTS (SELECT FROM counted u WHERE u.indicator_id = f.indicator_id AND u.period_id = f.period_id AND u.scope_key = s.scope_key)
  ), owes AS (
    SELECT u.* FROM counted u JOIN source s ON s.scope_key = u.scope_key
    UNION
    SELECT u.* FROM wide w JOIN counted u ON u.indicator_id = w.indicator_id AND u.period_id = w.period_id
      AND u.scope_key >= w.scope_key AND u.scope_key < w.scope_key || '~'
    UNION
    SELECT l.indicator_id, l.period_id, l.scope_key FROM leaf l
  ), owed AS MATERIALIZED (
    SELECT o.indicator_id, o.period_id, count(*)::int AS units FROM owes o GROUP BY 1, 2
  )
  SELECT t.id, l.indicator_id, l.period_id, l.category,
    CASE WHEN i.aggregation = 'ratio_of_sums' THEN sum(l.numerator) END, CASE WHEN i.aggregation = 'ratio_of_sums' THEN sum(l.denominator) END,
    CASE i.aggregation WHEN 'sum' THEN sum(l.number) WHEN 'min' THEN min(l.number) WHEN 'max' THEN max(l.number)
      WHEN 'average' THEN trim_scale(round(avg(l.number), 6)) WHEN 'count_done' THEN count(*) FILTER (WHERE l.done) END,
    (count(*) FILTER (WHERE l.state = 'reported'))::int, o.units - (count(*) FILTER (WHERE l.state <> 'reported'))::int,
    jsonb_agg(jsonb_strip_nulls(jsonb_build_object('report', l.report_id, 'version', l.n, 'organization', u.code, 'name', u.name, 'state', l.state,
      'numerator', l.numerator, 'denominator', l.denominator, 'number', l.number, 'done', l.done, 'done_on', l.done_on, 'revision', l.revision,
      'via', l.via)) ORDER BY l.scope_key)
  FROM leaf l JOIN owed o ON o.indicator_id = l.indicator_id AND o.period_id = l.period_id JOIN indicator i ON i.id = l.indicator_id
    JOIN organization u ON u.id = l.organization_id
  GROUP BY l.indicator_id, l.period_id, l.category, i.aggregation, o.units
  HAVING bool_or(l.state = 'reported') $$;

-- One consolidated figure as answered; NULL of none.
CREATE FUNCTION report_total_image(x report_total) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN x.indicator_id IS NOT NULL THEN jsonb_build_object('numerator', x.numerator, 'denominator', x.denominator, 'number', x.number,
    'percent', tiendo.percent(x.numerator, x.denominator), 'reported_units', x.reported_units, 'expected_units', x.expected_units, 'parts', x.parts) END $$;
-- What was there before is told where it was something else.
CREATE FUNCTION report_totals_changes(t report, was report_total[], now_is report_total[]) RETURNS json LANGUAGE sql STABLE
  SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(json_agg(json_build_object('indicator', i.code, 'name', i.name, 'unit', i.unit, 'kind', i.kind, 'aggregation', i.aggregation, 'period', p.code,
      'category', nullif(x.category, ''), 'change', CASE WHEN x.old = x.new THEN 'unchanged' ELSE change_of(x.old IS NOT NULL, x.new IS NOT NULL) END,
      'old', CASE WHEN x.old <> x.new OR x.new IS NULL THEN x.old END, 'new', x.new) ORDER BY d.position, p.starts_on, x.category), '[]')
  FROM (SELECT coalesce(n.indicator_id, o.indicator_id) AS indicator_id, coalesce(n.period_id, o.period_id) AS period_id,
      coalesce(n.category, o.category) AS category, report_total_image(o) AS old, report_total_image(n) AS new
    FROM unnest(was) o FULL JOIN unnest(now_is) n ON n.indicator_id = o.indicator_id AND n.period_id = o.period_id AND n.category = o.category) x
    JOIN indicator i ON i.id = x.indicator_id JOIN period p ON p.id = x.period_id
    LEFT JOIN report_duty_indicator d ON d.duty_id = t.duty_id AND d.indicator_id = i.id $$;
-- Duties of the programme that are addressed to the report's unit, and sections of the report: what else is named is not there.
CREATE FUNCTION report_consolidation_faults(t report, body jsonb) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_agg(x.fault ORDER BY x.part, x.n) FROM (
    SELECT 0 AS part, 0 AS n, fault('#/duties', 'required', 'a report without a period names the duties it is put together from') AS fault
    WHERE t.period_id IS NULL AND body ->> 'duties' IS NULL
    UNION ALL
    SELECT 1 AS part, g.n, fault('#/duties/' || g.n - 1, 'unknown_reference', 'no report duty of the programme with this code is addressed to the unit') AS fault
    FROM jsonb_array_elements_text(coalesce(nullif(body -> 'duties', 'null'), '[]')) WITH ORDINALITY g(code, n)
    WHERE NOT EXISTS (SELECT FROM report_duty d WHERE d.programme_id = t.programme_id AND d.code = g.code AND (d.to_parent OR d.to_id = t.organization_id
      OR d.to_id = ANY (me_seats())))
    UNION ALL
    SELECT 2, g.n, fault('#/sections/' || g.n - 1, 'unknown_reference', 'the report has no such section')
    FROM jsonb_array_elements_text(coalesce(nullif(body -> 'sections', 'null'), '[]')) WITH ORDINALITY g(code, n)
    WHERE NOT EXISTS (SELECT FROM report_duty_section s WHERE s.duty_id = t.duty_id AND s.code = g.code)) x $$;

-- Replaces what was gathered and added up in the draft by what there is now; what a person wrote stays. Without a difference nothing is written.
CREATE FUNCTION report_consolidate_step(p_report uuid, body jsonb, if_match text, request_id text, OUT version bigint, OUT told text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  t report := report_enter_step(p_report, 'consolidate');
  was report := t;
  step report_transition;
  faults jsonb := report_consolidation_faults(t, body);
  dry boolean := coalesce((body ->> 'dry_run')::boolean, false);
  duties uuid[] := CASE WHEN body ->> 'duties' IS NOT NULL THEN ARRAY(SELECT d.id FROM report_duty d
    WHERE d.programme_id = t.programme_id AND body -> 'duties' ? d.code) END;
  states text[] := ARRAY(SELECT jsonb_array_elements_text(coalesce(nullif(body -> 'states', 'null'), '["received", "approved"]')));
  owing uuid[];
  taken uuid[];
  missing jsonb;
  sections jsonb;
  old_totals report_total[] := ARRAY(SELECT x FROM report_total x WHERE x.report_id = t.id ORDER BY x.indicator_id, x.period_id, x.category);
  totals report_total[];
  changed boolean;
BEGIN
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
  step := report_transit(t, 'consolidate', if_match);
  SELECT coalesce(array_agg(s.id ORDER BY s.at), '{}'), coalesce(array_agg(s.id ORDER BY s.at) FILTER (WHERE s.taken), '{}'),
      coalesce(jsonb_agg(jsonb_build_object('report', s.id, 'duty', d.code, 'period', r.period_code, 'due_on', r.due_on, 'organization', s.code,
        'name', s.name, 'state', s.state) ORDER BY s.at)
        FILTER (WHERE NOT s.taken), '[]')
    INTO owing, taken, missing
    FROM (SELECT x.*, row_number() OVER () AS at FROM report_sources(t, duties, states) x) s JOIN report r ON r.id = s.id JOIN report_duty d ON d.id = r.duty_id;
  sections := (SELECT coalesce(jsonb_agg(jsonb_build_object('code', d.code, 'title', d.title, 'change', CASE
        WHEN w.gathered IS NOT DISTINCT FROM g.gathered THEN 'unchanged' ELSE change_of(w.gathered IS NOT NULL, g.gathered IS NOT NULL) END,
        'old', CASE WHEN w.gathered IS DISTINCT FROM g.gathered THEN coalesce(w.gathered, '[]') END, 'new', coalesce(g.gathered, '[]')) ORDER BY d.position), '[]')
    FROM report_duty_section d LEFT JOIN report_gathered(t, taken) g ON g.code = d.code
      LEFT JOIN report_section w ON w.report_id = t.id AND w.code = d.code
    WHERE d.duty_id = t.duty_id AND (body ->> 'sections' IS NULL OR body -> 'sections' ? d.code));
  totals := ARRAY(SELECT x FROM report_aggregate(t, owing, taken) x ORDER BY x.indicator_id, x.period_id, x.category);
  changed := totals <> old_totals OR EXISTS (SELECT FROM jsonb_array_elements(sections) s WHERE s ->> 'change' <> 'unchanged');
  IF changed AND NOT dry THEN
    INSERT INTO report_section AS s (report_id, code, gathered)
    SELECT t.id, x ->> 'code', nullif(x -> 'new', '[]') FROM jsonb_array_elements(sections) x WHERE x ->> 'change' <> 'unchanged'
    ON CONFLICT (report_id, code) DO UPDATE SET gathered = excluded.gathered, updated_at = clock_now();
    DELETE FROM report_total x WHERE x.report_id = t.id;
    INSERT INTO report_total SELECT x.* FROM unnest(totals) x;
    UPDATE report x SET state = step.to_state, version = x.version + 1, updated_at = clock_now() WHERE x.id = t.id RETURNING * INTO t;
    PERFORM report_tell(was, t, 'consolidate', body, request_id);
  END IF;
  version := t.version;
  told := json_build_object('report', t.id, 'version', t.version, 'state', t.state, 'dry_run', dry, 'changed', changed,
    'completeness', json_build_object('received', cardinality(taken), 'expected', cardinality(owing), 'missing', missing),
    'sections', sections, 'figures', report_totals_changes(t, old_totals, totals));
END $$;
CREATE FUNCTION report_consolidate(ref text, body jsonb, if_match text, request_id text) RETURNS TABLE (status int, version text, body_out text)
  LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT 200, s.version::text, s.told
    FROM report_consolidate_step(path_report(ref), coalesce(body, '{}'), if_match, request_id) s;
END $$;

GRANT EXECUTE ON FUNCTION report_figures_now(report), change_of(boolean, boolean), report_figure_image(report_figure), gathered_changes(jsonb, jsonb),
  section_changes(jsonb, jsonb), figure_changes(report_figure[], report_figure[]), report_compared_with(report, text, int),
  report_changes(text, text, text), report_consolidate_step(uuid, jsonb, text, text), report_consolidate(text, jsonb, text, text) TO tiendo_service;
