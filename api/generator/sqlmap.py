"""What the migrations say to callers: constraints with their problems, and the codes that fail() raises."""

import re
from pathlib import Path

PROBLEM = re.compile(r'^PROBLEM\((\w+), "(\w+)", (\d+),', re.M)
COMMENT = re.compile(r"COMMENT\s+ON\s+(?:CONSTRAINT|INDEX)\s+(?:tiendo\.)?(\w+)(?:\s+ON\s+(?:DOMAIN\s+)?[\w.]+)?\s+IS\s+'([^']*)'", re.I)
MEANING = re.compile(r"^(\d{3}) ([a-z_]+)(?: (#(?:/[^\s]*)?))?$")
FAIL = re.compile(r"\bfail\(\s*(\d{3})\s*,\s*'([^']+)'")


def read_problems(path):
    """code -> (C name, status)"""
    text = Path(path).read_text(encoding="utf-8")
    return {code: (name, int(status)) for name, code, status in PROBLEM.findall(text)}


def check_code(file, where, status, code, problems, report):
    if code not in problems:
        report.add(file, where, f"problem code {code} is not in problems.def")
    elif problems[code][1] != int(status):
        report.add(file, where, f"problem code {code} has status {problems[code][1]}, not {status}")
    else:
        return True
    return False


def read(migrations, queries, problems, report):
    """constraint -> (C name of the problem, code of the fault, pointer)"""
    constraints = {}
    for folder in (migrations, queries):
        for path in sorted(Path(folder).glob("*.sql")):
            text, file = path.read_text(encoding="utf-8"), f"schema/{Path(folder).name}/{path.name}"
            for status, code in FAIL.findall(text):
                check_code(file, f"fail({status}, '{code}')", status, code, problems, report)
            for name, comment in COMMENT.findall(text):
                meaning = MEANING.match(comment)
                if not meaning and re.match(r"\d{3}\b", comment):
                    report.add(file, f"constraint {name}", f"comment «{comment}» must read «409 code_taken #/code»")
                elif meaning:
                    status, code, pointer = meaning.groups()
                    # a 422 may name the fault alone
                    problem = "invalid" if status == "422" and code not in problems else code
                    if check_code(file, f"constraint {name}", status, problem, problems, report):
                        constraints[name] = (problems[problem][0], code, pointer)
    return constraints
