"""Reports made by many at the same moment: each once, and nothing of what somebody wrote meanwhile is lost."""
import threading

import pytest
from harness import reports, samples
from harness.crowd import Background, patient, together, wait_for
from harness.service import Service
from harness.world import CELL, WARD, hold

UNITS, QUARTERS = 40, 5


@pytest.fixture(scope="module")
def second(world, cluster, directory, clock):
    """Another process on the same database, making reports too."""
    made = Service(cluster, directory, clock, seal_interval_ms=20, quick_statement_timeout_ms=10000, quick_lock_timeout_ms=3000, pool_wait_ms=10000)
    made.env["TIENDO_ISSUER"] = world.service.env["TIENDO_ISSUER"]
    made.start()
    yield made
    made.assert_clean(made.stop())


@pytest.fixture(scope="module")
def ward(world, cluster):
    """A ward of forty cells."""
    code = samples.fresh("AA-XE")
    world.unit(world.at("AA-TU", "manager"), code, "Đảng ủy phường đông", WARD, "AA-TU")
    cluster.query("""SET ROLE tiendo_owner; WITH made AS (
          INSERT INTO organization (id, parent_id, code, name, kind, valid_from) SELECT uuid_v7(), p.id, p.code || '-' || n, 'Chi bộ ' || n, 'party_cell', '2025-01-01'
          FROM organization p, generate_series(1, %s) n WHERE p.code = %s RETURNING *)
        INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
        SELECT id, scope_key, daterange(valid_from, NULL), name, kind, parent_id FROM made""", [UNITS, code])
    return code


def counts(cluster, code):
    """(reports, different units and periods, made in the journal)"""
    return cluster.query("""SELECT count(*), count(DISTINCT (r.organization_id, r.period_id)),
          (SELECT count(*) FROM journal j WHERE j.resource_type = 'report' AND j.action = 'create' AND j.after ->> 'duty' = %s)
        FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = %s""", [code, code])[0]


def quiet(cluster):
    assert wait_for(lambda: cluster.query("SELECT NOT EXISTS (SELECT FROM report_mark)")[0][0])


def test_ten_at_once_make_each_report_once(world, cluster, second, ward):
    """Two services, and eight sessions that bring the same duty in line, all held up until they are at the same point."""
    code = reports.duty(world, indicators=[], **{"from": {"under": ward, "kinds": [CELL]}})["code"]
    quiet(cluster)
    holder = hold(cluster, f"SELECT pg_advisory_xact_lock(report_expect_lock(id)) FROM report_duty WHERE code = '{code}'")
    cluster.query("""DELETE FROM journal WHERE resource_type = 'report' AND after ->> 'duty' = %s;
        DELETE FROM report r USING report_duty d WHERE d.id = r.duty_id AND d.code = %s;
        INSERT INTO report_mark (duty_id) SELECT id FROM report_duty WHERE code = %s""", [code, code, code])
    written, sessions = [], [cluster.connect() for _ in range(8)]

    def settle(connection):
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE tiendo_owner; SET search_path = tiendo, public")
            cursor.execute("SELECT s.written FROM report_duty d, report_settle_duty(d.id, NULL, NULL, NULL) s WHERE d.code = %s", [code])
            written.append(cursor.fetchone()[0])

    threads = [threading.Thread(target=settle, args=(one,)) for one in sessions]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: cluster.query("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")[0][0] >= 8)
    holder.commit()
    holder.close()
    for thread, one in zip(threads, sessions):
        thread.join()
        one.close()
    quiet(cluster)
    assert counts(cluster, code) == (UNITS * QUARTERS,) * 3
    assert len(written) == 8 and sum(w > 0 for w in written) <= 1 and max(written) in (0, UNITS * QUARTERS)


def test_a_duty_changed_by_a_crowd_leaves_what_the_last_says(world, cluster, caller, second, ward):
    manager = world.at("AA-TU", "manager")
    duties = [reports.duty(world, indicators=[], **{"from": {"under": ward, "kinds": [CELL]}})["code"] for _ in range(2)]
    crowd = [caller(manager.token) for _ in range(6)]
    for one in crowd[::2]:
        one.http = second.http()

    def change(one, i):
        for n in range(5):
            units = [f"{ward}-{1 + (7 * i + 3 * n + k) % UNITS}" for k in range(3)]
            body = [{"from": {"except": units}}, {"deadline": {"days": 1 + (i + n) % 9, "kind": "working"}}, {"from": {"except": []}}][(i + n) % 3]
            answer = patient(lambda body=body: one.patch(f"/v1/report-duties/{duties[i % 2]}", body, "*"))
            assert answer.status == 200, answer
    together(crowd, change)
    quiet(cluster)
    for code in duties:
        wrong = cluster.query("""SELECT (SELECT count(*) FROM (SELECT o.organization_id FROM report_duty_owes(d, p.ends_on) o
                EXCEPT SELECT r.organization_id FROM report r WHERE r.duty_id = d.id AND r.period_id = p.id AND r.state = 'expected') x),
              (SELECT count(*) FROM report r WHERE r.duty_id = d.id AND r.period_id = p.id
                AND (r.due_on <> (report_dates(d, p.starts_on, p.ends_on, p.kind)).due_on OR r.organization_id NOT IN (SELECT organization_id FROM report_duty_owes(d, p.ends_on))))
            FROM report_duty d, period p WHERE d.code = %s AND p.code = ANY (%s)""", [code, ["2026-Q1", "2026-Q4", "2027-Q1"]])
        assert wrong == [(0, 0)] * 3


def test_what_is_written_while_the_duty_lets_go_of_it_is_there(world, cluster, caller, second, ward):
    """The unit writes its draft, the manager takes the unit off the duty and puts it on again, over and over."""
    manager, unit = world.at("AA-TU", "manager"), f"{ward}-1"
    code = reports.duty(world, indicators=[], **{"from": {"under": ward, "kinds": [CELL]}})["code"]
    world.staff(world.at("AA-TU", "administrator"), unit, ("approver",))
    one, other = caller(manager.token), caller(world.at(unit, "approver").token)
    other.http = second.http()

    def let_go():
        for units in ([unit], []):
            answer = patient(lambda units=units: one.patch(f"/v1/report-duties/{code}", {"from": {"except": units}}, "*"))
            assert answer.status == 200, answer
        return True

    kept = {}
    with Background(let_go):
        for n, period in enumerate(["2026-Q1", "2026-Q2", "2026-Q3"] * 8):
            found = other.get("/v1/reports", duty=code, organization=unit, period=period).json()["items"]
            if found:
                text = f"Lần {n}"
                answer = patient(lambda: other.patch(f"/v1/reports/{found[0]['id']}", {"sections": [{"code": "results", "text": text}]}, "*"))
                assert answer.status in (200, 404, 409), answer
                if answer.status == 200:
                    kept[found[0]["id"]] = text
    quiet(cluster)
    assert kept
    for report, text in kept.items():
        assert cluster.query("SELECT r.state, s.text FROM report r JOIN report_section s ON s.report_id = r.id WHERE r.id = %s", [report]) == [("draft", text)]
