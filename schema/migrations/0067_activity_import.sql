-- Importing many activities in one transaction, as values are imported (0018): the service copies the rows, as text, into the temporary table import_row, with
-- what is wrong with a row's form in faults. What the rows name is resolved once for each name, every row is judged by the rules of a single write
-- (0065), compared with what is there, and what differs is written, by set, in the order of units, campaigns and codes.
SET search_path = tiendo, public;

-- id: of a new activity; known: what the row says is its id.
CREATE FUNCTION activity_import_begin() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE TEMP TABLE import_row (row int, line int, id uuid, campaign text, organization text, code text, phase text, kind text, topic text, title text,
    starts_on text, ends_on text, done_on text, planned text, done text, contacts_planned text, contacts_reached text, channels text, status text,
    reason text, evidence_url text, note text, version text, known text, faults jsonb) ON COMMIT DROP;
END $$;

-- What a row's list of channels holds, each once: a JSON array of texts, or codes with commas, semicolons or spaces between them, as a cell of a sheet
-- has them; NULL when it is none.
CREATE FUNCTION activity_import_channels(given text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF coalesce(btrim(given), '') = '' THEN RETURN '{}'; END IF;
  IF length(given) > 10000 THEN RETURN NULL; END IF;
  IF given ~ '^[[:space:]]*[[:alnum:]]' AND btrim(given) <> 'null' THEN
    RETURN (SELECT CASE WHEN count(*) = count(DISTINCT x.code) THEN array_agg(x.code ORDER BY x.n) END
      FROM regexp_split_to_table(given, '[,;[:space:]]+') WITH ORDINALITY x(code, n) WHERE x.code <> '');
  END IF;
  IF jsonb_typeof(given::jsonb) <> 'array' OR EXISTS (SELECT FROM jsonb_array_elements(given::jsonb) x WHERE jsonb_typeof(x) <> 'string') THEN
    RETURN NULL;
  END IF;
  IF (SELECT count(*) > count(DISTINCT x) FROM jsonb_array_elements_text(given::jsonb) x) THEN RETURN NULL; END IF;
  RETURN ARRAY(SELECT x FROM jsonb_array_elements_text(given::jsonb) x);
EXCEPTION WHEN invalid_text_representation OR untranslatable_character OR numeric_value_out_of_range OR statement_too_complex THEN
  RETURN NULL;
END $$;

-- import_campaign, import_phase, import_unit, import_place, import_channels: what the rows name, each name once, as the caller sees it. Days and lives
-- are texts, as the rules want them. A unit is named by code, by id, or by an identifier, which means the unit that has it on the activity's first day:
-- where several do, the Party committee among them; where that leaves several, none. A place is a unit in a campaign, with whether the caller enters there.
CREATE FUNCTION activity_import_names(scheme text) RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE by_day boolean := scheme NOT IN ('code', 'id');
BEGIN
  CREATE TEMP TABLE import_campaign ON COMMIT DROP AS
    SELECT d.ref, c.id, c.code, c.programme_id, c.scope_key, c.status,
      ARRAY(SELECT t.code::text FROM campaign_topic t WHERE t.campaign_id = c.id) AS topics
    FROM (SELECT r.campaign AS ref, campaign_id(btrim(r.campaign)) AS id FROM (SELECT DISTINCT x.campaign FROM import_row x) r) d
      LEFT JOIN campaign c ON c.id = d.id;
  CREATE TEMP TABLE import_phase ON COMMIT DROP AS
    SELECT d.campaign, d.phase AS ref, f.id, f.code, f.kinds, f.starts_on::text AS starts_on, f.ends_on::text AS ends_on
    FROM (SELECT DISTINCT r.campaign, r.phase FROM import_row r) d
      JOIN import_campaign c ON c.ref = d.campaign JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = btrim(d.phase);
  CREATE TEMP TABLE import_channels ON COMMIT DROP AS
    SELECT d.ref, activity_import_channels(d.ref) AS list FROM (SELECT DISTINCT coalesce(r.channels, '') AS ref FROM import_row r) d;
  PERFORM activity_import_units(scheme);
  CREATE TEMP TABLE import_place ON COMMIT DROP AS
    SELECT c.id AS campaign_id, o.id AS organization_id, may_write(c.programme_id, o.scope_key)
      OR (c.entered_by = 'superior' AND coalesce(o.scope_key <@ (SELECT behalf_scope()), false)) AS mine
    FROM (SELECT DISTINCT c.id AS campaign, u.id AS unit
        FROM (SELECT DISTINCT x.campaign, x.organization, CASE WHEN by_day THEN coalesce(x.starts_on, '') ELSE '' END AS day FROM import_row x) r
          JOIN import_campaign c ON c.ref = r.campaign JOIN import_unit u ON u.ref = r.organization AND u.day = r.day) d
      JOIN campaign c ON c.id = d.campaign JOIN organization o ON o.id = d.unit;
  ANALYZE import_campaign, import_phase, import_channels, import_unit, import_place;
END $$;
CREATE FUNCTION activity_import_units(scheme text) RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
  CREATE TEMP TABLE import_name (ref text, day text, id uuid, fault text) ON COMMIT DROP;
  IF scheme IN ('code', 'id') THEN
    INSERT INTO import_name (ref, day, id)
    SELECT d.ref, '', o.id
    FROM (SELECT DISTINCT r.organization AS ref FROM import_row r) d
      LEFT JOIN organization o ON scheme = 'code' AND o.root_id = (SELECT me_root()) AND o.code::text = btrim(d.ref);
    -- ids, and codes of other roots
    IF EXISTS (SELECT FROM import_name n WHERE n.id IS NULL AND n.ref IS NOT NULL) THEN
      UPDATE import_name n SET id = o.id FROM organization o WHERE n.id IS NULL AND o.id::text = lower(btrim(n.ref));
      UPDATE import_name n SET id = o.id
      FROM (SELECT x.code::text AS code, min(x.id::text)::uuid AS id FROM organization x GROUP BY 1 HAVING count(*) = 1) o
      WHERE n.id IS NULL AND scheme = 'code' AND o.code = btrim(n.ref);
    END IF;
  ELSE
    INSERT INTO import_name (ref, day, id, fault)
    SELECT d.ref, d.day,
      CASE WHEN count(o.id) = 1 THEN min(o.id::text)::uuid
        WHEN count(*) FILTER (WHERE o.kind LIKE '%party_committee') = 1
        THEN (min(o.id::text) FILTER (WHERE o.kind LIKE '%party_committee'))::uuid END,
      CASE WHEN count(o.id) > 1 AND count(*) FILTER (WHERE o.kind LIKE '%party_committee') <> 1 THEN 'ambiguous_reference' END
    FROM (SELECT DISTINCT r.organization AS ref, coalesce(r.starts_on, '') AS day FROM import_row r) d
      LEFT JOIN organization_identifier x ON x.scheme = activity_import_units.scheme AND x.value = btrim(d.ref)
        AND x.validity @> CASE WHEN day_ok(d.day) THEN d.day::date ELSE today() END
      LEFT JOIN organization o ON o.id = x.organization_id
    GROUP BY d.ref, d.day;
  END IF;
  CREATE TEMP TABLE import_unit ON COMMIT DROP AS
    SELECT n.ref, n.day, n.id, n.fault, o.code, o.name, o.scope_key, o.valid_from::text AS valid_from, coalesce(o.valid_to::text, '9999-12-31') AS valid_to
    FROM import_name n LEFT JOIN organization o ON o.id = n.id;
END $$;

-- What a fault of a row ('#/kind:unknown_reference') says: as of an activity, and what only an import says.
CREATE FUNCTION activity_import_fault_text(code text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE code
    WHEN '#:repeated' THEN 'an earlier row is the same activity'
    WHEN '#:already_exists' THEN 'there is this activity already'
    WHEN '#:not_found' THEN 'there is no such activity'
    WHEN '#/version:version_conflict' THEN 'the activity has another version now'
    WHEN '#/id:other_activity' THEN 'this activity is another unit''s, or of another campaign'
    WHEN '#/channels:array' THEN 'codes with commas between them, or a JSON array of codes, each once'
    ELSE activity_fault_text(code) END $$;
-- What becomes of a sound row: create, update, delete, unchanged; what the strategy or the version forbids is a fault.
CREATE FUNCTION activity_import_fault(strategy text, seen bigint, version text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN seen IS NULL AND strategy IN ('update', 'delete') THEN '# not_found'
    WHEN seen IS NOT NULL AND strategy = 'create' THEN '# already_exists'
    WHEN coalesce(seen::text, '') <> version THEN '#/version version_conflict' END $$;
CREATE FUNCTION activity_import_outcome(strategy text, faults text[], seen bigint, version text, same boolean) RETURNS text
  LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN faults IS NOT NULL THEN 'failed'
    WHEN version = '' AND same AND strategy IN ('upsert', 'update') THEN 'unchanged'
    WHEN activity_import_fault(strategy, seen, version) IS NOT NULL THEN 'failed'
    WHEN strategy = 'delete' THEN 'delete'
    WHEN seen IS NULL THEN 'create'
    WHEN same THEN 'unchanged'
    ELSE 'update' END $$;

-- import_item: every row as it is meant, what is wrong with it (pairs of pointer and code), and what there is of it already. What an activity has
-- already is not asked about again, as in activity_faults().
CREATE FUNCTION activity_import_judge(strategy text, scheme text) RETURNS void LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  by_day boolean := scheme NOT IN ('code', 'id');
  on_day text := today()::text;
  kinds_offered text[] := ARRAY(SELECT t.code FROM campaign_term t WHERE t.list = 'activity_kind' AND t.active);
  channels_offered text[] := ARRAY(SELECT t.code FROM campaign_term t WHERE t.list = 'channel' AND t.active);
BEGIN
  CREATE TEMP TABLE import_item ON COMMIT DROP AS
  WITH given AS MATERIALIZED (
    SELECT r.row, r.line, r.id, r.campaign, r.organization, r.phase, r.channels AS channels_given, nullif(r.code, '') AS code, nullif(r.kind, '') AS kind,
      nullif(r.topic, '') AS topic, nullif(r.title, '') AS title, nullif(r.starts_on, '') AS starts_on, coalesce(nullif(r.ends_on, ''), nullif(r.starts_on, '')) AS ends_on,
      nullif(r.done_on, '') AS done_on, coalesce(nullif(r.planned, ''), '1') AS planned, coalesce(nullif(r.done, ''), '0') AS done,
      nullif(r.contacts_planned, '') AS contacts_planned, nullif(r.contacts_reached, '') AS contacts_reached, coalesce(nullif(r.status, ''), 'planned') AS status,
      nullif(r.reason, '') AS reason, nullif(r.evidence_url, '') AS evidence_url, nullif(r.note, '') AS note, btrim(r.version) AS version,
      CASE WHEN coalesce(r.code, '') = '' AND is_uuid(r.known) THEN r.known::uuid END AS known, r.faults AS form
    FROM import_row r
  ), meant AS MATERIALIZED (
    SELECT g.*, c.id AS campaign_id, c.code AS campaign_code, c.programme_id, c.scope_key AS campaign_key, c.status AS campaign_status, c.topics,
      f.id AS phase_id, f.code AS phase_code, f.kinds, f.starts_on AS phase_starts, f.ends_on AS phase_ends,
      o.id AS organization_id, o.code AS organization_code, o.name AS organization_name, o.scope_key, o.fault AS unit_fault, o.valid_from, o.valid_to,
      p.mine, l.list AS channels, g.form IS NULL AND strategy <> 'delete' AS bodily
    FROM given g
      LEFT JOIN import_campaign c ON c.ref = g.campaign
      LEFT JOIN import_phase f ON f.campaign = g.campaign AND f.ref = g.phase
      LEFT JOIN import_channels l ON l.ref = coalesce(g.channels_given, '')
      LEFT JOIN import_unit o ON o.ref = g.organization AND o.day = CASE WHEN by_day THEN coalesce(g.starts_on, '') ELSE '' END
      LEFT JOIN import_place p ON p.campaign_id = c.id AND p.organization_id = o.id
  ), found AS (
    SELECT m.*, e.id AS activity_id, e.version AS seen, e.kind AS seen_kind, e.phase_id AS seen_phase, e.channels AS seen_channels,
      e.organization_id <> m.organization_id OR e.campaign_id <> m.campaign_id AS astray,
      coalesce(m.done_on, CASE WHEN m.status <> 'done' THEN NULL WHEN e.status = 'done' THEN e.done_on::text ELSE on_day END) AS ended_on,
      coalesce(e.phase_id = m.phase_id AND e.starts_on::text = m.starts_on AND e.ends_on::text = m.ends_on AND (m.status = 'done' OR e.status <> 'done'), false) AS placed,
      (e.phase_id, e.kind, e.topic, e.title, e.starts_on::text, e.ends_on::text, e.planned::text, e.done::text, e.contacts_planned::text,
        e.contacts_reached::text, e.channels, e.status, e.reason, e.evidence_url, e.note, e.done_on::text)
      IS NOT DISTINCT FROM (m.phase_id, m.kind, m.topic, m.title, m.starts_on, m.ends_on, m.planned, m.done, m.contacts_planned, m.contacts_reached,
        m.channels, m.status, m.reason, m.evidence_url, m.note, coalesce(m.done_on, CASE WHEN m.status = 'done' THEN e.done_on::text END)) AS same,
      row_number() OVER (PARTITION BY e.id, CASE WHEN e.id IS NULL THEN m.organization_id END, CASE WHEN e.id IS NULL THEN m.campaign_id END,
        CASE WHEN e.id IS NULL THEN coalesce(m.code, m.id::text) END ORDER BY m.row) AS nth
    FROM meant m
      LEFT JOIN LATERAL (
        SELECT * FROM activity a WHERE a.organization_id = m.organization_id AND a.campaign_id = m.campaign_id AND a.code = m.code
        UNION ALL
        SELECT * FROM activity a WHERE a.id = m.known
        LIMIT 1) e ON true
  ), weighed AS (
    SELECT j.row, j.line, j.id, j.campaign_id, j.campaign_code, j.programme_id, j.organization_id, j.organization_code, j.organization_name, j.scope_key,
      j.phase_id, j.phase_code, j.code, j.kind, j.topic, j.title, j.starts_on, j.ends_on, j.ended_on AS done_on, j.planned, j.done, j.contacts_planned,
      j.contacts_reached, j.channels, j.status, j.reason, j.evidence_url, j.note, j.version, j.form, j.activity_id, j.seen, j.same,
      CASE WHEN coalesce(f.campaign, f.active, f.phase, f.organization, f.unit, f.mine, f.repeated, f.astray, f.code, f.kind, f.topic, f.title, f.starts_on,
          f.ends_on, f.done_on, f.planned, f.done, f.contacts_planned, f.contacts_reached, f.channels, f.status, f.reason, f.evidence_url, f.note,
          f.version) IS NOT NULL THEN
        array_remove(ARRAY['#/campaign ' || f.campaign, '#/campaign ' || f.active, '#/phase ' || f.phase, '#/organization ' || f.organization,
          '#/organization ' || f.unit, '#/organization ' || f.mine, '# ' || f.repeated, '#/id ' || f.astray, '#/code ' || f.code, '#/kind ' || f.kind,
          '#/topic ' || f.topic, '#/title ' || f.title, '#/starts_on ' || f.starts_on, '#/ends_on ' || f.ends_on, '#/done_on ' || f.done_on,
          '#/planned ' || f.planned, '#/done ' || f.done, '#/contacts_planned ' || f.contacts_planned, '#/contacts_reached ' || f.contacts_reached,
          '#/channels ' || f.channels, '#/status ' || f.status, '#/reason ' || f.reason, '#/evidence_url ' || f.evidence_url, '#/note ' || f.note,
          '#/version ' || f.version], NULL) END AS faults
    FROM found j, LATERAL (SELECT
      CASE WHEN j.campaign_id IS NULL AND j.campaign IS NOT NULL THEN 'unknown_reference' END AS campaign,
      CASE WHEN j.campaign_status <> 'active' THEN 'campaign_not_active' END AS active,
      CASE WHEN j.phase_id IS NOT NULL OR j.campaign_id IS NULL THEN NULL WHEN j.phase IS NOT NULL THEN 'unknown_reference' WHEN j.bodily THEN 'required' END AS phase,
      CASE WHEN j.organization_id IS NULL AND j.organization IS NOT NULL THEN coalesce(j.unit_fault, 'unknown_reference') END AS organization,
      CASE WHEN j.organization_id IS NULL OR j.campaign_id IS NULL THEN NULL WHEN j.placed OR NOT j.bodily
          THEN activity_unit_fault(j.scope_key, j.campaign_key, NULL, NULL, NULL)
        ELSE activity_unit_fault(j.scope_key, j.campaign_key, j.valid_from, j.valid_to, j.starts_on) END AS unit,
      CASE WHEN NOT j.mine AND j.scope_key ^@ j.campaign_key THEN 'forbidden' END AS mine,
      CASE WHEN j.nth > 1 AND j.organization_id IS NOT NULL AND j.campaign_id IS NOT NULL THEN 'repeated' END AS repeated,
      CASE WHEN j.astray THEN 'other_activity' END AS astray,
      CASE WHEN j.bodily THEN activity_code_fault(j.code) END AS code,
      CASE WHEN j.bodily THEN activity_kind_fault(j.kind, j.kind = j.seen_kind OR j.kind = ANY (kinds_offered),
        CASE WHEN (j.seen_phase, j.seen_kind) IS DISTINCT FROM (j.phase_id, j.kind) THEN j.kinds END) END AS kind,
      CASE WHEN j.campaign_id IS NOT NULL THEN activity_topic_fault(j.topic, j.topics) END AS topic,
      CASE WHEN j.bodily THEN activity_title_fault(j.title) END AS title,
      CASE WHEN j.bodily THEN activity_starts_on_fault(j.starts_on, CASE WHEN NOT j.placed THEN j.phase_starts END, CASE WHEN NOT j.placed THEN j.phase_ends END) END AS starts_on,
      CASE WHEN j.bodily THEN activity_ends_on_fault(j.ends_on, j.starts_on, j.status, CASE WHEN NOT j.placed THEN j.phase_ends END) END AS ends_on,
      CASE WHEN j.bodily THEN activity_done_on_fault(j.ended_on, j.status, j.starts_on, on_day) END AS done_on,
      CASE WHEN j.bodily THEN activity_quantity_fault(j.planned) END AS planned,
      CASE WHEN j.bodily THEN activity_done_fault(j.done, j.status) END AS done,
      CASE WHEN j.bodily THEN activity_contacts_fault(j.contacts_planned) END AS contacts_planned,
      CASE WHEN j.bodily THEN activity_contacts_fault(j.contacts_reached) END AS contacts_reached,
      CASE WHEN j.bodily THEN CASE WHEN j.channels IS NULL THEN 'array' ELSE activity_channels_fault(j.channels, channels_offered || j.seen_channels) END END AS channels,
      CASE WHEN j.bodily THEN activity_status_fault(j.status) END AS status,
      CASE WHEN j.bodily THEN activity_reason_fault(j.reason, j.status) END AS reason,
      CASE WHEN j.bodily THEN evidence_fault(j.evidence_url) END AS evidence_url,
      CASE WHEN j.bodily THEN activity_note_fault(j.note) END AS note,
      CASE WHEN j.version <> '' AND j.version !~ '^[1-9][0-9]{0,17}$' THEN 'number' END AS version) f
  OFFSET 0)
  SELECT w.*, CASE WHEN w.form IS NOT NULL THEN 'failed' ELSE activity_import_outcome(strategy, w.faults, w.seen, w.version, w.same) END AS outcome
  FROM weighed w
  ORDER BY w.scope_key, w.campaign_id, w.code, w.row;
END $$;

-- What a row says of an activity, as the answer names it.
CREATE FUNCTION activity_import_members(phase text, kind text, topic text, title text, starts_on text, ends_on text, done_on text, planned int, done int,
    contacts_planned int, contacts_reached int, channels text[], status text, reason text, evidence_url text, note text) RETURNS jsonb
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT jsonb_build_object('phase', phase, 'kind', kind, 'topic', topic, 'title', title, 'starts_on', starts_on, 'ends_on', ends_on, 'done_on', done_on,
    'planned', planned, 'done', done, 'contacts_planned', contacts_planned, 'contacts_reached', contacts_reached, 'channels', channels, 'status', status,
    'reason', reason, 'evidence_url', evidence_url, 'note', note) $$;
-- The first changes, old and new, before they are made; of what is changed, those members that are.
CREATE FUNCTION activity_import_changes() RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('row', x.row, 'campaign', x.campaign_code, 'organization', x.organization_code, 'code', x.code, 'title', x.title,
      'old', CASE WHEN x.outcome = 'update' THEN (SELECT jsonb_object_agg(o.key, o.value) FROM jsonb_each(x.old) o WHERE x.new -> o.key <> o.value) ELSE x.old END,
      'new', CASE WHEN x.outcome = 'update' THEN (SELECT jsonb_object_agg(n.key, n.value) FROM jsonb_each(x.new) n WHERE x.old -> n.key <> n.value) ELSE x.new END)
      ORDER BY x.row), '[]')
    FROM (SELECT i.row, i.outcome, i.campaign_code, i.organization_code, coalesce(i.code, a.code) AS code, CASE WHEN i.outcome = 'delete' THEN a.title ELSE i.title END AS title,
        CASE WHEN a.id IS NOT NULL THEN activity_import_members((SELECT f.code FROM campaign_phase f WHERE f.id = a.phase_id), a.kind, a.topic, a.title,
          a.starts_on::text, a.ends_on::text, a.done_on::text, a.planned, a.done, a.contacts_planned, a.contacts_reached, a.channels, a.status, a.reason,
          a.evidence_url, a.note) END AS old,
        CASE WHEN i.outcome <> 'delete' THEN activity_import_members(i.phase_code, i.kind, i.topic, i.title, i.starts_on, i.ends_on, i.done_on, i.planned::int,
          i.done::int, i.contacts_planned::int, i.contacts_reached::int, i.channels, i.status, i.reason, i.evidence_url, i.note) END AS new
      FROM (SELECT * FROM import_item y WHERE y.outcome IN ('create', 'update', 'delete') ORDER BY y.row LIMIT 1000) i
        LEFT JOIN LATERAL (SELECT * FROM activity z WHERE z.id = i.activity_id OFFSET 0) a ON true) x);
END $$;
CREATE FUNCTION activity_import_errors(strategy text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('row', e.row, 'line', e.line) || e.fault ORDER BY e.row, e.n), '[]')
    FROM (SELECT i.row, i.line, f.fault, f.n
      FROM (SELECT * FROM import_item x WHERE x.outcome = 'failed' ORDER BY x.row LIMIT 1000) i, LATERAL (
        SELECT a.fault, a.n FROM jsonb_array_elements(i.form) WITH ORDINALITY a(fault, n)
        UNION ALL
        SELECT fault(split_part(b.fault, ' ', 1), split_part(b.fault, ' ', 2), activity_import_fault_text(replace(b.fault, ' ', ':'))), 100 + b.n
        FROM unnest(coalesce(i.faults, CASE WHEN i.form IS NULL THEN ARRAY[activity_import_fault(strategy, i.seen, i.version)] END))
          WITH ORDINALITY b(fault, n)) f
      ORDER BY i.row, f.n LIMIT 1000) e);
END $$;

-- Writes what the outcomes say, with its journal rows, whose images are those of a single write. Rows that another transaction changed meanwhile end
-- the import: 409, to be sent again.
CREATE FUNCTION activity_import_write(creates bigint, updates bigint, deletes bigint) RETURNS void LANGUAGE plpgsql
  SET enable_nestloop = off AS $$
DECLARE
  n bigint;
  on_day text := today()::text;
  stamp timestamptz := clock_now();
  made text := tstz(stamp);
  seat uuid := me_seat();
  seat_code text := (SELECT o.code FROM organization o WHERE o.id = me_seat());
  touched uuid[];
BEGIN
  -- who closes a campaign waits for this, or this sees that it is closed
  PERFORM campaign_open(x.campaign_id) FROM (SELECT DISTINCT i.campaign_id FROM import_item i WHERE i.outcome IN ('create', 'update', 'delete') ORDER BY 1) x;
  IF updates + deletes > 0 THEN
    touched := ARRAY(SELECT i.activity_id FROM import_item i WHERE i.outcome IN ('update', 'delete'));
    PERFORM FROM import_item i JOIN activity a ON a.id = i.activity_id
    WHERE i.outcome IN ('update', 'delete') AND a.id = ANY (touched) ORDER BY i.scope_key, i.campaign_id, i.code, i.row FOR UPDATE OF a;
    CREATE TEMP TABLE import_was ON COMMIT DROP AS
      SELECT a.id, to_jsonb(r) AS image
      FROM import_item i JOIN activity a ON a.id = i.activity_id LEFT JOIN campaign_phase f ON f.id = a.phase_id
        LEFT JOIN (SELECT DISTINCT x.activity_id FROM activity_proposal x WHERE x.activity_id = ANY (touched)) p ON p.activity_id = a.id,
        LATERAL (SELECT a.id, i.campaign_code AS campaign, f.code AS phase, a.organization_code AS organization, i.organization_name, a.code, a.kind, a.topic,
          a.title, a.starts_on, a.ends_on, a.done_on, a.planned, a.done, a.contacts_planned, a.contacts_reached, a.channels, a.status, a.reason,
          activity_late(a.status, a.ends_on) AS late, a.evidence_url, a.attachments, a.note, a.classification, a.on_behalf, a.entered_by,
          CASE WHEN p.activity_id IS NOT NULL THEN activity_proposal_json(a.id) END AS proposal, a.version, tstz(a.created_at) AS created_at,
          tstz(a.updated_at) AS updated_at) r
      WHERE i.outcome IN ('update', 'delete') AND a.id = ANY (touched) AND a.version = i.seen;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n < updates + deletes THEN PERFORM fail(409, 'concurrent_change', NULL, 'Some of the activities changed meanwhile.'); END IF;
    INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id, request_id, before, after)
    SELECT me_account(), me_client(), me_grant(), me_session(), i.outcome, 'activity', i.activity_id, i.seen + 1, i.scope_key, i.programme_id,
      nullif(current_setting('tiendo.request', true), ''), w.image, CASE WHEN i.outcome = 'update' THEN w.image
        || activity_import_members(i.phase_code, i.kind, i.topic, i.title, i.starts_on, i.ends_on, i.done_on, i.planned::int, i.done::int,
          i.contacts_planned::int, i.contacts_reached::int, i.channels, i.status, i.reason, i.evidence_url, i.note)
        || jsonb_build_object('late', i.status IN ('planned', 'under_way', 'postponed') AND i.ends_on COLLATE "C" < on_day, 'on_behalf', i.organization_id <> seat,
          'entered_by', seat_code, 'version', i.seen + 1, 'updated_at', made) END
    FROM import_item i JOIN import_was w ON w.id = i.activity_id WHERE i.outcome IN ('update', 'delete');
  END IF;
  IF updates > 0 THEN
    UPDATE activity a SET phase_id = i.phase_id, kind = i.kind, topic = i.topic, title = i.title, starts_on = i.starts_on::date, ends_on = i.ends_on::date,
      done_on = i.done_on::date, planned = i.planned::int, done = i.done::int, contacts_planned = i.contacts_planned::int,
      contacts_reached = i.contacts_reached::int, channels = i.channels, status = i.status, reason = i.reason, evidence_url = i.evidence_url, note = i.note,
      on_behalf = a.organization_id <> seat, entered_by = seat_code, seat_id = seat, account_id = (SELECT me_account()), client_id = (SELECT me_client()),
      grant_id = (SELECT me_grant()), version = a.version + 1, updated_at = stamp
    FROM import_item i WHERE i.outcome = 'update' AND a.id = ANY (touched) AND a.id = i.activity_id AND a.version = i.seen;
  END IF;
  IF deletes > 0 THEN
    DELETE FROM activity a USING import_item i WHERE i.outcome = 'delete' AND a.id = ANY (touched) AND a.id = i.activity_id AND a.version = i.seen;
  END IF;
  IF creates > 0 THEN
    INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, code, kind, topic, title, starts_on, ends_on,
      done_on, planned, done, contacts_planned, contacts_reached, channels, status, reason, evidence_url, note, on_behalf, entered_by, seat_id, account_id,
      client_id, grant_id, created_at, updated_at)
    SELECT i.id, i.campaign_id, i.phase_id, i.programme_id, i.organization_id, i.organization_code, i.scope_key, i.code, i.kind, i.topic, i.title,
      i.starts_on::date, i.ends_on::date, i.done_on::date, i.planned::int, i.done::int, i.contacts_planned::int, i.contacts_reached::int, i.channels, i.status,
      i.reason, i.evidence_url, i.note, i.organization_id <> seat, seat_code, seat, (SELECT me_account()), (SELECT me_client()), (SELECT me_grant()), stamp, stamp
    FROM import_item i WHERE i.outcome = 'create'
    ORDER BY i.scope_key, i.campaign_id, i.code, i.row
    ON CONFLICT (organization_id, campaign_id, code) DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n < creates THEN PERFORM fail(409, 'concurrent_change', NULL, 'Some of the activities were entered meanwhile.'); END IF;
    INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id, request_id, before, after)
    SELECT me_account(), me_client(), me_grant(), me_session(), 'create', 'activity', i.id, 1, i.scope_key, i.programme_id,
      nullif(current_setting('tiendo.request', true), ''), NULL, to_jsonb(r)
    FROM import_item i,
      LATERAL (SELECT i.id, i.campaign_code AS campaign, i.phase_code AS phase, i.organization_code AS organization, i.organization_name, i.code, i.kind, i.topic,
        i.title, i.starts_on, i.ends_on, i.done_on, i.planned::int, i.done::int, i.contacts_planned::int, i.contacts_reached::int, i.channels, i.status, i.reason,
        i.status IN ('planned', 'under_way', 'postponed') AND i.ends_on COLLATE "C" < on_day AS late, i.evidence_url, 0 AS attachments, i.note,
        'unclassified' AS classification, i.organization_id <> seat AS on_behalf, seat_code AS entered_by, NULL::json AS proposal, 1 AS version,
        made AS created_at, made AS updated_at) r
    WHERE i.outcome = 'create';
  END IF;
END $$;

-- The whole import, after activity_import_begin() and the COPY. 422: rows are faulty, the mode is atomic, nothing was written.
CREATE FUNCTION activity_import(p_mode text, p_strategy text, p_dry_run boolean, p_scheme text, p_request_id text)
  RETURNS TABLE (status int, body text) LANGUAGE plpgsql AS $$
DECLARE
  n record;
  refused boolean;
  errors jsonb;
  changes jsonb := '[]';
BEGIN
  PERFORM set_config('tiendo.request', p_request_id, true);
  PERFORM activity_import_names(p_scheme);
  PERFORM activity_import_judge(p_strategy, p_scheme);
  SELECT count(*) AS rows, count(*) FILTER (WHERE outcome = 'create') AS creates, count(*) FILTER (WHERE outcome = 'update') AS updates,
      count(*) FILTER (WHERE outcome = 'delete') AS deletes, count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged,
      count(*) FILTER (WHERE outcome = 'failed') AS failed,
      sum(greatest(coalesce(cardinality(faults), 0) + coalesce(jsonb_array_length(form), 0), 1)) FILTER (WHERE outcome = 'failed') AS faults
    INTO n FROM import_item;
  refused := p_mode = 'atomic' AND n.failed > 0;
  errors := activity_import_errors(p_strategy);
  IF NOT refused THEN
    changes := activity_import_changes();
    IF NOT p_dry_run THEN
      PERFORM activity_import_write(n.creates, n.updates, n.deletes);
    END IF;
  END IF;
  RETURN QUERY SELECT CASE WHEN refused THEN 422 ELSE 200 END, json_build_object('dry_run', p_dry_run, 'mode', p_mode, 'strategy', p_strategy,
    'rows', n.rows, 'created', CASE WHEN refused THEN 0 ELSE n.creates END, 'updated', CASE WHEN refused THEN 0 ELSE n.updates END,
    'unchanged', n.unchanged, 'deleted', CASE WHEN refused THEN 0 ELSE n.deletes END, 'failed', n.failed, 'errors', errors,
    'errors_truncated', coalesce(n.faults, 0) > jsonb_array_length(errors), 'changes', changes,
    'changes_truncated', NOT refused AND n.creates + n.updates + n.deletes > jsonb_array_length(changes))::text;
END $$;

DO $do$
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tiendo'::regnamespace AND p.proname LIKE 'activity\_import%' LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tiendo_service', f);
  END LOOP;
END $do$;
