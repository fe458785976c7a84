"""The calendar of days off: the country's, and a root's own before it."""
from datetime import date

import pytest

DAY = "2026-11-23"


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def put(by, day, body, **precondition):
    return by.put(f"/v1/holidays/{day}", body, [(name.replace("_", "-"), value) for name, value in precondition.items()])


def test_the_country_s_days_are_there(world, aa):
    year = {item["day"]: item for item in aa.items("/v1/holidays", **{"day[gte]": "2026-01-01", "day[lte]": "2026-12-31"})}
    off = [day for day, item in year.items() if not item["working"]]
    assert off == sorted(off) and {"2026-01-01", "2026-02-16", "2026-02-20", "2026-04-27", "2026-04-30", "2026-05-01", "2026-09-01", "2026-09-02",
                                   "2026-11-24"} <= set(off)
    assert [day for day, item in year.items() if item["working"]] == ["2026-01-10", "2026-08-22"]
    assert all(item["country"] for item in year.values())
    assert [item["name"] for item in world.at("AA-W1-C1", "viewer").items("/v1/holidays", day="2026-09-02")] == ["Quốc khánh"]


def test_every_day_worked_was_a_weekend_and_every_exchange_a_working_day(aa):
    for item in aa.items("/v1/holidays"):
        weekday = date.fromisoformat(item["day"]).isoweekday()
        if item["working"]:
            assert weekday > 5, item
        elif "hoán đổi" in item["name"] or "Nghỉ bù" in item["name"]:
            assert weekday < 6, item


def test_a_root_enters_changes_and_takes_away_a_day_of_its_own(world, aa):
    made = put(aa, DAY, {"name": "Nghỉ hoán đổi"}, If_None_Match="*")
    assert made.status == 201 and made.header("Location") == f"/v1/holidays?day={DAY}" and made.etag == '"1"'
    assert (made.json()["country"], made.json()["working"]) == (False, False)
    assert put(aa, DAY, {"name": "Lần nữa"}, If_None_Match="*").status == 412
    assert put(aa, DAY, {"name": "Lần nữa"}).status == 428
    changed = put(aa, DAY, {"name": "Đi làm", "working": True}, If_Match=made.etag)
    assert (changed.status, changed.json()["working"], changed.json()["version"]) == (200, True, 2)
    assert put(aa, DAY, {"name": "Cũ"}, If_Match=made.etag).status == 412
    assert aa.request("DELETE", f"/v1/holidays/{DAY}").status == 428
    assert aa.request("DELETE", f"/v1/holidays/{DAY}", None, [("If-Match", made.etag)]).status == 412
    assert aa.request("DELETE", f"/v1/holidays/{DAY}", None, [("If-Match", changed.etag)]).status == 204
    assert aa.request("DELETE", f"/v1/holidays/{DAY}", None, [("If-Match", "*")]).status == 404
    assert put(aa, DAY, {"name": "Không có gì"}, If_Match="*").status == 412


def test_a_day_is_seen_in_its_own_root_alone(world, aa):
    day = "2027-06-01"
    assert put(aa, day, {"name": "Ngày truyền thống An Bình"}, If_None_Match="*").status == 201
    assert [item["name"] for item in world.at("AA-W2", "viewer").items("/v1/holidays", day=day)] == ["Ngày truyền thống An Bình"]
    assert world.at("BB-TU", "manager").items("/v1/holidays", day=day) == []
    assert put(world.at("BB-TU", "manager"), day, {"name": "Của Bình Bắc"}, If_None_Match="*").status == 201
    assert len(aa.items("/v1/holidays", day=day)) == 1


def test_the_country_s_line_stays_under_the_root_s_own(aa):
    day = "2027-09-02"
    assert put(aa, day, {"name": "Trực", "working": True}, If_Match="*").status == 412, "the country's is not the root's to change"
    assert put(aa, day, {"name": "Trực", "working": True}, If_None_Match="*").status == 201
    assert [(item["country"], item["working"]) for item in aa.items("/v1/holidays", day=day)].count((True, False)) == 1
    assert [item["name"] for item in aa.items("/v1/holidays", day=day, country="false")] == ["Trực"]


def test_who_keeps_the_calendar(world):
    for who in (world.at("AA-W1", "manager"), world.at("AA-W1-XD", "manager")):
        answer = put(who, "2027-06-02", {"name": "Nghỉ"}, If_None_Match="*")
        assert answer.status == 403 and answer.code == "forbidden"
    assert put(world.at("AA-TU", "viewer"), "2027-06-02", {"name": "Nghỉ"}, If_None_Match="*").status == 403
    assert put(world.at("AA-BTG", "manager"), "2027-06-02", {"name": "Nghỉ"}, If_None_Match="*").status == 201, "by mandate over the whole root"


@pytest.mark.parametrize("body,pointer", [({}, "#/name"), ({"name": ""}, "#/name"), ({"name": "x" * 201}, "#/name"),
                                          ({"name": "x", "working": "có"}, "#/working"), ({"name": "x", "zz": 1}, "#/zz")])
def test_what_a_day_needs(aa, body, pointer):
    answer = put(aa, "2027-06-03", body, If_None_Match="*")
    assert answer.status == 422 and pointer in answer.pointers()


def test_a_path_that_is_no_day(aa):
    for day in ("2026-02-30", "homnay"):
        assert put(aa, day, {"name": "x"}, If_None_Match="*").status in (404, 422)


def test_changes_are_journalled(world, aa, cluster):
    day = "2027-06-04"
    made = put(aa, day, {"name": "Nghỉ"}, If_None_Match="*")
    put(aa, day, {"name": "Nghỉ thêm"}, If_Match=made.etag)
    aa.request("DELETE", f"/v1/holidays/{day}", None, [("If-Match", "*")])
    rows = cluster.query("SELECT action, before ->> 'name', after ->> 'name' FROM journal WHERE resource_type = 'holiday' AND coalesce(after, before) ->> 'day' = %s ORDER BY seq", [day])
    assert rows == [("create", None, "Nghỉ"), ("update", "Nghỉ", "Nghỉ thêm"), ("delete", "Nghỉ thêm", None)]
