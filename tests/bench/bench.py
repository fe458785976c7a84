"""The benchmark: a release service and its peers on one cluster, in one run, and the table of what they did.

usage: bench.py BINARY LOAD [--quick] [--rounds N] [--seconds S] [--only WORK,…] [--set NAME=VALUE]…
"""
import argparse
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
HERE = pathlib.Path(__file__).resolve().parent
from common import CELLS  # noqa: E402
PASSWORD = "measuring-" + os.urandom(12).hex()
# Whether it runs at all is asked on any machine, however busy: nothing is refused for being slow.
PATIENT = {"quick_statement_timeout_ms": 30000, "quick_lock_timeout_ms": 10000, "pool_wait_ms": 30000}
CLUSTER = {"shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min", "wal_compression": "on"}


def arguments():
    parser = argparse.ArgumentParser(description="The benchmark.")
    parser.add_argument("binary")
    parser.add_argument("load")
    parser.add_argument("--quick", "--smoke", action="store_true", help="everything once and briefly: does it run at all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--only", default="")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the service")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds, given.rows = 1, 1, 8000
    return given


class Bench:
    """The cluster, the service and the province, and what every work needs of them."""

    def __init__(self, given):
        from harness.cluster import Cluster
        from harness.service import Service
        self.given = given
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tiendo-bench-"))
        self.dir.chmod(0o755)
        self.cluster = Cluster(durable=True)
        try:
            for name, value in CLUSTER.items():
                self.cluster.psql("postgres", "-c", f"ALTER SYSTEM SET {name} = '{value}'")
            self.cluster.stop()
            self.cluster.start()
            settings = {"rate_limit_per_s": 10000000, "rate_limit_burst": 10000000, "token_lifetime_s": 86400, "metrics_port": 0,
                        **(PATIENT if given.quick else {}), **dict(item.split("=", 1) for item in given.set)}
            self.service = Service(self.cluster, self.dir, **settings)
            self.service.command("migrate")
            self.service.bootstrap("BN-TU", "Tỉnh ủy Bình Nguyên", "provincial_party_committee", "bn.admin", PASSWORD)
            self.service.start()
            self.make_province()
        except BaseException:
            self.close()
            raise

    def close(self):
        if hasattr(self, "service"):
            self.service.stop()
        self.cluster.destroy()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- the province ----
    def api(self, method, path, body=None, token=None, headers=()):
        pairs = list(headers) + ([("Authorization", "Bearer " + token)] if token else [])
        answer = self.service.http(600).request(method, path, pairs, body)
        if answer.status >= 300:
            raise RuntimeError(repr(answer))
        return answer

    def login(self, username):
        return self.api("POST", "/v1/sessions", {"username": username, "password": PASSWORD}).json()["access_token"]

    def account(self, admin, username, unit, role):
        self.api("POST", "/v1/accounts", {"username": username, "display_name": "Bench", "password": PASSWORD,
                                          "grants": [{"organization": unit, "role": role}]}, admin)

    def make_province(self):
        rows = self.cluster.query("SELECT code, starts_on::text FROM period WHERE kind = 'quarter' AND starts_on <= today()"
                                  " ORDER BY starts_on DESC LIMIT 8")
        self.periods = [code for code, _ in rows]
        self.cluster.psql("tiendo", "-v", f"first={rows[-1][1]}", "-f", "-", stdin=(HERE / "province.sql").read_text(encoding="utf-8"))
        admin = self.login("bn.admin")
        self.api("POST", "/v1/accounts", {"username": "bn.manager", "display_name": "Bench", "password": PASSWORD,
                                          "grants": [{"organization": "BN-TU", "role": "manager"}]}, admin)
        self.token = self.login("bn.manager")
        scopes = ["organizations:read", "indicators:read", "periods:read", "values:read", "values:write", "progress:read"]
        made = self.api("POST", "/v1/clients", {"name": "bench", "organization": "BN-TU", "scopes": scopes}, admin).json()
        form = f"grant_type=client_credentials&client_id={made['client_id']}&client_secret={made['client_secret']}"
        self.writer = self.api("POST", "/oauth2/token", form.encode(), None,
                               [("Content-Type", "application/x-www-form-urlencoded")]).json()["access_token"]

    def import_file(self, name, shift):
        """CSV of as many values as the import takes, the latest period first."""
        path = self.dir / name
        left = self.given.rows
        with open(path, "w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(["indicator", "organization", "period", "numerator", "denominator", "number"])
            for period in self.periods:
                for i in range(1, 9):
                    for cell in range(100000 + CELLS[0], 100001 + CELLS[1]):
                        if left == 0:
                            return path
                        left -= 1
                        figure = (cell * 7 + i * 13 + shift) % 1000
                        out.writerow(["BN-I%d" % i, "BN-%d" % cell, period] + ([figure, 1000, ""] if i <= 6 else ["", "", figure]))
        return path

    def import_values(self, path):
        """One request; its seconds and its answer."""
        body = path.read_bytes()
        began = time.monotonic()
        answer = self.api("POST", "/v1/values/imports", body, self.writer,
                          [("Content-Type", "text/csv"), ("Idempotency-Key", os.urandom(8).hex())])
        return time.monotonic() - began, answer.json()

    # ---- measuring ----
    def load(self, groups, seconds=None, warm=None, token=None):
        return self.load_end(self.load_begin(groups, seconds, warm, token))

    def load_begin(self, groups, seconds=None, warm=None, token=None):
        seconds = seconds or self.given.seconds
        job = [f"port {self.service.port}", f"warm {seconds / 5 if warm is None else warm}", f"seconds {seconds}",
               f"header Authorization: Bearer {token or self.token}"]
        for connections, rate, requests in groups:
            job += [f"group {connections} {rate}"] + ["request " + request for request in requests]
        process = subprocess.Popen([self.given.load], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write("\n".join(job) + "\n")
        process.stdin.close()
        process.cpu = self.cpu()
        return process

    def load_end(self, process, stop=False):
        if stop:
            process.terminate()
        found = json.loads(process.stdout.read())
        if process.wait() != 0:
            raise RuntimeError("the load client failed")
        found["cpu"] = self.cpu() - process.cpu
        for label in found["labels"].values():
            label["rate"] = label["good"] / found["seconds"] if found["seconds"] else 0
            label["byte_rate"] = label["bytes"] / found["seconds"] if found["seconds"] else 0
        return found

    def cpu(self):
        """CPU seconds of the service."""
        fields = pathlib.Path(f"/proc/{self.service.process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self, field="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.service.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(field)

    def settle(self, seconds=60):
        """Waits until the sealer has caught up, so that nobody pays for the work before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            behind = self.cluster.query("SELECT (SELECT count(*) FROM rollup_delta) + (SELECT count(*) FROM journal)"
                                        " - (SELECT count(*) FROM journal_seal)")[0][0]
            if behind == 0:
                break
            time.sleep(0.5)
        self.cluster.psql("tiendo", "-c", "CHECKPOINT")


def main():
    given = arguments()
    os.environ["TIENDO_BINARY"] = given.binary
    import works
    began = time.monotonic()
    bench = Bench(given)
    try:
        rows = works.run(bench, [name for name in given.only.split(",") if name])
    finally:
        bench.close()
    works.show(rows)
    print(f"\n{time.monotonic() - began:.0f} s in all; {given.rounds} rounds of {given.seconds:g} s, medians.")
    missing = [row.work for row in rows if row.rate is None and row.p50 is None and row.figure is None]
    if missing or not rows:
        print("without a figure: " + ", ".join(missing or ["everything"]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
