-- Targets: what a unit is to reach in an indicator, from which baseline, and by when. A unit without a target of its
-- own is held to that of the nearest unit above it.
SET search_path = tiendo, public;

CREATE TABLE target (
  id uuid PRIMARY KEY,
  indicator_id uuid NOT NULL REFERENCES indicator (id),
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  starts_on date,
  baseline numeric,
  baseline_on date,
  comparator text NOT NULL CHECK (comparator IN ('ge', 'le', 'range', 'rank', 'milestone')),
  value numeric,
  stretch numeric,
  upper numeric,
  maintain boolean NOT NULL DEFAULT false,
  due_on date,
  note text CONSTRAINT target_note_length CHECK (length(note) <= 4000),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT target_value CHECK ((comparator = 'milestone') = (value IS NULL)),
  CONSTRAINT target_upper CHECK (CASE WHEN comparator = 'range' THEN upper IS NOT NULL AND upper >= value ELSE upper IS NULL END),
  CONSTRAINT target_stretch CHECK (stretch IS NULL OR (comparator = 'ge' AND stretch > value) OR (comparator = 'le' AND stretch < value)),
  CONSTRAINT target_rank CHECK (comparator <> 'rank' OR (value >= 1 AND value = trunc(value))),
  CONSTRAINT target_baseline CHECK (baseline IS NULL OR comparator IN ('ge', 'le')),
  CONSTRAINT target_due CHECK (due_on >= starts_on AND due_on >= baseline_on)
);
COMMENT ON CONSTRAINT target_value ON target IS '422 not_for_this_comparator #/value';
COMMENT ON CONSTRAINT target_upper ON target IS '422 not_for_this_comparator #/upper';
COMMENT ON CONSTRAINT target_stretch ON target IS '422 not_for_this_comparator #/stretch';
COMMENT ON CONSTRAINT target_rank ON target IS '422 out_of_range #/value';
COMMENT ON CONSTRAINT target_baseline ON target IS '422 not_for_this_comparator #/baseline';
COMMENT ON CONSTRAINT target_due ON target IS '422 ends_before_start #/due_on';
COMMENT ON CONSTRAINT target_note_length ON target IS '422 too_long #/note';
-- One target a unit and due date; the end of the range is the last, "no date".
CREATE UNIQUE INDEX target_taken ON target (indicator_id, organization_id, coalesce(due_on, 'infinity'));
CREATE INDEX target_key ON target (indicator_id, scope_key, id);

DO $do$ BEGIN PERFORM protect_definition('target', 'programme_id', 'indicators:write'); END $do$;
GRANT SELECT, INSERT ON target TO tiendo_service;
GRANT UPDATE (starts_on, baseline, baseline_on, value, stretch, upper, maintain, due_on, note, version, updated_at)
  ON target TO tiendo_service;

CREATE FUNCTION target_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT o.scope_key, o.code INTO STRICT new.scope_key, new.organization_code FROM organization o WHERE o.id = new.organization_id;
  SELECT i.programme_id INTO STRICT new.programme_id FROM indicator i WHERE i.id = new.indicator_id;
  RETURN new;
END $$;
CREATE TRIGGER target_place BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION target_place();

CREATE FUNCTION target_json(t target) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT t.id, (SELECT i.code FROM indicator i WHERE i.id = t.indicator_id) AS indicator, t.organization_code AS organization,
      t.starts_on, t.baseline, t.baseline_on, t.comparator, t.value, t.stretch, t.upper, t.maintain, t.due_on, t.note,
      t.version, tstz(t.created_at) AS created_at, tstz(t.updated_at) AS updated_at) r);
END $$;

-- Comparators go by the indicator's kind: a direction for figures, rank for ranks, milestone for milestones.
CREATE FUNCTION target_faults(i indicator, body jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN CASE i.kind
      WHEN 'milestone' THEN body ->> 'comparator' <> 'milestone'
      WHEN 'rank' THEN body ->> 'comparator' NOT IN ('rank', 'le')
      ELSE body ->> 'comparator' IN ('rank', 'milestone') OR body ->> 'comparator' = CASE i.direction WHEN 'increase' THEN 'le' ELSE 'ge' END
    END THEN fault('#/comparator', 'not_for_this_kind', format('not for an indicator of kind %s%s', i.kind,
      coalesce(' that is to ' || i.direction, ''))) END $$;

CREATE FUNCTION target_create(ref text, new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  i indicator := indicator_to_define(ref);
  unit organization;
  made target;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(assignment_lock(i.id));
  SELECT * INTO i FROM indicator x WHERE x.id = i.id;
  SELECT * INTO unit FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'organization'));
  PERFORM refuse(
    CASE WHEN unit.id IS NULL THEN fault('#/organization', 'unknown_reference', 'no such organization') END,
    target_faults(i, body));
  IF NOT may_write(i.programme_id, unit.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s lies outside of what you define.', unit.code));
  END IF;
  INSERT INTO target (id, indicator_id, organization_id, starts_on, baseline, baseline_on, comparator, value, stretch, upper,
    maintain, due_on, note)
  VALUES (new_id, i.id, unit.id, (body ->> 'starts_on')::date, trim_scale((body ->> 'baseline')::numeric),
    (body ->> 'baseline_on')::date, body ->> 'comparator', trim_scale((body ->> 'value')::numeric),
    trim_scale((body ->> 'stretch')::numeric), trim_scale((body ->> 'upper')::numeric),
    coalesce((body ->> 'maintain')::boolean, false), (body ->> 'due_on')::date, body ->> 'note')
  RETURNING * INTO made;
  body_out := target_json(made);
  PERFORM journal('create', 'target', made.id, made.version, made.scope_key, NULL, body_out::jsonb, request_id, made.programme_id);
  RETURN QUERY SELECT 201, made.version::text, '/v1/indicators/' || i.id || '/targets/' || made.id, body_out;
EXCEPTION WHEN unique_violation THEN
  PERFORM fail(409, 'target_taken', jsonb_build_array(fault('#/due_on', 'target_taken', 'the unit has a target for this date')));
END $$;

CREATE FUNCTION target_update(ref text, target_ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  t target;
  was jsonb;
BEGIN
  SELECT * INTO t FROM target x WHERE is_uuid(target_ref) AND x.id = target_ref::uuid AND x.indicator_id = indicator_id(ref);
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  PERFORM indicator_to_define(ref);
  IF NOT may_write(t.programme_id, t.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s lies outside of what you define.', t.organization_code));
  END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  was := target_json(t)::jsonb;
  UPDATE target x SET
    starts_on = CASE WHEN patch ? 'starts_on' THEN (patch ->> 'starts_on')::date ELSE x.starts_on END,
    baseline = CASE WHEN patch ? 'baseline' THEN trim_scale((patch ->> 'baseline')::numeric) ELSE x.baseline END,
    baseline_on = CASE WHEN patch ? 'baseline_on' THEN (patch ->> 'baseline_on')::date ELSE x.baseline_on END,
    value = CASE WHEN patch ? 'value' THEN trim_scale((patch ->> 'value')::numeric) ELSE x.value END,
    stretch = CASE WHEN patch ? 'stretch' THEN trim_scale((patch ->> 'stretch')::numeric) ELSE x.stretch END,
    upper = CASE WHEN patch ? 'upper' THEN trim_scale((patch ->> 'upper')::numeric) ELSE x.upper END,
    maintain = CASE WHEN patch ? 'maintain' THEN (patch ->> 'maintain')::boolean ELSE x.maintain END,
    due_on = CASE WHEN patch ? 'due_on' THEN (patch ->> 'due_on')::date ELSE x.due_on END,
    note = CASE WHEN patch ? 'note' THEN patch ->> 'note' ELSE x.note END,
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = t.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO t;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  body_out := target_json(t);
  PERFORM journal('update', 'target', t.id, t.version, t.scope_key, was, body_out::jsonb, request_id, t.programme_id);
  RETURN QUERY SELECT 200, t.version::text, NULL::text, body_out;
EXCEPTION WHEN unique_violation THEN
  PERFORM fail(409, 'target_taken', jsonb_build_array(fault('#/due_on', 'target_taken', 'the unit has a target for this date')));
END $$;

GRANT EXECUTE ON FUNCTION target_json(target), target_faults(indicator, jsonb), target_create(text, uuid, jsonb, text),
  target_update(text, text, jsonb, text, text) TO tiendo_service;
