"""What the service never holds: nothing about members of the public. No table, schema, kind or channel has a place for them."""
import re
import unicodedata

import pytest
import yaml
from harness import campaigns, samples
from harness.contract import ROOT

# Words that would name a person of the public, what they wrote or think, where to find them, or a count of them.
PUBLIC = re.compile(r"(^|_)(persons?|people|citizens?|residents?|individuals?|public|followers?|fans?|authors?|participants?|attendees?|viewers?|posts?|comments?|"
                    r"likes?|shares?|reactions?|opinions?|sentiments?|moods?|complaints?|petitions?|denunciations?|watch(list)?|suspects?|handles?|profiles?|"
                    r"phones?|mobiles?|emails?|address(es)?|births?|birthday|gender|sex|ethnicity|religion|identity_card|cccd|cmnd|passport|avatar|photo)(_|$)")
# A word that means something else where it stands.
MEANT = {"report_comment": "what an author and a reviewer of a report say to each other", "comments": "how many of those a report has",
         "comment": "one of those", "address": "the place of the service, or of a caller in the audit trail",
         "public_jwk": "a key of the service", "people": "how many were reached, as one total of a unit",
         "share": "how a quantity is divided among units"}
# Staff: accounts, and the trail of what they did.
STAFF = {"account", "session", "login_throttle", "login_device", "journal", "refresh_token"}
# What stands in a campaign, by what each column is. Whoever adds one says here what it is.
COLUMNS = {
    "key": {"id", "campaign_id", "phase_id", "programme_id", "organization_id", "organization_code", "scope_key", "activity_id", "product_id", "indicator_id",
            "period_id", "setter_id", "copied_from", "handed_with", "reach_id", "value_id", "root_id", "scope_id", "owner_id", "version", "value_version"},
    "word of a list": {"kind", "list", "channel", "channels", "kinds", "topic", "of", "covers", "every", "status", "state", "category", "classification", "entered_by",
                       "active", "on_behalf", "position", "code", "action", "from_state", "to_state", "actor", "permission", "by_another",
                       "decision", "takes"},
    "total or quantity of an organisation": {"planned", "done", "contacts_planned", "contacts_reached", "set_quantity", "quantity", "reached", "base", "total", "reach", "percent",
                                             "numerator", "denominator", "number", "duration_s", "n_planned", "n_under_way", "n_done", "n_postponed", "n_cancelled",
                                             "size", "n", "uses", "attachments", "assignments", "assignments_late", "assigned", "due", "fulfilled", "due_fulfilled",
                                             "activities_late"},
    "day or moment": {"starts_on", "ends_on", "done_on", "due_on", "set_due_on", "base_on", "counted_on", "read_on", "published_on", "published_at", "used_on", "decision_on",
                      "reviewed_on", "decided_at", "created_at", "updated_at", "expires_on", "revoked_at", "last_used_on", "from_on", "until_on"},
    "text of an organisation": {"title", "note", "reason", "state_reason", "summary", "base_source", "source", "objective", "implements", "document", "name", "name_en", "results",
                                "difficulties", "lessons", "proposals", "decision_number", "decided_by", "search"},
    "link or proof": {"evidence_url", "link", "sha256", "type", "data", "secret_hash"},
    "who of the staff wrote it": {"seat_id", "account_id", "client_id", "grant_id", "session_id", "proposed_seat_id", "proposed_account_id", "decided_seat_id",
                                  "decided_account_id", "giver_id", "proposed_giver_id", "withdrawn_seat_id", "earlier_account_ids"},
}
CAMPAIGN = re.compile(r"campaign|activity|product|recognition|calendar|evidence")


def names(schema, path=()):
    """Every property name of a schema, with where it stands."""
    if isinstance(schema, dict):
        for name, part in (schema.get("properties") or {}).items() if isinstance(schema.get("properties"), dict) else ():
            yield name, path
            yield from names(part, (*path, name))
        for key, part in schema.items():
            if key not in ("properties", "example", "examples", "enum"):
                yield from names(part, (*path, key))
    elif isinstance(schema, list):
        for part in schema:
            yield from names(part, path)


def test_no_table_has_a_place_for_the_public(world, cluster):
    columns = cluster.query("""SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'tiendo'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')""")
    assert len(columns) > 500
    found = {(table, column) for table, column in columns
             if any(PUBLIC.search(word) and word not in MEANT for word in (table, column)) and table not in STAFF}
    assert found == set()


def test_every_column_of_a_campaign_is_of_a_kind_that_is_kept(world, cluster):
    columns = cluster.query("""SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'tiendo'::regnamespace AND c.relkind IN ('r', 'p')""")
    known = set().union(*COLUMNS.values())
    campaign = [(table, column) for table, column in columns if CAMPAIGN.search(table)]
    assert len({table for table, _ in campaign}) > 12
    assert {(table, column) for table, column in campaign if column not in known} == set(), "what is this, and whose?"


def test_no_schema_has_a_place_for_the_public():
    contract = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    found = list(names(contract))
    assert len(found) > 1000
    assert {(name, "/".join(map(str, path[:6]))) for name, path in found if PUBLIC.search(name) and name not in MEANT} == set()


def test_no_body_takes_what_is_not_named():
    """A closed schema is what keeps such a field from being sent along."""
    contract = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))

    def opened(schema, where):
        if isinstance(schema, dict):
            if schema.get("type") == "object" and "properties" in schema and schema.get("additionalProperties") is not False:
                yield where
            for key, part in schema.items():
                if key not in ("example", "examples"):
                    yield from opened(part, f"{where}/{key}")
        elif isinstance(schema, list):
            for n, part in enumerate(schema):
                yield from opened(part, f"{where}/{n}")
    bodies = [(operation["operationId"], operation["requestBody"]) for path in contract["paths"].values() for operation in path.values()
              if isinstance(operation, dict) and "requestBody" in operation]
    assert len(bodies) > 60
    assert [where for name, body in bodies for where in opened(body, name)] == []


def test_the_words_of_the_lists_are_what_organisations_do_and_make(world, cluster):
    words = world.at("AA-TU", "viewer").items("/v1/campaign-terms")
    assert len(words) > 40
    assert [word for word in words if PUBLIC.search(word["code"]) or not cluster.query("SELECT tiendo.campaign_term_within_limits(%s, %s, %s)",
                                                                                       [word["code"], word["name"], word["name_en"]])[0][0]] == []


@pytest.mark.parametrize("code,name,name_en", [
    ("du_luan", "Nắm tình hình", None), ("theo_doi", "Nắm bắt dư luận xã hội", None), ("tiep_nhan", "Tiếp nhận khiếu nại, tố cáo", None),
    ("phan_anh", "Phản ánh của người dân", None), ("watch_list", "Danh sách", None), ("mood", "Tâm trạng xã hội", "Public sentiment"),
    ("binh_luan", "Thống kê bình luận", "Comments"), ("phan_anh_kien_nghi", "Tiếp nhận phản ánh, kiến nghị của người dân", None),
    ("y_kien_nhan_dan", "Ý kiến của nhân dân", None), ("gop_y_nguoi_dan", "GÓP Ý CỦA NGƯỜI DÂN", None), ("tai_khoan_cong_dan", "Tài khoản mạng xã hội của công dân", None),
    ("danh_sach_vi_pham", "Danh sách người vi phạm", None), ("khieu_nai", "Tiep nhan khieu nai", None), ("binh_luan_dan", "Bài bình luận của người dân", None),
    ("kien_nghi_cu_tri", unicodedata.normalize("NFD", "Ý kiến, kiến nghị của cử tri"), None), ("list_of_offenders", "Danh sách đơn vị", "List of offenders")])
def test_a_word_for_the_publics_opinions_or_complaints_is_refused(world, code, name, name_en):
    manager = world.at("AA-TU", "manager")
    answer = manager.post("/v1/campaign-terms", {"list": "activity_kind", "code": code, "name": name, "name_en": name_en}, [("Idempotency-Key", samples.fresh("k"))])
    assert answer.status == 422 and answer.faults() == {("#/name", "outside_limits")}, answer
    own = campaigns.term(world, "activity_kind")
    answer = manager.patch(f"/v1/campaign-terms/{own['id']}", {"name": name, "name_en": name_en, "active": True}, "*")
    assert answer.status == (422 if code not in ("du_luan", "watch_list") else 200), answer


@pytest.mark.parametrize("code", ["to_cao", "y_kien_cua_nguoi_dan", "tai_khoan_mang_xa_hoi_cua_cong_dan", "danh_sach_nguoi_vi_pham", "thong_ke_binh_luan", "du_luan"])
def test_nor_does_a_code_say_it(world, code):
    answer = world.at("AA-TU", "manager").post("/v1/campaign-terms", {"list": "channel", "code": code, "name": "Kênh"}, [("Idempotency-Key", samples.fresh("k"))])
    assert answer.status == 422 and answer.faults() == {("#/name", "outside_limits")}, answer


@pytest.mark.parametrize("name", ["Sinh hoạt chuyên đề", "Đối thoại của cấp ủy với chi bộ", "Hội thi trực tuyến", "Bảng tin khu phố", "Tổ công nghệ số cộng đồng",
                                  "Bài bình luận", "Chuyên mục bình luận", "Bình luận thời sự", "Tờ cao cấp", "Đón thư", "Lấy ý kiến cán bộ, đảng viên",
                                  "Ý kiến của Hội đồng nhân dân", "Hỗ trợ kích hoạt tài khoản định danh cho công dân", "Tài khoản mạng xã hội của cơ quan"])
def test_what_organisations_do_is_taken(world, name):
    assert campaigns.term(world, "activity_kind", name=name)["name"] == name
