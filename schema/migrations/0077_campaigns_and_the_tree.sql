-- Campaigns and a tree that changes; and where campaigns are read and how they are asked about: in the feed, the audit trail and the
-- question of permissions.
SET search_path = tiendo, public;

-- ---- keys and codes ------------------------------------------------------------------------------------------
-- The tables whose rows follow their unit's key by that alone: all that have one, but for those that have their own way (units and what hangs
-- on them, values, assigned units, sums) or keep what was (the journal). A new table is among them without being named.
CREATE FUNCTION rekey_tables() RETURNS SETOF text LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'scope_key' AND NOT a.attisdropped
  WHERE c.relnamespace = 'tiendo'::regnamespace AND c.relkind = 'r' AND c.relname <> ALL (ARRAY['organization', 'organization_span', 'organization_closure',
    'organization_identifier', 'value', 'value_revision', 'assignment_unit', 'assignment_count', 'rollup_delta', 'activity_delta',
    'journal', 'journal_seal']) ORDER BY 1 $$;

-- As before (0024), by rekey_tables(); a duty's and a campaign's code are of its root. What is not yet added up of activities is, first: their sums go with the units.
CREATE OR REPLACE FUNCTION rekey(unit uuid, new_key text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  old_key text := (SELECT o.scope_key FROM organization o WHERE o.id = unit);
  old_root uuid := (SELECT o.root_id FROM organization o WHERE o.id = unit);
  new_root uuid := coalesce((SELECT o.root_id FROM organization o WHERE o.scope_key = left(new_key, -6)), unit);
  at int := length(old_key) + 1;
  t text;
BEGIN
  -- (what a fold of standings is writing under the old key just now is waited for)
  PERFORM pg_advisory_xact_lock(hashtextextended('tiendo.campaign_standing', 0));
  PERFORM rollup_fold_all(), activity_fold_all(), rollup_move(old_key, new_key), recount_begin('rekey');
  -- what this subtree, or what it once was part of, is called in the journal
  INSERT INTO organization_former_key
  SELECT DISTINCT f.former || substr(old_key, length(a.scope_key) + 1), unit
  FROM organization a JOIN organization_former_key f ON f.organization_id = a.id
  WHERE a.scope_key = ANY (ancestor_keys(old_key))
  ON CONFLICT DO NOTHING;
  INSERT INTO organization_former_key VALUES (old_key, unit) ON CONFLICT DO NOTHING;

  UPDATE organization o SET scope_key = new_key || substr(o.scope_key, at), root_id = CASE o.root_id WHEN old_root THEN new_root ELSE o.root_id END
  WHERE o.scope_key >= old_key AND o.scope_key < old_key || '~';
  PERFORM rekey_values(old_key, new_key);
  FOR t IN SELECT x FROM rekey_tables() x LOOP
    EXECUTE format('UPDATE %I SET scope_key = $2 || substr(scope_key, $3) WHERE scope_key >= $1 AND scope_key < $1 || ''~''', t)
      USING old_key, new_key, at;
  END LOOP;
  UPDATE organization_span s SET scope_key = o.scope_key FROM organization o
  WHERE o.scope_key >= new_key AND o.scope_key < new_key || '~' AND s.organization_id = o.id;
  UPDATE organization_closure c SET scope_key = o.scope_key FROM organization o
  WHERE o.scope_key >= new_key AND o.scope_key < new_key || '~' AND c.descendant_id = o.id;
  UPDATE organization_identifier i SET scope_key = o.scope_key FROM organization o
  WHERE o.scope_key >= new_key AND o.scope_key < new_key || '~' AND i.organization_id = o.id;
  WITH gone AS (
    DELETE FROM assignment_unit u WHERE u.scope_key >= old_key AND u.scope_key < old_key || '~' RETURNING u.*
  )
  INSERT INTO assignment_unit (assignment_id, indicator_id, programme_id, organization_id, scope_key, mode, entered_by, source, client_id, validity, counted)
  SELECT assignment_id, indicator_id, programme_id, organization_id, new_key || substr(scope_key, at), mode, entered_by, source, client_id, validity, counted
  FROM gone;
  DELETE FROM assignment_count c WHERE c.scope_key >= old_key AND c.scope_key < old_key || '~' AND c.units = 0;
  IF new_root <> old_root THEN
    UPDATE programme p SET root_id = new_root FROM organization o WHERE o.id = p.owner_id AND p.root_id = old_root AND o.root_id = new_root;
    UPDATE indicator i SET root_id = p.root_id FROM programme p WHERE p.id = i.programme_id AND i.root_id <> p.root_id;
    UPDATE report_duty d SET root_id = p.root_id FROM programme p WHERE p.id = d.programme_id AND d.root_id <> p.root_id;
    UPDATE campaign c SET root_id = o.root_id FROM organization o WHERE o.id = c.scope_id AND c.root_id <> o.root_id;
    -- a root that comes under another brings its own words along, where the other has not the same
    UPDATE campaign_term t SET root_id = new_root WHERE t.root_id = old_root AND unit = old_root
      AND NOT EXISTS (SELECT FROM campaign_term x WHERE x.list = t.list AND x.code = t.code AND x.root_id = new_root);
  END IF;
  DELETE FROM organization_former_key f USING organization o
  WHERE f.former = new_key AND f.organization_id = o.id AND o.scope_key = f.former;
  PERFORM recount_end();
END $$;

-- As before (0024), and duties and campaigns.
CREATE OR REPLACE FUNCTION definitions_follow() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  p record;
  d record;
  holder uuid;
BEGIN
  FOR p IN SELECT x.id, x.scope_id, x.scope_key FROM programme x JOIN organization o ON o.id = x.scope_id
      WHERE o.valid_to IS NOT NULL OR o.scope_key <> x.scope_key LOOP
    holder := definition_holder(p.scope_id);
    UPDATE programme x SET scope_key = o.scope_key FROM organization o WHERE x.id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
    UPDATE programme_pillar x SET scope_key = o.scope_key FROM organization o WHERE x.programme_id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
    UPDATE indicator x SET scope_key = o.scope_key FROM organization o WHERE x.programme_id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
  END LOOP;
  -- a duty lies where its own unit does, which may be below its programme's
  FOR d IN SELECT x.id, x.scope_id FROM report_duty x JOIN organization o ON o.id = x.scope_id
      WHERE o.valid_to IS NOT NULL OR o.scope_key <> x.scope_key LOOP
    holder := definition_holder(d.scope_id);
    UPDATE report_duty x SET scope_key = o.scope_key FROM organization o WHERE x.id = d.id AND o.id = holder AND x.scope_key <> o.scope_key;
  END LOOP;
  FOR d IN SELECT x.id, x.scope_id FROM campaign x JOIN organization o ON o.id = x.scope_id
      WHERE o.valid_to IS NOT NULL OR o.scope_key <> x.scope_key LOOP
    holder := definition_holder(d.scope_id);
    UPDATE campaign x SET scope_key = o.scope_key FROM organization o WHERE x.id = d.id AND o.id = holder AND x.scope_key <> o.scope_key;
  END LOOP;
END $$;

-- As before (0025), and the codes of duties and campaigns.
CREATE OR REPLACE FUNCTION refuse_clashes(units uuid[], day date) RETURNS void LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE faults jsonb;
BEGIN
  WITH above AS (
    -- its own line's root, or, where it has ended for one heir, that one's
    SELECT u AS unit, coalesce(root_on(u, day), (SELECT root_on((array_agg(l.successor_id))[1], day) FROM organization_lineage l
      WHERE l.predecessor_id = u AND l.on_day <= day HAVING count(*) = 1)) AS root_id
    FROM unnest(units) u
  ), joins AS (
    SELECT DISTINCT o.id, o.code::text AS code, o.root_id AS was, a.root_id
    FROM above a JOIN organization t ON t.id = a.unit JOIN organization o ON o.scope_key >= t.scope_key AND o.scope_key < t.scope_key || '~'
    WHERE a.root_id <> t.root_id AND a.unit <> a.root_id
  )
  SELECT jsonb_agg(fault('#/steps', 'code_taken', format('%s is taken in %s', x.code, x.root_code)) ORDER BY x.code) INTO faults FROM (
    SELECT j.code, r.code AS root_code FROM joins j JOIN organization o ON o.root_id = j.root_id AND o.code = j.code JOIN organization r ON r.id = j.root_id
    UNION SELECT p.code, r.code FROM joins j JOIN programme p ON p.owner_id = j.id AND p.root_id = j.was
      JOIN programme q ON q.root_id = j.root_id AND q.code = p.code JOIN organization r ON r.id = j.root_id
    UNION SELECT i.code, r.code FROM joins j JOIN programme p ON p.owner_id = j.id AND p.root_id = j.was JOIN indicator i ON i.programme_id = p.id
      JOIN indicator k ON k.root_id = j.root_id AND k.code = i.code JOIN organization r ON r.id = j.root_id
    UNION SELECT d.code, r.code FROM joins j JOIN programme p ON p.owner_id = j.id AND p.root_id = j.was JOIN report_duty d ON d.programme_id = p.id
      JOIN report_duty k ON k.root_id = j.root_id AND k.code = d.code JOIN organization r ON r.id = j.root_id
    UNION SELECT c.code, r.code FROM joins j JOIN campaign c ON c.scope_id = j.id AND c.root_id = j.was
      JOIN campaign k ON k.root_id = j.root_id AND k.code = c.code JOIN organization r ON r.id = j.root_id
    ORDER BY 1 LIMIT 100) x;
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
END $$;


-- ---- what a decision does to campaigns -------------------------------------------------------------------------
-- What units that end leave open in campaigns (their successors go on with it under their names), and how much of campaigns moves with its unit.
CREATE FUNCTION impact_campaigns(w reorganization_work, ended uuid[], keys text[]) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN jsonb_build_object(
    'activities', (SELECT coalesce(sum((SELECT count(*) FROM activity a WHERE a.scope_key >= k AND a.scope_key < k || '~')), 0) FROM unnest(keys) k),
    'open_activities', (SELECT count(*) FROM activity a WHERE a.organization_id = ANY (ended) AND a.status IN ('planned', 'under_way', 'postponed')),
    'open_assignments', (SELECT count(*) FROM campaign_assignment a WHERE a.organization_id = ANY (ended) AND a.due_on >= w.day),
    'scopes', (SELECT coalesce(jsonb_agg(c.code ORDER BY c.code), '[]') FROM campaign c WHERE c.scope_id = ANY (ended)));
END $$;

-- As before (0027), and reports and campaigns.
CREATE OR REPLACE FUNCTION reorganization_impact(w reorganization_work) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  moved uuid[]; ended uuid[]; changes jsonb; counts jsonb;
  keys text[];
  affected jsonb;
BEGIN
  SELECT coalesce(array_agg(x.id) FILTER (WHERE x.change = 'moved'), '{}'), coalesce(array_agg(x.id) FILTER (WHERE x.change = 'ended'), '{}'),
    (SELECT jsonb_object_agg(y.change, y.n) FROM (SELECT z.change, count(*) AS n FROM impact_units(w) z GROUP BY 1) y),
    jsonb_agg(jsonb_build_object('organization', x.code, 'change', x.change, 'was', x.was, 'becomes', x.becomes) ORDER BY x.code) FILTER (WHERE x.n <= 200)
    INTO moved, ended, counts, changes
  FROM (SELECT u.*, row_number() OVER (ORDER BY u.code) AS n FROM impact_units(w) u) x;
  keys := ARRAY(SELECT o.scope_key FROM organization o WHERE o.id = ANY (moved || ended)
    AND NOT EXISTS (SELECT FROM organization a WHERE a.id = ANY (moved || ended) AND a.scope_key = ANY (ancestor_keys(o.scope_key))));
  affected := (SELECT jsonb_build_object(
    'grants', (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', g.code, 'role', g.role, 'grants', g.n, 'change', g.change)
        ORDER BY g.code, g.role, g.change), '[]')
      FROM (SELECT o.code, x.role, s.change, count(*) AS n FROM impact_scopes(moved, ended, w.day) s JOIN access_grant x ON x.organization_id = s.id
          AND x.revoked_at IS NULL AND coalesce(x.valid_to >= w.day, true) JOIN organization o ON o.id = s.id
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT 200) g),
    'mandates', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'unit', m.unit, 'over', m.over, 'change', m.change) ORDER BY m.id), '[]')
      FROM (SELECT x.id, coalesce(u.code, x.unit_kind) AS unit, o.code AS over, s.change
        FROM impact_scopes(moved, ended, w.day) s JOIN mandate x ON s.id = x.over_id OR (s.change = 'ends' AND s.id = x.unit_id)
          LEFT JOIN organization u ON u.id = x.unit_id LEFT JOIN organization o ON o.id = x.over_id
        WHERE coalesce(x.valid_to >= w.day, true) ORDER BY x.id LIMIT 200) m)));
  RETURN jsonb_build_object(
    'units', counts || jsonb_build_object('subtree', (SELECT count(DISTINCT c.descendant_id) FROM organization_closure c
      WHERE c.ancestor_id = ANY (moved) AND c.validity @> w.day)),
    'changes', changes,
    'lineage', (SELECT coalesce(jsonb_agg(jsonb_build_object('predecessor', p.code, 'successor', s.code) ORDER BY p.code, s.code), '[]')
      FROM (SELECT * FROM organization_lineage l WHERE l.reorganization_id = w.id LIMIT 1000) l
        JOIN organization p ON p.id = l.predecessor_id JOIN organization s ON s.id = l.successor_id),
    'values', (SELECT coalesce(sum((SELECT count(*) FROM value v WHERE v.scope_key >= k AND v.scope_key < k || '~')), 0) FROM unnest(keys) k),
    'accounts', (SELECT count(*) FROM account a WHERE a.organization_id = ANY (ended) AND a.status = 'active'),
    'assignments_ending', (SELECT coalesce(jsonb_agg(jsonb_build_object('indicator', x.indicator, 'organization', x.unit) ORDER BY x.indicator, x.unit), '[]')
      FROM (SELECT i.code AS indicator, o.code AS unit FROM assignment a JOIN indicator i ON i.id = a.indicator_id
          JOIN organization o ON o.id = coalesce(a.organization_id, a.under_id)
        WHERE o.id = ANY (ended) AND (upper_inf(a.validity) OR upper(a.validity) > w.day) ORDER BY 1, 2 LIMIT 200) x),
    'identifiers_ending', (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', x.code, 'scheme', x.scheme, 'value', x.value)
        ORDER BY x.code, x.scheme, x.value), '[]')
      FROM (SELECT o.code, i ->> 0 AS scheme, i ->> 1 AS value FROM organization o, jsonb_array_elements(nullif(w.before -> o.id::text -> 'identifiers', 'null')) i
        WHERE o.id = ANY (ended) AND (i ->> 2)::daterange @> w.day ORDER BY 1, 2, 3 LIMIT 200) x),
    'targets_without_unit', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', x.id, 'indicator', x.indicator, 'organization', x.unit) ORDER BY x.indicator, x.unit), '[]')
      FROM (SELECT t.id, i.code AS indicator, t.organization_code AS unit FROM target t JOIN indicator i ON i.id = t.indicator_id
        WHERE t.organization_id = ANY (ended) AND coalesce(t.due_on >= w.day, true) ORDER BY 2, 3 LIMIT 200) x),
    'reports', impact_reports(w, ended), 'campaigns', impact_campaigns(w, ended, keys)) || affected;
END $$;

-- As before (0027): duties, reports and work in campaigns that something was done with hold a unit, others go with it.
CREATE OR REPLACE FUNCTION reorganization_dependants(r reorganization) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(fault('#', 'depends', d.what) ORDER BY d.what), '[]') FROM (
    SELECT format('%s has been changed since', o.code) AS what
    FROM jsonb_each(r.after) a JOIN organization o ON o.id = a.key::uuid WHERE unit_image(o.id) <> a.value
    UNION ALL
    SELECT format('%s has been removed since', a.key) FROM jsonb_object_keys(r.after) a(key) WHERE NOT EXISTS (SELECT FROM organization o WHERE o.id = a.key::uuid)
    UNION ALL
    SELECT format('%s, which it established, has %s', o.code, x.what)
    FROM organization o, LATERAL (
      SELECT 'values' AS what WHERE EXISTS (SELECT FROM value v WHERE v.scope_key = o.scope_key)
      UNION ALL SELECT 'accounts' WHERE EXISTS (SELECT FROM account a WHERE a.organization_id = o.id)
      UNION ALL SELECT 'clients' WHERE EXISTS (SELECT FROM client c WHERE c.organization_id = o.id)
      UNION ALL SELECT 'grants' WHERE EXISTS (SELECT FROM access_grant g WHERE g.organization_id = o.id)
      UNION ALL SELECT 'mandates' WHERE EXISTS (SELECT FROM mandate m WHERE o.id IN (m.giver_id, m.unit_id, m.over_id))
      UNION ALL SELECT 'assignments' WHERE EXISTS (SELECT FROM assignment a WHERE o.id IN (a.organization_id, a.under_id))
      UNION ALL SELECT 'targets' WHERE EXISTS (SELECT FROM target t WHERE t.organization_id = o.id)
      UNION ALL SELECT 'a predecessor or a successor' WHERE EXISTS (SELECT FROM organization_lineage l
        WHERE o.id IN (l.predecessor_id, l.successor_id) AND l.reorganization_id <> r.id)
      UNION ALL SELECT 'history that is kept apart' WHERE EXISTS (SELECT FROM organization_carry c
        WHERE o.id IN (c.predecessor_id, c.organization_id) AND c.reorganization_id <> r.id)
      UNION ALL SELECT 'ended what others hold' WHERE EXISTS (SELECT FROM access_grant g WHERE g.revoked_seat = o.id)
        OR EXISTS (SELECT FROM mandate m WHERE m.ended_seat = o.id)
      UNION ALL SELECT 'had values' WHERE EXISTS (SELECT FROM value_revision v WHERE v.scope_key = o.scope_key AND v.state = 'deleted')
      UNION ALL SELECT 'programmes' WHERE EXISTS (SELECT FROM programme p WHERE o.id IN (p.owner_id, p.scope_id))
      UNION ALL SELECT 'report duties' WHERE EXISTS (SELECT FROM report_duty d WHERE o.id IN (d.under_id, d.to_id, d.scope_id) OR o.id = ANY (d.copy_ids))
        OR EXISTS (SELECT FROM report_duty_organization d WHERE d.organization_id = o.id)
      UNION ALL SELECT 'reports' WHERE EXISTS (SELECT FROM report y WHERE y.organization_id = o.id AND reports_untouched(ARRAY[y.id]) = '{}')
        OR EXISTS (SELECT FROM report y WHERE y.recipient_id = o.id AND y.state NOT IN ('expected', 'draft', 'returned'))
      UNION ALL SELECT 'reminders' WHERE EXISTS (SELECT FROM reminder m WHERE o.id IN (m.to_id, m.seat_id) AND m.kind = 'manual')
      UNION ALL SELECT 'campaigns' WHERE EXISTS (SELECT FROM campaign c WHERE o.id IN (c.scope_id, c.owner_id))
      UNION ALL SELECT 'work in campaigns' WHERE EXISTS (SELECT FROM activity a WHERE a.organization_id = o.id)
        OR EXISTS (SELECT FROM campaign_assignment a WHERE o.id IN (a.organization_id, a.setter_id))
        OR EXISTS (SELECT FROM campaign_reach a WHERE a.organization_id = o.id) OR EXISTS (SELECT FROM campaign_review a WHERE a.organization_id = o.id)
        OR EXISTS (SELECT FROM product a WHERE a.organization_id = o.id) OR EXISTS (SELECT FROM product_reuse a WHERE a.organization_id = o.id)
        OR EXISTS (SELECT FROM recognition a WHERE a.organization_id = o.id)
      UNION ALL SELECT 'units below it' WHERE EXISTS (SELECT FROM organization_span s WHERE s.parent_id = o.id AND NOT r.after ? s.organization_id::text)) x
    WHERE o.id = ANY (r.established)) d);
END $$;

CREATE OR REPLACE FUNCTION reorganization_undo(r reorganization, request_id text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  units uuid[] := ARRAY(SELECT k::uuid FROM jsonb_object_keys(r.before) k);
BEGIN
  PERFORM set_config('tiendo.reorganizing', 'on', true);
  DELETE FROM organization_carry c WHERE c.reorganization_id = r.id;
  DELETE FROM organization_lineage l WHERE l.reorganization_id = r.id;
  DELETE FROM organization_span s WHERE s.organization_id = ANY (units || r.established);
  DELETE FROM organization_identifier i WHERE i.organization_id = ANY (units || r.established);
  INSERT INTO organization_span (organization_id, scope_key, validity, name, kind, parent_id, reason)
  SELECT o.id, o.scope_key, (s ->> 0)::daterange, s ->> 1, s ->> 2, (s ->> 3)::uuid, s ->> 4
  FROM jsonb_each(r.before) b JOIN organization o ON o.id = b.key::uuid, jsonb_array_elements(b.value -> 'spans') s;
  INSERT INTO organization_identifier (organization_id, scope_key, scheme, value, validity)
  SELECT o.id, o.scope_key, i ->> 0, i ->> 1, (i ->> 2)::daterange
  FROM jsonb_each(r.before) b JOIN organization o ON o.id = b.key::uuid, jsonb_array_elements(nullif(b.value -> 'identifiers', 'null')) i;
  -- a unit that it had established goes once nothing hangs on it
  PERFORM tree_settle(units, r.effective_on, 'revert', request_id);
  PERFORM report_settle_units(r.established, NULL);
  DELETE FROM reminder m WHERE m.to_id = ANY (r.established) AND m.kind <> 'manual';
  DELETE FROM assignment_unit u WHERE u.organization_id = ANY (r.established);
  DELETE FROM organization_closure c WHERE c.descendant_id = ANY (r.established) OR c.ancestor_id = ANY (r.established);
  DELETE FROM organization_former_key f WHERE f.organization_id = ANY (r.established);
  DELETE FROM rollup x USING organization o WHERE o.id = ANY (r.established) AND x.scope_key = o.scope_key;
  DELETE FROM activity_sum x USING organization o WHERE o.id = ANY (r.established) AND x.scope_key = o.scope_key;
  DELETE FROM assignment_count x USING organization o WHERE o.id = ANY (r.established) AND x.scope_key = o.scope_key;
  PERFORM journal('delete', 'organization', o.id, o.version + 1, o.scope_key, unit_brief(o.id), NULL, request_id)
  FROM organization o WHERE o.id = ANY (r.established);
  -- what it established is seen no more: those above it go on reading of it
  INSERT INTO reorganization_unit SELECT DISTINCT r.id, p.id, p.scope_key, true FROM organization o JOIN organization p ON p.id = o.parent_id
  WHERE o.id = ANY (r.established) AND p.id <> ALL (r.established) ON CONFLICT DO NOTHING;
  INSERT INTO organization_removed (scope_key) SELECT o.scope_key FROM organization o WHERE o.id = ANY (r.established) ON CONFLICT DO NOTHING;
  DELETE FROM organization o WHERE o.id = ANY (r.established);
  DELETE FROM reorganization_unit u WHERE u.reorganization_id = r.id AND u.organization_id = ANY (r.established);
END $$;

-- Decisions recorded before there were campaigns touched none.
UPDATE reorganization SET impact = impact || '{"campaigns": {"activities": 0, "open_activities": 0, "open_assignments": 0, "scopes": []}}' WHERE NOT impact ? 'campaigns';

-- ---- subjects ------------------------------------------------------------------------------------------------

-- As before (0040), with the resources whose address is not their name and an s.
CREATE OR REPLACE FUNCTION journal_subject(kind text, id uuid, version bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE told text;
BEGIN
  CASE kind
    WHEN 'value' THEN
      SELECT concat('/v1/values/', url_encode(i.code), '/', url_encode(r.organization_code), '/', url_encode(r.period_code),
        CASE WHEN r.category <> '' THEN '?category=' || url_encode(r.category) END) INTO told
      FROM value_revision r JOIN indicator i ON i.id = r.indicator_id WHERE r.value_id = $2 AND r.version = $3;
    WHEN 'assignment' THEN
      SELECT concat('/v1/indicators/', a.indicator_id, '/assignments/', a.id) INTO told FROM assignment a WHERE a.id = $2;
    WHEN 'target' THEN
      SELECT concat('/v1/indicators/', t.indicator_id, '/targets/', t.id) INTO told FROM target t WHERE t.id = $2;
    WHEN 'client_secret' THEN
      SELECT concat('/v1/clients/', c.client_id, '/secrets') INTO told FROM client_secret c WHERE c.id = $2;
    WHEN 'report_duty' THEN told := concat('/v1/report-duties/', $2);
    WHEN 'holiday' THEN told := coalesce((SELECT concat('/v1/holidays?day=', h.day) FROM holiday h WHERE h.id = $2), '/v1/holidays');
    WHEN 'activity' THEN told := concat('/v1/activities/', $2);
    WHEN 'attachment' THEN
      SELECT CASE WHEN a.report_id IS NOT NULL THEN concat('/v1/reports/', a.report_id, '/attachments/', a.id)
        ELSE concat('/v1/activities/', a.activity_id, '/attachments/', a.id) END INTO told FROM attachment a WHERE a.id = $2;
    WHEN 'campaign_assignment' THEN
      SELECT concat('/v1/campaigns/', a.campaign_id, '/assignments/', a.id) INTO told FROM campaign_assignment a WHERE a.id = $2;
    WHEN 'campaign_reach' THEN
      SELECT concat('/v1/campaigns/', r.campaign_id, '/reach/', url_encode(f.code), '/', url_encode(r.organization_code), '/', r.of) INTO told
      FROM campaign_reach r JOIN campaign_phase f ON f.id = r.phase_id WHERE r.id = $2;
    WHEN 'campaign_review' THEN
      SELECT concat('/v1/campaigns/', r.campaign_id, '/reviews/', url_encode(f.code), '/', url_encode(r.organization_code), '/', r.kind, '/', r.reviewed_on) INTO told
      FROM campaign_review r JOIN campaign_phase f ON f.id = r.phase_id WHERE r.id = $2;
    WHEN 'product_reuse' THEN SELECT concat('/v1/products/', r.product_id, '/reuses/', r.id) INTO told FROM product_reuse r WHERE r.id = $2;
    WHEN 'activity_proposal' THEN SELECT concat('/v1/activities/', p.activity_id) INTO told FROM activity_proposal p WHERE p.id = $2;
    WHEN 'journal' THEN told := '/v1/audit-events';
    ELSE told := NULL;
  END CASE;
  RETURN coalesce(told, concat('/v1/', replace(kind, '_', '-'), 's/', id));
END $$;

-- As before (0037, 0039): duties too are asked about, by name, and campaigns, activities, products, recognitions.
CREATE OR REPLACE FUNCTION permission_resource(p_resource text, OUT kind text, OUT ref text, OUT known boolean, OUT unit uuid, OUT key text,
    OUT programme uuid) LANGUAGE plpgsql STABLE AS $$
DECLARE parts text[];
BEGIN
  kind := split_part(p_resource, ':', 1);
  ref := substr(p_resource, length(kind) + 2);
  known := false;
  IF kind = 'organization' THEN
    SELECT true, o.id, o.scope_key INTO known, unit, key FROM organization o WHERE o.id = (SELECT organization_id(ref));
  ELSIF kind = 'programme' THEN
    SELECT true, p.scope_id, p.scope_key, p.id INTO known, unit, key, programme FROM programme p WHERE p.id = (SELECT programme_id(ref));
  ELSIF kind = 'indicator' THEN
    SELECT true, p.scope_id, i.scope_key, p.id INTO known, unit, key, programme
    FROM indicator i JOIN programme p ON p.id = i.programme_id WHERE i.id = (SELECT indicator_id(ref));
  ELSIF kind = 'report_duty' THEN
    SELECT true, d.scope_id, d.scope_key, d.programme_id INTO known, unit, key, programme
    FROM report_duty d WHERE d.id = (SELECT report_duty_id(ref));
  ELSIF kind = 'campaign' THEN
    SELECT true, c.scope_id, c.scope_key, c.programme_id INTO known, unit, key, programme FROM campaign c WHERE c.id = (SELECT campaign_id(ref));
  ELSIF kind = 'activity' THEN
    SELECT true, a.organization_id, a.scope_key, a.programme_id INTO known, unit, key, programme FROM activity a WHERE is_uuid(ref) AND a.id = ref::uuid;
  ELSIF kind = 'product' THEN
    SELECT true, p.organization_id, p.scope_key, p.programme_id INTO known, unit, key, programme FROM product p WHERE is_uuid(ref) AND p.id = ref::uuid;
  ELSIF kind = 'recognition' THEN
    SELECT true, r.organization_id, r.scope_key, r.programme_id INTO known, unit, key, programme FROM recognition r WHERE is_uuid(ref) AND r.id = ref::uuid;
  ELSIF kind = 'value' THEN
    parts := string_to_array(ref, '/');
    SELECT true, o.id, o.scope_key, i.programme_id INTO known, unit, key, programme
    FROM indicator i, organization o, period p
    WHERE cardinality(parts) = 3 AND i.id = (SELECT indicator_id(parts[1])) AND o.id = (SELECT organization_id(parts[2]))
      AND p.id = (SELECT period_id(parts[3]))
      AND (o.scope_key <@ scope() OR in_limited(i.programme_id, o.scope_key, limited_programmes(), limited_scopes()));
  ELSIF kind = 'account' THEN
    SELECT true, a.organization_id, a.scope_key INTO known, unit, key FROM account a
    WHERE a.username = lower(ref) OR (is_uuid(ref) AND a.id::text = lower(ref));
  ELSIF kind = 'grant' THEN
    SELECT true, g.organization_id, g.scope_key INTO known, unit, key FROM access_grant g WHERE is_uuid(ref) AND g.id = ref::uuid;
  ELSIF kind = 'client' THEN
    SELECT true, c.organization_id, c.scope_key INTO known, unit, key FROM client c WHERE is_uuid(ref) AND c.id = ref::uuid;
  ELSIF kind = 'mandate' THEN
    SELECT true, m.giver_id, m.scope_key INTO known, unit, key FROM mandate m WHERE is_uuid(ref) AND m.id = ref::uuid;
  END IF;
  known := coalesce(known, false);
END $$;

CREATE OR REPLACE FUNCTION permission_try(p_permission text, kind text, ref text, key text, OUT status int, OUT code text, OUT said text)
  LANGUAGE plpgsql AS $$
DECLARE
  parts text[];
  state text;
  faults text;
BEGIN
  status := 200;
  BEGIN
    CASE p_permission || ' ' || kind
      WHEN 'organizations:write organization' THEN PERFORM organization_update(ref, '{}', NULL, NULL);
      WHEN 'programmes:write programme' THEN PERFORM programme_update(ref, '{}', NULL, NULL);
      WHEN 'indicators:write indicator' THEN PERFORM indicator_update(ref, '{}', NULL, NULL);
      WHEN 'duties:write report_duty' THEN PERFORM report_duty_update(ref, '{}', NULL, NULL);
      WHEN 'campaigns:write campaign' THEN PERFORM campaign_update(ref, '{}', NULL, NULL);
      WHEN 'activities:write activity' THEN PERFORM activity_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'activities:write product' THEN PERFORM product_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'publications:write product' THEN PERFORM product_step(ref::uuid, 'withdraw', '{}', NULL, NULL);
      WHEN 'activities:write recognition' THEN PERFORM recognition_act(ref::uuid, 'edit', '{}', NULL, NULL);
      WHEN 'recognitions:write recognition' THEN PERFORM recognition_act(ref::uuid, 'return', '{}', NULL, NULL);
      WHEN 'accounts:write account' THEN PERFORM account_update(ref, '{}', NULL, NULL);
      WHEN 'grants:write grant' THEN PERFORM grant_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'clients:write client' THEN PERFORM client_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'mandates:write mandate' THEN PERFORM mandate_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'values:write value' THEN
        parts := string_to_array(ref, '/');
        PERFORM value_put(parts[1], parts[2], parts[3], NULL, '{}', NULL, NULL, uuid_v7(), NULL);
      ELSE
        IF p_permission = 'grants:write' AND kind = 'account' AND EXISTS (SELECT FROM account a
            WHERE (a.username = lower(ref) OR a.id::text = lower(ref)) AND ones_own(a.id)) THEN
          PERFORM fail(403, 'forbidden', NULL, 'Nobody grants to their own account.');
        END IF;
        IF (CASE WHEN p_permission = 'delegations:write' THEN NOT key ^@ me_seat_key()
            WHEN p_permission IN ('me:write', 'calendars:write') THEN false
            WHEN p_permission IN ('submissions:write', 'publications:write') THEN NOT EXISTS (SELECT FROM organization o WHERE o.id = ANY (me_seats()) AND o.scope_key = permission_try.key)
            WHEN p_permission = 'reviews:write' THEN NOT (left(key, -6) = me_seat_key() OR seat_holds('review', NULL, key))
            WHEN p_permission = 'recognitions:write' THEN NOT ((key ^@ me_seat_key() AND key <> me_seat_key() AND recognition_nobody_between(me_seat_key(), key))
              OR seat_holds('review', NULL, key))
            WHEN p_permission = 'activities:write' THEN NOT (may_write(NULL, key) OR key <@ behalf_scope()
              OR EXISTS (SELECT FROM unnest(limited_write_scopes()) s WHERE key <@ s::keymultirange))
            WHEN p_permission = 'values:write' THEN NOT (may_write(NULL, key)
              OR EXISTS (SELECT FROM unnest(limited_write_scopes()) s WHERE key <@ s::keymultirange))
            ELSE NOT key <@ write_scope() END) THEN
          PERFORM fail(403, 'forbidden', NULL, CASE WHEN p_permission = 'values:write' AND key <@ behalf_scope()
            THEN 'For units below your own you enter only what their assignment says is entered by the superior.'
            ELSE 'It lies outside of where you may do this.' END);
        END IF;
    END CASE;
  EXCEPTION WHEN SQLSTATE 'TD403' OR SQLSTATE 'TD404' OR SQLSTATE 'TD409' OR SQLSTATE 'TD412' OR SQLSTATE 'TD422' OR SQLSTATE 'TD428' THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, code = MESSAGE_TEXT, faults = PG_EXCEPTION_DETAIL, said = PG_EXCEPTION_HINT;
    status := substr(state, 3)::int;
    IF status = 422 THEN
      SELECT f ->> 'code', f ->> 'detail' INTO code, said FROM jsonb_array_elements(faults::jsonb) f
      WHERE f ->> 'code' IN ('not_assigned', 'wrong_period_kind', 'period_not_begun') LIMIT 1;
    END IF;
  END;
END $$;

CREATE OR REPLACE FUNCTION filter_resource(ref text, parameter text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  kind text := split_part(ref, ':', 1);
  named text := substr(ref, length(split_part(ref, ':', 1)) + 2);
  part text[] := string_to_array(substr(ref, length(split_part(ref, ':', 1)) + 2), '/');
  found uuid[];
BEGIN
  IF is_uuid(ref) THEN RETURN ARRAY[ref::uuid]; END IF;
  CASE kind
    WHEN 'value' THEN
      IF cardinality(part) IN (3, 4) THEN found := value_ids(part[1], part[2], part[3], part[4]); END IF;
    WHEN 'organization' THEN found := ARRAY(SELECT o.id FROM organization o WHERE o.id = organization_id(named));
    WHEN 'programme' THEN found := ARRAY(SELECT p.id FROM programme p WHERE p.code = named OR p.id::text = lower(named));
    WHEN 'indicator' THEN found := ARRAY(SELECT i.id FROM indicator i WHERE i.id = indicator_id(named));
    WHEN 'report_duty' THEN found := ARRAY(SELECT d.id FROM report_duty d WHERE d.id = report_duty_id(named));
    WHEN 'campaign' THEN found := ARRAY(SELECT c.id FROM campaign c WHERE c.id = campaign_id(named));
    WHEN 'account' THEN found := ARRAY(SELECT a.id FROM account a WHERE lower(named) IN (a.username, a.id::text));
    ELSE found := CASE WHEN is_uuid(named) THEN ARRAY[named::uuid] END;
  END CASE;
  found := array_remove(found, NULL);
  IF coalesce(cardinality(found), 0) = 0 THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such resource, or not visible'));
  END IF;
  RETURN found;
END $$;
