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
  SELECT CASE WHEN title IS NULL OR title = '' THEN 'required' WHEN length(title) > 500 THEN 'too_long' END $$;
-- offered: whether the list has it, for something new as one that is active. kinds: those of the phase; none are all.
CREATE FUNCTION activity_kind_fault(kind text, offered boolean, kinds text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN kind IS NULL THEN 'required' WHEN NOT coalesce(offered, false) THEN 'unknown_reference'
    WHEN kinds <> '{}' AND kind <> ALL (kinds) THEN 'not_in_phase' END $$;
-- topics: those of the campaign.
CREATE FUNCTION activity_topic_fault(topic text, topics text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN topic <> ALL (coalesce(topics, '{}')) THEN 'unknown_reference' END $$;
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
  SELECT CASE WHEN length(reason) > 2000 THEN 'too_long' WHEN status IN ('postponed', 'cancelled') AND btrim(coalesce(reason, '')) = '' THEN 'required' END $$;
CREATE FUNCTION activity_note_fault(note text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN length(note) > 2000 THEN 'too_long' END $$;
CREATE FUNCTION activity_classification_fault(classification text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN classification <> 'unclassified' THEN 'enum' END $$;
-- The unit lies in the campaign's scope, and exists on the activity's first day (valid_from and valid_to: its life, both included).
CREATE FUNCTION activity_unit_fault(key text, campaign_key text, valid_from text, valid_to text, starts_on text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN NOT key ^@ campaign_key THEN 'outside_scope'
    WHEN day_ok(starts_on) AND (starts_on COLLATE "C" < valid_from OR starts_on COLLATE "C" > valid_to) THEN 'not_there' END $$;

-- What a fault of an activity says, for errors[].detail.
CREATE FUNCTION activity_fault_text(pointer text, code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE pointer || ' ' || code
    WHEN '#/code pattern' THEN 'up to 64 characters, none of them a control character'
    WHEN '#/kind unknown_reference' THEN 'the list has no such kind of activity'
    WHEN '#/kind not_in_phase' THEN 'the phase has no activities of this kind'
    WHEN '#/topic unknown_reference' THEN 'the campaign has no such topic'
    WHEN '#/channels unknown_reference' THEN 'the list has no such channel'
    WHEN '#/channels too_many' THEN 'at most 50 channels'
    WHEN '#/campaign unknown_reference' THEN 'no such campaign'
    WHEN '#/campaign campaign_not_active' THEN 'the campaign is not active'
    WHEN '#/phase unknown_reference' THEN 'the campaign has no such phase'
    WHEN '#/organization unknown_reference' THEN 'no such organization'
    WHEN '#/organization outside_scope' THEN 'it lies outside of the campaign''s scope'
    WHEN '#/organization not_there' THEN 'the unit does not exist on the first day'
    WHEN '#/starts_on out_of_range' THEN 'the day lies outside of the phase'
    WHEN '#/ends_on out_of_range' THEN 'the phase ends before that day'
    WHEN '#/ends_on ends_before_start' THEN 'it ends before it starts'
    WHEN '#/done_on contradiction' THEN 'a day it was done on, and it is not done'
    WHEN '#/done_on before_start' THEN 'it was done before it starts'
    WHEN '#/done contradiction' THEN 'done is at least 1 of what is done, and 0 of what is planned or cancelled'
    WHEN '#/reason required' THEN 'what is postponed or cancelled needs a reason'
    ELSE CASE code WHEN 'integer' THEN 'a whole number from 0 on' WHEN 'out_of_range' THEN 'too large' ELSE value_fault_text(code) END END $$;
-- One entry of errors[] of that code, or NULL.
CREATE FUNCTION activity_fault(pointer text, code text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN code IS NOT NULL THEN jsonb_build_object('pointer', pointer, 'code', code, 'detail', activity_fault_text(pointer, code)) END $$;

-- ---- the answer ----------------------------------------------------------------------------------------------
-- Still to be done, and its day has passed.
CREATE FUNCTION activity_late(status text, ends_on date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT status IN ('planned', 'under_way', 'postponed') AND ends_on < (SELECT today()) $$;
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
    SELECT a.id, (SELECT c.code FROM campaign c WHERE c.id = a.campaign_id) AS campaign,
      (SELECT f.code FROM campaign_phase f WHERE f.id = a.phase_id) AS phase, a.organization_code AS organization,
      (SELECT o.name FROM organization o WHERE o.id = a.organization_id) AS organization_name, a.code, a.kind, a.topic, a.title, a.starts_on, a.ends_on,
      a.done_on, a.planned, a.done, a.contacts_planned, a.contacts_reached, a.channels, a.status, a.reason,
      activity_late(a.status, a.ends_on) AS late, a.evidence_url, a.attachments, a.note, a.classification, a.on_behalf, a.entered_by,
      activity_proposal_json(a.id) AS proposal, a.version, tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at) r);
END $$;

DO $do$
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tiendo'::regnamespace AND p.proname IN ('activity_code_fault',
      'activity_title_fault', 'activity_kind_fault', 'activity_topic_fault', 'activity_channels_fault', 'activity_status_fault',
      'activity_starts_on_fault', 'activity_ends_on_fault', 'activity_done_on_fault', 'activity_quantity_fault', 'activity_done_fault',
      'activity_contacts_fault', 'activity_reason_fault', 'activity_note_fault', 'activity_classification_fault', 'activity_unit_fault',
      'activity_fault_text', 'activity_fault', 'activity_late', 'activity_proposal_json', 'activity_json') LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tiendo_service', f);
  END LOOP;
END $do$;
