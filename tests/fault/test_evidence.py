"""Files of activities when something fails: nothing of one is left that was not kept whole, and the activity is as it was."""
from types import SimpleNamespace

import pytest
from harness import campaigns, files
from harness.crowd import wait_for
from harness.files import MB
from harness.samples import fresh
from harness.world import Caller, hold
from test_files import begin, closed, head, kept, upload


@pytest.fixture
def activity(world):
    author = world.at("AA-W1", "reporter")
    made = world.must(author.post("/v1/activities", {"campaign": campaigns.known(world)["code"], "phase": "GD2", "organization": "AA-W1", "kind": "conference",
                                                     "title": "Hội nghị", "starts_on": "2026-11-01"}))
    path = f"/v1/activities/{made['id']}"
    return SimpleNamespace(world=world, author=author, id=made["id"], path=path, read=lambda: author.get(path).json())


KEEPING = "SELECT pid FROM pg_stat_activity WHERE usename = 'tiendo_service' AND wait_event_type = 'Lock' AND query LIKE '%%evidence_create%%'"


def held(cluster, activity):
    return hold(cluster, f"SELECT FROM tiendo.activity WHERE id = '{activity.id}' FOR UPDATE")


def untouched(activity):
    return (activity.read()["attachments"], activity.read()["version"]) == (0, 1)


def test_a_kill_while_it_arrives_leaves_nothing(another, cluster, directory, activity):
    spool = directory / "evidence"
    spool.mkdir()
    service = another(spool_dir=spool)
    before = kept(cluster)
    http = begin(service, activity, files.pdf(5 * MB), 4 * MB)
    service.kill()
    assert closed(http)
    assert list(spool.iterdir()) == [] and kept(cluster) == before and untouched(activity)


def test_a_kill_while_it_is_kept_leaves_nothing(another, cluster, activity):
    service = another()
    before = kept(cluster)
    holder = held(cluster, activity)
    try:
        http = service.http()
        data = files.pdf(3 * MB)
        http.send(head(activity, len(data)) + data)
        assert wait_for(lambda: cluster.query(KEEPING))
        service.kill()
    finally:
        holder.close()
    assert wait_for(lambda: not cluster.query("SELECT FROM pg_stat_activity WHERE query LIKE '%%evidence_create%%' AND state <> 'idle' AND pid <> pg_backend_pid()"))
    assert kept(cluster) == before and untouched(activity)
    assert upload(activity.world.service, activity, data).status == 201


def test_a_connection_that_is_lost_while_it_is_kept_leaves_nothing_and_the_same_request_makes_it_good(another, cluster, activity):
    service = another()
    before, data, key = kept(cluster), files.pdf(2 * MB), ("Idempotency-Key", fresh("key"))
    holder = held(cluster, activity)
    try:
        http = service.http(60)
        http.send(head(activity, len(data), ": ".join(key)) + data)
        assert wait_for(lambda: cluster.query(KEEPING))
        cluster.query(f"SELECT pg_terminate_backend(pid) FROM ({KEEPING}) x")
        lost = http.read("POST", activity.path + "/attachments")
    finally:
        holder.close()
    assert lost.status == 503 and lost.header("Retry-After"), lost
    assert kept(cluster) == before and untouched(activity)
    assert upload(service, activity, data, key).status == 201
    assert upload(service, activity, data, key).header("Idempotency-Replayed") == "true"
    assert activity.read()["attachments"] == 1


def test_an_activity_that_goes_while_its_file_is_sent_takes_nothing_with_it(another, cluster, activity):
    service = another()
    before, data = kept(cluster), files.pdf(MB)
    http = begin(service, activity, data)
    assert Caller(activity.world, activity.author.token).request("DELETE", activity.path, None, [("If-Match", "*")]).status == 204
    http.send(data[MB // 2:])
    assert http.read("POST", activity.path + "/attachments").status == 404 and kept(cluster) == before
