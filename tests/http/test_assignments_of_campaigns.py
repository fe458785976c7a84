"""What units are to do in a campaign: set from above, planned and adjusted by themselves, copied down, and how much of it is done."""
import time
from datetime import date, timedelta

import pytest
from harness import activities, campaigns, samples
from harness.world import CELL, WARD

WARDS, CELLS = ["AA-W1", "AA-W2"], [f"AA-W1-C{n}" for n in range(1, 5)]


@pytest.fixture
def code(world):
    """A campaign of its own for each test."""
    return campaigns.campaign(world)["code"]


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def path(code, *rest):
    return "/".join([f"/v1/campaigns/{code}/assignments", *rest])


def wish(**more):
    body = {"phase": "GD2", "kind": "conference", "quantity": 4, "due_on": "2026-09-30", "organizations": ["AA-W1"], **more}
    return {name: value for name, value in body.items() if value is not None}


def given(world, by, code, *rest, **more):
    """Sets, or plans, or copies down; the answer."""
    return world.must(by.post(path(code, *rest), more), 200)


def rows(by, code, **filters):
    return by.items(path(code), **filters)


def one(by, code, **filters):
    found = rows(by, code, **filters)
    assert len(found) == 1, found
    return found[0]


def patch(by, code, row, body, tag="*"):
    return by.patch(path(code, row["id"]), body, tag)


def anew(by, code, row, tag="*", **body):
    """Sets one assignment anew; what is not said is as it was set."""
    return by.put(path(code, row["id"], "setting"), {"quantity": row["set_quantity"], "due_on": row["set_due_on"], **body}, [("If-Match", tag)] if tag else [])


def faults(answer):
    return {(e.get("pointer") or e.get("parameter"), e["code"]) for e in answer.json()["errors"]}


# ---- setting ---------------------------------------------------------------------------------------------------
def test_setting_one_unit_one_day(world, aa, code):
    made = given(world, aa, code, **wish(note="Theo kế hoạch quý III"))
    assert {k: made[k] for k in ("dry_run", "created", "replaced", "removed", "unchanged", "skipped", "units", "quantity")} == {
        "dry_run": False, "created": 1, "replaced": 0, "removed": 0, "unchanged": 0, "skipped": 0, "units": 1, "quantity": 4}
    assert made["items"] == [{"phase": "GD2", "organization": "AA-W1", "kind": "conference", "every": None, "starts_on": None, "due_on": "2026-09-30",
                              "change": "created", "old": None,
                              "new": {"set_quantity": 4, "quantity": 4, "set_by": "AA-TU", "note": "Theo kế hoạch quý III"}}]
    row = one(aa, code)
    single = world.must(aa.get(path(code, row["id"])), 200)
    assert {k: v for k, v in single.items() if k not in ("created_at", "updated_at")} == row
    assert {k: v for k, v in row.items() if k != "id"} == {
        "campaign": code, "phase": "GD2", "organization": "AA-W1", "organization_name": "Đảng ủy phường Hòa Bình", "kind": "conference",
        "kind_name": row["kind_name"], "every": None, "starts_on": None, "quantity": 4, "due_on": "2026-09-30", "set_quantity": 4, "set_due_on": "2026-09-30",
        "reason": None, "note": "Theo kế hoạch quý III", "set_by": "AA-TU", "own": False, "done": 0, "late": row["late"], "version": 1}
    assert row["kind_name"] == {t["code"]: t["name"] for t in aa.items("/v1/campaign-terms", list="activity_kind")}["conference"]


def test_a_dry_run_answers_the_same_and_writes_nothing(world, aa, code):
    for body in (wish(organizations=None, under="AA-TU", kinds=[WARD, CELL]), wish(quantity=6, strategy="replace", under="AA-W1"),
                 wish(quantity=7, strategy="skip", under="AA-TU")):
        before = rows(aa, code)
        tried = given(world, aa, code, **body, dry_run=True)
        assert rows(aa, code) == before
        assert given(world, aa, code, **body) == {**tried, "dry_run": False}
        assert tried["created"] + tried["replaced"] + tried["skipped"] == len(tried["items"]) > 0


def test_units_by_kind_and_subtree(world, aa, code):
    def units(**more):
        made = given(world, aa, code, dry_run=True, **wish(**{"organizations": None, **more}))
        return [item["organization"] for item in made["items"]]
    assert sorted(units(under="AA-TU", kinds=[WARD])) == WARDS
    assert sorted(units(under="AA-TU", kinds=[WARD], organizations=["AA-W1-C1"])) == ["AA-W1", "AA-W1-C1", "AA-W2"]
    assert sorted(units(under="AA-W1", kinds=[CELL])) == CELLS, "the cell that ended before the day is not there"
    assert sorted(units(under="AA-TU", kinds=[WARD, CELL], **{"except": ["AA-W2", "AA-W1-C4"]})) == sorted(["AA-W1", *CELLS[:3], "AA-W2-C1", "AA-W2-C2"])
    assert "AA-W1" not in units(under="AA-W1"), "below it: a unit itself is named"
    order = units(under="AA-TU")
    tree = [o["code"] for o in aa.items("/v1/organizations")]
    assert order == [c for c in tree if c in order], "in the order of the tree"


def test_attached_units_only_where_they_or_their_kind_are_named(world, aa, code):
    world.unit(aa, "AA-W2-BCD", "Ban Chỉ đạo xã Đại Phước", "steering_committee", "AA-W2", attached=True)

    def units(**more):
        return {i["organization"] for i in given(world, aa, code, dry_run=True, **wish(**{"organizations": None, **more}))["items"]}
    assert "AA-W2-BCD" not in units(under="AA-W2")
    assert "AA-W2-BCD" in units(under="AA-W2", kinds=["steering_committee"])
    assert "AA-W2-BCD" in units(under="AA-W1", organizations=["AA-W2-BCD"])


def test_a_kind_is_that_of_the_day(world, aa, code):
    old = wish(phase="GD1", organizations=None, under="AA-TU", kinds=["district_party_committee"])
    assert [i["organization"] for i in given(world, aa, code, dry_run=True, **{**old, "due_on": "2025-05-31"})["items"]] == ["AA-OLD"]
    answer = aa.post(path(code), {**old, "due_on": "2025-07-31"})
    assert answer.status == 422 and faults(answer) == {("#/under", "nothing_there")}


def test_weeks_are_iso_weeks_cut_off_at_both_ends(world, aa, code):
    given(world, aa, code, **wish(due_on=None, every="week", **{"from": "2026-07-01", "to": "2026-07-21"}))
    assert [(r["starts_on"], r["due_on"], r["every"]) for r in rows(aa, code)] == [
        ("2026-07-01", "2026-07-05", "week"), ("2026-07-06", "2026-07-12", "week"), ("2026-07-13", "2026-07-19", "week"), ("2026-07-20", "2026-07-21", "week")]


def test_months_and_quarters_to_the_end_of_the_phase(world, aa, code):
    made = given(world, aa, code, **wish(due_on=None, every="month"))
    days = [r["due_on"] for r in rows(aa, code)]
    assert made["overdue"] == 4, "of the months that are over"
    assert made["created"] == 30 and days[:3] == ["2026-07-31", "2026-08-31", "2026-09-30"] and days[-1] == "2028-12-31"
    assert all((date.fromisoformat(d) + timedelta(1)).day == 1 for d in days)
    made = given(world, aa, code, **wish(kind="seminar", due_on=None, every="quarter", **{"from": "2026-08-15"}))
    quarters = rows(aa, code, kind="seminar")
    assert (quarters[0]["starts_on"], quarters[0]["due_on"], made["created"]) == ("2026-08-15", "2026-09-30", 10)


def test_every_fault_is_told_at_once(world, aa, code):
    answer = aa.post(path(code), {"phase": "GD9", "kind": "no_such_kind", "quantity": 1, "due_on": "2026-09-30", "from": "2026-08-01", "organizations": ["BB-W1", "AA-W1", "AA-W1"],
                                  "kinds": ["no_such"], "except": ["NO-SUCH"]})
    assert answer.status == 422
    assert faults(answer) == {("#/phase", "unknown_reference"), ("#/kind", "unknown_reference"), ("#/from", "not_expected"),
                              ("#/organizations/0", "unknown_reference"), ("#/organizations/2", "repeated"), ("#/kinds/0", "unknown_reference"),
                              ("#/except/0", "unknown_reference"), ("#/under", "required")}


@pytest.mark.parametrize("change,fault", [
    ({"due_on": "2026-06-30"}, ("#/due_on", "out_of_range")), ({"due_on": "2029-01-01"}, ("#/due_on", "out_of_range")),
    ({"due_on": None}, ("#/due_on", "one_of")), ({"every": "week"}, ("#/due_on", "one_of")),
    ({"due_on": None, "every": "week", "from": "2026-06-01"}, ("#/from", "out_of_range")),
    ({"due_on": None, "every": "week", "from": "2026-09-01", "to": "2026-08-01"}, ("#/to", "ends_before_start")),
    ({"to": "2026-08-01"}, ("#/to", "not_expected")),
    ({"phase": "GD1", "due_on": None, "every": "month"}, ("#/from", "required")),
    ({"phase": "GD1", "due_on": "2026-05-31", "kind": "study_session"}, ("#/kind", "not_in_phase")),
    ({"organizations": None}, ("#/organizations", "required")), ({"organizations": []}, ("#/organizations", "required")),
    ({"except": ["AA-W1"]}, ("#/except", "contradiction")), ({"organizations": ["AA-W1-OLD"]}, ("#/organizations/0", "not_there")),
    ({"under": "NO-SUCH"}, ("#/under", "unknown_reference")), ({"quantity": 0}, ("#/quantity", "too_small")), ({"quantity": 1000001}, ("#/quantity", "too_large")),
    ({"strategy": "upsert"}, ("#/strategy", "enum")), ({"zz": 1}, ("#/zz", "unknown_field")),
])
def test_what_setting_needs(aa, code, change, fault):
    answer = aa.post(path(code), wish(**change))
    assert answer.status == 422 and fault in faults(answer), answer


def test_a_campaign_reaches_no_further_than_its_scope(world, aa):
    small = campaigns.campaign(world, owner="AA-W1", scope="AA-W1")["code"]
    answer = aa.post(path(small), wish(organizations=["AA-W2"]))
    assert answer.status == 422 and faults(answer) == {("#/organizations/0", "outside_scope")}
    answer = aa.post(path(small), wish(organizations=None, under="AA-TU"))
    assert answer.status == 422 and faults(answer) == {("#/under", "outside_scope")}
    assert given(world, aa, small, dry_run=True, **wish(under="AA-W1"))["units"] > 4


@pytest.mark.parametrize("rest,who,body", [([], "manager", wish()), (["own"], "reporter", wish(organizations=None)), (["copy-down"], "manager", {"share": "each"})])
def test_nothing_is_set_in_a_campaign_that_is_not_active(world, aa, code, rest, who, body):
    given(world, aa, code, **wish())
    world.must(aa.patch(f"/v1/campaigns/{code}", {"status": "closed"}, "*"), 200)
    answer = world.at("AA-W1", who).post(path(code, *rest), body)
    assert answer.status == 409 and answer.code == "campaign_not_active"
    row = one(aa, code)
    for answer in (patch(world.at("AA-W1", "reporter"), code, row, {"quantity": 1, "reason": "x"}), anew(aa, code, row, quantity=1),
                   aa.request("DELETE", path(code, row["id"]), None, [("If-Match", "*")])):
        assert answer.status == 409 and answer.code == "campaign_not_active"
    assert one(aa, code) == row


# ---- what is there already ---------------------------------------------------------------------------------------
def test_the_same_again_is_unchanged(world, aa, code):
    given(world, aa, code, **wish(under="AA-TU", kinds=[CELL]))
    for strategy in ("create", "skip", "replace"):
        again = given(world, aa, code, **wish(under="AA-TU", kinds=[CELL], strategy=strategy))
        assert (again["created"], again["replaced"], again["skipped"], again["unchanged"], again["items"]) == (0, 0, 0, 7, [])
    assert {r["version"] for r in rows(aa, code)} == {1}


def test_create_refuses_the_whole_and_names_the_units(world, aa, code):
    given(world, aa, code, **wish())
    answer = aa.post(path(code), wish(quantity=5, organizations=["AA-W1", "AA-W2"]))
    assert answer.status == 409 and answer.code == "already_exists"
    called = one(aa, code)["kind_name"]
    assert [e["detail"] for e in answer.json()["errors"]] == [f"AA-W1 already has {called} due on 2026-09-30, set by AA-TU"]
    assert [(r["organization"], r["quantity"]) for r in rows(aa, code)] == [("AA-W1", 4)]


def test_a_clash_says_in_vietnamese_what_is_there_and_whose(world, aa, code):
    def says(by, *rest, **body):
        answer = by.post(path(code, *rest), body, [("Accept-Language", "vi")])
        assert answer.status == 409 and answer.code == "already_exists"
        return answer.json()["errors"][0]["detail"]
    given(world, aa, code, **wish())
    me = world.at("AA-W1", "reporter")
    called = one(aa, code)["kind_name"]
    assert called != "conference"
    assert says(aa, **wish(quantity=5)) == f"AA-W1 đã được giao nhiệm vụ {called} với hạn 30/09/2026, do AA-TU giao"
    assert says(me, "own", phase="GD2", kind="conference", quantity=4, due_on="2026-09-30").endswith("do AA-TU giao: hãy điều chỉnh nhiệm vụ đó")
    given(world, me, code, "own", phase="GD2", kind="seminar", quantity=4, due_on="2026-09-30")
    called = one(aa, code, kind="seminar")["kind_name"]
    for by, rest, body in ((me, ["own"], dict(phase="GD2", kind="seminar", quantity=1, due_on="2026-09-30")), (aa, [], wish(kind="seminar"))):
        assert says(by, *rest, **body) == f"AA-W1 đã tự đề ra kế hoạch {called} với hạn 30/09/2026"


def test_what_is_due_every_week_and_every_month_meets_where_both_end(world, aa, code):
    """On Sunday 31 January 2027."""
    given(world, aa, code, **wish(due_on=None, every="week", **{"from": "2027-01-01", "to": "2027-01-31"}))
    monthly = wish(due_on=None, every="month", quantity=9, **{"from": "2027-01-01", "to": "2027-02-28"})
    answer = aa.post(path(code), monthly)
    assert answer.status == 409 and answer.code == "already_exists"
    assert [e["detail"] for e in answer.json()["errors"]] == [f"AA-W1 already has {rows(aa, code)[0]['kind_name']} due on 2027-01-31 of another series: there is one on a day"]
    kept = given(world, aa, code, **monthly, strategy="skip")
    assert (kept["created"], kept["skipped"]) == (1, 1) and {r["due_on"]: r["every"] for r in rows(aa, code)}["2027-01-31"] == "week"
    made = given(world, aa, code, **monthly, strategy="replace")
    assert (made["replaced"], made["unchanged"]) == (1, 1)
    assert [(r["due_on"], r["every"], r["quantity"]) for r in rows(aa, code)][-2:] == [("2027-01-31", "month", 9), ("2027-02-28", "month", 9)]


def test_what_a_superior_sets_over_a_plan_of_one_s_own_is_the_superior_s(world, aa, code, cluster):
    """As much of it, on the same day."""
    me = world.at("AA-W1", "reporter")
    given(world, me, code, "own", phase="GD2", kind="conference", quantity=4, due_on="2026-09-30")
    row = one(aa, code)
    gone = lambda: me.request("DELETE", path(code, row["id"], "own"), None, [("If-Match", "*")])  # noqa: E731
    assert aa.post(path(code), wish()).code == "already_exists"
    assert given(world, aa, code, **wish(strategy="skip"))["skipped"] == 1 and one(aa, code)["own"]
    tried = given(world, aa, code, **wish(strategy="replace"), dry_run=True)
    made = given(world, aa, code, **wish(strategy="replace"))
    assert {**tried, "dry_run": False} == made and made["replaced"] == 1
    assert [made["items"][0][w]["set_by"] for w in ("old", "new")] == ["AA-W1", "AA-TU"]
    now = one(aa, code)
    assert (now["id"], now["set_by"], now["own"], now["version"]) == (row["id"], "AA-TU", False, 2)
    assert gone().status == 403 and faults(patch(me, code, row, {"quantity": 1})) == {("#/reason", "required")}
    assert cluster.query("SELECT before ->> 'set_by', after ->> 'set_by' FROM journal WHERE resource_id = %s AND action = 'update'", [row["id"]]) == [("AA-W1", "AA-TU")]
    assert given(world, aa, code, **wish())["unchanged"] == 1


def test_skip_leaves_what_is_there_and_replace_sets_it_anew(world, aa, code):
    given(world, aa, code, **wish(note="Cũ"))
    skipped = given(world, aa, code, **wish(quantity=5, organizations=["AA-W1", "AA-W2"], strategy="skip"))
    assert (skipped["created"], skipped["skipped"]) == (1, 1) and {r["organization"]: r["quantity"] for r in rows(aa, code)} == {"AA-W1": 4, "AA-W2": 5}
    replaced = given(world, aa, code, **wish(quantity=6, strategy="replace"))
    assert replaced["items"][0]["old"] == {"set_quantity": 4, "quantity": 4, "set_by": "AA-TU", "note": "Cũ"}
    assert replaced["items"][0]["new"] == {"set_quantity": 6, "quantity": 6, "set_by": "AA-TU", "note": "Cũ"}
    assert (one(aa, code, organization="AA-W1")["set_quantity"], one(aa, code, organization="AA-W1")["version"]) == (6, 2)


def test_what_a_unit_changed_for_itself_stays_when_it_is_set_anew(world, aa, code):
    given(world, aa, code, **wish(organizations=WARDS))
    row = one(aa, code, organization="AA-W1")
    world.must(patch(world.at("AA-W1", "reporter"), code, row, {"quantity": 2, "reason": "Ít chi bộ"}), 200)
    given(world, aa, code, **wish(organizations=WARDS, quantity=6, strategy="replace"))
    assert [(r["set_quantity"], r["quantity"], r["reason"]) for r in rows(aa, code)] == [(6, 2, "Ít chi bộ"), (6, 6, None)]
    given(world, aa, code, **wish(quantity=2, strategy="replace"))
    row = one(aa, code, organization="AA-W1")
    assert (row["set_quantity"], row["quantity"], row["reason"]) == (2, 2, None), "nothing differs any more"


def test_who_set_it_changes_it_or_who_stands_above(world, aa, code):
    btg, ward = world.at("AA-BTG", "manager"), world.at("AA-W1", "manager")
    given(world, btg, code, **wish(organizations=["AA-W1-C1"]))
    assert one(ward, code)["set_by"] is not None
    answer = ward.post(path(code), wish(organizations=["AA-W1-C1"], quantity=1, strategy="replace"))
    assert answer.status == 403 and answer.code == "forbidden" and "AA-W1-C1" in answer.json()["detail"]
    row = one(ward, code)
    assert anew(ward, code, row, quantity=1).status == 403
    assert ward.request("DELETE", path(code, row["id"]), None, [("If-Match", "*")]).status == 403
    given(world, aa, code, **wish(organizations=["AA-W1-C1"], quantity=9, strategy="replace"))
    assert one(aa, code)["set_by"] == "AA-TU"
    world.must(anew(btg, code, row, quantity=8), 200)
    assert (one(aa, code)["set_by"], one(aa, code)["quantity"]) == ("AA-BTG", 8), "by its mandate it stands above too"


def test_one_sets_where_one_defines(world, code):
    ward = world.at("AA-W1", "manager")
    assert given(world, ward, code, **wish(under="AA-W1", organizations=None))["units"] == 5
    for body in (wish(organizations=["AA-W1-C1", "AA-W2"]), wish(organizations=None, under="AA-TU")):
        answer = ward.post(path(code), body)
        assert answer.status == 422, "out of sight"
    board = world.at("AA-W1-XD", "manager").post(path(code), wish(organizations=["AA-W1-C1"]))
    assert board.status == 403 and board.code == "forbidden", "its mandate is to read and enter"
    assert world.at("AA-W1", "reporter").post(path(code), wish()).status == 403


def test_more_rows_than_one_request_may_make_are_refused(world, aa):
    """Every week of a thousand years for every unit; counted before they are made."""
    long = campaigns.campaign(world, phases=[{"code": "GD1", "starts_on": "1900-01-01", "ends_on": "2999-12-31"}])["code"]
    weekly = {"phase": "GD1", "kind": "conference", "quantity": 1, "every": "week"}
    for body in ({"under": "AA-TU"}, {"organizations": ["AA-W1", "AA-W2"]}):
        begun = time.monotonic()
        answer = aa.post(path(long), {**weekly, **body})
        assert answer.status == 422 and answer.code == "too_many_rows"
        assert time.monotonic() - begun < 10
    assert rows(aa, long) == []


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "3000-01-01", "9999-12-31"])
def test_days_are_of_this_age(world, aa, code, day):
    for member in ("due_on", "from"):
        answer = aa.post(path(code), wish(**{"phase": "GD1", "due_on": None, **({"every": "week"} if member == "from" else {}), member: day}))
        assert answer.status == 422 and (f"#/{member}", "out_of_range") in faults(answer)
    given(world, aa, code, **wish(phase="GD1", due_on="2026-05-31"))
    row = one(aa, code)
    assert faults(anew(aa, code, row, due_on=day)) == {("#/due_on", "out_of_range")}
    assert ("#/due_on", "out_of_range") in faults(patch(world.at("AA-W1", "reporter"), code, row, {"due_on": day, "reason": "Vì"}))


# ---- one's own -----------------------------------------------------------------------------------------------------
def test_a_unit_plans_for_itself_weekly_and_monthly(world, code):
    me = world.at("AA-W1", "reporter")
    made = given(world, me, code, "own", phase="GD2", kind="short_video", quantity=2, every="week", **{"from": "2026-07-06", "to": "2026-08-02"})
    assert (made["created"], made["quantity"], made["units"]) == (4, 8, 1)
    given(world, me, code, "own", phase="GD2", kind="infographic", quantity=1, every="month", **{"to": "2026-12-31"})
    mine = rows(me, code, own="true")
    assert {(r["set_by"], r["own"], r["organization"]) for r in mine} == {("AA-W1", True, "AA-W1")} and len(mine) == 10
    assert rows(me, code, own="false") == []


def test_one_s_own_plan_is_changed_as_a_whole_and_taken_away(world, code):
    me = world.at("AA-W1", "reporter")
    given(world, me, code, "own", phase="GD2", kind="seminar", quantity=2, due_on="2026-10-10")
    row = one(me, code)
    changed = world.must(patch(me, code, row, {"quantity": 5, "due_on": "2026-10-20"}), 200)
    assert [changed[k] for k in ("set_quantity", "quantity", "set_due_on", "due_on", "reason")] == [5, 5, "2026-10-20", "2026-10-20", None]
    assert faults(patch(me, code, row, {"quantity": 0})) == {("#/quantity", "out_of_range")}
    assert faults(patch(me, code, row, {"reason": "Vì"})) == {("#/reason", "not_expected")}
    given(world, me, code, "own", phase="GD2", kind="seminar", quantity=2, due_on="2026-10-10")
    assert patch(me, code, row, {"due_on": "2026-10-10"}).code == "already_exists"
    gone = lambda *headers: me.request("DELETE", path(code, row["id"], "own"), None, list(headers))
    assert gone().status == 428 and gone(("If-Match", '"1"')).status == 412
    assert gone(("If-Match", '"2"')).status == 204 and gone(("If-Match", "*")).status == 404


def test_a_plan_of_one_s_own_takes_nothing_from_what_was_set(world, aa, code):
    given(world, aa, code, **wish())
    me = world.at("AA-W1", "reporter")
    body = {"phase": "GD2", "kind": "conference", "quantity": 1, "due_on": "2026-09-30"}
    assert me.post(path(code, "own"), body).code == "already_exists"
    answer = me.post(path(code, "own"), {**body, "strategy": "replace"})
    assert answer.status == 403 and answer.code == "forbidden"
    row = one(me, code)
    assert me.request("DELETE", path(code, row["id"], "own"), None, [("If-Match", "*")]).status == 403
    assert given(world, me, code, "own", **body, strategy="skip")["skipped"] == 1
    assert one(me, code) == row


def test_who_plans_for_a_unit(world, aa):
    body = {"phase": "GD2", "kind": "seminar", "quantity": 1, "due_on": "2026-10-10", "organization": "AA-W1-C1"}
    open_, strict = campaigns.campaign(world)["code"], campaigns.campaign(world, entered_by="self")["code"]
    for code, statuses in ((open_, [200, 200, 200]), (strict, [200, 403, 200])):
        for who, status in zip((("AA-W1-C1", "reporter"), ("AA-W1", "reporter"), ("AA-W1-XD", "reporter")), statuses):
            answer = world.at(*who).post(path(code, "own"), {**body, "dry_run": True})
            assert answer.status == status, (code, who, answer)
    assert given(world, world.at("AA-W1", "reporter"), open_, "own", **body)["items"][0]["new"]["set_by"] == "AA-W1-C1"
    row = one(aa, open_)
    assert row["own"] and row["set_by"] == "AA-W1-C1", "it is the unit's own, whoever entered it"
    answer = world.at("AA-W2", "reporter").post(path(open_, "own"), body)
    assert answer.status == 422 and faults(answer) == {("#/organization", "unknown_reference")}
    answer = world.at("AA-W1", "reporter").post(path(open_, "own"), {**body, "organization": "AA-W1-OLD"})
    assert answer.status == 422 and faults(answer) == {("#/organization", "not_there")}
    small = campaigns.campaign(world, owner="AA-W1-C2", scope="AA-W1-C2")["code"]
    answer = world.at("AA-W1", "reporter").post(path(small, "own"), body)
    assert answer.status == 422 and faults(answer) == {("#/organization", "outside_scope")}


# ---- adjusting -----------------------------------------------------------------------------------------------------
def test_a_unit_adjusts_what_was_set_with_a_reason(world, aa, code):
    given(world, aa, code, **wish())
    me, row = world.at("AA-W1", "reporter"), one(aa, code)
    assert faults(patch(me, code, row, {"quantity": 2})) == {("#/reason", "required")}
    assert {pointer for pointer, _ in faults(patch(me, code, row, {"quantity": 2, "reason": "\u00a0"}))} == {"#/reason"}
    assert faults(patch(me, code, row, {"quantity": 4, "reason": "Vì"})) == {("#/reason", "not_expected")}
    assert faults(patch(me, code, row, {"due_on": "2029-01-01", "reason": "Vì"})) == {("#/due_on", "out_of_range")}
    changed = patch(me, code, row, {"quantity": 2, "due_on": "2026-10-15", "reason": "Hai chi bộ sáp nhập"})
    assert changed.status == 200
    now = changed.json()
    assert [now[k] for k in ("quantity", "due_on", "set_quantity", "set_due_on", "reason", "version")] == [
        2, "2026-10-15", 4, "2026-09-30", "Hai chi bộ sáp nhập", 2]
    assert patch(me, code, row, {"quantity": 1}, '"1"').status == 412
    assert me.patch(path(code, row["id"]), {"quantity": 1}).status == 428
    kept = world.must(patch(me, code, row, {"due_on": None}, changed.etag), 200)
    assert (kept["due_on"], kept["reason"]) == ("2026-09-30", "Hai chi bộ sáp nhập")
    back = world.must(patch(me, code, row, {"quantity": None}), 200)
    assert (back["quantity"], back["reason"], back["version"]) == (4, None, 4)
    assert world.must(patch(me, code, row, {"quantity": 0, "reason": "Không có chi bộ"}), 200)["quantity"] == 0


def test_who_adjusts(world, aa, code):
    given(world, aa, code, **wish(organizations=["AA-W1-C1"]))
    row = one(aa, code)
    change = {"quantity": 3, "reason": "Thống nhất với cấp trên"}
    for who in (("AA-W1", "reporter"), ("AA-W1-XD", "reporter"), ("AA-W1-C1", "manager")):
        assert patch(world.at(*who), code, row, change).status == 200, who
    assert patch(world.at("AA-W1", "viewer"), code, row, change).status == 403
    assert patch(world.at("AA-W2", "reporter"), code, row, change).status == 404
    strict = campaigns.campaign(world, entered_by="self")["code"]
    given(world, aa, strict, **wish(organizations=["AA-W1-C1"]))
    answer = patch(world.at("AA-W1", "reporter"), strict, one(aa, strict), change)
    assert answer.status == 403 and answer.code == "forbidden" and strict in answer.json()["detail"]


def test_what_was_set_is_changed_and_the_unit_follows_unless_it_had_its_own(world, aa, code):
    given(world, aa, code, **wish(organizations=WARDS))
    first, second = rows(aa, code)
    world.must(patch(world.at("AA-W1", "reporter"), code, first, {"quantity": 2, "reason": "Ít chi bộ"}), 200)
    for row in (first, second):
        assert faults(anew(aa, code, row, due_on="2026-06-01")) == {("#/due_on", "out_of_range")}
        assert anew(aa, code, row, None, quantity=3).status == 428
        assert anew(aa, code, row, '"9"', quantity=3).status == 412
        world.must(anew(aa, code, row, quantity=5, due_on="2026-10-31", note="Gia hạn"), 200)
    assert [[r[k] for k in ("set_quantity", "quantity", "set_due_on", "due_on", "reason", "note")] for r in rows(aa, code)] == [
        [5, 2, "2026-10-31", "2026-10-31", "Ít chi bộ", "Gia hạn"], [5, 5, "2026-10-31", "2026-10-31", None, "Gia hạn"]]
    given(world, aa, code, **wish(organizations=WARDS))
    assert anew(aa, code, first, due_on="2026-09-30").code == "already_exists"


def test_taking_away(world, aa, code):
    given(world, aa, code, **wish())
    row = one(aa, code)
    gone = lambda by, *headers: by.request("DELETE", path(code, row["id"]), None, list(headers))
    assert gone(aa).status == 428 and gone(aa, ("If-Match", '"7"')).status == 412
    assert gone(world.at("AA-W2", "manager"), ("If-Match", "*")).status == 404
    assert gone(aa, ("If-Match", '"1"')).status == 204
    assert gone(aa, ("If-Match", "*")).status == 404 and aa.get(path(code, row["id"])).status == 404
    assert aa.get(path("NO-SUCH", row["id"])).status == 404
    assert aa.get(path(campaigns.campaign(world)["code"], row["id"])).status == 404, "of another campaign"


def test_all_of_it_is_journalled(world, aa, code, cluster):
    given(world, aa, code, **wish())
    row = one(aa, code)
    given(world, aa, code, **wish(quantity=5, strategy="replace"))
    world.must(patch(world.at("AA-W1", "reporter"), code, row, {"quantity": 2, "reason": "Ít chi bộ"}), 200)
    aa.request("DELETE", path(code, row["id"]), None, [("If-Match", "*")])
    found = cluster.query("""SELECT action, version, before ->> 'quantity', after ->> 'quantity', after ->> 'set_by' FROM journal
        WHERE resource_type = 'campaign_assignment' AND resource_id = %s ORDER BY seq""", [row["id"]])
    assert found == [("create", 1, None, "4", "AA-TU"), ("update", 2, "4", "5", "AA-TU"), ("update", 3, "5", "2", "AA-TU"), ("delete", 4, "2", None, None)]


# ---- copying down ----------------------------------------------------------------------------------------------
def test_each_subordinate_gets_the_same(world, aa, code):
    given(world, aa, code, **wish(note="Từ tỉnh"))
    ward = world.at("AA-W1", "manager")
    made = given(world, ward, code, "copy-down", share="each", **{"from": "2026-07-01"})
    assert made["units"] == 5 and made["quantity"] == 20
    cells = rows(ward, code, set_by="AA-W1")
    assert sorted(r["organization"] for r in cells) == sorted([*CELLS, "AA-W1-XD"]) and {(r["quantity"], r["due_on"], r["set_by"]) for r in cells} == {
        (4, "2026-09-30", "AA-W1")}
    again = given(world, ward, code, "copy-down", share="each", **{"from": "2026-07-01"})
    assert (again["unchanged"], again["created"]) == (5, 0)


def test_split_loses_nothing_and_goes_on_where_it_ended(world, aa, code):
    given(world, aa, code, **wish(quantity=6, due_on=None, every="week", **{"from": "2026-07-06", "to": "2026-07-19"}))
    ward = world.at("AA-W1", "manager")
    made = given(world, ward, code, "copy-down", share="split", kinds=[CELL], **{"from": "2026-07-01"})
    assert made["quantity"] == 12
    parts = {day: {r["organization"]: r["quantity"] for r in rows(ward, code, set_by="AA-W1", due_on=day)} for day in ("2026-07-12", "2026-07-19")}
    assert parts == {"2026-07-12": dict(zip(CELLS, [2, 2, 1, 1])), "2026-07-19": dict(zip(CELLS, [1, 1, 2, 2]))}
    assert {r["every"] for r in rows(ward, code)} == {"week"}


def test_split_by_weights(world, aa, code):
    given(world, aa, code, **wish(quantity=7))
    ward = world.at("AA-W1", "manager")
    weights = [{"organization": "AA-W1-C1", "weight": 3}, {"organization": "AA-W1-C4", "weight": 0}]
    given(world, ward, code, "copy-down", share="split", kinds=[CELL], weights=weights, **{"from": "2026-07-01"})
    assert {r["organization"]: r["quantity"] for r in rows(ward, code, set_by="AA-W1")} == {"AA-W1-C1": 4, "AA-W1-C2": 2, "AA-W1-C3": 1}
    weights = [{"organization": "AA-W1-XD", "weight": 3}, {"organization": "AA-W1-C4", "weight": 0}]
    body = {"share": "split", "from": "2026-07-01", "strategy": "replace"}
    answer = ward.post(path(code, "copy-down"), {**body, "kinds": [CELL], "weights": weights})
    assert answer.status == 422 and faults(answer) == {("#/weights/0", "not_there")}
    answer = ward.post(path(code, "copy-down"), {**body, "kinds": ["party_building_board"], "weights": [{"organization": "AA-W1-XD", "weight": 0}]})
    assert answer.status == 422 and faults(answer) == {("#/weights", "contradiction")}


def test_split_anew_takes_back_what_has_become_nothing(world, aa, code, cluster):
    given(world, aa, code, **wish(quantity=4))
    me, ward = world.at("AA-W1", "reporter"), world.at("AA-W1", "manager")
    split = {"share": "split", "kinds": [CELL], "from": "2026-07-01"}
    parts = lambda: {r["organization"]: r["quantity"] for r in rows(ward, code, set_by="AA-W1")}  # noqa: E731
    given(world, ward, code, "copy-down", **split)
    assert parts() == dict.fromkeys(CELLS, 1)
    world.must(patch(me, code, one(aa, code, organization="AA-W1"), {"quantity": 3, "reason": "Ít chi bộ"}), 200)
    answer = ward.post(path(code, "copy-down"), split)
    assert answer.status == 409 and answer.code == "already_exists" and [e["detail"].split()[0] for e in answer.json()["errors"]] == [CELLS[3]]
    kept = given(world, ward, code, "copy-down", **split, strategy="skip")
    assert (kept["unchanged"], kept["skipped"], kept["removed"]) == (3, 1, 0) and parts() == dict.fromkeys(CELLS, 1)
    tried = given(world, ward, code, "copy-down", **split, strategy="replace", dry_run=True)
    assert parts() == dict.fromkeys(CELLS, 1)
    made = given(world, ward, code, "copy-down", **split, strategy="replace")
    assert {**tried, "dry_run": False} == made and (made["removed"], made["unchanged"], made["quantity"]) == (1, 3, 3)
    assert [(i["organization"], i["change"], i["old"]["set_quantity"], i["new"]) for i in made["items"]] == [(CELLS[3], "removed", 1, None)]
    assert parts() == dict.fromkeys(CELLS[:3], 1)
    assert cluster.query("SELECT action, version, before ->> 'organization' FROM journal WHERE resource_type = 'campaign_assignment' AND action = 'delete'"
                         " AND before ->> 'campaign' = %s", [code]) == [("delete", 2, CELLS[3])]
    # excepted, and of other weights
    made = given(world, ward, code, "copy-down", **split, strategy="replace", **{"except": CELLS[:1]})
    assert parts() == dict.fromkeys(CELLS[1:], 1) and (made["created"], made["removed"], made["unchanged"]) == (1, 1, 2)
    given(world, ward, code, "copy-down", **split, strategy="replace", weights=[{"organization": c, "weight": 0} for c in CELLS[1:]])
    assert parts() == {CELLS[0]: 3}
    # put off by the unit, and at last brought down to nothing
    world.must(patch(me, code, one(aa, code, organization="AA-W1"), {"due_on": "2026-10-31"}), 200)
    made = given(world, ward, code, "copy-down", **split, strategy="replace")
    assert (made["created"], made["removed"]) == (3, 1) and {r["due_on"] for r in rows(ward, code, set_by="AA-W1")} == {"2026-10-31"}
    world.must(patch(me, code, one(aa, code, organization="AA-W1"), {"quantity": 0}), 200)
    assert given(world, ward, code, "copy-down", **split, strategy="replace")["removed"] == 3 and parts() == {}
    answer = ward.post(path(code, "copy-down"), {**split, "strategy": "replace"})
    assert answer.status == 422 and faults(answer) == {("#/organization", "nothing_there")}


def test_a_trial_refuses_what_the_run_would_a_quantity_beyond_what_is_kept(world, aa, code):
    """Two of a million that the unit put on one day."""
    given(world, aa, code, **wish(quantity=1000000))
    given(world, aa, code, **wish(quantity=1000000, due_on="2026-10-31"))
    world.must(patch(world.at("AA-W1", "reporter"), code, rows(aa, code)[0], {"due_on": "2026-10-31", "reason": "Lùi ngày"}), 200)
    for share, kinds in (("each", [CELL]), ("split", ["party_building_board"])):
        for trial in (True, False):
            answer = aa.post(path(code, "copy-down"), {"organization": "AA-W1", "share": share, "kinds": kinds, "from": "2026-07-01", "dry_run": trial})
            assert answer.status == 422 and faults(answer) == {("#/share", "too_large")}, answer
    assert given(world, aa, code, "copy-down", organization="AA-W1", share="split", kinds=[CELL], **{"from": "2026-07-01"})["quantity"] == 2000000


def test_what_the_unit_made_of_it_is_copied(world, aa, code):
    given(world, aa, code, **wish(organizations=["AA-W1"]))
    given(world, aa, code, **wish(kind="seminar"))
    first, nothing = one(aa, code, kind="conference"), one(aa, code, kind="seminar")
    me, ward = world.at("AA-W1", "reporter"), world.at("AA-W1", "manager")
    world.must(patch(me, code, first, {"quantity": 2, "due_on": "2026-10-31", "reason": "Lùi ngày"}), 200)
    world.must(patch(me, code, nothing, {"quantity": 0, "reason": "Không có"}), 200)
    made = given(world, ward, code, "copy-down", share="each", kinds=[CELL], dry_run=True, **{"from": "2026-07-01"})
    assert {(i["kind"], i["due_on"], i["new"]["set_quantity"]) for i in made["items"]} == {("conference", "2026-10-31", 2)}
    assert made["units"] == 4 and rows(aa, code, organization="AA-W1-C1") == []


def test_from_which_day_and_phase_is_copied(world, aa, code):
    given(world, aa, code, **wish())
    given(world, aa, code, **wish(phase="GD1", due_on="2026-05-31"))
    ward = world.at("AA-W1", "manager")
    days = lambda **more: {i["due_on"] for i in given(world, ward, code, "copy-down", share="each", dry_run=True, **more)["items"]}
    assert days(**{"from": "2026-01-01"}) == {"2026-05-31", "2026-09-30"}
    assert days(**{"from": "2026-06-01"}) == {"2026-09-30"}
    assert days(phase="GD1", **{"from": "2026-01-01"}) == {"2026-05-31"}


@pytest.mark.parametrize("body,fault", [
    ({"organization": "NO-SUCH"}, ("#/organization", "unknown_reference")), ({"phase": "GD9"}, ("#/phase", "unknown_reference")),
    ({"under": "AA-W2"}, ("#/under", "outside_scope")), ({"kinds": ["no_such"]}, ("#/kinds/0", "unknown_reference")),
    ({"weights": [{"organization": "AA-W1-C1", "weight": 1}]}, ("#/weights", "not_expected")),
    ({"share": "split", "weights": [{"organization": "NO-SUCH", "weight": 1}]}, ("#/weights/0", "unknown_reference")),
    ({"share": "half"}, ("#/share", "enum")), ({"except": ["NO-SUCH"]}, ("#/except/0", "unknown_reference")),
    ({"from": "2028-12-31"}, ("#/organization", "nothing_there")), ({"kinds": [WARD]}, ("#/organization", "nothing_there")),
])
def test_what_copying_down_needs(world, aa, code, body, fault):
    given(world, aa, code, **wish())
    answer = aa.post(path(code, "copy-down"), {"organization": "AA-W1", "share": "each", "from": "2026-07-01", **body})
    assert answer.status == 422 and fault in faults(answer), answer


def test_one_copies_down_where_one_defines(world, aa, code):
    given(world, aa, code, **wish(organizations=WARDS))
    body = {"organization": "AA-W1", "share": "each", "from": "2026-07-01", "dry_run": True}
    assert world.at("AA-W1-XD", "manager").post(path(code, "copy-down"), body).status == 403
    assert world.at("AA-W2", "manager").post(path(code, "copy-down"), body).status == 422, "out of sight"
    assert given(world, world.at("AA-BTG", "manager"), code, "copy-down", **body)["items"][0]["new"]["set_by"] == "AA-BTG"


# ---- how much is done ------------------------------------------------------------------------------------------
def act(world, code, unit, done, **more):
    return activities.activity(world, unit, campaign=code, status="done", done=done, planned=done, done_on="2026-09-11", **more)


def test_what_is_done_fills_what_is_due_first(world, aa, code):
    """Between the second month's last day and the third's."""
    given(world, aa, code, **wish(due_on=None, quantity=3, every="month", **{"from": "2026-09-01", "to": "2026-12-31"}))
    given(world, aa, code, **wish(kind="seminar"))
    state = lambda **more: [(r["due_on"], r["done"], r["late"]) for r in rows(aa, code, kind="conference", **more)]
    assert state() == [("2026-09-30", 0, True), ("2026-10-31", 0, True), ("2026-11-30", 0, False), ("2026-12-31", 0, False)]
    act(world, code, "AA-W1", 4)
    assert state() == [("2026-09-30", 3, False), ("2026-10-31", 1, True), ("2026-11-30", 0, False), ("2026-12-31", 0, False)]
    act(world, code, "AA-W1", 5)
    act(world, code, "AA-W2", 50)
    act(world, code, "AA-W1", 50, kind="infographic")
    assert state() == [("2026-09-30", 3, False), ("2026-10-31", 3, False), ("2026-11-30", 3, False), ("2026-12-31", 0, False)]
    assert [(r["kind"], r["done"]) for r in rows(aa, code, late="true")] == [("seminar", 0)]
    assert len(rows(aa, code, late="false")) == 4
    row = rows(aa, code, kind="conference")[0]
    world.must(patch(world.at("AA-W1", "reporter"), code, row, {"quantity": 1, "reason": "Ít chi bộ"}), 200)
    assert state() == [("2026-09-30", 1, False), ("2026-10-31", 3, False), ("2026-11-30", 3, False), ("2026-12-31", 2, False)]


def test_the_filter_tells_late_ones_as_the_rows_do(world, aa, code):
    given(world, aa, code, **wish(due_on=None, quantity=2, every="month", under="AA-TU", **{"to": "2026-12-31"}))
    for unit, done in (("AA-W1", 5), ("AA-W2", 8), ("AA-W1-C1", 1)):
        act(world, code, unit, done, by=world.at("AA-TU", "reporter"))
    every = rows(aa, code)
    for late in (True, False):
        assert rows(aa, code, late=str(late).lower()) == [r for r in every if r["late"] is late] != []
    assert all(r["late"] == (r["due_on"] < "2026-11-21" and r["done"] < r["quantity"]) for r in every)


def test_the_tag_changes_with_what_is_done(world, aa, code):
    given(world, aa, code, **wish())
    row = one(aa, code)
    first = aa.get(path(code, row["id"]))
    assert aa.get(path(code, row["id"]), [("If-None-Match", first.etag)]).status == 304
    act(world, code, "AA-W1", 2)
    second = aa.get(path(code, row["id"]), [("If-None-Match", first.etag)])
    assert second.status == 200 and second.json()["done"] == 2 and second.json()["version"] == 1
    assert patch(world.at("AA-W1", "reporter"), code, row, {"quantity": 3, "reason": "Vì"}, first.etag).status == 200, "its digits are the version"


# ---- lists -----------------------------------------------------------------------------------------------------
def test_filters_and_order(world, aa, code):
    given(world, aa, code, **wish(organizations=None, under="AA-TU", kinds=[WARD, CELL], due_on=None, every="month", **{"to": "2026-08-31"}))
    given(world, aa, code, **wish(phase="GD1", kind="seminar", due_on="2026-05-31"))
    every = rows(aa, code)
    tree = {o["code"]: n for n, o in enumerate(aa.items("/v1/organizations"))}
    assert len(every) == 17 and every == sorted(every, key=lambda r: (tree[r["organization"]], r["due_on"]))
    assert [r["due_on"] for r in rows(aa, code, sort="-due_on")] == sorted((r["due_on"] for r in every), reverse=True)
    for filters, right in ((dict(organization="AA-W1"), lambda r: r["organization"] == "AA-W1"), (dict(under="AA-W1"), lambda r: r["organization"].startswith("AA-W1")),
                           (dict(phase="GD1"), lambda r: r["phase"] == "GD1"), (dict(kind="seminar"), lambda r: r["kind"] == "seminar"),
                           ({"kind[in]": "seminar,infographic"}, lambda r: r["kind"] == "seminar"), (dict(due_on="2026-07-31"), lambda r: r["due_on"] == "2026-07-31"),
                           ({"due_on[gte]": "2026-08-01"}, lambda r: r["due_on"] >= "2026-08-01"), ({"due_on[lte]": "2026-07-31"}, lambda r: r["due_on"] <= "2026-07-31"),
                           (dict(set_by="AA-TU"), lambda r: True), (dict(set_by="AA-W1"), lambda r: False)):
        assert rows(aa, code, **filters) == [r for r in every if right(r)], filters
    for filters in (dict(organization="NO-SUCH"), dict(phase="GD9"), dict(under="NO-SUCH"), dict(set_by="NO-SUCH")):
        assert aa.get(path(code), **filters).status == 422, filters
    assert aa.get(path(code), zz="1").status == 400 and aa.get(path("NO-SUCH")).status == 404
    assert {r["organization"] for r in rows(world.at("AA-W1", "viewer"), code)} == {"AA-W1", *CELLS}
    assert aa.get(path(code), [("Prefer", "count=exact")], limit=1).json()["page"]["total"] == 17


def test_exports_hold_every_row(world, aa, code):
    given(world, aa, code, **wish(organizations=None, under="AA-TU", kinds=[WARD, CELL]))
    csv = aa.get(path(code), [("Accept", "text/csv")])
    assert csv.status == 200 and len(csv.text.splitlines()) == 9 and csv.text.lstrip("\ufeff").startswith("id,campaign,phase,organization")
    lines = aa.get(path(code), [("Accept", "application/x-ndjson")])
    assert lines.status == 200 and len(lines.text.splitlines()) == 8


def test_the_same_request_again_under_one_key_is_answered_and_not_done_again(world, aa, code):
    key = [("Idempotency-Key", samples.fresh("giao"))]
    first, second = (aa.post(path(code), wish(), key) for _ in range(2))
    assert (first.status, second.status, second.header("Idempotency-Replayed")) == (200, 200, "true") and first.json() == second.json()
    assert first.json()["created"] == 1
