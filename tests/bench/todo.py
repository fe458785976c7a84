"""What a frontend opens with: the tasks of a ward and of the agency that reviews the whole province."""
import pathlib
import statistics
import time

LIMIT_MS = 20
SEATS = (("a ward with 12 open reports, each reminded of, and values of 20 cells to enter", "BN-100001", 12 + 12 + 21),
         ("the agency with 95 reports to review", "BN-100098", 95))


def tasks(bench):
    """GET /v1/me/tasks, one after the other on one connection: the fields of two rows."""
    bench.cluster.psql("tiendo", "-f", "-", stdin=(pathlib.Path(__file__).parent / "todo.sql").read_text(encoding="utf-8"))
    bench.settle()
    admin, rows = bench.login("bn.admin"), []
    for what, unit, count in SEATS:
        username = f"{unit}.approver".lower()
        bench.account(admin, username, unit, "approver")
        http, header = bench.service.http(60), [("Authorization", "Bearer " + bench.login(username))]
        times = []
        for _ in range(30 if bench.given.quick else 300):
            began = time.monotonic()
            answer = http.request("GET", "/v1/me/tasks?limit=200", header)
            times.append(1000 * (time.monotonic() - began))
            if answer.status != 200 or len(answer.json()["items"]) < count:  # other works may have left more
                raise RuntimeError(f"tasks of {unit}: {answer.status}, {len(answer.json().get('items', []))} of {count}")
        p50 = statistics.median(times)
        rows.append({"work": f"tasks of {what}", "bar": f"p50 < {LIMIT_MS} ms", "p50": p50, "p99": sorted(times)[int(0.99 * (len(times) - 1))],
                     "met": p50 < LIMIT_MS, "note": f"one after the other, {len(times)} runs"})
    return rows
