"""Whatever the order of an import's rows, and in however many requests they come, the same tree comes of them."""
import json

from harness import samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

many = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = ["party_cell", "grassroots_party_cell", "grassroots_party_organization"]


@st.composite
def forests(draw):
    """Rows as (number, number of the parent or None, kind, days), parents before their children, and another order of them."""
    rows = []
    for i in range(draw(st.integers(1, 12))):
        parent = draw(st.sampled_from([None, *[r[0] for r in rows]]))
        until = "2027-06-30" if draw(st.booleans()) or (parent is not None and rows[parent][3]) else None
        rows.append((i, parent, draw(st.sampled_from(KINDS)), until, draw(st.booleans())))
    return rows, draw(st.permutations(range(len(rows))))


def send(by, rows, **query):
    return by.post("/v1/organizations/imports", json.dumps(rows),
                   [("Content-Type", "application/json"), ("Idempotency-Key", samples.fresh("o"))], **query)


def bodies(prefix, rows):
    return [{"code": f"{prefix}-{i:02}", "name": f"Đơn vị {i}", "kind": kind, "parent": "AA-W2" if parent is None else f"{prefix}-{parent:02}",
             "valid_from": "2025-08-01", "valid_to": until, **({"identifiers": [{"scheme": "internal", "value": f"{prefix}:{i}"}]} if held else {})}
            for i, parent, kind, until, held in rows]


def tree(by, prefix):
    """What was made, without what differs by its making: in tree order, as of three days, with the lines up to the root."""
    found = []
    for day in (None, "2025-08-01", "2027-07-01"):
        query = {"as_of": day} if day else {}
        units = [u for u in by.items("/v1/organizations", under="AA-W2", limit=1000, **query) if u["code"].startswith(prefix + "-")]
        for unit in units:
            whole = by.get(f"/v1/organizations/{unit['code']}", **query).json()
            line = [a["code"] for a in by.get(f"/v1/organizations/{unit['code']}/ancestors", **query).json()["items"]]
            found.append((unit["code"], line, {k: whole[k] for k in ("name", "kind", "depth", "has_children", "identifiers", "former", "valid_to", "version")}))
    return json.dumps(found).replace(prefix, "X")


@many
@given(forests())
def test_the_order_of_rows_decides_nothing(world, forest):
    rows, order = forest
    by = world.at("AA-TU", "manager")
    one, other, third = (samples.fresh("AA-O") for _ in range(3))
    first, second = bodies(one, rows), bodies(other, rows)
    answer = send(by, first)
    assert answer.status == 200 and answer.json()["created"] == len(rows), answer
    shuffled = send(by, [second[i] for i in order])
    assert shuffled.status == 200 and shuffled.json()["created"] == len(rows), shuffled
    assert tree(by, one) == tree(by, other)
    # Singly, in an order in which each parent is there.
    for body in bodies(third, rows):
        assert send(by, [body]).json()["created"] == 1
    level = {c: len(a) for c, a in ((x[0], x[1]) for x in json.loads(tree(by, third)))}
    assert level == {c: len(a) for c, a in ((x[0], x[1]) for x in json.loads(tree(by, one)))}
    again = send(by, [second[i] for i in reversed(order)])
    assert again.json()["unchanged"] == len(rows), again
