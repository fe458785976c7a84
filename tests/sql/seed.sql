-- A small province for the SQL tests: DN-TU with :wards wards, each with a board, two grassroots organisations and
-- 20 cells; the programme DN-464 with its eight indicators and their assignments and targets; accounts of every role.
-- Run by the cluster's superuser with -v wards=N.
SET search_path = tiendo, public;
SET client_min_messages = warning;

CREATE FUNCTION test_id() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = tiendo, public
  AS $$ SELECT overlay(overlay(gen_random_uuid()::text placing '7' from 15 for 1) placing '0198' from 1 for 4)::uuid $$;
-- The clock of the tests: what stands in test_clock, else the real time.
CREATE TABLE test_clock (at timestamptz);
GRANT SELECT ON test_clock TO tiendo_service, tiendo_owner;
CREATE OR REPLACE FUNCTION clock_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT coalesce((SELECT at FROM tiendo.test_clock), now()) $$;
INSERT INTO test_clock VALUES ('2026-07-10 09:00+07');

CREATE FUNCTION test_unit(p_code text, p_parent text, p_kind text, p_name text, p_attached boolean DEFAULT false) RETURNS uuid
  LANGUAGE plpgsql SET search_path = tiendo, public AS $$
DECLARE new_id uuid := test_id(); p uuid := (SELECT id FROM organization WHERE code = p_parent);
BEGIN
  INSERT INTO organization (id, root_id, parent_id, code, scope_key, name, kind, attached, valid_from)
  VALUES (new_id, new_id, p, p_code, '000000', p_name, p_kind, p_attached, '2020-01-01');
  INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id)
  VALUES (new_id, (SELECT scope_key FROM organization WHERE id = new_id), daterange('2020-01-01', NULL), p_name, p_kind, p);
  RETURN new_id;
END $$;

SELECT test_unit('DN-TU', NULL, 'provincial_party_committee', 'Tỉnh ủy Đồng Nai') \g (format=unaligned) /dev/null
SELECT test_unit('DN-' || c, 'DN-TU', k, n, a) FROM (VALUES
  ('BTV', 'standing_committee', 'Ban Thường vụ Tỉnh ủy', false),
  ('VPTU', 'advisory_support_agency', 'Văn phòng Tỉnh ủy', false),
  ('BTGDV', 'advisory_support_agency', 'Ban Tuyên giáo và Dân vận Tỉnh ủy', false),
  ('UBKT', 'inspection_committee', 'Ủy ban Kiểm tra Tỉnh ủy', false),
  ('MTTQ', 'fatherland_front_committee', 'Ủy ban Mặt trận Tổ quốc Việt Nam tỉnh', true)) x(c, k, n, a) \g /dev/null
SELECT test_unit('DN-W' || w, 'DN-TU', 'directly_subordinate_party_committee', 'Đảng ủy phường ' || w)
FROM generate_series(1, :wards) w \g /dev/null
SELECT test_unit('DN-W' || w || '-BXD', 'DN-W' || w, 'party_building_board', 'Ban Xây dựng Đảng phường ' || w),
  test_unit('DN-W' || w || '-DB1', 'DN-W' || w, 'grassroots_party_organization', 'Đảng bộ cơ sở 1 phường ' || w),
  test_unit('DN-W' || w || '-DB2', 'DN-W' || w, 'grassroots_party_organization', 'Đảng bộ cơ sở 2 phường ' || w)
FROM generate_series(1, :wards) w \g /dev/null
SELECT test_unit('DN-W' || w || '-CB' || lpad(c::text, 2, '0'), 'DN-W' || w || '-DB' || (1 + c % 2), 'party_cell',
  'Chi bộ ' || c || ' phường ' || w)
FROM generate_series(1, :wards) w, generate_series(1, 20) c ORDER BY w, c \g /dev/null
INSERT INTO organization_identifier (organization_id, scope_key, scheme, value, validity)
SELECT id, scope_key, 'statistics', (26000 + substr(code, 5)::int)::text, daterange('2025-07-01', NULL)
FROM organization WHERE kind = 'directly_subordinate_party_committee';

INSERT INTO programme (id, code, title, document, document_on, owner_id, scope_id, starts_on, ends_on)
SELECT test_id(), 'DN-464', 'Kế hoạch tổng thể', '464-KH/TU', '2025-05-07', b.id, o.id, '2025-05-07', '2028-12-31'
FROM organization o, organization b WHERE o.code = 'DN-TU' AND b.code = 'DN-BTV';
INSERT INTO programme_pillar SELECT id, scope_key, 'platforms', 'Nền tảng và ứng dụng số', 1 FROM programme;
INSERT INTO indicator (id, programme_id, code, pillar, name, unit, kind, direction, aggregation, frequency)
SELECT test_id(), p.id, x.* FROM programme p, (VALUES
  ('DN-01', 'platforms', 'Hạ tầng số được đáp ứng', 'milestone', 'milestone', NULL, 'count_done', 'quarter'),
  ('DN-02', 'platforms', 'Nền tảng, ứng dụng số được đưa vào sử dụng', 'percent', 'ratio', 'increase', 'ratio_of_sums', 'quarter'),
  ('DN-03', 'platforms', 'Dữ liệu số đáp ứng yêu cầu khai thác', 'milestone', 'milestone', NULL, 'count_done', 'quarter'),
  ('DN-04', 'platforms', 'Nghiệp vụ của Mặt trận Tổ quốc tỉnh trên môi trường số', 'milestone', 'milestone', NULL, 'none', 'quarter'),
  ('DN-05', 'platforms', 'Kiện toàn tổ chức bộ máy', 'milestone', 'milestone', NULL, 'count_done', 'quarter'),
  ('DN-06A', 'platforms', 'Tổ chức đảng được tuyên truyền', 'percent', 'ratio', 'increase', 'ratio_of_sums', 'quarter'),
  ('DN-06B', 'platforms', 'Cán bộ, đảng viên được tuyên truyền', 'percent', 'ratio', 'increase', 'ratio_of_sums', 'quarter'),
  ('DN-06C', 'platforms', 'Lực lượng nòng cốt được tuyên truyền', 'percent', 'ratio', 'increase', 'ratio_of_sums', 'quarter')) x;
INSERT INTO assignment (id, indicator_id, organization_id, kind, under_id, mode, entered_by, validity)
SELECT test_id(), i.id, CASE WHEN i.code = 'DN-04' THEN m.id END,
  CASE i.code WHEN 'DN-04' THEN NULL WHEN 'DN-06B' THEN 'party_cell' ELSE 'directly_subordinate_party_committee' END,
  CASE WHEN i.code <> 'DN-04' THEN t.id END, CASE WHEN i.code IN ('DN-02', 'DN-06A', 'DN-06C') THEN 'total' ELSE 'own' END,
  CASE WHEN i.code = 'DN-06B' THEN 'superior' ELSE 'self' END, daterange('2025-05-07', NULL)
FROM indicator i, organization t, organization m WHERE t.code = 'DN-TU' AND m.code = 'DN-MTTQ';
INSERT INTO target (id, indicator_id, organization_id, starts_on, comparator, value, due_on)
SELECT test_id(), i.id, o.id, '2025-05-07', CASE i.kind WHEN 'ratio' THEN 'ge' ELSE 'milestone' END,
  CASE i.kind WHEN 'ratio' THEN 100 END, CASE WHEN i.code LIKE 'DN-06%' THEN '2025-12-31' ELSE '2028-12-31' END::date
FROM indicator i, organization o WHERE o.code = 'DN-TU';

INSERT INTO signing_key (kid, public_jwk, private_sealed) VALUES ('test', '', '');
INSERT INTO mandate (id, giver_id, scope_key, unit_id, unit_kind, over_id, over_parent, functions, programme_id, valid_from)
SELECT test_id(), t.id, t.scope_key, u.id, NULL, t.id, false, f, CASE WHEN c = 'DN-BTGDV' THEN (SELECT id FROM programme) END, date '2025-01-01'
FROM organization t, (VALUES ('DN-VPTU', ARRAY['read', 'enter', 'define', 'review', 'remind', 'audit']),
  ('DN-BTGDV', ARRAY['read', 'define', 'review', 'remind']), ('DN-UBKT', ARRAY['read', 'audit', 'remind'])) x(c, f)
  JOIN organization u ON u.code = x.c
WHERE t.code = 'DN-TU'
UNION ALL
SELECT test_id(), t.id, t.scope_key, NULL, 'party_building_board', NULL, true, ARRAY['read', 'enter', 'remind'], NULL, date '2025-01-01'
FROM organization t WHERE t.code = 'DN-TU';

-- Every (unit, role) that a test enters as gets its account, grant and session when it is first asked for.
CREATE TABLE test_caller (unit text, role text, grant_id uuid, session_id uuid, PRIMARY KEY (unit, role));
CREATE FUNCTION test_enter(p_unit text, p_role text, p_permission text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = tiendo, public AS $$
DECLARE c test_caller; o uuid; a uuid;
BEGIN
  SELECT * INTO c FROM test_caller WHERE unit = p_unit AND role = p_role;
  IF NOT FOUND THEN
    SELECT id INTO STRICT o FROM organization WHERE code = p_unit;
    a := test_id(); c.grant_id := test_id(); c.session_id := test_id();
    IF p_role = 'connector' THEN
      INSERT INTO client (id, organization_id, scope_key, name, scopes)
      VALUES (a, o, '', 'test', ARRAY(SELECT code FROM permission));
    ELSE
      INSERT INTO account (id, organization_id, scope_key, username, display_name)
      VALUES (a, o, '', lower(p_unit || '.' || p_role), p_role);
    END IF;
    INSERT INTO access_grant (id, account_id, client_id, organization_id, scope_key, role, valid_from)
    VALUES (c.grant_id, CASE WHEN p_role <> 'connector' THEN a END, CASE WHEN p_role = 'connector' THEN a END, o, '', p_role, '2025-01-01');
    INSERT INTO session (id, grant_id, account_id, client_id, expires_at)
    VALUES (c.session_id, c.grant_id, CASE WHEN p_role <> 'connector' THEN a END, CASE WHEN p_role = 'connector' THEN a END, 'infinity');
    INSERT INTO test_caller VALUES (p_unit, p_role, c.grant_id, c.session_id);
  END IF;
  PERFORM enter(c.grant_id, c.session_id, 'test', p_permission);
END $$;
GRANT EXECUTE ON FUNCTION test_enter(text, text, text), test_id() TO tiendo_service;

-- Runs a statement and gives what it raised: 'code' of the problem with its faults, or 'ok'.
CREATE FUNCTION test_try(sql text) RETURNS text LANGUAGE plpgsql SET search_path = tiendo, public AS $$
DECLARE d text; m text; s text;
BEGIN
  EXECUTE sql;
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, s = RETURNED_SQLSTATE;
  RETURN s || ' ' || m || CASE WHEN s = 'TD422' THEN ' ' || coalesce((SELECT string_agg(coalesce(f ->> 'pointer', f ->> 'parameter')
    || ':' || (f ->> 'code'), ',') FROM jsonb_array_elements(d::jsonb) f), '') ELSE '' END;
END $$;
GRANT EXECUTE ON FUNCTION test_try(text) TO tiendo_service;
-- What a test prepares behind the policies: statements run as the cluster's superuser.
CREATE FUNCTION test_prepare(statements text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public AS $$
BEGIN
  EXECUTE statements;
END $$;
GRANT EXECUTE ON FUNCTION test_prepare(text) TO tiendo_service;
-- A line of the report.
CREATE FUNCTION test(what text, got text, wanted text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN got IS NOT DISTINCT FROM wanted THEN 'ok ' || what
    ELSE format('not ok %s: got %s, wanted %s', what, coalesce(got, 'null'), coalesce(wanted, 'null')) END $$;
GRANT EXECUTE ON FUNCTION test(text, text, text) TO tiendo_service;
-- Puts a value and gives its status and version.
CREATE FUNCTION test_put(i text, o text, p text, body text, match text DEFAULT NULL, absent text DEFAULT '*', category text DEFAULT NULL)
  RETURNS text LANGUAGE sql AS $$
  SELECT r.status || ' ' || r.version FROM value_put(i, o, p, category, body::jsonb, match, CASE WHEN match IS NULL THEN absent END, test_id(), 'test') r $$;
-- Imports rows given as a JSON array and gives the status and the answer.
CREATE FUNCTION test_import(rows text, mode text DEFAULT 'atomic', strategy text DEFAULT 'upsert', dry boolean DEFAULT false,
  scheme text DEFAULT 'code') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE answer jsonb;
BEGIN
  PERFORM value_import_begin();
  INSERT INTO import_row SELECT n, n + 1, test_id(), r ->> 'indicator', r ->> 'organization', r ->> 'period', r ->> 'category', r ->> 'numerator',
    r ->> 'denominator', r ->> 'number', r ->> 'done_on', r ->> 'done', r ->> 'state', r ->> 'note', r ->> 'evidence_url', r ->> 'source',
    r ->> 'reason', r ->> 'version', r -> 'faults'
  FROM jsonb_array_elements(rows::jsonb) WITH ORDINALITY x(r, n);
  SELECT jsonb_build_object('status', i.status) || i.body::jsonb INTO answer FROM value_import(mode, strategy, dry, scheme, 'test') i;
  DROP TABLE import_row, import_indicator, import_period, import_name, import_unit, import_item;
  RETURN answer;
END $$;
-- The counts of an import's answer.
CREATE FUNCTION test_counts(a jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', a ->> 'status', a ->> 'created', a ->> 'updated', a ->> 'unchanged', a ->> 'deleted', a ->> 'failed',
    (SELECT string_agg((e ->> 'row') || (e ->> 'pointer') || ':' || (e ->> 'code'), ',') FROM jsonb_array_elements(a -> 'errors') e)) $$;
-- A journal row as a dump of another cluster brings it; what the sealer has yet to do.
CREATE FUNCTION test_restored(n int, p_xid xid8) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = tiendo, public AS $$
  INSERT INTO journal (xid, action, resource_type, resource_id, version, scope_key)
  SELECT p_xid, 'create', 'test', test_id(), 1, '' FROM generate_series(1, n) $$;
CREATE FUNCTION test_unsealed() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = tiendo, public AS $$
  SELECT count(*) FROM journal j WHERE NOT EXISTS (SELECT FROM journal_seal s WHERE s.seq = j.seq) $$;
GRANT EXECUTE ON FUNCTION test_restored(int, xid8), test_unsealed() TO tiendo_service;
-- Where the stored sums with their deltas differ from the sums of the counted values; the same for the marks themselves.
CREATE FUNCTION test_rollup() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = tiendo, public AS $$
  WITH stored AS (
    SELECT indicator_id, period_id, category, k, sum(reported) r, sum(not_applicable) a, sum(done) d, sum(numerator) n, sum(denominator) m, sum(number) x
    FROM (SELECT *, scope_key AS k FROM rollup UNION ALL
      SELECT d.*, k FROM rollup_delta d, unnest(ancestor_keys(d.scope_key) || d.scope_key) k) s
    GROUP BY 1, 2, 3, 4
  ), real AS (
    SELECT indicator_id, period_id, category, k, count(*) FILTER (WHERE state = 'reported') r, count(*) FILTER (WHERE state <> 'reported') a,
      count(*) FILTER (WHERE done) d, coalesce(sum(numerator), 0) n, coalesce(sum(denominator), 0) m, coalesce(sum(number), 0) x
    FROM value v, unnest(ancestor_keys(v.scope_key)) k WHERE v.counted GROUP BY 1, 2, 3, 4
  ), wrong AS (
    SELECT FROM stored FULL JOIN real USING (indicator_id, period_id, category, k)
    WHERE (coalesce(stored.r, 0), coalesce(stored.a, 0), coalesce(stored.d, 0), coalesce(stored.n, 0), coalesce(stored.m, 0), coalesce(stored.x, 0))
      <> (coalesce(real.r, 0), coalesce(real.a, 0), coalesce(real.d, 0), coalesce(real.n, 0), coalesce(real.m, 0), coalesce(real.x, 0))
  ), marks AS (
    SELECT FROM value v JOIN period p ON p.id = v.period_id
    WHERE v.counted <> (EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = v.indicator_id AND u.organization_id = v.organization_id
        AND u.validity @> p.ends_on)
      AND NOT EXISTS (SELECT FROM assignment_unit u WHERE u.indicator_id = v.indicator_id AND u.mode = 'total' AND u.validity @> p.ends_on
        AND v.scope_key ^@ u.scope_key AND v.scope_key <> u.scope_key))
  )
  SELECT (SELECT count(*) FROM wrong) || ' sums, ' || (SELECT count(*) FROM marks) || ' marks' $$;
GRANT EXECUTE ON FUNCTION test_put(text, text, text, text, text, text, text), test_import(text, text, text, boolean, text), test_counts(jsonb),
  test_rollup() TO tiendo_service;
-- A decision by the installation's operator.
-- Decisions are taken here whatever has been entered for a later period: what becomes of figures after an end is looked at too.
CREATE OR REPLACE FUNCTION refuse_values_after(w reorganization_work) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp
  AS $$ BEGIN RETURN; END $$;
CREATE FUNCTION test_reorganize(day date, steps text, carry text DEFAULT '[]') RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = tiendo, public AS $$
  SELECT set_config('tiendo.me', '', true);
  SELECT reorganize(test_id(), jsonb_build_object('decision', '1-QĐ', 'effective_on', day, 'steps', steps::jsonb, 'carry', carry::jsonb), false) $$;
ALTER FUNCTION test_reorganize(date, text, text) OWNER TO tiendo_owner;
-- Figures worked out once more, from the values, the spans and the lineage alone: neither keys nor closure nor sums are looked at.
-- below: on the tree of a day (NULL: of today) the units at and below one.
CREATE FUNCTION test_place(unit uuid) RETURNS uuid LANGUAGE sql STABLE SET search_path = tiendo, public AS $$
  SELECT CASE WHEN NOT EXISTS (SELECT FROM organization_span s WHERE s.organization_id = unit AND (upper_inf(s.validity) OR upper(s.validity) > today()))
      AND (SELECT count(*) FROM organization_lineage l WHERE l.predecessor_id = unit) = 1
    THEN (SELECT l.successor_id FROM organization_lineage l WHERE l.predecessor_id = unit)
    ELSE (SELECT s.parent_id FROM organization_span s WHERE s.organization_id = unit
      ORDER BY s.validity @> today() DESC, CASE WHEN lower(s.validity) > today() THEN lower(s.validity) END, lower(s.validity) DESC LIMIT 1) END $$;
CREATE TABLE test_tree (id uuid, parent uuid);
CREATE FUNCTION test_look() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = tiendo, public AS $$
  DELETE FROM test_tree;
  INSERT INTO test_tree SELECT o.id, test_place(o.id) FROM organization o $$;
CREATE FUNCTION test_below(unit uuid, day date) RETURNS uuid[] LANGUAGE sql STABLE SET search_path = tiendo, public AS $$
  WITH RECURSIVE link AS MATERIALIZED (
    SELECT s.organization_id AS id, s.parent_id AS parent FROM organization_span s WHERE s.validity @> day
    UNION ALL SELECT t.id, t.parent FROM test_tree t WHERE day IS NULL
  ), down AS (SELECT l.id FROM link l WHERE l.id = unit UNION SELECT l.id FROM down d JOIN link l ON l.parent = d.id)
  SELECT array_agg(id) FROM down $$;
CREATE FUNCTION test_owed(i uuid, day date) RETURNS uuid[] LANGUAGE sql STABLE SET search_path = tiendo, public AS $$
  WITH RECURSIVE assigned AS (
    SELECT u.organization_id AS id, u.mode FROM assignment_unit u WHERE u.indicator_id = i AND u.validity @> day
  ), beneath AS (
    SELECT s.organization_id AS id FROM assigned a JOIN organization_span s ON s.parent_id = a.id AND s.validity @> day WHERE a.mode = 'total'
    UNION SELECT s.organization_id FROM beneath b JOIN organization_span s ON s.parent_id = b.id AND s.validity @> day
  ) SELECT array_agg(a.id) FROM assigned a WHERE a.id NOT IN (SELECT id FROM beneath) $$;
-- What progress shows of a unit and those directly below it, worked out: a line for each, as test_shown gives it.
CREATE FUNCTION test_figures(unit uuid, i indicator, p period, tree text) RETURNS SETOF text LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public AS $$
DECLARE
  on_day date := CASE WHEN tree = 'reported' THEN p.ends_on END;
  owed uuid[] := test_owed(i.id, p.ends_on);
  child uuid;
  units uuid[];
BEGIN
  FOR child IN SELECT unit UNION ALL SELECT s.organization_id FROM organization_span s WHERE s.parent_id = unit AND s.validity @> on_day
      UNION ALL SELECT t.id FROM test_tree t WHERE on_day IS NULL AND t.parent = unit LOOP
    units := test_below(child, on_day);
    IF on_day IS NULL THEN
      units := ARRAY(SELECT unnest(units) EXCEPT SELECT unnest(test_below(c.predecessor_id, NULL)) FROM organization_carry c
        WHERE c.indicator_id = i.id AND c.organization_id = child);
    END IF;
    RETURN QUERY SELECT rtrim(concat_ws(' ', o.code, (SELECT count(*) FROM unnest(units) u WHERE u = ANY (owed)), count(*) FILTER (WHERE v.state = 'reported'),
        count(*) FILTER (WHERE v.state <> 'reported'), CASE i.aggregation WHEN 'ratio_of_sums' THEN concat_ws('/', sum(v.numerator), sum(v.denominator))
          WHEN 'sum' THEN trim_scale(sum(v.number))::text WHEN 'min' THEN trim_scale(min(v.number))::text
          ELSE trim_scale(round(avg(v.number), 4))::text END))
      FROM organization o LEFT JOIN value v ON v.indicator_id = i.id AND v.period_id = p.id AND v.organization_id = ANY (units) AND v.organization_id = ANY (owed)
      WHERE o.id = child GROUP BY o.code HAVING child = unit OR count(v.id) > 0 OR EXISTS (SELECT FROM unnest(units) u WHERE u = ANY (owed));
  END LOOP;
END $$;
CREATE FUNCTION test_shown(unit text, i indicator, p period, tree text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
  WITH answer AS (SELECT progress(unit, p.code, i.code, NULL, 'children', tree)::jsonb AS j),
    line AS (SELECT j -> 'organization' ->> 'code' AS code, j -> 'items' -> 0 AS x FROM answer
      UNION ALL SELECT c -> 'organization' ->> 'code', c -> 'items' -> 0 FROM answer, jsonb_array_elements(j -> 'children') c)
  SELECT CASE WHEN x -> 'coverage' ->> 'expected' = '0' THEN code || ' 0 0 0' ELSE rtrim(concat_ws(' ', code, x -> 'coverage' ->> 'expected',
    x -> 'coverage' ->> 'reporting', x -> 'coverage' ->> 'not_applicable', CASE i.aggregation WHEN 'ratio_of_sums' THEN concat_ws('/', x ->> 'numerator', x ->> 'denominator') ELSE x ->> 'value' END)) END
  FROM line
  -- (one that is not to report and shows what it reported itself adds nothing up)
  WHERE code = unit OR (x -> 'coverage' ->> 'expected')::int > 0 $$;
GRANT EXECUTE ON FUNCTION test_look(), test_reorganize(date, text, text), test_figures(uuid, indicator, period, text), test_shown(text, indicator, period, text) TO tiendo_service;
ANALYZE;
