#!/usr/bin/env python3
"""The reorganizations of 2025 and 2026, as bodies of requests: who there was before, and the decisions in order of date.

Pure functions over deploy/data, no network. Run by itself it checks the data: every unit of before has one fate, every
committee of today a past, and no code stands here that is in no list.
"""
import csv
import json
from collections import namedtuple
from datetime import date, timedelta
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("data")
BEFORE = "2020-01-01"  # older than all that is told here: the lists do not say since when a body stands
DISTRICT_KINDS = {
    "Huyện": ("district_party_committee", "Huyện ủy"), "Thị xã": ("town_party_committee", "Thị ủy"),
    "Quận": ("urban_district_party_committee", "Quận ủy"), "Thành phố": ("city_party_committee", "Thành ủy"),
}
COMMUNE_THEN, COMMUNE_NOW = "grassroots_party_organization", "directly_subordinate_party_committee"
JOINED = {"70": "75"}  # Bình Phước's areas are Đồng Nai's now


@cache
def rows(name):
    with open(DATA / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def told():
    return json.loads((DATA / "reform/decisions.json").read_text(encoding="utf-8"))


def areas(level):
    """The areas of March 2025 of a level, by statistics code."""
    return {row["code"]: row for row in rows("reform/units-before.csv") if row["level"] == level}


def of_today():
    return {row["code"]: row for row in rows("administrative-units.csv")}


def prefix(province):
    return told()["roots"][province]["code"].split("-")[0]


def committee_name(area):
    """Phường Trấn Biên → Đảng ủy phường Trấn Biên."""
    return f"Đảng ủy {area[0].lower()}{area[1:]}"


def district_code(code):
    return f"{prefix(areas('district')[code]['parent_code'])}-{code}"


def unchanged():
    """The communes that no resolution touched: they moved from their district to the province, and are the same unit."""
    olds, news = {}, {}
    for row in rows("reform/lineage.csv"):
        olds.setdefault(row["old_code"], set()).add(row["new_code"])
        news.setdefault(row["new_code"], set()).add(row["old_code"])
    return {new for new, old in news.items() if old == {new} and olds[new] == {new}}


def new_code(code):
    """The code of a committee of today, by the statistics code of its area."""
    return f"{prefix(of_today()[code]['parent_code'])}-{code}"


def old_code(code):
    """The same of a committee of before: with its district's code, since most statistics codes live on."""
    return new_code(code) if code in unchanged() else f"{district_code(areas('commune')[code]['parent_code'])}-{code}"


# ---- who there was ----------------------------------------------------------------------------------------------

def district(code):
    area = areas("district")[code]
    sort = next(sort for sort in DISTRICT_KINDS if area["name"].startswith(sort + " "))
    kind, title = DISTRICT_KINDS[sort]
    return {"code": district_code(code), "parent": told()["roots"][area["parent_code"]]["code"], "kind": kind,
            "name": f"{title} {area['name'][len(sort) + 1:]}", "area_code": code}


def stood_below(area):
    """The unit below which a commune's committee stood before 2025."""
    for told_otherwise in told()["before_2025"]["communes"]:
        if (area["parent_code"] == told_otherwise["district"]
                and told_otherwise.get("from", "") <= area["code"] <= told_otherwise.get("to", "~")):
            return told_otherwise["parent"]
    return district_code(area["parent_code"])


def before(root):
    """The units of a root on the last day of 2024, in generations: (what they are, their bodies)."""
    past = told()["before_2025"]
    districts = [{**district(code), **past["otherwise"].get(district_code(code), {})} for code in areas("district")]
    upper = [unit for unit in past["units"] + districts if unit["parent"] == root and unit["code"] not in past["not_yet"]]
    communes = [{"code": old_code(code), "parent": stood_below(area), "kind": COMMUNE_THEN,
                 "name": committee_name(area["name"]), "area_code": code} for code, area in areas("commune").items()]
    codes = {unit["code"] for unit in upper}
    yield f"District committees of before, {root}", [{**unit, "valid_from": BEFORE} for unit in upper]
    yield f"Commune committees of before, {root}", [{**unit, "valid_from": BEFORE} for unit in communes if unit["parent"] in codes]


# ---- the decisions ----------------------------------------------------------------------------------------------

def establish(body):
    body = dict(body)
    return {"kind": "establish", "unit_kind": body.pop("kind"), **body}


def renewed(resolution):
    """The steps of a resolution on communes: committees of today, what became of those of before, the districts' end."""
    told_here = [row for row in rows("reform/lineage.csv") if row["resolution"] == resolution]
    news = {row["new_code"]: row["new_name"] for row in told_here}
    heirs = {}
    for row in told_here:
        heirs.setdefault(row["old_code"], []).append(row["new_code"])
    same = unchanged()
    root = told()["roots"][of_today()[next(iter(news))]["parent_code"]]["code"]
    for new, name in sorted(news.items()):
        if new in same:
            yield {"kind": "move", "organization": new_code(new), "parent": root}
            yield {"kind": "change_kind", "organization": new_code(new), "unit_kind": COMMUNE_NOW, "name": committee_name(name)}
        else:
            yield establish({"code": new_code(new), "parent": root, "kind": COMMUNE_NOW, "name": committee_name(name), "area_code": new})
    for new in sorted(news.keys() - same):
        yield {"kind": "merge", "organizations": sorted(old_code(old) for old, all_heirs in heirs.items() if all_heirs == [new]),
               "into": new_code(new)}
    for old, into in sorted(heirs.items()):
        if len(into) > 1:
            yield {"kind": "split", "organization": old_code(old), "successors": [new_code(new) for new in sorted(into)]}
    provinces = {areas("district")[areas("commune")[old]["parent_code"]]["parent_code"] for old in heirs}
    for code, area in areas("district").items():
        if area["parent_code"] in provinces:
            yield {"kind": "dissolve", "organization": district_code(code)}


@cache
def first_names():
    """The names of today's areas on their first day, by statistics code."""
    return {row["new_code"]: row["new_name"] for row in rows("reform/lineage.csv")}


def renamed():
    """The committees whose area has another name today than on its first day: communes that became wards."""
    return {code: committee_name(of_today()[code]["name"]) for code, name in sorted(first_names().items())
            if name != of_today()[code]["name"]}


def day_before(day):
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def last_day_of_first_names():
    return next(day_before(source["effective_on"]) for source in told()["decisions"] if {"names": "of_today"} in source["steps"])


Named = namedtuple("Named", "name kind last_day")


def names_of(code):
    """The names and kinds of a root one after the other, each with its last day; today's has none."""
    root = next(root for root in told()["roots"].values() if root["code"] == code)
    names = [Named(root["name"], root["kind"], None)]
    for _, _, body in decisions():
        for done in body["steps"]:
            if done["kind"] == "change_kind" and done["organization"] == code:
                names[-1] = names[-1]._replace(last_day=day_before(body["effective_on"]))
                names.append(Named(done["name"], done["unit_kind"], None))
    return names


def step(source):
    """The steps that one entry of the data stands for."""
    if "lineage" in source:
        yield from renewed(source["lineage"])
    elif "names" in source:
        for code, name in renamed().items():
            yield {"kind": "rename", "organization": new_code(code), "name": name}
    elif "district" in source:
        yield establish(district(source["district"]))
    elif source.get("children") == "by_district":
        yield {**source, "children": [
            {"organization": old_code(code), "into": district_code(area["parent_code"])} for code, area in areas("commune").items()
            if district_code(area["parent_code"]) in source["successors"]]}
    else:
        yield source


def decisions():
    """Every decision, oldest first: (root it is taken in, root it joins to it or None, body of the request)."""
    for source in told()["decisions"]:
        body = {key: source[key] for key in ("decision", "title", "effective_on", "note", "made_up") if key in source}
        yield source["root"], source.get("joins"), {**body, "steps": [done for each in source["steps"] for done in step(each)]}


# ---- what must hold ---------------------------------------------------------------------------------------------

def check():
    """Raises AssertionError where the data contradicts itself or the lists."""
    communes, today = areas("commune"), of_today()
    for row in rows("reform/lineage.csv"):
        assert row["old_name"] == communes[row["old_code"]]["name"], row
        assert row["new_name"].split(" ", 1)[1] == today[row["new_code"]]["short_name"], row
        old, new = areas("district")[communes[row["old_code"]]["parent_code"]]["parent_code"], today[row["new_code"]]["parent_code"]
        assert JOINED.get(old, old) == new, row
    assert {row["old_code"] for row in rows("reform/lineage.csv")} == communes.keys(), "every commune of before has a fate"
    ours = {code for code, row in today.items() if row["parent_code"] in told()["roots"]}
    assert {row["new_code"] for row in rows("reform/lineage.csv")} == ours, "every committee of today has a past"

    alive = {unit["code"] for root in told()["roots"].values() for _, bodies in before(root["code"]) for unit in bodies}
    alive |= {root["code"] for root in told()["roots"].values()}
    days = [body["effective_on"] for _, _, body in decisions()]
    assert days == sorted(days)
    fates = {}
    for _, _, body in decisions():
        for done in body["steps"]:
            apply(done, alive, fates)
    assert all(n == 1 for n in fates.values()), {code: n for code, n in fates.items() if n != 1}
    assert alive >= {new_code(code) for code in ours}
    return alive, fates


def apply(done, alive, fates):
    """One step on the set of units that stand: what it needs must be there, and what it ends ends once."""
    known = [done[key] for key in ("organization", "into", "parent") if key in done]
    missing = {code for code in known + done.get("successors", []) if code not in alive}
    assert done["kind"] in ("rename", "change_kind") or not missing, (done, missing)
    if done["kind"] == "establish":
        assert done["code"] not in alive, done
        alive.add(done["code"])
    ended = {"merge": done.get("organizations"), "split": [done.get("organization")], "dissolve": [done.get("organization")]}
    for code in ended.get(done["kind"], ()):
        alive.remove(code)
        fates[code] = fates.get(code, 0) + 1


if __name__ == "__main__":
    standing, ended_ones = check()
    print(f"{len(ended_ones)} units ended, {len(standing)} stand; every one of before has one fate")
    for _, _, decided in decisions():
        print(decided["effective_on"], decided["decision"], len(decided["steps"]), "steps")
