"""The feed of changes under slow and fast transactions, two service processes and sealers that are killed: nothing is left out,
nothing told twice, and the versions of each resource ascend."""
import collections
import random
import threading
import time

import pytest
from harness import samples
from harness.crowd import patient, wait_for
from harness.service import Service
from harness.world import Caller

PATH = "/v1/changes"
SECONDS = 12


@pytest.fixture(scope="module")
def other(world, cluster, directory, clock):
    """Another process on the same database, which seals too and is killed again and again."""
    made = Service(cluster, directory, clock, seal_interval_ms=20, issuer=world.service.env["TIENDO_ISSUER"], quick_statement_timeout_ms=10000,
                   quick_lock_timeout_ms=3000, pool_wait_ms=10000).start()
    yield made
    made.assert_clean(made.stop())


@pytest.fixture
def number(world):
    by = world.at("AA-TU", "manager")
    code = world.indicator(by, samples.fresh("AA-FE"), "AA-P", "number")["code"]
    world.assign(by, code, kind="party_cell", under="AA-TU", entered_by="superior")
    return code


class Reader(threading.Thread):
    """Follows from a place on, whatever happens to the process it asks; keeps every event in the order told."""

    def __init__(self, caller, after, wait):
        super().__init__(daemon=True)
        self.caller, self.after, self.wait = caller, after, wait
        self.events, self.error = [], None
        self.all_is_told = threading.Event()

    def run(self):
        """To the end, once nothing more will be written: a page behind it that holds nothing."""
        try:
            while True:
                last = self.all_is_told.is_set()
                try:
                    answer = self.caller.http.request("GET", f"{PATH}?after={self.after}&wait={self.wait}&limit={random.choice((1, 2, 7, 1000))}",
                                                      [("Authorization", "Bearer " + self.caller.token)])
                except OSError:
                    self.caller.http.close()
                    time.sleep(0.05)
                    continue
                if answer.status == 503:
                    time.sleep(0.05)
                    continue
                assert answer.status == 200, answer
                page = answer.json()
                self.events += page["items"]
                self.after = page["page"]["next"]
                if last and not page["items"] and not page["page"]["more"]:
                    break
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.error = error


def slow_writer(cluster, unit, stop):
    """Transactions that take their number early, write late and stay open meanwhile; every third is given up."""
    n = 0
    connection = cluster.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        while not stop.is_set():
            n += 1
            cursor.execute("SELECT pg_current_xact_id()")
            time.sleep(random.uniform(0, 0.8))
            cursor.execute("""INSERT INTO journal (action, resource_type, resource_id, version, scope_key)
                SELECT 'update', 'probe', id, %s, scope_key FROM organization WHERE code = %s""", [n, unit])
            time.sleep(random.uniform(0, 0.4))
            (connection.rollback if n % 3 == 0 else connection.commit)()
    connection.close()


def fast_writer(caller, number, unit, stop):
    version, n = None, 0
    while not stop.is_set():
        n += 1
        answer = patient(lambda: caller.enter(number, unit, "2026-Q1", {"number": n}, version))
        assert answer.status in (200, 201), answer
        version = answer.etag


def check(events, rows):
    """The events are the rows, once each and in their order."""
    told = [(e["data"]["resource_type"], e["data"]["resource_id"], e["data"]["version"]) for e in events]
    twice = [k for k, n in collections.Counter(told).items() if n > 1]
    assert not twice, f"told twice: {twice[:5]}"
    missing = set(rows) - set(told)
    assert not missing, f"never told: {sorted(missing)[:5]} of {len(rows)}"
    assert told == rows
    last = {}
    for kind, resource, version in told:
        if kind == "value":
            assert version > last.get(resource, 0)
            last[resource] = version


def test_slow_and_fast_writers_two_processes_and_a_killed_sealer(world, cluster, number, other):
    units = ["AA-W1-C1", "AA-W1-C2", "AA-W1-C3", "AA-W2-C1", "AA-W2-C2"]
    token = world.connector().token
    cluster.caught_up()
    readers = []
    for caller, http, wait in ((world.connector(), world.service.http(60), 2), (world.connector(), other.http(60), 0), (world.at("AA-W1", "viewer"), other.http(60), 1),
                               (world.at("AA-W2", "viewer"), world.service.http(60), 2)):
        place = caller.get(PATH, after="now").json()["page"]["next"]
        readers.append(Reader(Caller(world, caller.token, http), place, wait))
    begin = cluster.query("SELECT position FROM seal_state")[0][0]
    stop, errors = threading.Event(), []

    def guarded(act, *arguments):
        try:
            act(*arguments)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    writers = [threading.Thread(target=guarded, args=(slow_writer, cluster, unit, stop)) for unit in ("AA-W1", "AA-W2", "AA-TU")]
    writers += [threading.Thread(target=guarded, args=(fast_writer, Caller(world, token), number, unit, stop)) for unit in units]
    for thread in readers + writers:
        thread.start()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(2.5)
        other.kill()
        other.start()
    stop.set()
    for thread in writers:
        thread.join(60)
    assert not errors, errors[0]
    cluster.caught_up()
    for reader in readers:
        reader.all_is_told.set()
    for reader in readers:
        reader.join(120)
        assert reader.error is None and not reader.is_alive(), reader.error
    for reader, root in zip(readers, ("AA-TU", "AA-TU", "AA-W1", "AA-W2")):
        rows = cluster.query("""SELECT j.resource_type, j.resource_id::text, j.version FROM journal j JOIN journal_seal s ON s.seq = j.seq, organization o
            WHERE o.code = %s AND j.scope_key ^@ o.scope_key AND s.position > %s AND j.resource_type NOT IN ('account', 'client', 'grant')
            ORDER BY s.position""", [root, begin])
        assert len(rows) > 20
        check(reader.events, rows)


def test_an_open_transaction_holds_the_feed_and_not_its_reader(world, cluster, number):
    """What is committed behind an open transaction is told once that is over, and before it nothing is told out of turn."""
    by = world.connector()
    cluster.caught_up()
    place = by.get(PATH, after="now").json()["page"]["next"]
    slow = cluster.connect()
    slow.autocommit = False
    with slow.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
        made = world.must(by.enter(number, "AA-W1-C1", "2026-Q1", {"number": 1}))
        page = by.get(PATH, after=place, wait=2).json()
        assert page["items"] == []
        cursor.execute("""INSERT INTO journal (action, resource_type, resource_id, version, scope_key)
            SELECT 'update', 'probe', id, 1, scope_key FROM organization WHERE code = 'AA-W1'""")
    slow.commit()
    slow.close()
    events = []
    after = page["page"]["next"]
    until = time.monotonic() + 60
    while len(events) < 2 and time.monotonic() < until:
        page = by.get(PATH, after=after, wait=2).json()
        events, after = events + page["items"], page["page"]["next"]
    assert [e["data"]["resource_type"] for e in events] == ["probe", "value"] and events[1]["data"]["resource_id"] == made["id"]


def test_a_stop_answers_those_who_wait(world, cluster, directory, clock):
    one = Service(cluster, directory, clock, issuer=world.service.env["TIENDO_ISSUER"]).start()
    caller = Caller(world, world.connector().token, one.http())
    place = caller.get(PATH, after="now").json()["page"]["next"]
    answers = []
    thread = threading.Thread(target=lambda: answers.append((caller.get(PATH, after=place, wait=30), time.monotonic())))
    thread.start()
    time.sleep(1)
    began = time.monotonic()
    one.assert_clean(one.stop())
    thread.join()
    answer, ended = answers[0]
    assert answer.status == 200 and answer.json()["items"] == [] and ended - began < 15


def test_a_moved_unit_is_told_of_where_it_lies_today(world, cluster, number):
    """What came under a caller is told from then on, with what was before for who reads it from the beginning; who lost it is told
    that it left, and nothing more, of its past neither."""
    made = world.must(world.connector().enter(number, "AA-W1-C4", "2026-Q2", {"number": 1}))
    before, after = world.at("AA-W1", "viewer"), world.at("AA-W2", "viewer")

    def told(by, place=None):
        found = set()
        while True:
            page = by.get(PATH, limit=1000, **({"after": place} if place else {})).json()
            found |= {e["data"]["resource_id"] for e in page["items"]}
            place = page["page"]["next"]
            if not page["page"]["more"]:
                return found

    assert wait_for(lambda: made["id"] in told(before)) and made["id"] not in told(after)
    place = before.get(PATH, after="now").json()["page"]["next"]
    unit = before.get("/v1/organizations/AA-W1-C4").json()["id"]
    step = {"kind": "move", "organization": "AA-W1-C4", "parent": "AA-W2"}
    moved = world.at("AA-TU", "manager").post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-11-21", "steps": [step]},
                                              [("Idempotency-Key", samples.fresh("k"))], check=False)
    assert moved.status == 201, moved
    assert wait_for(lambda: made["id"] in told(after)) and made["id"] not in told(before)
    left = [e["type"] for e in before.get(PATH, after=place).json()["items"] if e["data"]["resource_id"] == unit]
    assert left == ["tiendo.organization.leave"] and before.get("/v1/organizations/AA-W1-C4").status == 404
    own = world.at("AA-W2", "administrator")
    world.account(own, "aa-w1-c4.viewer", ("AA-W1-C4", "viewer"))
    assert made["id"] in told(world.at("AA-W1-C4", "viewer")), "its own past is its own wherever it lies"
    events = world.at("AA-W2", "inspector").items("/v1/audit-events", resource=made["id"])
    assert [e["organization"] for e in events] == ["AA-W1-C4"]
    assert world.at("AA-W1", "inspector").items("/v1/audit-events", resource=made["id"]) == []
