#!/usr/bin/env python3
"""Makes the C table of migrations out of schema/migrations/NNNN_name.sql: text and SHA-256 of each, in order.

Usage: migrations.py FOLDER OUTPUT [DEPFILE]"""

import hashlib
import re
import sys
from pathlib import Path

HEAD = '/* Made by api/migrate/migrations.py. */\n#include "migrate.h"\n\n'


def c_string(text):
    """The text as C literals, a line each, with every byte that is not plain ASCII escaped in octal."""
    lines = []
    for line in text.splitlines(keepends=True):
        out = []
        for byte in line:
            char = chr(byte)
            if char == "\n":
                out.append("\\n")
            elif char in '"\\':
                out.append("\\" + char)
            elif 32 <= byte < 127 and char != "?":
                out.append(char)
            else:
                out.append(f"\\{byte:03o}")
        lines.append('    "' + "".join(out) + '"')
    return "\n".join(lines) or '    ""'


def read(folder):
    """(version, name, bytes) of every migration, in order; stops at a wrong or doubled name."""
    seen, migrations = {}, []
    for path in sorted(folder.iterdir()):
        match = re.fullmatch(r"(\d{4})_([a-z][a-z0-9_]*)\.sql", path.name)
        if match is None:
            sys.exit(f"{path}: not named NNNN_name.sql")
        version, name = int(match[1]), match[2]
        if version == 0 or version in seen:
            sys.exit(f"{path}: the number is taken by {seen.get(version, 'nobody: they start at 0001')}")
        seen[version] = path.name
        text = path.read_bytes()
        if b"\0" in text:
            sys.exit(f"{path}: holds a NUL")
        if re.search(rb"^\s*(BEGIN|COMMIT|ROLLBACK)\s*;", text, re.MULTILINE | re.IGNORECASE):
            sys.exit(f"{path}: a migration is one transaction, begun and ended for it")
        migrations.append((path, version, name, text))
    if not migrations:
        sys.exit(f"{folder}: holds no migration")
    return migrations


def main():
    folder, output = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    migrations = read(folder)
    parts = [HEAD, "const struct migration migrations[] = {\n"]
    for _, version, name, text in migrations:
        digest = hashlib.sha256(text).hexdigest()
        parts.append(f'    {{ {version}, "{name}", "{digest}",\n{c_string(text)} }},\n')
    parts.append("};\nconst size_t n_migrations = sizeof(migrations) / sizeof(migrations[0]);\n")
    output.write_text("".join(parts), encoding="ascii")
    if len(sys.argv) > 3:
        inputs = [folder, Path(__file__).resolve(), *(path for path, *_ in migrations)]
        Path(sys.argv[3]).write_text(f"{output}: " + " ".join(str(i) for i in inputs) + "\n", encoding="utf-8")


main()
