-- What is done to a report. Every transition goes through report_step(): it finds the row of report_transition, checks who acts, the version and
-- the state, writes and tells. Order of refusal: 404, 403, 422 for the body, 428, 412, 409 for the state, 422 for what is incomplete.
SET search_path = tiendo, public;

-- ---- who acts ----------------------------------------------------------------------------------------------
-- Whether the caller's seat holds a mandate in force with this function, over this unit, for this programme or all.
CREATE FUNCTION seat_holds(p_function text, p_programme uuid, key text) RETURNS boolean
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE seat organization := (SELECT s FROM organization s WHERE s.id = me_seat());
BEGIN
  RETURN EXISTS (SELECT FROM mandate x JOIN organization o ON o.id = coalesce(x.over_id, seat.parent_id)
    WHERE (x.unit_id = seat.id OR x.unit_kind = seat.kind) AND o.scope_key ^@ x.scope_key AND key ^@ o.scope_key
      AND p_function = ANY (x.functions) AND coalesce(x.programme_id = p_programme, true)
      AND x.valid_from <= today() AND (x.valid_to IS NULL OR x.valid_to >= today()));
END $$;
-- Whether the caller accepts this report, by its seat: it is addressed to it, or the unit stands directly below it, or its mandate says so.
-- Nobody accepts what comes from its own seat.
CREATE FUNCTION report_is_for_me(r report) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(r.organization_id <> ALL (me_seats()) AND (r.recipient_id = ANY (me_seats())
    OR (length(r.scope_key) > 6 AND left(r.scope_key, -6) = me_seat_key()) OR seat_holds('review', r.programme_id, r.scope_key)), false);
END $$;
-- Whether the caller sees the report's row otherwise than as one who gets a copy, and whether it sees it at all: what the table's policies say, for
-- functions that run as the owner.
CREATE FUNCTION report_in_dialogue(programme uuid, key text, recipient uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(key <@ scope(), false) OR coalesce(in_limited(programme, key, limited_programmes(), limited_scopes()), false)
    OR coalesce(recipient = ANY (me_seats()), false);
END $$;
CREATE FUNCTION report_in_sight(r report) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id) OR coalesce(r.shown IS NOT NULL AND r.copy_ids && me_seats(), false);
END $$;
-- What was recalled is the author's again; a copy is of the submission that stands, and of nothing that was said about it.
CREATE POLICY service_read ON report_version FOR SELECT TO tiendo_service USING (EXISTS (SELECT FROM report r
  WHERE r.id = report_id AND (withdrawn_at IS NULL OR report_is_mine(r.organization_id, r.scope_key, r.entered_by))
    AND (n = r.shown OR report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id))));
CREATE POLICY service_read ON report_figure FOR SELECT TO tiendo_service USING (EXISTS (SELECT FROM report_version v
  WHERE v.report_id = report_figure.report_id AND v.n = report_figure.n));
CREATE POLICY service_read ON report_event FOR SELECT TO tiendo_service USING (EXISTS (SELECT FROM report r
  WHERE r.id = report_id AND report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id)));
GRANT SELECT ON report_version, report_figure, report_event TO tiendo_service;
-- Whether the caller decides, by its seat, what is asked of the unit and until when: it is addressed to it, or its mandate says so.
CREATE FUNCTION report_is_addressed(r report) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(r.organization_id <> ALL (me_seats()) AND (r.recipient_id = ANY (me_seats()) OR seat_holds('review', r.programme_id, r.scope_key)), false);
END $$;
-- What the caller may do to it now, by role, relation and state.
CREATE FUNCTION report_actions(r report) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  mine boolean := report_is_mine(r.organization_id, r.scope_key, r.entered_by);
  for_me boolean := report_is_for_me(r);
  addressed boolean := report_is_addressed(r);
BEGIN
  -- a unit of the past does nothing any more
  IF NOT EXISTS (SELECT FROM organization o WHERE o.id = me_seat() AND daterange(o.valid_from, o.valid_to, '[]') @> today()) THEN RETURN '{}'; END IF;
  RETURN ARRAY(SELECT t.action FROM report_transition t JOIN role_permission p ON p.role = me_role() AND p.permission = t.permission
    WHERE t.from_state = r.state AND r.acceptance = ANY (t.acceptance) AND CASE t.actor WHEN 'author' THEN mine WHEN 'recipient' THEN for_me ELSE addressed END
      AND NOT (t.action IN ('receive', 'approve', 'extend', 'waive') AND report_submitted_by_me(r.id))
    ORDER BY t.action);
END $$;
-- Whether the caller's account, or the one it acts for by delegation, sent the last submission, or the one acted for then is the caller.
CREATE FUNCTION report_submitted_by_me(p_report uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN coalesce((SELECT ones_own(v.account_id) OR ones_own(v.giver_id) FROM report_version v
    WHERE v.report_id = p_report AND v.withdrawn_at IS NULL ORDER BY v.n DESC LIMIT 1), false);
END $$;

-- ---- figures -----------------------------------------------------------------------------------------------
-- The cells a report has figures for: each of its duty's indicators that the unit is assigned, in each period of the indicator's own frequency
-- that ends within the report's (a report without a period: the last that ends by its first deadline), in each category; with the value there is.
CREATE FUNCTION report_cells(p_report uuid) RETURNS TABLE ("position" int, indicator_id uuid, indicator_code text, indicator_name text, unit text,
    kind text, period_id uuid, period_code text, category text, value_id uuid, revision bigint, state text, numerator numeric, denominator numeric,
    number numeric, done boolean, done_on date, note text, source text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT (row_number() OVER (ORDER BY di.position, p.ends_on, c.n))::int, i.id, i.code::text, i.name, i.unit, i.kind, p.id, p.code, c.category,
    v.id, v.version, v.state, v.numerator, v.denominator, v.number, v.done, v.done_on, v.note, v.source
  FROM tiendo.report r
    JOIN tiendo.report_duty_indicator di ON di.duty_id = r.duty_id
    JOIN tiendo.indicator i ON i.id = di.indicator_id
    LEFT JOIN tiendo.period rp ON rp.id = r.period_id
    CROSS JOIN LATERAL (
      SELECT q.id, q.code, q.ends_on FROM tiendo.period q
      WHERE r.period_id IS NOT NULL AND q.kind = i.frequency AND q.ends_on BETWEEN rp.starts_on AND rp.ends_on
        AND (q.programme_id IS NULL OR q.programme_id = i.programme_id)
      UNION ALL
      (SELECT q.id, q.code, q.ends_on FROM tiendo.period q
      WHERE r.period_id IS NULL AND q.kind = i.frequency AND q.ends_on <= r.first_due_on
        AND (q.programme_id IS NULL OR q.programme_id = i.programme_id)
      ORDER BY q.ends_on DESC LIMIT 1)) p
    JOIN tiendo.assignment_unit u ON u.indicator_id = i.id AND u.scope_key = r.scope_key AND u.validity @> p.ends_on
    CROSS JOIN LATERAL unnest(coalesce(i.categories, '{""}')) WITH ORDINALITY c(category, n)
    LEFT JOIN tiendo.value v ON v.scope_key = r.scope_key AND v.indicator_id = i.id AND v.period_id = p.id AND v.category = c.category
  WHERE r.id = p_report;
END $$;

-- What keeps a report from being submitted: required sections without text, texts too long, values missing. NULL: nothing.
CREATE FUNCTION report_faults(p_report uuid) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT jsonb_agg(x.fault ORDER BY x.part, x.n) FROM (
    SELECT 1 AS part, s.position AS n, fault('#/sections/' || s.code, 'required', format('the section "%s" is to be written', s.title)) AS fault
    FROM report r JOIN report_duty_section s ON s.duty_id = r.duty_id AND s.required
      LEFT JOIN report_section t ON t.report_id = r.id AND t.code = s.code
    WHERE r.id = p_report AND coalesce(btrim(t.text, E' \t\r\n'), '') = '' AND t.gathered IS NULL
    UNION ALL
    SELECT 1, s.position, fault('#/sections/' || s.code, 'too_long', format('the section "%s" takes %s characters', s.title, s.max_length))
    FROM report r JOIN report_duty_section s ON s.duty_id = r.duty_id JOIN report_section t ON t.report_id = r.id AND t.code = s.code
    WHERE r.id = p_report AND length(t.text) > s.max_length
    UNION ALL
    SELECT 2, c.position, fault('#/figures/' || c.indicator_code || '/' || c.period_code || CASE c.category WHEN '' THEN '' ELSE '/' || c.category END,
      'missing_value', format('%s has no value for %s', c.indicator_code, c.period_code))
    FROM report_cells(p_report) c WHERE c.value_id IS NULL
    UNION ALL
    SELECT DISTINCT 3, 0, fault(g.pointer, 'stale', 'it was gathered from a submission that has been replaced or returned since: consolidate again')
    FROM (SELECT '#/sections/' || t.code AS pointer, jsonb_array_elements(t.gathered) AS part FROM report_section t
        WHERE t.report_id = p_report AND t.gathered IS NOT NULL
      UNION ALL
      SELECT '#/figures/' || i.code || '/' || p.code, jsonb_array_elements(t.parts) FROM report_total t JOIN indicator i ON i.id = t.indicator_id
        JOIN period p ON p.id = t.period_id WHERE t.report_id = p_report) g
      JOIN report s ON s.id = (g.part ->> 'report')::uuid
    WHERE s.shown IS DISTINCT FROM (g.part ->> 'version')::int OR s.state IN ('draft', 'returned', 'waived', 'withdrawn')
    ORDER BY 1, 2 LIMIT 100) x);
END $$;

-- Writes submission n: sections and figures as they stand, the values locked. They are locked before they are read.
CREATE FUNCTION report_freeze(r report, p_n int) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  at timestamptz := clock_now();
  faults jsonb;
BEGIN
  PERFORM FROM value v WHERE v.id IN (SELECT c.value_id FROM report_cells(r.id) c) ORDER BY v.indicator_id, v.period_id, v.scope_key, v.category FOR UPDATE;
  faults := report_faults(r.id);
  IF faults IS NOT NULL THEN PERFORM fail(422, 'report_incomplete', faults); END IF;
  INSERT INTO report_version (report_id, n, submitted_at, on_time, sections, number, issued_on, about, on_behalf, seat_id, account_id, giver_id)
  SELECT r.id, p_n, at, report_on_time(at, r.due_on), report_draft_sections(r)::jsonb,
    (SELECT w.number FROM report_draft w WHERE w.report_id = r.id), (SELECT w.issued_on FROM report_draft w WHERE w.report_id = r.id),
    report_about(r.id) - 'returned' - 'stands_for', r.organization_id <> me_seat(), me_seat(), me_account(), me_giver();
  INSERT INTO report_figure (report_id, n, position, indicator_id, period_id, category, indicator_code, indicator_name, unit, kind, period_code,
    state, numerator, denominator, number, done, done_on, note, source, value_id, revision)
  SELECT r.id, p_n, c.position, c.indicator_id, c.period_id, c.category, c.indicator_code, c.indicator_name, c.unit, c.kind, c.period_code,
    c.state, c.numerator, c.denominator, c.number, c.done, c.done_on, c.note, c.source, c.value_id, c.revision
  FROM report_cells(r.id) c;
  INSERT INTO report_figure (report_id, n, position, indicator_id, period_id, category, consolidated, indicator_code, indicator_name, unit, kind,
    period_code, state, numerator, denominator, number, reported_units, expected_units, parts)
  SELECT r.id, p_n, 100000 + row_number() OVER (ORDER BY di.position, p.ends_on, t.category), t.indicator_id, t.period_id, t.category, true, i.code, i.name, i.unit, i.kind, p.code,
    'reported', t.numerator, t.denominator, t.number, t.reported_units, t.expected_units, t.parts
  FROM report_total t JOIN indicator i ON i.id = t.indicator_id JOIN period p ON p.id = t.period_id
    LEFT JOIN report_duty_indicator di ON di.duty_id = r.duty_id AND di.indicator_id = t.indicator_id
  WHERE t.report_id = r.id;
  PERFORM report_lock_values(r.id, ARRAY(SELECT f.value_id FROM report_figure f WHERE f.report_id = r.id AND f.n = p_n AND f.value_id IS NOT NULL));
  -- (a value that came to be only now was not locked before it was read)
  IF EXISTS (SELECT FROM report_figure f LEFT JOIN value v ON v.id = f.value_id
      WHERE f.report_id = r.id AND f.n = p_n AND f.value_id IS NOT NULL AND v.version IS DISTINCT FROM f.revision) THEN
    PERFORM fail(409, 'concurrent_change', NULL, 'Some of the values changed meanwhile.');
  END IF;
END $$;

-- ---- what the body of an action says -------------------------------------------------------------------------
-- Faults of a body that names sections, figures or days of the report. NULL: none.
CREATE FUNCTION report_body_faults(r report, p_action text, body jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE given jsonb := coalesce(nullif(body -> CASE p_action WHEN 'edit' THEN 'sections' ELSE 'reasons' END, 'null'), '[]');
BEGIN
  RETURN (SELECT jsonb_agg(x.fault ORDER BY x.n) FROM (
    SELECT g.n, fault('#/sections/' || g.n - 1 || '/code', 'unknown_reference', 'the report has no such section') AS fault
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n)
    WHERE p_action = 'edit' AND NOT EXISTS (SELECT FROM report_duty_section s WHERE s.duty_id = r.duty_id AND s.code = g.item ->> 'code')
    UNION ALL
    SELECT max(g.n), fault('#/sections/' || max(g.n) - 1 || '/code', 'repeated', 'the section is named twice')
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n) WHERE p_action = 'edit' GROUP BY g.item ->> 'code' HAVING count(*) > 1
    UNION ALL
    SELECT g.n, fault('#/sections/' || g.n - 1 || '/text', 'too_long', format('the section "%s" takes %s characters', s.title, s.max_length))
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n) JOIN report_duty_section s ON s.duty_id = r.duty_id AND s.code = g.item ->> 'code'
    WHERE p_action = 'edit' AND length(g.item ->> 'text') > s.max_length
    UNION ALL
    SELECT g.n, fault('#/reasons/' || g.n - 1, 'one_of', 'either section, or indicator with period')
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n)
    WHERE p_action = 'return' AND (g.item ->> 'section' IS NULL) = (g.item ->> 'indicator' IS NULL)
    UNION ALL
    SELECT g.n, fault('#/reasons/' || g.n - 1 || '/section', 'unknown_reference', 'the report has no such section')
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n)
    WHERE p_action = 'return' AND g.item ->> 'section' IS NOT NULL AND NOT EXISTS (SELECT FROM report_version v, jsonb_array_elements(v.sections) s
      WHERE v.report_id = r.id AND v.n = r.shown AND s ->> 'code' = g.item ->> 'section')
    UNION ALL
    SELECT g.n, fault('#/reasons/' || g.n - 1 || '/indicator', 'unknown_reference', 'the report has no such figure')
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n)
    WHERE p_action = 'return' AND g.item ->> 'indicator' IS NOT NULL AND NOT EXISTS (SELECT FROM report_figure f
      WHERE f.report_id = r.id AND f.n = r.shown AND f.indicator_code = g.item ->> 'indicator'
        AND f.period_code = coalesce(g.item ->> 'period', f.period_code) AND f.category = coalesce(g.item ->> 'category', f.category))
    UNION ALL
    SELECT 0, fault('#/sections', 'too_long', 'the sections of a report take 1,000,000 characters together')
    WHERE p_action = 'edit' AND 1000000 < (SELECT coalesce(sum(length(g ->> 'text')), 0) FROM jsonb_array_elements(given) g)
      + (SELECT coalesce(sum(length(t.text)), 0) FROM report_section t WHERE t.report_id = r.id
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(given) g WHERE g ->> 'code' = t.code))
    UNION ALL
    SELECT 0, fault('#/due_on', 'too_early', 'the deadline is put off to a day after the present one, and not into the past')
    WHERE p_action = 'extend' AND ((body ->> 'due_on')::date <= r.due_on OR (body ->> 'due_on')::date < today())
    LIMIT 100) x);
END $$;

CREATE FUNCTION report_write_draft(r report, body jsonb) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_section AS s (report_id, code, text)
  SELECT r.id, g ->> 'code', g ->> 'text' FROM jsonb_array_elements(coalesce(nullif(body -> 'sections', 'null'), '[]')) g
  ON CONFLICT (report_id, code) DO UPDATE SET text = excluded.text, updated_at = clock_now();
  IF body ? 'number' OR body ? 'issued_on' THEN
    INSERT INTO report_draft AS x VALUES (r.id, body ->> 'number', (body ->> 'issued_on')::date)
    ON CONFLICT (report_id) DO UPDATE SET number = CASE WHEN body ? 'number' THEN excluded.number ELSE x.number END,
      issued_on = CASE WHEN body ? 'issued_on' THEN excluded.issued_on ELSE x.issued_on END;
  END IF;
END $$;

-- ---- telling -----------------------------------------------------------------------------------------------
-- The event of an action, and its journal rows: at the unit, and at the recipient where that does not stand above it.
CREATE FUNCTION report_tell(was report, r report, p_action text, body jsonb, request_id text) RETURNS void
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE recipient_key text := (SELECT o.scope_key FROM organization o WHERE o.id = r.recipient_id);
BEGIN
  INSERT INTO report_event (report_id, seq, action, from_state, to_state, n, reason, reasons, due_on, seat_id, account_id, client_id)
  SELECT r.id, coalesce((SELECT max(e.seq) FROM report_event e WHERE e.report_id = r.id), 0) + 1, p_action, was.state, r.state, r.shown,
    body ->> 'reason', nullif(body -> 'reasons', 'null'), CASE WHEN p_action = 'extend' THEN r.due_on END, me_seat(), me_account(), me_client()
  -- writing on is told by the draft itself
  WHERE NOT (p_action = 'edit' AND was.state = r.state);
  PERFORM journal(p_action, 'report', r.id, r.version, r.scope_key, report_brief(was), report_brief(r)
    || CASE WHEN body ? 'reason' THEN jsonb_build_object('reason', body ->> 'reason') ELSE '{}' END, request_id, r.programme_id);
  IF p_action NOT IN ('edit', 'consolidate') AND NOT r.scope_key ^@ recipient_key THEN
    PERFORM journal('addressed', 'report', r.id, r.version, recipient_key, NULL, report_brief(r), request_id, r.programme_id);
  END IF;
END $$;

-- ---- the step ------------------------------------------------------------------------------------------------
-- Checks who acts and locks the row: 404, 403. Which actor an action takes can depend on the acceptance alone.
CREATE FUNCTION report_enter_step(p_report uuid, p_action text) RETURNS report LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  r report;
  actors text[];
BEGIN
  SELECT * INTO r FROM report x WHERE x.id = p_report FOR NO KEY UPDATE;
  IF NOT FOUND OR NOT report_in_sight(r) THEN PERFORM fail(404, 'not_found'); END IF;
  actors := ARRAY(SELECT DISTINCT t.actor FROM report_transition t WHERE t.action = p_action AND t.permission = me_permission()
    AND r.acceptance = ANY (t.acceptance));
  IF cardinality(actors) = 0 AND EXISTS (SELECT FROM report_transition t WHERE t.action = p_action AND t.permission = me_permission()) THEN
    RETURN r;  -- a report of this kind never goes there: the state says so
  END IF;
  IF NOT (('author' = ANY (actors) AND report_is_mine(r.organization_id, r.scope_key, r.entered_by))
      OR ('recipient' = ANY (actors) AND report_is_for_me(r)) OR ('addressee' = ANY (actors) AND report_is_addressed(r))) THEN
    PERFORM fail(403, 'forbidden', NULL, CASE WHEN 'author' = ANY (actors) THEN format('That is done by %s itself.', r.organization_code)
      WHEN 'addressee' = ANY (actors) THEN format('That is done by the unit the report of %s is addressed to, or by a mandate to review.', r.organization_code)
      ELSE format('That is done by the unit the report of %s is addressed to, by the one directly above it, or by a mandate to review.', r.organization_code) END);
  END IF;
  IF p_action IN ('receive', 'approve', 'extend', 'waive') AND report_submitted_by_me(r.id) THEN
    PERFORM fail(403, 'own_submission', NULL, 'Nobody accepts, puts off or waives what they submitted themselves, whichever grant they act by.');
  END IF;
  RETURN r;
END $$;
-- The precondition, and the transition from the state the report is in: 428, 412, 409.
CREATE FUNCTION report_transit(r report, p_action text, if_match text) RETURNS report_transition LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE t report_transition;
BEGIN
  PERFORM check_version(r.version, if_match);
  SELECT * INTO t FROM report_transition x WHERE x.action = p_action AND x.from_state = r.state AND r.acceptance = ANY (x.acceptance);
  IF NOT FOUND THEN
    PERFORM fail(409, 'wrong_state', NULL, format('The report is %s (acceptance: %s); you can do this to it now: %s.', r.state, r.acceptance,
      coalesce(nullif(array_to_string(report_actions(r), ', '), ''), '-')));
  END IF;
  RETURN t;
END $$;

CREATE FUNCTION report_step(p_report uuid, p_action text, body jsonb, if_match text, request_id text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  r report := report_enter_step(p_report, p_action);
  was report := r;
  t report_transition;
  becomes text;
  at timestamptz := clock_now();
  faults jsonb := report_body_faults(r, p_action, body);
BEGIN
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
  t := report_transit(r, p_action, if_match);
  becomes := CASE t.to_state WHEN 'before' THEN coalesce(r.came_from, 'draft') ELSE t.to_state END;
  IF p_action = 'edit' THEN
    PERFORM report_write_draft(r, body);
  ELSIF p_action = 'submit' THEN
    PERFORM report_freeze(r, r.submissions + 1);
  ELSIF p_action = 'recall' THEN
    UPDATE report_version v SET withdrawn_at = at WHERE v.report_id = r.id AND v.n = r.shown;
  ELSIF p_action IN ('receive', 'approve') THEN
    UPDATE report_version v SET accepted_at = at, accepted_as = becomes WHERE v.report_id = r.id AND v.n = r.shown;
  END IF;
  IF t.unlocks THEN PERFORM report_unlock_values(r.id); END IF;
  UPDATE report x SET state = becomes, version = x.version + 1, updated_at = at,
    came_from = CASE WHEN p_action = 'submit' AND x.state = 'expected' THEN 'draft' WHEN p_action IN ('submit', 'waive') THEN x.state ELSE x.came_from END,
    submissions = x.submissions + (p_action = 'submit')::int,
    shown = CASE p_action WHEN 'submit' THEN x.submissions + 1
      WHEN 'recall' THEN (SELECT max(v.n) FROM report_version v WHERE v.report_id = x.id AND v.withdrawn_at IS NULL) ELSE x.shown END,
    submitted_at = CASE WHEN p_action IN ('submit', 'recall') THEN (SELECT max(v.submitted_at) FROM report_version v
      WHERE v.report_id = x.id AND v.withdrawn_at IS NULL) ELSE x.submitted_at END,
    -- what was recalled was not handed in
    first_submitted_at = CASE WHEN p_action IN ('submit', 'recall') THEN (SELECT min(v.submitted_at) FROM report_version v
      WHERE v.report_id = x.id AND v.withdrawn_at IS NULL) ELSE x.first_submitted_at END,
    received_at = CASE WHEN p_action = 'receive' THEN at WHEN p_action = 'submit' THEN NULL ELSE x.received_at END,
    approved_at = CASE WHEN p_action = 'approve' THEN at WHEN p_action = 'submit' THEN NULL ELSE x.approved_at END,
    returned_at = CASE WHEN p_action IN ('return', 'amend') THEN at ELSE x.returned_at END,
    return_requested = CASE WHEN p_action = 'request_return' THEN body ->> 'reason'
      WHEN p_action IN ('return', 'recall', 'submit', 'amend') THEN NULL ELSE x.return_requested END,
    return_requested_at = CASE WHEN p_action = 'request_return' THEN at
      WHEN p_action IN ('return', 'recall', 'submit', 'amend') THEN NULL ELSE x.return_requested_at END,
    due_on = CASE p_action WHEN 'extend' THEN (body ->> 'due_on')::date ELSE x.due_on END,
    waived_reason = CASE p_action WHEN 'waive' THEN body ->> 'reason' WHEN 'reinstate' THEN NULL ELSE x.waived_reason END
  WHERE x.id = r.id RETURNING * INTO r;
  PERFORM report_tell(was, r, p_action, body, request_id);
  RETURN r.version;
END $$;

-- The operation of every action: the report as the caller sees it, done, and answered as it reads then.
CREATE FUNCTION report_act(p_action text, ref text, body jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, body_out text) LANGUAGE plpgsql AS $$
DECLARE rid uuid := path_report(ref);
BEGIN
  version := report_step(rid, p_action, coalesce(body, '{}'), if_match, request_id)::text;
  status := 200;
  body_out := report_json(rid, NULL, NULL);
  RETURN NEXT;
END $$;
GRANT EXECUTE ON FUNCTION seat_holds(text, uuid, text), report_is_for_me(report), report_is_addressed(report), report_in_dialogue(uuid, text, uuid), report_in_sight(report), report_actions(report),
  report_submitted_by_me(uuid), report_cells(uuid), report_step(uuid, text, jsonb, text, text), report_act(text, text, jsonb, text, text) TO tiendo_service;
