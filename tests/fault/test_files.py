"""Files on their way in and out when something fails: senders that are slow or go away, a full disk, kills, a lost database."""
import os
import pathlib
import resource
import signal
import socket
import time

import pytest
from harness import files, reports
from harness.client import target
from harness.crowd import wait_for
from harness.files import MB, PDF
from harness.reports import Report
from harness.world import Caller, hold


@pytest.fixture
def report(world):
    return Report(world, reports.duty(world, indicators=[])["code"])


def head(report, length, *headers, token=None):
    return "\r\n".join([f"POST {target(report.path + '/attachments', name='a.pdf')} HTTP/1.1", "Host: x", f"Content-Type: {PDF}",
                        f"Authorization: Bearer {token or report.author.token}", f"Content-Length: {length}", *headers, "", ""]).encode()


def begin(service, report, data, part=MB // 2, token=None):
    """A connection with part of an upload sent, taken in by the service."""
    before = held(service)
    http = service.http(20)
    http.send(head(report, len(data), token=token) + data[:part])
    assert wait_for(lambda: held(service) == before + 1)
    return http


def held(service):
    links = [os.readlink(link) for link in pathlib.Path(f"/proc/{service.process.pid}/fd").iterdir() if os.path.islink(link)]
    return sum("(deleted)" in link for link in links)


def kept(cluster):
    return cluster.query("SELECT (SELECT count(*) FROM tiendo.attachment_chunk), (SELECT count(*) FROM tiendo.attachment)")[0]


def upload(service, report, data, *headers):
    return Caller(report.world, report.author.token, service.http()).post(report.path + "/attachments", data, [("Content-Type", PDF), *headers], name="a.pdf")


def closed(http):
    try:
        return http.read("POST") is None
    except OSError:
        return True


# ---- how many, and how slow -----------------------------------------------------------------------------------
def test_only_so_many_files_arrive_at_once_and_none_of_them_holds_a_connection(world, another, report):
    service = another(max_uploads=4, long_pool=1, quick_pool=2)
    data = files.pdf(MB)
    mine = [begin(service, report, data) for _ in range(3)]
    busy = upload(service, report, data)
    assert busy.status == 503 and busy.code == "uploads_busy" and busy.header("Retry-After") == "5", busy
    other = begin(service, report, data, token=world.at("AA-W1", "manager").token)
    third = service.http()
    third.send(head(report, len(data), "Expect: 100-continue", token=world.at("AA-W1", "reporter").token))
    assert third.read("POST", report.path + "/attachments").code == "uploads_busy"
    export = Caller(world, report.author.token, service.http()).get("/v1/values", [("Accept", "text/csv")])
    assert export.status == 200, "nobody who sends holds the long lane's only connection"
    mine[0].send(data[MB // 2:])
    assert mine[0].read("POST").status == 201
    assert upload(service, report, files.pdf(MB)).status == 201, "the place is free again"
    for http in (*mine, other):
        http.close()
    assert wait_for(lambda: held(service) == 0)


def test_a_slow_sender_is_not_waited_for(another, cluster, report):
    service = another(upload_timeout_s=1)
    data, before = files.pdf(MB), kept(cluster)
    http = begin(service, report, data)
    until = time.monotonic() + 10
    with pytest.raises(OSError):
        while time.monotonic() < until:
            http.send(b"%")
            time.sleep(0.1)
    assert wait_for(lambda: held(service) == 0) and kept(cluster) == before


def test_a_sender_that_stops_is_not_waited_for(another, cluster, report):
    service = another(connection_timeout_s=1)
    before = kept(cluster)
    http = begin(service, report, files.pdf(MB))
    assert closed(http)
    assert wait_for(lambda: held(service) == 0) and kept(cluster) == before


# ---- no room --------------------------------------------------------------------------------------------------
def test_a_full_disk_is_told_and_nothing_kept(another, cluster, report):
    service = another()
    before = kept(cluster)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (2 * MB, resource.RLIM_INFINITY))
    answer = upload(service, report, files.pdf(5 * MB))
    assert answer.status == 507 and answer.code == "no_room", answer
    http = service.http()
    http.send(head(report, 5 * MB, "Expect: 100-continue"))
    assert http.read("POST").status == 507
    assert held(service) == 0 and kept(cluster) == before
    assert upload(service, report, files.pdf(MB)).status == 201, "what fits is taken"


def test_a_directory_that_is_gone_is_told(another, report, directory):
    spool = directory / "spool"
    spool.mkdir()
    service = another(spool_dir=spool)
    assert upload(service, report, files.pdf(MB)).status == 201 and list(spool.iterdir()) == []
    spool.rmdir()
    answer = upload(service, report, files.pdf(MB))
    assert answer.status == 503 and answer.code == "unavailable" and answer.header("Retry-After"), answer


# ---- ends -----------------------------------------------------------------------------------------------------
def test_sigterm_waits_for_a_file_in_flight(another, report):
    service = another()
    data = files.pdf(2 * MB)
    http = begin(service, report, data)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    http.send(data[MB // 2:])
    assert http.read("POST").status == 201
    assert service.process.wait(60) == 0


def test_a_kill_while_a_file_arrives_leaves_nothing(another, cluster, directory, report):
    spool = directory / "killed"
    spool.mkdir()
    service = another(spool_dir=spool)
    before = kept(cluster)
    http = begin(service, report, files.pdf(5 * MB), 4 * MB)
    service.kill()
    assert closed(http)
    assert list(spool.iterdir()) == [] and kept(cluster) == before


def test_a_kill_while_a_file_is_kept_leaves_nothing(another, cluster, report):
    service = another()
    before = kept(cluster)
    holder = hold(cluster, f"SELECT FROM tiendo.report WHERE id = '{report.id}' FOR UPDATE")
    try:
        http = service.http()
        data = files.pdf(3 * MB)
        http.send(head(report, len(data)) + data)
        waiting = "SELECT pid FROM pg_stat_activity WHERE usename = 'tiendo_service' AND wait_event_type = 'Lock' AND query LIKE '%%attachment_create%%'"
        assert wait_for(lambda: cluster.query(waiting))
        service.kill()
    finally:
        holder.close()
    assert wait_for(lambda: not cluster.query("SELECT FROM pg_stat_activity WHERE query LIKE '%%attachment_create%%' AND state <> 'idle' AND pid <> pg_backend_pid()"))
    assert kept(cluster) == before and report.read()["state"] == "expected"
    assert upload(report.world.service, report, data).status == 201


# ---- out ------------------------------------------------------------------------------------------------------
def reading(service, report, attachment):
    """A download whose reader has stopped after the first bytes."""
    http = service.http(20)
    http.open().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    http.send(f"GET {report.path}/attachments/{attachment['id']} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {report.author.token}\r\n\r\n".encode())
    first = http.socket.recv(2048)
    assert b" 200 " in first and f"Content-Length: {attachment['size']}".encode() in first
    return http, len(first)


def read_on(http):
    n = 0
    try:
        while data := http.socket.recv(1 << 20):
            n += len(data)
    except OSError:
        pass
    return n


def test_readers_that_stop_hold_no_connection_and_are_bounded(world, another, report):
    service = another(max_uploads=4, long_pool=1)
    made = upload(service, report, files.pdf(20 * MB)).json()
    readers = [reading(service, report, made)[0] for _ in range(3)]
    by = Caller(world, report.author.token, service.http())
    assert by.get("/v1/values", [("Accept", "text/csv")]).status == 200
    busy = by.get(f"{report.path}/attachments/{made['id']}")
    assert busy.status == 503 and busy.code == "uploads_busy" and busy.header("Retry-After"), busy
    readers.pop().close()
    assert wait_for(lambda: by.get(f"{report.path}/attachments/{made['id']}").status == 200)


def test_a_download_breaks_visibly_when_the_database_goes(world, running, report):
    made = upload(world.service, report, files.pdf(20 * MB)).json()
    http, first = reading(world.service, report, made)
    running.stop("immediate")
    assert first + read_on(http) < made["size"]
    running.ensure()
    assert "download_cut" in world.service.log()


def test_a_file_that_is_removed_while_it_is_read_breaks_off(world, report):
    made = upload(world.service, report, files.pdf(20 * MB)).json()
    http, first = reading(world.service, report, made)
    assert report.author.request("DELETE", f"{report.path}/attachments/{made['id']}", None, [("If-Match", '"1"')]).status == 204
    assert first + read_on(http) < made["size"]
