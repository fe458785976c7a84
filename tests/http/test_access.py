"""Accounts, grants, clients and mandates."""
import pytest
from harness import samples


@pytest.fixture
def admin(world):
    return world.at("AA-TU", "administrator")


@pytest.fixture
def username():
    return samples.fresh("aa.nguoi").lower()


def test_an_account_with_its_grants(world, admin, username):
    answer = admin.post("/v1/accounts", {"username": username, "display_name": "Người mới", "password": "mot-mat-khau-rat-dai",
                                         "grants": [{"organization": "AA-W1", "role": "reporter"}, {"organization": "AA-W2", "role": "viewer"}]})
    assert answer.status == 201
    body = answer.json()
    assert {(g["organization"]["code"], g["role"]) for g in body["grants"]} == {("AA-W1", "reporter"), ("AA-W2", "viewer")}
    assert "password" not in body and "hash" not in answer.text
    assert world.login(username, password="mot-mat-khau-rat-dai").status == 201
    listed = admin.items("/v1/accounts", username=username)
    assert len(listed) == 1 and listed[0]["organization"]["code"] == "AA-W1"
    assert {g["role"] for g in admin.items("/v1/grants", account=username)} == {"reporter", "viewer"}


def test_weak_and_repeated_names(admin, username):
    body = {"username": username, "display_name": "x", "grants": [{"organization": "AA-W1", "role": "viewer"}]}
    for password in ("", "short", "x" * 2000):
        answer = admin.post("/v1/accounts", {**body, "password": password})
        assert answer.status == 422 and "#/password" in answer.pointers(), answer
    for bad in ("", "ab", "a b", "é.x.y", "-abc", "a" * 65):
        assert admin.post("/v1/accounts", {**body, "username": bad}).status == 422, bad


def test_a_taken_username_is_409_wherever_it_is_and_names_no_row(admin):
    for taken in ("aa-w1.viewer", "bb-w1.viewer", "AA-W1.viewer"):
        answer = admin.post("/v1/accounts", {"username": taken, "display_name": "x", "grants": [{"organization": "AA-W1", "role": "viewer"}]})
        if answer.status == 422:
            assert taken != taken.lower()
            continue
        assert answer.status == 409 and answer.faults() == {("#/username", "username_taken")}
        assert "BB" not in answer.text and "Bảo" not in answer.text


def test_administrators_stay_in_their_subtree(world, username):
    ward = world.at("AA-W1", "administrator")
    body = {"username": username, "display_name": "x"}
    seen = set()
    for unit in ("AA-W2", "AA-TU", "BB-W1", "NO-SUCH"):
        answer = ward.post("/v1/accounts", {**body, "grants": [{"organization": unit, "role": "viewer"}]})
        assert answer.status == 422, (unit, answer)
        seen.add(str(answer.json()["errors"]))
        assert ward.post("/v1/accounts", {**body, "organization": unit}).status == 422
        assert ward.post("/v1/grants", {"account": "aa-w1.viewer", "organization": unit, "role": "viewer"}).status == 422
        assert ward.post("/v1/clients", {"name": "x", "organization": unit, "scopes": ["values:read"]}).status == 422
    assert len(seen) == 1
    everyone = {a["username"] for a in ward.items("/v1/accounts", limit=3)}
    assert "aa-w1.viewer" in everyone and "aa-w1-c1.viewer" in everyone
    assert not everyone & {"aa-w2.viewer", "aa-tu.viewer", "bb-w1.viewer"}
    assert {g["organization"]["code"] for g in ward.items("/v1/grants")} <= {"AA-W1", "AA-W1-XD", "AA-W1-C1"}


def test_nobody_grants_to_their_own_account(world):
    ward = world.at("AA-W1", "administrator")
    answer = ward.post("/v1/grants", {"account": "aa-w1.administrator", "organization": "AA-W1", "role": "manager"})
    assert answer.status == 403, answer


def test_an_account_of_elsewhere_reads_like_a_nonexistent_one(world):
    ward = world.at("AA-W1", "administrator")
    answers = [ward.post("/v1/grants", {"account": a, "organization": "AA-W1", "role": "viewer"}) for a in ("aa-w2.viewer", "bb-w1.viewer", "no.such.one")]
    assert {a.status for a in answers} == {422} and len({str(a.json()["errors"]) for a in answers}) == 1


def test_grants_have_days(world, admin, username, moved):
    world.account(admin, username)
    grant = admin.post("/v1/grants", {"account": username, "organization": "AA-W1", "role": "viewer", "valid_from": "2099-01-01"})
    assert grant.status == 201
    assert world.login(username).status == 403, "not yet"
    assert admin.post("/v1/grants", {"account": username, "organization": "AA-W1", "role": "viewer", "valid_from": "2026-02-01",
                                     "valid_to": "2026-01-01"}).status == 422


def test_a_grant_ends_at_midnight_in_vietnam(world, admin, username, cluster, moved, caller):
    world.account(admin, username)
    today = cluster.query("SELECT today()")[0][0]
    assert admin.post("/v1/grants", {"account": username, "organization": "AA-W1", "role": "viewer", "valid_to": today.isoformat()}).status == 201
    me = caller(world.login(username).json()["access_token"])
    assert me.get("/v1/me").status == 200
    left = cluster.query("""SELECT extract(epoch FROM ((today() + 1)::timestamp AT TIME ZONE 'Asia/Ho_Chi_Minh') - clock_now())""")[0][0]
    moved.move(float(left) - 5)
    me = caller(world.login(username).json()["access_token"])
    assert me.get("/v1/me").status == 200
    moved.move(float(left) + 5)
    assert me.get("/v1/me").code == "invalid_token"
    assert world.login(username).status == 403


def test_roles_and_holders_fit(world, admin):
    client_id = world.clients["aa"][0]
    for body in ({"account": "aa-w1.viewer", "role": "connector"}, {"client": client_id, "role": "viewer"}, {"role": "viewer"},
                 {"account": "aa-w1.viewer", "client": client_id, "role": "viewer"}, {"account": "aa-w1.viewer", "role": "god"}):
        assert admin.post("/v1/grants", {"organization": "AA-W1", **body}).status == 422, body


def test_a_client_and_its_secret(world, admin, caller):
    made = world.client(admin, samples.fresh("may"), "AA-W1", ["organizations:read", "values:read"])
    name = made["name"]
    token = caller(world.client_token(name).json()["access_token"])
    assert token.get("/v1/organizations/AA-W1").status == 200
    assert token.get("/v1/organizations/AA-W2").status == 404
    assert token.get("/v1/programmes").code == "insufficient_scope"
    listed = admin.get("/v1/clients", organization="AA-W1")
    assert name in listed.text and made["client_secret"] not in listed.text
    for scopes in ([], ["accounts:write"], ["values:read", "values:read"], ["no:such"]):
        assert admin.post("/v1/clients", {"name": "x", "organization": "AA-W1", "scopes": scopes}).status == 422, scopes


def test_staff_is_for_administrators(world):
    for role in ("viewer", "reporter", "approver", "manager", "inspector"):
        for path in ("/v1/accounts", "/v1/grants", "/v1/clients"):
            answer = world.at("AA-TU", role).get(path)
            assert answer.code == "forbidden" and role in answer.json()["detail"] and "administrator" in answer.json()["detail"]
            assert answer.header("WWW-Authenticate") is None, "another token would not help"


def test_mandates_are_listed_to_giver_and_holder(world, admin):
    assert {m["unit"]["code"] for m in admin.items("/v1/mandates") if m["unit"]} >= {"AA-BTG"}
    mine = world.at("AA-BTG", "viewer").items("/v1/mandates")
    assert "AA-BTG" in {m["unit"]["code"] for m in mine if m["unit"]}
    assert world.at("BB-TU", "administrator").items("/v1/mandates") == []
    assert {m["unit_kind"] for m in admin.items("/v1/mandates", unit_kind="party_building_board")} == {"party_building_board"}


@pytest.mark.parametrize("change", [
    {}, {"unit": "AA-BTG"}, {"unit": "AA-BTG", "over": "BB-TU"}, {"unit": "BB-W1", "over": "AA-W1"}, {"unit_kind": "party_building_board"},
    {"unit_kind": "no_such", "over_parent": True}, {"unit": "AA-BTG", "unit_kind": "party_cell", "over": "AA-W1"},
    {"unit": "AA-BTG", "over": "AA-W1", "programme": "BB-P"}, {"unit": "AA-BTG", "over": "AA-W1", "functions": []},
    {"unit": "AA-BTG", "over": "AA-W1", "functions": ["own"]}])
def test_wrong_mandates(admin, change):
    answer = admin.post("/v1/mandates", {"functions": ["read"], **change})
    assert answer.status == 422, answer


def test_a_mandate_for_one_programme_shows_that_programme_alone(world, admin, caller):
    manager = world.at("AA-TU", "manager")
    other = samples.fresh("AA-P")
    world.must(manager.post("/v1/programmes", {"code": other, "title": "Khác", "owner": "AA-TU", "scope": "AA-TU"}))
    indicator = world.indicator(manager, samples.fresh("AA-I"), other, "number")["code"]
    world.assign(manager, indicator, organization="AA-W2")
    value = {"number": 1}
    world.must(world.at("AA-W2", "reporter").enter(indicator, "AA-W2", "2026-Q1", value))
    world.must(world.at("AA-W2", "reporter").enter("AA-SUM", "AA-W2", "2026-Q1", value))
    unit = samples.fresh("AA-U")
    world.unit(manager, unit, "Tổ giúp việc", "advisory_support_agency", "AA-TU")
    world.must(admin.post("/v1/mandates", {"unit": unit, "over": "AA-W2", "functions": ["read"], "programme": other}))
    world.account(admin, f"{unit}.viewer".lower(), (unit, "viewer"))
    seen = world.at(unit, "viewer")
    assert seen.get("/v1/organizations/AA-W2").status == 200
    assert {v["indicator"] for v in seen.items("/v1/values", organization="AA-W2")} == {indicator}
    assert seen.get("/v1/organizations/AA-W1").status == 404


def test_a_mandate_begins_and_ends_by_its_days(world, admin):
    manager = world.at("AA-TU", "manager")
    unit = samples.fresh("AA-U")
    world.unit(manager, unit, "Tổ công tác", "advisory_support_agency", "AA-TU")
    world.account(admin, f"{unit}.viewer".lower(), (unit, "viewer"))
    seen = world.at(unit, "viewer")
    for days in ({"valid_from": "2099-01-01"}, {"valid_from": "2020-01-01", "valid_to": "2020-12-31"}):
        world.must(admin.post("/v1/mandates", {"unit": unit, "over": "AA-W1", "functions": ["read"], **days}))
        assert seen.get("/v1/organizations/AA-W1").status == 404
    world.must(admin.post("/v1/mandates", {"unit": unit, "over": "AA-W1", "functions": ["read"]}))
    assert seen.get("/v1/organizations/AA-W1").status == 200, "the scope is of now, not of the token"
