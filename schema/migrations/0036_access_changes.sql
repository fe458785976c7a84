-- Taking access back: grants, mandates and clients that change and end, secrets that overlap, and delegations. What has ended
-- stays readable, with who ended it and in whose name.
SET search_path = tiendo, public;

-- ---- who ended it ------------------------------------------------------------------------------------------
ALTER TABLE access_grant ADD COLUMN revoked_by uuid REFERENCES account (id), ADD COLUMN revoked_seat uuid REFERENCES organization (id);
ALTER TABLE mandate ADD COLUMN ended_at timestamptz, ADD COLUMN ended_by uuid REFERENCES account (id),
  ADD COLUMN ended_seat uuid REFERENCES organization (id);
-- One that is ended on its first day has held on no whole day: it ends the day before.
ALTER TABLE mandate DROP CONSTRAINT mandate_validity;
ALTER TABLE mandate ADD CONSTRAINT mandate_validity CHECK (valid_to >= valid_from OR (ended_at IS NOT NULL AND valid_to = valid_from - 1));
COMMENT ON CONSTRAINT mandate_validity ON mandate IS '422 ends_before_start #/valid_to';

-- The account is named to those who see it, the unit to those who see it or sit below it.
CREATE FUNCTION ender_json(account uuid, seat uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF account IS NULL AND seat IS NULL THEN RETURN NULL; END IF;
  RETURN jsonb_build_object('account', (SELECT a.username FROM account a WHERE a.id = ender_json.account), 'organization', organization_ref(seat));
END $$;
-- Whether an If-Match names the version; none at all is 428, another 412.
CREATE FUNCTION check_version(version bigint, if_match text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  IF if_match <> '*' AND version::text <> ALL (string_to_array(if_match, ',')) THEN PERFORM fail(412, 'version_conflict'); END IF;
END $$;

-- ---- grants ------------------------------------------------------------------------------------------------
-- Equal grants whose days overlap become one: the oldest takes all their days, the others end.
DO $do$
DECLARE twin record;
BEGIN
  LOOP
    SELECT a.id AS kept, b.id AS other, least(a.valid_from, b.valid_from) AS starts,
        CASE WHEN a.valid_to IS NOT NULL AND b.valid_to IS NOT NULL THEN greatest(a.valid_to, b.valid_to) END AS ends INTO twin
    FROM access_grant a JOIN access_grant b ON b.id > a.id AND b.role = a.role AND b.organization_id = a.organization_id
      AND coalesce(b.account_id, b.client_id) = coalesce(a.account_id, a.client_id)
      AND daterange(a.valid_from, a.valid_to, '[]') && daterange(b.valid_from, b.valid_to, '[]')
    WHERE a.revoked_at IS NULL AND b.revoked_at IS NULL AND a.delegated_from IS NULL AND b.delegated_from IS NULL
    ORDER BY a.id, b.id LIMIT 1;
    EXIT WHEN NOT FOUND;
    UPDATE access_grant SET revoked_at = clock_now(), version = version + 1 WHERE id = twin.other;
    UPDATE access_grant SET valid_from = twin.starts, valid_to = twin.ends, version = version + 1 WHERE id = twin.kept;
  END LOOP;
END $do$;
ALTER TABLE access_grant ADD CONSTRAINT access_grant_overlap EXCLUDE USING gist (coalesce(account_id, client_id) WITH =,
  organization_id WITH =, role WITH =, coalesce(delegated_from, '00000000-0000-0000-0000-000000000000') WITH =,
  daterange(valid_from, valid_to, '[]') WITH &&) WHERE (revoked_at IS NULL);
COMMENT ON CONSTRAINT access_grant_overlap ON access_grant IS '409 already_granted #/valid_from';

CREATE INDEX access_grant_given ON access_grant (granted_by) WHERE delegated_from IS NOT NULL;

-- Whether it holds today: a delegation only while the grant and the account it comes from do, and reach its unit.
CREATE OR REPLACE FUNCTION grant_holds(g access_grant) RETURNS boolean LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT g.revoked_at IS NULL AND g.valid_from <= today() AND (g.valid_to IS NULL OR g.valid_to >= today())
    AND (g.delegated_from IS NULL OR EXISTS (SELECT FROM access_grant x JOIN account a ON a.id = x.account_id
      WHERE x.id = g.delegated_from AND a.status = 'active' AND x.revoked_at IS NULL AND x.valid_from <= today()
        AND (x.valid_to IS NULL OR x.valid_to >= today()) AND g.scope_key ^@ x.scope_key)) $$;
-- The same for a list's rows.
CREATE FUNCTION grant_in_force(p_grant uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT grant_holds(g) FROM access_grant g WHERE g.id = p_grant);
END $$;

-- The account whose role the caller acts under by delegation, or NULL.
CREATE FUNCTION me_giver() RETURNS uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT x.account_id FROM access_grant g JOIN access_grant x ON x.id = g.delegated_from WHERE g.id = me_grant());
END $$;
-- Nobody decides about grants of their own account, nor of the one that delegated the right to decide.
CREATE FUNCTION ones_own(account uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(account = me_account() OR account = me_giver(), false);
END $$;

DROP POLICY service_insert ON access_grant;
CREATE POLICY service_insert ON access_grant FOR INSERT TO tiendo_service
  WITH CHECK ((SELECT me_permission()) IN ('grants:write', 'accounts:write', 'clients:write')
    AND scope_key <@ (SELECT write_scope()) AND NOT ones_own(account_id) AND delegated_from IS NULL
    AND granted_by IS NOT DISTINCT FROM (SELECT me_account()) AND revoked_at IS NULL);
CREATE POLICY service_update ON access_grant FOR UPDATE TO tiendo_service
  USING (((SELECT me_permission()) = 'grants:write' OR ((SELECT me_permission()) = 'clients:write' AND client_id IS NOT NULL))
    AND scope_key <@ (SELECT write_scope()) AND NOT ones_own(account_id) AND revoked_at IS NULL)
  WITH CHECK (scope_key <@ (SELECT write_scope()) AND NOT ones_own(account_id)
    AND (revoked_at IS NULL OR (revoked_by = (SELECT me_account()) AND revoked_seat = (SELECT me_seat()))));
GRANT UPDATE (valid_to, revoked_at, revoked_by, revoked_seat, version) ON access_grant TO tiendo_service;
-- Delegations are seen by both sides too, wherever the unit is, but only where delegations are what is asked for.
CREATE POLICY service_delegations ON access_grant FOR SELECT TO tiendo_service
  USING ((SELECT me_permission()) IN ('delegations:read', 'delegations:write') AND delegated_from IS NOT NULL
    AND (account_id = (SELECT me_account()) OR granted_by = (SELECT me_account())));
DROP POLICY administrators_only ON access_grant;
CREATE POLICY administrators_only ON access_grant AS RESTRICTIVE FOR SELECT TO tiendo_service
  USING (((SELECT me_role()) = 'administrator' AND scope_key >= (SELECT me_seat_key()) AND scope_key < (SELECT me_seat_key()) || '~')
    OR ((SELECT me_permission()) IN ('delegations:read', 'delegations:write') AND delegated_from IS NOT NULL
      AND (account_id = (SELECT me_account()) OR granted_by = (SELECT me_account()))));

CREATE OR REPLACE FUNCTION grant_json(g access_grant) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (
    SELECT g.id, (SELECT a.username FROM account a WHERE a.id = g.account_id) AS account, g.client_id AS client,
      organization_ref(g.organization_id) AS organization, g.role, g.valid_from, g.valid_to, g.delegated_from,
      tstz(g.revoked_at) AS revoked_at, ender_json(g.revoked_by, g.revoked_seat) AS revoked_by,
      g.version, tstz(g.created_at) AS created_at) r);
END $$;

-- Gives a seat to an account or client of the subtree; prefix is where the request's faults point.
CREATE OR REPLACE FUNCTION grant_give(grant_id uuid, holder_account uuid, holder_client uuid, body jsonb, prefix text, request_id text)
  RETURNS access_grant LANGUAGE plpgsql AS $$
DECLARE
  g access_grant;
  unit organization;
  given_role text := coalesce(body ->> 'role', 'connector');
  starts date;
BEGIN
  SELECT * INTO unit FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'organization'));
  starts := coalesce((body ->> 'valid_from')::date, greatest(today(), unit.valid_from)); -- (in a unit to come from its first day on)
  PERFORM refuse(
    CASE WHEN unit.id IS NULL THEN fault(prefix || '/organization', 'unknown_reference', 'no such organization') END,
    CASE WHEN given_role = 'connector' AND holder_client IS NULL
        THEN fault(prefix || '/role', 'invalid_role', 'connector is the role of clients: an account takes another')
      WHEN given_role <> 'connector' AND holder_client IS NOT NULL
        THEN fault(prefix || '/role', 'invalid_role', 'a client takes the role connector alone') END,
    CASE WHEN (body ->> 'valid_to')::date < starts THEN fault(prefix || '/valid_to', 'ends_before_start', 'it would end before it starts') END);
  IF NOT unit.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, format('Grants in %s are given by its administrators or by those of a unit above it.', unit.code));
  END IF;
  IF ones_own(holder_account) THEN
    PERFORM fail(403, 'forbidden', NULL, CASE WHEN holder_account = me_account() THEN 'Nobody grants to their own account.'
      ELSE 'Nobody grants to the account whose role is delegated to them.' END);
  END IF;
  INSERT INTO access_grant (id, account_id, client_id, organization_id, role, valid_from, valid_to, granted_by)
  VALUES (grant_id, holder_account, holder_client, unit.id, given_role, starts, (body ->> 'valid_to')::date, me_account())
  RETURNING * INTO g;
  PERFORM journal('create', 'grant', g.id, g.version, g.scope_key, NULL, grant_json(g), request_id);
  RETURN g;
END $$;

-- The grant a path names and the caller may change: 404, 403.
CREATE FUNCTION grant_to_change(ref uuid) RETURNS access_grant LANGUAGE plpgsql STABLE AS $$
DECLARE g access_grant;
BEGIN
  SELECT * INTO g FROM access_grant x WHERE x.id = ref;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT g.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, 'A grant is changed by the administrators of its unit or of a unit above it.');
  END IF;
  IF ones_own(g.account_id) THEN
    PERFORM fail(403, 'forbidden', NULL, CASE WHEN g.account_id = me_account() THEN 'Nobody changes grants of their own account.'
      ELSE 'Nobody changes grants of the account whose role is delegated to them.' END);
  END IF;
  RETURN g;
END $$;

CREATE FUNCTION grant_update(ref uuid, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  g access_grant := grant_to_change(ref);
  was jsonb := grant_json(g);
BEGIN
  PERFORM check_version(g.version, if_match);
  IF g.revoked_at IS NOT NULL THEN PERFORM fail(409, 'already_ended', NULL, 'The grant has ended; give a new one.'); END IF;
  IF g.delegated_from IS NOT NULL THEN
    PERFORM fail(409, 'already_ended', NULL, 'A delegation keeps its days: it is ended, and given anew by its giver.');
  END IF;
  PERFORM refuse(CASE WHEN (patch ->> 'valid_to')::date < g.valid_from THEN
    fault('#/valid_to', 'ends_before_start', 'it would end before it starts') END);
  UPDATE access_grant x SET valid_to = CASE WHEN patch ? 'valid_to' THEN (patch ->> 'valid_to')::date ELSE x.valid_to END,
    version = x.version + 1
  WHERE x.id = g.id AND x.version = g.version RETURNING * INTO g;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('update', 'grant', g.id, g.version, g.scope_key, was, grant_json(g), request_id);
  RETURN QUERY SELECT 200, g.version::text, NULL::text, grant_json(g)::text;
END $$;

-- Ends a grant at once. One that has ended stays as it is.
CREATE FUNCTION grant_end(ref uuid, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  g access_grant := grant_to_change(ref);
  was jsonb := grant_json(g);
BEGIN
  PERFORM check_version(g.version, if_match);
  IF g.revoked_at IS NOT NULL THEN RETURN; END IF;
  PERFORM set_config('tiendo.request', request_id, true);
  UPDATE access_grant x SET revoked_at = clock_now(), revoked_by = me_account(), revoked_seat = me_seat(), version = x.version + 1
  WHERE x.id = g.id AND x.version = g.version RETURNING * INTO g;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('end', CASE WHEN g.delegated_from IS NULL THEN 'grant' ELSE 'delegation' END, g.id, g.version, g.scope_key, was,
    grant_json(g), request_id);
END $$;

-- With a grant end its sessions, and the delegations made from it.
CREATE FUNCTION access_grant_ended() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE d access_grant;
BEGIN
  UPDATE session s SET revoked_at = clock_now(), revoked_reason = 'grant ended' WHERE s.grant_id = new.id AND s.revoked_at IS NULL;
  FOR d IN UPDATE access_grant x SET revoked_at = new.revoked_at, revoked_by = new.revoked_by, revoked_seat = new.revoked_seat,
      version = x.version + 1 WHERE x.delegated_from = new.id AND x.revoked_at IS NULL RETURNING * LOOP
    PERFORM journal('end', 'delegation', d.id, d.version, d.scope_key, NULL, grant_json(d),
      nullif(current_setting('tiendo.request', true), ''));
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER access_grant_ended AFTER UPDATE OF revoked_at ON access_grant FOR EACH ROW
  WHEN (old.revoked_at IS NULL AND new.revoked_at IS NOT NULL) EXECUTE FUNCTION access_grant_ended();

-- A root's last administrator keeps the grant, and its days.
CREATE FUNCTION access_grant_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM keep_an_administrator(old.account_id, old.id, old.valid_to);
  RETURN new;
END $$;
CREATE TRIGGER access_grant_kept BEFORE UPDATE OF revoked_at, valid_to ON access_grant FOR EACH ROW
  WHEN (old.role = 'administrator' AND old.delegated_from IS NULL AND old.revoked_at IS NULL AND (new.revoked_at IS NOT NULL
    OR coalesce(new.valid_to, 'infinity') < coalesce(old.valid_to, 'infinity'))) EXECUTE FUNCTION access_grant_kept();

-- ---- mandates ----------------------------------------------------------------------------------------------
CREATE POLICY service_update ON mandate FOR UPDATE TO tiendo_service
  USING ((SELECT me_permission()) = 'mandates:write' AND scope_key <@ (SELECT write_scope()) AND ended_at IS NULL)
  WITH CHECK (scope_key <@ (SELECT write_scope())
    AND (ended_at IS NULL OR (ended_by = (SELECT me_account()) AND ended_seat = (SELECT me_seat()))));
GRANT UPDATE (functions, document, valid_to, ended_at, ended_by, ended_seat, version) ON mandate TO tiendo_service;

CREATE OR REPLACE FUNCTION mandate_json(m mandate) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT m.id, organization_ref(m.giver_id) AS giver, organization_ref(m.unit_id) AS unit, m.unit_kind,
      organization_ref(m.over_id) AS over, m.over_parent, m.functions,
      (SELECT p.code FROM programme p WHERE p.id = m.programme_id) AS programme, m.document, m.valid_from,
      CASE WHEN m.valid_to < m.valid_from THEN m.valid_from ELSE m.valid_to END AS valid_to,
      tstz(m.ended_at) AS ended_at, ender_json(m.ended_by, m.ended_seat) AS ended_by, m.version,
      tstz(m.created_at) AS created_at) r);
END $$;

CREATE FUNCTION mandate_to_change(ref uuid) RETURNS mandate LANGUAGE plpgsql STABLE AS $$
DECLARE m mandate;
BEGIN
  SELECT * INTO m FROM mandate x WHERE x.id = ref;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT m.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, format('The mandate is changed by the administrators of %s, which gave it.',
      organization_ref(m.giver_id) ->> 'code'));
  END IF;
  RETURN m;
END $$;

CREATE FUNCTION mandate_update(ref uuid, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  m mandate := mandate_to_change(ref);
  was jsonb := mandate_json(m)::jsonb;
BEGIN
  PERFORM check_version(m.version, if_match);
  IF m.ended_at IS NOT NULL THEN PERFORM fail(409, 'already_ended', NULL, 'The mandate has ended; give a new one.'); END IF;
  PERFORM refuse(CASE WHEN (patch ->> 'valid_to')::date < m.valid_from THEN
    fault('#/valid_to', 'ends_before_start', 'it would end before it starts') END);
  UPDATE mandate x SET valid_to = CASE WHEN patch ? 'valid_to' THEN (patch ->> 'valid_to')::date ELSE x.valid_to END,
    document = CASE WHEN patch ? 'document' THEN patch ->> 'document' ELSE x.document END,
    functions = CASE WHEN patch ? 'functions' THEN ARRAY(SELECT DISTINCT jsonb_array_elements_text(patch -> 'functions')) ELSE x.functions END,
    version = x.version + 1
  WHERE x.id = m.id AND x.version = m.version RETURNING * INTO m;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  body_out := mandate_json(m);
  PERFORM journal('update', 'mandate', m.id, m.version, m.scope_key, was, body_out::jsonb, request_id, m.programme_id);
  RETURN QUERY SELECT 200, m.version::text, NULL::text, body_out;
END $$;

-- Ends a mandate at once: yesterday is the last day on which it held to the end.
CREATE FUNCTION mandate_end(ref uuid, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  m mandate := mandate_to_change(ref);
  was jsonb := mandate_json(m)::jsonb;
BEGIN
  PERFORM check_version(m.version, if_match);
  IF m.ended_at IS NOT NULL OR m.valid_to < today() THEN RETURN; END IF;
  UPDATE mandate x SET valid_to = greatest(today() - 1, x.valid_from - 1), ended_at = clock_now(), ended_by = me_account(),
    ended_seat = me_seat(), version = x.version + 1
  WHERE x.id = m.id AND x.version = m.version RETURNING * INTO m;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('end', 'mandate', m.id, m.version, m.scope_key, was, mandate_json(m)::jsonb, request_id, m.programme_id);
END $$;

-- ---- clients and their secrets -----------------------------------------------------------------------------
ALTER TABLE client DROP CONSTRAINT client_status_check;
ALTER TABLE client ADD CONSTRAINT client_status_check CHECK (status IN ('active', 'suspended', 'closed'));
CREATE TABLE client_secret (
  id uuid PRIMARY KEY,
  client_id uuid NOT NULL REFERENCES client (id),
  secret_hash bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  created_by uuid REFERENCES account (id),
  expires_at timestamptz,
  last_used_on date
);
CREATE INDEX client_secret_client ON client_secret (client_id, id);
ALTER TABLE client_secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_secret FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON client_secret TO tiendo_owner USING (true) WITH CHECK (true);
-- Seen and kept where its client is.
CREATE POLICY service_read ON client_secret FOR SELECT TO tiendo_service USING (EXISTS (SELECT FROM client c WHERE c.id = client_id));
CREATE POLICY service_insert ON client_secret FOR INSERT TO tiendo_service WITH CHECK ((SELECT me_permission()) = 'clients:write'
  AND created_by = (SELECT me_account()) AND EXISTS (SELECT FROM client c WHERE c.id = client_id AND c.scope_key <@ (SELECT write_scope())));
CREATE POLICY service_update ON client_secret FOR UPDATE TO tiendo_service USING ((SELECT me_permission()) = 'clients:write'
  AND EXISTS (SELECT FROM client c WHERE c.id = client_id AND c.scope_key <@ (SELECT write_scope())));
GRANT SELECT (id, client_id, created_at, created_by, expires_at, last_used_on), INSERT (id, client_id, secret_hash, created_by),
  UPDATE (expires_at) ON client_secret TO tiendo_service;
INSERT INTO client_secret (id, client_id, secret_hash, created_at)
SELECT uuid_v7(), c.id, c.secret_hash, c.created_at FROM client c WHERE c.secret_hash IS NOT NULL;
ALTER TABLE client DROP COLUMN secret_hash;
CREATE POLICY service_update ON client FOR UPDATE TO tiendo_service
  USING ((SELECT me_permission()) = 'clients:write' AND scope_key <@ (SELECT write_scope()));
GRANT UPDATE (name, scopes, status, version, updated_at) ON client TO tiendo_service;

CREATE OR REPLACE FUNCTION client_json(client uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (
    SELECT c.id, c.id AS client_id, c.name, organization_ref(c.organization_id) AS organization, c.scopes, c.status,
      client_external(c.external_issuer, c.external_subject) AS external, c.version, tstz(c.created_at) AS created_at, tstz(c.updated_at) AS updated_at
    FROM client c WHERE c.id = client_json.client) r);
END $$;

-- The scopes of a body that no client can hold.
CREATE FUNCTION client_scope_faults(body jsonb) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE unknown jsonb;
BEGIN
  SELECT jsonb_agg(fault('#/scopes/' || (n - 1), 'enum', 'not a scope a client can hold') ORDER BY n) INTO unknown
  FROM jsonb_array_elements_text(coalesce(body -> 'scopes', '[]')) WITH ORDINALITY s(scope, n)
  WHERE NOT EXISTS (SELECT FROM permission p WHERE p.code = s.scope AND p.for_client);
  IF unknown IS NOT NULL THEN PERFORM fail(422, 'invalid', unknown); END IF;
END $$;

-- A connector seated at a unit. Its secret is made and hashed by the service, and shown once.
CREATE OR REPLACE FUNCTION client_create(new_id uuid, body jsonb, secret_hash bytea, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  home organization;
  answer jsonb;
BEGIN
  SELECT * INTO home FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'organization'));
  PERFORM refuse(CASE WHEN home.id IS NULL THEN fault('#/organization', 'unknown_reference', 'no such organization') END);
  IF NOT home.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, format('Clients of %s are made by its administrators or by those of a unit above it.', home.code));
  END IF;
  PERFORM client_scope_faults(body);
  INSERT INTO client (id, organization_id, scope_key, name, scopes)
  VALUES (new_id, home.id, home.scope_key, body ->> 'name', ARRAY(SELECT DISTINCT jsonb_array_elements_text(body -> 'scopes')));
  PERFORM client_bind(new_id, body);
  INSERT INTO client_secret (id, client_id, secret_hash, created_by) VALUES (uuid_v7(), new_id, client_create.secret_hash, me_account());
  PERFORM grant_give(uuid_v7(), NULL, new_id, jsonb_build_object('organization', home.id, 'role', 'connector'), '#', request_id);
  answer := client_json(new_id);
  PERFORM journal('create', 'client', new_id, 1, home.scope_key, NULL, answer, request_id);
  RETURN QUERY SELECT 201, '1', '/v1/clients/' || new_id, answer::text;
END $$;

-- The client a path names and the caller may change: 404, 403.
CREATE FUNCTION client_to_change(ref uuid) RETURNS TABLE (id uuid, scope_key text, status text, version bigint)
  LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT c.id, c.scope_key, c.status, c.version INTO client_to_change.id, client_to_change.scope_key, client_to_change.status,
    client_to_change.version FROM client c WHERE c.id = ref;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT client_to_change.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, 'A client is kept by the administrators of its unit or of a unit above it.');
  END IF;
  RETURN NEXT;
END $$;

CREATE FUNCTION client_update(ref uuid, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c record;
  was jsonb;
  answer jsonb;
  next bigint;
BEGIN
  SELECT * INTO c FROM client_to_change(ref);
  PERFORM check_version(c.version, if_match);
  IF c.status = 'closed' THEN PERFORM fail(409, 'already_ended', NULL, 'The client has ended; create a new one.'); END IF;
  PERFORM client_scope_faults(patch);
  was := client_json(c.id);
  UPDATE client x SET name = coalesce(patch ->> 'name', x.name), status = coalesce(patch ->> 'status', x.status),
    scopes = CASE WHEN patch ? 'scopes' THEN ARRAY(SELECT DISTINCT jsonb_array_elements_text(patch -> 'scopes')) ELSE x.scopes END,
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = c.id AND x.version = c.version RETURNING x.version INTO next;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM client_bind(c.id, patch);
  answer := client_json(c.id);
  PERFORM journal('update', 'client', c.id, next, c.scope_key, was, answer, request_id);
  RETURN QUERY SELECT 200, next::text, NULL::text, answer::text;
END $$;

-- Ends a client for good: its grants with their sessions, and its secrets.
CREATE FUNCTION client_end(ref uuid, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c record;
  g access_grant;
  was jsonb;
BEGIN
  SELECT * INTO c FROM client_to_change(ref);
  PERFORM check_version(c.version, if_match);
  IF c.status = 'closed' THEN RETURN; END IF;
  was := client_json(c.id);
  UPDATE client x SET status = 'closed', version = x.version + 1, updated_at = clock_now() WHERE x.id = c.id AND x.version = c.version;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  UPDATE client_secret s SET expires_at = clock_now() WHERE s.client_id = c.id AND (s.expires_at IS NULL OR s.expires_at > clock_now());
  FOR g IN UPDATE access_grant x SET revoked_at = clock_now(), revoked_by = me_account(), revoked_seat = me_seat(), version = x.version + 1
      WHERE x.client_id = c.id AND x.revoked_at IS NULL RETURNING * LOOP
    PERFORM journal('end', 'grant', g.id, g.version, g.scope_key, NULL, grant_json(g), request_id);
  END LOOP;
  PERFORM journal('end', 'client', c.id, c.version + 1, c.scope_key, was, client_json(c.id), request_id);
END $$;

CREATE FUNCTION client_secret_json(secret uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (
    SELECT s.id, tstz(s.created_at) AS created_at, tstz(s.expires_at) AS expires_at, s.last_used_on,
      s.expires_at IS NULL OR s.expires_at > clock_now() AS valid FROM client_secret s WHERE s.id = secret) r);
END $$;

CREATE FUNCTION path_client(ref text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE found_id uuid := (SELECT c.id FROM client c WHERE c.id = ref::uuid);
BEGIN
  IF found_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN found_id;
END $$;
-- A further secret. Those there are go on for so many hours, or to their own end where it comes first.
CREATE FUNCTION client_secret_create(ref uuid, new_id uuid, body jsonb, secret_hash bytea, fallback_hours int, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c record;
  until timestamptz := clock_now() + make_interval(hours => coalesce((body ->> 'overlap_hours')::int, fallback_hours));
  answer jsonb;
BEGIN
  SELECT * INTO c FROM client_to_change(ref);
  IF c.status = 'closed' THEN PERFORM fail(409, 'already_ended', NULL, 'The client has ended; create a new one.'); END IF;
  UPDATE client_secret s SET expires_at = until WHERE s.client_id = c.id AND (s.expires_at IS NULL OR s.expires_at > until);
  INSERT INTO client_secret (id, client_id, secret_hash, created_by) VALUES (new_id, c.id, client_secret_create.secret_hash, me_account());
  answer := client_secret_json(new_id);
  PERFORM journal('create', 'client_secret', new_id, 1, c.scope_key, NULL, answer || jsonb_build_object('client', c.id), request_id);
  RETURN QUERY SELECT 201, NULL::text, NULL::text, answer::text;
END $$;

CREATE FUNCTION client_secret_end(ref uuid, secret uuid, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c record;
  was jsonb := client_secret_json(secret);
BEGIN
  SELECT * INTO c FROM client_to_change(ref);
  UPDATE client_secret s SET expires_at = clock_now()
  WHERE s.id = secret AND s.client_id = c.id AND (s.expires_at IS NULL OR s.expires_at > clock_now());
  IF NOT FOUND THEN
    IF NOT EXISTS (SELECT FROM client_secret s WHERE s.id = secret AND s.client_id = c.id) THEN PERFORM fail(404, 'not_found'); END IF;
    RETURN;
  END IF;
  PERFORM journal('end', 'client_secret', secret, 2, c.scope_key, was, client_secret_json(secret) || jsonb_build_object('client', c.id), request_id);
END $$;

-- A client proves itself with the hash of a secret that is good now: its id, or NULL.
CREATE OR REPLACE FUNCTION client_check(p_client text, p_secret bytea) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT c.id FROM client c
  WHERE is_uuid(p_client) AND c.id = CASE WHEN is_uuid(p_client) THEN p_client::uuid END AND c.status = 'active'
    AND EXISTS (SELECT FROM client_secret s WHERE s.client_id = c.id AND s.secret_hash = p_secret
      AND (s.expires_at IS NULL OR s.expires_at > clock_now())) $$;

CREATE OR REPLACE FUNCTION client_session(p_client text, p_secret bytea, p_session uuid, asked text[], access_s int,
    OUT result text, OUT grant_id uuid, OUT subject uuid, OUT scope text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  c client;
  g access_grant;
  given text[];
BEGIN
  SELECT * INTO c FROM client x WHERE x.id = client_check(p_client, p_secret);
  IF NOT FOUND THEN
    result := 'invalid_client';
    RETURN;
  END IF;
  SELECT * INTO g FROM access_grant x WHERE x.client_id = c.id AND grant_holds(x) ORDER BY x.id LIMIT 1;
  IF NOT FOUND THEN
    result := 'unauthorized_client';
    RETURN;
  END IF;
  given := role_scopes(g.role, c.scopes);
  IF NOT asked <@ given THEN
    result := 'invalid_scope';
    RETURN;
  END IF;
  UPDATE client_secret s SET last_used_on = today()
  WHERE s.client_id = c.id AND s.secret_hash = p_secret AND s.last_used_on IS DISTINCT FROM today();
  INSERT INTO session (id, grant_id, client_id, expires_at, scopes)
  VALUES (p_session, g.id, c.id, clock_now() + make_interval(secs => access_s), asked);
  result := 'ok';
  grant_id := g.id;
  subject := c.id;
  scope := array_to_string(coalesce(narrowed(asked), given), ' ');
END $$;

-- ---- delegations -------------------------------------------------------------------------------------------
-- A delegation is a grant that comes from another: the giver's own role, in the giver's unit or one below it, for a time.
-- What is told of one to its giver, its receiver and the administrators of its unit; to nobody else.
CREATE FUNCTION delegation_told(p_grant uuid, OUT giver jsonb, OUT account jsonb, OUT organization jsonb, OUT holds boolean, OUT revoked_by jsonb)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT jsonb_build_object('username', a.username, 'display_name', a.display_name),
      jsonb_build_object('username', b.username, 'display_name', b.display_name),
      jsonb_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind), grant_holds(g) AND b.status = 'active',
      CASE WHEN g.revoked_at IS NOT NULL THEN jsonb_build_object('account', CASE g.revoked_by WHEN a.id THEN a.username WHEN b.id THEN b.username END,
        'organization', organization_ref(g.revoked_seat)) END
    INTO giver, account, organization, holds, revoked_by
  FROM access_grant g JOIN account a ON a.id = g.granted_by JOIN account b ON b.id = g.account_id JOIN organization o ON o.id = g.organization_id
  WHERE g.id = p_grant AND g.delegated_from IS NOT NULL AND me_permission() IN ('delegations:read', 'delegations:write')
    AND (me_account() IN (g.account_id, g.granted_by) OR (me_role() = 'administrator' AND g.scope_key ^@ me_seat_key()));
END $$;
CREATE FUNCTION delegation_json(p_grant uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (
    SELECT g.id, t.giver, t.account, t.organization, g.role, g.valid_from, g.valid_to, t.holds, tstz(g.revoked_at) AS revoked_at,
      t.revoked_by, g.version, tstz(g.created_at) AS created_at
    FROM access_grant g, delegation_told(g.id) t WHERE g.id = p_grant AND t.giver IS NOT NULL) r);
END $$;

-- The account of this name that a role of the caller's root may be delegated to, and is not the caller's own. Whatever else
-- such a name may be (nobody's, another root's, suspended), the answer is the same NULL.
CREATE FUNCTION delegate_of(username text) RETURNS uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF me_permission() IS DISTINCT FROM 'delegations:write' THEN RETURN NULL; END IF;
  RETURN (SELECT a.id FROM account a JOIN organization o ON o.id = a.organization_id
    WHERE a.username = lower(delegate_of.username) AND a.status = 'active' AND o.root_id = me_root());
END $$;

-- The name is looked up when nothing else is wrong, so that asking for names costs giving them one's role.
CREATE FUNCTION delegation_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  own access_grant;
  unit organization;
  receiver uuid;
  g access_grant;
  starts date := coalesce((body ->> 'valid_from')::date, today());
  ends date := (body ->> 'valid_to')::date;
BEGIN
  IF me_permission() IS DISTINCT FROM 'delegations:write' THEN PERFORM fail(403, 'forbidden'); END IF;
  SELECT * INTO STRICT own FROM access_grant x WHERE x.id = me_grant() FOR SHARE;
  IF own.revoked_at IS NOT NULL THEN PERFORM fail(401, 'invalid_token'); END IF;
  IF own.delegated_from IS NOT NULL THEN
    PERFORM fail(403, 'forbidden', NULL, 'What is delegated is not delegated further: only the holder of the role does so.');
  END IF;
  SELECT * INTO unit FROM organization o WHERE o.scope_key <@ area() AND CASE WHEN is_uuid(body ->> 'organization')
    THEN o.id = lower(body ->> 'organization')::uuid
    ELSE o.code = coalesce(body ->> 'organization', (SELECT s.code FROM organization s WHERE s.id = own.organization_id)) END
  ORDER BY o.root_id = me_root() DESC LIMIT 1;
  PERFORM refuse(
    CASE WHEN unit.id IS NULL THEN fault('#/organization', 'unknown_reference', 'no such organization') END,
    CASE WHEN unit.valid_to < starts THEN fault('#/organization', 'out_of_range', 'the unit has ended by then') END,
    CASE WHEN starts < today() THEN fault('#/valid_from', 'out_of_range', 'a delegation begins today or later')
      WHEN starts < own.valid_from THEN fault('#/valid_from', 'out_of_range', format('your own role begins on %s', own.valid_from)) END,
    CASE WHEN ends < starts THEN fault('#/valid_to', 'ends_before_start', 'it would end before it starts')
      WHEN ends > own.valid_to THEN fault('#/valid_to', 'out_of_range', format('your own role ends on %s', own.valid_to)) END);
  IF NOT unit.scope_key ^@ me_seat_key() THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s is not your unit nor below it: a role is delegated for one''s own unit or a part of it.', unit.code));
  END IF;
  receiver := delegate_of(body ->> 'account');
  PERFORM refuse(CASE WHEN receiver IS NULL THEN fault('#/account', 'unknown_reference', 'no such account')
    WHEN receiver = me_account() THEN fault('#/account', 'own_account', 'nobody delegates to their own account') END);
  INSERT INTO access_grant (id, account_id, organization_id, scope_key, role, valid_from, valid_to, granted_by, delegated_from)
  VALUES (new_id, receiver, unit.id, unit.scope_key, own.role, starts, ends, me_account(), own.id) RETURNING * INTO g;
  PERFORM journal('create', 'delegation', g.id, g.version, g.scope_key, NULL, delegation_json(g.id), request_id);
  RETURN QUERY SELECT 201, g.version::text, '/v1/delegations/' || g.id, delegation_json(g.id)::text;
END $$;

-- Ended by its giver, by its receiver, or by an administrator of its unit or of one above it.
CREATE FUNCTION delegation_end(ref uuid, if_match text, request_id text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  g access_grant;
  was jsonb;
BEGIN
  IF me_permission() IS DISTINCT FROM 'delegations:write' THEN PERFORM fail(403, 'forbidden'); END IF;
  was := delegation_json(ref);
  IF was IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  SELECT * INTO STRICT g FROM access_grant x WHERE x.id = ref;
  PERFORM check_version(g.version, if_match);
  IF g.revoked_at IS NOT NULL THEN RETURN; END IF;
  UPDATE access_grant x SET revoked_at = clock_now(), revoked_by = me_account(), revoked_seat = me_seat(), version = x.version + 1
  WHERE x.id = g.id AND x.version = g.version RETURNING * INTO g;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('end', 'delegation', g.id, g.version, g.scope_key, was, delegation_json(g.id), request_id);
END $$;

GRANT EXECUTE ON FUNCTION ender_json(uuid, uuid), check_version(bigint, text), grant_in_force(uuid), me_giver(), ones_own(uuid),
  grant_to_change(uuid), grant_update(uuid, jsonb, text, text), grant_end(uuid, text, text), mandate_to_change(uuid),
  mandate_update(uuid, jsonb, text, text), mandate_end(uuid, text, text), client_scope_faults(jsonb), client_to_change(uuid),
  client_update(uuid, jsonb, text, text), client_end(uuid, text, text), client_secret_json(uuid), path_client(text),
  client_secret_create(uuid, uuid, jsonb, bytea, int, text), client_secret_end(uuid, uuid, text), delegation_told(uuid),
  delegation_json(uuid), delegation_create(uuid, jsonb, text), delegation_end(uuid, text, text) TO tiendo_service;
