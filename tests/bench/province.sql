-- A province of 2,281 units below the root BN-TU: 95 wards, each with a board, two grassroots organisations and 20 cells;
-- a programme with eight quarterly indicators assigned to every cell, and their targets. Written in bulk as the owner's
-- role, through the schema's own triggers. Units have the codes BN-100001 … and ids that end in the same number:
--   1–95 wards, 96–190 boards, 191–380 grassroots organisations, 381–2280 cells.
-- :first is the first day of the first period.
\set ON_ERROR_STOP on
SET ROLE tiendo_owner;
SET search_path = tiendo, public;
BEGIN;
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT n, ('01900000-0000-7000-8000-' || 100000100000 + n)::uuid AS id, 'BN-' || 100000 + n AS code,
  CASE WHEN n <= 95 THEN NULL WHEN n <= 190 THEN n - 95 WHEN n <= 380 THEN (n - 191) / 2 + 1
    ELSE 191 + (n - 381) / 10 END AS parent,
  CASE WHEN n <= 95 THEN 'directly_subordinate_party_committee' WHEN n <= 190 THEN 'party_building_board'
    WHEN n <= 380 THEN 'grassroots_party_organization' ELSE 'party_cell' END AS kind,
  CASE WHEN n <= 95 THEN 'Đảng ủy phường ' || n WHEN n <= 190 THEN 'Ban Xây dựng Đảng phường ' || n - 95
    WHEN n <= 380 THEN 'Đảng bộ cơ sở ' || n - 190 ELSE 'Chi bộ khu phố ' || n - 380 END AS name
FROM generate_series(1, 2280) n;

DO $do$
DECLARE
  root uuid := (SELECT id FROM organization WHERE code = 'BN-TU');
  level int4range;
BEGIN
  FOREACH level IN ARRAY ARRAY[int4range(1, 96), int4range(96, 381), int4range(381, 2281)] LOOP
    INSERT INTO organization (id, root_id, parent_id, code, scope_key, name, kind, made_up, valid_from)
    SELECT m.id, root, coalesce(p.id, root), m.code, '000000', m.name, m.kind, true, '2020-01-01'
    FROM made m LEFT JOIN made p ON p.n = m.parent WHERE level @> m.n ORDER BY m.n;
    INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
    SELECT o.id, o.scope_key, daterange('2020-01-01', NULL), o.name, o.kind, o.parent_id
    FROM made m JOIN organization o ON o.id = m.id WHERE level @> m.n ORDER BY m.n;
    ANALYZE organization, organization_span, organization_closure;
  END LOOP;
END $do$;
INSERT INTO organization_identifier (organization_id, scope_key, scheme, value, validity)
SELECT id, scope_key, 'statistics', substr(code, 4), daterange('2025-07-01', NULL)
FROM organization WHERE kind = 'directly_subordinate_party_committee';

INSERT INTO programme (id, code, title, document, owner_id, scope_id, starts_on, ends_on)
SELECT '01900000-0000-7000-8000-200000000000', 'BN-CDS', 'Chương trình chuyển đổi số', '01-KH/TU', id, id, :'first', '2035-12-31'
FROM organization WHERE code = 'BN-TU';
INSERT INTO indicator (id, programme_id, code, name, unit, kind, direction, aggregation, frequency)
SELECT ('01900000-0000-7000-8000-' || 200000000000 + n)::uuid, '01900000-0000-7000-8000-200000000000', 'BN-I' || n, 'Chỉ tiêu ' || n,
  CASE WHEN n <= 6 THEN 'percent' ELSE 'lượt' END, CASE WHEN n <= 6 THEN 'ratio' ELSE 'number' END, 'increase',
  CASE WHEN n <= 6 THEN 'ratio_of_sums' ELSE 'sum' END, 'quarter'
FROM generate_series(1, 8) n;
INSERT INTO assignment (id, indicator_id, kind, under_id, mode, validity)
SELECT ('01900000-0000-7000-8000-' || 300000000000 + n)::uuid, ('01900000-0000-7000-8000-' || 200000000000 + n)::uuid, 'party_cell', o.id, 'own',
  daterange(:'first', NULL)
FROM generate_series(1, 8) n, organization o WHERE o.code = 'BN-TU';
INSERT INTO target (id, indicator_id, organization_id, starts_on, comparator, value, due_on)
SELECT ('01900000-0000-7000-8000-' || 400000000000 + n)::uuid, ('01900000-0000-7000-8000-' || 200000000000 + n)::uuid, o.id, :'first', 'ge',
  CASE WHEN n <= 6 THEN 90 ELSE 100000 END, '2030-12-31'
FROM generate_series(1, 8) n, organization o WHERE o.code = 'BN-TU';
COMMIT;
-- The peer of the import: the same table without triggers and policies; the peer of a PUT: its least form.
CREATE TABLE bench_value (LIKE value INCLUDING ALL);
CREATE TABLE bench_bare (indicator_id uuid, period_id uuid, scope_key text COLLATE "C", category text COLLATE "C", numerator numeric,
  denominator numeric, version bigint NOT NULL DEFAULT 1, updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (indicator_id, period_id, scope_key, category));
GRANT SELECT, INSERT, UPDATE, DELETE ON bench_value, bench_bare TO tiendo_service;
RESET ROLE;
VACUUM ANALYZE;
