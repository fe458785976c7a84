"""Duties and the reports they make due, put into the database as the service would make them."""
import uuid


def new_id():
    made = str(uuid.uuid4())
    return f"{made[:14]}7{made[15:]}"


def owe(cluster, code, units, to=None, due_on=None, period=None, **more):
    """A duty of these units, to one of them or (None) to each one's parent, for one day or one period; {unit: its report's id}."""
    cadence = cluster.query("SELECT kind FROM period WHERE code = %s", [period])[0][0] if period else "once"
    given = {"duty": new_id(), "code": code, "units": list(units), "to": to, "due_on": due_on, "period": period, "cadence": cadence,
             "title": f"Báo cáo {code}", "programme": "AA-P", "acceptance": "approval", "entered_by": "self", "before": [3], "after": [1, 7],
             "escalate": 7, "copies": [], "indicators": [], **more}
    cluster.query("""
        INSERT INTO report_duty (id, programme_id, root_id, scope_key, scope_id, code, title, to_id, to_parent, copy_ids, acceptance, cadence, due_on,
          entered_by, validity, remind_before, remind_after, escalate_after)
        SELECT %(duty)s, g.id, g.root_id, g.scope_key, g.scope_id, %(code)s, %(title)s, (SELECT o.id FROM organization o WHERE o.code = %(to)s),
          %(to)s IS NULL, ARRAY(SELECT o.id FROM organization o WHERE o.code = ANY (%(copies)s)), %(acceptance)s, %(cadence)s, %(due_on)s::date,
          %(entered_by)s, CASE WHEN %(period)s IS NULL THEN daterange('2025-01-01', NULL)
            ELSE (SELECT daterange(p.starts_on, p.ends_on, '[]') FROM period p WHERE p.code = %(period)s) END,
          %(before)s, %(after)s, %(escalate)s
        FROM programme g WHERE g.code = %(programme)s;
        INSERT INTO report_duty_organization (duty_id, organization_id, excepted)
        SELECT %(duty)s, o.id, false FROM organization o WHERE o.code = ANY (%(units)s);
        INSERT INTO report_duty_indicator (duty_id, indicator_id, position)
        SELECT %(duty)s, i.id, x.n FROM unnest(%(indicators)s::text[]) WITH ORDINALITY x(code, n) JOIN indicator i ON i.code = x.code;
        INSERT INTO report (id, duty_id, programme_id, organization_id, organization_code, scope_key, recipient_id, copy_ids, period_id, period_code,
          acceptance, entered_by, data_from, data_to, due_on, first_due_on)
        SELECT uuid_v7(), d.id, d.programme_id, o.id, o.code, o.scope_key, coalesce(d.to_id, o.parent_id), d.copy_ids, p.id, p.code, d.acceptance,
          d.entered_by, w.data_from, w.data_to, coalesce(w.due_on, d.due_on), coalesce(w.due_on, d.due_on)
        FROM report_duty d JOIN organization o ON o.code = ANY (%(units)s) LEFT JOIN period p ON p.code = %(period)s
          LEFT JOIN LATERAL report_dates(d, p.starts_on, p.ends_on, p.kind) w ON p.id IS NOT NULL
        WHERE d.id = %(duty)s ORDER BY o.scope_key
        ON CONFLICT DO NOTHING""", given)
    return dict(cluster.query("SELECT organization_code, id::text FROM report WHERE duty_id = %s", [given["duty"]]))


def act(who, report, action, **body):
    """What is done to a report as it stands now; the report afterwards."""
    headers = [("If-Match", "*"), ("Idempotency-Key", str(uuid.uuid4()))]
    answer = who.post(f"/v1/reports/{report}/{action}", body or None, headers)
    assert answer.status == 200, answer
    return answer.json()
