"""Random histories of reports against a small model: what every step answers, and what stands in the end. The same steps are taken by many at once in
the last test, where the order they took effect in must be one that the model allows."""
import json
import os
import random
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from harness import reports
from harness.reports import Report
from harness.world import Caller

HISTORIES = int(os.environ.get("TIENDO_HISTORIES", "1000"))  # 10,000 were run when this was written
WORKERS = 2
WRITABLE = ("expected", "draft", "returned", "amending")
PERMISSION = {"edit": "reports:write", "submit": "submissions:write", "recall": "submissions:write", "request_return": "submissions:write", "value": "values:write"}
# who: (seat, role)
WHO = {"author": ("AA-W1", "approver"), "reporter": ("AA-W1", "reporter"), "reviewer": ("AA-BTG", "approver"), "outsider": ("AA-W2", "approver")}
MOVES = {  # action: {(state, acceptance or None for any): next}
    "edit": {(s, None): "draft" if s == "expected" else s for s in WRITABLE},
    "submit": {(s, None): "submitted" for s in WRITABLE},
    "recall": {("submitted", "receipt"): "draft", ("submitted", "approval"): "draft"},
    "request_return": {("submitted", "receipt"): "submitted", ("received", "receipt"): "received", ("submitted", "approval"): "submitted",
                       ("received", "approval"): "received", ("approved", "approval"): "approved"},
    "receive": {("submitted", "receipt"): "received", ("submitted", "approval"): "received"},
    "return": {(s, a): "returned" for s in ("submitted", "received") for a in ("receipt", "approval")},
    "approve": {("submitted", "approval"): "approved", ("received", "approval"): "approved"},
    "amend": {("approved", "approval"): "amending", ("submitted", "none"): "amending"},
    "extend": {(s, None): s for s in WRITABLE},
    "waive": {(s, None): "waived" for s in ("expected", "draft", "returned")},
    "reinstate": {("waived", None): "expected"},
}


def move(action, state, acceptance):
    return MOVES[action].get((state, None)) or MOVES[action].get((state, acceptance))


class Model:
    def __init__(self, acceptance, due, today):
        self.acceptance, self.due, self.today = acceptance, due, today
        self.state, self.version, self.text, self.value, self.events = "expected", 1, None, None, 0
        self.sent = []  # [{n, day, on_time, text, value, withdrawn, accepted}]
        self.asked, self.came_from = False, None

    @property
    def shown(self):
        return max((s["n"] for s in self.sent if not s["withdrawn"]), default=None)

    @property
    def locked(self):
        return self.state in ("submitted", "received", "approved")

    def step(self, who, action, match, argument):
        """The outcome: a state, an SQLSTATE, or the status of a value."""
        if action == "clock":
            self.today += timedelta(argument)
            return "-"
        if action == "value":
            if self.value is not None and self.locked and argument != self.value:
                return "TD409"
            self.value, made = argument, self.value is None
            return "201" if made else "200"
        if who == "reporter" and action != "edit":
            return "TD403"
        if who == "outsider":
            return "TD404"
        mine = action in ("edit", "submit", "recall", "request_return") or (action == "amend" and self.acceptance == "none")
        known = any(move(action, s, self.acceptance) for s in (*WRITABLE, "submitted", "received", "approved", "waived"))
        if known and mine != (who in ("author", "reporter")):
            return "TD403"
        if action == "extend":
            until = self.today + timedelta(argument)
            if until <= self.due or argument < 0:
                return "TD422"
        if match != "*" and match != str(self.version):
            return "TD428" if match is None else "TD412"
        after = move(action, self.state, self.acceptance)
        if after is None:
            return "TD409"
        if action == "submit" and (self.text is None or self.value is None):
            return "TD422"
        return self.take(action, self.came_from if action in ("recall", "reinstate") else after, argument)

    def take(self, action, after, argument):
        if action in ("submit", "waive"):
            self.came_from = "draft" if action == "submit" and self.state == "expected" else self.state
        if action == "edit":
            self.text = argument
        elif action == "submit":
            self.sent.append({"n": len(self.sent) + 1, "day": self.today, "on_time": self.today <= self.due, "text": self.text, "value": self.value,
                              "withdrawn": False, "accepted": None})
        elif action == "recall":
            self.sent[self.shown - 1]["withdrawn"] = True
        elif action in ("receive", "approve"):
            self.sent[self.shown - 1]["accepted"] = after
        elif action == "extend":
            self.due = self.today + timedelta(argument)
        if action == "request_return":
            self.asked = True
        elif action in ("return", "recall", "submit", "amend"):
            self.asked = False
        self.events += not (action == "edit" and self.state == after)
        self.state, self.version = after, self.version + 1
        return after

    def stands(self):
        first = min((s["day"] for s in self.sent if not s["withdrawn"]), default=None)
        return {"state": self.state, "version": self.version, "submissions": len(self.sent), "shown": self.shown, "due": self.due.isoformat(),
                "first": first and first.isoformat(), "asked": self.asked, "events": self.events, "value": self.value,
                "locked": int(self.locked) if self.value is not None else None,
                "sent": [[s["n"], s["on_time"], s["text"], s["value"], s["withdrawn"], s["accepted"]] for s in self.sent]}


def history(rng, model):
    """Steps a person may think of, likely ones oftener; each with the outcome the model gives."""
    steps = []
    begun = rng.random() < 0.7  # most begin with a report that is sent
    for n in range(rng.randrange(4, 11)):
        likely = [a for a in MOVES if move(a, model.state, model.acceptance)]
        action = rng.choice(likely) if likely and rng.random() < 0.7 else rng.choice([*MOVES, "value", "value", "clock"])
        if begun and n < 3:
            action = ("value", "edit", "submit")[n]
        right = "reviewer" if action in ("receive", "return", "approve", "extend", "waive", "reinstate") or (action == "amend" and model.acceptance == "approval") else "author"
        who = right if rng.random() < 0.85 else rng.choice(list(WHO))
        if begun and n < 3:
            who = "author"
        match = rng.choices(["*", str(model.version), str(model.version - 1), None], (6, 3, 1, 1))[0]
        argument = {"edit": rng.choice(["Kết quả", "Kết quả sửa", "Bổ sung", *([] if begun and n < 3 else [None])]), "value": rng.randrange(3), "clock": rng.randrange(1, 30),
                    "extend": rng.randrange(-3, 60)}.get(action)
        if action == "value":
            who = "author"
        body = {"edit": {"sections": [{"code": "results", "text": argument}]}, "value": {"number": argument},
                "extend": {"due_on": (model.today + timedelta(argument if action == "extend" else 0)).isoformat(), "reason": "Bão"}}.get(
                    action, {"reason": "Lý do"})
        steps.append({"who": who, "action": action, "permission": PERMISSION.get(action, "reviews:write"), "match": match, "body": body,
                      "days": argument if action == "clock" else None, "outcome": model.step(who, action, match, argument)})
    return steps


# One call runs a whole history as the serving role; the session's own clock moves.
RUNNER = """
CREATE OR REPLACE FUNCTION tiendo.clock_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
  $$ SELECT now() + (SELECT ahead FROM tiendo.test_clock) + coalesce(nullif(current_setting('test.days', true), '')::int, 0) * interval '1 day' $$;
CREATE FUNCTION public.history_run(report text, indicator text, steps jsonb, callers jsonb, kid text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE s jsonb; who jsonb; outcome text; outcomes jsonb := '[]';
BEGIN
  PERFORM set_config('test.days', '0', true);
  FOR s IN SELECT * FROM jsonb_array_elements(steps) LOOP
    BEGIN
      who := callers -> (s ->> 'who');
      IF s ->> 'action' = 'clock' THEN
        PERFORM set_config('test.days', (current_setting('test.days')::int + (s ->> 'days')::int)::text, true);
        outcome := '-';
      ELSE
        PERFORM tiendo.enter((who ->> 0)::uuid, (who ->> 1)::uuid, kid, s ->> 'permission');
        IF s ->> 'action' = 'value' THEN
          SELECT p.status::text INTO outcome FROM (SELECT EXISTS (SELECT FROM tiendo.value v WHERE v.indicator_code = indicator AND v.organization_code = 'AA-W1') AS there) e,
            tiendo.value_put(indicator, 'AA-W1', '2026-Q1', NULL, s -> 'body', CASE WHEN e.there THEN '*' END, CASE WHEN NOT e.there THEN '*' END,
              gen_random_uuid(), 'h') p;
        ELSE
          SELECT a.body_out::jsonb ->> 'state' INTO outcome FROM tiendo.report_act(s ->> 'action', report, s -> 'body', s ->> 'match', 'h') a;
        END IF;
      END IF;
    EXCEPTION WHEN OTHERS THEN
      outcome := SQLSTATE;
    END;
    outcomes := outcomes || to_jsonb(outcome);
  END LOOP;
  RETURN outcomes;
END $$;
GRANT EXECUTE ON FUNCTION public.history_run(text, text, jsonb, jsonb, text) TO tiendo_service;
"""
STANDS = """SELECT json_build_object('state', r.state, 'version', r.version, 'submissions', r.submissions, 'shown', r.shown, 'due', r.due_on,
    'first', (r.first_submitted_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, 'asked', r.return_requested IS NOT NULL,
    'events', (SELECT count(*) FROM report_event e WHERE e.report_id = r.id),
    'value', (SELECT v.number FROM value v WHERE v.indicator_code = %(indicator)s AND v.organization_code = 'AA-W1'),
    'locked', (SELECT v.locked FROM value v WHERE v.indicator_code = %(indicator)s AND v.organization_code = 'AA-W1'),
    'sent', (SELECT coalesce(json_agg(json_build_array(v.n, v.on_time, v.sections -> 0 ->> 'text',
        (SELECT f.number FROM report_figure f WHERE f.report_id = r.id AND f.n = v.n), v.withdrawn_at IS NOT NULL, v.accepted_as) ORDER BY v.n), '[]')
      FROM report_version v WHERE v.report_id = r.id))
  FROM report r WHERE r.id = %(report)s"""


@pytest.fixture(scope="module")
def made(world, cluster):
    """Reports of each acceptance, as many sets as there are workers: a history is one transaction, and those do not share."""
    return [{acceptance: Report(world, reports.duty(world, acceptance=acceptance)["code"]) for acceptance in ("receipt", "approval", "none")}
            for _ in range(WORKERS)]


@pytest.fixture(scope="module")
def callers(world, cluster):
    found = {}
    for who, (seat, role) in WHO.items():
        grant, account = cluster.query("""SELECT g.id, a.id FROM tiendo.access_grant g JOIN tiendo.account a ON a.id = g.account_id WHERE a.username = %s""",
                                       [f"{seat}.{role}".lower()])[0]
        session = str(uuid.uuid4())
        cluster.query("INSERT INTO tiendo.session (id, grant_id, account_id, expires_at) VALUES (%s, %s, %s, 'infinity') RETURNING 1", [session, grant, account])
        found[who] = [grant, session]
    return found


def play(cluster, made, callers, kid, seeds):
    """Histories of these seeds, each in a transaction that is taken back; what differed, and how often each outcome came."""
    connection, wrong, seen = cluster.connect(), [], Counter()
    connection.autocommit = False
    cursor = connection.cursor()
    for seed in seeds:
        rng = random.Random(seed)
        acceptance = rng.choice(list(made))
        report = made[acceptance]
        cursor.execute("SET LOCAL search_path = tiendo, public")
        cursor.execute("SELECT today(), due_on FROM report WHERE id = %s", [report.id])
        today, due = cursor.fetchone()
        model = Model(acceptance, due, today)
        steps = history(rng, model)
        cursor.execute("SET LOCAL ROLE tiendo_service")
        cursor.execute("SELECT history_run(%s, %s, %s, %s, %s)", [report.id, report.indicators[0], json.dumps(steps), json.dumps(callers), kid])
        outcomes = cursor.fetchone()[0]
        cursor.execute("RESET ROLE")
        cursor.execute(STANDS, {"indicator": report.indicators[0], "report": report.id})
        stands, should = cursor.fetchone()[0], model.stands()
        connection.rollback()
        seen.update(f"{s['action']} {o}" for s, o in zip(steps, outcomes))
        if outcomes != [s["outcome"] for s in steps] or stands != should:
            wrong.append(f"seed {seed} ({acceptance}): " + ", ".join(f"{s['who']} {s['action']} {s['match']} → {o}" + ("" if o == s["outcome"] else f" not {s['outcome']}")
                         for s, o in zip(steps, outcomes)) + "".join(f"; {k}: {stands[k]!r} not {should[k]!r}" for k in should if stands[k] != should[k]))
    connection.close()
    return wrong, seen


def test_random_histories_are_what_the_model_says(world, cluster, made, callers):
    cluster.psql("tiendo", "-q", "-f", "-", stdin=RUNNER)
    kid = cluster.query("SELECT kid FROM tiendo.signing_key WHERE signs_until IS NULL ORDER BY created_at DESC LIMIT 1")[0][0]
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(lambda n: play(cluster, made[n], callers, kid, range(n, HISTORIES, WORKERS)), range(WORKERS)))
    wrong = [line for lines, _ in results for line in lines]
    seen = sum((counts for _, counts in results), Counter())
    assert not wrong, f"{len(wrong)} of {HISTORIES}:\n" + "\n".join(wrong[:10])
    # every move, and every refusal, has been met
    for action, moves in MOVES.items():
        for after in set(moves.values()):
            assert seen[f"{action} {after}"], (action, after)
    assert {key.split()[1] for key in seen} >= {"TD403", "TD404", "TD409", "TD412", "TD422", "TD428", "200", "201"}


def test_many_at_once_leave_a_history_the_model_allows(world, made):
    """Four people press what they like on three reports, with the version they last read; each success is one step of the one history there is."""
    made = made[0]

    def press(n):
        rng, taken = random.Random(n), []
        seat = world.at(*WHO["author" if n % 2 == 0 else "reviewer"])
        caller = Caller(world, seat.token)
        for _ in range(60):
            report = made[rng.choice(list(made))]
            now = caller.get(report.path).json()
            action = rng.choice(now["actions"] or ["submit"])
            if action == "consolidate":
                continue
            body = {"edit": {"sections": [{"code": "results", "text": "Kết quả"}]}, "extend": {
                "due_on": (date.fromisoformat(now["due_on"]) + timedelta(400)).isoformat(), "reason": "Bão"}}.get(
                    action, {"reason": "Lý do"} if action in ("return", "amend", "waive", "request_return") else None)
            answer = report.do(action.replace("_", "-"), body, by=caller, match=f'"{now["version"]}"')
            assert answer.status in (200, 403, 409, 412, 422, 503), answer
            if answer.status == 200:
                taken.append((report.id, answer.json()["version"], action, answer.json()["state"]))
        caller.close()
        return taken
    for report in made.values():
        report.enter()
    before = {report.id: report.read() for report in made.values()}
    with ThreadPoolExecutor(4) as pool:
        taken = [step for steps in pool.map(press, range(4)) for step in steps]
    for acceptance, report in made.items():
        steps = sorted(s[1:] for s in taken if s[0] == report.id)
        versions = [version for version, _, _ in steps]
        assert versions == list(range(before[report.id]["version"] + 1, before[report.id]["version"] + 1 + len(versions))), "each success is one version, and none is lost"
        state = before[report.id]["state"]
        for version, action, after in steps:
            assert move(action, state, acceptance) and (after == move(action, state, acceptance) or action in ("recall", "reinstate")), (version, state, action, after)
            state = after
        assert report.read()["state"] == state
    assert len(taken) > 40
