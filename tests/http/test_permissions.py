"""Why, and why not: refusals that say what is missing, the question put beforehand, and the caller's own view of its token."""
import itertools
import random

import pytest
from harness import samples
from harness.world import ROLES, WARD, Caller

SEATS = ("AA-TU", "AA-W1", "AA-BTG", "AA-W1-XD", "AA-W1-C1")
UNITS = ("AA-TU", "AA-W1", "AA-W2", "AA-W1-XD", "AA-W1-C1", "AA-W1-OLD", "AA-W2-C1", "AA-OLD", "AA-BTG", "BB-W1", "NO-SUCH")


def ask(who, action, resource=None, language="en"):
    answer = who.get("/v1/me/permissions", [("Accept-Language", language)], action=action, **({"resource": resource} if resource else {}))
    assert answer.status == 200, answer
    return answer.json()


def end(by, path):
    return by.request("DELETE", path, None, [("If-Match", "*")])


# ---- refusals ------------------------------------------------------------------------------------------------
def test_a_role_that_does_not_give_it_is_forbidden_and_named(world):
    answer = world.at("AA-W1", "viewer").enter("AA-SUM", "AA-W1", "2026-Q1", {"number": 1})
    assert answer.status == 403 and answer.code == "forbidden" and answer.header("WWW-Authenticate") is None
    assert answer.json()["detail"] == "The role viewer does not give values:write; these roles do: reporter, approver, manager."
    vietnamese = world.at("AA-W1", "viewer").enter("AA-SUM", "AA-W1", "2026-Q1", {"number": 1})
    vietnamese = world.at("AA-W1", "viewer").get("/v1/grants", [("Accept-Language", "vi")])
    assert vietnamese.json()["detail"] == "Vai trò viewer không có quyền grants:read; các vai trò có quyền này: administrator."


def test_a_token_without_it_is_insufficient_scope(world, caller):
    token = world.login("aa-w1.reporter").json()["refresh_token"]
    answer = world.anonymous.post("/oauth2/token", f"grant_type=refresh_token&refresh_token={token}&scope=values:read".encode(),
                                  [("Content-Type", "application/x-www-form-urlencoded")])
    narrow = caller(answer.json()["access_token"])
    refused = narrow.get("/v1/organizations")
    assert refused.code == "insufficient_scope" and "organizations:read" in refused.json()["detail"]
    assert refused.header("WWW-Authenticate").endswith('error="insufficient_scope", scope="organizations:read"')
    assert narrow.get("/v1/accounts").code == "forbidden", "no token of this role would do"
    posted = narrow.post("/v1/organizations", samples.body("organization_create"), [("Idempotency-Key", samples.fresh("key"))])
    assert posted.code == "forbidden"
    me = narrow.get("/v1/me").json()
    assert set(me["permissions"]) == {"me:read", "values:read"} and "values:write" in me["withheld"]
    assert ask(narrow, "values:write")["reason"] == "token_scope" and ask(narrow, "accounts:read")["reason"] == "role"
    whole = world.at("AA-W1", "reporter").get("/v1/me").json()
    assert whole["withheld"] == [] and "values:write" in whole["permissions"]


@pytest.mark.parametrize("request_, vi", [
    (lambda w: w.at("AA-W1", "manager").post("/v1/indicators", {**samples.body("indicator_create"), "programme": "NO-SUCH"}), "không có chương trình này"),
    (lambda w: w.at("AA-W1", "reporter").enter("AA-SUM", "AA-W1", "2026-Q1", {"state": "reported"}), "bắt buộc phải có"),
    (lambda w: w.at("AA-W1", "manager").patch("/v1/indicators/AA-SUM", {"note": "x"}, "*"),
     "AA-SUM do quản lý (manager) của chương trình cập nhật, hoặc theo ủy nhiệm có chức năng define."),
    (lambda w: w.at("AA-W1", "administrator").post("/v1/grants", {"account": "aa-w1.administrator", "organization": "AA-W1", "role": "viewer"}),
     "Không ai được cấp quyền cho tài khoản của chính mình."),
])
def test_what_the_database_says_is_vietnamese_too(world, request_, vi):
    plain = Caller.request

    def translated(self, method, path, body=None, headers=(), check=True, **query):
        return plain(self, method, path, body, [*(headers.items() if isinstance(headers, dict) else headers), ("Accept-Language", "vi")], check, **query)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Caller, "request", translated)
        answer = request_(world)
    said = {answer.json()["detail"], *(e["detail"] for e in answer.json()["errors"])}
    assert vi in said, answer


def test_the_faults_of_an_imports_rows_are_vietnamese_too(world):
    rows = [{"indicator": "AA-SUM", "organization": "NO-SUCH", "period": "2026-Q1", "number": 1}]
    for mode, status in (("atomic", 422), ("partial", 200)):
        key = samples.fresh("key")
        for language, said in (("vi", "không có đối tượng này, hoặc ngoài phạm vi được xem"), ("en", "no such resource, or not visible")):
            answer = world.at("AA-W1", "manager").post("/v1/values/imports", rows, [("Idempotency-Key", key), ("Accept-Language", language)], mode=mode)
            assert answer.status == status and said in {e["detail"] for e in answer.json()["errors"]}, answer


# ---- the question --------------------------------------------------------------------------------------------
def test_actions_are_permissions_operations_and_requests(world):
    reporter = world.at("AA-W1", "reporter")
    for action in ("values:write", "value_put", "PUT /v1/values/{indicator}/{organization}/{period}", "PUT /v1/values/AA-SUM/AA-W1/2026-Q1"):
        answer = ask(reporter, action)
        assert answer["allowed"] and answer["permission"] == "values:write" and answer["reason"] == "granted"
        assert answer["because"][0]["role"] == "reporter" and answer["because"][0]["organization"]["code"] == "AA-W1"
    public = ask(reporter, "GET /livez")
    assert public["allowed"] and public["reason"] == "public" and public["permission"] is None
    for wrong in ("values:paint", "no_such", "PUT /v1/nothing", "BREW /v1/me", "x y"):
        answer = reporter.get("/v1/me/permissions", action=wrong)
        assert answer.status == 422 and answer.faults() == {("action", "unknown_reference")}
    for wrong in ("AA-W1", "thing:AA-W1", "organization:"):
        assert reporter.get("/v1/me/permissions", action="values:write", resource=wrong).status == 400, wrong


@pytest.mark.parametrize("seat,role,action,resource,reason,who", [
    ("AA-W1", "viewer", "values:write", "value:AA-SUM/AA-W1/2026-Q1", "role", "AA-W1"),
    ("AA-W1", "reporter", "values:write", "value:AA-SUM/AA-W1/2026-Q1", "granted", None),
    ("AA-W1", "reporter", "values:write", "value:AA-RATIO/AA-W1-C1/2026-Q1", "granted", None),
    ("AA-W1", "reporter", "values:write", "value:AA-RATIO/AA-W1/2026-Q1", "not_assigned", None),
    ("AA-W1", "reporter", "values:write", "value:AA-RANK/AA-W1/2026-A1", "not_assigned", None),
    ("AA-W1", "reporter", "values:write", "value:AA-SUM/AA-W1/2026-A1", "wrong_period_kind", None),
    ("AA-W1", "reporter", "values:write", "value:AA-SUM/AA-W2/2026-Q1", "not_visible", None),
    ("AA-TU", "reporter", "values:write", "value:AA-SUM/AA-W2/2026-Q1", "not_own_unit", "AA-W2"),
    ("AA-TU", "reporter", "values:write", "organization:AA-W2", "not_own_unit", "AA-W2"),
    ("AA-W1-XD", "reporter", "values:write", "value:AA-SUM/AA-W1/2026-Q1", "granted", None),
    ("AA-W1-XD", "manager", "organizations:write", "organization:AA-W1-C1", "mandate_function", "AA-W1"),
    ("AA-W1", "manager", "organizations:write", "organization:AA-W1-C1", "granted", None),
    ("AA-W1", "manager", "indicators:write", "indicator:AA-SUM", "outside", "AA-TU"),
    ("AA-BTG", "manager", "indicators:write", "indicator:AA-SUM", "granted", None),
    ("AA-W1", "manager", "programmes:write", "programme:AA-P", "outside", "AA-TU"),
    ("AA-W1", "administrator", "grants:write", "account:aa-w1.administrator", "own_account", "AA-W1"),
    ("AA-W1", "administrator", "grants:write", "account:aa-w1.viewer", "granted", None),
    ("AA-W1", "administrator", "accounts:write", "account:aa-w2.viewer", "not_visible", None),
    ("AA-W1", "administrator", "mandates:write", "organization:AA-W1-C1", "granted", None),
    ("AA-W1", "approver", "value_history", "value:AA-SUM/AA-W1-C1/2026-Q1", "not_own_unit", "AA-W1-C1"),
    ("AA-W1", "manager", "value_history", "value:AA-SUM/AA-W1-C1/2026-Q1", "granted", None),
    ("AA-OLD", "manager", "organizations:write", "organization:AA-OLD", "seat_ended", None),
    ("AA-OLD", "viewer", "organizations:read", "organization:AA-OLD", "granted", None),
    ("AA-W1", "manager", "reorganizations:write", "organization:AA-W1-C1", "granted", None),
])
def test_reasons(world, seat, role, action, resource, reason, who):
    answer = ask(world.at(seat, role), action, resource)
    assert answer["reason"] == reason, answer
    assert answer["allowed"] == (reason == "granted") and bool(answer["detail"]) == (reason != "granted")
    assert bool(answer["because"]) == answer["allowed"]
    if who:
        assert who in {w["organization"]["code"] for w in answer["who"]}
    vietnamese = ask(world.at(seat, role), action, resource, "vi")
    assert (vietnamese["detail"] != answer["detail"]) == (reason != "granted"), vietnamese


def test_mandates_that_ended_or_hold_for_another_programme(world):
    admin = world.at("AA-TU", "administrator")
    code = samples.fresh("AA-VP")
    world.unit(world.at("AA-TU", "manager"), code, "Văn phòng", "advisory_support_agency", "AA-TU")
    world.staff(admin, code, ("manager",))
    me = world.at(code, "manager")
    world.must(admin.post("/v1/mandates", {"unit": code, "over": "AA-TU", "functions": ["read"]}))
    other = world.must(world.at("AA-TU", "manager").post("/v1/programmes", {"code": samples.fresh("AA-Q"), "title": "Khác", "owner": "AA-TU", "scope": "AA-TU"}))
    bound = world.must(admin.post("/v1/mandates", {"unit": code, "over": "AA-TU", "functions": ["define"], "programme": other["code"]}))
    answer = ask(me, "indicators:write", "indicator:AA-SUM")
    assert answer["reason"] == "mandate_programme" and other["code"] in answer["detail"]
    assert ask(me, "programmes:write", f"programme:{other['code']}")["because"][1]["mandate"] == bound["id"]
    assert end(admin, f"/v1/mandates/{bound['id']}").status == 204
    assert ask(me, "indicators:write", "indicator:AA-SUM")["reason"] == "mandate_ended"
    assert me.patch(f"/v1/programmes/{other['code']}", {"note": "x"}, "*").status == 403


def test_sources(world, caller):
    admin, manager = world.at("AA-TU", "administrator"), world.at("AA-TU", "manager")
    world.client(admin, "hoi-nguon", "AA-TU", ["values:read", "values:write"])
    machine = world.connector("hoi-nguon")
    by_hand, by_client = samples.fresh("AA-H"), samples.fresh("AA-M")
    for code, source in ((by_hand, {"source": "hand"}), (by_client, {"source": "client", "client": world.clients["hoi-nguon"][0]})):
        world.indicator(manager, code, "AA-P", "number")
        world.assign(manager, code, organization="AA-W1", **source)
    person = world.at("AA-W1", "reporter")
    assert ask(machine, "values:write", f"value:{by_hand}/AA-W1/2026-Q1")["reason"] == "source_is_hand"
    assert ask(person, "values:write", f"value:{by_client}/AA-W1/2026-Q1")["reason"] == "source_is_client"
    assert ask(machine, "values:write", f"value:{by_client}/AA-W1/2026-Q1")["allowed"]
    assert ask(machine, "organizations:write", "organization:AA-W1")["reason"] == "client_scope"


def test_what_is_out_of_sight_reads_like_nothing(world):
    me = world.at("AA-W1", "manager")
    admin = world.at("AA-W1", "administrator")
    grant = world.at("AA-TU", "administrator").items("/v1/grants", organization="AA-W2")[0]["id"]
    for who, action, hidden, nothing in (
            (me, "organizations:write", "organization:AA-W2", "organization:NO-SUCH"), (me, "organizations:read", "organization:BB-W1", "organization:NO-SUCH"),
            (me, "values:write", "value:AA-SUM/AA-W2/2026-Q1", "value:AA-SUM/NO-SUCH/2026-Q1"), (me, "values:read", "value:BB-RATIO/AA-W1/2026-Q1", "value:NO/AA-W1/2026-Q1"),
            (me, "indicators:write", "indicator:BB-RATIO", "indicator:NO-SUCH"), (me, "accounts:write", "account:aa-w2.viewer", "account:no.such"),
            (admin, "accounts:write", "account:aa-w2.viewer", "account:no.such"), (admin, "grants:write", f"grant:{grant}", f"grant:{grant[:-1]}0"),
            (admin, "grants:write", "account:aa-tu.viewer", "account:no.such"), (me, "programmes:read", "programme:BB-P", "programme:NO")):
        answers = [{k: v for k, v in ask(who, action, resource).items() if k != "resource"} for resource in (hidden, nothing)]
        assert answers[0] == answers[1] and not answers[0]["allowed"] and answers[0]["who"] == [], (action, hidden, answers)


def test_asking_writes_nothing_and_locks_nothing(world, cluster):
    before = cluster.query("SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM value), (SELECT sum(version) FROM organization)")
    for action, resource in (("values:write", "value:AA-SUM/AA-W1/2025-Q3"), ("organizations:write", "organization:AA-W1-C1"), ("reorganizations:write", "organization:AA-W1")):
        assert ask(world.at("AA-W1", "manager"), action, resource)["allowed"]
    assert cluster.query("SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM value), (SELECT sum(version) FROM organization)") == before


# ---- the same as what is done --------------------------------------------------------------------------------
def do(who, action, unit, names):
    """The operation itself, with everything right but, perhaps, the right to it: (resource, answer)."""
    if action == "organizations:read":
        return f"organization:{unit}", who.get(f"/v1/organizations/{unit}")
    if action == "organizations:write":
        return f"organization:{unit}", who.patch(f"/v1/organizations/{unit}", {"note": "x"}, "*")
    if action == "values:write":
        code, period, body = names
        return f"value:{code}/{unit}/{period}", who.request("PUT", f"/v1/values/{code}/{unit}/{period}", body, [("If-Match", '"999999"')])
    if action == "indicators:write":
        return f"indicator:{names[0]}", who.patch(f"/v1/indicators/{names[0]}", {"note": "x"}, "*")
    if action == "programmes:write":
        return "programme:AA-P", who.patch("/v1/programmes/AA-P", {"note": "x"}, "*")
    if action == "accounts:write":
        return f"organization:{unit}", who.post("/v1/accounts", {"username": samples.fresh("aa.hoi").lower(), "display_name": "Hỏi", "organization": unit})
    if action == "grants:write":
        return f"organization:{unit}", who.post("/v1/grants", {"account": names[0], "organization": unit, "role": "viewer", **samples.one_day()})
    return f"organization:{unit}", who.post("/v1/mandates", {"unit": unit, "over": unit, "functions": ["read"], "valid_from": "2020-01-01", "valid_to": "2020-01-02"})


def test_the_answer_is_what_the_operation_then_does(world):
    """Every role × seat × operation × unit, a good part of them: allowed means it is not refused, and the other way round."""
    admin = world.at("AA-TU", "administrator")
    values = [("AA-SUM", "2026-Q1", {"number": 1}), ("AA-RATIO", "2026-Q1", {"numerator": 1, "denominator": 2}), ("AA-MILE", "2026-Q1", {"done": False}),
              ("AA-RANK", "2026-A1", {"number": 1}), ("AA-SUM", "2026-A1", {"number": 1})]
    cases = [(seat, role, action, unit, names) for seat, role, unit in itertools.product(SEATS, ROLES, UNITS)
             for action, some in (("organizations:read", [None]), ("organizations:write", [None]), ("values:write", values), ("indicators:write", [("AA-SUM",), ("BB-RATIO",)]),
                                  ("programmes:write", [None]), ("accounts:write", [None]), ("grants:write", [("aa-w1-c1.viewer",)]), ("mandates:write", [None]))
             for names in some]
    cases = random.Random(3).sample(cases, 700)
    wrong, allowed = [], 0
    for seat, role, action, unit, names in cases:
        who = world.at(seat, role)
        if action == "grants:write" and not seat.startswith(("AA-TU", "AA-W1")) or seat == "AA-W1-XD" and action == "grants:write":
            continue  # the account lies elsewhere
        resource, done = do(who, action, unit, names)
        answer = ask(who, action, resource)
        assert done.status != 401
        refused = done.status in (403, 404) or bool({c for _, c in done.faults()} & {"not_assigned", "wrong_period_kind", "period_not_begun", "unknown_reference"} if done.status == 422 else ())
        allowed += answer["allowed"]
        if answer["allowed"] == refused:
            wrong.append(f"{seat} {role} {action} {resource}: {answer['allowed']} {answer['reason']}, and yet {done.status} {done.text[:200]}")
        if answer["reason"] == "not_visible" and done.status == 403 or answer["reason"] == "role" and done.status != 403:
            wrong.append(f"{seat} {role} {action} {resource}: {answer['reason']}, and yet {done.status}")
    assert not wrong, "\n".join(wrong)
    assert allowed > 50
    assert admin


def test_a_seat_that_ended(world):
    """Whoever sits in a unit of the past is told so, and who writes for it now."""
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    old, new = samples.fresh("AA-CU"), samples.fresh("AA-MOI")
    for code in (old, new):
        world.unit(manager, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
    world.staff(admin, old, ("reporter", "manager"))
    reporter = world.at(old, "reporter")
    before = reporter.get("/v1/me").json()
    assert before["seat_ended"] is False and "values:write" in before["permissions"] and before["withheld"] == []
    world.must(manager.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-07-01", "steps": [
        {"kind": "merge", "organizations": [old], "into": new}]}))
    me = reporter.get("/v1/me").json()
    assert me["seat_ended"] is True and [p for p in me["permissions"] if p.endswith(":write")] == ["me:write"]
    assert "values:write" in me["withheld"] and "values:read" in me["permissions"]
    answer = ask(reporter, "values:write", f"organization:{old}")
    assert answer["reason"] == "seat_ended"
    by_above = ask(manager, "values:write", f"organization:{old}")
    assert new in {w["organization"]["code"] for w in by_above["who"]}
    for told in (answer, by_above, ask(world.at(old, "manager"), "organizations:write", f"organization:{old}")):
        assert old not in {w["organization"]["code"] for w in told["who"]}
