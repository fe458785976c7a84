"""Texts of one line hold what can be seen, and what a pattern asks for is said in words."""
import pytest
from harness import samples

HIDDEN = {"right to left override": "\u202e", "isolate": "\u2066", "zero width space": "\u200b", "zero width joiner": "\u200d", "byte order mark": "\ufeff",
          "soft hyphen": "\u00ad", "line separator": "\u2028", "tag": "\U000e0041", "line feed": "\n", "tab": "\t", "next line": "\u0085",
          "variation selector": "\ufe0f", "Hangul filler": "\u3164"}


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def unit(**more):
    return {"code": samples.fresh("AA-X"), "name": "Chi bộ", "kind": "party_cell", "parent": "AA-W2", **more}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_name_holds_nothing_that_cannot_be_seen(aa, text):
    for where, body in (("#/name", unit(name=f"Chi{text} bộ")), ("#/identifiers/0/value", unit(identifiers=[{"scheme": "internal", "value": f"a{text}"}]))):
        answer = aa.post("/v1/organizations", body)
        assert answer.status == 422 and answer.faults() == {(where, "invisible_character")}, answer
        assert f"U+{ord(text):04X}" in answer.json()["errors"][0]["detail"]
    answer = aa.post("/v1/organizations", unit(note=f"hai{text}dòng"))
    if text in "\n\t":
        assert answer.status == 201 and answer.json()["note"] == f"hai{text}dòng", "a note has lines"
    else:
        assert answer.status == 422 and answer.faults() == {("#/note", "invisible_character")}, answer


def test_a_note_has_lines_however_they_are_ended(aa):
    assert aa.post("/v1/organizations", unit(note="một\r\nhai\n\tba")).status == 201
    assert aa.post("/v1/organizations", unit(note="một\rhai")).faults() == {("#/note", "invisible_character")}


def test_what_is_seen_is_taken(aa):
    for name in ("Chi bộ “Đoàn kết” – số 1/2 (cũ) №5 ₫ 100% & 'x'", "Trường THCS Nguyễn Thị Định", "日本 ✓ é̂ ư̛", "🏛 Ủy ban"):
        answer = aa.post("/v1/organizations", unit(name=name))
        assert answer.status == 201, answer


def test_an_import_row_is_told_the_same(aa):
    text = f"code,name,kind,parent\n{samples.fresh('AA-X')},Chi\u200bbộ,party_cell,AA-W2\n"
    answer = aa.post("/v1/organizations/imports", text, [("Content-Type", "text/csv"), ("Idempotency-Key", samples.fresh("k"))])
    assert answer.status == 422 and [(e["row"], e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(1, "#/name", "invisible_character")]


@pytest.mark.parametrize("language,words", [("vi", "Chỉ gồm chữ cái không dấu"), ("en", "Letters without accents")])
def test_a_pattern_is_said_in_words(aa, language, words):
    answer = aa.post("/v1/organizations", unit(code="Mã số"), [("Accept-Language", language)])
    fault = answer.json()["errors"][0]
    assert (fault["pointer"], fault["code"]) == ("#/code", "pattern") and fault["detail"].startswith(words) and "^" not in fault["detail"]
    answer = aa.get("/v1/organizations", [("Accept-Language", language)], kind="Chi bộ", identifier="26041")
    assert answer.status == 400 and answer.pointers() == {"kind", "identifier"} and "^" not in answer.text


@pytest.mark.parametrize("language,words", [("vi", "Dòng tiêu đề chỉ có một cột"), ("en", "The header has one column")])
def test_another_delimiter_is_told_in_the_callers_language(aa, language, words):
    answer = aa.post("/v1/organizations/imports", "code;name\nAA-X;Chi bộ\n",
                     [("Content-Type", "text/csv"), ("Idempotency-Key", samples.fresh("k")), ("Accept-Language", language)])
    fault = answer.json()["errors"][0]
    assert fault["code"] == "csv_delimiter" and fault["detail"].startswith(words) and "JSON" not in answer.json()["detail"]


@pytest.mark.parametrize("language,day", [("vi", "30/06/2026"), ("en", "2026-06-30")])
def test_days_are_said_as_they_are_written(aa, world, language, day):
    old, new = samples.fresh("AA-CU"), samples.fresh("AA-MOI")
    for code in (old, new):
        world.unit(aa, code, "Đảng ủy phường", "directly_subordinate_party_committee", "AA-TU")
    world.staff(world.at("AA-TU", "administrator"), old, ("manager",))
    seat = world.at(old, "manager")
    world.must(aa.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": "2026-07-01", "steps": [
        {"kind": "merge", "organizations": [old], "into": new}]}))
    assert day in seat.patch(f"/v1/organizations/{old}", {"note": "x"}, "*", [("Accept-Language", language)]).json()["detail"]


@pytest.mark.parametrize("language,words", [("vi", "không có kỳ báo cáo này; mã kỳ có dạng 2026-M09"), ("en", "no such period; codes are such as 2026-M09")])
def test_a_wrong_period_is_told_the_forms(aa, language, words):
    answer = aa.get("/v1/progress", [("Accept-Language", language)], organization="AA-TU", period="2026")
    assert answer.json()["errors"][0]["detail"].startswith(words)


def test_a_constraint_says_what_is_wrong(world, aa):
    answer = world.at("AA-W1", "administrator").post("/v1/mandates", {
        "unit": "AA-W1-XD", "over": "AA-W1-C1", "functions": ["read"], "valid_from": "2026-02-02", "valid_to": "2026-02-01"}, [("Accept-Language", "vi")])
    assert answer.json()["errors"] == [{"pointer": "#/valid_to", "code": "ends_before_start", "detail": "ngày kết thúc trước ngày bắt đầu"}]
    answer = aa.patch("/v1/organizations/AA-W1", "{}", "*", [("Content-Type", "application/json")])
    assert answer.status == 415 and "application/merge-patch+json" in answer.json()["detail"]


def test_truth_values_as_a_spreadsheet_saves_them(aa):
    code = samples.fresh("AA-X")
    headers = [("Content-Type", "text/csv"), ("Accept-Language", "vi")]
    text = "code,name,kind,parent,attached,made_up\n{},Chi bộ,party_cell,AA-W2,{},FALSE\n"
    answer = aa.post("/v1/organizations/imports", text.format(code, "TRUE"), [*headers, ("Idempotency-Key", samples.fresh("k"))])
    assert answer.status == 200, answer
    made = aa.get("/v1/organizations/" + code).json()
    assert made["attached"] is True and made["made_up"] is False
    refused = aa.post("/v1/organizations/imports", text.format(code + "b", "ừ"), [*headers, ("Idempotency-Key", samples.fresh("k"))])
    assert [(e["pointer"], e["detail"]) for e in refused.json()["errors"]] == [("#/attached", "Phải là một trong: true, false")]
