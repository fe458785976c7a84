"""Rules that every operation of the contract keeps.

Statuses an operation must list, because the service can always give them:
  400, 500                     always (an unknown query parameter is a 400 everywhere)
  406                          where a 2xx answer has content
  503                          unless x-lane is none
  429                          under /v1 and /oauth2, where callers are counted
  401, 403                     unless x-permission is public
  404                          with a path parameter
  413, 415                     with a request body; 422 too, unless the body is a form alone
  412, 428                     with an If-Match parameter; 412 with If-None-Match on a write
  304                          with If-None-Match on a GET
  409, 422                     with an Idempotency-Key parameter
"""

import re

from .document import CSV_PARAMETERS, ENGINE_PARAMETERS

PERMISSION = re.compile(r"^[a-z]+:(read|write)$")
LANES = {"none", "quick", "long"}
FORM = "application/x-www-form-urlencoded"
EXTENSIONS = {"x-body", "x-permission", "x-lane", "x-query", "x-query-with", "x-handler"}


def successes(o):
    return {status: r for status, r in o.responses.items() if status.startswith("2")}


def needed_statuses(o):
    needed = {400, 500}
    if any(r.get("content") for r in successes(o).values()):
        needed.add(406)
    if o.lane != "none":
        needed.add(503)
    if o.path.startswith(("/v1/", "/oauth2/")):
        needed.add(429)
    if o.permission != "public":
        needed |= {401, 403}
    if any(p.place == "path" for p in o.parameters):
        needed.add(404)
    if o.bodies:
        needed |= {413, 415}
        if any(media != FORM for media, _ in o.bodies):
            needed.add(422)
    if o.parameter("If-Match") is not None:
        needed |= {412, 428}
    if o.parameter("If-None-Match") is not None:
        needed.add(304 if o.method == "get" else 412)
    if o.parameter("Idempotency-Key") is not None:
        needed |= {409, 422}
    return needed


class Checks:
    def __init__(self, document, schemas, report):
        self.document, self.schemas, self.report = document, schemas, report

    def fault(self, o, reason):
        self.report.add(self.document.name, o.where, reason)

    def operation(self, o):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", o.id):
            self.fault(o, "operationId is missing or not lower_case")
        for key in ("summary", "tags", "responses"):
            if not o.raw.get(key):
                self.fault(o, f"{key} is missing")
        for key in o.raw:
            if key.startswith("x-") and key not in EXTENSIONS:
                self.fault(o, f"extension {key} is not known")
        self.permission(o)
        if o.lane not in LANES:
            self.fault(o, f"x-lane {o.lane!r} is none of: none, quick, long")
        if not o.query and not o.handler:
            self.fault(o, "needs x-query or x-handler")
        if o.raw.get("x-body", "stream") != "stream":
            self.fault(o, f"x-body {o.raw['x-body']!r} is not known")
        if o.streams and (not o.handler or o.method not in ("post", "put")):
            self.fault(o, "x-body: stream needs an x-handler, and POST or PUT")
        if o.query and o.lane == "none":
            self.fault(o, "x-query needs a lane with a database")
        missing = sorted(needed_statuses(o) - {int(s) for s in o.responses if s.isdigit()})
        if missing:
            self.fault(o, "can always answer, but does not list: " + ", ".join(map(str, missing)))
        if not successes(o) and not any(s.startswith("3") for s in o.responses):
            self.fault(o, "lists no success")
        if o.method in ("get", "head", "delete", "options") and o.bodies:
            self.fault(o, f"{o.method.upper()} takes no body")
        for p in o.parameters:
            self.parameter(o, p)
        self.contents(o)

    def permission(self, o):
        security = o.raw.get("security", self.document.data.get("security"))
        if o.permission is None:
            self.fault(o, "x-permission is missing (public, or like values:read)")
        elif o.permission == "public":
            usual = [r for r in self.document.data.get("security", []) if r]
            if "security" not in o.raw or any(r in usual for r in security):
                self.fault(o, "x-permission is public, so security must be [] or its own")
        elif not PERMISSION.match(str(o.permission)):
            self.fault(o, f"x-permission {o.permission!r} must read like values:read")
        elif not security:
            self.fault(o, f"x-permission is {o.permission}, but security is empty")

    def parameter(self, o, p):
        where = f"parameter {p.name!r}"
        self.schemas.check(p.schema, o.where, True, where)
        schema = self.document.follow(p.schema, o.where)
        if schema.get("type") == "array":
            schema = self.document.follow(schema.get("items", {}), o.where)
        if schema.get("type") not in ("string", "integer", "number", "boolean"):
            self.fault(o, f"{where} must be a string, integer, number, boolean or an array of one of them")
        if p.place == "path" and not p.required:
            self.fault(o, f"{where} is in the path, so it is required")

    def contents(self, o):
        for media, body in o.bodies:
            self.content(o, f"request body {media}", media, body, True)
        for status, response in o.responses.items():
            if not response.get("description"):
                self.fault(o, f"answer {status} has no description")
            for media, body in response.get("content", {}).items():
                self.content(o, f"answer {status} {media}", media, body, False)
                self.made_apart(o, f"answer {status} {media}", body)
                shown = "json" in media or media in ("text/csv", "text/plain")
                if status.startswith("2") and shown and not self.has_example(body, o):
                    self.fault(o, f"answer {status} {media} has no example")

    def made_apart(self, o, what, body):
        """An answer of one media type may have a handler and a lane of its own beside the operation's query."""
        for key in body:
            if key.startswith("x-") and key not in ("x-handler", "x-lane"):
                self.fault(o, f"{what}: extension {key} is not known")
        if "x-lane" in body and body["x-lane"] not in LANES - {"none"}:
            self.fault(o, f"{what}: x-lane {body['x-lane']!r} is none of: quick, long")
        if ("x-lane" in body) != ("x-handler" in body) or ("x-handler" in body and not (o.method == "get" and o.query)):
            self.fault(o, f"{what}: x-handler and x-lane go together, on a GET with an x-query")

    def content(self, o, what, media, body, request):
        if "schema" not in body:
            if request or "json" in media:
                self.fault(o, f"{what} has no schema")
            return
        if request and o.streams:
            if self.document.follow(body["schema"], o.where).get("format") != "binary":
                self.fault(o, f"{what} is taken in a stream, so its schema's format must be binary")
        elif request and not self.has_example(body, o):
            self.fault(o, f"{what} has no example")
        self.schemas.check(body["schema"], o.where, request, what)

    def has_example(self, body, o):
        schema = self.document.follow(body.get("schema", {}), o.where)
        return bool({"example", "examples"} & (set(body) | set(schema)))


class Binding:
    """Operations and their queries fit each other."""

    def __init__(self, document, queries, report):
        self.document, self.queries, self.report = document, queries, report
        self.lists = {}

    def bind(self, o):
        """The operation's query and the sources of its parameters."""
        if not o.query:
            return None, []
        return self.named(o, o.query)

    def bind_variant(self, o):
        """The same for the query that runs when the parameter named by x-query-with is given."""
        if not o.variant:
            return None, []
        name, query_name = o.variant
        if o.parameter(name, "query") is None:
            self.report.add(self.document.name, o.where, f"x-query-with names {name}, which is no query parameter")
            return None, []
        query, sources = self.named(o, query_name)
        base = self.queries.get(o.query)
        if query and base and query.kind != base.kind:
            self.report.add(query.file, query.where, f"is :{query.kind}, but {o.query} is :{base.kind}")
        if query and name not in query.params:
            self.report.add(query.file, query.where, f"does not use :{name}, which chooses it")
        return query, sources

    def named(self, o, name):
        query = self.queries.get(name)
        if query is None:
            self.report.add(self.document.name, o.where, f"x-query {name} is in no file of schema/queries")
            return None, []
        query.used = True
        if query.kind == "call":
            if not o.handler:
                self.report.add(query.file, query.where, f"is :call, so {o.where} needs an x-handler")
            return query, []
        sources = [self.source(o, query, name) for name in query.params]
        taken = {s[1] for s in sources if s and s[0] == "FROM_PARAMETER"}
        if query.kind == "list":
            taken |= self.list(o, query)
        elif query.kind == "none" and "204" not in o.responses:
            self.report.add(self.document.name, o.where, f"query {query.name} is :none, so 204 must be listed")
        if not o.handler:
            self.unused(o, query, taken)
        return query, sources

    def source(self, o, query, name):
        plain = {"body": "FROM_BODY", "new_id": "FROM_NEW_ID", "if_match": "FROM_IF_MATCH",
                 "if_none_match": "FROM_IF_NONE_MATCH", "request_id": "FROM_REQUEST_ID", "language": "FROM_LANGUAGE"}
        headers = {"if_match": "If-Match", "if_none_match": "If-None-Match"}
        if name in plain:
            if name == "body" and not o.bodies:
                self.report.add(query.file, query.where, f":body, but {o.where} takes no body")
            if name in headers and o.parameter(headers[name], "header") is None:
                self.report.add(query.file, query.where, f":{name}, but {o.where} has no {headers[name]} header")
            return plain[name], 0
        for i, p in enumerate(o.parameters):
            # :period_in is period[in]
            key = p.name.lower().replace("-", "_") if p.place == "header" else re.sub(r"\[(\w+)\]$", r"_\1", p.name)
            if key == name and not (p.place == "query" and name in ENGINE_PARAMETERS):
                return "FROM_PARAMETER", i
        self.report.add(query.file, query.where, f"parameter :{name} is not to be had from {o.where}")
        return None

    def list(self, o, query):
        """Positions of the parameters that are filters of the list."""
        if query.name in self.lists:
            self.report.add(query.file, query.where, f"serves {self.lists[query.name]} and {o.where}: one list, one operation")
        self.lists[query.name] = o.where
        if o.method != "get":
            self.report.add(self.document.name, o.where, f"query {query.name} is :list, so the method must be GET")
        for name in ("limit", "cursor"):
            if o.parameter(name, "query") is None:
                self.report.add(self.document.name, o.where, f"query {query.name} is :list, so there must be a {name}")
        choice = len(query.sorts) > 1 or any(not ascending for _, _, ascending in query.sorts)
        if (len(query.sorts) > 1 and o.parameter("sort", "query") is None) or (not choice and o.parameter("sort", "query") is not None):
            self.report.add(self.document.name, o.where, f"query {query.name} has {len(query.sorts)} sort(s): "
                            + ("a sort parameter is missing" if len(query.sorts) > 1 else "no sort parameter is needed"))
        if bool(query.embeds) != (o.parameter("embed", "query") is not None):
            self.report.add(self.document.name, o.where, f"query {query.name} has {len(query.embeds)} embed(s): the embed "
                            "parameter " + ("is missing" if query.embeds else "has nothing to choose from"))
        sorts = {n for name, _, asc in query.sorts for n in ([name] if asc else [name, "-" + name])}
        self.choices(o, query, "sort", sorts)
        self.choices(o, query, "fields", {name for name, _ in query.columns})
        self.choices(o, query, "embed", {name for name, _, _ in query.embeds})
        taken = set()
        for name, *_ in query.filters:
            place = o.parameter(name, "query")
            if place is None:
                self.report.add(query.file, query.where, f"filter {name} is no query parameter of {o.where}")
            taken.add(place)
        self.columns(o, query)
        return taken

    def choices(self, o, query, name, known):
        """Where the contract lists a parameter's values they are those of the query."""
        place = o.parameter(name, "query")
        if place is None:
            return
        schema = self.document.follow(o.parameters[place].schema, o.where)
        schema = self.document.follow(schema.get("items", schema), o.where)
        listed = set(schema.get("enum", known))
        if listed != known:
            self.report.add(query.file, query.where, f"{name} of {o.where} lists {', '.join(sorted(listed)) or 'nothing'}; "
                            f"the query has {', '.join(sorted(known)) or 'nothing'}")

    def columns(self, o, query):
        """The item schema of the answer has every column of the query."""
        body = o.responses.get("200", {}).get("content", {}).get("application/json", {})
        page = self.document.follow(body.get("schema", {}), o.where)
        items = self.document.follow(page.get("properties", {}).get("items", {}), o.where)
        item = self.document.follow(items.get("items", {}), o.where)
        members = self.members(item, o)
        if not members:
            return
        names = {name for name, _ in query.columns} | {column for _, column, _ in query.embeds}
        if names - members:
            self.report.add(query.file, query.where, f"column(s) {', '.join(sorted(names - members))} are not in the item "
                            f"schema of {o.where}")
        absent = set(item.get("required", [])) - {name for name, _ in query.columns}
        if absent:
            self.report.add(query.file, query.where, f"column(s) {', '.join(sorted(absent))} are missing, which the item "
                            f"schema of {o.where} requires")

    def members(self, schema, o):
        names = set(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            names |= self.members(self.document.follow(part, o.where), o)
        return names

    def unused(self, o, query, taken):
        engine = set(ENGINE_PARAMETERS) if query.kind == "list" else set()
        if any("text/csv" in r.get("content", {}) for r in successes(o).values()):
            engine |= set(CSV_PARAMETERS)
        for i, p in enumerate(o.parameters):
            chooses = o.variant and p.name == o.variant[0] and query.name == o.query
            if i not in taken and p.place != "header" and p.name not in engine and not chooses:
                self.report.add(self.document.name, o.where, f"{p.place} parameter {p.name!r} is used by nothing in "
                                f"query {query.name}")
        if o.parameter("If-Match") is not None and "if_match" not in query.params:
            self.report.add(query.file, query.where, f"does not use :if_match, which {o.where} takes")
        if o.bodies and not o.streams and "body" not in query.params:
            self.report.add(query.file, query.where, f"does not use :body, which {o.where} takes")
