"""Many accounts in one request: rows, faults, codes that are told once, the list to hand out."""
import csv
import io
import json

import pytest
from harness import samples

HEAD = "username,display_name,organization,role,seat,valid_from,valid_to\n"
CSV = [("Content-Type", "text/csv")]


@pytest.fixture
def admin(world):
    return world.at("AA-TU", "administrator")


def key():
    return [("Idempotency-Key", samples.fresh("nhap"))]


def send(who, body, *headers, **query):
    body = body if isinstance(body, list) else body.encode()
    return who.post("/v1/accounts/imports", body, [*headers, *(key() if not any(h[0] == "Idempotency-Key" for h in headers) else [])], **query)


def name():
    return samples.fresh("aa.loat").lower()


def activate(world, account, password="chiec-thuyen-xanh-qua-cau"):
    return world.anonymous.post("/v1/activations", {"username": account["username"], "code": account["activation_code"], "password": password})


def test_rows_become_accounts_that_activate_and_log_in(world, admin):
    one, two = name(), name()
    answer = send(admin, HEAD + f"{one},Nguyễn Thị Đào,AA-W1,reporter,,2026-01-01,\n{two},Trần Văn Bưởi,AA-W1-C1,,,,\n{one},,,viewer,AA-W2,,2099-12-31\n", *CSV)
    assert answer.status == 200, answer
    body = answer.json()
    assert (body["rows"], body["created"], body["granted"], body["failed"]) == (3, 2, 1, 0)
    assert [(a["row"], a["username"], a["organization"]) for a in body["accounts"]] == [(1, one, "AA-W1"), (2, two, "AA-W1-C1")]
    assert len({a["activation_code"] for a in body["accounts"]}) == 2
    assert activate(world, body["accounts"][0]).status == 204
    session = world.login(one, password="chiec-thuyen-xanh-qua-cau").json()
    assert [(g["organization"]["code"], g["role"]) for g in session["grants"]] == [("AA-W1", "reporter"), ("AA-W2", "viewer")]
    assert admin.get(f"/v1/accounts/{two}").json()["activated"] is False


def test_the_list_to_hand_out(world, admin):
    one = name()
    answer = send(admin, [{"username": one, "display_name": "=cmd|x", "organization": "AA-W1", "role": "viewer"}], ("Accept", "text/csv"))
    assert answer.status == 200 and answer.type == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert list(rows[0]) == ["row", "username", "display_name", "organization", "activation_code", "activation_expires_at"]
    assert rows[0]["username"] == one and not rows[0]["display_name"].startswith("="), "a formula is neutralised"
    assert activate(world, rows[0]).status == 204


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/csv"])
def test_forms_of_body(admin, kind):
    rows = [{"username": name(), "display_name": "Người mới", "organization": "AA-W1", "role": "viewer"} for _ in range(3)]
    body = {"application/json": json.dumps(rows), "application/x-ndjson": "\n".join(map(json.dumps, rows)),
            "text/csv": "username,display_name,organization,role\n" + "".join(",".join(r.values()) + "\n" for r in rows)}[kind]
    answer = send(admin, body, ("Content-Type", kind))
    assert answer.status == 200 and answer.json()["created"] == 3, answer


def test_a_dry_run_keeps_nothing_and_tells_no_code(admin):
    one = name()
    rows = [{"username": one, "display_name": "Người mới", "organization": "AA-W1", "role": "viewer"}]
    dry = send(admin, rows, dry_run=True)
    assert dry.status == 200 and dry.json()["created"] == 1 and "activation_code" not in dry.text
    assert dry.json()["accounts"][0]["username"] == one
    assert admin.get(f"/v1/accounts/{one}").status == 404
    assert send(admin, rows).json()["created"] == 1


FAULTS = [
    ({"organization": "NO-SUCH"}, "#/organization", "unknown_reference"),
    ({"organization": "BB-W1"}, "#/organization", "unknown_reference"),
    ({"seat": "NO-SUCH"}, "#/seat", "unknown_reference"),
    ({"username": "aa-w1.viewer"}, "#/username", "username_taken"),
    ({"username": "A B"}, "#/username", "pattern"),
    ({"display_name": None}, "#/display_name", "required"),
    ({"display_name": "a\u202eb"}, "#/display_name", "invisible_character"),
    ({"display_name": " ab"}, "#/display_name", "one_line"),
    ({"role": "chief"}, "#/role", "enum"),
    ({"role": None, "valid_to": "2099-01-01"}, "#/role", "required"),
    ({"valid_from": "2026-01-02", "valid_to": "2026-01-01"}, "#/valid_to", "ends_before_start"),
    ({"valid_from": "ngày mai"}, "#/valid_from", "format"),
    ({"organization": None}, "#/organization", "required"),
    ({"password": "chiec-thuyen-xanh-qua-cau"}, "#/password", "unknown_field"),
]


@pytest.mark.parametrize("wrong,pointer,code", FAULTS, ids=lambda v: str(v) if isinstance(v, dict) else None)
def test_a_faulty_row_is_told_with_its_place(admin, wrong, pointer, code):
    good = name()
    rows = [{"username": good, "display_name": "Người tốt", "organization": "AA-W1", "role": "viewer"},
            {"username": name(), "display_name": "Người mới", "organization": "AA-W1", "role": "viewer", **wrong}]
    answer = send(admin, rows)
    assert answer.status == 422 and answer.code == "import_refused", answer
    assert (2, pointer, code) in {(e["row"], e.get("pointer"), e["code"]) for e in answer.json()["errors"]}, answer
    assert "activation_code" not in answer.text and admin.get(f"/v1/accounts/{good}").status == 404
    partly = send(admin, rows, mode="partial")
    assert partly.status == 200 and (partly.json()["created"], partly.json()["failed"]) == (1, 1)
    assert admin.get(f"/v1/accounts/{good}").status == 200


def test_rows_of_one_name(admin):
    one, other = name(), name()
    base = {"username": one, "display_name": "Người mới", "organization": "AA-W1", "role": "viewer"}
    answer = send(admin, [base, {"username": one}, {**base, "display_name": "Khác", "role": "reporter"}, {**base, "role": "reporter"},
                          {"username": other, "role": "viewer", "seat": "AA-W1"}, {"username": other, "display_name": "x", "role": "viewer", "seat": "AA-W1"}],
                  mode="partial")
    found = {(e["row"], e["pointer"], e["code"]) for e in answer.json()["errors"]}
    assert {(3, "#/display_name", "differs"), (5, "#/display_name", "required"), (6, "#/username", "earlier_failed")} <= found
    assert any(row == 2 for row, _, _ in found)
    assert (answer.json()["created"], answer.json()["granted"], answer.json()["failed"]) == (1, 1, 4)


def test_administrators_stay_in_their_subtree(world):
    ward = world.at("AA-W1", "administrator")
    rows = [{"username": name(), "display_name": "x", "organization": unit, "role": "viewer"} for unit in ("AA-W2", "AA-TU", "AA-W1-C1")]
    answer = send(ward, rows, mode="partial")
    assert answer.json()["created"] == 1 and {e["row"] for e in answer.json()["errors"]} == {1, 2}
    assert send(world.at("AA-W1", "manager"), rows).code == "forbidden"


def test_an_import_is_not_repeated_and_its_codes_not_told_again(admin, cluster):
    one, same = name(), key()
    rows = [{"username": one, "display_name": "Người mới", "organization": "AA-W1"}]
    first = send(admin, rows, *same)
    code = first.json()["accounts"][0]["activation_code"]
    again = send(admin, rows, *same)
    assert again.status == 409 and again.code == "secret_not_replayed"
    assert send(admin, rows + rows, *same).code == "idempotency_key_reused"
    assert admin.post("/v1/accounts/imports", rows).code == "idempotency_key_required"
    kept = str(cluster.query("SELECT body FROM idempotency")) + str(cluster.query("SELECT before, after FROM journal"))
    assert code not in kept


def test_a_thousand_at_once(admin):
    rows = [{"username": name(), "display_name": f"Người thứ {i}", "organization": "AA-W2", "role": "viewer"} for i in range(1000)]
    answer = send(admin, rows)
    assert answer.status == 200 and answer.json()["created"] == 1000
    assert len({a["activation_code"] for a in answer.json()["accounts"]}) == 1000
