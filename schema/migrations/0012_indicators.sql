-- Indicators: what is measured, in what, how often, and how it adds up over units and over time.
SET search_path = tiendo, public;

CREATE TABLE indicator (
  id uuid PRIMARY KEY,
  programme_id uuid NOT NULL REFERENCES programme (id),
  root_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  code code NOT NULL,
  pillar text,
  name text NOT NULL CONSTRAINT indicator_name_length CHECK (length(name) BETWEEN 1 AND 500),
  text text CONSTRAINT indicator_text_length CHECK (length(text) <= 4000),
  unit text NOT NULL CONSTRAINT indicator_unit_length CHECK (length(unit) BETWEEN 1 AND 64),
  kind text NOT NULL CHECK (kind IN ('ratio', 'number', 'rank', 'milestone')),
  direction text CHECK (direction IN ('increase', 'decrease')),
  aggregation text NOT NULL
    CHECK (aggregation IN ('ratio_of_sums', 'sum', 'min', 'max', 'last', 'average', 'count_done', 'none')),
  time_aggregation text NOT NULL DEFAULT 'last' CHECK (time_aggregation IN ('last', 'sum', 'average', 'min', 'max', 'none')),
  frequency text NOT NULL CHECK (frequency IN ('month', 'quarter', 'half_year', 'nine_months', 'year', 'phase')),
  categories text[],
  source_required boolean NOT NULL DEFAULT false,
  baseline numeric,
  document text CONSTRAINT indicator_document_length CHECK (length(document) BETWEEN 1 AND 100),
  note text CONSTRAINT indicator_note_length CHECK (length(note) <= 4000),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  search text GENERATED ALWAYS AS (fold(name || ' ' || code)) STORED,
  CONSTRAINT indicator_code_taken UNIQUE (root_id, code),
  CONSTRAINT indicator_pillar FOREIGN KEY (programme_id, pillar) REFERENCES programme_pillar (programme_id, code),
  -- Percentages and ranks are never added or averaged over units.
  CONSTRAINT indicator_aggregation CHECK (aggregation = 'none' OR CASE kind
    WHEN 'ratio' THEN aggregation = 'ratio_of_sums'
    WHEN 'number' THEN aggregation IN ('sum', 'min', 'max', 'last', 'average')
    WHEN 'rank' THEN aggregation IN ('min', 'max')
    ELSE aggregation = 'count_done' END),
  CONSTRAINT indicator_time_aggregation CHECK (CASE kind
    WHEN 'rank' THEN time_aggregation IN ('last', 'min', 'max', 'none')
    WHEN 'milestone' THEN time_aggregation IN ('last', 'none')
    ELSE true END),
  CONSTRAINT indicator_direction CHECK ((kind = 'milestone') = (direction IS NULL)),
  CONSTRAINT indicator_categories CHECK (cardinality(categories) BETWEEN 1 AND 100)
);
COMMENT ON CONSTRAINT indicator_code_taken ON indicator IS '409 code_taken #/code';
COMMENT ON CONSTRAINT indicator_pillar ON indicator IS '409 pillar_in_use #/pillars';
COMMENT ON CONSTRAINT indicator_aggregation ON indicator IS '422 not_for_this_kind #/aggregation';
COMMENT ON CONSTRAINT indicator_time_aggregation ON indicator IS '422 not_for_this_kind #/time_aggregation';
COMMENT ON CONSTRAINT indicator_direction ON indicator IS '422 not_for_this_kind #/direction';
COMMENT ON CONSTRAINT indicator_categories ON indicator IS '422 out_of_range #/categories';
COMMENT ON CONSTRAINT indicator_name_length ON indicator IS '422 too_long #/name';
COMMENT ON CONSTRAINT indicator_text_length ON indicator IS '422 too_long #/text';
COMMENT ON CONSTRAINT indicator_unit_length ON indicator IS '422 too_long #/unit';
COMMENT ON CONSTRAINT indicator_document_length ON indicator IS '422 too_long #/document';
COMMENT ON CONSTRAINT indicator_note_length ON indicator IS '422 too_long #/note';
CREATE INDEX indicator_code ON indicator (code COLLATE "C", id);
CREATE INDEX indicator_created ON indicator (created_at, id);
CREATE INDEX indicator_programme ON indicator (programme_id, pillar);

DO $do$ BEGIN PERFORM protect_definition('indicator', 'programme_id', 'indicators:write'); END $do$;
GRANT SELECT, INSERT ON indicator TO tiendo_service;
GRANT UPDATE (pillar, name, text, unit, kind, direction, aggregation, time_aggregation, frequency, categories, source_required,
  baseline, document, note, version, updated_at) ON indicator TO tiendo_service;

CREATE FUNCTION indicator_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT p.root_id, p.scope_key INTO STRICT new.root_id, new.scope_key FROM programme p WHERE p.id = new.programme_id;
  RETURN new;
END $$;
CREATE TRIGGER indicator_place BEFORE INSERT ON indicator FOR EACH ROW EXECUTE FUNCTION indicator_place();

-- The visible indicator a reference names, or NULL.
CREATE FUNCTION indicator_id(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE ids uuid[];
BEGIN
  IF is_uuid(ref) THEN
    RETURN (SELECT i.id FROM indicator i WHERE i.id = ref::uuid);
  END IF;
  ids := ARRAY(SELECT i.id FROM indicator i WHERE i.root_id = me_root() AND i.code = ref);
  IF cardinality(ids) = 0 THEN
    ids := ARRAY(SELECT i.id FROM indicator i WHERE i.code = ref);
  END IF;
  RETURN CASE WHEN cardinality(ids) = 1 THEN ids[1] END;
END $$;
CREATE FUNCTION path_indicator(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := indicator_id(ref);
BEGIN
  IF found_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN found_id;
END $$;
CREATE FUNCTION filter_indicator(ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := indicator_id(ref);
BEGIN
  IF found_id IS NULL THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such indicator'));
  END IF;
  RETURN found_id;
END $$;

CREATE FUNCTION indicator_json(i indicator) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT i.id, i.code, (SELECT p.code FROM programme p WHERE p.id = i.programme_id) AS programme, i.pillar, i.name, i.text,
      i.unit, i.kind, i.direction, i.aggregation, i.time_aggregation, i.frequency, i.categories, i.source_required,
      i.baseline, i.document, i.note, i.version, tstz(i.created_at) AS created_at, tstz(i.updated_at) AS updated_at) r);
END $$;

-- Categories as a body gives them: none is NULL.
CREATE FUNCTION text_list(list jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN jsonb_typeof(list) = 'array' AND jsonb_array_length(list) > 0
    THEN ARRAY(SELECT jsonb_array_elements_text(list)) END $$;
CREATE FUNCTION indicator_faults(programme uuid, body jsonb) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  PERFORM refuse(
    CASE WHEN body ->> 'pillar' IS NOT NULL AND NOT EXISTS
        (SELECT FROM programme_pillar x WHERE x.programme_id = programme AND x.code = body ->> 'pillar')
      THEN fault('#/pillar', 'unknown_reference', 'the programme has no such pillar') END,
    (SELECT fault('#/categories', 'repeated', 'a category is named twice')
       FROM jsonb_array_elements_text(coalesce(nullif(body -> 'categories', 'null'), '[]')) c GROUP BY c HAVING count(*) > 1 LIMIT 1),
    (SELECT fault('#/categories/' || (n - 1), 'too_long', 'a category has 1 to 200 characters')
       FROM jsonb_array_elements_text(coalesce(nullif(body -> 'categories', 'null'), '[]')) WITH ORDINALITY x(c, n)
       WHERE length(c) NOT BETWEEN 1 AND 200 LIMIT 1));
END $$;

CREATE FUNCTION indicator_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  p programme;
  made indicator;
BEGIN
  SELECT * INTO p FROM programme x WHERE x.id = (SELECT programme_id(body ->> 'programme'));
  IF NOT FOUND THEN PERFORM refuse(fault('#/programme', 'unknown_reference', 'no such programme')); END IF;
  PERFORM indicator_faults(p.id, body);
  IF NOT may_write(p.id, p.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('Indicators of %s are defined by the managers of %s or by a mandate to define.',
      p.code, p.scope_code));
  END IF;
  INSERT INTO indicator (id, programme_id, code, pillar, name, text, unit, kind, direction, aggregation, time_aggregation,
    frequency, categories, source_required, baseline, document, note)
  VALUES (new_id, p.id, body ->> 'code', body ->> 'pillar', body ->> 'name', body ->> 'text', body ->> 'unit', body ->> 'kind',
    body ->> 'direction', body ->> 'aggregation', coalesce(body ->> 'time_aggregation', 'last'), body ->> 'frequency',
    text_list(body -> 'categories'), coalesce((body ->> 'source_required')::boolean, false),
    trim_scale((body ->> 'baseline')::numeric), body ->> 'document', body ->> 'note')
  RETURNING * INTO made;
  body_out := indicator_json(made);
  PERFORM journal('create', 'indicator', made.id, made.version, made.scope_key, NULL, body_out::jsonb, request_id, p.id);
  RETURN QUERY SELECT 201, made.version::text, '/v1/indicators/' || made.id, body_out;
END $$;

-- Kind, frequency and categories can change only as long as no value stands in the way, kind and direction only as its targets allow.
CREATE FUNCTION indicator_in_use(i indicator, patch jsonb) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
  kept text[] := coalesce(text_list(patch -> 'categories'), '{""}');
  changed indicator := i;
BEGIN
  changed.kind := coalesce(patch ->> 'kind', i.kind);
  changed.direction := CASE WHEN patch ? 'direction' THEN patch ->> 'direction' ELSE i.direction END;
  IF (changed.kind, changed.direction) IS DISTINCT FROM (i.kind, i.direction) AND EXISTS (SELECT FROM target t
      WHERE t.indicator_id = i.id AND target_faults(changed, jsonb_build_object('comparator', t.comparator)) IS NOT NULL) THEN
    PERFORM refuse(fault(CASE WHEN changed.kind <> i.kind THEN '#/kind' ELSE '#/direction' END, 'contradiction',
      'it has targets whose comparator does not go with this'));
  END IF;
  IF (patch ->> 'kind' <> i.kind OR patch ->> 'frequency' <> i.frequency)
      AND EXISTS (SELECT FROM value v WHERE v.indicator_id = i.id) THEN
    PERFORM fail(409, 'indicator_in_use', NULL, 'Values have been entered for it.');
  END IF;
  IF patch ? 'categories' AND EXISTS (SELECT FROM value v WHERE v.indicator_id = i.id AND v.category <> ALL (kept)) THEN
    PERFORM fail(409, 'category_in_use', jsonb_build_array(fault('#/categories', 'category_in_use',
      'values have been entered for a category that would go')));
  END IF;
END $$;

CREATE FUNCTION indicator_update(ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  i indicator;
  was jsonb;
BEGIN
  SELECT * INTO i FROM indicator x WHERE x.id = (SELECT indicator_id(ref));
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT may_write(i.programme_id, i.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s is kept by the managers of its programme or by a mandate to define.', i.code));
  END IF;
  IF patch ?| ARRAY['kind', 'direction', 'frequency', 'categories'] THEN
    -- No value is entered and no target set meanwhile: both hold the same lock, shared, and read the indicator again under it.
    PERFORM pg_advisory_xact_lock(assignment_lock(i.id));
    SELECT * INTO i FROM indicator x WHERE x.id = i.id;
  END IF;
  PERFORM indicator_faults(i.programme_id, patch), indicator_in_use(i, patch);
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  was := indicator_json(i)::jsonb;
  UPDATE indicator x SET
    pillar = CASE WHEN patch ? 'pillar' THEN patch ->> 'pillar' ELSE x.pillar END,
    name = CASE WHEN patch ? 'name' THEN patch ->> 'name' ELSE x.name END,
    text = CASE WHEN patch ? 'text' THEN patch ->> 'text' ELSE x.text END,
    unit = CASE WHEN patch ? 'unit' THEN patch ->> 'unit' ELSE x.unit END,
    kind = CASE WHEN patch ? 'kind' THEN patch ->> 'kind' ELSE x.kind END,
    direction = CASE WHEN patch ? 'direction' THEN patch ->> 'direction' ELSE x.direction END,
    aggregation = CASE WHEN patch ? 'aggregation' THEN patch ->> 'aggregation' ELSE x.aggregation END,
    time_aggregation = CASE WHEN patch ? 'time_aggregation' THEN patch ->> 'time_aggregation' ELSE x.time_aggregation END,
    frequency = CASE WHEN patch ? 'frequency' THEN patch ->> 'frequency' ELSE x.frequency END,
    categories = CASE WHEN patch ? 'categories' THEN text_list(patch -> 'categories') ELSE x.categories END,
    source_required = CASE WHEN patch ? 'source_required' THEN (patch ->> 'source_required')::boolean ELSE x.source_required END,
    baseline = CASE WHEN patch ? 'baseline' THEN trim_scale((patch ->> 'baseline')::numeric) ELSE x.baseline END,
    document = CASE WHEN patch ? 'document' THEN patch ->> 'document' ELSE x.document END,
    note = CASE WHEN patch ? 'note' THEN patch ->> 'note' ELSE x.note END,
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = i.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO i;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  body_out := indicator_json(i);
  PERFORM journal('update', 'indicator', i.id, i.version, i.scope_key, was, body_out::jsonb, request_id, i.programme_id);
  RETURN QUERY SELECT 200, i.version::text, NULL::text, body_out;
END $$;

GRANT EXECUTE ON FUNCTION indicator_id(text), path_indicator(text), filter_indicator(text, text), indicator_json(indicator),
  text_list(jsonb), indicator_faults(uuid, jsonb), indicator_in_use(indicator, jsonb), indicator_create(uuid, jsonb, text),
  indicator_update(text, jsonb, text, text) TO tiendo_service;
