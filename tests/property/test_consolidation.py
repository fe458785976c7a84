"""Consolidated figures equal a recount by hand: whatever is assigned to whom, entered, sent, received, returned or gathered on the way."""
import pytest
from harness import model
from harness.crowd import wait_for
from harness.gathering import duty, report
from harness.samples import fresh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WARDS = ("AA-W1", "AA-W2")
CELLS = ("AA-W1-C1", "AA-W1-C2", "AA-W2-C1")
TREE = ("AA-W1", "AA-W1-C1", "AA-W1-C2", "AA-W2", "AA-W2-C1")
KINDS = {"ratio_of_sums": "ratio", "sum": "number", "min": "number", "max": "number", "average": "number", "count_done": "milestone"}
PERIOD = "2026-Q1"
BODIES = {
    "ratio": st.tuples(st.integers(0, 50), st.integers(50, 99)).map(lambda t: {"numerator": t[0], "denominator": t[1]}),
    "number": st.integers(-1000, 1000).map(lambda n: {"number": n}),
    "milestone": st.sampled_from([{"done_on": "2026-03-01"}, {"done": False}]),
}
STATES = ["none", "expected", "submitted", "received", "received", "received", "returned"]


@st.composite
def quarters(draw):
    """What each unit is assigned and has to say, where its report to AA-BTG stands, and those of the cells to their wards."""
    rule = draw(st.sampled_from(sorted(KINDS)))
    body = st.one_of(BODIES[KINDS[rule]], BODIES[KINDS[rule]], st.just({"state": "not_applicable"}))
    units = {}
    for unit in TREE:
        mode = draw(st.sampled_from(["own", "own", "total", None] if unit in WARDS else ["own", "own", "own", None]))
        units[unit] = {"mode": mode, "body": draw(body) if mode else None, "state": draw(st.sampled_from(STATES)),
                       "to_ward": draw(st.sampled_from(STATES)) if unit in CELLS else "none", "text": draw(st.sampled_from([None, "", " ", "Việc"]))}
    return rule, units


def ward_of(unit):
    return unit.rsplit("-C", 1)[0]


def counted(units, unit):
    return units[unit]["mode"] is not None and (unit in WARDS or units[ward_of(unit)]["mode"] != "total")


def figure(body):
    return (body["numerator"], body["denominator"]) if "numerator" in body else body["number"] if "number" in body else "done_on" in body


def consolidated_by(units, ward):
    """The cells whose figures the ward's report carries; none without one that reports something."""
    cells = [c for c in CELLS if ward_of(c) == ward and units[c]["to_ward"] == "received" and counted(units, c)]
    return cells if any("state" not in units[c]["body"] for c in cells) else []


def recount(rule, units):
    """(value, numerator, denominator), units reported, units expected; None where nothing was."""
    there = {u for u in TREE if units[u]["state"] != "none"}
    received = {u for u in there if units[u]["state"] == "received"}
    wide = {w for w in WARDS if w in received and consolidated_by(units, w)}
    leaves = {u for u in received if counted(units, u)} | {c for w in wide for c in consolidated_by(units, w)}
    saying = [u for u in leaves if "state" not in units[u]["body"]]
    owes = {u for u in there if counted(units, u)} | leaves
    if wide:
        speaks = wide | {u for u in there if not counted(units, u)}
        owes |= {c for c in TREE if counted(units, c) and any(c == u or c.startswith(u + "-") for u in speaks)}
    if not saying:
        return None
    return model.aggregate(rule, [figure(units[u]["body"]) for u in saying]), len(saying), len(owes) - (len(leaves) - len(saying))


@pytest.fixture(scope="module")
def staffed(world):
    for unit in CELLS:
        world.staff(world.at("AA-TU", "administrator"), unit, ("approver",))
    return world


def send(world, cluster, made, unit, said, state, before=None):
    """A report in this state."""
    if state == "none":
        return
    row = report(world, cluster, made, unit)
    if before and state != "expected":
        world.must(row.consolidate({"duties": [before["code"]]}), 200)
    if state != "expected":
        row.send(results="Kết quả", next=said["text"])
    if state == "received":
        row.must("receive", None, row.reviewer)
    if state == "returned":
        row.must("return", {"reason": "Chưa đủ"}, row.reviewer)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(quarter=quarters())
def test_a_consolidated_figure_equals_a_recount(staffed, cluster, quarter):
    world = staffed
    rule, units = quarter
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, fresh("AA-Z"), "AA-P", KINDS[rule], rule)["code"]
    for unit, said in units.items():
        if said["mode"]:
            world.assign(manager, code, organization=unit, mode=said["mode"])
            world.must(world.connector().enter(code, unit, PERIOD, said["body"]))
    to_ward = {w: duty(cluster, fresh("AA-Z"), w, [c for c in CELLS if ward_of(c) == w and units[c]["to_ward"] != "none"], [code]) for w in WARDS}
    below = duty(cluster, fresh("AA-Z"), "AA-BTG", [u for u in TREE if units[u]["state"] != "none"], [code])
    for cell in CELLS:
        send(world, cluster, to_ward[ward_of(cell)], cell, units[cell], units[cell]["to_ward"])
    for unit in TREE:
        send(world, cluster, below, unit, units[unit], units[unit]["state"], to_ward.get(unit))
    own = report(world, cluster, duty(cluster, fresh("AA-Z"), "AA-TU", ["AA-BTG"], [code]), "AA-BTG")
    asked = {"duties": [below["code"]]}
    # what the service brings in line by itself is a version too
    assert wait_for(lambda: cluster.query(
        "SELECT s.expected_on = today() AND NOT EXISTS (SELECT FROM report_mark) FROM report_state s")[0][0])
    done = world.must(own.consolidate(asked), 200)

    expected = recount(rule, units)
    assert [f["indicator"] for f in done["figures"]] == ([code] if expected else [])
    if expected:
        (value, numerator, denominator), saying, owing = expected
        total = done["figures"][0]["new"]
        assert model.same(total["percent"] if rule == "ratio_of_sums" else total["number"], value, 4), (total, value)
        assert (total["numerator"], total["denominator"]) == (numerator, denominator)
        assert (total["reported_units"], total["expected_units"]) == (saying, owing), (units, total)
        parts = [p for p in total["parts"] if p["state"] == "reported"]
        assert len({p["organization"] for p in parts}) == len(parts) == saying
        assert [p["organization"] for p in total["parts"]] == sorted((p["organization"] for p in total["parts"]), key=TREE.index)
        again = model.aggregate(rule, [(p["numerator"], p["denominator"]) if "numerator" in p else p.get("number", p.get("done")) for p in parts])
        assert again == (value, numerator, denominator), "a figure is what its parts make"
    there = [u for u in TREE if units[u]["state"] != "none"]
    received = [u for u in there if units[u]["state"] == "received"]
    assert (done["completeness"]["received"], done["completeness"]["expected"]) == (len(received), len(there))
    assert [m["organization"] for m in done["completeness"]["missing"]] == [u for u in there if u not in received]
    gathered = {s["code"]: [g["organization"] for g in s["new"]] for s in done["sections"]}
    assert gathered == {"results": received, "next": [u for u in received if units[u]["text"] == "Việc"]}
    once_more = world.must(own.consolidate(asked), 200)
    assert not once_more["changed"] and once_more["version"] == done["version"]
