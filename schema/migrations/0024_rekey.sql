-- Keys follow the tree of today. A unit's key is its parent's and its own label; a unit that has ended with one successor lies below
-- that successor, so that on today's tree its figures add up there. When a unit gets another place its whole subtree is
-- rekeyed in every table at once, under the tree's lock. The journal alone is never rewritten: its rows are found by their old keys.
SET search_path = tiendo, public;

-- Keys that a unit's subtree had before: its rows in the journal bear them.
CREATE TABLE organization_former_key (
  former text COLLATE "C" PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organization (id)
);
CREATE INDEX organization_former_key_unit ON organization_former_key (organization_id);
ALTER TABLE organization_former_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization_former_key FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON organization_former_key TO tiendo_owner USING (true) WITH CHECK (true);

-- Keys of units that were taken away again (their decision was reverted): what the journal says of them is found by these.
CREATE TABLE organization_removed (
  scope_key text COLLATE "C" PRIMARY KEY,
  removed_at timestamptz NOT NULL DEFAULT clock_now()
);
DO $do$ BEGIN PERFORM protect('organization_removed', NULL, 'area'); END $do$;
GRANT SELECT ON organization_removed TO tiendo_service;

-- A value that moves or whose assignment changes is no revision of the value: the writer says so in tiendo.recount ('on': its
-- mark alone changes and the sums follow; 'rekey': the sums are moved as a whole by who moves the keys).
-- That takes a word that only the owner knows, for the setting itself may be written by whoever is in the session.
CREATE TABLE recount_word (word text PRIMARY KEY DEFAULT gen_random_uuid()::text);
INSERT INTO recount_word DEFAULT VALUES;
ALTER TABLE recount_word ENABLE ROW LEVEL SECURITY;
ALTER TABLE recount_word FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON recount_word TO tiendo_owner USING (true) WITH CHECK (true);
CREATE FUNCTION recount_begin(what text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM set_config('tiendo.recount', what || ' ' || (SELECT w.word FROM recount_word w), true);
END $$;
CREATE FUNCTION recount_end() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM set_config('tiendo.recount', '', true);
END $$;
CREATE OR REPLACE FUNCTION value_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE recount text := coalesce(current_setting('tiendo.recount', true), '');
BEGIN
  IF recount <> '' THEN
    IF split_part(recount, ' ', 2) <> (SELECT w.word FROM recount_word w) THEN
      RAISE EXCEPTION 'only the owner moves values without a trace' USING ERRCODE = 'insufficient_privilege';
    END IF;
    recount := split_part(recount, ' ', 1);
  END IF;
  IF recount = 'rekey' THEN RETURN NULL; END IF;
  IF recount <> 'on' THEN
    IF EXISTS (SELECT FROM (SELECT DISTINCT seat_id, entered_by FROM now_is) m
        WHERE NOT EXISTS (SELECT FROM organization s WHERE s.id = m.seat_id AND s.code = m.entered_by)) THEN
      RAISE EXCEPTION 'a value is not what it says' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO value_revision
    SELECT id, version, updated_at, indicator_id, period_id, programme_id, scope_key, category, organization_code, period_code, state, done,
      done_on, numerator, denominator, number, note, evidence_url, source, reason, on_behalf, entered_by, seat_id, account_id, client_id,
      grant_id, session_id
    FROM now_is;
    INSERT INTO journal (account_id, client_id, grant_id, session_id, action, resource_type, resource_id, version, scope_key,
      programme_id, request_id)
    SELECT account_id, client_id, grant_id, session_id, 'update', 'value', id, version, scope_key, programme_id,
      (SELECT nullif(current_setting('tiendo.request', true), ''))
    FROM now_is;
  END IF;
  INSERT INTO rollup_delta
  SELECT indicator_id, period_id, left(scope_key, -6), category, programme_id,
    coalesce(sum(sign) FILTER (WHERE state = 'reported'), 0), coalesce(sum(sign) FILTER (WHERE state = 'not_applicable'), 0),
    coalesce(sum(sign) FILTER (WHERE done), 0), coalesce(sum(sign * numerator), 0), coalesce(sum(sign * denominator), 0),
    coalesce(sum(sign * number), 0)
  FROM (SELECT 1 AS sign, n.* FROM now_is n UNION ALL SELECT -1, o.* FROM was o) x
  WHERE counted AND length(scope_key) > 6
  GROUP BY 1, 2, 3, 4, 5;
  RETURN NULL;
END $$;

-- ---- moving the sums ---------------------------------------------------------------------------------------
-- Folds all that is not folded yet, waiting for who is folding now.
CREATE FUNCTION rollup_fold_all() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('tiendo.rollup', 0));
  WHILE EXISTS (SELECT FROM rollup_delta) LOOP
    PERFORM rollup_fold(100000);
  END LOOP;
END $$;
-- Takes what a subtree adds to the sums (its own counted values and all below) from the units above its old place that are not above
-- its new one, and gives it to those that are above the new one alone. Nothing may be unfolded.
CREATE FUNCTION rollup_move(old_key text, new_key text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  leaves text[] := ARRAY(SELECT unnest(ancestor_keys(old_key)) EXCEPT SELECT unnest(ancestor_keys(new_key)));
  joins text[] := ARRAY(SELECT unnest(ancestor_keys(new_key)) EXCEPT SELECT unnest(ancestor_keys(old_key)));
BEGIN
  IF cardinality(leaves) + cardinality(joins) = 0 THEN RETURN; END IF;
  INSERT INTO rollup AS r
  SELECT m.indicator_id, m.period_id, k.key, m.category, m.programme_id, k.sign * m.reported, k.sign * m.not_applicable, k.sign * m.done,
    k.sign * m.numerator, k.sign * m.denominator, k.sign * m.number
  FROM (SELECT x.indicator_id, x.period_id, x.category, x.programme_id, sum(x.reported)::bigint AS reported,
      sum(x.not_applicable)::bigint AS not_applicable, sum(x.done)::bigint AS done, sum(x.numerator) AS numerator,
      sum(x.denominator) AS denominator, sum(x.number) AS number
    FROM (SELECT y.indicator_id, y.period_id, y.category, y.programme_id, y.reported, y.not_applicable, y.done, y.numerator, y.denominator, y.number
        FROM rollup y WHERE y.scope_key = old_key
      UNION ALL
      SELECT v.indicator_id, v.period_id, v.category, v.programme_id, (v.state = 'reported')::int, (v.state = 'not_applicable')::int,
        coalesce(v.done, false)::int, coalesce(v.numerator, 0), coalesce(v.denominator, 0), coalesce(v.number, 0)
      FROM value v WHERE v.scope_key = old_key AND v.counted) x
    GROUP BY 1, 2, 3, 4) m,
    (SELECT unnest(leaves) AS key, -1 AS sign UNION ALL SELECT unnest(joins), 1) k
  ON CONFLICT (indicator_id, period_id, scope_key, category) DO UPDATE SET reported = r.reported + excluded.reported,
    not_applicable = r.not_applicable + excluded.not_applicable, done = r.done + excluded.done,
    numerator = r.numerator + excluded.numerator, denominator = r.denominator + excluded.denominator, number = r.number + excluded.number;
END $$;
CREATE INDEX rollup_key ON rollup (scope_key);

-- ---- rekeying ----------------------------------------------------------------------------------------------
-- Revisions have no index by key: those of a value are found by it, those of one that is no more by its deletion.
CREATE INDEX value_revision_deleted_key ON value_revision (scope_key) WHERE state = 'deleted';
-- (A join by hash would read every revision there is.)
CREATE FUNCTION rekey_values(old_key text, new_key text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp
  SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  EXECUTE 'WITH moved AS (
      UPDATE value v SET scope_key = $2 || substr(v.scope_key, $3) WHERE v.scope_key >= $1 AND v.scope_key < $1 || ''~'' RETURNING v.id
    ), gone AS (
      SELECT DISTINCT r.value_id AS id FROM value_revision r WHERE r.state = ''deleted'' AND r.scope_key >= $1 AND r.scope_key < $1 || ''~''
    )
    UPDATE value_revision r SET scope_key = $2 || substr(r.scope_key, $3)
    FROM (SELECT id FROM moved UNION ALL SELECT id FROM gone) m WHERE r.value_id = m.id'
  USING old_key, new_key, length(old_key) + 1;
END $$;
-- An assignment that only gets another key names the same units as before: those whose unit moved are found by their new spans.
DROP TRIGGER assignment_changed ON assignment;
CREATE TRIGGER assignment_changed AFTER INSERT OR UPDATE OF organization_id, kind, under_id, mode, entered_by, source, client_id, validity
  ON assignment FOR EACH ROW EXECUTE FUNCTION assignment_changed();
-- Gives a unit and its subtree another key in every table. The unit's own tree lock must be held alone.
CREATE FUNCTION rekey(unit uuid, new_key text) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  old_key text := (SELECT o.scope_key FROM organization o WHERE o.id = unit);
  old_root uuid := (SELECT o.root_id FROM organization o WHERE o.id = unit);
  new_root uuid := coalesce((SELECT o.root_id FROM organization o WHERE o.scope_key = left(new_key, -6)), unit);
  at int := length(old_key) + 1;
  t text;
BEGIN
  PERFORM rollup_fold_all(), rollup_move(old_key, new_key), recount_begin('rekey');
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
  FOREACH t IN ARRAY ARRAY['account', 'client', 'access_grant', 'mandate', 'rollup', 'assignment', 'target',
      'programme', 'programme_pillar', 'indicator', 'reorganization_unit', 'organization_removed'] LOOP
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
  END IF;
  DELETE FROM organization_former_key f USING organization o
  WHERE f.former = new_key AND f.organization_id = o.id AND o.scope_key = f.former;
  PERFORM recount_end();
END $$;

-- Where a unit belongs: below its one successor when it has ended, else below its parent. NULL: a root.
CREATE FUNCTION place_of(unit uuid) RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  parent uuid; ends date; successors uuid[];
BEGIN
  SELECT o.parent_id, o.valid_to INTO parent, ends FROM organization o WHERE o.id = unit;
  IF ends < today() THEN
    -- (one that was split off from it earlier does not succeed it)
    successors := ARRAY(SELECT l.successor_id FROM organization_lineage l WHERE l.predecessor_id = unit AND l.on_day > ends LIMIT 2);
    IF cardinality(successors) = 1 THEN RETURN successors[1]; END IF;
  END IF;
  RETURN parent;
END $$;

-- Puts units where they belong, from the top down, those that live first; how many subtrees moved. Whoever was above hears that they left.
CREATE FUNCTION organization_place_all(units uuid[], request_id text) RETURNS int LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  ids uuid[];
  places uuid[];  -- they stand still while keys move
  spot record;
  next record;
  moved int := 0;
  before int;
BEGIN
  SELECT array_agg(w.id), array_agg(w.place) INTO ids, places
  FROM (SELECT o.id, place_of(o.id) AS place FROM organization o WHERE o.id = ANY (units)) w WHERE w.place IS NOT NULL;
  LOOP
    before := moved;
    FOR spot IN SELECT s.id, s.place FROM unnest(ids, places) s(id, place) JOIN organization o ON o.id = s.id
        ORDER BY coalesce(o.valid_to < today(), false), length(o.scope_key), o.scope_key LOOP
      SELECT o.id, o.code, o.name, o.kind, o.version, o.scope_key, p.scope_key || right(o.scope_key, 6) AS new_key INTO next
      FROM organization o JOIN organization p ON p.id = spot.place
      WHERE o.id = spot.id AND o.scope_key <> p.scope_key || right(o.scope_key, 6) AND NOT p.scope_key ^@ o.scope_key;
      CONTINUE WHEN NOT FOUND;
      moved := moved + 1;
      PERFORM journal('leave', 'organization', next.id, next.version, left(next.scope_key, -6),
        jsonb_build_object('id', next.id, 'code', next.code, 'name', next.name, 'kind', next.kind), NULL, request_id)
      WHERE length(next.scope_key) > 6;
      PERFORM rekey(next.id, next.new_key);
    END LOOP;
    EXIT WHEN moved = before;
  END LOOP;
  RETURN moved;
END $$;

-- ---- what ended units leave -------------------------------------------------------------------------------
-- Makes heritage and owes right for the units of these roots.
CREATE FUNCTION heritage_refresh(changed uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  -- with the roots that lineage ties to them
  roots uuid[] := ARRAY(
    WITH RECURSIVE tied AS (
      SELECT r AS id FROM unnest(changed) r
      UNION
      SELECT x.id FROM tied t JOIN (
        SELECT p.root_id AS a, s.root_id AS b FROM organization_lineage l JOIN organization p ON p.id = l.predecessor_id
          JOIN organization s ON s.id = l.successor_id WHERE p.root_id <> s.root_id
        UNION
        SELECT q.root_id, s.root_id FROM organization_lineage l JOIN organization p ON p.id = l.predecessor_id
          JOIN organization q ON q.id = p.parent_id JOIN organization s ON s.id = l.successor_id WHERE q.root_id <> s.root_id) y ON t.id IN (y.a, y.b),
        LATERAL (VALUES (y.a), (y.b)) x(id)
    ) SELECT id FROM tied);
BEGIN
  WITH RECURSIVE descends(ended, heir) AS (
    SELECT l.predecessor_id, l.successor_id FROM organization_lineage l JOIN organization e ON e.id = l.predecessor_id
    WHERE e.valid_to < today() AND l.on_day > e.valid_to AND e.root_id = ANY (roots)
    UNION
    SELECT d.ended, l.successor_id FROM descends d JOIN organization_lineage l ON l.predecessor_id = d.heir
      JOIN organization h ON h.id = d.heir AND h.valid_to < today() AND l.on_day > h.valid_to
  ), owed AS (
    SELECT d.heir AS id, array_agg(e.scope_key ORDER BY e.scope_key) AS keys
    FROM descends d JOIN organization e ON e.id = d.ended GROUP BY d.heir
  ), holder AS (
    SELECT d.ended, h.scope_key AS key FROM descends d JOIN organization h ON h.id = d.heir
    UNION
    SELECT d.ended, p.scope_key FROM descends d JOIN organization e ON e.id = d.ended JOIN organization p ON p.id = e.parent_id
  ), reads AS (
    SELECT u.id, array_agg(DISTINCT e.scope_key ORDER BY e.scope_key) AS keys
    FROM holder x JOIN organization e ON e.id = x.ended JOIN organization u ON u.scope_key = ANY (ancestor_keys(x.key) || x.key)
    WHERE NOT e.scope_key ^@ u.scope_key
    GROUP BY u.id
  )
  UPDATE organization o SET heritage = w.reads, owes = w.owes
  FROM (SELECT u.id, r.keys AS reads, d.keys AS owes FROM organization u LEFT JOIN reads r ON r.id = u.id LEFT JOIN owed d ON d.id = u.id
    WHERE u.root_id = ANY (roots) AND (r.id IS NOT NULL OR d.id IS NOT NULL OR u.heritage IS NOT NULL OR u.owes IS NOT NULL)) w
  WHERE o.id = w.id AND (o.heritage, o.owes) IS DISTINCT FROM (w.reads, w.owes);
END $$;

-- Definitions hold where their programme's unit does; when that has ended with one successor they hold there, and return with it.
CREATE FUNCTION definitions_follow() RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  p record;
  holder uuid; heir uuid;
BEGIN
  FOR p IN SELECT x.id, x.scope_id, x.scope_key FROM programme x JOIN organization o ON o.id = x.scope_id
      WHERE o.valid_to IS NOT NULL OR o.scope_key <> x.scope_key LOOP
    holder := p.scope_id;
    LOOP
      heir := (SELECT (array_agg(l.successor_id))[1] FROM organization_lineage l JOIN organization e ON e.id = l.predecessor_id
        WHERE e.id = holder AND e.valid_to < today() AND l.on_day > e.valid_to HAVING count(*) = 1);
      EXIT WHEN heir IS NULL;
      holder := heir;
    END LOOP;
    UPDATE programme x SET scope_key = o.scope_key FROM organization o WHERE x.id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
    UPDATE programme_pillar x SET scope_key = o.scope_key FROM organization o WHERE x.programme_id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
    UPDATE indicator x SET scope_key = o.scope_key FROM organization o WHERE x.programme_id = p.id AND o.id = holder AND x.scope_key <> o.scope_key;
  END LOOP;
END $$;
