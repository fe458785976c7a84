"""Pages, cursors, counts, exports: the same for every collection; shown on organizations and values."""
import base64
import csv
import io
import json
import re
from urllib.parse import quote

import pytest


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


PATHS = ["/v1/organizations", "/v1/organization-kinds", "/v1/programmes", "/v1/indicators", "/v1/periods", "/v1/holidays", "/v1/values",
         "/v1/organizations/AA-TU/children", "/v1/indicators/AA-SUM/assignments", "/v1/indicators/AA-SUM/targets"]


@pytest.mark.parametrize("path", PATHS)
def test_walking_forward_and_back_sees_every_item_once(aa, path):
    whole = aa.get(path, limit=1000).json()["items"]
    assert whole, path
    pages, cursor = [], None
    while True:
        page = aa.get(path, limit=2, **({"cursor": cursor} if cursor else {})).json()
        pages.append(page)
        cursor = page["page"]["next"]
        if cursor is None or len(pages) > 40:
            break
    assert [i for p in pages for i in p["items"]] == whole[:sum(len(p["items"]) for p in pages)]
    assert pages[0]["page"]["prev"] is None
    if len(pages) > 2:
        back = aa.get(path, limit=2, cursor=pages[-1]["page"]["prev"]).json()
        assert back["items"] == pages[-2]["items"]
        first = aa.get(path, limit=2, cursor=pages[1]["page"]["prev"]).json()
        assert first["items"] == pages[0]["items"] and first["page"]["prev"] is None


def test_the_link_header_leads_on(aa):
    answer = aa.get("/v1/organizations", limit=3, kind="party_cell")
    links = dict((rel, url) for url, rel in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.header("Link")))
    page = aa.request("GET", links["next"])
    assert page.status == 200 and page.json()["items"][0] not in answer.json()["items"]
    assert "kind=party_cell" in links["next"] and "limit=3" in links["next"]


def test_a_cursor_is_bound_to_filter_sort_path_and_caller(world, aa):
    cursor = aa.get("/v1/organizations", limit=2).json()["page"]["next"]
    assert aa.get("/v1/organizations", limit=3, cursor=cursor).status == 200, "a new limit is no other question"
    for other in ({"kind": "party_cell"}, {"sort": "-tree"}, {"under": "AA-W1"}, {"q": "chi"}):
        assert aa.get("/v1/organizations", limit=2, cursor=cursor, **other).code == "bad_cursor", other
    assert aa.get("/v1/organizations/AA-TU/children", limit=2, cursor=cursor).code == "bad_cursor"
    assert aa.get("/v1/programmes", limit=2, cursor=cursor).code == "bad_cursor"
    for caller in (world.at("AA-TU", "viewer"), world.at("AA-W1", "manager"), world.connector()):
        assert caller.get("/v1/organizations", limit=2, cursor=cursor).code == "bad_cursor"


def test_a_tampered_cursor_is_refused(aa):
    cursor = aa.get("/v1/organizations", limit=2).json()["page"]["next"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    changed = [bytes([raw[i] ^ 1 if j == i else raw[j] for j in range(len(raw))]) for i in range(0, len(raw), 7)]
    for forged in [base64.urlsafe_b64encode(c).rstrip(b"=").decode() for c in changed] + [cursor[:-1], cursor + "A", "x", "AAAA", "%00", "é"]:
        answer = aa.request("GET", f"/v1/organizations?limit=2&cursor={quote(forged)}")
        assert answer.status == 400, (forged, answer)


def test_an_exact_count_on_request(aa):
    plain = aa.get("/v1/organizations", limit=2)
    assert "total" not in plain.json()["page"] and plain.header("Preference-Applied") is None
    counted = aa.get("/v1/organizations", [("Prefer", "count=exact")], limit=2, under="AA-W1")
    assert counted.header("Preference-Applied") == "count=exact"
    assert counted.json()["page"]["total"] == len(aa.items("/v1/organizations", under="AA-W1"))
    assert "total" not in aa.get("/v1/organizations", [("Prefer", "respond-async")], limit=2).json()["page"]


@pytest.mark.parametrize("query", ["knd=x", "kind[foo]=x", "kind[]=x", "sort=nope", "fields=nope", "embed=nope", "Kind=x", "=x&kind=party_cell",
                                   "&&kind=party_cell&=", "kind=party_cell&kind=party_cell", "limit", "kind%00=x", "%zz=1", "q=", "valid_to[isnull]=maybe",
                                   "code[in]=" + ",".join("A" * 3 for _ in range(101))])
def test_a_mistyped_query_never_returns_everything(aa, query):
    answer = aa.request("GET", "/v1/organizations?" + query)
    assert answer.status == 400, answer


@pytest.fixture(scope="module")
def figures(world):
    """A few values whose texts a spreadsheet might take for formulas."""
    by = world.at("AA-W1", "reporter")
    notes = ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "plain, with \"quotes\"", "hai\ndòng", "'đã"]
    for n, note in enumerate(notes, 1):
        period = f"2025-Q{n}" if n <= 4 else f"2026-Q{n - 4}"
        cell = "AA-W1-C2" if n <= 4 else "AA-W1-C3"
        world.must(by.enter("AA-SUM", cell, period, {"number": n / 10 if n != 3 else -1.5, "note": note}))
    return notes


def test_csv_has_a_header_and_neutralises_formulas(aa, figures):
    answer = aa.get("/v1/values", [("Accept", "text/csv")], under="AA-W1", indicator="AA-SUM")
    assert answer.status == 200 and answer.type == "text/csv"
    assert re.match(r'attachment; filename="[\w.-]+\.csv"', answer.header("Content-Disposition"))
    rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"), newline="")))
    assert rows and rows[0].keys() >= {"id", "indicator", "organization", "period", "number", "note"}
    for row in rows:
        assert not row["note"] or row["note"][0] not in "=+-@\t\r" or re.fullmatch(r"[+-]?[0-9.]+", row["note"]), row
    noted = {row["note"].lstrip("'") for row in rows}
    assert {"=1+2", "+1", "@SUM(A1)", "plain, with \"quotes\"", "hai\ndòng"} <= noted
    assert "-1.5" in {row["number"] for row in rows}, "a number is no formula"
    assert answer.text.count("\r\n") >= len(rows)


def test_csv_with_vietnamese_habits(aa, figures):
    answer = aa.get("/v1/values", [("Accept", "text/csv")], under="AA-W1", indicator="AA-SUM", delimiter=";", decimal=",")
    rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"), newline=""), delimiter=";"))
    assert "0,1" in {row["number"] for row in rows}
    assert {row["on_behalf"] for row in rows} <= {"true", "false"} and {row["version"] for row in rows} >= {"1"}
    assert aa.get("/v1/values", [("Accept", "text/csv")], under="AA-W1", indicator="AA-SUM", decimal="comma").body == answer.body, "a semicolon then"
    assert aa.get("/v1/values", [("Accept", "text/csv")], delimiter="|").status == 400


def test_ndjson_has_an_item_a_line_and_the_same_items(aa, figures):
    answer = aa.get("/v1/values", [("Accept", "application/x-ndjson")], under="AA-W1")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    page = aa.items("/v1/values", under="AA-W1")
    assert [line["id"] for line in lines] == [item["id"] for item in page]
    one = aa.get("/v1/values", [("Accept", "application/x-ndjson")], under="AA-W1", limit=1, fields="number")
    assert len(one.text.splitlines()) == 1 and set(json.loads(one.text)) == {"id", "number"}


def test_accept_is_weighed(aa):
    for accept, kind in (("text/csv;q=0.5, application/json", "application/json"), ("text/*", "text/csv"), ("*/*", "application/json"),
                         ("application/json;q=0, text/csv", "text/csv"), ("application/x-ndjson", "application/x-ndjson")):
        answer = aa.get("/v1/values", [("Accept", accept)], limit=1)
        assert answer.type == kind, (accept, answer)
    assert aa.get("/v1/values", [("Accept", "application/json;q=0")], limit=1).status == 406


def test_exports_keep_to_the_scope(world, figures):
    for accept in ("text/csv", "application/x-ndjson"):
        answer = world.at("AA-W2", "viewer").get("/v1/values", [("Accept", accept)])
        assert answer.status == 200 and "AA-W1" not in answer.text


@pytest.mark.parametrize("filter_", ["/v1/clients?organization=", "/v1/accounts?organization=", "/v1/grants?organization=", "/v1/mandates?unit=", "/v1/programmes?owner=",
                                     "/v1/values?under=", "/v1/values?indicator=", "/v1/values?indicator[in]=AA-SUM,", "/v1/values?period[in]=2026-Q1,",
                                     "/v1/organizations?under=", "/v1/organizations?parent=", "/v1/periods?programme=", "/v1/indicators?programme="])
def test_an_unknown_reference_is_told_where_there_is_nothing_to_compare(world, filter_):
    """A cell's administrator sees no client, no mandate and no value; the look-up is made all the same."""
    cell, name = world.at("AA-W1-C1", "administrator"), filter_.split("?")[1].split("=")[0]
    accept = "text/csv, */*;q=0.5" if filter_.startswith("/v1/values") else "*/*"
    for unknown, asked in (("NO-SUCH", "*/*"), ("BB-TU", accept), ("0198c5a2-7d30-7c3e-9a41-5b8e0f6a1c51", "*/*")):
        answer = cell.get(f"{filter_}{unknown}", [("Accept", asked), ("Prefer", "count=exact")])
        assert answer.status == 422 and answer.faults() == {(name, "unknown_reference")}, answer


def test_a_sheet_of_an_unknown_period_or_unit_is_refused(world):
    cell = world.at("AA-W1-C1", "administrator")
    assert cell.get("/v1/values/sheet?organization=AA-W1-C1&period=2099-Q1").faults() == {("period", "unknown_reference")}
    assert cell.get("/v1/values/sheet?organization=AA-W2&period=2026-Q1").faults() == {("organization", "unknown_reference")}
    assert cell.get("/v1/indicators/NO-SUCH/targets").status == 404
    assert cell.get("/v1/organizations/AA-W2/children").status == 404
