"""The campaign DN-TT-464, its first phase to the end of 2025 and its second since: what the commission sets, what the wards do, what is made and used
again, who is reached and what is commended. Everything is told from the API's answers; running it again changes nothing."""
import time
from datetime import date, timedelta
from pathlib import Path

import story
from client import Refused, each, segment
from table import number, table

CAMPAIGN, TO, PRESS = "DN-TT-464", "DN-BTGDV", "DN-BPTTH"
PATH = f"/v1/campaigns/{CAMPAIGN}"
WARDS = "directly_subordinate_party_committee"
# what the commission asks of every ward: phase, kind, how many, by when
PLAN = (("GD1", "conference", 2, "2025-12-31"), ("GD1", "thematic_meeting", 3, "2025-12-31"), ("GD1", "infographic", 1, "2025-12-31"),
        ("GD2", "training", 2, "2026-06-30"), ("GD2", "cell_meeting", 4, "2026-12-31"), ("GD2", "slogan", 2, "2026-09-30"))
TITLES = {"conference": "Hội nghị quán triệt Kế hoạch 464-KH/TU", "thematic_meeting": "Sinh hoạt chuyên đề về chuyển đổi số", "infographic": "Infographic văn phòng số",
          "training": "Tập huấn kỹ năng số cho cán bộ", "cell_meeting": "Sinh hoạt chi bộ: đưa ứng dụng số vào công việc", "slogan": "Khẩu hiệu tuyên truyền"}
BEGINS = {"GD1": date(2025, 7, 7), "GD2": date(2026, 1, 5)}
# bases nobody published: between, by whom is counted
BASES = {"cadres_and_members": (180, 900), "core_force": (25, 90)}
SOURCE = f"Danh sách của đảng ủy ({story.LABEL})"


def anew():
    """What is done again is done again, and says what it finds."""
    return {"Idempotency-Key": f"demo-{time.time_ns()}"}


class Campaigning:
    def __init__(self, demo):
        self.demo = demo
        self.manager, self.approver = demo.person(TO, "manager"), demo.person(TO, "approver")
        self.today = date.today()
        self.wards = sorted(demo.committees)
        self.names = demo.names

    def play(self):
        print(f"\nChiến dịch {CAMPAIGN}: {self.manager.get(PATH)['title']}\n")
        self.assign()
        self.carry_out()
        each("Số người được tuyên truyền do các đảng ủy công bố", self.wards, self.declare)
        self.make()
        self.recognise()
        for phase in ("GD1", "GD2"):
            self.show(phase)
        self.calendar()

    # ---- what is to be done

    def assign(self):
        """To every ward; and to the press agency, week by week. A trial first: it answers exactly what the order does."""
        made = 0
        orders = [{"phase": phase, "kind": kind, "quantity": quantity, "due_on": due_on, "under": "DN-TU", "kinds": [WARDS]} for phase, kind, quantity, due_on in PLAN]
        orders.append({"phase": "GD1", "kind": "news_section", "quantity": 1, "every": "week", "from": "2025-09-01", "to": "2025-12-28", "organizations": [PRESS]})
        for order in orders:
            order["strategy"] = "skip"
            tried = self.manager.post(f"{PATH}/assignments", {**order, "dry_run": True}, headers=anew())
            if tried["created"]:
                made += self.manager.post(f"{PATH}/assignments", {**order, "dry_run": False}, headers=anew())["created"]
        told = next(item for item in self.manager.every(f"{PATH}/assignments", organization=self.wards[0], phase="GD1"))
        print(f"Giao việc: {len(PLAN)} việc cho mỗi đảng ủy, chuyên mục hằng tuần cho báo; mới giao {made}. "
              f"Ví dụ {told['organization_name']}: {told['kind_name']} {told['quantity']}, hạn {told['due_on']}")

    # ---- what is done

    def activities(self, ward):
        """A ward's own activities, and one meeting of each of its cells that took part."""
        committee = self.demo.committees[ward]
        if committee.absent:
            return
        for phase, kind, quantity, due_on in PLAN:
            for n in range(quantity):
                chance = story.chance("activity", ward, phase, kind, n)
                yield self.activity(ward, f"{phase}-{kind}-{n + 1}", phase, kind, chance, chance.random() < committee.start + 0.35, date.fromisoformat(due_on))
        for cell in self.demo.cells[ward]:
            for phase, kind in (("GD1", "cell_meeting"), ("GD2", "cell_meeting")):
                chance = story.chance("meeting", cell, phase)
                if chance.random() < committee.start + 0.25:
                    yield self.activity(cell, f"{phase}-{kind}", phase, kind, chance, True, date(2025, 12, 20) if phase == "GD1" else date(2026, 11, 30))

    def activity(self, unit, code, phase, kind, chance, went_well, due):
        starts = BEGINS[phase] + timedelta(chance.randrange((due - BEGINS[phase]).days))
        contacts = chance.randint(12, 160)
        row = {"campaign": CAMPAIGN, "phase": phase, "organization": unit, "code": code, "kind": kind, "topic": None, "title": TITLES[kind], "starts_on": starts.isoformat(),
               "ends_on": starts.isoformat(), "planned": 1, "contacts_planned": contacts, "channels": ["work_group"], "note": story.LABEL}
        if starts >= self.today:
            return row
        if went_well:
            return {**row, "status": "done", "done": 1, "done_on": starts.isoformat(), "contacts_reached": round(contacts * chance.uniform(0.7, 1.1))}
        fate = chance.random()
        if fate < 0.2:
            return {**row, "status": "cancelled", "reason": "Trùng lịch đại hội chi bộ"}
        return {**row, "status": "postponed", "reason": "Chờ hướng dẫn của cấp trên"} if fate < 0.5 else row

    def carry_out(self):
        rows = [row for ward in self.wards for row in self.activities(ward)]
        rows += [{"campaign": CAMPAIGN, "phase": "GD1", "organization": PRESS, "code": f"CM-{n + 1:02}", "kind": "news_section", "title": f"Chuyên mục Chuyển đổi số, số {n + 1}",
                  "starts_on": (date(2025, 9, 5) + timedelta(7 * n)).isoformat(), "ends_on": (date(2025, 9, 5) + timedelta(7 * n)).isoformat(), "planned": 1, "status": "done",
                  "done": 1, "done_on": (date(2025, 9, 5) + timedelta(7 * n)).isoformat(), "channels": ["radio_television"], "note": story.LABEL} for n in range(16)]
        done = self.demo.connector.post("/v1/activities/imports", rows, query={"mode": "atomic", "strategy": "upsert"}, headers=anew())
        print(f"Hoạt động: {done['rows']} dòng qua kết nối, mới {done['created']}, sửa {done['updated']}, không đổi {done['unchanged']}")

    def declare(self, ward):
        """The people a ward says it has reached: a distinct figure, out of how many, for itself and all below it."""
        committee = self.demo.committees[ward]
        if committee.absent:
            return
        for phase, gain in (("GD1", 0.3), ("GD2", 0.05)):
            for of, (low, high) in BASES.items():
                base = story.chance("people", of, ward).randint(low, high)
                body = {"covers": "subtree", "base": base, "reached": min(base, round(base * (committee.start + gain))), "base_source": SOURCE,
                        "base_on": "2025-06-30", "counted_on": "2025-12-31" if phase == "GD1" else "2026-06-30", "note": story.LABEL}
                try:
                    self.demo.connector.call("PUT", f"{PATH}/reach/{phase}/{segment(ward)}/{of}", body=body, headers={"If-None-Match": "*"})
                except Refused as refused:
                    if refused.status != 412:  # it stands already
                        raise

    # ---- products and recognition

    def make(self):
        """The commission shows what it made; three wards use it again."""
        products = list(self.manager.every("/v1/products", campaign=CAMPAIGN, organization=TO))
        for product in products:
            if product["state"] == "draft":
                self.manager.call("POST", f"/v1/products/{product['id']}/publish", headers={"If-Match": f'"{product["version"]}"'})
        users = [code for code in self.wards if self.demo.committees[code].way == "hand"][:3]
        gallery = list(self.demo.reporters[users[0]].every("/v1/products", campaign=CAMPAIGN, state="published"))
        for n, ward in enumerate(users):
            product = gallery[n % len(gallery)]
            there = self.demo.reporters[ward].get(f"/v1/products/{product['id']}/reuses")["items"]
            if not any(reuse["organization"] == ward for reuse in there):
                self.demo.reporters[ward].post(f"/v1/products/{product['id']}/reuses", {
                    "organization": ward, "used_on": "2025-10-15", "channels": ["zalo_oa"], "reach": 400 + 90 * n, "note": story.LABEL})
        print(f"\nThư viện sản phẩm, như {self.names[users[0]]} xem\n")
        table(("Loại", "Sản phẩm", "Của", "Sử dụng lại"), [(item["kind"], item["title"], item["organization_name"], number(item["reuses"], 0))
              for item in self.manager.every("/v1/products", campaign=CAMPAIGN, state="published")], right=(3,), most=((1, 60), (2, 40)))

    def recognise(self):
        """A ward proposes its model; the commission confirms it by a decision and shows it to all."""
        ward = max((code for code in self.wards if self.demo.committees[code].way == "hand"), key=lambda code: self.demo.committees[code].start)
        reporter = self.demo.reporters[ward]
        known = list(reporter.every("/v1/recognitions", campaign=CAMPAIGN, organization=ward))
        model = known[0] if known else reporter.post("/v1/recognitions", {
            "campaign": CAMPAIGN, "phase": "GD1", "organization": ward, "kind": "exemplary_model", "title": "Tổ công nghệ số cộng đồng ở từng khu phố", "summary": story.LABEL})
        for action, body in (("confirm", {"decision": {"number": "215-QĐ/BTGDV", "on": "2025-12-20", "by": "Ban Tuyên giáo và Dân vận"}}), ("publish", None)):
            if action in (model := self.approver.get(f"/v1/recognitions/{model['id']}"))["actions"]:
                self.approver.call("POST", f"/v1/recognitions/{model['id']}/{action}", body=body, headers={"If-Match": f'"{model["version"]}"'})
        model = reporter.get(f"/v1/recognitions/{model['id']}")
        print(f"\nMô hình hay: {model['title']} ({model['organization_name']}), quyết định {model['decision']['number']} ngày {model['decision']['on']}")

    # ---- what comes of it

    def show(self, phase):
        print(f"\n{CAMPAIGN}, {phase}: việc giao và kết quả của các đảng ủy ({story.LABEL})\n")
        table(("Việc", "Giao", "Hoàn thành", "%", "Kế hoạch", "Đã làm", "Hoạt động chậm"), [
            (item["kind_name"], *(number(item[key], 0) for key in ("assigned", "fulfilled")), number(item["percent"]),
             *(number(item[key], 0) for key in ("planned", "done", "activities_late")))
            for item in self.manager.every(f"{PATH}/progress", phase=phase, organization="DN-TU", by="kinds")], right=(1, 2, 3, 4, 5, 6), most=((0, 48),))
        covered = {}
        for item in self.manager.every(f"{PATH}/coverage", phase=phase, organization="DN-TU", by="children"):
            covered.setdefault(item["organization"], {})[item["of"]] = item
        wards = [covered[code] for code in self.wards if code in covered]
        wards.sort(key=lambda ward: (-(ward["party_organizations"]["percent"] or 0), ward["party_organizations"]["organization"]))
        print(f"\n{CAMPAIGN}, {phase}: độ phủ của {len(wards)} đảng ủy, năm cao nhất và năm thấp nhất\n")
        table(("", "Đảng ủy", "Tổ chức đảng", "Đảng viên", "Lực lượng nòng cốt"), [
            (str(rank), ward["party_organizations"]["organization_name"], *(share(ward[of]) for of in ("party_organizations", *BASES)))
            for rank, ward in [("", covered["DN-TU"]), *enumerate(wards[:5], 1), *enumerate(wards[-5:], len(wards) - 4)]], right=(2, 3, 4), most=((1, 40),))

    def calendar(self):
        """The calendar of one ward, as a telephone would take it."""
        ward = next(code for code in self.wards if self.demo.committees[code].way == "hand")
        text = self.demo.reporters[ward].call("GET", f"{PATH}/calendar", {"organization": ward}, headers={"Accept": "text/calendar"}).body
        path = Path(self.demo.credentials.path).parent / "papers" / f"{ward}.ics"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
        print(f"\nLịch của {self.names[ward]}: {path} ({text.count(b'BEGIN:VEVENT')} mục)")


def share(item):
    return f"{number(item['reached'], 0)}/{number(item['base'], 0)}" if item["base"] else ""
