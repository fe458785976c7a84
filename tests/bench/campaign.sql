-- A campaign of the province of province.sql, in its one phase: 2,186 Party organisations below the root, each told to do eight kinds of thing twice
-- (17,488 pairs of unit and kind, 34,976 rows), and 200,000 activities of theirs, of which one in ten is still to be done and half of those late.
\set ON_ERROR_STOP on
SET ROLE tiendo_owner;
SET search_path = tiendo, public;
BEGIN;
INSERT INTO campaign (id, programme_id, scope_id, owner_id, code, title, status)
SELECT '01900000-0000-7000-8000-500000000000', '01900000-0000-7000-8000-200000000000', o.id, o.id, 'BN-TT', 'Tuyên truyền chuyển đổi số', 'active'
FROM organization o WHERE o.code = 'BN-TU';
INSERT INTO campaign_phase (id, campaign_id, code, position, starts_on, ends_on)
VALUES ('01900000-0000-7000-8000-500000000001', '01900000-0000-7000-8000-500000000000', 'GD1', 1, today() - 200, today() + 200);
INSERT INTO campaign_reach_target (phase_id, of, percent) VALUES ('01900000-0000-7000-8000-500000000001', 'party_organizations', 100);
CREATE TEMP TABLE doer ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY o.scope_key) - 1 AS n, o.id, o.code, o.scope_key
FROM organization o WHERE o.code ~ '^BN-10' AND o.kind <> 'party_building_board';
INSERT INTO campaign_assignment (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, set_quantity, set_due_on,
  quantity, due_on, setter_id)
SELECT ('01900000-0000-7000-8000-' || lpad((510000000000 + d.n * 100 + k * 10 + h)::text, 12, '0'))::uuid, '01900000-0000-7000-8000-500000000000',
  '01900000-0000-7000-8000-500000000001', '01900000-0000-7000-8000-200000000000', d.id, d.code, d.scope_key, 'kind_' || k, 6 + h, today() + 100 * h, 6 + h, today() + 100 * h, d.id
FROM doer d, generate_series(1, 8) k, (VALUES (-1), (1)) half(h);
INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind, title, starts_on, ends_on, done_on,
  planned, done, contacts_planned, contacts_reached, status, reason, on_behalf, entered_by, seat_id, grant_id)
SELECT ('01900000-0000-7000-8000-' || 520000000000 + i)::uuid, '01900000-0000-7000-8000-500000000000', '01900000-0000-7000-8000-500000000001',
  '01900000-0000-7000-8000-200000000000', d.id, d.code, d.scope_key, 'kind_' || 1 + i / 2186 % 8, 'Sinh hoạt chuyên đề ' || i, today() + (i % 20 - 20) * 5,
  today() + (i % 20 - 10) * 5, CASE WHEN i % 10 > 0 THEN today() END, 1, CASE WHEN i % 10 > 0 THEN 1 ELSE 0 END, 40, CASE WHEN i % 10 > 0 THEN 35 END,
  CASE WHEN i % 10 > 0 THEN 'done' ELSE 'planned' END, NULL, false, d.code, d.id, d.id
FROM generate_series(0, 199999) i JOIN doer d ON d.n = i % 2186;
COMMIT;
