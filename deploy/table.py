"""Tables for a terminal: columns that stay straight under Vietnamese text, numbers the Vietnamese way."""
import unicodedata


def width(text):
    """How many columns a text takes: accents written on their own take none, wide characters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in unicodedata.normalize("NFC", text))


def clip(text, most):
    """The text, shortened to so many columns."""
    text = unicodedata.normalize("NFC", text)
    if width(text) <= most:
        return text
    while width(text) > most - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def pad(text, columns, right=False):
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space


def table(head, rows, right=(), most=()):
    """Prints rows of texts under a head; `right` names the columns of numbers, `most` bounds columns by their place."""
    bounds = dict(most)
    rows = [[clip(cell, bounds.get(n, 10 ** 6)) for n, cell in enumerate(row)] for row in rows]
    columns = [max(width(row[n]) for row in [head, *rows]) for n in range(len(head))]
    print("  ".join(pad(cell, columns[n], n in right) for n, cell in enumerate(head)).rstrip())
    print("  ".join("─" * columns[n] for n in range(len(head))))
    for row in rows:
        print("  ".join(pad(cell, columns[n], n in right) for n, cell in enumerate(row)).rstrip())


def number(value, digits=1):
    """1234.5 as 1.234,5; nothing as a dash; zeros behind the comma left out."""
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", " ").replace(".", ",").replace(" ", ".")
