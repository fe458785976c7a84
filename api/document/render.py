#!/usr/bin/python3
"""Reports as papers: a report's JSON in, HTML or PDF out, in a process that can do nothing else.

render.py --once pdf <report.json >report.pdf    lays out one
render.py --serve                                what the service starts: a process that has everything ready and makes a copy of itself for
                                                 each document. Standard input is a socket whose messages are a format and a descriptor:
                                                 a socket with the JSON on it, up to its end, on which the answer goes back.

An answer is a line, «ok», «large» or «fault» and a length, and as many bytes. Exit code 3: a library is missing, 4: it cannot be confined."""

import argparse
import array
import json
import logging
import os
import pathlib
import select
import signal
import socket
import sys
import time
from decimal import Decimal

HERE = pathlib.Path(__file__).resolve().parent
os.environ["FONTCONFIG_FILE"] = str(HERE / "fonts.conf")
os.environ["SOURCE_DATE_EPOCH"] = "0"  # the same report is the same bytes
sys.path.insert(0, str(HERE))

try:
    import jinja2
    import weasyprint
    from weasyprint.text.fonts import FontConfiguration

    import confine
    import paper
except ImportError as error:
    print(f"render.py: {error}", file=sys.stderr)
    sys.exit(3)

FORMATS = ("html", "pdf")
INPUT_MAX = 64 << 20  # bytes of JSON
PDF_COST_MAX = 1_000_000  # letters that are laid out within the limits, see paper.cost
IDLE_S = 900  # without work for so long the process ends; the service starts it anew
GRACE_S = 2  # after its time, a copy is killed from outside

SAMPLE = {"organization_kind": "party_cell", "organization_name": "Chi bộ", "duty_title": "a", "view": "draft", "issued_on": "2026-01-02",
          "data_from": "2026-01-01", "data_to": "2026-01-02", "submissions": 1, "recipient": {"name": "ỷ"}, "above": {"name": "Đảng ủy xã X"},
          "sections": [{"title": "ộ", "text": "A\nb", "gathered": [{"name": "Ị", "text": "c " * 3000}]}],
          "figures": [{"state": "reported", "kind": "number", "number": 1.5, "name": "ả", "unit": "%"}] * 60}
FACES = {**SAMPLE, "sections": [{"title": "ộ", "text": "A", "gathered": [{"name": "Ị", "text": "b"}]}], "figures": []}


def refuse(url, *_args, **_options):
    raise ValueError(f"a paper is made of its own text alone: {url[:80]}")



class Press:
    """Template and styles, read once."""

    def __init__(self):
        env = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.template = env.from_string((HERE / "paper.html").read_text(encoding="utf-8"))
        self.css = jinja2.utils.markupsafe.Markup((HERE / "paper.css").read_text(encoding="utf-8"))
        self.fonts = None

    def ready(self, sample):
        """Opens the faces: nothing can be opened later. What was learned of fonts before a copy was made is not used in it."""
        self.fonts = FontConfiguration()
        self.pdf(paper.paper_of(sample))

    def html(self, what):
        return self.template.render(d=what, css=self.css)

    def pdf(self, what):
        document = weasyprint.HTML(string=self.html(what), base_url=None, url_fetcher=refuse)
        return document.write_pdf(font_config=self.fonts)

    def make(self, form, text):
        """The answer's word and bytes."""
        report = json.loads(text, parse_float=Decimal)
        what = paper.paper_of(report)
        if form == "html":
            return "ok", self.html(what).encode("utf-8")
        if paper.cost(what) > PDF_COST_MAX:
            return "large", b""
        return "ok", self.pdf(what)


def read_all():
    pieces, size = [], 0
    while piece := os.read(confine.INPUT, 1 << 20):
        size += len(piece)
        if size > INPUT_MAX:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def write_all(data):
    view = memoryview(data)
    while view:
        view = view[os.write(confine.OUTPUT, view):]


def work(press, form, limits):
    """Reads, lays out, answers: from here on confined. The bytes before the answer are its line, or nothing."""
    try:
        if form == "pdf":
            press.ready(FACES)
        confine.confine(*limits)
    except (OSError, RuntimeError, ValueError):
        write_all(b"open 0\n")
        return 4
    try:
        text = read_all()
        word, data = ("large", b"") if text is None else press.make(form, text)
    except MemoryError:
        word, data = "large", b""
    except Exception:  # whatever a document brings about is this document's fault alone
        word, data = "fault", b""
    write_all(f"{word} {len(data)}\n".encode() + (b"" if len(data) > 1 << 20 else data))
    if len(data) > 1 << 20:
        write_all(data)
    return 0 if word == "ok" else 1


def once(press, form, limits):
    """For one document by hand: the answer's line is left away."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        os.dup2(write_end, confine.OUTPUT)
        os._exit(work(press, form, limits))
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        data = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    head, _, body = data.partition(b"\n")
    word = head.split(b" ")[0].decode() or "ended"
    if word == "ok":
        sys.stdout.buffer.write(body)
        return 0
    print(f"render.py: {word}", file=sys.stderr)
    return code if code > 0 else 1


class Server:
    def __init__(self, press, limits):
        self.press, self.limits = press, limits
        self.control = socket.socket(fileno=0)
        self.children = {}  # pid: when it is killed
        self.wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(self.wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def take(self):
        """The next message: a format and a socket. None at the end."""
        data, ancillary, _, _ = self.control.recvmsg(64, socket.CMSG_SPACE(4))
        fds = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[:len(content) - len(content) % fds.itemsize])
        return None if not data else (data.decode("ascii", "replace"), fds.tolist())

    def begin(self, form, fd):
        child = os.fork()
        if child != 0:
            self.children[child] = time.monotonic() + self.limits[1] + GRACE_S
            return
        code = 1
        try:
            confine.die_with_parent()
            signal.set_wakeup_fd(-1)
            os.dup2(fd, confine.INPUT)
            os.dup2(fd, confine.OUTPUT)
            os.closerange(3, 256)
            code = work(self.press, form, self.limits)
        finally:
            os._exit(code)

    def reap(self):
        try:
            while os.read(self.wake_read, 512):
                pass
        except BlockingIOError:
            pass
        now = time.monotonic()
        for child, end in list(self.children.items()):
            if now > end:
                os.kill(child, signal.SIGKILL)
            if os.waitpid(child, os.WNOHANG)[0] != 0:
                del self.children[child]

    def run(self):
        self.control.send(b"ready")
        while True:
            wait = 0.5 if self.children else IDLE_S
            ready, _, _ = select.select([self.control, self.wake_read], [], [], wait)
            if not ready and not self.children:
                return 0
            self.reap()
            if self.control in ready:
                message = self.take()
                if message is None:
                    return 0
                form, fds = message
                if form in FORMATS and len(fds) == 1:
                    self.begin(form, fds[0])
                for fd in fds:
                    os.close(fd)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--once", choices=FORMATS)
    parser.add_argument("--memory", type=int, default=512 << 20, help="bytes a document may take")
    parser.add_argument("--seconds", type=int, default=30, help="time a document may take")
    options = parser.parse_args()
    logging.getLogger("weasyprint").addHandler(logging.NullHandler())
    logging.getLogger("weasyprint").propagate = False
    logging.getLogger("fontTools").setLevel(logging.CRITICAL)
    press, limits = Press(), (options.memory, options.seconds)
    if options.once:
        press.ready(SAMPLE)
        return once(press, options.once, limits)
    if not options.serve:
        parser.error("--serve or --once")
    press.ready(SAMPLE)  # loads every part that is loaded at its first use
    press.fonts = None
    confine.drop_root()
    return Server(press, limits).run()


if __name__ == "__main__":
    sys.exit(main())
