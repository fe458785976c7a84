"""An import of activities beside raw COPY and INSERT into the very same table, its indexes, constraints and triggers included."""
import csv
import os
import statistics
import subprocess
import time

from common import CELLS

CAMPAIGN = "BN-NHAP"
KINDS = ["conference", "cell_meeting", "seminar", "training", "infographic"]
CHANNELS = ['["work_group"]', '["zalo_oa","website"]', "[]"]
SCOPES = ["organizations:read", "campaigns:read", "activities:write"]
# The table's own columns, without those that are worked out.
COLUMNS = ("id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, code, kind, topic, title, starts_on, ends_on, done_on, planned,"
           " done, contacts_planned, contacts_reached, channels, status, reason, evidence_url, note, classification, on_behalf, entered_by, seat_id,"
           " account_id, client_id, grant_id, version, created_at, updated_at")


def campaign(bench):
    bench.api("POST", "/v1/campaigns", {
        "code": CAMPAIGN, "title": "Tuyên truyền chuyển đổi số", "programme": "BN-CDS", "owner": "BN-TU", "scope": "BN-TU", "status": "active",
        "topics": [{"code": "CD1", "title": "Mục tiêu, nhiệm vụ và giải pháp"}],
        "phases": [{"code": "GD1", "title": "Giai đoạn 1", "starts_on": None, "ends_on": "2030-12-31", "kinds": KINDS}]}, bench.token)
    admin = bench.login("bn.admin")
    made = bench.api("POST", "/v1/clients", {"name": "bench-activities", "organization": "BN-TU", "scopes": SCOPES}, admin).json()
    form = f"grant_type=client_credentials&client_id={made['client_id']}&client_secret={made['client_secret']}"
    return bench.api("POST", "/oauth2/token", form.encode(), None, [("Content-Type", "application/x-www-form-urlencoded")]).json()["access_token"]


def write_file(bench, rows):
    """CSV of so many activities of all cells in turn: half of them done, the others planned."""
    path = bench.dir / "activities.csv"
    cells = CELLS[1] - CELLS[0] + 1
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["campaign", "organization", "code", "phase", "kind", "topic", "title", "starts_on", "ends_on", "status", "planned", "done", "done_on",
                      "contacts_planned", "contacts_reached", "channels", "note"])
        for n in range(rows):
            day = f"2025-{n % 12 + 1:02}-{n % 28 + 1:02}"
            out.writerow([CAMPAIGN, f"BN-{100000 + CELLS[0] + n % cells}", f"HD-{n}", "GD1", KINDS[n % 5], "CD1" if n % 3 else "",
                          f"Hội nghị tuyên truyền chuyển đổi số, đợt {n}", day, day, *(["done", 1, 1, day] if n % 2 else ["planned", 2, 0, ""]),
                          30 + n % 50, 25 + n % 50 if n % 2 else "", CHANNELS[n % 3], "Ghi chú" if n % 7 == 0 else ""])
    return path


def clear(bench):
    bench.cluster.psql("tiendo", "-c", f"DELETE FROM tiendo.activity a USING tiendo.campaign c WHERE c.id = a.campaign_id AND c.code = '{CAMPAIGN}'")
    bench.cluster.psql("tiendo", "-c", "VACUUM ANALYZE tiendo.activity, tiendo.activity_delta")
    bench.settle()


def send(bench, path, token):
    began = time.monotonic()
    answer = bench.api("POST", "/v1/activities/imports", path.read_bytes(), token, [("Content-Type", "text/csv"), ("Idempotency-Key", os.urandom(8).hex())])
    return time.monotonic() - began, answer.json()


def raw(bench, path):
    sql = (f"SET search_path = tiendo, public;\nBEGIN;\nCREATE TEMP TABLE t ON COMMIT DROP AS SELECT {COLUMNS} FROM tiendo.activity LIMIT 0;\n\\copy t FROM '{path}' CSV\n"
           f"INSERT INTO tiendo.activity ({COLUMNS}) SELECT * FROM t;\nCOMMIT;\n")
    began = time.monotonic()
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(bench.cluster.dir), "-U", "postgres", "-d", "tiendo"],
                   input=sql, text=True, check=True)
    return time.monotonic() - began


def importing(bench):
    count = 5000 if bench.given.quick else 100000
    token = campaign(bench)
    path, plain = write_file(bench, count), bench.dir / "plain-activities.csv"
    plain.touch()
    plain.chmod(0o666)
    ours, theirs, again = [], [], []
    for n in range(max(bench.given.rounds, 1)):
        clear(bench)
        took, answer = send(bench, path, token)
        if answer["created"] != count:
            raise RuntimeError(f"import: {answer['created']} created, {answer['failed']} failed: {answer['errors'][:3]}")
        ours.append(took)
        took, answer = send(bench, path, token)
        if answer["unchanged"] != count:
            raise RuntimeError(f"import once more: {answer['unchanged']} unchanged, {answer['failed']} failed: {answer['errors'][:3]}")
        again.append(took)
        if n == 0:
            bench.cluster.psql("tiendo", "-c", f"\\copy (SELECT {COLUMNS} FROM tiendo.activity a WHERE EXISTS (SELECT FROM tiendo.campaign c"
                               f" WHERE c.id = a.campaign_id AND c.code = '{CAMPAIGN}') ORDER BY id) TO '{plain}' CSV")
        clear(bench)
        theirs.append(raw(bench, plain))
    clear(bench)
    took, peer = statistics.median(ours), statistics.median(theirs)
    return [{"work": f"import of {count} activities in one request (rows/s)", "bar": "≤ 4 ×", "rate": count / took, "p50": took * 1000, "peer": count / peer,
             "ratio": took / peer, "met": took <= 4 * peer,
             "note": f"{took:.2f} s beside {peer:.2f} s by psql into the same table; the same once more, which changes nothing: {statistics.median(again):.2f} s"}]
