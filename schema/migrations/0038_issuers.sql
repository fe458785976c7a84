-- Tokens of outside issuers: whom they speak for, and the session that stands for them here. The service has checked the token; what
-- it says of its bearer is looked up once a token and process, and everything it may do is asked of enter() at every request.
SET search_path = tiendo, public;

-- A client may be known to an outside issuer: who brings a token of that issuer with that subject is the client.
ALTER TABLE client
  ADD COLUMN external_issuer text CHECK (length(external_issuer) BETWEEN 1 AND 1024),
  ADD COLUMN external_subject text CHECK (length(external_subject) BETWEEN 1 AND 255),
  ADD CONSTRAINT client_external CHECK ((external_issuer IS NULL) = (external_subject IS NULL));
CREATE UNIQUE INDEX client_external_taken ON client (external_issuer, external_subject) WHERE status <> 'closed';
COMMENT ON INDEX client_external_taken IS '409 external_taken #/external/subject';
GRANT SELECT (external_issuer, external_subject), UPDATE (external_issuer, external_subject) ON client TO tiendo_service;

CREATE FUNCTION client_external(issuer text, subject text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN issuer IS NOT NULL THEN jsonb_build_object('issuer', issuer, 'subject', subject) END $$;

-- What a body says of it: both members, null to let go, nothing to leave it as it is.
CREATE FUNCTION client_bind(p_client uuid, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE client c SET external_issuer = body #>> '{external,issuer}', external_subject = body #>> '{external,subject}'
  WHERE c.id = p_client AND body ? 'external';
END $$;
GRANT EXECUTE ON FUNCTION client_external(text, text), client_bind(uuid, jsonb) TO tiendo_service;

-- What binds a session to the log-in at the issuer: a digest of the issuer's name and the token's sid, else of its jti, else of
-- the whole token. One session for each grant that such a log-in acts under.
ALTER TABLE session ADD COLUMN outside_binding bytea CHECK (length(outside_binding) = 32),
  ADD CONSTRAINT session_outside CHECK ((issuer IS NULL) = (outside_binding IS NULL));
CREATE UNIQUE INDEX session_outside_binding ON session (outside_binding, grant_id) WHERE outside_binding IS NOT NULL;
CREATE INDEX session_outside_expires ON session (expires_at) WHERE outside_binding IS NOT NULL;

-- One killed session of a log-in kills what else it has here; one that ended with its grant does not.
CREATE FUNCTION session_outside_kill() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  UPDATE session s SET revoked_at = new.revoked_at, revoked_reason = new.revoked_reason
  WHERE s.outside_binding = new.outside_binding AND s.revoked_at IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER session_outside_kill AFTER UPDATE OF revoked_at ON session FOR EACH ROW
  WHEN (new.outside_binding IS NOT NULL AND old.revoked_at IS NULL AND new.revoked_at IS NOT NULL
    AND new.revoked_reason IS DISTINCT FROM 'grant ended')
  EXECUTE FUNCTION session_outside_kill();

-- Whether a unit lies below the root of that code; everywhere does without one.
CREATE FUNCTION outside_reaches(root_code text, key text) RETURNS boolean LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT root_code IS NULL OR EXISTS (SELECT FROM organization o
    WHERE o.root_id = o.id AND o.code = root_code AND key ^@ o.scope_key) $$;

-- The grant that a holder acts under: one that holds today, in the unit that is named, of a role that the token carries, each
-- where it says anything of it. Grants of one's own go before delegated ones, older before newer.
CREATE FUNCTION outside_grant(p_account uuid, p_client uuid, p_grant text, p_unit text, p_roles text[]) RETURNS uuid
  LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT g.id FROM access_grant g JOIN organization o ON o.id = g.organization_id
  WHERE (g.account_id = p_account OR g.client_id = p_client) AND grant_holds(g)
    AND (p_grant IS NULL OR g.id::text = lower(p_grant)) AND (p_unit IS NULL OR o.code = p_unit)
    AND (p_roles IS NULL OR g.role = ANY (p_roles))
  ORDER BY g.delegated_from IS NOT NULL, g.id LIMIT 1 $$;

-- The session of that log-in under that grant, made or kept on for as long as the token is good; NULL when it was killed.
CREATE FUNCTION outside_session_for(p_issuer text, p_binding bytea, p_new uuid, p_grant uuid, p_account uuid, p_client uuid,
    p_expires timestamptz) RETURNS uuid
  LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE found_id uuid;
BEGIN
  -- A killed log-in stays killed for as long as tokens of it are shown.
  UPDATE session s SET expires_at = greatest(s.expires_at, p_expires)
  WHERE s.outside_binding = p_binding AND s.revoked_at IS NOT NULL AND s.revoked_reason IS DISTINCT FROM 'grant ended';
  IF FOUND THEN RETURN NULL; END IF;
  INSERT INTO session AS s (id, grant_id, account_id, client_id, expires_at, issuer, outside_binding)
  VALUES (p_new, p_grant, p_account, p_client, p_expires, p_issuer, p_binding)
  ON CONFLICT (outside_binding, grant_id) WHERE outside_binding IS NOT NULL
    DO UPDATE SET expires_at = greatest(s.expires_at, excluded.expires_at), issuer = excluded.issuer WHERE s.revoked_at IS NULL
  RETURNING s.id INTO found_id;
  -- What is long over goes, a few at a time.
  DELETE FROM session s WHERE s.id IN (SELECT x.id FROM session x
    WHERE x.outside_binding IS NOT NULL AND x.expires_at < clock_now() - interval '30 days' LIMIT 10 FOR UPDATE SKIP LOCKED);
  RETURN found_id;
END $$;

-- Whom a verified token of an outside issuer speaks for. p_account: a username (small letters), p_subject: a client's; an account
-- of that name goes before a client. No account comes to be, and no role: p_roles (NULL: not asked for) only narrows.
-- result: ok, unknown, suspended, no_grant or ended.
CREATE FUNCTION outside_session(p_issuer text, p_iss text, p_root text, p_account text, p_subject text, p_grant text, p_unit text,
    p_roles text[], p_binding bytea, p_new uuid, p_expires timestamptz,
    OUT result text, OUT grant_id uuid, OUT session_id uuid, OUT subject uuid)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  a_id uuid;
  c_id uuid;
  holder_status text;
BEGIN
  SELECT a.id, a.status INTO a_id, holder_status FROM account a
  WHERE a.username = p_account AND outside_reaches(p_root, a.scope_key);
  IF NOT FOUND THEN
    SELECT c.id, c.status INTO c_id, holder_status FROM client c
    WHERE c.external_issuer = p_iss AND c.external_subject = p_subject AND c.status <> 'closed' AND outside_reaches(p_root, c.scope_key);
  END IF;
  IF holder_status IS DISTINCT FROM 'active' THEN
    result := CASE WHEN holder_status IS NULL THEN 'unknown' ELSE 'suspended' END;
    RETURN;
  END IF;
  grant_id := outside_grant(a_id, c_id, p_grant, p_unit, p_roles);
  IF grant_id IS NULL THEN
    result := 'no_grant';
    RETURN;
  END IF;
  session_id := outside_session_for(p_issuer, p_binding, p_new, grant_id, a_id, c_id, p_expires);
  subject := coalesce(a_id, c_id);
  result := CASE WHEN session_id IS NULL THEN 'ended' ELSE 'ok' END;
END $$;
GRANT EXECUTE ON FUNCTION
  outside_session(text, text, text, text, text, text, text, text[], bytea, uuid, timestamptz) TO tiendo_service;
