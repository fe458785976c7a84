-- Organizations: a unit tree whose names, kinds and parents are effective-dated. The row of organization carries
-- the state of today; organization_span is the truth over time; the closure answers "the tree as of that day".
SET search_path = tiendo, public;

CREATE TABLE organization_kind (
  code text PRIMARY KEY CHECK (code ~ '^[a-z][a-z0-9_]{1,62}$'),
  name_vi text NOT NULL,
  name_en text NOT NULL,
  position int NOT NULL
);
INSERT INTO organization_kind (code, name_vi, name_en, position) VALUES
  ('provincial_party_committee', 'Tỉnh ủy', 'Provincial Party committee', 10),
  ('city_party_committee', 'Thành ủy', 'City Party committee', 11),
  ('standing_committee', 'Ban Thường vụ', 'Standing committee', 20),
  ('standing_members', 'Thường trực', 'Standing members', 21),
  ('steering_committee', 'Ban Chỉ đạo', 'Steering committee', 22),
  ('advisory_support_agency', 'Cơ quan tham mưu, giúp việc', 'Advisory and support agency', 30),
  ('inspection_committee', 'Ủy ban Kiểm tra', 'Inspection committee', 31),
  ('party_building_board', 'Ban Xây dựng Đảng', 'Party-building board', 32),
  ('directly_subordinate_party_committee', 'Đảng ủy trực thuộc', 'Directly subordinate Party committee', 40),
  ('district_party_committee', 'Huyện ủy', 'District Party committee (to 2025-06-30)', 41),
  ('town_party_committee', 'Thị ủy', 'Town Party committee (to 2025-06-30)', 42),
  ('urban_district_party_committee', 'Quận ủy', 'Urban district Party committee (to 2025-06-30)', 43),
  ('grassroots_party_organization', 'Đảng bộ cơ sở', 'Grassroots Party organization', 50),
  ('grassroots_party_cell', 'Chi bộ cơ sở', 'Grassroots Party cell', 51),
  ('party_cell', 'Chi bộ trực thuộc', 'Party cell', 52),
  ('party_group', 'Đảng đoàn', 'Party group (historic)', 60),
  ('party_affairs_board', 'Ban cán sự đảng', 'Party affairs board (historic)', 61),
  ('people_committee', 'Ủy ban nhân dân', 'People''s committee', 70),
  ('department', 'Sở', 'Department', 71),
  ('one_stop_centre', 'Trung tâm phục vụ hành chính công', 'One-stop centre', 72),
  ('fatherland_front_committee', 'Ủy ban Mặt trận Tổ quốc Việt Nam', 'Fatherland Front committee', 80),
  ('socio_political_organization', 'Tổ chức chính trị - xã hội', 'Socio-political organization', 81),
  ('press_agency', 'Báo và phát thanh, truyền hình', 'Press agency', 82);

CREATE TABLE organization (
  id uuid PRIMARY KEY,
  root_id uuid NOT NULL,
  parent_id uuid REFERENCES organization (id),
  code code NOT NULL,
  scope_key text COLLATE "C" NOT NULL UNIQUE CHECK (scope_key ~ '^([0-9a-v]{6})+$'),
  name text NOT NULL CONSTRAINT organization_name_length CHECK (length(name) BETWEEN 1 AND 300),
  kind text NOT NULL REFERENCES organization_kind (code),
  attached boolean NOT NULL DEFAULT false,
  made_up boolean NOT NULL DEFAULT false,
  note text CHECK (length(note) <= 2000),
  identifiers json NOT NULL DEFAULT '[]',
  former json NOT NULL DEFAULT '[]',
  valid_from date NOT NULL,
  valid_to date,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  search text GENERATED ALWAYS AS (fold(name || ' ' || code)) STORED,
  CONSTRAINT organization_code_taken UNIQUE (root_id, code),
  CONSTRAINT organization_validity CHECK (valid_to >= valid_from),
  CHECK ((parent_id IS NULL) = (root_id = id)),
  CHECK ((parent_id IS NULL) = (length(scope_key) = 6))
);
COMMENT ON CONSTRAINT organization_code_taken ON organization IS '409 code_taken #/code';
COMMENT ON CONSTRAINT organization_validity ON organization IS '422 ends_before_start #/valid_to';
COMMENT ON CONSTRAINT organization_name_length ON organization IS '422 too_long #/name';
CREATE INDEX organization_parent ON organization (parent_id, scope_key);
CREATE INDEX organization_code ON organization (code COLLATE "C", id);
CREATE INDEX organization_kind_key ON organization (kind, scope_key);
CREATE INDEX organization_created ON organization (created_at, id);
CREATE INDEX organization_search ON organization USING gin (search gin_trgm_ops);

-- One row per stretch of time in which name, kind and parent stood still.
CREATE TABLE organization_span (
  organization_id uuid NOT NULL REFERENCES organization (id),
  scope_key text COLLATE "C" NOT NULL,
  validity daterange NOT NULL CHECK (NOT isempty(validity) AND NOT lower_inf(validity)),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 300),
  kind text NOT NULL REFERENCES organization_kind (code),
  parent_id uuid REFERENCES organization (id),
  reason text,
  CONSTRAINT organization_span_overlap EXCLUDE USING gist (organization_id WITH =, validity WITH &&) DEFERRABLE INITIALLY IMMEDIATE
);
COMMENT ON CONSTRAINT organization_span_overlap ON organization_span IS '422 spans_overlap #/former';

CREATE TABLE organization_closure (
  ancestor_id uuid NOT NULL REFERENCES organization (id),
  descendant_id uuid NOT NULL REFERENCES organization (id),
  depth int NOT NULL,
  validity daterange NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  CONSTRAINT organization_no_cycle CHECK ((depth = 0) = (ancestor_id = descendant_id)),
  CONSTRAINT organization_closure_overlap EXCLUDE USING gist (descendant_id WITH =, ancestor_id WITH =, validity WITH &&)
);
COMMENT ON CONSTRAINT organization_no_cycle ON organization_closure IS '422 cycle #/parent';
CREATE INDEX organization_closure_ancestor ON organization_closure (ancestor_id, depth);

CREATE TABLE organization_identifier (
  organization_id uuid NOT NULL REFERENCES organization (id),
  scope_key text COLLATE "C" NOT NULL,
  scheme text NOT NULL CHECK (scheme ~ '^[a-z][a-z0-9_-]{1,31}$'),
  value text NOT NULL CHECK (length(value) BETWEEN 1 AND 64),
  validity daterange NOT NULL CHECK (NOT isempty(validity)),
  CONSTRAINT organization_identifier_once EXCLUDE USING gist (organization_id WITH =, scheme WITH =, value WITH =, validity WITH &&),
  CONSTRAINT organization_identifier_taken EXCLUDE USING gist (scheme WITH =, value WITH =, validity WITH &&)
    WHERE (scheme NOT IN ('statistics')),
  -- A unit has one area at a time.
  CONSTRAINT organization_identifier_area EXCLUDE USING gist (organization_id WITH =, validity WITH &&) WHERE (scheme = 'statistics')
);
COMMENT ON CONSTRAINT organization_identifier_once ON organization_identifier IS '422 repeated #/identifiers';
COMMENT ON CONSTRAINT organization_identifier_area ON organization_identifier IS '422 repeated #/identifiers';
COMMENT ON CONSTRAINT organization_identifier_taken ON organization_identifier IS '409 identifier_taken #/identifiers';
CREATE INDEX organization_identifier_value ON organization_identifier (scheme, value);

-- A new unit's place in the tree: root and key follow from its parent, so a caller cannot choose them.
CREATE FUNCTION organization_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE parent organization;
BEGIN
  IF new.parent_id IS NULL THEN
    new.root_id := new.id;
    new.scope_key := label(nextval('organization_label'));
  ELSE
    SELECT * INTO STRICT parent FROM organization WHERE id = new.parent_id;
    new.root_id := parent.root_id;
    new.scope_key := parent.scope_key || label(nextval('organization_label'));
  END IF;
  RETURN new;
END $$;
CREATE TRIGGER organization_place BEFORE INSERT ON organization FOR EACH ROW EXECUTE FUNCTION organization_place();

-- The closure rows a span gives: itself, and its parent's ancestors for as long as both last.
CREATE FUNCTION organization_close() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO organization_closure (ancestor_id, descendant_id, depth, validity, scope_key)
  VALUES (new.organization_id, new.organization_id, 0, new.validity, new.scope_key);
  INSERT INTO organization_closure (ancestor_id, descendant_id, depth, validity, scope_key)
  SELECT c.ancestor_id, new.organization_id, c.depth + 1, c.validity * new.validity, new.scope_key
  FROM organization_closure c
  WHERE c.descendant_id = new.parent_id AND c.validity && new.validity;
  RETURN NULL;
END $$;
CREATE TRIGGER organization_close AFTER INSERT ON organization_span FOR EACH ROW EXECUTE FUNCTION organization_close();

-- What a unit's answer shows of its identifiers and former names stands ready in its row.
CREATE FUNCTION organization_summarise() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE unit uuid := coalesce(new.organization_id, old.organization_id);
BEGIN
  UPDATE organization o SET
    identifiers = (SELECT coalesce(json_agg(json_build_object('scheme', i.scheme, 'value', i.value,
        'valid_from', lower(i.validity), 'valid_to', upper(i.validity) - 1) ORDER BY i.scheme, i.validity), '[]')
      FROM organization_identifier i WHERE i.organization_id = unit),
    former = (SELECT coalesce(json_agg(json_build_object('name', s.name, 'kind', s.kind,
        'valid_from', lower(s.validity), 'valid_to', upper(s.validity) - 1) ORDER BY s.validity), '[]')
      FROM organization_span s WHERE s.organization_id = unit AND upper(s.validity) <= coalesce(o.valid_to, today()))
  WHERE o.id = unit;
  RETURN NULL;
END $$;
CREATE TRIGGER organization_summarise AFTER INSERT OR DELETE ON organization_identifier
  FOR EACH ROW EXECUTE FUNCTION organization_summarise();
CREATE TRIGGER organization_summarise AFTER INSERT ON organization_span
  FOR EACH ROW WHEN (NOT upper_inf(new.validity)) EXECUTE FUNCTION organization_summarise();

-- ---- visibility -------------------------------------------------------------------------------------------
DO $do$ BEGIN PERFORM protect('organization', NULL, 'area'); END $do$;
DO $do$ BEGIN PERFORM protect('organization_span', NULL, 'area'); END $do$;
DO $do$ BEGIN PERFORM protect('organization_closure', NULL, 'area'); END $do$;
DO $do$ BEGIN PERFORM protect('organization_identifier', NULL, 'area'); END $do$;
CREATE POLICY service_insert ON organization FOR INSERT TO tiendo_service
  WITH CHECK ((SELECT me_permission()) = 'organizations:write' AND scope_key <@ (SELECT write_scope()));
CREATE POLICY service_update ON organization FOR UPDATE TO tiendo_service
  USING ((SELECT me_permission()) = 'organizations:write' AND scope_key <@ (SELECT write_scope()));
CREATE POLICY service_insert ON organization_span FOR INSERT TO tiendo_service
  WITH CHECK ((SELECT me_permission()) = 'organizations:write' AND scope_key <@ (SELECT write_scope()));
CREATE POLICY service_update ON organization_span FOR UPDATE TO tiendo_service
  USING ((SELECT me_permission()) = 'organizations:write' AND scope_key <@ (SELECT write_scope()));
CREATE POLICY service_insert ON organization_identifier FOR INSERT TO tiendo_service
  WITH CHECK ((SELECT me_permission()) = 'organizations:write' AND scope_key <@ (SELECT write_scope()));
CREATE POLICY service_delete ON organization_identifier FOR DELETE TO tiendo_service
  USING ((SELECT me_permission()) = 'organizations:write' AND scope_key <@ (SELECT write_scope()));
GRANT SELECT ON organization_kind, organization, organization_span, organization_closure, organization_identifier TO tiendo_service;
GRANT INSERT (id, parent_id, root_id, code, scope_key, name, kind, attached, made_up, note, valid_from, valid_to) ON organization TO tiendo_service;
GRANT UPDATE (name, attached, made_up, note, version, updated_at) ON organization TO tiendo_service;
GRANT INSERT ON organization_span, organization_identifier TO tiendo_service;
GRANT UPDATE (name) ON organization_span TO tiendo_service;
GRANT DELETE ON organization_identifier TO tiendo_service;

-- ---- look-ups ---------------------------------------------------------------------------------------------
-- The visible unit a reference (id or code) names, or NULL. A code is looked up in the caller's own root first,
-- elsewhere only when it is the one visible.
CREATE FUNCTION organization_id(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid; n int;
BEGIN
  IF is_uuid(ref) THEN
    SELECT o.id INTO found_id FROM organization o WHERE o.id = ref::uuid;
    RETURN found_id;
  END IF;
  SELECT o.id INTO found_id FROM organization o WHERE o.root_id = (SELECT me_root()) AND o.code = ref;
  IF found_id IS NULL THEN
    SELECT min(o.id::text)::uuid, count(*) INTO found_id, n FROM organization o WHERE o.code = ref;
    IF n > 1 THEN RETURN NULL; END IF;
  END IF;
  RETURN found_id;
END $$;
-- The tree key of a visible unit, or NULL.
CREATE FUNCTION key_of(ref text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN (SELECT o.scope_key FROM organization o WHERE o.id = (SELECT organization_id(ref)));
END $$;
-- The visible unit a path names; none is 404.
CREATE FUNCTION path_organization(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := organization_id(ref);
BEGIN
  IF found_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN found_id;
END $$;
-- The same for a filter: an unknown unit is a fault of the request, not an empty answer.
CREATE FUNCTION filter_key(ref text, parameter text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE key text := key_of(ref);
BEGIN
  IF key IS NULL THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault_parameter(parameter, 'unknown_reference', 'no such organization')));
  END IF;
  RETURN key;
END $$;

CREATE FUNCTION filter_organization(ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := organization_id(ref);
BEGIN
  IF found_id IS NULL THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault_parameter(parameter, 'unknown_reference', 'no such organization')));
  END IF;
  RETURN found_id;
END $$;

-- Code, name and kind of a unit the caller sees, or of one above its seat or its mandates: the names up to the root.
-- (plpgsql throughout where a function does not inline: SQL functions are planned anew at every call.)
CREATE FUNCTION organization_ref(unit uuid) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE o record;
BEGIN
  SELECT x.id, x.code, x.name, x.kind, x.scope_key INTO o FROM organization x WHERE x.id = unit;
  IF o.scope_key <@ area() OR me_seat_key() ^@ o.scope_key
      OR EXISTS (SELECT FROM unnest(area()) r WHERE lower(r) ^@ o.scope_key) THEN
    RETURN jsonb_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind);
  END IF;
  RETURN NULL;
END $$;

-- Ids of units in the caller's area whose name or code contains the text, whatever its accents.
CREATE FUNCTION organization_search(q text) RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  pattern text := '%' || replace(replace(replace(fold(btrim(q)), '\', '\\'), '%', '\%'), '_', '\_') || '%';
  ids uuid[];
BEGIN
  IF area() IS NULL THEN RETURN '{}'; END IF;
  EXECUTE format('SELECT coalesce(array_agg(id), ''{}'') FROM organization WHERE search LIKE %L AND scope_key >= %L AND scope_key < %L',
    pattern, scope_lo(), scope_hi()) INTO ids;
  RETURN ids;
END $$;
