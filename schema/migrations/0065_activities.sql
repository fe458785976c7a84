-- What units do: the rules of an activity, its answer, creating, changing and taking it away, and the sums kept of all of them.
SET search_path = tiendo, public;

-- How many files are attached: kept by who attaches and detaches.
ALTER TABLE activity ADD COLUMN attachments int NOT NULL DEFAULT 0 CONSTRAINT activity_attachments CHECK (attachments >= 0);

-- ---- rules ---------------------------------------------------------------------------------------------------
-- What makes a field right, over the text a caller gave: one function a field, a fault's code or NULL. Single writes and imports use the same ones;
-- they are plain SQL, of immutable parts alone, so that an import has them inlined. Days that a rule needs to know (a phase's, today) are texts too,
-- YYYY-MM-DD: such texts sort as their days do.
CREATE FUNCTION activity_code_fault(code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN code !~ '^[^[:cntrl:]]{1,64}$' THEN 'pattern' END $$;
CREATE FUNCTION activity_title_fault(title text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN title IS NULL OR btrim(title, E' \u00a0\u2007\u202f\u3000') = '' THEN 'required' WHEN length(title) > 500 THEN 'too_long' END $$;
-- offered: whether the list has it, for something new as one that is active. kinds: those of the phase; none are all.
CREATE FUNCTION activity_kind_fault(kind text, offered boolean, kinds text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN kind IS NULL THEN 'required' WHEN NOT coalesce(offered, false) THEN 'unknown_reference'
    WHEN kinds <> '{}' AND kind <> ALL (kinds) THEN 'not_in_phase' END $$;
-- topics: those of the campaign.
CREATE FUNCTION activity_topic_fault(topic text, topics text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN topic IS NOT NULL AND topic <> ALL (coalesce(topics, '{}')) THEN 'unknown_reference' END $$;
-- offered: those that the list has.
CREATE FUNCTION activity_channels_fault(channels text[], offered text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN cardinality(channels) > 50 THEN 'too_many' WHEN NOT channels <@ coalesce(offered, '{}') THEN 'unknown_reference' END $$;
CREATE FUNCTION activity_status_fault(status text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN status NOT IN ('planned', 'under_way', 'done', 'postponed', 'cancelled') THEN 'enum' END $$;
-- A phase whose start is open takes what began before it.
CREATE FUNCTION activity_starts_on_fault(starts_on text, phase_starts text, phase_ends text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN starts_on IS NULL THEN 'required' WHEN NOT day_ok(starts_on) THEN 'date'
    WHEN starts_on COLLATE "C" < phase_starts OR starts_on COLLATE "C" > phase_ends THEN 'out_of_range' END $$;
-- What is done may have ended after the phase; what is to be done ends within it.
CREATE FUNCTION activity_ends_on_fault(ends_on text, starts_on text, status text, phase_ends text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN ends_on IS NULL THEN 'required' WHEN NOT day_ok(ends_on) THEN 'date'
    WHEN day_ok(starts_on) AND ends_on COLLATE "C" < starts_on THEN 'ends_before_start'
    WHEN status <> 'done' AND ends_on COLLATE "C" > phase_ends THEN 'out_of_range' END $$;
-- done_on as it will stand: what is done without a day is done today.
CREATE FUNCTION activity_done_on_fault(done_on text, status text, starts_on text, today text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN done_on IS NULL THEN CASE WHEN status = 'done' THEN 'required' END
    WHEN status <> 'done' THEN 'contradiction' WHEN NOT day_ok(done_on) THEN 'date'
    WHEN done_on COLLATE "C" > today THEN 'in_the_future'
    WHEN day_ok(starts_on) AND done_on COLLATE "C" < starts_on THEN 'before_start' END $$;
CREATE FUNCTION activity_quantity_fault(quantity text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN quantity !~ '^(0|[1-9][0-9]{0,6})$' THEN 'integer' WHEN quantity::int > 1000000 THEN 'out_of_range' END $$;
-- Something was done where it is done; nothing where it is only planned, or cancelled.
CREATE FUNCTION activity_done_fault(done text, status text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN done !~ '^(0|[1-9][0-9]{0,6})$' THEN 'integer' WHEN done::int > 1000000 THEN 'out_of_range'
    WHEN (status = 'done' AND coalesce(done, '0') = '0') OR (status IN ('planned', 'cancelled') AND done <> '0') THEN 'contradiction' END $$;
CREATE FUNCTION activity_contacts_fault(contacts text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN contacts !~ '^(0|[1-9][0-9]{0,8})$' THEN 'integer' WHEN contacts::int > 100000000 THEN 'out_of_range' END $$;
CREATE FUNCTION activity_reason_fault(reason text, status text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN length(reason) > 2000 THEN 'too_long' WHEN status IN ('postponed', 'cancelled') AND btrim(coalesce(reason, ''), E' \n\t\u00a0\u2007\u202f\u3000') = '' THEN 'required' END $$;
CREATE FUNCTION activity_note_fault(note text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN length(note) > 2000 THEN 'too_long' END $$;
CREATE FUNCTION activity_classification_fault(classification text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN classification <> 'unclassified' THEN 'enum' END $$;
-- The unit lies in the campaign's scope, and exists on the activity's first day (valid_from and valid_to: its life, both included).
CREATE FUNCTION activity_unit_fault(key text, campaign_key text, valid_from text, valid_to text, starts_on text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN NOT key ^@ campaign_key THEN 'outside_scope'
    WHEN day_ok(starts_on) AND (starts_on COLLATE "C" < valid_from OR starts_on COLLATE "C" > valid_to) THEN 'not_there' END $$;

-- What a fault of an activity says, for errors[].detail: of a pointer and a code, '#/kind:unknown_reference'.
CREATE FUNCTION activity_fault_text(code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE code
    WHEN '#/code:pattern' THEN 'up to 64 characters, none of them a control character'
    WHEN '#/kind:unknown_reference' THEN 'the list has no such kind of activity'
    WHEN '#/kind:not_in_phase' THEN 'the phase has no activities of this kind'
    WHEN '#/topic:unknown_reference' THEN 'the campaign has no such topic'
    WHEN '#/channels:unknown_reference' THEN 'the list has no such channel'
    WHEN '#/channels:too_many' THEN 'at most 50 channels'
    WHEN '#/campaign:unknown_reference' THEN 'no such campaign'
    WHEN '#/campaign:campaign_not_active' THEN 'the campaign is not active'
    WHEN '#/phase:unknown_reference' THEN 'the campaign has no such phase'
    WHEN '#/organization:unknown_reference' THEN 'no such organization'
    WHEN '#/organization:outside_scope' THEN 'it lies outside of the campaign''s scope'
    WHEN '#/organization:not_there' THEN 'the unit does not exist on the first day'
    WHEN '#/starts_on:out_of_range' THEN 'the day lies outside of the phase'
    WHEN '#/ends_on:out_of_range' THEN 'the phase ends before that day'
    WHEN '#/ends_on:ends_before_start' THEN 'it ends before it starts'
    WHEN '#/done_on:contradiction' THEN 'a day it was done on, and it is not done'
    WHEN '#/done_on:before_start' THEN 'it was done before it starts'
    WHEN '#/done:contradiction' THEN 'done is at least 1 of what is done, and 0 of what is planned or cancelled'
    WHEN '#/reason:required' THEN 'what is postponed or cancelled needs a reason'
    ELSE CASE split_part(code, ':', 2) WHEN 'integer' THEN 'a whole number from 0 on' WHEN 'out_of_range' THEN 'too large' ELSE value_fault_text(split_part(code, ':', 2)) END END $$;
-- One entry of errors[] of that code, or NULL.
CREATE FUNCTION activity_fault(pointer text, code text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN code IS NOT NULL THEN jsonb_build_object('pointer', pointer, 'code', code, 'detail', activity_fault_text(pointer || ':' || code)) END $$;

-- ---- the answer ----------------------------------------------------------------------------------------------
-- The codes of a campaign and a phase that the caller does not see any more: what a unit that moved away did in it is told with them all the same.
CREATE FUNCTION campaign_code_kept(campaign uuid) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT c.code FROM campaign c WHERE c.id = campaign);
END $$;
CREATE FUNCTION campaign_phase_code_kept(phase uuid) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT f.code FROM campaign_phase f WHERE f.id = phase);
END $$;
GRANT EXECUTE ON FUNCTION campaign_code_kept(uuid), campaign_phase_code_kept(uuid) TO tiendo_service;
-- Still to be done, and its day has passed.
CREATE FUNCTION activity_late(status text, ends_on date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT status IN ('planned', 'under_way', 'postponed') AND ends_on < today() $$;
-- The proposal of an activity: the open one, else the last that was decided.
CREATE FUNCTION activity_proposal_json(activity uuid) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r) FROM (
    SELECT p.id, i.code AS indicator, q.code AS period, nullif(p.category, '') AS category, p.numerator, p.denominator, p.number, p.done_on,
      p.state, p.reason, CASE WHEN p.value_id IS NOT NULL THEN json_build_object('id', p.value_id, 'version', p.value_version) END AS value
    FROM activity_proposal p JOIN indicator i ON i.id = p.indicator_id JOIN period q ON q.id = p.period_id
    WHERE p.activity_id = activity ORDER BY (p.state = 'proposed') DESC, p.id DESC LIMIT 1) r);
END $$;
CREATE FUNCTION activity_json(a activity) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT a.id, coalesce((SELECT c.code FROM campaign c WHERE c.id = a.campaign_id), campaign_code_kept(a.campaign_id)) AS campaign,
      coalesce((SELECT f.code FROM campaign_phase f WHERE f.id = a.phase_id), campaign_phase_code_kept(a.phase_id)) AS phase, a.organization_code AS organization,
      (SELECT o.name FROM organization o WHERE o.id = a.organization_id) AS organization_name, a.code, a.kind, a.topic, a.title, a.starts_on, a.ends_on,
      a.done_on, a.planned, a.done, a.contacts_planned, a.contacts_reached, a.channels, a.status, a.reason,
      activity_late(a.status, a.ends_on) AS late, a.evidence_url, a.attachments, a.note, a.classification, a.on_behalf, a.entered_by,
      activity_proposal_json(a.id) AS proposal, a.version, tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at) r);
END $$;

-- ---- creating, changing, taking away -------------------------------------------------------------------------
-- Every fault of an activity as it would stand (b, of texts). o, c and f are NULL where the reference names nothing. was: as it stands, or NULL; what it
-- has already is not asked about again, though a list or a phase has changed since.
CREATE FUNCTION activity_faults(c campaign, f campaign_phase, o organization, b jsonb, was activity) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  placed boolean := coalesce(was.phase_id = f.id AND was.starts_on::text = b ->> 'starts_on' AND was.ends_on::text = b ->> 'ends_on'
    AND (b ->> 'status' = 'done' OR was.status <> 'done'), false);
  starts text := CASE WHEN NOT placed THEN f.starts_on::text END;
  ends text := CASE WHEN NOT placed THEN f.ends_on::text END;
  given text[] := coalesce(text_list(b -> 'channels'), '{}');
BEGIN
  RETURN ARRAY[
    CASE WHEN c.id IS NULL THEN activity_fault('#/campaign', 'unknown_reference') END,
    CASE WHEN c.id IS NOT NULL AND f.id IS NULL THEN activity_fault('#/phase', 'unknown_reference') END,
    CASE WHEN o.id IS NULL THEN activity_fault('#/organization', 'unknown_reference')
      ELSE activity_fault('#/organization', activity_unit_fault(o.scope_key, c.scope_key, CASE WHEN NOT placed THEN o.valid_from::text END,
        CASE WHEN NOT placed THEN o.valid_to::text END, b ->> 'starts_on')) END,
    activity_fault('#/code', activity_code_fault(b ->> 'code')),
    activity_fault('#/kind', activity_kind_fault(b ->> 'kind', was.kind IS NOT DISTINCT FROM b ->> 'kind' OR campaign_term_offered('activity_kind', b ->> 'kind'),
      CASE WHEN (was.phase_id, was.kind) IS DISTINCT FROM (f.id, b ->> 'kind') THEN f.kinds END)),
    CASE WHEN c.id IS NOT NULL THEN activity_fault('#/topic', activity_topic_fault(b ->> 'topic',
      ARRAY(SELECT t.code::text FROM campaign_topic t WHERE t.campaign_id = c.id))) END,
    activity_fault('#/title', activity_title_fault(b ->> 'title')),
    activity_fault('#/starts_on', activity_starts_on_fault(b ->> 'starts_on', starts, ends)),
    activity_fault('#/ends_on', activity_ends_on_fault(b ->> 'ends_on', b ->> 'starts_on', b ->> 'status', ends)),
    activity_fault('#/done_on', activity_done_on_fault(b ->> 'done_on', b ->> 'status', b ->> 'starts_on', today()::text)),
    activity_fault('#/planned', activity_quantity_fault(b ->> 'planned')),
    activity_fault('#/done', activity_done_fault(b ->> 'done', b ->> 'status')),
    activity_fault('#/contacts_planned', activity_contacts_fault(b ->> 'contacts_planned')),
    activity_fault('#/contacts_reached', activity_contacts_fault(b ->> 'contacts_reached')),
    activity_fault('#/channels', activity_channels_fault(given, coalesce(was.channels, '{}')
      || ARRAY(SELECT t.code FROM campaign_term t WHERE t.list = 'channel' AND t.active AND t.code = ANY (given)))),
    activity_fault('#/status', activity_status_fault(b ->> 'status')),
    activity_fault('#/reason', activity_reason_fault(b ->> 'reason', b ->> 'status')),
    activity_fault('#/evidence_url', evidence_fault(b ->> 'evidence_url')),
    activity_fault('#/note', activity_note_fault(b ->> 'note')),
    activity_fault('#/classification', activity_classification_fault(b ->> 'classification'))];
END $$;
-- 403 for whoever does not enter for the unit; 409 where the campaign takes nothing.
CREATE FUNCTION activity_enterable(c campaign, key text, unit_code text) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT campaign_may_enter(c.id, c.programme_id, key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('What %s does is entered by itself, by a mandate to enter, or by the units above it where the campaign lets them.', unit_code));
  END IF;
  IF c.status <> 'active' THEN
    PERFORM fail(409, 'campaign_not_active', NULL, format('%s is not active: nothing is entered in it.', c.code));
  END IF;
END $$;
-- What follows from a status: what is done is done on a day, today where none is said; what is not has none.
CREATE FUNCTION activity_settled(b jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN b ->> 'status' = 'done' AND b ->> 'done_on' IS NULL THEN b || jsonb_build_object('done_on', today()) ELSE b END $$;

CREATE FUNCTION activity_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c campaign;
  f campaign_phase;
  o organization;
  b jsonb := activity_settled('{"status": "planned", "planned": 1, "done": 0, "channels": [], "classification": "unclassified"}'
    || jsonb_build_object('ends_on', body -> 'starts_on') || jsonb_strip_nulls(body));
  made activity;
BEGIN
  SELECT * INTO c FROM campaign x WHERE x.id = (SELECT campaign_id(body ->> 'campaign'));
  SELECT * INTO f FROM campaign_phase x WHERE x.campaign_id = c.id AND x.code = body ->> 'phase';
  SELECT * INTO o FROM organization x WHERE x.id = (SELECT organization_id(body ->> 'organization'));
  IF c.id IS NOT NULL AND o.id IS NOT NULL AND o.scope_key ^@ c.scope_key THEN
    PERFORM activity_enterable(c, o.scope_key, o.code);
  END IF;
  PERFORM refuse(VARIADIC activity_faults(c, f, o, b, NULL));
  INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, code, kind, topic, title, starts_on, ends_on,
    done_on, planned, done, contacts_planned, contacts_reached, channels, status, reason, evidence_url, note, classification, on_behalf, entered_by,
    seat_id, account_id, client_id, grant_id)
  VALUES (new_id, c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, b ->> 'code', b ->> 'kind', b ->> 'topic', b ->> 'title', (b ->> 'starts_on')::date,
    (b ->> 'ends_on')::date, (b ->> 'done_on')::date, (b ->> 'planned')::int, (b ->> 'done')::int, (b ->> 'contacts_planned')::int,
    (b ->> 'contacts_reached')::int, coalesce(text_list(b -> 'channels'), '{}'), b ->> 'status', b ->> 'reason', b ->> 'evidence_url', b ->> 'note', b ->> 'classification',
    o.id <> me_seat(), unit_code(me_seat()), me_seat(), me_account(), me_client(), me_grant())
  RETURNING * INTO made;
  PERFORM activity_propose(made, body);
  body_out := activity_json(made);
  PERFORM journal('create', 'activity', made.id, made.version, made.scope_key, NULL, body_out::jsonb, request_id, made.programme_id);
  RETURN QUERY SELECT 201, made.version::text, '/v1/activities/' || made.id, body_out;
END $$;

-- 403, 409, 428 and 412, in this order, for whoever would change it.
CREATE FUNCTION activity_changeable(a activity, c campaign, if_match text) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  PERFORM activity_enterable(c, a.scope_key, a.organization_code);
  PERFORM campaign_open(c.id);
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  IF if_match <> '*' AND a.version::text <> ALL (string_to_array(if_match, ',')) THEN PERFORM fail(412, 'version_conflict'); END IF;
END $$;

CREATE FUNCTION activity_update(ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  a activity;
  c campaign;
  f campaign_phase;
  o organization;
  was jsonb;
  b jsonb;
BEGIN
  SELECT * INTO a FROM activity x WHERE x.id = ref::uuid;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  SELECT * INTO c FROM campaign x WHERE x.id = a.campaign_id;
  PERFORM activity_changeable(a, c, if_match);
  was := activity_json(a)::jsonb;
  b := to_jsonb(a) || jsonb_build_object('phase', was -> 'phase');
  -- What is put off to another first day takes as long as it would have taken.
  IF patch ? 'starts_on' AND NOT patch ? 'ends_on' AND day_ok(patch ->> 'starts_on') THEN
    b := b || jsonb_build_object('ends_on', (patch ->> 'starts_on')::date + (a.ends_on - a.starts_on));
  END IF;
  -- What is no longer done has no day it was done on; what is no longer put off or cancelled, no reason for it; nothing else follows by itself.
  IF a.status = 'done' AND coalesce(patch ->> 'status', 'done') <> 'done' THEN b := b - 'done_on'; END IF;
  IF a.status IN ('postponed', 'cancelled') AND coalesce(patch ->> 'status', a.status) <> a.status THEN b := b - 'reason'; END IF;
  b := activity_settled(jsonb_strip_nulls(b || patch));
  SELECT * INTO f FROM campaign_phase x WHERE x.campaign_id = c.id AND x.code = b ->> 'phase';
  SELECT * INTO o FROM organization x WHERE x.id = a.organization_id;
  PERFORM refuse(VARIADIC activity_faults(c, f, o, b, a));
  UPDATE activity x SET phase_id = f.id, code = b ->> 'code', kind = b ->> 'kind', topic = b ->> 'topic', title = b ->> 'title',
    starts_on = (b ->> 'starts_on')::date, ends_on = (b ->> 'ends_on')::date, done_on = (b ->> 'done_on')::date, planned = (b ->> 'planned')::int,
    done = (b ->> 'done')::int, contacts_planned = (b ->> 'contacts_planned')::int, contacts_reached = (b ->> 'contacts_reached')::int,
    channels = coalesce(text_list(b -> 'channels'), '{}'), status = b ->> 'status', reason = b ->> 'reason', evidence_url = b ->> 'evidence_url', note = b ->> 'note',
    on_behalf = x.organization_id <> me_seat(), entered_by = unit_code(me_seat()), seat_id = me_seat(), account_id = me_account(), client_id = me_client(),
    grant_id = me_grant(), version = x.version + 1, updated_at = clock_now()
  WHERE x.id = a.id AND x.version = a.version
  RETURNING * INTO a;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM activity_propose(a, patch);
  body_out := activity_json(a);
  PERFORM journal('update', 'activity', a.id, a.version, a.scope_key, was, body_out::jsonb, request_id, a.programme_id);
  RETURN QUERY SELECT 200, a.version::text, NULL::text, body_out;
END $$;

CREATE FUNCTION activity_delete(ref text, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  a activity;
  c campaign;
  was jsonb;
BEGIN
  SELECT * INTO a FROM activity x WHERE x.id = ref::uuid;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  SELECT * INTO c FROM campaign x WHERE x.id = a.campaign_id;
  PERFORM activity_changeable(a, c, if_match);
  was := activity_json(a)::jsonb;
  DELETE FROM activity x WHERE x.id = a.id AND x.version = a.version;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('delete', 'activity', a.id, a.version + 1, a.scope_key, was, NULL, request_id, a.programme_id);
END $$;

-- ---- sums ----------------------------------------------------------------------------------------------------
-- Whoever writes, by whichever way, leaves what it changes in the sums as deltas of its own; and what an activity carries of what it names is what
-- that says of itself, for the policies go by it.
CREATE FUNCTION activity_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM made m
      LEFT JOIN campaign_phase f ON f.id = m.phase_id AND f.campaign_id = m.campaign_id
      LEFT JOIN campaign c ON c.id = m.campaign_id AND c.programme_id = m.programme_id
      LEFT JOIN organization o ON o.id = m.organization_id AND o.scope_key = m.scope_key AND o.code = m.organization_code
      WHERE f.id IS NULL OR c.id IS NULL OR o.id IS NULL) THEN
    RAISE EXCEPTION 'an activity is not what it says' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO activity_delta
  SELECT campaign_id, phase_id, programme_id, scope_key, kind, count(*) FILTER (WHERE status = 'planned'), count(*) FILTER (WHERE status = 'under_way'),
    count(*) FILTER (WHERE status = 'done'), count(*) FILTER (WHERE status = 'postponed'), count(*) FILTER (WHERE status = 'cancelled'),
    coalesce(sum(planned) FILTER (WHERE status <> 'cancelled'), 0), sum(done), coalesce(sum(contacts_planned), 0), coalesce(sum(contacts_reached), 0)
  FROM made GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;
CREATE TRIGGER activity_inserted AFTER INSERT ON activity REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION activity_inserted();

-- (tiendo.recount, with the owner's word: see value_updated. Rekeyed sums are moved as a whole by who moves the keys.)
CREATE FUNCTION activity_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE recount text := coalesce(current_setting('tiendo.recount', true), '');
BEGIN
  IF recount <> '' AND split_part(recount, ' ', 2) <> (SELECT w.word FROM recount_word w) THEN
    RAISE EXCEPTION 'only the owner moves activities without a trace' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF split_part(recount, ' ', 1) = 'rekey' THEN RETURN NULL; END IF;
  IF EXISTS (SELECT FROM now_is m LEFT JOIN campaign_phase f ON f.id = m.phase_id AND f.campaign_id = m.campaign_id WHERE f.id IS NULL) THEN
    RAISE EXCEPTION 'an activity is not what it says' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO activity_delta
  SELECT * FROM (
    SELECT campaign_id, phase_id, programme_id, scope_key, kind, coalesce(sum(sign) FILTER (WHERE status = 'planned'), 0) AS n_planned,
      coalesce(sum(sign) FILTER (WHERE status = 'under_way'), 0) AS n_under_way, coalesce(sum(sign) FILTER (WHERE status = 'done'), 0) AS n_done,
      coalesce(sum(sign) FILTER (WHERE status = 'postponed'), 0) AS n_postponed, coalesce(sum(sign) FILTER (WHERE status = 'cancelled'), 0) AS n_cancelled,
      coalesce(sum(sign * planned) FILTER (WHERE status <> 'cancelled'), 0) AS planned, sum(sign * done) AS done,
      coalesce(sum(sign * contacts_planned), 0) AS contacts_planned, coalesce(sum(sign * contacts_reached), 0) AS contacts_reached
    FROM (SELECT 1 AS sign, n.* FROM now_is n UNION ALL SELECT -1, o.* FROM was o) x
    GROUP BY 1, 2, 3, 4, 5) d
  WHERE (d.n_planned, d.n_under_way, d.n_done, d.n_postponed, d.n_cancelled, d.planned, d.done, d.contacts_planned, d.contacts_reached)
    <> (0, 0, 0, 0, 0, 0, 0, 0, 0);
  RETURN NULL;
END $$;
CREATE TRIGGER activity_updated AFTER UPDATE ON activity REFERENCING OLD TABLE AS was NEW TABLE AS now_is
  FOR EACH STATEMENT EXECUTE FUNCTION activity_updated();

CREATE FUNCTION activity_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO activity_delta
  SELECT campaign_id, phase_id, programme_id, scope_key, kind, -count(*) FILTER (WHERE status = 'planned'), -count(*) FILTER (WHERE status = 'under_way'),
    -count(*) FILTER (WHERE status = 'done'), -count(*) FILTER (WHERE status = 'postponed'), -count(*) FILTER (WHERE status = 'cancelled'),
    -coalesce(sum(planned) FILTER (WHERE status <> 'cancelled'), 0), -sum(done), -coalesce(sum(contacts_planned), 0), -coalesce(sum(contacts_reached), 0)
  FROM was GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;
CREATE TRIGGER activity_deleted AFTER DELETE ON activity REFERENCING OLD TABLE AS was
  FOR EACH STATEMENT EXECUTE FUNCTION activity_deleted();

-- Folds up to so many deltas into the sums; one process at a time. Readers see the sums and the deltas of one snapshot, so the figures are the
-- same before, during and after.
CREATE FUNCTION activity_fold(most int DEFAULT 10000) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE folded int;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.activity', 0)) THEN RETURN 0; END IF;
  WITH taken AS (
    DELETE FROM activity_delta WHERE ctid = ANY (ARRAY(SELECT d.ctid FROM activity_delta d LIMIT most)) RETURNING *
  ), added AS (
    INSERT INTO activity_sum AS s
    SELECT t.campaign_id, t.phase_id, t.programme_id, t.scope_key, t.kind, sum(t.n_planned), sum(t.n_under_way), sum(t.n_done), sum(t.n_postponed),
      sum(t.n_cancelled), sum(t.planned), sum(t.done), sum(t.contacts_planned), sum(t.contacts_reached)
    FROM taken t GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (phase_id, scope_key, kind) DO UPDATE SET n_planned = s.n_planned + excluded.n_planned, n_under_way = s.n_under_way + excluded.n_under_way,
      n_done = s.n_done + excluded.n_done, n_postponed = s.n_postponed + excluded.n_postponed, n_cancelled = s.n_cancelled + excluded.n_cancelled,
      planned = s.planned + excluded.planned, done = s.done + excluded.done, contacts_planned = s.contacts_planned + excluded.contacts_planned,
      contacts_reached = s.contacts_reached + excluded.contacts_reached
  )
  SELECT count(*) INTO folded FROM taken;
  -- After a first large load the planner should not have to wait for autovacuum's next round.
  IF folded > 0 AND (SELECT pg_stat_get_mod_since_analyze(r.oid) > 2000 + 2 * greatest(r.reltuples, 0) FROM pg_class r WHERE r.oid = 'activity'::regclass) THEN
    ANALYZE activity, activity_sum, activity_delta;
  END IF;
  RETURN folded;
END $$;
-- Folds all that is not folded yet, waiting for who is folding now.
CREATE FUNCTION activity_fold_all() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('tiendo.activity', 0));
  WHILE EXISTS (SELECT FROM activity_delta) LOOP
    PERFORM activity_fold(100000);
  END LOOP;
END $$;
-- What the sums and deltas together should say, counted anew from the activities: what differs, which is nothing.
CREATE FUNCTION activity_recount() RETURNS TABLE (phase_id uuid, scope_key text, kind text, kept bigint[], counted bigint[]) LANGUAGE sql STABLE
  SET search_path = tiendo, public, pg_temp AS $$
  WITH kept AS (
    SELECT x.phase_id, x.scope_key, x.kind, ARRAY[sum(x.n_planned), sum(x.n_under_way), sum(x.n_done), sum(x.n_postponed), sum(x.n_cancelled),
      sum(x.planned), sum(x.done), sum(x.contacts_planned), sum(x.contacts_reached)]::bigint[] AS figures
    FROM (SELECT * FROM activity_sum UNION ALL SELECT * FROM activity_delta) x GROUP BY 1, 2, 3
  ), counted AS (
    SELECT a.phase_id, a.scope_key, a.kind, ARRAY[count(*) FILTER (WHERE a.status = 'planned'), count(*) FILTER (WHERE a.status = 'under_way'),
      count(*) FILTER (WHERE a.status = 'done'), count(*) FILTER (WHERE a.status = 'postponed'), count(*) FILTER (WHERE a.status = 'cancelled'),
      coalesce(sum(a.planned) FILTER (WHERE a.status <> 'cancelled'), 0), sum(a.done), coalesce(sum(a.contacts_planned), 0),
      coalesce(sum(a.contacts_reached), 0)]::bigint[] AS figures
    FROM activity a GROUP BY 1, 2, 3
  )
  SELECT phase_id, scope_key, kind, k.figures, n.figures FROM kept k FULL JOIN counted n USING (phase_id, scope_key, kind)
  WHERE coalesce(k.figures, '{0,0,0,0,0,0,0,0,0}') <> coalesce(n.figures, '{0,0,0,0,0,0,0,0,0}') $$;

-- ---- searching -----------------------------------------------------------------------------------------------
CREATE INDEX activity_search ON activity USING gin (search gin_trgm_ops);
-- As filter_units does: a search that finds few is answered by their ids, one that finds very many by its patterns, for a page of them is met soon.
CREATE FUNCTION filter_activities(q text) RETURNS found_units LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  patterns text[] := search_patterns(q);
  most constant int := 4000;
  found uuid[];
  looked int;
BEGIN
  IF area() IS NULL OR patterns IS NULL THEN RETURN ('{}', '{}')::found_units; END IF;
  SELECT count(*), array_agg(w.id) FILTER (WHERE w.search LIKE ALL (patterns)) INTO looked, found
  FROM (SELECT a.id, a.search FROM activity a WHERE a.scope_key >= scope_lo() AND a.scope_key < scope_hi() ORDER BY a.scope_key LIMIT most) w;
  IF looked < most THEN RETURN (coalesce(found, '{}'), '{}')::found_units; END IF;
  IF cardinality(found) < most / 200 OR found IS NULL THEN
    -- the conditions stand in the statement's text, so that each is looked up in the trigram index
    EXECUTE format('SELECT coalesce(array_agg(f.id), ''{}'') FROM (SELECT a.id FROM activity a WHERE %s AND a.scope_key >= %L AND a.scope_key < %L LIMIT 10000) f',
      (SELECT string_agg(format('a.search LIKE %L', w), ' AND ') FROM unnest(patterns) w), scope_lo(), scope_hi()) INTO found;
    IF cardinality(found) < 10000 THEN RETURN (found, '{}')::found_units; END IF;
  END IF;
  RETURN ('{}', patterns)::found_units;
END $$;
GRANT EXECUTE ON FUNCTION filter_activities(text) TO tiendo_service;

GRANT INSERT, DELETE ON activity TO tiendo_service;
GRANT UPDATE (phase_id, code, kind, topic, title, starts_on, ends_on, done_on, planned, done, contacts_planned, contacts_reached, channels, status, reason,
  evidence_url, note, on_behalf, entered_by, seat_id, account_id, client_id, grant_id, version, updated_at) ON activity TO tiendo_service;
DO $do$
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tiendo'::regnamespace AND p.proname IN ('activity_code_fault',
      'activity_title_fault', 'activity_kind_fault', 'activity_topic_fault', 'activity_channels_fault', 'activity_status_fault',
      'activity_starts_on_fault', 'activity_ends_on_fault', 'activity_done_on_fault', 'activity_quantity_fault', 'activity_done_fault',
      'activity_contacts_fault', 'activity_reason_fault', 'activity_note_fault', 'activity_classification_fault', 'activity_unit_fault',
      'activity_fault_text', 'activity_fault', 'activity_late', 'activity_proposal_json', 'activity_json',
      'activity_faults', 'activity_enterable', 'activity_settled', 'activity_create', 'activity_changeable', 'activity_update', 'activity_delete', 'activity_fold') LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tiendo_service', f);
  END LOOP;
END $do$;
