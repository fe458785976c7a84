-- Accounts, clients, roles, grants, mandates, sessions and keys: who may act, in whose name, over what.
SET search_path = tiendo, public;

CREATE TABLE account (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organization (id),
  scope_key text COLLATE "C" NOT NULL,
  username text NOT NULL CHECK (username ~ '^[a-z0-9][a-z0-9._@-]{2,63}$'),
  display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
  password_hash text,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT account_username_taken UNIQUE (username)
);
COMMENT ON CONSTRAINT account_username_taken ON account IS '409 username_taken #/username';
CREATE INDEX account_scope ON account (scope_key, id);

CREATE TABLE client (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organization (id),
  scope_key text COLLATE "C" NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  scopes text[] NOT NULL,
  secret_hash bytea,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now()
);
CREATE INDEX client_scope ON client (scope_key, id);

-- What each role may do. grows: the mandate function that widens this permission's area, NULL when none does.
CREATE TABLE permission (
  code text PRIMARY KEY,
  grows text CHECK (grows IN ('read', 'enter', 'define')),
  for_client boolean NOT NULL
);
INSERT INTO permission (code, grows, for_client) VALUES
  ('me:read', 'read', true), ('organizations:read', 'read', true), ('programmes:read', 'read', true),
  ('indicators:read', 'read', true), ('periods:read', 'read', true), ('values:read', 'read', true),
  ('progress:read', 'read', true), ('mandates:read', 'read', true),
  ('accounts:read', NULL, false), ('clients:read', NULL, false), ('grants:read', NULL, false),
  ('values:write', 'enter', true), ('organizations:write', 'define', true), ('programmes:write', 'define', true),
  ('indicators:write', 'define', true),
  ('accounts:write', NULL, false), ('clients:write', NULL, false), ('grants:write', NULL, false), ('mandates:write', NULL, false);
CREATE TABLE role_permission (
  role text NOT NULL CHECK (role IN ('viewer', 'reporter', 'approver', 'manager', 'administrator', 'inspector', 'connector')),
  permission text NOT NULL REFERENCES permission (code),
  grows text,
  PRIMARY KEY (role, permission)
);
INSERT INTO role_permission (role, permission, grows)
SELECT rp.role, rp.permission, p.grows FROM (
SELECT r AS role, p.code AS permission FROM unnest(ARRAY['viewer', 'reporter', 'approver', 'manager', 'administrator', 'inspector', 'connector']) r, permission p
WHERE p.grows = 'read'
UNION ALL
SELECT r, 'values:write' FROM unnest(ARRAY['reporter', 'approver', 'manager', 'connector']) r
UNION ALL
SELECT r, p FROM unnest(ARRAY['manager', 'connector']) r, unnest(ARRAY['organizations:write', 'programmes:write', 'indicators:write']) p
UNION ALL
SELECT 'administrator', p.code FROM permission p WHERE p.grows IS NULL) rp JOIN permission p ON p.code = rp.permission;

CREATE TABLE access_grant (
  id uuid PRIMARY KEY,
  account_id uuid REFERENCES account (id),
  client_id uuid REFERENCES client (id),
  organization_id uuid NOT NULL REFERENCES organization (id),
  scope_key text COLLATE "C" NOT NULL,
  role text NOT NULL CHECK (role IN ('viewer', 'reporter', 'approver', 'manager', 'administrator', 'inspector', 'connector')),
  valid_from date NOT NULL,
  valid_to date,
  revoked_at timestamptz,
  granted_by uuid REFERENCES account (id),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT access_grant_holder CHECK (num_nonnulls(account_id, client_id) = 1),
  CONSTRAINT access_grant_connector CHECK ((role = 'connector') = (client_id IS NOT NULL)),
  CONSTRAINT access_grant_validity CHECK (valid_to >= valid_from)
);
COMMENT ON CONSTRAINT access_grant_connector ON access_grant IS '422 invalid_role #/role';
COMMENT ON CONSTRAINT access_grant_validity ON access_grant IS '422 ends_before_start #/valid_to';
CREATE INDEX access_grant_account ON access_grant (account_id);
CREATE INDEX access_grant_client ON access_grant (client_id);
CREATE INDEX access_grant_scope ON access_grant (scope_key, id);

-- What a committee entrusts to a unit beside its line: functions over a subtree, for one programme or all.
-- Either one unit over one unit's subtree, or every unit of a kind over its own parent's subtree.
CREATE TABLE mandate (
  id uuid PRIMARY KEY,
  giver_id uuid NOT NULL REFERENCES organization (id),
  scope_key text COLLATE "C" NOT NULL,
  unit_id uuid REFERENCES organization (id),
  unit_kind text REFERENCES organization_kind (code),
  over_id uuid REFERENCES organization (id),
  over_parent boolean NOT NULL DEFAULT false,
  functions text[] NOT NULL CONSTRAINT mandate_functions
    CHECK (functions <@ ARRAY['read', 'enter', 'define', 'review', 'remind', 'audit'] AND cardinality(functions) > 0),
  programme_id uuid,
  document text CHECK (length(document) BETWEEN 1 AND 200),
  valid_from date NOT NULL,
  valid_to date,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT mandate_unit CHECK (num_nonnulls(unit_id, unit_kind) = 1),
  CONSTRAINT mandate_over CHECK (over_parent = (over_id IS NULL) AND over_parent = (unit_kind IS NOT NULL)),
  CONSTRAINT mandate_validity CHECK (valid_to >= valid_from)
);
COMMENT ON CONSTRAINT mandate_functions ON mandate IS '422 enum #/functions';
COMMENT ON CONSTRAINT mandate_unit ON mandate IS '422 one_of #/unit';
COMMENT ON CONSTRAINT mandate_over ON mandate IS '422 one_of #/over';
COMMENT ON CONSTRAINT mandate_validity ON mandate IS '422 ends_before_start #/valid_to';
CREATE INDEX mandate_unit ON mandate (unit_id);
CREATE INDEX mandate_kind ON mandate (unit_kind);
CREATE INDEX mandate_scope ON mandate (scope_key, id);

CREATE TABLE session (
  id uuid PRIMARY KEY,
  grant_id uuid NOT NULL REFERENCES access_grant (id),
  account_id uuid REFERENCES account (id),
  client_id uuid REFERENCES client (id),
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  revoked_reason text,
  CHECK (num_nonnulls(account_id, client_id) = 1)
);
CREATE INDEX session_account ON session (account_id);
CREATE INDEX session_grant ON session (grant_id);

CREATE TABLE refresh_token (
  token_hash bytea PRIMARY KEY,
  session_id uuid NOT NULL REFERENCES session (id),
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);
CREATE INDEX refresh_token_session ON refresh_token (session_id);

-- Signing keys. The private half is sealed with a key from the configuration; accepted_until ends a rotated key.
CREATE TABLE signing_key (
  kid text PRIMARY KEY,
  public_pem text NOT NULL,
  private_sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  signs_until timestamptz,
  accepted_until timestamptz
);

-- Failed log-ins, counted per (what, whom): a throttle, never a lock.
CREATE TABLE login_throttle (
  key text PRIMARY KEY,
  failures int NOT NULL,
  window_start timestamptz NOT NULL,
  blocked_until timestamptz
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['account', 'client', 'access_grant', 'mandate'] LOOP
    PERFORM protect(t::regclass);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['session', 'refresh_token', 'signing_key', 'login_throttle'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO tiendo_owner USING (true) WITH CHECK (true)', t);
  END LOOP;
  -- Staff data is for administrators of the subtree: a mandate widens what is read of the work, never of the staff.
  FOREACH t IN ARRAY ARRAY['account', 'client', 'access_grant'] LOOP
    EXECUTE format('CREATE POLICY administrators_only ON %I AS RESTRICTIVE FOR SELECT TO tiendo_service
      USING ((SELECT me_role()) = ''administrator'' AND scope_key >= (SELECT me_seat_key())
        AND scope_key < (SELECT me_seat_key()) || ''~'')', t);
    EXECUTE format('CREATE POLICY service_insert ON %I FOR INSERT TO tiendo_service
      WITH CHECK ((SELECT me_permission()) = %L AND scope_key <@ (SELECT write_scope()))', t,
      CASE t WHEN 'access_grant' THEN 'grants:write' ELSE t || 's:write' END);
  END LOOP;
END $$;
DROP POLICY service_insert ON access_grant;
-- A grant may also come with its account or client; nobody grants to themselves.
CREATE POLICY service_insert ON access_grant FOR INSERT TO tiendo_service
  WITH CHECK ((SELECT me_permission()) IN ('grants:write', 'accounts:write', 'clients:write')
    AND scope_key <@ (SELECT write_scope()) AND account_id IS DISTINCT FROM (SELECT me_account()));
CREATE POLICY service_insert ON mandate FOR INSERT TO tiendo_service
  WITH CHECK ((SELECT me_permission()) = 'mandates:write' AND scope_key <@ (SELECT write_scope()));

GRANT SELECT ON permission, role_permission, access_grant, mandate TO tiendo_service;
GRANT SELECT (id, organization_id, scope_key, username, display_name, status, version, created_at, updated_at) ON account TO tiendo_service;
GRANT SELECT (id, organization_id, scope_key, name, scopes, status, version, created_at, updated_at) ON client TO tiendo_service;
GRANT INSERT ON account, client, access_grant, mandate TO tiendo_service;

-- The row's unit decides its key; a trigger keeps a caller from naming another.
CREATE FUNCTION copy_scope_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT o.scope_key INTO STRICT new.scope_key FROM organization o
  WHERE o.id = (to_jsonb(new) ->> tg_argv[0])::uuid;
  RETURN new;
END $$;
CREATE TRIGGER scope_key BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION copy_scope_key('organization_id');
CREATE TRIGGER scope_key BEFORE INSERT ON client FOR EACH ROW EXECUTE FUNCTION copy_scope_key('organization_id');
CREATE TRIGGER scope_key BEFORE INSERT ON access_grant FOR EACH ROW EXECUTE FUNCTION copy_scope_key('organization_id');
CREATE TRIGGER scope_key BEFORE INSERT ON mandate FOR EACH ROW EXECUTE FUNCTION copy_scope_key('giver_id');
CREATE TRIGGER scope_key BEFORE INSERT ON organization_span FOR EACH ROW EXECUTE FUNCTION copy_scope_key('organization_id');
CREATE TRIGGER scope_key BEFORE INSERT ON organization_identifier FOR EACH ROW EXECUTE FUNCTION copy_scope_key('organization_id');
