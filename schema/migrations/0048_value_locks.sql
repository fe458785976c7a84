-- Figures that a submitted report holds do not change: a value counts how many reports lock it, and its triggers refuse whoever would write
-- another figure or take it away. Only submitting, recalling, returning and amending reports turn the count.
SET search_path = tiendo, public;

ALTER TABLE value ADD COLUMN locked int NOT NULL DEFAULT 0 CONSTRAINT value_locks CHECK (locked >= 0);
CREATE INDEX value_locked ON value (id) WHERE locked > 0;

-- The refusal names the report that holds the figure, to whoever enters it.
CREATE FUNCTION value_refuse_locked(p_value uuid) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE held record;
BEGIN
  SELECT concat_ws(' ', d.code, r.period_code) AS what, r.organization_code INTO held
  FROM report_lock l JOIN report r ON r.id = l.report_id JOIN report_duty d ON d.id = r.duty_id
  WHERE l.value_id = p_value ORDER BY r.submitted_at DESC LIMIT 1;
  PERFORM fail(409, 'locked', NULL, format('The figure stands in a submitted report of %s (%s): that has to be recalled, returned or amended first.',
    held.organization_code, held.what));
END $$;

CREATE OR REPLACE FUNCTION value_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  recount text := coalesce(current_setting('tiendo.recount', true), '');
  held uuid;
BEGIN
  IF recount <> '' THEN
    IF split_part(recount, ' ', 2) <> (SELECT w.word FROM recount_word w) THEN
      RAISE EXCEPTION 'only the owner moves values without a trace' USING ERRCODE = 'insufficient_privilege';
    END IF;
    recount := split_part(recount, ' ', 1);
  END IF;
  IF recount = 'rekey' THEN RETURN NULL; END IF;
  IF recount <> 'on' THEN
    SELECT w.id INTO held FROM was w WHERE w.locked > 0 LIMIT 1;
    IF FOUND THEN PERFORM value_refuse_locked(held); END IF;
    IF EXISTS (SELECT FROM (SELECT DISTINCT seat_id, entered_by FROM now_is) m
        WHERE NOT EXISTS (SELECT FROM organization s WHERE s.id = m.seat_id AND s.code = m.entered_by)) THEN
      RAISE EXCEPTION 'a value is not what it says' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO value_revision
    SELECT id, version, updated_at, indicator_id, period_id, programme_id, scope_key, category, organization_code, period_code, state, done,
      done_on, numerator, denominator, number, note, evidence_url, source, reason, on_behalf, entered_by, seat_id, account_id, client_id,
      grant_id, session_id
    FROM now_is;
    INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key,
      programme_id, request_id)
    SELECT account_id, client_id, grant_id, session_id, 'update', 'value', id, version, scope_key, programme_id,
      (SELECT nullif(current_setting('tiendo.request', true), ''))
    FROM now_is;
  END IF;
  INSERT INTO rollup_delta
  SELECT indicator_id, period_id, left(scope_key, -6), category, programme_id,
    coalesce(sum(sign) FILTER (WHERE state = 'reported'), 0), coalesce(sum(sign) FILTER (WHERE state = 'not_applicable'), 0),
    coalesce(sum(sign) FILTER (WHERE done), 0), coalesce(sum(sign * numerator), 0), coalesce(sum(sign * denominator), 0),
    coalesce(sum(sign * number), 0)
  FROM (SELECT 1 AS sign, n.* FROM now_is n UNION ALL SELECT -1, o.* FROM was o) x
  WHERE counted AND length(scope_key) > 6
  GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;

-- A second trigger on the same deletion, fired before the one that keeps its traces (triggers of a kind go by name).
CREATE FUNCTION value_delete_locked() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE held uuid := (SELECT w.id FROM was w WHERE w.locked > 0 LIMIT 1);
BEGIN
  IF held IS NOT NULL THEN PERFORM value_refuse_locked(held); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER value_delete_locked AFTER DELETE ON value REFERENCING OLD TABLE AS was
  FOR EACH STATEMENT EXECUTE FUNCTION value_delete_locked();
-- The count is the owner's: the service may not say of a new value that it is locked, nor (it may not write the column) of a locked one that it is not.
CREATE POLICY new_is_free ON value AS RESTRICTIVE FOR INSERT TO tiendo_service WITH CHECK (locked = 0);

-- Locks the values of these ids for a report, or lets go of all it holds. The rows are taken in the order imports take them.
CREATE FUNCTION report_lock_values(p_report uuid, ids uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM recount_begin('rekey');
  INSERT INTO report_lock SELECT p_report, x FROM unnest(ids) x;
  UPDATE value v SET locked = v.locked + 1 WHERE v.id = ANY (ids);
  PERFORM recount_end();
END $$;
CREATE FUNCTION report_unlock_values(p_report uuid) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE ids uuid[];
BEGIN
  WITH gone AS (DELETE FROM report_lock l WHERE l.report_id = p_report RETURNING l.value_id)
  SELECT array_agg(g.value_id) INTO ids FROM gone g;
  PERFORM FROM value v WHERE v.id = ANY (ids) ORDER BY v.indicator_id, v.period_id, v.scope_key, v.category FOR UPDATE;
  PERFORM recount_begin('rekey');
  UPDATE value v SET locked = v.locked - 1 WHERE v.id = ANY (ids);
  PERFORM recount_end();
END $$;

CREATE OR REPLACE FUNCTION value_json(v value) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT v.id, v.indicator_code AS indicator, v.organization_code AS organization, v.period_code AS period,
      nullif(v.category, '') AS category, v.numerator, v.denominator, v.number, percent(v.numerator, v.denominator) AS percent,
      v.done_on, v.state, CASE WHEN v.locked > 0 THEN 'locked' ELSE 'entered' END AS status, v.note, v.evidence_url, v.source,
      v.version AS revision, v.on_behalf, v.entered_by, v.version, tstz(v.updated_at) AS updated_at) r);
END $$;

-- Rows of an import that would change a locked figure are faulty; equal ones are unchanged like any other.
CREATE FUNCTION value_import_locked() RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
  UPDATE import_item i SET outcome = 'failed', form = jsonb_build_array(fault('#', 'locked', 'the figure stands in a submitted report'))
  FROM value v WHERE v.locked > 0 AND v.id = i.value_id AND i.outcome IN ('update', 'delete');
END $$;
CREATE OR REPLACE FUNCTION value_import(p_mode text, p_strategy text, p_dry_run boolean, p_scheme text, p_request_id text)
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
  PERFORM value_import_locked();
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
GRANT EXECUTE ON FUNCTION value_import_locked() TO tiendo_service;
