"""Imports of activities: three formats, the rules of single writes row by row, and exports that come back as they went."""
import csv
import gzip
import io
import json

import pytest
from harness import campaigns, samples

IMPORTS = "/v1/activities/imports"
COUNTS = ("created", "updated", "unchanged", "deleted", "failed")


@pytest.fixture
def code(world):
    return campaigns.campaign(world)["code"]


@pytest.fixture
def ward(world):
    return world.at("AA-W1", "reporter")


def send(by, body, kind="application/json", headers=(), key=None, **query):
    if kind == "application/json" and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    return by.post(IMPORTS, body, [("Content-Type", kind), ("Idempotency-Key", key or samples.fresh("k")), *headers], **query)


def row(campaign, name="HD-1", unit="AA-W1-C1", **more):
    """A row; what more says is None is left out."""
    body = {"campaign": campaign, "organization": unit, "code": name, "phase": "GD2", "kind": "conference", "title": f"Hội nghị {name}",
            "starts_on": "2026-08-05", **more}
    return {name: value for name, value in body.items() if value is not None}


def held(by, campaign):
    return {(a["organization"], a["code"]): a for a in by.items("/v1/activities", campaign=campaign)}


def counts(answer):
    return tuple(answer.json()[name] for name in COUNTS)


def faults(answer):
    return {(e["row"], e["pointer"], e["code"]) for e in answer.json()["errors"]}


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline="")))


def write_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


# ---- forms ----
def test_rows_create_change_and_leave_alone(ward, code):
    first = send(ward, [row(code), row(code, "HD-2", planned=3, channels=["press", "website"])])
    assert first.status == 200 and counts(first) == (2, 0, 0, 0, 0), first
    again = send(ward, [row(code), row(code, "HD-2", planned=4, channels=["press"]), row(code, "HD-3")])
    assert counts(again) == (1, 1, 1, 0, 0)
    changes = {c["row"]: c for c in again.json()["changes"]}
    assert set(changes) == {2, 3} and changes[3]["old"] is None and changes[3]["new"]["title"] == "Hội nghị HD-3"
    assert (changes[2]["old"], changes[2]["new"]) == ({"planned": 3, "channels": ["press", "website"]}, {"planned": 4, "channels": ["press"]})
    made = held(ward, code)
    assert [made["AA-W1-C1", f"HD-{n}"]["version"] for n in (1, 2, 3)] == [1, 2, 1]
    assert made["AA-W1-C1", "HD-1"]["ends_on"] == "2026-08-05", "what has no last day ends on its first"


def test_an_imported_activity_is_one_that_was_posted(world, ward, code):
    more = {"topic": "CD1", "planned": 3, "done": 2, "status": "done", "done_on": "2026-08-06", "ends_on": "2026-08-06", "contacts_planned": 50, "contacts_reached": 48,
            "channels": ["press", "social_media"], "evidence_url": "https://angiang.example/tin/1", "note": "Tốt"}
    posted = world.must(ward.post("/v1/activities", row(code, "A", **more)))
    assert counts(send(ward, [row(code, "B", **more)])) == (1, 0, 0, 0, 0)
    made = held(ward, code)["AA-W1-C1", "B"]
    moving = ("id", "code", "title", "created_at", "updated_at")
    assert {k: v for k, v in made.items() if k not in moving} == {k: v for k, v in posted.items() if k not in moving}
    single = world.must(ward.patch(f"/v1/activities/{posted['id']}", {"title": "Hội nghị B", "note": None}, '"1"'), 200)
    assert counts(send(ward, [row(code, "B", **{**more, "note": None})])) == (0, 1, 0, 0, 0)
    made = held(ward, code)["AA-W1-C1", "B"]
    assert {k: v for k, v in made.items() if k not in moving} == {k: v for k, v in single.items() if k not in moving}


def test_the_journal_tells_of_rows_as_of_single_writes(world, ward, code):
    auditor = world.at("AA-TU", "inspector")
    posted = world.must(ward.post("/v1/activities", row(code, "A")))
    world.must(ward.patch(f"/v1/activities/{posted['id']}", {"planned": 7}, '"1"'), 200)
    assert ward.request("DELETE", f"/v1/activities/{posted['id']}", None, [("If-Match", '"2"')]).status == 204
    send(ward, [row(code, "B")])
    made = held(ward, code)["AA-W1-C1", "B"]
    send(ward, [row(code, "B", planned=7)])
    assert counts(send(ward, [row(code, "B")], strategy="delete")) == (0, 0, 0, 1, 0)

    def told(activity):
        events = auditor.get("/v1/audit-events", resource=f"activity:{activity}", embed="before,after").json()["items"]
        return sorted(((e["action"], e["version"], e["before"], e["after"]) for e in events), key=lambda e: e[1])

    single, rows = told(posted["id"]), told(made["id"])
    assert [e[:2] for e in rows] == [("create", 1), ("update", 2), ("delete", 3)] == [e[:2] for e in single]
    assert rows[0][3] == made
    moving = ("id", "code", "title", "created_at", "updated_at")
    for one, other in zip(single, rows):
        for image, its in zip(one[2:], other[2:]):
            assert (image is None) == (its is None)
            assert image is None or {k: v for k, v in image.items() if k not in moving} == {k: v for k, v in its.items() if k not in moving}


def test_ndjson_and_csv_and_gzip(ward, code):
    text = "\ufeff" + json.dumps(row(code)) + "\n\n" + json.dumps(row(code, "HD-2")) + "\r\n{broken\n"
    answer = send(ward, gzip.compress(text.encode()), "application/x-ndjson", [("Content-Encoding", "gzip")], mode="partial")
    assert counts(answer) == (2, 0, 0, 0, 1) and answer.json()["errors"][0]["line"] == 4
    text = ("\ufeffcampaign;organization;code;phase;kind;title;starts_on;status;done;done_on;channels\r\n"
            f"{code};AA-W1-C1;HD-3;GD2;seminar;\"Tọa đàm; buổi 3\";05/08/2026;done;1;06/08/2026;\"[\"\"press\"\"]\"\r\n")
    assert counts(send(ward, text, "text/csv", delimiter=";", date_format="dd/mm/yyyy")) == (1, 0, 0, 0, 0)
    made = held(ward, code)["AA-W1-C1", "HD-3"]
    assert (made["title"], made["starts_on"], made["done_on"], made["channels"]) == ("Tọa đàm; buổi 3", "2026-08-05", "2026-08-06", ["press"])


@pytest.mark.parametrize("cell", ["press", " press ", "press, website", "press;website", "press website\n", '["press"]', '["press","website"]'])
def test_channels_of_a_csv_are_codes_or_a_json_array(ward, code, cell):
    assert counts(send(ward, write_csv([{**row(code), "channels": cell}]), "text/csv")) == (1, 0, 0, 0, 0)
    assert held(ward, code)["AA-W1-C1", "HD-1"]["channels"] == ["press", "website"][:1 + ("website" in cell)]


@pytest.mark.parametrize("cell", ["press, khong_co", "PRESS"])
def test_channels_of_a_csv_are_of_the_list(ward, code, cell):
    assert faults(send(ward, write_csv([{**row(code), "channels": cell}]), "text/csv")) == {(1, "#/channels", "unknown_reference")}


@pytest.mark.parametrize("cell", ["press, press", '["press"', '{"a":1}', "[1]", '["press","press"]', "null", '"press"', '["\\u0000"]', "[" * 20000, "[" * 9000,
                                  "[1e400000]", "[" * 9000 + "]" * 9000, ","])
def test_other_channels_of_a_csv_are_none(ward, code, cell):
    text = write_csv([{**row(code), "channels": cell}])
    answer = send(ward, text, "text/csv")
    assert answer.status == 422 and faults(answer) == {(1, "#/channels", "array")}, answer


@pytest.mark.parametrize("text,kind", [
    ("campaign;organization\r\nx;y\r\n", "text/csv"), ("", "text/csv"), ("campaign,title\r\n", "text/csv"), ("campaign,organization,who\r\n", "text/csv"),
    ("{}", "application/json"), ("[1", "application/json"), ("[1, 2]", "application/json")])
def test_bodies_that_cannot_be_read(ward, text, kind):
    assert send(ward, text, kind).status in (400, 422)


def test_the_key_is_required_and_replays(ward, code):
    assert ward.post(IMPORTS, json.dumps([row(code)]), [("Content-Type", "application/json")]).status == 400
    key = samples.fresh("k")
    first = send(ward, [row(code)], key=key)
    again = send(ward, [row(code)], key=key)
    assert again.header("Idempotency-Replayed") == "true" and again.json() == first.json()
    assert send(ward, [row(code, planned=2)], key=key).status == 422
    assert len(held(ward, code)) == 1


# ---- rules ----
def test_every_rule_of_a_single_write_holds_for_rows(world, ward, code):
    """The same bodies, one by one and as rows: refused by the same faults."""
    wrong = [{"phase": "NO"}, {"kind": "no_such_kind"}, {"phase": "GD1", "kind": "training", "starts_on": "2026-05-05"}, {"topic": "NO"}, {"starts_on": "2026-05-05"},
             {"starts_on": "2029-01-01"}, {"ends_on": "2029-01-01"}, {"ends_on": "2026-08-01"}, {"status": "done"}, {"status": "done", "done": 1, "done_on": "2026-08-01"},
             {"status": "done", "done": 1, "done_on": "2099-01-01"}, {"done_on": "2026-08-06"}, {"done": 1}, {"status": "postponed"}, {"status": "cancelled"},
             {"status": "cancelled", "reason": "Bão", "done": 1}, {"channels": ["no_such_channel"]}, {"evidence_url": "ftp://x/y"}, {"evidence_url": "https://x/\u200by"}, {"title": "x" * 501}, {"note": "x" * 2001},
             {"planned": -1}, {"planned": 1000001}, {"contacts_reached": 100000001}, {"contacts_planned": -1}, {"code": "x" * 65}, {"classification": "secret"},
             {"organization": "NO-SUCH"}, {"organization": "BB-W1"}, {"organization": "AA-W1-OLD"}, {"organization": "AA-OLD"}]
    manager = world.at("AA-TU", "manager")
    rows = [{**row(code, f"HD-{n}"), **body} for n, body in enumerate(wrong)]
    told = {}
    for fault in send(manager, rows).json()["errors"]:
        told.setdefault(fault["row"], set()).add((fault["pointer"], fault["code"], fault["detail"]))
    for n, body in enumerate(rows, 1):
        answer = manager.post("/v1/activities", body)
        assert answer.status == 422, (body, answer)
        assert told.get(n) == {(e["pointer"], e["code"], e["detail"]) for e in answer.json()["errors"]}, body
    assert held(manager, code) == {}


def test_what_a_single_write_takes_rows_take(world, ward, code):
    right = [{"phase": "GD1", "starts_on": "2025-01-02", "ends_on": "2026-06-30"}, {"status": "done", "done": 1}, {"status": "under_way", "done": 2},
             {"status": "cancelled", "reason": "Bão"}, {"status": "done", "done": 1, "ends_on": "2026-08-09", "done_on": "2026-08-07"}, {"planned": 0},
             {"ends_on": "2028-12-31"}, {"topic": "CD2"}, {"contacts_reached": 0}, {"unit": "AA-W1"}, {"unit": "AA-W1-XD"}]
    answer = send(ward, [row(code, f"HD-{n}", **body) for n, body in enumerate(right)])
    assert answer.status == 200 and counts(answer) == (len(right), 0, 0, 0, 0), answer
    made = held(ward, code)
    assert made["AA-W1-C1", "HD-1"]["done_on"] is not None, "done today, where no day is said"
    assert counts(send(ward, [row(code, f"HD-{n}", **body) for n, body in enumerate(right)])) == (0, 0, len(right), 0, 0), "the day it was done on stays"


def test_what_an_activity_has_already_is_not_asked_about_again(world, ward, code):
    manager = world.at("AA-TU", "manager")
    kind = campaigns.term(world, "activity_kind")
    channel = campaigns.term(world, "channel")
    mine = {"kind": kind["code"], "channels": [channel["code"]]}
    assert counts(send(ward, [row(code, **mine)])) == (1, 0, 0, 0, 0)
    for made in (kind, channel):
        world.must(manager.patch(f"/v1/campaign-terms/{made['id']}", {"active": False}, f'"{made["version"]}"'), 200)
    assert counts(send(ward, [row(code, planned=5, **mine)])) == (0, 1, 0, 0, 0)
    answer = send(ward, [row(code, "HD-2", **mine)])
    assert faults(answer) == {(1, "#/kind", "unknown_reference"), (1, "#/channels", "unknown_reference")}


def test_who_enters_for_whom(world, code):
    own = campaigns.campaign(world, entered_by="self")["code"]
    cell, other, mandated = (world.at(*who) for who in (("AA-W1-C1", "reporter"), ("AA-W2", "reporter"), ("AA-BTG", "reporter")))
    assert counts(send(cell, [row(code, "C")])) == (1, 0, 0, 0, 0)
    assert faults(send(cell, [row(code, "C", unit="AA-W1")])) == {(1, "#/organization", "unknown_reference")}, "a unit out of sight"
    assert faults(send(other, [row(code, "C")])) == {(1, "#/organization", "unknown_reference")}
    assert counts(send(mandated, [row(code, "M"), row(own, "M")])) == (2, 0, 0, 0, 0)
    ward = world.at("AA-W1", "reporter")
    answer = send(ward, [row(code, "W"), row(own, "W"), row(own, "W", unit="AA-W1")], mode="partial")
    assert counts(answer) == (2, 0, 0, 0, 1) and faults(answer) == {(2, "#/organization", "forbidden")}
    made = held(ward, code)["AA-W1-C1", "W"]
    assert made["on_behalf"] is True and made["entered_by"] == "AA-W1"
    for role in ("viewer", "administrator", "inspector"):
        assert send(world.at("AA-W1", role), [row(code, "V")]).status == 403


def test_nothing_is_taken_by_a_campaign_that_is_not_active(world, ward):
    manager = world.at("AA-TU", "manager")
    made = campaigns.campaign(world)
    assert counts(send(ward, [row(made["code"])])) == (1, 0, 0, 0, 0)
    world.must(manager.patch(f"/v1/campaigns/{made['code']}", {"status": "closed"}, '"1"'), 200)
    for strategy in ("upsert", "delete"):
        answer = send(ward, [row(made["code"], planned=2)], strategy=strategy)
        assert answer.status == 422 and faults(answer) == {(1, "#/campaign", "campaign_not_active")}
    draft = campaigns.campaign(world, status="draft")["code"]
    assert faults(send(ward, [row(draft)])) == {(1, "#/campaign", "unknown_reference")}, "a draft is not seen below"


def test_rows_out_of_scope_read_like_nonexistent_ones(world, ward, code):
    hidden = world.at("AA-TU", "manager").get("/v1/organizations/AA-W2-C1").json()["id"]
    for units, extra in ((["AA-W2-C1", "BB-W1", "NO-SUCH"], {}), ([hidden, "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02"], {"organization_scheme": "id"})):
        errors = send(ward, [row(code, unit=unit) for unit in units], mode="partial", **extra).json()["errors"]
        assert len(errors) == len(units) and len({(e["pointer"], e["code"], e["detail"]) for e in errors}) == 1, errors
    foreign = campaigns.campaign(world, root="BB")["code"]
    assert faults(send(ward, [row(foreign), row("NO-SUCH")])) == {(n, "#/campaign", "unknown_reference") for n in (1, 2)}


def test_every_fault_of_a_row_is_told_and_names_besides(ward, code):
    answer = send(ward, [{**row(code, phase="NO", kind="none", title=None, planned=-1), "zz": 1}])
    assert {e["pointer"] for e in answer.json()["errors"]} >= {"#/planned", "#/zz", "#/phase"}
    answer = send(ward, [row(code, phase="NO", kind="none", title=None, status="postponed")])
    assert faults(answer) == {(1, "#/phase", "unknown_reference"), (1, "#/kind", "unknown_reference"), (1, "#/title", "required"), (1, "#/reason", "required")}
    assert all(e["detail"] for e in answer.json()["errors"])


def test_faults_are_told_in_vietnamese(ward, code):
    answer = send(ward, [row(code), row(code), row(code, "HD-2", kind="none", channels=["none"]), row(code, "HD-3", status="postponed")], headers=[("Accept-Language", "vi")])
    assert {(e["pointer"], e["detail"]) for e in answer.json()["errors"]} >= {("#", "đã có dòng ở trên cho chính hoạt động này")}
    assert all(any(c in e["detail"] for c in "ạảãàáâậầấẩẫăắằặẳẵóòọõỏôộổỗồốơờớợởỡéèẻẹẽêếềệểễúùụủũưựữửừứíìịỉĩýỳỷỵỹđ") for e in answer.json()["errors"]), answer.json()["errors"]


def test_units_by_identifier_on_the_first_day(world, ward, code):
    aa = world.at("AA-TU", "manager")
    made = samples.fresh("AA-T")
    world.unit(aa, made, "Chi bộ mã", "party_cell", "AA-W1", area_code="26072", identifiers=[{"scheme": "electronic_identifier", "value": f"H19.{made}"}])
    assert counts(send(ward, [row(code, unit=f"H19.{made}")], organization_scheme="electronic_identifier")) == (1, 0, 0, 0, 0)
    assert (made, "HD-1") in held(ward, code)
    answer = send(ward, [row(code, unit="H19.NO")], organization_scheme="electronic_identifier")
    assert faults(answer) == {(1, "#/organization", "unknown_reference")}


# ---- which activity is meant ----
def test_strategies(ward, code):
    send(ward, [row(code)])
    assert counts(send(ward, [row(code, planned=2), row(code, "HD-2")], strategy="create", mode="partial")) == (1, 0, 0, 0, 1)
    assert counts(send(ward, [row(code, planned=2), row(code, "HD-3")], strategy="update", mode="partial")) == (0, 1, 0, 0, 1)
    bare = [{"campaign": code, "organization": "AA-W1-C1", "code": name} for name in ("HD-1", "HD-4")]
    gone = send(ward, bare, strategy="delete", mode="partial")
    assert counts(gone) == (0, 0, 0, 1, 1) and faults(gone) == {(2, "#", "not_found")}
    assert gone.json()["changes"][0]["old"]["planned"] == 2 and gone.json()["changes"][0]["new"] is None
    assert set(held(ward, code)) == {("AA-W1-C1", "HD-2")}


def test_codes_are_a_units_own(ward, code):
    assert counts(send(ward, [row(code), row(code, unit="AA-W1-C2"), row(code, unit="AA-W1")])) == (3, 0, 0, 0, 0)
    assert counts(send(ward, [row(code, unit="AA-W1-C2", planned=9)])) == (0, 1, 0, 0, 0)
    assert {key: a["planned"] for key, a in held(ward, code).items()} == {("AA-W1-C1", "HD-1"): 1, ("AA-W1-C2", "HD-1"): 9, ("AA-W1", "HD-1"): 1}


def test_rows_without_a_code_are_new_but_for_those_with_an_id(world, ward, code):
    bare = row(code, None, title="Không mã")
    assert counts(send(ward, [bare, bare])) == (2, 0, 0, 0, 0)
    assert counts(send(ward, [bare])) == (1, 0, 0, 0, 0)
    made = ward.items("/v1/activities", campaign=code)[0]
    assert counts(send(ward, [{**bare, "id": made["id"], "planned": 6}])) == (0, 1, 0, 0, 0)
    assert ward.get(f"/v1/activities/{made['id']}").json()["planned"] == 6
    assert faults(send(ward, [{**bare, "id": made["id"]}, {**bare, "id": made["id"]}])) == {(2, "#", "repeated")}
    astray = send(ward, [{**bare, "id": made["id"], "organization": "AA-W1-C2"}])
    assert faults(astray) == {(1, "#/id", "other_activity")}
    send(ward, [row(code, "HD-9")])
    named = held(ward, code)["AA-W1-C1", "HD-9"]
    assert faults(send(ward, [row(code, "HD-9", planned=3), {**bare, "id": named["id"]}])) == {(2, "#", "repeated")}
    hidden = world.must(world.at("AA-W2", "reporter").post("/v1/activities", row(code, "X", unit="AA-W2-C1")))
    assert faults(send(ward, [{**bare, "id": hidden["id"]}], strategy="update")) == {(1, "#", "not_found")}, "out of sight"


def test_the_same_activity_twice_is_a_row_error(ward, code):
    answer = send(ward, [row(code), row(code, planned=2)])
    assert answer.status == 422 and faults(answer) == {(2, "#", "repeated")}


def test_versions(ward, code):
    send(ward, [row(code)])
    assert counts(send(ward, [row(code, planned=2, version=1)])) == (0, 1, 0, 0, 0)
    stale = send(ward, [row(code, planned=3, version=1)])
    assert stale.status == 422 and faults(stale) == {(1, "#/version", "version_conflict")}
    assert send(ward, [row(code, "HD-2", version=1)]).status == 422
    blank = send(ward, [{**row(code, planned=4), "version": None}])
    assert faults(blank) == {(1, "#/version", "version_conflict")}, "null says that there is none yet"
    assert counts(send(ward, [row(code, version=1)], strategy="delete", mode="partial"))[3:] == (0, 1)
    assert counts(send(ward, [row(code, version=2)], strategy="delete"))[3:] == (1, 0)


def test_atomic_keeps_nothing_and_a_dry_run_tells_what_would_be(ward, code):
    send(ward, [row(code)])
    rows = [row(code, planned=2), row(code, "HD-2"), row(code, "HD-3", phase="NO")]
    refused = send(ward, rows)
    assert refused.status == 422 and refused.code == "import_refused" and counts(refused) == (0, 0, 0, 0, 1) and refused.json()["changes"] == []
    dry = send(ward, rows, mode="partial", dry_run="true")
    assert counts(dry) == (1, 1, 0, 0, 1) and dry.json()["dry_run"] is True and held(ward, code)["AA-W1-C1", "HD-1"]["planned"] == 1
    real = send(ward, rows, mode="partial")
    assert {**real.json(), "dry_run": True} == dry.json() and len(held(ward, code)) == 2


def test_what_a_row_leaves_out_is_empty_and_what_is_proposed_stays(world, ward, code):
    made = world.must(ward.post("/v1/activities", row(code, unit="AA-W1", note="ghi", topic="CD1", proposes={"indicator": "AA-SUM", "period": "2026-Q3", "number": 5})))
    assert counts(send(ward, [row(code, unit="AA-W1")])) == (0, 1, 0, 0, 0)
    now = ward.get(f"/v1/activities/{made['id']}").json()
    assert (now["note"], now["topic"]) == (None, None) and now["proposal"] == made["proposal"]
    assert counts(send(ward, [row(code, unit="AA-W1")], strategy="delete")) == (0, 0, 0, 1, 0)
    assert ward.get(f"/v1/activities/{made['id']}").status == 404


# ---- there and back ----
def fill(world, by, code):
    """Of every sort: with and without codes, done, postponed, with lists, quotes and lines, by whom it is entered too."""
    rows = [row(code, "HD-1", status="done", done=3, done_on="2026-08-07", channels=["press", "website"], contacts_reached=12, note='hai\ndòng, "x"'),
            row(code, "HD-2", unit="AA-W1", status="postponed", reason="Mưa bão", topic="CD2", evidence_url="https://a.example/?x=1,2"),
            row(code, None, unit="AA-W1-C2", title="=1+1 không mã", planned=0), row(code, "-3", phase="GD1", starts_on="2025-02-28", ends_on="2026-06-30")]
    assert counts(send(by, rows)) == (4, 0, 0, 0, 0)
    world.must(by.post("/v1/activities", row(code, "HD-5", unit="AA-W1", proposes={"indicator": "AA-SUM", "period": "2026-Q3", "number": 5})))


@pytest.mark.parametrize("kind,habits", [("text/csv", {}), ("text/csv", {"delimiter": ";"}), ("application/x-ndjson", {}), ("application/json", {})], ids=str)
def test_an_export_comes_back_as_it_went(world, ward, code, kind, habits):
    fill(world, ward, code)
    before = held(ward, code)
    if kind == "application/json":
        body = json.dumps(ward.items("/v1/activities", campaign=code))
    else:
        body = ward.get("/v1/activities", [("Accept", kind)], campaign=code, **habits).body
    back = send(ward, body, kind, **habits)
    assert back.status == 200 and counts(back) == (0, 0, len(before), 0, 0), back
    assert held(ward, code) == before


@pytest.mark.parametrize("kind", ["text/csv", "application/x-ndjson"])
def test_an_export_fills_an_empty_place(world, ward, code, kind):
    """Exported, taken away and imported again: all is there as it was, but for what is the service's own."""
    fill(world, ward, code)
    own = ("id", "version", "created_at", "updated_at", "on_behalf", "entered_by", "proposal")
    before = {a["title"]: {k: v for k, v in a.items() if k not in own} for a in held(ward, code).values()}
    body = ward.get("/v1/activities", [("Accept", kind)], campaign=code).text
    assert counts(send(ward, body, kind, strategy="delete")) == (0, 0, 0, len(before), 0) and held(ward, code) == {}
    if kind == "text/csv":
        rows = [{k: v for k, v in r.items() if k != "version"} for r in read_csv(body)]
        body = write_csv(rows)
    else:
        body = "".join(json.dumps({k: v for k, v in json.loads(line).items() if k != "version"}) + "\n" for line in body.splitlines())
    assert counts(send(ward, body, kind)) == (len(before), 0, 0, 0, 0)
    assert {a["title"]: {k: v for k, v in a.items() if k not in own} for a in held(ward, code).values()} == before


# ---- many ----
def test_many_rows_and_the_sums_they_leave(world, ward, code, cluster):
    rows = [row(code, f"N-{n}", unit=f"AA-W1-C{n % 4 + 1}", kind=campaigns.KINDS[n % 5], planned=n % 3, **({"status": "done", "done": 2} if n % 2 else {})) for n in range(3000)]
    assert counts(send(ward, rows)) == (3000, 0, 0, 0, 0)
    half = [{**r, "planned": 5} for r in rows[:1000]]
    assert counts(send(ward, half)) == (0, 1000, 0, 0, 0)
    assert counts(send(ward, rows[2000:], strategy="delete")) == (0, 0, 0, 1000, 0)
    assert cluster.query("SELECT count(*) FROM activity_recount()") == [(0,)]
    assert cluster.query("""SELECT sum(x.planned)::int, sum(x.n_done)::int FROM (SELECT * FROM activity_sum UNION ALL SELECT * FROM activity_delta) x
        JOIN campaign c ON c.id = x.campaign_id WHERE c.code = %s""", [code]) == [(5000 + sum(n % 3 for n in range(1000, 2000)), 1000)]


def test_the_first_thousand_errors_and_changes_are_listed_and_all_are_counted(ward, code):
    answer = send(ward, [row(code, f"N-{n}", phase="NO") for n in range(1200)])
    body = answer.json()
    assert answer.status == 422 and body["failed"] == 1200 and len(body["errors"]) == 1000 and body["errors_truncated"] is True
    body = send(ward, [row(code, f"N-{n}") for n in range(1200)], dry_run="true").json()
    assert body["created"] == 1200 and len(body["changes"]) == 1000 and body["changes_truncated"] is True
