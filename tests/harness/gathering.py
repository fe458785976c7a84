"""Duties and their reports as rows, without the wait for the service to make them: for tests that need many, of any unit and period."""
import uuid

from .reports import Report

TITLES = {"results": "Kết quả triển khai thực hiện", "difficulties": "Khó khăn, vướng mắc", "next": "Nhiệm vụ kỳ tới"}


def v7():
    new = str(uuid.uuid4())
    return f"{new[:14]}7{new[15:]}"


def duty(cluster, code, to, units, indicators=(), sections=("results", "next"), period="2026-Q1", **more):
    """A duty of these units, for one period and after that no more."""
    made = {"id": v7(), "code": code, "to": to, "period": period, "cadence": "quarter", "acceptance": "receipt", "entered_by": "self",
            "copies": [], "programme": "AA-P", "units": list(units), "indicators": list(indicators), "sections": list(sections),
            "titles": [TITLES.get(s, s) for s in sections], **more}
    cluster.query("""INSERT INTO report_duty (id, programme_id, code, title, to_id, copy_ids, acceptance, cadence, entered_by, validity)
        SELECT %(id)s, p.id, %(code)s, 'Báo cáo ' || %(code)s, o.id, ARRAY(SELECT c.id FROM organization c WHERE c.code = ANY (%(copies)s)),
          %(acceptance)s, %(cadence)s, %(entered_by)s, daterange(q.starts_on, q.ends_on, '[]')
        FROM programme p, organization o, period q WHERE p.code = %(programme)s AND o.code = %(to)s AND q.code = %(period)s RETURNING 1""", made)
    cluster.query("""INSERT INTO report_duty_organization SELECT %(id)s, o.id, false FROM organization o WHERE o.code = ANY (%(units)s) RETURNING 1""", made)
    cluster.query("""INSERT INTO report_duty_section SELECT %(id)s, n, c, t, c = 'results', 4000
        FROM unnest(%(sections)s, %(titles)s) WITH ORDINALITY x(c, t, n) RETURNING 1""", made)
    cluster.query("""INSERT INTO report_duty_indicator SELECT %(id)s, i.id, x.n FROM unnest(%(indicators)s::text[]) WITH ORDINALITY x(c, n)
        JOIN indicator i ON i.code = x.c RETURNING 1""", made)
    return made


def report(world, cluster, made, unit, **more):
    """The unit's report on it."""
    cluster.query("""INSERT INTO report (id, duty_id, programme_id, organization_id, organization_code, scope_key, recipient_id, copy_ids, period_id, period_code,
          acceptance, entered_by, data_from, data_to, due_on, first_due_on)
        SELECT %(new)s, d.id, d.programme_id, o.id, o.code, o.scope_key, d.to_id, d.copy_ids, p.id, p.code, d.acceptance, d.entered_by,
          p.starts_on, p.ends_on, p.ends_on + 10, p.ends_on + 10
        FROM report_duty d, organization o, period p WHERE d.id = %(id)s AND o.code = %(unit)s AND p.code = %(period)s
        ON CONFLICT DO NOTHING RETURNING 1""", {**made, "unit": unit, "new": v7()})
    return Row(world, cluster, made, unit, **more)


class Row(Report):
    """A report whose row is there already."""

    def __init__(self, world, cluster, made, unit, recipient=None):  # pylint: disable=super-init-not-called
        self.world, self.unit, self.period, self.recipient = world, unit, made["period"], recipient or made["to"]
        self.duty, self.indicators = made["code"], made["indicators"]
        self.id = str(cluster.query("SELECT r.id FROM report r WHERE r.duty_id = %s AND r.organization_code = %s", [made["id"], unit])[0][0])
        self.path = f"/v1/reports/{self.id}"

    def send(self, *steps, **texts):
        """Writes these sections, submits, and takes the steps: (action, body)."""
        self.world.must(self.do("edit", {"sections": [{"code": code, "text": text} for code, text in texts.items()]}), 200)
        self.world.must(self.do("submit"), 200)
        for action, body in steps:
            self.must(action, body, self.reviewer)
        return self

    def changes(self, by=None, headers=(), **query):
        return (by or self.author).get(f"{self.path}/changes", headers, **query)

    def consolidate(self, body=None, by=None, match="*"):
        return self.do("consolidate", body or {}, by, match)


RECEIVE = ("receive", None)
