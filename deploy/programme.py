"""What the data files say, as the bodies of requests: pure functions, no network."""
import csv
import json
from datetime import date, timedelta
from pathlib import Path

DATA = Path(__file__).with_name("data")
PROVINCE = "75"                    # statistics code of Đồng Nai
REFORM = "2025-07-01"              # the day today's wards and communes began
BEFORE = "2020-01-01"              # older than both programmes: the sources do not say since when a body stands
RESIDENTIAL, INSTITUTIONS = 12, 8  # cells below the first and the second grassroots organisation

INSTITUTION_NAMES = (
    "Trường Mầm non", "Trường Tiểu học số 1", "Trường Tiểu học số 2", "Trường Trung học cơ sở",
    "Trạm Y tế", "Trung tâm Phục vụ hành chính công", "Trung tâm Văn hóa - Thể thao", "Hợp tác xã dịch vụ",
)


def read(name):
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def files():
    return [read("programme-dong-nai.json"), read("programme-hue.json")]


def wards():
    """The wards and communes of the province: code, kind, name with a small first letter ("phường Trấn Biên")."""
    with open(DATA / "administrative-units.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["parent_code"] == PROVINCE:
                yield row["code"], row["kind"], row["name"][0].lower() + row["name"][1:]


def bodies(file):
    """The organisations a programme file names, without the root (which bootstrapping makes)."""
    for unit in file["organizations"]:
        if unit["parent"]:
            body = {key: unit[key] for key in ("code", "parent", "kind", "name", "attached", "valid_to", "note") if key in unit}
            body["valid_from"] = BEFORE
            if "valid_to_note" in unit:
                body["note"] = unit["valid_to_note"]
            yield body


def committee(code, name):
    return {"code": f"DN-{code}", "parent": "DN-TU", "kind": "directly_subordinate_party_committee",
            "name": f"Đảng ủy {name}", "valid_from": REFORM, "area_code": code}


def below_committee(code, kind, name):
    """A committee's party-building board and grassroots organisations."""
    homes = "khu phố" if kind == "ward" else "ấp"
    yield {"code": f"DN-{code}-BXD", "parent": f"DN-{code}", "kind": "party_building_board",
           "name": f"Ban Xây dựng Đảng Đảng ủy {name}", "valid_from": REFORM}
    for number, what in (1, f"các {homes}"), (2, "các đơn vị sự nghiệp"):
        yield {"code": f"DN-{code}-CS{number}", "parent": f"DN-{code}", "kind": "grassroots_party_organization",
               "name": f"Đảng bộ {what} {name}", "valid_from": REFORM, "made_up": True}


def cells(code, kind, name):
    homes = "khu phố" if kind == "ward" else "ấp"
    names = [f"{homes} {n}" for n in range(1, RESIDENTIAL + 1)] + list(INSTITUTION_NAMES[:INSTITUTIONS])
    for n, what in enumerate(names, 1):
        yield {"code": f"DN-{code}-CB{n:02}", "parent": f"DN-{code}-CS{1 if n <= RESIDENTIAL else 2}", "kind": "party_cell",
               "name": f"Chi bộ {what} {name}", "valid_from": REFORM, "made_up": True}


def organizations(file):
    """All units of a programme file's province, in generations (what they are, their bodies): parents stand in earlier ones."""
    yield f"Bodies of {root(file)}", list(bodies(file))
    if root(file) == "DN-TU":
        units = list(wards())
        yield "Committees of wards and communes", [committee(code, name) for code, _, name in units]
        yield "Boards and grassroots organisations", [body for unit in units for body in below_committee(*unit)]
        yield "Cells", [body for unit in units for body in cells(*unit)]


def bootstrapped(file):
    """What bootstrapping is told of a root: code, name and kind of today, its first administrator, and before the last
    renaming name, kind and last day, or nothing."""
    unit = next(unit for unit in file["organizations"] if not unit["parent"])
    administrator = next(username for username, code in FIRST_ADMINISTRATORS if code == unit["code"])
    now, before = unit, ("", "", "")
    for renamed in unit.get("renamed", ()):
        last_day = date.fromisoformat(renamed["on"]) - timedelta(days=1)
        before, now = (now["name"], now["kind"], last_day.isoformat()), renamed
    return (unit["code"], now["name"], now["kind"], administrator, *before)


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


# Accounts beside the first administrators: (username, unit, role, name shown).
def accounts():
    yield "dn-tu.quanly", "DN-TU", "manager", "Quản lý chương trình, Tỉnh ủy Đồng Nai"
    yield "dn-vptu.quanly", "DN-VPTU", "manager", "Quản lý, Văn phòng Tỉnh ủy"
    yield "dn-vptu.quantri", "DN-VPTU", "administrator", "Quản trị, Văn phòng Tỉnh ủy"
    yield "dn-btgdv.quanly", "DN-BTGDV", "manager", "Quản lý, Ban Tuyên giáo và Dân vận"
    yield "dn-btgdv.duyet", "DN-BTGDV", "approver", "Người duyệt, Ban Tuyên giáo và Dân vận"
    yield "dn-ubkt.kiemtra", "DN-UBKT", "inspector", "Kiểm tra viên, Ủy ban Kiểm tra"
    for code, name in ("26041", "phường Trấn Biên"), ("26068", "phường Biên Hoà"):
        yield f"dn-{code}.nhaplieu", f"DN-{code}", "reporter", f"Người nhập liệu, Đảng ủy {name}"
        yield f"dn-{code}.duyet", f"DN-{code}", "approver", f"Người duyệt, Đảng ủy {name}"
        yield f"dn-{code}-cb01.nhaplieu", f"DN-{code}-CB01", "reporter", f"Người nhập liệu, Chi bộ khu phố 1 {name}"
    yield "hue-tu.quanly", "HUE-TU", "manager", "Quản lý chương trình, Thành ủy Huế"


FIRST_ADMINISTRATORS = (("dn-tu.quantri", "DN-TU"), ("hue-tu.quantri", "HUE-TU"))
CONNECTOR = {"name": "Trục kết nối dữ liệu Tỉnh ủy", "organization": "DN-TU",
             "scopes": ["organizations:read", "programmes:read", "indicators:read", "periods:read", "values:read", "values:write",
                        "progress:read"]}
