"""A tree keeps an administrator, whoever ends whose grant at the same moment."""
import pytest
from harness import samples
from harness.crowd import together
from harness.world import Caller


@pytest.fixture
def two(world, cluster):
    """A root of their own with two administrators, each with an open grant: callers and the ids of their grants."""
    root = samples.fresh("CC-TU")
    world.bootstrap(root, f"Tỉnh ủy {root}")
    names = [f"{root.lower()}.administrator", samples.fresh("cc.goc").lower()]
    world.account(world.at(root, "administrator"), names[1], (root, "administrator"))
    callers = [Caller(world, world.login(n, password=world.passwords[n]).json()["access_token"]) for n in names]
    grants = [str(cluster.query("SELECT g.id FROM access_grant g JOIN account a ON a.id = g.account_id WHERE a.username = %s", [n])[0][0]) for n in names]
    yield callers, grants, names
    world.forget()
    for one in callers:
        one.close()


def end(one, grant):
    return one.request("DELETE", f"/v1/grants/{grant}", headers=[("If-Match", "*")])


def left(cluster, grants):
    return cluster.query("SELECT count(*) FROM access_grant WHERE id = ANY (%s::uuid[]) AND revoked_at IS NULL AND valid_to IS NULL", [grants])[0][0]


@pytest.mark.parametrize("again", range(3))
def test_two_who_end_each_others_grants(two, cluster, again):
    callers, grants, _ = two
    answers = together(callers, lambda one, i: end(one, grants[1 - i]))
    assert left(cluster, grants) == 1, answers
    assert {a.status for a in answers} <= {204, 401, 409, 503}, answers


def test_one_who_suspends_and_one_who_ends(two, cluster):
    callers, grants, names = two
    answers = together(callers, lambda one, i: end(one, grants[1]) if i == 0 else one.patch(f"/v1/accounts/{names[0]}", {"status": "suspended"}, "*"))
    able = cluster.query("""SELECT count(*) FROM access_grant g JOIN account a ON a.id = g.account_id WHERE g.id = ANY (%s::uuid[])
        AND g.revoked_at IS NULL AND a.status = 'active'""", [grants])[0][0]
    assert able == 1, answers


def test_who_lasts_for_a_time_is_not_enough(two, cluster):
    """The grant without an end cannot be taken away by one whose own will end, nor be given an end."""
    callers, grants, _ = two
    assert callers[0].patch(f"/v1/grants/{grants[1]}", {"valid_to": "2099-12-31"}, "*").status == 200
    for answer in (end(callers[1], grants[0]), callers[1].patch(f"/v1/grants/{grants[0]}", {"valid_to": "2099-12-31"}, "*")):
        assert answer.status == 409 and answer.code == "last_administrator", answer
    assert callers[0].patch(f"/v1/grants/{grants[1]}", {"valid_to": None}, "*").status == 200
    assert end(callers[1], grants[0]).status == 204
    assert left(cluster, grants) == 1
