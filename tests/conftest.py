"""Fixtures of every suite: a cluster, a service and a world to each suite, a moved clock put back after each test."""
import os
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.cluster import Cluster  # noqa: E402
from harness.contract import Contract  # noqa: E402
from harness.service import Clock, Service  # noqa: E402
from harness.world import Caller, World  # noqa: E402


# Whoever runs the tests may have a database of their own in mind.
for name in [name for name in os.environ if name.startswith("PG")]:
    del os.environ[name]


def pytest_configure(config):
    config.addinivalue_line("markers", "no_world: the module brings everything it needs itself")


@pytest.fixture(scope="session")
def directory():
    with tempfile.TemporaryDirectory(prefix="tiendo-test-") as path:
        pathlib.Path(path).chmod(0o755)
        yield pathlib.Path(path)


@pytest.fixture(scope="session")
def cluster():
    made = Cluster()
    try:
        yield made
    finally:
        made.destroy()


@pytest.fixture(scope="session")
def contract():
    return Contract()


@pytest.fixture(scope="session")
def clock(cluster, directory):
    return Clock(cluster, directory)


@pytest.fixture(scope="session")
def service(cluster, directory, clock):
    # Limits for a loaded machine under sanitizers; the fault suite tests the real ones.
    made = Service(cluster, directory, clock, seal_interval_ms=50, quick_statement_timeout_ms=10000,
                   quick_lock_timeout_ms=3000, pool_wait_ms=10000, document_wait_ms=60000, document_timeout_s=200)
    made.command("migrate")
    cluster.make_clock_movable()
    clock.back()
    try:
        yield made
    finally:
        made.assert_clean(made.stop())


@pytest.fixture(scope="session")
def world(service, contract, clock):
    made = World(service, contract, clock).roots()
    service.start()
    return made.build().keep()


@pytest.fixture(scope="module", autouse=True)
def as_built(request):
    """Every module finds the world as it was built, whatever the modules before it did."""
    if "no_world" not in {mark.name for mark in request.node.iter_markers()}:
        request.getfixturevalue("world").as_built()


@pytest.fixture
def moved(clock, world):
    """A clock to move, which is back at its place afterwards."""
    yield clock
    clock.back()
    world.forget()


@pytest.fixture
def caller(world):
    """Makes callers on connections of their own, closed at the end of the test."""
    made = []

    def make(token=None):
        made.append(Caller(world, token))
        return made[-1]

    yield make
    for one in made:
        one.close()
