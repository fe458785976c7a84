-- The tree through time, kept right by whoever writes a span: the closure is recomputed for the units concerned, no unit stands
-- outside of its parent's days, none lies above itself. What an ended unit leaves, and to whom, is its lineage.
SET search_path = tiendo, public;

CREATE TABLE organization_lineage (
  predecessor_id uuid NOT NULL REFERENCES organization (id),
  successor_id uuid NOT NULL REFERENCES organization (id),
  on_day date NOT NULL,
  reorganization_id uuid NOT NULL,
  made_up boolean NOT NULL DEFAULT false,
  PRIMARY KEY (predecessor_id, successor_id, on_day),
  CHECK (predecessor_id <> successor_id)
);
CREATE INDEX organization_lineage_successor ON organization_lineage (successor_id);
CREATE INDEX organization_lineage_reorganization ON organization_lineage (reorganization_id);
-- Indicators whose history a successor does not take over: its own aggregate leaves this predecessor's figures out.
CREATE TABLE organization_carry (
  indicator_id uuid NOT NULL REFERENCES indicator (id),
  organization_id uuid NOT NULL REFERENCES organization (id),
  predecessor_id uuid NOT NULL REFERENCES organization (id),
  reorganization_id uuid NOT NULL,
  PRIMARY KEY (indicator_id, organization_id, predecessor_id)
);
CREATE INDEX organization_carry_unit ON organization_carry (organization_id);
CREATE INDEX organization_carry_reorganization ON organization_carry (reorganization_id);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['organization_lineage', 'organization_carry'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO tiendo_owner USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;
-- Seen from either end.
CREATE POLICY service_read ON organization_lineage FOR SELECT TO tiendo_service USING (
  EXISTS (SELECT FROM organization o WHERE o.id IN (predecessor_id, successor_id)));
CREATE POLICY service_read ON organization_carry FOR SELECT TO tiendo_service USING (
  EXISTS (SELECT FROM organization o WHERE o.id = organization_id));
GRANT SELECT ON organization_lineage, organization_carry TO tiendo_service;

-- A root is what lies on top; one that ended (merged into another) lies below its successor and has no parent still.
DO $$
DECLARE c text;
BEGIN
  FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = 'organization'::regclass AND contype = 'c'
      AND pg_get_constraintdef(oid) LIKE '%parent_id IS NULL%' LOOP
    EXECUTE format('ALTER TABLE organization DROP CONSTRAINT %I', c);
  END LOOP;
END $$;
ALTER TABLE organization ADD CONSTRAINT organization_root CHECK ((root_id = id) = (length(scope_key) = 6));
CREATE INDEX organization_span_parent ON organization_span (parent_id);

-- ---- the closure -------------------------------------------------------------------------------------------
-- What the spans say of who stood above a set of units, when and how far: days in one row as long as they hang together.
CREATE FUNCTION closure_of(units uuid[]) RETURNS TABLE (ancestor_id uuid, descendant_id uuid, depth int, validity daterange)
  LANGUAGE sql STABLE ROWS 20 SET search_path = tiendo, public, pg_temp AS $$
  WITH RECURSIVE up AS (
    SELECT s.organization_id AS d, s.organization_id AS a, 0 AS depth, s.validity, s.parent_id
    FROM organization_span s WHERE s.organization_id = ANY (units)
    UNION ALL
    SELECT u.d, p.organization_id, u.depth + 1, u.validity * p.validity, p.parent_id
    FROM up u JOIN organization_span p ON p.organization_id = u.parent_id AND p.validity && u.validity
    -- one level more than there may be: enough to see that there are too many, or that a line bites its tail
    WHERE u.depth <= 12
  )
  SELECT x.a, x.d, x.depth, unnest(x.days) FROM (
    SELECT u.a, u.d, u.depth, range_agg(u.validity) AS days FROM up u GROUP BY u.a, u.d, u.depth) x $$;

-- Makes the closure of these units, and of all that ever stood below them, what the spans say. Faults: a cycle, a tree too deep.
CREATE FUNCTION closure_refresh(units uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  -- below them before, and below them now
  affected uuid[] := ARRAY(
    WITH RECURSIVE down AS (
      SELECT u AS id FROM unnest(units) u
      UNION
      SELECT s.organization_id FROM down d JOIN organization_span s ON s.parent_id = d.id
    ) SELECT id FROM down
    UNION SELECT c.descendant_id FROM organization_closure c WHERE c.ancestor_id = ANY (units));
  bad record;
BEGIN
  -- the bad rows are looked for first, so that they are told as what they are
  SELECT o.code, c.depth INTO bad FROM closure_of(affected) c JOIN organization o ON o.id = c.descendant_id
  WHERE (c.ancestor_id = c.descendant_id AND c.depth > 0) OR c.depth > 11
  ORDER BY c.ancestor_id <> c.descendant_id, o.code LIMIT 1;
  IF FOUND THEN
    IF EXISTS (SELECT FROM closure_of(affected) c WHERE c.ancestor_id = c.descendant_id AND c.depth > 0) THEN
      PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/parent', 'cycle', format('%s would lie below itself', bad.code))));
    END IF;
    PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/parent', 'too_deep', 'the tree has at most twelve levels')));
  END IF;
  DELETE FROM organization_closure c WHERE c.descendant_id = ANY (affected);
  INSERT INTO organization_closure (ancestor_id, descendant_id, depth, validity, scope_key)
  SELECT c.ancestor_id, c.descendant_id, c.depth, c.validity, o.scope_key
  FROM closure_of(affected) c JOIN organization o ON o.id = c.descendant_id;
END $$;

-- Days on which one of these units, or one directly below them, stands without its parent.
CREATE FUNCTION orphans_of(units uuid[]) RETURNS TABLE (code text, parent_code text, days datemultirange)
  LANGUAGE sql STABLE ROWS 20 SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT o.code, p.code, x.days
  FROM (SELECT s.organization_id, s.parent_id,
      range_agg(s.validity) - coalesce((SELECT range_agg(p.validity) FROM organization_span p WHERE p.organization_id = s.parent_id), '{}') AS days
    FROM organization_span s
    WHERE s.parent_id IS NOT NULL AND s.organization_id IN (
      SELECT unnest(units) UNION SELECT c.organization_id FROM organization_span c WHERE c.parent_id = ANY (units))
    GROUP BY s.organization_id, s.parent_id) x
    JOIN organization o ON o.id = x.organization_id JOIN organization p ON p.id = x.parent_id
  WHERE NOT isempty(x.days)
  ORDER BY o.scope_key $$;
CREATE FUNCTION orphans_refuse(units uuid[], pointer text) RETURNS void
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE faults jsonb := (SELECT jsonb_agg(fault(pointer, 'orphan', CASE WHEN upper_inf(x.days)
      THEN format('%s would be without %s above it from %s', x.code, x.parent_code, lower(x.days))
      ELSE format('%s would be without %s above it from %s to %s', x.code, x.parent_code, lower(x.days), upper(x.days) - 1) END))
  FROM (SELECT * FROM orphans_of(units) LIMIT 100) x);
BEGIN
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
END $$;

-- Whoever writes spans leaves a right tree. A reorganization writes many and settles them once, at its end: it alone says so, and it
-- runs as the owner, which these triggers (with the rights of who fired them) can tell.
CREATE FUNCTION span_written(units uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_user = 'tiendo_owner' AND current_setting('tiendo.reorganizing', true) = 'on' THEN RETURN; END IF;
  PERFORM closure_refresh(units), orphans_refuse(units, '#/valid_to');
END $$;
CREATE FUNCTION span_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM span_written(ARRAY(SELECT DISTINCT organization_id FROM made));
  RETURN NULL;
END $$;
CREATE FUNCTION span_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE units uuid[] := ARRAY(SELECT DISTINCT x.organization_id FROM (
  (SELECT organization_id, validity, parent_id FROM was EXCEPT SELECT organization_id, validity, parent_id FROM made)
  UNION (SELECT organization_id, validity, parent_id FROM made EXCEPT SELECT organization_id, validity, parent_id FROM was)) x);
BEGIN
  IF cardinality(units) > 0 THEN PERFORM span_written(units); END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION span_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM span_written(ARRAY(SELECT DISTINCT organization_id FROM was));
  RETURN NULL;
END $$;
-- (Triggers fire in the order of their names: the closure is right before assignments go by it.)
DROP TRIGGER organization_close ON organization_span;
DROP FUNCTION organization_close();
CREATE TRIGGER a_closure_insert AFTER INSERT ON organization_span REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION span_inserted();
CREATE TRIGGER a_closure_update AFTER UPDATE ON organization_span REFERENCING OLD TABLE AS was NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION span_updated();
CREATE TRIGGER a_closure_delete AFTER DELETE ON organization_span REFERENCING OLD TABLE AS was
  FOR EACH STATEMENT EXECUTE FUNCTION span_deleted();

-- The same for the assignments that a span brings with it.
CREATE OR REPLACE FUNCTION assignment_span() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE a record;
BEGIN
  IF current_setting('tiendo.reorganizing', true) = 'on' THEN RETURN NULL; END IF;
  PERFORM pg_advisory_xact_lock_shared(assignment_lock_all());
  FOR a IN SELECT x.indicator_id, s.scope_key FROM made s JOIN assignment x ON x.kind = s.kind
      UNION SELECT u.indicator_id, s.scope_key FROM made s JOIN assignment_unit u ON u.scope_key = s.scope_key
      ORDER BY 1, 2 LOOP
    PERFORM assignment_expand(a.indicator_id, a.scope_key, a.scope_key || '~');
  END LOOP;
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION assignment_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF current_setting('tiendo.reorganizing', true) = 'on' THEN RETURN NULL; END IF;
  PERFORM pg_advisory_xact_lock(assignment_lock_all()), pg_advisory_xact_lock(assignment_lock(new.indicator_id));
  PERFORM assignment_expand(new.indicator_id, new.scope_key, new.scope_key || '~');
  RETURN NULL;
END $$;

-- The names and kinds a unit had before: stretches that ended, one a name and kind however often it moved meanwhile.
CREATE FUNCTION organization_former(unit uuid, until date) RETURNS json LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(json_agg(json_build_object('name', x.name, 'kind', x.kind, 'valid_from', lower(x.days), 'valid_to', upper(x.days) - 1)
    ORDER BY x.days) FILTER (WHERE upper(x.days) <= until), '[]')
  FROM (SELECT s.name, s.kind, unnest(range_agg(s.validity)) AS days FROM organization_span s
    WHERE s.organization_id = unit GROUP BY s.name, s.kind) x $$;
-- All its identifiers, each with its days.
CREATE FUNCTION organization_identifiers(unit uuid) RETURNS json LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(json_agg(json_build_object('scheme', i.scheme, 'value', i.value, 'valid_from', lower(i.validity),
    'valid_to', upper(i.validity) - 1) ORDER BY i.scheme, i.validity), '[]')
  FROM organization_identifier i WHERE i.organization_id = unit $$;
CREATE OR REPLACE FUNCTION organization_summarise() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE unit uuid := coalesce(new.organization_id, old.organization_id);
BEGIN
  UPDATE organization o SET
    identifiers = organization_identifiers(unit),
    former = organization_former(unit, coalesce(o.valid_to, today()))
  WHERE o.id = unit;
  RETURN NULL;
END $$;

GRANT EXECUTE ON FUNCTION span_written(uuid[]), closure_refresh(uuid[]),
  orphans_refuse(uuid[], text), organization_former(uuid, date) TO tiendo_service;
