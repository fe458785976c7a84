-- Organizations as of any day, past or to come: what organization_span, organization_closure and organization_identifier say of that
-- day, of the units the caller sees today. The day widens no scope: a unit out of sight today is out of sight on every day.
SET search_path = tiendo, public;

-- A look-up by ancestor alone belongs to the b-tree on it: this index would be read from end to end for one, and be thought cheap.
ALTER TABLE organization_closure DROP CONSTRAINT organization_closure_overlap;
ALTER TABLE organization_closure ADD CONSTRAINT organization_closure_overlap
  EXCLUDE USING gist (descendant_id WITH =, uuid_send(ancestor_id) WITH =, validity WITH &&);

-- What a search compares, as of each stretch: the name of then and the code.
ALTER TABLE organization_span ADD COLUMN search text NOT NULL DEFAULT '';
CREATE FUNCTION organization_span_search() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  new.search := fold(new.name || ' ' || (SELECT o.code FROM organization o WHERE o.id = new.organization_id));
  RETURN new;
END $$;
UPDATE organization_span s SET search = fold(s.name || ' ' || o.code) FROM organization o WHERE o.id = s.organization_id;
CREATE TRIGGER search BEFORE INSERT OR UPDATE OF name ON organization_span FOR EACH ROW EXECUTE FUNCTION organization_span_search();
CREATE INDEX organization_span_search ON organization_span USING gin (search gin_trgm_ops);

-- A unit's code, name and kind of that day, where it is in sight or above what is in sight, as organization_ref() has it, or where it
-- stood above that then, wherever it stands now.
CREATE FUNCTION organization_ref_on(unit uuid, day date) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE o record;
BEGIN
  SELECT x.id, x.code, s.name, s.kind, x.scope_key INTO o
  FROM organization x JOIN organization_span s ON s.organization_id = x.id AND s.validity @> day
  WHERE x.id = unit;
  IF o.scope_key <@ area() OR me_seat_key() ^@ o.scope_key OR EXISTS (SELECT FROM unnest(area()) r WHERE lower(r) ^@ o.scope_key)
      OR EXISTS (SELECT FROM organization_closure c WHERE c.ancestor_id = o.id AND c.validity @> day AND c.scope_key <@ area()) THEN
    RETURN jsonb_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind);
  END IF;
  RETURN NULL;
END $$;

-- The statistics code of a unit's area on that day, out of its summary.
CREATE FUNCTION area_code_on(identifiers json, day date) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN (SELECT i ->> 'value' FROM json_array_elements(identifiers) i WHERE i ->> 'scheme' = 'statistics'
    AND i ->> 'valid_from' <= day::text AND coalesce(i ->> 'valid_to', 'infinity') >= day::text);
END $$;

-- A unit as it was, or will be, on that day; NULL when it is not there then.
CREATE FUNCTION organization_json_on(o organization, day date) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT o.id, o.code, s.name, s.kind, CASE WHEN s.parent_id IS NOT NULL THEN organization_ref_on(s.parent_id, day) END AS parent,
      top.ancestor_id AS root_id, o.attached, o.made_up, area_code_on(o.identifiers, day) AS area_code, o.identifiers,
      organization_former(o.id, day) AS former, o.note, o.valid_from, o.valid_to, top.depth,
      EXISTS (SELECT FROM organization_span c WHERE c.parent_id = o.id AND c.validity @> day) AS has_children,
      o.version, tstz(o.created_at) AS created_at, tstz(o.updated_at) AS updated_at
    FROM organization_span s,
      LATERAL (SELECT c.ancestor_id, c.depth FROM organization_closure c WHERE c.descendant_id = o.id AND c.validity @> day
        ORDER BY c.depth DESC LIMIT 1) top
    WHERE s.organization_id = o.id AND s.validity @> day) r);
END $$;

-- As answered without a day: as of today, or of the day an ended unit or one to come is shown as of.
CREATE OR REPLACE FUNCTION organization_json(o organization) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE told text;
BEGIN
  IF o.valid_to < today() OR o.valid_from > today() THEN told := organization_json_on(o, shown_on(o.valid_from, o.valid_to)); END IF;
  RETURN coalesce(told, (SELECT row_to_json(r)::text FROM (
    SELECT o.id, o.code, o.name, o.kind,
      CASE WHEN o.parent_id IS NOT NULL THEN organization_ref(o.parent_id) END AS parent,
      o.root_id, o.attached, o.made_up, area_code_on(o.identifiers, today()) AS area_code,
      o.identifiers, o.former, o.note, o.valid_from, o.valid_to, length(o.scope_key) / 6 - 1 AS depth,
      EXISTS (SELECT FROM organization c WHERE c.parent_id = o.id AND c.valid_from <= today()
        AND (c.valid_to IS NULL OR c.valid_to >= today())) AS has_children,
      o.version, tstz(o.created_at) AS created_at, tstz(o.updated_at) AS updated_at) r));
END $$;

-- The visible unit a path names, on that day; none is 404.
CREATE FUNCTION path_organization_on(ref text, day date) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := path_organization(ref);
BEGIN
  IF NOT EXISTS (SELECT FROM organization_span s WHERE s.organization_id = found_id AND s.validity @> day) THEN
    PERFORM fail(404, 'not_found');
  END IF;
  RETURN found_id;
END $$;

-- The day a unit is shown as of where none is named: today, the last day of one that has ended, the first of one to come.
CREATE FUNCTION shown_on(valid_from date, valid_to date) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT greatest(valid_from, least(today(), coalesce(valid_to, 'infinity'))) $$;

-- The names from the root of that day down to a visible unit's parent.
DROP FUNCTION organization_ancestors(uuid);
DROP FUNCTION ancestor_ids(uuid);
CREATE FUNCTION organization_ancestors(unit uuid, day date) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT json_build_object('items', coalesce(json_agg(x.ref ORDER BY x.depth DESC) FILTER (WHERE x.ref IS NOT NULL), '[]'))::text
    FROM (SELECT c.depth, organization_ref_on(c.ancestor_id, day) AS ref FROM organization_closure c
      WHERE c.descendant_id = unit AND c.depth > 0 AND c.validity @> day) x);
END $$;

-- The tree below a unit today, so many levels down, in tree order: what has ended and what is to come is not in it.
CREATE OR REPLACE FUNCTION organization_subtree(unit organization, levels int) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT json_build_object('items', coalesce(json_agg(json_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind,
      'parent', p.code, 'attached', o.attached, 'depth', (length(o.scope_key) - length(unit.scope_key)) / 6,
      'valid_from', o.valid_from, 'valid_to', o.valid_to, 'version', o.version) ORDER BY o.scope_key), '[]'),
    'truncated', EXISTS (SELECT FROM organization d WHERE d.scope_key > unit.scope_key AND d.scope_key < unit.scope_key || '~'
      AND length(d.scope_key) > length(unit.scope_key) + 6 * levels
      AND d.valid_from <= (SELECT today()) AND (d.valid_to IS NULL OR d.valid_to >= (SELECT today()))))::text
  FROM organization o LEFT JOIN organization p ON p.id = o.parent_id
  WHERE o.scope_key >= unit.scope_key AND o.scope_key < unit.scope_key || '~'
    AND length(o.scope_key) <= length(unit.scope_key) + 6 * levels
    AND o.valid_from <= (SELECT today()) AND (o.valid_to IS NULL OR o.valid_to >= (SELECT today())) $$;
-- The same as of a day; NULL when the unit is not there then.
CREATE FUNCTION organization_subtree_on(unit uuid, levels int, day date) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT json_build_object('items', json_agg(json_build_object('id', o.id, 'code', o.code, 'name', s.name, 'kind', s.kind,
      'parent', p.code, 'attached', o.attached, 'depth', c.depth, 'valid_from', o.valid_from, 'valid_to', o.valid_to,
      'version', o.version) ORDER BY path.labels COLLATE "C"),
    'truncated', EXISTS (SELECT FROM organization_closure d WHERE d.ancestor_id = unit AND d.depth > levels AND d.validity @> day))::text
    FROM organization_closure c JOIN organization o ON o.id = c.descendant_id
      JOIN organization_span s ON s.organization_id = o.id AND s.validity @> day
      LEFT JOIN organization p ON p.id = s.parent_id
      CROSS JOIN LATERAL (SELECT string_agg(right(a.scope_key, 6), '' ORDER BY m.depth DESC) AS labels
        FROM organization_closure m JOIN organization a ON a.id = m.ancestor_id
        WHERE m.descendant_id = o.id AND m.depth <= c.depth AND m.validity @> day) path
    WHERE c.ancestor_id = unit AND c.depth <= levels AND c.validity @> day
    HAVING count(*) > 0);
END $$;

-- What a text must match to hold every word of a search, in any order, whatever its accents; NULL for a search without a word.
CREATE FUNCTION search_patterns(q text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT array_agg('%' || replace(replace(replace(w, '\', '\\'), '%', '\%'), '_', '\_') || '%')
  FROM regexp_split_to_table(fold(q), '\s+') w WHERE w <> '' $$;
-- Ids of units in the caller's area whose name and code hold every word. The conditions stand in the statement's text, so that each is
-- looked up in the trigram index.
CREATE OR REPLACE FUNCTION organization_search(q text) RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  conditions text := (SELECT string_agg(format('search LIKE %L', p), ' AND ') FROM unnest(search_patterns(q)) p);
  ids uuid[];
BEGIN
  IF area() IS NULL OR conditions IS NULL THEN RETURN '{}'; END IF;
  EXECUTE format('SELECT coalesce(array_agg(id), ''{}'') FROM organization WHERE %s AND scope_key >= %L AND scope_key < %L',
    conditions, scope_lo(), scope_hi()) INTO ids;
  RETURN ids;
END $$;
-- The same by the names of a day.
CREATE FUNCTION organization_search_on(q text, day date) RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  conditions text := (SELECT string_agg(format('search LIKE %L', p), ' AND ') FROM unnest(search_patterns(q)) p);
  ids uuid[];
BEGIN
  IF area() IS NULL OR conditions IS NULL THEN RETURN '{}'; END IF;
  EXECUTE format('SELECT coalesce(array_agg(organization_id), ''{}'') FROM organization_span
    WHERE %s AND validity @> %L::date AND scope_key >= %L AND scope_key < %L', conditions, day, scope_lo(), scope_hi()) INTO ids;
  RETURN ids;
END $$;

GRANT EXECUTE ON FUNCTION organization_ref_on(uuid, date), area_code_on(json, date), organization_json_on(organization, date),
  path_organization_on(text, date), shown_on(date, date), organization_ancestors(uuid, date),
  organization_subtree_on(uuid, int, date), search_patterns(text), organization_search_on(text, date) TO tiendo_service;
