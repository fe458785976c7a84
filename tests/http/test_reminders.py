"""Reminders: who may urge whom, that none is sent twice, who reads them, and those that go out by themselves."""
import itertools
import uuid

import pytest
from harness import samples
from harness.crowd import together, wait_for
from harness.owed import act, owe
from harness.service import Service
from harness.world import Caller

DAY = 86400  # the run begins on 2026-11-21
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def second(cluster, directory, clock, world):
    """Another process on the same database, with a background of its own."""
    made = Service(cluster, directory, clock, seal_interval_ms=20, quick_statement_timeout_ms=10000, issuer=world.service.env["TIENDO_ISSUER"]).start()
    yield made
    made.assert_clean(made.stop())


@pytest.fixture
def owed(cluster):
    """Makes duties of both wards, addressed to AA-BTG unless said otherwise: (code, {unit: report})."""
    def make(units=("AA-W1", "AA-W2"), to="AA-BTG", due_on="2026-12-01", **more):
        code = f"NHAC-{next(numbers)}"
        return code, owe(cluster, code, units, to, due_on, **more)
    return make


def urge(who, code, *units, **more):
    return who.post("/v1/reminders", {"duty": code, **({"organizations": list(units)} if units else {}), **more}, [("Idempotency-Key", str(uuid.uuid4()))])


def sent(cluster, reports, kind=None):
    """What has been sent about these reports: (unit, kind, to, days, deadline)."""
    return sorted(cluster.query("""SELECT organization_code, kind, to_code, coalesce(days, 0), due_on::text FROM reminder
        WHERE report_id = ANY (%s::uuid[]) AND coalesce(kind = %s, true) ORDER BY 1, 2""", [list(reports.values()), kind]))


# ---- by hand -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ["reporter", "approver", "manager"])
def test_the_one_a_report_is_addressed_to_urges(world, owed, cluster, role):
    code, reports = owed()
    answer = urge(world.at("AA-BTG", role), code, "AA-W1", message="Đề nghị gửi báo cáo <b>ngay</b>")
    assert (answer.status, answer.json()) == (200, {"sent": 1, "already": 0, "refused": []})
    assert sent(cluster, reports) == [("AA-W1", "manual", "AA-W1", 0, "2026-12-01")]
    read = world.at("AA-W1", "viewer").items("/v1/reminders", report=reports["AA-W1"])
    assert [(r["message"], r["by"], r["to"], r["kind"], r["duty"], r["read"]) for r in read] == [
        ("Đề nghị gửi báo cáo <b>ngay</b>", "AA-BTG", "AA-W1", "manual", code, False)]


@pytest.mark.parametrize("role", ["viewer", "inspector", "administrator"])
def test_a_role_without_the_right_urges_nobody(world, owed, cluster, role):
    code, reports = owed()
    answer = urge(world.at("AA-TU", role), code, "AA-W1")
    assert (answer.status, answer.code) == (403, "forbidden")
    assert not sent(cluster, reports)


def test_a_superior_urges_those_in_its_line_alone(world, owed, cluster):
    code, reports = owed(["AA-W1", "AA-W2", "AA-W1-C1"])
    assert urge(world.at("AA-TU", "reporter"), code, "AA-W1", "AA-W1-C1").json()["sent"] == 2
    assert urge(world.at("AA-W1", "reporter"), code, "AA-W1-C1").json() == {"sent": 1, "already": 0, "refused": []}
    own = urge(world.at("AA-W1", "reporter"), code, "AA-W1")
    assert own.status == 403 and "đôn đốc" in urge_in_vietnamese(world.at("AA-W1", "reporter"), code, "AA-W1").json()["detail"]
    beside = urge(world.at("AA-W1", "reporter"), code, "AA-W2", "KHONG-CO")
    assert beside.status == 422 and [(e["pointer"], e["code"]) for e in beside.json()["errors"]] == [
        ("#/organizations/0", "unknown_reference"), ("#/organizations/1", "unknown_reference")]
    part = urge(world.at("AA-W1", "reporter"), code, "AA-W1", "AA-W1-C1").json()
    assert part == {"sent": 0, "already": 1, "refused": [{"organization": "AA-W1", "why": "forbidden"}]}
    assert not [r for r in sent(cluster, reports) if r[0] == "AA-W2"]


def urge_in_vietnamese(who, code, *units):
    return who.post("/v1/reminders", {"duty": code, "organizations": list(units)}, [("Idempotency-Key", str(uuid.uuid4())), ("Accept-Language", "vi")])


def test_a_mandate_to_remind_reaches_as_far_as_it_says(world, owed):
    """AA-BTG sees both wards by its mandate, which holds read, define and enter: it urges by one to remind, for that programme."""
    code, _ = owed(to="AA-TU")
    btg = world.at("AA-BTG", "approver")
    assert urge(btg, code, "AA-W1").status == 403
    assert urge(btg, code, states=["expected"]).json() == {"sent": 0, "already": 0, "refused": []}
    admin = world.at("AA-TU", "administrator")
    other = world.must(world.at("AA-TU", "manager").post("/v1/programmes", {"code": f"{code}-P", "title": "Khác", "owner": "AA-TU", "scope": "AA-TU"}))
    for programme, status in ((other["code"], 403), ("AA-P", 200)):
        mandate = world.must(admin.post("/v1/mandates", {"unit": "AA-BTG", "over": "AA-W1", "functions": ["remind"], "programme": programme}))
        assert urge(btg, code, "AA-W1").status == status
        assert urge(btg, code, "AA-W2").status == 403
        assert admin.request("DELETE", f"/v1/mandates/{mandate['id']}", None, [("If-Match", "*")]).status in (200, 204)


def test_once_a_day_from_each_seat(world, owed, cluster, moved):
    code, reports = owed()
    for seat, n in (("AA-BTG", 2), ("AA-TU", 2)):
        assert urge(world.at(seat, "reporter"), code, "AA-W1", "AA-W2").json() == {"sent": n, "already": 0, "refused": []}
        assert urge(world.at(seat, "approver"), code, "AA-W1").json() == {"sent": 0, "already": 1, "refused": []}
    moved.move(DAY)
    world.forget()
    assert urge(world.at("AA-BTG", "reporter"), code, states=["expected", "draft"]).json() == {"sent": 2, "already": 0, "refused": []}
    assert len(sent(cluster, reports)) == 6


def test_what_is_refused_is_told_with_why(world, owed, cluster):
    code, reports = owed(["AA-W1", "AA-W2", "AA-W1-C1"])
    act(world.at("AA-W1", "approver"), reports["AA-W1"], "submit")
    act(world.at("AA-BTG", "approver"), reports["AA-W2"], "waive", reason="Không thuộc diện báo cáo")
    answer = urge(world.at("AA-TU", "manager"), code, "AA-W1", "AA-W2", "AA-W1-C1", "AA-W1-C2").json()
    assert answer == {"sent": 1, "already": 0, "refused": [{"organization": "AA-W1", "why": "submitted"}, {"organization": "AA-W2", "why": "waived"},
                                                           {"organization": "AA-W1-C2", "why": "no_report"}]}
    assert [r[0] for r in sent(cluster, reports)] == ["AA-W1-C1"]


def test_all_that_are_late_and_all_that_stand_so(world, owed, cluster, moved):
    code, reports = owed(before=[], after=[], escalate=None)
    btg = world.at("AA-BTG", "approver")
    assert urge(btg, code, late=True).json()["sent"] == 0
    moved.move(11 * DAY)
    world.forget()
    act(world.at("AA-W1", "approver"), reports["AA-W1"], "submit")
    assert urge(world.at("AA-BTG", "approver"), code, late=True).json() == {"sent": 1, "already": 0, "refused": []}
    assert [r[0] for r in sent(cluster, reports)] == ["AA-W2"]
    act(world.at("AA-BTG", "approver"), reports["AA-W1"], "return", reason="Thiếu số liệu")
    assert urge(world.at("AA-BTG", "approver"), code, states=["returned"]).json()["sent"] == 1
    assert [r[0] for r in sent(cluster, reports)] == ["AA-W1", "AA-W2"]


def test_what_is_asked_for_wrongly(world, owed):
    code, _ = owed()
    who = world.at("AA-TU", "manager")
    for more, pointer in (({}, "#/organizations"), ({"late": False}, "#/organizations"), ({"late": True, "states": ["draft"]}, "#/organizations"),
                          ({"duty": "KHONG-CO", "late": True}, "#/duty"), ({"period": "2026-Q9", "late": True}, "#/period"),
                          ({"states": ["submitted"]}, "#/states/0"), ({"late": True, "message": "x" * 2001}, "#/message")):
        answer = urge(who, more.pop("duty", code), **more)
        assert answer.status == 422 and [e["pointer"] for e in answer.json()["errors"]] == [pointer], answer
    body = {"duty": code, "late": True}
    assert who.post("/v1/reminders", body).status in (400, 422)
    assert urge(who, f"{code}-2", late=True).code == "invalid"


def test_a_period_is_named_where_the_duty_has_many(world, cluster):
    owe(cluster, "NHAC-KY", ["AA-W1"], "AA-BTG", period="2026-Q3", before=[], after=[], escalate=None)
    who = world.at("AA-BTG", "approver")
    assert [e["pointer"] for e in urge(who, "NHAC-KY", late=True).json()["errors"]] == ["#/period"]
    assert urge(who, "NHAC-KY", late=True, period="2026-Q2").json()["sent"] == 0
    assert urge(who, "NHAC-KY", late=True, period="2026-Q3").json()["sent"] == 1
    assert [r["period"] for r in world.at("AA-W1", "viewer").items("/v1/reminders", duty="NHAC-KY")] == ["2026-Q3"]


def test_a_repeated_request_sends_nothing_more(world, owed, cluster):
    code, reports = owed()
    who, key = world.at("AA-BTG", "reporter"), [("Idempotency-Key", str(uuid.uuid4()))]
    first = who.post("/v1/reminders", {"duty": code, "late": False, "states": ["expected"]}, key)
    again = who.post("/v1/reminders", {"duty": code, "late": False, "states": ["expected"]}, key)
    assert again.json() == first.json() == {"sent": 2, "already": 0, "refused": []} and again.header("Idempotency-Replayed") == "true"
    assert len(sent(cluster, reports)) == 2


def test_many_at_once_send_one(world, owed, cluster, second):
    """Eight who urge both wards at the same moment in one seat's name, over two processes."""
    code, reports = owed()
    token = world.at("AA-BTG", "reporter").token
    callers = [Caller(world, token, (second if i % 2 else world.service).http()) for i in range(8)]
    answers = together(callers, lambda who, i: urge(who, code, *[("AA-W1", "AA-W2"), ("AA-W2", "AA-W1")][i // 2 % 2]))
    assert [a.status for a in answers] == [200] * 8
    assert sum(a.json()["sent"] for a in answers) == 2 and sum(a.json()["already"] for a in answers) == 14
    assert len(sent(cluster, reports)) == 2


# ---- who reads them ------------------------------------------------------------------------------------------
def test_who_reads_a_reminder(world, owed, cluster):
    code, reports = owed(["AA-W1", "AA-W1-C1"], copies=["AA-W2"])
    assert urge(world.at("AA-TU", "reporter"), code, "AA-W1-C1").json()["sent"] == 1
    made = world.at("AA-TU", "viewer").items("/v1/reminders", report=reports["AA-W1-C1"])[0]
    for seat in ("AA-TU", "AA-W1", "AA-W1-C1", "AA-BTG", "AA-W1-XD"):
        assert world.at(seat, "viewer").get(f"/v1/reminders/{made['id']}").json() == made, seat
    for seat in ("AA-W2", "BB-W1"):  # beside it, and with a copy of what is submitted at most
        assert world.at(seat, "viewer").get(f"/v1/reminders/{made['id']}").status == 404
        assert not [r for r in world.at(seat, "manager").items("/v1/reminders") if r["report"] in reports.values()]
    tag = world.at("AA-W1", "viewer").get(f"/v1/reminders/{made['id']}").header("ETag")
    assert world.at("AA-W1", "viewer").get(f"/v1/reminders/{made['id']}", [("If-None-Match", tag)]).status == 304


def test_a_recipient_beside_the_line_sees_what_it_sent_alone(world, owed, cluster):
    """AA-W2 gets AA-W1's report, sees nothing else of it, and reads its own reminders and not the superior's."""
    code, reports = owed(["AA-W1"], to="AA-W2")
    assert urge(world.at("AA-TU", "manager"), code, "AA-W1").json()["sent"] == 1
    assert urge(world.at("AA-W2", "reporter"), code, "AA-W1", message="Xin gửi sớm").json() == {"sent": 1, "already": 0, "refused": []}
    assert [r["message"] for r in world.at("AA-W2", "viewer").items("/v1/reminders", report=reports["AA-W1"])] == ["Xin gửi sớm"]
    assert len(world.at("AA-W1", "viewer").items("/v1/reminders", report=reports["AA-W1"])) == 2


def test_the_list_newest_first_with_its_filters(world, owed, cluster, moved):
    code, reports = owed()
    for n in range(3):
        moved.move(n * DAY)
        world.forget()
        assert urge(world.at("AA-BTG", "reporter"), code, states=["expected"], message=f"Lần {n + 1}").json()["sent"] == 2
    ward = world.at("AA-W1", "reporter")
    times = [r["sent_at"] for r in ward.items("/v1/reminders", duty=code)]
    assert len(times) == 3 and times == sorted(times, reverse=True)
    assert [r["sent_at"] for r in ward.items("/v1/reminders", duty=code, limit=1)] == times
    assert len(ward.items("/v1/reminders", **{"sent_at[gte]": times[1], "duty": code})) == 2
    btg = world.at("AA-BTG", "reporter")
    assert len(btg.items("/v1/reminders", duty=code)) == 6
    assert {r["organization"] for r in btg.items("/v1/reminders", duty=code, organization="AA-W2")} == {"AA-W2"}
    assert btg.items("/v1/reminders", duty=code, to="AA-BTG") == [] == btg.items("/v1/reminders", duty=code, unread="true")
    assert len(btg.items("/v1/reminders", duty=code, to="AA-W2")) == 3 and len(btg.items("/v1/reminders", duty=code, unread="false")) == 6
    assert ward.items("/v1/reminders", duty=code, kind="escalation") == [] and len(ward.items("/v1/reminders", duty=code, kind="manual")) == 3
    first = ward.items("/v1/reminders", duty=code)[0]["id"]
    assert ward.put(f"/v1/me/tasks/reminder.{first}/read", None).status == 204
    assert len(ward.items("/v1/reminders", duty=code, unread="true")) == 2 and len(world.at("AA-W1", "viewer").items("/v1/reminders", duty=code, unread="true")) == 3
    assert [r["id"] for r in ward.items("/v1/reminders", duty=code, unread="false")] == [first]
    counted = btg.get("/v1/reminders", [("Prefer", "count=exact")], duty=code, limit=2).json()
    assert counted["page"]["total"] == 6 and len(counted["items"]) == 2
    assert ward.get("/v1/reminders", duty="KHONG-CO").status == 422 and ward.get("/v1/reminders", organization="AA-W2").status == 422
    assert ward.get("/v1/reminders", kinds="manual").status == 400


def test_many_and_few_are_listed_alike(world, owed, cluster):
    """AA-TU sees thousands and AA-W2 a few: each finds all of its own, newest first, over all pages, with the same filters."""
    many, few = owed(["AA-W1"])[1]["AA-W1"], owed(["AA-W2"])[1]["AA-W2"]
    for report, n in ((many, 2100), (few, 30)):
        cluster.query("""INSERT INTO reminder (id, report_id, duty_id, programme_id, organization_id, organization_code, scope_key, kind, to_id, to_code, days,
              due_on, sent_at)
            SELECT uuid_v7(), r.id, r.duty_id, r.programme_id, r.organization_id, r.organization_code, r.scope_key, 'before', r.organization_id,
              r.organization_code, n, r.due_on, clock_now() - n * interval '1 minute'
            FROM report r, generate_series(100, 99 + %s) n WHERE r.id = %s""", [n, report])
    for who in (world.at("AA-TU", "viewer"), world.at("AA-W2", "viewer")):
        listed = who.items("/v1/reminders", report=few, limit=7)
        assert [r["days"] for r in listed] == list(range(100, 130)) and listed == who.items("/v1/reminders", report=few, organization="AA-W2")
        everything = [r["sent_at"] for r in who.items("/v1/reminders", limit=1000)]
        assert everything == sorted(everything, reverse=True) and len(everything) >= 30
    assert len(world.at("AA-TU", "viewer").items("/v1/reminders", report=many, limit=1000)) == 2100
    assert len(world.at("AA-W2", "viewer").items("/v1/reminders", report=few, unread="true")) == 30
    assert world.at("AA-W2", "viewer").items("/v1/reminders", report=many) == []


def test_the_journal_names_who_urged_and_the_system(world, owed, cluster, moved):
    code, reports = owed(["AA-W1"])
    urge(world.at("AA-BTG", "reporter"), code, "AA-W1")
    moved.move(8 * DAY)
    wait_for(lambda: len(sent(cluster, reports)) == 2)
    actors = cluster.query("""SELECT m.kind, a.username, j.after ->> 'to' FROM journal j JOIN reminder m ON m.id = j.resource_id AND j.resource_type = 'reminder'
        LEFT JOIN account a ON a.id = j.account_id WHERE m.report_id = %s ORDER BY 1""", [reports["AA-W1"]])
    assert actors == [("before", None, "AA-W1"), ("manual", "aa-btg.reporter", "AA-W1")]


# ---- by themselves -------------------------------------------------------------------------------------------
def test_before_and_after_the_deadline_and_to_the_unit_above(world, owed, cluster, moved, second):
    """Each once, with two processes, whatever the clock does."""
    _, reports = owed(["AA-W1"])
    report = {"AA-W1": reports["AA-W1"]}
    expected = []
    for days, new in ((6, []), (7, [("before", "AA-W1", 3)]), (8, []), (10, []), (11, [("after", "AA-W1", 1)]), (9, []), (12, []),
                      (17, [("after", "AA-W1", 7), ("escalation", "AA-TU", 7)]), (7, []), (40, [])):
        moved.move(days * DAY)
        expected += [("AA-W1", kind, to, n, "2026-12-01") for kind, to, n in new]
        quiet(cluster)
        assert sent(cluster, report) == sorted(expected), days
    world.forget()
    assert [r["kind"] for r in world.at("AA-TU", "viewer").items("/v1/reminders", report=reports["AA-W1"], to="AA-TU")] == ["escalation"]
    assert world.at("AA-W1", "viewer").items("/v1/reminders", report=reports["AA-W1"], to="AA-W1")[0]["by"] is None


def quiet(cluster):
    """Until nothing falls due any more; then whoever looked at the same moment is done too."""
    wait_for(lambda: not cluster.query("SELECT 1 FROM reminder_next WHERE day <= today()"))


def test_after_a_standstill_the_latest_alone(world, owed, cluster, moved):
    _, reports = owed(["AA-W1"], before=[1, 3, 5], after=[1, 2, 7], escalate=30)
    moved.move(14 * DAY)
    quiet(cluster)
    assert sent(cluster, reports) == [("AA-W1", "after", "AA-W1", 2, "2026-12-01")]


def test_a_reminder_of_before_is_not_sent_afterwards(world, owed, cluster, moved):
    _, reports = owed(["AA-W1"], after=[5], escalate=None)
    moved.move(12 * DAY)
    quiet(cluster)
    assert sent(cluster, reports) == []
    moved.move(15 * DAY)
    quiet(cluster)
    assert sent(cluster, reports) == [("AA-W1", "after", "AA-W1", 5, "2026-12-01")]


def test_an_extended_deadline_has_reminders_of_its_own(world, owed, cluster, moved):
    _, reports = owed(["AA-W1"])
    moved.move(7 * DAY)
    world.forget()
    quiet(cluster)
    act(world.at("AA-BTG", "approver"), reports["AA-W1"], "extend", due_on="2026-12-10", reason="Chờ số liệu quý")
    moved.move(13 * DAY)
    quiet(cluster)
    assert [(r[1], r[4]) for r in sent(cluster, reports)] == [("before", "2026-12-01")]
    moved.move(17 * DAY)
    quiet(cluster)
    assert [(r[1], r[4]) for r in sent(cluster, reports)] == [("before", "2026-12-01"), ("before", "2026-12-10")]


def test_only_open_reports_are_reminded_of(world, owed, cluster, moved):
    _, reports = owed(["AA-W1", "AA-W2", "AA-W1-C1"])
    act(world.at("AA-W1", "approver"), reports["AA-W1"], "submit")
    act(world.at("AA-BTG", "approver"), reports["AA-W2"], "waive", reason="Không thuộc diện báo cáo")
    moved.move(7 * DAY)
    world.forget()
    quiet(cluster)
    assert [r[0] for r in sent(cluster, reports)] == ["AA-W1-C1"]
    # returned after the deadline: what fell due while it lay with the recipient is not sent for that
    moved.move(30 * DAY)
    world.forget()
    quiet(cluster)
    act(world.at("AA-BTG", "approver"), reports["AA-W1"], "return", reason="Thiếu số liệu")
    quiet(cluster)
    assert not [r for r in sent(cluster, reports) if r[0] == "AA-W1"]


def test_a_duty_that_reminds_on_other_days(world, owed, cluster, moved):
    code, reports = owed(["AA-W1"], before=[], after=[], escalate=None)
    moved.move(7 * DAY)
    quiet(cluster)
    assert sent(cluster, reports) == []
    cluster.query("UPDATE report_duty SET remind_before = '{2}', escalate_after = 1 WHERE code = %s", [code])
    moved.move(8 * DAY)
    quiet(cluster)
    assert sent(cluster, reports) == [("AA-W1", "before", "AA-W1", 2, "2026-12-01")]
    moved.move(11 * DAY)
    quiet(cluster)
    assert sent(cluster, reports, "escalation") == [("AA-W1", "escalation", "AA-TU", 1, "2026-12-01")]


def test_a_unit_that_moves_takes_its_reminders_along(world, owed):
    """The cell moves to the other ward: who is above it now reads what was sent, and who was above it no longer."""
    manager = world.at("AA-TU", "manager")
    cell = samples.fresh("CB")
    world.unit(manager, cell, "Chi bộ chuyển", "party_cell", "AA-W1")
    code, reports = owed([cell], to="AA-TU")
    assert urge(manager, code, cell).json()["sent"] == 1
    assert len(world.at("AA-W1", "viewer").items("/v1/reminders", report=reports[cell])) == 1
    world.must(manager.post("/v1/reorganizations", {"decision": f"{cell}-QĐ/TU", "effective_on": "2026-11-01", "steps": [
        {"kind": "move", "organization": cell, "parent": "AA-W2"}]}))
    assert len(world.at("AA-W2", "viewer").items("/v1/reminders", report=reports[cell])) == 1
    assert world.at("AA-W1", "viewer").items("/v1/reminders", report=reports[cell]) == []
