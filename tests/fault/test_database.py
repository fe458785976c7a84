"""The database stops, restarts, loses a backend, dies whole: 503 with Retry-After, then service as before, by the same process."""
import os
import signal
import threading
import time

import psycopg2
import pytest
from harness import samples
from harness.crowd import Background, patient, wait_for

FORM = [("Content-Type", "application/x-www-form-urlencoded")]


@pytest.fixture
def pid(world):
    """The process that is there at the beginning is there at the end."""
    before = world.service.process.pid
    yield before
    assert world.service.process.pid == before and world.service.process.poll() is None


def requests(world):
    """One of each way to the database."""
    me, client = world.at("AA-W1", "reporter"), world.connector()
    return {
        "read": lambda: me.get("/v1/organizations/AA-W1"),
        "list": lambda: me.get("/v1/values"),
        "export": lambda: me.get("/v1/values", [("Accept", "text/csv")]),
        "write": lambda: me.enter("AA-SUM", "AA-W1", "2025-Q1", {"number": 1}, "*"),
        "create": lambda: world.at("AA-TU", "manager").post("/v1/organizations", samples.body("organization_create")),
        "import": lambda: client.post("/v1/values/imports", [], [("Idempotency-Key", samples.fresh("key"))]),
        "log in": lambda: world.login("aa-w1.viewer"),
        "token": lambda: world.client_token("aa"),
        "refresh": lambda: world.anonymous.post("/oauth2/token", b"grant_type=refresh_token&refresh_token=x", FORM),
        "ready": lambda: world.anonymous.get("/readyz"),
    }


@pytest.fixture
def ready(world):
    """Every request has what it needs beforehand: tokens, and the value it replaces."""
    for role, unit in (("reporter", "AA-W1"), ("manager", "AA-TU")):
        world.at(unit, role)
    world.connector()
    world.at("AA-W1", "reporter").enter("AA-SUM", "AA-W1", "2025-Q1", {"number": 1})
    return requests(world)


def recovers(world, ask, seconds=60):
    """200 again, and nothing but 503 before that."""
    seen = []

    def good():
        seen.append(ask())
        return seen[-1].status == 200

    assert wait_for(good, seconds), seen[-1]
    assert {a.status for a in seen} <= {200, 503}, seen
    return len(seen)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_stopped_database_is_503_and_its_return_is_noticed(world, ready, running, pid, mode):
    running.stop(mode)
    for name, ask in ready.items():
        began = time.monotonic()
        answer = ask()
        assert answer.status == 503 and answer.code == "unavailable", (name, answer)
        assert int(answer.header("Retry-After")) >= 1, name
        assert time.monotonic() - began < 8, name
    assert world.anonymous.get("/livez").status == 200
    assert world.anonymous.get("/openapi.json").status == 200
    running.start()
    recovers(world, ready["read"])
    for name, ask in ready.items():
        # Each lane notices the return by itself: 503 for a moment, never another fault.
        answers = [ask()]
        assert wait_for(lambda ask=ask, answers=answers: answers[-1].status != 503 or answers.append(ask())), (name, answers[-1])
        answer = answers[-1]
        assert answer.status < 300 or name == "refresh" and answer.status == 400, (name, answer)


def test_a_restart_between_two_requests_costs_no_more_than_a_moment(world, ready, running, pid):
    """Connections that died are replaced, not handed out: 503 at most until the return is noticed, never another fault."""
    assert ready["read"]().status == 200
    for _ in range(3):
        running.stop()
        running.start()
        recovers(world, ready["read"])
        recovers(world, ready["write"])


def test_terminated_backends_are_replaced(world, ready, running, pid):
    for name in ("read", "list", "write", "log in"):
        running.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tiendo_service'")
        time.sleep(0.1)
        answer = patient(ready[name])
        assert answer.status < 300, (name, answer)


def test_a_backend_killed_in_the_middle_of_a_request(world, ready, running, pid, lock, another):
    """SIGKILL to one backend: the postmaster restarts all of them. The request is told 503, or carried out anew if it only read."""
    service = another(quick_lock_timeout_ms=20000, quick_statement_timeout_ms=20000)
    me = world.at("AA-W1", "reporter")
    let_go = lock("organization")
    answers = []
    http = service.http()
    asked = threading.Thread(target=lambda: answers.append(http.request(
        "GET", "/v1/organizations/AA-W1", [("Authorization", "Bearer " + me.token)])))
    asked.start()
    waiting = wait_for(lambda: running.query("""SELECT pid FROM pg_stat_activity WHERE usename = 'tiendo_service'
        AND wait_event_type = 'Lock'"""))
    assert waiting
    os.kill(waiting[0][0], signal.SIGKILL)
    asked.join(30)
    assert answers and answers[0].status in (200, 503), answers
    if answers[0].status == 503:
        assert answers[0].header("Retry-After")
    try:
        let_go()
    except Exception:  # noqa: BLE001 - that session went down with the others
        pass
    assert wait_for(lambda: http.request("GET", "/v1/organizations/AA-W1", [("Authorization", "Bearer " + me.token)]).status == 200)
    recovers(world, ready["read"])


def test_a_write_whose_backend_dies_is_not_done_twice(world, ready, running, pid, lock, another):
    service = another(quick_lock_timeout_ms=20000, quick_statement_timeout_ms=20000)
    me = world.at("AA-TU", "manager")
    body = samples.body("organization_create", "AA-W1")
    lock("journal", "SHARE ROW EXCLUSIVE")
    answers = []
    asked = threading.Thread(target=lambda: answers.append(service.http().request(
        "POST", "/v1/organizations", [("Authorization", "Bearer " + me.token)], body)))
    asked.start()
    waiting = wait_for(lambda: running.query("""SELECT pid FROM pg_stat_activity WHERE usename = 'tiendo_service'
        AND wait_event_type = 'Lock' AND query LIKE '%%organization_create%%'"""))
    assert waiting
    os.kill(waiting[0][0], signal.SIGKILL)
    asked.join(30)
    assert answers[0].status in (201, 503), answers

    def counted():
        """The postmaster ends every session when one dies; this one may be among them."""
        try:
            return running.query("SELECT count(*) FROM organization WHERE code = %s", [body["code"]])
        except psycopg2.OperationalError:
            return None

    made = wait_for(counted)[0][0]
    assert made == (1 if answers[0].status == 201 else 0)


@pytest.mark.parametrize("how", ["kill", "restart"])
def test_what_was_acknowledged_outlives_the_cluster(world, running, pid, caller, how):
    """Writers go on while every process of the cluster is killed: each 201 is there afterwards, each other one is not half there."""
    manager = world.at("AA-TU", "manager")
    token = world.connector().token
    codes = [world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number", frequency="month")["code"] for _ in range(6)]
    for code in codes:
        world.assign(manager, code, kind="party_cell", under="AA-TU")
    # More than can be entered before the cluster is gone, however long it takes to end it.
    cells = [(code, f"AA-W1-C{n}", f"{year}-M{month:02}") for code in codes for n in range(1, 5) for year in (2025, 2026) for month in range(1, 11)]
    queue, acknowledged, refused = iter(cells), [], []
    gate = threading.Lock()

    def writer():
        one = caller(token)

        def write():
            with gate:
                cell = next(queue, None)
            if cell is None:
                time.sleep(0.05)
                return
            try:
                answer = one.enter(*cell, {"number": 5})
            except OSError:
                answer = None
            assert answer is None or answer.status in (201, 503), answer
            good = answer is not None and answer.status == 201
            (acknowledged if good else refused).append(cell)
            time.sleep(0.02 if good else 0.2)
        return write

    writers = [Background(writer()) for _ in range(3)]
    for w in writers:
        w.__enter__()
    assert wait_for(lambda: len(acknowledged) > 12)
    if how == "kill":
        running.kill()
    else:
        running.stop("immediate")
    time.sleep(0.5)
    running.start()
    for w in writers:
        w.__exit__(None)
        assert w.error is None, w.error
    world.service.wait_ready()
    kept = set(running.query("SELECT indicator_code, organization_code, period_code FROM value WHERE indicator_code = ANY (%s)", [codes]))
    assert kept >= set(acknowledged), "an acknowledged value is gone"
    assert refused
    assert running.query("""SELECT count(*) FROM value v WHERE v.indicator_code = ANY (%s) AND NOT (
        EXISTS (SELECT FROM value_revision r WHERE r.value_id = v.id) AND EXISTS (SELECT FROM journal j WHERE j.resource_id = v.id))""",
                         [codes]) == [(0,)], "a value without its revision or journal row"
    one = caller(token)
    again = {cell: patient(lambda cell=cell: one.enter(*cell, {"number": 5})).status for cell in refused}
    assert all(status == (412 if cell in kept else 201) for cell, status in again.items())
    assert wait_for(lambda: running.query("SELECT count(*) FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq)") == [(0,)]), \
        "the sealer goes on after the restart"


def test_starting_before_the_database(world, running, another):
    """The service comes up without a database, says so, and serves as soon as there is one."""
    from harness.service import Service
    running.stop()
    early = Service(running, world.service.dir, world.clock, issuer=world.service.env["TIENDO_ISSUER"])
    early.start(wait=False)
    try:
        def alive():
            try:
                return early.http().request("GET", "/readyz").status
            except OSError:
                return None if early.process.poll() is None else "ended"
        status = wait_for(alive)
        assert status in (503, "ended"), status
        running.start()
        if status == 503:
            early.wait_ready()
            early.assert_clean(early.stop())
        else:
            assert early.process.returncode not in (0, 99), "ended by its own word"
            assert "database" in early.log() or "connect" in early.log()
    finally:
        if early.process is not None and early.process.poll() is None:
            early.stop()
