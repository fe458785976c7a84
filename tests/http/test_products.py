"""Products of a campaign: entered by units, published to all who read it, used again by others."""
import pytest
from harness import campaigns
from harness.samples import fresh

AS_IS = [("If-Match", "*")]


@pytest.fixture(scope="module")
def campaign(world):
    return campaigns.campaign(world, owner="AA-BTG")["code"]


@pytest.fixture
def today(cluster):
    return lambda off=0: cluster.query("SELECT (tiendo.today() + %s)::text", [off])[0][0]


def make(by, campaign, unit="AA-W1", status=201, **more):
    answer = by.post("/v1/products", {"campaign": campaign, "organization": unit, "kind": "infographic", "title": f"Sản phẩm {fresh()}", **more})
    assert answer.status == status, answer
    return answer.json()


def act(by, product, action, body=None, match="*", status=200):
    headers = ([("If-Match", match)] if match else []) + [("Idempotency-Key", fresh("key"))]
    answer = by.post(f"/v1/products/{product['id']}/{action}", body, headers)
    assert answer.status == status, answer
    return answer.json() if status == 200 else answer


def published(world, campaign, unit="AA-W1", **more):
    return act(world.at(unit, "approver"), make(world.at(unit, "reporter"), campaign, unit, **more), "publish")


def path(product):
    return f"/v1/products/{product['id']}"


def test_a_product_is_kept_as_it_was_entered(world, campaign, today):
    by = world.at("AA-W1", "reporter")
    made = by.post("/v1/products", {
        "campaign": campaign, "organization": "AA-W1", "kind": "short_video", "title": "Ba việc của chi bộ", "summary": "Tóm tắt", "phase": "GD2", "topic": "CD1",
        "duration_s": 58, "link": "https://vi.du/video", "sha256": "0a" * 32, "published_on": today(-1), "channels": ["social_media"],
        "reach": [{"channel": "zalo_oa", "total": 20, "read_on": today()}, {"channel": "social_media", "total": 1000000000000, "read_on": today(), "source": "Trang"}]})
    assert made.status == 201 and made.header("Location") == path(made.json()) and made.etag == '"1"'
    got = world.must(by.get(path(made.json())), 200)
    assert got == made.json()
    assert (got["state"], got["reach_total"], got["reuses"], got["entered_by"], got["on_behalf"]) == ("draft", 1000000000020, 0, "AA-W1", False)
    assert [r["channel"] for r in got["reach"]] == ["social_media", "zalo_oa"] and got["reach"][1]["source"] is None
    assert got["organization_name"] == world.must(by.get("/v1/organizations/AA-W1"), 200)["name"]
    assert make(by, campaign)["reach_total"] is None, "nothing read off is not zero"


def test_an_unchanged_product_is_304_and_its_tag_writes(world, campaign):
    by, made = world.at("AA-W1", "reporter"), make(world.at("AA-W1", "reporter"), campaign)
    got = by.get(path(made))
    assert by.get(path(made), [("If-None-Match", got.etag)]).status == 304
    assert by.patch(path(made), {"summary": "Mới"}, got.etag).status == 200
    assert by.patch(path(made), {"summary": "Cũ"}, got.etag).status == 412
    assert by.patch(path(made), {"summary": "Cũ"}).status == 428


def test_all_that_is_wrong_is_told_at_once(world, campaign, today):
    answer = world.at("AA-W1", "reporter").post("/v1/products", {
        "campaign": campaign, "organization": "AA-W1", "kind": "short_video", "title": "x", "phase": "GD9", "topic": "CD9", "link": "ftp://vi.du", "published_on": today(1),
        "activity": "0198c5a2-7e10-7a00-8b01-2b3c4d5e6f01", "channels": ["social_media", "khong_co"],
        "reach": [{"channel": "zalo_oa", "total": 1, "read_on": today()}, {"channel": "zalo_oa", "total": 1, "read_on": today()},
                  {"channel": "khong_co", "total": 1, "read_on": today()}, {"channel": "social_media", "total": 1, "read_on": today(1)}]})
    assert answer.status == 422 and sorted(answer.faults()) == sorted([
        ("#/phase", "unknown_reference"), ("#/topic", "unknown_reference"), ("#/activity", "unknown_reference"), ("#/duration_s", "required"), ("#/link", "uri"),
        ("#/published_on", "in_the_future"), ("#/channels/1", "unknown_reference"), ("#/reach/1/channel", "repeated"),
        ("#/reach/2/channel", "unknown_reference"), ("#/reach/3/read_on", "in_the_future")])
    assert make(world.at("AA-W1", "reporter"), campaign, kind="khong_co", status=422)["errors"][0]["pointer"] == "#/kind"


@pytest.mark.parametrize("field, value", [("duration_s", 0), ("duration_s", 86401), ("sha256", "0A" * 32), ("channels", ["zalo_oa", "zalo_oa"]), ("title", ""),
                                          ("link", "https://" + "x" * 1000), ("link", "https://vi.du/\u202e"), ("reach", [{"channel": "zalo_oa", "total": -1, "read_on": "2026-01-01"}]), ("author", "x")])
def test_what_does_not_fit_is_422(world, campaign, field, value):
    make(world.at("AA-W1", "reporter"), campaign, status=422, **{field: value})


def test_a_term_out_of_use_stays_where_it_was_used(world, campaign, today):
    channel, kind = campaigns.term(world, "channel"), campaigns.term(world, "product_kind")
    by = world.at("AA-W1", "reporter")
    made = make(by, campaign, kind=kind["code"], channels=[channel["code"]])
    for term in (channel, kind):
        world.must(world.at("AA-TU", "manager").patch(f"/v1/campaign-terms/{term['id']}", {"active": False}, "*"), 200)
    make(by, campaign, kind=kind["code"], status=422)
    make(by, campaign, channels=[channel["code"]], status=422)
    assert by.patch(path(made), {"kind": kind["code"], "channels": [channel["code"], "zalo_oa"], "title": "Tên mới"}, "*").status == 200


def test_who_enters_for_whom(world, campaign):
    assert make(world.at("AA-W1", "manager"), campaign)["on_behalf"] is False
    assert make(world.connector(), campaign)["entered_by"] == "AA-TU"
    behalf = make(world.at("AA-W1", "reporter"), campaign, "AA-W1-C1")
    assert (behalf["on_behalf"], behalf["entered_by"], behalf["organization"]) == (True, "AA-W1", "AA-W1-C1")
    assert make(world.at("AA-BTG", "reporter"), campaign, "AA-W2")["on_behalf"], "by its mandate to enter"
    make(world.at("AA-W1", "viewer"), campaign, status=403)
    assert make(world.at("AA-W1-C1", "reporter"), campaign, "AA-W1", status=422)["errors"][0]["code"] == "unknown_reference", "out of its sight"
    alone = campaigns.campaign(world, entered_by="self")["code"]
    answer = make(world.at("AA-W1", "reporter"), alone, "AA-W1-C1", status=403)
    assert "AA-W1-C1" in answer["detail"]
    make(world.at("AA-W1-C1", "reporter"), alone, "AA-W1-C1")


def test_nothing_is_entered_where_the_campaign_does_not_reach(world, campaign):
    narrow = campaigns.campaign(world, scope="AA-W1", owner="AA-W1")["code"]
    made = make(world.at("AA-TU", "reporter"), narrow, "AA-TU", status=422)
    assert made["errors"][0]["code"] == "outside_scope"
    ended = make(world.at("AA-W1", "reporter"), campaign, "AA-W1-OLD", status=422)
    assert ended["errors"][0] | {"detail": ""} == {"pointer": "#/organization", "code": "out_of_range", "detail": ""}
    make(world.at("AA-W1", "reporter"), campaign, "AA-W1-OLD", published_on="2025-12-31")
    make(world.at("AA-W1", "reporter"), "KHONG-CO", status=422)


def test_a_campaign_that_is_not_active_takes_nothing(world, campaign, today):
    manager = world.at("AA-TU", "manager")
    code = campaigns.campaign(world)["code"]
    shown, draft = published(world, code), make(world.at("AA-W1", "reporter"), code)
    used = world.must(world.at("AA-W2", "reporter").post(path(shown) + "/reuses", {"organization": "AA-W2", "used_on": today()}))
    world.must(manager.patch(f"/v1/campaigns/{code}", {"status": "closed"}, "*"), 200)
    by, other = world.at("AA-W1", "approver"), world.at("AA-W2", "reporter")
    again = f"{path(shown)}/reuses/{used['id']}"
    for answer in (by.post("/v1/products", {"campaign": code, "organization": "AA-W1", "kind": "infographic", "title": "x"}),
                   by.patch(path(draft), {"title": "x"}, "*"), by.request("DELETE", path(draft), None, AS_IS), by.post(path(draft) + "/publish", None, AS_IS),
                   by.patch(path(shown), {"reach": []}, "*"), other.post(path(shown) + "/reuses", {"organization": "AA-W2", "used_on": today()}),
                   other.patch(again, {"reach": 1}, "*"), other.request("DELETE", again, None, AS_IS)):
        assert (answer.status, answer.code) == (409, "campaign_not_active"), answer
    act(by, shown, "withdraw", {"reason": "Đã cũ"})


def test_a_draft_is_its_own_units_line_alone_until_it_is_published(world, campaign):
    made = make(world.at("AA-W1", "reporter"), campaign, title="Cẩm nang riêng")
    elsewhere = [world.at("AA-W2", "viewer"), world.at("AA-W1-C1", "viewer")]
    assert world.at("AA-TU", "viewer").get(path(made)).status == 200
    for by in elsewhere:
        assert by.get(path(made)).status == 404
        assert not [p for p in by.items("/v1/products", campaign=campaign) if p["id"] == made["id"]]
    shown = act(world.at("AA-W1", "approver"), made, "publish")
    assert shown["state"] == "published" and shown["published_at"] and shown["published_on"] and shown["version"] == 2
    for by in elsewhere:
        got = world.must(by.get(path(made)), 200)
        assert (got["title"], got["organization"], got["campaign"]) == ("Cẩm nang riêng", "AA-W1", campaign)
        assert got["organization_name"] == shown["organization_name"], "the gallery names whose it is, as the directory does"
        gallery = by.items("/v1/products", state="published", campaign=campaign, sort="-published_at")
        assert made["id"] in [p["id"] for p in gallery] and {p["state"] for p in gallery} == {"published"}
    assert world.at("BB-W1", "viewer").get(path(made)).status == 404, "another root"
    assert by.patch(path(made), {"reach": []}, "*").status == 403 and act(elsewhere[0], made, "publish", status=403).code == "forbidden"
    act(world.at("AA-W1", "approver"), made, "withdraw", {"reason": "Số liệu cũ"})
    for by in elsewhere:
        assert by.get(path(made)).status == 404, "taken out of the gallery"


def test_publishing_is_the_owning_units_own(world, campaign):
    made = make(world.at("AA-W1", "reporter"), campaign)
    for seat, role in (("AA-W1", "reporter"), ("AA-W1", "viewer"), ("AA-TU", "approver"), ("AA-TU", "manager"), ("AA-BTG", "approver")):
        assert act(world.at(seat, role), made, "publish", status=403).code == "forbidden"
    assert act(world.at("AA-W2", "approver"), made, "publish", status=404)
    assert act(world.at("AA-W1", "approver"), made, "publish", match=None, status=428)
    assert act(world.at("AA-W1", "approver"), made, "publish", match='"9"', status=412)
    act(world.at("AA-W1", "manager"), made, "publish")
    assert act(world.at("AA-W1", "approver"), made, "publish", status=409).code == "wrong_state"


def test_it_is_withdrawn_by_its_unit_or_by_the_campaigns_owner_and_shown_again(world, campaign):
    made = published(world, campaign)
    for seat in ("AA-TU", "AA-W2"):
        answer = act(world.at(seat, "approver"), made, "withdraw", {"reason": "x"}, status=403)
        assert "AA-W1" in answer.json()["detail"]
    assert act(world.at("AA-W1", "approver"), made, "withdraw", {}, status=422)
    gone = act(world.at("AA-BTG", "approver"), made, "withdraw", {"reason": "Hình sai quy cách"})
    assert (gone["state"], gone["reason"]) == ("withdrawn", "Hình sai quy cách")
    assert act(world.at("AA-BTG", "approver"), made, "withdraw", {"reason": "x"}, status=409).code == "wrong_state"
    back = act(world.at("AA-BTG", "approver"), made, "publish")
    assert back["reason"] is None and back["published_at"] > made["published_at"] and back["published_on"] == made["published_on"]


def test_what_the_owner_withdrew_the_owner_alone_publishes_again(world, campaign):
    made, unit, owner = published(world, campaign), world.at("AA-W1", "approver"), world.at("AA-BTG", "approver")
    assert made["withdrawn_by"] is None
    assert act(owner, made, "withdraw", {"reason": "Sai tên gọi"})["withdrawn_by"] == "AA-BTG"
    for by in (unit, world.at("AA-TU", "approver")):
        answer = act(by, made, "publish", status=403)
        assert answer.code == "forbidden" and answer.json()["detail"] == "The owner of the campaign withdrew it; the owner alone publishes it again."
    world.must(world.at("AA-W1", "reporter").patch(path(made), {"title": "Đã sửa"}, "*"), 200)
    assert act(unit, made, "publish", status=403), "changing it is not enough"
    back = act(owner, made, "publish")
    assert (back["state"], back["title"], back["withdrawn_by"], back["organization"]) == ("published", "Đã sửa", None, "AA-W1")
    assert act(unit, made, "withdraw", {"reason": "Số liệu cũ"})["withdrawn_by"] == "AA-W1"
    assert act(owner, made, "publish", status=403), "what the unit took back is the unit's to show"
    assert act(unit, made, "publish")["state"] == "published"


def test_an_owner_that_has_no_mandate_withdraws_too(world):
    code = campaigns.campaign(world, owner="AA-W2")["code"]
    made = published(world, code)
    owner = world.at("AA-W2", "approver")
    assert act(owner, made, "withdraw", {"reason": "Sai chủ đề"})["state"] == "withdrawn"
    assert world.must(owner.get(path(made)), 200)["reason"] == "Sai chủ đề"
    assert owner.get(path(make(world.at("AA-W1", "reporter"), code))).status == 404, "what was never shown is none of its concern"


def test_what_was_shown_stays_as_it_was_shown(world, campaign, today):
    made, by = published(world, campaign), world.at("AA-W1", "reporter")
    for change in ({"title": "Khác"}, {"link": None}, {"reach": [], "channels": ["zalo_oa"]}):
        assert by.patch(path(made), change, "*").code == "wrong_state"
    got = world.must(by.patch(path(made), {"reach": [{"channel": "zalo_oa", "total": 7, "read_on": today()}]}, "*"), 200)
    assert got["reach_total"] == 7 and got["title"] == made["title"]
    assert world.must(by.patch(path(made), {"reach": []}, "*"), 200)["reach_total"] is None
    assert by.request("DELETE", path(made), None, AS_IS).code == "wrong_state"
    act(world.at("AA-W1", "approver"), made, "withdraw", {"reason": "x"})
    assert by.request("DELETE", path(made), None, AS_IS).code == "wrong_state", "it was seen"
    assert by.patch(path(made), {"title": "Khác"}, "*").status == 200


def test_a_draft_is_deleted(world, campaign):
    by, made = world.at("AA-W1", "reporter"), make(world.at("AA-W1", "reporter"), campaign)
    assert by.request("DELETE", path(made)).status == 428
    assert by.request("DELETE", path(made), None, [("If-Match", '"7"')]).status == 412
    assert world.at("AA-W2", "reporter").request("DELETE", path(made), None, AS_IS).status == 404
    assert by.request("DELETE", path(made), None, AS_IS).status == 204
    assert by.get(path(made)).status == 404


def test_the_gallery_is_filtered_and_exported(world, today):
    code = campaigns.campaign(world)["code"]
    first = published(world, code, title="Áp phích Đồng hành", kind="poster", phase="GD2", topic="CD1", channels=["zalo_oa"])
    second = published(world, code, "AA-W2", title="Video chi bộ", kind="short_video", duration_s=30, channels=["social_media"])
    by = world.at("AA-W1-C1", "viewer")

    def found(**query):
        return [p["id"] for p in by.items("/v1/products", campaign=code, **query)]
    assert found() == [first["id"], second["id"]], "tree order"
    assert found(sort="-published_at") == [second["id"], first["id"]]
    for query in ({"kind": "poster"}, {"phase": "GD2"}, {"topic": "CD1"}, {"channel": "zalo_oa"}, {"q": "ap phich dong"}):
        assert found(**query) == [first["id"]], query
    assert found(state="draft") == [] and found(phase="GD1") == []
    assert by.get("/v1/products", campaign=code, phase="GD9").faults() == {("phase", "unknown_reference")}
    top = world.at("AA-TU", "viewer")
    assert [p["id"] for p in top.items("/v1/products", campaign=code, under="AA-W2")] == [second["id"]]
    assert [p["id"] for p in top.items("/v1/products", campaign=code, organization="AA-W1")] == [first["id"]]
    csv = by.get("/v1/products", [("Accept", "text/csv")], campaign=code, fields="title,kind")
    assert [line.split(",")[1:] for line in csv.text.splitlines()] == [["kind", "title"], ["poster", "Áp phích Đồng hành"], ["short_video", "Video chi bộ"]]
    counted = by.get("/v1/products", [("Prefer", "count=exact")], campaign=code, limit=1).json()
    assert counted["page"]["total"] == 2 and len(counted["items"]) == 1


def test_units_record_what_they_used_again(world, campaign, today):
    made = published(world, campaign)
    other, owner = world.at("AA-W2", "reporter"), world.at("AA-W1", "viewer")
    answer = other.post(path(made) + "/reuses", {"organization": "AA-W2", "used_on": today(), "channels": ["zalo_oa"], "reach": 320, "link": "https://vi.du/a", "note": "Sinh hoạt"})
    used = world.must(answer)
    assert answer.header("Location") == f"{path(made)}/reuses/{used['id']}" and used["product_title"] == made["title"] and used["entered_by"] == "AA-W2"
    assert world.must(other.get(answer.header("Location")), 200) == used
    behalf = world.must(other.post(path(made) + "/reuses", {"organization": "AA-W2-C1", "used_on": today()}))
    assert behalf["on_behalf"] and behalf["reach"] is None
    before = owner.get(path(made)).etag
    assert world.must(owner.get(path(made)), 200)["reuses"] == 2, "its owner sees them all"
    assert world.must(world.at("AA-W1-C1", "viewer").get(path(made)), 200)["reuses"] == 0
    assert [u["organization"] for u in owner.items(path(made) + "/reuses")] == ["AA-W2", "AA-W2-C1"]
    assert world.at("AA-W1-C1", "viewer").items(path(made) + "/reuses") == []
    changed = world.must(other.patch(f"{path(made)}/reuses/{used['id']}", {"reach": 410, "channels": []}, "*"), 200)
    assert (changed["reach"], changed["channels"], changed["version"]) == (410, [], 2)
    assert other.patch(f"{path(made)}/reuses/{used['id']}", {"reach": 1}, '"1"').status == 412
    assert owner.get(path(made), [("If-None-Match", before)]).status == 304
    assert other.request("DELETE", f"{path(made)}/reuses/{behalf['id']}", None, AS_IS).status == 204
    assert owner.get(path(made), [("If-None-Match", before)]).status == 200, "the tag tells one less apart"


def test_reuse_is_of_what_is_published_and_by_who_enters_for_the_unit(world, campaign, today):
    draft, shown = make(world.at("AA-W1", "reporter"), campaign), published(world, campaign)
    other, by = world.at("AA-W2", "reporter"), {"organization": "AA-W2", "used_on": today()}
    assert other.post(path(draft) + "/reuses", by).status == 404
    assert world.at("AA-BTG", "reporter").post(path(draft) + "/reuses", by).code == "wrong_state"
    assert other.post(path(shown) + "/reuses", {**by, "organization": "AA-W1"}).status == 422
    assert world.at("AA-W1-XD", "viewer").post(path(shown) + "/reuses", {**by, "organization": "AA-W1"}).status == 403
    wrong = other.post(path(shown) + "/reuses", {**by, "link": "x", "channels": ["khong_co"]})
    assert sorted(wrong.faults()) == [("#/channels/0", "unknown_reference"), ("#/link", "uri")]
    assert other.post(path(shown) + "/reuses", {**by, "used_on": today(1)}).faults() == {("#/used_on", "in_the_future")}
    used = world.must(other.post(path(shown) + "/reuses", by))
    for who, status in ((world.at("AA-W1", "reporter"), 403), (world.at("AA-W1-C1", "reporter"), 404)):
        assert who.patch(f"{path(shown)}/reuses/{used['id']}", {"reach": 1}, "*").status == status
        assert who.request("DELETE", f"{path(shown)}/reuses/{used['id']}", None, AS_IS).status == status
    assert other.get(f"{path(draft)}/reuses/{used['id']}").status == 404, "of another product"
    act(world.at("AA-W1", "approver"), shown, "withdraw", {"reason": "x"})
    assert other.patch(f"{path(shown)}/reuses/{used['id']}", {"reach": 1}, "*").code == "wrong_state"
    kept = [u for u in other.items("/v1/product-reuses", product=shown["id"])]
    assert [(u["id"], u["product_title"]) for u in kept] == [(used["id"], None)], "what was recorded stays"


def test_what_units_used_again_is_listed_by_unit(world, campaign, today):
    code = campaigns.campaign(world)["code"]
    made = published(world, code)
    for unit, day in (("AA-W2", -2), ("AA-W2-C1", -1)):
        world.must(world.at("AA-W2", "reporter").post(path(made) + "/reuses", {"organization": unit, "used_on": today(day)}))
    top = world.at("AA-TU", "viewer")

    def units(by=top, **query):
        return [u["organization"] for u in by.items("/v1/product-reuses", campaign=code, **query)]
    assert units() == units(under="AA-W2") == units(world.at("AA-W1", "viewer")) == ["AA-W2", "AA-W2-C1"]
    assert units(organization="AA-W2") == ["AA-W2"] and units(product=made["id"]) == units()
    assert units(**{"used_on[gte]": today(-1)}) == ["AA-W2-C1"] and units(**{"used_on[lte]": today(-2)}) == ["AA-W2"]
    assert units(world.at("AA-W1-C1", "viewer")) == []


def test_the_journal_tells_of_it(world, campaign):
    made = published(world, campaign)
    act(world.at("AA-W1", "approver"), made, "withdraw", {"reason": "Sai"})
    events = world.at("AA-W1", "manager").items("/v1/audit-events", resource=f"product:{made['id']}")
    assert {e["action"] for e in events} == {"create", "publish", "withdraw"}


def test_a_person_with_psql_does_not_publish_for_another_either(world, cluster, campaign):
    """The serving role by itself, entered to enter: the state and what was shown do not move."""
    import psycopg2
    shown, draft = published(world, campaign), make(world.at("AA-W1", "reporter"), campaign)
    grant, session = cluster.query("""SELECT g.id, s.id FROM access_grant g JOIN account a ON a.id = g.account_id JOIN session s ON s.grant_id = g.id
        WHERE a.username = 'aa-w1.approver' ORDER BY s.created_at DESC LIMIT 1""")[0]
    kid = cluster.query("SELECT kid FROM signing_key WHERE signs_until IS NULL ORDER BY created_at DESC LIMIT 1")[0][0]
    connection = psycopg2.connect(cluster.dsn("tiendo_service"))
    try:
        for statement, product in (("UPDATE tiendo.product SET state = 'published' WHERE id = %s", draft), ("UPDATE tiendo.product SET title = 'x' WHERE id = %s", shown)):
            with connection.cursor() as cursor:
                cursor.execute("SELECT tiendo.enter(%s, %s, %s, 'activities:write')", [grant, session, kid])
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(statement, [product["id"]])
            connection.rollback()
    finally:
        connection.close()
