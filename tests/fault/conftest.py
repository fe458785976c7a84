"""A durable cluster of the suite's own: what was acknowledged must outlive a power cut."""
import pytest
from harness.cluster import Cluster
from harness.crowd import wait_for
from harness.service import Service


@pytest.fixture(scope="session")
def cluster():
    made = Cluster(durable=True)
    try:
        yield made
    finally:
        made.destroy()


@pytest.fixture
def another(world, cluster, directory, clock):
    """Starts further processes on the same database, as settings say; they end clean with the test. What the test does not
    set has a loaded machine's limits."""
    made = []
    patient = {"issuer": world.service.env["TIENDO_ISSUER"], "seal_interval_ms": 50, "quick_statement_timeout_ms": 10000,
               "quick_lock_timeout_ms": 3000, "pool_wait_ms": 10000}

    def start(**settings):
        one = Service(cluster, directory, clock, **{**patient, **settings})
        made.append(one)
        return one.start()

    yield start
    for one in made:
        one.assert_clean(one.stop())


@pytest.fixture
def running(world, cluster):
    """The cluster is up again after the test, whatever happened in it."""
    yield cluster
    cluster.ensure()
    world.service.wait_ready()
    me = world.at("AA-W1", "reporter")
    # The long lane notices by itself.
    assert wait_for(lambda: me.get("/v1/values", [("Accept", "text/csv")]).status == 200)


@pytest.fixture
def lock(cluster):
    """Holds a lock on a table as another session would; gives a function that lets go."""
    held = []

    def take(table, mode="ACCESS EXCLUSIVE"):
        connection = cluster.connect()
        connection.autocommit = False
        held.append(connection)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN {mode} MODE")
        return connection.rollback

    yield take
    for connection in held:
        connection.close()
