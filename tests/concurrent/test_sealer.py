"""The journal under many writers and two sealers: dense, in order, chained, nothing left out."""
import hashlib
import json

import pytest
from harness import samples
from harness.crowd import patient, together, wait_for
from harness.service import Service


@pytest.fixture(scope="module")
def second(world, cluster, directory, clock):
    """Another process on the same database, sealing too."""
    made = Service(cluster, directory, clock, seal_interval_ms=20, issuer=world.service.env["TIENDO_ISSUER"]).start()
    yield made
    made.assert_clean(made.stop())


def unsealed(cluster):
    return cluster.query("SELECT count(*) FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq)")[0][0]


def check_chain(cluster):
    """Every position's hash over the one before and the row's own text; gives the number of rows."""
    rows = cluster.query("""SELECT s.position, s.xid::text, s.seq, s.hash, sealed_text(j, s.position >= (SELECT covers_from FROM seal_state)), j.action, j.resource_id::text, j.version, j.before, j.after
        FROM journal_seal s JOIN journal j ON j.xid = s.xid AND j.seq = s.seq ORDER BY s.position""")
    head = hashlib.sha256(b"tiendo journal").digest()
    for n, (position, _, seq, digest, text, action, resource, version, before, after) in enumerate(rows, 1):
        assert position == n, "positions are dense"
        head = hashlib.sha256(head + text.encode("utf-8")).digest()
        assert bytes(digest) == head, f"the chain breaks at {position}"
        told = json.loads(text.split("\n")[0])
        assert (told[0], told[6], told[8], told[9], told[13], told[14]) == (seq, action, resource, version, before, after)
    order = [(int(xid), seq) for _, xid, seq, *_ in rows]
    assert order == sorted(order), "positions follow (transaction, sequence)"
    position, state_hash = cluster.query("SELECT position, hash FROM seal_state")[0]
    assert (position, bytes(state_hash)) == (len(rows), head)
    return len(rows)


@pytest.fixture
def indicator(world):
    manager = world.at("AA-TU", "manager")
    code = world.indicator(manager, samples.fresh("AA-N"), "AA-P", "number")["code"]
    world.assign(manager, code, kind="party_cell", under="AA-TU")
    return code


def test_many_writers_and_two_sealers(world, caller, cluster, indicator, second):
    before = cluster.query("SELECT count(*) FROM journal")[0][0]
    units = ["AA-W1-C1", "AA-W1-C2", "AA-W1-C3", "AA-W1-C4", "AA-W2-C1", "AA-W2-C2"]
    token = world.connector().token
    crowd = [caller(token) for _ in range(12)]
    for one in crowd[::2]:
        one.http = second.http()

    def write(one, i):
        unit, half = units[i // 2], i % 2
        for quarter in (("2025-Q1", "2025-Q2", "2025-Q3"), ("2025-Q4", "2026-Q1", "2026-Q2"))[half]:
            answer = patient(lambda: one.enter(indicator, unit, quarter, {"number": 0}))
            assert answer.status == 201, answer
            for n in range(1, 6):
                answer = patient(lambda: one.enter(indicator, unit, quarter, {"number": n}, answer.etag))
                assert answer.status == 200, answer

    together(crowd, write)
    assert wait_for(lambda: unsealed(cluster) == 0)
    assert check_chain(cluster) == before + 12 * 3 * 6
    wrong = cluster.query("""SELECT resource_id FROM (SELECT j.resource_id, j.version, lag(j.version) OVER (PARTITION BY j.resource_id ORDER BY s.position) AS was
        FROM journal j JOIN journal_seal s ON s.seq = j.seq WHERE j.resource_type = 'value') x WHERE was >= version""")
    assert wrong == [], "a row's versions stand in their order"


def test_a_transaction_that_is_still_open_is_never_overtaken(world, cluster, indicator):
    """A writer that began earlier and commits later: what came after it waits for its place."""
    slow = cluster.connect()
    slow.autocommit = False
    try:
        with slow.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            early = int(cursor.fetchone()[0])
            made = world.must(world.connector().enter(indicator, "AA-W1-C1", "2026-Q1", {"number": 1}))
            assert not wait_for(lambda: cluster.query("SELECT 1 FROM journal_seal s JOIN journal j ON j.seq = s.seq WHERE j.resource_id = %s",
                                                      [made["id"]]), 1), "sealed above the horizon"
            cursor.execute("""INSERT INTO journal (action, resource_type, resource_id, version, scope_key)
                SELECT 'create', 'probe', %s, 1, scope_key FROM organization WHERE code = 'AA-TU'""", [made["id"]])
        slow.commit()
    finally:
        slow.close()
    assert wait_for(lambda: unsealed(cluster) == 0)
    order = cluster.query("""SELECT j.resource_type, s.xid::text FROM journal_seal s JOIN journal j ON j.seq = s.seq WHERE j.resource_id = %s
        ORDER BY s.position""", [made["id"]])
    assert [kind for kind, _ in order] == ["probe", "value"] and int(order[0][1]) == early
    check_chain(cluster)


def test_an_aborted_write_leaves_no_gap(world, cluster, indicator):
    one = world.connector()
    assert one.enter(indicator, "AA-W1-C2", "2026-Q1", {"number": -1, "denominator": 2}).status == 422
    world.must(one.enter(indicator, "AA-W1-C2", "2026-Q1", {"number": 1}))
    assert one.enter(indicator, "AA-W1-C2", "2026-Q1", {"number": 2}).status == 412
    world.must(one.enter(indicator, "AA-W1-C3", "2026-Q1", {"number": 1}))
    assert wait_for(lambda: unsealed(cluster) == 0)
    check_chain(cluster)


def test_a_changed_row_is_seen(world, cluster, indicator):
    made = world.must(world.connector().enter(indicator, "AA-W1-C4", "2026-Q1", {"number": 1}))
    assert wait_for(lambda: unsealed(cluster) == 0)
    change = "UPDATE journal SET version = version + %s WHERE resource_id = %s"
    cluster.query(change, [1, made["id"]])
    try:
        with pytest.raises(AssertionError, match="the chain breaks"):
            check_chain(cluster)
    finally:
        cluster.query(change, [-1, made["id"]])
    check_chain(cluster)
