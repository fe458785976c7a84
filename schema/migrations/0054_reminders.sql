-- Reminders: that a report is wanted, sent by whoever may urge its unit, or by themselves so many days before and after its deadline,
-- and in the end to the unit above it. None is sent twice, whoever sends it how often and however many processes there are.
SET search_path = tiendo, public;

-- A report that somebody still has to write.
CREATE FUNCTION report_open(state text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT state IN ('expected', 'draft', 'returned', 'amending') $$;

-- to: the report's unit, or of an escalation the one above. seat: in whose name it was sent by hand; days: of one that goes out by itself,
-- how many before or after the deadline it speaks of.
CREATE TABLE reminder (
  id uuid PRIMARY KEY,
  report_id uuid NOT NULL REFERENCES report (id),
  duty_id uuid NOT NULL,
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  period_id uuid,
  period_code text,
  kind text NOT NULL CHECK (kind IN ('manual', 'before', 'after', 'escalation')),
  to_id uuid NOT NULL REFERENCES organization (id),
  to_code text NOT NULL,
  message text CONSTRAINT reminder_message_length CHECK (length(message) BETWEEN 1 AND 2000),
  seat_id uuid,
  seat_code text,
  account_id uuid,
  days int,
  due_on date,
  day date NOT NULL DEFAULT today(),
  sent_at timestamptz NOT NULL DEFAULT clock_now(),
  CHECK ((kind = 'manual') = (seat_id IS NOT NULL)),
  CHECK ((kind = 'manual') = (days IS NULL))
);
COMMENT ON CONSTRAINT reminder_message_length ON reminder IS '422 too_long #/message';
CREATE UNIQUE INDEX reminder_once_by_hand ON reminder (report_id, seat_id, day) WHERE kind = 'manual';
CREATE UNIQUE INDEX reminder_once ON reminder (report_id, kind, days, to_id, due_on) WHERE kind <> 'manual';
CREATE INDEX reminder_sent ON reminder (sent_at, id);
CREATE INDEX reminder_report ON reminder (report_id, sent_at);
CREATE INDEX reminder_to ON reminder (to_id, sent_at);
CREATE INDEX reminder_seat ON reminder (seat_id) WHERE seat_id IS NOT NULL;
CREATE INDEX reminder_key ON reminder (scope_key) INCLUDE (id);
CREATE INDEX reminder_unit ON reminder (organization_id, sent_at);
CREATE INDEX reminder_kind ON reminder (kind, sent_at, id);
CREATE INDEX reminder_duty ON reminder (duty_id, period_id, sent_at);

-- Seen with the unit it is about (its key is its report's, and follows it), by whom it is addressed to, and by who sent it: whoever merely
-- gets a report or its copy sees its own.
DO $do$ BEGIN PERFORM protect('reminder', 'programme_id'); END $do$;
CREATE POLICY service_addressed ON reminder FOR SELECT TO tiendo_service
  USING (to_id = ANY ((SELECT me_seats())::uuid[]) OR seat_id = ANY ((SELECT me_seats())::uuid[]));
GRANT SELECT (id, report_id, duty_id, programme_id, organization_id, organization_code, scope_key, period_id, period_code, kind, to_id, to_code,
  message, seat_id, seat_code, days, due_on, day, sent_at) ON reminder TO tiendo_service;

-- The reminders that the caller may see, when they are few: they are found by their units. NULL: many, found by when they were sent.
CREATE FUNCTION reminder_few() RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  most CONSTANT int := 2000;
  seats uuid[] := me_seats();
  ids uuid[] := ARRAY(SELECT m.id FROM unnest(area()) a JOIN reminder m ON m.scope_key >= lower(a) AND m.scope_key < upper(a) LIMIT most + 1);
BEGIN
  IF cardinality(ids) <= most THEN
    ids := ids || ARRAY(SELECT m.id FROM reminder m WHERE m.to_id = ANY (seats) LIMIT most + 1)
      || ARRAY(SELECT m.id FROM reminder m WHERE m.seat_id = ANY (seats) LIMIT most + 1);
  END IF;
  RETURN CASE WHEN cardinality(ids) <= most THEN ids END;
END $$;

-- Those few, under the caller's policies. (A function, so that the list is one plan that merges them with all rows in order, one part of it idle.)
CREATE FUNCTION reminder_few_rows() RETURNS TABLE (id uuid, kind text, report_id uuid, duty_id uuid, programme_id uuid, period_id uuid, organization_id uuid,
    organization_code text, to_id uuid, to_code text, period_code text, due_on date, days int, message text, seat_code text, sent_at timestamptz)
  LANGUAGE plpgsql STABLE ROWS 500 AS $$
BEGIN
  RETURN QUERY SELECT x.id, x.kind, x.report_id, x.duty_id, x.programme_id, x.period_id, x.organization_id, x.organization_code, x.to_id, x.to_code,
    x.period_code, x.due_on, x.days, x.message, x.seat_code, x.sent_at
  FROM reminder x WHERE x.id = ANY (reminder_few());
END $$;

-- ---- by hand -----------------------------------------------------------------------------------------------
-- Whether the entered caller may urge this unit about a report addressed to that one: as the one it is addressed to, as a unit above it, or
-- by a mandate to remind. Never oneself.
CREATE FUNCTION may_urge(organization uuid, recipient uuid, programme uuid, key text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE seats uuid[] := me_seats();
BEGIN
  RETURN coalesce(me_permission() = 'reminders:write' AND organization <> ALL (seats)
    AND (recipient = ANY (seats) OR key ^@ me_seat_key() OR may_write(programme, key)), false);
END $$;

-- One reminder for each of these reports that is open and that the caller may urge; those its seat reminded of today already are left.
CREATE FUNCTION reminder_send(p_reports uuid[], p_message text, p_request text, OUT sent int, OUT already int)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE wanted uuid[];
BEGIN
  -- (in one order, so that two who send at once wait for each other one way only)
  wanted := ARRAY(SELECT r.id FROM report r WHERE r.id = ANY (p_reports) AND report_open(r.state)
    AND may_urge(r.organization_id, r.recipient_id, r.programme_id, r.scope_key) ORDER BY r.id);
  WITH made AS (
    INSERT INTO reminder (id, report_id, duty_id, programme_id, organization_id, organization_code, scope_key, period_id, period_code, kind,
      to_id, to_code, message, seat_id, seat_code, account_id, due_on)
    SELECT uuid_v7(), r.id, r.duty_id, r.programme_id, r.organization_id, r.organization_code, r.scope_key, r.period_id, r.period_code, 'manual',
      r.organization_id, r.organization_code, p_message, s.id, s.code, me_account(), r.due_on
    FROM report r, organization s WHERE r.id = ANY (wanted) AND s.id = me_seat()
    ORDER BY r.id
    ON CONFLICT DO NOTHING RETURNING *
  ), told AS (
    INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id,
      request_id, after)
    SELECT me_account(), me_client(), me_grant(), me_session(), 'create', 'reminder', m.id, 1, m.scope_key, m.programme_id, p_request, reminder_image(m)
    FROM made m
  )
  SELECT count(*) INTO sent FROM made;
  already := cardinality(wanted) - sent;
END $$;
-- A reminder as the journal has it.
CREATE FUNCTION reminder_image(m reminder) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('report', m.report_id, 'organization', m.organization_code, 'period', m.period_code, 'kind', m.kind, 'to', m.to_code,
    'days', m.days, 'due_on', m.due_on, 'message', m.message) $$;

-- POST of reminders: to the units named, the late ones, or those whose report stands so; each report must be open. What is named and cannot
-- be urged is told with why; where the caller may urge none of them that is 403.
CREATE FUNCTION reminder_create(body jsonb, request_id text) RETURNS TABLE (status int, version text, location text, body_out text)
  LANGUAGE plpgsql AS $$
DECLARE
  d uuid := report_duty_id(body ->> 'duty');
  p uuid := period_id(body ->> 'period');
  d_programme uuid; d_cadence text;
  states text[] := ARRAY(SELECT jsonb_array_elements_text(nullif(body -> 'states', 'null')));
  faults jsonb; refused jsonb; reports uuid[]; wrong int;
  sending record;
BEGIN
  SELECT x.programme_id, x.cadence INTO d_programme, d_cadence FROM report_duty x WHERE x.id = d;
  PERFORM refuse(
    CASE WHEN d IS NULL THEN fault('#/duty', 'unknown_reference', 'no such report duty') END,
    CASE WHEN body ->> 'period' IS NOT NULL AND p IS NULL THEN fault('#/period', 'unknown_reference', 'no such period') END,
    CASE WHEN body ->> 'period' IS NULL AND d_cadence <> 'once' THEN fault('#/period', 'required', 'this is needed here') END,
    CASE WHEN num_nonnulls(body ->> 'organizations', body ->> 'states', nullif(body ->> 'late', 'false')) <> 1
      THEN fault('#/organizations', 'one_of', 'give one of organizations, late and states') END);
  IF body ->> 'organizations' IS NOT NULL THEN
    WITH named AS MATERIALIZED (
      SELECT x.n - 1 AS n, coalesce(organization_id(x.ref), (SELECT r.organization_id FROM report r
        WHERE r.duty_id = d AND x.ref IN (r.organization_code, r.organization_id::text) LIMIT 1)) AS unit
      FROM jsonb_array_elements_text(body -> 'organizations') WITH ORDINALITY x(ref, n)
    ), found AS MATERIALIZED (
      SELECT x.n, x.unit, r.id AS report, coalesce(r.organization_code, o.code) AS code, CASE
        WHEN NOT may_urge(x.unit, r.recipient_id, d_programme, coalesce(r.scope_key, o.scope_key)) THEN 'forbidden'
        WHEN r.id IS NULL OR r.state = 'withdrawn' THEN 'no_report'
        WHEN r.state = 'waived' THEN 'waived'
        WHEN NOT report_open(r.state) THEN 'submitted' END AS why
      FROM named x LEFT JOIN organization o ON o.id = x.unit
        LEFT JOIN LATERAL (SELECT y.* FROM report y WHERE y.duty_id = d AND y.organization_id = x.unit AND (p IS NULL OR y.period_id = p)
          ORDER BY y.created_at DESC LIMIT 1) r ON true
    )
    SELECT jsonb_agg(fault('#/organizations/' || f.n, 'unknown_reference', 'no such organization') ORDER BY f.n) FILTER (WHERE f.unit IS NULL),
      coalesce(jsonb_agg(jsonb_build_object('organization', f.code, 'why', f.why) ORDER BY f.n) FILTER (WHERE f.why IS NOT NULL), '[]'),
      array_agg(f.report) FILTER (WHERE f.why IS NULL), count(*) FILTER (WHERE f.why = 'forbidden')
    INTO faults, refused, reports, wrong FROM found f;
    IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
    IF wrong = jsonb_array_length(body -> 'organizations') THEN
      PERFORM fail(403, 'forbidden', NULL,
        'Those are urged whose report is addressed to the seat, who lie below it, or over whom a mandate lets it remind.');
    END IF;
  ELSE
    reports := ARRAY(SELECT r.id FROM report r WHERE r.duty_id = d AND (p IS NULL OR r.period_id = p) AND report_open(r.state)
      AND CASE WHEN body ->> 'late' = 'true' THEN report_late(r.state, r.due_on) ELSE r.state = ANY (states) END);
  END IF;
  SELECT s.sent, s.already INTO sending FROM reminder_send(reports, body ->> 'message', request_id) s;
  RETURN QUERY SELECT 200, NULL::text, NULL::text,
    json_build_object('sent', sending.sent, 'already', sending.already, 'refused', coalesce(refused, '[]'))::text;
END $$;

CREATE FUNCTION reminder_json(m_id uuid) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(x)::text FROM (
    SELECT m.id, m.kind, m.report_id AS report, (SELECT d.code FROM report_duty d WHERE d.id = m.duty_id) AS duty,
      (SELECT g.code FROM programme g WHERE g.id = m.programme_id) AS programme, m.organization_code AS organization, m.to_code AS "to",
      m.period_code AS period, m.due_on, m.days, m.message, m.seat_code AS "by", tstz(m.sent_at) AS sent_at, reminder_read(m.id) AS read
    FROM reminder m WHERE m.id = m_id) x);
END $$;

-- ---- by themselves -----------------------------------------------------------------------------------------
-- The days a duty's reminders fall on, for a deadline.
CREATE FUNCTION reminder_days(remind_before int[], remind_after int[], escalate_after int, due_on date)
  RETURNS TABLE (kind text, days int, day date) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 4 AS $$
  SELECT 'before', b, due_on - b FROM unnest(remind_before) b
  UNION ALL SELECT 'after', a, due_on + a FROM unnest(remind_after) a
  UNION ALL SELECT 'escalation', escalate_after, due_on + escalate_after WHERE escalate_after IS NOT NULL $$;

-- For every open report with a deadline, the day on which its next reminder falls: one that comes while the report is open. NULL: no more.
-- (No foreign key: that a reminder is planned does not keep a report that is no longer owed.)
CREATE TABLE reminder_next (
  report_id uuid PRIMARY KEY,
  day date
);
CREATE INDEX reminder_next_day ON reminder_next (day, report_id) WHERE day IS NOT NULL;
ALTER TABLE reminder_next ENABLE ROW LEVEL SECURITY;
ALTER TABLE reminder_next FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON reminder_next TO tiendo_owner USING (true) WITH CHECK (true);

-- A report that is made, opened again or given another deadline is reminded of from today on.
CREATE FUNCTION reminder_plan(reports uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO reminder_next AS x
  SELECT r.id, (SELECT min(s.day) FROM reminder_days(d.remind_before, d.remind_after, d.escalate_after, r.due_on) s WHERE s.day >= today())
  FROM report r JOIN report_duty d ON d.id = r.duty_id
  WHERE r.id = ANY (reports) AND report_open(r.state) AND r.due_on IS NOT NULL
  ON CONFLICT (report_id) DO UPDATE SET day = excluded.day;
  DELETE FROM reminder_next x USING report r
  WHERE x.report_id = ANY (reports) AND r.id = x.report_id AND NOT (report_open(r.state) AND r.due_on IS NOT NULL);
END $$;
CREATE FUNCTION reminder_plan_made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM reminder_plan(ARRAY(SELECT m.id FROM made m));
  RETURN NULL;
END $$;
CREATE FUNCTION reminder_plan_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM reminder_plan(ARRAY[new.id]);
  RETURN NULL;
END $$;
CREATE FUNCTION reminder_plan_gone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  DELETE FROM reminder_next x USING gone g WHERE x.report_id = g.id;
  RETURN NULL;
END $$;
CREATE FUNCTION reminder_plan_duty() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM reminder_plan(ARRAY(SELECT r.id FROM report r WHERE r.duty_id = new.id AND report_open(r.state)));
  RETURN NULL;
END $$;
CREATE TRIGGER reminder_plan_made AFTER INSERT ON report REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION reminder_plan_made();
CREATE TRIGGER reminder_plan_gone AFTER DELETE ON report REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION reminder_plan_gone();
CREATE TRIGGER reminder_plan_changed AFTER UPDATE OF state, due_on ON report FOR EACH ROW
  WHEN (report_open(old.state) <> report_open(new.state) OR old.due_on IS DISTINCT FROM new.due_on) EXECUTE FUNCTION reminder_plan_changed();
CREATE TRIGGER reminder_plan_duty AFTER UPDATE OF remind_before, remind_after, escalate_after ON report_duty FOR EACH ROW
  WHEN ((old.remind_before, old.remind_after, old.escalate_after) IS DISTINCT FROM (new.remind_before, new.remind_after, new.escalate_after))
  EXECUTE FUNCTION reminder_plan_duty();
DO $do$ BEGIN PERFORM reminder_plan(ARRAY(SELECT r.id FROM report r WHERE report_open(r.state))); END $do$;

-- Sends what falls due, of so many reports at most: of the days since the last reminder the latest one alone, so that a service that stood
-- still sends no burst; one of before the deadline up to that day. Any number of processes may do it at once: each takes other reports, and
-- what was sent once is never sent again. How many reports it looked at.
CREATE FUNCTION reminder_turn(most int DEFAULT 500) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE taken uuid[];
BEGIN
  IF NOT EXISTS (SELECT FROM reminder_next x WHERE x.day <= today()) OR NOT pg_try_advisory_xact_lock_shared(tree_lock()) THEN
    RETURN 0;
  END IF;
  taken := ARRAY(SELECT x.report_id FROM reminder_next x WHERE x.day <= today() ORDER BY x.day, x.report_id LIMIT most FOR UPDATE SKIP LOCKED);
  WITH due AS (
    SELECT r.*, s.kind, s.days, CASE s.kind WHEN 'escalation' THEN u.id ELSE o.id END AS to_id, CASE s.kind WHEN 'escalation' THEN u.code ELSE o.code END AS to_code
    FROM reminder_next x JOIN report r ON r.id = x.report_id JOIN report_duty d ON d.id = r.duty_id
      JOIN organization o ON o.id = r.organization_id LEFT JOIN organization u ON u.id = o.parent_id
      CROSS JOIN LATERAL (
        (SELECT y.* FROM reminder_days(d.remind_before, d.remind_after, NULL, r.due_on) y
          WHERE y.day BETWEEN x.day AND today() AND (y.kind = 'after' OR today() <= r.due_on) ORDER BY y.day DESC LIMIT 1)
        UNION ALL
        SELECT y.* FROM reminder_days('{}', '{}', d.escalate_after, r.due_on) y WHERE y.day BETWEEN x.day AND today() AND u.id IS NOT NULL) s
    WHERE x.report_id = ANY (taken) AND report_open(r.state)
  ), made AS (
    INSERT INTO reminder (id, report_id, duty_id, programme_id, organization_id, organization_code, scope_key, period_id, period_code, kind,
      to_id, to_code, days, due_on)
    SELECT uuid_v7(), w.id, w.duty_id, w.programme_id, w.organization_id, w.organization_code, w.scope_key, w.period_id, w.period_code, w.kind,
      w.to_id, w.to_code, w.days, w.due_on
    FROM due w ORDER BY w.id, w.kind
    ON CONFLICT DO NOTHING RETURNING *
  )
  INSERT INTO journal (action, resource_type, resource_id, version, scope_key, programme_id, after)
  SELECT 'create', 'reminder', m.id, 1, m.scope_key, m.programme_id, reminder_image(m) FROM made m;
  UPDATE reminder_next x SET day = (SELECT min(s.day) FROM reminder_days(d.remind_before, d.remind_after, d.escalate_after, r.due_on) s
    WHERE s.day > today())
  FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE x.report_id = ANY (taken) AND r.id = x.report_id;
  RETURN cardinality(taken);
END $$;

GRANT EXECUTE ON FUNCTION report_open(text), reminder_few(), reminder_few_rows(), may_urge(uuid, uuid, uuid, text), reminder_send(uuid[], text, text),
  reminder_create(jsonb, text), reminder_json(uuid), reminder_turn(int) TO tiendo_service;
