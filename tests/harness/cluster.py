"""A private PostgreSQL 15 cluster on a Unix socket, never run as root."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path("/usr/lib/postgresql/15/bin")

SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{socket}'
port = 5432
max_connections = 150
shared_buffers = 96MB
random_page_cost = 1.1
jit = off
timezone = 'UTC'
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}
"""

# What libpq says of a cluster that recovers from what was done to it.
COMING_BACK = ("recovery mode", "starting up", "shutting down", "not yet accepting", "closed the connection", "Connection refused")

# The database's clock reads a table that the tests move, as the service's reads a file.
MOVABLE_CLOCK = """
SET ROLE tiendo_owner;
CREATE TABLE tiendo.test_clock (ahead interval NOT NULL);
INSERT INTO tiendo.test_clock VALUES ('0');
GRANT SELECT ON tiendo.test_clock TO tiendo_service;
CREATE OR REPLACE FUNCTION tiendo.clock_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
  AS 'SELECT now() + (SELECT ahead FROM tiendo.test_clock)';
"""


def note_pid(pid):
    """Tells tests/run what to stop should this process not live to do so itself: the pid and its start time."""
    path = os.environ.get("TIENDO_TEST_PIDS")
    if path:
        start = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[19]
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{pid} {start}\n")


class Cluster:
    def __init__(self, durable=False):
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tiendo-test-"))
        if os.geteuid() == 0:
            shutil.chown(self.dir, self.user)
        self.dir.chmod(0o755)
        self.data = self.dir / "data"
        self._run(BIN / "initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust",
                  "-N", "--no-instructions")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS.format(socket=self.dir, durable="on" if durable else "off"))
        self.start()
        self.psql("postgres", "-c", "CREATE DATABASE tiendo ENCODING 'UTF8' TEMPLATE template0")
        self.psql("tiendo", "-f", "-", stdin=(ROOT / "deploy/roles.sql").read_text(encoding="utf-8"))

    def _run(self, *command, stdin=None, check=True):
        words = [str(word) for word in command]
        if os.geteuid() == 0:
            words = ["runuser", "-u", self.user, "--", *words]
        done = subprocess.run(words, cwd="/", input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
        return done

    def start(self):
        # pg_ctl's server would keep the pipes of a captured run open.
        words = [str(BIN / "pg_ctl"), "-D", str(self.data), "-l", str(self.dir / "log"), "-s", "-w", "-t", "60", "start"]
        if os.geteuid() == 0:
            words = ["runuser", "-u", self.user, "--", *words]
        subprocess.run(words, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True)
        note_pid(self.postmaster())

    def ensure(self):
        """Up and taking connections, whatever was done to it."""
        if self._run(BIN / "pg_ctl", "-D", self.data, "status", check=False).returncode != 0:
            self.start()
        self.connect().close()

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    def stop(self, mode="fast"):
        self._run(BIN / "pg_ctl", "-D", self.data, "-s", "-w", "-m", mode, "stop")

    def kill(self):
        """As a power cut would: the postmaster and every backend die by SIGKILL, and what is left names nobody alive."""
        postmaster = self.postmaster()
        os.kill(postmaster, signal.SIGSTOP)
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(postmaster)], capture_output=True, text=True, check=False)
        pids = [postmaster, *(int(p) for p in children.stdout.split())]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        while any(self._alive(pid) for pid in pids):
            time.sleep(0.02)
        for lock in (self.data / "postmaster.pid", self.dir / ".s.PGSQL.5432.lock"):
            lock.unlink()

    @staticmethod
    def _alive(pid):
        """Not so a zombie, which nobody may ever reap."""
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def destroy(self):
        self._run(BIN / "pg_ctl", "-D", self.data, "-s", "-w", "-m", "immediate", "stop", check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def dsn(self, role, **extra):
        more = "".join(f" {name}={value}" for name, value in extra.items())
        return f"host={self.dir} port=5432 dbname=tiendo user={role}{more}"

    def psql(self, database, *arguments, stdin=None):
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.dir, "-U", "postgres", "-d", database,
                         *arguments, stdin=stdin).stdout

    def connect(self, role="postgres"):
        """A connection of its own, in autocommit; a cluster that is just coming back is waited for."""
        until = time.monotonic() + 30
        while True:
            try:
                connection = psycopg2.connect(self.dsn(role))
                break
            except psycopg2.OperationalError as error:
                if time.monotonic() > until or not any(word in str(error) for word in COMING_BACK):
                    raise
                time.sleep(0.1)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET search_path = tiendo, public")
        return connection

    def query(self, sql, parameters=None, role="postgres"):
        """The rows of one statement; as the superuser, who sees everything."""
        connection = self.connect(role)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def caught_up(self, seconds=60):
        """Waits until the background has sealed and folded whatever was written."""
        until = time.monotonic() + seconds
        while not self.query("""SELECT NOT EXISTS (SELECT FROM rollup_delta) AND NOT EXISTS (SELECT FROM activity_delta)
                AND NOT EXISTS (SELECT FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq))""")[0][0]:
            assert time.monotonic() < until, "the background does not catch up"
            time.sleep(0.02)

    def copy_database(self, old, new):
        """new becomes a copy of old; whoever is connected to either is thrown out."""
        self.psql("postgres", "-c", f"DROP DATABASE IF EXISTS {new} WITH (FORCE)", "-c",
                  f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{old}'", "-c", f"CREATE DATABASE {new} TEMPLATE {old}")
        # Rights on a database are not copied with it.
        self.psql(new, "-f", "-", stdin=(ROOT / "deploy/roles.sql").read_text(encoding="utf-8"))

    def make_clock_movable(self):
        self.psql("tiendo", "-f", "-", stdin=MOVABLE_CLOCK)
