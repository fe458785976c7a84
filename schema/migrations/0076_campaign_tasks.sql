-- Tasks of campaigns, beside those of 0055: what units are to do soon or should have done, activities that are late, values that activities propose, what
-- is proposed for recognition or came back.
SET search_path = tiendo, public;

CREATE INDEX recognition_open ON recognition (scope_key, campaign_id) WHERE state IN ('proposed', 'returned');

-- ---- whose units -------------------------------------------------------------------------------------------
-- The places whose work in a campaign falls to the seat: its own units'; and, where the campaign lets superiors enter, those below that have nobody to do it,
-- nor has a unit between.
CREATE FUNCTION task_places(own boolean) RETURNS SETOF keyrange LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 5 AS $$
DECLARE key text := me_seat_key();
BEGIN
  IF own THEN
    RETURN QUERY SELECT keyrange(o.scope_key, o.scope_key || '!') FROM unnest(me_seats()) s JOIN organization o ON o.id = s;
  ELSE
    RETURN QUERY SELECT a FROM unnest(keymultirange(keyrange(key || '0', key || '~')) - coalesce((SELECT range_agg(keyrange(g.scope_key, g.scope_key || '~'))
      FROM access_grant g
      WHERE g.scope_key > key AND g.scope_key < key || '~' AND g.role IN ('reporter', 'approver', 'manager') AND g.revoked_at IS NULL
        AND g.valid_from <= today() AND (g.valid_to IS NULL OR g.valid_to >= today())), '{}')) a;
  END IF;
END $$;

-- The units whose work in the phases of active campaigns falls to the seat, where something may be due within a week or late: all of its own; of those below, by what
-- is kept of them, two hundred of a phase at most, in tree order, so that a whole province with nobody in it is a page and no burden.
CREATE FUNCTION task_campaign_units() RETURNS TABLE (phase_id uuid, campaign_id uuid, scope_key text) LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
#variable_conflict use_column
DECLARE
  day date := today();
  mine text[] COLLATE "C" := ARRAY(SELECT o.scope_key FROM unnest(me_seats()) s JOIN organization o ON o.id = s);
BEGIN
  RETURN QUERY
  SELECT f.id, c.id, m.key COLLATE "C" FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id, unnest(mine) m(key)
  WHERE c.status = 'active' AND m.key ^@ c.scope_key
  UNION ALL
  SELECT f.id, c.id, u.scope_key
  FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id CROSS JOIN LATERAL (
    SELECT x.scope_key FROM (
      SELECT s.scope_key FROM task_places(false) p JOIN campaign_standing s ON s.phase_id = f.id AND s.scope_key >= lower(p) AND s.scope_key < upper(p)
      WHERE s.assignments_late > 0 OR s.activities_late > 0 OR s.until_on <= day + 8
      UNION
      SELECT m.scope_key FROM task_places(false) p JOIN campaign_standing_mark m ON m.phase_id = f.id AND m.scope_key >= lower(p) AND m.scope_key < upper(p)) x
    WHERE x.scope_key ^@ c.scope_key AND x.scope_key <> ALL (mine)
    ORDER BY x.scope_key LIMIT 200) u
  WHERE c.status = 'active' AND c.entered_by = 'superior';
END $$;

-- ---- the lists ---------------------------------------------------------------------------------------------
-- What a unit was to have done of a kind within a week from now, and has not: one task a unit, phase and kind, named by the first assignment that is not met.
CREATE FUNCTION task_assignments() RETURNS TABLE (t task, campaign text, phase text) LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
#variable_conflict use_column
DECLARE soon date := today() + 7;
BEGIN
  IF NOT task_may('activities:write') THEN RETURN; END IF;
  RETURN QUERY
  WITH owed AS MATERIALIZED (
    SELECT a.id, a.campaign_id, a.phase_id, a.organization_id, a.scope_key, a.kind, a.due_on,
      sum(a.quantity) OVER (PARTITION BY a.phase_id, a.scope_key, a.kind ORDER BY a.due_on, a.id) AS so_far
    FROM task_campaign_units() w JOIN campaign_assignment a ON a.phase_id = w.phase_id AND a.scope_key = w.scope_key
    WHERE a.due_on <= soon AND a.quantity > 0 AND a.handed_with IS NULL
  ), cell AS (
    SELECT o.phase_id, o.scope_key, o.kind, max(o.so_far) AS wanted, coalesce((SELECT sum(s.done) FROM activity_sum s
        WHERE s.phase_id = o.phase_id AND s.scope_key = o.scope_key AND s.kind = o.kind), 0) + coalesce((SELECT sum(d.done) FROM activity_delta d
        WHERE d.phase_id = o.phase_id AND d.scope_key = o.scope_key AND d.kind = o.kind), 0) AS done
    FROM owed o GROUP BY 1, 2, 3
  ), first AS (
    SELECT DISTINCT ON (o.phase_id, o.scope_key, o.kind) o.*, (e.wanted - e.done)::int AS missing
    FROM cell e JOIN owed o ON o.phase_id = e.phase_id AND o.scope_key = e.scope_key AND o.kind = e.kind AND o.so_far > e.done
    WHERE e.wanted > e.done
    ORDER BY o.phase_id, o.scope_key, o.kind, o.due_on, o.id
  )
  SELECT ROW(k.id, 'assignment', coalesce((SELECT m.name FROM campaign_term m WHERE m.list = 'activity_kind' AND m.code = f.kind
      AND (m.root_id IS NULL OR m.root_id = c.root_id) ORDER BY m.root_id NULLS LAST LIMIT 1), f.kind), u.code, u.name, g.code, NULL, NULL, NULL, f.due_on,
      f.due_on < today(), f.missing, NULL, NULL, NULL, r.task IS NOT NULL, task_urgency(f.due_on, 3, NULL, u.code || ' ' || f.kind),
      concat('/v1/campaigns/', url_encode(c.code), '/assignments?organization=', url_encode(u.code), '&phase=', url_encode(h.code), '&kind=', f.kind))::task,
    c.code::text, h.code::text
  FROM first f CROSS JOIN LATERAL (SELECT concat_ws('.', 'assignment', f.id, to_char(f.due_on, 'YYYYMMDD')) AS id) k
    JOIN campaign c ON c.id = f.campaign_id JOIN campaign_phase h ON h.id = f.phase_id JOIN programme g ON g.id = c.programme_id
    JOIN organization u ON u.id = f.organization_id
    LEFT JOIN task_read r ON r.account_id = me_account() AND r.task = k.id;
END $$;

-- Activities whose last day has passed and that are not done: one task a unit and campaign.
CREATE FUNCTION task_activities() RETURNS TABLE (t task, campaign text, phase text) LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
#variable_conflict use_column
BEGIN
  IF NOT task_may('activities:write') THEN RETURN; END IF;
  RETURN QUERY
  WITH late AS (
    SELECT a.campaign_id, a.organization_id, count(*)::int AS missing, min(a.ends_on) AS first_on, max(a.ends_on) AS last_on
    FROM task_campaign_units() w JOIN activity a ON a.phase_id = w.phase_id AND a.scope_key = w.scope_key
    WHERE a.status IN ('planned', 'under_way', 'postponed') AND a.ends_on < (SELECT today())
    GROUP BY 1, 2
  )
  SELECT ROW(k.id, 'activity', c.title, u.code, u.name, g.code, NULL, NULL, NULL, l.first_on, true, l.missing, NULL, NULL, NULL, r.task IS NOT NULL,
      task_urgency(l.first_on, 4, NULL, u.code || ' ' || c.code), concat('/v1/activities?campaign=', url_encode(c.code), '&organization=', url_encode(u.code), '&late=true'))::task,
    c.code::text, NULL::text
  FROM late l CROSS JOIN LATERAL (SELECT concat_ws('.', 'activity', l.organization_id, l.campaign_id, to_char(l.last_on, 'YYYYMMDD')) AS id) k
    JOIN campaign c ON c.id = l.campaign_id JOIN programme g ON g.id = c.programme_id JOIN organization u ON u.id = l.organization_id
    LEFT JOIN task_read r ON r.account_id = me_account() AND r.task = k.id;
END $$;
CREATE INDEX activity_proposal_waiting ON activity_proposal (scope_key, activity_id) WHERE state = 'proposed';

-- Values that activities propose, which nobody has confirmed or declined: one task a unit and campaign.
CREATE FUNCTION task_proposals() RETURNS TABLE (t task, campaign text, phase text) LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
#variable_conflict use_column
DECLARE seats uuid[] := me_seats();
BEGIN
  IF NOT task_may('values:write') THEN RETURN; END IF;
  RETURN QUERY
  WITH waiting AS (
    SELECT a.campaign_id, q.organization_id, count(*)::int AS missing, min(q.created_at) AS first_at, max(q.created_at) AS last_at
    FROM unnest(ARRAY[true, false]) own CROSS JOIN LATERAL (SELECT x.* FROM task_places(own) p
        JOIN activity_proposal x ON x.state = 'proposed' AND x.scope_key >= lower(p) AND x.scope_key < upper(p)
        WHERE own OR x.organization_id <> ALL (seats) ORDER BY x.scope_key, x.activity_id LIMIT 1000) q
      JOIN activity a ON a.id = q.activity_id
      JOIN campaign c ON c.id = a.campaign_id AND c.status = 'active' AND q.scope_key ^@ c.scope_key
      JOIN indicator i ON i.id = q.indicator_id JOIN period e ON e.id = q.period_id
    WHERE (own OR (SELECT x.entered_by FROM assignment_of(i.id, q.scope_key, e.ends_on) x) = 'superior')
    GROUP BY 1, 2
  )
  SELECT ROW(k.id, 'proposal', c.title, u.code, u.name, g.code, NULL, NULL, NULL, NULL, false, w.missing, NULL, NULL, w.first_at, r.task IS NOT NULL,
      task_urgency((w.first_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, 7, w.first_at, u.code || ' ' || c.code),
      concat('/v1/activities?campaign=', url_encode(c.code), '&organization=', url_encode(u.code), '&proposed=true'))::task,
    c.code::text, NULL::text
  FROM waiting w CROSS JOIN LATERAL (SELECT concat_ws('.', 'proposal', w.organization_id, w.campaign_id, extract(epoch FROM w.last_at)::bigint) AS id) k
    JOIN campaign c ON c.id = w.campaign_id JOIN programme g ON g.id = c.programme_id JOIN organization u ON u.id = w.organization_id
    LEFT JOIN task_read r ON r.account_id = me_account() AND r.task = k.id;
END $$;

-- What was proposed for recognition and is the seat's to decide on: from directly below, by mandate to review, or as the campaign's owner; not what the
-- account itself proposed. And what came back to the unit that proposed it.
CREATE FUNCTION task_recognitions() RETURNS TABLE (t task, campaign text, phase text) LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
#variable_conflict use_column
DECLARE
  seats uuid[] := me_seats();
  seat_key text := me_seat_key();
  mine uuid[] := ARRAY[me_account(), me_giver()];
  decides boolean := task_may('recognitions:write');
  writes boolean := task_may('activities:write');
BEGIN
  IF NOT decides AND NOT writes THEN RETURN; END IF;
  RETURN QUERY
  WITH area AS (
    -- where the seat decides: below itself as far as nobody nearer does, or as far as a mandate goes
    SELECT seat_key AS key, true AS direct, NULL::uuid AS programme_id
    UNION ALL
    SELECT o.scope_key, false, x.programme_id
    FROM organization s JOIN mandate x ON x.unit_id = s.id OR (x.unit_kind = s.kind AND s.parent_id IS NOT NULL)
      JOIN organization o ON o.id = coalesce(x.over_id, s.parent_id) AND o.scope_key ^@ x.scope_key
    WHERE s.id = me_seat() AND 'review' = ANY (x.functions) AND x.valid_from <= today() AND (x.valid_to IS NULL OR x.valid_to >= today())
  ), found AS (
    SELECT g.id, 'recognition' AS kind FROM area a JOIN recognition g ON g.scope_key >= a.key AND g.scope_key < a.key || '~'
      AND (NOT a.direct OR (g.scope_key <> a.key AND recognition_nobody_between(a.key, g.scope_key))) AND coalesce(g.programme_id = a.programme_id, true)
    WHERE decides AND g.state = 'proposed'
    UNION
    SELECT g.id, 'recognition' FROM campaign c JOIN recognition g ON g.campaign_id = c.id
    WHERE decides AND c.owner_id = ANY (seats) AND g.state = 'proposed'
    UNION
    SELECT g.id, 'recognition_returned' FROM unnest(ARRAY[true, false]) own, task_places(own) p, recognition g JOIN campaign c ON c.id = g.campaign_id
    WHERE writes AND g.scope_key >= lower(p) AND g.scope_key < upper(p) AND g.state = 'returned' AND c.status = 'active' AND (own OR c.entered_by = 'superior')
  )
  SELECT ROW(k.id, x.kind, g.title, g.organization_code, u.name, p.code, NULL, NULL, NULL, NULL, false, NULL,
      CASE x.kind WHEN 'recognition_returned' THEN g.reason END, NULL, g.updated_at, r.task IS NOT NULL,
      task_urgency((g.updated_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, 8, g.updated_at, g.organization_code), '/v1/recognitions/' || g.id)::task,
    c.code::text, (SELECT f.code::text FROM campaign_phase f WHERE f.id = g.phase_id)
  FROM found x JOIN recognition g ON g.id = x.id CROSS JOIN LATERAL (SELECT concat_ws('.', x.kind, g.id, g.version) AS id) k
    JOIN campaign c ON c.id = g.campaign_id JOIN programme p ON p.id = c.programme_id JOIN organization u ON u.id = g.organization_id
    LEFT JOIN task_read r ON r.account_id = me_account() AND r.task = k.id
  WHERE x.kind <> 'recognition' OR (g.organization_id <> ALL (seats)
    AND NOT coalesce(g.proposed_account_id = ANY (mine), false) AND NOT coalesce(g.proposed_giver_id = ANY (mine), false)
    AND NOT g.earlier_account_ids && mine);
END $$;

-- All there is.
CREATE FUNCTION all_tasks() RETURNS TABLE (t task, campaign text, phase text) LANGUAGE plpgsql STABLE ROWS 50 AS $$
BEGIN
  RETURN QUERY SELECT x::task, NULL::text, NULL::text FROM my_tasks() x;
  RETURN QUERY SELECT * FROM task_assignments();
  RETURN QUERY SELECT * FROM task_activities();
  RETURN QUERY SELECT * FROM task_proposals();
  RETURN QUERY SELECT * FROM task_recognitions();
END $$;

-- ---- what was read -----------------------------------------------------------------------------------------
-- Forgotten with what it was about.
CREATE FUNCTION task_read_gone_many() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  DELETE FROM task_read t USING gone g WHERE t.thing_id = g.id;
  RETURN NULL;
END $$;
CREATE TRIGGER task_read_gone AFTER DELETE ON campaign_assignment REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION task_read_gone_many();
CREATE TRIGGER task_read_gone AFTER DELETE ON recognition REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION task_read_gone_many();
CREATE TRIGGER task_read_over AFTER UPDATE ON recognition REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION task_read_gone_many();

-- As before (0055), with the tasks of campaigns.
CREATE OR REPLACE FUNCTION task_mark(task_id text, as_read boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  named text := split_part(task_id, '.', 1);
  mine text[];
BEGIN
  mine := CASE named WHEN 'enter' THEN ARRAY(SELECT t.id FROM task_enter() t)
    WHEN 'review' THEN ARRAY(SELECT t.id FROM task_review() t) WHEN 'return_requested' THEN ARRAY(SELECT t.id FROM task_review() t)
    WHEN 'reminder' THEN ARRAY(SELECT 'reminder.' || m.id FROM reminder m WHERE m.to_id = ANY (me_seats()) AND 'reminder.' || m.id = task_id)
    WHEN 'assignment' THEN ARRAY(SELECT (x.t).id FROM task_assignments() x) WHEN 'activity' THEN ARRAY(SELECT (x.t).id FROM task_activities() x)
    WHEN 'proposal' THEN ARRAY(SELECT (x.t).id FROM task_proposals() x)
    WHEN 'recognition' THEN ARRAY(SELECT (x.t).id FROM task_recognitions() x)
    WHEN 'recognition_returned' THEN ARRAY(SELECT (x.t).id FROM task_recognitions() x)
    ELSE ARRAY(SELECT t.id FROM task_write() t) END;
  IF me_account() IS NULL OR task_id <> ALL (mine) THEN PERFORM fail(404, 'not_found'); END IF;
  IF named IN ('enter', 'activity', 'proposal') THEN
    DELETE FROM task_read t USING organization o
    WHERE t.account_id = me_account() AND t.task LIKE named || '.%' AND t.task <> ALL (mine) AND o.id = t.thing_id AND o.scope_key ^@ me_seat_key();
  ELSIF named = 'assignment' THEN
    DELETE FROM task_read t USING campaign_assignment a
    WHERE t.account_id = me_account() AND t.task LIKE 'assignment.%' AND t.task <> ALL (mine) AND a.id = t.thing_id AND a.scope_key ^@ me_seat_key();
  END IF;
  IF as_read THEN
    INSERT INTO task_read (account_id, task, thing_id) VALUES (me_account(), task_id, split_part(task_id, '.', 2)::uuid) ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM task_read t WHERE t.account_id = me_account() AND t.task = task_id;
  END IF;
END $$;

GRANT EXECUTE ON FUNCTION task_places(boolean), task_campaign_units(), task_assignments(), task_activities(), task_proposals(), task_recognitions(), all_tasks() TO tiendo_service;
