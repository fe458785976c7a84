"""Several who define at once: no circle is closed unseen, and of those who changed the same version one wins."""
from harness.crowd import patient, together
from harness.samples import body


def test_two_duties_do_not_come_to_stand_for_each_other(world, caller):
    manager = world.at("AA-TU", "manager")
    for _ in range(8):
        pair = [world.must(manager.post("/v1/report-duties", body("report_duty_create")))["code"] for _ in range(2)]
        answers = together([caller(manager.token) for _ in pair], lambda who, n, pair=pair: patient(
            lambda: who.patch(f"/v1/report-duties/{pair[n]}", {"stands_for": [{"duty": pair[1 - n], "periods": ["Q2"]}]}, "*")))
        assert sorted(answer.status for answer in answers) == [200, 422], answers
        refused = next(answer for answer in answers if answer.status == 422)
        assert ("#/stands_for", "cycle") in refused.faults()


def test_two_who_change_a_duty_from_the_same_version(world, caller):
    manager = world.at("AA-TU", "manager")
    path = f"/v1/report-duties/{world.must(manager.post('/v1/report-duties', body('report_duty_create')))['code']}"
    answers = together([caller(manager.token) for _ in range(6)], lambda who, n: patient(
        lambda: who.patch(path, {"title": f"Tên {n}", "sections": [{"code": f"s{n}", "title": "Mục"}]}, '"1"')))
    assert sorted(answer.status for answer in answers) == [200] + [412] * 5
    won, now = next(answer.json() for answer in answers if answer.status == 200), manager.get(path).json()
    assert now == won and now["version"] == 2 and now["sections"][0]["code"] == f"s{now['title'][-1]}"
