"""Duties and reports in the world of world.py: from the wards to AA-BTG (or as asked), and a report brought to any state."""
from .crowd import wait_for
from .samples import fresh

SECTIONS = [{"code": "results", "title": "Kết quả triển khai thực hiện", "required": True, "max_length": 2000},
            {"code": "next", "title": "Nhiệm vụ kỳ tới", "required": False, "max_length": 2000}]
PERIOD = "2026-Q1"


def duty(world, code=None, by=None, **more):
    """Defines a duty: quarterly, of every ward below AA-TU, to AA-BTG, with an indicator of its own attached unless others are named."""
    if "indicators" not in more:
        manager = world.at("AA-TU", "manager")
        more["indicators"] = [world.indicator(manager, fresh("CT"), "AA-P", "number")["code"]]
        world.assign(manager, more["indicators"][0], kind="directly_subordinate_party_committee", under="AA-TU")
    body = {"code": code or fresh("BC"), "title": "Báo cáo kết quả công tác quý", "programme": "AA-P",
            "from": {"under": "AA-TU", "kinds": ["directly_subordinate_party_committee"]}, "to": "AA-BTG", "acceptance": "receipt",
            "cadence": "quarter", "cut_off": {"rule": "decree_09_2019"}, "deadline": {"days": 2, "kind": "working"},
            "sections": SECTIONS, "valid_from": "2026-01-01", **more}
    return world.must((by or world.at("AA-TU", "manager")).post("/v1/report-duties", {k: v for k, v in body.items() if v is not None}))


def find(world, duty_code, unit="AA-W1", period=PERIOD):
    """The report's item, as the unit's approver lists it; made by the service itself, so waited for."""
    def look():
        items = world.at(unit, "approver").get("/v1/reports", duty=duty_code, organization=unit, **({"period": period} if period else {})).json()["items"]
        return items[0] if items else None
    return wait_for(look)


class Report:
    """One report, and what its author and its recipient do to it; every step checked."""

    def __init__(self, world, duty_code, unit="AA-W1", period=PERIOD, recipient="AA-BTG"):
        self.world, self.unit, self.period, self.recipient = world, unit, period, recipient
        self.duty = duty_code
        self.indicators = world.must(world.at("AA-TU", "manager").get(f"/v1/report-duties/{duty_code}"), 200)["indicators"]
        self.id = find(world, duty_code, unit, period)["id"]
        self.path = f"/v1/reports/{self.id}"

    @property
    def author(self):
        return self.world.at(self.unit, "approver")

    @property
    def reviewer(self):
        return self.world.at(self.recipient, "approver")

    def read(self, by=None, **query):
        return self.world.must((by or self.author).get(self.path, **query), 200)

    def do(self, action, body=None, by=None, match="*", key=True):
        """The answer of an action, whatever it is."""
        headers = ([("If-Match", match)] if match else []) + ([("Idempotency-Key", fresh("key"))] if key else [])
        if action == "edit":
            return (by or self.author).patch(self.path, body, None, headers[:1] if match else [])
        return (by or self.author).post(f"{self.path}/{action}", body, headers)

    def write(self, text="Đã tổ chức 12 hội nghị.", **more):
        return self.world.must(self.do("edit", {"sections": [{"code": "results", "text": text}], **more}), 200)

    @property
    def value(self):
        return f"/v1/values/{self.indicators[0]}/{self.unit}/{self.period}"

    def enter(self, number=5):
        """Enters the value that the duty asks for, whatever it was before."""
        before = self.author.get(self.value)
        headers = [("If-None-Match", "*")] if before.status == 404 else [("If-Match", before.etag)]
        answer = self.author.put(self.value, {"number": number}, headers)
        assert answer.status in (200, 201), answer
        return answer

    def submit(self, text="Đã tổ chức 12 hội nghị."):
        if self.indicators and self.author.get(self.value).status == 404:
            self.enter()
        self.write(text)
        return self.world.must(self.do("submit"), 200)

    def must(self, action, body=None, by=None):
        return self.world.must(self.do(action, body, by), 200)


REASON = {"reason": "Số liệu chưa khớp"}
# How a report of each state is come by, from expected: steps of (action, body, who).
WAYS = {
    "expected": [],
    "draft": ["write"],
    "submitted": ["submit"],
    "returned": ["submit", ("return", REASON)],
    "received": ["submit", ("receive", None)],
    "approved": ["submit", ("approve", None)],
    "amending": ["submit", ("approve", None), ("amend", REASON)],
    "waived": [("waive", REASON)],
}


def bring(report, state):
    """Brings an expected report to this state."""
    for step in WAYS[state]:
        if isinstance(step, str):
            getattr(report, step)()
        else:
            report.must(*step, by=report.reviewer)
    return report
