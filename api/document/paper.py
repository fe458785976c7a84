"""What stands on a paper: a report as the service answers it, put in the words and forms of Vietnamese papers.

Party bodies write by the Party's own rules (36-HD/VPTW of 2018), all others by the State's (Decree 30/2020/NĐ-CP, which trade unions and the Front
follow for their papers): the form goes by the kind of the unit that issues the paper."""

import re
import unicodedata
from decimal import Decimal, InvalidOperation

BLANK_DATE = "ngày        tháng        năm"
NOTHING = "Không có nội dung."
WORD_MAX = 40  # longer words are given places to break
PARAGRAPH_MAX = 4000  # longer paragraphs are laid out in parts
PARAGRAPH_COST = 120  # what a paragraph costs beside its letters

STATE_KINDS = {"people_committee", "department", "one_stop_centre", "fatherland_front_committee", "socio_political_organization", "press_agency"}
COMMITTEES = {"provincial_party_committee", "city_party_committee", "district_party_committee", "town_party_committee",
              "urban_district_party_committee", "directly_subordinate_party_committee", "grassroots_party_organization"}
# The mark of the issuer in a number, where it goes by the kind alone.
MARKS = {"provincial_party_committee": "TU", "city_party_committee": "TU", "district_party_committee": "HU", "town_party_committee": "TU",
         "urban_district_party_committee": "QU", "directly_subordinate_party_committee": "ĐU", "grassroots_party_organization": "ĐU",
         "grassroots_party_cell": "CB", "party_cell": "CB", "inspection_committee": "UBKT", "party_building_board": "BXDĐ",
         "steering_committee": "BCĐ", "party_group": "ĐĐ", "party_affairs_board": "BCSĐ", "people_committee": "UBND",
         "fatherland_front_committee": "MTTQ"}
SIGNING = {"inspection_committee": ["T/M ỦY BAN KIỂM TRA"], "party_cell": ["T/M CHI BỘ"], "grassroots_party_cell": ["T/M CHI BỘ"],
           "steering_committee": ["T/M BAN CHỈ ĐẠO"], "party_group": ["T/M ĐẢNG ĐOÀN"], "party_affairs_board": ["T/M BAN CÁN SỰ ĐẢNG"],
           "people_committee": ["TM. ỦY BAN NHÂN DÂN"], "fatherland_front_committee": ["TM. BAN THƯỜNG TRỰC"],
           "socio_political_organization": ["TM. BAN THƯỜNG VỤ"], "department": ["GIÁM ĐỐC"], "one_stop_centre": ["GIÁM ĐỐC"],
           "press_agency": ["TỔNG BIÊN TẬP"], "party_building_board": ["TRƯỞNG BAN"], "standing_members": ["T/M BAN THƯỜNG VỤ"]}
# The committee in whose name its Party organisation stands above others.
ABOVE = [("Thành ủy ", "Đảng bộ thành phố "), ("Tỉnh ủy ", "Đảng bộ tỉnh "), ("Huyện ủy ", "Đảng bộ huyện "), ("Thị ủy ", "Đảng bộ thị xã "),
         ("Quận ủy ", "Đảng bộ quận "), ("Đảng ủy ", "Đảng bộ ")]
# Words of the service for units of measure, as a paper says them.
UNITS = {"percent": "%", "milestone": ""}
PROVINCIAL = ("provincial_party_committee", "city_party_committee")
PLACE = re.compile(r"\b(?:phường|xã|thị trấn|đặc khu) (.+)$", re.I)
KEPT_FORMAT = {"\u200c", "\u200d"}  # joiners that some scripts write with
SPACES = re.compile(r"[^\S\n\u00a0]+")


class TooLarge(Exception):
    """More than can be laid out within the limits."""


def clean(text):
    """Text without what cannot be seen: controls, marks of direction, halves of characters."""
    text = unicodedata.normalize("NFC", str(text).replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n"))
    kept = []
    for c in text:
        if c == "\n" or c == "\t" or c in KEPT_FORMAT:
            kept.append(c)
        elif unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn", "Co"):
            kept.append(c)
    return "".join(kept)


def breakable(word):
    return word.group(0) if len(word.group(0)) <= WORD_MAX else "\u200b".join(
        word.group(0)[i:i + WORD_MAX // 2] for i in range(0, len(word.group(0)), WORD_MAX // 2))


LONG = re.compile(r"\S{%d,}" % (WORD_MAX + 1))


def line(text):
    """One line of text, as every name is."""
    return LONG.sub(breakable, " ".join(clean(text or "").split()))


def upper_first(text):
    return text[:1].upper() + text[1:]


def lower_first(text):
    """«Kết quả …» inside a sentence; abbreviations stay."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def paragraphs(text):
    found = []
    for part in clean(text or "").split("\n"):
        part = LONG.sub(breakable, SPACES.sub(" ", part).strip())
        on = False
        while part:
            cut = len(part) if len(part) <= PARAGRAPH_MAX else part.rfind(" ", PARAGRAPH_MAX // 2, PARAGRAPH_MAX)
            cut = PARAGRAPH_MAX if cut <= 0 else cut
            found.append({"text": part[:cut], "on": on})
            part, on = part[cut:].lstrip(), True
    return found


def figure_text(value, decimals=None):
    """A number as it is written in Vietnamese: 1.234,5."""
    if value is None:
        return ""
    try:
        number = Decimal(str(value))
        if not number.is_finite() or abs(number.adjusted()) > 40:
            return line(value)
        if decimals is not None:
            number = round(number, decimals)
    except InvalidOperation:
        return line(value)
    text = f"{number:f}"
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, part = text.partition(".")
    part = part.rstrip("0")
    whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", ".", whole)
    if whole == "0" and not part:
        sign = ""
    return sign + whole + ("," + part if part else "")


def date_parts(date):
    year, month, day = str(date)[:10].split("-")
    return int(day), int(month), int(year)


def long_date(date):
    """ngày 05 tháng 02 năm 2026: days below ten and the months one and two take a nought before them."""
    day, month, year = date_parts(date)
    return f"ngày {day:02d} tháng {month:02d} năm {year}" if month <= 2 else f"ngày {day:02d} tháng {month} năm {year}"


def short_date(date):
    return "{:02d}/{:02d}/{:d}".format(*date_parts(date))


def roman(n):
    text = ""
    for value, letters in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"),
                           (5, "V"), (4, "IV"), (1, "I")):
        text += letters * (n // value)
        n %= value
    return text


def above_line(report, kind):
    """The line over the issuer's: none over a province's committee, the Party organisation over a committee, the committee over its agencies."""
    above = report.get("above") or {}
    name = line(above.get("name"))
    if not name or kind in ("provincial_party_committee", "city_party_committee"):
        return ""
    if kind in STATE_KINDS:
        return name if above.get("kind") in STATE_KINDS else ""
    if kind in COMMITTEES or kind in ("grassroots_party_cell", "party_cell"):
        for before, after in ABOVE:
            if name.startswith(before):
                return after + name[len(before):]
    return name


def issuer_line(report, kind):
    """The unit's name, less what the line above says already: «Ban … Thành ủy Đồng Nai» under «Thành ủy Đồng Nai»."""
    name, above = line(report.get("organization_name")), line((report.get("above") or {}).get("name"))
    if kind not in COMMITTEES and kind not in STATE_KINDS:
        for tail in (above, above.rsplit(" ", 2)[0] if above else ""):
            if tail and len(name) > len(tail) + 1 and name.lower().endswith(" " + tail.lower()):
                return name[:-len(tail) - 1].rstrip(" ,-")
        short = above.split(" ủy ")[0] + " ủy" if " ủy " in above else ""
        if short and name.lower().endswith(" " + short.lower()):
            return name[:-len(short) - 1].rstrip(" ,-")
    return name


def place(report, kind):
    """Where a paper is issued: for a ward's or commune's bodies its name, for a province's or city's that one's. Elsewhere it is not known."""
    name, above = line(report.get("organization_name")), report.get("above") or {}
    found = PLACE.search(name)
    if found and kind != "department":
        return found[1]
    for of, text in ((kind, name), (above.get("kind"), line(above.get("name")))):
        if of in PROVINCIAL:
            return next((text[len(word):] for word in ("Tỉnh ủy ", "Thành ủy ") if text.startswith(word)), "")
    return ""


def signature(report, kind):
    if kind in SIGNING:
        return SIGNING[kind]
    name = line(report.get("organization_name"))
    if kind in COMMITTEES:
        return ["T/M BAN THƯỜNG VỤ"] if kind != "grassroots_party_organization" else ["T/M ĐẢNG ỦY"]
    if kind == "standing_committee":
        return ["T/M BAN THƯỜNG VỤ"]
    first = name.split(" ")[0].lower() if name else ""
    return {"ban": ["TRƯỞNG BAN"], "văn": ["CHÁNH VĂN PHÒNG"], "trường": ["HIỆU TRƯỞNG"], "trung": ["GIÁM ĐỐC"],
            "ủy": [f"T/M {name.upper()}"]}.get(first, ["THỦ TRƯỞNG CƠ QUAN"])


def kept_by(kind):
    if kind in ("grassroots_party_cell", "party_cell"):
        return "Lưu Chi bộ."
    if kind in STATE_KINDS:
        return "Lưu: VT."
    if kind in ("provincial_party_committee", "city_party_committee"):
        return "Lưu Văn phòng Tỉnh ủy." if kind.startswith("prov") else "Lưu Văn phòng Thành ủy."
    return "Lưu Văn phòng Đảng ủy." if kind in COMMITTEES else "Lưu Văn phòng."


def recipients(report, kind):
    names = [report.get("recipient")] + list(report.get("copies") or [])
    found = []
    for name in [line(n.get("name")) for n in names if n] + [line(n) for n in report.get("copies_outside") or []]:
        if name and name not in found:
            found.append(name)
    return [name + "," for name in found] + [kept_by(kind)] if kind not in STATE_KINDS else [name + ";" for name in found] + [kept_by(kind)]


def abstract(report):
    """What the paper is about: the duty's title without the word for report, and its period."""
    title, period = line(report.get("duty_title")), line(report.get("period_name"))
    if title.lower().startswith("báo cáo "):
        title = title[len("báo cáo "):]
    if period and period.lower() not in title.lower():
        head, _, last = title.rpartition(" ")
        if head and last.lower() == period.split(" ")[0].lower():  # «… quý» and «Quý I năm 2026»
            title = f"{head} {lower_first(period)}"
        else:
            title = f"{title}, {lower_first(period)}" if title else period
    return lower_first(title)


def number(report, kind, party):
    """«123-BC/ĐU» as entered; before that, room for it. A number alone takes the marks with it."""
    given = line(report.get("number"))
    if given:
        return given
    mark = MARKS.get(kind, "")
    return f"      -BC/{mark}" if party else f"      /BC-{mark}"


def version_line(report):
    submission, last = report.get("submission") or {}, report.get("submissions") or 0
    n = submission.get("n")
    if report.get("view") == "draft":
        return f"(Bản sửa đổi, bổ sung; đã gửi {last} lần)" if last else ""
    if not n or report.get("view") != "submitted":
        return ""
    if submission.get("recalled_at"):
        return f"(Bản gửi lần {n}, đã thu hồi)"
    if n < last:
        return f"(Bản gửi lần {n}, trước bản gửi lần {last})"
    if report.get("state") == "amending":
        return f"(Bản gửi lần {n}, đang được sửa đổi, bổ sung)"
    return f"(Bản gửi lần {n})" if n > 1 else ""


def opening(report):
    start, end = report.get("data_from"), report.get("data_to")
    if start and end:
        return f"Số liệu tính từ {long_date(start)} đến {long_date(end)}."
    return f"Số liệu tính đến {long_date(end)}." if end else ""


PERIODS = ((r"([0-9]{4})-Q([1-4])", lambda y, n: f"quý {roman(int(n))} năm {y}"), (r"([0-9]{4})-M?([0-9]{2})", lambda y, n: f"tháng {int(n)} năm {y}"),
           (r"([0-9]{4})-[HS]([12])", lambda y, n: f"6 tháng {'đầu' if n == '1' else 'cuối'} năm {y}"), (r"([0-9]{4})(?:-A1|-Y)?", lambda y: f"năm {y}"))


def period_words(code):
    """«2026-Q1» as papers say it; a code of another shape as it is."""
    for shape, words in PERIODS:
        found = re.fullmatch(shape, code)
        if found:
            return words(*found.groups())
    return code


def figure(f, told=False):
    """A row of the table; TOLD: with the period that it is of."""
    state, kind = f.get("state"), f.get("kind")
    row = {"name": line(f.get("name")), "unit": UNITS.get(f.get("unit"), line(f.get("unit"))), "numerator": figure_text(f.get("numerator")),
           "denominator": figure_text(f.get("denominator")), "result": "", "note": line(f.get("note"))}
    if f.get("category"):
        row["name"] += f" ({line(f['category'])})"
    if told and f.get("period"):
        row["name"] += f" – {period_words(line(f['period']))}"
    if state == "not_applicable":
        row["result"] = "Không áp dụng"
    elif state == "missing":
        row["result"] = "Chưa có số liệu"
    elif kind == "milestone" and f.get("consolidated") and f.get("number") is not None:
        row["result"] = f"{figure_text(f['number'])}/{figure_text(f.get('expected_units') or 0)} đơn vị hoàn thành"
    elif kind == "milestone":
        row["result"] = f"Hoàn thành ngày {short_date(f['done_on'])}" if f.get("done_on") else "Chưa hoàn thành"
    elif f.get("number") is not None:
        row["result"] = figure_text(f["number"])
    elif f.get("percent") is not None:
        row["result"] = figure_text(f["percent"], 2) + "%"
    notes = [row["note"]]
    if f.get("expected_units") is not None:
        notes.append(f"{figure_text(f.get('reported_units') or 0)}/{figure_text(f['expected_units'])} đơn vị có số liệu")
    if f.get("source"):
        notes.append("Nguồn: " + line(f["source"]))
    row["note"] = "; ".join(n for n in notes if n)
    return row


def tables(report, first):
    figures = report.get("figures") or []
    own, total = [f for f in figures if not f.get("consolidated")], [f for f in figures if f.get("consolidated")]
    found = []
    for rows, title in ((own, "Số liệu"), (total, "Số liệu tổng hợp từ các đơn vị")):
        if rows:
            # an indicator that stands for one period is the report's own
            periods = {}
            for f in rows:
                periods.setdefault(f.get("indicator"), set()).add(f.get("period"))
            told = any(len(of) > 1 for of in periods.values())
            found.append({"number": roman(first + len(found)), "title": title, "rows": [figure(f, told) for f in rows]})
    return found


def sections(report):
    draft = report.get("view") == "draft"
    return [{"number": roman(i), "title": line(s.get("title")), "text": paragraphs(s.get("text")),
             "gathered": [{"name": line(g.get("name") or g.get("organization")), "version": g.get("version"), "text": paragraphs(g.get("text"))}
                          for g in s.get("gathered") or []],
             "absent": "(Chưa có nội dung.)" if draft else NOTHING}
            for i, s in enumerate(report.get("sections") or [], 1)]


REVIEWED = {"interim": "sơ kết", "final": "tổng kết"}
REACHED = {"cadres_and_members": "Cán bộ, đảng viên được tuyên truyền", "core_force": "Lực lượng nòng cốt được tuyên truyền"}


def share(part, whole, percent, target):
    """«540/600 (90%; chỉ tiêu 95%)»."""
    told = [f"{figure_text(percent, 2)}%"] if percent is not None else []
    told += [f"chỉ tiêu {figure_text(target, 2)}%"] if target is not None else []
    return f"{figure_text(part)}/{figure_text(whole)}" + (f" ({'; '.join(told)})" if told else "")


def campaign(report, n):
    """How the campaign that the report is about stands: its coverage in sentences, what was done kind by kind in a table."""
    told = report.get("campaign")
    if not told:
        return None
    s = told["standing"]
    units, acts = s["units"], s["activities"]
    lines = [f"{upper_first(re.sub('(?i)^giai đoạn ', 'giai đoạn ', line(told.get('phase_title') or 'giai đoạn ' + told['phase'])))}; "
             f"số liệu đến ngày {short_date(told['as_of'])}.",
             f"Đơn vị đã tổ chức tuyên truyền: {share(units['reached'], units['expected'], units['percent'], units['target'])}."]
    for p in s["people"]:
        lines.append(f"{REACHED[p['of']]}: " + ("chưa có số liệu." if p["reached"] is None else share(p["reached"], p["base"], p["percent"], p["target"])
                     + (f"; {figure_text(p['declared'])}/{figure_text(p['expected'])} đơn vị có số liệu" if "declared" in p else "") + "."))
    lines.append(f"Hoạt động đã hoàn thành: {figure_text(acts['done'])}; đang thực hiện: {figure_text(acts['under_way'])}; chưa thực hiện: "
                 f"{figure_text(acts['planned'])}; hoãn: {figure_text(acts['postponed'])}; hủy: {figure_text(acts['cancelled'])}; quá hạn: {figure_text(s['late'])}.")
    lines.append(f"Lượt người tiếp cận: {figure_text(s['contacts']['reached'])}. Sản phẩm đã phát hành: {figure_text(s['products'])}; lượt sử dụng lại: "
                 f"{figure_text(s['reuses'])}; mô hình, tập thể được ghi nhận: {figure_text(s['recognitions'])}.")
    held = [f"{REVIEWED[w['kind']]} ngày {short_date(w['reviewed_on'])}" for w in told.get("reviews") or []]
    if held:
        lines.append("Đơn vị đã " + "; ".join(held) + ".")
    rows = [{"name": line(k["name"]), "assigned": figure_text(k["assigned"]), "due": figure_text(k["due"]), "planned": figure_text(k["planned"]),
             "done": figure_text(k["done"]), "fulfilled": figure_text(k.get("fulfilled")), "percent": "" if k["percent"] is None else figure_text(k["percent"], 2) + "%"} for k in s["by_kind"]]
    return {"number": roman(n), "title": f"Kết quả thực hiện «{line(told['title'])}»", "lines": lines, "rows": rows}


def cost(paper):
    """What laying it out takes, in letters."""
    texts = [t for s in paper["sections"] for t in [s["text"], *(g["text"] for g in s["gathered"])]]
    rows = sum(len(t["rows"]) for t in paper["tables"]) + len((paper["campaign"] or {"rows": []})["rows"])
    return sum(len(p["text"]) + PARAGRAPH_COST for text in texts for p in text) + 300 * rows + sum(
        len(cell) for t in paper["tables"] for row in t["rows"] for cell in row.values())


def paper_of(report):
    """All that the template needs."""
    kind = report.get("organization_kind") or ""
    party = kind not in STATE_KINDS
    draft = report.get("view") == "draft"
    parts = sections(report)
    led = campaign(report, len(parts) + 1)
    where = place(report, kind)
    day = long_date(report["issued_on"]) if report.get("issued_on") else BLANK_DATE
    if not report.get("issued_on") and report.get("data_to"):
        day += " " + str(report["data_to"])[:4]
    return {
        "form": "party" if party else "state", "name": f"Báo cáo {abstract(report)}", "above": above_line(report, kind),
        "issuer": issuer_line(report, kind), "number_word": "Số" if party else "Số:", "number": number(report, kind, party), "draft": draft,
        "place_and_date": f"{where}, {day}" if where else upper_first(day) if not party else day,
        "abstract": abstract(report), "version": version_line(report), "opening": opening(report), "sections": parts,
        "campaign": led, "tables": tables(report, len(parts) + 1 + bool(led)), "recipients": recipients(report, kind), "signature": signature(report, kind),
        "nothing": "Báo cáo chưa được gửi." if report.get("view") == "none" else "",
    }
