"""Values: who may enter what, and under which precondition; revisions; numbers in their own digits."""
from decimal import Decimal

import pytest
from harness import samples


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


@pytest.fixture
def own(world, aa):
    """A fresh indicator assigned to ward W1 itself and to its cells (entered by the ward)."""
    def make(kind="number", **more):
        code = world.indicator(aa, samples.fresh("AA-V"), "AA-P", kind, **more)["code"]
        world.assign(aa, code, organization="AA-W1")
        world.assign(aa, code, kind="party_cell", under="AA-TU", entered_by="superior")
        return code
    return make


def url(indicator, unit="AA-W1", period="2026-Q1"):
    return f"/v1/values/{indicator}/{unit}/{period}"


def test_creating_reading_replacing(world, own):
    code, ward = own("ratio"), world.at("AA-W1", "reporter")
    assert ward.get(url(code)).status == 404
    made = ward.enter(code, "AA-W1", "2026-Q1", {"numerator": 27, "denominator": 30, "source": "Biên bản"})
    assert made.status == 201 and made.etag == '"1"' and made.header("Location") == url(code)
    body = made.json()
    assert (body["percent"], body["state"], body["revision"], body["on_behalf"], body["entered_by"]) == (90, "reported", 1, False, "AA-W1")
    assert ward.get(url(code)).json() == body
    assert ward.get(url(code), [("If-None-Match", made.etag)]).status == 304
    changed = ward.enter(code, "AA-W1", "2026-Q1", {"numerator": 28, "denominator": 30, "reason": "Đếm sót"}, made.etag)
    assert changed.status == 200 and changed.json()["revision"] == 2 and changed.json()["source"] is None
    same = ward.enter(code, "AA-W1", "2026-Q1", {"numerator": 28.0, "denominator": 30}, changed.etag)
    assert same.status == 200 and same.json()["version"] == 2, "what changes nothing is no revision"


def test_preconditions(world, own):
    code, ward = own(), world.at("AA-W1", "reporter")
    body = {"number": 1}
    assert ward.put(url(code), body).status == 428
    assert ward.put(url(code), body, [("If-Match", '"1"')]).status == 412, "nothing is there"
    assert ward.put(url(code), body, [("If-Match", "*")]).status == 412
    for malformed in ("W/*", "zz"):
        refused = ward.put(url(code, "AA-W1-C4"), body, [("If-None-Match", malformed)])
        assert refused.status == 400 and refused.code == "bad_header" and ("If-None-Match", "format") in refused.faults(), refused
    made = ward.put(url(code), body, [("If-None-Match", "*")])
    assert made.status == 201
    assert ward.put(url(code), body, [("If-None-Match", "*")]).status == 412
    assert ward.put(url(code), {"number": 2}).status == 428
    assert ward.put(url(code), {"number": 2}, [("If-Match", '"7"')]).status == 412
    for malformed in ("1", '"1', "W/*", '*, "1"', ""):
        assert ward.put(url(code), {"number": 2}, [("If-Match", malformed)]).code == "bad_header", malformed
        assert ward.get(url(code), [("If-None-Match", malformed)]).code == "bad_header", malformed
    assert ward.put(url(code), {"number": 2}, [("If-Match", "W/" + made.etag)]).status == 412, "weak tags match nothing here"
    assert ward.get(url(code), [("If-None-Match", f'"7", W/{made.etag}')]).status == 304, "but they do there"
    assert ward.put(url(code), {"number": 2}, [("If-Match", f'"7", {made.etag}')]).status == 200
    assert ward.put(url(code), {"number": 3}, [("If-Match", "*")]).status == 200
    assert ward.get(url(code)).json()["number"] == 3


def test_on_behalf_of_a_cell_and_by_the_cell_itself(world, own):
    code = own()
    made = world.at("AA-W1", "reporter").enter(code, "AA-W1-C1", "2026-Q1", {"number": 5})
    assert made.json()["on_behalf"] is True and made.json()["entered_by"] == "AA-W1"
    seen = world.at("AA-W1-C1", "viewer").get(url(code, "AA-W1-C1"))
    assert seen.json()["on_behalf"] is True, "the cell sees what was entered for it"
    again = world.at("AA-W1-C1", "reporter").enter(code, "AA-W1-C1", "2026-Q1", {"number": 6}, made.etag)
    assert again.json()["on_behalf"] is False and again.json()["entered_by"] == "AA-W1-C1"


def test_not_marked_entered_by_superior_is_403(world, aa):
    code = world.indicator(aa, samples.fresh("AA-V"), "AA-P", "number")["code"]
    world.assign(aa, code, kind="party_cell", under="AA-TU")
    refused = world.at("AA-W1", "reporter").enter(code, "AA-W1-C1", "2026-Q1", {"number": 5})
    assert refused.status == 403
    assert world.at("AA-W1-C1", "reporter").enter(code, "AA-W1-C1", "2026-Q1", {"number": 5}).status == 201


def test_not_assigned_is_422(world, own):
    code = own()
    answer = world.at("AA-W2", "reporter").enter(code, "AA-W2", "2026-Q1", {"number": 1})
    assert answer.status == 422 and "not_assigned" in {c for _, c in answer.faults()}


def test_assigned_for_a_time(world, aa):
    code = world.indicator(aa, samples.fresh("AA-V"), "AA-P", "number")["code"]
    world.assign(aa, code, organization="AA-W1", valid_from="2026-01-01", valid_to="2026-03-31")
    ward = world.at("AA-W1", "reporter")
    assert ward.enter(code, "AA-W1", "2026-Q1", {"number": 1}).status == 201
    for period in ("2025-Q4", "2026-Q2"):
        assert ward.enter(code, "AA-W1", period, {"number": 1}).status == 422


def test_periods_must_fit_and_have_begun(world, own):
    code, ward = own(), world.at("AA-W1", "reporter")
    for period, status in (("2026-M01", 422), ("2026-A1", 422), ("2031-Q1", 422), ("2026-Q9", 404), ("NO-SUCH", 404)):
        assert ward.enter(code, "AA-W1", period, {"number": 1}).status == status, period


def test_a_period_begins_by_the_clock(world, own, moved, cluster):
    code = own()
    seconds = cluster.query("SELECT extract(epoch FROM timestamptz '2027-01-01 00:00 Asia/Ho_Chi_Minh' - clock_now())")[0][0]
    for ahead, status in ((-5, 422), (5, 201)):
        moved.move(float(seconds) + ahead)
        world.forget()
        assert world.at("AA-W1", "reporter").enter(code, "AA-W1", "2027-Q1", {"number": 1}).status == status


@pytest.mark.parametrize("kind,body,pointer", [
    ("ratio", {"numerator": 1}, "#/denominator"), ("ratio", {"denominator": 1}, "#/numerator"), ("ratio", {"number": 1}, "#/number"),
    ("ratio", {"numerator": 1, "denominator": 0}, "#/denominator"), ("ratio", {"numerator": -1, "denominator": 2}, "#/numerator"),
    ("ratio", {"numerator": "1", "denominator": 2}, "#/numerator"), ("number", {"numerator": 1, "denominator": 2}, "#/numerator"),
    ("number", {"number": True}, "#/number"), ("number", {"number": None}, "#/number"), ("number", {"number": 1, "done": False}, "#/done_on"),
    ("number", {"state": "not_applicable", "number": 1}, "#/number"), ("number", {"state": "draft", "number": 1}, "#/state"),
    ("number", {"number": 1, "evidence_url": "ftp://x/y"}, "#/evidence_url"), ("number", {"number": 1, "evidence_url": "javascript:alert(1)"}, "#/evidence_url"),
    ("rank", {"number": 0}, "#/number"), ("rank", {"number": 1.5}, "#/number"),
    ("milestone", {"done": True}, "#/done_on"), ("milestone", {"done_on": "2026-02-29"}, "#/done_on"), ("milestone", {"done_on": "2026-04-01"}, "#/done_on"),
    ("milestone", {"done": False, "done_on": "2026-01-01"}, "#/done_on"), ("milestone", {"number": 1}, "#/number"),
    ("number", {"number": 1, "percent": 3}, "#/percent"), ("number", {"note": "x"}, "#/number"),
])
def test_what_does_not_fit_the_kind(world, own, kind, body, pointer):
    code, ward = own(kind), world.at("AA-W1", "reporter")
    answer = ward.enter(code, "AA-W1", "2026-Q1", body)
    assert answer.status == 422 and pointer in answer.pointers(), answer
    assert ward.get(url(code)).status == 404, "nothing was changed"


@pytest.mark.parametrize("kind,body", [
    ("ratio", {"numerator": 0, "denominator": 0}), ("ratio", {"numerator": 35, "denominator": 30}), ("number", {"number": -12.5}),
    ("number", {"state": "not_applicable", "note": "Không có"}), ("milestone", {"done_on": "2026-03-31"}), ("milestone", {"done": False}),
    ("rank", {"number": 3}), ("number", {"number": 0, "state": "reported"})])
def test_what_fits(world, own, kind, body):
    code, ward = own(kind), world.at("AA-W1", "reporter")
    answer = ward.enter(code, "AA-W1", "2026-Q1", body)
    assert answer.status == 201, answer
    for name, value in body.items():
        if name != "done":
            assert answer.json()[name] == (value if not isinstance(value, float) else Decimal(str(value)))


@pytest.mark.parametrize("digits", ["0.1", "0.3", "123456789012345", "0.123456789012345", "1.10", "1e3", "12345.6789012345", "-0.000001", "1E-7", "999999999999.999"])
def test_numbers_come_back_in_their_own_digits(world, own, digits):
    code, ward = own(), world.at("AA-W1", "reporter")
    answer = ward.put(url(code), f'{{"number": {digits}}}', [("If-None-Match", "*"), ("Content-Type", "application/json")])
    assert answer.status == 201, answer
    assert answer.json()["number"] == Decimal(digits)
    listed = ward.items("/v1/values", indicator=code)[0]["number"]
    assert listed == Decimal(digits)
    assert f'"number":{Decimal(digits).normalize():f}' in answer.text.replace(" ", "")


def test_categories(world, aa):
    code = world.indicator(aa, samples.fresh("AA-V"), "AA-P", "number", categories=["Nam", "Nữ & khác"])["code"]
    world.assign(aa, code, organization="AA-W1")
    ward = world.at("AA-W1", "reporter")
    assert ward.enter(code, "AA-W1", "2026-Q1", {"number": 1}).status == 422
    assert ward.enter(code, "AA-W1", "2026-Q1", {"number": 1}, category="Trẻ").status == 422
    made = ward.enter(code, "AA-W1", "2026-Q1", {"number": 2}, category="Nữ & khác")
    assert made.status == 201 and made.json()["category"] == "Nữ & khác"
    assert ward.request("GET", made.header("Location")).json() == made.json()
    assert ward.get(url(code), category="Nam").status == 404
    assert [v["category"] for v in ward.items("/v1/values", indicator=code, category="Nữ & khác")] == ["Nữ & khác"]


def test_a_source_is_asked_for_where_it_must_be(world, aa):
    code = world.indicator(aa, samples.fresh("AA-V"), "AA-P", "number", source_required=True)["code"]
    world.assign(aa, code, organization="AA-W1")
    ward = world.at("AA-W1", "reporter")
    assert "#/source" in ward.enter(code, "AA-W1", "2026-Q1", {"number": 1}).pointers()
    assert ward.enter(code, "AA-W1", "2026-Q1", {"number": 1, "source": "Báo cáo"}).status == 201


def test_values_of_a_connected_system_come_from_it_alone(world, aa):
    code = world.indicator(aa, samples.fresh("AA-V"), "AA-P", "number")["code"]
    world.assign(aa, code, organization="AA-W1", source="client", client=world.clients["aa"][0])
    other = world.indicator(aa, samples.fresh("AA-V"), "AA-P", "number")["code"]
    world.assign(aa, other, organization="AA-W1", source="hand")
    ward, machine = world.at("AA-W1", "reporter"), world.connector()
    assert ward.enter(code, "AA-W1", "2026-Q1", {"number": 1}).status == 403
    assert machine.enter(code, "AA-W1", "2026-Q1", {"number": 1}).status == 201
    assert machine.enter(other, "AA-W1", "2026-Q1", {"number": 1}).status == 403
    assert ward.enter(other, "AA-W1", "2026-Q1", {"number": 1}).status == 201


def test_filters(world, own, cluster):
    code, ward = own(), world.at("AA-W1", "reporter")
    for unit, period, number in (("AA-W1", "2026-Q1", 1), ("AA-W1-C1", "2026-Q1", 2), ("AA-W1-C2", "2026-Q2", 3)):
        world.must(ward.enter(code, unit, period, {"number": number}))
    world.must(ward.enter(code, "AA-W1-C3", "2026-Q2", {"state": "not_applicable"}))

    def found(**query):
        return [(v["organization"], v["period"]) for v in ward.items("/v1/values", indicator=code, **query)]

    assert found() == [("AA-W1", "2026-Q1"), ("AA-W1-C1", "2026-Q1"), ("AA-W1-C2", "2026-Q2"), ("AA-W1-C3", "2026-Q2")]
    assert found(organization="AA-W1") == [("AA-W1", "2026-Q1")]
    assert found(under="AA-W1-C1") == [("AA-W1-C1", "2026-Q1")]
    assert found(period="2026-Q2", state="reported") == [("AA-W1-C2", "2026-Q2")]
    assert found(on_behalf="false") == [("AA-W1", "2026-Q1")]
    assert len(found(period__in="2026-Q1,2026-Q2")) == 4
    assert found(updated_at__gte="2099-01-01T00:00:00Z") == []
    assert len(found(updated_at__gte="2020-01-01T07:00:00+07:00")) == 4
    assert [v["number"] for v in ward.items("/v1/values", indicator=code, sort="-updated_at", limit=2)] == [None, 3, 2, 1]
    assert ward.get("/v1/values", organization="AA-W2").status == 422
    assert ward.get("/v1/values", indicator="BB-RATIO").status == 422
    item = ward.get("/v1/values", indicator=code, embed="indicator,organization", limit=1).json()["items"][0]
    assert item["organization_detail"]["name"] == "Đảng ủy phường Hòa Bình" and item["indicator_detail"]["code"] == code


def test_the_sheet(world, own):
    code, ward = own(), world.at("AA-W1", "reporter")
    world.must(ward.enter(code, "AA-W1-C1", "2026-Q1", {"number": 7}))
    made = ward.enter(code, "AA-W1", "2026-Q2", {"number": 4})
    rows = {r["organization"]: r for r in ward.items("/v1/values/sheet", organization="AA-W1", period="2026-Q2", indicator=code, limit=2)}
    assert set(rows) >= {"AA-W1", "AA-W1-C1", "AA-W1-C4"} and "AA-W2-C1" not in rows
    assert "AA-W1-OLD" not in rows, "it had ended before the period"
    assert rows["AA-W1"]["version"] == made.json()["version"] and rows["AA-W1"]["number"] == 4 and not rows["AA-W1"]["on_behalf"]
    assert rows["AA-W1-C1"]["version"] is None and rows["AA-W1-C1"]["on_behalf"] is True
    assert (rows["AA-W1-C1"]["last_period"], rows["AA-W1-C1"]["last_value"]) == ("2026-Q1", 7)
    assert rows["AA-W1-C1"]["organization_name"] == "Chi bộ khu phố 1"
    assert world.at("AA-W2", "reporter").get("/v1/values/sheet", organization="AA-W1", period="2026-Q2").status in (404, 422)
    assert ward.get("/v1/values/sheet", organization="AA-W1").status == 400
