"""The first command and the README, as a newcomer would take them: up, up again, the tour pasted, the demonstration, down."""
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time

import pytest
from harness.service import free_port

pytestmark = pytest.mark.no_world
ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*words, seconds=600, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TIENDO_")}
    return subprocess.run([str(w) for w in words], cwd=ROOT, env={**clean, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=seconds, check=False)


@pytest.fixture(scope="module")
def state():
    path = pathlib.Path(tempfile.mkdtemp(prefix="tiendo-up-"))
    path.chmod(0o755)
    yield path
    run("deploy/down", "--state", path, "--purge")
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def port():
    """With the next one free too, for the figures."""
    while True:
        one = free_port()
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", one + 1))
                return one
            except OSError:
                pass


@pytest.fixture(scope="module")
def up(state, port):
    began = time.monotonic()
    done = run("deploy/up", "--state", state, "--port", port, "--detach", "--no-install")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    print(f"deploy/up took {time.monotonic() - began:.0f} s")
    return done.stdout


@pytest.fixture(scope="module")
def credentials(up, state):
    return json.loads((state / "credentials.json").read_text(encoding="utf-8"))


def curl(*words):
    done = run("curl", "-sS", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_comes_up_and_says_where(up, port):
    assert f"http://127.0.0.1:{port}" in up and f"http://127.0.0.1:{port}/docs" in up and "credentials.json" in up
    assert json.loads(curl(f"http://127.0.0.1:{port}/readyz")) == {"status": "ok"}


def test_the_three_lines_it_prints_work_when_pasted(up):
    lines = [line for line in up.splitlines() if line.startswith("curl ")]
    assert len(lines) == 3
    for line in lines:
        done = run("bash", "-c", line)
        assert done.returncode == 0 and json.loads(done.stdout).get("status") is None, (line, done.stdout[:500], done.stderr)


def test_a_second_call_is_harmless_and_quick(up, state, port):
    began = time.monotonic()
    done = run("deploy/up", "--state", state, "--port", port, "--detach", "--no-install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 15


def test_the_credentials_are_the_owners_alone_and_whole(credentials, state):
    assert stat.S_IMODE((state / "credentials.json").stat().st_mode) == 0o600
    held = {(a["organization"], a["role"]) for a in credentials["accounts"]}
    assert held >= {("DN-VPTU", "manager"), ("DN-VPTU", "administrator"), ("DN-BTGDV", "manager"), ("DN-BTGDV", "approver"), ("DN-UBKT", "inspector"),
                    ("DN-TU", "administrator")}
    wards = {unit for unit, role in held if role == "reporter" and re.fullmatch(r"DN-\d{5}", unit)}
    assert len(wards) >= 2 and all((ward, "approver") in held for ward in wards)
    assert any(unit.startswith(tuple(w + "-" for w in wards)) and role == "reporter" for unit, role in held), "a cell's reporter"
    assert [c["organization"] for c in credentials["clients"]] == ["DN-TU"]
    secrets = [a["password"] for a in credentials["accounts"]] + [c["client_secret"] for c in credentials["clients"]]
    assert len(set(secrets)) == len(secrets) and min(map(len, secrets)) >= 16


def test_everybody_can_log_in(credentials):
    for account in credentials["accounts"]:
        answer = json.loads(curl(credentials["base_url"] + "/v1/sessions", "-H", "Content-Type: application/json", "-d",
                                 json.dumps({"username": account["username"], "password": account["password"]})))
        assert answer["token_type"] == "Bearer", (account["username"], answer)


@pytest.fixture(scope="module")
def province(credentials):
    """GET as the administrator of the province."""
    who = next(a for a in credentials["accounts"] if (a["organization"], a["role"]) == ("DN-TU", "administrator"))
    token = json.loads(curl(credentials["base_url"] + "/v1/sessions", "-H", "Content-Type: application/json", "-d",
                            json.dumps({"username": who["username"], "password": who["password"]})))["access_token"]
    return lambda path, *more: json.loads(curl(credentials["base_url"] + path, "-H", f"Authorization: Bearer {token}", *more))


def test_the_real_programme_is_there(province):
    count = ("-H", "Prefer: count=exact")
    assert province("/v1/organizations?limit=1", *count)["page"]["total"] > 2200
    assert province("/v1/organizations?limit=1&parent=DN-TU&kind=directly_subordinate_party_committee&code%5Bprefix%5D=DN-2", *count)["page"]["total"] > 90
    found = province("/v1/organizations?q=tran+bien&limit=1")["items"][0]
    assert found["name"] == "Đảng ủy phường Trấn Biên"
    assert province("/v1/indicators?limit=1", *count)["page"]["total"] >= 8
    assert province("/v1/indicators/DN-06B")["text"]


def test_the_provinces_have_their_past(province):
    def names(code, day):
        return [province(f"/v1/organizations/{code}?as_of={day}")[key] for key in ("name", "kind")]

    assert names("DN-TU", "2026-04-29") == ["Tỉnh ủy Đồng Nai", "provincial_party_committee"]
    assert names("DN-TU", "2026-04-30") == ["Thành ủy Đồng Nai", "city_party_committee"]
    assert names("BP-TU", "2025-06-30") == ["Tỉnh ủy Bình Phước", "provincial_party_committee"]
    decisions = {item["decision"] for item in province("/v1/reorganizations")["items"]}
    assert decisions == {"202/2025/QH15", "1662/NQ-UBTVQH15", "30/2026/QH16"}


def test_the_tour_of_the_readme(up, state, port):
    """Its sh blocks, pasted in order into one shell; each curl gives JSON that is no problem."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) >= 5
    script = "set -eo pipefail\n" + "\necho '----'\n".join(blocks)
    done = run("bash", "-c", script, CREDENTIALS=str(state / "credentials.json"))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert '"/problems/' not in done.stdout, done.stdout
    parts = done.stdout.split("----")
    assert '"DN-26041"' in parts[0] and '"Đảng ủy phường Trấn Biên"' in parts[0]
    assert '"on_behalf": true' in parts[2] and '"percent": 91.' in parts[2]
    assert "indicator;" in parts[3] and '"dry_run": true' in parts[3] and '"failed": 0' in parts[3]
    assert '"DN-06A"' in parts[4] and '"expected":' in parts[4]
    assert "Quý III/2026" in parts[5] and "Trấn Biên" in parts[5]
    assert '"state": "draft"' in parts[6] and '"Ban Tuyên giáo và Dân vận Thành ủy"' in parts[6] and '["due","Báo cáo' in parts[6]
    assert (pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "report.pdf").read_bytes().startswith(b"%PDF")
    assert '"report_incomplete"' in parts[7] and '["#/sections/next","required"' in parts[7] and '["DN-VPTU"' in parts[7]
    assert '["GD1",null,"2025-12-31",3]' in parts[8] and '"status": "done"' in parts[8] and '["Đảng ủy phường Trấn Biên",1,86,1,23]' in parts[8] and "BEGIN:VCALENDAR" in parts[8]
    assert '["DN-731-26041","Đảng ủy phường Trung Dũng","Thành ủy Biên Hòa"]' in parts[9]
    assert '["DN-26041","Đảng ủy phường Trấn Biên","Tỉnh ủy Đồng Nai"]' in parts[9] and "1662/NQ-UBTVQH15" in parts[9]


def test_the_demonstration_prints_the_provinces_table(up, state):
    """Within one day: who was reminded today is not reminded again."""
    left = 86400 - (time.time() + 7 * 3600) % 86400  # until midnight in Vietnam
    if left < 120:
        time.sleep(left + 1)
    done = run("deploy/demo", "--state", state)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for word in ("DN-06B", "%", "Tỉnh ủy Thừa Thiên Huế", "Quận ủy Thuận Hóa", "Đảng ủy phường Trung Dũng", "hôm nay", "gửi 9; nhắc lại trong ngày: gửi 0, đã có 9", "lần gửi 1 → 2",
                 "Tổng hợp từ 85/98 báo cáo", "Chiến dịch DN-TT-464", "Thư viện sản phẩm", "GD1: độ phủ của 95 đảng ủy", "GD2: độ phủ", ".ics", "DN-BC-CAPTREN-2026-Q1.pdf"):
        assert word in done.stdout, done.stdout[-3000:]
    print(done.stdout)


def test_it_goes_down_and_comes_back_with_its_data(up, state, port, credentials):
    assert run("deploy/down", "--state", state).returncode == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)
    began = time.monotonic()
    done = run("deploy/up", "--state", state, "--detach", "--no-install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f":{port}" in done.stdout, "the port of the last run"
    print(f"and again in {time.monotonic() - began:.1f} s")
    kept = json.loads((state / "credentials.json").read_text(encoding="utf-8"))
    assert kept["clients"] == credentials["clients"]
    assert all(account in kept["accounts"] for account in credentials["accounts"]), "the demonstration adds accounts, and changes none"
    assert json.loads(curl(credentials["base_url"] + "/readyz")) == {"status": "ok"}


@pytest.mark.parametrize("words, told", [
    (["check"], ""), (["audit", "verify"], "All is as it was written."), (["keys", "rotate"], "signing key"),
    (["account", "reset", "{inspector}"], "activation code of"), (["reorganize", "--dry-run", "{decision}"], '"grants"')], ids=lambda w: w[0] if isinstance(w, list) else "")
def test_the_operators_commands(up, state, credentials, words, told):
    """On what deploy/up made, each as the user and with the connection that it takes; the file is the caller's own."""
    inspector = next(a["username"] for a in credentials["accounts"] if a["role"] == "inspector")
    decision = state / "decision.json"
    decision.write_text(json.dumps({"decision": "1-QĐ/TU", "effective_on": "2030-01-01", "steps": [{"kind": "rename", "organization": "DN-UBKT", "name": "Ủy ban"}]}))
    decision.chmod(0o600)
    done = run("deploy/tiendo", "--state", state, *[w.format(inspector=inspector, decision=decision) for w in words])
    decision.unlink()
    assert done.returncode == 0 and told in done.stdout, done.stdout + done.stderr


def test_an_operators_command_says_what_is_missing(state):
    done = run("deploy/tiendo", "--state", state / "run", "audit", "verify")
    assert done.returncode == 1 and "deploy/up has made nothing in" in done.stderr
    assert run("deploy/tiendo", "--state", state, "serve").returncode == 2


def test_purging_forgets_everything(up, state, port):
    done = run("deploy/down", "--state", state, "--purge")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (state / "credentials.json").exists() and not (state / "db").exists()
    assert run("deploy/down", "--state", state).returncode == 0, "again is harmless"
