-- What a unit and those it reports to say to each other about a report. What has been said stays: nothing is changed and nothing taken away.
-- Before a unit has handed its report in, what it says about it is said among its own people, and stays so.
SET search_path = tiendo, public;

CREATE TABLE report_comment (
  id uuid PRIMARY KEY,
  report_id uuid NOT NULL REFERENCES report (id),
  at timestamptz NOT NULL DEFAULT clock_now(),
  text text NOT NULL,
  section text COLLATE "C",
  indicator text,
  period text,
  category text,
  side text NOT NULL CHECK (side IN ('author', 'recipient')),
  internal boolean NOT NULL,
  -- the submission there was to speak of
  n int,
  seat_id uuid NOT NULL,
  seat_code text NOT NULL,
  account_id uuid,
  giver_id uuid,
  client_id uuid,
  CHECK (length(text) BETWEEN 1 AND 4000),
  CHECK (NOT internal OR side = 'author'),
  CHECK (section IS NULL OR indicator IS NULL)
);
CREATE INDEX report_comment_report ON report_comment (report_id, at, id);
ALTER TABLE report_comment ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_comment FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON report_comment TO tiendo_owner USING (true) WITH CHECK (true);
CREATE POLICY service_read ON report_comment FOR SELECT TO tiendo_service USING (EXISTS (SELECT FROM report r
  WHERE r.id = report_id AND report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id)
    AND (NOT internal OR report_is_mine(r.organization_id, r.scope_key, r.entered_by))));
GRANT SELECT ON report_comment TO tiendo_service;

-- The visible report a path names, for what is said about it: a copy has no part in that.
CREATE FUNCTION path_report_dialogue(ref text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE rid uuid := path_report(ref);
BEGIN
  IF NOT EXISTS (SELECT FROM report r WHERE r.id = rid AND report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id)) THEN
    PERFORM fail(403, 'forbidden', NULL, 'What is said about a report is for the unit that writes it, for those it reports to and for those above: a copy has no part in it.');
  END IF;
  RETURN rid;
END $$;

CREATE FUNCTION report_comment_json(c report_comment) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT json_build_object('id', c.id, 'at', tiendo.tstz(c.at), 'text', c.text, 'section', c.section, 'indicator', c.indicator, 'period', c.period,
    'category', c.category, 'side', c.side, 'internal', c.internal, 'organization', c.seat_code, 'submission', c.n) $$;

CREATE FUNCTION report_comment_faults(r report, body jsonb) RETURNS jsonb[] LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT ARRAY[
    CASE WHEN body ->> 'section' IS NOT NULL AND body ->> 'indicator' IS NOT NULL THEN fault('#/section', 'one_of', 'either section, or indicator') END,
    CASE WHEN body ->> 'indicator' IS NULL AND (body ->> 'period' IS NOT NULL OR body ->> 'category' IS NOT NULL)
      THEN fault('#/indicator', 'required', 'period and category go with an indicator') END,
    CASE WHEN body ->> 'section' IS NOT NULL AND NOT EXISTS (SELECT FROM report_duty_section s WHERE s.duty_id = r.duty_id AND s.code = body ->> 'section')
      THEN fault('#/section', 'unknown_reference', 'the report has no such section') END,
    CASE WHEN body ->> 'indicator' IS NOT NULL AND NOT EXISTS (SELECT FROM report_duty_indicator d JOIN indicator i ON i.id = d.indicator_id
        WHERE d.duty_id = r.duty_id AND i.code = body ->> 'indicator') THEN fault('#/indicator', 'unknown_reference', 'the report has no such figure') END,
    CASE WHEN body ->> 'period' IS NOT NULL AND NOT EXISTS (SELECT FROM period p WHERE p.code = body ->> 'period')
      THEN fault('#/period', 'unknown_reference', 'no such period') END,
    CASE WHEN body ->> 'category' IS NOT NULL AND NOT EXISTS (SELECT FROM indicator i JOIN report_duty_indicator d ON d.indicator_id = i.id AND d.duty_id = r.duty_id
        WHERE i.code = body ->> 'indicator' AND body ->> 'category' = ANY (i.categories)) THEN fault('#/category', 'unknown_reference', 'the indicator has no such category') END] $$;

CREATE FUNCTION report_comment_step(p_report uuid, new_id uuid, body jsonb, request_id text) RETURNS json
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  r report := (SELECT x FROM report x WHERE x.id = p_report);
  mine boolean := report_is_mine(r.organization_id, r.scope_key, r.entered_by);
  recipient_key text := (SELECT o.scope_key FROM organization o WHERE o.id = r.recipient_id);
  made report_comment;
BEGIN
  IF r.id IS NULL OR NOT report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id) THEN PERFORM fail(404, 'not_found'); END IF;
  IF me_permission() IS DISTINCT FROM 'reports:write' OR NOT (mine OR report_is_for_me(r)) THEN
    PERFORM fail(403, 'forbidden', NULL, format('The unit that writes the report of %s and those who accept it comment on it.', r.organization_code));
  END IF;
  PERFORM refuse(VARIADIC report_comment_faults(r, body));
  INSERT INTO report_comment (id, report_id, text, section, indicator, period, category, side, internal, n, seat_id, seat_code, account_id, giver_id, client_id)
  SELECT new_id, r.id, body ->> 'text', body ->> 'section', body ->> 'indicator', body ->> 'period', body ->> 'category',
    CASE WHEN mine THEN 'author' ELSE 'recipient' END, mine AND r.first_submitted_at IS NULL, r.shown, me_seat(), o.code, me_account(), me_giver(), me_client()
  FROM organization o WHERE o.id = me_seat()
  RETURNING * INTO made;
  -- What the unit says among its own is not told to those above it; what it says to a recipient that does not stand above it, there too.
  IF NOT made.internal THEN
    PERFORM journal('comment', 'report', r.id, r.version, r.scope_key, NULL, report_comment_json(made)::jsonb, request_id, r.programme_id);
    IF mine AND NOT r.scope_key ^@ recipient_key THEN
      PERFORM journal('comment', 'report', r.id, r.version, recipient_key, NULL, report_comment_json(made)::jsonb, request_id, r.programme_id);
    END IF;
  END IF;
  RETURN report_comment_json(made);
END $$;
CREATE FUNCTION report_comment_create(ref text, new_id uuid, body jsonb, request_id text) RETURNS TABLE (status int, body_out text)
  LANGUAGE plpgsql AS $$
BEGIN
  body_out := report_comment_step(path_report_dialogue(ref), new_id, body, request_id)::text;
  status := 201;
  RETURN NEXT;
END $$;

GRANT EXECUTE ON FUNCTION path_report_dialogue(text), report_comment_json(report_comment), report_comment_step(uuid, uuid, jsonb, text),
  report_comment_create(text, uuid, jsonb, text) TO tiendo_service;
