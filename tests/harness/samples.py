"""A fitting request for any operation of the contract, in the world of world.py."""
import itertools
import re
from datetime import date, timedelta

from . import campaigns, files
from .client import target
from .owed import owe

_numbers = itertools.count(1)

PATHS = {"organization": "AA-W1", "indicator": "AA-RATIO", "period": "2026-Q1", "programme": "AA-P", "file": "swagger-ui.css", "scheme": "statistics", "value": "26041",
         "code": "not_found"}
QUERY = {"of": "core_force", "by": "done", "kind": "party_cell", "action": "values:read", "name": "a.pdf", "organization": "AA-W1", "indicator": "AA-RATIO", "period": "2026-Q1"}


def fresh(prefix="X"):
    return f"{prefix}-{next(_numbers)}"


def one_day():
    """A day to come, another at each call."""
    day = (date(2040, 1, 1) + timedelta(next(_numbers))).isoformat()
    return {"valid_from": day, "valid_to": day}


def path(world, op, **given):
    """The operation's path with its parameters filled in."""
    values = {**PATHS, **({"organization": "AA-W1-C1"} if op.path.startswith("/v1/values/{") else {}), **given}
    if "{grant}" in op.path:
        values.setdefault("grant", world.at("AA-TU", "administrator").get("/v1/grants", account="aa-w1-c1.viewer").json()["items"][0]["id"])
    for kind in ("client", "mandate", "grant"):
        if op.method == "DELETE" and op.path.endswith(f"{{{kind}}}"):  # what is ended is made for it
            values[kind] = world.must(world.at("AA-TU", "administrator").post(f"/v1/{kind}s", body(f"{kind}_create")))["id"]
    if "{subscription}" in op.path or op.id == "calendar_shared":
        mine = world.at("AA-TU", "manager").items("/v1/calendar-subscriptions") if op.id == "calendar_subscription_get" else []
        made = mine[0] if mine else world.must(world.at("AA-TU", "manager").post("/v1/calendar-subscriptions", body("calendar_subscription_create")))
        values.setdefault("subscription", made["id"])
        values.setdefault("secret", made.get("address", "").rsplit("/", 1)[-1])
    if "{account}" in op.path:
        values.setdefault("account", "aa-w1-c1.viewer")
        if op.path.endswith(("/reset", "/sessions")) and op.method != "GET":  # an account nobody else logs in with
            values["account"] = world.account(world.at("AA-TU", "administrator"), fresh("mau").lower(), ("AA-W1", "viewer"))["id"]
    if "{session}" in op.path:
        world.must(world.login("aa-tu.manager"))
        values.setdefault("session", world.at("AA-TU", "manager").items("/v1/me/sessions")[-1]["id"])
    for kind in ("client", "mandate"):
        if f"{{{kind}}}" in op.path:
            values.setdefault(kind, world.at("AA-TU", "administrator").get(f"/v1/{kind}s", limit=1).json()["items"][0]["id"])
    if "{secret}" in op.path and "secret" not in values:
        values.setdefault("secret", world.at("AA-TU", "administrator").get(f"/v1/clients/{values['client']}/secrets").json()["items"][0]["id"])
    if "{delegation}" in op.path:
        values.setdefault("delegation", world.must(world.at("AA-TU", "manager").post("/v1/delegations", body("delegation_create")))["id"])
    if "{reorganization}" in op.path:
        values.setdefault("reorganization", world.must(world.at("AA-TU", "manager").post(
            "/v1/reorganizations", body("reorganization_create")))["id"])
    if "{reminder}" in op.path:
        duty, by = fresh("NHAC"), world.at("AA-TU", "manager")
        report = owe(world.service.cluster, duty, ["AA-W1"], "AA-BTG", "2026-12-01")["AA-W1"]
        world.must(by.post("/v1/reminders", {"duty": duty, "organizations": ["AA-W1"]}, [("Idempotency-Key", duty)]), 200)
        values.setdefault("reminder", by.items("/v1/reminders", report=report)[0]["id"])
    if op.id in ("activity_create", "activity_import"):
        campaigns.known(world)
    if "{activity}" in op.path and "activity" not in values:
        by, more = world.at("AA-TU", "manager"), {}
        if "/proposal/" in op.path:  # a figure that waits, of an indicator of its own
            more = {"organization": "AA-TU", "proposes": {"indicator": world.indicator(by, fresh("DX"), "AA-P", "number")["code"], "period": "2026-Q1", "number": 1}}
            world.assign(by, more["proposes"]["indicator"], organization="AA-TU")
        campaigns.known(world)
        values["activity"] = world.must(by.post("/v1/activities", {**body("activity_create"), **more}))["id"]
    if op.id in ("product_create", "recognition_create"):
        campaigns.known(world)
    if "{product}" in op.path and "product" not in values:
        by = world.at("AA-TU", "manager")
        campaigns.known(world)
        values["product"] = world.must(by.post("/v1/products", body("product_create", "AA-TU")))["id"]
        if op.id == "product_withdraw" or "/reuses" in op.path:
            world.must(by.post(f"/v1/products/{values['product']}/publish", None, [("If-Match", "*")]), 200)
    if "{reuse}" in op.path and "reuse" not in values:
        values["reuse"] = world.must(world.at("AA-TU", "manager").post(f"/v1/products/{values['product']}/reuses", body("product_reuse_create")))["id"]
    if "{recognition}" in op.path and "recognition" not in values:
        campaigns.known(world)
        made = world.must(world.at("AA-TU", "manager").post("/v1/recognitions", body("recognition_create")))["id"]
        values["recognition"] = made
        if op.id in ("recognition_publish", "recognition_withdraw"):
            world.must(world.at("AA-TU", "approver").post(f"/v1/recognitions/{made}/confirm", body("recognition_confirm"), [("If-Match", "*")]), 200)
    if "{report}" in op.path:
        values.setdefault("report", owe(world.service.cluster, fresh("BCM"), ["AA-TU"], "AA-BTG", period="2026-Q4")["AA-TU"])
    if "{task}" in op.path:
        values.setdefault("task", f"due.{owe(world.service.cluster, fresh('VIEC'), ['AA-TU'], 'AA-BTG', '2026-12-01')['AA-TU']}.20261201")
    if "{attachment}" in op.path and "attachment" not in values:
        values["attachment"] = world.must(world.at("AA-TU", "manager").post(
            target(op.path.split("/{attachment}")[0].format(**values), name="a.pdf"), files.pdf(), [("Content-Type", files.PDF)]))["id"]
    if "{duty}" in op.path:
        values.setdefault("duty", world.must(world.at("AA-TU", "manager").post("/v1/report-duties", body("report_duty_create")))["id"])
    if "/reviews/" in op.path:  # each of a campaign of its own
        values |= {"campaign": campaigns.campaign(world)["code"], "phase": "GD1", "kind": "interim", "reviewed_on": "2026-06-20"}
        if op.method != "PUT":
            world.must(world.at("AA-TU", "manager").put("/v1/campaigns/{campaign}/reviews/{phase}/{organization}/{kind}/{reviewed_on}".format(**values),
                                                        body("campaign_review_put"), [("If-None-Match", "*")]))
    if op.path.endswith("/reach/{phase}/{organization}/{of}"):
        values |= {"campaign": campaigns.campaign(world)["code"], "phase": "GD1", "of": "core_force"}
        if op.method != "PUT":
            world.must(world.at("AA-TU", "manager").put("/v1/campaigns/{campaign}/reach/{phase}/{organization}/{of}".format(**values),
                                                        body("campaign_reach_put"), [("If-None-Match", "*")]))
    if op.path.startswith("/v1/campaigns/{campaign}/assignments"):  # of a campaign of its own, with a plan in it
        values["campaign"] = campaigns.campaign(world)["code"]
        theirs = f"/v1/campaigns/{values['campaign']}/assignments"
        world.must(world.at("AA-TU", "manager").post(f"{theirs}/own", {**body("campaign_assignment_own"), "due_on": "2027-12-31"}), 200)
        values["assignment"] = world.at("AA-TU", "manager").items(theirs)[0]["id"]
    if "{campaign}" in op.path:
        values.setdefault("campaign", campaigns.known(world)["code"])
    if "{term}" in op.path:
        values.setdefault("term", campaigns.term(world)["id"])
    if op.path.startswith("/v1/holidays/"):
        values.setdefault("day", one_day()["valid_from"])
        if op.method == "DELETE":
            world.must(world.at("AA-TU", "manager").put(f"/v1/holidays/{values['day']}", body("holiday_put"), [("If-None-Match", "*")]))
    if op.path.startswith("/v1/indicators/") and ("{assignment}" in op.path or "{target}" in op.path):
        kind = "assignment" if "{assignment}" in op.path else "target"
        values.setdefault(kind, world.at("AA-TU", "manager").get(
            f"/v1/indicators/{values['indicator']}/{kind}s").json()["items"][0]["id"])
    return op.path.format(**values)


def query(contract, op, **given):
    names = [contract.resolve(p) for p in op.parameters]
    asked = {p["name"]: given.get(p["name"], QUERY.get(p["name"])) for p in names if p["in"] == "query" and p.get("required")}
    return asked | ({"period": QUERY["period"]} if op.id == "report_duty_unit_list" else {})  # the sample's duty is owed by the quarter


def address(world, op, **given):
    if op.id == "report_status":
        given.setdefault("duty", world.must(world.at("AA-TU", "manager").post("/v1/report-duties", body("report_duty_create")))["code"])
    return target(path(world, op, **given), **query(world.contract, op, **given))


def body(op_id, unit="AA-W1", parent=None):
    """A body that a manager or administrator above the unit may send."""
    if op_id in ("attachment_create", "evidence_create"):
        return files.pdf()
    new = fresh()
    return {
        "organization_create": {"code": new, "name": f"Chi bộ {new}", "kind": "party_cell", "parent": unit},
        "organization_update": {"note": f"ghi chú {new}"},
        "reorganization_create": {"decision": f"{new}-QĐ/TU", "effective_on": "2030-01-01", "steps": [
            {"kind": "establish", "code": new, "name": f"Chi bộ {new}", "unit_kind": "party_cell", "parent": unit}]},
        "reorganization_revert": {"reason": "Nhập nhầm ngày hiệu lực"},
        "programme_create": {"code": new, "title": f"Chương trình {new}", "owner": unit, "scope": unit},
        "programme_update": {"note": f"ghi chú {new}"},
        "indicator_create": {"code": new, "programme": "AA-P", "name": f"Chỉ tiêu {new}", "unit": "số", "kind": "number",
                             "direction": "increase", "aggregation": "sum", "frequency": "quarter"},
        "indicator_update": {"note": f"ghi chú {new}"},
        "assignment_create": {"organization": unit, "mode": "own"},
        "assignment_update": {"valid_from": "2025-01-01"},
        "target_create": {"organization": unit, "comparator": "ge", "value": 50, "due_on": None},
        "target_update": {"note": f"ghi chú {new}"},
        "value_put": {"numerator": 1, "denominator": 2},
        "report_duty_create": {"code": new, "title": f"Báo cáo {new}", "programme": "AA-P", "from": {"under": unit, "kinds": ["party_cell"]}, "to": unit,
                               "acceptance": "receipt", "cadence": "quarter", "valid_from": "2040-01-01"},
        "report_duty_update": {"note": f"ghi chú {new}"},
        "report_consolidate": {},
        "report_comment_create": {"text": f"Ý kiến {new}"},
        "report_edit": {"number": f"{new}-BC/TU"},
        "report_request_return": {"reason": "Nhập nhầm số liệu"},
        "report_return": {"reason": "Số liệu chưa khớp"},
        "report_amend": {"reason": "Bổ sung số liệu"},
        "report_extend": {"due_on": "2039-01-01", "reason": "Bão"},
        "report_waive": {"reason": "Đơn vị mới thành lập"},
        "calendar_subscription_create": {"name": f"Lịch {new}", "organization": unit, "expires_on": "2027-06-30"},
        "reminder_create": {"duty": "AA-BC", "late": True},
        "holiday_put": {"name": f"Ngày nghỉ {new}"},
        "campaign_reach_put": {"reached": 3, "base": 4, "base_source": f"Danh sách {new}", "base_on": "2025-01-15", "counted_on": "2025-01-15"},
        "campaign_review_put": {"results": f"Kết quả {new}"},
        "activity_create": {"campaign": "AA-CD", "phase": "GD1", "organization": unit, "kind": "conference", "title": f"Hội nghị {new}", "starts_on": "2025-03-01"},
        "activity_update": {"note": f"ghi chú {new}"},
        "activity_proposal_decline": {"reason": "Đã tính ở nơi khác"},
        "product_create": {"campaign": "AA-CD", "organization": unit, "kind": "infographic", "title": f"Sản phẩm {new}"},
        "product_update": {"summary": f"tóm tắt {new}"},
        "product_withdraw": {"reason": "Số liệu trong hình đã cũ"},
        "product_reuse_create": {"organization": unit, "used_on": "2026-01-05"},
        "product_reuse_update": {"note": f"ghi chú {new}"},
        "recognition_create": {"campaign": "AA-CD", "organization": unit, "kind": "exemplary_model", "title": f"Mô hình {new}"},
        "recognition_update": {"summary": f"tóm tắt {new}"},
        "recognition_confirm": {"decision": {"number": f"{new}-QĐ/TU", "on": "2026-01-05"}},
        "recognition_return": {"reason": "Bổ sung kết quả cụ thể"},
        "recognition_withdraw": {"reason": "Quyết định đã được thay thế"},
        "campaign_assignment_set": {"phase": "GD2", "kind": "conference", "quantity": 1, "due_on": "2026-12-31", "organizations": [unit]},
        "campaign_assignment_own": {"phase": "GD2", "kind": "conference", "quantity": 1, "due_on": "2026-12-31"},
        "campaign_assignment_copy_down": {"share": "each"},
        "campaign_assignment_adjust": {"note": f"ghi chú {new}"},
        "campaign_assignment_reset": {"quantity": 2, "due_on": "2026-12-30"},
        "campaign_create": {"code": new, "title": f"Chiến dịch {new}", "programme": "AA-P", "owner": unit, "scope": unit},
        "campaign_update": {"note": f"ghi chú {new}"},
        "campaign_term_create": {"list": "channel", "code": f"muc_{new[2:]}", "name": f"Kênh {new}"},
        "campaign_term_update": {"name": f"Kênh {new}"},
        "mandate_create": {"unit": unit, "over": unit, "functions": ["read"]},
        "account_create": {"username": new.lower() + ".thu", "display_name": "Người dùng thử", "organization": unit},
        "grant_create": {"account": "aa-w1-c1.viewer", "organization": unit, "role": "inspector", **one_day()},
        "client_create": {"name": f"Hệ thống {new}", "organization": unit, "scopes": ["values:read"]},
        "mandate_update": {"document": f"{new}-QĐ/TU"},
        "grant_update": {},
        "client_update": {"name": f"Hệ thống {new}"},
        "client_secret_create": {},
        "delegation_create": {"account": "aa-w2.viewer", "organization": unit, **one_day()},
        "account_update": {"display_name": f"Người dùng {new}"},
        "activation_create": {"username": "aa-w1.viewer", "code": "SAI", "password": "chiec-thuyen-xanh-qua-cau"},
        "my_password_set": {"current_password": "sai", "new_password": "chiec-thuyen-xanh-qua-cau"},
        "session_create": {"username": "aa-w1.viewer", "password": "sai"},
        "value_import": [],
        "account_import": [],
        "activity_import": [],
        "organization_import": [],
    }.get(op_id)


def headers(op, typed=True):
    """What the operation needs beside body and token; typed: the type too of a body that is no JSON."""
    if op.id in ("attachment_create", "evidence_create"):
        return [("Content-Type", files.PDF)] if typed else []
    if op.id.endswith("_import") or op.id == "reminder_create":
        return [("Idempotency-Key", fresh("key"))]
    if op.id in ("activity_proposal_confirm", "activity_proposal_decline"):
        return [("If-Match", "*"), ("Idempotency-Key", fresh("key"))]
    if op.method == "POST" and re.fullmatch(r"/v1/reports/\{report\}/(submit|recall|request-return|receive|return|approve|amend|extend|waive|reinstate|consolidate)", op.path):
        return [("If-Match", "*"), ("Idempotency-Key", fresh("key"))]
    if op.method == "POST" and re.fullmatch(r"/v1/(products/\{product\}|recognitions/\{recognition\})/(publish|withdraw|confirm|return)", op.path):
        return [("If-Match", "*")]
    if op.method == "PATCH" or op.method == "DELETE" or op.id in ("account_reset", "campaign_assignment_reset"):
        return [("If-Match", "*")]
    if op.id in ("value_put", "holiday_put", "campaign_review_put", "campaign_reach_put"):
        return [("If-None-Match", "*")]
    return []
