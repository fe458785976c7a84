"""The named subset of JSON Schema: which keywords the contract may use, and the C tables of request schemas."""

import json

from . import patterns
from .text import c_string

ANNOTATIONS = {
    "title", "description", "default", "example", "examples", "readOnly", "writeOnly", "deprecated", "$comment",
    "externalDocs",
}
ASSERTIONS = {
    "$ref", "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "uniqueItems",
    "enum", "const", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minProperties", "oneOf",
}
# What answers alone may use: they are checked by tests, not by the service.
ANSWERS_ONLY = {"allOf", "anyOf", "maxProperties"}
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
FORMATS = {"date": "DATE", "date-time": "DATE_TIME", "uuid": "UUID", "uri": "URI", "email": "EMAIL", "line": "LINE", "password": "PASSWORD"}
FORMATS_IGNORED = {"int32", "int64", "double", "decimal", "binary"}
# Keywords and the type they say something about: elsewhere they would be silently idle.
APPLIES = {
    "properties": "object", "required": "object", "additionalProperties": "object", "minProperties": "object",
    "maxProperties": "object", "items": "array", "minItems": "array", "maxItems": "array", "uniqueItems": "array",
    "minLength": "string", "maxLength": "string", "pattern": "string", "format": "string",
    "minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number",
}


def types_of(schema):
    types = schema.get("type", [])
    return types if isinstance(types, list) else [types]


class Schemas:
    def __init__(self, document, report):
        self.document, self.report = document, report
        self.checked = set()  # (id of schema, request?)
        self.by_text, self.building = {}, {}
        self.patterns, self.lines, self.declarations = {}, [], []

    def fault(self, where, reason):
        self.report.add(self.document.name, where, reason)

    # -- keywords ---------------------------------------------------------------------------------------------------

    def check(self, schema, where, request, at="schema"):
        """Every keyword of the schema, and of those below it, is one of the subset."""
        if not isinstance(schema, dict):
            self.fault(where, f"{at} is no schema object")
            return
        if (id(schema), request) in self.checked:
            return
        self.checked.add((id(schema), request))
        allowed = ANNOTATIONS | ASSERTIONS | (set() if request else ANSWERS_ONLY)
        for keyword in schema:
            if keyword not in allowed and not keyword.startswith("x-"):
                self.fault(where, f"{at}: schema keyword {keyword!r} is not supported"
                           + (" in a request" if keyword in ANSWERS_ONLY else ""))
        if "$ref" in schema:
            for keyword in set(schema) & (ASSERTIONS | ANSWERS_ONLY) - {"$ref"}:
                self.fault(where, f"{at}: {keyword!r} beside $ref is not supported")
            self.check(self.document.follow(schema, where), where, request, str(schema["$ref"]))
            return
        self.check_assertions(schema, where, request, at)
        for name, below in schema.get("properties", {}).items():
            self.check(below, where, request, f"{at}/{name}")
        if "items" in schema:
            self.check(schema["items"], where, request, f"{at}/items")
        for keyword in ("oneOf", "allOf", "anyOf"):
            for i, below in enumerate(schema.get(keyword, [])):
                self.check(below, where, request, f"{at}/{keyword}/{i}")
        if isinstance(schema.get("additionalProperties"), dict):
            self.check(schema["additionalProperties"], where, request, f"{at}/additionalProperties")

    def check_assertions(self, schema, where, request, at):
        types = types_of(schema)
        for name in types:
            if name not in TYPES:
                self.fault(where, f"{at}: type {name!r} does not exist")
        numbers = {"integer", "number"}
        for keyword, needs in APPLIES.items():
            if keyword in schema and needs not in types and not (needs == "number" and numbers & set(types)):
                if keyword == "format" and (schema["format"] in FORMATS_IGNORED and numbers & set(types)):
                    continue
                self.fault(where, f"{at}: {keyword!r} needs type {needs}")
        if schema.get("format") and schema["format"] not in set(FORMATS) | FORMATS_IGNORED:
            self.fault(where, f"{at}: format {schema['format']!r} is not supported")
        for name in schema.get("required", []):
            if name not in schema.get("properties", {}) and not (schema.get("allOf") and not request):
                self.fault(where, f"{at}: required {name!r} is not among the properties")
        if request and "object" in types and schema.get("additionalProperties") is not False:
            self.fault(where, f"{at}: open request schema: an object needs additionalProperties: false")
        if request and not types and not {"oneOf", "const", "enum"} & set(schema):
            self.fault(where, f"{at}: a request schema needs a type")
        if request and "array" in types and "items" not in schema:
            self.fault(where, f"{at}: an array of a request needs items")
        values = schema.get("enum", [schema["const"]] if "const" in schema else [])
        if request and any(v is not None and not isinstance(v, str) for v in values):
            self.fault(where, f"{at}: enum and const take strings (and null) alone in a request")
        if any(v is None for v in values) and types and "null" not in types:
            self.fault(where, f"{at}: null among the values, but not among the types")
        if "pattern" in schema:
            self.pattern(schema["pattern"], where, at)
        words = schema.get("x-words")
        if words is not None and (not isinstance(words, dict) or set(words) != {"en", "vi"} or "pattern" not in schema):
            self.fault(where, f"{at}: x-words says in en and vi what a pattern asks for")
        if schema.get("uniqueItems") and request and "maxItems" not in schema:
            self.fault(where, f"{at}: uniqueItems needs maxItems")

    # -- tables -----------------------------------------------------------------------------------------------------

    def pattern(self, text, where, at):
        if text in self.patterns:
            return self.patterns[text][0]
        try:
            automaton = patterns.build(text)
        except patterns.Unsupported as reason:
            self.fault(where, f"{at}: pattern {text!r} {reason}")
            automaton = ([0] * 256, [[0], [0]], [0, 0])
        name = f"pattern_{len(self.patterns)}"
        self.patterns[text] = (name, automaton)
        return name

    def table(self, schema, where):
        """Name of the C table of a request schema, made where there is none yet."""
        resolved = self.document.follow(schema, where)
        key = id(resolved)
        if key in self.building:
            return self.building[key]
        text = json.dumps(resolved, sort_keys=True)
        if text in self.by_text:
            return self.by_text[text]
        name = f"schema_{len(self.building)}"
        self.building[key] = self.by_text[text] = name
        self.declarations.append(f"static const struct schema {name};")
        self.lines.append(self.initialiser(name, resolved, where))
        return name

    def initialiser(self, name, s, where):
        fields, before = [], []
        types = types_of(s)
        values = s.get("enum", [s["const"]] if "const" in s else [])
        if not types and values:
            types = sorted({"null" if v is None else "string" for v in values})
        if types:
            fields.append(".types = " + " | ".join("TYPE_" + t.upper() for t in types if t in TYPES))
        if s.get("format") in FORMATS:
            fields.append(f".format = FORMAT_{FORMATS[s['format']]}")
        fields += self.bounds(s)
        for keyword, member in [("minLength", "min_length"), ("maxLength", "max_length"), ("minItems", "min_items"),
                                ("maxItems", "max_items"), ("minProperties", "min_properties")]:
            if s.get(keyword):
                fields.append(f".{member} = {s[keyword]}")
        if s.get("uniqueItems"):
            fields.append(".unique_items = true")
        if "pattern" in s:
            fields.append(f".pattern = &{self.pattern(s['pattern'], where, name)}")
        if "x-words" in s:
            fields.append(f".words = {{ {c_string(s['x-words']['en'])}, {c_string(s['x-words']['vi'])} }}")
        strings = sorted(v for v in values if isinstance(v, str))
        if strings:
            before.append(f"static const char *const {name}_values[] = {{ "
                          + ", ".join(c_string(v) for v in strings) + " };")
            fields.append(f".values = {name}_values, .n_values = {len(strings)}")
        if s.get("properties"):
            before.append(self.properties(name, s, where))
            fields.append(f".properties = {name}_properties, .n_properties = {len(s['properties'])}")
        if "items" in s:
            fields.append(f".items = &{self.table(s['items'], where)}")
        if "oneOf" in s:
            branches = [self.table(branch, where) for branch in s["oneOf"]]
            before.append(f"static const struct schema *const {name}_one_of[] = {{ "
                          + ", ".join("&" + b for b in branches) + " };")
            fields.append(f".one_of = {name}_one_of, .n_one_of = {len(branches)}")
        body = ",\n    ".join(fields) or "0"
        return "\n".join(before + [f"static const struct schema {name} = {{\n    {body},\n}};"])

    @staticmethod
    def bounds(s):
        flags, fields = [], []
        for keyword, flag, member in [("minimum", "HAS_MINIMUM", "minimum"), ("maximum", "HAS_MAXIMUM", "maximum"),
                                      ("exclusiveMinimum", "HAS_MINIMUM | EXCLUSIVE_MINIMUM", "minimum"),
                                      ("exclusiveMaximum", "HAS_MAXIMUM | EXCLUSIVE_MAXIMUM", "maximum")]:
            if keyword in s:
                flags.append(flag)
                fields.append(f".{member} = {float(s[keyword])!r}")
        return ([".bounds = " + " | ".join(flags)] if flags else []) + fields

    def properties(self, name, s, where):
        rows = []
        # strcmp's order, which the validator searches by
        for key in sorted(s["properties"], key=lambda k: k.encode()):
            below = s["properties"][key]
            flags = ""
            if key in s.get("required", []):
                flags += ", .required = true"
            if below.get("readOnly") or self.document.follow(below, where).get("readOnly"):
                flags += ", .read_only = true"
            rows.append(f"    {{ .name = {c_string(key)}, .schema = &{self.table(below, where)}{flags} }},")
        return f"static const struct property {name}_properties[] = {{\n" + "\n".join(rows) + "\n};"

    def emit(self):
        out = []
        for text, (name, (classes, rows, accepts)) in self.patterns.items():
            flat = [str(n) for row in rows for n in row]
            out.append(f"static const uint8_t {name}_classes[256] = {{ {', '.join(map(str, classes))} }};")
            out.append(f"static const uint16_t {name}_next[] = {{ {', '.join(flat)} }};")
            out.append(f"static const uint8_t {name}_accepts[] = {{ {', '.join(map(str, accepts))} }};")
            out.append(f"static const struct pattern {name} = {{\n    .text = {c_string(text)},\n"
                       f"    .classes = {name}_classes, .next = {name}_next, .accepts = {name}_accepts,\n"
                       f"    .n_classes = {len(rows[0])},\n}};")
        return "\n".join(out + self.declarations + self.lines)
