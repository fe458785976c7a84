-- The steps of a reorganization. Each looks up what it names, is refused by faults that point to it, and writes spans from the
-- effective day on. All run as the owner, under the tree's lock, and see to what the caller may themselves.
SET search_path = tiendo, public;

-- Whether the caller may change this unit's place in the tree: by the scope it entered with, or by another grant of its own as a manager
-- (two roots are joined by who holds one in each). The installation's operator, whom nobody entered, may everything.
CREATE FUNCTION may_reorganize(key text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN me_grant() IS NULL OR key <@ write_scope() OR EXISTS (
    SELECT FROM access_grant g JOIN organization o ON o.id = g.organization_id
    WHERE g.account_id = me_account() AND g.role = 'manager' AND g.revoked_at IS NULL AND g.delegated_from IS NULL
      AND g.valid_from <= today() AND (g.valid_to IS NULL OR g.valid_to >= today()) AND key ^@ o.scope_key);
END $$;
-- The unit a step names, among those the caller sees or may reorganize; a code of its own root goes first. NULL: none, or several.
CREATE FUNCTION step_unit(ref text) RETURNS organization LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  o organization;
  others organization[];
BEGIN
  IF is_uuid(ref) THEN
    SELECT x.* INTO o FROM organization x WHERE x.id = ref::uuid;
  ELSE
    SELECT x.* INTO o FROM organization x WHERE x.code = ref AND x.root_id = me_root();
    IF NOT FOUND THEN
      others := ARRAY(SELECT x FROM organization x WHERE x.code = ref AND (x.scope_key <@ area() OR may_reorganize(x.scope_key)));
      IF cardinality(others) = 1 THEN o := others[1]; END IF;
    END IF;
  END IF;
  IF o.scope_key <@ area() OR may_reorganize(o.scope_key) THEN RETURN o; END IF;
  RETURN NULL;
END $$;
-- Changing a unit is a decision of who stands above it, on every day that it changes and today: a unit's past or future below others is
-- theirs. A root's is its own.
CREATE FUNCTION may_change(o organization, day date) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN may_reorganize(CASE WHEN length(o.scope_key) = 6 THEN o.scope_key ELSE left(o.scope_key, -6) END)
    AND NOT EXISTS (SELECT FROM organization_span s JOIN organization p ON p.id = s.parent_id
      WHERE s.organization_id = o.id AND s.validity && daterange(least(day, today()), NULL) AND NOT may_reorganize(p.scope_key));
END $$;
CREATE FUNCTION step_permitted(o organization, day date) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF NOT may_change(o, day) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s is reorganized by the managers of a unit above it.', o.code));
  END IF;
END $$;
-- Who takes over is changed as well, be it by what is given to it: by its own managers, or by those above it.
CREATE FUNCTION heir_permitted(o organization, day date) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF NOT may_reorganize(o.scope_key) THEN PERFORM step_permitted(o, day); END IF;
END $$;

-- ---- spans -------------------------------------------------------------------------------------------------
CREATE FUNCTION span_on(unit uuid, day date) RETURNS organization_span LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT s FROM organization_span s WHERE s.organization_id = unit AND s.validity @> day $$;
-- Lets one of a unit's spans begin on this day.
CREATE FUNCTION span_cut(unit uuid, day date) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE s organization_span := span_on(unit, day);
BEGIN
  IF lower(s.validity) = day THEN RETURN; END IF;
  UPDATE organization_span x SET validity = daterange(lower(s.validity), day) WHERE x.organization_id = unit AND x.validity = s.validity;
  INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id, reason)
  VALUES (unit, s.scope_key, daterange(day, upper(s.validity)), s.name, s.kind, s.parent_id, s.reason);
END $$;
-- Changes a name, kind or parent from a day until the next day on which it is known to have changed.
CREATE FUNCTION span_set(unit uuid, day date, what text, becomes text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  was text := to_jsonb(span_on(unit, day)) ->> what;
  until date;
BEGIN
  PERFORM span_cut(unit, day);
  SELECT min(lower(s.validity)) INTO until FROM organization_span s
  WHERE s.organization_id = unit AND lower(s.validity) > day AND to_jsonb(s) ->> what IS DISTINCT FROM was;
  UPDATE organization_span s SET name = CASE what WHEN 'name' THEN becomes ELSE s.name END,
    kind = CASE what WHEN 'kind' THEN becomes ELSE s.kind END,
    parent_id = CASE what WHEN 'parent_id' THEN becomes::uuid ELSE s.parent_id END
  WHERE s.organization_id = unit AND lower(s.validity) >= day AND lower(s.validity) < coalesce(until, 'infinity');
END $$;
-- Ends a unit: the day given is the first without it. Its identifiers end with it.
CREATE FUNCTION span_end(unit uuid, day date) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM span_cut(unit, day);
  DELETE FROM organization_span s WHERE s.organization_id = unit AND lower(s.validity) >= day;
  DELETE FROM organization_identifier i WHERE i.organization_id = unit AND coalesce(lower(i.validity), '-infinity') >= day;
  UPDATE organization_identifier i SET validity = i.validity * daterange(NULL, day) WHERE i.organization_id = unit AND i.validity @> day;
END $$;
-- The units directly below one on a day.
CREATE FUNCTION children_on(unit uuid, day date) RETURNS uuid[] LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(array_agg(s.organization_id ORDER BY s.scope_key), '{}') FROM organization_span s WHERE s.parent_id = unit AND s.validity @> day $$;

-- ---- the work of one decision ----------------------------------------------------------------------------------
-- What the steps hand on to one another.
CREATE TYPE reorganization_work AS (
  id uuid,
  day date,
  made_up boolean,
  touched uuid[],
  before jsonb,
  established uuid[],
  faulty text[],        -- codes that a refused step would have made: naming them is no second fault
  faults jsonb
);
-- Remembers a unit as it was before its first change.
CREATE FUNCTION work_touch(w reorganization_work, unit uuid) RETURNS reorganization_work LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF unit <> ALL (w.touched) THEN
    w.touched := w.touched || unit;
    w.before := w.before || jsonb_build_object(unit, unit_image(unit));
  END IF;
  RETURN w;
END $$;
CREATE FUNCTION work_fault(w reorganization_work, pointer text, code text, detail text) RETURNS reorganization_work
  LANGUAGE plpgsql IMMUTABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  w.faults := w.faults || fault(pointer, code, detail);
  RETURN w;
END $$;
-- Looks up a unit that must exist on the decision's day; its fault when it does not.
CREATE FUNCTION work_unit(w reorganization_work, ref text, pointer text, OUT o organization, OUT fault jsonb) RETURNS record
  LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE s organization_span;
BEGIN
  o := step_unit(ref);
  IF o.id IS NULL THEN
    IF ref <> ALL (w.faulty) THEN fault := fault(pointer, 'unknown_reference', 'no such organization'); END IF;
    RETURN;
  END IF;
  s := span_on(o.id, w.day);
  IF s.organization_id IS NULL THEN
    fault := fault(pointer, 'out_of_range', format('%s does not exist on %s', o.code, w.day));
    o := NULL;
  END IF;
END $$;

CREATE FUNCTION step_establish(w reorganization_work, step jsonb, at text) RETURNS reorganization_work LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  parent record;
  made organization;
  given jsonb := w.faults;
BEGIN
  parent := work_unit(w, step ->> 'parent', at || '/parent');
  IF parent.fault IS NOT NULL THEN w.faults := w.faults || parent.fault; END IF;
  IF NOT EXISTS (SELECT FROM organization_kind k WHERE k.code = step ->> 'unit_kind') THEN
    w := work_fault(w, at || '/unit_kind', 'unknown_reference', 'no such organization kind');
  END IF;
  IF (parent.o).id IS NOT NULL THEN
    IF NOT may_reorganize((parent.o).scope_key) THEN
      PERFORM fail(403, 'forbidden', NULL, format('Units below %s are set up by its own managers or by a mandate to define.', (parent.o).code));
    END IF;
    IF EXISTS (SELECT FROM organization o WHERE o.root_id = (parent.o).root_id AND o.code = step ->> 'code') THEN
      w := work_fault(w, at || '/code', 'code_taken', format('%s is taken', step ->> 'code'));
    END IF;
  END IF;
  IF w.faults <> given OR (parent.o).id IS NULL THEN
    w.faulty := w.faulty || (step ->> 'code');
    RETURN w;
  END IF;
  INSERT INTO organization (id, parent_id, code, name, kind, attached, made_up, note, valid_from)
  VALUES (uuid_v7(), (parent.o).id, step ->> 'code', step ->> 'name', step ->> 'unit_kind', coalesce((step ->> 'attached')::boolean, false),
    coalesce((step ->> 'made_up')::boolean, w.made_up), step ->> 'note', w.day)
  RETURNING * INTO made;
  INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
  VALUES (made.id, made.scope_key, daterange(w.day, NULL), made.name, made.kind, made.parent_id);
  PERFORM organization_identify(made, step);
  w.touched := w.touched || made.id;
  w.established := w.established || made.id;
  RETURN w;
END $$;

-- rename, change_kind and move: one of a unit's three properties.
CREATE FUNCTION step_change(w reorganization_work, step jsonb, at text) RETURNS reorganization_work LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  unit record := work_unit(w, step ->> 'organization', at || '/organization');
  parent record;
  given jsonb := w.faults;
  s organization_span;
BEGIN
  SELECT NULL::organization AS o, NULL::jsonb AS fault INTO parent;  -- a record has no fields before its first row
  IF unit.fault IS NOT NULL THEN w.faults := w.faults || unit.fault; END IF;
  IF step ->> 'kind' = 'move' THEN
    parent := work_unit(w, step ->> 'parent', at || '/parent');
    IF parent.fault IS NOT NULL THEN w.faults := w.faults || parent.fault; END IF;
    IF (parent.o).id IS NOT NULL AND NOT may_reorganize((parent.o).scope_key) THEN
      PERFORM fail(403, 'forbidden', NULL, format('Units below %s are set up by its own managers or by a mandate to define.', (parent.o).code));
    END IF;
  ELSIF step ? 'unit_kind' AND NOT EXISTS (SELECT FROM organization_kind k WHERE k.code = step ->> 'unit_kind') THEN
    w := work_fault(w, at || '/unit_kind', 'unknown_reference', 'no such organization kind');
  END IF;
  IF w.faults <> given OR (unit.o).id IS NULL OR (step ->> 'kind' = 'move' AND (parent.o).id IS NULL) THEN RETURN w; END IF;
  PERFORM step_permitted(unit.o, w.day);
  s := span_on((unit.o).id, w.day);
  IF (CASE step ->> 'kind' WHEN 'move' THEN s.parent_id = (parent.o).id WHEN 'rename' THEN s.name = step ->> 'name'
      ELSE s.kind = step ->> 'unit_kind' AND s.name = coalesce(step ->> 'name', s.name) END) THEN
    RETURN work_fault(w, at, 'unchanged', format('%s is so already', (unit.o).code));
  END IF;
  w := work_touch(w, (unit.o).id);
  IF step ->> 'kind' = 'move' THEN
    PERFORM span_set((unit.o).id, w.day, 'parent_id', (parent.o).id::text);
  ELSE
    IF step ? 'name' AND s.name <> step ->> 'name' THEN PERFORM span_set((unit.o).id, w.day, 'name', step ->> 'name'); END IF;
    IF step ? 'unit_kind' AND s.kind <> step ->> 'unit_kind' THEN PERFORM span_set((unit.o).id, w.day, 'kind', step ->> 'unit_kind'); END IF;
  END IF;
  RETURN w;
END $$;

-- Ends a unit for successors: what stands below it goes to the one given for each, if any.
CREATE FUNCTION work_end(w reorganization_work, unit organization, heirs uuid[], takes jsonb) RETURNS reorganization_work
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  child uuid;
BEGIN
  FOREACH child IN ARRAY children_on(unit.id, w.day) LOOP
    IF takes ? child::text AND (takes ->> child::text)::uuid <> child THEN
      w := work_touch(w, child);
      PERFORM span_set(child, w.day, 'parent_id', takes ->> child::text);
    END IF;
  END LOOP;
  w := work_touch(w, unit.id);
  IF unit.id <> ALL (heirs) THEN PERFORM span_end(unit.id, w.day); END IF;
  INSERT INTO organization_lineage (predecessor_id, successor_id, on_day, reorganization_id, made_up)
  SELECT unit.id, h, w.day, w.id, w.made_up FROM unnest(heirs) h WHERE h <> unit.id
  ON CONFLICT DO NOTHING;
  RETURN w;
END $$;

-- The units a list names, each of which must exist; fails softly like work_unit.
CREATE FUNCTION work_units(w reorganization_work, refs jsonb, pointer text, OUT ids uuid[], OUT faults jsonb, OUT whole boolean) RETURNS record
  LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  ref text; n bigint; unit record;
BEGIN
  ids := '{}'; faults := '[]'; whole := true;
  FOR ref, n IN SELECT x, o - 1 FROM jsonb_array_elements_text(coalesce(nullif(refs, 'null'), '[]')) WITH ORDINALITY y(x, o) LOOP
    unit := work_unit(w, ref, pointer || '/' || n);
    IF unit.fault IS NOT NULL THEN faults := faults || unit.fault; END IF;
    IF (unit.o).id IS NULL THEN
      whole := false;
    ELSIF (unit.o).id = ANY (ids) THEN
      faults := faults || fault(pointer || '/' || n, 'repeated', format('%s is named twice', (unit.o).code));
    ELSE
      ids := ids || (unit.o).id;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION step_merge(w reorganization_work, step jsonb, at text) RETURNS reorganization_work LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  parts record := work_units(w, step -> 'organizations', at || '/organizations');
  whole record := work_unit(w, step ->> 'into', at || '/into');
  given jsonb := w.faults;
  part uuid;
  o organization;
BEGIN
  w.faults := w.faults || parts.faults;
  IF whole.fault IS NOT NULL THEN w.faults := w.faults || whole.fault; END IF;
  IF (whole.o).id = ANY (parts.ids) THEN
    w := work_fault(w, at || '/into', 'repeated', format('%s would be merged into itself; it goes on, so leave it out of organizations', (whole.o).code));
  END IF;
  IF w.faults <> given OR NOT parts.whole OR (whole.o).id IS NULL THEN RETURN w; END IF;
  PERFORM heir_permitted(whole.o, w.day);
  FOREACH part IN ARRAY parts.ids LOOP
    SELECT * INTO STRICT o FROM organization x WHERE x.id = part;
    PERFORM step_permitted(o, w.day);
    w := work_end(w, o, ARRAY[(whole.o).id], (SELECT coalesce(jsonb_object_agg(c, (whole.o).id), '{}') FROM unnest(children_on(part, w.day)) c));
  END LOOP;
  w := work_touch(w, (whole.o).id);
  RETURN w;
END $$;

CREATE FUNCTION step_split(w reorganization_work, step jsonb, at text) RETURNS reorganization_work LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  whole record := work_unit(w, step ->> 'organization', at || '/organization');
  parts record := work_units(w, step -> 'successors', at || '/successors');
  given jsonb := w.faults;
  takes jsonb := '{}';
  below uuid[];
  c jsonb; n bigint; child record; heir record;
  part uuid;
BEGIN
  w.faults := w.faults || parts.faults;
  IF whole.fault IS NOT NULL THEN w.faults := w.faults || whole.fault; END IF;
  below := children_on((whole.o).id, w.day);
  FOR c, n IN SELECT x, y - 1 FROM jsonb_array_elements(coalesce(nullif(step -> 'children', 'null'), '[]')) WITH ORDINALITY z(x, y) LOOP
    child := work_unit(w, c ->> 'organization', format('%s/children/%s/organization', at, n));
    heir := work_unit(w, c ->> 'into', format('%s/children/%s/into', at, n));
    IF child.fault IS NOT NULL THEN w.faults := w.faults || child.fault;
    ELSIF (whole.o).id IS NOT NULL AND (child.o).id IS NOT NULL AND (child.o).id <> ALL (below) THEN
      w := work_fault(w, format('%s/children/%s/organization', at, n), 'out_of_range', format('%s is not directly below %s', (child.o).code, (whole.o).code));
    END IF;
    IF heir.fault IS NOT NULL THEN w.faults := w.faults || heir.fault;
    ELSIF parts.whole AND (heir.o).id IS NOT NULL AND (heir.o).id <> ALL (parts.ids) THEN
      w := work_fault(w, format('%s/children/%s/into', at, n), 'out_of_range', format('%s is none of those it is split into', (heir.o).code));
    END IF;
    IF (child.o).id IS NOT NULL AND (heir.o).id IS NOT NULL THEN takes := takes || jsonb_build_object((child.o).id, (heir.o).id); END IF;
  END LOOP;
  IF w.faults <> given OR NOT parts.whole OR (whole.o).id IS NULL THEN RETURN w; END IF;
  PERFORM step_permitted(whole.o, w.day);
  PERFORM heir_permitted(x, w.day) FROM organization x WHERE x.id = ANY (parts.ids) AND x.id <> (whole.o).id;
  FOREACH part IN ARRAY parts.ids LOOP
    w := work_touch(w, part);
  END LOOP;
  RETURN work_end(w, whole.o, parts.ids, takes);
END $$;

CREATE FUNCTION step_dissolve(w reorganization_work, step jsonb, at text) RETURNS reorganization_work LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  unit record := work_unit(w, step ->> 'organization', at || '/organization');
  heirs record := work_units(w, step -> 'successors', at || '/successors');
  given jsonb := w.faults;
  heir uuid;
BEGIN
  w.faults := w.faults || heirs.faults;
  IF unit.fault IS NOT NULL THEN w.faults := w.faults || unit.fault; END IF;
  IF (unit.o).id = ANY (heirs.ids) THEN
    w := work_fault(w, at || '/successors', 'repeated', format('%s would succeed itself', (unit.o).code));
  END IF;
  IF w.faults <> given OR NOT heirs.whole OR (unit.o).id IS NULL THEN RETURN w; END IF;
  PERFORM step_permitted(unit.o, w.day);
  PERFORM heir_permitted(x, w.day) FROM organization x WHERE x.id = ANY (heirs.ids);
  FOREACH heir IN ARRAY heirs.ids LOOP
    w := work_touch(w, heir);
  END LOOP;
  RETURN work_end(w, unit.o, heirs.ids, '{}');
END $$;

-- Which fields go with which kind of step.
CREATE FUNCTION step_fields(kind text, OUT needed text[], OUT taken text[]) LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  needed := CASE kind
    WHEN 'establish' THEN ARRAY['code', 'name', 'unit_kind', 'parent'] WHEN 'rename' THEN ARRAY['organization', 'name']
    WHEN 'change_kind' THEN ARRAY['organization', 'unit_kind'] WHEN 'move' THEN ARRAY['organization', 'parent']
    WHEN 'merge' THEN ARRAY['organizations', 'into'] WHEN 'split' THEN ARRAY['organization', 'successors'] ELSE ARRAY['organization'] END;
  taken := needed || 'kind'::text || CASE kind
    WHEN 'establish' THEN ARRAY['attached', 'made_up', 'identifiers', 'area_code', 'note'] WHEN 'change_kind' THEN ARRAY['name']
    WHEN 'split' THEN ARRAY['children'] WHEN 'dissolve' THEN ARRAY['successors'] ELSE '{}' END;
END $$;
CREATE FUNCTION step_shape(step jsonb, at text) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(jsonb_agg(x.f ORDER BY x.f ->> 'pointer'), '[]') FROM step_fields(step ->> 'kind') k, LATERAL (
    SELECT fault(at || '/' || n, 'required', format('a step of kind %s needs it', step ->> 'kind')) AS f FROM unnest(k.needed) n WHERE step ->> n IS NULL
    UNION ALL
    SELECT fault(at || '/' || n, 'unknown_field', format('a step of kind %s does not take it', step ->> 'kind')) FROM jsonb_object_keys(step) n
    WHERE n <> ALL (k.taken)) x $$;

-- All steps in their order; every fault of every step is collected before any is told.
CREATE FUNCTION reorganization_steps(w reorganization_work, steps jsonb) RETURNS reorganization_work LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  step jsonb; n bigint; at text;
BEGIN
  FOR step, n IN SELECT x, o - 1 FROM jsonb_array_elements(steps) WITH ORDINALITY y(x, o) LOOP
    at := '#/steps/' || n;
    IF step_shape(step, at) <> '[]' THEN
      w.faults := w.faults || step_shape(step, at);
      w.faulty := array_append(w.faulty, step ->> 'code');
      CONTINUE;
    END IF;
    w := CASE step ->> 'kind'
      WHEN 'establish' THEN step_establish(w, step, at)
      WHEN 'merge' THEN step_merge(w, step, at)
      WHEN 'split' THEN step_split(w, step, at)
      WHEN 'dissolve' THEN step_dissolve(w, step, at)
      ELSE step_change(w, step, at) END;
  END LOOP;
  IF jsonb_array_length(w.faults) > 0 THEN PERFORM fail(422, 'invalid', w.faults); END IF;
  RETURN w;
END $$;
