-- What units are to do in a campaign: set from above for units, kinds of units and subtrees, on a day or for every week, month or quarter; planned by
-- a unit for itself; adjusted by it; copied down to those below. Whatever makes many rows at once goes through one function, which decides what becomes of
-- each, answers old and new, and writes unless it is a trial.
SET search_path = tiendo, public;

-- ---- who writes ------------------------------------------------------------------------------------------------
-- Whether the caller changes what somebody set: who set it does, and whoever stands above that one.
CREATE FUNCTION campaign_assignment_settable(programme uuid, setter uuid, key text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN may_write(programme, key)
    AND (setter = me_seat() OR may_write(programme, (SELECT o.scope_key FROM organization o WHERE o.id = setter)));
END $$;
CREATE POLICY service_insert ON campaign_assignment FOR INSERT TO tiendo_service WITH CHECK (
  ((SELECT me_permission()) = 'campaigns:write' AND setter_id = (SELECT me_seat()) AND may_write(programme_id, scope_key))
  OR ((SELECT me_permission()) = 'activities:write' AND setter_id = organization_id AND campaign_may_enter(campaign_id, programme_id, scope_key)));
CREATE POLICY service_update ON campaign_assignment FOR UPDATE TO tiendo_service USING (
  ((SELECT me_permission()) = 'campaigns:write' AND campaign_assignment_settable(programme_id, setter_id, scope_key))
  OR ((SELECT me_permission()) = 'activities:write' AND campaign_may_enter(campaign_id, programme_id, scope_key)));
CREATE POLICY service_delete ON campaign_assignment FOR DELETE TO tiendo_service USING (
  ((SELECT me_permission()) = 'campaigns:write' AND campaign_assignment_settable(programme_id, setter_id, scope_key))
  OR ((SELECT me_permission()) = 'activities:write' AND setter_id = organization_id AND campaign_may_enter(campaign_id, programme_id, scope_key)));
GRANT INSERT, DELETE ON campaign_assignment TO tiendo_service;
GRANT UPDATE (every, starts_on, set_quantity, set_due_on, quantity, due_on, reason, note, setter_id, copied_from, version, updated_at)
  ON campaign_assignment TO tiendo_service;

-- What an assignment carries of its unit and its campaign is what these say of themselves.
CREATE FUNCTION campaign_assignment_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT o.scope_key, o.code INTO STRICT new.scope_key, new.organization_code FROM organization o WHERE o.id = new.organization_id;
  SELECT c.id, c.programme_id INTO STRICT new.campaign_id, new.programme_id
  FROM campaign_phase f JOIN campaign c ON c.id = f.campaign_id WHERE f.id = new.phase_id;
  RETURN new;
END $$;
CREATE TRIGGER campaign_assignment_place BEFORE INSERT ON campaign_assignment FOR EACH ROW EXECUTE FUNCTION campaign_assignment_place();

-- Those who set many at once in a campaign go one after the other: what a unit already has is judged by what is there.
CREATE FUNCTION campaign_assignment_lock(campaign uuid) RETURNS bigint LANGUAGE sql IMMUTABLE
  AS $$ SELECT hashtextextended('tiendo.campaign_assignment ' || campaign, 0) $$;

-- ---- reading ---------------------------------------------------------------------------------------------------

-- What is set, as the journal keeps it; what was done stands elsewhere.
CREATE FUNCTION campaign_assignment_state(a campaign_assignment, campaign text, phase text, setter text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('id', a.id, 'campaign', campaign, 'phase', phase, 'organization', a.organization_code, 'kind', a.kind, 'every', a.every,
    'starts_on', a.starts_on, 'quantity', a.quantity, 'due_on', a.due_on, 'set_quantity', a.set_quantity, 'set_due_on', a.set_due_on,
    'reason', a.reason, 'note', a.note, 'set_by', CASE WHEN a.setter_id = a.organization_id THEN a.organization_code ELSE setter END, 'version', a.version) $$;
CREATE FUNCTION campaign_assignment_json(a campaign_assignment) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE n int := campaign_assignment_done(a);
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT a.id, (SELECT c.code FROM campaign c WHERE c.id = a.campaign_id) AS campaign,
      (SELECT f.code FROM campaign_phase f WHERE f.id = a.phase_id) AS phase, a.organization_code AS organization,
      (SELECT o.name FROM organization o WHERE o.id = a.organization_id) AS organization_name, a.kind, campaign_term_name('activity_kind', a.kind) AS kind_name, a.every,
      a.starts_on, a.quantity, a.due_on, a.set_quantity, a.set_due_on, a.reason, a.note, unit_code(a.setter_id) AS set_by,
      a.setter_id = a.organization_id AS own, n AS done, campaign_assignment_late(a, n) AS late, a.version,
      tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at) r);
END $$;
-- The assignment a path names; none is 404.
CREATE FUNCTION campaign_assignment_at(campaign text, ref text) RETURNS campaign_assignment LANGUAGE plpgsql STABLE AS $$
DECLARE a campaign_assignment;
BEGIN
  SELECT * INTO a FROM campaign_assignment x WHERE is_uuid(ref) AND x.id = ref::uuid AND x.campaign_id = campaign_id(campaign);
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN a;
END $$;
-- Its answer, tagged: what was done changes without its version.
CREATE FUNCTION campaign_assignment_answer(a campaign_assignment, OUT version text, OUT body text) LANGUAGE plpgsql STABLE AS $$
BEGIN
  body := campaign_assignment_json(a);
  version := a.version || ';' || left(md5(body), 12);
END $$;
CREATE FUNCTION filter_assignment_phase(campaign text, phase text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE found_id uuid := campaign_phase_id(path_campaign(campaign), phase);
BEGIN
  IF found_id IS NULL THEN PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'the campaign has no such phase')); END IF;
  RETURN found_id;
END $$;

-- ---- many at once ----------------------------------------------------------------------------------------------
-- One row that is wanted.
CREATE TYPE campaign_plan AS (phase_id uuid, phase text, organization_id uuid, organization text, scope_key text, kind text, every text, starts_on date,
  due_on date, quantity int, note text, setter_id uuid, copied_from uuid);

-- The days that a body asks for: one, or the last day of every week, month or quarter from … to, the first and last of them cut off there.
CREATE FUNCTION campaign_days(f campaign_phase, b jsonb) RETURNS TABLE (starts_on date, due_on date) LANGUAGE plpgsql STABLE AS $$
DECLARE
  every text := b ->> 'every';
  low date := coalesce((b ->> 'from')::date, f.starts_on);
  high date := coalesce((b ->> 'to')::date, f.ends_on);
  step interval := CASE every WHEN 'week' THEN '7 days' WHEN 'month' THEN '1 month' ELSE '3 months' END;
BEGIN
  IF every IS NULL THEN
    RETURN QUERY SELECT NULL::date, (b ->> 'due_on')::date;
    RETURN;
  END IF;
  RETURN QUERY SELECT greatest(g::date, low), least((g + step)::date - 1, high) FROM generate_series(date_trunc(every, low::timestamp), high, step) g;
END $$;
CREATE FUNCTION campaign_day_fault(f campaign_phase, pointer text, day text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN NOT day_ok(day) THEN fault(pointer, 'out_of_range', 'a day from 1900 to 2999')
    WHEN day::date < f.starts_on OR day::date > f.ends_on THEN fault(pointer, 'out_of_range', 'the day lies outside of the phase') END $$;
-- What is wrong with the phase, the kind and the days of a body.
CREATE FUNCTION campaign_plan_faults(f campaign_phase, b jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
DECLARE every text := b ->> 'every';
BEGIN
  RETURN ARRAY[
    CASE WHEN f.id IS NULL THEN fault('#/phase', 'unknown_reference', 'the campaign has no such phase') END,
    CASE WHEN NOT campaign_term_offered('activity_kind', b ->> 'kind') THEN fault('#/kind', 'unknown_reference', 'the list has no such kind of activity')
      WHEN f.kinds <> '{}' AND b ->> 'kind' <> ALL (f.kinds) THEN fault('#/kind', 'not_in_phase', 'the phase has no activities of this kind') END,
    CASE WHEN (every IS NULL) = (b ->> 'due_on' IS NULL) THEN fault('#/due_on', 'one_of', 'give either due_on, or every') END,
    campaign_day_fault(f, '#/due_on', b ->> 'due_on'), campaign_day_fault(f, '#/from', b ->> 'from'), campaign_day_fault(f, '#/to', b ->> 'to'),
    CASE WHEN every IS NULL AND b ->> 'from' IS NOT NULL THEN fault('#/from', 'not_expected', 'from and to go with every')
      WHEN every IS NOT NULL AND b ->> 'from' IS NULL AND f.id IS NOT NULL AND f.starts_on IS NULL
        THEN fault('#/from', 'required', 'the start of the phase is open: say from when') END,
    CASE WHEN every IS NULL AND b ->> 'to' IS NOT NULL THEN fault('#/to', 'not_expected', 'from and to go with every')
      WHEN (b ->> 'to')::date < (b ->> 'from')::date THEN fault('#/to', 'ends_before_start', 'it would end before it starts') END];
END $$;

-- The visible campaign to plan in: 404; 409 unless it is active.
CREATE FUNCTION campaign_to_plan(ref text) RETURNS campaign LANGUAGE plpgsql AS $$
DECLARE c campaign;
BEGIN
  SELECT * INTO c FROM campaign x WHERE x.id = (SELECT path_campaign(ref));
  PERFORM campaign_open(c.id);
  RETURN c;
END $$;

-- Old and new of a row that is wanted.
CREATE FUNCTION campaign_plan_figures(set_quantity int, quantity int, set_by text, note text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN set_quantity IS NOT NULL THEN
    jsonb_build_object('set_quantity', set_quantity, 'quantity', quantity, 'set_by', set_by, 'note', note) END $$;
-- Why one that is there already stands in the way of what is wanted.
CREATE FUNCTION campaign_plan_clash(unit text, own boolean, setter text, kind text, day date, planned boolean, rhythm boolean) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE called text := coalesce(campaign_term_name('activity_kind', kind), kind);
BEGIN
  RETURN CASE
    WHEN planned IS NULL THEN format('%s still has %s due on %s of what was copied down before, and would get nothing now', unit, called, day)
    WHEN own THEN format('%s plans %s due on %s itself already', unit, called, day)
    WHEN planned THEN format('%s already has %s due on %s, set by %s: adjust that one', unit, called, day, coalesce(setter, '…'))
    WHEN rhythm THEN format('%s already has %s due on %s of another series: there is one on a day', unit, called, day)
    ELSE format('%s already has %s due on %s, set by %s', unit, called, day, coalesce(setter, '…')) END;
END $$;
CREATE FUNCTION campaign_plan_bound(wanted bigint) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF wanted > 100000 THEN
    PERFORM fail(422, 'too_many_rows', NULL, 'That makes more than 100000 rows: ask for fewer units or days at once.');
  END IF;
END $$;
-- Makes what is wanted: plan_item, one row each with what becomes of it; refusals; the answer; then, unless it is a trial, the rows and their journal.
-- What a unit made of its own quantity stays when what was set changes; where it had changed nothing it follows. parted: assignments that are parted among
-- those who are given of them now, and nobody else.
CREATE FUNCTION campaign_plan_put(c campaign, wanted campaign_plan[], parted uuid[], strategy text, trial boolean, request_id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer jsonb;
  faults jsonb;
  u record;
BEGIN
  PERFORM campaign_plan_bound(cardinality(wanted));
  SELECT jsonb_agg(fault('#/share', 'too_large', format('%s would have %s to do on %s, more than 1000000', x.organization, campaign_term_name('activity_kind', x.kind),
    x.due_on)) ORDER BY x.scope_key, x.due_on) INTO faults
  FROM (SELECT * FROM unnest(wanted) w WHERE w.quantity > 1000000 ORDER BY w.scope_key, w.due_on LIMIT 100) x;
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
  PERFORM pg_advisory_xact_lock(campaign_assignment_lock(c.id));
  -- (what changed before it could be held is judged once more)
  FOR attempt IN 1..2 LOOP
    CREATE TEMP TABLE plan_item ON COMMIT DROP AS
      SELECT w.*, coalesce(e.id, uuid_v7()) AS id, NULL::jsonb AS before, e.set_quantity AS old_set, e.quantity AS old_quantity, e.setter_id AS old_setter,
        e.note AS old_note, e.every AS old_every, e.version AS old_version,
        CASE WHEN e.quantity <> e.set_quantity THEN e.quantity ELSE w.quantity END AS new_quantity,
        CASE WHEN e.id IS NULL THEN 'created'
          WHEN (e.set_quantity, e.every, e.starts_on, e.setter_id) IS NOT DISTINCT FROM (w.quantity, w.every, w.starts_on, w.setter_id)
            AND (w.note IS NULL OR w.note = e.note) THEN 'unchanged'
          WHEN strategy = 'skip' THEN 'skipped' WHEN strategy = 'replace' THEN 'replaced' ELSE 'refused' END AS change
      FROM unnest(wanted) w LEFT JOIN campaign_assignment e
        -- (the key too, by which the policies look)
        ON e.phase_id = w.phase_id AND e.scope_key = w.scope_key AND e.organization_id = w.organization_id AND e.kind = w.kind AND e.set_due_on = w.due_on;
    INSERT INTO plan_item (phase_id, phase, organization_id, organization, scope_key, kind, every, starts_on, due_on, id, old_set, old_quantity, old_setter, old_note,
      old_every, old_version, change)
    SELECT e.phase_id, f.code, e.organization_id, e.organization_code, e.scope_key, e.kind, e.every, e.starts_on, e.set_due_on, e.id, e.set_quantity, e.quantity,
      e.setter_id, e.note, e.every, e.version, CASE strategy WHEN 'skip' THEN 'skipped' WHEN 'replace' THEN 'removed' ELSE 'refused' END
    FROM campaign_assignment e JOIN campaign_phase f ON f.id = e.phase_id WHERE e.copied_from = ANY (parted) AND NOT EXISTS (SELECT FROM plan_item p WHERE p.id = e.id);
    ANALYZE plan_item;
    SELECT jsonb_agg(fault('#/strategy', 'already_exists', campaign_plan_clash(x.organization, x.old_setter = x.organization_id, unit_code(x.old_setter), x.kind,
      x.due_on, x.setter_id = x.organization_id, x.every IS DISTINCT FROM x.old_every)) ORDER BY x.scope_key, x.due_on)
      INTO faults FROM (SELECT * FROM plan_item p WHERE p.change = 'refused' ORDER BY p.scope_key, p.due_on LIMIT 100) x;
    IF faults IS NOT NULL THEN PERFORM fail(409, 'already_exists', faults); END IF;
    SELECT p.organization, unit_code(p.old_setter) AS setter INTO u FROM plan_item p
    WHERE p.change IN ('replaced', 'removed') AND NOT campaign_assignment_settable(c.programme_id, p.old_setter, p.scope_key) ORDER BY p.scope_key, p.due_on LIMIT 1;
    IF FOUND THEN PERFORM campaign_assignment_refuse(u.organization, u.setter); END IF;
    EXIT WHEN trial OR attempt = 2 OR campaign_plan_hold();
    DROP TABLE plan_item;
  END LOOP;
  SELECT jsonb_build_object('dry_run', trial, 'created', count(*) FILTER (WHERE p.change = 'created'),
      'replaced', count(*) FILTER (WHERE p.change = 'replaced'), 'removed', count(*) FILTER (WHERE p.change = 'removed'), 'unchanged', count(*) FILTER (WHERE p.change = 'unchanged'),
      'skipped', count(*) FILTER (WHERE p.change = 'skipped'), 'units', count(DISTINCT p.organization_id),
      'overdue', count(*) FILTER (WHERE p.change IN ('created', 'replaced') AND p.due_on < today()), 'quantity', coalesce(sum(p.quantity), 0))
    INTO answer FROM plan_item p;
  answer := answer || jsonb_build_object('items', (SELECT coalesce(jsonb_agg(jsonb_build_object('phase', x.phase, 'organization', x.organization,
      'kind', x.kind, 'every', x.every, 'starts_on', x.starts_on, 'due_on', x.due_on, 'change', x.change,
      'old', campaign_plan_figures(x.old_set, x.old_quantity, unit_code(x.old_setter), x.old_note),
      'new', CASE WHEN x.change IN ('created', 'replaced') THEN
        campaign_plan_figures(x.quantity, x.new_quantity, unit_code(x.setter_id), coalesce(x.note, x.old_note)) END)
      ORDER BY x.scope_key, x.due_on, x.kind, x.phase), '[]')
    FROM (SELECT * FROM plan_item p WHERE p.change <> 'unchanged' ORDER BY p.scope_key, p.due_on, p.kind, p.phase LIMIT 1000) x));
  IF NOT trial THEN PERFORM campaign_plan_write(c, request_id); END IF;
  RETURN answer::text;
END $$;
CREATE FUNCTION campaign_assignment_refuse(unit text, setter text) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  PERFORM fail(403, 'forbidden', NULL, format('What %s is to do was set by %s: who set it changes it, or whoever stands above that one.', unit,
    coalesce(setter, '…')));
END $$;
-- Holds what is to be changed until it is, in the one order of all who hold any; whether it is still what was judged.
CREATE FUNCTION campaign_plan_hold() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT count(*) FROM plan_item p WHERE p.change IN ('replaced', 'removed'))
    = (SELECT count(*) FROM (SELECT a.id, a.version FROM campaign_assignment a
        WHERE a.id IN (SELECT p.id FROM plan_item p WHERE p.change IN ('replaced', 'removed')) ORDER BY a.id FOR UPDATE) h
      JOIN plan_item p ON p.id = h.id AND p.old_version = h.version);
END $$;
-- Writes plan_item, in the order of its keys.
CREATE FUNCTION campaign_plan_write(c campaign, request_id text) RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  meant bigint := (SELECT count(*) FROM plan_item p WHERE p.change IN ('replaced', 'removed'));
  n bigint;
BEGIN
  INSERT INTO campaign_assignment (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, every, starts_on,
    set_quantity, set_due_on, quantity, due_on, note, setter_id, copied_from)
  SELECT p.id, c.id, p.phase_id, c.programme_id, p.organization_id, p.organization, p.scope_key, p.kind, p.every, p.starts_on,
    p.quantity, p.due_on, p.quantity, p.due_on, p.note, p.setter_id, p.copied_from
  FROM plan_item p WHERE p.change = 'created' ORDER BY p.scope_key, p.due_on, p.kind;
  UPDATE plan_item p SET before = campaign_assignment_state(a, c.code, p.phase, unit_code(a.setter_id))
  FROM campaign_assignment a WHERE p.change IN ('replaced', 'removed') AND a.id = p.id;
  UPDATE campaign_assignment a SET set_quantity = p.quantity, quantity = p.new_quantity, every = p.every, starts_on = p.starts_on,
    note = coalesce(p.note, a.note), reason = CASE WHEN p.new_quantity = p.quantity AND a.due_on = a.set_due_on THEN NULL ELSE a.reason END,
    setter_id = p.setter_id, copied_from = coalesce(p.copied_from, a.copied_from), version = a.version + 1, updated_at = clock_now()
  FROM plan_item p WHERE p.change = 'replaced' AND a.id = p.id AND a.version = p.old_version;
  GET DIAGNOSTICS n = ROW_COUNT;
  meant := meant - n;
  DELETE FROM campaign_assignment a USING plan_item p WHERE p.change = 'removed' AND a.id = p.id AND a.version = p.old_version;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n < meant THEN PERFORM fail(409, 'concurrent_change', NULL, 'Some of the assignments changed meanwhile.'); END IF;
  INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id, request_id,
    before, after)
  SELECT me_account(), me_client(), me_grant(), me_session(), CASE p.change WHEN 'created' THEN 'create' ELSE 'update' END, 'campaign_assignment', a.id,
    a.version, a.scope_key, a.programme_id, campaign_plan_write.request_id, p.before, campaign_assignment_state(a, c.code, p.phase, s.setter)
  FROM plan_item p JOIN campaign_assignment a ON a.id = p.id
    JOIN (SELECT x.setter_id, unit_code(x.setter_id) AS setter FROM (SELECT DISTINCT y.setter_id FROM plan_item y) x OFFSET 0) s ON s.setter_id = p.setter_id
  WHERE p.change IN ('created', 'replaced') ORDER BY p.scope_key, p.due_on, p.kind;
  INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id, request_id, before)
  SELECT me_account(), me_client(), me_grant(), me_session(), 'delete', 'campaign_assignment', p.id, p.old_version + 1, p.scope_key, c.programme_id,
    campaign_plan_write.request_id, p.before
  FROM plan_item p WHERE p.change = 'removed' ORDER BY p.scope_key, p.due_on, p.kind;
END $$;

-- The units of a body that are named, and its faults about them.
CREATE FUNCTION campaign_units_faults(c campaign, b jsonb, below organization) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN unit_list_faults(b -> 'organizations', '#/organizations') || unit_list_faults(b -> 'except', '#/except')
    || ARRAY(SELECT fault('#/organizations/' || x.n - 1, 'outside_scope', 'it lies outside of the campaign''s scope')
      FROM jsonb_array_elements_text(coalesce(nullif(b -> 'organizations', 'null'), '[]')) WITH ORDINALITY x(u, n)
        JOIN organization o ON o.id = organization_id(x.u)
      WHERE NOT o.scope_key ^@ c.scope_key ORDER BY x.n)
    || ARRAY(SELECT fault('#/kinds/' || x.n - 1, 'unknown_reference', 'no such organization kind')
      FROM jsonb_array_elements_text(coalesce(nullif(b -> 'kinds', 'null'), '[]')) WITH ORDINALITY x(k, n)
      WHERE NOT EXISTS (SELECT FROM organization_kind o WHERE o.code = x.k) ORDER BY x.n)
    || CASE WHEN b ->> 'under' IS NOT NULL AND below.id IS NULL THEN fault('#/under', 'unknown_reference', 'no such organization')
      WHEN below.id IS NOT NULL AND NOT below.scope_key ^@ c.scope_key
        THEN fault('#/under', 'outside_scope', 'it lies outside of the campaign''s scope') END;
END $$;
-- Sets what units are to do: the units named, and those of the kinds (all but attached ones, where there are none) below a unit, as they are on each day.
CREATE FUNCTION campaign_assignments_set(ref text, body jsonb, request_id text) RETURNS TABLE (status int, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c campaign := campaign_to_plan(ref);
  f campaign_phase;
  below organization;
  named uuid[] := ARRAY(SELECT DISTINCT o FROM jsonb_array_elements_text(coalesce(nullif(body -> 'organizations', 'null'), '[]')) u, organization_id(u) o WHERE o IS NOT NULL);
  excepted uuid[] := ARRAY(SELECT DISTINCT o FROM jsonb_array_elements_text(coalesce(nullif(body -> 'except', 'null'), '[]')) u, organization_id(u) o WHERE o IS NOT NULL);
  of_kinds text[] := text_list(nullif(body -> 'kinds', 'null'));
  wanted campaign_plan[];
  beyond text;
BEGIN
  SELECT * INTO f FROM campaign_phase x WHERE x.id = campaign_phase_id(c.id, body ->> 'phase');
  SELECT * INTO below FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'under'));
  PERFORM refuse(VARIADIC campaign_plan_faults(f, body) || campaign_units_faults(c, body, below) || ARRAY[
    CASE WHEN body ->> 'under' IS NULL AND coalesce(nullif(body -> 'organizations', 'null'), '[]') = '[]'
        THEN fault('#/organizations', 'required', 'name units, or the unit below which they stand')
      WHEN named && excepted THEN fault('#/except', 'contradiction', 'a unit is both named and excepted') END,
    CASE WHEN of_kinds IS NOT NULL AND body ->> 'under' IS NULL THEN fault('#/under', 'required', 'kinds go with the unit they stand below') END]);
  PERFORM campaign_plan_bound(greatest(cardinality(named), 1) * (SELECT count(*) FROM campaign_days(f, body)));
  PERFORM refuse(VARIADIC campaign_there_faults(f, body));
  SELECT o.code INTO beyond FROM organization o
  WHERE (o.id = below.id OR o.id = ANY (named)) AND NOT may_write(c.programme_id, o.scope_key) ORDER BY o.scope_key LIMIT 1;
  IF beyond IS NOT NULL THEN PERFORM fail(403, 'forbidden', NULL, format('%s lies outside of what you define.', beyond)); END IF;
  wanted := ARRAY(SELECT ROW(f.id, f.code, u.id, u.code, u.scope_key, body ->> 'kind', body ->> 'every', u.starts_on, u.due_on, (body ->> 'quantity')::int,
      body ->> 'note', me_seat(), NULL)::campaign_plan
    FROM (SELECT o.id, o.code, o.scope_key, d.starts_on, d.due_on FROM organization o, campaign_days(f, body) d WHERE o.id = ANY (named)
      UNION ALL
      SELECT o.id, o.code, o.scope_key, d.starts_on, d.due_on
      FROM organization o JOIN organization_span s ON s.organization_id = o.id JOIN campaign_days(f, body) d ON s.validity @> d.due_on
      WHERE o.scope_key > below.scope_key AND o.scope_key < below.scope_key || '~' AND o.id <> ALL (named || excepted)
        AND (s.kind = ANY (of_kinds) OR (of_kinds IS NULL AND NOT o.attached))
      LIMIT 100001) u);
  IF wanted = '{}' THEN PERFORM refuse(fault('#/under', 'nothing_there', 'there is no such unit on any of the days')); END IF;
  RETURN QUERY SELECT 200, campaign_plan_put(c, wanted, '{}', coalesce(body ->> 'strategy', 'create'), coalesce((body ->> 'dry_run')::boolean, false), request_id);
END $$;
-- Units that are named are there on each of the days.
CREATE FUNCTION campaign_there_faults(f campaign_phase, b jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT fault('#/organizations/' || x.n - 1, 'not_there', format('%s is not there on %s', o.code, min(d.due_on)))
    FROM jsonb_array_elements_text(coalesce(nullif(b -> 'organizations', 'null'), '[]')) WITH ORDINALITY x(u, n)
      JOIN organization o ON o.id = organization_id(x.u), campaign_days(f, b) d
    WHERE NOT daterange(o.valid_from, o.valid_to, '[]') @> d.due_on GROUP BY x.n, o.code ORDER BY x.n);
END $$;
-- A unit's own plan.
CREATE FUNCTION campaign_assignments_own(ref text, body jsonb, request_id text) RETURNS TABLE (status int, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c campaign := campaign_to_plan(ref);
  f campaign_phase;
  o organization;
BEGIN
  SELECT * INTO f FROM campaign_phase x WHERE x.id = campaign_phase_id(c.id, body ->> 'phase');
  SELECT * INTO o FROM organization x WHERE x.id = CASE WHEN body ->> 'organization' IS NULL THEN me_seat() ELSE organization_id(body ->> 'organization') END;
  PERFORM refuse(VARIADIC campaign_plan_faults(f, body) || CASE WHEN o.id IS NULL THEN fault('#/organization', 'unknown_reference', 'no such organization')
    WHEN NOT o.scope_key ^@ c.scope_key THEN fault('#/organization', 'outside_scope', 'it lies outside of the campaign''s scope') END);
  PERFORM refuse(VARIADIC ARRAY(SELECT fault('#/organization', 'not_there', format('%s is not there on %s', o.code, min(d.due_on)))
    FROM campaign_days(f, body) d WHERE NOT daterange(o.valid_from, o.valid_to, '[]') @> d.due_on HAVING count(*) > 0));
  IF NOT campaign_may_enter(c.id, c.programme_id, o.scope_key) THEN PERFORM campaign_planning_refuse(c, o.code); END IF;
  RETURN QUERY SELECT 200, campaign_plan_put(c, ARRAY(SELECT ROW(f.id, f.code, o.id, o.code, o.scope_key, body ->> 'kind', body ->> 'every', d.starts_on, d.due_on,
      (body ->> 'quantity')::int, body ->> 'note', o.id, NULL)::campaign_plan FROM campaign_days(f, body) d),
    '{}', coalesce(body ->> 'strategy', 'create'), coalesce((body ->> 'dry_run')::boolean, false), request_id);
END $$;
CREATE FUNCTION campaign_planning_refuse(c campaign, unit text) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  PERFORM fail(403, 'forbidden', NULL, CASE c.entered_by
    WHEN 'self' THEN format('What %s plans in %s is entered by itself or by a mandate to enter.', unit, c.code)
    ELSE format('What %s plans in %s is entered by itself, by a unit above it or by a mandate to enter.', unit, c.code) END);
END $$;

-- ---- copying down ----------------------------------------------------------------------------------------------
-- A quantity parted by weights, nothing lost: each gets the whole number below its share, and what remains goes one by one to the largest remainders;
-- of equal ones to those that come first when one begins to count after start of them.
CREATE FUNCTION campaign_split(quantity bigint, weights bigint[], start bigint) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
  WITH whole AS (SELECT coalesce(sum(w), 0) AS weight, count(*) AS n FROM unnest(weights) w),
  part AS (SELECT x.n, div(quantity::numeric * x.w, t.weight) AS low, mod(quantity::numeric * x.w, t.weight) AS rest,
      mod(x.n - 1 - mod(start, t.n) + t.n, t.n) AS turn
    FROM unnest(weights) WITH ORDINALITY x(w, n), whole t WHERE t.weight > 0),
  ranked AS (SELECT p.n, p.low, row_number() OVER (ORDER BY p.rest DESC, p.turn) AS place, quantity - sum(p.low) OVER () AS over FROM part p)
  SELECT array_agg((r.low + CASE WHEN r.place <= r.over THEN 1 ELSE 0 END)::bigint ORDER BY r.n) FROM ranked r $$;

-- What a unit is to do itself, to be copied down: of one phase or of all, from a day on.
CREATE FUNCTION campaign_copied(c campaign, unit organization, phase uuid, since date) RETURNS SETOF campaign_assignment LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY SELECT a.* FROM campaign_assignment a
    WHERE a.campaign_id = c.id AND a.scope_key = unit.scope_key AND a.organization_id = unit.id AND a.due_on >= since AND (phase IS NULL OR a.phase_id = phase);
END $$;
-- What its subordinates are to do of it: each the same, or all together as much. (A quantity beyond what is kept is one too many here, and refused; none
-- where nobody has any weight, 0 for who gets no part.)
CREATE FUNCTION campaign_copies(c campaign, unit organization, below text, phase uuid, since date, of_kinds text[], excepted uuid[], weights jsonb, split boolean,
    more_note text) RETURNS campaign_plan[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  found campaign_plan[];
  pairs bigint;
BEGIN
  WITH source AS MATERIALIZED (
    SELECT s.*, row_number() OVER (ORDER BY s.phase_id, s.kind, s.due_on) AS nr,
      sum(s.quantity) OVER (PARTITION BY s.phase_id, s.kind ORDER BY s.due_on) - s.quantity AS before
    FROM (SELECT a.phase_id, f.code AS phase, a.kind, a.due_on, sum(a.quantity) AS quantity, CASE WHEN count(*) = 1 THEN min(a.every) END AS every,
        CASE WHEN count(*) = 1 THEN min(a.starts_on) END AS starts_on, (array_agg(a.id ORDER BY a.id))[1] AS id
      FROM campaign_copied(c, unit, phase, since) a JOIN campaign_phase f ON f.id = a.phase_id
      WHERE a.quantity > 0
      GROUP BY 1, 2, 3, 4) s
  ), near AS MATERIALIZED (
    SELECT s.nr, o.id, o.code, o.scope_key
    FROM source s JOIN organization_span x ON x.validity @> s.due_on AND x.scope_key > below AND x.scope_key < below || '~'
      JOIN organization o ON o.id = x.organization_id
    WHERE o.id <> ALL (excepted) AND o.scope_key ^@ c.scope_key
      AND (x.kind = ANY (of_kinds) OR (of_kinds IS NULL AND NOT o.attached AND x.parent_id = unit.id))
    LIMIT 100001
  ), taker AS MATERIALIZED (
    SELECT n.*, row_number() OVER (PARTITION BY n.nr ORDER BY n.scope_key) AS n, coalesce((weights ->> n.id::text)::bigint, 1) AS weight FROM near n
  ), parts AS (
    SELECT s.nr, campaign_split(s.quantity::bigint, array_agg(t.weight ORDER BY t.n), s.before::bigint) AS list
    FROM source s JOIN taker t USING (nr) WHERE split GROUP BY s.nr, s.quantity, s.before
  )
  SELECT coalesce(array_agg(ROW(s.phase_id, s.phase, t.id, t.code, t.scope_key, s.kind, s.every, s.starts_on, s.due_on,
      CASE WHEN NOT split THEN least(s.quantity, 1000001) WHEN p.list IS NOT NULL THEN least(p.list[t.n], 1000001) END::int,
      more_note, me_seat(), s.id)::campaign_plan ORDER BY t.scope_key, s.nr), '{}'), (SELECT count(*) FROM near)
    INTO found, pairs
  FROM source s JOIN taker t USING (nr) LEFT JOIN parts p USING (nr);
  PERFORM campaign_plan_bound(pairs);
  RETURN found;
END $$;
CREATE FUNCTION campaign_assignments_copy_down(ref text, body jsonb, request_id text) RETURNS TABLE (status int, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c campaign := campaign_to_plan(ref);
  unit organization;
  below organization;
  phase uuid := campaign_phase_id(c.id, body ->> 'phase');
  excepted uuid[] := ARRAY(SELECT DISTINCT o FROM jsonb_array_elements_text(coalesce(nullif(body -> 'except', 'null'), '[]')) u, organization_id(u) o WHERE o IS NOT NULL);
  listed jsonb := coalesce(nullif(body -> 'weights', 'null'), '[]');
  weights jsonb;
  split boolean := body ->> 'share' = 'split';
  since date := coalesce((body ->> 'from')::date, today());
  wanted campaign_plan[];
  parted uuid[] := '{}';
BEGIN
  SELECT * INTO unit FROM organization x WHERE x.id = CASE WHEN body ->> 'organization' IS NULL THEN me_seat() ELSE organization_id(body ->> 'organization') END;
  SELECT * INTO below FROM organization x WHERE x.id = (SELECT organization_id(body ->> 'under'));
  PERFORM refuse(VARIADIC ARRAY[
      CASE WHEN unit.id IS NULL THEN fault('#/organization', 'unknown_reference', 'no such organization') END,
      CASE WHEN body ->> 'phase' IS NOT NULL AND phase IS NULL THEN fault('#/phase', 'unknown_reference', 'the campaign has no such phase') END,
      CASE WHEN below.id IS NOT NULL AND NOT below.scope_key ^@ unit.scope_key THEN fault('#/under', 'outside_scope', 'it does not lie below the unit') END,
      CASE WHEN listed <> '[]' AND NOT split THEN fault('#/weights', 'not_expected', 'weights are for what is split') END]
    || campaign_units_faults(c, body - 'organizations', below)
    || unit_list_faults((SELECT jsonb_agg(w -> 'organization') FROM jsonb_array_elements(listed) w), '#/weights'));
  weights := (SELECT jsonb_object_agg(organization_id(w ->> 'organization'), w -> 'weight') FROM jsonb_array_elements(listed) w);
  IF NOT may_write(c.programme_id, unit.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s lies outside of what you define.', unit.code));
  END IF;
  wanted := campaign_copies(c, unit, coalesce(below.scope_key, unit.scope_key), phase, since,
    text_list(nullif(body -> 'kinds', 'null')), excepted, coalesce(weights, '{}'), split, body ->> 'note');
  -- (as it is copied anew: who had a part and is given none now has none)
  IF split THEN parted := ARRAY(SELECT s.id FROM campaign_copied(c, unit, phase, since) s); END IF;
  IF wanted = '{}' AND NOT EXISTS (SELECT FROM campaign_assignment a WHERE a.copied_from = ANY (parted)) THEN
    PERFORM refuse(fault('#/organization', 'nothing_there', 'it has nothing to copy down, or nobody to copy it to'));
  END IF;
  PERFORM refuse(VARIADIC ARRAY(SELECT fault('#/weights/' || x.n - 1, 'not_there', format('%s gets no part of it: it is not among those that it is copied to', o.code))
      FROM jsonb_array_elements(listed) WITH ORDINALITY x(w, n) JOIN organization o ON o.id = organization_id(x.w ->> 'organization')
      WHERE wanted <> '{}' AND NOT EXISTS (SELECT FROM unnest(wanted) w WHERE w.organization_id = o.id) ORDER BY x.n)
    || (SELECT fault('#/weights', 'contradiction', format('nobody would get a part of what is due on %s', min(w.due_on))) FROM unnest(wanted) w
      WHERE w.quantity IS NULL HAVING count(*) > 0));
  wanted := ARRAY(SELECT w FROM unnest(wanted) w WHERE w.quantity > 0);
  RETURN QUERY SELECT 200, campaign_plan_put(c, wanted, parted, coalesce(body ->> 'strategy', 'create'), coalesce((body ->> 'dry_run')::boolean, false), request_id);
END $$;

-- ---- one by one ------------------------------------------------------------------------------------------------
-- The assignment as it is now, held until it is changed; it is no longer the caller's to change: 412.
CREATE FUNCTION campaign_assignment_hold(a campaign_assignment) RETURNS campaign_assignment LANGUAGE plpgsql AS $$
DECLARE held campaign_assignment;
BEGIN
  SELECT * INTO held FROM campaign_assignment x WHERE x.id = a.id FOR UPDATE;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  RETURN held;
END $$;
-- Writes a change of one row, if it is the version that is meant.
CREATE FUNCTION campaign_assignment_write(was campaign_assignment, new campaign_assignment, c campaign, if_match text, request_id text)
  RETURNS campaign_assignment LANGUAGE plpgsql AS $$
DECLARE
  a campaign_assignment;
  phase text := (SELECT f.code FROM campaign_phase f WHERE f.id = was.phase_id);
BEGIN
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  UPDATE campaign_assignment x SET set_quantity = new.set_quantity, set_due_on = new.set_due_on, quantity = new.quantity, due_on = new.due_on,
    reason = CASE WHEN (new.quantity, new.due_on) <> (new.set_quantity, new.set_due_on) THEN new.reason END, note = new.note, setter_id = new.setter_id,
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = was.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO a;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('update', 'campaign_assignment', a.id, a.version, a.scope_key, campaign_assignment_state(was, c.code, phase, unit_code(was.setter_id)),
    campaign_assignment_state(a, c.code, phase, unit_code(a.setter_id)), request_id, a.programme_id);
  RETURN a;
END $$;
-- What the unit makes of it: quantity and day, with a reason where they differ from what was set; null takes back what was set. Its own plan changes as a whole.
CREATE FUNCTION campaign_assignment_adjust(ref text, assignment_ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  a campaign_assignment := campaign_assignment_at(ref, assignment_ref);
  c campaign;
  f campaign_phase;
  was campaign_assignment;
  own boolean;
BEGIN
  SELECT * INTO c FROM campaign x WHERE x.id = a.campaign_id;
  SELECT * INTO f FROM campaign_phase x WHERE x.id = a.phase_id;
  IF NOT campaign_may_enter(c.id, c.programme_id, a.scope_key) THEN PERFORM campaign_planning_refuse(c, a.organization_code); END IF;
  PERFORM campaign_to_plan(ref);
  was := campaign_assignment_hold(a);
  a := was;
  own := a.setter_id = a.organization_id;
  IF patch ? 'quantity' THEN a.quantity := coalesce((patch ->> 'quantity')::int, a.set_quantity); END IF;
  IF patch ? 'due_on' THEN a.due_on := coalesce((patch ->> 'due_on')::date, a.set_due_on); END IF;
  IF patch ? 'reason' THEN a.reason := patch ->> 'reason'; END IF;
  IF patch ? 'note' THEN a.note := patch ->> 'note'; END IF;
  PERFORM refuse(campaign_day_fault(f, '#/due_on', patch ->> 'due_on'),
    CASE WHEN own AND a.quantity = 0 THEN fault('#/quantity', 'out_of_range', 'one''s own plan of nothing is deleted') END,
    CASE WHEN own OR (a.quantity, a.due_on) = (a.set_quantity, a.set_due_on) THEN
        CASE WHEN patch ->> 'reason' IS NOT NULL THEN fault('#/reason', 'not_expected', 'a reason is for what differs from what was set') END
      WHEN btrim(coalesce(a.reason, '')) = '' THEN fault('#/reason', 'required', 'what differs from what was set needs a reason') END);
  IF own THEN
    a.set_quantity := a.quantity;
    a.set_due_on := a.due_on;
  END IF;
  a := campaign_assignment_write(was, a, c, if_match, request_id);
  RETURN QUERY SELECT 200, r.version, r.body FROM campaign_assignment_answer(a) r;
END $$;
-- What was set, changed by who set it or stands above: where the unit had changed nothing it follows.
CREATE FUNCTION campaign_assignment_reset(ref text, assignment_ref text, body jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  a campaign_assignment := campaign_assignment_at(ref, assignment_ref);
  c campaign;
  f campaign_phase;
  was campaign_assignment;
BEGIN
  SELECT * INTO c FROM campaign x WHERE x.id = a.campaign_id;
  SELECT * INTO f FROM campaign_phase x WHERE x.id = a.phase_id;
  IF NOT campaign_assignment_settable(a.programme_id, a.setter_id, a.scope_key) THEN
    PERFORM campaign_assignment_refuse(a.organization_code, unit_code(a.setter_id));
  END IF;
  PERFORM campaign_to_plan(ref);
  PERFORM refuse(campaign_day_fault(f, '#/due_on', body ->> 'due_on'));
  was := campaign_assignment_hold(a);
  a := was;
  a.set_quantity := (body ->> 'quantity')::int;
  a.set_due_on := (body ->> 'due_on')::date;
  a.note := body ->> 'note';
  IF was.quantity = was.set_quantity THEN a.quantity := a.set_quantity; END IF;
  IF was.due_on = was.set_due_on THEN a.due_on := a.set_due_on; END IF;
  a.setter_id := me_seat();
  a := campaign_assignment_write(was, a, c, if_match, request_id);
  RETURN QUERY SELECT 200, r.version, r.body FROM campaign_assignment_answer(a) r;
END $$;
-- own: a unit takes its own plan away; else who set it, or stands above.
CREATE FUNCTION campaign_assignment_delete(ref text, assignment_ref text, own boolean, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  a campaign_assignment := campaign_assignment_at(ref, assignment_ref);
  c campaign;
  phase text := (SELECT f.code FROM campaign_phase f WHERE f.id = a.phase_id);
BEGIN
  SELECT * INTO c FROM campaign x WHERE x.id = a.campaign_id;
  IF own AND NOT campaign_may_enter(c.id, c.programme_id, a.scope_key) THEN PERFORM campaign_planning_refuse(c, a.organization_code); END IF;
  IF (CASE WHEN own THEN a.setter_id <> a.organization_id ELSE NOT campaign_assignment_settable(a.programme_id, a.setter_id, a.scope_key) END) THEN
    PERFORM campaign_assignment_refuse(a.organization_code, unit_code(a.setter_id));
  END IF;
  PERFORM campaign_to_plan(ref);
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  a := campaign_assignment_hold(a);
  DELETE FROM campaign_assignment x WHERE x.id = a.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')));
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('delete', 'campaign_assignment', a.id, a.version + 1, a.scope_key, campaign_assignment_state(a, c.code, phase, unit_code(a.setter_id)), NULL,
    request_id, a.programme_id);
END $$;

GRANT EXECUTE ON FUNCTION campaign_assignment_settable(uuid, uuid, text), campaign_assignment_lock(uuid),
  campaign_assignment_state(campaign_assignment, text, text, text),
  campaign_assignment_json(campaign_assignment), campaign_assignment_at(text, text), campaign_assignment_answer(campaign_assignment),
  filter_assignment_phase(text, text, text), campaign_days(campaign_phase, jsonb), campaign_day_fault(campaign_phase, text, text),
  campaign_plan_faults(campaign_phase, jsonb), campaign_to_plan(text), campaign_plan_figures(int, int, text, text),
  campaign_plan_clash(text, boolean, text, text, date, boolean, boolean), campaign_plan_bound(bigint), campaign_plan_hold(),
  campaign_plan_put(campaign, campaign_plan[], uuid[], text, boolean, text), campaign_assignment_refuse(text, text), campaign_plan_write(campaign, text),
  campaign_units_faults(campaign, jsonb, organization), campaign_assignments_set(text, jsonb, text), campaign_there_faults(campaign_phase, jsonb),
  campaign_assignments_own(text, jsonb, text), campaign_planning_refuse(campaign, text), campaign_split(bigint, bigint[], bigint),
  campaign_copied(campaign, organization, uuid, date), campaign_assignment_hold(campaign_assignment),
  campaign_copies(campaign, organization, text, uuid, date, text[], uuid[], jsonb, boolean, text), campaign_assignments_copy_down(text, jsonb, text),
  campaign_assignment_write(campaign_assignment, campaign_assignment, campaign, text, text), campaign_assignment_adjust(text, text, jsonb, text, text),
  campaign_assignment_reset(text, text, jsonb, text, text), campaign_assignment_delete(text, text, boolean, text, text) TO tiendo_service;
