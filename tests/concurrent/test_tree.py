"""Decisions about the tree at the same moment: whatever comes first, no unit ends up above itself or without a parent."""
import threading

import pytest
from harness import samples
from harness.crowd import patient, together, wait_for
from harness.world import CELL, WARD, hold

GUARDS = ("tree_lock_alone", "tree_change_lock")
UNGUARDED = "CREATE OR REPLACE FUNCTION {}() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$ BEGIN RETURN; END $$"


def decide(by, steps, on="2026-07-01"):
    return by.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": on, "steps": steps})


def wrong(cluster):
    """Units above themselves, units without their parent, and rows of the closure that the spans do not give."""
    return cluster.query("""WITH RECURSIVE up AS (
          SELECT s.organization_id AS d, s.parent_id AS a, s.validity, 1 AS depth FROM organization_span s
          UNION ALL SELECT u.d, p.parent_id, u.validity * p.validity, u.depth + 1
            FROM up u JOIN organization_span p ON p.organization_id = u.a AND p.validity && u.validity WHERE u.depth < 20)
        SELECT (SELECT count(*) FROM up WHERE d = a), (SELECT count(*) FROM orphans_of((SELECT array_agg(id) FROM organization))),
          (SELECT count(*) FROM closure_of((SELECT array_agg(id) FROM organization)) c
            FULL JOIN organization_closure k USING (ancestor_id, descendant_id, depth, validity) WHERE c.depth IS NULL OR k.depth IS NULL)""")[0]


@pytest.fixture
def wards(world):
    aa = world.at("AA-TU", "manager")
    made = [samples.fresh("AA-CW") for _ in range(2)]
    for code in made:
        world.unit(aa, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
        world.unit(aa, f"{code}-C", "Chi bộ", CELL, code)
    return made


def at_once(cluster, caller, token, *decisions):
    """Each begun before any can end: the one that got furthest waits for its last table. They are of a day to come, so that no
    unit's row is written yet on which the second would have to wait by chance."""
    answers, threads = {}, []
    holder = hold(cluster, "LOCK TABLE reorganization IN SHARE ROW EXCLUSIVE MODE")
    for n, steps in enumerate(decisions):
        threads.append(threading.Thread(target=lambda n=n, steps=steps: answers.update({n: decide(caller(token), steps, "2030-01-01")})))
        threads[-1].start()
        assert wait_for(lambda: n in answers or cluster.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'tiendo_service' "
                                                              "AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')")[0][0] > n)
    holder.close()
    for thread in threads:
        thread.join()
    return [answers[n] for n in range(len(decisions))]


def cross(wards):
    a, b = wards
    return [{"kind": "move", "organization": a, "parent": b}], [{"kind": "move", "organization": b, "parent": a}]


def test_two_units_are_not_put_below_each_other(world, cluster, caller, wards):
    answers = at_once(cluster, caller, world.at("AA-TU", "manager").token, *cross(wards))
    assert sorted(a.status for a in answers) == [201, 422], answers
    assert {f["code"] for a in answers if a.status == 422 for f in a.json()["errors"]} == {"cycle"}
    assert wrong(cluster) == (0, 0, 0)


def test_without_the_lock_they_would_be(world, cluster, caller, wards):
    """What the guard is for: the same two requests make a circle when it is taken away."""
    kept = [cluster.query(f"SELECT pg_get_functiondef('tiendo.{guard}()'::regprocedure)")[0][0] for guard in GUARDS]
    for guard in GUARDS:
        cluster.query("SET ROLE tiendo_owner; SET search_path = tiendo; " + UNGUARDED.format(guard))
    try:
        answers = at_once(cluster, caller, world.at("AA-TU", "manager").token, *cross(wards))
        assert [a.status for a in answers] == [201, 201], answers
        assert wrong(cluster)[0] > 0
    finally:
        for guard in kept:
            cluster.query("SET ROLE tiendo_owner; " + guard)
        world.as_built()


def test_a_unit_is_not_made_below_one_that_ends_meanwhile(world, cluster, caller, wards):
    manager, (a, b) = world.at("AA-TU", "manager"), wards
    answers = {}
    holder = hold(cluster, "LOCK TABLE reorganization IN SHARE ROW EXCLUSIVE MODE")
    acts = {"merge": lambda: decide(caller(manager.token), [{"kind": "merge", "organizations": [a], "into": b}]),
            "unit": lambda: patient(lambda: caller(manager.token).post("/v1/organizations", {
                "code": f"{a}-N", "name": "Chi bộ mới", "kind": CELL, "parent": a, "valid_from": "2026-08-01"}))}
    threads = [threading.Thread(target=lambda n=n, act=act: answers.update({n: act()})) for n, act in acts.items()]
    for thread in threads:
        thread.start()
        assert wait_for(lambda: cluster.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'tiendo_service' AND wait_event_type = 'Lock'")[0][0] > 0)
    holder.close()
    for thread in threads:
        thread.join()
    assert answers["merge"].status == 201 and answers["unit"].status == 422, answers
    assert wrong(cluster) == (0, 0, 0)


def test_a_crowd_that_moves_everything_about(world, cluster, caller, wards):
    manager = world.at("AA-TU", "manager")
    units = [*wards, *[f"{w}-C" for w in wards], "AA-W1", "AA-W2"]
    crowd = [caller(manager.token) for _ in range(6)]
    answers = together(crowd, lambda one, i: [patient(lambda: decide(one, [{
        "kind": "move", "organization": units[i], "parent": units[(i + k) % len(units)]}], f"2026-0{1 + k}-01")) for k in range(1, 6)])
    assert {a.status for some in answers for a in some} <= {201, 422}, answers
    assert any(a.status == 201 for some in answers for a in some)
    assert wrong(cluster) == (0, 0, 0)


def test_values_entered_while_their_unit_moves_go_with_it(world, cluster, caller, wards):
    """A key read before the move would leave a figure behind in a place that is no longer anybody's."""
    manager, connector, (a, b) = world.at("AA-TU", "manager"), world.connector(), wards
    periods = [f"202{y}-Q{q}" for y in (5, 6) for q in (1, 2, 3) if (y, q) != (6, 3)]
    crowd = [caller(connector.token), caller(connector.token), caller(manager.token)]

    def act(one, i):
        if i == 2:
            return [patient(lambda: decide(one, [{"kind": "move", "organization": f"{a}-C", "parent": to}], day))
                    for to, day in ((b, "2026-07-01"), (a, "2026-08-01"), (b, "2026-09-01"))]
        return [patient(lambda: one.enter("AA-RATIO", f"{a}-C", p, {"numerator": 1, "denominator": 2})) for p in periods[i::2]]
    answers = together(crowd, act)
    assert all(x.status == 201 for some in answers for x in some), answers
    assert cluster.query("""SELECT count(*), count(*) FILTER (WHERE v.scope_key = o.scope_key) FROM value v JOIN organization o ON o.id = v.organization_id
        WHERE o.code = %s""", [f"{a}-C"]) == [(len(periods), len(periods))]
    total = [manager.get("/v1/progress", organization=b, indicator="AA-RATIO", period=p).json()["items"][0]["numerator"] for p in periods]
    assert total == [1] * len(periods)
