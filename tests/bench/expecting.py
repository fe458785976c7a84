"""Reports made ahead for every unit of the province."""
import statistics
import time

UNITS, LIMIT_MS = 2280, 2000
MADE = "SELECT count(*) FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = %s"
AGAIN = "SELECT s.written FROM report_duty d, report_settle_duty(d.id, NULL, NULL, NULL) s WHERE d.code = %s"


def expecting(bench):
    """From the request that defines a duty, or puts its deadline off, to the last of its reports: the fields of a row each."""
    starts, ends = bench.cluster.query("SELECT starts_on::text, ends_on::text FROM period WHERE code = %s", [bench.periods[0]])[0]
    answered, made, moved, same = [], [], [], []
    for n in range(3 if bench.given.quick else 10):
        code = f"BN-TRUOC-{n}"
        bench.settle()
        began = time.monotonic()
        bench.api("POST", "/v1/report-duties", {
            "code": code, "title": "Báo cáo kết quả công tác", "programme": "BN-CDS", "from": {"under": "BN-TU"}, "to": "BN-TU", "acceptance": "receipt",
            "cadence": "quarter", "valid_from": starts, "valid_to": ends}, bench.token)
        answered.append(1000 * (time.monotonic() - began))
        wait(bench, MADE, code, UNITS)
        made.append(1000 * (time.monotonic() - began))
        bench.settle()
        began = time.monotonic()
        bench.api("PATCH", f"/v1/report-duties/{code}", {"deadline": {"days": 9, "kind": "working"}}, bench.token, [("If-Match", "*")])
        wait(bench, MADE + " AND r.version = 2", code, UNITS)
        moved.append(1000 * (time.monotonic() - began))
        began = time.monotonic()
        if bench.cluster.query("SET ROLE tiendo_owner; SET search_path = tiendo, public; " + AGAIN, [code]) != [(0,)]:
            raise RuntimeError("there was something left to do")
        same.append(1000 * (time.monotonic() - began))
    return [{"work": work, "bar": bar, "p50": statistics.median(times), "p99": max(times), "met": max(times) < LIMIT_MS if bar else None,
             "note": f"{len(times)} runs; p99: the slowest"}
            for work, bar, times in ((f"a new duty's reports of {UNITS} units, until the last is there", f"< {LIMIT_MS} ms", made), ("the answer to it", "", answered),
                                     ("the same reports with another deadline", "", moved), ("looking through them, finding nothing to do", "", same))]


def wait(bench, query, code, wanted):
    until = time.monotonic() + 60
    while bench.cluster.query(query, [code])[0][0] != wanted:
        if time.monotonic() > until:
            raise RuntimeError(f"expecting: {bench.cluster.query(query, [code])} of {wanted}")
        time.sleep(0.02)
