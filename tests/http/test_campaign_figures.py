"""What is declared of people reached, and the figures of a campaign: what they add up, what they leave out, and why."""
import csv
import io
from decimal import Decimal

import pytest
from harness import campaigns, samples

REACH = {"reached": 40, "base": 50, "base_source": "Danh sách đảng viên", "base_on": "2026-06-01", "counted_on": "2026-06-20"}
NEW = [("If-None-Match", "*")]


@pytest.fixture(scope="module")
def aa(world):
    return world.at("AA-TU", "manager")


@pytest.fixture
def code(world):
    return campaigns.campaign(world)["code"]


def declare(who, code, unit, of="cadres_and_members", phase="GD1", **more):
    return who.put(f"/v1/campaigns/{code}/reach/{phase}/{unit}/{of}", {**REACH, **more}, NEW)


def figures(who, code, what, **query):
    return who.items(f"/v1/campaigns/{code}/{what}", **query)


def people(who, code, unit, of="cadres_and_members", **query):
    return next(i for i in figures(who, code, "coverage", organization=unit, of=of, **{"phase": "GD1", **query}) if i["organization"] == unit)


def act(world, code, unit, **more):
    """One activity in GD1 of the conference kind; done unless more says otherwise."""
    body = {"campaign": code, "phase": "GD1", "organization": unit, "kind": "conference", "title": "Hội nghị", "starts_on": "2026-05-01", "ends_on": "2026-05-02",
            "planned": 1, "done": 1, "status": "done", "done_on": "2026-05-02", "contacts_planned": 30, "contacts_reached": 25, **more}
    return world.must(world.at(unit[:5], "reporter").post("/v1/activities", {k: v for k, v in body.items() if v is not None}))


def ask(aa, code, units, quantity, due, kind="conference", phase="GD1"):
    answer = aa.post(f"/v1/campaigns/{code}/assignments", {"phase": phase, "kind": kind, "quantity": quantity, "due_on": due, "organizations": units},
                     [("Idempotency-Key", samples.fresh("key"))])
    assert answer.status in (200, 201), answer
    return answer.json()


# ---- declarations ---------------------------------------------------------------------------------------------
def test_a_declaration_is_made_read_replaced_and_taken_away(world, code):
    ward = world.at("AA-W1", "reporter")
    path = f"/v1/campaigns/{code}/reach/GD1/AA-W1/cadres_and_members"
    assert ward.put(path, REACH).status == 428
    made = declare(ward, code, "AA-W1")
    assert made.status == 201 and made.header("Location") == path and made.etag == '"1"'
    assert made.json() == ward.get(path).json() | {} and made.json()["percent"] == 80 and made.json()["covers"] == "own" and made.json()["entered_by"] == "AA-W1"
    assert ward.get(path, [("If-None-Match", '"1"')]).status == 304
    assert declare(ward, code, "AA-W1").status == 412
    assert ward.put(path, REACH, [("If-Match", '"7"')]).status == 412
    changed = ward.put(path, {**REACH, "reached": 45, "covers": "subtree", "note": "Đếm lại"}, [("If-Match", '"1"')])
    assert changed.status == 200 and changed.etag == '"2"' and changed.json()["percent"] == 90
    assert ward.request("DELETE", path).status == 428
    assert ward.request("DELETE", path, None, [("If-Match", '"1"')]).status == 412
    assert ward.request("DELETE", path, None, [("If-Match", '"2"')]).status == 204
    assert ward.get(path).status == 404 and ward.request("DELETE", path, None, [("If-Match", "*")]).status == 404
    again = declare(ward, code, "AA-W1")
    assert again.status == 201 and again.etag == '"4"', "no version comes twice"


@pytest.mark.parametrize("change,fault", [
    ({"reached": 51}, ("#/reached", "out_of_range")), ({"base": 0}, ("#/base", "too_small")), ({"counted_on": "2026-12-31"}, ("#/counted_on", "in_the_future")),
    ({"base_on": "2026-12-31"}, ("#/base_on", "in_the_future")), ({"counted_on": "2024-12-31"}, ("#/counted_on", "not_there")), ({"base_source": None}, ("#/base_source", "type")),
    ({"people": []}, ("#/people", "unknown_field"))])
def test_what_is_wrong_with_a_declaration_is_told(world, code, change, fault):
    answer = declare(world.at("AA-W1", "reporter"), code, "AA-W1", **change)
    assert answer.status == 422 and fault in answer.faults(), answer


def test_a_count_from_before_the_phase_is_refused(world, code):
    answer = declare(world.at("AA-W1", "reporter"), code, "AA-W1", phase="GD2")
    assert answer.status == 422 and ("#/counted_on", "out_of_range") in answer.faults()


def test_who_declares_for_whom(world, aa, code):
    assert declare(world.at("AA-W1", "viewer"), code, "AA-W1").status == 403
    done = declare(world.at("AA-W1", "reporter"), code, "AA-W1-C1")
    assert done.status == 201 and done.json()["on_behalf"] and done.json()["entered_by"] == "AA-W1"
    assert declare(world.at("AA-W1", "reporter"), code, "AA-W2").status == 404
    assert declare(world.at("AA-W1", "reporter"), code, "AA-W1", phase="GD9").status == 404
    alone = campaigns.campaign(world, entered_by="self")["code"]
    refused = declare(world.at("AA-W1", "reporter"), alone, "AA-W1-C1")
    assert refused.status == 403 and "by itself" in refused.json()["detail"]
    narrow = campaigns.campaign(world, owner="AA-W1", scope="AA-W1")["code"]
    outside = declare(aa, narrow, "AA-TU")
    assert outside.status == 422 and ("organization", "outside_scope") in outside.faults(), outside
    draft = campaigns.campaign(world, status="draft")["code"]
    assert declare(aa, draft, "AA-TU").code == "campaign_not_active"


def test_declarations_are_listed_with_what_lies_beneath(world, aa, code):
    world.must(declare(world.at("AA-W1", "reporter"), code, "AA-W1", covers="subtree"))
    world.must(declare(world.at("AA-W1", "reporter"), code, "AA-W1-C1", reached=8, base=10))
    world.must(declare(world.at("AA-W2", "reporter"), code, "AA-W2", of="core_force"))
    path = f"/v1/campaigns/{code}/reach"
    assert [(i["organization"], i["of"]) for i in aa.items(path)] == [("AA-W1", "cadres_and_members"), ("AA-W1-C1", "cadres_and_members"), ("AA-W2", "core_force")]
    assert [i["organization"] for i in aa.items(path, of="core_force", phase="GD1")] == ["AA-W2"]
    assert [i["organization"] for i in aa.items(path, under="AA-W1", covers="own", on_behalf=True)] == ["AA-W1-C1"]
    assert [i["organization"] for i in world.at("AA-W1-C1", "viewer").items(path)] == ["AA-W1-C1"]
    below = {i["organization"]: i["below"] for i in aa.items(path, embed="below")}
    assert below == {"AA-W1": {"units": 1, "reached": 8, "base": 10, "difference": 32}, "AA-W1-C1": None, "AA-W2": None}
    assert aa.get(path, phase="GD9").faults() == {("phase", "unknown_reference")}
    rows = list(csv.DictReader(io.StringIO(aa.get(path, [("Accept", "text/csv")]).text)))
    assert [r["reached"] for r in rows] == ["40", "8", "40"]


# ---- coverage -------------------------------------------------------------------------------------------------
def test_one_level_of_declarations_counts(world, aa, code):
    w1, w2 = world.at("AA-W1", "reporter"), world.at("AA-W2", "reporter")
    world.must(declare(w1, code, "AA-W1-C1", reached=8, base=10))
    world.must(declare(w1, code, "AA-W1-C2", reached=9, base=10))
    world.must(declare(w2, code, "AA-W2", reached=5, base=5))
    got = people(aa, code, "AA-TU")
    assert (got["reached"], got["base"], got["percent"], got["declared"]) == (22, 25, 88, 3) and got["difference"] is None
    assert (got["target"], got["met"]) == (95, None), "not all have declared"
    world.must(declare(w1, code, "AA-W1", covers="subtree", reached=20, base=30))
    got = people(aa, code, "AA-TU")
    assert (got["reached"], got["base"]) == (25, 35)
    assert (got["beneath_units"], got["beneath_reached"], got["beneath_base"], got["difference"]) == (2, 17, 20, 3)
    ward = people(aa, code, "AA-W1")
    assert (ward["reached"], ward["covers"], ward["missing"], ward["expected"]) == (20, "subtree", 0, 5)
    assert people(aa, code, "AA-W1-C1")["reached"] == 8, "by itself it is what it declared"
    below = {i["organization"]: i for i in figures(aa, code, "coverage", phase="GD1", organization="AA-TU", by="children", of="cadres_and_members")}
    assert below["AA-W1"] == ward and below["AA-TU"] == got


def test_nothing_declared_is_not_zero(aa, code):
    got = people(aa, code, "AA-W1", of="core_force")
    assert (got["reached"], got["base"], got["percent"], got["met"], got["declared"]) == (None, None, None, None, 0) and got["missing"] == got["expected"] == 5


def test_units_are_reached_once_and_contacts_are_no_coverage(world, aa, code):
    for _ in range(3):
        act(world, code, "AA-W1-C1")
    act(world, code, "AA-W1-C2", status="planned", done=0, done_on=None, contacts_reached=None)
    got = people(aa, code, "AA-W1", of="party_organizations")
    assert (got["reached"], got["base"], got["percent"]) == (1, 5, 20) and (got["contacts_planned"], got["contacts_reached"]) == (120, 75)
    assert people(aa, code, "AA-W1")["contacts_reached"] is None and people(aa, code, "AA-W1")["reached"] is None
    phases = figures(aa, code, "coverage", organization="AA-W1", by="phases", of="party_organizations")
    assert [(i["phase"], i["reached"]) for i in phases] == [("GD1", 1), ("GD2", 0)]
    assert aa.get(f"/v1/campaigns/{code}/coverage", by="phases", phase="GD1").faults() == {("phase", "contradiction")}


def test_coverage_is_explained(world, aa, code):
    w1 = world.at("AA-W1", "reporter")
    world.must(declare(w1, code, "AA-W1", covers="subtree"))
    world.must(declare(w1, code, "AA-W1-C1", reached=8, base=10))
    why = {i["organization"]: i for i in figures(aa, code, "coverage/explain", phase="GD1", of="cadres_and_members")}
    assert (why["AA-W1"]["state"], why["AA-W1-C1"]["state"], why["AA-W1-C2"]["state"], why["AA-W2"]["state"]) == ("counted", "beneath", "beneath", "missing")
    assert (why["AA-W1-C1"]["beneath"], why["AA-W1-C1"]["reached"], why["AA-W1-C2"]["reached"]) == ("AA-W1", 8, None)
    assert sum(i["reached"] for i in why.values() if i["state"] == "counted") == people(aa, code, "AA-TU")["reached"]
    act(world, code, "AA-W1-C1")
    why = figures(aa, code, "coverage/explain", phase="GD1", of="party_organizations", organization="AA-W1")
    assert {i["organization"]: i["state"] for i in why if i["done"]} == {"AA-W1-C1": "reached"} and len(why) == 5
    assert [i["organization"] for i in figures(aa, code, "coverage/explain", phase="GD1", of="party_organizations", organization="AA-W1", state="reached")] == ["AA-W1-C1"]


# ---- progress -------------------------------------------------------------------------------------------------
def progress(who, code, unit="AA-TU", **query):
    return figures(who, code, "progress", **{"phase": "GD1", "organization": unit, **query})


def test_doing_more_elsewhere_makes_up_for_nothing(world, aa, code):
    ask(aa, code, ["AA-W1-C1", "AA-W1-C2"], 2, "2026-06-01")
    ask(aa, code, ["AA-W1-C1"], 3, "2026-06-30", kind="seminar")
    act(world, code, "AA-W1-C1", done=5, planned=5)
    act(world, code, "AA-W1-C2", status="planned", done=0, done_on=None)
    got, = progress(aa, code, "AA-W1")
    assert (got["assigned"], got["fulfilled"], got["percent"], got["planned"], got["done"]) == (7, 2, Decimal("28.5714"), 6, 5)
    assert (got["assignments"], got["assignments_late"], got["activities_done"], got["activities_planned"], got["activities_late"]) == (3, 2, 1, 1, 1)
    kinds = {i["kind"]: i for i in progress(aa, code, "AA-W1", by="kinds")}
    assert set(kinds) == {"conference", "seminar"} and (kinds["seminar"]["assigned"], kinds["seminar"]["done"], kinds["conference"]["fulfilled"]) == (3, 0, 2)
    assert kinds["conference"]["kind_name"] and (kinds["conference"]["units_reached"], kinds["conference"]["products"]) == (1, None)


def test_children_are_told_beside_the_whole(world, aa, code):
    act(world, code, "AA-W1-C1")
    act(world, code, "AA-W1")
    act(world, code, "AA-W2-C1", contacts_reached=5)
    whole = {i["organization"]: i for i in progress(aa, code, by="children")}
    assert {"AA-TU", "AA-W1", "AA-W2"} <= set(whole) and "AA-BTG" not in whole
    assert whole["AA-TU"] == progress(aa, code)[0] and whole["AA-W1"] == progress(aa, code, "AA-W1")[0]
    assert (whole["AA-TU"]["done"], whole["AA-W1"]["done"], whole["AA-W2"]["contacts_reached"], whole["AA-TU"]["units_reached"]) == (3, 2, 5, 3)
    rows = list(csv.DictReader(io.StringIO(aa.get(f"/v1/campaigns/{code}/progress", [("Accept", "text/csv")], phase="GD1", by="children").text)))
    assert {r["organization"]: r["done"] for r in rows}["AA-TU"] == "3"


def test_progress_is_right_at_commit_before_and_after_it_is_kept(world, aa, code, cluster):
    made = act(world, code, "AA-W1-C1")
    before = progress(aa, code, by="children")
    while cluster.query("SELECT campaign_standing_fold()")[0][0]:
        pass
    assert progress(aa, code, by="children") == before
    world.must(world.at("AA-W1", "reporter").patch(f"/v1/activities/{made['id']}", {"contacts_reached": 7}, made_tag(world, made)), 200)
    assert progress(aa, code)[0]["contacts_reached"] == 7


def made_tag(world, made):
    return world.at("AA-W1", "reporter").get(f"/v1/activities/{made['id']}").etag


def test_what_an_answer_adds_up_is_told(world, aa, code):
    ask(aa, code, ["AA-W1-C1", "AA-W2-C1"], 2, "2026-06-01")
    act(world, code, "AA-W1-C1")
    why = figures(aa, code, "progress/explain", phase="GD1")
    assert [(i["organization"], i["kind"], i["assigned"], i["fulfilled"], i["expected"]) for i in why] == [
        ("AA-W1-C1", "conference", 2, 1, True), ("AA-W2-C1", "conference", 2, 0, True)]
    got, = progress(aa, code)
    for name in ("assigned", "due", "fulfilled", "due_fulfilled", "done", "contacts_reached", "assignments_late"):
        assert got[name] == sum(i[name] for i in why), name
    assert figures(aa, code, "progress/explain", phase="GD1", kind="seminar") == [] and len(figures(aa, code, "progress/explain", phase="GD1", late=True)) == 2


def test_without_a_phase_or_unit_todays_and_the_whole_are_meant(world, aa, code):
    assert (aa.get(f"/v1/campaigns/{code}/progress").json()["items"][0]["phase"], aa.get(f"/v1/campaigns/{code}/progress").json()["items"][0]["organization"]) == ("GD2", "AA-TU")
    assert world.at("AA-W1", "viewer").get(f"/v1/campaigns/{code}/progress").json()["items"][0]["organization"] == "AA-W1"
    assert world.at("AA-W1", "viewer").get(f"/v1/campaigns/{code}/progress", organization="AA-W2").faults() == {("organization", "unknown_reference")}
    assert aa.get("/v1/campaigns/NO-SUCH/progress").status == 404


# ---- ranking --------------------------------------------------------------------------------------------------
CELL, WARD = "party_cell", "directly_subordinate_party_committee"


def test_equals_share_a_place_and_the_next_one_counts_them(world, aa, code):
    ask(aa, code, ["AA-W1-C1", "AA-W1-C2", "AA-W1-C3", "AA-W2-C1"], 2, "2026-06-01")
    for unit, done in (("AA-W1-C1", 2), ("AA-W1-C2", 1), ("AA-W1-C3", 1)):
        act(world, code, unit, done=done, planned=2)
    got = [(i["organization"], i["rank"], i["score"], i["unranked"]) for i in figures(aa, code, "ranking", phase="GD1", kind=CELL, by="done")]
    assert got[:4] == [("AA-W1-C1", 1, 100, None), ("AA-W1-C2", 2, 50, None), ("AA-W1-C3", 2, 50, None), ("AA-W2-C1", 4, 0, None)]
    assert {(rank, why) for _, rank, _, why in got[4:]} == {(None, "not_assigned")} and "AA-W1-C4" in {unit for unit, *_ in got[4:]}
    assert [i["organization"] for i in figures(aa, code, "ranking", phase="GD1", kind=CELL, by="done", under="AA-W2")][0] == "AA-W2-C1"


def test_who_is_told_by_too_few_has_no_place(world, aa, code):
    world.must(declare(world.at("AA-W1", "reporter"), code, "AA-W1-C1", reached=10, base=10))
    world.must(declare(world.at("AA-W2", "reporter"), code, "AA-W2", covers="subtree"))
    def ranked(**query):
        return {i["organization"]: (i["rank"], i["unranked"]) for i in figures(aa, code, "ranking", phase="GD1", kind=WARD, by="coverage", of="cadres_and_members", **query)}
    assert ranked() == {"AA-W1": (None, "below_minimum"), "AA-W2": (1, None)}
    assert ranked(minimum=20) == {"AA-W1": (1, None), "AA-W2": (2, None)}
    units = {i["organization"]: (i["rank"], i["score"]) for i in figures(aa, code, "ranking", phase="GD1", kind=WARD, by="coverage")}
    assert units == {"AA-W1": (1, 0), "AA-W2": (1, 0)}


def test_one_learns_ones_place_among_all_and_nothing_of_the_others(world, aa, code):
    ask(aa, code, ["AA-W1-C1", "AA-W1-C2", "AA-W2-C1"], 2, "2026-06-01")
    act(world, code, "AA-W1-C2", done=2, planned=2)
    act(world, code, "AA-W2-C1", done=1, planned=2)
    whole = figures(aa, code, "ranking", phase="GD1", kind=CELL, by="done")
    assert [(i["organization"], i["rank"], i["peers"]) for i in whole[:3]] == [("AA-W1-C2", 1, 3), ("AA-W2-C1", 2, 3), ("AA-W1-C1", 3, 3)]
    for seat in ("AA-W1", "AA-W2", "AA-W1-C1"):
        assert figures(world.at(seat, "viewer"), code, "ranking", phase="GD1", kind=CELL, by="done") == [i for i in whole if i["organization"].startswith(seat)]


def test_what_a_ranking_refuses(aa, code):
    path = f"/v1/campaigns/{code}/ranking"
    assert aa.get(path, kind="no_such_kind", by="done").faults() == {("kind", "unknown_reference")}
    assert aa.get(path, kind=CELL, by="done", of="core_force").faults() == {("of", "contradiction")}
    assert aa.get(path, kind=CELL).status == 400


# ---- handed on ------------------------------------------------------------------------------------------------
def copy_down(world, code, **more):
    answer = world.at("AA-W1", "manager").post(f"/v1/campaigns/{code}/assignments/copy-down", {"phase": "GD1", "from": "2026-01-01", **more},
                                               [("Idempotency-Key", samples.fresh("key"))])
    assert answer.status == 200, answer
    return answer.json()


@pytest.mark.parametrize("share,each", [("split", 2), ("each", 10)])
def test_what_was_handed_on_counts_where_it_was_handed_to(world, aa, code, cluster, share, each):
    ask(aa, code, ["AA-W1"], 10, "2026-05-10")
    ask(aa, code, ["AA-W1"], 3, "2026-05-20", kind="seminar")
    told = lambda name, unit="AA-W1": next(i for i in figures(aa, code, "progress", phase="GD1", organization="AA-W1", by="children")  # noqa: E731
                                           if i["organization"] == unit)[name]
    listed = lambda **query: {(i["organization"], i["kind"]): i for i in aa.items(f"/v1/campaigns/{code}/assignments", **query)}  # noqa: E731
    assert (told("assigned"), told("assignments_late")) == (13, 2)
    copy_down(world, code, share=share, kinds=["party_cell"])
    cells = sorted({unit for unit, _ in listed()} - {"AA-W1"})
    assert cells and told("assigned") == sum(i["quantity"] for (unit, _), i in listed().items() if unit in cells), "no more at the unit itself"
    for unit in cells:
        act(world, code, unit, done=each + 1, planned=each + 1)
    act(world, code, "AA-W1", done=1)
    row = listed()["AA-W1", "conference"]
    asked = {unit: i["quantity"] for (unit, kind), i in listed().items() if kind == "conference" and unit in cells}
    assert (row["done"], row["late"]) == (min(10, sum(min(q, each + 1) for q in asked.values())), False), "what those it was handed to have done of it"
    assert not listed(late="true").get(("AA-W1", "conference")) and not listed(late="true").get(("AA-W1", "seminar"))
    for _ in range(2):
        assert sum(i["late"] for i in listed().values()) == told("assignments_late")
        assert told("fulfilled") == sum(min(q, each + 1) for q in asked.values())
        why = aa.items(f"/v1/campaigns/{code}/progress/explain", phase="GD1", organization="AA-W1")
        assert {i["organization"]: i["assigned"] for i in why if i["kind"] == "conference"} == {"AA-W1": 0, **asked}
        while cluster.query("SELECT campaign_standing_fold()")[0][0]:
            pass
    # and is the unit's again once nobody has it any more
    for (unit, kind), i in listed().items():
        if unit in cells and kind == "seminar":
            assert told("assigned") < 13 + sum(asked.values())
            assert world.at("AA-W1", "manager").request("DELETE", f"/v1/campaigns/{code}/assignments/{i['id']}", None, [("If-Match", "*")]).status == 204
    assert told("assigned") == sum(asked.values()) + 3 and listed()["AA-W1", "seminar"]["late"]


def test_what_was_handed_on_together_is_handed_on_as_a_whole(world, aa, code):
    """Two that the unit put off to one day are copied as one; what comes to that day later is the unit's."""
    for due, quantity in (("2026-05-10", 4), ("2026-05-20", 6), ("2026-05-30", 5)):
        ask(aa, code, ["AA-W1"], quantity, due)
    path = f"/v1/campaigns/{code}/assignments"
    rows = {i["set_due_on"]: i for i in aa.items(path)}
    def put_off(day, to):
        body = {"due_on": to, "reason": "Nghỉ lễ"}
        assert world.at("AA-W1", "reporter").patch(f"{path}/{rows[day]['id']}", body, "*").status == 200
    put_off("2026-05-10", "2026-05-20")
    copied = copy_down(world, code, share="split", kinds=["party_cell"], **{"from": "2026-05-20"})
    assert copied["quantity"] == 15
    assigned = lambda: figures(aa, code, "progress", phase="GD1", organization="AA-W1")[0]["assigned"]  # noqa: E731
    assert assigned() == 15
    ask(aa, code, ["AA-W1"], 7, "2026-06-10")
    rows.update({i["set_due_on"]: i for i in aa.items(path, organization="AA-W1")})
    put_off("2026-06-10", "2026-05-20")
    assert assigned() == 15 + 7


# ---- units that were merged ------------------------------------------------------------------------------------
@pytest.fixture
def merged(world, aa, code):
    """A ward with two cells, each of which did something and declared; then merged into a third. (ward, cells, heir)"""
    ward = samples.fresh("AA-FW")
    cells, heir = [f"{ward}-C1", f"{ward}-C2"], f"{ward}-C3"
    world.unit(aa, ward, f"Đảng ủy phường {ward}", "directly_subordinate_party_committee", "AA-TU")
    for unit in cells:
        world.unit(aa, unit, f"Chi bộ {unit}", "party_cell", ward)
    world.staff(world.at("AA-TU", "administrator"), ward, ("reporter",))
    mine = world.at(ward, "reporter")
    for unit, reached, base in zip(cells, (10, 8), (12, 9)):
        world.must(declare(mine, code, unit, reached=reached, base=base))
        world.must(mine.post("/v1/activities", {"campaign": code, "phase": "GD1", "organization": unit, "kind": "conference", "title": "Hội nghị", "starts_on": "2026-02-01",
                                                "ends_on": "2026-02-01", "planned": 1, "done": 1, "status": "done", "done_on": "2026-02-01"}))
    world.must(aa.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-06-01", "steps": [
        {"kind": "establish", "code": heir, "name": "Chi bộ mới", "unit_kind": "party_cell", "parent": ward}, {"kind": "merge", "organizations": cells, "into": heir}]}))
    return ward, cells, heir


def test_a_declaration_stands_for_those_of_the_units_it_succeeded(world, aa, code, merged, cluster):
    ward, cells, heir = merged
    mine = world.at(ward, "reporter")
    assert (people(aa, code, ward)["reached"], people(aa, code, ward)["base"]) == (18, 21), "nothing is lost"
    made = world.must(declare(mine, code, heir, reached=19, base=21))
    got = people(aa, code, ward)
    assert (got["reached"], got["base"], got["declared"]) == (19, 21, 1)
    assert (got["beneath_units"], got["beneath_reached"], got["beneath_base"], got["difference"]) == (2, 18, 21, 1)
    assert people(aa, code, heir)["reached"] == 19
    why = {i["organization"]: (i["state"], i["beneath"]) for i in figures(aa, code, "coverage/explain", phase="GD1", organization=ward, of="cadres_and_members")}
    assert why == {ward: ("missing", None), heir: ("counted", None), **{unit: ("beneath", heir) for unit in cells}}
    below = {i["organization"]: i["below"] for i in aa.items(f"/v1/campaigns/{code}/reach", embed="below", under=ward)}
    assert below == {heir: {"units": 2, "reached": 18, "base": 21, "difference": 1}, **{unit: None for unit in cells}}
    told = cluster.query("SELECT campaign_standing_json(c.id, f.id, o.scope_key, '2026-06-30') -> 'people' -> 0 FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id"
                         " AND f.code = 'GD1', organization o WHERE c.code = %s AND o.code = %s", [code, ward])[0][0]
    assert (told["reached"], told["base"], told["declared_units"]) == (19, 21, 1) and made["reached"] == 19
    assert mine.put(f"/v1/campaigns/{code}/reach/GD1/{heir}/cadres_and_members", {**REACH, "reached": 19, "base": 30, "covers": "subtree"}, [("If-Match", "*")]).status == 200
    assert people(aa, code, ward)["base"] == 30


def test_what_was_counted_before_a_merger_is_of_before_it(world, aa, code):
    """A unit that took another in had declared without it."""
    ward = samples.fresh("AA-FW")
    world.unit(aa, ward, f"Đảng ủy phường {ward}", "directly_subordinate_party_committee", "AA-TU")
    for n in (1, 2):
        world.unit(aa, f"{ward}-C{n}", f"Chi bộ {ward}-C{n}", "party_cell", ward)
        world.must(declare(aa, code, f"{ward}-C{n}", reached=10 - n, base=10, counted_on="2026-05-20"))
    world.must(aa.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-06-01",
                                               "steps": [{"kind": "merge", "organizations": [f"{ward}-C1"], "into": f"{ward}-C2"}]}))
    assert (people(aa, code, ward)["reached"], people(aa, code, ward)["base"]) == (17, 20)
    again = aa.put(f"/v1/campaigns/{code}/reach/GD1/{ward}-C2/cadres_and_members", {**REACH, "reached": 18, "base": 20, "counted_on": "2026-06-10"}, [("If-Match", "*")])
    assert again.status == 200
    assert (people(aa, code, ward)["reached"], people(aa, code, ward)["base"]) == (18, 20)


def test_a_unit_is_reached_where_one_that_it_succeeded_was(aa, code, merged, cluster):
    ward, cells, heir = merged
    for _ in range(2):
        got = people(aa, code, ward, of="party_organizations")
        assert (got["reached"], got["expected"]) == (1, 2), "the two are one"
        whole = next(i for i in figures(aa, code, "progress", phase="GD1", organization=ward))
        kinds = figures(aa, code, "progress", phase="GD1", organization=ward, by="kinds")
        assert (whole["units_reached"], whole["units_expected"]) == (1, 2) and [k["units_reached"] for k in kinds] == [1]
        children = {i["organization"]: i["units_reached"] for i in figures(aa, code, "progress", phase="GD1", organization=ward, by="children")}
        assert children[heir] == 1
        why = {i["organization"]: (i["state"], i["done"]) for i in figures(aa, code, "coverage/explain", phase="GD1", organization=ward, of="party_organizations")}
        assert why == {ward: ("not_reached", 0), heir: ("reached", 2)}
        cluster.query("SELECT activity_fold(5000), campaign_standing_fold()")
    def standing(day):
        return cluster.query("SELECT campaign_standing_json(c.id, f.id, o.scope_key, %s) -> 'units' FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id"
                             " AND f.code = 'GD1', organization o WHERE c.code = %s AND o.code = %s", [day, code, ward])[0][0]
    assert (standing("2026-06-30")["reached"], standing("2026-06-30")["expected"]) == (1, 2)
    assert (standing("2026-05-31")["reached"], standing("2026-05-31")["expected"]) == (2, 3), "before it they were two"


# ---- who counts ------------------------------------------------------------------------------------------------
def test_what_attached_bodies_declare_stands_apart(world, aa, code, cluster):
    ward = samples.fresh("AA-FW")
    world.unit(aa, ward, f"Đảng ủy phường {ward}", "directly_subordinate_party_committee", "AA-TU")
    world.unit(aa, f"{ward}-MT", "Ủy ban Mặt trận Tổ quốc", "fatherland_front_committee", ward, attached=True)
    world.unit(aa, f"{ward}-BD", "Ban Xây dựng Đảng", "party_building_board", ward)
    world.unit(aa, f"{ward}-C1", "Chi bộ 1", "party_cell", ward)
    for unit, reached in ((f"{ward}-MT", 500), (f"{ward}-BD", 7), (f"{ward}-C1", 9)):
        world.must(declare(aa, code, unit, reached=reached, base=500))
    got = people(aa, code, ward)
    assert (got["reached"], got["base"], got["declared"], got["expected"], got["met"]) == (9, 500, 1, 2, None)
    why = {i["organization"]: i["state"] for i in figures(aa, code, "coverage/explain", phase="GD1", organization=ward, of="cadres_and_members")}
    assert why == {ward: "missing", f"{ward}-C1": "counted", f"{ward}-MT": "apart", f"{ward}-BD": "apart"}
    world.must(declare(aa, code, ward, reached=480, base=500, covers="subtree"))
    got = people(aa, code, ward)
    assert (got["reached"], got["beneath_units"], got["difference"], got["declared"], got["met"]) == (480, 1, 471, 2, True)
    below = next(i["below"] for i in aa.items(f"/v1/campaigns/{code}/reach", embed="below", organization=ward))
    assert (below["units"], below["reached"]) == (1, 9)
    told = cluster.query("SELECT campaign_standing_json(c.id, f.id, o.scope_key, '2026-06-30') -> 'people' -> 0 FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id"
                         " AND f.code = 'GD1', organization o WHERE c.code = %s AND o.code = %s", [code, ward])[0][0]
    assert (told["reached"], told["declared"], told["expected"], told["declared_units"]) == (480, 2, 2, 1)


def test_a_standing_tells_a_declaration_as_it_was_counted_by_the_day(world, code, cluster):
    ward = world.at("AA-W1", "reporter")
    world.must(declare(ward, code, "AA-W1", reached=40, base=50, counted_on="2026-03-05"))
    path = f"/v1/campaigns/{code}/reach/GD1/AA-W1/cadres_and_members"
    assert ward.put(path, {**REACH, "reached": 45, "base": 60, "counted_on": "2026-04-28"}, [("If-Match", "*")]).status == 200
    def told(day):
        row = cluster.query("SELECT campaign_standing_json(c.id, f.id, o.scope_key, %s) -> 'people' -> 0 FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id"
                            " AND f.code = 'GD1', organization o WHERE c.code = %s AND o.code = 'AA-W1'", [day, code])[0][0]
        return row["reached"], row["base"]
    assert [told(day) for day in ("2026-03-04", "2026-03-05", "2026-04-27", "2026-04-28")] == [(None, None), (40, 50), (40, 50), (45, 60)]
    assert ward.put(path, {**REACH, "reached": 44, "base": 60, "counted_on": "2026-03-05"}, [("If-Match", "*")]).status == 200
    assert [told(day) for day in ("2026-03-05", "2026-04-28")] == [(44, 60), (44, 60)], "what was put last is what holds"
    assert ward.request("DELETE", path, None, [("If-Match", "*")]).status == 204
    assert told("2026-04-28") == (None, None), "what was taken away was never there"


def test_progress_counts_published_products(world, aa, code, cluster):
    cluster.query("""INSERT INTO product (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, state, published_at,
          on_behalf, entered_by, seat_id)
        SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, 'infographic', 'Áp phích', x.state, x.at::timestamptz, false, o.code, o.id
        FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = 'GD1', organization o,
          (VALUES ('published', '2026-03-01'), ('draft', NULL), ('withdrawn', '2026-03-01')) x(state, at) WHERE c.code = %s AND o.code = 'AA-W1' RETURNING 1""", [code])
    assert figures(aa, code, "progress", phase="GD1", organization="AA-W1")[0]["products"] == 1
