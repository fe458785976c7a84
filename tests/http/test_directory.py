"""The directory: code, name, kind and successors of every unit of one's root, and nothing more."""
import csv
import io
import json

import pytest
from harness import samples

WARD = "directly_subordinate_party_committee"


@pytest.fixture(scope="module")
def merged(world):
    """Two wards that became one on 2026-01-01."""
    aa = world.at("AA-TU", "manager")
    units = {}
    for name in ("one", "two"):
        code = samples.fresh("AA-D")
        units[name] = world.must(aa.post("/v1/organizations", {"code": code, "name": f"Phường cũ {code}", "kind": WARD, "parent": "AA-TU",
                                                               "valid_from": "2025-01-01"}))["code"]
    units["new"] = samples.fresh("AA-D")
    answer = aa.post("/v1/reorganizations", {"decision": samples.fresh("QĐ"), "effective_on": "2026-01-01", "made_up": True, "steps": [
        {"kind": "establish", "code": units["new"], "name": "Phường mới Hợp Nhất", "unit_kind": WARD, "parent": "AA-TU"},
        {"kind": "merge", "organizations": [units["one"], units["two"]], "into": units["new"]}]}, [("Idempotency-Key", samples.fresh("k"))])
    assert answer.status == 201, answer
    return units


def entries(by, **query):
    return {e["code"]: e for e in by.items("/v1/directory", **query)}


@pytest.mark.parametrize("seat,role", [("AA-W1-C1", "viewer"), ("AA-W1", "reporter"), ("AA-W1", "administrator"), ("AA-TU", "manager")])
def test_everyone_of_a_root_reads_all_of_it(world, cluster, merged, seat, role):
    found = entries(world.at(seat, role), limit=7)
    all_codes = {c for (c,) in cluster.query("SELECT o.code FROM organization o JOIN organization r ON r.id = o.root_id WHERE r.code = 'AA-TU'")}
    assert set(found) == all_codes and not any(c.startswith("BB") for c in found)
    assert all(set(e) == {"code", "name", "kind", "successors"} for e in found.values())
    assert found[merged["one"]]["successors"] == found[merged["two"]]["successors"] == [merged["new"]]
    assert found[merged["new"]]["successors"] == []


def test_another_root_is_another_directory(world, merged):
    found = entries(world.at("BB-W1", "viewer"))
    assert found and all(c.startswith("BB") for c in found)
    assert world.at("BB-W1", "viewer").get("/v1/directory", code=merged["new"]).json()["items"] == []
    for q in ("hop nhat", "AA", merged["new"]):
        assert world.at("BB-W1", "viewer").items("/v1/directory", q=q) == []


def test_the_order_is_that_of_the_codes(world):
    cell = world.at("AA-W1-C1", "viewer")
    codes = [e["code"] for e in cell.items("/v1/directory", limit=2)]
    assert codes == sorted(codes) and len(set(codes)) == len(codes)
    page = cell.get("/v1/directory", [("Prefer", "count=exact")], limit=2).json()["page"]
    assert page["total"] == len(codes)
    there = cell.get("/v1/directory", limit=2, cursor=page["next"]).json()
    assert [e["code"] for e in cell.get("/v1/directory", limit=2, cursor=there["page"]["prev"]).json()["items"]] == codes[:2]


def test_filters(world, merged):
    cell = world.at("AA-W1-C1", "viewer")
    assert {e["kind"] for e in cell.items("/v1/directory", kind=WARD)} == {WARD}
    assert {e["kind"] for e in cell.items("/v1/directory", kind__in=f"{WARD},party_cell")} == {WARD, "party_cell"}
    assert set(entries(cell, code__prefix="AA-W1")) >= {"AA-W1", "AA-W1-C1"} and all(c.startswith("AA-W1") for c in entries(cell, code__prefix="AA-W1"))
    assert set(entries(cell, code=merged["one"])) == {merged["one"]} and set(entries(cell, code__in=f"AA-W1,{merged['one']},NO")) == {"AA-W1", merged["one"]}
    assert merged["new"] in entries(cell, q="nhat hop phuong") and merged["one"] in entries(cell, q=merged["one"].lower() + " cũ")
    assert cell.items("/v1/directory", q="%") == []
    for wrong in ({"under": "AA-W1"}, {"sort": "name"}, {"valid_to": "2025-01-01"}, {"fields": "id"}):
        assert cell.get("/v1/directory", **wrong).status == 400


def test_the_directory_of_a_day(world, merged):
    cell = world.at("AA-W1-C1", "viewer")
    before, after = entries(cell, as_of="2025-12-31"), entries(cell, as_of="2026-01-01")
    assert merged["one"] in before and merged["new"] not in before
    assert merged["new"] in after and merged["one"] not in after
    assert before[merged["one"]]["successors"] == [merged["new"]]
    assert "AA-W1" in before and entries(cell, as_of="2025-06-30", code="AA-W1")["AA-W1"]["name"] == "Đảng ủy phường Trung Dũng"
    assert set(entries(cell, as_of="2025-06-30", q="dung trung")) >= {"AA-W1"} and "AA-W1" not in entries(cell, as_of="2025-07-01", q="trung dung")
    assert cell.items("/v1/directory", as_of="0001-01-01") == []


def test_exports_hold_the_same(world, merged):
    cell = world.at("AA-W1-C1", "viewer")
    whole = entries(cell)
    lines = cell.get("/v1/directory", [("Accept", "application/x-ndjson")]).text.splitlines()
    assert {e["code"]: e for e in map(json.loads, lines)} == whole
    rows = list(csv.DictReader(io.StringIO(cell.get("/v1/directory", [("Accept", "text/csv")]).text.lstrip("\ufeff"))))
    assert {r["code"]: {**r, "successors": json.loads(r["successors"])} for r in rows} == whole


def test_the_database_itself_shows_no_more(cluster, world):
    """As the service's role, without anyone entered: nothing; and no condition on the view sees a row of another root."""
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE tiendo_service")
        for view in ("directory", "directory_span"):
            cursor.execute(f"SELECT count(*) FROM tiendo.{view}")
            assert cursor.fetchone() == (0,)
        cursor.execute("SELECT tiendo.directory_search('a'), tiendo.directory_search('a', '2026-01-01')")
        assert cursor.fetchone() == ([], [])
        cursor.execute("SELECT set_config('tiendo.me', concat('|||||', scope_key, '|', id), true) FROM (SELECT ''::text AS scope_key, NULL::uuid AS id) x")
        cursor.execute("SELECT count(*) FROM tiendo.directory WHERE 1 / (CASE WHEN code LIKE 'BB%' THEN 0 ELSE 1 END) = 1")
        assert cursor.fetchone() == (0,)
        connection.rollback()
