"""What the data files say, as the bodies of requests: pure functions, no network."""
import json
from pathlib import Path

import reform
from reform import BEFORE, DATA

PROVINCE = "75"                    # statistics code of Đồng Nai
REFORM = "2025-07-01"              # the day today's wards and communes began
RESIDENTIAL, INSTITUTIONS = 12, 8  # cells below the first and the second grassroots organisation

INSTITUTION_NAMES = (
    "Trường Mầm non", "Trường Tiểu học số 1", "Trường Tiểu học số 2", "Trường Trung học cơ sở",
    "Trạm Y tế", "Trung tâm Phục vụ hành chính công", "Trung tâm Văn hóa - Thể thao", "Hợp tác xã dịch vụ",
)


def read(name):
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def files():
    return [read("programme-dong-nai.json"), read("programme-hue.json")]


class Ward:
    """A ward or commune of the province: its name with a small first letter ("phường Trấn Biên"), today and at its beginning."""

    def __init__(self, row):
        self.code = row["code"]
        self.name, self.first_name = (name[0].lower() + name[1:] for name in (row["name"], reform.first_names()[row["code"]]))

    def unit(self, suffix, parent, kind, naming, **more):
        """A unit below its committee, whose name has the ward's in it: naming(name, what its parts are called)."""
        names = [naming(name, "khu phố" if name.startswith("phường") else "ấp") for name in (self.first_name, self.name)]
        former = {"former": [{"name": names[0], "valid_to": reform.last_day_of_first_names()}]} if names[0] != names[1] else {}
        return {"code": f"DN-{self.code}{suffix}", "parent": f"DN-{self.code}{parent}", "kind": kind, "name": names[1],
                "valid_from": REFORM, **former, **more}


def wards():
    return [Ward(row) for row in reform.of_today().values() if row["parent_code"] == PROVINCE]


def bodies(file, ended=()):
    """The organisations a programme file names, without the root (which bootstrapping makes) and those that a decision ended."""
    for unit in file["organizations"]:
        if unit["parent"] and unit["code"] not in ended:
            body = {key: unit[key] for key in ("code", "parent", "kind", "name", "attached", "valid_to", "note") if key in unit}
            body["valid_from"] = BEFORE
            if "valid_to_note" in unit:
                body["note"] = unit["valid_to_note"]
            yield body


def committee(ward):
    body = ward.unit("", "", "directly_subordinate_party_committee", lambda name, _: f"Đảng ủy {name}", area_code=ward.code)
    return {**body, "parent": "DN-TU"}


def below_committee(ward):
    """A committee's party-building board and grassroots organisations."""
    yield ward.unit("-BXD", "", "party_building_board", lambda name, _: f"Ban Xây dựng Đảng Đảng ủy {name}")
    yield ward.unit("-CS1", "", "grassroots_party_organization", lambda name, homes: f"Đảng bộ các {homes} {name}", made_up=True)
    yield ward.unit("-CS2", "", "grassroots_party_organization", lambda name, _: f"Đảng bộ các đơn vị sự nghiệp {name}", made_up=True)


def cells(ward):
    for n in range(1, RESIDENTIAL + 1):
        yield ward.unit(f"-CB{n:02}", "-CS1", "party_cell", lambda name, homes, n=n: f"Chi bộ {homes} {n} {name}", made_up=True)
    for n, what in enumerate(INSTITUTION_NAMES[:INSTITUTIONS], RESIDENTIAL + 1):
        yield ward.unit(f"-CB{n:02}", "-CS2", "party_cell", lambda name, _, what=what: f"Chi bộ {what} {name}", made_up=True)


def below_committees(file):
    """The units below the committees of a programme file's province, in generations (what they are, their bodies)."""
    if root(file) == "DN-TU":
        units = wards()
        yield "Boards and grassroots organisations", [body for unit in units for body in below_committee(unit)]
        yield "Cells", [body for unit in units for body in cells(unit)]


def of_today_alone(file):
    """The bodies and committees of a province whose past is left out, in generations."""
    yield f"Bodies of {root(file)}", list(bodies(file))
    if root(file) == "DN-TU":
        yield "Committees of wards and communes", [committee(unit) for unit in wards()]


def of_the_past(code):
    """The bodies of a root as they stood before the reorganizations, and who else there was, in generations."""
    before = list(reform.before(code))
    ended = {body["code"] for _, generation in before for body in generation}
    for file in files():
        if root(file) == code:
            yield f"Bodies of {code}", list(bodies(file, ended))
    yield from before


def bootstrapped(code, past):
    """What bootstrapping is told of a root: code, name and kind, its first administrator; where its past is left out, name and
    kind of today, and those of before their last change with their last day, else nothing."""
    names = reform.names_of(code)
    administrator = next(username for username, unit in FIRST_ADMINISTRATORS if unit == code)
    if past or len(names) == 1:
        return code, names[0].name, names[0].kind, administrator, "", "", ""
    return code, names[-1].name, names[-1].kind, administrator, names[-2].name, names[-2].kind, names[-2].last_day


def root(file):
    return next(unit["code"] for unit in file["organizations"] if not unit["parent"])


def programme(file):
    source = file["programme"]
    body = {key: source[key] for key in ("code", "title", "document", "owner", "starts_on", "ends_on", "pillars")
            if source.get(key) is not None}
    if file.get("document"):
        body["document_on"] = file["document"]["date"]
    return {**body, "scope": root(file)}


def indicators(file):
    for source in file["indicators"]:
        body = {key: source[key] for key in ("code", "pillar", "name", "unit", "kind", "direction", "aggregation",
                                             "frequency", "categories", "source_required") if key in source}
        body["programme"] = file["programme"]["code"]
        body["text"] = source.get("text", source["name"])
        if file["programme"]["document"]:
            body["document"] = file["programme"]["document"]
        note = "; ".join(source[key] for key in ("note", "ambiguity") if key in source)
        if note:
            body["note"] = note
        yield body


def began(file):
    return file["programme"]["starts_on"]


def assignments(file, indicator):
    for source in indicator["assignments"]:
        body = {"mode": source["as"]}
        if "unit" in source:
            body["organization"] = source["unit"]
        else:
            body.update(kind=source["kind"], under=root(file))
        if "entered_by" in source:
            body["entered_by"] = source["entered_by"]
        if began(file):
            body["valid_from"] = began(file)
        yield body


def target(file, indicator):
    source = indicator["target"]
    body = {"organization": root(file)}
    for key, name in (("comparator", "comparator"), ("value", "value"), ("stretch", "stretch"), ("maintain", "maintain"),
                      ("starts_on", "starts_on"), ("by", "due_on")):
        if source.get(key) is not None:
            body[name] = source[key]
    if "baseline" in indicator:
        body["baseline"] = indicator["baseline"]
    if "baseline_note" in indicator:
        body["note"] = indicator["baseline_note"]
    return body


def mandates(file):
    for source in file.get("mandates", ()):
        body = {"functions": source["functions"]}
        if "unit" in source:
            body.update(unit=source["unit"], over=source["over"])
        else:
            body.update(unit_kind=source["unit_kind"], over_parent=source["over"] == "parent")
        if source["programme"]:
            body["programme"] = source["programme"]
        if began(file):
            body["valid_from"] = began(file)
        yield body


# What the guidance calls its phases; the file has their codes, objectives and days.
TITLES = {"GD1": "Giai đoạn 1: đến hết quý IV năm 2025", "GD2": "Giai đoạn 2: từ năm 2026 đến hết năm 2027", "GD3": "Giai đoạn 3: năm 2028"}


def campaign(file):
    """The campaign, open from the beginning; None where the file has none. What press and commission make belongs to every phase."""
    source = file.get("campaign")
    if not source:
        return None
    always = source["press_kinds"] + source["commission_kinds"]
    return {**{key: source[key] for key in ("code", "title", "programme", "owner", "scope", "implements", "document") if source.get(key)},
            "status": "active", "topics": [{"code": f"ND{n}", "title": title} for n, title in enumerate(source["topics"], 1)],
            "phases": [{"code": phase["code"], "title": TITLES.get(phase["code"]), "objective": phase["objective"], "starts_on": phase["starts_on"], "ends_on": phase["ends_on"],
                        "kinds": list(dict.fromkeys(phase["activity_kinds"] + always)),
                        "reach_targets": [{key: target[key] for key in ("of", "percent", "indicator")}
                                          for target in source["reach_targets"] if target["phase"] == phase["code"]]}
                       for phase in source["phases"]]}


def products(file):
    """The products that the campaign's paper names, for its owner to make."""
    source = file["campaign"]
    for product in source["named_products"]:
        yield {"campaign": source["code"], "organization": source["owner"], **{key: product[key] for key in ("phase", "kind", "title", "duration_s")
                                                                             if key in product}}


def duties(file):
    """The duties to report, each after those it stands for. The files give no first day: they hold for periods that end since today's
    wards and communes began."""
    for source in file["reporting"]:
        body = {key: source[key] for key in ("code", "title", "to", "acceptance", "cadence", "copies", "copies_outside", "due_on", "sections",
                                             "indicators", "campaign") if source.get(key)}
        who = {"under": root(file), "kinds": source["from_kinds"], "except": source["except"]} if source.get("from_kinds") else {}
        if "from_units" in source:
            who["organizations"] = source["from_units"]
        days, working, _ = source["cut_off"]["deadline"].split(" ", 2)
        body.update({"programme": file["programme"]["code"], "from": who, "cut_off": {"rule": source["cut_off"]["rule"]},
                     "deadline": {"days": int(days), "kind": working}, "valid_from": REFORM})
        if "stands_for" in source:
            body["stands_for"] = [source["stands_for"]]
        if "cadence_note" in source:
            body["note"] = source["cadence_note"]
        yield body


# Accounts beside the first administrators: (username, unit, role, name shown).
def accounts():
    yield "dn-tu.quanly", "DN-TU", "manager", "Quản lý chương trình, Thành ủy Đồng Nai"
    yield "dn-vptu.quanly", "DN-VPTU", "manager", "Quản lý, Văn phòng Thành ủy"
    yield "dn-vptu.quantri", "DN-VPTU", "administrator", "Quản trị, Văn phòng Thành ủy"
    yield "dn-btgdv.quanly", "DN-BTGDV", "manager", "Quản lý, Ban Tuyên giáo và Dân vận"
    yield "dn-btgdv.duyet", "DN-BTGDV", "approver", "Người duyệt, Ban Tuyên giáo và Dân vận"
    yield "dn-ubkt.kiemtra", "DN-UBKT", "inspector", "Kiểm tra viên, Ủy ban Kiểm tra"
    for code, name in ("26041", "phường Trấn Biên"), ("26068", "phường Biên Hoà"):
        yield f"dn-{code}.nhaplieu", f"DN-{code}", "reporter", f"Người nhập liệu, Đảng ủy {name}"
        yield f"dn-{code}.duyet", f"DN-{code}", "approver", f"Người duyệt, Đảng ủy {name}"
        yield f"dn-{code}-cb01.nhaplieu", f"DN-{code}-CB01", "reporter", f"Người nhập liệu, Chi bộ khu phố 1 {name}"
    yield "hue-tu.quanly", "HUE-TU", "manager", "Quản lý chương trình, Thành ủy Huế"


# The province that was joined to another: who entered its units of before. Of a past that is left out there is nobody.
JOINED = "BP-TU"
JOINED_MANAGER = ("bp-tu.quanly", JOINED, "manager", "Quản lý, Tỉnh ủy Bình Phước (đến 30/6/2025)")
FIRST_ADMINISTRATORS = (("dn-tu.quantri", "DN-TU"), ("hue-tu.quantri", "HUE-TU"), ("bp-tu.quantri", JOINED))
CONNECTOR = {"name": "Trục kết nối dữ liệu Thành ủy", "organization": "DN-TU",
             "scopes": ["organizations:read", "programmes:read", "indicators:read", "periods:read", "values:read", "values:write",
                        "progress:read", "duties:read", "reports:read", "campaigns:read", "activities:write"]}
