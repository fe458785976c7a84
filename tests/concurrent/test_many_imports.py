"""Many imports of the same activities, beside single writes to them: nobody waits crosswise, nothing is there twice, every change is told of."""
import json
import random

from harness import campaigns, samples
from harness.crowd import patient, together

UNITS = ("AA-W1", "AA-W1-C1", "AA-W1-C2", "AA-W1-C3")
ROWS = [(unit, f"HD-{n}") for unit in UNITS for n in range(15)]


def rows(campaign, chooser, planned):
    chosen = random.Random(chooser).sample(ROWS, 40)
    return [{"campaign": campaign, "organization": unit, "code": code, "phase": "GD2", "kind": "conference", "title": f"Hội nghị {code}", "starts_on": "2026-08-05",
             "planned": planned} for unit, code in chosen]


def send(one, body, **query):
    headers = [("Content-Type", "application/json"), ("Idempotency-Key", samples.fresh("k"))]
    return patient(lambda: one.post("/v1/activities/imports", json.dumps(body), headers, **query))


def assert_told(cluster, campaign, answers):
    """What the answers say was done is what is there, and the journal and the sums say the same."""
    assert {a.status for a in answers} <= {200, 409}, answers
    assert all(a.code == "concurrent_change" for a in answers if a.status == 409)
    told = [a.json() for a in answers if a.status == 200]
    assert told, "somebody gets through"
    kept = cluster.query("SELECT a.id, a.version FROM activity a JOIN campaign c ON c.id = a.campaign_id WHERE c.code = %s", [campaign])
    assert sum(t["created"] for t in told) == len(kept)
    for activity, version in kept:
        assert cluster.query("SELECT array_agg(version ORDER BY version) FROM journal WHERE resource_id = %s", [activity]) == [(list(range(1, version + 1)),)]
    assert cluster.query("SELECT count(*) FROM activity_recount()") == [(0,)]
    return sum(t["updated"] for t in told), sum(version - 1 for _, version in kept)


def test_many_imports_of_the_same_activities(world, caller, cluster):
    campaign = campaigns.campaign(world)["code"]
    token = world.at("AA-W1", "reporter").token
    answers = together([caller(token) for _ in range(12)], lambda one, i: send(one, rows(campaign, i, i)))
    updated, versions = assert_told(cluster, campaign, answers)
    assert updated == versions


def test_imports_beside_single_changes(world, caller, cluster):
    campaign = campaigns.campaign(world)["code"]
    ward = world.at("AA-W1", "reporter")
    assert send(ward, [r for n in range(6) for r in rows(campaign, n, 1)], mode="partial").status == 200
    ids = [a["id"] for a in ward.items("/v1/activities", campaign=campaign)]

    def act(one, i):
        if i % 2:
            return send(one, rows(campaign, i, 10 + i))
        return [patient(lambda x=x: one.patch(f"/v1/activities/{ids[x]}", {"contacts_reached": i}, "*")) for x in range(i, len(ids), 5)]

    found = together([caller(ward.token) for _ in range(10)], act)
    singles = [answer for answers in found[::2] for answer in answers]
    assert {a.status for a in singles} <= {200, 412}, "every one of them is answered as if alone"
    answers = found[1::2]
    assert {a.status for a in answers} <= {200, 409}, answers
    updated = sum(a.json()["updated"] for a in answers if a.status == 200)
    kept = cluster.query("SELECT a.id, a.version FROM activity a JOIN campaign c ON c.id = a.campaign_id WHERE c.code = %s", [campaign])
    assert sum(version - 1 for _, version in kept) == updated + sum(a.status == 200 for a in singles)
    assert cluster.query("SELECT count(*) FROM activity_recount()") == [(0,)]
