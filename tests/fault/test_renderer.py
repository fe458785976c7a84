"""The process that lays reports out, by itself: what it may do, what it makes of hostile text, and where it stops."""
import copy
import html
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

pytestmark = pytest.mark.no_world

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "api/document"
PYTHON = "/usr/bin/python3"
ROOMY = ["--seconds", "300"]
NOBODY = 65534

REPORT = {
    "id": "0198c5a2-7d1a-7d00-8a01-2b3c4d5e6f51", "duty_title": "Báo cáo kết quả công tác tuyên truyền quý", "organization": "DN-26041",
    "organization_name": "Đảng ủy phường Trấn Biên", "organization_kind": "directly_subordinate_party_committee",
    "above": {"name": "Thành ủy Đồng Nai", "kind": "city_party_committee"},
    "recipient": {"code": "DN-BTGDV", "name": "Ban Tuyên giáo và Dân vận Thành ủy"}, "copies": [{"code": "DN-VP", "name": "Văn phòng Thành ủy"}],
    "copies_outside": ["Công an thành phố"], "period": "2026-Q1", "period_name": "Quý I năm 2026", "state": "received", "data_from": "2025-12-15",
    "data_to": "2026-03-14", "number": "123-BC/ĐU", "issued_on": "2026-03-16", "view": "submitted", "submission": {"n": 1, "recalled_at": None},
    "submissions": 1, "sections": [{"code": "results", "title": "Kết quả", "text": "Đã tổ chức 12 hội nghị.\nĐã phát 2.500 tờ rơi.", "gathered": []}],
    "figures": []}
RATIO = {"indicator": "A", "name": "Tỷ lệ đảng viên được tuyên truyền", "unit": "%", "kind": "ratio", "category": None, "numerator": 1234,
         "denominator": 1750, "number": None, "percent": 70.514285714285714, "done_on": None, "state": "reported", "note": None, "source": None,
         "consolidated": False, "reported_units": None, "expected_units": None}


def report(**more):
    return {**copy.deepcopy(REPORT), **more}


def text_section(text):
    return [{"code": "results", "title": "Kết quả", "text": text, "gathered": []}]


def render(what, form="pdf", options=ROOMY):
    """Bytes of the document; the process's whole answer where it makes none."""
    return subprocess.run([PYTHON, "-I", "-B", DOCUMENT / "render.py", "--once", form, *options], input=json.dumps(what).encode(),
                          capture_output=True, timeout=400, check=False, cwd="/")


def made(what, form="pdf"):
    done = render(what, form)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode() if form == "html" else done.stdout


def pages(pdf, tmp_path):
    """The text of each page as it lies there."""
    path = tmp_path / "paper.pdf"
    path.write_bytes(pdf)
    text = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True).stdout.decode()
    return text.split("\f")[:-1]


def words(page):
    return " ".join(page.split())


# ---- what it may do -------------------------------------------------------------------------------------------
TRIES = {
    "read a file": "open('/etc/passwd').read()",
    "read its own program": "open(confine.__file__).read()",
    "read its own memory": "os.open('/proc/self/mem', os.O_RDONLY)",
    "list a directory": "os.listdir('/')",
    "look whether a file is there": "os.stat('/etc/passwd')",
    "write a file": "open('/tmp/renderer-was-here', 'w')",
    "remove a file": "os.unlink('/tmp/renderer-was-here')",
    "open a socket": "socket.socket()",
    "open a local socket": "socket.socket(socket.AF_UNIX)",
    "make a pair of sockets": "socket.socketpair()",
    "make another process": "os.fork()",
    "run a program": "os.execv('/bin/true', ['true'])",
    "end another process": "os.kill(os.getpid() - 1, 0)",
    "make code of data": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "write elsewhere": "os.write(2, b'x')",
    "have more time": "signal.setitimer(signal.ITIMER_REAL, 1000)",
    "have more memory": "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    "become another": "os.setuid(0)",
    "open another way": "libc_open()",
}
CONFINED = """
import sys; sys.path.insert(0, {folder!r})
import ctypes, mmap, os, resource, signal, socket
import confine
def libc_open():
    if confine.libc.open(b'/etc/passwd', 0) < 0:
        raise OSError(ctypes.get_errno(), 'open')
confine.drop_root() if {drop} else None
confine.confine({memory}, {seconds})
try:
    {action}
    os.write(1, b'done')
except (OSError, ValueError):
    os.write(1, b'refused')
except MemoryError:
    os.write(1, b'no memory')
os._exit(0)
"""


def confined(action, memory=256 << 20, seconds=60, user=None, drop=False):
    code = CONFINED.format(folder=str(DOCUMENT), action=action, memory=memory, seconds=seconds, drop=drop)
    return subprocess.run([PYTHON, "-I", "-B", "-c", code], capture_output=True, timeout=300, check=False, user=user, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("what", TRIES)
@pytest.mark.parametrize("user", ["as it comes", "without rights"])
def test_a_confined_process_cannot(what, user):
    if user == "without rights" and os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    done = confined(TRIES[what], user=NOBODY if user == "without rights" else None)
    assert done.stdout == b"refused", (what, done)
    assert not pathlib.Path("/tmp/renderer-was-here").exists()


def test_what_is_tried_would_succeed_outside():
    """Else the tests above would prove nothing."""
    code = CONFINED.format(folder=str(DOCUMENT), action="open('/etc/passwd').read(); socket.socket(); os.stat('/'); libc_open()", memory=1 << 28,
                           seconds=60, drop=False).replace("confine.confine(", "(lambda *_: None)(")
    assert subprocess.run([PYTHON, "-I", "-B", "-c", code], capture_output=True, timeout=300, check=False).stdout == b"done"


def test_root_is_given_up():
    if os.geteuid() != 0:
        pytest.skip("not root")
    assert confined("assert os.getuid() == 65534 == os.geteuid()", drop=True).stdout == b"done"


def test_memory_ends():
    assert confined("x = bytearray(300 << 20)").stdout == b"no memory"
    assert confined("x = bytearray(100 << 20)").stdout == b"done"


@pytest.mark.parametrize("action", ["\n    while True: pass", "\n    signal.sigwait([signal.SIGUSR1])\n    while True: __import__('time').sleep(100)"])
def test_time_ends(action):
    began = time.monotonic()
    done = confined(action, seconds=2)
    assert done.returncode < 0 or done.stdout == b"refused", done
    assert time.monotonic() - began < 100


# ---- what it makes --------------------------------------------------------------------------------------------
def test_the_paper_of_a_party_committee(tmp_path):
    page = pages(made(report()), tmp_path)[0]
    flat = words(page)
    for piece in ("ĐẢNG BỘ THÀNH PHỐ ĐỒNG NAI", "ĐẢNG ỦY PHƯỜNG TRẤN BIÊN", "ĐẢNG CỘNG SẢN VIỆT NAM", "Số 123-BC/ĐU", "Trấn Biên, ngày 16 tháng 3 năm 2026",
                  "BÁO CÁO", "kết quả công tác tuyên truyền quý I năm 2026", "-----", "I- KẾT QUẢ", "Đã tổ chức 12 hội nghị.", "Nơi nhận:",
                  "- Ban Tuyên giáo và Dân vận Thành ủy,", "- Văn phòng Thành ủy,", "- Công an thành phố,", "- Lưu Văn phòng Đảng ủy.",
                  "T/M BAN THƯỜNG VỤ", "ngày 15 tháng 12 năm 2025 đến ngày 14 tháng 3 năm 2026"):
        assert piece in flat, (piece, page)
    assert "CỘNG HÒA" not in flat and "DỰ THẢO" not in flat


def test_figures_of_several_periods_say_which(tmp_path):
    def figure(indicator, period, number):
        return {"indicator": indicator, "name": f"Chỉ tiêu {indicator}", "unit": "đơn vị", "kind": "number", "period": period, "number": number, "state": "reported"}
    flat = " ".join(words(page) for page in pages(made(report(figures=[figure("A", f"2026-{p}", n) for p, n in (("Q1", 11), ("Q2", 22), ("M03", 33), ("A1", 44), ("DOT-1", 55))])),
                                                  tmp_path))
    html = made(report(figures=[figure("A", "2026-Q1", 11), figure("A", "2026-Q4", 12), figure("B", "2026-M03", 13), figure("B", "2026-A1", 14), figure("B", "DOT-1", 15)]), "html")
    for told in ("Chỉ tiêu A – quý I năm 2026", "Chỉ tiêu A – quý IV năm 2026", "Chỉ tiêu B – tháng 3 năm 2026", "Chỉ tiêu B – năm 2026", "Chỉ tiêu B – DOT-1"):
        assert told in html, told
    assert "quý II" in flat
    assert "Chỉ tiêu A<" in made(report(figures=[figure("A", "2026-Q1", 11), figure("B", "2026-Q1", 12)]), "html"), "there is but one period"


@pytest.mark.parametrize("kind, name, above, expected, absent", [
    ("advisory_support_agency", "Ban Tuyên giáo và Dân vận Thành ủy", ("Thành ủy Đồng Nai", "city_party_committee"),
     ["THÀNH ỦY ĐỒNG NAI", "BAN TUYÊN GIÁO VÀ DÂN VẬN", "ĐẢNG CỘNG SẢN VIỆT NAM", "TRƯỞNG BAN"], ["ĐẢNG BỘ THÀNH PHỐ"]),
    ("inspection_committee", "Ủy ban Kiểm tra Tỉnh ủy", ("Tỉnh ủy Đồng Nai", "provincial_party_committee"),
     ["TỈNH ỦY ĐỒNG NAI", "ỦY BAN KIỂM TRA", "T/M ỦY BAN KIỂM TRA"], ["BAN THƯỜNG VỤ"]),
    ("party_cell", "Chi bộ khu phố 1", ("Đảng ủy phường Trấn Biên", "directly_subordinate_party_committee"),
     ["ĐẢNG BỘ PHƯỜNG TRẤN BIÊN", "CHI BỘ KHU PHỐ 1", "T/M CHI BỘ", "- Lưu Chi bộ."], []),
    ("provincial_party_committee", "Tỉnh ủy Đồng Nai", None, ["TỈNH ỦY ĐỒNG NAI", "T/M BAN THƯỜNG VỤ", "- Lưu Văn phòng Tỉnh ủy."], ["ĐẢNG BỘ"]),
    ("people_committee", "Ủy ban nhân dân phường Trấn Biên", ("Đảng ủy phường Trấn Biên", "directly_subordinate_party_committee"),
     ["CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc", "Số: ", "TM. ỦY BAN NHÂN DÂN", "- Lưu: VT."],
     ["ĐẢNG CỘNG SẢN VIỆT NAM", "-----"]),
    ("fatherland_front_committee", "Ủy ban Mặt trận Tổ quốc Việt Nam thành phố", ("Thành ủy Đồng Nai", "city_party_committee"),
     ["CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "TM. BAN THƯỜNG TRỰC"], ["ĐẢNG CỘNG SẢN", "THÀNH ỦY ĐỒNG NAI"]),
    ("press_agency", "Báo và phát thanh, truyền hình Đồng Nai", ("Thành ủy Đồng Nai", "city_party_committee"),
     ["CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "TỔNG BIÊN TẬP"], ["ĐẢNG CỘNG SẢN"]),
])
def test_the_form_goes_by_the_issuer(tmp_path, kind, name, above, expected, absent):
    what = report(organization_kind=kind, organization_name=name, above=above and dict(zip(("name", "kind"), above)), copies=[], copies_outside=[],
                  recipient={"code": "X", "name": "Nơi nhận báo cáo"})
    flat = words(pages(made(what), tmp_path)[0])
    for piece in expected:
        assert piece in flat, (piece, flat)
    for piece in absent:
        assert piece not in flat, (piece, flat)


def test_a_draft_and_earlier_submissions_say_so(tmp_path):
    draft = words(pages(made(report(view="draft", submission=None, submissions=0, number=None, issued_on=None)), tmp_path)[0])
    assert "DỰ THẢO" in draft and re.search(r"Số -BC/ĐU", draft) and "Trấn Biên, ngày tháng năm 2026" in draft
    for submission, submissions, state, words_of in (({"n": 1}, 2, "received", "Bản gửi lần 1, trước bản gửi lần 2"), ({"n": 3}, 3, "received", "Bản gửi lần 3"),
                                                     ({"n": 1, "recalled_at": "2026-03-17T00:00:00Z"}, 1, "draft", "đã thu hồi"),
                                                     ({"n": 1}, 1, "amending", "đang được sửa đổi")):
        assert words_of in words(made(report(submission=submission, submissions=submissions, state=state), "html"))
    assert "Báo cáo chưa được gửi." in made(report(view="none", sections=[], submission=None, submissions=0), "html")


def test_figures_are_written_as_in_vietnamese(tmp_path):
    figures = [RATIO, {**RATIO, "name": "Số hội nghị", "unit": "hội nghị", "kind": "number", "percent": None, "numerator": None, "denominator": None,
                       "number": 1234567.5, "note": "Kể cả trực tuyến"},
               {**RATIO, "name": "Trang thông tin", "kind": "milestone", "percent": None, "done_on": "2026-02-03"},
               {**RATIO, "name": "Xếp hạng", "state": "missing", "percent": None}, {**RATIO, "name": "Đặc khu", "state": "not_applicable", "percent": None},
               {**RATIO, "consolidated": True, "reported_units": 11, "expected_units": 1200, "percent": 0.1, "unit": "percent"},
               {**RATIO, "name": "Hạ tầng số", "unit": "milestone", "kind": "milestone", "percent": None, "number": 31, "consolidated": True,
                "reported_units": 85, "expected_units": 95}]
    flat = words(made(report(figures=figures), "html"))
    for piece in ("<td class=\"r\">1.234</td>", "<td class=\"r\">1.750</td>", "70,51%", "1.234.567,5", "Kể cả trực tuyến", "Hoàn thành ngày 03/02/2026",
                  "Chưa có số liệu", "Không áp dụng", "0,1%", "11/1.200 đơn vị có số liệu", "Số liệu tổng hợp từ các đơn vị", "31/95 đơn vị hoàn thành"):
        assert piece in flat, piece
    assert "percent" not in flat and "milestone" not in flat, "the service's words are not the paper's"


def test_a_province_s_bodies_name_the_province_as_their_place():
    for more in ({"organization_name": "Ban Tuyên giáo và Dân vận Thành ủy", "organization_kind": "advisory_support_agency"},
                 {"organization_name": "Tỉnh ủy Đồng Nai", "organization_kind": "provincial_party_committee", "above": None}):
        assert "Đồng Nai, ngày 16 tháng 3 năm 2026" in words(made(report(**more), "html"))


def test_a_long_table_repeats_its_head_and_pages_are_numbered_from_the_second(tmp_path):
    figures = [{**RATIO, "name": f"Chỉ tiêu số {i} về tỷ lệ đảng viên được tuyên truyền"} for i in range(1, 121)]
    found = pages(made(report(figures=figures)), tmp_path)
    assert len(found) > 3
    with_rows = [p for p in found if "Chỉ tiêu số" in p]
    assert len(with_rows) > 2 and all("Mẫu số" in p for p in with_rows)
    assert found[0].split()[0] != "1" and [p.split()[0] for p in found[1:]] == [str(n) for n in range(2, len(found) + 1)]


def test_a_hundred_gathered_sections_name_their_units(tmp_path):
    gathered = [{"report": "x", "organization": f"W{i}", "name": f"Đảng ủy phường thứ {i}", "version": 1 + i % 2, "text": "Đã làm tốt. " * 40} for i in range(1, 101)]
    found = " ".join(words(p) for p in pages(made(report(sections=[{"code": "a", "title": "Kết quả", "text": "Chung.", "gathered": gathered}])), tmp_path))
    assert "1. Đảng ủy phường thứ 1 (bản gửi lần 2):" in found and "100. Đảng ủy phường thứ 100:" in found


def test_an_empty_report_is_a_paper(tmp_path):
    assert "Không có nội dung." in words(pages(made(report(sections=text_section(None))), tmp_path)[0])
    assert "BÁO CÁO" in pages(made({}), tmp_path)[0]


def test_the_same_report_is_the_same_bytes():
    def once():
        return subprocess.run([PYTHON, "-sPB", DOCUMENT / "render.py", "--once", "pdf", *ROOMY], input=json.dumps(report()).encode(), capture_output=True,
                              check=True, env={"PYTHONHASHSEED": "0"}).stdout
    assert once() == once()


# ---- hostile text ---------------------------------------------------------------------------------------------
HOSTILE = ["<img src=file:///etc/passwd>", "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "</style><style>@import url(file:///etc/passwd);",
           "</title><base href=//evil.example>", "{{ 7 * 7 }}{% include '/etc/passwd' %}", "<link rel=attachment href=file:///etc/passwd>",
           "&#x3c;script&#x3e;", "\"'><svg onload=alert(1)>", "}</style>* { display: none }", "<iframe src=file:///etc/passwd></iframe>"]
FIELDS = ["organization_name", "duty_title", "period_name", "number", "title", "text", "gathered name", "gathered text", "figure name", "figure unit",
          "figure note", "recipient", "outside", "above"]


def with_hostile(text):
    what = report(organization_name=text, duty_title=text, period_name=text, number=text, copies_outside=[text], recipient={"code": "x", "name": text},
                  above={"name": text, "kind": text}, figures=[{**RATIO, "name": text, "unit": text, "note": text, "source": text, "category": text}])
    what["sections"] = [{"code": "a", "title": text, "text": text, "gathered": [{"name": text, "organization": text, "version": 2, "text": text}]}]
    return what


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_markup(tmp_path, text):
    page = made(with_hostile(text), "html")
    head, body = page.split("</head>")
    assert text not in page
    assert not re.search(r"<(?!/?(?:body|table|thead|tbody|tr|td|th|p|h1|h2|h3|span|div)[ >])", body.replace("</html>", "")), body[:3000]
    assert head.count("<style>") == 1 and "@import" not in head.split("<style>")[1]
    flat = html.unescape(re.sub(r"<[^>]*>", "", body)).replace("\u200b", "")
    assert flat.count(" ".join(text.split())) >= 8, flat
    found = "".join("".join(p.split()) for p in pages(made(with_hostile(text)), tmp_path))
    assert "root:x:0" not in found and "".join(text.split())[:6] in found


def test_what_cannot_be_seen_is_left_away(tmp_path):
    text = "Trước\x00\x07\x1b[31m\u202eABC\u202c\u2066\ufeff\u200f sau \ufffe và e\u0302\u0323 אבג العربية 中文 😀"
    page = made(with_hostile(text), "html")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\ufeff\u200f\ufffe]", page)
    assert "Trước[31mABC sau và ệ אבג العربية 中文 😀" in page
    assert made(with_hostile(text)).startswith(b"%PDF")


def test_long_words_break(tmp_path):
    found = pages(made(report(sections=text_section("A" * 3000), organization_name="Đ" * 300)), tmp_path)
    assert max(len(line.strip()) for page in found for line in page.split("\n")) < 120
    assert sum(page.count("A") for page in found) >= 3000


@pytest.mark.parametrize("text, piece", [("x" * 5_000_000, "xxx"), ("chữ " * 1_250_000, "chữ"), ("\n" * 5_000_000 + "x\n" * 100_000, "<p>x</p>")],
                         ids=["one word", "words", "lines"])
def test_five_megabytes_are_a_page_of_html_and_too_large_for_paper(text, piece):
    began = time.monotonic()
    done = render(report(sections=text_section(text)))
    assert done.returncode == 1 and done.stdout == b"" and b"large" in done.stderr, done.stderr
    page = made(report(sections=text_section(text)), "html")
    assert page.count(piece) >= 100_000
    assert time.monotonic() - began < 300


def test_what_outgrows_its_memory_or_time_is_ended():
    what = report(sections=text_section("x\n" * 7_500))
    small = render(what, options=["--memory", str(24 << 20), *ROOMY])
    assert small.returncode != 0 and small.stdout == b"" and (b"large" in small.stderr or b"ended" in small.stderr), small
    began = time.monotonic()
    short = render(what, options=["--seconds", "1"])
    assert short.returncode != 0 and short.stdout == b"" and b"ended" in short.stderr, short
    assert time.monotonic() - began < 120


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b'{"sections": 1}', b'{"figures": [{"number": 1e999999}]}', b'{"issued_on": "x"}',
                                  b"[" * 100_000], ids=lambda text: ascii(text[:20]))
def test_what_is_no_report_is_told_as_a_fault(text):
    done = subprocess.run([PYTHON, "-I", "-B", DOCUMENT / "render.py", "--once", "html", *ROOMY], input=text, capture_output=True, timeout=300, check=False)
    assert (done.returncode == 0 and b"<!DOCTYPE html>" in done.stdout) or (done.returncode == 1 and b"fault" in done.stderr), done
