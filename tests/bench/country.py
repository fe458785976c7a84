"""The whole country beside one province: what 265,715 units cost a ward's, a province's and the country's caller.

usage: country.py BINARY LOAD [--quick] [--rounds N] [--seconds S] [--only WORK,…]
"""
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import urllib.parse
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from bench import PASSWORD, Bench, arguments  # noqa: E402
from common import GET  # noqa: E402

UNITS = HERE.parents[1] / "deploy" / "data" / "administrative-units.csv"
# What a filter or path parameter is tried with; a name that stands in none of these is said to be untried.
WORDS = ["chi bộ", "chi bo truong", "tran bien", "phường", "an", "khu phố 12", "zzz", "đảng ủy xã"]
SLOW = {"search": 20.0, "sort": 50.0, "filter": 50.0}


@dataclass
class Caller:
    name: str
    seat: str   # code
    token: str
    admin: str  # an administrator's token of the same seat
    ids: str    # the units it may ask for, as the load client writes ranges


class Country(Bench):
    """A cluster with the country instead of a province."""

    def make_province(self):
        began = time.monotonic()
        self.cluster.psql("tiendo", "-c", "SET ROLE tiendo_owner",
                          "-c", "CREATE TABLE tiendo.bench_unit (code text, parent_code text, name text, kind text)")
        with open(UNITS, encoding="utf-8") as file:
            lines = ["\t".join((r["code"], r["parent_code"], r["name"], r["kind"])) for r in csv.DictReader(file)]
        self.cluster.psql("tiendo", "-f", "-", stdin="COPY tiendo.bench_unit FROM STDIN;\n" + "\n".join(lines) + "\n\\.\n")
        self.service.stop()  # its sealer would go to work on a journal half made
        self.cluster.psql("tiendo", "-v", "root=BN-TU", "-f", "-", stdin=(HERE / "country.sql").read_text(encoding="utf-8"))
        self.service.start()
        self.made = time.monotonic() - began
        self.callers = self.make_callers()

    def make_callers(self):
        key = self.cluster.query("SELECT min(scope_key) FROM tiendo.assignment_unit WHERE length(scope_key) = 24")[0][0]
        ward, province = (self.cluster.query("SELECT code FROM tiendo.organization WHERE scope_key = %s", [k])[0][0] for k in (key[:18], key[:12]))
        boss = self.login("bn.admin")
        made = []
        for name, seat in (("ward", ward), ("province", province), ("country", "BN-TU")):
            tokens = []
            for role in ("manager", "administrator"):
                self.api("POST", "/v1/accounts", {"username": f"{name}.{role}", "display_name": name, "password": PASSWORD,
                                                  "grants": [{"organization": seat, "role": role}]}, boss)
                tokens.append(self.login(f"{name}.{role}"))
            ids = [row[0] for row in self.cluster.query(
                "SELECT o.id FROM tiendo.organization o JOIN tiendo.organization s ON s.code = %s AND o.scope_key > s.scope_key"
                " AND o.scope_key < s.scope_key || '~' AND o.kind = 'party_cell' ORDER BY o.id", [seat])]
            low, high = str(ids[0])[:8], str(ids[-1])[:8]
            made.append(Caller(name, seat, tokens[0], tokens[1], f"@r:{low}:{high}@-0000-7000-8000-000000000000"))
        return made


# ---- against the province of 2,281 units ---------------------------------------------------------------------
def rates(bench, request, token, connections):
    found = bench.load([(connections, 0, [request])], token=token)
    label = found["labels"][request.split()[0]]
    if label["bad"] or not label["good"]:
        raise RuntimeError(f"{request}: {label}")
    return label["rate"], label["p50"] / 1000


def beside(small, country):
    """GET one and pages in default order, in turn: the same request to a province of 2,281 units and to the country."""
    month = country.cluster.query("SELECT code FROM tiendo.period WHERE kind = 'month' AND ends_on < tiendo.today() ORDER BY starts_on DESC LIMIT 1")[0][0]
    works = [("GET one unit", GET, lambda c: "get GET /v1/organizations/" + c.ids),
             ("page of 50 units", "page GET /v1/organizations?limit=50", lambda c: "page GET /v1/organizations?limit=50"),
             ("page of 50 values", "page GET /v1/values?limit=50", lambda c: "page GET /v1/values?limit=50"),
             ("page of 50 values of an indicator and a period", f"page GET /v1/values?indicator=BN-I@r:1:8@&period={small.periods[0]}&limit=50",
              lambda c: f"page GET /v1/values?indicator=VN-I@r:10:30@&period={month}&limit=50")]
    print("\n| work | caller | 2,281 units: /s | p50 ms | 265,715 units: /s | p50 ms | times slower | bar |\n|---|---|---|---|---|---|---|---|", flush=True)
    for work, there, here in works:
        ours, theirs = {c.name: [] for c in country.callers}, []
        for _ in range(country.given.rounds):
            theirs.append(rates(small, there, small.token, 8))
            for caller in country.callers:
                ours[caller.name].append(rates(country, here(caller), caller.token, 8))
        for caller in country.callers:
            ratio = statistics.median(t[0] / o[0] for t, o in zip(theirs, ours[caller.name]))
            print(f"| {work} | {caller.name} | {statistics.median(t[0] for t in theirs):,.0f} | {statistics.median(t[1] for t in theirs):.2f} |"
                  f" {statistics.median(o[0] for o in ours[caller.name]):,.0f} | {statistics.median(o[1] for o in ours[caller.name]):.2f} |"
                  f" {ratio:.2f} | ≤ 1.3{'' if ratio <= 1.3 else ' NO'} |", flush=True)


# ---- every sort, filter and search that the contract offers --------------------------------------------------
def contract_lists(country):
    """[(path, {name: schema} of its query)] of every GET that answers pages."""
    spec = country.api("GET", "/openapi.json").json()

    def resolved(node):
        while "$ref" in node:
            found = spec
            for part in node["$ref"][2:].split("/"):
                found = found[part]
            node = found
        return node
    lists = []
    for path, item in spec["paths"].items():
        operation = item.get("get")
        if not operation:
            continue
        parameters = [resolved(p) for p in operation.get("parameters", []) + item.get("parameters", [])]
        query = {p["name"]: resolved(p["schema"]) for p in parameters if p["in"] == "query" and "schema" in p}
        if "limit" in query and "wait" not in query:
            lists.append((path, query))
    return lists


def samples(country, caller):
    month = country.cluster.query("SELECT code FROM tiendo.period WHERE kind = 'month' AND ends_on < tiendo.today() ORDER BY starts_on DESC LIMIT 1")[0][0]
    unit, account, client = caller.seat, caller.name + ".manager", "99999999-0000-7000-8000-000000000000"
    return {
        "organization": unit, "under": unit, "parent": unit, "owner": unit, "unit": unit, "over": unit, "indicator": "VN-I17", "indicator[in]": "VN-I17,VN-I18",
        "period": month, "period[in]": month, "programme": "VN-CDS", "kind": "party_cell", "kind[ne]": "party_cell", "kind[in]": "party_cell,party_building_board",
        "code": unit, "code[in]": unit, "code[prefix]": unit, "identifier": "statistics:00004", "attached": "true", "valid_to[isnull]": "false", "state": "not_applicable",
        "category": "x", "on_behalf": "true", "updated_at[gte]": "2026-10-01T00:00:00Z", "as_of": "2026-01-01", "account": account, "client": client, "role": "approver",
        "holding": "true", "status": "suspended", "username": account, "activated": "false", "unit_kind": "party_building_board", "pillar": "x", "frequency": "year",
        "name[contains]": "zzz", "title[contains]": "zzz", "decision": "zzz", "effective_on[gte]": "2030-01-01", "effective_on[lte]": "2010-01-01",
        "starts_on[gte]": "2026-01-01", "starts_on[lte]": "2026-01-01", "ends_on[gte]": "2026-01-01", "ends_on[lte]": "2026-01-01", "resource_type": "mandate",
        "resource": client, "action": "delete", "at[gte]": "2026-10-01T00:00:00Z", "at[lt]": "2026-10-01T00:00:00Z", "position[gte]": "1", "position[lt]": "1000",
        "direction": "given"}


UNLIKE = {"/v1/indicators": {"kind": "rank", "kind[in]": "rank", "code": "VN-I17", "code[in]": "VN-I17", "code[prefix]": "VN-I1"},
          "/v1/periods": {"kind": "year", "kind[in]": "year", "code": "2026-M01", "code[in]": "2026-M01"},
          "/v1/programmes": {"code": "VN-CDS", "code[in]": "VN-CDS", "code[prefix]": "VN"}, "/v1/reorganizations": {"state": "reverted"},
          "/v1/values/sheet": {}}
NEITHER = {"limit", "cursor", "fields", "embed", "delimiter", "decimal", "sort", "q"}


def database_cpu(cluster):
    """Milliseconds of CPU that the cluster's processes have had: what a request costs on a machine with nothing else to do."""
    had = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1]) == cluster.postmaster():
                had += int((path.parent / "schedstat").read_text(encoding="utf-8").split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return had / 1e6


def timed(country, http, path, query, token, repeats):
    """Milliseconds of each of so many requests, the database's of CPU each, and the rows; or the status that is not 200."""
    target = path + "?" + urllib.parse.urlencode(query)
    took = []
    for n in range(repeats + 1):
        if n == 1:
            cpu = database_cpu(country.cluster)
        began = time.perf_counter()
        answer = http.request("GET", target, [("Authorization", "Bearer " + token)])
        took.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            return answer.status, 0, target
    return sorted(took[1:]), (database_cpu(country.cluster) - cpu) / repeats, len(answer.json()["items"])


def every_query(country):
    repeats = 3 if country.given.quick else 11
    slow, untried, tried = [], set(), 0
    worst = {}
    for path, query in contract_lists(country):
        for caller in country.callers:
            known = samples(country, caller)
            http = country.service.http(60)
            if any(part[1:-1] not in known for part in path.split("/") if part.startswith("{")):
                untried.add(path)
                continue
            place = path
            for part in [p for p in path.split("/") if p.startswith("{")]:
                place = place.replace(part, known[part[1:-1]])
            needed = {name: known[name] for name in ("organization", "period") if path == "/v1/values/sheet"}
            asked = [("default", {})]
            sorts = query.get("sort", {})
            offered = sorts.get("items", sorts).get("enum", [])
            asked += [("sort", {"sort": s}) for s in offered]
            if sorts.get("maxItems", 1) > 1:
                asked += [("sort", {"sort": f"{a},{b}"}) for a in offered for b in offered if a.lstrip("-") != b.lstrip("-")]
            if "q" in query:
                asked += [("search", {"q": word}) for word in WORDS]
                asked += [("search", {"q": word, "sort": s}) for word in WORDS[:1] for s in offered]
            own = {**known, **UNLIKE.get(path, {})}
            for name in query:
                if name in NEITHER or name in needed:
                    continue
                if name not in own:
                    untried.add(f"{path} {name}")
                else:
                    asked.append(("filter", {name: own[name]}))
            token = caller.admin if path.split("/")[2] in ("accounts", "grants", "clients", "mandates") else caller.token
            for kind, what in asked:
                took, cpu, items = timed(country, http, place, {"limit": "50", **needed, **what}, token, repeats)
                tried += 1
                if isinstance(took, int):
                    untried.add(f"{path} {what} {caller.name}: {took}")
                    continue
                p50 = statistics.median(took)
                key = (path, kind, caller.name)
                if cpu > worst.get(key, (0,))[0]:
                    worst[key] = (cpu, p50, " ".join(f"{k}={v}" for k, v in what.items()) or "default order", items)
                if min(took[0], cpu) > SLOW.get(kind, 50.0):
                    slow.append((path, caller.name, kind, what, cpu, took[0], p50, items))
    print(f"\n{tried} queries; the dearest of each kind, list and caller, as ms of the database's CPU / p50 of {repeats} in ms:\n")
    print("| list | kind | ward | province | country | the slowest |\n|---|---|---|---|---|---|")
    for path, kind in sorted({k[:2] for k in worst}):
        cells = [worst.get((path, kind, c.name)) for c in country.callers]
        told = max((c for c in cells if c), key=lambda c: c[0])
        print(f"| {path} | {kind} | " + " | ".join(f"{c[0]:.1f} / {c[1]:.0f}" if c else "" for c in cells) + f" | {told[2]} |")
    print("\nover the bar (sorts and filters 50 ms, search 20 ms) in CPU and at best:\n\n| list | caller | query | CPU ms | best ms | p50 ms | rows |\n|---|---|---|---|---|---|---|")
    for path, caller, _, what, cpu, best, p50, items in slow:
        print(f"| {path} | {caller} | {json.dumps(what, ensure_ascii=False)} | {cpu:.0f} | {best:.0f} | {p50:.0f} | {items} |")
    print("\nnot tried: " + "; ".join(sorted(untried)), flush=True)


# ---- a commune moves -----------------------------------------------------------------------------------------
def move(country):
    caller = country.callers[2]
    ward = country.callers[0].seat
    home, other = country.cluster.query(
        "SELECT p.code, (SELECT x.code FROM tiendo.organization x WHERE x.parent_id = p.parent_id AND x.id <> p.id ORDER BY x.scope_key DESC LIMIT 1)"
        " FROM tiendo.organization w JOIN tiendo.organization p ON p.id = w.parent_id WHERE w.code = %s", [ward])[0]
    units, values = country.cluster.query(
        "SELECT (SELECT count(*) FROM tiendo.organization o WHERE o.scope_key >= w.scope_key AND o.scope_key < w.scope_key || '~'),"
        " (SELECT count(*) FROM tiendo.value v WHERE v.scope_key >= w.scope_key AND v.scope_key < w.scope_key || '~')"
        " FROM tiendo.organization w WHERE w.code = %s", [ward])[0]
    today = country.cluster.query("SELECT tiendo.today()::text")[0][0]
    took, spent = [], []
    for n in range(2 * country.given.rounds):
        body = {"decision": f"{n + 1}-QĐ/TW", "effective_on": today, "steps": [{"kind": "move", "organization": ward, "parent": other if n % 2 == 0 else home}]}
        cpu = database_cpu(country.cluster)
        began = time.monotonic()
        answer = country.api("POST", "/v1/reorganizations", body, caller.token, [("Idempotency-Key", os.urandom(8).hex())])
        took.append(time.monotonic() - began)
        spent.append((database_cpu(country.cluster) - cpu) / 1000)
        country.api("GET", f"/v1/organizations/{ward}", None, caller.token)
        if answer.status != 201:
            raise RuntimeError(repr(answer))
        country.settle()
    print(f"\nmove of a commune with {units} units and {values:,} values, rewritten: " + ", ".join(f"{t:.2f}" for t in took)
          + f" s; median {statistics.median(took):.2f} s (bar 1 s), of it {statistics.median(spent):.2f} s of the database's CPU", flush=True)


WORKS = {"beside": None, "queries": every_query, "move": move}


def main():
    given = arguments()
    os.environ["TIENDO_BINARY"] = given.binary
    only = [name for name in given.only.split(",") if name] or list(WORKS)
    country = Country(given)
    try:
        print(f"the country was made in {country.made:.0f} s", flush=True)
        if "beside" in only:
            small = Bench(given)
            try:
                small.import_values(small.import_file("values.csv", 0))
                small.settle()
                beside(small, country)
            finally:
                small.close()
        for name in only:
            if WORKS.get(name):
                try:
                    WORKS[name](country)
                except (RuntimeError, OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
                    print(f"{name}: failed: {error}", flush=True)
    finally:
        country.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
