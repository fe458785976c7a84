"""Ninety-five reports put together into one."""
import pathlib
import statistics
import time

LIMIT_MS = 500
AGAIN = """UPDATE report_section SET gathered = NULL WHERE report_id = '{0}'; DELETE FROM report_total WHERE report_id = '{0}';"""


def consolidation(bench):
    """Runs that gather and add up everything anew and write it, in turn with runs that find no difference: the fields of two rows."""
    bench.cluster.psql("tiendo", "-v", f"period={bench.periods[1]}", "-f", "-",
                       stdin=(pathlib.Path(__file__).parent / "consolidation.sql").read_text(encoding="utf-8"))
    report = bench.cluster.query("SELECT r.id FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = 'BN-BC-TINH'")[0][0]
    bench.settle()
    anew, same = [], []
    for _ in range(5 if bench.given.quick else 30):
        bench.cluster.psql("tiendo", "-c", "SET search_path = tiendo", "-c", AGAIN.format(report))
        for times, changed in ((anew, True), (same, False)):
            began = time.monotonic()
            answer = bench.api("POST", f"/v1/reports/{report}/consolidate", {}, bench.token, [("If-Match", "*")])
            times.append(1000 * (time.monotonic() - began))
            found = answer.json()
            if found["changed"] is not changed or found["completeness"]["received"] != 95 or {f["new"]["reported_units"] for f in found["figures"]} != {95} \
                    or len(found["figures"]) != 8 or [len(s["new"]) for s in found["sections"]] != [95] * 4:
                raise RuntimeError(f"consolidation: {str(found)[:500]}")
    return [{"work": work, "bar": f"p99 < {LIMIT_MS} ms", "p50": statistics.median(times), "p99": sorted(times)[int(0.99 * (len(times) - 1))],
             "met": max(times) < LIMIT_MS, "note": f"one after the other, {len(times)} runs"}
            for work, times in (("consolidation of 95 reports, 8 indicators, 4 sections", anew), ("the same, finding no difference", same))]
