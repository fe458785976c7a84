"""The peers: pgbench with the very statements that the service sends, under its role, settings and policies; and psql."""
import os
import pathlib
import re
import subprocess
import time

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
SETTINGS = {"plan_cache_mode": "force_generic_plan", "random_page_cost": "1.1", "jit": "off", "TimeZone": "UTC",
            "DateStyle": "ISO,YMD"}


class Statement:
    """A statement as the service sent it: its text with $1 …, and the values it came with."""

    def __init__(self, name, text, values):
        self.name, self.text, self.values = name, text, values

    def script(self, prefix, changing):
        """As a line of a pgbench script, and the variables it takes. changing: {value sent: expression in its place}."""
        variables = {}

        def place(match):
            value = self.values[int(match.group(1)) - 1]
            if value is None:
                return "NULL"
            if value in changing:
                return "(" + changing[value] + ")"
            name = prefix + match.group(1)
            variables[name] = value
            return ":" + name

        # pgbench takes :word for a variable even inside quotes.
        def literal(match):
            if not re.search(r":\w", match.group(1)):
                return match.group(0)
            return "E'" + match.group(1).replace("\\", "\\\\").replace(":", "\\x3a") + "'"

        text = re.sub(r"'((?:[^']|'')*)'", literal, self.text)
        return re.sub(r"\$(\d+)", place, text).strip().rstrip(";") + ";", variables


def parse_values(text):
    """The values of a log line "parameters: $1 = 'a', $2 = NULL"."""
    values = []
    for match in re.finditer(r"\$\d+ = (NULL|'(?:[^']|'')*')", text):
        found = match.group(1)
        values.append(None if found == "NULL" else found[1:-1].replace("''", "'"))
    return values


class Watcher:
    """Reads from the cluster's log which statements a request makes the service send."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.path = cluster.dir / "log"

    def _logging(self, on):
        self.cluster.psql("postgres", "-c", f"ALTER SYSTEM SET log_statement = '{'all' if on else 'none'}'",
                          "-c", f"ALTER SYSTEM SET log_parameter_max_length = {-1 if on else 0}", "-c", "SELECT pg_reload_conf()")
        time.sleep(0.3)

    def statements(self, act):
        """What act() makes the service send, background work left out: {name: Statement}."""
        self._logging(True)
        before = self.path.stat().st_size
        act()
        time.sleep(0.3)
        self._logging(False)
        with open(self.path, encoding="utf-8", errors="replace") as file:
            file.seek(before)
            text = file.read()
        found = {}
        for match in re.finditer(r"LOG:  execute ([^:\n]+): (.*(?:\n\t.*)*)(?:\n.*DETAIL:  parameters: (.*))?", text):
            name = "page" if match.group(1).startswith("shape") else match.group(1)
            found[name] = Statement(name, match.group(2).replace("\n\t", "\n"), parse_values(match.group(3) or ""))
        return found


def options(settings):
    """Settings for PGOPTIONS."""
    def quoted(text):
        return text.replace("\\", "\\\\").replace(" ", "\\ ")
    return " ".join(f"-c {name}={quoted(value)}" for name, value in settings.items())


class Pgbench:
    """One script of pgbench, prepared, as the service's role."""

    def __init__(self, cluster, directory, name, lines, variables, settings=None):
        self.cluster = cluster
        self.path = pathlib.Path(directory) / f"{name}.pgbench"
        self.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.variables = variables
        self.settings = {**SETTINGS, **(settings or {})}
        self.best = None

    def run(self, clients, seconds):
        """Transactions a second."""
        command = [BIN / "pgbench", "-n", "-M", "prepared", "-h", self.cluster.dir, "-U", "tiendo_service", "-c", clients, "-j",
                   min(clients, 2), "-T", seconds, "-f", self.path]
        for name, value in self.variables.items():
            command += ["-D", f"{name}={value}"]
        done = subprocess.run([*map(str, command), "tiendo"], env={**os.environ, "PGOPTIONS": options(self.settings)},
                              capture_output=True, text=True, check=False)
        found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
        if done.returncode != 0 or not found or "number of failed transactions: 0 " not in done.stdout:
            raise RuntimeError(f"pgbench {self.path.name}: {done.stdout}{done.stderr}")
        return float(found.group(1))

    def find_best(self, counts, seconds):
        """The number of clients with which it does most."""
        if self.best is None:
            self.best = counts[0] if len(counts) == 1 else max(counts, key=lambda clients: self.run(clients, seconds))
        return self.best


def scope_settings(cluster, enter):
    """What enter() sets, to be given to a session as options: the same policies without the call."""
    connection = cluster.connect("tiendo_service")
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("SELECT enter(%s::uuid, %s::uuid, %s, %s)", enter.values)
        names = ["tiendo.lo", "tiendo.hi", "tiendo.one", "tiendo.me"]
        cursor.execute("SELECT " + ", ".join(f"current_setting('{name}', true)" for name in names))
        settings = dict(zip(names, cursor.fetchone()))
    connection.close()
    return settings


def pipeline(cluster, directory, name, statements, query, changing, head=()):
    """Two peers of a request: enter and the query in one pipeline, and the query alone under the same scope."""
    enter = statements["enter"]
    enter_line, enter_variables = enter.script("e", {})
    line, variables = statements[query].script("q", changing)
    both = Pgbench(cluster, directory, name, [*head, "\\startpipeline", enter_line, line, "\\endpipeline"],
                   {**enter_variables, **variables})
    alone = Pgbench(cluster, directory, name + "-alone", [*head, line], variables, scope_settings(cluster, enter))
    return both, alone
