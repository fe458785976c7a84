"""What an activity proposes as its unit's value: confirmed by whoever enters the values, never in place of a figure that was entered otherwise."""
import pytest
from harness import campaigns, samples
from harness.activities import activity, body, change
from harness.reports import Report, duty

PERIOD = "2026-Q2"


@pytest.fixture(scope="module", autouse=True)
def campaign(world):
    return campaigns.known(world)


@pytest.fixture
def w1(world):
    return world.at("AA-W1", "reporter")


@pytest.fixture
def number(world):
    """A fresh indicator of the wards and of their cells, which a superior enters for."""
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, samples.fresh("DX"), "AA-P", "number")["code"]
    world.assign(manager, code, kind="directly_subordinate_party_committee", under="AA-TU")
    world.assign(manager, code, kind="party_cell", under="AA-TU", entered_by="superior")
    return code


def figure(code, number=12, period=PERIOD, **more):
    return {"indicator": code, "period": period, **({"number": number} if number is not None else {}), **more}


def decide(by, made, action="confirm", match="*", **more):
    return by.post(f"/v1/activities/{made['id']}/proposal/{action}", more or None, [("If-Match", match)] if match else [])


def value(world, code, unit="AA-W1"):
    return world.at("AA-TU", "viewer").get(f"/v1/values/{code}/{unit}/{PERIOD}")


def faults(answer):
    assert answer.status == 422, answer
    return {(e.get("pointer") or e.get("parameter"), e["code"]) for e in answer.json()["errors"]}


def test_a_confirmed_proposal_is_the_unit_s_value(world, w1, number):
    made = activity(world, code=samples.fresh("TH"), title="Tập huấn", evidence_url="https://anbinh.gov.vn/tin/2", proposes=figure(number, 12.5))
    assert (made["proposal"]["state"], made["proposal"]["number"], made["proposal"]["value"]) == ("proposed", 12.5, None)
    assert value(world, number).status == 404  # it waits
    answer = decide(w1, made, match='"1"')
    done = world.must(answer, 200)
    stands = value(world, number).json()
    assert done["proposal"]["state"] == "confirmed" and done["proposal"]["value"] == {"id": stands["id"], "version": 1}
    assert (stands["number"], stands["entered_by"], stands["evidence_url"]) == (12.5, "AA-W1", "https://anbinh.gov.vn/tin/2")
    assert made["code"] in stands["source"] and "Tập huấn" in stands["source"]
    assert (done["version"], answer.etag) == (2, '"2"')


@pytest.mark.parametrize("more, fault", [
    ({"indicator": "NO-SUCH"}, ("#/proposes/indicator", "unknown_reference")),
    ({"indicator": "BB-RATIO"}, ("#/proposes/indicator", "unknown_reference")),
    ({"period": "2026-M04"}, ("#/proposes/period", "wrong_period_kind")),
    ({"period": "2027-Q1"}, ("#/proposes/period", "period_not_begun")),
    ({"period": "NO-SUCH"}, ("#/proposes/period", "unknown_reference")),
    ({"number": None}, ("#/proposes/number", "required")),
    ({"numerator": 1}, ("#/proposes/numerator", "not_expected")),
    ({"done_on": "2026-04-01"}, ("#/proposes/done_on", "not_expected")),
    ({"category": "nam"}, ("#/proposes/category", "not_expected"))])
def test_what_cannot_be_proposed(w1, number, more, fault):
    given = {name: item for name, item in {**figure(number), **more}.items() if item is not None}
    assert fault in faults(w1.post("/v1/activities", body(proposes=given)))


def test_only_what_is_assigned_is_proposed(world, w1):
    code = world.indicator(world.at("AA-TU", "manager"), samples.fresh("DX"), "AA-P", "number")["code"]
    assert faults(w1.post("/v1/activities", body(proposes=figure(code)))) == {("#/proposes/indicator", "not_assigned")}


def test_a_typed_value_stays(world, w1, number):
    world.must(w1.enter(number, "AA-W1", PERIOD, {"number": 7}))
    made = activity(world, proposes=figure(number))
    answer = decide(w1, made)
    assert (answer.status, answer.code) == (409, "value_exists")
    assert " 7 " in answer.json()["detail"] and "12" in answer.json()["detail"]  # both figures
    assert value(world, number).json()["number"] == 7
    same = change(world, made, {"proposes": figure(number, 7)})
    assert decide(w1, same).code == "value_exists"


def test_a_locked_value_stays(world, w1):
    code = duty(world)["code"]
    report = Report(world, code)
    report.submit()
    made = activity(world, proposes=figure(report.indicators[0], 99, report.period))
    answer = decide(w1, made)
    assert (answer.status, answer.code) == (409, "locked")
    assert "99" in answer.json()["detail"]


def test_what_came_from_it_and_nobody_touched_may_be_confirmed_anew(world, w1, number):
    made = activity(world, proposes=figure(number, 12))
    world.must(decide(w1, made), 200)
    again = change(world, made, {"proposes": figure(number, 15)})
    assert again["proposal"]["state"] == "proposed"
    anew = world.must(decide(w1, made), 200)
    stands = value(world, number).json()
    assert (stands["number"], stands["version"], anew["proposal"]["value"]["version"]) == (15, 2, 2)
    other = activity(world, proposes=figure(number, 20))
    assert decide(w1, other).code == "value_exists"  # another activity's figure is not its own
    assert w1.enter(number, "AA-W1", PERIOD, {"number": 16}, value(world, number).etag).status == 200
    change(world, made, {"proposes": figure(number, 17)})
    assert decide(w1, made).code == "value_exists"  # touched since
    assert value(world, number).json()["number"] == 16


def test_declining(world, w1, number):
    made = activity(world, proposes=figure(number))
    assert w1.post(f"/v1/activities/{made['id']}/proposal/decline", {}, [("If-Match", "*")]).status == 422
    declined = world.must(decide(w1, made, "decline", reason="Đã tính ở nơi khác"), 200)
    assert (declined["proposal"]["state"], declined["proposal"]["reason"]) == ("declined", "Đã tính ở nơi khác")
    assert decide(w1, made).code == "wrong_state" and decide(w1, made, "decline", reason="x").code == "wrong_state"
    assert value(world, number).status == 404
    assert change(world, made, {"proposes": figure(number, 3)})["proposal"]["number"] == 3


def test_replacing_and_taking_back(world, w1, number):
    made = activity(world, proposes=figure(number))
    assert change(world, made, {"title": "Tên mới"})["proposal"]["number"] == 12
    assert change(world, made, {"proposes": figure(number, 13)})["proposal"]["number"] == 13
    assert change(world, made, {"proposes": None})["proposal"] is None
    assert decide(w1, made).code == "wrong_state"
    waiting = activity(world, proposes=figure(number))
    assert waiting["id"] in {a["id"] for a in w1.items("/v1/activities", proposed="true", organization="AA-W1")}
    assert made["id"] not in {a["id"] for a in w1.items("/v1/activities", proposed="true", organization="AA-W1")}


def test_who_decides(world, w1, number):
    made = activity(world, "AA-W1-C1", proposes=figure(number))
    assert decide(world.at("AA-W1-C1", "viewer"), made).status == 403
    assert decide(world.at("AA-W2", "reporter"), made).status == 404
    assert decide(world.at("AA-W2", "reporter"), made, "decline", reason="x").status == 404
    assert decide(w1, made, match=None).status == 428
    assert decide(w1, made, match='"9"').status == 412
    done = world.must(decide(w1, made), 200)  # the superior enters the cell's values
    assert value(world, number, "AA-W1-C1").json()["on_behalf"] is True and done["proposal"]["state"] == "confirmed"
    ward = activity(world, proposes=figure(number))
    answer = decide(world.at("AA-TU", "reporter"), ward)
    assert answer.status == 403 and "AA-W1" in answer.json()["detail"]  # a ward enters its own
    assert decide(world.at("AA-TU", "reporter"), ward, "decline", reason="x").status == 403
    assert decide(world.at("AA-W1", "reporter"), {"id": samples.fresh("x")}).status in (400, 404)


def test_nothing_is_decided_in_a_campaign_that_is_closed(world, w1, number):
    code = campaigns.campaign(world)["code"]
    made = activity(world, campaign=code, proposes=figure(number))
    world.must(world.at("AA-TU", "manager").patch(f"/v1/campaigns/{code}", {"status": "closed"}, "*"), 200)
    assert decide(w1, made).code == "campaign_not_active"
    assert decide(w1, made, "decline", reason="x").code == "campaign_not_active"


def test_what_is_no_longer_assigned_is_not_confirmed(world, w1):
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, samples.fresh("DX"), "AA-P", "number")["code"]
    assigned = world.assign(manager, code, organization="AA-W1")
    made = activity(world, proposes=figure(code))
    world.must(manager.patch(f"/v1/indicators/{code}/assignments/{assigned['id']}", {"valid_to": "2025-12-31"}, "*"), 200)
    assert ("organization", "not_assigned") in faults(decide(w1, made))
    assert w1.get(f"/v1/activities/{made['id']}").json()["proposal"]["state"] == "proposed"


def test_a_value_stays_when_its_activity_goes(world, w1, number, cluster):
    made = activity(world, proposes=figure(number))
    world.must(decide(w1, made), 200)
    assert w1.request("DELETE", f"/v1/activities/{made['id']}", None, [("If-Match", "*")]).status == 204
    assert value(world, number).json()["number"] == 12
    assert cluster.query("SELECT count(*) FROM activity_proposal WHERE activity_id = %s", [made["id"]]) == [(0,)]


def test_a_key_sent_twice_confirms_once(world, w1, number):
    made = activity(world, proposes=figure(number))
    headers = [("If-Match", '"1"'), ("Idempotency-Key", samples.fresh("key"))]
    first = w1.post(f"/v1/activities/{made['id']}/proposal/confirm", None, headers)
    again = w1.post(f"/v1/activities/{made['id']}/proposal/confirm", None, headers)
    assert (first.status, again.status, again.header("Idempotency-Replayed")) == (200, 200, "true")
    assert again.json() == first.json()
