-- A reorganization from the request to its answer: applied or only tried, its impact, how it reads, and how it is taken back.
SET search_path = tiendo, public;

-- ---- impact ------------------------------------------------------------------------------------------------
-- What each unit concerned is before the day and on it.
CREATE FUNCTION impact_units(w reorganization_work) RETURNS TABLE (id uuid, code text, change text, was jsonb, becomes jsonb)
  LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT o.id, o.code, CASE WHEN b.name IS NULL AND o.id = ANY (w.established) THEN 'established' WHEN a.name IS NULL THEN 'ended'
      WHEN a.parent_id IS DISTINCT FROM b.parent_id THEN 'moved' WHEN (a.name, a.kind) IS DISTINCT FROM (b.name, b.kind) THEN 'renamed'
      ELSE 'takes_over' END,
    CASE WHEN b.name IS NOT NULL THEN jsonb_build_object('name', b.name, 'kind', b.kind, 'parent', bp.code) END,
    CASE WHEN a.name IS NOT NULL THEN jsonb_build_object('name', a.name, 'kind', a.kind, 'parent', ap.code) END
  FROM organization o
    LEFT JOIN LATERAL (SELECT s ->> 1 AS name, s ->> 2 AS kind, (s ->> 3)::uuid AS parent_id
      FROM jsonb_array_elements(w.before -> o.id::text -> 'spans') s WHERE (s ->> 0)::daterange @> w.day) b ON true
    LEFT JOIN organization_span a ON a.organization_id = o.id AND a.validity @> w.day
    LEFT JOIN organization bp ON bp.id = b.parent_id LEFT JOIN organization ap ON ap.id = a.parent_id
  WHERE o.id = ANY (w.touched) $$;

-- Units whose holders see more, or less, from the day on; and those whose own seats end with them.
CREATE FUNCTION impact_scopes(units uuid[], ended uuid[], day date) RETURNS TABLE (id uuid, change text)
  LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT e, 'ends' FROM unnest(ended) e
  UNION
  (SELECT c.ancestor_id, 'loses' FROM organization_closure c WHERE c.descendant_id = ANY (units) AND c.depth > 0 AND c.validity @> day - 1
     AND c.ancestor_id <> ALL (ended)
   EXCEPT SELECT c.ancestor_id, 'loses' FROM organization_closure c WHERE c.descendant_id = ANY (units) AND c.validity @> day)
  UNION
  (SELECT c.ancestor_id, 'gains' FROM organization_closure c WHERE c.descendant_id = ANY (units) AND c.depth > 0 AND c.validity @> day
   EXCEPT SELECT c.ancestor_id, 'gains' FROM organization_closure c WHERE c.descendant_id = ANY (units) AND c.validity @> day - 1)
  UNION
  SELECT l.successor_id, 'gains' FROM organization_lineage l WHERE l.predecessor_id = ANY (ended) $$;

-- Everything a decision touches. Lists show their first two hundred; the counts are of all.
CREATE FUNCTION reorganization_impact(w reorganization_work) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  moved uuid[]; ended uuid[]; changes jsonb; counts jsonb;
  keys text[];
  affected jsonb;
BEGIN
  SELECT coalesce(array_agg(x.id) FILTER (WHERE x.change = 'moved'), '{}'), coalesce(array_agg(x.id) FILTER (WHERE x.change = 'ended'), '{}'),
    (SELECT jsonb_object_agg(y.change, y.n) FROM (SELECT z.change, count(*) AS n FROM impact_units(w) z GROUP BY 1) y),
    jsonb_agg(jsonb_build_object('organization', x.code, 'change', x.change, 'was', x.was, 'becomes', x.becomes) ORDER BY x.code) FILTER (WHERE x.n <= 200)
    INTO moved, ended, counts, changes
  FROM (SELECT u.*, row_number() OVER (ORDER BY u.code) AS n FROM impact_units(w) u) x;
  keys := ARRAY(SELECT o.scope_key FROM organization o WHERE o.id = ANY (moved || ended)
    AND NOT EXISTS (SELECT FROM organization a WHERE a.id = ANY (moved || ended) AND a.scope_key = ANY (ancestor_keys(o.scope_key))));
  affected := (SELECT jsonb_build_object(
    'grants', (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', g.code, 'role', g.role, 'grants', g.n, 'change', g.change)
        ORDER BY g.code, g.role, g.change), '[]')
      FROM (SELECT o.code, x.role, s.change, count(*) AS n FROM impact_scopes(moved, ended, w.day) s JOIN access_grant x ON x.organization_id = s.id
          AND x.revoked_at IS NULL AND coalesce(x.valid_to >= w.day, true) JOIN organization o ON o.id = s.id
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT 200) g),
    'mandates', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'unit', m.unit, 'over', m.over, 'change', m.change) ORDER BY m.id), '[]')
      FROM (SELECT x.id, coalesce(u.code, x.unit_kind) AS unit, o.code AS over, s.change
        FROM impact_scopes(moved, ended, w.day) s JOIN mandate x ON s.id = x.over_id OR (s.change = 'ends' AND s.id = x.unit_id)
          LEFT JOIN organization u ON u.id = x.unit_id LEFT JOIN organization o ON o.id = x.over_id
        WHERE coalesce(x.valid_to >= w.day, true) ORDER BY x.id LIMIT 200) m)));
  RETURN jsonb_build_object(
    'units', counts || jsonb_build_object('subtree', (SELECT count(DISTINCT c.descendant_id) FROM organization_closure c
      WHERE c.ancestor_id = ANY (moved) AND c.validity @> w.day)),
    'changes', changes,
    'lineage', (SELECT coalesce(jsonb_agg(jsonb_build_object('predecessor', p.code, 'successor', s.code) ORDER BY p.code, s.code), '[]')
      FROM (SELECT * FROM organization_lineage l WHERE l.reorganization_id = w.id LIMIT 1000) l
        JOIN organization p ON p.id = l.predecessor_id JOIN organization s ON s.id = l.successor_id),
    'values', (SELECT coalesce(sum((SELECT count(*) FROM value v WHERE v.scope_key >= k AND v.scope_key < k || '~')), 0) FROM unnest(keys) k),
    'accounts', (SELECT count(*) FROM account a WHERE a.organization_id = ANY (ended) AND a.status = 'active'),
    'assignments_ending', (SELECT coalesce(jsonb_agg(jsonb_build_object('indicator', x.indicator, 'organization', x.unit) ORDER BY x.indicator, x.unit), '[]')
      FROM (SELECT i.code AS indicator, o.code AS unit FROM assignment a JOIN indicator i ON i.id = a.indicator_id
          JOIN organization o ON o.id = coalesce(a.organization_id, a.under_id)
        WHERE o.id = ANY (ended) AND (upper_inf(a.validity) OR upper(a.validity) > w.day) ORDER BY 1, 2 LIMIT 200) x),
    'identifiers_ending', (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', x.code, 'scheme', x.scheme, 'value', x.value)
        ORDER BY x.code, x.scheme, x.value), '[]')
      FROM (SELECT o.code, i ->> 0 AS scheme, i ->> 1 AS value FROM organization o, jsonb_array_elements(nullif(w.before -> o.id::text -> 'identifiers', 'null')) i
        WHERE o.id = ANY (ended) AND (i ->> 2)::daterange @> w.day ORDER BY 1, 2, 3 LIMIT 200) x),
    'targets_without_unit', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', x.id, 'indicator', x.indicator, 'organization', x.unit) ORDER BY x.indicator, x.unit), '[]')
      FROM (SELECT t.id, i.code AS indicator, t.organization_code AS unit FROM target t JOIN indicator i ON i.id = t.indicator_id
        WHERE t.organization_id = ANY (ended) AND coalesce(t.due_on >= w.day, true) ORDER BY 2, 3 LIMIT 200) x)) || affected;
END $$;

-- ---- doing it ----------------------------------------------------------------------------------------------
-- Which indicators' history the successors do not take over. Those a reorganization names must exist where the caller defines.
CREATE FUNCTION carry_apart(w reorganization_work, carry jsonb) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  c jsonb; n bigint;
  i indicator;
  faults jsonb := '[]';
BEGIN
  FOR c, n IN SELECT x, o - 1 FROM jsonb_array_elements(coalesce(nullif(carry, 'null'), '[]')) WITH ORDINALITY y(x, o) LOOP
    SELECT * INTO i FROM indicator x WHERE (x.code = c ->> 'indicator' AND (me_root() IS NULL OR x.root_id = me_root()))
      OR (is_uuid(c ->> 'indicator') AND x.id::text = lower(c ->> 'indicator'));
    IF NOT FOUND OR NOT (me_grant() IS NULL OR i.scope_key <@ scope() OR me_seat_key() ^@ i.scope_key) THEN
      faults := faults || fault('#/carry/' || n || '/indicator', 'unknown_reference', 'no such indicator');
    ELSIF c ->> 'how' = 'apart' THEN
      INSERT INTO organization_carry (indicator_id, organization_id, predecessor_id, reorganization_id)
      SELECT i.id, l.successor_id, l.predecessor_id, w.id FROM organization_lineage l WHERE l.reorganization_id = w.id
      ON CONFLICT DO NOTHING;
    END IF;
  END LOOP;
  IF jsonb_array_length(faults) > 0 THEN PERFORM fail(422, 'invalid', faults); END IF;
END $$;

-- A unit that ends takes no figure of a later period with it: where some have been entered, they are told, and nothing is done.
CREATE FUNCTION refuse_values_after(w reorganization_work) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE faults jsonb := (SELECT jsonb_agg(fault('#/effective_on', 'has_values', format('%s has values of %s for %s', x.organization_code, x.indicator_code,
      x.period_code)))
    FROM (SELECT v.organization_code, v.indicator_code, v.period_code
      FROM organization o JOIN value v ON v.scope_key = o.scope_key JOIN period p ON p.id = v.period_id
      WHERE o.id = ANY (w.touched) AND p.ends_on >= w.day
        AND NOT EXISTS (SELECT FROM organization_span s WHERE s.organization_id = o.id AND s.validity @> p.ends_on)
      ORDER BY 1, 2, p.ends_on LIMIT 100) x);
BEGIN
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
END $$;

CREATE FUNCTION reorganization_apply(new_id uuid, body jsonb, request_id text, OUT w reorganization_work, OUT impact jsonb) RETURNS record
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  alive uuid[];
  r reorganization;
BEGIN
  PERFORM set_config('tiendo.reorganizing', 'on', true);
  w := ROW(new_id, (body ->> 'effective_on')::date, coalesce((body ->> 'made_up')::boolean, false), '{}', '{}', '{}', '{}', '[]')::reorganization_work;
  w := reorganization_steps(w, body -> 'steps');
  PERFORM refuse_values_after(w);
  PERFORM carry_apart(w, body -> 'carry');
  PERFORM tree_settle(w.touched, w.day, 'reorganize', request_id);
  impact := reorganization_impact(w);
  INSERT INTO reorganization (id, decision, title, effective_on, made_up, note, steps, carry, impact, units, before, after, established, account_id, client_id)
  VALUES (new_id, body ->> 'decision', body ->> 'title', w.day, w.made_up, body ->> 'note', body -> 'steps', coalesce(nullif(body -> 'carry', 'null'), '[]'), impact,
    cardinality(w.touched), w.before, (SELECT jsonb_object_agg(u, unit_image(u)) FROM unnest(w.touched) u), w.established, me_account(), me_client())
  RETURNING * INTO r;
  INSERT INTO reorganization_unit SELECT r.id, o.id, o.scope_key FROM organization o WHERE o.id = ANY (w.touched);
  -- and who loses or gets one of them is told of it
  INSERT INTO reorganization_unit
  SELECT DISTINCT r.id, p.id, p.scope_key, true
  FROM unnest(w.touched) u
    LEFT JOIN LATERAL (SELECT (s ->> 3)::uuid AS id FROM jsonb_array_elements(w.before -> u::text -> 'spans') s WHERE (s ->> 0)::daterange @> (w.day - 1)) b ON true
    LEFT JOIN organization_span a ON a.organization_id = u AND a.validity @> w.day
    JOIN organization p ON p.id IN (b.id, a.parent_id)
  WHERE b.id IS DISTINCT FROM a.parent_id AND p.id <> ALL (w.touched)
  ON CONFLICT DO NOTHING;
END $$;

-- Units that a reorganization names beside those it changed: what they stood and stand below from its day on, and their successors.
CREATE FUNCTION reorganization_named(r reorganization) RETURNS SETOF text LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT p.scope_key FROM (
    SELECT (s ->> 3)::uuid AS id FROM (SELECT b.value FROM jsonb_each(r.before) b UNION ALL SELECT a.value FROM jsonb_each(r.after) a) x,
      jsonb_array_elements(x.value -> 'spans') s WHERE (s ->> 0)::daterange && daterange(r.effective_on - 1, NULL)
    UNION SELECT l.successor_id FROM organization_lineage l WHERE l.reorganization_id = r.id) n
  JOIN organization p ON p.id = n.id $$;

-- As answered. Steps and impact name units: who sees only some of the units concerned is told the decision, and these. What lies above
-- one's own seat is known to everybody below; the impact, which counts grants, is for who defines or administers over all of it.
-- operator: by whom nobody entered, and who sees all.
CREATE FUNCTION reorganization_shown(ref uuid, operator boolean) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  r reorganization;
  seen jsonb; n int;
  whole boolean; over_all boolean;
BEGIN
  SELECT * INTO r FROM reorganization x WHERE x.id = ref;
  SELECT coalesce(jsonb_agg(o.code ORDER BY o.scope_key), '[]'), count(*) INTO seen, n
  FROM reorganization_unit u JOIN organization o ON o.id = u.organization_id
  WHERE u.reorganization_id = r.id AND NOT u.parent AND (operator OR u.scope_key <@ area());
  IF n = 0 AND NOT EXISTS (SELECT FROM reorganization_unit u WHERE u.reorganization_id = r.id AND (operator OR u.scope_key <@ area())) THEN
    RETURN NULL;
  END IF;
  whole := operator OR (n = r.units AND NOT EXISTS (SELECT FROM reorganization_named(r) k WHERE NOT (k <@ area() OR me_seat_key() ^@ k)));
  over_all := operator OR (whole AND me_role() IN ('manager', 'administrator', 'connector')
    AND NOT EXISTS (SELECT FROM reorganization_named(r) k WHERE NOT (k <@ area() OR may_reorganize(k))));
  RETURN jsonb_build_object('id', r.id, 'decision', r.decision, 'title', r.title, 'effective_on', r.effective_on,
    'state', reorganization_state(r.effective_on, r.reverted_at, r.stuck), 'made_up', r.made_up, 'note', r.note,
    'organizations', seen, 'whole', whole,
    'steps', CASE WHEN whole THEN r.steps END, 'carry', r.carry, 'impact', CASE WHEN over_all THEN r.impact END,
    'reverted_at', tstz(r.reverted_at), 'stuck', CASE WHEN over_all THEN r.stuck END, 'revert_reason', r.revert_reason, 'version', r.version,
    'created_at', tstz(r.created_at), 'updated_at', tstz(r.updated_at));
END $$;
CREATE FUNCTION reorganization_json(ref uuid) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN reorganization_shown(ref, false);
END $$;

-- Tries or does it. A trial goes through everything, and takes it back. (A state that ends in 000 would stand for its whole class.)
CREATE FUNCTION reorganization_create(new_id uuid, body jsonb, dry_run boolean, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  done record;
BEGIN
  IF me_permission() IS DISTINCT FROM 'reorganizations:write' THEN PERFORM fail(403, 'forbidden'); END IF;
  IF coalesce(dry_run, false) THEN
    BEGIN
      done := reorganization_apply(new_id, body, request_id);
      RAISE EXCEPTION USING ERRCODE = 'TD999', MESSAGE = 'taken back';
    EXCEPTION WHEN SQLSTATE 'TD999' THEN
      NULL;
    END;
    RETURN QUERY SELECT 200, NULL::text, NULL::text, jsonb_build_object('dry_run', true, 'effective_on', (done.w).day, 'impact', done.impact)::text;
    RETURN;
  END IF;
  PERFORM tree_lock_alone();
  done := reorganization_apply(new_id, body, request_id);
  PERFORM reorganization_journal('create', new_id, request_id);
  RETURN QUERY SELECT 201, '1', '/v1/reorganizations/' || new_id, reorganization_json(new_id)::text;
END $$;
-- By the installation's operator, whom nobody entered: any root. For the owner alone.
CREATE FUNCTION reorganize(new_id uuid, body jsonb, dry_run boolean) RETURNS text LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  done record;
BEGIN
  PERFORM tree_change_lock(), tree_lock_alone();
  done := reorganization_apply(new_id, body, NULL);
  IF dry_run THEN
    RAISE EXCEPTION USING ERRCODE = 'TD999', MESSAGE = 'taken back', DETAIL = done.impact::text;
  END IF;
  PERFORM reorganization_journal('create', new_id, NULL);
  RETURN reorganization_shown(new_id, true)::text;
END $$;

-- ---- taking it back ----------------------------------------------------------------------------------------
-- What has been built on a reorganization since.
CREATE FUNCTION reorganization_dependants(r reorganization) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(fault('#', 'depends', d.what) ORDER BY d.what), '[]') FROM (
    SELECT format('%s has been changed since', o.code) AS what
    FROM jsonb_each(r.after) a JOIN organization o ON o.id = a.key::uuid WHERE unit_image(o.id) <> a.value
    UNION ALL
    SELECT format('%s has been removed since', a.key) FROM jsonb_object_keys(r.after) a(key) WHERE NOT EXISTS (SELECT FROM organization o WHERE o.id = a.key::uuid)
    UNION ALL
    SELECT format('%s, which it established, has %s', o.code, x.what)
    FROM organization o, LATERAL (
      SELECT 'values' AS what WHERE EXISTS (SELECT FROM value v WHERE v.scope_key = o.scope_key)
      UNION ALL SELECT 'accounts' WHERE EXISTS (SELECT FROM account a WHERE a.organization_id = o.id)
      UNION ALL SELECT 'clients' WHERE EXISTS (SELECT FROM client c WHERE c.organization_id = o.id)
      UNION ALL SELECT 'grants' WHERE EXISTS (SELECT FROM access_grant g WHERE g.organization_id = o.id)
      UNION ALL SELECT 'mandates' WHERE EXISTS (SELECT FROM mandate m WHERE o.id IN (m.giver_id, m.unit_id, m.over_id))
      UNION ALL SELECT 'assignments' WHERE EXISTS (SELECT FROM assignment a WHERE o.id IN (a.organization_id, a.under_id))
      UNION ALL SELECT 'targets' WHERE EXISTS (SELECT FROM target t WHERE t.organization_id = o.id)
      UNION ALL SELECT 'a predecessor or a successor' WHERE EXISTS (SELECT FROM organization_lineage l
        WHERE o.id IN (l.predecessor_id, l.successor_id) AND l.reorganization_id <> r.id)
      UNION ALL SELECT 'history that is kept apart' WHERE EXISTS (SELECT FROM organization_carry c
        WHERE o.id IN (c.predecessor_id, c.organization_id) AND c.reorganization_id <> r.id)
      UNION ALL SELECT 'ended what others hold' WHERE EXISTS (SELECT FROM access_grant g WHERE g.revoked_seat = o.id)
        OR EXISTS (SELECT FROM mandate m WHERE m.ended_seat = o.id)
      UNION ALL SELECT 'had values' WHERE EXISTS (SELECT FROM value_revision v WHERE v.scope_key = o.scope_key AND v.state = 'deleted')
      UNION ALL SELECT 'programmes' WHERE EXISTS (SELECT FROM programme p WHERE o.id IN (p.owner_id, p.scope_id))
      UNION ALL SELECT 'units below it' WHERE EXISTS (SELECT FROM organization_span s WHERE s.parent_id = o.id AND NOT r.after ? s.organization_id::text)) x
    WHERE o.id = ANY (r.established)) d);
END $$;

-- Puts the units' spans and identifiers back as they were.
CREATE FUNCTION reorganization_undo(r reorganization, request_id text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  units uuid[] := ARRAY(SELECT k::uuid FROM jsonb_object_keys(r.before) k);
BEGIN
  PERFORM set_config('tiendo.reorganizing', 'on', true);
  DELETE FROM organization_carry c WHERE c.reorganization_id = r.id;
  DELETE FROM organization_lineage l WHERE l.reorganization_id = r.id;
  DELETE FROM organization_span s WHERE s.organization_id = ANY (units || r.established);
  DELETE FROM organization_identifier i WHERE i.organization_id = ANY (units || r.established);
  INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id, reason)
  SELECT o.id, o.scope_key, (s ->> 0)::daterange, s ->> 1, s ->> 2, (s ->> 3)::uuid, s ->> 4
  FROM jsonb_each(r.before) b JOIN organization o ON o.id = b.key::uuid, jsonb_array_elements(b.value -> 'spans') s;
  INSERT INTO organization_identifier (organization_id, scope_key, scheme, value, validity)
  SELECT o.id, o.scope_key, i ->> 0, i ->> 1, (i ->> 2)::daterange
  FROM jsonb_each(r.before) b JOIN organization o ON o.id = b.key::uuid, jsonb_array_elements(nullif(b.value -> 'identifiers', 'null')) i;
  -- a unit that it had established goes once nothing hangs on it
  PERFORM tree_settle(units, r.effective_on, 'revert', request_id);
  DELETE FROM assignment_unit u WHERE u.organization_id = ANY (r.established);
  DELETE FROM organization_closure c WHERE c.descendant_id = ANY (r.established) OR c.ancestor_id = ANY (r.established);
  DELETE FROM organization_former_key f WHERE f.organization_id = ANY (r.established);
  DELETE FROM rollup x USING organization o WHERE o.id = ANY (r.established) AND x.scope_key = o.scope_key;
  DELETE FROM assignment_count x USING organization o WHERE o.id = ANY (r.established) AND x.scope_key = o.scope_key;
  PERFORM journal('delete', 'organization', o.id, o.version + 1, o.scope_key, unit_brief(o.id), NULL, request_id)
  FROM organization o WHERE o.id = ANY (r.established);
  -- what it established is seen no more: those above it go on reading of it
  INSERT INTO reorganization_unit SELECT DISTINCT r.id, p.id, p.scope_key, true FROM organization o JOIN organization p ON p.id = o.parent_id
  WHERE o.id = ANY (r.established) AND p.id <> ALL (r.established) ON CONFLICT DO NOTHING;
  INSERT INTO organization_removed (scope_key) SELECT o.scope_key FROM organization o WHERE o.id = ANY (r.established) ON CONFLICT DO NOTHING;
  DELETE FROM organization o WHERE o.id = ANY (r.established);
  DELETE FROM reorganization_unit u WHERE u.reorganization_id = r.id AND u.organization_id = ANY (r.established);
END $$;

CREATE FUNCTION reorganization_revert(ref text, body jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  r reorganization;
  depends jsonb;
BEGIN
  IF me_permission() IS DISTINCT FROM 'reorganizations:write' THEN PERFORM fail(403, 'forbidden'); END IF;
  PERFORM tree_lock_alone();
  SELECT * INTO r FROM reorganization x WHERE is_uuid(ref) AND x.id = ref::uuid
    AND EXISTS (SELECT FROM reorganization_unit y WHERE y.reorganization_id = x.id AND y.scope_key <@ area());
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  -- What needed a right above a unit's old and new place needs it to be undone. (Who only took over, or took in, was not changed itself.)
  IF EXISTS (SELECT FROM reorganization_unit y JOIN organization x ON x.id = y.organization_id
        WHERE y.reorganization_id = r.id AND r.after -> x.id::text IS DISTINCT FROM r.before -> x.id::text AND NOT may_change(x, r.effective_on))
      OR EXISTS (SELECT FROM (SELECT b.value FROM jsonb_each(r.before) b UNION ALL SELECT a.value FROM jsonb_each(r.after) a) x,
        jsonb_array_elements(x.value -> 'spans') s JOIN organization p ON p.id = (s ->> 3)::uuid
      WHERE (s ->> 0)::daterange && daterange(least(r.effective_on, today()), NULL) AND NOT may_reorganize(p.scope_key))
      OR EXISTS (SELECT FROM organization_lineage l JOIN organization p ON p.id = l.successor_id WHERE l.reorganization_id = r.id AND NOT may_reorganize(p.scope_key)) THEN
    PERFORM fail(403, 'forbidden', NULL, 'A reorganization is taken back by who may change every unit it concerns.');
  END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  IF if_match <> '*' AND r.version::text <> ALL (string_to_array(if_match, ',')) THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF r.reverted_at IS NOT NULL THEN PERFORM fail(409, 'already_reverted'); END IF;
  depends := reorganization_dependants(r);
  IF jsonb_array_length(depends) > 0 THEN PERFORM fail(409, 'has_dependants', depends); END IF;
  PERFORM reorganization_undo(r, request_id);
  UPDATE reorganization x SET reverted_at = clock_now(), revert_reason = body ->> 'reason', version = x.version + 1, updated_at = clock_now(),
    units = (SELECT count(*) FROM reorganization_unit y WHERE y.reorganization_id = r.id AND NOT y.parent)
  WHERE x.id = r.id RETURNING * INTO r;
  body_out := reorganization_json(r.id)::text;
  PERFORM reorganization_journal('revert', r.id, request_id);
  RETURN QUERY SELECT 200, r.version::text, NULL::text, body_out;
END $$;

GRANT EXECUTE ON FUNCTION reorganization_state(date, timestamptz, text), reorganization_json(uuid), reorganization_create(uuid, jsonb, boolean, text),
  reorganization_revert(text, jsonb, text, text) TO tiendo_service;
