"""Full pools, slow and idle clients, locks held by others: nobody stalls anybody else."""
import socket
import statistics
import threading
import time

import pytest
from harness import samples
from harness.crowd import wait_for


def bearer(one):
    return [("Authorization", "Bearer " + one.token)]


@pytest.fixture
def me(world):
    return world.at("AA-W1", "reporter")


def later(act):
    """act() in a thread; the answer comes into the list."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(act()), daemon=True)
    thread.start()
    answers_of = lambda: (thread.join(40), answers)[1]  # noqa: E731
    return answers_of


def blocked(cluster, what, n=1, seconds=60):
    return wait_for(lambda: len(cluster.query("""SELECT pid FROM pg_stat_activity WHERE usename = 'tiendo_service' AND wait_event_type = 'Lock'
        AND query LIKE %s""", [f"%{what}%"])) >= n, seconds)


def test_a_full_pool_is_503_and_frees_itself(world, cluster, another, lock, me):
    service = another(quick_pool=2, pool_wait_ms=300, quick_lock_timeout_ms=20000, quick_statement_timeout_ms=20000)
    get = lambda: service.http().request("GET", "/v1/organizations/AA-W1", bearer(me))  # noqa: E731
    assert wait_for(lambda: {a.status for done in [later(get) for _ in range(4)] for a in done()} == {200}), "both connections are there"
    let_go = lock("organization")
    answered, asked = [], []

    def one_more():
        """One that may be refused: a connection that is only being opened keeps nobody waiting for longer than that."""
        asked.append(later(lambda: (answered.append(get()), answered[-1])[1]))
        return blocked(cluster, "organization", 2, 0.3)

    assert wait_for(one_more) and one_more() and one_more(), "two hold the connections"
    assert wait_for(lambda: len(answered) == len(asked) - 2), "the others have waited in vain"
    began = time.monotonic()
    full = get()
    assert full.status == 503 and full.code in ("unavailable", "timed_out") and int(full.header("Retry-After")) >= 1, full
    assert time.monotonic() - began < 5
    world.contract.check(full)
    let_go()
    assert sorted(a.status for done in asked for a in done()) == [200] * 2 + [503] * (len(asked) - 2), "who held a connection is served"
    assert get().status == 200


def test_long_work_does_not_fill_the_quick_lane(world, cluster, another, lock, me):
    service = another(quick_pool=2, long_pool=1, pool_wait_ms=300, long_lock_timeout_ms=60000)
    let_go = lock("value")
    load = lambda: service.http().request("POST", "/v1/values/imports", [*bearer(world.connector()), (  # noqa: E731
        "Idempotency-Key", samples.fresh("key"))], [{"indicator": "AA-SUM", "organization": "AA-W2", "period": "2025-Q2", "number": 1}])
    asked = []

    def one_more():
        """One that may be refused while the connection is only being opened."""
        asked.append(later(load))
        # (an import, and no work of another service's background on the same table)
        return blocked(cluster, "import", 1, 0.5)

    assert wait_for(one_more)
    assert load().status == 503
    assert wait_for(lambda: service.http().request("GET", "/v1/organizations/AA-W1", bearer(me)).status == 200)
    for _ in range(20):
        assert service.http().request("GET", "/v1/organizations/AA-W1", bearer(me)).status == 200
    let_go()
    assert sorted(a.status for done in asked for a in done()) == [200] + [503] * (len(asked) - 1)


@pytest.mark.parametrize("path,table", [("/v1/organizations/AA-W1", "organization"), ("/v1/values", "value")])
def test_a_held_lock_is_503_soon(world, another, lock, me, path, table):
    service = another(quick_lock_timeout_ms=100, quick_statement_timeout_ms=500)
    let_go = lock(table)
    began = time.monotonic()
    answer = service.http().request("GET", path, bearer(me))
    assert answer.status == 503 and answer.code == "timed_out" and answer.header("Retry-After"), answer
    assert time.monotonic() - began < 8
    let_go()
    assert wait_for(lambda: service.http().request("GET", path, bearer(me)).status == 200)


def times(http, me, n=30):
    taken = []
    for _ in range(n):
        began = time.monotonic()
        answer = http.request("GET", "/v1/organizations/AA-W1", bearer(me))
        assert answer.status == 200, answer
        taken.append(time.monotonic() - began)
    return statistics.median(taken), max(taken)


class Crowd:
    """Sockets that send a piece every so often, from one thread."""

    def __init__(self, port, n, pieces, every=0.5):
        self.sockets = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(n)]
        self.pieces, self.every = pieces, every
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        for piece in self.pieces:
            for s in self.sockets:
                try:
                    s.sendall(piece)
                except OSError:
                    pass
            if self.stopping.wait(self.every):
                return

    def close(self):
        self.stopping.set()
        self.thread.join(10)
        for s in self.sockets:
            s.close()


def test_idle_connections_stall_nobody(world, another, me):
    service = another()
    http = service.http()
    alone, _ = times(http, me)
    crowd = Crowd(service.port, 200, [])
    try:
        beside, worst = times(http, me)
        assert beside < max(10 * alone, 0.5) and worst < 8, (alone, beside, worst)
        assert times(service.http(), me)[1] < 8, "a new connection finds its place too"
    finally:
        crowd.close()


def test_idle_connections_are_closed_in_time(world, another, me):
    service = another(connection_timeout_s=1)
    crowd = Crowd(service.port, 20, [])
    try:
        for s in crowd.sockets:
            s.settimeout(15)
            assert s.recv(1) == b""
    finally:
        crowd.close()
    assert service.http().request("GET", "/v1/organizations/AA-W1", bearer(me)).status == 200


@pytest.mark.parametrize("part", ["head", "body"])
def test_clients_that_send_a_byte_every_half_second_stall_nobody(world, another, me, part):
    """More of them than there are database connections: while a request arrives it holds none."""
    service = another(quick_pool=2, long_pool=1)
    head = f"POST /v1/values/imports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.connector().token}\r\nContent-Type: application/json\r\n" \
           f"Idempotency-Key: slow\r\nContent-Length: 400\r\n\r\n".encode()
    pieces = [head[i:i + 1] for i in range(60)] if part == "head" else [head, *[b" "] * 60]
    crowd = Crowd(service.port, 40, pieces)
    try:
        time.sleep(1)
        http = service.http()
        median, worst = times(http, me, 40)
        assert median < 0.5 and worst < 8, (median, worst)
        answer = http.request("POST", "/v1/values/imports", [*bearer(world.connector()), ("Idempotency-Key", samples.fresh("key"))], [])
        assert answer.status == 200, answer
    finally:
        crowd.close()


def test_a_client_that_does_not_read_its_export_stalls_nobody(world, another, me):
    service = another(quick_pool=2, long_pool=2)
    slow = []
    for _ in range(6):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.connect(("127.0.0.1", service.port))
        s.sendall(f"GET /v1/organizations HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\nAuthorization: Bearer {me.token}\r\n\r\n".encode())
        slow.append(s)
    try:
        time.sleep(0.5)
        assert times(service.http(), me)[1] < 8
    finally:
        for s in slow:
            s.close()


def test_a_client_that_goes_away_frees_its_connection(world, cluster, another, lock, me):
    """Gone in the middle of a request: the connection of the pool is not lost with it."""
    service = another(quick_pool=1, pool_wait_ms=5000, quick_lock_timeout_ms=1000, quick_statement_timeout_ms=1000)
    let_go = lock("organization")
    for _ in range(3):
        s = socket.create_connection(("127.0.0.1", service.port))
        s.sendall(f"GET /v1/organizations/AA-W1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {me.token}\r\n\r\n".encode())
        time.sleep(0.1)
        s.close()
    let_go()
    assert wait_for(lambda: service.http().request("GET", "/v1/organizations/AA-W1", bearer(me)).status == 200)


def test_more_connections_than_the_limit_are_turned_away_and_come_in_later(world, another, me):
    service = another(connection_limit=10, connection_timeout_s=2)
    crowd = Crowd(service.port, 30, [])

    def comes_in():
        try:
            return service.http(20).request("GET", "/v1/organizations/AA-W1", bearer(me)).status == 200
        except OSError:
            return False

    try:
        assert wait_for(comes_in, every=0.2), "idle ones time out, who tries again comes in"
    finally:
        crowd.close()
