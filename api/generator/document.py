"""openapi.yaml as plain data, and its operations with every reference followed."""

import re
from dataclasses import dataclass, field

import yaml

from .report import Stop

METHODS = ["get", "head", "post", "put", "patch", "delete", "options"]
ENGINE_PARAMETERS = ["limit", "cursor", "sort", "fields", "embed", "If-Match", "If-None-Match", "Idempotency-Key", "Prefer"]
CSV_PARAMETERS = ["delimiter", "decimal", "date_format"]  # how a list is written as CSV


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as JSON knows it: no dates, no yes and no, no repeated keys."""


# Only true, false, null, integers and decimals are more than text.
Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in [
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf"),
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("tag:yaml.org,2002:int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("tag:yaml.org,2002:float", r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", "-0123456789"),
]:
    Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def construct_mapping(loader, node):
    mapping = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in mapping:
            raise Stop(f"line {key_node.start_mark.line + 1}: key {key!r} is given twice")
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


Loader.add_constructor("tag:yaml.org,2002:map", construct_mapping)


@dataclass
class Parameter:
    name: str
    place: str  # path, query, header
    required: bool
    schema: dict
    segment: int = 0


@dataclass
class Operation:
    id: str
    method: str
    path: str
    raw: dict
    where: str  # for messages: "GET /v1/me (me_get)"
    permission: str = None
    lane: str = "quick"
    query: str = None
    variant: tuple = None  # (parameter, query): the query when that parameter is given
    handler: str = None
    parameters: list = field(default_factory=list)
    bodies: list = field(default_factory=list)  # (media type, media object)
    body_required: bool = False
    streams: bool = False  # x-body: stream: taken into a file as it comes
    responses: dict = field(default_factory=dict)  # status text -> response object

    def parameter(self, name, place=None):
        """Position of a parameter, or None."""
        for i, p in enumerate(self.parameters):
            if p.name == name and place in (None, p.place):
                return i
        return None


class Document:
    def __init__(self, path, name, report):
        self.name, self.report = name, report
        try:
            with open(path, encoding="utf-8") as file:
                self.data = yaml.load(file, Loader)
        except (OSError, yaml.YAMLError) as error:
            raise Stop(f"{name}: {error}") from None
        except Stop as stop:
            raise Stop(f"{name}: {stop}") from None
        if not isinstance(self.data, dict) or not isinstance(self.data.get("paths"), dict):
            raise Stop(f"{name}: no paths")
        if not str(self.data.get("openapi", "")).startswith("3.1."):
            report.add(name, "", "openapi must be 3.1.x")
        self.operations = []

    def follow(self, node, where):
        """The node a chain of local $refs ends at, or {} with a fault."""
        seen = set()
        while isinstance(node, dict) and "$ref" in node:
            ref = node["$ref"]
            if ref in seen or not str(ref).startswith("#/"):
                self.report.add(self.name, where, f"$ref {ref} cannot be followed")
                return {}
            seen.add(ref)
            node = self.data
            for token in ref[2:].split("/"):
                token = token.replace("~1", "/").replace("~0", "~")
                node = node.get(token) if isinstance(node, dict) else None
            if node is None:
                self.report.add(self.name, where, f"$ref {ref} leads nowhere")
                return {}
        return node if isinstance(node, dict) else {}

    def read(self):
        for path, item in self.data["paths"].items():
            for method, raw in item.items():
                if method in METHODS:
                    self.operations.append(self.operation(path, method, item, raw))
                elif method == "trace" or method == "$ref":
                    self.report.add(self.name, path, f"{method} is not supported")
        ids = [o.id for o in self.operations]
        for operation in self.operations:
            if ids.count(operation.id) > 1:
                self.report.add(self.name, operation.where, "operationId is used twice")
        return self.operations

    def operation(self, path, method, item, raw):
        id = raw.get("operationId") or ""
        o = Operation(id, method, path, raw, f"{method.upper()} {path} ({id or 'no operationId'})")
        o.permission, o.lane = raw.get("x-permission"), raw.get("x-lane", "quick")
        o.query, o.handler = raw.get("x-query"), raw.get("x-handler")
        o.streams = raw.get("x-body") == "stream"
        with_ = raw.get("x-query-with")
        if with_ is not None and (not isinstance(with_, dict) or len(with_) != 1):
            self.report.add(self.name, o.where, "x-query-with must read {parameter: query}")
        elif with_:
            o.variant = next(iter(with_.items()))
        self.parameters(o, item.get("parameters", []), raw.get("parameters", []))
        body = self.follow(raw.get("requestBody", {}), o.where)
        o.body_required = bool(body.get("required"))
        o.bodies = list(body.get("content", {}).items())
        for status, response in raw.get("responses", {}).items():
            o.responses[str(status)] = self.follow(response, o.where)
        return o

    def parameters(self, o, shared, own):
        found = {}
        for node in list(shared) + list(own):
            p = self.follow(node, o.where)
            if not p:
                continue
            name, place = p.get("name", ""), p.get("in", "")
            if place not in ("path", "query", "header"):
                self.report.add(self.name, o.where, f"parameter {name!r} is in {place!r}: only path, query and header")
                continue
            if "schema" not in p:
                self.report.add(self.name, o.where, f"parameter {name!r} has no schema")
                continue
            key = (place, name.lower() if place == "header" else name)
            found[key] = Parameter(name, place, bool(p.get("required")), p["schema"])
            self.check_style(o, p, found[key])
        segments = o.path.strip("/").split("/")
        names = [s[1:-1] for s in segments if s.startswith("{") and s.endswith("}")]
        if any(("{" in s or "}" in s) and not (s.startswith("{") and s.endswith("}")) for s in segments):
            self.report.add(self.name, o.where, "a path parameter must be a whole segment")
        if sorted(names) != sorted(n for place, n in found if place == "path"):
            self.report.add(self.name, o.where, "path parameters differ from the path's {…} segments")
        for name in names:
            if ("path", name) in found:
                parameter = found.pop(("path", name))
                parameter.segment = segments.index("{" + name + "}")
                o.parameters.append(parameter)
        for place in ("query", "header"):
            o.parameters += [p for key, p in found.items() if key[0] == place]

    def check_style(self, o, raw, parameter):
        schema = self.follow(parameter.schema, o.where)
        default = "form" if parameter.place == "query" else "simple"
        style = raw.get("style", default)
        if style != default:
            self.report.add(self.name, o.where, f"parameter {parameter.name!r}: style {style} is not supported")
        explode = raw.get("explode", style == "form")
        if schema.get("type") == "array" and explode:
            self.report.add(self.name, o.where, f"parameter {parameter.name!r}: an array needs explode: false")
