"""Files attached to activities: by whom, how many, who sees them, and that they are the activity's alone. What a file may be, test_attachments.py asks."""
import hashlib

import pytest
from harness import campaigns, files
from harness.crowd import patient, together
from harness.files import DOCX, MB, PDF, PNG
from harness.samples import fresh


class Activity:
    def __init__(self, world, unit="AA-W1", by=None, campaign=None):
        self.world, self.author = world, by or world.at(unit, "reporter")
        self.campaign = campaign or campaigns.campaign(world)
        self.made = world.must(self.author.post("/v1/activities", {"campaign": self.campaign["code"], "phase": "GD2", "organization": unit, "kind": "conference",
                                                                   "title": "Hội nghị", "starts_on": "2026-11-01"}))
        self.id, self.path = self.made["id"], f"/v1/activities/{self.made['id']}"

    def read(self):
        return self.author.get(self.path).json()

    def post(self, data=None, type_=PDF, name="Biên bản.pdf", by=None, headers=(), **query):
        return (by or self.author).post(f"{self.path}/attachments", files.pdf(4096) if data is None else data, [("Content-Type", type_), *headers], name=name, **query)

    def attach(self, *given, **more):
        return self.world.must(self.post(*given, **more))

    def fetch(self, file, by=None, headers=()):
        return (by or self.author).get(f"{self.path}/attachments/{file['id']}", headers)

    def remove(self, file, by=None, match='"1"'):
        return (by or self.author).request("DELETE", f"{self.path}/attachments/{file['id']}", None, [("If-Match", match)] if match else [])


@pytest.fixture
def activity(world):
    return Activity(world)


def kept(cluster):
    return cluster.query("SELECT (SELECT count(*) FROM attachment_chunk), (SELECT count(*) FROM attachment)")[0]


# ---- in and out -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("data, type_, name", [(files.pdf(700_000), PDF, "Biên bản hội nghị.pdf"), (files.docx(), DOCX, "Kế hoạch.docx"), (files.png(), PNG, "ảnh.png")],
                         ids=["pdf", "docx", "png"])
def test_a_file_comes_back_as_it_was_sent(activity, data, type_, name):
    answer = activity.post(data, type_, name, title="Biên bản")
    made = activity.world.must(answer)
    digest = hashlib.sha256(data).hexdigest()
    assert (made["name"], made["title"], made["type"], made["size"], made["sha256"], made["classification"]) == (name, "Biên bản", type_, len(data), digest, "unclassified")
    assert answer.header("Location") == f"{activity.path}/attachments/{made['id']}" and answer.etag == '"1"'
    back = activity.fetch(made)
    assert back.status == 200 and back.body == data and back.type == type_ and back.header("Repr-Digest") and "sandbox" in back.header("Content-Security-Policy")
    assert activity.fetch(made, headers=[("If-None-Match", back.etag)]).status == 304
    assert activity.fetch(made, headers=[("Accept", "text/html")]).status == 406
    assert activity.author.get(f"{activity.path}/attachments").json()["items"] == [made]
    assert (activity.read()["attachments"], activity.read()["version"]) == (1, activity.made["version"] + 1), "the activity is another one with it"


def test_who_changes_the_activity_has_seen_its_files(activity):
    activity.attach()
    assert activity.author.patch(activity.path, {"note": "x"}, '"1"').status == 412
    assert activity.author.patch(activity.path, {"note": "x"}, '"2"').status == 200
    assert activity.read()["attachments"] == 1


@pytest.mark.parametrize("data, type_, name, more, status, code", [
    (b"", PDF, "a.pdf", {}, 400, "bad_request"), (b"<html></html>", PDF, "a.pdf", {}, 415, "unsupported_media_type"),
    (files.pdf(), "text/html", "a.html", {}, 415, "unsupported_media_type"), (files.docx(("word/vbaProject.bin", "x")), DOCX, "a.docx", {}, 422, "file_refused"),
    (files.pdf(), PDF, "a.png", {}, 422, "invalid"), (files.pdf(), PDF, "a/b.pdf", {}, 400, "bad_parameter"),
    (files.pdf(), PDF, "a.pdf", {"classification": "mật"}, 422, "invalid"), (files.pdf(), PDF, "a.pdf", {"kind": "annex"}, 400, "unknown_parameter"),
    (files.pdf(20 * MB + 1), PDF, "a.pdf", {}, 413, "body_too_large")],
    ids=["empty", "HTML", "its type", "macros", "its name", "a folder", "classified", "a kind", "too large"])
def test_the_same_is_refused_as_of_reports(activity, cluster, data, type_, name, more, status, code):
    before = kept(cluster)
    answer = activity.post(data, type_, name, **more)
    assert (answer.status, answer.code) == (status, code), answer
    assert kept(cluster) == before and activity.read()["attachments"] == 0


def test_a_repeated_upload_is_answered_as_before(activity, cluster):
    key, data = [("Idempotency-Key", fresh("key"))], files.pdf(4000)
    first, before = activity.post(data, headers=key), kept(cluster)
    again = activity.post(data, headers=key)
    assert first.status == again.status == 201 and again.json() == first.json() and again.header("Idempotency-Replayed") == "true"
    assert kept(cluster) == before and activity.read()["attachments"] == 1
    assert activity.post(files.pdf(4000), headers=key).code == "idempotency_key_reused"


# ---- how many -------------------------------------------------------------------------------------------------
def test_an_activity_takes_ten(activity, cluster):
    for _ in range(10):
        made = activity.attach()
    before, answer = kept(cluster), activity.post()
    assert (answer.status, answer.code) == (409, "attachments_full") and kept(cluster) == before
    assert activity.remove(made).status == 204
    assert activity.post().status == 201


def test_an_activity_takes_fifty_megabytes(activity, cluster):
    made = activity.attach()
    cluster.query("UPDATE attachment SET size = %s WHERE id = %s", [49 * MB, made["id"]])
    assert activity.post(files.pdf(2 * MB)).code == "attachments_full"
    assert activity.post(files.pdf(MB)).status == 201


def test_those_who_attach_at_once_stay_within_ten_and_are_all_counted(activity, world, caller):
    for _ in range(7):
        activity.attach()
    token = activity.author.token
    answers = together([caller(token) for _ in range(6)], lambda who, _: patient(lambda: activity.post(by=who)))
    assert sorted(a.status for a in answers) == [201] * 3 + [409] * 3, answers
    assert (activity.read()["attachments"], activity.read()["version"]) == (10, activity.made["version"] + 10)


def test_the_same_file_is_not_taken_twice(activity):
    data = files.pdf(5000)
    made = activity.attach(data)
    answer = activity.post(data, name="Tên khác.pdf")
    assert (answer.status, answer.code) == (409, "already_exists") and "Biên bản.pdf" in answer.json()["detail"]
    assert activity.remove(made).status == 204
    assert activity.post(data).status == 201


# ---- who ------------------------------------------------------------------------------------------------------
def test_who_enters_for_the_unit_attaches(world, activity):
    for who in (*(world.at("AA-W1", role) for role in ("reporter", "approver", "manager")), world.connector(), world.at("AA-W1-XD", "reporter"),
                world.at("AA-TU", "reporter")):
        made = activity.attach(by=who)
        assert activity.remove(made, who).status == 204
    made = activity.attach()
    for role in ("viewer", "inspector", "administrator"):
        who = world.at("AA-W1", role)
        assert activity.post(by=who).status == 403 and activity.remove(made, who).status == 403
        assert activity.fetch(made, who).status == 200
    for who in (world.at("AA-W2", "manager"), world.at("AA-W1-C1", "reporter"), world.at("BB-W1", "manager")):
        assert activity.fetch(made, who).status == 404 and who.get(f"{activity.path}/attachments").status == 404
        assert activity.post(by=who).status == 404 and activity.remove(made, who).status == 404


def test_superiors_attach_where_the_campaign_lets_them(world):
    activity = Activity(world, campaign=campaigns.campaign(world, entered_by="self"))
    answer = activity.post(by=world.at("AA-TU", "reporter"))
    assert (answer.status, answer.code) == (403, "forbidden") and "AA-W1" in answer.json()["detail"]
    assert activity.post().status == 201


def test_what_a_closed_campaign_has_stays_as_it_is(world, activity):
    made = activity.attach()
    manager, path = world.at("AA-TU", "manager"), f"/v1/campaigns/{activity.campaign['code']}"
    assert manager.patch(path, {"status": "closed"}, manager.get(path).etag).status == 200
    for answer in (activity.post(), activity.remove(made)):
        assert (answer.status, answer.code) == (409, "campaign_not_active"), answer
    assert activity.fetch(made).status == 200


# ---- whose ----------------------------------------------------------------------------------------------------
def test_a_file_is_found_by_its_own_activity_alone(world, activity):
    made, other = activity.attach(), Activity(world)
    other.attach()
    assert other.fetch(made).status == 404 and other.remove(made).status == 404
    assert activity.author.get(f"/v1/reports/{activity.id}/attachments/{made['id']}").status == 404
    assert activity.author.get(f"{activity.path}/attachments/x").status == 404
    assert activity.author.get("/v1/activities/0198c5a2-7d1a-7d00-8a01-2b3c4d5e6f81/attachments").status == 404
    assert [a["id"] for a in activity.author.items(f"{activity.path}/attachments")] == [made["id"]]


def test_what_is_removed_is_gone_and_the_trail_keeps_its_digest(world, activity, cluster):
    before = kept(cluster)
    made = activity.attach(files.pdf(600_000), title="Tên không ghi lại")
    assert activity.remove(made, match=None).status == 428 and activity.remove(made, match='"7"').status == 412
    assert activity.remove(made).status == 204
    assert activity.remove(made, match="*").status == 404 and activity.fetch(made).status == 404
    assert kept(cluster) == before and activity.read()["attachments"] == 0
    told = cluster.query("SELECT action, coalesce(before::text, '') || coalesce(after::text, '') FROM journal WHERE resource_id = %s ORDER BY seq", [activity.id])
    assert [action for action, _ in told] == ["create", "update", "update"]
    assert all(made["sha256"] in text and "Tên không ghi lại" not in text and made["name"] not in text for _, text in told[1:])


def test_an_activity_takes_its_files_along(activity, cluster):
    before = kept(cluster)
    activity.attach(files.pdf(600_000))
    assert activity.author.request("DELETE", activity.path, None, [("If-Match", "*")]).status == 204
    assert kept(cluster) == before


def test_a_name_is_told_after_rfc_8187(activity):
    made = activity.attach(name="Biên bản số 1.pdf")
    assert activity.fetch(made).header("Content-Disposition").endswith("''Bi%C3%AAn%20b%E1%BA%A3n%20s%E1%BB%91%201.pdf")
