-- Recognition: exemplary models and commended collectives, as references to decisions. Proposed by a unit, confirmed or returned by the one above,
-- published to everybody who reads the campaign. Every step goes by recognition_transition. Order of refusal as of products (0068).
SET search_path = tiendo, public;

-- By delegation: whose role it was. And who wrote any of it before: the accounts, and whose roles those were.
ALTER TABLE recognition ADD COLUMN proposed_giver_id uuid;
ALTER TABLE recognition ADD COLUMN earlier_account_ids uuid[] NOT NULL DEFAULT '{}';

-- What may be done, from which state, by whom: the author is who enters for the unit; the decider stands above it, nearest of those that have somebody for it, holds a mandate to review
-- over it, or owns the campaign.
CREATE TABLE recognition_transition (
  action text NOT NULL,
  from_state text NOT NULL,
  to_state text NOT NULL,
  actor text NOT NULL CHECK (actor IN ('author', 'decider')),
  permission text NOT NULL REFERENCES permission (code),
  -- whether it is kept from whoever wrote any of it
  by_another boolean NOT NULL DEFAULT false,
  PRIMARY KEY (action, from_state)
);
INSERT INTO recognition_transition (action, from_state, to_state, actor, permission, by_another) VALUES
  ('edit', 'proposed', 'proposed', 'author', 'activities:write', false),
  ('edit', 'returned', 'proposed', 'author', 'activities:write', false),
  ('delete', 'proposed', 'deleted', 'author', 'activities:write', false),
  ('delete', 'returned', 'deleted', 'author', 'activities:write', false),
  ('confirm', 'proposed', 'confirmed', 'decider', 'recognitions:write', true),
  ('return', 'proposed', 'returned', 'decider', 'recognitions:write', false),
  ('return', 'confirmed', 'returned', 'decider', 'recognitions:write', false),
  ('publish', 'confirmed', 'published', 'decider', 'recognitions:write', false),
  ('withdraw', 'confirmed', 'withdrawn', 'decider', 'recognitions:write', false),
  ('withdraw', 'published', 'withdrawn', 'decider', 'recognitions:write', false);
ALTER TABLE recognition_transition ENABLE ROW LEVEL SECURITY;
ALTER TABLE recognition_transition FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON recognition_transition TO tiendo_owner USING (true) WITH CHECK (true);
CREATE POLICY service_read ON recognition_transition FOR SELECT TO tiendo_service USING ((SELECT me_grant()) IS NOT NULL);
GRANT SELECT ON recognition_transition TO tiendo_service;

-- ---- who acts ------------------------------------------------------------------------------------------------
CREATE FUNCTION owns_campaign(campaign uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM campaign c WHERE c.id = campaign AND c.owner_id = ANY (me_seats()));
END $$;
-- Whether no unit between the two has anybody who decides on recognitions.
CREATE FUNCTION recognition_nobody_between(above text, key text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN NOT EXISTS (SELECT FROM access_grant g JOIN role_permission p ON p.role = g.role AND p.permission = 'recognitions:write'
    WHERE g.scope_key = ANY (ancestor_keys(key)) AND length(g.scope_key) > length(above) AND g.scope_key <> key AND g.revoked_at IS NULL
      AND g.valid_from <= today() AND (g.valid_to IS NULL OR g.valid_to >= today()));
END $$;
-- Whether the caller decides on it, by its seat. Nobody decides on what is its own unit's.
CREATE FUNCTION recognition_is_for_me(campaign uuid, programme uuid, organization uuid, key text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(organization <> ALL (me_seats()) AND ((key ^@ me_seat_key() AND key <> me_seat_key() AND recognition_nobody_between(me_seat_key(), key)) OR seat_holds('review', programme, key)
    OR owns_campaign(campaign)), false);
END $$;
-- Whether the caller proposes it, by its seat, whatever it is entered for now.
CREATE FUNCTION recognition_is_mine(r recognition) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(r.organization_id = ANY (me_seats()) OR seat_holds('enter', r.programme_id, r.scope_key)
    OR (r.scope_key ^@ me_seat_key() AND (me_client() IS NOT NULL
      OR EXISTS (SELECT FROM campaign c WHERE c.id = r.campaign_id AND c.entered_by = 'superior'))), false);
END $$;
-- Whether the caller ever proposed it or wrote any of what it says: an edit by another takes nothing of that away.
CREATE FUNCTION recognition_proposed_by_me(r recognition) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ones_own(r.proposed_account_id) OR ones_own(r.proposed_giver_id) OR EXISTS (SELECT FROM unnest(r.earlier_account_ids) x WHERE ones_own(x));
END $$;
-- What the caller may do to it now, by role, relation and state.
CREATE FUNCTION recognition_actions(r recognition) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  mine boolean := recognition_is_mine(r);
  for_me boolean := recognition_is_for_me(r.campaign_id, r.programme_id, r.organization_id, r.scope_key);
  open boolean := EXISTS (SELECT FROM campaign c WHERE c.id = r.campaign_id AND c.status = 'active');
BEGIN
  -- a unit of the past does nothing any more
  IF NOT EXISTS (SELECT FROM organization o WHERE o.id = me_seat() AND daterange(o.valid_from, o.valid_to, '[]') @> today()) THEN RETURN '{}'; END IF;
  RETURN ARRAY(SELECT t.action FROM recognition_transition t JOIN role_permission p ON p.role = me_role() AND p.permission = t.permission
    WHERE t.from_state = r.state AND CASE t.actor WHEN 'author' THEN mine AND open ELSE for_me END
      AND NOT (t.by_another AND recognition_proposed_by_me(r))
    ORDER BY t.action);
END $$;

GRANT INSERT, DELETE ON recognition TO tiendo_service;
-- The campaign's owner decides, and so sees what there is to decide on.
CREATE POLICY service_campaign_owner ON recognition FOR SELECT TO tiendo_service
  USING (EXISTS (SELECT FROM campaign c WHERE c.id = campaign_id AND c.owner_id = ANY ((SELECT me_seats())::uuid[])));
-- Whether the caller sees it: what the table's policies say, for what runs as the owner.
CREATE FUNCTION recognition_in_sight(r recognition) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(r.scope_key <@ scope(), false) OR coalesce(in_limited(r.programme_id, r.scope_key, limited_programmes(), limited_scopes()), false)
    OR owns_campaign(r.campaign_id) OR coalesce(r.state = 'published' AND EXISTS (SELECT FROM campaign c WHERE c.id = r.campaign_id
      AND (c.scope_key <@ scope() OR me_seat_key() ^@ c.scope_key OR in_limited(c.programme_id, c.scope_key, limited_programmes(), limited_scopes()))), false);
END $$;

-- ---- reading ---------------------------------------------------------------------------------------------------
CREATE FUNCTION recognition_decision(r recognition) RETURNS json LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN coalesce(r.decision_number, r.decision_on::text, r.decided_by) IS NOT NULL
    THEN json_build_object('number', r.decision_number, 'on', r.decision_on, 'by', r.decided_by) END $$;
CREATE FUNCTION recognition_json(r recognition) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(x)::text FROM (
    SELECT r.id, coalesce((SELECT c.code FROM campaign c WHERE c.id = r.campaign_id), campaign_code_kept(r.campaign_id)) AS campaign,
      coalesce((SELECT f.code FROM campaign_phase f WHERE f.id = r.phase_id), campaign_phase_code_kept(r.phase_id)) AS phase, r.organization_code AS organization,
      directory_name(r.organization_id) AS organization_name, r.kind, r.title, r.summary, recognition_decision(r) AS decision, r.state, r.reason,
      unit_code(r.proposed_seat_id) AS proposed_by, unit_code(r.decided_seat_id) AS decided_by, tstz(r.published_at) AS published_at,
      recognition_actions(r) AS actions, r.version, tstz(r.created_at) AS created_at, tstz(r.updated_at) AS updated_at) x);
END $$;
-- What the journal keeps of it: what one may do is no part of it.
CREATE FUNCTION recognition_kept(r recognition) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN recognition_json(r)::jsonb - 'actions';
END $$;
-- What one may do changes without it: the tag tells the text apart too.
CREATE FUNCTION recognition_get(p_recognition uuid) RETURNS TABLE (version text, body text) LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY SELECT r.version || ';' || left(md5(j.body), 12), j.body FROM recognition r, LATERAL (SELECT recognition_json(r) AS body) j
    WHERE r.id = p_recognition;
END $$;
CREATE FUNCTION path_recognition(p_recognition uuid) RETURNS recognition LANGUAGE plpgsql STABLE AS $$
DECLARE r recognition;
BEGIN
  SELECT * INTO r FROM recognition x WHERE x.id = p_recognition;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN r;
END $$;

-- ---- writing ---------------------------------------------------------------------------------------------------
-- What a body says applied to a row; names that are of nothing become NULL.
CREATE FUNCTION recognition_apply(r recognition, b jsonb) RETURNS recognition LANGUAGE plpgsql STABLE AS $$
DECLARE d jsonb := coalesce(nullif(b -> 'decision', 'null'), '{}');
BEGIN
  IF b ? 'kind' THEN r.kind := b ->> 'kind'; END IF;
  IF b ? 'title' THEN r.title := b ->> 'title'; END IF;
  IF b ? 'summary' THEN r.summary := b ->> 'summary'; END IF;
  IF b ? 'phase' THEN r.phase_id := campaign_phase_id(r.campaign_id, b ->> 'phase'); END IF;
  IF b ? 'decision' THEN
    r.decision_number := d ->> 'number'; r.decision_on := (d ->> 'on')::date; r.decided_by := d ->> 'by';
  END IF;
  RETURN r;
END $$;
CREATE FUNCTION recognition_faults(r recognition, p_action text, b jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY[
    CASE WHEN b ->> 'phase' IS NOT NULL AND r.phase_id IS NULL THEN fault('#/phase', 'unknown_reference', 'the campaign has no such phase') END,
    CASE WHEN r.decision_on > today() THEN fault('#/decision/on', 'in_the_future', 'the day lies in the future') END,
    CASE WHEN p_action = 'confirm' AND (r.decision_number IS NULL OR r.decision_on IS NULL)
      THEN fault('#/decision', 'required', 'what is confirmed refers to a decision, by its number and day') END];
END $$;
CREATE FUNCTION recognition_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  e record;
  r recognition;
BEGIN
  SELECT * INTO e FROM campaign_entry(body ->> 'campaign', body ->> 'organization', today());
  r.campaign_id := (e.c).id;
  r := recognition_apply(r, body);
  PERFORM refuse(VARIADIC recognition_faults(r, 'edit', body)), campaign_open(r.campaign_id);
  INSERT INTO recognition (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, summary, decision_number,
    decision_on, decided_by, proposed_seat_id, proposed_account_id, proposed_giver_id)
  VALUES (new_id, r.campaign_id, r.phase_id, (e.c).programme_id, (e.o).id, (e.o).code, (e.o).scope_key, r.kind, r.title, r.summary, r.decision_number,
    r.decision_on, r.decided_by, me_seat(), me_account(), me_giver())
  RETURNING * INTO r;
  PERFORM journal('create', 'recognition', r.id, r.version, r.scope_key, NULL, recognition_kept(r), request_id, r.programme_id);
  RETURN QUERY SELECT 201, r.version::text, '/v1/recognitions/' || r.id, recognition_json(r);
END $$;
-- Checks whose the action is, what the body says, the precondition, and finds the transition from the state there is: 403, 422, 428, 412, 409.
CREATE FUNCTION recognition_transit(was recognition, r recognition, p_action text, body jsonb, if_match text) RETURNS recognition_transition
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  t recognition_transition;
  author boolean := EXISTS (SELECT FROM recognition_transition x WHERE x.action = p_action AND x.actor = 'author');
BEGIN
  IF NOT EXISTS (SELECT FROM recognition_transition x WHERE x.action = p_action AND x.permission = me_permission()) THEN
    PERFORM fail(403, 'forbidden');
  ELSIF author AND NOT campaign_may_enter(r.campaign_id, r.programme_id, r.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('That is done by who enters for %s.', r.organization_code));
  ELSIF NOT author AND NOT recognition_is_for_me(r.campaign_id, r.programme_id, r.organization_id, r.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL,
      format('That is done by the nearest unit above %s that has somebody for it, by a mandate to review, or by the owner of the campaign.', r.organization_code));
  END IF;
  IF recognition_proposed_by_me(was) AND EXISTS (SELECT FROM recognition_transition x WHERE x.action = p_action AND x.by_another) THEN
    PERFORM fail(403, 'own_submission', NULL, 'Nobody confirms what they proposed or edited themselves, whichever grant they act by.');
  END IF;
  PERFORM refuse(VARIADIC recognition_faults(r, p_action, body)), check_version(was.version, if_match);
  IF author THEN PERFORM campaign_open(r.campaign_id); END IF;
  SELECT * INTO t FROM recognition_transition x WHERE x.action = p_action AND x.from_state = was.state;
  IF NOT FOUND THEN
    PERFORM fail(409, 'wrong_state', NULL, format('The recognition is %s; you can do this to it now: %s.', was.state,
      coalesce(nullif(array_to_string(recognition_actions(was), ', '), ''), '-')));
  END IF;
  RETURN t;
END $$;
-- Every action but taking it away; as the owner, who decides where the caller writes nothing else.
CREATE FUNCTION recognition_step(p_recognition uuid, p_action text, body jsonb, if_match text, request_id text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  was recognition := (SELECT x FROM recognition x WHERE x.id = p_recognition);
  r recognition := recognition_apply(was, CASE WHEN p_action IN ('edit', 'confirm') THEN body ELSE '{}' END);
  t recognition_transition;
  author boolean;
BEGIN
  IF was.id IS NULL OR NOT recognition_in_sight(was) THEN PERFORM fail(404, 'not_found'); END IF;
  t := recognition_transit(was, r, p_action, body, if_match);
  author := t.actor = 'author';
  -- an edit that says nothing new of what is proposed leaves it, and who proposed it, as it is
  IF author AND was.state = t.to_state AND r IS NOT DISTINCT FROM was THEN RETURN was.version; END IF;
  UPDATE recognition x SET phase_id = r.phase_id, kind = r.kind, title = r.title, summary = r.summary, decision_number = r.decision_number,
    decision_on = r.decision_on, decided_by = r.decided_by, state = t.to_state, reason = CASE WHEN author AND x.state = t.to_state THEN x.reason ELSE body ->> 'reason' END,
    proposed_seat_id = CASE WHEN author THEN me_seat() ELSE x.proposed_seat_id END,
    proposed_account_id = CASE WHEN author THEN me_account() ELSE x.proposed_account_id END,
    proposed_giver_id = CASE WHEN author THEN me_giver() ELSE x.proposed_giver_id END,
    earlier_account_ids = CASE WHEN author THEN ARRAY(SELECT DISTINCT a FROM unnest(x.earlier_account_ids || x.proposed_account_id || x.proposed_giver_id) a
      WHERE a IS NOT NULL) ELSE x.earlier_account_ids END,
    decided_seat_id = CASE WHEN author THEN x.decided_seat_id ELSE me_seat() END,
    decided_account_id = CASE WHEN author THEN x.decided_account_id ELSE me_account() END,
    published_at = CASE p_action WHEN 'publish' THEN clock_now() ELSE x.published_at END, version = x.version + 1, updated_at = clock_now()
  WHERE x.id = was.id AND x.version = was.version RETURNING * INTO r;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal(CASE p_action WHEN 'edit' THEN 'update' ELSE p_action END, 'recognition', r.id, r.version, r.scope_key, recognition_kept(was),
    recognition_kept(r), request_id, r.programme_id);
  RETURN r.version;
END $$;
CREATE FUNCTION recognition_act(p_recognition uuid, p_action text, body jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, body_out text) LANGUAGE plpgsql AS $$
DECLARE r recognition := path_recognition(p_recognition);
BEGIN
  version := recognition_step(r.id, p_action, coalesce(body, '{}'), if_match, request_id);
  status := 200; body_out := recognition_json(path_recognition(r.id));
  RETURN NEXT;
END $$;
CREATE FUNCTION recognition_delete(p_recognition uuid, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r recognition := path_recognition(p_recognition);
  before jsonb := recognition_kept(r);
BEGIN
  PERFORM recognition_transit(r, r, 'delete', '{}', if_match);
  DELETE FROM recognition x WHERE x.id = r.id AND x.version = r.version;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('delete', 'recognition', r.id, r.version + 1, r.scope_key, before, NULL, request_id, r.programme_id);
END $$;

GRANT EXECUTE ON FUNCTION owns_campaign(uuid), recognition_nobody_between(text, text), recognition_is_for_me(uuid, uuid, uuid, text), recognition_is_mine(recognition),
  recognition_proposed_by_me(recognition), recognition_actions(recognition), recognition_in_sight(recognition), recognition_decision(recognition),
  recognition_json(recognition), recognition_kept(recognition), recognition_get(uuid), path_recognition(uuid), recognition_apply(recognition, jsonb),
  recognition_faults(recognition, text, jsonb), recognition_create(uuid, jsonb, text),
  recognition_transit(recognition, recognition, text, jsonb, text), recognition_step(uuid, text, jsonb, text, text),
  recognition_act(uuid, text, jsonb, text, text), recognition_delete(uuid, text, text) TO tiendo_service;
