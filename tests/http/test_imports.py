"""Imports: three formats, Vietnamese Excel, atomic and partial, dry runs, and the sheet that comes back as it went."""
import csv
import gzip
import io
import json

import pytest
from harness import samples

IMPORTS = "/v1/values/imports"


@pytest.fixture
def ward(world):
    return world.at("AA-W1", "reporter")


@pytest.fixture
def code(world):
    aa = world.at("AA-TU", "manager")
    made = world.indicator(aa, samples.fresh("AA-N"), "AA-P", "number")["code"]
    world.assign(aa, made, organization="AA-W1")
    world.assign(aa, made, kind="party_cell", under="AA-TU", entered_by="superior")
    return made


def send(by, body, kind="application/json", headers=(), key=None, **query):
    if kind == "application/json" and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    return by.post(IMPORTS, body, [("Content-Type", kind), ("Idempotency-Key", key or samples.fresh("k")), *headers], **query)


def row(code, unit="AA-W1-C1", period="2026-Q1", **more):
    return {"indicator": code, "organization": unit, "period": period, **({"number": 1} if not more else more)}


def numbers(by, code):
    return {(v["organization"], v["period"]): v["number"] for v in by.items("/v1/values", indicator=code)}


def counts(answer):
    body = answer.json()
    return tuple(body[name] for name in ("created", "updated", "unchanged", "deleted", "failed"))


def test_json_create_update_unchanged(ward, code):
    first = send(ward, [row(code, number=1), row(code, "AA-W1-C2", number=2)])
    assert first.status == 200 and counts(first) == (2, 0, 0, 0, 0)
    again = send(ward, [row(code, number=1), row(code, "AA-W1-C2", number=3), row(code, "AA-W1-C3", number=4)])
    assert counts(again) == (1, 1, 1, 0, 0)
    assert numbers(ward, code) == {("AA-W1-C1", "2026-Q1"): 1, ("AA-W1-C2", "2026-Q1"): 3, ("AA-W1-C3", "2026-Q1"): 4}
    changes = {c["row"]: (c["old"], c["new"]) for c in again.json()["changes"]}
    assert set(changes) == {2, 3} and changes[2][0]["number"] == 2 and changes[2][1]["number"] == 3 and changes[3][0] is None
    assert ward.get(f"/v1/values/{code}/AA-W1-C1/2026-Q1").json()["version"] == 1, "unchanged rows cost nothing"


def test_ndjson_with_blank_lines_and_a_bom(ward, code):
    text = "\ufeff" + json.dumps(row(code)) + "\n\n" + json.dumps(row(code, "AA-W1-C2")) + "\r\n"
    assert counts(send(ward, text, "application/x-ndjson")) == (2, 0, 0, 0, 0)


def test_ndjson_broken_line_is_a_row_error(ward, code):
    text = json.dumps(row(code)) + "\n{broken\n" + json.dumps(row(code, "AA-W1-C2")) + "\n"
    answer = send(ward, text, "application/x-ndjson", mode="partial")
    assert answer.status == 200 and counts(answer)[0] == 2 and counts(answer)[4] == 1
    assert answer.json()["errors"][0]["line"] == 2 and answer.json()["errors"][0]["row"] == 2


def test_csv_with_the_plain_habits(ward, code):
    text = f"\ufeffindicator,organization,period,number,note\r\n{code},AA-W1-C1,2026-Q1,1.5,\"hai\r\ndòng, \"\"x\"\"\"\r\n{code},AA-W1-C2,2026-Q1,2,\r\n"
    assert counts(send(ward, text, "text/csv")) == (2, 0, 0, 0, 0)
    assert ward.get(f"/v1/values/{code}/AA-W1-C1/2026-Q1").json()["note"] in ('hai\r\ndòng, "x"', 'hai\ndòng, "x"')


def test_csv_of_a_vietnamese_excel(world, ward, code):
    aa = world.at("AA-TU", "manager")
    mile = world.indicator(aa, samples.fresh("AA-N"), "AA-P", "milestone")["code"]
    world.assign(aa, mile, organization="AA-W1")
    text = f"indicator;organization;period;number;done_on\r\n{code};AA-W1-C1;2026-Q1;1234,5;\r\n{mile};AA-W1;2026-Q1;;28/02/2026\r\n"
    answer = send(ward, text, "text/csv", delimiter=";", decimal=",", date_format="dd/mm/yyyy")
    assert counts(answer) == (2, 0, 0, 0, 0), answer
    assert str(numbers(ward, code)["AA-W1-C1", "2026-Q1"]) == "1234.5"
    assert ward.get(f"/v1/values/{mile}/AA-W1/2026-Q1").json()["done_on"] == "2026-02-28"


@pytest.mark.parametrize("cell", ["1,5", "1.234,5", "1 234", "1.234.567", "５", "0x10", "1_000", "١", "NaN", "Infinity", "1e999", "--1", "+1", ".5", "5."])
def test_habits_that_were_not_named_are_refused_not_guessed(ward, code, cell):
    text = f'indicator,organization,period,number\r\n{code},AA-W1-C1,2026-Q1,"{cell}"\r\n'
    answer = send(ward, text, "text/csv")
    assert answer.status == 422 and answer.code == "import_refused", answer
    fault = answer.json()["errors"][0]
    assert (fault["row"], fault["line"], fault["pointer"]) == (1, 2, "#/number") and fault["detail"]
    assert numbers(ward, code) == {}


@pytest.mark.parametrize("text,kind", [
    ("indicator;organization;period;number\r\nx;y;z;1\r\n", "text/csv"), ("", "text/csv"), ("indicator,organization\r\n", "text/csv"),
    ("indicator,organization,period,number,number\r\n", "text/csv"), ("indicator,organization,period,nombre\r\n", "text/csv"),
    ("{}", "application/json"), ("[1", "application/json"), ("", "application/json"), ("[1, 2]", "application/json"), ("null", "application/json")])
def test_bodies_that_cannot_be_read(ward, text, kind):
    answer = send(ward, text, kind)
    assert answer.status in (400, 422), answer


def test_atomic_keeps_nothing_and_partial_keeps_the_sound_rows(ward, code):
    rows = [row(code), row(code, "AA-W1-C2", number="x"), row("NO-SUCH"), row(code, "AA-W2-C1"), row(code, "AA-W1-C3", "2026-M01"), row(code, "AA-W1-C4")]
    refused = send(ward, rows)
    assert refused.status == 422 and refused.code == "import_refused" and refused.json()["failed"] == 4
    assert {e["row"] for e in refused.json()["errors"]} == {2, 3, 4, 5}
    assert numbers(ward, code) == {}
    partial = send(ward, rows, mode="partial")
    assert partial.status == 200 and counts(partial) == (2, 0, 0, 0, 4)
    assert {k[0] for k in numbers(ward, code)} == {"AA-W1-C1", "AA-W1-C4"}


def test_a_dry_run_answers_what_the_run_would_and_keeps_nothing(ward, code):
    send(ward, [row(code, number=1)])
    rows = [row(code, number=2), row(code, "AA-W1-C2", number=3), row(code, "AA-W1-C3", number=None)]
    for mode in ("partial", "atomic"):
        dry = send(ward, rows, mode=mode, dry_run="true")
        assert dry.json()["dry_run"] is True
        assert numbers(ward, code) == {("AA-W1-C1", "2026-Q1"): 1}
    real = send(ward, rows, mode="atomic")
    assert {k: v for k, v in real.json().items() if k != "dry_run"} == {k: v for k, v in dry.json().items() if k != "dry_run"}


def test_strategies(ward, code):
    send(ward, [row(code, number=1)])
    refused = send(ward, [row(code, number=2), row(code, "AA-W1-C2")], strategy="create", mode="partial")
    assert counts(refused) == (1, 0, 0, 0, 1)
    refused = send(ward, [row(code, number=2), row(code, "AA-W1-C3")], strategy="update", mode="partial")
    assert counts(refused) == (0, 1, 0, 0, 1)
    gone = send(ward, [row(code), row(code, "AA-W1-C4")], strategy="delete", mode="partial")
    assert counts(gone)[3] == 1 and counts(gone)[4] == 1
    assert set(numbers(ward, code)) == {("AA-W1-C2", "2026-Q1")}
    back = ward.enter(code, "AA-W1-C1", "2026-Q1", {"number": 9})
    assert back.status == 201


def test_a_stale_version_is_a_row_error(ward, code):
    send(ward, [row(code, number=1)])
    assert counts(send(ward, [row(code, number=2, version=1)])) == (0, 1, 0, 0, 0)
    stale = send(ward, [row(code, number=3, version=1)])
    assert stale.status == 422 and stale.json()["errors"][0]["code"] == "version_conflict"
    assert send(ward, [row(code, "AA-W1-C2", number=3, version=1)]).status == 422


def test_the_same_value_twice_is_a_row_error(ward, code):
    answer = send(ward, [row(code, number=1), row(code, number=2)])
    assert answer.status == 422 and answer.json()["errors"][0]["code"] == "repeated" and answer.json()["errors"][0]["row"] == 2


def test_rows_out_of_scope_read_like_nonexistent_ones(world, ward, code):
    hidden = world.at("AA-TU", "manager").get("/v1/organizations/AA-W2-C1").json()["id"]
    for extra in ({}, {"organization_scheme": "id"}):
        units = ["AA-W2-C1", "BB-W1", "NO-SUCH"] if not extra else [hidden, "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02"]
        errors = send(ward, [row(code, unit) for unit in units], mode="partial", **extra).json()["errors"]
        assert len(errors) == len(units) and len({(e["pointer"], e["code"], e["detail"]) for e in errors}) == 1, errors


def test_units_by_statistics_code_and_identifier(world, ward, code):
    aa = world.at("AA-TU", "manager")
    own, cell, second = (samples.fresh("AA-T") for _ in range(3))
    world.unit(aa, own, "Đảng ủy một", "directly_subordinate_party_committee", "AA-W1", area_code="26071")
    world.assign(aa, code, organization=own, entered_by="superior")
    by_area = send(ward, [row(code, "26071")], organization_scheme="statistics")
    assert counts(by_area) == (1, 0, 0, 0, 0) and (own, "2026-Q1") in numbers(ward, code)
    world.unit(aa, cell, "Chi bộ mã", "party_cell", "AA-W1", area_code="26071",
               identifiers=[{"scheme": "electronic_identifier", "value": f"H19.{cell}"}])
    assert counts(send(ward, [row(code, f"H19.{cell}")], organization_scheme="electronic_identifier")) == (1, 0, 0, 0, 0)
    committee = send(ward, [row(code, "26071", "2025-Q4")], organization_scheme="statistics")
    assert committee.status == 200 and (own, "2025-Q4") in numbers(ward, code), "the area's one Party committee is meant"
    world.unit(aa, second, "Đảng ủy hai", "directly_subordinate_party_committee", "AA-W1", area_code="26071")
    ambiguous = send(ward, [row(code, "26071", "2026-Q2")], organization_scheme="statistics")
    assert ambiguous.status == 422 and ambiguous.json()["errors"][0]["code"] == "ambiguous_reference"
    unknown = send(ward, [row(code, "99999")], organization_scheme="statistics")
    assert unknown.json()["errors"][0]["code"] == "unknown_reference"


def test_gzip(ward, code):
    body = json.dumps([row(code)]).encode()
    packed = send(ward, gzip.compress(body), headers=[("Content-Encoding", "gzip")])
    assert counts(packed) == (1, 0, 0, 0, 0)
    for broken in (gzip.compress(body)[:-4], b"not gzip", gzip.compress(body) + b"trailing", b""):
        assert send(ward, broken, headers=[("Content-Encoding", "gzip")]).status == 400, broken[:20]
    assert send(ward, body, headers=[("Content-Encoding", "br")]).status == 415


def test_a_gzip_bomb_is_413(ward):
    bomb = gzip.compress(b" " * (300 << 20), 9)
    assert len(bomb) < 1 << 20
    answer = send(ward, bomb, headers=[("Content-Encoding", "gzip")])
    assert answer.status == 413 and answer.code == "body_too_large"


def test_the_key_is_required_and_replays(ward, code):
    missing = ward.post(IMPORTS, json.dumps([row(code)]), [("Content-Type", "application/json")])
    assert missing.status == 400, missing
    key = samples.fresh("k")
    first = send(ward, [row(code)], key=key)
    again = send(ward, [row(code)], key=key)
    assert again.header("Idempotency-Replayed") == "true" and again.json() == first.json()
    assert first.header("Idempotency-Replayed") in (None, "false")
    assert send(ward, [row(code, number=2)], key=key).status == 422
    assert send(ward, [row(code)], key=key, dry_run="true").status == 422, "another request"


def test_the_first_thousand_errors_are_listed_and_all_are_counted(ward, code):
    rows = [row(code, number="x")] * 1200
    answer = send(ward, rows)
    body = answer.json()
    assert answer.status == 422 and body["failed"] == 1200 and len(body["errors"]) == 1000 and body["errors_truncated"] is True


def test_every_fault_of_a_row_is_told(ward, code):
    answer = send(ward, [{"indicator": code, "organization": "AA-W1-C1", "period": "2026-Q1", "number": "x", "evidence_url": "zz", "zz": 1}])
    assert {e["pointer"] for e in answer.json()["errors"]} >= {"#/number", "#/evidence_url", "#/zz"}


def test_a_large_import(ward, world):
    aa = world.at("AA-TU", "manager")
    codes = []
    for _ in range(10):
        codes.append(world.indicator(aa, samples.fresh("AA-N"), "AA-P", "number", frequency="month")["code"])
        world.assign(aa, codes[-1], kind="party_cell", under="AA-TU", entered_by="superior")
    rows = [row(c, f"AA-W1-C{n}", f"{year}-M{month:02}", number=n * month) for c in codes for n in range(1, 5)
            for year in (2025, 2026) for month in range(1, 13) if (year, month) < (2026, 11)]
    answer = send(ward, rows)
    assert counts(answer) == (len(rows), 0, 0, 0, 0)
    assert counts(send(ward, rows)) == (0, 0, len(rows), 0, 0)


def test_a_sheet_filled_in_late_overwrites_nothing(ward, code):
    sheet = ward.get("/v1/values/sheet", [("Accept", "text/csv")], organization="AA-W1", period="2026-Q1", indicator=code)
    rows = list(csv.DictReader(io.StringIO(sheet.text.lstrip("\ufeff"), newline="")))
    assert rows[0]["version"] == "" and all(r["number"] == "" for r in rows)
    assert counts(send(ward, [row(code, rows[1]["organization"], number=7)])) == (1, 0, 0, 0, 0), "somebody is faster"
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows({**r, "number": n} for n, r in enumerate(rows[:3], 1))
    late = send(ward, out.getvalue(), "text/csv", mode="partial")
    assert counts(late) == (2, 0, 0, 0, 1)
    assert [(e["row"], e["pointer"], e["code"]) for e in late.json()["errors"]] == [(2, "#/version", "version_conflict")]
    assert numbers(ward, code)[(rows[1]["organization"], "2026-Q1")] == 7
    again = send(ward, out.getvalue(), "text/csv", mode="partial")
    assert counts(again) == (0, 0, 2, 0, 1), "the same once more changes nothing"
    named = send(ward, [row(code, rows[1]["organization"], number=8, version=None)])
    assert named.status == 422 and named.json()["errors"][0]["code"] == "version_conflict", "null is as good as blank"
    assert counts(send(ward, [row(code, rows[1]["organization"], number=8)])) == (0, 1, 0, 0, 0), "without a version, whatever there is"


def test_a_sheet_tells_milestones_that_are_not_reached(world, ward):
    aa = world.at("AA-TU", "manager")
    made = world.indicator(aa, samples.fresh("AA-M"), "AA-P", "milestone")["code"]
    world.assign(aa, made, kind="party_cell", under="AA-W1", entered_by="superior")
    assert counts(send(ward, [row(made, "AA-W1-C1", done=False), row(made, "AA-W1-C2", done_on="2026-02-03")])) == (2, 0, 0, 0, 0)
    query = {"organization": "AA-W1", "period": "2026-Q1", "indicator": made}
    told = {r["organization"]: (r["done"], r["done_on"]) for r in ward.items("/v1/values/sheet", **query)}
    assert (told["AA-W1-C1"], told["AA-W1-C2"], told["AA-W1-C3"]) == ((False, None), (True, "2026-02-03"), (None, None))
    sheet = ward.get("/v1/values/sheet", [("Accept", "text/csv")], **query)
    back = send(ward, sheet.body, "text/csv")
    assert back.status == 200 and counts(back)[:2] == (0, 0), back


@pytest.mark.parametrize("habits", [{}, {"delimiter": ";", "decimal": ","}, {"decimal": "comma"}, {"delimiter": "comma", "decimal": ","},
                                    {"delimiter": "tab", "decimal": "."}], ids=str)
def test_the_sheet_comes_back_as_it_went(world, ward, code, habits):
    world.must(ward.enter(code, "AA-W1-C1", "2026-Q1", {"number": 1234.5, "note": "=SUM(A1)\nhai; dòng, \"x\""}))
    world.must(ward.enter(code, "AA-W1-C2", "2026-Q1", {"state": "not_applicable", "note": "-"}))
    sheet = ward.get("/v1/values/sheet", [("Accept", "text/csv")], organization="AA-W1", period="2026-Q1", indicator=code, **habits)
    assert sheet.status == 200, sheet
    before = ward.items("/v1/values", indicator=code)
    back = send(ward, sheet.body, "text/csv", **habits)
    assert back.status == 200 and counts(back)[:2] == (0, 0) and counts(back)[4] == 0, back
    assert ward.items("/v1/values", indicator=code) == before
    # and filled in, as a person would
    comma = habits.get("decimal") in (",", "comma")
    delimiter = {";": ";", "tab": "\t", "comma": ","}.get(habits.get("delimiter"), ";" if comma else ",")
    assert sheet.body.startswith(b"\xef\xbb\xbf") and ("1234,5" if comma else "1234.5") in sheet.text
    rows = list(csv.DictReader(io.StringIO(sheet.text.lstrip("\ufeff"), newline=""), delimiter=delimiter))
    for line in rows:
        if line["organization"] == "AA-W1-C3":
            line["number"] = "2,5" if comma else "2.5"
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0].keys(), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    filled = send(ward, out.getvalue(), "text/csv", **habits)
    assert counts(filled)[0] == 1 and counts(filled)[4] == 0, filled
    assert str(numbers(ward, code)["AA-W1-C3", "2026-Q1"]) == "2.5"


def test_what_is_wrong_with_a_rows_form_hides_and_invents_nothing_else(ward, code):
    text = f'indicator,organization,period,number,version\r\n{code},AA-W1-C1,2026-Q1,"2,5",3\r\n{code},NO-SUCH,2026-Q1,x,\r\n,AA-W1-C1,2026-Q1,1,\r\n'
    errors = [(e["row"], e["pointer"], e["code"]) for e in send(ward, text, "text/csv", mode="partial").json()["errors"]]
    assert errors == [(1, "#/number", "format"), (2, "#/number", "format"), (2, "#/organization", "unknown_reference"), (3, "#/indicator", "required")]
    rows = [{"indicator": code, "organization": "AA-W1-C1", "period": "2026-Q1", "number": "2"}, {"indicator": 5, "organization": "AA-W1-C1", "period": "2026-Q1", "number": 2}]
    errors = [(e["row"], e["pointer"], e["code"]) for e in send(ward, rows, mode="partial").json()["errors"]]
    assert errors == [(1, "#/number", "type"), (2, "#/indicator", "type")]
    broken = f'{{"indicator":"{code}","organization":"AA-W1-C1","period":"2026-Q1","number":1,"number":2}}\n'
    errors = [(e["row"], e["pointer"], e["code"]) for e in send(ward, broken, "application/x-ndjson", mode="partial").json()["errors"]]
    assert [code_ for _, _, code_ in errors] == ["duplicate_key"], errors


def backends(cluster):
    return set(cluster.query("SELECT pid FROM pg_stat_activity WHERE usename = 'tiendo_service'"))


def test_refusals_and_replays_keep_the_connections(world, cluster, ward, code):
    key, rows = samples.fresh("k"), [row(code, "AA-W1-C1", "2026-Q1", number=1)]
    headers = [("Idempotency-Key", key), ("Content-Type", "application/json")]
    assert ward.post("/v1/values/imports", rows, headers).status == 200
    before = backends(cluster)
    for _ in range(4):
        again = ward.post("/v1/values/imports", rows, headers)
        assert again.status == 200 and again.header("Idempotency-Replayed") == "true"
        assert ward.post("/v1/values/imports", rows + rows, headers).status == 422, "at once, not 409: the key is free again"
        assert ward.get("/v1/values?under=NO-SUCH", [("Accept", "text/csv")]).status == 422
        assert send(ward, [row(code, "NO-SUCH", "2026-Q1", number=1)]).status == 422
    assert before <= backends(cluster), "none was closed"


def test_blank_rows_long_rows_and_unnamed_gzip(ward, code):
    text = f"indicator;organization;period;number\r\n{code};AA-W1-C1;2026-Q1;1\r\n;;;\r\n{code};NO-SUCH;2026-Q1;1\r\n;;;\r\n"
    answer = send(ward, text, "text/csv", delimiter=";", mode="partial")
    assert counts(answer) == (1, 0, 0, 0, 1) and [(e["row"], e["line"]) for e in answer.json()["errors"]] == [(3, 4)], answer
    rows = json.dumps([row(code, "AA-W1-C2", "2026-Q1", number=2)])[:-1] + ',{"note":"' + "\\u0061" * 1_000_000 + '"}]'
    answer = send(ward, gzip.compress(rows.encode()), headers=[("Content-Encoding", "gzip")], mode="partial")
    assert counts(answer) == (1, 0, 0, 0, 1) and answer.json()["errors"][0]["code"] == "too_long", answer
    answer = send(ward, gzip.compress(text.encode()), "text/csv", mode="partial")
    assert answer.status == 400 and answer.faults() == {("Content-Encoding", "required")}, answer
