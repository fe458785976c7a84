"""A service process of the tests' own, and the subcommands around it."""
import base64
import mmap
import os
import pathlib
import random
import secrets
import signal
import socket
import struct
import subprocess
import time
from datetime import datetime, timezone

from .client import Http
from .cluster import note_pid

BINARY = pathlib.Path(os.environ.get("TIENDO_BINARY", "/nonexistent/build-first"))


_given = set()


def free_port():
    """One that no outgoing connection is given between now and the service's start, and that nothing here had before."""
    first_given = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    while True:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.randrange(10240, first_given) if first_given > 12000 else 0))
            except OSError:
                continue
            port = s.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


# Every run begins at the same instant, so that periods have begun and targets fallen due alike whenever it is.
BEGINNING = datetime(2026, 11, 21, 5, 0, tzinfo=timezone.utc).timestamp()


class Clock:
    """Moves the clock of the service (a mapped file) and of the database (a table) together."""

    def __init__(self, cluster, directory):
        self.cluster = cluster
        self.path = pathlib.Path(directory) / "clock"
        self.path.write_bytes(struct.pack("=q", 0))
        self.away = False
        self.at(BEGINNING)

    def at(self, instant):
        """It is this instant now: the run's own clock goes on from here."""
        self.base = round(instant - time.time())

    def move(self, seconds):
        """So many seconds ahead of where the run's own clock would be."""
        self.away = seconds != 0
        ahead = self.base + seconds
        with open(self.path, "r+b") as file, mmap.mmap(file.fileno(), 8) as memory:
            memory[:8] = struct.pack("=q", int(ahead * 1_000_000))
        self.cluster.query("UPDATE test_clock SET ahead = make_interval(secs => %s)", [ahead])

    def back(self):
        self.move(0)

    def now(self):
        return time.time() + self.base


class Service:
    """settings go into the environment, one TIENDO_<NAME> each."""

    def __init__(self, cluster, directory, clock=None, **settings):
        self.cluster = cluster
        self.dir = pathlib.Path(directory)
        self.host = "127.0.0.1"
        self.port = free_port()
        self.log_path = self.dir / f"service-{self.port}.log"
        self.process = None
        self.crashes = 0
        key = self.dir / "master.key"
        if not key.exists():
            key.touch(0o600)
            key.write_text(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("TIENDO_", "PG"))} | {
            "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
            "TIENDO_PORT": str(self.port),
            "TIENDO_DATABASE": cluster.dsn("tiendo_service"),
            "TIENDO_MIGRATE_DATABASE": cluster.dsn("tiendo_migrator"),
            "TIENDO_KEY_FILE": str(key),
            "TIENDO_RATE_LIMIT_PER_S": "0",
            "TIENDO_ISSUER": f"http://127.0.0.1:{self.port}",
        }
        if clock is not None:
            self.env["TIENDO_TEST_CLOCK"] = str(clock.path)
        for name, value in settings.items():
            self.env["TIENDO_" + name.upper()] = str(value)

    def command(self, *arguments, stdin="", check=True):
        done = subprocess.run([BINARY, *arguments], env=self.env, input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"tiendo {arguments}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def bootstrap(self, code, name, kind, username, password):
        self.command("bootstrap", "--code", code, "--name", name, "--kind", kind, "--username", username, stdin=password + "\n")

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([BINARY, "serve"], env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        note_pid(self.process.pid)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=120):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended ({self.process.returncode}):\n{self.log()[-4000:]}")
            try:
                if self.http().request("GET", "/readyz").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the service is not ready:\n{self.log()[-4000:]}")

    def http(self, timeout=30):
        return Http(self.host, self.port, timeout)

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def stop(self, seconds=120):
        """SIGTERM; gives the exit status, which a sanitizer's finding makes other than 0."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = "killed"
        self.process = None
        return status

    def revive(self):
        """Starts a service that crashed anew, so that one crash fails one test; its own words fail that one."""
        if self.process is not None and self.process.poll() is not None:
            status, log = self.process.returncode, self.log()
            self.crashes += 1
            self.log_path = self.dir / f"service-{self.port}-{self.crashes}.log"
            self.start()
            raise AssertionError(f"the service crashed ({status}):\n{log[-3500:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def assert_clean(self, status):
        text = self.log()
        for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "ThreadSanitizer"):
            at = text.find(mark)
            assert at < 0, text[max(0, at - 200):at + 4000]
        assert status == 0, f"the service ended with {status}:\n{text[-3000:]}"
