-- Correcting a unit whose days are cut into several stretches.
SET search_path = tiendo, public;

-- A name is corrected for as long as the unit bore it without a break: before and after the day given, through moves and changes of kind.
CREATE FUNCTION span_correct(unit uuid, was text, becomes text, day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  since date; until date;
BEGIN
  SELECT max(upper(s.validity)) FILTER (WHERE upper(s.validity) <= day), min(lower(s.validity)) FILTER (WHERE lower(s.validity) > day)
    INTO since, until FROM organization_span s WHERE s.organization_id = unit AND s.name <> was;
  UPDATE organization_span s SET name = becomes
  WHERE s.organization_id = unit AND lower(s.validity) >= coalesce(since, '-infinity') AND lower(s.validity) < coalesce(until, 'infinity');
END $$;

-- Corrects a unit in place (a misspelt name, a note). What changes on a date is a reorganization, not a correction. A name is decided above
-- the unit, as a reorganization is.
CREATE OR REPLACE FUNCTION organization_update(ref text, patch jsonb, if_match text, request_id text)
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
  IF patch ->> 'name' <> unit.name AND NOT (CASE WHEN length(unit.scope_key) = 6 THEN unit.scope_key ELSE left(unit.scope_key, -6) END) <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, format('The name of %s is kept by the managers of a unit above it.', unit.code));
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
  IF patch ->> 'name' <> old_json ->> 'name' THEN
    PERFORM span_correct(unit.id, old_json ->> 'name', unit.name, greatest(least(today(), coalesce(unit.valid_to, today())), unit.valid_from));
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

GRANT EXECUTE ON FUNCTION span_correct(uuid, text, text, date) TO tiendo_service;
