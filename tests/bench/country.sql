-- The whole country below the root :root: 34 provinces and 3,321 communes as they are, 79 cells in each commune: 265,715 units with
-- the root. 30 monthly indicators over 24 months: every commune reports them (2.4 million values), and so do the cells of
-- the first ten communes of one province, so that each of these has 80 units and 57,600 values. Values, revisions, sums and
-- assignments are written as the schema's triggers would have left them, the sums folded. Ids begin with a number:
--   10000000 + n units (in breadth: provinces, communes, cells), 20000000 + n indicators.
-- Before it: the root made by bootstrap, and a table bench_unit (code, parent_code, name, kind) of provinces and communes.
\set ON_ERROR_STOP on
SET session_replication_role = replica; -- no triggers, no foreign keys looked up one by one
SET ROLE tiendo_owner;
SET search_path = tiendo, public;
SET synchronous_commit = off;
SET work_mem = '128MB';
SET maintenance_work_mem = '256MB';
CREATE FUNCTION pg_temp.key6(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT substr('0123456789abcdefghijklmnopqrstuv', (n >> 25 & 31)::int + 1, 1) || substr('0123456789abcdefghijklmnopqrstuv', (n >> 20 & 31)::int + 1, 1)
    || substr('0123456789abcdefghijklmnopqrstuv', (n >> 15 & 31)::int + 1, 1) || substr('0123456789abcdefghijklmnopqrstuv', (n >> 10 & 31)::int + 1, 1)
    || substr('0123456789abcdefghijklmnopqrstuv', (n >> 5 & 31)::int + 1, 1) || substr('0123456789abcdefghijklmnopqrstuv', (n & 31)::int + 1, 1) $$;
-- Ids differ in their first bits, as those made one after the other do: a GiST index knows uuids by these.
CREATE FUNCTION pg_temp.id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
  AS $$ SELECT (left(n::text, 1) || right(n::text, 7) || '-0000-7000-8000-000000000000')::uuid $$;
BEGIN;

-- ---- units -------------------------------------------------------------------------------------------------
CREATE TEMP TABLE place AS
SELECT row_number() OVER (ORDER BY u.parent_code <> '', u.parent_code, u.code) AS n, u.code, u.parent_code, u.name, u.kind, NULL::bigint AS up
FROM bench_unit u;
UPDATE place p SET up = q.n FROM place q WHERE q.code = p.parent_code AND p.parent_code <> '';
SELECT setval('organization_label', 400000);
CREATE TEMP TABLE root AS SELECT id, scope_key, code FROM organization WHERE code = :'root';
ANALYZE root, place;
CREATE TEMP TABLE unit AS
WITH label AS (SELECT 100000 AS first)
SELECT p.n, pg_temp.id(100000000000 + p.n) AS id, CASE WHEN p.up IS NULL THEN r.id ELSE pg_temp.id(100000000000 + p.up) END AS parent_id,
  'VN-' || p.code AS code, r.scope_key || CASE WHEN p.up IS NULL THEN '' ELSE pg_temp.key6(l.first + p.up) END || pg_temp.key6(l.first + p.n) AS key,
  CASE WHEN p.up IS NULL THEN CASE p.kind WHEN 'city' THEN 'Thành ủy ' ELSE 'Tỉnh ủy ' END || p.name ELSE 'Đảng ủy ' || lower(left(p.name, 1)) || substr(p.name, 2) END AS name,
  CASE WHEN p.up IS NOT NULL THEN 'directly_subordinate_party_committee' WHEN p.kind = 'city' THEN 'city_party_committee'
    ELSE 'provincial_party_committee' END AS kind,
  CASE WHEN p.up IS NULL THEN 1 ELSE 2 END AS depth, p.up
FROM place p, root r, label l;
INSERT INTO unit
SELECT 3355 + row_number() OVER (ORDER BY u.n, c.i), pg_temp.id(100000003355 + row_number() OVER (ORDER BY u.n, c.i)), u.id, u.code || '-' || lpad(c.i::text, 2, '0'),
  u.key || pg_temp.key6(100000 + 3355 + row_number() OVER (ORDER BY u.n, c.i)),
  (ARRAY['Chi bộ khu phố ', 'Chi bộ ấp ', 'Chi bộ thôn ', 'Chi bộ trường tiểu học ', 'Chi bộ trạm y tế ', 'Chi bộ quân sự ', 'Chi bộ công an '])[1 + c.i % 7] || c.i || ', ' || substr(u.name, 9), 'party_cell', 3, u.n
FROM unit u, generate_series(1, 79) c(i) WHERE u.depth = 2;
CREATE INDEX ON unit (n);
CREATE INDEX ON unit (id);
ANALYZE unit;
INSERT INTO organization (id, root_id, parent_id, code, scope_key, name, kind, made_up, valid_from, created_at, updated_at)
SELECT u.id, r.id, u.parent_id, u.code, u.key, u.name, u.kind, u.depth = 3, '2020-01-01', timestamptz '2026-01-01' + u.n % 86400 * interval '1 s', now()
FROM unit u, root r ORDER BY u.key;
INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id, search)
SELECT u.id, u.key, daterange('2020-01-01', NULL), u.name, u.kind, u.parent_id, fold(u.name || ' ' || u.code) FROM unit u ORDER BY u.key;
ANALYZE organization, organization_span;
COMMIT;
BEGIN;
INSERT INTO organization_closure (ancestor_id, descendant_id, depth, validity, scope_key)
SELECT u.id, u.id, 0, daterange('2020-01-01', NULL), u.key FROM unit u
UNION ALL SELECT p.id, u.id, 1, daterange('2020-01-01', NULL), u.key FROM unit u JOIN unit p ON p.n = u.up
UNION ALL SELECT g.id, u.id, 2, daterange('2020-01-01', NULL), u.key FROM unit u JOIN unit p ON p.n = u.up JOIN unit g ON g.n = p.up
UNION ALL SELECT r.id, u.id, u.depth, daterange('2020-01-01', NULL), u.key FROM unit u, root r;
INSERT INTO organization_identifier (organization_id, root_id, scope_key, scheme, value, validity)
SELECT u.id, r.id, u.key, 'statistics', substr(u.code, 4), daterange('2025-07-01', NULL) FROM unit u, root r WHERE u.depth < 3;
UPDATE organization o SET identifiers = json_build_array(json_build_object('scheme', 'statistics', 'value', substr(o.code, 4),
  'valid_from', '2025-07-01', 'valid_to', NULL)) FROM unit u WHERE u.id = o.id AND u.depth < 3;
COMMIT;
ANALYZE organization, organization_span, organization_closure;

-- ---- a programme with its indicators and assignments -------------------------------------------------------
BEGIN;
RESET ROLE;
SET LOCAL session_replication_role = origin; -- a few rows that find their own places
SET ROLE tiendo_owner;
INSERT INTO programme (id, code, title, document, owner_id, scope_id, starts_on, ends_on)
SELECT pg_temp.id(200000000000), 'VN-CDS', 'Chương trình chuyển đổi số', '01-CT/TW', id, id, '2020-01-01', '2035-12-31' FROM root;
INSERT INTO indicator (id, programme_id, code, name, unit, kind, direction, aggregation, frequency)
SELECT pg_temp.id(200000000000 + i), pg_temp.id(200000000000), 'VN-I' || lpad(i::text, 2, '0'), 'Chỉ tiêu ' || i,
  CASE WHEN i <= 20 THEN 'percent' ELSE 'lượt' END, CASE WHEN i <= 20 THEN 'ratio' ELSE 'number' END, 'increase',
  CASE WHEN i <= 20 THEN 'ratio_of_sums' ELSE 'sum' END, 'month'
FROM generate_series(1, 30) i;
INSERT INTO target (id, indicator_id, organization_id, starts_on, comparator, value, due_on)
SELECT pg_temp.id(400000000000 + 100 * u.n + i), pg_temp.id(200000000000 + i), u.id, '2025-01-01', 'ge',
  CASE WHEN i <= 20 THEN 90 ELSE 100000 END, '2030-12-31'
FROM generate_series(1, 30) i, unit u WHERE u.depth = 1;
COMMIT;
BEGIN;
CREATE TEMP TABLE reports AS
SELECT u.*, u.depth = 3 AS cell FROM unit u
WHERE u.depth = 2 OR u.up IN (SELECT c.n FROM unit c WHERE c.up = 20 ORDER BY c.n LIMIT 10);
ANALYZE reports;
INSERT INTO assignment (id, indicator_id, programme_id, scope_key, kind, under_id, unit_code, mode, validity)
SELECT pg_temp.id(300000000000 + 100 * a.n + i), pg_temp.id(200000000000 + i), pg_temp.id(200000000000), a.key, a.kind, a.id, a.code, 'own',
  daterange('2020-01-01', NULL)
FROM generate_series(1, 30) i, (SELECT 0 AS n, id, scope_key AS key, code, 'directly_subordinate_party_committee' AS kind FROM root
  UNION ALL SELECT DISTINCT c.n, c.id, c.key, c.code, 'party_cell' FROM reports r JOIN unit c ON c.n = r.up WHERE r.cell) a;
INSERT INTO assignment_unit (assignment_id, indicator_id, programme_id, organization_id, scope_key, mode, entered_by, source, validity, counted)
SELECT pg_temp.id(300000000000 + 100 * CASE WHEN r.cell THEN r.up ELSE 0 END + i), pg_temp.id(200000000000 + i), pg_temp.id(200000000000), r.id,
  r.key, 'own', 'self', 'any', daterange('2020-01-01', NULL), true
FROM generate_series(1, 30) i, reports r ORDER BY r.key;
INSERT INTO assignment_count (indicator_id, programme_id, scope_key, validity, units, own)
SELECT u.indicator_id, u.programme_id, left(u.scope_key, n), u.validity, count(*), count(*) FILTER (WHERE n = length(u.scope_key))
FROM assignment_unit u, generate_series(6, length(u.scope_key), 6) n GROUP BY 1, 2, 3, 4;

-- ---- accounts, grants and mandates of every committee --------------------------------------------------------
INSERT INTO account (id, organization_id, scope_key, username, display_name)
SELECT pg_temp.id(500000000000 + u.n), u.id, u.key, lower(u.code), 'Cán bộ ' || u.name FROM unit u WHERE u.depth < 3;
INSERT INTO access_grant (id, account_id, organization_id, scope_key, role, valid_from)
SELECT pg_temp.id(510000000000 + 10 * u.n + r.n), pg_temp.id(500000000000 + u.n), u.id, u.key, r.role, '2025-07-01'
FROM unit u, (VALUES (1, 'manager'), (2, 'approver')) r(n, role) WHERE u.depth < 3;
INSERT INTO mandate (id, giver_id, scope_key, unit_kind, over_parent, functions, valid_from)
SELECT pg_temp.id(520000000000 + u.n), u.id, u.key, 'party_building_board', true, '{read,enter}', '2025-07-01' FROM unit u WHERE u.depth < 3;

-- ---- values --------------------------------------------------------------------------------------------------
CREATE TEMP TABLE month AS
SELECT row_number() OVER (ORDER BY starts_on) AS n, id, code, ends_on FROM (
  SELECT * FROM period WHERE kind = 'month' AND ends_on < today() ORDER BY starts_on DESC LIMIT 24) p;
CREATE TEMP TABLE figure AS
SELECT row_number() OVER () AS n, x.* FROM (
  SELECT r.id AS unit_id, r.key, r.code, r.n AS unit, i, m.id AS month_id, m.code AS month,
    m.ends_on + (r.n % 28) * interval '1 day' + (r.n * 7 + i) % 86400 * interval '1 s' AS at
  FROM reports r, generate_series(1, 30) i, month m ORDER BY r.key, i, m.n) x;
INSERT INTO value (id, indicator_id, organization_id, period_id, programme_id, scope_key, category, indicator_code, organization_code, period_code,
  state, counted, numerator, denominator, number, on_behalf, entered_by, seat_id, account_id, grant_id, session_id, created_at, updated_at)
SELECT pg_temp.id(600000000000 + f.n), pg_temp.id(200000000000 + f.i), f.unit_id, f.month_id, pg_temp.id(200000000000), f.key, '',
  'VN-I' || lpad(f.i::text, 2, '0'), f.code, f.month, 'reported', true, CASE WHEN f.i <= 20 THEN (f.unit * 7 + f.i * 13) % 1000 END,
  CASE WHEN f.i <= 20 THEN 1000 END, CASE WHEN f.i > 20 THEN (f.unit + f.i) % 1000 END, false, f.code, f.unit_id, pg_temp.id(500000000001),
  pg_temp.id(510000000011), pg_temp.id(510000000011), f.at, f.at
FROM figure f ORDER BY f.n;
INSERT INTO value_revision (value_id, version, at, indicator_id, period_id, programme_id, scope_key, category, organization_code, period_code, state,
  numerator, denominator, number, on_behalf, entered_by, seat_id, account_id, grant_id, session_id)
SELECT id, 1, updated_at, indicator_id, period_id, programme_id, scope_key, category, organization_code, period_code, state,
  numerator, denominator, number, on_behalf, entered_by, seat_id, account_id, grant_id, session_id FROM value ORDER BY id;
INSERT INTO rollup (indicator_id, period_id, scope_key, category, programme_id, reported, not_applicable, done, numerator, denominator, number)
SELECT v.indicator_id, v.period_id, left(v.scope_key, n), '', v.programme_id, count(*), 0, 0, coalesce(sum(v.numerator), 0),
  coalesce(sum(v.denominator), 0), coalesce(sum(v.number), 0)
FROM value v, generate_series(6, 18, 6) n WHERE n < length(v.scope_key) GROUP BY 1, 2, 3, 5;
-- What the journal says of them: one indicator of the last month, not sealed yet.
INSERT INTO journal (at, account_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key, programme_id)
SELECT updated_at, account_id, grant_id, session_id, 'create', 'value', id, 1, scope_key, programme_id
FROM value WHERE period_id = (SELECT id FROM month ORDER BY n DESC LIMIT 1) AND indicator_id <= pg_temp.id(200000000010);
COMMIT;
RESET ROLE;
VACUUM ANALYZE;
