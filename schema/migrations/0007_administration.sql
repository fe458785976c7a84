-- Administration: mandates, accounts, clients and grants, made inside an administrator's subtree. References out of scope
-- read like nonexistent ones; a taken username names no row.
SET search_path = tiendo, public;

-- A version 7 UUID for rows that come beside the one the service named: milliseconds, then twelve bits of the fraction, so that
-- those made one after the other ascend.
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE us bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
  RETURN encode(overlay(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send(us / 1000) FROM 3) FROM 1 FOR 6)
    PLACING int2send((28672 + (us % 1000) * 4096 / 1000)::int2) FROM 7 FOR 2), 'hex')::uuid;
END $$;

CREATE FUNCTION mandate_json(m mandate) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT m.id, organization_ref(m.giver_id) AS giver, organization_ref(m.unit_id) AS unit, m.unit_kind,
      organization_ref(m.over_id) AS over, m.over_parent, m.functions,
      (SELECT p.code FROM programme p WHERE p.id = m.programme_id) AS programme, m.document, m.valid_from, m.valid_to, m.version,
      tstz(m.created_at) AS created_at) r);
END $$;

-- A committee's administrator entrusts functions over its own area: to one unit, or to every unit of a kind over its
-- parent's subtree.
CREATE FUNCTION mandate_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  m mandate;
  faults jsonb := '[]';
  unit uuid := organization_id(body ->> 'unit');
  over_unit uuid := organization_id(body ->> 'over');
  programme uuid := programme_id(body ->> 'programme');
  by_kind boolean := body ->> 'unit_kind' IS NOT NULL;
BEGIN
  IF by_kind = (body ->> 'unit' IS NOT NULL) THEN
    faults := faults || fault('#/unit', 'one_of', 'give either unit or unit_kind');
  END IF;
  IF by_kind <> coalesce((body ->> 'over_parent')::boolean, false) OR by_kind = (body ->> 'over' IS NOT NULL) THEN
    faults := faults || fault('#/over', 'one_of', 'a unit''s mandate is over a unit; a kind''s is over its parent: over_parent true');
  END IF;
  IF body ->> 'unit' IS NOT NULL AND unit IS NULL THEN
    faults := faults || fault('#/unit', 'unknown_reference', 'no such organization');
  END IF;
  IF body ->> 'over' IS NOT NULL AND over_unit IS NULL THEN
    faults := faults || fault('#/over', 'unknown_reference', 'no such organization');
  END IF;
  IF by_kind AND NOT EXISTS (SELECT FROM organization_kind k WHERE k.code = body ->> 'unit_kind') THEN
    faults := faults || fault('#/unit_kind', 'unknown_reference', 'no such organization kind');
  END IF;
  IF body ->> 'programme' IS NOT NULL AND programme IS NULL THEN
    faults := faults || fault('#/programme', 'unknown_reference', 'no such programme');
  END IF;
  IF jsonb_array_length(faults) > 0 THEN PERFORM fail(422, 'invalid', faults); END IF;
  IF NOT (SELECT o.scope_key <@ write_scope() FROM organization o WHERE o.id = coalesce(over_unit, me_seat())) THEN
    PERFORM fail(403, 'forbidden', NULL, 'A mandate is given over units inside your own subtree.');
  END IF;
  INSERT INTO mandate (id, giver_id, unit_id, unit_kind, over_id, over_parent, functions, programme_id, document, valid_from, valid_to)
  VALUES (new_id, me_seat(), unit, body ->> 'unit_kind', over_unit, by_kind,
    ARRAY(SELECT DISTINCT jsonb_array_elements_text(body -> 'functions')), programme, body ->> 'document',
    coalesce((body ->> 'valid_from')::date, today()), (body ->> 'valid_to')::date)
  RETURNING * INTO m;
  body_out := mandate_json(m);
  PERFORM journal('create', 'mandate', m.id, m.version, m.scope_key, NULL, body_out::jsonb, request_id, m.programme_id);
  RETURN QUERY SELECT 201, m.version::text, '/v1/mandates/' || m.id, body_out;
END $$;

CREATE FUNCTION grant_json(g access_grant) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (
    SELECT g.id, (SELECT a.username FROM account a WHERE a.id = g.account_id) AS account, g.client_id AS client,
      organization_ref(g.organization_id) AS organization, g.role, g.valid_from, g.valid_to,
      tstz(g.revoked_at) AS revoked_at, g.version, tstz(g.created_at) AS created_at) r);
END $$;

-- Gives a seat to an account or client of the subtree; prefix is where the request's faults point.
CREATE FUNCTION grant_give(grant_id uuid, holder_account uuid, holder_client uuid, body jsonb, prefix text, request_id text)
  RETURNS access_grant LANGUAGE plpgsql AS $$
DECLARE
  g access_grant;
  unit organization;
BEGIN
  SELECT * INTO unit FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'organization'));
  IF NOT FOUND THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault(prefix || '/organization', 'unknown_reference', 'no such organization')));
  END IF;
  IF NOT unit.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, 'Grants are given inside your own subtree.');
  END IF;
  IF holder_account = me_account() THEN
    PERFORM fail(403, 'forbidden', NULL, 'Nobody grants to their own account.');
  END IF;
  INSERT INTO access_grant (id, account_id, client_id, organization_id, role, valid_from, valid_to, granted_by)
  VALUES (grant_id, holder_account, holder_client, unit.id, coalesce(body ->> 'role', 'connector'),
    coalesce((body ->> 'valid_from')::date, today()), (body ->> 'valid_to')::date, me_account())
  RETURNING * INTO g;
  PERFORM journal('create', 'grant', g.id, g.version, g.scope_key, NULL, grant_json(g), request_id);
  RETURN g;
END $$;

CREATE FUNCTION grant_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  g access_grant;
  holder uuid;
BEGIN
  IF (body ->> 'account' IS NULL) = (body ->> 'client' IS NULL) THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/account', 'one_of', 'give either account or client')));
  END IF;
  IF body ->> 'account' IS NOT NULL THEN
    SELECT a.id INTO holder FROM account a
    WHERE a.username = lower(body ->> 'account') OR (is_uuid(body ->> 'account') AND a.id::text = lower(body ->> 'account'));
    IF NOT FOUND THEN
      PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/account', 'unknown_reference', 'no such account')));
    END IF;
    g := grant_give(new_id, holder, NULL, body, '#', request_id);
  ELSE
    SELECT c.id INTO holder FROM client c WHERE c.id::text = lower(body ->> 'client');
    IF NOT FOUND THEN
      PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/client', 'unknown_reference', 'no such client')));
    END IF;
    g := grant_give(new_id, NULL, holder, body, '#', request_id);
  END IF;
  RETURN QUERY SELECT 201, g.version::text, '/v1/grants/' || g.id, grant_json(g)::text;
END $$;

CREATE FUNCTION account_json(unit_account uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (
    SELECT a.id, a.username, a.display_name, organization_ref(a.organization_id) AS organization, a.status,
      (SELECT coalesce(jsonb_agg(grant_json(g) - 'account' ORDER BY g.id), '[]') FROM access_grant g WHERE g.account_id = a.id) AS grants,
      a.version, tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at
    FROM account a WHERE a.id = unit_account) r);
END $$;

-- An account with its first grants. Its home, which administers it, is organization, else the first grant's unit, else the
-- caller's seat. The password's hash comes from the service; the body's password never reaches the database's log.
CREATE FUNCTION account_create(new_id uuid, body jsonb, password_hash text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  home organization;
  home_ref text := coalesce(body ->> 'organization', body -> 'grants' -> 0 ->> 'organization', me_seat()::text);
  g jsonb;
  n int := 0;
BEGIN
  SELECT * INTO home FROM organization o WHERE o.id = (SELECT organization_id(home_ref));
  IF NOT FOUND THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault(CASE WHEN body ? 'organization' THEN '#/organization'
      ELSE '#/grants/0/organization' END, 'unknown_reference', 'no such organization')));
  END IF;
  IF NOT home.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, 'Accounts are made inside your own subtree.');
  END IF;
  INSERT INTO account (id, organization_id, scope_key, username, display_name, password_hash)
  VALUES (new_id, home.id, home.scope_key, lower(body ->> 'username'), body ->> 'display_name', password_hash);
  PERFORM journal('create', 'account', new_id, 1, home.scope_key, NULL, account_json(new_id), request_id);
  FOR g IN SELECT x FROM jsonb_array_elements(coalesce(nullif(body -> 'grants', 'null'), '[]')) x LOOP
    PERFORM grant_give(uuid_v7(), new_id, NULL, g, '#/grants/' || n, request_id);
    n := n + 1;
  END LOOP;
  RETURN QUERY SELECT 201, '1', '/v1/accounts/' || new_id, account_json(new_id)::text;
END $$;

CREATE FUNCTION client_json(client uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (
    SELECT c.id, c.id AS client_id, c.name, organization_ref(c.organization_id) AS organization, c.scopes, c.status, c.version,
      tstz(c.created_at) AS created_at FROM client c WHERE c.id = client_json.client) r);
END $$;

-- A connector seated at a unit. Its secret is made and hashed by the service, and shown once.
CREATE FUNCTION client_create(new_id uuid, body jsonb, secret_hash bytea, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  home organization;
  unknown jsonb;
  answer jsonb;
BEGIN
  SELECT * INTO home FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'organization'));
  IF NOT FOUND THEN
    PERFORM fail(422, 'invalid', jsonb_build_array(fault('#/organization', 'unknown_reference', 'no such organization')));
  END IF;
  IF NOT home.scope_key <@ write_scope() THEN
    PERFORM fail(403, 'forbidden', NULL, 'Clients are made inside your own subtree.');
  END IF;
  SELECT jsonb_agg(fault('#/scopes/' || (n - 1), 'enum', 'not a scope a client can hold')) INTO unknown
  FROM jsonb_array_elements_text(body -> 'scopes') WITH ORDINALITY s(scope, n)
  WHERE NOT EXISTS (SELECT FROM permission p WHERE p.code = s.scope AND p.for_client);
  IF unknown IS NOT NULL THEN PERFORM fail(422, 'invalid', unknown); END IF;
  INSERT INTO client (id, organization_id, scope_key, name, scopes, secret_hash)
  VALUES (new_id, home.id, home.scope_key, body ->> 'name', ARRAY(SELECT DISTINCT jsonb_array_elements_text(body -> 'scopes')), secret_hash);
  PERFORM grant_give(uuid_v7(), NULL, new_id, jsonb_build_object('organization', home.id, 'role', 'connector'), '#', request_id);
  answer := client_json(new_id);
  PERFORM journal('create', 'client', new_id, 1, home.scope_key, NULL, answer, request_id);
  RETURN QUERY SELECT 201, '1', '/v1/clients/' || new_id, answer::text;
END $$;

-- What is entrusted to one's own unit is seen there, whoever gave it.
CREATE POLICY service_own ON mandate FOR SELECT TO tiendo_service
  USING (unit_id = (SELECT me_seat()) OR (unit_kind = (SELECT o.kind FROM organization o WHERE o.id = me_seat())
    AND (SELECT me_seat_key()) ^@ scope_key));

GRANT EXECUTE ON FUNCTION uuid_v7(), mandate_json(mandate), mandate_create(uuid, jsonb, text), grant_json(access_grant),
  grant_give(uuid, uuid, uuid, jsonb, text, text), grant_create(uuid, jsonb, text), account_json(uuid), client_json(uuid),
  account_create(uuid, jsonb, text, text), client_create(uuid, jsonb, bytea, text) TO tiendo_service;
