-- enter() for a tree that changes: what an ended unit leaves to others, delegations, tokens of outside issuers, and the lock that
-- keeps keys still while something is written.
SET search_path = tiendo, public;

-- ---- permissions -------------------------------------------------------------------------------------------
ALTER TABLE permission DROP CONSTRAINT permission_grows_check;
ALTER TABLE permission ADD CONSTRAINT permission_grows_check CHECK (grows IN ('read', 'enter', 'define', 'review', 'remind', 'audit'));
INSERT INTO permission (code, grows, for_client) VALUES
  ('me:write', NULL, false), ('delegations:read', NULL, false), ('delegations:write', NULL, false),
  ('changes:read', 'read', true), ('audit:read', 'audit', false), ('reorganizations:write', 'define', true);
INSERT INTO role_permission (role, permission, grows)
SELECT r, p.code, p.grows
FROM permission p, unnest(ARRAY['viewer', 'reporter', 'approver', 'manager', 'administrator', 'inspector', 'connector']) r
WHERE (p.code IN ('me:write', 'delegations:read', 'delegations:write') AND r <> 'connector')
  OR p.code = 'changes:read'
  OR (p.code = 'audit:read' AND r IN ('approver', 'manager', 'administrator', 'inspector'))
  OR (p.code = 'reorganizations:write' AND r IN ('manager', 'connector'));

-- ---- what enter() goes by ----------------------------------------------------------------------------------
-- heritage: keys of ended units that are read at this unit though they do not lie below it: they were last below it, or a
-- successor of theirs is it or lies below it. owes: keys of the ended units that this one succeeds, wherever they lie: what they
-- still owed is entered and corrected here. Both are kept with the tree; NULL nearly everywhere.
ALTER TABLE organization ADD COLUMN heritage text[] COLLATE "C", ADD COLUMN owes text[] COLLATE "C";
-- The outside issuer whose token a session stands for; NULL: a session of our own.
ALTER TABLE session ADD COLUMN issuer text CHECK (length(issuer) BETWEEN 1 AND 200);
-- The grant a delegation comes from, and ends with.
ALTER TABLE access_grant ADD COLUMN delegated_from uuid REFERENCES access_grant (id);
CREATE INDEX access_grant_delegated ON access_grant (delegated_from) WHERE delegated_from IS NOT NULL;

-- Everything that writes shares this lock to the end of its transaction; what changes the tree's keys takes it alone. So a
-- key read while writing is still the unit's when the row is written.
CREATE FUNCTION tree_lock() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT hashtextextended('tiendo.tree', 0) $$;
-- Takes it alone. Those who wait for it alone hold up all who come after them, so for the first three seconds it is only tried
-- for: behind a long import the others go on meanwhile.
CREATE FUNCTION tree_lock_alone() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  FOR n IN 1 .. 150 LOOP
    IF pg_try_advisory_xact_lock(tree_lock()) THEN RETURN; END IF;
    PERFORM pg_sleep(0.02);
  END LOOP;
  PERFORM pg_advisory_xact_lock(tree_lock());
END $$;

-- The refusal of a permission: 403, and why.
CREATE FUNCTION enter_refused(permission text, role text, client_scopes text[]) RETURNS void
  LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM fail(403, 'insufficient_scope', NULL,
    format('The permission %s is needed; the role %s does not give it here.', permission, role));
END $$;
-- The refusal of writing from a unit that is not there today.
CREATE FUNCTION enter_ended(seat uuid) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE o organization := (SELECT x FROM organization x WHERE x.id = seat);
BEGIN
  PERFORM fail(403, 'forbidden', NULL, CASE WHEN o.valid_from > today() THEN format('%s exists from %s on.', o.code, o.valid_from)
    ELSE format('%s ended on %s: it is read, and what it still owed is entered by its successors.', o.code, o.valid_to) END);
END $$;

-- Errors: 401 invalid_token when the session, its key, account or grant no longer holds; 403 when the role (or the client's
-- scopes) lacks the permission, or the seat is a unit of the past that would write. A NULL permission asks for an authenticated
-- caller only. As before, no SET search_path: every name is qualified, its types too.
CREATE OR REPLACE FUNCTION enter(p_grant uuid, p_session uuid, p_kid text, p_permission text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  -- scalars, not a record: a record's type is looked up anew on every call (a sixth of the time)
  c_account pg_catalog.uuid; c_client pg_catalog.uuid; c_seat pg_catalog.uuid; c_root pg_catalog.uuid; c_parent pg_catalog.uuid;
  c_role pg_catalog.text; c_key pg_catalog.text; c_kind pg_catalog.text; c_status pg_catalog.text; c_grows pg_catalog.text;
  c_scopes pg_catalog.text[]; c_from pg_catalog.date; c_to pg_catalog.date; c_revoked pg_catalog.timestamptz;
  c_expires pg_catalog.timestamptz; c_session_revoked pg_catalog.timestamptz; c_allowed pg_catalog.bool; c_key_ok pg_catalog.bool;
  c_heritage pg_catalog.text[]; c_owes pg_catalog.text[]; c_lives pg_catalog.bool; c_delegated pg_catalog.uuid;
  at pg_catalog.timestamptz := tiendo.clock_now();
  on_day pg_catalog.date := tiendo.today();
  writes pg_catalog.bool := p_permission LIKE '%:write';
  m_key pg_catalog.text; m_functions pg_catalog.text[]; m_programme pg_catalog.uuid; m_heritage pg_catalog.text[];
  k pg_catalog.text;
  own tiendo.keymultirange;
  readable tiendo.keymultirange;
  visible tiendo.keymultirange;
  writable tiendo.keymultirange := '{}';
  behalf tiendo.keymultirange := '{}';
  lp pg_catalog.uuid[]; ls pg_catalog.text[];
  wp pg_catalog.uuid[]; ws pg_catalog.text[];
BEGIN
  IF writes AND p_permission <> 'reorganizations:write' THEN
    PERFORM pg_advisory_xact_lock_shared(tiendo.tree_lock());
  END IF;
  SELECT g.account_id, g.client_id, g.role, g.organization_id, g.valid_from, g.valid_to, g.revoked_at, g.delegated_from,
      o.scope_key, o.root_id, o.kind, o.parent_id, o.heritage, o.owes, o.valid_from <= on_day AND coalesce(o.valid_to >= on_day, true),
      s.expires_at, s.revoked_at,
      coalesce(a.status, c.status), c.scopes, rp.grows, rp.role IS NOT NULL,
      coalesce(p_kid = 'outside:' || s.issuer, sk.kid IS NOT NULL AND (sk.accepted_until IS NULL OR sk.accepted_until > at))
    INTO c_account, c_client, c_role, c_seat, c_from, c_to, c_revoked, c_delegated, c_key, c_root, c_kind, c_parent, c_heritage, c_owes,
      c_lives, c_expires, c_session_revoked, c_status, c_scopes, c_grows, c_allowed, c_key_ok
    FROM tiendo.access_grant g
      JOIN tiendo.session s ON s.id = p_session AND s.grant_id = g.id
      JOIN tiendo.organization o ON o.id = g.organization_id
      LEFT JOIN tiendo.account a ON a.id = g.account_id
      LEFT JOIN tiendo.client c ON c.id = g.client_id
      LEFT JOIN tiendo.signing_key sk ON sk.kid = p_kid
      LEFT JOIN tiendo.role_permission rp ON rp.role = g.role AND rp.permission = p_permission
    WHERE g.id = p_grant;
  IF NOT FOUND OR NOT c_key_ok OR c_session_revoked IS NOT NULL OR c_expires <= at OR c_status <> 'active'
      OR c_revoked IS NOT NULL OR c_from > on_day OR c_to < on_day THEN
    PERFORM tiendo.fail(401, 'invalid_token');
  END IF;
  IF c_delegated IS NOT NULL AND NOT EXISTS (SELECT FROM tiendo.access_grant g JOIN tiendo.account a ON a.id = g.account_id
      WHERE g.id = c_delegated AND a.status = 'active' AND g.revoked_at IS NULL AND g.valid_from <= on_day
        AND (g.valid_to IS NULL OR g.valid_to >= on_day)) THEN
    PERFORM tiendo.fail(401, 'invalid_token');
  END IF;
  IF p_permission IS NOT NULL AND NOT (c_allowed AND (c_client IS NULL OR p_permission = 'me:read' OR p_permission = ANY (c_scopes))) THEN
    PERFORM tiendo.enter_refused(p_permission, c_role, c_scopes);
  END IF;
  IF writes THEN
    IF NOT c_lives AND p_permission <> 'me:write' THEN PERFORM tiendo.enter_ended(c_seat); END IF;
    IF p_permission = 'reorganizations:write' THEN
      PERFORM tiendo.tree_lock_alone();
      SELECT o.scope_key, o.root_id, o.kind, o.parent_id, o.heritage INTO c_key, c_root, c_kind, c_parent, c_heritage
      FROM tiendo.organization o WHERE o.id = c_seat;
    END IF;
  END IF;

  own := tiendo.keymultirange(tiendo.subtree(c_key));
  readable := own;
  IF c_grows = 'enter' THEN
    IF c_role = 'connector' THEN
      writable := own;
    ELSE
      writable := tiendo.keymultirange(tiendo.keyrange(c_key, c_key, '[]'));
      behalf := own;
    END IF;
    FOREACH k IN ARRAY coalesce(c_owes, '{}') LOOP
      writable := writable + tiendo.keymultirange(tiendo.subtree(k));
    END LOOP;
  ELSIF c_grows = 'define' OR (c_grows IS NULL AND c_role = 'administrator') THEN
    writable := own;
  END IF;
  FOREACH k IN ARRAY coalesce(c_heritage, '{}') LOOP
    readable := readable + tiendo.keymultirange(tiendo.subtree(k));
  END LOOP;
  visible := readable;
  FOR m_key, m_heritage, m_functions, m_programme IN
    SELECT o.scope_key, o.heritage, x.functions, x.programme_id
    FROM tiendo.mandate x JOIN tiendo.organization o ON o.id = x.over_id
    WHERE x.unit_id = c_seat AND x.valid_from <= on_day AND (x.valid_to IS NULL OR x.valid_to >= on_day)
    UNION ALL
    SELECT o.scope_key, o.heritage, x.functions, x.programme_id
    FROM tiendo.mandate x JOIN tiendo.organization o ON o.id = c_parent
    WHERE x.unit_kind = c_kind AND o.scope_key ^@ x.scope_key
      AND x.valid_from <= on_day AND (x.valid_to IS NULL OR x.valid_to >= on_day)
  LOOP
    FOREACH k IN ARRAY m_key || coalesce(m_heritage, '{}') LOOP
      visible := visible + tiendo.keymultirange(tiendo.subtree(k));
      IF m_programme IS NULL THEN
        readable := readable + tiendo.keymultirange(tiendo.subtree(k));
      ELSE
        SELECT x.programmes, x.scopes INTO lp, ls FROM tiendo.add_limited(lp, ls, m_programme, k) x;
      END IF;
    END LOOP;
    IF c_grows = ANY (m_functions) AND c_grows <> 'read' THEN
      IF m_programme IS NULL THEN
        writable := writable + tiendo.keymultirange(tiendo.subtree(m_key));
      ELSE
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
GRANT EXECUTE ON FUNCTION tree_lock() TO tiendo_service;
