"""The audit trail: who changed what, when, from what to what, on behalf of whom, and who may read it."""
import csv
import io
import json
from urllib.parse import quote

import pytest
from harness import campaigns, samples
from harness.activities import activity, change
from harness.world import Caller

PATH = "/v1/audit-events"


def audit(by, headers=(), **query):
    return by.items(PATH, headers, **query)


@pytest.fixture(scope="module")
def figure(world, cluster):
    """A figure of a cell that its ward entered and changed, giving a reason, and withdrew."""
    by = world.at("AA-TU", "manager")
    code = world.indicator(by, samples.fresh("AA-AU"), "AA-P", "number")["code"]
    world.assign(by, code, kind="party_cell", under="AA-TU", entered_by="superior")
    reporter = world.at("AA-W1", "reporter")
    made = reporter.enter(code, "AA-W1-C1", "2026-Q1", {"number": 5})
    assert made.status == 201, made
    changed = reporter.enter(code, "AA-W1-C1", "2026-Q1", {"number": 7, "reason": "đếm sót hai người"}, made.etag)
    assert changed.status == 200, changed
    cluster.caught_up()
    return {"code": code, "id": made.json()["id"], "path": f"/v1/values/{code}/AA-W1-C1/2026-Q1", "ref": f"value:{code}/AA-W1-C1/2026-Q1"}


def test_who_changed_a_figure_from_what_to_what_and_for_whom(world, figure):
    events = audit(world.at("AA-W1", "inspector"), resource=figure["ref"], embed="before,after")
    assert [(e["action"], e["version"]) for e in events] == [("update", 2), ("create", 1)], "the newest first"
    newest, first = events
    assert (newest["before"]["number"], newest["after"]["number"], newest["reason"]) == (5, 7, "đếm sót hai người")
    assert (first["before"], first["after"]["number"]) == (None, 5)
    assert newest["by"] == "aa-w1.reporter" and newest["on_behalf"] is True and newest["organization"] == "AA-W1-C1"
    actor = newest["actor"]
    assert (actor["kind"], actor["username"], actor["role"], actor["organization"]) == ("account", "aa-w1.reporter", "reporter", "AA-W1")
    assert newest["resource"] == figure["ref"] and newest["resource_id"] == figure["id"] and len(newest["request_id"]) == 32
    assert "before" not in audit(world.at("AA-W1", "inspector"), resource=figure["id"])[0]


def test_what_is_entered_in_a_campaign_for_another_and_why_it_was_changed(world, cluster):
    made = activity(world, "AA-W1-C1", by=world.at("AA-W1", "reporter"), note="Có mưa")
    change(world, made, {"status": "postponed", "reason": "Mưa lớn"}, by=world.at("AA-W1", "reporter"))
    change(world, made, {"note": None})
    cluster.caught_up()
    events = audit(world.at("AA-W1", "inspector"), resource=made["id"])
    assert [(e["version"], e["on_behalf"], e["reason"]) for e in events] == [(3, False, None), (2, True, "Mưa lớn"), (1, True, None)]


def test_on_whose_behalf_plans_reviews_and_recognitions_are_entered(world, cluster):
    """For another unit: yes. What a superior sets as its own order, and what a unit decides or publishes, is on nobody's behalf."""
    code, ward = campaigns.campaign(world)["code"], world.at("AA-W1", "approver")
    cell, key = "AA-W1-C1", lambda: [("Idempotency-Key", samples.fresh("k"))]
    plan = {"phase": "GD2", "kind": "conference", "quantity": 2, "due_on": "2026-12-01"}
    world.must(ward.post(f"/v1/campaigns/{code}/assignments/own", {**plan, "organization": cell, "dry_run": False}, key()), 200)
    world.must(world.at("AA-TU", "manager").post(f"/v1/campaigns/{code}/assignments", {**plan, "due_on": "2026-12-02", "organizations": [cell], "dry_run": False}, key()), 200)
    where = f"/v1/campaigns/{code}/reviews/GD2/{cell}/interim/2026-10-01"
    review = world.must(ward.put(where, {"results": "Sơ kết"}, [("If-None-Match", "*")]))["id"]
    assert ward.request("DELETE", where, None, [("If-Match", "*")]).status == 204
    made, up = (world.must(ward.post("/v1/recognitions", {"campaign": code, "organization": unit, "kind": "exemplary_model", "title": "Mô hình"}))["id"]
                for unit in (cell, "AA-W1"))
    world.must(world.at("AA-TU", "approver").post(f"/v1/recognitions/{up}/return", {"reason": "Bổ sung"}, [("If-Match", "*"), *key()]), 200)
    cluster.caught_up()
    top = world.at("AA-TU", "inspector")
    ids = {day: one for one, day in cluster.query("SELECT a.id::text, a.due_on::text FROM campaign_assignment a JOIN campaign c ON c.id = a.campaign_id WHERE c.code = %s", [code])}
    assert [[(e["action"], e["on_behalf"]) for e in audit(top, resource=one)] for one in (ids["2026-12-01"], ids["2026-12-02"], review, made, up)] == [
        [("create", True)], [("create", False)], [("delete", True), ("create", True)], [("create", True)],
        [("return", False), ("create", False)]]
    assert audit(top, resource=up)[0]["reason"] == "Bổ sung"


def test_the_history_of_a_figure(world, figure):
    items = world.at("AA-W1", "inspector").items(figure["path"] + "/history")
    assert [(i["version"], i["action"], i["number"], i["by"], i["on_behalf"], i["entered_by"]) for i in items] == [
        (1, "create", 5, "aa-w1.reporter", True, "AA-W1"), (2, "update", 7, "aa-w1.reporter", True, "AA-W1")]
    assert items[1]["reason"] == "đếm sót hai người" and items[1]["actor"]["name"].startswith("Người dùng")


def test_a_withdrawn_figure_keeps_its_history(world, cluster, figure):
    by = world.at("AA-TU", "manager")
    code = world.indicator(by, samples.fresh("AA-AU"), "AA-P", "number")["code"]
    world.assign(by, code, kind="party_cell", under="AA-TU", entered_by="superior")
    reporter = world.at("AA-W1", "reporter")
    row = {"indicator": code, "organization": "AA-W1-C2", "period": "2026-Q1"}
    for strategy, rows in (("upsert", [{**row, "number": 1}]), ("delete", [row]), ("upsert", [{**row, "number": 3}])):
        assert reporter.post("/v1/values/imports", rows, [("Idempotency-Key", samples.fresh("k"))], strategy=strategy).status == 200
    items = world.at("AA-W1", "inspector").items(f"/v1/values/{code}/AA-W1-C2/2026-Q1/history")
    assert [(i["action"], i["number"], i["state"]) for i in items] == [("create", 1, "reported"), ("delete", None, None), ("create", 3, "reported")]
    cluster.caught_up()
    events = audit(world.at("AA-W1", "inspector"), resource=f"value:{code}/AA-W1-C2/2026-Q1", embed="before,after", sort="position")
    assert [(e["action"], e["before"] and e["before"]["number"], e["after"] and e["after"]["number"]) for e in events] == [
        ("create", None, 1), ("delete", 1, None), ("create", None, 3)]


@pytest.mark.parametrize("unit, role, status", [
    ("AA-W1", "inspector", 200), ("AA-W1", "manager", 200), ("AA-W1", "administrator", 200), ("AA-TU", "inspector", 200),
    ("AA-W1", "approver", 403), ("AA-W1", "viewer", 403), ("AA-W1", "reporter", 403), ("AA-W2", "inspector", 404), ("BB-TU", "inspector", 404),
    ("AA-BTG", "manager", 403), ("AA-W1-XD", "inspector", 403)])
def test_who_may_read_the_history_of_a_cell(world, figure, unit, role, status):
    """A mandate without the function audit reads the figures and not who entered them; an approver looks at its own unit."""
    who = world.at(unit, role)
    answer = who.get(figure["path"] + "/history")
    assert answer.status == status, answer
    asked = who.get("/v1/me/permissions", action="value_history", resource=figure["ref"]).json()
    assert asked["allowed"] == (status == 200) and (status != 403 or asked["detail"]), asked
    events = who.get(PATH, resource=figure["id"])
    if role in ("viewer", "reporter"):
        assert events.status == 403
    else:
        assert bool(events.json()["items"]) == (status == 200)


def test_history_pages_and_exports(world, figure):
    by = world.at("AA-W1", "inspector")
    first = by.get(figure["path"] + "/history", limit=1).json()
    second = by.get(figure["path"] + "/history", limit=1, cursor=first["page"]["next"]).json()
    assert [p["items"][0]["version"] for p in (first, second)] == [1, 2] and second["page"]["next"] is None
    rows = list(csv.DictReader(io.StringIO(by.get(figure["path"] + "/history", [("Accept", "text/csv")]).text.lstrip("\ufeff"))))
    assert [(r["number"], r["by"]) for r in rows] == [("5", "aa-w1.reporter"), ("7", "aa-w1.reporter")]
    lines = by.get(figure["path"] + "/history", [("Accept", "application/x-ndjson")]).text.splitlines()
    assert [json.loads(line)["version"] for line in lines] == [1, 2]
    for bad, status in ((f"/v1/values/{figure['code']}/AA-W1-C1/2026-Q2/history", 404), ("/v1/values/NO-SUCH/AA-W1-C1/2026-Q1/history", 404),
                        (figure["path"] + "/history?zz=1", 400), (figure["path"] + "/history?category=không", 404)):
        assert by.request("GET", quote(bad, safe="/?=")).status == status, bad


def units_of(world, events):
    return {e["organization"] for e in events}


def test_each_sees_its_own(world, cluster, figure):
    world.at("AA-TU", "manager").patch("/v1/organizations/AA-W1", {"note": samples.fresh("n")}, "*")
    world.at("AA-TU", "manager").patch("/v1/organizations/AA-W2", {"note": samples.fresh("n")}, "*")
    cluster.caught_up()
    everything = audit(world.at("AA-TU", "inspector"))
    assert {"AA-TU", "AA-W1", "AA-W2", "AA-W1-C1"} <= units_of(world, everything)
    assert not any(unit.startswith("BB") for unit in units_of(world, everything))
    ward = audit(world.at("AA-W1", "inspector"))
    assert ward and all(unit.startswith("AA-W1") for unit in units_of(world, ward))
    assert units_of(world, audit(world.at("AA-W1", "approver"))) == {"AA-W1"}
    assert units_of(world, audit(world.at("AA-BTG", "manager"))) <= {"AA-BTG"}, "its mandate is to read, define and enter, not to audit"
    # the same rows by the pages of a few and by the export
    lines = world.at("AA-W1", "inspector").get(PATH, [("Accept", "application/x-ndjson")]).text.splitlines()
    assert [json.loads(line)["position"] for line in lines] == [e["position"] for e in ward]


STAFF = {"account", "client", "grant", "delegation"}


def test_changes_of_staff_are_for_administrators(world, cluster):
    cluster.caught_up()
    for unit, role in (("AA-TU", "inspector"), ("AA-TU", "manager"), ("AA-W1", "inspector"), ("AA-W1", "approver")):
        assert not STAFF & {e["resource_type"] for e in audit(world.at(unit, role))}, (unit, role)
    assert {"account", "grant", "client"} <= {e["resource_type"] for e in audit(world.at("AA-TU", "administrator"))}
    ward = audit(world.at("AA-W1", "administrator"), resource_type="account")
    assert ward and all(e["organization"].startswith("AA-W1") for e in ward)
    foreign = audit(world.at("BB-TU", "administrator"), resource_type="account")
    assert foreign and all(e["organization"].startswith("BB") for e in foreign)


def test_no_secret_is_in_it(world):
    text = world.at("AA-TU", "administrator").get(PATH, [("Accept", "application/x-ndjson")], embed="before,after").text
    for secret in [*world.passwords.values(), *(secret for _, secret in world.clients.values())]:
        assert secret not in text
    assert "argon2" not in text and "secret_hash" not in text


def test_a_mandate_to_audit_opens_it(world, cluster, figure):
    """For all programmes, or for the rows of one."""
    admin = world.at("AA-TU", "administrator")
    before = audit(world.at("AA-BTG", "inspector"))
    made = world.must(admin.post("/v1/mandates", {"unit": "AA-BTG", "over": "AA-W1", "functions": ["audit"], "programme": "AA-P", "valid_from": "2025-01-01"}))
    cluster.caught_up()
    events = audit(world.at("AA-BTG", "inspector"))
    new = {e["position"] for e in events} - {e["position"] for e in before}
    assert any(e["resource"] == figure["ref"] for e in events)
    assert {e["organization"] for e in events if e["position"] in new and e["organization"] != "AA-BTG"} <= {f"AA-W1-C{n}" for n in range(1, 5)} | {"AA-W1"}
    assert not any(e["resource_type"] == "organization" and e["organization"] == "AA-W1" for e in events), "which is of no programme"
    assert world.at("AA-BTG", "inspector").get(figure["path"] + "/history").status == 200
    assert not STAFF & {e["resource_type"] for e in audit(world.at("AA-BTG", "inspector"))}
    assert not any(e["organization"].startswith("AA-W1") for e in audit(world.at("AA-BTG", "administrator"), resource_type="account")), \
        "a mandate never opens staff"
    del made


@pytest.mark.parametrize("query, wanted", [
    ({"resource_type": "value"}, lambda e: e["resource_type"] == "value"),
    ({"action": "update"}, lambda e: e["action"] == "update"),
    ({"organization": "AA-W1-C1"}, lambda e: e["organization"] == "AA-W1-C1"),
    ({"under": "AA-W1"}, lambda e: e["organization"].startswith("AA-W1")),
    ({"resource": "organization:AA-W1"}, lambda e: e["resource"] == "organization:AA-W1"),
    ({"action": "create", "under": "AA-W2"}, lambda e: e["action"] == "create" and e["organization"].startswith("AA-W2")),
    ({"at__lt": "2020-01-01T00:00:00Z"}, lambda e: False),
    ({"at__gte": "2020-01-01T00:00:00Z"}, lambda e: True),
    ({"position__lt": "20"}, lambda e: e["position"] < 20),
    ({"position__gte": "20"}, lambda e: e["position"] >= 20),
])
def test_filters(world, cluster, query, wanted):
    cluster.caught_up()
    by = world.at("AA-TU", "inspector")
    everything = audit(by)
    assert audit(by, limit="7", **query) == [e for e in everything if wanted(e)]
    lines = by.get(PATH, [("Accept", "application/x-ndjson")], **query).text.splitlines()
    assert [json.loads(line)["position"] for line in lines] == [e["position"] for e in everything if wanted(e)]


def test_filters_by_who_did_it(world, cluster, figure):
    cluster.caught_up()
    admin, inspector = world.at("AA-TU", "administrator"), world.at("AA-TU", "inspector")
    reporter = next(e["actor"]["id"] for e in audit(inspector, resource=figure["id"]))
    by_id = audit(inspector, account=reporter)
    assert by_id and all(e["by"] == "aa-w1.reporter" for e in by_id)
    assert audit(admin, account="aa-w1.reporter") == by_id
    assert inspector.get(PATH, account="aa-w1.reporter").status == 422, "usernames are looked up by administrators alone"
    world.must(world.connector().enter(figure["code"], "AA-W1-C3", "2026-Q1", {"number": 1}))
    cluster.caught_up()
    client = world.clients["aa"][0]
    events = audit(inspector, client=client)
    assert events and all((e["by"], e["actor"]["kind"], e["actor"]["id"]) == ("aa", "client", client) for e in events)


def test_what_is_out_of_sight_filters_like_what_does_not_exist(world, figure):
    ward = world.at("AA-W2", "inspector")
    for name, seen, none in (("organization", "AA-W1", "NO-SUCH"), ("resource", "programme:BB-P", "programme:NO-SUCH"), ("resource", "indicator:BB-RATIO", "indicator:NO-SUCH"), ("under", "AA-W1", "NO-SUCH"), ("resource", figure["ref"], "value:X/Y/Z"),
                             ("resource", "organization:AA-W1", "organization:NO-SUCH"), ("account", "aa-w1.reporter", "no.such.account")):
        answers = [ward.get(PATH, **{name: value}) for value in (seen, none)]
        assert [a.status for a in answers] == [422, 422] and answers[0].json()["errors"] == answers[1].json()["errors"], name
    assert ward.get(PATH, resource=figure["id"]).json()["items"] == []
    for exporting in ("text/csv", "application/x-ndjson"):
        assert ward.get(PATH, [("Accept", exporting)], organization="AA-W1").status == 422


def test_pages_stand_still_while_events_are_added(world, cluster):
    cluster.caught_up()
    by, writer = world.at("AA-TU", "inspector"), world.at("AA-TU", "manager")
    for query in ({}, {"under": "AA-W1"}, {"resource_type": "organization"}):
        cluster.caught_up()
        expected = [e["position"] for e in audit(by, **query)]
        seen, cursor = [], None
        while True:
            page = by.get(PATH, limit=5, **query, **({"cursor": cursor} if cursor else {})).json()
            seen += [e["position"] for e in page["items"]]
            writer.patch("/v1/organizations/AA-W1", {"note": samples.fresh("n")}, "*")
            cursor = page["page"]["next"]
            if cursor is None:
                break
        assert seen == expected
    cluster.caught_up()


def test_back_and_forth(world, cluster):
    cluster.caught_up()
    by = world.at("AA-TU", "inspector")
    first = by.get(PATH, limit=3).json()
    second = by.get(PATH, limit=3, cursor=first["page"]["next"]).json()
    back = by.get(PATH, limit=3, cursor=second["page"]["prev"]).json()
    assert back["items"] == first["items"] and first["page"]["prev"] is None
    up = audit(by, sort="position", limit="50")
    assert [e["position"] for e in up] == sorted(e["position"] for e in up) and up[::-1] == audit(by)


def test_cursors_are_the_callers_own(world, cluster):
    cursor = world.at("AA-TU", "inspector").get(PATH, limit=1).json()["page"]["next"]
    for by, query in ((world.at("AA-W1", "inspector"), {}), (world.at("AA-TU", "manager"), {}), (world.at("AA-TU", "inspector"), {"action": "update"}),
                      (world.at("AA-TU", "inspector"), {"sort": "position"})):
        answer = by.get(PATH, limit=1, cursor=cursor, **query)
        assert answer.status == 400 and answer.code == "bad_cursor"
    for bad in (cursor[:-2] + "AA", cursor + "A", "x", "..", "0", "9" * 300):
        assert world.at("AA-TU", "inspector").get(PATH, cursor=bad).status == 400


def test_bad_requests(world, caller):
    by = world.at("AA-TU", "inspector")
    for query in ({"position__gte": "x"}, {"position__lt": "-1"}, {"position__lt": "99999999999999999999"}, {"at__gte": "yesterday"}, {"client": "aa"}, {"embed": "all"},
                  {"sort": "at"}, {"zz": "1"}, {"resource_type": "Value"}, {"action": "DROP TABLE"}, {"limit": "0"}, {"resource": ""}):
        assert by.get(PATH, **query).status == 400, query
    assert by.get(PATH, resource="value:a/b").status == 422
    assert by.get(PATH, resource="nonsense").status == 422
    assert by.get(PATH, [("Accept", "application/pdf")]).status == 406
    assert caller(None).get(PATH).status == 401
    assert world.connector().get(PATH).status == 403, "the audit trail is not for clients"


def test_a_large_installation_is_read_in_steps(world, cluster):
    """What many others did does not stand between a ward and its own rows: it is found by the units' index, and a filter that finds
    nothing ends in bounded time."""
    cluster.query("""INSERT INTO journal_seal (position, xid, seq, hash, at, action, resource_type, resource_id, version, scope_key, unit)
        SELECT -n, '1', -n, '', now(), 'noise', 'organization', o.id, 1, o.scope_key, right(o.scope_key, 6)
        FROM generate_series(1, 1000) n, organization o WHERE o.code = 'BB-W1'""")
    try:
        assert all(e["organization"].startswith("AA-W2") for e in audit(world.at("AA-W2", "inspector")))
    finally:
        cluster.query("DELETE FROM journal_seal WHERE position < 0")


def test_what_the_service_does_by_itself_has_no_author(world, cluster):
    cluster.query("""INSERT INTO journal (action, resource_type, resource_id, version, scope_key)
        SELECT 'take_effect', 'organization', id, version, scope_key FROM organization WHERE code = 'AA-W2'""")
    cluster.caught_up()
    event = audit(world.at("AA-W2", "inspector"), action="take_effect")[0]
    assert event["actor"] == {"kind": "system"} and event["by"] == "system" and event["request_id"] is None


def test_export_as_a_spreadsheet(world, figure):
    answer = world.at("AA-W1", "inspector").get(PATH, [("Accept", "text/csv")], resource=figure["ref"], embed="before,after")
    assert answer.header("Content-Disposition") == 'attachment; filename="audit_event_list.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert [(r["action"], r["by"], r["on_behalf"], json.loads(r["after"])["number"]) for r in rows] == [
        ("update", "aa-w1.reporter", "true", 7), ("create", "aa-w1.reporter", "true", 5)]
    assert isinstance(Caller, type)
