"""An HTTP/1.1 client over plain sockets: it sends exactly what a test says, and hides nothing of the answer."""
import json
import socket
import threading
from decimal import Decimal
from urllib.parse import quote, urlencode


def _no_duplicates(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a member is repeated in an answer: {names}"
    return dict(pairs)


class Answer:
    def __init__(self, status, headers, body, method, target):
        self.status = status
        self.headers = headers
        self.body = body
        self.method = method
        self.target = target

    def header(self, name):
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} is repeated: {found}"
        return found[0] if found else None

    @property
    def type(self):
        value = self.header("Content-Type")
        return value.split(";")[0].strip().lower() if value else None

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        """The body, numbers with a fraction as Decimal so that every digit is seen."""
        return json.loads(self.text, parse_float=Decimal, object_pairs_hook=_no_duplicates)

    @property
    def etag(self):
        return self.header("ETag")

    @property
    def code(self):
        return self.json()["code"]

    def faults(self):
        """{(where, code)} of a problem."""
        return {(e.get("pointer") or e.get("parameter") or e.get("header"), e["code"]) for e in self.json()["errors"]}

    def pointers(self):
        return {where for where, _ in self.faults()}

    def __repr__(self):
        return f"<{self.method} {self.target} → {self.status} {self.body[:1500]!r}>"


class Http:
    """One connection, reopened when the other side closed it; threads that share it take turns."""

    def __init__(self, host, port, timeout=30):
        self.address = (host, port)
        self.timeout = timeout
        self.socket = None
        self.rest = b""
        self.turn = threading.RLock()

    def open(self):
        if self.socket is None:
            self.socket = socket.create_connection(self.address, self.timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.rest = b""
        return self.socket

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def send(self, data):
        self.open().sendall(data)

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("the connection was closed in the middle of an answer")
        self.rest += data

    def _line(self):
        while b"\r\n" not in self.rest:
            self._fill()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def _exactly(self, n):
        parts, missing = [self.rest], n - len(self.rest)
        while missing > 0:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                raise ConnectionResetError("the connection was closed in the middle of an answer")
            parts.append(data)
            missing -= len(data)
        data = b"".join(parts)
        self.rest = data[n:]
        return data[:n]

    def _chunks(self):
        parts = []
        while True:
            size = int(self._line().split(b";")[0], 16)
            if size == 0:
                while self._line():
                    pass
                return b"".join(parts)
            parts.append(self._exactly(size))
            assert self._exactly(2) == b"\r\n"

    def read(self, method="GET", target=""):
        """The next answer on the connection."""
        version, status, *_ = self._line().split(b" ", 2)
        assert version == b"HTTP/1.1", version
        headers = []
        while line := self._line():
            name, value = line.decode("latin-1").split(":", 1)
            headers.append((name, value.strip()))
        status = int(status)
        if status == 100:
            return self.read(method, target)
        answer = Answer(status, headers, b"", method, target)
        length = answer.header("Content-Length")
        if method == "HEAD" or status in (204, 304):
            pass
        elif (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            answer.body = self._chunks()
        elif length is not None:
            answer.body = self._exactly(int(length))
        else:
            try:
                while True:
                    self._fill()
            except ConnectionResetError:
                answer.body, self.rest = self.rest, b""
        if (answer.header("Connection") or "").lower() == "close":
            self.close()
        return answer

    def raw(self, data, method="GET", target=""):
        self.close()
        self.send(data)
        return self.read(method, target)

    def request(self, method, target, headers=(), body=None):
        """headers is a list of pairs or a dict; body is bytes, a string, or anything else, which is sent as JSON."""
        headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
        names = {name.lower() for name, _ in headers}
        if body is not None and not isinstance(body, bytes):
            if not isinstance(body, str):
                body = json.dumps(body, ensure_ascii=False)
                if "content-type" not in names:
                    headers.append(("Content-Type", "application/merge-patch+json" if method == "PATCH" else "application/json"))
            body = body.encode("utf-8")
        if "host" not in names:
            headers.append(("Host", ("[%s]:%d" if ":" in self.address[0] else "%s:%d") % self.address))
        if body is not None and "content-length" not in names and "transfer-encoding" not in names:
            headers.append(("Content-Length", str(len(body))))
        head = f"{method} {target} HTTP/1.1\r\n".encode("utf-8") + b"".join(
            name.encode("latin-1") + b": " + (value if isinstance(value, bytes) else value.encode("utf-8")) + b"\r\n"
            for name, value in headers) + b"\r\n"
        with self.turn:
            fresh = self.socket is None
            try:
                self.send(head + (body or b""))
                return self.read(method, target)
            except (ConnectionResetError, BrokenPipeError):
                self.close()
                if fresh:
                    raise
                self.send(head + (body or b""))
                return self.read(method, target)


def target(path, **query):
    """path with a query; a name may be given as field__op for field[op]."""
    pairs = []
    for name, value in query.items():
        if value is None:
            continue
        if "__" in name:
            field, op = name.split("__")
            name = f"{field}[{op}]"
        pairs.append((name, value if isinstance(value, str) else json.dumps(value)))
    return path + ("?" + urlencode(pairs, quote_via=quote) if pairs else "")
