"""Forged, broken and misused tokens: never accepted, whatever a JWT library would do."""
import base64
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from harness.service import BEGINNING
from harness.world import Caller


def b64(data):
    if not isinstance(data, bytes):
        data = json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign_es256(key, header, payload):
    text = b64(header) + "." + b64(payload)
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return text + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


@pytest.fixture(scope="module")
def real(world):
    token = world.login("aa-w1.viewer").json()["access_token"]
    header, payload, signature = token.split(".")
    return {"token": token, "header": json.loads(unb64(header)), "payload": json.loads(unb64(payload)), "signature": signature}


@pytest.fixture(scope="module", autouse=True)
def signed(world, cluster, real):
    """Signs claims with a key the service takes for its own, so that only what they say is wrong. Before any test, for after a few
    keys that it does not know the service looks for more only every so often."""
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    kid = "test-key-of-the-suite"
    jwk = {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big")),
           "kid": kid, "use": "sig", "alg": "ES256"}
    cluster.query("INSERT INTO signing_key (kid, public_jwk, private_sealed, signs_until) VALUES (%s, %s, '', clock_now())",
                  [kid, json.dumps(jwk)])

    def sign(header=None, payload=None, without=()):
        claims = {k: v for k, v in {**real["payload"], **(payload or {})}.items() if k not in without}
        return sign_es256(key, {**real["header"], "kid": kid, **(header or {})}, claims)

    until = time.monotonic() + 60
    while Caller(world, sign()).get("/v1/me").status != 200:
        assert time.monotonic() < until, "the service never loaded the new key"
        time.sleep(0.1)
    return sign


def refused(caller, token):
    for path in ("/v1/me", "/v1/organizations"):
        answer = caller(token).get(path)
        assert answer.status == 401, (token[:80], answer)
        assert answer.code == "invalid_token"
        assert 'error="invalid_token"' in answer.header("WWW-Authenticate")


def public_pem(world, kid):
    key = next(k for k in world.anonymous.get("/.well-known/jwks.json").json()["keys"] if k["kid"] == kid)
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(unb64(key["x"]), "big"), int.from_bytes(unb64(key["y"]), "big"), ec.SECP256R1())
    return key, numbers.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_the_real_one_is_taken(real, caller):
    assert caller(real["token"]).get("/v1/me").status == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_alg_none(real, caller, alg):
    for signature in ("", real["signature"]):
        refused(caller, f"{b64({**real['header'], 'alg': alg})}.{b64(real['payload'])}.{signature}")


@pytest.mark.parametrize("alg,digest", [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")])
def test_hmac_with_the_public_key(world, real, caller, alg, digest):
    jwk, pem = public_pem(world, real["header"]["kid"])
    for secret in (pem, pem.strip(), json.dumps(jwk).encode(), unb64(jwk["x"]), b""):
        text = b64({**real["header"], "alg": alg}) + "." + b64(real["payload"])
        refused(caller, text + "." + b64(hmac.new(secret, text.encode(), digest).digest()))


def test_another_key_under_the_known_kid(real, caller):
    refused(caller, sign_es256(ec.generate_private_key(ec.SECP256R1()), real["header"], real["payload"]))


def test_unknown_and_missing_kid(real, caller):
    key = ec.generate_private_key(ec.SECP256R1())
    for kid in ("unknown", "", "../../etc/passwd", "' OR 1=1 --", "x" * 5000, 7, None, ["a"]):
        refused(caller, sign_es256(key, {**real["header"], "kid": kid}, real["payload"]))
    header = {k: v for k, v in real["header"].items() if k != "kid"}
    refused(caller, sign_es256(key, header, real["payload"]))


def test_a_key_brought_along(real, caller):
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big")), "kid": "mine"}
    for extra in ({"jwk": jwk}, {"jwk": jwk, "kid": "mine"}, {"jku": "https://evil.example/jwks.json"}, {"x5u": "https://evil.example/"}):
        refused(caller, sign_es256(key, {**real["header"], **extra}, real["payload"]))


def test_crit_and_header_changes_break_the_signature(real, caller):
    for extra in ({"crit": ["exp"]}, {"crit": []}, {"typ": "zz"}, {"b64": False}, {"zip": "DEF"}):
        refused(caller, f"{b64({**real['header'], **extra})}.{b64(real['payload'])}.{real['signature']}")


def test_changed_claims(real, caller):
    for extra in ({"exp": int(BEGINNING) + 99999}, {"scope": "accounts:write"}, {"sub": "x"}, {"grant": real["payload"]["sid"]}):
        refused(caller, f"{b64(real['header'])}.{b64({**real['payload'], **extra})}.{real['signature']}")


def test_rubbish_around_a_good_token(real, caller):
    header, payload, signature = real["token"].split(".")
    for token in (f"{header}.{payload}.{signature}!!", f"{header}.{payload}.{signature}=", f"{header}.{payload}.{signature}.x",
                  f"{header}.{payload}.", f"{header}.{payload}", f".{payload}.{signature}", f"{header}..{signature}",
                  f"{header}.{payload}.{signature[:-2]}", f"{header}.{payload}.{signature}AAAA", f"{header}\t.{payload}.{signature}",
                  f"{header}.{payload}+.{signature}", f"{header}.{payload}.{signature[:40]} {signature[40:]}", "a" * 8193,
                  f"{header}.{payload}.{signature}" + "A" * 8192, f"{header}.{b64(unb64(payload) + bytes(1))}.{signature}"):
        refused(caller, token)


def test_the_last_bits_of_the_signature_are_checked(real, caller):
    """86 base64url characters of 64 bytes leave four bits over; they must be nought."""
    last = real["signature"][-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = alphabet.index(last)
    for i in range(64):
        if i != at and i & ~15 == at & ~15:
            refused(caller, real["token"][:-1] + alphabet[i])


def test_a_signature_in_der(real, caller):
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    raw = unb64(real["signature"])
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    refused(caller, f"{b64(real['header'])}.{b64(real['payload'])}.{b64(der)}")


def test_a_zero_signature(real, caller):
    refused(caller, f"{b64(real['header'])}.{b64(real['payload'])}.{b64(bytes(64))}")


@pytest.mark.parametrize("value", ["", " ", "Bearer", "Bearer ", "Basic dTpw", "bearer\t{t}", "Token {t}", "Bearer {t} {t}", "{t}", "Bearer {t},Bearer {t}"])
def test_authorization_that_is_no_bearer_token(world, real, value):
    answer = world.anonymous.request("GET", "/v1/me", None, [("Authorization", value.format(t=real["token"]))])
    assert answer.status == 401, answer


def test_two_authorization_headers(world, real):
    answer = world.anonymous.request("GET", "/v1/me", None, [("Authorization", "Bearer " + real["token"])] * 2)
    assert answer.status == 400 and answer.code == "bad_header"


def test_the_scheme_is_case_insensitive(world, real):
    assert world.anonymous.request("GET", "/v1/me", None, [("Authorization", "bearer " + real["token"])]).status == 200


def test_a_token_expires_and_is_not_remembered_beyond(world, moved, caller):
    token = world.login("aa-w1.viewer").json()["access_token"]
    me = caller(token)
    assert me.get("/v1/me").status == 200
    moved.move(595)
    assert me.get("/v1/me").status == 200
    moved.move(605)
    assert me.get("/v1/me").code == "invalid_token"


NOW = int(BEGINNING) + 60


@pytest.mark.parametrize("change", [
    {"exp": str(NOW + 600)}, {"exp": int(BEGINNING) - 1}, {"exp": None}, {"exp": True}, {"exp": 1e30}, {"exp": -1}, {"exp": [NOW + 600]},
    {"exp": 2 ** 63}, {"exp": NOW + 0.5 - 3600}, {"aud": "other"}, {"aud": ["other"]}, {"aud": None}, {"aud": 7}, {"aud": "tiendo "},
    {"iss": "https://evil.example"}, {"iss": None}, {"iss": ["http://127.0.0.1"]}, {"iat": "now"}, {"nbf": NOW + 3600}, {"nbf": "x"},
    {"sub": 7}, {"sid": "not-a-uuid"}, {"sid": None}, {"grant": "x"}, {"grant": {}}, {"scope": ["values:read"]}, {"scope": None},
    {"sid": "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02"}, {"grant": "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02"},
], ids=str)
def test_wrong_claims_under_a_right_signature(signed, caller, change):
    refused(caller, signed(payload=change))


@pytest.mark.parametrize("claim", ["exp", "aud", "iss", "sub", "sid", "grant", "scope"])
def test_missing_claims_under_a_right_signature(signed, caller, claim):
    refused(caller, signed(without=[claim]))


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": ["zz"], "zz": 1}, {"alg": "ES384"}, {"alg": "none"}, {"alg": None}, {"typ": 7}], ids=str)
def test_wrong_headers_under_a_right_signature(signed, caller, header):
    refused(caller, signed(header=header))


def test_a_repeated_claim_under_a_right_signature(signed, real, caller):
    """libjwt takes the last duplicate; a reader before it may have taken the first."""
    from unittest import mock
    payload = json.dumps(real["payload"])[:-1] + ', "scope": "accounts:write"}'
    with mock.patch(f"{__name__}.b64", lambda data, plain=b64: plain(payload.encode() if isinstance(data, dict) and "sid" in data else data)):
        token = signed()
    refused(caller, token)


def test_a_grant_of_someone_else_under_a_right_signature(world, signed, real, caller):
    other = world.login("aa-tu.manager").json()["grant"]
    refused(caller, signed(payload={"grant": other}))


def test_a_wider_scope_than_the_role_gives_nothing(world, signed, caller):
    answer = caller(signed(payload={"scope": "accounts:read me:read"})).get("/v1/accounts")
    assert answer.status == 403 and answer.code == "forbidden", "the database decides, not the token"
