"""Hostile and broken requests: refused with the right word, and nothing changed."""
import json
from urllib.parse import unquote

import pytest
from harness import samples
from harness.client import Http

JSON = [("Content-Type", "application/json")]


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


@pytest.fixture
def unchanged(cluster):
    """Nothing is written by what runs inside."""
    def state():
        return cluster.query("SELECT (SELECT count(*) FROM organization), (SELECT count(*) FROM value), (SELECT sum(version) FROM organization), "
                             "(SELECT count(*) FROM journal), (SELECT count(*) FROM idempotency)")
    before = state()
    yield
    assert state() == before


def body(**more):
    return {"code": samples.fresh("AA-Z"), "name": "Chi bộ", "kind": "party_cell", "parent": "AA-W1", **more}


BAD_JSON = {
    "empty": b"", "blank": b"  \n", "cut off": b'{"name": "x"', "two values": b'{"note": "x"} {"note": "y"}', "trailing": b'{"note": "x"} z',
    "duplicate keys": b'{"note": "x", "note": "y"}', "duplicate keys deep": b'{"note": "x", "identifiers": [{"scheme": "aa", "scheme": "bb", "value": "1"}]}',
    "duplicate keys escaped": b'{"note": "x", "n\\u006fte": "y"}',
    "depth 3000": b'{"note": ' + b"[" * 3000 + b"]" * 3000 + b"}", "depth 3000 objects": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "lone high surrogate": b'{"note": "\\ud800"}', "lone low surrogate": b'{"note": "\\udc00x"}', "surrogates the wrong way": b'{"note": "\\udc00\\ud800"}',
    "raw surrogate": b'{"note": "\xed\xa0\x80"}', "escaped NUL": b'{"note": "a\\u0000b"}', "raw NUL": b'{"note": "a\x00b"}', "NUL after": b'{"note": "x"}\x00',
    "BOM": b'\xef\xbb\xbf{"note": "x"}', "UTF-16": '{"note": "x"}'.encode("utf-16"), "Latin-1": b'{"note": "caf\xe9"}', "overlong": b'{"note": "\xc0\xaf"}',
    "raw control": b'{"note": "a\x01b"}', "raw newline in text": b'{"note": "a\nb"}', "single quotes": b"{'note': 'x'}", "comment": b'{"note": "x" /* y */}',
    "trailing comma": b'{"note": "x",}', "NaN": b'{"note": NaN}', "Infinity": b'{"note": Infinity}', "leading zero": b'{"note": 01}', "hex": b'{"note": 0x1}',
    "plus": b'{"note": +1}', "bare point": b'{"note": .5}', "upper TRUE": b'{"note": TRUE}', "escape": b'{"note": "\\x41"}', "vertical tab": b'{"note":\x0b"x"}',
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_what_is_no_json_is_400_and_changes_nothing(aa, unchanged, name):
    answer = aa.request("PATCH", "/v1/organizations/AA-W1", BAD_JSON[name],
                        [("Content-Type", "application/merge-patch+json"), ("If-Match", "*")])
    if name in ("escaped NUL", "lone high surrogate", "lone low surrogate", "surrogates the wrong way"):
        assert answer.status in (400, 422), answer
    else:
        assert answer.status == 400 and answer.code in ("bad_json", "bad_utf8"), answer


@pytest.mark.parametrize("text", ["null", "true", "7", '"x"', "[]", '[{"note": "x"}]'])
def test_json_that_is_no_object_is_422(aa, unchanged, text):
    for method, path, headers in (("PATCH", "/v1/organizations/AA-W1", [("Content-Type", "application/merge-patch+json"), ("If-Match", "*")]),
                                  ("POST", "/v1/organizations", JSON)):
        answer = aa.request(method, path, text.encode(), headers)
        assert answer.status == 422, answer


@pytest.mark.parametrize("digits", ["1e400", "-1e400", "1e-400", "12345678901234567", "0.12345678901234567", "1234567890.1234567", "1e308", "9" * 400,
                                    "0." + "0" * 400 + "1", "1e99999999999", "123456789012345.6"])
def test_numbers_beyond_fifteen_digits_are_422_not_rounded(aa, world, unchanged, digits):
    ward = world.at("AA-W1", "reporter")
    answer = ward.put("/v1/values/AA-SUM/AA-W1/2025-Q3", f'{{"number": {digits}}}'.encode(), JSON + [("If-None-Match", "*")])
    assert answer.status == 422 and "#/number" in answer.pointers(), answer


@pytest.mark.parametrize("change,pointer", [
    ({"zz": 1}, "#/zz"), ({"id": "x"}, "#/id"), ({"name": 7}, "#/name"), ({"name": None}, "#/name"), ({"name": []}, "#/name"), ({"attached": "true"}, "#/attached"),
    ({"attached": 1}, "#/attached"), ({"identifiers": {}}, "#/identifiers"), ({"identifiers": [7]}, "#/identifiers/0"),
    ({"identifiers": [{"scheme": "aa", "value": "1", "a/b~c": 1}]}, "#/identifiers/0/a~1b~0c"), ({"note": "x" * 2001}, "#/note"), ({"valid_from": "2026-1-1"}, "#/valid_from"),
    ({"valid_from": "2026-01-01T00:00:00Z"}, "#/valid_from"), ({"valid_from": 20260101}, "#/valid_from"), ({"code": "x" * 65}, "#/code"), ({"code": "a\nb"}, "#/code"),
    ({"kind": "Party_Cell"}, "#/kind"), ({"": 1}, "#/"), ({"__proto__": 1}, "#/__proto__"), ({"tên": 1}, None)])
def test_wrong_types_and_unknown_members_are_pointed_at(aa, unchanged, change, pointer):
    answer = aa.post("/v1/organizations", body(**change))
    assert answer.status == 422, answer
    assert pointer is None or pointer in answer.pointers(), answer


def test_three_faults_three_entries(aa, unchanged):
    answer = aa.post("/v1/organizations", {"code": "a b", "kind": 7, "parent": "AA-W1", "zz": True})
    assert answer.status == 422
    assert {"#/code", "#/kind", "#/zz", "#/name"} == answer.pointers() and len(answer.json()["errors"]) == 4


def test_faults_of_parameters_and_headers_are_told_together(aa):
    answer = aa.request("GET", "/v1/organizations?knd=x&limit=0&sort=nope&attached=maybe")
    assert answer.status == 400 and answer.pointers() >= {"knd", "limit", "attached"}, answer


def test_at_most_a_hundred_faults_are_listed(aa, unchanged):
    answer = aa.post("/v1/organizations", body(**{f"zz{i}": 1 for i in range(150)}))
    assert answer.status == 422 and len(answer.json()["errors"]) == 100


def test_a_pointer_is_an_escaped_fragment(aa, unchanged):
    answer = aa.post("/v1/organizations", body(**{'"<script>\\\u2028': 1}))
    assert answer.status == 422 and "<script>" not in answer.text
    assert any('"<script>\\\u2028' in unquote(p or "") for p in answer.pointers())


# ---- references out of scope read like nonexistent ones ----
UNSEEN = ["AA-W2", "AA-TU", "BB-W1", "NO-SUCH", "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02"]


def alike(answers, status):
    assert {a.status for a in answers} == {status}, answers
    texts = set()
    for a in answers:
        problem = a.json()
        texts.add(json.dumps([problem.get("code"), problem.get("detail"), problem.get("title"), problem.get("errors")]))
    assert len(texts) == 1, texts


@pytest.fixture
def ids(aa, world):
    """Codes and real ids of units the ward does not see."""
    return UNSEEN + [aa.get("/v1/organizations/AA-W2").json()["id"], world.at("BB-TU", "manager").get("/v1/organizations/BB-W1").json()["id"]]


@pytest.mark.parametrize("suffix", ["", "/children", "/ancestors", "/subtree"])
def test_by_path(world, ids, suffix):
    alike([world.at("AA-W1", "manager").get(f"/v1/organizations/{unit}{suffix}") for unit in ids], 404)


def test_by_path_of_a_change(world, ids, unchanged):
    by = world.at("AA-W1", "manager")
    for headers in ([], [("If-Match", "*")], [("If-Match", '"1"')]):
        alike([by.patch(f"/v1/organizations/{unit}", {"note": "x"}, None, headers) for unit in ids], 404)
    alike([by.enter("AA-SUM", unit, "2025-Q3", {"number": 1}) for unit in ids], 404)
    alike([by.get(f"/v1/values/AA-SUM/{unit}/2025-Q3") for unit in ids], 404)


@pytest.mark.parametrize("path,name,more", [
    ("/v1/organizations", "under", {}), ("/v1/organizations", "parent", {}), ("/v1/values", "under", {}), ("/v1/values", "organization", {}),
    ("/v1/values/sheet", "organization", {"period": "2026-Q1"}), ("/v1/progress", "organization", {"period": "2026-Q1"}),
    ("/v1/progress/explain", "organization", {"period": "2026-Q1", "indicator": "AA-SUM"}), ("/v1/programmes", "owner", {})])
def test_by_filter(world, ids, path, name, more):
    by = world.at("AA-W1", "manager")
    units = [u for u in ids if not (name == "owner" and u == "AA-TU")]
    alike([by.get(path, **{name: unit}, **more) for unit in units], 422)


@pytest.fixture(scope="module")
def wards_indicator(world):
    """An indicator that a ward defined itself."""
    by, code = world.at("AA-W1", "manager"), samples.fresh("AA-Z")
    world.must(by.post("/v1/programmes", {"code": code, "title": "Chương trình phường", "owner": "AA-W1", "scope": "AA-W1"}))
    return world.indicator(by, samples.fresh("AA-Z"), code, "number")["code"]


@pytest.mark.parametrize("op,change", [
    ("organization_create", lambda u: {"parent": u}), ("programme_create", lambda u: {"scope": u}), ("programme_create", lambda u: {"owner": u}),
    ("assignment_create", lambda u: {"organization": u}), ("target_create", lambda u: {"organization": u}),
    ("account_create", lambda u: {"organization": u}), ("grant_create", lambda u: {"organization": u, "account": "aa-w1-c1.viewer"}),
    ("client_create", lambda u: {"organization": u}), ("report_duty_create", lambda u: {"to": u}), ("report_duty_create", lambda u: {"from": {"under": u}}),
    ("report_duty_create", lambda u: {"copies": [u]}), ("mandate_create", lambda u: {"over": u}), ("mandate_create", lambda u: {"unit": u})],
    ids=lambda x: x if isinstance(x, str) else "")
def test_by_reference_in_a_body(world, ids, wards_indicator, unchanged, op, change):
    operation = world.contract.operations[op]
    role = "administrator" if operation.permission.split(":")[0] in ("accounts", "clients", "grants", "mandates") else "manager"
    by = world.at("AA-W1", role)
    first = samples.body(op, "AA-W1")
    alike([by.post(samples.address(world, operation, indicator=wards_indicator), {**first, **change(unit)}) for unit in ids], 422)


def test_an_indicator_out_of_scope_everywhere(world, unchanged):
    by = world.at("AA-W1", "manager")
    hidden = world.at("BB-TU", "manager").get("/v1/indicators/BB-RATIO").json()["id"]
    names = ["BB-RATIO", "NO-SUCH", hidden]
    alike([by.get(f"/v1/indicators/{n}") for n in names], 404)
    alike([by.get(f"/v1/indicators/{n}/targets") for n in names], 404)
    alike([by.get("/v1/values", indicator=n) for n in names], 422)
    alike([by.enter(n, "AA-W1", "2026-Q1", {"number": 1}) for n in names], 404)
    alike([by.post("/v1/indicators", {**samples.body("indicator_create"), "programme": n.replace("RATIO", "P")}) for n in names], 422)


# ---- broken HTTP ----
@pytest.fixture
def token(world):
    return world.at("AA-TU", "manager").token


def raw(service, text, method="GET"):
    if isinstance(text, str):
        text = text.encode("latin-1")
    return Http("127.0.0.1", service.port, 10).raw(text.replace(b"\n", b"\r\n"), method)


BROKEN = {
    "no host": "GET /livez HTTP/1.1\n\n",
    "two hosts": "GET /livez HTTP/1.1\nHost: a\nHost: b\n\n",
    "two lengths": "POST /v1/sessions HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: 2\nContent-Length: 3\n\n{}",
    "length and chunks": "POST /v1/sessions HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: 2\nTransfer-Encoding: chunked\n\n2\n{}\n0\n\n",
    "two types": "POST /v1/sessions HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Type: text/csv\nContent-Length: 2\n\n{}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_requests_that_could_be_read_in_two_ways_are_400(service, name):
    answer = raw(service, BROKEN[name])
    assert answer.status == 400, answer


@pytest.mark.parametrize("value", ["-1", "1e3", "99999999999999999999", "0x10", "x"])
def test_odd_lengths(service, value):
    try:
        answer = raw(service, f"POST /v1/sessions HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: {value}\n\n{{}}", "POST")
    except (ConnectionResetError, BrokenPipeError):
        return
    assert answer.status in (400, 413), answer


def test_a_very_long_header_and_many_headers(world):
    for headers in ([("X-Long", "x" * 100000)], [(f"X-{i}", "y") for i in range(1000)]):
        try:
            answer = world.anonymous.http.request("GET", "/livez", headers)
        except (ConnectionResetError, BrokenPipeError):
            world.anonymous.http.close()
            continue
        assert answer.status in (400, 413, 431), answer
        world.anonymous.http.close()
    assert world.anonymous.get("/livez").status == 200


def test_a_very_long_address(world):
    answer = world.anonymous.http.request("GET", "/v1/organizations?q=" + "a" * 20000)
    assert answer.status in (400, 414, 431), answer
    world.anonymous.http.close()


@pytest.mark.parametrize("name", ["Idempotency-Key", "If-Match", "Prefer"])
def test_headers_that_are_not_utf8(aa, name):
    path, method = {"If-Match": ("/v1/organizations/AA-W1", "PATCH"), "Prefer": ("/v1/organizations", "GET")}.get(name, ("/v1/organizations", "POST"))
    answer = aa.request(method, path, None if method == "GET" else {}, [(name, b"\xf3a")])
    assert answer.status == 400 and answer.code == "bad_header" and (name, "bad_utf8") in answer.faults(), answer
