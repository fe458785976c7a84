"""The province's campaign, as the loader sets it."""
import pathlib
import sys

import pytest

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
sys.path.insert(0, str(DEPLOY))
import load  # noqa: E402
import programme  # noqa: E402


class Here:
    """A caller as the loader has it."""

    def __init__(self, caller):
        self.caller = caller

    def post(self, path, body, query=None, **more):
        answer = self.caller.post(path, body, more.get("headers") or (), **(query or {}))
        assert answer.status in (200, 201), answer
        return answer.json()

    def every(self, path, **query):
        return iter(self.caller.items(path, **query))


@pytest.fixture(scope="module")
def loader(world):
    world.bootstrap("DN-TU", "Tỉnh ủy Đồng Nai")
    file = programme.files()[0]
    world.staff(world.at("DN-TU", "administrator"), "DN-TU", ("manager",))
    manager = world.at("DN-TU", "manager")
    for body in programme.bodies(file):
        world.must(manager.post("/v1/organizations", body))
    world.account(world.at("DN-TU", "administrator"), "dn-btgdv.quanly", ("DN-BTGDV", "manager"))
    made = load.Loader.__new__(load.Loader)
    made.files, made.managers = [file], {"DN-TU": Here(manager)}
    made.person = lambda username: Here(world.as_(username))
    made.administrator = lambda organization: Here(world.at("DN-TU", "administrator"))
    made.programme(file)
    made.indicators(file)
    made.mandates(file)
    return made


def test_the_campaign_of_the_sources_is_loaded_once(world, loader):
    file = loader.files[0]
    for _ in range(2):
        loader.campaign(file)
        loader.duties(file)
        loader.products(file)
    reader = world.at("DN-TU", "manager")
    campaign = reader.get("/v1/campaigns/DN-TT-464").json()
    assert (campaign["status"], campaign["version"], len(campaign["topics"])) == ("active", 1, 4)
    assert [(p["code"], p["starts_on"], p["ends_on"]) for p in campaign["phases"]] == [
        ("GD1", None, "2025-12-31"), ("GD2", "2026-01-01", "2027-12-31"), ("GD3", "2028-01-01", "2028-12-31")]
    assert [p["title"] for p in campaign["phases"]] == ["Giai đoạn 1: đến hết quý IV năm 2025", "Giai đoạn 2: từ năm 2026 đến hết năm 2027", "Giai đoạn 3: năm 2028"]
    assert campaign["note"] is None, "what is noted of the source is no part of the campaign"
    assert {t["of"]: t["indicator"] for t in campaign["phases"][0]["reach_targets"]} == {
        "party_organizations": "DN-06A", "cadres_and_members": "DN-06B", "core_force": "DN-06C"}
    assert {d["campaign"] for d in reader.items("/v1/report-duties")} == {"DN-TT-464"}
    products = reader.items("/v1/products", campaign="DN-TT-464")
    assert len(products) == 5 and {(p["organization"], p["state"]) for p in products} == {("DN-BTGDV", "draft")}
