-- Attachments of reports: files in chunks, seen as what they belong to is seen. Of a draft by the unit that writes it alone, of a submission by
-- whoever sees that submission. added_in: the first submission that has it; removed_in: the first that has it no more. What a
-- submission had is kept.
SET search_path = tiendo, public;

CREATE TABLE attachment (
  id uuid PRIMARY KEY,
  report_id uuid NOT NULL REFERENCES report (id),
  kind text NOT NULL CHECK (kind IN ('signed_original', 'annex')),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200 AND name !~ '[[:cntrl:]/\\]'),
  title text CHECK (length(title) BETWEEN 1 AND 500),
  -- the service holds nothing else
  classification text NOT NULL DEFAULT 'unclassified' CHECK (classification = 'unclassified'),
  type text NOT NULL CHECK (type IN ('application/pdf', 'image/png', 'image/jpeg',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet')),
  size bigint NOT NULL CHECK (size > 0),
  sha256 bytea NOT NULL CHECK (length(sha256) = 32),
  added_in int NOT NULL CHECK (added_in > 0),
  removed_in int CHECK (removed_in > added_in),
  version bigint NOT NULL DEFAULT 1,
  seat_id uuid NOT NULL,
  account_id uuid,
  client_id uuid,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  CHECK (kind <> 'signed_original' OR type = 'application/pdf')
);
CREATE INDEX attachment_report ON attachment (report_id, created_at, id);
-- The signed paper is one.
CREATE UNIQUE INDEX attachment_signed ON attachment (report_id) WHERE kind = 'signed_original' AND removed_in IS NULL;

-- Written before the row they belong to, in the same transaction, so that the report is locked for no longer than a moment.
CREATE TABLE attachment_chunk (
  attachment_id uuid NOT NULL REFERENCES attachment (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  n int NOT NULL CHECK (n >= 0),
  data bytea NOT NULL CHECK (length(data) BETWEEN 1 AND 262144),
  PRIMARY KEY (attachment_id, n)
);
-- Files of these kinds are compressed already.
ALTER TABLE attachment_chunk ALTER COLUMN data SET STORAGE EXTERNAL;

-- ---- who sees ----------------------------------------------------------------------------------------------
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['attachment', 'attachment_chunk'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO tiendo_owner USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;
CREATE POLICY service_read ON attachment FOR SELECT TO tiendo_service USING (
  EXISTS (SELECT FROM report r WHERE r.id = report_id AND report_is_mine(r.organization_id, r.scope_key, r.entered_by))
  OR EXISTS (SELECT FROM report_version v WHERE v.report_id = attachment.report_id AND v.n >= added_in AND (removed_in IS NULL OR v.n < removed_in)));
CREATE POLICY service_read ON attachment_chunk FOR SELECT TO tiendo_service
  USING (EXISTS (SELECT FROM attachment a WHERE a.id = attachment_id));
GRANT SELECT ON attachment, attachment_chunk TO tiendo_service;

-- The submission whose attachments are listed: that of the number, the next one for its author while it is written, else the one that
-- stands. 404 where there is no such submission for the caller.
CREATE FUNCTION attachment_view(ref text, p_n int) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE
  rid uuid := path_report(ref);
  r report := (SELECT x FROM report x WHERE x.id = rid);
BEGIN
  CASE report_view(r, p_n, NULL)
    WHEN 'draft' THEN RETURN r.submissions + 1;
    WHEN 'submitted' THEN RETURN coalesce(p_n, r.shown);
    WHEN 'none' THEN RETURN 0;
    ELSE PERFORM fail(404, 'not_found');
  END CASE;
  RETURN NULL;
END $$;

CREATE FUNCTION attachment_json(a attachment) RETURNS text LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT row_to_json(x)::text FROM (SELECT a.id, a.name, a.title, a.kind, a.classification, a.type, a.size, encode(a.sha256, 'hex') AS sha256,
    a.added_in, a.removed_in, a.version, tstz(a.created_at) AS created_at) x $$;
-- What the journal keeps of it: that it is there and what proves it, not what it is called.
CREATE FUNCTION attachment_brief(a attachment) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_build_object('id', a.id, 'report', a.report_id, 'kind', a.kind, 'type', a.type, 'size', a.size, 'sha256', encode(a.sha256, 'hex'),
    'added_in', a.added_in, 'removed_in', a.removed_in, 'version', a.version) $$;

-- ---- writing -----------------------------------------------------------------------------------------------
-- How much a report takes: of what it has now, and of all that its submissions had.
CREATE FUNCTION attachment_room(p_report uuid, p_kind text, p_size bigint) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE x record;
BEGIN
  SELECT count(*) AS kept, coalesce(sum(a.size), 0) AS kept_size, count(*) FILTER (WHERE a.removed_in IS NULL) AS now,
    coalesce(sum(a.size) FILTER (WHERE a.removed_in IS NULL), 0) AS now_size,
    count(*) FILTER (WHERE a.removed_in IS NULL AND a.kind = 'signed_original') AS signed
  INTO x FROM attachment a WHERE a.report_id = p_report;
  IF p_kind = 'signed_original' AND x.signed > 0 THEN
    PERFORM fail(409, 'already_exists', NULL, 'The report has its signed original; remove that one first.');
  END IF;
  IF x.now >= 20 OR x.now_size + p_size > 100 * 1048576 THEN
    PERFORM fail(409, 'attachments_full', NULL, 'A report takes 20 attachments and 100 MB of them together.');
  END IF;
  IF x.kept >= 100 OR x.kept_size + p_size > 500 * 1048576 THEN
    PERFORM fail(409, 'attachments_full', NULL, 'All the submissions of a report keep 100 attachments and 500 MB of them together.');
  END IF;
END $$;

-- Refuses before the chunks are written what would be refused after: 404, 403, 409. Locks nothing where it does not refuse.
CREATE FUNCTION attachment_admit(ref text, p_kind text, p_size bigint, request_id text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  rid uuid := CASE WHEN is_uuid(ref) THEN ref::uuid END;
  r report := (SELECT x FROM report x WHERE x.id = rid);
BEGIN
  IF r.id IS NULL OR NOT report_is_mine(r.organization_id, r.scope_key, r.entered_by)
    OR NOT EXISTS (SELECT FROM report_transition t WHERE t.action = 'edit' AND t.from_state = r.state AND r.acceptance = ANY (t.acceptance)) THEN
    PERFORM report_step(rid, 'edit', '{}', '*', request_id);
  END IF;
  PERFORM attachment_room(r.id, p_kind, p_size);
END $$;

-- A chunk of an attachment that is being made: never of one that is there.
CREATE FUNCTION attachment_put(p_attachment uuid, p_n int, p_data bytea) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF me_grant() IS NULL OR me_permission() IS DISTINCT FROM 'reports:write' OR EXISTS (SELECT FROM attachment a WHERE a.id = p_attachment) THEN
    PERFORM fail(403, 'forbidden');
  END IF;
  INSERT INTO attachment_chunk (attachment_id, n, data) VALUES (p_attachment, p_n, p_data);
END $$;

CREATE FUNCTION attachment_create(ref text, new_id uuid, p_kind text, p_name text, p_title text, p_type text, p_size bigint, p_sha256 text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  rid uuid := CASE WHEN is_uuid(ref) THEN ref::uuid END;
  r report;
  made attachment;
  same text;
BEGIN
  -- A report with another file is another report: its version goes on, and who submits it has seen that.
  PERFORM report_step(rid, 'edit', '{}', '*', request_id);
  SELECT * INTO r FROM report x WHERE x.id = rid;
  PERFORM attachment_room(r.id, p_kind, p_size);
  SELECT a.name INTO same FROM attachment a
  WHERE p_kind = 'annex' AND a.report_id = r.id AND a.kind = p_kind AND a.removed_in IS NULL AND a.sha256 = decode(p_sha256, 'hex');
  IF same IS NOT NULL THEN
    PERFORM fail(409, 'already_exists', NULL, format('The report has this very file as an annex already: %s.', same));
  END IF;
  IF (SELECT coalesce(sum(length(c.data)), 0) <> p_size OR count(*) <> max(c.n) + 1 FROM attachment_chunk c WHERE c.attachment_id = new_id) THEN
    RAISE EXCEPTION 'chunks of % do not make up its size', new_id;
  END IF;
  INSERT INTO attachment (id, report_id, kind, name, title, type, size, sha256, added_in, seat_id, account_id, client_id)
  VALUES (new_id, r.id, p_kind, p_name, p_title, p_type, p_size, decode(p_sha256, 'hex'), r.submissions + 1, me_seat(), me_account(), me_client())
  RETURNING * INTO made;
  PERFORM journal('create', 'attachment', made.id, made.version, r.scope_key, NULL, attachment_brief(made), request_id, r.programme_id);
  RETURN QUERY SELECT 201, made.version::text, '/v1/reports/' || r.id || '/attachments/' || made.id, attachment_json(made);
END $$;

-- Of what no submission had nothing is kept; what one had stays with it.
CREATE FUNCTION attachment_delete(ref text, attachment_ref text, if_match text, request_id text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  r report := report_enter_step(CASE WHEN is_uuid(ref) THEN ref::uuid END, 'edit');
  was attachment := (SELECT a FROM attachment a WHERE is_uuid(attachment_ref) AND a.id = attachment_ref::uuid AND a.report_id = r.id);
  a attachment := was;
BEGIN
  IF was.id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  PERFORM check_version(was.version, if_match);
  PERFORM report_step(r.id, 'edit', '{}', '*', request_id);
  IF was.removed_in IS NOT NULL THEN PERFORM fail(409, 'already_ended', NULL, 'The attachment was removed before; the submissions that had it keep it.'); END IF;
  a.version := was.version + 1;
  IF was.added_in > r.submissions THEN
    DELETE FROM attachment x WHERE x.id = was.id;
  ELSE
    a.removed_in := r.submissions + 1;
    UPDATE attachment x SET removed_in = a.removed_in, version = a.version WHERE x.id = was.id;
  END IF;
  PERFORM journal('delete', 'attachment', a.id, a.version, r.scope_key, attachment_brief(was), CASE WHEN a.removed_in IS NOT NULL THEN attachment_brief(a) END,
    request_id, r.programme_id);
END $$;

GRANT EXECUTE ON FUNCTION attachment_view(text, int), attachment_admit(text, text, bigint, text), attachment_put(uuid, int, bytea),
  attachment_create(text, uuid, text, text, text, text, bigint, text, text), attachment_delete(text, text, text, text) TO tiendo_service;
