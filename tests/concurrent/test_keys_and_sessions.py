"""Idempotency keys sent in parallel, refresh tokens used twice, and access withdrawn while it is in use."""
import threading
from collections import Counter

import pytest
from harness import samples
from harness.crowd import Background, patient, together, wait_for
from harness.world import Caller

FORM = [("Content-Type", "application/x-www-form-urlencoded")]


@pytest.fixture
def crowd(caller):
    return lambda n, token=None: [caller(token) for _ in range(n)]


def refresh(one, token):
    return one.post("/oauth2/token", f"grant_type=refresh_token&refresh_token={token}".encode(), FORM)


def sort_out(answers):
    """(carried out, replayed, told to come back)"""
    kinds = Counter()
    for answer in answers:
        if answer.status < 300:
            kinds["replayed" if answer.header("Idempotency-Replayed") == "true" else "done"] += 1
        else:
            assert answer.status == 409 and answer.code == "idempotency_in_flight", answer
            assert int(answer.header("Retry-After")) >= 1
            kinds["in flight"] += 1
    return kinds


def test_one_key_in_parallel_is_carried_out_once(world, crowd, cluster):
    manager = world.at("AA-TU", "manager")
    for _ in range(5):
        body = samples.body("organization_create", "AA-W1")
        key = [("Idempotency-Key", samples.fresh("key"))]
        answers = together(crowd(12, manager.token), lambda one, i, body=body, key=key: patient(lambda: one.post("/v1/organizations", body, key)))
        kinds = sort_out(answers)
        assert kinds["done"] == 1, kinds
        done = {a.body for a in answers if a.status == 201}
        assert len(done) == 1, "a replay is the answer itself"
        assert cluster.query("SELECT count(*) FROM organization WHERE code = %s", [body["code"]]) == [(1,)]
        again = manager.post("/v1/organizations", body, key)
        assert again.header("Idempotency-Replayed") == "true" and again.body in done


def test_one_key_with_other_bodies_at_once(world, crowd, cluster):
    manager = world.at("AA-TU", "manager")
    key = [("Idempotency-Key", samples.fresh("key"))]
    bodies = [samples.body("organization_create", "AA-W1") for _ in range(8)]
    answers = together(crowd(8, manager.token), lambda one, i: patient(lambda: one.post("/v1/organizations", bodies[i], key)))
    assert sum(a.status == 201 for a in answers) == 1
    assert {a.code for a in answers if a.status != 201} <= {"idempotency_in_flight", "idempotency_key_reused"}
    assert cluster.query("SELECT count(*) FROM organization WHERE code = ANY (%s)", [[b["code"] for b in bodies]]) == [(1,)]


def test_the_same_key_of_different_callers_is_two_keys(world, crowd):
    key = [("Idempotency-Key", samples.fresh("key"))]
    for who in (world.at("AA-TU", "manager"), world.at("AA-W1", "manager")):
        answer = who.post("/v1/organizations", samples.body("organization_create", "AA-W1"), key)
        assert answer.status == 201 and answer.header("Idempotency-Replayed") is None


def test_one_import_in_parallel_is_carried_out_once(world, crowd, cluster):
    manager = world.at("AA-TU", "manager")
    indicator = world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number")["code"]
    world.assign(manager, indicator, kind="party_cell", under="AA-TU")
    rows = [{"indicator": indicator, "organization": f"AA-W1-C{n}", "period": q, "number": n}
            for n in range(1, 5) for q in ("2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4")]
    key = [("Idempotency-Key", samples.fresh("key"))]
    answers = together(crowd(6, world.connector().token), lambda one, i: patient(lambda: one.post("/v1/values/imports", rows, key)))
    assert sort_out(answers)["done"] == 1
    assert {a.json()["created"] for a in answers if a.status == 200} == {16}
    assert cluster.query("SELECT count(*), max(version) FROM value WHERE indicator_code = %s", [indicator]) == [(16, 1)]


def test_two_imports_of_the_same_rows_do_not_stop_each_other_for_good(world, crowd, cluster):
    manager = world.at("AA-TU", "manager")
    indicator = world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number")["code"]
    world.assign(manager, indicator, kind="party_cell", under="AA-TU")
    rows = [{"indicator": indicator, "organization": f"AA-W1-C{n}", "period": q} for n in range(1, 5)
            for q in ("2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2")]

    def load(one, i):
        body = [{**row, "number": i} for row in (rows if i % 2 else rows[::-1])]
        while True:
            answer = patient(lambda: one.post("/v1/values/imports", body, [("Idempotency-Key", samples.fresh("key"))]))
            if answer.status != 409:
                return answer
            assert answer.code == "concurrent_change", answer

    answers = together(crowd(4, world.connector().token), load)
    assert {a.status for a in answers} == {200}
    final = cluster.query("SELECT DISTINCT number FROM value WHERE indicator_code = %s", [indicator])
    assert len(final) == 1, "an import is seen whole or not at all"
    assert cluster.query("""SELECT count(*) FROM value v WHERE indicator_code = %s AND version <>
        (SELECT count(*) FROM value_revision r WHERE r.value_id = v.id)""", [indicator]) == [(0,)]


def test_a_refresh_token_used_twice_at_once_ends_its_family(world, crowd, caller):
    for _ in range(3):
        held = world.login("aa-w1.viewer").json()
        answers = together(crowd(6), lambda one, i, held=held: patient(lambda: refresh(one, held["refresh_token"])))
        won = [a for a in answers if a.status == 200]
        assert len(won) == 1 and all(a.status == 400 and a.json()["error"] == "invalid_grant" for a in answers if a not in won)
        assert refresh(world.anonymous, won[0].json()["refresh_token"]).json()["error"] == "invalid_grant"
        for token in (held["access_token"], won[0].json()["access_token"]):
            assert caller(token).get("/v1/me").code == "invalid_token"


def test_another_family_of_the_same_account_lives_on(world, crowd, caller):
    other = world.login("aa-w1.viewer").json()
    held = world.login("aa-w1.viewer").json()
    together(crowd(3), lambda one, i: refresh(one, held["refresh_token"]))
    assert caller(other["access_token"]).get("/v1/me").status == 200
    assert refresh(world.anonymous, other["refresh_token"]).status == 200


WITHDRAWALS = {
    "session": ("UPDATE session SET revoked_at = clock_now() WHERE id = %(session)s",
                "UPDATE session SET revoked_at = NULL WHERE id = %(session)s"),
    "grant": ("UPDATE access_grant SET revoked_at = clock_now() WHERE id = %(grant)s",
              "UPDATE access_grant SET revoked_at = NULL WHERE id = %(grant)s"),
    "end of the grant": ("UPDATE access_grant SET valid_to = today() - 1, valid_from = today() - 1 WHERE id = %(grant)s",
                         "UPDATE access_grant SET valid_to = NULL WHERE id = %(grant)s"),
    "account": ("UPDATE account SET status = 'suspended' WHERE id = (SELECT account_id FROM access_grant WHERE id = %(grant)s)",
                "UPDATE account SET status = 'active' WHERE id = (SELECT account_id FROM access_grant WHERE id = %(grant)s)"),
}


@pytest.mark.parametrize("what", WITHDRAWALS)
def test_access_withdrawn_in_use_is_obeyed_at_the_next_request(world, caller, cluster, what):
    """Four connections read as fast as they can; nothing that begins after the withdrawal succeeds."""
    held = world.login("aa-w2.reporter").json()
    ids = {"grant": held["grant"], "session": cluster.query(
        "SELECT id FROM session WHERE grant_id = %s ORDER BY created_at DESC LIMIT 1", [held["grant"]])[0][0]}
    withdrawn = threading.Event()

    def reader():
        one = caller(held["access_token"])

        def read():
            late = withdrawn.is_set()
            return late, one.get("/v1/organizations/AA-W2")
        return read

    readers = [Background(reader()) for _ in range(4)]
    try:
        for r in readers:
            r.__enter__()
        assert wait_for(lambda: all(len(r.results) > 3 for r in readers))
        cluster.query(WITHDRAWALS[what][0], ids)
        withdrawn.set()
        assert wait_for(lambda: all(sum(late for late, _ in list(r.results)) > 3 for r in readers))
    finally:
        for r in readers:
            r.__exit__(None)
        cluster.query(WITHDRAWALS[what][1], ids)
    results = [pair for r in readers for pair in r.results]
    assert {a.status for late, a in results if not late} <= {200, 401, 503}
    assert any(a.status == 200 for late, a in results if not late)
    after = {(a.status, a.code) for late, a in results if late and a.status != 503}
    assert after == {(401, "invalid_token")}, after


def test_revoking_is_obeyed_at_the_next_request(world, caller):
    held = world.login("aa-w2.viewer").json()
    one = caller(held["access_token"])
    assert one.get("/v1/me").status == 200
    assert world.anonymous.post("/oauth2/revoke", f"token={held['refresh_token']}".encode(), FORM).status == 200
    assert one.get("/v1/me").code == "invalid_token"
    assert refresh(Caller(world), held["refresh_token"]).json()["error"] == "invalid_grant"


def test_many_log_ins_at_once(world, crowd):
    answers = together(crowd(8), lambda one, i: patient(lambda: one.post("/v1/sessions", {
        "username": "aa-w1.viewer", "password": world.passwords["aa-w1.viewer"]})))
    assert {a.status for a in answers} == {201}
    assert len({a.json()["refresh_token"] for a in answers}) == 8
