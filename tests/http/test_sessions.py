"""Logging in, tokens, refreshing and revoking, keys, who am I."""
import base64
import json
import re
import time

import jwt
import pytest
from harness import samples
from harness.world import Caller

FORM = [("Content-Type", "application/x-www-form-urlencoded")]


def form(world, path, **fields):
    headers = fields.pop("headers", [])
    body = "&".join(f"{k}={v}" for k, v in fields.items())
    return world.anonymous.post(path, body.encode(), FORM + headers)


def refresh(world, token, **more):
    return form(world, "/oauth2/token", grant_type="refresh_token", refresh_token=token, **more)


def basic(client_id, secret):
    return [("Authorization", "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode())]


def claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_log_in_gives_tokens_bound_to_one_grant(world):
    answer = world.login("aa-w1.reporter")
    assert answer.status == 201 and "no-store" in answer.header("Cache-Control")
    body = answer.json()
    assert body["token_type"] == "Bearer" and body["expires_in"] == 600
    assert "values:write" in body["scope"].split() and "accounts:write" not in body["scope"].split()
    assert [g["organization"]["code"] for g in body["grants"]] == ["AA-W1"]
    held = claims(body["access_token"])
    assert set(held) >= {"iss", "aud", "sub", "client_id", "exp", "iat", "jti", "sid", "grant", "scope"}
    assert held["exp"] - held["iat"] == 600 and held["grant"] == body["grant"]
    assert not re.search(r"argon|\$", body["refresh_token"])


def test_the_token_verifies_with_the_published_key(world):
    token = world.login("aa-w1.viewer").json()["access_token"]
    kid = jwt.get_unverified_header(token)["kid"]
    keys = world.anonymous.get("/.well-known/jwks.json").json()["keys"]
    key = next(k for k in keys if k["kid"] == kid)
    assert jwt.get_unverified_header(token)["alg"] == "ES256" and "d" not in key
    metadata = world.anonymous.get("/.well-known/oauth-authorization-server").json()
    decoded = jwt.decode(token, jwt.PyJWK(key).key, algorithms=["ES256"], audience="tiendo", issuer=metadata["issuer"],
                         options={"verify_exp": False, "verify_iat": False})
    assert decoded["scope"]


def test_metadata_leads_to_the_endpoints(world):
    metadata = world.anonymous.get("/.well-known/oauth-authorization-server").json()
    assert metadata["token_endpoint"] == metadata["issuer"] + "/oauth2/token"
    assert set(metadata["scopes_supported"]) == set(
        world.contract.document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]["scopes"])


@pytest.mark.parametrize("username,password", [
    ("aa-w1.viewer", "wrong"), ("nobody.at.all", "wrong"), ("'; DROP TABLE account; --", "x"), ("AA-W1.VIEWER\u0000", "x")])
def test_wrong_credentials_are_answered_alike(world, username, password):
    answer = world.anonymous.post("/v1/sessions", {"username": username, "password": password})
    if "\u0000" in username:
        assert answer.status in (400, 422)
        return
    assert answer.status == 401 and answer.code == "invalid_credentials"
    assert answer.faults() == set() and answer.header("WWW-Authenticate")


def test_unknown_accounts_cost_the_same_time(world):
    """The quickest of several, taken in turns: what else the machine does only adds to it."""
    taken = {"aa-w2.viewer": [], "nobody.here": []}
    for _ in range(8):
        for username, times in taken.items():
            began = time.monotonic()
            assert world.anonymous.post("/v1/sessions", {"username": username, "password": "wrong"}).status == 401
            times.append(time.monotonic() - began)
    known, unknown = map(min, taken.values())
    assert 0.5 < known / unknown < 2, (known, unknown)


def test_a_suspended_account_cannot_log_in_and_its_token_dies_at_once(world, cluster, caller):
    admin = world.at("AA-TU", "administrator")
    world.account(admin, "aa.suspended", ("AA-W1", "viewer"))
    token = world.login("aa.suspended").json()["access_token"]
    assert caller(token).get("/v1/me").status == 200
    cluster.query("UPDATE account SET status = 'suspended' WHERE username = 'aa.suspended'")
    assert caller(token).get("/v1/me").code == "invalid_token"
    assert world.login("aa.suspended").status == 401


def test_an_account_without_a_grant_is_403(world):
    world.account(world.at("AA-TU", "administrator"), "aa.idle", organization="AA-W1")
    assert world.login("aa.idle").status == 403


def test_another_accounts_grant_is_422_like_a_nonexistent_one(world):
    foreign = world.login("aa-w2.viewer").json()["grant"]
    one = world.login("aa-w1.viewer", foreign)
    other = world.login("aa-w1.viewer", "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02")
    assert one.status == other.status == 422
    assert one.faults() == other.faults() and one.pointers() == {"#/grant"}


def test_one_account_two_grants(world, caller):
    admin = world.at("AA-TU", "administrator")
    world.account(admin, "aa.two", ("AA-W1", "reporter"), ("AA-W2", "viewer"))
    answer = world.login("aa.two").json()
    assert {g["organization"]["code"] for g in answer["grants"]} == {"AA-W1", "AA-W2"}
    second = next(g["id"] for g in answer["grants"] if g["organization"]["code"] == "AA-W2")
    me = caller(world.login("aa.two", second).json()["access_token"])
    assert me.get("/v1/me").json()["grant"]["organization"]["code"] == "AA-W2"
    assert me.get("/v1/organizations/AA-W1").status == 404 and me.get("/v1/organizations/AA-W2").status == 200
    assert "values:write" not in me.get("/v1/me").json()["permissions"]


def test_a_refresh_token_works_once_and_reuse_kills_the_family(world, caller):
    first = world.login("aa-w1.viewer").json()
    second = refresh(world, first["refresh_token"])
    assert second.status == 200 and second.json()["refresh_token"] != first["refresh_token"]
    assert caller(second.json()["access_token"]).get("/v1/me").status == 200
    again = refresh(world, first["refresh_token"])
    assert again.status == 400 and again.json()["error"] == "invalid_grant"
    assert caller(second.json()["access_token"]).get("/v1/me").status == 401, "the family is dead"
    assert refresh(world, second.json()["refresh_token"]).json()["error"] == "invalid_grant"


def test_refreshing_may_narrow_but_not_widen(world, caller):
    token = world.login("aa-w1.reporter").json()["refresh_token"]
    answer = refresh(world, token, scope="values:read+me:read")
    assert set(answer.json()["scope"].split()) == {"values:read", "me:read"}
    narrow = caller(answer.json()["access_token"])
    assert narrow.get("/v1/values").status == 200
    refused = narrow.get("/v1/organizations")
    assert refused.status == 403 and refused.code == "insufficient_scope"
    assert 'error="insufficient_scope"' in refused.header("WWW-Authenticate")
    wide = refresh(world, answer.json()["refresh_token"], scope="accounts:write")
    assert wide.json()["error"] == "invalid_scope"


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_session_at_once(world, caller, kind):
    session = world.login("aa-w1.viewer").json()
    me = caller(session["access_token"])
    assert me.get("/v1/me").status == 200
    answer = form(world, "/oauth2/revoke", token=session[kind])
    assert answer.status == 200 and answer.body == b""
    assert me.get("/v1/me").code == "invalid_token"
    assert refresh(world, session["refresh_token"]).status == 400
    assert form(world, "/oauth2/revoke", token=session[kind]).status == 200, "again is answered the same"


def test_revoking_the_unknown_is_answered_the_same(world):
    for token in ("x", "a.b.c", "0" * 2000):
        answer = form(world, "/oauth2/revoke", token=token, token_type_hint="refresh_token")
        assert answer.status == 200 and answer.body == b""


def test_client_credentials_by_header_and_by_form(world, caller):
    client_id, secret = world.clients["aa"]
    by_header = form(world, "/oauth2/token", grant_type="client_credentials", headers=basic(client_id, secret))
    by_form = form(world, "/oauth2/token", grant_type="client_credentials", client_id=client_id, client_secret=secret)
    for answer in (by_header, by_form):
        assert answer.status == 200 and "no-store" in answer.header("Cache-Control")
        assert "refresh_token" not in answer.json()
        me = caller(answer.json()["access_token"]).get("/v1/me").json()
        assert me["account"] is None and me["client"]["id"] == client_id and me["grant"]["role"] == "connector"


def test_client_scope_narrows(world, caller):
    answer = world.client_token("aa", "values:read")
    assert answer.json()["scope"].split() == ["values:read"] or set(answer.json()["scope"].split()) == {"values:read", "me:read"}
    me = caller(answer.json()["access_token"])
    assert me.get("/v1/values").status == 200 and me.get("/v1/organizations").code == "insufficient_scope"


@pytest.mark.parametrize("fields,status,error", [
    ({}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"grant_type": "client_credentials"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}, 401, "invalid_client"),
    ({"grant_type": "refresh_token"}, 400, "invalid_request"),
    ({"grant_type": "refresh_token", "refresh_token": "zz"}, 400, "invalid_grant"),
    ({"grant_type": "client_credentials", "scop": "x"}, 401, "invalid_client"),
], ids=str)
def test_token_errors_are_those_of_rfc_6749(world, fields, status, error):
    answer = form(world, "/oauth2/token", **fields)
    assert answer.status == status, answer
    if answer.type == "application/json":
        assert answer.json()["error"] == error
    else:
        assert error in ("invalid_request", "unsupported_grant_type")
    if status == 401:
        assert answer.header("WWW-Authenticate")


def test_a_repeated_form_field_is_400(world):
    assert world.anonymous.post("/oauth2/token", b"grant_type=client_credentials&grant_type=refresh_token", FORM).status == 400


def test_a_client_proves_itself_in_one_way(world):
    client_id, secret = world.clients["aa"]
    answer = form(world, "/oauth2/token", grant_type="client_credentials", client_id=client_id, client_secret=secret,
                  headers=basic(client_id, secret))
    assert answer.status == 400 and answer.json()["error"] == "invalid_request"


def test_me_says_who_what_and_why(world):
    me = world.at("AA-BTG", "manager").get("/v1/me").json()
    assert me["account"]["username"] == "aa-btg.manager" and me["client"] is None
    assert me["grant"]["role"] == "manager" and me["grant"]["organization"]["code"] == "AA-BTG"
    assert {(s["organization"]["code"], s["because"]) for s in me["scope"]} == {("AA-BTG", "seat"), ("AA-TU", "mandate")}
    assert me["mandates"][0]["giver"]["code"] == "AA-TU"
    board = world.at("AA-W1-XD", "viewer").get("/v1/me").json()
    assert {(s["organization"]["code"], s["because"]) for s in board["scope"]} == {("AA-W1-XD", "seat"), ("AA-W1", "mandate")}


def test_failed_log_ins_close_the_account_for_a_while(world, moved):
    admin = world.at("AA-TU", "administrator")
    world.account(admin, "aa.closed", ("AA-W1", "viewer"))
    answers = [world.login("aa.closed", password="wrong") for _ in range(12)]
    assert answers[0].status == 401 and answers[-1].status == 429, [a.status for a in answers]
    assert answers[-1].code == "too_many_logins" and int(answers[-1].header("Retry-After")) > 0
    assert world.login("aa.closed").status == 429, "the right password too"
    assert world.login("aa-w1.viewer").status == 201, "others are not held up"
    moved.move(16 * 60)
    assert world.login("aa.closed").status == 201


def test_what_is_logged_names_no_secret(world, service):
    body = world.login("aa-w1.viewer").json()
    Caller(world, body["access_token"]).get("/v1/me?access_token=" + body["access_token"])
    samples_of = [body["access_token"], body["refresh_token"], world.passwords["aa-w1.viewer"], world.clients["aa"][1]]
    note = samples.fresh("khong-ghi-vao-nhat-ky")
    world.at("AA-TU", "manager").patch("/v1/organizations/AA-W1", {"note": note}, "*")
    log = service.log() + (world.service.cluster.dir / "log").read_text(errors="replace")
    for secret in samples_of + [note]:
        assert secret not in log
    for line in filter(None, service.log().splitlines()):
        entry = json.loads(line)
        assert {"time", "level", "event"} <= set(entry)


def test_unknown_form_parameters_are_ignored(world):
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    client, secret = world.clients["aa"]
    asked = f"grant_type=client_credentials&client_id={client}&client_secret={secret}&audience=x&resource=y"
    assert world.anonymous.post("/oauth2/token", asked.encode(), form).status == 200
    answer = world.anonymous.post("/oauth2/token", b"grant_type=password&username=x&password=y", form)
    assert answer.status == 400 and answer.json()["error"] == "unsupported_grant_type", answer
