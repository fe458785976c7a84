"""Over random worlds of a campaign every figure equals a naive recount of its rows, whatever of it is kept and whatever is yet to be."""
from datetime import date, timedelta
from fractions import Fraction

import pytest
from harness import campaigns, model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TODAY = date(2026, 11, 21)
LIVING = ["AA-TU", "AA-W1", "AA-W1-C1", "AA-W1-C2", "AA-W1-C3", "AA-W2", "AA-W2-C1", "AA-W2-M3"]
# What has ended, with what it went over into and the last day: AA-W2-M1 into -M2, that into -M3.
HEIRS = {"AA-W2-M1": ("AA-W2-M2", date(2026, 7, 31)), "AA-W2-M2": ("AA-W2-M3", date(2026, 8, 31))}
UNITS = [*LIVING, *HEIRS]
KINDS = ["conference", "seminar"]
OPEN = ("planned", "under_way", "postponed")
PEOPLE = ["cadres_and_members", "core_force"]
WARD = "directly_subordinate_party_committee"
some = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

days = st.integers(-20, 20).map(lambda n: TODAY + timedelta(n))
contacts = st.one_of(st.none(), st.integers(0, 500))


@st.composite
def acts(draw):
    status = draw(st.sampled_from([*OPEN, "done", "done", "cancelled"]))
    done = draw(st.integers(1, 4)) if status == "done" else draw(st.integers(0, 2)) if status in ("under_way", "postponed") else 0
    return {"unit": draw(st.sampled_from(UNITS)), "kind": draw(st.sampled_from(KINDS)), "status": status, "done": done, "planned": draw(st.integers(0, 4)),
            "ends_on": draw(days), "contacts_planned": draw(contacts), "contacts_reached": draw(contacts)}


worlds = st.fixed_dictionaries({
    "acts": st.lists(acts(), max_size=14),
    "asked": st.dictionaries(st.tuples(st.sampled_from(UNITS), st.sampled_from(KINDS), days), st.integers(0, 5), max_size=12), "moved": st.booleans(),
    # which of them are copies of which: (of what, copy), by their numbers
    "copies": st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=4), "taken_back": st.integers(0, 2),
    "said": st.dictionaries(st.tuples(st.sampled_from(UNITS), st.sampled_from(PEOPLE)),
                            st.tuples(st.integers(0, 50), st.integers(50, 90), st.booleans(), st.sampled_from([date(2026, 7, 1), date(2026, 8, 5), date(2026, 9, 1)])), max_size=9),
    "kept_after": st.integers(0, 30), "taken_away": st.integers(0, 3)})


def heirs(unit):
    """Whatever it went over into, one after the other."""
    return [HEIRS[unit][0], *heirs(HEIRS[unit][0])] if unit in HEIRS else []


def beneath(unit, top):
    return unit == top or top == "AA-TU" or unit.startswith(top + "-") or top in heirs(unit)


# ---- the world, by rows ---------------------------------------------------------------------------------------
def build(cluster, code, w):
    """Its rows, in part before and in part after what is kept was worked out; the last few activities go again."""
    where = "FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = 'GD2', organization o WHERE c.code = %s AND o.code = %s RETURNING 1"
    same = "uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key"
    named = "id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key"
    steps = [(f"INSERT INTO activity ({named}, kind, title, starts_on, ends_on, done_on, planned, done, contacts_planned, contacts_reached, status, reason,"
              f" on_behalf, entered_by, seat_id, grant_id) SELECT {same}, %s, 'Hoạt động', '2026-07-01', %s, %s, %s, %s, %s, %s, %s, 'Mưa', false, o.code, o.id, o.id {where}",
              [a["kind"], a["ends_on"], TODAY if a["status"] == "done" else None, a["planned"], a["done"], a["contacts_planned"], a["contacts_reached"], a["status"],
               code, a["unit"]]) for a in w["acts"]]
    steps += [(f"INSERT INTO campaign_assignment ({named}, kind, set_quantity, set_due_on, quantity, due_on, setter_id) SELECT {same}, %s, 1, %s, %s, %s, o.id {where}",
               [kind, due, quantity, due, code, unit]) for (unit, kind, due), quantity in w["asked"].items()]
    steps += [(f"INSERT INTO campaign_reach ({named}, of, covers, reached, base, base_source, base_on, counted_on, on_behalf, entered_by, seat_id)"
               f" SELECT {same}, %s, %s, %s, %s, 'Danh sách', '2026-07-01', %s, false, o.code, o.id {where}",
               [of, "subtree" if covers else "own", reached, base, day, code, unit]) for (unit, of), (reached, base, covers, day) in w["said"].items()]
    for n, (sql, values) in enumerate(steps):
        if n == w["kept_after"]:
            cluster.query("SELECT activity_fold(5000), campaign_standing_fold(2)")
        cluster.query(sql, values)
    gone = w["acts"][-w["taken_away"]:] if w["taken_away"] else []
    cluster.query("WITH x AS (DELETE FROM activity WHERE id IN (SELECT a.id FROM activity a JOIN campaign c ON c.id = a.campaign_id WHERE c.code = %s"
                  " ORDER BY a.id DESC LIMIT %s) RETURNING 1) SELECT count(*) FROM x", [code, len(gone)])
    # copies: of what comes before them alone, so that nothing is a copy of itself; some of them are copies no more
    rows = list(w["asked"])
    made = {rows[other]: rows[one] for one, other in w["copies"] if one < other < len(rows)}
    which = "SELECT a.id FROM campaign_assignment a JOIN campaign c ON c.id = a.campaign_id WHERE c.code = %s AND a.organization_code = %s AND a.kind = %s AND a.set_due_on = %s"
    for other, one in made.items():
        cluster.query(f"UPDATE campaign_assignment SET copied_from = ({which}) WHERE id = ({which}) RETURNING 1", [code, *one, code, *other])
    cluster.query("SELECT campaign_standing_fold(3)")
    for other in list(made)[:w["taken_back"]]:
        cluster.query(f"UPDATE campaign_assignment SET copied_from = NULL WHERE id = ({which}) RETURNING 1", [code, *other])
        del made[other]
    handed = set(made.values())
    if w["moved"]:  # the units put all of theirs off to one day
        cluster.query("WITH x AS (UPDATE campaign_assignment SET due_on = %s FROM campaign c WHERE c.id = campaign_id AND c.code = %s RETURNING 1) SELECT count(*) FROM x",
                      [TODAY - timedelta(1), code])
        rows = cluster.query("SELECT a.organization_code, a.kind, a.set_due_on, a.id::text, a.quantity FROM campaign_assignment a JOIN campaign c ON c.id = a.campaign_id"
                             " WHERE c.code = %s", [code])
        w = w | {"asked": {(unit, kind, (TODAY - timedelta(1), id)): quantity for unit, kind, day, id, quantity in rows
                           if (unit, kind, day) not in handed}}
    else:
        w = w | {"asked": {(unit, kind, (due, "")): quantity for (unit, kind, due), quantity in w["asked"].items() if (unit, kind, due) not in handed}}
    return w["asked"], w["acts"][:len(w["acts"]) - len(gone)]


# ---- the recount ----------------------------------------------------------------------------------------------
def recount(done, asked, top, kind=None):
    mine = [a for a in done if beneath(a["unit"], top) and kind in (None, a["kind"])]
    due = {k: q for k, q in asked.items() if beneath(k[0], top) and kind in (None, k[1])}
    pairs = {(unit, k) for unit, k, _ in due}
    def made(unit, k):
        return sum(a["done"] for a in done if (a["unit"], a["kind"]) == (unit, k))
    def told(unit, k, passed=False):
        return sum(q for (u, x, day), q in due.items() if (u, x) == (unit, k) and (not passed or day[0] < TODAY))
    late = sum(1 for (u, k, day), q in due.items() if day[0] < TODAY and q > 0
               and made(u, k) < sum(x for (v, y, other), x in due.items() if (v, y) == (u, k) and other <= day))
    return {"assignments": len(due), "assignments_late": late, "assigned": sum(due.values()), "due": sum(q for (*_, day), q in due.items() if day[0] < TODAY),
            "fulfilled": sum(min(made(*p), told(*p)) for p in pairs), "due_fulfilled": sum(min(made(*p), told(*p, True)) for p in pairs),
            "planned": sum(a["planned"] for a in mine if a["status"] != "cancelled"), "done": sum(a["done"] for a in mine),
            "contacts_planned": sum(a["contacts_planned"] or 0 for a in mine), "contacts_reached": sum(a["contacts_reached"] or 0 for a in mine),
            **{f"activities_{s}": sum(a["status"] == s for a in mine) for s in (*OPEN, "done", "cancelled")},
            "activities_late": sum(a["status"] in OPEN and a["ends_on"] < TODAY for a in mine), "units_reached": len({u for a in mine if a["done"] > 0 for u in (a["unit"], *heirs(a["unit"])) if u in LIVING})}


def people(said, top, of):
    """(reached, base, beneath, difference): one level a branch."""
    mine = {unit: row for (unit, whom), row in said.items() if whom == of and beneath(unit, top)}
    def covering(unit):
        """From the lowest up: of a whole subtree, or of what it went over into, counted since."""
        over = [u for u, (_, _, covers, day) in mine.items() if u != unit and beneath(unit, u) and (covers or (u in heirs(unit) and day > HEIRS[unit][1]))]
        return sorted(over, key=lambda u: sum(beneath(u, other) for other in over), reverse=True)
    counted = [u for u in mine if not covering(u)]
    next_level = [u for u in mine if len(covering(u)) == 1]
    compared = {covering(u)[0] for u in next_level}
    total = lambda units, n: sum(mine[u][n] for u in units) if units else None  # noqa: E731
    return {"reached": total(counted, 0), "base": total(counted, 1), "beneath_units": len(next_level), "beneath_reached": total(next_level, 0),
            "difference": total(compared, 0) - total(next_level, 0) if next_level else None}


@pytest.fixture(scope="module")
def aa(world):
    manager = world.at("AA-TU", "manager")
    for unit in ("AA-W2-M1", "AA-W2-M2", "AA-W2-M3"):
        world.unit(manager, unit, f"Chi bộ {unit}", "party_cell", "AA-W2")
    for unit, (heir, last) in HEIRS.items():
        world.must(manager.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": str(last + timedelta(1)),
                                                        "steps": [{"kind": "merge", "organizations": [unit], "into": heir}]}))
    return manager


def same(item, wanted):
    assert {name: item[name] for name in wanted} == wanted, item


@some
@given(w=worlds)
def test_figures_equal_a_recount(world, cluster, aa, w):
    code = campaigns.campaign(world)["code"]
    asked, acts_left = build(cluster, code, w)
    path = f"/v1/campaigns/{code}"
    for _ in range(2):
        found = {i["organization"]: i for i in aa.items(f"{path}/progress", phase="GD2", organization="AA-TU", by="children")}
        for unit in ("AA-TU", "AA-W1", "AA-W2"):
            wanted = recount(acts_left, asked, unit)
            same(found[unit], wanted)
            share = Fraction(100 * wanted["fulfilled"], wanted["assigned"]) if wanted["assigned"] else None
            assert model.same(found[unit]["percent"], share, 4)
        for item in aa.items(f"{path}/progress", phase="GD2", organization="AA-TU", by="kinds"):
            same(item, recount(acts_left, asked, "AA-TU", item["kind"]))
        # and the same once everything is kept
        while any(cluster.query("SELECT activity_fold(5000), campaign_standing_fold()")[0]):
            pass
    why = aa.items(f"{path}/progress/explain", phase="GD2", organization="AA-TU")
    for name in ("assigned", "fulfilled", "done", "activities_late", "contacts_reached"):
        assert sum(i[name] for i in why) == found["AA-TU"][name]
    assert sum(a["late"] for a in aa.items(f"{path}/assignments")) == found["AA-TU"]["assignments_late"]
    for item in aa.items(f"{path}/coverage", phase="GD2", organization="AA-TU", by="children"):
        if item["of"] in PEOPLE and item["organization"] in UNITS:
            same(item, people(w["said"], item["organization"], item["of"]))
    ranks = {i["organization"]: i["rank"] for i in aa.items(f"{path}/ranking", phase="GD2", kind=WARD, by="done")}
    share = {u: Fraction(x["fulfilled"], x["assigned"]) if x["assigned"] else None for u, x in found.items() if u in ranks}
    assert ranks == {u: None if s is None else 1 + sum(o is not None and o > s for o in share.values()) for u, s in share.items()}
