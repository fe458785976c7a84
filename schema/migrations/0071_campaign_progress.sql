-- How a campaign advances: what was to be done and is, by unit and kind; which units and which people were reached; who stands where among its peers.
-- Figures stand on the tree of today, as all sums do. Who reads sees figures of what it sees: all of this runs under the caller's policies.
SET search_path = tiendo, public;

-- The organisations of the Party's own line: what "Party organisations reached" counts.
ALTER TABLE organization_kind ADD COLUMN party_organization boolean NOT NULL DEFAULT false;
UPDATE organization_kind SET party_organization = true WHERE code IN ('provincial_party_committee', 'city_party_committee',
  'directly_subordinate_party_committee', 'district_party_committee', 'town_party_committee', 'urban_district_party_committee',
  'grassroots_party_organization', 'grassroots_party_cell', 'party_cell');

-- What is late is looked for by unit.
DROP INDEX activity_open;
CREATE INDEX activity_open ON activity (phase_id, scope_key, ends_on) INCLUDE (kind, programme_id) WHERE status IN ('planned', 'under_way', 'postponed');

-- ---- what was handed on --------------------------------------------------------------------------------------
-- An assignment that was copied down counts where it was handed to, and no more at the unit itself. handed_with: the one under which it was copied, by itself or
-- together with others of its unit, phase, kind and day, as long as somebody has a copy.
ALTER TABLE campaign_assignment ADD COLUMN handed_with uuid;
CREATE INDEX campaign_assignment_handed ON campaign_assignment (handed_with) WHERE handed_with IS NOT NULL;
-- Makes that right for what copies were made of, and what they are no longer copies of. Those who take the last copies away go one after the other.
CREATE FUNCTION campaign_hand_on(copied uuid[], let_go uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF coalesce(cardinality(copied || let_go), 0) = 0 THEN RETURN; END IF;
  PERFORM FROM campaign_assignment a WHERE a.id = ANY (copied || let_go) ORDER BY a.id FOR NO KEY UPDATE;
  UPDATE campaign_assignment b SET handed_with = a.id FROM campaign_assignment a
  WHERE a.id = ANY (copied) AND b.phase_id = a.phase_id AND b.scope_key = a.scope_key AND b.kind = a.kind AND b.due_on = a.due_on AND b.handed_with IS NULL
    AND (b.id = a.id OR b.quantity > 0);
  UPDATE campaign_assignment b SET handed_with = NULL
  WHERE b.handed_with = ANY (let_go) AND NOT EXISTS (SELECT FROM campaign_assignment c WHERE c.copied_from = b.handed_with);
END $$;

-- How much of an assignment is done. What the unit did of the kind in the phase fills its assignments in the order of their days, each up to its quantity: so one
-- is short exactly where all that was done is less than all that was to be done by its day. What was handed on takes nothing of what the unit does: of it as
-- much is done as those it was handed to in the end have done of it.
CREATE FUNCTION campaign_assignment_done(a campaign_assignment) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE total bigint;
BEGIN
  IF a.handed_with IS NULL THEN
    total := coalesce((SELECT s.done FROM activity_sum s WHERE s.phase_id = a.phase_id AND s.scope_key = a.scope_key AND s.kind = a.kind), 0)
      + coalesce((SELECT sum(d.done) FROM activity_delta d WHERE d.phase_id = a.phase_id AND d.scope_key = a.scope_key AND d.kind = a.kind), 0);
    IF total > 0 THEN
      total := total - coalesce((SELECT sum(x.quantity) FROM campaign_assignment x WHERE x.phase_id = a.phase_id AND x.scope_key = a.scope_key
        AND x.kind = a.kind AND x.handed_with IS NULL AND (x.due_on, x.id) < (a.due_on, a.id)), 0);
    END IF;
  ELSE
    total := (WITH RECURSIVE taken AS (
      SELECT c AS copy, c.handed_with FROM campaign_assignment c WHERE c.copied_from = a.handed_with
      UNION
      SELECT c, c.handed_with FROM taken t JOIN campaign_assignment c ON c.copied_from = t.handed_with
    ) SELECT coalesce(sum(campaign_assignment_done(t.copy)), 0) FROM taken t WHERE t.handed_with IS NULL)
      -- (of those copied together the first is filled first)
      - coalesce((SELECT sum(x.quantity) FROM campaign_assignment x WHERE x.handed_with = a.handed_with AND x.id < a.id), 0);
  END IF;
  RETURN least(greatest(total, 0), a.quantity);
END $$;
-- The assignments of a campaign whose day has passed and which are not done: the same, of all at once.
CREATE FUNCTION campaign_assignments_late(campaign uuid) RETURNS SETOF uuid LANGUAGE plpgsql STABLE ROWS 1000 AS $$
BEGIN
  RETURN QUERY
    WITH due AS (
      SELECT a.id, a.phase_id, a.scope_key, a.kind, a.quantity,
        sum(a.quantity) OVER (PARTITION BY a.phase_id, a.scope_key, a.kind ORDER BY a.due_on, a.id) AS by_then
      FROM campaign_assignment a WHERE a.campaign_id = campaign AND a.due_on < (SELECT today()) AND a.handed_with IS NULL
    ), acted AS (
      SELECT s.phase_id, s.scope_key, s.kind, sum(s.done) AS done
      FROM (SELECT x.phase_id, x.scope_key, x.kind, x.done FROM activity_sum x WHERE x.campaign_id = campaign
        UNION ALL SELECT x.phase_id, x.scope_key, x.kind, x.done FROM activity_delta x WHERE x.campaign_id = campaign) s
      GROUP BY 1, 2, 3
    )
    SELECT d.id FROM due d LEFT JOIN acted t USING (phase_id, scope_key, kind) WHERE d.quantity > 0 AND coalesce(t.done, 0) < d.by_then;
END $$;
-- Its day has passed and it is not done; what was handed on is late where it was handed to.
CREATE FUNCTION campaign_assignment_late(a campaign_assignment, done int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN a.due_on < today() AND done < a.quantity AND a.handed_with IS NULL;
END $$;
GRANT EXECUTE ON FUNCTION campaign_assignment_done(campaign_assignment), campaign_assignments_late(uuid),
  campaign_assignment_late(campaign_assignment, int) TO tiendo_service;

-- ---- by unit and kind ----------------------------------------------------------------------------------------
-- How units stand in a phase, by unit and kind, from what they were to do and the sums of what they did.
--   assigned: what they are to do in all; due: by a day that has passed. fulfilled, due_fulfilled: how much of each is done; doing more than was asked of
--   one kind, or by one unit, makes up for nothing elsewhere, so these add up where quantities of different kinds do not.
--   assignments_late: whose day has passed with less done than it and all due before it. activities_late: still to be done, and their day has passed.
--   until_on: the first day on which something becomes due or late.
CREATE FUNCTION campaign_pairs(p_phase uuid, keys text[])
  RETURNS TABLE (scope_key text, kind text, programme_id uuid, assignments int, assignments_late int, assigned bigint, due bigint, fulfilled bigint, due_fulfilled bigint,
    planned bigint, done bigint, contacts_planned bigint, contacts_reached bigint, n_planned bigint, n_under_way bigint, n_done bigint, n_postponed bigint,
    n_cancelled bigint, activities_late int, until_on date)
  LANGUAGE plpgsql STABLE ROWS 1000 AS $$
DECLARE on_day date := today();
BEGIN
  RETURN QUERY
  -- one sort of all rows instead of joins, whose sizes nobody can foresee here
  WITH told AS (
    SELECT s.scope_key, s.kind, s.programme_id, NULL::date AS due_on, NULL::uuid AS id, 0 AS quantity, s.n_planned, s.n_under_way, s.n_done, s.n_postponed, s.n_cancelled,
      s.planned, s.done, s.contacts_planned, s.contacts_reached, 0 AS late, NULL::date AS next_on
    FROM activity_sum s WHERE s.phase_id = p_phase AND s.scope_key = ANY (keys)
    UNION ALL
    SELECT d.scope_key, d.kind, d.programme_id, NULL, NULL, 0, d.n_planned, d.n_under_way, d.n_done, d.n_postponed, d.n_cancelled, d.planned, d.done,
      d.contacts_planned, d.contacts_reached, 0, NULL
    FROM activity_delta d WHERE d.phase_id = p_phase AND d.scope_key = ANY (keys)
    UNION ALL
    SELECT a.scope_key, a.kind, a.programme_id, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, count(*) FILTER (WHERE a.ends_on < on_day),
      min(a.ends_on) FILTER (WHERE a.ends_on >= on_day)
    FROM activity a
    WHERE a.phase_id = p_phase AND a.scope_key = ANY (keys) AND a.status IN ('planned', 'under_way', 'postponed')
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT a.scope_key, a.kind, a.programme_id, a.due_on, a.id, a.quantity, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, CASE WHEN a.due_on >= on_day THEN a.due_on END
    FROM campaign_assignment a WHERE a.phase_id = p_phase AND a.scope_key = ANY (keys) AND a.handed_with IS NULL
  ), placed AS (
    SELECT t.*, sum(t.quantity) OVER (PARTITION BY t.scope_key, t.kind ORDER BY t.due_on, t.id) AS so_far,
      sum(t.done) OVER (PARTITION BY t.scope_key, t.kind) AS all_done
    FROM told t
  )
  SELECT p.scope_key, p.kind, p.programme_id, count(p.due_on)::int,
    (count(*) FILTER (WHERE p.due_on < on_day AND p.quantity > 0 AND p.so_far > p.all_done))::int, sum(p.quantity)::bigint,
    coalesce(sum(p.quantity) FILTER (WHERE p.due_on < on_day), 0)::bigint, least(sum(p.quantity), sum(p.done))::bigint,
    least(coalesce(sum(p.quantity) FILTER (WHERE p.due_on < on_day), 0), sum(p.done))::bigint, sum(p.planned)::bigint, sum(p.done)::bigint,
    sum(p.contacts_planned)::bigint, sum(p.contacts_reached)::bigint, sum(p.n_planned)::bigint, sum(p.n_under_way)::bigint, sum(p.n_done)::bigint,
    sum(p.n_postponed)::bigint, sum(p.n_cancelled)::bigint, sum(p.late)::int, coalesce(min(p.next_on) + 1, 'infinity')
  FROM placed p
  GROUP BY p.scope_key, p.kind, p.programme_id
  -- of what was moved to another kind, or taken away, nothing is left
  HAVING count(p.due_on) > 0 OR sum(p.n_planned + p.n_under_way + p.n_done + p.n_postponed + p.n_cancelled) <> 0;
END $$;

-- ---- by unit -------------------------------------------------------------------------------------------------
-- The same for each unit over its kinds, kept: what stands here holds from from_on to before until_on, but for units that have a mark, which says
-- that something of theirs has changed. Writers append marks alone; readers work marked units out anew, so figures are right at commit; the background
-- works them out and takes the marks away.
CREATE TABLE campaign_standing (
  phase_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  programme_id uuid NOT NULL,
  from_on date NOT NULL,
  until_on date NOT NULL,
  assignments int NOT NULL,
  assignments_late int NOT NULL,
  assigned bigint NOT NULL,
  due bigint NOT NULL,
  fulfilled bigint NOT NULL,
  due_fulfilled bigint NOT NULL,
  planned bigint NOT NULL,
  done bigint NOT NULL,
  contacts_planned bigint NOT NULL,
  contacts_reached bigint NOT NULL,
  n_planned int NOT NULL,
  n_under_way int NOT NULL,
  n_done int NOT NULL,
  n_postponed int NOT NULL,
  n_cancelled int NOT NULL,
  activities_late int NOT NULL,
  PRIMARY KEY (phase_id, scope_key)
);
CREATE INDEX campaign_standing_until ON campaign_standing (until_on);
CREATE INDEX campaign_standing_from ON campaign_standing (from_on);
CREATE TABLE campaign_standing_mark (
  phase_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  programme_id uuid NOT NULL
);
CREATE INDEX campaign_standing_mark_phase ON campaign_standing_mark (phase_id, scope_key);
ALTER TABLE campaign_standing_mark SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
DO $do$ BEGIN PERFORM protect('campaign_standing', 'programme_id'), protect('campaign_standing_mark', 'programme_id'); END $do$;
GRANT SELECT ON campaign_standing, campaign_standing_mark TO tiendo_service;

CREATE FUNCTION campaign_standing_of(p_phase uuid, keys text[]) RETURNS SETOF campaign_standing LANGUAGE plpgsql STABLE ROWS 1000 AS $$
DECLARE on_day date := today();
BEGIN
  RETURN QUERY
  SELECT p_phase, p.scope_key, p.programme_id, on_day, min(p.until_on), sum(p.assignments)::int, sum(p.assignments_late)::int, sum(p.assigned)::bigint,
    sum(p.due)::bigint, sum(p.fulfilled)::bigint, sum(p.due_fulfilled)::bigint, sum(p.planned)::bigint, sum(p.done)::bigint, sum(p.contacts_planned)::bigint,
    sum(p.contacts_reached)::bigint, sum(p.n_planned)::int, sum(p.n_under_way)::int, sum(p.n_done)::int, sum(p.n_postponed)::int, sum(p.n_cancelled)::int,
    sum(p.activities_late)::int
  FROM campaign_pairs(p_phase, keys) p
  GROUP BY p.scope_key, p.programme_id;
END $$;
-- The units of a subtree whose figures as kept no longer hold.
CREATE FUNCTION campaign_stale(p_phase uuid, unit_key text) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE on_day date := today();
BEGIN
  RETURN ARRAY(SELECT m.scope_key FROM campaign_standing_mark m
      WHERE m.phase_id = p_phase AND m.scope_key >= unit_key AND m.scope_key < unit_key || '~'
    UNION SELECT s.scope_key FROM campaign_standing s
      WHERE s.phase_id = p_phase AND s.scope_key >= unit_key AND s.scope_key < unit_key || '~' AND (on_day < s.from_on OR on_day >= s.until_on));
END $$;
-- How each unit of a subtree stands by itself: as kept, and worked out anew where that no longer holds.
CREATE FUNCTION campaign_units(p_phase uuid, unit_key text) RETURNS SETOF campaign_standing LANGUAGE plpgsql STABLE ROWS 2000 AS $$
DECLARE stale text[] COLLATE "C" := campaign_stale(p_phase, unit_key);
BEGIN
  RETURN QUERY SELECT s.* FROM campaign_standing s
    WHERE s.phase_id = p_phase AND s.scope_key >= unit_key AND s.scope_key < unit_key || '~'
      AND NOT EXISTS (SELECT FROM unnest(stale) k WHERE k COLLATE "C" = s.scope_key);
  IF cardinality(stale) > 0 THEN
    RETURN QUERY SELECT s.* FROM campaign_standing_of(p_phase, stale) s;
  END IF;
END $$;

-- Marks, by statement: whatever way activities and assignments change.
CREATE FUNCTION campaign_mark_activities() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO campaign_standing_mark SELECT DISTINCT n.phase_id, n.scope_key, n.programme_id FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO campaign_standing_mark SELECT DISTINCT o.phase_id, o.scope_key, o.programme_id FROM old_rows o;
  ELSE
    INSERT INTO campaign_standing_mark
    SELECT DISTINCT x.phase_id, x.scope_key, x.programme_id
    FROM old_rows o JOIN new_rows n ON n.id = o.id
      CROSS JOIN LATERAL (VALUES (o.phase_id, o.scope_key, o.programme_id), (n.phase_id, n.scope_key, n.programme_id)) x(phase_id, scope_key, programme_id)
    WHERE (o.phase_id, o.scope_key, o.kind, o.status, o.ends_on, o.planned, o.done, o.contacts_planned, o.contacts_reached)
      IS DISTINCT FROM (n.phase_id, n.scope_key, n.kind, n.status, n.ends_on, n.planned, n.done, n.contacts_planned, n.contacts_reached);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER campaign_mark_inserted AFTER INSERT ON activity REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION campaign_mark_activities();
CREATE TRIGGER campaign_mark_deleted AFTER DELETE ON activity REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION campaign_mark_activities();
CREATE TRIGGER campaign_mark_updated AFTER UPDATE ON activity REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION campaign_mark_activities();
CREATE FUNCTION campaign_mark_assignments() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO campaign_standing_mark SELECT DISTINCT n.phase_id, n.scope_key, n.programme_id FROM new_rows n;
    PERFORM campaign_hand_on(ARRAY(SELECT DISTINCT n.copied_from FROM new_rows n WHERE n.copied_from IS NOT NULL), '{}');
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO campaign_standing_mark SELECT DISTINCT o.phase_id, o.scope_key, o.programme_id FROM old_rows o;
    PERFORM campaign_hand_on('{}', ARRAY(SELECT DISTINCT o.copied_from FROM old_rows o WHERE o.copied_from IS NOT NULL));
  ELSE
    PERFORM campaign_hand_on(array_agg(DISTINCT n.copied_from) FILTER (WHERE n.copied_from IS NOT NULL), array_agg(DISTINCT o.copied_from) FILTER (WHERE o.copied_from IS NOT NULL))
    FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE o.copied_from IS DISTINCT FROM n.copied_from;
    INSERT INTO campaign_standing_mark
    SELECT DISTINCT x.phase_id, x.scope_key, x.programme_id
    FROM old_rows o JOIN new_rows n ON n.id = o.id
      CROSS JOIN LATERAL (VALUES (o.phase_id, o.scope_key, o.programme_id), (n.phase_id, n.scope_key, n.programme_id)) x(phase_id, scope_key, programme_id)
    WHERE (o.phase_id, o.scope_key, o.kind, o.quantity, o.due_on, o.handed_with) IS DISTINCT FROM (n.phase_id, n.scope_key, n.kind, n.quantity, n.due_on, n.handed_with);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER campaign_mark_inserted AFTER INSERT ON campaign_assignment REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION campaign_mark_assignments();
CREATE TRIGGER campaign_mark_deleted AFTER DELETE ON campaign_assignment REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION campaign_mark_assignments();
CREATE TRIGGER campaign_mark_updated AFTER UPDATE ON campaign_assignment REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION campaign_mark_assignments();

-- Works out anew what is marked, and what a day that has come has changed: so many units of one phase at most; how many. Marks go and figures come in one
-- statement, of one snapshot: a change that commits meanwhile keeps its mark. One process at a time.
CREATE FUNCTION campaign_standing_fold(most int DEFAULT 5000) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  on_day date := today();
  phase uuid;
  keys text[] COLLATE "C";
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.campaign_standing', 0)) THEN RETURN 0; END IF;
  SELECT m.phase_id INTO phase FROM campaign_standing_mark m LIMIT 1;
  IF phase IS NOT NULL THEN
    keys := ARRAY(SELECT DISTINCT m.scope_key FROM campaign_standing_mark m WHERE m.phase_id = phase LIMIT most);
  ELSE
    SELECT s.phase_id INTO phase FROM campaign_standing s WHERE s.until_on <= on_day OR s.from_on > on_day LIMIT 1;
    IF phase IS NULL THEN RETURN 0; END IF;
    keys := ARRAY(SELECT s.scope_key FROM campaign_standing s WHERE s.phase_id = phase AND (s.until_on <= on_day OR s.from_on > on_day) LIMIT most);
  END IF;
  WITH gone AS (
    DELETE FROM campaign_standing_mark m WHERE m.phase_id = phase AND m.scope_key = ANY (keys)
  ), found AS MATERIALIZED (
    SELECT * FROM campaign_standing_of(phase, keys)
  ), emptied AS (
    DELETE FROM campaign_standing s WHERE s.phase_id = phase AND s.scope_key = ANY (keys) AND s.scope_key NOT IN (SELECT f.scope_key FROM found f)
  )
  INSERT INTO campaign_standing SELECT * FROM found
  ON CONFLICT (phase_id, scope_key) DO UPDATE SET programme_id = excluded.programme_id, from_on = excluded.from_on, until_on = excluded.until_on,
    assignments = excluded.assignments, assignments_late = excluded.assignments_late, assigned = excluded.assigned, due = excluded.due,
    fulfilled = excluded.fulfilled, due_fulfilled = excluded.due_fulfilled, planned = excluded.planned, done = excluded.done,
    contacts_planned = excluded.contacts_planned, contacts_reached = excluded.contacts_reached, n_planned = excluded.n_planned,
    n_under_way = excluded.n_under_way, n_done = excluded.n_done, n_postponed = excluded.n_postponed, n_cancelled = excluded.n_cancelled,
    activities_late = excluded.activities_late;
  RETURN cardinality(keys);
END $$;

-- ---- what is asked for ---------------------------------------------------------------------------------------
-- The phase that a day lies in: between two the one before, before an open start the first, after the end the last.
CREATE FUNCTION campaign_phase_at(campaign uuid, day date) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT f.id FROM campaign_phase f WHERE f.campaign_id = campaign
    ORDER BY coalesce(f.starts_on <= day, true) DESC, CASE WHEN coalesce(f.starts_on <= day, true) THEN -f.position ELSE f.position END LIMIT 1);
END $$;
-- The phase a parameter names; without it today's.
CREATE FUNCTION campaign_phase_asked(campaign uuid, phase text) RETURNS campaign_phase LANGUAGE plpgsql STABLE AS $$
DECLARE f campaign_phase;
BEGIN
  SELECT * INTO f FROM campaign_phase x
  WHERE x.id = CASE WHEN phase IS NULL THEN campaign_phase_at(campaign, today()) ELSE filter_campaign_phase(campaign, phase, 'phase') END;
  RETURN f;
END $$;
-- The unit a parameter names; without it the campaign's scope, where it is in sight, or else the caller's own. It lies in the campaign's scope.
CREATE FUNCTION campaign_unit_asked(campaign uuid, unit text, parameter text) RETURNS organization LANGUAGE plpgsql STABLE AS $$
DECLARE
  o organization;
  area_key text := (SELECT c.scope_key FROM campaign c WHERE c.id = campaign);
BEGIN
  IF unit IS NOT NULL THEN
    SELECT * INTO o FROM organization x WHERE x.id = filter_organization(unit, parameter);
  ELSE
    SELECT * INTO o FROM organization x WHERE x.scope_key IN (area_key, me_seat_key()) ORDER BY x.scope_key = area_key DESC LIMIT 1;
  END IF;
  IF NOT o.scope_key ^@ area_key THEN
    PERFORM refuse(fault_parameter(parameter, 'outside_scope', 'it lies outside of the campaign''s scope'));
  END IF;
  RETURN o;
END $$;
-- The day as of which a phase's units are told: today, within the phase.
CREATE FUNCTION campaign_phase_day(f campaign_phase) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN least(greatest(today(), coalesce(f.starts_on, today())), f.ends_on);
END $$;
-- The Party organisations of a subtree that a phase is to reach: not attached, and there on that day.
CREATE FUNCTION campaign_expected(unit_key text, day date) RETURNS TABLE (scope_key text) LANGUAGE plpgsql STABLE ROWS 2000 AS $$
DECLARE kinds text[] := ARRAY(SELECT k.code FROM organization_kind k WHERE k.party_organization);
BEGIN
  RETURN QUERY SELECT o.scope_key FROM organization o
    WHERE o.scope_key >= unit_key AND o.scope_key < unit_key || '~' AND NOT o.attached AND o.kind = ANY (kinds)
      AND o.valid_from <= day AND (o.valid_to IS NULL OR o.valid_to >= day);
END $$;

-- The units into which others have gone over that did something in the phase: reached with them, whatever they did themselves.
CREATE FUNCTION campaign_heirs_reached(f campaign_phase, unit_key text) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  ended text[] COLLATE "C";
  heir text[] COLLATE "C";
BEGIN
  SELECT array_agg(h.scope_key), array_agg(h.heir) INTO ended, heir FROM campaign_heirs(unit_key) h WHERE h.ended_on < campaign_phase_day(f);
  IF ended IS NULL THEN RETURN '{}'; END IF;
  RETURN ARRAY(SELECT DISTINCT h.heir FROM unnest(ended, heir) h(ended, heir)
    WHERE (SELECT sum(x.done) FROM (SELECT s.done FROM activity_sum s WHERE s.phase_id = f.id AND s.scope_key = h.ended
      UNION ALL SELECT d.done FROM activity_delta d WHERE d.phase_id = f.id AND d.scope_key = h.ended) x) > 0);
END $$;

-- ---- progress ------------------------------------------------------------------------------------------------
-- What is told of one unit's subtree, or of one kind in it.
CREATE TYPE campaign_figures AS (key text, kind text, assignments bigint, assignments_late bigint, assigned bigint, due bigint, fulfilled bigint, due_fulfilled bigint,
  planned bigint, done bigint, contacts_planned bigint, contacts_reached bigint, n_planned bigint, n_under_way bigint, n_done bigint, n_postponed bigint,
  n_cancelled bigint, activities_late bigint, units_expected bigint, units_reached bigint, products bigint);

-- A unit's subtree; for children, also each that lies directly below it.
CREATE FUNCTION campaign_progress_units(f campaign_phase, unit_key text, children boolean) RETURNS SETOF campaign_figures LANGUAGE plpgsql STABLE ROWS 100 AS $$
DECLARE
  cut int := length(unit_key) + CASE WHEN children THEN 6 ELSE 0 END;
  stale text[] COLLATE "C" := campaign_stale(f.id, unit_key);
  day date := campaign_phase_day(f);
  kinds text[] := ARRAY(SELECT k.code FROM organization_kind k WHERE k.party_organization);
  heirs text[] COLLATE "C" := campaign_heirs_reached(f, unit_key);
BEGIN
  -- campaign_units() and campaign_expected() in place: a province's rows go through here within milliseconds
  RETURN QUERY
  WITH part AS MATERIALIZED (
    SELECT left(coalesce(u.scope_key, e.scope_key), cut) AS key, sum(u.assignments) AS assignments, sum(u.assignments_late) AS assignments_late,
      sum(u.assigned) AS assigned, sum(u.due) AS due, sum(u.fulfilled) AS fulfilled, sum(u.due_fulfilled) AS due_fulfilled, sum(u.planned) AS planned,
      sum(u.done) AS done, sum(u.contacts_planned) AS contacts_planned, sum(u.contacts_reached) AS contacts_reached, sum(u.n_planned) AS n_planned,
      sum(u.n_under_way) AS n_under_way, sum(u.n_done) AS n_done, sum(u.n_postponed) AS n_postponed, sum(u.n_cancelled) AS n_cancelled,
      sum(u.activities_late) AS activities_late, count(e.scope_key) AS units_expected, count(e.scope_key) FILTER (WHERE u.done > 0 OR e.scope_key = ANY (heirs)) AS units_reached, NULL::bigint AS products
    FROM (SELECT x.* FROM campaign_standing x
          WHERE x.phase_id = f.id AND x.scope_key >= unit_key AND x.scope_key < unit_key || '~'
            AND NOT EXISTS (SELECT FROM unnest(stale) k WHERE k COLLATE "C" = x.scope_key)
        UNION ALL SELECT x.* FROM campaign_standing_of(f.id, stale) x WHERE cardinality(stale) > 0) u
      FULL JOIN (SELECT o.scope_key FROM organization o
        WHERE o.scope_key >= unit_key AND o.scope_key < unit_key || '~' AND NOT o.attached AND o.kind = ANY (kinds)
          AND o.valid_from <= day AND (o.valid_to IS NULL OR o.valid_to >= day)) e ON e.scope_key = u.scope_key
    GROUP BY 1
    UNION ALL
    SELECT left(p.scope_key, cut), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, count(*)
    FROM product p
    WHERE p.campaign_id = f.campaign_id AND p.phase_id = f.id AND p.scope_key >= unit_key AND p.scope_key < unit_key || '~' AND p.state = 'published'
    GROUP BY 1
  )
  SELECT g.key, NULL::text, coalesce(sum(p.assignments), 0)::bigint, coalesce(sum(p.assignments_late), 0)::bigint, coalesce(sum(p.assigned), 0)::bigint,
    coalesce(sum(p.due), 0)::bigint, coalesce(sum(p.fulfilled), 0)::bigint, coalesce(sum(p.due_fulfilled), 0)::bigint, coalesce(sum(p.planned), 0)::bigint,
    coalesce(sum(p.done), 0)::bigint, coalesce(sum(p.contacts_planned), 0)::bigint, coalesce(sum(p.contacts_reached), 0)::bigint,
    coalesce(sum(p.n_planned), 0)::bigint, coalesce(sum(p.n_under_way), 0)::bigint, coalesce(sum(p.n_done), 0)::bigint, coalesce(sum(p.n_postponed), 0)::bigint,
    coalesce(sum(p.n_cancelled), 0)::bigint, coalesce(sum(p.activities_late), 0)::bigint, coalesce(sum(p.units_expected), 0)::bigint,
    coalesce(sum(p.units_reached), 0)::bigint, coalesce(sum(p.products), 0)::bigint
  FROM (SELECT unit_key AS key, true AS whole UNION ALL SELECT DISTINCT x.key, false FROM part x WHERE children AND x.key <> unit_key) g
    LEFT JOIN part p ON g.whole OR p.key = g.key
  GROUP BY g.key;
END $$;
-- A unit's subtree by kind of activity.
CREATE FUNCTION campaign_progress_kinds(f campaign_phase, unit_key text) RETURNS SETOF campaign_figures LANGUAGE plpgsql STABLE ROWS 30 AS $$
BEGIN
  RETURN QUERY
  WITH pair AS MATERIALIZED (
    SELECT * FROM campaign_pairs(f.id, ARRAY(SELECT u.scope_key FROM campaign_units(f.id, unit_key) u))
  ), did AS (
    SELECT p.kind, p.scope_key FROM pair p WHERE p.done > 0
    UNION
    SELECT p.kind, h.heir FROM campaign_heirs(unit_key) h JOIN pair p ON p.scope_key = h.scope_key WHERE p.done > 0 AND h.ended_on < campaign_phase_day(f)
  ), expected AS MATERIALIZED (
    SELECT e.scope_key FROM campaign_expected(unit_key, campaign_phase_day(f)) e
  ), reached AS (
    SELECT d.kind, count(*) AS units FROM did d JOIN expected e ON e.scope_key = d.scope_key GROUP BY d.kind
  )
  SELECT unit_key, p.kind, sum(p.assignments)::bigint, sum(p.assignments_late)::bigint, sum(p.assigned)::bigint, sum(p.due)::bigint, sum(p.fulfilled)::bigint,
    sum(p.due_fulfilled)::bigint, sum(p.planned)::bigint, sum(p.done)::bigint, sum(p.contacts_planned)::bigint, sum(p.contacts_reached)::bigint,
    sum(p.n_planned)::bigint, sum(p.n_under_way)::bigint, sum(p.n_done)::bigint, sum(p.n_postponed)::bigint, sum(p.n_cancelled)::bigint,
    sum(p.activities_late)::bigint, (SELECT count(*) FROM expected), coalesce((SELECT r.units FROM reached r WHERE r.kind = p.kind), 0), NULL::bigint
  FROM pair p
  GROUP BY p.kind;
END $$;
CREATE FUNCTION campaign_progress(c_ref text, f_ref text, o_ref text, by text)
  RETURNS TABLE (place text, phase text, organization_id uuid, organization text, organization_name text, organization_kind text, figures campaign_figures)
  LANGUAGE plpgsql STABLE ROWS 100 AS $$
DECLARE
  c_id uuid := path_campaign(c_ref);
  f campaign_phase := campaign_phase_asked(c_id, f_ref);
  o organization := campaign_unit_asked(c_id, o_ref, 'organization');
BEGIN
  IF by = 'kinds' THEN
    RETURN QUERY SELECT x.kind, f.code::text, o.id, o.code::text, o.name, o.kind, x FROM campaign_progress_kinds(f, o.scope_key) x;
  ELSE
    RETURN QUERY SELECT u.scope_key, f.code::text, u.id, u.code::text, u.name, u.kind, x
      FROM campaign_progress_units(f, o.scope_key, by IS NOT DISTINCT FROM 'children') x JOIN organization u ON u.scope_key = x.key
      WHERE x.key = o.scope_key OR x.assignments > 0 OR x.n_planned + x.n_under_way + x.n_done + x.n_postponed + x.n_cancelled > 0 OR x.units_expected > 0
        OR x.products > 0;
  END IF;
END $$;
-- The units and kinds that a figure of progress adds up.
CREATE FUNCTION campaign_progress_explain(c_ref text, f_ref text, o_ref text)
  RETURNS TABLE (place text, phase text, organization text, organization_name text, organization_kind text, expected boolean, figures campaign_figures)
  LANGUAGE plpgsql STABLE ROWS 1000 AS $$
DECLARE
  c_id uuid := path_campaign(c_ref);
  f campaign_phase := campaign_phase_asked(c_id, f_ref);
  o organization := campaign_unit_asked(c_id, o_ref, 'organization');
BEGIN
  RETURN QUERY
  SELECT p.scope_key || ' ' || p.kind, f.code::text, u.code::text, u.name, u.kind, e.scope_key IS NOT NULL,
    ROW(p.scope_key, p.kind, p.assignments, p.assignments_late, p.assigned, p.due, p.fulfilled, p.due_fulfilled, p.planned, p.done, p.contacts_planned,
      p.contacts_reached, p.n_planned, p.n_under_way, p.n_done, p.n_postponed, p.n_cancelled, p.activities_late, NULL, NULL, NULL)::campaign_figures
  FROM campaign_pairs(f.id, ARRAY(SELECT x.scope_key FROM campaign_units(f.id, o.scope_key) x)) p
    JOIN organization u ON u.scope_key = p.scope_key
    LEFT JOIN campaign_expected(o.scope_key, campaign_phase_day(f)) e ON e.scope_key = p.scope_key;
END $$;

-- ---- coverage ------------------------------------------------------------------------------------------------
-- What is declared below a unit, one row for each declaration and each of these units that it lies at or below. covering: how many declarations it lies beneath, of
-- that unit or below it: with none it counts, with one it is what the next one above is compared with. It lies beneath those of whole subtrees, and, declared
-- by a unit that has ended, beneath those of units that it went over into, counted since. apart: of a body that is not of those to be reached (an attached one, one of
-- no Party kind): it counts nowhere, and stands for nothing.
CREATE FUNCTION campaign_declared(p_phase uuid, unit_key text, keys text[])
  RETURNS TABLE (key text, of text, scope_key text, covers text, reached int, base int, covering int, beneath text, apart boolean) LANGUAGE plpgsql STABLE ROWS 1000
  SET enable_nestloop = off AS $$
DECLARE kinds text[] := ARRAY(SELECT k.code FROM organization_kind k WHERE k.party_organization);
BEGIN
  RETURN QUERY
  WITH said AS MATERIALIZED (
    SELECT r.scope_key, r.of, r.covers, r.reached, r.base, r.counted_on, o.attached OR o.kind <> ALL (kinds) AS apart
    FROM campaign_reach r JOIN organization o ON o.id = r.organization_id
    WHERE r.phase_id = p_phase AND r.scope_key >= unit_key AND r.scope_key < unit_key || '~'
  ), heirs AS MATERIALIZED (
    SELECT * FROM campaign_heirs(unit_key)
  ), line AS MATERIALIZED (
    SELECT s.of, s.scope_key, s.apart, a COLLATE "C" AS above FROM said s CROSS JOIN LATERAL unnest(ancestor_keys(s.scope_key) || s.scope_key) a
  ), above AS MATERIALIZED (
    SELECT s.of, s.scope_key, t.scope_key AS by_key
    FROM line s JOIN said t ON t.of = s.of AND t.scope_key = s.above AND NOT t.apart AND t.scope_key <> s.scope_key
      LEFT JOIN heirs h ON h.scope_key = s.scope_key AND h.heir = t.scope_key
    WHERE NOT s.apart AND (t.covers = 'subtree' OR t.counted_on > h.ended_on)
  ), place AS MATERIALIZED (
    SELECT s.of, s.scope_key, k.key COLLATE "C" AS key FROM line s JOIN unnest(keys) k(key) ON k.key = s.above
  )
  SELECT k.key, s.of, s.scope_key, s.covers, s.reached, s.base, CASE WHEN NOT s.apart THEN count(t.by_key)::int END, max(t.by_key), s.apart
  FROM place k JOIN said s ON s.of = k.of AND s.scope_key = k.scope_key
    LEFT JOIN above t ON t.of = s.of AND t.scope_key = s.scope_key AND t.by_key >= k.key
  GROUP BY k.key, s.of, s.scope_key, s.covers, s.reached, s.base, s.apart;
END $$;
CREATE TYPE campaign_reached AS (key text, of text, reached bigint, base bigint, expected bigint, declared bigint, beneath_units bigint, beneath_reached bigint,
  beneath_base bigint, difference bigint, contacts_planned bigint, contacts_reached bigint);
-- Who is reached in each of these units' subtrees, all of them at or below one: Party organisations by what they did, people by what is declared.
CREATE FUNCTION campaign_coverage_units(f campaign_phase, unit_key text, keys text[]) RETURNS SETOF campaign_reached LANGUAGE plpgsql STABLE ROWS 300
  SET enable_nestloop = off AS $$
DECLARE heirs text[] COLLATE "C" := campaign_heirs_reached(f, unit_key);
BEGIN
  RETURN QUERY
  WITH unit AS MATERIALIZED (
    SELECT k.key, x.scope_key, x.expected, x.done, x.contacts_planned, x.contacts_reached
    FROM (SELECT coalesce(u.scope_key, e.scope_key) AS scope_key, e.scope_key IS NOT NULL AS expected, coalesce(u.done, 0) AS done,
        u.contacts_planned, u.contacts_reached
      FROM campaign_units(f.id, unit_key) u FULL JOIN campaign_expected(unit_key, campaign_phase_day(f)) e ON e.scope_key = u.scope_key) x
      CROSS JOIN LATERAL unnest(ancestor_keys(x.scope_key) || x.scope_key) a JOIN unnest(keys) k(key) ON k.key = a COLLATE "C"
  ), upward AS MATERIALIZED (
    SELECT u.key, u.scope_key, a COLLATE "C" AS above FROM unit u CROSS JOIN LATERAL unnest(ancestor_keys(u.scope_key) || u.scope_key) a WHERE u.expected
  ), declared AS MATERIALIZED (
    SELECT * FROM campaign_declared(f.id, unit_key, keys) d WHERE NOT d.apart
  ), compared AS (
    SELECT DISTINCT d.key, d.of, d.beneath FROM declared d WHERE d.covering = 1
  ), people AS (
    SELECT d.key, d.of, sum(d.reached) FILTER (WHERE d.covering = 0) AS reached, sum(d.base) FILTER (WHERE d.covering = 0) AS base,
      count(*) FILTER (WHERE d.covering = 1) AS beneath_units, sum(d.reached) FILTER (WHERE d.covering = 1) AS beneath_reached,
      sum(d.base) FILTER (WHERE d.covering = 1) AS beneath_base,
      sum(d.reached) FILTER (WHERE d.covering = 0 AND b.beneath IS NOT NULL) - sum(d.reached) FILTER (WHERE d.covering = 1) AS difference
    FROM declared d LEFT JOIN compared b ON b.key = d.key AND b.of = d.of AND b.beneath = d.scope_key
    GROUP BY d.key, d.of
  ), answered AS (
    -- the units that are to be reached and whose people a declaration counts
    SELECT u.key, d.of, count(DISTINCT u.scope_key) AS declared
    FROM upward u JOIN declared d ON d.key = u.key AND d.scope_key = u.above AND (d.covers = 'subtree' OR d.scope_key = u.scope_key)
    GROUP BY u.key, d.of
  ), whole AS (
    SELECT k.key, count(*) FILTER (WHERE u.expected) AS expected, count(*) FILTER (WHERE u.expected AND (u.done > 0 OR u.scope_key = ANY (heirs))) AS reached,
      coalesce(sum(u.contacts_planned), 0)::bigint AS contacts_planned, coalesce(sum(u.contacts_reached), 0)::bigint AS contacts_reached
    FROM unnest(keys) k(key) LEFT JOIN unit u ON u.key = k.key
    GROUP BY k.key
  )
  SELECT w.key, 'party_organizations', w.reached, w.expected, w.expected, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
    w.contacts_planned, w.contacts_reached
  FROM whole w
  UNION ALL
  SELECT w.key, x.of, p.reached, p.base, w.expected, coalesce(a.declared, 0), coalesce(p.beneath_units, 0), p.beneath_reached, p.beneath_base, p.difference, NULL, NULL
  FROM whole w CROSS JOIN (VALUES ('cadres_and_members'), ('core_force')) x(of)
    LEFT JOIN people p ON p.key = w.key AND p.of = x.of LEFT JOIN answered a ON a.key = w.key AND a.of = x.of;
END $$;
CREATE FUNCTION campaign_coverage(c_ref text, f_ref text, o_ref text, by text)
  RETURNS TABLE (place text, phase_id uuid, phase text, organization_id uuid, organization text, organization_name text, organization_kind text, figures campaign_reached)
  LANGUAGE plpgsql STABLE ROWS 300 AS $$
DECLARE
  c_id uuid := path_campaign(c_ref);
  f campaign_phase := campaign_phase_asked(c_id, f_ref);
  o organization := campaign_unit_asked(c_id, o_ref, 'organization');
  keys text[] COLLATE "C" := ARRAY[o.scope_key];
BEGIN
  IF by = 'phases' THEN
    IF f_ref IS NOT NULL THEN PERFORM refuse(fault_parameter('phase', 'contradiction', 'by phases all of them are told')); END IF;
    FOR f IN SELECT x.* FROM campaign_phase x WHERE x.campaign_id = c_id LOOP
      RETURN QUERY SELECT lpad(f.position::text, 6, '0') || ' ' || x.of, f.id, f.code::text, o.id, o.code::text, o.name, o.kind, x
        FROM campaign_coverage_units(f, o.scope_key, keys) x;
    END LOOP;
    RETURN;
  END IF;
  IF by = 'children' THEN
    keys := keys || ARRAY(SELECT u.scope_key FROM organization u WHERE u.scope_key > o.scope_key AND u.scope_key < o.scope_key || '~'
      AND length(u.scope_key) = length(o.scope_key) + 6);
  END IF;
  RETURN QUERY SELECT u.scope_key || ' ' || x.of, f.id, f.code::text, u.id, u.code::text, u.name, u.kind, x
    FROM campaign_coverage_units(f, o.scope_key, keys) x JOIN organization u ON u.scope_key = x.key
    WHERE x.key = o.scope_key OR x.expected > 0 OR x.reached > 0 OR x.base > 0 OR x.contacts_planned > 0 OR x.contacts_reached > 0;
END $$;
-- The rows behind a figure of coverage: each unit that is to be reached, and each that declared.
CREATE FUNCTION campaign_coverage_explain(c_ref text, f_ref text, o_ref text, whom text)
  RETURNS TABLE (place text, phase text, organization text, organization_name text, organization_kind text, expected boolean, state text, done bigint, reached int,
    base int, covers text, base_source text, base_on date, counted_on date, beneath text)
  LANGUAGE plpgsql STABLE ROWS 1000 SET enable_nestloop = off AS $$
DECLARE
  c_id uuid := path_campaign(c_ref);
  f campaign_phase := campaign_phase_asked(c_id, f_ref);
  o organization := campaign_unit_asked(c_id, o_ref, 'organization');
BEGIN
  IF whom = 'party_organizations' THEN
    RETURN QUERY
    WITH unit AS MATERIALIZED (
      SELECT x.scope_key, x.done FROM campaign_units(f.id, o.scope_key) x WHERE x.done > 0
    ), did AS (
      -- with what was done by those that went over into it
      SELECT w.scope_key, sum(w.done)::bigint AS done
      FROM (SELECT x.scope_key, x.done FROM unit x UNION ALL SELECT h.heir, x.done FROM campaign_heirs(o.scope_key) h JOIN unit x ON x.scope_key = h.scope_key
        WHERE h.ended_on < campaign_phase_day(f)) w
      GROUP BY w.scope_key
    )
    SELECT e.scope_key, f.code::text, u.code::text, u.name, u.kind, true, CASE WHEN d.done > 0 THEN 'reached' ELSE 'not_reached' END, coalesce(d.done, 0),
      NULL::int, NULL::int, NULL::text, NULL::text, NULL::date, NULL::date, NULL::text
    FROM campaign_expected(o.scope_key, campaign_phase_day(f)) e JOIN organization u ON u.scope_key = e.scope_key
      LEFT JOIN did d ON d.scope_key = e.scope_key;
    RETURN;
  END IF;
  RETURN QUERY
  WITH declared AS MATERIALIZED (
    SELECT * FROM campaign_declared(f.id, o.scope_key, ARRAY[o.scope_key]) d WHERE d.of = whom
  ), party AS (
    SELECT e.scope_key FROM campaign_expected(o.scope_key, campaign_phase_day(f)) e
  ), upward AS MATERIALIZED (
    SELECT p.scope_key, a COLLATE "C" AS above FROM party p CROSS JOIN LATERAL unnest(ancestor_keys(p.scope_key)) a
  ), above AS (
    SELECT p.scope_key, max(x.scope_key) AS by_key
    FROM upward p JOIN declared x ON x.scope_key = p.above AND x.covers = 'subtree' AND NOT x.apart
    GROUP BY p.scope_key
  )
  SELECT u.scope_key, f.code::text, u.code::text, u.name, u.kind, p.scope_key IS NOT NULL,
    CASE WHEN d.apart THEN 'apart' WHEN d.covering = 0 THEN 'counted' WHEN coalesce(d.beneath, t.by_key) IS NOT NULL THEN 'beneath' ELSE 'missing' END, NULL::bigint,
    d.reached, d.base, d.covers, r.base_source, r.base_on, r.counted_on, b.code::text
  FROM party p FULL JOIN declared d ON d.scope_key = p.scope_key
    JOIN organization u ON u.scope_key = coalesce(p.scope_key, d.scope_key)
    LEFT JOIN campaign_reach r ON r.phase_id = f.id AND r.scope_key = d.scope_key AND r.of = whom
    LEFT JOIN above t ON t.scope_key = p.scope_key AND d.scope_key IS NULL
    LEFT JOIN organization b ON b.scope_key = coalesce(d.beneath, t.by_key);
END $$;

-- ---- ranking -------------------------------------------------------------------------------------------------
-- Units of one kind, by what of it is done or by who is reached. Who has the same has the same place, and the next ones come after all of them. Who was to
-- do nothing, has no figure, or whose people are told by too few of its units, has no place.
CREATE FUNCTION campaign_ranks(f campaign_phase, area_key text, kind_ref text, by text, whom text, minimum numeric)
  RETURNS TABLE (key text, numerator bigint, denominator bigint, expected bigint, declared bigint, unranked text, rank bigint, peers bigint)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 100 AS $$
DECLARE
  c campaign := (SELECT x FROM campaign x WHERE x.id = f.campaign_id);
  day date := campaign_phase_day(f);
  keys text[] COLLATE "C" := ARRAY(SELECT u.scope_key FROM organization u WHERE u.kind = kind_ref AND u.scope_key >= area_key AND u.scope_key < area_key || '~'
    AND u.valid_from <= day AND (u.valid_to IS NULL OR u.valid_to >= day));
BEGIN
  IF me_grant() IS NULL OR NOT area_key ^@ c.scope_key THEN RETURN; END IF;
  RETURN QUERY
  WITH peer AS (
    SELECT x.key, x.reached AS numerator, x.base AS denominator, x.expected, x.declared,
      CASE WHEN coalesce(x.base, 0) = 0 THEN 'no_data' WHEN x.declared < ceil(coalesce(minimum, 50) * x.expected / 100) THEN 'below_minimum' END AS unranked
    FROM campaign_coverage_units(f, area_key, keys) x
    WHERE by = 'coverage' AND x.of = coalesce(whom, 'party_organizations')
    UNION ALL
    SELECT k.key, coalesce(sum(u.fulfilled), 0)::bigint, coalesce(sum(u.assigned), 0)::bigint, NULL, NULL,
      CASE WHEN coalesce(sum(u.assigned), 0) = 0 THEN 'not_assigned' END
    FROM unnest(keys) k(key) LEFT JOIN (SELECT x.fulfilled, x.assigned, a AS key FROM campaign_units(f.id, area_key) x,
        unnest(ancestor_keys(x.scope_key) || x.scope_key) a WHERE a = ANY (keys)) u ON u.key = k.key
    WHERE by = 'done'
    GROUP BY k.key
  ), scored AS (
    SELECT p.*, CASE WHEN p.unranked IS NULL THEN rank() OVER (PARTITION BY p.unranked IS NULL ORDER BY p.numerator::numeric / nullif(p.denominator, 0) DESC NULLS LAST) END AS rank,
      count(*) FILTER (WHERE p.unranked IS NULL) OVER () AS peers
    FROM peer p
  )
  SELECT s.key, s.numerator, s.denominator, s.expected, s.declared, s.unranked, s.rank, s.peers
  FROM scored s
  WHERE s.key <@ scope() OR in_limited(c.programme_id, s.key, limited_programmes(), limited_scopes());
END $$;
CREATE FUNCTION campaign_ranking(c_ref text, f_ref text, kind_ref text, under_ref text, by text, whom text, minimum numeric)
  RETURNS TABLE (place text, phase text, organization_id uuid, organization text, organization_name text, organization_kind text, rank bigint, peers bigint, score numeric,
    numerator bigint, denominator bigint, expected bigint, declared bigint, unranked text)
  LANGUAGE plpgsql STABLE ROWS 100 AS $$
DECLARE
  c_id uuid := path_campaign(c_ref);
  f campaign_phase := campaign_phase_asked(c_id, f_ref);
  area_key text := CASE WHEN under_ref IS NULL THEN (SELECT c.scope_key FROM campaign c WHERE c.id = c_id) ELSE (campaign_unit_asked(c_id, under_ref, 'under')).scope_key END;
BEGIN
  IF NOT EXISTS (SELECT FROM organization_kind k WHERE k.code = kind_ref) THEN
    PERFORM refuse(fault_parameter('kind', 'unknown_reference', 'no such organization kind'));
  END IF;
  IF whom IS NOT NULL AND by = 'done' THEN
    PERFORM refuse(fault_parameter('of', 'contradiction', 'what is done is of no people'));
  END IF;
  RETURN QUERY
  SELECT CASE WHEN s.rank IS NULL THEN 'z' ELSE lpad(s.rank::text, 8, '0') END || ' ' || u.scope_key, f.code::text, u.id, u.code::text, u.name, u.kind, s.rank,
    s.peers, percent(s.numerator, nullif(s.denominator, 0)), s.numerator, s.denominator, s.expected, s.declared, s.unranked
  FROM campaign_ranks(f, area_key, kind_ref, by, whom, minimum) s JOIN organization u ON u.scope_key = s.key;
END $$;

GRANT EXECUTE ON FUNCTION campaign_heirs_reached(campaign_phase, text), campaign_pairs(uuid, text[]), campaign_standing_of(uuid, text[]), campaign_stale(uuid, text), campaign_units(uuid, text), campaign_phase_at(uuid, date),
  campaign_phase_asked(uuid, text), campaign_unit_asked(uuid, text, text), campaign_phase_day(campaign_phase), campaign_expected(text, date),
  campaign_progress_units(campaign_phase, text, boolean), campaign_progress_kinds(campaign_phase, text), campaign_progress(text, text, text, text),
  campaign_progress_explain(text, text, text), campaign_declared(uuid, text, text[]), campaign_coverage_units(campaign_phase, text, text[]),
  campaign_coverage(text, text, text, text), campaign_coverage_explain(text, text, text, text),
  campaign_ranks(campaign_phase, text, text, text, text, numeric), campaign_ranking(text, text, text, text, text, text, numeric), campaign_standing_fold(int) TO tiendo_service;
