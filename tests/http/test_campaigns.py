"""Campaigns: setting them, their topics and phases, the lists they take their words from, who reads them and when they are open."""
import pytest
from harness import campaigns, samples
from harness.world import hold


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


@pytest.fixture
def new(world):
    return lambda **more: campaigns.campaign(world, **more)


def codes(items):
    return [item["code"] for item in items]


def phase(code, starts_on, ends_on, **more):
    return {"code": code, "starts_on": starts_on, "ends_on": ends_on, **more}


def body(**more):
    return {"code": samples.fresh("CD"), "title": "Tuyên truyền", "programme": "AA-P", "owner": "AA-TU", "scope": "AA-TU", **more}


def path(campaign):
    return f"/v1/campaigns/{campaign['code']}"


def enter(cluster, campaign, table, columns, values, unit="AA-W1-C1", phase="GD1"):
    """Puts a row of a unit into one of the campaign's tables, with what all of them ask for."""
    cluster.query(f"""INSERT INTO {table} (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, {columns})
        SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, {values}
        FROM campaign c LEFT JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = %s, organization o WHERE c.code = %s AND o.code = %s RETURNING 1""",
                  [phase, campaign["code"], unit])


def enter_activity(cluster, campaign, phase="GD1", topic=None):
    enter(cluster, campaign, "activity", "kind, topic, title, starts_on, ends_on, status, on_behalf, entered_by, seat_id, grant_id",
          f"'conference', {repr(topic) if topic else 'NULL'}, 'Hội nghị', '2026-02-01', '2026-02-01', 'planned', false, o.code, o.id, o.id", phase=phase)


# ---- setting ---------------------------------------------------------------------------------------------------
def test_a_campaign_is_answered_as_it_was_set(aa, new):
    made = new(note="ghi chú", document="12-HD/BTGDV", phases=[{**campaigns.PHASES[0], "reach_targets": [
        {"of": "party_organizations", "percent": 100, "indicator": "AA-SUM"}, {"of": "core_force", "percent": 92.5}]}, campaigns.PHASES[1]])
    assert aa.get(path(made)).json() == made and aa.get(f"/v1/campaigns/{made['id']}").json() == made
    assert (made["programme"], made["owner"], made["scope"], made["status"], made["entered_by"], made["version"]) == (
        "AA-P", "AA-TU", "AA-TU", "active", "superior", 1)
    assert (made["implements"], made["document"], made["note"], made["topics"]) == ("464-KH/TU", "12-HD/BTGDV", "ghi chú", campaigns.TOPICS)
    first, second = made["phases"]
    assert (first["starts_on"], first["ends_on"], first["kinds"]) == (None, "2026-06-30", campaigns.KINDS)
    assert first["reach_targets"] == [{"of": "party_organizations", "percent": 100, "indicator": "AA-SUM"},
                                      {"of": "core_force", "percent": 92.5, "indicator": None}]
    assert (second["starts_on"], second["kinds"], second["title"]) == ("2026-07-01", [], "Giai đoạn 2")


def test_what_is_not_said_stands_as_the_contract_says(world, aa):
    made = world.must(aa.post("/v1/campaigns", body()))
    assert (made["status"], made["entered_by"], made["topics"], made["phases"], made["note"], made["implements"]) == ("draft", "superior", [], [], None, None)


def test_references_may_be_ids(world, aa):
    unit, programme = aa.get("/v1/organizations/AA-W1").json()["id"], aa.get("/v1/programmes/AA-P").json()["id"]
    made = world.must(aa.post("/v1/campaigns", body(programme=programme, owner=unit, scope=unit)))
    assert (made["programme"], made["owner"], made["scope"]) == ("AA-P", "AA-W1", "AA-W1")


def test_a_mandate_to_define_makes_nobody_the_owner_who_does_not_review(world, aa, new):
    """The owner decides and withdraws: more than who only defines by mandate has to give."""
    admin, mandated = world.at("AA-TU", "administrator"), world.at("AA-BTG", "manager")
    made = new()
    for unit in ("AA-BTG", "AA-W1"):
        answers = mandated.post("/v1/campaigns", body(owner=unit), [("Idempotency-Key", samples.fresh("key"))]), mandated.patch(path(made), {"owner": unit}, "*")
        assert [(a.status, a.code) for a in answers] == [(403, "forbidden")] * 2 and all(unit in a.json()["detail"] for a in answers), answers
    assert aa.get(path(made)).json() == made
    # whoever is above the scope reviews it anyway; what stays as it was is nobody's gift
    own = world.must(mandated.post("/v1/campaigns", body(owner="AA-TU")))
    assert world.must(mandated.patch(path(own), {"owner": "AA-TU", "title": "Tên khác"}, "*"), 200)["title"] == "Tên khác"
    world.must(aa.patch(path(own), {"owner": "AA-BTG"}, "*"), 200)
    assert world.must(mandated.patch(path(own), {"owner": "AA-BTG", "note": "n"}, "*"), 200)["owner"] == "AA-BTG"
    # a mandate to review a part of it, or for another programme, is not enough; over all of it is
    world.unit(aa, "AA-OWN", "Ban chỉ đạo", "advisory_support_agency", "AA-TU")
    other = world.must(aa.post("/v1/programmes", {"code": samples.fresh("CT"), "title": "Khác", "owner": "AA-TU", "scope": "AA-TU"}))["code"]
    for over, programme in (("AA-W1", "AA-P"), ("AA-TU", other)):
        world.must(admin.post("/v1/mandates", {"unit": "AA-OWN", "over": over, "functions": ["review"], "programme": programme, "valid_from": "2025-01-01"}))
        assert mandated.patch(path(made), {"owner": "AA-OWN"}, "*").status == 403
    world.must(admin.post("/v1/mandates", {"unit": "AA-OWN", "over": "AA-TU", "functions": ["review"], "programme": "AA-P", "valid_from": "2025-01-01"}))
    assert world.must(mandated.patch(path(made), {"owner": "AA-OWN"}, "*"), 200)["owner"] == "AA-OWN"


def test_a_code_is_taken_once(aa, new):
    made = new()
    answer = aa.post("/v1/campaigns", body(code=made["code"]))
    assert answer.status == 409 and answer.code == "code_taken" and answer.pointers() == {"#/code"}


def test_an_idempotent_campaign_is_made_once(aa):
    key, asked = [("Idempotency-Key", samples.fresh("key"))], body()
    first, again = aa.post("/v1/campaigns", asked, key), aa.post("/v1/campaigns", asked, key)
    assert first.status == again.status == 201 and again.header("Idempotency-Replayed") == "true" and first.json() == again.json()
    assert aa.post("/v1/campaigns", body(), key).status == 422


def test_all_faults_are_told_at_once(aa):
    answer = aa.post("/v1/campaigns", body(programme="NO-SUCH", owner="NO-SUCH", scope="NO-SUCH", topics=[campaigns.TOPICS[0]] * 2, status="active"))
    assert answer.status == 422
    assert answer.faults() == {("#/programme", "unknown_reference"), ("#/owner", "unknown_reference"), ("#/scope", "unknown_reference"),
                                    ("#/topics/1/code", "repeated"), ("#/phases", "required")}


@pytest.mark.parametrize("phases,fault", [
    ([phase("A", None, "2026-01-31"), phase("B", None, "2026-02-28")], ("#/phases/1/starts_on", "required")),
    ([phase("A", "2026-01-01", "2026-01-31"), phase("B", "2026-01-31", "2026-02-28")], ("#/phases/1/starts_on", "overlap")),
    ([phase("A", "2026-02-01", "2026-02-28"), phase("B", "2026-01-01", "2026-01-31")], ("#/phases/1/starts_on", "overlap")),
    ([phase("A", "2026-01-01", "2026-12-31"), phase("B", "2027-01-01", "2027-01-31"), phase("C", "2026-11-01", "2027-03-01")],
     ("#/phases/2/starts_on", "overlap")),
    ([phase("A", "2026-02-01", "2026-01-31")], ("#/phases/0/ends_on", "ends_before_start")),
    ([phase("A", "1899-12-31", "2026-01-31")], ("#/phases/0/starts_on", "out_of_range")),
    ([phase("A", "0001-01-01", "2026-01-31")], ("#/phases/0/starts_on", "out_of_range")),
    ([phase("A", "2026-01-01", "3000-01-01")], ("#/phases/0/ends_on", "out_of_range")),
    ([phase("A", None, "9999-12-31")], ("#/phases/0/ends_on", "out_of_range")),
    ([phase("A", "2026-01-01", "2026-01-31"), phase("A", "2026-02-01", "2026-02-28")], ("#/phases/1/code", "repeated")),
    ([phase("A", None, "2026-01-31", kinds=["conference", "no_such"])], ("#/phases/0/kinds/1", "unknown_reference")),
    ([phase("A", None, "2026-01-31", kinds=["newsletter"])], ("#/phases/0/kinds/0", "unknown_reference")),
    ([phase("A", None, "2026-01-31", kinds=["seminar", "seminar"])], ("#/phases/0/kinds", "not_unique")),
    ([phase("A", None, "2026-01-31", reach_targets=[{"of": "core_force", "percent": 1}] * 2)], ("#/phases/0/reach_targets/1/of", "repeated")),
    ([phase("A", None, "2026-01-31", reach_targets=[{"of": "core_force", "percent": 0}])], ("#/phases/0/reach_targets/0/percent", "too_small")),
    ([phase("A", None, "2026-01-31", reach_targets=[{"of": "core_force", "percent": 101}])], ("#/phases/0/reach_targets/0/percent", "too_large")),
    ([phase("A", None, "2026-01-31", reach_targets=[{"of": "core_force", "percent": 9, "indicator": "BB-RATIO"}])],
     ("#/phases/0/reach_targets/0/indicator", "unknown_reference")),
    ([phase("A", None, "2026-01-31", reach_targets=[{"of": "public", "percent": 9}])], ("#/phases/0/reach_targets/0/of", "enum")),
])
def test_what_phases_must_be(aa, new, phases, fault):
    answer = aa.post("/v1/campaigns", body(phases=phases))
    assert answer.status == 422 and answer.faults() == {fault}, answer
    made = new()
    answer = aa.patch(path(made), {"phases": phases}, "*")
    assert answer.status == 422 and answer.faults() == {fault}, answer
    assert aa.get(path(made)).json() == made


def test_phases_may_meet_and_leave_gaps(world, aa):
    made = world.must(aa.post("/v1/campaigns", body(phases=[phase("A", "2026-01-01", "2026-01-31"), phase("B", "2026-02-01", "2026-02-28"),
                                                            phase("C", "2026-06-01", "2026-06-01")])))
    assert codes(made["phases"]) == ["A", "B", "C"]


def test_the_scope_lies_in_the_programme_s(world, aa):
    ward = world.must(aa.post("/v1/programmes", {"code": samples.fresh("CT"), "title": "Chương trình phường", "owner": "AA-W1", "scope": "AA-W1"}))["code"]
    for scope, status in (("AA-W1", 201), ("AA-W1-C1", 201), ("AA-TU", 422), ("AA-W2", 422)):
        answer = aa.post("/v1/campaigns", body(programme=ward, scope=scope))
        assert answer.status == status and (status == 201 or answer.faults() == {("#/scope", "outside_scope")}), answer


# ---- changing ---------------------------------------------------------------------------------------------------
def test_changing_a_campaign(aa, new):
    made = new(note="cũ")
    answer = aa.patch(path(made), {"title": "Tên mới", "note": None, "owner": "AA-BTG", "document": "1-HD", "implements": "2-KH", "entered_by": "self"}, '"1"')
    assert answer.status == 200 and answer.etag == '"2"'
    changed = answer.json()
    assert (changed["title"], changed["note"], changed["owner"], changed["document"], changed["implements"], changed["entered_by"], changed["version"]) == (
        "Tên mới", None, "AA-BTG", "1-HD", "2-KH", "self", 2)
    assert (changed["topics"], changed["phases"]) == (made["topics"], made["phases"])
    assert aa.get(path(made)).json() == changed
    for readonly in ("code", "programme", "scope"):
        assert aa.patch(path(made), {readonly: "AA-W1"}, "*").status == 422
    assert aa.patch(path(made), {"owner": "NO-SUCH"}, "*").faults() == {("#/owner", "unknown_reference")}


def test_a_change_needs_the_state_it_was_made_for(aa, new):
    made = new()
    assert aa.patch(path(made), {"note": "x"}).status == 428
    assert aa.patch(path(made), {"note": "x"}, '"7"').status == 412
    assert aa.get(path(made), [("If-None-Match", '"1"')]).status == 304
    assert aa.patch("/v1/campaigns/NO-SUCH", {"note": "x"}, "*").status == 404


def test_topics_and_phases_are_replaced_as_lists_and_keep_what_they_are_by_their_code(aa, new, cluster):
    made = new()
    was = dict(cluster.query("SELECT f.code, f.id FROM campaign_phase f JOIN campaign c ON c.id = f.campaign_id WHERE c.code = %s", [made["code"]]))
    phases = [phase("GD0", None, "2025-12-31"), phase("GD1", "2026-01-01", "2026-05-31", kinds=["seminar"], title="Khác")]
    changed = aa.patch(path(made), {"phases": phases, "topics": [{"code": "CD2", "title": "Đổi"}, {"code": "CD9", "title": "Thêm"}]}, "*").json()
    assert codes(changed["phases"]) == ["GD0", "GD1"] and codes(changed["topics"]) == ["CD2", "CD9"]
    assert changed["phases"][1] == {"code": "GD1", "title": "Khác", "objective": None, "starts_on": "2026-01-01", "ends_on": "2026-05-31",
                                    "kinds": ["seminar"], "reach_targets": []}
    now = dict(cluster.query("SELECT f.code, f.id FROM campaign_phase f JOIN campaign c ON c.id = f.campaign_id WHERE c.code = %s", [made["code"]]))
    assert now["GD1"] == was["GD1"] and "GD2" not in now


@pytest.mark.parametrize("table,columns,values", [
    ("activity", "kind, title, starts_on, ends_on, status, on_behalf, entered_by, seat_id, grant_id",
     "'conference', 'Hội nghị', '2026-02-01', '2026-02-01', 'planned', false, o.code, o.id, o.id"),
    ("campaign_assignment", "kind, set_quantity, set_due_on, quantity, due_on, setter_id", "'conference', 1, '2026-02-01', 1, '2026-02-01', o.id"),
    ("campaign_reach", "of, reached, base, base_source, base_on, counted_on, on_behalf, entered_by, seat_id",
     "'core_force', 1, 2, 'Sổ', '2026-01-01', '2026-02-01', false, o.code, o.id"),
    ("product", "kind, title, on_behalf, entered_by, seat_id", "'poster', 'Áp phích', false, o.code, o.id"),
    ("recognition", "kind, title, proposed_seat_id", "'exemplary_model', 'Mô hình', o.id"),
    ("campaign_review", "kind, reviewed_on, on_behalf, seat_id", "'interim', '2026-02-01', false, o.id"),
])
def test_a_phase_that_is_used_stays(aa, new, cluster, table, columns, values):
    made = new()
    enter(cluster, made, table, columns, values)
    answer = aa.patch(path(made), {"phases": [campaigns.PHASES[1]]}, "*")
    assert answer.status == 409 and answer.code == "in_use" and answer.faults() == {("#/phases", "in_use")}
    assert aa.patch(path(made), {"status": "draft"}, "*").faults() == {("#/status", "in_use")}
    answer = aa.patch(path(made), {"phases": [{**campaigns.PHASES[0], "title": "Đổi tên được"}]}, "*")
    assert answer.status == 200 and codes(answer.json()["phases"]) == ["GD1"], "the unused one goes, the used one changes"


def test_a_topic_that_is_used_stays(aa, new, cluster):
    made = new()
    enter_activity(cluster, made, topic="CD1")
    answer = aa.patch(path(made), {"topics": [campaigns.TOPICS[1]]}, "*")
    assert answer.status == 409 and answer.faults() == {("#/topics", "in_use")}
    assert codes(aa.patch(path(made), {"topics": [campaigns.TOPICS[0]]}, "*").json()["topics"]) == ["CD1"]


def test_what_is_being_entered_is_waited_for(aa, new, cluster):
    """Who takes a phase away waits for an activity that is just being written into it, and then sees it."""
    made = new()
    other = hold(cluster, f"SELECT campaign_open(id) FROM campaign WHERE code = '{made['code']}'")
    try:
        answer = aa.patch(path(made), {"status": "closed"}, "*")
        assert answer.status == 503, "it waits until it is given up"
    finally:
        other.close()
    assert aa.patch(path(made), {"status": "closed"}, "*").status == 200


# ---- status -----------------------------------------------------------------------------------------------------
def test_a_draft_is_opened_closed_and_opened_again(aa, new):
    made = new(status="draft")
    assert aa.patch(path(made), {"status": "closed"}, "*").code == "wrong_state"
    for status in ("active", "closed", "active"):
        assert aa.patch(path(made), {"status": status}, "*").json()["status"] == status
    assert aa.patch(path(made), {"status": "draft"}, "*").json()["status"] == "draft", "nothing has been entered"


def test_an_open_campaign_has_phases(aa, new):
    made = new(status="draft", phases=None)
    assert aa.patch(path(made), {"status": "active"}, "*").faults() == {("#/phases", "required")}
    opened = aa.patch(path(made), {"status": "active", "phases": campaigns.PHASES}, "*")
    assert opened.status == 200
    assert aa.patch(path(made), {"phases": []}, "*").faults() == {("#/phases", "required")}


def test_nothing_is_let_into_a_campaign_that_is_not_active(new, aa, cluster):
    for status in ("draft", "active", "closed"):
        made = new()
        aa.patch(path(made), {"status": status}, "*")
        found, state = None, None
        connection = cluster.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT campaign_open(id) FROM campaign WHERE code = %s", [made["code"]])
                found = cursor.fetchall()
        except Exception as error:  # noqa: BLE001 the code is looked at
            state = error.pgcode
        finally:
            connection.close()
        assert (state is None and bool(found)) == (status == "active"), (status, state)


# ---- who sees and sets ---------------------------------------------------------------------------------------------
def test_a_campaign_is_read_by_the_units_in_its_scope(world, new):
    made = new(scope="AA-W1")
    for unit, status in (("AA-TU", 200), ("AA-BTG", 200), ("AA-W1", 200), ("AA-W1-C1", 200), ("AA-W1-XD", 200), ("AA-W2", 404), ("BB-W1", 404), ("BB-TU", 404)):
        who = world.at(unit, "viewer")
        assert who.get(path(made)).status == status, unit
        assert (made["code"] in codes(who.items("/v1/campaigns"))) == (status == 200), unit


def test_a_draft_is_not_seen_below(world, aa, new):
    made = new(status="draft")
    for unit, status in (("AA-TU", 200), ("AA-BTG", 200), ("AA-W1", 404), ("AA-W1-C1", 404)):
        assert world.at(unit, "viewer").get(path(made)).status == status, unit
    aa.patch(path(made), {"status": "active"}, "*")
    assert world.at("AA-W1-C1", "viewer").get(path(made)).json()["phases"] == made["phases"]
    aa.patch(path(made), {"status": "closed"}, "*")
    assert world.at("AA-W1-C1", "viewer").get(path(made)).status == 200


def test_who_sets_a_campaign(world, new):
    made = new()
    for unit, role, status in (("AA-BTG", "manager", 201), ("AA-W1", "manager", 201), ("AA-W1-XD", "manager", 403), ("AA-TU", "approver", 403)):
        answer = world.at(unit, role).post("/v1/campaigns", body(owner="AA-W1", scope="AA-W1"))
        assert answer.status == status, (unit, answer)
    ward = world.at("AA-W1", "manager")
    assert ward.post("/v1/campaigns", body(owner="AA-W1")).faults() == {("#/scope", "unknown_reference")}, "the unit above is not in sight"
    answer = ward.patch(path(made), {"note": "x"}, "*")
    assert answer.status == 403 and "AA-TU" in answer.json()["detail"]
    assert world.connector().patch(path(made), {"note": "Từ hệ thống kết nối"}, "*").status == 200


def test_lists_of_campaigns(world, aa, new):
    ward = new(scope="AA-W1", owner="AA-W1", title="Phong trào Phường Hòa Bình", status="draft")
    root = new(owner="AA-BTG")
    for query, found in (({"code": root["code"]}, True), ({"owner": "AA-BTG"}, True), ({"owner": "AA-W1"}, False), ({"status": "active"}, True),
                         ({"status": "draft"}, False), ({"status[in]": "draft,closed"}, False), ({"under": "AA-W1"}, False), ({"under": "AA-TU"}, True),
                         ({"programme": "AA-P"}, True), ({"q": "chuyen doi so"}, True), ({"q": "hoa binh"}, False),
                         ({"code[prefix]": root["code"][:-1]}, True), ({"code[in]": root["code"] + ",X"}, True)):
        items = codes(aa.items("/v1/campaigns", **query))
        assert (root["code"] in items) == found, query
    assert ward["code"] in codes(aa.items("/v1/campaigns", under="AA-W1")) and ward["code"] in codes(aa.items("/v1/campaigns", q="hoa binh"))
    item = next(i for i in aa.items("/v1/campaigns") if i["code"] == root["code"])
    assert item == {**{k: root[k] for k in ("id", "code", "title", "programme", "owner", "scope", "implements", "document", "status", "entered_by", "version")},
                    "starts_on": None, "ends_on": "2028-12-31"}
    assert codes(aa.items("/v1/campaigns")) == sorted(codes(aa.items("/v1/campaigns")))
    assert aa.get("/v1/campaigns", programme="NO-SUCH").status == 422 and aa.get("/v1/campaigns", knid="x").status == 400
    assert aa.get("/v1/campaigns", [("Prefer", "count=exact")], limit=1).json()["page"]["total"] == len(aa.items("/v1/campaigns"))


def test_changes_are_journalled(aa, new, cluster):
    made = new()
    aa.patch(path(made), {"status": "closed"}, "*")
    rows = cluster.query("""SELECT action, before ->> 'status', after ->> 'status', version, programme_id IS NOT NULL FROM journal
        WHERE resource_type = 'campaign' AND resource_id = %s ORDER BY seq""", [made["id"]])
    assert rows == [("create", None, "active", 1, True), ("update", "active", "closed", 2, True)]


# ---- the lists ------------------------------------------------------------------------------------------------------
def test_the_lists_have_what_the_sources_name(world):
    terms = world.at("AA-W1-C1", "viewer").items("/v1/campaign-terms", own="false")
    lists = {name: {t["code"]: t for t in terms if t["list"] == name} for name in ("activity_kind", "product_kind", "channel")}
    assert {"study_session", "cell_meeting", "online_contest", "talkshow", "press_briefing", "slide"} <= set(lists["activity_kind"])
    assert {"infographic", "short_video", "hashtag", "poster", "talkshow", "slide", "yearbook"} <= set(lists["product_kind"])
    assert set(lists["channel"]) == {"newsletter", "website", "zalo_oa", "work_group", "press", "radio_television", "social_media", "electronic_board"}
    assert lists["activity_kind"]["seminar"]["name"] == "Tọa đàm" and lists["activity_kind"]["seminar"]["name_en"] == "Seminar"
    assert all(t["active"] and t["name"] and t["name_en"] for t in terms)
    order = [(t["list"], t["position"]) for t in terms]
    assert order == sorted(order)


def test_a_root_adds_changes_and_retires_a_term_of_its_own(world, aa):
    made = world.must(aa.post("/v1/campaign-terms", {"list": "channel", "code": "loudspeaker", "name": "Loa truyền thanh cơ sở"}))
    assert (made["own"], made["active"], made["name_en"], made["position"], made["version"]) == (True, True, None, 1000, 1)
    where = f"/v1/campaign-terms/{made['id']}"
    assert aa.post("/v1/campaign-terms", {"list": "channel", "code": "loudspeaker", "name": "Lần nữa"}).code == "code_taken"
    assert aa.post("/v1/campaign-terms", {"list": "channel", "code": "press", "name": "Báo"}).code == "code_taken", "the service brings it"
    assert aa.post("/v1/campaign-terms", {"list": "product_kind", "code": "loudspeaker", "name": "Bài phát thanh"}).status == 201, "of another list"
    assert aa.patch(where, {"name": "Loa phường"}).status == 428 and aa.patch(where, {"name": "Loa phường"}, '"9"').status == 412
    changed = aa.patch(where, {"name": "Loa phường", "name_en": "Loudspeaker", "active": False, "position": 5}, '"1"')
    assert changed.status == 200 and changed.etag == '"2"'
    assert (changed.json()["name"], changed.json()["name_en"], changed.json()["active"], changed.json()["position"]) == ("Loa phường", "Loudspeaker", False, 5)
    assert aa.get(where).json() == changed.json() and aa.get(where, [("If-None-Match", '"2"')]).status == 304
    assert aa.items("/v1/campaign-terms", list="channel", active="false") == [changed.json()]
    assert aa.items("/v1/campaign-terms", list="channel", q="loa phuong") == [changed.json()] == aa.items("/v1/campaign-terms", code="loudspeaker", list="channel")
    for readonly in ("code", "list", "own"):
        assert aa.patch(where, {readonly: "channel"}, "*").status == 422


def test_a_term_is_its_root_s_alone(world):
    made = campaigns.term(world)
    where = f"/v1/campaign-terms/{made['id']}"
    assert world.at("AA-W1-C1", "viewer").get(where).status == 200 and world.at("BB-TU", "manager").get(where).status == 404
    assert world.at("BB-TU", "manager").patch(where, {"name": "x"}, "*").status == 404
    assert made["code"] not in codes(world.at("BB-TU", "manager").items("/v1/campaign-terms"))
    assert campaigns.term(world, code=made["code"], by=world.at("BB-TU", "manager"))["own"]


def test_who_keeps_the_lists(world, aa):
    made, theirs = campaigns.term(world), next(t for t in aa.items("/v1/campaign-terms", own="false"))
    ward = world.at("AA-W1", "manager")
    assert ward.post("/v1/campaign-terms", {"list": "channel", "code": "loa", "name": "Loa"}).status == 403
    assert ward.patch(f"/v1/campaign-terms/{made['id']}", {"name": "Loa"}, "*").status == 403
    assert world.at("AA-BTG", "manager").patch(f"/v1/campaign-terms/{made['id']}", {"name": "Loa"}, "*").status == 200, "by mandate over all of the root"
    answer = aa.patch(f"/v1/campaign-terms/{theirs['id']}", {"active": False}, "*")
    assert answer.status == 403 and theirs["code"] in answer.json()["detail"]


def test_a_retired_kind_is_kept_and_no_longer_taken(world, aa, new):
    own = campaigns.term(world, "activity_kind")
    made = new(phases=[phase("A", None, "2026-12-31", kinds=[own["code"]])])
    aa.patch(f"/v1/campaign-terms/{own['id']}", {"active": False}, "*")
    kept = aa.patch(path(made), {"phases": [phase("A", None, "2027-12-31", kinds=[own["code"], "seminar"])]}, "*")
    assert kept.status == 200 and kept.json()["phases"][0]["kinds"] == [own["code"], "seminar"]
    assert aa.post("/v1/campaigns", body(phases=[phase("A", None, "2026-12-31", kinds=[own["code"]])])).faults() == {("#/phases/0/kinds/0", "unknown_reference")}


@pytest.mark.parametrize("more,fault", [({"list": "status"}, ("#/list", "enum")), ({"code": "Loa"}, ("#/code", "pattern")), ({"name": ""}, ("#/name", "too_short")),
                                        ({"name": "x" * 201}, ("#/name", "too_long")), ({"position": -1}, ("#/position", "too_small")),
                                        ({"own": True}, ("#/own", "unknown_field"))])
def test_what_a_term_must_be(aa, more, fault):
    answer = aa.post("/v1/campaign-terms", {"list": "channel", "code": "loa", "name": "Loa", **more})
    assert answer.status == 422 and answer.faults() == {fault}
