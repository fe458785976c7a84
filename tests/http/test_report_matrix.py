"""Every cell of the reports' state machine: state × action × acceptance × role × relation, run as the serving role by itself in transactions that are
taken back. What must come out is written down here once more, by hand, from what the duty's acceptance means."""
import itertools
import json
import uuid

import psycopg2
import pytest
from harness import reports, samples
from harness.reports import REASON, Report, bring
from harness.world import ROLES

EDITORS = {"reporter", "approver", "manager", "connector"}
WRITABLE = {"expected", "draft", "returned", "amending"}
# action: (permission, roles that have it)
RIGHT = {"edit": ("reports:write", EDITORS), **{a: ("submissions:write", {"approver"}) for a in ("submit", "recall", "request_return")},
         **{a: ("reviews:write", {"approver"}) for a in ("receive", "return", "approve", "amend", "extend", "waive", "reinstate")}}
STATES = {"receipt": ["expected", "draft", "submitted", "returned", "received", "waived", "withdrawn"],
          "approval": ["expected", "draft", "submitted", "returned", "received", "approved", "amending", "waived", "withdrawn"],
          "none": ["expected", "draft", "submitted", "amending", "waived", "withdrawn"]}
# seat: (sees the row, writes it, accepts it); a copy sees it once it has been submitted
RELATIONS = {
    "AA-W1": (True, True, False), "AA-BTG": (True, False, True), "AA-TU": (True, False, True), "AA-VP": (True, False, True),
    "AA-W1-XD": (True, False, False), "AA-W2": ("copy", False, False), "AA-W1-C1": (False, False, False), "BB-W1": (False, False, False),
}
BODY = {"edit": '{"sections": [{"code": "results", "text": "Viết lại"}]}', "extend": '{"due_on": "2039-01-01", "reason": "Bão"}'}


def actor(action, acceptance):
    """Whose the action is."""
    if action in ("edit", "submit", "recall", "request_return"):
        return "author"
    return "author" if action == "amend" and acceptance == "none" else "recipient"


def becomes(action, state, acceptance):
    """The state afterwards; None: it cannot be done."""
    accepted = acceptance != "none"
    if action == "edit":
        return {"expected": "draft"}.get(state, state) if state in WRITABLE else None
    if action == "submit":
        return "submitted" if state in WRITABLE else None
    if action == "recall":
        return "draft" if state == "submitted" and accepted else None
    if action == "request_return":
        return state if accepted and state in ("submitted", "received", "approved") else None
    if action == "receive":
        return "received" if state == "submitted" and accepted else None
    if action == "return":
        return "returned" if state in ("submitted", "received") and accepted else None
    if action == "approve":
        return "approved" if state in ("submitted", "received") and acceptance == "approval" else None
    if action == "amend":
        return "amending" if (state, acceptance) in (("approved", "approval"), ("submitted", "none")) else None
    if action == "extend":
        return state if state in WRITABLE else None
    if action == "waive":
        return "waived" if state in WRITABLE - {"amending"} else None
    return "expected" if state == "waived" else None  # reinstate


def expected(action, state, acceptance, role, seat):
    sees, writes, accepts = RELATIONS[seat]
    writes = writes or (role == "connector" and seat == "AA-TU")  # a connected system writes for its whole subtree
    if role not in RIGHT[action][1]:
        return "TD403"
    if sees == "copy":
        sees = state in ("submitted", "returned", "received", "approved", "amending")
    if not sees:
        return "TD404"
    # what a duty of this acceptance never knows is refused for its state, to whoever sees it
    if action in ("extend", "waive", "reinstate") and seat == "AA-TU":
        accepts = False  # what is asked of a unit is for whom it is addressed to, not for whoever stands above
    possible = any(becomes(action, s, acceptance) for s in STATES["approval"])
    if possible and not (writes if actor(action, acceptance) == "author" else accepts):
        return "TD403"
    if becomes(action, state, acceptance) is None:
        return "TD409"
    if action == "submit" and state == "expected":
        return "TD422"  # nothing has been written yet
    return becomes(action, state, acceptance)


@pytest.fixture(scope="module")
def places(world):
    """A body with a mandate to review, and a report in every state under every acceptance."""
    manager, admin = world.at("AA-TU", "manager"), world.at("AA-TU", "administrator")
    world.unit(manager, "AA-VP", "Văn phòng Tỉnh ủy An Bình", "advisory_support_agency", "AA-TU")
    world.staff(admin, "AA-VP")
    world.must(admin.post("/v1/mandates", {"unit": "AA-VP", "over": "AA-TU", "functions": ["read", "review"], "programme": "AA-P", "valid_from": "2025-01-01"}))
    found = {}
    for acceptance, states in STATES.items():
        for state in states:
            report = Report(world, reports.duty(world, acceptance=acceptance, copies=["AA-W2"])["code"])
            report.enter()
            if acceptance == "none" and state == "amending":
                report.submit()
                report.must("amend", REASON)
            elif state != "withdrawn":
                bring(report, state)
            else:
                world.service.cluster.query("UPDATE tiendo.report SET state = 'withdrawn' WHERE id = %s RETURNING 1", [report.id])
            found[acceptance, state] = report
    return found


@pytest.fixture(scope="module")
def callers(world, cluster, places):
    """{(seat, role): (grant, session)}: sessions of every grant, without the cost of logging in."""
    for seat in ("AA-W1", "AA-TU", "BB-W1"):
        world.client(world.at(f"{seat[:2]}-TU", "administrator"), f"rm-{seat}", seat, ["reports:read", "reports:write"])
    found = {}
    for seat, role in itertools.product(RELATIONS, [*ROLES, "connector"]):
        row = cluster.query("""SELECT g.id, g.account_id, g.client_id FROM tiendo.access_grant g JOIN tiendo.organization o ON o.id = g.organization_id
            LEFT JOIN tiendo.account a ON a.id = g.account_id LEFT JOIN tiendo.client c ON c.id = g.client_id
            WHERE o.code = %s AND g.role = %s AND g.revoked_at IS NULL AND (a.username = %s OR c.name = %s)""",
                            [seat, role, f"{seat}.{role}".lower(), f"rm-{seat}"])
        if row:
            session = str(uuid.uuid4())
            cluster.query("INSERT INTO tiendo.session (id, grant_id, account_id, client_id, expires_at) VALUES (%s, %s, %s, %s, 'infinity') RETURNING 1",
                          [session, *row[0]])
            found[seat, role] = (row[0][0], session)
    return found


@pytest.fixture
def walk(cluster, callers):
    """Runs a statement as a caller with a permission, and takes it back: its first field, or the SQLSTATE."""
    connection = psycopg2.connect(cluster.dsn("tiendo_service"))
    kid = cluster.query("SELECT kid FROM tiendo.signing_key WHERE signs_until IS NULL ORDER BY created_at DESC LIMIT 1")[0][0]
    cursor = connection.cursor()
    cursor.execute("SET search_path = tiendo, public")
    connection.commit()

    def step(who, permission, sql, parameters):
        try:
            cursor.execute("SELECT enter(%s, %s, %s, %s)", [*callers[who], kid, permission])
            cursor.execute(sql, parameters)
            row = cursor.fetchone()
            return row[0] if row else None
        except psycopg2.Error as error:
            return error.pgcode
        finally:
            connection.rollback()
    yield step
    connection.close()


@pytest.mark.parametrize("acceptance", STATES)
def test_every_cell(places, callers, walk, acceptance):
    wrong, done = [], 0
    for state, action, (seat, role) in itertools.product(STATES[acceptance], RIGHT, callers):
        got = walk((seat, role), RIGHT[action][0], "SELECT (a.body_out::jsonb) ->> 'state' FROM report_act(%s, %s, %s::jsonb, '*', 'walk') a",
                   [action, places[acceptance, state].id, BODY.get(action, '{"reason": "Lý do"}')])
        right = expected(action, state, acceptance, role, seat)
        done += 1
        if got != right:
            wrong.append(f"{action} on {state} ({acceptance}) by {role} of {seat}: {got}, not {right}")
    assert not wrong, "\n".join(wrong[:40])
    assert done == len(STATES[acceptance]) * len(RIGHT) * len(callers) and len(callers) >= 50


@pytest.mark.parametrize("acceptance", STATES)
def test_what_is_offered_is_what_can_be_done(places, callers, walk, acceptance):
    wrong = []
    for state, (seat, role) in itertools.product(STATES[acceptance], callers):
        offered = walk((seat, role), "reports:read", "SELECT (g.body::jsonb) ->> 'actions' FROM report_get(%s, NULL, NULL) g", [places[acceptance, state].id])
        right = sorted(a for a in RIGHT if expected(a, state, acceptance, role, seat) == becomes(a, state, acceptance) is not None
                       or expected(a, state, acceptance, role, seat) == "TD422")
        got = offered if offered is None or offered.startswith("TD") else sorted(set(json.loads(offered)) - {"consolidate"})
        if got != (right if expected("edit", state, acceptance, "reporter", seat) != "TD404" else "TD404"):
            wrong.append(f"{state} ({acceptance}) to {role} of {seat}: {got}, not {right}")
    assert not wrong, "\n".join(wrong[:40])


def test_the_table_holds_nothing_else(cluster):
    """The machine in the database, and the one written down here, know the same moves."""
    back = {"recall": "draft", "reinstate": "expected"}  # what the reports here had been before
    table = {(action, state, acceptance): back[action] if to == "before" else to for action, state, to, kinds in cluster.query(
        "SELECT action, from_state, to_state, acceptance FROM tiendo.report_transition WHERE action <> 'consolidate'") for acceptance in kinds}
    here = {(action, state, acceptance): becomes(action, state, acceptance) for action in RIGHT for acceptance in STATES for state in STATES["approval"]
            if becomes(action, state, acceptance)}
    reachable = {cell: to for cell, to in table.items() if cell[1] in STATES[cell[2]]}
    assert reachable == {cell: to for cell, to in here.items() if cell[1] in STATES[cell[2]]}


# ---- every operation on a report, over HTTP ---------------------------------------------------------------------
@pytest.fixture
def asked(world, places):
    """Every operation below one submitted report, with a fitting request."""
    report = places["approval", "submitted"]
    made = []
    for op in world.contract.operations.values():
        # (what is uploaded is a file, and has tests of its own)
        if op.path.startswith("/v1/reports/{report}") and (op.method, op.path.rsplit("/", 1)[1]) != ("POST", "attachments"):
            given = {"attachment": str(uuid.uuid4())} if "{attachment}" in op.path else {}
            made.append((op, samples.address(world, op, report=report.id, **given), samples.body(op.id), samples.headers(op)))
    return made


@pytest.mark.parametrize("seat", ["AA-W1-C1", "BB-W1"])
def test_out_of_sight_a_report_is_like_none(world, asked, seat):
    for op, address, body, headers in asked:
        answer = world.at(seat, "approver").request(op.method, address, body, headers)
        other = world.at(seat, "approver").request(op.method, address.replace(address.split("/")[3].split("?")[0], str(uuid.uuid4())), body, headers)
        assert answer.status == 404, answer
        assert (other.status, other.code) == (404, answer.code), op.id


def test_without_the_right_nothing_is_written(world, asked):
    for op, address, body, headers in asked:
        if op.permission.endswith(":write"):
            answer = world.at("AA-W1", "inspector").request(op.method, address, body, headers)
            assert answer.status == 403 and answer.code == "forbidden", answer
        assert world.anonymous.request(op.method, address, body, headers).status == 401


def test_what_is_not_shown_to_a_reader_shows_nowhere(world, places):
    """The words of a draft, and of a submission that was recalled, in no answer to anybody but the author."""
    report = Report(world, reports.duty(world, copies=["AA-W2"])["code"])
    report.enter()
    report.submit("Lời đã rút lại")
    report.must("recall")
    report.write("Lời còn viết dở")
    reads = [op for op in world.contract.operations.values() if op.path.startswith("/v1/reports") and op.method == "GET" and "{attachment}" not in op.path]
    for seat in ("AA-BTG", "AA-TU", "AA-VP", "AA-W1-XD", "AA-W2"):
        for op in reads:
            answer = world.at(seat, "approver").get(samples.address(world, op, report=report.id))
            assert "Lời" not in answer.text, (seat, op.id)
    assert "Lời còn viết dở" in world.at("AA-W1", "viewer").get(report.path).text
