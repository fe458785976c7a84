"""What is measured: one function a row or two of the table."""
import socket
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Optional

import activities
import advancing
import expecting
import gathering
import attachments
import peers
import standing
import todo
from common import CELLS, GET, UNIT

GROUP = 64


@dataclass
class Row:
    work: str
    bar: str
    rate: Optional[float] = None   # of the service, a second
    p50: Optional[float] = None    # milliseconds
    p99: Optional[float] = None
    peer: Optional[float] = None   # of pgbench, or what else it is compared with
    alone: Optional[float] = None  # pgbench, the query without enter
    ratio: Optional[float] = None
    cpu: Optional[float] = None    # microseconds of service CPU a request
    met: Optional[bool] = None
    figure: Optional[str] = None
    note: str = ""


def one_by_one(bench, name, work, bar, requests, label, both, alone, counts, token=None, connections=GROUP):
    """Rounds of: the service, pgbench, pgbench without enter."""
    clients = both.find_best(counts, max(1, round(bench.given.seconds / 2)))
    alone.best = clients
    seconds = max(1, round(bench.given.seconds))
    ours, theirs, without = [], [], []
    for _ in range(bench.given.rounds):
        found = bench.load([(connections, 0, requests)], token=token)
        l = found["labels"][label]
        if l["bad"] or found["broken"] or not l["good"]:
            raise RuntimeError(f"{name}: {l} {found['broken']}")
        ours.append((l["rate"], l["p50"] / 1000, l["p99"] / 1000, found["cpu"] * 1e6 / max(1, l["n"]) / 1.2, l["refused"]))
        theirs.append(both.run(clients, seconds))
        without.append(alone.run(clients, seconds))
    rate, p50, p99, cpu, refused = (statistics.median(x) for x in zip(*ours))
    peer = statistics.median(theirs)
    ratio = statistics.median(o[0] / t for o, t in zip(ours, theirs))
    return Row(work, f"≥ {bar:.2f} ×", rate, p50, p99, peer, statistics.median(without), ratio, cpu, ratio >= bar,
               note=f"pgbench at {clients} clients" + (f"; {refused:.0f} answered 503" if refused else ""))


# ---- single reads ----
def get_one(bench):
    statements = bench.watcher.statements(lambda: bench.api("GET", "/v1/organizations/" + UNIT, token=bench.token))
    both, alone = peers.pipeline(bench.cluster, bench.dir, "get", statements, "organization_get",
                                 {UNIT: "'01900000-0000-7000-8000-' || :n"}, ["\\set n random(100000100001, 100000102280)"])
    bench.get_alone = alone
    return [one_by_one(bench, "get", "GET one organization, 64 connections", 0.60, [GET], "get", both, alone, bench.counts)]


def get_page(bench):
    path = "/v1/values?indicator={}&period=" + bench.periods[0] + "&limit=50"
    statements = bench.watcher.statements(lambda: bench.api("GET", path.format("BN-I3"), token=bench.token))
    both, alone = peers.pipeline(bench.cluster, bench.dir, "page", statements, "page", {"BN-I3": "'BN-I' || :i"},
                                 ["\\set i random(1, 8)"])
    request = "page GET " + path.format("BN-I@r:1:8@")
    return [one_by_one(bench, "page", "GET a page of 50 values, 64 connections", 0.60, [request], "page", both, alone, bench.counts)]


# ---- single writes ----
def put_request(bench):
    return (f"put PUT /v1/values/BN-I@r:1:4@/BN-@o:{100000 + CELLS[0]}:{100000 + CELLS[1]}@/{bench.periods[0]}"
            "\tIf-Match: *\tContent-Type: application/json\t={\"numerator\": @r:0:1000@, \"denominator\": 1000}")


def put_one(bench):
    path = f"/v1/values/BN-I3/BN-100500/{bench.periods[0]}"
    body = '{"numerator": 123, "denominator": 1000}'
    statements = bench.watcher.statements(lambda: bench.api(
        "PUT", path, body, bench.writer, [("If-Match", "*"), ("Content-Type", "application/json")]))
    sent = next(value for value in statements["value_put"].values if value and "numerator" in value)
    head = ["\\set i random(1, 4)", "\\set k random(0, 28)", f"\\set n {100000 + CELLS[0]} + :client_id + 64 * :k", "\\set v random(0, 1000)"]
    both, alone = peers.pipeline(bench.cluster, bench.dir, "put", statements, "value_put", {
        "BN-I3": "'BN-I' || :i", "BN-100500": "'BN-' || :n",
        sent: "'{\"numerator\": ' || :v || ', \"denominator\": 1000}'"}, head)
    row = one_by_one(bench, "put", "PUT one value, 64 connections", 0.50, [put_request(bench)], "put", both, alone,
                     bench.write_counts, bench.writer)
    bare = peers.Pgbench(bench.cluster, bench.dir, "bare", [*head, (
        "INSERT INTO bench_bare (indicator_id, period_id, scope_key, category, numerator, denominator) VALUES "
        "(('01900000-0000-7000-8000-20000000000' || :i)::uuid, '01900000-0000-7000-8000-000000000000', '0000000000010000' || :n, '', :v, 1000) "
        "ON CONFLICT (indicator_id, period_id, scope_key, category) DO UPDATE SET numerator = excluded.numerator, "
        "version = bench_bare.version + 1, updated_at = now();")], {})
    theirs = statistics.median(bare.run(64, max(1, round(bench.given.seconds))) for _ in range(bench.given.rounds))
    ratio = row.rate / theirs
    bench.settle()
    return [row, Row("PUT one value, beside a bare upsert", "≥ 0.20 ×", row.rate, row.p50, row.p99, theirs, None, ratio, row.cpu, ratio >= 0.2,
                     note="the upsert by pgbench at 64 clients, no policies, no history")]


# ---- quick work beside long work ----
def beside_exports(bench):
    exports = ["export GET /v1/values\tAccept: text/csv", GET, "export GET /v1/values\tAccept: application/x-ndjson", GET]
    seconds = max(bench.given.seconds, 1)
    quick_alone, exports_alone, quick, rows = [], [], [], []
    for _ in range(bench.given.rounds):
        quick_alone.append(bench.load([(36, 0, [GET])], seconds)["labels"]["get"]["rate"])
        exports_alone.append(bench.load([(4, 0, exports)], seconds)["labels"]["export"]["byte_rate"])
        time.sleep(1)  # until the service has seen that the readers of what was cut have gone
        found = bench.load([(32, 0, [GET]), (4, 0, exports)], seconds)["labels"]
        time.sleep(1)
        if found["get"]["bad"] or found["export"]["bad"]:
            raise RuntimeError(f"beside exports: {found}")
        quick.append((found["get"]["rate"], found["get"]["p50"] / 1000, found["get"]["p99"] / 1000))
        rows.append(found["export"]["byte_rate"])
    rate, p50, p99 = (statistics.median(x) for x in zip(*quick))
    peer, theirs, ours = statistics.median(quick_alone), statistics.median(exports_alone), statistics.median(rows)
    slow = bench.load([(32, 0, [GET]), (4, 500000, exports)], seconds)["labels"]["get"]
    return [Row("quick reads beside 4 clients' exports", "≥ 0.5 ×, p99 < 10 ms", rate, p50, p99, peer, None, rate / peer, None,
                rate >= 0.5 * peer and p99 < 10, note="compared with themselves alone; the 4 connections send both kinds"),
            Row("the exports beside them (MB/s)", "≥ 0.3 ×", ours / 1e6, None, None, theirs / 1e6, None, ours / theirs, None, ours >= 0.3 * theirs,
                note="compared with themselves alone"),
            Row("quick reads beside 4 slow readers of exports", "", slow["rate"], slow["p50"] / 1000, slow["p99"] / 1000, peer, None,
                slow["rate"] / peer, note="each takes 0.5 MB/s")]


def rows_held(bench, row):
    """Whether an import holds the row of this id."""
    return not bench.cluster.query("SELECT id FROM value WHERE id = %s FOR UPDATE SKIP LOCKED", [row])


def beside_import(bench):
    row = bench.cluster.query("SELECT id FROM value ORDER BY indicator_id DESC, period_id DESC, scope_key DESC LIMIT 1")[0][0]
    measured = []
    for n in range(bench.given.rounds):
        path = bench.import_file("again.csv", 500 + n)
        result = []
        importing = threading.Thread(target=lambda p=path, r=result: r.append(bench.import_values(p)))
        importing.start()
        while importing.is_alive() and not rows_held(bench, row):
            time.sleep(0.01)
        load = bench.load_begin([(32, 0, [GET]), (8, 0, [put_request(bench)])], 600, 0, bench.writer)
        importing.join()
        if bench.given.quick:
            time.sleep(0.3)  # so few rows may be written before the load has begun
        found = bench.load_end(load, stop=True)
        if not result or found["labels"]["get"]["bad"]:
            raise RuntimeError(f"beside the import: {found}")
        measured.append((found["labels"]["get"], found["labels"]["put"], result[0][0], found["seconds"]))
        bench.settle()
    gets = [m[0] for m in measured]
    rate, p50, p99 = (statistics.median(g[k] for g in gets) for k in ("rate", "p50", "p99"))
    _, puts, whole, held = measured[-1]
    return [Row(f"quick reads beside an import of {bench.given.rows} rows and 8 PUTs to them", "p99 < 20 ms", rate, p50 / 1000, p99 / 1000,
                met=p99 < 20000, note=f"rows held for {held:.1f} of {whole:.1f} s; {puts['good']} PUTs written, {puts['refused']} answered 503")]


# ---- bulk ----
def bulk(bench):
    path = bench.import_file("values.csv", 0)
    plain = bench.dir / "plain.csv"
    ours, theirs = [], []
    for n in range(max(bench.given.rounds, 1)):
        bench.cluster.psql("tiendo", "-c", "TRUNCATE tiendo.value, tiendo.value_revision, tiendo.rollup, tiendo.rollup_delta, tiendo.bench_value")
        bench.settle()
        took, answer = bench.import_values(path)
        if answer["created"] != bench.given.rows:
            raise RuntimeError(f"import: {answer['created']} created, {answer['failed']} failed: {answer['errors'][:3]}")
        ours.append(took)
        bench.settle()
        if n == 0:
            plain.touch()
            plain.chmod(0o666)
            bench.cluster.psql("tiendo", "-c", f"\\copy tiendo.value TO '{plain}' CSV")
        theirs.append(peer_import(bench, plain))
    bench.cluster.psql("tiendo", "-c", "VACUUM ANALYZE")
    ratio = statistics.median(ours) / statistics.median(theirs)
    took = statistics.median(ours)
    return [Row(f"import of {bench.given.rows} values in one request (rows/s)", "≤ 3 ×", bench.given.rows / took, took * 1000, None,
                bench.given.rows / statistics.median(theirs), None, ratio, None, ratio <= 3,
                note=f"{took:.2f} s beside {statistics.median(theirs):.2f} s by psql; here the ratio is of times")]


def peer_import(bench, path):
    sql = ("BEGIN;\nCREATE TEMP TABLE t (LIKE bench_value) ON COMMIT DROP;\n"
           f"\\copy t FROM '{path}' CSV\n"
           "INSERT INTO bench_value SELECT * FROM t ON CONFLICT (indicator_id, period_id, scope_key, category) DO UPDATE SET "
           "state = excluded.state, numerator = excluded.numerator, denominator = excluded.denominator, number = excluded.number, "
           "version = bench_value.version + 1, updated_at = excluded.updated_at;\nCOMMIT;\n")
    began = time.monotonic()
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(bench.cluster.dir), "-U", "tiendo_service", "-d", "tiendo"],
                   input=sql, text=True, check=True)
    return time.monotonic() - began


# ---- figures ----
def progress(bench):
    request = f"progress GET /v1/progress?organization=BN-TU&period={bench.periods[0]}&by=children"
    answer = bench.api("GET", request.split()[2], token=bench.token).json()
    if len(answer["items"]) != 8 or len(answer["children"]) != 95:
        raise RuntimeError(f"progress: {len(answer['items'])} items, {len(answer['children'])} children")
    found = [bench.load([(1, 0, [request])]) for _ in range(bench.given.rounds)]
    label = [f["labels"]["progress"] for f in found]
    if any(l["bad"] for l in label):
        raise RuntimeError(f"progress: {label}")
    rate, p50, p99 = (statistics.median(l[k] for l in label) for k in ("rate", "p50", "p99"))
    cpu = statistics.median(f["cpu"] * 1e6 / max(1, f["labels"]["progress"]["n"]) / 1.2 for f in found)
    return [Row("progress of a province by 95 children, 8 indicators", "p50 < 10 ms", rate, p50 / 1000, p99 / 1000, cpu=cpu, met=p50 < 10000,
                note="one connection")]


# ---- files ----
def files(bench):
    up, down, sent, read, before = attachments.run(bench)
    bar, mb = f"< {attachments.LIMIT_MB} MB", attachments.SIZE >> 20
    return [Row(f"{attachments.AT_ONCE} files of {mb} MB sent at once, resident memory", bar, figure=f"{sent:.0f} MB", met=sent < attachments.LIMIT_MB,
                note=f"{before:.0f} MB before; {up:.0f} MB a second in all"),
            Row(f"{attachments.AT_ONCE} files of {mb} MB read at once, resident memory", bar, figure=f"{read:.0f} MB", met=read < attachments.LIMIT_MB,
                note=f"{down:.0f} MB a second in all")]


# ---- memory ----
def memory(bench):
    count = 50 if bench.given.quick else 1000
    held = []
    try:
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", bench.service.port), 10)
            s.sendall(f"GET /v1/organizations/{UNIT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bench.token}\r\n\r\n".encode())
            if b" 200 " not in s.recv(65536)[:20]:
                raise RuntimeError("a connection was not answered")
            held.append(s)
        time.sleep(1)
        resident = bench.resident_mb()
    finally:
        for s in held:
            s.close()
    return [Row(f"resident memory after all of it, {count} idle connections", "< 96 MB", figure=f"{resident:.0f} MB", met=resident < 96,
                note=f"at most {bench.resident_mb('VmHWM'):.0f} MB on the way")]


def consolidation(bench):
    return [Row(**row) for row in gathering.consolidation(bench)]


def import_activities(bench):
    return [Row(**row) for row in activities.importing(bench)]


def campaign_progress(bench):
    return [Row(**row) for row in advancing.by_children(bench)]


def tasks(bench):
    return [Row(**row) for row in todo.tasks(bench)]


def expected(bench):
    return [Row(**row) for row in expecting.expecting(bench)]


def matrix(bench):
    return [Row(**row) for row in standing.standing(bench)]


WORKS = {"bulk": bulk, "get": get_one, "page": get_page, "put": put_one, "progress": progress, "consolidation": consolidation, "standing": matrix, "tasks": tasks, "campaign": campaign_progress,
         "expected": expected, "exports": beside_exports, "import": beside_import, "activities": import_activities, "files": files, "memory": memory}


def run(bench, only):
    bench.watcher = peers.Watcher(bench.cluster)
    bench.counts = [4] if bench.given.quick else [2, 4, 8, 16, 32]
    bench.write_counts = [16] if bench.given.quick else [8, 16, 32, 64]
    rows = []
    for name, work in WORKS.items():
        if only and name not in only and name != "bulk":
            continue
        began = time.monotonic()
        try:
            made = work(bench)
        except (RuntimeError, OSError, ValueError, subprocess.CalledProcessError) as error:
            made = [Row(name, "", note=f"failed: {error}")]
        rows += made
        for row in made:
            print(f"{line(row)}  ({time.monotonic() - began:.0f} s)", flush=True)
    return rows


def number(value, digits=2):
    if value is None:
        return ""
    if isinstance(value, float) and value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}"


def cells(row):
    return [row.work, row.figure or number(row.rate), number(row.p50), number(row.p99), number(row.peer), number(row.alone), number(row.ratio),
            row.bar, "" if row.met is None else "yes" if row.met else "NO", number(row.cpu, 0), row.note]


def line(row):
    return "| " + " | ".join(cells(row)) + " |"


def show(rows):
    head = ["work", "requests/s", "p50 ms", "p99 ms", "peer/s", "without enter/s", "ratio", "bar", "met", "service CPU µs", ""]
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print(line(row))
