"""Reports made ahead, after hundreds of random changes of duties, units, decisions and days: they are what is worked out from scratch, and
nothing that was written, put off, waived or handed in is lost."""
import json
import random
from datetime import date, timedelta

import psycopg2
import pytest
from harness import samples
from harness.crowd import wait_for

KINDS = ("directly_subordinate_party_committee", "grassroots_party_organization", "party_cell")
CADENCES = ("month", "quarter", "half_year", "once")
OPEN = ("expected", "draft", "returned")
FAR = date(9999, 12, 31)
HORIZON = 45


class Register:
    """A root of its own with random duties; everything is done by the owner's role, as the service's functions do it."""

    def __init__(self, cluster, service, seed):
        self.random = random.Random(seed)
        self.root, self.prefix = f"E{seed}-TU", f"E{seed}X"
        service.bootstrap(self.root, "Tỉnh ủy thử", "provincial_party_committee", f"e{seed}.quantri", "mot-mat-khau-du-dai-va-la")
        self.connection = cluster.connect()
        self.connection.autocommit = False
        self.decided = self.reverted = self.refused = 0
        self.sql("SELECT setseed(%s)", [1 / (2 + seed)])  # for what is chosen by the database
        self.touched = {}  # id -> the states it may be in whatever happens to its duty
        self.sql("""INSERT INTO programme (id, code, title, owner_id, scope_id, starts_on, ends_on)
            SELECT uuid_v7(), %s, 'Chương trình', o.id, o.id, '2025-01-01', '2029-12-31' FROM organization o WHERE o.code = %s""", [f"{self.prefix}-P", self.root])
        self.decide("2025-02-01", [{"kind": "establish", "code": f"{self.prefix}-S{n}", "name": f"Đơn vị {n}", "unit_kind": KINDS[n % 3],
                                    "parent": self.root if n < 4 else f"{self.prefix}-S{n // 4}"} for n in range(16)])
        assert self.decided == 1

    def rows(self, sql, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE tiendo_owner; SET LOCAL search_path = tiendo, public")
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def sql(self, sql, parameters=None):
        found = self.rows(sql, parameters)
        self.connection.commit()
        return found

    # ---- changing ----
    def units(self):
        return self.rows("SELECT o.id, o.code FROM organization o WHERE o.code = %s OR o.code LIKE %s ORDER BY o.code", [self.root, f"{self.prefix}-%"])

    def decide(self, day, steps):
        try:
            self.sql("SELECT reorganize(uuid_v7(), %s, false)", [json.dumps({"decision": "QĐ", "effective_on": str(day), "steps": steps})])
            self.decided += 1
        except psycopg2.Error as error:
            self.connection.rollback()
            assert error.pgcode == "TD422", error
            self.refused += 1

    def decision(self):
        day = date(2026, 1, 1) + timedelta(self.random.randrange(500))
        alive = [c for c, in self.rows("""SELECT o.code FROM organization_span s JOIN organization o ON o.id = s.organization_id
            WHERE s.validity @> %s AND o.code LIKE %s ORDER BY 1""", [day, f"{self.prefix}-%"])]
        pick = lambda n: self.random.sample(alive, min(n, len(alive)))  # noqa: E731
        if len(alive) < 4:
            return
        kind = self.random.choices(("establish", "change_kind", "move", "merge", "split", "dissolve"), (4, 2, 5, 3, 2, 1))[0]
        if kind == "establish":
            step = {"code": samples.fresh(self.prefix), "name": "Đơn vị mới", "unit_kind": self.random.choice(KINDS), "parent": self.random.choice([self.root, *pick(2)])}
        elif kind == "change_kind":
            step = {"organization": pick(1)[0], "unit_kind": self.random.choice(KINDS)}
        elif kind == "move":
            step = {"organization": pick(1)[0], "parent": self.random.choice([self.root, *pick(2)])}
        elif kind == "merge":
            *parts, whole = pick(self.random.choice((2, 3)))
            step = {"organizations": parts, "into": whole}
        elif kind == "split":
            whole, *parts = pick(3)
            step = {"organization": whole, "successors": parts}
        else:
            step = {"organization": pick(1)[0]}
        self.decide(day, [{"kind": kind, **step}])

    def revert(self):
        """The newest decisions first, as far as nothing hangs on them."""
        for one, in self.rows("""SELECT r.id FROM reorganization r JOIN reorganization_unit u ON u.reorganization_id = r.id JOIN organization o ON o.id = u.organization_id
                WHERE r.reverted_at IS NULL AND o.code LIKE %s GROUP BY r.id ORDER BY r.created_at DESC, r.id DESC LIMIT 3""", [f"{self.prefix}-%"]):
            if self.rows("SELECT reorganization_dependants(r) FROM reorganization r WHERE r.id = %s", [one])[0][0] == []:
                try:
                    self.rows("SELECT tree_change_lock(), tree_lock_alone()")  # as who reverts takes them: the background turns the tree too
                    self.rows("SELECT reorganization_undo(r, NULL) FROM reorganization r WHERE r.id = %s", [one])
                    self.sql("UPDATE reorganization SET reverted_at = clock_now() WHERE id = %s", [one])
                    self.reverted += 1
                    break
                except psycopg2.Error as error:  # another decision has come to need it
                    self.connection.rollback()
                    assert error.pgcode == "TD422", error
        self.connection.commit()

    def new_unit(self):
        parent = self.rows("SELECT o.id FROM organization o WHERE (o.code = %s OR o.code LIKE %s) AND o.valid_to IS NULL AND o.valid_from <= '2026-01-01' ORDER BY random() LIMIT 1",
                           [self.root, f"{self.prefix}-%"])[0][0]
        self.sql("""WITH made AS (INSERT INTO organization (id, parent_id, code, name, kind, attached, valid_from)
              VALUES (uuid_v7(), %s, %s, 'Chi bộ mới', %s, %s, '2026-02-01') RETURNING *)
            INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
            SELECT id, scope_key, daterange('2026-02-01', NULL), name, kind, parent_id FROM made""",
                 [parent, samples.fresh(self.prefix), self.random.choice(KINDS), self.random.random() < 0.3])

    def attach(self):
        self.sql("UPDATE organization SET attached = NOT attached WHERE id = %s", [self.random.choice(self.units())[0]])

    def duty(self):
        units = [i for i, _ in self.units()]
        cadence, kinds = self.random.choice(CADENCES), self.random.choice((None, list(self.random.sample(KINDS, 2))))
        to = self.random.choice([None, units[0], self.random.choice(units)])
        start = date(2026, 1 + self.random.randrange(9), 1)
        duty = self.rows("""INSERT INTO report_duty (id, programme_id, root_id, scope_key, scope_id, code, title, under_id, kinds, to_id, to_parent, acceptance, cadence,
              deadline_days, due_on, validity)
            SELECT uuid_v7(), p.id, p.root_id, p.scope_key, p.scope_id, %s, 'Báo cáo', %s, %s, %s, %s, 'receipt', %s, %s, %s, %s FROM programme p WHERE p.code = %s RETURNING id""",
                         [samples.fresh(f"{self.prefix}-D"), self.random.choice([units[0], self.random.choice(units)]), kinds, to, to is None, cadence,
                          self.random.randrange(10), date(2026, 12, 1) if cadence == "once" else None, f"[{start},)", f"{self.prefix}-P"])[0][0]
        self.parts(duty, units)
        self.connection.commit()

    def parts(self, duty, units):
        self.rows("DELETE FROM report_duty_organization WHERE duty_id = %s", [duty])
        for unit in self.random.sample(units, 2):
            self.rows("""INSERT INTO report_duty_organization SELECT d.id, %s, %s FROM report_duty d WHERE d.id = %s AND d.to_id IS DISTINCT FROM %s""",
                      [unit, self.random.random() < 0.6, duty, unit])
        self.rows("DELETE FROM report_duty_stands_for WHERE duty_id = %s", [duty])
        self.rows("""INSERT INTO report_duty_stands_for SELECT d.id, o.id, '{Q2,Q4,M06,M12,S2}' FROM report_duty d JOIN report_duty o ON o.programme_id = d.programme_id
            WHERE d.id = %s AND o.id < d.id AND d.cadence IN ('quarter', 'half_year') AND o.cadence IN ('month', 'quarter') AND o.cadence <> d.cadence
            ORDER BY random() LIMIT 1""", [duty])

    def duties(self):
        return [d for d, in self.rows("SELECT d.id FROM report_duty d JOIN programme p ON p.id = d.programme_id WHERE p.code = %s ORDER BY 1", [f"{self.prefix}-P"])]

    def change_duty(self):
        duty, units = self.random.choice(self.duties()), [i for i, _ in self.units()]
        what = self.random.randrange(5)
        if what == 0:
            self.rows("UPDATE report_duty SET kinds = %s WHERE id = %s", [self.random.choice((None, [self.random.choice(KINDS)])), duty])
        elif what == 1:
            until = self.random.choice((None, date(2026, 7, 1), date(2026, 11, 15)))
            self.rows("UPDATE report_duty SET validity = daterange(lower(validity), greatest(%s, lower(validity) + 1)) WHERE id = %s", [until, duty])
        elif what == 2:
            self.rows("UPDATE report_duty SET deadline_days = %s, acceptance = %s, entered_by = 'superior' WHERE id = %s",
                      [self.random.randrange(10), self.random.choice(("receipt", "approval")), duty])
        elif what == 3:
            self.parts(duty, units)
        else:
            to = self.random.choice((None, self.random.choice(units)))
            self.rows("""UPDATE report_duty d SET to_id = %s, to_parent = %s WHERE d.id = %s
                AND NOT EXISTS (SELECT FROM report_duty_organization o WHERE o.duty_id = d.id AND o.organization_id = %s)""", [to, to is None, duty, to])
        self.connection.commit()

    def holiday(self):
        self.sql("""INSERT INTO holiday (id, root_id, day, name) SELECT uuid_v7(), o.id, %s, 'Nghỉ' FROM organization o WHERE o.code = %s
            ON CONFLICT ON CONSTRAINT holiday_taken DO NOTHING""", [date(2026, 3, 1) + timedelta(self.random.randrange(300)), self.root])

    def touch(self):
        """What people do with a report, as far as expecting it is concerned."""
        found = self.rows("""SELECT r.id, r.state FROM report r JOIN programme p ON p.id = r.programme_id
            WHERE p.code = %s AND r.state IN ('expected', 'draft', 'submitted') ORDER BY r.id""", [f"{self.prefix}-P"])
        for report, state in self.random.sample(found, min(3, len(found))):
            what = "return" if state == "submitted" else self.random.choice(("edit", "extend", "waive", "submit"))
            after = {"edit": "draft", "extend": state, "waive": "waived", "submit": "submitted", "return": "returned"}[what]
            if not self.rows("""UPDATE report SET state = %s, waived_reason = %s, submissions = %s, due_on = due_on + %s, version = version + 1
                    WHERE id = %s AND state = %s RETURNING id""", [after, "Miễn" if what == "waive" else None, int(after in ("submitted", "returned")),
                                                                   20 if what == "extend" else 0, report, state]):
                continue
            if what == "edit":
                self.rows("INSERT INTO report_section (report_id, code, text) VALUES (%s, 'I', 'Đã viết') ON CONFLICT DO NOTHING", [report])
            else:
                self.rows("""INSERT INTO report_event (report_id, seq, action, from_state, to_state)
                    SELECT %s, coalesce(max(seq), 0) + 1, %s, %s, %s FROM report_event WHERE report_id = %s""", [report, what, state, after, report])
            self.connection.commit()  # one at a time, as requests do
            self.touched[report] = (after, "withdrawn") if after in OPEN else (after,)
        self.connection.commit()

    def settle(self):
        """Until nothing is marked: by this hand or by the service's."""
        def done():
            self.sql("SELECT tree_turn()")
            while self.sql("SELECT report_expect(40)")[0][0]:
                pass
            return self.sql("SELECT s.expected_on = today() AND NOT EXISTS (SELECT FROM report_mark) FROM report_state s")[0][0]
        assert wait_for(done), self.sql("SELECT * FROM report_mark")


class Model:
    """What should be, from the spans, the lineage and the duties alone."""

    def __init__(self, register):
        rows = register.rows
        self.today = rows("SELECT today()")[0][0]
        self.spans, self.ended, self.heirs = {}, {}, {}
        for unit, low, high, kind, parent in rows("SELECT organization_id, lower(validity), upper(validity), kind, parent_id FROM organization_span"):
            self.spans.setdefault(unit, []).append((low, high or FAR, kind, parent))
        self.attached = {u for u, in rows("SELECT id FROM organization WHERE attached")}
        for unit, stretches in self.spans.items():
            last = max(high for _, high, _, _ in stretches)
            if last < FAR:
                self.ended[unit] = last - timedelta(1)
        for predecessor, successor, day in rows("SELECT predecessor_id, successor_id, on_day FROM organization_lineage"):
            if day > self.ended.get(predecessor, FAR):
                self.heirs.setdefault(predecessor, set()).add(successor)
        self.periods = {}
        for one, code, kind, starts, ends in rows("SELECT id, code, kind, starts_on, ends_on FROM period WHERE programme_id IS NULL AND ends_on BETWEEN '2025-12-01' AND '2029-01-01'"):
            self.periods.setdefault(kind, []).append((one, code, starts, ends))
        self.duties = {}
        for d in rows("""SELECT d.id, d.cadence, lower(d.validity), upper(d.validity), d.under_id, d.kinds, d.to_id, d.due_on FROM report_duty d JOIN programme p ON p.id = d.programme_id
                WHERE p.code = %s""", [f"{register.prefix}-P"]):
            self.duties[d[0]] = dict(zip(("id", "cadence", "low", "high", "under", "kinds", "to", "due_on"), d), named=set(), excepted=set())
        for duty, unit, excepted in rows("SELECT duty_id, organization_id, excepted FROM report_duty_organization"):
            if duty in self.duties:
                self.duties[duty]["excepted" if excepted else "named"].add(unit)
        self.stands = rows("SELECT duty_id, for_duty_id, periods FROM report_duty_stands_for")
        self.stored = {(d, u, p): rest for d, u, p, *rest in rows("""SELECT r.duty_id, r.organization_id, r.period_id, r.id, r.state, r.recipient_id FROM report r
            JOIN programme p ON p.id = r.programme_id WHERE p.code = %s""", [f"{register.prefix}-P"])}

    def on(self, unit, day):
        return next(((kind, parent) for low, high, kind, parent in self.spans.get(unit, ()) if low <= day < high), None)

    def above(self, unit, day):
        parent = self.on(unit, day)[1]
        while parent is not None:
            yield parent
            parent = self.on(parent, day)[1]

    def owes(self, d, day):
        if not d["low"] <= day < (d["high"] or FAR):
            return set()
        found = {u for u in d["named"] if self.on(u, day) and (d["to"] or self.on(u, day)[1])}
        for unit in self.spans:
            here = self.on(unit, day)
            if here and unit != d["to"] and unit not in d["named"] | d["excepted"] and d["under"] in self.above(unit, day) \
                    and (here[0] in d["kinds"] if d["kinds"] else unit not in self.attached):
                found.add(unit)
        return found

    def stood(self, d, code, ends):
        found = set()
        for by, stood_for, parts in self.stands:
            if stood_for == d["id"] and code[5:] in parts and any(e == ends for _, _, _, e in self.periods.get(self.duties[by]["cadence"], ())):
                found |= self.owes(self.duties[by], ends)
        return found

    def addressed(self, d, unit, day):
        until = max(day, self.today)
        to = d["to"] or self.on(unit, day)[1]
        while self.ended.get(to, FAR) < until:
            then = None if d["to"] else self.on(unit, self.ended[to] + timedelta(1))
            heirs = self.heirs.get(to, set())
            onward = then[1] if then and then[1] else next(iter(heirs)) if len(heirs) == 1 else None
            if onward is None:
                break
            to = onward
        return to

    def wanted(self):
        """{(duty, unit, period): (recipient, whether its period has come near)}"""
        found = {}
        for d in self.duties.values():
            if d["cadence"] == "once":
                periods = [(None, None, self.today, d["due_on"])]
            else:
                periods = self.periods[d["cadence"]]
            for period, code, starts, ends in periods:
                stood = self.stood(d, code, ends) if period else set()
                for unit in self.owes(d, ends) - stood:
                    to = self.addressed(d, unit, ends)
                    if to != unit:
                        found[d["id"], unit, period] = (to, starts <= self.today + timedelta(HORIZON))
        return found


def check(register):
    model = Model(register)
    wanted = model.wanted()
    missing = [k for k, (_, near) in wanted.items() if near and (k not in model.stored or model.stored[k][1] == "withdrawn")]
    assert missing == []
    for key, (report, state, recipient) in model.stored.items():
        if state in OPEN:
            assert key in wanted, (key, state, "is owed by nobody")
            assert recipient == wanted[key][0], (key, state, "is addressed to somebody else")
        elif key not in wanted:
            assert report in register.touched, (key, state)
    states = {report: state for report, state, _ in model.stored.values()}
    for report, allowed in register.touched.items():
        assert states.get(report) in allowed, (report, states.get(report), allowed)
    # what the open ones cover, and until when; keys
    assert register.rows("""SELECT r.id FROM report r JOIN report_duty d ON d.id = r.duty_id JOIN programme g ON g.id = r.programme_id JOIN period p ON p.id = r.period_id,
          report_dates(d, p.starts_on, p.ends_on, p.kind) x
        WHERE g.code = %s AND r.state IN ('expected', 'draft', 'returned') AND ((r.data_from, r.data_to, r.entered_by, r.copy_ids)
          IS DISTINCT FROM (x.data_from, x.data_to, d.entered_by, d.copy_ids) OR (r.state <> 'returned' AND r.acceptance <> d.acceptance)
          OR CASE WHEN EXISTS (SELECT FROM report_event e WHERE e.report_id = r.id AND e.action = 'extend') THEN r.due_on = r.first_due_on
            ELSE (r.due_on, r.first_due_on) IS DISTINCT FROM (x.due_on, x.due_on) END)""", [f"{register.prefix}-P"]) == []
    assert register.rows("SELECT r.id FROM report r JOIN organization o ON o.id = r.organization_id WHERE o.scope_key <> r.scope_key") == []
    assert register.rows("""SELECT d.id FROM report_duty d JOIN programme p ON p.id = d.programme_id WHERE p.code = %s
        AND NOT EXISTS (SELECT FROM organization o WHERE o.scope_key = d.scope_key)""", [f"{register.prefix}-P"]) == []
    register.connection.rollback()


@pytest.mark.parametrize("seed", range(3))
def test_after_random_changes_reports_are_what_is_worked_out_from_scratch(world, service, cluster, moved, seed):
    world.as_built()
    register = Register(cluster, service, seed)
    for _ in range(4):
        register.duty()
    register.settle()
    check(register)
    ahead, done = 0, []
    for step in range(120):
        act = register.random.choices(
            (register.decision, register.revert, register.new_unit, register.attach, register.duty, register.change_duty, register.holiday, register.touch),
            (8, 3, 3, 2, 1 if len(register.duties()) < 9 else 0, 6, 1, 5))[0]
        act()
        done.append(act.__name__)
        if register.random.random() < 0.1:
            ahead += 86400 * register.random.randrange(40)
            moved.move(ahead if register.random.random() < 0.8 else 0)
        if step % 3 == 2:
            register.settle()
            try:
                check(register)
            except AssertionError as error:
                raise AssertionError(f"after {done[-3:]} at step {step}, moved by {ahead // 86400} days") from error
    assert register.decided > 10 and register.reverted > 2 and len(register.touched) > 20
    register.connection.close()
