"""The tree of any day: names, kinds, parents and who was there, past and to come, without a wider sight of it."""
import csv
import io

import pytest
from harness import samples

CELL, WARD = "party_cell", "directly_subordinate_party_committee"
MONDAY, NEXT = "2026-03-02", "2027-03-01"


def codes(items):
    return [item["code"] for item in items]


@pytest.fixture(scope="module")
def tree(world):
    """AA-TU has since 2025-01-01 wards A and B; A was called Trung Dũng to 2025-06-30 and was a town committee until then; a cell of A
    moved to B on 2026-03-02; C ends on 2025-12-31; D begins on 2027-01-01."""
    aa = world.at("AA-TU", "manager")

    def unit(name, parent, kind=WARD, **more):
        code = samples.fresh(f"AA-Z{name}")
        return world.must(aa.post("/v1/organizations", {"code": code, "name": f"Đơn vị {name}", "kind": kind, "parent": parent,
                                                        "valid_from": "2025-01-01", **more}))["code"]
    a = unit("A", "AA-TU", former=[{"name": "Thị ủy Trung Dũng", "kind": "town_party_committee", "valid_to": "2025-06-30"}],
             identifiers=[{"scheme": "statistics", "value": "26051", "valid_to": "2025-06-30"},
                          {"scheme": "statistics", "value": "26052", "valid_from": "2025-07-01"}])
    b, c = unit("B", "AA-TU"), unit("C", "AA-TU", valid_to="2025-12-31")
    d = unit("D", "AA-TU", valid_from="2027-01-01")
    cell, below = unit("K", a, "party_cell"), unit("L", c, "party_cell", valid_to="2025-12-31")
    moved = aa.post("/v1/reorganizations", {"decision": samples.fresh("QĐ"), "effective_on": MONDAY, "steps": [
        {"kind": "move", "organization": cell, "parent": b}]}, [("Idempotency-Key", samples.fresh("k"))])
    assert moved.status == 201, moved
    return {"a": a, "b": b, "c": c, "d": d, "cell": cell, "below": below}


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def test_a_unit_as_it_was(aa, tree):
    then = aa.get(f"/v1/organizations/{tree['a']}", as_of="2025-06-30").json()
    assert (then["name"], then["kind"], then["area_code"]) == ("Thị ủy Trung Dũng", "town_party_committee", "26051")
    assert then["former"] == [] and then["has_children"] and then["depth"] == 1 and then["parent"]["code"] == "AA-TU"
    now = aa.get(f"/v1/organizations/{tree['a']}", as_of="2025-07-01").json()
    assert (now["name"], now["kind"], now["area_code"]) == ("Đơn vị A", WARD, "26052")
    assert [f["name"] for f in now["former"]] == ["Thị ủy Trung Dũng"]
    assert {**now, "has_children": False} == aa.get(f"/v1/organizations/{tree['a']}").json()


def test_a_move_changes_the_parent_from_its_day_on(aa, tree):
    for day, parent in (("2026-03-01", "a"), (MONDAY, "b"), ("2030-01-01", "b")):
        unit = aa.get(f"/v1/organizations/{tree['cell']}", as_of=day).json()
        assert unit["parent"]["code"] == tree[parent] and unit["depth"] == 2, day
        assert tree["cell"] in codes(aa.items(f"/v1/organizations/{tree[parent]}/children", as_of=day))
        assert codes(aa.get(f"/v1/organizations/{tree['cell']}/ancestors", as_of=day).json()["items"]) == ["AA-TU", tree[parent]]
        other = tree["b" if parent == "a" else "a"]
        assert tree["cell"] not in codes(aa.items(f"/v1/organizations/{other}/children", as_of=day))
        assert tree["cell"] in codes(aa.items("/v1/organizations", as_of=day, under=tree[parent]))
        assert tree["cell"] not in codes(aa.items("/v1/organizations", as_of=day, under=other))
        assert codes(aa.items("/v1/organizations", as_of=day, parent=tree[parent])) == [tree["cell"]]
        assert codes(aa.get(f"/v1/organizations/{tree[parent]}/subtree", as_of=day).json()["items"]) == [tree[parent], tree["cell"]]
    assert aa.get(f"/v1/organizations/{tree['a']}", as_of="2026-03-01").json()["has_children"]
    assert not aa.get(f"/v1/organizations/{tree['a']}", as_of=MONDAY).json()["has_children"]


@pytest.mark.parametrize("path", ["", "/children", "/ancestors", "/subtree"])
def test_a_day_on_which_a_unit_was_not_there_is_404(aa, tree, path):
    for unit, day in (("a", "2024-12-31"), ("c", "2026-01-01"), ("d", "2026-12-31"), ("below", "2026-01-01")):
        assert aa.get(f"/v1/organizations/{tree[unit]}{path}", as_of=day).status == 404, (unit, day)
    assert aa.get(f"/v1/organizations/{tree['c']}{path}", as_of="2025-12-31").status == 200
    assert aa.get(f"/v1/organizations/{tree['d']}{path}", as_of="2027-01-01").status == 200


def test_lists_hold_the_units_of_the_day(aa, tree):
    def there(day):
        return {name for name, code in tree.items() if code in codes(aa.items("/v1/organizations", as_of=day, limit=1000))}
    assert there("2024-12-31") == set()
    assert there("2025-12-31") == {"a", "b", "c", "cell", "below"}
    assert there("2026-06-01") == {"a", "b", "cell"}
    assert there("2027-01-01") == {"a", "b", "d", "cell"}
    assert aa.items("/v1/organizations", as_of="0001-01-01") == []
    assert set(tree.values()) <= set(codes(aa.items("/v1/organizations", limit=1000))), "the register holds all of them"


def test_filters_go_by_the_day(aa, tree):
    def found(**query):
        return set(codes(aa.items("/v1/organizations", limit=1000, **query))) & set(tree.values())
    assert tree["a"] in found(as_of="2025-06-30", kind="town_party_committee") and tree["a"] not in found(as_of="2025-07-01", kind="town_party_committee")
    assert tree["a"] not in found(as_of="2025-06-30", kind__ne="town_party_committee")
    assert found(as_of="2025-06-30", q="trung dung") == {tree["a"]} and found(as_of="2025-07-01", q="trung dung") == set()
    assert found(as_of="2025-06-30", q="dung thi") == {tree["a"]}, "every word, in any order"
    assert found(as_of="2025-06-30", identifier="statistics:26051") == {tree["a"]} and found(as_of="2025-07-01", identifier="statistics:26051") == set()
    assert found(identifier="statistics:26052") == {tree["a"]} and found(identifier="statistics:26051") == set()
    row = aa.get("/v1/organizations", as_of="2025-06-30", code=tree["a"], embed="parent").json()["items"][0]
    assert (row["name"], row["parent"], row["parent_organization"]["code"]) == ("Thị ủy Trung Dũng", "AA-TU", "AA-TU")


def test_pages_and_exports_of_a_day(aa, tree):
    paged = codes(aa.items("/v1/organizations", as_of="2025-12-31", limit=3))
    whole = codes(aa.items("/v1/organizations", as_of="2025-12-31", limit=1000))
    assert paged == whole and len(set(whole)) == len(whole)
    sheet = aa.get("/v1/organizations", [("Accept", "text/csv")], as_of="2025-06-30", code=tree["a"])
    row = next(csv.DictReader(io.StringIO(sheet.text.lstrip("\ufeff"))))
    assert (row["name"], row["area_code"], row["former"]) == ("Thị ủy Trung Dũng", "26051", "[]")
    first = aa.get("/v1/organizations", as_of="2025-12-31", limit=3).json()["page"]["next"]
    for other in ({"as_of": "2025-12-30"}, {}):
        assert aa.get("/v1/organizations", limit=3, cursor=first, **other).code == "bad_cursor", "a cursor belongs to its day"


def test_without_a_day_the_tree_is_todays(aa, tree):
    below = codes(aa.items("/v1/organizations/AA-TU/children", limit=1000))
    assert tree["a"] in below and tree["c"] not in below and tree["d"] not in below and "AA-OLD" not in below
    deep = aa.get("/v1/organizations/AA-TU/subtree", depth=5).json()
    assert not {tree["c"], tree["d"], tree["below"], "AA-W1-OLD"} & set(codes(deep["items"])) and tree["cell"] in codes(deep["items"])
    assert aa.get(f"/v1/organizations/{tree['c']}/subtree").json() == {"items": [], "truncated": False}
    assert aa.items(f"/v1/organizations/{tree['c']}/children") == []
    assert codes(aa.get(f"/v1/organizations/{tree['below']}/ancestors").json()["items"]) == ["AA-TU", tree["c"]], "those of its last day"
    assert codes(aa.get(f"/v1/organizations/{tree['d']}/ancestors").json()["items"]) == ["AA-TU"]
    assert not aa.get(f"/v1/organizations/{tree['a']}").json()["has_children"] and aa.get(f"/v1/organizations/{tree['b']}").json()["has_children"]


def test_the_tag_is_of_the_day(aa, tree):
    path = f"/v1/organizations/{tree['b']}"
    plain, then = aa.get(path), aa.get(path, as_of="2026-01-01")
    assert plain.etag != then.etag and plain.etag.strip('"') == then.etag.strip('"').split(";")[0]
    assert aa.get(path, [("If-None-Match", then.etag)], as_of="2026-01-01").status == 304
    assert aa.get(path, [("If-None-Match", then.etag)], as_of="2026-01-02").status == 200
    assert aa.get(path, [("If-None-Match", then.etag)]).status == 200
    assert aa.get(path, [("If-None-Match", plain.etag)], as_of="2026-01-01").status == 200
    assert aa.patch(path, {"note": "theo thẻ của ngày"}, then.etag).status == 200, "a variant's tag serves If-Match"


@pytest.mark.parametrize("day", ["", "today", "2025-02-30", "2025-13-01", "01/07/2025", "2025-7-1", "infinity", "-infinity", "2025-07-01T00:00:00Z",
                                 "2025-07-01'", "20250701", "0000-01-01", "2025-07-01,2025-07-02"])
def test_what_is_no_day_is_400(aa, tree, day):
    for path in ("", f"/{tree['a']}", f"/{tree['a']}/children", f"/{tree['a']}/ancestors", f"/{tree['a']}/subtree"):
        answer = aa.get(f"/v1/organizations{path}", as_of=day)
        assert answer.status == 400 and answer.pointers() == {"as_of"}, answer
    assert aa.get("/v1/directory", as_of=day).status == 400


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_far_days_are_answered(aa, tree, day):
    there = day > "2026"
    assert aa.get("/v1/organizations", as_of=day).status == 200
    assert aa.get(f"/v1/organizations/{tree['a']}", as_of=day).status == (200 if there else 404)


def test_a_day_widens_no_scope(world, tree):
    """Whoever sits in the old parent sees nothing of what has moved away, on no day; in the new one all of its days."""
    aa = world.at("AA-TU", "administrator")
    for name in ("a", "b"):
        world.staff(aa, tree[name], ("viewer",))
    old, new = world.at(tree["a"], "viewer"), world.at(tree["b"], "viewer")
    for day in ("2026-03-01", MONDAY):
        for path in ("", "/children", "/ancestors", "/subtree"):
            assert old.get(f"/v1/organizations/{tree['cell']}{path}", as_of=day).status == 404
            assert new.get(f"/v1/organizations/{tree['cell']}{path}", as_of=day).status == 200
        assert codes(old.items("/v1/organizations", as_of=day)) == [tree["a"]]
        assert codes(new.items("/v1/organizations", as_of=day)) == [tree["b"], tree["cell"]]
        assert codes(old.items(f"/v1/organizations/{tree['a']}/children", as_of=day)) == []
        assert codes(old.get(f"/v1/organizations/{tree['a']}/subtree", as_of=day).json()["items"]) == [tree["a"]]
        assert not old.get(f"/v1/organizations/{tree['a']}", as_of=day).json()["has_children"], "what is out of sight is not counted"
        assert old.get("/v1/organizations", as_of=day, under=tree["b"]).status == 422
        assert codes(old.items("/v1/organizations", as_of=day, q="don vi")) == [tree["a"]]
    stranger = world.at("BB-TU", "viewer")
    assert not set(tree.values()) & set(codes(stranger.items("/v1/organizations", as_of="2026-01-01", limit=1000)))


def test_search_takes_every_word_in_any_order(aa, tree):
    for q in ("vi don A", "  A   đơn vị ", "DON VI " + tree["a"], tree["a"].lower() + " vị"):
        assert tree["a"] in codes(aa.items("/v1/organizations", q=q)), q
    assert codes(aa.items("/v1/organizations", q=f"{tree['a']} {tree['b']}")) == []
    assert aa.items("/v1/organizations", q=" ") == [], "no word finds nothing"


def test_a_unit_of_the_past_is_told_as_of_its_last_day(world):
    """Its parent's name, its area and what stood below it are those of its last day."""
    manager = world.at("AA-TU", "manager")
    ward, new, cell = (samples.fresh(code) for code in ("AA-CU", "AA-MOI", "AA-CHI"))
    made = world.unit(manager, ward, "Đảng ủy phường cũ", WARD, "AA-TU")
    world.unit(manager, new, "Đảng ủy phường mới", WARD, "AA-TU")
    world.unit(manager, cell, "Chi bộ", CELL, ward)
    world.must(manager.patch(f"/v1/organizations/{ward}", {"area_code": "26488"}, "*"), 200)
    world.must(manager.post("/v1/reorganizations", {"decision": "9-QĐ/TU", "effective_on": "2026-07-01", "steps": [
        {"kind": "merge", "organizations": [ward], "into": new}]}))
    told, then = (manager.get(f"/v1/organizations/{ward}", **query).json() for query in ({}, {"as_of": "2026-06-30"}))
    assert told == then and told["valid_to"] == "2026-06-30" and told["area_code"] == "26488" and told["has_children"] is True
    assert made["code"] == told["code"]
