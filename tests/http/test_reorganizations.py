"""Reorganizations: the tree changes on a day, and nothing is lost."""
import pytest
from harness import samples
from harness.crowd import Background, wait_for
from harness.world import CELL, WARD

PERIOD = "2026-Q1"


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def decide(by, steps, on="2026-07-01", status=201, **more):
    query = {k: more.pop(k) for k in ("dry_run",) if k in more}
    answer = by.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": on, "steps": steps, **more}, **query)
    assert answer.status == status, answer
    return answer.json() if status in (200, 201) else answer


@pytest.fixture
def ward(world, aa):
    """A ward of this test's own with two cells and a value in one of them."""
    code = samples.fresh("AA-RW")
    world.unit(aa, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
    for n in (1, 2):
        world.unit(aa, f"{code}-C{n}", f"Chi bộ {n} của {code}", CELL, code)
    world.must(world.connector().enter("AA-RATIO", f"{code}-C1", PERIOD, {"numerator": 3, "denominator": 4}))
    return code


def unit(by, code, status=200, **query):
    answer = by.get(f"/v1/organizations/{code}", **query)
    assert answer.status == status, answer
    return answer.json()


def figure(by, organization, indicator="AA-RATIO", period=PERIOD):
    answer = by.get("/v1/progress", organization=organization, indicator=indicator, period=period)
    assert answer.status == 200, answer
    item = answer.json()["items"][0]
    return item["numerator"], item["denominator"], item["coverage"]["expected"], item["coverage"]["reporting"]


def figure_of(by, organization, indicator, period):
    return by.get("/v1/progress", organization=organization, indicator=indicator, period=period).json()["items"][0]["value"]


def faults(answer):
    return [(f["pointer"], f["code"]) for f in answer.json()["errors"]]


def test_a_move_takes_the_subtree_its_figures_and_its_rights_along(world, aa, ward):
    before = figure(aa, "AA-TU")
    host = samples.fresh("AA-RW")
    world.unit(aa, host, "Đảng ủy phường chủ", WARD, "AA-TU")
    world.staff(world.at("AA-TU", "administrator"), ward, ("manager",))
    world.staff(world.at("AA-TU", "administrator"), host, ("manager",))
    assert figure(aa, ward)[:2] == (3, 4)
    made = decide(aa, [{"kind": "move", "organization": f"{ward}-C1", "parent": host}])
    assert made["state"] == "in_force" and made["impact"]["units"] == {"moved": 1, "subtree": 1} and made["impact"]["values"] == 1
    assert {(g["organization"], g["change"]) for g in made["impact"]["grants"]} == {(ward, "loses"), (host, "gains")}
    assert unit(aa, f"{ward}-C1")["parent"]["code"] == host
    assert figure(aa, host)[:2] == (3, 4) and figure(aa, ward)[:2] == (None, None)
    assert figure(aa, "AA-TU") == before
    assert world.at(host, "manager").get(f"/v1/values/AA-RATIO/{ward}-C1/{PERIOD}").status == 200
    assert world.at(ward, "manager").get(f"/v1/values/AA-RATIO/{ward}-C1/{PERIOD}").status == 404


def test_a_merge_keeps_figures_and_passes_on_what_was_owed(world, aa, ward):
    other = samples.fresh("AA-RW")
    new = samples.fresh("AA-NEW")
    world.unit(aa, other, "Đảng ủy phường hai", WARD, "AA-TU")
    world.must(world.connector().enter("AA-SUM", ward, PERIOD, {"number": 5}))
    world.must(world.connector().enter("AA-SUM", other, PERIOD, {"number": 7}))
    total = figure(aa, "AA-TU")
    made = decide(aa, [
        {"kind": "establish", "code": new, "name": "Đảng ủy phường mới", "unit_kind": WARD, "parent": "AA-TU"},
        {"kind": "merge", "organizations": [ward, other], "into": new}])
    assert made["impact"]["lineage"] == [{"predecessor": ward, "successor": new}, {"predecessor": other, "successor": new}]
    ended = unit(aa, ward)
    assert ended["valid_to"] == "2026-06-30" and ended["name"] == f"Đảng ủy phường {ward}"
    assert unit(aa, f"{ward}-C2")["parent"]["code"] == new
    assert figure(aa, new)[:2] == (3, 4) and figure(aa, "AA-TU") == total
    answer = aa.get("/v1/progress", organization=new, indicator="AA-SUM", period=PERIOD).json()["items"][0]
    assert answer["value"] == 12 and answer["coverage"]["expected"] >= 2
    # who comes after reads what was, and corrects it; who was there reads on and enters no more
    world.staff(world.at("AA-TU", "administrator"), new, ("reporter",))
    heir = world.at(new, "reporter")
    value = heir.get(f"/v1/values/AA-SUM/{ward}/{PERIOD}")
    assert value.status == 200 and value.json()["number"] == 5
    corrected = heir.put(f"/v1/values/AA-SUM/{ward}/{PERIOD}", {"number": 6, "reason": "Cộng nhầm"}, [("If-Match", value.header("ETag"))])
    assert corrected.status == 200 and corrected.json()["on_behalf"] is True
    world.must(heir.enter("AA-SUM", other, "2025-Q4", {"number": 1}))
    assert heir.enter("AA-SUM", other, "2026-Q3", {"number": 1}).status == 422


def test_a_seat_of_the_past_reads_on_and_writes_no_more(world, aa, ward):
    world.staff(world.at("AA-TU", "administrator"), ward, ("reporter",))
    old = world.at(ward, "reporter")
    world.must(old.enter("AA-SUM", ward, PERIOD, {"number": 5}))
    decide(aa, [{"kind": "merge", "organizations": [ward], "into": "AA-W2"}], on="2026-07-02")
    assert old.get(f"/v1/values/AA-SUM/{ward}/{PERIOD}").status == 200
    refused = old.enter("AA-SUM", ward, "2025-Q4", {"number": 1})
    assert refused.status == 403 and ward in refused.json()["detail"] and "2026-07-01" in refused.json()["detail"]


def test_no_figure_is_left_behind_by_a_late_decision(world, aa, ward):
    """What was entered for a period after the end would count nowhere: it is told, and nothing is changed."""
    world.must(world.connector().enter("AA-SUM", ward, PERIOD, {"number": 5}))
    total = figure(aa, "AA-TU", "AA-SUM")
    for steps in ([{"kind": "merge", "organizations": [ward], "into": "AA-W2"}],):
        refused = decide(aa, steps, on="2026-02-01", status=422)
        assert faults(refused) == [("#/effective_on", "has_values")] and ward in refused.text and PERIOD in refused.text
    assert figure(aa, "AA-TU", "AA-SUM") == total
    decide(aa, [{"kind": "merge", "organizations": [ward], "into": "AA-W2"}], on="2026-04-01")
    assert figure(aa, "AA-TU", "AA-SUM") == total


def test_definitions_go_on_where_their_unit_went_on(world, aa, ward):
    """A programme of a ward that is merged holds at its successor: whoever came along reads and enters as before."""
    new = samples.fresh("AA-NEW")
    programme = f"{ward}-CT"
    world.must(aa.post("/v1/programmes", {"code": programme, "title": "Chương trình riêng", "owner": ward, "scope": ward, "starts_on": "2025-01-01"}))
    indicator = world.indicator(aa, f"{ward}-CT-1", programme, "number")["code"]
    world.assign(aa, indicator, organization=f"{ward}-C1")
    world.staff(world.at("AA-TU", "administrator"), f"{ward}-C1", ("reporter",))
    cell = world.at(f"{ward}-C1", "reporter")
    world.must(cell.enter(indicator, f"{ward}-C1", PERIOD, {"number": 9}))
    made = decide(aa, [{"kind": "establish", "code": new, "name": "Đảng ủy phường mới", "unit_kind": WARD, "parent": "AA-TU"},
                       {"kind": "merge", "organizations": [ward], "into": new}])
    assert cell.get(f"/v1/values/{indicator}/{ward}-C1/{PERIOD}").json()["number"] == 9
    world.must(cell.enter(indicator, f"{ward}-C1", "2026-Q3", {"number": 4}))
    assert figure_of(aa, new, indicator, "2026-Q3") == 4
    assert aa.post(f"/v1/reorganizations/{made['id']}/revert", {"reason": "Nhầm"}, [("If-Match", "*")]).status == 200
    assert cell.get(f"/v1/indicators/{indicator}").status == 200 and figure_of(aa, ward, indicator, "2026-Q3") == 4


def test_what_is_planned_passes_nothing_on_before_its_day(world, aa, ward):
    b, c = samples.fresh("AA-RW"), samples.fresh("AA-RW")
    for code in (b, c):
        world.unit(aa, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
    world.must(world.connector().enter("AA-SUM", ward, PERIOD, {"number": 5}))
    world.staff(world.at("AA-TU", "administrator"), c, ("reporter",))
    decide(aa, [{"kind": "merge", "organizations": [ward], "into": b}])
    decide(aa, [{"kind": "merge", "organizations": [b], "into": c}], on="2027-06-01")
    heir = world.at(c, "reporter")
    assert heir.get(f"/v1/values/AA-SUM/{ward}/{PERIOD}").status == 404 == heir.get(f"/v1/organizations/{ward}").status
    assert heir.enter("AA-SUM", ward, "2025-Q4", {"number": 1}).status == 404


def test_history_is_kept_apart_where_the_decision_says_so(world, aa, ward):
    new = samples.fresh("AA-NEW")
    world.must(world.connector().enter("AA-SUM", ward, PERIOD, {"number": 5}))
    made = decide(aa, [{"kind": "establish", "code": new, "name": "Đảng ủy phường mới", "unit_kind": WARD, "parent": "AA-TU"},
                       {"kind": "merge", "organizations": [ward], "into": new}], carry=[{"indicator": "AA-SUM", "how": "apart"}])
    assert made["carry"] == [{"indicator": "AA-SUM", "how": "apart"}]
    answer = aa.get("/v1/progress", organization=new, indicator="AA-SUM", period=PERIOD).json()["items"][0]
    assert answer["value"] is None and answer["coverage"]["reporting"] == 0
    refused = decide(aa, [{"kind": "rename", "organization": new, "name": "Khác"}], carry=[{"indicator": "KHONG-CO", "how": "sum"}], status=422)
    assert faults(refused) == [("#/carry/0/indicator", "unknown_reference")]


def test_a_split_gives_every_child_to_one_and_stays_where_it_was(world, aa, ward):
    a, b = samples.fresh("AA-NEW"), samples.fresh("AA-NEW")
    new = [{"kind": "establish", "code": c, "name": f"Đảng ủy phường {c}", "unit_kind": WARD, "parent": "AA-TU"} for c in (a, b)]
    refused = decide(aa, [*new, {"kind": "split", "organization": ward, "successors": [a, b], "children": [
        {"organization": f"{ward}-C1", "into": a}]}], status=422)
    assert ("#/steps", "orphan") in faults(refused) and f"{ward}-C2" in refused.json()["errors"][0]["detail"]
    assert unit(aa, ward)["valid_to"] is None and unit(aa, a, 404)
    decide(aa, [*new, {"kind": "split", "organization": ward, "successors": [a, b], "children": [
        {"organization": f"{ward}-C1", "into": a}, {"organization": f"{ward}-C2", "into": b}]}])
    assert unit(aa, f"{ward}-C1")["parent"]["code"] == a and unit(aa, f"{ward}-C2")["parent"]["code"] == b
    world.staff(world.at("AA-TU", "administrator"), b, ("viewer",))
    assert world.at(b, "viewer").get(f"/v1/organizations/{ward}").status == 200


def test_names_and_kinds_change_until_the_next_known_change(world, aa, ward):
    decide(aa, [{"kind": "rename", "organization": ward, "name": "Tên thứ ba"}], on="2026-09-01")
    decide(aa, [{"kind": "rename", "organization": ward, "name": "Tên thứ hai"}], on="2026-03-01")
    made = unit(aa, ward)
    assert made["name"] == "Tên thứ ba"
    assert [(f["name"], f["valid_from"], f["valid_to"]) for f in made["former"]] == [
        (f"Đảng ủy phường {ward}", "2025-01-01", "2026-02-28"), ("Tên thứ hai", "2026-03-01", "2026-08-31")]
    decide(aa, [{"kind": "change_kind", "organization": ward, "unit_kind": "grassroots_party_organization", "name": "Đảng bộ cơ sở"}], on="2026-10-01")
    assert (unit(aa, ward)["kind"], unit(aa, ward)["name"]) == ("grassroots_party_organization", "Đảng bộ cơ sở")
    again = decide(aa, [{"kind": "rename", "organization": ward, "name": "Đảng bộ cơ sở"}], on="2026-10-02", status=422)
    assert faults(again) == [("#/steps/0", "unchanged")]


def test_a_decision_of_a_later_day_takes_effect_by_itself(world, aa, ward, moved):
    made = decide(aa, [{"kind": "move", "organization": f"{ward}-C1", "parent": "AA-W2"},
                       {"kind": "rename", "organization": ward, "name": "Tên mai sau"}], on="2026-11-25")
    assert made["state"] == "planned" and made["impact"]["units"]["moved"] == 1
    assert unit(aa, f"{ward}-C1")["parent"]["code"] == ward
    assert ward in [i["code"] for i in aa.items("/v1/organizations", under=ward)]
    moved.move(5 * 86400)
    world.forget()
    later = world.at("AA-TU", "manager")
    wait_for(lambda: unit(later, f"{ward}-C1")["parent"]["code"] == "AA-W2")
    made = later.get(f"/v1/reorganizations/{made['id']}").json()
    assert unit(later, ward)["name"] == "Tên mai sau" and unit(later, f"{ward}-C1")["parent"]["code"] == "AA-W2"
    assert made["state"] == "in_force"


def test_a_dry_run_answers_what_the_run_would_and_changes_nothing(world, aa, ward):
    steps = [{"kind": "dissolve", "organization": f"{ward}-C2"}, {"kind": "merge", "organizations": [ward], "into": "AA-W2"}]
    tree = aa.items("/v1/organizations", under="AA-TU")
    tried = decide(aa, steps, dry_run="true", status=200)
    assert aa.items("/v1/organizations", under="AA-TU") == tree
    assert decide(aa, steps)["impact"] == tried["impact"]
    assert tried["impact"]["units"]["ended"] == 2 and tried["impact"]["values"] == 1


def test_every_fault_of_every_step_is_told_at_once(world, aa, ward):
    refused = decide(aa, [
        {"kind": "rename", "organization": "KHONG-CO", "name": "x"},
        {"kind": "move", "organization": f"{ward}-C1", "parent": "BB-W1"},
        {"kind": "establish", "code": "AA-W1", "name": "x", "unit_kind": "khong_co", "parent": "AA-TU"},
        {"kind": "merge", "organizations": ["AA-W1-OLD"], "into": ward},
        {"kind": "rename", "organization": ward},
        {"kind": "move", "organization": ward, "parent": "AA-TU", "name": "x"}], status=422)
    assert set(faults(refused)) == {
        ("#/steps/0/organization", "unknown_reference"), ("#/steps/1/parent", "unknown_reference"), ("#/steps/2/unit_kind", "unknown_reference"),
        ("#/steps/2/code", "code_taken"), ("#/steps/3/organizations/0", "out_of_range"), ("#/steps/4/name", "required"),
        ("#/steps/5/name", "unknown_field")}


@pytest.mark.parametrize("steps, code", [
    (lambda w: [{"kind": "move", "organization": w, "parent": f"{w}-C1"}], "cycle"),
    (lambda w: [{"kind": "move", "organization": w, "parent": w}], "cycle"),
    (lambda w: [{"kind": "dissolve", "organization": w}], "orphan"),
])
def test_no_cycle_and_no_orphan(aa, ward, steps, code):
    refused = decide(aa, steps(ward), status=422)
    assert code in {c for _, c in faults(refused)}
    assert unit(aa, ward)["parent"]["code"] == "AA-TU"


def test_taking_back_puts_everything_where_it_was(world, aa, ward):
    before, total = unit(aa, ward), figure(aa, ward)
    new = samples.fresh("AA-NEW")
    made = decide(aa, [{"kind": "establish", "code": new, "name": "Đảng ủy phường mới", "unit_kind": WARD, "parent": "AA-TU"},
                       {"kind": "merge", "organizations": [ward], "into": new}])
    path = f"/v1/reorganizations/{made['id']}/revert"
    assert aa.post(path, {"reason": "Nhầm"}).status == 428
    assert aa.post(path, {"reason": "Nhầm"}, [("If-Match", '"7"')]).status == 412
    answer = aa.post(path, {"reason": "Nhầm"}, [("If-Match", '"1"')])
    assert answer.status == 200 and answer.json()["state"] == "reverted"
    after = unit(aa, ward)
    skip = ("version", "updated_at")
    assert {k: v for k, v in after.items() if k not in skip} == {k: v for k, v in before.items() if k not in skip}
    assert figure(aa, ward) == total and unit(aa, new, 404)
    assert aa.post(path, {"reason": "Nhầm"}, [("If-Match", "*")]).code == "already_reverted"


def test_taking_back_what_only_established_leaves_a_record(world, aa, ward):
    new = samples.fresh("AA-NEW")
    made = decide(aa, [{"kind": "establish", "code": new, "name": "Chi bộ mới", "unit_kind": CELL, "parent": ward}])
    answer = aa.post(f"/v1/reorganizations/{made['id']}/revert", {"reason": "Nhầm"}, [("If-Match", "*")])
    assert answer.status == 200 and answer.json()["organizations"] == [] and unit(aa, new, 404)
    assert aa.get(f"/v1/reorganizations/{made['id']}").json()["state"] == "reverted"


def test_what_has_been_built_on_is_not_taken_back(world, aa, ward):
    new = samples.fresh("AA-NEW")
    made = decide(aa, [{"kind": "establish", "code": new, "name": "Đảng ủy phường mới", "unit_kind": WARD, "parent": "AA-TU"},
                       {"kind": "merge", "organizations": [ward], "into": new}])
    world.must(world.connector().enter("AA-SUM", new, "2026-Q3", {"number": 1}))
    world.unit(aa, f"{new}-C9", "Chi bộ mới", CELL, new, valid_from="2026-08-01")
    refused = aa.post(f"/v1/reorganizations/{made['id']}/revert", {"reason": "Nhầm"}, [("If-Match", "*")])
    assert refused.status == 409 and refused.code == "has_dependants"
    told = " ".join(f["detail"] for f in refused.json()["errors"])
    assert "values" in told and "units below it" in told
    other, next_one = samples.fresh("AA-RW"), samples.fresh("AA-NEW")
    world.unit(aa, other, "Đảng ủy phường hai", WARD, "AA-TU")
    begun = decide(aa, [{"kind": "establish", "code": next_one, "name": "Đảng ủy phường ba", "unit_kind": WARD, "parent": "AA-TU"}])
    decide(aa, [{"kind": "dissolve", "organization": other, "successors": [next_one]}], on="2026-07-02")
    refused = aa.post(f"/v1/reorganizations/{begun['id']}/revert", {"reason": "Nhầm"}, [("If-Match", "*")])
    assert refused.code == "has_dependants" and "predecessor" in refused.text
    later = decide(aa, [{"kind": "rename", "organization": new, "name": "Khác"}], on="2026-08-01")
    assert aa.post(f"/v1/reorganizations/{later['id']}/revert", {"reason": "Nhầm"}, [("If-Match", "*")]).status == 200


def test_a_unit_is_reorganized_by_who_stands_above_it(world, aa, ward):
    world.staff(world.at("AA-TU", "administrator"), ward, ("manager", "reporter"))
    own = world.at(ward, "manager")
    assert decide(own, [{"kind": "rename", "organization": ward, "name": "Tự đổi"}], status=403)
    assert decide(own, [{"kind": "rename", "organization": f"{ward}-C1", "name": "Chi bộ đổi tên"}])
    assert decide(own, [{"kind": "move", "organization": f"{ward}-C1", "parent": "AA-W1"}], status=422)
    assert decide(world.at(ward, "reporter"), [{"kind": "rename", "organization": f"{ward}-C1", "name": "x"}], status=403)
    assert decide(world.at("AA-TU", "administrator"), [{"kind": "rename", "organization": ward, "name": "x"}], status=403)


def test_the_past_and_the_future_below_others_are_theirs(world, aa, ward):
    """A unit is changed by who stands above it on every day that changes, not only today."""
    host = samples.fresh("AA-RW")
    world.unit(aa, host, "Đảng ủy phường chủ", WARD, "AA-TU")
    world.unit(aa, f"{host}-T", "Tổ", CELL, host)
    for code in (ward, host):
        world.staff(world.at("AA-TU", "administrator"), code, ("manager",))
    mine = world.at(host, "manager")
    moved = decide(aa, [{"kind": "move", "organization": f"{ward}-C1", "parent": host}])
    for step in ({"kind": "rename", "organization": f"{ward}-C1", "name": "x"}, {"kind": "move", "organization": f"{ward}-C1", "parent": f"{host}-T"}):
        decide(mine, [step], on="2025-03-01", status=403)
    decide(mine, [{"kind": "rename", "organization": f"{ward}-C1", "name": "Tên mới"}], on="2026-08-01")
    # what was decided above is taken back above
    for who in (mine, world.at(ward, "manager")):
        assert who.post(f"/v1/reorganizations/{moved['id']}/revert", {"reason": "x"}, [("If-Match", "*")]).status in (403, 404)
    planned = decide(aa, [{"kind": "move", "organization": f"{host}-T", "parent": ward}], on="2027-01-01")
    decide(mine, [{"kind": "move", "organization": f"{host}-T", "parent": host}], on="2027-02-01", status=403)
    assert mine.post(f"/v1/reorganizations/{planned['id']}/revert", {"reason": "x"}, [("If-Match", "*")]).status == 403


def test_nothing_is_handed_to_a_unit_one_does_not_define(world, aa, ward):
    """Successors and the units that children are given to are changed as well."""
    board = samples.fresh("AA-BAN")
    world.unit(aa, board, "Ban xây dựng", "party_building_board", ward)
    for code in (f"{board}-X", f"{board}-Y"):
        world.unit(aa, code, "Tổ", CELL, board)
    world.unit(aa, f"{board}-X-1", "Nhóm", CELL, f"{board}-X")
    world.staff(world.at("AA-TU", "administrator"), board, ("manager",))
    mine = world.at(board, "manager")  # reads its ward by the mandate of its kind
    decide(mine, [{"kind": "dissolve", "organization": f"{board}-Y", "successors": [f"{ward}-C1"]}], status=403)
    decide(mine, [{"kind": "split", "organization": f"{board}-X", "successors": [f"{ward}-C1", f"{board}-Y"],
                   "children": [{"organization": f"{board}-X-1", "into": f"{ward}-C1"}]}], status=403)
    decide(mine, [{"kind": "merge", "organizations": [f"{board}-Y"], "into": f"{ward}-C1"}], status=403)


def test_who_loses_and_who_gets_a_unit_is_told(world, aa, ward):
    made = decide(aa, [{"kind": "move", "organization": f"{ward}-C1", "parent": "AA-W2"}])
    world.staff(world.at("AA-TU", "administrator"), ward, ("viewer",))
    for who in (world.at(ward, "viewer"), world.at("AA-W2", "viewer")):
        assert made["id"] in [i["id"] for i in who.items("/v1/reorganizations", sort="-effective_on")]
    told = world.at(ward, "viewer").get(f"/v1/reorganizations/{made['id']}").json()
    assert told["organizations"] == [] and told["whole"] is False and told["steps"] is None


def test_a_trial_holds_up_no_writer(world, aa, ward, caller):
    """Beside trials one after the other, others write."""
    steps = [{"kind": "establish", "code": f"{ward}-N{n}", "name": f"Tổ {n}", "unit_kind": CELL, "parent": f"{ward}-C1"} for n in range(150)]
    with Background(lambda: decide(caller(aa.token), steps, dry_run="true", status=200)) as trials:
        for period in ("2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2"):
            world.must(caller(world.connector().token).enter("AA-SUM", ward, period, {"number": 1}))
    assert trials.results


def test_who_sees_a_part_reads_the_decision_and_its_own_units(world, aa, ward):
    made = decide(aa, [{"kind": "rename", "organization": ward, "name": "Một"}, {"kind": "rename", "organization": "AA-W2", "name": "Hai"}])
    world.staff(world.at("AA-TU", "administrator"), ward, ("viewer",))
    seen = world.at(ward, "viewer").get(f"/v1/reorganizations/{made['id']}").json()
    assert seen["organizations"] == [ward] and seen["whole"] is False and seen["steps"] is None and seen["impact"] is None
    assert world.at("BB-TU", "manager").get(f"/v1/reorganizations/{made['id']}").status == 404
    # where a unit came from or goes to is out of sight as well
    away = decide(aa, [{"kind": "move", "organization": f"{ward}-C2", "parent": "AA-W2"}], on="2027-01-01")
    seen = world.at(ward, "viewer").get(f"/v1/reorganizations/{away['id']}")
    assert seen.json()["organizations"] == [f"{ward}-C2"] and seen.json()["whole"] is False and "AA-W2" not in seen.text
    own = decide(aa, [{"kind": "rename", "organization": f"{ward}-C1", "name": "Ba"}])
    seen = world.at(ward, "viewer").get(f"/v1/reorganizations/{own['id']}").json()
    assert seen["whole"] is True and seen["steps"] and seen["impact"] is None
    assert made["id"] in [i["id"] for i in world.at(ward, "viewer").items("/v1/reorganizations", organization=ward, sort="-effective_on")]
    assert made["id"] not in [i["id"] for i in world.at("AA-W1", "viewer").items("/v1/reorganizations", state="in_force")]


def test_a_decision_that_cannot_take_effect_holds_up_nobody(world, aa, ward, moved):
    """Its unit's code was free in the other root when it was planned; it is tried again, and told meanwhile."""
    account = world.account(world.at("AA-TU", "administrator"), "ca.hai.nua", ("AA-TU", "manager"))
    world.service.cluster.query("""INSERT INTO tiendo.access_grant (id, account_id, organization_id, role, valid_from)
        SELECT tiendo.uuid_v7(), %s, id, 'manager', '2025-01-01' FROM tiendo.organization WHERE code = 'BB-TU'""", [account["id"]])
    stuck = decide(world.as_("ca.hai.nua"), [{"kind": "move", "organization": f"{ward}-C1", "parent": "BB-W1"}], on="2026-11-25")
    fine = decide(aa, [{"kind": "rename", "organization": ward, "name": "Tên mai sau"}], on="2026-11-25")
    world.unit(world.at("BB-TU", "manager"), f"{ward}-C1", "Trùng mã", CELL, "BB-W1")
    moved.move(5 * 86400)
    world.forget()
    later = world.at("AA-TU", "manager")
    assert wait_for(lambda: unit(later, ward)["name"] == "Tên mai sau")
    assert later.get(f"/v1/reorganizations/{fine['id']}").json()["state"] == "in_force"
    assert later.get(f"/v1/reorganizations/{stuck['id']}").json()["state"] == "stuck"
    assert unit(later, f"{ward}-C1")["parent"]["code"] == ward
    # what stood in the way goes, and within the hour it takes effect; then the way back is open too
    clash = world.service.cluster.query("""UPDATE tiendo.organization o SET code = o.code || '-TAM' FROM tiendo.organization r
        WHERE r.code = 'BB-TU' AND o.root_id = r.id AND o.code = %s RETURNING o.id""", [f"{ward}-C1"])[0][0]
    moved.move(5 * 86400 + 3700)
    world.forget()
    assert wait_for(lambda: world.as_("ca.hai.nua").get(f"/v1/reorganizations/{stuck['id']}").json()["state"] == "in_force")
    assert world.at("BB-TU", "manager").get(f"/v1/organizations/{ward}-C1").json()["parent"]["code"] == "BB-W1" and clash
    answer = world.as_("ca.hai.nua").post(f"/v1/reorganizations/{stuck['id']}/revert", {"reason": "Trùng mã"}, [("If-Match", "*")])
    assert answer.status == 200 and answer.json()["state"] == "reverted"


def test_the_audit_trail_of_a_decision_tells_no_more_than_the_decision(world, aa, ward):
    other = samples.fresh("AA-RW")
    world.unit(aa, other, "Đảng ủy phường kín", WARD, "AA-TU")
    made = decide(aa, [{"kind": "rename", "organization": ward, "name": "Một"}, {"kind": "rename", "organization": other, "name": "Tên giấu kín"}], on="2027-01-01")
    for code in (ward, other):
        world.staff(world.at("AA-TU", "administrator"), code, ("manager",))
        found = world.at(code, "manager").get("/v1/audit-events", resource=f"reorganization:{made['id']}", embed="before,after")
        assert len(found.json()["items"]) == 1 and "giấu kín" not in found.text, found.text
    refused = world.at(ward, "manager").post(f"/v1/reorganizations/{made['id']}/revert", {"reason": "x"}, [("If-Match", "*")])
    assert refused.status == 403 and other not in refused.text


def test_what_is_entrusted_goes_no_further_than_its_giver(world, aa, ward):
    """A mandate over a unit that has left the giver's subtree gives nothing."""
    admin, host = world.at("AA-TU", "administrator"), samples.fresh("AA-RW")
    world.unit(aa, host, "Đảng ủy phường chủ", WARD, "AA-TU")
    world.staff(admin, ward, ("administrator",))
    world.staff(admin, f"{ward}-C1", ("manager",))
    world.must(world.at(ward, "administrator").post("/v1/mandates", {"unit": f"{ward}-C1", "over": f"{ward}-C2", "functions": ["read", "define", "enter"]}))
    holder = world.at(f"{ward}-C1", "manager")
    assert unit(holder, f"{ward}-C2")["parent"]["code"] == ward and len(holder.get("/v1/me").json()["mandates"]) == 1
    decide(aa, [{"kind": "move", "organization": f"{ward}-C2", "parent": host}])
    assert unit(holder, f"{ward}-C2", 404) and holder.get("/v1/me").json()["mandates"] == []


def test_a_corrected_name_stays_corrected(world, aa, ward):
    """Through stretches that a planned decision cut, and before a unit's first day."""
    decide(aa, [{"kind": "move", "organization": f"{ward}-C1", "parent": "AA-W2"}], on="2026-12-15")
    assert aa.patch(f"/v1/organizations/{ward}-C1", {"name": "Chi bộ sửa tên"}, "*").status == 200
    for day in ("2025-02-01", "2026-11-21", "2027-01-01"):
        assert unit(aa, f"{ward}-C1", as_of=day)["name"] == "Chi bộ sửa tên", day
    new = samples.fresh("AA-NEW")
    decide(aa, [{"kind": "establish", "code": new, "name": "Chi bộ mai sau", "unit_kind": CELL, "parent": ward}], on="2027-01-01")
    assert aa.patch(f"/v1/organizations/{new}", {"name": "Chi bộ sẽ có"}, "*").status == 200
    assert unit(aa, new, as_of="2027-02-01")["name"] == "Chi bộ sẽ có"
    decide(aa, [{"kind": "rename", "organization": ward, "name": "Tên sau"}], on="2026-08-01")
    assert aa.patch(f"/v1/organizations/{ward}", {"name": "Tên sau nữa"}, "*").status == 200
    assert unit(aa, ward, as_of="2026-07-31")["name"] == f"Đảng ủy phường {ward}"
    world.staff(world.at("AA-TU", "administrator"), ward, ("manager",))
    assert world.at(ward, "manager").patch(f"/v1/organizations/{ward}", {"name": "Tự đổi"}, "*").status == 403
    assert world.at(ward, "manager").patch(f"/v1/organizations/{ward}", {"note": "ghi chú"}, "*").status == 200


def test_two_roots_are_joined_by_who_holds_both(world, aa, ward):
    steps = [{"kind": "merge", "organizations": ["BB-TU"], "into": "AA-TU"}]
    assert faults(decide(aa, steps, status=422)) == [("#/steps/0/organizations/0", "unknown_reference")]
    account = world.account(world.at("AA-TU", "administrator"), "ca.hai", ("AA-TU", "manager"))
    both = world.as_("ca.hai")
    assert decide(both, steps, status=422, dry_run="true")
    # the other province's administrator cannot see the account: it knows its id, by which it was asked
    world.service.cluster.query("""INSERT INTO tiendo.access_grant (id, account_id, organization_id, role, valid_from)
        SELECT tiendo.uuid_v7(), %s, id, 'manager', '2025-01-01' FROM tiendo.organization WHERE code = 'BB-TU'""", [account["id"]])
    clash = world.unit(world.at("BB-TU", "manager"), ward, "Trùng mã", WARD, "BB-TU", valid_from="2025-02-01")
    refused = decide(both, [{"kind": "move", "organization": clash["id"], "parent": "AA-TU"}], on="2027-05-01", status=422)
    assert faults(refused) == [("#/steps", "code_taken")] and ward in refused.text
    decide(world.at("BB-TU", "manager"), [{"kind": "dissolve", "organization": ward}], on="2025-02-02")
    world.service.cluster.query("UPDATE tiendo.organization SET code = code || '-CU' WHERE id = %s", [clash["id"]])
    tried = decide(both, steps, status=200, dry_run="true")
    assert tried["impact"]["lineage"] == [{"predecessor": "BB-TU", "successor": "AA-TU"}]
    decide(both, steps, on="2026-11-01")
    assert unit(aa, "BB-W1")["parent"]["code"] == "AA-TU" and unit(aa, "BB-TU")["valid_to"] == "2026-10-31"
    assert aa.get("/v1/programmes/BB-P").status == 200
    assert world.at("BB-W1", "viewer").get("/v1/organizations/BB-W1-C1").status == 200


def test_the_operator_decides_over_any_root(world, service, aa, ward, tmp_path):
    file = tmp_path / "decision.json"
    file.write_text('{"decision": "1-NQ", "effective_on": "2026-07-01", "steps": [{"kind": "rename", "organization": "%s", "name": "Theo nghị quyết"}]}' % ward)
    tried = service.command("reorganize", "--dry-run", str(file))
    assert '"renamed": 1' in tried.stdout and unit(aa, ward)["name"] != "Theo nghị quyết"
    service.command("reorganize", str(file))
    assert unit(aa, ward)["name"] == "Theo nghị quyết"
    assert service.command("reorganize", check=False).returncode == service.command("reorganize", "a", "b", check=False).returncode == 2
    refused = service.command("reorganize", str(file), check=False)
    assert refused.returncode == 1 and "unchanged" in refused.stderr
    for wrong in ((), ("a", "b"), ("--dry-run",)):
        told = service.command("reorganize", *wrong, check=False)
        assert told.returncode == 2 and told.stderr.startswith("Usage:"), told.stderr
