"""Many enter activities at once, while their sums are folded; and a figure is typed in the moment in which one is confirmed."""
import random
from collections import Counter

import pytest
from harness import campaigns, samples
from harness.activities import activity, body
from harness.crowd import patient, together

UNITS = ("AA-W1", "AA-W2", "AA-W1-C1", "AA-W1-C2", "AA-W2-C1", "AA-TU")


@pytest.fixture
def crowd(world, caller):
    """n callers of one client or account, each on a connection of its own."""
    return lambda n, of=None: [caller((of or world.connector()).token) for _ in range(n)]


def statuses(answers):
    return Counter(answer.status for answer in answers)


def test_sums_are_right_after_many_writers_at_once(world, crowd, cluster):
    code = campaigns.campaign(world)["code"]
    made = [activity(world, unit, by=world.connector(), campaign=code)["id"] for unit in UNITS]

    def work(one, i):
        chance = random.Random(i)
        seen = Counter()
        for n in range(20):
            if chance.random() < 0.4:
                answer = patient(lambda: one.post("/v1/activities", body(chance.choice(UNITS), campaign=code, planned=n, kind=chance.choice(["seminar", "poster"]))))
            else:
                status = chance.choice([{"status": "done", "done": n + 1}, {"status": "under_way", "done": n}, {"status": "planned", "done": 0},
                                        {"status": "cancelled", "done": 0, "reason": "Trùng lịch"}, {"contacts_reached": n}])
                one_of = chance.choice(made)
                answer = patient(lambda one_of=one_of, status=status: one.patch(f"/v1/activities/{one_of}", status, "*"))
            seen[answer.status] += 1
        return seen
    seen = sum(together(crowd(8), work), Counter())
    assert set(seen) <= {200, 201, 412, 422} and seen[200] > 10 and seen[201] > 10, seen
    wrong = "SELECT * FROM activity_recount()"
    assert cluster.query(wrong) == []  # whatever is folded by now
    cluster.caught_up()
    assert cluster.query(wrong) == []
    assert cluster.query("SELECT count(*)::int FROM activity a JOIN campaign c ON c.id = a.campaign_id WHERE c.code = %s", [code]) == [(len(made) + seen[201],)]


def test_of_many_changes_with_one_tag_one_wins(world, crowd):
    made = activity(world)
    answers = together(crowd(12, world.at("AA-W1", "reporter")), lambda one, i: patient(
        lambda: one.patch(f"/v1/activities/{made['id']}", {"note": f"ghi chú {i}"}, '"1"')))
    assert statuses(answers) == {200: 1, 412: 11}
    won = next(a for a in answers if a.status == 200)
    assert world.at("AA-W1", "reporter").get(f"/v1/activities/{made['id']}").json() == won.json()


def test_of_many_with_one_code_one_is_made(world, crowd):
    campaigns.known(world)
    code = samples.fresh("TH")
    answers = together(crowd(12), lambda one, i: patient(lambda: one.post("/v1/activities", body(code=code))))
    assert statuses(answers) == {201: 1, 409: 11}
    assert {a.code for a in answers if a.status == 409} == {"code_taken"}


def test_a_figure_is_never_overwritten_by_one_that_is_confirmed(world, crowd):
    """Typed and confirmed at the same moment, over and over: one of them stands, and the other is told so."""
    manager = world.at("AA-TU", "manager")
    reporter = world.at("AA-W1", "reporter")
    seen = Counter()
    for _ in range(12):
        code = world.indicator(manager, samples.fresh("DX"), "AA-P", "number")["code"]
        world.assign(manager, code, organization="AA-W1")
        made = activity(world, proposes={"indicator": code, "period": "2026-Q2", "number": 1})

        def act(one, i, made=made, code=code):
            if i == 0:
                return patient(lambda: one.enter(code, "AA-W1", "2026-Q2", {"number": 2}))
            return patient(lambda: one.post(f"/v1/activities/{made['id']}/proposal/confirm", None, [("If-Match", "*")]))
        typed, confirmed = together(crowd(2, reporter), act)
        stands = reporter.get(f"/v1/values/{code}/AA-W1/2026-Q2").json()
        assert (typed.status, confirmed.status) in ((201, 409), (201, 412), (412, 200)), (typed, confirmed)
        assert (stands["number"], stands["version"]) == ((2, 1) if typed.status == 201 else (1, 1))
        state = reporter.get(f"/v1/activities/{made['id']}").json()["proposal"]["state"]
        assert state == ("proposed" if typed.status == 201 else "confirmed")
        seen[typed.status] += 1
    assert sum(seen.values()) == 12


def test_of_many_who_confirm_one_does(world, crowd):
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, samples.fresh("DX"), "AA-P", "number")["code"]
    world.assign(manager, code, organization="AA-W1")
    made = activity(world, proposes={"indicator": code, "period": "2026-Q2", "number": 1})
    answers = together(crowd(8, world.at("AA-W1", "reporter")), lambda one, i: patient(
        lambda: one.post(f"/v1/activities/{made['id']}/proposal/confirm", None, [("If-Match", "*")])))
    assert statuses(answers)[200] == 1 and set(statuses(answers)) <= {200, 409, 412}, answers
