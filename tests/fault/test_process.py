"""Stops and kills of the service itself, a log that cannot be written, and two processes on one database."""
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import samples
from harness.client import Http
from harness.crowd import patient, wait_for

FORM = [("Content-Type", "application/x-www-form-urlencoded")]
WAITING = """SELECT pid FROM pg_stat_activity WHERE usename = 'tiendo_service' AND wait_event_type = 'Lock' AND query LIKE %s"""


def bearer(one):
    return [("Authorization", "Bearer " + one.token)]


def begin(service, method, path, headers, body=None):
    """A request in a thread; gives what to call for its answer (or its OSError)."""
    done = []

    def ask():
        try:
            done.append(service.http(60).request(method, path, headers, body))
        except OSError as error:
            done.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return lambda: (thread.join(60), done[0])[1]


def counts(cluster):
    """Rows of what a request writes; sums are counted when the background of some process has folded them."""
    assert wait_for(lambda: cluster.query("SELECT NOT EXISTS (SELECT FROM rollup_delta)") == [(True,)])
    tables = ("value", "value_revision", "journal", "rollup", "idempotency", "organization", "account")
    return cluster.query("SELECT " + ", ".join(f"(SELECT count(*) FROM {t})" for t in tables))[0]


def no_import(cluster):
    """The database has noticed that whoever imported is gone."""
    return cluster.query("""SELECT count(*) FROM pg_stat_activity WHERE usename = 'tiendo_service' AND state <> 'idle'
        AND query LIKE '%value_import%'""") == [(0,)]


def turned_away(service):
    try:
        socket.create_connection(("127.0.0.1", service.port), 10).close()
        return False
    except OSError:
        return True


# ---- stopping ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["read", "write"])
def test_sigterm_waits_for_the_answer_in_flight(world, cluster, another, lock, what):
    service = another(quick_lock_timeout_ms=20000, quick_statement_timeout_ms=20000)
    manager = world.at("AA-TU", "manager")
    body = samples.body("organization_create", "AA-W1")
    idle = service.http()
    assert idle.request("GET", "/livez").status == 200
    let_go = lock("organization" if what == "read" else "journal", "ACCESS EXCLUSIVE")
    answer = begin(service, *(("GET", "/v1/organizations/AA-W1", bearer(manager)) if what == "read" else
                              ("POST", "/v1/organizations", bearer(manager), body)))
    assert wait_for(lambda: cluster.query(WAITING, ["%"]))
    service.process.send_signal(signal.SIGTERM)
    assert wait_for(lambda: turned_away(service))
    time.sleep(0.5)
    assert service.process.poll() is None, "it waits for who is being served"
    let_go()
    answer = answer()
    assert answer.status == (200 if what == "read" else 201), answer
    assert (answer.header("Connection") or "").lower() == "close"
    assert answer.json()["code"] == ("AA-W1" if what == "read" else body["code"])
    assert service.process.wait(60) == 0
    assert '"event":"stopped"' in service.log()
    if what == "write":
        assert cluster.query("SELECT count(*) FROM organization WHERE code = %s", [body["code"]]) == [(1,)]


def test_sigterm_with_nothing_to_do_is_quick(another):
    service = another()
    idle = [service.http().open() for _ in range(20)]
    began = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(60) == 0
    assert time.monotonic() - began < 15, "who asks nothing is not waited for"
    for s in idle:
        s.close()


def test_a_stop_does_not_wait_for_ever(world, cluster, another, lock):
    """Past drain_timeout_s it ends all the same, and whatever it cut off is not half done."""
    service = another(drain_timeout_s=1, quick_lock_timeout_ms=4000, quick_statement_timeout_ms=4000, long_lock_timeout_ms=4000)
    manager = world.at("AA-TU", "manager")
    body = samples.body("organization_create", "AA-W1")
    let_go = lock("journal")
    answer = begin(service, "POST", "/v1/organizations", bearer(manager), body)
    assert wait_for(lambda: cluster.query(WAITING, ["%organization_create%"]))
    began = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(60)
    assert time.monotonic() - began < 20
    let_go()
    answer = answer()
    made = wait_for(lambda: not cluster.query(WAITING, ["%organization_create%"])) and \
        cluster.query("SELECT count(*) FROM organization WHERE code = %s", [body["code"]])[0][0]
    assert made == cluster.query("SELECT count(*) FROM journal j JOIN organization o ON o.id = j.resource_id WHERE o.code = %s", [body["code"]])[0][0]
    if isinstance(answer, OSError) or answer.status >= 500:
        assert made in (0, 1)
    else:
        assert made == 1
    service.process = None


# ---- kill -9 -------------------------------------------------------------------------------------------------
def test_kill_9_in_the_middle_of_an_import_leaves_nothing(world, cluster, another, lock):
    service = another(long_lock_timeout_ms=60000)
    manager = world.at("AA-TU", "manager")
    indicator = world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number")["code"]
    world.assign(manager, indicator, kind="party_cell", under="AA-TU")
    rows = [{"indicator": indicator, "organization": f"AA-W1-C{n}", "period": f"2025-Q{q}", "number": n * q}
            for n in range(1, 5) for q in range(1, 5)]
    headers = [*bearer(world.connector()), ("Idempotency-Key", samples.fresh("key"))]
    before = counts(cluster)
    let_go = lock("journal", "SHARE ROW EXCLUSIVE")
    answer = begin(service, "POST", "/v1/values/imports", headers, rows)
    assert wait_for(lambda: cluster.query(WAITING, ["%value_import%"])), "values are written, their journal rows wait"
    service.kill()
    assert isinstance(answer(), OSError)
    let_go()
    assert wait_for(lambda: no_import(cluster))
    assert counts(cluster) == before
    again = world.connector().post("/v1/values/imports", rows, headers[1:])
    assert again.status == 200 and again.header("Idempotency-Replayed") is None and again.json()["created"] == 16


def test_kill_9_while_a_body_is_on_its_way(world, cluster, another):
    service = another()
    token = world.connector().token
    before = counts(cluster)
    s = socket.create_connection(("127.0.0.1", service.port))
    s.sendall(f"POST /v1/values/imports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
              f"Idempotency-Key: half\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[{{".encode())
    time.sleep(0.2)
    service.kill()
    s.close()
    assert wait_for(lambda: no_import(cluster))
    assert counts(cluster) == before


def test_kill_9_leaves_the_other_process_serving_and_sealing(world, cluster, another):
    service = another()
    me = world.connector()
    me.enter("AA-SUM", "AA-W2-C1", "2025-Q1", {"number": 1})
    service.kill()
    for n in range(5):
        answer = me.get("/v1/values/AA-SUM/AA-W2-C1/2025-Q1")
        assert me.enter("AA-SUM", "AA-W2-C1", "2025-Q1", {"number": n + 2}, answer.etag).status == 200
    assert wait_for(lambda: cluster.query("SELECT count(*) FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq)") == [(0,)])


# ---- the log -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", ["/dev/full", "a closed pipe", "a pipe nobody reads"])
def test_a_log_that_cannot_be_written_stops_nothing(world, another, target, tmp_path):
    if target == "/dev/full":
        service = another(log_file="/dev/full")
        reader = None
    else:
        from harness.service import BINARY
        service = another()
        assert service.stop() == 0
        reader = subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE)
        service.process = subprocess.Popen([BINARY, "serve"], env=service.env, stdout=reader.stdin, stderr=subprocess.DEVNULL,
                                           stdin=subprocess.DEVNULL)
        reader.stdin.close()
        if target == "a closed pipe":
            reader.kill()
            reader.wait()
        service.wait_ready()
    try:
        http = service.http()
        headers = bearer(world.at("AA-W1", "viewer"))
        for n in range(600 if target == "a pipe nobody reads" else 50):
            assert http.request("GET", "/v1/organizations/AA-W1", headers).status == 200, n
        assert http.request("GET", "/readyz").status == 200
    finally:
        if reader is not None:
            reader.kill()
            reader.wait()


SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|LOCK TABLE|PL/pgSQL|relation|duplicate key|violates)\b")


def test_log_and_errors_hold_no_secret_no_body_and_no_sql(world, cluster, another, lock, caller):
    """Everything that can go wrong goes wrong, at the lowest log level; then the log, the answers and the database's log are searched."""
    service = another(log_level="debug", quick_lock_timeout_ms=300, quick_statement_timeout_ms=3000, rate_limit_per_s=0)
    http = service.http()
    answers, secrets_ = [], set()
    mark = "DAU-HIEU-RIENG-7f3a"

    def ask(method, path, headers=(), body=None):
        answers.append(http.request(method, path, headers, body))
        return answers[-1]

    password = world.passwords["aa-w1.reporter"]
    held = ask("POST", "/v1/sessions", (), {"username": "aa-w1.reporter", "password": password}).json()
    answers.clear()
    token = held["access_token"]
    secrets_ |= {password, token, token.split(".")[2], held["refresh_token"], world.clients["aa"][1], f"{mark}-mat-khau", f"{mark}-x"}
    auth = [("Authorization", f"Bearer {token}")]
    admin = [("Authorization", f"Bearer {world.at('AA-TU', 'administrator').token}")]
    secrets_.add(world.at("AA-TU", "administrator").token)
    for _ in range(2):
        ask("POST", "/v1/sessions", (), {"username": "aa-w1.reporter", "password": f"{mark}-mat-khau"})
        ask("POST", "/v1/sessions", (), {"username": f"{mark}-mat-khau", "password": f"{mark}-mat-khau"})
        ask("POST", "/v1/sessions", (), '{"username": "x", "password": "%s-mat-khau' % mark)
        ask("POST", "/oauth2/token", FORM, f"grant_type=refresh_token&refresh_token={mark}-x".encode())
        ask("POST", "/oauth2/token", FORM, f"grant_type=client_credentials&client_id={mark}-x&client_secret={mark}-mat-khau".encode())
        ask("GET", f"/v1/me?access_token={token}")
        ask("GET", f"/v1/organizations?q={mark}-x&no_such={mark}-x", auth)
        ask("GET", "/v1/me", [("Authorization", f"Bearer {token}x")])
        ask("GET", "/v1/me", [("Authorization", f"Basic {mark}-x")])
        ask("GET", "/v1/me", [*auth, ("Cookie", f"{mark}-x")])
        ask("PUT", "/v1/values/AA-SUM/AA-W1/2025-Q2", [*auth, ("If-None-Match", "*")], {"number": 1, "note": f"{mark}-x"})
        ask("PUT", "/v1/values/AA-SUM/AA-W1/2025-Q2", auth, {"number": f"{mark}-x"})
        ask("POST", "/v1/values/imports", [*auth, ("Idempotency-Key", samples.fresh("k"))], [{"indicator": f"{mark}-x"}])
        ask("POST", "/v1/accounts", admin, {"username": "aa-w1.viewer", "display_name": "x", "password": f"{mark}-mat-khau", "organization": "AA-W1"})
        ask("POST", "/v1/accounts", admin, {"username": f"{mark}-x", "display_name": f"{mark}-x", "password": f"{mark}-mat-khau", "no": f"{mark}-x"})
    let_go = lock("organization")
    for path in ("/v1/organizations/AA-W1", "/v1/values", "/v1/me", "/v1/programmes"):
        assert ask("GET", path, auth).status == 503
    ask("POST", "/v1/organizations", admin, samples.body("organization_create"))
    let_go()
    cluster.query("ALTER FUNCTION me_json RENAME TO me_json_gone")
    try:
        assert ask("GET", "/v1/me", auth).status == 500
    finally:
        cluster.query("ALTER FUNCTION me_json_gone RENAME TO me_json")
    cluster.stop()
    try:
        ask("GET", "/v1/me", auth)
        ask("POST", "/v1/sessions", (), {"username": "aa-w1.reporter", "password": password})
    finally:
        cluster.start()
    wait_for(lambda: http.request("GET", "/readyz").status == 200)
    assert {400, 401, 422, 500, 503} <= {a.status for a in answers}
    log = service.log()
    assert log.count('"event":"request"') >= len(answers) - 2
    for secret in secrets_:
        assert secret not in log, f"the log holds {secret[:12]}…"
        for answer in answers:
            if answer.status >= 400:
                assert secret not in answer.text.replace(f"{mark}-x", "") or secret == f"{mark}-x", answer
    for answer in answers:
        if answer.status >= 400:
            assert not SQL.search(answer.text), answer
            assert "tiendo." not in answer.text and "/work" not in answer.text and ".c:" not in answer.text, answer
    for line in log.splitlines():
        assert mark not in line, line
        if '"event":"request"' in line:
            assert not SQL.search(line), line
    database_log = (cluster.dir / "log").read_text(encoding="utf-8", errors="replace")
    for secret in secrets_ - {f"{mark}-x"}:
        assert secret not in database_log, f"the database's log holds {secret[:12]}…"


# ---- two processes -------------------------------------------------------------------------------------------
@pytest.fixture
def second(another):
    return another()


def asks(service, token):
    return service.http().request("GET", "/v1/me", [("Authorization", f"Bearer {token}")])


def test_a_session_revoked_at_one_is_over_at_the_other(world, second):
    held = world.must(patient(lambda: world.login("aa-w2.viewer")))
    for _ in range(3):
        assert asks(second, held["access_token"]).status == 200, "and remembered there"
    assert world.anonymous.post("/oauth2/revoke", f"token={held['refresh_token']}".encode(), FORM).status == 200
    answer = asks(second, held["access_token"])
    assert answer.status == 401 and answer.code == "invalid_token"


def test_a_key_made_at_one_is_known_at_the_other_at_once(world, second):
    old = world.must(patient(lambda: world.login("aa-w2.viewer")))["access_token"]
    assert asks(second, old).status == 200
    world.service.command("keys", "rotate")
    new = world.must(patient(lambda: world.login("aa-w2.viewer")))["access_token"]
    assert new.split(".")[0] != old.split(".")[0], "signed with the new key"
    for service in (second, world.service):
        assert asks(service, new).status == 200
        assert asks(service, old).status == 200, "good until its tokens have expired"
    kids = {k["kid"] for k in second.http().request("GET", "/.well-known/jwks.json").json()["keys"]}
    assert len(kids) >= 2


def test_a_key_withdrawn_is_refused_by_both_at_the_next_request(world, cluster, second):
    token = world.must(patient(lambda: world.login("aa-w2.viewer")))["access_token"]
    for service in (second, world.service):
        assert asks(service, token).status == 200
    world.service.command("keys", "rotate")
    cluster.query("UPDATE signing_key SET accepted_until = clock_now() - interval '1 second' WHERE signs_until IS NOT NULL")
    for service in (second, world.service):
        assert asks(service, token).code == "invalid_token"
    assert asks(second, world.must(patient(lambda: world.login("aa-w2.viewer")))["access_token"]).status == 200
    world.forget()


def test_a_session_of_one_is_good_at_the_other(world, second):
    answer = second.http().request("POST", "/v1/sessions", (), {"username": "aa-w1.viewer", "password": world.passwords["aa-w1.viewer"]})
    assert asks(world.service, answer.json()["access_token"]).status == 200
    refreshed = world.anonymous.post("/oauth2/token", f"grant_type=refresh_token&refresh_token={answer.json()['refresh_token']}".encode(), FORM)
    assert asks(second, refreshed.json()["access_token"]).status == 200


def test_what_one_writes_the_other_reads_at_once(world, second):
    manager = world.at("AA-TU", "manager")
    code = samples.fresh("AA-U")
    world.unit(manager, code, "Chi bộ hai tiến trình", "party_cell", "AA-W1")
    there = second.http()
    for n in range(1, 10):
        answer = there.request("GET", f"/v1/organizations/{code}", bearer(manager))
        assert answer.etag == f'"{n}"'
        assert manager.patch(f"/v1/organizations/{code}", {"note": str(n)}, answer.etag).status == 200


def test_one_idempotency_key_at_both_is_carried_out_once(world, cluster, second):
    manager = world.at("AA-TU", "manager")
    body, key = samples.body("organization_create", "AA-W1"), [("Idempotency-Key", samples.fresh("key"))]
    first = manager.post("/v1/organizations", body, key)
    there = second.http().request("POST", "/v1/organizations", bearer(manager) + key, body)
    assert there.header("Idempotency-Replayed") == "true" and there.body == first.body
    assert cluster.query("SELECT count(*) FROM organization WHERE code = %s", [body["code"]]) == [(1,)]


def test_a_cursor_of_one_goes_on_at_the_other(world, second):
    me = world.at("AA-TU", "viewer")
    page = me.get("/v1/organizations", limit=2).json()
    there = Http("127.0.0.1", second.port)
    answer = there.request("GET", f"/v1/organizations?limit=2&cursor={page['page']['next']}", bearer(me))
    assert answer.status == 200 and answer.json()["items"][0] not in page["items"]
