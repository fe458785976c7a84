"""Over generated histories of a small tree: figures equal the model, sums a recount, whoever wrote and in whatever order."""
import importlib.util
import json
import pathlib
import unicodedata
from datetime import date
from decimal import Decimal
from fractions import Fraction
from urllib.parse import quote

import pytest
from harness import model, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CELLS = ["AA-W1-C1", "AA-W1-C2", "AA-W1-C3", "AA-W1-C4", "AA-W2-C1", "AA-W2-C2"]
PERIOD = "2026-Q2"
many = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))

decimals = st.decimals(min_value=-10**9, max_value=10**9, places=4, allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**6)
ratios = st.tuples(counts, counts).map(lambda t: {"numerator": min(t), "denominator": max(t)}).filter(
    lambda b: b["denominator"] > 0 or b["numerator"] == 0)
bodies = {
    "ratio": ratios,
    "number": decimals.map(lambda d: {"number": d}),
    "milestone": st.one_of(st.dates(model.quarter("2026-Q1")[0], model.quarter(PERIOD)[1]).map(lambda d: {"done_on": d.isoformat()}),
                           st.just({"done": False})),
}
KINDS = {"ratio_of_sums": "ratio", "sum": "number", "min": "number", "max": "number", "average": "number", "count_done": "milestone"}


@st.composite
def histories(draw):
    rule = draw(st.sampled_from(sorted(KINDS)))
    body = st.one_of(bodies[KINDS[rule]], st.just({"state": "not_applicable"}))
    steps = draw(st.lists(st.tuples(st.sampled_from(["put", "import", "delete"]), st.sampled_from(CELLS), body), min_size=1, max_size=14))
    return rule, steps


def text(body):
    """JSON with every digit of a Decimal."""
    parts = [f'"{k}": {v:f}' if isinstance(v, Decimal) else f'"{k}": {json.dumps(v)}' for k, v in body.items()]
    return "{" + ", ".join(parts) + "}"


def write(by, code, step, body, cell, now):
    path = f"/v1/values/{code}/{cell}/{PERIOD}"
    if step == "put":
        tag = by.get(path).etag
        answer = by.put(path, text(body), [("Content-Type", "application/json"), ("If-Match", tag) if tag else ("If-None-Match", "*")])
        assert answer.status in (200, 201), answer
        now[cell] = body
        return
    row = {"indicator": code, "organization": cell, "period": PERIOD, **({} if step == "delete" else body)}
    answer = by.post("/v1/values/imports", "[" + text(row) + "]", [("Content-Type", "application/json"), ("Idempotency-Key", samples.fresh("p"))],
                     strategy="delete" if step == "delete" else "upsert", mode="partial")
    assert answer.status == 200, answer
    if step == "delete":
        assert answer.json()["deleted"] == (cell in now), answer
        now.pop(cell, None)
    else:
        assert answer.json()["failed"] == 0, answer
        now[cell] = body


def expected(rule, now, cells):
    reports = [now[c] for c in cells if c in now and now[c].get("state") != "not_applicable"]
    taken = [(b["numerator"], b["denominator"]) if "numerator" in b else b["number"] if "number" in b else "done_on" in b for b in reports]
    return model.aggregate(rule, taken), model.coverage(len(cells), len(reports), sum(1 for c in cells if now.get(c, {}).get("state") == "not_applicable"))


def compare(item, figure, coverage, rule):
    value, numerator, denominator = figure
    assert model.same(item["value"], value, 4), (item, value)
    if rule == "ratio_of_sums":
        assert (item["numerator"], item["denominator"]) == (numerator, denominator), item
    for name in ("expected", "reporting", "not_applicable", "missing"):
        assert item["coverage"][name] == coverage[name], (name, item, coverage)
    assert model.same(item["coverage"]["rate"], coverage["rate"], 6)


@pytest.fixture(scope="module")
def aa(world):
    return world.at("AA-TU", "manager")


@many
@given(history=histories())
def test_figures_equal_the_model(world, aa, history):
    rule, steps = history
    code = world.indicator(aa, samples.fresh("AA-Y"), "AA-P", KINDS[rule], rule)["code"]
    world.assign(aa, code, kind="party_cell", under="AA-TU", entered_by="superior")
    now = {}
    for step, cell, body in steps:
        write(world.at(cell[:5], "reporter"), code, step, body, cell, now)
    whole = aa.get("/v1/progress", organization="AA-TU", period=PERIOD, indicator=code, by="children").json()
    compare(whole["items"][0], *expected(rule, now, CELLS), rule)
    below = {c["organization"]["code"]: c["items"] for c in whole["children"]}
    for ward in ("AA-W1", "AA-W2"):
        compare(below[ward][0], *expected(rule, now, [c for c in CELLS if c.startswith(ward)]), rule)
    why = aa.get("/v1/progress/explain", organization="AA-TU", period=PERIOD, indicator=code, top=1000).json()
    assert why["value"] == whole["items"][0]["value"] and why["coverage"] == whole["items"][0]["coverage"]
    assert {u["organization"] for u in why["units"]} == {c for c in now if now[c].get("state") != "not_applicable"}
    assert {u["organization"] for u in why["missing"]} == set(CELLS) - set(now)


@many
@given(v=st.integers(0, 200), target=st.integers(1, 150), baseline=st.one_of(st.none(), st.integers(0, 150)), due=st.dates(
    model.quarter("2026-Q1")[1], model.quarter("2028-Q4")[1]), comparator=st.sampled_from(["ge", "le"]))
def test_status_equals_the_model(world, aa, v, target, baseline, due, comparator):
    if baseline == target:
        baseline = None
    direction = "increase" if comparator == "ge" else "decrease"
    if direction == "decrease" and (baseline is None or baseline < target) or direction == "increase" and baseline is not None and baseline > target:
        baseline = target + 20 if direction == "decrease" else max(target - 20, 0)
        if baseline == target:
            return
    code = world.indicator(aa, samples.fresh("AA-Y"), "AA-P", "ratio", direction=direction)["code"]
    world.assign(aa, code, organization="AA-W1")
    world.must(world.at("AA-W1", "reporter").enter(code, "AA-W1", PERIOD, {"numerator": v, "denominator": 100}))
    aim = {"comparator": comparator, "value": target, "starts_on": "2026-01-01", "due_on": due.isoformat(), "baseline": baseline}
    world.set_target(aa, code, "AA-TU", **{k: x for k, x in aim.items() if x is not None})
    got = aa.get("/v1/progress", organization="AA-TU", period=PERIOD, indicator=code).json()["items"][0]
    way, required, pace, status = model.judge(Fraction(v), {**aim, "starts_on": date(2026, 1, 1), "due_on": due}, model.quarter(PERIOD)[1],
                                              date(2026, 11, 21), direction)
    assert got["status"] == status, (aim, v, got, float(pace))
    assert model.same(got["achievement"], way, 6) and model.same(got["pace"], pace, 6) and model.same(got["required"], required, 4), got


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(number=st.one_of(decimals, st.integers(-10**14, 10**14).map(Decimal), st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-10**5, max_value=10**5)))
def test_every_number_comes_back_as_it_was_sent(world, aa, number):
    code = _shared(world, aa)
    ward = world.at("AA-W1", "reporter")
    path = f"/v1/values/{code}/AA-W1/{PERIOD}"
    tag = ward.get(path).etag
    answer = ward.put(path, text({"number": number}), [("Content-Type", "application/json"), ("If-Match", tag) if tag else ("If-None-Match", "*")])
    if len(number.normalize().as_tuple().digits) > 15:
        assert answer.status == 422
    else:
        assert answer.status in (200, 201) and answer.json()["number"] == number, (number, answer)


def _shared(world, aa):
    if not hasattr(_shared, "code"):
        _shared.code = world.indicator(aa, samples.fresh("AA-Y"), "AA-P", "number")["code"]
        world.assign(aa, _shared.code, organization="AA-W1")
    return _shared.code


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(note=st.text(min_size=0, max_size=200).map(lambda s: s.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "ignore")))
def test_every_text_comes_back_in_nfc(world, aa, note):
    answer = aa.patch("/v1/organizations/AA-W2", {"note": note}, "*")
    if answer.status == 422:  # what cannot be seen is refused, line ends and tabs excepted, and nothing else
        assert answer.faults() == {("#/note", "invisible_character")} and any(unicodedata.category(c)[0] in "CZ" or unicodedata.category(c) == "Mn" for c in note), (answer, note)
        return
    assert answer.status == 200, answer
    assert aa.get("/v1/organizations/AA-W2").json()["note"] == unicodedata.normalize("NFC", note)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)),
                         lambda x: st.one_of(st.lists(x, max_size=4), st.dictionaries(st.sampled_from(
                             ["code", "name", "kind", "parent", "former", "identifiers", "note", "valid_from", "attached", "scheme", "zz"]), x, max_size=5)), max_leaves=12))
def test_any_json_is_answered_by_the_contract(world, aa, data):
    answer = aa.post("/v1/organizations", json.dumps(data), [("Content-Type", "application/json")])
    assert answer.status in (400, 409, 422), answer


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=st.lists(st.tuples(st.sampled_from(["kind", "q", "under", "limit", "cursor", "sort", "fields", "embed", "code[in]", "valid_to[isnull]", "zz", "identifier"]),
                                st.text(max_size=12)), max_size=4))
def test_any_query_is_answered_by_the_contract(world, aa, query):
    encoded = "&".join(f"{quote(k)}={quote(v.encode('utf-8', 'surrogatepass'))}" for k, v in query)
    answer = aa.get("/v1/organizations?" + encoded)
    assert answer.status in (200, 400, 422), answer


def test_sums_and_closure_equal_a_recount_after_all_of_it(world, cluster):
    spec = importlib.util.spec_from_file_location("journal", pathlib.Path(__file__).parents[1] / "http/test_journal.py")
    journal = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(journal)
    journal.test_sums_are_folded_and_equal_a_recount(world, cluster)
    journal.test_the_closure_equals_a_recount(world, cluster)
    journal.test_the_chain_recomputes(world, cluster)
