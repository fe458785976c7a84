"""A fitting request for any operation of the contract, in the world of world.py."""
import itertools

from .client import target

_numbers = itertools.count(1)

PATHS = {"organization": "AA-W1", "indicator": "AA-RATIO", "period": "2026-Q1", "programme": "AA-P", "file": "swagger-ui.css",
         "code": "not_found"}
QUERY = {"organization": "AA-W1", "indicator": "AA-RATIO", "period": "2026-Q1"}


def fresh(prefix="X"):
    return f"{prefix}-{next(_numbers)}"


def path(world, op, **given):
    """The operation's path with its parameters filled in."""
    values = {**PATHS, **({"organization": "AA-W1-C1"} if op.path.startswith("/v1/values/{") else {}), **given}
    for kind in ("account", "grant", "client", "mandate"):
        if f"{{{kind}}}" in op.path:
            values.setdefault(kind, world.at("AA-TU", "administrator").get(f"/v1/{kind}s", limit=1).json()["items"][0]["id"])
    if "{assignment}" in op.path or "{target}" in op.path:
        kind = "assignment" if "{assignment}" in op.path else "target"
        values.setdefault(kind, world.at("AA-TU", "manager").get(
            f"/v1/indicators/{values['indicator']}/{kind}s").json()["items"][0]["id"])
    return op.path.format(**values)


def query(contract, op, **given):
    names = [contract.resolve(p) for p in op.parameters]
    return {p["name"]: given.get(p["name"], QUERY.get(p["name"])) for p in names if p["in"] == "query" and p.get("required")}


def address(world, op, **given):
    return target(path(world, op, **given), **query(world.contract, op, **given))


def body(op_id, unit="AA-W1", parent=None):
    """A body that a manager or administrator above the unit may send."""
    new = fresh()
    return {
        "organization_create": {"code": new, "name": f"Chi bộ {new}", "kind": "party_cell", "parent": unit},
        "organization_update": {"note": f"ghi chú {new}"},
        "programme_create": {"code": new, "title": f"Chương trình {new}", "owner": unit, "scope": unit},
        "programme_update": {"note": f"ghi chú {new}"},
        "indicator_create": {"code": new, "programme": "AA-P", "name": f"Chỉ tiêu {new}", "unit": "số", "kind": "number",
                             "direction": "increase", "aggregation": "sum", "frequency": "quarter"},
        "indicator_update": {"note": f"ghi chú {new}"},
        "assignment_create": {"organization": unit, "mode": "own"},
        "assignment_update": {"valid_from": "2025-01-01"},
        "target_create": {"organization": unit, "comparator": "ge", "value": 50, "due_on": None},
        "target_update": {"note": f"ghi chú {new}"},
        "value_put": {"numerator": 1, "denominator": 2},
        "mandate_create": {"unit": unit, "over": unit, "functions": ["read"]},
        "account_create": {"username": new.lower() + ".thu", "display_name": "Người dùng thử", "organization": unit},
        "grant_create": {"account": "aa-w1-c1.viewer", "organization": unit, "role": "viewer"},
        "client_create": {"name": f"Hệ thống {new}", "organization": unit, "scopes": ["values:read"]},
        "session_create": {"username": "aa-w1.viewer", "password": "sai"},
        "value_import": [],
    }.get(op_id)


def headers(op):
    """What the operation needs beside body and token."""
    if op.id == "value_import":
        return [("Idempotency-Key", fresh("key"))]
    if op.method == "PATCH":
        return [("If-Match", "*")]
    if op.id == "value_put":
        return [("If-None-Match", "*")]
    return []
