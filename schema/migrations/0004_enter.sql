-- enter(): the first statement of every request. Checks account, grant, session, key and permission before anything
-- else happens, and works out the caller's scope once, as a small set of key ranges.
SET search_path = tiendo, public;

-- The mandates of a seat in force on a day, with the area each is given over.
CREATE FUNCTION mandates_of(seat uuid, seat_kind text, parent uuid, on_day date)
  RETURNS TABLE (mandate_id uuid, over_id uuid, over_key text, functions text[], programme_id uuid)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public ROWS 2 AS $$
  SELECT m.id, o.id, o.scope_key, m.functions, m.programme_id
  FROM mandate m JOIN organization o ON o.id = m.over_id
  WHERE m.unit_id = seat AND m.valid_from <= on_day AND (m.valid_to IS NULL OR m.valid_to >= on_day)
  UNION ALL
  SELECT m.id, o.id, o.scope_key, m.functions, m.programme_id
  FROM mandate m JOIN organization o ON o.id = parent
    JOIN organization giver ON giver.id = m.giver_id AND o.scope_key ^@ giver.scope_key
  WHERE m.unit_kind = seat_kind AND m.valid_from <= on_day AND (m.valid_to IS NULL OR m.valid_to >= on_day) $$;

-- Adds an area to the pairs (programme, area) that a programme-bound mandate gives.
CREATE FUNCTION add_limited(INOUT programmes uuid[], INOUT scopes text[], programme uuid, key text)
  LANGUAGE plpgsql IMMUTABLE SET search_path = tiendo, public AS $$
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
CREATE FUNCTION enter(p_grant uuid, p_session uuid, p_kid text, p_permission text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public AS $$
DECLARE
  c record;
  m record;
  own keymultirange;
  readable keymultirange;
  visible keymultirange;
  writable keymultirange := '{}';
  behalf keymultirange := '{}';
  lp uuid[] := '{}'; ls text[] := '{}';
  wp uuid[] := '{}'; ws text[] := '{}';
BEGIN
  SELECT g.account_id, g.client_id, g.role, g.organization_id, g.valid_from, g.valid_to, g.revoked_at,
      o.scope_key, o.root_id, o.kind, o.parent_id, s.expires_at, s.revoked_at AS session_revoked,
      coalesce(a.status, k.status) AS status, k.scopes, clock_now() AS at, today() AS on_day,
      p.grows, p.code IS NOT NULL AS known, rp.role IS NOT NULL AS allowed,
      sk.kid IS NOT NULL AND (sk.accepted_until IS NULL OR sk.accepted_until > clock_now()) AS key_ok
    INTO c
    FROM access_grant g
      JOIN session s ON s.id = p_session AND s.grant_id = g.id
      JOIN organization o ON o.id = g.organization_id
      LEFT JOIN account a ON a.id = g.account_id
      LEFT JOIN client k ON k.id = g.client_id
      LEFT JOIN signing_key sk ON sk.kid = p_kid
      LEFT JOIN permission p ON p.code = p_permission
      LEFT JOIN role_permission rp ON rp.role = g.role AND rp.permission = p_permission
    WHERE g.id = p_grant;
  IF NOT FOUND OR NOT c.key_ok OR c.session_revoked IS NOT NULL OR c.expires_at <= c.at OR c.status <> 'active'
      OR c.revoked_at IS NOT NULL OR c.valid_from > c.on_day OR c.valid_to < c.on_day THEN
    PERFORM fail(401, 'invalid_token');
  END IF;
  IF p_permission IS NOT NULL AND NOT (c.allowed AND (c.client_id IS NULL OR p_permission = 'me:read' OR p_permission = ANY (c.scopes))) THEN
    PERFORM fail(403, 'insufficient_scope', NULL,
      format('The permission %s is needed; the role %s does not give it here.', p_permission, c.role));
  END IF;

  own := keymultirange(subtree(c.scope_key));
  readable := own;
  visible := own;
  IF c.grows = 'enter' THEN
    IF c.role = 'connector' THEN
      writable := own;
    ELSE
      writable := keymultirange(keyrange(c.scope_key, c.scope_key, '[]'));
      behalf := own;
    END IF;
  ELSIF c.grows = 'define' OR (c.grows IS NULL AND c.role = 'administrator') THEN
    writable := own;
  END IF;
  FOR m IN SELECT * FROM mandates_of(c.organization_id, c.kind, c.parent_id, c.on_day) LOOP
    visible := visible + keymultirange(subtree(m.over_key));
    IF m.programme_id IS NULL THEN
      readable := readable + keymultirange(subtree(m.over_key));
      IF c.grows = ANY (m.functions) AND c.grows <> 'read' THEN
        writable := writable + keymultirange(subtree(m.over_key));
      END IF;
    ELSE
      SELECT * INTO lp, ls FROM add_limited(lp, ls, m.programme_id, m.over_key);
      IF c.grows = ANY (m.functions) AND c.grows <> 'read' THEN
        SELECT * INTO wp, ws FROM add_limited(wp, ws, m.programme_id, m.over_key);
      END IF;
    END IF;
  END LOOP;

  PERFORM set_config('tiendo.grant', p_grant::text, true), set_config('tiendo.session', p_session::text, true),
    set_config('tiendo.account', coalesce(c.account_id::text, ''), true),
    set_config('tiendo.client', coalesce(c.client_id::text, ''), true),
    set_config('tiendo.seat', c.organization_id::text, true), set_config('tiendo.seat_key', c.scope_key, true),
    set_config('tiendo.root', c.root_id::text, true), set_config('tiendo.role', c.role, true),
    set_config('tiendo.permission', coalesce(p_permission, ''), true),
    set_config('tiendo.lo', lower(visible), true), set_config('tiendo.hi', upper(visible), true),
    set_config('tiendo.area', visible::text, true), set_config('tiendo.scope', readable::text, true),
    set_config('tiendo.write_scope', writable::text, true), set_config('tiendo.behalf_scope', behalf::text, true);
  IF cardinality(lp) > 0 THEN
    PERFORM set_config('tiendo.limited_programmes', lp::text, true), set_config('tiendo.limited_scopes', ls::text, true),
      set_config('tiendo.limited_write_programmes', wp::text, true), set_config('tiendo.limited_write_scopes', ws::text, true);
  END IF;
END $$;
GRANT EXECUTE ON FUNCTION enter(uuid, uuid, text, text), organization_id(text), key_of(text), filter_key(text, text), path_organization(text), filter_organization(text, text),
  organization_ref(uuid), organization_search(text) TO tiendo_service;
