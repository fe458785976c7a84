-- Why, and why not: refusals that name the missing role, mandate or step, and the question put beforehand. What is answered to the
-- question is what the operation itself decides: enter() is entered with the permission asked for, references are resolved under the
-- caller's policies, and the operation's own function is run without a precondition, so that it decides and writes nothing.
SET search_path = tiendo, public;

-- ---- the refusal of a permission ---------------------------------------------------------------------------
-- The roles that give a permission, in the order of what they may.
CREATE FUNCTION roles_with(p_permission text) RETURNS text[] LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT ARRAY(SELECT rp.role FROM role_permission rp WHERE rp.permission = p_permission AND rp.role <> 'connector'
    ORDER BY array_position(ARRAY['viewer', 'reporter', 'approver', 'manager', 'administrator', 'inspector'], rp.role)) $$;
-- forbidden where the role does not give the permission, insufficient_scope where the client's own scopes lack it.
CREATE OR REPLACE FUNCTION enter_refused(permission text, role text, client_scopes text[]) RETURNS void
  LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM role_permission rp WHERE rp.role = enter_refused.role AND rp.permission = enter_refused.permission) THEN
    PERFORM fail(403, 'insufficient_scope', NULL, format('The client''s scopes do not hold %s.', permission));
  END IF;
  PERFORM fail(403, 'forbidden', NULL, format('The role %s does not give %s; these roles do: %s.', role, permission,
    array_to_string(roles_with(permission), ', ')));
END $$;

-- ---- the question ------------------------------------------------------------------------------------------
-- What a resource's name stands for, as the caller sees it: its kind, the unit it belongs to and that unit's key, its programme.
CREATE FUNCTION permission_resource(p_resource text, OUT kind text, OUT ref text, OUT known boolean, OUT unit uuid, OUT key text,
    OUT programme uuid) LANGUAGE plpgsql STABLE AS $$
DECLARE parts text[];
BEGIN
  kind := split_part(p_resource, ':', 1);
  ref := substr(p_resource, length(kind) + 2);
  known := false;
  IF kind = 'organization' THEN
    SELECT true, o.id, o.scope_key INTO known, unit, key FROM organization o WHERE o.id = (SELECT organization_id(ref));
  ELSIF kind = 'programme' THEN
    SELECT true, p.scope_id, p.scope_key, p.id INTO known, unit, key, programme FROM programme p WHERE p.id = (SELECT programme_id(ref));
  ELSIF kind = 'indicator' THEN
    SELECT true, p.scope_id, i.scope_key, p.id INTO known, unit, key, programme
    FROM indicator i JOIN programme p ON p.id = i.programme_id WHERE i.id = (SELECT indicator_id(ref));
  ELSIF kind = 'value' THEN
    parts := string_to_array(ref, '/');
    SELECT true, o.id, o.scope_key, i.programme_id INTO known, unit, key, programme
    FROM indicator i, organization o, period p
    WHERE cardinality(parts) = 3 AND i.id = (SELECT indicator_id(parts[1])) AND o.id = (SELECT organization_id(parts[2]))
      AND p.id = (SELECT period_id(parts[3]))
      AND (o.scope_key <@ scope() OR in_limited(i.programme_id, o.scope_key, limited_programmes(), limited_scopes()));
  ELSIF kind = 'account' THEN
    SELECT true, a.organization_id, a.scope_key INTO known, unit, key FROM account a
    WHERE a.username = lower(ref) OR (is_uuid(ref) AND a.id::text = lower(ref));
  ELSIF kind = 'grant' THEN
    SELECT true, g.organization_id, g.scope_key INTO known, unit, key FROM access_grant g WHERE is_uuid(ref) AND g.id = ref::uuid;
  ELSIF kind = 'client' THEN
    SELECT true, c.organization_id, c.scope_key INTO known, unit, key FROM client c WHERE is_uuid(ref) AND c.id = ref::uuid;
  ELSIF kind = 'mandate' THEN
    SELECT true, m.giver_id, m.scope_key INTO known, unit, key FROM mandate m WHERE is_uuid(ref) AND m.id = ref::uuid;
  END IF;
  known := coalesce(known, false);
END $$;

-- Runs what the operation itself runs, without a precondition. Nothing is left of it: whatever it says is an error, which is taken back.
-- status: 403 and 404 refuse; 422 with one of the codes below does, for the unit and period; all else lets through.
CREATE FUNCTION permission_try(p_permission text, kind text, ref text, key text, OUT status int, OUT code text, OUT said text)
  LANGUAGE plpgsql AS $$
DECLARE
  parts text[];
  state text;
  faults text;
BEGIN
  status := 200;
  BEGIN
    CASE p_permission || ' ' || kind
      WHEN 'organizations:write organization' THEN PERFORM organization_update(ref, '{}', NULL, NULL);
      WHEN 'programmes:write programme' THEN PERFORM programme_update(ref, '{}', NULL, NULL);
      WHEN 'indicators:write indicator' THEN PERFORM indicator_update(ref, '{}', NULL, NULL);
      WHEN 'accounts:write account' THEN PERFORM account_update(ref, '{}', NULL, NULL);
      WHEN 'grants:write grant' THEN PERFORM grant_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'clients:write client' THEN PERFORM client_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'mandates:write mandate' THEN PERFORM mandate_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'values:write value' THEN
        parts := string_to_array(ref, '/');
        PERFORM value_put(parts[1], parts[2], parts[3], NULL, '{}', NULL, NULL, uuid_v7(), NULL);
      ELSE
        IF p_permission = 'grants:write' AND kind = 'account' AND EXISTS (SELECT FROM account a
            WHERE (a.username = lower(ref) OR a.id::text = lower(ref)) AND ones_own(a.id)) THEN
          PERFORM fail(403, 'forbidden', NULL, 'Nobody grants to their own account.');
        END IF;
        IF (CASE WHEN p_permission = 'delegations:write' THEN NOT key ^@ me_seat_key()
            WHEN p_permission = 'me:write' THEN false
            WHEN p_permission = 'values:write' THEN NOT (may_write(NULL, key)
              OR EXISTS (SELECT FROM unnest(limited_write_scopes()) s WHERE key <@ s::keymultirange))
            ELSE NOT key <@ write_scope() END) THEN
          PERFORM fail(403, 'forbidden', NULL, CASE WHEN p_permission = 'values:write' AND key <@ behalf_scope()
            THEN 'For units below your own you enter only what their assignment says is entered by the superior.'
            ELSE 'It lies outside of where you may do this.' END);
        END IF;
    END CASE;
  EXCEPTION WHEN SQLSTATE 'TD403' OR SQLSTATE 'TD404' OR SQLSTATE 'TD409' OR SQLSTATE 'TD412' OR SQLSTATE 'TD422' OR SQLSTATE 'TD428' THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, code = MESSAGE_TEXT, faults = PG_EXCEPTION_DETAIL, said = PG_EXCEPTION_HINT;
    status := substr(state, 3)::int;
    IF status = 422 THEN
      SELECT f ->> 'code', f ->> 'detail' INTO code, said FROM jsonb_array_elements(faults::jsonb) f
      WHERE f ->> 'code' IN ('not_assigned', 'wrong_period_kind', 'period_not_begun') LIMIT 1;
    END IF;
  END;
END $$;

-- The mandates of the seat over a key: those that hold, and those that do not today.
CREATE FUNCTION seat_mandates_over(p_key text) RETURNS TABLE (id uuid, giver uuid, over_id uuid, functions text[], programme_id uuid,
    document text, valid_from date, valid_to date, holds boolean)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT x.id, x.giver_id, o.id, x.functions, x.programme_id, x.document, x.valid_from, x.valid_to,
    x.valid_from <= today() AND (x.valid_to IS NULL OR x.valid_to >= today())
  FROM organization seat
    JOIN mandate x ON x.unit_id = seat.id OR (x.unit_kind = seat.kind AND seat.parent_id IS NOT NULL)
    JOIN organization o ON o.id = coalesce(x.over_id, seat.parent_id) AND o.scope_key ^@ x.scope_key
  WHERE seat.id = me_seat() AND p_key ^@ o.scope_key AND p_key <@ area() $$;

-- What gives the permission there: the role of the seat, and mandates.
CREATE FUNCTION permission_because(p_permission text, p_key text, p_programme uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE grows text := (SELECT p.grows FROM permission p WHERE p.code = p_permission);
BEGIN
  RETURN jsonb_build_array(jsonb_build_object('kind', 'role', 'role', me_role(), 'organization', organization_ref(me_seat()), 'mandate', NULL,
      'functions', NULL, 'programme', NULL, 'document', NULL))
    || coalesce((SELECT jsonb_agg(jsonb_build_object('kind', 'mandate', 'role', NULL, 'organization', organization_ref(m.over_id), 'mandate', m.id,
        'functions', m.functions, 'programme', (SELECT p.code FROM programme p WHERE p.id = m.programme_id), 'document', m.document) ORDER BY m.id)
      FROM seat_mandates_over(p_key) m WHERE m.holds AND (grows = 'read' OR grows = ANY (m.functions))
        AND (m.programme_id IS NULL OR p_programme IS NULL OR m.programme_id = p_programme)), '[]');
END $$;

-- Whether a unit is there today: the seat of one that is not gives nobody the right to write.
CREATE FUNCTION unit_stands(p_unit uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM organization o WHERE o.id = p_unit AND o.valid_from <= today() AND (o.valid_to IS NULL OR o.valid_to >= today())) $$;
-- Those who took an ended unit over, on to those who stand today.
CREATE FUNCTION unit_heirs(p_unit uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  WITH RECURSIVE heir AS (
    SELECT l.successor_id AS id FROM organization_lineage l WHERE l.predecessor_id = p_unit AND l.on_day <= today()
    UNION SELECT l.successor_id FROM heir h JOIN organization_lineage l ON l.predecessor_id = h.id AND l.on_day <= today())
  SELECT h.id FROM heir h WHERE unit_stands(h.id) AND NOT unit_stands(p_unit) $$;
-- The units above a key that the caller sees.
CREATE FUNCTION units_above(p_key text) RETURNS TABLE (id uuid, n int)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT o.id, length(o.scope_key) / 6 FROM organization o WHERE o.scope_key = ANY (ancestor_keys(p_key)) AND p_key <@ (SELECT area()) $$;
-- Who could: the roles that give the permission, in the unit itself and, where rights reach downwards, in the units above it; and the
-- units mandated to. What is written of a unit that has ended is written by those who took it over. Only units that the caller sees or
-- sits below are named.
CREATE FUNCTION permission_who(p_permission text, p_unit uuid, p_key text, p_programme uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  grows text := (SELECT p.grows FROM permission p WHERE p.code = p_permission);
  roles text[] := roles_with(p_permission);
  writes boolean := p_permission LIKE '%:write' AND p_permission <> 'me:write';
  told jsonb := '[]';
BEGIN
  IF cardinality(roles) = 0 THEN RETURN told; END IF;
  SELECT coalesce(jsonb_agg(jsonb_build_object('roles', roles, 'organization', r.ref, 'mandate', false) ORDER BY u.n DESC), '[]') INTO told
  FROM (SELECT p_unit AS id, 1000 AS n UNION ALL
      SELECT a.id, a.n FROM units_above(p_key) a WHERE grows IS DISTINCT FROM 'enter' UNION
      SELECT h, 999 FROM unit_heirs(p_unit) h WHERE writes) u,
    LATERAL organization_ref(u.id) r(ref)
  WHERE r.ref IS NOT NULL AND (NOT writes OR unit_stands(u.id));
  RETURN told || coalesce((SELECT jsonb_agg(jsonb_build_object('roles', roles, 'organization', r.ref, 'mandate', true) ORDER BY m.id)
    FROM mandate m JOIN organization o ON o.id = m.over_id, LATERAL organization_ref(m.unit_id) r(ref)
    WHERE grows = ANY (m.functions) AND p_key ^@ o.scope_key AND o.scope_key ^@ m.scope_key AND r.ref IS NOT NULL AND m.valid_from <= today()
      AND (m.valid_to IS NULL OR m.valid_to >= today()) AND (m.programme_id IS NULL OR p_programme IS NULL OR m.programme_id = p_programme)), '[]');
END $$;

-- Why a unit in sight is none where the caller may do this: the nearest thing to a right that there is.
CREATE FUNCTION permission_lack(p_permission text, p_key text, p_programme uuid, OUT reason text, OUT detail text) LANGUAGE plpgsql STABLE AS $$
DECLARE
  wanted text := (SELECT p.grows FROM permission p WHERE p.code = p_permission);
  m record;
BEGIN
  SELECT *, wanted = ANY (x.functions) AS entrusted INTO m FROM seat_mandates_over(p_key) x
  WHERE wanted IN ('enter', 'define', 'review', 'remind', 'audit')
  ORDER BY wanted = ANY (x.functions) DESC, x.holds DESC, x.id LIMIT 1;
  IF NOT FOUND THEN
    reason := CASE WHEN p_key ^@ me_seat_key() THEN 'not_own_unit' ELSE 'outside' END;
    RETURN;
  END IF;
  IF NOT m.entrusted THEN
    reason := 'mandate_function';
    detail := format('The mandate of your unit over %s does not hold the function %s.', organization_ref(m.over_id) ->> 'code', wanted);
  ELSIF m.holds THEN
    reason := 'mandate_programme';
    detail := format('The mandate of your unit over %s is for the programme %s alone.', organization_ref(m.over_id) ->> 'code',
      coalesce((SELECT p.code::text FROM programme p WHERE p.id = m.programme_id), '?'));
  ELSIF m.valid_from > today() THEN
    reason := 'mandate_not_begun';
    detail := format('The mandate of your unit over %s begins on %s.', organization_ref(m.over_id) ->> 'code', m.valid_from);
  ELSE
    reason := 'mandate_ended';
    detail := format('The mandate of your unit over %s ended; its last day was %s.', organization_ref(m.over_id) ->> 'code', m.valid_to);
  END IF;
END $$;

-- Whether the entered caller may do that there, and why. in_token: whether the token at hand carries the permission.
-- p_operation: the operation that was asked about by name, where one was.
CREATE FUNCTION permission_explain(p_kid text, p_permission text, p_operation text, p_resource text, in_token boolean, OUT allowed boolean, OUT reason text,
    OUT because jsonb, OUT who jsonb, OUT detail text) LANGUAGE plpgsql AS $$
DECLARE
  message text;
  r record;
  t record;
BEGIN
  allowed := false; because := '[]'; who := '[]';
  BEGIN
    -- Reorganizing takes the tree's lock; the question does not.
    PERFORM enter(me_grant(), me_session(), p_kid, CASE p_permission WHEN 'reorganizations:write' THEN 'organizations:write' ELSE p_permission END);
    IF p_permission = 'reorganizations:write' AND NOT p_permission = ANY (role_gives(me_role(), me_client())) THEN
      PERFORM enter_refused(p_permission, me_role(), NULL);
    END IF;
  EXCEPTION WHEN SQLSTATE 'TD403' THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_HINT;
    reason := CASE WHEN message = 'insufficient_scope' THEN 'client_scope'
      WHEN p_permission = ANY (role_gives(me_role(), NULL)) THEN 'seat_ended' ELSE 'role' END;
  END;
  IF reason IS NULL AND NOT in_token THEN
    reason := 'token_scope';
    detail := format('This token was asked for without %s; the role gives it.', p_permission);
  END IF;
  IF reason IS NULL AND p_permission = 'delegations:write' AND me_giver() IS NOT NULL
      AND (p_operation = 'delegation_create' OR p_resource IS NOT NULL) THEN
    reason := 'delegated'; detail := 'What is delegated is not delegated further: only the holder of the role does so.';
    RETURN;
  END IF;
  IF p_resource IS NULL THEN
    IF reason IS NULL THEN
      allowed := true; reason := 'granted'; because := permission_because(p_permission, me_seat_key(), NULL);
    ELSE
      who := permission_who(p_permission, me_seat(), me_seat_key(), NULL);
    END IF;
    RETURN;
  END IF;
  SELECT * INTO r FROM permission_resource(p_resource);
  IF NOT r.known THEN
    detail := coalesce(detail, 'There is no such resource, or it is out of your sight.');
    reason := coalesce(reason, 'not_visible');
    RETURN;
  END IF;
  IF reason IS NULL AND p_permission = 'audit:read' AND r.kind = 'value' AND (r.key <@ audit_area()
      OR in_limited(r.programme, r.key, limited_write_programmes(), limited_write_scopes())) IS NOT TRUE THEN
    SELECT l.reason, l.detail INTO reason, detail FROM permission_lack(p_permission, r.key, r.programme) l;
    detail := coalesce(detail, history_refusal());
  END IF;
  IF reason IS NULL AND p_permission LIKE '%:write' THEN
    SELECT * INTO t FROM permission_try(CASE p_permission WHEN 'reorganizations:write' THEN 'organizations:write' ELSE p_permission END,
      r.kind, r.ref, r.key);
    IF t.status = 404 THEN
      reason := 'not_visible'; detail := 'There is no such resource, or it is out of your sight.';
      RETURN;
    ELSIF t.status = 403 THEN
      IF t.code IN ('source_is_client', 'source_is_hand') THEN
        reason := t.code;
      ELSIF r.kind = 'account' OR r.kind = 'grant' THEN
        reason := CASE WHEN r.key ^@ me_seat_key() THEN 'own_account' ELSE 'outside' END;
      ELSE
        SELECT l.reason, l.detail INTO reason, detail FROM permission_lack(p_permission, r.key, r.programme) l;
      END IF;
      detail := coalesce(detail, nullif(t.said, ''));
    ELSIF t.status = 422 AND t.code IN ('not_assigned', 'wrong_period_kind', 'period_not_begun') THEN
      reason := t.code; detail := t.said;
    END IF;
  END IF;
  IF reason IS NULL THEN
    allowed := true; reason := 'granted'; because := permission_because(p_permission, r.key, r.programme);
  ELSIF reason NOT IN ('source_is_client', 'source_is_hand', 'not_assigned', 'wrong_period_kind', 'period_not_begun',
      'token_scope', 'client_scope') THEN
    who := permission_who(p_permission, r.unit, r.key, r.programme);
  END IF;
END $$;
-- The permissions of a role, cut down to those of a client where one is named.
CREATE FUNCTION role_gives(p_role text, p_client uuid) RETURNS text[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT role_scopes(p_role, (SELECT c.scopes FROM client c WHERE c.id = p_client AND c.id = me_client())) $$;

-- ---- who am I ----------------------------------------------------------------------------------------------
-- The mandates that the seat holds today, and over which unit each reaches: as far as its giver does.
CREATE OR REPLACE FUNCTION seat_mandates() RETURNS TABLE (m mandate, over_id uuid)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  SELECT x, o.id
  FROM organization seat
    JOIN mandate x ON x.unit_id = seat.id OR (x.unit_kind = seat.kind AND seat.parent_id IS NOT NULL)
    JOIN organization o ON o.id = coalesce(x.over_id, seat.parent_id) AND o.scope_key ^@ x.scope_key
  WHERE seat.id = me_seat() AND x.valid_from <= today() AND (x.valid_to IS NULL OR x.valid_to >= today()) $$;
CREATE OR REPLACE FUNCTION held_grant(g access_grant) RETURNS jsonb LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_build_object('id', g.id, 'role', g.role, 'organization',
      jsonb_build_object('id', o.id, 'code', o.code, 'name', o.name, 'kind', o.kind),
    'valid_from', g.valid_from, 'valid_to', g.valid_to, 'delegated_by', CASE WHEN g.delegated_from IS NOT NULL THEN
      (SELECT jsonb_build_object('username', a.username, 'display_name', a.display_name) FROM account a WHERE a.id = g.granted_by) END)
  FROM organization o WHERE o.id = g.organization_id $$;

-- What the entered caller is and may do under this token, and why.
DROP FUNCTION me_json();
CREATE FUNCTION me_json(token_scopes text[]) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  -- What the role gives: in a unit that is not there today no writing but of what is one's own.
  given text[] := role_scopes(me_role(), (SELECT scopes FROM client WHERE id = me_client()));
  stands boolean := unit_stands(me_seat());
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
    'seat_ended', NOT stands,
    'permissions', to_json(ARRAY(SELECT p FROM unnest(given) p WHERE p = ANY (token_scopes) AND (stands OR p NOT LIKE '%:write' OR p = 'me:write'))),
    'withheld', to_json(ARRAY(SELECT p FROM unnest(given) p WHERE p <> ALL (token_scopes) OR NOT (stands OR p NOT LIKE '%:write' OR p = 'me:write'))),
    'delegations', (SELECT coalesce(json_agg(json_build_object('id', g.id, 'account', a.username, 'display_name', a.display_name,
          'organization', held_grant(g) -> 'organization', 'role', g.role, 'valid_from', g.valid_from, 'valid_to', g.valid_to) ORDER BY g.id), '[]')
        FROM access_grant g JOIN account a ON a.id = g.account_id
        WHERE g.granted_by = me_account() AND g.delegated_from IS NOT NULL AND g.revoked_at IS NULL AND coalesce(g.valid_to >= today(), true)),
    'mandates', mandates,
    'scope', areas)::text);
END $$;

GRANT EXECUTE ON FUNCTION roles_with(text), unit_stands(uuid), unit_heirs(uuid), units_above(text), enter_refused(text, text, text[]), permission_resource(text),
  permission_try(text, text, text, text),
  seat_mandates_over(text), permission_because(text, text, uuid), permission_who(text, uuid, text, uuid), permission_lack(text, text, uuid),
  permission_explain(text, text, text, text, boolean), role_gives(text, uuid), me_json(text[]) TO tiendo_service;
