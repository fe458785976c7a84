"""What changed in a report: since it was last sent, between two submissions, since it was accepted; old beside new, to whom it concerns."""
import pytest
from harness.gathering import duty, report
from harness.samples import fresh

REASON = {"reason": "Số liệu chưa khớp"}


@pytest.fixture
def sent(world, cluster):
    """A report of AA-W1 with a ratio and a number, submitted once; AA-W2 gets a copy."""
    manager = world.at("AA-TU", "manager")
    codes = [world.indicator(manager, fresh("TD"), "AA-P", kind)["code"] for kind in ("ratio", "number")]
    for code in codes:
        world.assign(manager, code, organization="AA-W1")
    made = report(world, cluster, duty(cluster, fresh("TD"), "AA-BTG", ["AA-W1"], codes, copies=["AA-W2"]), "AA-W1")
    enter(made, 0, {"numerator": 21, "denominator": 30})
    enter(made, 1, {"number": 5})
    return made.send(results="Đã tổ chức 12 hội nghị.", next="Việc tiếp theo")


def enter(made, which, body, by=None):
    """A value of the report's unit, whatever it was before."""
    path = f"/v1/values/{made.indicators[which]}/{made.unit}/{made.period}"
    tag = made.author.get(path).etag
    answer = (by or made.author).put(path, body, [("If-Match", tag) if tag else ("If-None-Match", "*")])
    assert answer.status in (200, 201), answer


def told(world, answer):
    return world.must(answer, 200)


def test_before_anything_was_sent_there_is_nothing_to_compare(world, cluster):
    made = report(world, cluster, duty(cluster, fresh("TD"), "AA-BTG", ["AA-W1"]), "AA-W1")
    for by in (made.author, made.reviewer, world.at("AA-TU", "viewer")):
        answer = made.changes(by)
        assert answer.status == 422 and answer.faults() == {("since", "nothing_to_compare")}, answer
        assert "chưa được nộp" in made.changes(by, headers=[("Accept-Language", "vi")]).text


def test_a_single_submission_has_none_before_it(world, sent):
    for by in (sent.author, sent.reviewer):
        answer = sent.changes(by)
        assert answer.status == 422 and answer.faults() == {("since", "nothing_to_compare")}


def test_the_author_sees_draft_beside_last_submission(world, sent):
    sent.must("return", REASON, sent.reviewer)
    same = told(world, sent.changes())
    assert same["to"] == {"draft": True, "n": None, "at": None} and same["from"]["n"] == 1
    assert same["sections"] == [] and same["figures"] == [] and same["number"] is None and same["issued_on"] is None
    world.must(sent.do("edit", {"sections": [{"code": "results", "text": "Đã tổ chức 14 hội nghị."}, {"code": "next", "text": None}],
                                "number": "12-BC/ĐU", "issued_on": "2026-04-02"}), 200)
    enter(sent, 0, {"numerator": 28, "denominator": 30, "note": "Đối chiếu lại"})
    found = told(world, sent.changes(since="submission", to="draft"))
    assert found == told(world, sent.changes())
    assert [(s["code"], s["change"], s["old"], s["new"]) for s in found["sections"]] == [
        ("results", "changed", "Đã tổ chức 12 hội nghị.", "Đã tổ chức 14 hội nghị."), ("next", "removed", "Việc tiếp theo", None)]
    figure, = found["figures"]
    assert (figure["indicator"], figure["period"], figure["change"], figure["revisions"]) == (sent.indicators[0], "2026-Q1", "changed", [1, 2])
    assert [(f["numerator"], float(f["percent"]), f["note"]) for f in (figure["old"], figure["new"])] == [(21, 70, None), (28, 93.3333, "Đối chiếu lại")]
    assert found["number"] == {"old": None, "new": "12-BC/ĐU"} and found["issued_on"] == {"old": None, "new": "2026-04-02"}


def test_what_others_entered_meanwhile_shows(world, sent):
    sent.must("return", REASON, sent.reviewer)
    enter(sent, 1, {"number": 9}, world.connector())
    figure, = told(world, sent.changes())["figures"]
    assert (figure["old"]["number"], figure["new"]["number"], figure["revisions"]) == (5, 9, [1, 2])
    enter(sent, 1, {"number": 5}, world.connector())
    assert told(world, sent.changes())["figures"] == [], "what is as it was has not changed, whatever its revision"


def test_a_figure_that_is_taken_away_or_said_not_to_apply(world, sent):
    sent.must("return", REASON, sent.reviewer)
    enter(sent, 1, {"state": "not_applicable", "note": "Không có đơn vị"})
    figure, = told(world, sent.changes())["figures"]
    assert (figure["change"], figure["old"]["state"], figure["new"]["state"], figure["new"]["number"]) == ("changed", "reported", "not_applicable", None)
    path = f"/v1/values/{sent.indicators[0]}/AA-W1/{sent.period}"
    row = [{"indicator": sent.indicators[0], "organization": "AA-W1", "period": sent.period}]
    world.must(sent.author.post("/v1/values/imports", row, [("Idempotency-Key", fresh("key"))], strategy="delete"), 200)
    assert sent.author.get(path).status == 404
    gone = told(world, sent.changes())["figures"][0]
    assert (gone["change"], gone["new"], gone["revisions"]) == ("removed", None, [1, None])


def test_the_reviewer_sees_submission_beside_the_one_before(world, sent):
    sent.must("return", REASON, sent.reviewer)
    enter(sent, 1, {"number": 6})
    assert sent.changes(sent.reviewer).status == 422, "the draft is not theirs to see"
    assert sent.changes(sent.reviewer, to="draft").status == 404 and sent.changes(world.at("AA-TU", "manager"), to="draft").status == 404
    sent.send(results="Đã tổ chức 12 hội nghị.")
    for query in ({}, {"since": "1"}, {"since": "1", "to": "2"}, {"to": "2"}):
        for by in (sent.reviewer, sent.author, world.at("AA-TU", "viewer")):
            found = told(world, sent.changes(by, **query))
            assert found["from"]["n"] == 1 and found["to"]["n"] == 2 and not found["to"]["draft"]
            assert [(f["old"]["number"], f["new"]["number"]) for f in found["figures"]] == [(5, 6)] and found["sections"] == []
    assert sent.changes(to="draft").status == 404, "out of the author's hands there is no draft"


def test_since_it_was_accepted(world, sent):
    answer = sent.changes(sent.reviewer, since="approval")
    assert answer.status == 422 and answer.faults() == {("since", "nothing_to_compare")}
    sent.must("receive", None, sent.reviewer)
    found = told(world, sent.changes(sent.reviewer, since="approval"))
    assert found["from"]["n"] == found["to"]["n"] == 1 and found["figures"] == [] and found["sections"] == []
    sent.must("return", REASON, sent.reviewer)
    enter(sent, 1, {"number": 7})
    sent.send(results="Lần hai")
    sent.must("return", REASON, sent.reviewer)
    enter(sent, 1, {"number": 8})
    found = told(world, sent.changes(since="approval"))
    assert found["from"]["n"] == 1 and [(f["old"]["number"], f["new"]["number"]) for f in found["figures"]] == [(5, 8)]
    assert told(world, sent.changes())["figures"][0]["old"]["number"] == 7


def test_what_is_not_there_is_named(world, sent):
    for query, fault in (({"since": "9"}, ("since", "unknown_reference")), ({"to": "9"}, ("to", "unknown_reference")),
                         ({"since": "1", "to": "1"}, ("since", "nothing_to_compare"))):
        answer = sent.changes(sent.reviewer, **query)
        assert answer.status == 422 and answer.faults() == {fault}, (query, answer)
    for query in ({"since": "0"}, {"since": "yesterday"}, {"to": "submission"}, {"to": "01"}):
        assert sent.changes(**query).status in (400, 422), query


def test_what_was_recalled_is_its_authors_alone(world, sent):
    sent.must("recall")
    enter(sent, 1, {"number": 55})
    sent.send(results="Bản thứ hai")
    assert told(world, sent.changes(since="1"))["figures"][0]["new"]["number"] == 55
    assert sent.changes().status == 422, "what was recalled nobody had"
    answer = sent.changes(sent.reviewer, since="1")
    assert answer.status == 422 and answer.faults() == {("since", "unknown_reference")}


def test_a_copy_has_the_submission_that_stands_and_none_before(world, sent):
    sent.must("return", REASON, sent.reviewer)
    sent.send(results="Bản thứ hai")
    copy = world.at("AA-W2", "viewer")
    assert world.must(copy.get(sent.path), 200)["submission"]["n"] == 2
    assert sent.changes(copy).status == 422 and sent.changes(copy, since="1").faults() == {("since", "unknown_reference")}
    for seat in ("AA-W1-C1", "BB-TU", "BB-W1"):
        assert sent.changes(world.at(seat, "viewer")).status == 404
