"""The tree after thousands of random decisions: closure, keys, sums and assignments are what they are when worked out from scratch."""
import json
import random
from datetime import date, timedelta

import psycopg2
import pytest
from harness import campaigns, samples
from harness.crowd import wait_for

KINDS = ("directly_subordinate_party_committee", "grassroots_party_organization", "party_cell", "department")
FIRST, LAST = date(2025, 2, 1), date(2027, 12, 31)


class Tree:
    """Random decisions by the installation's operator, refused or taken; what is alive is asked of the spans."""

    def __init__(self, cluster, seed, codes, prefix="R"):
        self.random, self.codes, self.prefix = random.Random(seed), codes, prefix
        self.connection = cluster.connect()
        self.connection.autocommit = False
        self.taken = self.steps = 0

    def rows(self, sql, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE tiendo_owner; SET LOCAL search_path = tiendo, public")
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def day(self):
        return FIRST + timedelta(self.random.randrange((LAST - FIRST).days))

    def step(self, alive):
        pick = lambda n=1: self.random.sample(alive, min(n, len(alive)))  # noqa: E731
        kind = self.random.choices(("establish", "rename", "change_kind", "move", "merge", "split", "dissolve"), (12, 6, 6, 30, 6, 3, 5))[0]
        if kind == "establish":
            return {"kind": kind, "code": samples.fresh(self.prefix), "name": "Đơn vị mới", "unit_kind": self.random.choice(KINDS), "parent": pick()[0]}
        if kind == "rename":
            return {"kind": kind, "organization": pick()[0], "name": f"Tên {self.random.randrange(1000)}"}
        if kind == "change_kind":
            return {"kind": kind, "organization": pick()[0], "unit_kind": self.random.choice(KINDS)}
        if kind == "move":
            return {"kind": kind, "organization": pick()[0], "parent": pick()[0]}
        if kind == "merge":
            *parts, whole = pick(self.random.choice((2, 2, 3)))
            return {"kind": kind, "organizations": parts, "into": whole}
        if kind == "split":
            whole, *parts = pick(3)
            return {"kind": kind, "organization": whole, "successors": parts}
        return {"kind": kind, "organization": pick()[0]}

    def decide(self):
        day = self.day()
        alive = [c for c, in self.rows("""SELECT o.code FROM organization_span s JOIN organization o ON o.id = s.organization_id
            WHERE s.validity @> %s AND o.code LIKE ANY (%s) ORDER BY o.code""", [day, self.codes])]
        self.take(day, [self.step(alive) for _ in range(self.random.randrange(1, 8))])

    def take(self, day, steps):
        self.steps += len(steps)
        try:
            self.rows("SELECT reorganize(uuid_v7(), %s, false)", [json.dumps({"decision": "QĐ", "effective_on": day.isoformat(), "steps": steps})])
            self.connection.commit()
            self.taken += 1
        except psycopg2.Error as error:
            self.connection.rollback()
            assert error.pgcode == "TD422", error

    def spans(self):
        return self.rows("SELECT organization_id, parent_id, lower(validity), upper(validity) FROM organization_span ORDER BY 1, 3")


def days_above(spans):
    """{(ancestor, unit, depth): sorted list of disjoint stretches}, by walking up from each stretch of each unit."""
    far = date(9999, 12, 31)
    of = {}
    for unit, parent, low, high in spans:
        of.setdefault(unit, []).append((low, high or far, parent))
    found = {}

    def climb(unit, at, low, high, depth):
        for start, end, parent in of.get(at, ()):
            a, b = max(low, start), min(high, end)
            if a < b:
                found.setdefault((at, unit, depth), []).append((a, b))
                if parent is not None:
                    climb(unit, parent, a, b, depth + 1)

    for unit in of:
        climb(unit, unit, date.min, far, 0)
    for stretches in found.values():
        stretches.sort()
        joined = [stretches[0]]
        for low, high in stretches[1:]:
            if low <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
            else:
                joined.append((low, high))
        stretches[:] = joined
    return found


def closure(tree):
    far = date(9999, 12, 31)
    found = {}
    for ancestor, unit, depth, low, high in tree.rows("SELECT ancestor_id, descendant_id, depth, lower(validity), upper(validity) FROM organization_closure ORDER BY 4"):
        found.setdefault((ancestor, unit, depth), []).append((low, high or far))
    return found


def check(tree):
    """Of today's rows, those of this tree alone: the days of another were put back with its clock."""
    model, stored = days_above(tree.spans()), closure(tree)
    assert stored == model
    # above every unit, on every one of its days, there is its whole line up to a root, once
    assert all(a != u for a, u, depth in stored if depth > 0)
    assert tree.rows("SELECT * FROM orphans_of((SELECT array_agg(id) FROM organization))") == []
    # every key is its place's key and its own label, in every table
    assert tree.rows("""SELECT o.code FROM organization o LEFT JOIN organization p ON p.id = place_of(o.id)
        WHERE o.scope_key <> coalesce(p.scope_key, '') || right(o.scope_key, 6) AND o.code LIKE ANY (%s)""", [tree.codes]) == []
    for table in ("account", "access_grant", "value", "value_revision", "assignment_unit", "organization_span", "organization_identifier", "activity",
                  "campaign_assignment", "campaign_reach", "campaign_review", "product", "recognition"):
        unit = "organization_id" if table != "value_revision" else "(SELECT v.organization_id FROM value v WHERE v.id = t.value_id)"
        assert tree.rows(f"SELECT t.scope_key FROM {table} t JOIN organization o ON o.id = {unit} WHERE o.scope_key <> t.scope_key") == [], table
    assert tree.rows("""SELECT count(*) FROM organization_closure c JOIN organization o ON o.id = c.descendant_id WHERE o.scope_key <> c.scope_key""") == [(0,)]
    assert tree.rows("SELECT * FROM activity_recount()") == [], "the sums of activities are those of the activities as they are"
    # the sums are those of the values as they are
    assert tree.rows("""WITH stored AS (
          SELECT indicator_id, period_id, scope_key, category, reported, numerator, denominator, number FROM rollup
          UNION ALL SELECT indicator_id, period_id, left(scope_key, n), category, reported, numerator, denominator, number
            FROM rollup_delta d, generate_series(6, length(d.scope_key), 6) n
          UNION ALL SELECT indicator_id, period_id, left(scope_key, n), category, -(state = 'reported')::int, -coalesce(numerator, 0), -coalesce(denominator, 0), -coalesce(number, 0)
            FROM value v, generate_series(6, length(v.scope_key) - 6, 6) n WHERE v.counted)
        SELECT indicator_id, scope_key, sum(reported), sum(numerator), sum(denominator), sum(number) FROM stored GROUP BY indicator_id, period_id, scope_key, category
        HAVING (sum(reported), sum(numerator), sum(denominator), sum(number)) <> (0, 0, 0, 0)""") == []
    # who is assigned is what the assignments claim
    assert tree.rows("""WITH wanted AS (SELECT c.assignment_id, c.organization_id, range_agg(d) AS days
          FROM indicator i, assignment_claims(i.id, '0', '~') c, unnest(c.days) d GROUP BY 1, 2),
        stored AS (SELECT assignment_id, organization_id, range_agg(validity) AS days FROM assignment_unit GROUP BY 1, 2)
        SELECT * FROM wanted w FULL JOIN stored s USING (assignment_id, organization_id) WHERE w.days IS DISTINCT FROM s.days""") == []
    assert tree.rows("""SELECT v.id FROM value v JOIN period p ON p.id = v.period_id WHERE v.counted <> EXISTS (
        SELECT FROM assignment_unit u WHERE u.indicator_id = v.indicator_id AND u.organization_id = v.organization_id AND u.counted AND u.validity @> p.ends_on)""") == []
    # the rows of today are those of today's spans
    assert tree.rows("""SELECT o.code FROM organization o JOIN organization_span s ON s.organization_id = o.id AND s.validity @> today()
        WHERE (o.name, o.kind, o.parent_id) IS DISTINCT FROM (s.name, s.kind, s.parent_id) AND o.code LIKE ANY (%s)""", [tree.codes]) == []
    tree.connection.rollback()


def live(tree, moved, steps):
    """So many steps, with the clock moved on and everything checked three times on the way."""
    next_check, ahead = steps // 3, 0
    while tree.steps < steps:
        tree.decide()
        if tree.steps >= next_check:
            next_check += steps // 3
            ahead += 86400 * tree.random.randrange(150)
            moved.move(ahead)
            # the service turns the tree as well: whoever came first, it is waited for
            tree.rows("SELECT tree_turn()")
            tree.connection.commit()
            assert wait_for(lambda: tree.rows("SELECT settled_on = today() FROM tree_state")[0][0])
            check(tree)
    assert tree.taken > steps // 50
    tree.connection.close()


def test_figures_and_assignments_follow_a_thousand_random_steps(world, cluster, moved):
    connector = world.connector()
    for n, cell in enumerate(("AA-W1-C1", "AA-W1-C2", "AA-W2-C1", "AA-W2-C2")):
        for period in ("2025-Q1", "2025-Q3", "2026-Q2"):
            world.must(connector.enter("AA-RATIO", cell, period, {"numerator": n + 1, "denominator": 10 + n}))
    for period in ("2025-Q1", "2026-Q2"):
        world.must(connector.enter("AA-SUM", "AA-W1", period, {"number": 7}))
    campaign = campaigns.campaign(world)["code"]
    for n, cell in enumerate(("AA-W1-C1", "AA-W1-C2", "AA-W2-C1", "AA-W2-C2", "AA-W1")):
        world.must(connector.post("/v1/activities", {"campaign": campaign, "phase": "GD1", "organization": cell, "kind": "conference", "title": "Hội nghị",
                                                     "starts_on": "2026-03-01", "ends_on": "2026-03-02", "planned": n + 1, "contacts_planned": 10 * n}))
    tree = Tree(cluster, 1, ["AA%", "R%"])
    check(tree)
    live(tree, moved, 1000)


@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_random_steps_leave_a_right_tree(world, service, cluster, moved, seed):
    """Ten times a thousand, each from a new root of thirty units in a world without the trees before."""
    world.as_built()
    root, prefix = f"T{seed}-TU", f"T{seed}R"
    service.bootstrap(root, "Tỉnh ủy thử", "provincial_party_committee", f"t{seed}.quantri", "mot-mat-khau-du-dai-va-la")
    tree = Tree(cluster, seed, [root, f"{prefix}-%"], prefix)
    tree.take(FIRST, [{"kind": "establish", "code": f"{prefix}-S{n}", "name": f"Đơn vị {n}", "unit_kind": KINDS[n % 4],
                       "parent": root if n < 5 else f"{prefix}-S{n // 3}"} for n in range(30)])
    assert tree.taken == 1
    live(tree, moved, 1000)
