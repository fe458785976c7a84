-- Reports made ahead: what a duty says of whom and when is brought to rows of report, again and again, whoever changes what it depends
-- on. What anybody has written, said or decided about a report is never lost by it: a report that is no longer owed goes when nothing
-- was ever done with it, else it is withdrawn, and is what it was again when it comes to be owed once more.
SET search_path = tiendo, public;

-- What is to be looked at again: a duty (its periods that end from `since` on, or all), all duties for a unit, or both. Rows are only ever
-- added, so that writers do not wait for each other; the background takes them away.
CREATE TABLE report_mark (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  duty_id uuid,
  organization_id uuid,
  since date,
  -- what could not be done is tried again then
  not_before timestamptz,
  CHECK (duty_id IS NOT NULL OR organization_id IS NOT NULL)
);
CREATE INDEX report_mark_duty ON report_mark (duty_id);
-- The day up to which periods have been looked at.
CREATE TABLE report_state (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  expected_on date NOT NULL
);
INSERT INTO report_state (expected_on) VALUES (today());
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['report_mark', 'report_state'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO tiendo_owner USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;

-- ---- what is owed, and to whom -----------------------------------------------------------------------------
-- Whether a duty asks for a report of the period that ends on a day: it holds on that day, and held already on the day the report is due.
-- (A report is due at the earliest 30 days before its period ends, with data to the first of the period's last month.)
CREATE FUNCTION report_duty_covers(d report_duty, p_ends date) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE p period;
BEGIN
  IF NOT d.validity @> p_ends THEN RETURN false; END IF;
  IF d.cadence = 'once' OR p_ends > lower(d.validity) + 31 THEN RETURN true; END IF;
  SELECT * INTO p FROM period x WHERE x.id = period_ending(d.cadence, p_ends);
  RETURN p.id IS NULL OR (report_dates(d, p.starts_on, p.ends_on, p.kind)).due_on >= lower(d.validity);
END $$;
-- The units that owe a duty for a period that ends on this day, by the tree of that day (decisions for days to come included): those of
-- its kinds below its unit, those named, less those excepted, and never the one it is addressed to. Attached ones where their kind or they
-- themselves are named. What another duty's report stands for is still among them. units: these
-- alone, and planned for them; NULL: all.
CREATE FUNCTION report_duty_owes(d report_duty, p_ends date, units uuid[]) RETURNS TABLE (organization_id uuid)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 2000 SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  IF NOT report_duty_covers(d, p_ends) THEN RETURN; END IF;
  RETURN QUERY
  SELECT s.organization_id
  FROM organization_closure c
    JOIN organization_span s ON s.organization_id = c.descendant_id AND s.validity @> p_ends
    JOIN organization o ON o.id = c.descendant_id
  WHERE c.ancestor_id = d.under_id AND c.depth > 0 AND c.validity @> p_ends AND (units IS NULL OR c.descendant_id = ANY (units))
    AND CASE WHEN d.kinds IS NULL THEN NOT o.attached ELSE s.kind = ANY (d.kinds) END
    AND (d.to_id IS NULL OR s.organization_id <> d.to_id)
    AND NOT EXISTS (SELECT FROM report_duty_organization x WHERE x.duty_id = d.id AND x.organization_id = s.organization_id)
  UNION ALL
  SELECT s.organization_id
  FROM report_duty_organization x JOIN organization_span s ON s.organization_id = x.organization_id AND s.validity @> p_ends
  WHERE x.duty_id = d.id AND NOT x.excepted AND (s.parent_id IS NOT NULL OR NOT d.to_parent)
    AND (units IS NULL OR x.organization_id = ANY (units));
END $$;
CREATE FUNCTION report_duty_owes(d report_duty, p_ends date) RETURNS TABLE (organization_id uuid)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 2000 AS $$
BEGIN
  RETURN QUERY SELECT w.organization_id FROM report_duty_owes(d, p_ends, NULL) w;
END $$;
GRANT EXECUTE ON FUNCTION report_duty_covers(report_duty, date), report_duty_owes(report_duty, date), report_duty_owes(report_duty, date, uuid[]) TO tiendo_service;

-- To whom a unit's report is addressed on a day that was addressed to another before: to that one as long as it stands; then, where
-- reports go to the parent, to the one that followed it as the unit's parent; else to its one successor. Without either it stays.
CREATE FUNCTION report_recipient(unit uuid, recipient uuid, to_parent boolean, day date) RETURNS uuid
  LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  ended date;
  next uuid;
BEGIN
  FOR n IN 1 .. 100 LOOP
    SELECT o.valid_to INTO ended FROM organization o WHERE o.id = recipient AND o.valid_to < day;
    IF NOT FOUND THEN RETURN recipient; END IF;
    next := CASE WHEN to_parent THEN (SELECT s.parent_id FROM organization_span s WHERE s.organization_id = unit AND s.validity @> ended + 1) END;
    IF next IS NULL THEN
      next := (SELECT (array_agg(DISTINCT l.successor_id))[1] FROM organization_lineage l
        WHERE l.predecessor_id = recipient AND l.on_day > ended HAVING count(DISTINCT l.successor_id) = 1);
    END IF;
    IF next IS NULL THEN RETURN recipient; END IF;
    recipient := next;
  END LOOP;
  RETURN recipient;
END $$;

-- The periods of a duty that reports are made for: they end while it holds, are due while it holds, and have begun or begin within 45 days. One for which
-- there are reports is always among them, so that a clock set back takes none away. A duty of one time alone has one, or one without a period.
CREATE FUNCTION report_duty_periods(d report_duty) RETURNS TABLE (period_id uuid, on_day date)
  LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF d.cadence = 'once' THEN
    RETURN QUERY SELECT d.period_id, report_duty_day(d);
  ELSE
    RETURN QUERY SELECT p.id, p.ends_on FROM period p
      WHERE p.kind = d.cadence AND p.programme_id IS NULL AND d.validity @> p.ends_on
        AND report_duty_covers(d, p.ends_on) AND (p.starts_on <= today() + 45 OR EXISTS (SELECT FROM report r WHERE r.duty_id = d.id AND r.period_id = p.id))
      ORDER BY p.ends_on;
  END IF;
END $$;

-- Who owes a report on a duty for a period, and to whom: those whose report on another duty stands for it do not, nor does who would
-- report to itself. Of all units, or of these alone.
CREATE FUNCTION report_wanted(d report_duty, p period, on_day date, units uuid[]) RETURNS TABLE (organization_id uuid, recipient_id uuid)
  LANGUAGE plpgsql STABLE ROWS 2000 SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  day date := greatest(on_day, today());
  addressee uuid := report_recipient(NULL, d.to_id, false, day);
  stood uuid[] := '{}';
BEGIN
  IF p.id IS NOT NULL AND EXISTS (SELECT FROM report_duty_stands_for s WHERE s.for_duty_id = d.id) THEN
    stood := ARRAY(SELECT s.organization_id FROM report_stood_for(d, p, units) s);
  END IF;
  RETURN QUERY
  SELECT w.organization_id, w.recipient_id FROM (
    SELECT x.organization_id, CASE WHEN NOT d.to_parent THEN addressee
        WHEN q.valid_to < day THEN report_recipient(x.organization_id, q.id, true, day) ELSE q.id END AS recipient_id
    FROM report_duty_owes(d, on_day, units) x
      LEFT JOIN organization_span s ON d.to_parent AND s.organization_id = x.organization_id AND s.validity @> on_day
      LEFT JOIN organization q ON q.id = s.parent_id) w
  WHERE w.recipient_id <> w.organization_id AND w.organization_id NOT IN (SELECT unnest(stood));
END $$;

-- ---- bringing reports in line ------------------------------------------------------------------------------
-- Of these reports, those with which nobody ever did anything: expected still, and no row of any table speaks of them but what the service
-- sent of itself.
CREATE FUNCTION reports_untouched(ids uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  c record;
BEGIN
  ids := ARRAY(SELECT r.id FROM report r WHERE r.id = ANY (ids) AND r.state = 'expected');
  FOR c IN SELECT k.conrelid::regclass AS tab, a.attname FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
      WHERE k.confrelid = 'report'::regclass AND k.contype = 'f' LOOP
    EXIT WHEN ids = '{}';
    EXECUTE format('SELECT ARRAY(SELECT i FROM unnest($1) i WHERE NOT EXISTS (SELECT FROM %s x WHERE x.%I = i%s))', c.tab, c.attname,
      CASE c.tab::text WHEN 'reminder' THEN ' AND x.kind = ''manual''' ELSE '' END) INTO ids USING ids;
  END LOOP;
  RETURN ids;
END $$;

-- Gives a report, whose row is held, another state by the service itself: what happened to it, and the journal, tell of it.
CREATE FUNCTION report_put_state(r report, p_action text, becomes text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE made report;
BEGIN
  INSERT INTO report_event (report_id, seq, action, from_state, to_state)
  SELECT r.id, coalesce(max(e.seq), 0) + 1, p_action, r.state, becomes FROM report_event e WHERE e.report_id = r.id;
  UPDATE report x SET state = becomes, version = x.version + 1, updated_at = clock_now() WHERE x.id = r.id RETURNING * INTO STRICT made;
  PERFORM journal(p_action, 'report', r.id, made.version, r.scope_key, report_brief(r), report_brief(made), NULL, r.programme_id);
END $$;

-- Takes away, or withdraws, reports that are no longer owed; how many. What has been submitted, or waived, is what it is.
CREATE FUNCTION reports_withdraw(ids uuid[]) RETURNS int LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  -- nobody writes of them any more from here on
  held uuid[] := ARRAY(SELECT r.id FROM report r WHERE r.id = ANY (ids) AND r.state IN ('expected', 'draft', 'returned') ORDER BY r.id FOR UPDATE);
  bare uuid[];
BEGIN
  IF held = '{}' THEN RETURN 0; END IF;
  bare := reports_untouched(held);
  INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id, before)
  SELECT me_account(), me_client(), me_grant(), me_session(), 'delete', 'report', r.id, r.version + 1, r.scope_key, r.programme_id, report_brief(r)
  FROM report r WHERE r.id = ANY (bare);
  DELETE FROM reminder m WHERE m.report_id = ANY (bare);
  DELETE FROM report r WHERE r.id = ANY (bare);
  PERFORM report_put_state(r, 'withdraw', 'withdrawn') FROM report r WHERE r.id = ANY (held) AND r.id <> ALL (bare);
  RETURN cardinality(held);
END $$;

-- The reports there are of a duty and a period, of all units or of these alone.
CREATE FUNCTION reports_made(p_duty uuid, p_period uuid, units uuid[]) RETURNS SETOF report LANGUAGE plpgsql STABLE ROWS 2000
  SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF units IS NOT NULL THEN
    RETURN QUERY SELECT r.* FROM unnest(units) u JOIN report r ON r.organization_id = u WHERE r.duty_id = p_duty AND r.period_id IS NOT DISTINCT FROM p_period;
  ELSIF p_period IS NULL THEN
    RETURN QUERY SELECT r.* FROM report r WHERE r.duty_id = p_duty AND r.period_id IS NULL;
  ELSE
    RETURN QUERY SELECT r.* FROM report r WHERE r.duty_id = p_duty AND r.period_id = p_period;
  END IF;
END $$;
-- Makes the reports of a duty and a period what they should be, of all units or of these alone; how many rows it wrote, at most so many
-- made and so many changed (NULL: all).
CREATE FUNCTION report_settle_period(d report_duty, p_period uuid, on_day date, units uuid[], most int) RETURNS int
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  p period;
  x record;
  lacking uuid[]; recipients uuid[];       -- units without theirs, and to whom it goes
  differing uuid[]; readdressed uuid[];    -- reports that say something else, and to whom they go
  restored uuid[]; gone uuid[];
BEGIN
  SELECT * INTO p FROM period y WHERE y.id = p_period;
  IF p_period IS NULL THEN
    SELECT NULL::date AS data_from, NULL::date AS data_to, d.due_on INTO x;
  ELSE
    x := report_dates(d, p.starts_on, p.ends_on, p.kind);
  END IF;
  SELECT array_agg(c.unit) FILTER (WHERE c.what = 'make'), array_agg(c.recipient) FILTER (WHERE c.what = 'make'),
    array_agg(c.id) FILTER (WHERE c.what IN ('change', 'restore')), array_agg(c.recipient) FILTER (WHERE c.what IN ('change', 'restore')),
    array_agg(c.id) FILTER (WHERE c.what = 'restore'), array_agg(c.id) FILTER (WHERE c.what = 'withdraw')
    INTO lacking, recipients, differing, readdressed, restored, gone
  FROM (SELECT r.id, w.organization_id AS unit, w.recipient_id AS recipient, CASE
      WHEN r.id IS NULL THEN 'make'
      WHEN w.organization_id IS NULL THEN 'withdraw'
      WHEN r.state = 'withdrawn' THEN 'restore'
      WHEN r.state IN ('expected', 'draft', 'returned')
        AND ((r.recipient_id, r.copy_ids, r.entered_by, r.data_from, r.data_to) IS DISTINCT FROM (w.recipient_id, d.copy_ids, d.entered_by, x.data_from, x.data_to)
          OR (r.state <> 'returned' AND r.acceptance <> d.acceptance)
          OR (r.due_on IS NOT DISTINCT FROM r.first_due_on AND r.due_on IS DISTINCT FROM x.due_on)) THEN 'change' END AS what
    FROM report_wanted(d, p, on_day, units) w FULL JOIN reports_made(d.id, p_period, units) r USING (organization_id)) c;

  IF lacking IS NOT NULL THEN
    WITH fresh AS (
      INSERT INTO report AS r (id, duty_id, programme_id, organization_id, organization_code, scope_key, recipient_id, copy_ids, period_id, period_code,
        acceptance, entered_by, data_from, data_to, due_on, first_due_on)
      SELECT uuid_v7(), d.id, d.programme_id, o.id, o.code, o.scope_key, w.recipient, d.copy_ids, p.id, p.code, d.acceptance, d.entered_by,
        x.data_from, x.data_to, x.due_on, x.due_on
      FROM unnest(lacking, recipients) w(id, recipient) JOIN organization o ON o.id = w.id
      ORDER BY o.scope_key LIMIT most
      ON CONFLICT ON CONSTRAINT report_once DO NOTHING
      RETURNING r AS row
    )
    INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id, after)
    SELECT me_account(), me_client(), me_grant(), me_session(), 'create', 'report', (f.row).id, 1, (f.row).scope_key, d.programme_id, report_brief(f.row) FROM fresh f;
  END IF;
  IF restored IS NOT NULL THEN
    -- owed again: it is what it was
    PERFORM report_put_state(r, 'restore', (SELECT e.from_state FROM report_event e WHERE e.report_id = r.id AND e.action = 'withdraw' ORDER BY e.seq DESC LIMIT 1))
    FROM (SELECT y.* FROM report y WHERE y.id = ANY (restored) AND y.state = 'withdrawn' ORDER BY y.id FOR UPDATE) r;
  END IF;
  IF differing IS NOT NULL THEN
    -- (a deadline that was put off stays, and what has been returned is accepted as it was sent)
    WITH was AS (
      SELECT r.id, w.recipient, r.due_on IS DISTINCT FROM r.first_due_on AS extended, report_brief(r) AS brief
      FROM (SELECT * FROM unnest(differing, readdressed) LIMIT most) w(id, recipient) JOIN report r ON r.id = w.id
    ), now_is AS (
      UPDATE report r SET recipient_id = w.recipient, copy_ids = d.copy_ids, entered_by = d.entered_by, data_from = x.data_from, data_to = x.data_to,
        acceptance = CASE r.state WHEN 'returned' THEN r.acceptance ELSE d.acceptance END, due_on = CASE WHEN w.extended THEN r.due_on ELSE x.due_on END,
        first_due_on = CASE WHEN w.extended THEN r.first_due_on ELSE x.due_on END, version = r.version + 1, updated_at = clock_now()
      FROM was w WHERE r.id = w.id AND r.state IN ('expected', 'draft', 'returned') AND w.extended = (r.due_on IS DISTINCT FROM r.first_due_on)
      RETURNING r AS row, w.brief
    )
    INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id, before, after)
    SELECT me_account(), me_client(), me_grant(), me_session(), 'update', 'report', (n.row).id, (n.row).version, (n.row).scope_key, d.programme_id, n.brief,
      report_brief(n.row) FROM now_is n;
  END IF;
  RETURN least(most, coalesce(cardinality(lacking), 0)) + least(most, coalesce(cardinality(differing), 0))
    + CASE WHEN gone IS NULL THEN 0 ELSE reports_withdraw(gone) END;
END $$;

-- The lock under which a duty's reports are made. Whoever takes it shares the tree's lock already.
CREATE FUNCTION report_expect_lock(duty uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT hashtextextended('tiendo.report_expect.' || duty, 0) $$;

-- Makes a duty's reports what they should be: of all units or of these alone, for periods that end from a day on or all; whole: all was
-- done before `most` rows were written.
CREATE FUNCTION report_settle_duty(duty uuid, units uuid[], since date, most int, OUT written int, OUT whole boolean)
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  d report_duty;
  x record;
BEGIN
  written := 0;
  PERFORM pg_advisory_xact_lock(report_expect_lock(duty));
  SELECT * INTO STRICT d FROM report_duty y WHERE y.id = duty;
  FOR x IN SELECT y.period_id, y.on_day FROM report_duty_periods(d) y
      WHERE since IS NULL OR y.on_day >= since OR d.cadence = 'once'
        -- what is open is looked at whenever its unit is: it may go to somebody else
        OR (units IS NOT NULL AND EXISTS (SELECT FROM report r WHERE r.organization_id = ANY (units) AND r.duty_id = d.id AND r.period_id = y.period_id
          AND r.state IN ('expected', 'draft', 'returned', 'withdrawn'))) LOOP
    written := written + report_settle_period(d, x.period_id, x.on_day, units, most - written);
    whole := coalesce(written < most, true);
    IF NOT whole THEN RETURN; END IF;
  END LOOP;
  -- of periods that it no longer says anything of
  written := written + reports_withdraw(ARRAY(SELECT r.id FROM report r WHERE r.duty_id = d.id AND (units IS NULL OR r.organization_id = ANY (units))
    AND r.state IN ('expected', 'draft', 'returned')
    AND NOT EXISTS (SELECT FROM report_duty_periods(d) y WHERE y.period_id IS NOT DISTINCT FROM r.period_id)));
  whole := true;
END $$;

-- All duties' reports of these units, from the first period that ends from a day on (NULL: all).
CREATE FUNCTION report_settle_units(units uuid[], since date) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE duty uuid;
BEGIN
  FOR duty IN SELECT d.id FROM report_duty d WHERE d.root_id IN (
        -- of every root they stand below at any time
        SELECT DISTINCT a.root_id FROM organization_closure c JOIN organization a ON a.id = c.ancestor_id WHERE c.descendant_id = ANY (units))
      UNION SELECT r.duty_id FROM report r WHERE r.organization_id = ANY (units) ORDER BY 1 LOOP
    PERFORM report_settle_duty(duty, units, since, NULL);
  END LOOP;
END $$;

-- What is open and addressed to a unit that has ended goes to who followed it; who followed the unit it reports to owes it nothing any more.
CREATE FUNCTION reports_readdress() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  -- (few, and found first: who follows a unit is a question for each)
  open_reports uuid[] := ARRAY(SELECT r.id FROM (SELECT q.id FROM organization q WHERE q.valid_to < today() OFFSET 0) q JOIN report r ON r.recipient_id = q.id
    WHERE r.state IN ('expected', 'draft', 'returned', 'submitted', 'amending') OR (r.state = 'received' AND r.acceptance = 'approval'));
BEGIN
  IF open_reports = '{}' THEN RETURN; END IF;
  INSERT INTO report_mark (duty_id, organization_id)
  SELECT r.duty_id, r.organization_id
  FROM report r JOIN report_duty d ON d.id = r.duty_id
  WHERE r.id = ANY (open_reports) AND r.state IN ('expected', 'draft', 'returned')
    AND report_recipient(r.organization_id, r.recipient_id, d.to_parent, today()) = r.organization_id;
  WITH was AS (
    SELECT r.id, report_recipient(r.organization_id, r.recipient_id, d.to_parent, today()) AS next, report_brief(r) AS brief
    FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE r.id = ANY (open_reports)
  ), now_is AS (
    UPDATE report r SET recipient_id = w.next, version = r.version + 1, updated_at = clock_now()
    FROM was w WHERE r.id = w.id AND w.next NOT IN (r.recipient_id, r.organization_id)
    RETURNING r AS row, w.brief
  )
  INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id, before, after)
  SELECT me_account(), me_client(), me_grant(), me_session(), 'update', 'report', (n.row).id, (n.row).version, (n.row).scope_key, (n.row).programme_id, n.brief,
    report_brief(n.row) FROM now_is n;
END $$;

-- ---- when ----------------------------------------------------------------------------------------------------
-- A step of the background: after a midnight all duties are marked; then what is marked is done, a batch a step. Whether there may be more
-- to do. One process does it; looking whether there is anything costs two rows.
CREATE FUNCTION report_expect(most int DEFAULT 5000) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  settled date;
  marks bigint[];
  units uuid[];
  due record;
  done record;
  why text;
BEGIN
  SELECT s.expected_on INTO settled FROM report_state s;
  IF (settled = today() AND NOT EXISTS (SELECT FROM report_mark m WHERE m.not_before IS NULL OR m.not_before NOT BETWEEN clock_now() AND clock_now() + interval '1 hour'))
      OR NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.expect', 0)) THEN
    RETURN 0;
  END IF;
  PERFORM pg_advisory_xact_lock_shared(tree_lock());
  settled := (SELECT s.expected_on FROM report_state s);
  IF settled <> today() THEN
    -- (a clock that was set back: who was followed by whom is looked at again, whatever the period)
    INSERT INTO report_mark (duty_id, since) SELECT d.id, CASE WHEN settled < today() THEN settled END FROM report_duty d ORDER BY d.id;
    UPDATE report_state SET expected_on = today();
    PERFORM reports_readdress();
    RETURN 1;
  END IF;
  SELECT array_agg(m.seq), array_agg(DISTINCT m.organization_id) INTO marks, units FROM report_mark m WHERE m.duty_id IS NULL;
  IF marks IS NOT NULL THEN
    DELETE FROM report_mark m WHERE m.seq = ANY (marks);
    -- very many at once: each duty is looked at as a whole
    INSERT INTO report_mark (duty_id, since)
    SELECT d.id, '-infinity' FROM report_duty d WHERE d.root_id IN (SELECT o.root_id FROM organization o WHERE o.id = ANY (units)) AND cardinality(units) > 200;
    IF cardinality(units) <= 200 THEN PERFORM report_settle_units(units, NULL); END IF;
    RETURN 1;
  END IF;
  SELECT m.duty_id, array_agg(m.seq) AS marks, CASE WHEN bool_and(m.since IS NOT NULL) THEN min(m.since) END AS since,
    CASE WHEN bool_and(m.organization_id IS NOT NULL) THEN array_agg(DISTINCT m.organization_id) END AS units INTO due FROM report_mark m
  WHERE m.not_before IS NULL OR m.not_before NOT BETWEEN clock_now() AND clock_now() + interval '1 hour' GROUP BY m.duty_id ORDER BY min(m.seq) LIMIT 1;
  IF NOT FOUND THEN RETURN 0; END IF;
  BEGIN
    done := report_settle_duty(due.duty_id, due.units, due.since, most);
    IF done.whole THEN DELETE FROM report_mark m WHERE m.seq = ANY (due.marks); END IF;
  EXCEPTION WHEN integrity_constraint_violation OR data_exception OR plpgsql_error THEN
    -- what is wrong with one duty must not hold up the others
    GET STACKED DIAGNOSTICS why = MESSAGE_TEXT;
    RAISE WARNING 'the reports of duty % are not brought in line: %', due.duty_id, why;
    UPDATE report_mark m SET not_before = clock_now() + interval '10 minutes' WHERE m.seq = ANY (due.marks);
  END;
  -- what has grown so much is looked at anew at once, not when autovacuum comes round
  IF (SELECT pg_stat_get_mod_since_analyze(c.oid) > 2000 + greatest(c.reltuples, 0) FROM pg_class c WHERE c.oid = 'report'::regclass) THEN
    ANALYZE report, reminder_next;
  END IF;
  RETURN 1;
END $$;
GRANT EXECUTE ON FUNCTION report_expect(int) TO tiendo_service;

-- A changed duty's reports are there with the change, as long as few are to be looked at and written; many are left to the background, which
-- the change has told. Called when all of the duty has been written.
CREATE FUNCTION report_expect_duty(duty uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  marks bigint[] := ARRAY(SELECT m.seq FROM report_mark m WHERE m.duty_id = duty);
BEGIN
  IF marks <> '{}' AND NOT EXISTS (SELECT FROM report r WHERE r.duty_id = duty OFFSET 1000)
      AND pg_try_advisory_xact_lock_shared(tree_lock()) AND pg_try_advisory_xact_lock(report_expect_lock(duty))
      AND (SELECT s.whole FROM report_settle_duty(duty, NULL, NULL, 200) s) THEN
    DELETE FROM report_mark m WHERE m.seq = ANY (marks);
  END IF;
END $$;
GRANT EXECUTE ON FUNCTION report_expect_duty(uuid) TO tiendo_service;

-- What a duty's reports follow from: itself, what stands for it, the days off, its period's days, units.
CREATE FUNCTION report_duty_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE beside constant text[] := '{title,copies_outside,document,note,campaign,remind_before,remind_after,escalate_after,scope_key,version,updated_at}';
BEGIN
  IF TG_OP = 'INSERT' OR to_jsonb(old) - beside <> to_jsonb(new) - beside THEN
    INSERT INTO report_mark (duty_id) SELECT new.id UNION SELECT s.for_duty_id FROM report_duty_stands_for s WHERE s.duty_id = new.id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER report_duty_changed AFTER INSERT OR UPDATE ON report_duty FOR EACH ROW EXECUTE FUNCTION report_duty_changed();
CREATE FUNCTION report_duty_units_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_mark (duty_id)
  SELECT x.duty_id FROM written x UNION SELECT s.for_duty_id FROM written x JOIN report_duty_stands_for s ON s.duty_id = x.duty_id;
  RETURN NULL;
END $$;
CREATE TRIGGER report_duty_units_added AFTER INSERT ON report_duty_organization REFERENCING NEW TABLE AS written
  FOR EACH STATEMENT EXECUTE FUNCTION report_duty_units_changed();
CREATE TRIGGER report_duty_units_removed AFTER DELETE ON report_duty_organization REFERENCING OLD TABLE AS written
  FOR EACH STATEMENT EXECUTE FUNCTION report_duty_units_changed();
CREATE FUNCTION report_duty_stands_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_mark (duty_id) SELECT DISTINCT x.for_duty_id FROM written x;
  RETURN NULL;
END $$;
CREATE TRIGGER report_duty_stands_added AFTER INSERT ON report_duty_stands_for REFERENCING NEW TABLE AS written
  FOR EACH STATEMENT EXECUTE FUNCTION report_duty_stands_changed();
CREATE TRIGGER report_duty_stands_removed AFTER DELETE ON report_duty_stands_for REFERENCING OLD TABLE AS written
  FOR EACH STATEMENT EXECUTE FUNCTION report_duty_stands_changed();
-- (All duties of a root, or of the country, are many: the background does them.)
CREATE FUNCTION report_days_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_mark (duty_id, since)
  SELECT d.id, '-infinity' FROM report_duty d WHERE EXISTS (SELECT FROM written h WHERE h.root_id IS NULL OR h.root_id = d.root_id) ORDER BY 1;
  RETURN NULL;
END $$;
CREATE TRIGGER report_days_added AFTER INSERT ON holiday REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION report_days_changed();
CREATE TRIGGER report_days_changed AFTER UPDATE ON holiday REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION report_days_changed();
CREATE TRIGGER report_days_removed AFTER DELETE ON holiday REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION report_days_changed();
CREATE FUNCTION report_period_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_mark (duty_id) SELECT d.id FROM report_duty d WHERE d.period_id = new.id;
  RETURN NULL;
END $$;
CREATE TRIGGER report_period_changed AFTER UPDATE OF starts_on, ends_on ON period
  FOR EACH ROW WHEN ((old.starts_on, old.ends_on) IS DISTINCT FROM (new.starts_on, new.ends_on)) EXECUTE FUNCTION report_period_changed();
-- Units that are made one by one; what a decision does to many is settled with it (0047).
CREATE FUNCTION report_units_made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF current_setting('tiendo.reorganizing', true) = 'on' THEN RETURN NULL; END IF;
  INSERT INTO report_mark (organization_id) SELECT DISTINCT x.organization_id FROM written x WHERE EXISTS (SELECT FROM report_duty);
  RETURN NULL;
END $$;
CREATE TRIGGER report_units_made AFTER INSERT ON organization_span REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION report_units_made();
CREATE FUNCTION report_unit_attached() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_mark (organization_id) VALUES (new.id);
  RETURN NULL;
END $$;
CREATE TRIGGER report_unit_attached AFTER UPDATE OF attached ON organization
  FOR EACH ROW WHEN (old.attached <> new.attached) EXECUTE FUNCTION report_unit_attached();
-- What is opened again may not be owed any more, or by other rules.
CREATE FUNCTION report_opened() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_mark (duty_id, organization_id) VALUES (new.duty_id, new.organization_id);
  RETURN NULL;
END $$;
CREATE TRIGGER report_opened AFTER UPDATE OF state ON report FOR EACH ROW
  WHEN (old.state NOT IN ('expected', 'draft', 'returned', 'withdrawn') AND new.state IN ('expected', 'draft', 'returned')) EXECUTE FUNCTION report_opened();
