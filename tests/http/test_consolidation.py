"""Consolidation: what the reports sent to a unit say together, gathered and added up in that unit's own draft."""
from decimal import Decimal

import pytest
from harness.crowd import together
from harness.gathering import RECEIVE, duty, report
from harness.samples import fresh
from harness.world import CELL, WARD

REASON = {"reason": "Số liệu chưa khớp"}
PERIOD = "2026-Q1"


def enter(world, indicator, unit, body, period=PERIOD):
    path = f"/v1/values/{indicator}/{unit}/{period}"
    tag = world.connector().get(path).etag
    answer = world.connector().put(path, body, [("If-Match", tag) if tag else ("If-None-Match", "*")])
    assert answer.status in (200, 201), answer


class Quarter:
    """The wards report to AA-BTG, which reports to AA-TU, on indicators of this kind and aggregation."""

    def __init__(self, world, cluster, *kinds, acceptance="receipt", sections=("results", "next"), own_sections=("results", "next"), **more):
        self.world, self.cluster = world, cluster
        manager = world.at("AA-TU", "manager")
        self.indicators = [world.indicator(manager, fresh("TH"), "AA-P", kind, rule, **more)["code"] for kind, rule in kinds]
        for code in self.indicators:
            world.assign(manager, code, kind=WARD, under="AA-TU")
        self.below = duty(cluster, fresh("TH"), "AA-BTG", ["AA-W1", "AA-W2"], self.indicators, sections, acceptance=acceptance)
        self.above = duty(cluster, fresh("TH"), "AA-TU", ["AA-BTG"], self.indicators, own_sections)
        self.wards = [report(world, cluster, self.below, unit) for unit in ("AA-W1", "AA-W2")]
        self.own = report(world, cluster, self.above, "AA-BTG")

    def run(self, body=None, by=None):
        return self.world.must(self.own.consolidate({"duties": [self.below["code"]], **(body or {})}, by), 200)

    def figures(self, **body):
        return {f["indicator"]: f["new"] for f in self.run(body)["figures"]}

    def send(self, *bodies, steps=(RECEIVE,), **texts):
        """Each ward enters this for every indicator, sends, and goes these steps."""
        for ward, body in zip(self.wards, bodies):
            for code in self.indicators:
                enter(self.world, code, ward.unit, body)
            ward.send(*steps, **{"results": f"Kết quả của {ward.unit}", **texts})
        return self


def numbers(total):
    return None if total is None else tuple(None if total[k] is None else Decimal(total[k]) for k in ("numerator", "denominator", "number", "percent"))


def ratio(numerator, denominator):
    return {"numerator": numerator, "denominator": denominator}


# ---- figures --------------------------------------------------------------------------------------------------
def test_a_ratio_is_the_ratio_of_the_sums_and_never_a_mean_of_percentages(world, cluster):
    q = Quarter(world, cluster, ("ratio", "ratio_of_sums")).send(ratio(1, 1), ratio(1, 99))
    total = q.figures()[q.indicators[0]]
    assert numbers(total) == (2, 100, None, 2), "the mean of 100 % and 1.01 % would be 50.5 %"
    assert (total["reported_units"], total["expected_units"]) == (2, 2)
    assert [(p["organization"], p["report"], p["version"], p["numerator"], p["denominator"], p["revision"]) for p in total["parts"]] == [
        ("AA-W1", q.wards[0].id, 1, 1, 1, 1), ("AA-W2", q.wards[1].id, 1, 1, 99, 1)]


@pytest.mark.parametrize("rule, expected", [("sum", 10), ("min", 3), ("max", 7), ("average", 5)])
def test_a_number_is_added_up_as_its_indicator_says(world, cluster, rule, expected):
    q = Quarter(world, cluster, ("number", rule)).send({"number": 3}, {"number": 7})
    assert numbers(q.figures()[q.indicators[0]]) == (None, None, expected, None)


def test_milestones_count_those_that_are_done(world, cluster):
    q = Quarter(world, cluster, ("milestone", "count_done")).send({"done_on": "2026-02-01"}, {"done": False})
    total = q.figures()[q.indicators[0]]
    assert numbers(total) == (None, None, 1, None) and [p["done"] for p in total["parts"]] == [True, False]


def test_what_does_not_add_up_is_left_out(world, cluster):
    q = Quarter(world, cluster, ("number", "none"), ("number", "last"), ("rank", "none")).send({"number": 3}, {"number": 7})
    assert q.run()["figures"] == []


def test_what_does_not_apply_is_neither_counted_nor_expected(world, cluster):
    q = Quarter(world, cluster, ("number", "average")).send({"number": 4}, {"state": "not_applicable"})
    total = q.figures()[q.indicators[0]]
    assert numbers(total) == (None, None, 4, None) and (total["reported_units"], total["expected_units"]) == (1, 1)
    assert [p["state"] for p in total["parts"]] == ["reported", "not_applicable"]


def test_categories_are_added_up_each_by_itself(world, cluster):
    q = Quarter(world, cluster, ("number", "sum"), categories=["nam", "nữ"])
    for ward, first in zip(q.wards, (1, 10)):
        for category, more in (("nam", 0), ("nữ", 5)):
            world.must(world.connector().put(f"/v1/values/{q.indicators[0]}/{ward.unit}/{PERIOD}", {"number": first + more}, [("If-None-Match", "*")],
                                             category=category))
        ward.send(RECEIVE, results="x")
    assert [(f["category"], f["new"]["number"], f["new"]["expected_units"]) for f in q.run()["figures"]] == [("nam", 11, 2), ("nữ", 21, 2)]


def test_the_figures_are_those_that_were_submitted(world, cluster):
    q = Quarter(world, cluster, ("number", "sum")).send({"number": 3}, {"number": 7})
    q.wards[0].must("return", REASON, q.wards[0].reviewer)
    enter(world, q.indicators[0], "AA-W1", {"number": 1000})
    total = q.run({"states": ["received"]})
    assert total["figures"][0]["new"]["number"] == 7 and total["completeness"]["received"] == 1, "what is being corrected is not there"
    q.wards[0].send(results="Lần hai")
    assert q.run()["figures"][0]["new"]["number"] == 7, "not before it is received"
    assert q.run({"states": ["submitted", "received"], "dry_run": True})["figures"][0]["new"]["number"] == 1007
    q.wards[0].must("receive", None, q.wards[0].reviewer)
    part = q.run()["figures"][0]["new"]["parts"][0]
    assert (part["number"], part["version"], part["revision"]) == (1000, 2, 2)


def test_beneath_a_total_nothing_counts(world, cluster):
    """AA-W1 reports for its whole subtree; its cells' own figures are in it already."""
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, fresh("TH"), "AA-P", "number")["code"]
    world.assign(manager, code, organization="AA-W1", mode="total")
    world.assign(manager, code, organization="AA-W2")
    world.assign(manager, code, organization="AA-W1-C1")
    world.staff(world.at("AA-TU", "administrator"), "AA-W1-C1", ("approver",))
    below = duty(cluster, fresh("TH"), "AA-BTG", ["AA-W1", "AA-W2", "AA-W1-C1"], [code])
    own = report(world, cluster, duty(cluster, fresh("TH"), "AA-TU", ["AA-BTG"], [code]), "AA-BTG")
    for unit, number in (("AA-W1", 100), ("AA-W2", 10), ("AA-W1-C1", 40)):
        enter(world, code, unit, {"number": number})
        report(world, cluster, below, unit).send(RECEIVE, results="x")
    done = world.must(own.consolidate({"duties": [below["code"]]}), 200)
    total = done["figures"][0]["new"]
    assert total["number"] == 110 and (total["reported_units"], total["expected_units"]) == (2, 2)
    assert [p["organization"] for p in total["parts"]] == ["AA-W1", "AA-W2"]
    assert done["completeness"]["received"] == 3 and [g["organization"] for g in done["sections"][0]["new"]] == ["AA-W1", "AA-W1-C1", "AA-W2"]
    progress = manager.get("/v1/progress", organization="AA-TU", period=PERIOD, indicator=code).json()["items"][0]
    assert progress["value"] == 110, "as in every other aggregate"


def test_a_figure_that_came_two_ways_counts_once(world, cluster):
    """Cells report to their ward, which consolidates and reports to AA-BTG; one cell reports there by itself too."""
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    cells = ["AA-W1-C1", "AA-W1-C2", "AA-W1-C3"]
    code = world.indicator(manager, fresh("TH"), "AA-P", "number", "average")["code"]
    world.assign(manager, code, kind=CELL, under="AA-TU")
    world.assign(manager, code, kind=WARD, under="AA-TU")
    to_ward = duty(cluster, fresh("TH"), "AA-W1", cells, [code])
    below = duty(cluster, fresh("TH"), "AA-BTG", ["AA-W1", "AA-W2", "AA-W1-C1"], [code])
    own = report(world, cluster, duty(cluster, fresh("TH"), "AA-TU", ["AA-BTG"], [code]), "AA-BTG")
    for cell, number in zip(cells, (1, 2, 6)):
        world.staff(admin, cell, ("approver",))
        enter(world, code, cell, {"number": number})
        if cell != "AA-W1-C3":
            report(world, cluster, to_ward, cell).send(RECEIVE, results="x")
    report(world, cluster, to_ward, "AA-W1-C3")
    enter(world, code, "AA-W1", {"number": 31})
    enter(world, code, "AA-W2", {"number": 50})
    ward = report(world, cluster, below, "AA-W1")
    first = world.must(ward.consolidate({"duties": [to_ward["code"]]}), 200)
    assert first["figures"][0]["new"]["number"] == 1.5 and first["figures"][0]["new"]["expected_units"] == 3
    late = first["completeness"]["missing"][0]
    assert first["completeness"] == {"received": 2, "expected": 3, "missing": [{
        "report": late["report"], "duty": to_ward["code"], "period": PERIOD, "due_on": world.must(ward.author.get(f"/v1/reports/{late['report']}"), 200)["due_on"],
        "organization": "AA-W1-C3", "name": "Chi bộ khu phố 3", "state": "expected"}]}
    ward.send(RECEIVE, results="Tổng hợp")
    sent = world.must(ward.reviewer.get(ward.path), 200)["figures"]
    assert [(f["consolidated"], f["number"], f["reported_units"]) for f in sent] == [(False, 31, None), (True, Decimal("1.5"), 2)]
    report(world, cluster, below, "AA-W1-C1").send(RECEIVE, results="x")
    report(world, cluster, below, "AA-W2").send(RECEIVE, results="x")
    total = world.must(own.consolidate({"duties": [below["code"]]}), 200)["figures"][0]["new"]
    assert total["number"] == Decimal(1 + 2 + 31 + 50) / 4, "of the units, not of the averages"
    assert [(p["organization"], p["number"], "via" in p) for p in total["parts"]] == [
        ("AA-W1", 31, False), ("AA-W1-C1", 1, False), ("AA-W1-C2", 2, True), ("AA-W2", 50, False)]
    assert total["parts"][2]["via"] == ward.id
    assert (total["reported_units"], total["expected_units"]) == (4, 6), "AA-W1 speaks for its four cells, of which two are missing"


# ---- texts ----------------------------------------------------------------------------------------------------
def test_sections_are_gathered_in_tree_order_with_their_source(world, cluster):
    q = Quarter(world, cluster, sections=("results", "difficulties"), own_sections=("results", "difficulties", "next"))
    q.wards[1].send(RECEIVE, results="Kết quả W2", difficulties="  \n ")
    q.wards[0].send(RECEIVE, results="Kết quả W1", difficulties="Thiếu kinh phí")
    done = q.run()
    gathered = {s["code"]: s["new"] for s in done["sections"]}
    assert gathered["results"] == [
        {"report": q.wards[0].id, "organization": "AA-W1", "name": "Đảng ủy phường Hòa Bình", "version": 1, "text": "Kết quả W1"},
        {"report": q.wards[1].id, "organization": "AA-W2", "name": "Đảng ủy xã Đại Phước", "version": 1, "text": "Kết quả W2"}]
    assert [g["organization"] for g in gathered["difficulties"]] == ["AA-W1"] and gathered["next"] == []
    assert [(s["code"], s["text"], s["gathered"]) for s in q.own.read()["sections"]] == [(c, None, gathered[c]) for c in ("results", "difficulties", "next")]


def test_what_a_person_wrote_stays_and_the_rest_is_replaced(world, cluster):
    q = Quarter(world, cluster, ("number", "sum"))
    q.send({"number": 3}, {"number": 4})
    q.own.write("Lời của Ban")
    before = q.own.read()["version"]
    first = q.run()
    assert first["changed"] and first["version"] == before + 1 and first["state"] == "draft"
    q.wards[0].must("return", REASON, q.wards[0].reviewer)
    q.wards[0].send(RECEIVE, results="Bản mới")
    again = q.run()
    results = next(s for s in q.own.read()["sections"] if s["code"] == "results")
    assert results["text"] == "Lời của Ban" and [g["text"] for g in results["gathered"]] == ["Bản mới", "Kết quả của AA-W2"]
    assert again["sections"][0]["change"] == "changed" and [g["version"] for g in again["sections"][0]["new"]] == [2, 1]
    history = q.own.author.items(f"{q.own.path}/history")
    assert [e["action"] for e in history] == ["edit", "consolidate", "consolidate"]
    q.own.write("Lời mới")
    assert q.run({"dry_run": True})["changed"] is False


def test_a_run_that_finds_no_difference_changes_nothing(world, cluster):
    q = Quarter(world, cluster, ("ratio", "ratio_of_sums")).send(ratio(1, 3), ratio(2, 3))
    first = q.run()
    events = len(q.own.author.items(f"{q.own.path}/history"))
    again = q.run()
    assert not again["changed"] and again["version"] == first["version"]
    assert [(x["change"], x["old"]) for x in again["figures"] + again["sections"]] == [("unchanged", None)] * 3
    assert [x["new"] for x in again["figures"] + again["sections"]] == [x["new"] for x in first["figures"] + first["sections"]]
    assert len(q.own.author.items(f"{q.own.path}/history")) == events
    assert cluster.query("SELECT count(*) FROM journal WHERE resource_id = %s AND action = 'consolidate'", [q.own.id]) == [(1,)]


def test_nothing_to_gather_leaves_a_report_untouched(world, cluster):
    q = Quarter(world, cluster, ("number", "sum"))
    done = q.run()
    assert not done["changed"] and done["state"] == "expected" and done["figures"] == []
    assert done["completeness"]["received"] == 0 and [m["state"] for m in done["completeness"]["missing"]] == ["expected", "expected"]


def test_only_the_sections_asked_for_are_gathered_anew(world, cluster):
    q = Quarter(world, cluster).send({}, {}, next="Tiếp")
    assert [s["code"] for s in q.run({"sections": ["next"]})["sections"]] == ["next"]
    assert [len(s["gathered"]) for s in q.own.read()["sections"]] == [0, 2]


# ---- a dry run, preconditions, refusals -----------------------------------------------------------------------
def test_a_dry_run_answers_what_the_run_would_and_writes_nothing(world, cluster):
    q = Quarter(world, cluster, ("number", "sum")).send({"number": 3}, {"number": 4})
    tag = q.own.author.get(q.own.path).etag
    dry = q.run({"dry_run": True})
    assert dry["dry_run"] and dry["changed"] and q.own.author.get(q.own.path).etag == tag and q.own.read()["figures"] == []
    done = q.run()
    assert {**dry, "dry_run": False, "version": done["version"], "state": "draft"} == done
    assert [f["old"] for f in done["figures"]] == [None] and done["figures"][0]["change"] == "added"


def test_it_needs_the_version_it_replaces(world, cluster):
    q = Quarter(world, cluster).send({}, {})
    assert q.own.consolidate(match=None).status == 428
    assert q.own.consolidate(match='"99"').status == 412
    tag = q.own.author.get(q.own.path).etag
    done = q.own.consolidate(match=tag)
    assert done.status == 200 and q.own.consolidate(match=tag).status == 412
    assert q.own.consolidate(match=done.etag).status == 200


def test_of_two_at_once_one_writes_and_the_other_is_told(world, cluster, caller):
    q = Quarter(world, cluster, ("number", "sum")).send({"number": 3}, {"number": 4})
    tag = q.own.author.get(q.own.path).etag
    answers = together([caller(q.own.author.token) for _ in range(2)], lambda by, _: q.own.consolidate(by=by, match=tag))
    assert sorted(a.status for a in answers) == [200, 412]
    freely = together([caller(q.own.author.token) for _ in range(4)], lambda by, n: q.own.consolidate({"sections": ["results", "next"][n % 2:]}, by))
    assert {a.status for a in freely} == {200} and not any(a.json()["changed"] for a in freely)


def test_the_same_key_answers_the_same(world, cluster):
    q = Quarter(world, cluster).send({}, {})
    headers = [("If-Match", "*"), ("Idempotency-Key", fresh("key"))]
    first, again = (q.own.author.post(f"{q.own.path}/consolidate", {}, headers) for _ in range(2))
    assert first.status == again.status == 200 and again.header("Idempotency-Replayed") == "true" and first.json() == again.json()
    assert q.own.author.post(f"{q.own.path}/consolidate", {"dry_run": True}, headers).status == 422


def test_only_its_author_and_only_while_it_is_written(world, cluster):
    q = Quarter(world, cluster).send({}, {})
    refused = q.own.consolidate(by=world.at("AA-TU", "approver"))
    assert refused.status == 403 and refused.code == "forbidden"
    assert q.own.consolidate(by=world.at("AA-BTG", "viewer")).status == 403
    for seat in ("AA-W1", "BB-W1"):
        assert q.own.consolidate(by=world.at(seat, "approver")).status == 404
    q.run()
    q.own.send(results="Báo cáo tổng hợp")
    late = q.own.consolidate()
    assert late.status == 409 and late.code == "wrong_state"
    q.own.must("return", REASON, world.at("AA-TU", "approver"))
    assert q.own.consolidate().status == 200


def test_what_is_named_must_be_there(world, cluster):
    q = Quarter(world, cluster)
    answer = q.own.consolidate({"duties": ["KHONG-CO", q.above["code"]], "sections": ["results", "khong"]})
    assert answer.status == 422 and answer.faults() == {("#/duties/0", "unknown_reference"), ("#/duties/1", "unknown_reference"), ("#/sections/1", "unknown_reference")}
    for body in ({"states": ["draft"]}, {"duties": []}, {"zz": 1}, {"dry_run": "x"}):
        assert q.own.consolidate(body).status == 422, body


# ---- which reports --------------------------------------------------------------------------------------------
def test_where_nobody_accepts_what_was_submitted_counts(world, cluster):
    q = Quarter(world, cluster, ("number", "sum"), acceptance="none")
    q.send({"number": 3}, {"number": 4}, steps=())
    done = q.run()
    assert done["figures"][0]["new"]["number"] == 7 and done["completeness"]["received"] == 2


def test_what_was_waived_is_not_expected(world, cluster):
    q = Quarter(world, cluster, ("number", "sum"))
    enter(world, q.indicators[0], "AA-W1", {"number": 3})
    q.wards[0].send(RECEIVE, results="x")
    q.wards[1].must("waive", REASON, q.wards[1].reviewer)
    done = q.run()
    assert done["completeness"] == {"received": 1, "expected": 1, "missing": []}
    assert done["figures"][0]["new"]["expected_units"] == 1


def test_the_reports_of_every_duty_that_ends_with_the_period_are_taken(world, cluster):
    """Without duties named: quarterly, monthly and half-yearly ones to the unit; what ends earlier or goes elsewhere is not."""
    half = duty(cluster, fresh("TH"), "AA-BTG", ["AA-W1"], period="2026-S1", cadence="half_year")
    month = duty(cluster, fresh("TH"), "AA-BTG", ["AA-W1"], period="2026-M06", cadence="month")
    early = duty(cluster, fresh("TH"), "AA-BTG", ["AA-W1"], period="2026-M05", cadence="month")
    other = duty(cluster, fresh("TH"), "AA-W2", ["AA-W1"], period="2026-Q2")
    elsewhere = duty(cluster, fresh("TH"), "AA-BTG", ["AA-W2"], period="2026-Q2")
    quarterly = duty(cluster, fresh("TH"), "AA-BTG", ["AA-W1"], period="2026-Q2")
    made = {d["code"]: report(world, cluster, d, d["units"][0]).send(RECEIVE, results=d["code"]) for d in (half, month, early, other, elsewhere, quarterly)}
    own = report(world, cluster, duty(cluster, fresh("TH"), "AA-TU", ["AA-BTG"], period="2026-Q2"), "AA-BTG")

    def taken(**body):
        return {g["text"] for g in world.must(own.consolidate({**body, "dry_run": True}), 200)["sections"][0]["new"]}
    assert taken() == {month["code"], elsewhere["code"], quarterly["code"]}
    assert taken(duties=[early["code"], quarterly["code"]]) == {early["code"], quarterly["code"]}
    cluster.query("INSERT INTO report_duty_stands_for VALUES (%s, %s, '{Q2}') RETURNING 1", [half["id"], quarterly["id"]])
    assert taken() == {month["code"], elsewhere["code"], quarterly["code"], half["code"]}, "the half-year's is also the second quarter's"
    assert taken(duties=[half["code"]]) == {half["code"]}
    assert len(made) == 6


def test_a_connected_system_gathers_what_it_sees(world, cluster):
    """The client of AA-W1 writes for the unit below it, and sees nothing of AA-W2."""
    world.client(world.at("AA-TU", "administrator"), fresh("may"), "AA-W1", world.contract.schema("ClientScope")["enum"])
    machine = world.connector(list(world.clients)[-1])
    below = duty(cluster, fresh("TH"), "AA-W1-C1", ["AA-W1-C2", "AA-W2"])
    world.staff(world.at("AA-TU", "administrator"), "AA-W1-C2", ("approver",))
    for unit in below["units"]:
        report(world, cluster, below, unit).send(RECEIVE, results=unit)
    own = report(world, cluster, duty(cluster, fresh("TH"), "AA-W1", ["AA-W1-C1"]), "AA-W1-C1")
    seen = world.must(own.consolidate({"dry_run": True}, machine), 200)
    assert [g["text"] for g in seen["sections"][0]["new"]] == ["AA-W1-C2"] and seen["completeness"]["expected"] == 1
    assert [g["text"] for g in world.must(own.consolidate(), 200)["sections"][0]["new"]] == ["AA-W1-C2", "AA-W2"]


# ---- what becomes of it ---------------------------------------------------------------------------------------
def test_it_is_submitted_with_the_report_and_what_changed_is_told(world, cluster):
    q = Quarter(world, cluster, ("ratio", "ratio_of_sums")).send(ratio(1, 10), ratio(2, 10))
    q.run()
    q.own.send(results="Quý I")
    sent = world.must(world.at("AA-TU", "approver").get(q.own.path), 200)
    assert [(f["consolidated"], f["numerator"], f["denominator"], f["percent"], f["reported_units"], f["expected_units"]) for f in sent["figures"]] == [
        (True, 3, 20, 15, 2, 2)]
    parts = cluster.query("SELECT parts FROM report_figure WHERE report_id = %s AND consolidated", [q.own.id])[0][0]
    assert sum(p["numerator"] for p in parts) == 3
    q.own.must("return", REASON, world.at("AA-TU", "approver"))
    q.wards[1].must("return", REASON, q.wards[1].reviewer)
    enter(world, q.indicators[0], "AA-W2", ratio(9, 10))
    q.wards[1].send(RECEIVE, results="Sửa lại")
    q.run()
    found = world.must(q.own.changes(), 200)
    figure, = found["figures"]
    assert figure["consolidated"] and [(f["numerator"], f["percent"]) for f in (figure["old"], figure["new"])] == [(3, 15), (10, 50)]
    assert figure["revisions"] == [None, None]
    section, = found["sections"]
    assert section["old"] == section["new"] == "Quý I" and [(g["organization"], g["change"], g["versions"], g["old"], g["new"]) for g in section["gathered"]] == [
        ("AA-W2", "changed", [1, 2], "Kết quả của AA-W2", "Sửa lại")]
