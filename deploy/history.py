"""The tree through time, told from the API's answers alone: Huế and a statistics code on several days, a figure on two trees."""
import reform
import story
from client import each, segment
from load import code_of
from table import number, table

HUE_DAYS = ("2024-12-15", "2025-01-15", "2025-06-30", "2025-07-01")
DISTRICTS = sorted({kind for kind, _ in reform.DISTRICT_KINDS.values()})
AREA, AREA_DAYS = "26041", ("2025-06-30", "2025-09-30")
INDICATOR, PERIOD, FIRST_DAY, LAST_DAY = "DN-06A", "2025-Q2", "2025-05-07", "2025-06-30"


class History:
    """hue and province: a manager of each root."""

    def __init__(self, hue, province):
        self.hue, self.province = hue, province
        self.predecessors = sorted(reform.old_code(row["old_code"]) for row in reform.rows("reform/lineage.csv") if row["new_code"] == AREA)

    # ---- figures of the quarter before the wards of today began

    def play(self):
        """The wards of before that the ward of today succeeded report one indicator, entered by the province."""
        path = f"/v1/indicators/{segment(INDICATOR)}/assignments"
        given = {item["organization"] and code_of(item["organization"]) for item in self.province.every(path)}

        def report(unit):
            if unit not in given:
                self.province.post(path, {"organization": unit, "mode": "total", "entered_by": "superior", "valid_from": FIRST_DAY,
                                          "valid_to": LAST_DAY})
            base = story.chance("base", unit).randint(6, 18)
            value = story.labelled({"numerator": round(base * story.chance("level", unit).uniform(0.2, 0.9)), "denominator": base})
            self.province.call("PUT", f"/v1/values/{segment(INDICATOR)}/{segment(unit)}/{PERIOD}", body=value,
                               headers={"If-None-Match": "*"}, accept=(201, 412))  # 412: it stands already

        each(f"{PERIOD}: các phường trước sắp xếp", self.predecessors, report, threads=1)

    # ---- what the service says of it all

    def show(self):
        print("\nCây tổ chức qua thời gian\n")
        table(("Ngày", "Cấp ủy", "Cấp huyện", "Trong đó", "Đảng ủy xã, phường", "Trực thuộc"),
              [self.hue_on(day) for day in HUE_DAYS], right=(2, 4, 5), most=((3, 46),))
        print(f"\nMã thống kê {AREA} chỉ đơn vị nào?\n")
        table(("Ngày", "Mã", "Đơn vị", "Thuộc"), [self.area_on(day) for day in AREA_DAYS])
        self.two_trees()

    def hue_on(self, day):
        units = list(self.hue.every("/v1/organizations", under="HUE-TU", as_of=day))
        root = next(unit for unit in units if unit["code"] == "HUE-TU")
        districts = [unit for unit in units if unit["kind"] in DISTRICTS and unit is not root]
        communes = [unit for unit in units if unit["kind"] in (reform.COMMUNE_THEN, reform.COMMUNE_NOW)]
        named = [unit["name"] for unit in districts if unit["kind"] in ("city_party_committee", "urban_district_party_committee")]
        return (day, root["name"], str(len(districts)), ", ".join(named) or "–", str(len(communes)),
                str(sum(unit["parent"] == "HUE-TU" for unit in communes)))

    def area_on(self, day):
        unit = self.province.get(f"/v1/identifiers/statistics/{AREA}", as_of=day)
        return day, unit["code"], unit["name"], unit["parent"]["name"]

    def two_trees(self):
        then = [self.figure(unit, "reported") for unit in (*self.predecessors, reform.district_code("731"))]
        now = self.figure(reform.new_code(AREA), "current")
        print(f"\n{INDICATOR}, {PERIOD} ({story.LABEL}): cùng một số liệu trên hai cây\n")
        table(("Cây", "Đơn vị", "Tử số/mẫu số", "Kết quả"),
              [("khi báo cáo", *row) for row in then] + [("hôm nay", *now)], right=(2, 3))

    def figure(self, unit, tree):
        answer = self.province.get("/v1/progress", organization=unit, period=PERIOD, indicator=INDICATOR, tree=tree)
        item = answer["items"][0]
        return (answer["organization"]["name"], f"{number(item['numerator'])}/{number(item['denominator'])}",
                f"{number(item['value'])}%")

