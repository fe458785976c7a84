-- A unit's reviews of a phase: interim ones, each by its day, and one final. What was reviewed stands beside how the phase stood by that day.
SET search_path = tiendo, public;

ALTER TABLE campaign_review DROP CONSTRAINT campaign_review_taken;
ALTER TABLE campaign_review ADD CONSTRAINT campaign_review_taken UNIQUE (phase_id, organization_id, kind, reviewed_on);
COMMENT ON CONSTRAINT campaign_review_taken ON campaign_review IS '412 version_conflict';
CREATE UNIQUE INDEX campaign_review_final ON campaign_review (phase_id, organization_id) WHERE kind = 'final';
-- A review that was taken away and comes again goes on where it ended, so that no version comes twice.
CREATE TABLE campaign_review_ended (
  phase_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  programme_id uuid NOT NULL,
  kind text NOT NULL,
  reviewed_on date NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (phase_id, scope_key, kind, reviewed_on)
);
DO $do$ BEGIN PERFORM protect('campaign_review_ended', 'programme_id'); END $do$;
GRANT SELECT ON campaign_review_ended TO tiendo_service;
CREATE FUNCTION campaign_review_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO campaign_review_ended (phase_id, scope_key, programme_id, kind, reviewed_on, version)
  VALUES (old.phase_id, old.scope_key, old.programme_id, old.kind, old.reviewed_on, old.version + 1)
  ON CONFLICT (phase_id, scope_key, kind, reviewed_on) DO UPDATE SET version = excluded.version;
  RETURN NULL;
END $$;
CREATE TRIGGER campaign_review_end AFTER DELETE ON campaign_review FOR EACH ROW EXECUTE FUNCTION campaign_review_end();

CREATE INDEX campaign_review_campaign ON campaign_review (campaign_id, scope_key, id);
CREATE INDEX campaign_review_unit ON campaign_review (organization_id, campaign_id);
GRANT INSERT, DELETE ON campaign_review TO tiendo_service;
GRANT UPDATE (results, difficulties, lessons, proposals, on_behalf, seat_id, account_id, client_id, version, updated_at)
  ON campaign_review TO tiendo_service;

-- The phases of this code in the campaigns in sight.
CREATE FUNCTION filter_review_phases(phase text, parameter text) RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_ids uuid[] := ARRAY(SELECT f.id FROM campaign_phase f WHERE f.code = phase);
BEGIN
  IF cardinality(found_ids) = 0 THEN PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'the campaign has no such phase')); END IF;
  RETURN found_ids;
END $$;

-- The review a path names; of what is not in sight 404, of what has not been reviewed none.
CREATE FUNCTION campaign_review_at(c_ref text, f_ref text, o_ref text, p_kind text, p_day date) RETURNS SETOF campaign_review LANGUAGE plpgsql STABLE ROWS 1 AS $$
DECLARE
  c uuid := path_campaign(c_ref);
  f uuid := campaign_phase_id(c, f_ref);
  o uuid := path_organization(o_ref);
BEGIN
  IF f IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN QUERY SELECT r.* FROM campaign_review r WHERE r.phase_id = f AND r.organization_id = o AND r.kind = p_kind AND r.reviewed_on = p_day;
END $$;

CREATE FUNCTION campaign_review_json(r campaign_review) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(a)::text FROM (
    SELECT r.id, c.code AS campaign, f.code AS phase, r.organization_code AS organization, organization_ref(r.organization_id) ->> 'name' AS organization_name,
      r.kind, r.reviewed_on, r.results, r.difficulties, r.lessons, r.proposals, campaign_standing(c.id, f.id, r.scope_key, r.reviewed_on) AS standing,
      r.on_behalf, r.version, tstz(r.created_at) AS created_at, tstz(r.updated_at) AS updated_at
    FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id WHERE f.id = r.phase_id) a);
END $$;
-- How the phase stood changes without the review: the tag tells the text apart too.
CREATE FUNCTION campaign_review_get(c_ref text, f_ref text, o_ref text, p_kind text, p_day date) RETURNS TABLE (version text, body text)
  LANGUAGE plpgsql STABLE AS $$
DECLARE r campaign_review;
BEGIN
  SELECT * INTO r FROM campaign_review_at(c_ref, f_ref, o_ref, p_kind, p_day);
  IF r.id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  body := campaign_review_json(r);
  version := r.version || ';' || left(md5(body), 12);
  RETURN NEXT;
END $$;

-- What the journal keeps of a review.
CREATE FUNCTION campaign_review_brief(r campaign_review) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN r.id IS NOT NULL THEN to_jsonb(r) - 'scope_key' - 'programme_id' - 'seat_id' - 'account_id' - 'client_id' - 'created_at' - 'updated_at' END $$;

-- Who may write a review of this unit: 403 says who.
CREATE FUNCTION campaign_review_check(c campaign, o organization) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT campaign_may_enter(c.id, c.programme_id, o.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, CASE WHEN c.entered_by = 'superior'
      THEN format('For %s its own unit enters, one above it, or who has a mandate to enter.', o.code)
      ELSE format('For %s its own unit enters, or who has a mandate to enter.', o.code) END);
  END IF;
END $$;
CREATE FUNCTION campaign_review_faults(c campaign, f campaign_phase, o organization, day date, body jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY[
    CASE WHEN NOT o.scope_key ^@ c.scope_key THEN fault_parameter('organization', 'outside_scope', 'it lies outside of the campaign''s scope') END,
    CASE WHEN day > today() THEN fault_parameter('reviewed_on', 'in_the_future', 'the day lies in the future')
      WHEN day < f.starts_on THEN fault_parameter('reviewed_on', 'out_of_range', 'the phase begins after that day')
      WHEN NOT daterange(o.valid_from, o.valid_to, '[]') @> day THEN fault_parameter('reviewed_on', 'out_of_range', 'the unit does not exist on that day') END,
    CASE WHEN btrim(coalesce(body ->> 'results', ''), E' \t\r\n') = '' THEN fault('#/results', 'required', 'this is needed here') END];
END $$;

CREATE FUNCTION campaign_review_put(c_ref text, f_ref text, o_ref text, p_kind text, p_day date, body jsonb, if_match text, if_none_match text,
    new_id uuid, request_id text) RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c campaign;
  f campaign_phase;
  o organization;
  r campaign_review;
  was campaign_review;
  final date;
BEGIN
  SELECT * INTO was FROM campaign_review_at(c_ref, f_ref, o_ref, p_kind, p_day);
  SELECT x.* INTO c FROM campaign x WHERE x.id = path_campaign(c_ref);
  SELECT x.* INTO f FROM campaign_phase x WHERE x.id = campaign_phase_id(c.id, f_ref);
  SELECT x.* INTO o FROM organization x WHERE x.id = path_organization(o_ref);
  PERFORM campaign_review_check(c, o);
  PERFORM refuse(VARIADIC campaign_review_faults(c, f, o, p_day, body));
  IF was.id IS NULL AND if_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF was.id IS NULL AND if_none_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  IF was.id IS NOT NULL AND if_none_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF was.id IS NOT NULL THEN PERFORM check_version(was.version, if_match); END IF;
  PERFORM campaign_open(c.id);
  final := (SELECT x.reviewed_on FROM campaign_review x WHERE x.phase_id = f.id AND x.organization_id = o.id AND x.kind = 'final');
  IF p_kind = 'final' AND final <> p_day THEN
    PERFORM fail(409, 'already_exists', NULL, format('The final review of %s was held on %s; there is one.', o.code, final));
  END IF;
  IF was.id IS NULL THEN
    INSERT INTO campaign_review (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, reviewed_on, results,
      difficulties, lessons, proposals, on_behalf, seat_id, account_id, client_id, version)
    VALUES (new_id, c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, p_kind, p_day, body ->> 'results',
      body ->> 'difficulties', body ->> 'lessons', body ->> 'proposals', o.id <> me_seat(), me_seat(), me_account(), me_client(),
      coalesce((SELECT x.version FROM campaign_review_ended x WHERE x.phase_id = f.id AND x.scope_key = o.scope_key AND x.kind = p_kind
        AND x.reviewed_on = p_day), 0) + 1)
    ON CONFLICT DO NOTHING RETURNING * INTO r;
    status := 201;
    location := concat_ws('/', '/v1/campaigns', url_encode(c.code), 'reviews', url_encode(f.code), url_encode(o.code), p_kind, p_day);
  ELSE
    status := 200;
    IF (was.results, was.difficulties, was.lessons, was.proposals) IS NOT DISTINCT FROM
        (body ->> 'results', body ->> 'difficulties', body ->> 'lessons', body ->> 'proposals') THEN
      version := was.version;
      body_out := campaign_review_json(was);
      RETURN NEXT;
      RETURN;
    END IF;
    UPDATE campaign_review x SET results = body ->> 'results', difficulties = body ->> 'difficulties',
      lessons = body ->> 'lessons', proposals = body ->> 'proposals', on_behalf = o.id <> me_seat(), seat_id = me_seat(), account_id = me_account(),
      client_id = me_client(), version = x.version + 1, updated_at = clock_now()
    WHERE x.id = was.id AND x.version = was.version RETURNING * INTO r;
  END IF;
  IF r.id IS NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal(CASE WHEN was.id IS NULL THEN 'create' ELSE 'update' END, 'campaign_review', r.id, r.version, r.scope_key, campaign_review_brief(was),
    campaign_review_brief(r), request_id, r.programme_id);
  version := r.version;
  body_out := campaign_review_json(r);
  RETURN NEXT;
END $$;

CREATE FUNCTION campaign_review_delete(c_ref text, f_ref text, o_ref text, p_kind text, p_day date, if_match text, request_id text) RETURNS void
  LANGUAGE plpgsql AS $$
DECLARE
  r campaign_review;
  c campaign;
BEGIN
  SELECT * INTO r FROM campaign_review_at(c_ref, f_ref, o_ref, p_kind, p_day);
  IF r.id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  SELECT x.* INTO c FROM campaign x WHERE x.id = r.campaign_id;
  PERFORM campaign_review_check(c, (SELECT x FROM organization x WHERE x.id = r.organization_id));
  PERFORM check_version(r.version, if_match);
  PERFORM campaign_open(c.id);
  DELETE FROM campaign_review x WHERE x.id = r.id AND x.version = r.version;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('delete', 'campaign_review', r.id, r.version + 1, r.scope_key, campaign_review_brief(r), NULL, request_id, r.programme_id);
END $$;

GRANT EXECUTE ON FUNCTION filter_review_phases(text, text), campaign_review_at(text, text, text, text, date), campaign_review_json(campaign_review),
  campaign_review_get(text, text, text, text, date), campaign_review_check(campaign, organization),
  campaign_review_faults(campaign, campaign_phase, organization, date, jsonb), campaign_review_brief(campaign_review),
  campaign_review_put(text, text, text, text, date, jsonb, text, text, uuid, text), campaign_review_delete(text, text, text, text, date, text, text) TO tiendo_service;
