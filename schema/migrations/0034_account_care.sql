-- Accounts in full: their states, one-time activation codes, passwords changed and reset, sessions seen and ended, and a throttle
-- that cannot be used to lock others out.
SET search_path = tiendo, public;

-- ---- what an account is ------------------------------------------------------------------------------------
-- One line of text for people: trimmed, without control characters and without those that change what is seen.
CREATE FUNCTION one_line(t text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT t = btrim(t) AND t <> '' AND t !~ '[\u0001-\u001F\u007F-\u009F\u00AD\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF]' $$;

-- closed never comes back, and its username stays taken. activated: a password has been set.
ALTER TABLE account DROP CONSTRAINT account_status_check;
ALTER TABLE account ADD CONSTRAINT account_status_check CHECK (status IN ('active', 'suspended', 'closed')),
  ADD CONSTRAINT account_display_name_line CHECK (one_line(display_name)) NOT VALID,
  ADD CONSTRAINT account_username_no_id CHECK (NOT is_uuid(username)) NOT VALID,
  ADD COLUMN password_changed_at timestamptz,
  ADD COLUMN activated boolean NOT NULL GENERATED ALWAYS AS (password_hash IS NOT NULL) STORED,
  ADD COLUMN search text NOT NULL GENERATED ALWAYS AS (fold(username || ' ' || display_name)) STORED;
COMMENT ON CONSTRAINT account_display_name_line ON account IS '422 one_line #/display_name';
COMMENT ON CONSTRAINT account_username_no_id ON account IS '422 pattern #/username';
CREATE INDEX account_search ON account USING gin (search gin_trgm_ops);
GRANT SELECT (password_changed_at, activated) ON account TO tiendo_service;
GRANT UPDATE (display_name, organization_id, status, version, updated_at) ON account TO tiendo_service;
CREATE POLICY service_update ON account FOR UPDATE TO tiendo_service
  USING ((SELECT me_permission()) = 'accounts:write' AND scope_key <@ (SELECT write_scope()))
  WITH CHECK ((SELECT me_permission()) = 'accounts:write' AND scope_key <@ (SELECT write_scope()));
CREATE TRIGGER scope_key_moved BEFORE UPDATE OF organization_id ON account
  FOR EACH ROW WHEN (old.organization_id IS DISTINCT FROM new.organization_id) EXECUTE FUNCTION copy_scope_key('organization_id');

-- In which order grants were given, also those of one request: the first is what a log-in takes by itself.
ALTER TABLE access_grant ADD COLUMN given bigint GENERATED ALWAYS AS IDENTITY;

-- When a session was last refreshed.
ALTER TABLE session ADD COLUMN last_used_at timestamptz;

-- The one code that sets an account's first or next password. proof is a digest of username and code together, so that a wrong
-- code, an unknown name and an account without a code are the same miss of one index.
CREATE TABLE account_activation (
  account_id uuid PRIMARY KEY REFERENCES account (id),
  proof bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  expires_at timestamptz NOT NULL,
  CONSTRAINT account_activation_proof UNIQUE (proof)
);
ALTER TABLE account_activation ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_activation FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON account_activation TO tiendo_owner USING (true) WITH CHECK (true);

-- ---- who it is ---------------------------------------------------------------------------------------------
-- An account named by its id or its username, if the caller sees it.
CREATE FUNCTION account_id(ref text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF is_uuid(ref) THEN RETURN (SELECT a.id FROM account a WHERE a.id = ref::uuid); END IF;
  RETURN (SELECT a.id FROM account a WHERE a.username = lower(ref));
END $$;
CREATE FUNCTION path_account(ref text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE found_id uuid := account_id(ref);
BEGIN
  IF found_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN found_id;
END $$;
-- Ids of accounts of the caller's subtree whose name holds the text; the policies decide again on what comes of it.
CREATE FUNCTION account_search(q text) RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  pattern text := '%' || replace(replace(replace(fold(btrim(q)), '\', '\\'), '%', '\%'), '_', '\_') || '%';
  ids uuid[];
BEGIN
  IF me_role() IS DISTINCT FROM 'administrator' THEN RETURN '{}'; END IF;
  EXECUTE format('SELECT coalesce(array_agg(id), ''{}'') FROM account WHERE search LIKE %L AND scope_key >= %L AND scope_key < %L',
    pattern, me_seat_key(), me_seat_key() || '~') INTO ids;
  RETURN ids;
END $$;

-- What the journal keeps of an account: no password, no hash, no code.
CREATE OR REPLACE FUNCTION account_image(a account) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_build_object('id', a.id, 'username', a.username, 'display_name', a.display_name,
    'organization_id', a.organization_id, 'status', a.status, 'activated', a.activated,
    'password_changed_at', tstz(a.password_changed_at), 'version', a.version) $$;

CREATE OR REPLACE FUNCTION account_json(unit_account uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (
    SELECT a.id, a.username, a.display_name, organization_ref(a.organization_id) AS organization, a.status, a.activated,
      tstz(a.password_changed_at) AS password_changed_at,
      (SELECT coalesce(jsonb_agg(grant_json(g) - 'account' ORDER BY g.given), '[]') FROM access_grant g WHERE g.account_id = a.id) AS grants,
      a.version, tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at
    FROM account a WHERE a.id = unit_account) r);
END $$;

-- The grants an account or a client may act under today, the first given first.
CREATE OR REPLACE FUNCTION held_grants(holder uuid) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(jsonb_agg(held_grant(g) ORDER BY g.given), '[]')
  FROM access_grant g WHERE (g.account_id = holder OR g.client_id = holder) AND grant_holds(g) $$;

-- Whether a grant holds today, by its own dates, for a filter that the caller's policies go before.
CREATE FUNCTION grant_today(g access_grant) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT g.revoked_at IS NULL AND g.valid_from <= tiendo.today() AND (g.valid_to IS NULL OR g.valid_to >= tiendo.today()) $$;

-- ---- states ------------------------------------------------------------------------------------------------
-- Ends an account's sessions, but one.
CREATE FUNCTION sessions_end(p_account uuid, reason text, but uuid DEFAULT NULL) RETURNS int
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE n int;
BEGIN
  UPDATE session s SET revoked_at = clock_now(), revoked_reason = reason
  WHERE s.account_id = p_account AND s.revoked_at IS NULL AND s.id IS DISTINCT FROM but;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;

-- A root keeps an administrator who can act, when an account leaves or one of its grants ends earlier than lasting to p_until: the
-- other has to last as long. Two who take it from one another at once are made to take turns.
CREATE FUNCTION keep_an_administrator(leaving uuid, p_grant uuid DEFAULT NULL, p_until date DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE root uuid;
BEGIN
  FOR root IN SELECT DISTINCT o.id FROM access_grant g JOIN organization o ON o.id = g.organization_id
      WHERE g.account_id = leaving AND (p_grant IS NULL OR g.id = p_grant) AND g.role = 'administrator' AND g.delegated_from IS NULL
        AND o.root_id = o.id AND (o.valid_to IS NULL OR o.valid_to >= today()) AND grant_holds(g) ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended('tiendo.administrators' || root, 0));
    IF NOT EXISTS (SELECT FROM access_grant g JOIN account a ON a.id = g.account_id
        WHERE g.organization_id = root AND g.role = 'administrator' AND a.status = 'active' AND a.activated
          AND (CASE WHEN p_grant IS NULL THEN a.id <> leaving
            ELSE g.id <> p_grant AND coalesce(g.valid_to, 'infinity') >= coalesce(p_until, 'infinity') END)
          AND g.delegated_from IS NULL AND grant_holds(g)) THEN
      PERFORM fail(409, 'last_administrator');
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION account_status_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF old.status = 'closed' THEN PERFORM fail(409, 'account_closed'); END IF;
  IF new.status = 'active' THEN RETURN new; END IF;
  IF ones_own(new.id) THEN
    PERFORM fail(403, 'forbidden', NULL, 'Nobody suspends or closes their own account, or the one whose role is delegated to them; another administrator does.');
  END IF;
  PERFORM keep_an_administrator(new.id);
  -- A home below what an account does elsewhere does not take it away from those above: their grant is theirs to end.
  IF EXISTS (SELECT FROM access_grant g WHERE g.account_id = new.id AND g.revoked_at IS NULL AND g.delegated_from IS NULL
      AND (g.valid_to IS NULL OR g.valid_to >= today()) AND NOT g.scope_key <@ write_scope()) THEN
    PERFORM fail(403, 'forbidden', NULL,
      'The account also acts for units outside your subtree; an administrator of a unit above all of them suspends or closes it.');
  END IF;
  PERFORM sessions_end(new.id, 'account ' || new.status);
  IF new.status = 'closed' THEN
    DELETE FROM account_activation c WHERE c.account_id = new.id;
    new.password_hash := NULL;
  END IF;
  RETURN new;
END $$;
CREATE TRIGGER status_kept BEFORE UPDATE OF status ON account
  FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION account_status_kept();

-- Faults of a display name and of a home, where given; the home's id.
CREATE FUNCTION account_home(ref text, pointer text) RETURNS organization LANGUAGE plpgsql STABLE AS $$
DECLARE home organization;
BEGIN
  SELECT * INTO home FROM organization o WHERE o.id = (SELECT organization_id(ref));
  IF NOT FOUND THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault(pointer, 'unknown_reference', 'no such organization')));
  END IF;
  IF NOT home.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, 'Accounts are kept inside your own subtree.');
  END IF;
  RETURN home;
END $$;

-- The account to change, locked: 404, 428, 412 in this order, then whether it is closed.
CREATE FUNCTION account_hold(ref text, if_match text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  found_id uuid := path_account(ref);
  v bigint;
  state text;
BEGIN
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  SELECT a.version, a.status INTO v, state FROM account a WHERE a.id = found_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF if_match <> '*' AND v::text <> ALL (string_to_array(if_match, ',')) THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF state = 'closed' THEN PERFORM fail(409, 'account_closed'); END IF;
  RETURN found_id;
END $$;

-- An account with its first grants. Its home, which administers it, is organization, else the first grant's unit, else the
-- caller's seat. The password's hash or the code's proof comes from the service; neither text reaches the database.
DROP FUNCTION account_create(uuid, jsonb, text, text);
CREATE FUNCTION account_create(new_id uuid, body jsonb, password_hash text, proof bytea, hours int, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  home organization;
  answer jsonb;
  g jsonb;
  n int := 0;
BEGIN
  home := account_home(coalesce(body ->> 'organization', body -> 'grants' -> 0 ->> 'organization', me_seat()::text),
    CASE WHEN body ? 'organization' THEN '#/organization' ELSE '#/grants/0/organization' END);
  IF NOT one_line(body ->> 'display_name') THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/display_name', 'one_line', 'one line, trimmed, of visible characters')));
  END IF;
  INSERT INTO account (id, organization_id, scope_key, username, display_name, password_hash, password_changed_at)
  VALUES (new_id, home.id, home.scope_key, lower(body ->> 'username'), body ->> 'display_name', password_hash,
    CASE WHEN password_hash IS NOT NULL THEN clock_now() END);
  PERFORM journal('create', 'account', new_id, 1, home.scope_key, NULL, account_json(new_id) - 'grants', request_id);
  FOR g IN SELECT x FROM jsonb_array_elements(coalesce(nullif(body -> 'grants', 'null'), '[]')) x LOOP
    PERFORM grant_give(uuid_v7(), new_id, NULL, g, '#/grants/' || n, request_id);
    n := n + 1;
  END LOOP;
  answer := account_json(new_id);
  IF proof IS NOT NULL THEN
    answer := answer || jsonb_build_object('activation_expires_at', tstz(activation_issue(new_id, proof, hours)));
  END IF;
  RETURN QUERY SELECT 201, '1', '/v1/accounts/' || new_id, answer::text;
END $$;

CREATE FUNCTION account_update(ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  me uuid := account_hold(ref, if_match);
  was jsonb := account_json(me) - 'grants';
  answer jsonb;
  home organization;
BEGIN
  IF patch ? 'organization' THEN home := account_home(patch ->> 'organization', '#/organization'); END IF;
  IF patch ? 'display_name' AND NOT one_line(patch ->> 'display_name') THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/display_name', 'one_line', 'one line, trimmed, of visible characters')));
  END IF;
  UPDATE account x SET display_name = coalesce(patch ->> 'display_name', x.display_name),
    organization_id = coalesce(home.id, x.organization_id), version = x.version + 1, updated_at = clock_now()
  WHERE x.id = me;
  IF patch ? 'status' THEN
    UPDATE account x SET status = patch ->> 'status' WHERE x.id = me;
  END IF;
  answer := account_json(me);
  PERFORM journal('update', 'account', me, (answer ->> 'version')::bigint, a.scope_key, was, answer - 'grants', request_id)
  FROM account a WHERE a.id = me;
  RETURN QUERY SELECT 200, answer ->> 'version', NULL::text, answer::text;
END $$;

-- ---- activation and reset ----------------------------------------------------------------------------------
-- Whether the entered administrator keeps the account: it lives in their subtree.
CREATE FUNCTION keeps_account(p_account uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(me_role() = 'administrator' AND me_permission() IN ('accounts:read', 'accounts:write'), false)
    AND EXISTS (SELECT FROM account a WHERE a.id = p_account AND a.scope_key <@ keymultirange(subtree(me_seat_key()))) $$;

-- A new code in the place of any before it; gives when it ends. For the account's administrator, while it has no password.
CREATE FUNCTION activation_issue(p_account uuid, p_proof bytea, hours int) RETURNS timestamptz
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE until timestamptz := clock_now() + make_interval(hours => hours);
BEGIN
  IF NOT keeps_account(p_account) OR me_permission() <> 'accounts:write'
      OR EXISTS (SELECT FROM account a WHERE a.id = p_account AND (a.activated OR a.status = 'closed')) THEN
    PERFORM fail(403, 'forbidden');
  END IF;
  INSERT INTO account_activation AS c (account_id, proof, expires_at) VALUES (p_account, p_proof, until)
  ON CONFLICT (account_id) DO UPDATE SET proof = excluded.proof, created_at = clock_now(), expires_at = excluded.expires_at;
  RETURN until;
END $$;

-- Takes the password from an account of the caller's subtree and ends its sessions. Who resets an account can act as it, so
-- everything it may do must lie within the caller's own reach.
CREATE FUNCTION account_void(p_account uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF NOT keeps_account(p_account) OR me_permission() <> 'accounts:write' THEN PERFORM fail(403, 'forbidden'); END IF;
  IF ones_own(p_account) THEN
    PERFORM fail(403, 'forbidden', NULL,
      'Nobody resets their own account, or the one whose role is delegated to them: PUT /v1/me/password changes one''s own password.');
  END IF;
  IF EXISTS (SELECT FROM access_grant g WHERE g.account_id = p_account AND g.revoked_at IS NULL
      AND (g.valid_to IS NULL OR g.valid_to >= today()) AND NOT g.scope_key <@ write_scope()) THEN
    PERFORM fail(403, 'forbidden', NULL,
      'The account also acts for units outside your subtree; an administrator of a unit above all of them resets it.');
  END IF;
  UPDATE account a SET password_hash = NULL, password_changed_at = clock_now(), version = a.version + 1, updated_at = clock_now()
  WHERE a.id = p_account;
  PERFORM sessions_end(p_account, 'password reset');
END $$;

CREATE FUNCTION account_reset(ref text, proof bytea, hours int, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  me uuid := account_hold(ref, if_match);
  was jsonb := account_json(me) - 'grants';
  answer jsonb;
  until timestamptz;
BEGIN
  PERFORM account_void(me);
  until := activation_issue(me, proof, hours);
  answer := account_json(me);
  PERFORM journal('reset', 'account', me, (answer ->> 'version')::bigint, a.scope_key, was, answer - 'grants', request_id)
  FROM account a WHERE a.id = me;
  RETURN QUERY SELECT 200, answer ->> 'version', NULL::text,
    (answer || jsonb_build_object('activation_expires_at', tstz(until)))::text;
END $$;

-- The operator's reset, for an administrator above whom there is nobody; a suspension ends with it. NULL when there is no such account, or
-- it is closed. For the owner alone.
CREATE FUNCTION operator_reset(p_username text, p_proof bytea, hours int) RETURNS timestamptz
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  was account;
  a account;
  until timestamptz := clock_now() + make_interval(hours => hours);
BEGIN
  SELECT * INTO was FROM account x WHERE x.username = p_username AND x.status <> 'closed' FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  UPDATE account x SET password_hash = NULL, password_changed_at = clock_now(), status = 'active', version = x.version + 1,
    updated_at = clock_now() WHERE x.id = was.id RETURNING * INTO a;
  PERFORM sessions_end(a.id, 'password reset');
  INSERT INTO account_activation AS c (account_id, proof, expires_at) VALUES (a.id, p_proof, until)
  ON CONFLICT (account_id) DO UPDATE SET proof = excluded.proof, created_at = clock_now(), expires_at = excluded.expires_at;
  PERFORM journal('reset', 'account', a.id, a.version, a.scope_key, account_image(was), account_image(a));
  RETURN until;
END $$;

-- ---- one's own password ------------------------------------------------------------------------------------
-- What changing one's password needs to know, and how long to wait after too many wrong ones in this session.
CREATE FUNCTION my_password(most int, window_s int,
    OUT username text, OUT display_name text, OUT unit text, OUT password_hash text, OUT wait_s int)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE own record;
BEGIN
  IF me_permission() IS DISTINCT FROM 'me:write' THEN RETURN; END IF;
  own := throttle_state(throttle_key('self', me_session()::text, ''), window_s);
  wait_s := CASE WHEN own.failures >= most THEN greatest(1, ceil(extract(epoch FROM own.ends - clock_now()))) ELSE 0 END;
  SELECT a.username, a.display_name, o.code, a.password_hash INTO username, display_name, unit, password_hash
  FROM account a JOIN organization o ON o.id = a.organization_id WHERE a.id = me_account();
END $$;
-- Counts a wrong one, by session: whoever stole a token closes that session's way alone.
CREATE FUNCTION my_password_wrong(window_s int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF me_session() IS NULL THEN RETURN NULL; END IF;
  RETURN throttle_count(throttle_key('self', me_session()::text, ''), window_s);
END $$;
-- Sets one's password if it still is what was checked, and ends one's other sessions.
CREATE FUNCTION my_password_set(old_hash text, new_hash text, most int, window_s int, request_id text) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  was account;
  a account;
BEGIN
  IF me_permission() IS DISTINCT FROM 'me:write' THEN PERFORM fail(403, 'forbidden'); END IF;
  IF (throttle_state(throttle_key('self', me_session()::text, ''), window_s)).failures >= most THEN
    PERFORM fail(429, 'too_many_logins');
  END IF;
  SELECT * INTO was FROM account x WHERE x.id = me_account() FOR NO KEY UPDATE;
  IF was.password_hash IS DISTINCT FROM old_hash THEN PERFORM fail(409, 'concurrent_change'); END IF;
  UPDATE account x SET password_hash = new_hash, password_changed_at = clock_now(), version = x.version + 1, updated_at = clock_now()
  WHERE x.id = was.id RETURNING * INTO a;
  PERFORM sessions_end(a.id, 'password changed', me_session());
  PERFORM journal('password', 'account', a.id, a.version, a.scope_key, account_image(was), account_image(a), request_id);
  RETURN 204;
END $$;

-- ---- sessions ----------------------------------------------------------------------------------------------
-- The sessions of an account that hold, for itself or its administrator. Where the account acts outside the
-- administrator's subtree is not shown.
CREATE FUNCTION sessions_of(p_account uuid)
  RETURNS TABLE (id uuid, acts_as jsonb, created_at timestamptz, last_used_at timestamptz, expires_at timestamptz, current boolean)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF p_account IS DISTINCT FROM me_account() AND NOT keeps_account(p_account) THEN RETURN; END IF;
  RETURN QUERY SELECT s.id, CASE WHEN p_account = me_account() OR g.scope_key <@ area() THEN held_grant(g) END,
    s.created_at, s.last_used_at, s.expires_at, s.id = me_session()
  FROM session s JOIN access_grant g ON g.id = s.grant_id
  WHERE s.account_id = p_account AND s.revoked_at IS NULL AND s.expires_at > clock_now();
END $$;
-- Ends one of one's own sessions.
CREATE FUNCTION my_session_end(p_session uuid) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  UPDATE session s SET revoked_at = clock_now(), revoked_reason = 'ended by its holder'
  WHERE s.id = p_session AND s.account_id = me_account() AND s.revoked_at IS NULL AND s.expires_at > clock_now()
    AND me_permission() = 'me:write';
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN 204;
END $$;
-- An administrator ends all sessions of an account; how many is journalled.
CREATE FUNCTION account_sessions_end(ref text, request_id text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  them uuid := path_account(ref);
  n int := account_sign_out(them);
BEGIN
  PERFORM journal('sign_out', 'account', a.id, a.version, a.scope_key, NULL, jsonb_build_object('sessions', n), request_id)
  FROM account a WHERE a.id = them;
  RETURN 204;
END $$;
CREATE FUNCTION account_sign_out(p_account uuid) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF NOT keeps_account(p_account) OR me_permission() <> 'accounts:write' THEN PERFORM fail(403, 'forbidden'); END IF;
  RETURN sessions_end(p_account, 'ended by an administrator');
END $$;

-- Changes a refresh token for the next one, as before; the session says when.
CREATE OR REPLACE FUNCTION refresh_use(p_old bytea, p_new bytea, refresh_s int, p_client uuid, asked text[],
    OUT result text, OUT session_id uuid, OUT grant_id uuid, OUT subject uuid, OUT scope text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  until timestamptz := clock_now() + make_interval(secs => refresh_s);
  old refresh_token;
  s session;
  g access_grant;
  given text[];
BEGIN
  result := 'invalid_grant';
  SELECT * INTO old FROM refresh_token t WHERE t.token_hash = p_old FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT * INTO STRICT s FROM session x WHERE x.id = old.session_id FOR UPDATE;
  IF p_client IS DISTINCT FROM s.client_id THEN RETURN; END IF;
  IF old.used_at IS NOT NULL THEN
    result := 'reused';
    UPDATE session x SET revoked_at = clock_now(), revoked_reason = 'refresh token reused'
    WHERE x.id = s.id AND x.revoked_at IS NULL;
    session_id := s.id;
    RETURN;
  END IF;
  SELECT x.* INTO g FROM access_grant x LEFT JOIN account a ON a.id = x.account_id LEFT JOIN client c ON c.id = x.client_id
  WHERE x.id = s.grant_id AND grant_holds(x) AND coalesce(a.status, c.status) = 'active';
  IF NOT FOUND OR s.revoked_at IS NOT NULL OR s.expires_at <= clock_now() OR old.expires_at <= clock_now() THEN RETURN; END IF;
  given := role_scopes(g.role, s.scopes);
  IF NOT asked <@ given THEN
    result := 'invalid_scope';
    RETURN;
  END IF;
  UPDATE refresh_token t SET used_at = clock_now() WHERE t.token_hash = p_old;
  INSERT INTO refresh_token (token_hash, session_id, expires_at) VALUES (p_new, s.id, until);
  UPDATE session x SET expires_at = until, last_used_at = clock_now() WHERE x.id = s.id;
  result := 'ok';
  session_id := s.id;
  grant_id := g.id;
  subject := coalesce(s.account_id, s.client_id);
  scope := array_to_string(coalesce(narrowed(asked), given), ' ');
END $$;

-- ---- the throttle ------------------------------------------------------------------------------------------
-- Failures are counted three ways in a window: of a place for a name (the place is a network, an IPv4 address or an IPv6 /64, or
-- the device a former log-in proved); of a network for all names; of a name from everywhere. A place that is known for the
-- name, by that proof or by a log-in of the last ninety days, is held to its own counter alone: nobody elsewhere can close it.
-- A strange place is held to its network's counter too, and while a name is under attack (ten times `most`) it has three tries
-- instead of `most`: each strange place has its own, so that the attacker's do not use up another's. Only beyond a hundred times
-- `most`, which takes hundreds of networks, do strange places share one try in five seconds.
-- Seconds to wait, 0 for go on. take: whether to take a turn at that last gate.
CREATE FUNCTION throttle_wait(p_username text, p_network text, p_device text, most int, most_network int, window_s int, take boolean,
    OUT wait_s int, OUT known boolean)
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  place record := throttle_state(throttle_key('pair', p_username, coalesce('device:' || p_device, p_network)), window_s);
  everywhere record;
  network record;
  here int := most;
  stormed boolean := false;
BEGIN
  wait_s := 0;
  known := p_device IS NOT NULL OR throttle_known(p_username, p_network);
  IF NOT known THEN
    network := throttle_state(throttle_key('network', '', p_network), window_s);
    IF network.failures >= most_network THEN
      wait_s := greatest(1, ceil(extract(epoch FROM network.ends - clock_now())));
      RETURN;
    END IF;
    everywhere := throttle_state(throttle_key('name', p_username, ''), window_s);
    IF everywhere.failures >= most * 10 THEN here := least(most, 3); END IF;
    stormed := everywhere.failures >= most * 100;
  END IF;
  IF place.failures >= here THEN
    wait_s := greatest(1, ceil(extract(epoch FROM place.ends - clock_now())));
    RETURN;
  END IF;
  IF take AND stormed THEN
    UPDATE login_throttle t SET blocked_until = clock_now() + interval '5 seconds'
    WHERE t.key = throttle_key('name', p_username, '') AND (t.blocked_until IS NULL OR t.blocked_until <= clock_now());
    IF NOT FOUND THEN wait_s := 5; END IF;
  END IF;
END $$;

DROP FUNCTION login_begin(text, text, int, int);
DROP FUNCTION login_fail(text, text, int, int);
DROP FUNCTION login_finish(text, text, int, int, uuid, uuid, uuid, bytea, int);

-- The first third of logging in: the password hash to compare with (NULL for nobody), or how long to wait; and whether the
-- place is known, which lets it go first where passwords are checked.
CREATE FUNCTION login_begin(p_username text, p_network text, p_device text, most int, most_network int, window_s int,
    OUT account_id uuid, OUT password_hash text, OUT wait_s int, OUT known boolean)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT w.wait_s, w.known INTO wait_s, known
  FROM throttle_wait(p_username, p_network, p_device, most, most_network, window_s, true) w;
  IF wait_s > 0 THEN RETURN; END IF;
  SELECT a.id, a.password_hash INTO account_id, password_hash
  FROM account a WHERE a.username = p_username AND a.status = 'active';
END $$;

-- The second third, where the password did not fit: counts it. Whether it was one too many already: then it is answered like a
-- fitting one that came too late.
CREATE FUNCTION login_fail(p_username text, p_network text, p_device text, most int, most_network int, window_s int) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE late boolean;
BEGIN
  SELECT w.wait_s > 0 INTO late FROM throttle_wait(p_username, p_network, p_device, most, most_network, window_s, false) w;
  PERFORM throttle_count(throttle_key('pair', p_username, coalesce('device:' || p_device, p_network)), window_s);
  PERFORM throttle_count(throttle_key('network', '', p_network), window_s);
  PERFORM throttle_count(throttle_key('name', p_username, ''), window_s);
  RETURN late;
END $$;

-- That a name was used rightly from a network: its failures there are forgotten, and for ninety days it is known there.
CREATE FUNCTION throttle_right(p_username text, p_network text, p_device text) RETURNS void
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  DELETE FROM login_throttle t WHERE t.key = throttle_key('pair', p_username, coalesce('device:' || p_device, p_network));
  IF NOT throttle_known(p_username, p_network, interval '1 day') THEN
    INSERT INTO login_throttle AS l (key, failures, window_start)
    VALUES (throttle_key('known', p_username, p_network), 0, clock_now())
    ON CONFLICT (key) DO UPDATE SET window_start = clock_now();
  END IF;
END $$;

-- The last third, where the password fitted: a session in the grant asked for (by id, or by unit or role), else in the first that was given. Failures
-- counted meanwhile still close: guessing in parallel gains nothing. result: ok, throttled, unknown_grant, no_grant, or inactive
-- when the account has been suspended or its password changed meanwhile.
CREATE FUNCTION login_finish(p_username text, p_network text, p_device text, most int, most_network int, window_s int, p_account uuid,
    p_hash text, p_grant uuid, p_unit text, p_role text, p_session uuid, p_refresh bytea, refresh_s int,
    OUT result text, OUT grant_id uuid, OUT scope text, OUT grants text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  until timestamptz := clock_now() + make_interval(secs => refresh_s);
  g access_grant;
BEGIN
  IF (SELECT w.wait_s > 0 FROM throttle_wait(p_username, p_network, p_device, most, most_network, window_s, false) w) THEN
    result := 'throttled';
    RETURN;
  END IF;
  -- The lock lets a suspension or a reset of the same moment come wholly before or wholly after.
  PERFORM FROM account a WHERE a.id = p_account AND a.status = 'active' AND a.password_hash = p_hash FOR SHARE;
  IF NOT FOUND THEN
    result := 'inactive';
    RETURN;
  END IF;
  PERFORM throttle_right(p_username, p_network, p_device);
  SELECT x.* INTO g FROM access_grant x JOIN organization o ON o.id = x.organization_id
  WHERE x.account_id = p_account AND grant_holds(x) AND (p_grant IS NULL OR x.id = p_grant)
    AND (p_unit IS NULL OR o.code = p_unit OR o.id::text = lower(p_unit)) AND (p_role IS NULL OR x.role = p_role)
  ORDER BY x.given LIMIT 1;
  IF NOT FOUND THEN
    result := CASE WHEN num_nonnulls(p_grant::text, p_unit, p_role) = 0 THEN 'no_grant' ELSE 'unknown_grant' END;
    RETURN;
  END IF;
  INSERT INTO session (id, grant_id, account_id, expires_at) VALUES (p_session, g.id, p_account, until);
  INSERT INTO refresh_token (token_hash, session_id, expires_at) VALUES (p_refresh, p_session, until);
  result := 'ok';
  grant_id := g.id;
  scope := array_to_string(role_scopes(g.role, NULL), ' ');
  grants := held_grants(p_account)::text;
END $$;

-- Activating: how long to wait (counted by name and network and by network, never by name alone: a code cannot be guessed), and
-- whom the code belongs to, if it does.
CREATE FUNCTION activation_begin(p_username text, p_network text, p_proof bytea, most int, most_network int, window_s int,
    OUT wait_s int, OUT account_id uuid, OUT display_name text, OUT unit text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  pair record := throttle_state(throttle_key('code', p_username, p_network), window_s);
  network record := throttle_state(throttle_key('network', '', p_network), window_s);
BEGIN
  wait_s := 0;
  IF pair.failures >= most OR (network.failures >= most_network AND NOT throttle_known(p_username, p_network)) THEN
    wait_s := greatest(1, ceil(extract(epoch FROM CASE WHEN pair.failures >= most THEN pair.ends ELSE network.ends END - clock_now())));
    RETURN;
  END IF;
  SELECT a.id, a.display_name, o.code INTO account_id, display_name, unit
  FROM account_activation c JOIN account a ON a.id = c.account_id JOIN organization o ON o.id = a.organization_id
  WHERE c.proof = p_proof AND c.expires_at > clock_now() AND a.status = 'active';
END $$;
CREATE FUNCTION activation_fail(p_username text, p_network text, window_s int) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM throttle_count(throttle_key('code', p_username, p_network), window_s);
  PERFORM throttle_count(throttle_key('network', '', p_network), window_s);
END $$;
-- Uses the code up and sets the password: of two at once one finds the code gone (false).
CREATE FUNCTION activation_finish(p_username text, p_network text, p_proof bytea, p_hash text, request_id text) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  was account;
  a account;
BEGIN
  SELECT x.* INTO was FROM account x JOIN account_activation c ON c.account_id = x.id
  WHERE c.proof = p_proof AND c.expires_at > clock_now() AND x.status = 'active' FOR NO KEY UPDATE OF x;
  IF NOT FOUND THEN RETURN false; END IF;
  DELETE FROM account_activation c WHERE c.proof = p_proof;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE account x SET password_hash = p_hash, password_changed_at = clock_now(), version = x.version + 1, updated_at = clock_now()
  WHERE x.id = was.id RETURNING * INTO a;
  DELETE FROM login_throttle t WHERE t.key = throttle_key('code', p_username, p_network);
  PERFORM throttle_right(p_username, p_network, NULL);
  INSERT INTO journal (account_id, action, resource_type, resource_id, version, scope_key, request_id, before, after)
  VALUES (a.id, 'activate', 'account', a.id, a.version, a.scope_key, activation_finish.request_id, account_image(was), account_image(a));
  RETURN true;
END $$;

GRANT EXECUTE ON FUNCTION one_line(text), account_id(text), path_account(text), account_search(text), grant_today(access_grant), account_home(text, text),
  account_hold(text, text), account_create(uuid, jsonb, text, bytea, int, text), account_update(text, jsonb, text, text),
  keeps_account(uuid), activation_issue(uuid, bytea, int), account_void(uuid), account_reset(text, bytea, int, text, text),
  my_password(int, int), my_password_wrong(int), my_password_set(text, text, int, int, text), sessions_of(uuid), my_session_end(uuid),
  account_sessions_end(text, text), account_sign_out(uuid),
  login_begin(text, text, text, int, int, int), login_fail(text, text, text, int, int, int),
  login_finish(text, text, text, int, int, int, uuid, text, uuid, text, text, uuid, bytea, int),
  activation_begin(text, text, bytea, int, int, int), activation_fail(text, text, int),
  activation_finish(text, text, bytea, text, text) TO tiendo_service;
