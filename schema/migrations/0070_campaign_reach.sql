-- People reached: one distinct figure of a unit for a phase, of whom, out of how many, by which source. Declared, never added up from contacts.
SET search_path = tiendo, public;

GRANT INSERT, DELETE ON campaign_reach TO tiendo_service;
GRANT UPDATE (covers, reached, base, base_source, base_on, counted_on, note, on_behalf, entered_by, seat_id, account_id, client_id, version, updated_at)
  ON campaign_reach TO tiendo_service;
-- A declaration that was taken away and comes again goes on where it ended, so that no version comes twice.
CREATE TABLE campaign_reach_ended (
  phase_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  programme_id uuid NOT NULL,
  of text NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (phase_id, scope_key, of)
);
DO $do$ BEGIN PERFORM protect('campaign_reach_ended', 'programme_id'); END $do$;
GRANT SELECT ON campaign_reach_ended TO tiendo_service;
CREATE FUNCTION campaign_reach_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO campaign_reach_ended (phase_id, scope_key, programme_id, of, version) VALUES (old.phase_id, old.scope_key, old.programme_id, old.of, old.version + 1)
  ON CONFLICT (phase_id, scope_key, of) DO UPDATE SET version = excluded.version;
  RETURN NULL;
END $$;
CREATE TRIGGER campaign_reach_end AFTER DELETE ON campaign_reach FOR EACH ROW EXECUTE FUNCTION campaign_reach_end();

-- What each declaration said before it was put anew: a standing as of a day tells the last one counted by then. One that is taken away was never there.
CREATE TABLE campaign_reach_said (
  reach_id uuid NOT NULL,
  version bigint NOT NULL,
  phase_id uuid NOT NULL,
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  of text NOT NULL,
  covers text NOT NULL,
  reached int NOT NULL,
  base int NOT NULL,
  counted_on date NOT NULL,
  PRIMARY KEY (reach_id, version)
);
CREATE INDEX campaign_reach_said_phase ON campaign_reach_said (phase_id, scope_key);
DO $do$ BEGIN PERFORM protect('campaign_reach_said', 'programme_id'); END $do$;
GRANT SELECT ON campaign_reach_said TO tiendo_service;
CREATE FUNCTION campaign_reach_say() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    DELETE FROM campaign_reach_said s WHERE s.reach_id = old.id;
  ELSE
    INSERT INTO campaign_reach_said (reach_id, version, phase_id, programme_id, organization_id, scope_key, of, covers, reached, base, counted_on)
    VALUES (new.id, new.version, new.phase_id, new.programme_id, new.organization_id, new.scope_key, new.of, new.covers, new.reached, new.base, new.counted_on);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER campaign_reach_say AFTER INSERT OR DELETE OR UPDATE OF version ON campaign_reach FOR EACH ROW EXECUTE FUNCTION campaign_reach_say();

CREATE FUNCTION campaign_reach_json(r campaign_reach) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(x)::text FROM (
    SELECT coalesce((SELECT c.code FROM campaign c WHERE c.id = r.campaign_id), campaign_code_kept(r.campaign_id)) AS campaign, coalesce((SELECT f.code FROM campaign_phase f WHERE f.id = r.phase_id), campaign_phase_code_kept(r.phase_id)) AS phase,
      r.organization_code AS organization, (SELECT o.name FROM organization o WHERE o.id = r.organization_id) AS organization_name, r.of, r.covers,
      r.reached, r.base, percent(r.reached, r.base) AS percent, r.base_source, r.base_on, r.counted_on, r.note, r.on_behalf, r.entered_by, r.version,
      tstz(r.created_at) AS created_at, tstz(r.updated_at) AS updated_at) x);
END $$;

-- The units of a subtree that have ended, each with every unit that it went over into as a whole, one after the other, and lies below since.
CREATE INDEX organization_heirs ON organization (scope_key) WHERE owes IS NOT NULL;
CREATE FUNCTION campaign_heirs(unit_key text) RETURNS TABLE (scope_key text, heir text, ended_on date) LANGUAGE plpgsql STABLE ROWS 10 AS $$
BEGIN
  RETURN QUERY SELECT e.scope_key, o.scope_key, e.valid_to
    FROM organization o CROSS JOIN LATERAL unnest(o.owes) k JOIN organization e ON e.scope_key = k
    WHERE o.scope_key >= unit_key AND o.scope_key < unit_key || '~' AND o.owes IS NOT NULL AND k ^@ o.scope_key AND k <> o.scope_key;
END $$;

-- What is declared beneath one that covers its whole subtree, or beneath that of a unit counted since others went over into it, one level a branch, and by
-- how much it differs; NULL beneath one of the unit's own people with none of these.
CREATE FUNCTION campaign_reach_below(r campaign_reach) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (WITH heirs AS MATERIALIZED (
    SELECT * FROM campaign_heirs(r.scope_key)
  ) SELECT json_build_object('units', count(*), 'reached', sum(b.reached), 'base', sum(b.base), 'difference', r.reached - sum(b.reached))
    FROM campaign_reach b JOIN organization u ON u.id = b.organization_id
    WHERE b.phase_id = r.phase_id AND b.of = r.of AND b.scope_key > r.scope_key AND b.scope_key < r.scope_key || '~'
      AND NOT u.attached AND u.kind IN (SELECT k.code FROM organization_kind k WHERE k.party_organization)
      AND (r.covers = 'subtree' OR EXISTS (SELECT FROM heirs h WHERE h.scope_key = b.scope_key AND h.heir = r.scope_key AND r.counted_on > h.ended_on))
      AND NOT EXISTS (SELECT FROM campaign_reach t WHERE t.phase_id = r.phase_id AND t.of = r.of
        AND t.scope_key = ANY (ancestor_keys(b.scope_key)) AND t.scope_key > r.scope_key
        AND (t.covers = 'subtree' OR EXISTS (SELECT FROM heirs h WHERE h.scope_key = b.scope_key AND h.heir = t.scope_key AND t.counted_on > h.ended_on)))
    HAVING r.covers = 'subtree' OR count(*) > 0);
END $$;

-- The phase a path names within its campaign (404), and the one a parameter names (422).
CREATE FUNCTION path_campaign_phase(campaign uuid, phase text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE found_id uuid := campaign_phase_id(campaign, phase);
BEGIN
  IF found_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN found_id;
END $$;
CREATE FUNCTION filter_campaign_phase(campaign uuid, phase text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE found_id uuid := campaign_phase_id(campaign, phase);
BEGIN
  IF found_id IS NULL THEN PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'the campaign has no such phase')); END IF;
  RETURN found_id;
END $$;

-- The declaration a path names, or none.
CREATE FUNCTION campaign_reach_at(c_ref text, f_ref text, o_ref text, whom text) RETURNS SETOF campaign_reach LANGUAGE plpgsql STABLE ROWS 1 AS $$
DECLARE
  phase uuid := campaign_phase_id(campaign_id(c_ref), f_ref);
  key text := key_of(o_ref);
BEGIN
  RETURN QUERY SELECT r.* FROM campaign_reach r WHERE r.phase_id = phase AND r.scope_key = key AND r.of = whom;
END $$;

-- Every fault of a declaration, but for what constraints say.
CREATE FUNCTION campaign_reach_faults(c campaign, f campaign_phase, o organization, body jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  day date := (body ->> 'counted_on')::date;
BEGIN
  RETURN ARRAY[
    CASE WHEN NOT o.scope_key ^@ c.scope_key THEN fault_parameter('organization', 'outside_scope', 'it lies outside of the campaign''s scope') END,
    CASE WHEN day < o.valid_from OR day > o.valid_to THEN fault('#/counted_on', 'not_there', 'the unit does not exist on that day') END,
    CASE WHEN day > today() THEN fault('#/counted_on', 'in_the_future', 'the day is still to come')
      WHEN day < f.starts_on THEN fault('#/counted_on', 'out_of_range', 'the phase begins after that day') END,
    CASE WHEN (body ->> 'base_on')::date > today() THEN fault('#/base_on', 'in_the_future', 'the day is still to come') END,
    CASE WHEN (body ->> 'reached')::bigint > (body ->> 'base')::bigint THEN fault('#/reached', 'out_of_range', 'not more can be reached than there are') END];
END $$;

-- Who enters for this unit: sight, permission and state, in the order in which they are told.
CREATE FUNCTION campaign_reach_ask(c campaign, o organization) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT campaign_may_enter(c.id, c.programme_id, o.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL,
      format('What %s does is entered by itself, by a mandate to enter, or by the units above it where the campaign lets them.', o.code));
  END IF;
  IF c.status <> 'active' THEN PERFORM fail(409, 'campaign_not_active', NULL, format('%s is not active: nothing is entered in it.', c.code)); END IF;
  PERFORM campaign_open(c.id);
END $$;

CREATE FUNCTION campaign_reach_put(c_ref text, f_ref text, o_ref text, whom text, body jsonb, if_match text, if_none_match text, new_id uuid, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c campaign;
  f campaign_phase;
  o organization;
  r campaign_reach;
  was jsonb;
  seat_code text;
BEGIN
  SELECT * INTO c FROM campaign x WHERE x.id = path_campaign(c_ref);
  SELECT * INTO f FROM campaign_phase x WHERE x.id = path_campaign_phase(c.id, f_ref);
  SELECT * INTO o FROM organization x WHERE x.id = organization_id(o_ref);
  IF o.id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  PERFORM campaign_reach_ask(c, o);
  PERFORM refuse(VARIADIC campaign_reach_faults(c, f, o, body));
  SELECT x.code INTO seat_code FROM organization x WHERE x.id = me_seat();

  SELECT * INTO r FROM campaign_reach x WHERE x.phase_id = f.id AND x.scope_key = o.scope_key AND x.of = whom;
  IF NOT FOUND THEN
    IF if_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
    IF if_none_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
    INSERT INTO campaign_reach (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, of, covers, reached, base, base_source,
      base_on, counted_on, note, on_behalf, entered_by, seat_id, account_id, client_id, version)
    VALUES (new_id, c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, whom, coalesce(body ->> 'covers', 'own'), (body ->> 'reached')::int, (body ->> 'base')::int,
      body ->> 'base_source', (body ->> 'base_on')::date, (body ->> 'counted_on')::date, body ->> 'note', o.id <> me_seat(), seat_code, me_seat(), me_account(),
      me_client(), coalesce((SELECT x.version FROM campaign_reach_ended x WHERE x.phase_id = f.id AND x.scope_key = o.scope_key AND x.of = whom), 0) + 1)
    ON CONFLICT (phase_id, organization_id, of) DO NOTHING
    RETURNING * INTO r;
    IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
    status := 201; version := r.version; body_out := campaign_reach_json(r);
    location := format('/v1/campaigns/%s/reach/%s/%s/%s', c.code, f.code, o.code, whom);
    PERFORM journal('create', 'campaign_reach', r.id, r.version, r.scope_key, NULL, body_out::jsonb, request_id, r.programme_id);
    RETURN NEXT;
    RETURN;
  END IF;
  IF if_none_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  was := campaign_reach_json(r)::jsonb;
  UPDATE campaign_reach x SET covers = coalesce(body ->> 'covers', 'own'), reached = (body ->> 'reached')::int, base = (body ->> 'base')::int,
    base_source = body ->> 'base_source', base_on = (body ->> 'base_on')::date, counted_on = (body ->> 'counted_on')::date, note = body ->> 'note',
    on_behalf = o.id <> me_seat(), entered_by = seat_code, seat_id = me_seat(), account_id = me_account(), client_id = me_client(),
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = r.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO r;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  status := 200; version := r.version; body_out := campaign_reach_json(r);
  PERFORM journal('update', 'campaign_reach', r.id, r.version, r.scope_key, was, body_out::jsonb, request_id, r.programme_id);
  RETURN NEXT;
END $$;

CREATE FUNCTION campaign_reach_delete(c_ref text, f_ref text, o_ref text, whom text, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c campaign;
  o organization;
  r campaign_reach;
BEGIN
  SELECT * INTO r FROM campaign_reach_at(c_ref, f_ref, o_ref, whom);
  IF r.id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  SELECT * INTO c FROM campaign x WHERE x.id = r.campaign_id;
  SELECT * INTO o FROM organization x WHERE x.id = r.organization_id;
  PERFORM campaign_reach_ask(c, o);
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  DELETE FROM campaign_reach x WHERE x.id = r.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')));
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('delete', 'campaign_reach', r.id, r.version + 1, r.scope_key, campaign_reach_json(r)::jsonb, NULL, request_id, r.programme_id);
END $$;

GRANT EXECUTE ON FUNCTION campaign_heirs(text), campaign_reach_json(campaign_reach), campaign_reach_below(campaign_reach), path_campaign_phase(uuid, text),
  filter_campaign_phase(uuid, text, text), campaign_reach_at(text, text, text, text), campaign_reach_faults(campaign, campaign_phase, organization, jsonb),
  campaign_reach_ask(campaign, organization), campaign_reach_put(text, text, text, text, jsonb, text, text, uuid, text),
  campaign_reach_delete(text, text, text, text, text, text) TO tiendo_service;
