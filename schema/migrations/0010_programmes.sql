-- Programmes: what a document sets going, with its pillars. Definitions (programmes, their indicators, assignments and
-- targets) are seen where they hold: by whoever has their unit in scope, and by whoever sits below that unit.
SET search_path = tiendo, public;

-- The policies of a definition's table: the owner sees all; the service what lies in its scope or covers its seat.
CREATE FUNCTION protect_definition(tab regclass, programme text, permission text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  limited text := 'tiendo.in_limited(%1$I, scope_key, (SELECT tiendo.limited_programmes()), (SELECT tiendo.limited_scopes()))';
  limited_write text := 'tiendo.in_limited(%1$I, scope_key, (SELECT tiendo.limited_write_programmes()), '
    '(SELECT tiendo.limited_write_scopes()))';
  writable text := format('(SELECT tiendo.me_permission()) = %L AND (scope_key <@ (SELECT tiendo.write_scope()) OR '
    || format(limited_write, programme) || ')', permission);
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tab);
  EXECUTE format('CREATE POLICY owner_all ON %s TO tiendo_owner USING (true) WITH CHECK (true)', tab);
  EXECUTE format('CREATE POLICY service_read ON %s FOR SELECT TO tiendo_service USING (scope_key <@ (SELECT tiendo.scope()) '
    'OR (SELECT tiendo.me_seat_key()) ^@ scope_key OR ' || format(limited, programme) || ')', tab);
  EXECUTE format('CREATE POLICY service_insert ON %s FOR INSERT TO tiendo_service WITH CHECK (%s)', tab, writable);
  EXECUTE format('CREATE POLICY service_update ON %s FOR UPDATE TO tiendo_service USING (%s)', tab, writable);
END $$;
-- Whether the entered permission writes to a row of this programme and unit.
CREATE FUNCTION may_write(programme uuid, key text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN coalesce(key <@ write_scope(), false)
    OR (limited_write_programmes() IS NOT NULL
        AND in_limited(programme, key, limited_write_programmes(), limited_write_scopes()));
END $$;
-- Raises one 422 for all the faults that are not NULL.
CREATE FUNCTION refuse(VARIADIC faults jsonb[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE given jsonb := (SELECT jsonb_agg(f ORDER BY n) FROM unnest(faults) WITH ORDINALITY x(f, n) WHERE f IS NOT NULL);
BEGIN
  IF given IS NOT NULL THEN PERFORM fail(422, 'invalid', given); END IF;
END $$;

CREATE TABLE programme (
  id uuid PRIMARY KEY,
  root_id uuid NOT NULL,
  code code NOT NULL,
  title text NOT NULL CONSTRAINT programme_title_length CHECK (length(title) BETWEEN 1 AND 500),
  document text CONSTRAINT programme_document_length CHECK (length(document) BETWEEN 1 AND 100),
  document_on date,
  owner_id uuid NOT NULL REFERENCES organization (id),
  owner_code text NOT NULL,
  scope_id uuid NOT NULL REFERENCES organization (id),
  scope_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  starts_on date,
  ends_on date,
  note text CONSTRAINT programme_note_length CHECK (length(note) <= 4000),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT programme_code_taken UNIQUE (root_id, code),
  CONSTRAINT programme_dates CHECK (ends_on >= starts_on)
);
COMMENT ON CONSTRAINT programme_code_taken ON programme IS '409 code_taken #/code';
COMMENT ON CONSTRAINT programme_dates ON programme IS '422 ends_before_start #/ends_on';
COMMENT ON CONSTRAINT programme_title_length ON programme IS '422 too_long #/title';
COMMENT ON CONSTRAINT programme_document_length ON programme IS '422 too_long #/document';
COMMENT ON CONSTRAINT programme_note_length ON programme IS '422 too_long #/note';
CREATE INDEX programme_code ON programme (code COLLATE "C", id);
CREATE INDEX programme_created ON programme (created_at, id);

CREATE TABLE programme_pillar (
  programme_id uuid NOT NULL REFERENCES programme (id),
  scope_key text COLLATE "C" NOT NULL,
  code code NOT NULL,
  name text NOT NULL CONSTRAINT programme_pillar_name_length CHECK (length(name) BETWEEN 1 AND 500),
  position int NOT NULL,
  CONSTRAINT programme_pillar_taken PRIMARY KEY (programme_id, code)
);
COMMENT ON CONSTRAINT programme_pillar_taken ON programme_pillar IS '422 repeated #/pillars';
COMMENT ON CONSTRAINT programme_pillar_name_length ON programme_pillar IS '422 too_long #/pillars';

DO $do$ BEGIN
  PERFORM protect_definition('programme', 'id', 'programmes:write');
  PERFORM protect_definition('programme_pillar', 'programme_id', 'programmes:write');
END $do$;
CREATE POLICY service_delete ON programme_pillar FOR DELETE TO tiendo_service
  USING ((SELECT me_permission()) = 'programmes:write' AND may_write(programme_id, scope_key));
GRANT SELECT, INSERT ON programme, programme_pillar TO tiendo_service;
GRANT UPDATE (title, document, document_on, starts_on, ends_on, note, version, updated_at) ON programme TO tiendo_service;
GRANT UPDATE (name, position), DELETE ON programme_pillar TO tiendo_service;

-- The unit named by scope decides root and key; the codes are kept beside the ids, because a definition names its
-- units to everyone it holds for.
CREATE FUNCTION programme_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT o.root_id, o.scope_key, o.code INTO STRICT new.root_id, new.scope_key, new.scope_code
  FROM organization o WHERE o.id = new.scope_id;
  SELECT o.code INTO STRICT new.owner_code FROM organization o WHERE o.id = new.owner_id;
  RETURN new;
END $$;
CREATE TRIGGER programme_place BEFORE INSERT ON programme FOR EACH ROW EXECUTE FUNCTION programme_place();

-- A pillar lies where its programme does.
CREATE FUNCTION programme_pillar_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT p.scope_key INTO STRICT new.scope_key FROM programme p WHERE p.id = new.programme_id;
  RETURN new;
END $$;
CREATE TRIGGER programme_pillar_place BEFORE INSERT ON programme_pillar FOR EACH ROW EXECUTE FUNCTION programme_pillar_place();

-- The visible programme a reference names, or NULL; codes are looked up as those of organizations are.
CREATE FUNCTION programme_id(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE ids uuid[];
BEGIN
  IF is_uuid(ref) THEN
    RETURN (SELECT p.id FROM programme p WHERE p.id = ref::uuid);
  END IF;
  ids := ARRAY(SELECT p.id FROM programme p WHERE p.root_id = me_root() AND p.code = ref);
  IF cardinality(ids) = 0 THEN
    ids := ARRAY(SELECT p.id FROM programme p WHERE p.code = ref);
  END IF;
  RETURN CASE WHEN cardinality(ids) = 1 THEN ids[1] END;
END $$;
CREATE FUNCTION filter_programme(ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := programme_id(ref);
BEGIN
  IF found_id IS NULL THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such programme'));
  END IF;
  RETURN found_id;
END $$;

CREATE FUNCTION programme_json(p programme) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT p.id, p.code, p.title, p.document, p.document_on, p.owner_code AS owner, p.scope_code AS scope, p.starts_on, p.ends_on,
      (SELECT coalesce(json_agg(json_build_object('code', x.code, 'name', x.name) ORDER BY x.position), '[]')
         FROM programme_pillar x WHERE x.programme_id = p.id) AS pillars,
      (SELECT coalesce(json_agg(json_build_object('code', substr(x.code, length(p.code) + 2), 'name', x.name, 'period', x.code,
           'starts_on', x.starts_on, 'ends_on', x.ends_on) ORDER BY x.starts_on), '[]')
         FROM period x WHERE x.programme_id = p.id) AS phases,
      p.note, p.version, tstz(p.created_at) AS created_at, tstz(p.updated_at) AS updated_at) r);
END $$;

-- Makes the programme's pillars those given, in their order. One that indicators still name cannot go.
CREATE FUNCTION programme_set_pillars(p programme, pillars jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM programme_pillar x WHERE x.programme_id = p.id
    AND x.code NOT IN (SELECT g ->> 'code' FROM jsonb_array_elements(pillars) g);
  UPDATE programme_pillar x SET name = g.item ->> 'name', position = g.n
  FROM jsonb_array_elements(pillars) WITH ORDINALITY g(item, n)
  WHERE x.programme_id = p.id AND x.code = g.item ->> 'code';
  INSERT INTO programme_pillar (programme_id, scope_key, code, name, position)
  SELECT p.id, p.scope_key, g.item ->> 'code', g.item ->> 'name', g.n
  FROM jsonb_array_elements(pillars) WITH ORDINALITY g(item, n)
  WHERE NOT EXISTS (SELECT FROM programme_pillar x WHERE x.programme_id = p.id AND x.code = g.item ->> 'code');
END $$;

CREATE FUNCTION programme_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  owner_unit uuid := organization_id(body ->> 'owner');
  scope_unit organization;
  made programme;
BEGIN
  SELECT * INTO scope_unit FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'scope'));
  PERFORM refuse(
    CASE WHEN owner_unit IS NULL THEN fault('#/owner', 'unknown_reference', 'no such organization') END,
    CASE WHEN scope_unit.id IS NULL THEN fault('#/scope', 'unknown_reference', 'no such organization') END);
  IF NOT scope_unit.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, format('Programmes of %s are set by its own managers or by a mandate to define.', scope_unit.code));
  END IF;
  INSERT INTO programme (id, code, title, document, document_on, owner_id, scope_id, starts_on, ends_on, note)
  VALUES (new_id, body ->> 'code', body ->> 'title', body ->> 'document', (body ->> 'document_on')::date, owner_unit, scope_unit.id,
    (body ->> 'starts_on')::date, (body ->> 'ends_on')::date, body ->> 'note')
  RETURNING * INTO made;
  PERFORM programme_set_pillars(made, coalesce(nullif(body -> 'pillars', 'null'), '[]')),
    programme_set_phases(made, coalesce(nullif(body -> 'phases', 'null'), '[]'));
  body_out := programme_json(made);
  PERFORM journal('create', 'programme', made.id, made.version, made.scope_key, NULL, body_out::jsonb, request_id, made.id);
  RETURN QUERY SELECT 201, made.version::text, '/v1/programmes/' || made.id, body_out;
END $$;

CREATE FUNCTION programme_update(ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  p programme;
  was jsonb;
BEGIN
  SELECT * INTO p FROM programme x WHERE x.id = (SELECT programme_id(ref));
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT may_write(p.id, p.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s is kept by the managers of %s or by a mandate to define.', p.code, p.scope_code));
  END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  was := programme_json(p)::jsonb;
  UPDATE programme x SET
    title = CASE WHEN patch ? 'title' THEN patch ->> 'title' ELSE x.title END,
    document = CASE WHEN patch ? 'document' THEN patch ->> 'document' ELSE x.document END,
    document_on = CASE WHEN patch ? 'document_on' THEN (patch ->> 'document_on')::date ELSE x.document_on END,
    starts_on = CASE WHEN patch ? 'starts_on' THEN (patch ->> 'starts_on')::date ELSE x.starts_on END,
    ends_on = CASE WHEN patch ? 'ends_on' THEN (patch ->> 'ends_on')::date ELSE x.ends_on END,
    note = CASE WHEN patch ? 'note' THEN patch ->> 'note' ELSE x.note END,
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = p.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO p;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF patch ? 'pillars' THEN
    PERFORM programme_set_pillars(p, coalesce(nullif(patch -> 'pillars', 'null'), '[]'));
  END IF;
  IF patch ? 'phases' THEN
    PERFORM programme_set_phases(p, coalesce(nullif(patch -> 'phases', 'null'), '[]'));
  END IF;
  body_out := programme_json(p);
  PERFORM journal('update', 'programme', p.id, p.version, p.scope_key, was, body_out::jsonb, request_id, p.id);
  RETURN QUERY SELECT 200, p.version::text, NULL::text, body_out;
END $$;

GRANT EXECUTE ON FUNCTION may_write(uuid, text), refuse(jsonb[]), programme_id(text), filter_programme(text, text),
  programme_json(programme), programme_set_pillars(programme, jsonb), programme_create(uuid, jsonb, text),
  programme_update(text, jsonb, text, text) TO tiendo_service;
