"""Reports from their draft to their acceptance and back: what is asked, who does it, what is seen of it and what stays."""
import pytest
from harness import reports
from harness.crowd import together, wait_for
from harness.reports import PERIOD, REASON, Report
from harness.samples import fresh


@pytest.fixture
def report(world):
    """A report of AA-W1 to AA-BTG that nobody has touched."""
    return Report(world, reports.duty(world)["code"])


@pytest.fixture
def approval(world):
    return Report(world, reports.duty(world, acceptance="approval")["code"])


# ---- the draft ------------------------------------------------------------------------------------------------
def test_a_draft_is_written_section_by_section_and_read_with_live_figures(world, report):
    first = report.read()
    assert first["state"] == "expected" and first["view"] == "draft" and [s["code"] for s in first["sections"]] == ["results", "next"]
    assert first["period_name"] == "Quý I năm 2026" and first["recipient"]["code"] == "AA-BTG"
    report.write("Kết quả")
    after = world.must(report.do("edit", {"sections": [{"code": "next", "text": "Việc tiếp theo"}], "number": "123-BC/ĐU", "issued_on": "2026-03-16"}), 200)
    assert [s["text"] for s in after["sections"]] == ["Kết quả", "Việc tiếp theo"] and after["state"] == "draft" and after["number"] == "123-BC/ĐU"
    assert report.read()["figures"][0]["state"] == "missing"
    report.enter(7)
    assert [(f["indicator"], f["number"], f["state"]) for f in report.read()["figures"]] == [(report.indicators[0], 7, "reported")]
    emptied = world.must(report.do("edit", {"sections": [{"code": "next", "text": None}]}), 200)
    assert [s["text"] for s in emptied["sections"]] == ["Kết quả", None]


def test_a_draft_is_seen_in_its_own_unit_alone(world, report):
    report.write("Bí mật của dự thảo")
    for seat in ("AA-TU", "AA-BTG", "AA-W1-XD"):
        seen = report.read(world.at(seat, "approver"))
        assert seen["view"] == "none" and seen["sections"] == [] and seen["figures"] == [] and seen["state"] == "draft"
        assert world.at(seat, "approver").get(report.path, view="draft").status == 404
    assert report.read(world.at("AA-W1", "viewer"))["view"] == "draft"
    for seat in ("AA-W2", "AA-W1-C1", "BB-TU"):
        assert world.at(seat, "manager").get(report.path).status == 404


def test_the_number_of_a_draft_is_the_draft_s(world, report):
    report.write(number="77-BC/ĐU", issued_on="2026-06-15")
    reader = world.at("AA-BTG", "viewer")
    assert report.read(reader)["number"] is None and report.read()["number"] == "77-BC/ĐU"
    assert [i["number"] for i in reader.items("/v1/reports", duty=report.duty, organization="AA-W1", period=PERIOD)] == [None]
    report.submit()
    report.must("return", REASON, by=report.reviewer)
    report.write(number="78-BC/ĐU")
    assert report.read(reader)["number"] == "77-BC/ĐU" and report.read()["number"] == "78-BC/ĐU"
    assert [i["number"] for i in reader.items("/v1/reports", duty=report.duty, organization="AA-W1", period=PERIOD)] == ["77-BC/ĐU"]
    assert "78-BC" not in world.at("AA-TU", "inspector").get("/v1/audit-events", resource=f"report:{report.id}", embed="before,after").text


def test_every_fault_of_a_draft_is_told(report):
    answer = report.do("edit", {"sections": [{"code": "results", "text": "x" * 2001}, {"code": "nowhere", "text": "x"}, {"code": "nowhere", "text": "y"}]})
    assert answer.status == 422
    assert {("#/sections/0/text", "too_long"), ("#/sections/1/code", "unknown_reference"), ("#/sections/2/code", "repeated")} <= set(answer.faults())


def test_nothing_classified_is_taken(world, report):
    assert report.read()["classification"] == "unclassified"
    assert world.must(report.do("edit", {"classification": "unclassified"}), 200)["classification"] == "unclassified"
    for word in ("secret", "mật", None):
        answer = report.do("edit", {"classification": word})
        assert answer.status == 422 and "#/classification" in answer.pointers(), answer


def test_a_report_s_sections_have_a_limit_together(world):
    sections = [{"code": f"s{n}", "title": f"Mục {n}", "required": False, "max_length": 100000} for n in range(12)]
    report = Report(world, reports.duty(world, sections=sections, indicators=[])["code"])
    for n in range(10):
        world.must(report.do("edit", {"sections": [{"code": f"s{n}", "text": "á" * 100000}]}), 200)
    answer = report.do("edit", {"sections": [{"code": "s10", "text": "á"}]})
    assert answer.status == 422 and answer.faults() == {("#/sections", "too_long")} or list(answer.faults()) == [("#/sections", "too_long")], answer
    world.must(report.do("edit", {"sections": [{"code": "s0", "text": "á"}, {"code": "s10", "text": "á"}]}), 200)
    assert len(report.author.get(report.path).body) > 1_800_000


def test_a_write_needs_the_version_it_replaces(report):
    assert report.do("edit", {"number": "1-BC/ĐU"}, match=None).status == 428
    report.write()
    assert report.do("edit", {"number": "1-BC/ĐU"}, match='"1"').status == 412
    tag = report.author.get(report.path).etag
    assert report.do("edit", {"number": "1-BC/ĐU"}, match=tag).status == 200


def test_the_tag_tells_what_changed_without_the_report(world, report):
    first = report.author.get(report.path)
    assert report.author.get(report.path, [("If-None-Match", first.etag)]).status == 304
    report.enter(11)
    second = report.author.get(report.path, [("If-None-Match", first.etag)])
    assert second.status == 200 and second.json()["version"] == first.json()["version"] and second.etag != first.etag


# ---- submitting -----------------------------------------------------------------------------------------------
def test_what_is_missing_is_told_all_at_once(world, report):
    answer = report.do("submit")
    assert answer.status == 422 and answer.code == "report_incomplete"
    assert set(answer.faults()) == {("#/sections/results", "required"), (f"#/figures/{report.indicators[0]}/{PERIOD}", "missing_value")}
    report.enter()
    assert set(report.do("submit").faults()) == {("#/sections/results", "required")}


def test_a_submission_locks_its_figures_and_keeps_them(world, report):
    done = report.submit()
    assert done["state"] == "submitted" and done["submission"]["n"] == 1 and done["submission"]["submitted_by"] == "AA-W1"
    value = report.value
    had = report.author.get(value)
    assert had.json()["status"] == "locked"
    number = had.json()["number"]
    assert report.author.put(value, {"number": number}, [("If-Match", had.etag)]).status == 200, "the same again changes nothing"
    other = report.author.put(value, {"number": number + 1}, [("If-Match", had.etag)])
    assert other.status == 409 and other.code == "locked" and report.id not in other.text
    rows = [{"indicator": report.indicators[0], "organization": "AA-W1", "period": PERIOD, "number": number + 1},
            {"indicator": report.indicators[0], "organization": "AA-W2", "period": PERIOD, "number": 3}]
    imported = world.connector().post("/v1/values/imports", rows, [("Idempotency-Key", fresh("key"))], mode="partial")
    assert imported.json()["failed"] == 1 and imported.json()["errors"][0]["code"] == "locked" and imported.json()["errors"][0]["row"] == 1
    gone = world.connector().post("/v1/values/imports", [{k: rows[0][k] for k in ("indicator", "organization", "period")}],
                                  [("Idempotency-Key", fresh("key"))], strategy="delete")
    assert gone.status == 422 and gone.json()["errors"][0]["code"] == "locked"
    same = world.connector().post("/v1/values/imports", [{**rows[0], "number": number}], [("Idempotency-Key", fresh("key"))])
    assert same.json()["unchanged"] == 1
    report.must("return", REASON, by=report.reviewer)
    assert report.author.put(value, {"number": number + 1}, [("If-Match", had.etag)]).status == 200
    assert report.read(version=1)["figures"][0]["number"] == number, "what was submitted stays as it was"


def test_author_recipient_and_copies_see_the_submission(world, report):
    made = Report(world, reports.duty(world, copies=["AA-W2"])["code"])
    reader = world.at("AA-W2", "viewer")
    assert reader.get(made.path).status == 404, "a copy is of what was submitted"
    made.submit("Nội dung gửi đi")
    copy = made.read(reader)
    assert copy["view"] == "submitted" and copy["sections"][0]["text"] == "Nội dung gửi đi" and copy["figures"][0]["indicator"] == made.indicators[0]
    assert copy["actions"] == [] and reader.get(made.path + "/history").json()["items"] == []
    assert made.read(world.at("AA-BTG", "viewer"))["sections"] == copy["sections"]
    made.must("return", REASON, by=made.reviewer)
    made.write("Nội dung sửa lại, chưa gửi")
    assert made.read(reader)["sections"][0]["text"] == "Nội dung gửi đi"
    assert made.read(reader)["returned"] is None and made.read()["returned"]["reason"] == REASON["reason"]


def test_only_an_approver_submits(world, report):
    report.enter()
    report.write()
    for role in ("viewer", "reporter", "manager", "administrator", "inspector"):
        assert report.do("submit", by=world.at("AA-W1", role)).status == 403
    assert report.do("submit", by=world.at("AA-TU", "approver")).status == 403, "not even from above"


def test_a_submission_is_recalled_before_it_is_received(world, report):
    report.submit("Bản đầu")
    back = report.must("recall")
    assert back["state"] == "draft" and back["submission"] is None and back["sections"][0]["text"] == "Bản đầu"
    assert report.read(report.reviewer)["view"] == "none"
    assert report.reviewer.get(report.path, version=1).status == 404 and report.read(version=1)["submission"]["recalled_at"]
    assert world.at("AA-BTG", "viewer").get(report.path + "/versions").json()["items"] == []
    again = report.submit("Bản hai")
    assert again["submission"]["n"] == 2
    report.must("receive", by=report.reviewer)
    refused = report.do("recall")
    assert refused.status == 409 and refused.code == "wrong_state"


def test_what_was_sent_keeps_its_heading(world, report):
    report.submit()
    before = report.read()
    manager = world.at("AA-TU", "manager")
    world.must(manager.patch(f"/v1/report-duties/{report.duty}", {"title": "Tên khác hẳn", "copies_outside": ["Báo tỉnh"]}, "*"), 200)
    after = report.read()
    assert [after[k] for k in ("duty_title", "copies_outside", "organization_name", "recipient")] == [
        before[k] for k in ("duty_title", "copies_outside", "organization_name", "recipient")]
    report.must("return", REASON, by=report.reviewer)
    assert report.read()["duty_title"] == "Tên khác hẳn" and report.read(version=1)["duty_title"] == before["duty_title"]


def test_what_is_recalled_is_what_it_was(world, report):
    report.submit()
    report.must("return", REASON, by=report.reviewer)
    report.submit("Bản hai")
    back = report.must("recall")
    assert back["state"] == "returned" and back["returned"]["reason"] == REASON["reason"] and back["late"] is False
    assert back["submission"]["n"] == 1, "the first one stands"
    waived = report.must("waive", REASON, by=report.reviewer)
    assert waived["state"] == "waived" and report.must("reinstate", by=report.reviewer)["state"] == "returned"


# ---- review ---------------------------------------------------------------------------------------------------
def test_a_report_is_returned_with_reasons_and_sent_again(world, report):
    report.submit()
    answer = report.do("return", {"reason": "Chưa đạt", "reasons": [{"section": "x", "reason": "?"}, {"indicator": "AA-RATIO", "reason": "?"}, {"reason": "?"}]},
                       by=report.reviewer)
    assert answer.status == 422 and set(answer.faults()) == {("#/reasons/0/section", "unknown_reference"), ("#/reasons/1/indicator", "unknown_reference"), ("#/reasons/2", "one_of")}
    reasons = [{"section": "results", "reason": "Nêu rõ số hội nghị"}, {"indicator": report.indicators[0], "period": PERIOD, "reason": "Thiếu hai chi bộ"}]
    back = report.must("return", {"reason": "Chưa đạt", "reasons": reasons}, by=report.reviewer)
    assert back["state"] == "returned"
    told = report.read()["returned"]
    assert told["by"] == "AA-BTG" and told["reasons"] == reasons
    sent = report.submit("Đã nêu rõ: 12 hội nghị")
    assert sent["submission"]["n"] == 2 and sent["returned"] is None
    assert [i["n"] for i in report.author.items(report.path + "/versions")] == [1, 2]
    assert [e["action"] for e in report.author.items(report.path + "/history")] == ["edit", "submit", "return", "submit"]


def test_receiving_is_noted_once(world, report):
    report.submit()
    got = report.must("receive", by=report.reviewer)
    assert got["state"] == "received" and got["submission"]["accepted_as"] == "received"
    assert report.do("receive", by=report.reviewer).status == 409
    assert report.do("approve", by=report.reviewer).code == "wrong_state", "a receipt is all this duty asks for"


def test_what_is_approved_is_frozen_until_it_is_opened_again(world, approval):
    approval.submit("Bản được duyệt")
    assert approval.must("approve", by=approval.reviewer)["state"] == "approved"
    assert approval.do("return", REASON, by=approval.reviewer).status == 409
    assert approval.do("edit", {"number": "2-BC/ĐU"}).status == 409
    asked = approval.must("request-return", {"reason": "Nhập nhầm"})
    assert asked["state"] == "approved" and asked["return_requested"]["reason"] == "Nhập nhầm"
    assert approval.do("amend", REASON).status == 403, "who froze it opens it"
    opened = approval.must("amend", REASON, by=approval.reviewer)
    assert opened["state"] == "amending" and opened["return_requested"] is None
    assert approval.read(approval.reviewer)["sections"][0]["text"] == "Bản được duyệt", "what was approved stays shown"
    again = approval.submit("Bản sửa")
    assert again["submission"]["n"] == 2
    approval.must("approve", by=approval.reviewer)
    assert approval.read(version=1)["submission"]["accepted_as"] == "approved"
    assert approval.read(version=2)["submission"]["accepted_as"] == "approved"


def test_where_nobody_accepts_the_author_opens_it_again(world):
    report = Report(world, reports.duty(world, acceptance="none")["code"])
    report.submit()
    assert report.do("receive", by=report.reviewer).code == "wrong_state"
    assert report.do("recall").status == 409
    assert report.must("amend", REASON)["state"] == "amending"


def test_nobody_accepts_their_own_whichever_grant_they_act_by(world, report):
    admin = world.at("AA-TU", "administrator")
    both = world.account(admin, fresh("hai.ghe").lower(), ("AA-W1", "approver"), ("AA-BTG", "approver"))
    grants = {g["organization"]["code"]: g["id"] for g in both["grants"]}
    as_author, as_reviewer = (world.as_(both["username"], grants[unit]) for unit in ("AA-W1", "AA-BTG"))
    report.enter()
    report.write()
    world.must(report.do("submit", by=as_author), 200)
    refused = report.do("receive", by=as_reviewer)
    assert refused.status == 403 and refused.code == "own_submission"
    assert "receive" not in report.read(as_reviewer)["actions"] and "receive" in report.read(report.reviewer)["actions"]
    # nor does one make it punctual, or do without it, oneself: sent back, it is still one's own
    world.must(report.do("return", REASON, by=as_reviewer), 200)
    for action, body in (("extend", {"due_on": "2035-04-01", **REASON}), ("waive", REASON)):
        refused = report.do(action, body, by=as_reviewer)
        assert refused.status == 403 and refused.code == "own_submission", action
        assert action not in report.read(as_reviewer)["actions"] and action in report.read(report.reviewer)["actions"]
        report.must(action, body, by=report.reviewer)


def test_a_delegate_of_the_sender_does_not_accept_for_it(world, approval):
    admin = world.at("AA-TU", "administrator")
    sender = world.account(admin, fresh("gui").lower(), ("AA-W1", "approver"), ("AA-BTG", "approver"))
    grants = {g["organization"]["code"]: g["id"] for g in sender["grants"]}
    helper = world.account(admin, fresh("duoc.uy").lower(), ("AA-BTG", "viewer"))
    given = world.must(world.as_(sender["username"], grants["AA-BTG"]).post("/v1/delegations", {
        "account": helper["username"], "organization": "AA-BTG", "valid_to": "2030-01-01"}))
    approval.enter()
    approval.write()
    world.must(approval.do("submit", by=world.as_(sender["username"], grants["AA-W1"])), 200)
    refused = approval.do("approve", by=world.as_(helper["username"], given["id"]))
    assert refused.status == 403 and refused.code == "own_submission"


def test_two_reviewers_at_once_one_wins_the_other_gets_412(world, caller, approval):
    approval.submit()
    account = world.account(world.at("AA-TU", "administrator"), fresh("duyet").lower(), ("AA-BTG", "approver"))
    version = f'"{approval.read()["version"]}"'
    tokens = [approval.reviewer.token, world.as_(account["username"]).token]
    answers = together([caller(t) for t in tokens], lambda c, n: approval.do(("approve", "return")[n], None if n == 0 else REASON, by=c, match=version))
    assert sorted(a.status for a in answers) == [200, 412], answers


# ---- deadlines ------------------------------------------------------------------------------------------------
def test_the_recipient_puts_a_deadline_off(world, report):
    before = report.read()
    assert report.do("extend", {"due_on": "2020-01-01", **REASON}, by=report.reviewer).status == 422
    after = report.must("extend", {"due_on": "2035-04-01", "reason": "Bão"}, by=report.reviewer)
    assert after["due_on"] == "2035-04-01" and after["first_due_on"] == before["due_on"] and after["extended"] and not after["late"]
    assert report.do("extend", {"due_on": "2036-04-01", **REASON}).status == 403, "not by the author"


def test_a_deadline_put_off_leaves_the_figures_what_they_are(world):
    report = Report(world, reports.duty(world, cadence="once", due_on="2026-12-20")["code"], period=None)
    assert [f["period"] for f in report.read()["figures"]] == ["2026-Q3"]
    report.must("extend", {"due_on": "2027-01-05", "reason": "Bão"}, by=report.reviewer)
    assert [f["period"] for f in report.read()["figures"]] == ["2026-Q3"], "not the quarter that ends meanwhile"


def test_the_recipient_does_without_a_report_and_asks_for_it_again(world, report):
    report.write("Đã viết")
    waived = report.must("waive", REASON, by=report.reviewer)
    assert waived["state"] == "waived" and waived["waived"] == REASON["reason"]
    assert report.do("edit", {"number": "1"}).status == 409
    assert report.must("reinstate", by=report.reviewer)["state"] == "draft"
    assert report.read()["sections"][0]["text"] == "Đã viết"


def test_being_on_time_is_judged_by_the_first_that_was_not_taken_back(world, moved):
    duty = reports.duty(world, valid_from="2026-01-01", indicators=[])
    report = Report(world, duty["code"], period="2026-Q1")
    report.write()
    assert report.read()["late"] is True
    sent = report.must("submit")
    assert sent["submission"]["on_time"] is False and sent["late"] is False


# ---- lists ----------------------------------------------------------------------------------------------------
def test_a_connected_system_sees_drafts_where_it_may_write_them(world, report):
    report.write("Chữ trong dự thảo")
    admin = world.at("AA-TU", "administrator")
    for scopes, view in ((["reports:read"], "none"), (["reports:read", "reports:write"], "draft")):
        name = fresh("may")
        world.client(admin, name, "AA-TU", scopes)
        assert report.read(world.connector(name))["view"] == view


def test_reports_are_listed_by_what_they_are(world, report):
    duty = report.read()["duty"]
    reader = world.at("AA-TU", "viewer")
    mine = reader.items("/v1/reports", duty=duty, period=PERIOD)
    assert [i["organization"] for i in mine] == ["AA-W1", "AA-W2"]
    assert [i["organization"] for i in reader.items("/v1/reports", duty=duty, period=PERIOD, under="AA-W2")] == ["AA-W2"]
    assert reader.items("/v1/reports", duty=duty, state="submitted") == []
    assert {i["late"] for i in reader.items("/v1/reports", duty=duty, overdue="true")} == {True}
    assert world.at("AA-BTG", "viewer").items("/v1/reports", duty=duty, to_me="true") != []
    assert world.at("BB-TU", "manager").items("/v1/reports") == []
    assert world.at("AA-W2", "viewer").items("/v1/reports", duty=duty, organization="AA-W2") != []
    assert world.at("AA-W2", "viewer").get("/v1/reports", organization="AA-W1").status == 422


def test_a_replayed_submission_is_not_a_second_one(world, report):
    report.enter()
    report.write()
    version = f'"{report.read()["version"]}"'
    headers = [("If-Match", version), ("Idempotency-Key", fresh("key"))]
    first = report.author.post(report.path + "/submit", None, headers)
    again = report.author.post(report.path + "/submit", None, headers)
    assert first.status == again.status == 200 and again.header("Idempotency-Replayed") == "true"
    assert report.read()["submissions"] == 1


def test_the_journal_tells_both_sides(world, report):
    report.submit()
    events = [e for e in world.at("AA-TU", "inspector").items("/v1/audit-events", resource=f"report:{report.id}")]
    assert {e["action"] for e in events} >= {"submit"}


def test_the_feed_tells_each_step_once(world, report):
    places = {seat: world.at(seat, "viewer").get("/v1/changes", after="now").json() for seat in ("AA-W1", "AA-BTG", "AA-TU")}
    report.enter()
    report.write()
    report.must("submit")
    report.must("receive", by=report.reviewer)

    def told(seat):
        page = world.at(seat, "viewer").get("/v1/changes", after=places[seat]["page"]["next"], limit=1000).json()
        return [e["data"]["action"] for e in page["items"] if e["data"]["resource_id"] == report.id]
    for seat in places:
        assert wait_for(lambda: told(seat)[-1:] == ["receive"]) and told(seat) == ["edit", "submit", "receive"], (seat, told(seat))
