"""Report duties: who accounts for what to whom, how often and until when."""
import pytest
from harness import campaigns, reports
from harness.samples import fresh

WARD = "directly_subordinate_party_committee"


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


@pytest.fixture
def define(aa, world):
    """Defines a duty of the wards to AA-BTG, quarterly from 2030 on: far enough that nobody is waited for."""
    def make(by=None, **more):
        body = {"code": fresh("CD"), "title": "Báo cáo quý", "programme": "AA-P", "from": {"under": "AA-TU", "kinds": [WARD]}, "to": "AA-BTG",
                "acceptance": "receipt", "cadence": "quarter", "valid_from": "2030-01-01", **more}
        return (by or aa).post("/v1/report-duties", {k: v for k, v in body.items() if v is not None})
    return make


@pytest.fixture
def made(define, world):
    return lambda **more: world.must(define(**more))


def units(by, duty, **query):
    return by.items(f"/v1/report-duties/{duty}/units", **query)


# ---- defining ----
def test_a_duty_is_answered_as_it_was_defined(world, aa, define):
    body = {"from": {"under": "AA-TU", "kinds": [WARD], "organizations": ["AA-BTG"], "except": ["AA-W2"]}, "to": "AA-TU", "copies": ["AA-W1"],
            "copies_outside": ["Ban Tuyên giáo và Dân vận Trung ương"], "acceptance": "approval", "cut_off": {"rule": "decree_09_2019", "day": 20},
            "deadline": {"days": 5, "kind": "calendar"}, "indicators": ["AA-SUM", "AA-RATIO"], "campaign": campaigns.known(world)["code"], "valid_to": "2031-12-31",
            "sections": [{"code": "b", "title": "Kết quả", "max_length": 500}, {"code": "a", "title": "Kiến nghị", "required": False}],
            "entered_by": "superior", "document": "1-HD/BTG", "note": "ghi chú", "reminders": {"before": [1, 5], "after": [], "escalate_after": None}}
    answer = define(**body)
    assert answer.status == 201 and answer.etag == '"1"', answer
    duty = answer.json()
    assert answer.header("Location") == f"/v1/report-duties/{duty['id']}"
    assert duty["sections"] == [{"code": "b", "title": "Kết quả", "required": True, "max_length": 500},
                                {"code": "a", "title": "Kiến nghị", "required": False, "max_length": 20000}]
    assert duty["reminders"] == {"before": [5, 1], "after": [], "escalate_after": None}
    assert duty == {**duty, **{k: v for k, v in body.items() if k not in ("sections", "reminders")}}
    got = aa.get(f"/v1/report-duties/{duty['code']}")
    assert got.json() == duty and aa.get(f"/v1/report-duties/{duty['id']}").json() == duty
    assert aa.get(f"/v1/report-duties/{duty['code']}", [("If-None-Match", got.etag)]).status == 304


def test_a_duty_names_a_campaign_of_its_programme(world, aa, define, cluster):
    code, elsewhere = campaigns.known(world)["code"], fresh("CT")
    world.must(aa.post("/v1/programmes", {"code": elsewhere, "title": "Chương trình khác", "owner": "AA-TU", "scope": "AA-TU"}))
    other = campaigns.campaign(world, programme=elsewhere)["code"]
    wrong = {("#/campaign", "unknown_reference")}
    for name in ("NO-SUCH", other):
        answer = define(campaign=name)
        assert answer.status == 422 and answer.faults() == wrong, answer
    path = f"/v1/report-duties/{world.must(define(campaign=code))['code']}"
    assert aa.patch(path, {"campaign": other}, "*").faults() == wrong
    assert aa.patch(path, {"campaign": None}, "*").json()["campaign"] is None
    assert aa.patch(path, {"campaign": code}, "*").json()["campaign"] == code
    # one that was named before there were campaigns stays as long as it is not changed
    cluster.query("UPDATE report_duty SET campaign = 'TT-CU' WHERE code = %s RETURNING 1", [path.rsplit("/", 1)[1]])
    assert aa.patch(path, {"campaign": "TT-CU", "note": "x"}, "*").json()["campaign"] == "TT-CU" and aa.patch(path, {"note": "y"}, "*").status == 200
    assert aa.patch(path, {"campaign": "TT-KHAC"}, "*").faults() == wrong


def test_what_is_left_out_is_by_the_decree(made):
    duty = made()
    assert duty["cut_off"] == {"rule": "decree_09_2019", "day": 14} and duty["deadline"] == {"days": 2, "kind": "working"}
    assert duty["reminders"] == {"before": [3], "after": [1, 7], "escalate_after": 7}
    assert (duty["sections"], duty["indicators"], duty["stands_for"], duty["entered_by"], duty["valid_to"]) == ([], [], [], "self", None)


def test_all_faults_are_told_at_once(define):
    answer = define(**{"from": {"under": "NO-SUCH", "kinds": ["no_such"], "organizations": ["NO-SUCH", "AA-W1", "AA-W1"], "except": ["AA-W1"]},
                       "to": "NO-SUCH", "copies": ["NO-SUCH"], "due_on": "2030-01-01", "period": "2030-Q1", "cut_off": {"rule": "period_end", "day": 3},
                       "sections": [{"code": "a", "title": "x"}, {"code": "a", "title": "y"}], "indicators": ["NO-SUCH", "BB-RATIO", "AA-SUM", "AA-SUM"],
                       "stands_for": [{"duty": "NO-SUCH", "periods": ["Q2"]}], "valid_to": "2029-01-01"})
    assert answer.status == 422
    assert answer.pointers() == {
        "#/from/under", "#/from/kinds/0", "#/from/organizations/0", "#/from/organizations/2", "#/from/except", "#/to", "#/copies/0", "#/due_on", "#/period",
        "#/cut_off/day", "#/sections/1/code", "#/indicators/0", "#/indicators/1", "#/indicators/3", "#/stands_for/0/duty", "#/valid_to"}


@pytest.mark.parametrize("more,pointer,code", [
    ({"to": None}, "#/to", "one_of"),
    ({"to_parent": True}, "#/to", "one_of"),
    ({"from": {"kinds": [WARD]}}, "#/from/under", "required"),
    ({"from": {"organizations": []}}, "#/from", "required"),
    ({"from": {"organizations": ["AA-BTG"]}}, "#/from/organizations", "contradiction"),
    ({"copies": ["AA-BTG"]}, "#/copies", "contradiction"),
    ({"copies": ["AA-W1", "AA-W1"]}, "#/copies/1", "repeated"),
    ({"period": "2030-Q1"}, "#/period", "not_expected"),
    ({"cadence": "once", "due_on": "2029-12-31"}, "#/due_on", "out_of_range"),
    ({"cadence": "once", "period": "NO-SUCH"}, "#/period", "unknown_reference"),
    ({"cadence": "once", "period": "2030-Q2", "due_on": "2030-06-13"}, "#/due_on", "too_early"),
    ({"cadence": "once", "period": "2029-Q4"}, "#/period", "out_of_range"),
    ({"cadence": "once", "indicators": ["AA-SUM"]}, "#/period", "required"),
    ({"programme": "BB-P"}, "#/programme", "unknown_reference"),
    ({"programme": "NO-SUCH"}, "#/programme", "unknown_reference"),
    ({"cadence": "fortnight"}, "#/cadence", "enum"),
    ({"cut_off": {"day": 31}}, "#/cut_off/day", "too_large"),
    ({"deadline": {"days": -1}}, "#/deadline/days", "too_small"),
    ({"from": {"organizations": ["BB-W1"]}}, "#/from/organizations/0", "unknown_reference"),
    ({"zz": 1}, "#/zz", "unknown_field"),
])
def test_what_a_duty_cannot_be(define, more, pointer, code):
    answer = define(**more)
    assert answer.status == 422 and (pointer, code) in answer.faults(), answer


def test_a_duty_of_one_time_on_its_day(made, aa):
    duty = made(cadence="once", due_on="2030-03-31", **{"from": {"under": "AA-TU", "kinds": [WARD]}})
    assert {u["due_on"] for u in units(aa, duty["code"])} == {"2030-03-31"}
    by_rule = made(cadence="once", period="2030-Q2")
    assert {(u["period"], u["data_from"], u["data_to"], u["due_on"]) for u in units(aa, by_rule["code"], period="2030-Q2")} == {
        ("2030-Q2", "2030-03-15", "2030-06-14", "2030-06-18")}
    undated = made(cadence="once")
    assert {(u["due_on"], u["period"]) for u in units(aa, undated["code"])} == {(None, None)}
    assert aa.get(f"/v1/report-duties/{undated['code']}/units", period="2030-Q1").status == 422
    refused = aa.patch(f"/v1/report-duties/{undated['code']}", {"indicators": ["AA-SUM"]}, "*")
    assert refused.status == 422 and refused.faults() == {("#/period", "required")}, "figures are of a period"
    assert aa.patch(f"/v1/report-duties/{undated['code']}", {"indicators": ["AA-SUM"], "due_on": "2030-03-31"}, "*").status == 200
    assert aa.patch(f"/v1/report-duties/{undated['code']}", {"due_on": None}, "*").faults() == {("#/period", "required")}


def test_a_code_is_taken_once(made, define):
    duty = made()
    answer = define(code=duty["code"])
    assert answer.status == 409 and answer.code == "code_taken"


# ---- who sees and who defines ----
def test_a_duty_is_seen_where_it_holds_and_by_whom_it_names(world, made):
    duty = made(**{"from": {"under": "AA-W1", "kinds": ["party_cell"]}, "to": "AA-W2", "copies": ["AA-OLD"]})["code"]
    for unit in ("AA-TU", "AA-W1", "AA-W1-C1", "AA-BTG"):
        assert world.at(unit, "viewer").get(f"/v1/report-duties/{duty}").status == 200, unit
    answer = world.at("AA-W2", "viewer").get(f"/v1/report-duties/{duty}")
    assert answer.status == 200 and answer.json()["to"] == "AA-W2", "it is addressed to it"
    assert world.at("AA-OLD", "viewer").get(f"/v1/report-duties/{duty}").status == 200, "it gets a copy"
    for unit in ("AA-W1-C1", "AA-W2"):
        assert duty in [d["code"] for d in world.at(unit, "viewer").items("/v1/report-duties")]
    assert world.at("BB-TU", "manager").get(f"/v1/report-duties/{duty}").status == 404
    beside = made(**{"from": {"under": "AA-W1", "kinds": ["party_cell"]}, "to": "AA-W1"})["code"]
    assert world.at("AA-W2", "viewer").get(f"/v1/report-duties/{beside}").status == 404


def test_a_duty_names_its_units_to_everyone_it_holds_for(world, made):
    duty = made(**{"from": {"under": "AA-TU", "kinds": [WARD], "except": ["AA-W2"]}, "copies": ["AA-TU"]})["code"]
    seen = world.at("AA-W1", "viewer").get(f"/v1/report-duties/{duty}").json()
    assert (seen["to"], seen["copies"], seen["from"]["under"], seen["from"]["except"]) == ("AA-BTG", ["AA-TU"], "AA-TU", ["AA-W2"])


def test_who_defines(world, define):
    own = {"from": {"under": "AA-W1", "kinds": ["party_cell"]}, "to": "AA-W1"}
    assert define(by=world.at("AA-W1", "manager"), **own).status == 201, "over its own"
    assert define(by=world.at("AA-BTG", "manager")).status == 201, "by a mandate to define"
    assert define(by=world.connector()).status == 201, "a connected system with the scope"
    for by in (world.at("AA-W1", "reporter"), world.at("AA-W1", "approver"), world.at("AA-TU", "viewer"), world.at("AA-W1-XD", "manager")):
        answer = define(by=by, **own)
        assert answer.status == 403 and answer.code == "forbidden", answer
    answer = define(by=world.at("AA-W1", "manager"), **{"from": {"under": "AA-W1", "organizations": ["AA-W2"]}, "to": "AA-W1"})
    assert answer.status == 422 and answer.pointers() == {"#/from/organizations/0"}, "a unit out of sight does not exist"


# ---- changing ----
def test_a_change_says_what_changes_alone(world, aa, made):
    duty = made(copies=["AA-W1"], sections=[{"code": "a", "title": "Một"}], **{"from": {"under": "AA-TU", "kinds": [WARD], "except": ["AA-W2"]}})
    path = f"/v1/report-duties/{duty['code']}"
    answer = aa.patch(path, {"title": "Báo cáo mới", "deadline": {"days": 3}, "from": {"except": []}, "reminders": {"escalate_after": None}, "copies": []}, '"1"')
    assert answer.status == 200, answer
    assert answer.json() == {**duty, "title": "Báo cáo mới", "deadline": {"days": 3, "kind": "working"}, "from": {**duty["from"], "except": []},
                             "reminders": {**duty["reminders"], "escalate_after": None}, "copies": [], "version": 2, "updated_at": answer.json()["updated_at"]}
    assert aa.get(path).json() == answer.json()
    turned = aa.patch(path, {"to": None, "to_parent": True, "acceptance": "approval", "valid_to": "2030-12-31", "sections": [], "indicators": ["AA-SUM"]}, '"2"').json()
    assert (turned["to"], turned["to_parent"], turned["acceptance"], turned["valid_to"], turned["sections"], turned["indicators"]) == \
        (None, True, "approval", "2030-12-31", [], ["AA-SUM"])
    assert aa.patch(path, {"valid_to": None}, '"3"').json()["valid_to"] is None


def test_preconditions(aa, made):
    path = f"/v1/report-duties/{made()['code']}"
    assert aa.patch(path, {"note": "x"}).status == 428
    assert aa.patch(path, {"note": "x"}, '"7"').status == 412
    assert aa.patch("/v1/report-duties/NO-SUCH", {"note": "x"}, "*").status == 404


@pytest.mark.parametrize("field,value", [("code", "KHAC"), ("programme", "AA-P"), ("cadence", "year"), ("valid_from", "2031-01-01"), ("id", "x"), ("version", 3)])
def test_what_stands(aa, made, field, value):
    answer = aa.patch(f"/v1/report-duties/{made()['code']}", {field: value}, "*")
    assert answer.status == 422 and answer.pointers() == {f"#/{field}"}


def test_who_changes(world, made):
    path = f"/v1/report-duties/{made()['code']}"
    assert world.at("AA-W1", "manager").patch(path, {"note": "x"}, "*").status == 403
    assert world.at("AA-W1", "viewer").patch(path, {"note": "x"}, "*").status == 403
    assert world.at("BB-TU", "manager").patch(path, {"note": "x"}, "*").status == 404
    assert world.at("AA-BTG", "manager").patch(path, {"note": "x"}, "*").status == 200


def test_a_duty_can_be_put_over_another_unit(world, aa, made):
    duty = made(**{"from": {"under": "AA-W1", "kinds": ["party_cell"]}})["code"]
    assert world.at("AA-W2", "viewer").get(f"/v1/report-duties/{duty}").status == 404
    assert aa.patch(f"/v1/report-duties/{duty}", {"from": {"under": "AA-W2"}}, "*").status == 200
    assert world.at("AA-W2", "viewer").get(f"/v1/report-duties/{duty}").status == 200
    assert world.at("AA-W1", "viewer").get(f"/v1/report-duties/{duty}").status == 404
    assert world.at("AA-W1", "manager").patch(f"/v1/report-duties/{duty}", {"note": "x"}, "*").status == 404
    assert {u["organization"] for u in units(aa, duty, period="2030-Q1")} == {"AA-W2-C1", "AA-W2-C2"}


def test_a_section_in_which_somebody_wrote_stays(world, aa):
    duty = reports.duty(world)["code"]
    report = reports.Report(world, duty)
    report.write("Đã tổ chức 12 hội nghị.")
    path = f"/v1/report-duties/{duty}"
    answer = aa.patch(path, {"sections": [{"code": "next", "title": "Nhiệm vụ"}]}, "*")
    assert answer.status == 409 and answer.code == "in_use" and answer.pointers() == {"#/sections"}
    optional = [{"code": "results", "title": "Kết quả (không bắt buộc)", "required": False}]
    assert aa.patch(path, {"sections": optional}, "*").status == 200, "one that nobody wrote in goes, one that was written in can change"
    assert [s["text"] for s in report.read()["sections"] if s["code"] == "results"] == ["Đã tổ chức 12 hội nghị."]


def test_a_section_of_a_submission_that_stands_stays(world, aa):
    duty = reports.duty(world, acceptance="approval", indicators=[])["code"]
    report = reports.Report(world, duty)
    report.submit("Đã tổ chức 12 hội nghị.")
    report.must("approve", by=report.reviewer)
    without = {"sections": [{"code": "next", "title": "Nhiệm vụ"}]}
    assert aa.patch(f"/v1/report-duties/{duty}", without, "*").code == "in_use", "what is frozen"
    report.must("amend", {"reason": "Bổ sung"}, by=report.reviewer)
    report.write("")
    assert aa.patch(f"/v1/report-duties/{duty}", without, "*").code == "in_use", "the draft has it no more, the submission does"
    assert aa.patch(f"/v1/report-duties/{duty}", {"sections": [{"code": "results", "title": "Kết quả"}]}, "*").status == 200, "nobody wrote in the other"


# ---- standing for another's ----
def test_the_half_year_stands_for_the_second_quarter(world, aa, made):
    quarter = made()["code"]
    half = made(cadence="half_year", stands_for=[{"duty": quarter, "periods": ["Q2"]}], **{"from": {"under": "AA-TU", "kinds": [WARD], "except": ["AA-W2"]}})
    assert half["stands_for"] == [{"duty": quarter, "periods": ["Q2"]}]
    assert {u["organization"]: (u["stood_for_by"], u["stood_for_period"]) for u in units(aa, quarter, period="2030-Q2")} == {
        "AA-W1": (half["code"], "2030-S1"), "AA-W2": (None, None)}
    assert {u["stood_for_by"] for u in units(aa, quarter, period="2030-Q1")} == {None}
    for body, code in (({"stands_for": [{"duty": quarter, "periods": ["Q1"]}]}, "wrong_period_kind"), ({"to": "AA-TU"}, "other_recipient"),
                       ({"stands_for": [{"duty": half["code"], "periods": ["S1"]}]}, "unknown_reference")):
        answer = aa.patch(f"/v1/report-duties/{half['code']}", body, "*")
        assert answer.status == 422 and {fault for _, fault in answer.faults()} == {code}, answer
    circle = aa.patch(f"/v1/report-duties/{quarter}", {"stands_for": [{"duty": half["code"], "periods": ["S1"]}]}, "*")
    assert circle.status == 422 and ("#/stands_for", "cycle") in circle.faults()


# ---- who owes it ----
def test_who_owes_it_by_when(world, aa, made):
    duty = made(valid_from="2026-01-01", **{"from": {"under": "AA-TU", "kinds": [WARD], "organizations": ["AA-W1-C1"]}})["code"]
    found = units(aa, duty, period="2026-Q2")
    assert [u["organization"] for u in found] == ["AA-W1", "AA-W1-C1", "AA-W2"], "in tree order"
    assert found[0] == {"organization": "AA-W1", "organization_name": "Đảng ủy phường Hòa Bình", "kind": WARD, "period": "2026-Q2", "recipient": "AA-BTG",
                        "data_from": "2026-03-15", "data_to": "2026-06-14", "due_on": "2026-06-16", "entered_by": "self",
                        "stood_for_by": None, "stood_for_period": None}
    assert [u["organization"] for u in units(aa, duty, period="2026-Q2", under="AA-W1")] == ["AA-W1", "AA-W1-C1"]
    assert [u["organization"] for u in units(aa, duty, period="2026-Q2", kind="party_cell")] == ["AA-W1-C1"]
    assert [u["organization"] for u in units(world.at("AA-W2", "viewer"), duty, period="2026-Q2")] == ["AA-W2"], "units in sight alone"
    assert units(aa, duty, period="2025-Q4") == [], "before it holds"
    page = aa.get(f"/v1/report-duties/{duty}/units", [("Prefer", "count=exact")], period="2026-Q2", limit=2).json()
    assert page["page"]["total"] == 3 and page["page"]["next"]


def test_to_each_unit_s_own_parent(aa, made):
    duty = made(to=None, to_parent=True, valid_from="2026-01-01", **{"from": {"under": "AA-TU", "kinds": ["party_cell", WARD]}})["code"]
    assert {(u["organization"], u["recipient"]) for u in units(aa, duty, period="2026-Q1")} >= {("AA-W1", "AA-TU"), ("AA-W1-C2", "AA-W1"), ("AA-W2-C1", "AA-W2")}


@pytest.mark.parametrize("query", [{}, {"period": "2026-S1"}, {"period": "2026-Q9"}, {"period": "2026-Q1", "under": "NO-SUCH"}])
def test_what_cannot_be_asked(aa, made, query):
    assert aa.get(f"/v1/report-duties/{made()['code']}/units", **query).status == 422
    assert aa.get("/v1/report-duties/NO-SUCH/units", **query).status in (404, 422)


def test_units_of_a_duty_that_is_not_seen(world, made):
    assert world.at("BB-TU", "viewer").get(f"/v1/report-duties/{made()['code']}/units", period="2030-Q1").status == 404


# ---- the list ----
def test_filters(world, aa, made):
    mark = fresh("LOC")
    one = made(code=f"{mark}-1", title="Báo cáo chuyên đề Hồ sơ", campaign=campaigns.campaign(world, mark)["code"], indicators=["AA-SUM"])["code"]
    two = made(code=f"{mark}-2", cadence="year", acceptance="approval", to=None, to_parent=True, valid_to="2030-12-31", **{"from": {"under": "AA-W1", "kinds": ["party_cell"]}})["code"]

    def found(**query):
        return [d["code"] for d in aa.items("/v1/report-duties", **{"code[prefix]": mark, **query})]
    assert found() == [one, two] and found(sort="-code") == [two, one]
    for query, right in (({"cadence": "year"}, [two]), ({"cadence[in]": "year,quarter"}, [one, two]), ({"acceptance": "approval"}, [two]), ({"to": "AA-BTG"}, [one]),
                         ({"campaign": mark}, [one]), ({"indicator": "AA-SUM"}, [one]), ({"valid_on": "2031-06-01"}, [one]), ({"valid_on": "2030-06-01"}, [one, two]),
                         ({"under": "AA-W1"}, [two]), ({"programme": "AA-P"}, [one, two]), ({"q": "chuyen de ho so"}, [one]), ({"code": two}, [two])):
        assert found(**query) == right, query
    assert aa.get("/v1/report-duties", programme="NO-SUCH").status == 422
    assert aa.get("/v1/report-duties", zz="1").status == 400


def test_changes_are_journalled_and_lead_to_the_duty(world, aa, made, cluster):
    duty = made()
    aa.patch(f"/v1/report-duties/{duty['code']}", {"title": "Tên khác"}, "*")
    rows = cluster.query("SELECT action, version, before ->> 'title', after ->> 'title', scope_key, programme_id IS NOT NULL FROM journal WHERE resource_id = %s ORDER BY seq", [duty["id"]])
    key = cluster.query("SELECT scope_key FROM organization WHERE code = 'AA-TU'")[0][0]
    assert rows == [("create", 1, None, "Báo cáo quý", key, True), ("update", 2, "Báo cáo quý", "Tên khác", key, True)]
    assert cluster.query("SELECT tiendo.journal_subject('report_duty', %s, 1)", [duty["id"]]) == [(f"/v1/report-duties/{duty['id']}",)]


def test_the_question_beforehand_and_the_audit_trail_know_a_duty_by_name(world, aa, made):
    duty = made()["code"]

    def ask(who):
        return who.get("/v1/me/permissions", action="report_duty_update", resource=f"report_duty:{duty}").json()
    assert ask(aa)["reason"] == ask(world.at("AA-BTG", "manager"))["reason"] == "granted"
    for who, reason in ((world.at("AA-W1", "manager"), "outside"), (world.at("AA-TU", "viewer"), "role"), (world.at("BB-TU", "manager"), "not_visible")):
        assert ask(who)["reason"] == reason, who
    assert aa.get("/v1/audit-events", resource=f"report_duty:{duty}").status == 200
    assert aa.get("/v1/audit-events", resource="report_duty:NO-SUCH").status == 422
