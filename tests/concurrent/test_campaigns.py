"""A campaign changes while something is entered in it: whoever comes second sees what the first did."""
import threading

import pytest
from harness import campaigns, samples
from harness.crowd import patient, together, wait_for
from harness.world import hold

ENTRIES = {
    "activity": ("POST", "/v1/activities", {"kind": "conference", "title": "Hội nghị", "starts_on": "2026-02-01", "ends_on": "2026-02-01"}),
    "product": ("POST", "/v1/products", {"kind": "poster", "title": "Áp phích"}),
}


def entry(kind, campaign):
    method, path, body = ENTRIES[kind]
    return method, path, {"campaign": campaign, "phase": "GD1", "organization": "AA-W1", **body}


def held_up(cluster, acts):
    """Runs the acts one after the other, each begun while those before it wait to commit; the answers in their order."""
    answers, threads = {}, []
    holder = hold(cluster, "LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE")
    for n, act in enumerate(acts):
        threads.append(threading.Thread(target=lambda n=n, act=act: answers.update({n: act()})))
        threads[-1].start()
        assert wait_for(lambda n=n: n in answers or cluster.query(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'tiendo_service' AND wait_event_type = 'Lock'")[0][0] >= len(threads))
    holder.close()
    for thread in threads:
        thread.join()
    return [answers[n] for n in range(len(acts))]


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("change", ["closed", "without the phase"])
@pytest.mark.parametrize("first", ["entry", "change"])
def test_the_second_of_the_two_sees_the_first(world, cluster, caller, kind, change, first):
    campaign = campaigns.campaign(world)["code"]
    manager, ward = world.at("AA-TU", "manager"), world.at("AA-W1", "reporter")
    patch = {"status": "closed"} if change == "closed" else {"phases": campaigns.PHASES[1:]}
    acts = {"entry": lambda: patient(lambda: caller(ward.token).request(*entry(kind, campaign))),
            "change": lambda: patient(lambda: caller(manager.token).patch(f"/v1/campaigns/{campaign}", patch, "*"))}
    order = ["entry", "change"] if first == "entry" else ["change", "entry"]
    answers = dict(zip(order, held_up(cluster, [acts[name] for name in order])))
    if first == "entry":
        assert answers["entry"].status == 201 and answers["change"].status == (200 if change == "closed" else 409), answers
    elif change == "closed":
        assert (answers["change"].status, answers["entry"].status, answers["entry"].code) == (200, 409, "campaign_not_active"), answers
    else:
        assert answers["change"].status == 200 and answers["entry"].faults() == {("#/phase", "unknown_reference")}, answers


CHANGES = {
    "change": lambda by, a: by.patch(f"/v1/activities/{a['id']}", {"title": "Tên khác"}, "*"),
    "delete": lambda by, a: by.request("DELETE", f"/v1/activities/{a['id']}", None, [("If-Match", "*")]),
    "import": lambda by, a: by.post("/v1/activities/imports", [
        {**{name: a[name] for name in ("campaign", "organization", "phase", "kind", "starts_on")}, "code": a["code"], "title": "Tên khác"}],
        [("Idempotency-Key", samples.fresh("key"))], strategy="update"),
    "import's delete": lambda by, a: by.post("/v1/activities/imports", [{name: a[name] for name in ("campaign", "organization", "code")}],
                                             [("Idempotency-Key", samples.fresh("key"))], strategy="delete"),
    "decision": lambda by, a: by.post(f"/v1/activities/{a['id']}/proposal/decline", {"reason": "Chưa khớp"}, [("If-Match", "*")]),
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("first", ["entry", "change"])
def test_nothing_changes_in_a_campaign_that_is_just_being_closed(world, cluster, caller, kind, first):
    campaign = campaigns.campaign(world)["code"]
    manager, ward = world.at("AA-TU", "manager"), world.at("AA-W1", "reporter")
    code = world.indicator(manager, samples.fresh("DX"), "AA-P", "number")["code"]
    world.assign(manager, code, kind="directly_subordinate_party_committee", under="AA-TU")
    method, path, body = entry("activity", campaign)
    made = world.must(ward.request(method, path, {**body, "code": "HD-1", "proposes": {"indicator": code, "period": "2026-Q2", "number": 12}}))
    acts = {"entry": lambda: patient(lambda: CHANGES[kind](caller(ward.token), made)),
            "change": lambda: patient(lambda: caller(manager.token).patch(f"/v1/campaigns/{campaign}", {"status": "closed"}, "*"))}
    order = ["entry", "change"] if first == "entry" else ["change", "entry"]
    answers = dict(zip(order, held_up(cluster, [acts[name] for name in order])))
    assert answers["change"].status == 200, answers
    if first == "entry":
        assert answers["entry"].status in (200, 204), answers
    else:
        assert (answers["entry"].status, answers["entry"].code) == (409, "campaign_not_active"), answers
        assert ward.get(f"/v1/activities/{made['id']}").json() == made


def test_of_many_who_change_the_same_campaign_one_is_let_through(world, caller):
    made = campaigns.campaign(world)
    manager = world.at("AA-TU", "manager")
    titles = [samples.fresh("Tên") for _ in range(6)]
    answers = together([caller(manager.token) for _ in titles], lambda one, i: patient(lambda: one.patch(
        f"/v1/campaigns/{made['code']}", {"title": titles[i], "phases": campaigns.PHASES[i % 2:]}, '"1"')))
    assert sorted(a.status for a in answers) == [200] + [412] * 5
    kept = next(a for a in answers if a.status == 200).json()
    assert manager.get(f"/v1/campaigns/{made['code']}").json() == kept


WISH = {"phase": "GD2", "kind": "conference", "quantity": 10, "due_on": "2026-09-30", "organizations": ["AA-W1"]}
# What is done to an assignment of ten, besides setting it to twelve with all others.
MEANWHILE = {
    "adjusted": lambda world, caller, row: caller(world.at("AA-W1", "reporter").token).patch(row, {"quantity": 3, "reason": "Ít người"}, "*"),
    "set anew": lambda world, caller, row: caller(world.at("AA-TU", "manager").token).put(row, {"quantity": 7, "due_on": "2026-09-30"}, [("If-Match", "*")]),
    "put off": lambda world, caller, row: caller(world.at("AA-TU", "manager").token).put(row, {"quantity": 10, "due_on": "2026-10-31"}, [("If-Match", "*")]),
    "taken away": lambda world, caller, row: caller(world.at("AA-TU", "manager").token).request("DELETE", row, None, [("If-Match", "*")]),
}
# (set_quantity, quantity, reason, version) of each in the end, whichever came first
OUTCOMES = {
    ("adjusted", "many"): [(12, 3, "Ít người", 3)], ("adjusted", "one"): [(12, 3, "Ít người", 3)],
    ("set anew", "many"): [(7, 7, None, 3)], ("set anew", "one"): [(12, 12, None, 3)],
    ("put off", "many"): [(10, 10, None, 3)], ("put off", "one"): [(10, 10, None, 2), (12, 12, None, 1)],
    ("taken away", "many"): [], ("taken away", "one"): [(12, 12, None, 1)],
}


@pytest.mark.parametrize("act,first", OUTCOMES)
def test_what_is_set_anew_with_many_is_judged_as_it_stands_then(world, cluster, caller, act, first):
    manager = world.at("AA-TU", "manager")
    path = f"/v1/campaigns/{campaigns.campaign(world)['code']}/assignments"
    world.must(manager.post(path, WISH), 200)
    row = manager.items(path)[0]["id"]
    address = f"{path}/{row}" + ("/setting" if act in ("set anew", "put off") else "")
    acts = {"one": lambda: patient(lambda: MEANWHILE[act](world, caller, address)),
            "many": lambda: patient(lambda: caller(manager.token).post(path, {**WISH, "quantity": 12, "strategy": "replace"}))}
    order = [first, "many" if first == "one" else "one"]
    answers = dict(zip(order, held_up(cluster, [acts[name] for name in order])))
    assert answers["many"].status == 200 and answers["one"].status in (200, 204), answers
    found = [(a["set_quantity"], a["quantity"], a["reason"], a["version"]) for a in manager.items(path, sort="-due_on")]
    assert found == OUTCOMES[act, first]
    told = cluster.query("SELECT version, before ->> 'version', before ->> 'quantity', after ->> 'quantity' FROM journal WHERE resource_id = %s"
                         " AND resource_type = 'campaign_assignment' ORDER BY seq", [row])
    assert [int(v) for v, *_ in told] == list(range(1, len(told) + 1))
    for (_, _, _, now), (version, before, was, _) in zip(told, told[1:]):
        assert (int(before), was) == (version - 1, now), "each begins where the one before it ended"
