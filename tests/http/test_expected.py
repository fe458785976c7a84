"""Reports made ahead: for every unit and period once, whoever makes them, and in line with duties, units, decisions and days."""
import json

import pytest
from harness import reports, samples
from harness.crowd import wait_for
from harness.service import Service
from harness.world import CELL, WARD

DAY = 86400
QUARTERS = ["2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4", "2027-Q1"]  # begun by 2026-11-21, or beginning within 45 days of it
REASON = {"reason": "Sáp nhập đơn vị"}


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


@pytest.fixture(scope="module")
def second(world, cluster, directory, clock):
    """Another process on the same database, making reports too."""
    made = Service(cluster, directory, clock, seal_interval_ms=20, quick_statement_timeout_ms=10000, quick_lock_timeout_ms=3000, pool_wait_ms=10000)
    made.env["TIENDO_ISSUER"] = world.service.env["TIENDO_ISSUER"]
    made.start()
    yield made
    made.assert_clean(made.stop())


def duty(world, **more):
    return reports.duty(world, **{"indicators": [], **more})["code"]


def settled(cluster):
    """Nothing is left to be brought in line."""
    assert wait_for(lambda: cluster.query("SELECT s.expected_on = today() AND NOT EXISTS (SELECT FROM report_mark) FROM report_state s")[0][0])


def made(cluster, code, *columns):
    """{(unit, period): the report's state, or these columns of it}, when nothing is left to do."""
    settled(cluster)
    rows = cluster.query(f"""SELECT r.organization_code, r.period_code, {', '.join(columns) or 'r.state'} FROM report r JOIN report_duty d ON d.id = r.duty_id
        LEFT JOIN organization q ON q.id = r.recipient_id WHERE d.code = %s""", [code])
    return {(unit, period): rest[0] if len(rest) == 1 else tuple(rest) for unit, period, *rest in rows}


def wards(units, periods=tuple(QUARTERS)):
    return {(unit, period) for unit in units for period in periods}


def decide(by, steps, on, status=201, **query):
    answer = by.post("/v1/reorganizations", {"decision": "12-QĐ/TU", "effective_on": on, "steps": steps}, **query)
    assert answer.status == status, answer
    return answer.json()


def revert(by, decision, status=200):
    answer = by.post(f"/v1/reorganizations/{decision['id']}/revert", {"reason": "Ghi nhầm"}, [("If-Match", "*")])
    assert answer.status == status, answer
    return answer.json()


def patch(by, code, body):
    return by.world.must(by.patch(f"/v1/report-duties/{code}", body, "*"), 200)


@pytest.fixture
def ward(world, aa):
    """Wards of a test's own, each with a cell; made below AA-TU."""
    def make():
        code = samples.fresh("AA-EW")
        world.unit(aa, code, f"Đảng ủy phường {code}", WARD, "AA-TU")
        world.unit(aa, f"{code}-C", "Chi bộ", CELL, code)
        return code
    return make


@pytest.fixture
def two(world, ward):
    """A duty of two wards of its own, and they."""
    first, other = ward(), ward()
    return duty(world, **{"from": {"organizations": [first, other]}}), first, other


# ---- duties ------------------------------------------------------------------------------------------------------
def test_a_new_duty_has_its_reports_with_the_answer(world, cluster, aa, two):
    code, *units = two
    found = aa.items("/v1/reports", duty=code)
    assert {(r["organization"], r["period"], r["state"]) for r in found} == {(u, p, "expected") for u, p in wards(units)}
    one = next(r for r in found if r["period"] == "2026-Q4")
    # data to 14 December, and two working days after it
    assert one["due_on"] == "2026-12-16" and set(made(cluster, code, "q.code").values()) == {"AA-BTG"}
    assert cluster.query("""SELECT count(*), count(*) FILTER (WHERE j.action = 'create' AND j.account_id IS NOT NULL), bool_and(j.scope_key = r.scope_key)
        FROM journal j JOIN report r ON r.id = j.resource_id JOIN report_duty d ON d.id = r.duty_id WHERE d.code = %s""", [code]) == [(10, 10, True)]


def test_dates_are_those_of_the_duty(world, cluster, two):
    code = two[0]
    dates = made(cluster, code, "r.data_from::text", "r.data_to::text", "r.due_on::text", "r.first_due_on = r.due_on")
    assert dates[two[1], "2026-Q1"] == ("2025-12-15", "2026-03-14", "2026-03-17", True)
    patch(world.at("AA-TU", "manager"), code, {"cut_off": {"rule": "period_end"}, "deadline": {"days": 10, "kind": "calendar"}})
    dates = made(cluster, code, "r.data_from::text", "r.data_to::text", "r.due_on::text", "r.version")
    assert dates[two[1], "2026-Q1"] == ("2026-01-01", "2026-03-31", "2026-04-10", 2)


def test_a_duty_of_one_time_has_one_report_a_unit(world, cluster, ward):
    unit = ward()
    code = duty(world, cadence="once", due_on="2026-12-20", cut_off=None, deadline=None, **{"from": {"organizations": [unit]}})
    assert made(cluster, code, "r.due_on::text", "r.data_to") == {(unit, None): ("2026-12-20", None)}


def test_a_duty_that_ends_asks_for_no_period_after_it(world, cluster, aa, two):
    code, *units = two
    patch(aa, code, {"valid_to": "2026-09-30"})
    assert set(made(cluster, code)) == wards(units, QUARTERS[:3])
    patch(aa, code, {"valid_to": None})
    assert set(made(cluster, code)) == wards(units)


@pytest.mark.parametrize("valid_from,first", [
    (None, "2026-M12"),  # today, when November's report has been due for days
    ("2026-11-18", "2026-M12"), ("2026-11-17", "2026-M11"), ("2026-11-01", "2026-M11"),
    ("2026-10-31", "2026-M11"), ("2026-10-16", "2026-M10"), ("2026-01-01", "2026-M01")])
def test_a_duty_asks_for_nothing_that_was_due_before_it_held(world, cluster, aa, ward, valid_from, first):
    unit = ward()
    code = duty(world, cadence="month", valid_from=valid_from, **{"from": {"organizations": [unit]}})
    months = [f"2026-M{n:02}" for n in range(1, 13)] + ["2027-M01"]
    owed = months[months.index(first):]
    assert set(made(cluster, code)) == {(unit, m) for m in owed}
    for month in months[max(0, months.index(first) - 1):][:2]:
        assert [u["organization"] for u in aa.items(f"/v1/report-duties/{code}/units", period=month)] == [unit] * (month in owed), month


def test_many_reports_are_made_behind_the_answer(world, cluster, aa):
    """What would take long is not waited for: 200 rows are written with the request, the others by the background."""
    ward = samples.fresh("AA-EM")
    world.unit(aa, ward, "Đảng ủy phường đông", WARD, "AA-TU")
    cluster.query("""SET ROLE tiendo_owner; WITH made AS (
          INSERT INTO organization (id, parent_id, code, name, kind, valid_from) SELECT uuid_v7(), p.id, p.code || '-' || n, 'Chi bộ ' || n, 'party_cell', '2025-01-01'
          FROM organization p, generate_series(1, 150) n WHERE p.code = %s RETURNING *)
        INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
        SELECT id, scope_key, daterange(valid_from, NULL), name, kind, parent_id FROM made""", [ward])
    code = duty(world, **{"from": {"under": ward, "kinds": [CELL]}})
    assert len(made(cluster, code)) == 150 * len(QUARTERS)
    assert cluster.query("""SELECT count(*) > 0, count(*) FILTER (WHERE j.account_id IS NULL) > 0 FROM journal j JOIN report r ON r.id = j.resource_id
        JOIN report_duty d ON d.id = r.duty_id WHERE d.code = %s AND j.action = 'create'""", [code]) == [(True, True)]


def test_what_nobody_touched_goes_and_what_somebody_wrote_is_withdrawn_and_comes_back(world, cluster, aa, two):
    code, first, other = two
    cells = {"from": {"organizations": [f"{first}-C"]}}
    world.staff(world.at("AA-TU", "administrator"), first, ("approver",))
    report = reports.Report(world, code, first)
    report.write("Đã viết dở.")
    patch(aa, code, cells)
    now = made(cluster, code)
    assert set(now) == wards([f"{first}-C"]) | {(first, "2026-Q1")} and now[first, "2026-Q1"] == "withdrawn"
    assert report.do("edit", {"sections": [{"code": "next", "text": "Viết tiếp"}]}).status == 409
    patch(aa, code, {"from": {"organizations": [first, other]}})
    now = made(cluster, code)
    assert set(now) == wards([first, other]) and now[first, "2026-Q1"] == "draft"
    assert report.read()["id"] == report.id and report.read()["sections"][0]["text"] == "Đã viết dở."
    assert {"withdraw", "restore"} <= {e["action"] for e in world.must(report.author.get(f"{report.path}/history"), 200)["items"]}
    assert {"withdraw", "restore"} <= {a for a, in cluster.query("SELECT action FROM journal WHERE resource_id = %s", [report.id])}
    assert cluster.query("SELECT array_agg(action ORDER BY seq) FROM report_event WHERE report_id = %s", [report.id])[0][0][-2:] == ["withdraw", "restore"]


def test_what_was_handed_in_stays_whatever_becomes_of_the_duty(world, cluster, aa, two):
    code, first, other = two
    world.staff(world.at("AA-TU", "administrator"), first, ("approver",))
    report = reports.Report(world, code, first)
    report.submit()
    waived = reports.Report(world, code, first, "2026-Q2")
    waived.must("waive", REASON, by=waived.reviewer)
    patch(aa, code, {"from": {"organizations": [other]}})
    now = made(cluster, code)
    assert (now[first, "2026-Q1"], now[first, "2026-Q2"]) == ("submitted", "waived") and (first, "2026-Q3") not in now
    # and when it comes back to the unit that owes it no more, it is withdrawn
    report.must("return", REASON, by=report.reviewer)
    assert wait_for(lambda: made(cluster, code)[first, "2026-Q1"] == "withdrawn")
    patch(aa, code, {"from": {"organizations": [first, other]}})
    now = made(cluster, code)
    assert (now[first, "2026-Q1"], now[first, "2026-Q2"]) == ("returned", "waived")


def test_what_was_put_off_or_waived_is_so_whatever_the_duty_says_anew(world, cluster, aa, two):
    code, first, other = two
    world.staff(world.at("AA-TU", "administrator"), first, ("approver",))
    report, waived = reports.Report(world, code, first), reports.Report(world, code, first, "2026-Q2")
    report.must("extend", {"reason": "Bão lụt", "due_on": "2026-12-24"}, by=report.reviewer)
    waived.must("waive", REASON, by=waived.reviewer)
    patch(aa, code, {"deadline": {"days": 5, "kind": "working"}, "acceptance": "approval", "copies": ["AA-W1-XD"]})
    now = made(cluster, code, "r.state", "r.due_on::text", "r.first_due_on::text", "r.acceptance", "cardinality(r.copy_ids)")
    assert now[first, "2026-Q1"] == ("expected", "2026-12-24", "2026-03-17", "approval", 1)
    assert now[first, "2026-Q2"][0] == "waived" and now[first, "2026-Q2"][3] == "receipt"
    assert now[other, "2026-Q1"] == ("expected", "2026-03-20", "2026-03-20", "approval", 1)


def test_a_report_that_stands_for_another_is_the_only_one(world, cluster, aa, two):
    code, *units = two
    half = duty(world, cadence="half_year", stands_for=[{"duty": code, "periods": ["Q2", "Q4"]}], **{"from": {"organizations": [units[0]]}})
    assert set(made(cluster, code)) == wards(units) - wards(units[:1], ["2026-Q2", "2026-Q4"])
    assert set(made(cluster, half)) == wards(units[:1], ["2026-S1", "2026-S2", "2027-S1"])
    patch(aa, half, {"stands_for": []})
    assert set(made(cluster, code)) == wards(units)


def test_days_off_move_deadlines(world, cluster, aa, two):
    code, first, _ = two
    assert made(cluster, code, "r.due_on::text")[first, "2026-Q4"] == "2026-12-16"
    world.must(aa.put("/v1/holidays/2026-12-15", {"name": "Nghỉ bù"}, [("If-None-Match", "*")]))
    assert made(cluster, code, "r.due_on::text")[first, "2026-Q4"] == "2026-12-17"
    assert aa.request("DELETE", "/v1/holidays/2026-12-15", None, [("If-Match", "*")]).status == 204
    assert made(cluster, code, "r.due_on::text")[first, "2026-Q4"] == "2026-12-16"


# ---- days --------------------------------------------------------------------------------------------------------
def test_a_period_that_comes_near_is_made_once_by_two_processes(world, cluster, moved, two, second):
    """2027-Q2 begins on 1 April: 45 days before, on 15 February."""
    code, *units = two
    moved.move(85 * DAY)
    assert set(made(cluster, code)) == wards(units)
    moved.move(86 * DAY)
    assert set(made(cluster, code)) == wards(units, [*QUARTERS, "2027-Q2"])
    assert cluster.query("""SELECT count(*), count(DISTINCT j.resource_id), count(j.account_id) FROM journal j JOIN report r ON r.id = j.resource_id
        JOIN report_duty d ON d.id = r.duty_id WHERE d.code = %s AND r.period_code = '2027-Q2' AND j.action = 'create'""", [code]) == [(2, 2, 0)]
    # a clock that is set back takes nothing away, and goes on from there
    moved.back()
    assert set(made(cluster, code)) == wards(units, [*QUARTERS, "2027-Q2"])
    moved.move(86 * DAY)
    assert set(made(cluster, code)) == wards(units, [*QUARTERS, "2027-Q2"])


def test_nothing_is_written_when_nothing_changed(world, cluster, moved, two):
    settled(cluster)
    before = cluster.query("SELECT count(*), sum(version) FROM report")
    moved.move(2 * DAY)
    settled(cluster)
    assert cluster.query("SELECT count(*), sum(version) FROM report") == before


# ---- units -------------------------------------------------------------------------------------------------------
def test_a_new_unit_owes_the_periods_that_end_while_it_is_there(world, cluster, aa):
    code = duty(world)
    new = samples.fresh("AA-EN")
    world.unit(aa, new, "Đảng ủy phường mới", WARD, "AA-TU", valid_from="2026-08-01", valid_to="2026-12-31")
    assert wait_for(lambda: {p for u, p in made(cluster, code) if u == new} == {"2026-Q3", "2026-Q4"})
    assert {p for u, p in made(cluster, code) if u == "AA-OLD"} == set()


def test_a_unit_that_comes_to_be_attached_owes_where_it_is_named_alone(world, cluster, aa, ward):
    unit, code, named = ward(), duty(world, **{"from": {"under": "AA-TU"}}), None
    named = duty(world, **{"from": {"organizations": [unit]}})
    assert (unit, "2026-Q4") in made(cluster, code)
    world.must(aa.patch(f"/v1/organizations/{unit}", {"attached": True}, "*"), 200)
    assert wait_for(lambda: (unit, "2026-Q4") not in made(cluster, code)) and (unit, "2026-Q4") in made(cluster, named)


# ---- decisions ---------------------------------------------------------------------------------------------------
def test_a_merger_to_come_takes_later_periods_at_once_and_gives_them_back(world, cluster, aa, two):
    code, first, other = two
    settled(cluster)  # what others have asked for before is done
    steps = [{"kind": "merge", "organizations": [other], "into": first}]
    tried = decide(aa, steps, "2026-12-01", 200, dry_run="true")["impact"]["reports"]
    mine = [p for p in tried["passing"] if p["duty"] == code]
    assert [(p["organization"], p["period"], p["state"], p["to"]) for p in mine] == [(other, q, "expected", [first]) for q in QUARTERS[:3]]
    assert tried["open"]["expected"] >= 3 and tried["no_longer_expected"] >= 2 and set(made(cluster, code)) == wards([first, other])
    decision = decide(aa, steps, "2026-12-01")
    assert decision["impact"]["reports"] == tried
    assert cluster.query("SELECT count(*) FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = %s", [code]) == [(8,)], "at once"
    assert set(made(cluster, code)) == wards([first]) | wards([other], QUARTERS[:3])
    assert revert(aa, decision)["state"] == "reverted"
    assert set(made(cluster, code)) == wards([first, other])


def test_what_an_ended_unit_left_open_is_written_by_its_successor_under_its_name(world, cluster, aa, two):
    code, first, other = two
    world.staff(world.at("AA-TU", "administrator"), first, ("approver",))
    decision = decide(aa, [{"kind": "merge", "organizations": [other], "into": first}], "2026-11-01")
    assert decision["impact"]["reports"]["open"]["expected"] >= 3
    left = next(r for r in world.at(first, "approver").items("/v1/reports", duty=code) if (r["organization"], r["period"]) == (other, "2026-Q3"))
    answer = world.at(first, "approver").patch(f"/v1/reports/{left['id']}", {"sections": [{"code": "results", "text": "Của phường cũ"}]}, "*")
    assert answer.status == 200 and answer.json()["organization"] == other
    # it holds to the decision now: what has been written is not lost by taking that back
    revert(aa, decision)
    assert made(cluster, code)[other, "2026-Q3"] == "draft"


def test_what_is_addressed_to_an_ended_unit_goes_to_who_followed_it(world, cluster, aa, ward):
    to, heir, unit = ward(), ward(), ward()
    direct = duty(world, to=to, **{"from": {"organizations": [unit]}})
    line = duty(world, to=None, to_parent=True, **{"from": {"organizations": [f"{to}-C"]}})
    assert set(made(cluster, line, "q.code").values()) == {to}
    decision = decide(aa, [{"kind": "merge", "organizations": [to], "into": heir}], "2026-11-01")
    assert set(made(cluster, direct, "q.code").values()) == {heir}
    assert set(made(cluster, line, "q.code").values()) == {heir}
    revert(aa, decision)
    assert set(made(cluster, direct, "q.code").values()) == {to} and set(made(cluster, line, "q.code").values()) == {to}


def test_after_a_split_reports_to_the_parent_go_to_the_parent_of_now(world, cluster, aa, ward):
    old, one, two = ward(), ward(), ward()
    line = duty(world, to=None, to_parent=True, **{"from": {"organizations": [f"{old}-C"]}})
    decide(aa, [{"kind": "split", "organization": old, "successors": [one, two], "children": [{"organization": f"{old}-C", "into": two}]}], "2026-11-01")
    assert set(made(cluster, line, "q.code").values()) == {two}


def test_a_recipient_ends_on_its_day_and_not_before(world, cluster, aa, moved, ward):
    to, heir, unit = ward(), ward(), ward()
    code = duty(world, to=to, **{"from": {"organizations": [unit]}})
    decide(aa, [{"kind": "merge", "organizations": [to], "into": heir}], "2026-11-24")
    later = {(unit, p): heir for p in QUARTERS[3:]}
    assert made(cluster, code, "q.code") == {(unit, p): to for p in QUARTERS[:3]} | later
    moved.move(4 * DAY)
    assert wait_for(lambda: made(cluster, code, "q.code") == {(unit, p): heir for p in QUARTERS[:3]} | later)


def test_a_change_of_kind_and_a_move_change_what_is_owed_from_their_day(world, cluster, aa, ward):
    unit, host = ward(), ward()
    code = duty(world, **{"from": {"under": host, "kinds": [CELL]}})
    assert {u for u, _ in made(cluster, code)} == {f"{host}-C"}
    decide(aa, [{"kind": "move", "organization": unit, "parent": host}], "2026-10-15")
    assert {k for k in made(cluster, code) if k[0] == f"{unit}-C"} == wards([f"{unit}-C"], QUARTERS[3:])
    decide(aa, [{"kind": "change_kind", "organization": f"{unit}-C", "unit_kind": WARD}], "2027-01-01")
    assert {k for k in made(cluster, code) if k[0] == f"{unit}-C"} == wards([f"{unit}-C"], QUARTERS[3:4])


def test_a_unit_that_is_taken_back_takes_its_untouched_reports_along(world, cluster, aa):
    code, new = duty(world), samples.fresh("AA-ET")
    step = {"kind": "establish", "code": new, "name": "Đảng ủy phường tạm", "unit_kind": WARD, "parent": "AA-TU"}
    decision = decide(aa, [step], "2026-07-01")
    assert {p for u, p in made(cluster, code) if u == new} == set(QUARTERS[2:]) and decision["impact"]["reports"]["newly_expected"] >= 3
    revert(aa, decision)
    assert {p for u, p in made(cluster, code) if u == new} == set()
    decision = decide(aa, [{**step, "code": f"{new}-2"}], "2026-07-01")
    world.staff(world.at("AA-TU", "administrator"), f"{new}-2", ("approver",))
    reports.Report(world, code, f"{new}-2", "2026-Q3").write()
    refused = revert(aa, decision, 409)
    assert refused["code"] == "has_dependants" and any(f["detail"].endswith("has reports") for f in refused["errors"])


def test_keys_and_codes_go_with_a_root_that_joins_another(world, cluster):
    """By the operator: the root's duties and reports lie in the other one then, and two duties of one code are no longer told apart."""
    code = samples.fresh("EJ")
    taken = duty(world, code=f"{code}-BC")
    world.bootstrap(code, "Tỉnh ủy sẽ nhập")
    world.staff(world.at(code, "administrator"), code, ("manager",))
    by = world.at(code, "manager")
    world.unit(by, f"{code}-W", "Đảng ủy phường", WARD, code)
    world.must(by.post("/v1/programmes", {"code": f"{code}-P", "title": "Chương trình", "owner": code, "scope": code, "starts_on": "2026-01-01", "ends_on": "2028-12-31"}))
    for name in (taken, f"{code}-BD"):
        reports.duty(world, name, by, programme=f"{code}-P", indicators=[], **{"from": {"under": code}}, to=code)
    body = {"decision": "60-NQ/TW", "effective_on": "2026-11-01", "steps": [{"kind": "merge", "organizations": [code], "into": "AA-TU"}]}
    refused = world.service.command("reorganize", "-", stdin=json.dumps(body, ensure_ascii=False), check=False)
    assert refused.returncode != 0 and f"{taken} is taken" in refused.stdout + refused.stderr
    cluster.query("UPDATE report_duty SET code = code || '-CU' WHERE code = %s AND root_id = (SELECT root_id FROM organization WHERE code = %s)", [taken, code])
    world.service.command("reorganize", "-", stdin=json.dumps(body, ensure_ascii=False))
    settled(cluster)
    assert cluster.query("""SELECT count(*) FILTER (WHERE r.scope_key = o.scope_key AND o.scope_key ^@ t.scope_key), count(*), bool_and(d.root_id = t.id AND d.scope_key ^@ t.scope_key)
        FROM report r JOIN report_duty d ON d.id = r.duty_id JOIN organization o ON o.id = r.organization_id, organization t
        WHERE d.code = %s AND t.code = 'AA-TU'""", [f"{code}-BD"]) == [(3, 3, True)]  # of the periods that ended while it was a root
    assert set(made(cluster, f"{code}-BD", "q.code").values()) == {"AA-TU"}


# ---- what goes wrong -----------------------------------------------------------------------------------------------
def test_a_duty_that_cannot_be_brought_in_line_holds_up_no_other(world, cluster, aa, two):
    code, first, _ = two
    broken = duty(world, **{"from": {"organizations": [first]}})
    cluster.query("""CREATE FUNCTION pg_catalog.refuse_broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF new.duty_id = (SELECT id FROM tiendo.report_duty WHERE code = '%s') THEN RAISE EXCEPTION 'this one is refused'; END IF; RETURN new; END $$;
        CREATE TRIGGER refuse_broken BEFORE UPDATE ON report FOR EACH ROW EXECUTE FUNCTION pg_catalog.refuse_broken()""" % broken)
    try:
        cluster.query("UPDATE report_duty SET deadline_days = 4 WHERE code IN (%s, %s)", [code, broken])
        assert wait_for(lambda: cluster.query("SELECT count(*) FROM report_mark WHERE not_before IS NULL")[0][0] == 0)
        due = dict(cluster.query("""SELECT d.code, r.due_on::text FROM report r JOIN report_duty d ON d.id = r.duty_id
            WHERE d.code IN (%s, %s) AND r.organization_code = %s AND r.period_code = '2026-Q4'""", [code, broken, first]))
        assert due == {code: "2026-12-18", broken: "2026-12-16"}
    finally:
        cluster.query("DROP TRIGGER refuse_broken ON report; DROP FUNCTION pg_catalog.refuse_broken(); UPDATE report_mark SET not_before = NULL")
    assert made(cluster, broken, "r.due_on::text")[first, "2026-Q4"] == "2026-12-18"
