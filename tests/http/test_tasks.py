"""The tasks of a person: what is to be entered, written, written again, accepted; whose task it is, in which order, and what has been read."""
import itertools
import uuid

import pytest
from harness import samples
from harness.owed import act, new_id, owe

DAY = 86400  # the run begins on 2026-11-21
PERIOD = "2026-Q3"  # the last quarter that has ended
numbers = itertools.count(1)


@pytest.fixture
def owed(cluster):
    def make(units=("AA-W1", "AA-W2"), to="AA-BTG", due_on="2026-12-01", **more):
        code = f"VIEC-{next(numbers)}"
        return code, owe(cluster, code, units, to, due_on, **more)
    return make


def tasks(who, *kinds, **query):
    return who.items("/v1/me/tasks", **({"kind[in]": ",".join(kinds)} if kinds else {}), **query)


def of(who, report, **query):
    """(kind, read) of the tasks about a report."""
    return [(t["kind"], t["read"]) for t in tasks(who, **query) if t["report"] == report]


def mark(who, task, read=True):
    return who.request("PUT" if read else "DELETE", f"/v1/me/tasks/{task}/read", None)


# ---- writing and accepting -----------------------------------------------------------------------------------
def test_the_way_of_a_report_through_two_lists(world, owed):
    """Due, submitted, to review, returned with reasons, submitted again, approved, opened again: each a task of whoever is to act."""
    code, reports = owed()
    report, ward, btg = reports["AA-W1"], world.at("AA-W1", "approver"), world.at("AA-BTG", "approver")
    assert of(ward, report) == [("due", False)] and of(btg, report) == []
    due = next(t for t in tasks(ward, "due") if t["report"] == report)
    assert due == {"id": due["id"], "kind": "due", "title": f"Báo cáo {code}", "organization": "AA-W1", "organization_name": "Đảng ủy phường Hòa Bình",
                   "programme": "AA-P", "duty": code, "period": None, "report": report, "campaign": None, "phase": None, "due_on": "2026-12-01", "late": False,
                   "missing": None,
                   "reason": None, "reasons": None, "since": due["since"], "read": False,
                   "links": {"open": f"/v1/reports/{report}", "read": f"/v1/me/tasks/{due['id']}/read"}}
    act(ward, report, "submit")
    assert of(ward, report) == [] and of(btg, report) == [("review", False)]
    first = next(t["id"] for t in tasks(btg, "review") if t["report"] == report)
    assert mark(btg, first).status == 204 and of(btg, report) == [("review", True)]
    act(btg, report, "return", reason="Số liệu chưa khớp")
    back = next(t for t in tasks(ward) if t["report"] == report)
    assert (back["kind"], back["reason"], back["reasons"], back["read"]) == ("returned", "Số liệu chưa khớp", None, False)
    assert mark(ward, back["id"]).status == 204
    act(ward, report, "submit")
    again = next(t for t in tasks(btg, "review") if t["report"] == report)
    assert again["id"] != first and not again["read"], "a new submission is a new task"
    act(btg, report, "return", reason="Vẫn chưa khớp")
    twice = next(t for t in tasks(ward, "returned") if t["report"] == report)
    assert twice["id"] != back["id"] and not twice["read"] and twice["reason"] == "Vẫn chưa khớp"
    act(ward, report, "submit")
    act(btg, report, "approve")
    assert of(ward, report) == [] == of(btg, report)
    act(btg, report, "amend", reason="Đính chính theo kiểm tra")
    assert [(t["kind"], t["reason"]) for t in tasks(ward) if t["report"] == report] == [("amend", "Đính chính theo kiểm tra")]


def test_a_report_asked_back_is_the_recipients_task(world, owed):
    _, reports = owed(["AA-W1"])
    report, ward, btg = reports["AA-W1"], world.at("AA-W1", "approver"), world.at("AA-BTG", "approver")
    act(ward, report, "submit")
    act(btg, report, "receive")
    assert of(btg, report) == []
    act(ward, report, "request-return", reason="Sót một chi bộ")
    asked = [t for t in tasks(btg, "return_requested") if t["report"] == report]
    assert [(t["reason"], t["read"]) for t in asked] == [("Sót một chi bộ", False)]
    act(btg, report, "return", reason="Theo đề nghị")
    assert of(btg, report) == [] and of(ward, report) == [("returned", False)]


def test_nobody_is_to_accept_what_they_submitted(world, owed):
    """One account, approver in the ward and in AA-BTG: what it sent as the ward is the task of the others in AA-BTG."""
    admin = world.at("AA-TU", "administrator")
    name = samples.fresh("hai.vai").lower()
    made = world.account(admin, name, ("AA-W1", "approver"), ("AA-BTG", "approver"))
    grants = {g["organization"]["code"]: g["id"] for g in made["grants"]}
    _, reports = owed(["AA-W1"])
    act(world.as_(name, grants["AA-W1"]), reports["AA-W1"], "submit")
    assert of(world.as_(name, grants["AA-BTG"]), reports["AA-W1"]) == []
    assert of(world.at("AA-BTG", "approver"), reports["AA-W1"]) == [("review", False)]


def test_a_mandate_to_review_brings_what_is_addressed_to_its_unit(world, owed):
    _, reports = owed(["AA-W1"], to="AA-TU")
    act(world.at("AA-W1", "approver"), reports["AA-W1"], "submit")
    btg, admin = world.at("AA-BTG", "approver"), world.at("AA-TU", "administrator")
    assert of(btg, reports["AA-W1"]) == [] and of(world.at("AA-TU", "approver"), reports["AA-W1"]) == [("review", False)]
    mandate = world.must(admin.post("/v1/mandates", {"unit": "AA-BTG", "over": "AA-TU", "functions": ["review"], "programme": "AA-P"}))
    assert of(btg, reports["AA-W1"]) == [("review", False)]
    assert admin.request("DELETE", f"/v1/mandates/{mandate['id']}", None, [("If-Match", "*")]).status in (200, 204)
    assert of(btg, reports["AA-W1"]) == []


def test_without_acceptance_nobody_has_to_review(world, owed):
    _, reports = owed(["AA-W1"], acceptance="none")
    act(world.at("AA-W1", "approver"), reports["AA-W1"], "submit")
    assert of(world.at("AA-BTG", "approver"), reports["AA-W1"]) == []


@pytest.mark.parametrize("role,kinds", [("viewer", {"reminder"}), ("inspector", {"reminder"}), ("administrator", {"reminder"}),
                                        ("reporter", {"reminder", "due"}), ("manager", {"reminder", "due"}), ("approver", {"reminder", "due", "review"})])
def test_each_role_has_its_own(world, cluster, owed, role, kinds):
    """Seen from AA-TU: a report of its own, one submitted to it, and a reminder."""
    _, reports = owed(["AA-TU"])
    _, others = owed(["AA-W2"], to="AA-TU")
    act(world.at("AA-W2", "approver"), others["AA-W2"], "submit")
    cluster.query("""INSERT INTO reminder (id, report_id, duty_id, programme_id, organization_id, organization_code, scope_key, kind, to_id, to_code, days, due_on)
        SELECT %s, r.id, r.duty_id, r.programme_id, r.organization_id, r.organization_code, r.scope_key, 'before', r.organization_id, r.organization_code, 3, r.due_on
        FROM report r WHERE r.id = %s""", [new_id(), reports["AA-TU"]])
    mine = {reports["AA-TU"], others["AA-W2"]}
    assert {t["kind"] for t in tasks(world.at("AA-TU", role)) if t["report"] in mine} == kinds


def test_a_client_has_none(world, owed):
    owed()
    assert tasks(world.connector("aa")) == []


def test_far_deadlines_come_when_they_are_near(world, owed, moved):
    _, reports = owed(["AA-W1"], due_on="2027-01-15")
    assert of(world.at("AA-W1", "reporter"), reports["AA-W1"]) == []
    moved.move(24 * DAY)
    world.forget()
    assert of(world.at("AA-W1", "reporter"), reports["AA-W1"]) == [("due", False)]


def test_what_is_late_stands_on_top(world, owed, moved):
    for due in ("2026-12-03", "2026-11-25", "2026-12-01", "2026-11-23"):
        owed(["AA-W2"], due_on=due)
    moved.move(5 * DAY)
    world.forget()
    who = world.at("AA-W2", "reporter")
    listed = tasks(who, "due")
    assert [t["due_on"] for t in listed] == sorted(t["due_on"] for t in listed)
    assert [t["late"] for t in listed] == [t["due_on"] < "2026-11-26" for t in listed] and listed[0]["late"]
    assert tasks(who, "due", limit=1) == listed, "page after page the same"
    assert tasks(who, "due", late="true") == [t for t in listed if t["late"]]
    assert who.get("/v1/me/tasks", late="false", kind="due", fields="due_on", limit=1).json()["items"][0]["due_on"] > "2026-11-25"
    counted = who.get("/v1/me/tasks", [("Prefer", "count=exact")], kind="due", limit=1).json()["page"]["total"]
    assert counted == len(listed)


def test_an_extended_report_is_a_new_task(world, owed):
    _, reports = owed(["AA-W1"])
    who = world.at("AA-W1", "reporter")
    first = next(t for t in tasks(who) if t["report"] == reports["AA-W1"])
    assert mark(who, first["id"]).status == 204 and of(who, reports["AA-W1"]) == [("due", True)]
    act(world.at("AA-BTG", "approver"), reports["AA-W1"], "extend", due_on="2026-12-09", reason="Chờ số liệu quý")
    put_off = next(t for t in tasks(who) if t["report"] == reports["AA-W1"])
    assert put_off["id"] != first["id"] and not put_off["read"] and put_off["due_on"] == "2026-12-09"


# ---- read ----------------------------------------------------------------------------------------------------
def test_what_is_read_is_so_for_one_account(world, owed):
    _, reports = owed(["AA-W1"])
    report, one, other = reports["AA-W1"], world.at("AA-W1", "reporter"), world.at("AA-W1", "approver")
    task = next(t["id"] for t in tasks(one) if t["report"] == report)
    assert mark(one, task).status == mark(one, task).status == 204
    assert of(one, report) == [("due", True)] and of(other, report) == [("due", False)]
    assert of(one, report, unread="true") == [] and of(one, report, unread="false") == [("due", True)]
    assert mark(one, task, read=False).status == mark(one, task, read=False).status == 204
    assert of(one, report, unread="true") == [("due", False)]


@pytest.mark.parametrize("task", ["due.{report}.20261201", "due.{report}.20261202", "review.{report}.0", "reminder.{new}", "enter.{new}.{new}.{new}", "x", "due", "a.b.c"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_another_ones_task_is_none(world, owed, method, task):
    _, reports = owed(["AA-W1"])
    name = task.format(report=reports["AA-W1"], new=new_id())
    assert world.at("AA-W2", "reporter").request(method, f"/v1/me/tasks/{name}/read", None).status == 404
    assert world.at("AA-W1", "viewer").request(method, f"/v1/me/tasks/{name}/read", None).status == 404


def test_marks_go_with_what_they_are_about(world, owed, cluster):
    _, reports = owed(["AA-W1"])
    report, ward, btg = reports["AA-W1"], world.at("AA-W1", "approver"), world.at("AA-BTG", "approver")

    def marks():
        return [t for t, in cluster.query("SELECT task FROM task_read WHERE thing_id = %s ORDER BY 1", [report])]
    assert mark(ward, tasks_of(ward, report)[0]).status == 204 and len(marks()) == 1
    ward.patch(f"/v1/reports/{report}", {"number": "12-BC/ĐU"}, "*")
    assert marks() == [tasks_of(ward, report)[0]], "begun, it is still due"
    act(ward, report, "submit")
    assert marks() == []
    assert mark(btg, tasks_of(btg, report)[0]).status == 204
    act(ward, report, "request-return", reason="Sót một chi bộ")
    assert [m.split(".")[0] for m in marks()] == ["review"]
    act(btg, report, "return", reason="Theo đề nghị")
    assert marks() == []


def tasks_of(who, report):
    return [t["id"] for t in tasks(who) if t["report"] == report]


# ---- reminders -----------------------------------------------------------------------------------------------
def test_a_reminder_is_a_task_until_it_is_read_or_done(world, owed, moved):
    code, reports = owed(["AA-W1"])
    report = reports["AA-W1"]
    for n in range(2):
        moved.move(n * DAY)
        world.forget()
        sent = world.at("AA-BTG", "reporter").post("/v1/reminders", {"duty": code, "organizations": ["AA-W1"], "message": f"Nhắc lần {n + 1}"},
                                                   [("Idempotency-Key", str(uuid.uuid4()))])
        assert sent.json()["sent"] == 1
    viewer, approver = world.at("AA-W1", "viewer"), world.at("AA-W1", "approver")
    found = [t for t in tasks(viewer) if t["report"] == report]
    assert [(t["kind"], t["reason"]) for t in found] == [("reminder", "Nhắc lần 2")], "the latest alone"
    assert viewer.get(found[0]["links"]["open"]).json()["message"] == "Nhắc lần 2"
    assert viewer.put(found[0]["links"]["read"], None).status == viewer.put(found[0]["links"]["read"], None).status == 204
    assert of(viewer, report) == [] and viewer.get(found[0]["links"]["open"]).json()["read"]
    assert viewer.request("DELETE", found[0]["links"]["read"], None).status == 204 and of(viewer, report) == [("reminder", False)]
    assert sorted(of(approver, report)) == [("due", False), ("reminder", False)]
    act(approver, report, "submit")
    assert of(viewer, report) == [] == of(approver, report)


# ---- values --------------------------------------------------------------------------------------------------
def missing(who, unit, period=PERIOD):
    return [(t["programme"], t["missing"]) for t in tasks(who, "enter") if (t["organization"], t["period"]) == (unit, period)]


def test_values_still_missing(world):
    """AA-W1 reports AA-SUM and AA-MILE for itself, and enters AA-RATIO and AA-SUM for its cells."""
    who = world.at("AA-W1", "reporter")
    assert missing(who, "AA-W1") == [("AA-P", 2)] and missing(who, "AA-W1-C1") == [("AA-P", 2)]
    task = next(t for t in tasks(who, "enter") if t["organization"] == "AA-W1")
    assert (task["title"], task["duty"], task["report"], task["since"], task["links"]["open"]) == (
        "Kế hoạch chuyển đổi số AA", None, None, None, f"/v1/values/sheet?organization=AA-W1&period={PERIOD}&programme=AA-P")
    sheet = who.get(task["links"]["open"]).json()["items"]
    assert sum(row["state"] is None and not row["on_behalf"] for row in sheet) == task["missing"]
    assert mark(who, task["id"]).status == 204
    world.must(who.enter("AA-SUM", "AA-W1", PERIOD, {"number": 3}))
    assert missing(who, "AA-W1") == [("AA-P", 1)]
    assert [t["read"] for t in tasks(who, "enter") if t["organization"] == "AA-W1"] == [True]
    world.must(who.enter("AA-MILE", "AA-W1", PERIOD, {"state": "not_applicable"}))
    assert missing(who, "AA-W1") == [] and missing(world.at("AA-W1", "viewer"), "AA-W1-C1") == []


def test_marks_of_values_that_are_in_go_with_the_next(world, cluster):
    who = world.at("AA-W2", "reporter")
    task = next(t for t in tasks(who, "enter") if t["organization"] == "AA-W2")
    assert mark(who, task["id"]).status == 204
    for indicator, value in (("AA-SUM", {"number": 3}), ("AA-MILE", {"state": "not_applicable"})):
        world.must(who.enter(indicator, "AA-W2", PERIOD, value))
    cell = next(t for t in tasks(who, "enter") if t["organization"] == "AA-W2-C1")
    assert mark(who, cell["id"]).status == 204
    assert cluster.query("SELECT t.task FROM task_read t JOIN account a ON a.id = t.account_id WHERE a.username = 'aa-w2.reporter' AND t.task LIKE 'enter.%%'") == [
        (cell["id"],)]


def test_what_a_superior_enters_falls_to_the_nearest_one_with_staff(world, owed, moved):
    """The cells of AA-W1 are entered for by the ward, which has staff: not by AA-TU. When the ward's people are gone, they are."""
    units = {t["organization"] for t in tasks(world.at("AA-TU", "reporter"), "enter")}
    assert not {u for u in units if u.startswith("AA-W")}
    _, reports = owed(["AA-W1-C2"], to="AA-TU", entered_by="superior")
    assert of(world.at("AA-W1", "reporter"), reports["AA-W1-C2"]) == [("due", False)]
    assert of(world.at("AA-TU", "reporter"), reports["AA-W1-C2"]) == []
    admin, manager = world.at("AA-TU", "administrator"), world.at("AA-TU", "manager")
    ward = samples.fresh("W")
    world.unit(manager, ward, "Đảng ủy xã Không Người", "directly_subordinate_party_committee", "AA-TU")
    world.unit(manager, f"{ward}-C", "Chi bộ ấp", "party_cell", ward)
    _, others = owed([f"{ward}-C"], to="AA-TU", entered_by="superior")
    assert of(world.at("AA-TU", "reporter"), others[f"{ward}-C"]) == [("due", False)]
    assert f"{ward}-C" in {t["organization"] for t in tasks(world.at("AA-TU", "reporter"), "enter")}
    world.account(admin, f"{ward}.reporter".lower(), (ward, "reporter"))
    assert of(world.at("AA-TU", "reporter"), others[f"{ward}-C"]) == []
    assert of(world.at(ward, "reporter"), others[f"{ward}-C"]) == [("due", False)]


def test_values_attached_to_an_open_report_are_wanted_with_it(world, owed, moved):
    """The decree's cut-off is the 14th: from the 7th on the quarter that still runs is asked for, with the report's deadline."""
    who = world.at("AA-W1", "reporter")
    _, reports = owed(["AA-W1"], period="2026-Q4", due_on=None, indicators=["AA-SUM"])
    assert missing(who, "AA-W1", "2026-Q4") == []
    moved.move(17 * DAY)
    world.forget()
    who = world.at("AA-W1", "approver")
    assert missing(who, "AA-W1", "2026-Q4") == [("AA-P", 1)]
    task = next(t for t in tasks(who, "enter") if (t["organization"], t["period"]) == ("AA-W1", "2026-Q4"))
    assert task["due_on"] == who.get(f"/v1/reports/{reports['AA-W1']}").json()["due_on"] > "2026-12-14"
    world.must(who.enter("AA-SUM", "AA-W1", "2026-Q4", {"number": 4}))
    assert missing(who, "AA-W1", "2026-Q4") == []


def test_an_heir_has_what_its_predecessor_owes(world, owed, cluster):
    manager = world.at("AA-TU", "manager")
    old, new = samples.fresh("CU"), samples.fresh("MOI")
    world.unit(manager, old, "Đảng ủy xã Cũ", "directly_subordinate_party_committee", "AA-TU")
    _, reports = owed([old])
    world.must(manager.post("/v1/reorganizations", {"decision": f"{new}-QĐ/TU", "effective_on": "2026-11-20", "steps": [
        {"kind": "establish", "code": new, "name": "Đảng ủy xã Mới", "unit_kind": "directly_subordinate_party_committee", "parent": "AA-TU"},
        {"kind": "merge", "organizations": [old], "into": new}]}))
    world.account(world.at("AA-TU", "administrator"), f"{new}.reporter".lower(), (new, "reporter"))
    heir = world.at(new, "reporter")
    assert {t["organization"] for t in tasks(heir, "enter")} >= {old}
    state = cluster.query("SELECT state FROM report WHERE id = %s", [reports[old]])
    assert of(heir, reports[old]) == [("due", False)] or state != [("expected",)]
