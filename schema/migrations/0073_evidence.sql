-- Evidence: files attached to activities, kept in the same pieces and under the same rules of size and type as those of reports, and seen by whoever
-- sees the activity. What is attached or taken away is a change of the activity: its version goes on.
SET search_path = tiendo, public;

-- An attachment belongs to a report, which has it in some of its submissions, or to an activity, which has it or not.
ALTER TABLE attachment ADD COLUMN activity_id uuid REFERENCES activity (id) ON DELETE CASCADE;
ALTER TABLE attachment ALTER COLUMN report_id DROP NOT NULL, ALTER COLUMN added_in DROP NOT NULL, DROP CONSTRAINT attachment_kind_check,
  ADD CONSTRAINT attachment_kind_check CHECK (kind IN ('signed_original', 'annex', 'evidence')),
  ADD CONSTRAINT attachment_owner CHECK (num_nonnulls(report_id, activity_id) = 1 AND (report_id IS NULL) = (added_in IS NULL)
    AND (activity_id IS NULL) = (kind <> 'evidence'));
CREATE INDEX attachment_activity ON attachment (activity_id, created_at, id) WHERE activity_id IS NOT NULL;
CREATE POLICY service_read_evidence ON attachment FOR SELECT TO tiendo_service
  USING (activity_id IS NOT NULL AND EXISTS (SELECT FROM activity a WHERE a.id = activity_id));

-- A chunk of an attachment that is being made: never of one that is there.
CREATE OR REPLACE FUNCTION attachment_put(p_attachment uuid, p_n int, p_data bytea) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF me_grant() IS NULL OR coalesce(me_permission() NOT IN ('reports:write', 'activities:write'), true)
    OR EXISTS (SELECT FROM attachment a WHERE a.id = p_attachment) THEN
    PERFORM fail(403, 'forbidden');
  END IF;
  INSERT INTO attachment_chunk (attachment_id, n, data) VALUES (p_attachment, p_n, p_data);
END $$;

-- The visible activity a path names.
CREATE FUNCTION path_activity(ref text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE found_id uuid := (SELECT a.id FROM activity a WHERE is_uuid(ref) AND a.id = ref::uuid);
BEGIN
  IF found_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN found_id;
END $$;
-- The same for whoever would attach to it or take away: 404, 403, 409.
CREATE FUNCTION path_activity_to_change(ref text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE a activity := (SELECT x FROM activity x WHERE x.id = path_activity(ref));
BEGIN
  PERFORM activity_enterable((SELECT c FROM campaign c WHERE c.id = a.campaign_id), a.scope_key, a.organization_code);
  RETURN a.id;
END $$;

CREATE FUNCTION evidence_json(a attachment) RETURNS text LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT row_to_json(x)::text FROM (SELECT a.id, a.name, a.title, a.classification, a.type, a.size, encode(a.sha256, 'hex') AS sha256,
    a.version, tstz(a.created_at) AS created_at) x $$;

-- How much an activity takes.
CREATE FUNCTION evidence_room(p_activity uuid, p_size bigint) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF (SELECT count(*) >= 10 OR coalesce(sum(x.size), 0) + p_size > 50 * 1048576 FROM attachment x WHERE x.activity_id = p_activity) THEN
    PERFORM fail(409, 'attachments_full', NULL, 'An activity takes 10 attachments and 50 MB of them together.');
  END IF;
END $$;
-- The activity with one file more or less, journalled with what proves the file, not what it is called.
CREATE FUNCTION evidence_step(a activity, f attachment, by int, request_id text) RETURNS void
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  was jsonb := activity_json(a)::jsonb;
  file jsonb := jsonb_build_object('id', f.id, 'type', f.type, 'size', f.size, 'sha256', encode(f.sha256, 'hex'));
BEGIN
  UPDATE activity x SET attachments = x.attachments + by, version = x.version + 1, updated_at = clock_now() WHERE x.id = a.id RETURNING * INTO a;
  PERFORM journal('update', 'activity', a.id, a.version, a.scope_key, was || jsonb_build_object('attachment', CASE WHEN by < 0 THEN file END),
    activity_json(a)::jsonb || jsonb_build_object('attachment', CASE WHEN by > 0 THEN file END), request_id, a.programme_id);
END $$;
-- Locks an activity that the caller enters for; whoever asks has seen it under its policy (path_activity_to_change).
CREATE FUNCTION evidence_lock(p_activity uuid) RETURNS activity LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE a activity;
BEGIN
  SELECT x.* INTO a FROM activity x WHERE x.id = p_activity AND campaign_may_enter(x.campaign_id, x.programme_id, x.scope_key) FOR NO KEY UPDATE;
  IF a.id IS NULL OR me_permission() IS DISTINCT FROM 'activities:write' THEN PERFORM fail(403, 'forbidden'); END IF;
  PERFORM campaign_open(a.campaign_id);
  RETURN a;
END $$;

CREATE FUNCTION evidence_add(p_activity uuid, new_id uuid, p_name text, p_title text, p_type text, p_size bigint, p_sha256 text, request_id text)
  RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  a activity := evidence_lock(p_activity);
  made attachment;
  same text := (SELECT x.name FROM attachment x WHERE x.activity_id = p_activity AND x.sha256 = decode(p_sha256, 'hex'));
BEGIN
  PERFORM evidence_room(a.id, p_size);
  IF same IS NOT NULL THEN
    PERFORM fail(409, 'already_exists', NULL, format('The activity has this very file already: %s.', same));
  END IF;
  IF (SELECT coalesce(sum(length(c.data)), 0) <> p_size OR count(*) <> max(c.n) + 1 FROM attachment_chunk c WHERE c.attachment_id = new_id) THEN
    RAISE EXCEPTION 'chunks of % do not make up its size', new_id;
  END IF;
  INSERT INTO attachment (id, activity_id, kind, name, title, type, size, sha256, seat_id, account_id, client_id)
  VALUES (new_id, a.id, 'evidence', p_name, p_title, p_type, p_size, decode(p_sha256, 'hex'), me_seat(), me_account(), me_client())
  RETURNING * INTO made;
  PERFORM evidence_step(a, made, 1, request_id);
  RETURN evidence_json(made);
END $$;
CREATE FUNCTION evidence_remove(p_activity uuid, p_attachment uuid, if_match text, request_id text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  a activity := evidence_lock(p_activity);
  was attachment := (SELECT x FROM attachment x WHERE x.id = p_attachment AND x.activity_id = p_activity);
BEGIN
  IF was.id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  PERFORM check_version(was.version, if_match);
  DELETE FROM attachment x WHERE x.id = was.id;
  PERFORM evidence_step(a, was, -1, request_id);
END $$;

-- The three that api/attachment.c asks of whatever takes files, as 0056 has them for reports: what would be refused is refused before the chunks are
-- written and locks nothing; the file; its end.
CREATE FUNCTION evidence_admit(ref text, p_kind text, p_size bigint, request_id text) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  PERFORM evidence_room(path_activity_to_change(ref), p_size);
END $$;
CREATE FUNCTION evidence_create(ref text, new_id uuid, p_kind text, p_name text, p_title text, p_type text, p_size bigint, p_sha256 text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE aid uuid := path_activity_to_change(ref);
BEGIN
  body_out := evidence_add(aid, new_id, p_name, p_title, p_type, p_size, p_sha256, request_id);
  RETURN QUERY SELECT 201, '1', '/v1/activities/' || aid || '/attachments/' || new_id, body_out;
END $$;
CREATE FUNCTION evidence_delete(ref text, attachment_ref text, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM evidence_remove(path_activity_to_change(ref), CASE WHEN is_uuid(attachment_ref) THEN attachment_ref::uuid END, if_match, request_id);
END $$;

GRANT EXECUTE ON FUNCTION path_activity(text), path_activity_to_change(text), evidence_room(uuid, bigint),
  evidence_add(uuid, uuid, text, text, text, bigint, text, text), evidence_remove(uuid, uuid, text, text), evidence_admit(text, text, bigint, text),
  evidence_create(text, uuid, text, text, text, text, bigint, text, text), evidence_delete(text, text, text, text) TO tiendo_service;
