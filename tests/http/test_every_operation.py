"""What the contract promises of every operation alike, asked of each of them."""
import re

import pytest
from harness import files, samples
from harness.contract import Contract

OPERATIONS = sorted(Contract().operations.values(), key=lambda op: op.id)
GUARDED = [op for op in OPERATIONS if op.permission != "public"]
WITH_BODY = [op for op in OPERATIONS if "requestBody" in op.node]
each = pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.id)
each_guarded = pytest.mark.parametrize("op", GUARDED, ids=lambda op: op.id)
each_with_body = pytest.mark.parametrize("op", WITH_BODY, ids=lambda op: op.id)


@pytest.fixture
def who(world):
    def find(op):
        if op.permission == "public":
            return world.anonymous
        role = "administrator" if op.permission.split(":")[0] in ("accounts", "clients", "grants", "mandates") else "manager"
        if op.permission in ("submissions:write", "reviews:write", "recognitions:write"):
            role = "approver"
        return world.at("AA-TU", role)
    return find


def content(op, body):
    if op.id in ("token", "revoke"):
        return b"grant_type=client_credentials", [("Content-Type", "application/x-www-form-urlencoded")]
    return body, [("Content-Type", files.PDF)] if op.id in ("attachment_create", "evidence_create") else []


@each_guarded
def test_no_token_is_401_with_a_bare_challenge(world, op):
    answer = world.anonymous.request(op.method, samples.address(world, op), samples.body(op.id), samples.headers(op))
    assert answer.status == 401 and answer.code == "unauthenticated"
    assert re.fullmatch(r'Bearer realm="[^"]*"', answer.header("WWW-Authenticate"))


@each_guarded
def test_a_broken_token_is_401_invalid_token(world, caller, op):
    answer = caller("e30.e30.e30").request(op.method, samples.address(world, op), samples.body(op.id), samples.headers(op))
    assert answer.status == 401 and answer.code == "invalid_token"
    assert 'error="invalid_token"' in answer.header("WWW-Authenticate")


@each
def test_an_unknown_parameter_is_400_and_named(world, who, op):
    address = samples.address(world, op)
    answer = who(op).request(op.method, address + ("&" if "?" in address else "?") + "knid=x", *content(op, samples.body(op.id)))
    assert answer.status == 400 and answer.code == "unknown_parameter"
    assert ("knid", "unknown_parameter") in answer.faults()


@each
def test_a_token_in_the_query_is_400(world, who, op):
    address = samples.address(world, op)
    answer = who(op).request(op.method, address + ("&" if "?" in address else "?") + "access_token=x", *content(op, samples.body(op.id)))
    assert answer.status == 400 and answer.code == "token_in_query"


# An answer without a body meets any Accept.
@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.id != "revoke" and op.success != [204]], ids=lambda op: op.id)
def test_an_accept_that_cannot_be_met_is_406(world, who, op):
    body, headers = content(op, samples.body(op.id))
    answer = who(op).request(op.method, samples.address(world, op), body, headers + samples.headers(op, False) + [("Accept", "image/x-none")])
    assert answer.status == 406 and answer.code == "not_acceptable"


@each_with_body
def test_another_media_type_is_415(world, who, op):
    answer = who(op).request(op.method, samples.address(world, op), b"<a/>", [("Content-Type", "application/xml")] + samples.headers(op, False))
    assert answer.status == 415
    if op.method == "PATCH":
        assert answer.header("Accept-Patch") == "application/merge-patch+json"
        plain = who(op).request("PATCH", samples.address(world, op), b"{}", [("Content-Type", "application/json")])
        assert plain.status == 415


@each_with_body
def test_an_empty_body_is_400(world, who, op):
    types = list(op.node["requestBody"]["content"])
    answer = who(op).request(op.method, samples.address(world, op), b"", [("Content-Type", types[0])] + samples.headers(op, False))
    assert answer.status == 400, answer


@pytest.mark.parametrize("op", [op for op in WITH_BODY if not op.id.endswith("_import") and op.id not in ("token", "revoke", "attachment_create", "evidence_create")], ids=lambda op: op.id)
def test_a_body_too_large_is_413(world, who, op):
    types = list(op.node["requestBody"]["content"])
    big = b'{"note": "' + b"x" * (1 << 20) + b'"}'
    answer = who(op).request(op.method, samples.address(world, op), big, [("Content-Type", types[0])] + samples.headers(op, False))
    assert answer.status == 413 and answer.code == "body_too_large"


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.method == "GET"], ids=lambda op: op.id)
def test_head_answers_as_get_without_a_body(world, who, op):
    address = samples.address(world, op)
    get = who(op).request("GET", address)
    head = who(op).request("HEAD", address)
    assert (get.status, get.type, get.etag) == (head.status, head.type, head.etag)
    assert head.body == b""
    if get.header("Content-Length") and head.header("Content-Length"):
        assert get.header("Content-Length") == head.header("Content-Length")


@each
def test_options_names_the_methods_and_another_is_405(world, who, contract, op):
    address = samples.path(world, op)
    options = who(op).request("OPTIONS", address)
    assert options.status == 204 and options.body == b""
    allowed = options.header("Allow").split(", ")
    assert op.method in allowed and "OPTIONS" in allowed
    assert ("HEAD" in allowed) == ("GET" in allowed)
    wrong = who(op).request(next(m for m in ("DELETE", "PUT", "POST") if m not in allowed), address)
    assert wrong.status == 405 and wrong.code == "method_not_allowed" and wrong.header("Allow") == options.header("Allow")


@each
def test_an_unknown_method_is_501(world, who, op):
    for method in ("BREW", "get", "TRACE"):
        answer = who(op).request(method, samples.path(world, op))
        assert answer.status == 501, answer


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.method == "GET"], ids=lambda op: op.id)
def test_nothing_is_stored_sniffed_or_framed(world, who, op):
    answer = who(op).request("GET", samples.address(world, op))
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Cache-Control") is not None
    if op.permission != "public":
        assert "no-store" in answer.header("Cache-Control")
    assert "frame-ancestors 'none'" in answer.header("Content-Security-Policy")


@pytest.mark.parametrize("op", [op for op in GUARDED if op.method == "GET" and "'304'" in str(op.node["responses"])], ids=lambda op: op.id)
def test_if_none_match_is_304(world, who, op):
    address = samples.address(world, op)
    answer = who(op).request("GET", address)
    assert answer.status == 200 and re.fullmatch(r'"[^"]+"', answer.etag)
    for tag in (answer.etag, "W/" + answer.etag, f'"zz", {answer.etag}', "*"):
        again = who(op).request("GET", address, None, [("If-None-Match", tag)])
        assert again.status == 304 and again.etag == answer.etag, (tag, again)
    assert who(op).request("GET", address, None, [("If-None-Match", '"zz"')]).status == 200


@pytest.mark.parametrize("op", [op for op in GUARDED if op.method == "PATCH"], ids=lambda op: op.id)
def test_a_change_needs_the_present_version(world, who, op):
    by = who(op)
    address = samples.address(world, op)
    etag = by.get(address).etag
    assert by.patch(address, samples.body(op.id)).status == 428
    assert by.patch(address, samples.body(op.id), '"999999"').status == 412
    assert by.patch(address, samples.body(op.id), "W/" + etag).status == 412, "a weak tag never matches strongly"
    changed = by.patch(address, samples.body(op.id), etag)
    assert changed.status == 200 and changed.etag != etag
    assert by.patch(address, samples.body(op.id), etag).status == 412
    assert by.patch(address, samples.body(op.id), "*").status == 200
    assert by.get(address).json()["version"] == changed.json()["version"] + 1


@pytest.mark.parametrize("op", [op for op in GUARDED if op.method == "GET" and "parameters/limit" in str(op.parameters)], ids=lambda op: op.id)
def test_limit_is_a_positive_integer(world, who, op):
    address = samples.address(world, op)
    mark = "&" if "?" in address else "?"
    for bad in ("0", "-1", "x", "1.5", "", "+5", "0x10", "99999999999999999999x"):
        answer = who(op).request("GET", f"{address}{mark}limit={bad}")
        assert answer.status == 400, (bad, answer)
        assert "limit" in answer.pointers()
    for large in (100000, 2 ** 63, 10 ** 60):
        coerced = who(op).request("GET", f"{address}{mark}limit={large}")
        assert coerced.status == 200 and coerced.json()["page"]["limit"] == 1000
    assert who(op).request("GET", f"{address}{mark}limit=1&limit=2").code == "repeated_parameter"
