-- The journal: one appended row per change, in the change's own transaction, read both as the audit trail and as the
-- feed of changes. Nobody updates it. The sealer gives rows below the transaction horizon their dense position and
-- chains their hashes in journal_seal.
SET search_path = tiendo, public;

CREATE TABLE journal (
  seq bigint GENERATED ALWAYS AS IDENTITY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at timestamptz NOT NULL DEFAULT clock_now(),
  account_id uuid,
  client_id uuid,
  grant_id uuid,
  session_id uuid,
  action text NOT NULL,
  resource_type text NOT NULL,
  resource_id uuid NOT NULL,
  version bigint NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  programme_id uuid,
  request_id text,
  before jsonb,
  after jsonb,
  PRIMARY KEY (xid, seq)
);
CREATE TABLE journal_seal (
  position bigint PRIMARY KEY,
  xid xid8 NOT NULL,
  seq bigint NOT NULL UNIQUE,
  hash bytea NOT NULL
);
-- Where the sealer stands: everything below horizon is sealed.
CREATE TABLE seal_state (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  horizon xid8 NOT NULL,
  position bigint NOT NULL,
  hash bytea NOT NULL,
  -- Being brought over from another cluster, and the highest number its transactions had.
  moving boolean NOT NULL DEFAULT false,
  foreign_xid xid8 NOT NULL DEFAULT '0'
);
INSERT INTO seal_state (horizon, position, hash) VALUES ('0', 0, sha256('tiendo journal'));

CREATE TABLE idempotency (
  caller uuid NOT NULL,
  key text NOT NULL,
  fingerprint bytea NOT NULL,
  status int NOT NULL,
  version text,
  location text,
  body text,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['journal_seal', 'seal_state', 'idempotency'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO tiendo_owner USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;
DO $do$ BEGIN PERFORM protect('journal', 'programme_id'); END $do$;
-- A row is written by the entered caller, as itself, about a unit in its area.
CREATE POLICY service_insert ON journal FOR INSERT TO tiendo_service
  WITH CHECK (grant_id = (SELECT me_grant()) AND session_id = (SELECT me_session())
    AND account_id IS NOT DISTINCT FROM (SELECT me_account()) AND client_id IS NOT DISTINCT FROM (SELECT me_client())
    AND scope_key <@ (SELECT area()));
CREATE POLICY service_own ON idempotency TO tiendo_service
  USING (caller = coalesce((SELECT me_account()), (SELECT me_client())))
  WITH CHECK (caller = coalesce((SELECT me_account()), (SELECT me_client())));
GRANT INSERT (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key,
  programme_id, request_id, before, after) ON journal TO tiendo_service;
GRANT SELECT, INSERT, DELETE ON idempotency TO tiendo_service;

-- Appends the row of one change. before and after hold no password, secret or token hash.
CREATE FUNCTION journal(action text, resource_type text, resource_id uuid, version bigint, scope_key text,
    before jsonb, after jsonb, request_id text DEFAULT NULL, programme_id uuid DEFAULT NULL) RETURNS void
  LANGUAGE sql VOLATILE AS $$
  INSERT INTO tiendo.journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version,
    scope_key, programme_id, request_id, before, after)
  VALUES (tiendo.me_account(), tiendo.me_client(), tiendo.me_grant(), tiendo.me_session(), $1, $2, $3, $4, $5, $9, $8, $6, $7) $$;

-- What the chain covers of a row.
CREATE FUNCTION journal_text(j journal) RETURNS text LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT jsonb_build_array(j.seq, extract(epoch FROM j.at), j.account_id, j.client_id, j.grant_id, j.session_id, j.action,
    j.resource_type, j.resource_id, j.version, j.scope_key, j.programme_id, j.request_id, j.before, j.after)::text $$;

-- Seals up to so many rows below the transaction horizon, in commit-safe order (xid, seq); one process at a time.
-- Gives the rows sealed and the chain's head. Transaction numbers do not survive a dump and restore: when the cluster's
-- own are behind the state's or behind those of rows, what is unsealed is taken by seq and the state starts again from here.
CREATE FUNCTION seal_step(most int DEFAULT 5000, OUT sealed int, OUT head_position bigint, OUT head_hash text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  state seal_state;
  horizon xid8 := pg_snapshot_xmin(pg_current_snapshot());
  highest xid8 := (SELECT max(x.xid) FROM journal x);
  ahead xid8 := pg_snapshot_xmax(pg_current_snapshot());
  j journal;
  last xid8;
BEGIN
  sealed := 0;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('tiendo.seal', 0)) THEN
    RETURN;
  END IF;
  SELECT * INTO STRICT state FROM seal_state;
  state.moving := state.moving OR state.horizon > ahead OR coalesce(highest >= ahead AND highest > state.foreign_xid, false);
  IF state.moving THEN
    FOR j IN SELECT * FROM journal x WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = x.seq) ORDER BY x.seq LIMIT most LOOP
      state.position := state.position + 1;
      state.hash := sha256(state.hash || convert_to(journal_text(j), 'UTF8'));
      INSERT INTO journal_seal VALUES (state.position, j.xid, j.seq, state.hash);
      sealed := sealed + 1;
    END LOOP;
    IF sealed < most THEN
      state.moving := false;
      state.horizon := horizon;
      state.foreign_xid := coalesce(highest, '0');
    END IF;
  ELSE
    FOR j IN SELECT * FROM journal x WHERE x.xid >= state.horizon AND x.xid < horizon
        AND NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = x.seq)
        ORDER BY x.xid, x.seq LIMIT most LOOP
      state.position := state.position + 1;
      state.hash := sha256(state.hash || convert_to(journal_text(j), 'UTF8'));
      INSERT INTO journal_seal VALUES (state.position, j.xid, j.seq, state.hash);
      sealed := sealed + 1;
      last := j.xid;
    END LOOP;
    -- A full step may have stopped inside a transaction's rows: go on there.
    state.horizon := CASE WHEN sealed < most THEN horizon ELSE last END;
  END IF;
  IF state <> (SELECT s FROM seal_state s) THEN
    UPDATE seal_state SET horizon = state.horizon, position = state.position, hash = state.hash, moving = state.moving,
      foreign_xid = state.foreign_xid;
  END IF;
  head_position := state.position;
  head_hash := encode(state.hash, 'hex');
END $$;

-- The chain's head, for a checkpoint.
CREATE FUNCTION seal_head(OUT head_position bigint, OUT head_hash text) LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$ SELECT s.position, encode(s.hash, 'hex') FROM seal_state s $$;

-- Claims an idempotency key for the entered caller. In flight elsewhere: 409 at once. Known with the same fingerprint: the
-- stored answer. Known with another: 422. New, or older than the keeping time: no row.
CREATE FUNCTION idempotency_claim(p_key text, p_fingerprint bytea, hours int DEFAULT 24)
  RETURNS TABLE (status int, version text, location text, body text) LANGUAGE plpgsql AS $$
DECLARE
  me uuid := coalesce(me_account(), me_client());
  seen idempotency;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended(me::text || p_key, 42)) THEN
    PERFORM fail(409, 'idempotency_in_flight');
  END IF;
  SELECT * INTO seen FROM idempotency i WHERE i.caller = me AND i.key = p_key;
  IF NOT FOUND THEN RETURN; END IF;
  IF seen.created_at < clock_now() - make_interval(hours => hours) THEN
    DELETE FROM idempotency i WHERE i.caller = me AND i.key = p_key;
    RETURN;
  END IF;
  IF seen.fingerprint <> p_fingerprint THEN
    PERFORM fail(422, 'idempotency_key_reused', jsonb_build_array(jsonb_build_object('header', 'Idempotency-Key',
      'code', 'idempotency_key_reused', 'detail', 'this key was used for another request')));
  END IF;
  IF seen.status = 0 THEN
    PERFORM fail(409, 'secret_not_replayed', NULL, 'The answer held a secret and was not kept.');
  END IF;
  RETURN QUERY SELECT seen.status, seen.version, seen.location, seen.body;
END $$;
-- Keeps the answer of a committed success. Status 0 marks an answer that held a secret and is not kept.
CREATE FUNCTION idempotency_store(p_key text, p_fingerprint bytea, p_status int, p_version text, p_location text, p_body text)
  RETURNS void LANGUAGE sql AS $$
  INSERT INTO tiendo.idempotency (caller, key, fingerprint, status, version, location, body)
  VALUES (coalesce(tiendo.me_account(), tiendo.me_client()), p_key, p_fingerprint, p_status, p_version, p_location, p_body) $$;
-- Drops what is past its keeping time; called by the sealer now and then.
CREATE FUNCTION housekeeping(hours int DEFAULT 24) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
  DELETE FROM idempotency WHERE created_at < clock_now() - make_interval(hours => hours);
  DELETE FROM refresh_token WHERE expires_at < clock_now() - interval '7 days';
  DELETE FROM login_throttle WHERE window_start < clock_now() - CASE WHEN key LIKE 'known:%' THEN interval '90 days' ELSE interval '1 day' END; $$;

GRANT EXECUTE ON FUNCTION journal(text, text, uuid, bigint, text, jsonb, jsonb, text, uuid), seal_step(int), seal_head(),
  idempotency_claim(text, bytea, int), idempotency_store(text, bytea, int, text, text, text), housekeeping(int) TO tiendo_service;
