-- The formulas of progress, each by itself. All arithmetic is numeric; only what is answered is rounded: percentages and
-- other averages to four decimals, shares (achievement, pace, coverage) to six; numerators and denominators are exact.
-- Status bands and "deteriorating" follow the open-sdg progress methodology, itself after Eurostat; the rest is the
-- arithmetic of the programme documents. Plain SQL, so that all of it is inlined where it is used.
SET search_path = tiendo, public;

-- P = (v − b) / (T − b), in either direction; without a baseline v / T to increase and T / v to decrease. NULL where there is
-- no way to go (T = b: to be maintained) and nothing to divide by.
CREATE FUNCTION achievement(direction text, v numeric, b numeric, t numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN b IS NOT NULL THEN (v - b) / nullif(t - b, 0)
    WHEN direction = 'decrease' THEN t / nullif(v, 0)
    ELSE v / nullif(t, 0) END $$;

-- d = max(L − v, 0, v − U): how far a figure lies outside of its range.
CREATE FUNCTION range_distance(v numeric, low numeric, high numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT greatest(low - v, 0, v - high) $$;

-- Whether the target is met: ge at the (low) figure, le at the (high) one, a range when nothing is outside of it, a rank when it
-- is T or better.
CREATE FUNCTION target_met(comparator text, kind text, v numeric, t numeric, high numeric) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN comparator = 'range' THEN range_distance(v, t, high) = 0
    WHEN comparator IN ('le', 'rank') OR kind = 'rank' THEN v <= t
    ELSE v >= t END $$;

-- Share of the time from t0 to the due date that has passed on a day: none before t0, all after the due date.
CREATE FUNCTION elapsed(t0 date, due date, day date) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN day >= due THEN 1 WHEN day > t0 THEN (day - t0)::numeric / (due - t0) ELSE NULL END $$;

-- The required path E(t) = b + (T − b) · elapsed; without a baseline it is the figure whose achievement equals the elapsed share.
CREATE FUNCTION required_path(direction text, b numeric, t numeric, share numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN b IS NOT NULL THEN b + (t - b) * share
    WHEN direction = 'decrease' THEN t / nullif(share, 0)
    ELSE t * share END $$;

-- Whether an indicator's figures are percentages, and a point of them one hundredth.
CREATE FUNCTION in_percent(kind text, unit text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT kind = 'ratio' OR (kind = 'number' AND unit IN ('percent', '%')) $$;
-- Figures of several periods as one, by the indicator's time_aggregation; last has one period.
CREATE FUNCTION over_time(rule text, figures numeric[]) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE rule WHEN 'sum' THEN sum(f) WHEN 'min' THEN min(f) WHEN 'max' THEN max(f) ELSE avg(f) END FROM unnest(figures) f $$;
-- Moving away by two points or more, from the baseline or else from the period before. A point is one percentage point; of
-- what is not measured in percent, one hundredth of the target.
CREATE FUNCTION deteriorating(direction text, percentage boolean, v numeric, since numeric, t numeric) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE direction WHEN 'decrease' THEN v - since ELSE since - v END
    >= CASE WHEN percentage THEN 2 ELSE 0.02 * abs(t) END $$;

-- The status at a period's end. A target is missed when it is unmet, the period reaches its due date and that date has passed.
--   stepwise: rank, range and milestone know only achieved, not_achieved, missed and no_data.
--   pace: achievement over elapsed share; on track from 0.95, at risk from 0.60.
CREATE FUNCTION progress_status(stepwise boolean, maintain boolean, has_target boolean, reporting boolean, met boolean, due date, day date,
    today date, worse boolean, pace numeric) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN NOT reporting THEN 'no_data'
    WHEN NOT has_target OR met IS NULL THEN 'not_assessable'
    WHEN met THEN 'achieved'
    WHEN due <= day AND due < today THEN 'missed'
    WHEN stepwise THEN 'not_achieved'
    WHEN worse THEN 'deteriorating'
    WHEN maintain THEN 'off_track'
    WHEN pace IS NULL THEN 'not_assessable'
    WHEN pace >= 0.95 THEN 'on_track'
    WHEN pace >= 0.60 THEN 'at_risk'
    ELSE 'off_track' END $$;

-- Units reporting of units expected, those that are not applicable left out.
CREATE FUNCTION coverage_rate(expected bigint, reporting bigint, not_applicable bigint) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT trim_scale(round(reporting::numeric / nullif(expected - not_applicable, 0), 6)) $$;

DO $do$
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tiendo'::regnamespace AND p.proname IN ('achievement',
      'range_distance', 'target_met', 'elapsed', 'required_path', 'deteriorating', 'progress_status',
      'coverage_rate', 'in_percent', 'over_time') LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tiendo_service', f);
  END LOOP;
END $do$;
