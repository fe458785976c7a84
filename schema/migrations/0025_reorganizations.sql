-- Reorganizations: what a decision changes in the tree on a day, past or to come, several steps at once. Its steps write the spans
-- of the units (0026); what is of today is then brought in line, and what is of a later day by the background on that day.
SET search_path = tiendo, public;

CREATE TABLE reorganization (
  id uuid PRIMARY KEY,
  decision text NOT NULL CHECK (length(decision) BETWEEN 1 AND 200),
  title text CHECK (length(title) BETWEEN 1 AND 500),
  effective_on date NOT NULL,
  made_up boolean NOT NULL DEFAULT false,
  note text CHECK (length(note) <= 4000),
  steps jsonb NOT NULL,
  carry jsonb NOT NULL DEFAULT '[]',
  impact jsonb NOT NULL,
  units int NOT NULL,
  -- the units concerned as they were and as they were left, by id: to go back by, as long as nothing has been built on it
  before jsonb NOT NULL,
  after jsonb NOT NULL,
  established uuid[] NOT NULL,
  reverted_at timestamptz,
  -- why it could not take effect on its day, as long as it has not
  stuck text,
  revert_reason text CHECK (length(revert_reason) BETWEEN 1 AND 1000),
  account_id uuid,
  client_id uuid,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now()
);
CREATE INDEX reorganization_day ON reorganization (effective_on, id);
CREATE INDEX reorganization_created ON reorganization (created_at, id);
CREATE INDEX reorganization_stuck ON reorganization (id) WHERE stuck IS NOT NULL;
CREATE TABLE reorganization_unit (
  reorganization_id uuid NOT NULL REFERENCES reorganization (id),
  organization_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  -- what it left, or came to stand below: it is told as well
  parent boolean NOT NULL DEFAULT false,
  PRIMARY KEY (reorganization_id, organization_id)
);
CREATE INDEX reorganization_unit_organization ON reorganization_unit (organization_id);
CREATE INDEX reorganization_unit_key ON reorganization_unit (scope_key);
DO $do$ BEGIN PERFORM protect('reorganization_unit', NULL, 'area'); END $do$;
ALTER TABLE reorganization ENABLE ROW LEVEL SECURITY;
ALTER TABLE reorganization FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON reorganization TO tiendo_owner USING (true) WITH CHECK (true);
-- Seen by whoever sees a unit it concerns.
CREATE POLICY service_read ON reorganization FOR SELECT TO tiendo_service USING (
  EXISTS (SELECT FROM reorganization_unit u WHERE u.reorganization_id = id));
GRANT SELECT (id, decision, title, effective_on, made_up, note, units, reverted_at, stuck, revert_reason, version, created_at, updated_at)
  ON reorganization TO tiendo_service;
GRANT SELECT ON reorganization_unit TO tiendo_service;

-- The day up to which the tree of today has been brought in line with the spans.
CREATE TABLE tree_state (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  settled_on date NOT NULL,
  -- when what is stuck was tried last
  tried_at timestamptz NOT NULL DEFAULT clock_now()
);
INSERT INTO tree_state (settled_on) VALUES (today());
ALTER TABLE tree_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE tree_state FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON tree_state TO tiendo_owner USING (true) WITH CHECK (true);

-- ---- images ------------------------------------------------------------------------------------------------
-- A unit as far as a reorganization changes it.
CREATE FUNCTION unit_image(unit uuid) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_build_object(
    'spans', (SELECT jsonb_agg(jsonb_build_array(s.validity::text, s.name, s.kind, s.parent_id, s.reason) ORDER BY s.validity)
      FROM organization_span s WHERE s.organization_id = unit),
    'identifiers', (SELECT jsonb_agg(jsonb_build_array(i.scheme, i.value, i.validity::text) ORDER BY i.scheme, i.value, i.validity)
      FROM organization_identifier i WHERE i.organization_id = unit)) $$;
-- What the journal keeps of a unit that a reorganization changed.
CREATE FUNCTION unit_brief(unit uuid) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind, 'parent', p.code, 'valid_from', o.valid_from,
    'valid_to', o.valid_to, 'version', o.version)
  FROM organization o LEFT JOIN organization p ON p.id = o.parent_id WHERE o.id = unit $$;

CREATE FUNCTION reorganization_state(effective_on date, reverted_at timestamptz, stuck text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN reverted_at IS NOT NULL THEN 'reverted' WHEN stuck IS NOT NULL THEN 'stuck' WHEN effective_on > tiendo.today() THEN 'planned' ELSE 'in_force' END $$;

-- The journal tells of a decision once for each of the units it concerns that lies below no other of them, and never of their names and
-- figures: who may see those asks for the decision.
CREATE FUNCTION reorganization_journal(action text, r uuid, request_id text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM journal(action, 'reorganization', x.id, x.version, u.scope_key, NULL, jsonb_build_object('id', x.id, 'decision', x.decision, 'title', x.title,
    'effective_on', x.effective_on, 'state', reorganization_state(x.effective_on, x.reverted_at, x.stuck), 'made_up', x.made_up,
    'revert_reason', x.revert_reason, 'version', x.version), request_id)
  FROM reorganization x JOIN reorganization_unit u ON u.reorganization_id = x.id
  WHERE x.id = r AND NOT u.parent AND NOT EXISTS (SELECT FROM reorganization_unit o
    WHERE o.reorganization_id = r AND NOT o.parent AND o.scope_key = ANY (ancestor_keys(u.scope_key)));
END $$;

-- ---- today ---------------------------------------------------------------------------------------------------
-- Brings the rows of units in line with their spans: the span of today, before a unit's first day its first, after its end its last.
CREATE FUNCTION organization_sync(units uuid[], action text, request_id text) RETURNS void
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  unit uuid;
  was jsonb;
  changed boolean;
BEGIN
  FOREACH unit IN ARRAY units LOOP
    was := unit_brief(unit);
    WITH life AS (
      SELECT min(lower(s.validity)) AS starts, CASE WHEN bool_or(upper_inf(s.validity)) THEN NULL ELSE max(upper(s.validity)) - 1 END AS ends
      FROM organization_span s WHERE s.organization_id = unit
    ), now_is AS (
      SELECT s.name, s.kind, s.parent_id, l.starts, l.ends, organization_former(unit, coalesce(l.ends, today())) AS former,
        organization_identifiers(unit) AS identifiers
      FROM organization_span s, life l
      WHERE s.organization_id = unit
      ORDER BY s.validity @> greatest(least(today(), coalesce(l.ends, today())), l.starts) DESC, s.validity DESC LIMIT 1
    )
    UPDATE organization o SET name = n.name, kind = n.kind, parent_id = n.parent_id, valid_from = n.starts, valid_to = n.ends,
      former = n.former, identifiers = n.identifiers, version = o.version + 1, updated_at = clock_now()
    FROM now_is n WHERE o.id = unit
      AND (o.name, o.kind, o.parent_id, o.valid_from, o.valid_to, o.former::text, o.identifiers::text) IS DISTINCT FROM
        (n.name, n.kind, n.parent_id, n.starts, n.ends, n.former::text, n.identifiers::text)
    RETURNING true INTO changed;
    IF changed THEN
      PERFORM journal(action, 'organization', o.id, o.version, o.scope_key, was, unit_brief(unit), request_id)
      FROM organization o WHERE o.id = unit;
    END IF;
    changed := false;
  END LOOP;
END $$;

-- Who is assigned, among units whose place, kind or days have changed; over their common ancestor when they are many.
CREATE FUNCTION assignment_settle(units uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  keys text[] := ARRAY(SELECT o.scope_key FROM organization o WHERE o.id = ANY (units)
    AND NOT EXISTS (SELECT FROM organization a WHERE a.id = ANY (units) AND a.scope_key = ANY (ancestor_keys(o.scope_key))) ORDER BY 1);
  a record;
BEGIN
  IF cardinality(keys) > 8 THEN
    keys := ARRAY(SELECT DISTINCT left(k, 6) FROM unnest(keys) k);
  END IF;
  FOR a IN SELECT DISTINCT x.indicator_id, k COLLATE "C" AS key FROM unnest(keys) k, assignment x
      WHERE k ^@ x.scope_key OR x.scope_key ^@ k
      UNION SELECT u.indicator_id, k FROM unnest(keys) k, assignment_unit u WHERE u.scope_key >= k AND u.scope_key < k || '~'
      ORDER BY 1, 2 LOOP
    PERFORM assignment_expand(a.indicator_id, a.key, a.key || '~');
  END LOOP;
END $$;

CREATE FUNCTION root_on(unit uuid, day date) RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT c.ancestor_id FROM organization_closure c WHERE c.descendant_id = unit AND c.validity @> day ORDER BY c.depth DESC LIMIT 1);
END $$;
-- Units that come to stand in another root bring their codes, and their programmes' and indicators', along: what is taken there is told.
CREATE FUNCTION refuse_clashes(units uuid[], day date) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE faults jsonb;
BEGIN
  WITH above AS (
    -- its own line's root, or, where it has ended for one heir, that one's
    SELECT u AS unit, coalesce(root_on(u, day), (SELECT root_on((array_agg(l.successor_id))[1], day) FROM organization_lineage l
      WHERE l.predecessor_id = u AND l.on_day <= day HAVING count(*) = 1)) AS root_id
    FROM unnest(units) u
  ), joins AS (
    SELECT DISTINCT o.id, o.code::text AS code, o.root_id AS was, a.root_id
    FROM above a JOIN organization t ON t.id = a.unit JOIN organization o ON o.scope_key >= t.scope_key AND o.scope_key < t.scope_key || '~'
    WHERE a.root_id <> t.root_id AND a.unit <> a.root_id
  )
  SELECT jsonb_agg(fault('#/steps', 'code_taken', format('%s is taken in %s', x.code, x.root_code)) ORDER BY x.code) INTO faults FROM (
    SELECT j.code, r.code AS root_code FROM joins j JOIN organization o ON o.root_id = j.root_id AND o.code = j.code JOIN organization r ON r.id = j.root_id
    UNION SELECT p.code, r.code FROM joins j JOIN programme p ON p.owner_id = j.id AND p.root_id = j.was
      JOIN programme q ON q.root_id = j.root_id AND q.code = p.code JOIN organization r ON r.id = j.root_id
    UNION SELECT i.code, r.code FROM joins j JOIN programme p ON p.owner_id = j.id AND p.root_id = j.was JOIN indicator i ON i.programme_id = p.id
      JOIN indicator k ON k.root_id = j.root_id AND k.code = i.code JOIN organization r ON r.id = j.root_id
    ORDER BY 1 LIMIT 100) x;
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
END $$;

-- Which of these units stand elsewhere than the closure says: others have other names or kinds at most, and nothing below them changes.
CREATE FUNCTION units_replaced(units uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN ARRAY(
    WITH wanted AS MATERIALIZED (SELECT c.ancestor_id, c.descendant_id, c.depth, c.validity FROM closure_of(units) c),
      stored AS MATERIALIZED (SELECT c.ancestor_id, c.descendant_id, c.depth, c.validity FROM organization_closure c WHERE c.descendant_id = ANY (units))
    SELECT DISTINCT x.descendant_id FROM ((TABLE wanted EXCEPT TABLE stored) UNION ALL (TABLE stored EXCEPT TABLE wanted)) x);
END $$;
-- Who is assigned by kind, among units of which the kind may have changed and nothing else.
CREATE FUNCTION assignment_settle_kinds(units uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE a record;
BEGIN
  FOR a IN SELECT w.indicator_id, w.scope_key, bool_or(w.mode = 'total') AS whole FROM (
      SELECT x.indicator_id, o.scope_key, x.mode FROM organization o JOIN organization_span s ON s.organization_id = o.id
        JOIN assignment x ON x.kind = s.kind AND o.scope_key ^@ x.scope_key WHERE o.id = ANY (units)
      UNION ALL
      SELECT u.indicator_id, o.scope_key, u.mode FROM organization o JOIN assignment_unit u ON u.scope_key = o.scope_key
        JOIN assignment x ON x.id = u.assignment_id AND x.kind IS NOT NULL WHERE o.id = ANY (units)) w
      GROUP BY 1, 2 ORDER BY 1, 2 LOOP
    -- the unit alone, or, where it may have a total, all beneath it
    PERFORM assignment_expand(a.indicator_id, a.scope_key, a.scope_key || CASE WHEN a.whole THEN '~' ELSE ' ' END);
  END LOOP;
END $$;

-- Everything that follows from changed spans: closure, orphans, rows of today, places, assignments, heritage. The tree's lock is held alone.
CREATE FUNCTION tree_settle(units uuid[], day date, action text, request_id text) RETURNS int LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  -- on its day a decision stands in the closure already: all its units are looked at
  replaced uuid[] := CASE action WHEN 'take_effect' THEN units ELSE units_replaced(units) END;
  roots uuid[];
  moved int;
  faults text;
BEGIN
  PERFORM set_config('tiendo.reorganizing', 'on', true);
  BEGIN
    PERFORM closure_refresh(replaced);
  EXCEPTION WHEN SQLSTATE 'TD422' THEN  -- it speaks of a unit's parent, whoever wrote the span; here it is the steps
    GET STACKED DIAGNOSTICS faults = PG_EXCEPTION_DETAIL;
    PERFORM fail(422, 'invalid', replace(faults, '"#/parent"', '"#/steps"')::jsonb);
  END;
  PERFORM orphans_refuse(units, '#/steps'), refuse_clashes(units, day), organization_sync(units, action, request_id);
  roots := ARRAY(SELECT DISTINCT o.root_id FROM organization o WHERE o.id = ANY (units));
  -- an ended unit follows its successor, so those are looked at too
  moved := organization_place_all(ARRAY(
    SELECT u FROM unnest(units) u UNION SELECT l.predecessor_id FROM organization_lineage l WHERE l.successor_id = ANY (units)), request_id);
  PERFORM assignment_settle(replaced), assignment_settle_kinds(ARRAY(SELECT u FROM unnest(units) u WHERE u <> ALL (replaced)));
  IF cardinality(replaced) > 0 OR moved > 0 THEN
    PERFORM heritage_refresh(ARRAY(SELECT unnest(roots) UNION SELECT DISTINCT o.root_id FROM organization o WHERE o.id = ANY (units))), definitions_follow();
  END IF;
  PERFORM set_config('tiendo.reorganizing', '', true);
  RETURN moved;
END $$;

-- Settles the units of one decision, or of none, whose day has come. What stands in the way of one (a code that has been taken in the
-- root it was to join) must not hold up the others: the decision is marked stuck, and tried again within the hour. A passing trouble (a
-- lock, a lost connection) is not its own: the whole turn is tried again.
CREATE FUNCTION turn_units(r uuid, units uuid[]) RETURNS int LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE why text; detail text;
BEGIN
  BEGIN
    PERFORM tree_settle(units, today(), 'take_effect', NULL);
  EXCEPTION WHEN integrity_constraint_violation OR SQLSTATE 'TD422' OR SQLSTATE 'TD409' THEN
    GET STACKED DIAGNOSTICS why = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    why := coalesce(nullif(detail, ''), why);
    RAISE WARNING 'reorganization % does not take effect: %', r, why;
  END;
  IF r IS NOT NULL AND (why IS NULL OR why IS DISTINCT FROM (SELECT x.stuck FROM reorganization x WHERE x.id = r)) THEN
    UPDATE reorganization x SET stuck = why, version = x.version + 1, updated_at = clock_now() WHERE x.id = r;
    PERFORM reorganization_journal(CASE WHEN why IS NULL THEN 'take_effect' ELSE 'stuck' END, r, NULL);
  END IF;
  RETURN CASE WHEN why IS NULL THEN cardinality(units) ELSE 0 END;
END $$;

-- Brings today in line after a midnight, decision by decision: what has its first or last day since the day that was settled last, and
-- every hour what is stuck. How many units changed. Run by the background of every process; one does it.
CREATE FUNCTION tree_turn() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  settled date;
  again boolean;
  changed int := 0;
  done uuid[] := '{}';
  r record;
BEGIN
  SELECT t.settled_on, t.tried_at NOT BETWEEN clock_now() - interval '1 hour' AND clock_now() AND EXISTS (SELECT FROM reorganization x WHERE x.stuck IS NOT NULL)
    INTO settled, again FROM tree_state t;
  -- (a clock that was set back: what it passes again is looked at again)
  IF settled > today() THEN UPDATE tree_state SET settled_on = today(); END IF;
  IF (settled >= today() AND NOT again) OR NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.turn', 0)) THEN RETURN 0; END IF;
  PERFORM tree_change_lock(), tree_lock_alone();
  settled := (SELECT settled_on FROM tree_state);
  FOR r IN SELECT x.id, array_agg(u.organization_id) AS units FROM reorganization x JOIN reorganization_unit u ON u.reorganization_id = x.id AND NOT u.parent
      WHERE x.reverted_at IS NULL AND ((x.effective_on > settled AND x.effective_on <= today()) OR x.stuck IS NOT NULL)
      GROUP BY x.id ORDER BY x.effective_on, x.created_at, x.id LOOP
    changed := changed + turn_units(r.id, r.units);
    done := done || r.units;
  END LOOP;
  -- units that were made, or ended, with days of their own
  FOR r IN SELECT DISTINCT s.organization_id AS id FROM organization_span s
      WHERE ((lower(s.validity) > settled AND lower(s.validity) <= today()) OR (upper(s.validity) > settled AND upper(s.validity) <= today()))
        AND s.organization_id <> ALL (done) LOOP
    changed := changed + turn_units(NULL, ARRAY[r.id]);
  END LOOP;
  UPDATE tree_state SET settled_on = today(), tried_at = clock_now();
  RETURN changed;
END $$;
GRANT EXECUTE ON FUNCTION tree_turn() TO tiendo_service;
