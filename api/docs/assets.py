#!/usr/bin/env python3
"""Embeds the reference page's files, compressed: a C table whose bytes the assembler takes from files beside it."""

import gzip
import hashlib
import sys
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
}


def main():
    out, folder, *files = sys.argv[1:]
    table, blobs = [], []
    for number, name in enumerate(files):
        path = Path(name)
        data = path.read_bytes()
        packed = Path(folder) / f"asset{number}.gz"
        packed.write_bytes(gzip.compress(data, 9, mtime=0))
        tag = hashlib.sha256(data).hexdigest()[:16]
        blobs.append(
            f'__asm__(".section .rodata\\n.global asset{number}, asset{number}_end\\n'
            f'asset{number}:\\n.incbin \\"{packed.resolve()}\\"\\nasset{number}_end:\\n.byte 0\\n.previous\\n");\n'
            f"extern const char asset{number}[], asset{number}_end[];"
        )
        table.append(
            f'    {{ "{path.name}", "{TYPES[path.suffix]}", "{tag}", asset{number}, asset{number}_end, {len(data)} }},'
        )
    text = '/* Made by assets.py. */\n#include "assets.h"\n\n' + "\n".join(blobs)
    text += "\n\nconst struct asset assets[] = {\n" + "\n".join(table) + "\n};\n"
    text += f"const size_t n_assets = {len(table)};\n"
    Path(out).write_text(text, encoding="utf-8")


main()
