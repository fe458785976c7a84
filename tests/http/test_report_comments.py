"""What is said about a report: by whom, to whom, and that it stays."""
import pytest
from harness.gathering import duty, report
from harness.samples import fresh

REASON = {"reason": "Số liệu chưa khớp"}


@pytest.fixture
def made(world, cluster):
    """A report of AA-W1 to AA-BTG, a copy to AA-W2."""
    code = world.indicator(world.at("AA-TU", "manager"), fresh("TDG"), "AA-P", "number", categories=["nam", "nữ"])["code"]
    return report(world, cluster, duty(cluster, fresh("TDG"), "AA-BTG", ["AA-W1"], [code], copies=["AA-W2"]), "AA-W1")


def say(made, by, text="Đề nghị xem lại.", **more):
    return by.post(f"{made.path}/comments", {"text": text, **more}, [("Idempotency-Key", fresh("key"))])


def heard(by, made):
    return [c["text"] for c in by.items(f"{made.path}/comments")]


def test_before_the_report_is_sent_a_unit_talks_to_itself_and_goes_on_doing_so(world, cluster, made):
    reporter = world.at("AA-W1", "reporter")
    first = world.must(say(made, reporter, "Còn thiếu số của khu phố 3"))
    assert first["internal"] and first["side"] == "author" and first["organization"] == "AA-W1" and first["submission"] is None
    asked = world.must(say(made, made.reviewer, "Bao giờ gửi?"))
    assert not asked["internal"] and asked["side"] == "recipient"
    both = ["Còn thiếu số của khu phố 3", "Bao giờ gửi?"]
    above = world.at("AA-TU", "viewer")
    assert heard(reporter, made) == heard(world.at("AA-W1", "viewer"), made) == both
    assert heard(made.reviewer, made) == heard(above, made) == both[1:]
    cluster.query("DELETE FROM report_duty_indicator WHERE duty_id = (SELECT duty_id FROM report WHERE id = %s) RETURNING 1", [made.id])
    made.send(results="Xong")
    after = world.must(say(made, reporter, "Đã gửi"))
    assert not after["internal"] and after["submission"] == 1
    assert heard(reporter, made) == both + ["Đã gửi"] and heard(made.reviewer, made) == heard(above, made) == both[1:] + ["Đã gửi"]


def test_a_copy_has_no_part_in_it(world, cluster, made):
    cluster.query("DELETE FROM report_duty_indicator WHERE duty_id = (SELECT duty_id FROM report WHERE id = %s) RETURNING 1", [made.id])
    copy = world.at("AA-W2", "approver")
    assert copy.get(f"{made.path}/comments").status == 404
    made.send(results="Xong")
    world.must(say(made, made.author))
    assert world.must(copy.get(made.path), 200)["view"] == "submitted"
    for answer in (copy.get(f"{made.path}/comments"), say(made, copy)):
        assert answer.status == 403 and answer.code == "forbidden", answer
    assert "bản sao" in copy.get(f"{made.path}/comments", [("Accept-Language", "vi")]).text


def test_who_speaks(world, made):
    for seat, role in (("AA-W1", "reporter"), ("AA-W1", "approver"), ("AA-W1", "manager"), ("AA-BTG", "reporter"), ("AA-TU", "approver")):
        assert say(made, world.at(seat, role)).status == 201, (seat, role)
    assert say(made, world.connector()).status == 201, "a connected system above writes for the unit"
    for seat, role in (("AA-W1", "viewer"), ("AA-BTG", "inspector"), ("AA-W1-XD", "approver")):
        assert say(made, world.at(seat, role)).status == 403, (seat, role)
    for seat in ("AA-W1-C1", "AA-W2", "BB-W1"):
        answer = say(made, world.at(seat, "approver"))
        assert answer.status == 404, (seat, answer)
        assert world.at(seat, "viewer").get(f"{made.path}/comments").status == 404


def test_a_comment_is_on_the_whole_a_section_or_a_figure(world, made):
    code = made.indicators[0]
    assert world.must(say(made, made.author, section="results"))["section"] == "results"
    there = world.must(say(made, made.author, indicator=code, period="2026-Q1", category="nữ"))
    assert (there["indicator"], there["period"], there["category"]) == (code, "2026-Q1", "nữ")
    for body, fault in (({"section": "khong"}, ("#/section", "unknown_reference")), ({"indicator": "AA-SUM"}, ("#/indicator", "unknown_reference")),
                        ({"indicator": code, "period": "1999-Q1"}, ("#/period", "unknown_reference")), ({"period": "2026-Q1"}, ("#/indicator", "required")),
                        ({"indicator": code, "category": "x"}, ("#/category", "unknown_reference")),
                        ({"section": "results", "indicator": code}, ("#/section", "one_of"))):
        answer = say(made, made.author, **body)
        assert answer.status == 422 and fault in answer.faults(), (body, answer)
    for text in ("", "x" * 4001):
        assert say(made, made.author, text).status == 422
    assert world.must(say(made, made.author, "x" * 4000))["text"] == "x" * 4000


def test_it_is_listed_in_order_page_by_page(world, made):
    for n in range(5):
        world.must(say(made, made.reviewer, f"Ý kiến {n}"))
    first = world.must(made.author.get(f"{made.path}/comments", limit=2, headers=[("Prefer", "count=exact")]), 200)
    assert [c["text"] for c in first["items"]] == ["Ý kiến 0", "Ý kiến 1"] and first["page"]["total"] == 5
    assert heard(made.author, made) == [f"Ý kiến {n}" for n in range(5)]


def test_what_was_said_stays(world, cluster, made):
    said = world.must(say(made, made.reviewer))
    for method in ("PATCH", "DELETE", "PUT"):
        assert made.reviewer.request(method, f"{made.path}/comments", {"text": "x"} if method != "DELETE" else None).status == 405
        assert made.reviewer.request(method, f"{made.path}/comments/{said['id']}", {"text": "x"} if method != "DELETE" else None).status == 404
    for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
        assert cluster.query("SELECT has_table_privilege('tiendo_service', 'tiendo.report_comment', %s)", [right]) == [(False,)]


def test_the_same_key_says_it_once(world, made):
    key = [("Idempotency-Key", fresh("key"))]
    answers = [made.author.post(f"{made.path}/comments", {"text": "Một lần"}, key) for _ in range(2)]
    assert [a.status for a in answers] == [201, 201] and answers[0].json() == answers[1].json() and answers[1].header("Idempotency-Replayed") == "true"
    assert heard(made.author, made) == ["Một lần"]


def test_the_journal_tells_of_it_but_not_of_what_a_unit_says_to_itself(world, cluster, made):
    world.must(say(made, made.author, "Chỉ nội bộ"))
    world.must(say(made, made.reviewer, "Cho cả hai"))
    rows = cluster.query("SELECT action, after ->> 'text' FROM journal WHERE resource_type = 'report' AND resource_id = %s AND action = 'comment'", [made.id])
    assert rows == [("comment", "Cho cả hai")]
    cluster.query("DELETE FROM report_duty_indicator WHERE duty_id = (SELECT duty_id FROM report WHERE id = %s) RETURNING 1", [made.id])
    made.send(results="Xong")
    world.must(say(made, made.author, "Gửi Ban"))
    told = cluster.query("""SELECT o.code FROM journal j JOIN organization o ON o.scope_key = j.scope_key
        WHERE j.resource_id = %s AND j.after ->> 'text' = 'Gửi Ban' ORDER BY 1""", [made.id])
    assert told == [("AA-BTG",), ("AA-W1",)], "where the unit stands, and where the one it reports to stands"
