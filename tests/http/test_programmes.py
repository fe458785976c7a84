"""Programmes, indicators, assignments, targets and periods."""
import pytest
from harness import samples


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def codes(items):
    return [item["code"] for item in items]


@pytest.fixture
def new(world, aa):
    """A fresh indicator of AA-P."""
    def make(kind="number", **more):
        return world.indicator(aa, samples.fresh("AA-I"), "AA-P", kind, **more)["code"]
    return make


# ---- programmes ----
def test_programmes_are_seen_where_their_scope_covers(world, aa):
    assert "AA-P" in codes(aa.items("/v1/programmes"))
    assert "AA-P" in codes(world.at("AA-W1-C1", "viewer").items("/v1/programmes"))
    assert "AA-P" not in codes(world.at("BB-TU", "manager").items("/v1/programmes"))
    assert world.at("BB-TU", "manager").get("/v1/programmes/AA-P").status == 404
    assert world.at("AA-W1-C1", "viewer").get("/v1/programmes/AA-P").json()["pillars"] == [
        {"code": "TT", "name": "Tuyên truyền"}, {"code": "HT", "name": "Hạ tầng"}]


def test_a_programme_in_a_ward_is_not_seen_beside_it(world):
    ward = world.at("AA-W1", "manager")
    code = samples.fresh("AA-P")
    assert ward.post("/v1/programmes", {"code": code, "title": "Chương trình phường", "owner": "AA-W1", "scope": "AA-W1"}).status == 201
    assert world.at("AA-W2", "viewer").get(f"/v1/programmes/{code}").status == 404
    assert world.at("AA-W1-C1", "viewer").get(f"/v1/programmes/{code}").status == 200


def test_changing_a_programme(aa):
    code = samples.fresh("AA-P")
    made = aa.post("/v1/programmes", {"code": code, "title": "Cũ", "owner": "AA-TU", "scope": "AA-TU", "note": "x",
                                      "pillars": [{"code": "A", "name": "Một"}]})
    answer = aa.patch(f"/v1/programmes/{code}", {"title": "Mới", "note": None, "pillars": [{"code": "B", "name": "Hai"}]}, made.etag)
    assert answer.status == 200
    body = answer.json()
    assert (body["title"], body["note"], codes(body["pillars"])) == ("Mới", None, ["B"])
    assert aa.get(f"/v1/programmes/{code}").json() == body
    for readonly in ("code", "owner", "scope"):
        assert aa.patch(f"/v1/programmes/{code}", {readonly: "AA-W1"}, answer.etag).status == 422


def test_a_pillar_in_use_stays(aa):
    etag = aa.get("/v1/programmes/AA-P").etag
    answer = aa.patch("/v1/programmes/AA-P", {"pillars": [{"code": "HT", "name": "Hạ tầng"}]}, etag)
    assert answer.status == 409 and answer.code in ("in_use", "pillar_in_use")
    assert aa.get("/v1/programmes/AA-P").etag == etag


@pytest.mark.parametrize("change,pointer", [
    ({"starts_on": "2026-01-02", "ends_on": "2026-01-01"}, "#/ends_on"), ({"scope": "BB-TU"}, "#/scope"), ({"owner": "NO-SUCH"}, "#/owner"),
    ({"title": ""}, "#/title"), ({"pillars": [{"code": "A", "name": "x"}, {"code": "A", "name": "y"}]}, None),
    ({"pillars": [{"code": "A"}]}, "#/pillars/0/name"), ({"code": "ä"}, "#/code")])
def test_wrong_programmes(aa, change, pointer):
    answer = aa.post("/v1/programmes", {"code": samples.fresh("AA-P"), "title": "T", "owner": "AA-TU", "scope": "AA-TU", **change})
    assert answer.status == 422, answer
    assert pointer is None or pointer in answer.pointers(), answer


def test_programme_codes_are_unique_per_root(world, aa):
    body = {"code": "AA-P", "title": "T", "owner": "AA-TU", "scope": "AA-TU"}
    assert aa.post("/v1/programmes", body).faults() == {("#/code", "code_taken")}
    assert world.at("BB-TU", "manager").post("/v1/programmes", {**body, "owner": "BB-TU", "scope": "BB-TU"}).status == 201
    assert world.at("BB-TU", "manager").get("/v1/programmes/AA-P").json()["scope"] == "BB-TU", "own root first"
    assert aa.get("/v1/programmes/AA-P").json()["scope"] == "AA-TU"


def test_programme_filters(aa):
    assert codes(aa.items("/v1/programmes", code="AA-P")) == ["AA-P"]
    assert "AA-P" in codes(aa.items("/v1/programmes", owner="AA-TU", code__prefix="AA-"))
    assert codes(aa.items("/v1/programmes", title__contains="chuyển đổi số AA")) == ["AA-P"]
    assert codes(aa.items("/v1/programmes", title__contains="%")) == []
    found = codes(aa.items("/v1/programmes", sort="-code"))
    assert found == sorted(found, reverse=True)


# ---- indicators ----
def test_indicator_round_trip(aa, new):
    code = new("ratio", text="Nguyên văn: đạt 100%", note="ghi chú", document="464-KH/TU", pillar="HT", baseline=12.5)
    body = aa.get(f"/v1/indicators/{code}").json()
    assert (body["kind"], body["aggregation"], body["time_aggregation"], str(body["baseline"])) == ("ratio", "ratio_of_sums", "last", "12.5")
    assert body["text"] == "Nguyên văn: đạt 100%" and body["pillar"] == "HT" and body["programme"] == "AA-P"


def test_indicator_filters_and_search(aa):
    assert set(codes(aa.items("/v1/indicators", programme="AA-P", kind__in="rank,milestone"))) >= {"AA-RANK", "AA-MILE"}
    assert codes(aa.items("/v1/indicators", code="AA-RATIO")) == ["AA-RATIO"]
    assert "AA-RATIO" in codes(aa.items("/v1/indicators", q="chi tieu aa-ratio"))
    assert "AA-RATIO" in codes(aa.items("/v1/indicators", pillar="TT", frequency="quarter"))
    assert aa.get("/v1/indicators", programme="BB-P").status == 422
    assert aa.get("/v1/indicators", kind="share").status in (400, 422)


@pytest.mark.parametrize("change,pointer", [
    ({"pillar": "ZZ"}, "#/pillar"), ({"programme": "BB-P"}, "#/programme"), ({"kind": "share"}, "#/kind"), ({"aggregation": "median"}, "#/aggregation"),
    ({"frequency": "week"}, "#/frequency"), ({"categories": []}, "#/categories"), ({"categories": ["a", "a"]}, "#/categories"),
    ({"kind": "ratio", "aggregation": "count_done"}, "#/aggregation"), ({"kind": "milestone", "aggregation": "sum"}, "#/aggregation")])
def test_wrong_indicators(aa, change, pointer):
    body = {"code": samples.fresh("AA-I"), "programme": "AA-P", "name": "N", "unit": "số", "kind": "number", "aggregation": "sum",
            "direction": "increase", "frequency": "quarter", **change}
    answer = aa.post("/v1/indicators", body)
    assert answer.status == 422, answer
    assert any((p or "").startswith(pointer) for p in answer.pointers()), answer


def test_what_values_hang_on_stands(world, aa):
    before = aa.get("/v1/indicators/AA-RATIO")
    for change in ({"kind": "number", "aggregation": "sum"}, {"frequency": "month"}):
        assert aa.patch("/v1/indicators/AA-RATIO", change, before.etag).status == 409, change
    assert aa.patch("/v1/indicators/AA-RATIO", {"code": "ZZ"}, before.etag).status == 422
    assert aa.patch("/v1/indicators/AA-RATIO", {"name": "Tỷ lệ tuyên truyền"}, before.etag).status == 200
    assert aa.get("/v1/indicators/AA-RATIO").json()["name"] == "Tỷ lệ tuyên truyền"


# ---- assignments ----
def test_assignments_of_a_unit_and_of_a_kind(aa, new):
    code = new()
    one = aa.post(f"/v1/indicators/{code}/assignments", {"organization": "AA-W1", "mode": "total", "valid_from": "2025-01-01"})
    assert one.status == 201 and one.json()["organization"] == "AA-W1" and one.json()["entered_by"] == "self"
    kind = aa.post(f"/v1/indicators/{code}/assignments", {"kind": "party_cell", "under": "AA-W2", "mode": "own", "entered_by": "superior"})
    assert kind.json()["kind"] == "party_cell" and kind.json()["under"] == "AA-W2" and kind.json()["organization"] is None
    assert len(aa.items(f"/v1/indicators/{code}/assignments", limit=1)) == 2
    url = f"/v1/indicators/{code}/assignments/{one.json()['id']}"
    ended = aa.patch(url, {"valid_to": "2026-06-30"}, one.etag)
    assert ended.status == 200 and ended.json()["valid_to"] == "2026-06-30"
    assert aa.get(url).json() == ended.json()


@pytest.mark.parametrize("change", [
    {"organization": "AA-W1", "kind": "party_cell", "under": "AA-TU"}, {"kind": "party_cell"}, {"under": "AA-TU"}, {},
    {"organization": "BB-W1"}, {"organization": "AA-W1", "source": "client"}, {"organization": "AA-W1", "client": "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02"},
    {"organization": "AA-W1", "valid_from": "2026-02-01", "valid_to": "2026-01-01"}, {"organization": "AA-W1", "mode": "half"},
    {"kind": "no_such", "under": "AA-TU"}])
def test_wrong_assignments(aa, new, change):
    answer = aa.post(f"/v1/indicators/{new()}/assignments", {"mode": "own", **change})
    assert answer.status == 422, answer


def test_assigning_twice_is_409(aa, new):
    code = new()
    body = {"organization": "AA-W1", "mode": "own", "valid_from": "2025-01-01"}
    assert aa.post(f"/v1/indicators/{code}/assignments", body).status == 201
    assert aa.post(f"/v1/indicators/{code}/assignments", body).status == 409
    assert aa.post(f"/v1/indicators/{code}/assignments", {**body, "organization": "AA-W2"}).status == 201


def test_a_ward_sees_what_concerns_it(world, aa, new):
    code = new()
    for unit in ("AA-W1", "AA-W2"):
        world.assign(aa, code, organization=unit)
    assert [a["organization"] for a in world.at("AA-W1", "viewer").items(f"/v1/indicators/{code}/assignments")] == ["AA-W1"]
    hidden = next(a["id"] for a in aa.items(f"/v1/indicators/{code}/assignments") if a["organization"] == "AA-W2")
    assert world.at("AA-W1", "viewer").get(f"/v1/indicators/{code}/assignments/{hidden}").status == 404


# ---- targets ----
def test_targets(aa, new):
    code = new()
    made = aa.post(f"/v1/indicators/{code}/targets", {
        "organization": "AA-TU", "comparator": "ge", "value": 70, "stretch": 80, "baseline": 10, "starts_on": "2025-01-01", "due_on": "2026-12-31"})
    assert made.status == 201
    url = f"/v1/indicators/{code}/targets/{made.json()['id']}"
    changed = aa.patch(url, {"value": 75.5, "stretch": None}, made.etag)
    assert changed.status == 200 and (str(changed.json()["value"]), changed.json()["stretch"]) == ("75.5", None)
    assert aa.patch(url, {"organization": "AA-W1"}, changed.etag).status == 422
    assert [t["id"] for t in aa.items(f"/v1/indicators/{code}/targets")] == [made.json()["id"]]


@pytest.mark.parametrize("change", [
    {"comparator": "ge"}, {"comparator": "range", "value": 5}, {"comparator": "range", "value": 5, "upper": 4}, {"comparator": "eq", "value": 1},
    {"comparator": "ge", "value": 70, "stretch": 60}, {"comparator": "ge", "value": 1, "starts_on": "2026-02-01", "due_on": "2026-01-01"},
    {"comparator": "milestone", "value": 3}, {"organization": "BB-TU", "comparator": "ge", "value": 1}])
def test_wrong_targets(aa, new, change):
    answer = aa.post(f"/v1/indicators/{new()}/targets", {"organization": "AA-TU", **change})
    assert answer.status == 422, answer


def test_targets_above_are_seen_below(world):
    found = world.at("AA-W1-C1", "viewer").items("/v1/indicators/AA-RATIO/targets")
    assert [t["organization"] for t in found] == ["AA-TU"]
    assert world.at("BB-TU", "manager").get("/v1/indicators/AA-RATIO/targets").status == 404


# ---- periods ----
def test_periods(aa):
    quarter = aa.items("/v1/periods", code="2026-Q2")[0]
    assert (quarter["kind"], quarter["starts_on"], quarter["ends_on"]) == ("quarter", "2026-04-01", "2026-06-30")
    kinds = {p["code"]: (p["starts_on"], p["ends_on"]) for p in aa.items("/v1/periods", starts_on__gte="2026-01-01", ends_on__lte="2026-12-31")}
    assert kinds["2026-A1"] == ("2026-01-01", "2026-12-31") and kinds["2026-S1"] == ("2026-01-01", "2026-06-30")
    assert kinds["2026-9M"] == ("2026-01-01", "2026-09-30") and kinds["2026-M02"] == ("2026-02-01", "2026-02-28")
    assert {p["kind"] for p in aa.items("/v1/periods", kind__in="year,half_year", starts_on__gte="2026-01-01")} == {"year", "half_year"}
    assert set(codes(aa.items("/v1/periods", code__in="2026-Q1,2026-Q4"))) == {"2026-Q1", "2026-Q4"}
    assert aa.get("/v1/periods", starts_on__gte="2026-02-30").status in (400, 422)


def test_a_programme_has_phases_that_are_periods(world):
    manager = world.at("AA-TU", "manager")
    code = samples.fresh("AA-GD")
    phases = [{"code": "GD1", "name": "Giai đoạn 1", "starts_on": "2025-05-07", "ends_on": "2025-12-31"}]
    made = manager.post("/v1/programmes", {"code": code, "title": "Thử giai đoạn", "owner": "AA-TU", "scope": "AA-TU", "phases": phases})
    assert made.status == 201 and made.json()["phases"] == [{**phases[0], "period": f"{code}.GD1"}], made
    assert [p["code"] for p in manager.items("/v1/periods", kind="phase") if p["code"].startswith(code)] == [f"{code}.GD1"]
    more = [{**phases[0], "ends_on": "2026-01-31"}, {"code": "GD2", "starts_on": "2026-02-01", "ends_on": "2027-12-31"}]
    changed = manager.patch(made.header("Location"), {"phases": more}, etag=made.etag)
    assert changed.status == 200 and [p["ends_on"] for p in changed.json()["phases"]] == ["2026-01-31", "2027-12-31"], changed
    world.must(manager.post("/v1/indicators", {"code": samples.fresh("AA-P"), "programme": code, "name": "x", "text": "x", "unit": "percent",
                                               "kind": "number", "direction": "increase", "aggregation": "sum", "frequency": "phase"}))
    backwards = manager.patch(made.header("Location"), {"phases": [{"code": "GD3", "starts_on": "2028-02-01", "ends_on": "2028-01-01"}]}, etag=changed.etag)
    assert backwards.status == 422 and backwards.faults() == {("#/phases", "ends_before_start")}, backwards


def test_the_days_of_a_phase_with_values_stand(world):
    manager = world.at("AA-TU", "manager")
    code = samples.fresh("AA-GD")
    phase = {"code": "GD1", "starts_on": "2025-05-07", "ends_on": "2025-12-31"}
    made = world.must(manager.post("/v1/programmes", {"code": code, "title": "x", "owner": "AA-TU", "scope": "AA-TU", "phases": [phase]}))
    indicator = world.must(manager.post("/v1/indicators", {"code": samples.fresh("AA-P"), "programme": code, "name": "x", "text": "x", "unit": "người",
                                                          "kind": "number", "direction": "increase", "aggregation": "sum", "frequency": "phase"}))["code"]
    world.assign(manager, indicator, kind="directly_subordinate_party_committee", under="AA-TU")
    world.must(world.connector().enter(indicator, "AA-W1", f"{code}.GD1", {"number": 5}))
    path = f"/v1/programmes/{made['id']}"
    later = manager.patch(path, {"phases": [{**phase, "ends_on": "2026-06-30"}]}, etag=manager.get(path).etag)
    assert later.status == 409 and later.faults() == {("#/phases", "period_in_use")}, later
    named = manager.patch(path, {"phases": [{**phase, "name": "Giai đoạn một"}]}, etag=manager.get(path).etag)
    assert named.status == 200 and named.json()["phases"][0]["name"] == "Giai đoạn một", named
