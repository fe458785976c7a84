"""schema/queries/*.sql: named statements, their placeholders numbered, and lists as fragments."""

import re
from dataclasses import dataclass, field
from pathlib import Path

KINDS = {"one", "none", "list", "call"}
NAME = re.compile(r"^-- name: +(\S+) +:(\S+)\s*$")
HEADER = re.compile(r"^-- +(id|sort|filter|embed|extra|takes)(?: +([^\s:]+))?( +asc| +desc)?: *(.*?)\s*$")
# What may hide a colon or a comma: strings, quoted names, dollar quotes, comments.
QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$([A-Za-z_]*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/"
PLACEHOLDER = re.compile(QUOTED + r"|(?<![:\w]):([a-z_][a-z0-9_]*)", re.S)
HOLE = re.compile(QUOTED + r"|\$(?![\w$])", re.S)
# A look-up of what a caller named, which must fail even where there is no row to compare with.
LOOKUP = re.compile(r"\(SELECT ((?:filter|path)_\w+\([^()]*\))( \|\| '~')?\)")
WORD = re.compile(QUOTED + r"|[A-Za-z_]\w*|[(),]", re.S)


@dataclass
class Query:
    name: str
    kind: str
    file: str
    where: str
    sql: str = ""
    params: list = field(default_factory=list)
    id: str = None
    columns: list = field(default_factory=list)  # (name, expression)
    extras: set = field(default_factory=set)  # columns that are answered by exports and where fields= names them
    source: str = ""  # FROM … WHERE …
    sorts: list = field(default_factory=list)  # (name, expression, ascending only)
    descending: bool = False  # by its first sort, unless it is asked otherwise
    filters: list = field(default_factory=list)  # (name, pieces, pieces of its look-up or None)
    otherwise: dict = field(default_factory=dict)  # filter: the pieces of the condition that takes its place
    lookups: list = field(default_factory=list)  # calls that every shape makes
    embeds: list = field(default_factory=list)  # (name, column, expression)
    used: bool = False


def read_all(folder, report):
    queries = {}
    for path in sorted(Path(folder).glob("*.sql")):
        for query in read_file(path, report):
            if query.name in queries:
                report.add(query.file, query.where, f"is also in {queries[query.name].file}")
            queries[query.name] = query
    return queries


def read_file(path, report):
    found, headers, body, current = [], [], [], None
    file = f"schema/queries/{path.name}"
    for line in path.read_text(encoding="utf-8").splitlines():
        match = NAME.match(line)
        if match:
            finish(current, headers, body, report)
            current = Query(match[1], match[2], file, f"query {match[1]}")
            if current.kind not in KINDS:
                report.add(file, current.where, f"kind :{current.kind} is none of :" + " :".join(sorted(KINDS)))
            if not re.fullmatch(r"[a-z][a-z0-9_]*", current.name):
                report.add(file, current.where, "the name must be lower_case")
            found.append(current)
            headers, body = [], []
        elif line.startswith("-- name"):
            report.add(file, line.strip(), "must read «-- name: some_name :one»")
        elif current is None:
            if line.strip() and not line.startswith("--"):
                report.add(file, "", f"text before the first «-- name:»: {line.strip()[:60]}")
        elif HEADER.match(line) and not body:
            headers.append(HEADER.match(line).groups())
        elif not (line.startswith("--") and not body):
            body.append(line)
    finish(current, headers, body, report)
    return found


def finish(query, headers, body, report):
    """The query of a file's part that has ended."""
    if query is None:
        return
    text = re.sub(QUOTED, lambda m: "" if m[0].startswith(("--", "/*")) else m[0], "\n".join(body), flags=re.S)
    text = text.strip().rstrip(";").rstrip()
    if not text:
        report.add(query.file, query.where, "has no statement")
    if ";" in re.sub(QUOTED, "", text, flags=re.S):
        report.add(query.file, query.where, "holds more than one statement")
    if query.kind == "list":
        read_list(query, headers, text, report)
        return
    for key, *_ in headers:
        if not (key == "takes" and query.kind == "call"):
            report.add(query.file, query.where, f"«-- {key}» has no place in a :{query.kind}")
    takes = [value for key, _, _, value in headers if key == "takes"]
    if takes:
        query.params = takes[0].replace(",", " ").split()
    query.sql = number(query, text, query.params, bool(takes), report)


def number(query, text, params, fixed, report):
    """The text with :name as $n; params grows unless it is fixed. A parameter fixed and never used is a fault."""
    used = set()

    def replace(match):
        name = match[2]
        if name is None:
            return match[0]
        if name not in params:
            if fixed:
                report.add(query.file, query.where, f"parameter :{name} is not to be had here")
                return match[0]
            params.append(name)
        used.add(name)
        return f"${params.index(name) + 1}"

    text = PLACEHOLDER.sub(replace, text)
    if fixed and query.kind == "call":
        for name in params:
            if name not in used:
                report.add(query.file, query.where, f"parameter {name} of «-- takes» is unused")
    return "\n".join(line.rstrip() for line in text.split("\n") if line.strip())


def top_level(text):
    """Words and commas outside quotes and parentheses, as (position, word)."""
    depth = 0
    for match in WORD.finditer(text):
        token = match[0]
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif depth == 0 and (token == "," or re.match(r"[A-Za-z_]", token)):
            yield match.start(), token.upper()


def read_list(query, headers, text, report):
    def fault(reason):
        report.add(query.file, query.where, reason)

    words = list(top_level(text))
    # IS DISTINCT FROM begins no clause
    words = [w for i, w in enumerate(words) if not (w[1] == "FROM" and i and words[i - 1][1] == "DISTINCT")]
    starts = {word: at for at, word in reversed(words)}
    if not words or words[0] != (0, "SELECT") or "FROM" not in starts or "WHERE" not in starts:
        fault("a :list reads SELECT … FROM … WHERE …")
        return
    for word in ("GROUP", "ORDER", "LIMIT", "OFFSET", "HAVING", "UNION", "WINDOW"):
        if word in starts:
            fault(f"a :list has no {word} of its own")
    if words[1][1] == "DISTINCT":
        fault("a :list has no DISTINCT of its own")
    part = number(query, text[len("SELECT"):starts["FROM"]], query.params, False, report)
    for item in split_commas(part):
        query.columns.append(column(item, fault))
    query.source = number(query, text[starts["FROM"]:], query.params, False, report)
    for i, name in enumerate(query.params):
        if not re.search(rf"\${i + 1}(?!\d)", query.source):
            fault(f"parameter :{name} must stand in FROM or WHERE, which every shape of the list has")
    for key, name, direction, value in headers:
        read_header(query, key, name, (direction or "").strip(), value, fault, report)
    names = [name for name, _ in query.columns]
    for name in set(names):
        if names.count(name) > 1:
            fault(f"column {name} is there twice")
    hoist(query)
    for text in [query.source, *(p for _, pieces, _ in query.filters for p in pieces), *(p for pieces in query.otherwise.values() for p in pieces)]:
        if re.search(r"\b(filter|path)_\w+\(", text):
            fault("a look-up must read «(SELECT filter_thing($, 'name'))», so that it is made once and always")
    if not query.id:
        fault("a :list needs «-- id: expression»")
    if not query.sorts:
        fault("a :list needs «-- sort name: expression»")


def read_header(query, key, name, direction, value, fault, report):
    if not value or (key in ("sort", "filter", "embed", "extra")) != bool(name):
        fault(f"«-- {key}» is incomplete")
        return
    value = number(query, value, query.params, True, report)
    if key == "id":
        query.id = value
    elif key == "sort":
        query.descending |= direction == "desc" and not query.sorts
        query.sorts.append((name, value, direction == "asc"))
    elif key == "embed":
        query.embeds.append((name, *column(value, fault)))
    elif key == "extra":
        query.extras.add(name)
        query.columns.append((name, value))
    elif key == "filter":
        value, _, second = value.partition(" OTHERWISE ")
        query.filters.append((name, *read_filter(name, value, fault)))
        if second:
            query.otherwise[name], lookup = read_filter(name, second, fault)
            if lookup is None or lookup != query.filters[-1][2]:
                fault(f"filter {name} must look the same up on both sides of OTHERWISE")
    else:
        fault(f"«-- {key}» has no place in a :list")


def read_filter(name, value, fault):
    """The pieces of a condition and, where it looks its value up, those of the look-up; the condition's holes are then
    the look-up's number."""
    calls = list(dict.fromkeys(match[1] for match in LOOKUP.finditer(value)))
    if len(holes(value)) < 2:
        fault(f"filter {name} does not use its value ($)")
    if not calls:
        return holes(value), None
    rest = LOOKUP.sub("", value)
    if len(calls) > 1 or len(holes(rest)) > 1:
        fault(f"filter {name} uses its value ($) beside its look-up")
    return holes(LOOKUP.sub(r"(SELECT x\2 FROM r$)", value)), holes(calls[0])


def hoist(query):
    """Look-ups in the list itself are made once, under names, and first of all."""
    def replace(match):
        if match[1] not in query.lookups:
            query.lookups.append(match[1])
        return f"(SELECT x{match[2] or ''} FROM f{query.lookups.index(match[1])})"

    query.source = LOOKUP.sub(replace, query.source)
    query.columns = [(name, LOOKUP.sub(replace, text)) for name, text in query.columns]
    query.sorts = [(name, LOOKUP.sub(replace, text), ascending) for name, text, ascending in query.sorts]
    query.embeds = [(name, column, LOOKUP.sub(replace, text)) for name, column, text in query.embeds]
    query.source += "".join(f"\n  AND (SELECT x FROM f{i}) IS NOT NULL" for i in range(len(query.lookups)))


def holes(text):
    """The text cut at each lone $."""
    pieces, last = [], 0
    for match in HOLE.finditer(text):
        if match[0] == "$":
            pieces.append(text[last:match.start()])
            last = match.end()
    return pieces + [text[last:]]


def split_commas(text):
    parts, last = [], 0
    for at, word in top_level(text):
        if word == ",":
            parts.append(text[last:at].strip())
            last = at + 1
    return parts + [text[last:].strip()]


def column(item, fault):
    """(name, expression) of «expression AS name» or of «table.name»."""
    named = [(at, word) for at, word in top_level(item) if word == "AS"]
    if named:
        at = named[-1][0]
        return item[at + 2:].strip().strip('"'), item[:at].strip()
    plain = re.fullmatch(r"(?:\w+\.)?([a-z_]\w*)", item)
    if not plain:
        fault(f"column «{item[:60]}» needs AS and a name")
        return "unnamed", item
    return plain[1], item
