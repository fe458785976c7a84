"""Organizations: the tree, names over time, search, what may be corrected."""
import pytest
from harness import samples


@pytest.fixture
def aa(world):
    return world.at("AA-TU", "manager")


def codes(items):
    return [item["code"] for item in items]


def test_the_list_is_in_tree_order(aa):
    found = codes(aa.items("/v1/organizations", limit=4))
    assert found[0] == "AA-TU" and len(found) == len(set(found))
    at = found.index
    assert at("AA-W1") < at("AA-W1-C1") < at("AA-W1-C4") < at("AA-W2") < at("AA-W2-C1")
    assert not any(code.startswith("BB") for code in found)
    assert codes(aa.items("/v1/organizations", sort="-tree")) == found[::-1]


def test_sorts_and_fields(aa):
    items = aa.items("/v1/organizations", sort="-code", fields="code,kind", limit=7)
    assert codes(items) == sorted(codes(items), reverse=True)
    assert all(set(item) == {"id", "code", "kind"} for item in items)
    for bad in ("name", "code,name", "--code", "code desc", "tree;drop"):
        assert aa.get("/v1/organizations", sort=bad).status == 400, bad
    assert aa.get("/v1/organizations", fields="code,search").status == 400


def test_filters(aa):
    assert codes(aa.items("/v1/organizations", kind="party_building_board")) == ["AA-W1-XD"]
    assert set(codes(aa.items("/v1/organizations", code__in="AA-W1,AA-W2,BB-W1"))) == {"AA-W1", "AA-W2"}
    assert codes(aa.items("/v1/organizations", code="AA-W2")) == ["AA-W2"]
    assert all(c.startswith("AA-W2") for c in codes(aa.items("/v1/organizations", code__prefix="AA-W2")))
    assert "party_cell" not in {i["kind"] for i in aa.items("/v1/organizations", kind__ne="party_cell")}
    assert "AA-W1-OLD" in codes(aa.items("/v1/organizations", valid_to__isnull="false"))
    assert "AA-W1-OLD" not in codes(aa.items("/v1/organizations", valid_to__isnull="true"))
    assert set(codes(aa.items("/v1/organizations", parent="AA-W2"))) >= {"AA-W2-C1", "AA-W2-C2"}
    assert codes(aa.items("/v1/organizations", identifier="statistics:26041")) == ["AA-W1"]
    under = codes(aa.items("/v1/organizations", under="AA-W1"))
    assert under[0] == "AA-W1" and "AA-W1-C1" in under and "AA-W2" not in under


def test_an_unseen_unit_in_a_filter_is_422_like_a_nonexistent_one(world):
    ward = world.at("AA-W1", "viewer")
    for name in ("under", "parent"):
        answers = [ward.get("/v1/organizations", **{name: code}) for code in ("AA-W2", "BB-W1", "NO-SUCH")]
        assert {a.status for a in answers} == {422}
        assert len({str(a.faults()) for a in answers}) == 1 and answers[0].pointers() == {name}


@pytest.mark.parametrize("q", ["hòa bình", "hoà bình", "HOA BINH", "hoa bì", "Hòa Bình", "hoa\u0300 bi\u0300nh"])
def test_search_ignores_case_and_accents(aa, q):
    assert "AA-W1" in codes(aa.items("/v1/organizations", q=q))


@pytest.mark.parametrize("q", ["Đại", "đại", "dai", "ĐẠI PHƯỚC", "dai phuoc"])
def test_search_takes_d_with_and_without_its_stroke(aa, q):
    assert "AA-W2" in codes(aa.items("/v1/organizations", q=q))


def test_search_stays_in_scope_and_takes_wildcards_literally(world, aa):
    assert codes(world.at("AA-W2", "viewer").items("/v1/organizations", q="hoa binh")) == []
    for q in ("%", "_", "\\", "'", "%%", "a%b", "(", "*", "AA-W1' OR 1=1 --"):
        assert codes(aa.items("/v1/organizations", q=q)) == [], q


def test_embed_parent(world, aa):
    item = aa.get("/v1/organizations", code="AA-W1-C1", embed="parent").json()["items"][0]
    assert item["parent_organization"]["name"] == "Đảng ủy phường Hòa Bình"
    assert aa.get("/v1/organizations", embed="children").status == 400
    top = world.at("AA-W1", "viewer").get("/v1/organizations", code="AA-W1", embed="parent").json()["items"][0]
    assert top["parent"] == "AA-TU" and top["parent_organization"]["code"] == "AA-TU", "names up to the root are known"


def test_a_unit_by_code_and_by_id(aa):
    unit = aa.get("/v1/organizations/AA-W1").json()
    assert aa.get(f"/v1/organizations/{unit['id']}").json() == unit
    assert unit["parent"]["code"] == "AA-TU" and unit["depth"] == 1 and unit["has_children"]
    assert unit["area_code"] == "26041"
    assert [(f["name"], f["valid_from"], f["valid_to"]) for f in unit["former"]] == [
        ("Đảng ủy phường Trung Dũng", "2025-01-01", "2025-06-30")]


def test_children_ancestors_subtree(world, aa):
    assert set(codes(aa.items("/v1/organizations/AA-W2/children"))) >= {"AA-W2-C1", "AA-W2-C2"}
    cell = world.at("AA-W1-C1", "viewer")
    above = cell.get("/v1/organizations/AA-W1-C1/ancestors").json()["items"]
    assert codes(above) == ["AA-TU", "AA-W1"] and above[1]["name"] == "Đảng ủy phường Hòa Bình"
    assert cell.get("/v1/organizations/AA-W1").status == 404, "the name is known, the unit is not seen"
    shallow = aa.get("/v1/organizations/AA-TU/subtree", depth=1).json()
    assert shallow["truncated"] and {i["depth"] for i in shallow["items"]} == {0, 1}
    deep = aa.get("/v1/organizations/AA-TU/subtree", depth=5).json()
    assert not deep["truncated"] and "AA-W1-C1" in codes(deep["items"])
    for depth in ("0", "6", "x"):
        assert aa.get("/v1/organizations/AA-TU/subtree", depth=depth).status in (400, 422)


def test_kinds(aa):
    kinds = {k["code"]: k["name_vi"] for k in aa.items("/v1/organization-kinds", limit=5)}
    assert kinds["party_cell"] == "Chi bộ trực thuộc" and len(kinds) == 23


def test_creating(aa):
    code = samples.fresh("AA-T")
    answer = aa.post("/v1/organizations", {"code": code, "name": "Chi bộ thử", "kind": "party_cell", "parent": "AA-W2",
                                           "identifiers": [{"scheme": "electronic_identifier", "value": f"H19.{code}"}]})
    assert answer.status == 201 and answer.etag == '"1"'
    made = answer.json()
    assert answer.header("Location") in (f"/v1/organizations/{made['id']}", f"/v1/organizations/{code}")
    assert aa.get(answer.header("Location")).json() == made
    assert made["identifiers"][0]["value"] == f"H19.{code}" and made["valid_to"] is None
    assert codes(aa.items("/v1/organizations", identifier=f"electronic_identifier:H19.{code}")) == [code]


def test_a_taken_code_is_409_in_its_root_and_free_in_another(world, aa):
    body = {"code": "AA-W1", "name": "Trùng mã", "kind": "party_cell", "parent": "AA-W2"}
    answer = aa.post("/v1/organizations", body)
    assert answer.status == 409 and answer.faults() == {("#/code", "code_taken")}
    answer = world.at("BB-TU", "manager").post("/v1/organizations", {**body, "parent": "BB-W1"})
    assert answer.status == 201, "codes are unique per root"


def test_a_code_taken_by_an_unseen_unit_names_no_row(world):
    ward = world.at("AA-W1", "manager")
    answer = ward.post("/v1/organizations", {"code": "AA-W2-C1", "name": "Chi bộ", "kind": "party_cell", "parent": "AA-W1"})
    assert answer.status == 409 and "ấp" not in answer.text


def test_a_parent_out_of_scope_reads_like_a_nonexistent_one(world):
    ward = world.at("AA-W1", "manager")
    seen = set()
    for parent in ("AA-W2", "BB-W1", "NO-SUCH", "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02",
                   world.at("AA-TU", "manager").get("/v1/organizations/AA-W2").json()["id"]):
        answer = ward.post("/v1/organizations", {"code": samples.fresh(), "name": "Chi bộ", "kind": "party_cell", "parent": parent})
        assert answer.status == 422, answer
        seen.add(str(answer.json()["errors"]))
    assert len(seen) == 1


def test_nobody_makes_a_root(aa):
    answer = aa.post("/v1/organizations", {"code": samples.fresh(), "name": "Tỉnh ủy", "kind": "provincial_party_committee"})
    assert answer.status == 422 and ("#/parent", "required") in answer.faults()
    assert aa.post("/v1/organizations", {"code": samples.fresh(), "name": "x", "kind": "party_cell", "parent": None}).status == 422


@pytest.mark.parametrize("change,pointer", [
    ({"code": "0198c5a2-7d14-7d00-8a01-2b3c4d5e6f02"}, "#/code"), ({"code": "a b"}, "#/code"), ({"code": ""}, "#/code"),
    ({"kind": "no_such_kind"}, "#/kind"), ({"name": ""}, "#/name"), ({"name": "x" * 301}, "#/name"),
    ({"valid_from": "2026-02-30"}, "#/valid_from"), ({"valid_from": "2026-01-02", "valid_to": "2026-01-01"}, "#/valid_to"),
    ({"valid_from": "1999-01-01"}, "#/valid_from"), ({"area_code": "1234"}, "#/area_code"), ({"root_id": "x"}, "#/root_id"),
    ({"former": [{"name": "Cũ", "valid_to": "2030-01-01"}], "valid_to": "2029-01-01"}, "#/former/0/valid_to"),
    ({"identifiers": [{"scheme": "S", "value": "x"}]}, "#/identifiers/0/scheme"),
])
def test_what_is_wrong_is_pointed_at(aa, change, pointer):
    body = {"code": samples.fresh(), "name": "Chi bộ", "kind": "party_cell", "parent": "AA-W2", **change}
    answer = aa.post("/v1/organizations", body)
    assert answer.status == 422 and pointer in answer.pointers(), answer


def test_correcting(aa):
    code = samples.fresh("AA-T")
    made = aa.post("/v1/organizations", {"code": code, "name": "Chi bộ sia", "kind": "party_cell", "parent": "AA-W2", "note": "x"})
    answer = aa.patch(f"/v1/organizations/{code}", {"name": "Chi bộ sửa", "note": None, "area_code": "26485"}, made.etag)
    assert answer.status == 200
    unit = answer.json()
    assert (unit["name"], unit["note"], unit["area_code"], unit["version"]) == ("Chi bộ sửa", None, "26485", 2)
    assert aa.get(f"/v1/organizations/{code}").json() == unit
    for readonly in ("code", "kind", "parent", "valid_from", "id", "version"):
        refused = aa.patch(f"/v1/organizations/{code}", {readonly: "x"}, answer.etag)
        assert refused.status == 422 and f"#/{readonly}" in refused.pointers()
    assert aa.patch(f"/v1/organizations/{code}", {"name": None}, answer.etag).status == 422
    assert aa.patch(f"/v1/organizations/{code}", {}, answer.etag).status == 422


def test_text_is_normalised_to_nfc(aa):
    code = samples.fresh("AA-T")
    aa.post("/v1/organizations", {"code": code, "name": "Chi bộ ho\u0300a", "kind": "party_cell", "parent": "AA-W2"})
    assert aa.get(f"/v1/organizations/{code}").json()["name"] == "Chi bộ hòa"


def test_an_ended_unit_is_seen_and_takes_no_new_subordinates(aa):
    unit = aa.get("/v1/organizations/AA-OLD").json()
    assert unit["valid_to"] == "2025-06-30"
    answer = aa.post("/v1/organizations", {"code": samples.fresh(), "name": "Chi bộ", "kind": "party_cell", "parent": "AA-OLD"})
    assert answer.status == 422


def test_a_unit_has_one_area_at_a_time(world):
    manager = world.at("AA-TU", "manager")
    body = {"parent": "AA-W1", "name": "Thử mã", "kind": "party_cell", "valid_from": "2025-07-01"}
    two = [{"scheme": "statistics", "value": "26041"}, {"scheme": "statistics", "value": "26042"}]
    answer = manager.post("/v1/organizations", {**body, "code": samples.fresh("AA-MA"), "identifiers": two})
    assert answer.status == 422 and answer.faults() == {("#/identifiers", "repeated")}, answer
    answer = manager.post("/v1/organizations", {**body, "code": samples.fresh("AA-MA"), "area_code": "26041", "identifiers": two[1:]})
    assert answer.status == 422 and answer.faults() == {("#/identifiers", "repeated")}, answer
    one_after_the_other = [{"scheme": "statistics", "value": "26041", "valid_to": "2025-12-31"},
                           {"scheme": "statistics", "value": "26042", "valid_from": "2026-01-01"}]
    answer = manager.post("/v1/organizations", {**body, "code": samples.fresh("AA-MA"), "identifiers": one_after_the_other})
    assert answer.status == 201 and answer.json()["area_code"] == "26042", answer


def test_an_identifier_that_ends_before_it_begins(world):
    manager = world.at("AA-TU", "manager")
    body = {"parent": "AA-W1", "name": "Thử mã", "kind": "party_cell", "valid_from": "2025-07-01", "code": samples.fresh("AA-MA")}
    for dates in ({"valid_to": "2025-06-30"}, {"valid_from": "2026-02-01", "valid_to": "2026-01-31"}):
        answer = manager.post("/v1/organizations", {**body, "identifiers": [{"scheme": "internal", "value": samples.fresh("x")}, {"scheme": "internal", "value": "y", **dates}]})
        assert answer.status == 422 and answer.faults() == {("#/identifiers/1/valid_to", "out_of_range")}, answer


def test_identifiers_as_read_can_be_sent_back(world):
    manager = world.at("AA-TU", "manager")
    made = manager.post("/v1/organizations", {"parent": "AA-W1", "name": "Thử mã", "kind": "party_cell", "code": samples.fresh("AA-MA"),
                                              "area_code": "26041", "identifiers": [{"scheme": "internal", "value": samples.fresh("n")}]})
    read = made.json()
    same = manager.patch(made.header("Location"), {"identifiers": read["identifiers"]}, etag=made.header("ETag"))
    assert same.status == 200 and same.json()["identifiers"] == read["identifiers"] and same.json()["area_code"] == "26041", same


def test_a_name_is_decided_above_the_unit(world):
    """A unit's own manager corrects its note and not its name; a root's has nobody above."""
    above, own, root = world.at("AA-TU", "manager"), world.at("AA-W2", "manager"), world.at("AA-TU", "manager")
    name = above.get("/v1/organizations/AA-W2").json()["name"]
    refused = own.patch("/v1/organizations/AA-W2", {"name": "Tên khác"}, "*")
    assert refused.status == 403 and "AA-W2" in refused.json()["detail"]
    assert own.patch("/v1/organizations/AA-W2", {"name": name, "note": "ghi chú"}, "*").status == 200
    for by, unit in ((above, "AA-W2"), (root, "AA-TU")):
        was = by.get("/v1/organizations/" + unit).json()["name"]
        assert by.patch("/v1/organizations/" + unit, {"name": was + " sửa"}, "*").json()["name"] == was + " sửa"
        assert by.patch("/v1/organizations/" + unit, {"name": was}, "*").status == 200
