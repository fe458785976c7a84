"""The journal: every change once, sealed in commit order, chained by hash; no secret in it."""
import hashlib
import time

import pytest
from harness import samples


def last(cluster, resource_type=None):
    return cluster.query("SELECT action, resource_type, resource_id::text, version, before, after, account_id IS NOT NULL, request_id FROM journal "
                         "WHERE %s::text IS NULL OR resource_type = %s ORDER BY xid DESC, seq DESC LIMIT 1", [resource_type, resource_type])[0]


def test_a_write_leaves_one_row_with_both_images(world, cluster):
    by = world.at("AA-TU", "manager")
    before = cluster.query("SELECT count(*) FROM journal")[0][0]
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    made = by.post("/v1/organizations", samples.body("organization_create"), [("traceparent", f"00-{trace}-00f067aa0ba902b7-01")]).json()
    assert cluster.query("SELECT count(*) FROM journal")[0][0] == before + 1
    action, kind, resource, version, old, new, by_account, request = last(cluster)
    assert (action, kind, resource, version, old, by_account, request) == ("create", "organization", made["id"], 1, None, True, trace)
    assert new["name"] == made["name"]
    by.patch(f"/v1/organizations/{made['code']}", {"note": "mới"}, '"1"')
    action, _, _, version, old, new, _, _ = last(cluster)
    assert (action, version, old["note"], new["note"]) == ("update", 2, None, "mới")


@pytest.mark.parametrize("op", ["programme_create", "indicator_create", "assignment_create", "target_create", "account_create", "grant_create", "client_create",
                                "mandate_create"])
def test_every_kind_of_change_is_journalled(world, cluster, op):
    operation = world.contract.operations[op]
    role = "administrator" if operation.permission.split(":")[0] in ("accounts", "clients", "grants", "mandates") else "manager"
    code = world.indicator(world.at("AA-TU", "manager"), samples.fresh("AA-J"), "AA-P", "number")["code"]
    answer = world.at("AA-TU", role).post(samples.address(world, operation, indicator=code), samples.body(op))
    assert answer.status == 201, answer
    action, kind, resource, version, old, new, _, _ = last(cluster, op.split("_")[0])
    assert (action, resource, version, old) == ("create", answer.json()["id"], 1, None) and new is not None


def test_a_refused_write_leaves_none(world, cluster):
    before = cluster.query("SELECT count(*) FROM journal")
    by = world.at("AA-TU", "manager")
    by.patch("/v1/organizations/AA-W1", {"note": "x"}, '"999"')
    by.post("/v1/organizations", {**samples.body("organization_create"), "code": "AA-W1"})
    world.at("AA-W1", "viewer").patch("/v1/organizations/AA-W1", {"note": "x"}, "*")
    assert cluster.query("SELECT count(*) FROM journal") == before


def test_an_import_journals_each_value_and_keeps_every_revision(world, cluster):
    by = world.at("AA-TU", "manager")
    code = world.indicator(by, samples.fresh("AA-J"), "AA-P", "number")["code"]
    world.assign(by, code, kind="party_cell", under="AA-TU", entered_by="superior")
    before = cluster.query("SELECT count(*) FROM journal")[0][0]
    rows = [{"indicator": code, "organization": f"AA-W1-C{n}", "period": "2026-Q1", "number": n} for n in range(1, 5)]
    for change in (0, 1):
        rows = [{**r, "number": r["number"] + change} for r in rows]
        answer = world.at("AA-W1", "reporter").post("/v1/values/imports", rows, [("Idempotency-Key", samples.fresh("k"))])
        assert answer.status == 200
    assert cluster.query("SELECT count(*) FROM journal")[0][0] == before + 8
    revisions = cluster.query("SELECT r.version, r.number FROM value_revision r JOIN value v ON v.id = r.value_id WHERE v.indicator_code = %s "
                              "AND v.organization_code = 'AA-W1-C2' ORDER BY 1", [code])
    assert [(v, int(n)) for v, n in revisions] == [(1, 2), (2, 3)]


def test_what_bootstrap_makes_is_journaled(cluster):
    made = cluster.query("SELECT j.resource_type, count(*), count(g.id) FROM journal j LEFT JOIN access_grant g ON g.id = j.resource_id "
                         "WHERE j.session_id IS NULL AND j.action = 'create' GROUP BY 1 ORDER BY 1")
    assert made == [("account", 2, 0), ("grant", 2, 2), ("organization", 2, 0)]


def test_the_chain_recomputes(world, cluster):
    cluster.caught_up()
    rows = cluster.query("SELECT s.position, s.hash, sealed_text(j, s.position >= (SELECT covers_from FROM seal_state)) FROM journal_seal s JOIN journal j ON j.seq = s.seq ORDER BY s.position")
    assert [position for position, _, _ in rows] == list(range(1, len(rows) + 1)), "dense and gap-free"
    head = hashlib.sha256(b"tiendo journal").digest()
    for position, stored, text in rows:
        head = hashlib.sha256(head + text.encode()).digest()
        assert bytes(stored) == head, f"position {position} does not chain"
    assert bytes(cluster.query("SELECT hash FROM seal_state")[0][0]) == head


def test_positions_follow_versions(world, cluster):
    cluster.caught_up()
    wrong = cluster.query("""SELECT count(*) FROM (SELECT j.resource_id, j.version, lag(j.version) OVER (PARTITION BY j.resource_type, j.resource_id
                             ORDER BY s.position) AS before FROM journal j JOIN journal_seal s ON s.seq = j.seq) x WHERE version <= before""")
    assert wrong == [(0,)]


def test_an_open_transaction_holds_the_sealer_back_and_nothing_is_lost(world, cluster):
    """A sequence commits out of order: what commits late must not be passed over."""
    cluster.caught_up()
    slow = cluster.connect()
    slow.autocommit = False
    with slow.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
        cursor.execute("INSERT INTO journal (action, resource_type, resource_id, version, scope_key) "
                       "SELECT 'test', 'test', id, 1, scope_key FROM organization WHERE code = 'AA-TU'")
        world.at("AA-TU", "manager").patch("/v1/organizations/AA-W2", {"note": samples.fresh("n")}, "*")
        time.sleep(0.5)
        assert cluster.query("SELECT count(*) FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq)")[0][0] == 1
        slow.commit()
    slow.close()
    cluster.caught_up()
    test_the_chain_recomputes(world, cluster)


def test_no_secret_in_the_journal(world, cluster):
    everything = " ".join(text for (text,) in cluster.query("SELECT coalesce(before::text, '') || coalesce(after::text, '') FROM journal"))
    for secret in [*world.passwords.values(), *(secret for _, secret in world.clients.values())]:
        assert secret not in everything
    everything = everything.replace('"password_changed_at"', "")
    for word in ("password", "secret", "hash", "argon2"):
        assert word not in everything, word


def test_sums_are_folded_and_equal_a_recount(world, cluster):
    cluster.caught_up()
    different = cluster.query("""
        WITH truth AS (
          SELECT v.indicator_id, v.period_id, k AS scope_key, v.category, count(*) FILTER (WHERE state = 'reported') AS reported,
            count(*) FILTER (WHERE state = 'not_applicable') AS na, count(*) FILTER (WHERE done) AS done, coalesce(sum(numerator), 0) AS n,
            coalesce(sum(denominator), 0) AS d, coalesce(sum(number), 0) AS x
          FROM value v, unnest(ancestor_keys(v.scope_key)) k WHERE counted GROUP BY 1, 2, 3, 4),
        kept AS (SELECT indicator_id, period_id, scope_key, category, reported, not_applicable, done, numerator, denominator, number FROM rollup
          WHERE reported <> 0 OR not_applicable <> 0)
        SELECT count(*) FROM ((TABLE truth EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE truth)) x""")
    assert different == [(0,)]
    assert cluster.query("SELECT count(*) FROM rollup")[0][0] > 0


def test_the_closure_equals_a_recount(world, cluster):
    different = cluster.query("""
        WITH RECURSIVE up AS (
          SELECT s.organization_id AS descendant, s.organization_id AS ancestor, 0 AS depth, s.validity FROM organization_span s
          UNION ALL
          SELECT u.descendant, s.parent_id, u.depth + 1, u.validity * s.validity FROM up u JOIN organization_span s ON s.organization_id = u.ancestor
          WHERE s.parent_id IS NOT NULL AND u.validity && s.validity),
        truth AS (SELECT ancestor, descendant, min(depth) AS depth, range_agg(validity) AS held FROM up GROUP BY 1, 2),
        kept AS (SELECT ancestor_id, descendant_id, min(depth), range_agg(validity) FROM organization_closure GROUP BY 1, 2)
        SELECT count(*) FROM ((TABLE truth EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE truth)) x""")
    assert different == [(0,)]
