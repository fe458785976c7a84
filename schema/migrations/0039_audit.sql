-- The audit trail: what the seal of a journal row covers and knows, who may read it, how it is read and how it is cut.
-- A seal knows of its row what a reader looks for (whose, what, when, by whom), so that neither the audit trail nor the feed of
-- changes asks the writers for an index: the sealer keeps them.
SET search_path = tiendo, public;

-- ---- what a seal knows and covers --------------------------------------------------------------------------
ALTER TABLE journal_seal ADD COLUMN at timestamptz, ADD COLUMN action text, ADD COLUMN resource_type text, ADD COLUMN resource_id uuid,
  ADD COLUMN version bigint, ADD COLUMN scope_key text COLLATE "C", ADD COLUMN unit text COLLATE "C", ADD COLUMN programme_id uuid,
  ADD COLUMN account_id uuid, ADD COLUMN client_id uuid;
UPDATE journal_seal s SET at = j.at, action = j.action, resource_type = j.resource_type, resource_id = j.resource_id, version = j.version,
  scope_key = j.scope_key, unit = right(j.scope_key, 6), programme_id = j.programme_id, account_id = j.account_id, client_id = j.client_id
FROM journal j WHERE j.xid = s.xid AND j.seq = s.seq;
ALTER TABLE journal_seal ALTER at SET NOT NULL, ALTER action SET NOT NULL, ALTER resource_type SET NOT NULL, ALTER resource_id SET NOT NULL,
  ALTER version SET NOT NULL, ALTER scope_key SET NOT NULL, ALTER unit SET NOT NULL;
CREATE INDEX journal_seal_resource ON journal_seal (resource_id, position);
CREATE INDEX journal_seal_unit ON journal_seal (unit, position);
CREATE INDEX journal_seal_account ON journal_seal (account_id, position) WHERE account_id IS NOT NULL;
CREATE INDEX journal_seal_client ON journal_seal (client_id, position) WHERE client_id IS NOT NULL;
-- A unit by the last six characters of its key, which name it for good.
CREATE UNIQUE INDEX organization_by_label ON organization (right(scope_key, 6));

-- From this position on the chain covers a value's revision too, not only the row that tells of it.
ALTER TABLE seal_state ADD COLUMN covers_from bigint NOT NULL DEFAULT 1,
  -- Of the transaction that horizon names, what is sealed already: a step may end in the middle of a long one.
  ADD COLUMN inside bigint NOT NULL DEFAULT 0;
UPDATE seal_state SET covers_from = position + 1;

-- What was cut off at the beginning, newest last: the chain begins behind the newest.
CREATE TABLE journal_cut (
  position bigint PRIMARY KEY,
  hash bytea NOT NULL,
  checkpoint text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_now()
);
ALTER TABLE journal_cut ENABLE ROW LEVEL SECURITY;
ALTER TABLE journal_cut FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON journal_cut TO tiendo_owner USING (true) WITH CHECK (true);

-- What the chain covers of a row, as before, and of a value's revision: all but its place in the tree, which moves with its unit.
-- (plpgsql, and every name qualified: the sealer calls them for each row.)
CREATE OR REPLACE FUNCTION journal_text(j journal) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN pg_catalog.jsonb_build_array(j.seq, extract(epoch FROM j.at), j.account_id, j.client_id, j.grant_id, j.session_id, j.action,
    j.resource_type, j.resource_id, j.version, j.scope_key, j.programme_id, j.request_id, j.before, j.after)::pg_catalog.text;
END $$;
CREATE FUNCTION revision_text(p_value uuid, p_version bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT pg_catalog.jsonb_build_array(r.value_id, r.version, extract(epoch FROM r.at), r.indicator_id, r.period_id, r.programme_id,
    r.category, r.organization_code, r.period_code, r.state, r.done, r.done_on, r.numerator, r.denominator, r.number, r.note, r.evidence_url,
    r.source, r.reason, r.on_behalf, r.entered_by, r.seat_id, r.account_id, r.client_id, r.grant_id, r.session_id)::pg_catalog.text
  FROM tiendo.value_revision r WHERE r.value_id = p_value AND r.version = p_version);
END $$;
-- What is hashed after the hash before it: the row and, where the chain covers it, the revision behind it.
CREATE FUNCTION sealed_text(j journal, covered boolean) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT covered OR j.resource_type <> 'value' THEN RETURN tiendo.journal_text(j); END IF;
  RETURN tiendo.journal_text(j) || E'\n' || coalesce(tiendo.revision_text(j.resource_id, j.version), '');
END $$;

-- As before (0005), and the seal knows and covers what is said above. Everybody is told where the head is.
CREATE OR REPLACE FUNCTION seal_step(most int DEFAULT 5000, OUT sealed int, OUT head_position bigint, OUT head_hash text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  state seal_state;
  was seal_state;
  horizon xid8 := pg_snapshot_xmin(pg_current_snapshot());
  -- in this order: what commits in between must not look as if it came from another cluster
  highest xid8 := (SELECT max(x.xid) FROM journal x);
  ahead xid8 := pg_snapshot_xmax(pg_current_snapshot());
  j journal;
  rows refcursor;
BEGIN
  sealed := 0;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.seal', 0)) THEN
    SELECT s.position, encode(s.hash, 'hex') INTO head_position, head_hash FROM seal_state s;
    RETURN;
  END IF;
  SELECT * INTO STRICT state FROM seal_state;
  was := state;
  state.moving := state.moving OR state.horizon > ahead OR coalesce(highest >= ahead AND highest > state.foreign_xid, false);
  IF state.moving THEN
    OPEN rows FOR SELECT * FROM journal x WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = x.seq) ORDER BY x.seq LIMIT most;
  ELSE
    OPEN rows FOR SELECT * FROM journal x WHERE (x.xid, x.seq) > (state.horizon, state.inside) AND x.xid < horizon
      AND NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = x.seq) ORDER BY x.xid, x.seq LIMIT most;
  END IF;
  LOOP
    FETCH rows INTO j;
    EXIT WHEN NOT FOUND;
    state.position := state.position + 1;
    state.hash := sha256(state.hash || convert_to(sealed_text(j, state.position >= state.covers_from), 'UTF8'));
    INSERT INTO journal_seal (position, xid, seq, hash, at, action, resource_type, resource_id, version, scope_key, unit, programme_id, account_id, client_id)
    VALUES (state.position, j.xid, j.seq, state.hash, j.at, j.action, j.resource_type, j.resource_id, j.version, j.scope_key,
      right(j.scope_key, 6), j.programme_id, j.account_id, j.client_id);
    sealed := sealed + 1;
    EXIT WHEN sealed = most;
  END LOOP;
  CLOSE rows;
  IF state.moving AND sealed < most THEN
    state.moving := false;
    state.horizon := horizon;
    state.inside := 0;
    state.foreign_xid := coalesce(highest, '0');
  ELSIF NOT state.moving THEN
    state.horizon := CASE WHEN sealed < most THEN horizon ELSE j.xid END;
    state.inside := CASE WHEN sealed < most THEN 0 ELSE j.seq END;
  END IF;
  IF state <> was THEN
    UPDATE seal_state SET horizon = state.horizon, position = state.position, hash = state.hash, moving = state.moving,
      foreign_xid = state.foreign_xid, inside = state.inside;
  END IF;
  head_position := state.position;
  head_hash := encode(state.hash, 'hex');
END $$;

-- ---- who may read it ---------------------------------------------------------------------------------------
-- Where the caller reads the audit trail: an approver its own unit; a manager, an administrator and an inspector their subtree and
-- what ended units left to it; and what a mandate with the function audit adds.
CREATE FUNCTION audit_area() RETURNS keymultirange LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  seat text := me_seat_key();
  area keymultirange;
  k text;
BEGIN
  IF me_permission() IS DISTINCT FROM 'audit:read' OR seat IS NULL THEN RETURN '{}'; END IF;
  IF me_role() = 'approver' THEN
    area := keymultirange(keyrange(seat, seat, '[]'));
  ELSE
    area := keymultirange(subtree(seat));
    FOREACH k IN ARRAY coalesce((SELECT o.heritage FROM organization o WHERE o.id = me_seat()), '{}') LOOP
      area := area + keymultirange(subtree(k));
    END LOOP;
  END IF;
  RETURN area + coalesce(write_scope(), '{}');
END $$;

-- The keys, those of before a move too, of the units that lie in an area today: rows of the journal keep the key they were written
-- with. An area's ranges are subtrees, or single units. The longest old key that a row's key begins with says whose row it is.
CREATE FUNCTION journal_keys(area keymultirange) RETURNS keymultirange LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  keys keymultirange := area;
  f record;
  old text;
BEGIN
  FOR f IN
    SELECT k.former, o.scope_key AS now_key, lower(r) AS top, lower(r) = upper(r) AS single
    FROM organization_former_key k JOIN organization o ON o.id = k.organization_id, unnest(area) r
    WHERE o.scope_key ^@ lower(r) OR lower(r) ^@ o.scope_key OR k.former ^@ lower(r)
    ORDER BY length(k.former), k.former
  LOOP
    IF f.now_key = f.top OR (f.now_key ^@ f.top AND NOT f.single) THEN
      keys := keys + CASE WHEN f.single THEN keymultirange(keyrange(f.former, f.former, '[]')) ELSE keymultirange(subtree(f.former)) END;
    ELSIF f.top ^@ f.now_key THEN
      old := f.former || substr(f.top, length(f.now_key) + 1);
      keys := keys + CASE WHEN f.single THEN keymultirange(keyrange(old, old, '[]')) ELSE keymultirange(subtree(old)) END;
    ELSIF NOT f.now_key <@ area AND f.former <@ keys THEN
      keys := keys - keymultirange(subtree(f.former));
    END IF;
  END LOOP;
  RETURN keys;
END $$;
CREATE FUNCTION journal_seen() RETURNS keymultirange LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN CASE me_permission() WHEN 'audit:read' THEN journal_keys(audit_area()) WHEN 'changes:read' THEN journal_keys(scope()) END;
END $$;
-- What mandates for one programme add, as pairs (programme, keys).
CREATE FUNCTION journal_limited_programmes() RETURNS uuid[] LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN CASE me_permission() WHEN 'audit:read' THEN limited_write_programmes() WHEN 'changes:read' THEN limited_programmes() END;
END $$;
CREATE FUNCTION journal_limited_scopes() RETURNS text[] LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE scopes text[] := CASE me_permission() WHEN 'audit:read' THEN limited_write_scopes() WHEN 'changes:read' THEN limited_scopes() END;
BEGIN
  IF scopes IS NULL THEN RETURN NULL; END IF;
  RETURN ARRAY(SELECT journal_keys(s::keymultirange)::text FROM unnest(scopes) WITH ORDINALITY x(s, n) ORDER BY n);
END $$;
-- Where the caller sees rows about staff: administrators, in their subtree.
CREATE FUNCTION journal_staff() RETURNS keymultirange LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN CASE WHEN me_role() = 'administrator' THEN journal_keys(keymultirange(subtree(me_seat_key()))) ELSE '{}' END;
END $$;
CREATE FUNCTION about_staff(resource_type text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT resource_type IN ('account', 'client', 'grant', 'delegation', 'session', 'client_secret', 'activation') $$;

CREATE POLICY service_read ON journal_seal FOR SELECT TO tiendo_service USING (
  (scope_key <@ (SELECT journal_seen()) OR in_limited(programme_id, scope_key, (SELECT journal_limited_programmes()), (SELECT journal_limited_scopes())))
  AND (NOT about_staff(resource_type) OR scope_key <@ (SELECT journal_staff())));
-- The rows themselves hold images: they are for the audit trail alone.
DROP POLICY service_read ON journal;
CREATE POLICY service_read ON journal FOR SELECT TO tiendo_service USING ((SELECT me_permission()) = 'audit:read'
  AND (scope_key <@ (SELECT journal_seen()) OR in_limited(programme_id, scope_key, (SELECT journal_limited_programmes()), (SELECT journal_limited_scopes())))
  AND (NOT about_staff(resource_type) OR scope_key <@ (SELECT journal_staff())));
GRANT SELECT ON journal TO tiendo_service;
GRANT SELECT (position, xid, seq, hash, at, action, resource_type, resource_id, version, scope_key, unit, programme_id, account_id, client_id)
  ON journal_seal TO tiendo_service;

-- ---- how it reads ------------------------------------------------------------------------------------------
-- The unit a row is about, as it is called today.
CREATE FUNCTION journal_organization(unit text) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT organization_ref(o.id) ->> 'code' FROM organization o WHERE right(o.scope_key, 6) = unit);
END $$;

-- Who made a change, with role and unit; names of staff are part of the audit trail, and of nothing else.
CREATE FUNCTION actor_json(account uuid, client uuid, access uuid) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE seat jsonb := (SELECT jsonb_build_object('role', g.role, 'organization', o.code) || CASE WHEN g.delegated_from IS NULL THEN '{}'
    ELSE jsonb_build_object('delegation', g.id, 'delegated_by', (SELECT jsonb_build_object('id', a.id, 'username', a.username, 'name', a.display_name)
      FROM access_grant x JOIN account a ON a.id = x.account_id WHERE x.id = g.delegated_from)) END
  FROM access_grant g JOIN organization o ON o.id = g.organization_id WHERE g.id = access);
BEGIN
  RETURN CASE WHEN account IS NOT NULL
      THEN (SELECT jsonb_build_object('kind', 'account', 'id', a.id, 'username', a.username, 'name', a.display_name) || coalesce(seat, '{}') FROM account a WHERE a.id = account)
    WHEN client IS NOT NULL
      THEN (SELECT jsonb_build_object('kind', 'client', 'id', c.id, 'name', c.name) || coalesce(seat, '{}') FROM client c WHERE c.id = client)
    ELSE jsonb_build_object('kind', 'system') END;
END $$;
-- Of a row of the journal that the caller may read in the audit trail.
CREATE FUNCTION journal_actor(p_position bigint) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF me_permission() IS DISTINCT FROM 'audit:read' THEN RETURN NULL; END IF;
  RETURN (SELECT actor_json(j.account_id, j.client_id, j.grant_id) FROM journal_seal s JOIN journal j ON j.xid = s.xid AND j.seq = s.seq
    WHERE s.position = p_position
      AND (s.scope_key <@ (SELECT journal_seen()) OR in_limited(s.programme_id, s.scope_key, (SELECT journal_limited_programmes()), (SELECT journal_limited_scopes())))
      AND (NOT about_staff(s.resource_type) OR s.scope_key <@ (SELECT journal_staff())));
END $$;
-- Of a revision of a value that the caller may read the history of.
CREATE FUNCTION revision_actor(p_value uuid, p_version bigint) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT actor_json(r.account_id, r.client_id, r.grant_id) FROM value_revision r WHERE r.value_id = p_value AND r.version = p_version
    AND (r.scope_key <@ audit_area() OR (me_permission() = 'audit:read' AND in_limited(r.programme_id, r.scope_key, limited_write_programmes(), limited_write_scopes()))));
END $$;
CREATE FUNCTION journal_by(actor jsonb) RETURNS text LANGUAGE sql IMMUTABLE
  AS $$ SELECT CASE actor ->> 'kind' WHEN 'account' THEN actor ->> 'username' WHEN 'client' THEN actor ->> 'name' ELSE actor ->> 'kind' END $$;

-- A resource as a caller names it: value:DN-06/DN-26041/2026-Q1, organization:DN-26041, grant:<id>.
CREATE FUNCTION journal_reference(kind text, id uuid, version bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE told text;
BEGIN
  CASE kind
    WHEN 'value' THEN SELECT concat_ws('/', i.code, r.organization_code, r.period_code, nullif(r.category, '')) INTO told
      FROM value_revision r LEFT JOIN indicator i ON i.id = r.indicator_id WHERE r.value_id = $2 AND r.version = $3;
    WHEN 'organization' THEN SELECT o.code INTO told FROM organization o WHERE o.id = $2;
    WHEN 'programme' THEN SELECT p.code INTO told FROM programme p WHERE p.id = $2;
    WHEN 'indicator' THEN SELECT i.code INTO told FROM indicator i WHERE i.id = $2;
    WHEN 'account' THEN SELECT a.username INTO told FROM account a WHERE a.id = $2;
    ELSE told := NULL;
  END CASE;
  RETURN kind || ':' || coalesce(told, id::text);
END $$;

-- A revision as an image: what was reported, and what was said of it.
CREATE FUNCTION revision_image(value_id uuid, version bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('state', r.state, 'numerator', r.numerator, 'denominator', r.denominator, 'number', r.number, 'done', r.done,
      'done_on', r.done_on, 'note', r.note, 'evidence_url', r.evidence_url, 'source', r.source, 'on_behalf', r.on_behalf, 'entered_by', r.entered_by)
    FROM value_revision r WHERE r.value_id = $1 AND r.version = $2 AND r.state <> 'deleted');
END $$;

CREATE VIEW audit_event WITH (security_invoker = true) AS
SELECT s.position, s.at, s.action, s.resource_type, s.resource_id, s.version, s.unit, s.scope_key, s.account_id, s.client_id, s.xid, s.seq,
  j.request_id, coalesce(r.on_behalf, false) AS on_behalf, r.reason, j.before, j.after, a.actor
FROM journal_seal s JOIN journal j ON j.xid = s.xid AND j.seq = s.seq
  LEFT JOIN value_revision r ON s.resource_type = 'value' AND r.value_id = s.resource_id AND r.version = s.version
  -- once a row, though two columns tell of it
  CROSS JOIN LATERAL (SELECT journal_actor(s.position) AS actor OFFSET 0) a;
GRANT SELECT ON audit_event TO tiendo_service;

-- The images of a change: those of its row, and of a value its revisions.
CREATE FUNCTION audit_before(e audit_event) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE e.resource_type WHEN 'value' THEN revision_image(e.resource_id, e.version - 1) ELSE e.before END;
END $$;
CREATE FUNCTION audit_after(e audit_event) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE e.resource_type WHEN 'value' THEN revision_image(e.resource_id, e.version) ELSE e.after END;
END $$;

-- The ids that the value of an indicator, unit, period and category has had: a new one each time it was withdrawn and entered anew.
CREATE FUNCTION value_ids(i_ref text, o_ref text, p_ref text, p_category text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  i uuid := indicator_id(i_ref);
  key text := key_of(o_ref);
  p uuid := period_id(p_ref);
BEGIN
  RETURN ARRAY(SELECT v.id FROM value v WHERE v.indicator_id = i AND v.scope_key = key AND v.period_id = p AND v.category = coalesce(p_category, '')
    UNION SELECT r.value_id FROM value_revision r WHERE r.indicator_id = i AND r.scope_key = key AND r.period_id = p
      AND r.category = coalesce(p_category, '') AND r.state = 'deleted');
END $$;

-- The ids of what a filter names: kind:reference, or an id.
CREATE FUNCTION filter_resource(ref text, parameter text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  kind text := split_part(ref, ':', 1);
  named text := substr(ref, length(split_part(ref, ':', 1)) + 2);
  part text[] := string_to_array(substr(ref, length(split_part(ref, ':', 1)) + 2), '/');
  found uuid[];
BEGIN
  IF is_uuid(ref) THEN RETURN ARRAY[ref::uuid]; END IF;
  CASE kind
    WHEN 'value' THEN
      IF cardinality(part) IN (3, 4) THEN found := value_ids(part[1], part[2], part[3], part[4]); END IF;
    WHEN 'organization' THEN found := ARRAY(SELECT o.id FROM organization o WHERE o.id = organization_id(named));
    WHEN 'programme' THEN found := ARRAY(SELECT p.id FROM programme p WHERE p.code = named OR p.id::text = lower(named));
    WHEN 'indicator' THEN found := ARRAY(SELECT i.id FROM indicator i WHERE i.id = indicator_id(named));
    WHEN 'account' THEN found := ARRAY(SELECT a.id FROM account a WHERE lower(named) IN (a.username, a.id::text));
    ELSE found := CASE WHEN is_uuid(named) THEN ARRAY[named::uuid] END;
  END CASE;
  found := array_remove(found, NULL);
  IF coalesce(cardinality(found), 0) = 0 THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such resource, or not visible'));
  END IF;
  RETURN found;
END $$;
CREATE FUNCTION filter_unit(ref text, parameter text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN right(filter_key(ref, parameter), 6);
END $$;
-- Rows of what lies below a unit today, by the keys they were written with.
CREATE FUNCTION filter_below(ref text, parameter text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN journal_keys(keymultirange(subtree(filter_key(ref, parameter))))::text;
END $$;
-- An account whose change the caller has before it: by id, or by username where the caller may see accounts.
CREATE FUNCTION filter_account(ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE found_id uuid := CASE WHEN is_uuid(ref) THEN ref::uuid ELSE (SELECT a.id FROM account a WHERE a.username = lower(ref)) END;
BEGIN
  IF found_id IS NULL THEN PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such account, or not visible')); END IF;
  RETURN found_id;
END $$;

-- What a request filters by, its references looked up.
CREATE FUNCTION audit_filter(asked jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE f jsonb := jsonb_strip_nulls(asked);
BEGIN
  IF f ? 'resource' THEN f := f || jsonb_build_object('resource', filter_resource(f ->> 'resource', 'resource')::text); END IF;
  IF f ? 'organization' THEN f := f || jsonb_build_object('unit', filter_unit(f ->> 'organization', 'organization')); END IF;
  IF f ? 'account' THEN f := f || jsonb_build_object('account', filter_account(f ->> 'account', 'account')); END IF;
  IF f ? 'under' THEN
    f := f || jsonb_build_object('below', filter_below(f ->> 'under', 'under'), 'under', keymultirange(subtree(filter_key(f ->> 'under', 'under'))));
  END IF;
  RETURN f;
END $$;

-- Why the caller sees a value and not its history.
CREATE FUNCTION history_refusal() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE me_role() WHEN 'approver' THEN 'Approvers read the history of their own unit''s values alone.'
    ELSE 'The mandate of your unit lets it read the value, not its history: that takes the function audit.' END $$;
-- The values whose history a path asks for, withdrawn or not; none is 404, a value that is seen without it 403.
CREATE FUNCTION path_value_history(i_ref text, o_ref text, p_ref text, p_category text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  found uuid[] := value_ids(i_ref, o_ref, p_ref, p_category);
BEGIN
  found := ARRAY(SELECT DISTINCT r.value_id FROM value_revision r WHERE r.value_id = ANY (found)
    AND (r.scope_key <@ audit_area() OR in_limited(r.programme_id, r.scope_key, limited_write_programmes(), limited_write_scopes())));
  IF cardinality(found) > 0 THEN RETURN found; END IF;
  IF EXISTS (SELECT FROM value v WHERE v.id = ANY (value_ids(i_ref, o_ref, p_ref, p_category))) THEN
    PERFORM fail(403, 'forbidden', NULL, history_refusal());
  END IF;
  PERFORM fail(404, 'not_found');
END $$;

-- ---- finding rows ------------------------------------------------------------------------------------------
-- Labels of the units the caller's rows may be about; NULL when they are many.
CREATE FUNCTION journal_units(below keymultirange, most int) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE units text[];
BEGIN
  SELECT array_agg(right(x.scope_key, 6)) INTO units FROM (
    SELECT o.scope_key FROM organization o WHERE below IS NULL OR o.scope_key <@ below
    UNION ALL SELECT r.scope_key FROM organization_removed r WHERE below IS NULL OR r.scope_key <@ below LIMIT most + 1) x;
  RETURN CASE WHEN cardinality(units) > most THEN NULL ELSE coalesce(units, '{}') END;
END $$;

-- Positions that answer a filter, in the order asked for, beginning behind p_from; until: how far was looked, NULL when to the end. What
-- names a resource, a unit or an actor, and a caller with few units, goes by an index; else at most p_window rows are looked at.
CREATE FUNCTION journal_find(p_filter jsonb, p_from bigint, p_down boolean, p_most int, p_window bigint, OUT positions bigint[], OUT until bigint)
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  below keymultirange := (p_filter ->> 'below')::keymultirange;
  units text[];
  low bigint := coalesce((p_filter ->> 'position_gte')::bigint, 0);
  high bigint := coalesce((p_filter ->> 'position_lt')::bigint, 9223372036854775807);
  bounds text := ' AND s.position >= $2 AND s.position < $3';
  condition text := '';
  found text;
  direction text := CASE WHEN p_down THEN ' DESC' ELSE '' END;
  head bigint;
BEGIN
  SELECT h.head_position INTO head FROM seal_head() h;
  high := least(high, head + 1, CASE WHEN p_down THEN p_from END);
  low := greatest(low, CASE WHEN NOT p_down THEN p_from + 1 END);
  IF p_filter ? 'action' THEN condition := condition || ' AND s.action = $1 ->> ''action'''; END IF;
  IF p_filter ? 'resource_type' THEN condition := condition || ' AND s.resource_type = $1 ->> ''resource_type'''; END IF;
  IF p_filter ? 'account' THEN condition := condition || ' AND s.account_id = ($1 ->> ''account'')::uuid'; END IF;
  IF p_filter ? 'client' THEN condition := condition || ' AND s.client_id = ($1 ->> ''client'')::uuid'; END IF;
  IF p_filter ? 'unit' THEN condition := condition || ' AND s.unit = $1 ->> ''unit'''; END IF;
  IF p_filter ? 'below' THEN condition := condition || ' AND s.scope_key <@ ($1 ->> ''below'')::tiendo.keymultirange'; END IF;
  IF p_filter ? 'at_gte' THEN condition := condition || ' AND s.at >= ($1 ->> ''at_gte'')::timestamptz'; END IF;
  IF p_filter ? 'at_lt' THEN condition := condition || ' AND s.at < ($1 ->> ''at_lt'')::timestamptz'; END IF;
  IF p_filter ? 'resource' THEN
    found := 'SELECT s.position FROM tiendo.journal_seal s WHERE s.resource_id = ANY (($1 ->> ''resource'')::uuid[])' || bounds || condition;
  ELSIF p_filter ?| ARRAY['unit', 'account', 'client'] THEN
    found := 'SELECT s.position FROM tiendo.journal_seal s WHERE true' || bounds || condition;
  ELSE
    IF high - low > p_window THEN
      units := journal_units(CASE WHEN p_filter ? 'under' THEN (p_filter ->> 'under')::keymultirange END, 500);
    END IF;
    IF units IS NOT NULL THEN
      found := format('SELECT x.position FROM unnest($5) u(label), LATERAL (SELECT s.position FROM tiendo.journal_seal s WHERE s.unit = u.label%s%s
        ORDER BY s.position%s LIMIT $4) x', bounds, condition, direction);
    ELSE
      IF p_down AND high - p_window > low THEN
        low := high - p_window;
        until := low;
      ELSIF NOT p_down AND low + p_window < high THEN
        high := low + p_window;
        until := high - 1;
      END IF;
      found := 'SELECT s.position FROM tiendo.journal_seal s WHERE true' || bounds || condition;
    END IF;
  END IF;
  EXECUTE format('SELECT array_agg(y.position ORDER BY y.position%s) FROM (SELECT position FROM (%s) z ORDER BY position%s LIMIT $4) y', direction, found, direction)
    INTO positions USING p_filter, low, high, p_most, units;
  positions := coalesce(positions, '{}');
END $$;

-- A page of the audit trail: item, position, position; the last row has no item and says how far was looked, where not to the end.
-- The item is that of query audit_event_list, which exports.
CREATE FUNCTION audit_item(e audit_event, with_before boolean, with_after boolean) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  item text := (SELECT row_to_json(r)::text FROM (SELECT e.position, tstz(e.at) AS at, e.action, e.resource_type, e.resource_id,
    journal_reference(e.resource_type, e.resource_id, e.version) AS resource, e.version, journal_organization(e.unit) AS organization,
    e.on_behalf, e.reason, journal_by(e.actor) AS by, e.actor, e.request_id) r);
BEGIN
  IF with_before THEN item := left(item, -1) || ',"before":' || coalesce(audit_before(e)::text, 'null') || '}'; END IF;
  IF with_after THEN item := left(item, -1) || ',"after":' || coalesce(audit_after(e)::text, 'null') || '}'; END IF;
  RETURN item;
END $$;
CREATE FUNCTION audit_page(p_filter jsonb, p_from bigint, p_down boolean, p_most int, p_embed text[])
  RETURNS TABLE (item text, place text, id text) LANGUAGE plpgsql STABLE AS $$
DECLARE
  found bigint[];
  until bigint;
BEGIN
  SELECT f.positions, f.until INTO found, until FROM journal_find(audit_filter(p_filter), p_from, p_down, p_most, 100000) f;
  RETURN QUERY SELECT audit_item(e, 'before' = ANY (p_embed), 'after' = ANY (p_embed)), e.position::text, e.position::text
    FROM unnest(found) WITH ORDINALITY x(p, n) JOIN audit_event e ON e.position = x.p ORDER BY x.n;
  RETURN QUERY SELECT NULL::text, CASE WHEN cardinality(found) < p_most THEN until END::text, NULL::text;
END $$;

-- ---- the beginning is cut ----------------------------------------------------------------------------------
-- Where the chain begins: behind the newest cut.
CREATE FUNCTION journal_start(OUT start_position bigint, OUT start_hash text) LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT c.position, encode(c.hash, 'hex') INTO start_position, start_hash FROM journal_cut c ORDER BY c.position DESC LIMIT 1;
  start_position := coalesce(start_position, 0);
  start_hash := coalesce(start_hash, encode(sha256('tiendo journal'), 'hex'));
END $$;

-- Records a cut at a position whose signed checkpoint the caller holds; nothing younger than so many days (30 at least) is ever
-- cut off. True when it is recorded, or was. The journal tells of it at every root, by nobody: the service itself.
CREATE FUNCTION journal_cut_at(p_position bigint, p_hash text, p_checkpoint text, p_days int) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE newest journal_cut;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.cut', 0)) THEN RETURN false; END IF;
  SELECT * INTO newest FROM journal_cut ORDER BY position DESC LIMIT 1;
  IF newest.position >= p_position THEN RETURN true; END IF;
  IF NOT EXISTS (SELECT FROM journal_seal s WHERE s.position = p_position AND encode(s.hash, 'hex') = p_hash)
      OR EXISTS (SELECT FROM journal_seal s WHERE s.position <= p_position AND s.position > p_position - 1000
        AND s.at >= clock_now() - make_interval(days => greatest(p_days, 30))) THEN
    RETURN false;
  END IF;
  INSERT INTO journal_cut (position, hash, checkpoint) VALUES (p_position, decode(p_hash, 'hex'), p_checkpoint);
  INSERT INTO journal (action, resource_type, resource_id, version, scope_key, after)
  SELECT 'cut', 'journal', o.id, p_position, o.scope_key, jsonb_build_object('position', p_position, 'hash', p_hash, 'checkpoint', p_checkpoint)
  FROM organization o WHERE o.root_id = o.id;
  RETURN true;
END $$;
-- Takes away up to so many rows before the newest cut, with their seals; how many.
CREATE FUNCTION journal_cut_step(most int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  start bigint := (SELECT start_position FROM journal_start());
  taken int;
BEGIN
  IF start = 0 OR NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.cut', 0)) THEN RETURN 0; END IF;
  WITH gone AS (
    DELETE FROM journal_seal WHERE position IN (SELECT s.position FROM journal_seal s WHERE s.position <= start ORDER BY s.position LIMIT most)
    RETURNING xid, seq
  ), rows AS (DELETE FROM journal j USING gone g WHERE j.xid = g.xid AND j.seq = g.seq RETURNING 1)
  SELECT count(*) INTO taken FROM gone;
  RETURN taken;
END $$;

GRANT EXECUTE ON FUNCTION audit_area(), journal_keys(keymultirange), journal_seen(), journal_limited_programmes(), journal_limited_scopes(),
  journal_staff(), about_staff(text), journal_organization(text), journal_actor(bigint), revision_actor(uuid, bigint), history_refusal(), path_value_history(text, text, text, text), value_ids(text, text, text, text), journal_by(jsonb), journal_reference(text, uuid, bigint),
  revision_image(uuid, bigint), audit_before(audit_event), audit_after(audit_event), filter_resource(text, text), filter_unit(text, text),
  filter_below(text, text), filter_account(text, text), journal_units(keymultirange, int), audit_filter(jsonb),
  journal_find(jsonb, bigint, boolean, int, bigint), audit_item(audit_event, boolean, boolean), audit_page(jsonb, bigint, boolean, int, text[]),
  journal_start(), journal_cut_at(bigint, text, text, int), journal_cut_step(int) TO tiendo_service;
