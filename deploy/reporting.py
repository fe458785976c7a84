"""One quarter's reports, from the matrix to the paper: who is late is urged, one is extended, the rest received, one returned, corrected and sent
again, and the commission's own report is consolidated from them. Everything is told from the API's answers; running it again changes nothing."""
import hashlib
from datetime import date, timedelta
from pathlib import Path

import story
from client import each, segment
from table import number, table

DUTY, OWN, PERIOD, TO = "DN-BC-QUY", "DN-BC-CAPTREN", "2026-Q1", "DN-BTGDV"
QUARTER = story.PERIODS.index(PERIOD)
KIND = "directly_subordinate_party_committee"
CORRECTED = "DN-06A"
STATES = {"expected": "chưa báo cáo", "draft": "đang soạn", "submitted": "đã gửi", "returned": "trả lại", "received": "đã tiếp nhận", "approved": "đã duyệt",
          "amending": "mở lại", "waived": "được miễn", "withdrawn": "không còn phải nộp"}
URGENCY = "Đề nghị đồng chí hoàn thành và gửi báo cáo quý I."


def key(*what):
    """The same request is sent again under the same key."""
    return hashlib.sha256("/".join(map(str, what)).encode()).hexdigest()[:40]


class Reporting:
    """commission: its approver; administrator: who makes accounts; person(unit, role): who logs in; names: of the committees."""

    def __init__(self, demo):
        self.demo = demo
        self.commission = demo.person(TO, "approver")
        committees = sorted(demo.committees.values(), key=lambda c: (not c.absent, not c.late, c.code))
        self.late, self.extended = [c.code for c in committees[:9]], committees[9].code
        self.senders = sorted(c.code for c in committees[10:])
        self.returned = next(code for code in self.senders if demo.committees[code].way == "hand")

    def play(self):
        self.hire()
        each(f"{PERIOD}: báo cáo quý của các đảng ủy", self.senders, self.send, threads=2)
        self.matrix("Bảng theo dõi báo cáo khi vừa mở")
        self.urge()
        self.extend()
        each("Tiếp nhận báo cáo", [code for code in self.senders if code != self.returned], self.receive, threads=2)
        self.come_back()
        self.matrix("Bảng theo dõi sau khi tiếp nhận")
        self.rates()
        self.consolidate()

    def hire(self):
        """An approver for every committee that sends a report."""
        administrator, credentials = self.demo.administrator, self.demo.credentials
        known = {item["username"] for item in administrator.every("/v1/accounts")}

        def create(code):
            username = f"{code.lower()}.duyet"
            entry = credentials.account(username, code, "approver")
            administrator.post("/v1/accounts", {"username": username, "password": entry["password"],
                                                "display_name": f"Người duyệt, {self.demo.names[code]}", "grants": [{"organization": code, "role": "approver"}]})

        each("Tài khoản người duyệt", [code for code in self.senders if f"{code.lower()}.duyet" not in known], create, threads=2)

    # ---- the committees

    def report(self, caller, code, duty=DUTY):
        """The report's own page."""
        item = next(caller.every("/v1/reports", duty=duty, organization=code, period=PERIOD))
        return caller.get(f"/v1/reports/{item['id']}")

    def act(self, caller, report, action, body=None):
        return caller.call("POST", f"/v1/reports/{report['id']}/{action}", body=body, headers={
            "If-Match": f'"{report["version"]}"', "Idempotency-Key": key(action, report["id"], report["version"])}).json

    def write(self, caller, report, texts, **more):
        body = {"sections": [{"code": code, "text": text} for code, text in texts.items()], **more}
        return caller.call("PATCH", f"/v1/reports/{report['id']}", body=body, content_type="application/merge-patch+json",
                           headers={"If-Match": f'"{report["version"]}"'}).json

    def send(self, code):
        author = self.demo.person(code, "approver")
        report = self.report(author, code)
        if report["state"] not in ("expected", "draft"):
            return
        events = story.chance("events", code).randint(4, 20)
        report = self.write(author, report, {
            "results": f"Đã tổ chức {events} hội nghị, {2 * events} buổi phát thanh tuyên truyền về chuyển đổi số ({story.LABEL}).",
            "difficulties": "Một số chi bộ chưa có máy tính; đường truyền ở địa bàn xa còn yếu.",
            "models": f"Tổ công nghệ số cộng đồng tại {events} khu phố, ấp." if events > 14 else None,
            "next": "Tiếp tục tuyên truyền tới các chi bộ trực thuộc trong quý II."},
            number=f"{story.chance('number', code).randint(20, 180)}-BC/ĐU", issued_on="2026-03-16")
        self.act(author, report, "submit")

    def come_back(self):
        """The commission returns one; the ward finds it among its tasks, corrects it and sends it again; old and new are shown."""
        author, ward = self.demo.person(self.returned, "approver"), self.returned
        report = self.report(self.commission, ward)
        if report["submissions"] == 1 and report["state"] == "submitted":
            report = self.act(self.commission, report, "return", {"reason": "Số liệu chưa khớp với biểu tổng hợp của Ban.", "reasons": [
                {"indicator": CORRECTED, "period": PERIOD, "reason": "Thiếu hai chi bộ mới thành lập."},
                {"section": "difficulties", "reason": "Nêu rõ địa bàn nào còn yếu."}]})
        if report["state"] == "returned":
            self.tasks(author)
            self.correct(author, ward)
        report = self.report(self.commission, ward)
        if report["state"] == "submitted":
            self.act(self.commission, report, "receive")
        self.changes(report)

    def tasks(self, author):
        print(f"\nViệc cần làm của {self.demo.names[self.returned]}\n")
        table(("Việc", "Báo cáo", "Kỳ", "Lý do"), [(task["kind"], task["title"] or "", task["period"] or "", task["reason"] or "")
              for task in author.every("/v1/me/tasks", kind="returned")], most=((1, 48), (3, 60)))

    def correct(self, author, ward):
        path = f"/v1/values/{segment(CORRECTED)}/{segment(ward)}/{PERIOD}"
        value = author.get(path)
        new = {"numerator": min(value["denominator"], value["numerator"] + 2), "denominator": value["denominator"], "source": value["source"],
               "reason": "Bổ sung hai chi bộ mới thành lập"}
        author.call("PUT", path, body=new, headers={"If-Match": f'"{value["version"]}"'})
        report = self.write(author, self.report(author, ward), {"difficulties": "Hai khu phố ven sông đường truyền còn yếu; đã đề nghị doanh nghiệp viễn thông khắc phục."})
        self.act(author, report, "submit")

    def changes(self, report):
        changed = self.commission.get(f"/v1/reports/{report['id']}/changes")
        print(f"\n{report['organization_name']}: lần gửi {changed['from']['n']} → {changed['to']['n']}\n")
        rows = [(figure["indicator"], *(f"{number(figure[side]['numerator'])}/{number(figure[side]['denominator'])}" for side in ("old", "new")))
                for figure in changed["figures"]]
        rows += [(section["title"], section["old"] or "", section["new"] or "") for section in changed["sections"]]
        table(("", "Trước", "Sau"), rows, most=((0, 30), (1, 50), (2, 60)))

    # ---- the commission

    def rows(self):
        return list(self.commission.every("/v1/report-status", duty=DUTY, period=PERIOD, kind=KIND))

    def matrix(self, title):
        counts = {}
        for row in self.rows():
            for cell in row["cells"]:
                said = STATES[cell["state"]] + (", quá hạn" if cell["late"] else "")
                counts[said] = counts.get(said, 0) + 1
        print(f"\n{title} ({DUTY}, {PERIOD}): " + "; ".join(f"{n} {said}" for said, n in sorted(counts.items(), key=lambda x: -x[1])))

    def urge(self):
        sent = self.commission.post("/v1/reminders", {"duty": DUTY, "period": PERIOD, "organizations": self.late, "message": URGENCY},
                                    headers={"Idempotency-Key": key("urge", DUTY, PERIOD)})
        again = self.commission.post("/v1/reminders", {"duty": DUTY, "period": PERIOD, "organizations": self.late, "message": URGENCY},
                                     headers={"Idempotency-Key": key("urge again", DUTY, PERIOD)})
        print(f"Đôn đốc {len(self.late)} đảng ủy chậm: gửi {sent['sent']}; nhắc lại trong ngày: gửi {again['sent']}, đã có {again['already']}")

    def extend(self):
        report = self.report(self.commission, self.extended)
        if not report["extended"]:
            report = self.act(self.commission, report, "extend", {"due_on": (date.today() + timedelta(14)).isoformat(), "reason": "Địa bàn bị ngập, mất điện kéo dài."})
        print(f"Gia hạn cho {report['organization_name']}: {report['first_due_on']} → {report['due_on']}")

    def receive(self, code):
        report = self.report(self.commission, code)
        if report["state"] == "submitted":
            self.act(self.commission, report, "receive")

    def rates(self):
        rate = next(self.commission.every("/v1/report-rates", by="period", duty=DUTY, period=PERIOD))
        print(f"Đầy đủ {number(rate['completeness'])}% ({rate['received']}/{rate['expected']}), đúng hạn {number(rate['timeliness'])}% "
              f"(mọi loại đơn vị phải báo cáo)")

    def consolidate(self):
        """The commission's own report, from those it received, and its paper."""
        report = self.report(self.commission, TO, OWN)
        if report["state"] in ("expected", "draft"):
            made = self.act(self.commission, report, "consolidate", {"duties": [DUTY]})
            print(f"\nTổng hợp từ {made['completeness']['received']}/{made['completeness']['expected']} báo cáo\n")
            table(("Chỉ tiêu", "Tên", "Kết quả", "Đơn vị có số liệu"), [
                (f["indicator"], f["name"], number(f["new"]["percent"] if f["new"]["percent"] is not None else f["new"]["number"]) + ("%" if f["kind"] == "ratio" else ""),
                 f"{f['new']['reported_units']}/{f['new']['expected_units']}") for f in made["figures"]], right=(2, 3), most=((1, 56),))
            report = self.report(self.commission, TO, OWN)
            report = self.write(self.commission, report, {
                "results": f"Quý I năm 2026, {made['completeness']['received']} đơn vị đã báo cáo; công tác tuyên truyền được triển khai đồng bộ ({story.LABEL}).",
                "difficulties": "Còn đơn vị gửi chậm; một số chi bộ chưa có máy tính.", "next": "Đôn đốc các đơn vị chậm; kiểm tra thực tế trong quý II."},
                number="45-BC/BTGDV", issued_on="2026-03-20")
            self.act(self.commission, report, "submit")
        paper = self.commission.call("GET", f"/v1/reports/{report['id']}", headers={"Accept": "application/pdf"}).body
        path = Path(self.demo.credentials.path).parent / "papers" / f"{OWN}-{PERIOD}.pdf"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(paper)
        print(f"\nBáo cáo tổng hợp để in: {path} ({len(paper) // 1024} KB)")
