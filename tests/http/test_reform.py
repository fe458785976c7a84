"""The reorganizations of 2025 and 2026, replayed as deploy/up does it: Huế and Đồng Nai on every side of each day."""
import collections
import json
import sys

import pytest
from harness.cluster import ROOT
from harness.world import Caller

sys.path.insert(0, str(ROOT / "deploy"))
import load  # noqa: E402
import programme  # noqa: E402
import reform  # noqa: E402

COMMITTEES = "directly_subordinate_party_committee"
GRASSROOTS = "grassroots_party_organization"
LAST_DAY, FIRST_DAY = "2025-06-30", "2025-07-01"
# Made up: (numerator, denominator) of the six wards of before that Trấn Biên succeeded, and of Xuân Tâm, which two communes share.
FIGURES = {"DN-731-26011": (11, 20), "DN-731-26023": (9, 14), "DN-731-26029": (16, 16), "DN-731-26041": (7, 12), "DN-731-26050": (5, 18),
           "DN-731-26065": (2, 10), "DN-731-25996": (8, 8), "DN-741-26449": (4, 10)}
TRAN_BIEN = sorted(FIGURES)[1:7]


class Replay:
    """The loader of deploy/up on the tests' service, up to the units below the committees of today."""

    def __init__(self, world, directory):
        self.world = world
        self.credentials = load.Credentials(directory)
        load.first_secrets(self.credentials, "http://%s:%d" % world.service.http().address, False)
        for username, code in self.credentials.first_administrators():
            code, name, kind, *_ = programme.bootstrapped(code, True)
            world.service.bootstrap(code, name, kind, username, self.credentials.entry(username)["password"])
        self.loader = load.Loader(self.credentials)
        self.loader.hire_managers()

    def caller(self, username):
        self.world.passwords[username] = self.credentials.entry(username)["password"]
        return self.world.as_(username)

    def units_of_before(self):
        for code, manager in self.loader.managers.items():
            self.loader.units(manager, programme.of_the_past(code))

    def join(self):
        body = self.loader.joining()
        self.world.service.command("reorganize", "-", stdin=json.dumps(body, ensure_ascii=False))
        return body

    def define(self):
        """Two indicators that the committees of before report, each to be carried otherwise."""
        dn = self.caller("dn-tu.quanly")
        self.world.must(dn.post("/v1/programmes", {"code": "DN-MINH-HOA", "title": "Số liệu minh họa quý II/2025", "owner": "DN-TU", "scope": "DN-TU"}))
        for code in ("DN-CONG", "DN-RIENG"):
            self.world.indicator(dn, code, "DN-MINH-HOA")
            self.world.assign(dn, code, kind=GRASSROOTS, under="DN-TU", entered_by="superior")
            for unit, (numerator, denominator) in FIGURES.items():
                self.world.must(dn.enter(code, unit, "2025-Q2", {"numerator": numerator, "denominator": denominator, "source": "số liệu minh họa"}))


@pytest.fixture(scope="module")
def replay(world, as_built, tmp_path_factory):
    made = Replay(world, tmp_path_factory.mktemp("reform"))
    made.units_of_before()
    made.define()
    made.loader.past()
    assert made.join()["decision"] == "202/2025/QH15"
    # as the loader takes it, with one word more: whose history Trấn Biên and the others do not take over
    root, _, body = made.loader.next_decision()
    assert (root, body["decision"]) == ("DN-TU", "1662/NQ-UBTVQH15")
    made.world.must(made.caller("dn-tu.quanly").post("/v1/reorganizations", {**body, "carry": [
        {"indicator": "DN-CONG", "how": "sum"}, {"indicator": "DN-RIENG", "how": "apart"}]}))
    made.loader.past()
    world.forget()
    return made


@pytest.fixture
def dn(replay):
    return replay.caller("dn-tu.quanly")


@pytest.fixture
def hue(replay):
    return replay.caller("hue-tu.quanly")


def unit(who, code, day):
    answer = who.get(f"/v1/organizations/{code}", as_of=day)
    assert answer.status in (200, 404), answer
    return answer.json() if answer.status == 200 else None


def below(who, code, day):
    return {item["code"]: item for item in who.items(f"/v1/organizations/{code}/children", as_of=day, limit=1000)}


def kinds(who, code, day):
    """How many of each kind stood below a unit."""
    return collections.Counter(item["kind"] for item in who.items("/v1/organizations", under=code, as_of=day, limit=1000) if item["code"] != code)


def named(who, code, day):
    return unit(who, code, day)["name"]


# ---- the data ---------------------------------------------------------------------------------------------------
def test_the_data_holds_together():
    standing, ended = reform.check()
    assert len(ended) == 395 + 31 + 3, "communes, districts; old Huế, Nam Đông and Bình Phước"
    assert {code for code in standing if code.split("-")[1].isdigit()} == {
        reform.new_code(row["code"]) for row in reform.of_today().values() if row["parent_code"] in ("46", "75")}
    assert [body["effective_on"] for _, _, body in reform.decisions()] == ["2025-01-01"] * 2 + ["2025-07-01"] * 3 + ["2026-04-30"]


def test_an_installation_made_without_its_past_goes_on_without(tmp_path):
    made = load.Credentials(tmp_path)
    made.account("dn-tu.quantri", "DN-TU", "administrator")
    load.first_secrets(made, "http://127.0.0.1:1", False)
    assert not made.past and {code for _, code in made.first_administrators()} == {"DN-TU", "HUE-TU"}
    assert programme.bootstrapped("DN-TU", made.past)[1:] == (
        "Thành ủy Đồng Nai", "city_party_committee", "dn-tu.quantri", "Tỉnh ủy Đồng Nai", "provincial_party_committee", "2026-04-29")
    empty = load.Credentials(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    load.first_secrets(empty, "http://127.0.0.1:1", True)
    assert not empty.past
    bodies = [body for file in programme.files() for _, generation in programme.of_today_alone(file) for body in generation]
    assert sum(body["kind"] == COMMITTEES and body["code"].startswith("DN-") for body in bodies) == 95


def test_every_decision_is_there_once_and_nothing_is_left(replay, dn, hue):
    taken = [(r["decision"], r["effective_on"]) for who in (hue, dn) for r in who.items("/v1/reorganizations")]
    assert sorted(taken) == sorted((body["decision"], body["effective_on"]) for _, _, body in reform.decisions())
    assert replay.loader.next_decision() is None and replay.loader.joining() is None
    replay.loader.past()
    assert len(hue.items("/v1/reorganizations") + dn.items("/v1/reorganizations")) == len(taken), "again is harmless"


# ---- Huế --------------------------------------------------------------------------------------------------------
def test_hue_in_december_2024(hue):
    day = "2024-12-15"
    root = unit(hue, "HUE-TU", day)
    assert (root["name"], root["kind"]) == ("Tỉnh ủy Thừa Thiên Huế", "provincial_party_committee")
    districts = below(hue, "HUE-TU", day)
    assert (districts["HUE-THANHU"]["name"], districts["HUE-THANHU"]["kind"]) == ("Thành ủy Huế", "city_party_committee")
    assert districts["HUE-476"]["name"] == "Huyện ủy Phong Điền" and "HUE-NAMDONG" in districts
    assert not {"HUE-474", "HUE-475"} & districts.keys()
    wards = below(hue, "HUE-THANHU", day)
    assert len(wards) == 32 and {w["kind"] for w in wards.values()} == {GRASSROOTS}
    assert wards["HUE-474-19777"]["name"] == "Đảng ủy phường Vỹ Dạ" and wards["HUE-475-19774"]["name"] == "Đảng ủy phường Kim Long"
    assert kinds(hue, "HUE-TU", day)[GRASSROOTS] == 133
    assert districts["HUE-BTV"]["name"] == "Ban Thường vụ Tỉnh ủy"


def test_hue_in_january_2025(hue):
    day = "2025-01-15"
    root = unit(hue, "HUE-TU", day)
    assert (root["name"], root["kind"]) == ("Thành ủy Huế", "city_party_committee")
    assert unit(hue, "HUE-THANHU", "2024-12-31") is not None and unit(hue, "HUE-THANHU", "2025-01-01") is None
    districts = below(hue, "HUE-TU", day)
    assert [(districts[c]["name"], districts[c]["kind"]) for c in ("HUE-474", "HUE-475")] == [
        ("Quận ủy Thuận Hóa", "urban_district_party_committee"), ("Quận ủy Phú Xuân", "urban_district_party_committee")]
    assert (len(below(hue, "HUE-474", day)), len(below(hue, "HUE-475", day))) == (19, 13)
    assert (districts["HUE-476"]["name"], districts["HUE-476"]["kind"]) == ("Thị ủy Phong Điền", "town_party_committee")
    assert "HUE-NAMDONG" not in districts and "HUE-482-20161" in below(hue, "HUE-482", day)
    assert "HUE-482-20161" in below(hue, "HUE-NAMDONG", "2024-12-31")
    count = kinds(hue, "HUE-TU", day)
    assert [count[k] for k in ("urban_district_party_committee", "town_party_committee", "district_party_committee", GRASSROOTS)] == [2, 3, 4, 133]
    assert districts["HUE-BTV"]["name"] == "Ban Thường vụ Thành ủy"


def test_hue_in_june_and_july_2025(hue):
    before, after = kinds(hue, "HUE-TU", LAST_DAY), kinds(hue, "HUE-TU", FIRST_DAY)
    assert sum(before[k] for k in before if k.endswith(("district_party_committee", "town_party_committee"))) == 9 and before[COMMITTEES] == 0
    assert not [k for k in after if k.endswith(("district_party_committee", "town_party_committee"))]
    assert (after[COMMITTEES], after[GRASSROOTS]) == (40, 0)
    for code in ("HUE-474", "HUE-475", "HUE-476", "HUE-482"):
        assert unit(hue, code, LAST_DAY) and unit(hue, code, FIRST_DAY) is None
        assert hue.get(f"/v1/organizations/{code}").json()["valid_to"] == LAST_DAY
    assert below(hue, "HUE-TU", FIRST_DAY)["HUE-20137"]["name"] == "Đảng ủy xã Chân Mây - Lăng Cô"


def test_a_commune_that_no_resolution_touched_is_the_same_unit(hue):
    then, now = unit(hue, "HUE-19909", LAST_DAY), unit(hue, "HUE-19909", FIRST_DAY)
    assert then["id"] == now["id"] and then["name"] == now["name"] == "Đảng ủy phường Dương Nỗ"
    assert (then["parent"]["code"], then["kind"]) == ("HUE-474", GRASSROOTS)
    assert (now["parent"]["code"], now["kind"]) == ("HUE-TU", COMMITTEES)


# ---- Đồng Nai and Bình Phước ----------------------------------------------------------------------------------------
def test_two_provinces_until_june_2025(dn):
    for code, name, districts, communes in (("DN-TU", "Tỉnh ủy Đồng Nai", 11, 159), ("BP-TU", "Tỉnh ủy Bình Phước", 11, 111)):
        root = unit(dn, code, LAST_DAY)
        assert (root["name"], root["parent"]) == (name, None)
        count = kinds(dn, code, LAST_DAY)
        assert sum(count[k] for k in reform_kinds()) == districts
        assert count[GRASSROOTS] + count[COMMITTEES] == communes, count
    assert below(dn, "DN-TU", LAST_DAY)["DN-731"]["name"] == "Thành ủy Biên Hòa"
    assert below(dn, "BP-TU", LAST_DAY)["BP-690"]["name"] == "Thị ủy Bình Long"
    assert below(dn, "BP-690", LAST_DAY)["BP-690-25324"]["name"] == "Đảng ủy phường An Lộc"


def reform_kinds():
    return {kind for kind, _ in reform.DISTRICT_KINDS.values()}


def test_one_province_from_july_2025(dn):
    assert unit(dn, "BP-TU", FIRST_DAY) is None
    assert dn.get("/v1/organizations/BP-TU").json()["valid_to"] == LAST_DAY
    count = kinds(dn, "DN-TU", FIRST_DAY)
    assert count[COMMITTEES] == 95 and not reform_kinds() & count.keys() and count[GRASSROOTS] == 0
    names = [c["name"] for c in below(dn, "DN-TU", FIRST_DAY).values() if c["kind"] == COMMITTEES]
    assert sum(name.startswith("Đảng ủy phường ") for name in names) == 23
    moved = unit(dn, "DN-25222", FIRST_DAY)
    assert (moved["name"], moved["parent"]["code"]) == ("Đảng ủy xã Bù Gia Mập", "DN-TU")
    assert unit(dn, "DN-25222", LAST_DAY)["parent"]["code"] == "BP-691"


def test_a_centrally_governed_city_from_the_30th_of_april_2026(dn):
    eve, day = "2026-04-29", "2026-04-30"
    assert [(unit(dn, "DN-TU", d)["name"], unit(dn, "DN-TU", d)["kind"]) for d in (eve, day)] == [
        ("Tỉnh ủy Đồng Nai", "provincial_party_committee"), ("Thành ủy Đồng Nai", "city_party_committee")]
    assert (named(dn, "DN-26485", eve), named(dn, "DN-26485", day)) == ("Đảng ủy xã Nhơn Trạch", "Đảng ủy phường Nhơn Trạch")
    was, now = ({c["code"]: c["name"] for c in below(dn, "DN-TU", d).values() if c["kind"] == COMMITTEES} for d in (eve, day))
    assert len(now) == 95 and sum(was[code] != now[code] for code in now) == 10
    assert sum(name.startswith("Đảng ủy phường ") for name in now.values()) == 33
    assert dn.get("/v1/organizations/DN-TU").json()["name"] == "Thành ủy Đồng Nai"
    assert named(dn, "DN-MTTQ", day) == "Ủy ban Mặt trận Tổ quốc Việt Nam thành phố"


# ---- codes and successors --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("day,code,name", [("2025-06-30", "DN-731-26041", "Đảng ủy phường Trung Dũng"),
                                           ("2025-09-30", "DN-26041", "Đảng ủy phường Trấn Biên")])
def test_statistics_code_26041_by_date(dn, day, code, name):
    found = dn.items("/v1/organizations", identifier="statistics:26041", as_of=day)
    assert [(item["code"], item["name"]) for item in found] == [(code, name)]
    one = dn.get("/v1/identifiers/statistics/26041", as_of=day).json()
    assert (one["code"], one["name"]) == (code, name)


def test_every_unit_of_before_leads_to_its_successors(dn, hue):
    heirs = collections.defaultdict(set)
    for row in reform.rows("reform/lineage.csv"):
        if row["old_code"] not in reform.unchanged():
            heirs[reform.old_code(row["old_code"])].add(reform.new_code(row["new_code"]))
    heirs.update({"BP-TU": {"DN-TU"}, "HUE-THANHU": {"HUE-474", "HUE-475"}, "HUE-NAMDONG": {"HUE-482"}})
    for who in (dn, hue):
        for entry in who.items("/v1/directory", limit=1000):
            told = {s["code"] if isinstance(s, dict) else s for s in entry["successors"]}
            assert told == heirs.pop(entry["code"], set()), entry
    assert not heirs


# ---- figures of before on both trees ---------------------------------------------------------------------------------
def progress(who, organization, indicator, tree, **more):
    answer = who.get("/v1/progress", organization=organization, period="2025-Q2", indicator=indicator, tree=tree, **more)
    assert answer.status == 200, answer
    return answer.json()


def figure(who, organization, indicator, tree):
    items = progress(who, organization, indicator, tree)["items"]
    return (items[0]["numerator"], items[0]["denominator"]) if items else None


def total(units):
    return tuple(map(sum, zip(*(FIGURES[code] for code in units))))


@pytest.mark.parametrize("indicator", ["DN-CONG", "DN-RIENG"])
def test_on_the_reported_tree_figures_stand_below_their_districts(dn, indicator):
    assert figure(dn, "DN-731", indicator, "reported") == total(c for c in FIGURES if c.startswith("DN-731-"))
    assert figure(dn, "DN-731-26041", indicator, "reported") == FIGURES["DN-731-26041"]
    assert figure(dn, "DN-TU", indicator, "reported") == total(FIGURES)
    told = progress(dn, "DN-TU", indicator, "reported", by="children")
    assert told["organization"]["name"] == "Tỉnh ủy Đồng Nai", "as it was called then"
    assert "Thành ủy Biên Hòa" in {child["organization"]["name"] for child in told["children"]}


def test_on_the_tree_of_today_they_add_up_below_the_successor(dn):
    assert figure(dn, "DN-26041", "DN-CONG", "current") == total(TRAN_BIEN)
    assert figure(dn, "DN-26188", "DN-CONG", "current") == FIGURES["DN-731-25996"], "Tân Phong of Biên Hòa went to Tân Triều"
    assert figure(dn, "DN-TU", "DN-CONG", "current") == total(FIGURES)
    assert progress(dn, "DN-TU", "DN-CONG", "current")["organization"]["name"] == "Thành ủy Đồng Nai"


def test_kept_apart_they_are_the_predecessors_alone(dn):
    assert figure(dn, "DN-26041", "DN-RIENG", "current") in (None, (None, None))
    assert figure(dn, "DN-731-26041", "DN-RIENG", "current") == FIGURES["DN-731-26041"]
    assert figure(dn, "DN-TU", "DN-RIENG", "current") == total(FIGURES), "the province counts them all the same"


def test_what_two_communes_share_counts_above_both(dn):
    assert figure(dn, "DN-26359", "DN-CONG", "current") in (None, (None, None))
    assert figure(dn, "DN-741-26449", "DN-CONG", "current") == FIGURES["DN-741-26449"]


def test_a_ward_of_today_reads_what_its_predecessors_reported(replay, world):
    administrator = replay.caller("dn-tu.quantri")
    world.account(administrator, "dn-26041.xem", ("DN-26041", "viewer"))
    who = world.as_("dn-26041.xem")
    assert isinstance(who, Caller)
    values = {v["organization"] for v in who.items("/v1/values", period="2025-Q2", indicator="DN-CONG", limit=100)}
    assert values == set(TRAN_BIEN)
    assert who.get("/v1/organizations/DN-731-25996").status == 404, "another ward's predecessor is not its own"
