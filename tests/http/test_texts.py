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
    assert aa.post("/v1/organizations", unit(note=f"hai{text if text in chr(10) + chr(9) else chr(10)}dòng")).status == 201, "a note has lines"


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
