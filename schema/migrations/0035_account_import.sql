-- Many accounts in one request, each with its one-time activation code. Rows run account_create() and grant_give() one by one, in the
-- order of the file; a row that is refused leaves no trace. A row whose username an earlier row made gives that account one grant more.
SET search_path = tiendo, public;

CREATE FUNCTION account_import_begin() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE TEMP TABLE import_row (row int, line int, id uuid, username text, display_name text, organization text, role text, seat text,
    valid_from text, valid_to text, faults jsonb) ON COMMIT DROP;
  CREATE TEMP TABLE import_item (row int PRIMARY KEY, line int, username text, outcome text, faults jsonb, id uuid, code text,
    expires_at text) ON COMMIT DROP;
  CREATE INDEX import_item_username ON import_item (username);
END $$;

-- Eighty random bits as the service makes them for one account. The text lives in the answer alone: of a code the tables keep the proof.
CREATE FUNCTION activation_code() RETURNS text LANGUAGE sql VOLATILE SET search_path = tiendo, public, pg_temp AS $$
  SELECT string_agg(CASE WHEN i IN (4, 8, 12) THEN '-' ELSE '' END || substr('23456789ABCDEFGHJKLMNPQRSTUVWXYZ', (get_byte(r.bytes, i) & 31) + 1, 1), '' ORDER BY i)
  FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) AS bytes) r, generate_series(0, 15) i $$;
CREATE FUNCTION activation_proof(username text, code text) RETURNS bytea LANGUAGE sql IMMUTABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT sha256(convert_to('activation' || chr(10) || username || chr(10) || replace(code, '-', ''), 'UTF8')) $$;

-- Takes one row in; a row that is refused fails. r: the row's members as JSON, without those that are empty.
CREATE FUNCTION account_import_row(new_id uuid, r jsonb, hours int, request_id text, OUT outcome text, OUT id uuid, OUT code text, OUT expires_at text)
  LANGUAGE plpgsql AS $$
DECLARE
  name text := lower(r ->> 'username');
  seat text := coalesce(r ->> 'seat', r ->> 'organization');
  asked jsonb := CASE WHEN r ? 'role' THEN jsonb_build_object('organization', seat, 'role', r ->> 'role', 'valid_from', r ->> 'valid_from',
    'valid_to', r ->> 'valid_to') END;
  earlier record;
  answer jsonb;
BEGIN
  PERFORM refuse(
    CASE WHEN NOT r ? 'organization' AND NOT r ? 'seat' THEN fault('#/organization', 'required', 'the unit that keeps the account') END,
    CASE WHEN NOT r ? 'role' AND r ?| '{seat,valid_from,valid_to}' THEN fault('#/role', 'required', 'a grant has a role') END);
  SELECT * INTO earlier FROM import_item i WHERE i.username = name ORDER BY i.row LIMIT 1;
  IF FOUND THEN
    id := earlier.id;
    PERFORM refuse(CASE WHEN earlier.outcome = 'failed' THEN fault('#/username', 'earlier_failed', 'the earlier row of this username is faulty') END,
      CASE WHEN asked IS NULL THEN fault('#/role', 'required', 'an earlier row makes this account: this one can only give it a grant') END,
      CASE WHEN r ->> 'display_name' <> (SELECT a.display_name FROM account a WHERE a.id = earlier.id)
        THEN fault('#/display_name', 'differs', 'an earlier row names this account otherwise') END,
      CASE WHEN organization_id(r ->> 'organization') <> (SELECT a.organization_id FROM account a WHERE a.id = earlier.id) AND r ? 'seat'
        THEN fault('#/organization', 'differs', 'an earlier row has another unit keep this account') END);
    PERFORM grant_give(new_id, id, NULL, asked, '#/grants/0', request_id);
    outcome := 'grant';
    RETURN;
  END IF;
  PERFORM refuse(CASE WHEN NOT r ? 'display_name' THEN fault('#/display_name', 'required', 'a new account needs it') END);
  code := activation_code();
  SELECT c.body_out INTO STRICT answer FROM account_create(new_id, jsonb_build_object('username', name, 'display_name', r ->> 'display_name',
      'organization', coalesce(r ->> 'organization', seat)) || CASE WHEN asked IS NOT NULL THEN jsonb_build_object('grants', jsonb_build_array(asked)) ELSE '{}' END,
    NULL, activation_proof(name, code), hours, request_id) c;
  outcome := 'create';
  id := new_id;
  expires_at := answer ->> 'activation_expires_at';
END $$;

-- Faults of a row's own members, where account_create() speaks of the grant.
CREATE FUNCTION account_import_pointers(faults jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_agg(f || jsonb_build_object('pointer', CASE WHEN f ->> 'pointer' = '#/grants/0/organization' THEN '#/seat'
    ELSE replace(f ->> 'pointer', '#/grants/0/', '#/') END)) FROM jsonb_array_elements(faults) f $$;

CREATE FUNCTION account_import_rows(hours int, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r record;
  done record;
  wrong jsonb;
  state text; message text; detail text; hint text; con text;
BEGIN
  FOR r IN SELECT i.row, i.line, i.id, lower(i.username) AS username, i.faults, jsonb_strip_nulls(to_jsonb(i)) - '{row,line,id,faults}'::text[] AS given
      FROM import_row i ORDER BY i.row LOOP
    wrong := r.faults;
    IF wrong IS NULL THEN
      BEGIN
        SELECT * INTO done FROM account_import_row(r.id, r.given, hours, request_id);
      EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
          hint = PG_EXCEPTION_HINT, con = CONSTRAINT_NAME;
        wrong := account_import_pointers(import_row_faults(state, message, detail, hint, con));
        IF wrong IS NULL THEN RAISE; END IF;
      END;
    END IF;
    IF wrong IS NULL THEN
      INSERT INTO import_item VALUES (r.row, r.line, r.username, done.outcome, NULL, done.id, done.code, done.expires_at);
    ELSE
      INSERT INTO import_item VALUES (r.row, r.line, r.username, 'failed', wrong);
    END IF;
  END LOOP;
END $$;

-- The whole import, after account_import_begin() and the COPY. Of a dry run, and where the status is not 200, the service keeps nothing,
-- and no code is told.
CREATE FUNCTION account_import(p_mode text, p_dry_run boolean, p_hours int, p_request_id text)
  RETURNS TABLE (status int, body text) LANGUAGE plpgsql AS $$
DECLARE
  n record;
  refused boolean;
  errors jsonb;
  accounts jsonb := '[]';
BEGIN
  PERFORM account_import_rows(p_hours, p_request_id);
  SELECT count(*) AS rows, count(*) FILTER (WHERE i.outcome = 'create') AS creates, count(*) FILTER (WHERE i.outcome = 'grant') AS grants,
      count(*) FILTER (WHERE i.outcome = 'failed') AS failed, coalesce(sum(jsonb_array_length(i.faults)), 0) AS faults
    INTO n FROM import_item i;
  refused := p_mode = 'atomic' AND n.failed > 0;
  errors := (SELECT coalesce(jsonb_agg(jsonb_build_object('row', e.row, 'line', e.line) || e.fault ORDER BY e.row, e.nth), '[]')
    FROM (SELECT i.row, i.line, f.fault, f.nth FROM import_item i, jsonb_array_elements(i.faults) WITH ORDINALITY f(fault, nth)
      ORDER BY i.row, f.nth LIMIT 1000) e);
  IF NOT refused THEN
    accounts := (SELECT coalesce(jsonb_agg(jsonb_build_object('row', i.row, 'id', i.id, 'username', a.username, 'display_name', a.display_name,
        'organization', (organization_ref(a.organization_id) ->> 'code')) || CASE WHEN p_dry_run THEN '{}'
        ELSE jsonb_build_object('activation_code', i.code, 'activation_expires_at', i.expires_at) END ORDER BY i.row), '[]')
      FROM import_item i JOIN account a ON a.id = i.id WHERE i.outcome = 'create');
  END IF;
  RETURN QUERY SELECT CASE WHEN refused THEN 422 ELSE 200 END, json_build_object('dry_run', p_dry_run, 'mode', p_mode, 'rows', n.rows,
    'created', CASE WHEN refused THEN 0 ELSE n.creates END, 'granted', CASE WHEN refused THEN 0 ELSE n.grants END,
    'failed', n.failed, 'errors', errors, 'errors_truncated', n.faults > jsonb_array_length(errors), 'accounts', accounts)::text;
END $$;

GRANT EXECUTE ON FUNCTION account_import_begin(), activation_code(), activation_proof(text, text), account_import_row(uuid, jsonb, int, text),
  account_import_pointers(jsonb), account_import_rows(int, text), account_import(text, boolean, int, text) TO tiendo_service;
