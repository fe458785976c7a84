-- Official identifiers: unique within one root, looked up by scheme, value, kind and day.
SET search_path = tiendo, public;

-- Provinces number apart: what one has given says nothing to another, and blocks nothing there.
ALTER TABLE organization_identifier ADD COLUMN root_id uuid;
UPDATE organization_identifier i SET root_id = o.root_id FROM organization o WHERE o.id = i.organization_id;
ALTER TABLE organization_identifier ALTER COLUMN root_id SET NOT NULL;
ALTER TABLE organization_identifier DROP CONSTRAINT organization_identifier_taken;
ALTER TABLE organization_identifier ADD CONSTRAINT organization_identifier_taken
  EXCLUDE USING gist (root_id WITH =, scheme WITH =, value WITH =, validity WITH &&) WHERE (scheme NOT IN ('statistics'));
COMMENT ON CONSTRAINT organization_identifier_taken ON organization_identifier IS '409 identifier_taken #/identifiers';

-- The unit decides the root; a caller cannot name another.
CREATE FUNCTION organization_identifier_root() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT o.root_id INTO STRICT new.root_id FROM organization o WHERE o.id = new.organization_id;
  RETURN new;
END $$;
CREATE TRIGGER root_id BEFORE INSERT ON organization_identifier FOR EACH ROW EXECUTE FUNCTION organization_identifier_root();
-- A unit that comes under another root brings its identifiers along. Where the other root has given one of them to another unit at
-- the same time, the two cannot be joined until one of them lets go of it.
CREATE FUNCTION organization_identifier_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE faults jsonb := (
  SELECT jsonb_agg(fault('#/steps', 'identifier_taken', format('%s and %s both hold %s:%s', new.code, x.code, i.scheme, i.value)) ORDER BY i.scheme, i.value)
  FROM organization_identifier i
    JOIN organization_identifier t ON t.root_id = new.root_id AND t.scheme = i.scheme AND t.value = i.value AND t.validity && i.validity
    JOIN organization x ON x.id = t.organization_id
  WHERE i.organization_id = new.id AND t.organization_id <> new.id AND i.scheme NOT IN ('statistics'));
BEGIN
  IF faults IS NOT NULL THEN PERFORM fail(409, 'identifier_taken', faults); END IF;
  UPDATE organization_identifier i SET root_id = new.root_id WHERE i.organization_id = new.id;
  RETURN NULL;
END $$;
CREATE TRIGGER identifier_root AFTER UPDATE OF root_id ON organization FOR EACH ROW WHEN (old.root_id IS DISTINCT FROM new.root_id)
  EXECUTE FUNCTION organization_identifier_move();

-- The visible unit that holds an identifier on a day, of that kind then where one is named: of the caller's own root first, elsewhere
-- only where there is none. None is 404, several are 409 with their names.
CREATE FUNCTION identifier_organization(p_scheme text, p_value text, p_kind text, p_day date) RETURNS organization
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  units uuid[];
  unit organization;
  faults jsonb;
BEGIN
  SELECT coalesce(array_agg(o.id) FILTER (WHERE o.root_id = me_root()), array_agg(o.id)) INTO units
  FROM organization_identifier i JOIN organization o ON o.id = i.organization_id
    JOIN organization_span s ON s.organization_id = o.id AND s.validity @> p_day
  WHERE i.scheme = p_scheme AND i.value = p_value AND i.validity @> p_day AND (p_kind IS NULL OR s.kind = p_kind);
  IF units IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  IF cardinality(units) > 1 THEN
    SELECT jsonb_agg(fault_parameter('kind', 'candidate', format('%s: %s (%s)', x.code, x.name, x.kind)) ORDER BY x.scope_key) INTO faults
    FROM (SELECT o.code, s.name, s.kind, o.scope_key FROM organization o
        JOIN organization_span s ON s.organization_id = o.id AND s.validity @> p_day
      WHERE o.id = ANY (units) ORDER BY o.scope_key LIMIT 100) x;
    PERFORM fail(409, 'ambiguous', faults);
  END IF;
  SELECT * INTO unit FROM organization o WHERE o.id = units[1];
  RETURN unit;
END $$;

-- import_indicator, import_period and import_unit: what the rows name, each name once, as the caller sees it. A unit is named by
-- code, by id, or by an identifier, which means the unit of the caller's own root that has it on the period's last day (one of another root
-- only where its own knows none): where several do, the Party committee among them; where that leaves several, none.
CREATE OR REPLACE FUNCTION value_import_names(scheme text) RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
  CREATE TEMP TABLE import_indicator ON COMMIT DROP AS
    SELECT d.ref, i.id, i.code, i.kind, i.frequency, i.categories, i.source_required, i.programme_id
    FROM (SELECT DISTINCT r.indicator AS ref, lower(btrim(r.indicator)) AS id, btrim(r.indicator) AS code FROM import_row r) d
      LEFT JOIN (SELECT x.code::text AS code, (array_agg(x.id::text ORDER BY x.own DESC))[1] AS id
        FROM (SELECT y.code, y.id, y.root_id = (SELECT me_root()) AS own FROM indicator y) x
        GROUP BY 1 HAVING bool_or(x.own) OR count(*) = 1) n ON n.code = d.code
      LEFT JOIN indicator i ON i.id::text = coalesce(n.id, d.id);
  PERFORM pg_advisory_xact_lock_shared(l.key)
  FROM (SELECT assignment_lock(i.id) AS key FROM import_indicator i WHERE i.id IS NOT NULL ORDER BY 1) l;
  -- As they are now that nobody changes them.
  UPDATE import_indicator n SET kind = i.kind, frequency = i.frequency, categories = i.categories, source_required = i.source_required
  FROM indicator i WHERE i.id = n.id;
  CREATE TEMP TABLE import_period ON COMMIT DROP AS
    SELECT d.ref, p.id, p.code, p.kind, p.programme_id, p.starts_on, p.ends_on
    FROM (SELECT DISTINCT r.period AS ref, lower(btrim(r.period)) AS id, btrim(r.period) AS code FROM import_row r) d
      LEFT JOIN (SELECT x.code::text AS code, min(x.id::text) AS id FROM period x GROUP BY 1 HAVING count(*) = 1) n ON n.code = d.code
      LEFT JOIN period p ON p.id::text = coalesce(n.id, d.id);
  CREATE TEMP TABLE import_name (ref text, day date, id uuid, fault text) ON COMMIT DROP;
  IF scheme IN ('code', 'id') THEN
    INSERT INTO import_name (ref, day, id)
    SELECT d.ref, 'infinity', o.id
    FROM (SELECT DISTINCT r.organization AS ref FROM import_row r) d
      LEFT JOIN organization o ON scheme = 'code' AND o.root_id = (SELECT me_root()) AND o.code::text = btrim(d.ref);
    -- ids, and codes of other roots
    IF EXISTS (SELECT FROM import_name n WHERE n.id IS NULL AND n.ref IS NOT NULL) THEN
      UPDATE import_name n SET id = o.id FROM organization o WHERE n.id IS NULL AND o.id::text = lower(btrim(n.ref));
      UPDATE import_name n SET id = o.id
      FROM (SELECT x.code::text AS code, min(x.id::text)::uuid AS id FROM organization x GROUP BY 1 HAVING count(*) = 1) o
      WHERE n.id IS NULL AND scheme = 'code' AND o.code = btrim(n.ref);
    END IF;
  ELSE
    INSERT INTO import_name (ref, day, id, fault)
    SELECT d.ref, d.day,
      CASE WHEN count(o.id) = 1 THEN min(o.id::text)::uuid
        WHEN count(*) FILTER (WHERE o.kind LIKE '%party_committee') = 1
        THEN (min(o.id::text) FILTER (WHERE o.kind LIKE '%party_committee'))::uuid END,
      CASE WHEN count(o.id) > 1 AND count(*) FILTER (WHERE o.kind LIKE '%party_committee') <> 1 THEN 'ambiguous_reference' END
    FROM (SELECT DISTINCT r.organization AS ref, btrim(r.organization) AS name, p.ends_on AS day
        FROM import_row r JOIN import_period p ON p.ref = r.period AND p.id IS NOT NULL) d
      LEFT JOIN (SELECT h.*, bool_or(h.own) OVER (PARTITION BY h.value) AS some_own
        FROM (SELECT x.value, x.validity * daterange(u.valid_from, u.valid_to, '[]') AS days, u.id, u.kind, u.root_id = me_root() AS own
          FROM organization_identifier x JOIN organization u ON u.id = x.organization_id
          WHERE x.scheme = value_import_names.scheme) h) o
        ON o.value = d.name AND o.days @> d.day AND (o.own OR NOT o.some_own)
    GROUP BY d.ref, d.day;
  END IF;
  CREATE TEMP TABLE import_unit ON COMMIT DROP AS
    SELECT n.ref, n.day, n.id, n.fault, o.code, o.scope_key, daterange(o.valid_from, o.valid_to, '[]') AS life, o.scope_key <@ (SELECT write_scope()) AS direct,
      o.scope_key <@ (SELECT behalf_scope()) AS behalf, CASE WHEN o.id IS NOT NULL THEN ancestor_keys(o.scope_key) END AS above
    FROM import_name n LEFT JOIN organization o ON o.id = n.id;
  ANALYZE import_indicator, import_period, import_unit;
END $$;

GRANT EXECUTE ON FUNCTION identifier_organization(text, text, text, date) TO tiendo_service;
