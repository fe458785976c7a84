-- Periods: calendar ones prepared for 2020 to 2035, and the phases of programmes. Both ends belong to a period.
SET search_path = tiendo, public;

CREATE TABLE period (
  id uuid PRIMARY KEY,
  code text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('week', 'month', 'quarter', 'half_year', 'nine_months', 'year', 'phase')),
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  programme_id uuid REFERENCES programme (id),
  name text CONSTRAINT period_name_length CHECK (length(name) BETWEEN 1 AND 500),
  CONSTRAINT period_dates CHECK (ends_on >= starts_on),
  CONSTRAINT period_code_taken UNIQUE NULLS NOT DISTINCT (code, programme_id),
  CHECK ((kind = 'phase') = (programme_id IS NOT NULL))
);
COMMENT ON CONSTRAINT period_dates ON period IS '422 ends_before_start #/phases';
COMMENT ON CONSTRAINT period_code_taken ON period IS '409 code_taken #/phases';
COMMENT ON CONSTRAINT period_name_length ON period IS '422 too_long #/phases';
CREATE INDEX period_start ON period (starts_on, id);
CREATE INDEX period_kind ON period (kind, starts_on, ends_on);

-- The id of a calendar period is the same everywhere: a UUIDv7 of its first day, filled up from its code.
CREATE FUNCTION period_uuid(code text, starts_on date) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM starts_on::timestamp) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3)
    || to_hex(8 + (('x' || substr(h, 4, 1))::bit(4)::int & 3)) || substr(h, 5, 15))::uuid
  FROM (SELECT encode(sha256(convert_to(code, 'UTF8')), 'hex') AS h) x $$;

INSERT INTO period (id, code, kind, starts_on, ends_on)
SELECT period_uuid(c.code, c.starts_on), c.code, c.kind, c.starts_on, c.ends_on
FROM generate_series(2020, 2035) y, LATERAL (
  SELECT y || '-A1', 'year', make_date(y, 1, 1), make_date(y, 12, 31)
  UNION ALL
  SELECT y || '-9M', 'nine_months', make_date(y, 1, 1), make_date(y, 9, 30)
  UNION ALL
  SELECT y || '-S' || n, 'half_year', make_date(y, 6 * n - 5, 1), (make_date(y, 6 * n, 1) + interval '1 month - 1 day')::date
  FROM generate_series(1, 2) n
  UNION ALL
  SELECT y || '-Q' || n, 'quarter', make_date(y, 3 * n - 2, 1), (make_date(y, 3 * n, 1) + interval '1 month - 1 day')::date
  FROM generate_series(1, 4) n
  UNION ALL
  SELECT y || '-M' || lpad(n::text, 2, '0'), 'month', make_date(y, n, 1), (make_date(y, n, 1) + interval '1 month - 1 day')::date
  FROM generate_series(1, 12) n
  UNION ALL
  SELECT to_char(d, 'IYYY"-W"IW'), 'week', d::date, d::date + 6
  FROM generate_series(date_trunc('week', make_date(y, 1, 4)::timestamp),
    date_trunc('week', make_date(y, 12, 28)::timestamp), interval '1 week') d
) c(code, kind, starts_on, ends_on);

ALTER TABLE period ENABLE ROW LEVEL SECURITY;
ALTER TABLE period FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON period TO tiendo_owner USING (true) WITH CHECK (true);
-- A phase is seen with its programme.
CREATE POLICY service_read ON period FOR SELECT TO tiendo_service
  USING (programme_id IS NULL OR EXISTS (SELECT FROM programme p WHERE p.id = programme_id));
CREATE POLICY service_insert ON period FOR INSERT TO tiendo_service
  WITH CHECK ((SELECT me_permission()) = 'programmes:write' AND programme_id IS NOT NULL
    AND EXISTS (SELECT FROM programme p WHERE p.id = programme_id AND may_write(p.id, p.scope_key)));
CREATE POLICY service_update ON period FOR UPDATE TO tiendo_service
  USING ((SELECT me_permission()) = 'programmes:write' AND programme_id IS NOT NULL
    AND EXISTS (SELECT FROM programme p WHERE p.id = programme_id AND may_write(p.id, p.scope_key)));
GRANT SELECT, INSERT ON period TO tiendo_service;
GRANT UPDATE (name, starts_on, ends_on) ON period TO tiendo_service;

-- Adds or changes phases of a programme (none is taken away): each becomes the period <programme code>.<phase code>.
CREATE FUNCTION programme_set_phases(p programme, phases jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- What counts for a period is judged by its days, so these stand once there are values.
  IF EXISTS (SELECT FROM jsonb_array_elements(phases) g JOIN period x ON x.programme_id = p.id AND x.code = p.code || '.' || (g ->> 'code')
      WHERE (x.starts_on, x.ends_on) <> ((g ->> 'starts_on')::date, (g ->> 'ends_on')::date)
        AND EXISTS (SELECT FROM value v WHERE v.period_id = x.id)) THEN
    PERFORM fail(409, 'period_in_use', jsonb_build_array(fault('#/phases', 'period_in_use', 'values have been entered for a phase whose dates would change')));
  END IF;
  UPDATE period x SET name = g ->> 'name', starts_on = (g ->> 'starts_on')::date, ends_on = (g ->> 'ends_on')::date
  FROM jsonb_array_elements(phases) g
  WHERE x.programme_id = p.id AND x.code = p.code || '.' || (g ->> 'code');
  INSERT INTO period (id, code, kind, starts_on, ends_on, programme_id, name)
  SELECT period_uuid(p.id::text || '.' || (g ->> 'code'), (g ->> 'starts_on')::date), p.code || '.' || (g ->> 'code'), 'phase',
    (g ->> 'starts_on')::date, (g ->> 'ends_on')::date, p.id, g ->> 'name'
  FROM jsonb_array_elements(phases) g
  WHERE NOT EXISTS (SELECT FROM period x WHERE x.programme_id = p.id AND x.code = p.code || '.' || (g ->> 'code'));
END $$;

-- The period a reference (id or code) names, or NULL.
CREATE FUNCTION period_id(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE ids uuid[];
BEGIN
  IF is_uuid(ref) THEN
    RETURN (SELECT p.id FROM period p WHERE p.id = ref::uuid);
  END IF;
  ids := ARRAY(SELECT p.id FROM period p WHERE p.code = ref);
  RETURN CASE WHEN cardinality(ids) = 1 THEN ids[1] END;
END $$;
CREATE FUNCTION filter_period(ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := period_id(ref);
BEGIN
  IF found_id IS NULL THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such period'));
  END IF;
  RETURN found_id;
END $$;
GRANT EXECUTE ON FUNCTION period_uuid(text, date), programme_set_phases(programme, jsonb), period_id(text), filter_period(text, text) TO tiendo_service;
