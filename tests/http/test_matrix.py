"""Role × operation × place of the unit: what the contract's permission and the role matrix say, for every combination.

The roles' permissions below are written down from the design, not read from the service. What a caller may is decided by three
questions in this order: does the role hold the operation's permission (else 403), does the caller see the unit (else 404 in a path, 422
in a body or filter), may it write there (else 403)."""
import pytest
from harness import samples
from harness.contract import Contract
from harness.world import ROLES

CONTRACT = Contract()
READ = {"me:read", "organizations:read", "programmes:read", "indicators:read", "periods:read", "values:read", "progress:read", "mandates:read"}
DEFINE = {"organizations:write", "programmes:write", "indicators:write"}
STAFF = {f"{what}:{how}" for what in ("accounts", "clients", "grants") for how in ("read", "write")} | {"mandates:write"}
MATRIX = {"viewer": READ, "reporter": READ | {"values:write"}, "approver": READ | {"values:write"}, "manager": READ | {"values:write"} | DEFINE,
          "administrator": READ | STAFF, "inspector": READ}
ROLES_BY = [role for role in ROLES]

# seat → the unit that stands in each relation to it
PLACES = {
    "AA-W1": {"own": "AA-W1", "subordinate": "AA-W1-C1", "superior": "AA-TU", "sibling": "AA-W2", "foreign": "BB-W1", "ended": "AA-W1-OLD"},
    "AA-BTG": {"own": "AA-BTG", "mandated": "AA-W2", "mandated ended": "AA-OLD", "mandated superior": "AA-TU", "foreign": "BB-W1"},
    "AA-W1-XD": {"own": "AA-W1-XD", "mandated": "AA-W1-C2", "mandated superior": "AA-W1", "superior": "AA-TU", "sibling": "AA-W2", "foreign": "BB-W1"},
}
SEES = {"own", "subordinate", "ended", "mandated", "mandated ended", "mandated superior"}
# What a mandate entrusts: AA-BTG read, define, enter; AA-W1-XD read, enter. Staff is entrusted by none.
ENTRUSTED = {"AA-BTG": {"define", "enter"}, "AA-W1-XD": {"enter"}}


def kind_of(permission):
    return "define" if permission in DEFINE else "enter" if permission == "values:write" else "staff"


def may_write(seat, place, permission):
    if place.startswith("mandated"):
        return kind_of(permission) in ENTRUSTED[seat]
    return place in SEES


OPERATIONS = {
    # operation: (where the unit is named, the request)
    "organization_get": ("path", lambda u: ("GET", f"/v1/organizations/{u}", None, [])),
    "organization_children": ("path", lambda u: ("GET", f"/v1/organizations/{u}/children", None, [])),
    "organization_ancestors": ("path", lambda u: ("GET", f"/v1/organizations/{u}/ancestors", None, [])),
    "organization_subtree": ("path", lambda u: ("GET", f"/v1/organizations/{u}/subtree", None, [])),
    "organization_list": ("filter", lambda u: ("GET", f"/v1/organizations?under={u}", None, [])),
    "value_list": ("filter", lambda u: ("GET", f"/v1/values?organization={u}", None, [])),
    "value_sheet": ("filter", lambda u: ("GET", f"/v1/values/sheet?organization={u}&period=2025-Q4", None, [])),
    "progress": ("filter", lambda u: ("GET", f"/v1/progress?organization={u}&period=2025-Q4", None, [])),
    "progress_explain": ("filter", lambda u: ("GET", f"/v1/progress/explain?organization={u}&period=2025-Q4&indicator=AA-SUM", None, [])),
    "account_list": ("filter", lambda u: ("GET", f"/v1/accounts?organization={u}", None, [])),
    "grant_list": ("filter", lambda u: ("GET", f"/v1/grants?organization={u}", None, [])),
    "client_list": ("filter", lambda u: ("GET", f"/v1/clients?organization={u}", None, [])),
    "organization_update": ("path", lambda u: ("PATCH", f"/v1/organizations/{u}", {"note": samples.fresh("ghi chú")}, [("If-Match", "*")])),
    "organization_create": ("body", lambda u: ("POST", "/v1/organizations", {**samples.body("organization_create", u), "valid_from": "2025-06-01", "valid_to": "2025-06-02"}, [])),
    "programme_create": ("body", lambda u: ("POST", "/v1/programmes", samples.body("programme_create", u), [])),
    "account_create": ("body", lambda u: ("POST", "/v1/accounts", {**samples.body("account_create", u), "password": "mot-mat-khau-rat-dai"}, [])),
    "grant_create": ("body", lambda u: ("POST", "/v1/grants", samples.body("grant_create", u), [])),
    "client_create": ("body", lambda u: ("POST", "/v1/clients", samples.body("client_create", u), [])),
    "mandate_create": ("body", lambda u: ("POST", "/v1/mandates", {"unit": u, "over": u, "functions": ["read"]}, [])),
}


def expected(seat, role, op, where, place):
    permission = CONTRACT.operations[op].permission
    if permission not in MATRIX[role]:
        return {403}
    if place not in SEES:
        return {404 if where == "path" else 422}
    if CONTRACT.operations[op].method == "GET" or may_write(seat, place, permission):
        return {200, 201}
    return {403}


CASES = [(seat, role, op, place) for seat, places in PLACES.items() for role in ROLES_BY for op in OPERATIONS for place in places]


@pytest.mark.parametrize("seat", PLACES)
@pytest.mark.parametrize("role", ROLES_BY)
@pytest.mark.parametrize("op", OPERATIONS)
def test_every_place(world, seat, role, op):
    where, request = OPERATIONS[op]
    by = world.at(seat, role)
    for place, unit in PLACES[seat].items():
        if op == "grant_create" and role == "administrator" and place in SEES and seat != "AA-W1":
            continue  # the account to give to lies in AA-W1
        answer = by.request(*request(unit))
        allowed = expected(seat, role, op, where, place)
        if where == "filter" and allowed == {422} and answer.status == 200:
            assert answer.json()["items"] == [] and op == "client_list", "where there is nothing to filter, nothing is found"
            continue
        assert answer.status in allowed, (place, unit, allowed, answer)
        if answer.status >= 400:
            assert answer.type == "application/problem+json" and "items" not in answer.json()
            if place not in SEES:
                for unseen in ("Đại Phước", "phường Một", "An Bình"):
                    assert unseen not in answer.text, (place, answer)


def entering(seat, role, place, unit):
    """Whose value who may enter: AA-SUM is assigned to wards (self) and cells (superior)."""
    if "values:write" not in MATRIX[role]:
        return {403}
    if place not in SEES:
        return {404}
    if place == "own" or (place == "subordinate" and role != "viewer") or place == "ended":
        return {200, 201} if unit not in ("AA-BTG", "AA-W1-XD") else {422}
    return {200, 201} if unit in ("AA-W2", "AA-W1", "AA-W1-C2") else {422}


@pytest.mark.parametrize("seat", PLACES)
@pytest.mark.parametrize("role", ROLES_BY)
def test_entering_values(world, seat, role):
    by, all_seeing = world.at(seat, role), {"AA": world.at("AA-TU", "manager"), "BB": world.at("BB-TU", "manager")}
    for place, unit in PLACES[seat].items():
        if unit == "AA-OLD":
            continue  # a committee that ended before the period and was never assigned: test_values.py
        path = f"/v1/values/AA-SUM/{unit}/2025-Q4"
        present = all_seeing[unit[:2]].get(path)
        condition = [("If-Match", present.etag)] if present.status == 200 else [("If-None-Match", "*")]
        answer = by.put(path, {"number": len(role) + len(unit)}, condition)
        assert answer.status in entering(seat, role, place, unit), (place, unit, answer)
        after = all_seeing[unit[:2]].get(path)
        if answer.status >= 400:
            assert (after.status, after.etag) == (present.status, present.etag), "nothing was changed"
        reading = by.get(path)
        assert reading.status == (404 if place not in SEES else after.status)


GUARDED = sorted(op.id for op in CONTRACT.operations.values() if op.permission != "public")


@pytest.mark.parametrize("role,op", [(role, op) for role in ROLES_BY for op in GUARDED if CONTRACT.operations[op].permission not in MATRIX[role]])
def test_a_role_without_the_permission_is_403_and_changes_nothing(world, cluster, role, op):
    operation = CONTRACT.operations[op]
    before = cluster.query("SELECT count(*) FROM journal")
    answer = world.at("AA-W1", role).request(operation.method, samples.address(world, operation, organization="AA-W1"), samples.body(op), samples.headers(operation))
    assert answer.status == 403 and answer.code == "insufficient_scope", answer
    assert 'error="insufficient_scope"' in answer.header("WWW-Authenticate")
    assert cluster.query("SELECT count(*) FROM journal") == before


@pytest.mark.parametrize("op", GUARDED)
def test_a_client_is_held_to_its_scopes(world, op, caller):
    operation = CONTRACT.operations[op]
    scope = "values:read" if operation.permission != "values:read" else "periods:read"
    name = "held to " + scope
    if name not in world.clients:
        world.client(world.at("AA-TU", "administrator"), name, "AA-TU", [scope])
    by = caller(world.client_token(name).json()["access_token"])
    answer = by.request(operation.method, samples.address(world, operation), samples.body(op), samples.headers(operation))
    if op == "me_get":
        assert answer.status == 200, "who one is, everybody may know"
    else:
        assert answer.status == 403 and answer.code == "insufficient_scope", answer


def test_me_tells_the_same_permissions(world):
    for role in ROLES_BY:
        assert set(world.at("AA-W1", role).get("/v1/me").json()["permissions"]) == MATRIX[role]
    assert set(world.connector().get("/v1/me").json()["permissions"]) - {"me:read"} <= READ | DEFINE | {"values:write"}


def test_a_connector_enters_in_its_whole_subtree_and_no_further(world):
    machine = world.connector()
    assert machine.enter("AA-SUM", "AA-W2", "2025-Q1", {"number": 1}).status == 201
    assert machine.enter("AA-RATIO", "AA-W2-C1", "2025-Q1", {"numerator": 1, "denominator": 1}).status == 201
    assert machine.enter("BB-RATIO", "BB-W1-C1", "2025-Q1", {"numerator": 1, "denominator": 1}).status == 404
