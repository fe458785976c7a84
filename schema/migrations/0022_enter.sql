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
-- One at a time changes the tree, or tries to; a trial holds up no other writer, for it changes nothing in the end.
CREATE FUNCTION tree_change_lock() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('tiendo.tree.change', 0));
END $$;
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

-- Whether the grant a delegation comes from still holds, and still reaches the delegated unit, wherever that stands now.
CREATE FUNCTION enter_delegated(giver uuid, key text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT FROM access_grant g JOIN account a ON a.id = g.account_id
    WHERE g.id = giver AND a.status = 'active' AND g.revoked_at IS NULL AND g.valid_from <= today()
      AND (g.valid_to IS NULL OR g.valid_to >= today()) AND key ^@ g.scope_key);
END $$;

-- The scope of an entered caller in full: its subtree, what it inherits, what its predecessors owe, and its mandates. Ranges are
-- gathered as text, which is read into a multirange once (its constructors are looked up by name in every transaction).
CREATE FUNCTION enter_scope(p_grant uuid, p_session uuid, p_permission text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c_account pg_catalog.uuid; c_client pg_catalog.uuid; c_seat pg_catalog.uuid; c_root pg_catalog.uuid; c_parent pg_catalog.uuid;
  c_role pg_catalog.text; c_key pg_catalog.text; c_kind pg_catalog.text; c_grows pg_catalog.text;
  c_heritage pg_catalog.text[]; c_owes pg_catalog.text[];
  on_day pg_catalog.date := tiendo.today();
  m_key pg_catalog.text; m_functions pg_catalog.text[]; m_programme pg_catalog.uuid; m_heritage pg_catalog.text[];
  k pg_catalog.text; own pg_catalog.text; part pg_catalog.text;
  reads pg_catalog.text; sees pg_catalog.text; writes pg_catalog.text := ''; behalf pg_catalog.text := '';
  readable tiendo.keymultirange; visible tiendo.keymultirange;
  lp pg_catalog.uuid[]; ls pg_catalog.text[];
  wp pg_catalog.uuid[]; ws pg_catalog.text[];
BEGIN
  SELECT g.account_id, g.client_id, g.role, g.organization_id, o.scope_key, o.root_id, o.kind, o.parent_id, o.heritage, o.owes, rp.grows
    INTO c_account, c_client, c_role, c_seat, c_key, c_root, c_kind, c_parent, c_heritage, c_owes, c_grows
    FROM tiendo.access_grant g JOIN tiendo.organization o ON o.id = g.organization_id
      LEFT JOIN tiendo.role_permission rp ON rp.role = g.role AND rp.permission = p_permission
    WHERE g.id = p_grant;
  own := concat(',[', c_key, ',', c_key, '~)');
  reads := own;
  IF c_grows = 'enter' THEN
    IF c_role = 'connector' THEN
      writes := own;
    ELSE
      writes := concat(',[', c_key, ',', c_key, ']');
      behalf := own;
    END IF;
    FOREACH k IN ARRAY coalesce(c_owes, '{}') LOOP
      writes := concat(writes, ',[', k, ',', k, '~)');
    END LOOP;
  ELSIF c_grows = 'define' OR (c_grows IS NULL AND c_role = 'administrator') THEN
    writes := own;
  END IF;
  FOREACH k IN ARRAY coalesce(c_heritage, '{}') LOOP
    reads := concat(reads, ',[', k, ',', k, '~)');
  END LOOP;
  sees := reads;
  FOR m_key, m_heritage, m_functions, m_programme IN
    SELECT o.scope_key, o.heritage, x.functions, x.programme_id
    FROM tiendo.mandate x JOIN tiendo.organization o ON o.id = x.over_id
    -- (what has left the giver's own subtree is no longer the giver's to entrust)
    WHERE x.unit_id = c_seat AND o.scope_key ^@ x.scope_key AND x.valid_from <= on_day AND (x.valid_to IS NULL OR x.valid_to >= on_day)
    UNION ALL
    SELECT o.scope_key, o.heritage, x.functions, x.programme_id
    FROM tiendo.mandate x JOIN tiendo.organization o ON o.id = c_parent
    WHERE x.unit_kind = c_kind AND o.scope_key ^@ x.scope_key
      AND x.valid_from <= on_day AND (x.valid_to IS NULL OR x.valid_to >= on_day)
  LOOP
    FOREACH k IN ARRAY m_key || coalesce(m_heritage, '{}') LOOP
      part := concat(',[', k, ',', k, '~)');
      sees := concat(sees, part);
      IF m_programme IS NULL THEN
        reads := concat(reads, part);
      ELSE
        SELECT x.programmes, x.scopes INTO lp, ls FROM tiendo.add_limited(lp, ls, m_programme, k) x;
      END IF;
    END LOOP;
    IF c_grows = ANY (m_functions) AND c_grows <> 'read' THEN
      IF m_programme IS NULL THEN
        writes := concat(writes, ',[', m_key, ',', m_key, '~)');
      ELSE
        SELECT x.programmes, x.scopes INTO wp, ws FROM tiendo.add_limited(wp, ws, m_programme, m_key) x;
      END IF;
    END IF;
  END LOOP;

  readable := concat('{', substr(reads, 2), '}');
  visible := concat('{', substr(sees, 2), '}');
  PERFORM set_config('tiendo.lo', lower(visible), true), set_config('tiendo.hi', upper(visible), true),
    set_config('tiendo.one', (readable = visible AND visible @> range_merge(visible))::pg_catalog.text, true),
    set_config('tiendo.me', concat(p_grant, '|', p_session, '|', c_account, '|', c_client, '|', c_seat, '|',
      c_key, '|', c_root, '|', c_role, '|', p_permission, '|', visible, '|', readable, '|',
      concat('{', substr(writes, 2), '}')::tiendo.keymultirange, '|', concat('{', substr(behalf, 2), '}'), '|',
      lp, '|', ls, '|', wp, '|', ws), true);
END $$;

-- Errors: 401 invalid_token when the session, its key, account or grant no longer holds; 403 when the role (or the client's
-- scopes) lacks the permission, or the seat is a unit of the past that would write. A NULL permission asks for an authenticated
-- caller only. As before, no SET search_path: every name is qualified, its types too.
-- Nearly every caller has its own subtree and nothing else; its settings come finished from the one query that checks it. What
-- plpgsql evaluates is made ready anew in every transaction, so each statement and each expression left out is time won.
CREATE OR REPLACE FUNCTION enter(p_grant uuid, p_session uuid, p_kid text, p_permission text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  c_ok pg_catalog.bool; c_allowed pg_catalog.bool; c_lives pg_catalog.bool; c_more pg_catalog.bool;
  c_delegated pg_catalog.uuid; c_seat pg_catalog.uuid; c_role pg_catalog.text; c_scopes pg_catalog.text[];
  c_key pg_catalog.text; c_me pg_catalog.text;
BEGIN
  IF p_permission LIKE '%:write' AND p_permission <> 'reorganizations:write' THEN
    PERFORM pg_advisory_xact_lock_shared(tiendo.tree_lock());
  END IF;
  SELECT
      s.revoked_at IS NULL AND s.expires_at > tiendo.clock_now() AND coalesce(a.status, c.status) = 'active' AND g.revoked_at IS NULL
        AND g.valid_from <= tiendo.today() AND (g.valid_to IS NULL OR g.valid_to >= tiendo.today())
        AND coalesce(p_kid = 'outside:' || s.issuer, sk.kid IS NOT NULL AND (sk.accepted_until IS NULL OR sk.accepted_until > tiendo.clock_now())),
      p_permission IS NULL OR (rp.role IS NOT NULL
        AND (g.client_id IS NULL OR p_permission = 'me:read' OR p_permission = ANY (c.scopes))),
      p_permission NOT LIKE '%:write' OR p_permission = 'me:write' OR p_permission IS NULL
        OR (o.valid_from <= tiendo.today() AND (o.valid_to IS NULL OR o.valid_to >= tiendo.today())),
      o.heritage IS NOT NULL OR o.owes IS NOT NULL OR g.delegated_from IS NOT NULL
        OR p_permission IS NOT DISTINCT FROM 'reorganizations:write'
        OR EXISTS (SELECT FROM tiendo.mandate x WHERE x.unit_id = g.organization_id)
        -- (whether there is one for the kind, asked so that it goes by the index however few kinds there are)
        OR (SELECT x.unit_kind FROM tiendo.mandate x WHERE x.unit_kind >= o.kind ORDER BY x.unit_kind LIMIT 1) IS NOT DISTINCT FROM o.kind,
      g.delegated_from, g.organization_id, g.role, c.scopes, o.scope_key,
      concat(p_grant, '|', p_session, '|', g.account_id, '|', g.client_id, '|', g.organization_id, '|', o.scope_key, '|', o.root_id, '|',
        g.role, '|', p_permission, '|{[', o.scope_key, ',', o.scope_key, '~)}|{[', o.scope_key, ',', o.scope_key, '~)}|',
        CASE WHEN rp.grows = 'enter' AND g.role <> 'connector' THEN
            concat('{[', o.scope_key, ',', o.scope_key, ']}|{[', o.scope_key, ',', o.scope_key, '~)}')
          WHEN rp.grows IN ('enter', 'define') OR (rp.grows IS NULL AND g.role = 'administrator') THEN
            concat('{[', o.scope_key, ',', o.scope_key, '~)}|{}')
          ELSE '{}|{}' END, '||||')
    INTO c_ok, c_allowed, c_lives, c_more, c_delegated, c_seat, c_role, c_scopes, c_key, c_me
    FROM tiendo.access_grant g
      JOIN tiendo.session s ON s.id = p_session AND s.grant_id = g.id
      JOIN tiendo.organization o ON o.id = g.organization_id
      LEFT JOIN tiendo.account a ON a.id = g.account_id
      LEFT JOIN tiendo.client c ON c.id = g.client_id
      LEFT JOIN tiendo.signing_key sk ON sk.kid = p_kid
      LEFT JOIN tiendo.role_permission rp ON rp.role = g.role AND rp.permission = p_permission
    WHERE g.id = p_grant;
  IF c_ok AND c_allowed AND c_lives AND NOT c_more THEN
    PERFORM set_config('tiendo.lo', c_key, true), set_config('tiendo.hi', c_key || '~', true),
      set_config('tiendo.one', 'true', true), set_config('tiendo.me', c_me, true);
    RETURN;
  END IF;
  IF c_ok IS NOT TRUE OR (c_delegated IS NOT NULL AND NOT tiendo.enter_delegated(c_delegated, c_key)) THEN
    PERFORM tiendo.fail(401, 'invalid_token');
  END IF;
  IF c_allowed IS NOT TRUE THEN PERFORM tiendo.enter_refused(p_permission, c_role, c_scopes); END IF;
  IF c_lives IS NOT TRUE THEN PERFORM tiendo.enter_ended(c_seat); END IF;
  IF p_permission = 'reorganizations:write' THEN PERFORM tiendo.tree_change_lock(); END IF;
  PERFORM tiendo.enter_scope(p_grant, p_session, p_permission);
END $$;
GRANT EXECUTE ON FUNCTION tree_lock() TO tiendo_service;
