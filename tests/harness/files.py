"""Small files of the kinds that are attached to reports, and some that only look like them."""
import io
import os
import struct
import warnings
import zipfile
import zlib

PDF, PNG, JPEG = "application/pdf", "image/png", "image/jpeg"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TEXT_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
BOOK_MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
MB = 1024 * 1024


def pdf(size=None):
    """A PDF, filled up to this many bytes with a comment."""
    head, tail = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\n", b"\ntrailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF\n"
    room = max(0, (size or 0) - len(head) - len(tail))
    return head + (b"%" + os.urandom(1024).hex().encode() * (room // 2048 + 1))[:room] + tail


def png(more=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\0"))
            + chunk(b"IEND", b"") + more)


def jpeg(more=b""):
    return b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + b"\xff\xda" + b"\x11" * 64 + b"\xff\xd9" + more


def types(main):
    return (f'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            f'<Override PartName="/main.xml" ContentType="{main}"/></Types>')


def archive(parts, compression=zipfile.ZIP_DEFLATED, comment=b""):
    """A zip of these parts, [(name, contents)]."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", compression) as z:
        warnings.simplefilter("ignore")  # of a part given twice
        for name, contents in parts:
            z.writestr(name, contents)
        z.comment = comment
    return out.getvalue()


def docx(*more, main=TEXT_MAIN, first=()):
    return archive([*first, ("[Content_Types].xml", types(main)), ("word/document.xml", "<w:document/>"), *more])


def xlsx(*more):
    return archive([("[Content_Types].xml", types(BOOK_MAIN)), ("xl/workbook.xml", "<workbook/>"), *more])
