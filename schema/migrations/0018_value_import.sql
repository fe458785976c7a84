-- Importing many values in one transaction. The service copies the rows, as text, into the temporary table import_row, with
-- what is wrong with a row's form in faults (a JSON array of {pointer, code, detail}). Everything else is a handful of
-- set-based statements: resolve what the rows name, judge every row by the rules of a single PUT, compare with what is
-- there, write what differs. Rows are written and locked in the order of their keys, so two imports never
-- wait for each other crosswise; rows that are equal to what is there are not touched.
SET search_path = tiendo, public;

CREATE FUNCTION value_import_begin() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE TEMP TABLE import_row (row int, line int, id uuid, indicator text, organization text, period text, category text,
    numerator text, denominator text, number text, done_on text, done text, state text, note text, evidence_url text,
    source text, reason text, version text, faults jsonb) ON COMMIT DROP;
END $$;

-- import_indicator, import_period and import_unit: what the rows name, each name once, as the caller sees it. A unit is named by
-- code, by id, or by an identifier, which means the unit that has it on the period's last day: where several do, the
-- Party committee among them; where that leaves several, none.
CREATE FUNCTION value_import_names(scheme text) RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
  CREATE TEMP TABLE import_indicator ON COMMIT DROP AS
    SELECT d.ref, i.id, i.code, i.kind, i.frequency, i.categories, i.source_required, i.programme_id
    FROM (SELECT DISTINCT r.indicator AS ref, lower(btrim(r.indicator)) AS id, btrim(r.indicator) AS code FROM import_row r) d
      LEFT JOIN (SELECT x.code::text AS code, (array_agg(x.id::text ORDER BY x.own DESC))[1] AS id
        FROM (SELECT y.code, y.id, y.root_id = (SELECT me_root()) AS own FROM indicator y) x
        GROUP BY 1 HAVING bool_or(x.own) OR count(*) = 1) n ON n.code = d.code
      LEFT JOIN indicator i ON i.id::text = coalesce(n.id, d.id);
  PERFORM pg_advisory_xact_lock_shared(l.key)
  FROM (SELECT assignment_lock(i.id) AS key FROM import_indicator i WHERE i.id IS NOT NULL ORDER BY 1) l;
  -- As they are now that nobody changes them.
  UPDATE import_indicator n SET kind = i.kind, frequency = i.frequency, categories = i.categories, source_required = i.source_required
  FROM indicator i WHERE i.id = n.id;
  CREATE TEMP TABLE import_period ON COMMIT DROP AS
    SELECT d.ref, p.id, p.code, p.kind, p.programme_id, p.starts_on, p.ends_on
    FROM (SELECT DISTINCT r.period AS ref, lower(btrim(r.period)) AS id, btrim(r.period) AS code FROM import_row r) d
      LEFT JOIN (SELECT x.code::text AS code, min(x.id::text) AS id FROM period x GROUP BY 1 HAVING count(*) = 1) n ON n.code = d.code
      LEFT JOIN period p ON p.id::text = coalesce(n.id, d.id);
  CREATE TEMP TABLE import_name (ref text, day date, id uuid, fault text) ON COMMIT DROP;
  IF scheme IN ('code', 'id') THEN
    INSERT INTO import_name (ref, day, id)
    SELECT d.ref, 'infinity', o.id
    FROM (SELECT DISTINCT r.organization AS ref FROM import_row r) d
      LEFT JOIN organization o ON scheme = 'code' AND o.root_id = (SELECT me_root()) AND o.code::text = btrim(d.ref);
    -- ids, and codes of other roots
    IF EXISTS (SELECT FROM import_name n WHERE n.id IS NULL AND n.ref IS NOT NULL) THEN
      UPDATE import_name n SET id = o.id FROM organization o WHERE n.id IS NULL AND o.id::text = lower(btrim(n.ref));
      UPDATE import_name n SET id = o.id
      FROM (SELECT x.code::text AS code, min(x.id::text)::uuid AS id FROM organization x GROUP BY 1 HAVING count(*) = 1) o
      WHERE n.id IS NULL AND scheme = 'code' AND o.code = btrim(n.ref);
    END IF;
  ELSE
    INSERT INTO import_name (ref, day, id, fault)
    SELECT d.ref, d.day,
      CASE WHEN count(o.id) = 1 THEN min(o.id::text)::uuid
        WHEN count(*) FILTER (WHERE o.kind LIKE '%party_committee') = 1
        THEN (min(o.id::text) FILTER (WHERE o.kind LIKE '%party_committee'))::uuid END,
      CASE WHEN count(o.id) > 1 AND count(*) FILTER (WHERE o.kind LIKE '%party_committee') <> 1 THEN 'ambiguous_reference' END
    FROM (SELECT DISTINCT r.organization AS ref, btrim(r.organization) AS name, p.ends_on AS day
        FROM import_row r JOIN import_period p ON p.ref = r.period AND p.id IS NOT NULL) d
      LEFT JOIN organization_identifier x ON x.scheme = value_import_names.scheme AND x.value = d.name AND x.validity @> d.day
      LEFT JOIN organization o ON o.id = x.organization_id
    GROUP BY d.ref, d.day;
  END IF;
  CREATE TEMP TABLE import_unit ON COMMIT DROP AS
    SELECT n.ref, n.day, n.id, n.fault, o.code, o.scope_key, daterange(o.valid_from, o.valid_to, '[]') AS life, o.scope_key <@ (SELECT write_scope()) AS direct,
      o.scope_key <@ (SELECT behalf_scope()) AS behalf, CASE WHEN o.id IS NOT NULL THEN ancestor_keys(o.scope_key) END AS above
    FROM import_name n LEFT JOIN organization o ON o.id = n.id;
  ANALYZE import_indicator, import_period, import_unit;
END $$;

-- What becomes of a sound row: create, update, delete, unchanged; what the strategy forbids is a fault.
CREATE FUNCTION value_import_fault(strategy text, seen bigint, version text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN seen IS NULL AND strategy IN ('update', 'delete') THEN '# not_found'
    WHEN seen IS NOT NULL AND strategy = 'create' THEN '# already_exists'
    WHEN version IS NOT NULL AND seen::text IS DISTINCT FROM version THEN '#/version version_conflict' END $$;
CREATE FUNCTION value_import_outcome(strategy text, faults text[], blank boolean, seen bigint, version text, same boolean) RETURNS text
  LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN faults IS NOT NULL THEN 'failed'
    WHEN blank AND strategy = 'upsert' THEN 'unchanged'
    WHEN value_import_fault(strategy, seen, version) IS NOT NULL THEN 'failed'
    WHEN strategy = 'delete' THEN 'delete'
    WHEN seen IS NULL THEN 'create'
    WHEN same THEN 'unchanged'
    ELSE 'update' END $$;

-- import_item: every row as it is meant, what is wrong with it (pairs of pointer and code), and what there is of it already.
CREATE FUNCTION value_import_judge(strategy text, scheme text) RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  by_day boolean := scheme NOT IN ('code', 'id');
  on_day date := today();
  client uuid := me_client();
  programmes uuid[] := limited_write_programmes();
  areas text[] := limited_write_scopes();
  assigned uuid[] := ARRAY(SELECT x.id FROM import_indicator x WHERE x.id IS NOT NULL);
BEGIN
  CREATE TEMP TABLE import_item ON COMMIT DROP AS
  WITH given AS MATERIALIZED (
    SELECT r.row, r.line, r.id, r.indicator, r.organization, r.period, coalesce(r.category, '') AS category,
      nullif(btrim(r.numerator), '') AS numerator, nullif(btrim(r.denominator), '') AS denominator, nullif(btrim(r.number), '') AS number,
      nullif(btrim(r.done_on), '') AS done_on, lower(nullif(btrim(r.done), '')) AS done, coalesce(nullif(btrim(r.state), ''), 'reported') AS state,
      nullif(r.note, '') AS note, nullif(r.evidence_url, '') AS evidence_url, nullif(r.source, '') AS source, nullif(r.reason, '') AS reason,
      nullif(btrim(r.version), '') AS version, nullif(btrim(r.state), '') AS said,
      coalesce(r.numerator, '') || coalesce(r.denominator, '') || coalesce(r.number, '') || coalesce(r.done_on, '') || coalesce(r.done, '')
        || coalesce(r.state, '') = '' AS blank,
      r.faults AS form
    FROM import_row r
  ), meant AS MATERIALIZED (
    SELECT g.*, i.id AS indicator_id, i.code AS indicator_code, i.kind, i.frequency, i.categories, i.source_required, i.programme_id,
      p.id AS period_id, p.code AS period_code, p.kind AS period_kind, p.programme_id AS period_programme, p.starts_on, p.ends_on,
      o.id AS organization_id, o.code AS organization_code, o.scope_key, o.fault AS unit_fault, o.above, o.life,
      o.direct OR (programmes IS NOT NULL AND in_limited(i.programme_id, o.scope_key, programmes, areas)) AS direct, o.behalf,
      u.mode, u.entered_by, u.source AS assigned_source, u.client_id AS assigned_client, coalesce(u.counted, false) AS counted,
      -- an entry sheet has no column for "not done": it says that the milestone is reported, and no day
      CASE WHEN i.kind = 'milestone' AND g.said = 'reported' AND g.done_on IS NULL THEN coalesce(g.done, 'false') ELSE g.done END AS undone,
      i.id IS NOT NULL AND strategy <> 'delete' AND g.form IS NULL AND NOT (g.blank AND strategy = 'upsert') AS bodily
    FROM given g
      LEFT JOIN import_indicator i ON i.ref = g.indicator
      LEFT JOIN import_period p ON p.ref = g.period
      LEFT JOIN import_unit o ON o.ref = g.organization AND o.day = CASE WHEN by_day THEN p.ends_on ELSE 'infinity' END
      LEFT JOIN (SELECT * FROM assignment_unit x WHERE x.indicator_id = ANY (assigned)) u
        ON u.indicator_id = i.id AND u.scope_key = o.scope_key AND u.validity @> p.ends_on
  ), judged AS (
    SELECT m.*, row_number() OVER (PARTITION BY m.indicator_id, m.period_id, m.scope_key, m.category ORDER BY m.row) AS nth
    FROM meant m
  ), weighed AS (
  SELECT j.row, j.line, j.id, j.category, j.indicator_id, j.indicator_code, j.programme_id,
    j.period_id, j.period_code, j.organization_id, j.organization_code, j.scope_key, j.counted, j.state, j.note, j.evidence_url, j.source,
    j.reason, j.version, j.form, j.blank, j.numerator, j.denominator, j.number, j.done_on, j.undone AS done,
    CASE WHEN coalesce(f.indicator, f.organization, f.period, f.category, f.assigned, f.written, f.repeated, f.state, f.numerator,
        f.denominator, f.number, f.done, f.note, f.evidence_url, f.source, f.version) IS NOT NULL THEN
      array_remove(ARRAY['#/indicator ' || f.indicator, '#/organization ' || f.organization, '#/period ' || f.period, '#/category ' || f.category,
        '#/organization ' || f.assigned, '#/organization ' || f.written, '# ' || f.repeated, '#/state ' || f.state,
        '#/numerator ' || f.numerator, '#/denominator ' || f.denominator, '#/number ' || f.number, '#/done_on ' || f.done,
        '#/note ' || f.note, '#/evidence_url ' || f.evidence_url, '#/source ' || f.source, '#/version ' || f.version], NULL) END AS faults,
    e.id AS value_id, e.version AS seen, e.same
  FROM judged j,
    LATERAL (SELECT
      CASE WHEN j.indicator_id IS NULL AND j.indicator IS NOT NULL THEN 'unknown_reference' END AS indicator,
      CASE WHEN j.organization_id IS NULL AND j.organization IS NOT NULL AND (j.period_id IS NOT NULL OR NOT by_day) THEN coalesce(j.unit_fault, 'unknown_reference') END AS organization,
      CASE WHEN j.period IS NULL THEN NULL WHEN j.period_id IS NULL THEN 'unknown_reference' WHEN j.indicator_id IS NOT NULL
        THEN period_fault(j.frequency, j.programme_id, j.period_kind, j.period_programme, j.starts_on, on_day) END AS period,
      CASE WHEN j.indicator_id IS NOT NULL THEN category_fault(j.categories, j.category) END AS category,
      CASE WHEN j.indicator_id IS NULL OR j.organization_id IS NULL OR j.period_id IS NULL OR j.mode IS NOT NULL OR NOT j.direct THEN NULL
        WHEN NOT j.life @> j.ends_on OR NOT EXISTS (SELECT FROM assignment_unit t WHERE t.indicator_id = j.indicator_id AND t.scope_key = ANY (j.above)
          AND t.mode = 'total' AND t.validity @> j.ends_on) THEN 'not_assigned' END AS assigned,
      CASE WHEN j.indicator_id IS NULL OR j.organization_id IS NULL THEN NULL
        WHEN NOT (j.direct OR (j.behalf AND j.entered_by IS NOT DISTINCT FROM 'superior')) THEN 'forbidden'
        ELSE source_refusal(j.assigned_source, j.assigned_client, client) END AS written,
      CASE WHEN j.nth > 1 AND j.indicator_id IS NOT NULL AND j.organization_id IS NOT NULL AND j.period_id IS NOT NULL THEN 'repeated' END AS repeated,
      CASE WHEN j.bodily THEN state_fault(j.state) END AS state,
      CASE WHEN j.bodily THEN numerator_fault(j.kind, j.state, j.numerator) END AS numerator,
      CASE WHEN j.bodily THEN denominator_fault(j.kind, j.state, j.numerator, j.denominator) END AS denominator,
      CASE WHEN j.bodily THEN number_fault(j.kind, j.state, j.number) END AS number,
      CASE WHEN j.bodily THEN done_fault(j.kind, j.state, j.undone, j.done_on, j.ends_on, on_day) END AS done,
      CASE WHEN length(j.note) > 2000 THEN 'too_long' END AS note,
      CASE WHEN j.bodily THEN evidence_fault(j.evidence_url) END AS evidence_url,
      CASE WHEN j.bodily THEN source_fault(j.source_required, j.state, j.source) END AS source,
      CASE WHEN j.version !~ '^[1-9][0-9]{0,17}$' THEN 'number' END AS version) f
    LEFT JOIN LATERAL (SELECT v.id, v.version,
        v.state = j.state AND (v.note, v.evidence_url, v.source) IS NOT DISTINCT FROM (j.note, j.evidence_url, j.source)
        AND CASE WHEN v.number IS NOT NULL THEN CASE WHEN number_ok(j.number) THEN j.number::numeric = v.number END
          WHEN v.numerator IS NOT NULL THEN CASE WHEN number_ok(j.numerator) AND number_ok(j.denominator)
            THEN j.numerator::numeric = v.numerator AND j.denominator::numeric = v.denominator END
          WHEN v.done THEN j.done_on = v.done_on::text
          WHEN v.done IS NOT NULL THEN j.done_on IS NULL
          ELSE true END AS same
      FROM value v
      WHERE v.indicator_id = j.indicator_id AND v.period_id = j.period_id AND v.scope_key = j.scope_key AND v.category = j.category
      LIMIT 1) e ON true
  OFFSET 0)
  SELECT w.*, CASE WHEN w.form IS NOT NULL THEN 'failed'
    ELSE value_import_outcome(strategy, w.faults, w.blank, w.seen, w.version, w.same) END AS outcome
  FROM weighed w
  ORDER BY w.indicator_id, w.period_id, w.scope_key, w.category, w.row;
END $$;

-- The figures of a change, as listed: those that are there.
CREATE FUNCTION figures(state text, numerator numeric, denominator numeric, number numeric, done_on date, note text,
    evidence_url text, source text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('state', state, 'numerator', numerator, 'denominator', denominator, 'number', number,
    'done_on', done_on, 'note', note, 'evidence_url', evidence_url, 'source', source)) $$;
-- The first changes, old and new, before they are made.
CREATE FUNCTION value_import_changes() RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('row', i.row, 'indicator', i.indicator_code, 'organization', i.organization_code,
      'period', i.period_code, 'category', nullif(i.category, ''),
      'old', CASE WHEN v.id IS NOT NULL THEN
        figures(v.state, v.numerator, v.denominator, v.number, v.done_on, v.note, v.evidence_url, v.source) END,
      'new', CASE WHEN i.outcome <> 'delete' THEN
        figures(i.state, trim_scale(i.numerator::numeric), trim_scale(i.denominator::numeric), trim_scale(i.number::numeric),
          i.done_on::date, i.note, i.evidence_url, i.source) END) ORDER BY i.row), '[]')
    FROM (SELECT * FROM import_item x WHERE x.outcome IN ('create', 'update', 'delete') ORDER BY x.row LIMIT 1000) i
      LEFT JOIN LATERAL (SELECT * FROM value w WHERE w.id = i.value_id OFFSET 0) v ON true);
END $$;
CREATE FUNCTION value_import_errors(strategy text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('row', e.row, 'line', e.line) || e.fault ORDER BY e.row, e.n), '[]')
    FROM (SELECT i.row, i.line, f.fault, f.n
      FROM (SELECT * FROM import_item x WHERE x.outcome = 'failed' ORDER BY x.row LIMIT 1000) i, LATERAL (
        SELECT a.fault, a.n FROM jsonb_array_elements(i.form) WITH ORDINALITY a(fault, n)
        UNION ALL
        SELECT value_fault(split_part(b.fault, ' ', 1), split_part(b.fault, ' ', 2)), 100 + b.n
        FROM unnest(coalesce(i.faults, CASE WHEN i.form IS NULL THEN ARRAY[value_import_fault(strategy, i.seen, i.version)] END))
          WITH ORDINALITY b(fault, n)) f
      ORDER BY i.row, f.n LIMIT 1000) e);
END $$;

-- Writes what the outcomes say. What the policies let through is guessed at one row, so the values are named by their ids, which is
-- an index look-up each, and joined by hash. Rows that another transaction changed meanwhile end the import: 409, to be sent again.
CREATE FUNCTION value_import_write(creates bigint, updates bigint, deletes bigint) RETURNS void LANGUAGE plpgsql
  SET enable_nestloop = off AS $$
DECLARE
  n bigint;
  seat text := (SELECT o.code FROM organization o WHERE o.id = me_seat());
  touched uuid[];
  named uuid[] := ARRAY(SELECT x.id FROM import_indicator x WHERE x.id IS NOT NULL);
BEGIN
  IF updates + deletes > 0 THEN
    touched := ARRAY(SELECT i.value_id FROM import_item i WHERE i.outcome IN ('update', 'delete'));
    PERFORM FROM import_item i JOIN value v ON v.id = i.value_id
    WHERE i.outcome IN ('update', 'delete') AND v.id = ANY (touched) ORDER BY i.indicator_id, i.period_id, i.scope_key, i.category FOR UPDATE OF v;
  END IF;
  IF updates > 0 THEN
    UPDATE value v SET state = i.state, counted = i.counted, done = CASE WHEN i.done_on IS NOT NULL THEN true WHEN i.done IS NOT NULL THEN false END,
      done_on = i.done_on::date,
      numerator = trim_scale(i.numerator::numeric), denominator = trim_scale(i.denominator::numeric), number = trim_scale(i.number::numeric),
      note = i.note, evidence_url = i.evidence_url, source = i.source, reason = i.reason,
      on_behalf = v.organization_id <> (SELECT me_seat()), entered_by = seat, seat_id = (SELECT me_seat()),
      account_id = (SELECT me_account()), client_id = (SELECT me_client()), grant_id = (SELECT me_grant()),
      session_id = (SELECT me_session()), version = v.version + 1, updated_at = clock_now()
    FROM import_item i WHERE i.outcome = 'update' AND v.id = ANY (touched) AND v.id = i.value_id AND v.version = i.seen;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n < updates THEN PERFORM fail(409, 'concurrent_change', NULL, 'Some of the values changed meanwhile.'); END IF;
  END IF;
  IF deletes > 0 THEN
    PERFORM set_config('tiendo.reason', (SELECT min(i.reason) FROM import_item i WHERE i.outcome = 'delete'), true);
    DELETE FROM value v USING import_item i WHERE i.outcome = 'delete' AND v.id = ANY (touched) AND v.id = i.value_id AND v.version = i.seen;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n < deletes THEN PERFORM fail(409, 'concurrent_change', NULL, 'Some of the values changed meanwhile.'); END IF;
  END IF;
  IF creates > 0 THEN
    INSERT INTO value (id, indicator_id, organization_id, period_id, programme_id, scope_key, category, indicator_code,
      organization_code, period_code, state, counted, done, done_on, numerator, denominator, number, note, evidence_url, source,
      reason, on_behalf, entered_by, seat_id, account_id, client_id, grant_id, session_id, version)
    SELECT i.id, i.indicator_id, i.organization_id, i.period_id, i.programme_id, i.scope_key, i.category, i.indicator_code,
      i.organization_code, i.period_code, i.state, i.counted,
      CASE WHEN i.done_on IS NOT NULL THEN true WHEN i.done IS NOT NULL THEN false END, i.done_on::date, trim_scale(i.numerator::numeric),
      trim_scale(i.denominator::numeric), trim_scale(i.number::numeric), i.note, i.evidence_url, i.source, i.reason,
      i.organization_id <> (SELECT me_seat()), seat, (SELECT me_seat()), (SELECT me_account()), (SELECT me_client()),
      (SELECT me_grant()), (SELECT me_session()), coalesce(r.version, 0) + 1
    FROM import_item i
      LEFT JOIN (SELECT x.indicator_id, x.period_id, x.scope_key, x.category, max(x.version) AS version FROM value_revision x
        WHERE x.state = 'deleted' AND x.indicator_id = ANY (named) GROUP BY 1, 2, 3, 4) r
        ON r.indicator_id = i.indicator_id AND r.period_id = i.period_id AND r.scope_key = i.scope_key AND r.category = i.category
    WHERE i.outcome = 'create'
    ORDER BY i.indicator_id, i.period_id, i.scope_key, i.category
    ON CONFLICT (scope_key, indicator_id, period_id, category) DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n < creates THEN PERFORM fail(409, 'concurrent_change', NULL, 'Some of the values were entered meanwhile.'); END IF;
  END IF;
END $$;

-- The whole import, after value_import_begin() and the COPY. 422: rows are faulty, the mode is atomic, nothing was written.
CREATE FUNCTION value_import(p_mode text, p_strategy text, p_dry_run boolean, p_scheme text, p_request_id text)
  RETURNS TABLE (status int, body text) LANGUAGE plpgsql AS $$
DECLARE
  n record;
  refused boolean;
  errors jsonb;
  changes jsonb := '[]';
BEGIN
  PERFORM set_config('tiendo.request', p_request_id, true);
  PERFORM value_import_names(p_scheme);
  PERFORM value_import_judge(p_strategy, p_scheme);
  SELECT count(*) AS rows, count(*) FILTER (WHERE outcome = 'create') AS creates, count(*) FILTER (WHERE outcome = 'update') AS updates,
      count(*) FILTER (WHERE outcome = 'delete') AS deletes, count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged,
      count(*) FILTER (WHERE outcome = 'failed') AS failed, 
      sum(greatest(coalesce(cardinality(faults), 0) + coalesce(jsonb_array_length(form), 0), 1)) FILTER (WHERE outcome = 'failed') AS faults
    INTO n FROM import_item;
  refused := p_mode = 'atomic' AND n.failed > 0;
  errors := value_import_errors(p_strategy);
  IF NOT refused THEN
    changes := value_import_changes();
    IF NOT p_dry_run THEN
      PERFORM value_import_write(n.creates, n.updates, n.deletes);
    END IF;
  END IF;
  RETURN QUERY SELECT CASE WHEN refused THEN 422 ELSE 200 END, json_build_object('dry_run', p_dry_run, 'mode', p_mode, 'strategy', p_strategy,
    'rows', n.rows, 'created', CASE WHEN refused THEN 0 ELSE n.creates END, 'updated', CASE WHEN refused THEN 0 ELSE n.updates END,
    'unchanged', n.unchanged, 'deleted', CASE WHEN refused THEN 0 ELSE n.deletes END, 'failed', n.failed, 'errors', errors,
    'errors_truncated', coalesce(n.faults, 0) > jsonb_array_length(errors), 'changes', changes,
    'changes_truncated', NOT refused AND n.creates + n.updates + n.deletes > jsonb_array_length(changes))::text;
END $$;

GRANT EXECUTE ON FUNCTION value_import_begin(), value_import_names(text), value_import_fault(text, bigint, text),
  value_import_outcome(text, text[], boolean, bigint, text, boolean), value_import_judge(text, text),
  figures(text, numeric, numeric, numeric, date, text, text, text), value_import_changes(), value_import_errors(text),
  value_import_write(bigint, bigint, bigint), value_import(text, text, boolean, text, text) TO tiendo_service;
