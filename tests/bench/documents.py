#!/usr/bin/python3
"""How long a paper takes: started for it (cold) and by the process that is kept ready (warm), to the last byte; and what it takes of a processor."""
import json
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "api/document/render.py"
PYTHON = "/usr/bin/python3"
TEXT = "Ban Thường vụ Đảng ủy đã ban hành 03 văn bản chỉ đạo, phân công đồng chí Phó Bí thư Thường trực trực tiếp phụ trách. "


def report(paragraphs, gathered, figures):
    return json.dumps({
        "organization_kind": "directly_subordinate_party_committee", "organization_name": "Đảng ủy phường Trấn Biên", "view": "submitted",
        "above": {"name": "Thành ủy Đồng Nai", "kind": "city_party_committee"}, "recipient": {"name": "Ban Tuyên giáo và Dân vận Thành ủy"},
        "duty_title": "Báo cáo kết quả quý", "period_name": "Quý I năm 2026", "issued_on": "2026-03-16", "data_to": "2026-03-14", "number": "1-BC/ĐU",
        "sections": [{"title": "Kết quả", "text": (TEXT * 4 + "\n") * paragraphs,
                      "gathered": [{"name": f"Chi bộ {i}", "version": 1, "text": TEXT * 10} for i in range(gathered)]}],
        "figures": [{"name": f"Chỉ tiêu {i}", "unit": "%", "kind": "ratio", "state": "reported", "numerator": 1, "denominator": 2, "percent": 50}
                    for i in range(figures)]}).encode()


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


SIZES = {"2 pages": report(4, 0, 10), "10 pages": report(20, 10, 20), "100 gathered sections": report(4, 100, 60)}


def cold(form, text):
    began, used = time.monotonic(), cpu_of_children()
    subprocess.run([PYTHON, "-I", "-B", SCRIPT, "--once", form, "--seconds", "300"], input=text, capture_output=True, check=True)
    return time.monotonic() - began, cpu_of_children() - used


class Ready:
    def __init__(self):
        self.before = 0
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen([PYTHON, "-I", "-B", SCRIPT, "--serve", "--seconds", "300"], stdin=theirs)
        theirs.close()
        assert self.control.recv(8) == b"ready"

    def cpu(self):
        """What the copies that have ended took, once the last one has."""
        ticks = os.sysconf("SC_CLK_TCK")
        for _ in range(200):
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            used = (int(fields[13]) + int(fields[14])) / ticks
            if used > self.before:
                break
            time.sleep(0.01)
        used, self.before = used - self.before, used
        return used

    def make(self, form, text):
        began = time.monotonic()
        ours, theirs = socket.socketpair()
        socket.send_fds(self.control, [form.encode()], [theirs.fileno()])
        theirs.close()
        ours.sendall(text)
        ours.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: ours.recv(1 << 16), b""))
        assert answer.startswith(b"ok "), answer[:50]
        return time.monotonic() - began, self.cpu()

    def end(self):
        self.control.close()
        self.process.wait()


def tell(what, times):
    wall, cpu = (statistics.median(column) * 1000 for column in zip(*times))
    print(f"{what:36} {wall:8.0f} ms {cpu:8.0f} ms of a processor")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    small = SIZES["2 pages"]
    tell("cold, 2 pages, pdf", [cold("pdf", small) for _ in range(rounds)])
    ready = Ready()
    for name, text in SIZES.items():
        for form in ("html", "pdf"):
            tell(f"warm, {name}, {form}", [ready.make(form, text) for _ in range(rounds)])
    ready.end()
    print(f"{'largest process':36} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:8.0f} MB")


if __name__ == "__main__":
    main()
