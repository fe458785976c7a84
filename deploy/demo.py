#!/usr/bin/env python3
"""Plays four quarters of made-up figures, a campaign and one quarter's reports through the API, then prints where the province stands, from its answers alone.

Standard library only. Running it again changes nothing: the figures are the same, and stand already.
"""
import argparse
import csv
import io
import json
import sys
import time

import story
from campaigning import Campaigning
from client import Caller, Refused, Service, each, segment
from history import History
from load import Credentials
from reporting import Reporting
from table import number, table

STATUS = {
    "achieved": "đạt", "on_track": "đúng tiến độ", "at_risk": "có nguy cơ", "off_track": "chậm tiến độ",
    "missed": "quá hạn, chưa đạt", "deteriorating": "đi xuống", "not_achieved": "chưa đạt",
    "no_data": "chưa có số liệu", "not_assessable": "chưa đánh giá được",
}
# What asks for an explanation first.
GRAVITY = ("missed", "deteriorating", "off_track", "not_achieved", "at_risk", "on_track", "achieved")
FIGURES = ("numerator", "denominator", "done_on")


class Demo:
    def __init__(self, credentials):
        self.credentials = credentials
        self.service = Service(credentials.data["base_url"])
        self.manager = self.person("DN-VPTU", "manager")
        self.administrator = self.person("DN-TU", "administrator")
        connector = credentials.client("DN-TU")
        self.connector = Caller.client(self.service, connector["client_id"], connector["client_secret"])

    def person(self, organization, role):
        for entry in self.credentials.data["accounts"]:
            if entry["organization"] == organization and entry["role"] == role:
                return Caller.person(self.service, entry["username"], entry["password"])
        sys.exit(f"error: no {role} of {organization} in the credentials; run deploy/up without --empty first")

    # ---- who there is

    def gather(self):
        """The committees with the cells below each, as the office sees them."""
        units = {unit["code"]: unit for unit in self.manager.every(
            "/v1/organizations", **{"under": "DN-TU", "kind[in]": ",".join(
                ("directly_subordinate_party_committee", "grassroots_party_organization", "party_cell"))})}
        self.names = {code: unit["name"] for code, unit in units.items()}
        self.committees = {code: story.Committee(code) for code, unit in units.items()
                           if unit["kind"] == "directly_subordinate_party_committee"}
        self.cells = {code: [] for code in self.committees}
        for code, unit in units.items():
            if unit["kind"] == "party_cell":
                self.cells[units[unit["parent"]]["parent"]].append(code)

    def hire(self):
        """A reporter for every committee that enters by itself."""
        known = {item["username"] for item in self.administrator.every("/v1/accounts")}
        wanted = [c.code for c in self.committees.values() if c.way != "connector"]

        def create(code):
            username = f"{code.lower()}.nhaplieu"
            entry = self.credentials.account(username, code, "reporter")
            self.administrator.post("/v1/accounts", {
                "username": username, "password": entry["password"], "display_name": f"Người nhập liệu, {self.names[code]}",
                "grants": [{"organization": code, "role": "reporter"}]})

        each("Tài khoản nhập liệu", [code for code in wanted if f"{code.lower()}.nhaplieu" not in known], create, threads=2)
        self.reporters = {code: self.person(code, "reporter") for code in wanted}

    # ---- what they do

    def figures(self, committee, quarter):
        """(indicator, unit) → value, of all that a committee hands in for a quarter."""
        return {(indicator, unit): story.labelled(value)
                for part in (committee.own(quarter), committee.below(quarter, self.cells[committee.code]))
                for indicator, unit, value in part}

    def play(self, played):
        duties = [(c, quarter) for c in self.committees.values() for quarter in c.plays(played)]
        rows = [{"indicator": indicator, "organization": unit, "period": story.PERIODS[quarter], **value}
                for c, quarter in duties if c.way == "connector" for (indicator, unit), value in self.figures(c, quarter).items()]
        self.connector.post("/v1/values/imports", rows, query={"mode": "atomic"})
        each(f"{story.PERIODS[played]}: phiếu nhập và nhập tay", [d for d in duties if d[0].way != "connector"],
             lambda duty: (self.fill_sheet if duty[0].way == "sheet" else self.by_hand)(*duty))
        self.front(played)
        ways = [c.way for c, _ in duties]
        print(f"  {ways.count('connector')} đảng ủy qua kết nối ({len(rows)} dòng), {ways.count('sheet')} bằng phiếu nhập, "
              f"{ways.count('hand')} nhập tay; {sum(q < played for _, q in duties)} nộp muộn một quý, "
              f"{len(self.committees) - len(duties)} chưa nộp")

    def sheet(self, code, quarter):
        return {"organization": code, "period": story.PERIODS[quarter], "limit": 1000}

    def fill_sheet(self, committee, quarter):
        """Takes the entry sheet as a spreadsheet of a Vietnamese Excel would open it, fills it in, and sends it back."""
        reporter, habits = self.reporters[committee.code], {"delimiter": ";", "decimal": ","}
        text = reporter.call("GET", "/v1/values/sheet", {**self.sheet(committee.code, quarter), **habits},
                             headers={"Accept": "text/csv"}).body.decode("utf-8-sig")
        sheet = csv.DictReader(io.StringIO(text), delimiter=";")
        figures = self.figures(committee, quarter)
        out = io.StringIO()
        writer = csv.DictWriter(out, sheet.fieldnames, delimiter=";", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, **cells(figures.get((row["indicator"], row["organization"]), {}))} for row in sheet)
        reporter.post("/v1/values/imports", out.getvalue(), query={"mode": "atomic", **habits},
                      content_type="text/csv; charset=utf-8")

    def by_hand(self, committee, quarter):
        """Enters figure after figure, its own and those of cells that have no computer."""
        reporter, figures = self.reporters[committee.code], self.figures(committee, quarter)
        for row in reporter.every("/v1/values/sheet", **self.sheet(committee.code, quarter)):
            value = figures.get((row["indicator"], row["organization"]))
            if value:
                put(reporter, row, value)

    def front(self, played):
        """The Front's own milestone, entered by the province's office: nobody else has an account there."""
        indicator, unit = story.FRONT
        for row in self.manager.every("/v1/values/sheet", **self.sheet(unit, played), indicator=indicator):
            if row["organization"] == unit:
                put(self.manager, row, story.labelled({"done_on": "2026-05-20"} if played == 3 else {"done": False}))

    # ---- what comes of it

    def show(self, period):
        answer = self.manager.get("/v1/progress", organization="DN-TU", period=period, by="children")
        print(f"\n{answer['organization']['name']}, {period} ({story.LABEL})\n")
        table(("Mã", "Chỉ tiêu", "Mục tiêu", "Kết quả", "Tử số/mẫu số", "Báo cáo/phải báo cáo", "Trạng thái"),
              [(item["indicator"]["code"], item["indicator"]["name"], aim(item), result(item), fraction(item), coverage(item),
                STATUS[item["status"]]) for item in map(lambda item: figure(item, answer["children"]), answer["items"])],
              right=(2, 3, 4, 5), most=((1, 48),))
        for item in answer["items"]:
            self.best_and_worst(answer, item["indicator"])
        self.why(answer, period)

    def best_and_worst(self, answer, indicator):
        asked = [(child["organization"], item) for child in answer["children"] for item in child["items"]
                 if child["organization"]["kind"] == "directly_subordinate_party_committee"
                 and item["indicator"]["code"] == indicator["code"] and item["coverage"]["expected"]]
        peers = [peer for peer in asked if peer[1]["value"] is not None]
        if not peers:
            return
        peers.sort(key=lambda peer: (-peer[1]["value"], -(peer[1]["coverage"]["rate"] or 0), peer[0]["code"]))
        print(f"\n{indicator['code']}  {indicator['name']}: năm đảng ủy cao nhất và năm đảng ủy thấp nhất"
              f" ({len(asked) - len(peers)} chưa có số liệu)\n")
        rows = []
        for rank, (high, low) in enumerate(zip(peers[:5], peers[:-6:-1]), 1):
            rows.append((str(rank), high[0]["name"], result(high[1]), coverage(high[1]),
                         low[0]["name"], result(low[1]), coverage(low[1])))
        table(("", "Cao nhất", "Kết quả", "Báo cáo", "Thấp nhất", "Kết quả", "Báo cáo"), rows, right=(2, 3, 5, 6),
              most=((1, 34), (4, 34)))

    def why(self, answer, period):
        """The explanation of the figure that is furthest from its target."""
        known = [item for item in answer["items"] if item["achievement"] is not None and item["status"] in GRAVITY]
        if not known:
            return
        worst = min(known, key=lambda item: (GRAVITY.index(item["status"]), item["achievement"]))
        said = self.manager.get("/v1/progress/explain", organization="DN-TU", period=period,
                                indicator=worst["indicator"]["code"], top=5)
        print(f"\nVì sao {worst['indicator']['code']} là {result(worst)}?\n\n{said['sentence']}\n")
        cover = said["coverage"]
        print(f"Có số liệu {cover['reporting']}, chưa có {cover['missing']}, không áp dụng {cover['not_applicable']} đơn vị.")
        if said["pulling_down"]:
            print("\nKéo xuống nhiều nhất:\n")
            table(("Đơn vị", "Kết quả", "Nếu không có", "Tác động"),
                  [(unit["name"], number(unit["value"]), number(unit["without"], 2), number(unit["effect"], 2))
                   for unit in said["pulling_down"][:5]], right=(1, 2, 3))

    def look_back(self):
        """The tree through time, where this installation has a past."""
        if self.credentials.past:
            history = History(self.person("HUE-TU", "manager"), self.person("DN-TU", "manager"))
            history.play()
            history.show()


def cells(value):
    """A value as a sheet's row has it."""
    return {key: json.dumps(what) if isinstance(what, bool) else what for key, what in value.items()}


def put(caller, row, value):
    """One value, created or changed as the sheet's row tells; a value that stands already is left alone."""
    there = row["version"] is not None
    if there and row["state"] == value["state"] and all(row[key] == value.get(key) for key in FIGURES):
        return
    precondition = {"If-Match": f'"{row["version"]}"'} if there else {"If-None-Match": "*"}
    path = "/".join(map(segment, (row["indicator"], row["organization"], row["period"])))
    try:
        caller.call("PUT", f"/v1/values/{path}", body=value, headers=precondition)
    except Refused as refused:
        if refused.code != "locked":  # a report that was sent holds it, corrected perhaps
            raise


def figure(item, children):
    """The item itself; for an indicator that does not add up, the one subordinate's that reports it."""
    if item["aggregation"] == "none" and item["value"] is None:
        return next((other for child in children for other in child["items"]
                     if other["indicator"]["code"] == item["indicator"]["code"] and other["value"] is not None), item)
    return item


def percent(item):
    return "%" if item["indicator"]["unit"] == "percent" else ""


def aim(item):
    target = item["target"]
    if not target:
        return "–"
    if target["comparator"] == "milestone":
        return "hoàn thành"
    sign = {"ge": "≥ ", "le": "≤ ", "rank": "≤ ", "range": ""}[target["comparator"]]
    upper = f" – {number(target['upper'])}" if target["upper"] is not None else ""
    return f"{sign}{number(target['value'])}{upper}{percent(item)}"


def result(item):
    if item["aggregation"] in ("count_done", "none") and item["indicator"]["kind"] == "milestone" and item["value"] is not None:
        expected = item["coverage"]["expected"]
        return f"{number(item['value'])}/{number(expected)}" if expected > 1 else "đạt" if item["value"] else "chưa đạt"
    return number(item["value"]) + (percent(item) if item["value"] is not None else "")


def fraction(item):
    return "" if item["denominator"] is None else f"{number(item['numerator'])}/{number(item['denominator'])}"


def coverage(item):
    cover = item["coverage"]
    return f"{number(cover['reporting'], 0)}/{number(cover['expected'], 0)}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", required=True)
    demo = Demo(Credentials(parser.parse_args().state))
    began = time.monotonic()
    try:
        demo.gather()
        demo.hire()
        for played in range(len(story.PERIODS)):
            demo.play(played)
        demo.show(story.PERIODS[-1])
        demo.look_back()
        Campaigning(demo).play()
        Reporting(demo).play()
    except (Refused, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"\n({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
