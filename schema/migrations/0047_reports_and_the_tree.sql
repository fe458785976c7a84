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

-- ---- definitions ---------------------------------------------------------------------------------------------
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

-- Decisions recorded before there were reports touched none.
UPDATE reorganization SET impact = impact || '{"reports": {"open": {}, "passing": [], "no_longer_expected": 0, "newly_expected": 0}}' WHERE NOT impact ? 'reports';
