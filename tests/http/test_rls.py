"""The database by itself, as the serving role: what a person with psql and that role could see and do."""
import uuid

import psycopg2
import pytest
from harness import activities
from harness.world import ROLES

# The same for everybody, or nobody's: lists of words, and the tests' own clock.
PUBLIC = {"organization_kind", "permission", "role_permission", "report_transition", "recognition_transition", "test_clock", "period"}
# Without a caller entered these give one thing each, to whoever proves a secret or needs a public key; see 0009.
BEFORE_ENTERING = {"login_begin", "login_fail", "login_finish", "client_check", "client_session", "refresh_use", "session_end",
                   "signing_keys", "calendar_enter", "calendar_shared", "activation_begin", "activation_fail", "activation_finish", "signing_key_active", "seal_step", "housekeeping", "enter"}
SEATS = ("AA-TU", "AA-W1", "AA-BTG", "AA-W1-XD", "AA-W1-C1", "BB-W1")


@pytest.fixture
def db(cluster):
    """The serving role in a transaction that is never committed."""
    connection = psycopg2.connect(cluster.dsn("tiendo_service"))
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture(scope="module", autouse=True)
def work(world):
    """Something of what units do in campaigns, in sight and out of it."""
    for unit in ("AA-TU", "AA-W1", "AA-W1-C1", "AA-W2"):
        proposes = {"indicator": "AA-SUM", "period": "2026-Q3", "number": 3} if unit != "AA-TU" else None
        activities.activity(world, unit, by=world.connector(), **({"proposes": proposes} if proposes else {}))


def rows(db, sql, parameters=None):
    with db.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def attempt(db, sql, parameters=None):
    """(rows or row count, None) or (None, SQLSTATE); the transaction goes on."""
    rows(db, "SAVEPOINT here")
    try:
        return rows(db, sql, parameters), None
    except psycopg2.Error as error:
        rows(db, "ROLLBACK TO here")
        return None, error.pgcode


@pytest.fixture(scope="module")
def relations(world, cluster):
    """{table or view: [columns that the serving role may read]}"""
    found = cluster.query("""SELECT c.relname, coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (
            WHERE has_column_privilege('tiendo_service', c.oid, a.attnum, 'SELECT')), '{}')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'tiendo'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') GROUP BY 1 ORDER BY 1""")
    return dict(found)


@pytest.fixture(scope="module")
def granted(world, cluster):
    """{(table, column): may it be updated, inserted} by the serving role."""
    return {(table, column): (update, insert) for table, column, update, insert in cluster.query("""SELECT c.relname, a.attname,
            has_column_privilege('tiendo_service', c.oid, a.attnum, 'UPDATE'),
            a.attidentity = '' AND a.attgenerated = '' AND has_column_privilege('tiendo_service', c.oid, a.attnum, 'INSERT')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'tiendo'::regnamespace AND c.relkind = 'r' ORDER BY a.attnum""")}


@pytest.fixture
def tree(world, cluster):
    """{code: scope_key} of every unit."""
    return dict(cluster.query("SELECT code, scope_key FROM organization"))


def under(tree, *codes):
    keys = tuple(tree[code] for code in codes)
    return {key for key in tree.values() if key.startswith(keys)}


def scope(tree, seat):
    """The keys that a seat sees: its subtree and the areas of its mandates."""
    return under(tree, seat, *{"AA-BTG": ["AA-TU"], "AA-W1-XD": ["AA-W1"]}.get(seat, []))


@pytest.fixture
def enter(world, cluster, db):
    """Enters as the role seated in the unit, with a permission."""
    def go(seat, role, permission="me:read"):
        world.at(seat, role)
        grant, session, account = cluster.query("""SELECT g.id, s.id, a.id FROM access_grant g JOIN account a ON a.id = g.account_id
            JOIN session s ON s.grant_id = g.id WHERE a.username = %s ORDER BY s.created_at DESC LIMIT 1""", [f"{seat}.{role}".lower()])[0]
        kid = cluster.query("SELECT kid FROM signing_key WHERE signs_until IS NULL ORDER BY created_at DESC LIMIT 1")[0][0]
        rows(db, "SELECT tiendo.enter(%s, %s, %s, %s)", [grant, session, kid, permission])
        return grant, session, account
    return go


# ---- the role ------------------------------------------------------------------------------------------------
def test_the_role_owns_nothing_and_bypasses_nothing(world, cluster):
    assert cluster.query("""SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles
        WHERE rolname = 'tiendo_service'""") == [(False,) * 5]
    assert cluster.query("SELECT count(*) FROM pg_auth_members WHERE member = 'tiendo_service'::regrole") == [(0,)]
    for catalogue, owner in (("pg_class", "relowner"), ("pg_proc", "proowner"), ("pg_namespace", "nspowner"), ("pg_type", "typowner"),
                             ("pg_database", "datdba")):
        assert cluster.query(f"SELECT count(*) FROM {catalogue} WHERE {owner} = 'tiendo_service'::regrole") == [(0,)], catalogue
    assert cluster.query("""SELECT has_schema_privilege('tiendo_service', 'tiendo', 'CREATE'),
        has_schema_privilege('tiendo_service', 'public', 'CREATE'), has_database_privilege('tiendo_service', 'tiendo', 'CREATE')""") == [(False,) * 3]


def test_every_table_is_guarded_against_all(world, cluster):
    """But lists of words that are the same for everybody, which nobody but the owner writes."""
    open_ = cluster.query("""SELECT relname FROM pg_class WHERE relnamespace = 'tiendo'::regnamespace AND relkind IN ('r', 'p')
        AND NOT (relrowsecurity AND relforcerowsecurity)""")
    for table, in open_:
        readable, written = cluster.query("""SELECT has_table_privilege('tiendo_service', %(t)s, 'SELECT'),
            has_any_column_privilege('tiendo_service', %(t)s, 'INSERT, UPDATE') OR has_table_privilege('tiendo_service', %(t)s, 'DELETE, TRUNCATE')""",
                                          {"t": f"tiendo.{table}"})[0]
        assert not written, table
        assert not readable or table in PUBLIC, table


def test_nothing_is_for_the_public(world, cluster):
    assert cluster.query("""SELECT p.oid::regprocedure::text FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'tiendo'::regnamespace AND a.grantee = 0 AND p.proname NOT IN ('keyrange', 'keymultirange')
        AND p.proname <> 'clock_now'""") == []


def test_definer_functions_have_a_fixed_search_path(world, cluster):
    loose = cluster.query("""SELECT proname FROM pg_proc WHERE pronamespace = 'tiendo'::regnamespace AND prosecdef
        AND NOT coalesce(array_to_string(proconfig, ',') LIKE '%%search_path=%%', false)""")
    assert loose in ([], [("enter",)])


# ---- nobody entered ------------------------------------------------------------------------------------------
def test_without_a_caller_every_table_is_empty(db, relations):
    assert len(relations) > 20
    for table, columns in relations.items():
        if not columns:
            assert attempt(db, f"SELECT count(*) FROM tiendo.{table}")[1] == "42501", table
        elif table not in PUBLIC:
            assert rows(db, f"SELECT {', '.join(columns)} FROM tiendo.{table} LIMIT 1") == [], table
    assert {p for p, in rows(db, "SELECT DISTINCT programme_id FROM tiendo.period")} <= {None}, "a programme's phases are its own"


def call_all(db, cluster, code, unit):
    """Every function that the service may execute and that reads, with arguments that name the unit: (name, signature, rows or None)."""
    given = {"uuid": str(unit), "text": code, "jsonb": "{}", "int4": 5, "int8": 5, "date": "2026-01-01", "uuid[]": [str(unit)],
             "_uuid": [str(unit)], "_text": [code], "bytea": b"x", "bool": True, "numeric": 1, "code": code}
    functions = cluster.query("""SELECT p.proname, p.oid::regprocedure::text, array(SELECT t.typname::text FROM unnest(p.proargtypes) WITH ORDINALITY u(o, n)
            JOIN pg_type t ON t.oid = u.o ORDER BY u.n)
        FROM pg_proc p WHERE p.pronamespace = 'tiendo'::regnamespace AND p.prokind = 'f' AND p.provolatile <> 'i'
        AND has_function_privilege('tiendo_service', p.oid, 'EXECUTE') AND p.prorettype <> 'trigger'::regtype ORDER BY 1""")
    for name, signature, types in functions:
        if name in BEFORE_ENTERING:
            continue
        cast = [f"%s::{t[1:]}[]" if t.startswith("_") else f"%s::{t}" if t in given and t != "code" else f"%s::tiendo.{t}" for t in types]
        yield name, signature, attempt(db, f"SELECT x::text FROM tiendo.{name}({', '.join(cast)}) x", [given.get(t) for t in types])[0]


def test_without_a_caller_no_function_gives_anything(db, cluster, world):
    """Each function that reads the database, called with arguments that name what there is."""
    ids = dict(cluster.query("SELECT code, id FROM organization"))
    marks = [code for code in ids if code != "AA-W1"] + [str(i) for i in ids.values() if i != ids["AA-W1"]] + ["Hòa Bình", "An Bình", "Bảo Lộc"]
    called = 0
    for name, signature, found in call_all(db, cluster, "AA-W1", ids["AA-W1"]):
        called += found is not None
        for cell, in found or []:
            assert not any(mark in (cell or "") for mark in marks), (signature, cell[:300])
    assert called > 20


@pytest.mark.parametrize("role", ROLES)
def test_entered_no_function_gives_what_is_out_of_scope(world, db, enter, cluster, role):
    """Each function, asked by someone in AA-W1 for a unit beside it and for one of another root, to read and under all that the role may write."""
    ids = dict(cluster.query("SELECT code, id FROM organization"))
    names = dict(cluster.query("SELECT code, name FROM organization"))
    permissions = [p for p, in cluster.query("""SELECT permission FROM role_permission WHERE role = %s
        AND (permission LIKE '%%:write' OR permission IN ('organizations:read', 'audit:read', 'accounts:read')) ORDER BY 1""", [role])]
    for target in ("AA-W2", "BB-W1"):
        unseen = [c for c in ids if c != target and c not in ("AA-TU",) and not c.startswith("AA-W1")]
        marks = [f'"{c}"' for c in unseen] + [str(ids[c]) for c in unseen] + [names[target], names["BB-TU"]]
        for permission in permissions:
            enter("AA-W1", role, permission)
            for name, signature, found in call_all(db, cluster, target, ids[target]):
                # (the directory names the units of one's own root to everybody)
                allowed = name.startswith(("directory", "successor_codes")) and target == "AA-W2"
                for cell, in found or []:
                    assert allowed or not any(mark in (cell or "") for mark in marks), (signature, permission, cell[:300])
            db.rollback()


def test_the_settings_do_not_outlive_the_transaction(db, enter):
    enter("AA-TU", "viewer")
    assert rows(db, "SELECT count(*) FROM tiendo.organization")[0][0] > 5
    db.rollback()
    assert rows(db, "SELECT count(*) FROM tiendo.organization") == [(0,)]


@pytest.mark.parametrize("wrong", ["grant", "session", "key", "pair"])
def test_entering_takes_what_belongs_together(world, db, cluster, enter, wrong):
    grant, session, _ = enter("AA-W1", "viewer")
    db.rollback()
    kid = cluster.query("SELECT kid FROM signing_key LIMIT 1")[0][0]
    world.at("AA-TU", "viewer")
    other = cluster.query("SELECT g.id FROM access_grant g JOIN organization o ON o.id = g.organization_id WHERE o.code = 'AA-TU' LIMIT 1")[0][0]
    arguments = {"grant": [str(uuid.uuid4()), session, kid], "session": [grant, str(uuid.uuid4()), kid], "key": [grant, session, "no-such"],
                 "pair": [other, session, kid]}[wrong]
    assert attempt(db, "SELECT tiendo.enter(%s, %s, %s, 'me:read')", arguments) == (None, "TD401")
    assert rows(db, "SELECT count(*) FROM tiendo.organization") == [(0,)]


# ---- entered -------------------------------------------------------------------------------------------------
def definition(tree, seat):
    """Definitions hold downwards: a seat sees also those of the units above it."""
    return scope(tree, seat) | {key for key in tree.values() if tree[seat].startswith(key)}


@pytest.mark.parametrize("seat", SEATS)
@pytest.mark.parametrize("role", ROLES)
def test_entered_every_table_shows_the_scope_alone(world, db, enter, relations, tree, cluster, seat, role):
    _, _, account = enter(seat, role)
    seen, covers = scope(tree, seat), definition(tree, seat)
    for table, columns in relations.items():
        if "scope_key" not in columns:
            continue
        keys = {key for key, in rows(db, f"SELECT DISTINCT scope_key FROM tiendo.{table}")}
        all_keys = {key for key, in cluster.query(f"SELECT DISTINCT scope_key FROM {table}")}
        # A mandate by kind is its giver's and concerns every unit of the kind below.
        if table in ("programme", "programme_pillar", "indicator", "assignment", "assignment_unit", "target", "mandate", "report_duty", "campaign"):
            assert keys <= covers, (table, keys - covers)
        elif table in ("account", "client", "access_grant") and role != "administrator":
            assert not keys, table
        else:
            assert keys <= seen, (table, keys - seen)
        if table == "organization":
            assert keys == all_keys & seen
    if "organization_closure" in relations and relations["organization_closure"]:
        mine = {i for i, in rows(db, "SELECT id FROM tiendo.organization")}
        columns = [c for c in relations["organization_closure"] if c.endswith("_id")]
        assert all({v for v in row} & mine for row in rows(db, f"SELECT {', '.join(columns)} FROM tiendo.organization_closure"))


# Tables and views without a key of their own, and what they go by.
BY_OTHERS = {"idempotency": "the caller", "organization_closure": "its units", "client_secret": "its client", "directory": "one's root, codes and names alone",
             "directory_span": "one's root, codes and names alone", "organization_carry": "its successor", "organization_lineage": "its units",
             "reorganization": "its units", "task_read": "its account", "calendar_subscription": "its account", "attachment": "its report or activity", "attachment_chunk": "its attachment", "holiday": "the country's, and one's root",
             "campaign_term": "the service's, and one's root's", "campaign_topic": "its campaign", "campaign_phase": "its campaign",
             "campaign_reach_target": "its phase", "product_reach": "its product",
             **{f"report_{part}": "its report" for part in ("section", "draft", "total", "version", "figure", "event", "comment")},
             **{f"report_duty_{part}": "its duty" for part in ("organization", "section", "indicator", "stands_for")}}


def test_tables_without_a_key_are_closed_or_ones_own(world, db, enter, relations):
    enter("AA-TU", "administrator")
    keyless = {table for table, columns in relations.items() if columns and "scope_key" not in columns and table not in PUBLIC}
    assert keyless <= set(BY_OTHERS), f"what guards {keyless - set(BY_OTHERS)}?"


@pytest.mark.parametrize("column,table", [("password_hash", "account"), ("secret_hash", "client_secret"), ("private_sealed", "signing_key"),
                                          ("token_hash", "refresh_token"), ("id", "session"), ("key", "login_throttle"), ("hash", "seal_state")])
def test_secrets_cannot_be_read(db, enter, column, table):
    for role in ("administrator", "inspector"):
        enter("AA-TU", role)
        assert attempt(db, f"SELECT {column} FROM tiendo.{table}") == (None, "42501")
        assert attempt(db, f"SELECT * FROM tiendo.{table}") == (None, "42501")
        db.rollback()


def test_idempotency_rows_are_their_callers_own(world, db, enter, cluster):
    from harness import samples
    for who in ("AA-TU", "AA-W1"):
        world.must(world.at(who, "manager").post("/v1/organizations", samples.body("organization_create", "AA-W1"),
                                                 [("Idempotency-Key", samples.fresh("rls"))]))
    assert cluster.query("SELECT count(DISTINCT caller) > 1 FROM idempotency") == [(True,)]
    for seat in ("AA-TU", "AA-W1"):
        _, _, account = enter(seat, "manager")
        assert {str(c) for c, in rows(db, "SELECT DISTINCT caller FROM tiendo.idempotency")} == {str(account)}
        found, state = attempt(db, "UPDATE tiendo.idempotency SET body = 'x'")
        assert state == "42501"
        assert attempt(db, """INSERT INTO tiendo.idempotency (caller, key, fingerprint, status) VALUES (%s, 'k', 'f', 200)""",
                       [str(uuid.uuid4())])[1] == "42501"
        db.rollback()


# ---- writing -------------------------------------------------------------------------------------------------
PERMISSIONS = ("organizations:write", "programmes:write", "indicators:write", "values:write", "accounts:write", "clients:write", "grants:write",
               "mandates:write", "reorganizations:write", "delegations:write", "me:write", "campaigns:write", "activities:write", "publications:write", "recognitions:write", "calendars:write")


@pytest.mark.parametrize("seat,role", [("AA-W1", role) for role in ROLES] + [("AA-W1-XD", "manager"), ("AA-BTG", "manager"), ("BB-W1", "manager")])
def test_updates_and_deletions_stay_where_one_may_write(world, db, enter, relations, granted, tree, seat, role):
    """Every column and table that the role may change at all, under every permission the role has: rows of the area it writes to, and no others."""
    area = under(tree, seat) | (scope(tree, seat) if seat in ("AA-W1-XD", "AA-BTG") else set())
    for permission in PERMISSIONS:
        try:
            enter(seat, role, permission)
        except psycopg2.Error as error:
            assert error.pgcode == "TD403"
            db.rollback()
            continue
        for table, columns in relations.items():
            if "scope_key" not in columns:
                continue
            changeable = [c for (t, c), (update, _) in granted.items() if t == table and update]
            for sql in [f"UPDATE tiendo.{table} SET {c} = {c} RETURNING scope_key" for c in changeable[:2]] + [f"DELETE FROM tiendo.{table} RETURNING scope_key"]:
                touched, state = attempt(db, sql)
                assert state in (None, "42501", "55000", "23503", "23514", "23505", "P0001", "TD401", "TD403", "TD409", "TD422"), (sql, state)
                assert {key for key, in touched or []} <= area, (sql, permission)
        db.rollback()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("elsewhere", ["AA-TU", "AA-W2", "BB-W1"])
def test_rows_of_elsewhere_cannot_be_inserted(world, db, enter, relations, granted, tree, cluster, role, elsewhere):
    """A row that is there already, copied under a new id, its unit named outright."""
    owner = cluster.connect()
    unit = rows(owner, "SELECT id FROM organization WHERE code = %s", [elsewhere])[0][0]
    for permission in PERMISSIONS:
        try:
            enter("AA-W1", role, permission)
        except psycopg2.Error:
            db.rollback()
            continue
        for table in relations:
            insertable = [c for (t, c), (_, insert) in granted.items() if t == table and insert]
            if "scope_key" not in insertable:
                continue
            found = rows(owner, f"SELECT {', '.join(c + '::text' for c in insertable)} FROM {table} WHERE scope_key = %s LIMIT 1", [tree[elsewhere]])
            if not found:
                continue
            values = dict(zip(insertable, found[0]))
            values.update({"id": str(uuid.uuid4())} if "id" in values else {})
            values.update({"organization_id": str(unit)} if "organization_id" in values else {})
            _, state = attempt(db, f"INSERT INTO tiendo.{table} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",
                               list(values.values()))
            assert state is not None, f"{role} of AA-W1 inserted into {table} for {elsewhere} under {permission}"
        db.rollback()
    owner.close()


@pytest.mark.parametrize("setting", ["rekey", "on", "rekey x"])
def test_no_figure_is_changed_without_a_trace(world, db, enter, cluster, setting):
    """The setting by which the owner moves values says nothing without its word, which cannot be read."""
    world.must(world.connector().enter("AA-SUM", "AA-W1", "2025-Q3", {"number": 5})) if setting == "rekey" else None
    enter("AA-W1", "reporter", "values:write")
    assert attempt(db, "SELECT word FROM tiendo.recount_word")[1] == "42501"
    rows(db, "SELECT set_config('tiendo.recount', %s, true)", [setting])
    assert attempt(db, "UPDATE tiendo.value SET note = 'x' WHERE organization_code = 'AA-W1' RETURNING 1")[1] == "42501"


def test_the_journal_is_appended_to_and_by_oneself(world, db, enter, tree):
    enter("AA-W1", "manager", "organizations:write")
    for sql in ("UPDATE tiendo.journal SET action = 'x'", "DELETE FROM tiendo.journal", "DELETE FROM tiendo.journal_seal",
                "UPDATE tiendo.seal_state SET position = 0", "TRUNCATE tiendo.journal", "UPDATE tiendo.value_revision SET note = 'x'",
                "DELETE FROM tiendo.value_revision"):
        assert attempt(db, sql)[1] == "42501", sql
    row = "INSERT INTO tiendo.journal (account_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key) VALUES ({}, tiendo.me_grant(), " \
          "tiendo.me_session(), 'x', 'x', gen_random_uuid(), 1, %s)"
    assert attempt(db, row.format("gen_random_uuid()"), [tree["AA-W1"]])[1] == "42501", "as somebody else"
    assert attempt(db, row.format("tiendo.me_account()"), [tree["AA-W2"]])[1] == "42501", "about another's unit"
    assert attempt(db, row.format("tiendo.me_account()"), [tree["AA-W1"]])[1] is None
