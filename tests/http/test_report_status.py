"""Where reports stand: the matrix, the rates and the list tell the same, exactly what the contract says, to whom it concerns."""
import csv
import io
import json
import random
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal

import pytest
from harness import gathering, reports
from harness.crowd import wait_for
from harness.reports import REASON, Report
from harness.samples import fresh

SINCE = {"from": "2025-01-01"}
STATES = ("expected", "draft", "submitted", "returned", "received", "approved", "amending", "waived", "withdrawn")
HANOI = timezone(timedelta(hours=7))


def rows(who, duty, **query):
    return {r["organization"]: r for r in who.items("/v1/report-status", duty=duty, **query)}


def cell(who, duty, unit="AA-W1", period="2026-Q1", **query):
    return next(c for c in rows(who, duty, period=period, **query)[unit]["cells"])


def rates(who, **query):
    return who.items("/v1/report-rates", **query)


@pytest.fixture
def btg(world):
    return world.at("AA-BTG", "viewer")


@pytest.fixture
def duty(world):
    return reports.duty(world, indicators=[])["code"]


# ---- the matrix -----------------------------------------------------------------------------------------------
def test_a_cell_follows_its_report(world, btg, duty):
    report = Report(world, duty)
    first = cell(btg, duty)
    assert (first["state"], first["submitted_at"], first["on_time"], first["submissions"], first["report"]) == ("expected", None, None, 0, report.id)
    assert first["due_on"] == report.read()["due_on"] and first["stood_for_by"] is None
    for state in ("draft", "submitted", "received"):
        if state == "draft":
            report.write()
        elif state == "submitted":
            report.submit()
        else:
            report.must("receive", by=report.reviewer)
        now = cell(btg, duty)
        assert now["state"] == state and now["version"] == report.read()["version"]
    assert now["submissions"] == 1 and now["submitted_at"] == report.read()["submission"]["submitted_at"]
    report.must("request-return", REASON)
    assert cell(btg, duty)["return_requested"] is True
    report.must("return", REASON, by=report.reviewer)
    assert cell(btg, duty)["state"] == "returned" and cell(btg, duty)["late"] is False


def test_a_row_is_a_unit_in_the_order_of_the_tree_and_names_it(world, btg, duty):
    Report(world, duty, "AA-W2")
    items = btg.items("/v1/report-status", duty=duty, period="2026-Q1")
    assert [(i["organization"], i["kind"]) for i in items] == [("AA-W1", "directly_subordinate_party_committee"), ("AA-W2", "directly_subordinate_party_committee")]
    assert items[1]["organization_name"] == "Đảng ủy xã Đại Phước"


def test_the_deadlines_own_day_is_in_time_and_the_next_is_not(world, btg, moved):
    """Over a midnight of Hà Nội; an extension takes the lateness away, a waiver too."""
    duty = reports.duty(world, indicators=[], cadence="once", due_on="2027-03-05", valid_to="2027-12-31")["code"]
    report = Report(world, duty, period=None)

    def late_at(text):
        moved.move(datetime.fromisoformat(text).replace(tzinfo=HANOI).timestamp() - moved.now())
        world.forget()
        who = world.at("AA-BTG", "viewer")
        one = next(c for c in rows(who, duty)["AA-W1"]["cells"])
        listed = [r["organization"] for r in who.items("/v1/reports", duty=duty, overdue="true", organization="AA-W1")]
        assert one["late"] == ("AA-W1" in listed) == bool(rates(who, duty=duty, under="AA-W1")[0]["late"]) and one["period"] is None
        return one["late"]
    assert [late_at("2027-03-05T23:59:30"), late_at("2027-03-06T00:00:30")] == [False, True]
    report.must("extend", {"due_on": "2027-03-10", **REASON}, by=report.reviewer)
    assert [late_at("2027-03-10T23:59:30"), late_at("2027-03-11T00:00:30")] == [False, True]
    report.must("waive", REASON, by=report.reviewer)
    assert late_at("2027-03-11T00:01:00") is False


def test_what_came_in_time_stays_so_when_it_is_returned_and_not_when_it_is_taken_back(world, moved):
    duty = reports.duty(world, indicators=[], cadence="once", due_on="2027-03-05", valid_to="2027-12-31")["code"]
    report = Report(world, duty, period=None)

    def now(text):
        moved.move(datetime.fromisoformat(text).replace(tzinfo=HANOI).timestamp() - moved.now())
        world.forget()

    def on_time():
        one = rows(world.at("AA-BTG", "viewer"), duty)["AA-W1"]["cells"][0]
        return one["state"], one["on_time"], one["late"]
    now("2027-03-05T23:00:00")
    report.submit()
    assert on_time() == ("submitted", True, False)
    report.must("recall")
    assert on_time() == ("draft", None, False)
    now("2027-03-06T01:00:00")
    assert on_time() == ("draft", None, True)
    report.submit()
    assert on_time() == ("submitted", False, False)
    report.must("return", REASON, by=report.reviewer)
    assert on_time() == ("returned", False, False)
    report.must("extend", {"due_on": "2027-03-08", **REASON}, by=report.reviewer)
    assert on_time() == ("returned", True, False)
    now("2027-03-12T01:00:00")
    assert on_time() == ("returned", True, False)


def test_periods_are_chosen_by_name_or_by_their_last_day(btg, world, duty):
    Report(world, duty, period="2026-Q2")

    def periods(**query):
        found = rows(btg, duty, **query)
        return [c["period"] for c in found["AA-W1"]["cells"]] if found else []
    assert periods(period="2026-Q1") == ["2026-Q1"]
    assert periods(**{"period[in]": "2026-Q2,2026-Q1"}) == ["2026-Q1", "2026-Q2"]
    assert periods(**{"period[in]": "2026-Q2,2026-Q1", "to": "2026-03-31"}) == ["2026-Q1"]
    assert periods(**{"from": "2026-04-01", "to": "2026-06-30"}) == ["2026-Q2"]
    assert periods(**{"from": "2026-04-01", "to": "2026-06-29"}) == []
    assert periods(period="2026-Q1", **{"period[in]": "2026-Q2"}) == []
    assert periods(period="2026-M01") == []
    assert periods() == periods(**{"from": "2026-01-01", "to": "2026-12-31"})


def test_what_cannot_be_found_or_read_is_refused(btg, duty):
    assert btg.get("/v1/report-status").status == 400
    for query, parameter in (({"duty": "NO-SUCH"}, "duty"), ({"duty": f"{duty},NO-SUCH"}, "duty"), ({"duty": duty, "period": "2026-Q9"}, "period"),
                             ({"duty": duty, "period[in]": "2026-Q1,2026-Q9"}, "period[in]"), ({"duty": duty, "under": "BB-TU"}, "under")):
        for path in ("/v1/report-status", "/v1/report-rates"):
            answer = btg.get(path, **query)
            assert answer.status == 422 and answer.faults() == {(parameter, "unknown_reference")}, (path, query)
    assert btg.get("/v1/report-rates", programme="NO-SUCH").faults() == {("programme", "unknown_reference")}
    assert btg.get("/v1/report-status", duty=duty, state="lost").status == 400
    assert btg.get("/v1/report-rates", by="ward").status == 400


def test_state_and_late_choose_rows_and_leave_them_whole(world, btg, duty):
    Report(world, duty, "AA-W2", period="2026-Q2")
    report = Report(world, duty)
    report.submit()
    whole = rows(btg, duty, **SINCE)
    some = rows(btg, duty, state="submitted", **SINCE)
    assert set(some) == {"AA-W1"} and some["AA-W1"] == whole["AA-W1"] and len(whole["AA-W1"]["cells"]) > 1
    today = date.fromtimestamp(world.clock.now())
    for late in (True, False):
        wanted = {u for u, r in whole.items() if any(c["late"] is late and c["state"] == "expected" for c in r["cells"])}
        assert set(rows(btg, duty, late=str(late).lower(), state="expected", **SINCE)) == wanted
    assert all(c["late"] == (c["state"] in ("expected", "draft") and c["due_on"] < today.isoformat()) for r in whole.values() for c in r["cells"])
    assert not rows(btg, duty, kind="party_cell", **SINCE) and set(rows(btg, duty, under="AA-W2", **SINCE)) == {"AA-W2"}
    assert set(rows(btg, duty, kind="directly_subordinate_party_committee", **SINCE)) == {"AA-W1", "AA-W2"}


def test_the_half_years_report_stands_in_the_quarters_column(world, btg):
    quarter = reports.duty(world, indicators=[])["code"]
    half = reports.duty(world, indicators=[], cadence="half_year", stands_for=[{"duty": quarter, "periods": ["Q2"]}])["code"]
    report = Report(world, half, period="2026-S1")
    wait_for(lambda: not btg.get("/v1/reports", duty=quarter, period="2026-Q2").json()["items"])
    report.submit()
    one = cell(btg, quarter, period="2026-Q2")
    assert (one["duty"], one["period"], one["state"], one["report"]) == (quarter, "2026-Q2", "submitted", report.id)
    assert one["stood_for_by"] == {"duty": half, "period": "2026-S1", "report": report.id}
    both = rows(btg, f"{quarter},{half}", **{"from": "2026-06-30", "to": "2026-06-30"})["AA-W1"]["cells"]
    assert [(c["duty"], c["stood_for_by"] is None) for c in both] == sorted([(quarter, False), (half, True)])
    assert cell(btg, quarter, period="2026-Q1")["stood_for_by"] is None
    # it is counted as what it is, once
    assert [(r["duty"], r["expected"]) for r in rates(btg, by="duty", duty=f"{quarter},{half}", **{"from": "2026-06-30", "to": "2026-06-30"})] == [(half, 2)]


# ---- who sees -------------------------------------------------------------------------------------------------
def test_everyone_sees_what_concerns_them(world, btg, duty):
    Report(world, duty, "AA-W2")
    Report(world, duty)

    def seen(unit, role="viewer"):
        who = world.at(unit, role)
        units = set(rows(who, duty, period="2026-Q1"))
        assert units == {r["organization"] for r in rates(who, by="unit", duty=duty, period="2026-Q1")}
        return units
    assert seen("AA-W1") == {"AA-W1"} and seen("AA-W2") == {"AA-W2"}
    assert seen("AA-BTG") == seen("AA-TU") == {"AA-W1", "AA-W2"}
    assert seen("AA-W1-XD") == {"AA-W1"}
    assert seen("AA-W1-C1") == set()
    assert world.at("BB-TU", "viewer").get("/v1/report-status", duty=duty).status == 422


def test_the_recipient_sees_units_out_of_its_scope_by_name(world):
    duty = reports.duty(world, indicators=[], to="AA-W2", **{"from": {"under": "AA-W1", "kinds": ["party_cell"]}})["code"]
    Report(world, duty, "AA-W1-C1", recipient="AA-W2")
    found = rows(world.at("AA-W2", "viewer"), duty, period="2026-Q1", kind="party_cell")
    assert found["AA-W1-C1"]["organization_name"] == "Chi bộ khu phố 1" and len(found) == 4
    assert rates(world.at("AA-W2", "viewer"), by="unit", duty=duty, period="2026-Q1")[0]["organization_name"] == "Chi bộ khu phố 1"
    assert world.at("AA-W2", "viewer").get("/v1/organizations/AA-W1-C1").status == 404
    assert world.at("BB-TU", "viewer").get("/v1/report-status", duty=duty).status == 422


def test_a_copy_is_seen_once_it_is_sent_and_its_sender_by_name(world):
    duty = reports.duty(world, indicators=[], copies=["AA-W2"], **{"from": {"organizations": ["AA-W1"]}})["code"]
    report = Report(world, duty)
    who = world.at("AA-W2", "viewer")
    assert rows(who, duty, period="2026-Q1") == {} and who.items("/v1/reports", duty=duty) == [] == rates(who, by="unit", duty=duty, period="2026-Q1")
    report.submit()
    assert [(u, r["organization_name"], r["cells"][0]["state"]) for u, r in rows(who, duty, period="2026-Q1").items()] == [("AA-W1", "Đảng ủy phường Hòa Bình", "submitted")]
    assert [r["id"] for r in who.items("/v1/reports", duty=duty)] == [report.id] and rates(who, by="unit", duty=duty, period="2026-Q1")[0]["expected"] == 1


# ---- all of it, against the rows ------------------------------------------------------------------------------
def scatter(cluster, made, seed):
    """Reports in every state, sent before and after their deadlines, over the periods of two years."""
    dice = random.Random(seed)
    for (rid,) in cluster.query("SELECT id FROM report WHERE duty_id = %s ORDER BY scope_key, period_id", [made["id"]]):
        state = dice.choice([s for s in STATES if s != "approved" or made["acceptance"] == "approval"])
        due = date(2026, 1, 1) + timedelta(dice.randrange(700)) if dice.random() < 0.9 else None
        sent = state in ("submitted", "returned", "received", "approved", "amending")
        at = datetime.combine(due or date(2026, 5, 5), datetime.min.time(), HANOI) + timedelta(hours=dice.choice([-5, 12, 23.999, 24, 40])) if sent else None
        cluster.query("""UPDATE report SET state = %s, due_on = %s, first_due_on = %s, submissions = %s, shown = %s, submitted_at = %s, first_submitted_at = %s,
            waived_reason = CASE WHEN %s = 'waived' THEN 'Được miễn' END WHERE id = %s RETURNING 1""",
                      [state, due, due, int(sent), 1 if sent else None, at, at, state, rid])


def percent(part, whole):
    return (Decimal(100 * part) / whole).quantize(Decimal("0.0001"), ROUND_HALF_UP) if whole else None


def facts(cluster, duties):
    """What the rows say, in the words of the contract, worked out in another language."""
    today = cluster.query("SELECT tiendo.today()")[0][0]
    found = []
    for unit, key, duty, period, ends, state, acceptance, due, first in cluster.query(
            """SELECT r.organization_code, r.scope_key, d.code, r.period_code, p.ends_on, r.state, r.acceptance, r.due_on, r.first_submitted_at
            FROM report r JOIN report_duty d ON d.id = r.duty_id LEFT JOIN period p ON p.id = r.period_id WHERE d.code = ANY (%s)""", [list(duties)]):
        on_time = None if first is None else due is None or first.astimezone(HANOI).date() <= due
        found.append({"unit": unit, "key": key, "duty": duty, "period": period, "ends": ends, "state": state, "due": due, "on_time": on_time,
                      "received": state in ("received", "approved") or acceptance == "none" and state == "submitted",
                      "late": state in ("expected", "draft") and due is not None and due < today})
    return [f for f in found if f["state"] != "withdrawn"]


def counted(found):
    states = Counter(f["state"] for f in found)
    expected = len(found) - states["waived"]
    received, in_time = sum(f["received"] for f in found), sum(f["received"] and f["on_time"] for f in found)
    return {"expected": expected, "received": received, "received_on_time": in_time, "completeness": percent(received, expected), "timeliness": percent(in_time, expected),
            "late": sum(f["late"] for f in found), **{f"in_{s}": states[s] for s in STATES[:-1]}}


@pytest.fixture(scope="module")
def scattered(world, cluster):
    """Four duties of wards and cells: by month, of one time, to the parent, and of each acceptance."""
    wards = {"from": {"under": "AA-TU", "kinds": ["directly_subordinate_party_committee", "party_cell"]}}
    made = [reports.duty(world, indicators=[], acceptance="none", cadence="month", **wards), reports.duty(world, indicators=[], acceptance="approval", **wards),
            reports.duty(world, indicators=[], to=None, to_parent=True, **wards),
            reports.duty(world, indicators=[], cadence="once", due_on="2026-05-05", **wards)]
    for n, one in enumerate(made):
        wait_for(lambda one=one: cluster.query("SELECT count(*) FROM report r JOIN report_duty d ON d.id = r.duty_id WHERE d.code = %s", [one["code"]])[0][0] >= 8)
        wait_for(lambda: cluster.query("SELECT count(*) FROM report_mark WHERE not_before IS NULL")[0][0] == 0)
        one["id"] = str(cluster.query("SELECT id FROM report_duty WHERE code = %s", [one["code"]])[0][0])
        scatter(cluster, one, n)
    return [one["code"] for one in made]


CHOICES = [{}, {"from": "2025-01-01"}, {"period": "2026-Q1"}, {"period[in]": "2026-M01,2026-Q2,2026-M03"}, {"from": "2026-02-01", "to": "2026-06-30"}, {"to": "2026-05-31"}]
SEEN = {"AA-TU": "AA", "AA-W1": "AA-W1", "AA-W1-XD": "AA-W1", "AA-W2": "AA-W2", "AA-W1-C1": "AA-W1-C1", "AA-BTG": "AA"}


def chosen(world, fact, choice):
    """Whether the contract's choice of periods takes this report."""
    named = choice.get("period") or choice.get("period[in]")
    year = date.fromtimestamp(world.clock.now()).year
    first, last = (date.fromisoformat(choice[k]) if k in choice else None for k in ("from", "to"))
    if fact["period"] is None:
        due = fact["due"]
        return not named and (first is None or due is not None and due >= first) and (last is None or due is not None and due <= last)
    if not choice:
        return fact["ends"].year == year
    return (not named or fact["period"] in named.split(",")) and (first is None or fact["ends"] >= first) and (last is None or fact["ends"] <= last)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("seat", SEEN)
def test_matrix_and_rates_are_what_the_rows_say(world, cluster, scattered, seat, choice):
    who = world.at(seat, "viewer")
    all_facts = [f for f in facts(cluster, scattered) if f["unit"].startswith(SEEN[seat]) and chosen(world, f, choice)]
    named = ",".join(scattered)
    for duties in (named, scattered[0], f"{scattered[3]},{scattered[1]}"):
        found = [f for f in all_facts if f["duty"] in duties.split(",")]
        items = who.items("/v1/report-status", duty=duties, limit=3, **choice)
        assert [i["organization"] for i in items] == [u for _, u in sorted({(f["key"], f["unit"]) for f in found})]
        shown = [(i["organization"], c["duty"], c["period"], c["state"], c["late"], c["on_time"], c["due_on"]) for i in items for c in i["cells"]]
        assert sorted(shown, key=str) == sorted([(f["unit"], f["duty"], f["period"], f["state"], f["late"], f["on_time"], f["due"] and f["due"].isoformat()) for f in found], key=str)
        for by, member, place in (("unit", "organization", "key"), ("duty", "duty", "duty"), ("period", "period", None)):
            groups = {}
            for f in found:
                groups.setdefault((f[place] if place else (f["ends"] or date.min, f["period"] or ""), f[by]), []).append(f)
            got = who.items("/v1/report-rates", by=by, duty=duties, limit=3, **choice)
            assert [i[member] for i in got] == [name for _, name in sorted(groups, key=lambda g: g[0])]
            assert [{k: i[k] for k in counted([])} for i in got] == [counted(groups[g]) for g in sorted(groups, key=lambda g: g[0])]
        whole = who.items("/v1/report-rates", duty=duties, **choice)
        assert [{k: i[k] for k in counted([])} for i in whole] == ([counted(found)] if found else [])


def test_rates_by_the_list_over_programme_subtree_and_deadline(world, cluster, scattered):
    who = world.at("AA-TU", "viewer")
    found = facts(cluster, scattered)
    listed = who.items("/v1/reports", **{"duty[in]": ",".join(scattered)}, limit=200)
    assert sum(r["late"] for r in listed) == sum(f["late"] for f in found) == rates(who, duty=",".join(scattered), **SINCE, to="2099-12-31")[0]["late"] + sum(
        f["late"] for f in found if f["period"] is None and (f["due"] is None or f["due"] < date(2025, 1, 1)))
    for query, test in (({"under": "AA-W1"}, lambda f: f["unit"].startswith("AA-W1")), ({"due_on[lte]": "2026-12-31"}, lambda f: f["due"] is not None and f["due"] <= date(2026, 12, 31))):
        some = [f for f in found if test(f) and f["period"] is not None]
        got = who.items("/v1/report-rates", by="period", duty=",".join(scattered), **SINCE, **query)
        assert {i["period"]: i["expected"] for i in got if i["period"]} == {p: counted([f for f in some if f["period"] == p])["expected"] for p in {f["period"] for f in some}}
    assert {r["duty"] for r in rates(who, by="duty", programme="AA-P", **SINCE)} >= set(scattered) - {scattered[3]}
    other = fresh("P")
    world.must(world.at("AA-TU", "manager").post("/v1/programmes", {"code": other, "title": "Kế hoạch khác", "owner": "AA-TU", "scope": "AA-TU"}))
    assert rates(who, programme=other) == []


# ---- how it is given out --------------------------------------------------------------------------------------
def test_exports_hold_every_row(world, scattered):
    who = world.at("AA-TU", "viewer")
    for path, query in (("/v1/report-status", {"duty": scattered[0], **SINCE}), ("/v1/report-rates", {"by": "unit", "duty": ",".join(scattered), **SINCE})):
        items = who.items(path, limit=2, **query)
        lines = who.get(path, [("Accept", "application/x-ndjson")], **query)
        assert [json.loads(line, parse_float=Decimal) for line in lines.text.splitlines()] == items and lines.status == 200
        table = list(csv.DictReader(io.StringIO(who.get(path, [("Accept", "text/csv")], **query).text.lstrip("\ufeff"))))
        assert [r["organization"] for r in table] == [i["organization"] for i in items]
        assert path.endswith("rates") and [int(r["expected"]) for r in table] == [i["expected"] for i in items] or [json.loads(r["cells"]) for r in table] == [i["cells"] for i in items]


def test_pages_lead_forward_and_back_and_count(world, scattered):
    who = world.at("AA-TU", "viewer")
    whole = who.items("/v1/report-status", duty=scattered[0], **SINCE)
    first = who.get("/v1/report-status", [("Prefer", "count=exact")], duty=scattered[0], limit=2, **SINCE).json()
    assert first["page"]["total"] == len(whole) and first["items"] == whole[:2]
    second = who.get("/v1/report-status", duty=scattered[0], limit=2, cursor=first["page"]["next"], **SINCE).json()
    assert second["items"] == whole[2:4]
    assert who.get("/v1/report-status", duty=scattered[0], limit=2, cursor=second["page"]["prev"], **SINCE).json()["items"] == whole[:2]
    assert who.get("/v1/report-status", duty=scattered[1], limit=2, cursor=first["page"]["next"], **SINCE).code == "bad_cursor"


def test_a_duty_with_no_report_has_neither_rows_nor_rates(world, cluster, btg):
    made = gathering.duty(cluster, fresh("BC"), "AA-BTG", [])
    assert btg.get("/v1/report-status", duty=made["code"], **SINCE).json()["items"] == []
    assert btg.get("/v1/report-rates", by="unit", duty=made["code"], **SINCE).json()["items"] == []
