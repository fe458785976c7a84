"""A large body is read only for whom a good token speaks: memory is not had for nothing."""
import json
import time

import pytest
from harness import samples
from harness.client import Http

MB = 1024 * 1024
IMPORTS = "/v1/values/imports"


def head(length, *headers):
    lines = [f"POST {IMPORTS} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Idempotency-Key: {samples.fresh('k')}",
             f"Content-Length: {length}" if length else "Transfer-Encoding: chunked", *headers, "", ""]
    return "\r\n".join(lines).encode()


def send_until_closed(http, megabytes, chunked):
    """How many megabytes went out before the other side closed; all of them when it did not."""
    piece = b" " * MB
    if chunked:
        piece = b"100000\r\n" + piece + b"\r\n"
    for n in range(megabytes):
        try:
            http.send(piece)
            time.sleep(0.02)
        except OSError:
            return n
    return megabytes


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("authorization", [None, "Bearer x", "Bearer a.b.c", "Basic eDp5", "forged"])
def test_without_a_good_token_the_connection_is_closed_early(world, authorization, chunked):
    if authorization == "forged":
        token = world.login("aa-w1.reporter").json()["access_token"]
        authorization = f"Bearer {token[:-8]}{'A' * 8}"
    http = Http(world.service.host, world.service.port, 20)
    try:
        http.send(head(None if chunked else 60 * MB, *([f"Authorization: {authorization}"] if authorization else [])))
        assert send_until_closed(http, 60, chunked) < 40
        with pytest.raises(OSError):
            http.read("POST")
    finally:
        http.close()
    assert world.at("AA-W1", "viewer").get("/v1/me").status == 200


def test_what_is_a_little_too_large_is_still_told_so(world):
    answer = world.anonymous.post("/v1/sessions", " " * (MB + MB // 2), [("Content-Type", "application/json")])
    assert answer.status == 413 and answer.code == "body_too_large", answer


def test_with_a_good_token_a_large_import_is_read(world):
    rows = [{"indicator": "AA-RATIO", "organization": "AA-W1-C1", "period": "2026-Q1", "numerator": 1, "denominator": 2}]
    body = json.dumps(rows) + " " * (5 * MB)
    answer = world.at("AA-W1", "reporter").post(IMPORTS, body, [("Content-Type", "application/json"),
                                                              ("Idempotency-Key", samples.fresh("k"))], dry_run="true")
    assert answer.status == 200, answer
