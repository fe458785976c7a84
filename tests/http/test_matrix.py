"""The permission matrix: every role, against every operation, on every kind of target.

What must come out follows from three things alone: the operation's x-permission, the roles of ROLE below, and where the target
lies. Without the permission 403; out of sight 404, or 422 where a body or a filter names it, word for word as if it did not
exist; in sight without the right 403; else success. And no answer, whatever it is, holds anything of a unit out of sight.
"""
import itertools
import re
import uuid
from collections import namedtuple
from datetime import date, timedelta

import pytest
from harness import campaigns, files, samples
from harness.client import target as address
from harness.owed import new_id, owe
from harness.world import Caller

READ = {f"{thing}:read" for thing in ("me", "organizations", "programmes", "indicators", "periods", "values", "progress", "mandates", "changes", "duties", "reports",
                               "campaigns")}
DEFINE = {"organizations:write", "reorganizations:write", "programmes:write", "indicators:write", "duties:write", "campaigns:write"}
STAFF = {f"{thing}:{right}" for thing in ("accounts", "clients", "grants") for right in ("read", "write")} | {"mandates:write"}
DELEGATE = {"delegations:read", "delegations:write"}
ROLE = {"viewer": READ, "inspector": READ, "reporter": READ | {"values:write"}, "approver": READ | {"values:write"},
        "manager": READ | {"values:write"} | DEFINE, "connector": READ | {"values:write"} | DEFINE, "administrator": READ | STAFF}
ROLE = {role: may | ({"audit:read"} if role in ("approver", "manager", "administrator", "inspector") else set()) for role, may in ROLE.items()}
ROLE = {role: may | (DELEGATE | {"me:write"} if role != "connector" else set()) for role, may in ROLE.items()}
ROLE = {role: may | ({"reports:write", "activities:write"} if "values:write" in may else set())
        | ({"submissions:write", "reviews:write", "recognitions:write"} if role == "approver" else set())
        | ({"publications:write"} if role in ("approver", "manager") else set())
        | ({"calendars:write"} if role != "connector" else set())
        | ({"reminders:write"} if role in ("reporter", "approver", "manager") else set()) for role, may in ROLE.items()}

# name: (seat, target, seen, definitions of it seen, functions of a mandate over it or None)
Relation = namedtuple("Relation", "seat unit seen defined functions")
RELATIONS = {
    "own": Relation("AA-W1", "AA-W1", True, True, None),
    "subordinate": Relation("AA-W1", "AA-W1-C1", True, True, None),
    "ended": Relation("AA-W1", "AA-W1-OLD", True, True, None),
    "superior": Relation("AA-W1", "AA-TU", False, True, None),
    "sibling": Relation("AA-W1", "AA-W2", False, False, None),
    "sibling's subordinate": Relation("AA-W1", "AA-W2-C1", False, False, None),
    "ended elsewhere": Relation("AA-W1", "AA-OLD", False, False, None),
    "foreign root": Relation("AA-W1", "BB-W1", False, False, None),
    "mandated to enter": Relation("AA-W1-XD", "AA-W1-C1", True, True, {"read", "enter"}),
    "mandated to define": Relation("AA-BTG", "AA-W2", True, True, {"read", "enter", "define"}),
    "beside the mandate": Relation("AA-W1-XD", "AA-W2", False, False, None),
}
UNITS = sorted({r.unit for r in RELATIONS.values()})
PERIOD = "2025-Q1"
days = itertools.count(1)


def day():
    return (date(2027, 1, 1) + timedelta(next(days))).isoformat()


def one_day():
    """An assignment's days, before those of all others."""
    when = (date(2024, 12, 31) - timedelta(next(days))).isoformat()
    return {"valid_from": when, "valid_to": when}


# One way of naming a target: unit, programme, indicator (self or superior enters), assignment, target, and of the unit's own
# an account, its grant, a client and a mandate.
Names = namedtuple("Names", "unit programme indicator behalf assignment target account account_id grant client mandate secret delegation reorganization duty reminder report campaign activity product recognition work")


def nobody(relation, names):
    """Names of nothing; but what is in sight of the target's definitions keeps its name."""
    new = str(uuid.uuid4())
    new = f"{new[:14]}7{new[15:]}"
    made = Names("NO-SUCH", "NO-SUCH", "NO-SUCH", "NO-SUCH", new, new, "no.such.account", new, new, new, new, new, new, new, "NO-SUCH", new, new, "NO-SUCH", new, new, new, new)
    return made._replace(programme=names.programme, indicator=names.indicator, behalf=names.behalf, duty=names.duty, campaign=names.campaign) if relation.defined else made


# ---- the requests ---------------------------------------------------------------------------------------------
# operation: how a request names its target (path, definition, body, filter), and the request for (names, own seat).
def path_of(kind, path, **more):
    return lambda n, own: (path.format(**n._asdict()), *[more.get(k) and more[k](n, own) for k in ("body", "headers")], kind)


def key(*_):
    return [("Idempotency-Key", samples.fresh("key"))]


def tagged(*_):
    return [("If-Match", "*")]


# What a unit is to do on a day on which all of them were there, in the campaign of the whole root.
LONG_AGO = {"phase": "GD1", "kind": "conference", "quantity": 1, "due_on": "2025-03-31", "dry_run": True}


def body(op):
    return lambda n, own: samples.body(op, n.unit)


CASES = {
    "organization_get": [path_of("path", "/v1/organizations/{unit}")],
    "organization_children": [path_of("path", "/v1/organizations/{unit}/children")],
    "organization_ancestors": [path_of("path", "/v1/organizations/{unit}/ancestors")],
    "organization_subtree": [path_of("path", "/v1/organizations/{unit}/subtree")],
    "organization_update": [path_of("path", "/v1/organizations/{unit}", body=body("organization_update"), headers=tagged)],
    "organization_create": [path_of("body", "/v1/organizations", body=body("organization_create"))],
    "organization_list": [path_of("filter", "/v1/organizations?under={unit}"), path_of("filter", "/v1/organizations?parent={unit}")],
    "organization_import": [path_of("rows", "/v1/organizations/imports", headers=lambda *_: [("Idempotency-Key", samples.fresh("key"))],
                                    body=lambda n, own: [{"code": samples.fresh("MX"), "name": "Chi bộ nhập", "kind": "party_cell", "parent": n.unit}])],
    "identifier_get": [path_of("path", "/v1/identifiers/internal/{unit}?as_of=2025-03-31")],
    "reorganization_list": [path_of("filter", "/v1/reorganizations?organization={unit}")],
    "reorganization_get": [path_of("path", "/v1/reorganizations/{reorganization}")],
    "reorganization_create": [path_of("body", "/v1/reorganizations", body=body("reorganization_create"))],
    "reorganization_revert": [path_of("above", "/v1/reorganizations/{reorganization}/revert", headers=tagged,
                                      body=lambda *_: {"reason": "Nhập nhầm"})],
    "programme_get": [path_of("definition", "/v1/programmes/{programme}")],
    "programme_update": [path_of("definition", "/v1/programmes/{programme}", body=body("programme_update"), headers=tagged)],
    "programme_create": [path_of("body", "/v1/programmes", body=body("programme_create"))],
    "indicator_get": [path_of("definition", "/v1/indicators/{indicator}")],
    "indicator_update": [path_of("definition", "/v1/indicators/{indicator}", body=body("indicator_update"), headers=tagged)],
    "indicator_create": [path_of("defining", "/v1/indicators",
                                 body=lambda n, own: {**samples.body("indicator_create"), "programme": n.programme})],
    "indicator_list": [path_of("defining", "/v1/indicators?programme={programme}")],
    "assignment_list": [path_of("definition", "/v1/indicators/{indicator}/assignments")],
    "assignment_get": [path_of("definition", "/v1/indicators/{indicator}/assignments/{assignment}")],
    "assignment_update": [path_of("definition", "/v1/indicators/{indicator}/assignments/{assignment}",
                                  body=body("assignment_update"), headers=tagged)],
    "assignment_create": [
        path_of("definition", "/v1/indicators/{indicator}/assignments",
                body=lambda n, own: {"organization": n.unit, "mode": "own", **one_day()}),
        lambda n, own: (f"/v1/indicators/{own.indicator}/assignments",
                        {"organization": n.unit, "mode": "own", **one_day()}, None, "body of one's own")],
    "target_list": [path_of("definition", "/v1/indicators/{indicator}/targets")],
    "target_get": [path_of("definition", "/v1/indicators/{indicator}/targets/{target}")],
    "target_update": [path_of("definition", "/v1/indicators/{indicator}/targets/{target}", body=body("target_update"), headers=tagged)],
    "target_create": [
        path_of("definition", "/v1/indicators/{indicator}/targets",
                body=lambda n, own: {"organization": n.unit, "comparator": "ge", "value": 5, "due_on": day()}),
        lambda n, own: (f"/v1/indicators/{own.indicator}/targets",
                        {"organization": n.unit, "comparator": "ge", "value": 5, "due_on": day()}, None, "body of one's own")],
    "campaign_list": [path_of("filter", "/v1/campaigns?owner={unit}"), path_of("filter", "/v1/campaigns?under={unit}"),
                      path_of("defining", "/v1/campaigns?programme={programme}")],
    "campaign_get": [path_of("definition", "/v1/campaigns/{campaign}")],
    "campaign_update": [path_of("definition", "/v1/campaigns/{campaign}", body=body("campaign_update"), headers=tagged)],
    "campaign_create": [path_of("body", "/v1/campaigns", body=body("campaign_create"))],
    "campaign_term_create": [lambda n, own: ("/v1/campaign-terms", samples.body("campaign_term_create"), None, "calendar")],
    "campaign_term_get": [path_of("nobody's", "/v1/campaign-terms/{account_id}")],
    "campaign_term_update": [path_of("nobody's", "/v1/campaign-terms/{account_id}", body=body("campaign_term_update"), headers=tagged)],
    "campaign_assignment_list": [path_of("definition", "/v1/campaigns/{campaign}/assignments"),
                                 lambda n, own: (f"/v1/campaigns/{own.campaign}/assignments?organization={n.unit}", None, None, "filter"),
                                 lambda n, own: (f"/v1/campaigns/{own.campaign}/assignments?set_by={n.unit}", None, None, "filter")],
    "campaign_assignment_get": [path_of("path", "/v1/campaigns/{campaign}/assignments/{work}")],
    "campaign_assignment_set": [path_of("body", "/v1/campaigns/AA-CD/assignments", body=lambda n, own: {**LONG_AGO, "organizations": [n.unit]})],
    "campaign_assignment_own": [path_of("body on behalf", "/v1/campaigns/AA-CD/assignments/own", body=lambda n, own: {**LONG_AGO, "organization": n.unit})],
    "campaign_assignment_copy_down": [path_of("copied down", "/v1/campaigns/AA-CD/assignments/copy-down",
                                              body=lambda n, own: {"organization": n.unit, "share": "each", "from": "2025-01-01", "dry_run": True})],
    "campaign_assignment_adjust": [path_of("behalf", "/v1/campaigns/{campaign}/assignments/{work}", body=body("campaign_assignment_adjust"), headers=tagged)],
    "campaign_assignment_reset": [path_of("path", "/v1/campaigns/{campaign}/assignments/{work}/setting", body=lambda n, own: {"quantity": 2, "due_on": LONG_AGO["due_on"]}, headers=tagged)],
    "campaign_assignment_delete": [path_of("nobody's", "/v1/campaigns/{campaign}/assignments/{account_id}", headers=tagged)],
    "campaign_assignment_own_delete": [path_of("nobody's", "/v1/campaigns/{campaign}/assignments/{account_id}/own", headers=tagged)],
    "campaign_reach_list": [path_of("definition", "/v1/campaigns/{campaign}/reach"),
                            lambda n, own: (f"/v1/campaigns/AA-CD/reach?organization={n.unit}", None, None, "filter")],
    "campaign_reach_get": [path_of("path", "/v1/campaigns/{campaign}/reach/GD1/{unit}/core_force")],
    "campaign_reach_put": [path_of("behalf", "/v1/campaigns/{campaign}/reach/GD1/{unit}/core_force", headers=tagged, body=body("campaign_reach_put"))],
    "campaign_reach_delete": [path_of("nobody's", "/v1/campaigns/{campaign}/reach/GD1/{unit}/cadres_and_members", headers=tagged)],
    **{f"campaign_{what}": [path_of("definition", f"/v1/campaigns/{{campaign}}/{path}"),
                            lambda n, own, path=path: (f"/v1/campaigns/AA-CD/{path}{'&' if '?' in path else '?'}organization={n.unit}", None, None, "filter")]
       for what, path in (("progress", "progress"), ("progress_explain", "progress/explain"), ("coverage", "coverage"),
                          ("coverage_explain", "coverage/explain?of=core_force"))},
    "campaign_ranking": [path_of("definition", "/v1/campaigns/{campaign}/ranking?kind=party_cell&by=done"),
                         lambda n, own: (f"/v1/campaigns/AA-CD/ranking?kind=party_cell&by=done&under={n.unit}", None, None, "filter")],
    "campaign_review_list": [path_of("definition", "/v1/campaigns/{campaign}/reviews"),
                             lambda n, own: (f"/v1/campaigns/{own.campaign}/reviews?organization={n.unit}", None, None, "filter")],
    "campaign_review_get": [path_of("path", "/v1/campaigns/{campaign}/reviews/GD1/{unit}/interim/2025-01-15")],
    "campaign_review_put": [path_of("behalf", "/v1/campaigns/{campaign}/reviews/GD1/{unit}/interim/2025-01-15", headers=tagged,
                                    body=lambda n, own: {"results": "Sơ kết"})],
    "campaign_review_delete": [path_of("nobody's", "/v1/campaigns/{campaign}/reviews/GD1/{unit}/final/2025-01-15", headers=tagged)],
    "campaign_calendar": [path_of("definition", "/v1/campaigns/{campaign}/calendar"),
                          lambda n, own: (f"/v1/campaigns/{own.campaign}/calendar?organization={n.unit}", None, None, "filter")],
    "calendar_get": [path_of("filter", "/v1/calendar?organization={unit}")],
    "calendar_subscription_create": [
        path_of("body", "/v1/calendar-subscriptions", body=body("calendar_subscription_create")),
        lambda n, own: ("/v1/calendar-subscriptions", {**samples.body("calendar_subscription_create", own.unit), "campaign": n.campaign}, None, "defining")],
    "calendar_subscription_get": [path_of("nobody's", "/v1/calendar-subscriptions/{account_id}")],
    "calendar_subscription_end": [path_of("nobody's", "/v1/calendar-subscriptions/{account_id}", headers=tagged)],
    "activity_list": [path_of("filter", "/v1/activities?organization={unit}"), path_of("filter", "/v1/activities?under={unit}"),
                      path_of("defining", "/v1/activities?campaign={campaign}")],
    "activity_get": [path_of("path", "/v1/activities/{activity}")],
    "activity_create": [path_of("body on behalf", "/v1/activities", body=lambda n, own: {**samples.body("activity_create", n.unit), "campaign": n.campaign})],
    "activity_import": [path_of("rows on behalf", "/v1/activities/imports", headers=key,
                                body=lambda n, own: [{**samples.body("activity_create", n.unit), "campaign": n.campaign, "code": samples.fresh("HD")}])],
    "activity_update": [path_of("behalf", "/v1/activities/{activity}", body=body("activity_update"), headers=tagged)],
    "evidence_list": [path_of("path", "/v1/activities/{activity}/attachments")],
    "evidence_create": [path_of("behalf", "/v1/activities/{activity}/attachments?name=a.pdf", body=lambda *_: files.pdf(4096),
                                headers=lambda *_: [("Content-Type", files.PDF)])],
    "evidence_get": [path_of("nobody's", "/v1/activities/{activity}/attachments/{account_id}")],
    "evidence_delete": [path_of("nobody's", "/v1/activities/{account_id}/attachments/{account_id}", headers=tagged)],
    "activity_delete": [path_of("nobody's", "/v1/activities/{account_id}", headers=tagged)],
    "activity_proposal_confirm": [path_of("nothing proposed", "/v1/activities/{activity}/proposal/confirm", headers=tagged)],
    "activity_proposal_decline": [path_of("nothing proposed", "/v1/activities/{activity}/proposal/decline", body=body("activity_proposal_decline"), headers=tagged)],
    "product_list": [path_of("filter", "/v1/products?organization={unit}"), path_of("filter", "/v1/products?under={unit}"),
                     path_of("defining", "/v1/products?campaign={campaign}")],
    "product_get": [path_of("path", "/v1/products/{product}")],
    "product_create": [path_of("body on behalf", "/v1/products", body=lambda n, own: {**samples.body("product_create", n.unit), "campaign": n.campaign})],
    "product_update": [path_of("behalf", "/v1/products/{product}", body=body("product_update"), headers=tagged)],
    "product_delete": [path_of("nobody's", "/v1/products/{account_id}", headers=tagged)],
    "product_publish": [path_of("nobody's", "/v1/products/{account_id}/publish", headers=tagged)],
    "product_withdraw": [path_of("nobody's", "/v1/products/{account_id}/withdraw", body=body("product_withdraw"), headers=tagged)],
    "product_reuse_list": [path_of("path", "/v1/products/{product}/reuses")],
    "product_reuse_create": [path_of("nobody's", "/v1/products/{account_id}/reuses", body=body("product_reuse_create"))],
    "product_reuse_get": [path_of("nobody's", "/v1/products/{product}/reuses/{account_id}")],
    "product_reuse_update": [path_of("nobody's", "/v1/products/{product}/reuses/{account_id}", body=body("product_reuse_update"), headers=tagged)],
    "product_reuse_delete": [path_of("nobody's", "/v1/products/{product}/reuses/{account_id}", headers=tagged)],
    "product_reuse_list_all": [path_of("filter", "/v1/product-reuses?organization={unit}"), path_of("filter", "/v1/product-reuses?under={unit}"),
                               path_of("defining", "/v1/product-reuses?campaign={campaign}")],
    "recognition_list": [path_of("filter", "/v1/recognitions?organization={unit}"), path_of("filter", "/v1/recognitions?under={unit}"),
                         path_of("defining", "/v1/recognitions?campaign={campaign}")],
    "recognition_get": [path_of("path", "/v1/recognitions/{recognition}")],
    "recognition_create": [path_of("body on behalf", "/v1/recognitions",
                                   body=lambda n, own: {**samples.body("recognition_create", n.unit), "campaign": n.campaign})],
    "recognition_update": [path_of("behalf", "/v1/recognitions/{recognition}", body=body("recognition_update"), headers=tagged)],
    "recognition_delete": [path_of("nobody's", "/v1/recognitions/{account_id}", headers=tagged)],
    # who decides goes by more than where it lies: test_recognitions.py walks it
    **{f"recognition_{action}": [path_of("nobody's", f"/v1/recognitions/{{account_id}}/{action}", headers=tagged, body=body(f"recognition_{action}"))]
       for action in ("confirm", "return", "publish", "withdraw")},
    "reminder_get": [path_of("path", "/v1/reminders/{reminder}")],
    "reminder_list": [path_of("filter", "/v1/reminders?organization={unit}"), path_of("defining", "/v1/reminders?duty={duty}")],
    "reminder_create": [
        lambda n, own: ("/v1/reminders", {"duty": own.duty, "period": PERIOD, "organizations": [n.unit]}, key(), "body"),
        lambda n, own: ("/v1/reminders", {"duty": n.duty, "period": PERIOD, "late": True}, key(), "urging")],
    "my_task_read": [path_of("nobody's", "/v1/me/tasks/due.{account_id}.0/read")],
    "my_task_unread": [path_of("nobody's", "/v1/me/tasks/due.{account_id}.0/read")],
    "value_get": [path_of("path", "/v1/values/{indicator}/{unit}/" + PERIOD),
                  lambda n, own: (f"/v1/values/{own.indicator}/{n.unit}/{PERIOD}", None, None, "path, if unseen")],
    "value_put": [path_of("path", "/v1/values/{indicator}/{unit}/" + PERIOD, body=lambda n, own: {"number": next(days)}, headers=tagged),
                  path_of("behalf", "/v1/values/{behalf}/{unit}/" + PERIOD, body=lambda n, own: {"number": next(days)}, headers=tagged),
                  lambda n, own: (f"/v1/values/{own.indicator}/{n.unit}/{PERIOD}", {"number": 1}, tagged(), "path, if unseen")],
    "value_list": [path_of("filter", "/v1/values?organization={unit}"), path_of("filter", "/v1/values?under={unit}"),
                   path_of("defining", "/v1/values?indicator={indicator}"), path_of("defining", "/v1/values?programme={programme}")],
    "value_history": [path_of("audited", "/v1/values/{indicator}/{unit}/" + PERIOD + "/history")],
    "audit_event_list": [path_of("filter", "/v1/audit-events?organization={unit}&embed=before,after"), path_of("filter", "/v1/audit-events?under={unit}"),
                         path_of("filter", "/v1/audit-events?resource=organization:{unit}")],
    "value_sheet": [path_of("filter", "/v1/values/sheet?organization={unit}&period=" + PERIOD)],
    "value_import": [path_of("rows", "/v1/values/imports", headers=lambda *_: [("Idempotency-Key", samples.fresh("key"))],
                             body=lambda n, own: [{"indicator": n.indicator, "organization": n.unit, "period": PERIOD, "number": next(days)}])],
    "report_duty_list": [path_of("filter", "/v1/report-duties?to={unit}"), path_of("filter", "/v1/report-duties?under={unit}"),
                         path_of("defining", "/v1/report-duties?programme={programme}")],
    "report_status": [path_of("defining", "/v1/report-status?duty={duty}"), lambda n, own: (f"/v1/report-status?duty={own.duty}&under={n.unit}", None, None, "filter")],
    "report_rates": [path_of("filter", "/v1/report-rates?by=unit&under={unit}"), path_of("defining", "/v1/report-rates?duty={duty}&from=2025-01-01"),
                     path_of("defining", "/v1/report-rates?by=period&programme={programme}&from=2025-01-01")],
    "report_list": [path_of("filter", "/v1/reports?organization={unit}"), path_of("filter", "/v1/reports?under={unit}"),
                    path_of("filter", "/v1/reports?recipient={unit}"), path_of("defining", "/v1/reports?duty={duty}"),
                    path_of("defining", "/v1/reports?programme={programme}")],
    "report_duty_get": [path_of("definition", "/v1/report-duties/{duty}")],
    "report_duty_unit_list": [path_of("definition", "/v1/report-duties/{duty}/units?period=" + PERIOD)],
    "report_duty_update": [path_of("definition", "/v1/report-duties/{duty}", body=body("report_duty_update"), headers=tagged)],
    "report_changes": [path_of("unsent", "/v1/reports/{report}/changes")],
    "report_consolidate": [path_of("author", "/v1/reports/{report}/consolidate", body=lambda *_: {}, headers=tagged)],
    "report_comment_list": [path_of("path", "/v1/reports/{report}/comments")],
    "report_comment_create": [path_of("dialogue", "/v1/reports/{report}/comments", body=lambda *_: {"text": "Đề nghị xem lại."})],
    "report_duty_create": [path_of("body", "/v1/report-duties", body=lambda n, own: {
        **samples.body("report_duty_create", n.unit), "programme": "AA-P", "to": own.unit})],
    "holiday_put": [lambda n, own: (f"/v1/holidays/{day()}", samples.body("holiday_put"), [("If-None-Match", "*")], "calendar")],
    "holiday_delete": [lambda n, own: (f"/v1/holidays/{day()}", None, tagged(), "calendar")],
    "progress": [path_of("filter", "/v1/progress?organization={unit}&period=" + PERIOD),
                 path_of("filter", "/v1/progress?by=children&organization={unit}&period=" + PERIOD)],
    "progress_explain": [path_of("filter", "/v1/progress/explain?organization={unit}&indicator={indicator}&period=" + PERIOD)],
    "mandate_list": [path_of("filter", "/v1/mandates?unit={unit}")],
    "mandate_get": [path_of("path", "/v1/mandates/{mandate}")],
    "account_get": [path_of("path", "/v1/accounts/{account_id}"), path_of("path", "/v1/accounts/{account}")],
    "account_update": [path_of("path", "/v1/accounts/{account}", body=body("account_update"), headers=tagged)],
    "account_import": [path_of("rows", "/v1/accounts/imports", headers=lambda *_: [("Idempotency-Key", samples.fresh("key"))],
                              body=lambda n, own: [{"username": samples.fresh("mx.nhap").lower(), "display_name": "Người nhập", "organization": n.unit}])],
    "account_reset": [path_of("path", "/v1/accounts/{account}/reset", headers=tagged)],
    "account_session_list": [path_of("path", "/v1/accounts/{account}/sessions")],
    "account_session_end": [path_of("path", "/v1/accounts/{account_id}/sessions")],
    "my_session_end": [path_of("nobody's", "/v1/me/sessions/{account_id}")],
    "my_password_set": [path_of("not proved", "/v1/me/password", body=body("my_password_set"))],
    "grant_get": [path_of("path", "/v1/grants/{grant}")],
    "client_get": [path_of("path", "/v1/clients/{client}")],
    "mandate_update": [path_of("path", "/v1/mandates/{mandate}", body=body("mandate_update"), headers=tagged)],
    "mandate_end": [path_of("path", "/v1/mandates/{mandate}", headers=tagged)],
    "grant_update": [path_of("path", "/v1/grants/{grant}", body=body("grant_update"), headers=tagged)],
    "grant_end": [path_of("path", "/v1/grants/{grant}", headers=tagged)],
    "client_update": [path_of("path", "/v1/clients/{client}", body=body("client_update"), headers=tagged)],
    "client_secret_list": [path_of("path", "/v1/clients/{client}/secrets")],
    "client_secret_create": [path_of("path", "/v1/clients/{client}/secrets", body=body("client_secret_create"))],
    "client_secret_end": [path_of("path", "/v1/clients/{client}/secrets/{secret}")],
    "client_end": [path_of("path", "/v1/clients/{client}", headers=tagged)],
    "delegation_create": [path_of("body", "/v1/delegations", body=lambda n, own: {"account": own.account, "organization": n.unit, **samples.one_day()})],
    "delegation_get": [path_of("delegation", "/v1/delegations/{delegation}")],
    "delegation_end": [path_of("delegation", "/v1/delegations/{delegation}", headers=tagged)],
    "mandate_create": [path_of("body", "/v1/mandates", body=lambda n, own: {
        "unit": own.unit, "over": n.unit, "functions": ["read"], "valid_from": "2020-01-01", "valid_to": "2020-01-02"})],
    "account_list": [path_of("filter", "/v1/accounts?organization={unit}")],
    "account_create": [path_of("body", "/v1/accounts", body=lambda n, own: {
        **samples.body("account_create", n.unit), "password": "mot-mat-khau-du-dai"})],
    "grant_list": [path_of("filter", "/v1/grants?organization={unit}")],
    "grant_create": [path_of("body", "/v1/grants", body=lambda n, own: {
        "account": own.account, "organization": n.unit, "role": "viewer", **samples.one_day()}),
                     lambda n, own: ("/v1/grants", {"account": n.account, "organization": own.unit, "role": "viewer", **samples.one_day()}, None,
                                      "an account there")],
    "client_list": [path_of("filter", "/v1/clients?organization={unit}")],
    "client_create": [path_of("body", "/v1/clients", body=body("client_create"))],
}
# What a caller may do with one report goes by more than where it lies: test_report_matrix.py walks it.
REPORT = "/v1/reports/{report}"
# Nothing in them names a target; what they give is searched all the same.
PLAIN = {"me_get": "/v1/me", "my_task_list": "/v1/me/tasks?limit=1000", "my_session_list": "/v1/me/sessions", "delegation_list": "/v1/delegations", "organization_kind_list": "/v1/organization-kinds", "period_list": "/v1/periods", "holiday_list": "/v1/holidays", "campaign_term_list": "/v1/campaign-terms?limit=1000", "calendar_subscription_list": "/v1/calendar-subscriptions", "programme_list": "/v1/programmes",
         "change_list": "/v1/changes?limit=1000"}
COLLECTIONS = ("organizations", "programmes", "indicators", "values", "periods", "report-duties", "reports", "holidays", "campaigns", "campaign-terms", "activities", "products", "product-reuses", "recognitions", "reminders", "mandates", "accounts", "grants", "clients", "audit-events")


# The directory names every unit of one's root by its code, name and kind, and is tested for what else it might tell.
NAMED = {"directory_list": "/v1/directory"}
PLAIN["me_permissions"] = "/v1/me/permissions?action=values:read"


# ---- what must come out ---------------------------------------------------------------------------------------
def may_write(role, permission, name, relation):
    """Whether the role's right reaches the target."""
    if permission in DEFINE:
        return relation.unit.startswith(relation.seat) or "define" in (relation.functions or ())
    if permission in ("values:write", "activities:write"):
        return relation.unit == relation.seat or "enter" in (relation.functions or ()) \
            or role == "connector" and relation.unit.startswith(relation.seat)
    if permission == "calendars:write":  # of whatever one reads
        return True
    if permission == "reminders:write":  # nobody urges itself
        return relation.unit.startswith(relation.seat) and relation.unit != relation.seat or "remind" in (relation.functions or ())
    return relation.unit.startswith(relation.seat)


def expected(op, role, name, relation, kind):
    """The statuses that are right."""
    if op.permission not in ROLE[role]:
        return {403}
    if kind in ("nobody's", "not proved"):
        return {404} if kind == "nobody's" else {422, 429}
    if kind == "calendar":  # a root's own, kept by whoever defines over all of it; nothing stands there to be taken away
        return ({201} if op.id in ("holiday_put", "campaign_term_create") else {404}) if "define" in (relation.functions or ()) else {403}
    if kind == "urging":  # all that are late of those that may be urged: of a duty in sight, at worst none
        return set(op.success) if relation.defined else {422}
    if kind == "audited":  # in one's own line; the mandates here have other functions
        return set(op.success) if relation.unit == relation.seat or (role != "approver" and relation.unit.startswith(relation.seat)) else \
            {403} if relation.seen else {404}
    if kind == "delegation":  # seen by its two sides, and by administrators of the unit or above it
        return set(op.success) if role == "administrator" and relation.unit.startswith(relation.seat) else {404}
    hidden = {"path": {404}, "author": {404}, "dialogue": {404}, "unsent": {404}, "above": {404}, "behalf": {404}, "path, if unseen": {404}, "definition": {404}, "nothing proposed": {404}}.get(kind, {422})
    staff = op.permission.split(":")[0] in ("accounts", "clients", "grants") and kind in ("path", "an account there")
    own = relation.unit.startswith(relation.seat)  # no mandate entrusts the staff of the units it is over
    if not (relation.defined if kind in ("definition", "defining") else own if staff else relation.seen):
        return hidden
    if kind == "unsent":  # of a report that has not been submitted
        return {422}
    if not op.permission.endswith(":write"):
        return set(op.success)
    done = {200} if op.id in ("value_put", "campaign_review_put", "campaign_reach_put") else set(op.success)
    if op.permission in ("values:write", "activities:write") and kind in ("behalf", "body on behalf", "rows on behalf", "nothing proposed"):
        allowed = may_write(role, op.permission, name, relation) or relation.unit.startswith(relation.seat)
    elif kind == "an account there":
        allowed = True
    elif kind == "author":  # by its own unit, and a connected system above it
        allowed = relation.unit == relation.seat or role == "connector" and relation.unit.startswith(relation.seat)
    elif kind == "dialogue":  # by its own unit and the one directly above it
        allowed = relation.unit.startswith(relation.seat)
    elif kind == "above":  # what changes a unit is decided above it
        allowed = relation.unit.startswith(relation.seat) and relation.unit != relation.seat or "define" in (relation.functions or ())
    else:
        allowed = may_write(role, op.permission, name, relation)
    if not allowed:
        return {422} if kind in ("rows", "rows on behalf") else {403}
    if kind == "above":
        return done | {409}
    if op.id == "evidence_create":  # an activity takes ten
        done = done | {409}
    if kind == "nothing proposed":
        return {409}
    if kind == "copied down":  # it may have nothing, or nobody below it
        return done | {422}
    # New things in a unit that has ended: its days, not the caller's rights, may refuse them.
    return done | {422} if name == "ended" else done


# ---- the world ------------------------------------------------------------------------------------------------
Place = namedtuple("Place", "code id name names secrets")


def shown_and_commended(cluster, unit):
    """A product of the unit that nobody has published, and a recognition that waits; put there, so that ended units have theirs too."""
    return [cluster.query(f"""INSERT INTO {table} (id, campaign_id, programme_id, organization_id, organization_code, scope_key, kind, title, {more})
        SELECT %s, c.id, c.programme_id, o.id, o.code, o.scope_key, %s, %s, {values} FROM campaign c, organization o WHERE c.code = %s AND o.code = %s RETURNING id::text""",
                          [new_id(), kind, title, f"{unit}-MC", unit])[0][0] for table, kind, title, more, values in (
        ("product", "infographic", f"Sản phẩm riêng của {unit}.", "on_behalf, entered_by, seat_id", "false, o.code, o.id"),
        ("recognition", "exemplary_model", f"Mô hình riêng của {unit}.", "proposed_seat_id", "o.id"))]


def given_long_ago(cluster, unit):
    new = str(uuid.uuid4())
    made = {"id": f"{new[:14]}7{new[15:]}"}
    cluster.query("""INSERT INTO mandate (id, giver_id, scope_key, unit_id, over_id, functions, document, valid_from)
        SELECT %s, o.id, o.scope_key, o.id, o.id, '{remind}', %s, o.valid_from FROM organization o WHERE o.code = %s RETURNING 1""",
                  [made["id"], f"Ủy nhiệm riêng của {unit}.", unit])
    return made


def reminded(cluster, unit):
    """A reminder about the unit, sent by the system; of a root, which reports to nobody, the name of none."""
    made = new_id()
    if unit.endswith("-TU"):
        return made
    reports = owe(cluster, f"{unit}-MN", [unit], f"{unit[:2]}-TU", "2025-03-01", programme=f"{unit}-MP", title=f"Báo cáo nhắc riêng của {unit}.")
    cluster.query("""INSERT INTO reminder (id, report_id, duty_id, programme_id, organization_id, organization_code, scope_key, kind, to_id, to_code,
          message, days, due_on)
        SELECT %s, r.id, r.duty_id, r.programme_id, r.organization_id, r.organization_code, r.scope_key, 'before', r.organization_id, r.organization_code,
          %s, 3, r.due_on
        FROM report r WHERE r.id = %s""", [made, f"Lời nhắc riêng của {unit}.", reports[unit]])
    return made


def owed(cluster, unit):
    """A report of the unit that nobody has touched."""
    return owe(cluster, f"{unit}-MR", [unit], f"{unit[:2]}-TU", period="2025-Q1", programme=f"{unit}-MP", title=f"Báo cáo riêng của {unit}.")[unit]


@pytest.fixture(scope="module")
def places(world, cluster):
    """Every target with a programme, indicators, an assignment, a target, values and an account of its own."""
    found = {}
    campaigns.known(world)
    for unit in UNITS + sorted({r.seat for r in RELATIONS.values()} - set(UNITS)):
        root = unit[:2]
        manager, connector = world.at(f"{root}-TU", "manager"), world.connector(root.lower())
        admin = world.at(f"{root}-TU", "administrator")
        decision = world.must(manager.post("/v1/reorganizations", {
            "decision": f"Quyết định riêng của {unit}.", "effective_on": "2025-03-01",
            "steps": [{"kind": "rename", "organization": unit, "name": f"Tên riêng của {unit}."}]}))
        made = world.must(manager.get(f"/v1/organizations/{unit}"), 200)
        numbers = [{"scheme": "internal", "value": unit}, {"scheme": "internal", "value": made["id"]}]
        world.must(manager.patch(f"/v1/organizations/{unit}", {"identifiers": made["identifiers"] + numbers}, "*"), 200)
        programme = world.must(manager.post("/v1/programmes", {"code": f"{unit}-MP", "title": f"Chương trình riêng của {unit}.",
                                                               "owner": unit, "scope": unit, "starts_on": "2025-01-01"}))
        indicators = [world.indicator(manager, f"{unit}-{kind}", f"{unit}-MP", "number") for kind in ("MI", "MS")]
        assignments = [world.assign(manager, i["code"], organization=unit, entered_by=by) for i, by in zip(indicators, ("self", "superior"))]
        aim = world.set_target(manager, f"{unit}-MI", unit, comparator="ge", value=10, due_on="2026-12-31")
        values = [world.must(connector.enter(i["code"], unit, PERIOD, {"number": 1, "note": f"ghi chú riêng của {unit}."})) for i in indicators]
        username = f"mx.{unit}".lower()
        account = world.account(admin, username, (unit, "viewer"), display_name=f"Cán bộ riêng của {unit}.")
        client = world.client(admin, f"Máy riêng của {unit}.", unit, ["values:read"])
        world.staff(admin, unit, ("administrator",))
        # an ended unit gives nothing any more: what it gave is put there as it was
        mandate = given_long_ago(cluster, unit) if unit.endswith("OLD") else world.must(world.at(unit, "administrator").post("/v1/mandates", {
            "unit": unit, "over": unit, "functions": ["remind"], "document": f"Ủy nhiệm riêng của {unit}."}))
        secret = world.must(admin.get(f"/v1/clients/{client['id']}/secrets"), 200)["items"][0]["id"]
        delegation = str(uuid.uuid4())
        delegation = f"{delegation[:14]}7{delegation[15:]}"
        cluster.query("""INSERT INTO access_grant (id, account_id, organization_id, scope_key, role, valid_from, valid_to, granted_by, delegated_from)
            SELECT %s, %s, g.organization_id, g.scope_key, 'viewer', '2026-01-01', '2099-12-31', g.account_id, g.id
            FROM access_grant g JOIN account a ON a.id = g.account_id WHERE a.username = %s RETURNING 1""",
                      [delegation, account["id"], f"{unit}.administrator".lower()])
        duty = world.must(manager.post("/v1/report-duties", {**samples.body("report_duty_create", unit), "code": f"{unit}-MD", "programme": f"{unit}-MP",
                                                             "title": f"Chế độ báo cáo riêng của {unit}.", "valid_from": "2025-01-01"}))
        reminder, report = reminded(cluster, unit), owed(cluster, unit)
        rest = (assignments[0]["id"], aim["id"], username, account["id"], account["grants"][0]["id"], client["id"], mandate["id"], secret, delegation, decision["id"])
        campaign = campaigns.campaign(world, f"{unit}-MC", manager, programme=f"{unit}-MP", owner=unit, scope=unit, title=f"Chiến dịch riêng của {unit}.")
        activity = world.must(connector.post("/v1/activities", {**samples.body("activity_create", unit), "campaign": f"{unit}-MC",
                                                                "title": f"Hoạt động riêng của {unit}."}))["id"]
        product, recognition = shown_and_commended(cluster, unit)
        world.must(connector.post(f"/v1/campaigns/{unit}-MC/assignments/own", {**LONG_AGO, "organization": unit, "note": f"Nhiệm vụ riêng của {unit}.",
                                                                              "dry_run": False}), 200)
        work = manager.items(f"/v1/campaigns/{unit}-MC/assignments")[0]["id"]
        names = {"code": Names(unit, f"{unit}-MP", f"{unit}-MI", f"{unit}-MS", *rest, f"{unit}-MD", reminder, report, f"{unit}-MC", activity, product, recognition, work),
                 "id": Names(made["id"], programme["id"], indicators[0]["id"], indicators[1]["id"], *rest, duty["id"], reminder, report, campaign["id"], activity, product, recognition, work)}
        cluster.query("""INSERT INTO campaign_review (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, reviewed_on, results,
              on_behalf, seat_id)
            SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, 'interim', '2025-01-15', %s, false, o.id
            FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = 'GD1', organization o WHERE c.code = %s AND o.code = %s RETURNING 1""",
                      [f"Sơ kết riêng của {unit}.", f"{unit}-MC", unit])
        cluster.query("""INSERT INTO campaign_reach (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, of, reached, base,
              base_source, base_on, counted_on, on_behalf, entered_by, seat_id)
            SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, 'core_force', 1, 2, %s, '2025-01-15', '2025-01-15', false, o.code, o.id
            FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = 'GD1', organization o WHERE c.code = %s AND o.code = %s RETURNING 1""",
                      [f"Danh sách riêng của {unit}.", f"{unit}-MC", unit])
        found[unit] = Place(unit, made["id"], made["name"], names, {
            "unit": {made["id"], made["name"]}, "data": {work, f"Nhiệm vụ riêng của {unit}.", f"ghi chú riêng của {unit}.", f"Lời nhắc riêng của {unit}.", reminder, report, f"Cán bộ riêng của {unit}.", *rest[2:],
                                                        f"Máy riêng của {unit}.", f"Sơ kết riêng của {unit}.", f"Danh sách riêng của {unit}.", product, recognition, f"Sản phẩm riêng của {unit}.", f"Mô hình riêng của {unit}.", activity, f"Hoạt động riêng của {unit}.", f"Ủy nhiệm riêng của {unit}.", *(v["id"] for v in values)},
            "definitions": {programme["id"], campaign["id"], f"Chiến dịch riêng của {unit}.", f"Báo cáo nhắc riêng của {unit}.", f"Báo cáo riêng của {unit}.", duty["id"], f"Chế độ báo cáo riêng của {unit}.", f"Chương trình riêng của {unit}.", aim["id"], *(i["id"] for i in indicators), *(a["id"] for a in assignments)}})
    return found


@pytest.fixture(scope="module")
def actors(world):
    """A caller for each seat and role; connectors are clients of the seat."""
    made = {}

    def actor(seat, role):
        if (seat, role) not in made:
            if role == "connector":
                name = f"mx-{seat}"
                world.client(world.at("AA-TU", "administrator"), name, seat, world.contract.schema("ClientScope")["enum"])
                made[seat, role] = world.connector(name)
            else:
                made[seat, role] = world.at(seat, role)
        return made[seat, role]
    return actor


def unseen_marks(places, tree, seat, functions=()):
    """What must not show in any answer to someone in that seat: (text, or a pattern for a code)."""
    areas = [seat, *{"AA-BTG": ["AA-TU"], "AA-W1-XD": ["AA-W1"]}.get(seat, [])]
    marks = set()
    for code, place in places.items():
        if any(tree[code].startswith(tree[a]) for a in areas):
            continue
        marks |= place.secrets["data"]
        if not tree[seat].startswith(tree[code]):
            marks |= place.secrets["unit"] | place.secrets["definitions"] | {re.compile(rf"(?<![\w-]){code}(?![\w-])"), re.compile(rf"(?<![\w-]){code}-M[CDIPS](?!\w)")}
    return marks


@pytest.fixture(scope="module")
def marks(places, cluster):
    tree = dict(cluster.query("SELECT code, scope_key FROM organization"))
    return {seat: unseen_marks(places, tree, seat) for seat in {r.seat for r in RELATIONS.values()}}


def leaks(answer, sent, marks):
    text = answer.body.decode("utf-8", "replace") + " ".join(v for _, v in answer.headers)
    for mark in marks:
        if isinstance(mark, str):
            if mark in text and mark not in sent:
                yield mark
        elif (hit := mark.search(text)) and hit.group() not in sent:
            yield hit.group()


def told(answer, sent):
    """An answer without its trace and without what the request itself named."""
    if answer.type != "application/problem+json":
        return answer.status, answer.body
    problem = answer.json()
    return answer.status, problem["code"], problem.get("detail"), problem["errors"]


def ask(who, op, request):
    path, content, headers, _ = request
    return who.request(op.method, path, content, headers or [])


# ---- the tests -------------------------------------------------------------------------------------------------
def test_every_operation_stands_in_the_matrix(world):
    guarded = {op.id for op in world.contract.operations.values() if op.permission != "public"}
    assert set(CASES) | set(PLAIN) | set(NAMED) == {op_id for op_id in guarded
                                                   if op_id in CASES or not world.contract.operations[op_id].path.startswith(REPORT)}
    assert {op.permission for op in world.contract.operations.values()} <= set().union(*ROLE.values()) | {"public"}


def test_without_a_token_all_is_401(world, places):
    nameless = Caller(world)
    own = places["AA-W1"].names["code"]
    for op_id, cases in CASES.items():
        for case in cases:
            answer = ask(nameless, world.contract.operations[op_id], case(own, own))
            assert answer.status == 401 and answer.code == "unauthenticated" and answer.header("WWW-Authenticate"), answer
            assert "AA-W1-C1" not in answer.text
    for path in [*PLAIN.values(), *NAMED.values()]:
        assert nameless.get(path).status == 401


@pytest.mark.parametrize("name", RELATIONS)
@pytest.mark.parametrize("role", ROLE)
def test_matrix(world, places, actors, marks, role, name):
    relation = RELATIONS[name]
    who, own = actors(relation.seat, role), places[relation.seat].names["code"]
    wrong = []
    for op_id, cases in CASES.items():
        op = world.contract.operations[op_id]
        for case, style in itertools.product(cases, ("code", "id")):
            request = case(places[relation.unit].names[style], own)
            kind = request[3]
            if kind == "path, if unseen" and relation.seen:
                continue
            answer = ask(who, op, request)
            sent = f"{request[0]} {request[1]}"
            right = expected(op, role, name, relation, "body" if kind == "body of one's own" else kind)
            if answer.status not in right:
                wrong.append(f"{op_id} by {style} ({kind}): {answer.status}, not {sorted(right)}: {answer.text[:300]}")
            elif answer.status == 403:
                if answer.code != "forbidden":
                    wrong.append(f"{op_id} by {style}: 403 {answer.code}, not forbidden")
            elif answer.status in (404, 422) and not relation.seen and right <= {404, 422}:
                nothing = case(nobody(relation, places[relation.unit].names[style]), own)
                other = ask(who, op, nothing)
                if told(other, nothing) != told(answer, request):
                    wrong.append(f"{op_id} by {style}: unlike what does not exist: {answer.text[:300]} / {other.text[:300]}")
            wrong += [f"{op_id} by {style}: {leak!r} shows in {answer.text[:300]}" for leak in leaks(answer, sent, marks[relation.seat])]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("seat", sorted({r.seat for r in RELATIONS.values()}))
@pytest.mark.parametrize("role", ROLE)
def test_what_is_listed_lies_in_sight(world, places, actors, marks, role, seat):
    """Whole collections, as JSON over all pages, with everything embedded, as NDJSON and CSV; and one's own page."""
    who, seen = actors(seat, role), 0
    for op_id, path in PLAIN.items():
        answer = who.get(path)
        assert answer.status == (200 if world.contract.operations[op_id].permission in ROLE[role] else 403), answer
        assert not list(leaks(answer, "", marks[seat])), op_id
    for name in COLLECTIONS:
        op = next(o for o in world.contract.operations.values() if o.method == "GET" and o.path == f"/v1/{name}")
        embed = next((world.contract.resolve(p) for p in op.parameters if world.contract.resolve(p)["name"] == "embed"), None)
        headers = [[], *[[("Accept", kind)] for kind in ("text/csv", "application/x-ndjson") if kind in op.node["responses"]["200"]["content"]]]
        for more in headers:
            query = {"limit": 1000}
            if embed is not None and not more:
                pattern = embed["schema"].get("items", embed["schema"]).get("enum") or []
                query["embed"] = ",".join(pattern) or None
            while True:
                answer = who.get(f"/v1/{name}", more, **{k: v for k, v in query.items() if not more or k != "limit"})
                assert answer.status == (200 if op.permission in ROLE[role] else 403), answer
                seen += answer.status == 200
                # a duty names whom it is addressed to, to everyone it holds for
                named = " ".join(i["to"] or "" for i in answer.json()["items"]) if name == "report-duties" and answer.status == 200 else ""
                assert not list(leaks(answer, named, marks[seat])), (name, more, list(leaks(answer, named, marks[seat])))
                if more or answer.status != 200 or answer.json()["page"]["next"] is None:
                    break
                query["cursor"] = answer.json()["page"]["next"]
    assert seen


def test_searching_finds_nothing_out_of_sight(world, places, actors, marks):
    for text in ("Đại Phước", "dai phuoc", "Phường Một", "AA-W2", "riêng", "a"):
        answer = actors("AA-W1", "viewer").get(address("/v1/organizations", q=text))
        assert answer.status in (200, 422), answer
        assert not list(leaks(answer, text, marks["AA-W1"])), text


def test_the_search_for_leaks_finds_them(world, places, marks):
    """Someone further up is answered with what a ward must never see."""
    for path in ("/v1/organizations", "/v1/values", "/v1/programmes", "/v1/organizations/AA-W2", "/v1/values/AA-W2-MI/AA-W2/" + PERIOD):
        answer = world.at("AA-TU", "viewer").get(path, **({"limit": 1000} if path.count("/") == 2 else {}))
        assert answer.status == 200 and list(leaks(answer, "", marks["AA-W1"])), path
    assert list(leaks(world.at("AA-TU", "administrator").get("/v1/accounts", limit=1000), "", marks["AA-W1"]))
