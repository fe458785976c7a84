"""Whatever SQL or a handler words itself has its Vietnamese: the sources are searched for sentences that lib/problem does not know."""
import pathlib
import re

import pytest

pytestmark = pytest.mark.no_world
ROOT = pathlib.Path(__file__).resolve().parents[2]
CALL = re.compile(r"\b(?:fault|fault_parameter|fail)\(|'detail',|\b(?:said|detail|hint|DETAIL|HINT) :?= |_text\(code text\) RETURNS text")
LITERAL = re.compile(r"'((?:[^']|'')*)'")
WORDS = re.compile(r"[a-z]{2,} [a-z%'(]|[A-Za-z] ?%s|^[a-z]+ [a-z]+$")
C_CALL = re.compile(r"(?:fail_detail|fault_add_text)\(")
C_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s*"((?:[^"\\]|\\.)*)")*')


def end_of(text, i, depth):
    """Where the call or assignment that is open at i ends; quoted text is passed over."""
    quoted, inside = False, depth > 0
    while i < len(text):
        c = text[i]
        if c == "'":
            quoted = not quoted
        elif not quoted:
            depth += (c == "(") - (c == ")")
            if depth < 0 or (inside and depth == 0) or (not inside and depth == 0 and c in ";,"):
                break
        i += 1
    return i


def said_by_sql():
    for path in sorted((ROOT / "schema").rglob("*.sql")):
        text = re.sub(r"--[^\n]*", "", path.read_text(encoding="utf-8"))
        for call in CALL.finditer(text):
            if call[0].endswith("RETURNS text"):
                end = text.index("$$", text.index("$$", call.end()) + 2)
            else:
                end = end_of(text, call.end(), int(call[0].endswith("(")))
            for literal in LITERAL.findall(text[call.end():end]):
                sentence = literal.replace("''", "'")
                if WORDS.search(sentence) and not re.search(r"SELECT|::|\$\$|IS NULL", sentence):
                    yield path.name, sentence


def said_by_c():
    for path in sorted((ROOT / "api").glob("*.c")):
        text = path.read_text(encoding="utf-8")
        for call in C_CALL.finditer(text):
            for string in C_STRING.finditer(text[call.end():text.index(";", call.end())]):
                sentence = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', string[0]))
                if WORDS.search(sentence):
                    yield path.name, re.sub(r"%[a-z]+", "%s", sentence)


def table():
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "lib/problem/sentences.def").read_text(encoding="utf-8"), flags=re.S)
    rows = re.findall(r"SENTENCE\(((?:\"(?:[^\"\\]|\\.)*\"\s*)+),\s*((?:\"(?:[^\"\\]|\\.)*\"\s*)+)\)", text)
    return [tuple("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', part)).replace('\\"', '"') for part in row) for row in rows]


def known(sentence, patterns):
    """As it is, or as one that a pattern fits; a piece put together with others is known with them."""
    return sentence.replace("%s%s", "%s") in patterns or any(sentence.strip() and sentence.strip() in p for p in patterns)


def test_every_sentence_has_its_vietnamese():
    patterns = {english for english, _ in table()}
    found = list(said_by_sql()) + list(said_by_c())
    assert len(found) > 150
    lacking = sorted({f"{file}: {sentence}" for file, sentence in found if not known(sentence, patterns)})
    assert lacking == [], "add these to lib/problem/sentences.def:\n" + "\n".join(lacking)


def test_the_table_is_whole():
    rows = table()
    assert len(rows) == len({english for english, _ in rows})
    for english, vietnamese in rows:
        assert english.count("%s") == len(re.findall(r"%s|%[1-9]", vietnamese)), english
        assert vietnamese == vietnamese.strip() or english != english.strip(), english
        assert english[0].isupper() == vietnamese[0].isupper() or english.startswith("%s"), english
        assert "%s%s" not in english, english
