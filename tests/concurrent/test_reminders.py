"""Reminders under many who send: each once, whoever is first."""
import threading

import pytest
from harness.crowd import together, wait_for
from harness.owed import act, owe
from harness.service import Service
from harness.world import Caller

DAY = 86400


@pytest.fixture(scope="module")
def second(world, cluster, directory, clock):
    made = Service(cluster, directory, clock, seal_interval_ms=20, quick_statement_timeout_ms=10000, quick_lock_timeout_ms=3000, pool_wait_ms=10000,
                   issuer=world.service.env["TIENDO_ISSUER"]).start()
    yield made
    made.assert_clean(made.stop())


def test_what_falls_due_goes_out_once(world, cluster, second, moved):
    """Two processes and six sessions that do nothing else, while the clock is moved to and fro over three days on which reminders fall."""
    reports = {}
    for n in range(60):
        made = owe(cluster, f"DUNG-{n}", ["AA-W1", "AA-W2"], "AA-BTG", "2026-12-01", escalate=1)
        reports |= {(unit, n): report for unit, report in made.items()}
    ids, stop, failed = list(reports.values()), threading.Event(), []

    def turn():
        connection = cluster.connect("tiendo_service")
        try:
            with connection.cursor() as cursor:
                while not stop.is_set():
                    cursor.execute("SELECT tiendo.reminder_turn(7)")
        except Exception as error:  # whatever it is, it fails the test
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=turn) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for days in (7, 3, 7, 11, 8, 11, 17, 2, 17):
            moved.move(days * DAY)
            wait_for(lambda: not cluster.query("SELECT 1 FROM reminder_next WHERE day <= today()"))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    counts = cluster.query("SELECT kind, days, to_code, count(*), count(DISTINCT report_id) FROM reminder WHERE report_id = ANY (%s::uuid[]) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3", [ids])
    assert counts == [("after", 1, "AA-W1", 60, 60), ("after", 1, "AA-W2", 60, 60), ("after", 7, "AA-W1", 60, 60), ("after", 7, "AA-W2", 60, 60),
                      ("before", 3, "AA-W1", 60, 60), ("before", 3, "AA-W2", 60, 60), ("escalation", 1, "AA-TU", 120, 120)]
    assert cluster.query("SELECT count(*) FROM journal j JOIN reminder m ON m.id = j.resource_id WHERE m.report_id = ANY (%s::uuid[])", [ids]) == [(480,)]


def test_who_submits_is_not_reminded_afterwards_nor_held_up(world, cluster, second, moved):
    """Reports are submitted while their reminders fall due: each submission succeeds, and none is reminded of after it."""
    reports = {n: owe(cluster, f"NOP-{n}", ["AA-W1"], "AA-BTG", "2026-12-01")["AA-W1"] for n in range(24)}
    moved.move(7 * DAY - 1)
    world.forget()
    token = world.at("AA-W1", "approver").token
    callers = [Caller(world, token, (second if i % 2 else world.service).http()) for i in range(8)]

    def submit(who, i):
        if i == 0:
            moved.move(7 * DAY)
        return [act(who, report, "submit")["state"] for n, report in reports.items() if n % 8 == i]
    assert together(callers, submit) == [["submitted"] * 3] * 8
    wait_for(lambda: not cluster.query("SELECT 1 FROM reminder_next WHERE day <= today()"))
    ids = list(reports.values())
    assert cluster.query("SELECT count(*) FROM reminder m JOIN report r ON r.id = m.report_id WHERE r.id = ANY (%s::uuid[]) AND m.sent_at > r.submitted_at + interval '2 seconds'", [ids]) == [(0,)]
    moved.move(20 * DAY)
    wait_for(lambda: not cluster.query("SELECT 1 FROM reminder_next WHERE day <= today()"))
    assert cluster.query("SELECT count(*) FROM reminder WHERE report_id = ANY (%s::uuid[]) AND kind <> 'before'", [ids]) == [(0,)]
    assert cluster.query("SELECT count(*) FROM reminder_next WHERE report_id = ANY (%s::uuid[])", [ids]) == [(0,)]


def test_a_task_read_by_many_at_once_is_read(world, cluster):
    """Marking and unmarking one task from eight connections: no error, and the last word holds."""
    report = owe(cluster, "DOC-1", ["AA-W1"], "AA-BTG", "2026-12-01")["AA-W1"]
    token, task = world.at("AA-W1", "reporter").token, f"due.{report}.20261201"
    callers = [Caller(world, token) for _ in range(8)]
    found = together(callers, lambda who, i: {who.request("PUT" if (i + n) % 2 else "DELETE", f"/v1/me/tasks/{task}/read", None).status for n in range(10)})
    assert found == [{204}] * 8
    assert callers[0].put(f"/v1/me/tasks/{task}/read", None).status == 204
    assert [t["read"] for t in callers[0].items("/v1/me/tasks") if t["id"] == task] == [True]
