"""Reports as papers over HTTP: by Accept, of what the caller sees, with headers that let nothing in, and within limits."""
import re
import subprocess

import pytest
from harness import reports
from harness.crowd import together
from harness.reports import Report

HTML, PDF = "text/html", "application/pdf"


def accept(form):
    return [("Accept", form)]


def text_of(answer, tmp_path):
    """The text of a PDF, its lines put together."""
    path = tmp_path / "report.pdf"
    path.write_bytes(answer.body)
    return " ".join(subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True).stdout.decode().split())


@pytest.fixture(scope="module")
def submitted(world):
    """A report of AA-W1, submitted to AA-BTG with a number."""
    report = Report(world, reports.duty(world)["code"])
    report.write("Đã tổ chức 12 hội nghị.", number="123-BC/ĐU", issued_on="2026-03-16")
    report.submit("Đã tổ chức 12 hội nghị.")
    return report


def test_accept_chooses_the_form(submitted, tmp_path):
    assert submitted.author.get(submitted.path).type == "application/json"
    assert submitted.author.get(submitted.path, accept("*/*")).type == "application/json"
    page = submitted.author.get(submitted.path, accept(HTML))
    assert page.status == 200 and page.header("Content-Type") == "text/html; charset=utf-8" and page.text.startswith("<!DOCTYPE html>"), page
    paper = submitted.author.get(submitted.path, accept(PDF))
    assert paper.status == 200 and paper.type == PDF and paper.body.startswith(b"%PDF-") and paper.body.rstrip().endswith(b"%%EOF")
    for words in ("ĐẢNG CỘNG SẢN VIỆT NAM", "Số 123-BC/ĐU", "BÁO CÁO", "Đã tổ chức 12 hội nghị.", "Nơi nhận:", "ngày 16 tháng 3 năm 2026"):
        assert words in text_of(paper, tmp_path) and words in " ".join(re.sub("<[^>]*>", " ", page.text).split()), words
    preferred = submitted.author.get(submitted.path, accept("text/csv, application/pdf;q=0.5, text/html;q=0.9"))
    assert preferred.type == HTML
    assert submitted.author.get(submitted.path, accept("text/csv")).status == 406


def test_a_page_can_load_and_run_nothing(submitted):
    page = submitted.author.get(submitted.path, accept(HTML))
    policy = {d.split(" ")[0]: d for d in page.header("Content-Security-Policy").split("; ")}
    assert policy["default-src"] == "default-src 'none'" and policy["frame-ancestors"] == "frame-ancestors 'none'" and "sandbox" in policy
    assert "script-src" not in policy and page.header("X-Content-Type-Options") == "nosniff" and page.header("Content-Language") == "vi"
    assert page.header("Cache-Control") == "no-store"
    assert not re.search(r"<script|<img|<link|<iframe|src=|href=|url\(|@import", page.text)
    paper = submitted.author.get(submitted.path, accept(PDF))
    assert paper.header("Content-Disposition") == f'inline; filename="{submitted.id}.pdf"' and paper.header("X-Content-Type-Options") == "nosniff"


def test_the_tag_is_the_reports_with_the_form_after_it(submitted):
    plain = submitted.author.get(submitted.path).etag
    for form, suffix in ((HTML, "html"), (PDF, "pdf")):
        made = submitted.author.get(submitted.path, accept(form))
        assert made.etag == plain[:-1] + f';{suffix}"'
        again = submitted.author.get(submitted.path, [*accept(form), ("If-None-Match", made.etag)])
        assert again.status == 304 and again.body == b"" and again.etag == made.etag
        assert submitted.author.get(submitted.path, [*accept(form), ("If-None-Match", plain)]).status == 200
    assert submitted.author.get(submitted.path, accept(PDF)).body == submitted.author.get(submitted.path, accept(PDF)).body


def test_a_write_takes_the_tag_of_a_document(world):
    report = Report(world, reports.duty(world)["code"])
    report.write("Một")
    tag = report.author.get(report.path, accept(HTML)).etag
    assert report.do("edit", {"sections": [{"code": "results", "text": "Hai"}]}, match=tag).status == 200
    assert report.do("edit", {"sections": [{"code": "results", "text": "Ba"}]}, match=tag).status == 412


def test_head_is_get_without_its_body(submitted):
    head = submitted.author.request("HEAD", submitted.path, None, accept(HTML))
    assert head.status == 200 and head.body == b"" and head.header("Content-Type") == "text/html; charset=utf-8"


def test_a_document_shows_what_its_caller_sees(world, tmp_path):
    report = Report(world, reports.duty(world)["code"])
    report.write("Bí mật của dự thảo")
    own = report.author.get(report.path, accept(PDF))
    assert "Bí mật của dự thảo" in text_of(own, tmp_path) and "DỰ THẢO" in text_of(own, tmp_path)
    seen = report.reviewer.get(report.path, accept(PDF))
    assert seen.status == 200 and "Bí mật" not in text_of(seen, tmp_path) and "Báo cáo chưa được gửi." in text_of(seen, tmp_path)
    for seat in ("AA-W2", "BB-TU"):
        hidden = world.at(seat, "manager").get(report.path, accept(PDF))
        assert hidden.status == 404 and hidden.type == "application/problem+json"
    assert report.reviewer.get(report.path, accept(HTML), view="draft").status == 404


def test_an_earlier_submission_says_which_it_is(world):
    report = Report(world, reports.duty(world)["code"])
    report.submit("Lần đầu")
    report.must("return", reports.REASON, report.reviewer)
    report.submit("Lần hai")
    second = report.reviewer.get(report.path, accept(HTML)).text
    assert "Lần hai" in second and "(Bản gửi lần 2)" in second
    first = report.reviewer.get(report.path, accept(HTML), version=1)
    if first.status == 200:  # where the recipient may read what it returned
        assert "Lần đầu" in first.text and "(Bản gửi lần 1, trước bản gửi lần 2)" in first.text
    own = report.author.get(report.path, accept(HTML), version=1)
    assert own.status == 200 and "Lần đầu" in own.text and "(Bản gửi lần 1, trước bản gửi lần 2)" in own.text


@pytest.mark.parametrize("text", ["<img src=file:///etc/passwd>", "<script>alert(1)</script>", "</style><style>*{display:none}</style>", "{{ 7*7 }}"])
def test_text_is_never_markup(world, text, tmp_path):
    report = Report(world, reports.duty(world)["code"])
    report.write(text)
    page = report.author.get(report.path, accept(HTML))
    assert page.status == 200 and text.replace("<", "&lt;").replace(">", "&gt;") in page.text and (("<" not in text) or text not in page.text)
    paper = text_of(report.author.get(report.path, accept(PDF)), tmp_path)
    assert "".join(text.split()) in "".join(paper.split()) and "root:x:" not in paper


def test_a_report_too_large_for_paper_is_refused_and_is_whole_as_html(world, cluster):
    report = Report(world, reports.duty(world)["code"])
    report.write("Ngắn")
    cluster.query("UPDATE report_section SET text = repeat('chữ nghĩa ', 500000) WHERE report_id = %s AND code = 'results' RETURNING 1", [report.id])
    refused = report.author.get(report.path, accept(PDF))
    assert refused.status == 406 and refused.code == "document_too_large" and refused.type == "application/problem+json", refused
    whole = report.author.get(report.path, accept(HTML))
    assert whole.status == 200 and whole.text.count("chữ nghĩa") == 500_000
    assert report.author.get("/v1/me").status == 200


def test_many_at_once_are_all_made(world, submitted):
    callers = [world.at(seat, role) for seat in ("AA-W1", "AA-BTG") for role in ("viewer", "reporter", "approver")]
    answers = together(callers, lambda caller, i: caller.get(submitted.path, accept((HTML, PDF)[i % 2])))
    assert [(a.status, a.type) for a in answers] == [(200, (HTML, PDF)[i % 2]) for i in range(len(callers))]
