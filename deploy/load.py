#!/usr/bin/env python3
"""Loads two programmes and the provinces they are of through the API, as any client would.

  load.py secrets --state DIR --base-url URL [--empty]   makes credentials.json with the first administrators' passwords
  load.py roots --state DIR                              what to bootstrap, tab-separated
  load.py past --state DIR                               who there was before 2025, and the decisions since, as far as a manager may
  load.py joining --state DIR                            the decision that comes next, where it joins two roots: the operator takes it
  load.py load --state DIR                               creates whatever is missing

All are safe to repeat, and after an interruption. An installation whose roots were made without their past (by an older version,
or with --empty) keeps them so: it is loaded with the units of today alone. Standard library only.
"""
import argparse
import json
import os
import secrets
import sys
import threading
from pathlib import Path

import programme
import reform
from client import Caller, Refused, Service, each, segment


MANAGERS = [entry for entry in programme.accounts() if entry[2] == "manager" and entry[1].endswith("-TU")] + [programme.JOINED_MANAGER]


class Credentials:
    """credentials.json: every secret stands in it before, or as soon as, the service knows it."""

    def __init__(self, state):
        self.path = Path(state) / "credentials.json"
        self.lock = threading.Lock()
        self.data = {"base_url": None, "accounts": [], "clients": []}
        if self.path.exists():
            self.data = json.loads(self.path.read_text(encoding="utf-8"))

    def save(self):
        new = self.path.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self.data, file, ensure_ascii=False, indent=1)
            file.write("\n")
        if os.geteuid() == 0:  # under sudo they are for whoever asked
            os.chown(new, int(os.environ.get("SUDO_UID", 0)), int(os.environ.get("SUDO_GID", 0)))
        new.replace(self.path)

    def account(self, username, organization, role):
        """The entry of an account; made, with a password of its own, when there is none."""
        with self.lock:
            entry = self.entry(username)
            if entry:
                return entry
            entry = {"username": username, "password": secrets.token_urlsafe(18), "organization": organization, "role": role}
            self.data["accounts"].append(entry)
            self.save()
            return entry

    def entry(self, username):
        return next((entry for entry in self.data["accounts"] if entry["username"] == username), None)

    @property
    def past(self):
        """Whether the roots are made as they stood before 2025: so where the province joined since has an administrator."""
        return any(unit == programme.JOINED for _, unit in self.first_administrators())

    def first_administrators(self):
        return [(username, unit) for username, unit in programme.FIRST_ADMINISTRATORS if self.entry(username)]

    def client(self, organization):
        return next((entry for entry in self.data["clients"] if entry["organization"] == organization), None)


class Loader:
    def __init__(self, credentials):
        self.credentials = credentials
        self.service = Service(credentials.data["base_url"])
        self.files = programme.files()
        self.administrators = {unit: self.person(username) for username, unit in credentials.first_administrators()}
        self.managers = {}

    def person(self, username):
        entry = self.credentials.entry(username)
        return entry and Caller.person(self.service, username, entry["password"])

    def root_of(self, organization):
        return organization.split("-")[0] + "-TU"

    def administrator(self, organization):
        return self.administrators[self.root_of(organization)]

    def manager(self, file):
        return self.managers[programme.root(file)]

    def run(self):
        self.hire_managers()
        if self.credentials.past:
            self.past()
            if self.next_decision():
                sys.exit("error: a decision is still to be taken: run deploy/up again")
        else:
            print("note: this installation was made without the reorganizations of 2025 and 2026, and stays so.\n"
                  "      deploy/down --purge, then deploy/up, makes one that has them.")
            for file in self.files:
                self.units(self.manager(file), programme.of_today_alone(file))
        for file in self.files:
            self.units(self.manager(file), programme.below_committees(file))
            self.programme(file)
            self.indicators(file)
            self.mandates(file)
            self.campaign(file)
            self.duties(file)
        self.accounts(programme.accounts())
        for file in self.files:
            self.products(file)
        self.connector()

    # ---- units, and what became of them

    def units(self, manager, generations):
        there = {item["code"] for item in manager.every("/v1/organizations")}
        for text, generation in generations:
            missing = [body for body in generation if body["code"] not in there]
            each(text, families(missing, 8), lambda rows: manager.post("/v1/organizations/imports", rows, {"strategy": "create"}),
                 size=len)

    def taken(self):
        """The decisions that are in force here: each by its reference and its day."""
        return {(item["decision"], item["effective_on"]) for code in ("DN-TU", "HUE-TU")
                for item in self.managers[code].every("/v1/reorganizations") if not item.get("reverted_at")}

    def next_decision(self, taken=None):
        """The oldest decision that is not in force: (root, root it joins or None, body), or None."""
        taken = self.taken() if taken is None else taken
        return next((entry for entry in reform.decisions() if (entry[2]["decision"], entry[2]["effective_on"]) not in taken), None)

    def past(self):
        """Who there was before 2025, and the decisions up to one that joins two roots."""
        taken = self.taken()
        begun = {code for root, joined, body in reform.decisions() if (body["decision"], body["effective_on"]) in taken
                 for code in (root, joined)}
        for code, manager in self.managers.items():
            if code not in begun:  # a decision is taken when all units of before are there
                self.units(manager, programme.of_the_past(code))
        coming = []
        while (entry := self.next_decision(taken)) and not entry[1]:
            coming.append(entry)
            taken.add((entry[2]["decision"], entry[2]["effective_on"]))
        each("Decisions", coming, lambda entry: self.managers[entry[0]].post("/v1/reorganizations", entry[2]), threads=1)

    def joining(self):
        """The body of the next decision, where the operator is to take it."""
        entry = self.next_decision()
        return entry[2] if entry and entry[1] else None

    def programme(self, file):
        manager, body = self.manager(file), programme.programme(file)
        if body["code"] not in {item["code"] for item in manager.every("/v1/programmes")}:
            manager.post("/v1/programmes", body)

    def indicators(self, file):
        manager = self.manager(file)
        there = {item["code"] for item in manager.every("/v1/indicators")}
        bodies = list(programme.indicators(file))
        each(f"Indicators of {bodies[0]['programme']}", [body for body in bodies if body["code"] not in there],
             lambda body: manager.post("/v1/indicators", body))
        sources = {source["code"]: source for source in file["indicators"]}

        def complete(code):
            path = f"/v1/indicators/{segment(code)}"
            given = list(manager.every(path + "/assignments"))
            for body in programme.assignments(file, sources[code]):
                if not any(same_assignment(body, item) for item in given):
                    manager.post(path + "/assignments", body)
            if not any(True for _ in manager.every(path + "/targets")):
                manager.post(path + "/targets", programme.target(file, sources[code]))

        each(f"Assignments and targets of {bodies[0]['programme']}", sources, complete)

    def hire_managers(self):
        """A manager at each root."""
        wanted = [entry for entry in MANAGERS if entry[1] in self.administrators]
        self.accounts(wanted)
        self.managers = {unit: self.person(username) for username, unit, *_ in wanted}

    def mandates(self, file):
        administrator = self.administrator(programme.root(file))
        given = list(administrator.every("/v1/mandates"))
        for body in programme.mandates(file):
            if not any(same_mandate(body, item) for item in given):
                administrator.post("/v1/mandates", body)

    def campaign(self, file):
        manager, body = self.manager(file), programme.campaign(file)
        if body and body["code"] not in {item["code"] for item in manager.every("/v1/campaigns")}:
            manager.post("/v1/campaigns", body)

    def products(self, file):
        """The products that the campaign's paper names, as drafts of its owner."""
        if not file.get("campaign"):
            return
        owner = self.person(f"{file['campaign']['owner'].lower()}.quanly")
        there = {(item["kind"], item["title"]) for item in owner.every("/v1/products", campaign=file["campaign"]["code"])}
        each("Products named by the campaign", [body for body in programme.products(file) if (body["kind"], body["title"]) not in there],
             lambda body: owner.post("/v1/products", body), threads=1)

    def duties(self, file):
        manager = self.manager(file)
        there = {item["code"] for item in manager.every("/v1/report-duties")}
        each(f"Report duties of {file['programme']['code']}", [body for body in programme.duties(file) if body["code"] not in there],
             lambda body: manager.post("/v1/report-duties", body), threads=1)

    def accounts(self, wanted):
        known = {item["username"] for unit in self.administrators.values() for item in unit.every("/v1/accounts")}

        def create(entry):
            username, organization, role, display_name = entry
            secret = self.credentials.account(username, organization, role)
            self.administrator(organization).post("/v1/accounts", {
                "username": username, "password": secret["password"], "display_name": display_name,
                "grants": [{"organization": organization, "role": role}]})

        each("Accounts", [entry for entry in wanted if entry[0] not in known], create, threads=1)

    def connector(self):
        wanted = programme.CONNECTOR
        if self.credentials.client(wanted["organization"]):
            return
        answer = self.administrator(wanted["organization"]).post(
            "/v1/clients", wanted, headers={"Idempotency-Key": secrets.token_urlsafe(18)})
        self.credentials.data["clients"].append({
            "client_id": answer["client_id"], "client_secret": answer["client_secret"],
            "organization": wanted["organization"], "scope": " ".join(wanted["scopes"])})
        self.credentials.save()


def families(bodies, most):
    """The bodies in at most so many parts, siblings in one: the tree keeps the order in which they come."""
    by_parent = {}
    for body in bodies:
        by_parent.setdefault(body["parent"], []).append(body)
    parts = [[body for family in list(by_parent.values())[n::most] for body in family] for n in range(most)]
    return [part for part in parts if part]


def code_of(reference):
    """A reference as answered: a code, or an object that has one."""
    return reference["code"] if isinstance(reference, dict) else reference


def same_assignment(body, item):
    return all(code_of(item.get(key)) == body.get(key) for key in ("mode", "organization", "kind", "under"))


def same_mandate(body, item):
    return (all(code_of(item.get(key)) == body.get(key) for key in ("unit", "unit_kind", "over", "programme"))
            and set(item["functions"]) == set(body["functions"]))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("secrets", "roots", "past", "joining", "load"):
        command = commands.add_parser(name)
        command.add_argument("--state", required=True)
        if name == "secrets":
            command.add_argument("--base-url", required=True)
            command.add_argument("--empty", action="store_true")
    options = parser.parse_args()
    credentials = Credentials(options.state)
    if options.command == "secrets":
        first_secrets(credentials, options.base_url, options.empty)
    elif options.command == "roots":
        for _, code in credentials.first_administrators():
            print("\t".join(programme.bootstrapped(code, credentials.past)))
    else:
        try:
            act(Loader(credentials), options.command)
        except (Refused, OSError) as error:
            sys.exit(f"error: {error}")


def first_secrets(credentials, base_url, empty):
    if credentials.data["base_url"] != base_url:
        credentials.data["base_url"] = base_url
        credentials.save()
    past = credentials.past or not (empty or credentials.data["accounts"])
    # the joined province's first: where it is there, the others are to be made as they stood before
    for username, organization in sorted(programme.FIRST_ADMINISTRATORS, key=lambda entry: entry[1] != programme.JOINED):
        if past or organization != programme.JOINED:
            credentials.account(username, organization, "administrator")


def act(loader, command):
    if command == "load":
        loader.run()
    elif loader.credentials.past:
        loader.hire_managers()
        if command == "past":
            loader.past()
        elif body := loader.joining():
            print(json.dumps(body, ensure_ascii=False))


if __name__ == "__main__":
    main()
