"""A small world, made through the API as a client would make it.

    AA-TU ── AA-BTG (mandated over AA-TU: read, define, enter)   BB-TU ── BB-W1 ── BB-W1-C1
      ├── AA-W1 ── AA-W1-XD (board; mandated over its parent by kind: read, enter)
      │     ├── AA-W1-C1 … AA-W1-C4 (cells)
      │     └── AA-W1-OLD (a cell that ended)
      ├── AA-W2 ── AA-W2-C1, AA-W2-C2
      └── AA-OLD (a committee that ended)
"""
import base64
import secrets
import time
from collections import namedtuple

from .client import target

ROLES = ("viewer", "reporter", "approver", "manager", "administrator", "inspector")
WARD = "directly_subordinate_party_committee"
CELL = "party_cell"
ACCESS = namedtuple("ACCESS", "token refresh grant session_answer")


def hold(cluster, sql):
    """Another database session, in an open transaction that has run this; closing it lets go."""
    connection = cluster.connect()
    connection.autocommit = False
    connection.cursor().execute(sql)
    return connection


class Caller:
    """Requests under one token; every answer is checked against the contract."""

    def __init__(self, world, token=None, http=None, renew=None):
        """renew: logs in anew; a token is not used to its end, for a busy machine makes a suite longer than a token's ten minutes."""
        self.world = world
        self.token, self.renew, self.born = token, renew, time.monotonic()
        self.http = http or world.service.http()

    def request(self, method, path, body=None, headers=(), check=True, **query):
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if self.renew and time.monotonic() - self.born > 400 and not self.world.clock.away:
            answer = self.renew()
            if answer.status in (200, 201):  # who may not log in any more goes on with what it has
                self.token, self.born = answer.json()["access_token"], time.monotonic()
        if self.token is not None and not any(name.lower() == "authorization" for name, _ in pairs):
            pairs.append(("Authorization", "Bearer " + self.token))
        try:
            answer = self.http.request(method, target(path, **query), pairs, body)
        except OSError:
            self.world.service.revive()
            raise
        if check:
            self.world.contract.check(answer)
        return answer

    def get(self, path, headers=(), **query):
        """The audit trail, and the feed's "now", tell what is sealed already: a test that asks for them means what it has written so far."""
        if path == "/v1/audit-events" or (path == "/v1/changes" and query.get("after") == "now"):
            self.world.service.cluster.caught_up()
        return self.request("GET", path, None, headers, **query)

    def post(self, path, body, headers=(), **query):
        return self.request("POST", path, body, headers, **query)

    def put(self, path, body, headers=(), **query):
        return self.request("PUT", path, body, headers, **query)

    def patch(self, path, body, etag=None, headers=()):
        pairs = list(headers) + ([("If-Match", etag)] if etag else [])
        return self.request("PATCH", path, body, pairs)

    def items(self, path, headers=(), **query):
        """All items of a collection, over its pages."""
        found, cursor = [], None
        while True:
            answer = self.get(path, headers, **query, **({"cursor": cursor} if cursor else {}))
            assert answer.status == 200, answer
            found += answer.json()["items"]
            cursor = answer.json()["page"]["next"]
            if cursor is None:
                return found

    def enter(self, indicator, organization, period, body, precondition=None, **query):
        """PUT of a value; creates unless a tag is given."""
        headers = [("If-Match", precondition)] if precondition else [("If-None-Match", "*")]
        return self.put(f"/v1/values/{indicator}/{organization}/{period}", body, headers, **query)

    def close(self):
        self.http.close()


class World:
    def __init__(self, service, contract, clock):
        self.service, self.contract, self.clock = service, contract, clock
        self.passwords, self._callers, self.clients = {}, {}, {}
        self.anonymous = Caller(self)

    # ---- who ----
    def login(self, username, grant=None, password=None):
        body = {"username": username, "password": password or self.passwords[username]}
        if grant:
            body["grant"] = grant
        return self.anonymous.post("/v1/sessions", body)

    def as_(self, username, grant=None):
        """A caller under a fresh or remembered session of the account."""
        if (username, grant) not in self._callers:
            answer = self.login(username, grant)
            assert answer.status == 201, answer
            self._callers[username, grant] = Caller(self, answer.json()["access_token"], renew=lambda: self.login(username, grant))
        return self._callers[username, grant]

    def forget(self):
        """After the clock has moved, tokens are had anew."""
        self._callers.clear()

    def at(self, unit, role):
        return self.as_(f"{unit}.{role}".lower())

    def client_token(self, name, scope=None):
        client_id, secret = self.clients[name]
        form = "grant_type=client_credentials" + (f"&scope={scope.replace(' ', '+')}" if scope else "")
        basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        return self.anonymous.post("/oauth2/token", form.encode(), [
            ("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", "Basic " + basic)])

    def connector(self, name="aa"):
        if ("client", name) not in self._callers:
            answer = self.client_token(name)
            assert answer.status == 200, answer
            self._callers["client", name] = Caller(self, answer.json()["access_token"], renew=lambda: self.client_token(name))
        return self._callers["client", name]

    # ---- making ----
    def must(self, answer, status=201):
        assert answer.status == status, answer
        return answer.json()

    def bootstrap(self, code, name, kind="provincial_party_committee"):
        username = f"{code.lower()}.administrator"
        self.passwords[username] = secrets.token_urlsafe(16)
        self.service.bootstrap(code, name, kind, username, self.passwords[username])

    def account(self, by, username, *grants, **more):
        self.passwords[username] = secrets.token_urlsafe(16)
        return self.must(by.post("/v1/accounts", {
            "username": username, "display_name": f"Người dùng {username}", "password": self.passwords[username],
            "grants": [{"organization": unit, "role": role} for unit, role in grants], **more}))

    def staff(self, by, unit, roles=ROLES):
        for role in roles:
            username = f"{unit}.{role}".lower()
            if username not in self.passwords:
                self.account(by, username, (unit, role))

    def unit(self, by, code, name, kind, parent, **more):
        return self.must(by.post("/v1/organizations", {
            "code": code, "name": name, "kind": kind, "parent": parent, "valid_from": "2025-01-01", **more}))

    def client(self, by, name, unit, scopes):
        made = self.must(by.post("/v1/clients", {"name": name, "organization": unit, "scopes": scopes}))
        self.clients[name] = (made["client_id"], made["client_secret"])
        return made

    def indicator(self, by, code, programme, kind="ratio", aggregation=None, frequency="quarter", **more):
        body = {"code": code, "programme": programme, "name": f"Chỉ tiêu {code}", "unit": "percent" if kind == "ratio" else "số",
                "kind": kind, "frequency": frequency, "direction": None if kind == "milestone" else "increase",
                "aggregation": aggregation or {"ratio": "ratio_of_sums", "number": "sum", "rank": "min", "milestone": "count_done"}[kind]}
        return self.must(by.post("/v1/indicators", {**body, **more}))

    def assign(self, by, indicator, **more):
        return self.must(by.post(f"/v1/indicators/{indicator}/assignments", {"mode": "own", "valid_from": "2025-01-01", **more}))

    def set_target(self, by, indicator, organization, **more):
        return self.must(by.post(f"/v1/indicators/{indicator}/targets", {"organization": organization, **more}))

    def roots(self):
        """By the command line; the first signing key comes with the first root."""
        self.bootstrap("AA-TU", "Tỉnh ủy An Bình")
        self.bootstrap("BB-TU", "Thành ủy Bảo Lộc", "city_party_committee")
        return self

    def build(self):
        """The rest of the world, through the running service; roots() came before it."""
        for root in ("AA-TU", "BB-TU"):
            self.staff(self.at(root, "administrator"), root)
        self._units()
        self._access()
        self._programme()
        return self

    def keep(self):
        """Remembers the world as it is now: the database as a template, and who is known."""
        self.service.assert_clean(self.service.stop())
        self.kept_tokens = {key: caller.token for key, caller in self._callers.items()}
        self.service.cluster.copy_database("tiendo", "as_built")
        self.kept = (dict(self.passwords), dict(self._callers), dict(self.clients))
        self.kept_at = self.clock.now()
        self.changed = False
        self.service.start()
        return self

    def as_built(self):
        """Puts the kept world back; the first module finds it untouched."""
        if not self.changed:
            self.changed = True
            return
        self.service.assert_clean(self.service.stop())
        self.service.cluster.copy_database("as_built", "tiendo")
        self.passwords, self._callers, self.clients = map(dict, self.kept)
        for key, token in self.kept_tokens.items():
            self._callers[key].token, self._callers[key].born = token, time.monotonic()
        # Whoever was logged in then has a token that is as fresh as it was then, however long the modules before this one took.
        self.clock.at(self.kept_at)
        self.clock.back()
        self.service.start()

    def _units(self):
        aa, bb = self.at("AA-TU", "manager"), self.at("BB-TU", "manager")
        self.unit(aa, "AA-BTG", "Ban Tuyên giáo và Dân vận Tỉnh ủy An Bình", "advisory_support_agency", "AA-TU")
        self.unit(aa, "AA-W1", "Đảng ủy phường Hòa Bình", WARD, "AA-TU", area_code="26041", valid_from="2025-01-01",
                  former=[{"name": "Đảng ủy phường Trung Dũng", "valid_to": "2025-06-30"}])
        self.unit(aa, "AA-W2", "Đảng ủy xã Đại Phước", WARD, "AA-TU", area_code="26485")
        self.unit(aa, "AA-OLD", "Huyện ủy Long Thành", "district_party_committee", "AA-TU", valid_from="2020-01-01",
                  valid_to="2025-06-30")
        self.unit(aa, "AA-W1-XD", "Ban Xây dựng Đảng phường Hòa Bình", "party_building_board", "AA-W1")
        for n in range(1, 5):
            self.unit(aa, f"AA-W1-C{n}", f"Chi bộ khu phố {n}", CELL, "AA-W1", made_up=True)
        self.unit(aa, "AA-W1-OLD", "Chi bộ khu phố cũ", CELL, "AA-W1", valid_to="2025-12-31")
        for n in range(1, 3):
            self.unit(aa, f"AA-W2-C{n}", f"Chi bộ ấp {n}", CELL, "AA-W2", made_up=True)
        self.unit(bb, "BB-W1", "Đảng ủy phường Một", WARD, "BB-TU")
        self.unit(bb, "BB-W1-C1", "Chi bộ tổ dân phố 1", CELL, "BB-W1")

    def _access(self):
        aa, bb = self.at("AA-TU", "administrator"), self.at("BB-TU", "administrator")
        for unit in ("AA-W1", "AA-W2", "AA-BTG", "AA-W1-XD", "AA-W1-C1", "AA-OLD"):
            self.staff(aa, unit)
        self.staff(bb, "BB-W1")
        for body in ({"unit": "AA-BTG", "over": "AA-TU", "functions": ["read", "define", "enter"]},
                     {"unit_kind": "party_building_board", "over_parent": True, "functions": ["read", "enter"]}):
            self.must(aa.post("/v1/mandates", {"valid_from": "2025-01-01", **body}))
        scopes = self.contract.schema("ClientScope")["enum"]
        self.client(aa, "aa", "AA-TU", scopes)
        self.client(bb, "bb", "BB-TU", scopes)

    def _programme(self):
        aa, bb = self.at("AA-TU", "manager"), self.at("BB-TU", "manager")
        for by, root in ((aa, "AA"), (bb, "BB")):
            self.must(by.post("/v1/programmes", {
                "code": f"{root}-P", "title": f"Kế hoạch chuyển đổi số {root}", "owner": f"{root}-TU", "scope": f"{root}-TU",
                "document": "464-KH/TU", "document_on": "2025-05-07", "starts_on": "2025-01-01", "ends_on": "2028-12-31",
                "pillars": [{"code": "TT", "name": "Tuyên truyền"}, {"code": "HT", "name": "Hạ tầng"}]}))
            self.indicator(by, f"{root}-RATIO", f"{root}-P", pillar="TT")
            self.assign(by, f"{root}-RATIO", kind=CELL, under=f"{root}-TU", entered_by="superior")
        self.indicator(aa, "AA-SUM", "AA-P", "number")
        self.assign(aa, "AA-SUM", kind=WARD, under="AA-TU")
        self.assign(aa, "AA-SUM", kind=CELL, under="AA-TU", entered_by="superior")
        self.indicator(aa, "AA-MILE", "AA-P", "milestone")
        self.assign(aa, "AA-MILE", kind=WARD, under="AA-TU")
        self.indicator(aa, "AA-RANK", "AA-P", "rank", direction="decrease", frequency="year")
        self.assign(aa, "AA-RANK", organization="AA-TU")
        self.set_target(aa, "AA-RATIO", "AA-TU", comparator="ge", value=90, starts_on="2025-05-07", due_on="2026-12-31")
        self.set_target(aa, "AA-SUM", "AA-W1", comparator="ge", value=100, baseline=0, starts_on="2025-01-01", due_on="2027-12-31")
        self.must(self.at("AA-W1", "reporter").enter("AA-RATIO", "AA-W1-C1", "2026-Q1", {"numerator": 3, "denominator": 4}))
