"""What was made by an administrator is read where its Location points, and nowhere else."""
import pytest
from harness import samples


@pytest.fixture
def admin(world):
    return world.at("AA-TU", "administrator")


def bodies():
    return {
        "/v1/accounts": {"username": samples.fresh("aa.doc").lower(), "display_name": "Người đọc", "grants": [{"organization": "AA-W1", "role": "viewer"}]},
        "/v1/clients": {"name": "Kết nối thử", "organization": "AA-W1", "scopes": ["values:read"]},
        "/v1/grants": {"account": "aa-w1.viewer", "organization": "AA-W2", "role": "viewer", "valid_from": "2099-01-01"},
        "/v1/mandates": {"unit": "AA-W1", "over": "AA-W2", "functions": ["read"], "valid_from": "2099-01-01"},
    }


@pytest.mark.parametrize("collection", list(bodies()))
def test_a_created_row_is_read_at_its_location(world, admin, collection):
    made = admin.post(collection, bodies()[collection])
    assert made.status == 201, made
    where = made.header("Location")
    assert where == f"{collection}/{made.json()['id']}"
    read = admin.get(where)
    assert read.status == 200 and read.json()["id"] == made.json()["id"]
    assert "secret" not in read.text and "password" not in read.text.replace("password_changed_at", "")
    assert admin.get(where, headers={"If-None-Match": read.header("ETag")}).status == 304
    assert admin.get(f"{collection}/00000000-0000-7000-8000-000000000000").status == 404
    assert world.at("BB-TU", "administrator").get(where).status == 404
    denied = world.at("AA-W1", "viewer").get(where)
    assert denied.status == (200 if collection == "/v1/mandates" else 403)


def test_a_mandate_by_kind_is_seen_by_that_kind_below_its_giver_alone(world):
    made = world.at("AA-W1", "administrator").post("/v1/mandates", {"unit_kind": "party_cell", "over_parent": True, "functions": ["read"],
                                                                    "valid_from": "2099-01-01"})
    assert made.status == 201, made
    where = made.header("Location")
    assert world.at("AA-W1-C1", "viewer").get(where).status == 200
    other = world.at("BB-TU", "administrator")
    assert other.get(where).status == 404
    assert made.json()["id"] not in {m["id"] for m in world.at("AA-W2", "viewer").items("/v1/mandates")}
