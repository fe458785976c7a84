"""Tokens of an outside issuer, made by an implementation of JOSE that is none of ours, in the shape Keycloak gives them."""
import http.server
import ipaddress
import json
import ssl
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from harness.service import Service
from harness.world import Caller
from jwcrypto import jwk, jws

pytestmark = pytest.mark.usefixtures("world")

ISS = "https://sso.anbinh.gov.vn/realms/tinh"
ISS_URL = "https://id.baoloc.gov.vn"


def make_key(kind="RSA", kid=None, **more):
    kid = kid or str(uuid.uuid4())
    if kind == "RSA":
        return jwk.JWK.generate(kty="RSA", size=more.pop("size", 2048), kid=kid, use="sig", alg=more.pop("alg", "RS256"), **more)
    return jwk.JWK.generate(kty="EC", crv="P-256", kid=kid, use="sig", alg="ES256", **more)


def key_set(*keys, more=()):
    return json.dumps({"keys": [*more, *(key.export_public(as_dict=True) for key in keys)]})


def sign(key, claims, header=None, alg=None):
    token = jws.JWS(claims if isinstance(claims, (str, bytes)) else json.dumps(claims))
    token.allowed_algs = ["RS256", "PS256", "ES256", "HS256", "RS512"]
    head = {"alg": alg or key.get("alg"), "typ": "JWT", "kid": key.get("kid"), **(header or {})}
    token.add_signature(key, protected=json.dumps({k: v for k, v in head.items() if v is not None}))
    return token.serialize(compact=True)


class Web:
    """A server of a JWK set on the loopback; how it behaves is set by the test."""

    def __init__(self, certificate_file=None):
        outer = self
        self.body, self.mode, self.asked = "{}", "good", 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # noqa: N802
                outer.asked += 1
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate_file is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate_file)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if certificate_file else ''}://127.0.0.1:{self.server.server_port}/certs"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        body, status, headers = self.body.encode(), 200, {"Content-Type": "application/json"}
        mode = self.mode
        if mode == "hang":
            time.sleep(60)
        elif mode == "status":
            status = 503
        elif mode == "redirect" and request.path != "/elsewhere":
            status, headers["Location"] = 302, "/elsewhere"
        elif mode == "garbage":
            body = b"<html>\xff"
        elif mode == "huge":
            body = b'{"keys": [' + b" " * 10_000_000 + b"]}"
        try:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            if mode == "endless":
                request.end_headers()
                while True:
                    request.wfile.write(b" " * 65536)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            pass

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Issuer:
    """What the issuer's side knows: its keys, and how its tokens look."""

    def __init__(self, clock, directory):
        self.clock = clock
        self.path = directory / "jwks.json"
        self.rsa, self.ec = make_key("RSA"), make_key("EC")
        # As Keycloak does: a key for encryption beside the keys for signatures.
        self.other = make_key("RSA", alg="RSA-OAEP").export_public(as_dict=True) | {"use": "enc"}
        self.publish(self.rsa, self.ec)

    def publish(self, *keys):
        self.path.write_text(key_set(*keys, more=[self.other]), encoding="utf-8")

    def claims(self, username="aa-w1.reporter", **changes):
        now = int(self.clock.now())
        claims = {
            "exp": now + 300, "iat": now, "auth_time": now - 5, "jti": f"onrtac:{uuid.uuid4()}", "iss": ISS,
            "aud": ["tiendo", "account"], "sub": str(uuid.uuid4()), "typ": "Bearer", "azp": "tiendo-web", "sid": str(uuid.uuid4()),
            "acr": "1", "allowed-origins": ["https://tiendo.anbinh.gov.vn"],
            "realm_access": {"roles": ["offline_access", "can-bo", "uma_authorization"]},
            "resource_access": {"tiendo.api": {"roles": ["nhap-lieu"]}, "account": {"roles": ["manage-account", "view-profile"]}},
            "scope": "openid profile email", "email_verified": True, "name": "Nguyễn Văn Bình", "preferred_username": username,
            "given_name": "Bình", "family_name": "Nguyễn Văn", "email": f"{username}@anbinh.gov.vn",
        }
        claims.update(changes)
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, username="aa-w1.reporter", key=None, header=None, alg=None, **changes):
        return sign(key or self.rsa, self.claims(username, **changes), header, alg)


@pytest.fixture(scope="module")
def issuer(clock, directory, world):
    return Issuer(clock, directory)


@pytest.fixture(scope="module")
def web():
    made = Web()
    yield made
    made.close()


def settings(issuer, web):
    return {
        "issuer__sso__iss": ISS, "issuer__sso__jwks_file": issuer.path, "issuer__sso__required": "typ=Bearer, azp=tiendo-web",
        "issuer__sso__root": "AA-TU", "issuer__sso__refresh_s": 1, "issuer__sso__stale_s": 3600, "issuer__sso__unit_claim": "don_vi",
        "issuer__sso__grant_claim": "tiendo_grant",
        "issuer__loc__iss": ISS_URL, "issuer__loc__jwks_url": web.url, "issuer__loc__audience": "tiendo-loc",
        "issuer__loc__refresh_s": 1, "issuer__loc__stale_s": 3600, "issuer__loc__account_claim": "resource.ten\\.dang.nhap",
        "issuer__loc__roles_claim": "resource.roles", "issuer__loc__roles": "quan-ly:manager, xem:viewer, nhap:reporter",
    }


@pytest.fixture(scope="module")
def two(world, cluster, directory, clock, issuer, web):
    """Two processes that take the issuers' tokens."""
    web.loc = make_key("EC", kid="loc-1")
    web.body = key_set(web.loc)
    made = [Service(cluster, directory, clock, seal_interval_ms=50, quick_statement_timeout_ms=10000, quick_lock_timeout_ms=3000,
                    pool_wait_ms=10000, **settings(issuer, web)).start() for _ in range(2)]
    yield made
    for one in made:
        one.assert_clean(one.stop())


@pytest.fixture
def ask(world, two):
    """GETs with a token, from either process; each answer keeps to the contract."""
    opened = []

    def get(token, path="/v1/me", at=0, method="GET", body=None, **query):
        caller = Caller(world, token, two[at].http())
        opened.append(caller)
        return caller.request(method, path, body, **query)

    yield get
    for one in opened:
        one.close()


def refused(answer, words=None):
    assert answer.status == 401 and answer.code == "invalid_token", answer
    assert 'error="invalid_token"' in answer.header("WWW-Authenticate")
    if words:
        assert words in answer.json()["detail"], answer


def eventually(check, seconds=60):
    until = time.monotonic() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


# ---- taken ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("which", ["rsa", "ec"])
def test_a_token_of_the_issuer_acts_for_its_account(ask, issuer, which):
    token = issuer.token(key=getattr(issuer, which))
    for at in (0, 1, 0):
        me = ask(token, at=at)
        assert me.status == 200, me
        assert me.json()["account"]["username"] == "aa-w1.reporter"
        assert me.json()["grant"]["organization"]["code"] == "AA-W1"


def test_what_it_may_do_is_what_the_account_may(ask, issuer, world):
    token = issuer.token("aa-w1.viewer", realm_access={"roles": ["admin", "administrator"]}, scope="values:write accounts:write")
    assert ask(token, "/v1/organizations").status == 200
    answer = ask(token, "/v1/accounts")
    assert answer.status == 403 and answer.code == "forbidden", answer
    entered = Caller(world, token, world.service.http())
    try:
        refused(entered.get("/v1/me"))  # a process that was told of no issuer
    finally:
        entered.close()


def test_a_write_is_journalled_under_the_account(ask, issuer, cluster):
    answer = ask(issuer.token("aa-w1.reporter"), "/v1/values/AA-RATIO/AA-W1-C2/2026-Q1", method="PUT",
                 body={"numerator": 1, "denominator": 2}, headers=[("If-None-Match", "*")])
    assert answer.status == 201, answer
    rows = cluster.query("SELECT a.username FROM journal j JOIN account a ON a.id = j.account_id ORDER BY j.seq DESC LIMIT 1")
    assert rows == [("aa-w1.reporter",)]


def test_capitals_of_a_username_do_not_count(ask, issuer):
    assert ask(issuer.token("AA-W1.Reporter")).json()["account"]["username"] == "aa-w1.reporter"
    # KELVIN SIGN, whose small letter is k.
    refused(ask(issuer.token("AA-W1.Reporter".replace("R", "\u212a", 1))))


def test_the_unit_claim_chooses_the_grant(ask, issuer, world):
    world.account(world.at("AA-TU", "administrator"), "hai.noi", ("AA-W1", "viewer"), ("AA-W2", "reporter"))
    assert ask(issuer.token("hai.noi")).json()["grant"]["organization"]["code"] == "AA-W1"
    assert ask(issuer.token("hai.noi", don_vi="AA-W2")).json()["grant"]["organization"]["code"] == "AA-W2"
    refused(ask(issuer.token("hai.noi", don_vi="AA-TU")), "no grant")
    refused(ask(issuer.token("hai.noi", don_vi=["AA-W2"])))
    grants = {g["organization"]["code"]: g["id"] for g in ask(issuer.token("hai.noi")).json()["grants"]}
    assert ask(issuer.token("hai.noi", tiendo_grant=grants["AA-W2"])).json()["grant"]["id"] == grants["AA-W2"]
    refused(ask(issuer.token("hai.noi", tiendo_grant=str(uuid.uuid4()))), "no grant")


def loc_claims(clock, username, **changes):
    now = int(clock.now())
    return {"iss": ISS_URL, "aud": "tiendo-loc", "iat": now, "exp": now + 300, "jti": str(uuid.uuid4()),
            "resource": {"ten.dang": {"nhap": username}, "roles": ["xem"]}, **changes}


def test_roles_of_the_token_narrow_and_never_widen(ask, world, clock, web):
    world.account(world.at("BB-TU", "administrator"), "nhieu.vai", ("BB-TU", "manager"), ("BB-W1", "viewer"))

    def me(*roles):
        return ask(sign(web.loc, loc_claims(clock, "nhieu.vai", resource={"ten.dang": {"nhap": "nhieu.vai"}, "roles": list(roles)})))

    assert me("xem").json()["grant"]["role"] == "viewer"
    assert me("quan-ly").json()["grant"]["role"] == "manager"
    assert me("xem", "quan-ly").json()["grant"]["role"] == "manager"
    refused(me("nhap"), "no grant")
    refused(me("administrator"), "no grant")
    refused(me())


def test_a_client_bound_to_a_subject(ask, issuer, world):
    admin, subject = world.at("AA-TU", "administrator"), str(uuid.uuid4())
    body = {"organization": "AA-W1", "scopes": ["values:read", "organizations:read"], "external": {"issuer": ISS, "subject": subject}}
    made = admin.post("/v1/clients", {"name": "kho", **body})
    assert made.status == 201 and made.json()["external"] == body["external"], made
    token = issuer.token("service-account-kho", sub=subject)
    me = ask(token)
    assert me.status == 200 and me.json()["client"]["name"] == "kho", me
    assert ask(token, "/v1/indicators").status == 403
    refused(ask(issuer.token("service-account-kho", sub=str(uuid.uuid4()))), "nobody here")
    # Another cannot be the same, and nobody is told which it is.
    twin = admin.post("/v1/clients", {"name": "kho 2", **body})
    assert twin.status == 409 and twin.code == "external_taken" and made.json()["id"] not in twin.text, twin
    path = "/v1/clients/" + made.json()["id"]
    assert [c["external"] for c in admin.items("/v1/clients") if c["name"] == "kho"] == [body["external"]]
    kept = admin.patch(path, {"name": "kho giữ"}, '"1"')
    assert kept.status == 200 and kept.json()["external"] == body["external"], kept
    freed = admin.patch(path, {"external": None}, kept.etag)
    assert freed.status == 200 and freed.json()["external"] is None, freed
    refused(ask(issuer.token("service-account-kho", sub=subject)), "nobody here")
    assert ask(token).status == 200  # the log-in goes on, as one of an account goes on under a new name
    bound = admin.patch(path, {"external": body["external"]}, freed.etag)
    assert bound.status == 200, bound
    assert admin.patch(path, {"status": "suspended"}, bound.etag).status == 200
    refused(ask(token))
    refused(ask(token), "not active")


@pytest.mark.parametrize("external", [{}, {"issuer": ISS}, {"issuer": ISS, "subject": ""}, {"issuer": ISS, "subject": "x" * 256},
                                      {"issuer": ISS, "subject": "x", "more": 1}, "x", {"issuer": None, "subject": None}],
                         ids=lambda e: str(e)[-40:])
def test_half_a_binding_is_refused(world, external):
    answer = world.at("AA-TU", "administrator").post("/v1/clients", {
        "name": "nửa", "organization": "AA-W1", "scopes": ["values:read"], "external": external})
    assert answer.status == 422, answer
    assert all(where.startswith("#/external") for where in answer.pointers()), answer


# ---- refused -------------------------------------------------------------------------------------------------

def test_nobody_comes_to_be_by_a_token(ask, issuer, cluster):
    before = cluster.query("SELECT count(*) FROM account")
    refused(ask(issuer.token("nguoi.la")), "nobody here")
    refused(ask(issuer.token(preferred_username=None)), "nobody here")
    refused(ask(issuer.token(preferred_username=["aa-w1.reporter"])))
    assert cluster.query("SELECT count(*) FROM account") == before


def test_accounts_of_another_root_are_out_of_the_issuers_reach(ask, issuer):
    refused(ask(issuer.token("bb-w1.viewer")), "nobody here")


NOW = {"past": -400, "soon": 400}


@pytest.mark.parametrize("changes", [
    {"aud": "other"}, {"aud": ["account"]}, {"aud": None}, {"aud": [1, "tiendo"]}, {"aud": {"tiendo": 1}}, {"aud": ""},
    {"iss": ISS + "/"}, {"iss": "https://evil.example"}, {"iss": None}, {"iss": [ISS]},
    {"azp": "account-console"}, {"azp": None}, {"typ": "ID"}, {"typ": "Refresh"}, {"typ": None},
    {"exp": None}, {"exp": "never"}, {"exp": 1e12}, {"exp": -1}, {"exp": True},
    {"iat": None}, {"iat": "now"}, {"nbf": "now"}, {"nbf": 99999999999}, {"nbf": -1},
], ids=str)
def test_wrong_claims(ask, issuer, changes):
    refused(ask(issuer.token(**changes)))


def test_dates(ask, issuer, clock):
    now = int(clock.now())
    refused(ask(issuer.token(iat=now - 400, exp=now - 1)))
    refused(ask(issuer.token(nbf=now + 300)))
    refused(ask(issuer.token(iat=now + 300)))
    refused(ask(issuer.token(iat=now - 90000, exp=now + 90000)))  # older than any token may be
    assert ask(issuer.token(iat=now + 10, nbf=now + 10)).status == 200  # clocks differ
    assert ask(issuer.token(iat=now - 80000, exp=now + 90000)).status == 200


def test_a_token_ends_when_it_expires_though_it_was_remembered(ask, issuer, moved):
    token = issuer.token()
    assert ask(token).status == 200
    moved.move(301)
    refused(ask(token))


def test_alg_none(ask, issuer):
    header, payload, signature = issuer.token().split(".")
    for alg in ("none", "None", "NONE"):
        head = jws.base64url_encode(json.dumps({"alg": alg, "typ": "JWT", "kid": issuer.rsa.get("kid")}))
        for end in ("", signature):
            refused(ask(f"{head}.{payload}.{end}"))


def test_a_public_key_is_no_shared_secret(ask, issuer):
    for key in (issuer.rsa, issuer.ec):
        for text in (key.export_to_pem(), key.export_public().encode(), key.export_to_pem().strip()):
            secret = jwk.JWK(kty="oct", k=jws.base64url_encode(text), kid=key.get("kid"))
            refused(ask(sign(secret, issuer.claims(), alg="HS256", header={"kid": key.get("kid")})))


def test_a_key_is_for_its_own_algorithm_alone(ask, issuer):
    bare = jwk.JWK(**{k: v for k, v in issuer.rsa.export(as_dict=True).items() if k not in ("alg", "use")})
    for alg in ("PS256", "RS512"):
        refused(ask(sign(bare, issuer.claims(), alg=alg)))
    refused(ask(sign(issuer.rsa, issuer.claims(), header={"kid": issuer.ec.get("kid")})))
    refused(ask(sign(issuer.ec, issuer.claims(), header={"kid": issuer.rsa.get("kid")})))


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"jwk": {"kty": "RSA"}}, {"jku": "https://evil.example"}, {"typ": "logout+jwt"},
                                    {"x5u": "https://evil.example"}, {"kid": "unbekannt"}, {"kid": ""}, {"kid": None},
                                    {"kid": "../../etc/passwd"}, {"kid": "x" * 300}], ids=lambda h: str(h)[:40])
def test_headers(ask, issuer, header):
    # jwcrypto would not write them all: the header is put together by hand and truly signed.
    head = {"alg": "RS256", "typ": "JWT", "kid": issuer.rsa.get("kid"), **header}
    text = jws.base64url_encode(json.dumps({k: v for k, v in head.items() if v is not None})) + "." + \
        jws.base64url_encode(json.dumps(issuer.claims()))
    signature = issuer.rsa.get_op_key("sign").sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    refused(ask(f"{text}.{jws.base64url_encode(signature)}"))


def test_broken_tokens(ask, issuer):
    token = issuer.token()
    header, payload, signature = token.split(".")
    for broken in (token + "x", token + ".", token + "=", token[:-1], f"{header}.{payload}", f"{header}.{payload}.",
                   f"{payload}.{payload}.{signature}", f"{header}.{payload}x.{signature}", "x" * 9000, token + "A" * 8192):
        refused(ask(broken))
    other = issuer.token("aa-tu.administrator").split(".")[1]
    refused(ask(f"{header}.{other}.{signature}"))


def test_issuers_do_not_stand_in_for_each_other(ask, issuer, world, clock, web, two):
    """One's key for the other's iss; ours for theirs; theirs for ours."""
    own = two[0].env["TIENDO_ISSUER"]
    refused(ask(sign(issuer.ec, loc_claims(clock, "bb-w1.viewer"))))
    refused(ask(sign(web.loc, issuer.claims())))
    copied = jwk.JWK(**{**issuer.ec.export(as_dict=True), "kid": "loc-1"})
    refused(ask(sign(copied, loc_claims(clock, "bb-w1.viewer"))))
    # An outside key under the kid of one of ours, and all the claims of a token of ours.
    token = world.login("aa-w1.viewer").json()["access_token"]
    head, payload = (json.loads(jws.base64url_decode(part)) for part in token.split(".")[:2])
    ours = jwk.JWK(**{**issuer.ec.export(as_dict=True), "kid": head["kid"]})
    refused(ask(sign(ours, {**payload, "iss": own})))
    refused(ask(sign(issuer.ec, {**payload, "iss": own})))
    refused(ask(sign(issuer.ec, {**payload, "iss": own, **{k: v for k, v in issuer.claims().items() if k not in ("iss", "aud")}})))


# ---- sessions and what the database says -----------------------------------------------------------------------

def test_tokens_of_one_log_in_share_a_session(ask, issuer, cluster):
    sid = str(uuid.uuid4())
    sessions = {ask(issuer.token(sid=sid), at=at).json()["session"] for at in (0, 1, 0)}
    assert len(sessions) == 1
    rows = cluster.query("SELECT issuer, account_id IS NOT NULL, expires_at > clock_now() FROM session WHERE id = %s", [sessions.pop()])
    assert rows == [("sso", True, True)]
    assert len({ask(issuer.token(sid=None)).json()["session"] for _ in range(2)}) == 2


def test_a_killed_session_stays_killed_on_every_process(ask, issuer, cluster):
    sid = str(uuid.uuid4())
    token = issuer.token(sid=sid)
    session = ask(token).json()["session"]
    assert ask(token, at=1).status == 200
    cluster.query("UPDATE session SET revoked_at = clock_now(), revoked_reason = 'test' WHERE id = %s", [session])
    for at in (0, 1, 0, 1):
        refused(ask(token, at=at))
        refused(ask(issuer.token(sid=sid), at=at), "was ended here")
    assert ask(issuer.token()).status == 200  # another log-in


def test_sessions_are_listed_and_ended_like_any_other(ask, issuer, world):
    world.account(world.at("AA-TU", "administrator"), "tu.thoat", ("AA-W1", "viewer"))
    sid, other = str(uuid.uuid4()), issuer.token("tu.thoat")
    token = issuer.token("tu.thoat", sid=sid)
    session = ask(token).json()["session"]
    assert ask(other).status == 200
    listed = ask(token, "/v1/me/sessions", at=1).json()["items"]
    assert {s["id"]: s["current"] for s in listed}[session] is True and len(listed) == 2
    assert ask(token, f"/v1/me/sessions/{session}", at=1, method="DELETE").status == 204
    for at in (0, 1):
        refused(ask(token, at=at))
        refused(ask(issuer.token("tu.thoat", sid=sid), at=at), "was ended here")
        assert ask(other, at=at).status == 200
    assert world.at("AA-TU", "administrator").request("DELETE", "/v1/accounts/tu.thoat/sessions").status in (200, 204)
    for at in (0, 1):
        refused(ask(other, at=at))


def test_a_killed_log_in_is_killed_under_all_its_grants(ask, issuer, world, cluster):
    world.account(world.at("AA-TU", "administrator"), "ba.noi", ("AA-W1", "viewer"), ("AA-W2", "viewer"))
    sid = str(uuid.uuid4())
    one, two = issuer.token("ba.noi", sid=sid, don_vi="AA-W1"), issuer.token("ba.noi", sid=sid, don_vi="AA-W2")
    session = ask(one).json()["session"]
    assert ask(two).json()["session"] != session
    cluster.query("UPDATE session SET revoked_at = clock_now() WHERE id = %s", [session])
    refused(ask(two))
    refused(ask(one))


def test_a_suspended_account_is_refused_at_its_next_request(ask, issuer, world, cluster):
    world.account(world.at("AA-TU", "administrator"), "bi.dung", ("AA-W1", "viewer"))
    token = issuer.token("bi.dung")
    for at in (0, 1):
        assert ask(token, at=at).status == 200
    cluster.query("UPDATE account SET status = 'suspended' WHERE username = 'bi.dung'")
    for at in (0, 1):
        refused(ask(token, at=at))
        refused(ask(token, at=at), "not active")
        refused(ask(issuer.token("bi.dung"), at=at), "not active")
    cluster.query("UPDATE account SET status = 'active' WHERE username = 'bi.dung'")
    for at in (0, 1):
        assert ask(issuer.token("bi.dung"), at=at).status == 200


def test_an_ended_grant_is_refused_at_the_next_request(ask, issuer, world, cluster):
    made = world.account(world.at("AA-TU", "administrator"), "het.quyen", ("AA-W1", "viewer"), ("AA-W2", "viewer"))
    token = issuer.token("het.quyen")
    for at in (0, 1):
        assert ask(token, at=at).json()["grant"]["organization"]["code"] == "AA-W1"
    cluster.query("UPDATE access_grant SET revoked_at = clock_now() WHERE account_id = %s AND organization_id = organization_id('AA-W1')",
                  [made["id"]])
    for at in (0, 1):
        refused(ask(token, at=at))
        assert ask(token, at=at).json()["grant"]["organization"]["code"] == "AA-W2"  # the next one that fits
    cluster.query("UPDATE access_grant SET revoked_at = clock_now() WHERE account_id = %s", [made["id"]])
    for at in (0, 1):
        refused(ask(token, at=at))
        refused(ask(token, at=at), "no grant")


def test_first_sight_by_many_at_once(ask, issuer, cluster):
    token, answers = issuer.token("aa-w2.viewer"), []
    threads = [threading.Thread(target=lambda at=n % 2: answers.append(ask(token, at=at))) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.status for a in answers] == [200] * 16
    assert len({a.json()["session"] for a in answers}) == 1


# ---- keys ------------------------------------------------------------------------------------------------------

def test_a_rotated_key_is_taken_and_the_old_one_refused(ask, issuer):
    old, new = issuer.rsa, make_key("RSA")
    before = issuer.token()
    assert ask(before).status == ask(before, at=1).status == 200
    issuer.publish(new, old, issuer.ec)
    after = issuer.token(key=new)
    for at in (0, 1):
        eventually(lambda at=at: check_status(ask(after, at=at), 200))
        assert ask(before, at=at).status == 200
    issuer.publish(new, issuer.ec)
    for at in (0, 1):
        eventually(lambda at=at: refused(ask(before, at=at)))  # remembered or not
        assert ask(after, at=at).status == 200
    issuer.rsa = new


def check_status(answer, status):
    assert answer.status == status, answer


def test_an_unknown_key_is_looked_for_at_once(ask, issuer, web, clock):
    new = make_key("EC", kid="loc-2")
    web.body = key_set(web.loc, new)
    assert ask(sign(new, loc_claims(clock, "bb-w1.viewer"))).status == 200
    asked = web.asked
    for _ in range(40):
        refused(ask(sign(make_key("EC"), loc_claims(clock, "bb-w1.viewer"))))
    assert web.asked - asked < 40


@pytest.mark.parametrize("broken", [
    "", "[]", "{}", "{", '{"keys": {}}', '{"keys": []}', '{"keys": [1]}', "\ufeff{}", "x" * 300_000, '{"keys": [], "keys": []}',
    "twins", "short", "secret", "enc", "off-curve", "private",
], ids=lambda text: text[:20])
def test_a_broken_set_leaves_the_keys_as_they_were(ask, issuer, two, broken):
    ec = issuer.ec.export_public(as_dict=True)
    sets = {
        "twins": [ec, make_key("EC", kid=ec["kid"]).export_public(as_dict=True)],
        "short": [make_key("RSA", size=1024).export_public(as_dict=True)],
        "secret": [{"kty": "oct", "k": "AAAA", "alg": "HS256", "kid": "s"}],
        "enc": [{**ec, "use": "enc"}],
        "off-curve": [{**ec, "x": ec["y"], "y": ec["x"]}],
        "private": [json.loads(issuer.ec.export_private())],
    }
    size = len(two[0].log())
    issuer.path.write_text(json.dumps({"keys": sets[broken]}) if broken in sets else broken, encoding="utf-8")
    eventually(lambda: check_log(two[0], size))
    assert ask(issuer.token(key=issuer.ec)).status == 200
    issuer.publish(issuer.rsa, issuer.ec)


def check_log(service, size):
    assert '"event":"issuer_keys_not_read"' in service.log()[size:]
    assert '"kept":1' in service.log()[size:]


@pytest.mark.parametrize("mode", ["hang", "garbage", "redirect", "huge", "endless", "status"])
def test_a_bad_server_of_keys_costs_nobody(ask, issuer, web, clock, two, mode):
    web.body = key_set(web.loc)
    token = sign(web.loc, loc_claims(clock, "bb-w1.viewer"))
    check_status(ask(token), 200)
    size, web.mode = len(two[0].log()), mode
    try:
        eventually(lambda: check_log(two[0], size))
        check_status(ask(sign(web.loc, loc_claims(clock, "bb-w1.viewer"))), 200)  # the keys of before
        began = time.monotonic()
        for _ in range(4):
            answer = ask(sign(make_key("EC"), loc_claims(clock, "bb-w1.viewer")))
            assert answer.status in (401, 503), answer
            if answer.status == 503:
                assert answer.header("Retry-After")
        assert time.monotonic() - began < 8
        assert ask(issuer.token()).status == 200
    finally:
        web.mode = "good"


def test_keys_that_cannot_be_read_again_run_out(world, cluster, directory, clock, issuer, web):
    """And without any keys the answer is to come again later."""
    web.body = key_set(web.loc)
    more = settings(issuer, web) | {"issuer__loc__stale_s": 1}
    service = Service(cluster, directory, clock, **more).start()
    caller = Caller(world, sign(web.loc, loc_claims(clock, "bb-w1.viewer")), service.http())
    try:
        eventually(lambda: check_status(caller.get("/v1/me"), 200))
        web.mode = "status"
        answer = eventually(lambda: gone(caller.get("/v1/me")))
        assert answer.header("Retry-After")
        web.mode = "good"
        eventually(lambda: check_status(caller.get("/v1/me"), 200))
    finally:
        web.mode = "good"
        caller.close()
        service.assert_clean(service.stop())


def gone(answer):
    assert answer.status == 503, answer
    return answer


def certificate(directory, name, address):
    """A certificate that signs itself, for an address; where it stands."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1)).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False).sign(key, hashes.SHA256()))
    pem, both = directory / f"{name}.pem", directory / f"{name}-key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    both.write_bytes(pem.read_bytes() + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return pem, both


def test_keys_come_only_from_a_server_that_can_be_trusted(world, cluster, directory, clock, web):
    """By a certificate for its very address, of an authority that is believed."""
    settings_, servers = {}, []
    for name, address, believed in (("good", "127.0.0.1", True), ("alone", "127.0.0.1", False), ("other", "127.0.0.2", True)):
        pem, both = certificate(directory, name, address)
        server = Web(both)
        server.body = key_set(web.loc)
        servers.append(server)
        settings_ |= {f"issuer__{name}__iss": f"https://{name}.example", f"issuer__{name}__jwks_url": server.url,
                      f"issuer__{name}__audience": "tiendo-loc", f"issuer__{name}__account_claim": "resource.ten\\.dang.nhap"}
        if believed:
            settings_[f"issuer__{name}__ca_file"] = pem
    service = Service(cluster, directory, clock, **settings_).start()
    try:
        for name, status in (("good", 200), ("alone", 503), ("other", 503)):
            caller = Caller(world, sign(web.loc, loc_claims(clock, "bb-w1.viewer", iss=f"https://{name}.example")), service.http())
            eventually(lambda: check_status(caller.get("/v1/me"), status))  # noqa: B023
            caller.close()
    finally:
        service.assert_clean(service.stop())
        for server in servers:
            server.close()


def test_the_configuration_is_told_and_nothing_of_it_is_a_secret(two):
    text = two[0].command("check").stdout
    assert f"issuer.sso.iss = {ISS}\n" in text and "issuer.loc.jwks_url = http://127.0.0.1" in text


def test_check_tells_what_keys_there_are(two, issuer, web):
    issuer.publish(issuer.rsa, issuer.ec)
    web.body, web.mode = key_set(web.loc), "good"
    assert "# issuer.sso: 2 keys, 1 passed over; key 1 is passed over: it is not for signatures\n" in two[0].command("check").stdout
    web.mode = "status"
    try:
        done = two[0].command("check", check=False)
    finally:
        web.mode = "good"
    assert done.returncode == 1 and "# issuer.loc: no keys: answered 503\n" in done.stdout
