"""Documents when what makes them is missing, hangs, dies or is busy: the caller is told so in time, and all else goes on."""
import os
import pathlib
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import reports, service
from harness.client import Http
from harness.crowd import wait_for
from harness.reports import Report

PDF = [("Accept", "application/pdf")]

# A renderer of the tests' own: it answers each job as it is told to.
RENDERER = """
import array, os, socket, sys, time
control = socket.socket(fileno=0)
{before}
control.send(b"ready")
while True:
    data, ancillary, *_ = control.recvmsg(64, socket.CMSG_SPACE(4))
    if not data:
        sys.exit(0)
    fds = array.array("i"); fds.frombytes(ancillary[0][2][:4])
    if os.fork() == 0:
        job = socket.socket(fileno=fds[0])
        try:
            {job}
        finally:
            os._exit(0)
    os.close(fds[0])
"""
ALL = "\n            while job.recv(65536): pass"


@pytest.fixture(scope="module")
def report(world):
    made = Report(world, reports.duty(world)["code"])
    made.submit()
    return made


@pytest.fixture
def ask(world, another, tmp_path, report):
    """A service with a renderer of one's own or these settings; gives what asks it for the report, and the service."""
    def begin(job=None, before="", **settings):
        if job is not None:
            script = tmp_path / "render.py"
            script.write_text(RENDERER.format(job=job, before=before))
            settings["document_renderer"] = script
        one = another(**settings)
        token = [("Authorization", "Bearer " + report.author.token)]

        def get(headers=PDF):
            return Http(one.host, one.port, 300).request("GET", report.path, [*token, *headers])
        return get, one
    return begin


def told(answer, words, retry=None):
    """A 503 in plain words, in both languages' own sentence."""
    assert answer.status == 503 and answer.code == "document_unavailable" and answer.type == "application/problem+json", answer
    assert words in answer.json()["detail"], answer
    assert int(answer.header("Retry-After")) >= 1 and (retry is None or answer.header("Retry-After") == retry), answer
    return answer


def works(get):
    assert get([]).status == 200


def children(service, *names):
    """Processes of the service whose command line holds all of these."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().decode(errors="replace")
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == service.process.pid and all(n in line for n in names):
            found.append(int(path.name))
    return found


ENGLISH = [*PDF, ("Accept-Language", "en")]


def test_without_a_renderer_all_else_is_served(ask):
    get, _ = ask(document_renderer="/nonexistent/render.py")
    told(get(ENGLISH), "makes no documents", "300")
    assert "không dựng được văn bản" in get([*PDF, ("Accept-Language", "vi")]).json()["detail"]
    works(get)


def test_no_place_for_documents_is_none_installed(ask):
    get, _ = ask(document_workers=0)
    told(get(ENGLISH), "makes no documents")
    works(get)


@pytest.mark.parametrize("before, words", [("sys.exit(3)", "makes no documents"), ("sys.exit(1)", "ended"), ("os.kill(os.getpid(), 11)", "ended"),
                                           ("import nothing_like_it", "ended")])
def test_one_that_does_not_start_is_told(ask, before, words):
    get, _ = ask("pass", before)
    told(get(ENGLISH), words)
    told(get(ENGLISH), "")
    works(get)


@pytest.mark.parametrize("job", ["pass", "os.kill(os.getpid(), 9)", ALL + "\n            job.sendall(b'ok 100\\nshort')",
                                 ALL + "\n            job.sendall(b'no line')", ALL + "\n            job.sendall(b'x' * 100000)",
                                 ALL + "\n            job.sendall(b'ok 3\\nfour')", ALL + "\n            job.sendall(b'ok -1\\n')", "job.sendall(b'ok 5\\n12'); time.sleep(1)"])
def test_what_is_cut_short_is_no_document(ask, job):
    get, _ = ask(job)
    told(get(ENGLISH), "ended")
    works(get)


def test_a_whole_answer_is_handed_on(ask):
    get, _ = ask(ALL + "\n            job.sendall(b'ok 9\\n%PDF-1.7\\n')")
    answer = get()
    assert answer.status == 200 and answer.body == b"%PDF-1.7\n"


def test_a_fault_of_the_renderer_is_an_internal_error(ask):
    get, _ = ask(ALL + "\n            job.sendall(b'fault 0\\n')")
    assert get().status == 500
    works(get)


def test_one_that_hangs_is_given_up_and_ended(ask):
    get, one = ask("time.sleep(1000)", document_timeout_s=2)
    began = time.monotonic()
    told(get(ENGLISH), "longer than a document may take", "60")
    assert time.monotonic() - began < 60
    assert not children(one, "render.py")
    works(get)


def test_who_waits_too_long_is_told_to_come_again(ask):
    get, one = ask(ALL + "\n            time.sleep(8)\n            job.sendall(b'ok 1\\nx')", document_workers=1, document_wait_ms=300, document_timeout_s=60)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(get)
        assert wait_for(lambda: children(one, "render.py"))
        time.sleep(1)
        rest = [pool.submit(get, ENGLISH) for _ in range(3)]
        assert [told(r.result(), "at once", "5").status for r in rest] == [503] * 3
        works(get)
        assert first.result().status == 200


def test_a_renderer_that_was_killed_is_started_anew(ask):
    get, one = ask()
    assert get().status == 200
    [pid] = children(one, "render.py")
    os.kill(pid, signal.SIGKILL)
    assert get().status == 200
    assert children(one, "render.py") not in ([], [pid])


def test_a_document_outgrowing_its_memory_is_refused_and_the_next_is_made(ask, cluster, report):
    get, _ = ask(document_memory="24M")
    before = cluster.query("SELECT sections::text FROM report_version WHERE report_id = %s", [report.id])[0][0]
    cluster.query("""UPDATE report_version SET sections = jsonb_set(sections, '{0,text}', to_jsonb(repeat(E'x\\n', 7500))) WHERE report_id = %s RETURNING 1""",
                  [report.id])
    refused = get()
    cluster.query("UPDATE report_version SET sections = %s::jsonb WHERE report_id = %s RETURNING 1", [before, report.id])
    assert refused.status in (406, 503) and refused.code in ("document_too_large", "document_unavailable"), refused
    assert get().status == 200


def test_nothing_of_it_outlives_the_service(ask):
    get, one = ask()
    assert get().status == 200
    pids = children(one, "render.py")
    one.process.kill()
    one.process.wait()
    one.process = None
    assert wait_for(lambda: not [p for p in pids if pathlib.Path(f"/proc/{p}/cmdline").exists() and pathlib.Path(f"/proc/{p}/cmdline").read_bytes()])


def test_an_installed_one_is_found_from_the_binary(ask, tmp_path, monkeypatch):
    source = pathlib.Path(__file__).resolve().parents[2] / "api/document"
    (tmp_path / "bin").mkdir()
    shutil.copy(service.BINARY, tmp_path / "bin/tiendo")
    shutil.copytree(source, tmp_path / "lib/tiendo/document", ignore=shutil.ignore_patterns("meson.build", "__pycache__"))
    monkeypatch.setattr(service, "BINARY", tmp_path / "bin/tiendo")
    get, one = ask()
    assert get().status == 200
    assert len(children(one, str(tmp_path / "bin/../lib/tiendo/document/render.py"))) == 1


def test_it_has_nothing_of_the_services(ask):
    """No environment, no descriptor, no user of its own rights where it can be another."""
    get, one = ask()
    assert get().status == 200
    [pid] = children(one, "render.py")
    names = {v.split(b"=")[0] for v in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if v}
    assert names <= {b"PYTHONHASHSEED"}
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert not [h for h in held if one.log_path.name in h or "pgsql" in h or "master.key" in h], held
    assert len([h for h in held if h.startswith("socket:")]) == 1
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    if os.geteuid() == 0:
        assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert "NoNewPrivs:\t1" in status
