"""Files attached to reports: what is taken and what is not, who sees them, and how they go in and out."""
import base64
import hashlib
import json
import os
import pathlib
import time
import zipfile
from urllib.parse import quote

import psycopg2
import pytest
from harness import files, reports
from harness.client import Http, target
from harness.crowd import patient, together, wait_for
from harness.files import DOCX, JPEG, MB, PDF, PNG, XLSX
from harness.reports import REASON, Report
from harness.samples import fresh
from harness.world import Caller


@pytest.fixture(scope="module")
def duty(world):
    return reports.duty(world, acceptance="approval", indicators=[])["code"]


@pytest.fixture
def report(world):
    """A report of AA-W1 to AA-BTG that nobody has touched."""
    return Report(world, reports.duty(world, acceptance="approval", indicators=[])["code"])


def post(report, data, type_=PDF, name="Báo cáo.pdf", by=None, headers=(), **query):
    return (by or report.author).post(f"{report.path}/attachments", data, [("Content-Type", type_), *headers], name=name, **query)


def pdf_of(name):
    """A PDF that is another one for every name."""
    return files.pdf() + b"%" + name.encode()


def attach(report, data=None, type_=PDF, name="Báo cáo.pdf", **query):
    return report.world.must(post(report, pdf_of(name) if data is None else data, type_, name, **query))


def names(report, by=None, **query):
    answer = (by or report.author).get(f"{report.path}/attachments", **query)
    assert answer.status == 200, answer
    return [a["name"] for a in answer.json()["items"]]


def fetch(report, attachment, by=None, headers=()):
    return (by or report.author).get(f"{report.path}/attachments/{attachment['id']}", headers)


def remove(report, attachment, by=None, match='"1"'):
    return (by or report.author).request("DELETE", f"{report.path}/attachments/{attachment['id']}", None, [("If-Match", match)] if match else [])


def chunks(cluster):
    return cluster.query("SELECT count(*) FROM tiendo.attachment_chunk")[0][0]


def raw_head(report, token, *headers, name="a.pdf", type_=PDF):
    path = target(f"{report.path}/attachments", name=name)
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {type_}", *([f"Authorization: Bearer {token}"] if token else []),
                        *headers, "", ""]).encode()


# ---- in and out -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("data, type_, name", [
    (files.pdf(), PDF, "Báo cáo quý I.pdf"), (files.docx(), DOCX, "Dự thảo.DOCX"), (files.xlsx(), XLSX, "Phụ lục số liệu.xlsx"),
    (files.png(), PNG, "ảnh hội nghị.png"), (files.jpeg(), JPEG, "ảnh.jpeg"), (files.jpeg(), JPEG, "ảnh.jpg"),
    (files.docx(first=[("docProps/app.xml", "<x/>")]), DOCX, "thứ tự khác.docx"),
    (files.archive([("[Content_Types].xml", files.types(files.TEXT_MAIN)), ("word/document.xml", "x")], zipfile.ZIP_STORED), DOCX, "không nén.docx")])
def test_a_file_comes_back_as_it_was_sent(report, data, type_, name):
    made = attach(report, data, type_, name, title="Tài liệu kèm theo")
    digest = hashlib.sha256(data)
    assert (made["name"], made["type"], made["size"], made["sha256"]) == (name, type_, len(data), digest.hexdigest())
    assert made["kind"] == "annex" and made["classification"] == "unclassified" and made["title"] == "Tài liệu kèm theo" and made["added_in"] == 1
    back = fetch(report, made)
    assert back.status == 200 and back.body == data and back.type == type_
    assert back.header("Repr-Digest") == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert back.header("Content-Disposition").startswith("attachment; ") and back.header("Content-Disposition").endswith("''" + quote(name, safe="._~-"))
    assert back.header("X-Content-Type-Options") == "nosniff" and "sandbox" in back.header("Content-Security-Policy")
    assert back.header("Content-Length") == str(len(data))
    head = report.author.request("HEAD", f"{report.path}/attachments/{made['id']}")
    assert head.status == 200 and head.header("Content-Length") == str(len(data)) and head.etag == back.etag
    assert fetch(report, made, headers=[("If-None-Match", back.etag)]).status == 304
    assert fetch(report, made, headers=[("Accept", "text/html")]).status == 406
    assert fetch(report, made, headers=[("Accept", PNG if type_ != PNG else PDF)]).status == 406
    listed = report.author.get(f"{report.path}/attachments").json()["items"]
    assert listed == [made] and report.read()["state"] == "draft"


def test_a_name_is_kept_in_form_c(report):
    assert attach(report, name="Ba\u0301o ca\u0301o.pdf")["name"] == "Báo cáo.pdf"


def test_a_file_may_be_as_large_as_it_may_be_and_not_a_byte_larger(cluster, report):
    data = files.pdf(20 * MB)
    assert len(data) == 20 * MB
    made = attach(report, data)
    assert fetch(report, made).body == data
    before = chunks(cluster)
    answer = post(report, data + b"\n")
    assert answer.status == 413 and answer.code == "body_too_large", answer
    assert chunks(cluster) == before


def test_every_link_of_a_file_is_of_one_report(world, report, duty):
    made = attach(report)
    other = Report(world, duty, unit="AA-W1")
    assert other.author.get(f"{other.path}/attachments/{made['id']}").status == 404
    assert remove(other, made).status == 404
    assert report.author.get(f"{report.path}/attachments/0198c5a2-7d1a-7d00-8a01-2b3c4d5e6f81").status == 404
    assert report.author.get(f"{report.path}/attachments/x").status == 404


# ---- what is not taken ----------------------------------------------------------------------------------------
PDF_BEHIND = files.png() + files.pdf()
ZIP_BEHIND = files.pdf() + files.archive([("x", "y")])


TEMPLATE = ('<Relationships><Relationship Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" '
            'Target="http://example.org/x.dotm" TargetMode="External"/></Relationships>')


def pdf_with(catalog, trailer=b""):
    return files.pdf().replace(b"/Type/Catalog", b"/Type/Catalog" + catalog).replace(b"/Root 1 0 R", b"/Root 1 0 R" + trailer)


@pytest.mark.parametrize("data, type_, name, status, says", [
    (b"", PDF, "a.pdf", 400, "empty"),
    (b"<html><script>alert(1)</script></html>", PDF, "a.pdf", 415, "no PDF"),
    (b"MZ" + b"\0" * 512, PDF, "a.pdf", 415, "no PDF"),
    (b"#!/bin/sh\nrm -rf /\n", PNG, "a.png", 415, "no PDF"),
    (files.png(), PDF, "a.pdf", 415, "image/png"),
    (files.pdf(), PNG, "a.png", 415, "application/pdf"),
    (files.docx(), XLSX, "a.xlsx", 415, "wordprocessing"),
    (files.docx(), "application/zip", "a.zip", 415, "Content-Type"),
    (files.pdf(), "text/html", "a.pdf", 415, "Content-Type"),
    (files.archive([("a.txt", "x")]), DOCX, "a.docx", 415, "no Word or Excel"),
    (files.archive([("[Content_Types].xml", files.types("x")), ("word/document.xml", "x")]), DOCX, "a.docx", 415, "no Word or Excel"),
    (files.archive([("[Content_Types].xml", files.types(files.TEXT_MAIN)), ("ppt/a.xml", "x")]), DOCX, "a.docx", 415, "no Word or Excel"),
    (files.docx(("xl/workbook.xml", "x")), DOCX, "a.docx", 415, "no Word or Excel"),
    (files.docx(("word/vbaProject.bin", "x")), DOCX, "a.docx", 422, "macros"),
    (files.docx(("word/VBAPROJECT.BIN", "x")), DOCX, "a.docx", 422, "macros"),
    (files.archive([("[Content_Types].xml", files.types(files.TEXT_MAIN) + "application/vnd.ms-office.vbaProject"), ("word/a", "x")]), DOCX, "a.docx", 422, "macros"),
    (files.docx(("../../etc/passwd", "x")), DOCX, "a.docx", 422, "damaged"),
    (files.docx(("[Content_Types].xml", "x")), DOCX, "a.docx", 422, "damaged"),
    (files.docx(("word/embeddings/a.docm", files.docx(("word/vbaProject.bin", "x")))), DOCX, "a.docx", 422, "macros"),
    (files.docx(("word/embeddings/a.docx", files.docx(("word/vbaProject.bin", "x")))), DOCX, "a.docx", 422, "macros"),
    (files.docx(("word/embeddings/oleObject1.bin", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504)), DOCX, "a.docx", 422, "program"),
    (files.xlsx(("xl/embeddings/a.png", b"MZ" + b"\0" * 512)), XLSX, "a.xlsx", 422, "program"),
    (files.docx(("word/_rels/settings.xml.rels", TEMPLATE)), DOCX, "a.docx", 422, "template"),
    (files.docx(("word/media/a.emf", b"\0" * (11 * MB))), DOCX, "a.docx", 422, "far more"),
    (pdf_with(b"", b"/Encrypt 4 0 R"), PDF, "a.pdf", 422, "encrypted"),
    (pdf_with(b"", b"/#45ncrypt 4 0 R"), PDF, "a.pdf", 422, "encrypted"),
    (pdf_with(b"/OpenAction<</S/JavaScript/JS(app.alert(1))>>"), PDF, "a.pdf", 422, "script"),
    (pdf_with(b"/OpenAction<</S/Launch/F(cmd.exe)>>"), PDF, "a.pdf", 422, "program"),
    (pdf_with(b"/Names<</EmbeddedFiles 3 0 R>>"), PDF, "a.pdf", 422, "other files"),
    (files.docx()[:-30], DOCX, "a.docx", 422, "damaged"),
    (files.docx() + b"x" * 10, DOCX, "a.docx", 422, "damaged"),
    (files.pdf()[:-20], PDF, "a.pdf", 422, "cut short"),
    (files.png()[:-5], PNG, "a.png", 422, "cut short"),
    (files.jpeg()[:-2], JPEG, "a.jpg", 422, "cut short"),
    (PDF_BEHIND, PNG, "a.png", 422, "two kinds"),
    (ZIP_BEHIND, PDF, "a.pdf", 422, "two kinds"),
    (files.png(files.archive([("x", "y")])), PNG, "a.png", 422, "two kinds"),
    (files.jpeg(files.archive([("x", "y")])), JPEG, "a.jpg", 422, "two kinds"),
    (files.jpeg(files.pdf()), JPEG, "a.jpg", 422, "two kinds"),
])
def test_what_is_not_what_it_says_is_refused(cluster, report, data, type_, name, status, says):
    before = chunks(cluster)
    answer = post(report, data, type_, name)
    assert answer.status == status and says.lower() in answer.json()["detail"].lower(), answer
    assert names(report) == [] and chunks(cluster) == before and report.read()["state"] == "expected"
    translated = post(report, data, type_, name, headers=[("Accept-Language", "vi")])
    assert translated.status == status and translated.json()["detail"] != answer.json()["detail"]


def zeros(n):
    return b"\0" * n


@pytest.mark.parametrize("data, says", [
    (files.docx(*[(f"word/{i}.bin", zeros(64 * MB)) for i in range(9)]), "far more"),
    (files.docx(*[(f"word/embeddings/{i}.xlsx", b"PK" + zeros(9 * MB)) for i in range(40)]), "far more"),
    (files.archive([("[Content_Types].xml", zeros(8 * MB)), ("word/document.xml", "x")]), "damaged"),
    (files.archive([("[Content_Types].xml", files.types(files.TEXT_MAIN)), *[(f"word/{i}", "") for i in range(6000)]]), "damaged")],
    ids=["unpacks to much", "documents within that unpack to much", "a list that unpacks to much", "many parts"])
def test_what_would_unpack_to_far_more_is_refused_unopened(report, data, says):
    began = time.monotonic()
    answer = post(report, data, DOCX, "a.docx")
    assert answer.status == 422 and says in answer.json()["detail"], answer
    assert time.monotonic() - began < 5


def test_parts_that_lie_over_one_another_are_refused(report):
    data = bytearray(files.docx(("word/a.bin", os.urandom(5000)), ("word/b.bin", os.urandom(5000))))
    first = data.index(b"PK\1\2")
    entries = []
    while (first := data.find(b"PK\1\2", first)) >= 0:
        entries.append(first)
        first += 4
    for at in entries[2:]:  # every large part is the same bytes, told twice over
        data[at + 20:at + 24] = (9000).to_bytes(4, "little")
        data[at + 42:at + 46] = data[entries[2] + 42:entries[2] + 46]
    assert post(report, bytes(data), DOCX, "a.docx").status == 422


def test_an_encrypted_document_is_refused(report):
    data = bytearray(files.docx())
    data[data.index(b"PK\1\2") + 8] |= 1
    answer = post(report, bytes(data), DOCX, "a.docx")
    assert answer.status == 422 and "encrypted" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["../../etc/passwd.pdf", "..\\a.pdf", "/etc/a.pdf", "a\r\nX-Evil: 1.pdf", "a\tb.pdf", "a\0.pdf", "a\u202efdp.exe.pdf",
                                  "a\u200b.pdf", "C:a.pdf", 'a".pdf', "a<b>.pdf", "", "x" * 197 + ".pdf"])
def test_a_name_is_a_name_alone(report, name):
    answer = post(report, files.pdf(), name=name)
    assert answer.status == 400 and answer.pointers() <= {"name"}, answer
    assert names(report) == []


def test_a_name_ends_as_its_type_does(report):
    for name in ("a.docx", "a", "a.pdf.exe", ".pdf"):
        answer = post(report, files.pdf(), name=name)
        assert answer.status == 422 and answer.faults() == {("name", "type_mismatch")}, answer
    assert attach(report, name="x" * 196 + ".pdf")["name"] == "x" * 196 + ".pdf"


def test_only_what_is_not_classified_is_held(report):
    for word in ("secret", "mat", "UNCLASSIFIED", ""):
        answer = post(report, files.pdf(), classification=word)
        assert answer.status == 422 and ("classification", "classified") in answer.faults(), answer
    assert attach(report, classification="unclassified")["classification"] == "unclassified"


def test_a_body_is_the_file_itself(report):
    gzipped = post(report, files.pdf(), headers=[("Content-Encoding", "gzip")])
    assert gzipped.status == 415
    multipart = post(report, files.pdf(), "multipart/form-data; boundary=x")
    assert multipart.status == 415 and PDF in multipart.header("Accept-Post")
    assert report.author.post(f"{report.path}/attachments", None, [("Content-Type", PDF)], name="a.pdf").status == 400
    assert report.author.post(f"{report.path}/attachments", files.pdf(), [("Content-Type", PDF)]).status == 400


# ---- whose, and when ------------------------------------------------------------------------------------------
def test_attachments_of_a_draft_are_seen_in_its_own_unit_alone(world, report):
    made = attach(report)
    assert names(report, world.at("AA-W1", "viewer")) == ["Báo cáo.pdf"]
    for seat in ("AA-TU", "AA-BTG", "AA-W1-XD"):
        by = world.at(seat, "approver")
        assert names(report, by) == [] and fetch(report, made, by).status == 404
        assert remove(report, made, by).status == 403 and post(report, files.pdf(), by=by).status == 403
    for seat in ("AA-W2", "AA-W1-C1", "BB-TU"):
        by = world.at(seat, "manager")
        assert by.get(f"{report.path}/attachments").status == 404 and fetch(report, made, by).status == 404
        assert remove(report, made, by).status == 404 and post(report, files.pdf(), by=by).status == 404
    for role in ("viewer", "inspector"):
        assert post(report, files.pdf(), by=world.at("AA-W1", role)).status == 403


def test_a_copy_is_read_with_the_submission_and_not_before(world):
    report = Report(world, reports.duty(world, acceptance="approval", indicators=[], copies=["AA-W2"])["code"])
    made, copy = attach(report), world.at("AA-W2", "viewer")
    assert fetch(report, made, copy).status == 404 and copy.get(f"{report.path}/attachments").status == 404
    report.submit()
    assert names(report, copy) == ["Báo cáo.pdf"] and fetch(report, made, copy).body == pdf_of("Báo cáo.pdf")


def test_what_was_submitted_stays_with_its_submission(world, report):
    kept, dropped = attach(report, name="kept.pdf"), attach(report, name="dropped.pdf")
    report.submit()
    reviewer = report.reviewer
    assert names(report, reviewer) == ["kept.pdf", "dropped.pdf"]
    frozen = post(report, files.pdf(), name="late.pdf"), remove(report, dropped)
    assert [a.status for a in frozen] == [409, 409] and {a.code for a in frozen} == {"wrong_state"}
    report.must("return", REASON, by=reviewer)
    assert remove(report, dropped).status == 204
    fresh_one = attach(report, name="new.pdf")
    assert names(report) == ["kept.pdf", "new.pdf"] and names(report, reviewer) == ["kept.pdf", "dropped.pdf"]
    assert fetch(report, fresh_one, reviewer).status == 404 and fetch(report, dropped, reviewer).body == pdf_of("dropped.pdf")
    report.submit()
    assert names(report, reviewer) == ["kept.pdf", "new.pdf"] and names(report, reviewer, version=1) == ["kept.pdf", "dropped.pdf"]
    assert fetch(report, dropped, reviewer).status == 200 and report.author.get(f"{report.path}/attachments", version=3).status == 404
    report.must("approve", by=reviewer)
    assert post(report, files.pdf()).status == 409 and remove(report, kept).status == 409
    report.must("amend", REASON, by=reviewer)
    assert remove(report, kept).status == 204 and names(report) == ["new.pdf"]
    again = remove(report, kept, match='"2"')
    assert again.status == 409 and again.code == "already_ended"


def test_what_was_recalled_is_the_authors_again(world, report):
    made = attach(report)
    report.submit()
    assert fetch(report, made, report.reviewer).status == 200
    report.must("recall")
    assert fetch(report, made, report.reviewer).status == 404 and names(report) == ["Báo cáo.pdf"]


def test_nothing_is_kept_of_what_no_submission_had(cluster, report):
    before = chunks(cluster)
    made = attach(report, files.pdf(600_000))
    assert chunks(cluster) == before + 3
    assert remove(report, made, match=None).status == 428 and remove(report, made, match='"7"').status == 412
    assert remove(report, made).status == 204
    assert chunks(cluster) == before and fetch(report, made).status == 404 and remove(report, made).status == 404


def test_the_reports_version_goes_on_with_its_attachments(report):
    report.write()
    tag = report.author.get(report.path).etag
    made = attach(report)
    assert report.do("submit", match=tag).status == 412
    tag = report.author.get(report.path).etag
    assert remove(report, made).status == 204
    assert report.do("submit", match=tag).status == 412


def test_the_signed_original_is_one_pdf(report):
    made = attach(report, kind="signed_original")
    answer = post(report, files.pdf(), kind="signed_original")
    assert answer.status == 409 and answer.code == "already_exists"
    assert post(report, files.png(), PNG, "a.png", kind="signed_original").faults() == {("kind", "type_mismatch")}
    assert remove(report, made).status == 204 and attach(report, kind="signed_original")["kind"] == "signed_original"
    assert post(report, files.pdf(), kind="other").status == 400


def test_the_same_file_is_an_annex_once(report, world, duty):
    made = attach(report, name="a.pdf")
    answer = post(report, pdf_of("a.pdf"), name="b.pdf", headers=[("Accept-Language", "vi")])
    assert answer.status == 409 and answer.code == "already_exists" and "phụ lục: a.pdf" in answer.json()["detail"], answer
    attach(report, pdf_of("a.pdf"), name="c.pdf", kind="signed_original")
    attach(Report(world, duty), pdf_of("a.pdf"))
    report.submit()
    report.must("return", REASON, by=report.reviewer)
    assert post(report, pdf_of("a.pdf"), name="b.pdf").status == 409
    assert remove(report, made).status == 204
    attach(report, pdf_of("a.pdf"), name="b.pdf")


def test_a_report_takes_so_many_and_so_much(world, report, duty):
    for i in range(20):
        attach(report, name=f"{i}.pdf")
    answer = post(report, files.pdf())
    assert answer.status == 409 and answer.code == "attachments_full", answer
    page = report.author.get(f"{report.path}/attachments", limit=15).json()
    assert len(page["items"]) == 15 and len(report.author.items(f"{report.path}/attachments", limit=15)) == 20
    large = Report(world, duty, unit="AA-W2")
    for i in range(5):
        attach(large, files.pdf(20 * MB), name=f"{i}.pdf")
    answer = post(large, files.pdf())
    assert answer.status == 409 and answer.code == "attachments_full", answer


def test_of_two_at_once_one_signed_original_is_kept(world, report):
    callers = [Caller(world, report.author.token) for _ in range(3)]
    answers = together(callers, lambda by, i: post(report, files.pdf(300_000), by=by, kind="signed_original"))
    assert sorted(a.status for a in answers) == [201, 409, 409], answers
    assert len(names(report)) == 1


@pytest.mark.parametrize("turn", range(4))
def test_what_comes_while_a_report_is_submitted_is_in_it_or_refused(world, cluster, report, turn):
    report.write()
    callers = [Caller(world, report.author.token) for _ in range(4)]
    data = files.pdf(200_000 * (turn + 1))
    answers = together(callers, lambda by, i: patient(lambda: report.do("submit", by=by) if i == 0 else post(report, data + b"%%%d" % i, name=f"{i}.pdf", by=by)))
    assert answers[0].status == 200 and {a.status for a in answers[1:]} <= {201, 409}, answers
    kept = {a.json()["name"] for a in answers[1:] if a.status == 201}
    assert set(names(report, report.reviewer)) == kept
    assert all(a.code == "wrong_state" for a in answers[1:] if a.status == 409)
    assert cluster.query("SELECT count(*) FROM tiendo.attachment WHERE report_id = %s AND added_in > 1", [report.id]) == [(0,)]


def test_adding_and_removing_are_in_the_journal(cluster, report):
    made = attach(report, name="Tên riêng.pdf")
    assert remove(report, made).status == 204
    rows = cluster.query("SELECT action, before::text, after::text FROM tiendo.journal WHERE resource_id = %s ORDER BY xid, seq", [made["id"]])
    assert [r[0] for r in rows] == ["create", "delete"] and made["sha256"] in rows[0][2] and rows[1][2] is None
    assert "Tên riêng" not in str(rows)


def test_the_serving_role_writes_by_its_functions_alone(world, cluster, report):
    made = attach(report)
    kid = cluster.query("SELECT kid FROM tiendo.signing_key WHERE signs_until IS NULL ORDER BY created_at DESC LIMIT 1")[0][0]
    claims = json.loads(base64.urlsafe_b64decode(report.author.token.split(".")[1] + "=="))
    session = cluster.query("SELECT s.id::text, s.grant_id::text FROM tiendo.session s WHERE s.id::text = ANY (%s)", [[str(v) for v in claims.values()]])[0]
    put = "SELECT attachment_put(%s, %s, 'x')"

    def run(*statements, permission="reports:write", entered=True):
        connection = psycopg2.connect(cluster.dsn("tiendo_service"))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SET LOCAL search_path = tiendo, public")
                if entered:
                    cursor.execute("SELECT enter(%s, %s, %s, %s)", [session[1], session[0], kid, permission])
                for sql, parameters in statements:
                    cursor.execute(sql, parameters)
            return None
        except psycopg2.Error as error:
            return error.pgcode
        finally:
            connection.close()

    another = "0198c5a2-7d1a-7d00-8a01-2b3c4d5e6f99"
    assert run((put, [another, 0]), entered=False) == "TD403"
    assert run((put, [another, 0]), permission="reports:read") == "TD403"
    assert run((put, [made["id"], 7])) == "TD403", "what is there is not added to"
    assert run((put, [another, 0])) == "23503", "chunks are of an attachment, or of nothing"
    for sql in ("DELETE FROM attachment", "UPDATE attachment_chunk SET data = 'x'", "INSERT INTO attachment_chunk VALUES (gen_random_uuid(), 0, 'x')"):
        assert run((sql, None)) == "42501"
    create = "SELECT * FROM attachment_create(%s, %s, 'annex', 'a.pdf', NULL, 'application/pdf', %s, repeat('0', 64), 'x')"
    assert run((put, [another, 0]), (create, [report.id, another, 2])) == "P0001", "as large as it says"
    assert run((put, [another, 1]), (create, [report.id, another, 1])) == "P0001", "and from its beginning"
    assert fetch(report, made).body == pdf_of("Báo cáo.pdf")


# ---- an Idempotency-Key -----------------------------------------------------------------------------------------
def test_a_repeated_upload_is_answered_as_before(cluster, report):
    key = [("Idempotency-Key", fresh("key"))]
    data = files.pdf(700_000)
    first = post(report, data, headers=key)
    assert first.status == 201, first
    before = chunks(cluster)
    again = post(report, data, headers=key)
    assert again.status == 201 and again.json() == first.json() and again.header("Idempotency-Replayed") == "true"
    assert again.etag == first.etag and again.header("Location") == first.header("Location") and chunks(cluster) == before
    for answer in (post(report, data[:-1] + b" ", headers=key), post(report, data, name="other.pdf", headers=key)):
        assert answer.status == 422 and answer.code == "idempotency_key_reused", answer
    report.submit()
    assert post(report, data, headers=key).status == 201


# ---- the way of the bytes -----------------------------------------------------------------------------------------
def early(world, report, token, *headers, **more):
    """The answer to headers alone, of a client that waits for leave to send."""
    http = Http(world.service.host, world.service.port, 10)
    try:
        http.send(raw_head(report, token, "Expect: 100-continue", *headers, **more))
        return http.read("POST", f"{report.path}/attachments")
    finally:
        http.close()


def test_who_waits_for_leave_is_refused_before_sending(world, report):
    assert early(world, report, None, f"Content-Length: {15 * MB}").status == 401
    assert early(world, report, "a.b.c", f"Content-Length: {15 * MB}").code == "invalid_token"
    assert early(world, report, report.author.token, f"Content-Length: {20 * MB + 1}").code == "body_too_large"


def test_a_bad_token_is_told_to_those_who_send_at_once_too(world, report):
    for token in (None, "a.b.c"):
        http = Http(world.service.host, world.service.port, 30)
        http.send(raw_head(report, token, f"Content-Length: {15 * MB}"))
        http.send(b"%" * (15 * MB))
        assert http.read("POST").status == 401
        http.send(raw_head(report, token, f"Content-Length: {15 * MB}"))  # and the connection goes on
        http.close()
    http = Http(world.service.host, world.service.port, 30)
    http.send(raw_head(report, report.author.token, f"Content-Length: {3 << 40}"))
    assert http.read("POST").status == 413


def test_a_body_without_a_length_is_bounded_all_the_same(world, cluster, report):
    def chunked(data, pieces=1):
        http = Http(world.service.host, world.service.port, 30)
        try:
            http.send(raw_head(report, report.author.token, "Transfer-Encoding: chunked"))
            for _ in range(pieces):
                http.send(b"%x\r\n" % len(data) + data + b"\r\n")
            http.send(b"0\r\n\r\n")
            return http.read("POST", f"{report.path}/attachments")
        finally:
            http.close()

    assert chunked(files.pdf(3 * MB)).status == 201
    assert chunked(files.pdf(21 * MB)).code == "body_too_large"
    with pytest.raises(OSError):
        chunked(b"%" * MB, 100)
    assert len(names(report)) == 1


def held(world):
    """File descriptors of files without a name that the service has open."""
    links = pathlib.Path(f"/proc/{world.service.process.pid}/fd").iterdir()
    return sum("(deleted)" in os.readlink(link) for link in links if link.is_symlink())


def test_a_lying_length_leaves_nothing(world, cluster, report):
    data = files.pdf(MB)
    before = chunks(cluster)
    http = Http(world.service.host, world.service.port, 10)
    http.send(raw_head(report, report.author.token, f"Content-Length: {len(data) + 100}") + data)
    assert wait_for(lambda: held(world) == 1)
    http.close()  # hangs up in the middle
    assert wait_for(lambda: held(world) == 0)
    assert names(report) == [] and chunks(cluster) == before
    # Too short a length: the rest is no request.
    http = Http(world.service.host, world.service.port, 10)
    http.send(raw_head(report, report.author.token, f"Content-Length: {len(data) - 100}") + data)
    answer = http.read("POST", f"{report.path}/attachments")
    assert answer.status == 422 and "cut short" in answer.json()["detail"]
    http.close()
    for lie in ("Content-Length: -1", "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nTransfer-Encoding: chunked"):
        http = Http(world.service.host, world.service.port, 5)
        try:
            http.send(raw_head(report, report.author.token, lie) + b"0\r\n\r\n0\r\n\r\n")
            assert http.read("POST").status in (400, 422)
        except OSError:
            pass  # or the connection is closed
        finally:
            http.close()
    assert names(report) == []
    assert wait_for(lambda: held(world) == 0)


def test_a_token_that_expires_on_the_way_keeps_nothing(world, clock, report):
    token = world.login("aa-w1.approver").json()["access_token"]
    data = files.pdf(2 * MB)
    http = Http(world.service.host, world.service.port, 30)
    http.send(raw_head(report, token, f"Content-Length: {len(data)}") + data[:MB])
    assert wait_for(lambda: held(world) == 1)
    clock.move(3600)
    http.send(data[MB:])
    answer = http.read("POST", f"{report.path}/attachments")
    clock.back()
    assert answer.status == 401 and answer.code == "invalid_token", answer
    assert names(report) == []


def test_a_connection_is_good_for_the_next_request(world, report):
    by = report.author
    for size in (100, MB, 3 * MB):
        assert post(report, files.pdf(size)).status == 201 and by.get("/v1/me").status == 200
