"""What is taken back, ended, moved or rotated holds from the next request on, on every process of the service."""
import pytest
from harness import samples
from harness.service import Service
from harness.world import CELL, WARD, Caller

VALUE = "/v1/values/AA-RATIO/{}/2026-Q1"


@pytest.fixture(scope="module")
def second(cluster, directory, clock, world):
    """Another process over the same database."""
    made = Service(cluster, directory, clock, seal_interval_ms=50, quick_statement_timeout_ms=10000, quick_lock_timeout_ms=3000, pool_wait_ms=10000,
                   issuer=world.service.env["TIENDO_ISSUER"]).start()
    yield made
    made.assert_clean(made.stop())


@pytest.fixture
def everywhere(world, second):
    """The same token on both processes, each asked before, so that both have seen it and remember it."""
    def callers(token):
        made = [Caller(world, token), Caller(world, token, second.http())]
        assert [c.get("/v1/me").status for c in made] == [200, 200]
        return made
    return callers


@pytest.fixture
def person(world):
    """An account of its own at AA-W1: (username, id, grant)."""
    username = samples.fresh("nguoi").lower()
    made = world.account(world.at("AA-TU", "administrator"), username, ("AA-W1", "manager"))
    return username, made["id"], made["grants"][0]["id"]


def statuses(callers, path):
    return {c.get(path).status for c in callers}


def tag(by, path):
    return [("If-Match", by.get(path).etag)]


def test_a_suspended_account(world, everywhere, person):
    admin, (username, account, _) = world.at("AA-TU", "administrator"), person
    callers = everywhere(world.as_(username).token)
    assert admin.patch(f"/v1/accounts/{account}", {"status": "suspended"}, "*").status == 200
    assert statuses(callers, "/v1/me") == {401}


def test_a_killed_session(world, everywhere, person):
    session = world.login(person[0]).json()
    callers = everywhere(session["access_token"])
    assert callers[0].request("DELETE", f"/v1/me/sessions/{callers[1].get('/v1/me').json()['session']}").status == 204
    assert statuses(callers, "/v1/me") == {401}


def test_an_ended_grant(world, everywhere, person):
    admin, (username, _, grant) = world.at("AA-TU", "administrator"), person
    callers = everywhere(world.as_(username).token)
    path = f"/v1/grants/{grant}"
    assert admin.request("DELETE", path, None, tag(admin, path)).status == 204
    assert statuses(callers, "/v1/organizations/AA-W1") == {401}


def test_an_ended_mandate(world, everywhere):
    admin = world.at("AA-TU", "administrator")
    unit = samples.fresh("AA-BAN")
    world.unit(world.at("AA-TU", "manager"), unit, "Ban mới", "advisory_support_agency", "AA-TU")
    world.staff(admin, unit, ("viewer",))
    mandate = world.must(admin.post("/v1/mandates", {"unit": unit, "over": "AA-W1", "functions": ["read"], "valid_from": "2025-01-01"}))
    callers = everywhere(world.at(unit, "viewer").token)
    assert statuses(callers, "/v1/organizations/AA-W1-C1") == {200}
    path = f"/v1/mandates/{mandate['id']}"
    assert admin.request("DELETE", path, None, tag(admin, path)).status == 204
    assert statuses(callers, "/v1/organizations/AA-W1-C1") == {404}


def test_a_moved_unit(world, everywhere):
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    old, new = samples.fresh("AA-CU"), samples.fresh("AA-MOI")
    for code in (old, new):
        world.unit(manager, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
        world.staff(admin, code, ("manager",))
    cell = f"{old}-C"
    world.unit(manager, cell, "Chi bộ", CELL, old)
    world.staff(admin, cell, ("reporter", "viewer"))
    world.must(world.connector().enter("AA-RATIO", cell, "2026-Q1", {"numerator": 1, "denominator": 2}))
    before, after, own = (everywhere(world.at(*who).token) for who in ((old, "manager"), (new, "manager"), (cell, "viewer")))
    assert statuses(before, VALUE.format(cell)) == {200} and statuses(after, VALUE.format(cell)) == {404}
    world.must(manager.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-07-01", "steps": [
        {"kind": "move", "organization": cell, "parent": new}]}))
    assert statuses(before, VALUE.format(cell)) == {404} and statuses(after, VALUE.format(cell)) == {200} == statuses(own, VALUE.format(cell))
    assert {c.get("/v1/organizations/" + old).status for c in own} == {404}


def test_an_ended_unit(world, everywhere):
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    old, new = samples.fresh("AA-CU"), samples.fresh("AA-MOI")
    for code in (old, new):
        world.unit(manager, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
        world.staff(admin, code, ("reporter",))
    callers = everywhere(world.at(old, "reporter").token)
    heirs = everywhere(world.at(new, "reporter").token)
    assert statuses(heirs, f"/v1/organizations/{old}") == {404}
    world.must(manager.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-07-01", "steps": [
        {"kind": "merge", "organizations": [old], "into": new}]}))
    assert {c.enter("AA-SUM", old, "2026-Q1", {"number": 1}).status for c in callers} == {403}
    assert statuses(callers, f"/v1/organizations/{old}") == {200} == statuses(heirs, f"/v1/organizations/{old}")


def test_a_narrowed_and_an_ended_client(world, everywhere):
    admin = world.at("AA-TU", "administrator")
    name = samples.fresh("may")
    client = world.client(admin, name, "AA-W1", ["values:read", "organizations:read"])
    callers = everywhere(world.connector(name).token)
    path = f"/v1/clients/{client['id']}"
    assert admin.patch(path, {"scopes": ["values:read"]}, "*").status == 200
    assert statuses(callers, "/v1/organizations") == {403} and statuses(callers, "/v1/values") == {200}
    assert admin.request("DELETE", path, None, tag(admin, path)).status == 204
    assert statuses(callers, "/v1/values") == {401}


def test_a_rotated_key(world, everywhere, second, moved):
    """The key before is good for its tokens' time and no longer; tokens of the new one are taken at once by both."""
    callers = everywhere(world.at("AA-W1", "viewer").token)
    world.service.command("keys", "rotate")
    fresh = everywhere(world.login("aa-w1.viewer").json()["access_token"])
    assert statuses(callers, "/v1/me") == {200}
    world.service.cluster.query("UPDATE tiendo.signing_key SET accepted_until = clock_now() - interval '1 second' WHERE signs_until IS NOT NULL")
    assert statuses(callers, "/v1/me") == {401} and statuses(fresh, "/v1/me") == {200}


def test_a_delegation_ends_with_what_it_came_from(world, everywhere, person):
    admin, (username, _, grant) = world.at("AA-TU", "administrator"), person
    other = samples.fresh("nguoi").lower()
    world.account(admin, other, ("AA-W1-C1", "viewer"))
    made = world.must(world.as_(username).post("/v1/delegations", {"account": other, "organization": "AA-W1-C2", "valid_to": "2026-12-31"}))
    callers = everywhere(world.login(other, made["id"]).json()["access_token"])
    assert statuses(callers, "/v1/organizations/AA-W1-C2") == {200}
    path = f"/v1/grants/{grant}"
    assert admin.request("DELETE", path, None, tag(admin, path)).status == 204
    assert statuses(callers, "/v1/organizations/AA-W1-C2") == {401}


def test_a_delegation_goes_no_further_than_its_giver(world, everywhere):
    """A delegated cell that is moved to another ward is out of its giver's reach, and so of the delegate's."""
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    old, new, other = samples.fresh("AA-CU"), samples.fresh("AA-MOI"), samples.fresh("nguoi").lower()
    for code in (old, new):
        world.unit(manager, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
    world.staff(admin, old, ("manager",))
    cell, stays = f"{old}-C", f"{old}-D"
    for code in (cell, stays):
        world.unit(manager, code, "Chi bộ", CELL, old)
    world.account(admin, other, (new, "viewer"))
    giver = world.at(old, "manager")
    moves, keeps = (world.must(giver.post("/v1/delegations", {"account": other, "organization": code, "valid_to": "2026-12-31"}))
                    for code in (cell, stays))
    delegates = everywhere(world.login(other, moves["id"]).json()["access_token"])
    beside = everywhere(world.login(other, keeps["id"]).json()["access_token"])
    assert statuses(delegates, "/v1/organizations/" + cell) == {200}
    world.must(manager.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-07-01", "steps": [
        {"kind": "move", "organization": cell, "parent": new}]}))
    assert statuses(delegates, "/v1/organizations/" + cell) == {401} and statuses(beside, "/v1/organizations/" + stays) == {200}
    assert {d["id"]: d["holds"] for d in giver.get("/v1/delegations").json()["items"]} == {moves["id"]: False, keeps["id"]: True}
    assert world.login(other, moves["id"]).status == 422


def test_a_mandate_goes_no_further_than_its_giver(world, everywhere):
    """What a ward entrusted over a cell ends when that cell goes to another ward."""
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    old, new = samples.fresh("AA-CU"), samples.fresh("AA-MOI")
    for code in (old, new):
        world.unit(manager, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
    world.staff(admin, old, ("administrator",))
    helper, cell = f"{old}-C", f"{old}-D"
    for code in (helper, cell):
        world.unit(manager, code, "Chi bộ", CELL, old)
    world.staff(admin, helper, ("viewer", "manager"))
    world.must(world.at(old, "administrator").post("/v1/mandates", {
        "unit": helper, "over": cell, "functions": ["read", "define"], "valid_from": "2025-01-01"}))
    viewers, definers = everywhere(world.at(helper, "viewer").token), everywhere(world.at(helper, "manager").token)
    assert statuses(viewers, "/v1/organizations/" + cell) == {200} and len(viewers[0].get("/v1/me").json()["mandates"]) == 1
    world.must(manager.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-07-01", "steps": [
        {"kind": "move", "organization": cell, "parent": new}]}))
    assert statuses(viewers, "/v1/organizations/" + cell) == {404} and viewers[0].get("/v1/me").json()["mandates"] == []
    assert {c.patch(f"/v1/organizations/{cell}", {"note": "x"}, "*").status for c in definers} == {404}
