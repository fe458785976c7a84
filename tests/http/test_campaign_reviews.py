"""A unit's reviews of a phase: interim and final, who writes them, for whom, when, and how the phase stood by then."""
import pytest
from harness import campaigns
from harness.samples import fresh

GOOD = {"results": "19/20 chi bộ đã sinh hoạt chuyên đề.", "difficulties": "Thiếu máy chiếu.", "lessons": None, "proposals": "Bổ sung kinh phí."}
NEW = [("If-None-Match", "*")]


@pytest.fixture
def made(world):
    return campaigns.campaign(world, fresh("SK"))


def path(campaign, unit="AA-W1", kind="interim", phase="GD1", day="2026-06-20"):
    return f"/v1/campaigns/{campaign['code']}/reviews/{phase}/{unit}/{kind}/{day}"


def test_a_review_is_written_read_replaced_and_taken_away(world, made):
    ward, where = world.at("AA-W1", "reporter"), path(made)
    assert ward.get(where).status == 404
    first = ward.put(where, GOOD, NEW)
    assert first.status == 201 and first.header("Location") == where and first.etag == '"1"'
    body = world.must(ward.get(where), 200)
    assert {k: body[k] for k in GOOD} == GOOD
    assert (body["campaign"], body["phase"], body["organization"], body["organization_name"], body["kind"], body["on_behalf"], body["version"]) == (
        made["code"], "GD1", "AA-W1", "Đảng ủy phường Hòa Bình", "interim", False, 1)
    tag = ward.get(where).etag
    assert ward.get(where, [("If-None-Match", tag)]).status == 304
    changed = ward.put(where, {**GOOD, "lessons": "Làm sớm."}, [("If-Match", tag)])
    assert changed.status == 200 and changed.json()["version"] == 2 and changed.json()["lessons"] == "Làm sớm."
    assert ward.put(where, GOOD, [("If-Match", tag)]).status == 412
    assert ward.request("DELETE", where, None).status == 428
    assert ward.request("DELETE", where, None, [("If-Match", '"1"')]).status == 412
    assert ward.request("DELETE", where, None, [("If-Match", '"2"')]).status == 204
    assert ward.get(where).status == 404 and ward.request("DELETE", where, None, [("If-Match", "*")]).status == 404


def test_the_same_again_is_no_new_version(world, made):
    ward = world.at("AA-W1", "reporter")
    world.must(ward.put(path(made), GOOD, NEW))
    again = ward.put(path(made), GOOD, [("If-Match", "*")])
    assert again.status == 200 and again.json()["version"] == 1


def test_preconditions(world, made):
    ward = world.at("AA-W1", "reporter")
    assert ward.put(path(made), GOOD).status == 428
    assert ward.put(path(made), GOOD, [("If-Match", "*")]).status == 412
    world.must(ward.put(path(made), GOOD, NEW))
    assert ward.put(path(made), GOOD, NEW).status == 412 and ward.put(path(made), GOOD).status == 428


@pytest.mark.parametrize("wrong,fault", [
    ({"reviewed_on": "2026-06-20"}, ("#/reviewed_on", "unknown_field")),
    ({"results": "  \n"}, ("#/results", "too_short")),
    ({"results": "x" * 100001}, ("#/results", "too_long")),
    ({"standing": {}}, ("#/standing", "unknown_field")),
])
def test_what_is_wrong_is_told(world, made, wrong, fault):
    answer = world.at("AA-W1", "reporter").put(path(made), {**GOOD, **wrong}, NEW)
    assert answer.status == 422 and fault in answer.faults(), answer


def test_a_review_that_is_still_to_come_is_refused(world, made):
    answer = world.at("AA-W1", "reporter").put(path(made, phase="GD2", day="2026-11-23"), GOOD, NEW)
    assert answer.status == 422 and answer.faults() == {("reviewed_on", "in_the_future")}


def test_interim_reviews_are_several_by_their_days_the_final_one_is_one(world, made):
    ward = world.at("AA-W1", "reporter")
    for day in ("2026-03-10", "2026-06-20"):
        first = ward.put(path(made, day=day), {**GOOD, "results": f"Sơ kết {day}"}, NEW)
        assert first.status == 201 and first.header("Location") == path(made, day=day) and first.json()["reviewed_on"] == day
    assert [world.must(ward.get(path(made, day=day)), 200)["results"] for day in ("2026-03-10", "2026-06-20")] == ["Sơ kết 2026-03-10", "Sơ kết 2026-06-20"]
    world.must(ward.put(path(made, kind="final", day="2026-06-25"), GOOD, NEW))
    again = ward.put(path(made, kind="final", day="2026-06-30"), GOOD, NEW)
    assert (again.status, again.code) == (409, "already_exists") and "2026-06-25" in again.json()["detail"]
    found = [(i["kind"], i["reviewed_on"]) for i in ward.items(f"/v1/campaigns/{made['code']}/reviews")]
    assert sorted(found) == [("final", "2026-06-25"), ("interim", "2026-03-10"), ("interim", "2026-06-20")]
    assert ward.request("DELETE", path(made, kind="final", day="2026-06-25"), None, [("If-Match", "*")]).status == 204
    assert ward.put(path(made, kind="final", day="2026-06-30"), GOOD, NEW).status == 201


def test_a_review_made_again_goes_on_with_its_version(world, made):
    ward = world.at("AA-W1", "reporter")
    world.must(ward.put(path(made), GOOD, NEW))
    old = ward.put(path(made), {**GOOD, "results": "Khác"}, [("If-Match", "*")]).etag
    assert ward.request("DELETE", path(made), None, [("If-Match", "*")]).status == 204
    assert world.must(ward.put(path(made), GOOD, NEW))["version"] == 4
    assert ward.put(path(made), {**GOOD, "results": "Nữa"}, [("If-Match", old)]).status == 412
    assert world.must(ward.put(path(made, day="2026-06-21"), GOOD, NEW))["version"] == 1


def test_a_phase_is_not_reviewed_before_it_begins(world, made):
    answer = world.at("AA-W1", "reporter").put(path(made, phase="GD2"), GOOD, NEW)
    assert answer.status == 422 and answer.faults() == {("reviewed_on", "out_of_range")}
    assert world.at("AA-W1", "reporter").put(path(made, phase="GD2", day="2026-07-01"), GOOD, NEW).status == 201


def test_a_unit_that_was_not_there_on_the_day_reviews_nothing(world, made):
    answer = world.at("AA-W1", "reporter").put(path(made, "AA-W1-OLD", phase="GD2", day="2026-11-01"), GOOD, NEW)
    assert answer.status == 422 and answer.faults() == {("reviewed_on", "out_of_range")}


def test_only_units_of_the_campaigns_scope_review(world):
    made = campaigns.campaign(world, fresh("SK"), owner="AA-W1", scope="AA-W1")
    answer = world.at("AA-BTG", "reporter").put(path(made, "AA-W2"), GOOD, NEW)
    assert answer.status == 422 and answer.faults() == {("organization", "outside_scope")}
    assert "ngoài phạm vi" in world.at("AA-BTG", "reporter").put(path(made, "AA-W2"), GOOD, NEW + [("Accept-Language", "vi")]).text


def test_a_superior_writes_where_the_campaign_lets_it(world, made):
    own = campaigns.campaign(world, fresh("SK"), entered_by="self")
    ward, cell = world.at("AA-W1", "reporter"), "AA-W1-C1"
    body = world.must(ward.put(path(made, cell), GOOD, NEW))
    assert body["on_behalf"] is True
    answer = ward.put(path(own, cell), GOOD, NEW)
    assert answer.status == 403 and answer.code == "forbidden" and cell in answer.json()["detail"]
    assert world.at("AA-W1-XD", "reporter").put(path(own, cell), GOOD, NEW).status == 201, "a mandate to enter does"


def test_who_may_not(world, made):
    assert world.at("AA-W1", "viewer").put(path(made), GOOD, NEW).status == 403
    assert world.at("AA-W1-C1", "reporter").put(path(made), GOOD, NEW).status == 404, "the unit above is out of sight"
    assert world.at("AA-W2", "reporter").get(path(made)).status == 404
    world.must(world.at("AA-W1", "reporter").put(path(made), GOOD, NEW))
    assert world.at("AA-TU", "viewer").get(path(made)).status == 200
    answer = world.at("AA-TU", "viewer").request("DELETE", path(made), None, [("If-Match", "*")])
    assert answer.status == 403


def test_names_of_nothing_are_404(world, made):
    ward = world.at("AA-W1", "reporter")
    for where in (path({"code": "NO-SUCH"}), path(made, phase="GD9"), path(made, "NO-SUCH")):
        assert ward.get(where).status == 404 and ward.put(where, GOOD, NEW).status == 404, where
    assert ward.get(path(made, kind="annual")).status in (400, 404, 422)


def test_nothing_is_written_in_a_campaign_that_is_closed(world, made):
    ward, manager = world.at("AA-W1", "reporter"), world.at("AA-TU", "manager")
    world.must(ward.put(path(made), GOOD, NEW))
    assert manager.patch(f"/v1/campaigns/{made['code']}", {"status": "closed"}, "*").status == 200
    for answer in (ward.put(path(made), {**GOOD, "lessons": "Khác"}, [("If-Match", "*")]), ward.put(path(made, kind="final"), GOOD, NEW),
                   ward.request("DELETE", path(made), None, [("If-Match", "*")])):
        assert answer.status == 409 and answer.code == "campaign_not_active", answer
    assert ward.get(path(made)).status == 200


def test_the_list_tells_who_has_reviewed(world, made):
    for unit, kind, day in (("AA-W1", "interim", "2026-03-01"), ("AA-W1-C1", "interim", "2026-05-01"), ("AA-W2", "final", "2026-06-30")):
        world.must(world.at(unit, "reporter").put(path(made, unit, kind, day=day), GOOD, NEW))
    where, top = f"/v1/campaigns/{made['code']}/reviews", world.at("AA-TU", "viewer")

    def found(who=top, **query):
        return [(i["organization"], i["kind"]) for i in who.items(where, **query)]
    assert found() == [("AA-W1", "interim"), ("AA-W1-C1", "interim"), ("AA-W2", "final")]
    assert found(world.at("AA-W1", "viewer")) == found(under="AA-W1") == found(kind="interim") == [("AA-W1", "interim"), ("AA-W1-C1", "interim")]
    assert found(organization="AA-W1") == [("AA-W1", "interim")] and found(phase="GD1") == found() and found(phase="GD2") == []
    assert found(**{"reviewed_on[gte]": "2026-05-01", "reviewed_on[lte]": "2026-06-01"}) == [("AA-W1-C1", "interim")]
    assert top.get(where, phase="GD9").faults() == {("phase", "unknown_reference")}
    assert top.get("/v1/campaigns/NO-SUCH/reviews").status == 404
    assert set(top.get(where, fields="organization,kind").json()["items"][0]) == {"id", "organization", "kind"}
    csv = top.get(where, [("Accept", "text/csv")])
    assert csv.status == 200 and csv.text.count("AA-W1-C1") == 1


def test_the_journal_tells_of_it(world, made, cluster):
    ward = world.at("AA-W1", "reporter")
    world.must(ward.put(path(made), GOOD, NEW))
    ward.put(path(made), {**GOOD, "results": "Khác"}, [("If-Match", "*")])
    ward.request("DELETE", path(made), None, [("If-Match", "*")])
    rows = cluster.query("""SELECT j.action, j.before ->> 'results', j.after ->> 'results' FROM journal j JOIN campaign c ON c.code = %s
        WHERE j.resource_type = 'campaign_review' AND coalesce(j.after, j.before) ->> 'campaign_id' = c.id::text ORDER BY j.seq""", [made["code"]])
    assert rows == [("create", None, GOOD["results"]), ("update", GOOD["results"], "Khác"), ("delete", "Khác", None)]


def test_how_the_phase_stood_on_the_day(world, made, cluster):
    """What was done by the day of the review counts, in the unit's line alone; what came later does not."""
    def activity(unit, status, starts, ends, done_on, planned, done):
        cluster.query("""INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, starts_on,
              ends_on, done_on, planned, done, contacts_planned, contacts_reached, status, on_behalf, entered_by, seat_id, grant_id)
            SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, 'conference', 'Hội nghị', %s, %s, %s, %s, %s, 100, %s, %s, false, o.code, o.id, o.id
            FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = 'GD1', organization o WHERE c.code = %s AND o.code = %s RETURNING 1""",
                      [starts, ends, done_on, planned, done, done * 10, status, made["code"], unit])
    activity("AA-W1", "done", "2026-03-01", "2026-03-02", "2026-03-02", 2, 2)
    activity("AA-W1-C1", "done", "2026-06-01", "2026-06-10", "2026-06-25", 3, 3)
    activity("AA-W1-C2", "planned", "2026-06-01", "2026-06-15", None, 1, 0)
    activity("AA-W2", "done", "2026-03-01", "2026-03-02", "2026-03-02", 5, 5)
    ward = world.at("AA-W1", "reporter")
    standing = world.must(ward.put(path(made), GOOD, NEW))["standing"]
    assert (standing["planned"], standing["done"], standing["late"], standing["contacts"]) == (6, 2, 2, {"planned": 300, "reached": 20})
    assert standing["activities"] == {"planned": 1, "under_way": 1, "done": 1, "postponed": 0, "cancelled": 0}
    assert [(k["kind"], k["done"]) for k in standing["by_kind"]] == [("conference", 2)] and standing["units"]["reached"] == 1
    later = world.must(ward.put(path(made, kind="final", day="2026-06-30"), GOOD, NEW))["standing"]
    assert (later["done"], later["late"], later["units"]["reached"]) == (5, 1, 2)
