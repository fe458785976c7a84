-- Defining report duties: all faults at once, the same rules for what is made and what is changed; and the calendar a root keeps for itself.
SET search_path = tiendo, public;

GRANT INSERT ON report_duty TO tiendo_service;
GRANT UPDATE (root_id, scope_key, scope_id, title, under_id, kinds, to_id, to_parent, copy_ids, copies_outside, acceptance, cut_off_rule, cut_off_day,
  deadline_days, deadline_kind, due_on, period_id, entered_by, validity, document, note, campaign, remind_before, remind_after, escalate_after,
  version, updated_at) ON report_duty TO tiendo_service;
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['report_duty_organization', 'report_duty_section', 'report_duty_indicator', 'report_duty_stands_for'] LOOP
    EXECUTE format('CREATE POLICY service_insert ON %I FOR INSERT TO tiendo_service WITH CHECK ((SELECT me_permission()) = ''duties:write''
      AND EXISTS (SELECT FROM report_duty d WHERE d.id = duty_id AND may_write(d.programme_id, d.scope_key)))', t);
    EXECUTE format('CREATE POLICY service_delete ON %I FOR DELETE TO tiendo_service USING ((SELECT me_permission()) = ''duties:write''
      AND EXISTS (SELECT FROM report_duty d WHERE d.id = duty_id AND may_write(d.programme_id, d.scope_key)))', t);
    EXECUTE format('GRANT INSERT, DELETE ON %I TO tiendo_service', t);
  END LOOP;
END $$;

-- ---- reading -----------------------------------------------------------------------------------------------
-- The codes of units, in the order given: a duty names its units to everyone it holds for, as the directory does those of one's root.
CREATE FUNCTION unit_codes(ids uuid[]) RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN ARRAY(SELECT o.code::text FROM unnest(ids) WITH ORDINALITY x(id, n) JOIN organization o ON o.id = x.id
    WHERE o.root_id = me_root() OR o.scope_key <@ area() ORDER BY x.n);
END $$;
CREATE FUNCTION unit_code(id uuid) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE WHEN id IS NOT NULL THEN (unit_codes(ARRAY[id]))[1] END;
END $$;
-- The units a duty names, or excepts, by their codes.
CREATE FUNCTION report_duty_named(duty uuid, p_excepted boolean) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT x.organization_id FROM report_duty_organization x WHERE x.duty_id = duty AND x.excepted = p_excepted);
END $$;
CREATE FUNCTION sorted(list text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY(SELECT t FROM unnest(list) t ORDER BY t COLLATE "C") $$;

CREATE FUNCTION report_duty_json(d report_duty) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT d.id, d.code, d.title, (SELECT p.code FROM programme p WHERE p.id = d.programme_id) AS programme,
      json_build_object('under', unit_code(d.under_id), 'kinds', d.kinds, 'organizations', sorted(unit_codes(report_duty_named(d.id, false))),
        'except', sorted(unit_codes(report_duty_named(d.id, true)))) AS "from",
      unit_code(d.to_id) AS "to", d.to_parent, unit_codes(d.copy_ids) AS copies, d.copies_outside, d.acceptance, d.cadence,
      json_build_object('rule', d.cut_off_rule, 'day', CASE d.cut_off_rule WHEN 'decree_09_2019' THEN d.cut_off_day END) AS cut_off,
      json_build_object('days', d.deadline_days, 'kind', d.deadline_kind) AS deadline,
      d.due_on, (SELECT p.code FROM period p WHERE p.id = d.period_id) AS period,
      (SELECT coalesce(json_agg(json_build_object('code', s.code, 'title', s.title, 'required', s.required, 'max_length', s.max_length)
         ORDER BY s.position), '[]') FROM report_duty_section s WHERE s.duty_id = d.id) AS sections,
      (SELECT coalesce(json_agg(i.code ORDER BY x.position), '[]')
         FROM report_duty_indicator x JOIN indicator i ON i.id = x.indicator_id WHERE x.duty_id = d.id) AS indicators,
      d.campaign,
      (SELECT coalesce(json_agg(json_build_object('duty', o.code, 'periods', s.periods) ORDER BY o.code), '[]')
         FROM report_duty_stands_for s JOIN report_duty o ON o.id = s.for_duty_id WHERE s.duty_id = d.id) AS stands_for,
      lower(d.validity) AS valid_from, upper(d.validity) - 1 AS valid_to, d.entered_by, d.document, d.note,
      json_build_object('before', d.remind_before, 'after', d.remind_after, 'escalate_after', d.escalate_after) AS reminders,
      d.version, tstz(d.created_at) AS created_at, tstz(d.updated_at) AS updated_at) r);
END $$;

CREATE FUNCTION path_report_duty(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := report_duty_id(ref);
BEGIN
  IF found_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN found_id;
END $$;
-- The period a duty is asked about: one of its cadence. A duty of one time alone has its own, or none.
CREATE FUNCTION report_duty_period(d report_duty, ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE p period;
BEGIN
  IF ref IS NULL THEN
    IF d.cadence <> 'once' THEN PERFORM refuse(fault_parameter(parameter, 'required', 'this is needed here')); END IF;
    RETURN d.period_id;
  END IF;
  SELECT * INTO p FROM period x WHERE x.id = filter_period(ref, parameter);
  IF (d.cadence = 'once' AND p.id IS DISTINCT FROM d.period_id) OR (d.cadence <> 'once' AND p.kind <> d.cadence) THEN
    PERFORM refuse(fault_parameter(parameter, 'wrong_period_kind', 'the duty has no report for this period'));
  END IF;
  RETURN p.id;
END $$;
-- The visible units that owe a duty for a period, with what their data run from and to and when they are due; by_duty and by_period where
-- their report on another duty stands for it.
CREATE FUNCTION report_duty_units(duty uuid, period_ref text)
  RETURNS TABLE (organization_id uuid, on_day date, period_code text, data_from date, data_to date, due_on date, by_duty uuid, by_period uuid)
  LANGUAGE plpgsql STABLE ROWS 1000 AS $$
DECLARE
  d report_duty;
  p period;
  day date;
  r record;
BEGIN
  SELECT * INTO d FROM report_duty x WHERE x.id = duty;
  SELECT * INTO p FROM period x WHERE x.id = report_duty_period(d, period_ref, 'period');
  day := CASE d.cadence WHEN 'once' THEN report_duty_day(d) ELSE p.ends_on END;
  r := report_dates(d, p.starts_on, p.ends_on, p.kind);
  RETURN QUERY SELECT o.organization_id, day, p.code, r.data_from, r.data_to, r.due_on, s.by_duty, s.by_period
    FROM report_duty_owes(d, day) o LEFT JOIN report_stood_for(d, p) s USING (organization_id);
END $$;

-- ---- writing -----------------------------------------------------------------------------------------------
-- What a body says applied to a duty's row; names that are of nothing become NULL.
CREATE FUNCTION report_duty_apply(d report_duty, b jsonb) RETURNS report_duty LANGUAGE plpgsql STABLE AS $$
DECLARE
  f jsonb := coalesce(b -> 'from', '{}');
  c jsonb := coalesce(b -> 'cut_off', '{}');
  l jsonb := coalesce(b -> 'deadline', '{}');
  r jsonb := coalesce(b -> 'reminders', '{}');
BEGIN
  IF b ? 'title' THEN d.title := b ->> 'title'; END IF;
  IF b ? 'acceptance' THEN d.acceptance := b ->> 'acceptance'; END IF;
  IF b ? 'entered_by' THEN d.entered_by := b ->> 'entered_by'; END IF;
  IF b ? 'document' THEN d.document := b ->> 'document'; END IF;
  IF b ? 'note' THEN d.note := b ->> 'note'; END IF;
  IF b ? 'campaign' THEN d.campaign := b ->> 'campaign'; END IF;
  IF f ? 'under' THEN d.under_id := organization_id(f ->> 'under'); END IF;
  IF f ? 'kinds' THEN d.kinds := text_list(f -> 'kinds'); END IF;
  IF b ? 'to' THEN d.to_id := organization_id(b ->> 'to'); END IF;
  IF b ? 'to_parent' THEN d.to_parent := coalesce((b ->> 'to_parent')::boolean, false); END IF;
  IF b ? 'copies' THEN
    d.copy_ids := ARRAY(SELECT organization_id(u) FROM jsonb_array_elements_text(coalesce(nullif(b -> 'copies', 'null'), '[]')) WITH ORDINALITY x(u, n)
      WHERE organization_id(u) IS NOT NULL ORDER BY n);
  END IF;
  IF b ? 'copies_outside' THEN d.copies_outside := coalesce(text_list(b -> 'copies_outside'), '{}'); END IF;
  IF c ? 'rule' THEN d.cut_off_rule := coalesce(c ->> 'rule', 'decree_09_2019'); END IF;
  IF c ? 'day' THEN d.cut_off_day := coalesce((c ->> 'day')::int, 14); END IF;
  IF l ? 'days' THEN d.deadline_days := coalesce((l ->> 'days')::int, 2); END IF;
  IF l ? 'kind' THEN d.deadline_kind := coalesce(l ->> 'kind', 'working'); END IF;
  IF b ? 'due_on' THEN d.due_on := (b ->> 'due_on')::date; END IF;
  IF b ? 'period' THEN d.period_id := period_id(b ->> 'period'); END IF;
  IF r ? 'before' THEN d.remind_before := coalesce(ARRAY(SELECT n::int FROM unnest(text_list(r -> 'before')) n ORDER BY 1 DESC), '{}'); END IF;
  IF r ? 'after' THEN d.remind_after := coalesce(ARRAY(SELECT n::int FROM unnest(text_list(r -> 'after')) n ORDER BY 1), '{}'); END IF;
  IF r ? 'escalate_after' THEN d.escalate_after := (r ->> 'escalate_after')::int; END IF;
  RETURN d;
END $$;

-- The faults of a list of units.
CREATE FUNCTION unit_list_faults(list jsonb, pointer text) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT fault(pointer || '/' || x.n - 1, CASE WHEN x.id IS NULL THEN 'unknown_reference' ELSE 'repeated' END,
      CASE WHEN x.id IS NULL THEN 'no such organization' ELSE format('%s is named twice', x.ref) END)
    FROM (SELECT u.n, u.ref, o.id, row_number() OVER (PARTITION BY o.id ORDER BY u.n) AS nth
      FROM jsonb_array_elements_text(coalesce(nullif(list, 'null'), '[]')) WITH ORDINALITY u(ref, n), LATERAL (SELECT organization_id(u.ref) AS id) o) x
    WHERE x.id IS NULL OR x.nth > 1 ORDER BY x.n);
END $$;
-- From whom, to whom: what is wrong with a body, and with the duty it makes.
CREATE FUNCTION report_duty_who_faults(d report_duty, p programme, b jsonb, named uuid[], excepted_units uuid[]) RETURNS jsonb[]
  LANGUAGE plpgsql STABLE AS $$
DECLARE f jsonb := coalesce(b -> 'from', '{}');
BEGIN
  RETURN ARRAY[
    CASE WHEN f ->> 'under' IS NOT NULL AND d.under_id IS NULL THEN fault('#/from/under', 'unknown_reference', 'no such organization')
      WHEN d.kinds IS NOT NULL AND d.under_id IS NULL THEN fault('#/from/under', 'required', 'kinds go with the unit they stand below')
      WHEN d.under_id IS NULL AND named = '{}' AND coalesce(f -> 'organizations', '[]') IN ('[]', 'null')
        THEN fault('#/from', 'required', 'name units, or the unit below which they stand')
      WHEN NOT EXISTS (SELECT FROM organization o WHERE o.id = d.under_id AND o.scope_key ^@ p.scope_key)
          AND f ? 'under' AND d.under_id IS NOT NULL
        THEN fault('#/from/under', 'outside_scope', 'it lies outside of the programme''s scope') END,
    CASE WHEN b ->> 'to' IS NOT NULL AND d.to_id IS NULL THEN fault('#/to', 'unknown_reference', 'no such organization')
      WHEN (d.to_id IS NULL) <> d.to_parent THEN fault('#/to', 'one_of', 'give either to, or to_parent: true') END,
    CASE WHEN d.to_id = ANY (named) THEN fault('#/from/organizations', 'contradiction', 'a unit would report to itself') END,
    CASE WHEN d.to_id = ANY (d.copy_ids) THEN fault('#/copies', 'contradiction', 'the recipient gets the report itself, and no copy') END,
    CASE WHEN named && excepted_units THEN fault('#/from/except', 'contradiction', 'a unit is both named and excepted') END]
    || ARRAY(SELECT fault('#/from/kinds/' || x.n - 1, 'unknown_reference', 'no such organization kind')
      FROM jsonb_array_elements_text(coalesce(nullif(f -> 'kinds', 'null'), '[]')) WITH ORDINALITY x(k, n)
      WHERE NOT EXISTS (SELECT FROM organization_kind o WHERE o.code = x.k) ORDER BY x.n)
    || unit_list_faults(f -> 'organizations', '#/from/organizations') || unit_list_faults(f -> 'except', '#/from/except')
    || ARRAY(SELECT fault('#/from/organizations/' || x.n - 1, 'outside_scope', 'it lies outside of the programme''s scope')
      FROM jsonb_array_elements_text(coalesce(nullif(f -> 'organizations', 'null'), '[]')) WITH ORDINALITY x(u, n)
        JOIN organization o ON o.id = organization_id(x.u)
      WHERE NOT o.scope_key ^@ p.scope_key ORDER BY x.n)
    || unit_list_faults(b -> 'copies', '#/copies');
END $$;
-- How often and until when.
CREATE FUNCTION report_duty_when_faults(d report_duty, b jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
DECLARE p period;
BEGIN
  SELECT * INTO p FROM period x WHERE x.id = d.period_id;
  RETURN ARRAY[
    CASE WHEN b ->> 'period' IS NOT NULL AND (p.id IS NULL OR p.programme_id <> d.programme_id)
        THEN fault('#/period', 'unknown_reference', 'no such period')
      WHEN d.cadence <> 'once' AND p.id IS NOT NULL THEN fault('#/period', 'not_expected', 'only a duty of one time alone has this')
      WHEN d.cadence = 'once' AND p.id IS NULL AND d.due_on IS NULL AND (b -> 'indicators' <> '[]'
          OR (NOT b ? 'indicators' AND EXISTS (SELECT FROM report_duty_indicator x WHERE x.duty_id = d.id)))
        THEN fault('#/period', 'required', 'figures are of a period: name it, or the day the report is due')
      WHEN p.id IS NOT NULL AND NOT d.validity @> p.ends_on THEN fault('#/period', 'out_of_range', 'the duty does not hold on its last day') END,
    CASE WHEN d.due_on IS NULL THEN NULL
      WHEN d.cadence <> 'once' THEN fault('#/due_on', 'not_expected', 'only a duty of one time alone has this')
      WHEN p.id IS NOT NULL AND d.due_on < (report_dates(d, p.starts_on, p.ends_on, p.kind)).data_to
        THEN fault('#/due_on', 'too_early', 'it would be due before the last day of its data')
      WHEN p.id IS NULL AND NOT d.validity @> d.due_on THEN fault('#/due_on', 'out_of_range', 'the duty does not hold on that day') END,
    CASE WHEN d.cut_off_rule = 'period_end' AND b #>> '{cut_off,day}' IS NOT NULL
      THEN fault('#/cut_off/day', 'not_expected', 'data to the end of the period need no day') END];
END $$;
-- What stands in the report, and what it stands for.
CREATE FUNCTION report_duty_what_faults(d report_duty, b jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT fault('#/sections/' || x.n - 1 || '/code', 'repeated', format('%s is named twice', x.code))
      FROM (SELECT s.n, s.item ->> 'code' AS code, row_number() OVER (PARTITION BY s.item ->> 'code' ORDER BY s.n) AS nth
        FROM jsonb_array_elements(coalesce(nullif(b -> 'sections', 'null'), '[]')) WITH ORDINALITY s(item, n)) x
      WHERE x.nth > 1 ORDER BY x.n)
    || ARRAY(SELECT CASE WHEN x.id IS NULL THEN fault('#/indicators/' || x.n - 1, 'unknown_reference', 'the programme has no such indicator')
        ELSE fault('#/indicators/' || x.n - 1, 'repeated', format('%s is named twice', x.ref)) END
      FROM (SELECT g.n, g.ref, i.id, row_number() OVER (PARTITION BY i.id ORDER BY g.n) AS nth
        FROM jsonb_array_elements_text(coalesce(nullif(b -> 'indicators', 'null'), '[]')) WITH ORDINALITY g(ref, n)
          LEFT JOIN indicator i ON i.id = indicator_id(g.ref) AND i.programme_id = d.programme_id) x
      WHERE x.id IS NULL OR x.nth > 1 ORDER BY x.n)
    || ARRAY(SELECT fault('#/stands_for/' || x.n - 1 || '/duty', CASE WHEN x.id IS NULL THEN 'unknown_reference' ELSE 'repeated' END,
        CASE WHEN x.id IS NULL THEN 'the programme has no other such duty' ELSE format('%s is named twice', x.ref) END)
      FROM (SELECT g.n, g.item ->> 'duty' AS ref, o.id, row_number() OVER (PARTITION BY o.id ORDER BY g.n) AS nth
        FROM jsonb_array_elements(coalesce(nullif(b -> 'stands_for', 'null'), '[]')) WITH ORDINALITY g(item, n)
          LEFT JOIN report_duty o ON o.id = report_duty_id(g.item ->> 'duty') AND o.programme_id = d.programme_id AND o.id <> d.id) x
      WHERE x.id IS NULL OR x.nth > 1 ORDER BY x.n);
END $$;

-- Whether a duty would in the end stand for itself.
CREATE FUNCTION report_duty_circle(duty uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  WITH RECURSIVE down AS (
    SELECT s.for_duty_id AS id FROM report_duty_stands_for s WHERE s.duty_id = duty
    UNION
    SELECT s.for_duty_id FROM down d JOIN report_duty_stands_for s ON s.duty_id = d.id
  ) SELECT EXISTS (SELECT FROM down WHERE id = duty) $$;
-- What a duty stands for has the same recipients, no circle, and parts that end together with a period of its own that takes them in.
-- Looked at when all is written, for what stands for this one too.
CREATE FUNCTION report_duty_stands_faults(d report_duty) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY[CASE WHEN report_duty_circle(d.id) THEN fault('#/stands_for', 'cycle', format('%s would stand for itself', d.code)) END]
    || ARRAY(SELECT fault('#/stands_for', 'other_recipient', format('%s and %s do not go to the same unit', d.code, o.code))
      FROM report_duty o
      WHERE (o.to_id, o.to_parent) IS DISTINCT FROM (d.to_id, d.to_parent) AND EXISTS (SELECT FROM report_duty_stands_for s
        WHERE (s.duty_id = d.id AND s.for_duty_id = o.id) OR (s.duty_id = o.id AND s.for_duty_id = d.id))
      ORDER BY o.code)
    || ARRAY(SELECT fault('#/stands_for', 'wrong_period_kind', format('%s is no part of %s that ends together with a report of this duty', part, o.code))
      FROM report_duty_stands_for s JOIN report_duty o ON o.id = s.for_duty_id, unnest(s.periods) part
      WHERE s.duty_id = d.id AND NOT EXISTS (SELECT FROM period q JOIN period y ON y.ends_on = q.ends_on AND y.starts_on <= q.starts_on
        WHERE q.kind = o.cadence AND period_part(q.code) = part AND q.programme_id IS NULL AND y.kind = d.cadence AND y.programme_id IS NULL)
      ORDER BY o.code, part);
END $$;

-- The sections, of those that would go, in which units have written: in a draft, or in a submission that stands.
CREATE FUNCTION report_duty_sections_written(duty uuid, kept text[]) RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN ARRAY(SELECT s.code FROM report_duty_section s
    WHERE s.duty_id = duty AND s.code <> ALL (kept)
      AND (EXISTS (SELECT FROM report r JOIN report_section x ON x.report_id = r.id AND x.code = s.code
          WHERE r.duty_id = duty AND (x.text <> '' OR x.gathered IS NOT NULL))
        OR EXISTS (SELECT FROM report r JOIN report_version v ON v.report_id = r.id AND v.n = r.shown, jsonb_array_elements(v.sections) w
          WHERE r.duty_id = duty AND w ->> 'code' = s.code AND (w ->> 'text' <> '' OR w -> 'gathered' <> '[]')))
    ORDER BY s.position);
END $$;
-- Makes the parts of a duty those that a body gives.
CREATE FUNCTION report_duty_set_parts(d report_duty, b jsonb, named uuid[], excepted_units uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF b -> 'from' ?| ARRAY['organizations', 'except'] THEN
    DELETE FROM report_duty_organization x WHERE x.duty_id = d.id;
    INSERT INTO report_duty_organization (duty_id, organization_id, excepted)
    SELECT d.id, u, false FROM unnest(named) u UNION ALL SELECT d.id, u, true FROM unnest(excepted_units) u;
  END IF;
  IF b ? 'sections' THEN
    DELETE FROM report_duty_section x WHERE x.duty_id = d.id;
    INSERT INTO report_duty_section (duty_id, position, code, title, required, max_length)
    SELECT d.id, s.n, s.item ->> 'code', s.item ->> 'title', coalesce((s.item ->> 'required')::boolean, true), coalesce((s.item ->> 'max_length')::int, 20000)
    FROM jsonb_array_elements(coalesce(nullif(b -> 'sections', 'null'), '[]')) WITH ORDINALITY s(item, n);
  END IF;
  IF b ? 'indicators' THEN
    DELETE FROM report_duty_indicator x WHERE x.duty_id = d.id;
    INSERT INTO report_duty_indicator (duty_id, indicator_id, position)
    SELECT d.id, indicator_id(g.ref), g.n FROM jsonb_array_elements_text(coalesce(nullif(b -> 'indicators', 'null'), '[]')) WITH ORDINALITY g(ref, n);
  END IF;
  IF b ? 'stands_for' THEN
    DELETE FROM report_duty_stands_for x WHERE x.duty_id = d.id;
    INSERT INTO report_duty_stands_for (duty_id, for_duty_id, periods)
    SELECT d.id, report_duty_id(g ->> 'duty'), sorted(text_list(g -> 'periods')) FROM jsonb_array_elements(coalesce(nullif(b -> 'stands_for', 'null'), '[]')) g;
  END IF;
  PERFORM refuse(VARIADIC report_duty_stands_faults(d));
END $$;
-- Refuses a duty's faults, then whom it may not be put upon: 422 goes before 403.
CREATE FUNCTION report_duty_check(d report_duty, p programme, b jsonb, named uuid[], excepted_units uuid[], more jsonb) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE beyond text;
BEGIN
  PERFORM refuse(VARIADIC report_duty_who_faults(d, p, b, named, excepted_units) || report_duty_when_faults(d, b) || report_duty_what_faults(d, b) || more);
  SELECT o.code INTO beyond FROM organization o
  WHERE (o.id = d.under_id OR o.id = ANY (named)) AND NOT may_write(p.id, o.scope_key) ORDER BY o.scope_key LIMIT 1;
  IF beyond IS NOT NULL THEN PERFORM fail(403, 'forbidden', NULL, format('%s lies outside of what you define.', beyond)); END IF;
  IF d.under_id IS NULL AND NOT may_write(p.id, p.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('Report duties of %s are defined by the managers of %s or by a mandate to define.', p.code, p.scope_code));
  END IF;
END $$;
-- Two who define what stands for what in one programme go one after the other: neither closes a circle unseen.
CREATE FUNCTION report_duty_lock(programme uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT hashtextextended('tiendo.report_duty ' || programme, 0) $$;

CREATE FUNCTION report_duty_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  p programme;
  d report_duty;
  starts date := coalesce((body ->> 'valid_from')::date, today());
  ends date := (body ->> 'valid_to')::date;
  named uuid[] := ARRAY(SELECT DISTINCT o FROM jsonb_array_elements_text(coalesce(nullif(body #> '{from,organizations}', 'null'), '[]')) u, organization_id(u) o WHERE o IS NOT NULL);
  excepted_units uuid[] := ARRAY(SELECT DISTINCT o FROM jsonb_array_elements_text(coalesce(nullif(body #> '{from,except}', 'null'), '[]')) u, organization_id(u) o WHERE o IS NOT NULL);
BEGIN
  SELECT * INTO p FROM programme x WHERE x.id = (SELECT programme_id(body ->> 'programme'));
  IF NOT FOUND THEN PERFORM refuse(fault('#/programme', 'unknown_reference', 'no such programme')); END IF;
  PERFORM pg_advisory_xact_lock(report_duty_lock(p.id));
  d.id := new_id; d.programme_id := p.id; d.root_id := p.root_id; d.scope_key := p.scope_key; d.scope_id := p.scope_id;
  d.code := body ->> 'code'; d.cadence := body ->> 'cadence'; d.to_parent := false; d.copy_ids := '{}'; d.copies_outside := '{}';
  d.cut_off_rule := 'decree_09_2019'; d.cut_off_day := 14; d.deadline_days := 2; d.deadline_kind := 'working'; d.entered_by := 'self';
  d.remind_before := '{3}'; d.remind_after := '{1,7}'; d.escalate_after := 7; d.version := 1; d.created_at := clock_now(); d.updated_at := clock_now();
  d.validity := daterange(starts, CASE WHEN ends < starts THEN starts ELSE ends END, '[]');
  d := report_duty_apply(d, body);
  PERFORM report_duty_check(d, p, body, named, excepted_units,
    CASE WHEN ends < starts THEN fault('#/valid_to', 'ends_before_start', 'it would end before it starts') END);
  INSERT INTO report_duty VALUES (d.*) RETURNING * INTO d;
  PERFORM report_duty_set_parts(d, body, named, excepted_units), report_expect_duty(d.id);
  body_out := report_duty_json(d);
  PERFORM journal('create', 'report_duty', d.id, d.version, d.scope_key, NULL, body_out::jsonb, request_id, p.id);
  RETURN QUERY SELECT 201, d.version::text, '/v1/report-duties/' || d.id, body_out;
END $$;

CREATE FUNCTION report_duty_update(ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  p programme;
  d report_duty;
  was jsonb;
  ends date;
  named uuid[];
  excepted_units uuid[];
  written text[];
BEGIN
  SELECT * INTO d FROM report_duty x WHERE x.id = (SELECT report_duty_id(ref));
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT may_write(d.programme_id, d.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s is kept by the managers of its programme or by a mandate to define.', d.code));
  END IF;
  SELECT * INTO p FROM programme x WHERE x.id = d.programme_id;
  PERFORM pg_advisory_xact_lock(report_duty_lock(p.id));
  SELECT * INTO d FROM report_duty x WHERE x.id = d.id;
  was := report_duty_json(d)::jsonb;
  named := CASE WHEN patch -> 'from' ? 'organizations' THEN ARRAY(SELECT DISTINCT o
      FROM jsonb_array_elements_text(coalesce(nullif(patch #> '{from,organizations}', 'null'), '[]')) u, organization_id(u) o WHERE o IS NOT NULL)
    ELSE report_duty_named(d.id, false) END;
  excepted_units := CASE WHEN patch -> 'from' ? 'except' THEN ARRAY(SELECT DISTINCT o
      FROM jsonb_array_elements_text(coalesce(nullif(patch #> '{from,except}', 'null'), '[]')) u, organization_id(u) o WHERE o IS NOT NULL)
    ELSE report_duty_named(d.id, true) END;
  d := report_duty_apply(d, patch);
  ends := CASE WHEN patch ? 'valid_to' THEN (patch ->> 'valid_to')::date ELSE upper(d.validity) - 1 END;
  d.validity := daterange(lower(d.validity), CASE WHEN ends < lower(d.validity) THEN lower(d.validity) ELSE ends END, '[]');
  PERFORM report_duty_check(d, p, patch, named, excepted_units,
    CASE WHEN ends < lower(d.validity) THEN fault('#/valid_to', 'ends_before_start', 'it would end before it starts') END);
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  IF if_match <> '*' AND d.version::text <> ALL (string_to_array(if_match, ',')) THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF patch ? 'sections' THEN
    written := report_duty_sections_written(d.id, ARRAY(SELECT s ->> 'code' FROM jsonb_array_elements(patch -> 'sections') s));
    IF written <> '{}' THEN
      PERFORM fail(409, 'in_use', (SELECT jsonb_agg(fault('#/sections', 'in_use', format('units have written in section %s', w))) FROM unnest(written) w));
    END IF;
  END IF;
  SELECT coalesce(o.root_id, p.root_id), coalesce(o.scope_key, p.scope_key), coalesce(o.id, p.scope_id) INTO d.root_id, d.scope_key, d.scope_id
  FROM (SELECT) one LEFT JOIN organization o ON o.id = d.under_id;
  UPDATE report_duty x SET (root_id, scope_key, scope_id, title, under_id, kinds, to_id, to_parent, copy_ids, copies_outside, acceptance, cut_off_rule,
      cut_off_day, deadline_days, deadline_kind, due_on, period_id, entered_by, validity, document, note, campaign, remind_before, remind_after,
      escalate_after, version, updated_at)
    = (d.root_id, d.scope_key, d.scope_id, d.title, d.under_id, d.kinds, d.to_id, d.to_parent, d.copy_ids, d.copies_outside, d.acceptance, d.cut_off_rule,
      d.cut_off_day, d.deadline_days, d.deadline_kind, d.due_on, d.period_id, d.entered_by, d.validity, d.document, d.note, d.campaign, d.remind_before,
      d.remind_after, d.escalate_after, x.version + 1, clock_now())
  WHERE x.id = d.id AND x.version = d.version
  RETURNING * INTO d;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM report_duty_set_parts(d, patch, named, excepted_units), report_expect_duty(d.id);
  body_out := report_duty_json(d);
  PERFORM journal('update', 'report_duty', d.id, d.version, d.scope_key, was, body_out::jsonb, request_id, p.id);
  RETURN QUERY SELECT 200, d.version::text, NULL::text, body_out;
END $$;

GRANT EXECUTE ON FUNCTION unit_codes(uuid[]), unit_code(uuid), report_duty_named(uuid, boolean), sorted(text[]), report_duty_json(report_duty),
  path_report_duty(text), report_duty_period(report_duty, text, text), report_duty_units(uuid, text), report_duty_apply(report_duty, jsonb),
  unit_list_faults(jsonb, text), report_duty_who_faults(report_duty, programme, jsonb, uuid[], uuid[]), report_duty_when_faults(report_duty, jsonb),
  report_duty_what_faults(report_duty, jsonb), report_duty_circle(uuid), report_duty_stands_faults(report_duty),
  report_duty_sections_written(uuid, text[]), report_duty_set_parts(report_duty, jsonb, uuid[], uuid[]),
  report_duty_check(report_duty, programme, jsonb, uuid[], uuid[], jsonb), report_duty_lock(uuid), report_duty_create(uuid, jsonb, text),
  report_duty_update(text, jsonb, text, text) TO tiendo_service;
