-- Reports and a tree that changes: what a decision makes owed, and no longer owed, is brought in line with it, for days to come as well;
-- what is open of an ended unit stays under its name, and its successors write it (me_seats); what is addressed to one goes to who followed.
SET search_path = tiendo, public;

-- Those who follow a decision from a day on: the units it concerns, and all below what it moves. Duties addressed to them, or to whom they
-- were before, are looked at by the background.
CREATE FUNCTION reports_follow(units uuid[], day date) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE concerned uuid[] := ARRAY(SELECT DISTINCT u FROM unnest(units) u);
BEGIN
  IF NOT EXISTS (SELECT FROM report_duty) THEN RETURN; END IF;
  PERFORM report_settle_units(concerned, day), reports_readdress();
  INSERT INTO report_mark (duty_id)
  SELECT d.id FROM report_duty d WHERE d.to_id = ANY (concerned)
  UNION SELECT r.duty_id FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE r.recipient_id = ANY (concerned) AND NOT d.to_parent;
END $$;

-- ---- keys and codes ------------------------------------------------------------------------------------------
-- As before (0024): duties and reports have keys too, and a duty's code is one of its root's.
CREATE OR REPLACE FUNCTION rekey(unit uuid, new_key text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  old_key text := (SELECT o.scope_key FROM organization o WHERE o.id = unit);
  old_root uuid := (SELECT o.root_id FROM organization o WHERE o.id = unit);
  new_root uuid := coalesce((SELECT o.root_id FROM organization o WHERE o.scope_key = left(new_key, -6)), unit);
  at int := length(old_key) + 1;
  t text;
BEGIN
  PERFORM rollup_fold_all(), rollup_move(old_key, new_key), recount_begin('rekey');
  -- what this subtree, or what it once was part of, is called in the journal
  INSERT INTO organization_former_key
  SELECT DISTINCT f.former || substr(old_key, length(a.scope_key) + 1), unit
  FROM organization a JOIN organization_former_key f ON f.organization_id = a.id
  WHERE a.scope_key = ANY (ancestor_keys(old_key))
  ON CONFLICT DO NOTHING;
  INSERT INTO organization_former_key VALUES (old_key, unit) ON CONFLICT DO NOTHING;

  UPDATE organization o SET scope_key = new_key || substr(o.scope_key, at), root_id = CASE o.root_id WHEN old_root THEN new_root ELSE o.root_id END
  WHERE o.scope_key >= old_key AND o.scope_key < old_key || '~';
  PERFORM rekey_values(old_key, new_key);
  FOREACH t IN ARRAY ARRAY['account', 'client', 'access_grant', 'mandate', 'rollup', 'assignment', 'target',
      'programme', 'programme_pillar', 'indicator', 'report_duty', 'report', 'reminder', 'reorganization_unit', 'organization_removed'] LOOP
    EXECUTE format('UPDATE %I SET scope_key = $2 || substr(scope_key, $3) WHERE scope_key >= $1 AND scope_key < $1 || ''~''', t)
      USING old_key, new_key, at;
  END LOOP;
  UPDATE organization_span s SET scope_key = o.scope_key FROM organization o
  WHERE o.scope_key >= new_key AND o.scope_key < new_key || '~' AND s.organization_id = o.id;
  UPDATE organization_closure c SET scope_key = o.scope_key FROM organization o
  WHERE o.scope_key >= new_key AND o.scope_key < new_key || '~' AND c.descendant_id = o.id;
  UPDATE organization_identifier i SET scope_key = o.scope_key FROM organization o
  WHERE o.scope_key >= new_key AND o.scope_key < new_key || '~' AND i.organization_id = o.id;
  WITH gone AS (
    DELETE FROM assignment_unit u WHERE u.scope_key >= old_key AND u.scope_key < old_key || '~' RETURNING u.*
  )
  INSERT INTO assignment_unit (assignment_id, indicator_id, programme_id, organization_id, scope_key, mode, entered_by, source, client_id, validity, counted)
  SELECT assignment_id, indicator_id, programme_id, organization_id, new_key || substr(scope_key, at), mode, entered_by, source, client_id, validity, counted
  FROM gone;
  DELETE FROM assignment_count c WHERE c.scope_key >= old_key AND c.scope_key < old_key || '~' AND c.units = 0;
  IF new_root <> old_root THEN
    UPDATE programme p SET root_id = new_root FROM organization o WHERE o.id = p.owner_id AND p.root_id = old_root AND o.root_id = new_root;
    UPDATE indicator i SET root_id = p.root_id FROM programme p WHERE p.id = i.programme_id AND i.root_id <> p.root_id;
    UPDATE report_duty d SET root_id = p.root_id FROM programme p WHERE p.id = d.programme_id AND d.root_id <> p.root_id;
  END IF;
  DELETE FROM organization_former_key f USING organization o
  WHERE f.former = new_key AND f.organization_id = o.id AND o.scope_key = f.former;
  PERFORM recount_end();
END $$;

-- The unit at which a definition set over this one holds: itself, or in the end its one successor.
CREATE FUNCTION definition_holder(unit uuid) RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  holder uuid := unit;
  heir uuid;
BEGIN
  LOOP
    heir := (SELECT (array_agg(l.successor_id))[1] FROM organization_lineage l JOIN organization e ON e.id = l.predecessor_id
      WHERE e.id = holder AND e.valid_to < today() AND l.on_day > e.valid_to HAVING count(*) = 1);
    EXIT WHEN heir IS NULL;
    holder := heir;
  END LOOP;
  RETURN holder;
END $$;
-- As before (0024), and duties.
CREATE OR REPLACE FUNCTION definitions_follow() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  p record;
  d record;
  holder uuid;
BEGIN
  FOR p IN SELECT x.id, x.scope_id, x.scope_key FROM programme x JOIN organization o ON o.id = x.scope_id
      WHERE o.valid_to IS NOT NULL OR o.scope_key <> x.scope_key LOOP
    holder := definition_holder(p.scope_id);
    UPDATE programme x SET scope_key = o.scope_key FROM organization o WHERE x.id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
    UPDATE programme_pillar x SET scope_key = o.scope_key FROM organization o WHERE x.programme_id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
    UPDATE indicator x SET scope_key = o.scope_key FROM organization o WHERE x.programme_id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
  END LOOP;
  -- a duty lies where its own unit does, which may be below its programme's
  FOR d IN SELECT x.id, x.scope_id FROM report_duty x JOIN organization o ON o.id = x.scope_id
      WHERE o.valid_to IS NOT NULL OR o.scope_key <> x.scope_key LOOP
    holder := definition_holder(d.scope_id);
    UPDATE report_duty x SET scope_key = o.scope_key FROM organization o WHERE x.id = d.id AND o.id = holder AND x.scope_key <> o.scope_key;
  END LOOP;
END $$;
-- As before (0025), and the codes of duties.
CREATE OR REPLACE FUNCTION refuse_clashes(units uuid[], day date) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE faults jsonb;
BEGIN
  WITH above AS (
    -- its own line's root, or, where it has ended for one heir, that one's
    SELECT u AS unit, coalesce(root_on(u, day), (SELECT root_on((array_agg(l.successor_id))[1], day) FROM organization_lineage l
      WHERE l.predecessor_id = u AND l.on_day <= day HAVING count(*) = 1)) AS root_id
    FROM unnest(units) u
  ), joins AS (
    SELECT DISTINCT o.id, o.code::text AS code, o.root_id AS was, a.root_id
    FROM above a JOIN organization t ON t.id = a.unit JOIN organization o ON o.scope_key >= t.scope_key AND o.scope_key < t.scope_key || '~'
    WHERE a.root_id <> t.root_id AND a.unit <> a.root_id
  )
  SELECT jsonb_agg(fault('#/steps', 'code_taken', format('%s is taken in %s', x.code, x.root_code)) ORDER BY x.code) INTO faults FROM (
    SELECT j.code, r.code AS root_code FROM joins j JOIN organization o ON o.root_id = j.root_id AND o.code = j.code JOIN organization r ON r.id = j.root_id
    UNION SELECT p.code, r.code FROM joins j JOIN programme p ON p.owner_id = j.id AND p.root_id = j.was
      JOIN programme q ON q.root_id = j.root_id AND q.code = p.code JOIN organization r ON r.id = j.root_id
    UNION SELECT i.code, r.code FROM joins j JOIN programme p ON p.owner_id = j.id AND p.root_id = j.was JOIN indicator i ON i.programme_id = p.id
      JOIN indicator k ON k.root_id = j.root_id AND k.code = i.code JOIN organization r ON r.id = j.root_id
    UNION SELECT d.code, r.code FROM joins j JOIN programme p ON p.owner_id = j.id AND p.root_id = j.was JOIN report_duty d ON d.programme_id = p.id
      JOIN report_duty k ON k.root_id = j.root_id AND k.code = d.code JOIN organization r ON r.id = j.root_id
    ORDER BY 1 LIMIT 100) x;
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
END $$;

-- ---- settling ------------------------------------------------------------------------------------------------
-- As before (0025); reports follow last, when everything else is as it will be.
CREATE OR REPLACE FUNCTION tree_settle(units uuid[], day date, action text, request_id text) RETURNS int LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  -- on its day a decision stands in the closure already: all its units are looked at
  replaced uuid[] := CASE action WHEN 'take_effect' THEN units ELSE units_replaced(units) END;
  -- whose line changes with theirs
  below uuid[] := ARRAY(SELECT DISTINCT c.descendant_id FROM organization_closure c WHERE c.ancestor_id = ANY (replaced) AND c.validity && daterange(day, NULL));
  roots uuid[];
  moved int;
  faults text;
BEGIN
  PERFORM set_config('tiendo.reorganizing', 'on', true);
  BEGIN
    PERFORM closure_refresh(replaced);
  EXCEPTION WHEN SQLSTATE 'TD422' THEN  -- it speaks of a unit's parent, whoever wrote the span; here it is the steps
    GET STACKED DIAGNOSTICS faults = PG_EXCEPTION_DETAIL;
    PERFORM fail(422, 'invalid', replace(faults, '"#/parent"', '"#/steps"')::jsonb);
  END;
  PERFORM orphans_refuse(units, '#/steps'), refuse_clashes(units, day), organization_sync(units, action, request_id);
  roots := ARRAY(SELECT DISTINCT o.root_id FROM organization o WHERE o.id = ANY (units));
  -- an ended unit follows its successor, so those are looked at too
  moved := organization_place_all(ARRAY(
    SELECT u FROM unnest(units) u UNION SELECT l.predecessor_id FROM organization_lineage l WHERE l.successor_id = ANY (units)), request_id);
  PERFORM assignment_settle(replaced), assignment_settle_kinds(ARRAY(SELECT u FROM unnest(units) u WHERE u <> ALL (replaced)));
  IF cardinality(replaced) > 0 OR moved > 0 THEN
    PERFORM heritage_refresh(ARRAY(SELECT unnest(roots) UNION SELECT DISTINCT o.root_id FROM organization o WHERE o.id = ANY (units))), definitions_follow();
  END IF;
  IF action = 'take_effect' THEN
    PERFORM reports_readdress();  -- what is owed by whom was known when it was decided
  ELSE
    PERFORM reports_follow(units || below || ARRAY(SELECT DISTINCT c.descendant_id FROM organization_closure c
      WHERE c.ancestor_id = ANY (replaced) AND c.validity && daterange(day, NULL)), day);
  END IF;
  PERFORM set_config('tiendo.reorganizing', '', true);
  RETURN moved;
END $$;
-- ---- what a decision does to reports ---------------------------------------------------------------------------
-- Open reports of units that end pass to their successors; and what this transaction, which has settled it all, says it took away and made.
CREATE FUNCTION impact_reports(w reorganization_work, ended uuid[]) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  passing uuid[] := ARRAY(SELECT r.id FROM report r WHERE r.organization_id = ANY (ended) AND r.state IN ('expected', 'draft', 'returned', 'submitted', 'amending'));
BEGIN
  RETURN jsonb_build_object(
    'open', (SELECT coalesce(jsonb_object_agg(x.state, x.n), '{}') FROM (SELECT r.state, count(*) AS n FROM report r WHERE r.id = ANY (passing) GROUP BY 1) x),
    'passing', (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', x.organization_code, 'duty', x.duty, 'period', x.period_code, 'state', x.state,
        'to', (SELECT coalesce(jsonb_agg(s.code ORDER BY s.code), '[]') FROM organization_lineage l JOIN organization s ON s.id = l.successor_id
          WHERE l.predecessor_id = x.organization_id AND l.reorganization_id = w.id)) ORDER BY x.organization_code, x.duty, x.due_on), '[]')
      FROM (SELECT r.organization_id, r.organization_code, d.code AS duty, r.period_code, r.state, r.due_on
        FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE r.id = ANY (passing) ORDER BY 2, 3, 6 LIMIT 200) x),
    'no_longer_expected', (SELECT count(*) FROM journal j WHERE j.xid = pg_current_xact_id() AND j.resource_type = 'report' AND j.action IN ('delete', 'withdraw')),
    'newly_expected', (SELECT count(*) FROM journal j WHERE j.xid = pg_current_xact_id() AND j.resource_type = 'report' AND j.action IN ('create', 'restore')));
END $$;
-- As before (0027), and the reports.
CREATE OR REPLACE FUNCTION reorganization_impact(w reorganization_work) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
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
        WHERE t.organization_id = ANY (ended) AND coalesce(t.due_on >= w.day, true) ORDER BY 2, 3 LIMIT 200) x),
    'reports', impact_reports(w, ended)) || affected;
END $$;

-- ---- taking it back ----------------------------------------------------------------------------------------
-- As before (0027): duties and reports that something was done with hold a unit, others go with it.
CREATE OR REPLACE FUNCTION reorganization_dependants(r reorganization) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
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
      UNION ALL SELECT 'report duties' WHERE EXISTS (SELECT FROM report_duty d WHERE o.id IN (d.under_id, d.to_id, d.scope_id) OR o.id = ANY (d.copy_ids))
        OR EXISTS (SELECT FROM report_duty_organization d WHERE d.organization_id = o.id)
      UNION ALL SELECT 'reports' WHERE EXISTS (SELECT FROM report y WHERE y.organization_id = o.id AND reports_untouched(ARRAY[y.id]) = '{}')
        OR EXISTS (SELECT FROM report y WHERE y.recipient_id = o.id AND y.state NOT IN ('expected', 'draft', 'returned'))
      UNION ALL SELECT 'reminders' WHERE EXISTS (SELECT FROM reminder m WHERE o.id IN (m.to_id, m.seat_id) AND m.kind = 'manual')
      UNION ALL SELECT 'units below it' WHERE EXISTS (SELECT FROM organization_span s WHERE s.parent_id = o.id AND NOT r.after ? s.organization_id::text)) x
    WHERE o.id = ANY (r.established)) d);
END $$;
CREATE OR REPLACE FUNCTION reorganization_undo(r reorganization, request_id text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
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
  PERFORM report_settle_units(r.established, NULL);
  DELETE FROM reminder m WHERE m.to_id = ANY (r.established) AND m.kind <> 'manual';
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

-- Decisions recorded before there were reports touched none.
UPDATE reorganization SET impact = impact || '{"reports": {"open": {}, "passing": [], "no_longer_expected": 0, "newly_expected": 0}}' WHERE NOT impact ? 'reports';
