"""A duty that names a campaign: its reports tell how the campaign stands, live in the draft and as it stood in each submission; reviews are sections,
compared, gathered and set on the paper."""
import pytest
from harness import campaigns
from harness.gathering import RECEIVE, duty, report
from harness.samples import fresh

REASON = {"reason": "Số liệu chưa khớp"}


@pytest.fixture
def made(world):
    """An active campaign whose first phase is open to 2026-06-30."""
    return campaigns.campaign(world, fresh("CT"))


@pytest.fixture
def owed(world, cluster, made):
    """The report of a unit on a duty that names the campaign, for the first quarter; its data run to 2026-03-31."""
    def of(unit="AA-W1", to="AA-BTG", code=None, **more):
        given = duty(cluster, code or fresh("BC"), to, [unit], **more)
        cluster.query("UPDATE report_duty SET campaign = %s, cut_off_rule = 'period_end' WHERE id = %s RETURNING 1", [made["code"], given["id"]])
        found = report(world, cluster, given, unit)
        cluster.query("""UPDATE report r SET data_from = p.starts_on, data_to = p.ends_on FROM period p WHERE p.id = r.period_id AND r.id = %s RETURNING 1""", [found.id])
        return found
    return of


def activity(cluster, campaign, unit, done_on, done=1, kind="conference", phase="GD1", planned=None):
    """An activity as a row: done on that day; without a day, planned for 2026-02-01."""
    cluster.query("""INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, starts_on,
          ends_on, done_on, planned, done, contacts_reached, status, on_behalf, entered_by, seat_id, grant_id)
        SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, %s, 'Hội nghị', coalesce(%s::date, '2026-02-01'), coalesce(%s::date, '2026-02-01'),
          %s, %s, %s, %s, %s, false, o.code, o.id, o.id
        FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = %s, organization o WHERE c.code = %s AND o.code = %s RETURNING 1""",
                  [kind, done_on, done_on, done_on, planned or max(done, 1), done if done_on else 0, 10 * done if done_on else None,
                   "done" if done_on else "planned", phase, campaign["code"], unit])


def assigned(cluster, campaign, unit, quantity, due_on, kind="conference", phase="GD1"):
    cluster.query("""INSERT INTO campaign_assignment (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind,
          set_quantity, set_due_on, quantity, due_on, setter_id)
        SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, %s, %s, %s, %s, %s, c.owner_id
        FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = %s, organization o WHERE c.code = %s AND o.code = %s RETURNING 1""",
                  [kind, quantity, due_on, quantity, due_on, phase, campaign["code"], unit])


def reached(cluster, campaign, unit, count, base, covers="own", of="cadres_and_members", on="2026-03-01"):
    cluster.query("""INSERT INTO campaign_reach (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, of, covers, reached,
          base, base_source, base_on, counted_on, on_behalf, entered_by, seat_id)
        SELECT uuid_v7(), c.id, f.id, c.programme_id, o.id, o.code, o.scope_key, %s, %s, %s, %s, 'Thống kê', %s, %s, false, o.code, o.id
        FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id AND f.code = 'GD1', organization o WHERE c.code = %s AND o.code = %s RETURNING 1""",
                  [of, covers, count, base, on, on, campaign["code"], unit])


def review(world, campaign, unit, day="2026-03-20", kind="interim", phase="GD1", match=None, **more):
    where = f"/v1/campaigns/{campaign['code']}/reviews/{phase}/{unit}/{kind}/{day}"
    body = {"results": f"Kết quả của {unit}.", **more}
    answer = world.at(unit, "approver").put(where, body, [("If-Match", "*")] if match else [("If-None-Match", "*")])
    assert answer.status in (200, 201), answer
    return answer.json()


def sections(read):
    return {s["code"]: s for s in read["sections"]}


# ---- the draft -----------------------------------------------------------------------------------------------
def test_the_draft_tells_how_the_campaign_stands_now(cluster, made, owed):
    mine = owed()
    before = mine.read()["campaign"]
    assert (before["code"], before["title"], before["organization"], before["phase"], before["phase_title"], before["as_of"], before["reviews"]) == (
        made["code"], made["title"], "AA-W1", "GD1", "Giai đoạn 1", "2026-03-31", [])
    assert (before["standing"]["done"], before["standing"]["percent"], before["standing"]["by_kind"]) == (0, None, [])
    for unit in ("AA-W1", "AA-W1-C1"):
        assigned(cluster, made, unit, 4, "2026-03-15")
        assigned(cluster, made, unit, 2, "2026-05-15", "seminar")
        activity(cluster, made, unit, "2026-02-10", 3)
    activity(cluster, made, "AA-W1-C2", None)
    activity(cluster, made, "AA-W2", "2026-02-10", 9)
    reached(cluster, made, "AA-W1", 90, 100, "subtree")
    reached(cluster, made, "AA-W1-C1", 30, 30)
    reached(cluster, made, "AA-W2", 5, 5)
    standing = mine.read()["campaign"]["standing"]
    assert (standing["assigned"], standing["due"], standing["planned"], standing["done"], standing["percent"]) == (12, 8, 7, 6, 50)
    assert [(k["kind"], k["assigned"], k["due"], k["done"], k["percent"]) for k in standing["by_kind"]] == [("conference", 8, 8, 6, 75), ("seminar", 4, 0, 0, 0)]
    assert standing["by_kind"][0]["name"].startswith("Hội nghị") and standing["late"] == 1 and standing["contacts"]["reached"] == 60
    assert standing["activities"] == {"planned": 1, "under_way": 0, "done": 2, "postponed": 0, "cancelled": 0}
    assert (standing["units"]["reached"], standing["units"]["target"]) == (2, 100) and standing["units"]["expected"] > 4
    members, core = standing["people"]
    assert members == {"of": "cadres_and_members", "reached": 90, "base": 100, "percent": 90, "target": 95, "declared_units": 1, "declared": 5, "expected": 5}
    assert core == {"of": "core_force", "reached": None, "base": None, "percent": None, "target": 90, "declared_units": 0, "declared": 0, "expected": 5}


def test_what_is_done_after_the_last_day_of_data_is_the_next_reports(cluster, made, owed):
    mine = owed()
    activity(cluster, made, "AA-W1", "2026-03-31", 2)
    activity(cluster, made, "AA-W1", "2026-04-01", 5)
    standing = mine.read()["campaign"]["standing"]
    assert (standing["done"], standing["planned"], standing["activities"]) == (2, 7, {"planned": 1, "under_way": 0, "done": 1, "postponed": 0, "cancelled": 0})
    cluster.query("UPDATE activity a SET starts_on = '2026-03-30' FROM campaign c WHERE c.id = a.campaign_id AND c.code = %s AND a.done = 5 RETURNING 1", [made["code"]])
    assert mine.read()["campaign"]["standing"]["activities"] == {"planned": 0, "under_way": 1, "done": 1, "postponed": 0, "cancelled": 0}, "it had begun"
    cluster.query("UPDATE activity a SET starts_on = '2026-04-01', status = 'under_way', done_on = NULL FROM campaign c"
                  " WHERE c.id = a.campaign_id AND c.code = %s AND a.done = 5 RETURNING 1", [made["code"]])
    standing = mine.read()["campaign"]["standing"]
    assert (standing["done"], standing["activities"]) == (2, {"planned": 1, "under_way": 0, "done": 1, "postponed": 0, "cancelled": 0})


def test_until_today_it_is_what_progress_and_coverage_tell(world, cluster, made, owed):
    """The same rows, told by two ways: the report's for its data's last day, which is still to come, and the campaign's own."""
    mine = owed(period="2026-Q4")
    for unit, day, done, kind in (("AA-W1", "2026-09-01", 3, "conference"), ("AA-W1-C1", "2026-11-20", 2, "conference"), ("AA-W1-C2", "2026-11-21", 7, "seminar"),
                                  ("AA-W2", "2026-10-01", 4, "conference")):
        activity(cluster, made, unit, day, done, kind, "GD2")
    assigned(cluster, made, "AA-W1", 1, "2026-11-20", phase="GD2")
    assigned(cluster, made, "AA-W1", 4, "2026-11-21", phase="GD2")
    assigned(cluster, made, "AA-W1-C2", 2, "2026-12-31", "seminar", "GD2")
    told = mine.read()["campaign"]["standing"]
    viewer, where = world.at("AA-W1", "viewer"), f"/v1/campaigns/{made['code']}"
    whole = viewer.items(f"{where}/progress", phase="GD2", organization="AA-W1")[0]
    for name, theirs in (("assigned", "assigned"), ("due", "due"), ("planned", "planned"), ("done", "done"), ("percent", "percent"), ("late", "activities_late")):
        assert told[name] == whole[theirs], (name, told[name], whole[theirs])
    assert told["activities"] == {name: whole[f"activities_{name}"] for name in told["activities"]}
    assert (told["units"]["reached"], told["units"]["expected"]) == (whole["units_reached"], whole["units_expected"])
    kinds = viewer.items(f"{where}/progress", phase="GD2", organization="AA-W1", by="kinds")
    assert [(k["kind"], k["assigned"], k["due"], k["done"], k["percent"]) for k in told["by_kind"]] == [
        (k["kind"], k["assigned"], k["due"], k["done"], k["percent"]) for k in kinds]
    covered = {c["of"]: c for c in viewer.items(f"{where}/coverage", phase="GD2", organization="AA-W1")}
    assert covered["party_organizations"]["percent"] == told["units"]["percent"]


def test_works_of_the_line_count_by_their_day(cluster, made, owed):
    mine = owed()
    cluster.query("""INSERT INTO product (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, state, published_at,
          on_behalf, entered_by, seat_id)
        SELECT uuid_v7(), c.id, NULL, c.programme_id, o.id, o.code, o.scope_key, 'infographic', 'Áp phích', x.state, x.at::timestamptz, false, o.code, o.id
        FROM campaign c, organization o, (VALUES ('published', '2026-03-01'), ('published', '2026-04-01'), ('draft', NULL)) x(state, at)
        WHERE c.code = %s AND o.code = 'AA-W1' RETURNING 1""", [made["code"]])
    cluster.query("""INSERT INTO product_reuse (id, product_id, campaign_id, programme_id, organization_id, organization_code, scope_key, used_on, on_behalf, entered_by, seat_id)
        SELECT uuid_v7(), p.id, p.campaign_id, p.programme_id, o.id, o.code, o.scope_key, '2026-03-05', false, o.code, o.id FROM product p JOIN campaign c ON c.id = p.campaign_id, organization o
        WHERE c.code = %s AND p.state = 'published' AND o.code = 'AA-W1-C1' RETURNING 1""", [made["code"]])
    cluster.query("""INSERT INTO recognition (id, campaign_id, programme_id, organization_id, organization_code, scope_key, kind, title, decision_number, decision_on,
          state, proposed_seat_id)
        SELECT uuid_v7(), c.id, c.programme_id, o.id, o.code, o.scope_key, 'exemplary_model', 'Mô hình', '12-QĐ', '2026-02-02', x.state, o.id
        FROM campaign c, organization o, unnest(ARRAY['confirmed', 'withdrawn']) x(state) WHERE c.code = %s AND o.code = 'AA-W1-C2' RETURNING 1""", [made["code"]])
    standing = mine.read()["campaign"]["standing"]
    assert (standing["products"], standing["reuses"], standing["recognitions"]) == (1, 2, 1)


def test_the_phase_is_that_of_the_last_day_of_data(made, owed):
    assert owed(period="2026-Q2").read()["campaign"]["phase"] == "GD1"
    assert owed(period="2026-Q3").read()["campaign"]["phase"] == "GD2"


def test_data_that_are_still_to_come_count_to_today(made, owed):
    mine = owed(period="2026-Q4").read()["campaign"]
    assert (mine["phase"], mine["as_of"]) == ("GD2", "2026-11-21")


def test_a_duty_without_a_campaign_or_with_a_draft_tells_of_none(world, cluster, made, owed):
    assert report(world, cluster, duty(cluster, fresh("BC"), "AA-BTG", ["AA-W1"]), "AA-W1").read()["campaign"] is None
    draft = campaigns.campaign(world, fresh("CT"), status="draft")
    mine = owed()
    cluster.query("UPDATE report_duty SET campaign = %s WHERE code = %s RETURNING 1", [draft["code"], mine.duty])
    assert mine.read()["campaign"] is None


def test_who_leads_the_campaign_accounts_for_all_who_take_part(world, cluster):
    led = campaigns.campaign(world, fresh("CT"), owner="AA-BTG")
    given = duty(cluster, fresh("BC"), "AA-TU", ["AA-BTG"])
    cluster.query("UPDATE report_duty SET campaign = %s WHERE id = %s RETURNING 1", [led["code"], given["id"]])
    activity(cluster, led, "AA-W1-C1", "2026-02-10", 3)
    activity(cluster, led, "AA-W2", "2026-02-10", 4)
    told = report(world, cluster, given, "AA-BTG").read()["campaign"]
    assert told["organization"] == "AA-TU" and told["standing"]["done"] == 7


# ---- reviews as sections ---------------------------------------------------------------------------------------
def test_a_review_is_a_section_that_is_written_where_it_is_reviewed(world, made, owed):
    mine = owed()
    review(world, made, "AA-W1", difficulties="Thiếu máy chiếu.", proposals="Bổ sung kinh phí.")
    review(world, made, "AA-W1", "2026-06-25", "final")
    review(world, made, "AA-W2")
    read = mine.read()
    assert [s["code"] for s in read["sections"]] == ["results", "next", "review-GD1-interim"]
    section = read["sections"][-1]
    assert (section["title"], section["required"], section["review"], section["gathered"]) == ("Sơ kết giai đoạn 1", False, True, [])
    assert section["text"] == "Kết quả của AA-W1.\nKhó khăn, hạn chế:\nThiếu máy chiếu.\nĐề xuất, kiến nghị:\nBổ sung kinh phí."
    assert read["campaign"]["reviews"] == [{"phase": "GD1", "kind": "interim", "reviewed_on": "2026-03-20", "section": "review-GD1-interim", "version": 1}]
    answer = mine.do("edit", {"sections": [{"code": "review-GD1-interim", "text": "Khác"}]})
    assert answer.status in (409, 422) and answer.faults() == {("#/sections/0/code", "read_only")}
    second = owed(period="2026-Q2").read()
    assert [s["title"] for s in second["sections"]][2:] == ["Tổng kết giai đoạn 1"], "each review stands in the report whose days it was held in"


def test_several_interim_reviews_stand_in_one_section_by_their_days(world, made, owed):
    mine = owed()
    for day in ("2026-03-20", "2026-02-05", "2026-04-02"):
        review(world, made, "AA-W1", day, results=f"Kết quả đến {day}.")
    read = mine.read()
    assert sections(read)["review-GD1-interim"]["text"] == "Ngày 05/02/2026:\nKết quả đến 2026-02-05.\nNgày 20/03/2026:\nKết quả đến 2026-03-20."
    assert [(w["reviewed_on"], w["section"]) for w in read["campaign"]["reviews"]] == [(d, "review-GD1-interim") for d in ("2026-02-05", "2026-03-20")]
    mine.send(results="Đã tổ chức.")
    assert sections(mine.read(mine.reviewer))["review-GD1-interim"]["text"].startswith("Ngày 05/02/2026:")


def test_a_review_can_be_the_reason_of_a_return(world, made, owed):
    mine = owed()
    review(world, made, "AA-W1")
    mine.send(results="Đã tổ chức.")
    answer = mine.do("return", {**REASON, "reasons": [{"section": "review-GD1-interim", "reason": "Nêu rõ số chi bộ"}]}, mine.reviewer)
    assert answer.status == 200 and mine.read()["returned"]["reasons"][0]["section"] == "review-GD1-interim"


# ---- submissions -----------------------------------------------------------------------------------------------
def test_a_submission_keeps_what_it_was_sent_with(world, cluster, made, owed):
    mine = owed()
    activity(cluster, made, "AA-W1", "2026-02-10", 3)
    review(world, made, "AA-W1")
    draft = mine.read()
    mine.send(results="Đã tổ chức.")
    activity(cluster, made, "AA-W1", "2026-02-11", 4)
    review(world, made, "AA-W1", match=True, results="Viết lại.")
    for by in (mine.author, mine.reviewer, world.at("AA-TU", "viewer")):
        read = mine.read(by)
        assert read["view"] == "submitted" and read["campaign"] == draft["campaign"] and read["campaign"]["standing"]["done"] == 3
        assert sections(read)["review-GD1-interim"]["text"] == "Kết quả của AA-W1."
    mine.must("return", REASON, mine.reviewer)
    again = mine.read()
    assert again["campaign"]["standing"]["done"] == 7 and sections(again)["review-GD1-interim"]["text"] == "Viết lại."
    assert mine.read(mine.reviewer)["campaign"]["standing"]["done"] == 3, "the draft is the author's alone"
    mine.send(results="Đã tổ chức.")
    assert mine.read(version=1)["campaign"]["standing"]["done"] == 3 and mine.read(version=2)["campaign"]["standing"]["done"] == 7


def test_what_was_sent_without_a_campaign_has_none(world, cluster, made):
    given = duty(cluster, fresh("BC"), "AA-BTG", ["AA-W1"])
    mine = report(world, cluster, given, "AA-W1").send(results="Đã tổ chức.")
    cluster.query("UPDATE report_duty SET campaign = %s WHERE id = %s RETURNING 1", [made["code"], given["id"]])
    assert mine.read()["campaign"] is None


def test_what_changed_in_the_campaign_is_shown(world, cluster, made, owed):
    mine = owed()
    activity(cluster, made, "AA-W1", "2026-02-10", 3)
    review(world, made, "AA-W1")
    mine.send(results="Đã tổ chức.")
    mine.must("return", REASON, mine.reviewer)
    same = world.must(mine.changes(), 200)
    assert same["campaign"] == [] and same["sections"] == []
    activity(cluster, made, "AA-W1-C1", "2026-02-12", 2, "seminar")
    reached(cluster, made, "AA-W1", 80, 100)
    review(world, made, "AA-W1", match=True, results="Viết lại.")
    found = world.must(mine.changes(), 200)
    told = {c["path"]: (c["old"], c["new"]) for c in found["campaign"]}
    assert told["standing/done"] == (3, 5) and told["standing/by_kind/seminar/done"] == (None, 2) and told["standing/units/reached"] == (1, 2)
    assert told["standing/people/cadres_and_members/reached"] == (None, 80) and "standing/by_kind/conference/done" not in told
    assert [(s["code"], s["change"], s["old"], s["new"]) for s in found["sections"]] == [
        ("review-GD1-interim", "changed", "Kết quả của AA-W1.", "Viết lại.")]
    mine.send(results="Đã tổ chức.")
    assert world.must(mine.changes(mine.reviewer), 200)["campaign"] == found["campaign"]


# ---- consolidation ---------------------------------------------------------------------------------------------
def test_the_reviews_received_are_gathered_with_their_sources(world, cluster, made, owed):
    sent = {unit: owed(unit) for unit in ("AA-W1", "AA-W2")}
    for unit, mine in sent.items():
        review(world, made, unit)
        activity(cluster, made, unit, "2026-02-10", 3)
        mine.send(RECEIVE, results=f"Phần của {unit}.")
    top = owed("AA-BTG", "AA-TU")
    duties = [mine.duty for mine in sent.values()]
    dry = world.must(top.consolidate({"duties": duties, "dry_run": True}), 200)
    done = world.must(top.consolidate({"duties": duties}), 200)
    gathered = {s["code"]: s for s in done["sections"]}["review-GD1-interim"]
    assert {s["code"]: s for s in dry["sections"]}["review-GD1-interim"] == gathered
    assert (gathered["title"], gathered["change"]) == ("Sơ kết giai đoạn 1", "added")
    assert [(g["organization"], g["version"], g["text"], g["report"]) for g in gathered["new"]] == [
        (unit, 1, f"Kết quả của {unit}.", sent[unit].id) for unit in ("AA-W1", "AA-W2")]
    section = sections(top.read())["review-GD1-interim"]
    assert section["text"] is None and section["review"] and section["gathered"] == gathered["new"]
    assert world.must(top.consolidate({"duties": duties}), 200)["changed"] is False
    review(world, made, "AA-BTG")
    assert sections(top.read())["review-GD1-interim"]["text"] == "Kết quả của AA-BTG."
    # what was gathered from a submission that came back is not sent on
    sent["AA-W1"].must("return", REASON, sent["AA-W1"].reviewer)
    world.must(top.do("edit", {"sections": [{"code": "results", "text": "Tổng hợp"}]}), 200)
    answer = top.do("submit")
    assert answer.status == 422 and ("#/sections/review-GD1-interim", "stale") in answer.faults()
    world.must(top.consolidate({"duties": duties}), 200)
    world.must(top.do("submit"), 200)
    assert [g["organization"] for g in sections(top.read())["review-GD1-interim"]["gathered"]] == ["AA-W2"]


def test_reviews_of_another_campaign_are_not_gathered(world, cluster, made, owed):
    other = campaigns.campaign(world, fresh("CT"))
    mine = owed("AA-W1")
    cluster.query("UPDATE report_duty SET campaign = %s WHERE code = %s RETURNING 1", [other["code"], mine.duty])
    review(world, other, "AA-W1")
    mine.send(RECEIVE, results="Phần của AA-W1.")
    top = owed("AA-BTG", "AA-TU")
    done = world.must(top.consolidate({"duties": [mine.duty]}), 200)
    assert "review-GD1-interim" not in {s["code"] for s in done["sections"]}


# ---- the paper -------------------------------------------------------------------------------------------------
def test_the_paper_tells_of_the_campaign(world, cluster, made, owed):
    mine = owed()
    assigned(cluster, made, "AA-W1", 4, "2026-03-15")
    activity(cluster, made, "AA-W1", "2026-02-10", 3)
    reached(cluster, made, "AA-W1", 1234, 2000)
    review(world, made, "AA-W1")
    page = mine.author.get(mine.path, [("Accept", "text/html")])
    assert page.status == 200
    for words in ("Sơ kết giai đoạn 1", "Kết quả của AA-W1.", f"Kết quả thực hiện «{made['title']}»", "31/03/2026", "Hội nghị", "75%", "1.234/2.000", "61,7%",
                  "Đơn vị đã sơ kết ngày 20/03/2026."):
        assert words in page.text, words
