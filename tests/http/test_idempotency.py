"""Idempotency-Key on every POST."""
import threading

import pytest
from harness import samples
from harness.contract import Contract

POSTS = [op for op in sorted(Contract().operations.values(), key=lambda op: op.id)
         if op.method == "POST" and op.permission != "public" and not op.id.endswith("_import") and "x-body" not in op.node]


@pytest.fixture
def send(world):
    def go(op, body, key, by=None):
        role = "administrator" if op.permission.split(":")[0] in ("accounts", "clients", "grants", "mandates") else "manager"
        return (by or world.at("AA-TU", role)).post(samples.address(world, op), body, [("Idempotency-Key", key)])
    return go


def fresh_body(op, world):
    body = samples.body(op.id)
    if op.id == "assignment_create":
        body = {"organization": "AA-W1", "mode": "own", "valid_from": "2030-01-01", "valid_to": "2030-01-31"}
    if op.id == "account_create":
        body["password"] = "mot-mat-khau-dai-va-rieng"
    return body


# Answers with a secret are not kept, and what goes by a version is refused for that when it comes again.
@pytest.mark.parametrize("op", [op for op in POSTS if op.id not in ("client_create", "client_secret_create", "calendar_subscription_create", "reminder_create") and "if_match" not in str(op.parameters)],
                         ids=lambda op: op.id)
def test_a_repeated_request_is_replayed_and_another_is_422(world, send, op):
    key, body = samples.fresh("key"), fresh_body(op, world)
    if op.id == "assignment_create":
        code = world.indicator(world.at("AA-TU", "manager"), samples.fresh("AA-I"), "AA-P", "number")["code"]
        path = f"/v1/indicators/{code}/assignments"
        post = lambda b: world.at("AA-TU", "manager").post(path, b, [("Idempotency-Key", key)])  # noqa: E731
    elif op.id == "target_create":
        code = world.indicator(world.at("AA-TU", "manager"), samples.fresh("AA-I"), "AA-P", "number")["code"]
        path = f"/v1/indicators/{code}/targets"
        post = lambda b: world.at("AA-TU", "manager").post(path, b, [("Idempotency-Key", key)])  # noqa: E731
    elif op.id in ("report_comment_create", "product_reuse_create", "campaign_assignment_set", "campaign_assignment_own", "campaign_assignment_copy_down"):
        path = samples.address(world, op)
        post = lambda b: world.at("AA-TU", "manager").post(path, b, [("Idempotency-Key", key)])  # noqa: E731
    else:
        post = lambda b: send(op, b, key)  # noqa: E731
    first = post(body)
    made = 201 if 201 in op.success else 200
    assert first.status == made, first
    again = post(body)
    assert again.status == made and again.header("Idempotency-Replayed") == "true"
    assert again.json() == first.json() and again.etag == first.etag and again.header("Location") == first.header("Location")
    other = post({**dict(reversed(list(body.items()))), **_changed(body)})
    assert other.status == 422 and other.code == "idempotency_key_reused"


def _changed(body):
    for name, value in (("name", "Khác"), ("title", "Khác"), ("text", "Khác"), ("display_name", "Khác"), ("note", "khác"), ("valid_to", "2031-12-31"),
                        ("role", "reporter"), ("functions", ["read", "enter"])):
        if name in body:
            return {name: value}
    return {"note": "khác"}


def test_an_answer_with_a_secret_is_not_kept(world, send):
    op = world.contract.operations["client_create"]
    key, body = samples.fresh("key"), samples.body("client_create")
    first = send(op, body, key)
    assert first.status == 201
    again = send(op, body, key)
    assert again.status == 409 and again.code in ("secret_not_replayed", "idempotency_not_replayable")
    assert first.json()["client_secret"] not in again.text
    account = world.contract.operations["account_create"]
    body = samples.body("account_create")
    first = send(account, body, samples.fresh("key"))
    assert "activation_code" in first.json(), "made by the service"


def test_a_made_code_is_not_kept_either(world, send, cluster):
    op, key, body = world.contract.operations["account_create"], samples.fresh("key"), samples.body("account_create")
    first = send(op, body, key)
    again = send(op, body, key)
    assert again.status == 409
    rows = cluster.query("SELECT coalesce(body, '') || fingerprint::text FROM idempotency WHERE key = %s", [key])
    assert all(first.json()["activation_code"] not in text for (text,) in rows)


def test_keys_belong_to_their_caller(world, send):
    op, key = world.contract.operations["organization_create"], samples.fresh("key")
    first = send(op, samples.body("organization_create"), key)
    other = send(op, samples.body("organization_create", "AA-W2"), key, world.at("AA-W2", "manager"))
    assert first.status == other.status == 201


def test_a_failure_is_not_kept(world, send):
    op, key = world.contract.operations["organization_create"], samples.fresh("key")
    body = samples.body("organization_create")
    assert send(op, {**body, "parent": "NO-SUCH"}, key).status == 422
    assert send(op, body, key).status == 201


def test_a_replay_is_authorised_anew(world, cluster, caller):
    admin = world.at("AA-TU", "administrator")
    name = samples.fresh("aa.cu").lower()
    world.account(admin, name, ("AA-W1", "manager"))
    by, key, body = caller(world.login(name).json()["access_token"]), samples.fresh("key"), samples.body("organization_create")
    assert by.post("/v1/organizations", body, [("Idempotency-Key", key)]).status == 201
    cluster.query("UPDATE access_grant SET role = 'viewer' WHERE account_id = (SELECT id FROM account WHERE username = %s)", [name])
    assert by.post("/v1/organizations", body, [("Idempotency-Key", key)]).status == 403


def test_a_kept_answer_lasts_a_day(world, moved):
    key, body = samples.fresh("key"), samples.body("organization_create")
    assert world.at("AA-TU", "manager").post("/v1/organizations", body, [("Idempotency-Key", key)]).status == 201
    moved.move(23 * 3600)
    world.forget()
    assert world.at("AA-TU", "manager").post("/v1/organizations", body, [("Idempotency-Key", key)]).header("Idempotency-Replayed") == "true"
    moved.move(25 * 3600)
    world.forget()
    assert world.at("AA-TU", "manager").post("/v1/organizations", body, [("Idempotency-Key", key)]).status == 409, "forgotten: the code is taken"


def test_in_flight_is_409_at_once(world, cluster, caller):
    """The first request is held up inside its transaction; its twin does not wait for it."""
    key, body = samples.fresh("key"), samples.body("organization_create")
    token = world.at("AA-TU", "manager").token
    holder = cluster.connect()
    holder.autocommit = False
    answers = []
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended((SELECT id FROM account WHERE username = 'aa-tu.manager')::text || %s, 42))", [key])
        answers.append(caller(token).post("/v1/organizations", body, [("Idempotency-Key", key)]))
        cursor.execute("SELECT pg_advisory_unlock_all()")
    holder.close()
    assert answers[0].status == 409 and answers[0].code == "idempotency_in_flight" and answers[0].header("Retry-After")
    assert caller(token).post("/v1/organizations", body, [("Idempotency-Key", key)]).status == 201


def test_many_at_once_do_it_once(world, caller):
    key, body = samples.fresh("key"), samples.body("organization_create")
    callers = [caller(world.at("AA-TU", "manager").token) for _ in range(12)]
    answers = []
    threads = [threading.Thread(target=lambda c=c: answers.append(c.post("/v1/organizations", body, [("Idempotency-Key", key)]))) for c in callers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {a.status for a in answers} <= {201, 409}
    assert sum(a.status == 201 and a.header("Idempotency-Replayed") != "true" for a in answers) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_keys_have_a_length(world, key):
    answer = world.at("AA-TU", "manager").post("/v1/organizations", samples.body("organization_create"), [("Idempotency-Key", key)])
    assert answer.status == 400, answer
