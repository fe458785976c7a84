-- What makes a figure right, as expressions over the text a caller gave. PUT and import use the same ones; they are plain
-- SQL, of immutable parts alone, so that an import of 100,000 rows has them inlined into one statement. Each gives a fault's code, or NULL.
SET search_path = tiendo, public;

-- A decimal number of at most 15 significant digits, below 10^15 and no finer than 10^-15.
CREATE FUNCTION number_ok(t text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN length(t) < 16 AND t <> '' AND translate(t, '0123456789', '') = '' THEN t = '0' OR left(t, 1) <> '0' -- most of them, fast
    WHEN t !~ '^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?$' THEN false
    WHEN length(t) < 16 AND t !~ '[eE]' THEN true
    ELSE abs(t::numeric) < 1e15 AND min_scale(t::numeric) <= 15
      AND length(ltrim(translate(trim_scale(t::numeric)::text, '-.', ''), '0')) <= 15 END $$;
-- A calendar day, YYYY-MM-DD, from 1900 on.
CREATE FUNCTION day_ok(t text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN t !~ '^(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' THEN false
    WHEN right(t, 2) <= '28' THEN true
    ELSE right(t, 2)::int <= extract(day FROM make_date(left(t, 4)::int, substr(t, 6, 2)::int, 1) + interval '1 month - 1 day') END $$;

CREATE FUNCTION state_fault(state text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN state NOT IN ('reported', 'not_applicable') THEN 'enum' END $$;
CREATE FUNCTION numerator_fault(kind text, state text, numerator text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN state = 'not_applicable' OR kind <> 'ratio' THEN CASE WHEN numerator IS NOT NULL THEN 'not_expected' END
    WHEN numerator IS NULL THEN 'required'
    WHEN NOT number_ok(numerator) THEN 'number'
    WHEN numerator::numeric < 0 THEN 'too_small' END $$;
CREATE FUNCTION denominator_fault(kind text, state text, numerator text, denominator text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN state = 'not_applicable' OR kind <> 'ratio' THEN CASE WHEN denominator IS NOT NULL THEN 'not_expected' END
    WHEN denominator IS NULL THEN 'required'
    WHEN NOT number_ok(denominator) THEN 'number'
    WHEN denominator::numeric > 0 THEN NULL
    WHEN denominator::numeric < 0 THEN 'too_small'
    WHEN NOT number_ok(numerator) THEN NULL
    WHEN numerator::numeric <> 0 THEN 'too_small' END $$;
CREATE FUNCTION number_fault(kind text, state text, number text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN state = 'not_applicable' OR kind NOT IN ('number', 'rank') THEN CASE WHEN number IS NOT NULL THEN 'not_expected' END
    WHEN number IS NULL THEN 'required'
    WHEN NOT number_ok(number) THEN 'number'
    WHEN kind = 'rank' AND (number::numeric < 1 OR number::numeric <> trunc(number::numeric)) THEN 'positive_integer' END $$;
-- done_on says it is done; done = false says it is not.
CREATE FUNCTION done_fault(kind text, state text, done text, done_on text, ends_on date, today date) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN state = 'not_applicable' OR kind <> 'milestone' THEN CASE WHEN done_on IS NOT NULL OR done IS NOT NULL THEN 'not_expected' END
    WHEN done_on IS NULL THEN CASE WHEN done IS NULL OR done IN ('true', 't', '1') THEN 'required'
      WHEN done NOT IN ('false', 'f', '0') THEN 'boolean' END
    WHEN done IN ('false', 'f', '0') THEN 'contradiction'
    WHEN NOT day_ok(done_on) THEN 'date'
    WHEN make_date(left(done_on, 4)::int, substr(done_on, 6, 2)::int, right(done_on, 2)::int) > today THEN 'in_the_future'
    WHEN make_date(left(done_on, 4)::int, substr(done_on, 6, 2)::int, right(done_on, 2)::int) > ends_on THEN 'after_period' END $$;
CREATE FUNCTION evidence_fault(evidence_url text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN length(evidence_url) > 1000 THEN 'too_long' WHEN evidence_url !~ '^https?://[^[:space:]]+$' THEN 'uri' END $$;
CREATE FUNCTION source_fault(source_required boolean, state text, source text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN length(source) > 500 THEN 'too_long' WHEN source IS NULL AND source_required AND state = 'reported' THEN 'required' END $$;
CREATE FUNCTION category_fault(categories text[], category text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN categories IS NULL THEN CASE WHEN category <> '' THEN 'not_expected' END
    WHEN category = '' THEN 'required'
    WHEN category <> ALL (categories) THEN 'enum' END $$;
CREATE FUNCTION period_fault(frequency text, programme uuid, period_kind text, period_programme uuid, starts_on date, today date)
  RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN period_kind <> frequency OR period_programme <> programme THEN 'wrong_period_kind'
    WHEN starts_on > today THEN 'period_not_begun' END $$;
-- An assignment that names a source takes nothing from another.
CREATE FUNCTION source_refusal(source text, assigned_client uuid, client uuid) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN source = 'client' AND client IS DISTINCT FROM assigned_client THEN 'source_is_client'
    WHEN source = 'hand' AND client IS NOT NULL THEN 'source_is_hand' END $$;

-- What a fault's code means, for errors[].detail.
CREATE FUNCTION value_fault_text(code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE code
    WHEN 'required' THEN 'this is needed here'
    WHEN 'not_expected' THEN 'this does not go with the indicator''s kind or with the state'
    WHEN 'number' THEN 'a number of at most 15 significant digits'
    WHEN 'too_small' THEN 'at least 0, and a denominator of 0 only under a numerator of 0'
    WHEN 'positive_integer' THEN 'a rank is a whole number from 1 on'
    WHEN 'boolean' THEN 'true or false'
    WHEN 'contradiction' THEN 'not done, and a day it was done on'
    WHEN 'date' THEN 'a calendar day, YYYY-MM-DD'
    WHEN 'in_the_future' THEN 'the day lies in the future'
    WHEN 'after_period' THEN 'the day lies after the period'
    WHEN 'enum' THEN 'not one of the values this takes'
    WHEN 'uri' THEN 'an http or https address'
    WHEN 'too_long' THEN 'too long'
    WHEN 'unknown_reference' THEN 'no such resource, or not visible'
    WHEN 'ambiguous_reference' THEN 'it names several'
    WHEN 'wrong_period_kind' THEN 'the indicator is not reported for periods of this kind'
    WHEN 'period_not_begun' THEN 'the period has not begun'
    WHEN 'not_assigned' THEN 'the indicator is not assigned to the unit in this period'
    WHEN 'forbidden' THEN 'you do not enter for this unit'
    WHEN 'source_is_client' THEN 'these values come from a connected system'
    WHEN 'source_is_hand' THEN 'these values are entered by hand'
    WHEN 'repeated' THEN 'an earlier row has the same indicator, unit, period and category'
    WHEN 'already_exists' THEN 'there is a value already'
    WHEN 'not_found' THEN 'there is no value'
    WHEN 'version_conflict' THEN 'the value has another version now'
    ELSE code END $$;
-- One entry of errors[] of that code, or NULL.
CREATE FUNCTION value_fault(pointer text, code text) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN code IS NOT NULL THEN
    CASE WHEN pointer LIKE '#%' THEN jsonb_build_object('pointer', pointer, 'code', code, 'detail', value_fault_text(code))
      ELSE jsonb_build_object('parameter', pointer, 'code', code, 'detail', value_fault_text(code)) END END $$;

DO $do$
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tiendo'::regnamespace AND p.proname IN ('number_ok', 'day_ok',
      'state_fault', 'numerator_fault', 'denominator_fault', 'number_fault', 'done_fault', 'evidence_fault', 'source_fault',
      'category_fault', 'period_fault', 'source_refusal', 'value_fault_text', 'value_fault') LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tiendo_service', f);
  END LOOP;
END $do$;
