"""A small client of the service: keep-alive connections (one a thread), tokens renewed, refusals for a while waited out.

Standard library only. What the loader and the demonstration know of the service they know through this.
"""
import hashlib
import http.client
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode, urlsplit

RESTED = 5     # seconds after which a kept connection is not used again
PATIENCE = 60  # seconds for which a busy service is asked again


class Refused(Exception):
    """An answer that is no success, with its problem document."""

    def __init__(self, method, path, status, problem):
        self.status, self.problem = status, problem
        self.code = problem.get("code") if isinstance(problem, dict) else None
        faults = problem.get("errors") if isinstance(problem, dict) else None
        super().__init__(f"{method} {path}: {status} {self.code or problem}"
                         + (f" {json.dumps(faults, ensure_ascii=False)}" if faults else ""))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    @property
    def etag(self):
        return self.headers.get("etag")


class Service:
    """One base URL, with a kept connection for each thread that uses it."""

    def __init__(self, base_url):
        parts = urlsplit(base_url)
        self.host, self.port, self.tls = parts.hostname, parts.port, parts.scheme == "https"
        self.local = threading.local()

    def connection(self):
        # (one that has rested may be closed by the other side at this very moment: what it was sent then cannot be known)
        if getattr(self.local, "connection", None) is not None and time.monotonic() - self.local.used > RESTED:
            self.local.connection.close()
            self.local.connection = None
        self.local.used = time.monotonic()
        if getattr(self.local, "connection", None) is None:
            kind = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
            self.local.connection = kind(self.host, self.port, timeout=120)
        return self.local.connection

    def exchange(self, method, target, body, headers):
        """One exchange; a kept connection that the other side has closed meanwhile is opened anew once."""
        for attempt in (1, 2):
            connection = self.connection()
            try:
                connection.request(method, target, body, headers)
                response = connection.getresponse()
                return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                connection.close()
                self.local.connection = None
                if attempt == 2 or (method == "POST" and "Idempotency-Key" not in headers):
                    raise

    def send(self, method, path, query=None, body=None, headers=None, content_type="application/json"):
        headers = dict(headers or {})
        if body is not None:
            if not isinstance(body, (bytes, str)):
                body = json.dumps(body, ensure_ascii=False)
            body = body.encode() if isinstance(body, str) else body
            headers["Content-Type"] = content_type
        target = path + ("?" + urlencode(query) if query else "")
        until = time.monotonic() + PATIENCE
        while True:
            answer = self.exchange(method, target, body, headers)
            busy = answer.status in (429, 503) or (answer.status == 409 and "retry-after" in answer.headers)
            if not busy or time.monotonic() > until:
                return answer
            time.sleep(min(float(answer.headers.get("retry-after", "1")), 5))


class Caller:
    """Somebody who calls: an account or a client, logged in when first needed and again before the token ends."""

    def __init__(self, service, log_in):
        self.service, self.log_in = service, log_in
        self.lock, self.token, self.until = threading.Lock(), None, 0.0

    @classmethod
    def person(cls, service, username, password):
        return cls(service, lambda: service.send("POST", "/v1/sessions",
                                                 body={"username": username, "password": password}))

    @classmethod
    def client(cls, service, client_id, secret):
        form = urlencode({"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret})
        return cls(service, lambda: service.send("POST", "/oauth2/token", body=form,
                                                 content_type="application/x-www-form-urlencoded"))

    def bearer(self):
        with self.lock:
            if time.monotonic() > self.until:
                answer = self.log_in()
                if answer.status not in (200, 201):
                    raise Refused("POST", "log in", answer.status, decoded(answer))
                body = answer.json
                self.token = body["access_token"]
                self.until = time.monotonic() + 0.8 * body.get("expires_in", 600)
            return "Bearer " + self.token

    def call(self, method, path, query=None, body=None, headers=None, content_type="application/json", accept=(200, 201, 204)):
        headers = {"Authorization": self.bearer(), "Accept": "application/json", **(headers or {})}
        if method == "POST":
            headers.setdefault("Idempotency-Key", fingerprint(method, path, query, body))
        answer = self.service.send(method, path, query, body, headers, content_type)
        if answer.status not in accept:
            raise Refused(method, path, answer.status, decoded(answer))
        return answer

    def get(self, path, **query):
        return self.call("GET", path, query).json

    def post(self, path, body, query=None, **more):
        return self.call("POST", path, query, body, **more).json

    def every(self, path, **query):
        """All items of a collection, page after page."""
        query.setdefault("limit", 1000)
        while True:
            page = self.call("GET", path, query).json
            yield from page["items"]
            if not page["page"]["next"]:
                return
            query["cursor"] = page["page"]["next"]


def decoded(answer):
    try:
        return answer.json
    except ValueError:
        return answer.body[:200].decode(errors="replace")


def fingerprint(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def segment(text):
    return quote(text, safe="")


class Progress:
    """A line that shows that something moves: rewritten on a terminal, dots elsewhere."""

    def __init__(self, text, total):
        self.text, self.total, self.done, self.began = text, total, 0, time.monotonic()
        self.tty, self.lock, self.shown = sys.stdout.isatty(), threading.Lock(), 0
        print(f"{text:<52}", end="", flush=True)

    def step(self, n=1):
        with self.lock:
            self.done += n
            if self.tty and time.monotonic() - self.shown > 0.1:
                self.shown = time.monotonic()
                print(f"\r{self.text:<52} {self.done} of {self.total}", end="", flush=True)
            elif not self.tty and self.done * 10 // max(self.total, 1) > self.shown:
                self.shown = self.done * 10 // max(self.total, 1)
                print(".", end="", flush=True)

    def end(self):
        clear = "\r" + f"{self.text:<52}" if self.tty else ""
        print(f"{clear} {self.done} ({time.monotonic() - self.began:.0f} s)" + " " * 12, flush=True)


def each(text, items, act, threads=4, size=lambda item: 1):
    """Runs act over items on a few threads, showing progress (an item counts for its size); the first failure is raised
    once all under way have ended."""
    items = list(items)
    if not items:
        return []
    progress = Progress(text, sum(map(size, items)))

    def one(item):
        result = act(item)
        progress.step(size(item))
        return result

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(one, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            progress.end()
