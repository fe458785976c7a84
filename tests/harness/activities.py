"""Activities in the world of world.py, of the campaign AA-CD unless another is named."""
from . import campaigns

# Every member of an activity that a request may set, and what it has where a request leaves it out.
LEFT_OUT = {"code": None, "topic": None, "done_on": None, "planned": 1, "done": 0, "contacts_planned": None, "contacts_reached": None, "channels": [],
            "status": "planned", "reason": None, "evidence_url": None, "note": None, "classification": "unclassified"}


def body(unit="AA-W1", **more):
    """What makes an activity of GD2; more replaces or adds (None takes away)."""
    made = {"campaign": "AA-CD", "phase": "GD2", "organization": unit, "kind": "conference", "title": "Hội nghị quán triệt nghị quyết",
            "starts_on": "2026-09-10", "ends_on": "2026-09-11", **more}
    return {name: value for name, value in made.items() if value is not None}


def activity(world, unit="AA-W1", by=None, **more):
    """Enters an activity as the unit's reporter, or as asked."""
    if more.get("campaign", "AA-CD") == "AA-CD":
        campaigns.known(world)
    return world.must((by or world.at(unit, "reporter")).post("/v1/activities", body(unit, **more)))


def change(world, made, patch, by=None):
    """Changes it, whatever its version, and gives it as it stands then."""
    return world.must((by or world.at(made["organization"], "reporter")).patch(f"/v1/activities/{made['id']}", patch, "*"), 200)
