-- Writing organizations: one function an operation, everything in its one statement.
SET search_path = tiendo, public;

-- A unit as answered. Its parent is named even where it lies above the caller's scope.
CREATE FUNCTION organization_json(o organization) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT o.id, o.code, o.name, o.kind,
      CASE WHEN o.parent_id IS NOT NULL THEN organization_ref(o.parent_id) END AS parent,
      o.root_id, o.attached, o.made_up,
      (SELECT i ->> 'value' FROM json_array_elements(o.identifiers) i WHERE i ->> 'scheme' = 'statistics'
        AND i ->> 'valid_from' <= today()::text AND coalesce(i ->> 'valid_to', 'infinity') >= today()::text) AS area_code,
      o.identifiers, o.former, o.note, o.valid_from, o.valid_to,
      length(o.scope_key) / 6 - 1 AS depth, EXISTS (SELECT FROM organization c WHERE c.parent_id = o.id) AS has_children,
      o.version, tstz(o.created_at) AS created_at, tstz(o.updated_at) AS updated_at) r);
END $$;

-- Writes the identifiers a body gives: the list of (scheme, value, valid_from, valid_to) and area_code, the statistics code.
CREATE FUNCTION organization_identify(unit organization, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE faults jsonb;
BEGIN
  SELECT jsonb_agg(fault('#/identifiers/' || (n - 1) || '/valid_to', 'out_of_range', 'an identifier ends on or after its first day'))
    INTO faults FROM jsonb_array_elements(coalesce(nullif(body -> 'identifiers', 'null'), '[]')) WITH ORDINALITY x(i, n)
  WHERE (i ->> 'valid_to')::date < coalesce((i ->> 'valid_from')::date, unit.valid_from);
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
  INSERT INTO organization_identifier (organization_id, scope_key, scheme, value, validity)
  SELECT unit.id, unit.scope_key, i ->> 'scheme', i ->> 'value',
    daterange(coalesce((i ->> 'valid_from')::date, unit.valid_from), (i ->> 'valid_to')::date, '[]')
  FROM jsonb_array_elements(coalesce(nullif(body -> 'identifiers', 'null'), '[]')) i;
  IF body ->> 'area_code' IS NOT NULL THEN
    INSERT INTO organization_identifier (organization_id, scope_key, scheme, value, validity)
    VALUES (unit.id, unit.scope_key, 'statistics', body ->> 'area_code', daterange(unit.valid_from, unit.valid_to, '[]'));
  END IF;
END $$;

-- The stretches of a unit's past: each of former, oldest first, then today's.
CREATE FUNCTION organization_spell(unit organization, former jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  f jsonb;
  n int := 0;
  since date := unit.valid_from;
BEGIN
  FOR f IN SELECT x FROM jsonb_array_elements(coalesce(nullif(former, 'null'), '[]')) x ORDER BY x ->> 'valid_to' LOOP
    IF (f ->> 'valid_to')::date < since OR (f ->> 'valid_to')::date >= coalesce(unit.valid_to, 'infinity') THEN
      PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/former/' || n || '/valid_to', 'out_of_range',
        'a former name ends between the unit''s first day and its last')));
    END IF;
    INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
    VALUES (unit.id, unit.scope_key, daterange(since, (f ->> 'valid_to')::date, '[]'), f ->> 'name',
      coalesce(f ->> 'kind', unit.kind), unit.parent_id);
    since := (f ->> 'valid_to')::date + 1;
    n := n + 1;
  END LOOP;
  INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
  VALUES (unit.id, unit.scope_key, daterange(since, unit.valid_to, '[]'), unit.name, unit.kind, unit.parent_id);
END $$;

-- The kinds a body names must exist: every unknown one is a fault.
CREATE FUNCTION organization_kind_faults(body jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(jsonb_agg(fault(pointer, 'unknown_reference', 'no such organization kind')), '[]')
  FROM (SELECT '#/kind' AS pointer, body ->> 'kind' AS kind
        UNION ALL
        SELECT '#/former/' || (n - 1) || '/kind', f ->> 'kind'
        FROM jsonb_array_elements(coalesce(nullif(body -> 'former', 'null'), '[]')) WITH ORDINALITY x(f, n)) k
  WHERE k.kind IS NOT NULL AND NOT EXISTS (SELECT FROM organization_kind o WHERE o.code = k.kind) $$;

CREATE FUNCTION organization_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  parent organization;
  unit organization;
  faults jsonb := organization_kind_faults(body);
BEGIN
  SELECT * INTO parent FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'parent'));
  IF NOT FOUND THEN
    faults := faults || fault('#/parent', 'unknown_reference', 'no such organization');
  ELSIF parent.valid_to < coalesce((body ->> 'valid_from')::date, today())
      OR parent.valid_from > coalesce((body ->> 'valid_from')::date, today()) THEN
    faults := faults || fault('#/valid_from', 'out_of_range', format('the parent exists from %s to %s', parent.valid_from,
      coalesce(parent.valid_to::text, 'today and on')));
  END IF;
  IF jsonb_array_length(faults) > 0 THEN
    PERFORM fail(422, 'invalid', faults);
  END IF;
  IF NOT parent.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, format('Units below %s are set up by its own managers or by a mandate to define.', parent.code));
  END IF;
  IF length(parent.scope_key) >= 6 * 12 THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/parent', 'too_deep', 'the tree has at most twelve levels')));
  END IF;
  INSERT INTO organization (id, parent_id, code, name, kind, attached, made_up, note, valid_from, valid_to)
  VALUES (new_id, parent.id, body ->> 'code', body ->> 'name', body ->> 'kind', coalesce((body ->> 'attached')::boolean, false),
    coalesce((body ->> 'made_up')::boolean, false), body ->> 'note', coalesce((body ->> 'valid_from')::date, today()),
    (body ->> 'valid_to')::date)
  RETURNING * INTO unit;
  PERFORM organization_spell(unit, body -> 'former'), organization_identify(unit, body);
  SELECT * INTO unit FROM organization o WHERE o.id = new_id;
  body_out := organization_json(unit);
  PERFORM journal('create', 'organization', unit.id, unit.version, unit.scope_key, NULL, body_out::jsonb, request_id);
  RETURN QUERY SELECT 201, unit.version::text, '/v1/organizations/' || unit.id, body_out;
END $$;

-- Corrects a unit in place (a misspelt name, a note). What changes on a date is a reorganization, not a correction.
CREATE FUNCTION organization_update(ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  unit organization;
  old_json jsonb;
BEGIN
  SELECT * INTO unit FROM organization o WHERE o.id = (SELECT organization_id(ref));
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT unit.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s is kept by its managers or by a mandate to define.', unit.code));
  END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  old_json := organization_json(unit)::jsonb;
  UPDATE organization o SET
    name = CASE WHEN patch ? 'name' THEN patch ->> 'name' ELSE o.name END,
    attached = CASE WHEN patch ? 'attached' THEN (patch ->> 'attached')::boolean ELSE o.attached END,
    made_up = CASE WHEN patch ? 'made_up' THEN (patch ->> 'made_up')::boolean ELSE o.made_up END,
    note = CASE WHEN patch ? 'note' THEN patch ->> 'note' ELSE o.note END,
    version = o.version + 1, updated_at = clock_now()
  WHERE o.id = unit.id AND (if_match = '*' OR o.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO unit;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF patch ? 'name' THEN
    UPDATE organization_span s SET name = unit.name
    WHERE s.organization_id = unit.id AND s.validity @> least(today(), coalesce(unit.valid_to, today()));
  END IF;
  IF patch ? 'identifiers' OR patch ? 'area_code' THEN
    DELETE FROM organization_identifier i WHERE i.organization_id = unit.id
      AND (patch ? 'identifiers' OR i.scheme = 'statistics');
    PERFORM organization_identify(unit, patch);
    SELECT * INTO unit FROM organization o WHERE o.id = unit.id;
  END IF;
  body_out := organization_json(unit);
  PERFORM journal('update', 'organization', unit.id, unit.version, unit.scope_key, old_json, body_out::jsonb, request_id);
  RETURN QUERY SELECT 200, unit.version::text, NULL::text, body_out;
END $$;

CREATE FUNCTION ancestor_ids(unit uuid) RETURNS TABLE (id uuid, n int) LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
  SELECT a.id, length(a.scope_key) / 6 FROM organization o JOIN organization a ON a.scope_key = ANY (ancestor_keys(o.scope_key))
  WHERE o.id = unit AND o.scope_key <@ (SELECT area()) $$;
-- The names from the root down to a visible unit's parent.
CREATE FUNCTION organization_ancestors(unit uuid) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT json_build_object('items', coalesce(json_agg(organization_ref(a.id) ORDER BY a.n), '[]'))::text
  FROM ancestor_ids(unit) a $$;

-- The tree below a unit, depth levels down, in tree order, with how many lie below each.
CREATE FUNCTION organization_subtree(unit organization, levels int) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT json_build_object('items', coalesce(json_agg(json_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind,
      'parent', p.code, 'attached', o.attached, 'depth', (length(o.scope_key) - length(unit.scope_key)) / 6,
      'valid_from', o.valid_from, 'valid_to', o.valid_to, 'version', o.version) ORDER BY o.scope_key), '[]'),
    'truncated', EXISTS (SELECT FROM organization d WHERE d.scope_key > unit.scope_key AND d.scope_key < unit.scope_key || '~'
      AND length(d.scope_key) > length(unit.scope_key) + 6 * levels))::text
  FROM organization o LEFT JOIN organization p ON p.id = o.parent_id
  WHERE o.scope_key >= unit.scope_key AND o.scope_key < unit.scope_key || '~'
    AND length(o.scope_key) <= length(unit.scope_key) + 6 * levels $$;

GRANT EXECUTE ON FUNCTION organization_json(organization), organization_identify(organization, jsonb),
  organization_spell(organization, jsonb), organization_kind_faults(jsonb), organization_create(uuid, jsonb, text),
  organization_update(text, jsonb, text, text), organization_ancestors(uuid), ancestor_ids(uuid),
  organization_subtree(organization, int) TO tiendo_service;
