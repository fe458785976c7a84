#!/usr/bin/env python3
"""The generator stops the build, with the right words, on every kind of broken contract."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FIXTURE = HERE / "contract"
ROUTES = ROOT / "api/routes.py"
sys.path.insert(0, str(ROOT / "api"))

from generator import patterns  # noqa: E402

CONTRACT, SQL, MIGRATION = "openapi.yaml", "queries/thing.sql", "migrations/0001.sql"


def run(changes=(), called=""):
    """Runs the generator over the fixture with (file, old, new) changed; exit code, messages and the outputs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (CONTRACT, SQL, MIGRATION):
            (folder / file).parent.mkdir(exist_ok=True)
            text = (FIXTURE / file).read_text(encoding="utf-8")
            for which, old, new in changes:
                if which == file:
                    assert old in text, f"{old!r} is not in {file}"
                    text = text.replace(old, new, 1)
            (folder / file).write_text(text, encoding="utf-8")
        (folder / "handler.c").write_text(called, encoding="utf-8")
        made = subprocess.run(
            [sys.executable, ROUTES, "--contract", folder / CONTRACT, "--queries", folder / "queries", "--migrations",
             folder / "migrations", "--sources", folder, "--source", folder / "routes.c", "--header",
             folder / "routes.h", "--json", folder / "openapi.json", "--depfile", folder / "routes.d"],
            capture_output=True, text=True, check=False)
        outputs = {p.name: p.read_text(encoding="utf-8") for p in folder.glob("*") if p.suffix in (".c", ".h", ".json", ".d")}
        return made.returncode, made.stderr, outputs


class Whole(unittest.TestCase):
    def test_the_fixture_is_in_order(self):
        code, messages, outputs = run()
        self.assertEqual((code, messages), (0, ""))
        self.assertIn("OP_thing_update,", outputs["routes.h"])
        self.assertIn("extern const struct named_query query_thing_help;", outputs["routes.h"])
        self.assertEqual(json.loads(outputs["openapi.json"])["openapi"], "3.1.0")
        self.assertIn("thing.sql", outputs["routes.d"])

    def test_a_list_may_begin_at_its_end(self):
        for sort, listed, descending in (("asc", "tree", "false"), ("desc", "tree, -tree", "true")):
            code, messages, outputs = run([(SQL, "-- sort tree asc:", f"-- sort tree {sort}:"), (CONTRACT, "enum: [tree, code", f"enum: [{listed}, code")])
            self.assertEqual((code, messages), (0, ""))
            self.assertIn(f".descending = {descending},", outputs["routes.c"])

    def test_an_answer_of_one_media_type_may_be_made_apart(self):
        apart = "            text/csv:\n              x-handler: paper\n              x-lane: long\n"
        code, messages, outputs = run([(CONTRACT, "            text/csv:\n", apart)])
        self.assertEqual((code, messages), (0, ""))
        self.assertIn('{ "text/csv", MEDIA_CSV, NULL, handle_paper, LANE_LONG }', outputs["routes.c"])
        self.assertIn('{ "application/json", MEDIA_JSON, NULL, NULL, LANE_NONE }', outputs["routes.c"])
        self.assertIn("int handle_paper(struct exchange *x);", outputs["routes.h"])
        self.assertNotIn("handle", outputs["openapi.json"].replace("thing_", ""))

    def test_nothing_is_written_on_a_fault(self):
        code, _, outputs = run([(CONTRACT, "x-permission: things:write", "x-note: none")])
        self.assertEqual(code, 1)
        self.assertNotIn("routes.c", outputs)

    def test_all_faults_are_told_at_once(self):
        code, messages, _ = run([(CONTRACT, "x-permission: things:write", "x-lane: quick"),
                                 (CONTRACT, "summary: A part", "description: A part")])
        self.assertEqual(code, 1)
        self.assertIn("POST /v1/things (thing_create): x-permission is missing", messages)
        self.assertIn("(part_get): summary is missing", messages)
        self.assertIn("2 fault(s)", messages)

    def test_yaml_is_read_as_json_is(self):
        _, _, outputs = run([(CONTRACT, "title: Fixture", "title: 2025-01-01, description: no")])
        self.assertEqual(json.loads(outputs["openapi.json"])["info"]["title"], "2025-01-01")
        self.assertEqual(json.loads(outputs["openapi.json"])["info"]["description"], "no")

    def test_a_query_called_from_c_is_used(self):
        more = (SQL, "-- name: part_get", "-- name: lonely :call\nSELECT 1\n\n-- name: part_get")
        self.assertIn("lonely: is used by no operation", run([more])[1])
        self.assertEqual(run([more], "x = &query_lonely;")[0], 0)


# what is broken: (file, old, new, the message)
BROKEN = {
    # the contract
    "keyword": (CONTRACT, "live: {type: boolean}", "live: {type: boolean, contentEncoding: x}",
                "schema keyword 'contentEncoding' is not supported"),
    "keyword of answers": (CONTRACT, "live: {type: boolean}", "live: {type: boolean, anyOf: []}",
                           "schema keyword 'anyOf' is not supported in a request"),
    "keyword deep in an answer": (CONTRACT, "schema: {type: object, properties: {code: {type: string}}}",
                                  "schema: {type: object, properties: {code: {type: string, not: {}}}}",
                                  "schema keyword 'not' is not supported"),
    "idle keyword": (CONTRACT, "live: {type: boolean}", "live: {type: boolean, maxLength: 3}", "'maxLength' needs type string"),
    "keyword beside $ref": (CONTRACT, "schema: {$ref: '#/components/schemas/Kind'}",
                            "schema: {$ref: '#/components/schemas/Kind', maxLength: 3}", "'maxLength' beside $ref"),
    "type": (CONTRACT, "live: {type: boolean}", "live: {type: bool}", "type 'bool' does not exist"),
    "format": (CONTRACT, "format: email", "format: hostname", "format 'hostname' is not supported"),
    "pattern": (CONTRACT, "pattern: '^[A-Z0-9]+$'", "pattern: '^(?=a)[A-Z0-9]+$'", "outside the subset"),
    "broken pattern": (CONTRACT, "pattern: '^[A-Z0-9]+$'", "pattern: '^[A-Z0-9+$'", "is no regular expression"),
    "numbers in enum": (CONTRACT, "enum: [small, large, middling]", "enum: [small, 7]", "enum and const take strings"),
    "open schema": (CONTRACT, "    ThingNew:\n      type: object\n      additionalProperties: false\n",
                    "    ThingNew:\n      type: object\n", "open request schema"),
    "open schema below": (CONTRACT, "- type: object\n              additionalProperties: false\n              required: [done]",
                          "- type: object\n              required: [done]", "oneOf/0: open request schema"),
    "required without property": (CONTRACT, "required: [code, name]", "required: [code, nome]",
                                  "required 'nome' is not among the properties"),
    "no permission": (CONTRACT, "x-permission: things:write", "x-lane: quick", "x-permission is missing"),
    "strange permission": (CONTRACT, "x-permission: things:write", "x-permission: everything", "must read like values:read"),
    "public and secured": (CONTRACT, "security: []", "description: x", "public, so security must be []"),
    "secured without security": (CONTRACT, "x-permission: things:write", "x-permission: things:write\n      security: []",
                                 "but security is empty"),
    "lane": (CONTRACT, "x-lane: long", "x-lane: slow", "x-lane 'slow' is none of"),
    "no query, no handler": (CONTRACT, "x-query: thing_create", "x-lane: quick", "needs x-query or x-handler"),
    "query that is not there": (CONTRACT, "x-query: thing_create", "x-query: thing_make",
                                "x-query thing_make is in no file of schema/queries"),
    "second query of nothing": (CONTRACT, "x-query: thing_list", "x-query: thing_list\n      x-query-with: {colour: thing_list}",
                                "x-query-with names colour, which is no query parameter"),
    "second query that is not there": (CONTRACT, "x-query: thing_list", "x-query: thing_list\n      x-query-with: {live: thing_then}",
                                       "x-query thing_then is in no file of schema/queries"),
    "second query that does not look": (CONTRACT, "x-query: thing_list", "x-query: thing_list\n      x-query-with: {live: thing_list}",
                                        "does not use :live, which chooses it"),
    "second query's form": (CONTRACT, "x-query: thing_list", "x-query: thing_list\n      x-query-with: thing_then", "must read {parameter: query}"),
    "extra twice": (SQL, "-- id: t.id\n", "-- id: t.id\n-- extra code: t.code\n", "column code is there twice"),
    "an answer's lane without its handler": (CONTRACT, "            text/csv:\n", "            text/csv:\n              x-lane: long\n",
                                             "answer 200 text/csv: x-handler and x-lane go together"),
    "an answer's lane": (CONTRACT, "            text/csv:\n", "            text/csv:\n              x-handler: paper\n              x-lane: none\n",
                         "answer 200 text/csv: x-lane 'none' is none of: quick, long"),
    "an answer's extension": (CONTRACT, "            text/csv:\n", "            text/csv:\n              x-query: thing_list\n",
                              "answer 200 text/csv: extension x-query is not known"),
    "unknown extension": (CONTRACT, "x-lane: long", "x-lanes: long", "extension x-lanes is not known"),
    "no operationId": (CONTRACT, "operationId: part_get", "deprecated: false", "operationId is missing"),
    "operationId twice": (CONTRACT, "operationId: part_get", "operationId: thing_list", "operationId is used twice"),
    "no tags": (CONTRACT, "tags: [health]", "deprecated: false", "GET /livez (livez): tags is missing"),
    "no summary": (CONTRACT, "summary: Alive", "deprecated: false", "GET /livez (livez): summary is missing"),
    "status 401": (CONTRACT, "        '401': {$ref: '#/components/responses/Problem'}\n", "",
                   "(thing_list): can always answer, but does not list: 401"),
    "status 428": (CONTRACT, "        '428': {$ref: '#/components/responses/Problem'}\n", "",
                   "(thing_update): can always answer, but does not list: 428"),
    "no example of a request": (CONTRACT, "            example: {code: A, name: An}\n", "", "application/json has no example"),
    "no example of an answer": (CONTRACT, "          example: {id: x}\n", "", "answer 201 application/json has no example"),
    "$ref to nowhere": (CONTRACT, "{$ref: '#/components/schemas/Kind'}", "{$ref: '#/components/schemas/Sort'}",
                        "$ref #/components/schemas/Sort leads nowhere"),
    "path parameter": (CONTRACT, "  /v1/things/{thing}:\n", "  /v1/things/{item}:\n",
                       "path parameters differ from the path's {…} segments"),
    "part of a segment": (CONTRACT, "  /v1/things/{thing}:\n", "  /v1/things/x{thing}:\n", "must be a whole segment"),
    "exploded list": (CONTRACT, "{name: embed, in: query, explode: false,", "{name: embed, in: query,",
                      "an array needs explode: false"),
    "cookie": (CONTRACT, "{name: X-Level, in: header,", "{name: X-Level, in: cookie,", "only path, query and header"),
    "key twice": (CONTRACT, "x-lane: long", "x-lane: long\n      x-lane: quick", "key 'x-lane' is given twice"),
    "unused parameter": (CONTRACT, "- {name: part, in: path,", "- {name: why, in: query, schema: {type: string}}\n"
                         "        - {name: part, in: path,", "query parameter 'why' is used by nothing in query part_get"),
    "filter without SQL": (CONTRACT, "- {name: live, in: query,", "- {name: colour, in: query, schema: {type: string}}\n"
                           "        - {name: live, in: query,", "query parameter 'colour' is used by nothing"),
    "sorts": (CONTRACT, "enum: [tree, code, -code]", "enum: [tree, code]", "sort of GET /v1/things (thing_list) lists code, tree"),
    "embeds": (CONTRACT, "enum: [owner]", "enum: [owners]", "embed of GET /v1/things (thing_list) lists owners"),
    "no cursor": (CONTRACT, "name: cursor,", "name: kursor,", "so there must be a cursor"),
    "columns": (CONTRACT, "        name: {type: string}\n        kind: {type: string}\n        owner:",
                "        name: {type: string}\n        owner:", "column(s) kind are not in the item schema"),
    # the queries
    "filter without parameter": (SQL, "-- filter live:", "-- filter lively:", "filter lively is no query parameter of"),
    "filter without value": (SQL, "t.kind = $\n", "t.kind = 'x'\n", "filter kind does not use its value"),
    "placeholder": (SQL, "p.thing = :thing", "p.thing = :stuff", "parameter :stuff is not to be had from GET"),
    "body where none comes": (SQL, "p.thing = :thing", "p.thing = :body", ":body, but GET"),
    "version where none comes": (SQL, "p.thing = :thing", "p.thing = :if_match", "has no If-Match header"),
    "body not used": (SQL, "thing_create(:new_id::uuid, :body::jsonb,", "thing_create(:new_id::uuid, '',",
                      "does not use :body"),
    "version not used": (SQL, ":if_match, :body)", ":body)", "does not use :if_match"),
    "query of nobody": (SQL, "-- name: part_get", "-- name: lonely :one\nSELECT 1\n\n-- name: part_get",
                        "schema/queries/thing.sql: query lonely: is used by no operation"),
    "query twice": (SQL, "-- name: part_get", "-- name: thing_help :call\nSELECT 1\n\n-- name: part_get",
                    "query thing_help: is also in"),
    "kind": (SQL, "-- name: part_get :one", "-- name: part_get :many", "kind :many is none of"),
    "no statement": (SQL, "-- name: part_get", "-- name: void :one\n\n-- name: part_get", "query void: has no statement"),
    "two statements": (SQL, "SELECT help(:word, :level::int);", "SELECT help(:word, :level::int); SELECT 2;",
                       "holds more than one statement"),
    "takes too much": (SQL, "-- takes: level, word", "-- takes: level, word, more", "parameter more of «-- takes» is unused"),
    "takes too little": (SQL, "-- takes: level, word", "-- takes: level", "parameter :word is not to be had here"),
    "list without id": (SQL, "-- id: t.id\n", "", "a :list needs «-- id: expression»"),
    "list in groups": (SQL, "WHERE true;", "WHERE true GROUP BY t.id;", "a :list has no GROUP of its own"),
    "list without WHERE": (SQL, "WHERE true;", ";", "a :list reads SELECT … FROM … WHERE …"),
    "column without name": (SQL, "coalesce(t.name, 'a, b') AS name", "coalesce(t.name, 'a, b')", "needs AS and a name"),
    "column twice": (SQL, "t.id, t.code,", "t.id, t.code, t.id,", "column id is there twice"),
    # the migrations
    "constraint's code": (MIGRATION, "409 code_taken", "409 coda_taken", "problem code coda_taken is not in problems.def"),
    "constraint's status": (MIGRATION, "409 code_taken", "404 code_taken", "problem code code_taken has status 409, not 404"),
    "constraint's form": (MIGRATION, "409 code_taken #/code", "409 code_taken, #/code", "must read «409 code_taken #/code»"),
    "code of fail()": (MIGRATION, "fail(404, 'not_found')", "fail(404, 'lost')", "fail(404, 'lost'): problem code lost"),
}


class Broken(unittest.TestCase):
    def test_stops_the_build(self):
        for what, (file, old, new, message) in BROKEN.items():
            with self.subTest(what):
                code, messages, outputs = run([(file, old, new)])
                self.assertEqual(code, 1, messages)
                self.assertIn(message, messages)
                self.assertNotIn("Traceback", messages)
                self.assertNotIn("routes.c", outputs)


class Patterns(unittest.TestCase):
    def matches(self, pattern, text):
        classes, rows, accepts = patterns.build(pattern)
        state = 1
        for byte in text.encode():
            state = rows[state][classes[byte]]
        return bool(accepts[state])

    def test_matches_as_the_pattern_says(self):
        rows = [
            ("^[A-Za-z0-9][A-Za-z0-9._-]{0,3}$", ["a", "a.b-", "Z___"], ["", ".a", "abcde", "a b", "é"]),
            ("^(ab|cd)+$", ["ab", "abcd"], ["", "abc", "xab"]),
            ("b+", ["b", "abba"], ["", "aca"]),
            ("^a?b*c$", ["c", "ac", "abbc"], ["aac", "cb"]),
            ("^[^a-c]$", ["d", "đ", "€", "😀"], ["a", "dd", ""]),
            ("^.{2}$", ["đđ", "ab", "a😀"], ["a", "abc", "a\n"]),
            ("^[đế]x$", ["đx", "ếx"], ["dx", "x", "êx"]),
            ("^\\d{4}-(Q[1-4]|M(0[1-9]|1[0-2]))$", ["2026-Q1", "2026-M12"], ["2026-Q5", "2026-M13", "٢٠٢٦-Q1"]),
            ("^$", [""], ["a"]),
            ("", ["", "x"], []),
        ]
        for pattern, good, bad in rows:
            for text in good:
                self.assertTrue(self.matches(pattern, text), (pattern, text))
            for text in bad:
                self.assertFalse(self.matches(pattern, text), (pattern, text))

    def test_refuses_what_is_no_automaton(self):
        for pattern in ["(a)\\1", "a*?", "a|b$", "\\ba", "(?i)a", "a{1,90000}"]:
            with self.assertRaises(patterns.Unsupported, msg=pattern):
                patterns.build(pattern)


if __name__ == "__main__":
    unittest.main()
