"""Units in bulk: three formats, any order of rows, what is refused and why, and exports that go in again as they came out."""
import csv
import gzip
import io
import json
import random
import time

import pytest
from harness import samples

IMPORTS = "/v1/organizations/imports"
WARD = "directly_subordinate_party_committee"


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def send(by, body, kind="application/json", headers=(), key=None, **query):
    if kind == "application/json" and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    return by.post(IMPORTS, body, [("Content-Type", kind), ("Idempotency-Key", key or samples.fresh("k")), *headers], **query)


def counts(answer):
    return tuple(answer.json()[name] for name in ("created", "updated", "unchanged", "failed"))


def faults(answer):
    return {(e["row"], e.get("pointer"), e["code"]) for e in answer.json()["errors"]}


def row(code, parent="AA-W2", kind="party_cell", **more):
    return {"code": code, "name": f"Chi bộ {code}", "kind": kind, "parent": parent, "valid_from": "2025-08-01", **more}


def fresh(n):
    return [samples.fresh("AA-N") for _ in range(n)]


def test_parents_stand_in_the_file_and_rows_in_any_order(aa):
    a, b, c, d = fresh(4)
    answer = send(aa, [row(d, c), row(b, a), row(c, b, area_code="26041"), row(a, kind="grassroots_party_organization")])
    assert answer.status == 200 and counts(answer) == (4, 0, 0, 0), answer
    unit = aa.get(f"/v1/organizations/{d}").json()
    assert unit["depth"] == 5 and unit["parent"]["code"] == c and unit["version"] == 1 and unit["valid_from"] == "2025-08-01"
    assert aa.get(f"/v1/organizations/{c}").json()["area_code"] == "26041"
    assert [i["code"] for i in aa.get(f"/v1/organizations/{d}/ancestors", as_of="2025-08-01").json()["items"]] == ["AA-TU", "AA-W2", a, b, c]
    changes = {x["code"]: x for x in answer.json()["changes"]}
    assert changes[b]["row"] == 2 and changes[b]["old"] is None and changes[b]["new"]["parent"] == a


def test_a_unit_is_made_as_one_alone_would_be(world, aa):
    """Its answer, its spans and its journal row are those of POST."""
    code, alone = fresh(2)
    more = {"identifiers": [{"scheme": "internal", "value": code, "valid_to": "2026-12-31"}], "former": [{"name": "Tên cũ", "valid_to": "2025-12-31"}],
            "attached": True, "made_up": True, "note": "hai\ndòng", "area_code": "26041"}
    assert counts(send(aa, [row(code, **more)])) == (1, 0, 0, 0)
    more["identifiers"] = [{"scheme": "internal", "value": alone, "valid_to": "2026-12-31"}]
    world.must(aa.post("/v1/organizations", row(alone, **more)))
    one, other = (json.loads(aa.get(f"/v1/organizations/{c}").text.replace(c, "X")) for c in (code, alone))
    differ = {k for k in one if one[k] != other[k]}
    assert differ <= {"id", "created_at", "updated_at"}, differ


def test_updates_correct_and_unchanged_rows_cost_nothing(aa):
    a, b, c = fresh(3)
    send(aa, [row(a), row(b, identifiers=[{"scheme": "internal", "value": b}]), row(c, note="cũ")])
    again = send(aa, [row(a, name="Chi bộ sửa"), row(b), row(c, note="mới", attached=True)])
    assert counts(again) == (0, 2, 1, 0)
    changes = {x["code"]: (x["old"], x["new"]) for x in again.json()["changes"]}
    assert changes[a] == ({"name": f"Chi bộ {a}"}, {"name": "Chi bộ sửa"})
    assert changes[c] == ({"note": "cũ", "attached": False}, {"note": "mới", "attached": True}) and b not in changes
    assert [aa.get(f"/v1/organizations/{u}").json()["version"] for u in (a, b, c)] == [2, 1, 2]
    assert counts(send(aa, [{"code": c}, {"code": a, "note": None, "name": None}])) == (0, 0, 2, 0), "what a row does not say stays"
    assert aa.get(f"/v1/organizations/{c}").json()["note"] == "mới"


def test_identifiers_and_areas(aa):
    a, b = fresh(2)
    text = f"code,name,kind,parent,area_code,identifiers,valid_from\n{a},Chi bộ a,party_cell,AA-W2,26041,internal:{a}|electronic_identifier:H19.{a},2025-08-01\n" \
           f'{b},Chi bộ b,party_cell,AA-W2,,"[{{""scheme"":""internal"",""value"":""{b}"",""valid_to"":""2026-12-31""}}]",2025-08-01\n'
    assert counts(send(aa, text, "text/csv")) == (2, 0, 0, 0)
    assert counts(send(aa, text, "text/csv")) == (0, 0, 2, 0)
    assert {(i["scheme"], i["value"]) for i in aa.get(f"/v1/organizations/{a}").json()["identifiers"]} == {
        ("internal", a), ("electronic_identifier", f"H19.{a}"), ("statistics", "26041")}
    answer = send(aa, [{"code": a, "identifiers": [{"scheme": "internal", "value": f"{a}-2"}]}])
    assert counts(answer) == (0, 1, 0, 0)
    unit = aa.get(f"/v1/organizations/{a}").json()
    assert unit["area_code"] == "26041" and {i["value"] for i in unit["identifiers"]} == {f"{a}-2", "26041"}, "the area stays"
    assert counts(send(aa, [{"code": a, "area_code": "26042"}])) == (0, 1, 0, 0) and aa.get(f"/v1/organizations/{a}").json()["area_code"] == "26042"
    taken = send(aa, [row(*fresh(1), identifiers=[{"scheme": "internal", "value": f"{a}-2"}])])
    assert faults(taken) == {(1, "#/identifiers", "identifier_taken")}


@pytest.mark.parametrize("cell", ["internal", ":x", "Internal:x", "[1]", "[{}]", "{", "[{\"scheme\":\"internal\"}]", "internal:x|", "a" * 70 + ":x",
                                  "[{\"scheme\":\"internal\",\"value\":\"x\",\"valid_from\":\"2025-02-30\"}]", "internal:" + "x" * 65])
def test_identifiers_that_cannot_be_read(aa, cell):
    code = fresh(1)[0]
    out = io.StringIO()
    csv.writer(out).writerows([["code", "name", "kind", "parent", "identifiers"], [code, "Chi bộ", "party_cell", "AA-W2", cell]])
    answer = send(aa, out.getvalue(), "text/csv")
    assert answer.status == 422 and faults(answer) == {(1, "#/identifiers", "format")}, answer
    assert aa.get(f"/v1/organizations/{code}").status == 404


def test_every_wrong_row_is_told(aa):
    a, b, c, d, e, f, g, h = fresh(8)
    rows = [row(a, "NO-SUCH"), row(b, kind="no_such_kind"), {"code": c}, row(d, "BB-W1"), row(e), row(e), row(f, g), row(g, f), row(h, a),
            row("AA-W1", "AA-W2"), {"code": "AA-W2", "version": 999}, {"code": "x y"}, row(samples.fresh("AA-N"), valid_to="2025-01-01"),
            {"code": "AA-W1-C1", "kind": "grassroots_party_cell", "valid_from": "2020-01-01"}]
    answer = send(aa, rows)
    assert answer.status == 422 and answer.code == "import_refused"
    assert faults(answer) >= {
        (1, "#/parent", "unknown_reference"), (2, "#/kind", "unknown_reference"), (3, "#/name", "required"), (3, "#/kind", "required"),
        (3, "#/parent", "required"), (4, "#/parent", "unknown_reference"), (6, "#/code", "repeated"), (7, "#/parent", "cycle"),
        (8, "#/parent", "cycle"), (9, "#/parent", "parent_failed"), (10, "#/kind", "read_only"), (10, "#/parent", "read_only"),
        (11, "#/version", "version_conflict"), (12, "#/code", "pattern"), (13, "#/valid_to", "ends_before_start"),
        (14, "#/kind", "read_only"), (14, "#/valid_from", "read_only")}
    assert answer.json()["failed"] == 13 and answer.json()["rows"] == 14 and not answer.json()["errors_truncated"]
    assert aa.get(f"/v1/organizations/{e}").status == 404, "atomic keeps nothing"
    partial = send(aa, rows, mode="partial")
    assert partial.status == 200 and counts(partial) == (1, 0, 0, 13) and faults(partial) == faults(answer)
    assert aa.get(f"/v1/organizations/{e}").status == 200


def test_strategies(aa):
    a, b = fresh(2)
    assert faults(send(aa, [row(a)], strategy="update")) == {(1, "#/code", "not_found")}
    assert counts(send(aa, [row(a)], strategy="create")) == (1, 0, 0, 0)
    assert faults(send(aa, [row(a), row(b)], strategy="create", mode="partial")) == {(1, "#/code", "already_exists")}
    assert counts(send(aa, [row(a, name="Khác")], strategy="update")) == (0, 1, 0, 0)
    answer = send(aa, [row(a)], strategy="delete")
    assert answer.status == 400 and answer.pointers() == {"strategy"}, "units end by reorganizations"


def test_versions_guard_a_row(aa):
    a, b = fresh(2)
    send(aa, [row(a)])
    assert counts(send(aa, [{"code": a, "version": 1, "name": "Hai"}])) == (0, 1, 0, 0)
    assert faults(send(aa, [{"code": a, "version": 1, "name": "Ba"}])) == {(1, "#/version", "version_conflict")}
    assert faults(send(aa, [row(b, version=1)])) == {(1, "#/version", "version_conflict")}


@pytest.mark.parametrize("mode", ["atomic", "partial"])
def test_a_dry_run_answers_what_the_run_would_and_keeps_nothing(aa, cluster, mode):
    a, b, c = fresh(3)
    send(aa, [row(a)])
    rows = [row(a, name="Tên mới"), row(c, b), row(b)] + ([row(b)] if mode == "partial" else [])
    before = cluster.query("SELECT count(*), max(seq) FROM journal WHERE resource_type = 'organization'")
    dry = send(aa, rows, dry_run="true", mode=mode).json()
    assert cluster.query("SELECT count(*), max(seq) FROM journal WHERE resource_type = 'organization'") == before
    assert aa.get(f"/v1/organizations/{b}").status == 404 and aa.get(f"/v1/organizations/{a}").json()["version"] == 1
    wet = send(aa, rows, mode=mode).json()
    assert {**dry, "dry_run": False} == wet


def test_scope_is_kept(world, aa):
    """A ward's manager makes units below the ward alone, and learns nothing of the others."""
    ward = world.at("AA-W1", "manager")
    a, b, c, d = fresh(4)
    rows = [row(a, "AA-W1"), row(b, "AA-W2"), row(c, "AA-TU"), row(d, "BB-W1"), {"code": "AA-W2-C2", "name": "Đổi tên"}, row("AA-W2-C1", "AA-W1")]
    answer = send(ward, rows, mode="partial")
    assert counts(answer) == (1, 0, 0, 5)
    told = {}
    for e in answer.json()["errors"]:
        told.setdefault(e["row"], set()).add((e["pointer"], e["code"], e["detail"]))
    assert told[2] == told[3] == told[4] == {("#/parent", "unknown_reference", "no such organization")}
    assert told[5] == {(f"#/{m}", "required", "a new unit needs it") for m in ("kind", "parent")}, "what is out of sight is not there"
    assert told[6] == {("#/code", "code_taken", "a unit of the same root has this code")} and "Đại Phước" not in answer.text
    assert aa.get("/v1/organizations/AA-W2").json()["name"] == "Đảng ủy xã Đại Phước"
    reader = send(world.at("AA-TU", "viewer"), [row(*fresh(1))])
    assert reader.status == 403


def test_a_key_replays_and_is_required(aa, cluster):
    a = fresh(1)[0]
    key = samples.fresh("k")
    first, again = send(aa, [row(a)], key=key), send(aa, [row(a)], key=key)
    assert counts(first) == counts(again) == (1, 0, 0, 0) and again.header("Idempotency-Replayed") == "true"
    assert send(aa, [row(a, name="Khác")], key=key).code == "idempotency_key_reused"
    bare = aa.post(IMPORTS, "[]", [("Content-Type", "application/json")])
    assert bare.status == 400 and bare.code == "idempotency_key_required"


def test_vietnamese_excel_and_gzip(aa):
    a, b = fresh(2)
    text = f"\ufeffcode;name;kind;parent;attached;valid_from;valid_to\r\n{a};Chi bộ a;party_cell;AA-W2;true;01/08/2025;31/12/2026\r\n{b};\"Chi bộ; b\";party_cell;{a};;01/08/2025;31/12/2026\r\n;;;;;;\r\n"
    answer = send(aa, gzip.compress(text.encode()), "text/csv", [("Content-Encoding", "gzip")], delimiter=";", date_format="dd/mm/yyyy")
    assert counts(answer) == (2, 0, 0, 0), answer
    unit = aa.get(f"/v1/organizations/{b}").json()
    assert (unit["name"], unit["valid_to"]) == ("Chi bộ; b", "2026-12-31") and aa.get(f"/v1/organizations/{a}").json()["attached"]
    wrong = send(aa, f"code,name,kind,parent,valid_from\n{samples.fresh('AA-N')},x,party_cell,AA-W2,01/08/2025\n", "text/csv")
    assert faults(wrong) == {(1, "#/valid_from", "format")}, "never guessed"


@pytest.mark.parametrize("text,kind", [
    ("", "text/csv"), ("name\nx\n", "text/csv"), ("code,nam\nA,b\n", "text/csv"), ("code,code\nA,b\n", "text/csv"), ("{}", "application/json"),
    ("[1", "application/json"), ("null", "application/json"), ("[1, \"x\", null, []]", "application/json"), ("{broken\n", "application/x-ndjson"),
    ("[{\"code\":\"A\",\"zz\":1}]", "application/json"), ("[{\"code\":[\"A\"]}]", "application/json"), ("[{\"code\":\"A\",\"identifiers\":{}}]", "application/json"),
    ("[{\"code\":\"A\",\"former\":[{\"name\":\"x\",\"valid_to\":\"x\"}]}]", "application/json"), ("[{\"code\":\"\\u0000\"}]", "application/json")])
def test_bodies_that_cannot_be_taken(aa, text, kind):
    answer = send(aa, text, kind)
    assert answer.status in (400, 422) and answer.type == "application/problem+json", answer


def test_rows_of_hostile_text_are_text(aa):
    a = fresh(1)[0]
    name = "'; DROP TABLE organization; -- \\x \\N {\"a\":1} $1 %s =1+1"
    assert counts(send(aa, [row(a, name=name, note="\\.\n\\N\ttab")])) == (1, 0, 0, 0)
    unit = aa.get(f"/v1/organizations/{a}").json()
    assert unit["name"] == name and unit["note"] == "\\.\n\\N\ttab"


def test_more_than_the_most_rows_is_413(aa):
    text = "code\n" + "".join(f"AA-Q{i}\n" for i in range(20001))
    answer = send(aa, text, "text/csv")
    assert answer.status == 413 and answer.code == "body_too_large"


def test_what_was_exported_goes_in_again(world, aa):
    """As CSV and as NDJSON, unchanged where it came from; with other codes, parents first or last, a tree of the same shape elsewhere."""
    top = fresh(1)[0]
    send(aa, [row(top, "AA-TU", WARD, area_code="26053", former=[{"name": "Tên cũ, \"nháy\"", "kind": "town_party_committee", "valid_to": "2025-12-31"}])]
         + [row(f"{top}-{i}", top if i < 3 else f"{top}-{i - 3}", note=f"dòng {i}\nhai", identifiers=[{"scheme": "internal", "value": f"{top}:{i}", "valid_to": None}],
                **({"valid_to": "2026-12-31"} if i > 6 else {})) for i in range(9)])
    for kind in ("text/csv", "application/x-ndjson"):
        text = aa.get("/v1/organizations", [("Accept", kind)], under=top).text
        back = send(aa, text, kind)
        assert back.status == 200 and counts(back) == (0, 0, 10, 0), back
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["code"] for line in lines} == {top, *(f"{top}-{i}" for i in range(9))}
    moved = samples.fresh("AA-M")
    rows = [json.loads(json.dumps(line).replace(top, moved)) for line in lines]
    for r in rows:
        del r["version"]
    random.Random(1).shuffle(rows)
    again = send(aa, "\n".join(map(json.dumps, rows)), "application/x-ndjson")
    assert again.status == 200 and counts(again) == (10, 0, 0, 0), again
    for code in [line["code"] for line in lines]:
        one, other = (aa.get(f"/v1/organizations/{c}").text for c in (code, code.replace(top, moved)))
        one, other = json.loads(one.replace(top, moved)), json.loads(other)
        for u in (one, other):
            for member in ("id", "parent", "created_at", "updated_at"):
                u.pop(member)
        assert one == other
    tree = [i["code"] for i in aa.items("/v1/organizations", under=moved)]
    assert tree == [i["code"].replace(top, moved) for i in aa.items("/v1/organizations", under=top)], "neighbours stand by their codes"


def test_what_was_taken_in_costs_nothing_again(world):
    """Many wards and their cells, shuffled; the same once more changes nothing and is far quicker."""
    bb = world.at("BB-TU", "manager")
    rows = [row(f"BB-P{i}", "BB-TU", WARD, area_code=f"3{i:04}") for i in range(20)] + [row(f"BB-P{i % 20}-C{i // 20}", f"BB-P{i % 20}") for i in range(300)]
    random.Random(2).shuffle(rows)
    began = time.monotonic()
    answer = send(bb, rows)
    took = time.monotonic() - began
    assert answer.status == 200 and counts(answer) == (320, 0, 0, 0), answer.text[:2000]
    again = []
    for _ in range(3):
        began = time.monotonic()
        assert counts(send(bb, rows)) == (0, 0, 320, 0)
        again.append(time.monotonic() - began)
    assert min(again) < took
    assert len(bb.get("/v1/organizations/BB-P7/subtree", as_of="2025-08-01").json()["items"]) == 16


def test_units_taken_in_are_assigned_what_their_kind_is(world, cluster):
    """Singly and by the hundred, what is assigned to a kind of unit is assigned to them."""
    aa = world.at("AA-TU", "manager")
    indicator = world.indicator(aa, samples.fresh("AA-N"), "AA-P", "number")["code"]
    world.assign(aa, indicator, kind="grassroots_party_cell", under="AA-TU")
    top = fresh(1)[0]
    send(aa, [row(top, "AA-TU", WARD)])
    count = "SELECT count(*) FROM assignment_unit u JOIN indicator i ON i.id = u.indicator_id JOIN organization o ON o.id = u.organization_id WHERE i.code = %s AND o.code LIKE %s"
    for n, name in ((3, "F"), (240, "G")):
        rows = [row(f"{top}-{name}{i}", top, "grassroots_party_cell" if i % 2 else "party_cell") for i in range(n)]
        assert counts(send(aa, rows)) == (n, 0, 0, 0)
        assert cluster.query(count, [indicator, f"{top}-{name}%"]) == [(n // 2,)]
