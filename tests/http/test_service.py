"""What surrounds the resources: health, the contract served, problems, the reference page, CORS, limits, metrics."""
import json
import re

import pytest
from harness.crowd import wait_for
from harness.service import Service, free_port


@pytest.fixture(scope="module")
def special(world, cluster, directory, clock):
    """A second process on the same database: CORS, metrics, a low rate limit."""
    made = Service(cluster, directory, clock, cors_origins="https://app.example.org", metrics_port=free_port(), rate_limit_per_s=5, rate_limit_burst=10,
                   trusted_proxies="127.0.0.1", issuer=world.service.env["TIENDO_ISSUER"])
    made.start()
    yield made
    made.assert_clean(made.stop())


def test_alive_and_ready(world):
    assert world.anonymous.get("/livez").json() == {"status": "ok"}
    assert world.anonymous.get("/readyz").json() == {"status": "ok"}


def test_the_contract_is_served_as_it_is_written(world):
    served = world.anonymous.get("/openapi.json").json()
    written = world.contract.document
    assert set(served["paths"]) == set(written["paths"]) and served["info"]["title"] == written["info"]["title"]
    assert served["components"]["schemas"].keys() == written["components"]["schemas"].keys()


def test_every_problem_has_its_page(world):
    items = world.anonymous.get("/problems").json()["items"]
    assert len(items) > 40
    for item in items:
        page = world.anonymous.get(item["type"])
        assert page.status == 200 and page.json() == item
        html = world.anonymous.get(item["type"], [("Accept", "text/html")])
        assert html.type == "text/html" and item["title_vi"] in html.text
    assert world.anonymous.get("/problems", [("Accept", "text/html")]).type == "text/html"
    for path in ("/problems", "/problems/not_found"):
        for language, first, second in (("vi", "title_vi", "title"), ("en", "title", "title_vi")):
            text = world.anonymous.get(path, [("Accept", "text/html"), ("Accept-Language", language)]).text
            told = next(item for item in items if item["code"] == "not_found")
            assert f'<html lang="{language}">' in text and text.index(f"<p>{told[first]}") < text.index(f">{told[second]}</span>")
    assert world.anonymous.get("/problems/no_such_problem").status == 404


def test_titles_in_the_callers_language(world):
    titles = {lang: world.anonymous.get("/v1/nothing", [("Accept-Language", lang)]).json()["title"] for lang in ("vi", "en", "vi-VN,vi;q=0.9", "fr, en;q=0.2, vi;q=0.5")}
    assert titles["vi"] == titles["vi-VN,vi;q=0.9"] == titles["fr, en;q=0.2, vi;q=0.5"] == "Không tìm thấy"
    assert titles["en"] == "Not found"


def test_the_reference_page_loads_nothing_from_elsewhere(world):
    page = world.anonymous.get("/docs")
    assert page.type == "text/html" and "http://" not in page.text and "https://" not in page.text
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = world.anonymous.get("/" + name.lstrip("./") if name.startswith((".", "docs/")) else name)
        assert answer.status == 200 and answer.body, name
        again = world.anonymous.get("/" + name.lstrip("./") if name.startswith((".", "docs/")) else name, [("If-None-Match", answer.etag)])
        assert again.status == 304
    assert "script-src 'self'" in page.header("Content-Security-Policy")
    assert world.anonymous.get("/docs/no-such.js").status == 404
    assert world.anonymous.get("/docs/..%2f..%2fmeson.build").status == 404


def test_cors_is_an_exact_allow_list(special):
    http = special.http()
    allowed = http.request("GET", "/livez", [("Origin", "https://app.example.org")])
    assert allowed.header("Access-Control-Allow-Origin") == "https://app.example.org" and "Origin" in allowed.header("Vary")
    preflight = http.request("OPTIONS", "/v1/organizations", [("Origin", "https://app.example.org"), ("Access-Control-Request-Method", "POST"),
                                                              ("Access-Control-Request-Headers", "authorization,content-type")])
    assert preflight.status == 204 and "POST" in preflight.header("Access-Control-Allow-Methods")
    assert "authorization" in preflight.header("Access-Control-Allow-Headers").lower()
    for origin in ("https://app.example.org.evil.example", "http://app.example.org", "https://APP.example.org:443", "null", "https://evil.example"):
        assert http.request("GET", "/livez", [("Origin", origin)]).header("Access-Control-Allow-Origin") is None, origin


def test_a_rate_limit_counts_per_caller(special, world):
    http = special.http()
    token, other = world.at("AA-W1", "viewer").token, world.at("AA-W2", "viewer").token
    answers = [http.request("GET", "/v1/me", [("Authorization", f"Bearer {token}")]) for _ in range(40)]
    refused = [a for a in answers if a.status == 429]
    assert refused and refused[0].code == "too_many_requests" and int(refused[0].header("Retry-After")) >= 1
    for a in answers:
        assert re.fullmatch(r'"default";r=\d+;t=\d+', a.header("RateLimit")) and re.fullmatch(r'"default";q=\d+;w=\d+', a.header("RateLimit-Policy"))
    assert http.request("GET", "/v1/me", [("Authorization", f"Bearer {other}")]).status == 200


def test_a_rate_limit_counts_strangers_by_network(special):
    """One who has an IPv6 address has the whole /64."""
    http = special.http()

    def ask(address):
        return http.request("GET", "/v1/me", [("X-Forwarded-For", address)]).status
    assert 429 in [ask(f"2001:db8:7:7::{n:x}") for n in range(40)]
    assert ask("2001:db8:7:8::1") == 401, "the network beside it"


def test_metrics_on_a_listener_of_their_own(special, world):
    from harness.client import Http
    assert world.anonymous.get("/metrics").status == 404
    special.http().request("GET", "/v1/organizations/AA-W1?x=1")
    answer = Http("127.0.0.1", int(special.env["TIENDO_METRICS_PORT"]), 10).request("GET", "/metrics")
    assert answer.status == 200 and answer.type == "text/plain"
    line = next(line for line in answer.text.splitlines() if line.startswith("http_server_request_duration_seconds_count")
                and 'route="/v1/organizations/{organization}"' in line)
    assert 'method="GET"' in line and "status_code=" in line
    assert "AA-W1" not in answer.text
    for line in answer.text.splitlines():
        assert not line or line.startswith("#") or re.fullmatch(r'[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? [-+0-9.eInf]+', line), line


def test_a_line_a_request(special):
    trace = "0af7651916cd43dd8448eb211c80319c"
    special.http().request("GET", "/v1/organizations/AA-W1?secret=geheim", [("Authorization", "Bearer geheim"),
                                                                         ("traceparent", f"00-{trace}-b7ad6b7169203331-01")])
    lines = [line for line in map(json.loads, special.log().splitlines()) if line.get("trace_id") == trace]
    assert len(lines) == 1
    assert lines[0]["route"] == "/v1/organizations/{organization}" and lines[0]["method"] == "GET" and lines[0]["status"] in (400, 401, 429)
    assert "geheim" not in special.log()


def test_two_processes_share_everything(special, world):
    """A session opened at one ends at the other."""
    session = world.login("aa-w2.reporter").json()
    http = special.http()
    assert http.request("GET", "/v1/me", [("Authorization", "Bearer " + session["access_token"])]).status == 200
    world.anonymous.post("/oauth2/revoke", f"token={session['refresh_token']}".encode(), [("Content-Type", "application/x-www-form-urlencoded")])
    assert http.request("GET", "/v1/me", [("Authorization", "Bearer " + session["access_token"])]).status == 401


def test_keys_rotate_without_a_break(world, special, service, caller):
    old = world.login("aa-w1.viewer").json()["access_token"]
    kids = {k["kid"] for k in world.anonymous.get("/.well-known/jwks.json").json()["keys"]}
    service.command("keys", "rotate")
    assert wait_for(lambda: {k["kid"] for k in world.anonymous.get("/.well-known/jwks.json").json()["keys"]} > kids), "the old key stays published while its tokens live"
    new = world.login("aa-w1.viewer").json()["access_token"]
    assert wait_for(lambda: caller(new).get("/v1/me").status == 200, every=0.2)
    for token in (old, new):
        assert caller(token).get("/v1/me").status == 200


def test_the_command_line(service):
    assert "serve" in service.command("--help").stdout and "quick_pool" in service.command("--help").stdout
    assert service.command("nonsense", check=False).returncode == 2
    env = dict(service.env)
    try:
        service.env = {**env, "TIENDO_NO_SUCH_SETTING": "1"}
        unknown = service.command("check", check=False)
        assert unknown.returncode != 0 and "NO_SUCH_SETTING" in (unknown.stdout + unknown.stderr).upper(), "unknown keys are fatal"
        service.env = {**env, "TIENDO_PORT": "99999"}
        assert service.command("check", check=False).returncode != 0
    finally:
        service.env = env
    assert service.command("migrate").returncode == 0, "again is harmless"


@pytest.mark.parametrize("request_", [b"BREW /v1/me?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", b"get /v1/me HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /v1/me HTTP/1.1\r\n\r\n",
                                      b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
                                      b"GET /v1/me HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(200)) + b"\r\n"])
def test_what_is_refused_early_names_its_path_too(world, request_):
    answer = world.service.http().raw(request_, "GET", "/v1/me")
    assert answer.status in (400, 431, 501) and answer.json()["instance"] == "/v1/me", answer
    world.contract.check(answer)
