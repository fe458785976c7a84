-- A report as it is read: its draft by its author, its shown submission (or an earlier one) by whoever sees it.
SET search_path = tiendo, public;

-- A period as people write it.
CREATE FUNCTION period_title(kind text, code text, name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(name, CASE kind
    WHEN 'week' THEN 'Tuần ' || ltrim(substr(code, 7), '0')
    WHEN 'month' THEN 'Tháng ' || ltrim(substr(code, 7), '0')
    WHEN 'quarter' THEN 'Quý ' || (ARRAY['I', 'II', 'III', 'IV'])[substr(code, 7)::int]
    WHEN 'half_year' THEN CASE right(code, 1) WHEN '1' THEN '6 tháng đầu năm' ELSE '6 tháng cuối năm' END
    WHEN 'nine_months' THEN '9 tháng'
    WHEN 'year' THEN 'Năm' END
    || CASE WHEN kind IN ('half_year', 'year') THEN ' ' ELSE ' năm ' END || left(code, 4)) $$;

-- What a report's reader is told of units and people that it may not see otherwise: names of those it concerns, and why it came back.
CREATE FUNCTION report_about(p_report uuid) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  r report := (SELECT x FROM report x WHERE x.id = p_report);
  d report_duty := (SELECT x FROM report_duty x WHERE x.id = r.duty_id);
  p period := (SELECT x FROM period x WHERE x.id = r.period_id);
BEGIN
  IF r.id IS NULL OR NOT report_in_sight(r) THEN RETURN NULL; END IF;
  RETURN jsonb_build_object('duty', d.code, 'duty_title', d.title, 'programme', (SELECT g.code FROM programme g WHERE g.id = r.programme_id),
    'organization_name', (SELECT o.name FROM organization o WHERE o.id = r.organization_id),
    'organization_kind', (SELECT o.kind FROM organization o WHERE o.id = r.organization_id),
    'above', (SELECT jsonb_build_object('name', a.name, 'kind', a.kind) FROM organization o JOIN organization a ON a.id = o.parent_id WHERE o.id = r.organization_id),
    'recipient', (SELECT jsonb_build_object('code', o.code, 'name', o.name) FROM organization o WHERE o.id = r.recipient_id),
    'copies', (SELECT coalesce(jsonb_agg(jsonb_build_object('code', o.code, 'name', o.name) ORDER BY c.n), '[]')
      FROM unnest(r.copy_ids) WITH ORDINALITY c(id, n) JOIN organization o ON o.id = c.id),
    'copies_outside', to_jsonb(d.copies_outside), 'data_from', r.data_from, 'data_to', r.data_to, 'acceptance', r.acceptance, 'period_name', period_title(p.kind, p.code, p.name),
    'returned', (SELECT jsonb_build_object('at', tstz(e.at), 'by', o.code, 'action', e.action, 'reason', e.reason, 'reasons', coalesce(e.reasons, '[]'))
      FROM report_event e LEFT JOIN organization o ON o.id = e.seat_id
      WHERE e.report_id = r.id AND report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id)
        AND e.action IN ('return', 'amend') AND r.state IN ('returned', 'amending') ORDER BY e.seq DESC LIMIT 1),
    'stands_for', (SELECT coalesce(jsonb_agg(jsonb_build_object('duty', x.code, 'period', y.code) ORDER BY x.code), '[]')
      FROM report_stands_for(d, p, r.organization_id) s JOIN report_duty x ON x.id = s.duty_id JOIN period y ON y.id = s.period_id WHERE p.id IS NOT NULL));
END $$;
-- The code of the unit a submission came from, or an event of the report.
CREATE FUNCTION report_seat(p_report uuid, seat uuid) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT o.code FROM report r JOIN organization o ON o.id = seat WHERE r.id = p_report AND report_in_sight(r)
    AND (EXISTS (SELECT FROM report_event e WHERE e.report_id = r.id AND e.seat_id = seat)
      OR EXISTS (SELECT FROM report_version v WHERE v.report_id = r.id AND v.seat_id = seat)));
END $$;

CREATE FUNCTION report_figure_json(indicator text, name text, unit text, kind text, period text, category text, numerator numeric, denominator numeric,
    number numeric, done_on date, state text, note text, source text, consolidated boolean, reported_units int, expected_units int, revision bigint)
  RETURNS json LANGUAGE sql STABLE AS $$
  SELECT json_build_object('indicator', indicator, 'name', name, 'unit', unit, 'kind', kind, 'period', period, 'category', nullif(category, ''),
    'numerator', numerator, 'denominator', denominator, 'number', number, 'percent', tiendo.percent(numerator, denominator), 'done_on', done_on,
    'state', coalesce(state, 'missing'), 'note', note, 'source', source, 'consolidated', consolidated, 'reported_units', reported_units,
    'expected_units', expected_units, 'revision', revision) $$;

-- The sections and figures of the draft, read live; of submission n, as they stood.
CREATE FUNCTION report_draft_sections(r report) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(json_agg(json_build_object('code', s.code, 'title', s.title, 'required', s.required, 'max_length', s.max_length,
    'text', t.text, 'gathered', coalesce(t.gathered, '[]')) ORDER BY s.position), '[]')
  FROM tiendo.report_duty_section s LEFT JOIN tiendo.report_section t ON t.report_id = r.id AND t.code = s.code WHERE s.duty_id = r.duty_id);
END $$;
CREATE FUNCTION report_draft_figures(r report) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(json_agg(x.f ORDER BY x.part, x.n), '[]') FROM (
    SELECT 1 AS part, c.position AS n, tiendo.report_figure_json(c.indicator_code, c.indicator_name, c.unit, c.kind, c.period_code, c.category,
      c.numerator, c.denominator, c.number, c.done_on, c.state, c.note, c.source, false, NULL, NULL, c.revision) AS f
    FROM tiendo.report_cells(r.id) c
    UNION ALL
    SELECT 2, row_number() OVER (ORDER BY di.position, p.ends_on, t.category), tiendo.report_figure_json(i.code, i.name, i.unit, i.kind, p.code,
      t.category, t.numerator, t.denominator, t.number, NULL, 'reported', NULL, NULL, true, t.reported_units, t.expected_units, NULL)
    FROM tiendo.report_total t JOIN tiendo.indicator i ON i.id = t.indicator_id JOIN tiendo.period p ON p.id = t.period_id
      LEFT JOIN tiendo.report_duty_indicator di ON di.duty_id = r.duty_id AND di.indicator_id = t.indicator_id
    WHERE t.report_id = r.id) x);
END $$;
CREATE FUNCTION report_version_figures(p_report uuid, p_n int) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(json_agg(tiendo.report_figure_json(f.indicator_code, f.indicator_name, f.unit, f.kind, f.period_code, f.category, f.numerator,
    f.denominator, f.number, f.done_on, f.state, f.note, f.source, f.consolidated, f.reported_units, f.expected_units, f.revision)
    ORDER BY f.position), '[]')
  FROM tiendo.report_figure f WHERE f.report_id = p_report AND f.n = p_n);
END $$;

-- Which view is answered: the draft to its author while it may be written (or asked for), else the shown submission, or the one of that number.
-- NULL: there is no such view for this caller.
CREATE FUNCTION report_view(r report, p_n int, p_view text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  mine boolean := report_is_mine(r.organization_id, r.scope_key, r.entered_by);
  writable boolean := r.state IN ('expected', 'draft', 'returned', 'amending');
BEGIN
  RETURN CASE
    WHEN p_n IS NOT NULL THEN CASE WHEN p_view IS DISTINCT FROM 'draft' AND EXISTS (SELECT FROM report_version v
      WHERE v.report_id = r.id AND v.n = p_n) THEN 'submitted' END
    WHEN p_view = 'draft' THEN CASE WHEN mine AND writable THEN 'draft' END
    WHEN p_view = 'submitted' THEN CASE WHEN r.shown IS NOT NULL THEN 'submitted' END
    WHEN mine AND writable THEN 'draft'
    WHEN r.shown IS NOT NULL THEN 'submitted'
    ELSE 'none' END;
END $$;

-- A report as answered. NULL: not seen, or no such view.
CREATE FUNCTION report_json(p_report uuid, p_n int, p_view text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  r report;
  seen text;
  about jsonb;
  v report_version;
  w report_draft;
  at_n int;
BEGIN
  SELECT * INTO r FROM report x WHERE x.id = p_report;
  seen := report_view(r, p_n, p_view);
  IF r.id IS NULL OR seen IS NULL THEN RETURN NULL; END IF;
  about := report_about(r.id);
  IF r.shown IS NOT NULL OR p_n IS NOT NULL THEN
    SELECT * INTO v FROM report_version x WHERE x.report_id = r.id AND x.n = coalesce(p_n, r.shown);
  END IF;
  -- a submission's heading is what it was
  IF seen = 'submitted' THEN about := about || v.about; END IF;
  IF seen = 'draft' THEN SELECT * INTO w FROM report_draft x WHERE x.report_id = r.id; END IF;
  at_n := CASE seen WHEN 'draft' THEN r.submissions + 1 WHEN 'submitted' THEN v.n ELSE 0 END;
  RETURN (SELECT row_to_json(a)::text FROM (SELECT r.id, about ->> 'duty' AS duty, about ->> 'duty_title' AS duty_title, about ->> 'programme' AS programme,
    r.organization_code AS organization, about ->> 'organization_name' AS organization_name, about ->> 'organization_kind' AS organization_kind,
    about -> 'above' AS above, about -> 'recipient' AS recipient, about -> 'copies' AS copies, about -> 'copies_outside' AS copies_outside,
    r.period_code AS period, about ->> 'period_name' AS period_name, r.state, report_late(r.state, r.due_on) AS late, about ->> 'acceptance' AS acceptance,
    about ->> 'data_from' AS data_from, about ->> 'data_to' AS data_to, r.due_on, r.first_due_on, r.due_on IS DISTINCT FROM r.first_due_on AS extended,
    CASE seen WHEN 'submitted' THEN v.number WHEN 'draft' THEN w.number END AS number,
    CASE seen WHEN 'submitted' THEN v.issued_on WHEN 'draft' THEN w.issued_on END AS issued_on,
    r.classification, seen AS view,
    CASE WHEN v.n IS NOT NULL THEN json_build_object('n', v.n, 'submitted_at', tstz(v.submitted_at), 'submitted_by', report_seat(r.id, v.seat_id),
      'on_behalf', v.on_behalf, 'on_time', v.on_time, 'accepted_at', tstz(v.accepted_at), 'accepted_as', v.accepted_as,
      'recalled_at', tstz(v.withdrawn_at)) END AS submission,
    r.submissions,
    CASE seen WHEN 'draft' THEN report_draft_sections(r) WHEN 'submitted' THEN v.sections::json ELSE '[]' END AS sections,
    CASE seen WHEN 'draft' THEN report_draft_figures(r) WHEN 'submitted' THEN report_version_figures(r.id, v.n) ELSE '[]' END AS figures,
    about -> 'returned' AS returned,
    CASE WHEN r.return_requested IS NOT NULL AND report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id) THEN json_build_object('at', tstz(r.return_requested_at), 'reason', r.return_requested) END AS return_requested,
    r.waived_reason AS waived, report_actions(r) AS actions, about -> 'stands_for' AS stands_for,
    (SELECT count(*) FROM attachment a WHERE a.report_id = r.id AND a.added_in <= at_n AND (a.removed_in IS NULL OR a.removed_in > at_n)) AS attachments,
    (SELECT count(*) FROM report_comment c WHERE c.report_id = r.id) AS comments, r.version, tstz(r.created_at) AS created_at,
    tstz(r.updated_at) AS updated_at) a);
END $$;

CREATE FUNCTION filter_report_duties(refs text[], parameter text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT filter_report_duty(x, parameter) FROM unnest(refs) x);
END $$;
-- The visible report a path names: 404.
CREATE FUNCTION path_report(ref text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE rid uuid := (SELECT r.id FROM report r WHERE is_uuid(ref) AND r.id = ref::uuid);
BEGIN
  IF rid IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN rid;
END $$;
CREATE FUNCTION report_get(ref text, p_n int, p_view text) RETURNS TABLE (version text, body text) LANGUAGE plpgsql STABLE AS $$
BEGIN
  body := report_json(path_report(ref), p_n, p_view);
  IF body IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  -- What is late, and what one may do, changes without the report: the tag tells the text apart too.
  version := (SELECT r.version FROM report r WHERE r.id = ref::uuid) || ';' || left(md5(body), 12);
  RETURN NEXT;
END $$;

GRANT EXECUTE ON FUNCTION period_title(text, text, text), report_about(uuid), report_seat(uuid, uuid), report_figure_json(text, text, text, text, text,
  text, numeric, numeric, numeric, date, text, text, text, boolean, int, int, bigint), report_draft_sections(report), report_draft_figures(report),
  report_version_figures(uuid, int), report_view(report, int, text), report_json(uuid, int, text), filter_report_duties(text[], text), path_report(text), report_get(text, int, text) TO tiendo_service;
