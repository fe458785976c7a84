-- enter(): the first statement of every request. Checks account, grant, session, key and permission before anything
-- else happens, and works out the caller's scope once, as a small set of key ranges.
SET search_path = tiendo, public;

-- Adds an area to the pairs (programme, area) that a programme-bound mandate gives.
CREATE FUNCTION add_limited(INOUT programmes uuid[], INOUT scopes text[], programme uuid, key text)
  LANGUAGE plpgsql IMMUTABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE i int := array_position(programmes, programme);
BEGIN
  IF i IS NULL THEN
    programmes := programmes || programme;
    scopes := scopes || keymultirange(subtree(key))::text;
  ELSE
    scopes[i] := (scopes[i]::keymultirange + keymultirange(subtree(key)))::text;
  END IF;
END $$;

-- Errors: 401 invalid_token when the session, its key, account or grant no longer holds; 403 insufficient_scope when
-- the role (or the client's scopes) lacks the permission. A NULL permission asks for an authenticated caller only.
-- Of all definer functions this one alone has no SET search_path, which would cost a quarter of its time: every name in it
-- is qualified instead, its types too (pg_temp is searched first for tables and types), and the service's role can create nothing
-- that could stand in for a function or an operator.
CREATE FUNCTION enter(p_grant uuid, p_session uuid, p_kid text, p_permission text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  -- scalars, not a record: a record's type is looked up anew on every call (a sixth of the time)
  c_account pg_catalog.uuid; c_client pg_catalog.uuid; c_seat pg_catalog.uuid; c_root pg_catalog.uuid; c_parent pg_catalog.uuid;
  c_role pg_catalog.text; c_key pg_catalog.text; c_kind pg_catalog.text; c_status pg_catalog.text; c_grows pg_catalog.text;
  c_scopes pg_catalog.text[]; c_from pg_catalog.date; c_to pg_catalog.date; c_revoked pg_catalog.timestamptz;
  c_expires pg_catalog.timestamptz; c_session_revoked pg_catalog.timestamptz; c_allowed pg_catalog.bool; c_key_ok pg_catalog.bool;
  at pg_catalog.timestamptz := tiendo.clock_now();
  on_day pg_catalog.date := tiendo.today();
  m_key pg_catalog.text; m_functions pg_catalog.text[]; m_programme pg_catalog.uuid;
  own tiendo.keymultirange;
  readable tiendo.keymultirange;
  visible tiendo.keymultirange;
  writable tiendo.keymultirange := '{}';
  behalf tiendo.keymultirange := '{}';
  lp pg_catalog.uuid[]; ls pg_catalog.text[];
  wp pg_catalog.uuid[]; ws pg_catalog.text[];
BEGIN
  SELECT g.account_id, g.client_id, g.role, g.organization_id, g.valid_from, g.valid_to, g.revoked_at,
      o.scope_key, o.root_id, o.kind, o.parent_id, s.expires_at, s.revoked_at,
      coalesce(a.status, k.status), k.scopes, rp.grows, rp.role IS NOT NULL,
      sk.kid IS NOT NULL AND (sk.accepted_until IS NULL OR sk.accepted_until > at)
    INTO c_account, c_client, c_role, c_seat, c_from, c_to, c_revoked, c_key, c_root, c_kind, c_parent, c_expires,
      c_session_revoked, c_status, c_scopes, c_grows, c_allowed, c_key_ok
    FROM tiendo.access_grant g
      JOIN tiendo.session s ON s.id = p_session AND s.grant_id = g.id
      JOIN tiendo.organization o ON o.id = g.organization_id
      LEFT JOIN tiendo.account a ON a.id = g.account_id
      LEFT JOIN tiendo.client k ON k.id = g.client_id
      LEFT JOIN tiendo.signing_key sk ON sk.kid = p_kid
      LEFT JOIN tiendo.role_permission rp ON rp.role = g.role AND rp.permission = p_permission
    WHERE g.id = p_grant;
  IF NOT FOUND OR NOT c_key_ok OR c_session_revoked IS NOT NULL OR c_expires <= at OR c_status <> 'active'
      OR c_revoked IS NOT NULL OR c_from > on_day OR c_to < on_day THEN
    PERFORM tiendo.fail(401, 'invalid_token');
  END IF;
  IF p_permission IS NOT NULL AND NOT (c_allowed AND (c_client IS NULL OR p_permission = 'me:read' OR p_permission = ANY (c_scopes))) THEN
    PERFORM tiendo.fail(403, 'insufficient_scope', NULL,
      format('The permission %s is needed; the role %s does not give it here.', p_permission, c_role));
  END IF;

  own := tiendo.keymultirange(tiendo.subtree(c_key));
  readable := own;
  visible := own;
  IF c_grows = 'enter' THEN
    IF c_role = 'connector' THEN
      writable := own;
    ELSE
      writable := tiendo.keymultirange(tiendo.keyrange(c_key, c_key, '[]'));
      behalf := own;
    END IF;
  ELSIF c_grows = 'define' OR (c_grows IS NULL AND c_role = 'administrator') THEN
    writable := own;
  END IF;
  FOR m_key, m_functions, m_programme IN
    SELECT o.scope_key, x.functions, x.programme_id
    FROM tiendo.mandate x JOIN tiendo.organization o ON o.id = x.over_id
    WHERE x.unit_id = c_seat AND x.valid_from <= on_day AND (x.valid_to IS NULL OR x.valid_to >= on_day)
    UNION ALL
    SELECT o.scope_key, x.functions, x.programme_id
    FROM tiendo.mandate x JOIN tiendo.organization o ON o.id = c_parent
    WHERE x.unit_kind = c_kind AND o.scope_key ^@ x.scope_key
      AND x.valid_from <= on_day AND (x.valid_to IS NULL OR x.valid_to >= on_day)
  LOOP
    visible := visible + tiendo.keymultirange(tiendo.subtree(m_key));
    IF m_programme IS NULL THEN
      readable := readable + tiendo.keymultirange(tiendo.subtree(m_key));
      IF c_grows = ANY (m_functions) AND c_grows <> 'read' THEN
        writable := writable + tiendo.keymultirange(tiendo.subtree(m_key));
      END IF;
    ELSE
      SELECT x.programmes, x.scopes INTO lp, ls FROM tiendo.add_limited(lp, ls, m_programme, m_key) x;
      IF c_grows = ANY (m_functions) AND c_grows <> 'read' THEN
        SELECT x.programmes, x.scopes INTO wp, ws FROM tiendo.add_limited(wp, ws, m_programme, m_key) x;
      END IF;
    END IF;
  END LOOP;

  PERFORM set_config('tiendo.lo', lower(visible), true), set_config('tiendo.hi', upper(visible), true),
    set_config('tiendo.one', (readable = visible AND visible = tiendo.keymultirange(range_merge(visible)))::pg_catalog.text, true),
    set_config('tiendo.me', concat(p_grant, '|', p_session, '|', c_account, '|', c_client, '|', c_seat, '|',
      c_key, '|', c_root, '|', c_role, '|', p_permission, '|', visible, '|', readable, '|', writable, '|', behalf, '|',
      lp, '|', ls, '|', wp, '|', ws), true);
END $$;
GRANT EXECUTE ON FUNCTION enter(uuid, uuid, text, text), organization_id(text), key_of(text), filter_key(text, text),
  path_organization(text), filter_organization(text, text), organization_ref(uuid), organization_search(text) TO tiendo_service;
