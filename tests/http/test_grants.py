"""Taking access back: grants, mandates, clients and their secrets, delegations."""
import base64
import csv
import io
import threading

import pytest
from harness import samples
from harness.crowd import wait_for

FORM = [("Content-Type", "application/x-www-form-urlencoded")]


@pytest.fixture
def admin(world):
    return world.at("AA-TU", "administrator")


@pytest.fixture
def today(cluster):
    return cluster.query("SELECT today()")[0][0]


@pytest.fixture
def person(world, admin, caller):
    """Makes an account with one grant; answers (caller, grant, username)."""
    def make(unit="AA-W1", role="viewer", **more):
        username = samples.fresh("aa.cap").lower()
        made = world.account(admin, username, (unit, role), **more)
        return caller(world.login(username).json()["access_token"]), made["grants"][0], username
    return make


def end(by, path, etag="*"):
    return by.request("DELETE", path, None, [("If-Match", etag)] if etag else [])


def journalled(cluster, resource):
    return cluster.query("SELECT action, resource_type, after FROM journal WHERE resource_id = %s ORDER BY seq", [resource])


# ---- grants --------------------------------------------------------------------------------------------------
def test_an_ended_grant_is_obeyed_at_once_and_stays_readable(world, admin, person, cluster):
    me, grant, username = person()
    path = f"/v1/grants/{grant['id']}"
    assert me.get("/v1/me").status == 200
    etag = admin.get(path).etag
    assert end(admin, path, None).status == 428 and end(admin, path, '"99"').status == 412
    assert end(admin, path, etag).status == 204
    assert me.get("/v1/me").code == "invalid_token"
    assert world.login(username).status == 403
    left = admin.get(path).json()
    assert left["revoked_at"] and left["revoked_by"]["account"] == "aa-tu.administrator" and left["revoked_by"]["organization"]["code"] == "AA-TU"
    assert end(admin, path).status == 204, "what has ended stays ended"
    assert admin.get(path).json() == left
    assert admin.patch(path, {"valid_to": None}, "*").code == "already_ended"
    assert [row[:2] for row in journalled(cluster, grant["id"])] == [("create", "grant"), ("end", "grant")]
    assert cluster.query("SELECT revoked_reason FROM session WHERE grant_id = %s", [grant["id"]]) == [("grant ended",)]


def test_a_grants_last_day_moves(world, admin, person, today):
    me, grant, _ = person()
    path = f"/v1/grants/{grant['id']}"
    changed = admin.patch(path, {"valid_to": today.isoformat()}, admin.get(path).etag)
    assert changed.status == 200 and changed.json()["valid_to"] == today.isoformat() and changed.json()["version"] == 2
    assert me.get("/v1/me").status == 200
    wrong = admin.patch(path, {"valid_to": "2020-01-01"}, "*")
    assert wrong.status == 422 and wrong.faults() == {("#/valid_to", "ends_before_start")}
    assert admin.patch(path, {"role": "manager"}, "*").faults() == {("#/role", "unknown_field")}


def test_equal_grants_do_not_overlap(admin, person, today):
    _, grant, username = person()
    body = {"account": username, "organization": "AA-W1", "role": "viewer"}
    answer = admin.post("/v1/grants", body)
    assert answer.status == 409 and answer.code == "already_granted"
    assert admin.post("/v1/grants", {**body, "role": "reporter"}).status == 201
    assert admin.post("/v1/grants", {**body, "organization": "AA-W2"}).status == 201
    assert end(admin, f"/v1/grants/{grant['id']}").status == 204
    again = admin.post("/v1/grants", {**body, "valid_to": "2099-12-31"})
    assert again.status == 201, "after the first has ended"
    later = admin.post("/v1/grants", {**body, "valid_from": "2100-01-01"})
    assert later.status == 201
    longer = admin.patch(f"/v1/grants/{again.json()['id']}", {"valid_to": "2100-01-01"}, "*")
    assert longer.status == 409 and longer.code == "already_granted"


def test_equal_grants_at_once_leave_one(world, admin, person, caller):
    _, _, username = person()
    body = {"account": username, "organization": "AA-W2", "role": "inspector"}
    callers = [caller(admin.token) for _ in range(6)]
    answers = []
    threads = [threading.Thread(target=lambda c=c: answers.append(c.post("/v1/grants", body).status)) for c in callers]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert answers.count(201) == 1 and set(answers) <= {201, 409, 503}, answers


def test_roles_and_holders_say_what_is_wrong(world, admin, person):
    _, _, username = person()
    for body, detail in (({"account": username, "role": "connector"}, "clients"), ({"client": world.clients["aa"][0], "role": "viewer"}, "connector")):
        answer = admin.post("/v1/grants", {"organization": "AA-W1", **body})
        assert answer.faults() == {("#/role", "invalid_role")} and detail in answer.text
    turned = admin.post("/v1/grants", {"account": username, "organization": "AA-W1", "role": "manager", "valid_from": "2026-02-01", "valid_to": "2026-01-01"})
    assert turned.faults() == {("#/valid_to", "ends_before_start")}


def test_nobody_changes_their_own_grants(world):
    ward = world.at("AA-W1", "administrator")
    own = ward.get("/v1/me").json()["grant"]["id"]
    assert ward.patch(f"/v1/grants/{own}", {"valid_to": None}, "*").code == "forbidden"
    assert end(ward, f"/v1/grants/{own}").code == "forbidden"
    assert ward.get("/v1/me").status == 200


def test_grants_of_elsewhere_do_not_exist(world, person):
    _, grant, _ = person("AA-W2")
    ward = world.at("AA-W1", "administrator")
    for path in (f"/v1/grants/{grant['id']}", "/v1/grants/0198c5a2-7d14-7d00-8a01-2b3c4d5e6f12"):
        assert end(ward, path).status == 404 and ward.patch(path, {"valid_to": None}, "*").status == 404
    # seen as the ward's administrator's own, ended by the one above: whose account is not told
    _, mine, _ = person("AA-W1")
    assert end(world.at("AA-TU", "administrator"), f"/v1/grants/{mine['id']}").status == 204
    assert ward.get(f"/v1/grants/{mine['id']}").json()["revoked_by"] == {"account": None, "organization": ward.get("/v1/organizations/AA-W1/ancestors").json()["items"][0]}


def test_lists_of_grants_are_filtered(world, admin, person):
    _, grant, username = person("AA-W1-C1", "reporter")
    seen = lambda **q: {g["id"] for g in admin.items("/v1/grants", **q)}
    assert grant["id"] in seen(under="AA-W1") and grant["id"] in seen(organization="AA-W1-C1") and grant["id"] not in seen(under="AA-W2")
    assert seen(account=username) == {grant["id"]} and grant["id"] in seen(role="reporter", holding="true")
    assert end(admin, f"/v1/grants/{grant['id']}").status == 204
    assert grant["id"] in seen(holding="false") and grant["id"] not in seen(holding="true")
    assert {g["client"] for g in admin.items("/v1/grants", client=world.clients["aa"][0])} == {world.clients["aa"][0]}
    assert admin.get("/v1/grants", under="NO-SUCH").status == 422 and admin.get("/v1/grants", holding="x").status == 400


def test_an_end_beside_requests_lets_none_through_afterwards(world, admin, person, caller):
    me, grant, username = person(role="reporter")
    stop, late, tokens = threading.Event(), [], [caller(me.token) for _ in range(4)]
    ended = threading.Event()

    def ask(who):
        while not stop.is_set():
            began_after = ended.is_set()
            status = who.get("/v1/me").status
            assert status in (200, 401)
            if began_after and status == 200:
                late.append(status)
    threads = [threading.Thread(target=ask, args=(t,)) for t in tokens]
    [t.start() for t in threads]
    assert end(admin, f"/v1/grants/{grant['id']}").status == 204
    ended.set()
    threading.Event().wait(0.5)
    stop.set()
    [t.join() for t in threads]
    assert late == []


# ---- mandates ------------------------------------------------------------------------------------------------
@pytest.fixture
def mandated(world, admin, person):
    """A unit beside the wards with a mandate of its own: (caller seated there, mandate)."""
    code = samples.fresh("AA-UB")
    world.unit(world.at("AA-TU", "manager"), code, "Ban giúp việc", "advisory_support_agency", "AA-TU")
    me, _, _ = person(code, "reporter")
    made = world.must(admin.post("/v1/mandates", {"unit": code, "over": "AA-W2", "functions": ["read", "enter"], "valid_from": "2025-01-01"}))
    return me, made, code


def test_an_ended_mandate_is_obeyed_at_once(world, admin, mandated, cluster, today):
    me, mandate, _ = mandated
    path = f"/v1/mandates/{mandate['id']}"
    assert me.get("/v1/organizations/AA-W2").status == 200
    assert end(admin, path, None).status == 428 and end(admin, path, '"7"').status == 412
    assert end(admin, path, admin.get(path).etag).status == 204
    assert me.get("/v1/organizations/AA-W2").status == 404
    assert me.get("/v1/me").json()["mandates"] == []
    left = admin.get(path).json()
    same_day = world.must(admin.post("/v1/mandates", {"unit": left["unit"]["code"], "over": "AA-W2", "functions": ["read"]}))
    assert end(admin, f"/v1/mandates/{same_day['id']}").status == 204
    for told in (admin.get(f"/v1/mandates/{same_day['id']}").json(), next(m for m in admin.items("/v1/mandates") if m["id"] == same_day["id"])):
        assert told["ended_at"] and told["valid_from"] == told["valid_to"] == today.isoformat()
    assert left["ended_at"] and left["valid_to"] < today.isoformat() and left["ended_by"]["account"] == "aa-tu.administrator"
    assert me.get(path).json()["ended_by"]["account"] is None
    assert end(admin, path).status == 204 and admin.get(path).json() == left
    assert admin.patch(path, {"document": "1-QĐ/TU"}, "*").code == "already_ended"
    assert [row[0] for row in journalled(cluster, mandate["id"])] == ["create", "end"]


def test_a_mandate_of_today_ends_today(admin, mandated):
    me, _, code = mandated
    made = admin.post("/v1/mandates", {"unit": code, "over": "AA-W1", "functions": ["read"]}).json()
    assert me.get("/v1/organizations/AA-W1").status == 200
    assert end(admin, f"/v1/mandates/{made['id']}").status == 204
    assert me.get("/v1/organizations/AA-W1").status == 404


def test_a_mandates_functions_change(admin, mandated):
    me, mandate, _ = mandated
    path = f"/v1/mandates/{mandate['id']}"
    put = lambda: me.enter("AA-SUM", "AA-W2", "2026-Q1", {"number": 1}).status
    assert put() in (201, 412)
    changed = admin.patch(path, {"functions": ["read"], "document": "7-QĐ/TU"}, admin.get(path).etag)
    assert changed.status == 200 and changed.json()["functions"] == ["read"] and changed.json()["document"] == "7-QĐ/TU"
    assert put() == 403
    assert admin.patch(path, {"functions": ["read", "enter"]}, changed.etag).status == 200
    assert put() == 412
    assert admin.patch(path, {"valid_to": "2024-12-31"}, "*").faults() == {("#/valid_to", "ends_before_start")}
    assert admin.patch(path, {"unit": "AA-W1"}, "*").status == 422


def test_mandates_are_changed_by_their_givers_administrators(world, admin, mandated):
    me, mandate, code = mandated
    path = f"/v1/mandates/{mandate['id']}"
    world.staff(admin, code, ("administrator",))
    holder = world.at(code, "administrator")
    assert holder.get(path).status == 200
    assert holder.patch(path, {"functions": ["read", "define"]}, "*").code == "forbidden" and end(holder, path).code == "forbidden"
    assert end(world.at("AA-W1", "administrator"), path).status == 404
    assert me.patch(path, {"valid_to": None}, "*").status == 403


def test_lists_of_mandates_are_filtered(admin, mandated):
    _, mandate, code = mandated
    seen = lambda **q: {m["id"] for m in admin.items("/v1/mandates", **q)}
    assert seen(unit=code) == {mandate["id"]} and mandate["id"] in seen(over="AA-W2") and mandate["id"] not in seen(over="AA-TU")
    assert mandate["id"] not in seen(programme="AA-P") and mandate["id"] in seen(holding="true")
    assert end(admin, f"/v1/mandates/{mandate['id']}").status == 204
    assert mandate["id"] in seen(holding="false") and mandate["id"] not in seen(holding="true")


# ---- clients -------------------------------------------------------------------------------------------------
@pytest.fixture
def client(world, admin):
    name = samples.fresh("may")
    made = world.client(admin, name, "AA-W1", ["organizations:read", "values:read"])
    return name, made, f"/v1/clients/{made['id']}"


def token(world, client_id, secret, scope=None):
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return world.anonymous.post("/oauth2/token", b"grant_type=client_credentials" + (f"&scope={scope}".encode() if scope else b""),
                                FORM + [("Authorization", "Basic " + basic)])


def test_narrowed_scopes_take_effect_at_once(world, admin, client, caller):
    name, made, path = client
    me = caller(world.client_token(name).json()["access_token"])
    assert me.get("/v1/organizations/AA-W1").status == 200
    changed = admin.patch(path, {"scopes": ["values:read"], "name": "Máy đổi tên"}, admin.get(path).etag)
    assert changed.status == 200 and changed.json()["scopes"] == ["values:read"] and changed.json()["name"] == "Máy đổi tên"
    refused = me.get("/v1/organizations/AA-W1")
    assert refused.code == "insufficient_scope" and 'error="insufficient_scope"' in refused.header("WWW-Authenticate")
    assert me.get("/v1/values").status == 200
    assert admin.patch(path, {"scopes": ["accounts:write"]}, "*").status == 422 and admin.patch(path, {"status": "closed"}, "*").status == 422


def test_a_suspended_client_is_out_until_it_is_active_again(world, admin, client, caller):
    name, made, path = client
    me = caller(world.client_token(name).json()["access_token"])
    assert admin.patch(path, {"status": "suspended"}, "*").status == 200
    assert me.get("/v1/me").code == "invalid_token" and world.client_token(name).status == 401
    assert admin.patch(path, {"status": "active"}, "*").status == 200
    assert me.get("/v1/me").status == 200


def test_an_ended_client_is_out_for_good(world, admin, client, caller, cluster):
    name, made, path = client
    me = caller(world.client_token(name).json()["access_token"])
    assert end(admin, path, None).status == 428 and end(admin, path, admin.get(path).etag).status == 204
    assert me.get("/v1/me").code == "invalid_token" and world.client_token(name).status == 401
    assert admin.get(path).json()["status"] == "closed"
    assert end(admin, path).status == 204
    assert admin.patch(path, {"status": "active"}, "*").code == "already_ended"
    assert admin.post(path + "/secrets", {}).code == "already_ended"
    assert all(g["revoked_at"] for g in admin.items("/v1/grants", client=made["id"]))
    assert not any(s["valid"] for s in admin.items(path + "/secrets"))
    assert [row[0] for row in journalled(cluster, made["id"])] == ["create", "end"]


def test_secrets_overlap(world, admin, client, moved, today):
    name, made, path = client
    admin_again = lambda: world.at("AA-TU", "administrator")
    old = made["client_secret"]
    assert token(world, made["client_id"], old).status == 200
    given = admin.post(path + "/secrets", {"overlap_hours": 2})
    assert given.status == 201
    new = given.json()["client_secret"]
    assert new != old and token(world, made["client_id"], new).status == 200 and token(world, made["client_id"], old).status == 200
    listed = admin.get(path + "/secrets")
    assert new not in listed.text and old not in listed.text
    assert [(s["valid"], s["expires_at"] is None, s["last_used_on"]) for s in listed.json()["items"]] \
        == [(True, False, today.isoformat()), (True, True, today.isoformat())]
    moved.move(2 * 3600 + 1)
    world.forget()
    assert token(world, made["client_id"], old).status == 401 and token(world, made["client_id"], new).status == 200
    at_once = admin_again().post(path + "/secrets", {"overlap_hours": 0}).json()
    assert token(world, made["client_id"], new).status == 401
    assert token(world, made["client_id"], at_once["client_secret"]).status == 200
    fallback = admin_again().post(path + "/secrets", {}).json()
    assert token(world, made["client_id"], at_once["client_secret"]).status == 200, "24 hours unless said otherwise"
    last = f"{path}/secrets/{fallback['id']}"
    assert admin_again().request("DELETE", last).status == 204
    assert token(world, made["client_id"], fallback["client_secret"]).status == 401
    assert admin_again().request("DELETE", last).status == 204
    assert admin_again().request("DELETE", f"{path}/secrets/{samples_id()}").status == 404


def samples_id():
    return "0198c5a2-7d16-7d00-8a01-2b3c4d5e6f41"


def test_secrets_are_no_business_of_others(world, admin, client):
    _, made, path = client
    other = world.client(admin, samples.fresh("may"), "AA-W2", ["values:read"])
    ward = world.at("AA-W2", "administrator")
    secret = admin.get(path + "/secrets").json()["items"][0]["id"]
    assert ward.get(path + "/secrets").status == 404 and ward.post(path + "/secrets", {}).status == 404
    assert ward.request("DELETE", f"{path}/secrets/{secret}").status == 404
    assert ward.request("DELETE", f"/v1/clients/{other['id']}/secrets/{secret}").status == 404
    assert end(ward, path).status == 404 and ward.patch(path, {"name": "x"}, "*").status == 404
    for answer in (world.connector().get(path), world.connector().patch(path, {"name": "x"}, "*"), world.connector().post(path + "/secrets", {})):
        assert answer.status == 403, "a client never changes itself"


def test_a_secret_is_not_given_twice(admin, client):
    key = [("Idempotency-Key", samples.fresh("key"))]
    assert admin.post(client[2] + "/secrets", {}, key).status == 201
    assert admin.post(client[2] + "/secrets", {}, key).code == "secret_not_replayed"


def test_the_serving_role_forges_nothing(world, admin, person, cluster):
    """Whoever queries as it, entered as an administrator: no grant by delegation, in another's name, or brought back to life."""
    import psycopg2
    world.at("AA-W1", "administrator")
    _, other, name = person("AA-W1-C1")
    assert end(admin, f"/v1/grants/{other['id']}").status == 204
    ids = cluster.query("""SELECT g.id, s.id, a.id FROM access_grant g JOIN account a ON a.id = g.account_id JOIN session s ON s.grant_id = g.id
        WHERE a.username = 'aa-w1.administrator' ORDER BY s.created_at DESC LIMIT 1""")[0]
    kid = cluster.query("SELECT kid FROM signing_key WHERE signs_until IS NULL ORDER BY created_at DESC LIMIT 1")[0][0]
    account, unit, key = cluster.query("SELECT a.id, o.id, o.scope_key FROM account a, organization o WHERE a.username = %s AND o.code = 'AA-W1-C1'", [name])[0]
    insert = "INSERT INTO tiendo.access_grant (id, account_id, organization_id, scope_key, role, valid_from, granted_by, delegated_from) VALUES (gen_random_uuid(), %s, %s, %s, 'viewer', '2026-01-01', %s, %s)"
    connection = psycopg2.connect(cluster.dsn("tiendo_service"))
    try:
        for permission, sql, values, right in (
                ("grants:write", insert, [account, unit, key, ids[2], None], True), ("grants:write", insert, [account, unit, key, None, None], False),
                ("grants:write", insert, [account, unit, key, account, None], False), ("grants:write", insert, [account, unit, key, ids[2], ids[0]], False),
                ("delegations:write", insert, [account, unit, key, ids[2], ids[0]], False), ("grants:write", insert, [ids[2], unit, key, ids[2], None], False),
                ("grants:write", "UPDATE tiendo.access_grant SET revoked_at = NULL WHERE id = %s", [other["id"]], False),
                ("grants:write", "UPDATE tiendo.access_grant SET valid_to = '2099-12-31' WHERE id = %s", [ids[0]], False),
                ("grants:read", "UPDATE tiendo.access_grant SET valid_to = '2099-12-31' WHERE id = %s", [other["id"]], False)):
            with connection.cursor() as cursor:
                cursor.execute("SELECT tiendo.enter(%s, %s, %s, %s)", [ids[0], ids[1], kid, permission])
                try:
                    cursor.execute(sql, values)
                    done = cursor.rowcount == 1
                except psycopg2.errors.InsufficientPrivilege:
                    done = False
            connection.rollback()
            assert done == right, (permission, sql, values)
    finally:
        connection.close()


# ---- delegations ---------------------------------------------------------------------------------------------
@pytest.fixture
def delegated(world, person, caller, today):
    """A reporter of AA-W1 whose role somebody of AA-W2 has: (giver, receiver under it, delegation, giver's grant, usernames)."""
    giver, grant, giver_name = person("AA-W1", "reporter")
    receiver, _, receiver_name = person("AA-W2", "viewer")
    made = giver.post("/v1/delegations", {"account": receiver_name, "valid_to": "2099-12-31"})
    assert made.status == 201, made
    acting = caller(world.login(receiver_name, made.json()["id"]).json()["access_token"])
    return giver, receiver, acting, made.json(), grant, (giver_name, receiver_name)


def test_one_acts_in_the_role_that_was_delegated(world, delegated, cluster):
    giver, receiver, acting, made, grant, (giver_name, receiver_name) = delegated
    assert made["role"] == "reporter" and made["organization"]["code"] == "AA-W1" and made["holds"]
    assert (made["giver"]["username"], made["account"]["username"]) == (giver_name, receiver_name)
    mine = acting.get("/v1/me").json()
    assert mine["grant"]["delegated_by"]["username"] == giver_name and mine["grant"]["id"] == made["id"] and mine["account"]["username"] == receiver_name
    assert {g["delegated_by"] and g["delegated_by"]["username"] for g in mine["grants"]} == {None, giver_name}
    assert [d["id"] for d in giver.get("/v1/me").json()["delegations"]] == [made["id"]] and mine["delegations"] == []
    assert receiver.get("/v1/organizations/AA-W1").status == 404
    assert acting.get("/v1/organizations/AA-W1").status == 200
    assert acting.enter("AA-SUM", "AA-W1", "2025-Q1", {"number": 3}).status == 201
    assert [d["id"] for d in giver.items("/v1/delegations", direction="given")] == [made["id"]]
    assert [d["id"] for d in receiver.items("/v1/delegations", direction="received")] == [made["id"]]
    assert giver.items("/v1/delegations", direction="received") == [] and receiver.items("/v1/delegations", holding="false") == []
    assert receiver.get(f"/v1/delegations/{made['id']}").json() == made
    assert made["id"] in {d["id"] for d in world.at("AA-W1", "administrator").items("/v1/delegations")}
    assert world.at("AA-W2", "manager").items("/v1/delegations") == [] and world.at("AA-W2", "manager").get(f"/v1/delegations/{made['id']}").status == 404
    assert journalled(cluster, made["id"])[0][:2] == ("create", "delegation")


def test_the_trail_tells_on_whose_behalf_it_was_done(world, delegated, cluster):
    """A figure entered by delegation: in the list, in the sheet and in the figure's history, for as long as they stand."""
    _, _, acting, made, _, (giver_name, receiver_name) = delegated
    code = world.indicator(world.at("AA-TU", "manager"), samples.fresh("AA-DG"), "AA-P", "number")["code"]
    world.assign(world.at("AA-TU", "manager"), code, organization="AA-W1")
    assert acting.enter(code, "AA-W1", "2026-Q1", {"number": 3}).status == 201
    reads, path, ref = world.at("AA-W1", "inspector"), f"/v1/values/{code}/AA-W1/2026-Q1/history", f"value:{code}/AA-W1/2026-Q1"
    wait_for(lambda: reads.items("/v1/audit-events", resource=ref))
    for told in (reads.items("/v1/audit-events", resource=ref)[0], reads.items(path)[0]):
        assert told["by"] == told["actor"]["username"] == receiver_name and told["actor"]["delegation"] == made["id"]
        assert told["actor"]["delegated_by"]["username"] == giver_name and set(told["actor"]["delegated_by"]) == {"id", "username", "name"}
    for answer in (reads.get("/v1/audit-events", [("Accept", "text/csv")], resource=ref), reads.get(path, [("Accept", "text/csv")])):
        row = next(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))
        assert (row["by"], row["delegated_by"], row["actor_kind"], row["actor_role"], row["actor_organization"]) == (
            receiver_name, giver_name, "account", "reporter", "AA-W1")



@pytest.mark.parametrize("who", ["giver", "receiver", "delegate", "administrator", "grant"])
def test_a_delegation_ends(world, admin, delegated, who, cluster):
    giver, receiver, acting, made, grant, _ = delegated
    path = f"/v1/delegations/{made['id']}"
    if who == "grant":
        assert end(admin, f"/v1/grants/{grant['id']}").status == 204
        assert journalled(cluster, made["id"])[-1][:2] == ("end", "delegation")
    else:
        by = {"giver": giver, "receiver": receiver, "delegate": acting, "administrator": world.at("AA-W1", "administrator")}[who]
        assert end(by, path, None).status == 428 and end(by, path, '"9"').status == 412
        assert end(by, path, by.get(path).etag).status == 204
    assert acting.get("/v1/me").code == "invalid_token"
    left = receiver.get(path).json()
    assert left["revoked_at"] and not left["holds"]


def test_a_delegation_holds_as_long_as_its_givers_grant_and_account(world, admin, delegated, today):
    giver, receiver, acting, made, grant, (giver_name, receiver_name) = delegated
    account = admin.get("/v1/accounts", username=giver_name).json()["items"][0]
    world.service.cluster.query("UPDATE account SET status = 'suspended' WHERE id = %s RETURNING 1", [account["id"]])
    assert acting.get("/v1/me").code == "invalid_token"
    assert world.login(receiver_name, made["id"]).status == 422
    assert receiver.get(f"/v1/delegations/{made['id']}").json()["holds"] is False
    world.service.cluster.query("UPDATE account SET status = 'active' WHERE id = %s RETURNING 1", [account["id"]])
    assert acting.get("/v1/me").status == 200


def test_what_is_delegated_goes_no_further(world, person, delegated):
    _, _, acting, made, _, _ = delegated
    _, _, third = person("AA-W2")
    assert acting.post("/v1/delegations", {"account": third, "valid_to": "2099-12-31"}).code == "forbidden"
    for action in ("delegation_create", "POST /v1/delegations"):
        asked = acting.get("/v1/me/permissions", action=action).json()
        assert (asked["allowed"], asked["reason"]) == (False, "delegated") and asked["detail"], asked
    assert acting.get("/v1/me/permissions", action="delegation_end").json()["allowed"], "one may give it back"


def test_a_part_of_ones_unit_for_a_part_of_the_time(world, admin, person, today):
    giver, grant, _ = person("AA-W1", "reporter")
    _, _, receiver = person("AA-W2")
    assert admin.patch(f"/v1/grants/{grant['id']}", {"valid_to": "2098-12-31"}, "*").status == 200
    body = {"account": receiver, "organization": "AA-W1-C1", "valid_to": "2098-12-31"}
    for change, faults in (({"valid_to": "2099-01-01"}, {("#/valid_to", "out_of_range")}), ({"valid_to": "2020-01-01"}, {("#/valid_to", "ends_before_start")}),
                           ({"valid_from": "2020-01-01"}, {("#/valid_from", "out_of_range")}), ({"organization": "AA-W2"}, {("#/organization", "unknown_reference")}),
                           ({"organization": "AA-W1-OLD"}, {("#/organization", "out_of_range")}), ({"valid_to": None}, {("#/valid_to", "type")})):
        answer = giver.post("/v1/delegations", {**body, **change})
        assert answer.status == 422 and answer.faults() == faults, answer
    assert giver.post("/v1/delegations", {"account": receiver}).faults() == {("#/valid_to", "required")}
    made = giver.post("/v1/delegations", body)
    assert made.status == 201 and made.json()["organization"]["code"] == "AA-W1-C1"
    assert giver.post("/v1/delegations", body).code == "already_granted"
    board = world.at("AA-W1-XD", "reporter")
    assert board.post("/v1/delegations", {"account": receiver, "organization": "AA-W1", "valid_to": "2098-12-31"}).code == "forbidden", "seen by mandate alone"


def test_names_are_not_to_be_had_by_asking(world, admin, person, cluster):
    giver, _, mine = person("AA-W1", "reporter")
    _, _, suspended = person("AA-W2")
    cluster.query("UPDATE account SET status = 'suspended' WHERE username = %s RETURNING 1", [suspended])
    ask = lambda name, **more: giver.post("/v1/delegations", {"account": name, "valid_to": "2099-12-31", **more})
    answers = [ask(name) for name in ("bb-w1.viewer", suspended, "no.such.one", "0198c5a2-7d16-7d00-8a01-2b3c4d5e6f41")]
    assert {a.status for a in answers} == {422} and len({str(a.json()["errors"]) for a in answers}) == 1
    # Where something else is wrong nothing is said of the name.
    wrong = [ask(name, valid_to="2020-01-01") for name in ("aa-w2.viewer", "bb-w1.viewer", "no.such.one", mine)]
    assert len({str(a.json()["errors"]) for a in wrong}) == 1
    assert ask(mine).faults() == {("#/account", "own_account")}


def test_clients_delegate_nothing(world):
    assert world.connector().post("/v1/delegations", {"account": "aa-w1.viewer", "valid_to": "2099-12-31"}).status == 403
    assert world.connector().get("/v1/delegations").status == 403


def test_a_delegated_administrator_does_not_serve_itself_or_its_giver(world, admin, person, caller):
    giver, giver_grant, giver_name = person("AA-W1", "administrator")
    _, own, name = person("AA-W1-C1", "viewer")
    made = giver.post("/v1/delegations", {"account": name, "valid_to": "2099-12-31"}).json()
    acting = caller(world.login(name, made["id"]).json()["access_token"])
    _, other_grant, other = person("AA-W1-C1", "viewer")
    give = lambda who: acting.post("/v1/grants", {"account": who, "organization": "AA-W1-C1", "role": "manager"})
    assert give(other).status == 201
    assert give(giver_name).code == "forbidden" if acting.items("/v1/accounts", username=giver_name) else True
    assert give(name).code == "forbidden"
    for grant in (giver_grant, own, made):
        assert end(acting, f"/v1/grants/{grant['id']}").code == "forbidden", grant
        assert acting.patch(f"/v1/grants/{grant['id']}", {"valid_to": "2099-12-31"}, "*").code == "forbidden"
    assert end(acting, f"/v1/grants/{other_grant['id']}").status == 204
    assert world.at("AA-W1", "administrator").patch(f"/v1/grants/{made['id']}", {"valid_to": "2099-12-30"}, "*").code == "already_ended"
    assert end(world.at("AA-W1", "administrator"), f"/v1/grants/{made['id']}").status == 204
    assert acting.get("/v1/me").code == "invalid_token"


def test_a_grant_in_a_unit_to_come_begins_with_the_unit(world):
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    code, name = samples.fresh("AA-MAI"), samples.fresh("nguoi").lower()
    world.must(manager.post("/v1/reorganizations", {"decision": "3-QĐ/TU", "effective_on": "2027-01-01", "steps": [
        {"kind": "establish", "code": code, "name": "Đảng ủy phường sẽ lập", "unit_kind": "directly_subordinate_party_committee", "parent": "AA-TU"}]}))
    made = world.account(admin, name, (code, "viewer"), ("AA-W1", "viewer"))
    assert {g["organization"]["code"]: g["valid_from"] for g in made["grants"]}[code] == "2027-01-01"
