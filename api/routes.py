#!/usr/bin/env python3
"""Makes C tables of the contract: openapi.yaml and schema/queries/*.sql in, routes.c, routes.h and openapi.json out.

Stops with a message for every fault: file, operation or query, and the reason. The rules are in generator/: checks.py
(operations, statuses, how they fit their queries), schemas.py (the subset of JSON Schema), queries.py (the SQL files),
sqlmap.py (constraints and problem codes of the migrations)."""

import argparse
import re
import sys
from pathlib import Path

from generator import queries, sqlmap
from generator.checks import Binding, Checks
from generator.document import Document
from generator.emit import Emitter
from generator.report import Report, Stop
from generator.schemas import Schemas


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0]
                                     + " Without outputs it only checks.")
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--contract", default=root / "openapi.yaml", help="openapi.yaml")
    parser.add_argument("--queries", default=root / "schema/queries", help="folder of the query files")
    parser.add_argument("--migrations", default=root / "schema/migrations", help="folder of the migrations")
    parser.add_argument("--problems", default=root / "lib/problem/problems.def", help="problems.def")
    parser.add_argument("--sources", default=root / "api", help="folder of C files that call queries (query_<name>)")
    parser.add_argument("--source", help="routes.c to write")
    parser.add_argument("--header", help="routes.h to write")
    parser.add_argument("--json", help="openapi.json to write")
    parser.add_argument("--depfile", help="dependencies for ninja to write")
    return parser.parse_args()


def called_from_c(folder):
    """Names of queries that C sources mention, and the sources."""
    names, files = set(), sorted(Path(folder).glob("*.[ch]")) if folder else []
    for path in files:
        names.update(re.findall(r"\bquery_([a-z0-9_]+)\b", path.read_text(encoding="utf-8")))
    return names, files


def generate(options, report):
    """The texts of routes.c, routes.h and openapi.json."""
    problems = sqlmap.read_problems(options.problems)
    constraints = sqlmap.read(options.migrations, options.queries, problems, report)
    named = queries.read_all(options.queries, report)
    document = Document(options.contract, Path(options.contract).name, report)
    operations = document.read()
    schemas = Schemas(document, report)
    checks, binding = Checks(document, schemas, report), Binding(document, named, report)
    bindings, variants = {}, {}
    for operation in operations:
        checks.operation(operation)
        bindings[operation.id] = binding.bind(operation)
        variants[operation.id] = binding.bind_variant(operation)
    called, _ = called_from_c(options.sources)
    for query in named.values():
        if not query.used and query.name not in called:
            report.add(query.file, query.where, "is used by no operation" + (" and no C source" if options.sources else ""))
    if report.faults:
        raise Stop(f"{len(report.faults)} fault(s)")
    emitter = Emitter(document, operations, (bindings, variants), named, schemas, constraints)
    return emitter.source(), emitter.header(), emitter.json()


def write(path, text):
    """Writes a file unless it has this text already, so that nothing is built again in vain."""
    if path and not (Path(path).exists() and Path(path).read_text(encoding="utf-8") == text):
        Path(path).write_text(text, encoding="utf-8")


def depfile(options):
    folders = [options.queries, options.migrations]
    inputs = [options.contract, options.problems, *folders]
    inputs += [str(path) for folder in folders for path in sorted(Path(folder).glob("*.sql"))]
    inputs += [str(path) for path in called_from_c(options.sources)[1]]
    inputs += [str(path) for path in sorted(Path(__file__).parent.glob("generator/*.py"))] + [__file__]
    return f"{options.source}: " + " ".join(str(i).replace(" ", "\\ ") for i in inputs) + "\n"


def main():
    options, report = arguments(), Report()
    try:
        source, header, document = generate(options, report)
    except Stop as stop:
        for fault in report.faults:
            print(fault, file=sys.stderr)
        print(f"routes.py: {stop}", file=sys.stderr)
        return 1
    write(options.source, source)
    write(options.header, header)
    write(options.json, document)
    if options.depfile:
        Path(options.depfile).write_text(depfile(options), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
