-- Values: what a unit reports in an indicator for a period (and category). Written by value_put and value_import alone;
-- the triggers keep every revision, the journal and the roll-up, whoever writes.
--   A ratio is a numerator and a denominator, both at least 0. 0 of 0 is a report that there was nothing to count: it is
--   reported, adds nothing, and has no percentage. A zero denominator under anything else is refused.
--   Keys are not foreign keys: they are resolved under the caller's policies in the writing statement, and what they
--   name is never deleted. Codes never change, so a value carries those of its keys.
SET search_path = tiendo, public;

CREATE TABLE value (
  id uuid PRIMARY KEY,
  indicator_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  period_id uuid NOT NULL,
  programme_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL DEFAULT '',
  indicator_code text NOT NULL,
  organization_code text NOT NULL,
  period_code text NOT NULL,
  state text NOT NULL CHECK (state IN ('reported', 'not_applicable')),
  counted boolean NOT NULL,
  done boolean,
  done_on date,
  numerator numeric,
  denominator numeric,
  number numeric,
  note text,
  evidence_url text,
  source text,
  reason text,
  on_behalf boolean NOT NULL,
  entered_by text NOT NULL,
  seat_id uuid NOT NULL,
  account_id uuid,
  client_id uuid,
  grant_id uuid NOT NULL,
  session_id uuid NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  -- A unit has one key, so this is the uniqueness of indicator, unit, period and category. The key goes first: the index gives
  -- pages their tree order too, and a look-up of one value has no worse index to be led astray to.
  CONSTRAINT value_taken UNIQUE (scope_key, indicator_id, period_id, category),
  CONSTRAINT value_figure CHECK (num_nonnulls(numerator, number, done) = CASE state WHEN 'reported' THEN 1 ELSE 0 END),
  CONSTRAINT value_ratio CHECK (CASE WHEN numerator IS NULL THEN denominator IS NULL
    ELSE denominator IS NOT NULL AND numerator >= 0 AND (denominator > 0 OR (denominator = 0 AND numerator = 0)) END),
  CONSTRAINT value_done CHECK (coalesce(done, false) = (done_on IS NOT NULL))
);
COMMENT ON CONSTRAINT value_taken ON value IS '412 version_conflict';
CREATE INDEX value_range ON value (indicator_id, period_id, scope_key);
CREATE INDEX value_updated ON value (updated_at, id);

CREATE TABLE value_revision (
  value_id uuid NOT NULL,
  version bigint NOT NULL,
  at timestamptz NOT NULL,
  indicator_id uuid NOT NULL,
  period_id uuid NOT NULL,
  programme_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  organization_code text NOT NULL,
  period_code text NOT NULL,
  state text NOT NULL CHECK (state IN ('reported', 'not_applicable', 'deleted')),
  done boolean,
  done_on date,
  numerator numeric,
  denominator numeric,
  number numeric,
  note text,
  evidence_url text,
  source text,
  reason text,
  on_behalf boolean NOT NULL,
  entered_by text NOT NULL,
  seat_id uuid NOT NULL,
  account_id uuid,
  client_id uuid,
  grant_id uuid NOT NULL,
  session_id uuid NOT NULL,
  PRIMARY KEY (value_id, version)
);
CREATE INDEX value_revision_deleted ON value_revision (indicator_id, period_id, scope_key) WHERE state = 'deleted';

-- Sums of the counted values of a unit's proper descendants, and what is not yet folded into them. A delta stands at the
-- unit just above the values it tells of and concerns that unit and all above it, so one row a writer is enough.
CREATE TABLE rollup (
  indicator_id uuid NOT NULL,
  period_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  programme_id uuid NOT NULL,
  reported bigint NOT NULL,
  not_applicable bigint NOT NULL,
  done bigint NOT NULL,
  numerator numeric NOT NULL,
  denominator numeric NOT NULL,
  number numeric NOT NULL,
  PRIMARY KEY (indicator_id, period_id, scope_key, category)
) WITH (fillfactor = 70);
CREATE TABLE rollup_delta (LIKE rollup);
CREATE INDEX rollup_delta_key ON rollup_delta (indicator_id, period_id, scope_key);
ALTER TABLE rollup_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

DO $do$ BEGIN
  PERFORM protect('value', 'programme_id');
  PERFORM protect('value_revision', 'programme_id');
  PERFORM protect('rollup', 'programme_id');
  PERFORM protect('rollup_delta', 'programme_id');
END $do$;
-- Which of the units below the seat may be entered for is settled by the assignment; the policies know the areas, and that a
-- caller writes as itself.
CREATE FUNCTION may_enter(programme uuid, key text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN limited_write_programmes() IS NOT NULL
    AND in_limited(programme, key, limited_write_programmes(), limited_write_scopes());
END $$;
CREATE POLICY service_insert ON value FOR INSERT TO tiendo_service WITH CHECK ((SELECT me_permission()) = 'values:write'
  AND (scope_key <@ (SELECT write_scope()) OR scope_key <@ (SELECT behalf_scope()) OR may_enter(programme_id, scope_key))
  AND grant_id = (SELECT me_grant()) AND session_id = (SELECT me_session())
  AND account_id IS NOT DISTINCT FROM (SELECT me_account()) AND client_id IS NOT DISTINCT FROM (SELECT me_client())
  AND seat_id = (SELECT me_seat()) AND on_behalf = (organization_id <> (SELECT me_seat())));
CREATE POLICY service_update ON value FOR UPDATE TO tiendo_service USING ((SELECT me_permission()) = 'values:write'
  AND (scope_key <@ (SELECT write_scope()) OR scope_key <@ (SELECT behalf_scope()) OR may_enter(programme_id, scope_key)))
  WITH CHECK (grant_id = (SELECT me_grant()) AND session_id = (SELECT me_session())
  AND account_id IS NOT DISTINCT FROM (SELECT me_account()) AND client_id IS NOT DISTINCT FROM (SELECT me_client())
  AND seat_id = (SELECT me_seat()) AND on_behalf = (organization_id <> (SELECT me_seat())));
CREATE POLICY service_delete ON value FOR DELETE TO tiendo_service USING ((SELECT me_permission()) = 'values:write'
  AND (scope_key <@ (SELECT write_scope()) OR scope_key <@ (SELECT behalf_scope()) OR may_enter(programme_id, scope_key)));
GRANT SELECT, INSERT, DELETE ON value TO tiendo_service;
GRANT UPDATE (state, counted, done, done_on, numerator, denominator, number, note, evidence_url, source, reason, on_behalf,
  entered_by, seat_id, account_id, client_id, grant_id, session_id, version, updated_at) ON value TO tiendo_service;
GRANT SELECT ON value_revision, rollup, rollup_delta TO tiendo_service;

-- ---- what every write of values leaves behind --------------------------------------------------------------
CREATE FUNCTION value_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  -- What a value carries of what it names is what that says of itself: the policies of all that follows go by it.
  IF EXISTS (SELECT FROM made m
      LEFT JOIN indicator i ON i.id = m.indicator_id AND i.programme_id = m.programme_id AND i.code = m.indicator_code
      LEFT JOIN organization o ON o.id = m.organization_id AND o.scope_key = m.scope_key AND o.code = m.organization_code
      LEFT JOIN period p ON p.id = m.period_id AND p.code = m.period_code
      WHERE i.id IS NULL OR o.id IS NULL OR p.id IS NULL)
      OR EXISTS (SELECT FROM (SELECT DISTINCT seat_id, entered_by FROM made) m
        WHERE NOT EXISTS (SELECT FROM organization s WHERE s.id = m.seat_id AND s.code = m.entered_by)) THEN
    RAISE EXCEPTION 'a value is not what it says' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO value_revision
  SELECT id, version, updated_at, indicator_id, period_id, programme_id, scope_key, category, organization_code, period_code, state, done, done_on, numerator, denominator, number, note,
    evidence_url, source, reason, on_behalf, entered_by, seat_id, account_id, client_id, grant_id, session_id
  FROM made;
  INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key,
    programme_id, request_id)
  SELECT account_id, client_id, grant_id, session_id, 'create', 'value', id, version, scope_key, programme_id, (SELECT nullif(current_setting('tiendo.request', true), ''))
  FROM made;
  INSERT INTO rollup_delta
  SELECT indicator_id, period_id, left(scope_key, -6), category, programme_id,
    count(*) FILTER (WHERE state = 'reported'), count(*) FILTER (WHERE state = 'not_applicable'), count(*) FILTER (WHERE done),
    coalesce(sum(numerator), 0), coalesce(sum(denominator), 0), coalesce(sum(number), 0)
  FROM made WHERE counted AND length(scope_key) > 6
  GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;
CREATE TRIGGER value_inserted AFTER INSERT ON value REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION value_inserted();

-- A change of assignments turns counted alone and is no revision of the value: it says so in tiendo.recount.
CREATE FUNCTION value_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF current_setting('tiendo.recount', true) IS DISTINCT FROM 'on' THEN
    IF EXISTS (SELECT FROM (SELECT DISTINCT seat_id, entered_by FROM now_is) m
        WHERE NOT EXISTS (SELECT FROM organization s WHERE s.id = m.seat_id AND s.code = m.entered_by)) THEN
      RAISE EXCEPTION 'a value is not what it says' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO value_revision
    SELECT id, version, updated_at, indicator_id, period_id, programme_id, scope_key, category, organization_code, period_code, state, done,
      done_on, numerator, denominator, number, note, evidence_url, source, reason, on_behalf, entered_by, seat_id, account_id, client_id,
      grant_id, session_id
    FROM now_is;
    INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key,
      programme_id, request_id)
    SELECT account_id, client_id, grant_id, session_id, 'update', 'value', id, version, scope_key, programme_id,
      (SELECT nullif(current_setting('tiendo.request', true), ''))
    FROM now_is;
  END IF;
  INSERT INTO rollup_delta
  SELECT indicator_id, period_id, left(scope_key, -6), category, programme_id,
    coalesce(sum(sign) FILTER (WHERE state = 'reported'), 0), coalesce(sum(sign) FILTER (WHERE state = 'not_applicable'), 0),
    coalesce(sum(sign) FILTER (WHERE done), 0), coalesce(sum(sign * numerator), 0), coalesce(sum(sign * denominator), 0),
    coalesce(sum(sign * number), 0)
  FROM (SELECT 1 AS sign, n.* FROM now_is n UNION ALL SELECT -1, o.* FROM was o) x
  WHERE counted AND length(scope_key) > 6
  GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;
CREATE TRIGGER value_updated AFTER UPDATE ON value REFERENCING OLD TABLE AS was NEW TABLE AS now_is
  FOR EACH STATEMENT EXECUTE FUNCTION value_updated();

CREATE FUNCTION value_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO value_revision (value_id, version, at, indicator_id, period_id, programme_id, scope_key, category, organization_code,
    period_code, state, reason, on_behalf, entered_by,
    seat_id, account_id, client_id, grant_id, session_id)
  SELECT id, version + 1, clock_now(), indicator_id, period_id, programme_id, scope_key, category, organization_code, period_code, 'deleted', (SELECT nullif(current_setting('tiendo.reason', true), '')),
    organization_id <> (SELECT me_seat()), (SELECT o.code FROM organization o WHERE o.id = me_seat()), (SELECT me_seat()),
    (SELECT me_account()), (SELECT me_client()), (SELECT me_grant()), (SELECT me_session())
  FROM was;
  INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key,
    programme_id, request_id)
  SELECT (SELECT me_account()), (SELECT me_client()), (SELECT me_grant()), (SELECT me_session()), 'delete', 'value', id, version + 1,
    scope_key, programme_id, (SELECT nullif(current_setting('tiendo.request', true), ''))
  FROM was;
  INSERT INTO rollup_delta
  SELECT indicator_id, period_id, left(scope_key, -6), category, programme_id,
    -count(*) FILTER (WHERE state = 'reported'), -count(*) FILTER (WHERE state = 'not_applicable'), -count(*) FILTER (WHERE done),
    -coalesce(sum(numerator), 0), -coalesce(sum(denominator), 0), -coalesce(sum(number), 0)
  FROM was WHERE counted AND length(scope_key) > 6
  GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;
CREATE TRIGGER value_deleted AFTER DELETE ON value REFERENCING OLD TABLE AS was
  FOR EACH STATEMENT EXECUTE FUNCTION value_deleted();

-- Folds up to so many deltas into the sums, for every unit they concern; one process at a time. Readers see the sums
-- and the deltas of one snapshot, so the figures are the same before, during and after.
CREATE FUNCTION rollup_fold(most int DEFAULT 10000) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE folded int;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.rollup', 0)) THEN RETURN 0; END IF;
  WITH taken AS (
    DELETE FROM rollup_delta WHERE ctid = ANY (ARRAY(SELECT d.ctid FROM rollup_delta d LIMIT most)) RETURNING *
  ), spread AS (
    INSERT INTO rollup AS r
    SELECT t.indicator_id, t.period_id, left(t.scope_key, n), t.category, t.programme_id, sum(t.reported), sum(t.not_applicable), sum(t.done),
      sum(t.numerator), sum(t.denominator), sum(t.number)
    FROM taken t, generate_series(6, length(t.scope_key), 6) n
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (indicator_id, period_id, scope_key, category) DO UPDATE SET reported = r.reported + excluded.reported,
      not_applicable = r.not_applicable + excluded.not_applicable, done = r.done + excluded.done,
      numerator = r.numerator + excluded.numerator, denominator = r.denominator + excluded.denominator,
      number = r.number + excluded.number
  )
  SELECT count(*) INTO folded FROM taken;
  -- After a first large load the planner should not have to wait for autovacuum's next round.
  IF folded > 0 AND (SELECT pg_stat_get_mod_since_analyze(c.oid) > 2000 + 2 * greatest(c.reltuples, 0) FROM pg_class c
      WHERE c.oid = 'value'::regclass) THEN
    ANALYZE value, value_revision, rollup, rollup_delta;
  END IF;
  RETURN folded;
END $$;
GRANT EXECUTE ON FUNCTION may_enter(uuid, text), rollup_fold(int) TO tiendo_service;
