"""Text as C writes it."""

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "?": "\\?"}


def c_string(text, indent=None):
    """A string literal; NULL for None. With indent, one literal a line of text."""
    if text is None:
        return "NULL"
    if indent is not None and "\n" in text:
        lines = text.split("\n")
        lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        return ("\n" + " " * indent).join(c_string(line) for line in lines)
    out = []
    for byte in text.encode():
        char = chr(byte)
        if char in ESCAPES:
            out.append(ESCAPES[char])
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'
