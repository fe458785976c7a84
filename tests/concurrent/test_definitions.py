"""A definition changes while figures are entered under it: one of the two is refused, and what is kept fits together."""
import threading

import pytest
from harness import samples
from harness.crowd import patient, together, wait_for
from harness.world import hold

RATIO = {"kind": "ratio", "aggregation": "ratio_of_sums"}


@pytest.fixture
def indicator(world):
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number")["code"]
    world.assign(manager, code, organization="AA-W1")
    return code


def fits(cluster, code):
    """The indicator's kind, and whether every value is of it."""
    return cluster.query("""SELECT i.kind, count(v.id) FILTER (WHERE (i.kind = 'ratio') <> (v.numerator IS NOT NULL)) FROM indicator i
        LEFT JOIN value v ON v.indicator_id = i.id WHERE i.code = %s GROUP BY 1""", [code])[0]


@pytest.mark.parametrize("first", ["value", "definition"])
def test_the_second_of_the_two_sees_the_first(world, cluster, caller, indicator, first):
    """One is held up before it commits; the other comes in the meantime."""
    manager, ward = world.at("AA-TU", "manager"), world.at("AA-W1", "reporter")
    put = lambda: patient(lambda: caller(ward.token).enter(indicator, "AA-W1", "2026-Q1", {"number": 5}))  # noqa: E731
    patch = lambda: patient(lambda: caller(manager.token).patch(f"/v1/indicators/{indicator}", RATIO, "*"))  # noqa: E731
    answers, threads = {}, []

    def begin(name, act):
        threads.append(threading.Thread(target=lambda: answers.update({name: act()})))
        threads[-1].start()
        assert wait_for(lambda: name in answers or cluster.query(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'tiendo_service' AND wait_event_type = 'Lock'")[0][0] >= len(threads))

    holder = hold(cluster, "LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE")
    order = [("value", put), ("definition", patch)]
    for name, act in order if first == "value" else order[::-1]:
        begin(name, act)
    holder.close()
    for thread in threads:
        thread.join()
    assert {name: a.status for name, a in answers.items()} == (
        {"value": 201, "definition": 409} if first == "value" else {"value": 422, "definition": 200}), answers
    assert fits(cluster, indicator) == (("number", 0) if first == "value" else ("ratio", 0))


def test_whoever_comes_first_in_a_crowd(world, cluster, caller, indicator):
    manager, connector = world.at("AA-TU", "manager"), world.connector()
    crowd = [caller(manager.token if i % 2 else connector.token) for i in range(8)]
    together(crowd, lambda one, i: patient(lambda: one.patch(f"/v1/indicators/{indicator}", RATIO, "*") if i % 2 else
                                           one.enter(indicator, "AA-W1", f"202{5 + i // 4}-Q{1 + i // 2 % 2}", {"number": i})))
    assert fits(cluster, indicator)[1] == 0


def test_an_assignment_that_comes_with_a_value(world, cluster, caller, indicator):
    """Assigned while a value is entered: counted as the assignment says, whoever was first."""
    manager, connector = world.at("AA-TU", "manager"), world.connector()
    for n in range(1, 5):
        crowd = [caller(manager.token), caller(connector.token)]
        together(crowd, lambda one, i, n=n: patient(lambda: one.post(f"/v1/indicators/{indicator}/assignments", {
            "organization": f"AA-W1-C{n}", "mode": "own", "valid_from": "2025-01-01"}) if i == 0 else
            one.enter(indicator, f"AA-W1-C{n}", "2026-Q1", {"number": 10 ** n})))
    connector.enter(indicator, "AA-W1", "2026-Q1", {"number": 1})
    total, expected = cluster.query("""SELECT coalesce(sum(number), 0), count(*) FROM value WHERE indicator_code = %s AND period_code = '2026-Q1'""", [indicator])[0]
    row = connector.get("/v1/progress", organization="AA-TU", period="2026-Q1", indicator=indicator).json()["items"][0]
    assert row["value"] == total and row["coverage"]["reporting"] == expected, row
    assert row["coverage"]["expected"] == 5


def test_units_that_come_while_an_assignment_is_made(world, cluster, caller):
    """An assignment to every cell, and new cells at the same moment: none is left out, none stands twice."""
    manager = world.at("AA-TU", "manager")
    for _ in range(4):
        code = world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number")["code"]
        body = {"kind": "party_cell", "under": "AA-TU", "mode": "own", "valid_from": "2025-01-01"}
        answers = together([caller(manager.token) for _ in range(7)], lambda one, i, code=code, body=body: patient(
            lambda: one.post(f"/v1/indicators/{code}/assignments", body) if i == 3 else
            one.post("/v1/organizations", {**samples.body("organization_create", "AA-W2"), "valid_from": "2025-01-01"})))
        assert {a.status for a in answers} == {201}
        wrong = cluster.query("""SELECT o.code, count(u.*) FROM organization o LEFT JOIN assignment_unit u ON u.organization_id = o.id
                AND u.indicator_id = (SELECT id FROM indicator WHERE code = %s)
            WHERE o.kind = 'party_cell' AND o.code LIKE 'AA%%' OR o.id = ANY (%s::uuid[]) GROUP BY 1 HAVING count(u.*) <> 1""",
                              [code, [a.json()["id"] for i, a in enumerate(answers) if i != 3]])
        assert wrong == []


def test_many_definitions_at_once_do_not_stop_each_other(world, caller):
    """Units, assignments by kind, targets and values of one indicator, all at once, again and again: in the end all are there."""
    manager, connector = world.at("AA-TU", "manager"), world.connector()
    code = world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number")["code"]
    world.assign(manager, code, kind="party_cell", under="AA-TU")
    crowd = [caller(manager.token) for _ in range(6)] + [caller(connector.token) for _ in range(4)]

    def act(one, i):
        for n in range(4):
            if i < 3:
                answer = patient(lambda: one.post("/v1/organizations", samples.body("organization_create", "AA-W2")))
            elif i < 6:
                answer = patient(lambda: one.post(f"/v1/indicators/{code}/targets", {
                    "organization": f"AA-W1-C{i - 2}", "comparator": "ge", "value": 1, "due_on": f"20{30 + n}-12-31"}))
            else:
                answer = patient(lambda: one.enter(code, f"AA-W1-C{i - 5}", f"2025-Q{n + 1}", {"number": n}))
            assert answer.status == 201, answer

    together(crowd, act)
