"""The tasks that campaigns make: what units are to do, activities that are late, values proposed, recognitions to decide on or returned."""
import itertools

import pytest
from harness import campaigns
from harness.samples import fresh

numbers = itertools.count(1)


@pytest.fixture
def made(world):
    return campaigns.campaign(world, fresh("VC"))


def tasks(who, campaign, *kinds, **query):
    return [t for t in who.items("/v1/me/tasks", **({"kind[in]": ",".join(kinds)} if kinds else {}), **query) if t["campaign"] == campaign["code"]]


def put(cluster, campaign, table, columns, values, unit, phase="GD2"):
    """A row of a unit in one of the campaign's tables; its id."""
    return str(cluster.query(f"""INSERT INTO {table} (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, {columns})
        SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, {values}
        FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = %s, organization o WHERE c.code = %s AND o.code = %s RETURNING id""",
                             [phase, campaign["code"], unit])[0][0])


def assigned(cluster, campaign, unit, quantity, due_on, kind="conference"):
    return put(cluster, campaign, "campaign_assignment", "kind, set_quantity, set_due_on, quantity, due_on, setter_id",
               f"'{kind}', {quantity}, '{due_on}', {quantity}, '{due_on}', c.owner_id", unit)


def activity(cluster, campaign, unit, ends_on, done=0, kind="conference"):
    return put(cluster, campaign, "activity", "kind, title, starts_on, ends_on, done_on, done, status, on_behalf, entered_by, seat_id, grant_id",
               f"'{kind}', 'Hội nghị', '{ends_on}', '{ends_on}', CASE WHEN {done} > 0 THEN '{ends_on}'::date END, {done}, "
               f"CASE WHEN {done} > 0 THEN 'done' ELSE 'planned' END, false, o.code, o.id, o.id", unit)


def proposed(cluster, campaign, unit, state="proposed", by=None):
    return put(cluster, campaign, "recognition", "kind, title, state, reason, proposed_seat_id, proposed_account_id",
               f"'exemplary_model', 'Mô hình số {next(numbers)}', '{state}', CASE '{state}' WHEN 'returned' THEN 'Bổ sung minh chứng' END, o.id, "
               + (f"(SELECT a.id FROM account a WHERE a.username = '{by}')" if by else "NULL"), unit)


def mark(who, task, read=True):
    return who.request("PUT" if read else "DELETE", f"/v1/me/tasks/{task}/read", None)


# ---- what is to be done ----------------------------------------------------------------------------------------
def test_what_is_due_soon_or_late_is_a_task_of_its_unit(world, cluster, made):
    first = assigned(cluster, made, "AA-W1", 2, "2026-10-31")
    assigned(cluster, made, "AA-W1", 3, "2026-11-28")
    assigned(cluster, made, "AA-W1", 9, "2026-11-29")
    ward = world.at("AA-W1", "reporter")
    task, = tasks(ward, made, "assignment")
    assert (task["organization"], task["phase"], task["due_on"], task["late"], task["missing"], task["read"]) == ("AA-W1", "GD2", "2026-10-31", True, 5, False)
    assert task["title"].startswith("Hội nghị") and task["id"] == f"assignment.{first}.20261031"
    assert task["links"]["open"] == f"/v1/campaigns/{made['code']}/assignments?organization=AA-W1&phase=GD2&kind=conference"
    assert ward.get(task["links"]["open"]).status == 200
    activity(cluster, made, "AA-W1", "2026-10-30", 2)
    task, = tasks(ward, made, "assignment")
    assert (task["due_on"], task["late"], task["missing"]) == ("2026-11-28", False, 3), "the first part is done"
    activity(cluster, made, "AA-W1", "2026-11-01", 3)
    assert tasks(ward, made, "assignment") == []
    activity(cluster, made, "AA-W1", "2026-11-01", 3, "seminar")
    assert tasks(ward, made, "assignment") == []


def test_each_kind_is_done_for_itself(world, cluster, made):
    assigned(cluster, made, "AA-W1", 1, "2026-11-20")
    assigned(cluster, made, "AA-W1", 1, "2026-11-20", "seminar")
    activity(cluster, made, "AA-W1", "2026-11-01", 5, "seminar")
    assert [(t["missing"], t["links"]["open"].rsplit("=", 1)[1]) for t in tasks(world.at("AA-W1", "reporter"), made)] == [(1, "conference")]


def test_whose_work_it_is(world, cluster, made):
    """The unit's own; of units below with nobody of their own the nearest above's, where the campaign lets superiors enter."""
    alone = campaigns.campaign(world, fresh("VC"), entered_by="self")
    for campaign in (made, alone):
        for unit in ("AA-W2", "AA-W2-C2"):
            assigned(cluster, campaign, unit, 1, "2026-11-20")
    for unit in ("AA-W1", "AA-W1-C1"):
        assigned(cluster, made, unit, 1, "2026-11-20")
    seated = {row[0] for row in cluster.query("""SELECT o.code FROM access_grant g JOIN organization o ON o.id = g.organization_id
        WHERE g.role IN ('reporter', 'approver', 'manager') AND g.revoked_at IS NULL""")}
    who = world.at("AA-W2", "reporter")
    below = [] if "AA-W2-C2" in seated else ["AA-W2-C2"]
    assert [t["organization"] for t in tasks(who, made, "assignment")] == ["AA-W2", *below]
    assert [t["organization"] for t in tasks(who, alone, "assignment")] == ["AA-W2"]
    assert tasks(world.at("AA-W2", "viewer"), made) == [] and tasks(world.at("AA-W2", "administrator"), made) == []
    world.at("AA-W1-C1", "reporter")
    assert "AA-W1-C1" not in {t["organization"] for t in tasks(world.at("AA-W1", "reporter"), made)}


def test_a_campaign_that_is_closed_asks_for_nothing(world, cluster, made):
    assigned(cluster, made, "AA-W1", 1, "2026-11-20")
    activity(cluster, made, "AA-W1", "2026-11-01")
    proposed(cluster, made, "AA-W1", "returned")
    ward = world.at("AA-W1", "reporter")
    assert {t["kind"] for t in tasks(ward, made)} == {"assignment", "activity", "recognition_returned"}
    assert world.at("AA-TU", "manager").patch(f"/v1/campaigns/{made['code']}", {"status": "closed"}, "*").status == 200
    assert tasks(ward, made) == []


def test_what_was_handed_on_is_no_task_of_who_handed_it_on(world, cluster, made):
    first = assigned(cluster, made, "AA-W1", 2, "2026-11-20")
    copy = assigned(cluster, made, "AA-W1-C3", 2, "2026-11-20")
    ward = world.at("AA-W1", "reporter")
    assert "AA-W1" in {t["organization"] for t in tasks(ward, made)}
    cluster.query("UPDATE campaign_assignment SET copied_from = %s WHERE id = %s RETURNING 1", [first, copy])
    assert "AA-W1" not in {t["organization"] for t in tasks(ward, made)}


def test_what_lies_outside_of_the_campaign_is_no_task(world, cluster):
    """A unit that has moved away since."""
    narrow = campaigns.campaign(world, fresh("VC"), owner="AA-W2", scope="AA-W2")
    assigned(cluster, narrow, "AA-W1", 2, "2026-11-20")
    activity(cluster, narrow, "AA-W1", "2026-11-01")
    assert not {"assignment", "activity"} & {t["kind"] for t in world.at("AA-W1", "reporter").items("/v1/me/tasks") if t["campaign"] == narrow["code"]}


# ---- activities --------------------------------------------------------------------------------------------------
def test_late_activities_are_one_task(world, cluster, made):
    ward = world.at("AA-W1", "reporter")
    activity(cluster, made, "AA-W1", "2026-11-21")
    assert tasks(ward, made) == [], "its last day is today"
    activity(cluster, made, "AA-W1", "2026-11-01")
    activity(cluster, made, "AA-W1", "2026-11-20")
    activity(cluster, made, "AA-W1", "2026-11-10", 1)
    task, = tasks(ward, made)
    assert (task["kind"], task["title"], task["missing"], task["due_on"], task["late"], task["phase"]) == ("activity", made["title"], 2, "2026-11-01", True, None)
    assert len(ward.items(task["links"]["open"])) == 2


# ---- proposals ---------------------------------------------------------------------------------------------------
def test_values_that_activities_propose_wait_to_be_confirmed(world, cluster, made):
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, fresh("DX"), "AA-P", "number")["code"]
    world.assign(manager, code, organization="AA-W1")
    ward = world.at("AA-W1", "reporter")
    done = activity(cluster, made, "AA-W1", "2026-11-01", 4)
    assert tasks(ward, made) == []
    cluster.query("""INSERT INTO activity_proposal (id, activity_id, programme_id, organization_id, scope_key, indicator_id, period_id, number)
        SELECT uuid_v7(), a.id, a.programme_id, a.organization_id, a.scope_key, i.id, p.id, 4 FROM activity a, indicator i, period p
        WHERE a.id = %s AND i.code = %s AND p.code = '2026-Q4' RETURNING 1""", [done, code])
    task, = tasks(ward, made)
    assert (task["kind"], task["title"], task["missing"], task["organization"], task["late"]) == ("proposal", made["title"], 1, "AA-W1", False)
    assert [a["id"] for a in ward.items(task["links"]["open"])] == [done]
    for status, there in (("closed", False), ("active", True)):
        assert manager.patch(f"/v1/campaigns/{made['code']}", {"status": status}, "*").status == 200
        assert bool(tasks(ward, made)) is there, "nothing can be decided in a campaign that is closed"
    cluster.query("UPDATE activity_proposal SET state = 'declined', reason = 'Trùng' WHERE activity_id = %s RETURNING 1", [done])
    assert tasks(ward, made) == []


# ---- recognitions ------------------------------------------------------------------------------------------------
def test_what_is_proposed_is_decided_directly_above(world, cluster):
    made = campaigns.campaign(world, fresh("VC"), owner="AA-W2")
    model = proposed(cluster, made, "AA-W1-C1", by="aa-w1.reporter")

    def deciding(unit, role="approver"):
        return [t["links"]["open"] for t in tasks(world.at(unit, role), made, "recognition")]
    assert deciding("AA-W1") == deciding("AA-W2") == [f"/v1/recognitions/{model}"], "the unit above, and the campaign's owner"
    assert deciding("AA-TU") == deciding("AA-W1", "reporter") == deciding("AA-W1-C1") == []
    task, = tasks(world.at("AA-W1", "approver"), made)
    assert task["title"].startswith("Mô hình") and task["organization"] == "AA-W1-C1" and task["since"] is not None


def test_nobody_decides_on_what_they_proposed(world, cluster, made):
    world.at("AA-W1", "approver")
    proposed(cluster, made, "AA-W1-C1", by="aa-w1.approver")
    assert tasks(world.at("AA-W1", "approver"), made) == []


def test_what_came_back_is_its_units_to_mend(world, cluster, made):
    proposed(cluster, made, "AA-W1", "returned")
    task, = tasks(world.at("AA-W1", "reporter"), made)
    assert (task["kind"], task["reason"], task["organization"]) == ("recognition_returned", "Bổ sung minh chứng", "AA-W1")
    assert tasks(world.at("AA-TU", "approver"), made) == []


# ---- reading -----------------------------------------------------------------------------------------------------
def test_what_was_read_and_what_is_new_since(world, cluster, made):
    ward = world.at("AA-W1", "reporter")
    assigned(cluster, made, "AA-W1", 1, "2026-11-20")
    activity(cluster, made, "AA-W1", "2026-11-01")
    model = proposed(cluster, made, "AA-W1", "returned")
    for task in tasks(ward, made):
        assert mark(ward, task["id"]).status == 204
    assert [t["read"] for t in tasks(ward, made)] == [True] * 3 and tasks(ward, made, unread="true") == []
    assert {t["read"] for t in tasks(world.at("AA-W1", "approver"), made) if t["kind"] != "recognition"} == {False}, "each account for itself"
    activity(cluster, made, "AA-W1", "2026-11-19")
    cluster.query("UPDATE recognition SET version = version + 1, reason = 'Vẫn thiếu' WHERE id = %s RETURNING 1", [model])
    assert {t["kind"] for t in tasks(ward, made, unread="true")} == {"activity", "recognition_returned"}
    assert mark(ward, next(t["id"] for t in tasks(ward, made, "assignment")), False).status == 204
    assert len(tasks(ward, made, unread="true")) == 3
    assert mark(ward, f"recognition.{model}.1").status == 404 and mark(world.at("AA-W2", "reporter"), tasks(ward, made)[0]["id"]).status == 404


def test_marks_go_with_what_they_were_about(world, cluster, made):
    ward = world.at("AA-W1", "reporter")
    task_of = assigned(cluster, made, "AA-W1", 1, "2026-11-20")
    model = proposed(cluster, made, "AA-W1", "returned")
    for task in tasks(ward, made):
        assert mark(ward, task["id"]).status == 204
    cluster.query("DELETE FROM campaign_assignment WHERE id = %s RETURNING 1", [task_of])
    cluster.query("DELETE FROM recognition WHERE id = %s RETURNING 1", [model])
    assert cluster.query("SELECT count(*) FROM task_read WHERE thing_id IN (%s, %s)", [task_of, model]) == [(0,)]


def test_urgent_comes_first_among_all_tasks(world, cluster, made):
    assigned(cluster, made, "AA-W1", 1, "2026-11-27")
    activity(cluster, made, "AA-W1", "2026-11-02")
    assert [t["kind"] for t in tasks(world.at("AA-W1", "reporter"), made)] == ["activity", "assignment"]
    assert [t["kind"] for t in tasks(world.at("AA-W1", "reporter"), made, late="true")] == ["activity"]
