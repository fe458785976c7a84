-- The ground everything stands on: the schema, one clock, one way to fail, text folding, tree keys, and
-- what the entered caller may see (settings written by enter(), read through the functions below).
CREATE SCHEMA tiendo;
REVOKE ALL ON SCHEMA tiendo FROM PUBLIC;
GRANT USAGE ON SCHEMA tiendo TO tiendo_service;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
SET search_path = tiendo, public;

-- One clock. Test installations replace clock_now() by one that can be moved.
CREATE FUNCTION clock_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT now() $$;
CREATE FUNCTION today() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT (tiendo.clock_now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::pg_catalog.date $$;
-- A timestamp as answered: RFC 3339 in Z, milliseconds.
CREATE FUNCTION tstz(t timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- Raises a problem: the service turns TDnnn into an HTTP answer of that status, MESSAGE into its code,
-- DETAIL into errors[] and HINT into its detail.
CREATE FUNCTION fail(status int, code text, faults jsonb DEFAULT NULL, detail text DEFAULT NULL)
  RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'TD' || status, MESSAGE = code,
    DETAIL = coalesce(faults::pg_catalog.text, ''), HINT = coalesce(detail, '');
END $$;
-- One entry of errors[] that points into the request's body.
CREATE FUNCTION fault(pointer text, code text, detail text) RETURNS jsonb LANGUAGE sql IMMUTABLE
  AS $$ SELECT jsonb_build_object('pointer', pointer, 'code', code, 'detail', detail) $$;
-- The same for a query or path parameter.
CREATE FUNCTION fault_parameter(parameter text, code text, detail text) RETURNS jsonb LANGUAGE sql IMMUTABLE
  AS $$ SELECT jsonb_build_object('parameter', parameter, 'code', code, 'detail', detail) $$;

CREATE FUNCTION is_uuid(ref text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT ref ~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$' $$;
-- Text as searched: NFC, without Vietnamese (or any) accents, lower case; đ and Đ become d.
CREATE FUNCTION fold(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT lower(public.unaccent('public.unaccent'::regdictionary, normalize(t, NFC))) $$;

CREATE DOMAIN code AS text CONSTRAINT code_shape CHECK (VALUE ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'
  AND VALUE !~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$');
COMMENT ON CONSTRAINT code_shape ON DOMAIN code IS '422 pattern #/code';

-- Tree keys: six characters of [0-9a-v] a level, root first; the subtree of k is [k, k || '~').
CREATE TYPE keyrange AS RANGE (subtype = text, collation = "C", multirange_type_name = keymultirange);
CREATE SEQUENCE organization_label;
CREATE FUNCTION label(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT string_agg(substr('0123456789abcdefghijklmnopqrstuv', ((n >> (5 * (5 - i))) & 31)::int + 1, 1), '' ORDER BY i)
  FROM generate_series(0, 5) i $$;
CREATE FUNCTION subtree(key text) RETURNS keyrange LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT tiendo.keyrange(key, key || '~', '[)') $$;
-- The keys of a unit's proper ancestors, root first.
CREATE FUNCTION ancestor_keys(key text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT coalesce(array_agg(left(key, n) ORDER BY n), '{}') FROM generate_series(6, length(key) - 6, 6) n $$;

-- Who is entered. enter() writes four settings that last to the end of the transaction: tiendo.lo and tiendo.hi bound what
-- the caller sees, tiendo.one says that this bound is exact, tiendo.me holds all else, fields parted by '|'. Everything is
-- NULL, and every policy closed, until enter() has been called in this transaction.
CREATE FUNCTION me_grant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 1), '')::uuid $$;
CREATE FUNCTION me_session() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 2), '')::uuid $$;
CREATE FUNCTION me_account() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 3), '')::uuid $$;
CREATE FUNCTION me_client() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 4), '')::uuid $$;
CREATE FUNCTION me_seat() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 5), '')::uuid $$;
CREATE FUNCTION me_seat_key() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 6), '') $$;
CREATE FUNCTION me_root() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 7), '')::uuid $$;
CREATE FUNCTION me_role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 8), '') $$;
CREATE FUNCTION me_permission() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 9), '') $$;

-- The scope, as sets of key ranges. area: every unit the caller sees. scope: units whose rows it sees whatever the
-- programme. write_scope: where the entered permission may write. behalf_scope: below the seat, where a reporter enters what
-- is marked entered_by superior. limited_*: what programme-bound mandates add, as pairs (programme, area).
CREATE FUNCTION area() RETURNS keymultirange LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 10), '')::tiendo.keymultirange $$;
CREATE FUNCTION scope() RETURNS keymultirange LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 11), '')::tiendo.keymultirange $$;
CREATE FUNCTION write_scope() RETURNS keymultirange LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 12), '')::tiendo.keymultirange $$;
CREATE FUNCTION behalf_scope() RETURNS keymultirange LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 13), '')::tiendo.keymultirange $$;
CREATE FUNCTION limited_programmes() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 14), '')::uuid[] $$;
CREATE FUNCTION limited_scopes() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 15), '')::text[] $$;
CREATE FUNCTION limited_write_programmes() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 16), '')::uuid[] $$;
CREATE FUNCTION limited_write_scopes() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(split_part(current_setting('tiendo.me', true), '|', 17), '')::text[] $$;
CREATE FUNCTION scope_lo() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('tiendo.lo', true), '') $$;
CREATE FUNCTION scope_hi() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('tiendo.hi', true), '') $$;
-- True when [scope_lo, scope_hi) is all of area and of scope, so that the exact test can be left out.
CREATE FUNCTION one_range() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('tiendo.one', true), '')::boolean $$;
-- Whether a row of this programme and unit lies in one of the pairs (programme, area); strict, so that without any it is not called.
CREATE FUNCTION in_limited(programme uuid, key text, programmes uuid[], scopes text[]) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE i int := array_position(programmes, programme);
BEGIN
  RETURN i IS NOT NULL AND key <@ scopes[i]::tiendo.keymultirange;
END $$;

-- Writes the three policies that unit-scoped tables share: the owner sees all, the service sees its scope.
-- programme: the column that programme-bound mandates are compared with, or NULL.
CREATE FUNCTION protect(tab regclass, programme text DEFAULT NULL, readable text DEFAULT 'scope') RETURNS void
  LANGUAGE plpgsql AS $$
DECLARE
  bound text := 'scope_key >= (SELECT tiendo.scope_lo()) AND scope_key < (SELECT tiendo.scope_hi())';
  exact text := format('((SELECT tiendo.one_range()) OR scope_key <@ (SELECT tiendo.%I()))', readable);
BEGIN
  IF programme IS NOT NULL THEN
    exact := format('(%s OR tiendo.in_limited(%I, scope_key, (SELECT tiendo.limited_programmes()), (SELECT tiendo.limited_scopes())))',
      exact, programme);
  END IF;
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tab);
  EXECUTE format('CREATE POLICY owner_all ON %s TO tiendo_owner USING (true) WITH CHECK (true)', tab);
  EXECUTE format('CREATE POLICY service_read ON %s FOR SELECT TO tiendo_service USING (%s AND %s)', tab, bound, exact);
END $$;

GRANT EXECUTE ON FUNCTION clock_now(), today(), tstz(timestamptz), fail(int, text, jsonb, text), fault(text, text, text),
  fault_parameter(text, text, text), is_uuid(text), fold(text), label(bigint), subtree(text), ancestor_keys(text),
  me_account(), me_client(), me_grant(), me_session(), me_seat(), me_seat_key(), me_root(), me_role(),
  me_permission(), scope_lo(), scope_hi(), one_range(), area(), scope(), write_scope(), behalf_scope(), limited_programmes(),
  limited_scopes(), limited_write_programmes(), limited_write_scopes(), in_limited(uuid, text, uuid[], text[])
  TO tiendo_service;
