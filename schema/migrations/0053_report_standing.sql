-- Where reports stand: what is late, what was on time, which other duty's report stands for a period. Every list, matrix, rate, reminder
-- and task asks these functions, so that they cannot differ.
SET search_path = tiendo, public;

-- Late: the deadline has passed and no submission stands: nothing was sent yet, or the author took it back. What was sent and returned (or opened
-- again after approval) is open, not late: whether it came on time is the submission's to say. The deadline's own day is still in time; what has
-- no deadline is never late; what is waived or no longer owed is not either.
CREATE FUNCTION report_late(state text, due_on date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT state IN ('expected', 'draft') AND coalesce(due_on < tiendo.today(), false) $$;

-- On time: the first submission the author did not take back was sent not later than the deadline's day, by the calendar of Asia/Ho_Chi_Minh and by
-- the deadline as it stands now (an extension counts). A return does not make it late. NULL: nothing submitted; without a deadline always.
CREATE FUNCTION report_on_time(first_submitted_at timestamptz, due_on date) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN first_submitted_at IS NOT NULL THEN coalesce((first_submitted_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date <= due_on, true) END $$;

GRANT EXECUTE ON FUNCTION report_late(text, date), report_on_time(timestamptz, date) TO tiendo_service;
-- Received: by whom it is addressed to, or approved; where nobody is to accept it, submitted.
CREATE FUNCTION report_received(state text, acceptance text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT state IN ('received', 'approved') OR (acceptance = 'none' AND state = 'submitted') $$;

-- ---- what was asked for ------------------------------------------------------------------------------------
-- Duties named by codes or ids, or all in sight; of one programme, where one is named.
CREATE FUNCTION filter_duty_list(refs text[], parameter text, programme text DEFAULT NULL) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  named uuid[] := CASE WHEN refs IS NOT NULL THEN filter_report_duties(refs, parameter) END;
  wanted uuid := CASE WHEN programme IS NOT NULL THEN filter_programme(programme, 'programme') END;
BEGIN
  IF wanted IS NULL AND named IS NOT NULL THEN RETURN named; END IF;
  RETURN ARRAY(SELECT d.id FROM report_duty d WHERE (named IS NULL OR d.id = ANY (named)) AND (wanted IS NULL OR d.programme_id = wanted));
END $$;
-- The key of a unit in sight; of everything, where none is named.
CREATE FUNCTION filter_standing_key(unit text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE WHEN unit IS NULL THEN '' ELSE filter_key(unit, 'under') END;
END $$;
-- The periods asked for: this one, those named, those that end from one day to another; all that were said hold. With none of it those that end in
-- the present calendar year.
CREATE FUNCTION filter_standing_periods(one text, many text[], first_day date, last_day date) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  ids uuid[] := CASE WHEN many IS NOT NULL THEN filter_periods(many, 'period[in]') END;
  a date := first_day;
  b date := last_day;
BEGIN
  IF one IS NOT NULL THEN
    ids := CASE WHEN ids IS NULL OR filter_period(one, 'period') = ANY (ids) THEN ARRAY[filter_period(one, 'period')] ELSE '{}' END;
  ELSIF ids IS NULL AND a IS NULL AND b IS NULL THEN
    a := date_trunc('year', today()::timestamp)::date;
    b := (a + interval '1 year')::date - 1;
  END IF;
  IF a IS NULL AND b IS NULL THEN RETURN ids; END IF;
  RETURN ARRAY(SELECT p.id FROM period p WHERE (ids IS NULL OR p.id = ANY (ids)) AND (a IS NULL OR p.ends_on >= a) AND (b IS NULL OR p.ends_on <= b));
END $$;

-- Which of these periods are whose: those of a duty's own cadence, for a duty of one time any.
CREATE FUNCTION report_asked(duties uuid[], periods uuid[]) RETURNS TABLE (duty_id uuid, duty_code text, period_id uuid, period_code text, ends_on date)
  LANGUAGE plpgsql STABLE ROWS 12 AS $$
BEGIN
  RETURN QUERY SELECT d.id, d.code::text, p.id, p.code, p.ends_on FROM report_duty d JOIN period p ON p.kind = d.cadence OR d.cadence = 'once'
    WHERE d.id = ANY (duties) AND p.id = ANY (periods);
END $$;

-- ---- one report for two ------------------------------------------------------------------------------------
-- For which of these duties and periods another duty's report may stand, and through which duties (a unit must owe them all): report_stood_for()
-- without the units, and without looking at the tree.
CREATE FUNCTION report_stand_ins(p_duties uuid[], p_periods uuid[]) RETURNS TABLE (duty_id uuid, period_id uuid, day date, by_duty uuid, by_period uuid, owed uuid[])
  LANGUAGE plpgsql STABLE ROWS 4 AS $$
BEGIN
  RETURN QUERY
  WITH RECURSIVE step AS (
    SELECT s.for_duty_id AS first_duty, p.id AS first_period, p.ends_on, s.duty_id AS last_duty, y.id AS last_period, y.code AS last_code,
      ARRAY[s.for_duty_id] AS path
    FROM report_duty_stands_for s
      JOIN report_duty d ON d.id = s.for_duty_id
      JOIN period p ON p.kind = d.cadence AND p.programme_id IS NULL AND p.id = ANY (p_periods) AND period_part(p.code) = ANY (s.periods)
      JOIN report_duty x ON x.id = s.duty_id AND x.validity @> p.ends_on
      JOIN period y ON y.kind = x.cadence AND y.ends_on = p.ends_on AND y.programme_id IS NULL
    WHERE s.for_duty_id = ANY (p_duties)
    UNION ALL
    SELECT b.first_duty, b.first_period, b.ends_on, s.duty_id, y.id, y.code, b.path || b.last_duty
    FROM step b
      JOIN report_duty_stands_for s ON s.for_duty_id = b.last_duty AND period_part(b.last_code) = ANY (s.periods) AND s.duty_id <> ALL (b.path)
      JOIN report_duty x ON x.id = s.duty_id AND x.validity @> b.ends_on
      JOIN period y ON y.kind = x.cadence AND y.ends_on = b.ends_on AND y.programme_id IS NULL)
  SELECT b.first_duty, b.first_period, b.ends_on, b.last_duty, b.last_period, b.path FROM step b;
END $$;
-- Of these reports those whose units owe all of these duties for a period that ends on this day. Reads the tree of that day as the owner, for a
-- report may be seen by whom its unit is not; it tells nothing but which of the reports that the caller sees they are.
CREATE FUNCTION report_owing(reports uuid[], owed uuid[], day date) RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  units uuid[] := ARRAY(SELECT r.organization_id FROM report r WHERE r.id = ANY (reports) AND report_in_sight(r));
  d report_duty;
BEGIN
  FOR d IN SELECT x.* FROM report_duty x WHERE x.id = ANY (owed) LOOP
    units := ARRAY(SELECT w.organization_id FROM report_duty_owes(d, day, units) w);
  END LOOP;
  RETURN ARRAY(SELECT r.id FROM report r WHERE r.id = ANY (reports) AND r.organization_id = ANY (units));
END $$;

-- Name and kind of a unit out of sight, of which the caller sees a report.
CREATE FUNCTION report_unit(unit uuid) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('name', o.name, 'kind', o.kind) FROM organization o
    WHERE o.id = unit AND EXISTS (SELECT FROM report r WHERE r.organization_id = unit AND report_in_sight(r)));
END $$;

-- The reports, of those the caller sees, that stand for one of these duties in one of these periods: where the unit owes the duty, and has no report of
-- its own on it. Of several the nearest.
CREATE FUNCTION report_standing_in(p_duties uuid[], p_periods uuid[]) RETURNS TABLE (report_id uuid, duty_id uuid, period_code text, day date)
  LANGUAGE plpgsql STABLE ROWS 100 AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM report_duty_stands_for s WHERE s.for_duty_id = ANY (p_duties)) THEN RETURN; END IF;
  RETURN QUERY
  SELECT DISTINCT ON (s.duty_id, s.period_id, r.organization_id) r.id, s.duty_id, p.code, s.day
  FROM report_stand_ins(p_duties, p_periods) s
    JOIN period p ON p.id = s.period_id
    CROSS JOIN LATERAL unnest(report_owing(ARRAY(SELECT x.id FROM report x WHERE x.duty_id = s.by_duty AND x.period_id = s.by_period
      AND x.state <> 'withdrawn'), s.owed, s.day)) w
    JOIN report r ON r.id = w
  WHERE NOT EXISTS (SELECT FROM report x WHERE x.duty_id = s.duty_id AND x.period_id = s.period_id AND x.organization_id = r.organization_id
    AND x.state <> 'withdrawn')
  ORDER BY s.duty_id, s.period_id, r.organization_id, cardinality(s.owed), s.by_duty;
END $$;

-- What is gathered of a unit before its cells are written.
CREATE TYPE report_cell AS (duty_code text, period_code text, ends_on date, state text, due_on date, submitted_at timestamptz, first_submitted_at timestamptz,
  report_id uuid, version bigint, submissions int, return_requested boolean, by_duty uuid, by_period text);

GRANT EXECUTE ON FUNCTION report_received(text, text), filter_duty_list(text[], text, text), filter_standing_key(text),
  filter_standing_periods(text, text[], date, date), report_asked(uuid[], uuid[]),
  report_stand_ins(uuid[], uuid[]), report_owing(uuid[], uuid[], date), report_unit(uuid),
  report_standing_in(uuid[], uuid[]) TO tiendo_service;
