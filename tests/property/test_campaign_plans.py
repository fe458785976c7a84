"""What campaigns ask of units, against a recount in plain words: quantities that are split, days of weeks and months, units by kind and subtree."""
import calendar
from datetime import date, timedelta
from fractions import Fraction

import pytest
from harness import activities, campaigns, samples
from harness.world import CELL, WARD
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

many = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
FIRST, LAST = date(2026, 7, 1), date(2028, 12, 31)
UNITS = {"AA-W1": WARD, "AA-W2": WARD, "AA-BTG": "advisory_support_agency", "AA-W1-XD": "party_building_board",
         **{f"AA-W1-C{n}": CELL for n in range(1, 5)}, **{f"AA-W2-C{n}": CELL for n in (1, 2)}}


def split(cluster, quantity, weights, start=0):
    return cluster.query("SELECT campaign_split(%s, %s::bigint[], %s)", [quantity, weights, start])[0][0]


@many
@given(quantity=st.integers(0, 10**12), weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=40), start=st.integers(0, 10**9))
def test_splitting_loses_nothing_and_is_off_by_less_than_one(world, cluster, quantity, weights, start):
    parts = split(cluster, quantity, weights, start)
    if not any(weights):
        assert parts is None
        return
    shares = [Fraction(quantity * w, sum(weights)) for w in weights]
    assert sum(parts) == quantity and len(parts) == len(weights)
    assert all(abs(part - share) < 1 for part, share in zip(parts, shares))
    assert all(part == 0 for part, weight in zip(parts, weights) if weight == 0)
    up = [share - int(share) for part, share in zip(parts, shares) if part > share]
    down = [share - int(share) for part, share in zip(parts, shares) if part < share]
    assert not up or not down or min(up) >= max(down), "what remains goes to the largest remainders"


@many
@given(quantities=st.lists(st.integers(0, 500), min_size=1, max_size=30), n=st.integers(1, 12))
def test_equal_parts_taken_in_turn_stay_equal_over_all(world, cluster, quantities, n):
    """Of one assignment after the other, each going on where the one before ended, nobody has more than one more than another."""
    total, before = [0] * n, 0
    for quantity in quantities:
        total = [a + b for a, b in zip(total, split(cluster, quantity, [1] * n, before))]
        before += quantity
        assert max(total) - min(total) <= 1 and sum(total) == before


def spans(every, low, high):
    """Every week, month or quarter of [low, high], cut off at both ends."""
    found, day = [], low
    while day <= high:
        if every == "week":
            end = day + timedelta(7 - day.isoweekday())
        else:
            month = day.month if every == "month" else 3 * ((day.month + 2) // 3)
            end = date(day.year, month, calendar.monthrange(day.year, month)[1])
        found.append((day.isoformat(), min(end, high).isoformat()))
        day = end + timedelta(1)
    return found


def fresh_kind(world):
    """A kind of its own for each example, so that none finds what another left."""
    return campaigns.term(world, "activity_kind", samples.fresh("viec").lower().replace("-", "_"))["code"]


@some
@given(every=st.sampled_from(["week", "month", "quarter"]), low=st.dates(FIRST, LAST), days=st.integers(0, 400))
def test_every_day_is_in_one_span_that_ends_with_its_week_month_or_quarter(world, every, low, days):
    high = min(low + timedelta(days), LAST)
    code = campaigns.known(world)["code"]
    made = world.must(world.at("AA-W1", "reporter").post(f"/v1/campaigns/{code}/assignments/own", {
        "phase": "GD2", "kind": "conference", "quantity": 1, "every": every, "from": low.isoformat(), "to": high.isoformat(), "dry_run": True}), 200)
    assert [(i["starts_on"], i["due_on"]) for i in made["items"]] == spans(every, low, high)


def below(unit):
    return [u for u in UNITS if u.startswith("AA-") and (unit == "AA-TU" or u.startswith(unit + "-"))]


@some
@given(under=st.none() | st.sampled_from(["AA-TU", "AA-W1", "AA-W2"]), kinds=st.sets(st.sampled_from(sorted(set(UNITS.values())))),
       named=st.sets(st.sampled_from(sorted(UNITS))), excepted=st.sets(st.sampled_from(sorted(UNITS))), quantity=st.integers(1, 9))
def test_setting_reaches_the_units_meant_and_no_others(world, under, kinds, named, excepted, quantity):
    assume(not named & excepted)
    meant = set(named) | {u for u in (below(under) if under else []) if (not kinds or UNITS[u] in kinds) and u not in excepted}
    assume(meant)
    code, aa, kind = campaigns.known(world)["code"], world.at("AA-TU", "manager"), fresh_kind(world)
    body = {"phase": "GD2", "kind": kind, "quantity": quantity, "due_on": "2027-03-31", "organizations": sorted(named), "except": sorted(excepted),
            **({"under": under} if under else {}), **({"kinds": sorted(kinds)} if under and kinds else {})}
    tried = world.must(aa.post(f"/v1/campaigns/{code}/assignments", {**body, "dry_run": True}), 200)
    made = world.must(aa.post(f"/v1/campaigns/{code}/assignments", body), 200)
    assert {**tried, "dry_run": False} == made
    there = aa.items(f"/v1/campaigns/{code}/assignments", kind=kind)
    assert {r["organization"] for r in there} == meant == {i["organization"] for i in made["items"]}
    assert (made["created"], made["units"], made["quantity"]) == (len(meant), len(meant), quantity * len(meant))


@some
@given(quantities=st.lists(st.integers(1, 60), min_size=1, max_size=6), done=st.lists(st.integers(1, 40), max_size=4))
def test_done_and_late_are_what_was_done_filled_in_by_the_order_of_days(world, quantities, done):
    code, kind, me = campaigns.known(world)["code"], fresh_kind(world), world.at("AA-W1", "reporter")
    due = [(date(2026, 9, 10) + timedelta(20 * n)).isoformat() for n in range(len(quantities))]
    for quantity, day in zip(quantities, due):
        world.must(me.post(f"/v1/campaigns/{code}/assignments/own", {"phase": "GD2", "kind": kind, "quantity": quantity, "due_on": day}), 200)
    for n in done:
        activities.activity(world, "AA-W1", kind=kind, status="done", planned=n, done=n, done_on="2026-09-11")
    left, expected = sum(done), []
    for quantity, day in zip(quantities, due):
        filled = min(left, quantity)
        left -= filled
        expected.append((day, filled, day < "2026-11-21" and filled < quantity))
    found = me.items(f"/v1/campaigns/{code}/assignments", kind=kind)
    assert [(r["due_on"], r["done"], r["late"]) for r in found] == expected
    assert [r["due_on"] for r in me.items(f"/v1/campaigns/{code}/assignments", kind=kind, late="true")] == [day for day, _, late in expected if late]


@pytest.mark.parametrize("share", ["each", "split"])
@some
@given(quantities=st.lists(st.integers(1, 30), min_size=1, max_size=5), kinds=st.sampled_from([None, [CELL], [CELL, "party_building_board"]]))
def test_copying_down_gives_all_of_it_to_the_units_below(world, share, quantities, kinds):
    code, kind = campaigns.campaign(world)["code"], "conference"
    aa, ward = world.at("AA-TU", "manager"), world.at("AA-W1", "manager")
    for n, quantity in enumerate(quantities):
        world.must(aa.post(f"/v1/campaigns/{code}/assignments", {"phase": "GD2", "kind": kind, "quantity": quantity, "organizations": ["AA-W1"],
                                                                  "due_on": (date(2026, 12, 1) + timedelta(n)).isoformat()}), 200)
    made = world.must(ward.post(f"/v1/campaigns/{code}/assignments/copy-down", {"share": share, **({"kinds": kinds} if kinds else {})}), 200)
    takers = [u for u in below("AA-W1") if kinds is None or UNITS[u] in kinds]
    given_ = {u: [] for u in takers}
    for row in ward.items(f"/v1/campaigns/{code}/assignments", set_by="AA-W1"):
        given_[row["organization"]].append(row["quantity"])
    if share == "each":
        assert all(sorted(got) == sorted(quantities) for got in given_.values()) and made["quantity"] == sum(quantities) * len(takers)
    else:
        sums = [sum(got) for got in given_.values()]
        assert sum(sums) == sum(quantities) == made["quantity"] and max(sums) - min(sums) <= 1
