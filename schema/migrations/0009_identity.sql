-- What happens before anyone is entered: logging in, sessions, refresh tokens, signing keys; and the rows that say who
-- may act. The service holds no right on these tables: it calls the functions below, each of which does one thing.
SET search_path = tiendo, public;

-- Public keys are kept and published as JWK.
ALTER TABLE signing_key RENAME COLUMN public_pem TO public_jwk;
-- What a session was narrowed to when it began; NULL: everything its role gives.
ALTER TABLE session ADD COLUMN scopes text[];

-- ---- the throttle ------------------------------------------------------------------------------------------
-- Names are hashed: what people type into the wrong field must not be kept.
CREATE FUNCTION throttle_key(what text, username text, address text) RETURNS text LANGUAGE sql IMMUTABLE
  SET search_path = tiendo, public, pg_temp AS $$
  SELECT what || ':' || encode(sha256(convert_to(username || chr(10) || address, 'UTF8')), 'hex') $$;

-- Failures in the running window, and when it ends.
CREATE FUNCTION throttle_state(p_key text, window_s int, OUT failures int, OUT ends timestamptz, OUT blocked_until timestamptz)
  LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT t.failures, t.window_start + make_interval(secs => window_s), t.blocked_until INTO failures, ends, blocked_until
  FROM login_throttle t WHERE t.key = p_key AND t.window_start > clock_now() - make_interval(secs => window_s);
  failures := coalesce(failures, 0);
END $$;

-- Whether that name has logged in from that address within ninety days; each log-in after the first day renews it.
CREATE FUNCTION throttle_known(username text, address text, since interval DEFAULT interval '90 days') RETURNS boolean
  LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM login_throttle t WHERE t.key = throttle_key('known', username, address)
    AND t.window_start > clock_now() - since) $$;

-- The first third of logging in: the password hash to compare with (NULL for nobody), or how long to wait. Two counters of
-- failures: one for the pair of name and address, which closes for the rest of its window; one for the name from
-- everywhere, which never closes but, after ten times as many failures, lets through one try in five seconds, and does not
-- hold up an address from which that name has logged in during the last ninety days. So nobody can lock out people at their
-- usual places; who logs in from a new one during an attack shares the slow gate with the attacker.
CREATE FUNCTION login_begin(p_username text, p_address text, most int, window_s int,
    OUT account_id uuid, OUT password_hash text, OUT wait_s int)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  pair record := throttle_state(throttle_key('pair', p_username, p_address), window_s);
  everywhere record := throttle_state(throttle_key('name', p_username, ''), window_s);
BEGIN
  wait_s := 0;
  IF pair.failures >= most THEN
    wait_s := greatest(1, ceil(extract(epoch FROM pair.ends - clock_now())));
    RETURN;
  END IF;
  IF everywhere.failures >= most * 10 AND NOT throttle_known(p_username, p_address) THEN
    UPDATE login_throttle t SET blocked_until = clock_now() + interval '5 seconds'
    WHERE t.key = throttle_key('name', p_username, '') AND (t.blocked_until IS NULL OR t.blocked_until <= clock_now());
    IF NOT FOUND THEN
      wait_s := 5;
      RETURN;
    END IF;
  END IF;
  SELECT a.id, a.password_hash INTO account_id, password_hash
  FROM account a WHERE a.username = p_username AND a.status = 'active';
END $$;

-- Counts one failure more.
CREATE FUNCTION throttle_count(p_key text, window_s int) RETURNS int LANGUAGE sql SET search_path = tiendo, public, pg_temp AS $$
  INSERT INTO login_throttle AS l (key, failures, window_start) VALUES (p_key, 1, clock_now())
  ON CONFLICT (key) DO UPDATE SET
    failures = CASE WHEN l.window_start <= clock_now() - make_interval(secs => window_s) THEN 1 ELSE l.failures + 1 END,
    window_start = CASE WHEN l.window_start <= clock_now() - make_interval(secs => window_s) THEN clock_now() ELSE l.window_start END
  RETURNING failures $$;

-- The second third, where the password did not fit. Whether it was one too many: then it is answered like a fitting one
-- that came too late.
CREATE FUNCTION login_fail(p_username text, p_address text, most int, window_s int) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE failures int := throttle_count(throttle_key('pair', p_username, p_address), window_s);
BEGIN
  PERFORM throttle_count(throttle_key('name', p_username, ''), window_s);
  RETURN failures > most;
END $$;

-- ---- grants and what they give -----------------------------------------------------------------------------
CREATE FUNCTION grant_holds(g access_grant) RETURNS boolean LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT g.revoked_at IS NULL AND g.valid_from <= today() AND (g.valid_to IS NULL OR g.valid_to >= today()) $$;

-- The permissions of a role, cut down to a client's or a session's where there are any.
CREATE FUNCTION role_scopes(p_role text, limits text[]) RETURNS text[] LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(array_agg(permission ORDER BY permission), '{}') FROM role_permission
  WHERE role = p_role AND (limits IS NULL OR permission = 'me:read' OR permission = ANY (limits)) $$;

CREATE FUNCTION held_grant(g access_grant) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_build_object('id', g.id, 'role', g.role, 'organization',
      jsonb_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind),
    'valid_from', g.valid_from, 'valid_to', g.valid_to)
  FROM organization o WHERE o.id = g.organization_id $$;

-- The grants an account or a client may act under today, oldest first.
CREATE FUNCTION held_grants(holder uuid) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(jsonb_agg(held_grant(g) ORDER BY g.id), '[]')
  FROM access_grant g WHERE (g.account_id = holder OR g.client_id = holder) AND grant_holds(g) $$;

-- ---- sessions ----------------------------------------------------------------------------------------------
-- The last third, where the password fitted: a session in the grant asked for, else in the oldest one. Failures counted
-- meanwhile still close: guessing in parallel gains nothing. result: ok, throttled, unknown_grant, no_grant, or inactive
-- when the account has been suspended meanwhile.
CREATE FUNCTION login_finish(p_username text, p_address text, most int, window_s int, p_account uuid, p_grant uuid,
    p_session uuid, p_refresh bytea, refresh_s int,
    OUT result text, OUT grant_id uuid, OUT scope text, OUT grants text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  until timestamptz := clock_now() + make_interval(secs => refresh_s);
  pair record := throttle_state(throttle_key('pair', p_username, p_address), window_s);
  g access_grant;
BEGIN
  IF pair.failures >= most THEN
    result := 'throttled';
    RETURN;
  END IF;
  IF pair.failures > 0 THEN
    DELETE FROM login_throttle t WHERE t.key = throttle_key('pair', p_username, p_address);
  END IF;
  IF NOT throttle_known(p_username, p_address, interval '1 day') THEN
    INSERT INTO login_throttle AS l (key, failures, window_start)
    VALUES (throttle_key('known', p_username, p_address), 0, clock_now())
    ON CONFLICT (key) DO UPDATE SET window_start = clock_now();
  END IF;
  IF NOT EXISTS (SELECT FROM account a WHERE a.id = p_account AND a.status = 'active') THEN
    result := 'inactive';
    RETURN;
  END IF;
  SELECT * INTO g FROM access_grant x
  WHERE x.account_id = p_account AND (p_grant IS NULL OR x.id = p_grant) AND grant_holds(x) ORDER BY x.id LIMIT 1;
  IF NOT FOUND THEN
    result := CASE WHEN p_grant IS NULL THEN 'no_grant' ELSE 'unknown_grant' END;
    RETURN;
  END IF;
  INSERT INTO session (id, grant_id, account_id, expires_at) VALUES (p_session, g.id, p_account, until);
  INSERT INTO refresh_token (token_hash, session_id, expires_at) VALUES (p_refresh, p_session, until);
  result := 'ok';
  grant_id := g.id;
  scope := array_to_string(role_scopes(g.role, NULL), ' ');
  grants := held_grants(p_account)::text;
END $$;

-- The scopes asked for; who one is may always be read.
CREATE FUNCTION narrowed(asked text[]) RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT CASE WHEN 'me:read' = ANY (asked) THEN asked ELSE array_prepend('me:read', asked) END WHERE asked IS NOT NULL $$;

-- A client proves itself with its secret's hash: its id, or NULL.
CREATE FUNCTION client_check(p_client text, p_secret bytea) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT c.id FROM client c
  WHERE is_uuid(p_client) AND c.id = CASE WHEN is_uuid(p_client) THEN p_client::uuid END
    AND c.status = 'active' AND c.secret_hash = p_secret $$;

-- A session of a client's own, for as long as its access token. asked: NULL for all that it may have.
-- result: ok, or an error's name of RFC 6749.
CREATE FUNCTION client_session(p_client text, p_secret bytea, p_session uuid, asked text[], access_s int,
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
  INSERT INTO session (id, grant_id, client_id, expires_at, scopes)
  VALUES (p_session, g.id, c.id, clock_now() + make_interval(secs => access_s), asked);
  result := 'ok';
  grant_id := g.id;
  subject := c.id;
  scope := array_to_string(coalesce(narrowed(asked), given), ' ');
END $$;

-- Changes a refresh token for the next one. One that was used before ends its whole session: either it or its successor
-- is in wrong hands. asked narrows the new access token alone. result: ok, or an error's name of RFC 6749, or reused.
CREATE FUNCTION refresh_use(p_old bytea, p_new bytea, refresh_s int, p_client uuid, asked text[],
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
  UPDATE session x SET expires_at = until WHERE x.id = s.id;
  result := 'ok';
  session_id := s.id;
  grant_id := g.id;
  subject := coalesce(s.account_id, s.client_id);
  scope := array_to_string(coalesce(narrowed(asked), given), ' ');
END $$;

-- Ends a session, named by its id or by one of its refresh tokens; unknown ones end nothing. A client that proved itself
-- ends sessions of its own alone.
CREATE FUNCTION session_end(p_session uuid, p_refresh bytea, p_client uuid) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  UPDATE session s SET revoked_at = clock_now(), revoked_reason = 'ended by its holder'
  WHERE s.revoked_at IS NULL AND (p_client IS NULL OR s.client_id = p_client)
    AND (s.id = p_session OR s.id = (SELECT t.session_id FROM refresh_token t WHERE t.token_hash = p_refresh)) $$;

-- ---- signing keys ------------------------------------------------------------------------------------------
-- The keys whose tokens are accepted, newest first.
CREATE FUNCTION signing_keys() RETURNS TABLE (kid text, public_jwk text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT k.kid, k.public_jwk FROM signing_key k
  WHERE k.accepted_until IS NULL OR k.accepted_until > clock_now() ORDER BY k.created_at DESC, k.kid $$;

-- The key that signs now, sealed.
CREATE FUNCTION signing_key_active(OUT kid text, OUT sealed text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT k.kid, encode(k.private_sealed, 'hex') FROM signing_key k
  WHERE k.signs_until IS NULL ORDER BY k.created_at DESC, k.kid LIMIT 1 $$;

-- A new key signs from now on; the ones before it are accepted for so long yet. For the owner alone.
CREATE FUNCTION signing_key_rotate(p_kid text, p_public text, p_sealed bytea, overlap_s int) RETURNS void
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('tiendo.signing_key', 0));
  UPDATE signing_key k SET signs_until = clock_now(), accepted_until = clock_now() + make_interval(secs => overlap_s)
  WHERE k.signs_until IS NULL;
  INSERT INTO signing_key (kid, public_jwk, private_sealed) VALUES (p_kid, p_public, p_sealed);
END $$;

-- ---- the beginning of everything ---------------------------------------------------------------------------
-- What the journal keeps of the first account: no password, no hash.
CREATE FUNCTION account_image(a account) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_build_object('id', a.id, 'username', a.username, 'display_name', a.display_name,
    'organization_id', a.organization_id, 'status', a.status, 'version', a.version) $$;

-- A root unit, its first administrator and that account's grant; what is there already stays as it is. made says what
-- was missing. For the owner alone.
CREATE FUNCTION bootstrap(root uuid, account uuid, grant_row uuid, p jsonb, p_password_hash text) RETURNS text[]
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  made text[] := '{}';
  unit organization;
  a account;
  made_grant access_grant;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('tiendo.bootstrap', 0));
  SELECT * INTO unit FROM organization o WHERE o.parent_id IS NULL AND o.code = p ->> 'code';
  IF NOT FOUND THEN
    INSERT INTO organization (id, code, name, kind, valid_from)
    VALUES (root, p ->> 'code', p ->> 'name', p ->> 'kind', (p ->> 'valid_from')::date) RETURNING * INTO unit;
    PERFORM organization_spell(unit, p -> 'former');
    PERFORM journal('create', 'organization', unit.id, unit.version, unit.scope_key, NULL,
      to_jsonb(unit) - 'search' - 'scope_key');
    made := array_append(made, 'organization');
  END IF;
  SELECT * INTO a FROM account x WHERE x.username = p ->> 'username';
  IF NOT FOUND THEN
    INSERT INTO account (id, organization_id, username, display_name, password_hash)
    VALUES (account, unit.id, p ->> 'username', p ->> 'display_name', p_password_hash) RETURNING * INTO a;
    PERFORM journal('create', 'account', a.id, a.version, a.scope_key, NULL, account_image(a));
    made := array_append(made, 'account');
  END IF;
  IF NOT EXISTS (SELECT FROM access_grant x WHERE x.account_id = a.id AND x.organization_id = unit.id
      AND x.role = 'administrator' AND grant_holds(x)) THEN
    IF NOT 'account' = ANY (made) THEN
      RAISE EXCEPTION 'the account % exists and is no administrator of %', a.username, unit.code;
    END IF;
    INSERT INTO access_grant (id, account_id, organization_id, role, valid_from)
    VALUES (grant_row, a.id, unit.id, 'administrator', today()) RETURNING * INTO made_grant;
    PERFORM journal('create', 'grant', made_grant.id, made_grant.version, made_grant.scope_key, NULL,
      grant_json(made_grant));
    made := array_append(made, 'grant');
  END IF;
  RETURN made;
END $$;

-- ---- who am I ----------------------------------------------------------------------------------------------
-- The mandates that the seat holds today, and over which unit each reaches.
CREATE FUNCTION seat_mandates() RETURNS TABLE (m mandate, over_id uuid)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT x, coalesce(x.over_id, seat.parent_id)
  FROM organization seat
    JOIN mandate x ON x.unit_id = seat.id
      OR (x.unit_kind = seat.kind AND seat.parent_id IS NOT NULL
        AND EXISTS (SELECT FROM organization p WHERE p.id = seat.parent_id AND p.scope_key ^@ x.scope_key))
  WHERE seat.id = me_seat() AND x.valid_from <= today() AND (x.valid_to IS NULL OR x.valid_to >= today()) $$;

-- What the entered caller is and may do, and why.
CREATE FUNCTION me_json() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  limits text[] := (SELECT scopes FROM client WHERE id = me_client());
  mandates jsonb;
  areas jsonb;
BEGIN
  SELECT coalesce(jsonb_agg(jsonb_build_object('id', (s.m).id, 'giver', organization_ref((s.m).giver_id),
      'over', organization_ref(s.over_id), 'functions', (s.m).functions,
      'programme', (SELECT p.code FROM programme p WHERE p.id = (s.m).programme_id), 'document', (s.m).document,
      'valid_from', (s.m).valid_from, 'valid_to', (s.m).valid_to) ORDER BY (s.m).id), '[]')
    INTO mandates FROM seat_mandates() s;
  areas := jsonb_build_array(jsonb_build_object('organization', organization_ref(me_seat()), 'because', 'seat',
      'functions', NULL, 'programme', NULL))
    || (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', x -> 'over', 'because', 'mandate',
          'functions', x -> 'functions', 'programme', x -> 'programme')), '[]') FROM jsonb_array_elements(mandates) x);
  RETURN (SELECT json_build_object(
    'account', (SELECT json_build_object('id', a.id, 'username', a.username, 'display_name', a.display_name,
        'organization', organization_ref(a.organization_id)) FROM account a WHERE a.id = me_account()),
    'client', (SELECT json_build_object('id', c.id, 'name', c.name, 'organization', organization_ref(c.organization_id))
        FROM client c WHERE c.id = me_client()),
    'session', me_session(),
    'grant', (SELECT held_grant(g) FROM access_grant g WHERE g.id = me_grant()),
    'grants', held_grants(coalesce(me_account(), me_client())),
    'permissions', to_json(role_scopes(me_role(), limits)),
    'mandates', mandates,
    'scope', areas)::text);
END $$;

GRANT EXECUTE ON FUNCTION login_begin(text, text, int, int), login_fail(text, text, int, int),
  login_finish(text, text, int, int, uuid, uuid, uuid, bytea, int),
  client_check(text, bytea), client_session(text, bytea, uuid, text[], int), refresh_use(bytea, bytea, int, uuid, text[]),
  session_end(uuid, bytea, uuid), signing_keys(), signing_key_active(), me_json()
  TO tiendo_service;
