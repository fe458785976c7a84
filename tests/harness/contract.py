"""The contract, and real answers checked against it. What was reached is remembered: operation × status."""
import collections
import pathlib
import re
from datetime import date, datetime
from urllib.parse import unquote

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")

# Any request may be refused so, whatever the operation: method, protocol and address come before it.
BEFORE_ANY_OPERATION = {400, 404, 405, 408, 411, 414, 431, 501, 503}

formats = jsonschema.FormatChecker(formats=())


@formats.checks("uuid")
def _uuid(value):
    return not isinstance(value, str) or re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", value)


@formats.checks("date", raises=ValueError)
def _date(value):
    return not isinstance(value, str) or bool(date.fromisoformat(value)) and len(value) == 10


@formats.checks("date-time", raises=ValueError)
def _instant(value):
    return not isinstance(value, str) or (value.endswith("Z") and bool(datetime.fromisoformat(value[:-1])))


class Operation:
    def __init__(self, method, path, node, common):
        self.method, self.path, self.node = method.upper(), path, node
        self.id = node["operationId"]
        self.permission = node["x-permission"]
        self.parameters = common + node.get("parameters", [])
        self.segments = path.strip("/").split("/")
        self.success = sorted(int(s) for s in node["responses"] if s.startswith("2"))


class Contract:
    def __init__(self, path=ROOT / "openapi.yaml"):
        with open(path, encoding="utf-8") as file:
            self.document = yaml.load(file, Loader=yaml.CSafeLoader)
        self.resolver = jsonschema.RefResolver("", self.document)
        self.operations = {}
        self.by_method = collections.defaultdict(list)
        for path_, item in self.document["paths"].items():
            common = item.get("parameters", [])
            for method in METHODS:
                if method in item:
                    op = Operation(method, path_, item[method], common)
                    self.operations[op.id] = op
                    self.by_method[op.method].append(op)
        self.reached = collections.Counter()

    def resolve(self, node):
        while "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def schema(self, name):
        return self.document["components"]["schemas"][name]

    def find(self, method, target):
        """The operation a request reaches, or None."""
        segments = target.split("?")[0].lstrip("/").split("/")
        best = None
        for op in self.by_method["GET" if method == "HEAD" else method]:
            if len(op.segments) != len(segments):
                continue
            exact = 0
            for part, given in zip(op.segments, segments):
                if part.startswith("{"):
                    if not given:
                        break
                elif part != unquote(given):
                    break
                else:
                    exact += 1
            else:
                if best is None or exact > best[0]:
                    best = (exact, op)
        return best[1] if best else None

    def validate(self, schema, value):
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=formats)
        errors = sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
        assert not errors, "\n".join(f"#/{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in errors[:10])

    def check(self, answer):
        """Status, headers, media type and body of a real answer."""
        where = repr(answer)
        op = self.find(answer.method, answer.target)
        assert answer.header("traceparent"), f"no traceparent: {where}"
        if answer.status >= 400 and answer.type == "application/problem+json" and answer.method != "HEAD":
            self._check_problem(answer, where)
        if op is None or answer.method == "OPTIONS":
            assert answer.status in BEFORE_ANY_OPERATION | {204}, f"no operation, and yet: {where}"
            return None
        self.reached[op.id, answer.status] += 1
        described = op.node["responses"].get(str(answer.status))
        if described is None:
            assert answer.status in {405, 408, 411, 414, 431, 501}, f"{op.id} does not document {answer.status}: {where}"
            return op
        described = self.resolve(described)
        for name, header in described.get("headers", {}).items():
            header = self.resolve(header)
            value = answer.header(name)
            if header.get("required"):
                assert value is not None, f"{op.id} {answer.status} lacks {name}: {where}"
            if value is not None and header["schema"].get("type") == "integer":
                assert re.fullmatch(r"[0-9]+", value), f"{name}: {value}"
        self._check_body(op, described.get("content", {}), answer, where)
        return op

    def _check_body(self, op, content, answer, where):
        if answer.method == "HEAD" or answer.status in (204, 304):
            assert answer.body == b"", where
            return
        if not content:
            assert answer.body == b"", f"{op.id} {answer.status} documents no body: {where}"
            return
        assert answer.type in content, f"{op.id} {answer.status} does not document {answer.type}: {where}"
        if answer.type in ("application/json", "application/problem+json") and not answer.header("Content-Encoding"):
            try:
                self.validate(content[answer.type]["schema"], answer.json())
            except AssertionError as error:
                raise AssertionError(f"{error}\n{where}") from None

    def _check_problem(self, answer, where):
        body = answer.json()
        self.validate({"$ref": "#/components/schemas/ImportProblem"}, body)
        assert body["status"] == answer.status and body["detail"], where
        assert body["type"].endswith("/problems/" + body["code"]), where
        assert body["trace_id"] == answer.header("traceparent").split("-")[1], where
        told = re.sub("(?i)(/calendars).+", r"\1/***", answer.target.split("?")[0])  # what follows is a secret
        assert body["instance"] == unquote(told) or "%" in answer.target or answer.status in (400, 414, 431), where
        for word in ("SQLSTATE", "ERROR:", "PL/pgSQL", "pg_", "jansson", "libpq", "<html"):
            assert word not in answer.text, f"{word} shows through: {where}"

    def missed(self):
        """Operations that no request of the suite has made succeed."""
        done = {op for (op, status) in self.reached if status < 300}
        return sorted(set(self.operations) - done)

    def table(self):
        rows = collections.defaultdict(dict)
        for (op, status), n in sorted(self.reached.items()):
            rows[op][status] = n
        return "\n".join(f"{op:28}" + "  ".join(f"{s}×{n}" for s, n in rows[op].items()) for op in sorted(rows))
