"""Five files of 20 MB sent at once, then read at once: how fast, and how much memory the service has meanwhile."""
import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

AT_ONCE, SIZE = 5, 20 * 1024 * 1024
LIMIT_MB = 96  # of the whole process
PDF = [("Content-Type", "application/pdf")]


class Resident:
    """The most that the service had while the block ran."""

    def __init__(self, bench):
        self.bench, self.most, self.stopping = bench, 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self.stopping.is_set():
            self.most = max(self.most, self.bench.resident_mb())
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def pdf(size):
    head, tail = b"%PDF-1.7\n", b"\n%%EOF\n"
    return head + (b"%" + os.urandom(4096).hex().encode() * (size // 8192 + 1))[:size - len(head) - len(tail)] + tail


def make_report(bench):
    """A report of one ward to the province's committee; its path and its author's token."""
    admin = bench.login("bn.admin")
    bench.api("POST", "/v1/accounts", {"username": "bn.ward", "display_name": "Bench", "password": "mot-mat-khau-rieng-de-do",
                                       "grants": [{"organization": "BN-100001", "role": "reporter"}]}, admin)
    token = bench.api("POST", "/v1/sessions", {"username": "bn.ward", "password": "mot-mat-khau-rieng-de-do"}).json()["access_token"]
    bench.api("POST", "/v1/report-duties", {
        "code": "BN-BC", "title": "Báo cáo quý", "programme": "BN-CDS", "from": {"organizations": ["BN-100001"]}, "to": "BN-TU",
        "acceptance": "receipt", "cadence": "quarter", "cut_off": {"rule": "decree_09_2019"}, "deadline": {"days": 2, "kind": "working"},
        "sections": [{"code": "results", "title": "Kết quả", "required": False, "max_length": 2000}], "valid_from": "2026-01-01"}, bench.token)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        items = bench.api("GET", "/v1/reports?duty=BN-BC&limit=1", token=token).json()["items"]
        if items:
            return f"/v1/reports/{items[0]['id']}/attachments", token
        time.sleep(0.2)
    raise RuntimeError("the ward's report was not made")


def at_once(act):
    """Seconds until all of them are done, and what they gave."""
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(act, range(AT_ONCE)))
    return time.monotonic() - began, done


def run(bench):
    """(uploads' MB/s, downloads' MB/s, the most memory while sending, while reading, before)."""
    path, token = make_report(bench)
    data = [pdf(SIZE) for _ in range(AT_ONCE)]
    digests = [hashlib.sha256(d).hexdigest() for d in data]
    before, sent, read, up, down = bench.resident_mb(), 0.0, 0.0, [], []
    for _ in range(1 if bench.given.quick else 3):
        with Resident(bench) as resident:
            seconds, made = at_once(lambda i: bench.api("POST", f"{path}?name={i}.pdf", data[i], token, PDF).json())
        up.append(AT_ONCE * SIZE / seconds / 1e6)
        sent = max(sent, resident.most)
        if [m["sha256"] for m in made] != digests:
            raise RuntimeError("a file was not kept as it was sent")
        with Resident(bench) as resident:
            seconds, got = at_once(lambda i: hashlib.sha256(bench.api("GET", f"{path}/{made[i]['id']}", token=token).body).hexdigest())
        down.append(AT_ONCE * SIZE / seconds / 1e6)
        read = max(read, resident.most)
        if got != digests:
            raise RuntimeError("a file did not come back as it was sent")
        for one in made:
            bench.api("DELETE", f"{path}/{one['id']}", token=token, headers=[("If-Match", "*")])
    return max(up), max(down), sent, read, before
