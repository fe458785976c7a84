"""Recognitions: proposed by a unit, decided by the one above, published to all who read the campaign. Their state machine is walked whole."""
import itertools

import pytest
from harness import campaigns
from harness.samples import fresh

DECISION = {"number": "215-QĐ/TU", "on": "2026-01-20", "by": "Ban Thường vụ Tỉnh ủy"}
REASON = {"reason": "Bổ sung kết quả cụ thể"}
STATES = ("proposed", "returned", "confirmed", "published", "withdrawn")
# What may be done from which state, and what it then is: written down once more, by hand.
MACHINE = {
    ("edit", "proposed"): "proposed", ("edit", "returned"): "proposed", ("delete", "proposed"): None, ("delete", "returned"): None,
    ("confirm", "proposed"): "confirmed", ("return", "proposed"): "returned", ("return", "confirmed"): "returned", ("publish", "confirmed"): "published",
    ("withdraw", "confirmed"): "withdrawn", ("withdraw", "published"): "withdrawn",
}
ACTIONS = ("edit", "delete", "confirm", "return", "publish", "withdraw")
BODY = {"edit": {"title": "Tên mới"}, "confirm": {"decision": DECISION}, "return": REASON, "withdraw": REASON}
WAYS = {"proposed": [], "returned": ["return"], "confirmed": ["confirm"], "published": ["confirm", "publish"], "withdrawn": ["confirm", "withdraw"]}


@pytest.fixture(scope="module")
def campaign(world):
    return campaigns.campaign(world, owner="AA-BTG")["code"]


@pytest.fixture(scope="module")
def alone(world):
    """A campaign in which every unit enters for itself alone."""
    return campaigns.campaign(world, owner="AA-BTG", entered_by="self")["code"]


@pytest.fixture(scope="module")
def office(world):
    """A body with a mandate to review for the programme; and one for another programme, which is none here."""
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    for code, programme in (("AA-VP", "AA-P"), ("AA-VP2", "AA-VP2-P")):
        world.unit(manager, code, f"Văn phòng {code}", "advisory_support_agency", "AA-TU")
        world.staff(admin, code)
        if programme != "AA-P":
            world.must(manager.post("/v1/programmes", {"code": programme, "title": "Chương trình khác", "owner": "AA-TU", "scope": "AA-TU"}))
        world.must(admin.post("/v1/mandates", {"unit": code, "over": "AA-TU", "functions": ["read"], "valid_from": "2025-01-01"}))
        world.must(admin.post("/v1/mandates", {"unit": code, "over": "AA-TU", "functions": ["review"], "programme": programme, "valid_from": "2025-01-01"}))
    return "AA-VP"


def propose(by, campaign, unit="AA-W1", status=201, **more):
    answer = by.post("/v1/recognitions", {"campaign": campaign, "organization": unit, "kind": "exemplary_model", "title": f"Mô hình {fresh()}", **more})
    assert answer.status == status, answer
    return answer.json()


def path(made):
    return f"/v1/recognitions/{made['id']}"


def do(by, made, action, body=None, match="*"):
    """The answer of an action, whatever it is."""
    body = BODY.get(action) if body is None else body
    headers = [("If-Match", match)] if match else []
    if action in ("edit", "delete"):
        return by.request("PATCH" if action == "edit" else "DELETE", path(made), body, headers)
    return by.post(f"{path(made)}/{action}", body, headers + [("Idempotency-Key", fresh("key"))])


def brought(world, campaign, state, unit="AA-W1", by=None, decider="AA-TU"):
    made = propose(by or world.at(unit, "reporter"), campaign, unit)
    for action in WAYS[state]:
        made = world.must(do(world.at(decider, "approver"), made, action), 200)
    assert made["state"] == state
    return made


@pytest.mark.parametrize("state, action", itertools.product(STATES, ACTIONS))
def test_the_state_machine(world, alone, state, action):
    made = brought(world, alone, state)
    author, decider = world.at("AA-W1", "reporter"), world.at("AA-TU", "approver")
    by = author if action in ("edit", "delete") else decider
    offered = [set(world.must(who.get(path(made)), 200)["actions"]) for who in (author, decider)]
    assert offered == [{a for a, s in MACHINE if s == state and (a in ("edit", "delete")) == authors} for authors in (True, False)]
    answer = do(by, made, action)
    if (action, state) not in MACHINE:
        assert (answer.status, answer.code) == (409, "wrong_state"), answer
        assert state in answer.json()["detail"]
        assert world.must(by.get(path(made)), 200)["version"] == made["version"]
    elif action == "delete":
        assert answer.status == 204 and by.get(path(made)).status == 404
    else:
        assert answer.status == 200 and answer.json()["state"] == MACHINE[action, state], answer
        assert world.must(by.get(path(made)), 200) == answer.json() and answer.json()["version"] == made["version"] + 1


def test_the_table_holds_what_the_tests_walk(world, cluster):
    assert {(a, f): None if t == "deleted" else t for a, f, t in cluster.query("SELECT action, from_state, to_state FROM recognition_transition")} == MACHINE


# seat: decides on what AA-W1 proposed (True), sees it and does not (False), does not see it (None)
DECIDERS = {"AA-TU": True, "AA-BTG": True, "AA-VP": True, "AA-VP2": False, "AA-W1": False, "AA-W1-XD": False, "AA-W2": None, "AA-W1-C1": None, "BB-W1": None}


@pytest.mark.parametrize("seat", DECIDERS)
def test_who_decides(world, campaign, office, seat):
    proposed, confirmed = brought(world, campaign, "proposed"), brought(world, campaign, "confirmed")
    by, may = world.at(seat, "approver"), DECIDERS[seat]
    for made, action in ((proposed, "confirm"), (confirmed, "publish")):
        answer = do(by, made, action)
        assert answer.status == (404 if may is None else 200 if may else 403), answer
        if may is False:
            assert "AA-W1" in answer.json()["detail"]
        listed = [r["id"] for r in by.items("/v1/recognitions", campaign=campaign, to_me="true")] if may is not None else []
        assert (made["id"] in listed) is bool(may)
    for role in ("reporter", "manager", "viewer"):
        assert do(world.at(seat, role), brought(world, campaign, "proposed"), "confirm").status == 403, "that is an approver's"


def test_an_owner_in_no_line_decides_too(world):
    code = campaigns.campaign(world, owner="AA-W2")["code"]
    made = propose(world.at("AA-W1-C1", "reporter"), code, "AA-W1-C1")
    owner = world.at("AA-W2", "approver")
    assert world.must(owner.get(path(made)), 200)["actions"] == ["confirm", "return"]
    for action in ("confirm", "publish", "withdraw"):
        made = world.must(do(owner, made, action), 200)
    assert (made["decided_by"], made["state"]) == ("AA-W2", "withdrawn")
    own = propose(world.at("AA-W2", "reporter"), code, "AA-W2")
    assert do(owner, own, "confirm").status == 403, "nobody decides on its own unit"


def test_the_unit_two_above_does_not_decide(world, campaign):
    made = propose(world.at("AA-W1-C1", "reporter"), campaign, "AA-W1-C1")
    assert do(world.at("AA-TU", "approver"), made, "confirm").status == 403
    assert do(world.at("AA-W1", "approver"), made, "confirm").status == 200


def test_the_nearest_above_that_has_somebody_decides(world, campaign):
    """A committee without an account decides nothing; what is proposed below it is for the one above, until it has somebody."""
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    middle, cell = fresh("AA-W1-CS"), fresh("AA-W1-CB")
    world.unit(manager, middle, "Đảng ủy bộ phận", "party_cell", "AA-W1")
    world.unit(manager, cell, "Chi bộ", "party_cell", middle)
    made = [propose(world.at("AA-W1", "reporter"), campaign, cell) for _ in range(2)]
    ward = world.at("AA-W1", "approver")
    assert do(world.at("AA-TU", "approver"), made[0], "confirm").status == 403, "the ward is nearer"
    assert made[0]["id"] in str(ward.items("/v1/me/tasks", kind="recognition"))
    assert do(ward, made[0], "confirm").status == 200
    world.account(admin, fresh("nguoi").lower(), (middle, "approver"))
    assert do(ward, made[1], "confirm").status == 403 and made[1]["id"] not in str(ward.items("/v1/me/tasks", kind="recognition"))


def test_nobody_confirms_what_they_proposed(world, campaign):
    admin = world.at("AA-TU", "administrator")
    double = fresh("hai.ghe").lower()
    world.account(admin, double, ("AA-W1", "reporter"), ("AA-TU", "approver"))
    grants = {g["organization"]["code"]: g["id"] for g in admin.items("/v1/grants", account=double)}
    below, above = world.as_(double, grants["AA-W1"]), world.as_(double, grants["AA-TU"])
    made = propose(below, campaign)
    answer = do(above, made, "confirm")
    assert (answer.status, answer.code) == (403, "own_submission") and "confirm" not in world.must(above.get(path(made)), 200)["actions"]
    assert do(above, made, "return").status == 200, "that much anybody above may"
    world.must(do(world.at("AA-W1", "reporter"), made, "edit"), 200)
    assert do(above, made, "confirm").code == "own_submission", "proposed anew by another, and still in part what they wrote"
    assert do(world.at("AA-TU", "approver"), made, "confirm").status == 200


def test_an_edit_by_another_does_not_wash_off_who_wrote_it(world, campaign):
    above, below = world.at("AA-TU", "approver"), world.at("AA-W1", "reporter")
    made = propose(above, campaign)
    again = world.must(do(below, made, "edit", {"title": made["title"]}), 200)
    assert (again["version"], again["proposed_by"], again["updated_at"]) == (1, "AA-TU", made["updated_at"]), "nothing new was said"
    assert do(above, made, "confirm").code == "own_submission"
    assert world.must(do(below, made, "edit", {"title": "Tên khác"}), 200)["version"] == 2
    refused = do(above, made, "confirm")
    assert (refused.status, refused.code) == (403, "own_submission") and "confirm" not in world.must(above.get(path(made)), 200)["actions"]
    assert do(world.at("AA-BTG", "approver"), made, "confirm").status == 200
    # and whoever edits what another proposed has written it too
    other = propose(below, campaign)
    world.must(do(above, other, "edit", {"summary": "Viết lại"}), 200)
    world.must(do(below, other, "edit", {"summary": "Viết lại lần nữa"}), 200)
    assert do(above, other, "confirm").code == "own_submission"
    assert do(world.at("AA-BTG", "approver"), other, "confirm").status == 200


def test_what_was_returned_is_proposed_again_as_it_was(world, campaign):
    made = brought(world, campaign, "returned")
    again = world.must(do(world.at("AA-W1", "reporter"), made, "edit", {"title": made["title"]}), 200)
    assert (again["state"], again["version"]) == ("proposed", made["version"] + 1)


def test_nobody_confirms_what_they_proposed_by_delegation(world, campaign, cluster):
    """Whoever lent the role, and whoever acted by it, proposed it both."""
    giver = world.at("AA-TU", "approver")
    today = cluster.query("SELECT tiendo.today()::text")[0][0]
    lent = world.must(giver.post("/v1/delegations", {"account": "aa-w2.viewer", "organization": "AA-TU", "valid_from": today, "valid_to": today}))
    grant = [g["id"] for g in world.at("AA-TU", "administrator").items("/v1/grants", account="aa-w2.viewer") if g["organization"]["code"] == "AA-TU"]
    helper = world.as_("aa-w2.viewer", grant[0])
    made = propose(helper, campaign)
    assert (made["proposed_by"], made["organization"]) == ("AA-TU", "AA-W1")
    for by in (helper, giver):
        assert do(by, made, "confirm").code == "own_submission"
    assert do(world.at("AA-BTG", "approver"), made, "confirm").status == 200
    other = propose(giver, campaign)
    assert do(helper, other, "confirm").code == "own_submission", "who acts in the giver's name is the giver"
    assert world.at("AA-TU", "approver").request("DELETE", f"/v1/delegations/{lent['id']}", None, [("If-Match", "*")]).status < 300


def test_who_proposes(world, campaign, alone):
    assert propose(world.at("AA-W1", "manager"), campaign)["proposed_by"] == "AA-W1"
    assert propose(world.at("AA-W1", "reporter"), campaign, "AA-W1-C1")["proposed_by"] == "AA-W1"
    assert propose(world.connector(), campaign, "AA-W2-C1")["proposed_by"] == "AA-TU"
    assert propose(world.at("AA-W1-XD", "reporter"), campaign, "AA-W1-C1")["proposed_by"] == "AA-W1-XD", "by its mandate to enter"
    assert set(world.must(world.at("AA-TU", "approver").get(path(propose(world.at("AA-W1", "reporter"), campaign))), 200)["actions"]) == {
        "edit", "delete", "confirm", "return"}, "where superiors enter, they may mend it themselves"
    propose(world.at("AA-W1", "viewer"), campaign, status=403)
    assert propose(world.at("AA-W1", "reporter"), campaign, "AA-W2", status=422)["errors"][0]["pointer"] == "#/organization"
    propose(world.at("AA-W1", "reporter"), alone, "AA-W1-C1", status=403)
    propose(world.at("AA-W1", "reporter"), alone, "AA-W1-OLD", status=403)
    propose(world.at("AA-W1", "reporter"), campaign, "AA-W1-OLD", status=422)
    below = propose(world.at("AA-W1-C1", "reporter"), alone, "AA-W1-C1")
    seen = world.must(world.at("AA-W1", "reporter").get(path(below)), 200)
    assert seen["actions"] == [] and do(world.at("AA-W1", "reporter"), below, "edit").status == 403
    assert do(world.at("AA-W1", "reporter"), below, "delete").status == 403
    assert do(world.at("AA-W2", "reporter"), below, "edit").status == 404


def test_what_is_confirmed_refers_to_a_decision(world, campaign, cluster):
    made, decider = brought(world, campaign, "proposed"), world.at("AA-TU", "approver")
    assert do(decider, made, "confirm", {}).faults() == {("#/decision", "required")}
    tomorrow = cluster.query("SELECT (tiendo.today() + 1)::text")[0][0]
    assert do(decider, made, "confirm", {"decision": {"number": "1-QĐ", "on": tomorrow}}).faults() == {("#/decision/on", "in_the_future")}
    assert do(decider, made, "confirm", {"decision": {"number": "1-QĐ"}}).status == 422
    confirmed = world.must(do(decider, made, "confirm", {"decision": {"number": "1-QĐ/TU", "on": "2026-02-01"}}), 200)
    assert confirmed["decision"] == {"number": "1-QĐ/TU", "on": "2026-02-01", "by": None} and confirmed["decided_by"] == "AA-TU"
    named = propose(world.at("AA-W1", "reporter"), campaign, decision=DECISION)
    assert named["decision"] == DECISION
    assert world.must(do(decider, named, "confirm", {}), 200)["decision"] == DECISION, "as it was proposed"


def test_what_was_returned_is_proposed_again(world, campaign):
    made, author, decider = brought(world, campaign, "returned"), world.at("AA-W1", "reporter"), world.at("AA-TU", "approver")
    assert (made["reason"], made["decided_by"]) == (REASON["reason"], "AA-TU")
    again = world.must(author.patch(path(made), {"summary": "Đã bổ sung", "decision": DECISION, "phase": "GD2", "kind": "commended_collective"}, made_tag(made)), 200)
    assert (again["state"], again["reason"], again["phase"], again["kind"], again["summary"]) == ("proposed", None, "GD2", "commended_collective", "Đã bổ sung")
    assert world.must(author.patch(path(made), {"decision": None, "phase": None}, "*"), 200)["decision"] is None
    assert author.patch(path(made), {"phase": "GD9"}, "*").faults() == {("#/phase", "unknown_reference")}
    assert do(decider, made, "return", {}).status == 422


def made_tag(made):
    return f'"{made["version"]}"'


@pytest.mark.parametrize("action", ACTIONS)
def test_every_step_asks_for_the_version(world, campaign, action):
    made = brought(world, campaign, {"publish": "confirmed", "withdraw": "published"}.get(action, "proposed"))
    by = world.at("AA-W1", "reporter") if action in ("edit", "delete") else world.at("AA-TU", "approver")
    assert do(by, made, action, match=None).status == 428
    assert do(by, made, action, match='"99"').status == 412
    assert do(by, made, action, match=made_tag(made)).status in (200, 204)


def test_it_is_seen_by_all_once_it_is_published(world, campaign):
    made = brought(world, campaign, "confirmed")
    elsewhere = [world.at("AA-W2", "viewer"), world.at("AA-W1-C1", "viewer")]
    for by in elsewhere:
        assert by.get(path(made)).status == 404
    shown = world.must(do(world.at("AA-TU", "approver"), made, "publish"), 200)
    assert shown["published_at"]
    for by in elsewhere:
        got = world.must(by.get(path(made)), 200)
        assert (got["organization"], got["decision"], got["actions"]) == ("AA-W1", DECISION, []) and got["organization_name"]
        assert made["id"] in [r["id"] for r in by.items("/v1/recognitions", campaign=campaign, state="published", sort="-published_at")]
    assert world.at("BB-W1", "viewer").get(path(made)).status == 404
    assert do(world.at("AA-W2", "approver"), made, "withdraw").status == 403
    assert do(world.at("AA-TU", "approver"), made, "withdraw").status == 200
    for by in elsewhere:
        assert by.get(path(made)).status == 404


def test_a_closed_campaign_takes_no_proposal_and_is_still_decided_on(world):
    code = campaigns.campaign(world)["code"]
    made, author = brought(world, code, "proposed"), world.at("AA-W1", "reporter")
    world.must(world.at("AA-TU", "manager").patch(f"/v1/campaigns/{code}", {"status": "closed"}, "*"), 200)
    for answer in (do(author, made, "edit"), do(author, made, "delete"),
                   author.post("/v1/recognitions", {"campaign": code, "organization": "AA-W1", "kind": "exemplary_model", "title": "x"})):
        assert (answer.status, answer.code) == (409, "campaign_not_active")
    assert world.must(author.get(path(made)), 200)["actions"] == []
    for action in ("confirm", "publish"):
        assert do(world.at("AA-TU", "approver"), made, action).status == 200


def test_they_are_listed_filtered_and_exported(world):
    code = campaigns.campaign(world)["code"]
    first = propose(world.at("AA-W1", "reporter"), code, title="Chi bộ bốn tốt", phase="GD2")
    second = propose(world.at("AA-W2", "reporter"), code, "AA-W2", kind="commended_collective", title="Tập thể số", decision=DECISION)
    top = world.at("AA-TU", "viewer")

    def found(**query):
        return [r["id"] for r in top.items("/v1/recognitions", campaign=code, **query)]
    assert found() == [first["id"], second["id"]] == found(state="proposed")
    assert found(kind="commended_collective") == found(organization="AA-W2") == found(under="AA-W2") == [second["id"]]
    assert world.at("AA-TU", "viewer").get("/v1/recognitions", phase="GD9").faults() == {("phase", "unknown_reference")}
    assert found(phase="GD2") == [first["id"]] and found(state="returned") == []
    assert found(**{"updated_at[gte]": second["updated_at"]})[-1] == second["id"]
    item = top.items("/v1/recognitions", campaign=code, organization="AA-W2")[0]
    assert (item["decision_number"], item["decision_on"], item["decision_by"]) == (DECISION["number"], DECISION["on"], DECISION["by"])
    csv = top.get("/v1/recognitions", [("Accept", "text/csv")], campaign=code, fields="title")
    assert [line.split(",")[-1] for line in csv.text.splitlines()[1:]] == ["Chi bộ bốn tốt", "Tập thể số"]


@pytest.mark.parametrize("field, value", [("kind", "person"), ("title", ""), ("summary", "x" * 4001), ("person", "x"), ("decision", {"number": "1", "on": "x"})])
def test_what_does_not_fit_is_422(world, campaign, field, value):
    propose(world.at("AA-W1", "reporter"), campaign, status=422, **{field: value})


def test_the_journal_tells_of_every_step(world, campaign):
    made = brought(world, campaign, "published")
    events = world.at("AA-W1", "manager").items("/v1/audit-events", resource=f"recognition:{made['id']}")
    assert {e["action"] for e in events} == {"create", "confirm", "publish"}
