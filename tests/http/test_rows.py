"""Row-level security from outside: a person with psql and the service's database role sees what the service sees, and no more."""
import psycopg2
import pytest


@pytest.fixture
def outside(world, cluster):
    connection = cluster.connect("tiendo_service")
    connection.autocommit = False
    yield connection
    connection.close()


def tables(cluster):
    return [name for (name,) in cluster.query("SELECT relname FROM pg_class WHERE relnamespace = 'tiendo'::regnamespace AND relkind IN ('r', 'p') "
                                              "AND relname <> 'test_clock' ORDER BY 1")]


# What is the same for everybody and tells nothing of anyone.
OPEN = {"organization_kind", "permission", "role_permission", "period", "migration", "schema_migration"}


def count(connection, table):
    """Rows seen; None where the role may not look at all."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SELECT count(*) FROM tiendo.{table}")
            seen = cursor.fetchone()[0]
        except psycopg2.errors.InsufficientPrivilege:
            seen = None
    connection.rollback()
    return seen


def test_who_has_not_entered_sees_nothing_in_any_table(world, cluster, outside):
    filled = 0
    for table in tables(cluster):
        seen = count(outside, table)
        total = cluster.query(f"SELECT count(*) FROM {table}")[0][0]
        filled += total > 0
        if table not in OPEN:
            assert not seen, f"{table}: {seen} of {total}"
    assert filled > 15


def test_row_security_is_on_and_forced_wherever_there_are_rows_of_someone(cluster, world):
    loose = cluster.query("SELECT relname FROM pg_class WHERE relnamespace = 'tiendo'::regnamespace AND relkind IN ('r', 'p') "
                          "AND NOT (relrowsecurity AND relforcerowsecurity) AND relname <> 'test_clock'")
    assert {name for (name,) in loose} <= OPEN


def entered(world, outside, username, permission):
    answer = world.login(username).json()
    import json
    import base64
    claims = json.loads(base64.urlsafe_b64decode(answer["access_token"].split(".")[1] + "=="))
    header = json.loads(base64.urlsafe_b64decode(answer["access_token"].split(".")[0] + "=="))
    cursor = outside.cursor()
    cursor.execute("SELECT tiendo.enter(%s, %s, %s, %s)", [claims["grant"], claims["sid"], header["kid"], permission])
    return cursor


@pytest.mark.parametrize("username", ["aa-w1.viewer", "aa-w2.manager", "aa-btg.viewer", "aa-w1-xd.reporter", "aa-tu.inspector", "bb-w1.viewer"])
def test_psql_sees_the_rows_the_api_shows(world, outside, username):
    cursor = entered(world, outside, username, "organizations:read")
    cursor.execute("SELECT code FROM organization ORDER BY code")
    by_sql = [code for (code,) in cursor.fetchall()]
    assert by_sql == sorted(o["code"] for o in world.as_(username).items("/v1/organizations", limit=1000))
    outside.rollback()
    cursor = entered(world, outside, username, "values:read")
    cursor.execute("SELECT id::text FROM value")
    assert {i for (i,) in cursor.fetchall()} == {v["id"] for v in world.as_(username).items("/v1/values", limit=1000)}
    cursor.execute("SELECT count(*) FROM account")
    assert cursor.fetchone()[0] == 0


def test_entering_lasts_to_the_end_of_the_transaction(world, outside):
    cursor = entered(world, outside, "aa-w1.viewer", "organizations:read")
    cursor.execute("SELECT count(*) FROM organization")
    assert cursor.fetchone()[0] > 0
    outside.rollback()
    cursor.execute("SELECT count(*) FROM organization")
    assert cursor.fetchone()[0] == 0


@pytest.mark.parametrize("statement", [
    "UPDATE tiendo.organization SET name = 'x'", "DELETE FROM tiendo.value", "INSERT INTO tiendo.role_permission VALUES ('viewer', 'accounts:write')",
    "UPDATE tiendo.account SET password_hash = 'x'", "SELECT password_hash FROM tiendo.account", "SELECT private_sealed FROM tiendo.signing_key",
    "SELECT secret_hash FROM tiendo.client", "SELECT * FROM tiendo.refresh_token", "UPDATE tiendo.journal SET action = 'x'", "DELETE FROM tiendo.journal",
    "UPDATE tiendo.journal_seal SET hash = ''", "CREATE TABLE tiendo.mine (x int)", "CREATE FUNCTION tiendo.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE tiendo.organization DISABLE ROW LEVEL SECURITY", "SET ROLE tiendo_owner", "TRUNCATE tiendo.value",
    "CREATE TABLE public.mine (x int)", "SET SESSION AUTHORIZATION postgres", "SET row_security = off; SELECT * FROM tiendo.organization"])
def test_the_service_role_can_do_no_harm(world, outside, statement):
    """As a manager of a ward who has broken into the service's connection."""
    cursor = entered(world, outside, "aa-w1.viewer", "organizations:read")
    try:
        cursor.execute(statement)
        assert cursor.rowcount == 0, f"{statement} reached {cursor.rowcount} rows"
    except psycopg2.Error:
        pass
    outside.rollback()


def test_settings_forged_by_hand_open_nothing_written(world, outside, cluster):
    """The settings are the service's own word; what they cannot do is change what they may not write."""
    cursor = outside.cursor()
    cursor.execute("SELECT set_config('tiendo.lo', '0', true), set_config('tiendo.hi', '~', true)")
    for table in ("account", "access_grant", "client"):
        cursor.execute(f"SELECT count(*) FROM tiendo.{table}")
        assert cursor.fetchone()[0] == 0
    outside.rollback()


def test_references_see_through_no_policy(world, cluster):
    """library-traps: foreign keys bypass row security; an insert that names an invisible parent must fail all the same."""
    hidden = cluster.query("SELECT id FROM organization WHERE code = 'AA-W2'")[0][0]
    answer = world.at("AA-W1", "manager").post("/v1/organizations", {"code": "AA-W1-THRU", "name": "x", "kind": "party_cell", "parent": hidden})
    assert answer.status == 422
    assert cluster.query("SELECT count(*) FROM organization WHERE code = 'AA-W1-THRU'") == [(0,)]


def test_the_service_refuses_more_than_its_role(service, cluster, directory):
    for role in ("postgres", "tiendo_migrator"):
        env = dict(service.env)
        service.env = {**env, "TIENDO_DATABASE": cluster.dsn(role)}
        try:
            done = service.command("check", check=False)
            assert done.returncode != 0, done.stdout
        finally:
            service.env = env
