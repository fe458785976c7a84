-- Entering one value. In this order: 404 for what the path names, 403 for whom it is entered, 422 for what is entered,
-- 428 and 412 for what it replaces. The statement that writes makes the check.
SET search_path = tiendo, public;

-- 100 · numerator / denominator, to four decimals; none where there was nothing to count.
CREATE FUNCTION percent(numerator numeric, denominator numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN denominator <> 0 THEN trim_scale(round(100 * numerator / denominator, 4)) END $$;

CREATE FUNCTION value_json(v value) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT v.id, v.indicator_code AS indicator, v.organization_code AS organization, v.period_code AS period,
      nullif(v.category, '') AS category, v.numerator, v.denominator, v.number, percent(v.numerator, v.denominator) AS percent,
      v.done_on, v.state, 'entered' AS status, v.note, v.evidence_url, v.source, v.version AS revision, v.on_behalf,
      v.entered_by, v.version, tstz(v.updated_at) AS updated_at) r);
END $$;

CREATE FUNCTION url_encode(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(string_agg(CASE WHEN c ~ '[A-Za-z0-9._~-]' THEN c
    ELSE upper(regexp_replace(encode(convert_to(c, 'UTF8'), 'hex'), '(..)', '%\1', 'g')) END, '' ORDER BY n), '')
  FROM regexp_split_to_table(t, '') WITH ORDINALITY x(c, n) $$;

-- The assignment under which a unit reports on a day: its own, or else the fact that it lies beneath a total.
CREATE FUNCTION assignment_of(indicator uuid, key text, day date, OUT mode text, OUT entered_by text, OUT source text,
    OUT client_id uuid, OUT counted boolean) LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT u.mode, u.entered_by, u.source, u.client_id, u.counted INTO mode, entered_by, source, client_id, counted
  FROM assignment_unit u WHERE u.indicator_id = indicator AND u.scope_key = key AND u.validity @> day;
  IF mode IS NULL AND EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = indicator
      AND u.scope_key = ANY (ancestor_keys(key)) AND u.mode = 'total' AND u.validity @> day) THEN
    mode := 'beneath';
    counted := false;
  END IF;
END $$;

-- Every fault of a value's body, for its indicator and period.
CREATE FUNCTION value_body_faults(i indicator, ends_on date, b jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  s text := coalesce(b ->> 'state', 'reported');
  faults jsonb;
BEGIN
  SELECT jsonb_agg(value_fault(f.pointer, f.code)) INTO faults FROM (VALUES
    ('#/state', state_fault(s)),
    ('#/numerator', numerator_fault(i.kind, s, b ->> 'numerator')),
    ('#/denominator', denominator_fault(i.kind, s, b ->> 'numerator', b ->> 'denominator')),
    ('#/number', number_fault(i.kind, s, b ->> 'number')),
    ('#/done_on', done_fault(i.kind, s, b ->> 'done', b ->> 'done_on', ends_on, today())),
    ('#/evidence_url', evidence_fault(b ->> 'evidence_url')),
    ('#/source', source_fault(i.source_required, s, b ->> 'source'))) f(pointer, code)
  WHERE f.code IS NOT NULL;
  RETURN faults;
END $$;

-- The value a path names, or none.
CREATE FUNCTION value_at(i_ref text, o_ref text, p_ref text, p_category text) RETURNS SETOF value LANGUAGE plpgsql STABLE ROWS 1 AS $$
BEGIN
  RETURN QUERY SELECT v.* FROM value v
    WHERE v.indicator_id = indicator_id(i_ref) AND v.period_id = period_id(p_ref) AND v.scope_key = key_of(o_ref)
      AND v.category = coalesce(p_category, '');
END $$;

CREATE FUNCTION value_put(i_ref text, o_ref text, p_ref text, p_category text, body jsonb, if_match text, if_none_match text,
    new_id uuid, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  i indicator;
  o record;
  p record;
  a record;
  v value;
  cat text := coalesce(p_category, '');
  direct boolean;
  refusal text;
  faults jsonb;
BEGIN
  SELECT * INTO i FROM indicator x WHERE x.id = (SELECT indicator_id(i_ref));
  SELECT x.id, x.code, x.scope_key INTO o FROM organization x WHERE x.id = (SELECT organization_id(o_ref));
  SELECT x.id, x.code, x.kind, x.programme_id, x.starts_on, x.ends_on INTO p FROM period x WHERE x.id = (SELECT period_id(p_ref));
  IF i.id IS NULL OR o.id IS NULL OR p.id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  PERFORM pg_advisory_xact_lock_shared(assignment_lock(i.id)), set_config('tiendo.request', request_id, true);

  SELECT * INTO a FROM assignment_of(i.id, o.scope_key, p.ends_on);
  direct := may_write(i.programme_id, o.scope_key);
  IF NOT direct AND NOT (a.entered_by IS NOT DISTINCT FROM 'superior' AND o.scope_key <@ behalf_scope()) THEN
    PERFORM fail(403, 'forbidden', NULL, format('You do not enter %s for %s.', i.code, o.code));
  END IF;
  refusal := source_refusal(a.source, a.client_id, me_client());
  IF refusal IS NOT NULL THEN
    PERFORM fail(403, refusal, jsonb_build_array(value_fault('indicator', refusal)), value_fault_text(refusal));
  END IF;

  PERFORM refuse(VARIADIC ARRAY[
    value_fault('period', period_fault(i.frequency, i.programme_id, p.kind, p.programme_id, p.starts_on, today())),
    value_fault('category', category_fault(i.categories, cat)),
    CASE WHEN a.mode IS NULL THEN value_fault('organization', 'not_assigned') END]
    || ARRAY(SELECT jsonb_array_elements(value_body_faults(i, p.ends_on, body))));

  SELECT * INTO v FROM value x
  WHERE x.indicator_id = i.id AND x.period_id = p.id AND x.scope_key = o.scope_key AND x.category = cat;
  IF NOT FOUND THEN
    IF if_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
    IF if_none_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
    INSERT INTO value (id, indicator_id, organization_id, period_id, programme_id, scope_key, category, indicator_code,
      organization_code, period_code, state, counted, done, done_on, numerator, denominator, number, note, evidence_url, source,
      reason, on_behalf, entered_by, seat_id, account_id, client_id, grant_id, session_id)
    VALUES (new_id, i.id, o.id, p.id, i.programme_id, o.scope_key, cat, i.code, o.code, p.code, coalesce(body ->> 'state', 'reported'),
      a.counted, CASE WHEN body ->> 'done_on' IS NOT NULL THEN true ELSE (body ->> 'done')::boolean END, (body ->> 'done_on')::date,
      trim_scale((body ->> 'numerator')::numeric), trim_scale((body ->> 'denominator')::numeric),
      trim_scale((body ->> 'number')::numeric), body ->> 'note', body ->> 'evidence_url', body ->> 'source', body ->> 'reason',
      o.id <> me_seat(), (SELECT x.code FROM organization x WHERE x.id = (SELECT me_seat())), me_seat(), me_account(), me_client(),
      me_grant(), me_session())
    ON CONFLICT (indicator_id, period_id, scope_key, category) DO NOTHING
    RETURNING * INTO v;
    IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
    RETURN QUERY SELECT 201, v.version::text, '/v1/values/' || i.code || '/' || o.code || '/' || p.code
      || CASE WHEN cat <> '' THEN '?category=' || url_encode(cat) ELSE '' END, value_json(v);
    RETURN;
  END IF;
  IF if_none_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  IF if_match <> '*' AND if_match <> v.version::text THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF (v.state, v.done_on, v.done, v.numerator, v.denominator, v.number, v.note, v.evidence_url, v.source) IS DISTINCT FROM
      (coalesce(body ->> 'state', 'reported'), (body ->> 'done_on')::date,
       CASE WHEN body ->> 'done_on' IS NOT NULL THEN true ELSE (body ->> 'done')::boolean END, (body ->> 'numerator')::numeric,
       (body ->> 'denominator')::numeric, (body ->> 'number')::numeric, body ->> 'note', body ->> 'evidence_url', body ->> 'source') THEN
    UPDATE value x SET state = coalesce(body ->> 'state', 'reported'), counted = a.counted,
      done = CASE WHEN body ->> 'done_on' IS NOT NULL THEN true ELSE (body ->> 'done')::boolean END,
      done_on = (body ->> 'done_on')::date, numerator = trim_scale((body ->> 'numerator')::numeric),
      denominator = trim_scale((body ->> 'denominator')::numeric), number = trim_scale((body ->> 'number')::numeric),
      note = body ->> 'note', evidence_url = body ->> 'evidence_url', source = body ->> 'source', reason = body ->> 'reason',
      on_behalf = o.id <> me_seat(), entered_by = (SELECT y.code FROM organization y WHERE y.id = (SELECT me_seat())),
      seat_id = me_seat(), account_id = me_account(), client_id = me_client(), grant_id = me_grant(), session_id = me_session(),
      version = x.version + 1, updated_at = clock_now()
    WHERE x.id = v.id AND x.version = v.version
    RETURNING * INTO v;
    IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  END IF;
  RETURN QUERY SELECT 200, v.version::text, NULL::text, value_json(v);
END $$;

-- Filters that take several references.
CREATE FUNCTION filter_indicators(refs text[], parameter text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT filter_indicator(r, parameter) FROM unnest(refs) r);
END $$;
CREATE FUNCTION filter_periods(refs text[], parameter text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT filter_period(r, parameter) FROM unnest(refs) r);
END $$;

GRANT EXECUTE ON FUNCTION percent(numeric, numeric), value_json(value), url_encode(text), assignment_of(uuid, text, date),
  value_body_faults(indicator, date, jsonb), value_at(text, text, text, text),
  value_put(text, text, text, text, jsonb, text, text, uuid, text), filter_indicators(text[], text), filter_periods(text[], text)
  TO tiendo_service;
