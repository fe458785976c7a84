"""Functions that run as the owner cannot be led astray by what a session of the serving role puts in their way."""
import psycopg2
import pytest

# enter() has no SET clause, for its speed; its names are qualified instead (see 0004).
UNSET = {"enter"}


def test_definer_functions_look_into_pg_temp_last(world, cluster):
    found = cluster.query("""SELECT p.proname, p.proconfig FROM pg_proc p
        WHERE p.pronamespace = 'tiendo'::regnamespace AND p.prosecdef""")
    assert len(found) > 10
    loose = {name for name, config in found if not any(c.endswith("pg_temp") and c.startswith("search_path=") for c in config or [])}
    assert loose == UNSET


def test_nothing_is_executable_by_everybody(world, cluster):
    found = cluster.query("""SELECT p.proname FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'tiendo'::regnamespace AND a.grantee = 0 AND p.proname NOT IN ('keyrange', 'keymultirange')""")
    assert found == []


@pytest.mark.parametrize("lure", [
    "CREATE TEMP TABLE access_grant (LIKE tiendo.organization_kind); GRANT ALL ON access_grant TO PUBLIC",
    "CREATE TEMP TABLE login_throttle (key text, failures int, window_start timestamptz, blocked_until timestamptz); GRANT ALL ON login_throttle TO PUBLIC",
    *(f"CREATE DOMAIN pg_temp.{t} AS pg_catalog.{t} CHECK (pg_temp.caught(VALUE::pg_catalog.text))"
      for t in ("text", "date", "uuid", "timestamptz")),
])
def test_a_lure_in_pg_temp_catches_nobody(world, cluster, lure):
    """What the lure runs would tell under whose name it was run."""
    connection = psycopg2.connect(cluster.dsn("tiendo_service"))
    try:
        with connection.cursor() as cursor:
            cursor.execute("""CREATE TEMP TABLE caught_as (who pg_catalog.text); GRANT ALL ON caught_as TO PUBLIC;
                CREATE FUNCTION pg_temp.caught(v pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS $f$
                BEGIN IF current_user = 'tiendo_owner' THEN RAISE EXCEPTION 'caught %', current_user; END IF; RETURN true; END $f$""")
            cursor.execute(lure)
            if "login_throttle" in lure:
                cursor.execute("SELECT tiendo.login_fail('someone', '127.0.0.1', NULL, 5, 100, 300)")
                cursor.execute("SELECT count(*) FROM pg_temp.login_throttle")
                assert cursor.fetchone() == (0,)
            cursor.execute("SAVEPOINT before")
            try:
                cursor.execute("SELECT tiendo.enter('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000001', 'k', 'me:read')")
                raise AssertionError("an unknown grant was entered")
            except psycopg2.Error as error:
                assert error.pgcode == "TD401", error
                assert "caught" not in str(error)
    finally:
        connection.rollback()
        connection.close()


def test_a_read_mandate_shows_no_staff(world):
    """A mandate over the root lets its unit read the work, not the accounts."""
    unit = world.at("AA-BTG", "administrator")
    for collection in ("/v1/accounts", "/v1/grants", "/v1/clients"):
        for item in unit.items(collection):
            assert item["organization"]["code"].startswith("AA-BTG"), (collection, item)
