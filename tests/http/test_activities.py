"""Activities: who enters them, what makes one right, how its status moves, who sees it, and the sums kept of them."""
import csv
import io

import pytest
from harness import campaigns, samples
from harness.activities import LEFT_OUT, activity, body, change


@pytest.fixture(scope="module", autouse=True)
def campaign(world):
    return campaigns.known(world)


@pytest.fixture
def w1(world):
    return world.at("AA-W1", "reporter")


def path(made):
    return f"/v1/activities/{made['id']}"


def today(cluster):
    return cluster.query("SELECT today()::text")[0][0]


def faults(answer):
    assert answer.status == 422, answer
    return {(e["pointer"], e["code"]) for e in answer.json()["errors"]}


# ---- what is entered ----
def test_an_activity_is_answered_as_it_was_entered(world, w1):
    given = {"code": samples.fresh("TH"), "topic": "CD1", "planned": 3, "contacts_planned": 90, "channels": ["zalo_oa", "press"], "note": "Tại hội trường",
             "evidence_url": "https://anbinh.gov.vn/tin/1"}
    answer = w1.post("/v1/activities", body(**given))
    made = world.must(answer)
    assert {name: made[name] for name in given} == given
    assert (made["campaign"], made["phase"], made["organization"], made["organization_name"]) == ("AA-CD", "GD2", "AA-W1", "Đảng ủy phường Hòa Bình")
    assert (made["status"], made["done"], made["done_on"], made["on_behalf"], made["entered_by"], made["version"]) == ("planned", 0, None, False, "AA-W1", 1)
    assert answer.header("Location") == path(made)
    assert w1.get(path(made)).json() == made


def test_what_is_left_out(world):
    made = activity(world, ends_on=None)
    assert {name: made[name] for name in LEFT_OUT} == LEFT_OUT
    assert made["ends_on"] == made["starts_on"] and made["proposal"] is None and made["attachments"] == 0


def test_all_faults_are_told_at_once(w1):
    answer = w1.post("/v1/activities", body(phase="GD9", kind="no_such_kind", topic="CD9", channels=["no_such_channel"], starts_on="2026-09-12",
                                            ends_on="2026-09-11", status="cancelled", done=2, done_on="2026-09-11"))
    assert faults(answer) == {("#/phase", "unknown_reference"), ("#/kind", "unknown_reference"), ("#/topic", "unknown_reference"),
                              ("#/channels", "unknown_reference"), ("#/ends_on", "ends_before_start"), ("#/done", "contradiction"),
                              ("#/done_on", "contradiction"), ("#/reason", "required")}


@pytest.mark.parametrize("more, fault", [
    ({"campaign": "NO-SUCH"}, ("#/campaign", "unknown_reference")),
    ({"organization": "NO-SUCH"}, ("#/organization", "unknown_reference")),
    ({"organization": "BB-W1"}, ("#/organization", "unknown_reference")),
    ({"phase": "GD1", "kind": "poster", "starts_on": "2026-06-01", "ends_on": "2026-06-02"}, ("#/kind", "not_in_phase")),
    ({"starts_on": "2026-06-30"}, ("#/starts_on", "out_of_range")),
    ({"ends_on": "2029-01-01"}, ("#/ends_on", "out_of_range")),
    ({"status": "done"}, ("#/done", "contradiction")),
    ({"status": "done", "done": 1, "done_on": "2099-01-01"}, ("#/done_on", "in_the_future")),
    ({"status": "done", "done": 1, "done_on": "2026-09-09"}, ("#/done_on", "before_start")),
    ({"status": "planned", "done": 1}, ("#/done", "contradiction")),
    ({"status": "postponed"}, ("#/reason", "required")),
    ({"title": " \u00a0"}, ("#/title", "too_short")),
    ({"status": "cancelled", "reason": "\u00a0"}, ("#/reason", "too_short")),
    ({"evidence_url": "ftp://anbinh.gov.vn/a"}, ("#/evidence_url", "uri")),
    ({"evidence_url": "https://anbinh.gov.vn/\u202ea"}, ("#/evidence_url", "invisible_character")),
    ({"code": ""}, ("#/code", "too_short")),
    ({"planned": 1000001}, ("#/planned", "too_large")),
    ({"classification": "secret"}, ("#/classification", "enum"))])
def test_what_an_activity_cannot_be(w1, more, fault):
    assert fault in faults(w1.post("/v1/activities", body(**more)))


def test_a_phase_that_starts_open_takes_what_began_before(world):
    assert activity(world, phase="GD1", starts_on="2025-03-01", ends_on="2025-03-01")["phase"] == "GD1"


def test_a_unit_exists_on_the_first_day(world):
    answer = world.at("AA-W1", "reporter").post("/v1/activities", body("AA-W1-OLD", starts_on="2026-09-10"))
    assert ("#/organization", "not_there") in faults(answer)


def test_a_unit_lies_within_the_campaign(world):
    ward = campaigns.campaign(world, scope="AA-W1")
    answer = world.at("AA-W2", "reporter").post("/v1/activities", body("AA-W2", campaign=ward["code"]))
    assert faults(answer) == {("#/campaign", "unknown_reference")}  # it does not even see it
    answer = world.at("AA-BTG", "reporter").post("/v1/activities", body("AA-W2", campaign=ward["code"]))
    assert ("#/organization", "outside_scope") in faults(answer)


def test_a_term_that_is_offered_no_longer_stays_where_it_is(world, w1):
    term = campaigns.term(world, "activity_kind")
    made = activity(world, kind=term["code"])
    world.must(world.at("AA-TU", "manager").patch(f"/v1/campaign-terms/{term['id']}", {"active": False}, "*"), 200)
    assert ("#/kind", "unknown_reference") in faults(w1.post("/v1/activities", body(kind=term["code"])))
    assert change(world, made, {"title": "Tên mới"})["kind"] == term["code"]
    other = change(world, made, {"kind": "seminar"})
    assert ("#/kind", "unknown_reference") in faults(w1.patch(path(other), {"kind": term["code"]}, "*"))


def test_a_code_is_the_unit_s_own_within_a_campaign(world, w1):
    code = samples.fresh("TH")
    first = activity(world, code=code)
    answer = w1.post("/v1/activities", body(code=code))
    assert (answer.status, answer.code) == (409, "code_taken")
    assert activity(world, "AA-W2", code=code)["id"] != first["id"]
    other = activity(world)
    assert w1.patch(path(other), {"code": code}, "*").status == 409


# ---- who ----
def test_a_superior_enters_on_behalf_where_the_campaign_lets_it(world, w1):
    made = activity(world, "AA-W1-C1", by=w1)
    assert (made["on_behalf"], made["entered_by"]) == (True, "AA-W1")
    assert world.at("AA-W1-C1", "viewer").get(path(made)).json() == made
    own = campaigns.campaign(world, entered_by="self")["code"]
    answer = w1.post("/v1/activities", body("AA-W1-C1", campaign=own))
    assert answer.status == 403 and "AA-W1-C1" in answer.json()["detail"]
    assert world.at("AA-W1-C1", "reporter").post("/v1/activities", body("AA-W1-C1", campaign=own)).status == 201
    assert world.at("AA-W1-XD", "reporter").post("/v1/activities", body("AA-W1-C1", campaign=own)).status == 201  # by mandate


def test_who_sees_and_who_changes(world):
    made = activity(world, "AA-W1-C1")
    for seat, status in (("AA-TU", 200), ("AA-W1", 200), ("AA-BTG", 200), ("AA-W1-C1", 200), ("AA-W2", 404), ("BB-W1", 404)):
        assert world.at(seat, "viewer").get(path(made)).status == status, seat
    assert world.at("AA-W1-C1", "viewer").patch(path(made), {"title": "x"}, "*").status == 403
    assert world.at("AA-W2", "reporter").patch(path(made), {"title": "x"}, "*").status == 404
    assert world.at("AA-W2", "reporter").request("DELETE", path(made), None, [("If-Match", "*")]).status == 404
    up = activity(world, "AA-W1")
    assert world.at("AA-W1-C1", "reporter").get(path(up)).status == 404
    assert world.connector().patch(path(made), {"note": "từ hệ thống"}, "*").status == 200


def test_nothing_is_entered_in_a_campaign_that_is_not_active(world):
    for status in ("draft", "closed"):
        code = campaigns.campaign(world)["code"]
        made = activity(world, campaign=code)
        if status == "closed":
            world.must(world.at("AA-TU", "manager").patch(f"/v1/campaigns/{code}", {"status": "closed"}, "*"), 200)
        else:
            code = campaigns.campaign(world, status="draft")["code"]
        by = world.at("AA-TU", "manager")
        answer = by.post("/v1/activities", body(campaign=code))
        assert (answer.status, answer.code) == (409, "campaign_not_active")
        if status == "closed":
            assert by.patch(path(made), {"title": "x"}, "*").code == "campaign_not_active"
            assert by.request("DELETE", path(made), None, [("If-Match", "*")]).code == "campaign_not_active"


# ---- changes ----
def test_status_and_what_follows_from_it(world, w1, cluster):
    made = activity(world)
    assert change(world, made, {"status": "under_way", "done": 1})["done"] == 1
    done = change(world, made, {"status": "done"})
    assert (done["status"], done["done_on"]) == ("done", today(cluster))
    late = w1.patch(path(made), {"status": "planned"}, "*")
    assert faults(late) == {("#/done", "contradiction")}
    put_off = change(world, made, {"status": "postponed", "reason": "Mưa lớn kéo dài"})
    assert (put_off["done_on"], put_off["reason"]) == (None, "Mưa lớn kéo dài")
    cancelled = change(world, made, {"status": "cancelled", "done": 0, "reason": "Trùng lịch"})
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "Trùng lịch")
    again = change(world, made, {"status": "planned"})
    assert (again["status"], again["reason"]) == ("planned", None)


def test_a_change_says_what_changes_alone(world, w1):
    made = activity(world, note="x", contacts_planned=30, code=samples.fresh("TH"))
    changed = change(world, made, {"note": None, "contacts_reached": 0})
    assert changed == {**made, "note": None, "contacts_reached": 0, "version": 2, "updated_at": changed["updated_at"]}
    moved = change(world, made, {"phase": "GD1", "starts_on": "2026-06-10", "ends_on": "2026-06-11", "code": None})
    assert (moved["phase"], moved["code"]) == ("GD1", None)
    for name in ("campaign", "organization", "late", "entered_by"):
        assert faults(w1.patch(path(made), {name: "x"}, "*")), name


def test_what_is_moved_lasts_as_long(world, w1):
    one = activity(world, starts_on="2026-09-10", ends_on=None)
    put_off = change(world, one, {"status": "postponed", "reason": "Mưa lớn kéo dài", "starts_on": "2026-12-10"})
    assert (put_off["starts_on"], put_off["ends_on"]) == ("2026-12-10", "2026-12-10")
    three = activity(world, starts_on="2026-09-10", ends_on="2026-09-12")
    earlier = change(world, three, {"starts_on": "2026-08-31"})
    assert (earlier["starts_on"], earlier["ends_on"]) == ("2026-08-31", "2026-09-02")
    assert (said := change(world, three, {"starts_on": "2026-09-01", "ends_on": "2026-09-30"}))["ends_on"] == "2026-09-30" and said["starts_on"] == "2026-09-01"
    assert change(world, three, {"starts_on": "2026-09-01", "title": "Tên khác"})["ends_on"] == "2026-09-30", "the same day is no move"
    assert change(world, three, {"ends_on": "2026-09-02"})["starts_on"] == "2026-09-01"
    assert faults(w1.patch(path(three), {"starts_on": "2028-12-31"}, "*")) == {("#/ends_on", "out_of_range")}, "it would last beyond the phase"


def test_preconditions(w1, world):
    made = activity(world)
    assert w1.patch(path(made), {"title": "x"}).status == 428
    assert w1.patch(path(made), {"title": "x"}, '"9"').status == 412
    first = w1.get(path(made))
    assert w1.patch(path(made), {"title": "x"}, first.etag).status == 200
    assert w1.patch(path(made), {"title": "y"}, first.etag).status == 412
    now = w1.get(path(made))
    assert w1.get(path(made), [("If-None-Match", now.etag)]).status == 304
    assert w1.request("DELETE", path(made)).status == 428
    assert w1.request("DELETE", path(made), None, [("If-Match", first.etag)]).status == 412
    assert w1.request("DELETE", path(made), None, [("If-Match", now.etag)]).status == 204
    assert w1.get(path(made)).status == 404
    assert w1.request("DELETE", path(made), None, [("If-Match", "*")]).status == 404
    assert w1.patch(path(made), {"title": "x"}, "*").status == 404


def test_what_is_late_turns_at_midnight(world, w1, cluster, clock):
    made = activity(world, starts_on=today(cluster), ends_on=None)
    assert not made["late"]
    cancelled = activity(world, starts_on=today(cluster), ends_on=None, status="cancelled", reason="Trùng lịch")
    clock.move(86400)
    world.forget()
    w1 = world.at("AA-W1", "reporter")
    try:
        assert w1.get(path(made)).json()["late"] and not w1.get(path(cancelled)).json()["late"]
        assert made["id"] in {a["id"] for a in w1.items("/v1/activities", late="true")}
        assert not {made["id"]} & {a["id"] for a in w1.items("/v1/activities", late="false")}
    finally:
        clock.back()
        world.forget()


def test_changes_are_journalled_with_both_images(world, w1, cluster):
    made = activity(world, title="Trước")
    change(world, made, {"title": "Sau"})
    w1.request("DELETE", path(made), None, [("If-Match", "*")])
    assert cluster.query("""SELECT action, version, before ->> 'title', after ->> 'title' FROM journal WHERE resource_id = %s ORDER BY seq""", [made["id"]]) == [
        ("create", 1, None, "Trước"), ("update", 2, "Trước", "Sau"), ("delete", 3, "Sau", None)]


# ---- lists ----
def test_filters_and_order(world, w1):
    code = campaigns.campaign(world)["code"]
    made = [activity(world, unit, campaign=code, **more) for unit, more in (
        ("AA-W2", {"starts_on": "2026-09-01"}),
        ("AA-W1", {"starts_on": "2026-09-20", "ends_on": "2026-12-30", "kind": "seminar", "topic": "CD2"}),
        ("AA-W1", {"starts_on": "2026-09-02", "status": "done", "done": 2, "done_on": "2026-09-03"}),
        ("AA-W1-C1", {"phase": "GD1", "starts_on": "2026-06-01", "ends_on": "2026-06-02", "title": "Tọa đàm ở khu phố"}))]
    ids = [a["id"] for a in made]
    aa = world.at("AA-TU", "viewer")

    def found(**query):
        return {ids.index(a["id"]) for a in aa.items("/v1/activities", campaign=code, **query)}
    assert found() == {0, 1, 2, 3}
    assert found(organization="AA-W1") == {1, 2} and found(under="AA-W1") == {1, 2, 3}
    assert found(phase="GD1") == {3} and aa.get("/v1/activities", phase="GD9").faults() == {("phase", "unknown_reference")}
    assert found(kind="seminar") == {1} and found(topic="CD2") == {1}
    assert found(status="done") == {2} and found(**{"status[in]": "done,planned"}) == {0, 1, 2, 3}
    assert found(late="true") == {0, 3} and found(late="false") == {1, 2}
    assert found(**{"starts_on[gte]": "2026-09-02", "starts_on[lte]": "2026-09-02"}) == {2}
    assert found(**{"ends_on[lte]": "2026-06-30"}) == {3} and found(**{"ends_on[gte]": "2026-12-01"}) == {1}
    assert found(**{"updated_at[gte]": made[2]["updated_at"]}) == {2, 3} and found(q="toa dam o") == {3}
    assert found(on_behalf="true") == set() and found(proposed="false") == {0, 1, 2, 3} and found(code="NO") == set()
    order = [ids.index(a["id"]) for a in aa.items("/v1/activities", campaign=code)]
    assert order.index(3) > max(order.index(1), order.index(2))  # a unit before those below it
    assert [ids.index(a["id"]) for a in aa.items("/v1/activities", campaign=code, sort="-starts_on", limit=2)] == [1, 2, 0, 3]
    assert {a["id"] for a in world.at("AA-W1-C1", "viewer").items("/v1/activities", campaign=code)} == {ids[3]}
    assert aa.get("/v1/activities", campaign="NO-SUCH").status == 422 and aa.get("/v1/activities", organization="BB-W1").status == 422


@pytest.mark.parametrize("q, found", [("chuyen de 17", {"Chuyên đề 17"}), ("CHUYÊN 17", {"Chuyên đề 17"}), ("100%", {"Đạt 100% kế hoạch"}), ("khong dau", set()),
                                      ("chuyen de 1", {"Chuyên đề 1", *(f"Chuyên đề 1{n}" for n in range(10))})])
def test_searching_few_and_many(world, searched, cluster, q, found):
    """By ids where few are looked at; where many are, by trigrams or in the list's own order: the same is found."""
    aa = world.at("AA-TU", "viewer")
    assert {a["title"] for a in aa.items("/v1/activities", q=q, campaign=searched, limit=7)} == found
    assert aa.items("/v1/activities", q=q, campaign=searched, sort="-starts_on") != [] or not found


@pytest.fixture(scope="module")
def searched(world, cluster):
    """A campaign with some titles, beside five thousand activities of another."""
    code, crowded = campaigns.campaign(world)["code"], campaigns.campaign(world)["code"]
    for title in (*(f"Chuyên đề {n}" for n in range(1, 20)), "Đạt 100% kế hoạch"):
        activity(world, campaign=code, title=title)
    activity(world, "AA-TU", by=world.connector(), campaign=crowded, title="Nhiều")
    cluster.query("""INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, starts_on, ends_on,
          on_behalf, entered_by, seat_id, grant_id)
        SELECT uuid_v7(), campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, 'Nhiều ' || n, starts_on, ends_on, on_behalf,
          entered_by, seat_id, grant_id
        FROM activity, generate_series(1, 5000) n WHERE title = 'Nhiều' RETURNING 1""")
    return code


def test_what_very_many_have_is_found_page_by_page(world, searched):
    aa = world.at("AA-TU", "viewer")
    first = aa.get("/v1/activities", q="nhieu", limit=3).json()
    assert [a["title"].split()[0] for a in first["items"]] == ["Nhiều"] * 3
    again = aa.get("/v1/activities", q="nhieu", limit=3, cursor=first["page"]["next"]).json()
    assert not {a["id"] for a in first["items"]} & {a["id"] for a in again["items"]} and len(again["items"]) == 3
    assert world.at("AA-W2", "viewer").items("/v1/activities", q="nhieu") == []  # AA-TU's lie out of sight


def test_the_list_says_what_one_says(world, w1):
    code = campaigns.campaign(world)["code"]
    made = activity(world, campaign=code, channels=["press"], proposes={"indicator": "AA-SUM", "period": "2026-Q2", "number": 12})
    assert w1.items("/v1/activities", campaign=code) == [w1.get(path(made)).json()]
    text = w1.get("/v1/activities", [("Accept", "text/csv")], campaign=code).text
    row = next(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    assert (row["id"], row["organization"], row["late"]) == (made["id"], "AA-W1", "true") and "press" in row["channels"]
    assert w1.get("/v1/activities", [("Prefer", "count=exact")], campaign=code).json()["page"]["total"] == 1


# ---- sums ----
SUMS = """SELECT coalesce(sum(x.n_planned), 0)::int, coalesce(sum(x.n_done), 0)::int, coalesce(sum(x.planned), 0)::int, coalesce(sum(x.done), 0)::int
    FROM (SELECT * FROM activity_sum UNION ALL SELECT * FROM activity_delta) x JOIN campaign c ON c.id = x.campaign_id WHERE c.code = %s"""


def test_sums_follow_at_commit_and_fold_by_themselves(world, w1, cluster):
    code = campaigns.campaign(world)["code"]
    made = activity(world, campaign=code, planned=4)
    assert cluster.query(SUMS, [code]) == [(1, 0, 4, 0)]
    change(world, made, {"status": "done", "done": 3})
    assert cluster.query(SUMS, [code]) == [(0, 1, 4, 3)]
    cluster.caught_up()
    assert cluster.query("SELECT count(*) FROM activity_delta") == [(0,)]
    assert cluster.query(SUMS, [code]) == [(0, 1, 4, 3)]
    change(world, made, {"status": "cancelled", "done": 0, "reason": "Nhập nhầm"})
    assert cluster.query(SUMS, [code]) == [(0, 0, 0, 0)]
    assert w1.request("DELETE", path(made), None, [("If-Match", "*")]).status == 204
    assert cluster.query("SELECT * FROM activity_recount()") == []


def test_what_a_unit_that_moved_away_did_still_tells_its_campaign(world):
    """Its new line does not see the campaign, and reads what the unit did in it by the campaign's and the phase's codes all the same."""
    aa = world.at("AA-TU", "manager")
    cell = world.must(world.at("AA-W1", "manager").post("/v1/organizations", {"code": samples.fresh("AA-W1-DI"), "name": "Chi bộ chuyển đi", "kind": "party_cell", "parent": "AA-W1",
                                                                             "valid_from": "2025-01-01"}))["code"]
    code = campaigns.campaign(world, scope="AA-W1", owner="AA-W1")["code"]
    by = world.at("AA-W1", "approver")
    made = {"activities": activity(world, cell, campaign=code, by=by)["id"]}
    for what, more in (("products", {"kind": "poster"}), ("recognitions", {"kind": "exemplary_model"})):
        made[what] = world.must(by.post(f"/v1/{what}", {"campaign": code, "phase": "GD2", "organization": cell, "title": "Tên", **more}))["id"]
    world.must(aa.post("/v1/reorganizations", {"decision": samples.fresh("QĐ"), "effective_on": "2026-11-01", "steps": [
        {"kind": "move", "organization": cell, "parent": "AA-W2"}]}))
    reader = world.at("AA-W2", "viewer")
    assert reader.get(f"/v1/campaigns/{code}").status == 404
    for what, one in made.items():
        listed = reader.items(f"/v1/{what}", organization=cell)
        for told in (world.must(reader.get(f"/v1/{what}/{one}"), 200), *listed):
            assert (told["campaign"], told["phase"]) == (code, "GD2"), told
        assert [item["id"] for item in listed] == [one]
