#!/usr/bin/env python3
"""Loads the two programmes through the API, as any client would.

  load.py secrets --state DIR --base-url URL   makes credentials.json with the first administrators' passwords
  load.py roots                                what to bootstrap, tab-separated
  load.py load --state DIR                     creates whatever is missing; safe to repeat, and after an interruption

Standard library only.
"""
import argparse
import json
import os
import secrets
import sys
import threading
from pathlib import Path

import programme
from client import Caller, Refused, Service, each, segment


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
            for entry in self.data["accounts"]:
                if entry["username"] == username:
                    return entry
            entry = {"username": username, "password": secrets.token_urlsafe(18), "organization": organization, "role": role}
            self.data["accounts"].append(entry)
            self.save()
            return entry

    def client(self, organization):
        return next((entry for entry in self.data["clients"] if entry["organization"] == organization), None)


class Loader:
    def __init__(self, credentials):
        self.credentials = credentials
        self.service = Service(credentials.data["base_url"])
        self.files = programme.files()
        self.administrators = {unit: self.person(username) for username, unit in programme.FIRST_ADMINISTRATORS}

    def person(self, username):
        entry = next(e for e in self.credentials.data["accounts"] if e["username"] == username)
        return Caller.person(self.service, username, entry["password"])

    def administrator(self, organization):
        return self.administrators["HUE-TU" if organization.startswith("HUE-") else "DN-TU"]

    def manager(self, file):
        return self.person("hue-tu.quanly" if programme.root(file) == "HUE-TU" else "dn-tu.quanly")

    def run(self):
        managers = [entry for entry in programme.accounts() if entry[1] in self.administrators]
        self.accounts(managers)
        for file in self.files:
            self.units(file)
        for file in self.files:
            self.programme(file)
            self.indicators(file)
            self.mandates(file)
        self.accounts(programme.accounts())
        self.connector()

    def units(self, file):
        manager = self.manager(file)
        there = {item["code"] for item in manager.every("/v1/organizations")}
        for text, generation in programme.organizations(file):
            families = {}  # siblings one after the other: the tree keeps the order in which they come
            for body in generation:
                if body["code"] not in there:
                    families.setdefault(body["parent"], []).append(body)
            each(text, families.values(), lambda family: [manager.post("/v1/organizations", body) for body in family], size=len)

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

    def mandates(self, file):
        administrator = self.administrator(programme.root(file))
        given = list(administrator.every("/v1/mandates"))
        for body in programme.mandates(file):
            if not any(same_mandate(body, item) for item in given):
                administrator.post("/v1/mandates", body)

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
    commands.add_parser("roots")
    for name in ("secrets", "load"):
        command = commands.add_parser(name)
        command.add_argument("--state", required=True)
        if name == "secrets":
            command.add_argument("--base-url", required=True)
    options = parser.parse_args()
    if options.command == "roots":
        for file in programme.files():
            print("\t".join(programme.bootstrapped(file)))
        return
    credentials = Credentials(options.state)
    if options.command == "secrets":
        if credentials.data["base_url"] != options.base_url:
            credentials.data["base_url"] = options.base_url
            credentials.save()
        for username, organization in programme.FIRST_ADMINISTRATORS:
            credentials.account(username, organization, "administrator")
        return
    try:
        Loader(credentials).run()
    except (Refused, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
