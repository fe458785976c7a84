"""Work that is cut: an export that breaks must not look complete; migrations take turns."""
import threading
import time


def test_two_migrations_at_once(world):
    """One at a time under a lock."""
    done = []
    threads = [threading.Thread(target=lambda: done.append(world.service.command("migrate", check=False).returncode)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert done == [0] * 4


def test_an_export_that_breaks_breaks_visibly(world, cluster, caller):
    """The last chunk is left away."""
    world.must(world.at("AA-W1", "reporter").enter("AA-RATIO", "AA-W1-C2", "2025-Q3", {"numerator": 1, "denominator": 2}))
    names = [n for (n,) in cluster.query("SELECT attname FROM pg_attribute WHERE attrelid = 'value'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")]
    columns = ", ".join({"id": "gen_random_uuid()", "category": "'c' || n", "note": "repeat('x', 300)"}.get(n, n) for n in names)
    cluster.query(f"SET session_replication_role = replica; INSERT INTO value SELECT {columns} FROM value v, generate_series(1, 60000) n "
                  "WHERE indicator_code = 'AA-RATIO' AND category = '' AND organization_code = 'AA-W1-C2' AND period_code = '2025-Q3'")
    try:
        http = caller().http
        http.send(f"GET /v1/values HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {world.at('AA-TU', 'manager').token}\r\nAccept: application/x-ndjson\r\n\r\n".encode())
        first = http.open().recv(4096)
        assert b" 200 " in first and b"chunked" in first
        time.sleep(0.3)
        cluster.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tiendo_service' AND query ILIKE '%%value%%'")
        tail = first
        try:
            while data := http.socket.recv(1 << 20):
                tail = (tail + data)[-4096:]
        except ConnectionResetError:
            pass
    finally:
        cluster.query("SET session_replication_role = replica; DELETE FROM value WHERE category LIKE 'c%%'")
    assert not tail.endswith(b"0\r\n\r\n"), "a broken export looks complete"
    whole = caller(world.at("AA-TU", "manager").token).get("/v1/values", [("Accept", "application/x-ndjson")])
    assert whole.status == 200 and whole.text.endswith("\n")
