"""Calendars: what a unit's calendar holds, the secret addresses people subscribe to, when these end, and that the secret is told to nobody else."""
import json
import re
import uuid

import pytest
from harness import campaigns, samples
from harness.service import Service, free_port
from harness.world import Caller

DAY = 86400  # the run begins on 2026-11-21


# ---- reading a calendar ---------------------------------------------------------------------------------------
def entries(answer):
    """The calendar's own properties, and {UID: {property: value}}, after RFC 5545's rules of lines."""
    assert answer.status == 200 and answer.type == "text/calendar", answer
    lines = answer.body.split(b"\r\n")
    assert lines[-1] == b"" and all(len(line) <= 75 for line in lines) and b"\n" not in b"".join(lines)
    text = answer.body.decode("utf-8").replace("\r\n ", "")
    whole, events, here = {}, {}, None
    for line in text.splitlines():
        name, value = re.fullmatch(r"([A-Z-]+(?:;[A-Z]+=[A-Z]+)?):(.*)", line).groups()
        if line == "BEGIN:VEVENT":
            here = {}
        elif line == "END:VEVENT":
            assert {"UID", "DTSTAMP", "DTSTART;VALUE=DATE", "DTEND;VALUE=DATE", "SUMMARY"} <= set(here) and here["UID"] not in events, here
            events[here["UID"]] = here
            here = None
        else:
            into = whole if here is None else here
            assert name in ("BEGIN", "END") or name not in into, line
            into[name] = re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nN" else m[1], value)
    assert whole["VERSION"] == "2.0" and whole["PRODID"] and whole["BEGIN"] == "VCALENDAR"
    return whole, events


def titles(answer):
    return sorted(e["SUMMARY"] for e in entries(answer)[1].values())


class Work:
    """Rows of one campaign, put where they belong."""

    def __init__(self, world, cluster, **more):
        self.world, self.cluster = world, cluster
        self.campaign = campaigns.campaign(world, **more)
        self.code, self.id = self.campaign["code"], self.campaign["id"]

    def place(self, unit, phase):
        return self.cluster.query("""SELECT f.id, c.programme_id, o.id, o.code, o.scope_key FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = %s
            JOIN organization o ON o.code = %s WHERE c.id = %s""", [phase, unit, self.id])[0]

    def activity(self, unit="AA-W1", title="Hội nghị", starts_on="2026-11-25", ends_on=None, status="planned", phase="GD2", note=None):
        done = status in ("done", "under_way")
        return self.cluster.query("""INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, starts_on,
                ends_on, done_on, planned, done, status, reason, note, on_behalf, entered_by, seat_id, grant_id)
            VALUES (uuid_v7(), %s, %s, %s, %s, %s, %s, 'conference', %s, %s, %s, %s, 3, %s, %s, %s, %s, false, 'AA-W1', uuid_v7(), uuid_v7()) RETURNING id""",
            [self.id, *self.place(unit, phase), title, starts_on, ends_on or starts_on, "2026-11-20" if status == "done" else None, 2 if done else 0, status,
             "Bão số 9" if status in ("postponed", "cancelled") else None, note])[0][0]

    def assignment(self, unit="AA-W1", due_on="2026-12-31", quantity=4, phase="GD2"):
        return self.cluster.query("""INSERT INTO campaign_assignment (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, set_quantity,
                set_due_on, quantity, due_on, setter_id)
            SELECT uuid_v7(), %s, %s, %s, o, %s, %s, 'conference', %s, %s, %s, %s, o FROM (VALUES (%s::uuid)) x (o) RETURNING id""",
            [self.id, *(lambda f, p, o, c, k: (f, p, c, k, quantity, due_on, quantity, due_on, o))(*self.place(unit, phase))])[0][0]


@pytest.fixture
def work(world, cluster):
    return Work(world, cluster)


@pytest.fixture
def me(world):
    return world.at("AA-W1", "reporter")


def subscribe(who, organization="AA-W1", **more):
    return who.post("/v1/calendar-subscriptions", {"name": "Lịch của tôi", "organization": organization, "expires_on": "2027-06-30", **more})


@pytest.fixture
def account(world):
    """Makes accounts of their own: whatever ends with them."""
    def make(*grants):
        name = samples.fresh("lich").lower()
        made = world.account(world.at("AA-TU", "administrator"), name, *(grants or [("AA-W1", "viewer")]))
        return made, world.as_(name)
    return make


def path(made):
    return "/v1/calendars/" + made["address"].rsplit("/", 1)[1]


# ---- what it holds ----------------------------------------------------------------------------------------------
def test_it_holds_phases_activities_and_what_is_due(me, work):
    activity = work.activity(title="Hội nghị; \"464\", quán triệt", ends_on="2026-11-27", note="Dòng 1\nDòng 2")
    due = work.assignment()
    whole, found = entries(me.get(f"/v1/campaigns/{work.code}/calendar"))
    assert whole["X-WR-CALNAME"] == "Đảng ủy phường Hòa Bình – Tuyên truyền chuyển đổi số" == whole["NAME"]
    assert len(found) == 4
    event = found[f"{activity}@tiendo"]
    assert event["SUMMARY"] == "Hội nghị; \"464\", quán triệt" and "Dòng 1\nDòng 2" in event["DESCRIPTION"]
    assert (event["DTSTART;VALUE=DATE"], event["DTEND;VALUE=DATE"]) == ("20261125", "20261128"), "the end is the first day after it"
    assert event["STATUS"] == "CONFIRMED" and event["SEQUENCE"] == "1" and event["DTSTAMP"] == event["LAST-MODIFIED"] and event["TRANSP"] == "OPAQUE"
    assert "kế hoạch 3, đã thực hiện 0" in event["DESCRIPTION"] and event["CATEGORIES"]
    event = found[f"{due}@tiendo"]
    assert event["SUMMARY"].startswith("Đến hạn: ") and event["SUMMARY"].endswith("(4)") and event["TRANSP"] == "TRANSPARENT"
    assert (event["DTSTART;VALUE=DATE"], event["DTEND;VALUE=DATE"]) == ("20261231", "20270101")
    assert "conference" not in event["SUMMARY"], "a kind has its name"
    phases = sorted((e["SUMMARY"], e["DTSTART;VALUE=DATE"], e["DTEND;VALUE=DATE"]) for e in found.values() if e["CATEGORIES"] == "Giai đoạn")
    assert phases == [("Giai đoạn 2", "20260701", "20290101"), ("Kết thúc giai đoạn 1", "20260630", "20260701")], \
        "of a phase with an open start its end alone is known"


@pytest.mark.parametrize("status, shown", [("planned", "CONFIRMED"), ("under_way", "CONFIRMED"), ("done", "CONFIRMED"), ("postponed", "TENTATIVE"), ("cancelled", "CANCELLED")])
def test_what_is_cancelled_or_put_off_stays_in_it_as_such(me, work, status, shown):
    activity = work.activity(status=status)
    event = entries(me.get(f"/v1/campaigns/{work.id}/calendar"))[1][f"{activity}@tiendo"]
    assert event["STATUS"] == shown and ("Lý do: Bão số 9" in event["DESCRIPTION"]) == (status in ("postponed", "cancelled"))


def test_it_is_of_one_unit_alone(world, work):
    for unit in ("AA-TU", "AA-W1", "AA-W1-C1", "AA-W2"):
        work.activity(unit, f"Việc của {unit}")
    mine = f"/v1/campaigns/{work.code}/calendar"
    def of(who, **query):
        return [t for t in titles(who.get(mine, **query)) if t.startswith("Việc")]
    assert of(world.at("AA-W1", "viewer")) == ["Việc của AA-W1"]
    assert of(world.at("AA-W1", "viewer"), organization="AA-W1-C1") == ["Việc của AA-W1-C1"]
    assert of(world.at("AA-TU", "viewer"), organization="AA-W2") == ["Việc của AA-W2"]
    assert of(world.connector(), organization="AA-W2") == ["Việc của AA-W2"]
    for unit in ("AA-W2", "BB-W1", "NO-SUCH"):
        answer = world.at("AA-W1", "viewer").get(mine, organization=unit)
        assert answer.status == 422 and answer.faults() == {("organization", "unknown_reference")}, answer


def test_without_a_campaign_it_holds_all_but_drafts(world, me, work, cluster):
    other, draft = Work(world, cluster), Work(world, cluster, status="draft")
    for n, one in enumerate((work, other)):
        one.activity(title=f"Việc {n} {one.code}")
    found = titles(me.get("/v1/calendar"))
    assert {f"Việc 0 {work.code}", f"Việc 1 {other.code}"} <= set(found)
    assert f"Việc 1 {other.code}" not in titles(me.get(f"/v1/campaigns/{work.code}/calendar"))
    manager = world.at("AA-TU", "manager")
    drafted = entries(manager.get(f"/v1/campaigns/{draft.code}/calendar"))[1]
    assert drafted and not set(drafted) & set(entries(manager.get("/v1/calendar"))[1])
    assert me.get(f"/v1/campaigns/{draft.code}/calendar").status == 404


def test_only_its_format_is_answered_and_a_reader_that_has_it_is_told_so(me, work):
    address = f"/v1/campaigns/{work.code}/calendar"
    answer = me.get(address)
    assert answer.header("Cache-Control") == "private, no-store" and answer.header("Content-Language") == "vi"
    assert me.get(address).body == answer.body, "nothing in it depends on when it is asked for"
    assert me.get(address, [("If-None-Match", answer.etag)]).status == 304
    head = me.request("HEAD", address)
    assert (head.status, head.etag, head.body) == (200, answer.etag, b"")
    work.activity()
    again = me.get(address, [("If-None-Match", answer.etag)])
    assert again.status == 200 and again.etag != answer.etag
    assert me.get(address, [("Accept", "application/json")]).status == 406
    assert me.get(address, [("Accept", "text/calendar")]).status == 200


def test_of_very_many_the_latest_are_in_it(me, work, cluster):
    first = work.activity(title="Việc đầu", starts_on="2026-07-01")
    cluster.query("""INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, starts_on, ends_on,
            on_behalf, entered_by, seat_id, grant_id)
        SELECT uuid_v7(), a.campaign_id, a.phase_id, a.programme_id, a.organization_id, a.organization_code, a.scope_key, a.kind, 'Việc ' || n,
            date '2026-07-02' + n %% 700, date '2026-07-02' + n %% 700, false, 'AA-W1', a.seat_id, a.grant_id FROM activity a, generate_series(1, 2000) n WHERE a.id = %s""", [first])
    found = entries(me.get(f"/v1/campaigns/{work.code}/calendar"))[1]
    assert len(found) == 2002 and f"{first}@tiendo" not in found


# ---- addresses --------------------------------------------------------------------------------------------------
def test_an_address_reads_one_calendar_without_a_token(world, me, work, cluster):
    work.activity(title="Việc đã hẹn")
    work.activity("AA-W1-C1", "Việc của chi bộ")
    answer = subscribe(me, campaign=work.code)
    made = world.must(answer)
    assert made["address"].startswith(world.service.env["TIENDO_ISSUER"] + "/v1/calendars/") and answer.header("Location").endswith(made["id"])
    assert (made["organization"]["code"], made["campaign"], made["valid"], made["last_used_on"]) == ("AA-W1", work.code, True, None)
    read = world.anonymous.get(path(made))
    whole, found = entries(read)
    assert whole["X-WR-CALNAME"] == "Lịch của tôi" and read.header("Cache-Control") == "private, no-store"
    assert set(found) == set(entries(me.get(f"/v1/campaigns/{work.code}/calendar"))[1])
    assert world.anonymous.get(path(made), [("If-None-Match", read.etag)]).status == 304
    head = world.anonymous.request("HEAD", path(made))
    assert (head.status, head.etag, head.body) == (200, read.etag, b"")
    assert world.anonymous.get(path(made), [("Authorization", "Bearer rubbish")]).status == 200, "a token is not looked at"
    shown = me.get(f"/v1/calendar-subscriptions/{made['id']}")
    assert shown.json()["last_used_on"] == "2026-11-21" and shown.etag == '"1"', "that it is used changes nothing of it"
    secret = made["address"].rsplit("/", 1)[1]
    assert secret not in shown.text + me.get("/v1/calendar-subscriptions").text
    kept = cluster.query("SELECT s::text FROM calendar_subscription s WHERE id = %s", [made["id"]])[0][0]
    assert secret not in kept
    told = cluster.query("SELECT coalesce(before::text, '') || coalesce(after::text, '') FROM journal WHERE resource_id = %s", [made["id"]])
    assert len(told) == 1 and secret not in told[0][0] and "hash" not in told[0][0]


def test_no_campaign_is_all_of_them(world, work):
    made = world.must(subscribe(world.at("AA-W1", "viewer"), campaign=None))
    assert made["campaign"] is None


def test_it_reads_and_does_nothing_else(world, me):
    made = world.must(subscribe(me))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = world.anonymous.request(method, path(made), {} if method != "DELETE" else None)
        assert answer.status == 405 and "POST" not in answer.header("Allow"), answer
    for below in ("/activities", "/", "/../organizations"):
        assert world.anonymous.get(path(made) + below).status in (400, 404)
    assert world.anonymous.get(path(made), organization="AA-W1-C1").status == 400, "it is of the unit it was made for"
    assert Caller(world, made["address"].rsplit("/", 1)[1]).get("/v1/me").status == 401


def without_ids(answer):
    return {k: v for k, v in answer.json().items() if k != "trace_id"}


def test_whatever_ends_it_the_answer_is_the_same(world, account, moved):
    """Unknown, revoked, expired, the account suspended, the grant ended, the role one that does not read, the unit out of reach."""
    admin, stranger = world.at("AA-TU", "administrator"), world.anonymous.get("/v1/calendars/" + "A" * 43)
    assert stranger.status == 404 and stranger.json()["instance"] == "/v1/calendars/***"
    for malformed in ("x", "A" * 42, "A" * 44, "A" * 42 + "%2B", "Ạ"):
        assert without_ids(world.anonymous.get("/v1/calendars/" + malformed)) == without_ids(stranger)

    def gone(made, why):
        answer = world.anonymous.get(path(made))
        assert (answer.status, without_ids(answer)) == (404, without_ids(stranger)), why

    revoked, who = (lambda a: (world.must(subscribe(a[1])), a[1]))(account())
    assert world.anonymous.get(path(revoked)).status == 200
    assert who.request("DELETE", f"/v1/calendar-subscriptions/{revoked['id']}", None, [("If-Match", '"1"')]).status == 204
    gone(revoked, "revoked")
    suspended, who = account()
    address = world.must(subscribe(who))
    tag = admin.get(f"/v1/accounts/{suspended['username']}").etag
    assert admin.patch(f"/v1/accounts/{suspended['username']}", {"status": "suspended"}, tag).status == 200
    gone(address, "the account is suspended")
    tag = admin.get(f"/v1/accounts/{suspended['username']}").etag
    assert admin.patch(f"/v1/accounts/{suspended['username']}", {"status": "active"}, tag).status == 200
    assert world.anonymous.get(path(address)).status == 200
    ended, who = account()
    address = world.must(subscribe(who))
    assert admin.request("DELETE", f"/v1/grants/{ended['grants'][0]['id']}", None, [("If-Match", "*")]).status == 204
    gone(address, "the grant has ended")
    address = world.must(subscribe(account()[1], expires_on="2026-11-22"))
    moved.move(DAY)
    assert world.anonymous.get(path(address)).status == 200, "its last day"
    moved.move(2 * DAY)
    gone(address, "it has expired")


def test_an_address_reaches_no_further_than_its_owners_grant(world, account, cluster, work):
    _, who = account(("AA-W1", "viewer"))
    below, whole = world.must(subscribe(who, "AA-W1-C4", campaign=work.code)), world.must(subscribe(who))
    assert world.anonymous.get(path(below)).status == 200
    cluster.query("""UPDATE access_grant g SET organization_id = o.id, scope_key = o.scope_key FROM organization o, calendar_subscription s
        WHERE o.code = 'AA-W1-C1' AND s.id = %s AND g.id = s.grant_id""", [below["id"]])
    assert world.anonymous.get(path(below)).status == 404 and world.anonymous.get(path(whole)).status == 404, "its seat lies below them now"


def test_one_made_by_a_delegation_ends_with_it(world, account):
    giver = world.at("AA-W1", "viewer")
    receiver, _ = account(("AA-W2", "viewer"))
    given = world.must(giver.post("/v1/delegations", {"account": receiver["username"], "organization": "AA-W1", "valid_to": "2026-12-31"}))
    acting = world.as_(receiver["username"], given["id"])
    made = world.must(subscribe(acting))
    assert world.anonymous.get(path(made)).status == 200
    assert giver.request("DELETE", f"/v1/delegations/{given['id']}", None, [("If-Match", "*")]).status == 204
    assert world.anonymous.get(path(made)).status == 404


def test_a_replay_does_not_give_the_address_again(me):
    key = [("Idempotency-Key", str(uuid.uuid4()))]
    body = {"name": "Lịch", "organization": "AA-W1", "expires_on": "2027-01-31"}
    first, again = me.post("/v1/calendar-subscriptions", body, key), me.post("/v1/calendar-subscriptions", body, key)
    assert first.status == 201 and (again.status, again.code) == (409, "secret_not_replayed")


@pytest.mark.parametrize("more, fault", [
    ({"expires_on": "2026-11-20"}, ("#/expires_on", "out_of_range")), ({"expires_on": "2027-11-22"}, ("#/expires_on", "out_of_range")),
    ({"organization": "AA-W2"}, ("#/organization", "unknown_reference")), ({"campaign": "NO-SUCH"}, ("#/campaign", "unknown_reference")),
    ({"name": ""}, ("#/name", "too_short")), ({"name": "a\nb"}, ("#/name", "invisible_character")), ({"expires_on": None}, ("#/expires_on", "type")),
    ({"secret": "mine"}, ("#/secret", "unknown_field"))])
def test_what_an_address_cannot_be_made_of(me, more, fault):
    answer = subscribe(me, **more)
    assert answer.status == 422 and fault in answer.faults(), answer


def test_it_may_hold_for_a_year_and_for_today(world, me):
    for day in ("2026-11-21", "2027-11-21"):
        assert world.must(subscribe(me, expires_on=day))["expires_on"] == day


def test_addresses_are_their_makers_own(world, me, account):
    made, other = world.must(subscribe(me)), account()[1]
    mine = f"/v1/calendar-subscriptions/{made['id']}"
    for who in (other, world.at("AA-TU", "administrator"), world.connector()):
        assert who.get(mine).status == 404 and made["id"] not in who.get("/v1/calendar-subscriptions").text
    assert other.request("DELETE", mine, None, [("If-Match", "*")]).status == 404
    refused = subscribe(world.connector())
    assert (refused.status, refused.code) == (403, "forbidden"), "an address is a person's"
    assert me.request("DELETE", mine).status == 428
    assert me.request("DELETE", mine, None, [("If-Match", '"9"')]).status == 412
    assert world.anonymous.get(path(made)).status == 200
    assert me.request("DELETE", mine, None, [("If-Match", '"1"')]).status == 204
    ended = me.get(mine)
    assert not ended.json()["valid"] and ended.json()["revoked_at"] and ended.etag == '"2"'
    assert made["id"] in [s["id"] for s in me.items("/v1/calendar-subscriptions", valid="false")]
    assert made["id"] not in [s["id"] for s in me.items("/v1/calendar-subscriptions", valid="true")]
    assert me.request("DELETE", mine, None, [("If-Match", '"2"')]).status == 204, "what is revoked stays so"


def test_an_account_holds_fifty_at_a_time(world, account):
    who = account()[1]
    made = [world.must(subscribe(who)) for _ in range(50)]
    answer = subscribe(who)
    assert (answer.status, answer.code) == (409, "conflict")
    assert who.request("DELETE", f"/v1/calendar-subscriptions/{made[7]['id']}", None, [("If-Match", "*")]).status == 204
    assert subscribe(who).status == 201


def test_the_trail_tells_of_them_to_those_who_keep_the_staff(world, me):
    made = world.must(subscribe(me))
    assert made["id"] in [e["resource"]["id"] if isinstance(e.get("resource"), dict) else e["resource_id"]
                          for e in world.at("AA-W1", "administrator").items("/v1/audit-events", resource_type="calendar_subscription")]
    assert made["id"] not in world.at("AA-TU", "inspector").get("/v1/audit-events", limit=1000).text


# ---- the secret -------------------------------------------------------------------------------------------------
@pytest.fixture
def talkative(cluster, directory, clock, world):
    """A process that logs all it can, and counts its callers."""
    made = Service(cluster, directory, clock, log_level="debug", metrics_port=free_port(), rate_limit_per_s=1, rate_limit_burst=30, seal_interval_ms=50,
                   quick_statement_timeout_ms=10000, pool_wait_ms=10000, issuer=world.service.env["TIENDO_ISSUER"]).start()
    yield made
    made.assert_clean(made.stop())


def test_the_secret_is_in_no_log_line_no_figure_and_no_answer(world, me, talkative, cluster):
    from harness.client import Http
    made = world.must(subscribe(me))
    secret = made["address"].rsplit("/", 1)[1]
    http = talkative.http()
    asked = [("GET", f"/v1/calendars/{secret}"), ("HEAD", f"/v1/calendars/{secret}"), ("POST", f"/v1/calendars/{secret}"), ("OPTIONS", f"/v1/calendars/{secret}"),
             ("BREW", f"/v1/calendars/{secret}"), ("GET", f"/v1/calendars/{secret}?x=1"), ("GET", f"/v1/calendars/{secret}/"), ("GET", f"/v1/calendars/{secret}/x"),
             ("GET", f"/v1/calendars/{secret}%zz"), ("GET", f"/v1/calendars//{secret}"), ("GET", f"/v1/%63alendars/{secret}"), ("GET", f"/V1/Calendars/{secret}"),
             ("GET", f"/v1/calendars%2F{secret}"), ("GET", f"http://x/v1/calendars/{secret}"), ("GET", f"//v1/calendars/{secret}"), ("GET", f"/v1/calendars/{secret}\xff")]
    statuses = []
    for method, target in asked:
        answer = http.request(method, target)
        statuses.append(answer.status)
        assert secret not in answer.text and secret not in str(answer.headers), answer
    assert http.request("GET", f"/v1/calendars/{secret}", [("Accept", "image/png")]).status == 406
    assert http.request("GET", f"/v1/calendars/{secret}", [("If-None-Match", "x")]).status == 400
    assert {200, 400, 404, 405, 501} <= set(statuses)
    cluster.query("UPDATE calendar_subscription SET expires_on = '2026-01-01' WHERE id = %s", [made["id"]])
    limited = [http.request("GET", f"/v1/calendars/{secret}") for _ in range(40)]
    assert {a.status for a in limited} == {404, 429} and secret not in "".join(a.text for a in limited), "callers without a token are counted by their network"
    figures = Http("127.0.0.1", int(talkative.env["TIENDO_METRICS_PORT"])).request("GET", "/metrics").text
    assert 'route="/v1/calendars/{secret}"' in figures and secret not in figures
    log = talkative.log()
    assert secret not in log and secret[:12] not in log
    lines = [json.loads(line) for line in log.splitlines() if "/v1/calendars/{secret}" in line]
    assert {line["status"] for line in lines} >= {200, 404, 406, 429}, "they are logged, by their route"
