-- Assignments: which units report an indicator, from when to when, for themselves (own) or for their whole subtree
-- (total). What is written is the assignment: one unit, or every unit of a kind under one. What is read is
-- assignment_unit: one row a unit and stretch of time, kept by triggers, for units that come later too.
--   Where several assignments name a unit on a day, the one that names it alone goes first, then the one whose
--   "under" is nearest, then the younger. Attached units are assigned only where they are named.
--   counted: no unit above it holds a total for the same indicator on those days, so its figures add up upwards.
SET search_path = tiendo, public;

CREATE TABLE assignment (
  id uuid PRIMARY KEY,
  indicator_id uuid NOT NULL REFERENCES indicator (id),
  programme_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  organization_id uuid REFERENCES organization (id),
  kind text REFERENCES organization_kind (code),
  under_id uuid REFERENCES organization (id),
  unit_code text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('own', 'total')),
  entered_by text NOT NULL DEFAULT 'self' CHECK (entered_by IN ('self', 'superior')),
  source text NOT NULL DEFAULT 'any' CHECK (source IN ('any', 'hand', 'client')),
  client_id uuid REFERENCES client (id),
  validity daterange NOT NULL CHECK (NOT isempty(validity)),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT assignment_unit_or_kind CHECK (num_nonnulls(organization_id, kind) = 1 AND (kind IS NULL) = (under_id IS NULL)),
  CONSTRAINT assignment_client CHECK ((source = 'client') = (client_id IS NOT NULL)),
  CONSTRAINT assignment_taken EXCLUDE USING gist (indicator_id WITH =, (coalesce(organization_id, under_id)) WITH =,
    (coalesce(kind, '')) WITH =, validity WITH &&)
);
COMMENT ON CONSTRAINT assignment_unit_or_kind ON assignment IS '422 one_of #/organization';
COMMENT ON CONSTRAINT assignment_client ON assignment IS '422 required #/client';
COMMENT ON CONSTRAINT assignment_taken ON assignment IS '409 already_assigned #/organization';
CREATE INDEX assignment_indicator ON assignment (indicator_id, scope_key, id);
CREATE INDEX assignment_kind ON assignment (kind) WHERE kind IS NOT NULL;

CREATE TABLE assignment_unit (
  assignment_id uuid NOT NULL REFERENCES assignment (id),
  indicator_id uuid NOT NULL,
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  scope_key text COLLATE "C" NOT NULL,
  mode text NOT NULL,
  entered_by text NOT NULL,
  source text NOT NULL,
  client_id uuid,
  validity daterange NOT NULL,
  counted boolean NOT NULL
);
CREATE INDEX assignment_unit_key ON assignment_unit (indicator_id, scope_key) INCLUDE (validity, counted, mode, programme_id);
CREATE INDEX assignment_unit_scope ON assignment_unit (scope_key, indicator_id);

-- How many counted units stand in a unit's subtree, itself included (own: itself). Kept by triggers on assignment_unit.
CREATE TABLE assignment_count (
  indicator_id uuid NOT NULL,
  programme_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  validity daterange NOT NULL,
  units int NOT NULL,
  own int NOT NULL,
  PRIMARY KEY (indicator_id, scope_key, validity)
);
DO $do$ BEGIN PERFORM protect('assignment_count', 'programme_id'); END $do$;

DO $do$ BEGIN PERFORM protect_definition('assignment', 'programme_id', 'indicators:write'); END $do$;
ALTER TABLE assignment_unit ENABLE ROW LEVEL SECURITY;
ALTER TABLE assignment_unit FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON assignment_unit TO tiendo_owner USING (true) WITH CHECK (true);
-- (the first part is the cheap one, and nearly always enough)
CREATE POLICY service_read ON assignment_unit FOR SELECT TO tiendo_service USING (
  ((SELECT one_range()) AND scope_key >= (SELECT scope_lo()) AND scope_key < (SELECT scope_hi()))
  OR scope_key <@ (SELECT scope()) OR (SELECT me_seat_key()) ^@ scope_key
  OR in_limited(programme_id, scope_key, (SELECT limited_programmes()), (SELECT limited_scopes())));
GRANT SELECT, INSERT ON assignment TO tiendo_service;
GRANT UPDATE (entered_by, source, client_id, validity, version, updated_at) ON assignment TO tiendo_service;
GRANT SELECT ON assignment_unit, assignment_count TO tiendo_service;

-- Keys in order, so that two who assign at once wait for each other one way only.
CREATE FUNCTION assignment_counted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  INSERT INTO assignment_count AS c
  SELECT u.indicator_id, u.programme_id, left(u.scope_key, n), u.validity, sign * count(*), sign * count(*) FILTER (WHERE n = length(u.scope_key))
  FROM changed u, generate_series(6, length(u.scope_key), 6) n
  WHERE u.counted
  GROUP BY 1, 2, 3, 4 ORDER BY 1, 3, 4
  ON CONFLICT (indicator_id, scope_key, validity) DO UPDATE SET units = c.units + excluded.units, own = c.own + excluded.own;
  RETURN NULL;
END $$;
CREATE TRIGGER assignment_counted AFTER INSERT ON assignment_unit REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION assignment_counted();
CREATE TRIGGER assignment_uncounted AFTER DELETE ON assignment_unit REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION assignment_counted();

-- Writers of assignments take the lock alone; makers of units and writers of values share it. So a unit made, or a
-- value entered, while an assignment changes is seen by one of the two.
CREATE FUNCTION assignment_lock_all() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT hashtextextended('tiendo.assignment', 0) $$;
CREATE FUNCTION assignment_lock(indicator uuid) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT hashtextextended(indicator::text, 7) $$;

-- Who is assigned an indicator, among the units whose key is in [low, high): every stretch once, by the first claim.
CREATE FUNCTION assignment_claims(p_indicator uuid, low text, high text)
  RETURNS TABLE (assignment_id uuid, organization_id uuid, scope_key text, days datemultirange)
  LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  WITH claim AS (
    SELECT a.id, o.id AS unit, o.scope_key, datemultirange(a.validity * daterange(o.valid_from, o.valid_to, '[]')) AS days,
      row_number() OVER (PARTITION BY o.id ORDER BY a.created_at DESC, a.id DESC) AS place
    FROM assignment a JOIN organization o ON o.id = a.organization_id
    WHERE a.indicator_id = p_indicator AND o.scope_key >= low AND o.scope_key < high
    UNION ALL
    SELECT a.id, o.id, o.scope_key, range_agg(a.validity * s.validity * c.validity),
      1000 + 1000 * min(c.depth) + row_number() OVER (PARTITION BY o.id ORDER BY a.created_at DESC, a.id DESC)
    FROM assignment a
      JOIN organization_closure c ON c.ancestor_id = a.under_id AND c.validity && a.validity AND c.scope_key >= low AND c.scope_key < high
      JOIN organization_span s ON s.organization_id = c.descendant_id AND s.kind = a.kind
        AND s.validity && a.validity AND s.validity && c.validity
      JOIN organization o ON o.id = c.descendant_id AND NOT o.attached
    WHERE a.indicator_id = p_indicator AND a.kind IS NOT NULL
    GROUP BY a.id, o.id
  ), placed AS (
    SELECT id, unit, scope_key, days,
      coalesce(range_agg(days) OVER (PARTITION BY unit ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), '{}') AS taken
    FROM claim
  )
  SELECT id, unit, scope_key, days - taken FROM placed WHERE NOT isempty(days - taken) $$;

-- Makes assignment_unit right for an indicator's units in [low, high), and the values' own mark with it.
CREATE FUNCTION assignment_expand(p_indicator uuid, low text, high text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  WITH claim AS MATERIALIZED (
    SELECT c.*, a.programme_id, a.mode, a.entered_by, a.source, a.client_id
    FROM assignment_claims(p_indicator, low, high) c JOIN assignment a ON a.id = c.assignment_id
  ), total AS (
    SELECT c.scope_key, c.days FROM claim c WHERE c.mode = 'total'
    UNION ALL
    SELECT u.scope_key, datemultirange(u.validity) FROM assignment_unit u
    WHERE u.indicator_id = p_indicator AND u.mode = 'total' AND u.scope_key = ANY (ancestor_keys(low))
  ), beneath AS (
    SELECT c.organization_id, range_agg(t.days) AS days
    FROM claim c, unnest(ancestor_keys(c.scope_key)) k JOIN total t ON t.scope_key = k
    GROUP BY c.organization_id
  ), wanted AS MATERIALIZED (
    SELECT c.assignment_id, p_indicator AS indicator_id, c.programme_id, c.organization_id, c.scope_key, c.mode, c.entered_by,
      c.source, c.client_id, d.validity, part.counted
    FROM claim c LEFT JOIN beneath b USING (organization_id),
      LATERAL (VALUES (c.days - coalesce(b.days, '{}'), true), (c.days * coalesce(b.days, '{}'), false)) part(days, counted),
      LATERAL unnest(part.days) d(validity)
  ), gone AS (
    DELETE FROM assignment_unit u WHERE u.indicator_id = p_indicator AND u.scope_key >= low AND u.scope_key < high
      AND NOT EXISTS (SELECT FROM wanted w WHERE w.organization_id = u.organization_id AND w.assignment_id = u.assignment_id
        AND w.validity = u.validity AND w.counted = u.counted AND w.entered_by = u.entered_by
        AND (w.source, w.client_id) IS NOT DISTINCT FROM (u.source, u.client_id))
  )
  INSERT INTO assignment_unit
  SELECT w.* FROM wanted w WHERE NOT EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = p_indicator
    AND u.scope_key >= low AND u.scope_key < high AND w.organization_id = u.organization_id AND w.assignment_id = u.assignment_id
    AND w.validity = u.validity AND w.counted = u.counted AND w.entered_by = u.entered_by
    AND (w.source, w.client_id) IS NOT DISTINCT FROM (u.source, u.client_id));
  PERFORM set_config('tiendo.recount', 'on', true);
  UPDATE value v SET counted = NOT v.counted
  FROM period p
  WHERE v.indicator_id = p_indicator AND v.scope_key >= low AND v.scope_key < high AND p.id = v.period_id
    AND v.counted <> EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = v.indicator_id
      AND u.scope_key = v.scope_key AND u.counted AND u.validity @> p.ends_on);
  PERFORM set_config('tiendo.recount', '', true);
END $$;

CREATE FUNCTION assignment_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(assignment_lock_all()), pg_advisory_xact_lock(assignment_lock(new.indicator_id));
  PERFORM assignment_expand(new.indicator_id, new.scope_key, new.scope_key || '~');
  RETURN NULL;
END $$;
CREATE TRIGGER assignment_changed AFTER INSERT OR UPDATE ON assignment FOR EACH ROW EXECUTE FUNCTION assignment_changed();

-- A new stretch of a unit (a new unit, a new kind) may fall under assignments by kind.
CREATE FUNCTION assignment_span() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE a record;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(assignment_lock_all());
  FOR a IN SELECT x.indicator_id, s.scope_key FROM made s JOIN assignment x ON x.kind = s.kind
      UNION SELECT u.indicator_id, s.scope_key FROM made s JOIN assignment_unit u ON u.scope_key = s.scope_key
      ORDER BY 1, 2 LOOP
    PERFORM assignment_expand(a.indicator_id, a.scope_key, a.scope_key || '~');
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER assignment_span AFTER INSERT ON organization_span REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION assignment_span();

-- An assignment's indicator and unit decide its key and programme.
CREATE FUNCTION assignment_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT o.scope_key, o.code INTO STRICT new.scope_key, new.unit_code FROM organization o
  WHERE o.id = coalesce(new.organization_id, new.under_id);
  SELECT i.programme_id INTO STRICT new.programme_id FROM indicator i WHERE i.id = new.indicator_id;
  RETURN new;
END $$;
CREATE TRIGGER assignment_place BEFORE INSERT ON assignment FOR EACH ROW EXECUTE FUNCTION assignment_place();

-- The client of this id in the caller's area, or NULL: definers name clients that only administrators may read.
CREATE FUNCTION client_in_area(ref text) RETURNS uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT c.id FROM client c WHERE is_uuid(ref) AND c.id = ref::uuid AND c.scope_key <@ area());
END $$;

CREATE FUNCTION assignment_json(a assignment) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT a.id, (SELECT i.code FROM indicator i WHERE i.id = a.indicator_id) AS indicator,
      CASE WHEN a.kind IS NULL THEN a.unit_code END AS organization, a.kind, CASE WHEN a.kind IS NOT NULL THEN a.unit_code END AS under,
      a.mode, a.entered_by, a.source, a.client_id AS client, lower(a.validity) AS valid_from, upper(a.validity) - 1 AS valid_to,
      a.version, tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at) r);
END $$;

-- The indicator a path names, and the right to define it: 404, 403.
CREATE FUNCTION indicator_to_define(ref text) RETURNS indicator LANGUAGE plpgsql STABLE AS $$
DECLARE i indicator;
BEGIN
  SELECT * INTO i FROM indicator x WHERE x.id = (SELECT indicator_id(ref));
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT may_write(i.programme_id, i.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s is defined by the managers of its programme or by a mandate to define.', i.code));
  END IF;
  RETURN i;
END $$;

CREATE FUNCTION assignment_create(ref text, new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  i indicator := indicator_to_define(ref);
  named boolean := body ->> 'organization' IS NOT NULL;
  unit organization;
  client uuid := client_in_area(body ->> 'client');
  starts date := coalesce((body ->> 'valid_from')::date, (SELECT p.starts_on FROM programme p WHERE p.id = i.programme_id));
  made assignment;
BEGIN
  SELECT * INTO unit FROM organization o WHERE o.id = (SELECT organization_id(coalesce(body ->> 'organization', body ->> 'under')));
  PERFORM refuse(
    CASE WHEN named = (body ->> 'kind' IS NOT NULL) THEN fault('#/organization', 'one_of', 'either organization, or kind with under')
      WHEN NOT named AND body ->> 'under' IS NULL THEN fault('#/under', 'required', 'kind goes with under')
      WHEN unit.id IS NULL THEN fault(CASE WHEN named THEN '#/organization' ELSE '#/under' END, 'unknown_reference', 'no such organization') END,
    CASE WHEN body ->> 'kind' IS NOT NULL AND NOT EXISTS (SELECT FROM organization_kind k WHERE k.code = body ->> 'kind')
      THEN fault('#/kind', 'unknown_reference', 'no such organization kind') END,
    CASE WHEN body ->> 'client' IS NOT NULL AND client IS NULL THEN fault('#/client', 'unknown_reference', 'no such client') END,
    CASE WHEN (body ->> 'source' IS NOT DISTINCT FROM 'client') <> (body ->> 'client' IS NOT NULL)
      THEN fault('#/client', 'required', 'a client is named where, and only where, the source is a client') END,
    CASE WHEN (body ->> 'valid_to')::date < starts THEN fault('#/valid_to', 'ends_before_start', 'it would end before it starts') END);
  IF NOT may_write(i.programme_id, unit.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s lies outside of what you define.', unit.code));
  END IF;
  INSERT INTO assignment (id, indicator_id, organization_id, kind, under_id, mode, entered_by, source, client_id, validity)
  VALUES (new_id, i.id, CASE WHEN named THEN unit.id END, body ->> 'kind', CASE WHEN NOT named THEN unit.id END, body ->> 'mode',
    coalesce(body ->> 'entered_by', 'self'), coalesce(body ->> 'source', 'any'), client,
    daterange(starts, (body ->> 'valid_to')::date, '[]'))
  RETURNING * INTO made;
  body_out := assignment_json(made);
  PERFORM journal('create', 'assignment', made.id, made.version, made.scope_key, NULL, body_out::jsonb, request_id, made.programme_id);
  RETURN QUERY SELECT 201, made.version::text, '/v1/indicators/' || i.id || '/assignments/' || made.id, body_out;
END $$;

-- Ends an assignment, or changes by whom and from which source its values come.
CREATE FUNCTION assignment_update(ref text, assignment_ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  a assignment;
  was jsonb;
  client uuid := client_in_area(patch ->> 'client');
  ends date;
BEGIN
  SELECT * INTO a FROM assignment x WHERE is_uuid(assignment_ref) AND x.id = assignment_ref::uuid AND x.indicator_id = indicator_id(ref);
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  PERFORM indicator_to_define(ref);
  IF NOT may_write(a.programme_id, a.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s lies outside of what you define.', a.unit_code));
  END IF;
  ends := CASE WHEN patch ? 'valid_to' THEN (patch ->> 'valid_to')::date ELSE upper(a.validity) - 1 END;
  IF NOT patch ? 'client' THEN
    client := CASE WHEN patch ->> 'source' IN ('any', 'hand') THEN NULL ELSE a.client_id END;
  END IF;
  PERFORM refuse(
    CASE WHEN patch ->> 'client' IS NOT NULL AND client IS NULL THEN fault('#/client', 'unknown_reference', 'no such client') END,
    CASE WHEN (coalesce(patch ->> 'source', a.source) = 'client') <> (client IS NOT NULL)
      THEN fault('#/client', 'required', 'a client is named where, and only where, the source is a client') END,
    CASE WHEN ends < lower(a.validity) THEN fault('#/valid_to', 'ends_before_start', 'it would end before it starts') END);
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  was := assignment_json(a)::jsonb;
  UPDATE assignment x SET validity = daterange(lower(a.validity), ends, '[]'), source = coalesce(patch ->> 'source', x.source),
    entered_by = coalesce(patch ->> 'entered_by', x.entered_by), client_id = client, version = x.version + 1, updated_at = clock_now()
  WHERE x.id = a.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO a;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  body_out := assignment_json(a);
  PERFORM journal('update', 'assignment', a.id, a.version, a.scope_key, was, body_out::jsonb, request_id, a.programme_id);
  RETURN QUERY SELECT 200, a.version::text, NULL::text, body_out;
END $$;

GRANT EXECUTE ON FUNCTION assignment_lock(uuid), client_in_area(text), assignment_json(assignment), indicator_to_define(text),
  assignment_create(text, uuid, jsonb, text), assignment_update(text, text, jsonb, text, text) TO tiendo_service;
