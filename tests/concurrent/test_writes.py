"""Many clients write the same thing: one wins, everyone is told the truth, nothing is lost or done twice."""
from collections import Counter

import pytest
from harness import samples
from harness.crowd import patient, together


@pytest.fixture
def crowd(world, caller):
    """n callers of one account or client, each on a connection of its own."""
    return lambda n, of=None: [caller((of or world.connector()).token) for _ in range(n)]


@pytest.fixture
def indicator(world):
    """A fresh indicator that every committee and cell reports."""
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number")["code"]
    for kind in ("directly_subordinate_party_committee", "party_cell"):
        world.assign(manager, code, kind=kind, under="AA-TU")
    return code


def statuses(answers):
    return Counter(answer.status for answer in answers)


def test_of_32_first_entries_one_is_kept(world, crowd, indicator, cluster):
    answers = together(crowd(32), lambda one, i: patient(lambda: one.enter(indicator, "AA-W1", "2026-Q1", {"number": i + 1})))
    assert statuses(answers) == {201: 1, 412: 31}
    won = next(a for a in answers if a.status == 201)
    kept = world.connector().get(f"/v1/values/{indicator}/AA-W1/2026-Q1")
    assert kept.json()["number"] == won.json()["number"] and kept.etag == won.etag == '"1"'
    assert cluster.query("SELECT count(*), max(version) FROM value_revision WHERE value_id = %s", [won.json()["id"]]) == [(1, 1)]
    assert cluster.query("SELECT count(*) FROM journal WHERE resource_id = %s", [won.json()["id"]]) == [(1,)]


def test_even_the_same_first_entry_is_kept_once(crowd, indicator):
    answers = together(crowd(16), lambda one, i: patient(lambda: one.enter(indicator, "AA-W2", "2026-Q1", {"number": 7})))
    assert statuses(answers) == {201: 1, 412: 15}


def test_of_two_writers_with_one_tag_one_wins_each_time(world, crowd, indicator, cluster):
    writers = crowd(2)
    path = (indicator, "AA-W1-C1", "2026-Q1")
    first = world.must(writers[0].enter(*path, {"number": 0}))
    for n in range(1, 16):
        answers = together(writers, lambda one, i, n=n: patient(lambda: one.enter(*path, {"number": 10 * n + i}, f'"{n}"')))
        assert statuses(answers) == {200: 1, 412: 1}, n
        won = next(a for a in answers if a.status == 200)
        assert won.etag == f'"{n + 1}"'
        assert writers[0].get("/v1/values/%s/%s/%s" % path).json()["number"] == won.json()["number"]
    versions = cluster.query("SELECT version FROM value_revision WHERE value_id = %s ORDER BY version", [first["id"]])
    assert [v for v, in versions] == list(range(1, 17))


def test_of_many_patches_with_one_tag_one_wins(world, crowd):
    manager = world.at("AA-TU", "manager")
    code = samples.fresh("AA-U")
    world.unit(manager, code, "Chi bộ tranh chấp", "party_cell", "AA-W1")
    answers = together(crowd(12, manager), lambda one, i: patient(
        lambda: one.patch(f"/v1/organizations/{code}", {"note": f"ghi chú {i}"}, '"1"')))
    assert statuses(answers) == {200: 1, 412: 11}
    won = next(a for a in answers if a.status == 200)
    assert manager.get(f"/v1/organizations/{code}").json()["note"] == won.json()["note"]


def test_blind_increments_with_retries_are_all_counted(world, crowd, indicator):
    """Read, add one, write under the tag, again on 412: as every careful client does. No increment is lost."""
    path = f"/v1/values/{indicator}/AA-W1-C2/2026-Q1"
    world.must(world.connector().enter(indicator, "AA-W1-C2", "2026-Q1", {"number": 0}))

    def add(one, _):
        for _ in range(5):
            while True:
                seen = patient(lambda: one.get(path))
                body = {"number": int(seen.json()["number"]) + 1}
                answer = patient(lambda seen=seen, body=body: one.put(path, body, [("If-Match", seen.etag)]))
                if answer.status == 200:
                    break
                assert answer.status == 412, answer

    together(crowd(6), add)
    final = world.connector().get(path)
    assert final.json()["number"] == 30 and final.etag == '"31"'


@pytest.mark.parametrize("what,pointer", [("organization", "code_taken"), ("programme", "code_taken"), ("indicator", "code_taken"),
                                          ("account", "username_taken")])
def test_of_many_creations_of_one_code_one_is_made(world, crowd, what, pointer):
    by = world.at("AA-TU", "administrator" if what == "account" else "manager")
    code = samples.fresh("AA-K")
    body = samples.body(f"{what}_create", "AA-W1")
    body = {**body, "username": code.lower(), "password": "mot-mat-khau-du-dai"} if what == "account" else {**body, "code": code}
    answers = together(crowd(6 if what == "account" else 16, by), lambda one, i: patient(lambda: one.post(f"/v1/{what}s", body)))
    assert statuses(answers) == {201: 1, 409: len(answers) - 1}
    assert {a.code for a in answers if a.status == 409} == {pointer}


def test_a_burst_over_many_units_adds_up(world, crowd, indicator):
    """Everyone writes elsewhere; the province's figure is the sum the moment the last answer is there."""
    units = ["AA-W1", "AA-W2", "AA-W1-C1", "AA-W1-C2", "AA-W1-C3", "AA-W1-C4", "AA-W2-C1", "AA-W2-C2"]
    quarters = ["2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2"]

    def write(one, i):
        for n, quarter in enumerate(quarters):
            answer = patient(lambda: one.enter(indicator, units[i], quarter, {"number": 100 * i + n}))
            assert answer.status == 201, answer

    together(crowd(len(units)), write)
    for n, quarter in enumerate(quarters):
        answer = world.connector().get("/v1/progress", organization="AA-TU", period=quarter, indicator=indicator)
        assert answer.status == 200
        row = answer.json()["items"][0]
        assert row["value"] == sum(100 * i + n for i in range(len(units))), (quarter, row)
        assert row["coverage"]["reporting"] == len(units)


def test_an_indicator_s_kind_never_changes_under_a_value(world, crowd, caller, cluster):
    """Whoever comes second, the value or the new kind, is refused."""
    manager = world.at("AA-TU", "manager")
    definer = caller(manager.token)
    seen = Counter()
    for _ in range(10):
        made = world.indicator(manager, samples.fresh("AA-K"), "AA-P", "number")
        world.assign(manager, made["code"], kind="directly_subordinate_party_committee", under="AA-TU")
        tag = manager.get(f"/v1/indicators/{made['code']}").etag

        def act(one, i, code=made["code"], tag=tag):
            if one is definer:
                return patient(lambda: one.patch(f"/v1/indicators/{code}", {"kind": "milestone", "unit": "milestone", "direction": None, "aggregation": "count_done"}, tag))
            return patient(lambda: one.enter(code, "AA-W1", "2026-Q1", {"number": 5}))

        answers = together([*crowd(3), definer], act)
        seen[answers[-1].status] += 1
        assert answers[-1].status in (200, 409, 412), answers[-1]
        wrong = cluster.query("SELECT count(*) FROM value v JOIN indicator i ON i.id = v.indicator_id WHERE i.code = %s AND i.kind = 'milestone' AND v.number IS NOT NULL", [made["code"]])
        assert wrong == [(0,)]
    assert seen
