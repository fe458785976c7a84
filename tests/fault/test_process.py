"""The process is stopped or killed in the middle of its work; an answer is cut."""
import signal
import socket
import threading
import time

import pytest
from harness import samples
from harness.client import Http
from harness.world import Caller, hold


def importing(world, service, rows, answers, key):
    by = Caller(world, world.at("AA-W1", "reporter").token, service.http(60))

    def send():
        try:
            answers.append(by.post("/v1/values/imports", rows, [("Idempotency-Key", key)]))
        except OSError as error:
            answers.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.fixture
def blocked(world, cluster):
    """Rows of which one waits for a lock that the test holds, and that lock."""
    ward = world.at("AA-W1", "reporter")
    code = world.indicator(world.at("AA-TU", "manager"), samples.fresh("AA-F"), "AA-P", "number", frequency="month")["code"]
    world.assign(world.at("AA-TU", "manager"), code, kind="party_cell", under="AA-TU", entered_by="superior")
    world.must(ward.enter(code, "AA-W1-C1", "2026-M01", {"number": 0}))
    rows = [{"indicator": code, "organization": f"AA-W1-C{n}", "period": f"2026-M{m:02}", "number": 7} for n in range(1, 5) for m in range(1, 11)]
    holder = hold(cluster, f"SELECT FROM value WHERE indicator_code = '{code}' FOR UPDATE")
    yield code, rows, holder
    holder.close()


def waiting(cluster):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if cluster.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'tiendo_service' AND wait_event_type = 'Lock'")[0][0]:
            return
        time.sleep(0.05)
    raise AssertionError("nobody waits for the lock")


def test_sigterm_lets_what_runs_end(world, cluster, another, blocked):
    code, rows, holder = blocked
    service, answers = another(), []
    idle = service.http()
    assert idle.request("GET", "/livez").status == 200
    thread = importing(world, service, rows, answers, code)
    waiting(cluster)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert service.process.poll() is None, "it waits for the import"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", service.port), 2).sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        Http("127.0.0.1", service.port, 2).request("GET", "/livez")
    holder.rollback()
    thread.join()
    assert answers[0].status == 200 and answers[0].json()["created"] == 39, answers
    assert (answers[0].header("Connection") or "").lower() == "close"
    assert service.process.wait(20) == 0
    service.assert_clean(0)


def test_kill_9_in_the_middle_of_an_import_leaves_nothing_half_done(world, cluster, another, blocked):
    code, rows, holder = blocked
    service, answers = another(), []
    before = cluster.query("SELECT count(*), max(seq) FROM journal")
    thread = importing(world, service, rows, answers, code)
    waiting(cluster)
    service.kill()
    thread.join()
    assert isinstance(answers[0], OSError)
    holder.rollback()
    until = time.monotonic() + 15
    while cluster.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'tiendo_service' AND state <> 'idle' AND query ILIKE '%%import%%'")[0][0]:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert cluster.query("SELECT count(*), sum(number) FROM value WHERE indicator_code = %s", [code]) == [(1, 0)]
    assert cluster.query("SELECT count(*), max(seq) FROM journal") == before
    answers.clear()
    importing(world, world.service, rows, answers, code).join()
    assert answers[0].status == 200 and answers[0].header("Idempotency-Replayed") != "true", answers
    got = world.at("AA-W1", "viewer").get("/v1/progress", organization="AA-W1", period="2026-M01", indicator=code).json()["items"][0]
    assert got["value"] == 28


def test_two_migrations_at_once(world, another):
    """One at a time under a lock."""
    done = []
    threads = [threading.Thread(target=lambda: done.append(world.service.command("migrate", check=False).returncode)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert done == [0] * 4


def test_an_export_that_breaks_breaks_visibly(world, cluster, caller):
    """A cut export must not look complete: the chunks do not end."""
    world.must(world.at("AA-W1", "reporter").enter("AA-SUM", "AA-W1-C1", "2026-Q1", {"number": 1}))
    names = [n for (n,) in cluster.query("SELECT attname FROM pg_attribute WHERE attrelid = 'value'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")]
    columns = ", ".join({"id": "gen_random_uuid()", "category": "'c' || n", "note": "repeat('x', 300)"}.get(n, n) for n in names)
    cluster.query(f"INSERT INTO value SELECT {columns} FROM value v, generate_series(1, 60000) n WHERE indicator_code = 'AA-SUM' AND category = '' "
                  "AND organization_code = 'AA-W1-C1' AND period_code = '2026-Q1'")
    http = caller(None).http
    http.send(f"GET /v1/values HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {world.at('AA-TU', 'manager').token}\r\nAccept: application/x-ndjson\r\n\r\n".encode())
    first = http.socket.recv(4096)
    assert b" 200 " in first and b"chunked" in first
    time.sleep(0.3)
    cluster.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tiendo_service' AND query ILIKE '%%value%%'")
    tail = first
    try:
        while data := http.socket.recv(1 << 20):
            tail = (tail + data)[-4096:]
    except ConnectionResetError:
        pass
    cluster.query("SET session_replication_role = replica; DELETE FROM value WHERE category LIKE 'c%%'")
    assert not tail.endswith(b"0\r\n\r\n"), "a broken export looks complete"
    whole = caller(world.at("AA-TU", "manager").token).get("/v1/values", [("Accept", "application/x-ndjson")])
    assert whole.status == 200 and whole.text.endswith("\n")
