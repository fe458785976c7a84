-- Entering one value. In this order: 404 for what the path names, 403 for whom it is entered, 422 for what is entered,
-- 428 and 412 for what it replaces. The statement that writes makes the check.
SET search_path = tiendo, public;

-- 100 · numerator / denominator, to four decimals and 15 significant digits; none where there was nothing to count.
CREATE FUNCTION percent(numerator numeric, denominator numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN denominator = 0 THEN NULL
    WHEN numerator < 1e9 * denominator THEN trim_scale(round(100 * numerator / denominator, 4))
    ELSE trim_scale(round(100 * numerator / denominator, 15 - length(trunc(100 * numerator / denominator)::text))) END $$;

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

-- Every fault of a value that is entered.
CREATE FUNCTION value_put_faults(i indicator, period_fault text, category text, assigned boolean, ends_on date, b jsonb) RETURNS jsonb[]
  LANGUAGE plpgsql STABLE AS $$
DECLARE s text := coalesce(b ->> 'state', 'reported');
BEGIN
  RETURN ARRAY[value_fault('period', period_fault), value_fault('category', category_fault(i.categories, category)),
    CASE WHEN NOT assigned THEN value_fault('organization', 'not_assigned') END, value_fault('#/state', state_fault(s)),
    value_fault('#/numerator', numerator_fault(i.kind, s, b ->> 'numerator')),
    value_fault('#/denominator', denominator_fault(i.kind, s, b ->> 'numerator', b ->> 'denominator')),
    value_fault('#/number', number_fault(i.kind, s, b ->> 'number')),
    value_fault('#/done_on', done_fault(i.kind, s, b ->> 'done', b ->> 'done_on', ends_on, today())),
    value_fault('#/evidence_url', evidence_fault(b ->> 'evidence_url')),
    value_fault('#/source', source_fault(i.source_required, s, b ->> 'source'))];
END $$;

-- The value a path names, or none.
CREATE FUNCTION value_at(i_ref text, o_ref text, p_ref text, p_category text) RETURNS SETOF value LANGUAGE plpgsql STABLE ROWS 1 AS $$
DECLARE
  i uuid := indicator_id(i_ref);
  p uuid := period_id(p_ref);
  key text := key_of(o_ref);
BEGIN
  RETURN QUERY SELECT v.* FROM value v
    WHERE v.indicator_id = i AND v.period_id = p AND v.scope_key = key AND v.category = coalesce(p_category, '');
END $$;

CREATE FUNCTION value_put(i_ref text, o_ref text, p_ref text, p_category text, body jsonb, if_match text, if_none_match text,
    new_id uuid, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  -- scalars where they will do: the type of a record is looked up anew at every call
  i indicator;
  v value;
  o_id uuid; o_code text; key text; o_from date; o_to date;
  p_id uuid; p_code text; p_kind text; p_programme uuid; p_start date; p_end date;
  a_mode text; a_entered_by text; a_source text; a_client uuid; a_counted boolean;
  root uuid := me_root();
  seat uuid := me_seat();
  seat_code text;
  cat text := coalesce(p_category, '');
  s text := coalesce(body ->> 'state', 'reported');
  n_done_on text := body ->> 'done_on'; n_num text := body ->> 'numerator'; n_den text := body ->> 'denominator'; n_number text := body ->> 'number';
  n_note text := body ->> 'note'; n_evidence text := body ->> 'evidence_url'; n_source text := body ->> 'source';
  n_done boolean;
  refusal text;
BEGIN
  SELECT * INTO i FROM indicator x WHERE x.root_id = root AND x.code = i_ref;
  IF NOT FOUND THEN SELECT * INTO i FROM indicator x WHERE x.id = (SELECT indicator_id(i_ref)); END IF;
  SELECT x.id, x.code, x.scope_key, x.valid_from, x.valid_to INTO o_id, o_code, key, o_from, o_to
  FROM organization x WHERE x.root_id = root AND x.code = o_ref;
  IF NOT FOUND THEN
    SELECT x.id, x.code, x.scope_key, x.valid_from, x.valid_to INTO o_id, o_code, key, o_from, o_to
    FROM organization x WHERE x.id = (SELECT organization_id(o_ref));
  END IF;
  SELECT x.id, x.code, x.kind, x.programme_id, x.starts_on, x.ends_on INTO p_id, p_code, p_kind, p_programme, p_start, p_end
  FROM period x WHERE x.code = p_ref AND x.programme_id IS NULL;
  IF NOT FOUND THEN
    SELECT x.id, x.code, x.kind, x.programme_id, x.starts_on, x.ends_on INTO p_id, p_code, p_kind, p_programme, p_start, p_end
    FROM period x WHERE x.id = (SELECT period_id(p_ref));
  END IF;
  IF i.id IS NULL OR o_id IS NULL OR p_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  PERFORM pg_advisory_xact_lock_shared(assignment_lock(i.id)), set_config('tiendo.request', request_id, true);
  IF (SELECT x.version FROM indicator x WHERE x.id = i.id) <> i.version THEN
    SELECT * INTO i FROM indicator x WHERE x.id = i.id;
  END IF;

  SELECT x.mode, x.entered_by, x.source, x.client_id, x.counted INTO a_mode, a_entered_by, a_source, a_client, a_counted
  FROM assignment_of(i.id, key, p_end) x;
  IF a_mode = 'beneath' AND (o_from > p_end OR o_to < p_end) THEN a_mode := NULL; END IF;
  IF NOT may_write(i.programme_id, key) AND NOT (a_entered_by IS NOT DISTINCT FROM 'superior' AND key <@ behalf_scope()) THEN
    PERFORM fail(403, 'forbidden', NULL, format('You do not enter %s for %s.', i.code, o_code));
  END IF;
  refusal := source_refusal(a_source, a_client, me_client());
  IF refusal IS NOT NULL THEN
    PERFORM fail(403, refusal, jsonb_build_array(value_fault('indicator', refusal)), value_fault_text(refusal));
  END IF;
  refusal := period_fault(i.frequency, i.programme_id, p_kind, p_programme, p_start, today());
  IF a_mode IS NULL OR coalesce(refusal, category_fault(i.categories, cat), state_fault(s), numerator_fault(i.kind, s, n_num),
      denominator_fault(i.kind, s, n_num, n_den), number_fault(i.kind, s, n_number),
      done_fault(i.kind, s, body ->> 'done', n_done_on, p_end, today()), evidence_fault(n_evidence),
      source_fault(i.source_required, s, n_source)) IS NOT NULL THEN
    PERFORM refuse(VARIADIC value_put_faults(i, refusal, cat, a_mode IS NOT NULL, p_end, body));
  END IF;
  n_done := CASE WHEN n_done_on IS NOT NULL THEN true ELSE (body ->> 'done')::boolean END;

  SELECT * INTO v FROM value x WHERE x.indicator_id = i.id AND x.period_id = p_id AND x.scope_key = key AND x.category = cat;
  IF NOT FOUND THEN
    IF if_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
    IF if_none_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
    SELECT x.code INTO seat_code FROM organization x WHERE x.id = seat;
    INSERT INTO value (id, indicator_id, organization_id, period_id, programme_id, scope_key, category, indicator_code,
      organization_code, period_code, state, counted, done, done_on, numerator, denominator, number, note, evidence_url, source,
      reason, on_behalf, entered_by, seat_id, account_id, client_id, grant_id, session_id, version)
    VALUES (new_id, i.id, o_id, p_id, i.programme_id, key, cat, i.code, o_code, p_code, s, a_counted, n_done, n_done_on::date,
      trim_scale(n_num::numeric), trim_scale(n_den::numeric), trim_scale(n_number::numeric), n_note, n_evidence, n_source,
      body ->> 'reason', o_id <> seat, seat_code, seat, me_account(), me_client(), me_grant(), me_session(),
      -- one that was deleted goes on where it ended, so that no version comes twice
      coalesce((SELECT max(r.version) FROM value_revision r WHERE r.indicator_id = i.id AND r.period_id = p_id AND r.scope_key = key
        AND r.category = cat AND r.state = 'deleted'), 0) + 1)
    ON CONFLICT (scope_key, indicator_id, period_id, category) DO NOTHING
    RETURNING * INTO v;
    IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
    status := 201; version := v.version;
    location := '/v1/values/' || i.code || '/' || o_code || '/' || p_code || CASE WHEN cat <> '' THEN '?category=' || url_encode(cat) ELSE '' END;
    body_out := value_json(v);
    RETURN NEXT;
    RETURN;
  END IF;
  IF if_none_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  IF if_match <> '*' AND v.version::text <> ALL (string_to_array(if_match, ',')) THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF (v.state, v.done_on, v.done, v.numerator, v.denominator, v.number, v.note, v.evidence_url, v.source) IS DISTINCT FROM
      (s, n_done_on::date, n_done, n_num::numeric, n_den::numeric, n_number::numeric, n_note, n_evidence, n_source) THEN
    SELECT x.code INTO seat_code FROM organization x WHERE x.id = seat;
    UPDATE value x SET state = s, counted = a_counted, done = n_done, done_on = n_done_on::date, numerator = trim_scale(n_num::numeric),
      denominator = trim_scale(n_den::numeric), number = trim_scale(n_number::numeric), note = n_note, evidence_url = n_evidence,
      source = n_source, reason = body ->> 'reason', on_behalf = o_id <> seat, entered_by = seat_code, seat_id = seat,
      account_id = me_account(), client_id = me_client(), grant_id = me_grant(), session_id = me_session(),
      version = x.version + 1, updated_at = clock_now()
    WHERE x.id = v.id AND x.version = v.version
    RETURNING * INTO v;
    IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  END IF;
  status := 200; version := v.version; body_out := value_json(v);
  RETURN NEXT;
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
  value_put_faults(indicator, text, text, boolean, date, jsonb), value_at(text, text, text, text),
  value_put(text, text, text, text, jsonb, text, text, uuid, text), filter_indicators(text[], text), filter_periods(text[], text)
  TO tiendo_service;
