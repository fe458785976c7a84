"""The C text of all tables, and the document as it is served."""

import json

from .checks import successes
from .document import METHODS
from .schemas import types_of
from .text import c_string

HIDDEN = ("x-query", "x-query-with", "x-handler", "x-lane")
MEDIA = {
    "application/json": "MEDIA_JSON", "application/merge-patch+json": "MEDIA_MERGE_PATCH",
    "application/x-www-form-urlencoded": "MEDIA_FORM", "application/x-ndjson": "MEDIA_NDJSON", "text/csv": "MEDIA_CSV",
}
USUAL = {
    "limit": ("limit", "query"), "cursor": ("cursor", "query"), "sort": ("sort", "query"), "fields": ("fields", "query"),
    "embed": ("embed", "query"), "if_match": ("If-Match", "header"), "if_none_match": ("If-None-Match", "header"),
    "idempotency_key": ("Idempotency-Key", "header"), "prefer": ("Prefer", "header"),
}
NOTE = "/* Made from openapi.yaml and schema/queries by routes.py: not to be edited. */\n"


def served(node):
    """The contract as callers see it: without the extensions that are of use inside the service alone."""
    if isinstance(node, dict):
        return {k: served(v) for k, v in node.items() if k not in HIDDEN}
    if isinstance(node, list):
        return [served(v) for v in node]
    return node


def array(declaration, rows, empty):
    """An array's definition; one idle row where there is none, for C has no empty arrays."""
    return f"{declaration} = {{\n" + "\n".join(f"    {r}," for r in rows or [empty]) + "\n};"


class Emitter:
    def __init__(self, document, operations, bindings, queries, schemas, constraints):
        self.document, self.operations = document, operations
        self.bindings, self.variants = bindings
        self.queries = sorted(queries.values(), key=lambda q: (q.kind == "list", q.name))
        self.schemas, self.constraints = schemas, constraints
        self.out = []

    # -- queries ----------------------------------------------------------------------------------------------------

    def query_tables(self):
        statements = [q for q in self.queries if q.kind != "list"]
        for i, q in enumerate(self.queries):
            params = "NULL"
            if q.params:
                self.out.append(f"static const char *const params_{q.name}[] = {{ "
                                + ", ".join(c_string(p) for p in q.params) + " };")
                params = f"params_{q.name}"
            sql = c_string(q.sql, 4) if q.kind != "list" else "NULL"
            self.out.append(
                f"const struct named_query query_{q.name} = {{\n    .name = {c_string(q.name)},\n    .sql = {sql},\n"
                f"    .params = {params}, .n_params = {len(q.params)}, .index = {i},\n    .kind = QUERY_{q.kind.upper()},\n}};")
            if q.kind == "list":
                self.list_tables(q)
        self.out.append(array("const struct named_query *const contract_queries[]",
                              [f"&query_{q.name}" for q in self.queries], "NULL"))
        self.out.append(f"const size_t n_contract_queries = {len(self.queries)};")
        rows = [f"{{ {c_string(q.name)}, {c_string(q.sql, 4)}, {len(q.params)} }}" for q in statements]
        self.out.append(array("const struct db_query contract_statements[]", rows, "{ NULL, NULL, 0 }"))
        self.out.append(f"const size_t n_contract_statements = {len(statements)};")

    def list_tables(self, q):
        self.out.append(array(f"static const struct list_column columns_{q.name}[]",
                              [f"{{ {c_string(n)}, {c_string(e)}, {'true' if n in q.extras else 'false'} }}"
                               for n, e in q.columns], "{ NULL, NULL, false }"))
        self.out.append(array(f"static const struct list_sort sorts_{q.name}[]",
                              [f"{{ {c_string(n)}, {c_string(e)}, {'true' if asc else 'false'} }}" for n, e, asc in q.sorts],
                              "{ NULL, NULL, false }"))
        if q.embeds:
            self.out.append(array(f"static const struct list_embed embeds_{q.name}[]",
                                  [f"{{ {c_string(n)}, {c_string(c)}, {c_string(e)} }}" for n, c, e in q.embeds], ""))
        for i, (name, pieces, lookup) in enumerate(q.filters):
            self.pieces(f"pieces_{q.name}_{i}", pieces)
            if lookup:
                self.pieces(f"lookup_{q.name}_{i}", lookup)
            if name in q.otherwise:
                self.pieces(f"otherwise_{q.name}_{i}", q.otherwise[name])

    def pieces(self, name, pieces):
        self.out.append(f"static const char *const {name}[] = {{ " + ", ".join(c_string(p) for p in pieces) + " };")

    def list_of(self, o, q):
        """A list's table, which names parameters of its one operation."""
        rows = []
        for i, (name, pieces, lookup) in enumerate(q.filters):
            second = f"lookup_{q.name}_{i}, {len(lookup)}" if lookup else "NULL, 0"
            second += f", otherwise_{q.name}_{i}, {len(q.otherwise[name])}" if name in q.otherwise else ", NULL, 0"
            rows.append(f"{{ {c_string(name)}, {o.parameter(name, 'query') or 0}, pieces_{q.name}_{i}, {len(pieces)}, {second} }}")
        if rows:
            self.out.append(array(f"static const struct list_filter filters_{q.name}[]", rows, ""))
        filters = f"filters_{q.name}" if rows else "NULL"
        embeds = f"embeds_{q.name}" if q.embeds else "NULL"
        lookups = ", ".join(f"f{i} AS MATERIALIZED (SELECT {call} AS x)" for i, call in enumerate(q.lookups))
        self.out.append(
            f"static const struct list_query list_{q.name} = {{\n    .name = {c_string(q.name)}, .id = {c_string(q.id)},\n"
            f"    .lookups = {c_string(lookups or None)},\n    .from = {c_string(q.source, 8)},\n"
            f"    .columns = columns_{q.name}, .n_columns = {len(q.columns)},\n"
            f"    .sorts = sorts_{q.name}, .n_sorts = {len(q.sorts)}, .descending = {str(q.descending).lower()},\n"
            f"    .filters = {filters}, .n_filters = {len(rows)},\n"
            f"    .embeds = {embeds}, .n_embeds = {len(q.embeds)},\n}};")

    # -- operations -------------------------------------------------------------------------------------------------

    def parameter_rows(self, o):
        rows = []
        for p in o.parameters:
            schema = self.document.follow(p.schema, o.where)
            default = schema.get("default")
            many = "array" in types_of(schema)
            if isinstance(default, list):
                default = ",".join(map(str, default))
            elif isinstance(default, bool):
                default = str(default).lower()
            table = self.schemas.table(schema.get("items", {}) if many else schema, o.where)
            row = f"{{ .name = {c_string(p.name)}, .in = IN_{p.place.upper()}, .schema = &{table}"
            row += ", .required = true" if p.required else ""
            row += f", .list = true, .max_items = {schema.get('maxItems', 0)}" if many else ""
            row += f", .segment = {p.segment}" if p.place == "path" else ""
            row += f", .fallback = {c_string(str(default))}" if default is not None else ""
            rows.append(row + " }")
        return rows

    def operation_tables(self, o):
        query, sources = self.bindings[o.id]
        if o.parameters:
            self.out.append(array(f"static const struct parameter parameters_{o.id}[]", self.parameter_rows(o), ""))
        if query and query.kind == "list":
            self.list_of(o, query)
        self.sources(f"sources_{o.id}", sources)
        accepts = [f"{{ {c_string(m)}, {MEDIA.get(m, 'MEDIA_OTHER')}, &{self.schemas.table(body['schema'], o.where)}, NULL, LANE_NONE }}"
                   for m, body in o.bodies]
        if accepts:
            self.out.append(array(f"static const struct media accepts_{o.id}[]", accepts, ""))
        types = {m: body for r in successes(o).values() for m, body in r.get("content", {}).items()}
        if types:
            rows = [f"{{ {c_string(m)}, {MEDIA.get(m, 'MEDIA_OTHER')}, NULL, {self.made_by(o, body)} }}" for m, body in types.items()]
            self.out.append(array(f"static const struct media produces_{o.id}[]", rows, ""))
        statuses = sorted(int(s) for s in o.responses if s.isdigit())
        self.out.append(f"static const uint16_t statuses_{o.id}[] = {{ {', '.join(map(str, statuses))} }};")
        counts = len(accepts), len(types), len(statuses)
        query_with, sources_with = self.variants[o.id]
        if query_with:
            if query_with.kind == "list":
                self.list_of(o, query_with)
            self.sources(f"sources_with_{o.id}", sources_with)
            row = self.operation_row(o, query_with, "sources_with" if sources_with else None, *counts)
            self.out.append(f"static const struct operation operation_with_{o.id} = {row};")
        return self.operation_row(o, query, "sources" if sources else None, *counts, bool(query_with))

    def made_by(self, o, body):
        """The handler and lane of an answer of one media type: NULL where they are the operation's."""
        if "x-handler" not in body:
            return "NULL, LANE_NONE"
        return f"handle_{body['x-handler']}, LANE_{body.get('x-lane', o.lane).upper()}"

    def sources(self, name, sources):
        if sources:
            rows = [f"{{ {kind}, {index} }}" for kind, index in (s or ("FROM_BODY", 0) for s in sources)]
            self.out.append(array(f"static const struct source {name}[]", rows, ""))

    def operation_row(self, o, query, sources, n_accepts, n_types, n_statuses, has_variant=False):
        generic = "list" if query and query.kind == "list" else "query"

        def table(kind, count):
            return f"{kind}_{o.id}" if kind and count else "NULL"

        fields = [
            f".id = {c_string(o.id)}, .path = {c_string(o.path)}, .method = METHOD_{o.method.upper()}",
            f".index = {self.operations.index(o)}",
            f".permission = {c_string(None if o.permission == 'public' else o.permission)}",
            f".lane = LANE_{o.lane.upper()}, .handler = handle_{o.handler or generic}",
            f".query = {'&query_' + query.name if query else 'NULL'}, .sources = {table(sources, 1)}",
            f".list = {'&list_' + query.name if query and query.kind == 'list' else 'NULL'}",
            f".parameters = {table('parameters', len(o.parameters))}, .n_parameters = {len(o.parameters)}",
            f".n_path = {sum(p.place == 'path' for p in o.parameters)}",
        ]
        if has_variant:
            fields.append(f".with = &operation_with_{o.id}, .with_parameter = {o.parameter(o.variant[0], 'query')}")
        for member, (name, place) in USUAL.items():
            position = o.parameter(name, place)
            fields.append(f".{member} = {'NO_PARAMETER' if position is None else position}")
        fields += [
            f".accepts = {table('accepts', n_accepts)}, .n_accepts = {n_accepts}",
            f".body_required = {'true' if o.body_required else 'false'}, .stream = {'true' if o.streams else 'false'}",
            f".produces = {table('produces', n_types)}, .n_produces = {n_types}",
            f".statuses = statuses_{o.id}, .n_statuses = {n_statuses}",
        ]
        return "{ " + ",\n        ".join(fields) + " }"

    # -- routes -----------------------------------------------------------------------------------------------------

    def route_nodes(self):
        """The tree of segments: literal children stand side by side in strcmp's order, the variable child apart."""
        root = {"literals": {}, "variable": None, "operations": {}}
        for i, o in enumerate(self.operations):
            node = root
            for segment in o.path.strip("/").split("/"):
                if segment.startswith("{"):
                    node["variable"] = node["variable"] or {"literals": {}, "variable": None, "operations": {}}
                    node = node["variable"]
                else:
                    node = node["literals"].setdefault(segment, {"literals": {}, "variable": None, "operations": {}})
            node["operations"][o.method] = i
        nodes, todo = [("", root)], [0]
        links = {}
        while todo:
            at = todo.pop(0)
            node = nodes[at][1]
            first = len(nodes)
            for text in sorted(node["literals"], key=lambda t: t.encode()):
                todo.append(len(nodes))
                nodes.append((text, node["literals"][text]))
            variable = 0
            if node["variable"]:
                variable = len(nodes)
                todo.append(variable)
                nodes.append(("", node["variable"]))
            links[at] = (first, len(node["literals"]), variable)
        rows = []
        for at, (text, node) in enumerate(nodes):
            first, count, variable = links[at]
            numbers = [str(node["operations"][m] + 1 if m in node["operations"] else 0) for m in METHODS]
            rows.append(f"{{ {c_string(text)}, {first}, {count}, {variable}, {{ {', '.join(numbers)} }} }}")
        self.out.append(array("const struct route_node contract_nodes[]", rows, ""))

    # -- files ------------------------------------------------------------------------------------------------------

    def handlers(self):
        return sorted({o.handler for o in self.operations if o.handler}
                      | {body["x-handler"] for o in self.operations for r in successes(o).values() for body in r.get("content", {}).values()
                         if "x-handler" in body}
                      | {"list" if self.bindings[o.id][0].kind == "list" else "query"
                         for o in self.operations if not o.handler})

    def source(self):
        for o in self.operations:
            for _, body in o.bodies:
                self.schemas.table(body["schema"], o.where)
            self.parameter_rows(o)
        head = [NOTE + '#include "contract.h"\n#include "routes.h"\n']
        self.out = head + [self.schemas.emit()]
        self.query_tables()
        rows = [self.operation_tables(o) for o in self.operations]
        self.out.append(array("const struct operation contract_operations[]", rows, "{ .id = NULL }"))
        self.out.append(f"const size_t n_contract_operations = {len(self.operations)};")
        self.route_nodes()
        permissions = sorted({o.permission for o in self.operations if o.permission != "public"})
        self.out.append(array("const char *const contract_permissions[]", [c_string(p) for p in permissions], "NULL"))
        self.out.append(f"const size_t n_contract_permissions = {len(permissions)};")
        rows = [f"{{ {c_string(name)}, P_{problem}, {c_string(fault)}, {c_string(pointer)} }}"
                for name, (problem, fault, pointer) in sorted(self.constraints.items())]
        self.out.append(array("const struct constraint_problem contract_constraints[]", rows, "{ NULL, P_INTERNAL, NULL, NULL }"))
        self.out.append(f"const size_t n_contract_constraints = {len(rows)};")
        text = self.json()
        lines = [c_string(text[i:i + 100]) for i in range(0, len(text), 100)]
        self.out.append("const char contract_document[] =\n    " + "\n    ".join(lines) + ";")
        self.out.append("const size_t contract_document_size = sizeof(contract_document) - 1;")
        return "\n".join(self.out) + "\n"

    def header(self):
        ids = "".join(f"    OP_{o.id},\n" for o in self.operations)
        queries = "".join(f"extern const struct named_query query_{q.name};\n" for q in self.queries)
        queries += "\n" + "".join(f"int handle_{name}(struct exchange *x);\n" for name in self.handlers())
        return (NOTE + '#pragma once\n\n#include "contract.h"\n\nenum operation_id {\n' + ids + "    N_OPERATIONS,\n};\n\n"
                + queries)

    def json(self):
        return json.dumps(served(self.document.data), ensure_ascii=False, separators=(",", ":"))
