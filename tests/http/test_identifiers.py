"""Identifiers: who holds a number on a day, one root's numbers apart from another's, and what is ambiguous."""
import pytest
from harness import samples

WARD = "directly_subordinate_party_committee"


def make(world, root, name, parent, kind=WARD, **more):
    code = samples.fresh(f"{root}-I{name}")
    return world.must(world.at(f"{root}-TU", "manager").post("/v1/organizations", {
        "code": code, "name": f"Đơn vị {code}", "kind": kind, "parent": parent, "valid_from": "2024-01-01" if parent == "AA-TU" else "2025-08-01", **more}))["code"]


@pytest.fixture(scope="module")
def wards(world):
    """26041 was Trung Dũng's to 2025-06-30; since then it is Trấn Biên's, whose committee, people's committee and Front share it."""
    old = make(world, "AA", "TD", "AA-TU", valid_to="2025-06-30", area_code="27041")
    new = make(world, "AA", "TB", "AA-TU", valid_from="2025-07-01", area_code="27041")
    people = make(world, "AA", "UB", new, "people_committee", valid_from="2025-07-01", area_code="27041")
    front = make(world, "AA", "MT", new, "fatherland_front_committee", valid_from="2025-07-01", area_code="27041")
    return {"old": old, "new": new, "people": people, "front": front}


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "viewer")


def test_a_code_finds_the_unit_of_its_day(aa, wards):
    """The second quarter of 2025 ends on 2025-06-30, the third on 2025-09-30."""
    for day, name in (("2025-06-30", "old"), ("2025-09-30", "new"), ("2024-01-01", "old")):
        answer = aa.get("/v1/identifiers/statistics/27041", kind=WARD, as_of=day)
        assert answer.status == 200 and answer.json()["code"] == wards[name] and answer.json()["area_code"] == "27041", answer
    assert aa.get("/v1/identifiers/statistics/27041", kind=WARD).json()["code"] == wards["new"], "today, without a day"
    assert aa.get("/v1/identifiers/statistics/27041", as_of="2025-06-30").json()["code"] == wards["old"], "one alone needs no kind"
    assert aa.get("/v1/identifiers/statistics/27041", as_of="2023-12-31").status == 404


def test_several_holders_are_told_by_name(world, aa, wards):
    answer = aa.get("/v1/identifiers/statistics/27041")
    assert answer.status == 409 and answer.code == "ambiguous"
    told = [e["detail"] for e in answer.json()["errors"]]
    assert len(told) == 3 and all(any(wards[n] in t for t in told) for n in ("new", "people", "front"))
    assert aa.get("/v1/identifiers/statistics/27041", kind="people_committee").json()["code"] == wards["people"]
    assert aa.get("/v1/identifiers/statistics/27041", kind="press_agency").status == 404
    world.staff(world.at("AA-TU", "administrator"), wards["people"], ("viewer",))
    inside = world.at(wards["people"], "viewer")
    assert inside.get("/v1/identifiers/statistics/27041").json()["code"] == wards["people"], "what is out of sight is no candidate"
    assert inside.get("/v1/identifiers/statistics/27041", kind=WARD).status == 404
    assert world.at("BB-TU", "viewer").get("/v1/identifiers/statistics/27041").status == 404


def test_the_lists_filter_finds_all_of_them(aa, wards):
    def found(**query):
        return {i["code"] for i in aa.items("/v1/organizations", identifier="statistics:27041", **query)}
    assert found() == {wards["new"], wards["people"], wards["front"]}
    assert found(as_of="2025-06-30") == {wards["old"]} and found(kind=WARD) == {wards["new"]}
    assert found(as_of="2025-07-01", kind="people_committee") == {wards["people"]}


@pytest.mark.parametrize("path", ["Statistics/27041", "s/1", "statistics/" + "9" * 65, "statistics/%27%20OR%201=1--", "no_such_scheme/27041",
                                  "statistics/%F0%9F%98%80", "statistics/..%2F27041"])
def test_hostile_values_find_nothing(aa, wards, path):
    assert aa.get(f"/v1/identifiers/{path}").status in (400, 404)


def test_values_with_a_colon_or_a_slash(world, aa):
    value = samples.fresh("H19:15/2")
    code = make(world, "AA", "X", "AA-W2", "party_cell", identifiers=[{"scheme": "internal", "value": value}])
    assert aa.get("/v1/identifiers/internal/" + value.replace("/", "%2F")).json()["code"] == code
    assert [i["code"] for i in aa.items("/v1/organizations", identifier=f"internal:{value}")] == [code]


def test_one_roots_number_is_free_in_another(world):
    """Neither blocked nor told of: a province says nothing of another's numbers."""
    value = samples.fresh("H19.")
    held = {"identifiers": [{"scheme": "electronic_identifier", "value": value}]}
    first = make(world, "AA", "N", "AA-W2", "party_cell", **held)
    second = make(world, "BB", "N", "BB-W1", "party_cell", **held)
    for root, code in (("AA", first), ("BB", second)):
        assert world.at(f"{root}-TU", "viewer").get(f"/v1/identifiers/electronic_identifier/{value}").json()["code"] == code
    again = world.at("AA-TU", "manager").post("/v1/organizations", {"code": samples.fresh("AA-I"), "name": "Chi bộ", "kind": "party_cell",
                                                                    "parent": "AA-W1", **held})
    assert again.status == 409 and again.code == "identifier_taken" and again.faults() == {("#/identifiers", "identifier_taken")}


def test_numbers_pass_on_when_their_days_are_over(world, aa):
    value = samples.fresh("000.00.")
    first = make(world, "AA", "P", "AA-W2", "party_cell", identifiers=[{"scheme": "electronic_identifier_2016", "value": value, "valid_to": "2025-12-31"}])
    second = make(world, "AA", "P", "AA-W2", "party_cell", identifiers=[{"scheme": "electronic_identifier_2016", "value": value, "valid_from": "2026-01-01"}])
    for day, code in (("2025-12-31", first), ("2026-01-01", second)):
        assert aa.get(f"/v1/identifiers/electronic_identifier_2016/{value}", as_of=day).json()["code"] == code


def test_a_number_that_was_corrected_is_found_by_its_new_value(world, aa):
    manager, old, new = world.at("AA-TU", "manager"), samples.fresh("A1"), samples.fresh("A2")
    code = make(world, "AA", "C", "AA-W2", "party_cell", identifiers=[{"scheme": "internal", "value": old}])
    answer = manager.patch(f"/v1/organizations/{code}", {"identifiers": [{"scheme": "internal", "value": new}]}, "*")
    assert answer.status == 200
    assert aa.get(f"/v1/identifiers/internal/{old}").status == 404 and aa.get(f"/v1/identifiers/internal/{new}").json()["code"] == code


def test_joining_two_roots_tells_which_numbers_both_gave(world, cluster):
    """Two units of two roots with one number cannot come under one root until one of them lets go of it."""
    value = samples.fresh("JOIN")
    held = {"identifiers": [{"scheme": "internal", "value": value}]}
    make(world, "AA", "J", "AA-W2", "party_cell", **held)
    other = make(world, "BB", "J", "BB-W1", "party_cell", **held)
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM organization WHERE code = 'AA-TU'")
        root = cursor.fetchone()[0]
        with pytest.raises(Exception, match="identifier_taken"):
            cursor.execute("UPDATE organization SET root_id = %s WHERE code = %s", [root, other])
        connection.rollback()
