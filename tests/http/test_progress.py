"""Progress and its explanation, against the model in harness/model.py."""
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from harness import model, samples

TODAY = date(2026, 11, 21)


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


@pytest.fixture
def make(world, aa):
    """A fresh indicator of the cells, entered by the wards, with values for 2026-Q2."""
    def build(kind="ratio", values=(), assign=True, **more):
        code = world.indicator(aa, samples.fresh("AA-G"), "AA-P", kind, **more)["code"]
        if assign:
            world.assign(aa, code, kind="party_cell", under="AA-TU", entered_by="superior")
        for unit, body in dict(values).items():
            world.must(world.at(unit[:5], "reporter").enter(code, unit, "2026-Q2", body))
        return code
    return build


def ask(who, unit, code, period="2026-Q2", **more):
    answer = who.get("/v1/progress", organization=unit, period=period, indicator=code, **more)
    assert answer.status == 200, answer
    return answer.json()


def item(by, unit, code, period="2026-Q2"):
    found = ask(by, unit, code, period)["items"]
    assert len(found) == 1, found
    return found[0]


def cells(by, unit):
    return {c["code"] for c in by.items("/v1/organizations", under=unit, kind="party_cell")
            if c["valid_from"] <= "2026-06-30" and (c["valid_to"] or "9999") >= "2026-06-30"}


RATIOS = {"AA-W1-C1": {"numerator": 12, "denominator": 30}, "AA-W1-C2": {"numerator": 30, "denominator": 30},
          "AA-W1-C3": {"state": "not_applicable"}, "AA-W2-C1": {"numerator": 1, "denominator": 7}}


def test_a_ratio_is_the_ratio_of_the_sums(aa, make):
    code = make(values=RATIOS)
    for unit, n, d, reporting, na in (("AA-TU", 43, 67, 3, 1), ("AA-W1", 42, 60, 2, 1), ("AA-W2", 1, 7, 1, 0), ("AA-W1-C2", 30, 30, 1, 0)):
        got = item(aa, unit, code)
        assert (got["numerator"], got["denominator"]) == (n, d)
        assert model.same(got["value"], Fraction(100 * n, d), 4), got
        expected = model.coverage(len(cells(aa, unit)), reporting, na)
        assert {k: v for k, v in got["coverage"].items() if k != "rate"} == {k: v for k, v in expected.items() if k != "rate"}
        assert model.same(got["coverage"]["rate"], expected["rate"], 6)
        assert got["periods"] == ["2026-Q2"]


def test_by_children_is_the_same_for_each(aa, make):
    code = make(values=RATIOS)
    whole = ask(aa, "AA-TU", code, by="children")
    assert whole["items"] == ask(aa, "AA-TU", code)["items"]
    below = {c["organization"]["code"]: c["items"] for c in whole["children"]}
    for ward in ("AA-W1", "AA-W2"):
        assert below[ward] == ask(aa, ward, code)["items"]
    assert "AA-BTG" not in below or below["AA-BTG"] == []


@pytest.mark.parametrize("rule,expected", [("sum", "10.5"), ("min", "-2.5"), ("max", "8"), ("average", "3.5")])
def test_numbers(aa, make, rule, expected):
    values = {"AA-W1-C1": {"number": 5}, "AA-W1-C2": {"number": -2.5}, "AA-W2-C1": {"number": 8}, "AA-W2-C2": {"state": "not_applicable"}}
    code = make("number", values, aggregation=rule)
    assert item(aa, "AA-TU", code)["value"] == Decimal(expected)
    assert item(aa, "AA-W2", code)["value"] == 8


def test_milestones_count_the_units_done(aa, make):
    code = make("milestone", {"AA-W1-C1": {"done_on": "2026-05-01"}, "AA-W1-C2": {"done": False}, "AA-W2-C1": {"done_on": "2026-06-30"}})
    got = item(aa, "AA-TU", code)
    assert got["value"] == 2 and got["coverage"]["reporting"] == 3
    assert item(aa, "AA-W2", code)["value"] == 1


def test_missing_is_not_zero_and_nothing_is_carried_forward(aa, make):
    code = make(values={"AA-W1-C1": {"numerator": 0, "denominator": 5}})
    assert item(aa, "AA-W1", code)["value"] == 0
    empty = item(aa, "AA-W2", code)
    assert (empty["value"], empty["numerator"], empty["status"]) == (None, None, "no_data")
    later = item(aa, "AA-W1", code, "2026-Q3")
    assert later["value"] is None and later["coverage"]["reporting"] == 0


def test_nothing_to_count_has_no_percentage(aa, make):
    got = item(aa, "AA-W1", make(values={"AA-W1-C1": {"numerator": 0, "denominator": 0}}))
    assert got["value"] is None and got["coverage"]["reporting"] == 1


def test_right_the_moment_a_write_is_committed(world, aa, make):
    code = make()
    ward, total = world.at("AA-W1", "reporter"), 0
    for n in range(1, 5):
        world.must(ward.enter(code, f"AA-W1-C{n}", "2026-Q2", {"numerator": n, "denominator": 10}))
        total += n
        got = item(aa, "AA-TU", code)
        assert (got["numerator"], got["denominator"]) == (total, 10 * n)
    etag = ward.get(f"/v1/values/{code}/AA-W1-C1/2026-Q2").etag
    ward.enter(code, "AA-W1-C1", "2026-Q2", {"state": "not_applicable"}, etag)
    got = item(aa, "AA-TU", code)
    assert (got["numerator"], got["denominator"], got["coverage"]["not_applicable"]) == (total - 1, 30, 1)


def test_beneath_a_total_values_are_shown_and_never_added(world, aa, make):
    code = make("number", assign=False)
    world.assign(aa, code, organization="AA-W1", mode="total", entered_by="self")
    world.assign(aa, code, kind="party_cell", under="AA-W2", entered_by="superior")
    world.must(world.at("AA-W1", "reporter").enter(code, "AA-W1", "2026-Q2", {"number": 100}))
    world.must(world.at("AA-W1-C1", "reporter").enter(code, "AA-W1-C1", "2026-Q2", {"number": 30}))
    world.must(world.at("AA-W2", "reporter").enter(code, "AA-W2-C1", "2026-Q2", {"number": 7}))
    assert item(aa, "AA-W1", code)["value"] == 100
    assert item(aa, "AA-TU", code)["value"] == 107
    assert item(aa, "AA-W1", code)["coverage"]["expected"] == 1
    beneath = aa.get("/v1/progress/explain", organization="AA-W1", period="2026-Q2", indicator=code).json()["beneath"]
    assert [(b["organization"], b["total"]["number"], b["sum"]["number"], b["difference"]["number"]) for b in beneath] == [("AA-W1", 100, 30, 70)]


TARGETS = {
    "half way": dict(comparator="ge", value=100, baseline=0, starts_on="2026-01-01", due_on="2026-12-31"),
    "no baseline": dict(comparator="ge", value=80, starts_on="2026-01-01", due_on="2026-12-31"),
    "due": dict(comparator="ge", value=90, baseline=10, starts_on="2025-01-01", due_on="2026-06-30"),
    "due later": dict(comparator="ge", value=90, baseline=50, starts_on="2026-06-01", due_on="2028-06-30"),
    "fallen": dict(comparator="ge", value=95, baseline=90, starts_on="2026-01-01", due_on="2027-12-31"),
    "less is better": dict(comparator="le", value=20, baseline=60, starts_on="2026-01-01", due_on="2027-01-01"),
}


@pytest.mark.parametrize("percent", [0, 20, 34, 44, 50, 61, 80, 90, 100])
@pytest.mark.parametrize("name", TARGETS)
def test_achievement_path_pace_and_status(world, aa, make, name, percent):
    target = TARGETS[name]
    direction = "decrease" if target["comparator"] == "le" else "increase"
    code = make(values={"AA-W1-C1": {"numerator": percent, "denominator": 100}}, direction=direction)
    world.set_target(aa, code, "AA-TU", **target)
    got = item(aa, "AA-TU", code)
    known = {**target, "starts_on": date.fromisoformat(target["starts_on"]), "due_on": date.fromisoformat(target["due_on"])}
    way, required, pace, status = model.judge(Fraction(percent), known, date(2026, 6, 30), TODAY, direction)
    assert model.same(got["achievement"], way, 6) and model.same(got["required"], required, 4) and model.same(got["pace"], pace, 6), got
    assert got["status"] == status, got
    assert got["target"]["organization"] == "AA-TU" and got["baseline"] == target.get("baseline")


@pytest.mark.parametrize("number,status", [(4, "not_achieved"), (5, "achieved"), (7.5, "achieved"), (10, "achieved"), (10.1, "not_achieved")])
def test_a_range_is_met_inside(world, aa, make, number, status):
    code = make("number", {"AA-W1-C1": {"number": number}})
    world.set_target(aa, code, "AA-TU", comparator="range", value=5, upper=10, starts_on="2026-01-01", due_on="2027-12-31")
    assert item(aa, "AA-TU", code)["status"] == status


@pytest.mark.parametrize("rank,due,status", [(3, "2027-12-31", "achieved"), (4, "2027-12-31", "not_achieved"), (4, "2026-06-30", "missed")])
def test_a_rank_is_met_at_its_place_or_better(world, aa, make, rank, due, status):
    code = make("rank", assign=False, direction="decrease")
    world.assign(aa, code, organization="AA-TU")
    world.must(aa.enter(code, "AA-TU", "2026-Q2", {"number": rank}))
    world.set_target(aa, code, "AA-TU", comparator="rank", value=3, starts_on="2026-01-01", due_on=due)
    assert item(aa, "AA-TU", code)["status"] == status


def test_more_than_the_stretch_is_no_failure(world, aa, make):
    code = make(values={"AA-W1-C1": {"numerator": 99, "denominator": 100}})
    world.set_target(aa, code, "AA-TU", comparator="ge", value=70, stretch=80, starts_on="2026-01-01", due_on="2026-12-31")
    assert item(aa, "AA-TU", code)["status"] == "achieved"


def test_without_a_target_there_is_nothing_to_assess(aa, make):
    got = item(aa, "AA-TU", make(values=RATIOS))
    assert got["status"] == "not_assessable" and got["target"] is None and got["achievement"] is None


def test_the_nearest_target_above_holds(world, aa, make):
    code = make(values=RATIOS)
    world.set_target(aa, code, "AA-TU", comparator="ge", value=10, starts_on="2026-01-01", due_on="2026-12-31")
    world.set_target(aa, code, "AA-W1", comparator="ge", value=99, starts_on="2026-01-01", due_on="2026-12-31")
    assert item(aa, "AA-W1", code)["target"]["value"] == 99 and item(aa, "AA-W2", code)["target"]["value"] == 10
    assert item(aa, "AA-W2", code)["status"] == "achieved" and item(aa, "AA-W1", code)["status"] != "achieved"


def test_a_year_takes_its_quarters(world, aa, make):
    code = make("number", time_aggregation="sum")
    ward = world.at("AA-W1", "reporter")
    for q, number in (("2026-Q1", 1), ("2026-Q2", 2), ("2026-Q3", 4)):
        world.must(ward.enter(code, "AA-W1-C1", q, {"number": number}))
    got = item(aa, "AA-W1", code, "2026-A1")
    assert got["value"] == 7 and set(got["periods"]) >= {"2026-Q1", "2026-Q2", "2026-Q3"}
    last = make("number", time_aggregation="last")
    for q, number in (("2026-Q1", 1), ("2026-Q2", 2)):
        world.must(ward.enter(last, "AA-W1-C1", q, {"number": number}))
    got = item(aa, "AA-W1", last, "2026-A1")
    assert got["value"] == 2 and got["periods"] == ["2026-Q2"], "and says which one it used"


def test_all_indicators_and_one_programme(aa, make):
    code = make(values=RATIOS)
    answer = aa.get("/v1/progress", organization="AA-TU", period="2026-Q2").json()
    assert {code, "AA-RATIO", "AA-SUM", "AA-MILE"} <= {i["indicator"]["code"] for i in answer["items"]}
    assert aa.get("/v1/progress", organization="AA-TU", period="2026-Q2", programme="AA-P").json()["items"] == answer["items"]


@pytest.mark.parametrize("query", [{"organization": "AA-W2"}, {"organization": "BB-W1"}, {"organization": "NO-SUCH"}])
def test_out_of_scope_reads_like_nonexistent(world, query):
    ward = world.at("AA-W1", "viewer")
    for path in ("/v1/progress", "/v1/progress/explain"):
        answer = ward.get(path, period="2026-Q2", indicator="AA-RATIO", **query)
        assert answer.status == 422 and answer.pointers() == {"organization"}, answer
        assert "AA-W2" not in str(answer.json()["errors"]) and "BB" not in str(answer.json()["errors"])


def test_live_figures_carry_no_tag(aa):
    assert aa.get("/v1/progress", organization="AA-TU", period="2026-Q2").etag is None


# ---- why ----
def explain(by, unit, code, **more):
    answer = by.get("/v1/progress/explain", organization=unit, period="2026-Q2", indicator=code, **more)
    assert answer.status == 200, answer
    return answer.json()


def test_why_it_is_what_it_is(aa, make):
    code = make(values=RATIOS)
    got, figure = explain(aa, "AA-TU", code), item(aa, "AA-TU", code)
    for name in ("value", "numerator", "denominator", "coverage", "aggregation"):
        assert got[name] == figure[name], name
    assert {u["organization"]: u["numerator"] for u in got["units"]} == {"AA-W1-C1": 12, "AA-W1-C2": 30, "AA-W2-C1": 1}
    assert got["units_with_value"] == 3
    assert [u["organization"] for u in got["not_applicable"]] == ["AA-W1-C3"]
    assert {u["organization"] for u in got["missing"]} == cells(aa, "AA-TU") - set(RATIOS)
    assert "numerator" in got["formula"] and "denominator" in got["formula"]


def test_what_pulls_it_down_most(aa, make):
    got = explain(aa, "AA-TU", make(values=RATIOS))
    pulling = [(p["organization"], p["without"]) for p in got["pulling_down"]]
    assert [p[0] for p in pulling] == ["AA-W1-C1", "AA-W2-C1"], "C2 pulls up"
    whole = Fraction(100 * 43, 67)
    for p in got["pulling_down"]:
        n, d = RATIOS[p["organization"]]["numerator"], RATIOS[p["organization"]]["denominator"]
        without = Fraction(100 * (43 - n), 67 - d)
        assert abs(Fraction(p["without"]) - without) <= Fraction(1, 100) and abs(Fraction(p["effect"]) - (whole - without)) <= Fraction(1, 100)


def test_what_moved_it(world, aa, make):
    code = make(values=RATIOS)
    ward = world.at("AA-W1", "reporter")
    etag = ward.get(f"/v1/values/{code}/AA-W1-C1/2026-Q2").etag
    ward.enter(code, "AA-W1-C1", "2026-Q2", {"numerator": 20, "denominator": 30, "reason": "Nhập nhầm"}, etag)
    moved = explain(aa, "AA-TU", code, since="2026-11-01")["moved"]
    assert len(moved) == 5
    assert (moved[0]["organization"], moved[0]["revision"], moved[0]["reason"]) == ("AA-W1-C1", 2, "Nhập nhầm")
    assert (moved[0]["old"]["numerator"], moved[0]["new"]["numerator"]) == (12, 20)
    assert explain(aa, "AA-TU", code, since="2099-01-01")["moved"] == []


def test_the_sentence_is_vietnamese_and_names_the_figures(aa, make):
    got = explain(aa, "AA-W1", make(values=RATIOS))
    assert "Đảng ủy phường Hòa Bình" in got["sentence"] and "70" in got["sentence"] and "42/60" in got["sentence"]
    assert "2026" in got["sentence"] and "Chi bộ khu phố 1" in got["sentence"]
    empty = explain(aa, "AA-W2", make())
    assert "chưa" in empty["sentence"].lower()


def test_top_bounds_the_lists_and_not_the_counts(aa, make):
    got = explain(aa, "AA-TU", make(values=RATIOS), top=1)
    assert len(got["units"]) == 1 and len(got["missing"]) == 1 and got["units_with_value"] == 3


# ---- along which tree ----
def test_the_tree_is_told_and_the_same_while_nothing_changes(aa, make):
    code = make(values=RATIOS)
    now, then = (ask(aa, "AA-TU", code, by="children", tree=tree) for tree in ("current", "reported"))
    assert (ask(aa, "AA-TU", code)["tree"], now["tree"], then["tree"]) == ("current", "current", "reported")
    assert now["items"][0]["value"] == then["items"][0]["value"] and then["items"][0]["coverage"].pop("hidden") == 0
    assert now["items"][0]["coverage"] == then["items"][0]["coverage"]
    assert explain(aa, "AA-TU", code, tree="reported")["value"] == now["items"][0]["value"]
    assert aa.get("/v1/progress", organization="AA-TU", period="2026-Q2", tree="tomorrow").status == 400


def test_a_unit_must_have_existed_to_be_read_on_its_tree(aa):
    new = samples.fresh("AA-NEW")
    made = aa.post("/v1/organizations", {"code": new, "name": "Chi bộ mới", "kind": "party_cell", "parent": "AA-W1", "valid_from": "2026-09-01"})
    assert made.status == 201, made
    for path in ("/v1/progress", "/v1/progress/explain"):
        query = {"organization": new, "period": "2026-Q2", "indicator": "AA-RATIO"}
        answer = aa.get(path, **query, tree="reported")
        assert answer.status == 422 and answer.faults() == {("organization", "did_not_exist")}, answer
        assert aa.get(path, **query, tree="current").status == 200


def test_a_figure_of_some_of_the_units_is_preliminary(world, aa, make):
    code = make(values=RATIOS)
    world.set_target(aa, code, "AA-TU", comparator="ge", value=50, starts_on="2026-01-01", due_on="2026-12-31")
    got = item(aa, "AA-TU", code)
    assert (got["status"], got["preliminary"]) == ("achieved", True)
    assert "(tạm tính)" in explain(aa, "AA-TU", code)["sentence"]
    cell = item(aa, "AA-W1-C2", code)
    assert (cell["status"], cell["preliminary"]) == ("achieved", False)
    assert item(aa, "AA-W2-C2", code)["preliminary"] is False, "nothing reported is no figure"


def test_the_formula_speaks_the_language_of_the_answer(aa, make):
    code = make(values=RATIOS)
    query = {"organization": "AA-TU", "period": "2026-Q2", "indicator": code}
    assert aa.get("/v1/progress/explain", [("Accept-Language", "vi")], **query).json()["formula"] == "100 × Σ tử số / Σ mẫu số"
    assert aa.get("/v1/progress/explain", [("Accept-Language", "en")], **query).json()["formula"] == "100 × Σ numerator / Σ denominator"


def test_units_that_are_not_asked_or_have_nothing_to_tell(aa, make):
    code = make(values=RATIOS)
    assert "không áp dụng đối với" in explain(aa, "AA-W1-C3", code)["sentence"]
    assert "không được giao cho" in explain(aa, "AA-BTG", code)["sentence"]


def test_what_pulls_it_down_stands_in_the_order_of_its_effect(aa, make):
    got = explain(aa, "AA-TU", make(values={"AA-W1-C1": {"numerator": 50, "denominator": 100}, "AA-W2-C1": {"numerator": 0, "denominator": 40},
                                            "AA-W1-C2": {"numerator": 100, "denominator": 100}}))
    effects = [abs(p["effect"]) for p in got["pulling_down"]]
    assert len(effects) == 2 and effects == sorted(effects, reverse=True)


def test_a_milestone_of_one_unit_is_said_once(world, aa, make):
    code = make("milestone", {"AA-W1-C1": {"done": False}})
    world.set_target(aa, code, "AA-TU", comparator="milestone", due_on="2028-12-31")
    assert explain(aa, "AA-W1-C1", code)["sentence"].count("hoàn thành") == 2, "what is, and what is asked for"


def test_a_programme_that_has_ended_asks_for_nothing(world, aa):
    programme = samples.fresh("AA-E")
    made = aa.post("/v1/programmes", {"code": programme, "title": "Đã kết thúc", "owner": "AA-TU", "scope": "AA-TU", "starts_on": "2026-01-01", "ends_on": "2026-03-31"})
    assert made.status == 201, made
    code = world.indicator(aa, samples.fresh("AA-G"), programme, "number")["code"]
    world.assign(aa, code, kind="party_cell", under="AA-TU", entered_by="superior", valid_from="2026-01-01")
    for period, there in (("2026-Q1", True), ("2026-Q2", False)):
        items = aa.get("/v1/progress", organization="AA-TU", period=period).json()["items"]
        assert (code in {i["indicator"]["code"] for i in items}) is there
        sheet = world.at("AA-W1", "reporter").items("/v1/values/sheet", organization="AA-W1", period=period, limit=1000)
        assert (code in {r["indicator"] for r in sheet}) is there
