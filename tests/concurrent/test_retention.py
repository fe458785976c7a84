"""tiendo audit verify finds whatever was done to the journal; retention cuts it at signed checkpoints and loses nothing."""
import base64
import json
import pathlib
import shutil
import time

import pytest
from harness import samples
from harness.crowd import wait_for
from harness.service import Service

DAY = 86400


@pytest.fixture(scope="module")
def folder(directory):
    path = pathlib.Path(directory) / "checkpoints"
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def keeper(world, cluster, directory, clock, folder):
    """A process that writes a checkpoint each second."""
    made = Service(cluster, directory, clock, seal_interval_ms=20, checkpoint_dir=folder, checkpoint_interval_s=1, audit_retention_days=30,
                   issuer=world.service.env["TIENDO_ISSUER"]).start()
    yield made
    made.assert_clean(made.stop())


@pytest.fixture
def number(world):
    by = world.at("AA-TU", "manager")
    code = world.indicator(by, samples.fresh("AA-RE"), "AA-P", "number")["code"]
    world.assign(by, code, kind="party_cell", under="AA-TU", entered_by="superior")
    return code


@pytest.fixture
def figure(world, cluster, keeper, folder, number):
    """A value with a revision, sealed, and a checkpoint behind it."""
    made = world.connector().enter(number, "AA-W1-C1", "2026-Q1", {"number": 1})
    world.must(world.connector().enter(number, "AA-W1-C1", "2026-Q1", {"number": 2}, made.etag), 200)
    world.at("AA-TU", "manager").patch("/v1/organizations/AA-W1", {"note": samples.fresh("n")}, "*")
    assert wait_for(lambda: unsealed(cluster) == 0)
    head = cluster.query("SELECT position FROM seal_state")[0][0]
    assert wait_for(lambda: newest(folder) >= head), "a checkpoint of the head"
    return made.json()["id"]


def unsealed(cluster):
    return cluster.query("SELECT count(*) FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq)")[0][0]


def newest(folder):
    return max([int(p.name[8:28]) for p in folder.glob("journal-*.json")], default=0)


def verify(keeper, folder):
    done = keeper.command("audit", "verify", "--checkpoints", str(folder), check=False)
    return done.returncode, done.stdout + done.stderr


def sound(keeper, folder):
    code, text = verify(keeper, folder)
    assert code == 0 and "All is as it was written." in text and "FAULT" not in text, text
    return text


@pytest.fixture
def tampered(cluster, keeper, folder):
    """Does a thing to the database and undoes it; nothing is sealed and no checkpoint signed meanwhile."""
    undo = []
    keeper.assert_clean(keeper.stop())
    lock = cluster.connect()
    lock.cursor().execute("SELECT pg_advisory_lock(hashtextextended('tiendo.seal', 0))")

    def do(*statements, back=()):
        undo[:0] = back
        for sql in statements:
            cluster.query(sql)
        return verify(keeper, folder)

    yield do
    for sql in undo:
        cluster.query(sql)
    lock.close()
    sound(keeper, folder)
    keeper.start()


def position_of(cluster, resource, version):
    return cluster.query("SELECT position FROM journal_seal WHERE resource_id = %s AND version = %s", [resource, version])[0][0]


def test_an_untouched_journal_is_sound(keeper, folder, figure):
    assert "rows a second" in sound(keeper, folder)


def test_a_changed_row_is_found_at_its_place(cluster, keeper, folder, figure, tampered):
    at = position_of(cluster, figure, 1)
    for column, value in (("action", "'forged'"), ("account_id", "NULL"), ("at", "at - interval '1 day'"), ("request_id", "'x'"), ("grant_id", "gen_random_uuid()")):
        old = cluster.query(f"SELECT quote_nullable({column}) FROM journal WHERE resource_id = %s AND version = 1", [figure])[0][0]
        code, text = tampered(f"UPDATE journal SET {column} = {value} WHERE resource_id = '{figure}' AND version = 1",
                              back=[f"UPDATE journal SET {column} = {old} WHERE resource_id = '{figure}' AND version = 1"])
        assert (code, f"FAULT position {at}: the row" in text) == (1, True) or column == "account_id", text
        cluster.query(f"UPDATE journal SET {column} = {old} WHERE resource_id = '{figure}' AND version = 1")


def test_a_changed_figure_is_found(cluster, keeper, folder, figure, tampered):
    """In the revision, which the chain covers, and in the value, which must be what its last revision says."""
    at = position_of(cluster, figure, 1)
    code, text = tampered(f"UPDATE value_revision SET number = 9 WHERE value_id = '{figure}' AND version = 1",
                          back=[f"UPDATE value_revision SET number = 1 WHERE value_id = '{figure}' AND version = 1"])
    assert code == 1 and f"FAULT position {at}: the row, or the revision of a value" in text
    cluster.query(f"UPDATE value_revision SET number = 1 WHERE value_id = '{figure}' AND version = 1")
    code, text = tampered(f"ALTER TABLE value DISABLE TRIGGER USER; UPDATE value SET number = 9 WHERE id = '{figure}'; ALTER TABLE value ENABLE TRIGGER USER",
                          back=[f"ALTER TABLE value DISABLE TRIGGER USER; UPDATE value SET number = 2 WHERE id = '{figure}'; ALTER TABLE value ENABLE TRIGGER USER"])
    assert code == 1 and "is not what its last revision says" in text


def keep(cluster):
    cluster.query("DROP TABLE IF EXISTS public.kept_journal, public.kept_seal, public.kept_state")
    cluster.query("CREATE TABLE public.kept_journal AS TABLE journal; CREATE TABLE public.kept_seal AS TABLE journal_seal; CREATE TABLE public.kept_state AS TABLE seal_state")


BACK = ["""TRUNCATE journal, journal_seal, seal_state; INSERT INTO journal OVERRIDING SYSTEM VALUE SELECT * FROM public.kept_journal;
    INSERT INTO journal_seal SELECT * FROM public.kept_seal; INSERT INTO seal_state SELECT * FROM public.kept_state"""]


def test_a_removed_row_is_found(cluster, keeper, folder, figure, tampered):
    keep(cluster)
    at = position_of(cluster, figure, 1)
    code, text = tampered(f"DELETE FROM journal WHERE resource_id = '{figure}' AND version = 1", back=BACK)
    assert code == 1 and f"FAULT position {at}: its row was taken out" in text
    code, text = tampered(f"DELETE FROM journal_seal WHERE position = {at}")
    assert code == 1 and f"FAULT positions {at} to {at}: taken out" in text
    # and the gap closed: what comes after no longer fits, and the checkpoints say another hash
    code, text = tampered(f"UPDATE journal_seal SET position = -position WHERE position > {at}",
                          "UPDATE journal_seal SET position = -position - 1 WHERE position < 0", "UPDATE seal_state SET position = position - 1")
    assert code == 1 and f"FAULT position {at}: the row" in text and "the end is missing" in text


def test_an_inserted_row_is_found(cluster, keeper, folder, figure, tampered):
    keep(cluster)
    at = position_of(cluster, figure, 1)
    code, text = tampered(f"INSERT INTO journal (xid, action, resource_type, resource_id, version, scope_key) SELECT xid, 'x', 'value', resource_id, 1, scope_key "
                          f"FROM journal WHERE resource_id = '{figure}' AND version = 1", back=BACK)
    assert code == 1 and "put in behind the sealer" in text
    code, text = tampered(f"UPDATE journal_seal SET position = -position WHERE position > {at}",
                          "UPDATE journal_seal SET position = -position + 1 WHERE position < 0",
                          f"INSERT INTO journal_seal SELECT {at + 1}, j.xid, j.seq, sha256('x'), j.at, j.action, j.resource_type, j.resource_id, j.version, j.scope_key, "
                          "right(j.scope_key, 6) FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq)",
                          "UPDATE seal_state SET position = position + 1")
    assert code == 1 and f"FAULT position {at + 1}" in text


def test_reordered_rows_are_found(cluster, keeper, folder, figure, tampered):
    keep(cluster)
    one, two = position_of(cluster, figure, 1), position_of(cluster, figure, 2)
    code, text = tampered(f"UPDATE journal_seal SET position = -1 WHERE position = {one}", f"UPDATE journal_seal SET position = {one} WHERE position = {two}",
                          f"UPDATE journal_seal SET position = {two} WHERE position = -1", back=BACK)
    assert code == 1 and f"FAULT position {one}" in text


def test_a_changed_seal_is_told_from_a_changed_row(cluster, keeper, folder, figure, tampered):
    keep(cluster)
    at = position_of(cluster, figure, 1)
    code, text = tampered(f"UPDATE journal_seal SET hash = sha256('x') WHERE position = {at}", back=BACK)
    assert code == 1 and f"FAULT position {at}: the seal was changed, its row was not" in text
    assert len([line for line in text.splitlines() if line.startswith("FAULT") and "signed over another chain" not in line]) == 1
    code, text = tampered(*BACK, f"UPDATE journal_seal SET action = 'other' WHERE position = {at}")
    assert code == 1 and f"FAULT position {at}: the seal says of its row what the row does not say" in text


REWRITE = """DO $$
DECLARE j journal; h bytea := coalesce((SELECT hash FROM journal_seal WHERE position = {at} - 1), sha256('tiendo journal')); s record;
BEGIN
  FOR s IN SELECT * FROM journal_seal WHERE position >= {at} ORDER BY position LOOP
    SELECT * INTO j FROM journal x WHERE x.seq = s.seq;
    h := sha256(h || convert_to(sealed_text(j, true), 'UTF8'));
    UPDATE journal_seal SET hash = h WHERE position = s.position;
  END LOOP;
  UPDATE seal_state SET hash = h;
END $$"""


def test_a_chain_written_anew_differs_from_the_checkpoints(cluster, keeper, folder, figure, tampered):
    keep(cluster)
    at = position_of(cluster, figure, 1)
    code, text = tampered(f"UPDATE journal SET request_id = 'x' WHERE resource_id = '{figure}' AND version = 1", REWRITE.format(at=at), back=BACK)
    assert code == 1 and "was signed over another chain" in text and "the row" not in text
    empty = folder / "empty"
    empty.mkdir()
    try:
        code, text = verify(keeper, empty)
        assert code == 0 and "No checkpoint was looked at" in text
    finally:
        empty.rmdir()


def test_a_missing_tail_is_found_by_the_checkpoints(cluster, keeper, folder, figure, tampered):
    keep(cluster)
    at = position_of(cluster, figure, 2)
    code, text = tampered(f"DELETE FROM journal USING journal_seal s WHERE s.seq = journal.seq AND s.position >= {at}",
                          f"DELETE FROM journal_seal WHERE position >= {at}",
                          f"UPDATE seal_state SET position = {at} - 1, hash = (SELECT hash FROM journal_seal WHERE position = {at} - 1)", back=BACK)
    assert code == 1 and "FAULT the end is missing: checkpoint journal-" in text
    code, text = tampered(*BACK, f"DELETE FROM journal_seal WHERE position >= {at}")
    assert code == 1 and "FAULT the end is missing: the sealer stands at" in text


def test_a_forged_checkpoint_is_found(cluster, keeper, folder, figure):
    real = sorted(folder.glob("journal-*.json"))[-1]
    content = json.loads(real.read_text())
    for name, change in (("journal-%020d.json" % (content["position"] + 7), {"position": content["position"] + 7}), (real.name, {"hash": "0" * 64}),
                         (real.name, {"mac": "0" * 64}), ("journal-%020d.json" % 3, {}), (real.name, None)):
        kept = real.read_text()
        path = folder / name
        path.write_text("{" if change is None else json.dumps({**content, **change}, separators=(",", ":")) + "\n")
        try:
            code, text = verify(keeper, folder)
            assert code == 1 and f"FAULT checkpoint {name}: forged or damaged" in text, text
        finally:
            path.unlink()
            real.write_text(kept)
    sound(keeper, folder)


def test_the_command_says_what_it_could_not_do(keeper, folder):
    for arguments in (("audit",), ("audit", "check"), ("audit", "verify", "--zz"), ("audit", "verify", "--checkpoints")):
        assert keeper.command(*arguments, check=False).returncode == 2
    assert keeper.command("audit", "verify", "--help").returncode == 0
    done = keeper.command("audit", "verify", "--checkpoints", "/nonexistent", check=False)
    assert done.returncode == 2 and "/nonexistent" in done.stderr


def test_another_installations_key_attests_nothing(cluster, keeper, folder, figure, directory):
    keeper.env["TIENDO_MASTER_KEY"], file = base64.b64encode(b"k" * 32).decode(), keeper.env.pop("TIENDO_KEY_FILE")
    try:
        code, text = verify(keeper, folder)
        assert code == 1 and "forged or damaged" in text
    finally:
        keeper.env["TIENDO_KEY_FILE"] = file
        del keeper.env["TIENDO_MASTER_KEY"]


# ---- retention: from here on the beginning is gone ------------------------------------------------------------
def cut(cluster):
    return cluster.query("SELECT coalesce(max(position), 0) FROM journal_cut")[0][0]


def test_nothing_young_is_cut_whoever_asks(cluster, keeper, figure):
    position, digest = cluster.query("SELECT position, encode(hash, 'hex') FROM journal_seal ORDER BY position DESC LIMIT 1")[0]
    for days in (30, 0, -1000):
        assert cluster.query("SELECT journal_cut_at(%s, %s, 'x', %s)", [position, digest, days], role="tiendo_service") == [(False,)]
    assert cluster.query("SELECT journal_cut_at(%s, %s, 'x', 30)", [position, "0" * 64], role="tiendo_service") == [(False,)]
    assert cut(cluster) == 0


def test_what_is_old_is_cut_at_a_checkpoint(world, cluster, keeper, folder, figure, number, moved):
    by = world.connector()
    place = by.get("/v1/changes", limit=1).json()["page"]["next"]
    old = newest(folder)
    forged = folder / ("journal-%020d.json" % (old - 1))
    forged.write_text(json.dumps({"position": old - 1, "hash": "0" * 64, "at": "2020-01-01T00:00:00.000Z", "mac": "0" * 64}))
    moved.move(40 * DAY)
    world.forget()
    world.must(world.connector().enter(number, "AA-W1-C2", "2026-Q1", {"number": 1}))
    assert wait_for(lambda: cut(cluster) > 0 and cluster.query("SELECT min(position) FROM journal_seal")[0][0] > cut(cluster)), keeper.log()[-2000:]
    forged.unlink()
    at = cut(cluster)
    assert at <= old and (folder / ("journal-%020d.json" % at)).exists() and (folder / ("cut-%020d.json" % at)).exists()
    assert cluster.query("SELECT count(*) FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq)")[0][0] <= 5
    assert cluster.query("SELECT count(*) FROM value_revision WHERE value_id = %s", [figure]) == [(2,)], "revisions are the register's and stay"
    assert wait_for(lambda: unsealed(cluster) == 0)
    text = sound(keeper, folder)
    assert f"The chain begins behind position {at}" in text
    told = cluster.query("SELECT action, account_id, after ->> 'position' FROM journal WHERE resource_type = 'journal'")
    assert told == [("cut", None, str(at))] * 2, "each root is told, by nobody"
    answer = world.connector().get("/v1/changes", after=place)
    assert answer.status == 410 and answer.code == "cursor_expired"
    assert world.connector().get("/v1/changes").status == 200
    event = world.at("AA-TU", "inspector").items("/v1/audit-events", action="cut")[0]
    assert event["actor"] == {"kind": "system"} and event["resource_type"] == "journal"
    moved.back()


def test_a_cut_that_no_file_attests_is_found(cluster, keeper, folder):
    at = cut(cluster)
    assert at > 0
    for name, word in (("journal-%020d.json" % at, "no signed checkpoint says"), ("cut-%020d.json" % at, "not by the service")):
        kept = (folder / name).read_text()
        (folder / name).unlink()
        try:
            code, text = verify(keeper, folder)
            assert code == 1 and word in text
        finally:
            (folder / name).write_text(kept)
    sound(keeper, folder)


def test_a_kill_in_the_midst_of_a_cut_loses_nothing(world, cluster, keeper, directory, clock, folder, number, moved):
    """Two processes cut, one is killed again and again; what is left is sound and begins at a checkpoint."""
    for n in range(6):
        rows = [{"indicator": number, "organization": f"AA-W1-C{c}", "period": f"2026-{p}", "number": n} for c in range(1, 5) for p in ("Q1", "Q2", "Q3")]
        assert world.connector().post("/v1/values/imports", rows, [("Idempotency-Key", samples.fresh("k"))]).status == 200
    assert wait_for(lambda: unsealed(cluster) == 0)
    head = cluster.query("SELECT position FROM seal_state")[0][0]
    assert wait_for(lambda: newest(folder) >= head)
    before = cut(cluster)
    other = Service(cluster, directory, clock, seal_interval_ms=20, checkpoint_dir=folder, checkpoint_interval_s=1, audit_retention_days=30,
                    issuer=world.service.env["TIENDO_ISSUER"]).start()
    moved.move(80 * DAY)
    for _ in range(6):
        time.sleep(0.4)
        other.kill()
        other.start()
    assert wait_for(lambda: cut(cluster) > before and cluster.query("SELECT min(position) FROM journal_seal")[0][0] == cut(cluster) + 1)
    other.assert_clean(other.stop())
    assert wait_for(lambda: unsealed(cluster) == 0)
    sound(keeper, folder)
    assert cluster.query("SELECT count(*) FROM value v WHERE NOT EXISTS (SELECT FROM value_revision r WHERE r.value_id = v.id AND r.version = v.version)") == [(0,)]
