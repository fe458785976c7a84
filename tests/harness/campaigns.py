"""Campaigns in the world of world.py: of AA-P over AA-TU, with two phases, kinds, topics and reach targets."""
from . import samples

KINDS = ["conference", "cell_meeting", "seminar", "short_video", "infographic"]
TOPICS = [{"code": "CD1", "title": "Sự cần thiết phải đẩy mạnh chuyển đổi số"}, {"code": "CD2", "title": "Mục tiêu, nhiệm vụ và giải pháp"}]
# The first phase has been going on for as long as anybody remembers; the second takes every kind of the list.
PHASES = [{"code": "GD1", "title": "Giai đoạn 1", "objective": "Nâng cao nhận thức", "starts_on": None, "ends_on": "2026-06-30", "kinds": KINDS,
           "reach_targets": [{"of": "party_organizations", "percent": 100}, {"of": "cadres_and_members", "percent": 95}, {"of": "core_force", "percent": 90}]},
          {"code": "GD2", "title": "Giai đoạn 2", "objective": None, "starts_on": "2026-07-01", "ends_on": "2028-12-31", "kinds": [],
           "reach_targets": [{"of": "party_organizations", "percent": 100}]}]


def campaign(world, code=None, by=None, root="AA", **more):
    """Makes an active campaign; more replaces what its body says (None takes it away)."""
    body = {"code": code or samples.fresh("CD"), "title": "Tuyên truyền chuyển đổi số", "programme": f"{root}-P", "owner": f"{root}-TU", "scope": f"{root}-TU",
            "implements": "464-KH/TU", "status": "active", "topics": TOPICS, "phases": PHASES, **more}
    return world.must((by or world.at(f"{root}-TU", "manager")).post("/v1/campaigns", {k: v for k, v in body.items() if v is not None}))


def known(world, code="AA-CD", root="AA"):
    """The campaign of this code, made when it is first asked for."""
    found = world.at(f"{root}-TU", "manager").get(f"/v1/campaigns/{code}")
    return found.json() if found.status == 200 else campaign(world, code, root=root)


def term(world, list="channel", code=None, by=None, **more):
    """Adds a term of AA-TU's own to a list."""
    body = {"list": list, "code": code or samples.fresh("muc").lower().replace("-", "_"), "name": "Mục riêng", **more}
    return world.must((by or world.at("AA-TU", "manager")).post("/v1/campaign-terms", body))
