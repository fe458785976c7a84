"""The matrix of reports and the rates, beside pgbench with the service's own statements, one connection each."""
import pathlib
import statistics

import peers

YEAR = "from=2025-01-01&to=2025-12-31"
# name: (work, path, bar in ms, items in an answer)
WORKS = {
    "matrix": ("matrix of 95 units by 12 periods", f"/v1/report-status?duty=BN-BC-PHUONG&{YEAR}&limit=100", 20, 95),
    "matrix-page": ("a page of 50 of the matrix of 2,280 units by 12 periods", f"/v1/report-status?duty=BN-BC-DONVI&{YEAR}&limit=50", 200, 50),
    "rates": ("rates of 2,280 units over 12 periods, all together", f"/v1/report-rates?duty=BN-BC-DONVI&{YEAR}", 200, 1),
    "rates-unit": ("the same by unit, a page of 50", f"/v1/report-rates?by=unit&duty=BN-BC-DONVI&{YEAR}&limit=50", 200, 50),
}


def standing(bench):
    """The fields of a row for each."""
    bench.cluster.psql("tiendo", "-f", "-", stdin=(pathlib.Path(__file__).parent / "standing.sql").read_text(encoding="utf-8"))
    bench.settle()
    rows = []
    for name, (work, path, limit, items) in WORKS.items():
        statements = bench.watcher.statements(lambda path=path: bench.api("GET", path, token=bench.token))
        both, alone = peers.pipeline(bench.cluster, bench.dir, name, statements, "page", {})
        found = len(bench.api("GET", path, token=bench.token).json()["items"])
        if found != items:
            raise RuntimeError(f"{name}: {found} items")
        ours, theirs, without = [], [], []
        for _ in range(bench.given.rounds):
            load = bench.load([(1, 0, [f"{name} GET {path}"])])
            ours.append((load["labels"][name], load["cpu"] * 1e6 / max(1, load["labels"][name]["n"]) / 1.2))
            theirs.append(both.run(1, max(1, round(bench.given.seconds))))
            without.append(alone.run(1, max(1, round(bench.given.seconds))))
        if any(label["bad"] for label, _ in ours):
            raise RuntimeError(f"{name}: {ours}")
        rate, p50, p99 = (statistics.median(label[k] for label, _ in ours) for k in ("rate", "p50", "p99"))
        peer = statistics.median(theirs)
        rows.append({"work": work, "bar": f"p50 < {limit} ms", "rate": rate, "p50": p50 / 1000, "p99": p99 / 1000, "peer": peer, "alone": statistics.median(without),
                     "ratio": rate / peer, "cpu": statistics.median(cpu for _, cpu in ours), "met": p50 < 1000 * limit, "note": "one connection"})
    return rows
