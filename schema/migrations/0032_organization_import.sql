-- Many units in one request, and the directory of a root. An import runs organization_create() and organization_update() row by row, parents
-- before those below them and neighbours by code, so that the order of the rows decides nothing; a row that is refused leaves no trace.
SET search_path = tiendo, public;

-- ---- many units at once ------------------------------------------------------------------------------------
-- The closure of units that are new and have nothing below them follows from their parents' alone: no need to ask for their line anew.
-- False when one of them is not of that sort, or does not stand rightly: then all is worked out, and told, as for any span.
CREATE FUNCTION closure_of_leaves(units uuid[]) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE unit uuid;
BEGIN
  FOREACH unit IN ARRAY units LOOP
    IF EXISTS (SELECT FROM organization_closure c WHERE c.descendant_id = unit)
        OR EXISTS (SELECT FROM organization_span s WHERE s.parent_id = unit)
        OR EXISTS (SELECT FROM organization_span s JOIN organization_closure c ON c.descendant_id = s.parent_id AND c.validity && s.validity
          WHERE s.organization_id = unit AND c.depth > 10)
        OR EXISTS (SELECT FROM organization_span s WHERE s.organization_id = unit AND s.parent_id IS NOT NULL
          AND NOT coalesce((SELECT range_agg(p.validity) FROM organization_span p WHERE p.organization_id = s.parent_id) @> s.validity, false)) THEN
      RETURN false;
    END IF;
  END LOOP;
  INSERT INTO organization_closure (ancestor_id, descendant_id, depth, validity, scope_key)
  SELECT x.a, x.d, x.depth, unnest(x.days), x.scope_key FROM (
    SELECT s.organization_id AS a, s.organization_id AS d, 0 AS depth, range_agg(s.validity) AS days, min(s.scope_key) AS scope_key
    FROM organization_span s WHERE s.organization_id = ANY (units) GROUP BY s.organization_id
    UNION ALL
    SELECT c.ancestor_id, s.organization_id, c.depth + 1, range_agg(c.validity * s.validity), min(s.scope_key)
    FROM organization_span s JOIN organization_closure c ON c.descendant_id = s.parent_id AND c.validity && s.validity
    WHERE s.organization_id = ANY (units) GROUP BY 1, 2, 3) x;
  RETURN true;
END $$;
CREATE OR REPLACE FUNCTION span_written(units uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_user = 'tiendo_owner' AND current_setting('tiendo.reorganizing', true) = 'on' THEN RETURN; END IF;
  IF closure_of_leaves(units) THEN RETURN; END IF;
  PERFORM closure_refresh(units), orphans_refuse(units, '#/valid_to');
END $$;
-- In one statement, so that a unit with a past is new when its closure is asked for.
CREATE OR REPLACE FUNCTION organization_spell(unit organization, former jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  f jsonb;
  n int := 0;
  since date := unit.valid_from;
  days daterange[] := '{}';
  names text[] := '{}';
  kinds text[] := '{}';
BEGIN
  FOR f IN SELECT x FROM jsonb_array_elements(coalesce(nullif(former, 'null'), '[]')) x ORDER BY x ->> 'valid_to' LOOP
    IF (f ->> 'valid_to')::date < since OR (f ->> 'valid_to')::date >= coalesce(unit.valid_to, 'infinity') THEN
      PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/former/' || n || '/valid_to', 'out_of_range',
        'a former name ends between the unit''s first day and its last')));
    END IF;
    days := days || daterange(since, (f ->> 'valid_to')::date, '[]');
    names := names || (f ->> 'name');
    kinds := kinds || coalesce(f ->> 'kind', unit.kind);
    since := (f ->> 'valid_to')::date + 1;
    n := n + 1;
  END LOOP;
  INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
  SELECT unit.id, unit.scope_key, s.validity, s.name, s.kind, unit.parent_id
  FROM unnest(days || daterange(since, unit.valid_to, '[]'), names || unit.name, kinds || unit.kind) s(validity, name, kind);
END $$;
-- (plpgsql: an SQL function that does not inline is planned at every call.)
CREATE OR REPLACE FUNCTION organization_kind_faults(body jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(fault(k.pointer, 'unknown_reference', 'no such organization kind')), '[]')
    FROM (SELECT '#/kind' AS pointer, body ->> 'kind' AS kind
          UNION ALL
          SELECT '#/former/' || (n - 1) || '/kind', f ->> 'kind'
          FROM jsonb_array_elements(coalesce(nullif(body -> 'former', 'null'), '[]')) WITH ORDINALITY x(f, n)) k
    WHERE k.kind IS NOT NULL AND NOT EXISTS (SELECT FROM organization_kind o WHERE o.code = k.kind));
END $$;

-- The assignments that a span brings with it; an import of many units settles them once, at its end.
CREATE OR REPLACE FUNCTION assignment_span() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE a record;
BEGIN
  IF 'on' IN (current_setting('tiendo.reorganizing', true), current_setting('tiendo.importing', true)) THEN RETURN NULL; END IF;
  PERFORM pg_advisory_xact_lock_shared(assignment_lock_all());
  FOR a IN SELECT x.indicator_id, s.scope_key FROM made s JOIN assignment x ON x.kind = s.kind
      UNION SELECT u.indicator_id, s.scope_key FROM made s JOIN assignment_unit u ON u.scope_key = s.scope_key
      ORDER BY 1, 2 LOOP
    PERFORM assignment_expand(a.indicator_id, a.scope_key, a.scope_key || '~');
  END LOOP;
  RETURN NULL;
END $$;
CREATE FUNCTION organization_import_assign(units uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(assignment_lock_all()), assignment_settle(units);
END $$;

CREATE FUNCTION organization_import_begin() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE TEMP TABLE import_row (row int, line int, id uuid, code text, name text, kind text, parent text, attached text, made_up text,
    note text, area_code text, identifiers text, former text, valid_from text, valid_to text, version text, faults jsonb) ON COMMIT DROP;
  CREATE TEMP TABLE import_item (row int PRIMARY KEY, line int, code text, outcome text, faults jsonb, old jsonb, new jsonb) ON COMMIT DROP;
  CREATE INDEX import_item_code ON import_item (code);
END $$;

-- A cell that holds a list: JSON, as an export writes it, or NULL where it is none. Identifiers may be short, scheme:value with | between them.
CREATE FUNCTION import_list(text text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE WHEN jsonb_typeof(text::jsonb) = 'array' THEN text::jsonb END;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN RETURN NULL;
END $$;
CREATE FUNCTION import_day(value jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN coalesce(value, 'null') = 'null' OR (jsonb_typeof(value) = 'string' AND value #>> '{}' ~ '^\d{4}-\d\d-\d\d$'
    AND (value #>> '{}')::date IS NOT NULL);
EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format THEN RETURN false;
END $$;
CREATE FUNCTION import_identifiers(cell text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE list jsonb;
BEGIN
  IF btrim(cell) LIKE '[%' THEN
    list := import_list(cell);
  ELSE
    list := (SELECT jsonb_agg(jsonb_build_object('scheme', split_part(i, ':', 1), 'value', substring(i FROM ':(.*)$')))
      FROM (SELECT btrim(x) AS i FROM regexp_split_to_table(cell, '\|') x) y);
  END IF;
  IF list IS NULL OR jsonb_array_length(list) > 20 OR EXISTS (SELECT FROM jsonb_array_elements(list) i
      WHERE jsonb_typeof(i) <> 'object' OR NOT coalesce(i ->> 'scheme' ~ '^[a-z][a-z0-9_-]{1,31}$', false)
        OR NOT coalesce(length(i ->> 'value') BETWEEN 1 AND 64, false) OR NOT import_day(i -> 'valid_from') OR NOT import_day(i -> 'valid_to')) THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/identifiers', 'format',
      'scheme:value, several parted by |, or a JSON array of {scheme, value, valid_from, valid_to}, at most 20')));
  END IF;
  RETURN list;
END $$;
CREATE FUNCTION import_former(cell text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE list jsonb := import_list(cell);
BEGIN
  IF list IS NULL OR jsonb_array_length(list) > 20 OR EXISTS (SELECT FROM jsonb_array_elements(list) f
      WHERE jsonb_typeof(f) <> 'object' OR NOT coalesce(length(f ->> 'name') BETWEEN 1 AND 300, false)
        OR jsonb_typeof(f -> 'valid_to') IS DISTINCT FROM 'string' OR NOT import_day(f -> 'valid_to')) THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/former', 'format', 'a JSON array of {name, kind, valid_to}, at most 20')));
  END IF;
  RETURN list;
END $$;

-- Identifiers as compared: the same however they were written down.
CREATE FUNCTION import_same_identifiers(given jsonb, held jsonb, since date) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  WITH g AS (SELECT i ->> 'scheme' AS s, i ->> 'value' AS v, coalesce(i ->> 'valid_from', since::text) AS f, i ->> 'valid_to' AS t
      FROM jsonb_array_elements(given) i),
    h AS (SELECT i ->> 'scheme', i ->> 'value', i ->> 'valid_from', i ->> 'valid_to' FROM jsonb_array_elements(held) i)
  SELECT NOT EXISTS ((TABLE g EXCEPT TABLE h) UNION ALL (TABLE h EXCEPT TABLE g)) $$;
CREATE FUNCTION import_same_former(given jsonb, held jsonb, kind text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  WITH g AS (SELECT f ->> 'name' AS n, coalesce(f ->> 'kind', kind) AS k, f ->> 'valid_to' AS t FROM jsonb_array_elements(given) f),
    h AS (SELECT f ->> 'name', f ->> 'kind', f ->> 'valid_to' FROM jsonb_array_elements(held) f)
  SELECT NOT EXISTS ((TABLE g EXCEPT TABLE h) UNION ALL (TABLE h EXCEPT TABLE g)) $$;

-- What a row asks of a unit that is there: the body of a PATCH. What a correction cannot change is a fault where it differs.
CREATE FUNCTION organization_import_patch(unit organization, given jsonb, parent uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  area text := area_code_on(unit.identifiers, today());
  held jsonb := unit.identifiers::jsonb;
  ids jsonb := given -> 'identifiers';
  patch jsonb := '{}';
  faults jsonb := (SELECT jsonb_agg(fault('#/' || x.member, 'read_only', 'kinds, parents, days and former names change by a reorganization'))
    FROM (VALUES ('kind', given ->> 'kind' <> unit.kind), ('parent', given ? 'parent' AND parent IS DISTINCT FROM unit.parent_id),
        ('valid_from', (given ->> 'valid_from')::date <> unit.valid_from),
        ('valid_to', (given ->> 'valid_to')::date IS DISTINCT FROM unit.valid_to AND given ? 'valid_to'),
        ('former', given ? 'former' AND NOT import_same_former(given -> 'former', unit.former::jsonb, unit.kind))) x(member, differs)
    WHERE x.differs);
BEGIN
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
  IF given ->> 'name' <> unit.name THEN patch := patch || jsonb_build_object('name', given ->> 'name'); END IF;
  IF given ->> 'note' IS DISTINCT FROM unit.note AND given ? 'note' THEN patch := patch || jsonb_build_object('note', given ->> 'note'); END IF;
  IF (given ->> 'attached')::boolean <> unit.attached THEN patch := patch || jsonb_build_object('attached', (given ->> 'attached')::boolean); END IF;
  IF (given ->> 'made_up')::boolean <> unit.made_up THEN patch := patch || jsonb_build_object('made_up', (given ->> 'made_up')::boolean); END IF;
  IF ids IS NOT NULL THEN
    -- identifiers without a statistics code leave the area as it is
    IF NOT jsonb_path_exists(ids, '$[*] ? (@.scheme == "statistics")') THEN
      ids := ids || jsonb_path_query_array(held, '$[*] ? (@.scheme == "statistics")');
    END IF;
    IF NOT import_same_identifiers(ids, held, unit.valid_from) THEN patch := patch || jsonb_build_object('identifiers', ids); END IF;
  END IF;
  IF given ->> 'area_code' IS DISTINCT FROM area AND given ? 'area_code'
      AND NOT coalesce(ids @> jsonb_build_array(jsonb_build_object('scheme', 'statistics', 'value', given ->> 'area_code')), false) THEN
    patch := patch || jsonb_build_object('area_code', given ->> 'area_code');
  END IF;
  RETURN patch;
END $$;

-- The members of a unit's answer that a row has too: those named.
CREATE FUNCTION organization_import_shown(answer jsonb, members text[]) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN (SELECT jsonb_object_agg(m, CASE WHEN m = 'parent' THEN answer -> 'parent' -> 'code' ELSE answer -> m END) FROM unnest(members) m);
END $$;

-- Takes one row in; a row that is refused fails.
CREATE FUNCTION organization_import_row(new_id uuid, given jsonb, strategy text, request_id text, OUT outcome text, OUT old jsonb, OUT new jsonb)
  LANGUAGE plpgsql AS $$
DECLARE
  parent organization;
  unit organization;
  body jsonb := given - 'version';
  patch jsonb;
BEGIN
  IF given ? 'parent' THEN
    SELECT * INTO parent FROM organization o WHERE o.id = (SELECT organization_id(given ->> 'parent'));
    IF NOT FOUND THEN
      PERFORM fail(422, 'invalid', jsonb_build_array(CASE WHEN EXISTS (SELECT FROM import_item i WHERE i.code = given ->> 'parent' AND i.outcome = 'failed')
        THEN fault('#/parent', 'parent_failed', 'the row of the parent is faulty') ELSE fault('#/parent', 'unknown_reference', 'no such organization') END));
    END IF;
    SELECT * INTO unit FROM organization o WHERE o.root_id = parent.root_id AND o.code = given ->> 'code';
  ELSE
    SELECT * INTO unit FROM organization o WHERE o.id = (SELECT organization_id(given ->> 'code'));
  END IF;
  IF given ? 'identifiers' THEN body := body || jsonb_build_object('identifiers', import_identifiers(given ->> 'identifiers')); END IF;
  IF given ? 'former' THEN body := body || jsonb_build_object('former', import_former(given ->> 'former')); END IF;
  IF unit.id IS NULL THEN
    IF strategy = 'update' THEN PERFORM fail(404, 'not_found', jsonb_build_array(fault('#/code', 'not_found', 'there is no unit of this code'))); END IF;
    IF given ? 'version' THEN PERFORM fail(412, 'version_conflict', jsonb_build_array(fault('#/version', 'version_conflict', 'there is no unit of this code'))); END IF;
    IF NOT given ?& '{name,kind,parent}' THEN
      PERFORM fail(422, 'invalid', (SELECT jsonb_agg(fault('#/' || m, 'required', 'a new unit needs it')) FROM unnest('{name,kind,parent}'::text[]) m WHERE NOT given ? m));
    END IF;
    IF body -> 'identifiers' @> jsonb_build_array(jsonb_build_object('scheme', 'statistics', 'value', body ->> 'area_code')) THEN
      body := body - 'area_code';
    END IF;
    SELECT c.body_out INTO STRICT new FROM organization_create(new_id, body, request_id) c;
    outcome := 'create';
    new := organization_import_shown(new, '{name,kind,parent,attached,made_up,note,area_code,identifiers,valid_from,valid_to}');
    RETURN;
  END IF;
  IF strategy = 'create' THEN PERFORM fail(409, 'code_taken', jsonb_build_array(fault('#/code', 'already_exists', 'there is a unit of this code already'))); END IF;
  IF given ->> 'version' <> unit.version::text THEN
    PERFORM fail(412, 'version_conflict', jsonb_build_array(fault('#/version', 'version_conflict', format('the unit''s version is %s', unit.version))));
  END IF;
  patch := organization_import_patch(unit, body, parent.id);
  IF patch = '{}' THEN
    outcome := 'unchanged';
    RETURN;
  END IF;
  old := organization_json(unit);
  SELECT u.body_out INTO STRICT new FROM organization_update(unit.id::text, patch, unit.version::text, request_id) u;
  outcome := 'update';
  old := organization_import_shown(old, ARRAY(SELECT jsonb_object_keys(patch)));
  new := organization_import_shown(new, ARRAY(SELECT jsonb_object_keys(patch)));
END $$;

-- What an error says of its row: the faults it carries, or those its constraint's comment names; NULL where it is none of the row's.
CREATE FUNCTION import_row_faults(state text, message text, detail text, hint text, con text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE note text[];
BEGIN
  IF state LIKE 'TD4%' THEN
    RETURN CASE WHEN detail LIKE '[%' THEN detail::jsonb
      ELSE jsonb_build_array(fault('#', message, coalesce(nullif(hint, ''), message))) END;
  ELSIF state LIKE '23%' THEN
    SELECT regexp_match(obj_description(c.oid, 'pg_constraint'), '^(\d+) (\S+) (#\S*)$') INTO note
    FROM pg_constraint c WHERE c.conname = con AND c.connamespace = 'tiendo'::regnamespace;
    RETURN CASE WHEN note IS NOT NULL THEN jsonb_build_array(fault(note[3], note[2], CASE note[2]
      WHEN 'code_taken' THEN 'a unit of the same root has this code' WHEN 'identifier_taken' THEN 'a unit of the same root has one of these identifiers'
      WHEN 'repeated' THEN 'two of them overlap' WHEN 'username_taken' THEN 'another account has this username'
      WHEN 'already_granted' THEN 'the account has this grant already' WHEN 'ends_before_start' THEN 'it would end before it starts'
      WHEN 'too_long' THEN 'too long' WHEN 'one_line' THEN 'one line, trimmed, of visible characters'
      ELSE replace(note[2], '_', ' ') END)) END;
  END IF;
  RETURN NULL;
END $$;

-- The rows in the order in which they are taken: how many rows of the file stand above each. A row outside of it repeats an earlier code
-- (level -1) or has no way up (level -2).
CREATE FUNCTION organization_import_order() RETURNS TABLE (item int, level int) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH RECURSIVE named AS (
    SELECT r.row, r.code, p.code AS above, row_number() OVER (PARTITION BY r.code ORDER BY r.row) AS nth
    FROM import_row r LEFT JOIN (SELECT DISTINCT code FROM import_row) p ON p.code = r.parent
  ), walk AS (
    SELECT n.row, n.code, 0 AS level FROM named n WHERE n.above IS NULL AND (n.nth = 1 OR n.code IS NULL)
    UNION ALL
    SELECT n.row, n.code, w.level + 1 FROM walk w JOIN named n ON n.above = w.code AND n.nth = 1
  )
  SELECT n.row, coalesce(w.level, CASE WHEN n.nth > 1 THEN -1 ELSE -2 END) FROM named n LEFT JOIN walk w ON w.row = n.row;
END $$;

-- (Tables that were empty when a plan was made are not read through as they grow.)
CREATE FUNCTION organization_import_rows(strategy text, request_id text) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  r record;
  done record;
  wrong jsonb;
  state text; message text; detail text; hint text; con text;
  many boolean := (SELECT count(*) > 200 FROM import_row);
BEGIN
  PERFORM set_config('tiendo.importing', CASE WHEN many THEN 'on' ELSE '' END, true);
  FOR r IN SELECT i.row, i.line, i.id, i.code, i.faults, o.level,
        jsonb_strip_nulls(to_jsonb(i) || jsonb_build_object('version', nullif(btrim(i.version), ''))) - '{row,line,id,faults}'::text[] AS given
      FROM import_row i JOIN organization_import_order() o ON o.item = i.row
      ORDER BY o.level, i.code COLLATE "C", i.row LOOP
    wrong := r.faults;
    IF wrong IS NULL AND r.level < 0 THEN
      wrong := jsonb_build_array(CASE r.level WHEN -1 THEN fault('#/code', 'repeated', 'an earlier row has the same code')
        ELSE fault('#/parent', 'cycle', 'the rows above it run in a circle') END);
    END IF;
    IF wrong IS NULL THEN
      BEGIN
        SELECT * INTO done FROM organization_import_row(r.id, r.given, strategy, request_id);
      EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
          hint = PG_EXCEPTION_HINT, con = CONSTRAINT_NAME;
        wrong := import_row_faults(state, message, detail, hint, con);
        IF wrong IS NULL THEN RAISE; END IF;
      END;
    END IF;
    IF wrong IS NULL THEN
      INSERT INTO import_item VALUES (r.row, r.line, r.code, done.outcome, NULL, done.old, done.new);
    ELSE
      INSERT INTO import_item VALUES (r.row, r.line, r.code, 'failed', wrong);
    END IF;
  END LOOP;
  IF many THEN
    PERFORM set_config('tiendo.importing', '', true),
      organization_import_assign(ARRAY(SELECT x.id FROM import_row x JOIN import_item i ON i.row = x.row WHERE i.outcome = 'create'));
  END IF;
END $$;

-- The whole import, after organization_import_begin() and the COPY. Of a dry run, and where the status is not 200, the service keeps nothing.
CREATE FUNCTION organization_import(p_mode text, p_strategy text, p_dry_run boolean, p_request_id text)
  RETURNS TABLE (status int, body text) LANGUAGE plpgsql AS $$
DECLARE
  n record;
  refused boolean;
  errors jsonb;
  changes jsonb := '[]';
BEGIN
  PERFORM organization_import_rows(p_strategy, p_request_id);
  SELECT count(*) AS rows, count(*) FILTER (WHERE i.outcome = 'create') AS creates, count(*) FILTER (WHERE i.outcome = 'update') AS updates,
      count(*) FILTER (WHERE i.outcome = 'unchanged') AS unchanged, count(*) FILTER (WHERE i.outcome = 'failed') AS failed,
      coalesce(sum(jsonb_array_length(i.faults)), 0) AS faults
    INTO n FROM import_item i;
  refused := p_mode = 'atomic' AND n.failed > 0;
  errors := (SELECT coalesce(jsonb_agg(jsonb_build_object('row', e.row, 'line', e.line) || e.fault ORDER BY e.row, e.nth), '[]')
    FROM (SELECT i.row, i.line, f.fault, f.nth FROM import_item i, jsonb_array_elements(i.faults) WITH ORDINALITY f(fault, nth)
      ORDER BY i.row, f.nth LIMIT 1000) e);
  IF NOT refused THEN
    changes := (SELECT coalesce(jsonb_agg(jsonb_build_object('row', c.row, 'code', c.code, 'old', c.old, 'new', c.new) ORDER BY c.row), '[]')
      FROM (SELECT * FROM import_item i WHERE i.outcome IN ('create', 'update') ORDER BY i.row LIMIT 1000) c);
  END IF;
  RETURN QUERY SELECT CASE WHEN refused THEN 422 ELSE 200 END, json_build_object('dry_run', p_dry_run, 'mode', p_mode, 'strategy', p_strategy,
    'rows', n.rows, 'created', CASE WHEN refused THEN 0 ELSE n.creates END, 'updated', CASE WHEN refused THEN 0 ELSE n.updates END,
    'unchanged', n.unchanged, 'failed', n.failed, 'errors', errors, 'errors_truncated', n.faults > jsonb_array_length(errors),
    'changes', changes, 'changes_truncated', NOT refused AND n.creates + n.updates > jsonb_array_length(changes))::text;
END $$;

-- ---- the directory -----------------------------------------------------------------------------------------
-- Code, name and kind of every unit below the caller's own root, and the codes of those that took its place: this much of it is everybody's.
-- Views of the owner, so that they see more than the caller; barriers, so that a condition sees no row of another root. Their own order is
-- that of the index and of the list.
CREATE INDEX organization_directory ON organization (root_id, code COLLATE "C");
CREATE FUNCTION successor_codes(unit uuid) RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT coalesce(array_agg(s.code::text ORDER BY s.code COLLATE "C"), '{}')
    FROM organization_lineage l JOIN organization s ON s.id = l.successor_id
    WHERE l.predecessor_id = unit AND s.root_id = me_root());
END $$;
CREATE VIEW directory WITH (security_barrier) AS
  SELECT o.code::text COLLATE "C" AS code, o.name, o.kind, successor_codes(o.id) AS successors
  FROM organization o WHERE o.root_id = (SELECT me_root())
  ORDER BY o.code COLLATE "C";
-- The same by days: a row for each stretch in which name and kind stood still. (OFFSET 0: looked up unit by unit, in the order of the codes.)
CREATE VIEW directory_span WITH (security_barrier) AS
  SELECT o.code::text COLLATE "C" AS code, s.name, s.kind, s.validity, successor_codes(o.id) AS successors
  FROM organization o CROSS JOIN LATERAL (SELECT x.name, x.kind, x.validity FROM organization_span x WHERE x.organization_id = o.id OFFSET 0) s
  WHERE o.root_id = (SELECT me_root())
  ORDER BY o.code COLLATE "C";
-- Codes below the caller's root of units whose code and name, of a day where one is given, hold every word.
CREATE FUNCTION directory_search(q text, day date DEFAULT NULL) RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  conditions text := (SELECT string_agg(format('x.search LIKE %L', p), ' AND ') FROM unnest(search_patterns(q)) p);
  found text[];
BEGIN
  IF me_root() IS NULL OR conditions IS NULL THEN RETURN '{}'; END IF;
  IF day IS NULL THEN
    EXECUTE format('SELECT coalesce(array_agg(x.code::text), ''{}'') FROM organization x WHERE %s AND x.root_id = %L', conditions, me_root()) INTO found;
  ELSE
    EXECUTE format('SELECT coalesce(array_agg(o.code::text), ''{}'') FROM organization_span x JOIN organization o ON o.id = x.organization_id
      WHERE %s AND x.validity @> %L::date AND o.root_id = %L', conditions, day, me_root()) INTO found;
  END IF;
  RETURN found;
END $$;

GRANT SELECT ON directory, directory_span TO tiendo_service;
GRANT EXECUTE ON FUNCTION closure_of_leaves(uuid[]), organization_import_assign(uuid[]), organization_import_begin(), import_list(text), import_day(jsonb), import_identifiers(text), import_former(text),
  import_same_identifiers(jsonb, jsonb, date), import_same_former(jsonb, jsonb, text), organization_import_patch(organization, jsonb, uuid),
  organization_import_shown(jsonb, text[]), organization_import_row(uuid, jsonb, text, text), import_row_faults(text, text, text, text, text),
  organization_import_order(), organization_import_rows(text, text), organization_import(text, text, boolean, text),
  successor_codes(uuid), directory_search(text, date) TO tiendo_service;
