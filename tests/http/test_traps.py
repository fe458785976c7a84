"""Each trap of the libraries, named as it is known, and the right answer. Traps of libjwt stand in test_tokens.py, those of bodies in
test_bad_input.py, of row security in test_rows.py and test_journal.py; what needs a failing database is under tests/fault."""
import gzip
import json
import unicodedata
from urllib.parse import quote

import pytest
from harness import samples
from harness.client import Http
from harness.service import Service


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def raw(world, text, method="GET"):
    return Http("127.0.0.1", world.service.port, 10).raw(text.encode("latin-1").replace(b"\n", b"\r\n"), method)


# ---- Ulfius on libmicrohttpd ----
def test_an_oversize_body_is_not_silently_truncated(aa):
    """max_post_body_size truncates and runs the handler: one byte over the limit is 413, the limit itself is taken."""
    limit = 1 << 20
    for size, status in ((limit, 422), (limit + 1, 413)):
        text = b'{"zz": "' + b"x" * (size - 10) + b'"}'
        assert len(text) == size
        answer = aa.request("POST", "/v1/organizations", text, [("Content-Type", "application/json")])
        assert answer.status == status, (size, answer.status)


def test_an_oversize_body_in_chunks_is_413_too(world, aa):
    head = (f"POST /v1/organizations HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {aa.token}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n").encode()
    chunk = b"x" * 65536
    http = Http("127.0.0.1", world.service.port, 20)
    http.send(head)
    try:
        for _ in range(17):
            http.send(b"10000\r\n" + chunk + b"\r\n")
        http.send(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert http.read("POST").status == 413


def test_path_and_query_share_no_map(aa):
    """/organizations/7?id=1 would read "1,7"."""
    answer = aa.get("/v1/organizations/AA-W1?organization=AA-W2")
    assert answer.status == 400 and answer.code == "unknown_parameter"
    assert aa.get("/v1/organizations/AA-W1/subtree?depth=1").json()["items"][0]["code"] == "AA-W1"


def test_repeated_keys_and_headers_are_not_joined_by_commas(aa):
    assert aa.get("/v1/organizations?kind=party_cell&kind=party_cell").code == "repeated_parameter"
    assert aa.get("/v1/organizations?kind=party_cell&ki%6Ed=party_cell").code == "repeated_parameter"
    for name in ("If-None-Match", "Idempotency-Key", "Content-Type", "traceparent"):
        answer = aa.get("/v1/organizations/AA-W1", [(name, "x"), (name, "y")])
        assert answer.status == 400 and answer.code == "bad_header", (name, answer)


@pytest.mark.parametrize("path", ["/v1/organizations/AA-W1%00", "/v1/organizations/AA%00-W1", "/v1%00/organizations", "/%00", "/v1/organizations/%ff",
                                  "/v1/organizations/AA-W1%c0%af", "/v1/organizations/%ed%a0%80", "/v1/organizations/AA-W1%", "/v1/organizations/AA-W1%4",
                                  "/v1/organizations/%zz", "//v1/organizations/AA-W1", "/v1//organizations/AA-W1", "/v1/organizations/AA-W1/",
                                  "/v1/organizations/AA-W1//", "//v1//organizations///", "/v1/./organizations/AA-W1", "/v1/programmes/../organizations/AA-W1",
                                  "/v1/organizations/..%2forganizations%2fAA-W1", "/v1/organizations%2fAA-W1", "/v1/organizations/AA-W1;x=1", "/v1/organizations/AA-W1%20",
                                  "/v1/organizations/AA+W1", "/V1/organizations/AA-W1", "/v1/Organizations/AA-W1", "/v1/organizations/%41%41-W1%2f..", "/"])
def test_odd_paths_never_give_data(aa, path):
    answer = aa.get(path)
    assert answer.status in (400, 404), answer
    assert answer.type == "application/problem+json" and "items" not in answer.json() and "Hòa Bình" not in answer.text


def test_a_path_is_split_before_it_is_decoded(aa):
    assert aa.get("/v1/organizations/%41%41-W1").json()["code"] == "AA-W1", "an encoded letter is a letter"
    assert aa.get("/v1/organizations/AA-W1%2Fchildren").status == 404, "an encoded slash is no separator"


def test_invalid_utf8_in_a_query_does_not_vanish(aa):
    for value in ("%ff", "%c0%af", "%ed%a0%80", "a%00b"):
        assert aa.get(f"/v1/organizations?q={value}").status == 400, value


def test_a_plus_in_a_query_is_a_space_and_in_a_path_a_plus(aa):
    assert "AA-W1" in [o["code"] for o in aa.get("/v1/organizations?q=hoa+binh").json()["items"]]
    assert "AA-W1" in [o["code"] for o in aa.get("/v1/organizations?q=hoa%20binh").json()["items"]]


def test_an_empty_query_key_drops_nothing_behind_it(aa):
    for query in ("=x&limit=1", "?&&limit=1", "&=&knd=x", "=&limit=0"):
        assert aa.get("/v1/organizations?" + query).status == 400, query
    for query in ("limit=1&", "&limit=1", "limit=1&&"):
        answer = aa.get("/v1/organizations?" + query)
        assert answer.status == 400 or len(answer.json()["items"]) == 1, (query, answer)


def test_the_unknown_is_a_problem_of_our_own(world):
    for path in ("/nothing", "/v1", "/v1/nothing", "/v1/organizations/AA-W1/nothing", "/favicon.ico", "/.well-known/other"):
        answer = world.anonymous.get(path)
        assert answer.status == 404 and answer.type == "application/problem+json" and answer.code == "not_found", path


def test_methods_are_case_sensitive(world):
    assert world.anonymous.request("get", "/livez").status == 501


def test_the_address_of_an_ipv6_client_is_whole(world, cluster, directory, clock):
    """Ulfius copies 16 bytes of the address. The log has it whole."""
    six = Service(cluster, directory, clock, listen_address="::1")
    six.host = "::1"
    six.start()
    try:
        assert six.http().request("GET", "/livez").status == 200
        lines = [json.loads(line) for line in six.log().splitlines()]
        assert any(line.get("client") == "::1" and line.get("route") == "/livez" for line in lines)
    finally:
        six.assert_clean(six.stop())


@pytest.mark.parametrize("name,text", [
    ("space before the colon", "GET /v1/me HTTP/1.1\nHost: a\nAuthorization : Bearer x\n\n"),
    ("a header without a name", "GET /v1/me HTTP/1.1\nHost: a\n: x\nAuthorization: Bearer {t}\n\n"),
    ("obs-fold", "GET /v1/me HTTP/1.1\nHost: a\nAuthorization: Bearer\n {t}\n\n"),
    ("no host", "GET /v1/me HTTP/1.1\nAuthorization: Bearer {t}\n\n"),
    ("a bare CR", "GET /v1/me HTTP/1.1\nHost: a\nX: a\rb\nAuthorization: Bearer {t}\n\n"),
])
def test_requests_a_proxy_would_refuse(world, aa, name, text):
    answer = raw(world, text.format(t=aa.token))
    assert answer.status in (400, 401), (name, answer)


def test_a_callers_text_cannot_end_a_header(world, aa):
    """One header value with CR or LF drops all later headers: a category, which stands in a Location, is one line."""
    refused = aa.post("/v1/indicators", {**samples.body("indicator_create"), "categories": ["a b", "x\r\ny"]})
    assert refused.status == 422 and refused.faults() == {("#/categories/1", "invisible_character")}
    code = world.indicator(aa, samples.fresh("AA-X"), "AA-P", "number", categories=["a b", "x%0d%0ay: z"])["code"]
    world.assign(aa, code, organization="AA-W1")
    ward = world.at("AA-W1", "reporter")
    answer = ward.put(f"/v1/values/{code}/AA-W1/2026-Q1?category={quote('x%0d%0ay: z')}", {"number": 1}, [("If-None-Match", "*")])
    assert answer.status == 201, answer
    assert answer.header("traceparent") and answer.etag and answer.header("X-Content-Type-Options") and not answer.header("y")
    assert ward.get(answer.header("Location")).status == 200
    for category in ("x\r\ny: z", "x\ny: z"):
        answer = ward.put(f"/v1/values/{code}/AA-W1/2026-Q1?category={quote(category)}", {"number": 1}, [("If-None-Match", "*")])
        assert answer.status == 400 and answer.header("traceparent") and not answer.header("y")


def test_an_origin_is_not_reflected(aa):
    answer = aa.get("/v1/organizations/AA-W1", [("Origin", "https://evil.example")])
    assert answer.header("Access-Control-Allow-Origin") is None


def test_traceparent_is_taken_or_replaced(world):
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert world.anonymous.get("/livez", [("traceparent", good)]).header("traceparent").split("-")[1] == good.split("-")[1]
    for bad in ("x", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", good.upper(), good[:-3], "ff" + good[2:], good + "-x", "<script>"):
        back = world.anonymous.get("/livez", [("traceparent", bad)]).header("traceparent")
        assert back.split("-")[1] not in bad and len(back) == 55, (bad, back)


# ---- Jansson ----
def test_numbers_are_not_dumped_with_noise(world, aa):
    """0.1 would be 0.10000000000000001."""
    code = world.indicator(aa, samples.fresh("AA-X"), "AA-P", "number", baseline=0.1)["code"]
    assert '"baseline":0.1,' in aa.get(f"/v1/indicators/{code}").text.replace(" ", "")


def test_merge_patch_removes_by_null_and_replaces_arrays(aa):
    """json_object_update_recursive is no merge-patch."""
    code = samples.fresh("AA-X")
    made = aa.post("/v1/organizations", {"code": code, "name": "x", "kind": "party_cell", "parent": "AA-W2", "note": "n",
                                         "identifiers": [{"scheme": "internal", "value": code}]})
    after = aa.patch(f"/v1/organizations/{code}", {"note": None, "identifiers": [{"scheme": "internal", "value": code + "b"}]}, made.etag).json()
    assert after["note"] is None and [i["value"] for i in after["identifiers"]] == [code + "b"]


def test_integers_beyond_64_bits(aa):
    for digits in ("9223372036854775808", "-9223372036854775809", "1" + "0" * 30):
        answer = aa.request("POST", "/v1/indicators/AA-SUM/targets", f'{{"organization": "AA-TU", "comparator": "ge", "value": {digits}}}'.encode(),
                            [("Content-Type", "application/json")])
        assert answer.status in (400, 422), answer


# ---- PostgreSQL ----
def test_nfc_and_nfd_are_one_code_and_one_name(aa):
    nfd = "Chi bộ khu phố 1"
    found = aa.get("/v1/organizations", q=unicodedata.normalize("NFD", nfd)).json()["items"]
    assert "AA-W1-C1" in [o["code"] for o in found]


def test_ids_are_uuid_version_7_and_grow(aa):
    ids = [aa.post("/v1/organizations", samples.body("organization_create")).json()["id"] for _ in range(3)]
    assert ids == sorted(ids) and all(i[14] == "7" for i in ids)


# ---- compression in front ----
def test_a_tag_with_a_variants_suffix_is_accepted(world):
    """nginx's gzip makes "v7" a weak tag; what is compressed here has a tag of its own, and both hold."""
    path = "/docs/swagger-ui.css"
    plain = world.anonymous.get(path)
    packed = world.anonymous.get(path, [("Accept-Encoding", "gzip")])
    assert packed.header("Content-Encoding") == "gzip" and packed.header("Vary") == "Accept-Encoding"
    assert plain.etag != packed.etag and not packed.etag.startswith("W/")
    assert gzip.decompress(packed.body) == plain.body
    assert world.anonymous.get(path, [("Accept-Encoding", "gzip"), ("If-None-Match", packed.etag)]).status == 304
    aa = world.at("AA-TU", "manager")
    tag = aa.get("/v1/organizations/AA-W2").etag.strip('"')
    assert aa.patch("/v1/organizations/AA-W2", {"note": samples.fresh("n")}, f'"{tag};gzip"').status == 200
