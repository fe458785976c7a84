-- The database roles and extensions Tiendo needs. Run once by a database administrator (a superuser)
-- inside the database that will hold Tiendo; running it again is harmless.
--   psql -d tiendo -v migrator_password=… -v service_password=… -f deploy/roles.sql
-- Without the two variables the roles get no password (peer or certificate authentication).
\set ON_ERROR_STOP on
SET client_min_messages = warning;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tiendo_owner') THEN
    CREATE ROLE tiendo_owner NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tiendo_migrator') THEN
    CREATE ROLE tiendo_migrator LOGIN NOINHERIT;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tiendo_service') THEN
    CREATE ROLE tiendo_service LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
  END IF;
  GRANT tiendo_owner TO tiendo_migrator;
  EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO tiendo_owner', current_database());
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO tiendo_migrator', current_database());
  EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO tiendo_service', current_database());
END
$$;
\if :{?migrator_password}
ALTER ROLE tiendo_migrator PASSWORD :'migrator_password';
\endif
\if :{?service_password}
ALTER ROLE tiendo_service PASSWORD :'service_password';
\endif
ALTER ROLE tiendo_service SET search_path = tiendo, public;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA public;
