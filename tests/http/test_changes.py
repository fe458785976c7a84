"""The feed of changes: thin events in commit order, each caller's own, from a place that cannot be forged."""
import json
import threading
import time

import pytest
from harness import samples
from harness.client import Http
from harness.crowd import wait_for
from harness.world import Caller

PATH = "/v1/changes"
BATCH = "application/cloudevents-batch+json"


def read(by, **query):
    answer = by.get(PATH, **query)
    assert answer.status == 200, answer
    return answer.json()


def follow(by, after=None, wait=0):
    """Every event from a place on, and the place behind them."""
    found = []
    while True:
        page = read(by, limit="1000", wait=wait, **({"after": after} if after else {}))
        found += page["items"]
        after = page["page"]["next"]
        if not page["page"]["more"] and not (wait and page["items"]):
            return found, after
        wait = 0


def await_event(by, after, wanted, action="create", seconds=60):
    """Follows until this is told of the resource; gives the event, and all that was told."""
    until, found = time.monotonic() + seconds, []
    while time.monotonic() < until:
        page = read(by, after=after, wait=5)
        found += page["items"]
        after = page["page"]["next"]
        for event in page["items"]:
            if (event["data"]["resource_id"], event["data"]["action"]) == (wanted, action):
                return event, found
    raise AssertionError(f"no event about {wanted} in {found}")


def here(by):
    """Behind whatever was written before: nothing of it is still on its way."""
    by.world.service.cluster.caught_up()
    return read(by, after="now")["page"]["next"]


@pytest.fixture(scope="module")
def number(world):
    by = world.at("AA-TU", "manager")
    code = world.indicator(by, samples.fresh("AA-CH"), "AA-P", "number")["code"]
    world.assign(by, code, kind="party_cell", under="AA-TU", entered_by="superior")
    return code


def test_an_event_is_a_thin_cloudevent(world, number):
    by = world.connector()
    place = here(by)
    made = world.must(by.enter(number, "AA-W1-C1", "2026-Q1", {"number": 5}))
    event, _ = await_event(by, place, made["id"])
    assert event == {"specversion": "1.0", "id": event["id"], "source": world.service.env["TIENDO_ISSUER"], "type": "tiendo.value.create",
                     "time": event["time"], "subject": f"/v1/values/{number}/AA-W1-C1/2026-Q1", "datacontenttype": "application/json",
                     "data": {"resource_type": "value", "resource_id": made["id"], "action": "create", "version": 1, "deleted": False}}
    assert by.get(event["subject"]).json()["version"] == 1
    assert len(event["id"]) == 32 and "position" not in json.dumps(event)


def test_a_unit_leaves_those_alone_who_see_it_no_more(world):
    manager = world.at("AA-TU", "manager")
    made = world.unit(manager, samples.fresh("AA-DI"), "Chi bộ chuyển đi", "party_cell", "AA-W1")
    seats = {seat: world.at(seat, "viewer") for seat in ("AA-TU", "AA-W1", "AA-W2")}
    places = {seat: here(by) for seat, by in seats.items()}
    world.must(manager.post("/v1/reorganizations", {"decision": "9-QĐ/TU", "effective_on": "2026-11-01", "steps": [
        {"kind": "move", "organization": made["code"], "parent": "AA-W2"}]}))
    world.service.cluster.caught_up()
    told = {seat: {e["data"]["action"] for e in follow(by, places[seat])[0] if e["data"]["resource_id"] == made["id"]} for seat, by in seats.items()}
    assert "leave" in told["AA-W1"] and "leave" not in told["AA-TU"] | told["AA-W2"] and "reorganize" in told["AA-TU"] & told["AA-W2"], told


def test_a_deletion_leaves_a_tombstone(world, number):
    by = world.connector()
    made = world.must(by.enter(number, "AA-W1-C2", "2026-Q1", {"number": 5}))
    place = here(by)
    rows = [{"indicator": number, "organization": "AA-W1-C2", "period": "2026-Q1"}]
    assert by.post("/v1/values/imports", rows, [("Idempotency-Key", samples.fresh("k"))], strategy="delete").status == 200
    event, _ = await_event(by, place, made["id"], "delete")
    assert (event["type"], event["data"]["action"], event["data"]["deleted"]) == ("tiendo.value.delete", "delete", True)
    assert event["subject"] == f"/v1/values/{number}/AA-W1-C2/2026-Q1" and by.get(event["subject"]).status == 404


def test_what_an_event_names_can_be_read(world):
    """Every kind's subject leads to the resource, for who may read it."""
    events, _ = follow(world.at("AA-TU", "administrator"))
    kinds = {}
    for event in events:
        kinds.setdefault(event["data"]["resource_type"], event["subject"])
    assert {"organization", "programme", "indicator", "assignment", "target", "account", "grant", "client", "mandate"} <= set(kinds)
    for kind, subject in kinds.items():
        if kind not in ("value",):
            assert world.at("AA-TU", "administrator").get(subject, check=False).status == 200, (kind, subject)


def test_the_whole_feed_is_the_journal_and_nothing_twice(world, cluster):
    by = world.at("AA-TU", "administrator")
    cluster.caught_up()
    events, place = follow(by)
    assert len({e["id"] for e in events}) == len(events)
    told = [(e["data"]["resource_type"], e["data"]["resource_id"], e["data"]["version"], e["data"]["action"]) for e in events]
    rows = cluster.query("""SELECT s.resource_type, s.resource_id::text, s.version, s.action FROM journal_seal s JOIN organization r ON r.code = 'AA-TU'
        WHERE s.scope_key ^@ r.scope_key AND s.action <> 'leave'  -- what moves within the province does not leave it
        ORDER BY s.position LIMIT %s""", [len(told)])
    assert told == rows
    assert follow(by, place)[0] == []


def test_small_pages_tell_the_same(world):
    by = world.at("AA-TU", "inspector")
    world.service.cluster.caught_up()
    everything, _ = follow(by)
    found, after = [], None
    for _ in range(len(everything)):
        page = read(by, limit="3", **({"after": after} if after else {}))
        assert len(page["items"]) <= 3 and page["page"]["limit"] == 3
        found += page["items"]
        after = page["page"]["next"]
        if not page["page"]["more"]:
            break
    assert [e["id"] for e in found] == [e["id"] for e in everything]


def test_each_is_told_of_its_own(world, number):
    """A ward's caller: nothing of a sibling, of the root, of another root; staff only for administrators."""
    world.at("AA-TU", "manager").patch("/v1/organizations/AA-W2", {"note": samples.fresh("n")}, "*")
    world.must(world.connector().enter(number, "AA-W2-C1", "2026-Q1", {"number": 5}))
    world.must(world.connector().enter(number, "AA-W1-C3", "2026-Q1", {"number": 5}))
    world.service.cluster.caught_up()
    ids = {code: world.at(root, "viewer").get(f"/v1/organizations/{code}").json()["id"]
           for root, code in (("AA-TU", "AA-TU"), ("AA-TU", "AA-W1"), ("AA-TU", "AA-W2"), ("BB-TU", "BB-W1"))}
    for unit, role, seen in (("AA-W1", "viewer", {"AA-W1"}), ("AA-W2", "viewer", {"AA-W2"}), ("AA-TU", "viewer", {"AA-TU", "AA-W1", "AA-W2"}),
                             ("BB-TU", "viewer", {"BB-W1"})):
        events, _ = follow(world.at(unit, role))
        about = {e["data"]["resource_id"] for e in events}
        assert {code for code, id_ in ids.items() if id_ in about} == seen, (unit, role)
        if unit != "AA-TU":
            other = "AA-W2" if unit == "AA-W1" else "AA-W1"
            assert not any(f"/{other}" in e["subject"] for e in events)
        assert not {"account", "grant", "client"} & {e["data"]["resource_type"] for e in events}
    ward = follow(world.at("AA-W1", "administrator"))[0]
    assert "account" in {e["data"]["resource_type"] for e in ward}
    assert "account" not in {e["data"]["resource_type"] for e in follow(world.connector())[0]}


def test_a_caller_waits_for_its_own_and_for_nothing_else(world, number):
    """What others do ends nobody's wait, and an empty answer comes when the wait is over."""
    by, other = Caller(world, world.at("AA-W1", "viewer").token), world.connector()
    place = here(by)
    began, done = time.monotonic(), []
    thread = threading.Thread(target=lambda: done.append((read(by, after=place, wait=3), time.monotonic() - began)))
    thread.start()
    for n in range(8):
        world.must(other.enter(number, "AA-W2-C2", f"20{n + 25}-Q1" if n < 2 else "2026-Q2", {"number": n}, "*" if n > 2 else None), 200 if n > 2 else 201)
        time.sleep(0.2)
    thread.join()
    page, took = done[0]
    assert page["items"] == [] and not page["page"]["more"] and 2.9 < took < 15
    assert len(page["page"]["next"]) == len(place), "a place tells nothing by its length"


def test_a_change_ends_the_wait(world, number):
    by = Caller(world, world.at("AA-W1", "viewer").token)
    place = here(by)
    done, began = [], time.monotonic()
    thread = threading.Thread(target=lambda: done.append((read(by, after=place, wait=25), time.monotonic() - began)))
    thread.start()
    time.sleep(1)
    made = world.must(world.connector().enter(number, "AA-W1-C4", "2026-Q1", {"number": 1}))
    thread.join()
    page, took = done[0]
    assert [e["data"]["resource_id"] for e in page["items"]] == [made["id"]] and 1 < took < 15


def test_those_who_wait_hold_no_connection(world, number):
    """More wait than the long lane has connections, and the rest goes on; then what they wait for comes."""
    tokens = [world.at(unit, role).token for unit in ("AA-W1", "AA-W2") for role in ("viewer", "reporter", "manager", "inspector")]
    callers = [Caller(world, tokens[i % len(tokens)]) for i in range(24)]
    places = [here(c) for c in callers]
    answers = []
    threads = [threading.Thread(target=lambda c=c, p=p: answers.append(c.get(PATH, after=p, wait=25))) for c, p in zip(callers, places)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    began = time.monotonic()
    assert world.at("AA-TU", "viewer").get("/v1/values", [("Accept", "application/x-ndjson")]).status == 200
    assert world.at("AA-TU", "viewer").get("/v1/organizations/AA-W1").status == 200
    assert time.monotonic() - began < 10 and not answers
    for ward in ("AA-W1", "AA-W2"):
        assert world.at("AA-TU", "manager").patch(f"/v1/organizations/{ward}", {"note": samples.fresh("n")}, "*").status == 200
    for thread in threads:
        thread.join()
    assert {(a.status, len(a.json()["items"])) for a in answers} == {(200, 1)}


def test_one_caller_cannot_take_every_place(world):
    token = world.at("AA-W2", "reporter").token
    place = here(Caller(world, token))
    answers = []

    def waiting():
        answers.append(Caller(world, token).get(PATH, after=place, wait=25))

    threads = [threading.Thread(target=waiting) for _ in range(70)]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: len(answers) == 6), "the rest wait"
    assert Caller(world, world.at("AA-W1", "reporter").token).get(PATH, wait=1).status == 200
    assert world.at("AA-TU", "manager").patch("/v1/organizations/AA-W2", {"note": samples.fresh("n")}, "*").status == 200
    for thread in threads:
        thread.join()
    statuses = [a.status for a in answers]
    assert statuses.count(200) == 64 and statuses.count(429) == 6
    assert all(a.header("Retry-After") for a in answers if a.status == 429)


def test_a_place_cannot_be_forged_nor_borrowed(world):
    by = world.at("AA-TU", "viewer")
    place = here(by)
    cursor = by.get("/v1/organizations", limit=1).json()["page"]["next"]
    for bad in ("x", "0", "12", place[:-3] + "AAA", place + "A", cursor, "99999999999999999999", "-1", "NOW"):
        answer = by.get(PATH, after=bad)
        assert answer.status == 400 and answer.code == "bad_cursor", bad
    assert world.at("AA-W1", "viewer").get(PATH, after=place).code == "bad_cursor"
    username = samples.fresh("nguoi").lower()
    made = world.account(world.at("AA-TU", "administrator"), username, ("AA-W1", "viewer"), ("AA-W2", "viewer"))
    one, other = (world.as_(username, grant["id"]) for grant in made["grants"])
    place = here(one)
    assert one.get(PATH, after=place).status == 200 and other.get(PATH, after=place).code == "bad_cursor"
    for query in ({"wait": "31"}, {"wait": "-1"}, {"wait": "x"}, {"limit": "0"}, {"zz": "1"}, {"after": ""}, {"cursor": place}):
        assert by.get(PATH, **query).status == 400, query


def test_who_may_follow(world, caller):
    assert caller(None).get(PATH).status == 401
    admin = world.at("AA-TU", "administrator")
    world.client(admin, "no-changes", "AA-TU", ["values:read"])
    assert world.connector("no-changes").get(PATH).status == 403
    assert world.connector().get(PATH).status == 200
    assert world.at("AA-TU", "viewer").get(PATH, [("Accept", "text/csv")]).status == 406


def test_a_batch_is_a_bare_array(world):
    by = world.at("AA-TU", "viewer")
    answer = by.get(PATH, [("Accept", BATCH)], limit=2)
    assert answer.type == BATCH and len(answer.json()) == 2
    link = answer.header("Link")
    assert link.endswith('>; rel="next"')
    again = by.get(link[1:].split(">")[0], [("Accept", BATCH)])
    assert len(again.json()) == 2 and again.json()[0] != answer.json()[1]
    assert [e["id"] for e in answer.json() + again.json()] == [e["id"] for e in read(by, limit=4)["items"]]


def test_a_place_of_another_past_is_expired(world, cluster):
    """After the database went back to an older state the chain goes another way: who followed the lost one must know."""
    by = world.at("AA-TU", "viewer")
    place = here(by)
    position = cluster.query("SELECT position FROM seal_state")[0][0]
    change = "UPDATE journal_seal SET hash = sha256(hash) WHERE position = %s"
    kept = cluster.query("SELECT hash FROM journal_seal WHERE position = %s", [position])[0][0]
    cluster.query(change, [position])
    try:
        answer = by.get(PATH, after=place)
        assert answer.status == 410 and answer.code == "cursor_expired"
    finally:
        cluster.query("UPDATE journal_seal SET hash = %s WHERE position = %s", [bytes(kept), position])
    assert by.get(PATH, after=place).status == 200


def test_waiting_obeys_the_next_second(world, number):
    """A session that ends while its holder waits is refused at the next look."""
    admin = world.at("AA-TU", "administrator")
    username = samples.fresh("cho").lower()
    world.account(admin, username, ("AA-W1", "viewer"))
    session = world.login(username).json()
    by = Caller(world, session["access_token"])
    place = here(by)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(by.get(PATH, after=place, wait=15)))
    thread.start()
    time.sleep(0.5)
    assert Caller(world, session["access_token"]).request("DELETE", "/v1/sessions/current", check=False).status in (204, 404, 405)
    world.service.cluster.query("UPDATE session SET revoked_at = clock_now() WHERE account_id = (SELECT id FROM account WHERE username = %s)", [username])
    world.must(world.connector().enter(number, "AA-W1-C1", "2026-Q2", {"number": 1}))
    thread.join()
    assert answers[0].status == 401, answers[0]


def test_the_http_client_may_hang_up_while_it_waits(world):
    by = world.at("AA-TU", "viewer")
    place = here(by)
    http = Http(world.service.host, world.service.port, 1)
    with pytest.raises(OSError):
        http.request("GET", f"{PATH}?wait=20&after={place}", [("Authorization", "Bearer " + by.token)])
    http.close()
    assert by.get("/v1/organizations/AA-W1").status == 200
